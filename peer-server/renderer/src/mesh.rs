//! Meshes on the GPU: vertices and triangles for shading, and the tree that rays walk: ours or the device's.

use crate::deform::Deformable;
use crate::layout::GpuVertex;
use crate::vulkan::{AccelerationStructure, Buffer, Geometry, Submitter};
use crate::{FrontEnd, RendererError};
use glam::Vec3;
use rayloom_bvh::{Aabb, Blas, MAX_TRIANGLES};
use rayloom_frame::normal::encode_normal;
use rayloom_scene::Mesh;

/// Where parts of the buffer begin; more than any structure in it needs.
const ALIGNMENT: usize = 256;

/// A mesh on the GPU.
pub(crate) struct GpuMesh {
    buffer: Buffer,
    triangles_offset: u64,
    tree: MeshTree,
    deforming: Option<Deforming>,
}

/// What takes part where the mesh changes its shape.
struct Deforming {
    parts: Deformable,
    /// Ours, to be refitted, with what it was built of.
    own: Option<OwnTree>,
    geometries: Vec<Geometry>,
}

struct OwnTree {
    at_rest: Blas,
    indices: Vec<u32>,
    /// Which triangles rays may pass through; empty where none lets them.
    holes: Vec<bool>,
}

impl OwnTree {
    fn built(&self, positions: &[Vec3]) -> Blas {
        match self.holes.is_empty() {
            true => Blas::build(positions, &self.indices),
            false => Blas::build_with_flags(positions, &self.indices, &|t| self.holes[t as usize]),
        }
    }
}

/// What rays walk.
pub(crate) enum MeshTree {
    /// Ours, at an address within the mesh's buffer.
    Compute { address: u64, bounds: Aabb },
    /// The device's; none where there is no triangle. `firsts` is the address of its geometries' first triangles, 0 where
    /// it has one.
    Hardware { structure: Option<AccelerationStructure>, firsts: u64 },
}

impl GpuMesh {
    /// Builds its tree and uploads it; `holes` says for each part whether rays may pass through it. The mesh has been
    /// checked.
    pub(crate) fn new(
        submitter: &Submitter,
        front_end: FrontEnd,
        mesh: &Mesh,
        holes: &[bool],
    ) -> Result<GpuMesh, RendererError> {
        let mut part_of = vec![0u32; mesh.triangle_count()];
        for (i, part) in mesh.parts.iter().enumerate() {
            let first = part.first_index as usize / 3;
            part_of[first..first + part.index_count as usize / 3].fill(i as u32);
        }
        let blas = (!front_end.is_hardware()).then(|| match holes.contains(&true) {
            true => Blas::build_with_flags(&mesh.positions, &mesh.indices, &|t| holes[part_of[t as usize] as usize]),
            false => Blas::build(&mesh.positions, &mesh.indices),
        });
        let geometries = geometries(mesh, holes);
        let firsts: Vec<u32> = geometries.iter().map(|g| g.first_triangle).collect();
        let tree_bytes: &[u8] = match &blas {
            Some(blas) => blas.bytes(),
            None if firsts.len() > 1 => bytemuck::cast_slice(&firsts),
            None => &[],
        };
        let vertices_bytes = mesh.positions.len() * size_of::<GpuVertex>();
        let triangles_offset = vertices_bytes.next_multiple_of(ALIGNMENT);
        let triangles_bytes = mesh.triangle_count() * size_of::<[u32; 4]>();
        let tree_offset = (triangles_offset + triangles_bytes).next_multiple_of(ALIGNMENT);
        let mut bytes = vec![0u8; tree_offset + tree_bytes.len()];
        for (i, out) in bytes[..vertices_bytes].chunks_exact_mut(size_of::<GpuVertex>()).enumerate() {
            out.copy_from_slice(bytemuck::bytes_of(&vertex(mesh, i)));
        }
        let out = bytes[triangles_offset..][..triangles_bytes].chunks_exact_mut(size_of::<[u32; 4]>());
        for ((corners, part), out) in mesh.indices.as_chunks::<3>().0.iter().zip(&part_of).zip(out) {
            let material = mesh.parts[*part as usize].material;
            out.copy_from_slice(bytemuck::bytes_of(&[corners[0], corners[1], corners[2], material]));
        }
        bytes[tree_offset..].copy_from_slice(tree_bytes);
        let buffer = Buffer::with_bytes(submitter, "mesh", &bytes)?;
        let tree_address = buffer.address() + tree_offset as u64;
        let tree = match &blas {
            Some(blas) => MeshTree::Compute { address: tree_address, bounds: blas.bounds() },
            None => {
                // The tree of a mesh without triangles would be one that nothing can hit.
                let structure = (!geometries.is_empty()).then(|| {
                    let positions: Vec<[f32; 3]> = mesh.positions.iter().map(|p| p.to_array()).collect();
                    AccelerationStructure::bottom(submitter, &positions, &mesh.indices, &geometries, mesh.deforms())
                });
                let firsts = if firsts.len() > 1 { tree_address } else { 0 };
                MeshTree::Hardware { structure: structure.transpose()?, firsts }
            }
        };
        let deforming = mesh.deforms().then(|| {
            let passed = |part: &u32| holes[*part as usize];
            let own = blas.map(|at_rest| OwnTree {
                at_rest,
                indices: mesh.indices.clone(),
                holes: if holes.contains(&true) { part_of.iter().map(passed).collect() } else { Vec::new() },
            });
            Deformable::new(submitter, front_end, mesh).map(|parts| Deforming { parts, own, geometries })
        });
        let (triangles_offset, deforming) = (triangles_offset as u64, deforming.transpose()?);
        Ok(GpuMesh { buffer, triangles_offset, tree, deforming })
    }

    /// What deforms it; none where nothing does.
    pub(crate) fn deformable(&self) -> Option<&Deformable> {
        self.deforming.as_ref().map(|d| &d.parts)
    }

    /// The same with its indices, where the device builds trees over them.
    pub(crate) fn indices(&self) -> Option<(&Deformable, &Buffer)> {
        let parts = self.deformable()?;
        parts.indices.as_ref().map(|indices| (parts, indices))
    }

    /// Runs of triangles of the device's tree; empty where it does not deform.
    pub(crate) fn geometries(&self) -> &[Geometry] {
        self.deforming.as_ref().map_or(&[], |d| &d.geometries)
    }

    /// Our own tree over the mesh with its vertices elsewhere, refitted or built `anew`.
    pub(crate) fn shaped_tree(&self, positions: &[Vec3], anew: bool) -> Blas {
        let own = self.deforming.as_ref().and_then(|d| d.own.as_ref());
        let own = own.expect("a mesh that deforms under our own trees keeps its");
        if anew {
            return own.built(positions);
        }
        let mut tree = own.at_rest.clone();
        tree.refit(positions);
        tree
    }

    pub(crate) fn vertices_address(&self) -> u64 {
        self.buffer.address()
    }

    pub(crate) fn triangles_address(&self) -> u64 {
        self.buffer.address() + self.triangles_offset
    }

    /// The table of the first triangles of its geometries, or 0.
    pub(crate) fn geometries_address(&self) -> u64 {
        match self.tree {
            MeshTree::Compute { .. } => 0,
            MeshTree::Hardware { firsts, .. } => firsts,
        }
    }

    pub(crate) fn tree(&self) -> &MeshTree {
        &self.tree
    }

    pub(crate) fn bytes(&self) -> u64 {
        let structure = match &self.tree {
            MeshTree::Hardware { structure: Some(structure), .. } => structure.bytes(),
            _ => 0,
        };
        self.buffer.size() + structure + self.deformable().map_or(0, Deformable::bytes)
    }
}

/// Runs of triangles that are alike in whether rays may pass through them.
fn geometries(mesh: &Mesh, holes: &[bool]) -> Vec<Geometry> {
    let mut runs: Vec<Geometry> = Vec::new();
    for (part, holes) in mesh.parts.iter().zip(holes).filter(|(part, _)| part.index_count > 0) {
        let (first_triangle, triangle_count, opaque) = (part.first_index / 3, part.index_count / 3, !holes);
        match runs.last_mut().filter(|run| run.opaque == opaque) {
            Some(run) => run.triangle_count += triangle_count,
            None => runs.push(Geometry { first_triangle, triangle_count, opaque }),
        }
    }
    runs
}

fn vertex(mesh: &Mesh, i: usize) -> GpuVertex {
    let tangent = mesh.tangents.get(i);
    GpuVertex {
        position: mesh.positions[i].to_array(),
        normal: encode_normal(mesh.normals[i]),
        uv: mesh.uvs.get(i).map_or([0.0; 2], |uv| uv.to_array()),
        tangent: tangent.map_or(0, |t| encode_normal(t.truncate())),
        handedness: tangent.map_or(0.0, |t| if t.w < 0.0 { -1.0 } else { 1.0 }),
    }
}

/// Everything that shaders rely on; they check nothing.
pub(crate) fn validate(mesh: &Mesh, materials: usize) -> Result<(), String> {
    let vertices = mesh.positions.len();
    if !mesh.indices.len().is_multiple_of(3) {
        return Err(format!("{} indices are not whole triangles", mesh.indices.len()));
    }
    if mesh.triangle_count() > MAX_TRIANGLES {
        let triangles = mesh.triangle_count();
        return Err(format!("{triangles} triangles, a mesh has at most {MAX_TRIANGLES}: split it"));
    }
    if mesh.normals.len() != vertices {
        return Err(format!("{} normals for {vertices} positions", mesh.normals.len()));
    }
    for (name, count) in [("tangents", mesh.tangents.len()), ("texture coordinates", mesh.uvs.len())] {
        if count != 0 && count != vertices {
            return Err(format!("{count} {name} for {vertices} positions"));
        }
    }
    if let Some(i) = mesh.indices.iter().find(|i| **i as usize >= vertices) {
        return Err(format!("index {i} of {vertices} positions"));
    }
    if let Some(p) = mesh.positions.iter().find(|p| !p.is_finite()) {
        return Err(format!("position {p} is not finite"));
    }
    if let Some(uv) = mesh.uvs.iter().find(|uv| !uv.is_finite()) {
        return Err(format!("texture coordinate {uv} is not finite"));
    }
    for (name, count) in [("joints", mesh.joints.len()), ("weights of joints", mesh.weights.len())] {
        if count != mesh.joints.len() || (count != 0 && count != vertices) {
            return Err(format!("{count} {name} for {vertices} positions"));
        }
    }
    for (i, target) in mesh.targets.iter().enumerate() {
        for deltas in [&target.positions, &target.normals, &target.tangents] {
            if !deltas.is_empty() && deltas.len() != vertices {
                return Err(format!("morph target {i} with {} deltas for {vertices} positions", deltas.len()));
            }
        }
    }
    let mut next = 0u64;
    for part in &mesh.parts {
        if u64::from(part.first_index) != next || part.index_count % 3 != 0 {
            return Err(format!(
                "part at index {} does not follow the part before it, which ends at {next}",
                part.first_index
            ));
        }
        if part.material as usize >= materials {
            return Err(format!("material {} of {materials}", part.material));
        }
        next += u64::from(part.index_count);
    }
    if next != mesh.indices.len() as u64 {
        return Err(format!("its parts cover {next} of {} indices", mesh.indices.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_scene::MeshPart;

    #[test]
    fn parts_join_where_they_are_alike() {
        let counts = [6u32, 3, 0, 9, 3];
        let holes = [false, false, true, true, false];
        let mut first_index = 0;
        let parts = counts.map(|index_count| {
            first_index += index_count;
            MeshPart { first_index: first_index - index_count, index_count, material: 0 }
        });
        let runs = geometries(&Mesh { parts: parts.to_vec(), ..Mesh::default() }, &holes);
        let expected = [(0, 3, true), (3, 3, false), (6, 1, true)];
        assert_eq!(
            runs,
            expected.map(|(first_triangle, triangle_count, opaque)| Geometry {
                first_triangle,
                triangle_count,
                opaque
            })
        );
    }
}
