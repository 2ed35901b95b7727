//! The root blob: all tables but the vertices and pixels, which it names.

use super::encoding::{Reader, Writer};
use super::{Assembler, BlobId};
use crate::{
    AlphaMode, Camera, Environment, Instance, Light, LightShape, Material, NamedCamera, Pose, Scene, SceneError,
    TextureSlot,
};
use bytes::Bytes;
use glam::{Affine3A, Quat, Vec2, Vec3, Vec4};

const MAGIC: &[u8; 4] = b"RLSR";
const VERSION: u32 = 4;

/// Sizes of records in bytes (the smallest, where they vary): what a forged count is held against.
const REFERENCE_SIZE: usize = 40;
const MATERIAL_SIZE: usize = 99;
const INSTANCE_SIZE: usize = 60;
const POSE_SIZE: usize = 12;
const LIGHT_SIZE: usize = 60;
const CAMERA_SIZE: usize = 56;

/// Name and length of a blob that a root refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlobRef {
    /// Its name.
    pub id: BlobId,
    /// Its length in bytes.
    pub len: u64,
}

/// A root blob, read: everything but the meshes and textures themselves.
///
/// Its values are not checked yet; [`RootTables::assemble`] does that.
#[derive(Clone, Debug, PartialEq)]
pub struct RootTables {
    /// One per mesh of the scene; several may name the same blob.
    pub meshes: Vec<BlobRef>,
    /// One per texture.
    pub textures: Vec<BlobRef>,
    /// As in [`Scene::materials`].
    pub materials: Vec<Material>,
    /// As in [`Scene::instances`].
    pub instances: Vec<Instance>,
    /// As in [`Scene::poses`].
    pub poses: Vec<Pose>,
    /// As in [`Scene::lights`].
    pub lights: Vec<Light>,
    /// As in [`Scene::environment`].
    pub environment: Environment,
    /// As in [`Scene::cameras`].
    pub cameras: Vec<NamedCamera>,
}

impl RootTables {
    /// Every blob that is needed, once, meshes first.
    pub fn blobs(&self) -> Vec<BlobRef> {
        let mut seen = std::collections::HashSet::new();
        self.meshes.iter().chain(&self.textures).copied().filter(|b| seen.insert(b.id)).collect()
    }

    /// The scene, checked and repaired as by [`Scene::validate`]. `blob` returns a blob's bytes, which must have been
    /// checked against their name when they arrived ([`BlobId::of`]).
    ///
    /// For revisions of a scene use an [`Assembler`], which keeps what stayed.
    ///
    /// # Errors
    /// [`SceneError::Packed`] names a missing or damaged blob; [`SceneError::Invalid`] a broken rule.
    pub fn assemble(&self, blob: &mut dyn FnMut(BlobId) -> Option<Bytes>) -> Result<Scene, SceneError> {
        Assembler::default().assemble(self, blob)
    }
}

pub(super) fn encode(scene: &Scene, meshes: Vec<BlobRef>, textures: Vec<BlobRef>) -> Bytes {
    let capacity = 64
        + (meshes.len() + textures.len()) * REFERENCE_SIZE
        + scene.materials.len() * (MATERIAL_SIZE + 100)
        + scene.instances.len() * INSTANCE_SIZE
        + scene.lights.len() * LIGHT_SIZE;
    let mut out = Writer::new(MAGIC, VERSION, capacity);
    for references in [meshes, textures] {
        out.put(references.len() as u32);
        for BlobRef { id, len } in references {
            out.put(id.0);
            out.put(len);
        }
    }
    out.put(scene.materials.len() as u32);
    scene.materials.iter().for_each(|m| put_material(&mut out, m));
    out.put(scene.instances.len() as u32);
    for instance in &scene.instances {
        out.put(instance.mesh);
        out.put(instance.transform.to_cols_array());
        out.put(instance.user_id);
    }
    out.put(scene.poses.len() as u32);
    for pose in &scene.poses {
        out.put([pose.instance, pose.palette.len() as u32, pose.morph_weights.len() as u32]);
        pose.palette.iter().for_each(|joint| out.put(joint.to_cols_array()));
        out.put_all(&pose.morph_weights);
    }
    out.put(scene.lights.len() as u32);
    scene.lights.iter().for_each(|l| put_light(&mut out, l));
    let Environment { zenith, horizon, ground } = scene.environment;
    out.put([zenith, horizon, ground]);
    out.put(scene.cameras.len() as u32);
    for NamedCamera { name, camera } in &scene.cameras {
        out.put(camera.position);
        out.put(camera.rotation.to_array());
        out.put([camera.tan_half_fov, camera.center, camera.jitter]);
        out.put(name.len() as u32);
        out.put_all(name.as_bytes());
    }
    out.0.into()
}

/// Reads a root blob; it names the blobs that are needed, with their lengths.
///
/// # Errors
/// [`SceneError::Packed`] says what is wrong and at which byte. Never allocates more than a few times `bytes`.
pub fn unpack_root(bytes: &[u8]) -> Result<RootTables, SceneError> {
    let mut reader = Reader::new("root blob", bytes, MAGIC, VERSION)?;
    let mut references = || -> Result<Vec<BlobRef>, SceneError> {
        let count = reader.count(REFERENCE_SIZE)?;
        (0..count).map(|_| Ok(BlobRef { id: BlobId(reader.get()?), len: reader.get()? })).collect()
    };
    let (meshes, textures) = (references()?, references()?);
    let count = reader.count(MATERIAL_SIZE)?;
    let materials = (0..count).map(|_| get_material(&mut reader)).collect::<Result<_, _>>()?;
    let count = reader.count(INSTANCE_SIZE)?;
    let instances = (0..count)
        .map(|_| {
            let mesh = reader.get()?;
            let transform = Affine3A::from_cols_array(&reader.get::<[f32; 12]>()?);
            Ok(Instance { mesh, transform, user_id: reader.get()? })
        })
        .collect::<Result<_, SceneError>>()?;
    let count = reader.count(POSE_SIZE)?;
    let poses = (0..count)
        .map(|_| {
            let [instance, joints, weights] = reader.get::<[u32; 3]>()?;
            let palette = reader.get_all::<[f32; 12]>(joints as usize)?;
            let palette = palette.iter().map(Affine3A::from_cols_array).collect();
            Ok(Pose { instance, palette, morph_weights: reader.get_all(weights as usize)? })
        })
        .collect::<Result<_, SceneError>>()?;
    let count = reader.count(LIGHT_SIZE)?;
    let lights = (0..count).map(|_| get_light(&mut reader)).collect::<Result<_, _>>()?;
    let [zenith, horizon, ground] = reader.get::<[Vec3; 3]>()?;
    let count = reader.count(CAMERA_SIZE)?;
    let cameras = (0..count).map(|_| get_camera(&mut reader)).collect::<Result<_, _>>()?;
    reader.finish()?;
    let environment = Environment { zenith, horizon, ground };
    Ok(RootTables { meshes, textures, materials, instances, poses, lights, environment, cameras })
}

fn put_material(out: &mut Writer, m: &Material) {
    let (alpha, cutoff) = match m.alpha {
        AlphaMode::Opaque => (0u32, 0.0),
        AlphaMode::Mask { cutoff } => (1, cutoff),
        AlphaMode::Blend => (2, 0.0),
    };
    out.put(m.base_color);
    out.put([m.metallic, m.roughness]);
    out.put([m.transmission, m.ior, m.thickness, m.attenuation_distance]);
    out.put(m.attenuation_color);
    out.put(m.emissive);
    out.put(alpha);
    out.put([cutoff, m.normal_scale, m.occlusion_strength]);
    out.put(m.user_id);
    out.put(u32::from(m.double_sided));
    for slot in m.texture_slots() {
        out.put(u8::from(slot.is_some()));
        if let Some(TextureSlot { texture, offset, scale, rotation }) = slot {
            out.put(*texture);
            out.put([*offset, *scale]);
            out.put(*rotation);
        }
    }
}

fn get_material(reader: &mut Reader<'_>) -> Result<Material, SceneError> {
    let base_color = reader.get::<Vec4>()?;
    let [metallic, roughness] = reader.get()?;
    let [transmission, ior, thickness, attenuation_distance] = reader.get()?;
    let attenuation_color = reader.get()?;
    let emissive = reader.get::<Vec3>()?;
    let alpha = reader.get::<u32>()?;
    let [cutoff, normal_scale, occlusion_strength] = reader.get()?;
    let alpha = match alpha {
        0 => AlphaMode::Opaque,
        1 => AlphaMode::Mask { cutoff },
        2 => AlphaMode::Blend,
        other => return Err(reader.error(format!("has alpha mode {other}, which this build does not know"))),
    };
    let user_id = reader.get()?;
    let double_sided = reader.get::<u32>()? != 0;
    let mut slot = || -> Result<Option<TextureSlot>, SceneError> {
        if reader.get::<u8>()? == 0 {
            return Ok(None);
        }
        let texture = reader.get()?;
        let [offset, scale] = reader.get::<[Vec2; 2]>()?;
        Ok(Some(TextureSlot { texture, offset, scale, rotation: reader.get()? }))
    };
    Ok(Material {
        base_color,
        metallic,
        roughness,
        transmission,
        ior,
        thickness,
        attenuation_color,
        attenuation_distance,
        emissive,
        alpha,
        double_sided,
        normal_scale,
        occlusion_strength,
        base_color_texture: slot()?,
        metallic_roughness_texture: slot()?,
        normal_texture: slot()?,
        occlusion_texture: slot()?,
        emissive_texture: slot()?,
        transmission_texture: slot()?,
        thickness_texture: slot()?,
        user_id,
    })
}

fn put_light(out: &mut Writer, light: &Light) {
    let (shape, angles) = match light.shape {
        LightShape::Directional { angle } => (0u32, [angle, 0.0]),
        LightShape::Point => (1, [0.0; 2]),
        LightShape::Spot { inner, outer } => (2, [inner, outer]),
    };
    out.put(shape);
    out.put(angles);
    out.put([light.color, light.position, light.direction]);
    out.put(light.range);
    out.put(light.user_id);
}

fn get_light(reader: &mut Reader<'_>) -> Result<Light, SceneError> {
    let shape = reader.get::<u32>()?;
    let [a, b] = reader.get::<[f32; 2]>()?;
    let shape = match shape {
        0 => LightShape::Directional { angle: a },
        1 => LightShape::Point,
        2 => LightShape::Spot { inner: a, outer: b },
        other => return Err(reader.error(format!("has light shape {other}, which this build does not know"))),
    };
    let [color, position, direction] = reader.get::<[Vec3; 3]>()?;
    Ok(Light { shape, color, position, direction, range: reader.get()?, user_id: reader.get()? })
}

fn get_camera(reader: &mut Reader<'_>) -> Result<NamedCamera, SceneError> {
    let position = reader.get()?;
    let rotation = Quat::from_array(reader.get()?);
    let [tan_half_fov, center, jitter] = reader.get::<[Vec2; 3]>()?;
    let length = reader.count(1)?;
    let name = String::from_utf8(reader.bytes(length)?.to_vec())
        .map_err(|_| reader.error("names a camera by bytes that are no UTF-8".into()))?;
    Ok(NamedCamera { name, camera: Camera { position, rotation, tan_half_fov, center, jitter } })
}
