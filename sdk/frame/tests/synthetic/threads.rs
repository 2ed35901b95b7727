//! Threads that work on a frame in another order than one thread does.

use rayloom_frame::Workers;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Three threads that take parts from the last to the first.
pub(crate) struct Threads;

impl Workers for Threads {
    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        let taken = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while let Some(part) = parts.checked_sub(1 + taken.fetch_add(1, Ordering::Relaxed)) {
                        work(part);
                    }
                });
            }
        });
    }
}
