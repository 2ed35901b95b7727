//! Tools for maintainers that come from crates.io: licences and advisories of dependencies, notices of third parties.

use crate::run::{self, cargo};
use std::path::{Path, PathBuf};

/// A program of a crate. Compiling one takes some four minutes of CPU time, so the test command does without them.
struct Tool {
    name: &'static str,
    version: &'static str,
    features: &'static [&'static str],
}

const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", features: &[] };
const ABOUT: Tool = Tool { name: "cargo-about", version: "0.9.3", features: &["--features", "cli"] };

/// What is shipped: whose notices are kept, and with which features.
const SHIPPED: [(&str, &str); 3] = [("ffi", "rayloom-ffi"), ("peer-server", "rayloom-peer"), ("cli", "rayloom-cli")];

impl Tool {
    /// The program, in target/tools; compiled at the first use.
    fn program(&self) -> Result<PathBuf, String> {
        let folder = run::target().join("tools");
        let program = folder.join("bin").join(self.name);
        let version = run::captured(&program.to_string_lossy(), &["--version"]).unwrap_or_default();
        if !version.trim().ends_with(self.version) {
            println!("compiling {} {}: takes a few minutes, once", self.name, self.version);
            let root = folder.to_string_lossy();
            let arguments = ["install", "--locked", self.name, "--version", self.version, "--root", &root];
            run::status(run::command(&cargo(), &[&arguments, self.features].concat()).env_remove("CARGO_TARGET_DIR"))?;
        }
        Ok(program)
    }
}

/// `cargo xtask check --deny`: licences, sources, bans and, where the database can be had, advisories.
pub(crate) fn deny() -> Result<(), String> {
    let program = DENY.program()?;
    let program = program.to_string_lossy();
    run::shown(&program, &["--workspace", "--all-features", "check", "bans", "licenses", "sources"])?;
    if run::shown(&program, &["fetch", "db"]).is_err() {
        println!("advisories were NOT checked: the database of rustsec.org can't be reached from here");
        return Ok(());
    }
    run::shown(&program, &["--workspace", "--all-features", "check", "advisories"])
}

/// `cargo xtask notices`: writes THIRD_PARTY_NOTICES.md of what is shipped anew.
pub(crate) fn notices() -> Result<(), String> {
    let program = ABOUT.program()?;
    for (room, _) in SHIPPED {
        let (manifest, to) = (format!("{room}/Cargo.toml"), format!("{room}/THIRD_PARTY_NOTICES.md"));
        let arguments = ["generate", "--locked", "--fail", "--manifest-path", &manifest, "--config", "about.toml"];
        let mut command = run::command(&program.to_string_lossy(), &arguments);
        run::status(command.arg("--output-file").arg(&to).arg("ffi/package/notices.hbs"))?;
    }
    notices_are_current()
}

/// An error where a package that is shipped has no line in the committed notices. Costs a second, needs no tool.
pub(crate) fn notices_are_current() -> Result<(), String> {
    for (room, package) in SHIPPED {
        let tree = ["tree", "--locked", "--package", package, "--edges", "normal,no-proc-macro", "--prefix", "none"];
        let tree = run::captured(&cargo(), &tree).ok_or("`cargo tree` failed")?;
        let file = format!("{room}/THIRD_PARTY_NOTICES.md");
        let notices = std::fs::read_to_string(run::root().join(&file)).map_err(|error| format!("{file}: {error}"))?;
        let missing = missing(&tree, &notices, &run::root());
        if !missing.is_empty() {
            return Err(format!("{file} lacks {}: run `cargo xtask notices` and commit it", missing.join(", ")));
        }
    }
    Ok(())
}

/// Packages of "name v1.2.3 (...)" lines that "- name 1.2.3: licence" lines lack; those of the repository itself aside.
fn missing(tree: &str, notices: &str, root: &Path) -> Vec<String> {
    let root = root.to_string_lossy();
    let mut missing: Vec<String> = tree
        .lines()
        .filter(|line| !line.contains(&*root))
        .filter_map(|line| line.split_once(" v").map(|(name, rest)| (name, rest.split(' ').next().unwrap_or(rest))))
        .map(|(name, version)| format!("{name} {version}"))
        .filter(|package| !notices.contains(&format!("- {package}: ")))
        .collect();
    missing.sort();
    missing.dedup();
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_line_is_named() {
        let tree = "rayloom v0.1.0 (/here/sdk)\nserde v1.0.1\nserde v1.0.1 (*)\nring v0.17.2\n";
        let notices = "- serde 1.0.1: MIT, https://example\n- ring 0.17.1: ISC\n";
        assert_eq!(missing(tree, notices, Path::new("/here")), ["ring 0.17.2"]);
    }

    #[test]
    fn what_builds_here_is_the_oldest_toolchain_that_is_supported() {
        let read = |file: &str| std::fs::read_to_string(run::root().join(file)).unwrap();
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key)).unwrap();
            line.split('"').nth(1).unwrap().to_owned()
        };
        let oldest = value(&read("Cargo.toml"), "rust-version");
        assert!(value(&read("rust-toolchain.toml"), "channel").starts_with(&oldest));
        for file in [".github/workflows/ci.yml", ".devcontainer/Containerfile"] {
            assert!(read(file).contains(&format!("rust:{oldest}-bookworm")), "{file} builds with another toolchain");
        }
    }
}
