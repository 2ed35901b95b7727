//! Meshes with joints or morph targets: what the vertex shader reads to pose them, by mesh and by instance and frame.

use crate::layout::GpuDeformation;
use glam::{Affine3A, Vec3};
use rayloom_scene::{Instance, Mesh, Pose, Scene, SceneError};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of a palette's matrix and of a target's weights.
const MATRIX: usize = 48;
const MIX: usize = 16;
/// Floats that a morph target adds to a vertex.
pub(crate) const TARGET_FLOATS: usize = 9;

/// A mesh that deforms, and where its data is among all meshes'.
#[derive(Clone, Debug)]
pub(crate) struct Deforming {
    mesh: Arc<Mesh>,
    weights_at: u64,
    joints_at: u64,
    targets_at: u64,
    vertex_offset: i32,
    joint_count: usize,
}

impl Deforming {
    /// Appends the mesh's weights, joints and targets; `None` where it keeps its shape.
    pub(crate) fn append(bytes: &mut Vec<u8>, mesh: &Arc<Mesh>, vertex_offset: i32) -> Option<Deforming> {
        if !mesh.deforms() {
            return None;
        }
        let weights_at = bytes.len() as u64;
        bytes.extend_from_slice(bytemuck::cast_slice(&mesh.weights));
        let joints_at = bytes.len() as u64;
        for (joints, weights) in mesh.joints.iter().zip(&mesh.weights) {
            // A palette need not have what does not weigh anything.
            let named: [u16; 4] = std::array::from_fn(|i| if weights[i] > 0.0 { joints[i] } else { 0 });
            bytes.extend_from_slice(bytemuck::bytes_of(&named));
        }
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        let targets_at = bytes.len() as u64;
        for target in &mesh.targets {
            for i in 0..mesh.positions.len() {
                let parts = [&target.positions, &target.normals, &target.tangents];
                let deltas = parts.map(|part| part.get(i).copied().unwrap_or(Vec3::ZERO).to_array());
                bytes.extend_from_slice(bytemuck::bytes_of(&deltas));
            }
        }
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        let (mesh, joint_count) = (mesh.clone(), mesh.joint_count());
        Some(Deforming { mesh, weights_at, joints_at, targets_at, vertex_offset, joint_count })
    }

    /// Bytes of one instance's part of a frame.
    fn frame_bytes(&self) -> usize {
        size_of::<GpuDeformation>() + 2 * self.joint_count * MATRIX + self.mesh.targets.len() * MIX
    }
}

/// The instances of a scene that deform.
pub(crate) struct Deformations {
    /// Index of the instance and its place in a frame's bytes.
    places: Vec<(u32, usize)>,
    at_rest: HashMap<u32, Pose>,
    /// Bytes of a frame.
    pub(crate) frame_bytes: usize,
}

/// A frame's poses as the shader reads them.
pub(crate) struct Posed {
    /// For each instance of the scene, where its [`GpuDeformation`] is; 0 where it has none.
    pub(crate) addresses: Vec<u64>,
    pub(crate) bytes: Vec<u8>,
}

impl Deformations {
    /// `of_mesh` gives what [`Deforming::append`] gave for a mesh.
    pub(crate) fn new<'a>(scene: &Scene, of_mesh: impl Fn(u32) -> Option<&'a Deforming>) -> Deformations {
        let (mut places, mut frame_bytes) = (Vec::new(), 0);
        for (i, instance) in scene.instances.iter().enumerate() {
            if let Some(deforming) = of_mesh(instance.mesh) {
                places.push((i as u32, frame_bytes));
                frame_bytes += deforming.frame_bytes();
            }
        }
        let at_rest = scene.poses.iter().map(|pose| (pose.instance, pose.clone())).collect();
        Deformations { places, at_rest, frame_bytes }
    }

    /// All that deforms, in the poses of a frame and of the one before; who is not named in them is at rest. `meshes` is
    /// where [`Deforming::append`]'s bytes are, `frame` where those of [`Posed`] will be.
    ///
    /// # Errors
    /// A pose that does not fit its instance is named with the instance's user id.
    pub(crate) fn pose<'a>(
        &self,
        instances: &[Instance],
        of_mesh: impl Fn(u32) -> Option<&'a Deforming>,
        poses: &[Pose],
        previous: &[Pose],
        (meshes, frame): (u64, u64),
    ) -> Result<Posed, SceneError> {
        for pose in poses.iter().chain(previous) {
            let instance = instances.get(pose.instance as usize);
            match instance.and_then(|instance| of_mesh(instance.mesh)).zip(instance) {
                Some((deforming, instance)) => pose.check(instance, &deforming.mesh)?,
                None => {
                    let object = format!("pose of instance {}", pose.instance);
                    let reason = format!("is for none of the {} instances that deform", self.places.len());
                    return Err(SceneError::Invalid { object, reason });
                }
            }
        }
        let (now, before) = (by_instance(poses), by_instance(previous));
        let unposed = Pose::default();
        let mut posed = Posed { addresses: vec![0; instances.len()], bytes: vec![0; self.frame_bytes] };
        for (instance, place) in &self.places {
            let Some(deforming) = of_mesh(instances[*instance as usize].mesh) else { continue };
            let rest = self.at_rest.get(instance).unwrap_or(&unposed);
            let now = now.get(instance).copied().unwrap_or(rest);
            let before = before.get(instance).copied().unwrap_or(rest);
            let address = frame + *place as u64;
            posed.addresses[*instance as usize] = address;
            let bytes = &mut posed.bytes[*place..*place + deforming.frame_bytes()];
            write(bytes, address, meshes, deforming, now, before);
        }
        Ok(posed)
    }
}

fn by_instance(poses: &[Pose]) -> HashMap<u32, &Pose> {
    poses.iter().map(|pose| (pose.instance, pose)).collect()
}

/// An instance's [`GpuDeformation`], its palettes and mixes behind it.
fn write(bytes: &mut [u8], address: u64, meshes: u64, deforming: &Deforming, now: &Pose, before: &Pose) {
    let Deforming { mesh, joint_count, .. } = deforming;
    let palette_at = size_of::<GpuDeformation>();
    let previous_at = palette_at + joint_count * MATRIX;
    let mixes_at = previous_at + joint_count * MATRIX;
    for (at, pose) in [(palette_at, now), (previous_at, before)] {
        for (joint, out) in pose.palette.iter().zip(bytes[at..at + joint_count * MATRIX].chunks_exact_mut(MATRIX)) {
            out.copy_from_slice(bytemuck::bytes_of(&rows(joint)));
        }
    }
    let weight = |pose: &Pose, target: usize| pose.morph_weights.get(target).copied().unwrap_or(0.0);
    let mixed = (0..mesh.targets.len()).map(|target| [weight(now, target), weight(before, target)]);
    let mut mix_count = 0;
    for (target, [now, before]) in mixed.enumerate().filter(|(_, weights)| *weights != [0.0; 2]) {
        let mix = [target as u32, now.to_bits(), before.to_bits(), 0];
        bytes[mixes_at + mix_count * MIX..][..MIX].copy_from_slice(bytemuck::bytes_of(&mix));
        mix_count += 1;
    }
    let deformation = GpuDeformation {
        weights: meshes + deforming.weights_at,
        joints: meshes + deforming.joints_at,
        targets: meshes + deforming.targets_at,
        palette: address + palette_at as u64,
        previous_palette: address + previous_at as u64,
        mixes: address + mixes_at as u64,
        vertex_offset: deforming.vertex_offset,
        vertex_count: mesh.positions.len() as u32,
        mix_count: mix_count as u32,
        has_joints: u32::from(!mesh.joints.is_empty()),
    };
    bytes[..palette_at].copy_from_slice(bytemuck::bytes_of(&deformation));
}

/// Three rows of a matrix, as the shader reads them.
fn rows(m: &Affine3A) -> [[f32; 4]; 3] {
    std::array::from_fn(|row| {
        let r = m.matrix3.row(row);
        [r.x, r.y, r.z, m.translation[row]]
    })
}
