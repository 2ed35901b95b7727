//! Which peers may have a scene: nobody else is offered it, or sent anything of it.

use crate::event::Event;
use crate::revisions::Offered;
use rayloom_coordinator::{Constraints, PeerId, PeerTraits, Requirement};
use rayloom_wire::PeerInfo;
use std::collections::BTreeSet;

/// A peer by its hello, and by whether the engine trusts it.
pub(crate) fn traits(info: &PeerInfo, is_trusted: bool) -> PeerTraits {
    PeerTraits {
        is_cpu: info.is_cpu,
        has_ray_tracing: info.uses_ray_tracing_units(),
        is_trusted,
        // Stored captures need no memory.
        memory_bytes: if info.stored_traces { 0 } else { info.memory_bytes },
    }
}

/// Scenes that peers may not have, of which the engine was told.
#[derive(Default)]
pub(crate) struct Withheld {
    told: BTreeSet<(PeerId, u32)>,
}

impl Withheld {
    /// What there is to tell of scenes that this peer is not offered; of each once.
    pub(crate) fn news(&mut self, peer: PeerId, traits: &PeerTraits, offers: &[Offered]) -> Vec<Event> {
        let of_scene = |offered: &Offered| {
            let requirement = offered.needs.unmet(traits)?;
            let is_news = self.told.insert((peer, offered.offer.scene));
            let cause = why(requirement, &offered.needs, traits);
            is_news.then_some(Event::SceneFailed { revision: offered.offer.revision, peer: peer.0, cause })
        };
        offers.iter().rev().filter_map(of_scene).collect()
    }

    pub(crate) fn peer_lost(&mut self, lost: PeerId) {
        self.told.retain(|(peer, _)| *peer != lost);
    }

    pub(crate) fn remove_scene(&mut self, gone: u32) {
        self.told.retain(|(_, scene)| *scene != gone);
    }
}

fn why(requirement: Requirement, needs: &Constraints, traits: &PeerTraits) -> String {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let rest = "nothing of it is sent to this peer";
    match requirement {
        Requirement::Memory => {
            let (needed, there) = (mib(needs.memory_bytes), mib(traits.memory_bytes));
            format!("it needs {needed} MiB of memory at least, and the peer has {there} MiB: {rest}")
        }
        other => format!("it asks for {other}: {rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob_store::BlobStore;
    use rayloom_wire::SceneOffer;
    use std::sync::Arc;

    fn offered(revision: u64, needs: Constraints) -> Offered {
        let packed = rayloom_scene::assets::pack(&rayloom_scene::Scene::default());
        let blobs = Arc::new(BlobStore::default()).insert(&packed);
        Offered { offer: SceneOffer { scene: 3, revision, root: [0; 32], root_bytes: 1 }, needs, blobs }
    }

    #[test]
    fn each_scene_that_a_peer_may_not_have_is_told_once() {
        let needs = Constraints { memory_bytes: 3 << 30, ..Constraints::default() };
        let (small, large) = (PeerTraits { memory_bytes: 1 << 30, ..PeerTraits::default() }, PeerTraits::default());
        let (mut withheld, offers) = (Withheld::default(), [offered(7, needs), offered(9, needs)]);
        assert!(withheld.news(PeerId(1), &large, &offers).is_empty(), "unknown memory is enough");
        let told = withheld.news(PeerId(1), &small, &offers);
        let [Event::SceneFailed { revision: 9, peer: 1, cause }] = told.as_slice() else { panic!("{told:?}") };
        assert!(cause.contains("3072 MiB") && cause.contains("1024 MiB"), "{cause}");
        assert!(withheld.news(PeerId(1), &small, &offers).is_empty());
        withheld.peer_lost(PeerId(1));
        assert_eq!(withheld.news(PeerId(1), &small, &offers).len(), 1);
        withheld.remove_scene(3);
        assert_eq!(withheld.news(PeerId(1), &small, &offers).len(), 1);
    }
}
