//! Which camera comes next: several models guess, the truth scores each when it comes, the best one's guess is used.
//!
//! **A guess is always a usable camera**, whatever was observed: what can't be extrapolated is held. No clock in here: frames
//! bring their times, and where they don't, each is a step after the one before. The same observations give the same guesses.

mod models;
mod pixels;

pub use models::CameraModel;
pub use pixels::displacement_px;

use crate::camera::models::{MODELS, Sample, guess};
use rayloom_frame::Extent;
use rayloom_scene::Camera;
use std::collections::VecDeque;

/// The most frames ahead that cameras are predicted for.
pub const MAX_AHEAD: u8 = 3;

/// Observed cameras that models look at.
const HISTORY: usize = 8;
/// What an error still counts of what it counted a frame before: the last dozen frames decide.
const KEPT: f64 = 0.92;
/// A model's error counts for at most this share of the view's height: one jerk, which none could foresee, decides nothing.
const MOST: f32 = 1.0 / 8.0;
/// A step this much longer than those before it was a pause: nothing is known of how the camera moves after it.
const PAUSE: f64 = 8.0;
/// Displacement of this share of the view's height in one step is a jump, whether or not the frame says that it cuts.
const JUMP: f32 = 0.5;
/// A guess whose pixels lie farther from the truth than this share of the view's height is of no use: too much of the view was not traced
/// for it, and what is beside it is better traced again.
const FARTHEST: f32 = 1.0 / 16.0;
/// Errors of guesses that the median is of.
const REMEMBERED: usize = 64;

/// A camera as it came.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// The camera.
    pub camera: Camera,
    /// When, in nanoseconds of any clock; where it does not grow from frame to frame all frames count as equally far apart.
    pub time_ns: u64,
    /// Nothing of the frame before is to be seen in this one: how the camera moved before says nothing of how it goes on.
    pub cut: bool,
    /// How far away things are, in metres along the view axis: what errors are measured at.
    pub depth_m: f32,
    /// What the engine says the camera will be so many frames later.
    pub told: Option<Camera>,
}

/// A camera that was predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// The camera.
    pub camera: Camera,
    /// Whose guess it is.
    pub model: CameraModel,
}

/// How far guesses were off, in pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CameraErrors {
    /// Of the last guess that was given.
    pub last_px: f32,
    /// Median of the last 64 guesses that were given.
    pub median_px: f32,
    /// Mean of each model of late, whether or not its guess was given; none of a model that was never scored.
    pub of_models_px: [Option<f32>; CameraModel::ALL.len()],
}

/// Whether what was traced from a guess can be warped to where the camera is, in a view of this size; see [`displacement_px`].
pub fn is_near(truth: &Camera, guess: &Camera, extent: Extent, depth_m: f32) -> bool {
    displacement_px(truth, guess, extent, depth_m) <= FARTHEST * extent.height as f32
}

/// Predicts the cameras of a view, a fixed number of frames ahead.
#[derive(Clone, Debug)]
pub struct CameraPredictor {
    ahead: u8,
    extent: Extent,
    history: VecDeque<Sample>,
    last_ns: Option<u64>,
    /// What was guessed for the next frames, the next one first.
    pending: VecDeque<Option<Pending>>,
    scores: [Score; CameraModel::ALL.len()],
    last_px: f32,
    /// Of guesses that were given, the newest last.
    errors_px: VecDeque<f32>,
}

#[derive(Clone, Debug)]
struct Pending {
    guesses: [Option<Camera>; CameraModel::ALL.len()],
    given: CameraModel,
}

/// A mean that forgets.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    sum: f64,
    weight: f64,
}

impl Score {
    fn note(&mut self, error: f32) {
        self.sum = self.sum * KEPT + f64::from(error);
        self.weight = self.weight * KEPT + 1.0;
    }

    fn mean(&self) -> Option<f32> {
        (self.weight > 0.0).then(|| (self.sum / self.weight) as f32)
    }
}

impl CameraPredictor {
    /// For a view of this size; `ahead` frames, 1 to [`MAX_AHEAD`] (what is beyond counts as the nearest).
    pub fn new(ahead: u8, extent: Extent) -> CameraPredictor {
        let ahead = ahead.clamp(1, MAX_AHEAD);
        CameraPredictor {
            ahead,
            extent,
            history: VecDeque::new(),
            last_ns: None,
            pending: (0..ahead).map(|_| None).collect(),
            scores: Default::default(),
            last_px: 0.0,
            errors_px: VecDeque::new(),
        }
    }

    /// A frame's camera has come: scores what was guessed for it, and guesses the one that is `ahead` frames later.
    pub fn observe(&mut self, observed: &Observation) -> Guess {
        let Observation { camera, time_ns, depth_m, .. } = *observed;
        let due = self.pending.pop_front().flatten();
        let step_s = self.last_ns.replace(time_ns).and_then(|last| time_ns.checked_sub(last)).filter(|step| *step > 0);
        let step_s = step_s.map(|ns| ns as f64 / 1e9);
        // Guesses of before a cut are no model's fault.
        if observed.cut || !camera.is_valid() || self.jumped(&camera, depth_m) || self.paused(step_s) {
            self.history.clear();
            self.pending.iter_mut().for_each(|pending| *pending = None);
        } else if let Some(due) = due {
            self.score(&due, &camera, depth_m);
        }
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        if camera.is_valid() {
            self.history.push_back(Sample { camera, step_s: step_s.filter(|_| !self.history.is_empty()) });
        }
        self.foretell(&camera, observed.told)
    }

    /// How far guesses were off.
    pub fn errors(&self) -> CameraErrors {
        let mut sorted: Vec<f32> = self.errors_px.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        CameraErrors {
            last_px: self.last_px,
            median_px: sorted.get(sorted.len() / 2).copied().unwrap_or(0.0),
            of_models_px: self.scores.map(|score| score.mean()),
        }
    }

    fn displacement_px(&self, truth: &Camera, guess: &Camera, depth_m: f32) -> f32 {
        displacement_px(truth, guess, self.extent, depth_m)
    }

    fn jumped(&self, camera: &Camera, depth_m: f32) -> bool {
        let Some(last) = self.history.back() else { return false };
        let most = JUMP * self.extent.height as f32;
        if self.displacement_px(camera, &last.camera, depth_m) <= most {
            return false;
        }
        // Who turns as fast as that all the time does not jump.
        let next = guess(CameraModel::Velocity, &self.history, 1);
        self.displacement_px(camera, &next, depth_m) > most
    }

    fn paused(&self, step_s: Option<f64>) -> bool {
        let known = self.history.iter().filter_map(|sample| sample.step_s);
        let (sum, count) = known.fold((0.0, 0), |(sum, count), step| (sum + step, count + 1));
        count > 1 && step_s.is_some_and(|step| step > PAUSE * sum / f64::from(count))
    }

    fn score(&mut self, due: &Pending, truth: &Camera, depth_m: f32) {
        let most = MOST * self.extent.height as f32;
        for (model, guess) in CameraModel::ALL.into_iter().zip(&due.guesses) {
            let Some(guess) = guess else { continue };
            let error = displacement_px(truth, guess, self.extent, depth_m);
            self.scores[model as usize].note(error.min(most));
            if model == due.given {
                self.last_px = error;
                if self.errors_px.len() == REMEMBERED {
                    self.errors_px.pop_front();
                }
                self.errors_px.push_back(error);
            }
        }
    }

    fn foretell(&mut self, camera: &Camera, told: Option<Camera>) -> Guess {
        let mut guesses = [None; CameraModel::ALL.len()];
        for model in MODELS.into_iter().filter(|_| !self.history.is_empty()) {
            guesses[model as usize] = Some(guess(model, &self.history, self.ahead));
        }
        guesses[CameraModel::Engine as usize] = told.filter(Camera::is_valid);
        // The first of equals is the simplest.
        let scored = MODELS.into_iter().filter_map(|model| Some((model, self.scores[model as usize].mean()?)));
        let best = scored.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(CameraModel::Hold, |(model, _)| model);
        let given = if guesses[CameraModel::Engine as usize].is_some() { CameraModel::Engine } else { best };
        let guess = Guess { camera: guesses[given as usize].unwrap_or(*camera), model: given };
        self.pending.push_back(Some(Pending { guesses, given }));
        guess
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::{Quat, Vec3};
    use proptest::prelude::*;

    const EXTENT: Extent = Extent::new(320, 180);

    fn camera(position: Vec3, yaw: f32) -> Camera {
        Camera { position, rotation: Quat::from_rotation_y(yaw), ..Camera::with_fov(1.0, 16.0 / 9.0) }
    }

    fn seen(camera: Camera) -> Observation {
        Observation { camera, time_ns: 0, cut: false, depth_m: 8.0, told: None }
    }

    /// The last guess after so many frames of a course.
    fn after(predictor: &mut CameraPredictor, frames: u32, course: impl Fn(u32) -> Camera) -> Guess {
        (0..frames).map(|frame| predictor.observe(&seen(course(frame)))).last().unwrap()
    }

    #[test]
    fn a_turn_at_constant_speed_is_foreseen() {
        for ahead in 1..=MAX_AHEAD {
            let mut predictor = CameraPredictor::new(ahead, EXTENT);
            let course = |frame: u32| camera(Vec3::X * 0.05 * frame as f32, 0.02 * frame as f32);
            let guess = after(&mut predictor, 20, course);
            let error = predictor.displacement_px(&course(19 + u32::from(ahead)), &guess.camera, 8.0);
            assert!(error < 0.05, "{ahead} ahead: {error} px by {:?}", guess.model);
            assert_ne!(guess.model, CameraModel::Hold);
            assert!(predictor.errors().last_px < 0.05, "{:?}", predictor.errors());
        }
    }

    #[test]
    fn noise_around_a_place_is_not_extrapolated() {
        let mut predictor = CameraPredictor::new(3, EXTENT);
        let noise = |frame: u32, salt: u32| {
            let hash = (frame * 7 + salt).wrapping_mul(0x9e37_79b1);
            ((hash ^ hash >> 15).wrapping_mul(0x2c1b_3c6d) >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let course =
            |frame: u32| camera(Vec3::new(noise(frame, 1), noise(frame, 2), 0.0) * 0.05, noise(frame, 3) * 0.01);
        let guess = after(&mut predictor, 60, course);
        assert!(matches!(guess.model, CameraModel::Hold | CameraModel::Fit), "{guess:?}, {:?}", predictor.errors());
    }

    #[test]
    fn after_a_cut_a_jump_or_a_pause_the_camera_is_held() {
        let course = |frame: u32| camera(Vec3::X * 0.05 * frame as f32, 0.02 * frame as f32);
        let elsewhere = camera(Vec3::new(900.0, -4.0, 3.0), 2.0);
        let held = |change: &dyn Fn(&mut Observation)| {
            let mut predictor = CameraPredictor::new(2, EXTENT);
            for frame in 0..20 {
                predictor.observe(&Observation { time_ns: 1 + u64::from(frame) * 16_000_000, ..seen(course(frame)) });
            }
            let before = predictor.errors();
            let mut next = Observation { time_ns: 1 + 20 * 16_000_000, ..seen(course(20)) };
            change(&mut next);
            let guess = predictor.observe(&next);
            let is_held = guess.camera == next.camera;
            assert_eq!(is_held, predictor.errors() == before, "nobody is to blame for what could not be foreseen");
            is_held
        };
        assert!(!held(&|_| ()));
        assert!(held(&|next| next.cut = true));
        assert!(held(&|next| next.camera = elsewhere));
        assert!(held(&|next| next.time_ns += 1_000_000_000));
    }

    #[test]
    fn uneven_frame_times_are_taken_into_account() {
        let mut predictor = CameraPredictor::new(1, EXTENT);
        // 60 frames a second of which every third takes twice as long; one metre a second.
        let times: Vec<u64> = (1..60)
            .scan(0, |at, frame| {
                *at += if frame % 3 == 0 { 32 } else { 16 };
                Some(*at)
            })
            .collect();
        for ms in &times {
            predictor
                .observe(&Observation { time_ns: ms * 1_000_000, ..seen(camera(Vec3::X * *ms as f32 * 1e-3, 0.0)) });
        }
        let mut stepwise = CameraPredictor::new(1, EXTENT);
        for ms in &times {
            stepwise.observe(&seen(camera(Vec3::X * *ms as f32 * 1e-3, 0.0)));
        }
        let velocity =
            |predictor: &CameraPredictor| predictor.errors().of_models_px[CameraModel::Velocity as usize].unwrap();
        assert!(velocity(&predictor) < velocity(&stepwise), "{:?}, {:?}", predictor.errors(), stepwise.errors());
    }

    #[test]
    fn what_the_engine_says_beats_the_models_and_is_scored_beside_them() {
        let mut predictor = CameraPredictor::new(1, EXTENT);
        let course = |frame: u32| camera(Vec3::X * (frame as f32 * 0.3).sin(), 0.0);
        for frame in 0..40 {
            let told = course(frame + 1);
            let guess = predictor.observe(&Observation { told: Some(told), ..seen(course(frame)) });
            assert_eq!((guess.model, guess.camera), (CameraModel::Engine, told));
        }
        let errors = predictor.errors();
        assert!(
            errors.median_px < 0.01 && errors.of_models_px[CameraModel::Hold as usize].unwrap() > 1.0,
            "{errors:?}"
        );
    }

    fn any_number() -> impl Strategy<Value = f32> {
        prop_oneof![
            4 => -10.0_f32..10.0,
            1 => proptest::num::f32::ANY,
            1 => Just(f32::NAN),
            1 => Just(f32::INFINITY),
            1 => Just(f32::MAX),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn constant_motion_is_foreseen_exactly(
            step in prop::array::uniform3(-0.1_f32..0.1),
            turn in prop::array::uniform3(-0.03_f32..0.03),
            ahead in 1_u8..=3,
        ) {
            let (step, turn) = (Vec3::from(step), Vec3::from(turn));
            let course = |frame: u32| {
                let position = step * frame as f32;
                let rotation = Quat::from_scaled_axis(turn * frame as f32);
                Camera { position, rotation, ..Camera::with_fov(1.0, 16.0 / 9.0) }
            };
            let mut predictor = CameraPredictor::new(ahead, EXTENT);
            let guess = after(&mut predictor, 24, course);
            let error = predictor.displacement_px(&course(23 + u32::from(ahead)), &guess.camera, 8.0);
            prop_assert!(error < 0.1, "{error} px by {:?}: {:?}", guess.model, predictor.errors());
        }

        #[test]
        fn guesses_are_usable_cameras_whatever_comes(
            numbers in prop::collection::vec((prop::array::uniform3(any_number()), prop::array::uniform3(any_number()), any_number()), 1..24),
            times in prop::collection::vec(any::<u64>(), 24),
            depth_m in any_number(),
            ahead: u8,
        ) {
            let mut predictor = CameraPredictor::new(ahead, EXTENT);
            let mut twin = predictor.clone();
            for ((position, turn, fov), time_ns) in numbers.into_iter().zip(times) {
                let rotation = Quat::from_scaled_axis(Vec3::from(turn));
                let mut camera = Camera { position: Vec3::from(position), rotation, ..Camera::with_fov(1.0, 1.0) };
                camera.tan_half_fov.x = fov;
                let observed = Observation { camera, time_ns, cut: false, depth_m, told: Some(camera) };
                let guess = predictor.observe(&observed);
                prop_assert!(guess.camera.is_valid() || !camera.is_valid(), "{guess:?} after {camera:?}");
                let errors = predictor.errors();
                prop_assert!(errors.last_px.is_finite() && errors.median_px.is_finite(), "{errors:?}");
                prop_assert_eq!(format!("{guess:?}"), format!("{:?}", twin.observe(&observed)));
            }
        }
    }
}
