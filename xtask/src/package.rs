//! `cargo xtask package`: the SDK and the peer as archives that need nothing of this repository.

mod library;
mod unpacked;

use crate::install::{self, Purpose};
use crate::run::{self, cargo};
use library::Library;
use std::path::{Path, PathBuf};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the SDK's archive holds as it lies in the repository: from, to.
const SDK_FILES: [(&str, &str); 21] = [
    ("include/rayloom.h", "include/rayloom.h"),
    ("include/rayloom.hpp", "include/rayloom.hpp"),
    ("bindings/csharp/Rayloom.cs", "bindings/csharp/Rayloom.cs"),
    ("samples/c/CMakeLists.txt", "samples/c/CMakeLists.txt"),
    ("samples/c/main.c", "samples/c/main.c"),
    ("samples/c/city.h", "samples/c/city.h"),
    ("samples/c/png.h", "samples/c/png.h"),
    ("samples/cpp/CMakeLists.txt", "samples/cpp/CMakeLists.txt"),
    ("samples/cpp/main.cpp", "samples/cpp/main.cpp"),
    ("docs/c-guide.md", "docs/c-guide.md"),
    ("docs/c/ownership.md", "docs/c/ownership.md"),
    ("docs/c/errors.md", "docs/c/errors.md"),
    ("docs/c/threads.md", "docs/c/threads.md"),
    ("docs/conventions.md", "docs/conventions.md"),
    ("docs/planes.md", "docs/planes.md"),
    ("docs/captures.md", "docs/captures.md"),
    ("docs/streaming.md", "docs/streaming.md"),
    ("docs/licensing.md", "docs/licensing.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("ffi/THIRD_PARTY_NOTICES.md", "THIRD_PARTY_NOTICES.md"),
    ("cli/THIRD_PARTY_NOTICES.md", "bin/THIRD_PARTY_NOTICES.md"),
];

/// What the peer's archive holds beside the program.
const PEER_FILES: [(&str, &str); 5] = [
    ("peer-server/dist/rayloom-peer.service", "rayloom-peer.service"),
    ("docs/peer.md", "docs/peer.md"),
    ("docs/operator.md", "docs/operator.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("peer-server/THIRD_PARTY_NOTICES.md", "THIRD_PARTY_NOTICES.md"),
];

const LICENSES: [(&str, &str); 2] = [("LICENSE-MIT", "LICENSE-MIT"), ("LICENSE-APACHE", "LICENSE-APACHE")];

/// How the libraries are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// What is shipped.
    Release,
    /// What the tests have built already.
    Dev,
}

impl Profile {
    fn name(self) -> &'static str {
        if self == Profile::Release { "release" } else { "dev" }
    }

    fn folder(self) -> PathBuf {
        run::target().join(if self == Profile::Release { "release" } else { "debug" })
    }
}

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let mut profile = Profile::Release;
    let mut is_tried = false;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut words = words.as_slice();
    while let [word, rest @ ..] = words {
        words = match (*word, rest) {
            ("--profile", [name, rest @ ..]) if ["dev", "release"].contains(name) => {
                profile = if *name == "dev" { Profile::Dev } else { Profile::Release };
                rest
            }
            ("--test", rest) => {
                is_tried = true;
                rest
            }
            _ => return Err(format!("`cargo xtask package` takes --profile dev|release and --test, not `{word}`")),
        };
    }
    install::ensure(if is_tried { Purpose::Tests } else { Purpose::Demo })?;
    let archive = package(profile)?;
    if is_tried { unpacked::check(&archive) } else { Ok(()) }
}

/// Builds and packs in the profile that the tests have built in, and builds the samples from what came out.
pub(crate) fn check() -> Result<(), String> {
    unpacked::check(&package(Profile::Dev)?)
}

/// The name that programs ask the loader for; `ffi/build.rs` gives it to the library.
pub(crate) fn soname() -> String {
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    if major == "0" { format!("librayloom.so.0.{minor}") } else { format!("librayloom.so.{major}") }
}

/// Makes both archives; gives the SDK's.
fn package(profile: Profile) -> Result<PathBuf, String> {
    let target = host()?;
    build(profile)?;
    let native = library::native_libraries(&profile.folder())?;
    let out = run::target().join("package");
    let sdk = out.join(format!("rayloom-{VERSION}-{target}"));
    empty(&sdk)?;
    let shared = sdk.join("lib").join(format!("librayloom.so.{VERSION}"));
    copy(&profile.folder().join("librayloom.so"), &shared)?;
    copy(&profile.folder().join("librayloom.a"), &sdk.join("lib/librayloom.a"))?;
    strip(&["--strip-unneeded"], &shared)?;
    strip(&["--strip-debug", "--enable-deterministic-archives"], &sdk.join("lib/librayloom.a"))?;
    let library = Library::read(&shared)?;
    library.check(&soname())?;
    link(&format!("librayloom.so.{VERSION}"), &sdk.join("lib").join(soname()))?;
    link(&soname(), &sdk.join("lib/librayloom.so"))?;
    copy(&profile.folder().join("rayloom"), &sdk.join("bin/rayloom"))?;
    strip(&["--strip-unneeded"], &sdk.join("bin/rayloom"))?;
    for (from, to) in SDK_FILES.iter().chain(&LICENSES) {
        copy(&run::root().join(from), &sdk.join(to))?;
    }
    let glibc = library.glibc();
    let values = Values { target: &target, native: &native, glibc: &glibc };
    for (template, to) in [
        ("rayloom-config.cmake.in", "lib/cmake/rayloom/rayloom-config.cmake"),
        ("rayloom-config-version.cmake.in", "lib/cmake/rayloom/rayloom-config-version.cmake"),
        ("rayloom.pc.in", "lib/pkgconfig/rayloom.pc"),
        ("rayloom-static.pc.in", "lib/pkgconfig/rayloom-static.pc"),
        ("README.md", "README.md"),
    ] {
        values.fill(&run::root().join("ffi/package").join(template), &sdk.join(to))?;
    }
    println!("librayloom.so: {} functions, SONAME {}, needs glibc {glibc}", library.exported.len(), soname());
    println!("librayloom.a needs {native}");
    let archive = pack(&sdk)?;

    let peer = out.join(format!("rayloom-peer-{VERSION}-{target}"));
    empty(&peer)?;
    let program = peer.join("bin/rayloom-peer");
    copy(&profile.folder().join("rayloom-peer"), &program)?;
    strip(&["--strip-unneeded"], &program)?;
    for (from, to) in PEER_FILES.iter().chain(&LICENSES) {
        copy(&run::root().join(from), &peer.join(to))?;
    }
    println!("rayloom-peer needs glibc {}", Library::read(&program)?.glibc());
    pack(&peer)?;
    Ok(archive)
}

/// The triple that rustc builds for.
fn host() -> Result<String, String> {
    let text = run::captured("rustc", &["-vV"]).ok_or("`rustc -vV` failed")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "`rustc -vV` names no host".into())
}

fn build(profile: Profile) -> Result<(), String> {
    let mut command = run::command(&cargo(), &["build", "--profile", profile.name()]);
    // What the tests' build has the features of is not compiled again.
    match profile {
        Profile::Dev => command.args(["--workspace", "--all-targets"]),
        // The Rust library too: what the static one needs is asked of it.
        Profile::Release => command.args([
            "--package",
            "rayloom-ffi",
            "--package",
            "rayloom-peer",
            "--package",
            "rayloom",
            "--package",
            "rayloom-cli",
        ]),
    };
    if profile == Profile::Release {
        // Shipped files name no folder of the machine that built them.
        let root = run::root();
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
        let mut flags = vec![format!("--remap-path-prefix={}=rayloom", root.display())];
        flags.extend(home.map(|home| format!("--remap-path-prefix={}=cargo", home.display())));
        // Cargo's own separator: a path may hold spaces.
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    }
    run::status(&mut command)
}

struct Values<'a> {
    target: &'a str,
    native: &'a str,
    glibc: &'a str,
}

impl Values<'_> {
    /// Writes a template with each `@NAME@` replaced.
    fn fill(&self, template: &Path, to: &Path) -> Result<(), String> {
        let text = std::fs::read_to_string(template).map_err(|error| format!("{}: {error}", template.display()))?;
        let compatible = match env!("CARGO_PKG_VERSION_MAJOR") {
            "0" => format!("0.{}", env!("CARGO_PKG_VERSION_MINOR")),
            major => major.to_owned(),
        };
        let text = [
            ("@VERSION@", VERSION),
            ("@TARGET@", self.target),
            ("@COMPATIBLE@", &compatible),
            ("@FILE@", &format!("librayloom.so.{VERSION}")),
            ("@SONAME@", &soname()),
            ("@NATIVE@", self.native),
            ("@NATIVE_LIST@", &self.native.replace(' ', ";")),
            ("@GLIBC@", self.glibc),
        ]
        .iter()
        .fold(text, |text, (name, value)| text.replace(name, value));
        write(to, text.as_bytes())
    }
}

fn strip(flags: &[&str], file: &Path) -> Result<(), String> {
    run::shown("strip", &[flags, &[&file.to_string_lossy()]].concat())
}

fn empty(folder: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    }
}

fn write(to: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = to.parent().ok_or_else(|| format!("{} has no folder", to.display()))?;
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(to, bytes));
    written.map_err(|error| format!("{}: {error}", to.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let folder = to.parent().ok_or_else(|| format!("{} has no folder", to.display()))?;
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    std::fs::copy(from, to).map(drop).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn link(to: &str, at: &Path) -> Result<(), String> {
    std::os::unix::fs::symlink(to, at).map_err(|error| format!("{}: {error}", at.display()))
}

/// The folder as `.tar.gz` beside it. **The same files give the same bytes**: names are sorted, owners and times fixed
/// (SOURCE_DATE_EPOCH, else the last commit's time), and gzip keeps neither name nor time.
fn pack(folder: &Path) -> Result<PathBuf, String> {
    let name = folder.file_name().ok_or("the package's folder has a name")?.to_string_lossy().into_owned();
    let parent = folder.parent().ok_or("the package's folder lies in another")?;
    let archive = parent.join(format!("{name}.tar.gz"));
    let time = std::env::var("SOURCE_DATE_EPOCH").ok();
    let time = time.or_else(|| run::captured("git", &["log", "-1", "--format=%ct"]));
    let time = time.as_deref().map_or("0", str::trim);
    let script = format!(
        "tar --create --sort=name --format=gnu --mtime=@{time} --owner=0 --group=0 --numeric-owner \
         --mode=u=rwX,go=rX --directory=\"$1\" \"$2\" | gzip -n > \"$3\""
    );
    let arguments = ["-ec", &script, "sh", &parent.to_string_lossy(), &name, &archive.to_string_lossy()];
    run::shown("sh", &arguments)?;
    let size = std::fs::metadata(&archive).map_err(|error| format!("{}: {error}", archive.display()))?.len();
    println!("{} ({:.1} MB)", archive.display(), size as f64 / 1e6);
    Ok(archive)
}
