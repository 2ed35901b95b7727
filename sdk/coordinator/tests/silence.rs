//! A peer that answers no more is noticed long before a deadline that is far away, and others trace what it had.
mod request;

use rayloom_coordinator::{Action, Config, Coordinator, PeerId, PeerPrior, PeerState, TaskId, TileReport, Time};
use rayloom_frame::{Extent, Rect};
use request::request;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);
const MINUTE: Duration = Duration::from_secs(60);
const SILENT: PeerId = PeerId(1);

#[test]
fn a_silent_peer_is_suspect_and_replaced_whatever_the_deadline() {
    let mut coordinator = Coordinator::new(Config::default());
    for peer in [PeerId(0), SILENT] {
        coordinator.peer_joined(peer, PeerPrior::default(), Time(0));
        coordinator.peer_ready(peer, 1, 1, Time(0));
    }
    let (mut waiting, mut complete, mut suspect) = (Vec::<(TaskId, Rect, PeerId, Time)>::new(), None, None);
    // A frame each 200 ms, of 20 ms; the peer says nothing more from the twentieth on.
    for ms in 0..10_000_u64 {
        let now = Time(ms * 1_000_000);
        let is_silent = ms >= 4_000;
        if ms % 200 == 0 && ms <= 4_000 {
            coordinator.begin_frame(request(ms / 200, VIEW, now + MINUTE), now);
        }
        let answers =
            |(_, _, peer, done): &(TaskId, Rect, PeerId, Time)| *done <= now && !(is_silent && *peer == SILENT);
        for (task, rect, ..) in waiting.extract_if(.., |tile| answers(tile)).collect::<Vec<_>>() {
            coordinator.tile_done(task, TileReport::new(10_000_000, rect), now);
        }
        if coordinator.poll_timeout().is_some_and(|due| due <= now) {
            coordinator.handle_timeout(now);
        }
        while let Some(action) = coordinator.poll_action() {
            match action {
                Action::Assign { peer, tiles, .. } => {
                    let done = now + Duration::from_millis(20);
                    waiting.extend(tiles.iter().map(|tile| (tile.task, tile.rect, peer, done)));
                }
                Action::FrameComplete { frame_id: 20, .. } => complete = complete.or(Some(ms)),
                Action::PeerChanged(change) if (change.peer, change.to) == (SILENT, PeerState::Suspect) => {
                    suspect = suspect.or(Some(ms));
                }
                _ => {}
            }
        }
    }
    let suspect = suspect.expect("it answers no more");
    let complete = complete.expect("the other one traces all of the last frame");
    assert!((4_000..6_000).contains(&suspect), "told at {suspect} ms");
    assert!((4_000..6_000).contains(&complete), "complete at {complete} ms");
}
