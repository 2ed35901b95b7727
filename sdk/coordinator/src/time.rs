//! Time as every event gives it.

use std::ops::Add;
use std::time::Duration;

/// Nanoseconds since the session began. The caller's clock; the coordinator has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The time this long after the session began.
    pub fn from_duration(since_start: Duration) -> Time {
        Time::default() + since_start
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.ns_since(earlier))
    }

    /// The same in nanoseconds.
    pub const fn ns_since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time plus nanoseconds that a model predicted; NaN and negative count as none, infinity as the end of time.
    pub(crate) fn plus_ns(self, ns: f64) -> Time {
        Time(self.0.saturating_add(ns as u64))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}
