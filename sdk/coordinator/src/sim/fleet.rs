//! Seeded fleets: which GPUs, on which links, and what goes wrong with them.

use super::gpus;
use super::{Fault, SimPeer, SplitMix};
use crate::{PeerPrior, Time};
use std::time::Duration;

/// What a fleet may be like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FleetKind {
    /// Peers.
    pub peers: usize,
    /// Mean round trip.
    pub rtt: Duration,
    /// Share of peers with which something goes wrong.
    pub faulty: f64,
    /// How long the run lasts: faults lie within.
    pub span: Duration,
}

/// A fleet of that kind; the same seed gives the same fleet.
pub fn fleet(kind: &FleetKind, seed: u64) -> Vec<SimPeer> {
    let mut random = SplitMix(seed ^ 0x666c_6565);
    (0..kind.peers).map(|_| peer(kind, &mut random)).collect()
}

fn peer(kind: &FleetKind, random: &mut SplitMix) -> SimPeer {
    let gpu = random.below(gpus::GPUS.len());
    let speed = gpus::speed(gpu) * (0.95 + 0.1 * random.unit());
    let rtt = kind.rtt.mul_f64(0.5 + random.unit());
    let mut peer = SimPeer {
        loss: 0.002 * random.unit(),
        bits_per_second: 1e9,
        noise: 0.02 + 0.03 * random.unit(),
        // A benchmark of its own, off by as much as benchmarks are.
        prior: PeerPrior {
            rays_per_second: (speed * 1e8 * (0.7 + 0.6 * random.unit())) as f32,
            ..PeerPrior::default()
        },
        ..SimPeer::new(speed).at_rtt(rtt)
    };
    if random.unit() < kind.faulty {
        let at = |random: &mut SplitMix| Time::from_duration(kind.span.mul_f64(0.1 + 0.8 * random.unit()));
        let from = at(random);
        let fault = match random.below(7) {
            0 => Fault::Crash { at: from },
            1 => Fault::Disconnect { at: from },
            2 => Fault::Stall { from, until: from + Duration::from_millis(20 + random.below(400) as u64) },
            3 => Fault::Throttle { at: from, factor: 1.5 + 8.5 * random.unit() },
            4 => {
                let period = Duration::from_millis(200 + random.below(2000) as u64);
                Fault::Neighbour {
                    period,
                    busy: period.mul_f64(0.1 + 0.4 * random.unit()),
                    factor: 1.5 + random.unit(),
                }
            }
            5 => {
                peer.joins = from;
                return peer;
            }
            _ => {
                // Says that it is up to ten times faster, or slower, than it is.
                peer.claims = 10.0_f64.powf(2.0 * random.unit() - 1.0);
                return peer;
            }
        };
        peer.faults.push(fault);
    }
    peer
}
