//! What is merged, and composed, before its frame is finished: blocks of pixels of which everything came, and of all around them.
//!
//! **Such a block's bits are the same now and when the frame is finished**: neither limits of history nor upsampled light there depend
//! on anything else. What comes late is folded in when the frame is finished; blocks that it reaches are composed again.

use std::ops::Range;

use super::{
    Added, Merger, OpenFrame,
    arrivals::write_primary,
    change::{SIDE, inner_blocks},
    layer::LayerBuffers,
    resolve::{self, Incoming, LAYERS, Only},
};
use crate::{
    Extent, PlaneKind, Primary, Rect, TracedTile, Workers,
    codec::primary_words,
    compose::{Compose, Display, Light},
    simd::dispatch,
    workers::{BAND_ROWS, for_each},
};

/// Pixels that are merged before they are composed, if they are not more by one row of blocks: they are still near then.
const NEAR_PIXELS: u32 = 4096;

/// Rows that are placed and merged at a time: those of a block.
pub(super) const ROWS: u32 = SIDE as u32;

/// How far a block is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is merged when the frame is finished.
    #[default]
    Waiting,
    /// It is merged.
    Merged,
    /// It is in the picture too.
    Composed,
    /// It is merged, and of some of its pixels nothing is known: they are filled when the frame is finished.
    Holed,
}

impl Stage {
    /// Something may have to be filled.
    pub(super) fn may_have_holes(self) -> bool {
        matches!(self, Stage::Waiting | Stage::Holed)
    }
}

/// The parts of so many pixels that wait to be merged; `stages` are of their row's blocks, from column 0 on.
pub(super) fn waiting(stages: &[Stage], columns: Range<u32>) -> impl Iterator<Item = Range<u32>> + '_ {
    let is_waiting = |x: u32| stages.get(x as usize / SIDE).is_none_or(|stage| *stage == Stage::Waiting);
    let mut next = columns.start;
    std::iter::from_fn(move || {
        let edges = |from: u32| std::iter::once(from).chain(((from / ROWS + 1) * ROWS..columns.end).step_by(SIDE));
        let first = edges(next).find(|x| *x < columns.end && is_waiting(*x))?;
        next = edges(first).find(|x| !is_waiting(*x)).unwrap_or(columns.end);
        Some(first..next)
    })
}

/// The blocks of the open frame, and the picture that is made of it.
#[derive(Default)]
pub(super) struct Ahead {
    extent: Extent,
    columns: usize,
    /// Blocks around one on which it depends: 1 where history is limited or a layer is upsampled.
    reach: u32,
    /// Pixels of each block that lie in tiles of which everything came.
    came: Vec<u8>,
    stages: Vec<Stage>,
    merged_pixels: usize,
    /// Some blocks are made from history alone, of which nothing came so far.
    pub(super) has_prepared: bool,
    picture: Option<(Display, Vec<u8>)>,
    /// The picture is left until the frame is finished.
    is_behind: bool,
}

impl Ahead {
    /// A frame begins.
    pub(super) fn begin(&mut self, extent: Extent, depends_on_neighbours: bool) {
        self.reach = depends_on_neighbours.into();
        let (columns, rows) = ((extent.width as usize).div_ceil(SIDE), (extent.height as usize).div_ceil(SIDE));
        (self.extent, self.columns) = (extent, columns);
        self.came.clear();
        self.came.resize(columns * rows, 0);
        self.stages.clear();
        self.stages.resize(columns * rows, Stage::Waiting);
        (self.merged_pixels, self.has_prepared) = (0, false);
        self.picture = None;
    }

    /// Of all blocks.
    pub(super) fn stages(&mut self) -> &mut [Stage] {
        &mut self.stages
    }

    /// Pixels that are merged.
    pub(super) fn merged_pixels(&self) -> usize {
        self.merged_pixels
    }

    /// Bytes that it holds; the picture's memory is lent.
    pub(super) fn held_bytes(&self) -> usize {
        self.came.capacity() + self.stages.capacity() * size_of::<Stage>()
    }

    /// All came of these pixels.
    fn note(&mut self, rect: Rect) {
        let Rect { x, y, width, height } = blocks(rect);
        for y in y..y + height {
            for x in x..x + width {
                self.came[y as usize * self.columns + x as usize] += block(x, y).intersection(rect).pixels() as u8;
            }
        }
    }

    /// Blocks of these pixels are this far.
    pub(super) fn set(&mut self, rect: Rect, stage: Stage) {
        let Rect { x, y, width, height } = blocks(rect);
        for y in y..y + height {
            let start = y as usize * self.columns + x as usize;
            self.stages[start..start + width as usize].fill(stage);
        }
    }

    /// What was prepared of blocks that these pixels have a part in counts no more: something comes of them after all.
    fn take_back(&mut self, rect: Rect) {
        let Rect { x, y, width, height } = blocks(rect);
        for y in y..y + height {
            let row = y as usize * self.columns + x as usize..y as usize * self.columns + (x + width) as usize;
            // Of what was merged because it came something came.
            for (stage, came) in self.stages[row.clone()].iter_mut().zip(&self.came[row]) {
                if *came == 0 {
                    *stage = Stage::Waiting;
                }
            }
        }
    }

    /// Blocks that these pixels have a part in, and those around them that depend on each other.
    fn around(&self, rect: Rect) -> Rect {
        blocks(rect).grown(self.reach, Extent::new(self.columns as u32, (self.came.len() / self.columns) as u32))
    }

    /// True when a block waits for nothing more but to be merged.
    fn is_ready(&self, x: u32, y: u32) -> bool {
        let is_whole = |x: u32, y: u32| {
            let pixels = block(x, y).intersection(self.extent.rect()).pixels();
            usize::from(self.came[y as usize * self.columns + x as usize]) == pixels
        };
        let is_waiting = self.stages[y as usize * self.columns + x as usize] == Stage::Waiting;
        let around = self.around(block(x, y));
        is_waiting && (around.y..around.bottom()).all(|y| (around.x..around.right()).all(|x| is_whole(x, y)))
    }

    /// Pixels of blocks from one that is ready on, of those in `within`, which are merged together.
    fn ready_from(&self, (x, y): (u32, u32), within: Rect) -> Rect {
        let right = (x + 1..within.right()).find(|x| !self.is_ready(*x, y)).unwrap_or(within.right());
        let most_rows = (NEAR_PIXELS / ((right - x) * ROWS * ROWS)).max(1);
        let rows = (y + 1..within.bottom().min(y + most_rows)).find(|y| !(x..right).all(|x| self.is_ready(x, *y)));
        let bottom = rows.unwrap_or(within.bottom().min(y + most_rows));
        Rect::new(x * ROWS, y * ROWS, (right - x) * ROWS, (bottom - y) * ROWS).intersection(self.extent.rect())
    }
}

/// Blocks that pixels have a part in.
fn blocks(rect: Rect) -> Rect {
    rect.scaled(ROWS)
}

/// A block's pixels, in the view and beyond.
fn block(x: u32, y: u32) -> Rect {
    Rect::new(x * ROWS, y * ROWS, ROWS, ROWS)
}

impl Merger {
    /// Has the open frame's picture composed as its pixels become final, in memory of any content: what is left to do once the last tile
    /// came is less. To be asked for after [`Merger::begin`], for each frame anew; [`Merger::take_picture_with`] gives the picture.
    pub fn compose_ahead(&mut self, display: Display, mut memory: Vec<u8>) {
        memory.resize(self.extent.pixels() * display.format.bytes_per_pixel(), 0);
        // Whatever was composed is in another picture.
        for stage in self.ahead.stages.iter_mut().filter(|stage| **stage == Stage::Composed) {
            *stage = Stage::Merged;
        }
        self.ahead.picture = Some((display, memory));
    }

    /// Whether what is merged from here on is left to [`Merger::take_picture_with`], which has all threads for it: for a caller who has more
    /// to add at hand.
    pub fn set_behind(&mut self, is_behind: bool) {
        self.ahead.is_behind = is_behind;
    }

    /// The finished frame's picture, where [`Merger::compose_ahead`] asked for it: exactly what [`crate::compose::compose_into`] makes.
    /// What was not yet composed is, on these threads.
    pub fn take_picture_with(&mut self, workers: &dyn Workers) -> Option<Vec<u8>> {
        let frame = self.frame.filter(|_| self.is_finished)?;
        let (display, mut picture) = self.ahead.picture.take()?;
        let light = light(&frame, self.extent, &self.planes, &self.layers);
        let (width, columns) = (self.extent.width, self.ahead.columns);
        let row_bytes = width as usize * display.format.bytes_per_pixel();
        let stages = self.ahead.stages.chunks(BAND_ROWS / SIDE * columns);
        let bands = picture.chunks_mut(BAND_ROWS * row_bytes).zip(stages).enumerate();
        for_each(workers, bands, |(index, (rows, stages))| {
            for (row, (rows, stages)) in rows.chunks_mut(SIDE * row_bytes).zip(stages.chunks(columns)).enumerate() {
                let (y, height) = ((index * BAND_ROWS + row * SIDE) as u32, (rows.len() / row_bytes) as u32);
                let mut x = 0;
                for alike in stages.chunk_by(|a, b| (*a == Stage::Composed) == (*b == Stage::Composed)) {
                    let end = (x + alike.len() as u32 * ROWS).min(width);
                    if alike[0] != Stage::Composed {
                        let rect = Rect::new(x, y, end - x, height);
                        dispatch(Compose { light: &light, display: &display, rect, rows });
                    }
                    x = end;
                }
            }
        });
        Some(picture)
    }

    /// Takes back the memory of a picture that is not wanted any more.
    pub fn withdraw_picture(&mut self) -> Option<Vec<u8>> {
        self.ahead.picture.take().map(|(_, memory)| memory)
    }

    /// Frames that pass through or blend ghost zones wait until they are finished, as those do whose camera was guessed.
    pub(super) fn merges_ahead(&self) -> bool {
        self.frame.is_some_and(|frame| frame.accumulates() && !frame.blend_ghosts) && self.guess.tiles().is_none()
    }

    /// The pixels of a tile that nothing of its neighbours has a part in, if they may be merged before the frame is finished.
    pub(super) fn inner_pixels(&self, tile: u32) -> Option<Rect> {
        let rect = inner_blocks(self.tiles[tile as usize].plan().rect, self.extent, self.ahead.reach);
        (self.merges_ahead() && !rect.is_empty()).then_some(rect)
    }

    /// Merges what can be once rows of a tile are whole: of them, and of what is beside them.
    pub(super) fn merge_ahead(&mut self, tile: u32) {
        if !self.merges_ahead() {
            return;
        }
        let Rect { x, width, .. } = self.tiles[tile as usize].plan().rect;
        while let Some(rows) = self.tiles[tile as usize].next_whole_rows() {
            let rect = Rect::new(x, rows.start, width, rows.end - rows.start);
            self.ahead.note(rect);
            self.merge_ready(self.ahead.around(rect));
        }
    }

    /// Merges the blocks of `within` (in blocks) that wait for nothing more.
    fn merge_ready(&mut self, within: Rect) {
        for y in within.y..within.bottom() {
            let mut x = within.x;
            while x < within.right() {
                if self.ahead.is_ready(x, y) {
                    let part = self.ahead.ready_from((x, y), within);
                    self.merge_rect(part, Incoming::default());
                    x = blocks(part).right();
                } else {
                    x += 1;
                }
            }
        }
    }

    /// Something comes of a tile, `rect` in a plane's own pixels: what was prepared there is not what they are.
    pub(super) fn take_back(&mut self, tile: u32, rect: Rect, scale: u8) {
        if self.ahead.has_prepared {
            let core = self.tiles[tile as usize].plan().rect;
            let [x, y, width, height] = [rect.x, rect.y, rect.width, rect.height].map(|side| side * u32::from(scale));
            self.ahead.take_back(core.intersection(Rect::new(x, y, width, height)));
        }
    }

    /// Nothing that was prepared counts.
    pub(super) fn take_back_all(&mut self) {
        if self.ahead.has_prepared {
            self.ahead.take_back(self.extent.rect());
        }
    }

    /// Merges whole blocks of which all came, and composes them where that is asked for.
    fn merge_rect(&mut self, rect: Rect, incoming: Incoming<'_>) {
        let Some(frame) = self.frame else { return };
        let (inputs, outputs) = self.parts(&frame, &[]);
        resolve::merge_blocks(&inputs, outputs, Only { rect, is_missing: false, incoming });
        self.ahead.merged_pixels += rect.pixels();
        let stage = self.compose_rect(&frame, rect);
        self.ahead.set(rect, stage);
    }

    /// Composes blocks that are merged, where that is asked for; gives back how far they are.
    pub(super) fn compose_rect(&mut self, frame: &OpenFrame, rect: Rect) -> Stage {
        // Of layers that are due later something is still to come, or history is filled.
        if self.ahead.is_behind || self.layers.iter().any(|layer| layer.request.is_some() && layer.is_later) {
            return Stage::Merged;
        }
        let Some((display, picture)) = &mut self.ahead.picture else { return Stage::Merged };
        let light = light(frame, self.extent, &self.planes, &self.layers);
        let row_bytes = self.extent.width as usize * display.format.bytes_per_pixel();
        let rows = &mut picture[rect.y as usize * row_bytes..rect.bottom() as usize * row_bytes];
        dispatch(Compose { light: &light, display, rect, rows });
        Stage::Composed
    }

    /// Takes a tile of which everything comes at once, and merges `inner` of it, a few rows at a time: they are still near
    /// when they are merged.
    pub(super) fn place_and_merge(&mut self, tile: u32, traced: &TracedTile, inner: Rect) -> Added {
        self.take_back(tile, traced.rect, 1);
        let (core, extent) = (self.tiles[tile as usize].plan().rect, self.extent);
        let rows = |first: u32, end: u32| Rect::new(core.x, first, core.width, end - first);
        let incoming = Incoming::of(traced);
        let (mut placed, mut merged) = (core.y, inner.y);
        while placed < core.bottom() {
            let end = ((placed / ROWS + 1) * ROWS).min(core.bottom());
            let part = rows(placed, end);
            for layer in &traced.layers {
                let scale = u32::from(layer.scale);
                let buffers = &mut self.layers[layer.kind as usize];
                let mut place = |part| buffers.write_part((core, part), layer.rect, &layer.pixels, extent, scale);
                if scale == 1 && inner.contains(inner.x, placed) {
                    // What is merged now is read where it came.
                    let edge = |x: u32, right: u32| Rect { x, width: right - x, ..part };
                    place(edge(part.x, inner.x));
                    place(edge(inner.right(), part.right()));
                } else {
                    // A row of blocks that two parts have is placed with each of them: the same pixels.
                    place(part);
                }
            }
            if let Some(primary) = &traced.primary {
                for plane in PlaneKind::PRIMARY {
                    write_primary(&mut self.planes, plane, extent, part, traced.rect, primary_words(primary, plane));
                }
            }
            placed = end;
            // Where blocks depend on each other what is merged looks at rows of those below it.
            let ready = (placed / ROWS).saturating_sub(self.ahead.reach) * ROWS;
            let ready = if placed == core.bottom() { inner.bottom() } else { ready.min(inner.bottom()) };
            if ready > merged {
                self.merge_rect(Rect::new(inner.x, merged, inner.width, ready - merged), incoming);
                merged = ready;
            }
        }
        let state = &mut self.tiles[tile as usize];
        for layer in &traced.layers {
            state.note(PlaneKind::Layer(layer.kind), layer.rect);
        }
        for plane in PlaneKind::PRIMARY.into_iter().filter(|_| traced.primary.is_some()) {
            state.note(plane, traced.rect);
        }
        Added::Stored { tile_complete: state.is_complete() }
    }
}

/// What a frame's picture is composed of.
fn light<'a>(frame: &OpenFrame, extent: Extent, planes: &'a Primary, layers: &'a [LayerBuffers; LAYERS]) -> Light<'a> {
    let layers = layers.each_ref().map(|layer| layer.request.map(|_| layer.current.as_slice()));
    Light { extent, camera: frame.camera, pre_exposure: frame.pre_exposure, planes, layers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_ready_once_all_around_it_came_and_is_merged_once() {
        let extent = Extent::new(37, 20);
        let mut ahead = Ahead::default();
        ahead.begin(extent, true);
        ahead.note(Rect::new(0, 0, 21, 20));
        let ready = |ahead: &Ahead| -> Vec<(u32, u32)> {
            (0..3).flat_map(|y| (0..5).map(move |x| (x, y))).filter(|(x, y)| ahead.is_ready(*x, *y)).collect()
        };
        assert_eq!(ready(&ahead), [(0, 0), (0, 1), (0, 2)], "block 2 is cut");
        let part = ahead.ready_from((0, 0), ahead.around(Rect::new(0, 0, 21, 20)));
        assert_eq!(part, Rect::new(0, 0, 8, 20));
        ahead.set(part, Stage::Merged);
        ahead.note(Rect::new(21, 0, 16, 20));
        assert_eq!(ready(&ahead).len(), 12);
        let part = ahead.ready_from((1, 0), ahead.around(Rect::new(21, 0, 16, 20)));
        assert_eq!(part, Rect::new(8, 0, 29, 20));
        ahead.set(part, Stage::Composed);
        assert!(ready(&ahead).is_empty());
    }
}
