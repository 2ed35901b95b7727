//! `cargo xtask sim`: the coordinator among simulated peers.

use crate::run::{self, cargo};

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let words = ["run", "--quiet", "--package", "rayloom-coordinator", "--features", "sim", "--example", "sim", "--"];
    let mut command = run::command(&cargo(), &words);
    run::status(command.args(arguments))
}
