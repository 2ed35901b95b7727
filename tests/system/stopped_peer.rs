//! A peer that hangs (stopped by a signal: its sockets stay open and nothing answers) is covered like a dead one, and
//! works again when it wakes up.

use crate::engine::{Engine, is_fault_of, peers_of};
use crate::fleet::Fleet;
use rayloom::Event;

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
