//! The scenes of one session: offers waiting, the one on its way in, and the revisions that tasks may name.

use crate::render::ResidentScene;
use rayloom_wire::{SceneOffer, SceneStage, SceneStatus};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Scenes of a session at a time.
const SCENES: usize = 16;
/// Revisions of each that stay usable: the newest ones, since tasks of the last but one may still be on their way, and the
/// newest that tasks named. While a scene is edited fast an engine may let go of any of them but that one.
const READY_REVISIONS: usize = 3;
/// Names of blobs whose transfer failed, while pieces of them may still arrive.
const ABANDONED: usize = 8192;
/// Shortest time between two messages about progress.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// What a session knows of its scenes.
#[derive(Default)]
pub(crate) struct SceneTable {
    ready: HashMap<u32, VecDeque<(u64, Arc<ResidentScene>)>>,
    /// The newest revision of each scene that tasks named.
    named: HashMap<u32, u64>,
    waiting: VecDeque<SceneOffer>,
    abandoned: HashSet<[u8; 32]>,
    last_build_progress: Option<Instant>,
}

impl SceneTable {
    /// The revision that tasks name, if it is ready here.
    pub(crate) fn name(&mut self, scene: u32, revision: u64) -> Option<&Arc<ResidentScene>> {
        let (_, resident) = self.ready.get(&scene)?.iter().find(|(ready, _)| *ready == revision)?;
        let named = self.named.entry(scene).or_default();
        *named = revision.max(*named);
        Some(resident)
    }

    /// For people: which revisions of a scene are ready.
    pub(crate) fn ready_revisions(&self, scene: u32) -> String {
        match self.ready.get(&scene) {
            Some(ready) => {
                let revisions: Vec<String> = ready.iter().map(|(revision, _)| revision.to_string()).collect();
                format!("ready are {}", revisions.join(" and "))
            }
            None => "none is ready".into(),
        }
    }

    /// From now on tasks may name this revision.
    pub(crate) fn set_ready(&mut self, offer: &SceneOffer, resident: Arc<ResidentScene>) {
        let ready = self.ready.entry(offer.scene).or_default();
        ready.retain(|(revision, _)| *revision != offer.revision);
        if ready.len() == READY_REVISIONS {
            let named = self.named.get(&offer.scene);
            let oldest = ready.iter().position(|(revision, _)| Some(revision) != named);
            oldest.and_then(|oldest| ready.remove(oldest));
        }
        ready.push_back((offer.revision, resident));
    }

    /// Queues an offer; gives back one that it supersedes, or itself where there is no room, with the reason.
    pub(crate) fn queue(&mut self, offer: SceneOffer) -> Option<(SceneOffer, String)> {
        if let Some(older) = self.waiting.iter_mut().find(|waiting| waiting.scene == offer.scene) {
            let reason = format!("revision {} came before this one was asked for", offer.revision);
            return Some((std::mem::replace(older, offer), reason));
        }
        let known = self.ready.keys().chain(self.waiting.iter().map(|waiting| &waiting.scene));
        let scenes: HashSet<u32> = known.copied().collect();
        if scenes.len() >= SCENES && !scenes.contains(&offer.scene) {
            return Some((
                offer,
                format!("a session has at most {SCENES} scenes: use the number of one that is no longer needed"),
            ));
        }
        self.waiting.push_back(offer);
        None
    }

    /// The next offer to work on.
    pub(crate) fn next_waiting(&mut self) -> Option<SceneOffer> {
        self.waiting.pop_front()
    }

    /// Pieces of these may still be on their way and mean nothing any more.
    pub(crate) fn abandon(&mut self, blobs: impl Iterator<Item = [u8; 32]>) {
        if self.abandoned.len() > ABANDONED {
            self.abandoned.clear();
        }
        self.abandoned.extend(blobs);
    }

    pub(crate) fn is_abandoned(&self, blob: &[u8; 32]) -> bool {
        self.abandoned.contains(blob)
    }

    /// Whether it is time to tell of a build's progress again.
    pub(crate) fn build_progress_due(&mut self) -> bool {
        let due = self.last_build_progress.is_none_or(|last| last.elapsed() >= PROGRESS_INTERVAL);
        if due {
            self.last_build_progress = Some(Instant::now());
        }
        due
    }
}

pub(crate) fn status(offer: &SceneOffer, stage: SceneStage) -> rayloom_wire::Message {
    rayloom_wire::Message::SceneStatus(SceneStatus { scene: offer.scene, revision: offer.revision, stage })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENE: u32 = 4;

    fn table(revisions: impl IntoIterator<Item = u64>) -> SceneTable {
        let mut table = SceneTable::default();
        make_ready(&mut table, revisions);
        table
    }

    fn make_ready(table: &mut SceneTable, revisions: impl IntoIterator<Item = u64>) {
        for revision in revisions {
            let offer = SceneOffer { scene: SCENE, revision, root: [revision as u8; 32], root_bytes: 1 };
            table.set_ready(&offer, Arc::new(ResidentScene::without_device()));
        }
    }

    fn ready(table: &SceneTable) -> Vec<u64> {
        table.ready[&SCENE].iter().map(|(revision, _)| *revision).collect()
    }

    #[test]
    fn the_newest_revision_that_tasks_named_outlives_any_number_of_edits() {
        let mut table = table([1, 2]);
        assert!(table.name(SCENE, 1).is_some());
        make_ready(&mut table, 3..100);
        assert_eq!(ready(&table), [1, 98, 99]);
        assert!(table.name(SCENE, 98).is_some());
        // A late frame's tasks don't bring an old one back into favour.
        assert!(table.name(SCENE, 1).is_some());
        make_ready(&mut table, 100..102);
        assert_eq!(ready(&table), [98, 100, 101]);
        assert!(table.name(SCENE, 1).is_none(), "and what is gone is not named");
    }

    #[test]
    fn before_any_task_the_newest_stay() {
        let mut table = table(1..10);
        assert_eq!(ready(&table), [7, 8, 9]);
        make_ready(&mut table, [8]);
        assert_eq!(ready(&table), [7, 9, 8], "offered again, it is the newest once more");
        assert!(table.name(SCENE + 1, 8).is_none());
    }
}
