//! `cargo xtask test`: everything that must hold, fast things first.

use crate::install::{self, Purpose};
use crate::package;
use crate::run::{self, captured, cargo, shown};
use crate::sanitizers;
use crate::steps::Steps;
use crate::{tools, windows};
use std::path::Path;

/// The Python package of other people's WebRTC, and the environment that the tests look for it in.
const AIORTC: (&str, &str) = ("target/aiortc", "tests/clients/requirements.txt");

/// Of the whole workspace: a package alone has other features, and the WebRTC stack is compiled once more for it.
const TRACY: [&str; 7] = ["test", "--quiet", "--workspace", "--features", "rayloom/tracy", "--test", "tracy"];
/// The same; `rayloom`, `rayloom-stream` and `rayloom-sync` have such tests.
const SCHEDULES: [&str; 8] = [
    "test",
    "--quiet",
    "--workspace",
    "--features",
    "rayloom/shuttle,rayloom-stream/shuttle",
    "--lib",
    "--",
    "schedules::",
];

/// Builds without the encoder, or with another: a choice of who ships the SDK.
const NO_ENCODER: [&str; 6] = ["test", "--quiet", "--package", "rayloom-stream", "--no-default-features", "--lib"];

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let is_long = match arguments {
        [] => false,
        [flag] if flag == "--long" => true,
        other => return Err(format!("`cargo xtask test` takes --long or nothing, not `{}`", other.join(" "))),
    };
    let mut steps = Steps::default();
    let purpose = if is_long { Purpose::LongTests } else { Purpose::Tests };
    steps.run("install", || install::ensure(purpose))?;
    steps.run("clients", clients)?;
    steps.run("format", || shown(&cargo(), &["fmt", "--all", "--check"]))?;
    // What takes seconds goes before what takes minutes.
    steps.run("page", || npm(&["run", "--silent", "check"]))?;
    steps.run("build", || shown(&cargo(), &["build", "--workspace", "--all-targets"]))?;
    if is_long {
        steps.run("sanitized library", sanitizers::build)?;
    }
    // None of these needs another one: what fails is told, and the others run.
    steps.attempt("tests", || suite(is_long));
    steps.attempt("notices", tools::notices_are_current);
    steps.attempt("package", package::check);
    steps.attempt("doc examples", || shown(&cargo(), &["test", "--quiet", "--workspace", "--doc"]));
    if is_long {
        steps.attempt("no encoder", || shown(&cargo(), &NO_ENCODER));
        let runtime = || shown(&cargo(), &[&NO_ENCODER[..], &["--features", "h264-runtime"]].concat());
        steps.attempt("runtime encoder", runtime);
        steps.attempt("schedules", || shown(&cargo(), &SCHEDULES));
        steps.attempt("tracy", || shown(&cargo(), &TRACY));
        steps.attempt("windows", windows::check);
        steps.attempt("lints", check);
        steps.attempt("dependencies", tools::deny);
    }
    steps.end()
}

/// Formatting and lints.
pub(crate) fn check() -> Result<(), String> {
    shown(&cargo(), &["fmt", "--all", "--check"])?;
    shown(&cargo(), &["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])
}

/// Real clients that come from package registries.
fn clients() -> Result<(), String> {
    npm(&["ci", "--silent", "--no-audit", "--no-fund"])?;
    let (folder, requirements) = AIORTC;
    let python = format!("{folder}/bin/python");
    let has = |modules: &str| captured(&python, &["-c", &format!("import {modules}")]).is_some();
    let is_x86 = cfg!(all(target_arch = "x86_64", target_os = "linux"));
    if !has("aiortc, numpy") || (is_x86 && !has("oidn")) {
        shown("python3", &["-m", "venv", folder])?;
        shown(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements])?;
    }
    if is_x86 { open_image_denoise(&python) } else { Ok(()) }
}

/// Puts the package's libraries where the loader finds one from the other: under their SONAMEs, in a folder `lib`.
fn open_image_denoise(python: &str) -> Result<(), String> {
    let folder = run::root().join("target/oidn/lib");
    let find = "import importlib.util as u; print(u.find_spec('oidn').submodule_search_locations[0])";
    let package = captured(python, &["-c", find]).ok_or("the Python package oidn is not where it was installed")?;
    let from = Path::new(package.trim()).join("lib.linux.x64");
    let failed = |what: &Path, error| format!("{}: {error}", what.display());
    std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
    for (file, name) in
        [("libtbb.so.12.5", "libtbb.so.12"), ("libOpenImageDenoise.so.1.4.3", "libOpenImageDenoise.so.1")]
    {
        let (from, to) = (from.join(file), folder.join(name));
        if !to.exists() {
            std::fs::copy(&from, &to).map_err(|error| failed(&from, error))?;
        }
    }
    Ok(())
}

fn npm(arguments: &[&str]) -> Result<(), String> {
    run::status(run::command("npm", arguments).current_dir(run::root().join("bindings/web")))
}

fn suite(is_long: bool) -> Result<(), String> {
    let long: &[&str] = if is_long { &["--run-ignored", "all"] } else { &[] };
    if captured(&cargo(), &["nextest", "--version"]).is_some() {
        let arguments = [&["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "slow"], long].concat();
        return shown(&cargo(), &arguments);
    }
    println!("cargo-nextest is not installed: tests run by `cargo test`, one program after the other");
    let long: &[&str] = if is_long { &["--", "--include-ignored"] } else { &[] };
    shown(&cargo(), &[&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"], long].concat())
}
