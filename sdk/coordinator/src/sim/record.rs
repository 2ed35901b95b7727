//! What frames cost in truth, and how they went.

use crate::{FramePlan, PeerId, Time};
use rayloom_frame::{Extent, Rect};
use std::collections::BTreeMap;

/// What a frame really costs, per 16x16 block of the view, rows from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Nanoseconds a pixel on a peer of speed 1.
    pub ns_per_px: Vec<f32>,
    /// Rays a pixel.
    pub rays_per_px: Vec<f32>,
}

impl Truth {
    /// Nanoseconds of a rectangle on a peer of speed 1, its fixed cost left out.
    pub fn work_ns(&self, extent: Extent, rect: Rect) -> f64 {
        blocks(extent, rect).map(|(block, pixels)| f64::from(self.ns_per_px[block]) * pixels as f64).sum()
    }

    /// Rays per block that the rectangle touches, as a peer counts them.
    pub fn block_rays(&self, extent: Extent, rect: Rect) -> Vec<u32> {
        blocks(extent, rect).map(|(block, pixels)| (self.rays_per_px[block] * pixels as f32) as u32).collect()
    }
}

/// How a frame went.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRecord {
    /// Its id.
    pub frame_id: u64,
    /// When it began.
    pub begun: Time,
    /// How it was cut.
    pub plan: FramePlan,
    /// When it ended, and whether it was complete.
    pub ended: Option<(Time, bool)>,
    /// Tiles that were missing then, as the coordinator says.
    pub missing: usize,
    /// Tiles of its plan that nobody had answered then.
    pub unanswered: usize,
    /// Predicted and real service time of each tile done, in nanoseconds, and who did it.
    pub tiles: Vec<(PeerId, u64, u64)>,
    /// The same tiles' rectangles with their ghost zones, in the same order.
    pub rects: Vec<Rect>,
}

impl FrameRecord {
    pub(crate) fn begun(frame_id: u64, begun: Time, plan: FramePlan) -> FrameRecord {
        let (tiles, rects) = (Vec::new(), Vec::new());
        FrameRecord { frame_id, begun, plan, ended: None, missing: 0, unanswered: 0, tiles, rects }
    }

    /// Longest over mean service time of the peers' parts.
    pub fn peer_imbalance(&self) -> f64 {
        let mut parts: BTreeMap<PeerId, u64> = BTreeMap::new();
        self.tiles.iter().for_each(|(peer, _, ns)| *parts.entry(*peer).or_insert(0) += ns);
        max_over_mean(parts.into_values())
    }

    /// Longest of the peers' service times, in nanoseconds.
    pub fn longest_ns(&self) -> u64 {
        let mut parts: BTreeMap<PeerId, u64> = BTreeMap::new();
        self.tiles.iter().for_each(|(peer, _, ns)| *parts.entry(*peer).or_insert(0) += ns);
        parts.into_values().max().unwrap_or(0)
    }

    /// Longest over mean service time of the tiles.
    pub fn tile_imbalance(&self) -> f64 {
        max_over_mean(self.tiles.iter().map(|tile| tile.2))
    }
}

fn max_over_mean(values: impl Iterator<Item = u64>) -> f64 {
    let (count, sum, max) =
        values.fold((0.0, 0.0, 0.0_f64), |(n, sum, max), v| (n + 1.0, sum + v as f64, max.max(v as f64)));
    if sum > 0.0 { max * count / sum } else { 1.0 }
}

/// Blocks that a rectangle of the view touches, rows from the top, and how many of its pixels lie in each.
pub(crate) fn blocks(extent: Extent, rect: Rect) -> impl Iterator<Item = (usize, usize)> {
    let across = extent.scaled(16).width;
    let touched = rect.scaled(16);
    let overlap = |block: u32, from: u32, until: u32| until.min(16 * block + 16) - from.max(16 * block);
    (touched.y..touched.bottom()).flat_map(move |y| {
        let rows = overlap(y, rect.y, rect.bottom());
        (touched.x..touched.right())
            .map(move |x| ((y * across + x) as usize, (rows * overlap(x, rect.x, rect.right())) as usize))
    })
}
