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
    /// For each vertex, which matrices of a [`crate::Pose`]'s palette move it; empty where none does.
    pub joints: Vec<[u16; 4]>,
    /// How much each of them does, as many as `joints`: not negative, with a sum of 1.
    pub weights: Vec<[f32; 4]>,
    /// Shapes that a pose mixes in, before joints move the vertices.
    pub targets: Vec<MorphTarget>,
}

/// What a morph target adds to each vertex at a weight of 1: arrays as long as the mesh's positions, or empty for nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MorphTarget {
    /// Added to positions, in metres.
    pub positions: Vec<Vec3>,
    /// Added to normals.
    pub normals: Vec<Vec3>,
    /// Added to tangents; the bitangent's sign stays.
    pub tangents: Vec<Vec3>,
}

impl Mesh {
    /// Number of triangles.
    pub fn triangle_count(&self) -> usize {
        self.indices.len() / 3
    }

    /// True where a pose can change its shape.
    pub fn deforms(&self) -> bool {
        !self.joints.is_empty() || !self.targets.is_empty()
    }

    /// Matrices that a palette needs: one more than the highest joint that moves a vertex; 0 without a skin.
    pub fn joint_count(&self) -> usize {
        let used = self.joints.iter().zip(&self.weights).flat_map(|(joints, weights)| joints.iter().zip(weights));
        used.filter(|(_, weight)| **weight > 0.0).map(|(joint, _)| usize::from(*joint) + 1).max().unwrap_or(0)
    }
}
