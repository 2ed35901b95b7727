//! Records on their way to the disk, bounded by their content's bytes.

use super::Record;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;

/// Planes wait beyond this many bytes.
const ROOM: usize = 256 << 20;
/// Beyond this many the capture ends: what comes from threads that may not wait is more than the disk takes.
const LIMIT: usize = 4 * ROOM;

/// A queue with one reader.
#[derive(Default)]
pub(crate) struct RecordQueue {
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

impl RecordQueue {
    /// Never waits; false when there is no room at all. What comes after the end is dropped.
    pub(crate) fn put(&self, ns: u64, record: Record) -> bool {
        let mut state = self.state.lock();
        let weight = record.weight();
        if state.closed || state.abandoned {
            return true;
        }
        if state.bytes + weight > LIMIT.max(weight) {
            return false;
        }
        state.bytes += weight;
        state.waiting.push_back((ns, record));
        drop(state);
        self.came.notify_one();
        true
    }

    /// Waits until less than [`ROOM`] bytes wait, or nobody reads any more.
    pub(crate) fn wait_for_room(&self) {
        let mut state = self.state.lock();
        self.went.wait_while(&mut state, |state| state.bytes > ROOM && !state.abandoned);
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
