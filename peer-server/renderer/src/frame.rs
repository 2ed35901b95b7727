//! A scene as it stands in one frame: where instances are and were, which lights shine.

use crate::RendererError;
use crate::layout::GpuLight;
use crate::placement::Placed;
use crate::scene::SceneShared;
use crate::vulkan::Buffer;
use glam::Affine3A;
use rayloom_scene::{Light, LightShape};
use std::sync::Arc;

/// What differs from the scene's revision in one frame. All of it is relative to the revision, never to another frame:
/// whoever gives the same state gets the same pixels.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameState<'a> {
    /// Instances that stand elsewhere than in the revision: index and transform.
    pub transforms: &'a [(u32, Affine3A)],
    /// Instances that stood elsewhere than in the revision in the previous frame; for motion vectors only.
    pub previous_transforms: &'a [(u32, Affine3A)],
    /// Lights that differ from the revision: index and light. An index past the end adds one; there are at most 65536.
    pub lights: &'a [(u32, Light)],
}

/// Most lights of a scene.
pub(crate) const MAX_LIGHTS: usize = 65536;

/// A scene as it stands in one frame, ready to be traced by any number of jobs.
pub struct GpuFrame {
    pub(crate) scene: Arc<SceneShared>,
    pub(crate) placement: Placed,
    pub(crate) lights: Buffer,
    pub(crate) directional_count: u32,
    pub(crate) punctual_count: u32,
    pub(crate) light_count: u32,
}

impl GpuFrame {
    pub(crate) fn new(scene: Arc<SceneShared>, state: &FrameState<'_>) -> Result<GpuFrame, RendererError> {
        let mut transforms: Vec<Affine3A> = scene.instances.iter().map(|i| i.transform).collect();
        let mut previous = transforms.clone();
        override_transforms(&mut transforms, state.transforms, "transform")?;
        override_transforms(&mut previous, state.previous_transforms, "previous transform")?;
        let lights = lights(&scene.lights, state.lights)?;
        let directional = |l: &&Light| matches!(l.shape, LightShape::Directional { .. });
        let (first, second): (Vec<&Light>, Vec<&Light>) = lights.iter().partition(|l| directional(l));
        let mut gpu_lights: Vec<GpuLight> = first.iter().chain(&second).map(|l| GpuLight::new(l)).collect();
        let punctual_count = gpu_lights.len() as u32;
        gpu_lights.extend(scene.luminous.iter().map(|t| t.light(&transforms[t.instance as usize])));

        let placement = scene.at_rest.moved(&scene, &transforms, &previous, state)?;
        let context = scene.submitter.context();
        Ok(GpuFrame {
            placement,
            lights: Buffer::uploaded(context, "lights", bytemuck::cast_slice(&gpu_lights))?,
            directional_count: first.len() as u32,
            punctual_count,
            light_count: gpu_lights.len() as u32,
            scene,
        })
    }
}

fn override_transforms(
    transforms: &mut [Affine3A],
    changes: &[(u32, Affine3A)],
    what: &str,
) -> Result<(), RendererError> {
    let count = transforms.len();
    for (index, transform) in changes {
        let invalid =
            |reason: String| RendererError::InvalidScene { object: format!("{what} of instance {index}"), reason };
        if !transform.is_finite() {
            return Err(invalid(format!("{transform:?} is not finite")));
        }
        let slot = transforms.get_mut(*index as usize);
        *slot.ok_or_else(|| invalid(format!("the scene has {count} instances")))? = *transform;
    }
    Ok(())
}

fn lights(base: &[Light], changes: &[(u32, Light)]) -> Result<Vec<Light>, RendererError> {
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
