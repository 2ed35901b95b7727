//! Ways in which cameras move on. All look at the last few cameras and their times; none at what is seen.

use glam::{Quat, Vec3};
use rayloom_scene::Camera;
use std::collections::VecDeque;

/// What [`CameraModel::Acceleration`] believes of the acceleration that it sees: players and engines ease out of it.
const DAMPING: f32 = 0.6;
/// Cameras that [`CameraModel::Fit`] lays its line through.
const FITTED: usize = 6;
/// No guess turns by more than this, in radians.
const MOST_TURN: f32 = 2.5;

/// Who guesses a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CameraModel {
    /// It stays where it is.
    #[default]
    Hold,
    /// It goes and turns on at the speeds of its last step, each for itself.
    Velocity,
    /// As `Velocity`, but the direction in which it goes turns with it: walking or driving around a corner.
    Arc,
    /// Both speeds go on changing as they did in the last two steps, a little less so.
    Acceleration,
    /// It goes on along a line through the last six cameras: input with noise.
    Fit,
    /// The engine says so.
    Engine,
}

/// The models in the order in which the first of equally good ones is taken.
pub(super) const MODELS: [CameraModel; 5] =
    [CameraModel::Hold, CameraModel::Velocity, CameraModel::Arc, CameraModel::Acceleration, CameraModel::Fit];

impl CameraModel {
    /// All of them; each one's place is its number.
    pub const ALL: [CameraModel; 6] = [
        CameraModel::Hold,
        CameraModel::Velocity,
        CameraModel::Arc,
        CameraModel::Acceleration,
        CameraModel::Fit,
        CameraModel::Engine,
    ];

    /// Its name in figures and texts.
    pub const fn name(self) -> &'static str {
        match self {
            CameraModel::Hold => "hold",
            CameraModel::Velocity => "velocity",
            CameraModel::Arc => "arc",
            CameraModel::Acceleration => "acceleration",
            CameraModel::Fit => "fit",
            CameraModel::Engine => "engine",
        }
    }
}

/// A camera as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) camera: Camera,
    /// Seconds since the one before it; none where that is not known.
    pub(super) step_s: Option<f64>,
}

/// Where the camera went and turned in a step, per mean step.
#[derive(Clone, Copy)]
struct Speed {
    velocity: Vec3,
    /// Axis and angle, in the world.
    turn: Vec3,
}

/// A model's camera, `ahead` frames after the last one of `history`, which has one at least; its projection and jitter are that one's.
pub(super) fn guess(model: CameraModel, history: &VecDeque<Sample>, ahead: u8) -> Camera {
    let Some(last) = history.back().map(|sample| sample.camera) else { return Camera::with_fov(1.0, 1.0) };
    let steps = steps(history);
    let frames = f32::from(ahead);
    let moved = match model {
        CameraModel::Hold | CameraModel::Engine => None,
        CameraModel::Velocity => speed(history, &steps, 0).map(|speed| on(&last, speed, frames)),
        CameraModel::Arc => speed(history, &steps, 0).map(|speed| around(&last, speed, frames)),
        CameraModel::Acceleration => accelerated(history, &steps, frames).or_else(|| {
            let speed = speed(history, &steps, 0)?;
            Some(on(&last, speed, frames))
        }),
        CameraModel::Fit => fitted(history, &steps, frames),
    };
    moved.filter(Camera::is_valid).unwrap_or(last)
}

/// How long the step before each camera took, in mean steps; 1 each where not all are known. The first one's is meaningless.
fn steps(history: &VecDeque<Sample>) -> Vec<f32> {
    let known: Option<Vec<f64>> = history.iter().skip(1).map(|sample| sample.step_s).collect();
    let Some(known) = known.filter(|known| !known.is_empty()) else { return vec![1.0; history.len()] };
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    std::iter::once(1.0).chain(known.into_iter().map(|step| (step / mean).max(1e-3) as f32)).collect()
}

/// In the last step, or `back` steps before it.
fn speed(history: &VecDeque<Sample>, steps: &[f32], back: usize) -> Option<Speed> {
    let at = history.len().checked_sub(back + 1)?;
    let (before, now) = (&history.get(at.checked_sub(1)?)?.camera, &history.get(at)?.camera);
    let step = steps[at];
    Some(Speed { velocity: (now.position - before.position) / step, turn: turn(before.rotation, now.rotation) / step })
}

/// Axis and angle from one rotation to another, the short way.
fn turn(from: Quat, to: Quat) -> Vec3 {
    let between = to * from.inverse();
    let short = if between.w < 0.0 { -between } else { between };
    short.normalize().to_scaled_axis()
}

fn turned(rotation: Quat, by: Vec3) -> Quat {
    (Quat::from_scaled_axis(by.clamp_length_max(MOST_TURN)) * rotation).normalize()
}

fn on(last: &Camera, speed: Speed, frames: f32) -> Camera {
    let position = last.position + speed.velocity * frames;
    Camera { position, rotation: turned(last.rotation, speed.turn * frames), ..*last }
}

/// A screw motion: the velocity turns with the camera.
fn around(last: &Camera, speed: Speed, frames: f32) -> Camera {
    let turn = (speed.turn * frames).clamp_length_max(MOST_TURN);
    let angle = turn.length();
    let went = if angle > 1e-4 {
        // The last step's direction is that of its middle, half a step before now.
        let ahead = Quat::from_scaled_axis(speed.turn * 0.5) * speed.velocity;
        let axis = turn / angle;
        let along = axis * axis.dot(ahead);
        let across = ahead - along;
        let chord = speed.turn.length() * 0.5;
        // Chord of the last step to speed along the arc.
        let across = across * (chord / chord.sin().max(1e-6));
        (across * angle.sin() + axis.cross(across) * (1.0 - angle.cos())) * (frames / angle) + along * frames
    } else {
        speed.velocity * frames
    };
    Camera { position: last.position + went, rotation: turned(last.rotation, turn), ..*last }
}

fn accelerated(history: &VecDeque<Sample>, steps: &[f32], frames: f32) -> Option<Camera> {
    let (now, before) = (speed(history, steps, 0)?, speed(history, steps, 1)?);
    let last = &history.back()?.camera;
    // From the middle of one step to that of the other.
    let between = 0.5 * (steps[history.len() - 1] + steps[history.len() - 2]);
    let gained = |now: Vec3, before: Vec3| (now - before) * (DAMPING / between);
    // Speeds are those of the middle of the last step.
    let until = 0.5 * frames * (frames + steps[history.len() - 1]);
    let went = now.velocity * frames + gained(now.velocity, before.velocity) * until;
    let turn = now.turn * frames + gained(now.turn, before.turn) * until;
    Some(Camera { position: last.position + went, rotation: turned(last.rotation, turn), ..*last })
}

/// By least squares, rotations as axis and angle from the last one's.
fn fitted(history: &VecDeque<Sample>, steps: &[f32], frames: f32) -> Option<Camera> {
    let last = &history.back()?.camera;
    let first = history.len().saturating_sub(FITTED);
    let mut at = 0.0;
    let (mut times, mut places, mut turns) = (Vec::new(), Vec::new(), Vec::new());
    for index in (first..history.len()).rev() {
        let camera = &history[index].camera;
        times.push(at);
        places.push(camera.position - last.position);
        turns.push(turn(last.rotation, camera.rotation));
        at -= steps[index];
    }
    let went = line(&times, &places, frames)?;
    let turned_by = line(&times, &turns, frames)?;
    Some(Camera { position: last.position + went, rotation: turned(last.rotation, turned_by), ..*last })
}

/// A line through points, at `at`.
fn line(times: &[f32], points: &[Vec3], at: f32) -> Option<Vec3> {
    let count = times.len() as f32;
    let (mean_time, mean) = (times.iter().sum::<f32>() / count, points.iter().copied().sum::<Vec3>() / count);
    let spread: f32 = times.iter().map(|time| (time - mean_time).powi(2)).sum();
    let slope: Vec3 = times.iter().zip(points).map(|(time, point)| (*point - mean) * (time - mean_time)).sum();
    (spread > 0.0).then(|| mean + slope / spread * (at - mean_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(count: u32, course: impl Fn(f32) -> Camera) -> VecDeque<Sample> {
        (0..count).map(|frame| Sample { camera: course(frame as f32), step_s: None }).collect()
    }

    fn off(guess: &Camera, truth: &Camera) -> f32 {
        (guess.position - truth.position).length() + turn(guess.rotation, truth.rotation).length()
    }

    #[test]
    fn each_model_foresees_what_it_is_for() {
        let base = Camera::with_fov(1.0, 1.0);
        let straight = |t: f32| Camera { position: Vec3::new(t, 0.5 * t, 0.0), ..base };
        let circle = |t: f32| {
            let yaw = 0.1 * t;
            Camera {
                position: Vec3::new(yaw.cos(), 0.2 * t, -yaw.sin()) * 3.0,
                rotation: Quat::from_rotation_y(yaw),
                ..base
            }
        };
        let faster =
            |t: f32| Camera { position: Vec3::X * t * t, rotation: Quat::from_rotation_x(0.01 * t * t), ..base };
        let error = |model, course: &dyn Fn(f32) -> Camera, ahead: u8| {
            off(&guess(model, &history(8, course), ahead), &course(7.0 + f32::from(ahead)))
        };
        for ahead in 1..=3 {
            for model in [CameraModel::Velocity, CameraModel::Arc, CameraModel::Acceleration, CameraModel::Fit] {
                assert!(error(model, &straight, ahead) < 1e-3, "{model:?}");
            }
            assert!(error(CameraModel::Arc, &circle, ahead) < 1e-3, "{}", error(CameraModel::Arc, &circle, ahead));
            assert!(error(CameraModel::Velocity, &circle, ahead) > 1e-2);
            let accelerates = [CameraModel::Acceleration, CameraModel::Velocity, CameraModel::Fit, CameraModel::Hold];
            let errors = accelerates.map(|model| error(model, &faster, ahead));
            assert!(errors.is_sorted(), "{errors:?}");
            assert_eq!(guess(CameraModel::Hold, &history(8, straight), ahead), straight(7.0));
        }
    }

    #[test]
    fn one_camera_is_held_and_projection_and_jitter_stay() {
        let zooming = |t: f32| Camera {
            position: Vec3::X * t,
            jitter: glam::Vec2::splat(0.1),
            ..Camera::with_fov(1.0 + 0.01 * t, 1.0)
        };
        for model in CameraModel::ALL {
            assert_eq!(guess(model, &history(1, zooming), 3), zooming(0.0), "{model:?}");
            let later = guess(model, &history(8, zooming), 3);
            assert_eq!((later.tan_half_fov, later.jitter), (zooming(7.0).tan_half_fov, zooming(7.0).jitter));
        }
    }
}
