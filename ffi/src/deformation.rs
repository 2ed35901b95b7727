//! What deforms a mesh: joints and morph targets, behind `next` of its descriptor.

use crate::mesh::optional;
use crate::pointer::{self, descriptor};
use crate::result::Failure;
use sdk::scene::{MAX_MESH_ELEMENTS, Mesh, MorphTarget};
use std::ffi::c_void;

/// struct_type of rayloom_mesh_deformation_desc.
pub const RAYLOOM_STRUCT_MESH_DEFORMATION_DESC: u32 = 23;

/// What a morph target adds to each vertex of its mesh at a weight of 1, in the scene's convention.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_morph_target {
    /// 3 floats a vertex, added to positions; NULL = nothing.
    pub positions: *const f32,
    /// 3 floats a vertex, added to normals; NULL = nothing. Unused where the mesh's own normals are NULL.
    pub normals: *const f32,
    /// 3 floats a vertex, added to tangents, whose fourth float stays; NULL = nothing. Unused where the mesh's own tangents
    /// are NULL.
    pub tangents: *const f32,
}

/// Joints and morph targets of a mesh, at `next` of its rayloom_mesh_desc. Each instance of a mesh with joints needs a palette
/// by rayloom_scene_set_palettes before the next commit; targets weigh 0 until rayloom_scene_set_morph_weights.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_mesh_deformation_desc {
    /// RAYLOOM_STRUCT_MESH_DEFORMATION_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_mesh_deformation_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// 4 a vertex: which matrices of an instance's palette move it; below joint_count wherever the weight is above 0. NULL =
    /// no joints.
    pub joints: *const u16,
    /// 4 floats a vertex, one for each of its joints: finite, not negative, not all 0; scaled to a sum of 1. An engine with
    /// more influences gives the four largest. NULL = no joints.
    pub weights: *const f32,
    /// Shapes that weights mix in before joints move the vertices; NULL = none.
    pub targets: *const rayloom_morph_target,
    /// Number of joints, at most 65,536; 0 where joints and weights are NULL.
    pub joint_count: u32,
    /// Number of morph targets.
    pub target_count: u32,
}
descriptor!(rayloom_mesh_deformation_desc, RAYLOOM_STRUCT_MESH_DEFORMATION_DESC);

impl rayloom_mesh_deformation_desc {
    /// Gives the mesh, which has its vertices, these joints and targets.
    ///
    /// # Safety
    /// The header's contract for the arrays.
    pub(crate) unsafe fn copy_into(&self, mesh: &mut Mesh) -> Result<(), Failure> {
        let vertices = mesh.positions.len();
        let skinned = self.joint_count > 0;
        if skinned == self.joints.is_null() || skinned == self.weights.is_null() {
            let given = |is_null: bool| if is_null { "NULL" } else { "given" };
            return Err(Failure::argument(format!(
                "desc->next->joint_count is {}, joints are {}, weights are {}: give all of them, or none",
                self.joint_count,
                given(self.joints.is_null()),
                given(self.weights.is_null())
            )));
        }
        if self.joint_count > u32::from(u16::MAX) + 1 {
            return Err(Failure::argument(format!(
                "desc->next->joint_count is {}, allowed is 0 to 65536",
                self.joint_count
            )));
        }
        let deltas = (self.target_count as usize).checked_mul(vertices);
        if deltas.is_none_or(|deltas| deltas > MAX_MESH_ELEMENTS) {
            return Err(Failure::argument(format!(
                "desc->next->target_count is {}: with {vertices} vertices that is more than {MAX_MESH_ELEMENTS} deltas",
                self.target_count
            )));
        }
        if skinned {
            // SAFETY: four numbers are aligned like one; the caller vouches for the rest.
            unsafe {
                mesh.joints = pointer::slice("desc->next->joints", self.joints.cast::<[u16; 4]>(), vertices)?.to_vec();
                mesh.weights = optional::<4>("desc->next->weights", self.weights, vertices)?.to_vec();
            }
            self.check_joints(mesh)?;
        }
        // SAFETY: the caller vouches for the array.
        let targets = unsafe { pointer::slice("desc->next->targets", self.targets, self.target_count as usize) }?;
        for (i, target) in targets.iter().enumerate() {
            let arrays = [("positions", target.positions), ("normals", target.normals), ("tangents", target.tangents)];
            let mut copies = [const { Vec::new() }; 3];
            for (copy, (name, data)) in copies.iter_mut().zip(arrays) {
                // SAFETY: the caller vouches for the arrays.
                let deltas = unsafe { optional::<3>(&format!("desc->next->targets[{i}].{name}"), data, vertices) }?;
                *copy = deltas.iter().map(|delta| (*delta).into()).collect();
            }
            let [positions, normals, tangents] = copies;
            mesh.targets.push(MorphTarget { positions, normals, tangents });
        }
        Ok(())
    }

    /// Weights are the mesh's own to check; which joints there are is said only here.
    fn check_joints(&self, mesh: &Mesh) -> Result<(), Failure> {
        for (vertex, (joints, weights)) in mesh.joints.iter().zip(&mesh.weights).enumerate() {
            let beyond = |(joint, weight): &(&u16, &f32)| u32::from(**joint) >= self.joint_count && **weight > 0.0;
            if let Some((joint, _)) = joints.iter().zip(weights).find(beyond) {
                let reason =
                    format!("vertex {vertex} names joint {joint}, but desc->next->joint_count is {}", self.joint_count);
                return Err(Failure::new(crate::result::RAYLOOM_SCENE_ERROR, reason));
            }
        }
        Ok(())
    }
}
