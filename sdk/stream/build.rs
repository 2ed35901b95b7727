//! Refuses to build without nasm: the H.264 core's own build script falls back to plain C++ in
//! silence then, and encodes 2.5 times slower.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for variable in ["NASM", "OPENH264_NO_ASM"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    // Without the core there is nothing to assemble.
    if env::var_os("CARGO_FEATURE_H264").is_none() {
        return;
    }
    // The core's assembly for x86 needs nasm; the one for ARM is read by the C compiler itself.
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets the target's architecture");
    if arch != "x86" && arch != "x86_64" {
        return;
    }
    if env::var_os("OPENH264_NO_ASM").is_some() {
        fail("OPENH264_NO_ASM is set, which builds the H.264 encoder without its assembly. Unset it");
    }
    let nasm = env::var("NASM").unwrap_or_else(|_| "nasm".to_owned());
    let found = Command::new(&nasm).arg("-v").output().is_ok_and(|out| out.status.success());
    if !found {
        fail(&format!(
            "`{nasm} -v` does not run: the H.264 encoder needs the assembler nasm. \
             Install it (Debian, Ubuntu: apt-get install nasm; Fedora: dnf install nasm; macOS: \
             brew install nasm; Windows: winget install nasm), or point NASM at it, \
             then run `cargo clean -p openh264-sys2` once"
        ));
    }
}

/// Stops the build with one readable line.
fn fail(reason: &str) -> ! {
    println!("cargo::error={reason}, and build again.");
    std::process::exit(1);
}
