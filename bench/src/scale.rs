//! Bench of fleets in the simulator, on recorded costs: what arrives of their speed, and whether they are ever slower than
//! the best of their peers alone.

use crate::costs;
use crate::report::Report;
use rayloom_coordinator::sim::Recording;
use rayloom_coordinator::sim::figures::quantile;
use rayloom_coordinator::sim::scale::{healthy_fleet, ratio_to_best_single, scale};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// 1,000 fleets instead of 60.
    #[arg(long)]
    full: bool,
}

const RTT: Duration = Duration::from_millis(20);
/// A frame on a peer of speed 1: a picture that 64 peers are worth while for.
const FRAME_NS: f64 = 1e9;
const FRAMES: u64 = 240;
/// The fleets that are compared with their best peer: a frame that one peer can do.
const SMALL_FRAME_NS: f64 = 120e6;
const FLEET_FRAMES: u64 = 300;

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let (recording, path) = costs::recording()?;
    let shared = Rc::new(recording.clone());
    let mut report = Report::new("scale");
    for peers in [1, 2, 4, 8, 16, 32, 64] {
        let fleet = healthy_fleet(peers, RTT, 1);
        let mut found = scale(&shared, &fleet, FRAME_NS, FRAMES, Some(stopwatch));
        report.number(format!("efficiency.{peers}"), found.efficiency);
        report.number(format!("frame_latency_ms.{peers}"), found.latency_ms);
        report.number(format!("frame_latency_alone_ms.{peers}"), found.alone_ms);
        report.number(format!("ghost_share_pct.{peers}"), 100.0 * found.ghost_share);
        report.number(format!("plan_us_p50.{peers}"), quantile(&mut found.plan_ns, 0.5) * 1e-3);
    }
    let fleets = if arguments.full { 1000 } else { 60 };
    let ratios = ratios(&recording, fleets);
    let worst = |which: usize| ratios.iter().map(|ratio| ratio[which]).fold(0.0, f64::max);
    report.number("worst_ratio_to_best_single_p50", worst(0));
    report.number("worst_ratio_to_best_single_p95", worst(1));
    for (which, name) in ["p50", "p95"].into_iter().enumerate() {
        let mut all: Vec<f64> = ratios.iter().map(|ratio| ratio[which]).collect();
        report.number(format!("ratio_to_best_single_{name}_median"), quantile(&mut all, 0.5));
    }
    report.number("fleets", fleets as f64);
    report.number("frames_a_fleet", FLEET_FRAMES as f64);
    report.number("frame_ms_at_speed_1", FRAME_NS * 1e-6);
    println!("costs: {}", path.display());
    Ok(report)
}

/// Frame times of seeded fleets over those of their best peers alone, on all cores.
fn ratios(recording: &Recording, fleets: u64) -> Vec<[f64; 2]> {
    let (next, found) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let work = || {
        let recording = Rc::new(recording.clone());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= fleets {
                return;
            }
            let ratio = ratio_to_best_single(&recording, SMALL_FRAME_NS, FLEET_FRAMES, seed);
            if let Ok(mut found) = found.lock() {
                found.push(ratio);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    found.into_inner().unwrap_or_default()
}

/// Nanoseconds since the first call.
fn stopwatch() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}
