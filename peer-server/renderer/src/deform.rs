//! Instances in the shape of their pose: vertices deformed by a compute pass, and the tree over them, refitted or built.
//!
//! **Everything follows from the revision and the frame's own poses**: trees are refitted from the one over the mesh as it is
//! stored, never from another frame's, so the same poses give the same pixels whatever was shown before.

use crate::layout::{Deformation, GpuVertex, Push, rows};
use crate::mesh::{GpuMesh, MeshTree};
use crate::vulkan::{Buffer, Kernel, Kernels, Place, Recorder, Submission, Submitter, Triangles};
use crate::{FrontEnd, RendererError};
use glam::{Affine3A, Vec3};
use rayloom_bvh::Blas;
use rayloom_scene::{Mesh, Pose};
use std::any::Any;
use std::sync::Arc;

/// A tree is refitted as long as its boxes have at most so many times the area that a new build's have, by the sample that
/// [`Sample`] is; beyond that it is built anew.
const REBUILD_FACTOR: f32 = 2.0;
/// Triangles of a sample.
const SAMPLE_TRIANGLES: usize = 256;
/// Invocations of a workgroup of passes/deform.glsl, and most workgroups along a side of a dispatch.
const GROUP: u32 = 64;
const MOST_GROUPS: u32 = 65535;
/// Floats that a morph target adds to a vertex.
const TARGET_FLOATS: usize = 9;
/// Where the palettes begin after the [`Deformation`].
const PALETTES_AT: usize = 256;

/// What a mesh that deforms keeps beside what every mesh has.
pub(crate) struct Deformable {
    /// Weights, joints, targets.
    buffer: Buffer,
    joints_offset: u64,
    targets_offset: u64,
    has_joints: bool,
    vertex_count: usize,
    sample: Sample,
    /// Three indices a triangle, where the device builds trees over them.
    pub(crate) indices: Option<Buffer>,
}

impl Deformable {
    pub(crate) fn new(submitter: &Submitter, front_end: FrontEnd, mesh: &Mesh) -> Result<Deformable, RendererError> {
        let vertex_count = mesh.positions.len();
        let mut bytes: Vec<u8> = bytemuck::cast_slice(&mesh.weights).to_vec();
        let joints_offset = bytes.len() as u64;
        for (joints, weights) in mesh.joints.iter().zip(&mesh.weights) {
            // The palette need not have what does not weigh anything.
            let named: [u16; 4] = std::array::from_fn(|i| if weights[i] > 0.0 { joints[i] } else { 0 });
            bytes.extend_from_slice(bytemuck::bytes_of(&named));
        }
        let targets_offset = bytes.len() as u64;
        bytes.reserve(mesh.targets.len() * vertex_count * TARGET_FLOATS * 4);
        for target in &mesh.targets {
            for i in 0..vertex_count {
                let parts = [&target.positions, &target.normals, &target.tangents];
                let deltas = parts.map(|p| p.get(i).copied().unwrap_or(Vec3::ZERO).to_array());
                bytes.extend_from_slice(bytemuck::bytes_of(&deltas));
            }
        }
        let indices = front_end
            .is_hardware()
            .then(|| Buffer::for_build(submitter.context(), "indices of a mesh", bytemuck::cast_slice(&mesh.indices)));
        Ok(Deformable {
            buffer: Buffer::with_bytes(submitter, "joints and targets", &bytes)?,
            joints_offset,
            targets_offset,
            has_joints: !mesh.joints.is_empty(),
            vertex_count,
            sample: Sample::new(mesh),
            indices: indices.transpose()?,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.buffer.size() + self.indices.as_ref().map_or(0, Buffer::size)
    }
}

/// A few triangles of a mesh with a tree of their own: what refits cost them tells what they cost the whole.
struct Sample {
    mesh: Mesh,
    tree: Blas,
}

impl Sample {
    fn new(mesh: &Mesh) -> Sample {
        let step = mesh.triangle_count().div_ceil(SAMPLE_TRIANGLES).max(1);
        let corners: Vec<usize> =
            mesh.indices.chunks_exact(3).step_by(step).flatten().map(|corner| *corner as usize).collect();
        let pick = |deltas: &Vec<Vec3>| corners.iter().filter_map(|i| deltas.get(*i).copied()).collect();
        let targets = mesh.targets.iter();
        let sample = Mesh {
            positions: pick(&mesh.positions),
            joints: corners.iter().filter_map(|i| mesh.joints.get(*i).copied()).collect(),
            weights: corners.iter().filter_map(|i| mesh.weights.get(*i).copied()).collect(),
            targets: targets
                .map(|t| rayloom_scene::MorphTarget { positions: pick(&t.positions), ..Default::default() })
                .collect(),
            indices: (0..corners.len() as u32).collect(),
            ..Mesh::default()
        };
        let tree = Blas::build(&sample.positions, &sample.indices);
        Sample { mesh: sample, tree }
    }

    /// True where a refit's boxes would have more than [`REBUILD_FACTOR`] times the area that they have in a new build.
    fn outgrows_refits(&self, pose: &Pose) -> bool {
        let shaped: Vec<Vec3> = (0..self.mesh.positions.len()).map(|i| pose.position(&self.mesh, i)).collect();
        let mut refitted = self.tree.clone();
        refitted.refit(&shaped);
        let built = Blas::build(&shaped, &self.mesh.indices);
        refitted.relative_area() > REBUILD_FACTOR * built.relative_area()
    }
}

/// An instance's vertices and tree in one frame.
pub(crate) struct Deformed {
    vertices: Buffer,
    /// Where they were in the previous frame.
    previous: Buffer,
    tree: MeshTree,
    /// Where a tree of ours lies.
    _tree_buffer: Option<Buffer>,
}

impl Deformed {
    pub(crate) fn vertices_address(&self) -> u64 {
        self.vertices.address()
    }

    pub(crate) fn previous_address(&self) -> u64 {
        self.previous.address()
    }

    pub(crate) fn tree(&self) -> &MeshTree {
        &self.tree
    }
}

/// An instance's shape to be made.
pub(crate) struct Shape<'a> {
    pub(crate) mesh: &'a Arc<GpuMesh>,
    pub(crate) pose: &'a Pose,
    pub(crate) previous: &'a Pose,
}

/// Deforms instances. Our own trees are there on return: the vertices are waited for and read back. The device's are built
/// by the submission, after which frames are traced.
pub(crate) fn deform(
    submitter: &Submitter,
    kernels: &Arc<Kernels>,
    shapes: &[Shape<'_>],
) -> Result<(Vec<Deformed>, Option<Submission>), RendererError> {
    if shapes.is_empty() {
        return Ok((Vec::new(), None));
    }
    let mut recorder = submitter.record()?;
    let mut keeps: Vec<Box<dyn Any + Send + Sync>> = vec![Box::new(kernels.clone())];
    let mut started = Vec::with_capacity(shapes.len());
    for shape in shapes {
        started.push(dispatch(submitter, kernels, &mut recorder, shape, &mut keeps)?);
    }
    recorder.barrier();
    if shapes[0].mesh.indices().is_none() {
        return over_read_back(submitter, recorder, shapes, started, keeps).map(|deformed| (deformed, None));
    }
    recorder.build_inputs_barrier();
    let mut deformed = Vec::with_capacity(shapes.len());
    for (shape, (vertices, previous)) in shapes.iter().zip(started) {
        let MeshTree::Hardware { structure, firsts } = shape.mesh.tree() else {
            unreachable!("all trees of a renderer are of its front end")
        };
        let mut made = None;
        if let (Some(base), Some((deformable, indices))) = (structure, shape.mesh.indices()) {
            let triangles = Triangles {
                vertices: vertices.address(),
                stride: size_of::<GpuVertex>(),
                vertex_count: deformable.vertex_count,
                indices: indices.address(),
                geometries: shape.mesh.geometries(),
                deforms: true,
            };
            let refitted = (!deformable.sample.outgrows_refits(shape.pose)).then_some(base);
            let (structure, scratch) = triangles.record(submitter.context(), &mut recorder, refitted)?;
            keeps.push(Box::new(scratch));
            made = Some(structure);
        }
        let tree = MeshTree::Hardware { structure: made, firsts: *firsts };
        deformed.push(Deformed { vertices, previous, tree, _tree_buffer: None });
    }
    let submission = recorder.submit(Box::new(keeps))?;
    Ok((deformed, Some(submission)))
}

/// Records one instance's pass; gives the vertices for shading, and where they were before.
fn dispatch(
    submitter: &Submitter,
    kernels: &Kernels,
    recorder: &mut Recorder,
    shape: &Shape<'_>,
    keeps: &mut Vec<Box<dyn Any + Send + Sync>>,
) -> Result<(Buffer, Buffer), RendererError> {
    let context = submitter.context();
    let deformable = shape.mesh.deformable().expect("only instances of meshes that deform are shaped");
    let count = deformable.vertex_count;
    let vertices_bytes = (count * size_of::<GpuVertex>()) as u64;
    let for_build = deformable.indices.is_some();
    let vertices = Buffer::for_vertices(context, "deformed vertices", vertices_bytes, for_build)?;
    let previous = Buffer::new(context, "previous positions", (count * 16) as u64, Place::Device)?;
    let mixes = mixes(shape);
    let palette_bytes = |palette: &[Affine3A]| palette.len() * 48;
    let previous_at = PALETTES_AT + palette_bytes(&shape.pose.palette);
    let mixes_at = previous_at + palette_bytes(&shape.previous.palette);
    let mut bytes = vec![0u8; PALETTES_AT];
    for joint in shape.pose.palette.iter().chain(&shape.previous.palette) {
        bytes.extend_from_slice(bytemuck::bytes_of(&rows(joint)));
    }
    bytes.extend_from_slice(bytemuck::cast_slice(&mixes));
    let mut block = Buffer::uploaded(context, "pose", &bytes)?;
    let (own, rest) = (block.address(), deformable.buffer.address());
    let deformation = Deformation {
        vertices: shape.mesh.vertices_address(),
        weights: if deformable.has_joints { rest } else { 0 },
        joints: rest + deformable.joints_offset,
        targets: rest + deformable.targets_offset,
        palette: own + PALETTES_AT as u64,
        previous_palette: own + previous_at as u64,
        mixes: own + mixes_at as u64,
        shaped: vertices.address(),
        previous: previous.address(),
        vertex_count: count as u32,
        mix_count: mixes.len() as u32,
    };
    assert!(block.write(0, bytemuck::bytes_of(&deformation)), "upload buffers are mapped");
    let groups = (count as u32).div_ceil(GROUP);
    let rows = groups.div_ceil(MOST_GROUPS);
    let push = Push { params: own, ..Push::default() };
    recorder.dispatch(kernels, Kernel::Deform, (groups.min(MOST_GROUPS), rows), bytemuck::bytes_of(&push));
    keeps.push(Box::new((block, shape.mesh.clone())));
    Ok((vertices, previous))
}

/// Targets that weigh anything: index, weight now and before.
fn mixes(shape: &Shape<'_>) -> Vec<[u32; 4]> {
    let (now, before) = (&shape.pose.morph_weights, &shape.previous.morph_weights);
    let weight = |weights: &[f32], i: usize| weights.get(i).copied().unwrap_or(0.0);
    let weighed = (0..now.len().max(before.len())).map(|i| (i, weight(now, i), weight(before, i)));
    weighed
        .filter(|(_, a, b)| *a != 0.0 || *b != 0.0)
        .map(|(i, a, b)| [i as u32, a.to_bits(), b.to_bits(), 0])
        .collect()
}

/// Our own trees over vertices that come back from the device.
fn over_read_back(
    submitter: &Submitter,
    mut recorder: Recorder,
    shapes: &[Shape<'_>],
    started: Vec<(Buffer, Buffer)>,
    keeps: Vec<Box<dyn Any + Send + Sync>>,
) -> Result<Vec<Deformed>, RendererError> {
    let context = submitter.context();
    let mut copies: Vec<Option<Buffer>> = Vec::with_capacity(started.len());
    for (vertices, _) in &started {
        copies.push(match vertices.is_readable() {
            true => None,
            false => {
                let copy = Buffer::new(context, "deformed vertices read back", vertices.size(), Place::Readback)?;
                recorder.copy(vertices, &copy, vertices.size());
                Some(copy)
            }
        });
    }
    recorder.barrier();
    // It is waited for here, so what it uses lives as long.
    recorder.submit(Box::new(keeps))?.wait()?;
    let mut deformed = Vec::with_capacity(shapes.len());
    for ((shape, (vertices, previous)), copy) in shapes.iter().zip(started).zip(&copies) {
        let deformable = shape.mesh.deformable().expect("only instances of meshes that deform are shaped");
        let bytes = copy.as_ref().unwrap_or(&vertices).bytes();
        let whole: &[GpuVertex] = bytemuck::cast_slice(&bytes[..deformable.vertex_count * size_of::<GpuVertex>()]);
        let positions: Vec<Vec3> = whole.iter().map(|v| Vec3::from_array(v.position)).collect();
        let tree = shape.mesh.shaped_tree(&positions, deformable.sample.outgrows_refits(shape.pose));
        let buffer = Buffer::uploaded(context, "deformed tree", tree.bytes())?;
        let tree = MeshTree::Compute { address: buffer.address(), bounds: tree.bounds() };
        deformed.push(Deformed { vertices, previous, tree, _tree_buffer: Some(buffer) });
    }
    Ok(deformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A long strip of 4000 triangles along x, with a joint for each tenth of it.
    fn strip() -> Mesh {
        let positions: Vec<Vec3> =
            (0..2002).flat_map(|i| [0.0, 1.0].map(|y| Vec3::new(i as f32 * 0.1, y, 0.0))).collect();
        let indices = (0..4000u32).flat_map(|i| [i, i + 1, i + 2]).collect();
        let joints = positions.iter().map(|p| [((p.x / 20.1) as u16).min(9), 0, 0, 0]).collect();
        let weights = vec![[1.0, 0.0, 0.0, 0.0]; positions.len()];
        Mesh { positions, indices, joints, weights, ..Mesh::default() }
    }

    #[test]
    fn bends_are_refitted_and_what_flies_apart_is_built_anew() {
        let sample = Sample::new(&strip());
        assert!(sample.mesh.triangle_count() <= SAMPLE_TRIANGLES && sample.mesh.triangle_count() > 100);
        let pose = |palette: Vec<Affine3A>| Pose { palette, ..Pose::default() };
        let still = vec![Affine3A::IDENTITY; 10];
        assert!(!sample.outgrows_refits(&pose(still)));
        let bent = |i: u32| Affine3A::from_rotation_z(i as f32 * 0.02);
        assert!(!sample.outgrows_refits(&pose((0..10).map(bent).collect())));
        // Neighbouring triangles of different joints are torn apart when these part.
        let whole = strip();
        let corners = || whole.indices.iter().map(|i| *i as usize);
        let mut torn = Mesh { positions: corners().map(|i| whole.positions[i]).collect(), ..Mesh::default() };
        torn.indices = (0..torn.positions.len() as u32).collect();
        torn.joints = corners().enumerate().map(|(corner, _)| [(corner / 3 * 7 % 10) as u16, 0, 0, 0]).collect();
        torn.weights = vec![[1.0, 0.0, 0.0, 0.0]; torn.positions.len()];
        let apart = |i: u32| Affine3A::from_translation(Vec3::new(0.0, 0.0, i as f32 * 20.0));
        let palette: Vec<Affine3A> = (0..10).map(apart).collect();
        assert!(Sample::new(&torn).outgrows_refits(&pose(palette)));
    }
}
