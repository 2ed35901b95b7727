//! Ghost zones blended across tile borders, for lossy or filtered layers; by default they are discarded.
//!
//! A pixel of one tile's core that lies in another's ghost zone is mixed with what that tile traced there: half and half
//! at the border, falling to nothing at the ghost zone's end. The order of arrival does not matter.

use super::tile::TileState;
use crate::{LayerKind, PlaneKind, Rect, simd::Half4};

/// Pixels that a tile traced outside of its core, of layers at full resolution.
#[derive(Debug, Default)]
pub(super) struct GhostPixels {
    strips: Vec<Strip>,
    pool: Vec<[u16; 4]>,
}

#[derive(Clone, Copy, Debug)]
struct Strip {
    tile: u32,
    layer: LayerKind,
    rect: Rect,
    /// Index of the first pixel in the pool.
    first: usize,
}

impl GhostPixels {
    pub(super) fn clear(&mut self) {
        self.strips.clear();
        self.pool.clear();
    }

    /// Keeps the part of `rect` outside of `core`, as up to four strips.
    pub(super) fn keep(&mut self, tile: u32, layer: LayerKind, core: Rect, rect: Rect, pixels: &[[u16; 4]]) {
        let (right, bottom) = (rect.x + rect.width, rect.y + rect.height);
        let middle = Rect::new(rect.x, core.y.max(rect.y), rect.width, 0);
        let middle = Rect { height: core.bottom().min(bottom).saturating_sub(middle.y), ..middle };
        let strips = [
            Rect::new(rect.x, rect.y, rect.width, core.y.min(bottom).saturating_sub(rect.y)),
            Rect { width: core.x.min(right).saturating_sub(rect.x), ..middle },
            Rect { x: core.right().max(rect.x), width: right.saturating_sub(core.right().max(rect.x)), ..middle },
            Rect::new(rect.x, core.bottom().max(rect.y), rect.width, bottom.saturating_sub(core.bottom().max(rect.y))),
        ];
        for strip in strips.into_iter().filter(|s| !s.is_empty()) {
            self.strips.push(Strip { tile, layer, rect: strip, first: self.pool.len() });
            for y in strip.y..strip.bottom() {
                let start = (y - rect.y) as usize * rect.width as usize + (strip.x - rect.x) as usize;
                self.pool.extend_from_slice(&pixels[start..start + strip.width as usize]);
            }
        }
    }

    /// Ready for [`GhostPixels::blend_row`], in an order that does not depend on that of arrival.
    pub(super) fn sort(&mut self) {
        // No two strips of a tile and layer begin at the same pixel.
        self.strips.sort_unstable_by_key(|s| (s.tile, s.layer as usize, s.rect.y, s.rect.x));
    }

    /// Mixes all strips into row `y` of `layer`, of which `pixels` holds the whole view's width.
    #[inline(always)]
    pub(super) fn blend_row<H: Half4>(&self, layer: LayerKind, y: u32, tiles: &[TileState], pixels: &mut [[u16; 4]]) {
        let of_row = |s: &&Strip| s.layer == layer && (s.rect.y..s.rect.bottom()).contains(&y);
        for strip in self.strips.iter().filter(of_row) {
            let source = tiles[strip.tile as usize].plan();
            for owner in tiles {
                let part = owner.plan().rect.intersection(strip.rect);
                if !(part.y..part.y + part.height).contains(&y) || !owner.has_row(PlaneKind::Layer(layer), y) {
                    continue;
                }
                for x in part.x..part.right() {
                    let at = &mut pixels[x as usize];
                    let ghost = (y - strip.rect.y) as usize * strip.rect.width as usize + (x - strip.rect.x) as usize;
                    let other = H::load(self.pool[strip.first + ghost]);
                    let own = H::load(*at);
                    *at = H::store(own + (other - own) * share(source.rect, source.ghost, x, y));
                }
            }
        }
    }
}

/// How much of a pixel outside of `core` comes from that tile's ghost zone.
fn share(core: Rect, ghost: u32, x: u32, y: u32) -> f32 {
    let dx = core.x.saturating_sub(x).max((x + 1).saturating_sub(core.right()));
    let dy = core.y.saturating_sub(y).max((y + 1).saturating_sub(core.bottom()));
    let distance = dx.max(dy) as f32 - 0.5;
    0.5 * (1.0 - distance / ghost as f32).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_both_sides_of_a_border_meet_at_one_half() {
        let core = Rect::new(10, 10, 10, 10);
        assert_eq!(share(core, 4, 9, 12), 0.4375);
        assert_eq!(share(core, 4, 20, 12), 0.4375);
        assert_eq!(share(core, 4, 6, 12), 0.0625);
        assert_eq!(share(core, 4, 12, 23), 0.0625);
    }

    #[test]
    fn strips_are_all_that_lies_outside_of_the_core() {
        let core = Rect::new(2, 2, 4, 4);
        for rect in [
            Rect::new(0, 0, 8, 8),
            Rect::new(0, 0, 8, 1),
            Rect::new(0, 3, 8, 2),
            Rect::new(2, 2, 4, 4),
            Rect::new(6, 0, 2, 8),
        ] {
            let mut ghosts = GhostPixels::default();
            ghosts.keep(0, LayerKind::Direct, core, rect, &vec![[0; 4]; rect.pixels()]);
            assert_eq!(ghosts.pool.len(), rect.pixels() - rect.intersection(core).pixels(), "{rect:?}");
        }
    }
}
