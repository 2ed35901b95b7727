//! The structures that shaders read, byte for byte (see `params.glsl`, `material.glsl`, `lighting.glsl`).

use bytemuck::{Pod, Zeroable};
use glam::{Affine3A, Vec3};
use rayloom_scene::{AlphaMode, Camera, Light, LightShape, Material, TextureSlot};

/// `Params` of params.glsl.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct Params {
    pub(crate) tlas: u64,
    pub(crate) instances: u64,
    pub(crate) materials: u64,
    pub(crate) textures: u64,
    pub(crate) lights: u64,
    pub(crate) tables: u64,
    pub(crate) depth: u64,
    pub(crate) normal: u64,
    pub(crate) base_color: u64,
    pub(crate) material: u64,
    pub(crate) motion: u64,
    pub(crate) instance_id: u64,
    pub(crate) geometric_normal: u64,
    pub(crate) unlit: u64,
    pub(crate) block_rays: u64,
    pub(crate) punctual_end: u32,
    pub(crate) depth_error: f32,
    pub(crate) light_tree: u64,
    pub(crate) sun_luminance: f32,
    pub(crate) tree_lights: u32,
    pub(crate) rect: [u32; 4],
    pub(crate) view: [u32; 4],
    pub(crate) blocks: [u32; 4],
    pub(crate) camera: CameraParams,
    pub(crate) zenith: [f32; 4],
    pub(crate) horizon: [f32; 4],
    pub(crate) ground: [f32; 4],
}

/// The camera's part of `Params`.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct CameraParams {
    ray_origin: [f32; 4],
    ray_base: [f32; 4],
    ray_dx: [f32; 4],
    ray_dy: [f32; 4],
    previous_position: [f32; 4],
    previous_right: [f32; 4],
    previous_up: [f32; 4],
    previous_back: [f32; 4],
    previous_lens: [f32; 4],
}

impl CameraParams {
    pub(crate) fn new(
        camera: &Camera,
        previous: &Camera,
        [width, height]: [u32; 2],
        pre_exposure: f32,
    ) -> CameraParams {
        let (w, h) = (width as f32, height as f32);
        let tan = camera.tan_half_fov;
        let (right, up, back) = (camera.rotation * Vec3::X, camera.rotation * Vec3::Y, camera.rotation * Vec3::Z);
        let corner = glam::Vec2::new(camera.jitter.x * 2.0 / w - 1.0, 1.0 - camera.jitter.y * 2.0 / h) - camera.center;
        let base = right * (corner.x * tan.x) + up * (corner.y * tan.y) - back;
        CameraParams {
            ray_origin: camera.position.extend(tan.y / h).to_array(),
            ray_base: base.extend(pre_exposure).to_array(),
            ray_dx: (right * (2.0 / w * tan.x)).extend(0.0).to_array(),
            ray_dy: (up * (-2.0 / h * tan.y)).extend(0.0).to_array(),
            previous_position: previous.position.extend(0.0).to_array(),
            previous_right: (previous.rotation * Vec3::X).extend(previous.tan_half_fov.x).to_array(),
            previous_up: (previous.rotation * Vec3::Y).extend(previous.tan_half_fov.y).to_array(),
            previous_back: (previous.rotation * Vec3::Z).extend(0.0).to_array(),
            previous_lens: [previous.center.x, previous.center.y, camera.jitter.x, camera.jitter.y],
        }
    }
}

/// `Push` of params.glsl.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct Push {
    pub(crate) params: u64,
    pub(crate) target: u64,
    pub(crate) source: u64,
    pub(crate) samples: u32,
    pub(crate) scale: u32,
    pub(crate) sample_offset: [u32; 2],
    pub(crate) radius: u32,
    pub(crate) axis: u32,
    pub(crate) kind: u32,
    pub(crate) bounces: u32,
}

/// An instance: rows of its transform now, in the previous frame and the other way, and its mesh's addresses.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct GpuInstance {
    pub(crate) transform: [[f32; 4]; 3],
    pub(crate) previous: [[f32; 4]; 3],
    pub(crate) vertices: u64,
    pub(crate) triangles: u64,
    /// First triangles of the geometries of its acceleration structure; 0 where it is one geometry.
    pub(crate) geometries: u64,
    /// Its luminous triangles in the table of lights: the first, and how many.
    pub(crate) luminous: [u32; 2],
    pub(crate) inverse: [[f32; 4]; 3],
    /// Where its vertices were in the previous frame, in its mesh's space: four floats each; 0 where they do not move there.
    pub(crate) previous_vertices: u64,
    pub(crate) reserved: u64,
}

/// `Deformation` of passes/deform.glsl.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct Deformation {
    pub(crate) vertices: u64,
    pub(crate) weights: u64,
    pub(crate) joints: u64,
    pub(crate) targets: u64,
    pub(crate) palette: u64,
    pub(crate) previous_palette: u64,
    pub(crate) mixes: u64,
    pub(crate) shaped: u64,
    pub(crate) previous: u64,
    pub(crate) vertex_count: u32,
    pub(crate) mix_count: u32,
}

/// Rows of an affine transform.
pub(crate) fn rows(t: &Affine3A) -> [[f32; 4]; 3] {
    std::array::from_fn(|row| {
        let r = t.matrix3.row(row);
        [r.x, r.y, r.z, t.translation[row]]
    })
}

/// A vertex.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct GpuVertex {
    pub(crate) position: [f32; 3],
    pub(crate) normal: u32,
    pub(crate) uv: [f32; 2],
    pub(crate) tangent: u32,
    pub(crate) handedness: f32,
}

/// A light.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct GpuLight {
    color_shape: [f32; 4],
    position_range: [f32; 4],
    direction_disc: [f32; 4],
    cone: [f32; 4],
}

impl GpuLight {
    /// A luminous triangle; `radiance` leaves it on both sides, times its material's texture where it is `textured`.
    pub(crate) fn triangle(
        corners: [Vec3; 3],
        radiance: Vec3,
        textured: bool,
        instance: u32,
        primitive: u32,
    ) -> GpuLight {
        GpuLight {
            color_shape: radiance.extend(if textured { 4.0 } else { 3.0 }).to_array(),
            position_range: corners[0].extend(f32::from_bits(primitive)).to_array(),
            direction_disc: (corners[1] - corners[0]).extend(f32::from_bits(instance)).to_array(),
            cone: (corners[2] - corners[0]).extend(0.0).to_array(),
        }
    }

    /// With its way down the tree of lights, if it is a triangle.
    pub(crate) fn on_way(mut self, way: u32) -> GpuLight {
        if self.color_shape[3] >= 3.0 {
            self.cone[3] = f32::from_bits(way);
        }
        self
    }

    pub(crate) fn new(light: &Light) -> GpuLight {
        let direction = light.direction.normalize_or(Vec3::NEG_Y);
        let (shape, disc, cone) = match light.shape {
            LightShape::Directional { angle } => (0.0, angle.clamp(0.0, std::f32::consts::FRAC_PI_2).cos(), [0.0; 4]),
            LightShape::Point => (1.0, 1.0, [0.0; 4]),
            LightShape::Spot { inner, outer } => {
                // KHR_lights_punctual's recommended attenuation.
                let scale = 1.0 / (inner.cos() - outer.cos()).max(1e-3);
                (2.0, 1.0, [scale, -outer.cos() * scale, 0.0, 0.0])
            }
        };
        GpuLight {
            color_shape: light.color.max(Vec3::ZERO).extend(shape).to_array(),
            position_range: light.position.extend(light.range.max(0.0)).to_array(),
            direction_disc: direction.extend(disc).to_array(),
            cone,
        }
    }
}

const MATERIAL_ALPHA: u32 = 1;
const MATERIAL_TRANSFORMED: u32 = 2;
const MATERIAL_EMISSIVE: u32 = 4;
const MATERIAL_SAMPLED: u32 = 8;
const MATERIAL_COVERED: u32 = 16;
const MATERIAL_REFRACTS: u32 = 32;
const MATERIAL_THIN: u32 = 64;
/// Inputs with a texture that shaders read.
const SLOTS: usize = 6;
const NO_TEXTURE: u32 = u32::MAX;
/// A material.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct GpuMaterial {
    base_color: [f32; 4],
    emissive_metallic: [f32; 4],
    roughness: f32,
    normal_scale: f32,
    cutoff: f32,
    flags: u32,
    textures: [u32; 4],
    transforms: [[f32; 4]; SLOTS],
    offsets: [[f32; 2]; SLOTS],
    transmission: f32,
    ior: f32,
    glass_textures: [u32; 2],
    absorption: [f32; 3],
    reserved: f32,
}

impl GpuMaterial {
    /// `sampled`: its triangles are in the table of lights.
    pub(crate) fn new(m: &Material, sampled: bool) -> GpuMaterial {
        let slots: [_; SLOTS] = [
            &m.base_color_texture,
            &m.metallic_roughness_texture,
            &m.normal_texture,
            &m.emissive_texture,
            &m.transmission_texture,
            &m.thickness_texture,
        ];
        let [base, metal, normal, emissive, transmission, thickness] =
            slots.map(|s| s.as_ref().map_or(NO_TEXTURE, |s| s.texture));
        let identity =
            |s: &TextureSlot| s.rotation == 0.0 && s.scale == glam::Vec2::ONE && s.offset == glam::Vec2::ZERO;
        let mut flags = 0;
        if m.has_holes() {
            flags |= MATERIAL_ALPHA;
        }
        if slots.iter().any(|s| s.as_ref().is_some_and(|s| !identity(s))) {
            flags |= MATERIAL_TRANSFORMED;
        }
        if m.is_covering() {
            flags |= MATERIAL_COVERED;
        }
        if m.refracts() {
            flags |= MATERIAL_REFRACTS;
        }
        if m.is_thin_glass() {
            flags |= MATERIAL_THIN;
        }
        if m.emissive.max_element() > 0.0 {
            flags |= MATERIAL_EMISSIVE;
        }
        if sampled {
            flags |= MATERIAL_SAMPLED;
        }
        GpuMaterial {
            base_color: m
                .base_color
                .truncate()
                .extend(if m.alpha == AlphaMode::Opaque { 1.0 } else { m.base_color.w })
                .to_array(),
            emissive_metallic: m.emissive.extend(m.metallic).to_array(),
            roughness: m.roughness,
            normal_scale: m.normal_scale,
            cutoff: m.cutoff().unwrap_or(f32::NEG_INFINITY),
            flags,
            textures: [base, metal, normal, emissive],
            // KHR_texture_transform: translation * rotation * scale.
            transforms: slots.map(|s| {
                let s = s.as_ref().copied().unwrap_or(TextureSlot {
                    texture: 0,
                    offset: glam::Vec2::ZERO,
                    scale: glam::Vec2::ONE,
                    rotation: 0.0,
                });
                let (sin, cos) = s.rotation.sin_cos();
                [cos * s.scale.x, sin * s.scale.y, -sin * s.scale.x, cos * s.scale.y]
            }),
            offsets: slots.map(|s| s.as_ref().map_or([0.0; 2], |s| s.offset.to_array())),
            transmission: m.transmission.clamp(0.0, 1.0),
            ior: if m.ior >= 1.0 { m.ior.max(LEAST_IOR) } else { DEFAULT_IOR },
            glass_textures: [transmission, thickness],
            absorption: m.absorption().to_array(),
            reserved: 0.0,
        }
    }
}

/// What 0 or nonsense as an index of refraction stands for, as in KHR_materials_ior.
const DEFAULT_IOR: f32 = 1.5;
/// Below it 32 bits do not know which facet bent light.
const LEAST_IOR: f32 = 1.001;

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::size_of;

    #[test]
    fn sizes_are_what_the_shaders_index_by() {
        assert_eq!(size_of::<Params>(), 16 * 8 + 16 + (3 + 9 + 3) * 16);
        assert_eq!(size_of::<Push>(), 56);
        assert_eq!(size_of::<GpuInstance>(), 12 * 16);
        assert_eq!(size_of::<Deformation>(), 80);
        assert_eq!(size_of::<GpuVertex>(), 32);
        assert_eq!(size_of::<GpuLight>(), 4 * 16);
        assert_eq!(size_of::<GpuMaterial>(), 15 * 16);
    }

    #[test]
    fn the_shader_ray_is_the_cameras() {
        let mut camera = Camera::look_at(Vec3::new(1.0, 2.0, 3.0), Vec3::ZERO, 0.8, 1.5);
        camera.jitter = glam::Vec2::new(0.25, -0.4);
        camera.center = glam::Vec2::new(0.1, -0.2);
        let p = CameraParams::new(&camera, &camera, [300, 200], 1.0);
        let v = |a: [f32; 4]| Vec3::new(a[0], a[1], a[2]);
        for (x, y) in [(0u32, 0u32), (150, 33), (299, 199)] {
            let pixel = glam::Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
            let ray = v(p.ray_base) + v(p.ray_dx) * pixel.x + v(p.ray_dy) * pixel.y;
            assert!((ray - camera.ray(pixel, glam::Vec2::new(300.0, 200.0))).length() < 1e-5);
        }
    }
}
