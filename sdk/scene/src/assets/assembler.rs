//! From blobs to a scene; what stayed since the last revision keeps its `Arc`.

use super::mesh_blob::{decode_mesh, decode_texture};
use super::{BlobId, BlobRef, RootTables};
use crate::{Scene, SceneError};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Assembles revisions of a scene. Meshes and textures that some scene still holds are handed out again, not decoded again.
#[derive(Debug, Default)]
pub struct Assembler {
    meshes: HashMap<BlobId, Weak<crate::Mesh>>,
    textures: HashMap<BlobId, Weak<crate::Texture>>,
}

impl Assembler {
    /// As [`RootTables::assemble`]; `blob` is asked only for what is not held any more.
    ///
    /// # Errors
    /// As [`RootTables::assemble`]; the assembler stays usable.
    pub fn assemble(
        &mut self,
        root: &RootTables,
        blob: &mut dyn FnMut(BlobId) -> Option<Bytes>,
    ) -> Result<Scene, SceneError> {
        self.meshes.retain(|_, mesh| mesh.strong_count() > 0);
        self.textures.retain(|_, texture| texture.strong_count() > 0);
        let mut fetch = |reference: BlobRef| {
            let bytes =
                blob(reference.id).ok_or_else(|| SceneError::Packed(format!("blob {} is missing", reference.id)))?;
            if bytes.len() as u64 != reference.len {
                let text =
                    format!("blob {} has {} bytes, but the root promised {}", reference.id, bytes.len(), reference.len);
                return Err(SceneError::Packed(text));
            }
            Ok(bytes)
        };
        let mut scene = Scene {
            meshes: Vec::with_capacity(root.meshes.len()),
            materials: root.materials.clone(),
            textures: Vec::with_capacity(root.textures.len()),
            instances: root.instances.clone(),
            poses: root.poses.clone(),
            lights: root.lights.clone(),
            environment: root.environment,
            cameras: root.cameras.clone(),
        };
        for &reference in &root.textures {
            let texture = held(&mut self.textures, reference, &mut fetch, decode_texture)?;
            scene.textures.push(texture);
        }
        for &reference in &root.meshes {
            let mesh = held(&mut self.meshes, reference, &mut fetch, |bytes| decode_mesh(bytes))?;
            scene.meshes.push(mesh);
        }
        scene.validate()?;
        // A mesh that had to be repaired (its materials changed, or its maker did not validate) is held as it is now.
        for (reference, mesh) in root.meshes.iter().zip(&scene.meshes) {
            self.meshes.insert(reference.id, Arc::downgrade(mesh));
        }
        Ok(scene)
    }
}

fn held<T>(
    table: &mut HashMap<BlobId, Weak<T>>,
    reference: BlobRef,
    fetch: &mut dyn FnMut(BlobRef) -> Result<Bytes, SceneError>,
    decode: impl Fn(&Bytes) -> Result<T, SceneError>,
) -> Result<Arc<T>, SceneError> {
    if let Some(object) = table.get(&reference.id).and_then(Weak::upgrade) {
        return Ok(object);
    }
    let object = Arc::new(decode(&fetch(reference)?)?);
    table.insert(reference.id, Arc::downgrade(&object));
    Ok(object)
}
