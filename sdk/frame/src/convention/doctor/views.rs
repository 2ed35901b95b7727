//! From where a frame may have been seen, if its convention is not the stated one.

use super::{CAMERA, Choice, Finding, Fix, Submitted};
use crate::FrameError;
use crate::convention::{CameraAxes, Convention, Handedness, MatrixStorage, UpAxis};
use glam::{Mat3, Quat, Vec3};
use rayloom_scene::Camera;

/// A camera from which a frame may have been seen.
#[derive(Clone, Debug)]
pub struct View {
    /// What to trace, in the scene's space.
    pub camera: Camera,
    /// The camera of the frame before, for motion.
    pub previous_camera: Camera,
    /// The convention under which it is seen from there.
    pub(super) convention: Convention,
    /// The cameras in that convention's own space.
    pub(super) engine_camera: Camera,
    pub(super) engine_previous: Camera,
    /// True when what is traced is the mirror image of what the engine shows.
    pub(super) mirrored: bool,
    /// From the scene's space to the convention's.
    to_engine: Mat3,
}

impl View {
    /// A traced normal in the space in which the engine's are read.
    pub(super) fn normal_of_engine(&self, normal: Vec3) -> Vec3 {
        self.to_engine * normal
    }
}

/// Metres in the units that scenes are modelled in: metre, centimetre, millimetre, inch, foot.
const UNITS: [f32; 5] = [1.0, 0.01, 0.001, 0.0254, 0.3048];

/// The stated view first, then those under which a picture of something else would be explained, likeliest first; at most 24.
///
/// # Errors
/// [`FrameError::Convention`] for a stated camera that is none.
pub fn views(frame: &Submitted<'_>) -> Result<Vec<View>, FrameError> {
    frame.convention.check()?;
    let aspect = frame.extent.width as f32 / frame.extent.height as f32;
    let cameras = |convention: &Convention| {
        let camera = convention.camera("camera", frame.camera, aspect)?;
        Ok::<_, FrameError>((camera, convention.camera("previous camera", frame.previous_camera, aspect)?))
    };
    let mut views = vec![alone(frame.convention, cameras(frame.convention)?)];
    let mut add = |view: View| {
        let same = |other: &View| {
            let near = |a: &Camera, b: &Camera| {
                (a.position - b.position).length() < 1e-3 * (1.0 + a.position.length())
                    && a.rotation.dot(b.rotation).abs() > 0.999_99
            };
            other.mirrored == view.mirrored
                && other.convention.metres_per_unit == view.convention.metres_per_unit
                && near(&other.camera, &view.camera)
        };
        if views.len() < 24 && !views.iter().any(same) {
            views.push(view);
        }
    };
    // The scene is as it should be, the camera is not.
    for convention in others(frame.convention) {
        if let Ok(cameras) = cameras(&convention) {
            add(alone(&convention, cameras));
        }
    }
    // The scene was given in the same wrong convention.
    for preset in [Convention::GLTF, Convention::UNREAL, Convention::UNITY] {
        let Convention { up_axis, handedness, camera_axes, .. } = preset;
        let convention = Convention { up_axis, handedness, camera_axes, ..*frame.convention };
        if let Ok(cameras) = cameras(&convention) {
            add(with_scene(frame.convention, &convention, cameras));
        }
    }
    Ok(views)
}

fn alone(convention: &Convention, (camera, previous_camera): (Camera, Camera)) -> View {
    View {
        camera,
        previous_camera,
        convention: *convention,
        engine_camera: camera,
        engine_previous: previous_camera,
        mirrored: false,
        to_engine: Mat3::IDENTITY,
    }
}

fn with_scene(stated: &Convention, convention: &Convention, (camera, previous): (Camera, Camera)) -> View {
    let to_scene = stated.axes() * convention.axes().transpose();
    let mirrored = to_scene.determinant() < 0.0;
    let side = if mirrored { -1.0 } else { 1.0 };
    // A mirrored camera is one with left and right exchanged, which a picture can make up for.
    let moved = |camera: &Camera| {
        let rotation = to_scene * Mat3::from_quat(camera.rotation) * Mat3::from_diagonal(Vec3::new(side, 1.0, 1.0));
        let mut moved = Camera {
            position: to_scene * camera.position,
            rotation: Quat::from_mat3(&rotation).normalize(),
            ..*camera
        };
        moved.center.x *= side;
        moved.jitter.x *= side;
        moved
    };
    View {
        camera: moved(&camera),
        previous_camera: moved(&previous),
        convention: *convention,
        engine_camera: camera,
        engine_previous: previous,
        mirrored,
        to_engine: to_scene.transpose(),
    }
}

/// One change of what moves the camera, then two, then presets.
fn others(stated: &Convention) -> Vec<Convention> {
    let up = match stated.up_axis {
        UpAxis::Y => UpAxis::Z,
        UpAxis::Z => UpAxis::Y,
    };
    let hand = match stated.handedness {
        Handedness::Right => Handedness::Left,
        Handedness::Left => Handedness::Right,
    };
    let storage = match stated.matrix_storage {
        MatrixStorage::ColumnMajor => MatrixStorage::RowMajor,
        MatrixStorage::RowMajor => MatrixStorage::ColumnMajor,
    };
    let axes = CameraAxes::ALL.iter().copied();
    let mut all = vec![
        Convention { up_axis: up, ..*stated },
        Convention { handedness: hand, ..*stated },
        Convention { matrix_storage: storage, ..*stated },
    ];
    all.extend(UNITS.map(|metres_per_unit| Convention { metres_per_unit, ..*stated }));
    all.extend(axes.clone().map(|camera_axes| Convention { camera_axes, ..*stated }));
    all.extend(axes.clone().map(|camera_axes| Convention { camera_axes, handedness: hand, ..*stated }));
    all.extend(axes.map(|camera_axes| Convention { camera_axes, up_axis: up, ..*stated }));
    all.push(Convention { up_axis: up, handedness: hand, ..*stated });
    for preset in [Convention::UNREAL, Convention::UNITY, Convention::GLTF] {
        let Convention { up_axis, handedness, camera_axes, metres_per_unit, .. } = preset;
        all.push(Convention { up_axis, handedness, camera_axes, ..*stated });
        all.push(Convention { up_axis, handedness, camera_axes, metres_per_unit, ..*stated });
    }
    all
}

/// Cameras are level but for rare moments: one that is rolled, and would be level if the other axis were up, has the wrong
/// axis. Planes don't tell where scene and camera are wrong in the same way.
pub(super) fn examine_roll(frame: &Submitted<'_>) -> Option<Finding> {
    let stated = frame.convention;
    let up_axis = match stated.up_axis {
        UpAxis::Y => UpAxis::Z,
        UpAxis::Z => UpAxis::Y,
    };
    let roll = |convention: &Convention| {
        let camera = convention.camera("camera", frame.camera, 1.0).ok()?;
        Some((camera.rotation * Vec3::X).y.abs())
    };
    let (rolled, level) = (roll(stated)?, roll(&Convention { up_axis, ..*stated })?);
    let choice = Choice { field: "up_axis", value: up_axis.constant().into() };
    (rolled > 0.05 && rolled < 0.95 && level < 1e-3).then(|| Finding {
        plane: CAMERA,
        disagreeing: 1.0,
        fix: Some(Fix { choices: vec![choice], agreeing: 1.0 }),
    })
}
