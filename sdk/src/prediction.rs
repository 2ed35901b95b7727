//! What a view foresees of its next frames: cameras by the coordinator's models, time by the frames that came.

use crate::config::{CameraModel, FrameDesc, ViewDesc};
use crate::pipeline::{Begun, Foreseen};
use crate::stats::PredictionStats;
use rayloom_coordinator::{CameraPredictor, Observation};
use std::time::Duration;

/// What a frame is taken to last before the second one began.
const USUAL: Duration = Duration::from_millis(33);
/// One frame that takes longer says nothing of how long they last.
const LONGEST: Duration = Duration::from_secs(1);

/// See the file's head.
pub(crate) struct Prediction {
    frames_ahead: u8,
    cameras: CameraPredictor,
    last_begun_ns: Option<u64>,
    /// What frames last, of late.
    interval: Duration,
    model: CameraModel,
    predicted_frames: u64,
    missed_frames: u64,
    cuts: u64,
}

impl Prediction {
    /// For a view that asks for it.
    pub(crate) fn new(view: &ViewDesc) -> Prediction {
        Prediction {
            frames_ahead: view.frames_ahead,
            cameras: CameraPredictor::new(view.frames_ahead, view.size),
            last_begun_ns: None,
            interval: USUAL,
            model: CameraModel::default(),
            predicted_frames: 0,
            missed_frames: 0,
            cuts: 0,
        }
    }

    /// A frame begins, of things so far away; what is to be asked ahead with it.
    pub(crate) fn observe(&mut self, desc: &FrameDesc, begun_ns: u64, depth_m: f32) -> Foreseen {
        if let Some(last) = self.last_begun_ns.replace(begun_ns) {
            let lasted = Duration::from_nanos(begun_ns.saturating_sub(last)).min(LONGEST);
            self.interval = self.interval * 7 / 8 + lasted / 8;
        }
        let FrameDesc { camera, time_ns, cut, predicted_camera: told, .. } = *desc;
        let guess = self.cameras.observe(&Observation { camera, time_ns, cut, depth_m, told });
        self.model = guess.model;
        let frames = self.frames_ahead;
        Foreseen { camera: guess.camera, frames, after: self.interval * u32::from(frames) }
    }

    /// How it was begun.
    pub(crate) fn note(&mut self, begun: Begun, cut: bool) {
        self.predicted_frames += u64::from(begun == Begun::AsForeseen);
        self.missed_frames += u64::from(begun == Begun::Anew);
        self.cuts += u64::from(cut);
    }

    pub(crate) fn stats(&self) -> PredictionStats {
        let Prediction { predicted_frames, missed_frames, cuts, model, .. } = *self;
        PredictionStats { predicted_frames, missed_frames, cuts, model, errors: self.cameras.errors() }
    }
}
