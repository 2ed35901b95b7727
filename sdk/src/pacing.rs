//! Outputs that come as steadily as their frames were begun: each is held until what most frames of late took is over.

use crate::output::Output;
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames that are remembered: four seconds at 60 frames a second.
const REMEMBERED: usize = 240;
/// Of these, one in so many may take longer than outputs are held, and comes when it is there: a frame that takes as long as five others
/// makes five late, and is no reason to hold those of four seconds.
const LATE: usize = 20;
/// Outputs that wait; beyond, the oldest is shown at once.
const WAITING: usize = 8;

/// What frames took of late, and outputs whose time has not come.
#[derive(Default)]
pub(crate) struct Pacer {
    /// Nanoseconds from begin to output, the newest last.
    took: VecDeque<u64>,
    /// The same in ascending order.
    sorted: Vec<u64>,
    waiting: VecDeque<(u64, Arc<Output>)>,
    /// Of the last frame that was to be held.
    due_ns: u64,
}

impl Pacer {
    /// All frames but one in twenty took no longer.
    fn steady_ns(&self) -> u64 {
        let late = self.sorted.len() / LATE;
        self.sorted.iter().rev().nth(late).copied().unwrap_or(0)
    }

    pub(crate) fn note(&mut self, took_ns: u64) {
        if self.took.len() == REMEMBERED
            && let Some(oldest) = self.took.pop_front()
            && let Ok(at) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(at);
        }
        self.took.push_back(took_ns);
        let at = self.sorted.partition_point(|took| *took <= took_ns);
        self.sorted.insert(at, took_ns);
    }

    /// A frame was made: for how long its output is held, in nanoseconds. They come in the order of their frames.
    pub(crate) fn finished(&mut self, begun_ns: u64, now_ns: u64) -> u64 {
        self.note(now_ns.saturating_sub(begun_ns));
        // Never before the one that was begun before it.
        self.due_ns = self.due_ns.max(begun_ns + self.steady_ns());
        self.due_ns.saturating_sub(now_ns)
    }

    /// Holds an output; gives back one that has to go at once since too many wait.
    pub(crate) fn hold(&mut self, output: Arc<Output>, until_ns: u64) -> Option<Arc<Output>> {
        self.waiting.push_back((until_ns, output));
        if self.waiting.len() > WAITING { self.waiting.pop_front().map(|(_, output)| output) } else { None }
    }

    /// When the next one is due, on the engine's clock.
    pub(crate) fn due(&self) -> Option<u64> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// Outputs that are due, oldest first.
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Vec<Arc<Output>> {
        let due = self.waiting.iter().take_while(|(due, _)| *due <= now_ns).count();
        self.waiting.drain(..due).map(|(_, output)| output).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::made::output;

    const MS: u64 = 1_000_000;

    /// When frames are shown that are begun every 16 ms and take so long.
    fn shown(took_ms: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut pacer = Pacer::default();
        let mut now = 0;
        let frames = took_ms.into_iter().enumerate();
        frames
            .map(|(frame, took_ms)| {
                let begun = 16 * MS * frame as u64;
                // One after the other.
                now = now.max(begun + took_ms * MS);
                now + pacer.finished(begun, now)
            })
            .collect()
    }

    /// By how much intervals differ from those of the begins, at most.
    fn worst(shown: &[u64]) -> u64 {
        shown.windows(2).map(|two| (two[1] - two[0]).abs_diff(16 * MS)).max().unwrap_or(0)
    }

    /// Pseudo-random times between 10 and 30 ms.
    fn uneven(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|i| 10 + (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % 21)
    }

    #[test]
    fn frames_that_take_unequal_times_come_at_the_intervals_at_which_they_began() {
        let shown = shown(uneven(400));
        let free: Vec<u64> = uneven(400).enumerate().map(|(i, took)| (16 * i as u64 + took) * MS).collect();
        let unpaced = free.windows(2).map(|two| two[1].abs_diff(two[0]).abs_diff(16 * MS)).max();
        assert!(unpaced > Some(10 * MS), "{unpaced:?}");
        assert!(worst(&shown[60..]) <= 2 * MS, "{} ns", worst(&shown[60..]));
    }

    #[test]
    fn none_is_shown_before_it_is_there_nor_held_for_longer_than_the_slowest_took() {
        let took: Vec<u64> = uneven(300).collect();
        for (i, (shown, took)) in shown(took.iter().copied()).iter().zip(&took).enumerate() {
            let begun = 16 * MS * i as u64;
            assert!(*shown >= begun + took * MS && *shown <= begun + 30 * MS, "frame {i}");
        }
    }

    #[test]
    fn outputs_wait_in_the_order_of_their_frames_and_not_too_many_of_them() {
        let mut pacer = Pacer::default();
        for frame_id in 0..WAITING as u64 {
            assert!(pacer.hold(output(frame_id), 10).is_none());
        }
        assert_eq!(pacer.hold(output(99), 0).map(|output| output.frame_id), Some(0), "the oldest goes at once");
        assert!(pacer.take_due(9).is_empty() && pacer.due() == Some(10));
        let due: Vec<u64> = pacer.take_due(10).iter().map(|output| output.frame_id).collect();
        assert_eq!(due, (1..WAITING as u64).chain([99]).collect::<Vec<_>>());
        assert_eq!(pacer.due(), None);
    }

    #[test]
    fn one_that_is_very_late_holds_up_none_after_it() {
        let took = (0..300).map(|i| if i == 200 { 90 } else { 20 });
        let shown = shown(took);
        assert_eq!(shown[200], (3200 + 90) * MS, "it is shown when it is there");
        // It takes as long as five frames: those that were ready meanwhile follow at once.
        assert!(shown.is_sorted(), "{shown:?}");
        assert!((205..300).all(|i| shown[i] == (16 * i as u64 + 20) * MS), "{shown:?}");
    }

    #[test]
    fn where_all_frames_take_longer_than_before_it_is_made_up_for_at_once_and_forgotten_when_it_is_over() {
        let took = (0..800).map(|i| if (200..300).contains(&i) { 40 } else { 20 });
        let shown = shown(took);
        assert!(worst(&shown[230..290]) == 0 && worst(&shown[600..]) == 0);
        assert_eq!(shown[799], (16 * 799 + 20) * MS);
    }
}
