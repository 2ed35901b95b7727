//! Debian's apt: which release and mirror this machine uses, and installing with one line of progress.

use crate::bar::Bar;
use crate::run;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// One command of an installation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A line for apt's sources.
    Source(String),
    /// Reads what the sources offer.
    Update,
    /// Installs packages, from a suite of its own where one is named.
    Install { suite: &'static str, packages: Vec<&'static str> },
}

/// For a machine: numbers instead of pictures (on descriptor 3), and waiting for an apt that a booting system runs.
const OPTIONS: &str = " -o APT::Status-Fd=3 -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120";
/// What marks the begin of a step in that stream.
const MARK: &str = "step:";
/// Lines of apt's complaints in an error.
const COMPLAINTS: usize = 8;

impl Step {
    /// The command as a shell takes it, within single quotes too.
    pub(crate) fn shell(&self, options: &str) -> String {
        match self {
            Step::Source(line) => format!("echo \"{line}\" > /etc/apt/sources.list.d/rayloom-backports.list"),
            Step::Update => format!("apt-get{options} update"),
            Step::Install { suite, packages } => {
                let suite = if suite.is_empty() { String::new() } else { format!(" -t {suite}") };
                format!("apt-get{options} install -y --no-install-recommends{suite} {}", packages.join(" "))
            }
        }
    }
}

/// Takes the steps, as root or by sudo.
pub(crate) fn install(steps: &[Step], is_root: bool) -> Result<(), String> {
    let marked = |(number, step): (usize, &Step)| format!("echo {MARK}{number} >&3\n{}", step.shell(OPTIONS));
    let commands: Vec<String> = steps.iter().enumerate().map(marked).collect();
    // sudo keeps no environment and closes descriptors: both are set inside.
    let script = format!("export DEBIAN_FRONTEND=noninteractive\nexec 3>&1 1>&2\n{}", commands.join("\n"));
    let words: &[&str] = if is_root { &["sh", "-ec", &script] } else { &["sudo", "sh", "-ec", &script] };
    let mut command = run::command(words[0], &words[1..]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("`{}` could not be started: {error}", words[0]))?;
    let status = child.stdout.take().ok_or("apt's progress is not piped")?;
    let mut output = child.stderr.take().ok_or("apt's output is not piped")?;
    let log = std::thread::spawn(move || {
        let mut text = Vec::new();
        output.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    let bar = Bar::start("install");
    let mut step = 0;
    for line in BufReader::new(status).lines() {
        let line = line.map_err(|error| format!("reading apt's progress failed: {error}"))?;
        if let Some(number) = line.strip_prefix(MARK) {
            step = number.parse().unwrap_or(step);
            bar.at(Some(step as f32 / steps.len() as f32), "");
        } else if let Some((share, what)) = progress(&line) {
            bar.at(Some((step as f32 + share) / steps.len() as f32), what);
        }
    }
    let ended = child.wait().map_err(|error| format!("waiting for apt failed: {error}"))?;
    let log = match log.join() {
        Ok(log) => log.map_err(|error| format!("reading apt's output failed: {error}"))?,
        Err(_) => return Err("apt's output could not be read".into()),
    };
    let file = keep(&log)?;
    if ended.success() {
        bar.done();
        return Ok(());
    }
    let failed = steps.get(step).map_or_else(String::new, |step| step.shell(""));
    Err(format!("`{failed}` ended with {ended}:\n{}\nall that apt said is in {}", complaints(&log), file.display()))
}

/// A line of the status stream: its share of the step (downloading is the first half), and what is being done.
fn progress(line: &str) -> Option<(f32, &str)> {
    let mut parts = line.splitn(4, ':');
    let (kind, _package, percent) = (parts.next()?, parts.next()?, parts.next()?);
    let percent: f32 = percent.trim().parse().ok()?;
    let from = match kind {
        "dlstatus" => 0.0,
        "pmstatus" => 0.5,
        _ => return None,
    };
    Some((from + percent / 200.0, parts.next().unwrap_or_default().trim()))
}

fn keep(log: &str) -> Result<PathBuf, String> {
    let file = run::target().join("install.log");
    let written = std::fs::create_dir_all(run::target()).and_then(|()| std::fs::write(&file, log));
    written.map_err(|error| format!("{}: {error}", file.display())).map(|()| file)
}

/// Why apt failed, in its own words, and what that usually means.
fn complaints(log: &str) -> String {
    let said: Vec<&str> = log.lines().filter(|line| line.starts_with("E: ") || line.starts_with("W: ")).collect();
    let mut lines: Vec<String> = said.iter().take(COMPLAINTS).map(|line| format!("  {line}")).collect();
    if said.iter().any(|line| line.contains("Failed to fetch")) {
        lines.push("a server could not be reached: is this machine online, and are apt's sources right?".into());
    } else if said.iter().any(|line| line.contains("Unable to locate") || line.contains("no installation candidate")) {
        lines.push(
            "apt's sources do not offer it: they must list this release of Debian with its component main".into(),
        );
    }
    lines.join("\n")
}

/// The release's name, like "bookworm".
pub(crate) fn codename() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    let line = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(line.trim_matches('"').to_owned())
}

/// The mirror that this machine already uses for a release of Debian.
pub(crate) fn mirror(codename: &str) -> Option<String> {
    let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
    if let Ok(folder) = std::fs::read_dir("/etc/apt/sources.list.d") {
        let entries = folder.flatten().map(|entry| entry.path());
        files.extend(entries.filter(|path| path.extension().is_some_and(|kind| kind == "list" || kind == "sources")));
    }
    files.sort();
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    texts.filter_map(|text| mirror_in(&text, codename)).next()
}

/// The URI of the stanza (deb822) or line (one-line style) that serves the release itself, over the network.
fn mirror_in(text: &str, codename: &str) -> Option<String> {
    let online = |uri: &&str| !uri.starts_with("cdrom:");
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| stanza.lines().find_map(|line| line.trim().strip_prefix(name));
        if let (Some(uris), Some(suites)) = (field("URIs:"), field("Suites:")) {
            let serves = suites.split_whitespace().any(|suite| suite == codename);
            return uris.split_whitespace().find(online).filter(|_| serves).map(str::to_owned);
        }
        stanza.lines().find_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim_start();
            // Options stand in brackets.
            let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
            let mut words = rest.split_whitespace();
            let (uri, suite) = (words.next()?, words.next()?);
            (suite == codename && online(&uri)).then(|| uri.to_owned())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_read_from_both_styles_of_sources() {
        let deb822 = "Types: deb\n# a comment\nSuites: bookworm bookworm-updates\nURIs: http://mirror.example/debian\n";
        assert_eq!(mirror_in(deb822, "bookworm").as_deref(), Some("http://mirror.example/debian"));
        let security = "Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\n";
        assert_eq!(mirror_in(security, "bookworm"), None);
        assert_eq!(mirror_in(&format!("{security}\n{deb822}"), "bookworm"), mirror_in(deb822, "bookworm"));
        let line = "deb [ signed-by=/k.gpg arch=amd64 ] http://one.example/debian bookworm main\n";
        assert_eq!(mirror_in(line, "bookworm").as_deref(), Some("http://one.example/debian"));
        let disc = format!("deb cdrom:[Debian_12]/ bookworm main\n{line}");
        assert_eq!(mirror_in(&disc, "bookworm").as_deref(), Some("http://one.example/debian"));
    }

    #[test]
    fn apt_s_progress_is_read() {
        assert_eq!(progress("dlstatus:3:50.0000:Retrieving file 3 of 9"), Some((0.25, "Retrieving file 3 of 9")));
        assert_eq!(progress("pmstatus:libc6:amd64:50.0:Unpacking"), None);
        assert_eq!(progress("pmstatus:nasm:100.0000:Installed nasm (amd64)"), Some((1.0, "Installed nasm (amd64)")));
        assert_eq!(progress("media-change: x"), None);
    }

    #[test]
    fn the_steps_are_commands_that_can_be_typed() {
        let install = Step::Install { suite: "bookworm-backports", packages: vec!["nasm"] };
        assert_eq!(install.shell(""), "apt-get install -y --no-install-recommends -t bookworm-backports nasm");
        assert!(!Step::Source("deb http://one.example/debian bookworm-backports main".into()).shell("").contains('\''));
    }

    #[test]
    fn complaints_say_what_they_usually_mean() {
        let offline = complaints("Err:1\nW: Failed to fetch http://one.example  Temporary failure\nE: no such release");
        assert!(offline.contains("online") && offline.contains("E: no such release"), "{offline}");
        assert!(complaints("E: Unable to locate package nasm").contains("component main"));
    }
}
