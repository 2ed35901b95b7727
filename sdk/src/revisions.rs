//! Which scene revisions exist, what each is made of, and which peers hold it.

use crate::blob_store::BlobLease;
use crate::scene_handle::BaseRevision;
use rayloom_coordinator::{Constraints, PeerId};
use rayloom_wire::{SceneOffer, StateDelta};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Commits after which a revision can't be named any more, unless it is the newest of its scene.
pub(crate) const REVISIONS_NAMED: u64 = 512;
/// Revisions that are kept beyond: other threads may commit between a frame's check and its begin.
const KEPT_BEYOND: u64 = 64;
/// Base revisions of a scene that are kept and offered: the newest, and the one that peers hold until they have it.
const BASES_PER_SCENE: usize = 2;

/// What a frame of some revision is traced from.
#[derive(Clone, PartialEq)]
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
    /// The newest base of each scene that is not offered yet.
    waiting: BTreeMap<u32, BaseRevision>,
}

/// A base revision that peers may fetch.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) offer: SceneOffer,
    /// What a peer must be to be offered it.
    pub(crate) needs: Constraints,
    pub(crate) blobs: Arc<BlobLease>,
}

struct Base {
    scene: u32,
    offered: Offered,
    ready: BTreeSet<PeerId>,
    /// Some peer is ready for it, or said that it never will be.
    answered: bool,
}

impl Revisions {
    pub(crate) fn add(&mut self, scene: u32, revision: u64, base: u64, delta: Arc<StateDelta>) {
        self.revisions.insert(revision, Resolved { scene, base, delta });
        self.forget_before(revision.saturating_sub(REVISIONS_NAMED + KEPT_BEYOND - 1));
    }

    /// Forgets what is older, but for the newest of each base that is kept or waits: that is what is shown while a newer base is on
    /// its way, or of a scene that rests while others move.
    fn forget_before(&mut self, oldest: u64) {
        let waiting: BTreeSet<u64> = self.waiting.values().map(|base| base.revision).collect();
        let is_kept = |base: &u64| self.bases.contains_key(base) || waiting.contains(base);
        let mut later = BTreeSet::new();
        let mut is_needed = |this: &Resolved| later.insert(this.base) && is_kept(&this.base);
        // From the newest on.
        let unneeded = self.revisions.iter().rev().filter(|(_, this)| !is_needed(this)).map(|(revision, _)| *revision);
        let forgotten: Vec<u64> = unneeded.filter(|revision| *revision < oldest).collect();
        forgotten.iter().for_each(|revision| _ = self.revisions.remove(revision));
    }

    /// Gives a base back where it may be offered now. Where peers are still at the one before it, it waits, the newest of its
    /// scene: offers that come faster than peers take them would push the revision that is shown out of their memory. `is_any_there`:
    /// some connected peer may have what asks for that.
    pub(crate) fn wait_for_peers(
        &mut self,
        base: BaseRevision,
        is_any_there: impl Fn(&Constraints) -> bool,
    ) -> Option<BaseRevision> {
        if !self.is_awaited(base.scene, is_any_there) {
            self.waiting.remove(&base.scene);
            return Some(base);
        }
        self.waiting.insert(base.scene, base);
        None
    }

    /// Whether some peer is still at the newest base of a scene.
    fn is_awaited(&self, scene: u32, is_any_there: impl Fn(&Constraints) -> bool) -> bool {
        let newest = self.bases.values().rev().find(|other| other.scene == scene);
        newest.is_some_and(|newest| !newest.answered && is_any_there(&newest.offered.needs))
    }

    /// What a peer must be to have a base revision, while that is kept.
    pub(crate) fn needs(&self, scene: u32, revision: u64) -> Option<&Constraints> {
        self.bases.get(&revision).filter(|base| base.scene == scene).map(|base| &base.offered.needs)
    }

    /// A peer is ready for a revision or never will be; gives back the base that waited for that.
    pub(crate) fn answered(&mut self, scene: u32, revision: u64) -> Option<BaseRevision> {
        self.bases.get_mut(&revision).filter(|base| base.scene == scene)?.answered = true;
        self.is_newest(scene, revision).then(|| self.waiting.remove(&scene)).flatten()
    }

    /// What waits for peers that are no longer there: it is offered to whoever is, or comes.
    pub(crate) fn take_waiting(&mut self, is_any_there: impl Fn(&Constraints) -> bool) -> Vec<BaseRevision> {
        let scenes: Vec<u32> = self.waiting.keys().copied().collect();
        let over = scenes.into_iter().filter(|scene| !self.is_awaited(*scene, &is_any_there)).collect::<Vec<u32>>();
        over.iter().filter_map(|scene| self.waiting.remove(scene)).collect()
    }

    /// Keeps a base revision, and lets go of one that is no longer needed.
    pub(crate) fn add_base(&mut self, base: BaseRevision, blobs: Arc<BlobLease>) {
        let BaseRevision { scene, revision, packed, needs } = base;
        let root_bytes = packed.root.bytes.len() as u64;
        let offer = SceneOffer { scene, revision, root: packed.root.id.0, root_bytes };
        self.bases.insert(
            revision,
            Base { scene, offered: Offered { offer, needs, blobs }, ready: BTreeSet::new(), answered: false },
        );
        // What nobody holds goes first: a scene that is edited often must not push out the one that is being shown.
        loop {
            let of_scene: Vec<u64> = self.bases.iter().filter(|(_, b)| b.scene == scene).map(|(r, _)| *r).collect();
            if of_scene.len() <= BASES_PER_SCENE {
                return;
            }
            let kept = of_scene.iter().rev().find(|r| !self.bases[r].ready.is_empty()).copied();
            let newest = of_scene.last().copied();
            let victim = of_scene.into_iter().find(|r| Some(*r) != kept && Some(*r) != newest);
            let Some(victim) = victim else { return };
            self.bases.remove(&victim);
        }
    }

    pub(crate) fn remove_scene(&mut self, scene: u32) {
        self.revisions.retain(|_, revision| revision.scene != scene);
        self.bases.retain(|_, base| base.scene != scene);
        self.waiting.remove(&scene);
    }

    /// What is to be offered to every peer that may have it.
    pub(crate) fn offers(&self) -> Vec<Offered> {
        self.bases.values().map(|base| base.offered.clone()).collect()
    }

    /// True when this is news.
    pub(crate) fn peer_ready(&mut self, peer: PeerId, scene: u32, revision: u64) -> bool {
        self.bases.get_mut(&revision).is_some_and(|base| base.scene == scene && base.ready.insert(peer))
    }

    /// True when no newer base of its scene has taken the revision's place.
    pub(crate) fn is_newest(&self, scene: u32, revision: u64) -> bool {
        self.bases.iter().rev().find(|(_, base)| base.scene == scene).is_some_and(|(newest, _)| *newest == revision)
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

    /// True when the peer holds this base revision.
    pub(crate) fn is_held(&self, base: u64, peer: PeerId) -> bool {
        self.bases.get(&base).is_some_and(|base| base.ready.contains(&peer))
    }

    /// A revision that is still known.
    pub(crate) fn get(&self, revision: u64) -> Option<&Resolved> {
        self.revisions.get(&revision)
    }

    /// The very revision, and one of the peers which `usable` admits that can trace it; the embedded one where it can.
    pub(crate) fn held(&self, revision: u64, usable: impl Fn(PeerId) -> bool) -> Option<(Resolved, PeerId)> {
        let resolved = self.get(revision)?;
        let peer = self.bases.get(&resolved.base)?.ready.iter().rev().find(|peer| usable(**peer))?;
        Some((resolved.clone(), *peer))
    }

    /// The newest state at or before `revision` that one of the peers which `usable` admits can trace.
    pub(crate) fn resolve(&self, revision: u64, usable: impl Fn(PeerId) -> bool) -> Option<Resolved> {
        let wanted = self.revisions.get(&revision)?.scene;
        let mut of_scene = self.revisions.range(..=revision).rev().map(|(_, r)| r).filter(|r| r.scene == wanted);
        let held = |r: &&Resolved| self.bases.get(&r.base).is_some_and(|base| base.ready.iter().any(|p| usable(*p)));
        of_scene.find(held).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob_store::BlobStore;
    use rayloom_scene::Scene;

    fn add_base(revisions: &mut Revisions, scene: u32, revision: u64) {
        let packed = rayloom_scene::assets::pack(&Scene::default());
        let blobs = Arc::new(BlobStore::default()).insert(&packed);
        revisions.add_base(BaseRevision { scene, revision, packed, needs: Constraints::default() }, blobs);
    }

    fn add(revisions: &mut Revisions, revision: u64) {
        revisions.add(1, revision, revision, Arc::default());
        add_base(revisions, 1, revision);
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
    fn the_very_revision_is_held_by_the_peers_that_have_its_base() {
        let mut revisions = Revisions::default();
        add(&mut revisions, 1);
        let peer = |held: Option<(Resolved, PeerId)>| held.map(|(_, peer)| peer);
        assert_eq!(peer(revisions.held(1, |_| true)), None);
        revisions.peer_ready(PeerId(0), 1, 1);
        revisions.peer_ready(PeerId(u32::MAX), 1, 1);
        revisions.add(1, 2, 1, Arc::default());
        add(&mut revisions, 3);
        assert_eq!(peer(revisions.held(2, |_| true)), Some(PeerId(u32::MAX)));
        assert_eq!(peer(revisions.held(2, |peer| peer == PeerId(0))), Some(PeerId(0)));
        assert_eq!(peer(revisions.held(3, |_| true)), None, "an older one is another picture");
        assert_eq!(peer(revisions.held(4, |_| true)), None);
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
        let offered: Vec<u64> = revisions.offers().iter().map(|offered| offered.offer.revision).collect();
        assert_eq!(offered, [1, 8]);
    }

    #[test]
    fn one_base_at_a_time_is_offered_and_the_newest_waits() {
        let base = |revision| BaseRevision {
            scene: 1,
            revision,
            packed: rayloom_scene::assets::pack(&Scene::default()),
            needs: Constraints::default(),
        };
        let number = |base: Option<BaseRevision>| base.map(|base| base.revision);
        let mut revisions = Revisions::default();
        assert_eq!(number(revisions.wait_for_peers(base(1), |_| true)), Some(1));
        add(&mut revisions, 1);
        assert_eq!(number(revisions.wait_for_peers(base(2), |_| true)), None);
        assert_eq!(number(revisions.wait_for_peers(base(3), |_| true)), None);
        assert_eq!(number(revisions.answered(2, 1)), None, "of another scene");
        assert_eq!(number(revisions.answered(1, 1)), Some(3));
        add(&mut revisions, 3);
        assert_eq!(number(revisions.answered(1, 1)), None, "another peer, of an older one");
        assert_eq!(number(revisions.wait_for_peers(base(4), |_| false)), Some(4), "nobody is there to answer");
        assert_eq!(number(revisions.wait_for_peers(base(5), |_| true)), None);
        assert!(revisions.take_waiting(|_| true).is_empty(), "peers are still at it");
        assert_eq!(revisions.take_waiting(|_| false).len(), 1);
    }

    #[test]
    fn moves_do_not_push_out_what_is_shown_during_an_upload_or_of_a_scene_at_rest() {
        let mut revisions = Revisions::default();
        revisions.add(2, 1, 1, Arc::default());
        add_base(&mut revisions, 2, 1);
        revisions.peer_ready(PeerId(0), 2, 1);
        add(&mut revisions, 2);
        revisions.peer_ready(PeerId(0), 1, 2);
        add(&mut revisions, 3);
        let last = 4 + 2 * REVISIONS_NAMED;
        (4..=last).for_each(|revision| revisions.add(1, revision, 3, Arc::default()));
        assert_eq!(revisions.resolve(last, |_| true).unwrap().base, 2, "the newer base is not there yet");
        assert_eq!(revisions.resolve(1, |_| true).unwrap().base, 1, "the other scene rests");
        let kept = REVISIONS_NAMED + KEPT_BEYOND;
        assert!(revisions.get(last - kept + 1).is_some() && revisions.get(last - kept).is_none());
        assert_eq!(revisions.revisions.len() as u64, kept + 2);
    }

    #[test]
    fn the_newest_revision_of_a_scene_is_kept_while_its_base_waits() {
        let mut revisions = Revisions::default();
        add(&mut revisions, 1);
        let packed = rayloom_scene::assets::pack(&Scene::default());
        let base = BaseRevision { scene: 1, revision: 2, packed, needs: Constraints::default() };
        revisions.add(1, 2, 2, Arc::default());
        assert!(revisions.wait_for_peers(base, |_| true).is_none());
        let last = 3 + REVISIONS_NAMED + KEPT_BEYOND;
        (3..=last).for_each(|revision| revisions.add(2, revision, 3, Arc::default()));
        revisions.peer_ready(PeerId(0), 1, 1);
        assert_eq!(revisions.resolve(2, |_| true).unwrap().base, 1, "what is shown meanwhile");
    }

    #[test]
    fn a_destroyed_scene_is_not_shown_as_another() {
        let mut revisions = Revisions::default();
        add(&mut revisions, 1);
        revisions.peer_ready(PeerId(0), 1, 1);
        revisions.add(2, 2, 2, Arc::default());
        revisions.remove_scene(2);
        assert!(revisions.resolve(2, |_| true).is_none());
    }
}
