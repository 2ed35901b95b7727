//! Peer processes: started on free ports of loopback, waited for, and gone with the test whatever becomes of it.

use rayloom::PeerAddress;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What engines present to these peers.
pub(crate) const TOKEN: &str = "a-token-for-tests";

/// Several peer processes.
pub(crate) struct Fleet {
    pub(crate) peers: Vec<Peer>,
}

/// One `rayloom-peer`; killed and its folder removed when dropped.
pub(crate) struct Peer {
    pub(crate) url: String,
    child: Child,
    /// Its scene cache and its log.
    folder: PathBuf,
}

impl Fleet {
    /// Starts so many at once and waits until each is ready.
    pub(crate) fn start(count: usize) -> Fleet {
        let starting: Vec<Starting> = (0..count).map(|_| Starting::new(fresh_folder(), "127.0.0.1:0", &[])).collect();
        Fleet { peers: starting.into_iter().map(Starting::ready).collect() }
    }

    /// Their addresses, with the right token.
    pub(crate) fn addresses(&self) -> Vec<PeerAddress> {
        self.peers.iter().map(Peer::address).collect()
    }
}

impl Peer {
    pub(crate) fn start() -> Peer {
        Peer::start_with(&[])
    }

    /// With more on its command line.
    pub(crate) fn start_with(arguments: &[&str]) -> Peer {
        Starting::new(fresh_folder(), "127.0.0.1:0", arguments).ready()
    }

    pub(crate) fn address(&self) -> PeerAddress {
        PeerAddress { url: self.url.clone(), token: Some(TOKEN.into()), ..PeerAddress::default() }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no goodbye.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP: alive for the kernel, dead for everyone else.
    pub(crate) fn stop(&self) {
        signal(&self.child, "STOP");
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self) {
        signal(&self.child, "CONT");
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        signal(&self.child, "TERM");
        self.wait()
    }

    /// Waits until it ends by itself: the exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Starts a dead one again: the same port, the same cache.
    pub(crate) fn restart(&mut self) {
        let addr = self.url.strip_prefix("http://").unwrap().to_owned();
        let folder = std::mem::take(&mut self.folder);
        *self = Starting::new(folder, &addr, &[]).ready();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be dead already, and its folder given to its successor.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.folder.as_os_str().is_empty() {
            return;
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(log_file(&self.folder)).unwrap_or_default();
            eprintln!("---- {} said:\n{log}", self.url);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The binary with settings for tests, nothing on its command line yet.
pub(crate) fn command() -> Command {
    let mut command = Command::new(binary("rayloom-peer"));
    command.env("RAYLOOM_TOKEN", TOKEN).env("LP_NUM_THREADS", "1").env("RAYLOOM_LOG", "info,webrtc=off,rtc=off");
    command
}

/// What this workspace builds, in the folder above this test's own.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "{} is not there: cargo build --workspace first", path.display());
    path
}

struct Starting {
    peer: Peer,
}

impl Starting {
    fn new(folder: PathBuf, listen: &str, more: &[&str]) -> Starting {
        let log = File::options().create(true).append(true).open(log_file(&folder)).unwrap();
        let child = command()
            .args(["--allow-cpu", "--listen", listen, "--cache-dir"])
            .arg(&folder)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        Starting { peer: Peer { url: String::new(), child, folder } }
    }

    fn ready(mut self) -> Peer {
        let mut line = String::new();
        BufReader::new(self.peer.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("rayloom-peer ready on ").and_then(|rest| rest.split(' ').next());
        self.peer.url = url.unwrap_or_else(|| panic!("a ready line was expected: {line:?}")).to_owned();
        self.peer
    }
}

/// A new folder that no other test has.
pub(crate) fn fresh_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("rayloom-system-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("peer.log")
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success(), "SIG{name} could not be sent");
}
