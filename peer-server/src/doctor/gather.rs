//! Asks the machine for the facts.

use super::facts::{Certificate, DataPort, Facts, Grant, Nvidia, Traced, Vulkan};
use crate::cli::{Failure, Options};
use rayloom_frame::{Extent, LayerKind, LayerRequest, digest};
use rayloom_peer::{RendererError, RendererOptions, SharedPort, StunServer, TurnError, TurnServer, list_devices};
use rayloom_renderer::{FrameState, Renderer, TraceJob};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The built-in picture: buildings and size. Every version traces the same, so that hashes of machines compare.
const BUILDINGS_TRIANGLES: usize = 2_000;
const PICTURE: Extent = Extent { width: 96, height: 64 };
/// A datagram on loopback that takes this long is lost.
const DATAGRAM_WITHIN: Duration = Duration::from_secs(2);
/// A STUN or TURN server that says nothing for so long does not get through.
const STUN_WITHIN: Duration = Duration::from_secs(4);
/// Lines of the loader that are kept.
const MOST_LINES: usize = 8;

pub(super) fn facts(options: &Options) -> Result<Facts, Failure> {
    let cache = options.cache()?;
    let turn = options.turn()?;
    let found = options.found_tls(cache.dir.as_deref())?;
    let certificate = found.map(|found| {
        let tls = found.map_err(|error| error.to_string())?;
        Ok(Certificate { pin: tls.pin().to_string(), ends: tls.validity().ends(), fault: tls.validity().fault() })
    });
    let vulkan = vulkan();
    let renderer = options.renderer();
    let trace = vulkan.devices.is_ok().then(|| picture(&renderer).map_err(|error| error.to_string()));
    let before = Instant::now();
    let udp = datagram().map_err(|error| error.to_string());
    Ok(Facts {
        vulkan,
        trace,
        disk_free_bytes: cache.dir.as_deref().map_or(Ok(None), |dir| free(dir).map_err(|error| error.to_string())),
        cache_dir: cache.dir,
        cache_size_bytes: cache.limit_bytes,
        listen: options.listen,
        listens: port(options.listen),
        data: data_ports(options),
        certificate,
        advertise: options.advertise,
        stun: options.stun.as_ref().map(|server| (server.to_string(), ask(options, server.clone()))),
        turn: turn.map(|server| (server.to_string(), relayed(&server))),
        udp,
        socket_limits: number("/proc/sys/net/core/rmem_max").zip(number("/proc/sys/net/core/wmem_max")),
        // A datagram has gone there and back in between.
        monotonic: Instant::now() > before,
        synchronised: Path::new("/run/systemd/timesync/synchronized").exists().then_some(true),
        memory_limit_bytes: control_group("memory.max").and_then(|text| text.trim().parse().ok()),
        cpu_limit: control_group("cpu.max").and_then(|text| cpus(&text)),
    })
}

/// What the loader lists, and where an NVIDIA device may have got lost.
pub(super) fn vulkan() -> Vulkan {
    let devices = list_devices().and_then(|devices| match devices.is_empty() {
        true => Err(RendererError::NoDriver { reason: "the loader works but lists no device".into() }),
        false => Ok(devices),
    });
    let nvidia = nvidia();
    let lost = nvidia.control_device || devices.is_err();
    Vulkan {
        devices: devices.map_err(|error| error.to_string()),
        missing_driver_files: missing_driver_files(),
        loader_says: if lost { loud_loader() } else { Vec::new() },
        nvidia,
    }
}

/// Traces the built-in picture twice.
fn picture(options: &RendererOptions) -> Result<Traced, RendererError> {
    let renderer = Renderer::new(options)?;
    let scene = rayloom_scene::city(BUILDINGS_TRIANGLES, 1);
    let camera = scene.cameras.first().map_or(rayloom_scene::Camera::with_fov(1.0, 1.5), |named| named.camera);
    let layers =
        LayerKind::REAL_TIME.map(|kind| LayerRequest { kind, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES });
    let hash = || {
        let on_device = renderer.create_scene(&scene, &mut |_| ())?;
        let frame = Arc::new(on_device.frame(&FrameState::default())?);
        let (tile, _) = renderer.trace(&frame, &TraceJob::whole_view(PICTURE, camera, &layers))?;
        Ok::<_, RendererError>(digest(&tile).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    Ok(Traced { device: renderer.choice().to_owned(), first: hash()?, second: hash()? })
}

/// Free bytes for this user where the cache is or will be; an error where nothing can be written.
fn free(dir: &Path) -> std::io::Result<Option<u64>> {
    std::fs::create_dir_all(dir)?;
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)?;
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(dir)?;
        Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
    #[cfg(not(unix))]
    Ok(None)
}

fn port(listen: SocketAddr) -> Grant {
    granted(TcpListener::bind(listen).map(drop))
}

/// The ports of sessions, where they are not signalling's own.
fn data_ports(options: &Options) -> Vec<DataPort> {
    let ip = data_address(options);
    let (listen, udp) = (options.listen.port(), options.udp_port.unwrap_or(options.listen.port()));
    let tcp = options.tcp_port.unwrap_or(udp);
    let mut ports = vec![DataPort {
        protocol: "UDP",
        flag: "--udp-port",
        port: udp,
        grant: granted(UdpSocket::bind((ip, udp)).map(drop)),
    }];
    if tcp != listen {
        let grant = port((ip, tcp).into());
        ports.push(DataPort { protocol: "TCP", flag: "--tcp-port", port: tcp, grant });
    }
    ports
}

/// Where data comes in: everywhere where signalling may be behind something that data does not pass through.
fn data_address(options: &Options) -> IpAddr {
    match options.advertise.is_some() || options.stun.is_some() {
        true => Ipv4Addr::UNSPECIFIED.into(),
        false => options.listen.ip(),
    }
}

/// Asks the STUN server from the port that sessions have.
fn ask(options: &Options, server: StunServer) -> Result<SocketAddr, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let port = SharedPort::bind(&[data_address(options)], options.udp_port.unwrap_or(options.listen.port()), None);
        let port = port.map_err(|error| error.to_string())?.with_stun(server);
        let told = tokio::time::timeout(STUN_WITHIN, port.reflexive_address()).await.ok().flatten();
        told.ok_or(format!("no answer within {} s", STUN_WITHIN.as_secs()))
    })
}

/// Asks the TURN server for an allocation, and gives it back.
fn relayed(server: &TurnServer) -> Result<SocketAddr, TurnError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| TurnError::Local { reason: error.to_string() })?;
    runtime.block_on(async {
        let probed = tokio::time::timeout(STUN_WITHIN, server.probe()).await;
        probed.unwrap_or(Err(TurnError::Silent)).map(|(relayed, _)| relayed)
    })
}

fn granted(bound: std::io::Result<()>) -> Grant {
    match bound {
        Ok(()) => Grant::Free,
        Err(error) if error.kind() == ErrorKind::AddrInUse => Grant::InUse,
        Err(error) => Grant::Refused(error.to_string()),
    }
}

fn datagram() -> std::io::Result<()> {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    receiver.set_read_timeout(Some(DATAGRAM_WITHIN))?;
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.send_to(b"rayloom", receiver.local_addr()?)?;
    receiver.recv(&mut [0; 16]).map(|_| ())
}

fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A limit of this process's control group (version 2), or of the one that a container sees as its root.
fn control_group(file: &str) -> Option<String> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/');
    let root = Path::new("/sys/fs/cgroup");
    std::fs::read_to_string(root.join(own).join(file)).or_else(|_| std::fs::read_to_string(root.join(file))).ok()
}

/// `QUOTA PERIOD` in microseconds; the quota may be `max`.
fn cpus(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then_some(quota / period)
}

fn missing_driver_files() -> Vec<(String, PathBuf)> {
    let named =
        ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    named
        .flat_map(|(name, list)| std::env::split_paths(&list).map(|file| (name.to_owned(), file)).collect::<Vec<_>>())
        .filter(|(_, file)| !file.as_os_str().is_empty() && !file.exists())
        .collect()
}

fn nvidia() -> Nvidia {
    let exists = |path: &&str| Path::new(path).exists();
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
        "/usr/local/nvidia/lib64",
        "/usr/lib/x86_64-linux-gnu/nvidia/current",
        "/run/opengl-driver/lib",
    ];
    let own = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let own: Vec<PathBuf> = std::env::split_paths(&own).filter(|folder| !folder.as_os_str().is_empty()).collect();
    let mut libraries = folders.iter().map(PathBuf::from).chain(own).map(|folder| folder.join("libGLX_nvidia.so.0"));
    let driver_files = ["/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
    let mut driver_files = driver_files.iter().map(|folder| Path::new(folder).join("nvidia_icd.json"));
    let visible = std::env::var("NVIDIA_VISIBLE_DEVICES").ok();
    let capabilities = std::env::var("NVIDIA_DRIVER_CAPABILITIES").ok();
    let gpus = std::fs::read_dir("/proc/driver/nvidia/capabilities").into_iter().flatten().flatten();
    let cut = |gpu: PathBuf| {
        std::fs::read_dir(gpu.join("mig")).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("gi")))
        })
    };
    Nvidia {
        control_device: exists(&"/dev/nvidiactl"),
        library: libraries.find(|library| library.exists()),
        driver_file: driver_files.find(|file| file.exists()),
        in_container: visible.is_some()
            || capabilities.is_some()
            || ["/.dockerenv", "/run/.containerenv"].iter().any(&exists),
        instances: visible.is_some_and(|name| name.starts_with("MIG-")) || gpus.map(|gpu| gpu.path()).any(cut),
        musl: ["/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1"].iter().any(exists),
        capabilities,
    }
}

/// The loader's own errors: why it could not open a driver. Asked of a process of its own, since it writes to stderr.
fn loud_loader() -> Vec<String> {
    let Ok(own) = std::env::current_exe() else { return Vec::new() };
    let mut command = Command::new(own);
    command.arg("--list-devices").env("VK_LOADER_DEBUG", "error,warn").stdin(Stdio::null());
    let Ok(output) = command.output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().filter(|line| line.contains("ERROR") || line.contains("WARNING"));
    lines.take(MOST_LINES).map(|line| line.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_of_control_groups() {
        assert_eq!(cpus("150000 100000\n"), Some(1.5));
        for none in ["max 100000", "", "1", "1 0", "x y"] {
            assert_eq!(cpus(none), None, "{none}");
        }
    }

    #[test]
    fn a_port_that_is_held_is_in_use() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(port(held.local_addr().unwrap()), Grant::InUse);
        assert!(
            matches!(port(SocketAddr::from(([192, 0, 2, 1], 0))), Grant::Refused(_)),
            "not an address of this machine"
        );
    }
}
