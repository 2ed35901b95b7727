//! Frames that are traced ahead, from cameras that are predicted: there at once where guesses are right, never lost where they are wrong.

use crate::embedded::{PATIENCE, SIZE, event, first_fresh, session, square};
use crate::served::Served;
use glam::{Quat, Vec3};
use rayloom::frame::metrics::psnr_rgba8;
use rayloom::scene::{Camera, Scene};
use rayloom::{
    Accumulation, CameraModel, Embedded, Error, Event, FrameDesc, Output, Session, SessionDesc, ViewDesc, ViewHandle,
};
use rayloom_peer::ServiceConfig;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

fn view_desc(frames_ahead: u8) -> ViewDesc {
    let mut desc = ViewDesc { frames_ahead, output_planes: true, ..ViewDesc::new(SIZE) };
    desc.layers.iter_mut().for_each(|layer| layer.deadline = Duration::from_secs(30));
    desc
}

/// Squares at different distances, so that there is something wherever the camera looks.
fn wall() -> Scene {
    let mut scene = square(Vec3::new(0.0, 0.0, -2.0));
    let one = scene.instances[0];
    scene.instances = (0..49_u32)
        .map(|i| {
            let (x, y) = ((i % 7) as f32 - 3.0, (i / 7) as f32 - 3.0);
            let transform = glam::Affine3A::from_translation(Vec3::new(x, y, -2.0 - 0.3 * ((i % 3) as f32)));
            rayloom::scene::Instance { transform, user_id: i.into(), ..one }
        })
        .collect();
    scene
}

/// Goes to the right and turns at constant speeds.
fn course(frame: u64) -> Camera {
    let frame = frame as f32;
    Camera {
        position: Vec3::new(0.01 * frame, 0.0, 0.0),
        rotation: Quat::from_rotation_y(-0.004 * frame),
        ..Camera::with_fov(0.9, SIZE.width as f32 / SIZE.height as f32)
    }
}

/// A view that is traced so many frames ahead and one that is not, and the first frame that neither has begun.
fn side_by_side(session: &Session, frames_ahead: u8, revision: u64) -> ([ViewHandle; 2], u64) {
    let views = [frames_ahead, 0].map(|n| session.create_view(view_desc(n)).unwrap());
    let begun = views.each_ref().map(|view| first_fresh(view, revision, 0).frame_id);
    (views, begun.into_iter().max().unwrap() + 1)
}

fn show(view: &ViewHandle, desc: FrameDesc) -> Arc<Output> {
    let frame_id = desc.frame_id;
    view.begin_frame(desc).unwrap();
    let output = view.acquire(frame_id, PATIENCE).unwrap();
    assert_eq!(output.frame_id, frame_id);
    output
}

#[test]
fn a_camera_that_is_foreseen_is_shown_as_if_it_had_been_known() {
    let session = session();
    let scene = session.create_scene();
    scene.replace(wall()).unwrap();
    let revision = scene.commit().unwrap();
    for frames_ahead in 1..=3 {
        let ([ahead, knowing], first) = side_by_side(&session, frames_ahead, revision);
        let (mut predicted, mut worst) = (0, f64::INFINITY);
        for frame in 0..24 {
            let desc = FrameDesc::new(first + frame, revision, course(frame));
            let [foreseen, known] = [&ahead, &knowing].map(|view| show(view, desc.clone()));
            assert!(!known.is_predicted && known.fresh == 1.0);
            assert_eq!(foreseen.camera, course(frame), "it is shown from where the camera is");
            predicted += u64::from(foreseen.is_predicted);
            if frame >= 8 {
                assert!(foreseen.fresh > 0.9, "frame {frame}, {frames_ahead} ahead: {}", foreseen.fresh);
                worst = worst.min(psnr_rgba8(&foreseen.color, &known.color));
            }
        }
        let prediction = ahead.stats().prediction;
        println!("{frames_ahead} ahead: {worst:.1} dB at worst, {prediction:?}");
        assert!(predicted >= 20, "{predicted} of 24 frames were");
        assert!(prediction.predicted_frames >= predicted);
        assert_ne!(prediction.model, CameraModel::Hold);
        assert!(prediction.errors.last_px < 0.1, "{prediction:?}");
        assert!(worst > 30.0, "{worst:.1} dB");
        assert_eq!(knowing.stats().prediction, Default::default());
    }
}

#[test]
fn what_the_engine_foretells_exactly_has_the_bits_of_what_is_traced_in_time() {
    let session = session();
    let scene = session.create_scene();
    scene.replace(wall()).unwrap();
    let revision = scene.commit().unwrap();
    let shown = |frames_ahead: u8| {
        let view = session.create_view(view_desc(frames_ahead)).unwrap();
        first_fresh(&view, revision, 0);
        (0..12)
            .map(|frame| {
                let desc = FrameDesc::new(1_000_000 + frame, revision, course(frame));
                let predicted_camera = Some(course(frame + u64::from(frames_ahead)));
                // The first frame shows nothing of what came before it.
                let output = show(&view, FrameDesc { predicted_camera, cut: frame == 0, ..desc });
                assert_eq!(output.is_predicted, frame >= u64::from(frames_ahead) && frames_ahead > 0, "frame {frame}");
                assert_eq!(output.fresh, 1.0);
                output
            })
            .collect::<Vec<_>>()
    };
    let known = shown(0);
    for frames_ahead in [1, 3] {
        for (known, foretold) in known.iter().zip(shown(frames_ahead)) {
            let [a, b] = [known, &foretold].map(|output| output.planes.as_ref().unwrap());
            let apart = psnr_rgba8(&known.color, &foretold.color);
            assert!(a.primary.depth == b.primary.depth && apart > 40.0, "{frames_ahead} ahead: {apart:.1} dB");
            // What is asked three frames ahead of a cut knows of no frame before it, and has no motion vectors.
            assert!(a.layers == b.layers || frames_ahead > 1, "frame {}", known.frame_id);
        }
    }
}

#[test]
fn jerks_and_jumps_cost_no_frame() {
    let session = session();
    let scene = session.create_scene();
    scene.replace(wall()).unwrap();
    let revision = scene.commit().unwrap();
    let ([ahead, knowing], first) = side_by_side(&session, 3, revision);
    let mut jumped = 0;
    let before = ahead.stats().prediction;
    for frame in 0..40_u64 {
        // Runs on, turns back at once every seventh frame, and looks elsewhere every tenth.
        let mut camera = course(frame % 7 * 4);
        camera.rotation = Quat::from_rotation_y(0.6 * (frame / 10) as f32) * camera.rotation;
        let desc = FrameDesc::new(first + frame, revision, camera);
        let [foreseen, known] = [&ahead, &knowing].map(|view| show(view, desc.clone()));
        assert_eq!(foreseen.camera, camera);
        jumped += u64::from(!foreseen.is_predicted);
        if !foreseen.is_predicted {
            assert_eq!((foreseen.fresh, known.fresh), (1.0, 1.0), "traced as without prediction");
        }
        let apart = psnr_rgba8(&foreseen.color, &known.color);
        assert!(apart > 20.0, "frame {frame}: {apart:.1} dB, predicted: {}", foreseen.is_predicted);
    }
    let prediction = ahead.stats().prediction;
    let missed = prediction.missed_frames - before.missed_frames;
    assert!(missed >= 3 && missed <= jumped && jumped < 40, "{prediction:?}, {jumped}");
    assert_eq!(ahead.stats().missing_tiles, 0);
}

#[test]
fn a_frame_that_cuts_is_as_without_prediction() {
    let session = session();
    let scene = session.create_scene();
    scene.replace(wall()).unwrap();
    let revision = scene.commit().unwrap();
    let ([ahead, knowing], first) = side_by_side(&session, 2, revision);
    for frame in 0..30 {
        let cut = frame % 6 == 5;
        let camera = if frame % 12 < 5 { course(frame) } else { course(200 + frame) };
        let desc = FrameDesc { cut, ..FrameDesc::new(first + frame, revision, camera) };
        let [foreseen, known] = [&ahead, &knowing].map(|view| show(view, desc.clone()));
        if cut {
            assert!(!foreseen.is_predicted && foreseen.planes == known.planes, "frame {frame}");
        }
    }
    let prediction = ahead.stats().prediction;
    assert_eq!(prediction.cuts, 5);
    assert!(prediction.missed_frames >= 5, "{prediction:?}");
}

/// A peer that answers what it is asked for with a frame only once the engine has begun the next one.
#[derive(Default)]
struct OneFrameLate {
    /// The frame that is asked for with the one that was begun last.
    asked: Mutex<u64>,
    changed: Condvar,
}

impl OneFrameLate {
    fn begins(&self, frame_id: u64, frames_ahead: u64) {
        *self.asked.lock().unwrap() = frame_id + frames_ahead;
        self.changed.notify_all();
    }

    fn wait_for_the_next(&self, frame_id: u64) {
        let asked = self.asked.lock().unwrap();
        drop(self.changed.wait_while(asked, |asked| *asked == frame_id).unwrap());
    }
}

#[test]
fn an_answer_that_takes_longer_than_its_frame_is_there_in_time_for_the_one_it_was_asked_ahead_for() {
    let late = Arc::new(OneFrameLate::default());
    let peer = Served::around(ServiceConfig::default(), {
        let late = Arc::clone(&late);
        move |frame, trace| {
            late.wait_for_the_next(frame.frame_id);
            trace()
        }
    });
    let desc = SessionDesc {
        peers: vec![peer.address()],
        embedded: Embedded::Never,
        lossless: true,
        ..SessionDesc::default()
    };
    let session = Session::new(desc).unwrap();
    let scene = session.create_scene();
    scene.replace(wall()).unwrap();
    let revision = scene.commit().unwrap();
    event(&session, |event| matches!(event, Event::SceneReady { .. }).then_some(()));
    let quality = |frames_ahead: u8, from: u64| {
        let mut desc = view_desc(frames_ahead);
        desc.layers.iter_mut().for_each(|layer| layer.deadline = Duration::from_millis(200));
        let view = session.create_view(desc).unwrap();
        let shown = (0..24).map(|frame| {
            late.begins(from + frame, u64::from(frames_ahead));
            show(&view, FrameDesc::new(from + frame, revision, course(4 * frame)))
        });
        let shown: Vec<_> = shown.collect();
        late.begins(u64::MAX, 0);
        shown
    };
    let shown = [(0, 1_000), (2, 2_000)].map(|(frames_ahead, from)| quality(frames_ahead, from));
    // The truth is traced with time to wait.
    let truth = session.create_view(view_desc(0)).unwrap();
    let mut db = [0.0; 2];
    for frame in 12..24 {
        let true_frame =
            show(&truth, FrameDesc { cut: true, ..FrameDesc::new(3_000 + frame, revision, course(4 * frame)) });
        for (db, shown) in db.iter_mut().zip(&shown) {
            *db += psnr_rgba8(&shown[frame as usize].color, &true_frame.color) / 12.0;
        }
    }
    let fresh = shown.each_ref().map(|shown| shown[12..].iter().map(|output| output.fresh).sum::<f32>() / 12.0);
    println!("without prediction {:.1} dB, {:.2} fresh; ahead {:.1} dB, {:.2} fresh", db[0], fresh[0], db[1], fresh[1]);
    assert_eq!(fresh[0], 0.0, "nothing is there in time");
    assert!(fresh[1] > 0.8, "{fresh:?}");
    assert!(db[1] > db[0] + 2.0, "{db:?}");
}

#[test]
fn what_can_t_be_predicted_is_refused() {
    let desc = SessionDesc { embedded: Embedded::Fallback, ..SessionDesc::default() };
    let session = Session::new(desc).unwrap();
    let refused = |desc: ViewDesc| match session.create_view(desc).err() {
        Some(Error::InvalidArgument(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(view_desc(4)), "frames_ahead is 4, allowed is 0 to 3");
    let text = refused(ViewDesc { gbuffer: true, ..view_desc(2) });
    assert!(text.starts_with("frames_ahead is 2: planes exist for the true camera alone"), "{text}");
    let text = refused(ViewDesc { accumulation: Accumulation::Off, ..view_desc(1) });
    assert!(text.starts_with("frames_ahead is 1") && text.contains("Accumulation::Frames"), "{text}");
    let scene = session.create_scene();
    scene.commit().unwrap();
    let view = session.create_view(view_desc(1)).unwrap();
    let nowhere = Camera { position: Vec3::splat(f32::NAN), ..course(0) };
    let desc = FrameDesc { predicted_camera: Some(nowhere), ..FrameDesc::new(5, 1, course(0)) };
    let text = view.begin_frame(desc).unwrap_err().to_string();
    assert!(text.contains("predicted camera of frame 5"), "{text}");
}
