//! How far the peers are with each scene, for the engine to show.

use parking_lot::Mutex;
use rayloom_wire::SceneStage;
use std::collections::BTreeMap;

/// How far the peers are with the newest structural revision of a scene.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SceneProgress {
    /// That revision; 0 before the first commit.
    pub revision: u64,
    /// Connected peers that have said something of it, by their index in the session's list.
    pub peers: BTreeMap<u32, SceneStage>,
}

/// The progress of all scenes, by scene.
#[derive(Default)]
pub(crate) struct ProgressBoard {
    scenes: Mutex<BTreeMap<u32, SceneProgress>>,
}

impl ProgressBoard {
    /// A newer revision: what was said of the one before counts no more.
    pub(crate) fn begin(&self, scene: u32, revision: u64) {
        self.scenes.lock().insert(scene, SceneProgress { revision, peers: BTreeMap::new() });
    }

    pub(crate) fn end(&self, scene: u32) {
        self.scenes.lock().remove(&scene);
    }

    pub(crate) fn reached(&self, peer: u32, scene: u32, revision: u64, stage: SceneStage) {
        let mut scenes = self.scenes.lock();
        if let Some(progress) = scenes.get_mut(&scene).filter(|progress| progress.revision == revision) {
            progress.peers.insert(peer, stage);
        }
    }

    pub(crate) fn peer_lost(&self, peer: u32) {
        for progress in self.scenes.lock().values_mut() {
            progress.peers.remove(&peer);
        }
    }

    pub(crate) fn of(&self, scene: u32) -> SceneProgress {
        self.scenes.lock().get(&scene).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_revision_and_connected_peers_count() {
        let board = ProgressBoard::default();
        board.begin(1, 5);
        board.reached(0, 1, 5, SceneStage::Ready);
        board.reached(1, 1, 5, SceneStage::Building { fraction: 0.5 });
        assert_eq!(board.of(1).peers.len(), 2);
        board.peer_lost(0);
        assert_eq!(board.of(1).peers.keys().copied().collect::<Vec<_>>(), [1]);
        board.begin(1, 6);
        board.reached(1, 1, 5, SceneStage::Ready);
        assert_eq!(board.of(1), SceneProgress { revision: 6, peers: BTreeMap::new() });
        board.end(1);
        assert_eq!(board.of(1), SceneProgress::default());
    }
}
