//! Nodes, skins and animations as a [`Rig`].

use super::document::Document;
use super::geometry::{DECODED_PER_INPUT_BYTE, MAX_DECODED_BYTES};
use super::nodes::{Placed, local_parts, local_transform};
use super::{Progress, note};
use crate::animation::{Animation, Binding, Channel, Curve, Interpolation, Property, Rig, RigNode, Skin};
use crate::{Scene, SceneError};
use glam::{DAffine3, DMat4, DQuat, DVec3};
use gltf::json::animation as source;
use gltf::json::validation::Checked;
use gltf::json::{Index, scene, skin};

/// Reads what moves the instances of `scene`, which were made of `visible` in this order, and poses them at rest.
pub(super) fn read(
    document: &Document,
    visible: &[&Placed],
    scene: &mut Scene,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Rig, SceneError> {
    let mut reader = Reader {
        document,
        order: Vec::new(),
        places: vec![None; document.root.nodes.len()],
        budget: MAX_DECODED_BYTES.saturating_add(document.input_bytes.saturating_mul(DECODED_PER_INPUT_BYTE)),
    };
    let mut rig = Rig { nodes: reader.nodes()?, ..Rig::default() };
    for (index, skin) in document.root.skins.iter().enumerate() {
        rig.skins.push(reader.skin(index, skin)?);
    }
    for (instance, placed) in visible.iter().enumerate() {
        rig.bindings.push(reader.binding(instance, placed, scene, &rig)?);
    }
    for (index, animation) in document.root.animations.iter().enumerate() {
        rig.animations.push(reader.animation(index, animation, &rig, scene, progress)?);
    }
    scene.poses = rig.at(None).poses;
    Ok(rig)
}

struct Reader<'a> {
    document: &'a Document,
    /// The document's node of each of the rig's.
    order: Vec<usize>,
    /// The rig's node of each of the document's; none where it has no place in a tree.
    places: Vec<Option<u32>>,
    /// Bytes that may still be decoded.
    budget: u64,
}

impl Reader<'_> {
    fn nodes(&mut self) -> Result<Vec<RigNode>, SceneError> {
        let nodes = &self.document.root.nodes;
        let mut parents: Vec<Option<usize>> = vec![None; nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            for child in node.children.iter().flatten() {
                let at = format!("nodes[{i}].children");
                self.document.get(*child, &at)?;
                if let Some(other) = parents[child.value()].replace(i) {
                    let reason = format!("holds nodes[{}], which is a child of nodes[{other}] already", child.value());
                    return Err(self.document.fail(&at, reason));
                }
            }
        }
        let mut out = Vec::with_capacity(nodes.len());
        let mut stack: Vec<usize> = (0..nodes.len()).filter(|i| parents[*i].is_none()).rev().collect();
        while let Some(i) = stack.pop() {
            let at = format!("nodes[{i}]");
            let at_rest = local_transform(self.document, &nodes[i], &at)?;
            let parts = match nodes[i].matrix {
                Some(_) => (DVec3::ONE, DQuat::IDENTITY, DVec3::ZERO),
                None => local_parts(self.document, &nodes[i], &at)?,
            };
            self.places[i] = Some(out.len() as u32);
            self.order.push(i);
            out.push(RigNode { parent: parents[i].and_then(|p| self.places[p]), at_rest, parts });
            stack.extend(nodes[i].children.iter().flatten().map(|c| c.value()).rev());
        }
        Ok(out)
    }

    fn place(&self, node: Index<scene::Node>, at: &str) -> Result<u32, SceneError> {
        self.document.get(node, at)?;
        self.places[node.value()]
            .ok_or_else(|| self.document.fail(at, format!("nodes[{}] is part of a cycle", node.value())))
    }

    fn skin(&mut self, index: usize, skin: &skin::Skin) -> Result<Skin, SceneError> {
        let at = format!("skins[{index}]");
        let inverse_binds: Vec<DAffine3> = match skin.inverse_bind_matrices {
            None => vec![DAffine3::IDENTITY; skin.joints.len()],
            Some(accessor) => {
                let position = format!("{at}.inverseBindMatrices");
                self.spend(self.document.count(accessor, &position)?.saturating_mul(64), &position)?;
                let matrices = self.document.read_vectors::<16>(accessor, &position)?;
                matrices.iter().map(|m| DAffine3::from_mat4(DMat4::from_cols_array(&m.map(f64::from)))).collect()
            }
        };
        if inverse_binds.len() < skin.joints.len() {
            let reason = format!("has {} matrices for {} joints", inverse_binds.len(), skin.joints.len());
            return Err(self.document.fail(&format!("{at}.inverseBindMatrices"), reason));
        }
        let joints = skin.joints.iter().zip(inverse_binds).enumerate();
        let joints = joints.map(|(i, (node, inverse_bind))| {
            let at = format!("{at}.joints[{i}]");
            match inverse_bind.is_finite() {
                true => Ok((self.place(*node, &at)?, inverse_bind)),
                false => Err(self.document.fail(&at, "its inverse bind matrix is not finite")),
            }
        });
        Ok(Skin { joints: joints.collect::<Result<_, _>>()? })
    }

    fn binding(&self, instance: usize, placed: &Placed, scene: &Scene, rig: &Rig) -> Result<Binding, SceneError> {
        let node = &self.document.root.nodes[placed.node];
        let at = format!("nodes[{}]", placed.node);
        let mesh = &scene.meshes[scene.instances[instance].mesh as usize];
        let mut binding = Binding {
            instance: instance as u32,
            node: self.place(Index::new(placed.node as u32), &at)?,
            skin: None,
            morph_weights: Vec::new(),
        };
        if let Some(skin) = placed.skin.filter(|_| !mesh.joints.is_empty()) {
            let (has, needs) = (rig.skins[skin.value()].joints.len(), mesh.joint_count());
            if has < needs {
                let reason =
                    format!("has {has} joints, but the vertices of meshes[{}] name {needs}", placed.mesh.value());
                return Err(self.document.fail(&format!("skins[{}]", skin.value()), reason));
            }
            binding.skin = Some(skin.value() as u32);
        }
        if !mesh.targets.is_empty() {
            let of_mesh = self.document.get(placed.mesh, &at)?.weights.as_ref();
            binding.morph_weights = node.weights.as_ref().or(of_mesh).cloned().unwrap_or_default();
            if binding.morph_weights.len() > mesh.targets.len() {
                let (has, targets) = (binding.morph_weights.len(), mesh.targets.len());
                return Err(self.document.fail(&format!("{at}.weights"), format!("has {has} for {targets} targets")));
            }
            binding.morph_weights.resize(mesh.targets.len(), 0.0);
        }
        Ok(binding)
    }

    fn animation(
        &mut self,
        index: usize,
        animation: &source::Animation,
        rig: &Rig,
        scene: &Scene,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Animation, SceneError> {
        let mut channels = Vec::new();
        for (i, channel) in animation.channels.iter().enumerate() {
            let at = format!("animations[{index}].channels[{i}]");
            let node = self.place(channel.target.node, &format!("{at}.target.node"))?;
            let sampler = animation.samplers.get(channel.sampler.value());
            let sampler = sampler.ok_or_else(|| {
                let reason = format!("refers to {}, which does not exist", channel.sampler.value());
                self.document.fail(&format!("{at}.sampler"), reason)
            })?;
            let property = match channel.target.path {
                Checked::Valid(source::Property::Translation) => Property::Translation,
                Checked::Valid(source::Property::Rotation) => Property::Rotation,
                Checked::Valid(source::Property::Scale) => Property::Scale,
                Checked::Valid(source::Property::MorphTargetWeights) => Property::MorphWeights,
                Checked::Invalid => {
                    note(progress, &format!("{at}.target.path"), "is left out: it is no property of glTF 2.0");
                    continue;
                }
            };
            let document = self.document;
            if property != Property::MorphWeights && document.root.nodes[self.order[node as usize]].matrix.is_some() {
                return Err(
                    document.fail(&at, "animates a node that has a matrix; only scale, rotation, translation move")
                );
            }
            let width = match property {
                Property::Translation | Property::Scale => 3,
                Property::Rotation => 4,
                Property::MorphWeights => {
                    let Some(binding) = rig.bindings.iter().find(|b| b.node == node) else { continue };
                    scene.meshes[scene.instances[binding.instance as usize].mesh as usize].targets.len()
                }
            };
            if width == 0 {
                note(progress, &at, "is left out: its mesh has no morph targets");
                continue;
            }
            let at = format!("animations[{index}].samplers[{}]", channel.sampler.value());
            let curve = self.curve(sampler, property, width, &at)?;
            channels.push(Channel { node, property, curve });
        }
        let name = animation.name.clone().unwrap_or_else(|| format!("animation {index}"));
        Ok(Animation { name, channels })
    }

    fn curve(
        &mut self,
        sampler: &source::Sampler,
        property: Property,
        width: usize,
        at: &str,
    ) -> Result<Curve, SceneError> {
        let document = self.document;
        let interpolation = match sampler.interpolation {
            Checked::Valid(source::Interpolation::Linear) => Interpolation::Linear,
            Checked::Valid(source::Interpolation::Step) => Interpolation::Step,
            Checked::Valid(source::Interpolation::CubicSpline) => Interpolation::CubicSpline,
            Checked::Invalid => return Err(document.fail(&format!("{at}.interpolation"), "is no kind of glTF 2.0")),
        };
        let (input, output) = (format!("{at}.input"), format!("{at}.output"));
        self.spend(document.count(sampler.input, &input)?.saturating_mul(4), &input)?;
        self.spend(document.count(sampler.output, &output)?.saturating_mul(16), &output)?;
        let times = document.read_vectors::<1>(sampler.input, &input)?.into_iter().flatten().collect();
        let values: Vec<f32> = match property {
            Property::MorphWeights => document.read_vectors::<1>(sampler.output, &output)?.into_flattened(),
            Property::Rotation => document.read_vectors::<4>(sampler.output, &output)?.into_flattened(),
            _ => document.read_vectors::<3>(sampler.output, &output)?.into_flattened(),
        };
        Curve::new(interpolation, times, values, width, property == Property::Rotation)
            .map_err(|reason| document.fail(at, reason))
    }

    fn spend(&mut self, bytes: u64, at: &str) -> Result<(), SceneError> {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.ok_or_else(|| {
            let reason = format!("needs {bytes} bytes, {} are left of what the document may unfold to", self.budget);
            self.document.fail(at, reason)
        })?;
        Ok(())
    }
}
