//! What other people have made, for tests against it: Chromium on the demo page, aiortc, a WebRTC stack of its own, coturn, and
//! Open Image Denoise.
//!
//! **Where a viewer, or what else a test needs of the system, is missing its test is skipped, aloud; in CI (the variable `CI`
//! is set) that is a failure.**
#![forbid(unsafe_code)]

mod aiortc;
mod chromium;
mod coturn;
mod oidn;

pub use aiortc::watch_with_aiortc;
pub use chromium::{Browser, Watched};
pub use coturn::{Coturn, TURN_PASSWORD, TURN_USER};
pub use oidn::open_image_denoise;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("it was built there")
}

/// Whether a test may go on: see the crate's head.
pub fn available(what: &str, found: bool, how: &str) -> bool {
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{what} is missing: {how}");
        println!("SKIPPED: {what} is missing: {how}");
    }
    found
}

/// A file for pixels, read once and removed.
struct PixelFile(PathBuf);

impl PixelFile {
    fn new(viewer: &str) -> PixelFile {
        PixelFile(std::env::temp_dir().join(format!("rayloom-{viewer}-{}.rgba", std::process::id())))
    }

    fn read(&self) -> Vec<u8> {
        std::fs::read(&self.0).expect("the viewer wrote what it saw")
    }
}

impl Drop for PixelFile {
    fn drop(&mut self) {
        // A viewer that failed wrote nothing.
        let _ = std::fs::remove_file(&self.0);
    }
}
