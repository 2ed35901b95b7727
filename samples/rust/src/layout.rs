//! The structures that shaders read, byte for byte (see `shaders/frame.glsl`).

use crate::FrameDesc;
use bytemuck::{Pod, Zeroable};
use glam::{Affine3A, Mat3A, Vec2, Vec3};
use rayloom_scene::{Camera, Material, TextureSlot};

/// Distance of the near plane in metres. Depth is `NEAR / distance`, so a float's precision is alike at any distance.
pub const NEAR: f32 = 0.05;

/// `Frame` of frame.glsl.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct FrameParams {
    axes: [[f32; 4]; 3],
    lens: [f32; 4],
    previous_axes: [[f32; 4]; 3],
    previous_lens: [f32; 4],
    extent: [f32; 4],
}

impl FrameParams {
    pub(crate) fn new(frame: &FrameDesc<'_>, width: u32, height: u32) -> FrameParams {
        let (camera, previous) = (frame.camera, frame.previous_camera);
        let (w, h) = (width as f32, height as f32);
        FrameParams {
            axes: axes(&camera, NEAR),
            lens: [camera.center.x, camera.center.y, camera.jitter.x, camera.jitter.y],
            previous_axes: axes(&previous, NEAR),
            previous_lens: [previous.center.x, previous.center.y, 0.0, 0.0],
            extent: [w, h, camera.tan_half_fov.y / h, 0.0],
        }
    }
}

/// Right, up and back, each with what the shader keeps in its fourth component.
fn axes(camera: &Camera, near: f32) -> [[f32; 4]; 3] {
    let m = Mat3A::from_quat(camera.rotation);
    [
        [m.x_axis.x, m.x_axis.y, m.x_axis.z, camera.tan_half_fov.x],
        [m.y_axis.x, m.y_axis.y, m.y_axis.z, camera.tan_half_fov.y],
        [m.z_axis.x, m.z_axis.y, m.z_axis.z, near],
    ]
}

/// `Instance` of frame.glsl.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct GpuInstance {
    rows: [[f32; 4]; 3],
    previous: [[f32; 4]; 3],
    id: u32,
    deforms: u32,
    deformation: u64,
}

impl GpuInstance {
    /// `id`: index in the scene + 1; `deformation`: where its [`GpuDeformation`] is, 0 where it has none.
    pub(crate) fn new(
        transform: &Affine3A,
        previous: &Affine3A,
        frame: &FrameDesc<'_>,
        id: u32,
        deformation: u64,
    ) -> GpuInstance {
        let rows = |t: &Affine3A, eye: Vec3| {
            std::array::from_fn(|row| {
                let r = t.matrix3.row(row);
                [r.x, r.y, r.z, t.translation[row] - eye[row]]
            })
        };
        GpuInstance {
            rows: rows(transform, frame.camera.position),
            previous: rows(previous, frame.previous_camera.position),
            id,
            deforms: u32::from(deformation != 0),
            deformation,
        }
    }
}

/// `Deformation` of frame.glsl.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct GpuDeformation {
    pub(crate) weights: u64,
    pub(crate) joints: u64,
    pub(crate) targets: u64,
    pub(crate) palette: u64,
    pub(crate) previous_palette: u64,
    pub(crate) mixes: u64,
    pub(crate) vertex_offset: i32,
    pub(crate) vertex_count: u32,
    pub(crate) mix_count: u32,
    pub(crate) has_joints: u32,
}

/// A vertex, as the pipeline's attributes read it.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct GpuVertex {
    pub(crate) position: [f32; 3],
    pub(crate) normal: [f32; 3],
    /// Sign of the bitangent in the fourth; 0 without tangents.
    pub(crate) tangent: [f32; 4],
    pub(crate) uv: [f32; 2],
}

/// `Push` of frame.glsl.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct Push {
    pub(crate) frame: u64,
    pub(crate) instances: u64,
    pub(crate) materials: u64,
    pub(crate) material: u32,
    pub(crate) reserved: u32,
}

const TRANSFORMED: u32 = 1;
const COVERING: u32 = 2;
const NO_TEXTURE: u32 = u32::MAX;

/// `Material` of frame.glsl.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct GpuMaterial {
    base: [f32; 4],
    emissive_metallic: [f32; 4],
    roughness: f32,
    normal_scale: f32,
    cutoff: f32,
    flags: u32,
    textures: [u32; 4],
    rotation_scale: [[f32; 4]; 4],
    offsets: [[f32; 2]; 4],
}

impl GpuMaterial {
    pub(crate) fn new(m: &Material) -> GpuMaterial {
        const IDENTITY: TextureSlot = TextureSlot { texture: 0, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 };
        let slots = [m.base_color_texture, m.metallic_roughness_texture, m.normal_texture, m.emissive_texture];
        let moved = |s: &TextureSlot| TextureSlot { texture: 0, ..*s } != IDENTITY;
        GpuMaterial {
            base: m.planar_base_color().extend(m.coverage()).to_array(),
            emissive_metallic: m.emissive.extend(m.metallic).to_array(),
            roughness: m.roughness,
            normal_scale: m.normal_scale,
            cutoff: m.cutoff().unwrap_or(0.0),
            flags: if slots.iter().flatten().any(moved) { TRANSFORMED } else { 0 }
                | if m.is_covering() { COVERING } else { 0 },
            textures: slots.map(|s| s.map_or(NO_TEXTURE, |s| s.texture)),
            // KHR_texture_transform: translation * rotation * scale.
            rotation_scale: slots.map(|s| {
                let s = s.unwrap_or(IDENTITY);
                let (sin, cos) = s.rotation.sin_cos();
                [cos * s.scale.x, sin * s.scale.y, -sin * s.scale.x, cos * s.scale.y]
            }),
            offsets: slots.map(|s| s.unwrap_or(IDENTITY).offset.to_array()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_the_shaders_index_by() {
        assert_eq!(size_of::<FrameParams>(), 9 * 16);
        assert_eq!(size_of::<GpuInstance>(), 7 * 16);
        assert_eq!(size_of::<GpuDeformation>(), 4 * 16);
        assert_eq!(size_of::<GpuVertex>(), 48);
        assert_eq!(size_of::<GpuMaterial>(), 10 * 16);
        assert_eq!(size_of::<Push>(), 32);
    }
}
