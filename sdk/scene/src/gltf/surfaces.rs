//! Materials and the images that they read.

use super::document::Document;
use super::{Progress, Stage, note};
use crate::{AlphaMode, Material, Scene, SceneError, Texture, TextureData, TextureSlot};
use bytes::Bytes;
use glam::{Vec2, Vec3, Vec4};
use gltf::json::extensions::texture::TextureTransform;
use gltf::json::texture::WrappingMode;
use gltf::json::validation::Checked;
use gltf::json::{Index, image, material, texture};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// What geometry needs to know about the document's materials.
pub(super) struct Materials {
    /// Which set of texture coordinates each material reads.
    pub(super) uv_set: Vec<u32>,
}

/// Images by their index in the document, numbered as the scene's textures.
#[derive(Default)]
struct Images {
    numbers: HashMap<usize, u32>,
    order: Vec<(Index<image::Image>, String)>,
}

/// Reads all materials (one more than the document has: the default one, for primitives without) and their textures.
pub(super) fn read(
    document: &Document,
    out: &mut Scene,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Materials, SceneError> {
    let mut images = Images::default();
    let mut materials = Materials { uv_set: Vec::new() };
    for (i, source) in document.root.materials.iter().enumerate() {
        let (material, uv_set) = read_material(document, i, source, &mut images, progress)?;
        out.materials.push(material);
        materials.uv_set.push(uv_set);
    }
    out.materials.push(Material { user_id: out.materials.len() as u64, ..Material::default() });
    materials.uv_set.push(0);
    let total = images.order.len();
    for (done, (index, position)) in images.order.into_iter().enumerate() {
        out.textures.push(Arc::new(read_image(document, index, &position)?));
        progress(Progress::Step { stage: Stage::Textures, done: done + 1, total });
    }
    Ok(materials)
}

fn read_material(
    document: &Document,
    index: usize,
    source: &material::Material,
    images: &mut Images,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(Material, u32), SceneError> {
    let at = format!("materials[{index}]");
    let pbr = &source.pbr_metallic_roughness;
    let extensions = source.extensions.as_ref();
    let strength = extensions.and_then(|e| e.emissive_strength.as_ref()).map_or(1.0, |e| e.emissive_strength.0);
    let base_color = Vec4::from_array(pbr.base_color_factor.0);
    let alpha = match source.alpha_mode {
        Checked::Valid(material::AlphaMode::Opaque) => AlphaMode::Opaque,
        Checked::Valid(material::AlphaMode::Mask) => {
            AlphaMode::Mask { cutoff: source.alpha_cutoff.unwrap_or_default().0 }
        }
        Checked::Valid(material::AlphaMode::Blend) => AlphaMode::Blend,
        Checked::Invalid => return Err(document.fail(&format!("{at}.alphaMode"), "is none of OPAQUE, MASK, BLEND")),
    };
    let transmission = extensions.and_then(|e| e.transmission.as_ref());
    let volume = extensions.and_then(|e| e.volume.as_ref());
    // 0 stands for what KHR_materials_pbrSpecularGlossiness had, which has no index of its own.
    let ior = extensions.and_then(|e| e.ior.as_ref()).map_or(1.5, |i| if i.ior.0 == 0.0 { 1.5 } else { i.ior.0 });
    let mut uv_sets = Vec::new();
    let mut slot = |index: Index<texture::Texture>,
                    set: u32,
                    transform: Option<&TextureTransform>,
                    name: &str,
                    progress: &mut dyn FnMut(Progress<'_>)| {
        let position = format!("{at}.{name}");
        let set = transform.and_then(|t| t.tex_coord).unwrap_or(set);
        if uv_sets.first().is_some_and(|first| *first != set) {
            note(
                progress,
                &position,
                &format!("reads TEXCOORD_{set}; meshes keep one set, so TEXCOORD_{} is used", uv_sets[0]),
            );
        }
        uv_sets.push(set);
        images.slot(document, index, transform, &position, progress).map(Some)
    };
    let info = |i: &texture::Info| i.extensions.as_ref().and_then(|e| e.texture_transform.clone());
    let base_color_texture = match &pbr.base_color_texture {
        Some(i) => slot(i.index, i.tex_coord, info(i).as_ref(), "pbrMetallicRoughness.baseColorTexture", progress)?,
        None => None,
    };
    let metallic_roughness_texture = match &pbr.metallic_roughness_texture {
        Some(i) => {
            slot(i.index, i.tex_coord, info(i).as_ref(), "pbrMetallicRoughness.metallicRoughnessTexture", progress)?
        }
        None => None,
    };
    let normal_texture = match &source.normal_texture {
        Some(i) => {
            let transform =
                untyped_transform(document, i.extensions.as_ref().map(|e| &e.others), &format!("{at}.normalTexture"))?;
            slot(i.index, i.tex_coord, transform.as_ref(), "normalTexture", progress)?
        }
        None => None,
    };
    let occlusion_texture = match &source.occlusion_texture {
        Some(i) => {
            let transform = untyped_transform(
                document,
                i.extensions.as_ref().map(|e| &e.others),
                &format!("{at}.occlusionTexture"),
            )?;
            slot(i.index, i.tex_coord, transform.as_ref(), "occlusionTexture", progress)?
        }
        None => None,
    };
    let emissive_texture = match &source.emissive_texture {
        Some(i) => slot(i.index, i.tex_coord, info(i).as_ref(), "emissiveTexture", progress)?,
        None => None,
    };
    let transmission_texture = match transmission.and_then(|t| t.transmission_texture.as_ref()) {
        Some(i) => {
            slot(i.index, i.tex_coord, info(i).as_ref(), "KHR_materials_transmission.transmissionTexture", progress)?
        }
        None => None,
    };
    let thickness_texture = match volume.and_then(|v| v.thickness_texture.as_ref()) {
        Some(i) => slot(i.index, i.tex_coord, info(i).as_ref(), "KHR_materials_volume.thicknessTexture", progress)?,
        None => None,
    };
    let material = Material {
        base_color,
        metallic: pbr.metallic_factor.0,
        roughness: pbr.roughness_factor.0,
        transmission: transmission.map_or(0.0, |t| t.transmission_factor.0),
        ior,
        thickness: volume.map_or(0.0, |v| v.thickness_factor.0),
        attenuation_color: volume.map_or(Vec3::ONE, |v| Vec3::from_array(v.attenuation_color.0)),
        attenuation_distance: volume.map_or(f32::INFINITY, |v| v.attenuation_distance.0),
        emissive: Vec3::from_array(source.emissive_factor.0) * strength,
        alpha,
        double_sided: source.double_sided,
        normal_scale: source.normal_texture.as_ref().map_or(1.0, |n| n.scale),
        occlusion_strength: source.occlusion_texture.as_ref().map_or(1.0, |o| o.strength.0),
        base_color_texture,
        metallic_roughness_texture,
        normal_texture,
        occlusion_texture,
        emissive_texture,
        transmission_texture,
        thickness_texture,
        user_id: index as u64,
    };
    let cutoff = if let AlphaMode::Mask { cutoff } = alpha { cutoff } else { 0.0 };
    let factors = [
        material.metallic,
        material.roughness,
        material.transmission,
        ior,
        material.thickness,
        material.normal_scale,
        material.occlusion_strength,
        cutoff,
    ];
    if !(material.base_color.is_finite() && material.emissive.is_finite() && factors.iter().all(|f| f.is_finite())) {
        return Err(document.fail(&at, "has a factor that is not finite in 32 bits"));
    }
    Ok((material, uv_sets.first().copied().unwrap_or(0)))
}

impl Images {
    fn slot(
        &mut self,
        document: &Document,
        index: Index<texture::Texture>,
        transform: Option<&TextureTransform>,
        position: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<TextureSlot, SceneError> {
        let texture = document.get(index, &format!("{position}.index"))?;
        let at = format!("textures[{}]", index.value());
        if let Some(sampler) = texture.sampler {
            let sampler = document.get(sampler, &format!("{at}.sampler"))?;
            let repeats = |wrap: &Checked<WrappingMode>| *wrap == Checked::Valid(WrappingMode::Repeat);
            if !(repeats(&sampler.wrap_s) && repeats(&sampler.wrap_t)) {
                note(progress, &at, "its sampler clamps or mirrors; textures are repeated");
            }
        }
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry(texture.source.value()).or_insert_with(|| {
            self.order.push((texture.source, format!("{at}.source")));
            next
        });
        let transform = transform.cloned().unwrap_or_default();
        let slot = TextureSlot {
            texture: number,
            offset: Vec2::from_array(transform.offset.0),
            scale: Vec2::from_array(transform.scale.0),
            rotation: transform.rotation.0,
        };
        if !(slot.offset.is_finite() && slot.scale.is_finite() && slot.rotation.is_finite()) {
            return Err(document.fail(position, "its KHR_texture_transform is not finite in 32 bits"));
        }
        Ok(slot)
    }
}

/// KHR_texture_transform where the JSON model has no field for it.
fn untyped_transform(
    document: &Document,
    extensions: Option<&Map<String, Value>>,
    position: &str,
) -> Result<Option<TextureTransform>, SceneError> {
    let Some(value) = extensions.and_then(|e| e.get("KHR_texture_transform")) else { return Ok(None) };
    let parsed = serde_json::from_str(&value.to_string());
    parsed.map(Some).map_err(|e| document.fail(&format!("{position}.extensions.KHR_texture_transform"), e.to_string()))
}

fn read_image(document: &Document, index: Index<image::Image>, position: &str) -> Result<Texture, SceneError> {
    let image = document.get(index, position)?;
    let at = format!("images[{}]", index.value());
    let bytes = match (&image.uri, image.buffer_view) {
        (Some(uri), _) => document.read_uri(uri, &format!("{at}.uri"))?,
        // A copy, so that the texture does not keep the whole buffer alive.
        (None, Some(view)) => Bytes::copy_from_slice(&document.view(view, &format!("{at}.bufferView"))?.1),
        (None, None) => return Err(document.fail(&at, "has neither uri nor bufferView")),
    };
    let texture = Texture { data: TextureData::Encoded(bytes), user_id: index.value() as u64 };
    let name = image
        .uri
        .as_deref()
        .filter(|u| !u.starts_with("data:"))
        .or(image.name.as_deref())
        .unwrap_or("embedded")
        .to_owned();
    match texture.decode() {
        Ok(_) => Ok(texture),
        Err(SceneError::Invalid { reason, .. }) => Err(document.fail(&at, format!("({name}) {reason}"))),
        Err(other) => Err(other),
    }
}
