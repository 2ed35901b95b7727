//! Numbers of revisions: which were given, and whether the scene of one is still there.

use crate::Error;
use crate::revisions::REVISIONS_NAMED;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// The revisions of a session's scenes; their numbers are unique in it, and grow from 1.
#[derive(Default)]
pub(crate) struct Committed {
    given: Mutex<Given>,
}

#[derive(Default)]
struct Given {
    last: u64,
    /// Numbers of each scene that is there, in runs that follow each other; of those that can't be named any more only some are there.
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
        // The newest of all stays, however old.
        while runs.len() > 1 && runs[0].end <= number.saturating_sub(REVISIONS_NAMED - 1) {
            runs.pop_front();
        }
        number
    }

    /// A scene is gone with all its revisions.
    pub(crate) fn end(&self, scene: u32) {
        self.given.lock().scenes.remove(&scene);
    }

    /// Refuses what no commit has answered, what went with its scene, and what is forgotten.
    pub(crate) fn check(&self, revision: u64) -> Result<(), Error> {
        let given = self.given.lock();
        let oldest = given.last.saturating_sub(REVISIONS_NAMED - 1);
        let may_be_named = |runs: &VecDeque<Range<u64>>| {
            let at = runs.partition_point(|run| run.end <= revision);
            let is_newest = runs.back().is_some_and(|run| run.end == revision + 1);
            is_newest || revision >= oldest && runs.get(at).is_some_and(|run| run.contains(&revision))
        };
        if revision <= given.last && given.scenes.values().any(may_be_named) {
            return Ok(());
        }
        let reason = match given.last {
            0 => format!("revision {revision} was never committed: commit a scene first"),
            last if revision == 0 || revision > last => {
                format!("revision {revision} was never committed: the last was {last}")
            }
            last if revision < oldest => format!(
                "revision {revision} is forgotten: the last is {last}, and of each scene that is there the newest can be named, and what \
                 is among the session's last {REVISIONS_NAMED}"
            ),
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
    fn what_is_long_past_is_refused_in_words_of_its_own() {
        let committed = Committed::default();
        let rounds = 4 * REVISIONS_NAMED;
        assert_eq!([3, 3].map(|scene| committed.next(scene)), [1, 2]);
        for _ in 0..rounds {
            let two = [1, 2].map(|scene| committed.next(scene));
            assert_eq!(two[0] + 1, two[1]);
        }
        let last = 2 + 2 * rounds;
        let oldest = last - REVISIONS_NAMED + 1;
        assert!(committed.given.lock().scenes.values().all(|runs| runs.len() as u64 <= REVISIONS_NAMED / 2 + 1));
        assert_eq!([2, oldest, last - 1, last].map(|revision| refused(&committed, revision)), [""; 4]);
        let forgotten = |revision| refused(&committed, revision).contains("is forgotten: the last is");
        assert_eq!([1, 3, oldest - 1].map(forgotten), [true; 3]);
        committed.end(2);
        assert!(refused(&committed, last).contains("destroyed"));
        assert_eq!(refused(&committed, last - 1), "");
        committed.end(3);
        assert!(forgotten(2));
        assert!(refused(&committed, u64::MAX).contains("never committed"));
    }
}
