//! The archive as its user has it: unpacked outside the repository, its samples built by CMake and by pkg-config against
//! the shared and the static library, and run.

use crate::run;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Removed when dropped.
struct Outside {
    folder: PathBuf,
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("{} could not be removed: {error}", self.folder.display());
        }
    }
}

pub(crate) fn check(archive: &Path) -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("rayloom package {}", std::process::id()));
    std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let outside = Outside { folder };
    quiet(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&outside.folder))?;
    let name = archive.file_name().ok_or("the archive has a name")?.to_string_lossy();
    let sdk = outside.folder.join(name.trim_end_matches(".tar.gz"));
    for linked in ["shared", "static"] {
        by_cmake(&sdk, linked)?;
        by_pkg_config(&sdk, linked)?;
    }
    println!("samples in C and C++, by CMake and by pkg-config, shared and static: built and run");
    Ok(())
}

fn by_cmake(sdk: &Path, linked: &str) -> Result<(), String> {
    for (language, program) in [("c", "engine"), ("cpp", "render")] {
        let build = sdk.join(format!("build-{language}-{linked}"));
        let mut configure = Command::new("cmake");
        configure.arg("-S").arg(sdk.join("samples").join(language)).arg("-B").arg(&build);
        configure.arg(format!("-DRAYLOOM_STATIC={}", if linked == "static" { "ON" } else { "OFF" }));
        quiet(&mut configure)?;
        quiet(Command::new("cmake").arg("--build").arg(&build))?;
        // CMake leaves the way to the shared library in what it builds.
        try_out(&build.join(program), language, &build)?;
    }
    Ok(())
}

fn by_pkg_config(sdk: &Path, linked: &str) -> Result<(), String> {
    let package = if linked == "static" { "rayloom-static" } else { "rayloom" };
    let mut asked = Command::new("pkg-config");
    asked.args(["--cflags", "--libs", package]).env("PKG_CONFIG_PATH", sdk.join("lib/pkgconfig"));
    let flags = quiet(&mut asked)?;
    for (language, compiler, source) in [("c", "cc", "samples/c/main.c"), ("cpp", "c++", "samples/cpp/main.cpp")] {
        let folder = sdk.join(format!("pkg-config-{language}-{linked}"));
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let program = folder.join("sample");
        let mut compile = Command::new(compiler);
        compile.arg(sdk.join(source)).arg("-o").arg(&program).args(words(&flags)).arg("-lm");
        compile.arg(format!("-Wl,-rpath,{}", sdk.join("lib").display()));
        quiet(&mut compile)?;
        try_out(&program, language, &folder)?;
    }
    Ok(())
}

/// Renders one small picture with the embedded peer, and looks that it is there.
fn try_out(program: &Path, language: &str, folder: &Path) -> Result<(), String> {
    let pictures = folder.join("pictures");
    std::fs::create_dir(&pictures).map_err(|error| format!("{}: {error}", pictures.display()))?;
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH");
    match language {
        "c" => {
            let arguments = ["--embedded", "always", "--listen", "127.0.0.1:0", "--size", "64x36", "--city", "2000"];
            command.args(arguments).args(["--deadline-ms", "5000", "--frames", "1", "--png"]).arg(&pictures)
        }
        _ => command.arg(&pictures).arg("1"),
    };
    quiet(&mut command)?;
    let count = std::fs::read_dir(&pictures).map_err(|error| error.to_string())?.count();
    if count == 1 { Ok(()) } else { Err(format!("`{}` wrote {count} pictures, not 1", run::describe(&command))) }
}

/// Splits pkg-config's answer, in which a backslash keeps a space within its word.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = text.trim().chars();
    while let Some(character) = characters.next() {
        let last = words.last_mut().expect("it begins with one word and only grows");
        match character {
            '\\' => last.extend(characters.next()),
            ' ' => words.push(String::new()),
            other => last.push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Runs to the end; what it printed is in the error when it fails.
fn quiet(command: &mut Command) -> Result<String, String> {
    let text = run::describe(command);
    let output = command.output().map_err(|error| format!("`{text}` could not be started: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    Err(format!("`{text}` ended with {}\n{printed}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_backslash_keeps_a_space() {
        assert_eq!(words("-I/a\\ b/include  -lrayloom \n"), ["-I/a b/include", "-lrayloom"]);
    }
}
