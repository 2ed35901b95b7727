//! Bench of what the system adds to tracing: four peer processes on loopback that answer with stored captures.

use crate::captures::{CAPTURES, Shoot, request};
use crate::cpu_time::cpu_seconds;
use crate::peers::Peers;
use crate::report::{Report, median};
use rayloom::frame::{Extent, LayerKind};
use rayloom::scene::city::city;
use rayloom::{Accumulation, Embedded, FrameDesc, Output, STAGES, Session, SessionDesc, StageTimes, ViewDesc};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Five times the frames.
    #[arg(long)]
    full: bool,
}

const SIZE: Extent = Extent::new(1280, 720);
const PEERS: usize = 4;
/// Of the circle that the camera goes.
const RADIUS_M: f32 = 1.5;
const FRAMES: u64 = 150;
/// Frames before those that count: the coordinator learns the peers' speeds, the history fills.
const WARM_UP: u64 = 30;
const SUBMITS_PER_SECOND: u64 = 10;
const CITY_TRIANGLES: usize = 200_000;
/// Longer than any frame takes: no tile is left out because it is late.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let source = city(CITY_TRIANGLES, 1);
    let layers = LayerKind::REAL_TIME.map(request);
    let shoot = Shoot { source: &source, size: SIZE, radius_m: RADIUS_M, layers: &layers };
    let file = shoot.captures()?;
    let trace = format!("stored:{}", file.display());
    let peers = Peers::start(PEERS, &["--trace", &trace])?;
    let text = |error: rayloom::Error| error.to_string();
    let session = Session::new(SessionDesc {
        peers: peers.addresses.clone(),
        embedded: Embedded::Never,
        accept_stored_traces: true,
        ..SessionDesc::default()
    })
    .map_err(text)?;
    let mut desc = ViewDesc::new(SIZE);
    desc.accumulation = Accumulation::Frames(12);
    for layer in &mut desc.layers {
        layer.deadline = PATIENCE;
        layer.request = request(layer.request.kind);
    }
    let view = session.create_view(desc).map_err(text)?;
    let start_camera = shoot.camera(0);
    let scene = session.create_scene();
    scene.replace(source.clone()).map_err(text)?;
    let revision = scene.commit().map_err(text)?;

    // Frames before every peer has the scene would measure the upload.
    let give_up = Instant::now() + Duration::from_secs(60);
    let mut first = 0;
    loop {
        view.begin_frame(FrameDesc::new(first, revision, start_camera)).map_err(text)?;
        let output = view.acquire(first, 2 * PATIENCE).map_err(text)?;
        first += 1;
        let peers_used =
            (0..PEERS as u32).filter(|peer| output.tiles.iter().any(|tile| tile.peer == *peer && tile.arrived));
        if peers_used.count() == PEERS {
            break;
        }
        if Instant::now() > give_up {
            return Err("the peers did not all answer within a minute".into());
        }
    }

    let frames = if arguments.full { 5 * FRAMES } else { FRAMES };
    let period = Duration::from_millis(1000 / SUBMITS_PER_SECOND);
    let mut frames_seen: Vec<StageTimes> = Vec::new();
    let (mut whole, mut late, mut bytes) = (0, 0, 0);
    let traffic = || view.stats().peers.iter().map(|peer| peer.bytes_sent + peer.bytes_received).sum::<u64>();
    let mut next = Instant::now();
    let mut cpu = 0.0;
    for frame_id in first..first + WARM_UP + frames {
        let counts = frame_id >= first + WARM_UP;
        if frame_id == first + WARM_UP {
            (bytes, cpu) = (traffic(), cpu_seconds());
        }
        next += period;
        // The bench's own pace, as an engine's frame clock would set it.
        match next.checked_duration_since(Instant::now()) {
            Some(pause) => std::thread::sleep(pause),
            None => {
                late += u32::from(counts);
                next = Instant::now();
            }
        }
        view.begin_frame(FrameDesc::new(frame_id, revision, shoot.camera(frame_id))).map_err(text)?;
        let output: std::sync::Arc<Output> = view.acquire(frame_id, 2 * PATIENCE).map_err(text)?;
        if counts {
            whole += u32::from(output.fresh >= 1.0);
            frames_seen.push(output.times);
        }
    }
    let cpu = cpu_seconds() - cpu;
    let bytes = traffic().saturating_sub(bytes) as f64 / frames as f64;

    let mut report = Report::new("overhead");
    // The stored lookup stands where tracing would.
    let mut added = column(&frames_seen, |t| t.total_ms - t.trace_ms);
    report.number("added_ms_p50", median(&mut added));
    report.number("added_ms_p99", quantile(&mut added, 0.99));
    for (name, stage) in STAGES {
        report.number(format!("{name}_ms_p50"), median(&mut column(&frames_seen, stage)));
    }
    let residual = |t: &StageTimes| (t.total_ms - STAGES.iter().map(|(_, stage)| stage(t)).sum::<f32>()).abs();
    report.number("ledger_residual_ms_p99", quantile(&mut column(&frames_seen, residual), 0.99));
    report.number("bytes_per_frame", bytes);
    report.number("engine_cpu_ms_per_frame", cpu * 1e3 / frames as f64);
    report.number("frames", frames as f64);
    report.number("frames_whole", f64::from(whole));
    report.number("submits_late", f64::from(late));
    report.number("captures", f64::from(CAPTURES));
    report.unknown("digests_checked", "layers come as RGB9E5, which a digest of the traced bits does not cover");
    Ok(report)
}

fn column(frames: &[StageTimes], of: impl Fn(&StageTimes) -> f32) -> Vec<f64> {
    frames.iter().map(|times| f64::from(of(times))).collect()
}

/// The value that this share of the values does not exceed.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_the_99th_of_a_hundred_only_once() {
        let mut values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.99), 99.0);
        assert_eq!(quantile(&mut values[..1], 0.99), 1.0);
    }
}
