//! A peer is killed while it traces: every frame that was begun comes, and the others take over its tiles.

use crate::engine::{Engine, is_fault_of};
use crate::fleet::Fleet;

#[test]
fn frames_go_on_and_its_tiles_go_to_the_others() {
    let mut fleet = Fleet::start(3);
    let mut engine = Engine::new(fleet.addresses());
    engine.whole_frame_by(&[0, 1, 2]);
    let frame_id = engine.begin();
    fleet.peers[1].kill();
    engine.take(frame_id);
    engine.whole_frame_by(&[0, 2]);
    engine.frames_until("an event about the killed peer", |engine, _| engine.told(|event| is_fault_of(event, 1)));
    assert!(!engine.told(|event| is_fault_of(event, 0) || is_fault_of(event, 2)), "{:?}", engine.events);
}
