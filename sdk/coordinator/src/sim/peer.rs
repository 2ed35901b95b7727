//! Simulated peers and what happens to them.

use crate::{PeerPrior, Time};
use std::time::Duration;

/// What happens to a simulated peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It stops for good, and nobody is told.
    Crash {
        /// When.
        at: Time,
    },
    /// It stops for good, and the transport notices at once.
    Disconnect {
        /// When.
        at: Time,
    },
    /// It stands still for a while.
    Stall {
        /// When it stops.
        from: Time,
        /// When it goes on.
        until: Time,
    },
    /// It becomes this many times slower.
    Throttle {
        /// When.
        at: Time,
        /// How much.
        factor: f64,
    },
    /// Somebody else works on the same GPU again and again: this many times slower for `busy` of every `period`.
    Neighbour {
        /// From one begin to the next.
        period: Duration,
        /// How long.
        busy: Duration,
        /// How much.
        factor: f64,
    },
}

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
    /// When it joins, with its scene.
    pub joins: Time,
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

    /// How many times slower it is at a time.
    pub(crate) fn slowness(&self, now: Time) -> f64 {
        let factor = |fault: &Fault| match fault {
            Fault::Throttle { at, factor } if *at <= now => *factor,
            Fault::Neighbour { period, busy, factor } => {
                let phase = now.0 % (period.as_nanos() as u64).max(1);
                if phase < busy.as_nanos() as u64 { *factor } else { 1.0 }
            }
            _ => 1.0,
        };
        self.faults.iter().map(factor).product()
    }

    /// How long it stands still when it begins at `now` what takes `service`.
    pub(crate) fn pause(&self, now: Time, service: Duration) -> Duration {
        let pause = |fault: &Fault| match fault {
            Fault::Stall { from, until } if *from <= now + service && *until > now => until.since(now.max(*from)),
            _ => Duration::ZERO,
        };
        self.faults.iter().map(pause).sum()
    }

    /// It is gone by then.
    pub(crate) fn is_gone(&self, at: Time) -> bool {
        let ends =
            |fault: &Fault| matches!(fault, Fault::Crash { at: end } | Fault::Disconnect { at: end } if *end <= at);
        self.faults.iter().any(ends)
    }
}
