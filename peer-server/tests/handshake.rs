//! The first messages of a session, and what ends one.

mod engine;

use bytes::Bytes;
use engine::{Engine, Gate, hello, server, server_with};
use rayloom_peer::ServiceConfig;
use rayloom_transport::Channel;
use rayloom_wire::{Hello, Message, Ping, RefusalCode, Role, VERSION, VersionRange};

#[tokio::test]
async fn both_sides_greet_and_the_clock_is_answered() {
    let server = server();
    let mut engine = Engine::connect(&server);
    let info = engine.greet().await;
    assert_eq!(&info, server.info());
    engine.send(Message::Ping(Ping { sent_ns: 42 })).await;
    let Message::Pong(pong) = engine.next().await else { panic!("a ping is answered") };
    assert_eq!(pong.sent_ns, 42);
    assert!(pong.received_ns <= pong.answered_ns);
}

#[tokio::test]
async fn another_version_is_refused_with_both_ranges() {
    let mut engine = Engine::connect(&server());
    let versions = VersionRange { min: 900, max: 901 };
    engine.send(Message::Hello(Hello { versions, agent: "from the future".into(), role: Role::Engine })).await;
    let refused = engine.refused().await;
    assert_eq!(refused.code, RefusalCode::Version);
    assert!(
        refused.reason.contains("900 to 901") && refused.reason.contains(&VERSION.to_string()),
        "{}",
        refused.reason
    );
}

#[tokio::test]
async fn a_peer_does_not_serve_peers() {
    let server = server();
    let mut other = Engine::connect(&server);
    let role = Role::Peer(server.info().clone());
    other.send(Message::Hello(Hello { versions: VERSION, agent: "a peer".into(), role })).await;
    assert_eq!(other.refused().await.code, RefusalCode::Role);
}

#[tokio::test]
async fn garbage_ends_its_own_session_only() {
    let server = server();
    let mut bystander = Engine::greeted(&server).await;
    for garbage in [&b""[..], &[0xff; 40], &[16, 1, 2, 3], &[1]] {
        for channel in Channel::ALL {
            let mut engine = Engine::greeted(&server).await;
            engine.send_raw(channel, Bytes::copy_from_slice(garbage)).await;
            assert_eq!(engine.refused().await.code, RefusalCode::Protocol);
        }
    }
    bystander.send(Message::Ping(Ping { sent_ns: 1 })).await;
    assert!(matches!(bystander.next().await, Message::Pong(_)));
}

#[tokio::test]
async fn a_session_begins_with_hello_and_has_one() {
    let server = server();
    let mut engine = Engine::connect(&server);
    engine.send(Message::Ping(Ping { sent_ns: 1 })).await;
    assert_eq!(engine.refused().await.code, RefusalCode::Protocol);
    let mut engine = Engine::greeted(&server).await;
    engine.send(hello()).await;
    assert_eq!(engine.refused().await.code, RefusalCode::Protocol);
}

#[tokio::test]
async fn a_session_too_many_is_told_so_and_an_ended_one_makes_room() {
    let server = server_with(Gate::open(), ServiceConfig { max_sessions: 1, ..ServiceConfig::default() });
    let first = Engine::greeted(&server).await;
    let mut second = Engine::connect(&server);
    assert_eq!(second.refused().await.code, RefusalCode::Capacity);
    drop(first);
    while server.session_count() > 0 {
        tokio::task::yield_now().await;
    }
    Engine::greeted(&server).await;
}

#[tokio::test]
async fn shutting_down_is_told_to_every_session() {
    let server = server();
    let (mut a, mut b) = (Engine::greeted(&server).await, Engine::greeted(&server).await);
    server.shutdown().await;
    assert_eq!(a.refused().await.code, RefusalCode::Shutdown);
    assert_eq!(b.refused().await.code, RefusalCode::Shutdown);
    assert_eq!(server.session_count(), 0);
}
