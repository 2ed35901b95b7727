//! What the library does to memory while C calls it, watched by valgrind and by the sanitizers. None of these programs
//! traces: drivers of Vulkan have faults of their own.

use crate::toolchain::{Link, compile, compile_with, folder, run};
use std::process::Command;

pub(crate) const SANITIZERS: [&str; 3] =
    ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"];

/// Reads of memory that was never written, beyond its end or after its release, and memory that nobody points to any more.
fn valgrind(program: &str) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    command.arg(program);
    command
}

#[test]
fn valgrind_finds_nothing_in_the_contract() {
    for name in ["contract", "planes"] {
        let program = compile(name, Link::Shared, &folder(&format!("{name}-valgrind")));
        run(&mut valgrind(&program.to_string_lossy()));
    }
}

#[test]
fn valgrind_finds_what_is_wrong() {
    let program = compile("faulty", Link::Shared, &folder("faulty-valgrind"));
    for fault in ["leak", "overrun"] {
        let output = valgrind(&program.to_string_lossy()).arg(fault).output().unwrap();
        assert_eq!(output.status.code(), Some(9), "{fault}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn sanitizers_find_nothing_in_the_contract() {
    for (link, name) in [(Link::Shared, "contract-sanitized-shared"), (Link::Static, "contract-sanitized-static")] {
        run(&mut Command::new(compile_with("contract", link, &folder(name), &SANITIZERS)));
    }
}

#[test]
fn sanitizers_find_what_is_wrong() {
    let program = compile_with("faulty", Link::Shared, &folder("faulty-sanitized"), &SANITIZERS);
    for fault in ["leak", "overrun"] {
        let output = Command::new(&program).arg(fault).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && (text.contains("Sanitizer") || text.contains("runtime error")),
            "{fault}: {text}"
        );
    }
}

#[test]
fn four_threads_at_once_break_nothing() {
    run(&mut Command::new(compile_with("threads", Link::Shared, &folder("threads-sanitized"), &SANITIZERS)));
    let program = compile("threads", Link::Shared, &folder("threads-valgrind"));
    run(&mut valgrind(&program.to_string_lossy()));
}
