//! A disk that is full: the scene fails with the reason, the peer goes on.
#![cfg(target_os = "linux")]

mod engine;

use engine::{Engine, packed_city};
use rayloom_transport::webrtc::{DialOptions, dial};
use rayloom_wire::SceneStage;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

const TOKEN: &str = "a-token-for-tests";
/// Mounts a disk that holds a blob or two of the city, and becomes the peer.
const SCRIPT: &str =
    "mount -t tmpfs -o size=32k none \"$1\" && exec \"$0\" --allow-cpu --listen 127.0.0.1:0 --cache-dir \"$1\"";

/// Killed when the test ends early.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_the_scene_and_not_the_peer() {
    let permitted = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !permitted.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "mount namespaces are not permitted here: run as root");
        println!("SKIPPED: mount namespaces are not permitted here: run as root");
        return;
    }
    let folder = std::env::temp_dir().join(format!("rayloom-full-disk-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT, env!("CARGO_BIN_EXE_rayloom-peer")]).arg(&folder);
    command.env("RAYLOOM_TOKEN", TOKEN).env("LP_NUM_THREADS", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut peer = Peer(command.spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(peer.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let url = ready.strip_prefix("rayloom-peer ready on ").and_then(|rest| rest.split(' ').next()).expect(&ready);
    let connection = dial(url, Some(TOKEN), &DialOptions::default()).await.unwrap();
    let mut engine = Engine::over(connection);
    engine.greet().await;
    for revision in [1, 2] {
        let SceneStage::Failed { reason } = engine.provide(revision, &packed_city()).await.1 else {
            panic!("32 KiB do not hold the city")
        };
        assert!(reason.contains("scene cache cannot be written") && reason.contains("--cache-dir"), "{reason}");
    }
    assert!(peer.0.try_wait().unwrap().is_none(), "the peer goes on");
    drop(engine);
    Command::new("kill").args(["-TERM", &peer.0.id().to_string()]).status().unwrap();
    assert!(peer.0.wait().unwrap().success());
    let mut said = String::new();
    peer.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said.matches("a scene failed").count(), 2, "once for each revision: {said}");
    std::fs::remove_dir_all(folder).unwrap();
}
