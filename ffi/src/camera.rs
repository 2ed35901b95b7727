//! Cameras as C has them.

use crate::convention::failure;
use crate::result::Failure;
use sdk::frame::convention::{Convention, EngineCamera};
use sdk::scene::Camera;

/// A pinhole camera, in the convention of its view.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct rayloom_camera {
    /// From camera space to world; a rotation and a translation, no scale. In glTF's convention the camera looks along -Z
    /// with +Y up and +X right, and the matrix is stored column by column: metres in elements 12, 13, 14.
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
    pub(crate) fn to_camera(self, convention: &Convention, what: &str, view_aspect: f32) -> Result<Camera, Failure> {
        let rayloom_camera { camera_to_world, vertical_fov_rad, aspect, jitter_px, center_ndc } = self;
        let camera = EngineCamera { camera_to_world, vertical_fov_rad, aspect, jitter_px, center_ndc };
        convention.camera(what, &camera, view_aspect).map_err(failure)
    }

    pub(crate) fn from_camera(convention: &Convention, camera: &Camera) -> rayloom_camera {
        let EngineCamera { camera_to_world, vertical_fov_rad, aspect, jitter_px, center_ndc } =
            convention.camera_back(camera);
        rayloom_camera { camera_to_world, vertical_fov_rad, aspect, jitter_px, center_ndc }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::Vec3;
    use sdk::frame::convention::Handedness;

    #[test]
    fn a_camera_survives_the_way_to_c_and_back() {
        let camera = Camera::look_at(Vec3::new(1.0, 2.0, 3.0), Vec3::new(-4.0, 0.5, 0.0), 0.9, 1.6);
        for convention in [Convention::GLTF, Convention::UNREAL, Convention::UNITY] {
            let c = rayloom_camera::from_camera(&convention, &camera);
            let back = c.to_camera(&convention, "camera", 1.0).unwrap();
            assert!((back.position - camera.position).length() < 1e-5);
            assert!(back.rotation.dot(camera.rotation).abs() > 0.99999);
            assert!((back.tan_half_fov - camera.tan_half_fov).length() < 1e-5);
        }
    }

    #[test]
    fn a_camera_of_another_convention_is_refused_by_its_name() {
        let right = Convention { handedness: Handedness::Right, ..Convention::UNREAL };
        let c = rayloom_camera::from_camera(&Convention::UNREAL, &Camera::with_fov(0.9, 1.6));
        let error = c.to_camera(&right, "desc->camera", 1.0).unwrap_err();
        assert!(error.text.contains("set that"), "{}", error.text);
        assert!(error.text.starts_with("desc->camera"), "{}", error.text);
    }
}
