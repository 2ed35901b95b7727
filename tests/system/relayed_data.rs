//! A peer that nothing gets in to but signalling: its data comes through a TURN server, a real coturn in a third network.

use crate::fleet::{TOKEN, binary, fresh_folder};
use crate::networks::{Networks, Running};
use crate::two_networks::{ENGINE_DIALS, trace_a_whole_frame};
use rayloom_test_clients::{Coturn, TURN_PASSWORD, TURN_USER, available};
use std::process::Stdio;

const TEST: &str = "relayed_data::an_engine_reaches_a_peer_through_a_relay";
const PEER: usize = 0;
const ENGINE: usize = 1;
const RELAY: usize = 2;
/// Ends of the cables: from the peer to the engine, from the relay to the peer, and to the engine.
const DIRECT: [&str; 2] = ["10.77.0.1", "10.77.0.2"];
const TO_PEER: [&str; 2] = ["10.78.0.1", "10.78.0.2"];
const TO_ENGINE: [&str; 2] = ["10.79.0.1", "10.79.0.2"];
const DATA_PORT: &str = "50000";

#[test]
fn an_engine_reaches_a_peer_through_a_relay() {
    if let Ok(dials) = std::env::var(ENGINE_DIALS) {
        return trace_a_whole_frame(&dials);
    }
    let networks = Networks::new(["peer-behind", "engine-before", "relay"]);
    if !available("the right to make network namespaces", networks.is_some(), "run as root, with iproute2 installed")
        || !available("coturn", Coturn::is_installed(), "install the package coturn")
    {
        return;
    }
    let mut networks = networks.unwrap();
    networks.lay_cable([PEER, ENGINE], DIRECT);
    networks.lay_cable([RELAY, PEER], TO_PEER);
    networks.lay_cable([RELAY, ENGINE], TO_ENGINE);
    // A way back to the engine's other address: without it coturn 4.6 has dropped the allocation by the next Refresh (437).
    networks.route_by(RELAY, TO_ENGINE[1]);
    // The data's port is shut for both protocols, and nothing comes out of it either.
    networks.drop_packets(ENGINE, &["ipproto", "udp", "dport", DATA_PORT]);
    networks.drop_packets(ENGINE, &["ipproto", "tcp", "dport", DATA_PORT]);
    networks.drop_packets(PEER, &["ipproto", "udp", "sport", DATA_PORT]);
    let [listening, relaying] = [TO_PEER[0], TO_ENGINE[0]].map(|address| address.parse().unwrap());
    let mut coturn = Coturn::start(listening, relaying, &networks.inside(RELAY));
    let folder = fresh_folder();
    let mut peer = networks.command(PEER, binary("rayloom-peer"));
    peer.args(["--allow-cpu", "--listen", &format!("{}:0", DIRECT[0]), "--udp-port", DATA_PORT]);
    peer.args(["--turn", &coturn.url(), "--turn-user", TURN_USER]).arg("--cache-dir").arg(&folder);
    peer.env("RAYLOOM_TOKEN", TOKEN).env("RAYLOOM_TURN_PASSWORD", TURN_PASSWORD).env("LP_NUM_THREADS", "1");
    let mut peer = Running::start(&mut peer);
    let pin = peer.line_with("pin ");
    let ready = peer.line_with("rayloom-peer ready on ");
    let (pin, url) = (pin.split(' ').next().unwrap(), ready.split(' ').next().unwrap());
    let engine = || {
        let mut engine = networks.command(ENGINE, std::env::current_exe().unwrap());
        engine.args(["--exact", TEST, "--nocapture"]).env(ENGINE_DIALS, format!("{url} {pin}")).stdin(Stdio::piped());
        let mut engine = Running::start(&mut engine);
        engine.line_with("traced whole");
        engine
    };
    let engines = [engine(), engine()];
    assert!(coturn.says("CHANNEL_BIND processed, success"), "the frames came through it");
    assert_eq!(coturn.count("ALLOCATE processed, success"), 1, "one allocation for both engines");
    engines.into_iter().for_each(Running::end);
    drop(peer);
    std::fs::remove_dir_all(folder).unwrap();
}
