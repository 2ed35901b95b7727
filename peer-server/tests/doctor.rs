//! The real binary's doctor, on this machine and with its Vulkan drivers hidden.

use rayloom_test_clients::{Coturn, TURN_PASSWORD, TURN_USER, available};
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

fn doctor(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    doctor_with(&[], variables)
}

fn doctor_with(more: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rayloom-peer"));
    let args = ["doctor", "--allow-cpu", "--listen", "127.0.0.1:0", "--cache-dir", "none"];
    let output =
        command.args(args).args(more).env("LP_NUM_THREADS", "1").envs(variables.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The picture's hash.
fn hash(text: &str) -> &str {
    let line = text.lines().find(|line| line.contains(" picture: BLAKE3 ")).expect("a picture was traced");
    line.split(' ').find(|word| word.trim_end_matches(',').len() == 64).expect("64 digits")
}

#[test]
fn this_machine_can_run_a_peer_and_traces_the_same_each_time() {
    let (code, text) = doctor(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.lines().all(|line| line.starts_with("ok ") || line.starts_with("warning ")), "{text}");
    let (_, again) = doctor(&[]);
    assert_eq!(hash(&text), hash(&again));
}

#[test]
fn without_drivers_it_says_what_to_install() {
    let nowhere = "/nonexistent/driver.json";
    let (code, text) = doctor(&[("VK_DRIVER_FILES", nowhere), ("VK_ICD_FILENAMES", nowhere)]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("failure  vulkan: no Vulkan driver") && text.contains("mesa-vulkan-drivers"), "{text}");
    assert!(text.contains("unset VK_DRIVER_FILES"), "{text}");
}

#[test]
fn a_turn_server_is_tried_with_its_credentials() {
    if !available("coturn", Coturn::is_installed(), "install the package coturn") {
        return;
    }
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut coturn = Coturn::start(here, here, &[]);
    let url = coturn.url();
    // No device is needed for that, and its picture takes long.
    let nowhere = "/nonexistent/driver.json";
    let line = |password: &str| {
        let hidden = [("VK_DRIVER_FILES", nowhere), ("VK_ICD_FILENAMES", nowhere), ("RAYLOOM_TURN_PASSWORD", password)];
        let (_, text) = doctor_with(&["--turn", &url, "--turn-user", TURN_USER], &hidden);
        assert!(!text.contains(password), "{text}");
        text.lines().find(|line| line.contains(" turn: ")).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let wrong = line("a guess of the password");
    assert!(wrong.starts_with("warning  turn: turn:127.0.0.1:"), "{wrong}");
    assert!(wrong.contains("refuses the credentials of the user \"rayloom\" (401)"), "{wrong}");
    assert!(wrong.contains("correct --turn-user and --turn-password"), "{wrong}");
    let right = line(TURN_PASSWORD);
    assert!(right.contains("relays from 127.0.0.1:") && right.contains("external-ip"), "{right}");
    assert!(coturn.says("closed"), "the allocation is given back");
}
