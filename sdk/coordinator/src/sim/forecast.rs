//! What a fleet would do, before anyone rents it: frames a second, latency, traffic, and what holds it back.

use super::figures::quantile;
use super::scale::pace;
use super::{Pace, Recording, SimPeer, Simulation};
use crate::model::CostModel;
use crate::{Config, PeerPrior};
use rayloom_frame::{Extent, LayerRequest};
use std::rc::Rc;
use std::time::Duration;

/// Coded bytes of a traced pixel's layer, and of its planes of primary hits, which state mode needs; and bytes up of a pixel of the
/// engine's planes. From what the demo says of its traffic on the generated city at 256x144, one sample a pixel, without ghost
/// zones, in both modes.
pub const LAYER_BYTES: f64 = 1.4;
/// See [`LAYER_BYTES`].
pub const PRIMARY_BYTES: f64 = 8.8;
/// See [`LAYER_BYTES`].
pub const PLANES_BYTES: f64 = 4.8;
/// A frame's state and its tiles to one peer, with what the transport adds.
const STATE_BYTES: f64 = 900.0;
/// Frames that are simulated, the first half to warm up.
const FRAMES: u64 = 240;
/// Frames of the view that is made up for it.
const VIEW_FRAMES: u32 = 30;
/// Share of a link that results may take; the rest is headers, what is sent again, and others'.
const USABLE: f64 = 0.85;

/// A peer that could be rented.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedPeer {
    /// What it is called.
    pub name: String,
    /// Rays a second, as `rayloom-peer doctor` measures them.
    pub rays_per_second: f64,
    /// Round trip to it.
    pub rtt: Duration,
}

/// What is to be traced on which peers, over which line.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastRequest {
    /// Size of the view.
    pub extent: Extent,
    /// Frames a second that are wanted.
    pub fps: f64,
    /// Layers, and when each is late.
    pub layers: Vec<(LayerRequest, Duration)>,
    /// The engine sends its planes (G-buffer mode) instead of having primary hits traced.
    pub has_planes: bool,
    /// Who traces.
    pub peers: Vec<PlannedPeer>,
    /// What the engine's line carries, in bits a second; infinite where it is no limit.
    pub up_bits_per_second: f64,
    /// See `up_bits_per_second`.
    pub down_bits_per_second: f64,
    /// Width of ghost zones in pixels.
    pub ghost_px: u32,
}

/// What keeps frames from coming faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Nothing: as many come as are wanted.
    Wanted,
    /// The peers' speed.
    Tracing,
    /// What the engine sends.
    Uplink,
    /// What the peers answer.
    Downlink,
}

/// What a layer is to expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerForecast {
    /// Which.
    pub request: LayerRequest,
    /// When it is late.
    pub deadline: Duration,
    /// Share of frames that are whole by then.
    pub in_time: f64,
}

/// What would come of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Frames a second.
    pub fps: f64,
    /// What they are limited by.
    pub limit: Limit,
    /// What tracing, the uplink and the downlink would each allow, in frames a second.
    pub allowed: [f64; 3],
    /// From a frame's begin to its last tile's arrival, in milliseconds: median and 95th percentile. Merging and composing come after.
    pub latency_ms: [f64; 2],
    /// Layer by layer.
    pub layers: Vec<LayerForecast>,
    /// Rays of a frame.
    pub rays: f64,
    /// Pixels traced twice for ghost zones, over the view's.
    pub ghost_share: f64,
    /// Bytes of a frame that the engine sends, and that it gets.
    pub frame_bytes: [f64; 2],
    /// Share of its time that each peer works.
    pub busy: Vec<f64>,
}

impl Limit {
    /// One word, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::Wanted => "wanted",
            Limit::Tracing => "tracing",
            Limit::Uplink => "uplink",
            Limit::Downlink => "downlink",
        }
    }
}

impl Forecast {
    /// Megabits a second up and down.
    pub fn mbit_per_second(&self) -> [f64; 2] {
        self.frame_bytes.map(|bytes| bytes * 8e-6 * self.fps)
    }

    /// Gigabytes an hour, both ways: what providers bill.
    pub fn gigabytes_per_hour(&self) -> f64 {
        self.frame_bytes.iter().sum::<f64>() * self.fps * 3600e-9
    }
}

/// Simulates the fleet on a view of a city that is made up, at the pace that it can keep.
///
/// # Errors
/// What of the request makes no sense, in words.
pub fn forecast(request: &ForecastRequest, seed: u64) -> Result<Forecast, String> {
    check(request)?;
    let recording = Rc::new(Recording::made_up(request.extent, VIEW_FRAMES, seed));
    let rays = rays(request, &recording);
    let fastest = request.peers.iter().map(|peer| peer.rays_per_second).fold(0.0, f64::max);
    let frame_ns = rays / fastest * 1e9;
    let peers: Vec<SimPeer> = request.peers.iter().map(|peer| sim_peer(peer, fastest)).collect();
    let run = |pace: Pace, in_flight: usize| {
        let config = Config { max_frames_in_flight: in_flight, ..Config::default() };
        let mut run = simulation(request, &recording, config, peers.clone(), frame_ns, seed);
        run.run(FRAMES, pace, Duration::from_secs(20), None);
        run
    };
    let speeds: f64 = request.peers.iter().map(|peer| peer.rays_per_second / fastest).sum();
    let rtt_ns = request.peers.iter().map(|peer| 1.2 * peer.rtt.as_nanos() as f64).fold(0.0, f64::max);
    let in_flight = (2 + (rtt_ns * speeds / frame_ns).ceil() as usize).min(32);
    let busy = run(Pace::InFlight(in_flight), in_flight + 1);
    let (tracing_fps, _) = pace(&busy);
    let ghost_share = ghosts(&busy);
    let frame_bytes = frame_bytes(request, ghost_share);
    let line = [request.up_bits_per_second, request.down_bits_per_second];
    let [up_fps, down_fps] = [0, 1].map(|way| line[way] * USABLE / (8.0 * frame_bytes[way]));
    // Peers that are never idle are always behind.
    let allowed = [0.95 * tracing_fps, up_fps, down_fps];
    let limits = [Limit::Wanted, Limit::Tracing, Limit::Uplink, Limit::Downlink];
    let all = [request.fps, allowed[0], allowed[1], allowed[2]];
    let (limit, fps) = limits
        .into_iter()
        .zip(all)
        .fold((Limit::Wanted, f64::INFINITY), |least, this| if this.1 < least.1 { this } else { least });
    let steady = run(Pace::Every(Duration::from_secs_f64(1.0 / fps)), 32);
    // What the line adds to the last tile: its share of a frame's bytes at full rate.
    let sending_ms = frame_bytes.iter().zip(line).map(|(bytes, line)| bytes * 8e3 / line).sum::<f64>();
    let half = &steady.frames[steady.frames.len() / 2..];
    let mut latencies: Vec<f64> = half
        .iter()
        .map(|frame| frame.ended.map_or(20e3, |(at, _)| at.ns_since(frame.begun) as f64 * 1e-6) + sending_ms)
        .collect();
    let in_time = |deadline: Duration| {
        let within = latencies.iter().filter(|ms| **ms <= deadline.as_secs_f64() * 1e3);
        within.count() as f64 / latencies.len().max(1) as f64
    };
    let layers = request
        .layers
        .iter()
        .map(|(layer, deadline)| LayerForecast { request: *layer, deadline: *deadline, in_time: in_time(*deadline) })
        .collect();
    let total_ns = steady.now().0.max(1) as f64;
    let worked = |peer: usize| {
        let own = steady.spans.iter().filter(|span| span.peer.0 as usize == peer);
        own.map(|span| span.ended.ns_since(span.begun) as f64).sum::<f64>() / total_ns
    };
    Ok(Forecast {
        fps,
        limit,
        allowed,
        layers,
        latency_ms: [0.5, 0.95].map(|share| quantile(&mut latencies, share)),
        rays,
        ghost_share,
        frame_bytes,
        busy: (0..peers.len()).map(worked).collect(),
    })
}

fn check(request: &ForecastRequest) -> Result<(), String> {
    let side = 16..=rayloom_wire::limits::VIEW_SIDE;
    let Extent { width, height } = request.extent;
    if !side.contains(&width) || !side.contains(&height) {
        return Err(format!("a view of {width}x{height}: its sides may be 16 to {}", side.end()));
    }
    if !(1..=64).contains(&request.peers.len()) {
        return Err(format!("{} peers: a forecast takes 1 to 64", request.peers.len()));
    }
    if request.layers.is_empty() {
        return Err("no layers: name at least one".into());
    }
    if !(0.1..=1000.0).contains(&request.fps) {
        return Err(format!("{} frames a second: 0.1 to 1000 make sense", request.fps));
    }
    for peer in &request.peers {
        if !(1e4..=1e13).contains(&peer.rays_per_second) {
            return Err(format!("{} with {} rays a second: 1e4 to 1e13 make sense", peer.name, peer.rays_per_second));
        }
        if peer.rtt > Duration::from_secs(10) {
            return Err(format!("{} with a round trip of {:?}: at most 10 s make sense", peer.name, peer.rtt));
        }
    }
    for (line, what) in [(request.up_bits_per_second, "up"), (request.down_bits_per_second, "down")] {
        if line.is_nan() || line < 1e4 {
            return Err(format!("a line of {line} bits a second {what}: at least 10,000 make sense"));
        }
    }
    Ok(())
}

/// Rays of a frame in the mean, by the cost model's prior.
fn rays(request: &ForecastRequest, recording: &Recording) -> f64 {
    let model = CostModel::new();
    let layers: Vec<LayerRequest> = request.layers.iter().map(|(layer, _)| *layer).collect();
    let pixels = super::recording::block_pixels(request.extent);
    let frame = |features: &rayloom_frame::features::BlockFeatures| -> f64 {
        let blocks = features.values.iter().zip(&pixels);
        blocks.map(|(block, pixels)| f64::from(model.rays(block, &layers) * pixels)).sum()
    };
    recording.frames.iter().map(|f| frame(&f.features)).sum::<f64>() / recording.frames.len().max(1) as f64
}

/// Bytes up and down of a frame.
fn frame_bytes(request: &ForecastRequest, ghost_share: f64) -> [f64; 2] {
    let pixels = request.extent.pixels() as f64 * (1.0 + ghost_share);
    let layer = |layer: &LayerRequest| LAYER_BYTES / f64::from(layer.scale).powi(2);
    let layers: f64 = request.layers.iter().map(|(request, _)| layer(request)).sum();
    let (up, primary) = if request.has_planes { (PLANES_BYTES, 0.0) } else { (0.0, PRIMARY_BYTES) };
    [pixels * up + STATE_BYTES * request.peers.len() as f64, pixels * (layers + primary)]
}

fn sim_peer(peer: &PlannedPeer, fastest: f64) -> SimPeer {
    let prior = PeerPrior { rays_per_second: peer.rays_per_second as f32, ..PeerPrior::default() };
    let speed = peer.rays_per_second / fastest;
    SimPeer { tile_overhead: Duration::from_micros(200), prior, ..SimPeer::new(speed).at_rtt(peer.rtt) }
}

fn simulation(
    request: &ForecastRequest,
    recording: &Rc<Recording>,
    config: Config,
    peers: Vec<SimPeer>,
    frame_ns: f64,
    seed: u64,
) -> Simulation {
    let scale = frame_ns / recording.mean_frame_ns();
    let (truth, seen, has_planes) = (recording.clone(), recording.clone(), request.has_planes);
    let layers = request.layers.iter().map(|(layer, _)| *layer).collect();
    Simulation::new(config, seed, request.extent, peers, move |frame| truth.truth(frame, scale))
        .with_ghosts(request.ghost_px)
        .foreseeing(layers, move |frame| seen.foreseen(frame, has_planes))
}

fn ghosts(run: &Simulation) -> f64 {
    let mut ghosts: Vec<f64> = run.frames.iter().map(|frame| f64::from(frame.plan.ghost_share)).collect();
    quantile(&mut ghosts, 0.5)
}
