//! Layers that are due later than the frame: it goes out without waiting for them, and shows them as they were a moment ago.

use crate::embedded::{PATIENCE, SIZE, event, square};
use crate::lies::camera;
use crate::served::Served;
use glam::Vec3;
use rayloom::frame::LayerKind;
use rayloom::frame::merge::LATE_FRAMES;
use rayloom::{Embedded, Event, FrameDesc, Output, Session, SessionDesc, ViewDesc};
use rayloom_peer::ServiceConfig;
use std::time::Duration;

/// What is due first, what a device takes for indirect light, and what is due last.
const FIRST: Duration = Duration::from_millis(1000);
const INDIRECT_TAKES: Duration = Duration::from_millis(1300);
const LAST: Duration = Duration::from_secs(30);

/// With a device to which indirect light is dear.
fn slow_peer() -> Served {
    Served::around(ServiceConfig::default(), |frame, trace| {
        if frame.layers.iter().any(|layer| layer.kind == LayerKind::Indirect) {
            std::thread::sleep(INDIRECT_TAKES);
        }
        trace()
    })
}

fn age(output: &Output, wanted: LayerKind) -> (u8, f32) {
    let age = output.layer_ages.iter().find(|(kind, _)| *kind == wanted).unwrap().1;
    (age.oldest, age.mean)
}

fn light(output: &Output, wanted: LayerKind) -> f32 {
    let layers = &output.planes.as_ref().unwrap().layers;
    let pixels = &layers.iter().find(|(kind, _)| *kind == wanted).unwrap().1;
    let sum: f32 = pixels.iter().flat_map(|p| &p[..3]).map(|bits| half::f16::from_bits(*bits).to_f32()).sum();
    sum / pixels.len() as f32
}

#[test]
fn what_is_due_later_holds_up_no_frame_and_is_shown_with_its_age() {
    let peer = slow_peer();
    let desc = SessionDesc { peers: vec![peer.address()], embedded: Embedded::Never, ..SessionDesc::default() };
    let session = Session::new(desc).unwrap();
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let revision = scene.commit().unwrap();
    event(&session, |event| matches!(event, Event::SceneReady { .. }).then_some(()));
    let mut desc = ViewDesc { output_planes: true, ..ViewDesc::new(SIZE) };
    for layer in &mut desc.layers {
        layer.deadline = if layer.request.kind == LayerKind::Indirect { LAST } else { FIRST };
    }
    let view = session.create_view(desc).unwrap();
    let mut before = 0.0;
    let seen = (0..600).find(|frame_id| {
        view.begin_frame(FrameDesc::new(*frame_id, revision, camera(*frame_id))).unwrap();
        let output = view.acquire(*frame_id, PATIENCE).unwrap();
        let (direct, indirect) = (age(&output, LayerKind::Direct), age(&output, LayerKind::Indirect));
        // The first frame is traced whole, as nobody knows yet how long that takes.
        if direct.0 == 0 && indirect.0 == 0 {
            before = light(&output, LayerKind::Indirect);
        }
        // Of a later frame than the first: indirect light has come since, late, and was warped to where its surfaces are now.
        direct.0 == 0 && indirect.1 > 0.0 && usize::from(indirect.0) <= LATE_FRAMES && *frame_id > 12
    });
    let frame_id = seen.expect("a frame that is whole but for indirect light, which is a few frames old");
    view.begin_frame(FrameDesc::new(frame_id + 1, revision, camera(frame_id + 1))).unwrap();
    let after = light(&view.acquire(frame_id + 1, PATIENCE).unwrap(), LayerKind::Indirect);
    assert!(before > 0.0 && (after / before - 1.0).abs() < 0.2, "{before} at first, {after} later");
}
