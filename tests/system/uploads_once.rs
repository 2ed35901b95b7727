//! A scene is sent to a peer once: a second engine with the same scene sends nothing of it, also after a restart.

use crate::engine::Engine;
use crate::fleet::Peer;

#[test]
fn the_second_session_sends_nothing() {
    let mut peer = Peer::start();
    let uploaded = |peer: &Peer| {
        let mut engine = Engine::new(vec![peer.address()]);
        engine.whole_frame_by(&[0]);
        engine.uploaded_to(0)
    };
    let first = uploaded(&peer);
    assert!(first > 100_000, "a city is not so small: {first} bytes");
    assert_eq!(uploaded(&peer), 0, "the peer has it on its device");
    peer.kill();
    peer.restart();
    assert_eq!(uploaded(&peer), 0, "the peer has it on its disk");
}
