//! Numbers of revisions: which were given, and whether the scene of one is still there.

use crate::Error;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Runs of numbers that are kept apart for each scene; the oldest grow together beyond that, and take in what other scenes had between.
const RUNS_PER_SCENE: usize = 512;

/// The revisions of a session's scenes; their numbers are unique in it, and grow from 1.
#[derive(Default)]
pub(crate) struct Committed {
    given: Mutex<Given>,
}

#[derive(Default)]
struct Given {
    last: u64,
    /// Numbers of each scene that is there, in runs that follow each other.
    scenes: BTreeMap<u32, VecDeque<Range<u64>>>,
}

impl Committed {
    /// The next number, for a scene.
    pub(crate) fn next(&self, scene: u32) -> u64 {
        let mut given = self.given.lock();
        given.last += 1;
        let number = given.last;
        let runs = given.scenes.entry(scene).or_default();
        match runs.back_mut() {
            Some(run) if run.end == number => run.end += 1,
            _ => runs.push_back(number..number + 1),
        }
        if runs.len() > RUNS_PER_SCENE
            && let Some(oldest) = runs.pop_front()
        {
            runs[0].start = oldest.start;
        }
        number
    }

    /// A scene is gone with all its revisions.
    pub(crate) fn end(&self, scene: u32) {
        self.given.lock().scenes.remove(&scene);
    }

    /// Refuses what no commit has answered, and what went with its scene.
    pub(crate) fn check(&self, revision: u64) -> Result<(), Error> {
        let given = self.given.lock();
        let has = |runs: &VecDeque<Range<u64>>| {
            let at = runs.partition_point(|run| run.end <= revision);
            runs.get(at).is_some_and(|run| run.contains(&revision))
        };
        if given.scenes.values().any(has) {
            return Ok(());
        }
        let reason = match given.last {
            0 => format!("revision {revision} was never committed: commit a scene first"),
            last if revision == 0 || revision > last => {
                format!("revision {revision} was never committed: the last was {last}")
            }
            _ => format!(
                "revision {revision} went with its scene, which was destroyed: name one of a scene that is there"
            ),
        };
        Err(Error::InvalidArgument(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(committed: &Committed, revision: u64) -> String {
        committed.check(revision).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn revisions_go_with_their_scene() {
        let committed = Committed::default();
        assert_eq!(refused(&committed, 1), "revision 1 was never committed: commit a scene first");
        assert_eq!([1, 2, 1, 1, 2].map(|scene| committed.next(scene)), [1, 2, 3, 4, 5]);
        assert_eq!([1, 2, 3, 4, 5].map(|revision| refused(&committed, revision)), [""; 5]);
        committed.end(1);
        let gone = |revision| {
            format!("revision {revision} went with its scene, which was destroyed: name one of a scene that is there")
        };
        assert_eq!([1, 3, 4].map(|revision| refused(&committed, revision)), [1, 3, 4].map(gone));
        assert_eq!([2, 5].map(|revision| refused(&committed, revision)), [""; 2]);
        assert_eq!(committed.next(1), 6, "another scene has the number now");
        assert_eq!((refused(&committed, 6).as_str(), refused(&committed, 4)), ("", gone(4)));
        assert_eq!([0, 7].map(|revision| refused(&committed, revision).contains("the last was 6")), [true; 2]);
    }

    #[test]
    fn scenes_that_take_turns_cost_no_more_and_more() {
        let committed = Committed::default();
        let rounds = 4 * RUNS_PER_SCENE as u64;
        for _ in 0..rounds {
            let two = [1, 2].map(|scene| committed.next(scene));
            assert_eq!(two[0] + 1, two[1]);
        }
        assert_eq!(committed.given.lock().scenes[&1].len(), RUNS_PER_SCENE);
        assert_eq!([1, 2, rounds, 2 * rounds].map(|revision| refused(&committed, revision)), [""; 4]);
        committed.end(2);
        assert!(refused(&committed, 2 * rounds).contains("destroyed"));
        assert_eq!(refused(&committed, 2 * rounds - 1), "");
    }
}
