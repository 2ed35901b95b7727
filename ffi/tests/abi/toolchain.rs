//! Compilers, and the library that was built with this test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A library of this build. Cargo does not build it for a test: `cargo build` must come first.
pub(crate) fn library(name: &str) -> PathBuf {
    library_of(Build::Plain, name)
}

/// Which library.
#[derive(Clone, Copy)]
pub(crate) enum Build {
    /// As it is shipped.
    Plain,
    /// With AddressSanitizer in all of its Rust and C, which the program's runtime serves.
    Sanitized,
}

fn library_of(build: Build, name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let plain = program.parent().and_then(Path::parent).unwrap();
    let (folder, how) = match build {
        Build::Plain => (plain.to_owned(), "cargo build -p rayloom-ffi"),
        Build::Sanitized => (plain.with_file_name("sanitized"), "cargo xtask check --sanitizers"),
    };
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: run `{how}` first", path.display());
    path
}

/// Runs to the end; what it printed is in the message when it fails.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}\n{out}\n{err}", output.status);
    output
}

/// True when a compiler of this name is installed.
pub(crate) fn exists(compiler: &str) -> bool {
    Command::new(compiler).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A folder for this test's programs, emptied by cargo clean.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// How a program gets the library.
#[derive(Clone, Copy)]
pub(crate) enum Link {
    Shared,
    Static,
    /// Shared, from where the loader is told to look: nothing of this machine stays in the program.
    Found,
    /// Not at all: the program loads it.
    Loaded,
}

/// Compiles a C program of tests/c against the header and the library.
pub(crate) fn compile(name: &str, link: Link, folder: &Path) -> PathBuf {
    compile_with(name, link, folder, &[])
}

/// The same with more flags.
pub(crate) fn compile_with(name: &str, link: Link, folder: &Path, flags: &[&str]) -> PathBuf {
    compile_against(Build::Plain, name, link, folder, flags)
}

/// The same against a library of that build.
pub(crate) fn compile_against(build: Build, name: &str, link: Link, folder: &Path, flags: &[&str]) -> PathBuf {
    let source = root().join(format!("ffi/tests/c/{name}.c"));
    let program = folder.join(name);
    let mut compiler = Command::new("cc");
    compiler
        .args(["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(root().join("include"));
    compiler.args(flags).arg(source).arg("-o").arg(&program);
    match link {
        Link::Shared => {
            let soname = put_library(build, folder);
            // This library whatever LD_LIBRARY_PATH says: a test's leads to the plain one, where a demo has left its name.
            compiler.arg(&soname).arg("-Wl,--disable-new-dtags").arg(format!("-Wl,-rpath,{}", folder.display()));
        }
        Link::Loaded => {
            compiler.arg("-ldl");
        }
        Link::Found => {
            compiler.arg(put_library(build, folder));
        }
        // What the Rust library and the encoder inside need of the system.
        Link::Static => {
            compiler.arg(library_of(build, "librayloom.a")).args([
                "-lstdc++",
                "-lgcc_s",
                "-lpthread",
                "-lm",
                "-ldl",
                "-lrt",
            ]);
        }
    }
    compiler.arg("-lm");
    run(&mut compiler);
    program
}

/// Puts the shared library into a folder, by the name that the loader asks for.
pub(crate) fn shared_library(folder: &Path) -> PathBuf {
    put_library(Build::Plain, folder)
}

fn put_library(build: Build, folder: &Path) -> PathBuf {
    let soname = folder.join("librayloom.so.0.1");
    // Of an earlier run.
    let _ = std::fs::remove_file(&soname);
    std::os::unix::fs::symlink(library_of(build, "librayloom.so"), &soname).unwrap();
    soname
}

/// A committed file must be what is generated; RAYLOOM_UPDATE_HEADER=1 writes it anew.
pub(crate) fn assert_committed(path: &Path, generated: &str, sources: &str) {
    if std::env::var_os("RAYLOOM_UPDATE_HEADER").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, generated).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let difference = committed.lines().zip(generated.lines()).enumerate().find(|(_, (old, new))| old != new);
    assert!(
        committed == generated,
        "{} differs from {sources} (first at {difference:?}): \
         run RAYLOOM_UPDATE_HEADER=1 cargo test -p rayloom-ffi --test abi, look at the difference, commit it",
        path.display()
    );
}

/// True of a header's line that declares a function.
pub(crate) fn is_function(line: &str) -> bool {
    line.starts_with("rayloom_result rayloom_") || line.starts_with("const char *rayloom_")
}

/// Names of the functions that the header declares.
pub(crate) fn declared() -> Vec<String> {
    let header = std::fs::read_to_string(root().join("include/rayloom.h")).unwrap();
    let mut names = Vec::new();
    for line in header.lines().filter(|line| is_function(line)) {
        let name = line.split('(').next().unwrap().split([' ', '*']).next_back().unwrap();
        names.push(name.to_owned());
    }
    names.sort();
    names
}
