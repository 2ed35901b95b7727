//! The scenes of one session: offers waiting, the one on its way in, and the revisions that tasks may name.

use crate::render::ResidentScene;
use rayloom_wire::{SceneOffer, SceneStage, SceneStatus};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Scenes of a session at a time.
const SCENES: usize = 16;
/// Revisions of each that stay usable: the newest, and the one whose tasks may still be on their way.
const READY_REVISIONS: usize = 2;
/// Names of blobs whose transfer failed, while pieces of them may still arrive.
const ABANDONED: usize = 8192;
/// Shortest time between two messages about progress.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// What a session knows of its scenes.
#[derive(Default)]
pub(crate) struct SceneTable {
    ready: HashMap<u32, VecDeque<(u64, Arc<ResidentScene>)>>,
    waiting: VecDeque<SceneOffer>,
    abandoned: HashSet<[u8; 32]>,
    last_build_progress: Option<Instant>,
}

impl SceneTable {
    /// The revision, if it is ready here.
    pub(crate) fn find(&self, scene: u32, revision: u64) -> Option<&Arc<ResidentScene>> {
        self.ready.get(&scene)?.iter().find(|(ready, _)| *ready == revision).map(|(_, resident)| resident)
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
            ready.pop_front();
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
