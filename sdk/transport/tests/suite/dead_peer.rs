//! A peer that dies without a word is noticed, and a reader that merely lags is not taken for dead.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::pair::{Server, closed, message, next, quick_to_notice, within};
use rayloom_transport::signalling::SignallingConfig;
use rayloom_transport::webrtc::{Acceptor, DialOptions, dial};
use rayloom_transport::{Channel, LinkEvent};
use rayloom_wire::limits::MESSAGE_BYTES;

/// Set for the copy of this test binary that plays the peer.
const PEER: &str = "RAYLOOM_TEST_PEER";

/// Not a test of its own: the process that `a_killed_process_is_noticed` starts and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_process() {
    if std::env::var_os(PEER).is_none() {
        return;
    }
    let mut server = Server::start(SignallingConfig::new(None, 1)).await;
    println!("listening {}", server.url);
    let mut connection = server.accepted().await;
    while connection.events.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_is_noticed() {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dead_peer::peer_process", "--nocapture"])
        .env(PEER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let url = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("listening ").map(|(_, url)| url.to_owned()))
        .expect("the peer says where it listens");
    let options = DialOptions { keep_alive: quick_to_notice(), ..DialOptions::default() };
    let mut connection = dial(&url, None, &options).await.unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    let reason = closed(&mut connection).await;
    assert!(reason.contains("nothing was heard"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_lags_behind_does_not_end_the_connection() {
    let acceptor = Acceptor { keep_alive: quick_to_notice(), ..Acceptor::default() };
    let mut server = Server::start(SignallingConfig { acceptor, ..SignallingConfig::new(None, 1) }).await;
    let options = DialOptions { keep_alive: quick_to_notice(), ..DialOptions::default() };
    let sender = dial(&server.url, None, &options).await.unwrap();
    let mut reader = server.accepted().await;
    let mut sent = 0;
    while sender.link.send(Channel::Frames, message(sent, MESSAGE_BYTES)).is_ok() {
        sent += 1;
    }
    // Longer than the silence that ends a connection: pings flow although nobody reads.
    let room = tokio::time::timeout(Duration::from_millis(1500), sender.link.writable(Channel::Frames)).await;
    assert!(room.is_err(), "nothing was read, and the connection lives: {room:?}");
    for _ in 0..sent {
        let event = next(&mut reader).await;
        assert!(matches!(event, LinkEvent::Message(Channel::Frames, _)), "{event:?}");
    }
    within(sender.link.writable(Channel::Frames)).await.expect("the connection lives");
}
