//! The project's figures: each bench prints a table and writes `target/bench/NAME.json`.

mod balance;
mod captures;
mod costs;
mod cpu_time;
mod demo;
mod faults;
mod finer;
mod merge;
mod overhead;
mod peers;
mod picture;
mod predict;
mod report;
mod scale;
mod state;
mod stream;
mod trace;
mod transport;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "rayloom-bench", about = "Measures what the project claims. Nothing is asserted here.")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// How equal the peers' work is on recorded costs, and how well it is predicted.
    Balance(balance::Arguments),
    /// Frames a second of the demo on this machine, a browser watching.
    Demo(demo::Arguments),
    /// What is seen of peers that are killed, hang or leave, at 30 fps.
    Faults(faults::Arguments),
    /// The engine that `faults` kills.
    #[command(hide = true)]
    FaultsEngine(faults::engine::Arguments),
    /// CPU time of merging a frame at 1920x1080, one core.
    Merge(merge::Arguments),
    /// Milliseconds that the system adds to tracing, over four peers that answer with stored captures.
    Overhead(overhead::Arguments),
    /// Pictures against references of another renderer, by paths and by layers.
    Picture(picture::Arguments),
    /// Pixels whose light comes late, against many samples at the true camera.
    Predict(predict::Arguments),
    /// Simulated fleets: efficiency, latency, and against the best peer alone.
    Scale(scale::Arguments),
    /// Bytes of a frame's state, as a session sends them.
    State(state::Arguments),
    /// What encoding costs, and what a Chromium sees over WHEP.
    Stream(stream::Arguments),
    /// Rays per CPU-second of each trace front end, against Embree.
    Trace(trace::Arguments),
    /// What a link carries on loopback: goodput, a frame's tiles, CPU per gigabyte.
    Transport(transport::Arguments),
}

fn main() -> std::process::ExitCode {
    let result = match Arguments::parse().bench {
        Bench::Balance(arguments) => balance::run(&arguments),
        Bench::Demo(arguments) => demo::run(&arguments),
        Bench::Faults(arguments) => faults::run(&arguments),
        Bench::FaultsEngine(arguments) => return faults::engine::run(&arguments),
        Bench::Merge(arguments) => merge::run(&arguments),
        Bench::Overhead(arguments) => overhead::run(&arguments),
        Bench::Picture(arguments) => picture::run(&arguments),
        Bench::Predict(arguments) => predict::run(&arguments),
        Bench::Scale(arguments) => scale::run(&arguments),
        Bench::State(arguments) => state::run(&arguments),
        Bench::Stream(arguments) => stream::run(&arguments),
        Bench::Trace(arguments) => trace::run(&arguments),
        Bench::Transport(arguments) => transport::run(&arguments),
    };
    let written = result.and_then(|report| report.write().map_err(|e| format!("cannot write the report: {e}")));
    match written {
        Ok(path) => {
            println!("written to {}", path.display());
            std::process::ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            std::process::ExitCode::FAILURE
        }
    }
}
