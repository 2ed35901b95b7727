//! Where nothing gets in to a peer, a TURN server relays: one allocation for all sessions, at a real coturn.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use rayloom_test_clients::{Coturn, TURN_PASSWORD, TURN_USER, available};
use rayloom_transport::signalling::{listen, serve_router};
use rayloom_transport::webrtc::{
    Acceptor, DialOptions, IceConfig, PortStats, SharedPort, TurnError, TurnServer, TurnUrl, dial,
};
use rayloom_transport::{Channel, Connection, LinkEvent};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::pair::{HANG, closed, message, next, number, within};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn coturn() -> Option<Coturn> {
    let found = Coturn::is_installed();
    available("coturn", found, "install the package coturn").then(|| Coturn::start(HERE, HERE, &[]))
}

fn known(url: &str) -> TurnServer {
    let url: TurnUrl = url.parse().unwrap();
    TurnServer::new(url, TURN_USER.into(), TURN_PASSWORD.into()).unwrap()
}

/// The port of a peer that a server relays to.
async fn relayed_port(url: &str) -> SharedPort {
    let port = SharedPort::bind(&[HERE], 0, None).unwrap().with_turn(known(url));
    assert_eq!(within(port.relayed_address()).await.map(|relayed| relayed.ip()), Some(HERE));
    port
}

/// A peer that nothing gets in to, and that gets nowhere by itself: neither description names any other way than the relay.
struct Secluded {
    url: String,
    port: SharedPort,
    accepted: mpsc::Receiver<Connection>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

fn candidates(sdp: &str, kept: impl Fn(&str) -> bool) -> String {
    sdp.split_inclusive('\n').filter(|line| !line.starts_with("a=candidate:") || kept(line)).collect()
}

impl Secluded {
    async fn start(turn: &str) -> Secluded {
        let port = relayed_port(turn).await;
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let ice = IceConfig { port: Some(port.clone()), ..IceConfig::default() };
        let acceptor = Arc::new(Acceptor { ice, ..Acceptor::default() });
        let (sender, accepted) = mpsc::channel(8);
        let answer = move |Json(request): Json<Value>| async move {
            // The relay lets in whoever signalling came from: the offer does not say.
            let offer = candidates(request["sdp"].as_str().unwrap(), |_| false);
            let (sdp, open) = acceptor.accept_with(&offer, Some(HERE), Box::new(())).await.unwrap();
            tokio::spawn(async move { sender.send(open.await.expect("a path is found")).await });
            let sdp = candidates(&sdp, |candidate| candidate.contains(" typ relay "));
            assert_eq!(sdp.matches("a=candidate:").count(), 1, "{sdp}");
            (axum::http::StatusCode::CREATED, Json(json!({"sdp": sdp, "type": "answer", "session": "s1"})))
        };
        let router = Router::new().route("/v1/sessions", post(answer));
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(serve_router(listener, None, Some(&port), router));
        Secluded { url, port, accepted, serving }
    }

    async fn dialled(&mut self) -> (Connection, Connection) {
        // As beyond loopback: with packets that fit any path.
        let options = DialOptions { ice: Some(IceConfig::every_interface()), ..DialOptions::default() };
        let engine = within(dial(&self.url, None, &options)).await.expect("the relay is left");
        (engine, within(self.accepted.recv()).await.unwrap())
    }

    async fn settles(&self, wanted: impl Fn(PortStats) -> bool) {
        settles(&self.port, wanted).await;
    }
}

impl Drop for Secluded {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn settles(port: &SharedPort, wanted: impl Fn(PortStats) -> bool) {
    let settle = async {
        while !wanted(port.stats()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(HANG, settle).await.is_ok(), "{:?}", port.stats());
}

async fn moves_messages((from, to): (&Connection, &mut Connection)) {
    let send = async {
        for sent in 0..30 {
            within(from.link.writable(Channel::Bulk)).await.unwrap();
            from.link.send(Channel::Bulk, message(sent, 60_000)).unwrap();
        }
    };
    let receive = async {
        for expected in 0..30 {
            match next(to).await {
                LinkEvent::Message(Channel::Bulk, message) => assert_eq!(number(&message), expected),
                other => panic!("message {expected} was expected: {other:?}"),
            }
        }
    };
    tokio::join!(send, receive);
}

async fn works_by(mut coturn: Coturn, transport: &str) {
    let mut peer = Secluded::start(&(coturn.url() + transport)).await;
    let relayed = peer.port.stats().relayed.unwrap();
    let (mut engine, mut accepted) = peer.dialled().await;
    let (mut second, mut second_accepted) = peer.dialled().await;
    assert_eq!(engine.link.description(), format!("webrtc relay {relayed}"));
    let seen = accepted.link.description();
    assert!(seen.starts_with("webrtc relayed 127.0.0.1:"), "the address that stands in is not told: {seen}");
    moves_messages((&engine, &mut accepted)).await;
    moves_messages((&accepted, &mut engine)).await;
    moves_messages((&second, &mut second_accepted)).await;
    assert!(coturn.says("CHANNEL_BIND processed, success"));
    assert_eq!(coturn.count("ALLOCATE processed, success"), 1, "one for both sessions");
    assert_eq!(peer.port.stats().lost_datagrams, 0);
    engine.link.close("enough");
    assert_eq!(closed(&mut accepted).await, "enough");
    moves_messages((&second_accepted, &mut second)).await;
    drop((second, second_accepted));
    peer.settles(|now| (now.sessions, now.remotes) == (0, 0)).await;
    drop(peer);
    assert!(coturn.says("closed"), "the allocation is given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_takes_the_relay_by_udp() {
    if let Some(coturn) = coturn() {
        works_by(coturn, "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_takes_the_relay_by_tcp() {
    if let Some(coturn) = coturn() {
        works_by(coturn, "?transport=tcp").await;
    }
}

/// Offered only while the allocation lives, and asked for again where it is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_started_again_is_found_again() {
    let Some(coturn) = coturn() else { return };
    let (url, number) = (coturn.url() + "?transport=tcp", coturn.port());
    let port = relayed_port(&url).await;
    drop(coturn);
    settles(&port, |now| now.relayed.is_none()).await;
    let again = Coturn::start_at(HERE, number, HERE, &[]).expect("its port is free again");
    assert_eq!(within(port.relayed_address()).await.map(|relayed| relayed.ip()), Some(HERE));
    drop(again);
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_told() {
    let Some(mut coturn) = coturn() else { return };
    let wrong = TurnServer::new(coturn.url().parse().unwrap(), TURN_USER.into(), "a guess".into()).unwrap();
    let error = within(wrong.probe()).await.unwrap_err();
    assert_eq!(error, TurnError::Credentials { user: TURN_USER.into(), code: 401 });
    assert!(error.fix().contains("--turn-password"), "{}", error.fix());
    let (relayed, mapped) = within(known(&coturn.url()).probe()).await.unwrap();
    assert_eq!((relayed.ip(), mapped.ip()), (HERE, HERE));
    assert!(coturn.says("closed"), "the probe gives its allocation back");
    // Plain text answers where TLS is expected.
    let plain = std::net::TcpListener::bind((HERE, 0)).unwrap();
    let number = plain.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in plain.incoming().flatten() {
            let mut greeting = [0; 4096];
            let _ = stream.read(&mut greeting);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            // Open until the other side has seen enough.
            while stream.read(&mut greeting).is_ok_and(|read| read > 0) {}
        }
    });
    let error = within(known(&format!("turns:127.0.0.1:{number}")).probe()).await.unwrap_err();
    assert!(matches!(error, TurnError::Tls { .. }), "{error}");
    let nobody: SocketAddr = std::net::UdpSocket::bind((HERE, 0)).unwrap().local_addr().unwrap();
    for transport in ["", "?transport=tcp"] {
        let error = within(known(&format!("turn:{nobody}{transport}")).probe()).await.unwrap_err();
        assert!(matches!(error, TurnError::Unreachable { .. }), "{error}");
    }
    let error = within(known("turn:nowhere.invalid").probe()).await.unwrap_err();
    assert!(matches!(&error, TurnError::Unresolved { host, .. } if host == "nowhere.invalid"), "{error}");
}
