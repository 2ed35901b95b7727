//! How an engine writes down space, matrices, textures and G-buffers, and the way from there to what Rayloom uses.
//!
//! Rayloom's own convention is [`Convention::GLTF`]. **Conversion keeps the picture**: what an engine shows at the right
//! stays at the right, whatever the handedness of its coordinates, so triangles keep the order in which they are seen.

mod content;
pub mod doctor;
mod numbered;
mod space;

use crate::FrameError;
pub use numbered::{
    CameraAxes, DepthEncoding, Handedness, MatrixStorage, MotionContent, MotionDirection, MotionEncoding, MotionJitter,
    MotionUnit, MotionY, NormalEncoding, NormalMapGreen, NormalSpace, RoughnessKind, UpAxis, UvOrigin, VectorSide,
    Winding,
};
pub use space::EngineCamera;

/// The convention of an engine's data; every field stands for itself, presets are starting points.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Convention {
    /// Which axis of the world points up. The horizontal axes follow from it, see [`Convention::direction`].
    pub up_axis: UpAxis,
    /// Whether the world's axes are those of the right or of the left hand.
    pub handedness: Handedness,
    /// Which axes of camera space point right, up and forward.
    pub camera_axes: CameraAxes,
    /// Metres in one unit of length of positions, translations, ranges, near and far planes and linear depth.
    pub metres_per_unit: f32,
    /// How the 16 floats of a matrix lie in memory.
    pub matrix_storage: MatrixStorage,
    /// On which side of a matrix vectors stand.
    pub vector_side: VectorSide,
    /// In which order the corners of a triangle that faces the viewer are seen.
    pub winding: Winding,
    /// Where texture coordinates (0, 0) are in a texture the first row of which is its top.
    pub uv_origin: UvOrigin,
    /// Where the green channel of normal maps points in the texture; bitangents of meshes point there too.
    pub normal_map_green: NormalMapGreen,
    /// Space of the normals in the G-buffer.
    pub normal_space: NormalSpace,
    /// How normals are stored in the G-buffer.
    pub normal_encoding: NormalEncoding,
    /// How depth is stored in the G-buffer.
    pub depth_encoding: DepthEncoding,
    /// Distance of the near plane in units; unused by [`DepthEncoding::Linear`].
    pub near: f32,
    /// Distance of the far plane in units; 0 = infinite. Linear depth from here on is sky.
    pub far: f32,
    /// How motion is stored in the G-buffer.
    pub motion_encoding: MotionEncoding,
    /// Unit of motion.
    pub motion_unit: MotionUnit,
    /// From where to where motion points.
    pub motion_direction: MotionDirection,
    /// Whether positive motion is down or up the screen.
    pub motion_y: MotionY,
    /// Whether the cameras' jitter is part of motion.
    pub motion_jitter: MotionJitter,
    /// Whether the camera's own motion is part of motion.
    pub motion_content: MotionContent,
    /// Raw value that both channels have where the engine wrote no motion (the surface stood still); one that motion never
    /// has (-65504, the least of half floats) where it always writes.
    pub motion_unwritten: f32,
    /// Channel of the roughness plane that holds roughness: 0 to 3.
    pub roughness_channel: u32,
    /// Channel of the roughness plane that holds metalness: 0 to 3.
    pub metalness_channel: u32,
    /// Whether that channel holds roughness or smoothness.
    pub roughness_kind: RoughnessKind,
    /// What lights' colours are multiplied by to get W/m2 (directional) and W/sr (point, spot); 1 gives light back in the
    /// engine's own photometric unit.
    pub light_scale: f32,
    /// What emissive colours are multiplied by to get radiance in the same unit.
    pub emissive_scale: f32,
}

impl Convention {
    /// glTF 2.0's: right-handed, +Y up, metres. What Rayloom uses itself.
    pub const GLTF: Convention = Convention {
        up_axis: UpAxis::Y,
        handedness: Handedness::Right,
        camera_axes: CameraAxes::BackZ,
        metres_per_unit: 1.0,
        matrix_storage: MatrixStorage::ColumnMajor,
        vector_side: VectorSide::Column,
        winding: Winding::CounterClockwise,
        uv_origin: UvOrigin::TopLeft,
        normal_map_green: NormalMapGreen::Up,
        normal_space: NormalSpace::World,
        normal_encoding: NormalEncoding::Signed,
        depth_encoding: DepthEncoding::Linear,
        near: 0.1,
        far: 0.0,
        motion_encoding: MotionEncoding::Plain,
        motion_unit: MotionUnit::Pixels,
        motion_direction: MotionDirection::PreviousMinusCurrent,
        motion_y: MotionY::Down,
        motion_jitter: MotionJitter::Excluded,
        motion_content: MotionContent::CameraAndObjects,
        motion_unwritten: -65504.0,
        roughness_channel: 0,
        metalness_channel: 1,
        roughness_kind: RoughnessKind::Roughness,
        light_scale: 1.0,
        emissive_scale: 1.0,
    };

    /// Unreal Engine 5's: left-handed, +Z up, centimetres, row vectors, a camera that looks along its +X; the deferred
    /// G-buffer (world normals * 0.5 + 0.5 in A, metallic and roughness in B), reversed infinite depth with the near
    /// plane at 10 cm, and the velocity buffer of `EncodeVelocityToTexture` in Common.ush, the raw 0 of which is no motion
    /// written. Unreal Engine 4 differs in [`MotionEncoding::Unreal4`] alone.
    pub const UNREAL: Convention = Convention {
        up_axis: UpAxis::Z,
        handedness: Handedness::Left,
        camera_axes: CameraAxes::ForwardX,
        metres_per_unit: 0.01,
        matrix_storage: MatrixStorage::RowMajor,
        vector_side: VectorSide::Row,
        winding: Winding::CounterClockwise,
        uv_origin: UvOrigin::TopLeft,
        normal_map_green: NormalMapGreen::Down,
        normal_space: NormalSpace::World,
        normal_encoding: NormalEncoding::Biased,
        depth_encoding: DepthEncoding::ReversedInfinite,
        near: 10.0,
        far: 0.0,
        motion_encoding: MotionEncoding::Unreal5,
        motion_unit: MotionUnit::NormalizedDevice,
        motion_direction: MotionDirection::CurrentMinusPrevious,
        motion_y: MotionY::Up,
        motion_unwritten: 0.0,
        roughness_channel: 2,
        metalness_channel: 0,
        ..Convention::GLTF
    };

    /// Unity's on Direct3D, Vulkan and Metal: left-handed, +Y up, metres, transforms that look along +Z; reversed depth
    /// (set `near` and `far` to the camera's: 0.3 and 1000 are those of a new one), motion vectors in texture coordinates
    /// from the previous frame to this one. A light of intensity 1 gives a white surface radiance 1: irradiance pi.
    pub const UNITY: Convention = Convention {
        handedness: Handedness::Left,
        camera_axes: CameraAxes::ForwardZ,
        winding: Winding::Clockwise,
        uv_origin: UvOrigin::BottomLeft,
        depth_encoding: DepthEncoding::Reversed,
        near: 0.3,
        far: 1000.0,
        motion_unit: MotionUnit::TextureCoordinates,
        motion_direction: MotionDirection::CurrentMinusPrevious,
        light_scale: std::f32::consts::PI,
        ..Convention::GLTF
    };

    /// Refuses numbers that mean nothing.
    ///
    /// # Errors
    /// [`FrameError::Convention`] names the field, its value and what it may be.
    pub fn check(&self) -> Result<(), FrameError> {
        let refuse = |text: String| Err(FrameError::Convention(text));
        if !(self.metres_per_unit.is_finite() && self.metres_per_unit > 0.0) {
            return refuse(format!("metres_per_unit is {}, it must be above 0", self.metres_per_unit));
        }
        if self.depth_encoding != DepthEncoding::Linear && !(self.near.is_finite() && self.near > 0.0) {
            return refuse(format!("near is {}, it must be above 0 for {}", self.near, self.depth_encoding.constant()));
        }
        if !(self.far.is_finite() && (self.far == 0.0 || self.far > self.near.max(0.0))) {
            return refuse(format!(
                "far is {}, it must be 0 (infinite) or above near, which is {}",
                self.far, self.near
            ));
        }
        let needs_far = matches!(
            self.depth_encoding,
            DepthEncoding::Forward | DepthEncoding::Reversed | DepthEncoding::ForwardSigned
        );
        if needs_far && self.far == 0.0 {
            let text = "far is 0 (infinite), which only the infinite encodings have";
            return refuse(format!("{text}: set it, or an encoding other than {}", self.depth_encoding.constant()));
        }
        for (name, channel) in [("roughness", self.roughness_channel), ("metalness", self.metalness_channel)] {
            if channel > 3 {
                return refuse(format!("{name}_channel is {channel}, allowed is 0 to 3"));
            }
        }
        for (name, scale) in [("light", self.light_scale), ("emissive", self.emissive_scale)] {
            if !(scale.is_finite() && scale >= 0.0) {
                return refuse(format!("{name}_scale is {scale}, it must be 0 or above"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_mean_something_and_numbers_that_mean_nothing_are_named() {
        for preset in [Convention::GLTF, Convention::UNREAL, Convention::UNITY] {
            preset.check().unwrap();
        }
        let refused = |convention: Convention, text: &str| {
            let message = convention.check().unwrap_err().to_string();
            assert!(message.contains(text), "{message}");
        };
        refused(Convention { metres_per_unit: 0.0, ..Convention::GLTF }, "metres_per_unit is 0");
        refused(Convention { near: f32::NAN, ..Convention::UNREAL }, "near is NaN");
        refused(Convention { far: 0.1, ..Convention::UNITY }, "far is 0.1");
        refused(Convention { far: 0.0, ..Convention::UNITY }, "RAYLOOM_DEPTH_REVERSED");
        refused(Convention { metalness_channel: 4, ..Convention::GLTF }, "metalness_channel is 4");
        refused(Convention { light_scale: -1.0, ..Convention::GLTF }, "light_scale is -1");
    }
}
