//! From a message about a frame to everything that its tiles need: bounds checked, the previous frame looked up.

use crate::render::ResidentScene;
use crate::tracer::Frame;
use glam::Affine3A;
use rayloom_scene::{Camera, Light, Pose, Scene};
use rayloom_wire::{FrameTasks, LayerSpec, PreviousFrame, StateDelta, limits};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Frames whose state is remembered, over all views of a session.
const REMEMBERED_FRAMES: usize = 16;

/// The states of a session's last frames.
#[derive(Default)]
pub(crate) struct RecentFrames {
    ring: VecDeque<Remembered>,
}

struct Remembered {
    view: u16,
    frame_id: u64,
    scene: u32,
    revision: u64,
    camera: Camera,
    moved: Vec<(u32, Affine3A)>,
    /// Where everything else stood.
    base: Arc<[Affine3A]>,
    poses: Vec<Pose>,
    base_poses: Arc<[Pose]>,
}

/// The frame before one, for motion vectors.
type Before = (Camera, Vec<(u32, Affine3A)>, Vec<Pose>);

impl RecentFrames {
    /// Checks the message against its scene, remembers its state, and makes the frame.
    ///
    /// The state is remembered even when the frame before it is not known, so that the next one can refer to it.
    ///
    /// # Errors
    /// What is wrong and what to do: the message's tasks are to be refused with it.
    pub(crate) fn resolve(&mut self, tasks: &FrameTasks, scene: &ResidentScene) -> Result<Frame, String> {
        check_delta(&tasks.delta, scene, "delta")?;
        let previous = match &tasks.previous {
            PreviousFrame::Explicit(camera, delta) => {
                check_delta(delta, scene, "previous delta")?;
                Ok((*camera, delta.transforms.clone(), delta.poses.clone()))
            }
            PreviousFrame::Known(frame_id) => self.recall(tasks, *frame_id, scene).ok_or_else(|| {
                format!(
                    "frame {frame_id} is not among the last {REMEMBERED_FRAMES} that this peer has received: send the \
                     previous frame's state with this one"
                )
            }),
        };
        self.remember(tasks, scene);
        let layers: Vec<_> = tasks.layers.iter().map(|layer| layer.request).collect();
        check_layers(&tasks.layers, tasks.primary)?;
        let (previous_camera, previous_transforms, previous_poses) = previous?;
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        Ok(Frame {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            frame_id: tasks.frame_id,
            extent: tasks.extent,
            camera: tasks.camera,
            transforms: tasks.delta.transforms.clone(),
            lights: tasks.delta.lights.clone(),
            poses: tasks.delta.poses.clone(),
            previous_camera,
            previous_transforms,
            previous_poses,
            layers,
            filter_radius: tasks.filter_radius,
            pre_exposure: tasks.pre_exposure,
            primary: tasks.primary,
        })
    }

    fn remember(&mut self, tasks: &FrameTasks, scene: &ResidentScene) {
        self.ring.retain(|r| (r.view, r.frame_id) != (tasks.view, tasks.frame_id));
        if self.ring.len() == REMEMBERED_FRAMES {
            self.ring.pop_front();
        }
        self.ring.push_back(Remembered {
            view: tasks.view,
            frame_id: tasks.frame_id,
            scene: tasks.scene,
            revision: tasks.revision,
            camera: tasks.camera,
            moved: tasks.delta.transforms.clone(),
            base: scene.transforms.clone(),
            poses: tasks.delta.poses.clone(),
            base_poses: scene.poses.clone(),
        });
    }

    fn recall(&self, tasks: &FrameTasks, frame_id: u64, scene: &ResidentScene) -> Option<Before> {
        let before = self.ring.iter().find(|r| (r.view, r.frame_id) == (tasks.view, frame_id))?;
        let (transforms, poses) = match (before.scene, before.revision) == (tasks.scene, tasks.revision) {
            true => (before.moved.clone(), before.poses.clone()),
            false if before.scene == tasks.scene => (rebased(before, &scene.transforms), reshaped(before, scene)),
            // Another scene: nothing of it is there any more.
            false => (Vec::new(), Vec::new()),
        };
        Some((before.camera, transforms, poses))
    }
}

/// Where instances stood under an older revision, as what differs from the newer one.
fn rebased(before: &Remembered, base: &[Affine3A]) -> Vec<(u32, Affine3A)> {
    let moved: HashMap<u32, Affine3A> = before.moved.iter().copied().collect();
    let stood = before.base.iter().zip(0u32..).map(|(t, i)| moved.get(&i).copied().unwrap_or(*t));
    stood.zip(base).zip(0u32..).filter(|((stood, now), _)| stood != *now).map(|((stood, _), i)| (i, stood)).collect()
}

/// How instances were shaped under an older revision, as far as the newer one's meshes can be shaped so.
fn reshaped(before: &Remembered, scene: &ResidentScene) -> Vec<Pose> {
    let mut stood: HashMap<u32, &Pose> = before.base_poses.iter().map(|pose| (pose.instance, pose)).collect();
    stood.extend(before.poses.iter().map(|pose| (pose.instance, pose)));
    let mut poses: Vec<Pose> = stood.into_values().filter(|p| check_pose(p, &scene.source).is_ok()).cloned().collect();
    poses.sort_by_key(|pose| pose.instance);
    poses
}

fn check_pose(pose: &Pose, scene: &Scene) -> Result<(), String> {
    let instance = scene.instances.get(pose.instance as usize).ok_or_else(|| {
        let count = scene.instances.len();
        format!("poses instance {}, the revision has {count}: offer a newer one", pose.instance)
    })?;
    pose.check(instance, &scene.meshes[instance.mesh as usize]).map_err(|e| e.to_string())
}

fn check_delta(delta: &StateDelta, scene: &ResidentScene, what: &str) -> Result<(), String> {
    let instances = scene.transforms.len();
    if let Some((index, _)) = delta.transforms.iter().find(|(index, _)| *index as usize >= instances) {
        return Err(format!("{what} moves instance {index}, the revision has {instances}: offer a newer one"));
    }
    // Lights past the end are new ones; a revision brings more of them.
    let most = scene.lights + limits::LIGHTS_PER_DELTA;
    if let Some((index, _)) = delta.lights.iter().find(|(index, _)| *index as usize >= most) {
        return Err(format!("{what} changes light {index}, the revision has {}: offer a newer one", scene.lights));
    }
    delta.poses.iter().try_for_each(|pose| check_pose(pose, &scene.source)).map_err(|e| format!("{what}: {e}"))?;
    check_lights(&delta.lights).map_err(|e| format!("{what}: {e}"))
}

/// The rules for lights are the scene's own.
fn check_lights(lights: &[(u32, Light)]) -> Result<(), rayloom_scene::SceneError> {
    Scene {
        lights: lights.iter().map(|(index, light)| Light { user_id: u64::from(*index), ..*light }).collect(),
        ..Scene::default()
    }
    .validate_placement()
}

fn check_layers(layers: &[LayerSpec], primary: bool) -> Result<(), String> {
    if layers.is_empty() && !primary {
        return Err("neither a layer nor primary hits are asked for".into());
    }
    for (i, layer) in layers.iter().enumerate() {
        if layers[..i].iter().any(|other| other.request.kind == layer.request.kind) {
            return Err(format!("layer {} is asked for twice", layer.request.kind.name()));
        }
    }
    Ok(())
}
