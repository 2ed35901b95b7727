//! Materials of a scene.

use crate::boundary;
use crate::handles;
use crate::pointer::{self, descriptor};
use crate::result::{Failure, rayloom_result};
use crate::scene::rayloom_scene;
use crate::session::check_flags;
use glam::Vec2;
use sdk::scene::{AlphaMode, Material, TextureSlot};
use std::ffi::c_void;

/// Alpha is ignored.
pub const RAYLOOM_ALPHA_OPAQUE: u32 = 0;
/// Where alpha is below alpha_cutoff there is no surface.
pub const RAYLOOM_ALPHA_MASK: u32 = 1;
/// Blended; for now opaque where alpha is 0.5 or above.
pub const RAYLOOM_ALPHA_BLEND: u32 = 2;

/// Shaded from behind too.
pub const RAYLOOM_MATERIAL_DOUBLE_SIDED: u32 = 1;

/// Instead of an id: none.
pub const RAYLOOM_NONE: u32 = 0xFFFF_FFFF;

/// struct_type of rayloom_material_desc.
pub const RAYLOOM_STRUCT_MATERIAL_DESC: u32 = 13;

/// Which texture an input reads, with coordinates transformed as KHR_texture_transform says.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_texture_slot {
    /// Id of a texture, or RAYLOOM_NONE.
    pub texture: u32,
    /// Rotation in radians.
    pub rotation_rad: f32,
    /// Offset of the coordinates.
    pub offset: [f32; 2],
    /// Scale of the coordinates.
    pub scale: [f32; 2],
}

/// A surface, as glTF 2.0 describes it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_material_desc {
    /// RAYLOOM_STRUCT_MATERIAL_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_material_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// The engine's own name for it.
    pub user_id: u64,
    /// Linear RGB and alpha, 0 to 1.
    pub base_color: [f32; 4],
    /// Emitted radiance, linear RGB.
    pub emissive: [f32; 3],
    /// 0 dielectric, 1 metal.
    pub metallic: f32,
    /// Perceptual roughness, 0 to 1.
    pub roughness: f32,
    /// Scale of the normal map's x and y.
    pub normal_scale: f32,
    /// A RAYLOOM_ALPHA_ value.
    pub alpha_mode: u32,
    /// For RAYLOOM_ALPHA_MASK, 0 to 1.
    pub alpha_cutoff: f32,
    /// RAYLOOM_MATERIAL_ flags.
    pub flags: u32,
    /// Share of the light that goes through what is no metal, 0 to 1; base_color tints it.
    pub transmission: f32,
    /// Index of refraction, at least 1; it sets a dielectric's reflectance too. 0: 1.5.
    pub ior: f32,
    /// 0: what transmits is a thin sheet, which bends nothing and reflects at both faces. Above 0: the surface of a closed
    /// body, which refracts; light's way through it is that through its mesh, however thick this says it is.
    pub thickness: f32,
    /// After this way through the body, in the scene's units, white light has become attenuation_color. 0: clear glass.
    pub attenuation_distance: f32,
    /// Linear RGB, 0 to 1.
    pub attenuation_color: [f32; 3],
    /// sRGB colour and alpha.
    pub base_color_texture: rayloom_texture_slot,
    /// Green = roughness, blue = metalness.
    pub metallic_roughness_texture: rayloom_texture_slot,
    /// Tangent-space normals, +Y up.
    pub normal_texture: rayloom_texture_slot,
    /// sRGB colour.
    pub emissive_texture: rayloom_texture_slot,
    /// Red = share of transmission.
    pub transmission_texture: rayloom_texture_slot,
    /// Green = share of thickness; where it is 0 the sheet is thin. A file of grey alone has no green and is refused.
    pub thickness_texture: rayloom_texture_slot,
}
descriptor!(rayloom_material_desc, RAYLOOM_STRUCT_MATERIAL_DESC);

/// Adds a material and gives its id in the scene. Factors outside their range are clamped at the commit; an index of
/// refraction below 1, a negative thickness and a negative attenuation distance are errors.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_material_create(
    scene: *mut rayloom_scene,
    desc: *const rayloom_material_desc,
    material: *mut u32,
) -> rayloom_result {
    boundary::call("rayloom_material_create", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let (desc, out) = unsafe { (pointer::read("desc", desc)?, pointer::out("material", material)?) };
        let textures = scene.read(|scene| scene.textures.len());
        let mut material = description(&desc, textures).map_err(|failure| failure.of("material", desc.user_id))?;
        scene.convention.convert_material(&mut material);
        out.write(scene.edit(|scene| {
            scene.materials.push(material);
            scene.materials.len() as u32 - 1
        }));
        Ok(())
    })
}

fn description(desc: &rayloom_material_desc, textures: usize) -> Result<Material, Failure> {
    check_flags("desc->flags", desc.flags, RAYLOOM_MATERIAL_DOUBLE_SIDED)?;
    let failure = |field, value, rule| Err(Failure::argument(format!("desc->{field} is {value:?}: {rule}")));
    let one = std::slice::from_ref::<f32>;
    for (field, values) in [
        ("base_color", &desc.base_color[..]),
        ("emissive", &desc.emissive[..]),
        ("metallic", one(&desc.metallic)),
        ("roughness", one(&desc.roughness)),
        ("normal_scale", one(&desc.normal_scale)),
        ("alpha_cutoff", one(&desc.alpha_cutoff)),
        ("transmission", one(&desc.transmission)),
        ("ior", one(&desc.ior)),
        ("thickness", one(&desc.thickness)),
        ("attenuation_color", &desc.attenuation_color[..]),
    ] {
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return failure(field, *value, "it must be a finite number");
        }
    }
    if desc.ior != 0.0 && desc.ior < 1.0 {
        return failure("ior", desc.ior, "it must be at least 1, or 0 for 1.5");
    }
    if desc.thickness < 0.0 {
        return failure("thickness", desc.thickness, "it must be 0 for a thin sheet or above 0 for a body");
    }
    if desc.attenuation_distance < 0.0 || desc.attenuation_distance.is_nan() {
        return failure("attenuation_distance", desc.attenuation_distance, "it must be above 0, or 0 for clear glass");
    }
    let alpha = match desc.alpha_mode {
        RAYLOOM_ALPHA_OPAQUE => AlphaMode::Opaque,
        RAYLOOM_ALPHA_MASK => AlphaMode::Mask { cutoff: desc.alpha_cutoff },
        RAYLOOM_ALPHA_BLEND => AlphaMode::Blend,
        other => {
            let text = format!("desc->alpha_mode is {other}: use RAYLOOM_ALPHA_OPAQUE, _MASK or _BLEND");
            return Err(Failure::argument(text));
        }
    };
    let slot = |name, slot: &rayloom_texture_slot| texture_slot(name, slot, textures);
    Ok(Material {
        base_color: desc.base_color.into(),
        metallic: desc.metallic,
        roughness: desc.roughness,
        transmission: desc.transmission,
        ior: if desc.ior == 0.0 { 1.5 } else { desc.ior },
        thickness: desc.thickness,
        attenuation_color: desc.attenuation_color.into(),
        attenuation_distance: if desc.attenuation_distance == 0.0 { f32::INFINITY } else { desc.attenuation_distance },
        emissive: desc.emissive.into(),
        alpha,
        double_sided: desc.flags & RAYLOOM_MATERIAL_DOUBLE_SIDED != 0,
        normal_scale: desc.normal_scale,
        base_color_texture: slot("base_color_texture", &desc.base_color_texture)?,
        metallic_roughness_texture: slot("metallic_roughness_texture", &desc.metallic_roughness_texture)?,
        normal_texture: slot("normal_texture", &desc.normal_texture)?,
        emissive_texture: slot("emissive_texture", &desc.emissive_texture)?,
        transmission_texture: slot("transmission_texture", &desc.transmission_texture)?,
        thickness_texture: slot("thickness_texture", &desc.thickness_texture)?,
        user_id: desc.user_id,
        ..Material::default()
    })
}

fn texture_slot(name: &str, slot: &rayloom_texture_slot, textures: usize) -> Result<Option<TextureSlot>, Failure> {
    if slot.texture == RAYLOOM_NONE {
        return Ok(None);
    }
    if slot.texture as usize >= textures {
        let text =
            format!("desc->{name}.texture is {}, the scene has {textures}; no texture is RAYLOOM_NONE", slot.texture);
        return Err(Failure::argument(text));
    }
    let (offset, scale) = (Vec2::from(slot.offset), Vec2::from(slot.scale));
    if !(offset.is_finite() && scale.is_finite() && slot.rotation_rad.is_finite()) {
        return Err(Failure::argument(format!("desc->{name} is transformed by a value that is not finite")));
    }
    Ok(Some(TextureSlot { texture: slot.texture, offset, scale, rotation: slot.rotation_rad }))
}
