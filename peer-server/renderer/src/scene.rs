//! A revision of a scene on the GPU: meshes and textures are shared with other revisions, tables are its own.

use crate::frame::{FrameState, GpuFrame};
use crate::layout::GpuMaterial;
use crate::lights::LightTable;
use crate::luminous::{self, LuminousTriangle};
use crate::mesh::{self, GpuMesh};
use crate::placement::Placement;
use crate::texture::{GpuTexture, TABLE_WORDS};
use crate::vulkan::{Buffer, Kernels, Submitter};
use crate::{FrontEnd, RendererError};
use parking_lot::Mutex;
use rayloom_scene::{Environment, Instance, Light, Mesh, Pose, Scene, SceneError, Texture};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// How far the upload of a scene has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Meshes and textures that are on the GPU.
    pub done: usize,
    /// Meshes and textures of the scene.
    pub total: usize,
}

/// A revision of a scene on the GPU. Cloning shares it.
#[derive(Clone)]
pub struct GpuScene {
    pub(crate) shared: Arc<SceneShared>,
}

pub(crate) struct SceneShared {
    pub(crate) submitter: Arc<Submitter>,
    pub(crate) kernels: Arc<Kernels>,
    /// As they were given; poses are checked against their meshes.
    sources: Vec<Arc<Mesh>>,
    /// The shape of each instance; none where it does not deform.
    pub(crate) poses: Vec<Option<Pose>>,
    pub(crate) meshes: Vec<Arc<GpuMesh>>,
    textures: Vec<Option<Arc<GpuTexture>>>,
    pub(crate) materials: Buffer,
    pub(crate) texture_table: Buffer,
    pub(crate) instances: Vec<Instance>,
    /// Where nothing has moved.
    pub(crate) at_rest: Placement,
    pub(crate) lights: Vec<Light>,
    pub(crate) environment: Environment,
    pub(crate) luminous: Vec<LuminousTriangle>,
    /// For each instance, where its own begin among them and how many they are.
    pub(crate) luminous_ranges: Vec<[u32; 2]>,
    /// The table of lights of frames in which none differs.
    pub(crate) lights_at_rest: Mutex<Option<Arc<LightTable>>>,
    triangles: u64,
    pub(crate) is_seen_through: bool,
}

impl GpuScene {
    /// The scene as it stands in one frame; `state` moves instances and changes lights relative to this revision.
    pub fn frame(&self, state: &FrameState<'_>) -> Result<GpuFrame, RendererError> {
        GpuFrame::new(self.shared.clone(), state)
    }

    /// True when both revisions have the same meshes on the GPU.
    pub fn shares_meshes_with(&self, other: &GpuScene) -> bool {
        let (a, b) = (&self.shared.meshes, &other.shared.meshes);
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
    }

    /// Number of triangles, each instance's counted.
    pub fn triangle_count(&self) -> u64 {
        self.shared.triangles
    }

    /// Bytes of GPU memory that its meshes and textures take (shared ones counted).
    pub fn gpu_bytes(&self) -> u64 {
        let textures: u64 = self.shared.textures.iter().flatten().map(|t| t.bytes()).sum();
        self.shared.meshes.iter().map(|m| m.bytes()).sum::<u64>() + textures
    }
}

/// What makes two uploads the same: the identity of the shared data, and how it is used.
type MeshKey = (usize, Vec<bool>);
type TextureKey = (usize, bool);
/// What is on the GPU under a key. The weak source keeps its address from being given to another while the entry stands.
type Uploaded<Key, Source, OnGpu> = Mutex<HashMap<Key, (Weak<Source>, Weak<OnGpu>)>>;

/// Meshes and textures that are on the GPU already, as long as some revision uses them.
#[derive(Default)]
pub(crate) struct AssetCache {
    meshes: Uploaded<MeshKey, Mesh, GpuMesh>,
    textures: Uploaded<TextureKey, Texture, GpuTexture>,
}

impl AssetCache {
    fn prune(&self) {
        self.meshes.lock().retain(|_, (_, on_gpu)| on_gpu.strong_count() > 0);
        self.textures.lock().retain(|_, (_, on_gpu)| on_gpu.strong_count() > 0);
    }

    fn mesh(
        &self,
        submitter: &Submitter,
        front_end: FrontEnd,
        mesh: &Arc<Mesh>,
        holes: Vec<bool>,
    ) -> Result<Arc<GpuMesh>, RendererError> {
        let key = (Arc::as_ptr(mesh) as usize, holes);
        if let Some(found) = self.meshes.lock().get(&key).and_then(|(_, on_gpu)| on_gpu.upgrade()) {
            return Ok(found);
        }
        let made = Arc::new(GpuMesh::new(submitter, front_end, mesh, &key.1)?);
        self.meshes.lock().insert(key, (Arc::downgrade(mesh), Arc::downgrade(&made)));
        Ok(made)
    }

    fn texture(
        &self,
        submitter: &Submitter,
        texture: &Arc<Texture>,
        color: bool,
        name: &str,
    ) -> Result<Arc<GpuTexture>, RendererError> {
        let key = (Arc::as_ptr(texture) as usize, color);
        if let Some(found) = self.textures.lock().get(&key).and_then(|(_, on_gpu)| on_gpu.upgrade()) {
            return Ok(found);
        }
        let made = Arc::new(GpuTexture::new(submitter, texture, color, name)?);
        self.textures.lock().insert(key, (Arc::downgrade(texture), Arc::downgrade(&made)));
        Ok(made)
    }
}

/// Uploads what is not on the GPU yet, on all cores.
///
/// Where memory runs out the error says for which scene.
pub(crate) fn create(
    submitter: &Arc<Submitter>,
    kernels: &Arc<Kernels>,
    front_end: FrontEnd,
    cache: &AssetCache,
    scene: &Scene,
    progress: &mut dyn FnMut(Progress),
) -> Result<GpuScene, RendererError> {
    let of_scene = |what: String| {
        let triangles: usize = scene.meshes.iter().map(|m| m.triangle_count()).sum();
        let (meshes, textures) = (scene.meshes.len(), scene.textures.len());
        format!("{what} of a scene of {triangles} triangles in {meshes} meshes and {textures} textures")
    };
    upload(submitter, kernels, front_end, cache, scene, progress).map_err(|error| match error {
        RendererError::OutOfMemory { what, bytes } => RendererError::OutOfMemory { what: of_scene(what), bytes },
        RendererError::MemoryLimit { what, bytes, limit } => {
            RendererError::MemoryLimit { what: of_scene(what), bytes, limit }
        }
        error => error,
    })
}

fn upload(
    submitter: &Arc<Submitter>,
    kernels: &Arc<Kernels>,
    front_end: FrontEnd,
    cache: &AssetCache,
    scene: &Scene,
    progress: &mut dyn FnMut(Progress),
) -> Result<GpuScene, RendererError> {
    validate(scene)?;
    cache.prune();
    let uses = texture_uses(scene);
    let total = scene.meshes.len() + scene.textures.len();
    progress(Progress { done: 0, total });
    let meshes = in_parallel(
        scene.meshes.len(),
        |i| {
            let mesh = &scene.meshes[i];
            let holes = mesh.parts.iter().map(|p| scene.materials[p.material as usize].has_holes()).collect();
            cache.mesh(submitter, front_end, mesh, holes)
        },
        &mut |done| progress(Progress { done, total }),
    )?;
    let textures = in_parallel(
        scene.textures.len(),
        |i| {
            let name = || format!("texture {i}");
            uses[i].map(|color| cache.texture(submitter, &scene.textures[i], color, &name())).transpose()
        },
        &mut |done| progress(Progress { done: meshes.len() + done, total }),
    )?;

    let sampled = luminous::sampled_materials(scene);
    let materials: Vec<GpuMaterial> =
        scene.materials.iter().zip(&sampled).map(|(m, sampled)| GpuMaterial::new(m, *sampled)).collect();
    let table: Vec<[u32; TABLE_WORDS]> =
        textures.iter().map(|t| t.as_ref().map_or([0; TABLE_WORDS], |t| t.entry())).collect();
    let triangles = scene.instances.iter().map(|i| scene.meshes[i.mesh as usize].triangle_count() as u64).sum();
    let (luminous, luminous_ranges) = luminous::triangles(scene, &sampled);
    let mut poses: Vec<Option<Pose>> = (0u32..)
        .zip(&scene.instances)
        .map(|(instance, i)| meshes[i.mesh as usize].deformable().map(|_| Pose { instance, ..Pose::default() }))
        .collect();
    for pose in &scene.poses {
        if let Some(slot) = &mut poses[pose.instance as usize] {
            slot.clone_from(pose);
        }
    }
    let at_rest =
        Placement::at_rest(submitter, kernels, front_end, &scene.instances, &meshes, &luminous_ranges, &poses)?;
    Ok(GpuScene {
        shared: Arc::new(SceneShared {
            submitter: submitter.clone(),
            kernels: kernels.clone(),
            sources: scene.meshes.clone(),
            poses,
            at_rest,
            meshes,
            textures,
            materials: Buffer::with_bytes(submitter, "materials", bytemuck::cast_slice(&materials))?,
            texture_table: Buffer::with_bytes(submitter, "texture table", bytemuck::cast_slice(&table))?,
            instances: scene.instances.clone(),
            lights: scene.lights.clone(),
            environment: scene.environment,
            lights_at_rest: Mutex::new(None),
            luminous,
            luminous_ranges,
            is_seen_through: scene.materials.iter().any(|m| m.refracts() || m.is_thin_glass() || m.is_covering()),
            triangles,
        }),
    })
}

/// For each texture: unused, or whether a slot reads it as colour. One that serves as both is read as colour by all.
fn texture_uses(scene: &Scene) -> Vec<Option<bool>> {
    let mut uses = vec![None; scene.textures.len()];
    for m in &scene.materials {
        let slots = [
            (&m.base_color_texture, true),
            (&m.emissive_texture, true),
            (&m.metallic_roughness_texture, false),
            (&m.normal_texture, false),
            (&m.transmission_texture, false),
            (&m.thickness_texture, false),
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

fn validate(scene: &Scene) -> Result<(), RendererError> {
    let invalid = |object: String, reason: String| RendererError::InvalidScene { object, reason };
    for (i, mesh) in scene.meshes.iter().enumerate() {
        mesh::validate(mesh, scene.materials.len()).map_err(|reason| invalid(format!("mesh {i}"), reason))?;
    }
    for (i, m) in scene.materials.iter().enumerate() {
        for slot in m.texture_slots().flatten() {
            if slot.texture as usize >= scene.textures.len() {
                let reason = format!("texture {} of {}", slot.texture, scene.textures.len());
                return Err(invalid(format!("material {i} ({})", m.user_id), reason));
            }
        }
    }
    for (i, instance) in scene.instances.iter().enumerate() {
        let object = || format!("instance {i} ({})", instance.user_id);
        if instance.mesh as usize >= scene.meshes.len() {
            return Err(invalid(object(), format!("mesh {} of {}", instance.mesh, scene.meshes.len())));
        }
        if !instance.transform.is_finite() {
            return Err(invalid(object(), format!("its transform {:?} is not finite", instance.transform)));
        }
    }
    scene.validate_poses().map_err(invalid_pose)
}

fn invalid_pose(error: SceneError) -> RendererError {
    match error {
        SceneError::Invalid { object, reason } => RendererError::InvalidScene { object, reason },
        other => RendererError::InvalidScene { object: "poses".into(), reason: other.to_string() },
    }
}

impl SceneShared {
    /// Puts a frame's poses in place of those of the revision.
    pub(crate) fn posed(&self, changes: &[Pose], what: &str) -> Result<Vec<Option<Pose>>, RendererError> {
        let mut poses = self.poses.clone();
        for pose in changes {
            let invalid = |reason: String| {
                let object = format!("{what} of instance {}", pose.instance);
                RendererError::InvalidScene { object, reason }
            };
            let Some(instance) = self.instances.get(pose.instance as usize) else {
                return Err(invalid(format!("the scene has {} instances", self.instances.len())));
            };
            pose.check(instance, &self.sources[instance.mesh as usize]).map_err(invalid_pose)?;
            if let Some(slot) = &mut poses[pose.instance as usize] {
                slot.clone_from(pose);
            }
        }
        Ok(poses)
    }
}

/// Runs `work` for 0..count on all cores; the first error wins. `progress` hears of finished ones on this thread.
fn in_parallel<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, RendererError> + Sync,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<T>, RendererError> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count);
    let (send, receive) = std::sync::mpsc::sync_channel(threads.max(1));
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (send, next, work) = (send.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    // A closed channel means that another item failed.
                    if i >= count || send.send((i, work(i))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        for done in 1..=count {
            let Ok((i, result)) = receive.recv() else { break };
            match result {
                Ok(value) => results[i] = Some(value),
                Err(e) => {
                    drop(receive);
                    return Err(e);
                }
            }
            progress(done);
        }
        Ok(())
    })?;
    Ok(results.into_iter().map(|r| r.expect("every item was received without an error")).collect())
}
