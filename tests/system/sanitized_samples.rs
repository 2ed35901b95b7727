//! The samples with address and undefined-behaviour sanitizers in their own code, on the library that has AddressSanitizer in its
//! Rust (`cargo xtask test --long` builds it): traced by a peer process, and inside.

use crate::fleet::{Fleet, TOKEN, binary, fresh_folder};
use std::path::{Path, PathBuf};
use std::process::Command;

const FLAGS: [&str; 5] =
    ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"];

fn compile(compiler: &str, standard: &str, source: &str, folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let built = binary("librayloom.so");
    let built = built.parent().unwrap().with_file_name("sanitized").join("librayloom.so");
    assert!(built.exists(), "{} is missing: cargo xtask check --sanitizers", built.display());
    let library = folder.join("librayloom.so.0.1");
    if !library.exists() {
        std::os::unix::fs::symlink(built, &library).unwrap();
    }
    let program = folder.join(format!("{compiler}-engine"));
    let mut command = Command::new(compiler);
    command.arg(standard).args(FLAGS).arg(format!("-I{}", root.join("include").display())).arg(root.join(source));
    // This library whatever LD_LIBRARY_PATH says: a test's leads to the plain one, where a demo has left its name.
    command.arg("-o").arg(&program).arg(&library).arg("-Wl,--disable-new-dtags");
    command.arg(format!("-Wl,-rpath,{}", folder.display())).arg("-lm");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Runs to its end without a report, and writes so many pictures.
fn draws(command: &mut Command, pictures: &Path, count: usize) {
    std::fs::create_dir(pictures).unwrap();
    let output = command.output().unwrap();
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert!(output.status.success() && !text.contains("Sanitizer") && !text.contains("runtime error"), "{text}");
    assert_eq!(std::fs::read_dir(pictures).unwrap().count(), count, "{text}");
    std::fs::remove_dir_all(pictures).unwrap();
}

#[test]
#[ignore = "long: builds on `cargo xtask check --sanitizers`"]
fn nothing_is_found_in_the_samples_nor_in_the_library_below_them() {
    let (fleet, folder) = (Fleet::start(1), fresh_folder());
    let (c, cpp) = (
        compile("cc", "-std=c11", "samples/c/main.c", &folder),
        compile("c++", "-std=c++17", "samples/cpp/main.cpp", &folder),
    );
    let (pictures, url) = (folder.join("pictures"), &fleet.peers[0].url);
    let engine = || {
        let mut engine = Command::new(&c);
        engine.args([
            "--listen",
            "127.0.0.1:0",
            "--city",
            "20000",
            "--half",
            "--size",
            "160x90",
            "--deadline-ms",
            "5000",
        ]);
        engine.args(["--frames", "3", "--png"]).arg(&pictures);
        engine
    };
    draws(engine().args(["--embedded", "never", "--token", TOKEN, "--peer", url]), &pictures, 3);
    // Its session would open the embedded peer's device beside, and drivers leave memory behind: here there are none.
    let mut render = Command::new(&cpp);
    render
        .arg(&pictures)
        .args(["2", "", url, TOKEN])
        .envs(["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].map(|name| (name, "/dev/null")));
    draws(&mut render, &pictures, 2);
    // With them only what is left behind is not looked for.
    draws(engine().args(["--embedded", "always"]).env("ASAN_OPTIONS", "detect_leaks=0"), &pictures, 3);
    std::fs::remove_dir_all(folder).unwrap();
}
