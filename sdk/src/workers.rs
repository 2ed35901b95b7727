//! The threads that merge a frame together: each takes the next part until none is left.

use rayloom_frame::{Inline, Workers};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Works on the calling thread and on others, which live for one call: starting them costs some ten microseconds, against
/// milliseconds of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MergeThreads {
    /// The calling one counted.
    pub(crate) count: usize,
}

impl Workers for MergeThreads {
    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        let helpers = self.count.min(parts).saturating_sub(1);
        if helpers == 0 {
            return Inline.run(parts, work);
        }
        let next = AtomicUsize::new(0);
        let take_parts = || {
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    return;
                }
                work(part);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                let started = std::thread::Builder::new().name("rayloom-merge".into()).spawn_scoped(scope, take_parts);
                // The calling thread does what nobody else does.
                if let Err(error) = started {
                    tracing::warn!("merging with fewer threads: {error}");
                }
            }
            take_parts();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn every_part_is_done_once_whoever_does_it() {
        for count in [1, 2, 5] {
            for parts in [0, 1, 3, 64] {
                let done: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
                MergeThreads { count }.run(parts, &|part| {
                    done[part].fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|times| times.load(Ordering::Relaxed) == 1), "{count} threads, {parts} parts");
            }
        }
    }

    #[test]
    fn threads_work_at_the_same_time() {
        // Two parts that wait for each other end only where two threads have them.
        let together = Barrier::new(2);
        MergeThreads { count: 2 }.run(2, &|_| {
            together.wait();
        });
    }
}
