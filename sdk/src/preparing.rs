//! When a view's thread makes from history what is missing of its open frame: shortly before it is due, while there is nothing to add.
//!
//! What comes after all was made for nothing. So it is begun no earlier than it must be to be done in time, and never before the last quarter
//! of the frame's time: a frame whose tiles are there before that costs nothing more.

/// At most one part in so many of a frame's time.
const SHARE: u64 = 4;
/// What is prepared before the next slice is looked for.
const PORTION_NS: f32 = 500_000.0;
/// What a pixel takes, until that is known: three layers of 8 pixels at once, on one core.
const FIRST_NS_PER_PIXEL: f32 = 60.0;
/// Twice what it took: other threads want to run too.
const SLACK: f32 = 2.0;

/// Of a pipeline.
pub(crate) struct Preparing {
    /// Of the open frame, while something may be left to prepare.
    span_ns: Option<(u64, u64)>,
    /// The tile whose turn it is.
    pub(crate) tile: u32,
    ns_per_pixel: f32,
}

impl Default for Preparing {
    fn default() -> Preparing {
        Preparing { span_ns: None, tile: 0, ns_per_pixel: FIRST_NS_PER_PIXEL }
    }
}

impl Preparing {
    /// A frame begins whose tiles are due then.
    pub(crate) fn open(&mut self, now_ns: u64, due_ns: u64) {
        (self.span_ns, self.tile) = (Some((now_ns.min(due_ns), due_ns)), 0);
    }

    /// Nothing is left to prepare.
    pub(crate) fn stop(&mut self) {
        self.span_ns = None;
    }

    /// When it is to be begun, or gone on with; `None` where nothing is left.
    pub(crate) fn at_ns(&self, missing_pixels: impl FnOnce() -> usize) -> Option<u64> {
        let (from_ns, due_ns) = self.span_ns?;
        let takes_ns = (missing_pixels() as f32 * self.ns_per_pixel * SLACK) as u64;
        Some(due_ns - takes_ns.min((due_ns - from_ns) / SHARE))
    }

    /// Pixels that are prepared at a time.
    pub(crate) fn portion(&self) -> usize {
        (PORTION_NS / self.ns_per_pixel) as usize
    }

    /// So many pixels took so long.
    pub(crate) fn took(&mut self, pixels: usize, took_ns: u64) {
        let now = (took_ns as f32 / pixels.max(1) as f32).clamp(1.0, 1000.0);
        self.ns_per_pixel += (now - self.ns_per_pixel) / 16.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_in_time_and_not_before_the_last_quarter() {
        let mut preparing = Preparing::default();
        assert_eq!(preparing.at_ns(|| 1000), None, "no frame is open");
        preparing.open(1_000_000, 101_000_000);
        assert_eq!(preparing.at_ns(|| 10_000), Some(99_800_000), "twice 60 ns a pixel");
        assert_eq!(preparing.at_ns(|| 1_000_000), Some(76_000_000));
        assert_eq!(preparing.portion(), 8333);
        for _ in 0..200 {
            preparing.took(1000, 20_000);
        }
        let at_ns = preparing.at_ns(|| 10_000).unwrap();
        assert!((100_500_000..100_700_000).contains(&at_ns), "20 ns a pixel: {at_ns}");
        preparing.stop();
        assert_eq!(preparing.at_ns(|| 1000), None);
        preparing.open(5, 3);
        assert_eq!(preparing.at_ns(|| 1000), Some(3), "what was due before it began is prepared at once");
    }
}
