//! All peers die and nothing else may trace: frames still come, from history. Restarted on the same ports they are found
//! again, and their caches spare the upload.

use crate::engine::{Engine, peers_of};
use crate::fleet::Fleet;
use rayloom::Event;

#[test]
fn frames_outlive_all_peers_and_get_fresh_again_without_an_upload() {
    let mut fleet = Fleet::start(2);
    let mut engine = Engine::new(fleet.addresses());
    engine.whole_frame_by(&[0, 1]);
    assert!(engine.uploaded_to(0) > 100_000, "the scene went to the peer: {} bytes", engine.uploaded_to(0));
    fleet.peers.iter_mut().for_each(|peer| peer.kill());
    let lost =
        |engine: &Engine, peer| engine.told(|event| matches!(event, Event::PeerLost { peer: p, .. } if *p == peer));
    let output = engine.frames_until("both peers are lost", |engine, _| lost(engine, 0) && lost(engine, 1));
    let stale = engine.frame();
    assert_eq!((output.fresh, stale.fresh), (0.0, 0.0));
    assert!(peers_of(&stale).is_empty());

    fleet.peers.iter_mut().for_each(|peer| peer.restart());
    engine.whole_frame_by(&[0, 1]);
    assert_eq!((engine.uploaded_to(0), engine.uploaded_to(1)), (0, 0), "bytes that both held already");
}
