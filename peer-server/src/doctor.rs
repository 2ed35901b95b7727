//! `rayloom-peer doctor`: what is wrong with this machine, why, and the exact fix. Facts in, findings out.

mod device;
mod facts;
mod gather;
mod network;

use crate::cli::{Failure, Options};
use device::device_findings;
use facts::{Facts, Grant};
use std::fmt;
use std::process::ExitCode;

/// Socket buffers that transport asks for, each way.
const SOCKET_BUFFER_BYTES: u64 = 4 << 20;
/// With less free than this, the cache holds hardly a scene.
const LITTLE_DISK_BYTES: u64 = 1 << 30;
/// With less than this, a scene of a game doesn't unpack.
const LITTLE_MEMORY_BYTES: u64 = 2 << 30;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Ok,
    Warning,
    Failure,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    check: &'static str,
    level: Level,
    /// What is so, and why.
    says: String,
    /// What to do about it.
    fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, says: impl Into<String>) -> Finding {
        Finding { check, level: Level::Ok, says: says.into(), fix: None }
    }

    fn warning(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { check, level: Level::Warning, says: says.into(), fix: Some(fix.into()) }
    }

    fn failure(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { check, level: Level::Failure, says: says.into(), fix: Some(fix.into()) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {}: {}", self.level.name(), self.check, self.says)?;
        match &self.fix {
            Some(fix) => write!(f, "; fix: {fix}"),
            None => Ok(()),
        }
    }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Failure => "failure",
        }
    }
}

/// Checks the machine with these settings and prints what it finds.
pub(crate) fn run(options: &Options, json: bool) -> Result<ExitCode, Failure> {
    let findings = findings(&gather::facts(options)?);
    let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    if json {
        println!("{}", as_json(&findings, worst));
    } else {
        findings.iter().for_each(|finding| println!("{finding}"));
    }
    Ok(ExitCode::from(u8::from(worst == Level::Failure)))
}

/// Says on stderr what `doctor` finds about devices, when the start had none; what the loader says is the error's to tell.
pub(crate) fn explain_device() {
    let found = device_findings(&gather::vulkan());
    for finding in found.iter().filter(|finding| finding.level != Level::Ok && finding.check != "vulkan") {
        eprintln!("rayloom-peer: {finding}");
    }
}

fn as_json(findings: &[Finding], worst: Level) -> serde_json::Value {
    let findings: Vec<_> = findings
        .iter()
        .map(|f| serde_json::json!({"check": f.check, "level": f.level.name(), "says": f.says, "fix": f.fix}))
        .collect();
    serde_json::json!({"level": worst.name(), "findings": findings})
}

/// All findings, in the order in which a peer needs things.
fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = device_findings(&facts.vulkan);
    found.extend(facts.trace.as_ref().map(trace));
    found.push(disk(facts));
    found.push(port(facts));
    found.extend(network::findings(facts));
    found.push(match &facts.udp {
        Ok(()) => Finding::ok("udp", "a datagram went through loopback"),
        Err(reason) => Finding::failure(
            "udp",
            format!("no datagram goes through loopback: {reason}"),
            "bring loopback up (`ip link set lo up`) and let UDP on it through the firewall",
        ),
    });
    found.extend(facts.socket_limits.map(sockets));
    found.push(match facts.monotonic {
        true => Finding::ok("clock", "the monotonic clock runs"),
        false => Finding::failure(
            "clock",
            "the monotonic clock stands still",
            "restart the machine; on a virtual one choose another clock source of its host",
        ),
    });
    if facts.synchronised == Some(true) {
        found.push(Finding::ok("time", "the system's time is synchronised"));
    }
    found.extend(facts.memory_limit_bytes.map(memory));
    found.extend(facts.cpu_limit.map(cpus));
    found
}

fn trace(traced: &Result<facts::Traced, String>) -> Finding {
    match traced {
        Ok(traced) if traced.first != traced.second => Finding::failure(
            "picture",
            format!(
                "{} traced the same picture twice with other bits ({}, {})",
                traced.device, traced.first, traced.second
            ),
            "update the driver; if the device is overclocked, or its memory reports errors, stop that: engines would take \
             this peer's work for forged",
        ),
        Ok(traced) => Finding::ok("picture", format!("BLAKE3 {}, twice, by {}", traced.first, traced.device)),
        Err(reason) => Finding::failure(
            "picture",
            format!("the device can't be used: {reason}"),
            "see the cause; --list-devices shows what there is, and --device chooses",
        ),
    }
}

fn disk(facts: &Facts) -> Finding {
    let Some(dir) = &facts.cache_dir else {
        return Finding::ok("disk", "scenes are kept in memory only (--cache-dir none)");
    };
    let dir = dir.display();
    match &facts.disk_free_bytes {
        Err(reason) => Finding::failure(
            "disk",
            format!("the cache folder {dir} can't be written: {reason}"),
            format!("`mkdir -p {dir} && chown $(id -u) {dir}`, or choose another one (--cache-dir)"),
        ),
        Ok(None) => Finding::ok("disk", format!("{dir} can be written")),
        Ok(Some(free)) if *free < LITTLE_DISK_BYTES => Finding::failure(
            "disk",
            format!("{} free for the cache {dir}", gib(*free)),
            "free some space, or choose a folder on another disk (--cache-dir)",
        ),
        Ok(Some(free)) if *free < facts.cache_size_bytes => Finding::warning(
            "disk",
            format!("{} free for the cache {dir}, which may grow to {}", gib(*free), gib(facts.cache_size_bytes)),
            format!("free some space, or bound the cache: --cache-size {}MiB", (free / 2) >> 20),
        ),
        Ok(Some(free)) => Finding::ok("disk", format!("{} free for the cache {dir}", gib(*free))),
    }
}

fn port(facts: &Facts) -> Finding {
    let listen = facts.listen;
    match &facts.listens {
        Grant::Free => Finding::ok("port", format!("{listen} is free")),
        Grant::InUse => Finding::failure(
            "port",
            format!("{listen} is in use, maybe by another peer"),
            format!(
                "end what listens there (`ss -ltnp 'sport = :{}'` names it), or choose another port (--listen)",
                listen.port()
            ),
        ),
        Grant::Refused(reason) => Finding::failure(
            "port",
            format!("nothing can listen at {listen}: {reason}"),
            "choose an address of this machine and a port above 1023 (--listen)",
        ),
    }
}

fn sockets((receive, send): (u64, u64)) -> Finding {
    if receive.min(send) >= SOCKET_BUFFER_BYTES {
        return Finding::ok("sockets", "UDP buffers of 4 MiB are allowed");
    }
    Finding::warning(
        "sockets",
        format!(
            "UDP buffers of at most {receive} (receive) and {send} (send) bytes: bursts are lost, throughput stalls"
        ),
        format!(
            "on the host, `sysctl -w net.core.rmem_max={SOCKET_BUFFER_BYTES} net.core.wmem_max={SOCKET_BUFFER_BYTES}` \
             (and in /etc/sysctl.d/ to keep it)"
        ),
    )
}

fn memory(limit: u64) -> Finding {
    match limit < LITTLE_MEMORY_BYTES {
        true => Finding::warning(
            "memory",
            format!("the control group allows {}: larger scenes end the process", gib(limit)),
            "raise the limit (systemd: MemoryMax=, docker: --memory)",
        ),
        false => Finding::ok("memory", format!("the control group allows {}", gib(limit))),
    }
}

fn cpus(limit: f64) -> Finding {
    match limit < 1.0 {
        true => Finding::warning(
            "cpus",
            format!("the control group allows {limit:.2} CPUs: results are coded late"),
            "raise the limit to 2 or more (systemd: CPUQuota=200%, docker: --cpus 2)",
        ),
        false => Finding::ok("cpus", format!("the control group allows {limit:.2} CPUs")),
    }
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
}

#[cfg(test)]
mod tests {
    use super::facts::{Vulkan, healthy};
    use super::*;

    /// The findings that are not ok, as lines.
    fn faults(change: impl FnOnce(&mut Facts)) -> String {
        let mut facts = healthy();
        change(&mut facts);
        let lines = findings(&facts).into_iter().filter(|f| f.level != Level::Ok).map(|f| f.to_string());
        lines.collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    fn says(faults: &str, level: Level, parts: &[&str]) {
        assert_eq!(faults.lines().count(), 1, "{faults}");
        assert!(faults.starts_with(level.name()), "{faults}");
        parts.iter().for_each(|part| assert!(faults.contains(part), "{part:?} in {faults}"));
    }

    #[test]
    fn a_healthy_machine_has_no_faults() {
        assert_eq!(faults(|_| ()), "");
    }

    #[test]
    fn small_socket_limits_give_the_sysctl_line() {
        let found = faults(|facts| facts.socket_limits = Some((212_992, 212_992)));
        says(&found, Level::Warning, &["212992", "sysctl -w net.core.rmem_max=4194304 net.core.wmem_max=4194304"]);
    }

    #[test]
    fn a_full_disk_is_a_failure_and_a_small_one_a_warning() {
        let full = faults(|facts| facts.disk_free_bytes = Ok(Some(10 << 20)));
        says(&full, Level::Failure, &["0.0 GiB free", "--cache-dir"]);
        let small = faults(|facts| facts.disk_free_bytes = Ok(Some(8 << 30)));
        says(&small, Level::Warning, &["8.0 GiB free", "--cache-size 4096MiB"]);
        let refused = faults(|facts| facts.disk_free_bytes = Err("Permission denied".into()));
        says(&refused, Level::Failure, &["Permission denied", "chown"]);
    }

    #[test]
    fn a_port_in_use_is_a_failure() {
        let used = faults(|facts| facts.listens = Grant::InUse);
        says(&used, Level::Failure, &["127.0.0.1:4700 is in use", "sport = :4700", "--listen"]);
        let refused = faults(|facts| facts.listens = Grant::Refused("Permission denied".into()));
        says(&refused, Level::Failure, &["Permission denied", "1023"]);
    }

    #[test]
    fn pictures_must_have_the_same_bits() {
        let other = faults(|facts| {
            if let Some(Ok(traced)) = &mut facts.trace {
                traced.second = "11".into();
            }
        });
        says(&other, Level::Failure, &["other bits", "update the driver"]);
    }

    #[test]
    fn tight_control_groups_are_warned_of() {
        says(&faults(|f| f.memory_limit_bytes = Some(1 << 30)), Level::Warning, &["1.0 GiB", "MemoryMax="]);
        says(&faults(|f| f.cpu_limit = Some(0.5)), Level::Warning, &["0.50 CPUs", "CPUQuota="]);
    }

    #[test]
    fn machines_read_the_same() {
        let mut facts = healthy();
        facts.vulkan = Vulkan { devices: Err("no Vulkan loader".into()), ..facts.vulkan };
        let found = findings(&facts);
        let json = as_json(&found, Level::Failure);
        assert_eq!(json["level"], "failure");
        assert_eq!(json["findings"].as_array().map(Vec::len), Some(found.len()));
        assert_eq!(json["findings"][0]["level"], "failure");
    }
}
