//! How much of a frame's time is left for merging and composing it: at its deadline its picture is there, not its last tile.

use std::time::Duration;

/// At most one part in so many of a frame's time: whoever takes longer is late.
const SHARE: u32 = 4;
/// What timers and waking threads take.
const WAKING: Duration = Duration::from_millis(3);

/// What frames take of late from their end to their output: rises at once, falls slowly.
#[derive(Default)]
pub(super) struct Finishing {
    took: Duration,
}

impl Finishing {
    pub(super) fn note(&mut self, took: Duration) {
        self.took = took.max(self.took * 63 / 64 + took / 64);
    }

    /// For how long tiles are waited for where a frame's output is due after `whole`.
    pub(super) fn time_for_tiles(&self, whole: Duration) -> Duration {
        whole - (self.took + WAKING).min(whole / SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finishing_takes_is_left_for_it() {
        let ms = Duration::from_millis;
        let mut finishing = Finishing::default();
        assert_eq!(finishing.time_for_tiles(ms(100)), ms(97), "nothing is known yet");
        finishing.note(ms(9));
        finishing.note(ms(1));
        let left = finishing.time_for_tiles(ms(100));
        assert!(ms(88) < left && left < ms(89), "{left:?}: one short one is no reason");
        finishing.note(ms(500));
        assert_eq!(finishing.time_for_tiles(ms(100)), ms(75));
    }
}
