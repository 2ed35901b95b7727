//! What blocks of other sizes than 16 pixels would gain: cuts by finer and coarser maps of the same costs.

use super::Truth;
use crate::PeerId;
use crate::split::{Ground, Slot, Tree};
use crate::work_sum::{BLOCK_PX, WorkSum};
use rayloom_frame::{Extent, Rect};

/// Blocks in a row of a fine block's side: costs are known for 16x16 pixels of a view this many times as large as the one that is cut,
/// 4x4 of its own.
pub const FINE: u32 = 4;
/// Times that weights are corrected for what ghost zones cost.
const REFINEMENTS: usize = 3;

/// How a view is cut for the comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct FineCut {
    /// Size of the view.
    pub extent: Extent,
    /// Of the peers.
    pub speeds: Vec<f64>,
    /// Of each peer.
    pub tiles: u32,
    /// Width of ghost zones in pixels.
    pub ghost_px: u32,
    /// Shortest side of a tile in pixels.
    pub min_side_px: u32,
}

impl FineCut {
    /// Longest over mean of the peers' times, where the view is cut by what `known` says of blocks of `block_px` (a power of two from 4
    /// on) and costs what `truth` says; both are of a view [`FINE`] times as large.
    pub fn max_over_mean(&self, known: &Truth, truth: &Truth, block_px: u32) -> f64 {
        // The cut is made in a view in which these blocks have 16 pixels.
        let times = (block_px * FINE / BLOCK_PX).max(1);
        let fine = Extent::new(self.extent.width * FINE, self.extent.height * FINE);
        let extent = Extent::new(fine.width.div_ceil(times), fine.height.div_ceil(times));
        let work = WorkSum::new(extent, &coarser(&known.ns_per_px, fine, times));
        let scaled = |px: u32| (px * FINE / times).max(1);
        let ground = Ground {
            work: &work,
            doubt: &work,
            extent,
            ghost_px: scaled(self.ghost_px),
            min_side_px: scaled(self.min_side_px),
        };
        let due: Vec<f64> = self.speeds.iter().map(|speed| speed / self.speeds.iter().sum::<f64>()).collect();
        let of_peer = |(peer, due): (usize, &f64)| {
            vec![Slot { peer: PeerId(peer as u32), weight: due / f64::from(self.tiles) }; self.tiles as usize]
        };
        let mut slots: Vec<Slot> = due.iter().enumerate().flat_map(of_peer).collect();
        let mut tree = Tree::build(&ground, &slots, None, 0.0);
        for _ in 1..REFINEMENTS {
            let mut held = vec![0.0; slots.len()];
            for (rect, slot) in tree.leaves(extent, ground.ghost_px, usize::MAX) {
                held[slot] = ground.known(rect).0;
            }
            let total: f64 = held.iter().sum();
            for (slot, held) in slots.iter_mut().zip(held) {
                let due = due[slot.peer.0 as usize] / f64::from(self.tiles);
                slot.weight *= (due * total / held.max(f64::MIN_POSITIVE)).clamp(0.5, 2.0);
            }
            tree = Tree::build(&ground, &slots, None, 0.0);
        }
        let mut ns = vec![0.0; self.speeds.len()];
        for (rect, slot) in tree.leaves(extent, ground.ghost_px, usize::MAX) {
            let rect = Rect::new(rect.x * times, rect.y * times, rect.width * times, rect.height * times);
            let rect = rect.intersection(fine.rect()).grown(self.ghost_px * FINE, fine);
            let peer = slots[slot].peer.0 as usize;
            ns[peer] += truth.work_ns(fine, rect) / self.speeds[peer];
        }
        ns.iter().copied().fold(0.0, f64::max) / (ns.iter().sum::<f64>() / ns.len() as f64)
    }
}

/// Means of `times` x `times` blocks.
fn coarser(ns_per_px: &[f32], fine: Extent, times: u32) -> Vec<f32> {
    let (blocks, side) = (fine.scaled(BLOCK_PX), BLOCK_PX * times);
    let coarse = fine.scaled(side);
    let mut sums = vec![(0.0_f32, 0.0_f32); coarse.pixels()];
    for (block, ns) in ns_per_px.iter().enumerate() {
        let (x, y) = (block as u32 % blocks.width, block as u32 / blocks.width);
        let sum = &mut sums[(y / times * coarse.width + x / times) as usize];
        *sum = (sum.0 + ns, sum.1 + 1.0);
    }
    sums.into_iter().map(|(sum, count)| sum / count.max(1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut() -> FineCut {
        FineCut { extent: Extent::new(320, 160), speeds: vec![1.0, 1.0], tiles: 1, ghost_px: 0, min_side_px: 4 }
    }

    /// All work lies in a square, of blocks of 4 pixels `from` to `until` both ways.
    fn square(from: u32, until: u32) -> Truth {
        let is_in = |at: u32| (from..until).contains(&at);
        let ns = |block: u32| if is_in(block % 80) && is_in(block / 80) { 1.0 } else { 0.0 };
        Truth { ns_per_px: (0..80 * 40).map(ns).collect(), rays_per_px: Vec::new() }
    }

    #[test]
    fn finer_blocks_cut_finer_work() {
        // Blocks of 16 and 32 pixels take the half of their pixels that is empty for work.
        let truth = square(1, 6);
        let [fine, middle, coarse] = [4, 16, 32].map(|px| cut().max_over_mean(&truth, &truth, px));
        assert!(fine < 1.02, "{fine}");
        assert!(fine < middle && middle < coarse, "{fine}, {middle}, {coarse}");
    }

    #[test]
    fn work_that_is_even_needs_no_fine_blocks() {
        let truth = Truth { ns_per_px: vec![1.0; 80 * 40], rays_per_px: Vec::new() };
        for block_px in [4, 8, 16, 32, 64] {
            let found = cut().max_over_mean(&truth, &truth, block_px);
            assert!((found - 1.0).abs() < 1e-3, "{block_px}: {found}");
        }
    }
}
