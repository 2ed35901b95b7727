//! What frames are worth that are traced 1, 2 and 3 frames ahead, from cameras that are predicted: against many samples at the true
//! camera, along a course of turns that speed up and slow down; and how far each model's predictions are off.

use super::{Bench, FPS, HISTORY, LATE, STEP, crop, picture, request, tiles};
use crate::report::Report;
use glam::{Quat, Vec3};
use rayloom_coordinator::{CameraModel, CameraPredictor, Guess, MAX_AHEAD, Observation};
use rayloom_frame::LayerKind;
use rayloom_frame::filter::Filter;
use rayloom_frame::merge::{FrameInputs, MergeMode, Merger, Predicted};
use rayloom_frame::metrics::psnr_rgba8;
use rayloom_scene::Camera;
use std::collections::VecDeque;

/// Frames before those that count: history fills, models learn.
const WARM_UP: u64 = 16;
/// Frames that count.
const SHOWN: u64 = 6;
/// Frames of which cameras alone are predicted.
const CAMERAS: u64 = 600;
/// What errors are measured at: about what the city shows half of beyond.
const DEPTH_M: f32 = 12.0;
/// Degrees and seconds of turns to and fro, together up to 230 degrees a second; the walk is up to 1.2 m/s, and stops now and then.
const TURNS: [(f32, f32); 3] = [(22.0, 1.5), (9.0, 0.7), (3.0, 0.31)];

/// Adds what was found to the report.
pub(super) fn measure(bench: &mut Bench<'_>, report: &mut Report) -> Result<(), String> {
    report.number("ahead.psnr_in_time_db", bench.psnr_ahead(0)?);
    for ahead in 1..=MAX_AHEAD {
        report.number(format!("ahead.psnr_db.{ahead}"), bench.psnr_ahead(ahead)?);
        let mut predictor = CameraPredictor::new(ahead, bench.size);
        let (mut sum, mut of_models) = (0.0, [0.0; CameraModel::ALL.len()]);
        for frame_id in 0..CAMERAS {
            predictor.observe(&observation(bench.walk(frame_id)));
            let errors = predictor.errors();
            // Errors of models count for no more than this.
            sum += f64::from(errors.last_px.min(bench.size.height as f32 / 8.0));
            for (sum, error) in of_models.iter_mut().zip(errors.of_models_px) {
                *sum += f64::from(error.unwrap_or(0.0));
            }
        }
        report.number(format!("ahead.error_px.{ahead}"), sum / CAMERAS as f64);
        for (model, sum) in CameraModel::ALL.into_iter().zip(of_models).filter(|(m, _)| *m != CameraModel::Engine) {
            report.number(format!("ahead.error_px.{ahead}.{}", model.name()), sum / CAMERAS as f64);
        }
    }
    Ok(())
}

fn observation(camera: Camera) -> Observation {
    Observation { camera, time_ns: 0, cut: false, depth_m: DEPTH_M, told: None }
}

impl Bench<'_> {
    /// Walks through the city, looking around.
    fn walk(&self, frame_id: u64) -> Camera {
        let mut camera = self.start;
        let seconds = |frame: u64| frame as f32 / FPS;
        let yaw = |t: f32| {
            TURNS.iter().map(|(degrees, period)| degrees * (t * std::f32::consts::TAU / period).sin()).sum::<f32>()
        };
        // Step by step, since the direction changes on the way.
        for frame in 0..frame_id % 240 {
            let t = seconds(frame);
            let speed = 1.5 * (0.5 + 0.5 * (t * 1.3).sin()).min(0.8);
            let heading = Quat::from_rotation_y(yaw(t).to_radians() * 0.3) * camera.rotation;
            camera.position += heading * Vec3::new(0.0, 0.0, -speed / FPS);
        }
        let t = seconds(frame_id);
        let turn = Quat::from_rotation_y(yaw(t).to_radians());
        camera.rotation = turn * camera.rotation * Quat::from_rotation_x((4.0 * (t * 2.1).sin()).to_radians());
        camera
    }

    /// The tile in the middle, composed, of all frames that count, traced so many frames ahead.
    fn psnr_ahead(&mut self, ahead: u8) -> Result<f64, String> {
        let size = self.size;
        let tiles = tiles(size);
        let part = tiles[LATE].rect;
        let layers = LayerKind::REAL_TIME.map(|kind| request(kind, 1));
        let mut merger = Merger::new(size);
        merger.set_mode(MergeMode::Accumulate { max_history: HISTORY });
        let mut predictor = CameraPredictor::new(ahead, size);
        // What was guessed for the next frames, and the frame before each.
        let mut guesses: VecDeque<Option<(Guess, Camera)>> = (0..ahead).map(|_| None).collect();
        let mut last_guess = None;
        let (mut filter, mut shown, mut truth) = (Filter::default(), Vec::new(), Vec::new());
        for frame_id in 0..WARM_UP + SHOWN * STEP {
            let [camera, before] = [frame_id, frame_id.saturating_sub(1)].map(|id| self.walk(id));
            let guess = guesses.pop_front().flatten();
            let (traced_from, previous) = guess.map_or((camera, before), |(guess, before)| (guess.camera, before));
            if ahead > 0 {
                let next = predictor.observe(&observation(camera));
                let before = if ahead == 1 { camera } else { last_guess.unwrap_or(next.camera) };
                last_guess = Some(next.camera);
                guesses.push_back(Some((next, before)));
            }
            let traced = self.trace(traced_from, previous, frame_id, &layers, size.rect())?;
            let predicted = guess.map(|_| Predicted {
                frame_id,
                camera: traced_from,
                previous_camera: previous,
                pre_exposure: 1.0,
            });
            let inputs = FrameInputs::new(frame_id, camera, &layers, &tiles);
            let inputs = FrameInputs { previous_camera: before, predicted, ..inputs };
            merger.begin(inputs).map_err(|error| error.to_string())?;
            for (index, tile) in (0..).zip(&tiles) {
                let tile = crop(&traced, tile.rect, true);
                merger.add_tile(frame_id, index, 0, &tile).map_err(|error| error.to_string())?;
            }
            let frame = merger.finish().ok_or("no frame was begun")?;
            let of_part = picture(&filter.run(&frame), part, self.exposure);
            if frame_id >= WARM_UP && (frame_id - WARM_UP).is_multiple_of(STEP) {
                shown.extend(of_part);
                truth.extend_from_slice(&self.truth(camera, frame_id, part)?.picture);
            }
        }
        Ok(psnr_rgba8(&shown, &truth))
    }
}
