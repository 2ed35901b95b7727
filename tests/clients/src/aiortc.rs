//! aiortc in a Python process.

use crate::{PixelFile, available, repository};
use serde_json::Value;
use std::process::Command;

/// Watches over WHEP until `frames` were decoded: what the script `aiortc_whep.py` reports (status, sizes, times), and
/// the last frame as RGBA8. `None` where aiortc is not installed.
///
/// # Panics
/// When it sees no such stream.
pub fn watch_with_aiortc(url: &str, frames: u32) -> Option<(Value, Vec<u8>)> {
    let python = repository().join("target/aiortc/bin/python");
    let how = "python3 -m venv target/aiortc && target/aiortc/bin/pip install -r tests/clients/requirements.txt";
    if !available("aiortc", python.exists(), how) {
        return None;
    }
    let pixels = PixelFile::new("aiortc");
    let output = Command::new(python)
        .arg(repository().join("tests/clients/aiortc_whep.py"))
        .arg(url)
        .arg(&pixels.0)
        .arg(frames.to_string())
        .output()
        .expect("python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let seen = serde_json::from_slice(&output.stdout).expect("one JSON line");
    println!("aiortc: {seen}");
    Some((seen, pixels.read()))
}
