//! Signalling over TLS: what opens a session, what does not, and that nothing is said to the wrong server.

use crate::pair::{Server, message, next, within};
use rayloom_transport::signalling::SignallingConfig;
use rayloom_transport::tls::{ServerTls, self_signed};
use rayloom_transport::webrtc::{DialOptions, dial};
use rayloom_transport::{CertificatePin, Channel, LinkEvent, TransportError};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

fn served() -> ServerTls {
    let pem = self_signed().unwrap();
    ServerTls::from_pem(pem.as_bytes(), pem.as_bytes()).unwrap()
}

fn config() -> SignallingConfig {
    SignallingConfig::new(Some("secret-of-tests".into()), 1)
}

fn pinned(pin: CertificatePin) -> DialOptions {
    DialOptions { tls_pin: Some(pin), ..DialOptions::default() }
}

async fn refused(url: &str, options: &DialOptions) -> TransportError {
    within(dial(url, Some("secret-of-tests"), options)).await.err().expect("the dial is refused")
}

#[tokio::test]
async fn the_right_pin_opens_a_session() {
    let tls = served();
    let mut server = Server::start_with(config(), Some(&tls)).await;
    let dialled = dial(&server.url, Some("secret-of-tests"), &pinned(tls.pin())).await.expect("a session opens");
    let mut accepted = server.accepted().await;
    dialled.link.send(Channel::Control, message(1, 100)).unwrap();
    assert_eq!(next(&mut accepted).await, LinkEvent::Message(Channel::Control, message(1, 100)));
}

#[tokio::test]
async fn a_wrong_pin_and_a_missing_one_are_refused() {
    let (tls, other) = (served(), served());
    let server = Server::start_with(config(), Some(&tls)).await;
    let error = refused(&server.url, &pinned(other.pin())).await;
    let TransportError::PinMismatch { url, wanted, found } = &error else { panic!("{error}") };
    assert_eq!((url, *wanted, *found), (&server.url, other.pin(), tls.pin()));
    let text = error.to_string();
    assert!(text.contains(&tls.pin().to_string()) && text.contains(&other.pin().to_string()), "{text}");
    let error = refused(&server.url, &DialOptions::default()).await;
    assert!(matches!(error, TransportError::Tls { .. }) && error.to_string().contains(&server.url), "{error}");
}

#[tokio::test]
async fn plain_http_on_a_port_of_tls_is_told() {
    let server = Server::start_with(config(), Some(&served())).await;
    let url = server.url.replace("https", "http");
    let error = refused(&url, &DialOptions::default()).await;
    assert!(matches!(error, TransportError::TlsThere { .. }), "{error}");
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn another_service_is_told_by_what_it_says() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-Open\x1b[31mSSH_9.6\r\n").await.unwrap();
        // Until the dialler has read it and goes.
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
    });
    let error = refused(&url, &DialOptions::default()).await;
    assert!(matches!(error, TransportError::NoPeerThere { .. }), "{error}");
    let says = format!("{url} is no rayloom-peer: it answers \"SSH-2.0-Open.[31mSSH_9.6\"; check host and port");
    assert_eq!(error.to_string(), says);
    serving.abort();
}

#[tokio::test]
async fn tls_on_a_port_of_plain_http_is_told() {
    let server = Server::start(config()).await;
    let url = server.url.replace("http", "https");
    let error = refused(&url, &pinned(served().pin())).await;
    assert!(matches!(error, TransportError::NoTlsThere { .. }), "{error}");
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_never_reads_the_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let eavesdropper = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 16 * 1024];
        let bytes = stream.read(&mut heard).await.unwrap();
        heard.truncate(bytes);
        heard
    });
    let error = refused(&url, &pinned(served().pin())).await;
    // It hangs up before it has said anything.
    assert!(matches!(error, TransportError::Tls { .. } | TransportError::Unreachable { .. }), "{error}");
    let heard = within(eavesdropper).await.unwrap();
    assert!(!heard.is_empty() && !heard.windows(6).any(|bytes| bytes == b"secret"), "only a client's hello came");
}
