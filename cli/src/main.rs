//! The command `rayloom`: what is done without an engine: captures are made again, fleets forecast.
#![forbid(unsafe_code)]

mod plan;
mod replay;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Works with what Rayloom's sessions leave behind, and with what they could do.
#[derive(Debug, Parser)]
#[command(name = "rayloom", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the frames of a capture again and compares them bit for bit. Ends with 0 when all are equal, with 1 when some
    /// differ, with 2 when it can't be replayed.
    Replay(replay::Options),
    /// Tells what a fleet would do before anyone rents it: frames a second, latency of each layer, traffic, what holds it back.
    Plan(plan::Options),
}

fn main() -> ExitCode {
    let filter = std::env::var("RAYLOOM_LOG").unwrap_or_else(|_| "error".into());
    let filter = match filter.parse::<tracing_subscriber::EnvFilter>() {
        Ok(parsed) => parsed,
        Err(error) => {
            eprintln!(
                "error: RAYLOOM_LOG is {filter:?}: {error}; write a level, modules with one each, or both: info,rayloom=debug"
            );
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let done = match Arguments::parse().command {
        Command::Replay(options) => replay::run(&options),
        Command::Plan(options) => plan::run(&options).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
