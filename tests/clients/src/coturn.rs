//! coturn, the TURN server that most of the web uses, as a process of the test's own.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What it knows clients by.
pub const TURN_USER: &str = "rayloom";
/// And their password.
pub const TURN_PASSWORD: &str = "a-password-for-tests";
/// Far more than a start takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Ports that somebody takes between the choice and the start.
const ATTEMPTS: u32 = 5;

/// A server; killed and its folder removed when dropped.
pub struct Coturn {
    listening: IpAddr,
    port: u16,
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    folder: PathBuf,
}

impl Coturn {
    /// Whether it is installed.
    pub fn is_installed() -> bool {
        Command::new("turnserver").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// Listens at one address, on a port that is free here, and relays from another one. `through` are the first words of its
    /// command line, to run it in a network of its own.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(listening: IpAddr, relaying: IpAddr, through: &[&str]) -> Coturn {
        for _ in 0..ATTEMPTS {
            let free =
                UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback is there");
            if let Some(started) = Coturn::start_at(listening, free.port(), relaying, through) {
                return started;
            }
        }
        panic!("coturn does not start on any of {ATTEMPTS} ports");
    }

    /// The same on a certain port; `None` where that is taken.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn start_at(listening: IpAddr, port: u16, relaying: IpAddr, through: &[&str]) -> Option<Coturn> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rayloom-coturn-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the system's folder for such things can be written");
        let words = [through, &["turnserver"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--lt-cred-mech", "--verbose"]);
        command.args(["--log-file", "stdout", "--simple-log", "--realm", "rayloom.test", "--allow-loopback-peers"]);
        command.args(["--user", &format!("{TURN_USER}:{TURN_PASSWORD}"), "--listening-port", &port.to_string()]);
        command.args(["--listening-ip", &listening.to_string(), "--relay-ip", &relaying.to_string()]);
        command.arg("--userdb").arg(folder.join("users")).arg("--pidfile").arg(folder.join("pid"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("coturn is installed");
        let (sender, lines) = channel();
        let output = child.stdout.take().expect("it is piped");
        std::thread::spawn(move || read(output, &sender));
        let mut server = Coturn { listening, port, child, lines, said: Vec::new(), folder };
        // Threads of its own serve both.
        let both = ["UDP listener opened on:", "TCP listener opened on :"];
        both.iter().all(|words| server.says(&format!("{words} {}:{port}", server.listening))).then_some(server)
    }

    /// Its URL, without a transport.
    pub fn url(&self) -> String {
        format!("turn:{}:{}", self.listening, self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True once it has said so; false where it has ended instead.
    ///
    /// # Panics
    /// When it does neither for a minute.
    pub fn says(&mut self, words: &str) -> bool {
        if self.said.iter().any(|line| line.contains(words)) {
            return true;
        }
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return false,
                Err(_) => panic!("coturn has not said {words:?}, but:\n{}", self.said.join("\n")),
            }
            if self.said.last().is_some_and(|line| line.contains(words)) {
                return true;
            }
        }
    }

    /// How often it has said so up to now.
    pub fn count(&mut self, words: &str) -> usize {
        self.said.extend(self.lines.try_iter());
        self.said.iter().filter(|line| line.contains(words)).count()
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
        if std::thread::panicking() {
            self.said.extend(self.lines.try_iter());
            eprintln!("---- coturn said:\n{}", self.said.join("\n"));
        }
    }
}

fn read(output: ChildStdout, lines: &Sender<String>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if lines.send(line).is_err() {
            return;
        }
    }
}
