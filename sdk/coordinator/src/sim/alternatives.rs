//! Other ways to share a frame, on the same costs: equal grid, Equalizer's k-d split, work stealing, interleaved pixels.

use super::{SplitMix, Truth};
use rayloom_frame::{Extent, Rect};

/// Who shares a frame, and at what price.
#[derive(Clone, Debug, PartialEq)]
pub struct Sharing {
    /// Size of the view.
    pub extent: Extent,
    /// Relative to the truth's nanoseconds.
    pub speeds: Vec<f64>,
    /// Fixed cost of a tile in nanoseconds.
    pub overhead_ns: f64,
    /// Width of the ghost zone.
    pub ghost_px: u32,
    /// Relative noise of a tile's time, uniform in plus and minus.
    pub noise: f64,
}

impl Sharing {
    /// Time of a tile on a peer.
    fn tile_ns(&self, truth: &Truth, rect: Rect, peer: usize, random: &mut SplitMix) -> f64 {
        let work = truth.work_ns(self.extent, rect.grown(self.ghost_px, self.extent));
        let noise = 1.0 + self.noise * (2.0 * random.unit() - 1.0);
        (self.overhead_ns + work / self.speeds[peer]) * noise
    }

    /// When all would be through if the work could be divided perfectly and for nothing.
    pub fn bound_ns(&self, truth: &Truth) -> f64 {
        truth.work_ns(self.extent, self.extent.rect()) / self.speeds.iter().sum::<f64>()
    }

    /// Equal rectangles, as many as peers, in each of their orders (at most 24): the peers' times in each.
    pub fn grid(&self, truth: &Truth, random: &mut SplitMix) -> Vec<Vec<f64>> {
        let cells = grid(self.extent, self.speeds.len() as u32);
        let time = |order: &Vec<usize>| {
            let mut ns = vec![0.0; self.speeds.len()];
            cells.iter().zip(order).for_each(|(cell, peer)| ns[*peer] = self.tile_ns(truth, *cell, *peer, random));
            ns
        };
        orders(self.speeds.len()).iter().map(time).collect()
    }

    /// Tiles of 64 pixels from one queue, the next to whoever is free first, who then waits for it for `wait_ns`.
    pub fn stealing(&self, truth: &Truth, wait_ns: f64, random: &mut SplitMix) -> Vec<f64> {
        let mut ns = vec![0.0_f64; self.speeds.len()];
        for y in (0..self.extent.height).step_by(64) {
            for x in (0..self.extent.width).step_by(64) {
                let tile = Rect::new(x, y, 64, 64).intersection(self.extent.rect());
                let first = (0..ns.len()).min_by(|a, b| ns[*a].total_cmp(&ns[*b])).unwrap_or(0);
                ns[first] += wait_ns + self.tile_ns(truth, tile, first, random);
            }
        }
        ns
    }

    /// Every peer traces pixels all over the view, as many as it is fast: no tile, no ghost zone, and no filter either.
    pub fn interleave(&self, truth: &Truth, random: &mut SplitMix) -> Vec<f64> {
        let share = self.bound_ns(truth);
        let noise = |random: &mut SplitMix| 1.0 + self.noise * (2.0 * random.unit() - 1.0);
        self.speeds.iter().map(|_| (self.overhead_ns + share) * noise(random)).collect()
    }
}

/// Equalizer's load equalizer (Eilemann et al. 2009): a k-d split by the last frame's times, each spread evenly over its
/// tile, each cut moved half of the way. Speeds are given to it.
#[derive(Clone, Debug)]
pub struct Equalizer {
    /// Tile and time times speed of each peer in the last frame.
    last: Vec<(Rect, f64)>,
    cuts: Vec<f64>,
}

impl Equalizer {
    /// Begins with an equal grid.
    pub fn new(sharing: &Sharing) -> Equalizer {
        let cells = grid(sharing.extent, sharing.speeds.len() as u32);
        Equalizer { last: cells.into_iter().map(|cell| (cell, cell.pixels() as f64)).collect(), cuts: Vec::new() }
    }

    /// The peers' times of a frame.
    pub fn frame(&mut self, sharing: &Sharing, truth: &Truth, random: &mut SplitMix) -> Vec<f64> {
        let mut tiles = Vec::new();
        let mut cuts = Vec::new();
        let peers: Vec<usize> = (0..sharing.speeds.len()).collect();
        self.cut(sharing, sharing.extent.rect(), &peers, &mut tiles, &mut cuts);
        self.cuts = cuts;
        let mut ns = vec![0.0; sharing.speeds.len()];
        tiles.iter().for_each(|(rect, peer)| ns[*peer] = sharing.tile_ns(truth, *rect, *peer, random));
        self.last = tiles.iter().map(|(rect, peer)| (*rect, ns[*peer] * sharing.speeds[*peer])).collect();
        ns
    }

    fn cut(&self, sharing: &Sharing, rect: Rect, peers: &[usize], tiles: &mut Vec<(Rect, usize)>, cuts: &mut Vec<f64>) {
        let [first, .., _] = peers else {
            return tiles.extend(peers.iter().map(|peer| (rect, *peer)));
        };
        debug_assert!(sharing.speeds.len() > *first);
        let (low, high) = peers.split_at(peers.len() / 2);
        let speed = |peers: &[usize]| peers.iter().map(|peer| sharing.speeds[*peer]).sum::<f64>();
        let due = speed(low) / (speed(low) + speed(high));
        let is_wide = rect.width >= rect.height;
        let part = |at: u32| match is_wide {
            true => Rect::new(rect.x, rect.y, at, rect.height),
            false => Rect::new(rect.x, rect.y, rect.width, at),
        };
        let side = if is_wide { rect.width } else { rect.height };
        let total = self.work(rect);
        let at = (1..side).find(|at| self.work(part(*at)) >= due * total).unwrap_or(side / 2);
        let place = cuts.len();
        let target = f64::from(at) / f64::from(side);
        let damped = self.cuts.get(place).map_or(target, |last| 0.5 * (last + target));
        cuts.push(damped);
        let at = ((damped * f64::from(side)).round() as u32).clamp(1, side.saturating_sub(1).max(1));
        let (a, b) = match is_wide {
            true => (part(at), Rect::new(rect.x + at, rect.y, rect.width - at, rect.height)),
            false => (part(at), Rect::new(rect.x, rect.y + at, rect.width, rect.height - at)),
        };
        self.cut(sharing, a, low, tiles, cuts);
        self.cut(sharing, b, high, tiles, cuts);
    }

    fn work(&self, rect: Rect) -> f64 {
        let part =
            |(tile, ns): &(Rect, f64)| ns * tile.intersection(rect).pixels() as f64 / tile.pixels().max(1) as f64;
        self.last.iter().map(part).sum()
    }
}

/// Near-square cells, row by row.
fn grid(extent: Extent, count: u32) -> Vec<Rect> {
    let aspect = f64::from(extent.width) / f64::from(extent.height);
    let rows = ((f64::from(count) / aspect).sqrt().round() as u32).clamp(1, count);
    let mut cells = Vec::new();
    for row in 0..rows {
        let (top, bottom) = (extent.height * row / rows, extent.height * (row + 1) / rows);
        let columns = count * (row + 1) / rows - count * row / rows;
        for column in 0..columns {
            let (left, right) = (extent.width * column / columns, extent.width * (column + 1) / columns);
            cells.push(Rect::new(left, top, right - left, bottom - top));
        }
    }
    cells
}

/// All orders of up to four, else as they are and backwards.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count > 4 {
        return vec![(0..count).collect(), (0..count).rev().collect()];
    }
    let mut orders = vec![Vec::new()];
    for _ in 0..count {
        let longer = |order: &Vec<usize>| {
            let rest = (0..count).filter(|peer| !order.contains(peer)).collect::<Vec<_>>();
            rest.into_iter().map(|peer| [order.as_slice(), &[peer]].concat()).collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_peers_have_quadrants_in_24_orders() {
        let cells = grid(Extent::new(1280, 720), 4);
        assert_eq!(cells.iter().map(|cell| cell.pixels()).collect::<Vec<_>>(), [230_400; 4]);
        assert_eq!(orders(4).len(), 24);
        assert_eq!(grid(Extent::new(1280, 720), 7).iter().map(|cell| cell.pixels()).sum::<usize>(), 1280 * 720);
    }

    #[test]
    fn the_equalizer_finds_a_still_views_balance() {
        let extent = Extent::new(640, 320);
        let density = (0..800).map(|block| if block < 400 { 1.0 } else { 9.0 }).collect();
        let truth = Truth { ns_per_px: density, rays_per_px: vec![1.0; 800] };
        let speeds = vec![1.0, 1.0, 0.5, 0.25];
        let sharing = Sharing { extent, speeds, overhead_ns: 0.0, ghost_px: 0, noise: 0.0 };
        let (mut equalizer, mut random) = (Equalizer::new(&sharing), SplitMix(1));
        let mut ns = Vec::new();
        (0..40).for_each(|_| ns = equalizer.frame(&sharing, &truth, &mut random));
        let longest = ns.iter().copied().fold(0.0, f64::max);
        assert!(longest / sharing.bound_ns(&truth) < 1.1, "{ns:?}");
    }
}
