//! What an engine's data is in: presets, or every choice by itself.

use crate::boundary;
use crate::pointer::{self, descriptor};
use crate::result::{Failure, rayloom_result};
use sdk::frame::convention::{
    CameraAxes, Convention, DepthEncoding, Handedness, MatrixStorage, MotionContent, MotionDirection, MotionEncoding,
    MotionJitter, MotionUnit, MotionY, NormalEncoding, NormalMapGreen, NormalSpace, RoughnessKind, UpAxis, UvOrigin,
    VectorSide, Winding,
};
use std::ffi::c_void;

/// glTF's convention: right-handed, +Y up, metres; a camera looks along its own -Z with +X to the right; triangles are
/// counter-clockwise from in front; texture coordinates begin at the top left; normal maps have green up.
pub const RAYLOOM_CONVENTION_GLTF: u32 = 1;
/// Unreal Engine 5's: left-handed, +Z up, centimetres, row vectors; a camera looks along its own +X with +Y to the right;
/// normal maps have green down; reversed infinite depth (near plane at 10 cm), encoded velocity.
pub const RAYLOOM_CONVENTION_UNREAL: u32 = 2;
/// Unity's: left-handed, +Y up, metres; a camera looks along its own +Z; triangles are clockwise from in front; texture
/// coordinates begin at the bottom left; reversed depth, motion in texture coordinates since the previous frame.
pub const RAYLOOM_CONVENTION_UNITY: u32 = 3;
/// The one that the rayloom_convention_desc at `next` describes.
pub const RAYLOOM_CONVENTION_EXPLICIT: u32 = 4;

/// +Y is up.
pub const RAYLOOM_UP_Y: u32 = 0;
/// +Z is up.
pub const RAYLOOM_UP_Z: u32 = 1;
/// Right-handed axes: glTF, OpenGL.
pub const RAYLOOM_HANDEDNESS_RIGHT: u32 = 0;
/// Left-handed axes: Unreal, Unity, Direct3D.
pub const RAYLOOM_HANDEDNESS_LEFT: u32 = 1;
/// A camera's right is +X, its up +Y, it looks along -Z: glTF, OpenGL, Unity's cameraToWorldMatrix.
pub const RAYLOOM_CAMERA_BACK_Z: u32 = 0;
/// A camera's right is +X, its up +Y, it looks along +Z: Direct3D, Unity's transforms.
pub const RAYLOOM_CAMERA_FORWARD_Z: u32 = 1;
/// A camera's right is +Y, its up +Z, it looks along +X: Unreal.
pub const RAYLOOM_CAMERA_FORWARD_X: u32 = 2;
/// A camera's right is +X, its up -Y, it looks along +Z: OpenCV.
pub const RAYLOOM_CAMERA_FORWARD_Z_DOWN_Y: u32 = 3;
/// Matrices are stored column by column.
pub const RAYLOOM_MATRIX_COLUMN_MAJOR: u32 = 0;
/// Matrices are stored row by row.
pub const RAYLOOM_MATRIX_ROW_MAJOR: u32 = 1;
/// matrix * vector: the translation is in the last column.
pub const RAYLOOM_VECTOR_COLUMN: u32 = 0;
/// vector * matrix: the translation is in the last row.
pub const RAYLOOM_VECTOR_ROW: u32 = 1;
/// Triangles that face the viewer are counter-clockwise.
pub const RAYLOOM_WINDING_COUNTER_CLOCKWISE: u32 = 0;
/// Triangles that face the viewer are clockwise.
pub const RAYLOOM_WINDING_CLOCKWISE: u32 = 1;
/// Texture coordinates begin at the top left, where the first row of a texture is.
pub const RAYLOOM_UV_TOP_LEFT: u32 = 0;
/// Texture coordinates begin at the bottom left; textures are given from their top row on nevertheless.
pub const RAYLOOM_UV_BOTTOM_LEFT: u32 = 1;
/// Green of normal maps, and bitangents, point up the texture ("OpenGL").
pub const RAYLOOM_NORMAL_MAP_GREEN_UP: u32 = 0;
/// Green of normal maps, and bitangents, point down the texture ("DirectX").
pub const RAYLOOM_NORMAL_MAP_GREEN_DOWN: u32 = 1;
/// Normals of the G-buffer are in world space.
pub const RAYLOOM_NORMAL_WORLD: u32 = 0;
/// Normals of the G-buffer are in camera space, with the camera axes named here.
pub const RAYLOOM_NORMAL_VIEW: u32 = 1;
/// x, y, z in a signed format.
pub const RAYLOOM_NORMAL_SIGNED: u32 = 0;
/// x, y, z * 0.5 + 0.5.
pub const RAYLOOM_NORMAL_BIASED: u32 = 1;
/// Octahedral in the first two channels; formats of two channels always are.
pub const RAYLOOM_NORMAL_OCTAHEDRAL: u32 = 2;
/// Distance along the view axis in units; not finite or not above 0 is sky.
pub const RAYLOOM_DEPTH_LINEAR: u32 = 0;
/// 0 at the near plane, 1 at the far plane.
pub const RAYLOOM_DEPTH_FORWARD: u32 = 1;
/// 1 at the near plane, 0 at the far plane.
pub const RAYLOOM_DEPTH_REVERSED: u32 = 2;
/// 0 at the near plane, 1 at infinity.
pub const RAYLOOM_DEPTH_FORWARD_INFINITE: u32 = 3;
/// 1 at the near plane, 0 at infinity.
pub const RAYLOOM_DEPTH_REVERSED_INFINITE: u32 = 4;
/// -1 at the near plane, 1 at the far plane (OpenGL's device coordinates; its depth buffers are RAYLOOM_DEPTH_FORWARD).
pub const RAYLOOM_DEPTH_FORWARD_SIGNED: u32 = 5;
/// Motion as it is.
pub const RAYLOOM_MOTION_PLAIN: u32 = 0;
/// Motion * 0.5 + 0.5.
pub const RAYLOOM_MOTION_BIASED: u32 = 1;
/// Unreal Engine 4's velocity: v * 0.2495 + 32767 / 65535.
pub const RAYLOOM_MOTION_UNREAL4: u32 = 2;
/// Unreal Engine 5's velocity: that of sign(v) * sqrt(2 |v|).
pub const RAYLOOM_MOTION_UNREAL5: u32 = 3;
/// Motion in pixels.
pub const RAYLOOM_MOTION_PIXELS: u32 = 0;
/// Motion in shares of the view's size.
pub const RAYLOOM_MOTION_UV: u32 = 1;
/// Motion in shares of half of the view's size.
pub const RAYLOOM_MOTION_NDC: u32 = 2;
/// Where a surface was minus where it is.
pub const RAYLOOM_MOTION_PREVIOUS_MINUS_CURRENT: u32 = 0;
/// Where a surface is minus where it was.
pub const RAYLOOM_MOTION_CURRENT_MINUS_PREVIOUS: u32 = 1;
/// Positive motion is down the screen.
pub const RAYLOOM_MOTION_Y_DOWN: u32 = 0;
/// Positive motion is up the screen.
pub const RAYLOOM_MOTION_Y_UP: u32 = 1;
/// The cameras' jitter is not in motion.
pub const RAYLOOM_MOTION_JITTER_EXCLUDED: u32 = 0;
/// Motion is between jittered positions.
pub const RAYLOOM_MOTION_JITTER_INCLUDED: u32 = 1;
/// All motion on the screen.
pub const RAYLOOM_MOTION_CAMERA_AND_OBJECTS: u32 = 0;
/// Motion without the camera's.
pub const RAYLOOM_MOTION_OBJECTS_ONLY: u32 = 1;
/// The channel holds roughness.
pub const RAYLOOM_ROUGHNESS: u32 = 0;
/// The channel holds 1 - roughness.
pub const RAYLOOM_SMOOTHNESS: u32 = 1;

/// struct_type of rayloom_convention_desc.
pub const RAYLOOM_STRUCT_CONVENTION_DESC: u32 = 20;

/// Every choice by itself: begin with rayloom_convention_init, change what differs, set `convention` of a scene's or
/// view's descriptor to RAYLOOM_CONVENTION_EXPLICIT and its `next` to this.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_convention_desc {
    /// RAYLOOM_STRUCT_CONVENTION_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_convention_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// A RAYLOOM_UP_ value.
    pub up_axis: u32,
    /// A RAYLOOM_HANDEDNESS_ value.
    pub handedness: u32,
    /// A RAYLOOM_CAMERA_ value.
    pub camera_axes: u32,
    /// Metres in a unit of length, above 0.
    pub metres_per_unit: f32,
    /// A RAYLOOM_MATRIX_ value.
    pub matrix_storage: u32,
    /// A RAYLOOM_VECTOR_ value.
    pub vector_side: u32,
    /// A RAYLOOM_WINDING_ value.
    pub winding: u32,
    /// A RAYLOOM_UV_ value.
    pub uv_origin: u32,
    /// A RAYLOOM_NORMAL_MAP_GREEN_ value.
    pub normal_map_green: u32,
    /// RAYLOOM_NORMAL_WORLD or _VIEW.
    pub normal_space: u32,
    /// RAYLOOM_NORMAL_SIGNED, _BIASED or _OCTAHEDRAL.
    pub normal_encoding: u32,
    /// A RAYLOOM_DEPTH_ value.
    pub depth_encoding: u32,
    /// Distance of the near plane in units, above 0; unused by RAYLOOM_DEPTH_LINEAR.
    pub near_plane: f32,
    /// Distance of the far plane in units; 0 = infinite.
    pub far_plane: f32,
    /// RAYLOOM_MOTION_PLAIN, _BIASED, _UNREAL4 or _UNREAL5.
    pub motion_encoding: u32,
    /// RAYLOOM_MOTION_PIXELS, _UV or _NDC.
    pub motion_unit: u32,
    /// RAYLOOM_MOTION_PREVIOUS_MINUS_CURRENT or _CURRENT_MINUS_PREVIOUS.
    pub motion_direction: u32,
    /// RAYLOOM_MOTION_Y_DOWN or _UP.
    pub motion_y: u32,
    /// RAYLOOM_MOTION_JITTER_EXCLUDED or _INCLUDED.
    pub motion_jitter: u32,
    /// RAYLOOM_MOTION_CAMERA_AND_OBJECTS or _OBJECTS_ONLY.
    pub motion_content: u32,
    /// Raw value of both channels where no motion was written; one that motion never has (-65504) = it is always written.
    pub motion_unwritten: f32,
    /// Channel of the roughness/metalness plane that holds roughness: 0 to 3.
    pub roughness_channel: u32,
    /// Channel that holds metalness: 0 to 3.
    pub metalness_channel: u32,
    /// RAYLOOM_ROUGHNESS or RAYLOOM_SMOOTHNESS.
    pub roughness_kind: u32,
    /// Lights' colours times this are W/m2 and W/sr; 1 gives light back in the engine's own unit.
    pub light_scale: f32,
    /// Emissive colours times this are radiance in the same unit.
    pub emissive_scale: f32,
    /// 0.
    pub reserved: u32,
}
descriptor!(rayloom_convention_desc, RAYLOOM_STRUCT_CONVENTION_DESC);

/// Fills `desc`, which RAYLOOM_CONVENTION_DESC_INIT began, with RAYLOOM_CONVENTION_GLTF, _UNREAL or _UNITY.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_convention_init(preset: u32, desc: *mut rayloom_convention_desc) -> rayloom_result {
    boundary::call("rayloom_convention_init", || {
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out_struct("desc", desc) }?;
        let preset = self::preset(preset).ok_or_else(|| {
            let text = format!("preset is {preset}: use RAYLOOM_CONVENTION_GLTF, _UNREAL or _UNITY");
            Failure::argument(text)
        })?;
        out.write(describe(&preset));
        Ok(())
    })
}

/// The convention that a descriptor names; `extension` is what its `next` points to.
pub(crate) fn convention(number: u32, extension: Option<&rayloom_convention_desc>) -> Result<Convention, Failure> {
    match (number, extension) {
        (RAYLOOM_CONVENTION_EXPLICIT, Some(desc)) => explicit(desc),
        (RAYLOOM_CONVENTION_EXPLICIT, None) => Err(Failure::argument(
            "desc->convention is RAYLOOM_CONVENTION_EXPLICIT: desc->next must point to a rayloom_convention_desc",
        )),
        (_, Some(_)) => Err(Failure::argument(format!(
            "desc->convention is {number}, but desc->next is a rayloom_convention_desc: set RAYLOOM_CONVENTION_EXPLICIT"
        ))),
        (number, None) => preset(number).ok_or_else(|| {
            Failure::argument(format!(
                "desc->convention is {number}, which is none: use RAYLOOM_CONVENTION_GLTF, _UNREAL, _UNITY or _EXPLICIT"
            ))
        }),
    }
}

/// What of a frame's error C is told.
pub(crate) fn failure(error: sdk::frame::FrameError) -> Failure {
    Failure::argument(match error {
        sdk::frame::FrameError::Convention(text) => text,
        other => other.to_string(),
    })
}

fn preset(number: u32) -> Option<Convention> {
    match number {
        RAYLOOM_CONVENTION_GLTF => Some(Convention::GLTF),
        RAYLOOM_CONVENTION_UNREAL => Some(Convention::UNREAL),
        RAYLOOM_CONVENTION_UNITY => Some(Convention::UNITY),
        _ => None,
    }
}

fn explicit(desc: &rayloom_convention_desc) -> Result<Convention, Failure> {
    crate::view::check_reserved("rayloom_convention_desc.reserved", desc.reserved)?;
    fn choice<T>(name: &str, number: u32, of: fn(u32) -> Option<T>) -> Result<T, Failure> {
        of(number)
            .ok_or_else(|| Failure::argument(format!("rayloom_convention_desc.{name} is {number}, which is none")))
    }
    let convention = Convention {
        up_axis: choice("up_axis", desc.up_axis, UpAxis::from_u32)?,
        handedness: choice("handedness", desc.handedness, Handedness::from_u32)?,
        camera_axes: choice("camera_axes", desc.camera_axes, CameraAxes::from_u32)?,
        metres_per_unit: desc.metres_per_unit,
        matrix_storage: choice("matrix_storage", desc.matrix_storage, MatrixStorage::from_u32)?,
        vector_side: choice("vector_side", desc.vector_side, VectorSide::from_u32)?,
        winding: choice("winding", desc.winding, Winding::from_u32)?,
        uv_origin: choice("uv_origin", desc.uv_origin, UvOrigin::from_u32)?,
        normal_map_green: choice("normal_map_green", desc.normal_map_green, NormalMapGreen::from_u32)?,
        normal_space: choice("normal_space", desc.normal_space, NormalSpace::from_u32)?,
        normal_encoding: choice("normal_encoding", desc.normal_encoding, NormalEncoding::from_u32)?,
        depth_encoding: choice("depth_encoding", desc.depth_encoding, DepthEncoding::from_u32)?,
        near: desc.near_plane,
        far: desc.far_plane,
        motion_encoding: choice("motion_encoding", desc.motion_encoding, MotionEncoding::from_u32)?,
        motion_unit: choice("motion_unit", desc.motion_unit, MotionUnit::from_u32)?,
        motion_direction: choice("motion_direction", desc.motion_direction, MotionDirection::from_u32)?,
        motion_y: choice("motion_y", desc.motion_y, MotionY::from_u32)?,
        motion_jitter: choice("motion_jitter", desc.motion_jitter, MotionJitter::from_u32)?,
        motion_content: choice("motion_content", desc.motion_content, MotionContent::from_u32)?,
        motion_unwritten: desc.motion_unwritten,
        roughness_channel: desc.roughness_channel,
        metalness_channel: desc.metalness_channel,
        roughness_kind: choice("roughness_kind", desc.roughness_kind, RoughnessKind::from_u32)?,
        light_scale: desc.light_scale,
        emissive_scale: desc.emissive_scale,
    };
    convention.check().map_err(failure)?;
    Ok(convention)
}

fn describe(convention: &Convention) -> rayloom_convention_desc {
    rayloom_convention_desc {
        struct_type: RAYLOOM_STRUCT_CONVENTION_DESC,
        struct_size: size_of::<rayloom_convention_desc>() as u32,
        next: std::ptr::null(),
        up_axis: convention.up_axis as u32,
        handedness: convention.handedness as u32,
        camera_axes: convention.camera_axes as u32,
        metres_per_unit: convention.metres_per_unit,
        matrix_storage: convention.matrix_storage as u32,
        vector_side: convention.vector_side as u32,
        winding: convention.winding as u32,
        uv_origin: convention.uv_origin as u32,
        normal_map_green: convention.normal_map_green as u32,
        normal_space: convention.normal_space as u32,
        normal_encoding: convention.normal_encoding as u32,
        depth_encoding: convention.depth_encoding as u32,
        near_plane: convention.near,
        far_plane: convention.far,
        motion_encoding: convention.motion_encoding as u32,
        motion_unit: convention.motion_unit as u32,
        motion_direction: convention.motion_direction as u32,
        motion_y: convention.motion_y as u32,
        motion_jitter: convention.motion_jitter as u32,
        motion_content: convention.motion_content as u32,
        motion_unwritten: convention.motion_unwritten,
        roughness_channel: convention.roughness_channel,
        metalness_channel: convention.metalness_channel,
        roughness_kind: convention.roughness_kind as u32,
        light_scale: convention.light_scale,
        emissive_scale: convention.emissive_scale,
        reserved: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_survive_the_way_to_c_and_back() {
        for (number, preset) in [
            (RAYLOOM_CONVENTION_GLTF, Convention::GLTF),
            (RAYLOOM_CONVENTION_UNREAL, Convention::UNREAL),
            (RAYLOOM_CONVENTION_UNITY, Convention::UNITY),
        ] {
            let desc = describe(&preset);
            let back = convention(RAYLOOM_CONVENTION_EXPLICIT, Some(&desc)).unwrap();
            assert_eq!(back, convention(number, None).unwrap());
            assert_eq!(back, preset);
        }
    }

    #[test]
    fn constants_have_the_numbers_that_they_name() {
        macro_rules! same {
            ($($value:expr, $constant:ident;)+) => {$(
                assert_eq!(($value as u32, $value.constant()), ($constant, stringify!($constant)));
            )+};
        }
        same! {
            UpAxis::Y, RAYLOOM_UP_Y;
            UpAxis::Z, RAYLOOM_UP_Z;
            Handedness::Right, RAYLOOM_HANDEDNESS_RIGHT;
            Handedness::Left, RAYLOOM_HANDEDNESS_LEFT;
            CameraAxes::BackZ, RAYLOOM_CAMERA_BACK_Z;
            CameraAxes::ForwardZ, RAYLOOM_CAMERA_FORWARD_Z;
            CameraAxes::ForwardX, RAYLOOM_CAMERA_FORWARD_X;
            CameraAxes::ForwardZDownY, RAYLOOM_CAMERA_FORWARD_Z_DOWN_Y;
            MatrixStorage::ColumnMajor, RAYLOOM_MATRIX_COLUMN_MAJOR;
            MatrixStorage::RowMajor, RAYLOOM_MATRIX_ROW_MAJOR;
            VectorSide::Column, RAYLOOM_VECTOR_COLUMN;
            VectorSide::Row, RAYLOOM_VECTOR_ROW;
            Winding::CounterClockwise, RAYLOOM_WINDING_COUNTER_CLOCKWISE;
            Winding::Clockwise, RAYLOOM_WINDING_CLOCKWISE;
            UvOrigin::TopLeft, RAYLOOM_UV_TOP_LEFT;
            UvOrigin::BottomLeft, RAYLOOM_UV_BOTTOM_LEFT;
            NormalMapGreen::Up, RAYLOOM_NORMAL_MAP_GREEN_UP;
            NormalMapGreen::Down, RAYLOOM_NORMAL_MAP_GREEN_DOWN;
            NormalSpace::World, RAYLOOM_NORMAL_WORLD;
            NormalSpace::View, RAYLOOM_NORMAL_VIEW;
            NormalEncoding::Signed, RAYLOOM_NORMAL_SIGNED;
            NormalEncoding::Biased, RAYLOOM_NORMAL_BIASED;
            NormalEncoding::Octahedral, RAYLOOM_NORMAL_OCTAHEDRAL;
            DepthEncoding::Linear, RAYLOOM_DEPTH_LINEAR;
            DepthEncoding::Forward, RAYLOOM_DEPTH_FORWARD;
            DepthEncoding::Reversed, RAYLOOM_DEPTH_REVERSED;
            DepthEncoding::ForwardInfinite, RAYLOOM_DEPTH_FORWARD_INFINITE;
            DepthEncoding::ReversedInfinite, RAYLOOM_DEPTH_REVERSED_INFINITE;
            DepthEncoding::ForwardSigned, RAYLOOM_DEPTH_FORWARD_SIGNED;
            MotionEncoding::Plain, RAYLOOM_MOTION_PLAIN;
            MotionEncoding::Biased, RAYLOOM_MOTION_BIASED;
            MotionEncoding::Unreal4, RAYLOOM_MOTION_UNREAL4;
            MotionEncoding::Unreal5, RAYLOOM_MOTION_UNREAL5;
            MotionUnit::Pixels, RAYLOOM_MOTION_PIXELS;
            MotionUnit::TextureCoordinates, RAYLOOM_MOTION_UV;
            MotionUnit::NormalizedDevice, RAYLOOM_MOTION_NDC;
            MotionDirection::PreviousMinusCurrent, RAYLOOM_MOTION_PREVIOUS_MINUS_CURRENT;
            MotionDirection::CurrentMinusPrevious, RAYLOOM_MOTION_CURRENT_MINUS_PREVIOUS;
            MotionY::Down, RAYLOOM_MOTION_Y_DOWN;
            MotionY::Up, RAYLOOM_MOTION_Y_UP;
            MotionJitter::Excluded, RAYLOOM_MOTION_JITTER_EXCLUDED;
            MotionJitter::Included, RAYLOOM_MOTION_JITTER_INCLUDED;
            MotionContent::CameraAndObjects, RAYLOOM_MOTION_CAMERA_AND_OBJECTS;
            MotionContent::ObjectsOnly, RAYLOOM_MOTION_OBJECTS_ONLY;
            RoughnessKind::Roughness, RAYLOOM_ROUGHNESS;
            RoughnessKind::Smoothness, RAYLOOM_SMOOTHNESS;
        }
    }

    #[test]
    fn descriptors_that_contradict_themselves_are_refused() {
        let desc = describe(&Convention::UNREAL);
        let refused = |number, extension: Option<&rayloom_convention_desc>, text: &str| {
            let message = convention(number, extension).unwrap_err().text;
            assert!(message.contains(text), "{message}");
        };
        refused(9, None, "is 9");
        refused(RAYLOOM_CONVENTION_EXPLICIT, None, "desc->next");
        refused(RAYLOOM_CONVENTION_UNREAL, Some(&desc), "RAYLOOM_CONVENTION_EXPLICIT");
        let broken = rayloom_convention_desc { depth_encoding: 6, ..desc };
        refused(RAYLOOM_CONVENTION_EXPLICIT, Some(&broken), "depth_encoding is 6");
        let broken = rayloom_convention_desc { near_plane: -1.0, ..desc };
        refused(RAYLOOM_CONVENTION_EXPLICIT, Some(&broken), "near is -1");
        let broken = rayloom_convention_desc { reserved: 1, ..desc };
        refused(RAYLOOM_CONVENTION_EXPLICIT, Some(&broken), "reserved is 1");
    }
}
