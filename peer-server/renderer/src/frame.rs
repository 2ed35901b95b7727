//! A scene as it stands in one frame: where instances are and were, which lights shine.

use crate::RendererError;
use crate::lights::LightTable;
use crate::placement::Placed;
use crate::scene::SceneShared;
use glam::Affine3A;
use rayloom_scene::{Light, Pose};
use std::sync::Arc;

/// What differs from the scene's revision in one frame. All of it is relative to the revision, never to another frame:
/// whoever gives the same state gets the same pixels.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameState<'a> {
    /// Instances that stand elsewhere than in the revision: index and transform.
    pub transforms: &'a [(u32, Affine3A)],
    /// Instances that stood elsewhere than in the revision in the previous frame; for motion vectors only.
    pub previous_transforms: &'a [(u32, Affine3A)],
    /// Instances that are shaped otherwise than in the revision.
    pub poses: &'a [Pose],
    /// Instances that were shaped otherwise than in the revision in the previous frame; for motion vectors only.
    pub previous_poses: &'a [Pose],
    /// Lights that differ from the revision: index and light. An index past the end adds one; there are at most 65536.
    pub lights: &'a [(u32, Light)],
}

/// A scene as it stands in one frame, ready to be traced by any number of jobs.
pub struct GpuFrame {
    pub(crate) scene: Arc<SceneShared>,
    pub(crate) placement: Placed,
    pub(crate) lights: Arc<LightTable>,
}

impl GpuFrame {
    pub(crate) fn new(scene: Arc<SceneShared>, state: &FrameState<'_>) -> Result<GpuFrame, RendererError> {
        let mut transforms: Vec<Affine3A> = scene.instances.iter().map(|i| i.transform).collect();
        let mut previous = transforms.clone();
        override_transforms(&mut transforms, state.transforms, "transform")?;
        override_transforms(&mut previous, state.previous_transforms, "previous transform")?;
        let lights = LightTable::of_frame(&scene, &transforms, state)?;
        let placement = scene.at_rest.moved(&scene, &transforms, &previous, state)?;
        Ok(GpuFrame { placement, lights, scene })
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
