//! A seeded simulator: peers with speeds, links and faults around a real [`crate::Coordinator`]. The same seed gives the
//! same run.

mod alternatives;
mod audit;
mod baseline;
mod city;
mod fault;
pub mod figures;
mod finer;
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
mod schedule;
mod simulation;
mod station;

pub use alternatives::{Equalizer, Sharing};
pub use audit::{CALM, violations};
pub use baseline::Baseline;
pub use city::city_under_sky;
pub use fault::{Fault, Trouble};
pub use figures::{BalanceFigures, balance};
pub use finer::{FINE, FineCut};
pub use fleet::{FleetKind, fleet};
pub use peer::SimPeer;
pub use picture::svg;
pub use random::SplitMix;
pub use record::{FrameRecord, Truth};
pub use recording::{RecordedFrame, Recording};
pub use schedule::Schedule;
pub use simulation::{Foreseen, Pace, Simulation, Span, Tier};
