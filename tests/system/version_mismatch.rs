//! A peer of another age: the event names both ranges of versions, whether the refusal comes by HTTP or by its hello.

use crate::engine::Engine;
use crate::fleet::Fleet;
use rayloom::{Event, PeerAddress};
use rayloom_transport::signalling::{SignallingConfig, listen, serve};
use rayloom_transport::{Channel, Connection, LinkEvent};
use rayloom_wire::{Hello, Message, PeerInfo, Role, VERSION, VersionRange};
use tokio::runtime::Runtime;

const FUTURE: VersionRange = VersionRange { min: 7, max: 9 };

/// Serves on a free port; gone with the runtime.
fn scripted_peer(runtime: &Runtime, versions: VersionRange, on_connection: fn(Connection)) -> PeerAddress {
    let listener = runtime.block_on(listen("127.0.0.1:0".parse().unwrap())).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config = SignallingConfig { versions, ..SignallingConfig::new(None, 4) };
    runtime.spawn(serve(listener, config, on_connection));
    PeerAddress { url, ..PeerAddress::default() }
}

/// A peer that takes the session and says only in its hello that it is of another age.
fn says_hello(mut connection: Connection) {
    tokio::spawn(async move {
        let info = PeerInfo {
            device: "of tomorrow".into(),
            is_cpu: false,
            front_end: "compute".into(),
            rays_per_second: 1e9,
            memory_bytes: 1 << 30,
            class: [7; 32],
            stored_traces: false,
        };
        let hello = Message::Hello(Hello { versions: FUTURE, agent: "the future".into(), role: Role::Peer(info) });
        connection.link.send(Channel::Control, hello.encode()).unwrap();
        // The link is kept until the engine ends it.
        while !matches!(connection.events.next().await, Some(LinkEvent::Closed { .. }) | None) {}
    });
}

#[test]
fn both_ranges_are_named_and_the_other_peer_works() {
    let fleet = Fleet::start(1);
    let runtime = Runtime::new().unwrap();
    let by_http = scripted_peer(&runtime, FUTURE, |_| panic!("no session opens without a common version"));
    let by_hello = scripted_peer(&runtime, VERSION, says_hello);
    let mut engine = Engine::new(vec![by_http.clone(), by_hello.clone(), fleet.peers[0].address()]);
    engine.whole_frame_by(&[2]);
    for (index, address) in (0..).zip([by_http, by_hello]) {
        let is_it = |event: &Event| matches!(event, Event::PeerUnreachable { peer, .. } if *peer == index);
        engine.frames_until("the refusal", |engine, _| engine.told(is_it));
        let text = engine.events.iter().find(|event| is_it(event)).unwrap().to_string();
        let ranges = [FUTURE.to_string(), VERSION.to_string(), address.url];
        assert!(ranges.iter().all(|part| text.contains(part)), "{ranges:?} in {text}");
    }
}
