//! Work of a frame in parts, for threads that others own.

use std::sync::{Mutex, PoisonError};

/// Rows of the bands that frames are worked on in; [`crate::features::BLOCK_SIZE`], so that a band is a row of blocks.
pub(crate) const BAND_ROWS: usize = 16;

/// Runs the parts of a frame's work. This crate owns no threads: an application may give a pool of its own.
///
/// Whatever the order of the parts and the number of threads, the result has the same bits.
pub trait Workers {
    /// Calls `work` once for each number in `0..parts`, in any order and from any threads; returns when all calls have.
    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync));
}

/// One part after the other, on the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Workers for Inline {
    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..parts).for_each(work);
    }
}

/// Gives each part to one call of `work`. Calls take the parts from where they are made: a list of them would be memory taken
/// with each frame.
pub(crate) fn for_each<P: IntoIterator>(workers: &dyn Workers, parts: P, work: impl Fn(P::Item) + Sync)
where
    P::IntoIter: ExactSizeIterator + Send,
{
    let parts = parts.into_iter();
    let count = parts.len();
    let parts = Mutex::new(parts);
    workers.run(count, &|_| {
        let part = parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        if let Some(part) = part {
            work(part);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_worked_on_once_even_when_asked_for_twice() {
        struct Twice;
        impl Workers for Twice {
            fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
                (0..parts).rev().chain(0..parts).for_each(work);
            }
        }
        for workers in [&Inline as &dyn Workers, &Twice] {
            let mut counts = [0; 5];
            for_each(workers, counts.iter_mut(), |count| *count += 1);
            assert_eq!(counts, [1; 5]);
        }
    }
}
