//! A peer's link: what it adds to a tile's service time, by latency and by bytes, learned from arrivals.

use crate::Time;
use std::time::Duration;

/// What was learned of a latency before this is half forgotten at the next answer.
const KNOWN_FOR: Duration = Duration::from_millis(500);
/// Slowest link that is believed in, 100 kbit/s, in nanoseconds a byte.
const SLOWEST: f64 = 80_000.0;
/// Answers of fewer bytes say nothing of what a link carries.
const FEWEST_BYTES: u64 = 4096;

/// Latency of a link and what it carries either way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    /// Turnaround beside service, queue and transfer.
    pub(crate) ns: f64,
    pub(crate) rtt_ns: f64,
    /// How far turnarounds are from what is learned of the latency, in the mean.
    spread_ns: f64,
    pub(crate) down: Rate,
    pub(crate) up: Rate,
}

/// What one direction of a link carries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    /// 0 until the link was seen to hold something up: what was never measured is not punished.
    ns_per_byte: f64,
    samples: u32,
}

/// How long answers are, learned from those that came; the latest count most.
#[derive(Clone, Debug, Default)]
pub(crate) struct BytesPerPx {
    bytes: f64,
    pixels: f64,
}

impl BytesPerPx {
    /// 0 before the first.
    pub(crate) fn mean(&self) -> f64 {
        self.bytes / self.pixels.max(1.0)
    }

    /// An answer of so many bytes, ghost zone included; 0 = unknown.
    pub(crate) fn learn(&mut self, bytes: u64, pixels: usize) {
        if bytes > 0 && pixels > 0 {
            self.bytes = 0.95 * self.bytes + bytes as f64;
            self.pixels = 0.95 * self.pixels + pixels as f64;
        }
    }
}

impl Link {
    pub(crate) fn set_rtt(&mut self, rtt: Duration) {
        self.rtt_ns = rtt.as_nanos().min(60_000_000_000) as f64;
        self.ns = self.ns.max(self.rtt_ns);
    }

    /// A tile that waited for no other took this long beside its service and transfer; the last answer was at `last_done`.
    /// Rises fast, falls slowly, unless what is known is old.
    pub(crate) fn learn(&mut self, ns: f64, last_done: Time, now: Time) {
        let sample = ns.min(3.0 * self.ns + 5e6);
        self.spread_ns += 0.1 * ((sample - self.ns).abs() - self.spread_ns);
        let is_old = now.since(last_done) >= KNOWN_FOR;
        let gain = if is_old {
            0.5
        } else if sample > self.ns {
            0.3
        } else {
            0.1
        };
        self.ns = (self.ns + gain * (sample - self.ns)).max(self.rtt_ns);
    }

    /// How much later than expected an answer may be for the link's sake.
    pub(crate) fn spread_ns(&self) -> f64 {
        2.0 * self.spread_ns
    }

    /// What it adds to a tile of no work and no bytes, jitter included.
    pub(crate) fn latest_ns(&self) -> f64 {
        self.ns + self.spread_ns()
    }

    /// Time that so many bytes of a task take on their way to the peer, and so many of its answer on their way back.
    pub(crate) fn transfer_ns(&self, (up, down): (f64, f64)) -> (f64, f64) {
        (up * self.up.ns_per_byte, down * self.down.ns_per_byte)
    }
}

impl Rate {
    /// Nanoseconds that a byte takes; 0 = not known to take any.
    pub(crate) fn ns_per_byte(&self) -> f64 {
        self.ns_per_byte
    }

    /// Bits a second; 0 = not known to be limited.
    pub(crate) fn bits_per_second(&self) -> f64 {
        if self.ns_per_byte > 0.0 { 8e9 / self.ns_per_byte } else { 0.0 }
    }

    /// So many bytes took at most this long. Jitter and what else is on the link only ever add to it, so a short time counts
    /// for more than a long one.
    pub(crate) fn learn(&mut self, bytes: u64, ns: f64) {
        if bytes < FEWEST_BYTES || !ns.is_finite() || ns < 0.0 {
            return;
        }
        let most = if self.samples == 0 { SLOWEST } else { (4.0 * self.ns_per_byte + 50.0).min(SLOWEST) };
        let sample = (ns / bytes as f64).min(most);
        let least = 1.0 / (f64::from(self.samples) + 2.0);
        let gain = if sample < self.ns_per_byte { 0.4 } else { least.max(0.15) };
        self.ns_per_byte += gain * (sample - self.ns_per_byte);
        self.samples = self.samples.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_carries_is_found_in_spite_of_jitter() {
        let mut rate = Rate::default();
        assert_eq!(rate.bits_per_second(), 0.0);
        // 100 Mbit/s: 80 ns a byte; up to 2 ms late.
        for i in 0..200_u32 {
            let bytes = 60_000 + u64::from(i % 7) * 10_000;
            let late_ns = f64::from(i.wrapping_mul(7919) % 100) * 20_000.0;
            rate.learn(bytes, bytes as f64 * 80.0 + late_ns);
        }
        assert!((0.8e8..1.1e8).contains(&rate.bits_per_second()), "{rate:?}");
    }

    #[test]
    fn a_link_that_loses_its_bandwidth_is_followed_and_absurd_times_are_not_believed() {
        let mut rate = Rate::default();
        for _ in 0..30 {
            rate.learn(100_000, 800_000.0);
        }
        rate.learn(100_000, 1e18);
        assert!(rate.ns_per_byte() < 25.0, "{rate:?}");
        for wrong in [f64::NAN, f64::INFINITY, -1.0] {
            rate.learn(100_000, wrong);
        }
        rate.learn(10, 1e9);
        for _ in 0..40 {
            rate.learn(100_000, 80_000_000.0);
        }
        assert!((700.0..=800.0).contains(&rate.ns_per_byte()), "{rate:?}");
    }

    #[test]
    fn latency_rises_fast_and_falls_slowly() {
        let mut link = Link::default();
        link.set_rtt(Duration::from_millis(10));
        link.learn(20e6, Time(0), Time(1));
        let risen = link.ns;
        assert!(risen > 12e6, "{link:?}");
        link.learn(10e6, Time(0), Time(1));
        assert!(link.ns > 10e6 && link.ns < risen, "{link:?}");
    }
}
