//! What is held against a peer: faults that are not forgotten, and how long it gets nothing for them.

use crate::{Config, Time};
use std::time::Duration;

/// Outlives a peer's connection: who comes back is who it was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Blame {
    faults: u32,
    last_fault: Time,
    /// Until when it gets nothing.
    blocked_until: Time,
}

impl Blame {
    /// It has held for so long: half of its faults are forgotten each time that `forgive_after` has passed.
    pub(crate) fn forgive(&mut self, held: Duration, config: &Config) {
        let halvings = held.as_nanos() / config.forgive_after.as_nanos().max(1);
        self.faults = self.faults.checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0);
    }

    /// One more fault; from one too many on it is blocked, twice as long each time.
    pub(crate) fn add_fault(&mut self, config: &Config, now: Time) {
        self.faults = self.faults.saturating_add(1);
        self.last_fault = now;
        if let Some(doublings) = self.faults.checked_sub(config.block_after_faults + 1) {
            let pause = config.block_pause.start().saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
            self.blocked_until = now + pause.min(*config.block_pause.end());
        }
    }

    /// It lied: it is blocked for good.
    pub(crate) fn condemn(&mut self) {
        self.blocked_until = Time(u64::MAX);
    }

    pub(crate) fn is_blocked(&self, now: Time) -> bool {
        self.blocked_until > now
    }

    pub(crate) fn is_blocked_for_good(&self) -> bool {
        self.blocked_until == Time(u64::MAX)
    }

    /// How long it gets nothing from now on.
    pub(crate) fn pause(&self, now: Time) -> Duration {
        if self.is_blocked_for_good() { Duration::MAX } else { self.blocked_until.since(now) }
    }

    pub(crate) fn last_fault(&self) -> Time {
        self.last_fault
    }

    /// It answered while it was blocked.
    pub(crate) fn unblock(&mut self) {
        if !self.is_blocked_for_good() {
            self.blocked_until = Time::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(faults: u32) -> Blame {
        let mut blame = Blame::default();
        (0..faults).for_each(|_| blame.add_fault(&Config::default(), Time(7)));
        blame
    }

    #[test]
    fn pauses_double_up_to_a_bound() {
        let pause = |faults| after(faults).pause(Time(7)).as_secs();
        assert_eq!([3, 4, 5, 6, 9, 10, 1000].map(pause), [0, 2, 4, 8, 60, 60, 60]);
    }

    #[test]
    fn faults_are_forgotten_by_halves() {
        let config = Config::default();
        let mut blame = after(9);
        blame.forgive(config.forgive_after * 2, &config);
        blame.add_fault(&config, Time(100_000_000_000));
        assert!(!blame.is_blocked(Time(100_000_000_000)), "9 faults, then 4, then 2, and one more");
        blame.forgive(Duration::MAX, &config);
        assert_eq!(blame.faults, 0);
    }

    #[test]
    fn who_lied_is_not_unblocked() {
        let mut blame = Blame::default();
        blame.condemn();
        blame.unblock();
        blame.add_fault(&Config::default(), Time(5));
        assert_eq!((blame.is_blocked(Time(1 << 60)), blame.pause(Time(9))), (true, Duration::MAX));
    }
}
