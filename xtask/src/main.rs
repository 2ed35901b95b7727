//! `cargo xtask`: one entry for the demo, the tests and the benches; installs what they need.
#![forbid(unsafe_code)]

mod apt;
mod bar;
mod bench;
mod compile;
mod demo;
mod fleet;
mod install;
mod owned;
mod run;
mod tests;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo [--scene FILE] [--peers N] [--size WxH] [--tiles] [--view local|remote|diff] [--port P] [--frames N]
                 four peers, a sample engine and a page to play in; see `cargo xtask demo --help`
  test [--long]  installs what is missing and runs every test
  bench NAME...  measures; writes target/bench/NAME.json (--full for more, --scene FILE)
  install        installs what the demo and the tests need, and says why
  check          formatting and lints
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let result = match command.as_str() {
        "demo" => demo::run(&rest),
        "test" => tests::run(&rest),
        "bench" => bench::run(&rest),
        "install" => install::ensure(install::Purpose::Tests),
        "check" => tests::check(),
        "" | "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(format!("there is no command `{other}`\n\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}
