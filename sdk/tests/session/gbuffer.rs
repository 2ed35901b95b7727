//! G-buffer mode: a frame waits for the engine's planes, and what the raster saw is lit as what primary rays would hit.

use crate::embedded::{PATIENCE, SIZE, first_fresh, session, square, view_desc};
use bytes::Bytes;
use glam::Vec3;
use rayloom::frame::{EnginePlaneKind, Extent, LayerKind, PlaneFormat};
use rayloom::scene::Camera;
use rayloom::{Error, Event, FrameDesc, Output, OutputPlanes, Plane, Session, ToneMap, ViewHandle};
use std::sync::Arc;

fn camera() -> Camera {
    Camera::with_fov(0.9, SIZE.width as f32 / SIZE.height as f32)
}

fn desc(frame_id: u64, revision: u64) -> FrameDesc {
    FrameDesc { tone_map: ToneMap::Linear, time_ns: frame_id * 1000, ..FrameDesc::new(frame_id, revision, camera()) }
}

fn gbuffer_view(session: &Session) -> ViewHandle {
    session.create_view(rayloom::ViewDesc { gbuffer: true, ..view_desc((2, 3)) }).unwrap()
}

/// A view in a texture that is larger than it: the formats are those of a common engine.
fn plane(kind: EnginePlaneKind, format: PlaneFormat, pixels: impl Iterator<Item = Vec<u8>>) -> Plane {
    let (margin, bytes_per_pixel) = ((3, 2), format.bytes_per_pixel());
    let extent = Extent::new(SIZE.width + 7, SIZE.height + 5);
    let row_pitch = (extent.width as usize * bytes_per_pixel).next_multiple_of(256);
    let mut bytes = vec![0xee; row_pitch * extent.height as usize];
    for (index, pixel) in pixels.enumerate() {
        let (x, y) = (index % SIZE.width as usize + margin.0, index / SIZE.width as usize + margin.1);
        bytes[y * row_pitch + x * bytes_per_pixel..][..bytes_per_pixel].copy_from_slice(&pixel);
    }
    let view_rect = rayloom::frame::Rect::new(margin.0 as u32, margin.1 as u32, SIZE.width, SIZE.height);
    Plane { kind, format, extent, view_rect, row_pitch, bytes: bytes.into() }
}

/// The planes of a traced frame, as an engine's raster would have them.
pub(crate) fn planes_of(traced: &OutputPlanes) -> Vec<Plane> {
    let primary = &traced.primary;
    let depth = primary.depth.iter().map(|depth| depth.to_le_bytes().to_vec());
    let normal = primary.normal.iter().map(|packed| {
        let n = rayloom::frame::normal::decode_normal(*packed);
        [n.x, n.y, n.z, 0.0].into_iter().flat_map(f32::to_le_bytes).collect()
    });
    let albedo = primary.base_color.iter().map(|packed| packed.to_le_bytes().to_vec());
    let material = primary.material.iter().map(|packed| packed.to_le_bytes()[..2].to_vec());
    vec![
        plane(EnginePlaneKind::Depth, PlaneFormat::R32Float, depth),
        plane(EnginePlaneKind::Normal, PlaneFormat::Rgba32Float, normal),
        plane(EnginePlaneKind::Albedo, PlaneFormat::Rgba8Srgb, albedo),
        plane(EnginePlaneKind::RoughnessMetalness, PlaneFormat::Rg8Unorm, material),
    ]
}

/// What an engine's raster sees of the square.
pub(crate) fn planes_of_a_frame() -> Vec<Plane> {
    let session = session();
    let (_scene, _, traced) = traced(&session);
    planes_of(traced.planes.as_ref().unwrap())
}

fn released(session: &Session) -> Vec<u64> {
    std::iter::from_fn(|| session.poll_event())
        .filter_map(|event| match event {
            Event::PlanesReleased { frame_id } => Some(frame_id),
            _ => None,
        })
        .collect()
}

/// A scene that is ready, and a frame of it in state mode.
fn traced(session: &Session) -> (rayloom::SceneHandle, u64, Arc<Output>) {
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let revision = scene.commit().unwrap();
    let state_view = session.create_view(view_desc((1, 1))).unwrap();
    let output = first_fresh(&state_view, revision, 0);
    (scene, revision, output)
}

#[test]
fn planes_of_the_raster_are_lit_as_primary_hits_are() {
    let session = session();
    let (_scene, revision, traced) = traced(&session);
    let expected = traced.planes.as_ref().unwrap();
    let view = gbuffer_view(&session);
    // The samples are seeded by the frame's id.
    let frame = view.open_frame(desc(traced.frame_id, revision)).unwrap();
    frame.submit(planes_of(expected)).unwrap();
    let output = view.acquire(traced.frame_id, PATIENCE).unwrap();
    assert_eq!((output.fresh, output.time_ns), (1.0, traced.frame_id * 1000));
    assert_eq!(released(&session), [traced.frame_id]);
    let planes = output.planes.as_ref().unwrap();
    assert_eq!(planes.primary.depth, expected.primary.depth);
    assert_eq!(planes.primary.base_color, expected.primary.base_color);
    for ((kind, ours), (_, theirs)) in planes.layers.iter().zip(&expected.layers) {
        assert!(*kind == LayerKind::Specular || theirs.iter().any(|pixel| pixel[..3] != [0; 3]), "{kind:?} has light");
        let differing = ours.iter().zip(theirs).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "{kind:?}: {differing} of {} pixels differ", ours.len());
    }
}

#[test]
fn a_frame_without_planes_is_traced_and_the_next_has_them() {
    let session = session();
    let (_scene, revision, traced) = traced(&session);
    let view = gbuffer_view(&session);
    let (first, second) = (view.open_frame(desc(5, revision)).unwrap(), view.open_frame(desc(6, revision)).unwrap());
    // One after the other: a frame that is whole does not wait for an older one, which goes out with what it has.
    for (frame, frame_id, planes) in [(first, 5, Vec::new()), (second, 6, planes_of(traced.planes.as_ref().unwrap()))] {
        frame.submit(planes).unwrap();
        let output = view.acquire(frame_id, PATIENCE).unwrap();
        assert_eq!((output.frame_id, output.fresh), (frame_id, 1.0));
    }
    assert_eq!(released(&session), [6]);
}

#[test]
fn open_frames_count_as_in_flight_until_they_are_submitted_or_dropped() {
    let session = session();
    let scene = session.create_scene();
    scene.commit().unwrap();
    let view = gbuffer_view(&session);
    let frames = [view.open_frame(desc(1, 1)).unwrap(), view.open_frame(desc(2, 1)).unwrap()];
    assert!(matches!(view.open_frame(desc(3, 1)), Err(Error::Busy { in_flight: 2, limit: 2 })));
    drop(frames);
    assert!(view.open_frame(desc(3, 1)).is_ok());
    let error = view.open_frame(desc(3, 1)).err().unwrap().to_string();
    assert!(error.contains("frame id 3 does not grow: the next may be 4"), "{error}");
}

#[test]
fn what_is_no_plane_of_the_view_is_refused_and_the_frame_stays_open() {
    let session = session();
    let scene = session.create_scene();
    scene.commit().unwrap();
    let view = gbuffer_view(&session);
    let pixels = || std::iter::repeat_n(vec![0; 4], SIZE.pixels());
    let depth = || plane(EnginePlaneKind::Depth, PlaneFormat::R32Float, pixels());
    let frame = view.open_frame(desc(1, 1)).unwrap();
    let refused = |planes: Vec<Plane>, word: &str| {
        let error = frame.submit(planes).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(vec![depth()], "normal");
    refused(vec![depth(), depth()], "depth");
    refused(vec![Plane { bytes: Bytes::from_static(b"short"), ..depth() }], "depth");
    refused(vec![Plane { row_pitch: 4, ..depth() }], "row");
    refused(vec![Plane { row_pitch: usize::MAX, ..depth() }], "row");
    refused(vec![Plane { format: PlaneFormat::Rgba8Srgb, ..depth() }], "depth");
    refused(vec![Plane { view_rect: SIZE.rect(), extent: Extent::new(9, 9), ..depth() }], "depth");
    assert_eq!(released(&session), [] as [u64; 0]);
    frame.submit(Vec::new()).unwrap();
    assert!(matches!(frame.submit(Vec::new()), Err(Error::InvalidState(_))), "submitted twice");
}

#[test]
fn frames_that_come_after_later_ones_are_refused() {
    let session = session();
    let scene = session.create_scene();
    scene.commit().unwrap();
    let view = gbuffer_view(&session);
    let (first, second) = (view.open_frame(desc(1, 1)).unwrap(), view.open_frame(desc(2, 1)).unwrap());
    second.submit(Vec::new()).unwrap();
    let error = first.submit(Vec::new()).unwrap_err().to_string();
    assert!(error.contains("frame id 1"), "{error}");
    view.acquire(2, PATIENCE).unwrap();
    drop(first);
    assert!(view.open_frame(desc(3, 1)).is_ok(), "a dropped frame makes room");
}

#[test]
fn each_kind_of_view_has_its_own_way_to_begin() {
    let session = session();
    let planes = gbuffer_view(&session);
    assert!(matches!(planes.begin_frame(desc(1, 1)), Err(Error::InvalidState(_))));
    let state = session.create_view(view_desc((1, 1))).unwrap();
    assert!(matches!(state.open_frame(desc(1, 1)), Err(Error::InvalidState(_))));
}

#[test]
fn a_world_origin_moves_the_camera_in_double_precision() {
    let session = session();
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(4096.0, 0.0, -2.0))).unwrap();
    let revision = scene.commit().unwrap();
    let view = session.create_view(view_desc((1, 1))).unwrap();
    first_fresh(&view, revision, 0);
    let near = Camera { position: Vec3::new(-0.25, 0.0, 0.0), ..camera() };
    let far = glam::DVec3::new(4096.25, 0.0, 0.0);
    let begun = FrameDesc { world_origin: far, ..FrameDesc::new(1 << 40, revision, near) };
    view.begin_frame(begun).unwrap();
    let output = view.acquire(1 << 40, PATIENCE).unwrap();
    assert_eq!(output.camera.position, Vec3::new(4096.0, 0.0, 0.0));
    let centre = SIZE.pixels() / 2;
    assert!((output.planes.as_ref().unwrap().primary.depth[centre] - 2.0).abs() < 1e-3);
    let lost = FrameDesc { world_origin: glam::DVec3::NAN, ..FrameDesc::new((1 << 40) + 1, revision, near) };
    assert!(matches!(view.begin_frame(lost), Err(Error::InvalidArgument(_))));
}
