//! Which parts of a view nobody was at in the last frames: they come first, so that of what is never done in time all has its turn.

use rayloom_frame::{Extent, Rect};

/// Side of the blocks that are told apart, in pixels.
const SIDE: u32 = 8;

/// For how many frames in a row each block was passed over.
#[derive(Debug, Default)]
pub(crate) struct PassedOver {
    extent: Extent,
    /// None while nothing was passed over.
    frames: Vec<u16>,
}

impl PassedOver {
    /// A frame expired before anybody was at these pixels.
    pub(crate) fn note(&mut self, extent: Extent, rect: Rect) {
        if self.extent != extent {
            (self.extent, self.frames) = (extent, Vec::new());
        }
        self.frames.resize(extent.scaled(SIDE).pixels(), 0);
        self.rows(rect).for_each(|frames| frames.iter_mut().for_each(|frames| *frames = frames.saturating_add(1)));
    }

    /// Something came of these pixels, late as it may be.
    pub(crate) fn note_traced(&mut self, rect: Rect) {
        self.rows(rect).for_each(|frames| frames.fill(0));
    }

    /// A frame was done in time.
    pub(crate) fn clear(&mut self) {
        self.frames.clear();
    }

    /// For how many frames some of these pixels were passed over.
    pub(crate) fn most(&mut self, rect: Rect) -> u16 {
        self.rows(rect).flat_map(|frames| frames.iter().copied()).max().unwrap_or(0)
    }

    /// The blocks of a tile, row by row: those whose top left pixel is its own, so that each is one tile's.
    fn rows(&mut self, rect: Rect) -> impl Iterator<Item = &mut [u16]> {
        let blocks = self.extent.scaled(SIDE);
        let (left, top) = (rect.x.div_ceil(SIDE), rect.y.div_ceil(SIDE));
        let right = rect.right().div_ceil(SIDE).min(blocks.width).max(left);
        let bottom = rect.bottom().div_ceil(SIDE).max(top);
        let rows = self.frames.chunks_mut(blocks.width.max(1) as usize);
        rows.take(bottom as usize).skip(top as usize).filter_map(move |row| row.get_mut(left as usize..right as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_passed_over_until_something_of_them_comes() {
        let (extent, mut passed) = (Extent::new(100, 50), PassedOver::default());
        let (left, right) = (Rect::new(0, 0, 40, 50), Rect::new(40, 0, 60, 50));
        assert_eq!(passed.most(left), 0);
        passed.note(extent, left);
        passed.note(extent, left);
        passed.note(extent, right);
        assert_eq!((passed.most(left), passed.most(right), passed.most(extent.rect())), (2, 1, 2));
        passed.note_traced(Rect::new(0, 0, 40, 20));
        assert_eq!((passed.most(left), passed.most(Rect::new(0, 0, 40, 20))), (2, 0), "below it nothing came");
        passed.note_traced(left);
        assert_eq!((passed.most(left), passed.most(right)), (0, 1));
        passed.note(Extent::new(16, 16), Rect::new(0, 0, 16, 16));
        assert_eq!(passed.most(Rect::new(0, 0, 16, 16)), 1, "of another view nothing is known");
        passed.clear();
        assert_eq!(passed.most(Rect::new(0, 0, 16, 16)), 0);
    }
}
