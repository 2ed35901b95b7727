//! Blocks of pixels in which something may be filled: those that have pixels of which nothing is known, and known ones in reach.

use std::ops::Range;

use super::{ahead::Stage, change::SIDE};
use crate::{
    Extent, Workers,
    workers::{BAND_ROWS, for_each},
};

/// Some pixel of a block is known.
const KNOWN: u8 = 1;
/// Nothing is known of some pixel of a block.
const UNKNOWN: u8 = 2;

/// Where known pixels are looked for around one that is not, so many pixels far.
#[derive(Clone, Copy)]
pub(super) enum Reach {
    /// Anywhere.
    Square(usize),
    /// In its row and its column.
    Cross(usize),
}

/// Found anew for each frame; kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    width: usize,
    columns: usize,
    /// What a pixel has of which nothing is known.
    unknown: u8,
    /// Of each block [`KNOWN`], [`UNKNOWN`] or both.
    has: Vec<u8>,
    /// Of each block how many blocks away the nearest known pixel is that is in reach of its own; [`NONE`] where there is none, or
    /// nothing to fill.
    away: Vec<u8>,
}

/// No known pixel is in reach.
const NONE: u8 = u8::MAX;

impl Blocks {
    /// Looks at all pixels, but for those of blocks that were merged ahead, of which all is known: of each block's stage, or none.
    /// False when nothing can be filled.
    pub(super) fn find(
        &mut self,
        (pixels, stages): (&[u8], &[Stage]),
        unknown: u8,
        extent: Extent,
        reach: Reach,
        workers: &dyn Workers,
    ) -> bool {
        self.width = extent.width as usize;
        self.columns = self.width.div_ceil(SIDE);
        self.unknown = unknown;
        let (width, columns) = (self.width, self.columns);
        let rows = (extent.height as usize).div_ceil(SIDE);
        self.has.clear();
        self.has.extend(stages.iter().map(|stage| if stage.may_have_holes() { 0 } else { KNOWN }));
        self.has.resize(rows * columns, 0);
        self.away.resize(rows * columns, NONE);
        // Of each band's rows of blocks.
        let part = BAND_ROWS / SIDE * columns;
        let bands = self.has.chunks_mut(part).zip(pixels.chunks(BAND_ROWS * width)).enumerate();
        for_each(workers, bands, |(index, (has, pixels))| {
            for (y, row) in pixels.chunks(width).enumerate() {
                let first = y / SIDE * columns;
                let (has, stages) = (&mut has[first..][..columns], stages.get(index * part + first..));
                for (x, (has, eight)) in has.iter_mut().zip(row.chunks(SIDE)).enumerate() {
                    if stages.is_some_and(|stages| stages.get(x).is_some_and(|stage| !stage.may_have_holes())) {
                        continue;
                    }
                    let known = eight.iter().filter(|pixel| **pixel != unknown).count();
                    *has |= (u8::from(known > 0) * KNOWN) | (u8::from(known < eight.len()) * UNKNOWN);
                }
            }
        });
        let all = &self.has;
        let is_known = |y: usize, x: usize| all[y * columns + x] & KNOWN != 0;
        for_each(workers, self.away.chunks_mut(part).enumerate(), |(index, away)| {
            for (at, away) in (index * part..).zip(away) {
                let (x, y) = (at % columns, at / columns);
                let around = |at: usize, reach: usize, count: usize| {
                    let blocks = reach.div_ceil(SIDE);
                    at.saturating_sub(blocks)..(at + blocks + 1).min(count)
                };
                let nearest = match reach {
                    _ if all[at] & UNKNOWN == 0 => None,
                    Reach::Square(reach) => {
                        let known = around(y, reach, rows).flat_map(|there| {
                            let known = around(x, reach, columns).filter(move |x| is_known(there, *x));
                            known.map(move |known| known.abs_diff(x).max(there.abs_diff(y)))
                        });
                        known.min()
                    }
                    Reach::Cross(reach) => {
                        let across =
                            around(x, reach, columns).filter(|x| is_known(y, *x)).map(|known| known.abs_diff(x));
                        let down = around(y, reach, rows).filter(|y| is_known(*y, x)).map(|known| known.abs_diff(y));
                        across.chain(down).min()
                    }
                };
                *away = nearest.map_or(NONE, |blocks| u8::try_from(blocks).unwrap_or(NONE));
            }
        });
        self.away.iter().any(|away| *away != NONE)
    }

    /// How far a pixel that may be filled is at least from the nearest known one, in pixels across or down, whichever is more.
    pub(super) fn least_away(&self, x: usize, y: usize) -> usize {
        usize::from(self.away[y / SIDE * self.columns + x / SIDE]).saturating_sub(1) * SIDE + 1
    }

    /// Columns of a row's pixels that something may fill; `pixels` are those that were looked at.
    pub(super) fn holes<'a>(
        &'a self,
        pixels: &'a [u8],
        y: usize,
        columns: Range<usize>,
    ) -> impl Iterator<Item = usize> + 'a {
        let Range { start, end } = columns;
        (start / SIDE..end.div_ceil(SIDE))
            .filter(move |block| self.away[y / SIDE * self.columns + block] != NONE)
            .flat_map(move |block| (block * SIDE).max(start)..((block + 1) * SIDE).min(end))
            .filter(move |x| pixels[y * self.width + x] == self.unknown)
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.has.capacity() + self.away.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Inline;

    #[test]
    fn all_pixels_that_have_a_known_one_in_reach_are_looked_at() {
        let extent = Extent::new(83, 61);
        let (width, height) = (83, 61);
        for known in [(0, 0), (40, 30), (82, 60), (7, 56)] {
            let mut pixels = vec![0; extent.pixels()];
            pixels[known.1 * width + known.0] = 3;
            for reach in [Reach::Square(1), Reach::Square(13), Reach::Cross(8), Reach::Cross(20)] {
                let mut blocks = Blocks::default();
                assert!(blocks.find((&pixels, &[]), 0, extent, reach, &Inline));
                let mut holes = 0;
                for y in 0..height {
                    let found: Vec<usize> = blocks.holes(&pixels, y, 3..width).collect();
                    holes += found.len();
                    for x in (3..width).filter(|x| (*x, y) != known) {
                        let (across, down) = (x.abs_diff(known.0), y.abs_diff(known.1));
                        let is_near = match reach {
                            Reach::Square(reach) => across.max(down) <= reach,
                            Reach::Cross(reach) => across.min(down) == 0 && across.max(down) <= reach,
                        };
                        assert!(!is_near || found.contains(&x), "{x}, {y} beside {known:?}");
                        let least = found.contains(&x).then(|| blocks.least_away(x, y));
                        assert!(least.is_none_or(|least| least <= across.max(down)), "{x}, {y} beside {known:?}");
                    }
                    assert!((y, known.0) != (known.1, 40) || !found.contains(&40), "it is known itself");
                }
                assert!(holes < extent.pixels() / 2, "{holes} of {} pixels", extent.pixels());
            }
        }
    }

    #[test]
    fn nothing_is_filled_where_all_or_nothing_is_known() {
        let extent = Extent::new(20, 9);
        for pixel in [0, 1] {
            let pixels = vec![pixel; extent.pixels()];
            assert!(!Blocks::default().find((&pixels, &[]), 0, extent, Reach::Square(34), &Inline));
        }
    }
}
