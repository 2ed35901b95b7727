//! Flags and environment of the binary, and its exit codes.

use clap::{Parser, Subcommand, ValueEnum};
use rayloom_peer::{
    Advertised, CacheConfig, FrontEnd, PeerError, RendererError, RendererOptions, ServerTls, StunServer, TurnServer,
    TurnUrl, kept_certificate, kept_certificate_file, own_certificate,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Longest `--exit-when-idle`: a year.
const MOST_IDLE_SECONDS: u64 = 365 * 24 * 3600;

/// A ray-tracing server for Rayloom engines.
///
/// Exit codes: 0 after SIGINT or SIGTERM; 2 when a flag, the address or the cache can't be used; 3 when there is no
/// Vulkan device that may be used; 4 when the device failed while running (start again). Also 0 when idle for as long as
/// asked for.
#[derive(Debug, Parser)]
#[command(name = "rayloom-peer", version, max_term_width = 110)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// File of settings (TOML; the keys are the flags' names). Variables win over it, flags over both. Default:
    /// /etc/rayloom/peer.toml where it exists.
    #[arg(long, env = "RAYLOOM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print every setting and where its value comes from, as a file of settings, then end.
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Where to listen for engines. Port 0 lets the system choose.
    #[arg(long, env = "RAYLOOM_LISTEN", default_value = "127.0.0.1:4700", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// What engines must present; generated and printed when absent. Prefer the environment: flags are visible to all
    /// users of the machine.
    #[arg(long, env = "RAYLOOM_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// The device, by its number in --list-devices or a part of its name; the best one by default.
    #[arg(long, env = "RAYLOOM_DEVICE", value_name = "DEVICE")]
    pub(crate) device: Option<String>,
    /// How rays are traced: by the device's RT pipeline or ray queries, or by compute shaders alone. auto takes compute on a
    /// CPU, and on a GPU whatever is fastest in a short measurement at start. One that the device lacks is an error.
    #[arg(long, env = "RAYLOOM_FRONT_END", default_value = "auto", value_name = "FRONT_END")]
    front_end: FrontEndChoice,
    /// Most GPU memory to take, for a GPU that others use too. A scene that needs more is refused. Default: what there is.
    #[arg(long, env = "RAYLOOM_MEMORY_LIMIT", value_name = "SIZE", value_parser = parse_size)]
    memory_limit: Option<u64>,
    /// List Vulkan devices and why one can't be used, then end.
    #[arg(long)]
    pub(crate) list_devices: bool,
    /// Accept a CPU device (hundreds of times slower than a GPU).
    #[arg(long, env = "RAYLOOM_ALLOW_CPU")]
    pub(crate) allow_cpu: bool,
    /// Folder where scenes are kept, so that they are not sent twice; several peers may share it. "none" keeps them in
    /// memory only. Default: rayloom/peer in the user's cache folder.
    #[arg(long, env = "RAYLOOM_CACHE_DIR", value_name = "FOLDER")]
    cache_dir: Option<PathBuf>,
    /// Most bytes of scenes kept; the ones whose use is oldest go first. A scene that needs more is refused.
    #[arg(long, env = "RAYLOOM_CACHE_SIZE", default_value = "20GiB", value_name = "SIZE", value_parser = parse_size)]
    cache_size: u64,
    /// Engines at a time.
    #[arg(long, env = "RAYLOOM_MAX_SESSIONS", default_value_t = 8, value_name = "COUNT", value_parser = parse_count)]
    pub(crate) max_sessions: usize,
    /// Answer with stored captures instead of tracing, for benches: "stored:FILE". Ordinary engines refuse such a peer.
    #[cfg(unix)]
    #[arg(long, value_name = "stored:FILE", value_parser = parse_captures)]
    pub(crate) trace: Option<PathBuf>,
    /// Load the Vulkan validation layer (slow).
    #[arg(long, env = "RAYLOOM_VALIDATION")]
    pub(crate) validation: bool,
    /// Serve plain HTTP on an address that is not loopback: behind a proxy that speaks TLS, say. Engines refuse plain HTTP
    /// beyond loopback.
    #[arg(long, env = "RAYLOOM_INSECURE_HTTP")]
    pub(crate) insecure_http: bool,
    /// Serve HTTPS on loopback too; elsewhere that is the rule. With a certificate of its own making, kept in the cache
    /// folder, unless --tls-cert names one; its pin is printed at start, for engines to insist on.
    #[arg(long, env = "RAYLOOM_TLS")]
    tls: bool,
    /// The certificate to serve HTTPS with, PEM: its own first, then those up to its authority.
    #[arg(long, env = "RAYLOOM_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, env = "RAYLOOM_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// The UDP port of all sessions: what a firewall must let in beside --listen. Default: the number of --listen.
    #[arg(long, env = "RAYLOOM_UDP_PORT", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) udp_port: Option<u16>,
    /// The TCP port of sessions that UDP does not reach. Default: the number of --udp-port. It may be that of --listen too.
    #[arg(long, env = "RAYLOOM_TCP_PORT", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) tcp_port: Option<u16>,
    /// Where engines reach this machine, when that is not an address of its own (rented machines behind a NAT); with a
    /// port where --udp-port and --tcp-port have another number outside.
    #[arg(long, env = "RAYLOOM_ADVERTISE", value_name = "IP[:PORT]", value_parser = Advertised::from_str)]
    pub(crate) advertise: Option<Advertised>,
    /// A STUN server (stun:HOST[:PORT]) that tells this machine's public address and UDP port, for engines to be told.
    #[arg(long, env = "RAYLOOM_STUN", value_name = "URL", value_parser = StunServer::from_str)]
    pub(crate) stun: Option<StunServer>,
    /// A TURN server (turn:HOST[:PORT], turns:HOST[:PORT]) that relays data where engines reach this machine neither by UDP
    /// nor by TCP; with ?transport=tcp behind it where UDP does not get out either.
    #[arg(long, env = "RAYLOOM_TURN", value_name = "URL", value_parser = TurnUrl::from_str)]
    turn: Option<TurnUrl>,
    /// The user that the TURN server knows this machine as.
    #[arg(long, env = "RAYLOOM_TURN_USER", value_name = "NAME")]
    turn_user: Option<String>,
    /// The password of --turn-user. Prefer the environment: flags are visible to all users of the machine.
    #[arg(long, env = "RAYLOOM_TURN_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    turn_password: Option<String>,
    /// What is logged to stderr: error, warn, info, debug or trace, also per module (tracing's filter syntax).
    #[arg(long, env = "RAYLOOM_LOG", default_value = "info,webrtc=warn,rtc=warn", value_name = "FILTER", value_parser = parse_filter)]
    pub(crate) log: EnvFilter,
    /// How log lines look on stderr: text for people, json (an object a line) for machines.
    #[arg(long, env = "RAYLOOM_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// End once no engine was here for so long, as 90s, 10m or 2h; counted from the ready line. Off by default.
    #[arg(long, env = "RAYLOOM_EXIT_WHEN_IDLE", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) exit_when_idle: Option<Duration>,
    /// On SIGTERM or SIGINT, engines have so long to take back what is being traced for them, as 5s or 1m. A second signal ends
    /// the process on the spot.
    #[arg(long, env = "RAYLOOM_DRAIN_WITHIN", value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    pub(crate) drain_within: Duration,
}

/// What else the binary does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check this machine: a line for each finding with the cause and the fix. Exit code 1 when a peer can't run.
    Doctor {
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Print a script that completes this command in a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// What `--front-end` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FrontEndChoice {
    /// The fastest that the device has.
    Auto,
    /// Compute shaders.
    Compute,
    /// VK_KHR_ray_query.
    RayQuery,
    /// VK_KHR_ray_tracing_pipeline.
    RtPipeline,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

/// What signalling is served with.
enum Certificate<'a> {
    /// Plain HTTP.
    None,
    /// The operator's files.
    Own { chain: &'a Path, key: &'a Path },
    /// The peer's own making.
    Made,
}

/// Why the process ends with which code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) reason: String,
}

impl Options {
    /// How the device is opened, except for where its pipelines are kept.
    pub(crate) fn renderer(&self) -> RendererOptions {
        RendererOptions {
            device: self.device.clone(),
            allow_cpu: self.allow_cpu,
            validation: self.validation,
            front_end: match self.front_end {
                FrontEndChoice::Auto => None,
                FrontEndChoice::Compute => Some(FrontEnd::Compute),
                FrontEndChoice::RayQuery => Some(FrontEnd::RayQuery),
                FrontEndChoice::RtPipeline => Some(FrontEnd::RtPipeline),
            },
            memory_limit: self.memory_limit,
            ..RendererOptions::default()
        }
    }

    /// The token, and whether it was made up here.
    pub(crate) fn token(&self) -> Result<(String, bool), Failure> {
        match &self.token {
            Some(token) if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) => Err(Failure::usage(
                "the token (--token, RAYLOOM_TOKEN) must be of printable ASCII characters without spaces".into(),
            )),
            Some(token) => Ok((token.clone(), false)),
            None => {
                let mut bytes = [0; 16];
                getrandom::fill(&mut bytes)
                    .map_err(|e| Failure::start(format!("the system gives no random bytes: {e}")))?;
                Ok((bytes.iter().map(|b| format!("{b:02x}")).collect(), true))
            }
        }
    }

    /// The TURN server with its credentials.
    pub(crate) fn turn(&self) -> Result<Option<TurnServer>, Failure> {
        // Held against each other here, as certificates are.
        match (&self.turn, &self.turn_user, &self.turn_password) {
            (None, None, None) => Ok(None),
            (Some(url), Some(user), Some(password)) => {
                let server = TurnServer::new(url.clone(), user.clone(), password.clone());
                server.map(Some).map_err(|reason| Failure::usage(format!("{reason} (--turn-user, --turn-password)")))
            }
            (Some(_), _, _) => Err(Failure::usage(
                "--turn needs what the server knows this machine by: --turn-user and --turn-password \
                 (RAYLOOM_TURN_USER, RAYLOOM_TURN_PASSWORD)"
                    .into(),
            )),
            (None, _, _) => Err(Failure::usage(
                "--turn-user and --turn-password are for a TURN server, and none is named (--turn)".into(),
            )),
        }
    }

    /// What to serve TLS with; `None` for plain HTTP. `folder` keeps the certificate that is made here.
    pub(crate) fn tls(&self, folder: Option<&Path>) -> Result<Option<ServerTls>, Failure> {
        match self.certificate()? {
            Certificate::None => Ok(None),
            Certificate::Own { chain, key } => Ok(Some(own_certificate(chain, key)?)),
            Certificate::Made => {
                if folder.is_none() {
                    tracing::warn!(
                        "without a cache folder the certificate, and so its pin, is a new one at each start"
                    );
                }
                Ok(Some(kept_certificate(folder)?))
            }
        }
    }

    /// The certificate that a start would find, for the doctor: none is made. `None` where there is none yet, or no TLS.
    pub(crate) fn found_tls(&self, folder: Option<&Path>) -> Result<Option<Result<ServerTls, PeerError>>, Failure> {
        Ok(match self.certificate()? {
            Certificate::Own { chain, key } => Some(own_certificate(chain, key)),
            Certificate::Made if folder.is_some_and(|folder| kept_certificate_file(folder).exists()) => {
                Some(kept_certificate(folder))
            }
            _ => None,
        })
    }

    fn certificate(&self) -> Result<Certificate<'_>, Failure> {
        // Held against each other here, not by the parser: it sees no difference between a file's value and a default.
        if self.insecure_http && (self.tls || self.tls_cert.is_some()) {
            return Err(Failure::usage("--insecure-http cannot be used with --tls or --tls-cert: choose one".into()));
        }
        match (&self.tls_cert, &self.tls_key) {
            (Some(chain), Some(key)) => Ok(Certificate::Own { chain, key }),
            (Some(_), None) => Err(Failure::usage("--tls-cert needs the certificate's key (--tls-key)".into())),
            (None, Some(_)) => Err(Failure::usage("--tls-key needs its certificate (--tls-cert)".into())),
            (None, None) if !self.tls && (self.insecure_http || self.listen.ip().is_loopback()) => {
                Ok(Certificate::None)
            }
            (None, None) => Ok(Certificate::Made),
        }
    }

    pub(crate) fn cache(&self) -> Result<CacheConfig, Failure> {
        let dir = match &self.cache_dir {
            Some(dir) if dir.as_os_str() == "none" => None,
            Some(dir) => Some(dir.clone()),
            None => Some(default_cache_dir().ok_or_else(|| {
                Failure::usage(
                    "neither XDG_CACHE_HOME nor HOME is set: name a folder (--cache-dir), or \"none\"".into(),
                )
            })?),
        };
        Ok(CacheConfig { dir, limit_bytes: self.cache_size })
    }
}

impl Failure {
    pub(crate) fn usage(reason: String) -> Failure {
        Failure { code: 2, reason }
    }

    pub(crate) fn start(reason: String) -> Failure {
        Failure { code: 1, reason }
    }

    pub(crate) fn device_lost(reason: String) -> Failure {
        Failure { code: 4, reason }
    }
}

impl From<PeerError> for Failure {
    fn from(error: PeerError) -> Failure {
        let code = match &error {
            PeerError::Device(RendererError::DeviceLost { .. } | RendererError::Timeout { .. }) => 4,
            // The device would do.
            PeerError::Device(RendererError::MemoryLimit { .. }) => 2,
            PeerError::Device(_) => 3,
            PeerError::Cache { .. }
            | PeerError::Captures { .. }
            | PeerError::Port { .. }
            | PeerError::Certificate { .. }
            | PeerError::InsecureHttp(_) => 2,
            _ => 1,
        };
        Failure { code, reason: error.to_string() }
    }
}

/// XDG base directories on Linux and where they are set; the user's own cache folder elsewhere.
fn default_cache_dir() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = folder("XDG_CACHE_HOME").or_else(|| {
        if cfg!(windows) {
            folder("LOCALAPPDATA")
        } else {
            folder("HOME").map(|home| home.join(if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" }))
        }
    })?;
    Some(base.join("rayloom").join("peer"))
}

#[cfg(unix)]
fn parse_captures(text: &str) -> Result<PathBuf, String> {
    let file = text.strip_prefix("stored:").filter(|file| !file.is_empty());
    file.map(PathBuf::from).ok_or(format!("{text:?} is no way to trace; it may be stored:FILE"))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale: u64 = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        unit => return Err(format!("{unit:?} is no unit of time; use s, m or h")),
    };
    let number: u64 = digits.parse().map_err(|e| format!("{digits:?} is no whole number: {e}"))?;
    match number.checked_mul(scale) {
        Some(seconds @ 1..=MOST_IDLE_SECONDS) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("{text} is not between 1s and {}h", MOST_IDLE_SECONDS / 3600)),
    }
}

/// At least one.
fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("no engine could come; at least 1 is needed".into()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}; a whole number of 1 or above is needed")),
    }
}

/// A filter of which every part is understood; by itself the library leaves out what is not.
fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    text.parse().map_err(|_| {
        let wrong = text.split(',').find(|part| part.parse::<EnvFilter>().is_err()).unwrap_or(text);
        format!("{wrong:?} is no filter; write a level, modules with one each, or both: info,rayloom_peer=debug")
    })
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        unit => return Err(format!("{unit:?} is no unit; use MB, MiB, GB or GiB")),
    };
    let number: u64 = digits.trim().parse().map_err(|e| format!("{digits:?} is no whole number: {e}"))?;
    number.checked_mul(scale).ok_or_else(|| format!("{text} is more than this machine can count"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_ends() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "10", "0s", "m", "-1m", "1d", "9999999h", "99999999999999999999s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("20GiB"), Ok(20 << 30));
        assert_eq!(parse_size("512 MB"), Ok(512_000_000));
        assert_eq!(parse_size("7"), Ok(7));
        for bad in ["", "GiB", "1.5GiB", "3 parsecs", "99999999999GiB", "-1MB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
