//! Captures: a replay makes the same bits again, also of frames that came out incomplete; what is no capture is refused.

use crate::embedded::{PATIENCE, SIZE, first_fresh, square, view_desc};
use glam::{Affine3A, Vec3};
use rayloom::frame::{EnginePlaneKind, Extent, PlaneFormat};
use rayloom::scene::Camera;
use rayloom::{
    Accumulation, Embedded, FrameDesc, Plane, Replay, ReplayReport, Session, SessionDesc, ViewDesc, ViewMode,
};
use std::path::PathBuf;
use std::time::Duration;

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("rayloom-{}-{name}.capture", std::process::id()))
}

/// A capture's file; removed when dropped.
struct Captured(PathBuf);

impl Drop for Captured {
    fn drop(&mut self) {
        // A test that failed early may not have written it.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn session(capture: &Captured) -> Session {
    Session::new(SessionDesc {
        embedded: Embedded::Always,
        embedded_allow_cpu: true,
        lossless: true,
        capture: Some(capture.0.clone()),
        ..SessionDesc::default()
    })
    .unwrap()
}

fn replay(capture: &Captured) -> (ReplayReport, Vec<f32>) {
    let mut fresh = Vec::new();
    let desc = SessionDesc { embedded_allow_cpu: true, ..SessionDesc::default() };
    let replay = Replay::open(&capture.0).unwrap();
    let report = replay.run(desc, |frame| {
        fresh.push(frame.output.fresh);
        true
    });
    (report.unwrap(), fresh)
}

fn accumulating(tiles_per_peer: (u32, u32)) -> ViewDesc {
    ViewDesc { accumulation: Accumulation::Frames(24), filter_radius: 2, ..view_desc(tiles_per_peer) }
}

fn camera(step: u64) -> Camera {
    let mut camera = Camera::with_fov(0.9, SIZE.width as f32 / SIZE.height as f32);
    camera.position.x = step as f32 * 0.01;
    camera
}

#[test]
fn a_replay_makes_every_bit_again() {
    let capture = Captured(path("state"));
    let mut outputs = Vec::new();
    {
        let session = session(&capture);
        let scene = session.create_scene();
        scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
        let view = session.create_view(accumulating((2, 4))).unwrap();
        let first = first_fresh(&view, scene.commit().unwrap(), 0).frame_id + 1;
        for step in 0..12 {
            match step {
                // A structural edit in the middle; frames go on with the old one until it is there.
                5 => scene.edit(|scene| scene.materials[0].roughness = 0.2),
                8 => view.set_mode(ViewMode::Difference).unwrap(),
                10 => view.set_mode(ViewMode::Local).unwrap(),
                _ => {}
            }
            let at = Affine3A::from_translation(Vec3::new(0.02 * step as f32, 0.0, -2.0));
            scene.set_transforms(&[(0, at)]).unwrap();
            let desc =
                FrameDesc { cut: step == 3, ..FrameDesc::new(first + step, scene.commit().unwrap(), camera(step)) };
            view.begin_frame(desc).unwrap();
            outputs.push(view.acquire(first + step, PATIENCE).unwrap());
        }
    }
    let mut pictures = Vec::new();
    let desc = SessionDesc { embedded_allow_cpu: true, ..SessionDesc::default() };
    let replay = Replay::open(&capture.0).unwrap();
    assert!(replay.is_lossless() && !replay.is_cut_off());
    assert!(replay.frames() >= 13, "{}", replay.frames());
    let report = replay.run(desc, |frame| {
        pictures.push((frame.output.frame_id, frame.output.color.to_vec()));
        true
    });
    let report = report.unwrap();
    assert_eq!((report.equal, report.first_different), (report.frames, None));
    for output in outputs {
        let again = pictures.iter().find(|(frame_id, _)| *frame_id == output.frame_id);
        assert!(again.is_some_and(|(_, again)| again[..] == output.color[..]), "frame {}", output.frame_id);
    }
}

#[test]
fn frames_that_came_out_incomplete_do_so_again() {
    let capture = Captured(path("late"));
    let mut shares = Vec::new();
    {
        let session = session(&capture);
        let scene = session.create_scene();
        scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
        let view = session.create_view(accumulating((6, 8))).unwrap();
        let revision = scene.commit().unwrap();
        let first = first_fresh(&view, revision, 0).frame_id + 1;
        for step in 0..30 {
            let mut layers = accumulating((6, 8)).layers;
            // One millisecond is not enough for all, in most frames for nothing at all.
            let deadline = Duration::from_millis(if step % 2 == 0 { 1 } else { 1000 });
            for layer in &mut layers {
                layer.deadline = deadline;
                layer.request.samples = 8;
            }
            view.begin_frame(FrameDesc { layers, ..FrameDesc::new(first + step, revision, camera(step)) }).unwrap();
            shares.push(view.acquire(first + step, PATIENCE).unwrap().fresh);
        }
    }
    assert!(shares.iter().any(|fresh| *fresh < 1.0), "{shares:?}");
    let (report, again) = replay(&capture);
    assert_eq!((report.equal, report.first_different), (report.frames, None));
    assert_eq!(again[again.len() - shares.len()..], shares);
}

#[test]
fn planes_are_replayed_as_they_were_submitted() {
    let capture = Captured(path("planes"));
    {
        let session = session(&capture);
        let scene = session.create_scene();
        scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
        let mut desc = accumulating((2, 2));
        desc.gbuffer = true;
        let view = session.create_view(desc).unwrap();
        let revision = scene.commit().unwrap();
        for frame_id in 1..6 {
            let frame = view.open_frame(FrameDesc::new(frame_id, revision, camera(frame_id))).unwrap();
            frame.submit(planes()).unwrap();
            view.acquire(frame_id, PATIENCE).unwrap();
        }
    }
    let (report, _) = replay(&capture);
    assert_eq!((report.frames, report.equal), (5, 5));
}

/// A wall two metres away, and sky.
fn planes() -> Vec<Plane> {
    let plane = |kind, format, word: fn(u32) -> u32| {
        let words = SIZE.rect().pixels() as u32;
        let bytes: Vec<u8> = (0..words).flat_map(|i| word(i % SIZE.width).to_le_bytes()).collect();
        Plane {
            kind,
            format,
            extent: SIZE,
            view_rect: SIZE.rect(),
            row_pitch: SIZE.width as usize * 4,
            bytes: bytes.into(),
        }
    };
    vec![
        plane(EnginePlaneKind::Depth, PlaneFormat::R32Float, |x| if x < 100 { 2.0f32.to_bits() } else { 0 }),
        plane(EnginePlaneKind::Normal, PlaneFormat::Rgba8Snorm, |_| 0x007f_0000),
        plane(EnginePlaneKind::Albedo, PlaneFormat::Rgba8Unorm, |x| 0xff00_4000 + (x & 0xff)),
        plane(EnginePlaneKind::RoughnessMetalness, PlaneFormat::Rgba8Unorm, |_| 0x0000_0080),
    ]
}

#[test]
fn a_file_that_ends_anywhere_is_replayed_up_to_there() {
    let capture = Captured(path("cut"));
    {
        let session = session(&capture);
        let scene = session.create_scene();
        scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
        let view = session.create_view(ViewDesc { size: Extent::new(40, 24), ..accumulating((1, 1)) }).unwrap();
        first_fresh(&view, scene.commit().unwrap(), 0);
        view.begin_frame(FrameDesc::new(100_000, 1, camera(0))).unwrap();
        view.acquire(100_000, PATIENCE).unwrap();
    }
    let whole = std::fs::read(&capture.0).unwrap();
    let mut in_flight = 0;
    let is_cut_off = |end: usize| {
        std::fs::write(&capture.0, &whole[..end]).unwrap();
        Replay::open(&capture.0).unwrap().is_cut_off()
    };
    for end in (whole.len() - 700..whole.len()).step_by(97) {
        // Only right between two records nothing is missing, and a byte to either side something is.
        assert!((is_cut_off(end - 1) && is_cut_off(end + 1)) || is_cut_off(end), "at {end}");
        std::fs::write(&capture.0, &whole[..end]).unwrap();
        let (report, _) = replay(&capture);
        assert_eq!((report.first_different, report.equal + report.unknown), (None, report.frames));
        in_flight += report.unknown;
    }
    assert!(in_flight > 0, "nowhere between a frame's beginning and its end");
}

#[test]
fn what_is_no_capture_is_refused_by_name() {
    let refused = |bytes: &[u8]| {
        let file = Captured(path("refused"));
        std::fs::write(&file.0, bytes).unwrap();
        match Replay::open(&file.0) {
            Ok(_) => panic!("{bytes:?} was taken"),
            Err(error) => error.to_string(),
        }
    };
    assert!(refused(b"glTF\x02\0\0\0and so on").contains("begins with \"glTF"));
    assert!(refused(b"").contains("no capture"));
    assert!(refused(b"RAYLOOMC\x07\0\0\0").contains("version 7"));
    assert!(refused(b"RAYLOOMC\x03\0\0\0").contains("no whole record"));
    let error = Replay::open(&path("nowhere")).err().unwrap().to_string();
    assert!(error.contains("nowhere") && error.contains("No such file"), "{error}");
}

#[test]
fn a_capture_that_can_t_be_written_is_an_error_at_once() {
    let desc = SessionDesc { capture: Some("/proc/nowhere/x".into()), ..SessionDesc::default() };
    let error = Session::new(desc).err().unwrap().to_string();
    assert!(error.contains("/proc/nowhere/x"), "{error}");
    for (place, word) in [("/dev/null", "no regular file"), ("/tmp", "no regular file")] {
        let desc = SessionDesc { capture: Some(place.into()), ..SessionDesc::default() };
        let error = Session::new(desc).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
    let capture = Captured(path("twice"));
    let first = session(&capture);
    let desc = SessionDesc { capture: Some(capture.0.clone()), ..SessionDesc::default() };
    let error = Session::new(desc).err().unwrap().to_string();
    assert!(error.contains("another session"), "{error}");
    drop(first);
}
