//! Where a scene's instances stand: their table for shading and the tree over them, shared by all frames in which nothing moves.

use crate::deform::{Deformed, Shape, deform};
use crate::frame::FrameState;
use crate::layout::{GpuInstance, rows};
use crate::mesh::{GpuMesh, MeshTree};
use crate::scene::SceneShared;
use crate::vulkan::{AccelerationStructure, Buffer, Kernels, PlacedStructure, Submission, Submitter};
use crate::{FrontEnd, RendererError};
use glam::Affine3A;
use rayloom_bvh::{Tlas, TlasInstance};
use rayloom_scene::{Instance, Pose};
use std::sync::Arc;

/// A tree is refitted where at most one in this many instances has moved, else built anew: the further they go, the worse
/// a tree becomes that was built for where they stood.
const REFIT_SHARE: usize = 4;

/// For each instance its own vertices and tree, where it deforms.
type Shapes = Vec<Option<Arc<Deformed>>>;

/// A frame's instances on the GPU.
pub(crate) struct Placed {
    /// The trees' own builds, where the device makes them: frames are traced by work that is submitted after them. Dropped
    /// first, which waits for them: what they read and write is dropped after.
    _builds: Vec<Submission>,
    pub(crate) instances: Arc<Buffer>,
    pub(crate) tree: InstanceTree,
    /// Where the table and the tree point to.
    shapes: Arc<Shapes>,
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
        kernels: &Arc<Kernels>,
        front_end: FrontEnd,
        instances: &[Instance],
        meshes: &[Arc<GpuMesh>],
        luminous: &[[u32; 2]],
        poses: &[Option<Pose>],
    ) -> Result<Placement, RendererError> {
        let transforms: Vec<Affine3A> = instances.iter().map(|i| i.transform).collect();
        let changed: Vec<usize> = (0..instances.len()).filter(|i| poses[*i].is_some()).collect();
        let mut shapes: Shapes = vec![None; instances.len()];
        let shaped = shape(submitter, kernels, instances, meshes, &changed, [poses, poses], &mut shapes)?;
        if let Some(shaped) = shaped {
            shaped.wait()?;
        }
        let table = table(instances, meshes, &shapes, luminous, &transforms, &transforms);
        let (tree, start) = if front_end.is_hardware() {
            let placed = placed_structures(instances, meshes, &shapes, &transforms);
            let (tree, build) = AccelerationStructure::top(submitter, &placed, None)?;
            build.wait()?;
            (InstanceTree::Hardware(tree.clone()), RefitFrom::Hardware(tree, placed))
        } else {
            let tree = Tlas::build_optimized(&in_tree(instances, meshes, &shapes, &transforms));
            let buffer = Buffer::with_bytes(submitter, "instance tree", tree.bytes())?;
            (InstanceTree::Compute(Arc::new(buffer)), RefitFrom::Compute(tree))
        };
        let instances = Arc::new(Buffer::with_bytes(submitter, "instances", bytemuck::cast_slice(&table))?);
        Ok(Placement { placed: Placed { instances, tree, shapes: Arc::new(shapes), _builds: Vec::new() }, start })
    }

    /// The instances of a frame. Its trees follow from the revision and the frame's own state, never from another frame:
    /// the same state gives the same pixels.
    pub(crate) fn moved(
        &self,
        scene: &SceneShared,
        transforms: &[Affine3A],
        previous: &[Affine3A],
        state: &FrameState<'_>,
    ) -> Result<Placed, RendererError> {
        let context = scene.submitter.context();
        let (poses, previous_poses) =
            (scene.posed(state.poses, "pose")?, scene.posed(state.previous_poses, "previous pose")?);
        // Those that are posed as in the revision, and were so in the frame before, keep its vertices and tree.
        let differs = |i: &usize| poses[*i] != scene.poses[*i] || previous_poses[*i] != scene.poses[*i];
        let changed: Vec<usize> = (0..poses.len()).filter(differs).collect();
        let mut shapes = Arc::clone(&self.placed.shapes);
        let mut builds = Vec::new();
        if !changed.is_empty() {
            let (submitter, kernels, poses) = (&scene.submitter, &scene.kernels, [&poses[..], &previous_poses[..]]);
            let own = Arc::make_mut(&mut shapes);
            builds.extend(shape(submitter, kernels, &scene.instances, &scene.meshes, &changed, poses, own)?);
        }
        let stands = state.transforms.is_empty() && changed.is_empty();
        let instances = if stands && state.previous_transforms.is_empty() {
            Arc::clone(&self.placed.instances)
        } else {
            let table = table(&scene.instances, &scene.meshes, &shapes, &scene.luminous_ranges, transforms, previous);
            Arc::new(Buffer::uploaded(context, "moved instances", bytemuck::cast_slice(&table))?)
        };
        if stands {
            return Ok(Placed { instances, tree: self.placed.tree.clone(), shapes, _builds: builds });
        }
        let few = (state.transforms.len() + changed.len()) * REFIT_SHARE <= transforms.len();
        let tree = match &self.start {
            RefitFrom::Compute(start) => {
                let in_tree = in_tree(&scene.instances, &scene.meshes, &shapes, transforms);
                let tree = if few {
                    let mut tree = start.clone();
                    tree.refit(&in_tree);
                    tree
                } else {
                    Tlas::build(&in_tree)
                };
                let buffer = Buffer::uploaded(context, "moved instance tree", tree.bytes())?;
                InstanceTree::Compute(Arc::new(buffer))
            }
            RefitFrom::Hardware(start, at_rest) => {
                let placed = placed_structures(&scene.instances, &scene.meshes, &shapes, transforms);
                // A refit can neither add nor remove what rays may hit.
                let same = placed.iter().zip(at_rest).all(|(a, b)| a.is_active() == b.is_active());
                let (tree, build) =
                    AccelerationStructure::top(&scene.submitter, &placed, (few && same).then_some(start))?;
                builds.push(build);
                InstanceTree::Hardware(tree)
            }
        };
        Ok(Placed { instances, tree, shapes, _builds: builds })
    }
}

/// Shapes the `changed` instances by their poses, now and in the previous frame.
fn shape(
    submitter: &Submitter,
    kernels: &Arc<Kernels>,
    instances: &[Instance],
    meshes: &[Arc<GpuMesh>],
    changed: &[usize],
    poses: [&[Option<Pose>]; 2],
    shapes: &mut Shapes,
) -> Result<Option<Submission>, RendererError> {
    let wanted: Vec<(usize, Shape<'_>)> = changed
        .iter()
        .filter_map(|i| {
            let (pose, previous) = (poses[0][*i].as_ref()?, poses[1][*i].as_ref()?);
            Some((*i, Shape { mesh: &meshes[instances[*i].mesh as usize], pose, previous }))
        })
        .collect();
    let (places, wanted): (Vec<usize>, Vec<Shape<'_>>) = wanted.into_iter().unzip();
    let (made, submission) = deform(submitter, kernels, &wanted)?;
    for (place, deformed) in places.into_iter().zip(made) {
        shapes[place] = Some(Arc::new(deformed));
    }
    Ok(submission)
}

fn table(
    instances: &[Instance],
    meshes: &[Arc<GpuMesh>],
    shapes: &Shapes,
    luminous: &[[u32; 2]],
    transforms: &[Affine3A],
    previous: &[Affine3A],
) -> Vec<GpuInstance> {
    let entry = |i: usize| {
        let mesh = &meshes[instances[i].mesh as usize];
        let shape = shapes[i].as_ref();
        GpuInstance {
            transform: rows(&transforms[i]),
            previous: rows(&previous[i]),
            vertices: shape.map_or(mesh.vertices_address(), |s| s.vertices_address()),
            triangles: mesh.triangles_address(),
            geometries: mesh.geometries_address(),
            luminous: luminous[i],
            inverse: rows(&transforms[i].inverse()),
            previous_vertices: shape.map_or(0, |s| s.previous_address()),
            reserved: 0,
        }
    };
    (0..instances.len()).map(entry).collect()
}

/// What rays walk for an instance: its own tree where it deforms, else its mesh's.
fn tree_of<'a>(instance: &Instance, shape: &'a Option<Arc<Deformed>>, meshes: &'a [Arc<GpuMesh>]) -> &'a MeshTree {
    shape.as_ref().map_or(meshes[instance.mesh as usize].tree(), |s| s.tree())
}

fn in_tree(
    instances: &[Instance],
    meshes: &[Arc<GpuMesh>],
    shapes: &Shapes,
    transforms: &[Affine3A],
) -> Vec<TlasInstance> {
    let entry = |((instance, shape), transform): ((&Instance, &Option<Arc<Deformed>>), &Affine3A)| {
        let MeshTree::Compute { address, bounds } = tree_of(instance, shape, meshes) else {
            unreachable!("all trees of a renderer are of its front end")
        };
        TlasInstance { blas_address: *address, blas_bounds: *bounds, transform: *transform, flags: 0 }
    };
    instances.iter().zip(shapes).zip(transforms).map(entry).collect()
}

fn placed_structures(
    instances: &[Instance],
    meshes: &[Arc<GpuMesh>],
    shapes: &Shapes,
    transforms: &[Affine3A],
) -> Vec<PlacedStructure> {
    let entry = |((instance, shape), transform): ((&Instance, &Option<Arc<Deformed>>), &Affine3A)| {
        let bottom = match tree_of(instance, shape, meshes) {
            // As in our own trees, what has no inverse is not there.
            MeshTree::Hardware { structure: Some(structure), .. } if transform.inverse().is_finite() => {
                structure.address()
            }
            _ => 0,
        };
        PlacedStructure::new(rows(transform), bottom)
    };
    instances.iter().zip(shapes).zip(transforms).map(entry).collect()
}
