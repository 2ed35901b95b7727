//! `cargo xtask bench NAME...`: builds what is measured and runs it.

use crate::install::{self, Purpose};
use crate::{compile, run};

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    install::ensure(Purpose::Demo)?;
    compile::build(&["rayloom-bench", "rayloom-peer"], &[])?;
    let bench = run::target().join("debug/rayloom-bench");
    let mut command = run::command(&bench.to_string_lossy(), &[]);
    run::status(command.args(arguments))
}
