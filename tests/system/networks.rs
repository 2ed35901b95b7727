//! Machines on one machine: network namespaces joined by cables, and processes in them.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// Namespaces, with cables between them; gone when dropped.
pub(crate) struct Networks {
    names: Vec<String>,
    cables: usize,
}

impl Networks {
    /// `None` where this process may not make them.
    pub(crate) fn new<const COUNT: usize>(sides: [&str; COUNT]) -> Option<Networks> {
        let names = sides.map(|side| format!("rayloom-{side}-{}", std::process::id())).to_vec();
        let networks = Networks { names, cables: 0 };
        let permitted =
            networks.names.iter().all(|name| ip(&["netns", "add", name]) && ip(&["netns", "exec", name, "true"]));
        permitted.then(|| {
            networks.names.iter().for_each(|name| assert!(ip(&["-n", name, "link", "set", "lo", "up"])));
            networks
        })
    }

    /// Lays a cable between two, with an address for each end.
    pub(crate) fn lay_cable(&mut self, sides: [usize; 2], addresses: [&str; 2]) {
        let (cable, [here, there]) = (format!("cable{}", self.cables), sides.map(|side| &self.names[side]));
        assert!(ip(&["link", "add", &cable, "netns", here, "type", "veth", "peer", "name", &cable, "netns", there]));
        for (name, address) in [here, there].into_iter().zip(addresses) {
            assert!(ip(&["-n", name, "address", "add", &format!("{address}/30"), "dev", &cable]));
            assert!(ip(&["-n", name, "link", "set", &cable, "up"]));
        }
        self.cables += 1;
    }

    /// Sends what no cable of one of them leads to by another one's address.
    pub(crate) fn route_by(&self, side: usize, address: &str) {
        assert!(ip(&["-n", &self.names[side], "route", "add", "default", "via", address]));
    }

    /// Drops what leaves one of them and is of a kind, in the words of `ip rule`.
    pub(crate) fn drop_packets(&self, side: usize, kind: &[&str]) {
        assert!(ip(&[&["-n", &self.names[side], "rule", "add"], kind, &["blackhole", "pref", "1"]].concat()));
    }

    /// The first words of a command that runs in one of them.
    pub(crate) fn inside(&self, side: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[side]]
    }

    /// A command that runs in one of them.
    pub(crate) fn command(&self, side: usize, program: PathBuf) -> Command {
        let [ip, inside @ ..] = self.inside(side);
        let mut command = Command::new(ip);
        command.args(inside).arg(program).stdout(Stdio::piped());
        command
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in &self.names {
            // Where they could not be made there is nothing to remove.
            ip(&["netns", "delete", name]);
        }
    }
}

/// Runs `ip`; true where it did as it was told.
fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A process (`ip netns exec` becomes what it runs) and its output; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Running { child, output }
    }

    /// The rest of the next line that holds `words`.
    pub(crate) fn line_with(&mut self, words: &str) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "no line with {words:?} in: {said}");
            if let Some((_, rest)) = line.split_once(words) {
                return rest.to_owned();
            }
            said += &line;
        }
    }

    /// Ends its input, and waits until it has ended well by itself.
    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
