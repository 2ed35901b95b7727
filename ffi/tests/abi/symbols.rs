//! The shared library exports what the header declares, and nothing else, under its own SONAME.

use crate::toolchain::{declared, library, run};
use std::process::Command;

#[test]
fn exported_symbols_are_the_declared_functions() {
    let output = run(Command::new("nm").args(["-D", "--defined-only"]).arg(library("librayloom.so")));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut exported: Vec<&str> = text.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    exported.sort_unstable();
    let declared = declared();
    assert!(declared.len() > 40, "the header was not understood: {declared:?}");
    assert_eq!(exported, declared);
}

#[test]
fn the_soname_carries_the_version() {
    let output = run(Command::new("objdump").arg("-p").arg(library("librayloom.so")));
    let text = String::from_utf8(output.stdout).unwrap();
    let soname = text.lines().find(|line| line.trim_start().starts_with("SONAME")).unwrap();
    assert!(soname.ends_with(" librayloom.so.0.1"), "{soname}");
}
