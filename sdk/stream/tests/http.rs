//! The HTTP side as a stranger sees it: tokens, origins, limits, and reasons one can act on.
#![cfg(feature = "h264")]

mod served_picture;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rayloom_stream::{Stream, StreamDesc, StreamError, StreamServer};
use served_picture::runtime;

fn start(desc: StreamDesc) -> (Stream, tokio::runtime::Runtime) {
    let runtime = runtime();
    (StreamServer::start(desc, runtime.handle()).expect("a free port"), runtime)
}

/// One request, sent as it is; the whole response as text.
fn request(addr: SocketAddr, head: &str, body: &[u8]) -> String {
    let mut connection = TcpStream::connect(addr).expect("the server listens");
    let head = format!("{head}\r\nHost: {addr}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.write_all(head.as_bytes()).unwrap();
    // A server that refuses early may close before it has read everything.
    let _ = connection.write_all(body);
    let mut response = Vec::new();
    let _ = connection.read_to_end(&mut response);
    String::from_utf8_lossy(&response).to_lowercase()
}

const SDP: &str = "Content-Type: application/sdp";

#[test]
fn a_wrong_or_missing_token_is_refused_with_a_reason() {
    let (stream, _runtime) = start(StreamDesc { token: Some("sesame".to_owned()), ..StreamDesc::default() });
    let addr = stream.local_addr();
    let missing = request(addr, &format!("POST /whep HTTP/1.1\r\n{SDP}"), b"v=0");
    assert!(missing.starts_with("http/1.1 401 "), "{missing}");
    assert!(missing.contains("www-authenticate: bearer") && missing.contains("a token is needed"));
    let wrong = request(addr, "GET /stats HTTP/1.1\r\nAuthorization: Bearer open", b"");
    assert!(wrong.starts_with("http/1.1 401 ") && wrong.contains("the token is wrong"), "{wrong}");
    let right = request(addr, "GET /stats HTTP/1.1\r\nAuthorization: bearer sesame", b"");
    assert!(right.starts_with("http/1.1 200 ") && right.contains("\"viewers\":0"), "{right}");
    // The page itself is no secret.
    assert!(request(addr, "GET / HTTP/1.1", b"").contains("<video"));
}

#[test]
fn pages_of_other_origins_watch_only_if_allowed() {
    let (stream, _runtime) =
        start(StreamDesc { allow_origins: vec!["https://play.example".to_owned()], ..StreamDesc::default() });
    let addr = stream.local_addr();
    let allowed = request(addr, "OPTIONS /whep HTTP/1.1\r\nOrigin: https://play.example", b"");
    assert!(allowed.starts_with("http/1.1 204 "), "{allowed}");
    assert!(allowed.contains("access-control-allow-origin: https://play.example"));
    assert!(allowed.contains("accept-post: application/sdp"));
    let other = request(addr, "OPTIONS /whep HTTP/1.1\r\nOrigin: https://evil.example", b"");
    assert!(!other.contains("access-control-allow-origin"), "{other}");
    let post = format!("POST /whep HTTP/1.1\r\n{SDP}\r\nOrigin: https://evil.example");
    assert!(request(addr, &post, b"v=0").starts_with("http/1.1 403 "));
    let own = format!("POST /whep HTTP/1.1\r\n{SDP}\r\nOrigin: http://{addr}");
    assert!(request(addr, &own, b"v=0").starts_with("http/1.1 400 "));
}

#[test]
fn bad_offers_get_the_status_that_fits() {
    let (stream, _runtime) = start(StreamDesc::default());
    let addr = stream.local_addr();
    let post = format!("POST /whep HTTP/1.1\r\n{SDP}");
    let garbage = request(addr, &post, b"hello");
    assert!(garbage.starts_with("http/1.1 400 ") && garbage.contains("no sdp"), "{garbage}");
    assert!(request(addr, &post, &[0xff; 64]).starts_with("http/1.1 400 "));
    assert!(request(addr, &post, &[b'a'; 70_000]).starts_with("http/1.1 413 "));
    let json = "POST /whep HTTP/1.1\r\nContent-Type: application/json";
    assert!(request(addr, json, b"{}").starts_with("http/1.1 415 "));
    let no_video = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    let refused = request(addr, &post, no_video);
    assert!(refused.starts_with("http/1.1 400 "), "{refused}");
    // None of them kept a place.
    assert!(request(addr, "GET /stats HTTP/1.1", b"").contains("\"viewers\":0"));
    let patch = request(addr, "PATCH /whep/0123 HTTP/1.1", b"");
    assert!(patch.starts_with("http/1.1 405 ") && patch.contains("allow: delete"), "{patch}");
    assert!(request(addr, "DELETE /whep/0123 HTTP/1.1", b"").starts_with("http/1.1 404 "));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let runtime = runtime();
    let desc = StreamDesc { listen, ..StreamDesc::default() };
    let error = StreamServer::start(desc, runtime.handle()).unwrap_err();
    assert!(matches!(error, StreamError::PortInUse { addr } if addr == listen));
    assert!(error.to_string().contains(&listen.port().to_string()), "{error}");
}

#[test]
fn descriptions_out_of_range_are_refused() {
    let runtime = runtime();
    let good = StreamDesc::default();
    for (desc, word) in [
        (StreamDesc { max_fps: f32::NAN, ..good.clone() }, "max_fps"),
        (StreamDesc { max_viewers: 0, ..good.clone() }, "max_viewers"),
        (StreamDesc { bitrate_bps: 1_000, ..good.clone() }, "bitrate_bps"),
        (StreamDesc { width: 0, ..good.clone() }, "0x720"),
        (StreamDesc { token: Some(" ".to_owned()), ..good }, "token"),
    ] {
        let error = StreamServer::start(desc, runtime.handle()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn the_port_is_free_again_after_the_end() {
    let (stream, runtime) = start(StreamDesc::default());
    let listen = stream.local_addr();
    drop(stream);
    let desc = StreamDesc { listen, ..StreamDesc::default() };
    StreamServer::start(desc, runtime.handle()).expect("the port is free");
}
