//! Scenes: loading, moving, committing.

use crate::boundary;
use crate::camera::rayloom_camera;
use crate::convention::{convention, failure, rayloom_convention_desc};
use crate::handles::{self, Object, SceneState};
use crate::pointer::{self, descriptor};
use crate::result::{Failure, RAYLOOM_INVALID_ARGUMENT, rayloom_result};
use crate::session::{check_flags, rayloom_session};
use crate::view::check_reserved;
use sdk::scene::{Environment, Pose, Scene};
use sdk::{PeerConstraints, SceneHandle, SceneStage};
use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

/// struct_type of rayloom_scene_desc.
pub const RAYLOOM_STRUCT_SCENE_DESC: u32 = 9;
/// struct_type of rayloom_environment_desc.
pub const RAYLOOM_STRUCT_ENVIRONMENT_DESC: u32 = 10;
/// struct_type of rayloom_scene_progress_info.
pub const RAYLOOM_STRUCT_SCENE_PROGRESS_INFO: u32 = 11;

/// Peers must be GPUs to have the scene. Nobody else is sent its assets, or anything of frames that show it; of each peer that may not have
/// it, RAYLOOM_EVENT_SCENE_FAILED tells once. So it does of peers with less memory than the scene needs.
pub const RAYLOOM_SCENE_GPU_PEERS: u32 = 1;
/// Peers must be GPUs with ray tracing units that are in use to have the scene.
pub const RAYLOOM_SCENE_RAY_TRACING_PEERS: u32 = 2;
/// Peers must be trusted (trusted_peers of rayloom_session_desc; the embedded one is) to have the scene.
pub const RAYLOOM_SCENE_TRUSTED_PEERS: u32 = 4;

/// A scene: textures, materials, meshes, instances, lights, sky. Changes gather until rayloom_scene_commit.
pub struct rayloom_scene {
    _private: [u8; 0],
}

/// What a scene is.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_scene_desc {
    /// RAYLOOM_STRUCT_SCENE_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_scene_desc).
    pub struct_size: u32,
    /// NULL, or a rayloom_convention_desc with RAYLOOM_CONVENTION_EXPLICIT.
    pub next: *const c_void,
    /// A RAYLOOM_CONVENTION_ value: what all data of this scene is in, but files and the generated city.
    pub convention: u32,
    /// RAYLOOM_SCENE_ flags.
    pub flags: u32,
}
descriptor!(rayloom_scene_desc, RAYLOOM_STRUCT_SCENE_DESC);

/// Creates an empty, dark scene.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_create(
    session: *mut rayloom_session,
    desc: *const rayloom_scene_desc,
    scene: *mut *mut rayloom_scene,
) -> rayloom_result {
    boundary::call("rayloom_scene_create", || {
        let state = handles::find(session)?;
        // SAFETY: the header's contract.
        let ((desc, extension), out) = unsafe {
            (pointer::read_extended::<_, rayloom_convention_desc>("desc", desc)?, pointer::out("scene", scene)?)
        };
        let convention = convention(desc.convention, extension.as_ref())?;
        let known = RAYLOOM_SCENE_GPU_PEERS | RAYLOOM_SCENE_RAY_TRACING_PEERS | RAYLOOM_SCENE_TRUSTED_PEERS;
        check_flags("desc->flags", desc.flags, known)?;
        let peers = PeerConstraints {
            gpu: desc.flags & RAYLOOM_SCENE_GPU_PEERS != 0,
            ray_tracing: desc.flags & RAYLOOM_SCENE_RAY_TRACING_PEERS != 0,
            trusted: desc.flags & RAYLOOM_SCENE_TRUSTED_PEERS != 0,
        };
        let scene = state.session.create_scene_for(peers);
        out.write(handles::add(session, Object::Scene(Arc::new(SceneState { scene, convention })))?);
        Ok(())
    })
}

/// Destroys the scene with all its revisions: no frame can be begun with one of them, and those in flight end at their deadlines.
/// NULL does nothing.
///
/// Threads: any, but no other call on the scene may be in progress.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_destroy(scene: *mut rayloom_scene) -> rayloom_result {
    boundary::call("rayloom_scene_destroy", || if scene.is_null() { Ok(()) } else { handles::remove(scene) })
}

/// Replaces the scene by a glTF 2.0 file (.gltf or .glb), posed at rest; adds a sun and a sky where the file has no light.
/// rayloom_scene_pose_animation plays what it brings. user_id of instances and lights is the file's node, of materials and textures their place in the file.
/// After an error the scene is as it was.
///
/// Threads: any; reads and decodes the file, so not on a render thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_load_gltf(scene: *mut rayloom_scene, path: *const c_char) -> rayloom_result {
    boundary::call("rayloom_scene_load_gltf", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let path = unsafe { pointer::text("path", path) }?;
        Ok(scene.load_gltf(Path::new(path))?)
    })
}

/// Replaces the scene by the generated city of about `triangles` triangles: below some 10,000 it is the smallest city there is, of about as
/// many; more than 16,000,000 are refused. The same seed gives the same city. Its instances with user_id 1 to 8 (six cars, two drones) and lights with user_id 1 to 4
/// are meant to be moved.
///
/// Threads: any; takes up to seconds, so not on a render thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_load_city(
    scene: *mut rayloom_scene,
    triangles: u32,
    seed: u64,
) -> rayloom_result {
    boundary::call("rayloom_scene_load_city", || {
        let scene = handles::find(scene)?;
        if triangles > 16_000_000 {
            let text =
                format!("triangles is {triangles}, at most 16000000 are allowed (below some 10000: the smallest city)");
            return Err(Failure::argument(text));
        }
        Ok(scene.replace(sdk::scene::city(triangles as usize, seed))?)
    })
}

/// Radiance that arrives from where no surface is: a vertical gradient.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_environment_desc {
    /// RAYLOOM_STRUCT_ENVIRONMENT_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_environment_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// Linear RGB radiance straight up, 0 or above.
    pub zenith: [f32; 3],
    /// At the horizon.
    pub horizon: [f32; 3],
    /// Straight down.
    pub ground: [f32; 3],
    /// 0.
    pub reserved: u32,
}
descriptor!(rayloom_environment_desc, RAYLOOM_STRUCT_ENVIRONMENT_DESC);

/// Sets the sky; shown from the next commit on.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_set_environment(
    scene: *mut rayloom_scene,
    desc: *const rayloom_environment_desc,
) -> rayloom_result {
    boundary::call("rayloom_scene_set_environment", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let desc = unsafe { pointer::read("desc", desc) }?;
        check_reserved("desc->reserved", desc.reserved)?;
        for (name, color) in [("zenith", desc.zenith), ("horizon", desc.horizon), ("ground", desc.ground)] {
            if color.iter().any(|value| !(value.is_finite() && *value >= 0.0)) {
                return Err(Failure::argument(format!(
                    "desc->{name} is {color:?}, each must be finite and 0 or above"
                )));
            }
        }
        let radiance = |color: [f32; 3]| glam::Vec3::from(color) * scene.convention.emissive_scale;
        let environment = Environment {
            zenith: radiance(desc.zenith),
            horizon: radiance(desc.horizon),
            ground: radiance(desc.ground),
        };
        scene.edit(|scene| scene.environment = environment);
        Ok(())
    })
}

/// Moves instances: `count` ids, and 16 floats each (instance to world in the scene's convention, invertible). All or none.
/// Shown from the next commit on.
///
/// Threads: any. Arrays are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_set_transforms(
    scene: *mut rayloom_scene,
    count: u32,
    ids: *const u32,
    matrices: *const f32,
) -> rayloom_result {
    boundary::call("rayloom_scene_set_transforms", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract; 16 floats are aligned like one, and any bits are valid.
        let (ids, matrices) = unsafe {
            check_floats("matrices", matrices, count)?;
            let matrices = pointer::slice("matrices", matrices.cast::<[f32; 16]>(), count as usize)?;
            (pointer::slice("ids", ids, count as usize)?, matrices)
        };
        let transforms: Result<Vec<_>, Failure> = ids
            .iter()
            .zip(matrices)
            .map(|(id, matrix)| {
                let what = format!("the matrix of instance {id}");
                Ok((*id, scene.convention.transform(&what, matrix).map_err(failure)?))
            })
            .collect();
        Ok(scene.set_transforms(&transforms?)?)
    })
}

/// Brings the joints of `count` instances of skinned meshes where they are in this frame: ids, how many matrices each gives
/// (at least the joints of its mesh), and 16 floats for each of them, one instance's after the other's. A matrix leads from
/// where the mesh was bound to where the joint has brought it, before the instance's own transform, in the scene's convention.
/// A matrix may mirror, or scale to nothing, which hides what hangs on the joint. Weights of morph targets stay. All or none; a
/// palette that is too short is named with the instance's user_id. Shown from the next commit on.
///
/// Threads: any. Arrays are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_set_palettes(
    scene: *mut rayloom_scene,
    count: u32,
    ids: *const u32,
    joint_counts: *const u32,
    matrices: *const f32,
) -> rayloom_result {
    boundary::call("rayloom_scene_set_palettes", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract; 16 floats are aligned like one, and any bits are valid.
        let (ids, counts, matrices) = unsafe {
            let ids = pointer::slice("ids", ids, count as usize)?;
            let counts = pointer::slice("joint_counts", joint_counts, count as usize)?;
            let total = total("joint_counts", ids, counts)?;
            check_floats("matrices", matrices, total)?;
            (ids, counts, pointer::slice("matrices", matrices.cast::<[f32; 16]>(), total as usize)?)
        };
        let mut poses = Vec::with_capacity(ids.len());
        let mut rest = matrices;
        for (id, joints) in ids.iter().zip(counts) {
            let (own, others) = rest.split_at(*joints as usize);
            rest = others;
            let joint = |(joint, matrix): (usize, &[f32; 16])| {
                let what = format!("matrix {joint} of instance {id}");
                scene.convention.transform(&what, matrix).map_err(failure)
            };
            let palette = own.iter().enumerate().map(joint).collect::<Result<_, Failure>>()?;
            poses.push(Pose { palette, ..scene.pose(*id) });
        }
        Ok(scene.set_poses(&poses)?)
    })
}

/// Weighs the morph targets of `count` instances: ids, how many weights each gives (at most the targets of its mesh; the
/// rest are 0), and the weights, one instance's after the other's. Joints stay; where a mesh has some, its instance needs a
/// palette before. All or none. Shown from the next commit on.
///
/// Threads: any. Arrays are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_set_morph_weights(
    scene: *mut rayloom_scene,
    count: u32,
    ids: *const u32,
    weight_counts: *const u32,
    weights: *const f32,
) -> rayloom_result {
    boundary::call("rayloom_scene_set_morph_weights", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let (ids, counts, weights) = unsafe {
            let ids = pointer::slice("ids", ids, count as usize)?;
            let counts = pointer::slice("weight_counts", weight_counts, count as usize)?;
            let total = total("weight_counts", ids, counts)?;
            (ids, counts, pointer::slice("weights", weights, total as usize)?)
        };
        let mut poses = Vec::with_capacity(ids.len());
        let mut rest = weights;
        for (id, count) in ids.iter().zip(counts) {
            let (own, others) = rest.split_at(*count as usize);
            rest = others;
            poses.push(Pose { morph_weights: own.to_vec(), ..scene.pose(*id) });
        }
        Ok(scene.set_poses(&poses)?)
    })
}

/// Joints or morph targets that a mesh may have: 16 bits number them.
const PARTS_LIMIT: u32 = 1 << 16;

/// How many joints or weights all instances have together; counts that no mesh has are refused before memory is read for them.
fn total(what: &str, ids: &[u32], counts: &[u32]) -> Result<u32, Failure> {
    let excess = ids.iter().zip(counts).find(|(_, count)| **count > PARTS_LIMIT);
    if let Some((id, count)) = excess {
        return Err(Failure::argument(format!(
            "{what} of instance {id} is {count}: no mesh has more than {PARTS_LIMIT}"
        )));
    }
    let total = counts.iter().try_fold(0u32, |sum, count| sum.checked_add(*count));
    total.ok_or_else(|| Failure::argument(format!("{what} are more than 2^32 - 1 together")))
}

/// NULL is named as what it is.
fn check_floats(what: &str, pointer: *const f32, count: u32) -> Result<(), Failure> {
    if count > 0 && pointer.is_null() { Err(Failure::argument(format!("{what} is NULL"))) } else { Ok(()) }
}

/// Id of the first instance with this user_id.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_find_instance(
    scene: *mut rayloom_scene,
    user_id: u64,
    instance: *mut u32,
) -> rayloom_result {
    boundary::call("rayloom_scene_find_instance", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out("instance", instance) }?;
        out.write(position(&scene, "instance", user_id, |scene| {
            scene.instances.iter().position(|i| i.user_id == user_id)
        })?);
        Ok(())
    })
}

/// Id of the first light with this user_id.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_find_light(
    scene: *mut rayloom_scene,
    user_id: u64,
    light: *mut u32,
) -> rayloom_result {
    boundary::call("rayloom_scene_find_light", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out("light", light) }?;
        out.write(position(&scene, "light", user_id, |scene| scene.lights.iter().position(|l| l.user_id == user_id))?);
        Ok(())
    })
}

fn position(
    scene: &SceneHandle,
    what: &str,
    user_id: u64,
    find: impl FnOnce(&Scene) -> Option<usize>,
) -> Result<u32, Failure> {
    let index = scene.read(find).and_then(|index| u32::try_from(index).ok());
    index.ok_or_else(|| Failure::new(RAYLOOM_INVALID_ARGUMENT, format!("no {what} of the scene has user_id {user_id}")))
}

/// The file's first camera fitted to width / height = `aspect`, or else one that shows the whole scene.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_default_camera(
    scene: *mut rayloom_scene,
    aspect: f32,
    camera: *mut rayloom_camera,
) -> rayloom_result {
    boundary::call("rayloom_scene_default_camera", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out("camera", camera) }?;
        if !(aspect.is_finite() && aspect > 0.0) {
            return Err(Failure::argument(format!("aspect is {aspect}, it must be finite and above 0")));
        }
        let camera = scene.read(|scene| scene.default_camera(aspect));
        out.write(rayloom_camera::from_camera(&scene.convention, &camera));
        Ok(())
    })
}

/// Smallest and largest corner (3 floats each, in the scene's convention) of the box around everything placed and posed, as
/// the last change that does not travel with frames left it; zeros for an empty scene.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_bounds(
    scene: *mut rayloom_scene,
    min: *mut f32,
    max: *mut f32,
) -> rayloom_result {
    boundary::call("rayloom_scene_bounds", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract: three floats each.
        let (min, max) = unsafe { (pointer::slice_mut("min", min, 3)?, pointer::slice_mut("max", max, 3)?) };
        let (low, high) = scene.read(Scene::bounds);
        let (low, high) = (scene.convention.point_back(low), scene.convention.point_back(high));
        min.copy_from_slice(&low.min(high).to_array());
        max.copy_from_slice(&low.max(high).to_array());
        Ok(())
    })
}

/// Makes everything changed since the last commit one revision, to be named in rayloom_frame_desc. Moved instances, poses
/// and changed lights travel with each frame; anything else is packed and uploaded in the background, and frames show the last
/// ready revision until then. After an error the last revision stays.
///
/// Threads: any, a render thread where only transforms and lights changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_commit(scene: *mut rayloom_scene, revision: *mut u64) -> rayloom_result {
    boundary::call("rayloom_scene_commit", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out("revision", revision) }?;
        out.write(scene.commit()?);
        Ok(())
    })
}

/// No peer has begun to prepare the scene.
pub const RAYLOOM_SCENE_WAITING: u32 = 0;
/// The scene is on its way to the peers.
pub const RAYLOOM_SCENE_UPLOADING: u32 = 1;
/// Peers build acceleration structures.
pub const RAYLOOM_SCENE_BUILDING: u32 = 2;
/// A peer can trace the newest revision.
pub const RAYLOOM_SCENE_READY: u32 = 3;
/// Every peer that tried failed; the session's events say why.
pub const RAYLOOM_SCENE_FAILED: u32 = 4;

/// How far the peers are with a scene.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_scene_progress_info {
    /// RAYLOOM_STRUCT_SCENE_PROGRESS_INFO.
    pub struct_type: u32,
    /// sizeof(rayloom_scene_progress_info).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// The newest revision with structural changes; 0 before the first commit.
    pub revision: u64,
    /// Bytes that the peer which is furthest has of it.
    pub bytes_had: u64,
    /// Bytes that it needs in all.
    pub bytes_total: u64,
    /// A RAYLOOM_SCENE_ value: the peer that is furthest.
    pub stage: u32,
    /// Share of its stage that is done, 0 to 1.
    pub fraction: f32,
    /// Peers that can trace it.
    pub peers_ready: u32,
    /// Peers that are preparing it.
    pub peers_preparing: u32,
    /// Peers that failed.
    pub peers_failed: u32,
    /// 0.
    pub reserved: u32,
}
descriptor!(rayloom_scene_progress_info, RAYLOOM_STRUCT_SCENE_PROGRESS_INFO);

/// How far the peers are with the newest revision.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_progress(
    scene: *mut rayloom_scene,
    progress: *mut rayloom_scene_progress_info,
) -> rayloom_result {
    boundary::call("rayloom_scene_progress", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out_struct("progress", progress) }?;
        let progress = scene.progress();
        let mut info = rayloom_scene_progress_info {
            struct_type: RAYLOOM_STRUCT_SCENE_PROGRESS_INFO,
            struct_size: size_of::<rayloom_scene_progress_info>() as u32,
            next: std::ptr::null(),
            revision: progress.revision,
            bytes_had: 0,
            bytes_total: 0,
            stage: RAYLOOM_SCENE_WAITING,
            fraction: 0.0,
            peers_ready: 0,
            peers_preparing: 0,
            peers_failed: 0,
            reserved: 0,
        };
        for stage in progress.peers.values() {
            add(&mut info, stage);
        }
        if info.stage == RAYLOOM_SCENE_WAITING && info.peers_failed > 0 {
            info.stage = RAYLOOM_SCENE_FAILED;
        }
        out.write(info);
        Ok(())
    })
}

/// Counts a peer in; the one that is furthest is told of.
fn add(info: &mut rayloom_scene_progress_info, stage: &SceneStage) {
    let (number, fraction) = match stage {
        SceneStage::Receiving { have, total } => {
            info.peers_preparing += 1;
            if *have >= info.bytes_had {
                (info.bytes_had, info.bytes_total) = (*have, *total);
            }
            (RAYLOOM_SCENE_UPLOADING, *have as f32 / (*total).max(1) as f32)
        }
        SceneStage::Building { fraction } => {
            info.peers_preparing += 1;
            (RAYLOOM_SCENE_BUILDING, *fraction)
        }
        SceneStage::Ready => {
            info.peers_ready += 1;
            (RAYLOOM_SCENE_READY, 1.0)
        }
        SceneStage::Failed { .. } => {
            info.peers_failed += 1;
            return;
        }
    };
    if number > info.stage {
        (info.stage, info.fraction) = (number, fraction);
    } else if number == info.stage {
        info.fraction = info.fraction.max(fraction);
    }
}
