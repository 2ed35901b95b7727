//! Nodes, skins and animations of a document, and where they bring a scene's instances at a time.

use super::Curve;
use crate::Pose;
use crate::validate::is_invertible;
use glam::{Affine3A, DAffine3, DQuat, DVec3, Mat3A};

/// Scale of what is scaled to nothing.
const SPECK: f32 = 4e-9;

/// A node of a hierarchy.
#[derive(Clone, Debug, PartialEq)]
pub struct RigNode {
    /// Index of its parent, which comes before it.
    pub parent: Option<u32>,
    /// Where it stands under its parent while nothing animates it.
    pub at_rest: DAffine3,
    /// Scale, rotation and translation at rest, of which channels replace one each.
    pub parts: (DVec3, DQuat, DVec3),
}

/// Joints in the order in which vertices name them.
#[derive(Clone, Debug, PartialEq)]
pub struct Skin {
    /// Indices of nodes, each with its inverse bind matrix.
    pub joints: Vec<(u32, DAffine3)>,
}

/// Which node moves and deforms an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Index into [`crate::Scene::instances`].
    pub instance: u32,
    /// Index of its node.
    pub node: u32,
    /// Index of the skin that moves its vertices. The instance itself stays at the origin then.
    pub skin: Option<u32>,
    /// Weights of its mesh's morph targets at rest.
    pub morph_weights: Vec<f32>,
}

/// What a channel replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// Three metres.
    Translation,
    /// A unit quaternion.
    Rotation,
    /// Three factors.
    Scale,
    /// A weight for each morph target.
    MorphWeights,
}

/// A curve and what it drives.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Index of a node.
    pub node: u32,
    /// What of it.
    pub property: Property,
    /// How.
    pub curve: Curve,
}

/// Channels that run together.
#[derive(Clone, Debug, PartialEq)]
pub struct Animation {
    /// Its name in the file.
    pub name: String,
    /// Its channels.
    pub channels: Vec<Channel>,
}

impl Animation {
    /// When the last key is over, in seconds.
    pub fn duration(&self) -> f32 {
        self.channels.iter().map(|c| c.curve.end()).fold(0.0, f32::max)
    }
}

/// What moves a scene; see [`Rig::at`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rig {
    /// Parents before children.
    pub nodes: Vec<RigNode>,
    /// Skins.
    pub skins: Vec<Skin>,
    /// One for each instance.
    pub bindings: Vec<Binding>,
    /// Animations.
    pub animations: Vec<Animation>,
}

/// What stands where and is shaped how at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// All instances that some animation of the rig can move, with where they are. One that is scaled to nothing is a speck
    /// of a few nanometres: a transform has an inverse.
    pub transforms: Vec<(u32, Affine3A)>,
    /// Poses of all instances that can deform.
    pub poses: Vec<Pose>,
}

impl Rig {
    /// The scene at a time of an animation, in seconds; its first value before it begins, its last after it has ended.
    /// `None` is the scene at rest. Cameras and lights stay where they are.
    pub fn at(&self, animation: Option<(&Animation, f32)>) -> Moved {
        let driven = self.driven();
        let mut nodes = self.nodes.clone();
        let mut weights: Vec<Option<Vec<f32>>> = vec![None; nodes.len()];
        if let Some((animation, seconds)) = animation {
            for channel in &animation.channels {
                let Some(node) = nodes.get_mut(channel.node as usize) else { continue };
                let value = channel.curve.at(seconds);
                let vector = |v: &[f32]| DVec3::new(v[0].into(), v[1].into(), v[2].into());
                let (scale, rotation, translation) = &mut node.parts;
                match channel.property {
                    Property::Translation => *translation = vector(&value),
                    Property::Scale => *scale = vector(&value),
                    Property::Rotation => {
                        let q = DQuat::from_xyzw(value[0].into(), value[1].into(), value[2].into(), value[3].into());
                        *rotation = if q.length_squared() > 1e-12 { q.normalize() } else { DQuat::IDENTITY };
                    }
                    Property::MorphWeights => {
                        weights[channel.node as usize] = Some(value);
                        continue;
                    }
                }
                node.at_rest = DAffine3::from_scale_rotation_translation(*scale, *rotation, *translation);
            }
        }
        let worlds = self.worlds(&nodes);
        let mut moved = Moved::default();
        for binding in &self.bindings {
            let now = &worlds[binding.node as usize];
            let palette: Vec<Affine3A> = match binding.skin {
                Some(skin) => {
                    let joints = self.skins[skin as usize].joints.iter();
                    joints.map(|(node, inverse_bind)| (worlds[*node as usize] * *inverse_bind).as_affine3a()).collect()
                }
                None => {
                    if driven[binding.node as usize] {
                        moved.transforms.push((binding.instance, invertible(now.as_affine3a())));
                    }
                    Vec::new()
                }
            };
            let morph_weights = weights[binding.node as usize].clone().unwrap_or_else(|| binding.morph_weights.clone());
            if !palette.is_empty() || !binding.morph_weights.is_empty() {
                moved.poses.push(Pose { instance: binding.instance, palette, morph_weights });
            }
        }
        moved
    }

    /// For each node whether an animation moves it or one above it.
    fn driven(&self) -> Vec<bool> {
        let mut driven = vec![false; self.nodes.len()];
        let channels = self.animations.iter().flat_map(|animation| &animation.channels);
        for channel in channels.filter(|channel| channel.property != Property::MorphWeights) {
            if let Some(node) = driven.get_mut(channel.node as usize) {
                *node = true;
            }
        }
        for (i, node) in self.nodes.iter().enumerate() {
            driven[i] |= node.parent.is_some_and(|parent| driven[parent as usize]);
        }
        driven
    }

    fn worlds(&self, nodes: &[RigNode]) -> Vec<DAffine3> {
        let mut worlds: Vec<DAffine3> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let parent = node.parent.map_or(DAffine3::IDENTITY, |p| worlds[p as usize]);
            worlds.push(parent * node.at_rest);
        }
        worlds
    }
}

/// Animations hide things by a scale of 0, which no transform of an instance may have.
fn invertible(transform: Affine3A) -> Affine3A {
    if is_invertible(&transform) { transform } else { Affine3A { matrix3: Mat3A::IDENTITY * SPECK, ..transform } }
}
