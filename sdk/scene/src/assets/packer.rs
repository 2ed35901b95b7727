//! From a scene to blobs, hashing only what is new.

use super::mesh_blob::{encode_mesh, encode_texture};
use super::{Blob, BlobRef, root};
use crate::{Mesh, Scene, Texture};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

/// A scene ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedScene {
    /// The tables; read by [`super::unpack_root`].
    pub root: Blob,
    /// Every mesh and texture once, in the scene's order.
    pub blobs: Vec<Blob>,
}

/// Packs a scene once; see [`Packer`] for revisions.
pub fn pack(scene: &Scene) -> PackedScene {
    Packer::default().pack(scene)
}

/// Packs revisions of a scene: meshes and textures whose `Arc` it has seen are neither copied nor hashed again.
#[derive(Debug, Default)]
pub struct Packer {
    meshes: Remembered<Mesh>,
    textures: Remembered<Texture>,
}

impl Packer {
    /// Packs this revision; forgets what no revision holds any more.
    ///
    /// A mesh costs one copy and one hash (about 2 GB/s) the first time, and nothing after. The blobs stay in memory as
    /// long as their meshes, since a peer may ask for them at any time.
    pub fn pack(&mut self, scene: &Scene) -> PackedScene {
        let mut blobs = Vec::new();
        let mut seen = HashSet::new();
        let mut refer = |blob: Blob| {
            let reference = BlobRef { id: blob.id, len: blob.bytes.len() as u64 };
            if seen.insert(blob.id) {
                blobs.push(blob);
            }
            reference
        };
        let meshes: Vec<BlobRef> = scene.meshes.iter().map(|m| refer(self.meshes.blob(m, encode_mesh))).collect();
        let textures: Vec<BlobRef> =
            scene.textures.iter().map(|t| refer(self.textures.blob(t, encode_texture))).collect();
        self.meshes.forget_dropped();
        self.textures.forget_dropped();
        PackedScene { root: Blob::new(root::encode(scene, meshes, textures)), blobs }
    }
}

/// Blobs by the address of what they were made from.
///
/// **A `Weak` is kept with each**: while it lives the address is not given to another object, and neither `Arc::get_mut`
/// nor `Arc::make_mut` can change the content in place, so an address stands for one content.
#[derive(Debug)]
struct Remembered<T>(HashMap<usize, (Weak<T>, Blob)>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Remembered(HashMap::new())
    }
}

impl<T> Remembered<T> {
    fn blob(&mut self, object: &Arc<T>, encode: fn(&T) -> Bytes) -> Blob {
        let remember = || (Arc::downgrade(object), Blob::new(encode(object)));
        self.0.entry(Arc::as_ptr(object).addr()).or_insert_with(remember).1.clone()
    }

    fn forget_dropped(&mut self) {
        self.0.retain(|_, (object, _)| object.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::Vec3;

    #[test]
    fn an_address_used_again_is_not_mistaken() {
        let mut packer = Packer::default();
        let triangle =
            |x: f32| Mesh::from_triangles(vec![Vec3::ZERO, Vec3::new(x, 0.0, 0.0), Vec3::Y], vec![0, 1, 2], 0);
        let mut scene = Scene { meshes: vec![Arc::new(triangle(1.0))], ..Scene::default() };
        let first = packer.pack(&scene);
        Arc::make_mut(&mut scene.meshes[0]).positions[1].x = 2.0;
        let second = packer.pack(&scene);
        assert_ne!(first.blobs[0].id, second.blobs[0].id);
        assert_eq!(second.blobs[0], pack(&scene).blobs[0]);
        for i in 0..50 {
            scene.meshes = vec![Arc::new(triangle(3.0 + i as f32))];
            assert_eq!(packer.pack(&scene), pack(&scene));
        }
        assert_eq!(packer.meshes.0.len(), 1, "dropped meshes are forgotten");
    }

    #[test]
    fn equal_meshes_are_one_blob() {
        let mesh = Mesh::from_triangles(vec![Vec3::ZERO, Vec3::X, Vec3::Y], vec![0, 1, 2], 0);
        let scene = Scene { meshes: vec![Arc::new(mesh.clone()), Arc::new(mesh)], ..Scene::default() };
        assert_eq!(pack(&scene).blobs.len(), 1);
    }
}
