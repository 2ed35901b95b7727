//! `tests/abi`: each release's header, and a program that was compiled with it, run against this library.
//!
//! A folder stands for a SONAME (0.1 for librayloom.so.0.1); the program is an x86-64 Linux one. Once CHANGELOG.md has a
//! section of that release the folder is frozen; before, RAYLOOM_UPDATE_ABI=1 makes it anew.

use crate::toolchain::{Link, compile_with, folder, is_function, root, run, shared_library};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

/// The SONAME's version; the folder's name.
fn version() -> String {
    env!("CARGO_PKG_VERSION").rsplit_once('.').expect("major.minor.patch").0.to_owned()
}

fn kept(name: &str) -> PathBuf {
    root().join("tests/abi").join(version()).join(name)
}

/// What the program is made of; it prints this, so one of an older header or source is noticed.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn sources() -> String {
    let mut hash = blake3::Hasher::new();
    for path in ["include/rayloom.h", "ffi/tests/c/kept.c"] {
        hash.update(&std::fs::read(root().join(path)).unwrap());
    }
    hash.finalize().to_hex()[..16].to_owned()
}

fn is_released() -> bool {
    let changes = std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    changes.lines().any(|line| line.starts_with(&format!("## {}.", version())))
}

/// Makes the folder anew under RAYLOOM_UPDATE_ABI=1. Each test does, before it looks: they may be threads of one process or
/// processes of their own, so each process makes files of its own and puts them in place whole.
fn update_when_told() {
    static UPDATED: Once = Once::new();
    UPDATED.call_once(|| {
        if std::env::var_os("RAYLOOM_UPDATE_ABI").is_none() {
            return;
        }
        assert!(!is_released(), "{} is released: what was shipped with it stays", version());
        std::fs::create_dir_all(kept("")).unwrap();
        let own = folder(&format!("kept-new-{}", std::process::id()));
        let put = |from: &Path, name: &str| {
            let whole = kept(&format!("{name}.{}", std::process::id()));
            std::fs::copy(from, &whole).unwrap();
            std::fs::rename(whole, kept(name)).unwrap();
        };
        put(&root().join("include/rayloom.h"), "rayloom.h");
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        {
            let made_of = format!("-DSOURCES=\"{}\"", sources());
            put(&compile_with("kept", Link::Found, &own, &["-g0", "-s", &made_of]), "engine-x86_64-linux");
        }
        std::fs::remove_dir_all(own).unwrap();
    });
}

#[test]
fn the_header_that_is_kept_is_the_release_s() {
    let current = std::fs::read_to_string(root().join("include/rayloom.h")).unwrap();
    update_when_told();
    let kept_header =
        std::fs::read_to_string(kept("rayloom.h")).expect("RAYLOOM_UPDATE_ABI=1 begins a release's folder");
    if is_released() {
        let lost = kept_header.lines().filter(|line| is_function(line) && !current.contains(line));
        assert_eq!(lost.collect::<Vec<_>>(), Vec::<&str>::new(), "functions that were shipped are gone");
    } else {
        assert!(
            kept_header == current,
            "tests/abi/{}/rayloom.h is not this header: until the release, RAYLOOM_UPDATE_ABI=1 cargo test -p rayloom-ffi \
             --test abi kept makes the folder anew",
            version()
        );
    }
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn a_program_that_was_compiled_with_the_release_runs_with_this_library() {
    update_when_told();
    let folder = folder("kept");
    shared_library(&folder);
    let output = run(Command::new(kept("engine-x86_64-linux")).env("LD_LIBRARY_PATH", &folder));
    let printed = String::from_utf8_lossy(&output.stdout);
    let made_of = printed.strip_prefix(&format!("an engine of rayloom {} ran, made of ", version()));
    let made_of = made_of.unwrap_or_else(|| panic!("it printed {printed:?}")).trim_end();
    assert!(
        is_released() || made_of == sources(),
        "the program of tests/abi/{} was made of {made_of}, header and kept.c are {}: RAYLOOM_UPDATE_ABI=1 makes it anew",
        version(),
        sources()
    );
}
