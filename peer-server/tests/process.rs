//! The real binary: it traces what the library traces, and says what is wrong when it can't start.

mod engine;

use engine::{Engine, frame, packed_city, task};
use rayloom_frame::{LayerKind, LayerRequest};
use rayloom_peer::{ListenConfig, PeerConfig, PeerError, PeerServer, RendererOptions};
use rayloom_transport::webrtc::{DialOptions, dial};
use rayloom_transport::{CertificatePin, TransportError};
use rayloom_wire::{FrameTasks, LayerSpec, Message, RefusalCode, SceneStage};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const TOKEN: &str = "a-token-for-tests";

/// A running peer; killed when the test ends early.
struct Peer {
    child: Child,
    url: String,
    /// Where it serves TLS.
    pin: Option<CertificatePin>,
    folder: PathBuf,
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rayloom-peer"));
    command.env("RAYLOOM_TOKEN", TOKEN).env("LP_NUM_THREADS", "1");
    command
}

impl Peer {
    /// Starts one on a free port and waits for its ready line.
    fn start(name: &str) -> Peer {
        Peer::start_with(name, "127.0.0.1:0", &[])
    }

    fn start_with(name: &str, listen: &str, more: &[&str]) -> Peer {
        let folder = std::env::temp_dir().join(format!("rayloom-process-{name}-{}", std::process::id()));
        let mut child = command()
            .args(["--allow-cpu", "--listen", listen, "--cache-dir"])
            .arg(&folder)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut line, mut pin) = (String::new(), None);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        if let Some(text) = line.strip_prefix("pin ") {
            pin = Some(text.split(' ').next().unwrap().parse().unwrap());
            line.clear();
            output.read_line(&mut line).unwrap();
        }
        let url = line.strip_prefix("rayloom-peer ready on ").and_then(|rest| rest.split(' ').next());
        let url = url.unwrap_or_else(|| panic!("a ready line was expected: {line:?}")).to_owned();
        Peer { child, url, pin, folder }
    }

    async fn dial(&self) -> Engine {
        let options = DialOptions { tls_pin: self.pin, ..DialOptions::default() };
        Engine::over(dial(&self.url, Some(TOKEN), &options).await.unwrap())
    }

    fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Everything at once: all layers, primary hits, filter.
fn full_frame() -> FrameTasks {
    let mut tasks = frame(1, 5, vec![task(1)]);
    tasks.layers = LayerKind::REAL_TIME
        .map(|kind| LayerSpec {
            request: LayerRequest { kind, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES },
            deadline_ms: 100,
        })
        .into();
    tasks.primary = true;
    tasks.filter_radius = 4;
    tasks
}

/// Exit code and stderr of a peer that does not start.
fn fails(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_traces_the_same_bits_as_the_library_and_ends_when_told() {
    let mut peer = Peer::start("same");
    let scene = packed_city();
    let mut remote = peer.dial().await;
    let info = remote.greet().await;
    assert!(info.rays_per_second > 0.0);
    assert_eq!(remote.provide(1, &scene).await.1, SceneStage::Ready);
    remote.send(Message::FrameTasks(full_frame())).await;
    let (remote_slices, remote_done) = remote.tile(1).await;

    let renderer = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
    let server = tokio::task::spawn_blocking(|| PeerServer::new(PeerConfig { renderer, ..PeerConfig::default() }));
    let server = server.await.unwrap().unwrap();
    assert_eq!(server.info().class, info.class, "one device is one class");
    let mut embedded = Engine::greeted(&server).await;
    assert_eq!(embedded.provide(1, &scene).await.1, SceneStage::Ready);
    embedded.send(Message::FrameTasks(full_frame())).await;
    let (slices, done) = embedded.tile(1).await;

    assert_eq!(remote_done.digest, done.digest);
    assert_eq!(remote_done.block_rays, done.block_rays);
    assert_eq!(remote_slices, slices);
    assert!(done.block_rays.iter().any(|rays| *rays > 0), "something was traced");

    peer.terminate();
    assert_eq!(remote.refused().await.code, RefusalCode::Shutdown);
    assert_eq!(peer.child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_and_a_taken_port_are_named() {
    let peer = Peer::start("token");
    let Err(error) = dial(&peer.url, Some("wrong"), &DialOptions::default()).await else {
        panic!("the token is wrong")
    };
    assert!(matches!(error, TransportError::Unauthorized { .. }), "{error}");
    let addr = peer.url.strip_prefix("http://").unwrap();
    let (code, text) = fails(command().args(["--allow-cpu", "--cache-dir", "none", "--listen", addr]));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(addr) && text.contains("--listen"), "{text}");
    let mut answer = String::new();
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /readyz HTTP/1.0\r\n\r\n").unwrap();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("ready"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_the_rule_beyond_this_machine_and_its_pin_stays() {
    let mut peer = Peer::start_with("tls", "0.0.0.0:0", &[]);
    let pin = peer.pin.expect("a pin is printed");
    peer.url = peer.url.replace("0.0.0.0", "127.0.0.1");
    assert!(peer.url.starts_with("https://"), "{}", peer.url);
    assert!(peer.dial().await.greet().await.rays_per_second > 0.0);
    peer.terminate();
    peer.child.wait().unwrap();
    let file = peer.folder.join("tls.pem");
    let again = rayloom_peer::kept_certificate(Some(&peer.folder)).unwrap();
    assert_eq!(again.pin(), pin, "the next start has the same");
    // The operator's own, on loopback.
    let (certificate, key) = (["--tls-cert", file.to_str().unwrap()], ["--tls-key", file.to_str().unwrap()]);
    let own = Peer::start_with("tls-own", "127.0.0.1:0", &[certificate, key].concat());
    assert_eq!(own.pin, Some(pin));
    own.dial().await.greet().await;
}

#[test]
fn plain_http_and_tls_exclude_each_other() {
    let (code, text) = fails(command().args(["--insecure-http", "--tls"]));
    assert_eq!(code, Some(2), "{text}");
    let (code, text) = fails(command().args(["--tls-cert", "/nonexistent/chain.pem"]));
    assert!(code == Some(2) && text.contains("--tls-key"), "{text}");
    let files = ["--tls-cert", "/nonexistent/chain.pem", "--tls-key", "/nonexistent/key.pem"];
    let (code, text) = fails(command().args(["--cache-dir", "none"]).args(files));
    assert!(code == Some(2) && text.contains("/nonexistent/chain.pem"), "{text}");
}

#[test]
fn a_port_in_use_is_named_with_its_flag_and_one_advice() {
    let held = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = held.local_addr().unwrap();
    let trace = ["--allow-cpu", "--cache-dir", "none", "--listen"];
    let (code, text) = fails(command().args(trace).arg(addr.to_string()));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(&format!("UDP {addr} is in use")) && text.contains("(--udp-port)"), "{text}");
    assert_eq!(text.matches("choose another").count(), 1, "{text}");
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = held.local_addr().unwrap();
    let (code, text) = fails(command().args(trace).arg(addr.to_string()));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(&format!("TCP {addr} is in use")) && text.contains("(--listen)"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_beyond_this_machine_needs_a_word() {
    let renderer = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
    let server = tokio::task::spawn_blocking(|| PeerServer::new(PeerConfig { renderer, ..PeerConfig::default() }));
    let addr = "0.0.0.0:0".parse().unwrap();
    let refused = server
        .await
        .unwrap()
        .unwrap()
        .listen(ListenConfig::new(addr, TOKEN.into()))
        .await
        .err()
        .expect("nobody asked for plain HTTP");
    assert!(matches!(refused, PeerError::InsecureHttp(named) if named == addr), "{refused}");
    assert!(refused.to_string().contains("--tls"), "{refused}");
}

#[test]
fn a_machine_without_vulkan_is_told_what_to_install() {
    let nowhere = "/nonexistent/driver.json";
    let (code, text) = fails(command().env("VK_DRIVER_FILES", nowhere).env("VK_ICD_FILENAMES", nowhere));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("mesa-vulkan-drivers"), "{text}");
}

#[test]
fn a_cpu_needs_to_be_allowed() {
    let (_, listed) = {
        let output = command().arg("--list-devices").output().unwrap();
        (output.status, String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let cpu = listed.lines().find(|line| line.contains("(Cpu,")).expect("the machines that run tests have lavapipe");
    let number = cpu.split(':').next().unwrap();
    let (code, text) = fails(command().args(["--device", number, "--cache-dir", "none"]));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("--allow-cpu"), "{text}");
}
