//! Captures whose engine was killed or whose disk got full: what is in the file is replayed, up to the last whole frame.

use crate::c_engine::Built;
use crate::captured::{replay, text};
use crate::fleet::{Fleet, TOKEN, binary};
use rayloom_test_clients::available;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A raster engine on these peers, so that planes are captured too.
fn raster_engine(fleet: &Fleet) -> Command {
    let mut command = Command::new(binary("raster-engine"));
    command.args(["--embedded", "never", "--token", TOKEN, "--listen", "127.0.0.1:0", "--city", "20000"]);
    command.args(["--size", "160x90", "--deadline-ms", "1000"]);
    for peer in &fleet.peers {
        command.args(["--peer", &peer.url]);
    }
    command
}

/// Killed and waited for, by SIGKILL.
fn kill(mut engine: Child) {
    engine.kill().unwrap();
    engine.wait().unwrap();
}

#[test]
fn what_a_killed_engine_had_done_is_replayed() {
    let (fleet, built) = (Fleet::start(2), Built::new());
    for (name, mut engine) in [("c", built.engine(&fleet)), ("raster", raster_engine(&fleet))] {
        let file = built.folder.join(format!("{name}.capture"));
        let mut engine = engine.arg("--capture").arg(&file).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(engine.stdout.take().unwrap()).lines().map(Result::unwrap);
        // Told of what was shown, once a second: frames are out, and others are under way.
        let told = lines.by_ref().inspect(|line| println!("{line}")).find(|line| line.starts_with("fresh "));
        assert!(told.is_some(), "{name} ended before a frame was out");
        kill(engine);
        let replayed = replay(&file, &fleet.peers[..1], TOKEN);
        let said = text(&replayed);
        assert_eq!(replayed.status.code(), Some(0), "{name}: {said}");
        assert!(said.contains("fresh, equal") && said.contains("frames are equal bit for bit"), "{name}: {said}");
    }
}

/// Mounts a disk that holds a scene and a few frames' planes, captures to it, and replays what is there.
const SCRIPT: &str = r#"
    disk=$1 replay=$2 peers=$3; shift 3
    mount -t tmpfs -o size=2m none "$disk" && "$@" --capture "$disk/full.capture" || exit 9
    exec "$replay" replay "$disk/full.capture" --peers "$peers""#;

#[test]
fn frames_go_on_when_the_disk_of_a_capture_is_full() {
    let permitted = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    let permitted = permitted.is_ok_and(|status| status.success());
    if !available("the right to make mount namespaces", permitted, "run as root, with util-linux installed") {
        return;
    }
    let (fleet, built) = (Fleet::start(1), Built::new());
    let disk = built.folder.join("disk");
    std::fs::create_dir(&disk).unwrap();
    let engine = raster_engine(&fleet);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT, "sh"]).arg(&disk).arg(binary("rayloom")).arg(&fleet.peers[0].url);
    command.arg(engine.get_program()).args(engine.get_args()).args(["--frames", "60"]).env("RAYLOOM_TOKEN", TOKEN);
    let output = command.output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let (ran, replayed) = said.split_once("full.capture: ").expect("it is replayed");
    let (_, after) = ran.split_once("full.capture ends here: ").expect("the engine is told");
    assert!(after.contains("No space left on device") && after.contains("fresh "), "{said}");
    assert!(replayed.contains("the file ends within a record") && replayed.contains("fresh, equal"), "{said}");
}
