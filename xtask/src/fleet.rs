//! The demo's peers: started one after the other, each until it is ready.

use crate::bar::Bar;
use crate::owned::{self, Owned};
use crate::run;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc::{SendError, Sender, channel};

/// Whose log lines tell how far a starting peer is, and how often it tells before it is ready: the device is chosen,
/// its pipelines are compiled (by their first dispatch), its speed is measured.
const STAGES: (&str, f32) = ("rayloom_peer::vulkan", 3.0);

/// The peers that this demo started.
pub(crate) struct Fleet {
    pub(crate) token: String,
    pub(crate) peers: Vec<Peer>,
}

pub(crate) struct Peer {
    process: Owned,
    pub(crate) url: String,
    pub(crate) rays_per_second: f64,
}

/// What a peer prints.
enum Said {
    /// On its standard output.
    Line(String),
    /// On its standard error.
    Log(String),
}

/// The peer's program, once it is built.
pub(crate) fn program() -> PathBuf {
    run::target().join("debug/rayloom-peer")
}

impl Fleet {
    pub(crate) fn start(count: usize, gpu: bool) -> Result<Fleet, String> {
        let token = random_token()?;
        let mut peers = Vec::new();
        let bar = Bar::start("peers");
        for index in 0..count {
            let cache = run::target().join(format!("demo/cache-{index}"));
            let mut command = owned::command(&program());
            let log = format!("warn,{}=info", STAGES.0);
            command.args(["--listen", "127.0.0.1:0", "--log", &log, "--cache-dir"]).arg(cache);
            command.env("RAYLOOM_TOKEN", &token);
            if !gpu {
                command.arg("--allow-cpu").env("LP_NUM_THREADS", "1");
            }
            let mut stages = 0.0;
            let tell = |stage: &str| {
                let share = (index as f32 + stages / STAGES.1) / count as f32;
                bar.at(Some(share), &format!("{} of {count}: {stage}", index + 1));
                stages += 1.0;
            };
            peers.push(Peer::start(command, &bar, tell)?);
        }
        bar.done();
        Ok(Fleet { token, peers })
    }

    /// Asks every peer to end and waits for it.
    pub(crate) fn end(&mut self) {
        self.peers.iter_mut().for_each(|peer| peer.process.end());
    }
}

impl Peer {
    /// Starts a peer and waits until it says that it is ready.
    fn start(mut command: std::process::Command, bar: &Bar, mut tell: impl FnMut(&str)) -> Result<Peer, String> {
        let mut process = Owned::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        tell("starting");
        let output = process.child.stdout.take().ok_or("the peer's output is not piped")?;
        let log = process.child.stderr.take().ok_or("the peer's log is not piped")?;
        let (sender, said) = channel();
        listen(output, sender.clone(), Said::Line);
        listen(log, sender, Said::Log);
        for said in &said {
            let line = match said {
                Said::Line(line) => line,
                Said::Log(line) => {
                    match line.split_once(&format!("{}: ", STAGES.0)) {
                        Some((_, stage)) => tell(stage),
                        None => bar.line(&line),
                    }
                    continue;
                }
            };
            bar.line(&format!("  {line}"));
            if let Some(rest) = line.strip_prefix("rayloom-peer ready on ") {
                let url = rest.split_whitespace().next().unwrap_or_default().to_owned();
                return Ok(Peer { process, url, rays_per_second: mrays(rest).unwrap_or(1.0) * 1e6 });
            }
        }
        Err("a peer ended before it was ready; its lines above say why".into())
    }
}

/// Reads until the peer ends, so that its pipe never fills; what nobody hears any more is shown.
fn listen(stream: impl Read + Send + 'static, sender: Sender<Said>, said: fn(String) -> Said) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            match sender.send(said(line)) {
                Ok(()) => {}
                Err(SendError(Said::Line(line))) => println!("  {line}"),
                Err(SendError(Said::Log(line))) => eprintln!("{line}"),
            }
        }
    });
}

/// The number before "Mrays/s".
fn mrays(line: &str) -> Option<f64> {
    let before = line.split("Mrays/s").next().filter(|before| before.len() < line.len())?;
    before.split(|c: char| !c.is_ascii_digit() && c != '.').rfind(|word| !word.is_empty())?.parse().ok()
}

fn random_token() -> Result<String, String> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| format!("/dev/urandom: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_read_from_the_ready_line() {
        assert_eq!(mrays("http://127.0.0.1:1 (device llvmpipe, front end compute, 1.93 Mrays/s)"), Some(1.93));
        assert_eq!(mrays("http://127.0.0.1:1"), None);
    }
}
