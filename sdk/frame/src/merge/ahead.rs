//! What is merged, and composed, before its frame is finished: blocks of pixels of which everything came, and of all around them.
//!
//! **Such a block's bits are the same now and when the frame is finished**: neither limits of history nor upsampled light there depend
//! on anything else. What comes late is folded in when the frame is finished; blocks that it reaches are composed again.

use std::ops::Range;

use super::{Merger, OpenFrame, change::SIDE, layer::LayerBuffers, ready::Ready, resolve::LAYERS};
use crate::{
    Extent, Primary, Rect, Workers,
    compose::{Compose, Display, Light},
    simd::dispatch,
    workers::{BAND_ROWS, for_each},
};

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
    pub(super) reach: u32,
    /// Pixels of each block that lie in tiles of which everything came.
    came: Vec<u8>,
    stages: Vec<Stage>,
    /// Pixels that are merged, of which something came.
    pub(super) merged_pixels: usize,
    /// Some blocks are made from history alone, of which nothing came so far.
    pub(super) has_prepared: bool,
    pub(super) picture: Option<(Display, Vec<u8>)>,
    pub(super) ready: Ready,
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
        self.ready.begin(rows);
    }

    /// Of all blocks.
    pub(super) fn stages(&mut self) -> &mut [Stage] {
        &mut self.stages
    }

    /// Bytes that it holds; the picture's memory is lent.
    pub(super) fn held_bytes(&self) -> usize {
        self.came.capacity() + self.stages.capacity() * size_of::<Stage>() + self.ready.held_bytes()
    }

    /// All came of these pixels.
    pub(super) fn note(&mut self, rect: Rect) {
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
    pub(super) fn take_back(&mut self, rect: Rect) {
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
    pub(super) fn around(&self, rect: Rect) -> Rect {
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

    /// Pixels of a row's blocks from one on that are ready, those before column `end`; `None` where that block isn't.
    pub(super) fn ready_from(&self, (x, y): (u32, u32), end: u32) -> Option<Rect> {
        let right = (x..end).find(|x| !self.is_ready(*x, y)).unwrap_or(end);
        let rect = Rect::new(x * ROWS, y * ROWS, (right - x) * ROWS, ROWS).intersection(self.extent.rect());
        (right > x).then_some(rect)
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
}

/// What a frame's picture is composed of.
pub(super) fn light<'a>(
    frame: &OpenFrame,
    extent: Extent,
    planes: &'a Primary,
    layers: &'a [LayerBuffers; LAYERS],
) -> Light<'a> {
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
        let part = ahead.ready_from((0, 2), 5).unwrap();
        assert_eq!(part, Rect::new(0, 16, 8, 4));
        ahead.set(Rect::new(0, 0, 8, 20), Stage::Merged);
        assert_eq!(ahead.ready_from((0, 2), 5), None);
        ahead.note(Rect::new(21, 0, 16, 20));
        assert_eq!(ready(&ahead).len(), 12);
        assert_eq!(ahead.ready_from((1, 0), 3), Some(Rect::new(8, 0, 16, 8)));
        assert_eq!(ahead.ready_from((1, 0), 5), Some(Rect::new(8, 0, 29, 8)));
        ahead.set(Rect::new(8, 0, 29, 20), Stage::Composed);
        assert!(ready(&ahead).is_empty());
    }
}
