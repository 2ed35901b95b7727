//! The obvious cost model, to compare with: the last frame's costs, moved as the view moved, and an exponentially weighted
//! mean of each peer's rate.

use super::record::blocks;
use super::{FrameRecord, Truth};
use crate::PeerId;
use crate::foresight::Source;
use rayloom_frame::features::BLOCK_SIZE;
use rayloom_frame::{Extent, Rect};
use std::collections::BTreeMap;

/// Weight of the newest tile in a peer's rate.
const NEWEST: f64 = 0.2;

/// See the file's head.
#[derive(Clone, Debug)]
pub struct Baseline {
    extent: Extent,
    /// Cost of a pixel of each block.
    cost: Vec<[f32; 1]>,
    rates: BTreeMap<PeerId, f64>,
    is_taught: bool,
}

impl Baseline {
    /// For a view of this size.
    pub fn new(extent: Extent) -> Baseline {
        let cost = vec![[1.0]; extent.scaled(BLOCK_SIZE).pixels()];
        Baseline { extent, cost, rates: BTreeMap::new(), is_taught: false }
    }

    /// Moves on to the next frame.
    pub fn advance(&mut self, motion: &[[f32; 2]]) {
        let blocks = self.extent.scaled(BLOCK_SIZE);
        let place = |block: usize| (block as u32 % blocks.width, block as u32 / blocks.width);
        let moved = motion.iter().enumerate().map(|(block, motion)| {
            let (x, y) = place(block);
            Source::of(x, y, *motion, (blocks.width, blocks.height)).sample(&self.cost)
        });
        self.cost = moved.collect();
    }

    /// Predicted time of a tile on a peer, in nanoseconds; none before a frame was learned.
    pub fn predict(&self, peer: PeerId, rect: Rect) -> Option<f64> {
        let rate = self.rates.get(&peer)?;
        self.is_taught.then(|| self.sum(rect) * rate)
    }

    /// Learns from all tiles of a frame.
    pub fn learn(&mut self, frame: &FrameRecord, truth: &Truth) {
        let (mut sums, mut pixels) = (vec![0.0; self.cost.len()], vec![0.0; self.cost.len()]);
        for ((peer, _, service_ns), rect) in frame.tiles.iter().zip(&frame.rects) {
            let measured = *service_ns as f64 / self.sum(*rect).max(1e-9);
            let rate = self.rates.entry(*peer).or_insert(measured);
            *rate += NEWEST * (measured - *rate);
            let rays = truth.block_rays(self.extent, *rect);
            let total: f64 = rays.iter().map(|rays| f64::from(*rays)).sum();
            for ((block, own), rays) in blocks(self.extent, *rect).zip(rays) {
                sums[block] += *service_ns as f64 / *rate * f64::from(rays) / total.max(1.0);
                pixels[block] += own as f64;
            }
        }
        for (cost, (sum, pixels)) in self.cost.iter_mut().zip(sums.into_iter().zip(pixels)) {
            cost[0] = if pixels > 0.0 { (sum / pixels) as f32 } else { cost[0] };
        }
        self.is_taught = true;
    }

    fn sum(&self, rect: Rect) -> f64 {
        blocks(self.extent, rect).map(|(block, pixels)| f64::from(self.cost[block][0]) * pixels as f64).sum()
    }
}
