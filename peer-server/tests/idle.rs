//! When a peer counts as idle: from the last session's end, anew with each one.

mod engine;

use engine::{Engine, server};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};

#[tokio::test]
async fn the_time_runs_only_while_no_session_is_open_and_begins_anew_after_each() {
    let server = server();
    // The test's clock: tells when waiting begins, and ends it when told.
    let (began, mut begins) = mpsc::unbounded_channel();
    let over = Arc::new(Notify::new());
    let idle = tokio::spawn({
        let (server, over) = (server.clone(), over.clone());
        async move {
            let quiet = || {
                began.send(()).unwrap();
                let over = over.clone();
                async move { over.notified().await }
            };
            server.idle(quiet).await;
        }
    });
    begins.recv().await.expect("it begins when nobody is there yet");

    let engine = Engine::greeted(&server).await;
    assert_eq!(server.session_count(), 1);
    drop(engine);
    begins.recv().await.expect("it begins anew after the session's end");
    assert!(begins.try_recv().is_err() && !idle.is_finished(), "not while the session was open");

    over.notify_one();
    idle.await.unwrap();
}
