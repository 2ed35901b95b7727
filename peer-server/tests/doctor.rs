//! The real binary's doctor, on this machine and with its Vulkan drivers hidden.

use std::process::Command;

fn doctor(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rayloom-peer"));
    let args = ["doctor", "--allow-cpu", "--listen", "127.0.0.1:0", "--cache-dir", "none"];
    let output = command.args(args).env("LP_NUM_THREADS", "1").envs(variables.iter().copied()).output().unwrap();
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
