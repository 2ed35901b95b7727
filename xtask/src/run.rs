//! Running other programs: whole, with their output shown or captured, from the repository's root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository's root: of the checkout that cargo was called in, also where several share a target folder.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).parent().expect("xtask lies in the workspace's root").to_owned()
}

/// Where cargo builds to.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    root().join(target)
}

/// The cargo that runs this.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

/// A program with its arguments, run in the repository's root.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs to its end with its output shown.
pub(crate) fn shown(program: &str, arguments: &[&str]) -> Result<(), String> {
    status(&mut command(program, arguments))
}

/// Runs a prepared command to its end with its output shown.
pub(crate) fn status(command: &mut Command) -> Result<(), String> {
    let text = describe(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{text}` ended with {status}")),
        Err(error) => Err(format!("`{text}` could not be started: {error}")),
    }
}

/// Standard output of a program that succeeded; `None` when it is missing or failed.
pub(crate) fn captured(program: &str, arguments: &[&str]) -> Option<String> {
    let output = command(program, arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
