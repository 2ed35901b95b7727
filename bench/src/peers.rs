//! Peer processes that a bench starts, and that end with it.

use rayloom::PeerAddress;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Known to this bench and its peers, on loopback only.
pub(crate) const TOKEN: &str = "a-token-for-benches";

/// Peers on free ports of loopback; killed when dropped.
pub(crate) struct Peers {
    children: Vec<Child>,
    pub(crate) addresses: Vec<PeerAddress>,
}

impl Peers {
    /// Starts so many with these arguments and waits until each is ready.
    pub(crate) fn start(count: usize, arguments: &[&str]) -> Result<Peers, String> {
        let mut peers = Peers { children: Vec::new(), addresses: Vec::new() };
        for _ in 0..count {
            let mut command = Command::new(program("rayloom-peer")?);
            command.args(["--listen", "127.0.0.1:0", "--cache-dir", "none", "--allow-cpu", "--log", "warn"]);
            command.args(arguments).env("RAYLOOM_TOKEN", TOKEN).env("LP_NUM_THREADS", "1").stdout(Stdio::piped());
            let child = command.spawn().map_err(|error| format!("rayloom-peer does not start: {error}"))?;
            peers.children.push(child);
        }
        for child in &mut peers.children {
            let mut line = String::new();
            let output = child.stdout.take().ok_or("a peer's output is not piped")?;
            BufReader::new(output).read_line(&mut line).map_err(|error| format!("reading a peer's output: {error}"))?;
            let url = line.strip_prefix("rayloom-peer ready on ").and_then(|rest| rest.split(' ').next());
            let url = url.ok_or("a peer ended before it was ready; its lines above say why")?.to_owned();
            peers.addresses.push(PeerAddress { url, token: Some(TOKEN.into()), ..PeerAddress::default() });
        }
        Ok(peers)
    }

    /// SIGKILL: no goodbye.
    pub(crate) fn kill(&mut self, peer: usize) -> Result<(), String> {
        self.children[peer].kill().map_err(|error| format!("a peer can't be killed: {error}"))
    }

    /// SIGSTOP: alive for the kernel, dead for everyone else.
    pub(crate) fn stop(&self, peer: usize) -> Result<(), String> {
        signal(&self.children[peer], "STOP")
    }

    /// SIGTERM: it finishes what it has.
    pub(crate) fn terminate(&self, peer: usize) -> Result<(), String> {
        signal(&self.children[peer], "TERM")
    }

    /// Waits until a peer has ended by itself.
    pub(crate) fn wait(&mut self, peer: usize) -> Result<(), String> {
        self.children[peer].wait().map(drop).map_err(|error| format!("waiting for a peer: {error}"))
    }
}

fn signal(child: &Child, name: &str) -> Result<(), String> {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("SIG{name} was not sent: {other:?}")),
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        for child in &mut self.children {
            if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
                eprintln!("a peer could not be ended: {error}");
            }
        }
    }
}

/// What was built beside this bench.
pub(crate) fn program(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("where this program lies is not known: {error}"))?;
    let path = own.with_file_name(name);
    if path.exists() { Ok(path) } else { Err(format!("{} is not there: build the workspace", path.display())) }
}
