//! Bench of what the system adds to tracing: four peer processes on loopback that answer with stored captures.

use crate::cpu_time::cpu_seconds;
use crate::peers::Peers;
use crate::report::{Report, median};
use glam::{Quat, Vec3};
use rayloom::frame::{Extent, LayerKind, LayerRequest};
use rayloom::scene::city::city;
use rayloom::scene::{Camera, Scene};
use rayloom::{Accumulation, Embedded, FrameDesc, Output, STAGES, Session, SessionDesc, StageTimes, ViewDesc};
use rayloom_peer::{CaptureWriter, Frame, RendererOptions, StoredTracer, Tracer, VulkanTracer};
use std::f32::consts::TAU;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Five times the frames.
    #[arg(long)]
    full: bool,
}

const SIZE: Extent = Extent::new(1280, 720);
const PEERS: usize = 4;
/// Distinct cameras, each with its own noise; the path is closed.
const CAPTURES: u32 = 60;
const FRAMES: u64 = 150;
/// Frames before those that count: the coordinator learns the peers' speeds, the history fills.
const WARM_UP: u64 = 30;
const SUBMITS_PER_SECOND: u64 = 10;
const CITY_TRIANGLES: usize = 200_000;
/// Longer than any frame takes: no tile is left out because it is late.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let source = city(CITY_TRIANGLES, 1);
    let file = captures(&source)?;
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
    let start_camera = camera(&source, 0);
    let scene = session.create_scene();
    let aspect_source = source.clone();
    scene.replace(source).map_err(text)?;
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
        view.begin_frame(FrameDesc::new(frame_id, revision, camera(&aspect_source, frame_id))).map_err(text)?;
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

/// As the demo asks for them: reflections and bounces at half resolution.
fn request(kind: LayerKind) -> LayerRequest {
    let scale = if matches!(kind, LayerKind::Specular | LayerKind::Indirect) { 2 } else { 1 };
    LayerRequest { kind, samples: 1, scale, bounces: LayerRequest::BOUNCES }
}

/// A closed path around the scene's first camera.
fn camera(source: &Scene, frame_id: u64) -> Camera {
    let turn = (frame_id % u64::from(CAPTURES)) as f32 / CAPTURES as f32 * TAU;
    let mut camera = source.default_camera(SIZE.width as f32 / SIZE.height as f32);
    camera.position += camera.rotation * Vec3::new(1.5 * turn.sin(), 0.0, 1.5 * (1.0 - turn.cos()));
    camera.rotation = Quat::from_rotation_y(0.1 * turn.sin()) * camera.rotation;
    camera
}

/// The file of captures, traced by this process where it is not there yet.
fn captures(source: &Scene) -> Result<PathBuf, String> {
    let path = PathBuf::from(format!("target/bench/stored-{}x{}.bin", SIZE.width, SIZE.height));
    if StoredTracer::open(&path).is_ok() {
        return Ok(path);
    }
    std::fs::create_dir_all("target/bench").map_err(|error| format!("target/bench: {error}"))?;
    let unfinished = path.with_extension("part");
    capture(source, &unfinished)?;
    std::fs::rename(&unfinished, &path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn capture(source: &Scene, path: &Path) -> Result<(), String> {
    println!("tracing {CAPTURES} captures of {}x{}, once", SIZE.width, SIZE.height);
    let options = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
    let tracer = VulkanTracer::new(&options, false).map_err(|error| error.to_string())?;
    let on_device = tracer.create_scene(source, &mut |_| ()).map_err(|error| error.to_string())?;
    let layers = LayerKind::REAL_TIME.map(request);
    let say = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut writer = CaptureWriter::create(path, SIZE, &layers, CAPTURES).map_err(say)?;
    let begun = Instant::now();
    for frame_id in 0..u64::from(CAPTURES) {
        let frame = Frame {
            previous_camera: camera(source, frame_id + u64::from(CAPTURES) - 1),
            ..Frame::new(frame_id, SIZE, camera(source, frame_id), layers.to_vec())
        };
        let traced = tracer.trace(&on_device, &frame, SIZE.rect(), None).map_err(|error| error.to_string())?;
        writer.add(&traced.tile).map_err(say)?;
        if frame_id % 10 == 9 {
            println!("  {} after {:.0} s", frame_id + 1, begun.elapsed().as_secs_f32());
        }
    }
    writer.finish().map_err(say)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_closed_and_its_steps_are_small() {
        let source = city(1000, 1);
        assert_eq!(camera(&source, 0), camera(&source, u64::from(CAPTURES)));
        for frame_id in 0..u64::from(CAPTURES) {
            let step = camera(&source, frame_id).position.distance(camera(&source, frame_id + 1).position);
            assert!(step > 0.0 && step < 0.2, "{step} m");
        }
    }

    #[test]
    fn the_largest_is_the_99th_of_a_hundred_only_once() {
        let mut values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.99), 99.0);
        assert_eq!(quantile(&mut values[..1], 0.99), 1.0);
    }
}
