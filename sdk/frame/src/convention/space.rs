//! Directions, points, matrices and cameras of a convention, in glTF space and back.

use super::{CameraAxes, Convention, Handedness, MatrixStorage, UpAxis, VectorSide};
use crate::FrameError;
use glam::{Affine3A, Mat3, Mat4, Quat, Vec2, Vec3};
use rayloom_scene::Camera;

/// A pinhole camera as an engine states it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineCamera {
    /// From camera space to world: a rotation and a translation in units, no scale.
    pub camera_to_world: [f32; 16],
    /// Vertical field of view in radians, above 0 and below pi.
    pub vertical_fov_rad: f32,
    /// Width / height of the picture; 0 = the view's own.
    pub aspect: f32,
    /// [`Camera::jitter`].
    pub jitter_px: [f32; 2],
    /// [`Camera::center`].
    pub center_ndc: [f32; 2],
}

impl Convention {
    /// A direction of the world in glTF space.
    ///
    /// Right-handed +Y: itself. Left-handed +Y: (x, y, -z). Right-handed +Z: (x, z, -y). Left-handed +Z: (y, z, -x).
    #[inline]
    pub fn direction(&self, d: Vec3) -> Vec3 {
        match (self.up_axis, self.handedness) {
            (UpAxis::Y, Handedness::Right) => d,
            (UpAxis::Y, Handedness::Left) => Vec3::new(d.x, d.y, -d.z),
            (UpAxis::Z, Handedness::Right) => Vec3::new(d.x, d.z, -d.y),
            (UpAxis::Z, Handedness::Left) => Vec3::new(d.y, d.z, -d.x),
        }
    }

    /// The inverse of [`Convention::direction`].
    #[inline]
    pub fn direction_back(&self, d: Vec3) -> Vec3 {
        match (self.up_axis, self.handedness) {
            (UpAxis::Y, Handedness::Right) => d,
            (UpAxis::Y, Handedness::Left) => Vec3::new(d.x, d.y, -d.z),
            (UpAxis::Z, Handedness::Right) => Vec3::new(d.x, -d.z, d.y),
            (UpAxis::Z, Handedness::Left) => Vec3::new(-d.z, d.x, d.y),
        }
    }

    /// [`Convention::direction`] as a matrix: orthonormal, its determinant -1 for left hands.
    pub fn axes(&self) -> Mat3 {
        Mat3::from_cols(self.direction(Vec3::X), self.direction(Vec3::Y), self.direction(Vec3::Z))
    }

    /// A point of the world in glTF space and metres.
    #[inline]
    pub fn point(&self, p: Vec3) -> Vec3 {
        self.direction(p) * self.metres_per_unit
    }

    /// The inverse of [`Convention::point`].
    #[inline]
    pub fn point_back(&self, p: Vec3) -> Vec3 {
        self.direction_back(p) / self.metres_per_unit
    }

    /// From the convention's camera space to glTF's (right +X, up +Y, forward -Z).
    pub fn camera_space(&self) -> Mat3 {
        let (right, up, forward) = match self.camera_axes {
            CameraAxes::BackZ => (Vec3::X, Vec3::Y, Vec3::NEG_Z),
            CameraAxes::ForwardZ => (Vec3::X, Vec3::Y, Vec3::Z),
            CameraAxes::ForwardX => (Vec3::Y, Vec3::Z, Vec3::X),
            CameraAxes::ForwardZDownY => (Vec3::X, Vec3::NEG_Y, Vec3::Z),
        };
        Mat3::from_cols(right, up, -forward).transpose()
    }

    /// A matrix as it is in the engine's space, for column vectors.
    ///
    /// # Errors
    /// [`FrameError::Convention`] where it is not finite or not affine; the text continues `what`.
    pub fn matrix(&self, what: &str, elements: &[f32; 16]) -> Result<Affine3A, FrameError> {
        if let Some(i) = elements.iter().position(|value| !value.is_finite()) {
            return Err(FrameError::Convention(format!(
                "{what} has {} at index {i}: every element must be finite",
                elements[i]
            )));
        }
        let (mut matrix, mut other) = (Mat4::from_cols_array(elements), Mat4::from_cols_array(elements).transpose());
        let mut last = [3, 7, 11, 15];
        if self.is_transposed() {
            std::mem::swap(&mut matrix, &mut other);
            last = [12, 13, 14, 15];
        }
        let bottom = matrix.row(3);
        if bottom.to_array() != [0.0, 0.0, 0.0, 1.0] {
            let fix = if other.row(3).to_array() == [0.0, 0.0, 0.0, 1.0] {
                let (storage, side) = match (self.matrix_storage, self.vector_side) {
                    (MatrixStorage::ColumnMajor, VectorSide::Column) => (MatrixStorage::RowMajor, VectorSide::Row),
                    (MatrixStorage::ColumnMajor, VectorSide::Row) => (MatrixStorage::RowMajor, VectorSide::Column),
                    (MatrixStorage::RowMajor, VectorSide::Column) => (MatrixStorage::ColumnMajor, VectorSide::Row),
                    (MatrixStorage::RowMajor, VectorSide::Row) => (MatrixStorage::ColumnMajor, VectorSide::Column),
                };
                format!("; it is affine the other way round: set {} or {}", storage.constant(), side.constant())
            } else {
                String::new()
            };
            return Err(FrameError::Convention(format!(
                "{what} has {:?} at indices {last:?}, where {} with {} has 0, 0, 0, 1{fix}",
                bottom.to_array(),
                self.matrix_storage.constant(),
                self.vector_side.constant()
            )));
        }
        Ok(Affine3A::from_mat4(matrix))
    }

    /// The inverse of [`Convention::matrix`].
    pub fn matrix_back(&self, matrix: &Affine3A) -> [f32; 16] {
        let matrix = Mat4::from(*matrix);
        if self.is_transposed() { matrix.transpose().to_cols_array() } else { matrix.to_cols_array() }
    }

    /// Row vectors and storage by rows undo each other.
    fn is_transposed(&self) -> bool {
        (self.matrix_storage == MatrixStorage::RowMajor) != (self.vector_side == VectorSide::Row)
    }

    /// The placement of something the points of which are converted by [`Convention::point`] too.
    ///
    /// # Errors
    /// Those of [`Convention::matrix`].
    pub fn transform(&self, what: &str, elements: &[f32; 16]) -> Result<Affine3A, FrameError> {
        let matrix = self.matrix(what, elements)?;
        let axes = self.axes();
        Ok(Affine3A::from_mat3_translation(
            axes * Mat3::from(matrix.matrix3) * axes.transpose(),
            self.point(matrix.translation.into()),
        ))
    }

    /// The inverse of [`Convention::transform`].
    pub fn transform_back(&self, transform: &Affine3A) -> [f32; 16] {
        let axes = self.axes();
        self.matrix_back(&Affine3A::from_mat3_translation(
            axes.transpose() * Mat3::from(transform.matrix3) * axes,
            self.point_back(transform.translation.into()),
        ))
    }

    /// The camera in glTF space; `view_aspect` is the view's width / height.
    ///
    /// # Errors
    /// [`FrameError::Convention`] where it is none: the text names `what`, the field, its value, and where another
    /// convention would make it one, that.
    pub fn camera(&self, what: &str, camera: &EngineCamera, view_aspect: f32) -> Result<Camera, FrameError> {
        let refuse = |text: String| Err(FrameError::Convention(format!("{what}: {text}")));
        let matrix = self.matrix(&format!("{what}.camera_to_world"), &camera.camera_to_world)?;
        let rotation = self.axes() * Mat3::from(matrix.matrix3) * self.camera_space().transpose();
        let error = (rotation.transpose() * rotation - Mat3::IDENTITY).to_cols_array();
        let error = error.map(f32::abs).into_iter().fold(0.0, f32::max);
        if error.is_nan() || error > 1e-3 {
            return refuse(format!("camera_to_world scales or shears (off by {error}): only rotate and translate"));
        }
        if rotation.determinant() < 0.0 {
            return refuse(self.mirrored());
        }
        let fov = camera.vertical_fov_rad;
        if !(fov > 0.0 && fov < std::f32::consts::PI) {
            return refuse(format!("vertical_fov_rad is {fov}, it must be above 0 and below pi"));
        }
        if !(camera.aspect.is_finite() && camera.aspect >= 0.0) {
            return refuse(format!("aspect is {}, it must be 0 (the view's) or above", camera.aspect));
        }
        let (jitter, center) = (Vec2::from(camera.jitter_px), Vec2::from(camera.center_ndc));
        if !(jitter.is_finite() && jitter.abs().max_element() <= 0.5) {
            return refuse(format!("jitter_px is {jitter}, each must be -0.5 to 0.5"));
        }
        if !center.is_finite() {
            return refuse(format!("center_ndc is {center}, it must be finite"));
        }
        let aspect = if camera.aspect > 0.0 { camera.aspect } else { view_aspect };
        let converted = Camera {
            position: self.point(matrix.translation.into()),
            rotation: Quat::from_mat3(&rotation).normalize(),
            jitter,
            center,
            ..Camera::with_fov(fov, aspect)
        };
        if converted.is_valid() {
            Ok(converted)
        } else {
            refuse(format!("in metres it is {converted:?}, which is none"))
        }
    }

    /// What to say of a camera that is mirrored by its convention.
    fn mirrored(&self) -> String {
        let hand = match self.handedness {
            Handedness::Right => Handedness::Left,
            Handedness::Left => Handedness::Right,
        };
        let presets = [Convention::GLTF, Convention::UNREAL, Convention::UNITY];
        let known = presets.iter().find(|preset| {
            preset.up_axis == self.up_axis
                && preset.handedness == self.handedness
                && preset.camera_axes != self.camera_axes
        });
        let axes = known.map_or(String::new(), |preset| format!(" or {}", preset.camera_axes.constant()));
        format!(
            "camera_to_world mirrors under {} with {}; it is a rotation under {}{axes}: set that",
            self.handedness.constant(),
            self.camera_axes.constant(),
            hand.constant()
        )
    }

    /// The inverse of [`Convention::camera`].
    pub fn camera_back(&self, camera: &Camera) -> EngineCamera {
        let rotation = self.axes().transpose() * Mat3::from_quat(camera.rotation) * self.camera_space();
        EngineCamera {
            camera_to_world: self
                .matrix_back(&Affine3A::from_mat3_translation(rotation, self.point_back(camera.position))),
            vertical_fov_rad: camera.tan_half_fov.y.atan() * 2.0,
            aspect: camera.tan_half_fov.x / camera.tan_half_fov.y,
            jitter_px: camera.jitter.to_array(),
            center_ndc: camera.center.to_array(),
        }
    }
}
