//! What an embedder may decide about planning and faults.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What [`Config::max_split_overhead`] is at most.
pub(crate) const AT_ANY_COST: f32 = 10.0;

/// Settings of a [`crate::Coordinator`]. Values that make no sense are brought to the nearest that does.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Tiles that a peer gets of a frame. Fewer where more would cost too much (see `max_split_overhead`).
    pub tiles_per_peer: RangeInclusive<u32>,
    /// Shortest side of a tile, without its ghost zone, in pixels; views that are smaller become one tile.
    pub min_tile_side_px: u32,
    /// Share of a frame's time that cutting a peer's part into several tiles may cost (ghost zones and fixed cost); 10 and
    /// more: whatever it costs, also where one peer alone would be faster.
    pub max_split_overhead: f32,
    /// The last cut stays while its slowest peer is predicted to take at most this share longer than a new cut's.
    pub dead_band: f32,
    /// Tiles in a row that a peer misses before it counts as suspect.
    pub suspect_after_missed: u32,
    /// A tile is missed at its frame's deadline, or after this multiple of its predicted turnaround if that is later:
    /// whoever is given too much work is not suspect.
    pub tile_slack: f32,
    /// A peer's first tiles, and tiles of work that was never measured, are not missed before this time: pipelines
    /// compile, caches are cold, a guess is no promise.
    pub first_tile_grace: Duration,
    /// Side of the redundant tile that a suspect or long unused peer is probed with, in pixels.
    pub probe_side_px: u32,
    /// Longest pause between two probes of a suspect peer, which doubles from one frame up to this; the pause between
    /// probes of one that is ready and was given no tile.
    pub probe_interval_max: Duration,
    /// Tiles in a row that a suspect peer answers in time before it gets its share again.
    pub recover_after_held: u32,
    /// Refusals in a row before a peer counts as suspect.
    pub suspect_after_refused: u32,
    /// Faults that are forgiven without a block: a peer that becomes suspect, or is probed at the longest pause, or is lost, more often
    /// than this is blocked.
    pub block_after_faults: u32,
    /// For how long a peer is blocked: the first time, doubled with every further fault, and at most.
    pub block_pause: RangeInclusive<Duration>,
    /// Half of a peer's faults are forgotten each time that it has held for so long.
    pub forgive_after: Duration,
    /// A tile is moved to another peer only if that one is predicted to finish this long before the deadline.
    pub reassign_margin: Duration,
    /// Share of extra work that backups of overdue tiles may cause; 0 = no backups before the deadline.
    pub hedge_budget: f32,
    /// Frames in flight; one more ends the oldest.
    pub max_frames_in_flight: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            tiles_per_peer: 2..=4,
            min_tile_side_px: 16,
            max_split_overhead: 0.03,
            dead_band: 0.03,
            suspect_after_missed: 1,
            tile_slack: 3.0,
            first_tile_grace: Duration::from_secs(2),
            probe_side_px: 48,
            probe_interval_max: Duration::from_secs(1),
            recover_after_held: 2,
            suspect_after_refused: 3,
            block_after_faults: 3,
            block_pause: Duration::from_secs(2)..=Duration::from_secs(60),
            forgive_after: Duration::from_secs(30),
            reassign_margin: Duration::from_millis(2),
            hedge_budget: 0.05,
            max_frames_in_flight: 4,
        }
    }
}

impl Config {
    /// With every value in the range where it has a meaning.
    pub(crate) fn sane(mut self) -> Config {
        let least = (*self.tiles_per_peer.start()).clamp(1, 64);
        let most = (*self.tiles_per_peer.end()).clamp(least, 64);
        self.tiles_per_peer = least..=most;
        self.min_tile_side_px = self.min_tile_side_px.max(1);
        self.probe_side_px = self.probe_side_px.max(1);
        self.max_split_overhead = within(self.max_split_overhead, 0.0, AT_ANY_COST);
        self.dead_band = within(self.dead_band, 0.0, 1.0);
        self.tile_slack = within(self.tile_slack, 1.0, 100.0);
        self.hedge_budget = within(self.hedge_budget, 0.0, 1.0);
        self.suspect_after_missed = self.suspect_after_missed.max(1);
        self.suspect_after_refused = self.suspect_after_refused.max(1);
        self.recover_after_held = self.recover_after_held.max(1);
        self.block_after_faults = self.block_after_faults.min(u32::MAX - 1);
        self.max_frames_in_flight = self.max_frames_in_flight.clamp(1, 64);
        self
    }
}

/// Between both bounds; NaN is the lower one.
fn within(value: f32, low: f32, high: f32) -> f32 {
    value.max(low).min(high)
}
