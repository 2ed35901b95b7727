//! Where a scene's instances stand: their table for shading and the tree over them, shared by all frames in which nothing moves.

use crate::frame::FrameState;
use crate::layout::{GpuInstance, rows};
use crate::mesh::{GpuMesh, MeshTree};
use crate::scene::SceneShared;
use crate::vulkan::{AccelerationStructure, Buffer, PlacedStructure, Submission, Submitter};
use crate::{FrontEnd, RendererError};
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
    pub(crate) tree: InstanceTree,
    /// The tree's own build, where the device makes it: frames are traced by work that is submitted after it.
    _build: Option<Submission>,
}

/// The tree over instances that rays walk: ours or the device's.
#[derive(Clone)]
pub(crate) enum InstanceTree {
    Compute(Arc<Buffer>),
    Hardware(Arc<AccelerationStructure>),
}

impl InstanceTree {
    /// Where shaders find it.
    pub(crate) fn address(&self) -> u64 {
        match self {
            InstanceTree::Compute(buffer) => buffer.address(),
            InstanceTree::Hardware(structure) => structure.address(),
        }
    }
}

/// The instances as the revision has them.
pub(crate) struct Placement {
    placed: Placed,
    start: RefitFrom,
}

/// What a frame's tree is refitted from.
enum RefitFrom {
    Compute(Tlas),
    Hardware(Arc<AccelerationStructure>, Vec<PlacedStructure>),
}

impl Placement {
    pub(crate) fn at_rest(
        submitter: &Submitter,
        front_end: FrontEnd,
        instances: &[Instance],
        meshes: &[Arc<GpuMesh>],
        luminous: &[[u32; 2]],
    ) -> Result<Placement, RendererError> {
        let transforms: Vec<Affine3A> = instances.iter().map(|i| i.transform).collect();
        let table = table(instances, meshes, luminous, &transforms, &transforms);
        let (tree, start) = if front_end.is_hardware() {
            let placed = placed_structures(instances, meshes, &transforms);
            let (tree, build) = AccelerationStructure::top(submitter, &placed, None)?;
            build.wait()?;
            (InstanceTree::Hardware(tree.clone()), RefitFrom::Hardware(tree, placed))
        } else {
            let tree = Tlas::build(&in_tree(instances, meshes, &transforms));
            let buffer = Buffer::with_bytes(submitter, "instance tree", tree.bytes())?;
            (InstanceTree::Compute(Arc::new(buffer)), RefitFrom::Compute(tree))
        };
        let instances = Arc::new(Buffer::with_bytes(submitter, "instances", bytemuck::cast_slice(&table))?);
        Ok(Placement { placed: Placed { instances, tree, _build: None }, start })
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
            let table = table(&scene.instances, &scene.meshes, &scene.luminous_ranges, transforms, previous);
            Arc::new(Buffer::uploaded(context, "moved instances", bytemuck::cast_slice(&table))?)
        };
        if state.transforms.is_empty() {
            return Ok(Placed { instances, tree: self.placed.tree.clone(), _build: None });
        }
        let few = state.transforms.len() * REFIT_SHARE <= transforms.len();
        let (tree, build) = match &self.start {
            RefitFrom::Compute(start) => {
                let in_tree = in_tree(&scene.instances, &scene.meshes, transforms);
                let tree = if few {
                    let mut tree = start.clone();
                    tree.refit(&in_tree);
                    tree
                } else {
                    Tlas::build(&in_tree)
                };
                let buffer = Buffer::uploaded(context, "moved instance tree", tree.bytes())?;
                (InstanceTree::Compute(Arc::new(buffer)), None)
            }
            RefitFrom::Hardware(start, at_rest) => {
                let placed = placed_structures(&scene.instances, &scene.meshes, transforms);
                // A refit can neither add nor remove what rays may hit.
                let same = placed.iter().zip(at_rest).all(|(a, b)| a.is_active() == b.is_active());
                let (tree, build) =
                    AccelerationStructure::top(&scene.submitter, &placed, (few && same).then_some(start))?;
                (InstanceTree::Hardware(tree), Some(build))
            }
        };
        Ok(Placed { instances, tree, _build: build })
    }
}

fn table(
    instances: &[Instance],
    meshes: &[Arc<GpuMesh>],
    luminous: &[[u32; 2]],
    transforms: &[Affine3A],
    previous: &[Affine3A],
) -> Vec<GpuInstance> {
    let entries = instances.iter().zip(luminous).zip(transforms).zip(previous);
    let entry = |(((instance, luminous), transform), previous): (((&Instance, &[u32; 2]), &Affine3A), &Affine3A)| {
        let mesh = &meshes[instance.mesh as usize];
        GpuInstance {
            transform: rows(transform),
            previous: rows(previous),
            vertices: mesh.vertices_address(),
            triangles: mesh.triangles_address(),
            geometries: mesh.geometries_address(),
            luminous: *luminous,
            inverse: rows(&transform.inverse()),
        }
    };
    entries.map(entry).collect()
}

fn in_tree(instances: &[Instance], meshes: &[Arc<GpuMesh>], transforms: &[Affine3A]) -> Vec<TlasInstance> {
    let entry = |(instance, transform): (&Instance, &Affine3A)| {
        let MeshTree::Compute { address, bounds } = meshes[instance.mesh as usize].tree() else {
            unreachable!("all trees of a renderer are of its front end")
        };
        TlasInstance { blas_address: *address, blas_bounds: *bounds, transform: *transform, flags: 0 }
    };
    instances.iter().zip(transforms).map(entry).collect()
}

fn placed_structures(instances: &[Instance], meshes: &[Arc<GpuMesh>], transforms: &[Affine3A]) -> Vec<PlacedStructure> {
    let entry = |(instance, transform): (&Instance, &Affine3A)| {
        let bottom = match meshes[instance.mesh as usize].tree() {
            // As in our own trees, what has no inverse is not there.
            MeshTree::Hardware { structure: Some(structure), .. } if transform.inverse().is_finite() => {
                structure.address()
            }
            _ => 0,
        };
        PlacedStructure::new(rows(transform), bottom)
    };
    instances.iter().zip(transforms).map(entry).collect()
}
