//! A frame's lights on the GPU: directional ones first, then those with a place, luminous triangles last, and the tree over
//! all that have a place.

use crate::RendererError;
use crate::frame::FrameState;
use crate::layout::GpuLight;
use crate::light_tree::{Emitter, LightTree};
use crate::scene::SceneShared;
use crate::vulkan::Buffer;
use glam::{Affine3A, Vec3};
use rayloom_scene::{Light, LightShape};
use std::sync::Arc;

/// Most lights of a scene.
const MAX_LIGHTS: usize = 65536;

/// The lights of one frame.
pub(crate) struct LightTable {
    buffer: Buffer,
    /// Bytes before the tree.
    tree_offset: u64,
    pub(crate) directional_count: u32,
    /// Lights before the luminous triangles.
    pub(crate) punctual_count: u32,
    pub(crate) count: u32,
    /// Lights in the tree.
    pub(crate) tree_lights: u32,
    /// Irradiance of all directional lights together.
    pub(crate) sun_luminance: f32,
}

impl LightTable {
    /// Of a frame whose instances stand at `transforms`. Frames in which no light differs share one.
    pub(crate) fn of_frame(
        scene: &SceneShared,
        transforms: &[Affine3A],
        state: &FrameState<'_>,
    ) -> Result<Arc<LightTable>, RendererError> {
        let shines = |(instance, _): &(u32, Affine3A)| scene.luminous_ranges[*instance as usize][1] > 0;
        if !state.lights.is_empty() || state.transforms.iter().any(shines) {
            return LightTable::new(scene, transforms, state.lights).map(Arc::new);
        }
        let mut at_rest = scene.lights_at_rest.lock();
        if let Some(lights) = &*at_rest {
            return Ok(lights.clone());
        }
        let lights = Arc::new(LightTable::new(scene, transforms, &[])?);
        *at_rest = Some(lights.clone());
        Ok(lights)
    }

    fn new(
        scene: &SceneShared,
        transforms: &[Affine3A],
        changes: &[(u32, Light)],
    ) -> Result<LightTable, RendererError> {
        let lights = changed(&scene.lights, changes)?;
        let directional = |l: &&Light| matches!(l.shape, LightShape::Directional { .. });
        let (first, second): (Vec<&Light>, Vec<&Light>) = lights.iter().partition(|l| directional(l));
        let in_order = first.iter().chain(&second);
        let (mut table, mut emitters): (Vec<GpuLight>, Vec<Option<Emitter>>) =
            in_order.map(|l| (GpuLight::new(l), Emitter::of_light(l))).unzip();
        let punctual_count = table.len() as u32;
        let triangles = scene.luminous.iter().map(|t| t.light(&transforms[t.instance as usize]));
        let (triangles, of_triangles): (Vec<GpuLight>, Vec<Option<Emitter>>) = triangles.unzip();
        table.extend(triangles);
        emitters.extend(of_triangles);
        let tree = LightTree::build(&emitters);
        let mut bytes: Vec<u8> = Vec::with_capacity(table.len() * size_of::<GpuLight>());
        for (light, way) in table.iter().zip(&tree.ways) {
            bytes.extend_from_slice(bytemuck::bytes_of(&light.on_way(*way)));
        }
        let tree_offset = bytes.len() as u64;
        bytes.extend_from_slice(bytemuck::cast_slice(&tree.nodes));
        let sun_luminance = first.iter().map(|l| l.color.max(Vec3::ZERO).dot(Vec3::new(0.2126, 0.7152, 0.0722))).sum();
        Ok(LightTable {
            buffer: Buffer::uploaded(scene.submitter.context(), "lights", &bytes)?,
            tree_offset,
            directional_count: first.len() as u32,
            punctual_count,
            count: table.len() as u32,
            tree_lights: emitters.iter().flatten().count() as u32,
            sun_luminance,
        })
    }

    pub(crate) fn address(&self) -> u64 {
        self.buffer.address()
    }

    pub(crate) fn tree_address(&self) -> u64 {
        self.buffer.address() + self.tree_offset
    }
}

fn changed(base: &[Light], changes: &[(u32, Light)]) -> Result<Vec<Light>, RendererError> {
    let mut lights = base.to_vec();
    for (index, light) in changes {
        let slot = *index as usize;
        if slot >= MAX_LIGHTS {
            let reason = format!("a scene has at most {MAX_LIGHTS} lights");
            return Err(RendererError::InvalidScene { object: format!("light {index}"), reason });
        }
        if slot < lights.len() {
            lights[slot] = *light;
        } else {
            let dark = Light { color: glam::Vec3::ZERO, ..*light };
            lights.resize(slot, dark);
            lights.push(*light);
        }
    }
    for (i, l) in lights.iter().enumerate() {
        let angles = match l.shape {
            LightShape::Directional { angle } => [angle, 0.0],
            LightShape::Point => [0.0; 2],
            LightShape::Spot { inner, outer } => [inner, outer],
        };
        let finite = l.color.is_finite() && l.position.is_finite() && l.direction.is_finite() && l.range.is_finite();
        if !finite || angles.iter().any(|a| !a.is_finite()) {
            let object = format!("light {i} ({})", l.user_id);
            return Err(RendererError::InvalidScene {
                object,
                reason: format!("{l:?} holds a value that is not finite"),
            });
        }
    }
    Ok(lights)
}
