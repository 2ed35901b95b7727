//! What the demo and the tests need beside the Rust toolchain: looked for, named with the reason, installed.

use crate::apt::{self, Step};
use crate::run::{self, captured};
use std::io::IsTerminal;
use std::path::Path;

/// What things are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Building, and running peers.
    Demo,
    /// The tests with their real clients too.
    Tests,
    /// The long suite: another system's compiler beside.
    LongTests,
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
        what: "iproute2",
        why: "a test puts engine and peer into network namespaces of their own",
        purpose: Purpose::Tests,
        is_there: || has("ip"),
        packages: &["iproute2"],
        backports: false,
        elsewhere: "Linux alone has network namespaces; the test is skipped elsewhere",
    },
    Need {
        what: "coturn",
        why: "tests send a peer's data through a TURN server of other people",
        purpose: Purpose::Tests,
        is_there: || has("turnserver"),
        packages: &["coturn"],
        backports: false,
        elsewhere: "the package coturn",
    },
    Need {
        what: "CMake and pkg-config",
        why: "a test builds the samples from the SDK archive by both",
        purpose: Purpose::Tests,
        is_there: || has("cmake") && has("pkg-config"),
        packages: &["cmake", "make", "pkg-config"],
        backports: false,
        elsewhere: "cmake.org, and pkgconf from the system's package manager",
    },
    Need {
        what: "Mono",
        why: "tests call the library from C#",
        purpose: Purpose::Tests,
        is_there: || has("mcs") && has("mono"),
        packages: &["mono-mcs", "mono-runtime"],
        backports: false,
        elsewhere: "mono-project.com",
    },
    Need {
        what: "valgrind",
        why: "tests watch the library's memory while C calls it",
        purpose: Purpose::Tests,
        is_there: || has("valgrind"),
        packages: &["valgrind"],
        backports: false,
        elsewhere: "the package valgrind; Linux alone has it",
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
    Need {
        what: "mingw-w64 and Wine",
        why: "the long suite builds the library for Windows, and runs the C sample with it",
        purpose: Purpose::LongTests,
        is_there: || has("x86_64-w64-mingw32-gcc") && has("x86_64-w64-mingw32-g++") && has("wine"),
        packages: &["gcc-mingw-w64-x86-64", "g++-mingw-w64-x86-64", "wine", "wine64"],
        backports: false,
        elsewhere: "the packages mingw-w64 and wine",
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
    let backports = if missing.iter().any(|need| need.backports) { backports_source()? } else { None };
    let steps = steps(&missing, backports.as_deref());
    let by_hand: Vec<String> = steps.iter().map(|step| step.shell("")).collect();
    let by_hand = by_hand.join(" &&\n  ");
    let needs_root = |how: &str| {
        let shell = if has("sudo") { "sudo sh -c" } else { "su - -c" };
        Err(format!("installing needs root{how}; run this, and then the same command again:\n\n{shell} '{by_hand}'"))
    };
    let is_root = captured("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    if !is_root {
        if !has("sudo") {
            return needs_root("");
        }
        // It asks for a password where it can.
        let asks: &[&str] = if std::io::stdin().is_terminal() { &["-v"] } else { &["-n", "true"] };
        if run::shown("sudo", asks).is_err() {
            return needs_root(" and sudo refused");
        }
    }
    println!("installing:\n  {by_hand}");
    apt::install(&steps, is_root)?;
    let still: Vec<&str> = missing.iter().filter(|need| !(need.is_there)()).map(|need| need.what).collect();
    if still.is_empty() { Ok(()) } else { Err(format!("installed, but still not found: {}", still.join(", "))) }
}

/// What is to be done, in order.
fn steps(missing: &[&Need], backports: Option<&str>) -> Vec<Step> {
    let packages = |of_backports| -> Vec<&'static str> {
        let needs = missing.iter().filter(|need| need.backports == of_backports);
        needs.flat_map(|need| need.packages.iter().copied()).collect()
    };
    let mut steps = Vec::new();
    if let Some(source) = backports {
        steps.push(Step::Source(source.to_owned()));
    }
    steps.push(Step::Update);
    let suite = if apt::codename().as_deref() == Some("bookworm") { "bookworm-backports" } else { "" };
    for (suite, packages) in [(suite, packages(true)), ("", packages(false))] {
        if !packages.is_empty() {
            steps.push(Step::Install { suite, packages });
        }
    }
    steps
}

/// The line of the missing source: Debian 12's own Mesa has no ray tracing; later releases need no backports.
fn backports_source() -> Result<Option<String>, String> {
    let policy = captured("apt-cache", &["policy"]).unwrap_or_default();
    if apt::codename().as_deref() != Some("bookworm") || policy.contains("bookworm-backports") {
        return Ok(None);
    }
    let uri = apt::mirror("bookworm").ok_or(
        "apt's own sources name no mirror of Debian: /etc/apt/sources.list or a file in /etc/apt/sources.list.d must",
    )?;
    Ok(Some(format!("deb {uri} bookworm-backports main")))
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
    fn mesa_versions_compare() {
        assert_eq!(mesa_version("25.0.7-2~bpo12+1"), Some((25, 0)));
        assert!(mesa_version("22.3.6-1+deb12u1") < Some(MESA));
    }
}
