//! A queue that a thread waits on.

use std::collections::VecDeque;
use std::fmt;

use crate::{Condvar, Mutex};

/// Jobs for threads that wait for them, until it is closed. How many may wait is its owner's to bound.
pub struct Queue<J> {
    state: Mutex<State<J>>,
    came: Condvar,
}

struct State<J> {
    waiting: VecDeque<J>,
    is_closed: bool,
}

impl<J> Default for Queue<J> {
    fn default() -> Queue<J> {
        let state = State { waiting: VecDeque::new(), is_closed: false };
        Queue { state: Mutex::new(state), came: Condvar::new() }
    }
}

impl<J> fmt::Debug for Queue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl<J> Queue<J> {
    /// Adds a job; gives it back once the queue is closed.
    ///
    /// # Errors
    /// The job.
    pub fn push(&self, job: J) -> Result<(), J> {
        self.put(job, |waiting, job| waiting.push_back(job))
    }

    /// Adds a job where `place` wants it: instead of another one, before others. `place` runs under the lock: what it takes out it
    /// gives back, to be dropped outside of it.
    ///
    /// # Errors
    /// The job, once the queue is closed.
    pub fn put<R>(&self, job: J, place: impl FnOnce(&mut VecDeque<J>, J) -> R) -> Result<R, J> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(job);
        }
        let placed = place(&mut state.waiting, job);
        drop(state);
        self.came.notify_one();
        Ok(placed)
    }

    /// Waits for a job; `None` once the queue is closed.
    pub fn pop(&self) -> Option<J> {
        let mut state = self.state.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(job) = state.waiting.pop_front() {
                return Some(job);
            }
            self.came.wait(&mut state);
        }
    }

    /// Drops the jobs that are not kept, outside the lock: what a job carries may take locks of its own.
    pub fn retain(&self, keep: impl Fn(&J) -> bool) {
        let dropped: Vec<J> = {
            let mut state = self.state.lock();
            let (kept, dropped) = std::mem::take(&mut state.waiting).into_iter().partition(keep);
            state.waiting = kept;
            dropped.into()
        };
        drop(dropped);
    }

    /// Drops what waits and takes no more; threads that wait go on.
    pub fn close(&self) {
        let dropped = {
            let mut state = self.state.lock();
            state.is_closed = true;
            std::mem::take(&mut state.waiting)
        };
        self.came.notify_all();
        drop(dropped);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn jobs_come_in_order_but_for_those_that_are_placed_or_dropped() {
        let queue = Queue::default();
        (0..4).for_each(|job| queue.push(job).unwrap());
        assert_eq!(queue.put(9, |waiting, job| waiting.insert(1, job)), Ok(()));
        queue.retain(|job| *job != 2);
        assert_eq!([(); 4].map(|()| queue.pop().unwrap()), [0, 9, 1, 3]);
        queue.push(5).unwrap();
        queue.close();
        assert_eq!((queue.push(6), queue.pop()), (Err(6), None));
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod schedules {
    use super::*;
    use crate::try_schedules;
    use shuttle::sync::Arc;
    use shuttle::thread;

    #[test]
    fn no_job_is_lost_or_done_twice_and_every_thread_ends() {
        try_schedules(|| {
            let queue = Arc::new(Queue::default());
            let workers: Vec<_> = (0..2)
                .map(|_| {
                    let queue = Arc::clone(&queue);
                    thread::spawn(move || std::iter::from_fn(|| queue.pop()).take(3).collect::<Vec<i32>>())
                })
                .collect();
            let makers: Vec<_> = [0, 10]
                .into_iter()
                .map(|first| {
                    let queue = Arc::clone(&queue);
                    thread::spawn(move || (first..first + 3).for_each(|job| queue.push(job).unwrap()))
                })
                .collect();
            makers.into_iter().for_each(|maker| maker.join().unwrap());
            // Three each: they end without the queue being closed only where no wake is lost.
            let done: Vec<Vec<i32>> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
            let mut all = done.concat();
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2, 10, 11, 12]);
            for done in done {
                let of = |maker: i32| done.iter().filter(|job| **job / 10 == maker).copied().collect::<Vec<_>>();
                assert!(of(0).is_sorted() && of(1).is_sorted(), "{done:?}");
            }
        });
    }

    #[test]
    fn whoever_waits_hears_of_the_end() {
        try_schedules(|| {
            let queue = Arc::new(Queue::default());
            let workers: Vec<_> = (0..2)
                .map(|_| {
                    let queue = Arc::clone(&queue);
                    thread::spawn(move || while queue.pop().is_some() {})
                })
                .collect();
            let maker = {
                let queue = Arc::clone(&queue);
                thread::spawn(move || (0..3).map(|job| queue.push(job).is_err()).collect::<Vec<_>>())
            };
            queue.retain(|job| *job != 1);
            queue.close();
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            let refused = maker.join().unwrap();
            assert!(refused.is_sorted(), "none is taken after one was refused: {refused:?}");
            assert_eq!(queue.pop(), None);
        });
    }
}
