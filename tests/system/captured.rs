//! Engines with `--capture`, and `rayloom replay` of what they wrote on peers of its own: the same bits, also of frames that
//! lost a peer.

use crate::c_engine::Built;
use crate::fleet::{Fleet, Peer, TOKEN, binary};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub(crate) fn replay(file: &Path, peers: &[Peer], token: &str) -> Output {
    let urls: Vec<&str> = peers.iter().map(|peer| peer.url.as_str()).collect();
    let mut command = Command::new(binary("rayloom"));
    command.arg("replay").arg(file).args(["--peers", &urls.join(","), "--notes"]).env("RAYLOOM_TOKEN", token);
    command.output().unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

#[test]
fn the_raster_engine_s_frames_are_made_again_by_other_peers() {
    let (live, mut other, built) = (Fleet::start(2), Fleet::start(2), Built::new());
    let file = built.folder.join("raster.capture");
    let mut engine = Command::new(binary("raster-engine"));
    engine.args(["--embedded", "never", "--token", TOKEN, "--listen", "127.0.0.1:0", "--city", "20000"]);
    engine.args(["--size", "160x90", "--deadline-ms", "1000", "--frames", "6", "--capture"]).arg(&file);
    for peer in &live.peers {
        engine.args(["--peer", &peer.url]);
    }
    let ran = engine.output().unwrap();
    assert!(ran.status.success(), "{}", text(&ran));
    // By one, by two, and by two whose numbers are the other way round.
    let replayed = replay(&file, &other.peers[..1], TOKEN);
    assert_eq!(replayed.status.code(), Some(0), "{}", text(&replayed));
    other.peers.reverse();
    let replayed = replay(&file, &other.peers, TOKEN);
    assert_eq!(replayed.status.code(), Some(0), "{}", text(&replayed));
    other.peers.reverse();
    let replayed = replay(&file, &other.peers, TOKEN);
    let said = text(&replayed);
    assert_eq!(replayed.status.code(), Some(0), "{said}");
    // Addresses and tokens are not in it.
    assert!(!said.contains("127.0.0.1") && !said.contains(TOKEN), "{said}");
    // Those that were shown, at least; the engine may have begun more.
    assert!(said.matches("fresh, equal").count() >= 6, "{said}");
    assert!(said.contains("2 remote peers") && said.contains("holds scene revision"), "{said}");

    let refused = replay(&file, &other.peers, "wrong");
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("401"), "{}", text(&refused));
}

#[test]
fn frames_that_lost_a_peer_come_out_as_they_did() {
    let (mut live, built) = (Fleet::start(2), Built::new());
    let file = built.folder.join("lost.capture");
    let mut engine = built.engine(&live);
    let mut engine = engine.args(["--frames", "40", "--capture"]).arg(&file).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(engine.stdout.take().unwrap()).lines().map(Result::unwrap);
    let held = lines.by_ref().filter(|line| line.contains("holds scene revision")).take(2).count();
    assert_eq!(held, 2, "the engine ended before both peers could trace");
    live.peers[1].kill();
    lines.for_each(drop);
    assert!(engine.wait().unwrap().success());
    let replayed = replay(&file, &live.peers[..1], TOKEN);
    let said = text(&replayed);
    assert_eq!(replayed.status.code(), Some(0), "{said}");
    let is_incomplete = |line: &str| line.contains("% fresh, equal") && !line.contains(" 100 %");
    assert!(said.contains("peer 1 is suspect") || said.lines().any(is_incomplete), "{said}");
}
