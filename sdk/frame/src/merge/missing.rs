//! What has not come, made from history ahead of the frame's end, as if nothing of it would: by who has nothing else to do.
//!
//! **Such blocks may be made anew**: they show the last frame alone, and nothing reads what was made of them. What comes of them after
//! all takes their place, as if they had never been made; where it never does they are what the end of the frame would make of them.

use super::{
    Merger, OpenFrame,
    ahead::{ROWS, Stage},
    bands::Only,
    change::inner_blocks,
    layer::LayerBuffers,
    resolve,
};
use crate::{Inline, LayerKind, Rect};

/// What was prepared of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Pixels that were made.
    pub pixels: usize,
    /// There may be more to do.
    pub may_go_on: bool,
}

impl Merger {
    /// Makes pixels of a tile (its index in the plan) from history of which nothing has come, as [`Merger::finish`] does, which then has
    /// nothing left to do for them; composes them too where [`Merger::compose_ahead`] asked for that. It is for the time in which a caller
    /// would only wait, and made for tiles that are not expected any more: the work is for nothing where they come after all, and the
    /// frame the same.
    ///
    /// At most about `pixels` pixels are made, but one row of blocks of 8 x 8 at least, so that what arrives meanwhile need not wait long.
    /// Each row has its turn once in a frame; rows of which something has come are passed over. Nothing is made without an open frame or
    /// history; of tiles that the frame does not have; where frames pass through or blend ghost zones, where their camera was guessed,
    /// where paths are traced, whose sums are kept; and where hits come with tiles, while hits that came late wait, which may stand for
    /// those that are missing, or layers are due later.
    pub fn prepare_missing(&mut self, tile: u32, pixels: usize) -> Prepared {
        let none = Prepared { pixels: 0, may_go_on: false };
        let Some(frame) = self.frame.filter(|frame| self.open_frame() == Some(frame.id)) else { return none };
        let Some(state) = self.tiles[..self.tile_count].get(tile as usize) else { return none };
        let asked = |layer: &LayerBuffers| layer.request.is_some();
        let may_show_else = self.late.has_hits() || self.layers.iter().any(|layer| asked(layer) && layer.is_later);
        if state.is_complete()
            || !self.merges_ahead()
            || self.history.is_none()
            || asked(&self.layers[LayerKind::Path as usize])
            || may_show_else && !state.has_planes()
        {
            return none;
        }
        let within = inner_blocks(state.plan().rect, self.extent, 0);
        if within.is_empty() {
            return none;
        }
        let rows = (pixels / (within.width * ROWS) as usize).clamp(1, within.height as usize) as u32 * ROWS;
        let rows = self.tiles[tile as usize].next_to_prepare(within.y, within.bottom(), rows);
        let mut made = 0;
        for y in rows.clone().step_by(ROWS as usize) {
            let part = Rect::new(within.x, y, within.width, ROWS.min(rows.end - y));
            if self.tiles[tile as usize].has_nothing_of(part) {
                self.prepare(&frame, part);
                made += part.pixels();
            }
        }
        Prepared { pixels: made, may_go_on: rows.end < within.bottom() }
    }

    /// Tiles of the open frame (their indices in the plan) of which something that is due is missing, and their own pixels.
    pub fn missing_tiles(&self) -> impl Iterator<Item = (u32, Rect)> {
        let tiles = if self.open_frame().is_some() { self.arrived_tiles() } else { &[] };
        (0..).zip(tiles).filter(|(_, state)| !state.is_complete()).map(|(index, state)| (index, state.plan().rect))
    }

    /// Makes a row of blocks.
    fn prepare(&mut self, frame: &OpenFrame, part: Rect) {
        self.take_offsets(frame);
        let (inputs, mut outputs) = self.parts(frame, &[]);
        if !inputs.tiles.iter().any(|tile| tile.has_planes()) {
            resolve::warp_blocks(&inputs, &mut outputs, part);
        }
        resolve::merge_blocks(&inputs, outputs, &[part], Only::Missing, &Inline);
        self.ahead.has_prepared = true;
        let mut x = part.x;
        while x < part.right() {
            let has_holes = self.has_holes(part, x);
            let end = (x..part.right()).step_by(ROWS as usize).find(|x| self.has_holes(part, *x) != has_holes);
            let end = end.unwrap_or(part.right());
            let alike = Rect::new(x, part.y, end - x, part.height);
            let stage = if has_holes { Stage::Holed } else { self.compose_parts(frame, &[alike], &Inline) };
            self.ahead.set(alike, stage);
            x = end;
        }
    }

    /// Whether nothing is known of some pixel of the block at column `x` of a row of blocks.
    fn has_holes(&self, row: Rect, x: u32) -> bool {
        let columns = x as usize..(x + ROWS).min(row.right()) as usize;
        let width = self.extent.width as usize;
        let mut rows = self.lengths[row.y as usize * width..row.bottom() as usize * width].chunks(width);
        rows.any(|lengths| lengths[columns.clone()].contains(&0))
    }
}
