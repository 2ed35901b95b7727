//! `rayloom plan`: a fleet in the simulator, before anyone rents it.

use clap::Args;
use rayloom_coordinator::sim::forecast::{Forecast, ForecastRequest, Limit, PlannedPeer, forecast};
use rayloom_coordinator::sim::gpus;
use rayloom_frame::{Extent, LayerKind, LayerRequest};
use serde_json::json;
use std::io::Write;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// GPUs by name (4090, L40S) or rays a second as `rayloom-peer doctor` measures them (850M), several of a kind as 4x4090.
    #[arg(long, value_name = "GPU", value_delimiter = ',', required = true)]
    peers: Vec<String>,
    /// Round trip to them in milliseconds: one for all, or one for each entry of --peers.
    #[arg(long, value_name = "MS", value_delimiter = ',', default_value = "20")]
    rtt: Vec<f64>,
    /// What the engine's line carries up, in Mbit/s.
    #[arg(long, value_name = "MBIT")]
    up: Option<f64>,
    /// What it carries down, in Mbit/s.
    #[arg(long, value_name = "MBIT")]
    down: Option<f64>,
    /// Size of the view.
    #[arg(long, value_name = "WxH", default_value = "1280x720")]
    size: String,
    /// Frames a second that are wanted.
    #[arg(long, default_value_t = 30.0)]
    fps: f64,
    /// Layers: direct, specular, indirect, unlit, or path alone.
    #[arg(long, value_delimiter = ',', default_value = "direct,specular,indirect,unlit")]
    layers: Vec<String>,
    /// Samples of each pixel and layer.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    samples: u8,
    /// Reflections and indirect light at half resolution.
    #[arg(long)]
    half: bool,
    /// The engine sends its G-buffer instead of having primary hits traced.
    #[arg(long)]
    gbuffer: bool,
    /// The same seed gives the same forecast.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let request = request(options)?;
    let forecast = forecast(&request, options.seed)?;
    let text = if options.json { as_json(&request, &forecast) } else { as_table(&request, &forecast) };
    match writeln!(std::io::stdout().lock(), "{text}") {
        // Nobody reads on, which is no reason to fail.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn request(options: &Options) -> Result<ForecastRequest, String> {
    let rtts = &options.rtt;
    if rtts.len() != 1 && rtts.len() != options.peers.len() {
        let (rtts, peers) = (rtts.len(), options.peers.len());
        return Err(format!(
            "--rtt names {rtts} round trips for {peers} entries of --peers: give one, or one for each"
        ));
    }
    let mut peers = Vec::new();
    for (entry, ms) in options.peers.iter().zip(rtts.iter().cycle()) {
        let rtt = Duration::try_from_secs_f64(ms * 1e-3).map_err(|error| format!("--rtt {ms}: {error}"))?;
        let (count, name) = counted(entry)?;
        let rays_per_second = speed(name)?;
        let peer = PlannedPeer { name: name.to_owned(), rays_per_second, rtt };
        peers.extend(std::iter::repeat_n(peer, count));
    }
    let extent = size(&options.size)?;
    let layer = |name: &String| {
        let kind = LayerKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names: Vec<&str> = LayerKind::ALL.iter().map(|kind| kind.name()).collect();
            format!("there is no layer {name}: --layers takes {}", names.join(", "))
        })?;
        let is_blurry = matches!(kind, LayerKind::Specular | LayerKind::Indirect);
        let scale = if options.half && is_blurry { 2 } else { 1 };
        let request = LayerRequest { samples: options.samples, scale, ..LayerRequest::new(kind) };
        Ok((request, rayloom::Tier::of(kind).default_deadline()))
    };
    let layers = options.layers.iter().map(layer).collect::<Result<Vec<_>, String>>()?;
    let is_path = |layer: &(LayerRequest, Duration)| layer.0.kind == LayerKind::Path;
    if layers.len() > 1 && layers.iter().any(is_path) {
        return Err("layer path is all light of the picture: ask for it alone, or for the others without it".into());
    }
    let line = |mbit: Option<f64>| mbit.map_or(f64::INFINITY, |mbit| mbit * 1e6);
    Ok(ForecastRequest {
        extent,
        fps: options.fps,
        layers,
        has_planes: options.gbuffer,
        peers,
        up_bits_per_second: line(options.up),
        down_bits_per_second: line(options.down),
        ghost_px: u32::from(rayloom::ViewDesc::new(extent).filter_radius),
    })
}

/// `4x4090` is four of them, `4090` one.
fn counted(entry: &str) -> Result<(usize, &str), String> {
    let Some((count, name)) = entry.split_once(['x', 'X']).filter(|(count, _)| count.parse::<usize>().is_ok()) else {
        return Ok((1, entry));
    };
    match count.parse() {
        Ok(count @ 1..=64) => Ok((count, name)),
        _ => Err(format!("{entry}: of one kind there may be 1 to 64")),
    }
}

/// Rays a second of a GPU, or as they are told: `850M`, `1.2G`.
fn speed(name: &str) -> Result<f64, String> {
    let told = |unit: char, factor: f64| name.strip_suffix(unit)?.parse::<f64>().ok().map(|number| number * factor);
    let found = told('M', 1e6).or_else(|| told('G', 1e9)).or_else(|| gpus::rays_per_second(name));
    found.ok_or_else(|| {
        let names: Vec<&str> = gpus::GPUS.iter().map(|(name, _)| *name).collect();
        format!(
            "no GPU is called {name:?}: use rays a second as `rayloom-peer doctor` measures them (850M), or one of {}",
            names.join(", ")
        )
    })
}

fn size(text: &str) -> Result<Extent, String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    sides
        .map(|(width, height)| Extent::new(width, height))
        .ok_or(format!("--size takes WxH like 1280x720, not {text:?}"))
}

fn as_table(request: &ForecastRequest, forecast: &Forecast) -> String {
    let Extent { width, height } = request.extent;
    let mode = if request.has_planes { "G-buffer" } else { "state" };
    let [tracing, up, down] = forecast.allowed;
    let [up_bytes, down_bytes] = forecast.frame_bytes.map(|bytes| bytes * 1e-6);
    let [up_mbit, down_mbit] = forecast.mbit_per_second();
    let limit = match forecast.limit {
        Limit::Wanted => "as many as are wanted".to_owned(),
        Limit::Tracing => {
            "the peers can trace no more: faster ones, half resolution or a smaller view would".to_owned()
        }
        Limit::Uplink => "the uplink carries no more: state mode or a smaller view would".to_owned(),
        Limit::Downlink => {
            "the downlink carries no more: half resolution, G-buffer mode or a smaller view would".to_owned()
        }
    };
    let mut lines = vec![
        format!(
            "{width}x{height}, {mode} mode, {:.1} million rays a frame, {} peers",
            forecast.rays * 1e-6,
            request.peers.len()
        ),
        String::new(),
        format!("frames a second   {:.1} of {} ({limit})", forecast.fps, request.fps),
        format!("  tracing allows {tracing:.1}, the uplink {}, the downlink {}", unlimited(up), unlimited(down)),
        format!(
            "latency           {:.0} ms, 95 of 100 frames within {:.0} ms",
            forecast.latency_ms[0], forecast.latency_ms[1]
        ),
    ];
    for layer in &forecast.layers {
        let (name, ms, share) = (layer.request.kind.name(), layer.deadline.as_millis(), 100.0 * layer.in_time);
        let after = if share < 99.0 { ", the rest is covered by history and comes late" } else { "" };
        lines.push(format!("  {name:<9} within {ms} ms: {share:.0} % of frames{after}"));
    }
    lines.push(format!("traffic up        {up_mbit:.1} Mbit/s ({up_bytes:.3} MB a frame)"));
    lines.push(format!("traffic down      {down_mbit:.1} Mbit/s ({down_bytes:.3} MB a frame)"));
    lines.push(format!("  {:.1} GB an hour", forecast.gigabytes_per_hour()));
    lines.push(format!("traced twice      {:.1} % of the pixels, for ghost zones", 100.0 * forecast.ghost_share));
    lines.push("peer  GPU           Mrays/s  rtt ms  busy %".into());
    for (index, (peer, busy)) in request.peers.iter().zip(&forecast.busy).enumerate() {
        let (rays, rtt) = (peer.rays_per_second * 1e-6, peer.rtt.as_secs_f64() * 1e3);
        lines.push(format!("{index:>4}  {:<12}  {rays:>7.0}  {rtt:>6.1}  {:>6.1}", peer.name, 100.0 * busy));
    }
    if request.peers.iter().any(|peer| gpus::rays_per_second(&peer.name).is_some()) {
        lines.push("GPUs' rays a second are an assumption from makers' figures: `rayloom-peer doctor` measures a machine's own.".into());
    }
    lines.join("\n")
}

fn unlimited(fps: f64) -> String {
    if fps.is_finite() { format!("{fps:.1}") } else { "any".into() }
}

fn as_json(request: &ForecastRequest, forecast: &Forecast) -> String {
    let finite = |number: f64| number.is_finite().then_some(number);
    let [up_mbit, down_mbit] = forecast.mbit_per_second();
    let layers: Vec<_> = forecast
        .layers
        .iter()
        .map(|l| json!({ "layer": l.request.kind.name(), "deadline_ms": l.deadline.as_millis() as u64, "in_time": l.in_time }))
        .collect();
    let peers: Vec<_> = request
        .peers
        .iter()
        .zip(&forecast.busy)
        .map(|(p, busy)| json!({ "name": p.name, "rays_per_second": p.rays_per_second, "rtt_ms": p.rtt.as_secs_f64() * 1e3, "busy": busy }))
        .collect();
    json!({
        "fps": forecast.fps, "limit": forecast.limit.name(),
        "fps_allowed": { "tracing": forecast.allowed[0], "uplink": finite(forecast.allowed[1]), "downlink": finite(forecast.allowed[2]) },
        "latency_ms_p50": forecast.latency_ms[0], "latency_ms_p95": forecast.latency_ms[1], "layers": layers,
        "rays_per_frame": forecast.rays, "ghost_share": forecast.ghost_share,
        "up_mbit_per_second": up_mbit, "down_mbit_per_second": down_mbit,
        "gigabytes_per_hour": forecast.gigabytes_per_hour(), "peers": peers,
    })
    .to_string()
}
