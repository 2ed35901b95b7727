//! The library itself with AddressSanitizer in its Rust and its C, under the programs that call it; `cargo xtask test --long`
//! builds it. As in `memory`, none of these programs traces.

use crate::memory::SANITIZERS;
use crate::toolchain::{Build, Link, compile_against, compile_with, declared, folder, run};
use std::path::PathBuf;
use std::process::{Command, Output};

fn program(name: &str, link: Link) -> PathBuf {
    let kind = if matches!(link, Link::Static) { "static" } else { "shared" };
    let flags = [&SANITIZERS[..], &["-DSOURCES=\"this header\""]].concat();
    compile_against(Build::Sanitized, name, link, &folder(&format!("{name}-in-rust-{kind}")), &flags)
}

#[test]
#[ignore = "long: builds on `cargo xtask check --sanitizers`"]
fn nothing_is_found_in_the_library_whatever_a_program_does_wrong() {
    for name in ["contract", "planes", "threads", "ends", "kept"] {
        run(&mut Command::new(program(name, Link::Shared)));
    }
    run(&mut Command::new(program("contract", Link::Static)));
}

#[test]
#[ignore = "long: builds on `cargo xtask check --sanitizers`"]
fn nothing_is_found_while_a_panic_is_caught() {
    let program = program("panics", Link::Shared);
    for function in declared() {
        run(Command::new(&program).arg(&function).env("RAYLOOM_TEST_PANIC", &function));
    }
}

/// Faults that only the library commits: with the plain one they go unseen, so it is the library's Rust that is watched.
#[test]
#[ignore = "long: builds on `cargo xtask check --sanitizers`"]
fn what_is_wrong_is_found_inside_of_the_library() {
    let plain = compile_with("faulty", Link::Shared, &folder("faulty-in-rust-plain"), &SANITIZERS);
    let watched = program("faulty", Link::Shared);
    for (fault, words) in [("short", "heap-buffer-overflow"), ("freed", "heap-use-after-free")] {
        let does = |program| -> Output { Command::new(program).arg(fault).output().unwrap() };
        let unseen = does(&plain);
        assert!(unseen.status.success(), "{fault}: {}", String::from_utf8_lossy(&unseen.stderr));
        let seen = does(&watched);
        let text = String::from_utf8_lossy(&seen.stderr);
        let stack: Vec<&str> = text.lines().skip_while(|line| !line.contains(" #0 ")).collect();
        let mut stack = stack.split(|line| line.is_empty());
        assert!(!seen.status.success() && text.contains(words), "{fault}: {text}");
        let in_rust = |stack: &[&str]| stack.iter().any(|line| line.contains("ffi/src/"));
        assert!(stack.next().is_some_and(in_rust), "{fault}: {text}");
    }
}
