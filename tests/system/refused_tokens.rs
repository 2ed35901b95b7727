//! A wrong token and a missing one: events name the peer and what it said, and the others do the work.

use crate::engine::Engine;
use crate::fleet::Fleet;
use rayloom::{Event, PeerAddress};

#[test]
fn a_refused_token_is_told_and_the_other_peer_works() {
    let fleet = Fleet::start(2);
    let urls = [fleet.peers[0].url.clone(), fleet.peers[1].url.clone()];
    let peers = vec![
        PeerAddress { url: urls[0].clone(), token: Some("wrong".into()), ..PeerAddress::default() },
        PeerAddress { url: urls[1].clone(), ..PeerAddress::default() },
        fleet.peers[1].address(),
    ];
    let mut engine = Engine::new(peers);
    engine.whole_frame_by(&[2]);
    let cause = |engine: &Engine, wanted: u32| {
        engine.events.iter().find_map(|event| match event {
            Event::PeerUnreachable { peer, cause } if *peer == wanted => Some(cause.clone()),
            _ => None,
        })
    };
    engine.frames_until("both refusals", |engine, _| cause(engine, 0).is_some() && cause(engine, 1).is_some());
    let (wrong, missing) = (cause(&engine, 0).unwrap(), cause(&engine, 1).unwrap());
    for (text, url, reason) in [(wrong, &urls[0], "wrong"), (missing, &urls[1], "missing")] {
        let parts = [url.as_str(), "401", &format!("the bearer token is {reason}")];
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} in {text}");
    }
}
