//! Intel's Open Image Denoise, as a package of Python's brings it.

use std::path::PathBuf;

/// The library's file, with what it needs beside it; `None` where it isn't.
pub fn open_image_denoise() -> Option<PathBuf> {
    let file = super::repository().join("target/oidn/lib/libOpenImageDenoise.so.1");
    let how = "cargo xtask test installs it on x86-64";
    // Nobody builds that package for other processors.
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        println!("SKIPPED: there is no such package for this system");
        return None;
    }
    super::available("Open Image Denoise", file.exists(), how).then_some(file)
}
