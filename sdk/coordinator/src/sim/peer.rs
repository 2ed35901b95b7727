//! Simulated peers.

use super::Fault;
use crate::{PeerPrior, Time};
use std::time::Duration;

/// A simulated peer.
#[derive(Clone, Debug)]
pub struct SimPeer {
    /// Relative to the truth's nanoseconds: 1 takes them as they are, 0.5 twice as long.
    pub speed: f64,
    /// Fixed cost of a tile.
    pub tile_overhead: Duration,
    /// Delay of the link, each way.
    pub one_way: Duration,
    /// Added to each way, uniform from 0.
    pub jitter: Duration,
    /// Share of messages that have to be sent again: a round trip and 10 ms later each time.
    pub loss: f64,
    /// What the link carries of results; 0 = as much as there is.
    pub bits_per_second: f64,
    /// What it says its time was, relative to what it was: 1 is the truth.
    pub claims: f64,
    /// Relative noise of service times, uniform in plus and minus.
    pub noise: f64,
    /// What it tells of itself.
    pub prior: PeerPrior,
    /// When it joins.
    pub joins: Time,
    /// When it holds its scene from then on; none = never.
    pub scene_after: Option<Duration>,
    /// What happens to it.
    pub faults: Vec<Fault>,
}

impl SimPeer {
    /// A peer on a 1 ms link with little noise.
    pub fn new(speed: f64) -> SimPeer {
        SimPeer {
            speed,
            tile_overhead: Duration::from_micros(300),
            one_way: Duration::from_micros(500),
            jitter: Duration::from_micros(200),
            loss: 0.0,
            bits_per_second: 0.0,
            claims: 1.0,
            noise: 0.02,
            prior: PeerPrior::default(),
            joins: Time(0),
            scene_after: Some(Duration::ZERO),
            faults: Vec::new(),
        }
    }

    /// The same with a fault.
    pub fn with(mut self, fault: Fault) -> SimPeer {
        self.faults.push(fault);
        self
    }

    /// The same on a link of this round trip, with jitter of a tenth of it each way.
    pub fn at_rtt(mut self, rtt: Duration) -> SimPeer {
        (self.one_way, self.jitter) = (rtt / 2, rtt / 10);
        self
    }
}
