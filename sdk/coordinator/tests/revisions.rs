//! Only peers that hold a frame's scene revision are given its tiles.
mod request;

use rayloom_coordinator::{Action, Config, Coordinator, ExpiryCause, FrameRequest, PeerId, PeerPrior, Time};
use rayloom_frame::Extent;
use request::request;
use std::collections::BTreeSet;

fn who_traces(coordinator: &mut Coordinator, frame_id: u64, revision: u64) -> BTreeSet<u32> {
    let (extent, deadline) = (Extent::new(640, 360), Time(frame_id * 100_000_000 + 90_000_000));
    let request = FrameRequest { revision, ..request(frame_id, extent, deadline) };
    let plan = coordinator.begin_frame(request, Time(frame_id * 100_000_000));
    plan.tiles.iter().map(|tile| tile.peer.0).collect()
}

#[test]
fn a_peer_joins_in_with_the_revision_it_reported() {
    let mut coordinator = Coordinator::new(Config::default());
    for peer in 0..3 {
        coordinator.peer_joined(PeerId(peer), PeerPrior { rays_per_second: 1e6, ..PeerPrior::default() }, Time(0));
    }
    assert!(who_traces(&mut coordinator, 1, 1).is_empty());
    assert_eq!(
        coordinator.poll_action(),
        Some(Action::FrameExpired { frame_id: 1, group: 0, missing: Vec::new(), cause: ExpiryCause::NotReady })
    );
    coordinator.peer_ready(PeerId(0), 1, 1, Time(150_000_000));
    coordinator.peer_ready(PeerId(1), 1, 1, Time(150_000_000));
    coordinator.peer_ready(PeerId(1), 1, 2, Time(150_000_000));
    coordinator.peer_ready(PeerId(2), 9, 1, Time(150_000_000));
    assert_eq!(who_traces(&mut coordinator, 2, 1), BTreeSet::from([0, 1]));
    coordinator.peer_lost(PeerId(0), Time(250_000_000));
    assert_eq!(who_traces(&mut coordinator, 3, 2), BTreeSet::from([1]));
}
