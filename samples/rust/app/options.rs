//! What the command line says. The names are those of the sample in C, so that one page of help serves both.

use clap::{Parser, ValueEnum};
use rayloom::frame::Extent;
use rayloom::{Denoise, Embedded, PeerAddress, ViewMode};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A raster engine that submits its own G-buffer and shows what peers traced from it.
#[derive(Debug, Parser)]
#[command(name = "raster-engine")]
pub(crate) struct Options {
    /// Signalling address of a peer; may be given several times. A pin follows behind #: https://1.2.3.4:4700#sha256:...
    #[arg(long = "peer", value_name = "URL")]
    peers: Vec<String>,
    /// The peers' bearer token; a command line is visible to everyone on the machine, the environment is not.
    #[arg(long, env = "RAYLOOM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Where the page with the picture is served.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// A .glb or .gltf; without it a generated city.
    #[arg(long, value_name = "FILE")]
    pub(crate) scene: Option<PathBuf>,
    /// Triangles of the generated city.
    #[arg(long, default_value_t = 200_000, value_name = "TRIANGLES")]
    pub(crate) city: usize,
    /// Which of the file's animations plays, counted from 0.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) animation: usize,
    /// What moves stands still as it is at this second.
    #[arg(long, value_name = "SECONDS", value_parser = second)]
    pub(crate) at: Option<f64>,
    /// Pixels.
    #[arg(long, default_value = "640x360", value_name = "WxH", value_parser = size)]
    pub(crate) size: Extent,
    /// What is shown is filtered: on the session's threads, on the GPU, or by Intel Open Image Denoise.
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "cpu", value_name = "BY")]
    pub(crate) denoise: Option<DenoiseBy>,
    /// Reflections and bounces at half resolution.
    #[arg(long)]
    pub(crate) half: bool,
    /// Deadline of all layers; without it those of their tiers.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(crate) deadline_ms: Option<u64>,
    /// The peers' picture, the embedded peer's, or the difference of both.
    #[arg(long, value_enum, default_value = "remote")]
    pub(crate) view: View,
    /// Draws tile borders.
    #[arg(long)]
    pub(crate) tiles: bool,
    /// When the peer inside this process is used.
    #[arg(long, value_enum, default_value = "fallback")]
    embedded: Inside,
    /// A part of the name of the device that draws.
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Option<String>,
    /// Compares the planes with what peers trace, and says so or names the convention that is stated wrong.
    #[arg(long)]
    pub(crate) validate: bool,
    /// Writes all that decides pixels to a file, for `rayloom replay`.
    #[arg(long, value_name = "FILE")]
    pub(crate) capture: Option<PathBuf>,
    /// Write where each frame's time went to this file, for Perfetto.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace_out: Option<PathBuf>,
    /// Ends after so many frames.
    #[arg(long, value_name = "N")]
    pub(crate) frames: Option<u64>,
    /// Writes frames as PNG into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) png: Option<PathBuf>,
    /// With --png: every so many frames.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) every: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DenoiseBy {
    Cpu,
    Gpu,
    OpenImage,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum View {
    Remote,
    Local,
    Diff,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Inside {
    Never,
    Fallback,
    Always,
}

impl Options {
    pub(crate) fn peers(&self) -> Result<Vec<PeerAddress>, rayloom::Error> {
        self.peers.iter().map(|text| PeerAddress::parse(text, self.token.as_deref())).collect()
    }

    pub(crate) fn embedded(&self) -> Embedded {
        match self.embedded {
            Inside::Never => Embedded::Never,
            Inside::Fallback => Embedded::Fallback,
            Inside::Always => Embedded::Always,
        }
    }

    pub(crate) fn denoise(&self) -> Denoise {
        match self.denoise {
            None => Denoise::Off,
            Some(DenoiseBy::Cpu) => Denoise::Cpu,
            Some(DenoiseBy::Gpu) => Denoise::Gpu,
            Some(DenoiseBy::OpenImage) => Denoise::OpenImage,
        }
    }

    pub(crate) fn mode(&self) -> ViewMode {
        match self.view {
            View::Remote => ViewMode::Remote,
            View::Local => ViewMode::Local,
            View::Diff => ViewMode::Difference,
        }
    }
}

fn size(text: &str) -> Result<Extent, String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let (width, height) = sides.ok_or("it must be like 640x360")?;
    Ok(Extent::new(width, height))
}

fn second(text: &str) -> Result<f64, String> {
    let second = text.parse().ok().filter(|second: &f64| second.is_finite() && *second >= 0.0);
    second.ok_or_else(|| "it must be a number of seconds, 0 or more".into())
}
