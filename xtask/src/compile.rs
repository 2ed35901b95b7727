//! `cargo build` with one line of progress: cargo's own count of units, and whatever it has to complain of.

use crate::bar::Bar;
use crate::run::{self, cargo};
use std::io::{BufReader, IsTerminal, Read};
use std::process::Stdio;

/// First words of cargo's lines of progress; everything else that it prints is shown.
const STATUS: [&str; 10] = [
    "Adding",
    "Blocking",
    "Building",
    "Compiling",
    "Downloaded",
    "Downloading",
    "Finished",
    "Fresh",
    "Locking",
    "Updating",
];

/// Cargo unifies features over what one command selects. With these, everything that is built here has the features that
/// `--workspace` gives it, so that demo, benches and tests compile the WebRTC stack once and not each for itself.
const AS_IN_THE_WORKSPACE: [&str; 8] = [
    "--package",
    "rayloom",
    "--package",
    "rayloom-scene",
    "--package",
    "rayloom-coordinator",
    "--features",
    "rayloom-coordinator/sim",
];

/// Builds packages in the one profile there is, with features (`package/feature`) beside those that they have by default.
pub(crate) fn build(packages: &[&str], features: &[&str]) -> Result<(), String> {
    let mut command = run::command(&cargo(), &["build"]);
    command.args(AS_IN_THE_WORKSPACE);
    for package in packages {
        command.args(["--package", package]);
    }
    for feature in features {
        command.args(["--features", feature]);
    }
    let colours = if std::io::stdout().is_terminal() { "always" } else { "never" };
    command.env("CARGO_TERM_COLOR", colours).env("CARGO_TERM_PROGRESS_WHEN", "always");
    command.env("CARGO_TERM_PROGRESS_WIDTH", "100").stderr(Stdio::piped());
    let text = run::describe(&command);
    let bar = Bar::start("build");
    let mut child = command.spawn().map_err(|error| format!("`{text}` could not be started: {error}"))?;
    let output = child.stderr.take().ok_or("cargo's output is not piped")?;
    let mut piece = Vec::new();
    for byte in BufReader::new(output).bytes() {
        let byte = byte.map_err(|error| format!("reading cargo's output failed: {error}"))?;
        if byte == b'\n' || byte == b'\r' {
            told(&bar, &String::from_utf8_lossy(&piece), byte == b'\n');
            piece.clear();
        } else {
            piece.push(byte);
        }
    }
    let status = child.wait().map_err(|error| format!("waiting for cargo failed: {error}"))?;
    if !status.success() {
        return Err(format!("`{text}` ended with {status}; its lines above say why"));
    }
    bar.done();
    Ok(())
}

/// One piece of cargo's output: progress is redrawn after a carriage return, the rest are lines.
fn told(bar: &Bar, piece: &str, is_line: bool) {
    let plain = without_escapes(piece);
    let trimmed = plain.trim();
    let word = trimmed.split_whitespace().next().unwrap_or_default();
    if word == "Building"
        && let Some((fraction, units)) = share(trimmed)
    {
        bar.at(Some(fraction), units);
    } else if STATUS.contains(&word) {
        if !matches!(word, "Building" | "Compiling" | "Fresh" | "Finished") {
            bar.at(None, trimmed);
        }
    } else if is_line {
        bar.line(piece);
    }
}

/// Of "Building [====>  ] 12/250: serde, syn": the share, and what is under way.
fn share(text: &str) -> Option<(f32, &str)> {
    let rest = text.split_once(']')?.1.trim();
    let (count, units) = rest.split_once(':').unwrap_or((rest, ""));
    let (done, all) = count.trim().split_once('/')?;
    let (done, all): (f32, f32) = (done.parse().ok()?, all.parse().ok()?);
    (all > 0.0).then_some((done / all, units.trim()))
}

/// The text without control sequences (ECMA-48 CSI), which end with a letter.
fn without_escapes(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    std::iter::once(first).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_s_progress_is_read() {
        assert_eq!(share("Building [====>   ] 12/48: serde, syn"), Some((0.25, "serde, syn")));
        assert_eq!(share("Building [====>   ] 12/48"), Some((0.25, "")));
        assert_eq!(share("Building a house"), None);
    }

    #[test]
    fn colours_are_dropped() {
        assert_eq!(without_escapes("\x1b[1m\x1b[92m   Compiling\x1b[0m serde v1\x1b[K"), "   Compiling serde v1");
    }
}
