//! Every way in which a session may be refused, as the dialler and as a plain HTTP client see it.

use std::time::Duration;

use crate::pair::{Server, closed, within};
use rayloom_transport::TransportError;
use rayloom_transport::signalling::{SignallingConfig, listen};
use rayloom_transport::webrtc::{Acceptor, DialOptions, dial};
use rayloom_wire::VersionRange;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a dialler sends, its versions to be filled in; its candidate leads nowhere.
const OFFER: &str = include_str!("offer.txt");

fn config() -> SignallingConfig {
    SignallingConfig::new(Some("right".into()), 1)
}

async fn refused(url: &str, token: Option<&str>, options: &DialOptions) -> TransportError {
    within(dial(url, token, options)).await.err().expect("the dial is refused")
}

/// Status and body of the answer to a request written by hand.
async fn raw(url: &str, head: &str, body: &[u8]) -> (u16, String) {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may answer and hang up before it has read an oversized body.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).expect("a status line").parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

async fn raw_session(url: &str, body: &[u8]) -> (u16, String) {
    raw(url, "POST /v1/sessions HTTP/1.1\r\nAuthorization: Bearer right", body).await
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_named() {
    let server = Server::start(config()).await;
    for (token, words) in [(Some("wrong"), "token is wrong"), (None, "token is missing"), (Some("righ"), "is wrong")] {
        let error = refused(&server.url, token, &DialOptions::default()).await;
        assert!(matches!(error, TransportError::Unauthorized { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&server.url) && text.contains(words), "{text}");
        assert!(!text.contains("right") && token.is_none_or(|token| !text.contains(&format!("{token:?}"))), "{text}");
    }
    let (status, body) = raw(&server.url, "POST /v1/sessions HTTP/1.1\r\nAuthorization: Basic abc", b"{}").await;
    assert_eq!(status, 401);
    assert!(body.contains("\"error\":\"unauthorized\""), "{body}");
}

#[tokio::test]
async fn a_token_that_no_header_may_hold_is_refused_here() {
    let server = Server::start(config()).await;
    let error = refused(&server.url, Some("two\nlines"), &DialOptions::default()).await;
    assert!(matches!(error, TransportError::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn garbage_is_a_bad_request_and_takes_no_session() {
    let mut server = Server::start(config()).await;
    let VersionRange { min, max } = rayloom_wire::VERSION;
    let offer = |sdp: &str| format!(r#"{{"sdp":{sdp:?},"type":"offer","protocol":{{"min":{min},"max":{max}}}}}"#);
    let half = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
    for body in [
        String::new(),
        "not json".into(),
        "{}".into(),
        offer(""),
        offer("garbage"),
        offer("v=0\r\n"),
        offer(half),
        offer(half).replace("\"offer\"", "\"answer\""),
        offer(half).replace("\"offer\"", "\"pranswer\""),
        offer(half).replace(&format!("\"min\":{min}"), "\"min\":-1"),
    ] {
        let (status, answer) = raw_session(&server.url, body.as_bytes()).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer.contains("\"reason\":"), "{answer}");
    }
    let connection = dial(&server.url, Some("right"), &DialOptions::default()).await.expect("the session is free");
    server.accepted().await;
    drop(connection);
}

#[tokio::test]
async fn an_oversize_body_is_refused_before_it_is_parsed() {
    let server = Server::start(config()).await;
    let (status, answer) = raw_session(&server.url, &vec![b' '; 70_000]).await;
    assert_eq!(status, 413, "{answer}");
    assert!(answer.contains("65536"), "{answer}");
}

#[tokio::test]
async fn other_paths_and_methods_do_not_exist() {
    let server = Server::start(config()).await;
    assert_eq!(raw(&server.url, "POST /v2/sessions HTTP/1.1", b"").await.0, 404);
    assert_eq!(raw(&server.url, "GET /v1/sessions HTTP/1.1", b"").await.0, 405);
}

#[tokio::test]
async fn a_version_mismatch_names_both_ranges() {
    let server = Server::start(config()).await;
    let newer = DialOptions { versions: VersionRange { min: 7, max: 9 }, ..DialOptions::default() };
    let error = refused(&server.url, Some("right"), &newer).await;
    let TransportError::VersionMismatch { ours, theirs, .. } = error else { panic!("{error}") };
    assert_eq!((ours, theirs), (VersionRange { min: 7, max: 9 }, rayloom_wire::VERSION));
}

#[tokio::test]
async fn capacity_is_told_and_comes_back_when_a_session_ends() {
    let mut server = Server::start(config()).await;
    let first = dial(&server.url, Some("right"), &DialOptions::default()).await.unwrap();
    let mut accepted = server.accepted().await;
    let error = refused(&server.url, Some("right"), &DialOptions::default()).await;
    assert!(matches!(error, TransportError::Capacity { .. }), "{error}");
    first.link.close("done");
    assert_eq!(closed(&mut accepted).await, "done");
    let free_again = async {
        loop {
            match dial(&server.url, Some("right"), &DialOptions::default()).await {
                Ok(connection) => break connection,
                Err(TransportError::Capacity { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    within(free_again).await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap();
    let error = listen(addr).await.expect_err("the port is taken");
    assert!(matches!(error, TransportError::PortInUse { protocol: "TCP", addr: named } if named == addr), "{error}");
}

#[tokio::test]
async fn an_unreachable_peer_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let error = refused(&url, None, &DialOptions::default()).await;
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn a_server_that_is_no_peer_is_no_peer() {
    for answer in
        ["HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 16 * 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read(&mut request).await;
        });
        let error = refused(&url, None, &DialOptions::default()).await;
        assert!(
            matches!(error, TransportError::BadAnswer { .. } | TransportError::Refused { status: 404, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("is it a rayloom-peer"), "{error}");
        server.abort();
    }
}

#[tokio::test]
async fn a_silent_server_runs_into_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let options = DialOptions { timeout: Duration::from_millis(200), ..DialOptions::default() };
    let error = refused(&url, None, &options).await;
    assert!(matches!(error, TransportError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn an_offer_that_nobody_follows_up_frees_its_session() {
    let acceptor = Acceptor { timeout: Duration::from_secs(1), ..Acceptor::default() };
    let server = Server::start(SignallingConfig { acceptor, ..config() }).await;
    // A dialler that takes the answer and is never seen again.
    let VersionRange { min, max } = rayloom_wire::VERSION;
    let offer = OFFER.replace("MIN", &min.to_string()).replace("MAX", &max.to_string());
    let (status, answer) = raw_session(&server.url, offer.as_bytes()).await;
    assert_eq!(status, 201, "{answer}");
    let error = refused(&server.url, Some("right"), &DialOptions::default()).await;
    assert!(matches!(error, TransportError::Capacity { .. }), "{error}");
    let free_again = async {
        loop {
            match dial(&server.url, Some("right"), &DialOptions::default()).await {
                Ok(connection) => break connection,
                Err(TransportError::Capacity { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    within(free_again).await;
}
