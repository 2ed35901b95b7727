//! What one session may have under way: bounds every queue between a task's message and its answer.

use parking_lot::Mutex;
use rayloom_wire::TaskRefusal;
use std::collections::HashMap;
use std::sync::Arc;

/// A session's tasks that are under way.
pub(crate) struct Quota {
    tasks_most: usize,
    pixels_most: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Whether it was cancelled, by id.
    tasks: HashMap<u64, bool>,
    pixels: usize,
}

/// One task under way; dropping it makes room for another.
pub(crate) struct TaskGuard {
    task: u64,
    pixels: usize,
    state: Arc<Mutex<State>>,
}

impl Quota {
    pub(crate) fn new(tasks_most: usize, pixels_most: usize) -> Quota {
        Quota { tasks_most, pixels_most, state: Arc::default() }
    }

    /// Room for a task of this many pixels, or why there is none: what is lacking, and for people.
    pub(crate) fn take(&self, task: u64, pixels: usize) -> Result<TaskGuard, (TaskRefusal, String)> {
        let mut state = self.state.lock();
        if state.tasks.contains_key(&task) {
            let reason = format!("task {task} is under way already: ids are unique in a session");
            return Err((TaskRefusal::Other, reason));
        }
        if pixels > self.pixels_most {
            let reason =
                format!("a tile of {pixels} pixels is never taken, at most {} are: cut it smaller", self.pixels_most);
            return Err((TaskRefusal::Other, reason));
        }
        if state.tasks.len() >= self.tasks_most {
            let tasks = state.tasks.len();
            let reason =
                format!("{tasks} tasks are under way, which is the most per session: send fewer or cancel some");
            return Err((TaskRefusal::Room, reason));
        }
        let total = state.pixels.saturating_add(pixels);
        if total > self.pixels_most {
            let most = self.pixels_most;
            let reason = format!("{total} pixels would be under way, at most {most} may be: send fewer or cancel some");
            return Err((TaskRefusal::Room, reason));
        }
        state.pixels = total;
        state.tasks.insert(task, false);
        Ok(TaskGuard { task, pixels, state: self.state.clone() })
    }

    /// Marks tasks so that what is traced of them already is not sent.
    pub(crate) fn cancel(&self, tasks: &[u64]) {
        let mut state = self.state.lock();
        for task in tasks {
            if let Some(cancelled) = state.tasks.get_mut(task) {
                *cancelled = true;
            }
        }
    }
}

impl TaskGuard {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.lock().tasks.get(&self.task).copied().unwrap_or(true)
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        state.tasks.remove(&self.task);
        state.pixels -= self.pixels;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_task_makes_room_and_frees_its_id() {
        let quota = Quota::new(2, 100);
        let first = quota.take(1, 60).unwrap();
        let lacks = |task, pixels| quota.take(task, pixels).err().map(|(lacks, _)| lacks);
        assert_eq!(lacks(1, 1), Some(TaskRefusal::Other), "the id is taken");
        assert_eq!(lacks(2, 60), Some(TaskRefusal::Room), "too many pixels");
        assert_eq!(lacks(2, 101), Some(TaskRefusal::Other), "it never fits");
        let second = quota.take(2, 40).unwrap();
        assert_eq!(lacks(3, 0), Some(TaskRefusal::Room), "too many tasks");
        quota.cancel(&[2, 9]);
        assert!(second.is_cancelled() && !first.is_cancelled());
        drop(first);
        assert!(quota.take(1, 60).is_ok());
    }
}
