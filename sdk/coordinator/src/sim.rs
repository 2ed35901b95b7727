//! A seeded simulator: peers with speeds, links and faults around a real [`crate::Coordinator`]. The same seed gives the
//! same run.

mod alternatives;
mod baseline;
mod city;
pub mod figures;
mod fleet;
pub mod forecast;
pub mod gpus;
mod made_up;
mod peer;
mod picture;
mod random;
mod record;
mod recording;
pub mod scale;
mod simulation;

pub use alternatives::{Equalizer, Sharing};
pub use baseline::Baseline;
pub use city::city_under_sky;
pub use figures::{BalanceFigures, balance};
pub use fleet::{FleetKind, fleet};
pub use peer::{Fault, SimPeer};
pub use picture::svg;
pub use random::SplitMix;
pub use record::{FrameRecord, Truth};
pub use recording::{RecordedFrame, Recording};
pub use simulation::{Foreseen, Pace, Simulation, Span, Tier};
