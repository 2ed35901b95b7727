//! What is shipped beside the binary: the container's and systemd's files say what the binary and the repository have.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn dist(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Instructions with their continued lines, comments left out.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let joined = lines.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| line.split_once(char::is_whitespace).expect("an instruction has arguments"))
        .map(|(name, arguments)| (name.to_owned(), arguments.trim().to_owned()))
        .collect()
}

/// Variables that are settings of the peer, by its own words.
fn settings() -> BTreeSet<String> {
    let said = Command::new(env!("CARGO_BIN_EXE_rayloom-peer")).arg("--help").output().expect("the peer runs");
    let help = String::from_utf8_lossy(&said.stdout).into_owned();
    let variables = help.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    variables.filter(|word| word.starts_with("RAYLOOM_")).map(str::to_owned).collect()
}

#[test]
fn the_containers_file_says_what_is_there() {
    let text = dist("Containerfile");
    let instructions = instructions(&text);
    let known = ["FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "ENTRYPOINT"];
    for (name, _) in &instructions {
        assert!(known.contains(&name.as_str()), "{name} is no instruction");
    }
    let all = |wanted: &str| -> Vec<&str> {
        instructions.iter().filter(|(name, _)| name == wanted).map(|(_, arguments)| arguments.as_str()).collect()
    };
    // Whole names of images, so that no builder has to guess the registry; built with the toolchain of the workspace.
    let images = all("FROM");
    assert!(images.iter().all(|image| image.starts_with("docker.io/library/")), "{images:?}");
    assert!(images[0].contains(&format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"))), "{images:?}");
    assert!(images[0].contains("bookworm") && images[1].contains("bookworm"), "both have one libc: {images:?}");
    // Every list of packages is fetched before and left behind by none.
    for run in all("RUN").into_iter().filter(|run| run.contains("apt-get install")) {
        assert!(run.contains("apt-get update") && run.contains("--no-install-recommends"), "{run}");
        assert!(run.contains("rm -rf /var/lib/apt/lists/*"), "{run}");
    }
    let known = settings();
    assert!(known.contains("RAYLOOM_LISTEN"), "{known:?}");
    let environment = all("ENV").join(" ");
    for word in environment.split_whitespace().filter(|word| word.starts_with("RAYLOOM_")) {
        let (name, _) = word.split_once('=').expect("a variable has a value");
        assert!(known.contains(name), "{name} is no setting of the peer");
    }
    let capabilities = environment.split_whitespace().find(|word| word.starts_with("NVIDIA_DRIVER_CAPABILITIES="));
    assert!(capabilities.is_some_and(|word| word.contains("graphics")), "without it there is no Vulkan");
    assert_ne!(all("USER"), ["root"]);
    let binary = all("COPY").into_iter().find(|copy| copy.contains("--from=build")).expect("the binary is taken over");
    assert!(all("ENTRYPOINT")[0].contains(binary.rsplit(' ').next().expect("a COPY has a target")));
}

#[test]
fn the_service_starts_the_binary_with_settings_that_it_has() {
    let unit = dist("rayloom-peer.service");
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{key}"));
    assert!(value("ExecStart=").contains("rayloom-peer"), "{unit}");
    let known = settings();
    for line in unit.lines().filter_map(|line| line.strip_prefix("Environment=")) {
        let name = line.trim_matches('"').split('=').next().expect("a variable has a name");
        assert!(!name.starts_with("RAYLOOM_") || known.contains(name), "{name} is no setting of the peer");
    }
}
