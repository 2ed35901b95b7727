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
    /// Alpha is the share of the light that meets the surface; layers of one surface a pixel see it where alpha >= 0.5.
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
    /// Share of the light that goes through what is no metal, 0 to 1 (KHR_materials_transmission).
    pub transmission: f32,
    /// Index of refraction, at least 1; it sets a dielectric's reflectance too (KHR_materials_ior).
    pub ior: f32,
    /// Above 0, what transmits is the surface of a body that refracts; 0: a thin sheet, which bends nothing
    /// (KHR_materials_volume). The way of light through a body is that through its mesh, however thick this says it is.
    pub thickness: f32,
    /// What white light has become after [`Material::attenuation_distance`] within the body, linear RGB in [0, 1].
    pub attenuation_color: Vec3,
    /// Metres, above 0; infinite in clear glass.
    pub attenuation_distance: f32,
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
    /// Red = share of the transmission.
    pub transmission_texture: Option<TextureSlot>,
    /// Green = share of the thickness; where it is 0 the sheet is thin. Files of one or two channels have no green.
    pub thickness_texture: Option<TextureSlot>,
    /// The engine's own name for it.
    pub user_id: u64,
}

/// Coverage from which on a surface is the one that a pixel shows.
const COVERED: f32 = 0.5;

impl Material {
    /// True for bodies of glass, which bend light, as opposed to thin sheets.
    pub fn refracts(&self) -> bool {
        self.transmission > 0.0 && self.thickness > 0.0
    }

    /// True for thin sheets of glass, and bodies that a texture may make thin in places: light goes through unbent.
    pub fn is_thin_glass(&self) -> bool {
        self.transmission > 0.0 && (self.thickness <= 0.0 || self.thickness_texture.is_some())
    }

    /// What a metre within the body takes, by channel: light is multiplied by `exp(-absorption * metres)`.
    #[allow(clippy::manual_clamp, reason = "clamp would keep NaN")]
    pub fn absorption(&self) -> Vec3 {
        if !self.refracts() {
            return Vec3::ZERO;
        }
        // Black after its distance is as good as 1e-20, and finite; f32's own max drops NaN.
        self.attenuation_color.map(|c| (-c.clamp(1e-20, 1.0).ln() / self.attenuation_distance).max(0.0).min(1e20))
    }

    /// True when alpha and what goes through thin glass are the share of the light that goes on as if nothing were there.
    pub fn is_covering(&self) -> bool {
        self.alpha == AlphaMode::Blend || self.alpha == AlphaMode::Opaque && self.transmission > 0.0 && !self.refracts()
    }

    /// What a picture's plane of base colours has for it, before its texture: of glass, what it does not let through.
    pub fn planar_base_color(&self) -> Vec3 {
        let transmission = if self.refracts() { self.transmission.clamp(0.0, 1.0) } else { 0.0 };
        let metallic = self.metallic.clamp(0.0, 1.0);
        self.base_color.truncate() * (1.0 - transmission * (1.0 - metallic))
    }

    /// The share of light that meets the surface, in [0, 1], before its texture's alpha: alpha where it counts, less what goes
    /// through thin glass.
    pub fn coverage(&self) -> f32 {
        let alpha = if self.alpha == AlphaMode::Opaque { 1.0 } else { self.base_color.w };
        let glass = if self.refracts() { 0.0 } else { self.transmission.clamp(0.0, 1.0) };
        let through = glass * (1.0 - self.metallic.clamp(0.0, 1.0));
        if self.is_covering() { alpha * (1.0 - through) } else { alpha }
    }

    /// Where a picture has one surface a pixel: the least coverage, texture included, at which this is it. `None` where it
    /// always is.
    pub fn cutoff(&self) -> Option<f32> {
        match self.alpha {
            AlphaMode::Mask { cutoff } => Some(cutoff),
            AlphaMode::Opaque | AlphaMode::Blend => self.is_covering().then_some(COVERED),
        }
    }

    /// True when light may pass through parts of the surface.
    pub fn has_holes(&self) -> bool {
        let textured = self.base_color_texture.is_some();
        let by_alpha = match self.alpha {
            AlphaMode::Mask { cutoff } => textured || self.base_color.w < cutoff,
            AlphaMode::Blend => textured || self.base_color.w < 1.0,
            AlphaMode::Opaque => false,
        };
        by_alpha || self.is_thin_glass()
    }

    /// The seven texture inputs: base colour, metallic-roughness, normal, occlusion, emissive, transmission, thickness.
    pub fn texture_slots(&self) -> impl Iterator<Item = &Option<TextureSlot>> {
        [
            &self.base_color_texture,
            &self.metallic_roughness_texture,
            &self.normal_texture,
            &self.occlusion_texture,
            &self.emissive_texture,
            &self.transmission_texture,
            &self.thickness_texture,
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
            transmission: 0.0,
            ior: 1.5,
            thickness: 0.0,
            attenuation_color: Vec3::ONE,
            attenuation_distance: f32::INFINITY,
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
            transmission_texture: None,
            thickness_texture: None,
            user_id: 0,
        }
    }
}
