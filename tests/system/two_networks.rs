//! A peer on another machine, as near as one machine comes to it: two network namespaces joined by a cable. Signalling is
//! HTTPS with a pinned certificate, data takes the one UDP port that was allowed, or the TCP port where UDP is dropped.

use crate::engine::Engine;
use crate::fleet::{TOKEN, binary, fresh_folder};
use rayloom::PeerAddress;
use rayloom_test_clients::available;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

const TEST: &str = "two_networks::an_engine_reaches_a_peer_in_another_network";
/// Set in the process that is the engine: URL and pin.
const ENGINE_DIALS: &str = "RAYLOOM_TEST_ENGINE_DIALS";
/// The peer's end of the cable, and the engine's.
const ENDS: [&str; 2] = ["10.77.0.1", "10.77.0.2"];
const DATA_PORT: u16 = 50_000;

/// Two namespaces with a cable between them; gone when dropped.
struct Networks([String; 2]);

impl Networks {
    /// `None` where this process may not make them.
    fn new() -> Option<Networks> {
        let names = ["peer", "engine"].map(|side| format!("rayloom-{side}-{}", std::process::id()));
        let networks = Networks(names);
        let [peer, engine] = &networks.0;
        let permitted =
            networks.0.iter().all(|name| ip(&["netns", "add", name]) && ip(&["netns", "exec", name, "true"]));
        if !permitted {
            return None;
        }
        assert!(ip(&["link", "add", "cable", "netns", peer, "type", "veth", "peer", "name", "cable", "netns", engine]));
        for (name, address) in networks.0.iter().zip(ENDS) {
            assert!(ip(&["-n", name, "address", "add", &format!("{address}/30"), "dev", "cable"]));
            assert!(ip(&["-n", name, "link", "set", "cable", "up"]));
            assert!(ip(&["-n", name, "link", "set", "lo", "up"]));
        }
        Some(networks)
    }

    /// A command that runs in the peer's (0) or the engine's (1) network.
    fn command(&self, side: usize, program: PathBuf) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0[side]]).arg(program).stdout(Stdio::piped());
        command
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in &self.0 {
            // Where they could not be made there is nothing to remove.
            ip(&["netns", "delete", name]);
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A process (`ip netns exec` becomes what it runs) and its output; killed when dropped.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Running { child, output }
    }

    /// The rest of the next line that holds `words`.
    fn line_with(&mut self, words: &str) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "no line with {words:?} in: {said}");
            if let Some((_, rest)) = line.split_once(words) {
                return rest.to_owned();
            }
            said += &line;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Local ports of a process's network in one of the kernel's lists, `udp` or `tcp` (proc(5), /proc/PID/net/udp).
fn local_ports(process: u32, list: &str) -> Vec<u16> {
    let table = std::fs::read_to_string(format!("/proc/{process}/net/{list}")).unwrap();
    let local = |line: &str| u16::from_str_radix(line.split_whitespace().nth(1)?.split_once(':')?.1, 16).ok();
    table.lines().skip(1).filter_map(local).collect()
}

#[test]
fn an_engine_reaches_a_peer_in_another_network() {
    if let Ok(dials) = std::env::var(ENGINE_DIALS) {
        return trace_a_whole_frame(&dials);
    }
    let networks = Networks::new();
    if !available("the right to make network namespaces", networks.is_some(), "run as root, with iproute2 installed") {
        return;
    }
    let networks = networks.unwrap();
    let folder = fresh_folder();
    let mut peer = networks.command(0, binary("rayloom-peer"));
    peer.args(["--allow-cpu", "--listen", &format!("{}:0", ENDS[0]), "--udp-port", &DATA_PORT.to_string()]);
    peer.arg("--cache-dir").arg(&folder);
    peer.env("RAYLOOM_TOKEN", TOKEN).env("LP_NUM_THREADS", "1");
    let mut peer = Running::start(&mut peer);
    let pin = peer.line_with("pin ");
    let ready = peer.line_with("rayloom-peer ready on ");
    let (pin, url) = (pin.split(' ').next().unwrap(), ready.split(' ').next().unwrap());
    assert!(url.starts_with(&format!("https://{}:", ENDS[0])), "{url}");
    let dials = format!("{url} {pin}");
    let engine = || {
        let mut engine = networks.command(1, std::env::current_exe().unwrap());
        engine.args(["--exact", TEST, "--nocapture"]).env(ENGINE_DIALS, &dials).stdin(Stdio::piped());
        let mut engine = Running::start(&mut engine);
        engine.line_with("traced whole");
        engine
    };

    let engines = [engine(), engine()];
    assert_eq!(local_ports(peer.child.id(), "udp"), [DATA_PORT], "one port for both");
    let carried = || local_ports(peer.child.id(), "tcp").iter().filter(|port| **port == DATA_PORT).count();
    assert_eq!(carried(), 1, "nobody but the listener: UDP gets through");
    engines.into_iter().for_each(end);

    // The firewall of some hotel.
    for name in &networks.0 {
        assert!(ip(&["-n", name, "rule", "add", "ipproto", "udp", "blackhole", "pref", "1"]));
    }
    let engine = engine();
    assert_eq!(carried(), 2, "the listener, and the session that took TCP");
    end(engine);
    drop(peer);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Tells an engine to end.
fn end(mut engine: Running) {
    drop(engine.child.stdin.take());
    assert!(engine.child.wait().unwrap().success());
}

/// The engine's process: says so when a frame is whole, and stays until its input ends.
fn trace_a_whole_frame(dials: &str) {
    let (url, pin) = dials.split_once(' ').unwrap();
    let peer = PeerAddress { url: url.into(), token: Some(TOKEN.into()), tls_pin: Some(pin.parse().unwrap()) };
    let mut engine = Engine::new(vec![peer]);
    engine.whole_frame_by(&[0]);
    println!("a frame is traced whole");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
