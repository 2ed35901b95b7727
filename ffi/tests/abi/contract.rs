//! A C program that does everything wrong gets errors with texts, with the shared and with the static library.

use crate::toolchain::{Link, compile, folder, run};
use std::process::Command;

#[test]
fn mistakes_are_errors_with_the_shared_library() {
    run(&mut Command::new(compile("contract", Link::Shared, &folder("contract-shared"))));
}

#[test]
fn mistakes_are_errors_with_the_static_library() {
    run(&mut Command::new(compile("contract", Link::Static, &folder("contract-static"))));
}

#[test]
fn planes_that_can_t_be_read_are_refused_and_the_memory_of_others_is_given_back() {
    run(&mut Command::new(compile("planes", Link::Shared, &folder("planes"))));
}
