//! glTF 2.0 metallic-roughness materials.

use glam::{Vec2, Vec3, Vec4};

/// How a surface's alpha is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlphaMode {
    /// Alpha is ignored.
    Opaque,
    /// Where alpha < cutoff there is no surface.
    Mask {
        /// The threshold, in [0, 1].
        cutoff: f32,
    },
    /// Blended; traced as opaque where alpha >= 0.5 until the transparent layer exists.
    Blend,
}

/// Which texture a material's input reads, and how its coordinates are transformed (KHR_texture_transform).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextureSlot {
    /// Index into [`crate::Scene::textures`].
    pub texture: u32,
    /// Offset of the coordinates.
    pub offset: Vec2,
    /// Scale of the coordinates.
    pub scale: Vec2,
    /// Rotation of the coordinates in radians.
    pub rotation: f32,
}

/// A surface, as glTF 2.0 describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Material {
    /// Linear RGB and alpha.
    pub base_color: Vec4,
    /// 0 dielectric, 1 metal.
    pub metallic: f32,
    /// Perceptual roughness in [0, 1].
    pub roughness: f32,
    /// Emitted radiance, linear RGB (emissive strength multiplied in).
    pub emissive: Vec3,
    /// How alpha is used.
    pub alpha: AlphaMode,
    /// Shaded from behind too.
    pub double_sided: bool,
    /// Scale of the normal map's x and y.
    pub normal_scale: f32,
    /// Strength of baked occlusion (kept for the engine; traced lighting does not use it).
    pub occlusion_strength: f32,
    /// sRGB colour and alpha.
    pub base_color_texture: Option<TextureSlot>,
    /// Green = roughness, blue = metalness.
    pub metallic_roughness_texture: Option<TextureSlot>,
    /// Tangent-space normals, +Y up (glTF).
    pub normal_texture: Option<TextureSlot>,
    /// Red = occlusion.
    pub occlusion_texture: Option<TextureSlot>,
    /// sRGB colour.
    pub emissive_texture: Option<TextureSlot>,
    /// The engine's own name for it.
    pub user_id: u64,
}

impl Material {
    /// The five texture inputs: base colour, metallic-roughness, normal, occlusion, emissive.
    pub fn texture_slots(&self) -> impl Iterator<Item = &Option<TextureSlot>> {
        [
            &self.base_color_texture,
            &self.metallic_roughness_texture,
            &self.normal_texture,
            &self.occlusion_texture,
            &self.emissive_texture,
        ]
        .into_iter()
    }
}

impl Default for Material {
    /// glTF's defaults: white, metal, rough... with metalness 0, which is what a surface without a material should be.
    fn default() -> Material {
        Material {
            base_color: Vec4::ONE,
            metallic: 0.0,
            roughness: 1.0,
            emissive: Vec3::ZERO,
            alpha: AlphaMode::Opaque,
            double_sided: false,
            normal_scale: 1.0,
            occlusion_strength: 1.0,
            base_color_texture: None,
            metallic_roughness_texture: None,
            normal_texture: None,
            occlusion_texture: None,
            emissive_texture: None,
            user_id: 0,
        }
    }
}
