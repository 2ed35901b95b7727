//! The peer's one clock: nanoseconds since the process first asked, for stamps in answers.

use std::sync::LazyLock;
use std::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Now, in nanoseconds of this process's clock.
pub(crate) fn now_ns() -> u64 {
    stamp_ns(Instant::now())
}

/// The same for a moment that was noted before; moments before the first call count as 0.
pub(crate) fn stamp_ns(moment: Instant) -> u64 {
    u64::try_from(moment.saturating_duration_since(*START).as_nanos()).unwrap_or(u64::MAX)
}
