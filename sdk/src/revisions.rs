//! Which scene revisions exist, what each is made of, and which peers hold it.

use crate::scene_handle::BaseRevision;
use rayloom_coordinator::PeerId;
use rayloom_scene::assets::BlobId;
use rayloom_wire::{SceneOffer, StateDelta};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Revisions that a late frame may still name.
const REVISION_LIMIT: usize = 512;
/// Base revisions of a scene that are kept and offered: the newest, and the one that peers hold until they have it.
const BASES_PER_SCENE: usize = 2;

/// What a frame of some revision is traced from.
#[derive(Clone)]
pub(crate) struct Resolved {
    pub(crate) scene: u32,
    pub(crate) base: u64,
    pub(crate) delta: Arc<StateDelta>,
}

/// All revisions of a session; their numbers are unique in it.
#[derive(Default)]
pub(crate) struct Revisions {
    revisions: BTreeMap<u64, Resolved>,
    bases: BTreeMap<u64, Base>,
}

struct Base {
    scene: u32,
    offer: SceneOffer,
    blobs: Vec<BlobId>,
    ready: BTreeSet<PeerId>,
}

impl Revisions {
    pub(crate) fn add(&mut self, scene: u32, revision: u64, base: u64, delta: Arc<StateDelta>) {
        self.revisions.insert(revision, Resolved { scene, base, delta });
        while self.revisions.len() > REVISION_LIMIT {
            self.revisions.pop_first();
        }
    }

    /// Returns the blobs of base revisions that are no longer kept.
    pub(crate) fn add_base(&mut self, base: BaseRevision) -> Vec<BlobId> {
        let BaseRevision { scene, revision, packed } = base;
        let root_bytes = packed.root.bytes.len() as u64;
        let offer = SceneOffer { scene, revision, root: packed.root.id.0, root_bytes };
        let blobs = packed.blobs.iter().map(|blob| blob.id).chain([packed.root.id]).collect();
        self.bases.insert(revision, Base { scene, offer, blobs, ready: BTreeSet::new() });
        // What nobody holds goes first: a scene that is edited often must not push out the one that is being shown.
        let mut retired = Vec::new();
        loop {
            let of_scene: Vec<u64> = self.bases.iter().filter(|(_, b)| b.scene == scene).map(|(r, _)| *r).collect();
            if of_scene.len() <= BASES_PER_SCENE {
                return retired;
            }
            let kept = of_scene.iter().rev().find(|r| !self.bases[r].ready.is_empty()).copied();
            let newest = of_scene.last().copied();
            let victim = of_scene.into_iter().find(|r| Some(*r) != kept && Some(*r) != newest);
            let Some(base) = victim.and_then(|victim| self.bases.remove(&victim)) else { return retired };
            retired.extend(base.blobs);
        }
    }

    pub(crate) fn remove_scene(&mut self, scene: u32) -> Vec<BlobId> {
        self.revisions.retain(|_, revision| revision.scene != scene);
        let gone: Vec<u64> = self.bases.iter().filter(|(_, b)| b.scene == scene).map(|(r, _)| *r).collect();
        gone.into_iter().filter_map(|revision| self.bases.remove(&revision)).flat_map(|base| base.blobs).collect()
    }

    /// What is to be offered to every peer.
    pub(crate) fn offers(&self) -> Vec<SceneOffer> {
        self.bases.values().map(|base| base.offer.clone()).collect()
    }

    /// True when this is news.
    pub(crate) fn peer_ready(&mut self, peer: PeerId, scene: u32, revision: u64) -> bool {
        self.bases.get_mut(&revision).is_some_and(|base| base.scene == scene && base.ready.insert(peer))
    }

    pub(crate) fn peer_lost(&mut self, peer: PeerId) {
        self.bases.values_mut().for_each(|base| {
            base.ready.remove(&peer);
        });
    }

    /// Base revisions that this peer holds, as (scene, revision).
    pub(crate) fn held_by(&self, peer: PeerId) -> Vec<(u32, u64)> {
        self.bases.iter().filter(|(_, base)| base.ready.contains(&peer)).map(|(r, base)| (base.scene, *r)).collect()
    }

    /// The newest state at or before `revision` that one of the peers which `usable` admits can trace.
    pub(crate) fn resolve(&self, revision: u64, usable: impl Fn(PeerId) -> bool) -> Option<Resolved> {
        let wanted = self.revisions.range(..=revision).next_back()?.1.scene;
        let mut of_scene = self.revisions.range(..=revision).rev().map(|(_, r)| r).filter(|r| r.scene == wanted);
        let held = |r: &&Resolved| self.bases.get(&r.base).is_some_and(|base| base.ready.iter().any(|p| usable(*p)));
        of_scene.find(held).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_scene::Scene;

    fn base(scene: u32, revision: u64) -> BaseRevision {
        BaseRevision { scene, revision, packed: rayloom_scene::assets::pack(&Scene::default()) }
    }

    fn add(revisions: &mut Revisions, revision: u64) {
        revisions.add(1, revision, revision, Arc::default());
        revisions.add_base(base(1, revision));
    }

    #[test]
    fn frames_show_the_last_revision_that_a_peer_holds() {
        let mut revisions = Revisions::default();
        add(&mut revisions, 1);
        assert!(revisions.resolve(1, |_| true).is_none());
        assert!(revisions.peer_ready(PeerId(0), 1, 1));
        add(&mut revisions, 2);
        assert_eq!(revisions.resolve(2, |_| true).unwrap().base, 1);
        assert!(revisions.peer_ready(PeerId(0), 1, 2));
        assert_eq!(revisions.resolve(2, |_| true).unwrap().base, 2);
        assert_eq!(revisions.resolve(1, |_| true).unwrap().base, 1);
        assert!(revisions.resolve(2, |_| false).is_none());
    }

    #[test]
    fn fast_edits_do_not_push_out_the_revision_that_is_shown() {
        let mut revisions = Revisions::default();
        add(&mut revisions, 1);
        revisions.peer_ready(PeerId(0), 1, 1);
        for revision in 2..9 {
            add(&mut revisions, revision);
        }
        assert_eq!(revisions.resolve(8, |_| true).unwrap().base, 1);
        let offered: Vec<u64> = revisions.offers().iter().map(|offer| offer.revision).collect();
        assert_eq!(offered, [1, 8]);
    }
}
