//! How much of a frame's time is left for merging and composing it: at its deadline its picture is there, not its last tile.

use std::time::Duration;

/// At most one part in so many of a frame's time: whoever takes longer is late.
const SHARE: u32 = 4;
/// One part in so many of what finishing took may come on top the next time.
const MORE: u32 = 8;
/// What timers and waking threads take.
const WAKING: Duration = Duration::from_millis(3);

/// What frames take of late from their end to their output: rises at once, falls slowly.
#[derive(Default)]
pub(super) struct Finishing {
    took: Duration,
}

impl Finishing {
    /// True when more is to be left than before.
    pub(super) fn note(&mut self, took: Duration) -> bool {
        let before = self.took;
        self.took = took.max(self.took * 63 / 64 + took / 64);
        self.took > before
    }

    /// For how long tiles are waited for where a frame's output is due after `whole`.
    pub(super) fn time_for_tiles(&self, whole: Duration) -> Duration {
        // Where nothing comes each frame takes a little longer than the last: less is known of it.
        whole - (self.took + self.took / MORE + WAKING).min(whole / SHARE)
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
        assert!(finishing.note(ms(8)));
        assert!(!finishing.note(ms(1)));
        let left = finishing.time_for_tiles(ms(100));
        assert!(ms(88) < left && left < ms(89), "{left:?}: one short one is no reason");
        finishing.note(ms(500));
        assert_eq!(finishing.time_for_tiles(ms(100)), ms(75));
    }
}
