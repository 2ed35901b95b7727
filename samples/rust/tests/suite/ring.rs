//! Frames come out of the ring in order, frames later, and a slot waits for its planes to be given back.

use crate::small_scenes::{assert_clean, camera, cluttered, engine};
use raster::{FrameDesc, PlaneKind, RING_SLOTS, RasterEngine, RasterError, RasterOptions};
use rayloom_scene::{Camera, Scene};

fn frame(id: u64) -> FrameDesc<'static> {
    let mut camera: Camera = camera(1.5);
    camera.position.x += id as f32 * 0.3;
    FrameDesc::still(id, camera)
}

/// A digest of all planes, fast and simple: FNV-1a.
fn digest(planes: &raster::ReadyPlanes) -> u64 {
    let bytes = planes.planes().flat_map(|p| {
        p.bytes.chunks(p.row_pitch).flat_map(move |row| &row[..p.width as usize * p.format.bytes_per_pixel()])
    });
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn planes_stay_as_they_are_until_they_are_dropped() {
    let mut engine = engine(75, 51, &cluttered());
    let alone: Vec<u64> = (0..6)
        .map(|id| {
            engine.draw(&frame(id)).expect("the ring is empty");
            digest(&engine.wait().expect("it finishes").expect("one is under way"))
        })
        .collect();
    assert!(alone.windows(2).all(|w| w[0] != w[1]), "the camera moves");

    for id in 0..RING_SLOTS as u64 {
        engine.draw(&frame(id)).expect("there is a slot for each");
    }
    let full = engine.draw(&frame(9));
    assert!(matches!(full, Err(RasterError::RingFull { slots: RING_SLOTS })), "all are under way");
    let first = engine.wait().expect("it finishes").expect("three are under way");
    assert_eq!(first.frame_id(), 0);
    assert!(matches!(engine.draw(&frame(9)), Err(RasterError::RingFull { .. })), "it is on loan");
    let second_owner = first.clone();
    drop(first);
    assert!(matches!(engine.draw(&frame(9)), Err(RasterError::RingFull { .. })), "somebody still reads it");
    assert_eq!(digest(&second_owner), alone[0]);
    drop(second_owner);
    engine.draw(&frame(3)).expect("its slot is free");

    let held = engine.wait().expect("it finishes").expect("frame 1");
    for id in 2..6 {
        let planes = engine.wait().expect("it finishes").expect("one is under way");
        assert_eq!((planes.frame_id(), digest(&planes)), (id, alone[id as usize]));
        drop(planes);
        if id < 5 {
            engine.draw(&frame(id + 2)).expect("its slot is free");
        }
    }
    assert_eq!((held.frame_id(), digest(&held)), (1, alone[1]), "drawing on did not touch it");
    while engine.wait().expect("they finish").is_some() {}
    assert!(engine.poll().expect("the device works").is_none());
    assert_clean(&engine);
    drop(engine);
    assert_eq!(digest(&held), alone[1], "planes outlive the engine");
}

#[test]
fn polling_never_waits_and_finds_the_frame_in_the_end() {
    let mut engine = engine(75, 51, &cluttered());
    assert!(engine.poll().expect("the device works").is_none());
    engine.draw(&frame(7)).expect("the ring is empty");
    let planes = loop {
        if let Some(planes) = engine.poll().expect("the device works") {
            break planes;
        }
        std::thread::yield_now();
    };
    assert_eq!(planes.frame_id(), 7);
    let depth = planes.plane(PlaneKind::Depth);
    assert_eq!((depth.width, depth.height, depth.row_pitch), (75, 51, 512));
    assert_eq!(depth.bytes.len(), 512 * 51);
}

#[test]
fn another_scene_takes_the_place_of_the_one_before() {
    let mut engine = engine(32, 32, &cluttered());
    engine.draw(&frame(1)).expect("the ring is empty");
    engine.load(&Scene::default()).expect("an empty scene is a scene");
    engine.draw(&frame(2)).expect("there is room");
    let first = engine.wait().expect("it finishes").expect("the first");
    let second = engine.wait().expect("it finishes").expect("the second");
    let hits = |planes: &raster::ReadyPlanes| {
        let ids = planes.plane(PlaneKind::InstanceId);
        (0..32 * 32).filter(|i| ids.word(i % 32, i / 32) != 0).count()
    };
    assert!(hits(&first) > 500 && hits(&second) == 0);
    assert_clean(&engine);
}

#[test]
fn impossible_wishes_are_refused_by_name() {
    let none = RasterEngine::new(&RasterOptions { device: Some("abacus".into()), ..RasterOptions::new(8, 8) });
    assert!(none.err().expect("there is no such device").to_string().contains("abacus"));
    let none = RasterEngine::new(&RasterOptions::new(0, 8));
    assert!(none.err().expect("it is empty").to_string().contains("0x8"));
    let mut fresh = RasterEngine::new(&RasterOptions::new(8, 8)).expect("there is a device");
    assert!(matches!(fresh.draw(&frame(1)), Err(RasterError::NoScene)));
    let mut broken = cluttered();
    broken.instances[1].mesh = 99;
    assert!(matches!(fresh.load(&broken), Err(RasterError::Scene(_))));
    fresh.load(&cluttered()).expect("the scene is valid");
    let nan = glam::Affine3A::from_translation(glam::Vec3::NAN);
    for transforms in [[(0, nan)], [(999, glam::Affine3A::IDENTITY)]] {
        let wrong = FrameDesc { transforms: &transforms, ..frame(1) };
        assert!(matches!(fresh.draw(&wrong), Err(RasterError::InvalidFrame { frame_id: 1, .. })));
    }
    let strange = [rayloom_scene::Pose::default()];
    let rigid = FrameDesc { poses: &strange, ..frame(3) };
    assert!(fresh.draw(&rigid).expect_err("it keeps its shape").to_string().contains("pose of instance 0"));
    let mut lost = frame(4);
    lost.camera.position.x = f32::INFINITY;
    assert!(fresh.draw(&lost).expect_err("it is nowhere").to_string().contains("frame 4"));
}
