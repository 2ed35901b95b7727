//! The first message of each side: versions, role, and what a peer can do.

use crate::WireError;
use crate::cursor::{Reader, Writer, out_of_range, unknown};

/// Versions of the protocol that this build speaks.
pub const VERSION: VersionRange = VersionRange { min: 6, max: 6 };

/// An inclusive range of protocol versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// Oldest.
    pub min: u16,
    /// Newest.
    pub max: u16,
}

impl VersionRange {
    /// The newest version that both sides speak.
    pub fn agree(self, other: VersionRange) -> Option<u16> {
        let version = self.max.min(other.max);
        (version >= self.min && version >= other.min).then_some(version)
    }
}

impl std::fmt::Display for VersionRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

/// What the sender of a [`Hello`] is; independent of who dialled whom.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// An engine's SDK: it sends tasks.
    Engine,
    /// A peer: it traces.
    Peer(PeerInfo),
}

/// What a peer tells of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerInfo {
    /// Device name as Vulkan reports it.
    pub device: String,
    /// True when the device is a CPU.
    pub is_cpu: bool,
    /// Front end in use: "compute", "ray-query" or "rt-pipeline".
    pub front_end: String,
    /// Rays per second measured at start; 0 when unknown.
    pub rays_per_second: f32,
    /// Memory for scenes in bytes.
    pub memory_bytes: u64,
    /// Digest of device, driver, front end and shaders: peers of the same class give the same bits.
    pub class: [u8; 32],
    /// True when the peer answers with stored captures (benches); ordinary sessions refuse it.
    pub stored_traces: bool,
}

impl PeerInfo {
    /// Rays are traced by the ray tracing units of a GPU.
    pub fn uses_ray_tracing_units(&self) -> bool {
        !self.is_cpu && matches!(self.front_end.as_str(), "ray-query" | "rt-pipeline")
    }
}

/// First message on a link, from both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// Versions that the sender speaks.
    pub versions: VersionRange,
    /// Product and version, for logs.
    pub agent: String,
    /// What the sender is.
    pub role: Role,
}

/// Why a side ends a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RefusalCode {
    /// No common protocol version.
    Version = 1,
    /// Too many sessions, or not enough memory.
    Capacity = 2,
    /// The other side broke the protocol.
    Protocol = 3,
    /// The device is lost or failed.
    Device = 4,
    /// The side is shutting down.
    Shutdown = 5,
    /// Both sides have the same role.
    Role = 6,
}

/// The last message of a link: why the sender ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub code: RefusalCode,
    /// For people: what was wrong, with the value, and what to do.
    pub reason: String,
}

/// Peer to engine: this peer will go. It does what it has been asked to do; an engine that waits for nothing more ends the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Milliseconds from now in which it ends the link by itself.
    pub within_ms: u32,
    /// For people: why.
    pub reason: String,
}

impl Hello {
    pub(crate) fn write(&self, w: &mut Writer) {
        // Fixed forever: the version range comes first, so that any two versions can tell each other apart.
        w.u16(self.versions.min);
        w.u16(self.versions.max);
        w.text(&self.agent);
        match &self.role {
            Role::Engine => w.u8(0),
            Role::Peer(info) => {
                w.u8(1);
                w.text(&info.device);
                w.u8(u8::from(info.is_cpu) | u8::from(info.stored_traces) << 1);
                w.text(&info.front_end);
                w.f32(info.rays_per_second);
                w.u64(info.memory_bytes);
                w.raw(&info.class);
            }
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Hello, WireError> {
        let versions = VersionRange { min: r.u16("hello.versions.min")?, max: r.u16("hello.versions.max")? };
        if versions.min > versions.max {
            return Err(out_of_range("hello.versions", versions, "min <= max"));
        }
        let agent = r.text("hello.agent")?;
        let role = match r.u8("hello.role")? {
            0 => Role::Engine,
            1 => {
                let device = r.text("hello.device")?;
                let flags = r.u8("hello.flags")?;
                Role::Peer(PeerInfo {
                    device,
                    is_cpu: flags & 1 != 0,
                    stored_traces: flags & 2 != 0,
                    front_end: r.text("hello.front_end")?,
                    rays_per_second: r.finite("hello.rays_per_second")?,
                    memory_bytes: r.u64("hello.memory_bytes")?,
                    class: r.hash("hello.class")?,
                })
            }
            value => return Err(unknown("role", value)),
        };
        Ok(Hello { versions, agent, role })
    }
}

impl Refused {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u8(self.code as u8);
        w.text(&self.reason);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Refused, WireError> {
        let code = match r.u8("refused.code")? {
            1 => RefusalCode::Version,
            2 => RefusalCode::Capacity,
            3 => RefusalCode::Protocol,
            4 => RefusalCode::Device,
            5 => RefusalCode::Shutdown,
            6 => RefusalCode::Role,
            value => return Err(unknown("refusal code", value)),
        };
        Ok(Refused { code, reason: r.text("refused.reason")? })
    }
}

impl Leaving {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u32(self.within_ms);
        w.text(&self.reason);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Leaving, WireError> {
        Ok(Leaving { within_ms: r.u32("leaving.within_ms")?, reason: r.text("leaving.reason")? })
    }
}

#[cfg(test)]
mod tests {
    use super::VersionRange;

    #[test]
    fn the_newest_common_version_is_agreed() {
        let ours = VersionRange { min: 2, max: 5 };
        assert_eq!(ours.agree(VersionRange { min: 1, max: 3 }), Some(3));
        assert_eq!(ours.agree(VersionRange { min: 5, max: 9 }), Some(5));
        assert_eq!(ours.agree(VersionRange { min: 6, max: 9 }), None);
        assert_eq!(ours.agree(VersionRange { min: 0, max: 1 }), None);
    }
}
