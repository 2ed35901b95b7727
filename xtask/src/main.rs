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
mod package;
mod run;
mod sanitizers;
mod sim;
mod steps;
mod tests;
mod tools;
mod windows;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo [--scene FILE] [--peers N] [--size WxH] [--tiles] [--view local|remote|diff] [--port P] [--frames N]
                 four peers, a sample engine and a page to play in; see `cargo xtask demo --help`
  test [--long]  installs what is missing and runs every test
  bench NAME...  measures; writes target/bench/NAME.json (--full for more, --scene FILE)
  sim [--peers N] [--rtt MS] [--seed S]
                 the coordinator among simulated peers: a table and a picture; --schedules N: schedules of faults, checked;
                 see `cargo xtask sim --help`
  package [--profile dev|release] [--test]
                 the SDK and the peer as archives in target/package; --test builds the samples from them elsewhere
  install        installs what the demo and the tests need, and says why
  check          formatting and lints; --deny: licences, sources and advisories of dependencies;
                 --target x86_64-pc-windows-gnu: the library for Windows, by mingw-w64;
                 --sanitizers: the library built with AddressSanitizer, under the programs that call it
  notices        writes the THIRD_PARTY_NOTICES.md of what is shipped anew
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let result = match command.as_str() {
        "demo" => demo::run(&rest),
        "test" => tests::run(&rest),
        "bench" => bench::run(&rest),
        "sim" => sim::run(&rest),
        "install" => install::ensure(install::Purpose::Tests),
        "package" => package::run(&rest),
        "check" => check(&rest),
        "notices" => tools::notices(),
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

fn check(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => tests::check(),
        ["--deny"] => tools::deny(),
        ["--sanitizers"] => sanitizers::check(),
        ["--target", windows::TARGET] => windows::check(),
        other => Err(format!(
            "`cargo xtask check` takes nothing, --deny, --sanitizers or --target {}, not {other:?}",
            windows::TARGET
        )),
    }
}
