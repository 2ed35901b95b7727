//! What a machine is like, as far as a peer depends on it.

use rayloom_peer::{Advertised, DeviceReport, TurnError};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything that findings are made of.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) vulkan: Vulkan,
    /// A picture that was traced twice, or why none was; `None` where there is no device to try.
    pub(super) trace: Option<Result<Traced, String>>,
    /// `None` = in memory.
    pub(super) cache_dir: Option<PathBuf>,
    pub(super) cache_size_bytes: u64,
    /// Free for this user, where the system tells; or why the folder can't be written.
    pub(super) disk_free_bytes: Result<Option<u64>, String>,
    pub(super) listen: SocketAddr,
    pub(super) listens: Grant,
    /// The ports of sessions: protocol, flag, number, and whether it may be had.
    pub(super) data: Vec<DataPort>,
    /// The certificate that a start would find; `None` where there is none to find.
    pub(super) certificate: Option<Result<Certificate, String>>,
    pub(super) advertise: Option<Advertised>,
    /// The STUN server, and the address that it told, or why none.
    pub(super) stun: Option<(String, Result<SocketAddr, String>)>,
    /// The TURN server, and the address that it would relay from, or why none.
    pub(super) turn: Option<(String, Result<SocketAddr, TurnError>)>,
    pub(super) udp: Result<(), String>,
    /// Most bytes of a socket's buffer: receive, send.
    pub(super) socket_limits: Option<(u64, u64)>,
    pub(super) monotonic: bool,
    /// Whether the system's time follows NTP, where that is known.
    pub(super) synchronised: Option<bool>,
    pub(super) memory_limit_bytes: Option<u64>,
    pub(super) cpu_limit: Option<f64>,
}

/// Whether the port may be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    Free,
    InUse,
    Refused(String),
}

/// A port that sessions need.
#[derive(Clone, Debug)]
pub(super) struct DataPort {
    pub(super) protocol: &'static str,
    pub(super) flag: &'static str,
    pub(super) port: u16,
    pub(super) grant: Grant,
}

/// What engines see of the peer over TLS.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) pin: String,
    pub(super) ends: String,
    /// Why its dates are wrong now.
    pub(super) fault: Option<String>,
}

/// Two runs of the same work.
#[derive(Clone, Debug)]
pub(super) struct Traced {
    pub(super) device: String,
    /// BLAKE3, hexadecimal.
    pub(super) first: String,
    pub(super) second: String,
}

/// Vulkan, and what NVIDIA's driver needs around it.
#[derive(Clone, Debug)]
pub(super) struct Vulkan {
    /// What the loader lists, or why nothing.
    pub(super) devices: Result<Vec<DeviceReport>, String>,
    /// Files that `VK_DRIVER_FILES` or `VK_ICD_FILENAMES` name and that are not there: the variable and the file.
    pub(super) missing_driver_files: Vec<(String, PathBuf)>,
    /// What the loader complains of when asked to be loud; asked only where something is missing.
    pub(super) loader_says: Vec<String>,
    pub(super) nvidia: Nvidia,
}

/// What there is of NVIDIA's driver.
#[derive(Clone, Debug, Default)]
pub(super) struct Nvidia {
    /// `/dev/nvidiactl`: a driver runs on the host and is let through.
    pub(super) control_device: bool,
    /// `libGLX_nvidia.so.0`, which has the Vulkan driver in it.
    pub(super) library: Option<PathBuf>,
    /// `nvidia_icd.json`, which tells the loader of the library.
    pub(super) driver_file: Option<PathBuf>,
    /// `NVIDIA_DRIVER_CAPABILITIES`.
    pub(super) capabilities: Option<String>,
    pub(super) in_container: bool,
    /// The GPU is cut into instances (MIG).
    pub(super) instances: bool,
    /// The C library is musl; NVIDIA's driver is built for glibc.
    pub(super) musl: bool,
}

#[cfg(test)]
pub(super) fn device(name: &str, kind: rayloom_peer::DeviceKind) -> DeviceReport {
    DeviceReport {
        index: 0,
        name: name.into(),
        kind,
        driver: "driver 1".into(),
        api_version: (1, 3, 0),
        memory_bytes: 8 << 30,
        extensions: rayloom_peer::FrontEnd::ALL
            .iter()
            .flat_map(|front_end| front_end.extensions())
            .map(|name| (*name).into())
            .collect(),
        front_ends: rayloom_peer::FrontEnd::ALL.to_vec(),
        unusable: None,
    }
}

/// A machine without a fault.
#[cfg(test)]
pub(super) fn healthy() -> Facts {
    Facts {
        vulkan: Vulkan {
            devices: Ok(vec![device("GPU", rayloom_peer::DeviceKind::Discrete)]),
            missing_driver_files: Vec::new(),
            loader_says: Vec::new(),
            nvidia: Nvidia::default(),
        },
        trace: Some(Ok(Traced { device: "GPU".into(), first: "00".into(), second: "00".into() })),
        cache_dir: Some("/var/cache/rayloom".into()),
        cache_size_bytes: 20 << 30,
        disk_free_bytes: Ok(Some(100 << 30)),
        listen: SocketAddr::from(([127, 0, 0, 1], 4700)),
        listens: Grant::Free,
        data: vec![DataPort { protocol: "UDP", flag: "--udp-port", port: 4700, grant: Grant::Free }],
        certificate: None,
        advertise: None,
        stun: None,
        turn: None,
        udp: Ok(()),
        socket_limits: Some((4 << 20, 4 << 20)),
        monotonic: true,
        synchronised: Some(true),
        memory_limit_bytes: Some(16 << 30),
        cpu_limit: Some(4.0),
    }
}
