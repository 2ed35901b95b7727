//! A peer that hangs (stopped by a signal: its sockets stay open and nothing answers) is covered like a dead one, and
//! works again when it wakes up.

use crate::engine::{Engine, city, is_fault_of, peers_of, session_desc, view_desc};
use crate::fleet::Fleet;
use rayloom::frame::Extent;
use rayloom::{EMBEDDED_PEER, Embedded, Event, SessionDesc};
use std::time::Duration;

#[test]
fn a_hanging_peer_is_covered_and_comes_back() {
    let fleet = Fleet::start(2);
    let mut engine = Engine::new(fleet.addresses());
    engine.whole_frame_by(&[0, 1]);
    let frame_id = engine.begin();
    fleet.peers[1].stop();
    engine.take(frame_id);
    engine.whole_frame_by(&[0]);
    let names_it = |event: &Event| is_fault_of(event, 1) && event.to_string().contains(&fleet.peers[1].url);
    engine.frames_until("an event that names the stopped peer", |engine, _| engine.told(names_it));
    fleet.peers[1].go_on();
    engine.frames_until("tiles of the woken peer", |_, output| peers_of(output).contains(&1));
}

#[test]
fn the_embedded_peer_steps_in_while_all_others_hang() {
    let fleet = Fleet::start(2);
    let session = SessionDesc {
        peers: fleet.addresses(),
        embedded: Embedded::Fallback,
        embedded_allow_cpu: true,
        ..session_desc()
    };
    let mut engine = Engine::of(session, view_desc(Extent::new(160, 90)), city());
    engine.whole_frame_by(&[0, 1]);
    fleet.peers.iter().for_each(|peer| peer.stop());
    engine.whole_frame_by(&[EMBEDDED_PEER]);
    assert!((0..2).all(|peer| engine.told(|event| is_fault_of(event, peer))), "{:?}", engine.events);
    fleet.peers.iter().for_each(|peer| peer.go_on());
    engine.whole_frame_by(&[0, 1]);
}

/// Frames that may take a minute don't wait for it: silence is noticed long before the links are given up.
#[test]
fn frames_go_on_from_history_while_all_hang_however_far_their_deadlines() {
    let fleet = Fleet::start(2);
    let mut desc = view_desc(Extent::new(160, 90));
    desc.layers.iter_mut().for_each(|layer| layer.deadline = Duration::from_secs(60));
    let mut engine = Engine::with(fleet.addresses(), desc, city());
    engine.whole_frame_by(&[0, 1]);
    // So that how long tiles take is known.
    (0..8).for_each(|_| _ = engine.frame());
    fleet.peers.iter().for_each(|peer| peer.stop());
    let is_lost = |event: &Event| matches!(event, Event::PeerLost { .. });
    engine.frames_until("a frame of which nothing came", |_, output| output.fresh == 0.0);
    assert!(!engine.told(is_lost), "{:?}", engine.events);
    assert!((0..2).all(|peer| engine.told(|event| is_fault_of(event, peer))), "{:?}", engine.events);
    fleet.peers.iter().for_each(|peer| peer.go_on());
    engine.whole_frame_by(&[0, 1]);
}

/// Whoever does not answer the goodbye is not waited for.
#[test]
fn a_session_ends_while_a_peer_hangs() {
    let fleet = Fleet::start(1);
    let mut engine = Engine::new(fleet.addresses());
    engine.whole_frame_by(&[0]);
    fleet.peers[0].stop();
    drop(engine);
    fleet.peers[0].go_on();
}
