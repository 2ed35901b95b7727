//! Bench of equal work: how equal the peers' times are on recorded costs, how well tiles' times are predicted, and how other
//! ways to share a frame do on the same costs.

use crate::costs;
use crate::finer;
use crate::merge;
use crate::report::{Report, median};
use rayloom_coordinator::Config;
use rayloom_coordinator::sim::figures::{self, BalanceFigures, FRAME_NS, SPEEDS, quantile};
use rayloom_coordinator::sim::{Equalizer, Pace, Recording, Sharing, SplitMix, svg};
use std::rc::Rc;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Ten times the frames.
    #[arg(long)]
    full: bool,
    /// Writes target/bench/balance.svg (timelines, tiles, costs, predictions, errors) and alternatives.svg (other ways to share the
    /// same frames).
    #[arg(long)]
    plot: bool,
}

/// Three times around the recorded path.
const FRAMES: u64 = 180;
const GHOST_PX: u32 = 8;
/// Seeds by which a peer is throttled.
const THROTTLED: u64 = 30;

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let (recording, path) = costs::recording()?;
    let recording = Rc::new(recording);
    let frames = if arguments.full { 10 * FRAMES } else { FRAMES };
    let ours = figures::balance(&recording, Config::default(), frames, false, 1);
    let with_planes = figures::balance(&recording, Config::default(), frames, true, 1);
    let mut report = Report::new("balance");
    report.number("max_over_mean_p50", ours.max_over_mean[0]);
    report.number("max_over_mean_p95", ours.max_over_mean[1]);
    report.number("share_of_bound", ours.share_of_bound);
    report.number("ghost_share_pct", 100.0 * ours.ghost_share);
    speedups(&mut report, &recording, &ours);
    report.number("cost_error_pct", 100.0 * ours.cost_error[0]);
    report.number("cost_error_baseline_pct", 100.0 * ours.baseline_error[0]);
    report.number("cost_error_mean_pct", 100.0 * ours.cost_error[1]);
    report.number("cost_error_baseline_mean_pct", 100.0 * ours.baseline_error[1]);
    report.number("with_planes.cost_error_pct", 100.0 * with_planes.cost_error[0]);
    report.number("with_planes.cost_error_baseline_pct", 100.0 * with_planes.baseline_error[0]);
    report.number("with_planes.max_over_mean_p50", with_planes.max_over_mean[0]);
    // The same frames, a ray as dear as any other: without the noise of times on a machine that others use too.
    let by_rays = Rc::new(by_rays(&recording));
    let counted = figures::balance(&by_rays, Config::default(), frames, false, 1);
    report.number("by_rays.max_over_mean_p50", counted.max_over_mean[0]);
    report.number("by_rays.max_over_mean_p95", counted.max_over_mean[1]);
    report.number("by_rays.share_of_bound", counted.share_of_bound);
    report.number("by_rays.cost_error_pct", 100.0 * counted.cost_error[0]);
    report.number("by_rays.cost_error_baseline_pct", 100.0 * counted.baseline_error[0]);
    report.number("tiles_within_p95_pct", 100.0 * ours.within_p95);
    report.number("frames_with_moving_borders_pct", 100.0 * ours.moving_borders);
    report.number("complexity_cpu_ms", merge::features_cpu_ms()?);
    throttled(&mut report, &recording);
    let mut ways = vec![("this", ours.max_over_mean[0], ours.share_of_bound)];
    ways.extend(alternatives(&mut report, &recording, frames.min(FRAMES)));
    finer::blocks(&mut report, &recording, GHOST_PX)?;
    report.number("recorded_frames", recording.frames.len() as f64);
    report.number("recorded_frame_cpu_ms", recording.mean_frame_ns() * 1e-6);
    report.number("frame_ms_at_speed_1", FRAME_NS * 1e-6);
    if arguments.plot {
        plot(&recording)?;
        plot_ways(&ways)?;
    }
    println!(
        "costs: CPU time of parts of 64x48 pixels on this machine's Vulkan device, divided among their blocks by rays;"
    );
    println!("       scaled to {} ms a frame; {}", FRAME_NS * 1e-6, path.display());
    Ok(report)
}

/// One peer is suddenly ten times slower, at other moments of other noise: one run says little.
fn throttled(report: &mut Report, recording: &Rc<Recording>) {
    let recovery = |seed: u64| figures::throttle_recovery(recording, Config::default(), seed).0;
    // Who never gets there counts as longer than any run.
    let mut frames: Vec<f64> = (1..=THROTTLED).map(|seed| recovery(seed).map_or(f64::INFINITY, |f| f as f64)).collect();
    let in_five = frames.iter().filter(|frames| **frames <= 5.0).count();
    for (key, share) in [("throttle_recovery_frames", 0.5), ("throttle_recovery_frames_p90", 0.9)] {
        match quantile(&mut frames, share) {
            found if found.is_finite() => report.number(key, found),
            _ => report.unknown(key, "not within 10 % of the new optimum for ten frames in a row"),
        }
    }
    report.number("throttle_recovered_in_5_pct", 100.0 * in_five as f64 / THROTTLED as f64);
}

/// The same recording, each block as dear as its rays are many.
fn by_rays(recording: &Recording) -> Recording {
    let mut counted = recording.clone();
    for (number, frame) in counted.frames.iter_mut().enumerate() {
        frame.ns_per_px = recording.truth(number as u64, 1.0).rays_per_px;
    }
    counted
}

fn sharing(recording: &Recording) -> Sharing {
    Sharing { extent: recording.extent, speeds: SPEEDS.to_vec(), overhead_ns: 1e5, ghost_px: GHOST_PX, noise: 0.02 }
}

fn longest(ns: &[f64]) -> f64 {
    ns.iter().copied().fold(0.0, f64::max)
}

/// Quadrants in all their orders over what the coordinator's cut took: the mean order's, the best one's, the worst one's.
fn speedups(report: &mut Report, recording: &Recording, ours: &BalanceFigures) {
    let (sharing, mut random) = (sharing(recording), SplitMix(7));
    let took = median(&mut ours.longest_ns.clone());
    let mut by_order = vec![Vec::new(); 24];
    for frame in 0..recording.frames.len() as u64 {
        let truth = recording.truth(frame, FRAME_NS / recording.mean_frame_ns());
        let orders: Vec<f64> = sharing.grid(&truth, &mut random).iter().map(|ns| longest(ns)).collect();
        orders.iter().zip(&mut by_order).for_each(|(ns, of)| of.push(*ns));
    }
    let ratios: Vec<f64> = by_order.iter_mut().map(|order| median(order) / took).collect();
    report.number("speedup_over_quadrants_mean", ratios.iter().sum::<f64>() / ratios.len() as f64);
    report.number("speedup_over_quadrants_best", ratios.iter().copied().fold(f64::INFINITY, f64::min));
    report.number("speedup_over_quadrants_worst", ratios.iter().copied().fold(0.0, f64::max));
}

/// Other ways to share the same frames: name, longest over mean, share of the bound.
fn alternatives(report: &mut Report, recording: &Recording, frames: u64) -> Vec<(&'static str, f64, f64)> {
    let (sharing, mut random) = (sharing(recording), SplitMix(9));
    let mut equalizer = Equalizer::new(&sharing);
    let names = ["grid", "equalizer", "stealing_0ms", "stealing_5ms", "stealing_20ms", "interleave"];
    let mut found = vec![(Vec::new(), Vec::new()); names.len()];
    for frame in 0..frames {
        let truth = recording.truth(frame, FRAME_NS / recording.mean_frame_ns());
        let bound = sharing.bound_ns(&truth);
        let mut add = |index: usize, ns: &[f64]| {
            let (imbalance, share) = figures::shared(ns, bound);
            found[index].0.push(imbalance);
            found[index].1.push(share);
        };
        sharing.grid(&truth, &mut random).iter().for_each(|ns| add(0, ns));
        add(1, &equalizer.frame(&sharing, &truth, &mut random));
        for (index, wait_ms) in [(2, 0.0), (3, 5.0), (4, 20.0)] {
            add(index, &sharing.stealing(&truth, wait_ms * 1e6, &mut random));
        }
        add(5, &sharing.interleave(&truth, &mut random));
    }
    let medians = |(name, (imbalance, share)): (&&'static str, &mut (Vec<f64>, Vec<f64>))| {
        (*name, quantile(imbalance, 0.5), quantile(share, 0.5))
    };
    let ways: Vec<(&str, f64, f64)> = names.iter().zip(&mut found).map(medians).collect();
    for (name, imbalance, share) in &ways {
        report.number(format!("alt.{name}.max_over_mean_p50"), *imbalance);
        report.number(format!("alt.{name}.share_of_bound"), *share);
    }
    ways
}

fn plot(recording: &Rc<Recording>) -> Result<(), String> {
    let interval = Duration::from_millis(60);
    let peers = figures::four_peers();
    let mut run = figures::on_recording(recording, Config::default(), peers, FRAME_NS, false, 1);
    run.run(60, Pace::Every(interval), interval * 4, None);
    let path = "target/bench/balance.svg";
    std::fs::write(path, svg(&run, recording, 8)).map_err(|error| format!("{path}: {error}"))?;
    println!("plot: {path}");
    Ok(())
}

/// Bars of how equal the peers' times are, and of how much of the peers' speed is put to use.
fn plot_ways(ways: &[(&str, f64, f64)]) -> Result<(), String> {
    const ROW: f64 = 22.0;
    const BAR: f64 = 330.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"130\" y=\"18\">mean over longest of the peers' times</text><text x=\"500\" y=\"18\">share of the peers' speed that arrives</text>\n",
        40.0 + ROW * ways.len() as f64
    );
    for (row, (name, imbalance, share)) in (0..).zip(ways) {
        let y = 28.0 + ROW * f64::from(row);
        out += &format!("<text x=\"6\" y=\"{:.0}\">{name}</text>\n", y + 14.0);
        for (x, value, colour) in [(130.0, 1.0 / imbalance, "#4a7fb5"), (500.0, *share, "#c0743a")] {
            out += &format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{:.1}\" height=\"16\" fill=\"{colour}\"/><text x=\"{}\" y=\"{:.0}\" fill=\"#fff\">{value:.3}</text>\n",
                BAR * value.clamp(0.0, 1.0),
                x + 4.0,
                y + 13.0
            );
        }
    }
    out += "</svg>\n";
    let path = "target/bench/alternatives.svg";
    std::fs::write(path, out).map_err(|error| format!("{path}: {error}"))?;
    println!("plot: {path}");
    Ok(())
}
