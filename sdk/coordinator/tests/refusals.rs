//! A refused tile goes to another peer in time; who refuses again and again is suspect, and probed beside the others.
mod request;

use rayloom_coordinator::{
    Action, ChangeCause, Config, Coordinator, ExpiryCause, FramePlan, PeerChange, PeerId, PeerPrior, PeerState,
    Refusal, TileReport, Time,
};
use rayloom_frame::Extent;
use request::request;

fn ms(ms: u64) -> Time {
    Time(ms * 1_000_000)
}

fn two_peers() -> Coordinator {
    let mut coordinator = Coordinator::new(Config::default());
    for peer in 0..2 {
        coordinator.peer_joined(PeerId(peer), PeerPrior::default(), Time(0));
        coordinator.peer_ready(PeerId(peer), 1, 1, Time(0));
    }
    coordinator
}

fn begin(coordinator: &mut Coordinator, frame_id: u64, now: Time) -> FramePlan {
    let deadline = Time(now.0 + 100_000_000);
    let extent = Extent::new(640, 360);
    let request = request(frame_id, extent, deadline);
    coordinator.begin_frame(request, now)
}

fn actions(coordinator: &mut Coordinator) -> Vec<Action> {
    std::iter::from_fn(|| coordinator.poll_action()).collect()
}

/// Peer 1 refuses all its tiles, peer 0 answers all of its own.
fn refuse(coordinator: &mut Coordinator, plan: &FramePlan, now: Time) -> Vec<Action> {
    refuse_for(coordinator, plan, Refusal::Other, now)
}

fn refuse_for(coordinator: &mut Coordinator, plan: &FramePlan, refusal: Refusal, now: Time) -> Vec<Action> {
    actions(coordinator);
    for tile in &plan.tiles {
        if tile.peer == PeerId(1) {
            coordinator.tile_refused(tile.task, refusal, now);
        } else {
            let report = TileReport::new(2_000_000, tile.ghost_rect);
            coordinator.tile_done(tile.task, report, now);
        }
    }
    actions(coordinator)
}

#[test]
fn a_refused_tile_goes_to_the_other_peer() {
    let mut coordinator = two_peers();
    let plan = begin(&mut coordinator, 1, ms(0));
    let refused = plan.tiles.iter().filter(|tile| tile.peer == PeerId(1)).count();
    assert!(refused > 0);
    let mut again = Vec::new();
    for action in refuse(&mut coordinator, &plan, ms(10)) {
        if let Action::Assign { peer, frame_id, group: 0, tiles, .. } = action {
            assert_eq!((peer, frame_id), (PeerId(0), 1));
            again.extend(tiles);
        }
    }
    assert_eq!(again.len(), refused);
    for tile in again {
        let report = TileReport::new(2_000_000, tile.rect);
        coordinator.tile_done(tile.task, report, ms(20));
    }
    assert_eq!(actions(&mut coordinator).last(), Some(&Action::FrameComplete { frame_id: 1, group: 0 }));
}

#[test]
fn who_keeps_refusing_is_suspect_and_gets_redundant_tiles() {
    let mut coordinator = two_peers();
    let (mut seen, mut probed) = (Vec::new(), Vec::new());
    for frame in 1..6 {
        let plan = begin(&mut coordinator, frame, ms(frame * 100));
        probed.extend(plan.probes.iter().map(|tile| tile.peer));
        seen.extend(refuse(&mut coordinator, &plan, ms(frame * 100 + 10)));
    }
    let cause = ChangeCause::Refused { in_a_row: 3, refusal: Refusal::Other };
    let is_cause = |a: &Action| matches!(a, Action::PeerChanged(PeerChange { peer: PeerId(1), to: PeerState::Suspect, cause: why, .. }) if *why == cause);
    assert!(seen.iter().any(is_cause), "{seen:?}");
    assert_eq!(probed, [PeerId(1)], "one probe at a time");
    let plan = begin(&mut coordinator, 9, ms(1000));
    assert!(plan.tiles.iter().all(|tile| tile.peer == PeerId(0)));
    let view = coordinator.peers().nth(1).expect("both joined");
    assert_eq!((view.state, view.queue), (PeerState::Suspect, 1));
}

/// Peer 1 as it stands.
fn second(coordinator: &Coordinator) -> PeerState {
    coordinator.peers().nth(1).expect("both joined").state
}

#[test]
fn who_has_no_room_for_a_while_is_not_at_fault() {
    let mut coordinator = two_peers();
    for frame in 1..40 {
        let plan = begin(&mut coordinator, frame, ms(frame * 100));
        let tiles: Vec<_> = plan.tiles.iter().filter(|tile| tile.peer == PeerId(1)).collect();
        assert!(!tiles.is_empty(), "it has its share");
        actions(&mut coordinator);
        // Of each third frame it answers a tile.
        if frame % 3 == 0 {
            coordinator.tile_done(tiles[0].task, TileReport::new(2_000_000, tiles[0].ghost_rect), ms(frame * 100 + 5));
        }
        let mut seen = actions(&mut coordinator);
        seen.extend(refuse_for(&mut coordinator, &plan, Refusal::NoRoom, ms(frame * 100 + 10)));
        // The other one does its part.
        for action in &seen {
            let Action::Assign { peer: PeerId(0), tiles, .. } = action else { continue };
            for tile in tiles {
                coordinator.tile_done(tile.task, TileReport::new(2_000_000, tile.rect), ms(frame * 100 + 20));
            }
        }
        seen.extend(actions(&mut coordinator));
        assert!(seen.contains(&Action::FrameComplete { frame_id: frame, group: 0 }), "{seen:?}");
        assert_eq!(second(&coordinator), PeerState::Ready);
    }
}

#[test]
fn who_never_has_room_is_left_alone_and_never_blocked() {
    let mut coordinator = two_peers();
    let (mut seen, mut probes) = (Vec::new(), 0);
    for frame in 1..400 {
        let plan = begin(&mut coordinator, frame, ms(frame * 100));
        for probe in &plan.probes {
            coordinator.tile_refused(probe.task, Refusal::NoRoom, ms(frame * 100 + 1));
            probes += 1;
        }
        seen.extend(refuse_for(&mut coordinator, &plan, Refusal::NoRoom, ms(frame * 100 + 10)));
    }
    let changes = seen.iter().filter_map(|action| match action {
        Action::PeerChanged(change) if change.peer == PeerId(1) => Some((change.to, change.cause)),
        _ => None,
    });
    let changes: Vec<(PeerState, ChangeCause)> = changes.collect();
    let [(PeerState::Suspect, cause @ ChangeCause::Refused { refusal: Refusal::NoRoom, .. })] = changes[..] else {
        panic!("{changes:?}")
    };
    assert!(cause.to_string().contains("it has as many as it takes at once"), "{cause}");
    assert!((20..60).contains(&probes), "{probes} probes in 40 seconds");
}

#[test]
fn with_nobody_left_to_ask_the_frame_ends_at_once() {
    let mut coordinator = two_peers();
    coordinator.peer_lost(PeerId(0), ms(0));
    let plan = begin(&mut coordinator, 1, ms(1));
    let seen = refuse(&mut coordinator, &plan, ms(5));
    let missing = plan.tiles.iter().map(|tile| tile.task).collect();
    assert!(
        seen.contains(&Action::FrameExpired { frame_id: 1, group: 0, missing, cause: ExpiryCause::NobodyLeft }),
        "{seen:?}"
    );
}
