//! A listener whose sessions share one UDP port: they do not hear each other, strangers are not heard, nothing stays behind.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;

use crate::pair::{HANG, Server, closed, next, within};
use rayloom_transport::signalling::SignallingConfig;
use rayloom_transport::webrtc::{DialOptions, PortStats, SharedPort, StunServer, dial};
use rayloom_transport::{Channel, Connection, LinkEvent, TransportError};

const HERE: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
const EVERYWHERE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];

async fn server(addresses: &[IpAddr]) -> (Server, SharedPort) {
    let port = SharedPort::bind(addresses, 0, None).unwrap();
    let mut config = SignallingConfig::new(None, 8);
    config.acceptor.ice.bind = addresses.to_vec();
    config.acceptor.ice.port = Some(port.clone());
    (Server::start(config).await, port)
}

async fn settles(port: &SharedPort, wanted: impl Fn(PortStats) -> bool) {
    let settle = async {
        while !wanted(port.stats()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(HANG, settle).await.is_ok(), "{:?}", port.stats());
}

async fn echo(mut accepted: Connection) {
    while let LinkEvent::Message(channel, message) = next(&mut accepted).await {
        accepted.link.send(channel, message).unwrap();
    }
}

/// Eight engines at once send each their own bytes, and get them back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_on_one_port_do_not_hear_each_other() {
    let (mut server, port) = server(&EVERYWHERE).await;
    let options = DialOptions::default();
    let dialling: Vec<_> = (0..8).map(|_| dial(&server.url, None, &options)).collect();
    let dialled = within(futures_util::future::join_all(dialling)).await;
    let mut echoes = Vec::new();
    for _ in 0..8 {
        echoes.push(tokio::spawn(echo(server.accepted().await)));
    }
    let engines = dialled.into_iter().enumerate().map(|(number, dialled)| async move {
        let mut engine = dialled.unwrap();
        for length in [1, 1_000, 60_000, 60_000, 60_000] {
            let message = Bytes::from(vec![number as u8; length]);
            engine.link.send(Channel::Frames, message.clone()).unwrap();
            assert_eq!(next(&mut engine).await, LinkEvent::Message(Channel::Frames, message));
        }
        engine
    });
    let engines = within(futures_util::future::join_all(engines)).await;
    for engine in &engines {
        let description = engine.link.description();
        assert!(description.ends_with(&format!(":{}", port.port())), "{description}");
    }
    let busy = port.stats();
    assert_eq!((busy.sessions, busy.lost_datagrams), (8, 0));
    assert!(busy.remotes >= 8, "{busy:?}");
    drop(engines);
    for echo in echoes {
        within(echo).await.unwrap();
    }
    settles(&port, |now| (now.sessions, now.remotes) == (0, 0)).await;
}

#[tokio::test]
async fn strangers_are_dropped_and_counted() {
    let (mut server, port) = server(&HERE).await;
    let engine = within(dial(&server.url, None, &DialOptions::default())).await.unwrap();
    let mut accepted = server.accepted().await;
    let before = port.stats();
    let stranger = UdpSocket::bind((HERE[0], 0)).unwrap();
    // A binding request for nobody, of no session, DTLS, noise.
    let request = [&[0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12], &[0, 6, 0, 12], b"nobody:there"].concat();
    for datagram in [&request[..], &[22; 100], &[0; 20], b"x"] {
        stranger.send_to(datagram, (HERE[0], port.port())).unwrap();
    }
    settles(&port, |now| now.unknown_datagrams == before.unknown_datagrams + 4).await;
    assert_eq!((port.stats().sessions, port.stats().remotes), (1, before.remotes));
    engine.link.close("done");
    assert_eq!(closed(&mut accepted).await, "done");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let held = UdpSocket::bind((HERE[0], 0)).unwrap();
    let addr = held.local_addr().unwrap();
    let error = SharedPort::bind(&HERE, addr.port(), None).unwrap_err();
    assert!(matches!(error, TransportError::PortInUse { protocol: "UDP", addr: named } if named == addr), "{error}");
    let elsewhere = [IpAddr::from([192, 0, 2, 1])];
    let error = SharedPort::bind(&elsewhere, 0, None).unwrap_err();
    assert!(matches!(error, TransportError::Listen { .. }), "{error}");
}

/// XOR-MAPPED-ADDRESS (RFC 5389, 15.2) of an IPv4 address, in a success response.
fn stun_response(transaction: &[u8], port: u16, ip: [u8; 4]) -> Vec<u8> {
    let cookie = [0x21, 0x12, 0xa4, 0x42];
    let mut response = [&[1, 1, 0, 12][..], &cookie, transaction, &[0, 0x20, 0, 8, 0, 1]].concat();
    response.extend((port ^ 0x2112).to_be_bytes());
    response.extend(ip.iter().zip(cookie).map(|(byte, mask)| byte ^ mask));
    response
}

/// The server loses the first request, and answers the second with a wrong transaction before the right one; a stranger
/// answers too.
#[tokio::test]
async fn a_stun_server_tells_the_shared_ports_address() {
    let stun = tokio::net::UdpSocket::bind((HERE[0], 0)).await.unwrap();
    let stranger = UdpSocket::bind((HERE[0], 0)).unwrap();
    let url: StunServer = format!("stun:{}", stun.local_addr().unwrap()).parse().unwrap();
    let port = SharedPort::bind(&HERE, 0, None).unwrap().with_stun(url);
    let mut requests = Vec::new();
    for number in 0..2 {
        let mut request = [0; 100];
        let (length, from) = within(stun.recv_from(&mut request)).await.unwrap();
        assert_eq!((&request[..8], length), (&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], 20));
        assert_eq!(from, std::net::SocketAddr::from((HERE[0], port.port())), "asked from the shared socket");
        let transaction = &request[8..20];
        requests.push(transaction.to_vec());
        if number == 1 {
            stranger.send_to(&stun_response(transaction, 1, [198, 51, 100, 1]), from).unwrap();
            stun.send_to(&stun_response(&[9; 12], 2, [198, 51, 100, 2]), from).await.unwrap();
            stun.send_to(&stun_response(transaction, 61_000, [203, 0, 113, 5]), from).await.unwrap();
        }
    }
    assert_eq!(requests[0], requests[1], "the same request again");
    assert_eq!(within(port.reflexive_address()).await, Some("203.0.113.5:61000".parse().unwrap()));
}
