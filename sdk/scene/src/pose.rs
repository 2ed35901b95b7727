//! The shape of one instance at one time: joint matrices and weights of morph targets, and their rules.

use crate::repair::MAX_COORDINATE_M;
use crate::{Instance, Mesh, Scene, SceneError};
use glam::{Affine3A, Vec3};
use std::collections::HashSet;

/// Largest magnitude of a morph target's weight.
const MAX_MORPH_WEIGHT: f32 = 1e3;

/// How an instance of a mesh with joints or morph targets is deformed.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Pose {
    /// Index into [`Scene::instances`].
    pub instance: u32,
    /// For each joint, from where the mesh was bound to where the joint has brought it, in the space that the instance's
    /// transform starts from (glTF: joint's world transform times inverse bind matrix, under an instance at the origin).
    /// At least [`Mesh::joint_count`] of them.
    pub palette: Vec<Affine3A>,
    /// Weights of [`Mesh::targets`] in their order; those that are left out are 0.
    pub morph_weights: Vec<f32>,
}

impl Pose {
    /// Where it brings a vertex of a mesh, before the instance's transform: morph targets first, then joints (glTF 2.0,
    /// 3.7.2.2 and 3.7.3.3). Joints that the palette lacks add nothing; [`Pose::check`] refuses such a pose.
    pub fn position(&self, mesh: &Mesh, vertex: usize) -> Vec3 {
        let mut at = mesh.positions[vertex];
        for (target, weight) in mesh.targets.iter().zip(&self.morph_weights) {
            at += target.positions.get(vertex).copied().unwrap_or(Vec3::ZERO) * *weight;
        }
        let Some((joints, weights)) = mesh.joints.get(vertex).zip(mesh.weights.get(vertex)) else { return at };
        let moving = joints.iter().zip(weights).filter(|(_, weight)| **weight > 0.0);
        let moved = moving.filter_map(|(joint, weight)| Some((self.palette.get(usize::from(*joint))?, weight)));
        moved.map(|(joint, weight)| joint.transform_point3(at) * *weight).sum()
    }

    /// Checks the pose against the instance that it names and that instance's mesh.
    ///
    /// # Errors
    /// [`SceneError::Invalid`] names the instance with its user id: a palette that is too short, more weights than the mesh
    /// has targets, numbers that are not finite or out of all proportion.
    pub fn check(&self, instance: &Instance, mesh: &Mesh) -> Result<(), SceneError> {
        let object = || format!("pose of instance {} (user id {})", self.instance, instance.user_id);
        let invalid = |reason: String| Err(SceneError::Invalid { object: object(), reason });
        let needed = mesh.joint_count();
        if self.palette.len() < needed {
            return invalid(format!(
                "has a palette of {} matrices, but mesh {} has {needed} joints: give one for each",
                self.palette.len(),
                instance.mesh
            ));
        }
        if self.morph_weights.len() > mesh.targets.len() {
            return invalid(format!(
                "weighs {} morph targets, but mesh {} has {}",
                self.morph_weights.len(),
                instance.mesh,
                mesh.targets.len()
            ));
        }
        let usable = |m: &Affine3A| {
            let columns = [m.matrix3.x_axis, m.matrix3.y_axis, m.matrix3.z_axis, m.translation].map(Vec3::from);
            columns.iter().all(|c| c.is_finite() && c.abs().max_element() <= MAX_COORDINATE_M)
        };
        if let Some(joint) = self.palette.iter().position(|m| !usable(m)) {
            return invalid(format!(
                "moves joint {joint} by {}, which is not finite or too large",
                self.palette[joint]
            ));
        }
        let usable = |w: &f32| w.abs() <= MAX_MORPH_WEIGHT;
        if let Some(target) = self.morph_weights.iter().position(|w| !usable(w)) {
            let weight = self.morph_weights[target];
            return invalid(format!(
                "weighs morph target {target} by {weight}; -{MAX_MORPH_WEIGHT} to {MAX_MORPH_WEIGHT} is possible"
            ));
        }
        Ok(())
    }
}

impl Scene {
    /// Each pose fits its instance, no instance has two, and none with joints goes without. Every instance must name a mesh
    /// of the scene.
    ///
    /// # Errors
    /// [`SceneError::Invalid`] names the instance with its user id.
    pub fn validate_poses(&self) -> Result<(), SceneError> {
        let invalid = |object: String, reason: String| Err(SceneError::Invalid { object, reason });
        let mut posed = HashSet::new();
        for pose in &self.poses {
            let Some(instance) = self.instances.get(pose.instance as usize) else {
                let reason = format!("is for none of the scene's {} instances", self.instances.len());
                return invalid(format!("pose of instance {}", pose.instance), reason);
            };
            if !posed.insert(pose.instance) {
                let object = format!("pose of instance {} (user id {})", pose.instance, instance.user_id);
                return invalid(object, "is given twice; an instance has one shape at a time".into());
            }
            pose.check(instance, &self.meshes[instance.mesh as usize])?;
        }
        for (i, instance) in self.instances.iter().enumerate() {
            let mesh = &self.meshes[instance.mesh as usize];
            if !mesh.joints.is_empty() && !posed.contains(&(i as u32)) {
                let object = format!("instance {i} (user id {})", instance.user_id);
                let needed = mesh.joint_count();
                return invalid(
                    object,
                    format!(
                        "has no palette: mesh {} has joints, so it needs a pose of {needed} matrices",
                        instance.mesh
                    ),
                );
            }
        }
        Ok(())
    }
}
