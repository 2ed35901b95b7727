//! Where a scene's instances stand: their table for shading and the tree over them, shared by all frames in which nothing moves.

use crate::RendererError;
use crate::frame::FrameState;
use crate::layout::{GpuInstance, rows};
use crate::mesh::GpuMesh;
use crate::scene::SceneShared;
use crate::vulkan::{Buffer, Submitter};
use glam::Affine3A;
use rayloom_bvh::{Tlas, TlasInstance};
use rayloom_scene::Instance;
use std::sync::Arc;

/// A tree is refitted where at most one in this many instances has moved, else built anew: the further they go, the worse
/// a tree becomes that was built for where they stood.
const REFIT_SHARE: usize = 4;

/// A frame's instances on the GPU.
pub(crate) struct Placed {
    pub(crate) instances: Arc<Buffer>,
    pub(crate) tlas: Arc<Buffer>,
}

/// The instances as the revision has them.
pub(crate) struct Placement {
    placed: Placed,
    tree: Tlas,
}

impl Placement {
    pub(crate) fn at_rest(
        submitter: &Submitter,
        instances: &[Instance],
        meshes: &[Arc<GpuMesh>],
    ) -> Result<Placement, RendererError> {
        let transforms: Vec<Affine3A> = instances.iter().map(|i| i.transform).collect();
        let table = table(instances, meshes, &transforms, &transforms);
        let tree = Tlas::build(&in_tree(instances, meshes, &transforms));
        let placed = Placed {
            instances: Arc::new(Buffer::with_bytes(submitter, "instances", bytemuck::cast_slice(&table))?),
            tlas: Arc::new(Buffer::with_bytes(submitter, "instance tree", tree.bytes())?),
        };
        Ok(Placement { placed, tree })
    }

    /// The instances of a frame. Its tree follows from the revision and the frame's own state, never from another frame:
    /// the same state gives the same pixels.
    pub(crate) fn moved(
        &self,
        scene: &SceneShared,
        transforms: &[Affine3A],
        previous: &[Affine3A],
        state: &FrameState<'_>,
    ) -> Result<Placed, RendererError> {
        let context = scene.submitter.context();
        let instances = if state.transforms.is_empty() && state.previous_transforms.is_empty() {
            Arc::clone(&self.placed.instances)
        } else {
            let table = table(&scene.instances, &scene.meshes, transforms, previous);
            Arc::new(Buffer::uploaded(context, "moved instances", bytemuck::cast_slice(&table))?)
        };
        let tlas = if state.transforms.is_empty() {
            Arc::clone(&self.placed.tlas)
        } else {
            let in_tree = in_tree(&scene.instances, &scene.meshes, transforms);
            let tree = if state.transforms.len() * REFIT_SHARE <= transforms.len() {
                let mut tree = self.tree.clone();
                tree.refit(&in_tree);
                tree
            } else {
                Tlas::build(&in_tree)
            };
            Arc::new(Buffer::uploaded(context, "moved instance tree", tree.bytes())?)
        };
        Ok(Placed { instances, tlas })
    }
}

fn table(
    instances: &[Instance],
    meshes: &[Arc<GpuMesh>],
    transforms: &[Affine3A],
    previous: &[Affine3A],
) -> Vec<GpuInstance> {
    let entries = instances.iter().zip(transforms).zip(previous);
    let entry = |((instance, transform), previous): ((&Instance, &Affine3A), &Affine3A)| {
        let mesh = &meshes[instance.mesh as usize];
        GpuInstance {
            transform: rows(transform),
            previous: rows(previous),
            vertices: mesh.vertices_address(),
            triangles: mesh.triangles_address(),
            reserved: [0; 4],
        }
    };
    entries.map(entry).collect()
}

fn in_tree(instances: &[Instance], meshes: &[Arc<GpuMesh>], transforms: &[Affine3A]) -> Vec<TlasInstance> {
    let entry = |(instance, transform): (&Instance, &Affine3A)| {
        let mesh = &meshes[instance.mesh as usize];
        TlasInstance { blas_address: mesh.blas_address(), blas_bounds: mesh.bounds, transform: *transform, flags: 0 }
    };
    instances.iter().zip(transforms).map(entry).collect()
}
