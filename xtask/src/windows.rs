//! `cargo xtask check --target x86_64-pc-windows-gnu`: the library for Windows, built and tried from Debian.

use crate::run::{self, captured, cargo};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const TARGET: &str = "x86_64-pc-windows-gnu";
const COMPILER: &str = "x86_64-w64-mingw32-gcc";
/// What a library of the C++ encoder and of Rust asks for beside Windows itself.
const RUNTIME: [&str; 3] = ["libstdc++-6.dll", "libgcc_s_seh-1.dll", "libwinpthread-1.dll"];

pub(crate) fn check() -> Result<(), String> {
    if captured(COMPILER, &["--version"]).is_none() {
        return Err(format!("`{COMPILER}` is missing: apt-get install gcc-mingw-w64-x86-64 g++-mingw-w64-x86-64"));
    }
    let installed = captured("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    if !installed.lines().any(|target| target == TARGET) {
        run::shown("rustup", &["target", "add", TARGET])?;
    }
    run::shown(&cargo(), &["build", "--package", "rayloom-ffi", "--target", TARGET])?;
    // Of the whole workspace, as the tests build it: alone it would be built anew, with other features.
    let mut layouts = run::command(&cargo(), &["test", "--quiet", "--workspace", "--lib", "c_and_rust_agree"]);
    run::status(layouts.env("RAYLOOM_TEST_CC", COMPILER))?;
    let built = run::target().join(TARGET).join("debug");
    let folder = built.join("sample");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let engine = folder.join("engine.exe");
    let mut compile = run::command(COMPILER, &["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-Iinclude"]);
    compile.arg("samples/c/main.c").arg("-o").arg(&engine).arg(built.join("librayloom.dll.a")).arg("-lm");
    run::status(&mut compile)?;
    let mut missing_library = run::command(COMPILER, &["-shared", "-O1", "-o"]);
    missing_library.arg(folder.join("bcryptprimitives.dll"));
    run::status(missing_library.args(["ffi/tests/windows/bcryptprimitives.c", "-ladvapi32"]))?;
    let mut files = vec![built.join("rayloom.dll")];
    files.extend(RUNTIME.iter().map(|name| runtime(name)).collect::<Result<Vec<_>, _>>()?);
    for file in &files {
        let to = folder.join(file.file_name().ok_or("a library has a name")?);
        std::fs::copy(file, &to).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    println!("rayloom.dll and librayloom.dll.a are in {}; the DLL asks for {}", built.display(), RUNTIME.join(", "));
    if captured("wine", &["--version"]).is_none() {
        println!("the sample was linked, not run: Wine is not installed (apt-get install wine wine64)");
        return Ok(());
    }
    try_out(&engine, &folder)
}

/// Where the compiler has a library of its own.
fn runtime(name: &str) -> Result<PathBuf, String> {
    let path = captured(COMPILER, &[&format!("-print-file-name={name}")]).unwrap_or_default();
    let path = PathBuf::from(path.trim());
    if path.is_absolute() { Ok(path) } else { Err(format!("`{COMPILER}` knows no {name}")) }
}

/// Runs the sample until its page is served and its scene waits for a peer: session, stream, scene and commit work then.
/// Wine has neither a Vulkan device for the embedded peer without a display, nor what WebRTC's sockets ask of Windows
/// (`WSARecvMsg`), so no frame is traced.
fn try_out(engine: &Path, folder: &Path) -> Result<(), String> {
    let mut command = Command::new("wine");
    command.arg(engine).args(["--embedded", "fallback", "--listen", "127.0.0.1:0", "--city", "2000"]);
    command.env("WINEPREFIX", folder.join("wine")).env("WINEDEBUG", "-all");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let text = run::describe(&command);
    let mut child = command.spawn().map_err(|error| format!("`{text}` could not be started: {error}"))?;
    let output = child.stdout.take().ok_or("the sample's output is not piped")?;
    let mut wanted =
        ["page on http://127.0.0.1:", "scene: loading", "scene: waiting for a peer"].into_iter().peekable();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("reading the sample's output failed: {error}"))?;
        if wanted.next_if(|start| line.starts_with(start)).is_some() && wanted.peek().is_none() {
            break;
        }
    }
    let ended = child.kill().and_then(|()| child.wait());
    ended.map_err(|error| format!("`{text}` could not be ended: {error}"))?;
    match wanted.next() {
        None => {
            println!("the C sample ran under Wine: its page was served, its scene was committed");
            Ok(())
        }
        Some(line) => Err(format!("`{text}` ended without saying \"{line}\"")),
    }
}
