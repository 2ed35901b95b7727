//! A scene flattened for drawing: one vertex and one index array, a run of indices for each part of each mesh.

use crate::RasterError;
use crate::deformation::{Deforming, TARGET_FLOATS};
use crate::layout::{GpuMaterial, GpuVertex};
use glam::Vec3;
use rayloom_scene::{Mesh, Scene};
use std::sync::Arc;

/// A run of indices of one material.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) first_index: u32,
    pub(crate) index_count: u32,
    pub(crate) material: u32,
    /// Fragments may be discarded.
    pub(crate) masked: bool,
}

/// A mesh among all others.
#[derive(Clone, Debug)]
pub(crate) struct DrawnMesh {
    pub(crate) parts: Vec<Part>,
    pub(crate) vertex_offset: i32,
    /// A sphere around it, in its own space.
    pub(crate) center: Vec3,
    pub(crate) radius: f32,
    pub(crate) deforming: Option<Deforming>,
}

/// Everything of a scene that its revision fixes.
pub(crate) struct Geometry {
    pub(crate) vertices: Vec<GpuVertex>,
    pub(crate) indices: Vec<u32>,
    pub(crate) materials: Vec<GpuMaterial>,
    /// Joints, weights and morph targets of all meshes that have them.
    pub(crate) deformation: Vec<u8>,
    pub(crate) meshes: Vec<DrawnMesh>,
}

impl Geometry {
    /// The scene has been validated.
    pub(crate) fn new(scene: &Scene) -> Result<Geometry, RasterError> {
        let count = |of: fn(&Mesh) -> usize| scene.meshes.iter().map(|m| of(m)).sum::<usize>();
        // Vertex offsets are signed in Vulkan.
        let limit = i32::MAX as usize;
        let (vertices, indices) = (count(|m| m.positions.len()), count(|m| m.indices.len()));
        for (what, count) in [("vertices", vertices), ("indices", indices)] {
            if count > limit {
                return Err(RasterError::TooMany { what, count, limit });
            }
        }
        // The shader counts a mesh's deltas in 32 bits.
        let deltas = |m: &Mesh| m.targets.len() * m.positions.len() * TARGET_FLOATS;
        let most = scene.meshes.iter().map(|m| deltas(m)).max().unwrap_or(0);
        if most > limit {
            return Err(RasterError::TooMany { what: "numbers of a mesh's morph targets", count: most, limit });
        }
        let mut geometry = Geometry {
            vertices: Vec::with_capacity(vertices),
            indices: Vec::with_capacity(indices),
            materials: scene.materials.iter().map(GpuMaterial::new).collect(),
            deformation: Vec::new(),
            meshes: Vec::with_capacity(scene.meshes.len()),
        };
        for mesh in &scene.meshes {
            geometry.append(mesh, scene);
        }
        Ok(geometry)
    }

    fn append(&mut self, mesh: &Arc<Mesh>, scene: &Scene) {
        let (vertex_offset, first) = (self.vertices.len() as i32, self.indices.len() as u32);
        let part = |part: &rayloom_scene::MeshPart| Part {
            first_index: first + part.first_index,
            index_count: part.index_count,
            material: part.material,
            masked: scene.materials[part.material as usize].has_holes(),
        };
        let (low, high) = mesh.bounds().unwrap_or_default();
        self.meshes.push(DrawnMesh {
            parts: mesh.parts.iter().map(part).collect(),
            vertex_offset,
            center: (low + high) * 0.5,
            radius: (high - low).length() * 0.5,
            deforming: Deforming::append(&mut self.deformation, mesh, vertex_offset),
        });
        self.indices.extend(&mesh.indices);
        self.vertices.extend(mesh.positions.iter().zip(&mesh.normals).enumerate().map(|(i, (position, normal))| {
            let sign = |w: f32| if w < 0.0 { -1.0 } else { 1.0 };
            GpuVertex {
                position: position.to_array(),
                normal: normal.to_array(),
                tangent: mesh.tangents.get(i).map_or([0.0; 4], |t| t.truncate().extend(sign(t.w)).to_array()),
                uv: mesh.uvs.get(i).map_or([0.0; 2], |uv| uv.to_array()),
            }
        }));
    }
}

/// For each texture: unused, or whether a slot reads it as colour. One that serves as both is read as colour by all.
pub(crate) fn texture_uses(scene: &Scene) -> Vec<Option<bool>> {
    let mut uses = vec![None; scene.textures.len()];
    for m in &scene.materials {
        let slots = [
            (m.base_color_texture, true),
            (m.emissive_texture, true),
            (m.metallic_roughness_texture, false),
            (m.normal_texture, false),
        ];
        for (slot, color) in slots {
            if let Some(slot) = slot {
                let used = &mut uses[slot.texture as usize];
                *used = Some(used.unwrap_or(false) || color);
            }
        }
    }
    uses
}
