//! `cargo xtask bench NAME...`: builds what is measured and runs it.

use crate::install::{self, Purpose};
use crate::run::{self, cargo};

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    install::ensure(Purpose::Demo)?;
    let programs = ["build", "--package", "rayloom-bench", "--package", "rayloom-peer"];
    run::shown(&cargo(), &programs)?;
    let bench = run::target().join("debug/rayloom-bench");
    let mut command = run::command(&bench.to_string_lossy(), &[]);
    run::status(command.args(arguments))
}
