//! Meshes and lights of a convention, in glTF space.

use super::{Convention, Handedness, NormalMapGreen, UvOrigin, Winding};
use glam::Vec2;
use rayloom_scene::{Light, Material, Mesh};

impl Convention {
    /// Converts a mesh in place, with its morph targets. Joints are numbers and stay; palettes are converted by
    /// [`Convention::transform`].
    ///
    /// Corners keep their order unless the engine's triangles face the viewer clockwise: what is seen stays what is seen,
    /// so left-handed axes alone turn no triangle around.
    pub fn convert_mesh(&self, mesh: &mut Mesh) {
        mesh.positions.iter_mut().for_each(|p| *p = self.point(*p));
        mesh.normals.iter_mut().for_each(|n| *n = self.direction(*n));
        // A bitangent is the cross product of normal and tangent times a sign. Both green and the engine's bitangents point
        // the same way, whichever it is; but the cross product is another in axes of the other hand.
        let sign = if self.handedness == Handedness::Left { -1.0 } else { 1.0 };
        mesh.tangents.iter_mut().for_each(|t| *t = self.direction(t.truncate()).extend(t.w * sign));
        for target in &mut mesh.targets {
            // Differences of points: no axis system has an offset to add.
            target.positions.iter_mut().for_each(|delta| *delta = self.point(*delta));
            target.normals.iter_mut().chain(&mut target.tangents).for_each(|delta| *delta = self.direction(*delta));
        }
        if self.uv_origin == UvOrigin::BottomLeft {
            mesh.uvs.iter_mut().for_each(|uv| uv.y = 1.0 - uv.y);
        }
        if self.winding == Winding::Clockwise {
            mesh.indices.as_chunks_mut::<3>().0.iter_mut().for_each(|triangle| triangle.swap(1, 2));
        }
    }

    /// Turns the bitangents of tangents that were computed from texture coordinates (they point up the texture) to where
    /// this convention's normal maps have green; for meshes that came without tangents.
    pub fn convert_computed_tangents(&self, mesh: &mut Mesh) {
        if self.normal_map_green == NormalMapGreen::Down {
            mesh.tangents.iter_mut().for_each(|t| t.w = -t.w);
        }
    }

    /// Converts a material in place: its emission, the lengths of its glass, and how its textures lie if their coordinates
    /// begin at the bottom.
    pub fn convert_material(&self, material: &mut Material) {
        material.emissive *= self.emissive_scale;
        material.thickness *= self.metres_per_unit;
        material.attenuation_distance *= self.metres_per_unit;
        if self.uv_origin == UvOrigin::TopLeft {
            return;
        }
        let slots = [
            &mut material.base_color_texture,
            &mut material.metallic_roughness_texture,
            &mut material.normal_texture,
            &mut material.occlusion_texture,
            &mut material.emissive_texture,
            &mut material.transmission_texture,
            &mut material.thickness_texture,
        ];
        for slot in slots.into_iter().flatten() {
            // offset + rotation * scale * uv, with v counted from the other end before and after.
            let (sin, cos) = slot.rotation.sin_cos();
            let end = Vec2::new(sin, cos) * slot.scale.y;
            slot.offset = Vec2::new(slot.offset.x + end.x, 1.0 - slot.offset.y - end.y);
            slot.rotation = -slot.rotation;
        }
    }

    /// A light in glTF space, metres and [`Light::color`]'s units.
    pub fn light(&self, light: &Light) -> Light {
        Light {
            color: light.color * self.light_scale,
            position: self.point(light.position),
            direction: self.direction(light.direction),
            range: light.range * self.metres_per_unit,
            ..*light
        }
    }

    /// The inverse of [`Convention::light`]; black where all light is scaled to none.
    pub fn light_back(&self, light: &Light) -> Light {
        Light {
            color: if self.light_scale > 0.0 { light.color / self.light_scale } else { light.color },
            position: self.point_back(light.position),
            direction: self.direction_back(light.direction),
            range: light.range / self.metres_per_unit,
            ..*light
        }
    }
}
