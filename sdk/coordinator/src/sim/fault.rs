//! What happens to simulated peers.

use super::SimPeer;
use crate::{Flaw, Refusal, Time};
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
    /// It ends, the transport notices at once, and it comes back.
    Restart {
        /// When it ends.
        at: Time,
        /// When it joins again.
        back: Time,
        /// When it holds its scene from then on; none = never.
        scene_after: Option<Duration>,
    },
    /// It says that it will go, finishes what it has begun, and goes.
    Drain {
        /// When it says so.
        at: Time,
        /// When it goes.
        leaves: Time,
    },
    /// It is caught lying.
    Caught {
        /// When.
        at: Time,
    },
    /// Something is wrong with it for a while.
    Spell {
        /// When that begins.
        from: Time,
        /// When it is over.
        until: Time,
        /// What.
        trouble: Trouble,
    },
}

/// What is wrong with a simulated peer for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// It is this many times slower.
    Slow(f64),
    /// What it is sent does not arrive.
    Deaf,
    /// What it sends does not arrive.
    Mute,
    /// Its answers can't be used.
    Corrupt(Flaw),
    /// It refuses what it would begin with.
    Refuses(Refusal),
    /// It answers everything twice.
    Twice,
    /// It answers what nobody asked for, too.
    Unasked,
    /// It traces what was cancelled all the same.
    Stubborn,
    /// It says that its times and rays were so many times what they were.
    Claims(f64),
}

impl SimPeer {
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

    /// How long something takes that is begun at `now` and takes `service` while it is not slow for a spell.
    pub(crate) fn slowed(&self, now: Time, service: Duration) -> Duration {
        let slow = |fault: &Fault| match fault {
            Fault::Spell { from, until, trouble: Trouble::Slow(factor) } => Some((*from, *until, *factor)),
            _ => None,
        };
        let (mut at, mut left) = (now, service);
        loop {
            let spells = || self.faults.iter().filter_map(slow);
            let factor: f64 =
                spells().filter(|(from, until, _)| (*from..*until).contains(&at)).map(|spell| spell.2).product();
            let changes = spells().flat_map(|(from, until, _)| [from, until]).filter(|change| *change > at).min();
            match changes {
                Some(change) if at + left.mul_f64(factor) > change => {
                    left -= change.since(at).div_f64(factor);
                    at = change;
                }
                _ => return (at + left.mul_f64(factor)).since(now),
            }
        }
    }

    /// How long it stands still when it begins at `now` what takes `service`.
    pub(crate) fn pause(&self, now: Time, service: Duration) -> Duration {
        let pause = |fault: &Fault| match fault {
            Fault::Stall { from, until } if *from <= now + service && *until > now => until.since(now.max(*from)),
            _ => Duration::ZERO,
        };
        self.faults.iter().map(pause).sum()
    }

    /// It ends after `begun` and up to `at`, or ended for good before.
    pub(crate) fn is_gone(&self, begun: Time, at: Time) -> bool {
        let ends = |fault: &Fault| match fault {
            Fault::Crash { at: end } | Fault::Disconnect { at: end } => *end <= at,
            Fault::Restart { at: end, .. } | Fault::Drain { leaves: end, .. } => begun < *end && *end <= at,
            _ => false,
        };
        self.faults.iter().any(ends)
    }

    /// Whether it would answer at a time what costs no work.
    pub(crate) fn answers_at(&self, now: Time) -> bool {
        let is_still = |fault: &Fault| matches!(fault, Fault::Stall { from, until } if (*from..*until).contains(&now));
        let is_cut_off = self.is(Trouble::Deaf, now) || self.is(Trouble::Mute, now);
        !self.faults.iter().any(is_still) && !is_cut_off && !self.is_gone(now, now)
    }

    /// What is wrong with it at a time.
    pub(crate) fn troubles(&self, now: Time) -> impl Iterator<Item = Trouble> {
        self.faults.iter().filter_map(move |fault| match fault {
            Fault::Spell { from, until, trouble } if (*from..*until).contains(&now) => Some(*trouble),
            _ => None,
        })
    }

    /// Whether that is wrong with it at a time.
    pub(crate) fn is(&self, trouble: Trouble, now: Time) -> bool {
        self.troubles(now).any(|other| other == trouble)
    }
}
