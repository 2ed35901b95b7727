//! Where UDP does not get through, data takes TCP: on a port of its own, or on that of signalling.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::pair::{closed, message, next, number, within};
use rayloom_transport::signalling::{listen, serve_router};
use rayloom_transport::tls::{ServerTls, self_signed};
use rayloom_transport::webrtc::{Acceptor, DialOptions, IceConfig, SharedPort, dial};
use rayloom_transport::{Channel, Connection, LinkEvent};

const HERE: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::LOCALHOST)];

/// A peer from which and to which no UDP gets: neither description names a candidate for it.
struct WithoutUdp {
    url: String,
    port: SharedPort,
    options: DialOptions,
    accepted: mpsc::Receiver<Connection>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

fn without_udp(sdp: &str) -> String {
    sdp.split_inclusive('\n').filter(|line| !(line.starts_with("a=candidate:") && line.contains(" udp "))).collect()
}

impl WithoutUdp {
    async fn start(on_signalling: bool, tls: bool) -> WithoutUdp {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let port = SharedPort::bind(&HERE, 0, None).unwrap();
        let port = match on_signalling {
            true => port.with_tcp_of_signalling(listener.local_addr().unwrap().port()),
            false => port.with_tcp(&HERE, 0).unwrap(),
        };
        let ice = IceConfig { port: Some(port.clone()), ..IceConfig::default() };
        let acceptor = Arc::new(Acceptor { ice, ..Acceptor::default() });
        let (sender, accepted) = mpsc::channel(8);
        let answer = move |Json(request): Json<Value>| async move {
            let (sdp, open) = acceptor.accept(&without_udp(request["sdp"].as_str().unwrap())).await.unwrap();
            tokio::spawn(async move { sender.send(open.await.expect("a path is found")).await });
            let created = json!({"sdp": without_udp(&sdp), "type": "answer", "session": "s1"});
            (axum::http::StatusCode::CREATED, Json(created))
        };
        let router = Router::new().route("/v1/sessions", post(answer));
        let pem = self_signed().unwrap();
        let tls = tls.then(|| ServerTls::from_pem(pem.as_bytes(), pem.as_bytes()).unwrap());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let options = DialOptions { tls_pin: tls.as_ref().map(ServerTls::pin), ..DialOptions::default() };
        let serving = tokio::spawn(serve_router(listener, tls.as_ref(), Some(&port), router));
        WithoutUdp { url, port, options, accepted, serving }
    }

    async fn dialled(&mut self) -> (Connection, Connection) {
        let engine = within(dial(&self.url, None, &self.options)).await.expect("TCP is left");
        (engine, within(self.accepted.recv()).await.unwrap())
    }
}

impl Drop for WithoutUdp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn moves_messages((from, to): (&Connection, &mut Connection)) {
    let send = async {
        for sent in 0..60 {
            within(from.link.writable(Channel::Bulk)).await.unwrap();
            from.link.send(Channel::Bulk, message(sent, 60_000)).unwrap();
        }
    };
    let receive = async {
        for expected in 0..60 {
            let LinkEvent::Message(Channel::Bulk, message) = next(to).await else { panic!("it goes on") };
            assert_eq!(number(&message), expected);
        }
    };
    tokio::join!(send, receive);
}

async fn works_over_tcp(on_signalling: bool, tls: bool) {
    let mut peer = WithoutUdp::start(on_signalling, tls).await;
    let tcp = peer.port.tcp_port().unwrap();
    let (mut engine, mut accepted) = peer.dialled().await;
    let (mut second, mut second_accepted) = peer.dialled().await;
    assert_eq!(engine.link.description(), format!("webrtc tcp 127.0.0.1:{tcp}"));
    moves_messages((&engine, &mut accepted)).await;
    moves_messages((&accepted, &mut engine)).await;
    moves_messages((&second, &mut second_accepted)).await;
    engine.link.close("enough");
    assert_eq!(closed(&mut accepted).await, "enough");
    moves_messages((&second_accepted, &mut second)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_takes_tcp_on_a_port_of_its_own() {
    works_over_tcp(false, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_takes_tcp_on_the_port_of_signalling() {
    works_over_tcp(true, false).await;
    works_over_tcp(true, true).await;
}

#[tokio::test]
async fn a_stranger_over_tcp_is_cut() {
    let peer = WithoutUdp::start(false, false).await;
    let request = [&[0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12], &[0, 6, 0, 12], b"nobody:there"].concat();
    let framed = |content: &[u8]| Bytes::from([&(content.len() as u16).to_be_bytes()[..], content].concat());
    for said in [framed(&request), framed(b""), framed(&[0xff; 65_535]), Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n")]
    {
        let mut stream = TcpStream::connect((HERE[0], peer.port.tcp_port().unwrap())).await.unwrap();
        // The listener may have hung up before all of it was sent.
        let _ = stream.write_all(&said).await;
        let _ = stream.shutdown().await;
        assert_eq!(within(stream.read(&mut [0])).await.unwrap_or(0), 0);
    }
    assert_eq!(peer.port.stats().unknown_datagrams, 3, "the last was never whole");
}
