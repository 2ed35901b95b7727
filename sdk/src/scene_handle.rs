//! A scene as the engine edits it: changes gather, a commit makes them one revision.

use crate::Error;
use crate::config::PeerConstraints;
use crate::director::Command;
use crate::packing::PackJob;
use crate::progress::SceneProgress;
use crate::session::Shared;
use glam::Affine3A;
use parking_lot::Mutex;
use rayloom_coordinator::Constraints;
use rayloom_scene::animation::Rig;
use rayloom_scene::assets::{PackedScene, Packer};
use rayloom_scene::{Light, LightShape, Pose, Scene};
use rayloom_wire::{StateDelta, limits, pose_bytes};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a delta: a message may hold two, the previous frame's too. A moved instance or a changed light takes 53 at most.
const DELTA_BYTES: usize = 500 * CHANGE_BYTES;
const CHANGE_BYTES: usize = 53;

/// A scene of a session. Revisions are atomic: peers trace a whole one or none of it. Dropping it takes them away: no frame can be begun with
/// one of them, and those in flight end at their deadlines.
pub struct SceneHandle {
    lease: Arc<Lease>,
    shared: Arc<Shared>,
    edit: Mutex<Edit>,
    packer: Arc<Mutex<Packer>>,
}

/// A scene's number. The director hears of the scene's end when the handle and all its packing are gone, so nothing of the
/// scene comes after; then the number serves the next scene, since peers hold a bounded number of them.
pub(crate) struct Lease {
    id: u32,
    peers: PeerConstraints,
    shared: Arc<Shared>,
}

impl Lease {
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// What a peer must be to have the scene, which takes so much memory.
    pub(crate) fn needs(&self, memory_bytes: u64) -> Constraints {
        Constraints { memory_bytes, ..self.peers.into() }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.progress().end(self.id);
        let (shared, id) = (Arc::clone(&self.shared), self.id);
        self.shared.send_surely(Command::DestroyScene { scene: id }, move || shared.return_scene(id));
    }
}

/// The scene as the last structural commit left it, and what has changed since.
struct Edit {
    scene: Scene,
    /// What moves it; empty but for scenes from files.
    rig: Arc<Rig>,
    /// Meshes, materials or the sets of instances and lights differ from the base.
    structural: bool,
    base: Option<u64>,
    transforms: BTreeMap<u32, Affine3A>,
    lights: BTreeMap<u32, Light>,
    poses: BTreeMap<u32, Pose>,
}

/// A structural commit, packed.
pub(crate) struct BaseRevision {
    pub(crate) scene: u32,
    pub(crate) revision: u64,
    pub(crate) packed: PackedScene,
    /// What a peer must be to have it.
    pub(crate) needs: Constraints,
}

impl SceneHandle {
    pub(crate) fn new(shared: Arc<Shared>, peers: PeerConstraints) -> SceneHandle {
        let lease = Arc::new(Lease { id: shared.take_scene(), peers, shared: Arc::clone(&shared) });
        let edit = Edit {
            scene: Scene::default(),
            rig: Arc::default(),
            structural: true,
            base: None,
            transforms: BTreeMap::new(),
            lights: BTreeMap::new(),
            poses: BTreeMap::new(),
        };
        SceneHandle { lease, shared, edit: Mutex::new(edit), packer: Arc::default() }
    }

    /// Replaces the scene by a glTF 2.0 file (`.gltf` or `.glb`), posed at rest; [`SceneHandle::pose_animation`] plays what it
    /// brings. Adds a sun and a sky where the file has no light.
    ///
    /// # Errors
    /// [`Error::Scene`] names file, position and reason; the scene stays as it was.
    pub fn load_gltf(&self, path: &Path) -> Result<(), Error> {
        let (mut scene, rig) = rayloom_scene::gltf::load_animated(path, &mut |_| {})?;
        if let Some(warning) = nothing_to_be_seen(path, &scene) {
            tracing::warn!("{warning}");
        }
        scene.add_default_lighting();
        self.put(scene, rig)
    }

    /// Replaces the scene. Non-finite and zero-area triangles are dropped, with a line in the log.
    ///
    /// # Errors
    /// [`Error::Scene`] names the object that breaks a rule; the scene stays as it was.
    pub fn replace(&self, scene: Scene) -> Result<(), Error> {
        self.put(scene, Rig::default())
    }

    fn put(&self, mut scene: Scene, rig: Rig) -> Result<(), Error> {
        let report = scene.validate()?;
        tracing::info!("scene: {} triangles; {report:?}", scene.triangle_count());
        let mut edit = self.edit.lock();
        edit.scene = scene;
        edit.rig = Arc::new(rig);
        edit.structural = true;
        edit.transforms.clear();
        edit.lights.clear();
        edit.poses.clear();
        Ok(())
    }

    /// Changes the scene in any way; what `change` returns is passed on.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Scene) -> T) -> T {
        let mut edit = self.edit.lock();
        edit.bake();
        edit.structural = true;
        change(&mut edit.scene)
    }

    /// Reads the scene as it is being edited.
    pub fn read<T>(&self, read: impl FnOnce(&Scene) -> T) -> T {
        read(&self.edit.lock().scene)
    }

    /// Moves instances: pairs of instance index and transform from mesh to world.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names the first index or matrix that can't be used; nothing is moved then.
    pub fn set_transforms(&self, transforms: &[(u32, Affine3A)]) -> Result<(), Error> {
        let mut edit = self.edit.lock();
        edit.check_transforms(transforms)?;
        edit.transforms.extend(transforms.iter().copied());
        Ok(())
    }

    /// Changes a light.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there is no such light or a value is not finite.
    pub fn set_light(&self, index: u32, light: Light) -> Result<(), Error> {
        let mut edit = self.edit.lock();
        let count = edit.scene.lights.len();
        if index as usize >= count {
            return Err(Error::InvalidArgument(format!("light {index} does not exist: the scene has {count}")));
        }
        // A peer ends the link of an engine that sends it such a number.
        let shape_is_finite = match light.shape {
            LightShape::Directional { angle } => angle.is_finite(),
            LightShape::Point => true,
            LightShape::Spot { inner, outer } => inner.is_finite() && outer.is_finite(),
        };
        if !(shape_is_finite
            && light.color.is_finite()
            && light.position.is_finite()
            && light.direction.is_finite()
            && light.range.is_finite())
        {
            return Err(Error::InvalidArgument(format!("light {index} is not finite: {light:?}")));
        }
        edit.lights.insert(index, light);
        Ok(())
    }

    /// Shapes instances of meshes with joints or morph targets: a palette of joint matrices and weights of targets each.
    /// They stay so until they are given another pose.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there is no such instance; [`Error::Scene`] names the instance with its user id where
    /// a pose does not fit its mesh, such as a palette that is too short. Nothing is shaped then.
    pub fn set_poses(&self, poses: &[Pose]) -> Result<(), Error> {
        let mut edit = self.edit.lock();
        edit.check_poses(poses)?;
        edit.put_poses(poses);
        Ok(())
    }

    /// The pose that an instance has; one without joints and weights where it has none.
    pub fn pose(&self, instance: u32) -> Pose {
        let edit = self.edit.lock();
        let posed = edit.poses.get(&instance).or_else(|| edit.scene.poses.iter().find(|p| p.instance == instance));
        posed.cloned().unwrap_or(Pose { instance, ..Pose::default() })
    }

    /// Nodes, skins and animations of the file that the scene was loaded from; empty for other scenes.
    pub fn rig(&self) -> Arc<Rig> {
        Arc::clone(&self.edit.lock().rig)
    }

    /// Moves and shapes everything that [`SceneHandle::rig`]'s animations can move as it is at a time of one of them; `None` is
    /// the scene at rest. An animation stands still before its first key and after its last: who repeats it gives
    /// `seconds % duration`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there is no such animation or `seconds` is not finite; those of
    /// [`SceneHandle::set_transforms`] and [`SceneHandle::set_poses`] where instances were changed since the file was loaded.
    /// Nothing moves then.
    pub fn pose_animation(&self, animation: Option<u32>, seconds: f64) -> Result<(), Error> {
        if !seconds.is_finite() {
            return Err(Error::InvalidArgument(format!("an animation has no second {seconds}: it must be finite")));
        }
        let mut edit = self.edit.lock();
        let rig = Arc::clone(&edit.rig);
        let playing = match animation {
            Some(index) => Some(rig.animations.get(index as usize).ok_or_else(|| {
                let count = rig.animations.len();
                Error::InvalidArgument(format!("animation {index} does not exist: the scene has {count}"))
            })?),
            None => None,
        };
        let moved = rig.at(playing.map(|animation| (animation, seconds as f32)));
        edit.check_transforms(&moved.transforms)?;
        edit.check_poses(&moved.poses)?;
        edit.transforms.extend(moved.transforms);
        edit.put_poses(&moved.poses);
        Ok(())
    }

    /// Makes everything changed since the last commit one revision and returns its number, which grows.
    ///
    /// Moved instances, poses and changed lights travel with each frame, as far as 26 KB hold them; anything else is packed and uploaded in the
    /// background, and frames show the last revision that a peer is ready for until then. A revision that is overtaken by a
    /// newer one before it was packed is never uploaded.
    ///
    /// # Errors
    /// [`Error::Scene`] names the object that breaks a rule; the last revision stays.
    pub fn commit(&self) -> Result<u64, Error> {
        let mut edit = self.edit.lock();
        let too_many = edit.delta_bytes() > DELTA_BYTES
            || edit.lights.len() > limits::LIGHTS_PER_DELTA
            || edit.poses.values().any(|pose| pose.palette.len() > limits::JOINTS_PER_POSE)
            || edit.poses.values().any(|pose| pose.morph_weights.len() > limits::MORPH_WEIGHTS_PER_POSE);
        let base = match edit.base {
            Some(base) if !edit.structural && !too_many => base,
            _ => {
                edit.bake();
                edit.scene.validate()?;
                let revision = self.shared.committed().next(self.lease.id);
                self.shared.progress().begin(self.lease.id, revision);
                edit.base = Some(revision);
                edit.structural = false;
                self.shared.packing().push(PackJob {
                    lease: Arc::clone(&self.lease),
                    packer: Arc::clone(&self.packer),
                    scene: edit.scene.clone(),
                    revision,
                });
                revision
            }
        };
        let delta = StateDelta {
            transforms: edit.transforms.iter().map(|(i, t)| (*i, *t)).collect(),
            lights: edit.lights.iter().map(|(i, l)| (*i, *l)).collect(),
            poses: edit.poses.values().cloned().collect(),
        };
        let revision = if delta == StateDelta::default() { base } else { self.shared.committed().next(self.lease.id) };
        self.shared.send(Command::Revision { scene: self.lease.id, revision, base, delta: Arc::new(delta) })?;
        Ok(revision)
    }

    /// How far the peers are with the newest structural revision.
    pub fn progress(&self) -> SceneProgress {
        self.shared.progress().of(self.lease.id)
    }
}

/// Says so of a file that places nothing: that is rarely what its author meant.
fn nothing_to_be_seen(path: &Path, scene: &Scene) -> Option<String> {
    (scene.triangle_count() == 0).then(|| {
        let path = path.display();
        format!("{path}: nothing of it is to be seen: its scene has no node with a mesh that has triangles")
    })
}

impl Drop for SceneHandle {
    fn drop(&mut self) {
        self.shared.committed().end(self.lease.id);
        self.shared.packing().forget(self.lease.id);
    }
}

impl Edit {
    fn delta_bytes(&self) -> usize {
        let changes = (self.transforms.len() + self.lights.len()) * CHANGE_BYTES;
        changes + self.poses.values().map(pose_bytes).sum::<usize>()
    }

    fn check_transforms(&self, transforms: &[(u32, Affine3A)]) -> Result<(), Error> {
        let count = self.scene.instances.len();
        for (instance, transform) in transforms {
            let Some(of) = self.scene.instances.get(*instance as usize) else {
                let reason = format!("instance {instance} does not exist: the scene has {count}");
                return Err(Error::InvalidArgument(reason));
            };
            let determinant = transform.matrix3.determinant();
            if !transform.is_finite() || determinant == 0.0 || !determinant.is_finite() {
                let reason = format!(
                    "the transform of instance {instance} (user id {}) is not finite or not invertible: {transform:?}",
                    of.user_id
                );
                return Err(Error::InvalidArgument(reason));
            }
        }
        Ok(())
    }

    fn check_poses(&self, poses: &[Pose]) -> Result<(), Error> {
        for pose in poses {
            let count = self.scene.instances.len();
            let Some(instance) = self.scene.instances.get(pose.instance as usize) else {
                let reason = format!("instance {} does not exist: the scene has {count}", pose.instance);
                return Err(Error::InvalidArgument(reason));
            };
            pose.check(instance, &self.scene.meshes[instance.mesh as usize])?;
        }
        Ok(())
    }

    fn put_poses(&mut self, poses: &[Pose]) {
        self.poses.extend(poses.iter().map(|pose| (pose.instance, pose.clone())));
    }

    /// Moved instances, poses and changed lights become part of the scene itself.
    fn bake(&mut self) {
        for (instance, transform) in std::mem::take(&mut self.transforms) {
            if let Some(instance) = self.scene.instances.get_mut(instance as usize) {
                instance.transform = transform;
            }
        }
        for (index, light) in std::mem::take(&mut self.lights) {
            if let Some(slot) = self.scene.lights.get_mut(index as usize) {
                *slot = light;
            }
        }
        for (instance, pose) in std::mem::take(&mut self.poses) {
            match self.scene.poses.iter_mut().find(|p| p.instance == instance) {
                Some(slot) => *slot = pose,
                None => self.scene.poses.push(pose),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a triangle whose node is or is not in its scene.
    fn load(nodes: &str) -> Scene {
        let json = format!(
            r#"{{"asset":{{"version":"2.0"}},"scene":0,"scenes":[{{"nodes":{nodes}}}],"nodes":[{{"mesh":0}}],
            "meshes":[{{"primitives":[{{"attributes":{{"POSITION":0}}}}]}}],
            "accessors":[{{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3","min":[0,0,0],"max":[1,1,0]}}],
            "bufferViews":[{{"buffer":0,"byteLength":36}}],"buffers":[{{"byteLength":36,"uri":
            "data:application/octet-stream;base64,AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA"}}]}}"#
        );
        rayloom_scene::gltf::load_slice(Path::new("a.gltf"), json.into(), &mut |_| {}).unwrap()
    }

    #[test]
    fn a_file_of_which_nothing_is_to_be_seen_is_told() {
        assert_eq!(nothing_to_be_seen(Path::new("a.gltf"), &load("[0]")), None);
        let text = nothing_to_be_seen(Path::new("a.gltf"), &load("[]")).unwrap();
        assert!(text.starts_with("a.gltf: nothing of it is to be seen"), "{text}");
    }
}
