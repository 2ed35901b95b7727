//! The command `rayloom`: what is done with captures, without an engine.
#![forbid(unsafe_code)]

mod replay;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Works with what Rayloom's sessions leave behind.
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
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("RAYLOOM_LOG").unwrap_or_else(|_| "error".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Arguments { command: Command::Replay(options) } = Arguments::parse();
    match replay::run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
