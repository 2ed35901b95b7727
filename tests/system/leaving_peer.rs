//! A peer that is told to end finishes what it has, hands the rest over and goes; a peer whose engine is killed lets go of it.

use crate::c_engine::Built;
use crate::engine::{Engine, PATIENCE, is_fault_of, session_desc, view_desc};
use crate::fleet::{Fleet, Peer};
use rayloom::frame::Extent;
use rayloom::{Event, SessionDesc};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn nothing_is_lost_with_a_peer_that_is_told_to_end() {
    let mut fleet = Fleet::start(2);
    let mut desc = view_desc(Extent::new(160, 90));
    // Longer than any frame takes: what is missing is lost, not late.
    desc.layers.iter_mut().for_each(|layer| layer.deadline = PATIENCE / 3);
    let session = SessionDesc { peers: fleet.addresses(), max_frames_in_flight: 2, ..session_desc() };
    let mut engine = Engine::of(session, desc, crate::engine::city());
    engine.whole_frame_by(&[0, 1]);
    let leaves = |event: &Event| matches!(event, Event::PeerLeaving { peer: 1, .. });
    let is_gone = |event: &Event| matches!(event, Event::PeerLost { peer: 1, .. });
    std::thread::scope(|threads| {
        let peer = &mut fleet.peers[1];
        let ended = threads.spawn(move || peer.terminate());
        while !engine.told(is_gone) {
            let output = engine.frame();
            assert_eq!(output.fresh, 1.0, "frame {}: {:?}", output.frame_id, output.tiles);
        }
        assert_eq!(ended.join().unwrap(), Some(0));
    });
    let at = |wanted: &dyn Fn(&Event) -> bool| engine.events.iter().position(wanted);
    assert!(at(&leaves).is_some_and(|leaves| Some(leaves) < at(&is_gone)), "{:?}", engine.events);
    let lost = engine.events.iter().find(|event| is_gone(event)).unwrap().to_string();
    assert!(lost.contains("nothing of it is waited for"), "the engine ends the link: {lost}");
    let suspect = |event: &Event| is_fault_of(event, 1) && !is_gone(event);
    assert!(!engine.told(suspect), "leaving is no fault: {:?}", engine.events);
    engine.whole_frame_by(&[0]);
}

#[test]
fn a_killed_engine_leaves_nothing_at_its_peers() {
    let built = Built::new();
    // It is idle too until the engine has started.
    let mut fleet = Fleet { peers: vec![Peer::start_with(&["--exit-when-idle", "10s"])] };
    let mut engine = built.engine(&fleet).stdout(Stdio::piped()).spawn().unwrap();
    let line = |text: &str| text.contains("fresh");
    let said = BufReader::new(engine.stdout.take().unwrap()).lines().map_while(Result::ok).find(|text| line(text));
    engine.kill().unwrap();
    engine.wait().unwrap();
    assert!(said.is_some(), "it traced");
    // The session is over before that: a peer with a session is not idle.
    assert_eq!(fleet.peers[0].wait(), Some(0));
}
