//! Connections come and go, and leave neither tasks nor sockets behind.

mod pair;

use std::time::Duration;

use pair::{Server, closed, within};
use rayloom_transport::TransportError;
use rayloom_transport::signalling::SignallingConfig;
use rayloom_transport::webrtc::{DialOptions, dial};

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
    if tokio::time::timeout(pair::HANG, settle).await.is_err() {
        panic!("{:?} tasks and files are held, {tasks} and {files} at the start", held());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_connections_leave_nothing_behind() {
    let mut server = Server::start(SignallingConfig::new(None, 8)).await;
    let mut start = None;
    for cycle in 0..50 {
        let mut dialled = within(dial(&server.url, None, &DialOptions::default())).await.unwrap();
        let mut accepted = server.accepted().await;
        let reason = format!("cycle {cycle}");
        // Either side may end it.
        let (ends, other) = if cycle % 2 == 0 { (&dialled, &mut accepted) } else { (&accepted, &mut dialled) };
        ends.link.close(&reason);
        assert_eq!(closed(other).await, reason);
        drop((dialled, accepted));
        // The first cycle starts what the process keeps (the runtime's own files).
        if cycle == 0 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            start = Some(held());
        }
    }
    falls_back_to(start.expect("there was a first cycle")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_that_fail_leave_nothing_behind() {
    let server = Server::start(SignallingConfig::new(Some("right".into()), 8)).await;
    let start = held();
    for _ in 0..20 {
        let error = dial(&server.url, Some("wrong"), &DialOptions::default()).await.err();
        assert!(matches!(error, Some(TransportError::Unauthorized { .. })), "{error:?}");
        let given_up = DialOptions { timeout: Duration::from_millis(2), ..DialOptions::default() };
        assert!(dial(&server.url, Some("right"), &given_up).await.is_err());
    }
    falls_back_to(start).await;
}
