//! A peer on another machine, as near as one machine comes to it: two network namespaces joined by a cable. Signalling is
//! HTTPS with a pinned certificate, data takes the one UDP port that was allowed, or the TCP port where UDP is dropped.

use crate::engine::Engine;
use crate::fleet::{TOKEN, binary, fresh_folder};
use crate::networks::{Networks, Running};
use rayloom::PeerAddress;
use rayloom_test_clients::available;
use std::process::Stdio;

const TEST: &str = "two_networks::an_engine_reaches_a_peer_in_another_network";
/// Set in the process that is the engine: URL and pin.
pub(crate) const ENGINE_DIALS: &str = "RAYLOOM_TEST_ENGINE_DIALS";
/// The peer's end of the cable, and the engine's.
const ENDS: [&str; 2] = ["10.77.0.1", "10.77.0.2"];
const DATA_PORT: u16 = 50_000;

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
    let networks = Networks::new(["peer", "engine"]);
    if !available("the right to make network namespaces", networks.is_some(), "run as root, with iproute2 installed") {
        return;
    }
    let mut networks = networks.unwrap();
    networks.lay_cable([0, 1], ENDS);
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
    engines.into_iter().for_each(Running::end);

    // The firewall of some hotel.
    for side in [0, 1] {
        networks.drop_packets(side, &["ipproto", "udp"]);
    }
    let engine = engine();
    assert_eq!(carried(), 2, "the listener, and the session that took TCP");
    engine.end();
    drop(peer);
    std::fs::remove_dir_all(folder).unwrap();
}

/// The engine's process: says so when a frame is whole, and stays until its input ends.
pub(crate) fn trace_a_whole_frame(dials: &str) {
    let (url, pin) = dials.split_once(' ').unwrap();
    let peer = PeerAddress {
        url: url.into(),
        token: Some(TOKEN.into()),
        tls_pin: Some(pin.parse().unwrap()),
        ..PeerAddress::default()
    };
    let mut engine = Engine::new(vec![peer]);
    engine.whole_frame_by(&[0]);
    println!("a frame is traced whole");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
