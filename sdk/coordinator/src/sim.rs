//! A seeded simulator: peers with speeds, links and faults around a real [`crate::Coordinator`]. The same seed gives the
//! same run.

mod alternatives;
mod baseline;
mod city;
mod fleet;
pub mod gpus;
mod peer;
mod random;
mod record;
mod recording;
mod simulation;

pub use alternatives::{Equalizer, Sharing};
pub use baseline::Baseline;
pub use city::city_under_sky;
pub use fleet::{FleetKind, fleet};
pub use peer::{Fault, SimPeer};
pub use random::SplitMix;
pub use record::{FrameRecord, Truth};
pub use recording::{RecordedFrame, Recording};
pub use simulation::{Foreseen, Pace, Simulation, Span};
