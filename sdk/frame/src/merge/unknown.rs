//! Parts of a finished frame of which nothing is known, so that somebody may be asked for them alone, and what comes of these.

use super::{MergedFrame, Merger, PlannedTile, lies_in};
use crate::{Extent, FrameError, Rect};

/// A side of the blocks that parts consist of, in pixels; they lie on the view's grid, cut at tiles' borders.
const SIDE: u32 = 16;
/// The longest side of a part, in pixels.
const LONGEST: u32 = 64;
/// Fewer pixels of a block than this are left to their neighbours.
const FEWEST: u32 = 4;
/// The most parts that are told of one frame, and taken for one.
pub const MAX_UNKNOWN_PARTS: usize = 64;

/// A part of a frame of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPart {
    /// Its pixels: within one tile.
    pub rect: Rect,
    /// Those of which nothing is known.
    pub unknown: u32,
}

impl MergedFrame<'_> {
    /// Where pixels have neither a sample nor history: what came into view while its tile was missing, and tiles that never came. Their
    /// light is their neighbours' until something comes. Parts don't overlap; those with the most such pixels come first, at most
    /// [`MAX_UNKNOWN_PARTS`]. Layers that are due later than their frames are not looked at.
    pub fn unknown_parts(&self) -> Vec<UnknownPart> {
        if self.fresh_pixels == self.extent.pixels() {
            return Vec::new();
        }
        let missing = self.tiles.iter().filter(|tile| tile.age > 0);
        let mut parts: Vec<UnknownPart> = missing.flat_map(|tile| self.unknown_parts_of(tile.rect)).collect();
        // Equals stay in the order of their tiles, rows and columns.
        parts.sort_by_key(|part| std::cmp::Reverse(part.unknown));
        parts.truncate(MAX_UNKNOWN_PARTS);
        parts
    }

    /// Blocks next to each other are one part: in rows first, and then those as wide below each other.
    fn unknown_parts_of(&self, tile: Rect) -> Vec<UnknownPart> {
        let mut parts: Vec<UnknownPart> = Vec::new();
        for (top, bottom) in grid(tile.y, tile.bottom()) {
            let mut row: Vec<UnknownPart> = Vec::new();
            for (left, right) in grid(tile.x, tile.right()) {
                let rect = Rect::new(left, top, right - left, bottom - top);
                let unknown = self.unknown_pixels(rect);
                if unknown < FEWEST.min(rect.pixels() as u32) {
                    continue;
                }
                match row.last_mut() {
                    Some(last) if last.rect.right() == left && last.rect.width + rect.width <= LONGEST => {
                        last.rect.width += rect.width;
                        last.unknown += unknown;
                    }
                    _ => row.push(UnknownPart { rect, unknown }),
                }
            }
            for UnknownPart { rect, unknown } in row {
                // The newest come last, and those that began higher are too long already.
                let near = parts.iter_mut().rev().take_while(|part| part.rect.y + LONGEST >= rect.bottom());
                let mut fitting = near
                    .filter(|part| (part.rect.x, part.rect.width, part.rect.bottom()) == (rect.x, rect.width, rect.y));
                match fitting.next() {
                    Some(part) => {
                        part.rect.height += rect.height;
                        part.unknown += unknown;
                    }
                    None => parts.push(UnknownPart { rect, unknown }),
                }
            }
        }
        parts
    }

    fn unknown_pixels(&self, rect: Rect) -> u32 {
        let row = |y: u32| {
            let first = (y * self.extent.width + rect.x) as usize;
            self.lengths[first..first + rect.width as usize].iter().filter(|length| **length == 0).count() as u32
        };
        (rect.y..rect.bottom()).map(row).sum()
    }
}

/// Begins and ends of the grid's blocks in a tile.
fn grid(first: u32, end: u32) -> impl Iterator<Item = (u32, u32)> + Clone {
    let blocks = first / SIDE..end.div_ceil(SIDE);
    blocks.map(move |block| ((block * SIDE).max(first), ((block + 1) * SIDE).min(end)))
}

impl Merger {
    /// Parts of a finished frame are asked for again, each traced with `ghost` pixels around it: what comes of them is a late result, as
    /// that of the frame's own tiles. They are numbered on from those, and from what was added before; the number of the first. `None`
    /// where what comes of the frame does not count any more.
    ///
    /// # Errors
    /// Parts that are empty or leave the view, more than [`MAX_UNKNOWN_PARTS`] of a frame, and a frame that is open: what is asked of it is
    /// in its plan.
    pub fn add_parts(&mut self, frame_id: u64, parts: &[Rect], ghost: u32) -> Result<Option<u32>, FrameError> {
        if self.open_frame() == Some(frame_id) {
            return Err(FrameError::Plan(format!(
                "parts of frame {frame_id}, which is open; they are for finished frames"
            )));
        }
        check_parts(self.extent, parts)?;
        let Some(frame) = self.late.position(frame_id) else { return Ok(None) };
        let parts = parts.iter().map(|rect| PlannedTile { rect: *rect, ghost });
        self.late.add_parts(frame, parts).map(Some)
    }
}

fn check_parts(extent: Extent, parts: &[Rect]) -> Result<(), FrameError> {
    for rect in parts {
        if rect.is_empty() || !lies_in(*rect, extent) {
            return Err(FrameError::Plan(format!("a part {rect:?} that is empty or leaves the view of {extent:?}")));
        }
    }
    Ok(())
}
