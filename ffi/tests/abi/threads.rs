//! What the header promises about threads: each function has its rule, what a render thread calls allocates nothing that grows,
//! destroying joins every thread, and the library stays where it was loaded.

use crate::toolchain::{Link, compile, folder, is_function, root, run, shared_library};
use std::process::Command;

#[test]
fn every_function_s_comment_ends_with_its_thread_rule() {
    let header = std::fs::read_to_string(root().join("include/rayloom.h")).unwrap();
    let lines: Vec<&str> = header.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
        assert_eq!(lines[at - 1], " */", "{line} has no comment");
        let comment = lines[..at].iter().rposition(|line| *line == "/**").map(|start| lines[start..at].join("\n"));
        let (_, last) = comment.as_deref().and_then(|comment| comment.rsplit_once("\n *\n")).unwrap_or_default();
        assert!(last.starts_with(" * Threads: "), "{line}: its comment ends with {last:?}");
    }
}

#[test]
fn destroying_joins_every_thread() {
    let folder = folder("ends");
    run(Command::new(compile("ends", Link::Shared, &folder)).arg(folder.join("ends.capture")));
}

/// Counts by glibc's own names.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn a_frame_allocates_little_on_the_render_thread_and_nothing_that_grows() {
    run(&mut Command::new(compile("render_thread", Link::Shared, &folder("render-thread"))));
}

#[test]
fn the_library_stays_when_its_host_lets_go_of_it() {
    let folder = folder("stays");
    let program = compile("stays", Link::Loaded, &folder);
    run(Command::new(program).arg(shared_library(&folder)));
}
