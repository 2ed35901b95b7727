//! The real binary's settings: a file, the environment and flags, and what is said about typos.

use std::path::PathBuf;
use std::process::{Command, Output};

struct File(PathBuf);

impl File {
    fn of(name: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("rayloom-settings-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn peer(file: &File, args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rayloom-peer"));
    command.arg("--config").arg(&file.0).args(args).env_remove("RAYLOOM_TOKEN");
    let Output { status, stdout, stderr } = command.envs(variables.iter().copied()).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn variables_win_over_the_file_and_flags_over_both() {
    let file = File::of("layers", "max-sessions = 2\nlisten = '127.0.0.1:1'\ntoken = 'secret'\ncache-size = '1GiB'\n");
    let variables = [("RAYLOOM_LISTEN", "127.0.0.1:2"), ("RAYLOOM_MAX_SESSIONS", "3")];
    let (code, out, text) = peer(&file, &["--print-config", "--max-sessions", "4"], &variables);
    assert_eq!(code, Some(0), "{text}");
    let from_file = format!("cache-size = \"1GiB\"  # {}:4", file.0.display());
    for line in [
        "max-sessions = 4  # flag --max-sessions",
        "listen = \"127.0.0.1:2\"  # environment RAYLOOM_LISTEN",
        "allow-cpu = false  # default",
        &from_file,
    ] {
        assert!(out.lines().any(|found| found == line), "{line} in {out}");
    }
    assert!(!out.contains("secret"), "{out}");
}

#[test]
fn a_typo_ends_the_start_with_file_line_and_the_nearest_key() {
    let file = File::of("typo", "\nlissten = '127.0.0.1:1'\n");
    let (code, _, text) = peer(&file, &[], &[]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(&format!("{}:2: ", file.0.display())) && text.contains("did you mean \"listen\"?"), "{text}");
}

#[test]
fn shells_are_given_completions() {
    let file = File::of("completions", "");
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, text) = peer(&file, &["completions", shell], &[]);
        assert_eq!(code, Some(0), "{text}");
        assert!(out.contains("exit-when-idle") && out.contains("doctor"), "{shell}: {out}");
    }
}

#[test]
fn a_typo_in_a_variable_is_named_and_nothing_else_happens() {
    let file = File::of("variable", "");
    let (code, _, text) = peer(&file, &["--list-devices"], &[("RAYLOOM_ALLOWCPU", "1")]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("no variable RAYLOOM_ALLOWCPU; did you mean RAYLOOM_ALLOW_CPU?"), "{text}");
}

#[test]
fn a_turn_server_needs_its_credentials_and_the_password_is_shown_nowhere() {
    let file = File::of("turn", "turn = 'turn:192.0.2.1'\nturn-user = 'me'\nturn-password = 'geheim'\n");
    let (code, out, text) = peer(&file, &["--print-config"], &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(out.contains("turn = \"turn:192.0.2.1\"  # ") && out.contains("# turn-password is hidden  # "), "{out}");
    let (code, long, text) = peer(&file, &["--print-config"], &[("RAYLOOM_TURN_PASSWORD", "geheimer")]);
    assert!(code == Some(0) && long.contains("hidden  # environment RAYLOOM_TURN_PASSWORD"), "{long}{text}");
    assert!(!(out + &long + &text).contains("geheim"));
    let empty = File::of("turn-empty", "");
    for (args, says) in [
        (&["--turn", "turn:192.0.2.1"][..], "--turn needs"),
        (&["--turn", "turn:192.0.2.1", "--turn-user", "me"], "RAYLOOM_TURN_PASSWORD"),
        (&["--turn-password", "geheim"], "none is named (--turn)"),
        (&["--turn", "turn:192.0.2.1", "--turn-user", "me", "--turn-password", ""], "must have 1 to"),
        (&["--turn", "192.0.2.1"], "is no TURN server"),
    ] {
        let (code, _, text) = peer(&empty, args, &[]);
        assert!(code == Some(2) && text.contains(says) && !text.contains("geheim"), "{args:?}: {text}");
    }
}
