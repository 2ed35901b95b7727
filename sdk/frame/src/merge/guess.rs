//! Frames whose tiles were traced from a guess of their camera: put together as the guess saw them, then warped as late results are.
//!
//! What comes is gathered by a merger of the guess's own, which passes it through: planes, and layers at full resolution, as if the
//! guess had been the camera. When the frame is finished all of it is one late tile of the size of the view, of age 0: where the guess
//! saw a pixel's surface the pixel is fresh, elsewhere it is history.

use rayloom_scene::Camera;

use super::{
    FrameInputs, MergeMode, Merger, OpenFrame,
    late::{LateTile, NOT_THERE},
    late_frame::{LateFrame, LatePixels},
    layer::LayerBuffers,
    resolve::NEVER,
    tile::TileState,
};
use crate::{Extent, FrameError, LayerKind, PlaneKind, Primary, Workers};

/// Pixels around one that was never seen, in which one is looked for that was.
const FARTHEST_PX: usize = 64;

/// What a frame's tiles were traced as, where that began before its camera was known. Everything that comes of them is warped to the
/// true camera; see `docs/prediction.md`.
#[derive(Clone, Copy, Debug)]
pub struct Predicted {
    /// The id that the tiles were traced with: it decides which pixel of a block is traced.
    pub frame_id: u64,
    /// The camera that they were traced from.
    pub camera: Camera,
    /// The camera that their motion vectors lead to.
    pub previous_camera: Camera,
    /// What their light was multiplied by; finite, above 0.
    pub pre_exposure: f32,
}

impl Predicted {
    /// What a frame is traced as: a guess, or itself.
    pub(super) fn of(inputs: &FrameInputs<'_>) -> Predicted {
        let FrameInputs { frame_id, camera, previous_camera, pre_exposure, predicted, .. } = *inputs;
        predicted.unwrap_or(Predicted { frame_id, camera, previous_camera, pre_exposure })
    }
}

/// What a merger knows of guesses; it holds memory once there was one.
#[derive(Default)]
pub(super) struct Guess {
    merger: Option<Box<Merger>>,
    /// The frame that is open, or was just finished, was guessed.
    predicted: Option<Predicted>,
}

impl Guess {
    /// A frame begins.
    pub(super) fn begin(
        &mut self,
        inputs: &FrameInputs<'_>,
        mode: MergeMode,
        extent: Extent,
    ) -> Result<(), FrameError> {
        self.predicted = None;
        let Some(predicted) = inputs.predicted else { return Ok(()) };
        let refuse =
            |text: &str| Err(FrameError::Plan(format!("tiles that were traced from a guess of the camera, {text}")));
        if mode == MergeMode::Passthrough {
            return refuse("where frames pass through: accumulate, or trace the true camera");
        }
        if inputs.planes.is_some() {
            return refuse("and given planes, which are the true camera's: trace that one");
        }
        let merger = self.merger.get_or_insert_with(|| {
            let mut merger = Merger::new(extent);
            merger.set_mode(MergeMode::Passthrough);
            Box::new(merger)
        });
        let Predicted { frame_id, camera, previous_camera, pre_exposure } = predicted;
        let guess = FrameInputs::new(frame_id, camera, inputs.layers, inputs.tiles);
        merger.begin(FrameInputs { previous_camera, pre_exposure, ..guess })?;
        self.predicted = Some(predicted);
        Ok(())
    }

    /// Who takes what comes of the open frame, where that was guessed.
    pub(super) fn merger(&mut self) -> Option<&mut Merger> {
        self.merger.as_deref_mut().filter(|_| self.predicted.is_some())
    }

    /// What came of the frame, where that was guessed.
    pub(super) fn tiles(&self) -> Option<&[TileState]> {
        let merger = self.merger.as_deref().filter(|_| self.predicted.is_some())?;
        Some(&merger.tiles[..merger.tile_count])
    }

    /// All that came of the frame, as one late tile.
    pub(super) fn finish(&mut self, frame: &OpenFrame, extent: Extent, workers: &dyn Workers) -> Option<LateFrame> {
        let predicted = self.predicted?;
        let merger = self.merger()?;
        merger.finish_with(workers)?;
        let mut primary = std::mem::take(&mut merger.planes);
        let mut layers = merger.layers.each_mut().map(|layer| match layer.request {
            Some(_) => std::mem::take(&mut layer.current),
            None => Vec::new(),
        });
        let width = extent.width as usize;
        for tile in merger.tiles[..merger.tile_count].iter().filter(|tile| !tile.is_complete()) {
            let rect = tile.plan().rect;
            for y in rect.y..rect.bottom() {
                let start = y as usize * width + rect.x as usize;
                let row = start..start + rect.width as usize;
                if !tile.has_primary_row(y) {
                    primary.depth[row.clone()].fill(f32::NAN);
                }
                for kind in LayerKind::ALL {
                    if !layers[kind as usize].is_empty() && !tile.has_row(PlaneKind::Layer(kind), y) {
                        layers[kind as usize][row.clone()].fill(NOT_THERE);
                    }
                }
            }
        }
        let view = LateTile::of_view(extent.rect(), layers, primary);
        let tiles = vec![LatePixels::new(view, predicted.frame_id, extent, None)];
        Some(LateFrame::new((&predicted, 0), frame, extent, false, tiles))
    }

    /// Takes back the memory of what [`Guess::finish`] gave, which is the last of all that was late; the number of tiles of a frame that
    /// was guessed.
    pub(super) fn take_back(&mut self, mut late: Vec<LateFrame>) -> Option<usize> {
        let merger = self.merger()?;
        let LateTile { layers, primary, .. } = late.pop()?.tiles.pop()?.tile;
        merger.planes = primary;
        for (to, layer) in merger.layers.iter_mut().zip(layers) {
            if to.request.is_some() {
                to.current = layer;
            }
        }
        Some(merger.tile_count)
    }

    /// Light for pixels that neither the guess nor history saw, at the edges of the view and behind what moved aside: that of the nearest
    /// pixel of their row or column that was seen, of the same thing where there is one; else they are taken to show that pixel's thing.
    /// They stay as old as they are, so that whatever comes replaces it.
    pub(super) fn fill_holes(
        ages: &[u8],
        planes: &mut Primary,
        layers: &mut [LayerBuffers; LayerKind::ALL.len()],
        extent: Extent,
    ) {
        let (width, height) = (extent.width as usize, extent.height as usize);
        for at in (0..ages.len()).filter(|at| ages[*at] == NEVER) {
            let (x, y) = (at % width, at / width);
            let id = planes.instance_id[at];
            let mut found: Option<(usize, bool)> = None;
            for distance in 1..=FARTHEST_PX {
                let beside = [
                    (x >= distance).then(|| at - distance),
                    (x + distance < width).then(|| at + distance),
                    (y >= distance).then(|| at - distance * width),
                    (y + distance < height).then(|| at + distance * width),
                ];
                let seen = beside.into_iter().flatten().filter(|other| ages[*other] != NEVER);
                for other in seen {
                    let is_same = planes.instance_id[other] == id;
                    if found.is_none_or(|(_, was_same)| is_same && !was_same) {
                        found = Some((other, is_same));
                    }
                }
                if found.is_some_and(|(_, is_same)| is_same) {
                    break;
                }
            }
            let Some((from, is_same)) = found else { continue };
            for layer in layers.iter_mut().filter(|layer| layer.request.is_some()) {
                // Some layers may have been seen.
                if layer.current[at] == [0; 4] {
                    layer.current[at] = layer.current[from];
                }
            }
            if !is_same {
                planes.depth[at] = planes.depth[from];
                let Primary { normal, base_color, material, instance_id, .. } = planes;
                [normal, base_color, material, instance_id].into_iter().for_each(|words| words[at] = words[from]);
            }
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.merger.as_deref().map_or(0, Merger::held_bytes)
    }
}
