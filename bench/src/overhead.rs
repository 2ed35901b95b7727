//! Bench of what the system adds to tracing: four peer processes on loopback that answer with stored captures.

use crate::captures::{CAPTURES, Shoot, request};
use crate::cpu_time::cpu_seconds;
use crate::peers::Peers;
use crate::report::{Report, median};
use rayloom::frame::{Extent, LayerKind};
use rayloom::scene::Camera;
use rayloom::scene::city::city;
use rayloom::{
    Accumulation, Embedded, FrameDesc, Output, STAGES, Session, SessionDesc, StageTimes, ViewDesc, ViewHandle,
};
use std::sync::Arc;
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
    let scene = session.create_scene();
    scene.replace(source.clone()).map_err(text)?;
    let revision = scene.commit().map_err(text)?;
    let view = session.create_view(desc.clone()).map_err(text)?;
    let course = Course { shoot: &shoot, revision };
    let first = course.wait_for_peers(&view)?;
    let frames = if arguments.full { 5 * FRAMES } else { FRAMES };
    let Driven { seen, late, bytes, cpu } = course.drive(&view, first, frames)?;
    let paced = session.create_view(ViewDesc { paced: true, ..desc }).map_err(text)?;
    let first = course.wait_for_peers(&paced)?;
    let steady = course.drive(&paced, first, frames)?.seen;
    let frames_seen: Vec<StageTimes> = seen.iter().map(|seen| seen.times).collect();
    let whole = seen.iter().filter(|seen| seen.is_whole).count() as u32;

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
    // How much intervals between outputs differ from those between their frames' begins.
    report.number("interval_deviation_ms_p95", quantile(&mut deviations(&seen), 0.95));
    report.number("paced.interval_deviation_ms_p95", quantile(&mut deviations(&steady), 0.95));
    report.number(
        "paced.held_ms_p50",
        median(&mut steady.iter().map(|seen| f64::from(seen.held_ms)).collect::<Vec<_>>()),
    );
    report.number("bytes_per_frame", bytes);
    report.number("engine_cpu_ms_per_frame", cpu * 1e3 / frames as f64);
    report.number("frames", frames as f64);
    report.number("frames_whole", f64::from(whole));
    report.number("submits_late", f64::from(late));
    report.number("captures", f64::from(CAPTURES));
    report.unknown("digests_checked", "layers come as RGB9E5, which a digest of the traced bits does not cover");
    Ok(report)
}

/// The camera's way, and the scene that it goes through.
struct Course<'a> {
    shoot: &'a Shoot<'a>,
    revision: u64,
}

/// A frame's output.
struct Seen {
    times: StageTimes,
    is_whole: bool,
    held_ms: f32,
    begun: Instant,
    acquired: Instant,
}

/// Frames that counted.
struct Driven {
    seen: Vec<Seen>,
    /// Of these, those that were begun later than they should.
    late: u32,
    /// A frame's traffic.
    bytes: f64,
    /// Seconds of all of them.
    cpu: f64,
}

impl Course<'_> {
    /// Shows frames until every peer has traced a part of one; the next frame. What comes before would measure the upload.
    fn wait_for_peers(&self, view: &ViewHandle) -> Result<u64, String> {
        let give_up = Instant::now() + Duration::from_secs(60);
        for frame_id in 0.. {
            let output = self.show(view, frame_id, self.shoot.camera(0))?;
            let has_traced = |peer: &u32| output.tiles.iter().any(|tile| tile.peer == *peer && tile.arrived);
            if (0..PEERS as u32).filter(has_traced).count() == PEERS {
                return Ok(frame_id + 1);
            }
            if Instant::now() > give_up {
                break;
            }
        }
        Err("the peers did not all answer within a minute".into())
    }

    fn show(&self, view: &ViewHandle, frame_id: u64, camera: Camera) -> Result<Arc<Output>, String> {
        let text = |error: rayloom::Error| error.to_string();
        view.begin_frame(FrameDesc::new(frame_id, self.revision, camera)).map_err(text)?;
        view.acquire(frame_id, 2 * PATIENCE).map_err(text)
    }

    /// Frames at the pace of an engine's frame clock; the first of them don't count.
    fn drive(&self, view: &ViewHandle, first: u64, frames: u64) -> Result<Driven, String> {
        let period = Duration::from_millis(1000 / SUBMITS_PER_SECOND);
        let traffic = || view.stats().peers.iter().map(|peer| peer.bytes_sent + peer.bytes_received).sum::<u64>();
        let mut driven = Driven { seen: Vec::new(), late: 0, bytes: 0.0, cpu: 0.0 };
        let (mut next, mut before) = (Instant::now(), (0, 0.0));
        for frame_id in first..first + WARM_UP + frames {
            let counts = frame_id >= first + WARM_UP;
            if frame_id == first + WARM_UP {
                before = (traffic(), cpu_seconds());
            }
            next += period;
            match next.checked_duration_since(Instant::now()) {
                Some(pause) => std::thread::sleep(pause),
                None => {
                    driven.late += u32::from(counts);
                    next = Instant::now();
                }
            }
            let begun = Instant::now();
            let output = self.show(view, frame_id, self.shoot.camera(frame_id))?;
            if counts {
                let (times, is_whole, held_ms) = (output.times, output.fresh >= 1.0, output.held_ms);
                driven.seen.push(Seen { times, is_whole, held_ms, begun, acquired: Instant::now() });
            }
        }
        driven.cpu = cpu_seconds() - before.1;
        driven.bytes = traffic().saturating_sub(before.0) as f64 / frames as f64;
        Ok(driven)
    }
}

/// Milliseconds by which intervals between outputs differ from those between their frames' begins.
fn deviations(seen: &[Seen]) -> Vec<f64> {
    let ms = |later: Instant, earlier: Instant| later.duration_since(earlier).as_secs_f64() * 1e3;
    let apart = |two: &[Seen]| ms(two[1].acquired, two[0].acquired) - ms(two[1].begun, two[0].begun);
    seen.windows(2).map(|two| apart(two).abs()).collect()
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
