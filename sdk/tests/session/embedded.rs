//! Frames traced by the embedded peer: a scene becomes a picture, edits are seen, tiles leave no seam.

use glam::{Affine3A, Vec2, Vec3, Vec4};
use rayloom::frame::{Extent, Rect};
use rayloom::scene::{Environment, Instance, Light, LightShape, Material, Mesh, MeshPart, Scene};
use rayloom::{
    Accumulation, Embedded, Event, FrameDesc, Output, SceneHandle, Session, SessionDesc, ToneMap, ViewDesc, ViewHandle,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const SIZE: Extent = Extent::new(203, 117);
/// Far beyond what a frame takes on the slowest machine; never waited for in full.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A red square metre that faces +Z, two metres from the camera, under a sun from behind the camera.
pub(crate) fn square(at: Vec3) -> Scene {
    let mesh = Mesh {
        positions: [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)].map(|(x, y)| Vec3::new(x, y, 0.0)).to_vec(),
        normals: vec![Vec3::Z; 4],
        uvs: vec![Vec2::ZERO; 4],
        indices: vec![0, 1, 2, 0, 2, 3],
        parts: vec![MeshPart { first_index: 0, index_count: 6, material: 0 }],
        ..Mesh::default()
    };
    Scene {
        meshes: vec![Arc::new(mesh)],
        materials: vec![Material { base_color: Vec4::new(0.8, 0.1, 0.1, 1.0), ..Material::default() }],
        instances: vec![Instance { mesh: 0, transform: Affine3A::from_translation(at), user_id: 1 }],
        lights: vec![Light {
            shape: LightShape::Directional { angle: 0.0 },
            color: Vec3::splat(3.0),
            position: Vec3::ZERO,
            direction: Vec3::NEG_Z,
            range: 0.0,
            user_id: 2,
        }],
        environment: Environment::constant(Vec3::new(0.0, 0.0, 0.2)),
        ..Scene::default()
    }
}

pub(crate) fn session() -> Session {
    let desc =
        SessionDesc { embedded: Embedded::Always, embedded_allow_cpu: true, lossless: true, ..SessionDesc::default() };
    Session::new(desc).unwrap()
}

fn view(session: &Session, tiles_per_peer: (u32, u32)) -> ViewHandle {
    session.create_view(view_desc(tiles_per_peer)).unwrap()
}

pub(crate) fn view_desc(tiles_per_peer: (u32, u32)) -> ViewDesc {
    let mut desc = ViewDesc::new(SIZE);
    desc.accumulation = Accumulation::Off;
    desc.output_planes = true;
    desc.tiles_per_peer = tiles_per_peer;
    desc.layers.iter_mut().for_each(|layer| layer.deadline = Duration::from_secs(30));
    desc
}

/// Begins frames from `from` on until one is traced whole.
pub(crate) fn first_fresh(view: &ViewHandle, revision: u64, from: u64) -> Arc<Output> {
    let camera = rayloom::scene::Camera::with_fov(0.9, SIZE.width as f32 / SIZE.height as f32);
    let mut last = None;
    for frame_id in from..from + 9_000 {
        let desc = FrameDesc { tone_map: ToneMap::Linear, ..FrameDesc::new(frame_id, revision, camera) };
        view.begin_frame(desc).unwrap();
        let output = view.acquire(frame_id, PATIENCE).unwrap();
        if output.fresh == 1.0 {
            return output;
        }
        last = Some(output.tiles.len());
        std::thread::yield_now();
    }
    panic!("no fresh frame; tiles of the last one: {last:?}");
}

/// The next event that `wanted` takes.
pub(crate) fn event<T>(session: &Session, wanted: impl Fn(Event) -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match session.poll_event() {
            Some(event) => {
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
            None => {
                assert!(Instant::now() < give_up, "no such event");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

fn pixel(output: &Output, x: u32, y: u32) -> [u8; 3] {
    let at = (y * SIZE.width + x) as usize * 4;
    [output.color[at], output.color[at + 1], output.color[at + 2]]
}

fn is_red([r, g, b]: [u8; 3]) -> bool {
    u32::from(r) > 2 * u32::from(g) && u32::from(r) > 2 * u32::from(b)
}

fn commit(scene: &SceneHandle) -> u64 {
    scene.commit().unwrap()
}

#[test]
fn a_scene_becomes_a_picture_and_moves() {
    let session = session();
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let view = view(&session, (2, 4));
    let output = first_fresh(&view, commit(&scene), 0);
    let (center, corner) = (pixel(&output, 101, 58), pixel(&output, 0, 0));
    assert!(is_red(center), "the square's centre is {center:?}");
    assert!(corner[2] > corner[0], "the sky is {corner:?}");
    let covered: usize = output.tiles.iter().map(|tile| tile.rect.pixels()).sum();
    assert_eq!(covered, SIZE.pixels());

    // Moved out of sight: no upload, the same base revision.
    scene.set_transforms(&[(0, Affine3A::from_translation(Vec3::new(50.0, 0.0, -2.0)))]).unwrap();
    let output = first_fresh(&view, commit(&scene), 1_000_000);
    assert!(!is_red(pixel(&output, 101, 58)), "the square moved away");

    // A structural edit: a new base revision, shown once the peer holds it.
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let revision = commit(&scene);
    let seen = (0..100_000).any(|i| is_red(pixel(&first_fresh(&view, revision, 2_000_000 + i), 101, 58)));
    assert!(seen, "the edited scene is shown in the end");
}

#[test]
fn a_posed_mesh_is_shown_in_its_pose_without_an_upload() {
    let session = session();
    let scene = session.create_scene();
    let mut skinned = square(Vec3::new(0.0, 0.0, -2.0));
    let mesh = Arc::make_mut(&mut skinned.meshes[0]);
    mesh.joints = vec![[1, 0, 0, 0]; 4];
    mesh.weights = vec![[1.0, 0.0, 0.0, 0.0]; 4];
    let pose = |x: f32| {
        let palette = vec![Affine3A::IDENTITY, Affine3A::from_translation(Vec3::X * x)];
        rayloom::scene::Pose { instance: 0, palette, morph_weights: Vec::new() }
    };
    skinned.poses = vec![pose(0.0)];
    skinned.instances[0].user_id = 77;
    scene.replace(skinned).unwrap();
    let view = view(&session, (1, 1));
    let center = |output: &Output| pixel(output, SIZE.width / 2, SIZE.height / 2);
    assert!(is_red(center(&first_fresh(&view, commit(&scene), 0))));
    for (step, x) in [40.0, 0.0, 40.0].into_iter().enumerate() {
        scene.set_poses(&[pose(x)]).unwrap();
        let output = first_fresh(&view, commit(&scene), 1_000_000 * (step as u64 + 1));
        assert_eq!(is_red(center(&output)), x == 0.0, "posed to {x}");
    }
    let short = rayloom::scene::Pose { palette: vec![Affine3A::IDENTITY], ..pose(0.0) };
    let text = scene.set_poses(&[short]).unwrap_err().to_string();
    assert!(text.contains("user id 77") && text.contains("2 joints"), "{text}");
    assert!(scene.set_poses(&[rayloom::scene::Pose { instance: 4, ..pose(0.0) }]).is_err());
}

#[test]
fn commits_faster_than_packing_end_with_the_newest_one() {
    let session = session();
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let mut newest = 0;
    for step in 0..200 {
        // Never so smooth that the sun shines from the square: any of these revisions may be the one that is shown first.
        scene.edit(|scene| scene.materials[0].roughness = 0.9 + step as f32 / 2000.0);
        newest = commit(&scene);
    }
    let view = view(&session, (1, 1));
    let output = first_fresh(&view, newest, 0);
    let center = pixel(&output, SIZE.width / 2, SIZE.height / 2);
    assert!(is_red(center), "the square's centre is {center:?} in frame {}", output.frame_id);
    let announced =
        |event: rayloom::Event| matches!(event, rayloom::Event::SceneReady { revision, .. } if revision == newest);
    let give_up = Instant::now() + PATIENCE;
    let mut frame_id = output.frame_id + 1;
    while !std::iter::from_fn(|| session.poll_event()).any(announced) {
        assert!(Instant::now() < give_up, "revision {newest} was never announced");
        frame_id = first_fresh(&view, newest, frame_id).frame_id + 1;
    }
    // Ends while a commit waits and another is being packed.
    for _ in 0..3 {
        scene.edit(|_| ());
        commit(&scene);
    }
}

#[test]
fn frames_stay_fresh_while_the_scene_is_edited_without_a_pause() {
    let session = session();
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let view = view(&session, (1, 1));
    let camera = rayloom::scene::Camera::with_fov(0.9, SIZE.width as f32 / SIZE.height as f32);
    let first = first_fresh(&view, commit(&scene), 0).frame_id + 1;
    let fresh = (first..first + 100).filter(|frame_id| {
        let mut revision = 0;
        for step in 0..10 {
            scene.edit(|scene| scene.materials[0].roughness = step as f32 / 10.0);
            revision = commit(&scene);
        }
        view.begin_frame(FrameDesc::new(*frame_id, revision, camera)).unwrap();
        view.acquire(*frame_id, PATIENCE).unwrap().fresh == 1.0
    });
    let fresh = fresh.count();
    assert_eq!(fresh, 100, "frames that were fresh");
}

#[test]
fn any_cut_gives_the_same_bits() {
    let session = session();
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.2, 0.1, -1.5))).unwrap();
    let revision = commit(&scene);
    let whole = view(&session, (1, 1));
    let cut = view(&session, (3, 3));
    // The first frames only teach the coordinator what a tile costs.
    assert!((0..100).any(|i| first_fresh(&cut, revision, 10_000 * i).tiles.len() > 1), "the view is never cut");
    let frame = 5_000_000;
    first_fresh(&whole, revision, 0);
    let (a, b) = (first_fresh(&whole, revision, frame), first_fresh(&cut, revision, frame));
    assert_eq!((a.frame_id, a.tiles.len(), b.frame_id), (frame, 1, frame));
    assert!(
        b.tiles.iter().any(|tile: &rayloom::TileOutcome| !tile.rect.x.is_multiple_of(16)),
        "no odd border: {:?}",
        rects(&b)
    );
    let (a, b) = (a.planes.as_ref().unwrap(), b.planes.as_ref().unwrap());
    assert!(a.primary == b.primary, "planes of primary hits differ");
    for ((kind, a), (_, b)) in a.layers.iter().zip(&b.layers) {
        let differing = a.iter().zip(b).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "pixels of layer {}", kind.name());
    }
}

fn rects(output: &Output) -> Vec<Rect> {
    output.tiles.iter().map(|tile| tile.rect).collect()
}

#[test]
fn the_inside_peer_keeps_its_pipelines_and_to_its_memory() {
    let folder = std::env::temp_dir().join(format!("rayloom-cache-{}/new", std::process::id()));
    let first_event = |embedded_memory_limit| {
        let session = Session::new(SessionDesc {
            embedded: Embedded::Always,
            embedded_allow_cpu: true,
            embedded_memory_limit,
            cache_dir: Some(folder.clone()),
            ..SessionDesc::default()
        });
        let (session, give_up) = (session.unwrap(), Instant::now() + PATIENCE);
        loop {
            assert!(Instant::now() < give_up, "nothing is said of the peer");
            match session.poll_event() {
                Some(event) => break event.to_string(),
                None => std::thread::yield_now(),
            }
        }
    };
    let refused = first_event(Some(1 << 10));
    assert!(refused.contains("limit of 1024 bytes"), "{refused}");
    let connected = first_event(None);
    assert!(connected.contains("connected"), "{connected}");
    assert!(folder.join("pipelines.bin").metadata().unwrap().len() > 0);
    std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();

    let desc = SessionDesc { cache_dir: Some("/proc/nowhere".into()), ..SessionDesc::default() };
    let error = Session::new(desc).err().unwrap().to_string();
    assert!(error.contains("cache_dir \"/proc/nowhere\""), "{error}");
}
