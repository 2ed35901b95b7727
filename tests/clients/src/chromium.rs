//! Chromium in a process of its own, driven by playwright-core in node.

use crate::{PixelFile, available, repository};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Nothing that a browser does in a test takes this long.
const PATIENCE: Duration = Duration::from_secs(90);
const PLACES: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// A browser on the demo page; ended when dropped.
pub struct Browser {
    driver: Child,
    lines: Receiver<String>,
    pixels: PixelFile,
}

/// What it saw.
pub struct Watched {
    /// What `watch.mjs` reports: `before` and `after` (framesDecoded, 40 shown frames apart), `width`, `height`,
    /// `problems`, `stock` (a player without our page's code).
    pub report: Value,
    /// The canvas that the video was drawn to: RGBA8.
    pub canvas: Vec<u8>,
}

impl Browser {
    /// Opens the page of a stream at `url` with the token. `None` where there is no browser.
    pub fn open(url: &str, token: &str) -> Option<Browser> {
        let browser = PLACES.into_iter().find(|path| Path::new(path).exists());
        let has_driver = repository().join("bindings/web/node_modules/playwright-core").exists();
        if !available("Chromium", browser.is_some(), "apt-get install chromium")
            || !available("playwright-core", has_driver, "run `npm ci` in bindings/web")
        {
            return None;
        }
        let pixels = PixelFile::new("chromium");
        let screenshot = std::env::var("RAYLOOM_SCREENSHOT").ok();
        let task =
            json!({ "url": url, "token": token, "chromium": browser, "pixels": pixels.0, "screenshot": screenshot });
        let mut driver = Command::new("node")
            .arg(repository().join("tests/clients/watch.mjs"))
            .arg(task.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs where npm does");
        let stdout = BufReader::new(driver.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Some(Browser { driver, lines, pixels })
    }

    /// Waits until the browser has seen everything and has had the message "hello page"; `meanwhile` is called again
    /// and again.
    ///
    /// # Panics
    /// When the browser ends early or says nothing for far too long.
    pub fn watched(&self, meanwhile: impl FnMut()) -> Watched {
        let report = self.line("watched", meanwhile);
        Watched { report, canvas: self.pixels.read() }
    }

    /// Waits until the page has heard that the stream ended: its status line.
    ///
    /// # Panics
    /// As [`Browser::watched`].
    pub fn ended(&self) -> String {
        self.line("ended", || {})["status"].as_str().expect("a text").to_owned()
    }

    fn line(&self, phase: &str, mut meanwhile: impl FnMut()) -> Value {
        let start = Instant::now();
        loop {
            meanwhile();
            match self.lines.recv_timeout(Duration::from_millis(20)) {
                Ok(line) => {
                    println!("chromium: {line}");
                    let value: Value = serde_json::from_str(&line).expect("JSON lines");
                    assert_eq!(value["phase"], phase, "{line}");
                    return value;
                }
                Err(RecvTimeoutError::Timeout) => {
                    assert!(start.elapsed() < PATIENCE, "the browser's driver said nothing");
                }
                Err(error) => panic!("the browser's driver ended early ({error}); see its output"),
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closing the pipes lets it end by itself; it may have done so already.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
