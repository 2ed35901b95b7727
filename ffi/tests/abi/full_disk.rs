//! A capture's disk gets full: a C engine is told, and goes on.
#![cfg(target_os = "linux")]

use crate::toolchain::{Link, compile, folder, run};
use std::process::{Command, Stdio};

/// Mounts a small disk where the capture shall be, for the program alone.
const SCRIPT: &str = "mount -t tmpfs -o size=1m none \"$1\" && exec \"$0\" \"$1/full.capture\"";

#[test]
fn a_full_disk_ends_the_capture_and_nothing_else() {
    let permitted = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !permitted.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "mount namespaces are not permitted here: run as root");
        println!("SKIPPED: mount namespaces are not permitted here: run as root");
        return;
    }
    let folder = folder("full-disk");
    let program = compile("full_disk", Link::Shared, &folder);
    let disk = folder.join("disk");
    std::fs::create_dir_all(&disk).unwrap();
    run(Command::new("unshare").args(["--mount", "sh", "-c", SCRIPT]).arg(program).arg(disk));
}
