//! What nothing is known of is traced by the embedded peer while another one keeps everybody waiting.

use crate::embedded::{PATIENCE, SIZE, first_fresh, session, square, view_desc};
use crate::gbuffer::planes_of;
use crate::served::Served;
use glam::Vec3;
use rayloom::frame::metrics::psnr_rgba8;
use rayloom::scene::Camera;
use rayloom::{Accumulation, FrameDesc, Output, Plane, ToneMap, ViewDesc, ViewHandle, ViewMode};
use rayloom_peer::ServiceConfig;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Nothing passes until it is opened.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    changed: Condvar,
}

/// Opens it however a test ends: whoever stands before it would keep the peer from ending.
struct Opens(Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        *self.0.is_open.lock().unwrap() = true;
        self.0.changed.notify_all();
    }
}

impl Gate {
    fn pass(&self) {
        drop(self.changed.wait_while(self.is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
    }
}

/// A frame, with the planes of the engine's raster where the view wants them.
fn show(view: &ViewHandle, frame_id: u64, revision: u64, planes: Option<&[Plane]>) -> Arc<Output> {
    let camera = Camera::with_fov(0.9, SIZE.width as f32 / SIZE.height as f32);
    let desc = FrameDesc { tone_map: ToneMap::Linear, ..FrameDesc::new(frame_id, revision, camera) };
    match planes {
        Some(planes) => view.open_frame(desc).unwrap().submit(planes.to_vec()).unwrap(),
        None => view.begin_frame(desc).unwrap(),
    }
    view.acquire(frame_id, PATIENCE).unwrap()
}

/// Frames until nothing is unknown, of a session whose only other peer does not answer: the last one, and how many pixels were filled.
fn wait_for_light(planes: Option<&[Plane]>) -> (Arc<Output>, u64) {
    let gate = Arc::new(Gate::default());
    let peer = Served::around(ServiceConfig::default(), {
        let gate = Arc::clone(&gate);
        move |_, trace| {
            gate.pass();
            trace()
        }
    });
    let opens = Opens(gate);
    let (session, _scene, revision) = peer.with_standby();
    // The embedded peer's first tile takes longer than any other.
    let local = session.create_view(view_desc((1, 1))).unwrap();
    local.set_mode(ViewMode::Local).unwrap();
    first_fresh(&local, revision, 0);
    drop(local);
    let (accumulation, fill_budget) = (Accumulation::Frames(8), Duration::from_secs(1));
    let mut desc = ViewDesc { accumulation, fill_budget, gbuffer: planes.is_some(), ..view_desc((1, 1)) };
    desc.layers.iter_mut().for_each(|layer| layer.deadline = Duration::from_millis(100));
    let view = session.create_view(desc).unwrap();
    let give_up = Instant::now() + PATIENCE;
    let lit = (0..).find_map(|frame_id| {
        let output = show(&view, frame_id, revision, planes);
        assert!(Instant::now() < give_up, "some pixels stay unknown: {:?}", output.pixels_by_age);
        output.pixels_by_age.get(255).is_none().then_some(output)
    });
    drop(opens);
    (lit.unwrap(), view.stats().filled_pixels)
}

#[test]
fn a_view_whose_peer_does_not_answer_is_lit_part_by_part() {
    let truth = session();
    let scene = truth.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let revision = scene.commit().unwrap();
    let view = truth.create_view(view_desc((1, 1))).unwrap();
    let traced = first_fresh(&view, revision, 0);
    let planes = planes_of(traced.planes.as_ref().unwrap());
    for planes in [None, Some(&planes[..])] {
        let (output, filled) = wait_for_light(planes);
        assert!(filled > 0, "nothing was filled: {:?}, {} fresh", output.pixels_by_age, output.fresh);
        let psnr = psnr_rgba8(&output.color, &traced.color);
        assert!(psnr > 25.0, "planes {}: {psnr:.1} dB", planes.is_some());
    }
}
