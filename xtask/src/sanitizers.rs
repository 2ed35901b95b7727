//! `cargo xtask check --sanitizers`: the library with AddressSanitizer in its Rust and its C, and what calls it.

use crate::run::{self, captured, cargo};

/// The package's own crates and its dependencies; Rust's own library is as it was shipped.
const FLAG: &str = "-Zsanitizer=address";
/// Built sooner, and nothing that is wrong is optimised away.
const UNOPTIMISED: [&str; 6] = [
    "--config",
    "profile.dev.opt-level=0",
    "--config",
    "profile.dev.package.'*'.opt-level=0",
    "--config",
    "profile.dev.package.rayloom-frame.opt-level=0",
];

/// Builds the library and runs the tests that need it.
pub(crate) fn check() -> Result<(), String> {
    run::shown(&cargo(), &["build", "--workspace", "--all-targets"])?;
    build()?;
    // Of the whole workspace, as the tests build it: alone they would be built anew, with other features.
    if captured(&cargo(), &["nextest", "--version"]).is_some() {
        return run::shown(&cargo(), &["nextest", "run", "--workspace", "--run-ignored", "only", "sanitized"]);
    }
    run::shown(&cargo(), &["test", "--quiet", "--workspace", "--tests", "sanitized", "--", "--ignored"])
}

/// Builds the library, and puts it where the tests look for it: beside what the tests themselves are built into.
pub(crate) fn build() -> Result<(), String> {
    let version = captured("rustc", &["-vV"]).ok_or("`rustc -vV` failed")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc has no host")?;
    let folder = run::target().join("sanitized-build");
    let mut build = run::command(&cargo(), &["build", "--package", "rayloom-ffi", "--target", host]);
    build.args(UNOPTIMISED);
    build.env("CARGO_TARGET_DIR", &folder);
    // The flag is one of nightly compilers, which a stable one takes when it is asked to. With a target named, build
    // scripts and macros are built without it.
    build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAG);
    let c = format!("{}_{}", "CFLAGS", host.replace('-', "_"));
    build.env(&c, "-fsanitize=address").env(c.replacen("CFLAGS", "CXXFLAGS", 1), "-fsanitize=address");
    run::status(&mut build)?;
    let to = run::target().join("sanitized");
    std::fs::create_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
    for name in ["librayloom.so", "librayloom.a"] {
        let from = folder.join(host).join("debug").join(name);
        std::fs::copy(&from, to.join(name)).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    Ok(())
}
