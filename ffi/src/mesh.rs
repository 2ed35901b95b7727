//! Meshes of a scene.

use crate::boundary;
use crate::deformation::rayloom_mesh_deformation_desc;
use crate::handles;
use crate::pointer::{self, descriptor};
use crate::result::{Failure, rayloom_result};
use crate::scene::rayloom_scene;
use sdk::scene::{MAX_MESH_ELEMENTS, Mesh, MeshPart};
use std::ffi::c_void;
use std::sync::Arc;

/// struct_type of rayloom_mesh_desc.
pub const RAYLOOM_STRUCT_MESH_DESC: u32 = 14;

/// Triangles of one material: a range of a mesh's indices.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_mesh_part {
    /// First index; a multiple of 3.
    pub first_index: u32,
    /// Number of indices; a multiple of 3.
    pub index_count: u32,
    /// Id of a material.
    pub material: u32,
}

/// An indexed triangle mesh in its own space and the scene's convention.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_mesh_desc {
    /// RAYLOOM_STRUCT_MESH_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_mesh_desc).
    pub struct_size: u32,
    /// NULL, or a rayloom_mesh_deformation_desc for a mesh with joints or morph targets.
    pub next: *const c_void,
    /// The engine's own name for it, for messages.
    pub user_id: u64,
    /// 3 floats a vertex.
    pub positions: *const f32,
    /// 3 floats a vertex; NULL = flat ones are computed.
    pub normals: *const f32,
    /// 4 floats a vertex; the fourth times the cross product of normal and tangent is the bitangent, which points where normal
    /// maps have green; NULL = computed where a normal map needs them.
    pub tangents: *const f32,
    /// 2 floats a vertex; NULL = none.
    pub uvs: *const f32,
    /// 3 a triangle.
    pub indices: *const u32,
    /// Ranges by material, which cover all indices in order.
    pub parts: *const rayloom_mesh_part,
    /// Number of vertices.
    pub vertex_count: u32,
    /// Number of indices.
    pub index_count: u32,
    /// Number of parts.
    pub part_count: u32,
    /// 0.
    pub reserved: u32,
}
descriptor!(rayloom_mesh_desc, RAYLOOM_STRUCT_MESH_DESC);

/// Adds a mesh and gives its id in the scene. Triangles that are not finite or have no area are dropped, with a line in
/// the log; those of meshes that deform may have no area, since a pose may unfold them. Errors name the user_id.
///
/// Threads: any. Arrays are copied and checked, so not on a render thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_mesh_create(
    scene: *mut rayloom_scene,
    desc: *const rayloom_mesh_desc,
    mesh: *mut u32,
) -> rayloom_result {
    boundary::call("rayloom_mesh_create", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let ((desc, deformation), out) = unsafe {
            (pointer::read_extended::<_, rayloom_mesh_deformation_desc>("desc", desc)?, pointer::out("mesh", mesh)?)
        };
        let object = format!("mesh (user id {})", desc.user_id);
        let named = |failure: Failure| failure.of("mesh", desc.user_id);
        crate::view::check_reserved("desc->reserved", desc.reserved).map_err(named)?;
        // SAFETY: the header's contract.
        let mut mesh = unsafe { copy(&desc) }.map_err(named)?;
        if let Some(deformation) = &deformation {
            // SAFETY: the header's contract.
            unsafe { deformation.copy_into(&mut mesh) }.map_err(named)?;
        }
        scene.convention.convert_mesh(&mut mesh);
        let had_tangents = !mesh.tangents.is_empty();
        let report = scene.read(|scene| mesh.repair(&object, &scene.materials))?;
        if !had_tangents {
            scene.convention.convert_computed_tangents(&mut mesh);
        }
        if !report.is_clean() {
            tracing::info!("{object}: {report:?}");
        }
        out.write(scene.edit(|scene| {
            scene.meshes.push(Arc::new(mesh));
            scene.meshes.len() as u32 - 1
        }));
        Ok(())
    })
}

/// # Safety
/// The header's contract for the arrays.
unsafe fn copy(desc: &rayloom_mesh_desc) -> Result<Mesh, Failure> {
    let vertices = desc.vertex_count as usize;
    for (name, count) in [("vertex_count", vertices), ("index_count", desc.index_count as usize)] {
        if count == 0 || count > MAX_MESH_ELEMENTS {
            return Err(Failure::argument(format!("desc->{name} is {count}, allowed is 1 to {MAX_MESH_ELEMENTS}")));
        }
    }
    if desc.part_count == 0 || desc.part_count > desc.index_count {
        let text = format!("desc->part_count is {}, a mesh has 1 to index_count parts", desc.part_count);
        return Err(Failure::argument(text));
    }
    // SAFETY: the caller vouches for the arrays; any bits are valid numbers.
    unsafe {
        let parts = pointer::slice("desc->parts", desc.parts, desc.part_count as usize)?;
        let part = |part: &rayloom_mesh_part| MeshPart {
            first_index: part.first_index,
            index_count: part.index_count,
            material: part.material,
        };
        Ok(Mesh {
            positions: vectors::<3>("desc->positions", desc.positions, vertices)?.iter().map(|v| (*v).into()).collect(),
            normals: optional::<3>("desc->normals", desc.normals, vertices)?.iter().map(|v| (*v).into()).collect(),
            tangents: optional::<4>("desc->tangents", desc.tangents, vertices)?.iter().map(|v| (*v).into()).collect(),
            uvs: optional::<2>("desc->uvs", desc.uvs, vertices)?.iter().map(|v| (*v).into()).collect(),
            indices: pointer::slice("desc->indices", desc.indices, desc.index_count as usize)?.to_vec(),
            parts: parts.iter().map(part).collect(),
            ..Mesh::default()
        })
    }
}

/// # Safety
/// As [`pointer::slice`].
unsafe fn vectors<'a, const N: usize>(what: &str, data: *const f32, count: usize) -> Result<&'a [[f32; N]], Failure> {
    // SAFETY: N floats are aligned like one; the caller vouches for the rest.
    unsafe { pointer::slice(what, data.cast::<[f32; N]>(), count) }
}

/// # Safety
/// As [`pointer::slice`]; NULL is an empty array.
pub(crate) unsafe fn optional<'a, const N: usize>(
    what: &str,
    data: *const f32,
    count: usize,
) -> Result<&'a [[f32; N]], Failure> {
    // SAFETY: the caller vouches for it.
    if data.is_null() { Ok(&[]) } else { unsafe { vectors(what, data, count) } }
}
