//! The stream: what encoding costs, and what a Chromium sees of it over WHEP on this machine.

use crate::cpu_time::cpu_seconds;
use crate::report::{Report, median};
use openh264::OpenH264API;
use openh264::decoder::Decoder;
use openh264::encoder::{
    BitRate, Complexity, Encoder as BareEncoder, EncoderConfig, FrameRate, Profile, RateControlMode, UsageType,
};
use openh264::formats::{YUVSlices, YUVSource};
use rayloom_stream::{
    Encoder, EncoderSettings, InputEvent, InputKind, KeyCode, Picture, Stream, StreamDesc, StreamServer,
};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const FPS: f32 = 30.0;
const BITRATE_BPS: u32 = 6_000_000;
/// Stored frames; they run forwards and back.
const STORED: usize = 24;
/// The side of a block of the time code, pixels: a macroblock, so that coding keeps it apart.
const BLOCK: usize = 16;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Measure a minute in the browser instead of fifteen seconds.
    #[arg(long)]
    full: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let mut report = Report::new("stream");
    let frames: Vec<Vec<u8>> = (0..STORED).map(draw).collect();
    encoding(&frames, &mut report)?;
    let seconds = if arguments.full { 60 } else { 15 };
    browser(&frames, seconds, &mut report)?;
    report.number("width", f64::from(WIDTH));
    report.number("height", f64::from(HEIGHT));
    report.number("bitrate_bps", f64::from(BITRATE_BPS));
    for key in ["follow_after_estimate_frames", "follow_after_link_ms"] {
        report.unknown(key, "the bitrate does not follow an estimate of the link yet: it changes by call only");
    }
    report.unknown("lip_sync_ms", "the stream carries no sound yet");
    Ok(report)
}

/// A view that pans over fine texture, with boxes that move against it: what a game's frame costs
/// lies between this and flat colour.
fn draw(frame: usize) -> Vec<u8> {
    let shift = frame as f32 * 2.7;
    let mut rgba = Vec::with_capacity((WIDTH * HEIGHT * 4) as usize);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (u, v) = (x as f32 + shift, y as f32);
            let mut light = 90.0 * noise(u / 160.0, v / 160.0) + 45.0 * noise(u / 34.0, v / 34.0);
            if v > HEIGHT as f32 * 0.4 {
                light += 30.0 * noise(u / 5.0, v / 5.0);
            }
            let column = (u / 90.0) as u32;
            let roof = 200.0 + (column * 7919 % 13) as f32 * 24.0;
            let [r, g, b] = if v > roof { [1.0, 0.92, 0.8] } else { [0.55, 0.75, 1.0] };
            let box_x = (300.0 + 9.0 * frame as f32) % WIDTH as f32;
            let boxed = (box_x..box_x + 80.0).contains(&(x as f32)) && (400..480).contains(&y);
            let base = if boxed { 160.0 } else { 50.0 };
            rgba.extend([r, g, b].map(|tint| (tint * (base + light)).clamp(0.0, 255.0) as u8));
            rgba.push(255);
        }
    }
    rgba
}

/// Value noise in 0..1, smooth between lattice points.
fn noise(x: f32, y: f32) -> f32 {
    let corner = |dx: i32, dy: i32| {
        let seed =
            (x.floor() as i32 + dx).wrapping_mul(374_761_393) ^ (y.floor() as i32 + dy).wrapping_mul(668_265_263);
        let mixed = (seed ^ (seed >> 13)).wrapping_mul(1_274_126_177);
        ((mixed ^ (mixed >> 16)) & 0xffff) as f32 / 65_535.0
    };
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (smooth(x - x.floor()), smooth(y - y.floor()));
    let top = corner(0, 0) * (1.0 - u) + corner(1, 0) * u;
    let bottom = corner(0, 1) * (1.0 - u) + corner(1, 1) * u;
    top * (1.0 - v) + bottom * v
}

/// Our encoder and the crate's with one slice, on the same pictures in turn.
fn encoding(frames: &[Vec<u8>], report: &mut Report) -> Result<(), String> {
    let say = |error: rayloom_stream::StreamError| error.to_string();
    let settings = EncoderSettings { width: WIDTH, height: HEIGHT, max_fps: FPS, bitrate_bps: BITRATE_BPS };
    let mut ours = Encoder::new(settings).map_err(say)?;
    let config = EncoderConfig::new()
        .usage_type(UsageType::CameraVideoRealTime)
        .complexity(Complexity::Low)
        .profile(Profile::Baseline)
        .rate_control_mode(RateControlMode::Bitrate)
        .bitrate(BitRate::from_bps(BITRATE_BPS))
        .max_frame_rate(FrameRate::from_hz(FPS));
    let mut bare =
        BareEncoder::with_api_config(OpenH264API::from_source(), config).map_err(|error| error.to_string())?;
    let mut decoder = Decoder::new().map_err(|error| error.to_string())?;
    let mut picture = Picture::black(WIDTH, HEIGHT);
    let (mut convert, mut encode, mut encode_wall, mut bare_encode) = (vec![], vec![], vec![], vec![]);
    let (mut bytes, mut psnr) = (vec![], vec![]);
    for step in 0..240_usize {
        let begin = cpu_seconds();
        picture.fill_from_rgba(&frames[bounce(step)], WIDTH, HEIGHT, WIDTH as usize * 4).map_err(say)?;
        let converted = cpu_seconds();
        let wall = Instant::now();
        let time_ms = (step * 33) as u64;
        let encoded = ours.encode(&picture, time_ms).map_err(say)?;
        let wall = wall.elapsed();
        let encoded_at = cpu_seconds();
        let (y, u, v) = picture.planes();
        let (w, h) = (WIDTH as usize, HEIGHT as usize);
        let source = YUVSlices::new((y, u, v), (w, h), (w, w / 2, w / 2));
        bare.encode_at(&source, openh264::Timestamp::from_millis(time_ms)).map_err(|error| error.to_string())?;
        let bare_at = cpu_seconds();
        let decoded = decoder.decode(&encoded.annex_b).map_err(|error| error.to_string())?;
        // The first pictures fill the rate control's window.
        if step < 30 {
            continue;
        }
        convert.push((converted - begin) * 1e3);
        encode.push((encoded_at - converted) * 1e3);
        encode_wall.push(wall.as_secs_f64() * 1e3);
        bare_encode.push((bare_at - encoded_at) * 1e3);
        bytes.push(encoded.annex_b.len() as f64);
        psnr.push(decoded.map_or(f64::NAN, |decoded| planes_psnr_db(&picture, &decoded)));
    }
    report.number("convert_cpu_ms_p50", median(&mut convert));
    report.number("encode_cpu_ms_p50", median(&mut encode));
    report.number("encode_wall_ms_p50", median(&mut encode_wall));
    report.number("bare_encoder_cpu_ms_p50", median(&mut bare_encode));
    report.number("bytes_per_frame_p50", median(&mut bytes));
    report.number("psnr_db", median(&mut psnr));
    Ok(())
}

/// Over all samples of the three planes together.
fn planes_psnr_db(picture: &Picture, decoded: &impl YUVSource) -> f64 {
    let (y, u, v) = picture.planes();
    let strides = decoded.strides();
    let width = picture.width() as usize;
    let (mut squares, mut samples) = (0.0, 0);
    for (ours, theirs, stride, row) in [
        (y, decoded.y(), strides.0, width),
        (u, decoded.u(), strides.1, width / 2),
        (v, decoded.v(), strides.2, width / 2),
    ] {
        samples += ours.len();
        for (a, b) in ours.chunks_exact(row).zip(theirs.chunks(stride)) {
            squares += a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum::<f64>();
        }
    }
    10.0 * (255.0 * 255.0 / (squares / samples as f64)).log10()
}

/// Forwards and back: 0 1 2 .. n-1 .. 2 1 0 1 ..
fn bounce(step: usize) -> usize {
    let phase = step % (2 * STORED - 2);
    phase.min(2 * STORED - 2 - phase)
}

const BROWSER_KEYS: [&str; 10] = [
    "fps",
    "dropped_pct",
    "freezes",
    "jitter_buffer_ms",
    "glass_to_glass_ms_p50",
    "glass_to_glass_ms_p99",
    "input_to_photon_ms_p50",
    "first_frame_ms",
    "stream_cpu_ms_per_frame",
    "encode_busy_ms_p50",
];

/// What Chromium measures while an engine's loop submits at 30 fps.
fn browser(frames: &[Vec<u8>], seconds: u32, report: &mut Report) -> Result<(), String> {
    let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let driver = Path::new("bindings/web/node_modules/playwright-core").exists();
    let Some(chromium) = chromium.filter(|_| driver) else {
        for key in BROWSER_KEYS {
            report.unknown(key, "needs Chromium, and `npm ci` in bindings/web");
        }
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let desc =
        StreamDesc { width: WIDTH, height: HEIGHT, max_fps: FPS, bitrate_bps: BITRATE_BPS, ..StreamDesc::default() };
    let stream = StreamServer::start(desc, runtime.handle()).map_err(|error| error.to_string())?;
    let task = serde_json::json!({
        "url": format!("http://{}/", stream.local_addr()),
        "chromium": chromium,
        "seconds": seconds,
        "presses": 20,
    });
    let cpu = cpu_seconds();
    let ended = AtomicBool::new(false);
    let output = std::thread::scope(|scope| {
        let engine = scope.spawn(|| engine(&stream, frames, &ended));
        let output = Command::new("node").arg("bench/browser/stream.mjs").arg(task.to_string()).output();
        ended.store(true, Ordering::Release);
        engine.join().expect("the engine's loop does not panic")?;
        output.map_err(|error| format!("node does not run: {error}"))
    })?;
    let cpu = cpu_seconds() - cpu;
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        format!("the browser's driver failed ({error}): {}", String::from_utf8_lossy(&output.stderr))
    })?;
    let stats = stream.stats();
    let number = |key: &str| seen[key].as_f64().unwrap_or(f64::NAN);
    let list = |key: &str| -> Vec<f64> {
        let mut values: Vec<f64> = seen[key].as_array().into_iter().flatten().filter_map(|v| v.as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let latencies = list("latencies");
    let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    let undecoded = (number("received") - number("decoded")).max(0.0) / number("received");
    let replaced = stats.dropped as f64 / stats.submitted as f64;
    report.number("fps", number("fps"));
    report.number("dropped_pct", (undecoded + replaced) * 100.0);
    report.number("freezes", number("freezes"));
    report.number("jitter_buffer_ms", number("jitterBufferMs"));
    report.number("glass_to_glass_ms_p50", median(&mut latencies.clone()));
    report.number("glass_to_glass_ms_p99", p99);
    report.number("input_to_photon_ms_p50", median(&mut list("photons")));
    report.number("first_frame_ms", number("firstFrameMs"));
    // Everything this process does for a frame: drawing the time code, converting, encoding, RTP, SRTP.
    report.number("stream_cpu_ms_per_frame", cpu * 1e3 / stats.encoded as f64);
    report.number("encode_busy_ms_p50", f64::from(stats.encode_ms));
    Ok(())
}

/// An engine: answers key presses in the next picture, and stamps each with its time.
fn engine(stream: &Stream, frames: &[Vec<u8>], ended: &AtomicBool) -> Result<(), String> {
    let key = KeyCode::new("KeyP").expect("a name of letters");
    let mut events = vec![InputEvent::default(); 64];
    let mut presses = 0_u8;
    let mut picture = Vec::new();
    let start = Instant::now();
    let mut next = start;
    for step in 0.. {
        if ended.load(Ordering::Acquire) {
            break;
        }
        let count = stream.poll_input(&mut events);
        let pressed = InputKind::Key { code: key, down: true };
        presses = presses.wrapping_add(events[..count].iter().filter(|event| event.kind == pressed).count() as u8);
        picture.clone_from(&frames[bounce(step)]);
        stamp(&mut picture, presses);
        let time_ns = start.elapsed().as_nanos() as u64 + 1;
        stream.submit_image(&picture, WIDTH, HEIGHT, WIDTH as usize * 4, time_ns).map_err(|error| error.to_string())?;
        next += Duration::from_secs_f32(1.0 / FPS);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Draws the time and the count of presses as `browser/stream.mjs` reads them.
fn stamp(picture: &mut [u8], presses: u8) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let tenths = (since.as_micros() / 100) as u32;
    let code = (tenths << 8) | u32::from(presses);
    for y in 0..BLOCK {
        for x in 0..32 * BLOCK {
            let bit = code >> (31 - x / BLOCK) & 1;
            let at = (y * WIDTH as usize + x) * 4;
            picture[at..at + 3].fill(if bit == 1 { 255 } else { 0 });
        }
    }
}
