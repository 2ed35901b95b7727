//! A session that ends takes leave of its peers: they let go of it at once, not when they have heard nothing for seconds.

use crate::embedded::{PATIENCE, event};
use crate::served::Served;
use rayloom::{Embedded, Event, PeerAddress, Session, SessionDesc};
use rayloom_transport::signalling::{SignallingConfig, listen, serve};
use rayloom_transport::{Channel, Connection, LinkEvent};
use rayloom_wire::{Hello, Message, PeerInfo, Role, VERSION};
use std::sync::mpsc::{Sender, channel};
use tokio::runtime::Runtime;

const SESSIONS: usize = 12;

fn session(peers: Vec<PeerAddress>) -> Session {
    let session = Session::new(SessionDesc { peers, embedded: Embedded::Never, ..SessionDesc::default() }).unwrap();
    event(&session, |event| matches!(event, Event::PeerConnected { .. }).then_some(()));
    session
}

#[test]
fn a_peer_holds_nothing_of_a_session_that_was_destroyed() {
    let served = Served::start();
    let session = session(vec![served.address()]);
    assert_eq!(served.sessions(), 1);
    drop(session);
    served.wait_until_unused();
}

/// Says hello, reads, and tells how the link ended.
fn attend(mut connection: Connection, ended: Sender<String>) {
    tokio::spawn(async move {
        let info = PeerInfo {
            device: "a test".into(),
            is_cpu: true,
            front_end: "none".into(),
            rays_per_second: 1.0,
            memory_bytes: 1 << 30,
            class: [0; 32],
            stored_traces: false,
        };
        let hello = Message::Hello(Hello { versions: VERSION, agent: "a test".into(), role: Role::Peer(info) });
        connection.link.send(Channel::Control, hello.encode()).unwrap();
        while let Some(event) = connection.events.next().await {
            if let LinkEvent::Closed { reason } = event {
                ended.send(reason).unwrap();
            }
        }
    });
}

/// The reason tells the goodbye from a path that broke and from silence, by which a session ends as well, seconds later. A
/// goodbye that nobody waits for is mostly in time, not every time.
#[test]
fn every_peer_is_told_that_the_session_ended() {
    let runtime = Runtime::new().unwrap();
    let (ended, reasons) = channel();
    let peer = || {
        let listener = runtime.block_on(listen("127.0.0.1:0".parse().unwrap())).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ended = ended.clone();
        let on_connection = move |connection| attend(connection, ended.clone());
        runtime.spawn(serve(listener, SignallingConfig::new(None, 2 * SESSIONS), on_connection));
        PeerAddress { url, ..PeerAddress::default() }
    };
    let peers = vec![peer(), peer()];
    for _ in 0..SESSIONS {
        let session = session(peers.clone());
        event(&session, |event| matches!(event, Event::PeerConnected { .. }).then_some(()));
        drop(session);
        for _ in &peers {
            assert_eq!(reasons.recv_timeout(PATIENCE).as_deref(), Ok("the engine's session ended"));
        }
    }
}
