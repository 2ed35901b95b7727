//! The session's one clock: nanoseconds since it was created.

use rayloom_coordinator::Time;
use std::time::Instant;

/// Nanoseconds since the session began; every stamp of a session is on this clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { start: Instant::now() }
    }

    pub(crate) fn now_ns(self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).expect("a session does not last 584 years")
    }

    pub(crate) fn now(self) -> Time {
        Time(self.now_ns())
    }

    /// The stamp of an instant; 0 before the session began.
    pub(crate) fn ns_of(self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The instant of a stamp, for waiting.
    pub(crate) fn instant(self, time: Time) -> Instant {
        self.start + std::time::Duration::from_nanos(time.0)
    }
}
