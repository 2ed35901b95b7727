//! Indexed triangle meshes.

use glam::{Vec2, Vec3, Vec4};

/// Triangles of one material: a range of [`Mesh::indices`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshPart {
    /// First index; a multiple of 3.
    pub first_index: u32,
    /// Number of indices; a multiple of 3.
    pub index_count: u32,
    /// Index into [`crate::Scene::materials`].
    pub material: u32,
}

/// An indexed triangle mesh in its own space; counter-clockwise triangles face the viewer.
///
/// **All positions are finite and every index is in range**: [`crate::Scene::validate`] and the importers see to it,
/// since a single non-finite vertex makes whole acceleration structures miss.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mesh {
    /// Positions in metres.
    pub positions: Vec<Vec3>,
    /// Unit normals, as many as positions.
    pub normals: Vec<Vec3>,
    /// Unit tangents with the bitangent's sign in w; empty where no normal map needs them.
    pub tangents: Vec<Vec4>,
    /// Texture coordinates, origin top left (glTF); empty where no texture needs them.
    pub uvs: Vec<Vec2>,
    /// Three per triangle.
    pub indices: Vec<u32>,
    /// Ranges of `indices` by material; they cover all of it.
    pub parts: Vec<MeshPart>,
}

impl Mesh {
    /// Number of triangles.
    pub fn triangle_count(&self) -> usize {
        self.indices.len() / 3
    }
}
