//! `rayloom replay`: says what is in a capture, makes its frames again, tells which came out otherwise.

use clap::Args;
use rayloom::{ALLOW_CPU, PeerAddress, Replay, ReplayError, ReplayReport, ReplayedFrame, SessionDesc, Verdict};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What a session with a capture wrote.
    file: PathBuf,
    /// Addresses of peers; without any the peer inside this process traces. A pin follows behind #:
    /// https://1.2.3.4:4700#sha256:...
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    peers: Vec<String>,
    /// The peers' bearer token; a command line is visible to everyone on the machine, the environment is not.
    #[arg(long, env = "RAYLOOM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Lets the peer inside this process trace on a CPU.
    #[arg(long)]
    allow_cpu: bool,
    /// The device of the peer inside this process: its number in `rayloom-peer doctor`'s list or a part of its name.
    #[arg(long)]
    device: Option<String>,
    /// Ends after so many frames.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Writes each frame's picture into this folder.
    #[arg(long, value_name = "DIR")]
    png: Option<PathBuf>,
    /// Prints what the engine was told then, and which of its calls were refused.
    #[arg(long)]
    notes: bool,
    /// Prints one JSON object a frame, and one at the end.
    #[arg(long)]
    json: bool,
}

/// True when no frame came out otherwise.
pub(crate) fn run(options: &Options) -> Result<bool, Box<dyn std::error::Error>> {
    let mut replay = Replay::open(&options.file)?;
    if options.json {
        say(&json!({
            "version": replay.version(), "frames": replay.frames(), "peers": replay.peers(),
            "lossless": replay.is_lossless(), "began_unix_s": replay.began_unix_s(), "cut_off": replay.is_cut_off(),
        }));
    } else {
        let lossless = if replay.is_lossless() { "lossless" } else { "not lossless" };
        say(&format!(
            "{}: {} frames, {} remote peers, {lossless}, written by Rayloom {}",
            options.file.display(),
            replay.frames(),
            replay.peers(),
            replay.version()
        ));
        if replay.is_cut_off() {
            say(&"the file ends within a record: its session did not end well");
        }
    }
    if options.notes {
        for (seconds, text) in replay.notes()? {
            if options.json {
                say(&json!({"note": text, "seconds": seconds}));
            } else {
                // Whoever wrote the file must not draw on the terminal.
                let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
                say(&format!("{seconds:10.3} s  {text}"));
            }
        }
    }
    if let Some(folder) = &options.png {
        std::fs::create_dir_all(folder).map_err(|error| format!("--png {}: {error}", folder.display()))?;
    }
    let desc = SessionDesc {
        peers: options
            .peers
            .iter()
            .map(|peer| PeerAddress::parse(peer, options.token.as_deref()))
            .collect::<Result<_, _>>()?,
        embedded_allow_cpu: options.allow_cpu,
        embedded_device: options.device.clone(),
        ..SessionDesc::default()
    };
    let (mut seen, mut failed) = (0, None);
    let report = replay.run(desc, |frame| {
        seen += 1;
        tell(frame, options.json);
        if let Some(folder) = &options.png
            && let Err(error) = write_picture(folder, frame)
        {
            failed = Some(error);
            return false;
        }
        options.frames.is_none_or(|frames| seen < frames)
    });
    let report = report.map_err(|error| match error {
        // Here a flag allows it.
        ReplayError::Peer(cause) => ReplayError::Peer(cause.replace(ALLOW_CPU, "--allow-cpu")),
        error => error,
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    sum_up(&report, options.json);
    if report.equal == 0 && report.first_different.is_none() {
        return Err("no frame could be compared: the capture ended before one was out".into());
    }
    Ok(report.first_different.is_none())
}

fn tell(frame: &ReplayedFrame<'_>, as_json: bool) {
    let ReplayedFrame { view, seconds, output, verdict, .. } = frame;
    let (verdict, fresh) = (name(*verdict), output.fresh);
    let frame_id = output.frame_id;
    if as_json {
        say(&json!({"view": view, "frame": frame_id, "seconds": seconds, "fresh": fresh, "verdict": verdict}));
    } else {
        say(&format!("{seconds:10.3} s  view {view} frame {frame_id}: {:.0} % fresh, {verdict}", fresh * 100.0));
    }
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Equal => "equal",
        Verdict::Different => "different",
        Verdict::Unknown => "in flight when the capture ended",
    }
}

fn write_picture(folder: &Path, frame: &ReplayedFrame<'_>) -> Result<(), String> {
    let output = frame.output;
    let path = folder.join(format!("view-{}-frame-{:06}.png", frame.view, output.frame_id));
    let rgba = image::ExtendedColorType::Rgba8;
    image::save_buffer(&path, &output.color, output.size.width, output.size.height, rgba)
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn sum_up(report: &ReplayReport, as_json: bool) {
    let ReplayReport { frames, equal, unknown, first_different, .. } = report;
    if as_json {
        let first = first_different.map(|(view, frame)| json!({"view": view, "frame": frame}));
        say(&json!({"frames": frames, "equal": equal, "unknown": unknown, "first_different": first}));
        return;
    }
    let in_flight =
        if *unknown > 0 { format!(", {unknown} were in flight when the capture ended") } else { String::new() };
    say(&format!("{equal} of {frames} frames are equal bit for bit{in_flight}"));
    if let Some((view, frame)) = first_different {
        say(&format!(
            "the first that differs is frame {frame} of view {view}; expected on devices of another class (other GPU, driver or \
             front end), and behind it wherever history is gathered"
        ));
    }
}

/// A line at once, also where the output is a pipe. Nobody may read it any more, which is no reason to end.
fn say(line: &dyn std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
