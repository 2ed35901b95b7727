//! Frames whose tiles were traced from a guess of their camera: put together as the guess saw them, then warped as late results are.
//!
//! What comes is gathered by a merger of the guess's own, which passes it through: planes, and layers at full resolution, as if the
//! guess had been the camera. When the frame is finished all of it is one late tile of the size of the view, of age 0: where the guess
//! saw a pixel's surface the pixel is fresh, elsewhere it is history.

use rayloom_scene::Camera;

use super::{
    FrameInputs, MergeMode, Merger, OpenFrame,
    bands::take,
    blocks::{Blocks, Reach},
    fill::Group,
    late::{LateTile, NOT_THERE},
    late_frame::{LateFrame, LatePixels},
    layer::LayerBuffers,
    resolve::{LAYERS, NEVER},
    tile::TileState,
};
use crate::{
    Extent, FrameError, LayerKind, PlaneKind, Primary, Workers,
    workers::{BAND_ROWS, for_each},
};

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
    /// They stay as old as they are, so that whatever comes replaces it. Only pixels that were seen are read, and all is found before
    /// any is written: in the planes and layers of the last frame, which has had its part in this one.
    pub(super) fn fill_holes(
        ages: &[u8],
        (planes, last_planes): (&mut Primary, &mut Primary),
        layers: &mut [LayerBuffers; LAYERS],
        extent: Extent,
        blocks: &mut Blocks,
        workers: &dyn Workers,
    ) {
        if !blocks.find((ages, &[]), NEVER, extent, Reach::Cross(FARTHEST_PX), workers) {
            return;
        }
        let (blocks, width) = (&*blocks, extent.width as usize);
        let Group { mut currents, mut found } = Group::default();
        for (kind, layer) in layers.iter_mut().enumerate().filter(|(_, layer)| layer.request.is_some()) {
            (currents[kind], found[kind]) = (&mut layer.current, &mut layer.history);
        }
        let sources = currents.each_ref().map(|current| &**current);
        let (seen, words) = (&*planes, words(planes));
        for_each(workers, Band::all(last_planes, &mut found, extent), |mut band| {
            for (at, to) in band.holes(blocks, ages, width) {
                let found = nearest_seen(ages, &seen.instance_id, extent, at);
                let shown = found.filter(|(_, is_same)| !is_same).map_or(at, |(from, _)| from);
                band.depth[to] = seen.depth[shown];
                for (band, words) in band.words.iter_mut().zip(words) {
                    band[to] = words[shown];
                }
                for (band, current) in band.layers.iter_mut().zip(sources).filter(|(band, _)| !band.is_empty()) {
                    // Some layers may have been seen.
                    let is_dark = current[at] == [0; 4];
                    band[to] = current[found.filter(|_| is_dark).map_or(at, |(from, _)| from)];
                }
            }
        });
        let found = found.each_ref().map(|found| &**found);
        let (seen, words) = (&*last_planes, self::words(last_planes));
        for_each(workers, Band::all(planes, &mut currents, extent), |mut band| {
            for (at, to) in band.holes(blocks, ages, width) {
                band.depth[to] = seen.depth[at];
                for (band, words) in band.words.iter_mut().zip(words) {
                    band[to] = words[at];
                }
                for (band, found) in band.layers.iter_mut().zip(found).filter(|(band, _)| !band.is_empty()) {
                    band[to] = found[at];
                }
            }
        });
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.merger.as_deref().map_or(0, Merger::held_bytes)
    }
}

/// The nearest pixel of a pixel's row and column that was seen, and whether it shows the same thing: one that does, else any.
fn nearest_seen(ages: &[u8], instance_id: &[u32], extent: Extent, at: usize) -> Option<(usize, bool)> {
    let (width, height) = (extent.width as usize, extent.height as usize);
    let (x, y) = (at % width, at / width);
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
            let is_same = instance_id[other] == instance_id[at];
            if found.is_none_or(|(_, was_same)| is_same && !was_same) {
                found = Some((other, is_same));
            }
        }
        if found.is_some_and(|(_, is_same)| is_same) {
            break;
        }
    }
    found
}

/// Rows of what is filled.
struct Band<'a> {
    first_row: usize,
    depth: &'a mut [f32],
    words: [&'a mut [u32]; 4],
    /// Empty where a layer was not requested.
    layers: [&'a mut [[u16; 4]]; LAYERS],
}

impl<'a> Band<'a> {
    fn all(
        planes: &'a mut Primary,
        layers: &'a mut [&mut [[u16; 4]]; LAYERS],
        extent: Extent,
    ) -> impl ExactSizeIterator<Item = Band<'a>> + Send {
        let Primary { depth, normal, base_color, material, instance_id, .. } = planes;
        let mut words = [normal, base_color, material, instance_id].map(Vec::as_mut_slice);
        let mut layers = layers.each_mut().map(|layer| &mut **layer);
        let pixels = BAND_ROWS * extent.width as usize;
        depth.chunks_mut(pixels).enumerate().map(move |(index, depth)| Band {
            first_row: index * BAND_ROWS,
            depth,
            words: words.each_mut().map(|rest| take(rest, pixels)),
            layers: layers.each_mut().map(|rest| take(rest, pixels)),
        })
    }

    /// Pixels that may be filled: in the view, and in the band.
    fn holes<'b>(
        &self,
        blocks: &'b Blocks,
        ages: &'b [u8],
        width: usize,
    ) -> impl Iterator<Item = (usize, usize)> + use<'b> {
        let first_row = self.first_row;
        let rows = first_row..first_row + self.depth.len() / width;
        let holes = move |y| blocks.holes(ages, y, 0..width).map(move |x| (y * width + x, (y - first_row) * width + x));
        rows.flat_map(holes)
    }
}

/// What pixels show, but for its depth.
fn words(planes: &Primary) -> [&[u32]; 4] {
    [&planes.normal, &planes.base_color, &planes.material, &planes.instance_id].map(Vec::as_slice)
}
