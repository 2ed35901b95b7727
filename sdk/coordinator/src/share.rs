//! Who takes part in a frame, with how much work, in how many tiles.

use crate::{Config, PeerId};
use rayloom_frame::Extent;

/// See [`Previous::band`]: for one frame, and in the end.
const BAND: (f64, f64) = (0.05, 0.02);

/// A peer that could take part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) peer: PeerId,
    /// When it could begin, and the latency's part: nanoseconds before any work of this frame.
    pub(crate) start_ns: f64,
    /// Fixed cost of a tile.
    pub(crate) overhead_ns: f64,
    pub(crate) ns_per_unit: f64,
    /// What a pixel takes on the link: of the task on its way there, of the answer on its way back.
    pub(crate) up_ns_per_px: f64,
    pub(crate) down_ns_per_px: f64,
    /// Pixels of a unit of work in the view's mean.
    pub(crate) px_per_unit: f64,
}

impl Candidate {
    /// Time of a unit of work where the work comes in so many tiles, transfer included.
    pub(crate) fn ns_per_unit(&self, tiles: u32) -> f64 {
        self.time_ns(1.0, self.px_per_unit, tiles)
    }

    /// Time of so many units of work and pixels in so many tiles. One tile is traced while another's task or answer is on the
    /// link: the slowest of the three bounds the throughput, and the first tile passes the others too.
    pub(crate) fn time_ns(&self, units: f64, pixels: f64, tiles: u32) -> f64 {
        let (work, up, down) = (units * self.ns_per_unit, pixels * self.up_ns_per_px, pixels * self.down_ns_per_px);
        let slowest = work.max(up).max(down);
        slowest + (work + up + down - slowest) / f64::from(tiles.max(1))
    }

    /// The same peer, bounded by the slowest of work and link alone.
    fn throughput(self) -> Candidate {
        let ns_per_unit = self.ns_per_unit(u32::MAX);
        Candidate { ns_per_unit, up_ns_per_px: 0.0, down_ns_per_px: 0.0, ..self }
    }

    fn is_held_up_by_link(&self) -> bool {
        self.up_ns_per_px > 0.0 || self.down_ns_per_px > 0.0
    }

    /// Units of work that would take it as long as these with these pixels do.
    pub(crate) fn equivalent_units(&self, units: f64, pixels: f64, tiles: u32) -> f64 {
        if !self.is_held_up_by_link() {
            return units;
        }
        self.time_ns(units, pixels, tiles) / self.ns_per_unit(tiles)
    }

    /// Predicted time until it is through with the whole view as one tile.
    pub(crate) fn alone_ns(&self, units: f64) -> f64 {
        self.start_ns + self.overhead_ns + units * self.ns_per_unit(1)
    }
}

/// A peer's part of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share {
    pub(crate) candidate: Candidate,
    pub(crate) tiles: u32,
    /// Units of work.
    pub(crate) units: f64,
}

impl Share {
    /// Predicted time until this peer is through with `units` of work.
    pub(crate) fn finish_ns(&self, units: f64) -> f64 {
        self.before_work_ns() + units * self.ns_per_unit()
    }

    fn ns_per_unit(&self) -> f64 {
        self.candidate.ns_per_unit(self.tiles)
    }

    pub(crate) fn before_work_ns(&self) -> f64 {
        self.candidate.start_ns + f64::from(self.tiles) * self.candidate.overhead_ns
    }
}

/// What a frame needs.
pub(crate) struct Demand {
    pub(crate) units: f64,
    pub(crate) extent: Extent,
    pub(crate) ghost_px: u32,
    pub(crate) min_side_px: u32,
}

impl Demand {
    /// Work of a near-square grid of `tiles` with ghost zones relative to one tile's.
    fn ghost_factor(&self, tiles: u32) -> f64 {
        let (w, h) = (f64::from(self.extent.width), f64::from(self.extent.height));
        let tiles = f64::from(tiles.max(1));
        let columns = (tiles * w / h).sqrt().clamp(1.0, tiles);
        let rows = tiles / columns;
        let g = 2.0 * f64::from(self.ghost_px);
        ((w + g * (columns - 1.0)) / w) * ((h + g * (rows - 1.0)) / h)
    }

    /// Most tiles that the view is cut into: half of what fits, since cuts follow the work.
    fn most_tiles(&self) -> u32 {
        let fits = (self.extent.width / self.min_side_px) as u64 * (self.extent.height / self.min_side_px) as u64;
        (fits / 2).clamp(1, 1024) as u32
    }
}

/// Gives each of `shares` the work with which all finish at the same time (water filling); who could not begin by then
/// gets none. Returns that time.
pub(crate) fn fill(shares: &mut [Share], units: f64) -> f64 {
    shares.sort_by(|a, b| a.before_work_ns().total_cmp(&b.before_work_ns()));
    fill_sorted(shares, units)
}

/// The same for shares in the order in which they could begin.
fn fill_sorted(shares: &mut [Share], units: f64) -> f64 {
    let (mut rate, mut head_start, mut finish) = (0.0, 0.0, f64::INFINITY);
    for share in shares.iter() {
        let before = share.before_work_ns();
        if before >= finish {
            break;
        }
        rate += 1.0 / share.ns_per_unit();
        head_start += before / share.ns_per_unit();
        finish = (units + head_start) / rate;
    }
    for share in shares.iter_mut() {
        share.units = ((finish - share.before_work_ns()) / share.ns_per_unit()).max(0.0);
    }
    finish
}

/// Who traced the last frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Previous {
    /// Peers and how many tiles each had.
    pub(crate) tiles: Vec<(PeerId, u32)>,
    /// For how many frames it has been so.
    pub(crate) frames: u32,
}

impl Previous {
    /// What others must be faster by to take the place of these: less and less, so that nothing flutters and nothing better is passed
    /// over for ever.
    fn band(&self) -> f64 {
        (BAND.0 * 0.98_f64.powi(self.frames.min(1000) as i32)).max(BAND.1)
    }
}

/// Chooses peers and tiles so that the frame is predicted to finish first, the single best peer being one of the choices.
/// `previous` is kept while it is nearly as good. Sorted by peer; never empty when there is a candidate.
pub(crate) fn choose(candidates: &[Candidate], demand: &Demand, config: &Config, previous: &Previous) -> Vec<Share> {
    let mut order: Vec<Share> = candidates.iter().map(|c| Share { candidate: *c, tiles: 1, units: 0.0 }).collect();
    let alone = |share: &Share| share.finish_ns(demand.units);
    order.sort_by(|a, b| alone(a).total_cmp(&alone(b)));
    let most_peers = order.len().min(demand.most_tiles() as usize);
    let (mut best, mut best_finish) = (Vec::new(), f64::INFINITY);
    let mut shares: Vec<Share> = Vec::with_capacity(most_peers);
    let mut next = 1;
    for count in 1..=most_peers {
        let added = order[count - 1];
        let place = shares.partition_point(|share| share.before_work_ns() <= added.before_work_ns());
        shares.insert(place, added);
        if count < next && count < most_peers {
            continue;
        }
        // Every count of few peers, an eighth more of many.
        next = count + 1 + count / 8;
        let finish = fill_sorted(&mut shares, demand.units * demand.ghost_factor(count as u32));
        if finish < best_finish * 0.99 || best.is_empty() {
            best.clone_from(&shares);
            best_finish = finish;
        }
    }
    best.retain(|share| share.units > 0.0);
    if let Some(kept) = keep(candidates, demand, previous, best_finish) {
        (best_finish, best) = kept;
    }
    let before = previous.tiles.iter().map(|(_, tiles)| *tiles).max().unwrap_or(0);
    let mut best = with_tiles(best, best_finish, demand, config, before);
    best.sort_by_key(|share| share.candidate.peer);
    best
}

/// As many tiles a peer as the configuration wants, fewer where ghost zones and fixed cost would take too much time. More
/// than `before` only where that is clear, so that the number does not flutter.
fn with_tiles(shares: Vec<Share>, finish_with_one: f64, demand: &Demand, config: &Config, before: u32) -> Vec<Share> {
    // What splitting costs is held against the throughput: that answers of small tiles are on their way sooner is no reason
    // to trace much twice.
    let has_links = shares.iter().any(|share| share.candidate.is_held_up_by_link());
    let mut bare = shares.clone();
    let mut finish_with_one = finish_with_one;
    if has_links {
        bare.iter_mut().for_each(|share| share.candidate = share.candidate.throughput());
        finish_with_one = fill(&mut bare, demand.units * demand.ghost_factor(shares.len() as u32));
    }
    // Nor is a far link or a full queue.
    let first_start = shares.iter().map(|share| share.candidate.start_ns).fold(f64::INFINITY, f64::min);
    let work_ns = (finish_with_one - first_start).max(0.0);
    for tiles in (2..=*config.tiles_per_peer.end()).rev() {
        // The same number for all, so that all tiles take about the same time.
        let mut cut = bare.clone();
        cut.iter_mut().for_each(|share| share.tiles = tiles);
        let count = tiles * cut.len() as u32;
        if count > demand.most_tiles() {
            continue;
        }
        let units = demand.units * demand.ghost_factor(count);
        let finish = fill(&mut cut, units);
        let clearly = if before > 0 && tiles > before { 0.7 } else { 1.0 };
        let bound = finish_with_one + work_ns * clearly * f64::from(config.max_split_overhead);
        if has_links {
            cut.clone_from(&shares);
            cut.iter_mut().for_each(|share| share.tiles = tiles);
            fill(&mut cut, units);
        }
        if finish <= bound && cut.iter().all(|share| share.units > 0.0) {
            return cut;
        }
    }
    shares
}

/// The last frame's peers, if the same peers are there and the time is near what a new choice allows.
fn keep(candidates: &[Candidate], demand: &Demand, previous: &Previous, best_finish: f64) -> Option<(f64, Vec<Share>)> {
    let share = |(peer, _): &(PeerId, u32)| {
        let candidate = *candidates.iter().find(|c| c.peer == *peer)?;
        Some(Share { candidate, tiles: 1, units: 0.0 })
    };
    let mut kept = previous.tiles.iter().map(share).collect::<Option<Vec<Share>>>()?;
    let count = kept.len() as u32;
    if kept.is_empty() || count > demand.most_tiles() {
        return None;
    }
    let finish = fill(&mut kept, demand.units * demand.ghost_factor(count));
    (finish <= best_finish * (1.0 + previous.band()) && kept.iter().all(|share| share.units > 0.0))
        .then_some((finish, kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(peer: u32, start_ns: f64, ns_per_unit: f64) -> Candidate {
        let (up_ns_per_px, down_ns_per_px, px_per_unit) = (0.0, 0.0, 0.1);
        Candidate {
            peer: PeerId(peer),
            start_ns,
            overhead_ns: 1e5,
            ns_per_unit,
            up_ns_per_px,
            down_ns_per_px,
            px_per_unit,
        }
    }

    fn demand(units: f64, width: u32, height: u32) -> Demand {
        Demand { units, extent: Extent::new(width, height), ghost_px: 8, min_side_px: 16 }
    }

    #[test]
    fn shares_follow_speeds_and_all_finish_together() {
        let peers: Vec<_> = [1.0, 1.0, 2.0, 4.0].iter().zip(1..).map(|(v, i)| candidate(i, 1e6, *v)).collect();
        let config = Config { max_split_overhead: 0.1, ..Config::default() };
        let shares = choose(&peers, &demand(4e7, 1280, 720), &config, &Previous::default());
        assert_eq!(shares.len(), 4);
        let finish: Vec<f64> = shares.iter().map(|share| share.finish_ns(share.units)).collect();
        assert!(finish.iter().all(|f| (f - finish[0]).abs() < 1.0), "{finish:?}");
        assert!(shares.iter().all(|share| (2..=4).contains(&share.tiles)), "{shares:?}");
    }

    #[test]
    fn a_peer_that_could_not_begin_in_time_gets_nothing() {
        let peers = [candidate(1, 0.0, 1.0), candidate(2, 1e9, 1.0)];
        let shares = choose(&peers, &demand(1e7, 1280, 720), &Config::default(), &Previous::default());
        assert_eq!(shares.iter().map(|share| share.candidate.peer.0).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn the_slower_of_work_and_link_bounds_a_peer() {
        let free = candidate(1, 1e6, 1.0);
        assert_eq!(free.time_ns(1e6, 1e5, 3), 1e6);
        assert_eq!(free.equivalent_units(1e6, 1e5, 1), 1e6);
        // 5 ns of transfer for each unit of work.
        let thin = Candidate { down_ns_per_px: 50.0, ..free };
        assert_eq!(thin.time_ns(1e6, 1e5, 1), 6e6);
        assert_eq!(thin.time_ns(1e6, 1e5, 4), 5.25e6);
        // A sky of many pixels and little work is what it is slow at.
        assert!(thin.equivalent_units(1e5, 1e5, 2) > 0.8e6);
        let mut shares = [free, thin].map(|candidate| Share { candidate, tiles: 4, units: 0.0 });
        fill(&mut shares, 1e8);
        assert!((shares[0].units / shares[1].units - 5.25).abs() < 0.05, "{shares:?}");
    }

    #[test]
    fn a_tiny_view_is_not_cut_for_many_peers() {
        let peers: Vec<_> = (0..64).map(|i| candidate(i, 1e6, 1.0)).collect();
        assert_eq!(choose(&peers, &demand(1e6, 20, 20), &Config::default(), &Previous::default()).len(), 1);
        let small = choose(&peers, &demand(3e7, 256, 144), &Config::default(), &Previous::default());
        assert!(small.iter().map(|share| share.tiles).sum::<u32>() <= 72);
    }
}
