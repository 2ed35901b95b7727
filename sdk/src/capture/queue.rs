//! Records on their way to the disk, bounded by their content's bytes.

use super::Record;
use rayloom_sync::{Condvar, Mutex};
use std::collections::VecDeque;

/// Planes wait beyond this many bytes.
const ROOM: usize = 256 << 20;
/// Beyond this many the capture ends: what comes from threads that may not wait is more than the disk takes.
const LIMIT: usize = 4 * ROOM;

/// A queue with one reader.
pub(crate) struct RecordQueue {
    /// Bytes: [`ROOM`] and [`LIMIT`], less in tests.
    room: usize,
    limit: usize,
    state: Mutex<State>,
    /// Something came, or the end.
    came: Condvar,
    /// Something was written, or nothing will be any more.
    went: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(u64, Record)>,
    bytes: usize,
    /// No more will be put.
    closed: bool,
    /// The reader takes no more.
    abandoned: bool,
}

impl Default for RecordQueue {
    fn default() -> RecordQueue {
        RecordQueue::new(ROOM, LIMIT)
    }
}

impl RecordQueue {
    fn new(room: usize, limit: usize) -> RecordQueue {
        RecordQueue { room, limit, state: Mutex::default(), came: Condvar::new(), went: Condvar::new() }
    }

    /// Never waits; false when there is no room at all. What comes after the end is dropped.
    pub(crate) fn put(&self, ns: u64, record: Record) -> bool {
        let mut state = self.state.lock();
        let weight = record.weight();
        if state.closed || state.abandoned {
            return true;
        }
        if state.bytes + weight > self.limit.max(weight) {
            return false;
        }
        state.bytes += weight;
        state.waiting.push_back((ns, record));
        drop(state);
        self.came.notify_one();
        true
    }

    /// Waits until no more than [`ROOM`] bytes wait, or nobody reads any more.
    pub(crate) fn wait_for_room(&self) {
        let mut state = self.state.lock();
        self.went.wait_while(&mut state, |state| state.bytes > self.room && !state.abandoned);
    }

    /// The next record; `None` after the last. Its bytes count until [`RecordQueue::written`] says otherwise.
    pub(crate) fn take(&self) -> Option<(u64, Record)> {
        let mut state = self.state.lock();
        self.came.wait_while(&mut state, |state| state.waiting.is_empty() && !state.closed);
        state.waiting.pop_front()
    }

    /// True when the reader has taken all there is: a time to flush.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().waiting.is_empty()
    }

    pub(crate) fn written(&self, weight: usize) {
        self.state.lock().bytes -= weight;
        self.went.notify_all();
    }

    /// No more will be put: the reader ends when it has taken what is there.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.came.notify_all();
    }

    /// The reader takes no more.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.abandoned = true;
        state.waiting.clear();
        drop(state);
        self.went.notify_all();
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod schedules {
    use super::*;
    use rayloom_sync::try_schedules;
    use shuttle::sync::Arc;
    use shuttle::thread;

    const ONE: usize = 1024;

    fn record(text: &str) -> Record {
        Record::Note(text.into())
    }

    /// Two threads that put records, one of which waits for room before each.
    fn put_by_two(queue: &Arc<RecordQueue>) -> [thread::JoinHandle<bool>; 2] {
        [false, true].map(|waits| {
            let queue = Arc::clone(queue);
            thread::spawn(move || {
                (0..3).all(|ns| {
                    if waits {
                        queue.wait_for_room();
                    }
                    queue.put(ns + if waits { 10 } else { 0 }, record("x"))
                })
            })
        })
    }

    #[test]
    fn every_record_is_taken_in_its_thread_s_order_and_whoever_waits_for_room_gets_it() {
        try_schedules(|| {
            let queue = Arc::new(RecordQueue::new(ONE, 6 * ONE));
            let reader = {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut taken = Vec::new();
                    while let Some((ns, record)) = queue.take() {
                        taken.push(ns);
                        queue.written(record.weight());
                    }
                    taken
                })
            };
            assert!(put_by_two(&queue).into_iter().all(|thread| thread.join().unwrap()));
            queue.close();
            let taken = reader.join().unwrap();
            let of = |ns: std::ops::Range<u64>| taken.iter().copied().filter(|at| ns.contains(at)).collect::<Vec<_>>();
            assert_eq!((of(0..10), of(10..20)), (vec![0, 1, 2], vec![10, 11, 12]), "{taken:?}");
        });
    }

    #[test]
    fn nobody_waits_for_a_reader_that_is_gone() {
        try_schedules(|| {
            let queue = Arc::new(RecordQueue::new(ONE, 6 * ONE));
            let reader = {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    // The disk is full after one.
                    let first = queue.take();
                    queue.abandon();
                    first.is_some()
                })
            };
            // Those that came before and those that come after: none is refused.
            assert!(put_by_two(&queue).into_iter().all(|thread| thread.join().unwrap()));
            assert!(reader.join().unwrap());
        });
    }
}
