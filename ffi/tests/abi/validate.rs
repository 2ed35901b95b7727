//! A C engine that states its convention wrong is told what to set, by the embedded peer.

use crate::toolchain::{Link, compile, folder, run};
use std::process::Command;

#[test]
fn a_wrong_convention_is_named_to_a_c_engine() {
    run(&mut Command::new(compile("validate", Link::Shared, &folder("validate"))));
}
