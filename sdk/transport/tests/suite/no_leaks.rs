//! Connections come and go, and leave neither tasks nor sockets behind.

use std::time::Duration;

use crate::pair::{HANG, Server, closed, within};
use rayloom_transport::TransportError;
use rayloom_transport::signalling::SignallingConfig;
use rayloom_transport::webrtc::{Acceptor, DialOptions, dial};

/// Tasks of the runtime, and open files of the process.
fn held() -> (usize, usize) {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    (tasks, files)
}

/// Farewells take a moment: waits until no more is held than at the start.
async fn falls_back_to((tasks, files): (usize, usize)) {
    let settle = async {
        loop {
            let now = held();
            if now.0 <= tasks && now.1 <= files {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(HANG, settle).await.is_err() {
        panic!("{:?} tasks and files are held, {tasks} and {files} at the start", held());
    }
}

/// Five connections to one server, closed by either side.
async fn cycle(server: &mut Server, round: usize) {
    for n in 0..5 {
        let url = server.url.clone();
        let options = DialOptions::default();
        let (dialled, mut accepted) = tokio::join!(within(dial(&url, None, &options)), server.accepted());
        let mut dialled = dialled.unwrap();
        let reason = format!("connection {n} of round {round}");
        let (ends, other) = if n % 2 == 0 { (&dialled, &mut accepted) } else { (&accepted, &mut dialled) };
        ends.link.close(&reason);
        assert_eq!(closed(other).await, reason);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_connections_leave_nothing_behind() {
    let mut servers = Vec::new();
    for _ in 0..5 {
        servers.push(Server::start(SignallingConfig::new(None, 64)).await);
    }
    let start = held();
    for round in 0..2 {
        futures_util::future::join_all(servers.iter_mut().map(|server| cycle(server, round))).await;
    }
    falls_back_to(start).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_that_fail_leave_nothing_behind() {
    let acceptor = Acceptor { timeout: Duration::from_millis(500), ..Acceptor::default() };
    let config = SignallingConfig { acceptor, ..SignallingConfig::new(Some("right".into()), 8) };
    let server = Server::start(config).await;
    let start = held();
    for _ in 0..20 {
        let error = dial(&server.url, Some("wrong"), &DialOptions::default()).await.err();
        assert!(matches!(error, Some(TransportError::Unauthorized { .. })), "{error:?}");
        let given_up = DialOptions { timeout: Duration::from_millis(2), ..DialOptions::default() };
        assert!(dial(&server.url, Some("right"), &given_up).await.is_err());
    }
    falls_back_to(start).await;
}
