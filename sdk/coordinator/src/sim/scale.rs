//! Figures of fleets: how much of their speed arrives, and whether they are ever slower than their best peer alone.

use super::figures::{on_recording, quantile};
use super::{FleetKind, Pace, Recording, SimPeer, Simulation, SplitMix, gpus};
use crate::{Config, PeerPrior};
use std::rc::Rc;
use std::time::Duration;

/// Of a fleet that is never idle.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleFigures {
    /// Frames a second over what the sum of the speeds would give at a single peer's throughput.
    pub efficiency: f64,
    /// From a frame's begin to its end, median, in milliseconds, with as many frames in flight as keep all busy.
    pub latency_ms: f64,
    /// The same with one frame at a time.
    pub alone_ms: f64,
    /// Share of pixels traced twice, median.
    pub ghost_share: f64,
    /// Time of a plan, in nanoseconds, by the caller's stopwatch.
    pub plan_ns: Vec<f64>,
}

/// Peers of real GPUs at this round trip, with jitter of a fifth of it.
pub fn healthy_fleet(peers: usize, rtt: Duration, seed: u64) -> Vec<SimPeer> {
    let mut random = SplitMix(seed);
    let peer = |_| {
        let speed = gpus::speed(random.below(gpus::GPUS.len()));
        SimPeer { tile_overhead: Duration::from_micros(100), ..SimPeer::new(speed).at_rtt(rtt) }
    };
    (0..peers).map(peer).collect()
}

/// Runs a fleet with all peers busy, and again with one frame at a time. `frame_ns`: a frame on a peer of speed 1.
pub fn scale(
    recording: &Rc<Recording>,
    peers: &[SimPeer],
    frame_ns: f64,
    frames: u64,
    stopwatch: Option<fn() -> u64>,
) -> ScaleFigures {
    let speeds: f64 = peers.iter().map(|peer| peer.speed).sum();
    let period_ns = frame_ns / speeds;
    let rtt_ns = peers.iter().map(|peer| 2.4 * peer.one_way.as_nanos() as f64).fold(0.0, f64::max);
    let in_flight = (2 + (rtt_ns / period_ns).ceil() as usize).min(32);
    let run = |in_flight: usize, stopwatch: Option<fn() -> u64>| {
        let config = Config { max_frames_in_flight: in_flight + 1, ..Config::default() };
        let mut run = on_recording(recording, config, peers.to_vec(), frame_ns, false, 5);
        run.stopwatch = stopwatch;
        run.run(frames, Pace::InFlight(in_flight), Duration::from_secs(20), None);
        run
    };
    let mut busy = run(in_flight, stopwatch);
    let (throughput, latency_ms) = pace(&busy);
    // A peer alone and never idle: its fixed cost, no ghost zone.
    let overhead_ns = peers.first().map_or(0.0, |peer| peer.tile_overhead.as_nanos() as f64);
    let single = 1e9 / (frame_ns + overhead_ns);
    let mut ghosts: Vec<f64> = busy.frames.iter().map(|frame| f64::from(frame.plan.ghost_share)).collect();
    ScaleFigures {
        efficiency: throughput / (speeds * single),
        latency_ms,
        alone_ms: pace(&run(1, None)).1,
        ghost_share: quantile(&mut ghosts, 0.5),
        plan_ns: std::mem::take(&mut busy.plan_ns),
    }
}

/// Frames a second and median latency in milliseconds of the second half of a run.
pub(super) fn pace(run: &Simulation) -> (f64, f64) {
    let half = &run.frames[run.frames.len() / 2..];
    let ends: Vec<f64> = half.iter().filter_map(|frame| frame.ended).map(|(at, _)| at.0 as f64).collect();
    let span = ends.iter().copied().fold(0.0, f64::max) - ends.iter().copied().fold(f64::INFINITY, f64::min);
    let latency = |frame: &super::FrameRecord| frame.ended.map(|(at, _)| at.ns_since(frame.begun) as f64 * 1e-6);
    let mut latencies: Vec<f64> = half.iter().filter_map(latency).collect();
    ((ends.len() as f64 - 1.0) * 1e9 / span.max(1.0), quantile(&mut latencies, 0.5))
}

/// A fleet over the best of its peers alone: frame time in the median and at the 95th percentile, each over the other's.
///
/// Fleets of 1 to 16 peers of real GPUs, some near and some far; one frame at a time, nothing goes wrong.
pub fn ratio_to_best_single(recording: &Rc<Recording>, frame_ns: f64, frames: u64, seed: u64) -> [f64; 2] {
    let mut random = SplitMix(seed);
    let kind = FleetKind {
        peers: 1 + random.below(16),
        rtt: Duration::from_micros(1000 + random.below(60_000) as u64),
        faulty: 0.0,
        span: Duration::from_secs(1),
    };
    let mut peers = super::fleet(&kind, seed);
    for peer in &mut peers {
        peer.tile_overhead = Duration::from_micros(100);
        // A few are on another continent.
        if random.unit() < 0.2 {
            peer.one_way += Duration::from_millis(100);
        }
        if random.unit() < 0.3 {
            peer.prior = PeerPrior::default();
        }
    }
    let alone = |peer: &SimPeer| 2.0 * peer.one_way.as_nanos() as f64 + frame_ns / peer.speed;
    let best = peers.iter().min_by(|a, b| alone(a).total_cmp(&alone(b))).cloned();
    let times = |peers: Vec<SimPeer>| {
        let mut run = on_recording(recording, Config::default(), peers, frame_ns, false, seed);
        run.run(frames, Pace::InFlight(1), Duration::from_secs(20), None);
        let took = run.frames.iter().filter_map(|frame| Some(frame.ended?.0.ns_since(frame.begun) as f64));
        let mut took: Vec<f64> = took.collect();
        [quantile(&mut took, 0.5), quantile(&mut took, 0.95)]
    };
    let (all, single) = (times(peers), times(best.into_iter().collect()));
    [all[0] / single[0], all[1] / single[1]]
}
