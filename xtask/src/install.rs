//! What the demo and the tests need beside the Rust toolchain: looked for, named with the reason, installed.

use crate::run::{self, captured};
use std::path::Path;

/// What things are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Building, and running peers.
    Demo,
    /// The tests with their real clients too.
    Tests,
}

/// Something that must be there.
struct Need {
    what: &'static str,
    why: &'static str,
    purpose: Purpose,
    is_there: fn() -> bool,
    /// Debian packages.
    packages: &'static [&'static str],
    /// The packages come from Debian's backports.
    backports: bool,
    /// Where it comes from on other systems.
    elsewhere: &'static str,
}

/// Mesa's first release in Debian with ray tracing on the CPU.
const MESA: (u32, u32) = (25, 0);

const NEEDS: &[Need] = &[
    Need {
        what: "a C and C++ compiler",
        why: "the H.264 encoder and the sample engine are built from source",
        purpose: Purpose::Demo,
        is_there: || has("cc") && has("c++"),
        packages: &["build-essential"],
        backports: false,
        elsewhere: "gcc or clang from the system's package manager, Xcode's command line tools on macOS",
    },
    Need {
        what: "nasm",
        why: "without its assembly the H.264 encoder takes 2.5 times as long",
        purpose: Purpose::Demo,
        is_there: || has("nasm"),
        packages: &["nasm"],
        backports: false,
        elsewhere: "the package nasm, or nasm.us",
    },
    Need {
        what: "a Vulkan loader and a driver (NVIDIA's, or Mesa 25 or later)",
        why: "peers trace with Vulkan; Mesa's lavapipe does so on the CPU",
        purpose: Purpose::Demo,
        is_there: has_vulkan,
        packages: &["mesa-vulkan-drivers", "libvulkan1"],
        backports: true,
        elsewhere: "the GPU vendor's driver, or Mesa's packages (mesa-vulkan-drivers, vulkan-swrast)",
    },
    Need {
        what: "glslc and spirv-val",
        why: "a test rebuilds the shaders and compares them with the committed ones",
        purpose: Purpose::Tests,
        is_there: || has("glslc") && has("spirv-val"),
        packages: &["glslc", "spirv-tools"],
        backports: false,
        elsewhere: "the Vulkan SDK",
    },
    Need {
        what: "the Vulkan validation layers",
        why: "tests require the renderer to be clean under core and synchronization validation",
        purpose: Purpose::Tests,
        is_there: || {
            ["/usr/share/vulkan/explicit_layer.d", "/etc/vulkan/explicit_layer.d"]
                .iter()
                .any(|folder| Path::new(folder).join("VkLayer_khronos_validation.json").exists())
        },
        packages: &["vulkan-validationlayers"],
        backports: false,
        elsewhere: "the Vulkan SDK",
    },
    Need {
        what: "Chromium",
        why: "tests watch the stream in a real browser",
        purpose: Purpose::Tests,
        is_there: || has("chromium"),
        packages: &["chromium"],
        backports: false,
        elsewhere: "the package chromium",
    },
    Need {
        what: "Node.js and npm",
        why: "tests build the page's bundle and drive the browser",
        purpose: Purpose::Tests,
        is_there: || has("node") && has("npm"),
        packages: &["nodejs", "npm"],
        backports: false,
        elsewhere: "nodejs.org, version 18 or later",
    },
    Need {
        what: "Python 3 with venv and pip",
        why: "aiortc, a WebRTC stack of other people, watches the stream in tests",
        purpose: Purpose::Tests,
        is_there: || captured("python3", &["-c", "import venv, ensurepip"]).is_some(),
        packages: &["python3", "python3-venv", "python3-pip"],
        backports: false,
        elsewhere: "python.org, version 3.10 or later",
    },
    Need {
        what: "clang",
        why: "tests compile the header with both compilers",
        purpose: Purpose::Tests,
        is_there: || has("clang"),
        packages: &["clang"],
        backports: false,
        elsewhere: "the package clang",
    },
];

/// Makes everything for `purpose` be there; with root or sudo it installs, else it prints the command and stops.
pub(crate) fn ensure(purpose: Purpose) -> Result<(), String> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| need.purpose <= purpose && !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("missing:");
    for need in &missing {
        println!("  {}: {}", need.what, need.why);
    }
    if !has("apt-get") {
        let lines: Vec<String> = missing.iter().map(|need| format!("  {}: {}", need.what, need.elsewhere)).collect();
        return Err(format!("this is no Debian system, install these and run again:\n{}", lines.join("\n")));
    }
    let script = script(&missing)?;
    let is_root = captured("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    let prefix: &[&str] = if is_root { &[] } else { &["sudo", "-n"] };
    if !is_root && captured("sudo", &["-n", "true"]).is_none() {
        return Err(format!("installing needs root; run this and then the same command again:\n\n{script}"));
    }
    println!("installing:\n{script}");
    let words: Vec<&str> = prefix.iter().copied().chain(["sh", "-ec", &script]).collect();
    let mut command = run::command(words[0], &words[1..]);
    run::status(command.env("DEBIAN_FRONTEND", "noninteractive"))?;
    let still: Vec<&str> = missing.iter().filter(|need| !(need.is_there)()).map(|need| need.what).collect();
    if still.is_empty() { Ok(()) } else { Err(format!("installed, but still not found: {}", still.join(", "))) }
}

/// The shell commands that install everything missing.
fn script(missing: &[&Need]) -> Result<String, String> {
    let mut lines = Vec::new();
    if missing.iter().any(|need| need.backports) && needs_backports_source() {
        let (uri, codename) =
            apt_source().ok_or("apt's own sources could not be read: no URI for Debian's backports")?;
        let line = format!("deb {uri} {codename}-backports main");
        lines.push(format!("echo '{line}' > /etc/apt/sources.list.d/rayloom-backports.list"));
    }
    lines.push("apt-get update".to_owned());
    let packages = |backports| -> Vec<&str> {
        missing.iter().filter(|n| n.backports == backports).flat_map(|n| n.packages.iter().copied()).collect()
    };
    let (stable, backported) = (packages(false), packages(true));
    if !backported.is_empty() {
        let suite = if apt_codename().as_deref() == Some("bookworm") { "-t bookworm-backports " } else { "" };
        lines.push(format!("apt-get install -y --no-install-recommends {suite}{}", backported.join(" ")));
    }
    if !stable.is_empty() {
        lines.push(format!("apt-get install -y --no-install-recommends {}", stable.join(" ")));
    }
    Ok(lines.join("\n"))
}

/// Debian 12's own Mesa has no ray tracing; later releases need no backports.
fn needs_backports_source() -> bool {
    let policy = captured("apt-cache", &["policy"]).unwrap_or_default();
    apt_codename().as_deref() == Some("bookworm") && !policy.contains("bookworm-backports")
}

fn apt_codename() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    let line = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(line.trim_matches('"').to_owned())
}

/// The mirror that this machine already uses for Debian, and its release.
fn apt_source() -> Option<(String, String)> {
    let codename = apt_codename()?;
    let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
    if let Ok(folder) = std::fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    texts.filter_map(|text| debian_mirror(&text, &codename)).next().map(|uri| (uri, codename))
}

/// The URI of the stanza (deb822) or line (one-line style) that serves the release itself.
fn debian_mirror(text: &str, codename: &str) -> Option<String> {
    let mut uri = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            uri = None;
        } else if let Some(rest) = line.strip_prefix("URIs:") {
            uri = rest.split_whitespace().next().map(str::to_owned);
        } else if let Some(rest) = line.strip_prefix("Suites:") {
            if rest.split_whitespace().any(|suite| suite == codename) && uri.is_some() {
                return uri;
            }
        } else if let Some(rest) = line.strip_prefix("deb ") {
            let mut words = rest.split_whitespace().skip_while(|word| word.starts_with('[') || word.ends_with(']'));
            if let (Some(found), Some(suite)) = (words.next(), words.next())
                && suite == codename
            {
                return Some(found.to_owned());
            }
        }
    }
    None
}

fn has(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A loader, and either a vendor's driver or a Mesa with ray tracing.
fn has_vulkan() -> bool {
    let libraries = captured("ldconfig", &["-p"]).or_else(|| captured("/sbin/ldconfig", &["-p"])).unwrap_or_default();
    if !libraries.contains("libvulkan.so.1") {
        return false;
    }
    let icd = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let drivers = [icd("/usr/share/vulkan/icd.d"), icd("/etc/vulkan/icd.d")].concat();
    if drivers.iter().any(|name| name.contains("nvidia")) {
        return true;
    }
    let version = captured("dpkg-query", &["-W", "-f", "${Version}", "mesa-vulkan-drivers"]);
    match version {
        Some(version) => mesa_version(&version).is_some_and(|version| version >= MESA),
        None => !drivers.is_empty() && !has("dpkg-query"),
    }
}

fn mesa_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_read_from_both_styles_of_sources() {
        let deb822 = "Types: deb\n# a comment\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n";
        assert_eq!(debian_mirror(deb822, "bookworm").as_deref(), Some("http://mirror.example/debian"));
        let security = "Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\n";
        assert_eq!(debian_mirror(security, "bookworm"), None);
        let line = "deb [signed-by=/k.gpg arch=amd64] http://one.example/debian bookworm main\n";
        assert_eq!(debian_mirror(line, "bookworm").as_deref(), Some("http://one.example/debian"));
    }

    #[test]
    fn mesa_versions_compare() {
        assert_eq!(mesa_version("25.0.7-2~bpo12+1"), Some((25, 0)));
        assert!(mesa_version("22.3.6-1+deb12u1") < Some(MESA));
    }
}
