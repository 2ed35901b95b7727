//! Bench of the demo as a newcomer starts it: city, four peers, this machine, and a Chromium that watches.

use crate::peers::program;
use crate::report::{Report, median};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Five times as long.
    #[arg(long)]
    full: bool,
}

/// Seconds that count, and those before: peers build the scene, coordinator and history warm up, the page loads.
const MEASURED: Duration = Duration::from_secs(35);
const WARM_UP: Duration = Duration::from_secs(10);
/// The demo may have to be built first.
const START: Duration = Duration::from_secs(300);
const BROWSERS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let mut report = Report::new("demo");
    let Some(browser) = BROWSERS.into_iter().find(|path| Path::new(path).exists()) else {
        for key in ["fresh_fps", "shown_fps", "width", "height"] {
            report.unknown(key, "needs Chromium: the demo is measured with a page that watches");
        }
        return Ok(report);
    };
    let mut command = Command::new(program("xtask")?);
    // The demo ends its peers and its engine when it is asked to end, and they end with it.
    let mut demo = Process(
        command.args(["demo", "--port", "0"]).stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?,
    );
    let lines = lines_of(&mut demo.0)?;
    let (mut size, mut url) = (None, None);
    let give_up = Instant::now() + START;
    while url.is_none() {
        let line = next_line(&lines, give_up)?.ok_or("the demo said nothing of a page")?;
        println!("{line}");
        size = size.or_else(|| size_of(&line));
        url = line.strip_prefix("page on ").map(str::to_owned);
    }
    let url = url.ok_or("the demo said nothing of a page")?;
    let profile = std::env::temp_dir().join(format!("rayloom-bench-demo-{}", std::process::id()));
    let mut chromium = Command::new(browser);
    chromium.args([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
    ]);
    chromium.args(["--disable-background-networking", "--disable-component-update", "--window-size=1280,720"]);
    chromium.args(["--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"]);
    chromium
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(&url)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let chromium = Process(chromium.spawn().map_err(|error| format!("{browser} does not start: {error}"))?);

    let begin = Instant::now() + WARM_UP;
    let end = begin + if arguments.full { 5 * MEASURED } else { MEASURED };
    let (mut fresh, mut shown) = (Vec::new(), Vec::new());
    while let Some(line) = next_line(&lines, end)? {
        println!("{line}");
        if let Some((a, b)) = rates(&line).filter(|_| Instant::now() > begin) {
            fresh.push(a);
            shown.push(b);
        }
    }
    drop(chromium);
    drop(demo);
    if let Err(error) = std::fs::remove_dir_all(&profile) {
        eprintln!("{} is left: {error}", profile.display());
    }
    let (width, height) = size.ok_or("the demo did not say its size")?;
    report.number("fresh_fps", median(&mut fresh));
    report.number("shown_fps", median(&mut shown));
    report.number("seconds", fresh.len() as f64);
    report.number("width", f64::from(width));
    report.number("height", f64::from(height));
    report.unknown("input_to_photon_ms_p50", "measured where the picture's time is known: `stream`");
    Ok(report)
}

/// A process that is asked to end, and waited for, when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        if !asked.is_ok_and(|status| status.success())
            && let Err(error) = self.0.kill()
        {
            eprintln!("process {} could not be ended: {error}", self.0.id());
        }
        if let Err(error) = self.0.wait() {
            eprintln!("waiting for process {}: {error}", self.0.id());
        }
    }
}

fn lines_of(child: &mut Child) -> Result<Receiver<String>, String> {
    let output = child.stdout.take().ok_or("the demo's output is not piped")?;
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    Ok(lines)
}

/// `None` when the time is up; an error when the demo has ended.
fn next_line(lines: &Receiver<String>, until: Instant) -> Result<Option<String>, String> {
    match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(line) => Ok(Some(line)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err("the demo ended early; its lines above say why".into()),
    }
}

/// Of "320x180 over 4 peers".
fn size_of(line: &str) -> Option<(u32, u32)> {
    let (width, height) = line.split_once(" over ").filter(|(_, rest)| rest.ends_with(" peers"))?.0.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// Of "fresh 9.8 fps, shown 10.1 fps | ...".
fn rates(line: &str) -> Option<(f64, f64)> {
    let number_after = |word: &str| {
        let rest = &line[line.find(word)? + word.len()..];
        rest.split_once(" fps")?.0.trim().parse().ok()
    };
    Some((number_after("fresh ")?, number_after("shown ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_demo_s_lines() {
        assert_eq!(size_of("320x180 over 4 peers"), Some((320, 180)));
        assert_eq!(size_of("starting peer 1 of 4"), None);
        assert_eq!(rates("fresh 9.8 fps, shown 10.1 fps | 80 ms = submit 0.1"), Some((9.8, 10.1)));
        assert_eq!(rates("page on http://127.0.0.1:1/"), None);
    }
}
