//! What a frame asks of the peers that trace it, and what peers are.

use std::fmt;

/// What a peer is, beside how fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerTraits {
    /// Its device is a CPU.
    pub is_cpu: bool,
    /// It traces with the ray tracing units of its GPU.
    pub has_ray_tracing: bool,
    /// It may see what not everybody may.
    pub is_trusted: bool,
    /// Memory for scenes in bytes; 0 = unknown, which is enough for everything.
    pub memory_bytes: u64,
}

/// What a peer must be to trace a frame. The default asks for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// No CPU.
    pub gpu: bool,
    /// With ray tracing units.
    pub ray_tracing: bool,
    /// A trusted peer.
    pub trusted: bool,
    /// Bytes of memory that the scene needs at least.
    pub memory_bytes: u64,
}

/// One of the things that [`Constraints`] can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Requirement {
    /// [`Constraints::trusted`].
    Trusted,
    /// [`Constraints::gpu`].
    Gpu,
    /// [`Constraints::ray_tracing`].
    RayTracing,
    /// [`Constraints::memory_bytes`].
    Memory,
}

impl Constraints {
    /// The first requirement that such a peer does not meet; none where it may trace.
    pub fn unmet(&self, peer: &PeerTraits) -> Option<Requirement> {
        let has_memory = peer.memory_bytes == 0 || peer.memory_bytes >= self.memory_bytes;
        [
            (Requirement::Trusted, self.trusted && !peer.is_trusted),
            (Requirement::Gpu, self.gpu && peer.is_cpu),
            (Requirement::RayTracing, self.ray_tracing && !peer.has_ray_tracing),
            (Requirement::Memory, !has_memory),
        ]
        .into_iter()
        .find_map(|(requirement, is_unmet)| is_unmet.then_some(requirement))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Requirement::Trusted => "a trusted peer",
            Requirement::Gpu => "a GPU",
            Requirement::RayTracing => "ray tracing units",
            Requirement::Memory => "more memory",
        })
    }
}

/// Why a frame ends without all of its tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpiryCause {
    /// Its deadline passed.
    Deadline,
    /// Nobody is left to trace what is missing: peers were lost, refused or suspect, and no other can make the deadline.
    NobodyLeft,
    /// More frames were begun than may be in flight.
    TooManyInFlight,
    /// The caller does not want it any more.
    GivenUp,
    /// No peer holds the scene revision yet.
    NotReady,
    /// Peers hold the scene revision, and none may trace the frame.
    Unmet {
        /// How many hold it.
        peers: u32,
        /// What those lack that meet the most: trust is asked for first, memory last.
        requirement: Requirement,
    },
    /// The view is larger than any may be, or it is made again of no tiles.
    NothingToTrace,
}

impl fmt::Display for ExpiryCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpiryCause::Deadline => f.write_str("its deadline passed"),
            ExpiryCause::NobodyLeft => f.write_str("no peer is left that could trace what is missing in time"),
            ExpiryCause::TooManyInFlight => f.write_str("too many later frames were begun"),
            ExpiryCause::GivenUp => f.write_str("it is not wanted any more"),
            ExpiryCause::NotReady => f.write_str("no peer holds its scene revision yet"),
            ExpiryCause::Unmet { peers, requirement } => {
                write!(f, "it asks for {requirement}: none of the {peers} that hold its scene may trace it")
            }
            ExpiryCause::NothingToTrace => f.write_str("there is nothing of it to trace"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_requirement_is_named_and_unknown_memory_is_enough() {
        let peer = PeerTraits { is_cpu: true, memory_bytes: 1 << 20, ..PeerTraits::default() };
        let unmet = |constraints: Constraints| constraints.unmet(&peer);
        assert_eq!(unmet(Constraints::default()), None);
        assert_eq!(unmet(Constraints { gpu: true, ..Constraints::default() }), Some(Requirement::Gpu));
        assert_eq!(unmet(Constraints { ray_tracing: true, ..Constraints::default() }), Some(Requirement::RayTracing));
        assert_eq!(unmet(Constraints { trusted: true, ..Constraints::default() }), Some(Requirement::Trusted));
        let large = Constraints { memory_bytes: 1 << 30, ..Constraints::default() };
        assert_eq!(unmet(large), Some(Requirement::Memory));
        assert_eq!(large.unmet(&PeerTraits::default()), None);
    }
}
