//! Figures of runs on recorded costs: how equal the peers' times are, and how well tiles' times are predicted.

use super::{Baseline, Fault, FrameRecord, Pace, Recording, SimPeer, Simulation};
use crate::{Config, Time};
use rayloom_frame::{LayerKind, LayerRequest};
use std::rc::Rc;
use std::time::Duration;

/// Of four peers of speed 1, 1, 0.5, 0.25.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BalanceFigures {
    /// Longest over mean of the peers' times, median and 95th percentile of frames.
    pub max_over_mean: [f64; 2],
    /// What a perfect division for nothing would take over what it took, median.
    pub share_of_bound: f64,
    /// Pixels traced twice over those of the view, median.
    pub ghost_share: f64,
    /// Median and mean of the absolute relative errors of tiles' predicted times.
    pub cost_error: [f64; 2],
    /// The same of the baseline.
    pub baseline_error: [f64; 2],
    /// Share of frames in which some border moved.
    pub moving_borders: f64,
    /// Longest peer's time of each frame that counted.
    pub longest_ns: Vec<f64>,
    /// Share of tiles that took at most what was predicted as their 95th percentile.
    pub within_p95: f64,
}

/// Frames before those that count.
const WARM_UP: usize = 30;
/// The four peers' speeds.
pub const SPEEDS: [f64; 4] = [1.0, 1.0, 0.5, 0.25];
/// Nanoseconds of a frame on a peer of speed 1.
pub const FRAME_NS: f64 = 100e6;

/// What is asked for of each frame: reflections and bounces at half resolution.
pub fn layers() -> Vec<LayerRequest> {
    let scale = |kind| if matches!(kind, LayerKind::Specular | LayerKind::Indirect) { 2 } else { 1 };
    LayerKind::REAL_TIME.map(|kind| LayerRequest { scale: scale(kind), ..LayerRequest::new(kind) }).to_vec()
}

/// The four peers on a link of 1 ms.
pub fn four_peers() -> Vec<SimPeer> {
    SPEEDS.map(|speed| SimPeer { tile_overhead: Duration::from_micros(100), ..SimPeer::new(speed) }).to_vec()
}

/// A simulation of these peers on recorded costs.
pub fn on_recording(
    recording: &Rc<Recording>,
    config: Config,
    peers: Vec<SimPeer>,
    frame_ns: f64,
    has_planes: bool,
    seed: u64,
) -> Simulation {
    let scale = frame_ns / recording.mean_frame_ns();
    let (truth, seen) = (recording.clone(), recording.clone());
    Simulation::new(config, seed, recording.extent, peers, move |frame| truth.truth(frame, scale))
        .foreseeing(layers(), move |frame| seen.foreseen(frame, has_planes))
}

/// Runs `frames` of them at a pace that leaves the peers idle between frames.
pub fn balance(recording: &Rc<Recording>, config: Config, frames: u64, has_planes: bool, seed: u64) -> BalanceFigures {
    let interval = Duration::from_nanos((1.5 * FRAME_NS / SPEEDS.iter().sum::<f64>()) as u64);
    let mut run = on_recording(recording, config, four_peers(), FRAME_NS, has_planes, seed);
    run.run(frames, Pace::Every(interval), interval * 4, None);
    figures(recording, &run.frames)
}

fn figures(recording: &Recording, frames: &[FrameRecord]) -> BalanceFigures {
    let scale = FRAME_NS / recording.mean_frame_ns();
    let mut baseline = Baseline::new(recording.extent);
    let (mut errors, mut baseline_errors, mut moved, mut within) = (Vec::new(), Vec::new(), 0, 0);
    let mut imbalance = Vec::new();
    let mut shares = Vec::new();
    let mut ghosts = Vec::new();
    let mut longest_ns = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let truth = recording.truth(frame.frame_id, scale);
        baseline.advance(&recording.foreseen(frame.frame_id, false).motion);
        if index >= WARM_UP.min(frames.len() / 2) && !frame.tiles.is_empty() {
            for ((peer, predicted, real), rect) in frame.tiles.iter().zip(&frame.rects) {
                let error = |ns: f64| (ns / *real as f64 - 1.0).abs();
                errors.push(error(*predicted as f64));
                baseline_errors.extend(baseline.predict(*peer, *rect).map(error));
                let planned = frame.plan.tiles.iter().find(|tile| tile.ghost_rect == *rect && tile.peer == *peer);
                within += u32::from(planned.is_none_or(|tile| *real <= tile.p95_ns));
            }
            let longest = frame.longest_ns() as f64;
            imbalance.push(frame.peer_imbalance());
            shares
                .push(truth.work_ns(recording.extent, recording.extent.rect()) / SPEEDS.iter().sum::<f64>() / longest);
            ghosts.push(f64::from(frame.plan.ghost_share));
            longest_ns.push(longest);
            let rects = |frame: &FrameRecord| frame.plan.tiles.iter().map(|tile| tile.rect).collect::<Vec<_>>();
            moved += u32::from(rects(&frames[index - 1]) != rects(frame));
        }
        baseline.learn(frame, &truth);
    }
    let both = |values: &mut Vec<f64>| [quantile(values, 0.5), values.iter().sum::<f64>() / values.len().max(1) as f64];
    BalanceFigures {
        max_over_mean: [quantile(&mut imbalance, 0.5), quantile(&mut imbalance, 0.95)],
        share_of_bound: quantile(&mut shares, 0.5),
        ghost_share: quantile(&mut ghosts, 0.5),
        within_p95: f64::from(within) / errors.len().max(1) as f64,
        cost_error: both(&mut errors),
        baseline_error: both(&mut baseline_errors),
        moving_borders: f64::from(moved) / longest_ns.len().max(1) as f64,
        longest_ns,
    }
}

/// Frames from the first missed deadline of a peer that is suddenly ten times slower until the longest peer's time is within
/// 10 % of what it is in the end, and how much longer than that it is in the frames from the throttling on.
pub fn throttle_recovery(recording: &Rc<Recording>, config: Config, seed: u64) -> (Option<u64>, Vec<f64>) {
    let interval = Duration::from_nanos((2.6 * FRAME_NS / SPEEDS.iter().sum::<f64>()) as u64);
    let at = Time::from_duration(interval * 60);
    let mut peers = four_peers();
    peers[1].faults.push(Fault::Throttle { at, factor: 10.0 });
    // What the optimum is afterwards: peers that were slow from the start, and are well known.
    let mut slow = four_peers();
    slow[1].speed /= 10.0;
    let run = |peers: Vec<SimPeer>| {
        let mut run = on_recording(recording, config.clone(), peers, FRAME_NS, false, seed);
        run.run(140, Pace::Every(interval), interval, None);
        run.frames
    };
    let (throttled, known) = (run(peers), run(slow));
    let took = |frame: &FrameRecord| frame.ended.map_or(f64::INFINITY, |(at, _)| at.ns_since(frame.begun) as f64);
    let first = throttled.iter().position(|frame| frame.begun >= at).unwrap_or(throttled.len());
    let ratio: Vec<f64> =
        throttled[first..].iter().zip(&known[first..]).map(|(a, b)| took(a) / took(b).max(1.0)).collect();
    let missed = throttled[first..].iter().position(|frame| frame.missing > 0).unwrap_or(0);
    let is_well = |from: usize| ratio[from..].iter().take(10).all(|ratio| *ratio <= 1.1);
    let recovered = (missed..ratio.len().saturating_sub(10)).find(|from| is_well(*from));
    (recovered.map(|frame| (frame - missed) as u64), ratio)
}

/// The value that this share of the values does not exceed; sorts them. NaN of nothing.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// The times of an alternative's peers, as figures: longest over mean, and share of the bound.
pub fn shared(ns: &[f64], bound_ns: f64) -> (f64, f64) {
    let longest = ns.iter().copied().fold(0.0, f64::max);
    let mean = ns.iter().sum::<f64>() / ns.len().max(1) as f64;
    (longest / mean.max(1.0), bound_ns / longest.max(1.0))
}
