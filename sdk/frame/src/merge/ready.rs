//! Blocks of which everything came, merged before their frame is finished: at once, or by all threads when there is time.

use std::ops::Range;

use super::{
    Added, Merger, OpenFrame,
    ahead::{ROWS, Stage, light},
    arrivals::write_primary,
    bands::{Incoming, Only, bands_of, take},
    change::inner_blocks,
    resolve,
};
use crate::{
    Inline, PlaneKind, Rect, TracedTile, Workers, codec::primary_words, compose::Compose, simd::dispatch,
    workers::for_each,
};

/// Fewer pixels are not worth waking threads for: what one merges in about a millisecond.
const FEWEST_SHARED_PIXELS: usize = 32_768;

/// Where blocks may have become ready that are not merged.
#[derive(Default)]
pub(super) struct Ready {
    /// What comes is merged when the caller says so.
    is_left: bool,
    /// Columns of blocks, of each row of blocks.
    columns: Vec<Range<u32>>,
    /// The rows that have some.
    rows: Range<u32>,
    /// Memory for what is merged.
    parts: Vec<Rect>,
}

impl Ready {
    /// A frame begins.
    pub(super) fn begin(&mut self, rows: usize) {
        self.columns.clear();
        self.columns.resize(rows, 0..0);
        self.rows = 0..0;
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.columns.capacity() * size_of::<Range<u32>>() + self.parts.capacity() * size_of::<Rect>()
    }

    /// Some of these blocks may have become ready.
    fn note(&mut self, blocks: Rect) {
        let rows = blocks.y..blocks.bottom();
        for row in &mut self.columns[rows.start as usize..rows.end as usize] {
            *row = joined(row, blocks.x..blocks.right());
        }
        self.rows = joined(&self.rows, rows);
    }
}

/// Both ranges and what lies between them.
fn joined(a: &Range<u32>, b: Range<u32>) -> Range<u32> {
    if a.is_empty() { b } else { a.start.min(b.start)..a.end.max(b.end) }
}

impl Merger {
    /// Whether what comes is only put in its place, and merged with [`Merger::merge_ready_with`] or when the frame is finished: for a caller
    /// who has more to add at hand, or threads for it. The frame is the same.
    pub fn set_behind(&mut self, is_behind: bool) {
        self.ahead.ready.is_left = is_behind;
    }

    /// Merges what came of the open frame and can be merged before all of it came, and composes it where [`Merger::compose_ahead`] asked for
    /// that: on these threads where it is much.
    pub fn merge_ready_with(&mut self, workers: &dyn Workers) {
        let Some(frame) = self.frame.filter(|_| !self.is_finished && self.merges_ahead()) else { return };
        let ready = &mut self.ahead.ready;
        let (rows, mut parts) = (std::mem::take(&mut ready.rows), std::mem::take(&mut ready.parts));
        parts.clear();
        for y in rows {
            let columns = std::mem::take(&mut self.ahead.ready.columns[y as usize]);
            let mut x = columns.start;
            while x < columns.end {
                x = match self.ahead.ready_from((x, y), columns.end) {
                    Some(part) => {
                        parts.push(part);
                        part.right().div_ceil(ROWS)
                    }
                    None => x + 1,
                };
            }
        }
        let pixels: usize = parts.iter().map(|part| part.pixels()).sum();
        let workers = if pixels < FEWEST_SHARED_PIXELS { &Inline } else { workers };
        self.merge_parts(&frame, &parts, None, workers);
        self.ahead.ready.parts = parts;
    }

    /// Frames that pass through or blend ghost zones wait until they are finished, as those do whose camera was guessed.
    pub(super) fn merges_ahead(&self) -> bool {
        self.frame.is_some_and(|frame| frame.accumulates() && !frame.blend_ghosts) && self.guess.tiles().is_none()
    }

    /// The open frame, and the pixels of a tile that nothing of its neighbours has a part in, if they are to be merged as they come.
    pub(super) fn inner_pixels(&self, tile: u32) -> Option<(OpenFrame, Rect)> {
        let frame = self.frame.filter(|_| self.merges_ahead() && !self.ahead.ready.is_left)?;
        let rect = inner_blocks(self.tiles[tile as usize].plan().rect, self.extent, self.ahead.reach);
        (!rect.is_empty()).then_some((frame, rect))
    }

    /// Rows of a tile may have become whole: what can be merged of them, and of what is beside them, is ready.
    pub(super) fn merge_ahead(&mut self, tile: u32) {
        if !self.merges_ahead() {
            return;
        }
        let Rect { x, width, .. } = self.tiles[tile as usize].plan().rect;
        while let Some(rows) = self.tiles[tile as usize].next_whole_rows() {
            let rect = Rect::new(x, rows.start, width, rows.end - rows.start);
            self.ahead.note(rect);
            let around = self.ahead.around(rect);
            self.ahead.ready.note(around);
        }
        if !self.ahead.ready.is_left {
            self.merge_ready_with(&Inline);
        }
    }

    /// Merges whole blocks of which all came, and composes them where that is asked for; parts as [`super::bands::Rows::take_parts`] takes
    /// them.
    fn merge_parts(&mut self, frame: &OpenFrame, parts: &[Rect], from: Option<Incoming<'_>>, workers: &dyn Workers) {
        let (inputs, outputs) = self.parts(frame, &[]);
        resolve::merge_blocks(&inputs, outputs, parts, Only::Whole(from), workers);
        let stage = self.compose_parts(frame, parts, workers);
        for part in parts {
            self.ahead.set(*part, stage);
        }
        self.ahead.merged_pixels += parts.iter().map(|part| part.pixels()).sum::<usize>();
    }

    /// Composes blocks that are merged, where that is asked for; gives back how far they are.
    pub(super) fn compose_parts(&mut self, frame: &OpenFrame, parts: &[Rect], workers: &dyn Workers) -> Stage {
        // Of layers that are due later something is still to come, or history is filled.
        if self.layers.iter().any(|layer| layer.request.is_some() && layer.is_later) {
            return Stage::Merged;
        }
        let Some((display, picture)) = &mut self.ahead.picture else { return Stage::Merged };
        let light = light(frame, self.extent, &self.planes, &self.layers);
        let row_bytes = self.extent.width as usize * display.format.bytes_per_pixel();
        let (mut left, mut next_row) = (picture.as_mut_slice(), 0);
        let bands = bands_of(parts).map(|(first_row, height, parts)| {
            take(&mut left, (first_row - next_row) * row_bytes);
            next_row = first_row + height;
            (take(&mut left, height * row_bytes), parts)
        });
        for_each(workers, bands, |(rows, parts)| {
            for rect in parts {
                dispatch(Compose { light: &light, display, rect: *rect, rows });
            }
        });
        Stage::Composed
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

    /// Takes a tile of which everything comes at once, and merges `inner` of it, a few rows at a time: they are still near
    /// when they are merged.
    pub(super) fn place_and_merge(&mut self, frame: &OpenFrame, tile: u32, traced: &TracedTile, inner: Rect) -> Added {
        self.take_back(tile, traced.rect, 1);
        let (core, extent) = (self.tiles[tile as usize].plan().rect, self.extent);
        let rows = |first: u32, end: u32| Rect::new(core.x, first, core.width, end - first);
        let incoming = Some(Incoming::of(traced));
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
                let part = Rect::new(inner.x, merged, inner.width, ready - merged);
                self.merge_parts(frame, &[part], incoming, &Inline);
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
