//! Cameras and matrices as C has them, and the conventions they are in.

use crate::result::{Failure, RAYLOOM_UNSUPPORTED};
use glam::{Affine3A, Mat3, Mat4, Quat, Vec2};
use sdk::scene::Camera;

/// glTF's convention: right-handed, +Y up, metres; a camera looks along its own -Z with +X to the right; triangles are
/// counter-clockwise from in front; texture coordinates begin at the top left; normal maps have green up.
pub const RAYLOOM_CONVENTION_GLTF: u32 = 1;
/// Unreal Engine's convention: left-handed, +Z up, centimetres. Not supported yet.
pub const RAYLOOM_CONVENTION_UNREAL: u32 = 2;
/// Unity's convention: left-handed, +Y up, metres. Not supported yet.
pub const RAYLOOM_CONVENTION_UNITY: u32 = 3;

/// A pinhole camera.
///
/// Matrices everywhere are 16 floats, column by column, for column vectors: the translation is in elements 12, 13, 14.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct rayloom_camera {
    /// From camera space (looks along -Z, +Y up, +X right) to world; a rotation and a translation in metres, no scale.
    pub camera_to_world: [f32; 16],
    /// Vertical field of view in radians, above 0 and below pi.
    pub vertical_fov_rad: f32,
    /// Width / height of the picture; 0 = the view's own.
    pub aspect: f32,
    /// Sub-pixel offset of the samples in pixels, +x right, +y down, each -0.5 to 0.5.
    pub jitter_px: [f32; 2],
    /// Offset of the principal point in normalised device coordinates, for off-centre projections; usually 0, 0.
    pub center_ndc: [f32; 2],
}

impl rayloom_camera {
    /// The camera for a picture of this aspect ratio.
    pub(crate) fn to_camera(self, what: &str, view_aspect: f32) -> Result<Camera, Failure> {
        let refuse = |text: String| Err(Failure::argument(format!("{what}: {text}")));
        let matrix = affine(&self.camera_to_world)
            .map_err(|text| Failure::argument(format!("{what}.camera_to_world {text}")))?;
        let rotation = Mat3::from(matrix.matrix3);
        let error = (rotation.transpose() * rotation - Mat3::IDENTITY)
            .to_cols_array()
            .map(f32::abs)
            .into_iter()
            .fold(0.0, f32::max);
        if error > 1e-3 || rotation.determinant() < 0.0 {
            return refuse(format!(
                "camera_to_world scales, shears or mirrors (off by {error}, determinant {}): only rotate and translate",
                rotation.determinant()
            ));
        }
        let fov = self.vertical_fov_rad;
        if !(fov > 0.0 && fov < std::f32::consts::PI) {
            return refuse(format!("vertical_fov_rad is {fov}, it must be above 0 and below pi"));
        }
        if !(self.aspect.is_finite() && self.aspect >= 0.0) {
            return refuse(format!("aspect is {}, it must be 0 (the view's) or above", self.aspect));
        }
        let (jitter, center) = (Vec2::from(self.jitter_px), Vec2::from(self.center_ndc));
        if !(jitter.is_finite() && jitter.abs().max_element() <= 0.5) {
            return refuse(format!("jitter_px is {jitter}, each must be -0.5 to 0.5"));
        }
        if !center.is_finite() {
            return refuse(format!("center_ndc is {center}, it must be finite"));
        }
        let aspect = if self.aspect > 0.0 { self.aspect } else { view_aspect };
        Ok(Camera {
            position: matrix.translation.into(),
            rotation: Quat::from_mat3(&rotation).normalize(),
            jitter,
            center,
            ..Camera::with_fov(fov, aspect)
        })
    }

    pub(crate) fn from_camera(camera: &Camera) -> rayloom_camera {
        let matrix = Mat4::from_rotation_translation(camera.rotation, camera.position);
        rayloom_camera {
            camera_to_world: matrix.to_cols_array(),
            vertical_fov_rad: camera.tan_half_fov.y.atan() * 2.0,
            aspect: camera.tan_half_fov.x / camera.tan_half_fov.y,
            jitter_px: camera.jitter.to_array(),
            center_ndc: camera.center.to_array(),
        }
    }
}

/// A finite affine matrix; the error continues the name of what it is.
pub(crate) fn affine(matrix: &[f32; 16]) -> Result<Affine3A, String> {
    if let Some(i) = matrix.iter().position(|value| !value.is_finite()) {
        return Err(format!("has {} at index {i}: every element must be finite", matrix[i]));
    }
    let bottom = [matrix[3], matrix[7], matrix[11], matrix[15]];
    if bottom != [0.0, 0.0, 0.0, 1.0] {
        return Err(format!("has {bottom:?} at indices 3, 7, 11, 15 instead of 0, 0, 0, 1: is it stored row by row?"));
    }
    Ok(Affine3A::from_mat4(Mat4::from_cols_array(matrix)))
}

/// Refuses conventions that are not converted yet.
pub(crate) fn check_convention(convention: u32) -> Result<(), Failure> {
    let name = match convention {
        RAYLOOM_CONVENTION_GLTF => return Ok(()),
        RAYLOOM_CONVENTION_UNREAL => "RAYLOOM_CONVENTION_UNREAL",
        RAYLOOM_CONVENTION_UNITY => "RAYLOOM_CONVENTION_UNITY",
        other => {
            return Err(Failure::argument(format!(
                "convention is {other}, which is none: use RAYLOOM_CONVENTION_GLTF"
            )));
        }
    };
    let text = format!("{name} is not supported yet: convert to glTF's convention and say RAYLOOM_CONVENTION_GLTF");
    Err(Failure::new(RAYLOOM_UNSUPPORTED, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::Vec3;

    #[test]
    fn a_camera_survives_the_way_to_c_and_back() {
        let camera = Camera::look_at(Vec3::new(1.0, 2.0, 3.0), Vec3::new(-4.0, 0.5, 0.0), 0.9, 1.6);
        let back = rayloom_camera::from_camera(&camera).to_camera("camera", 1.0).unwrap();
        assert!((back.position - camera.position).length() < 1e-5);
        assert!(back.rotation.dot(camera.rotation).abs() > 0.99999);
        assert!((back.tan_half_fov - camera.tan_half_fov).length() < 1e-5);
    }

    #[test]
    fn matrices_that_are_stored_by_rows_or_scale_are_refused() {
        let mut camera = rayloom_camera::from_camera(&Camera::with_fov(0.9, 1.6));
        camera.camera_to_world = Mat4::from_translation(Vec3::ONE).transpose().to_cols_array();
        assert!(camera.to_camera("camera", 1.0).unwrap_err().text.contains("row by row"));
        camera.camera_to_world = Mat4::from_scale(Vec3::splat(2.0)).to_cols_array();
        assert!(camera.to_camera("camera", 1.0).unwrap_err().text.contains("scales"));
        camera.camera_to_world = [f32::NAN; 16];
        assert!(camera.to_camera("camera", 1.0).unwrap_err().text.contains("index 0"));
    }
}
