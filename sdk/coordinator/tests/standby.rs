//! A peer on standby traces where no other that is ready can: not before, and not any more once one can again.

mod request;

use rayloom_coordinator::{
    Action, Config, Coordinator, FramePlan, PeerId, PeerPrior, PeerState, PlannedTile, TileReport, Time,
};
use rayloom_frame::Extent;
use request::request;
use std::collections::BTreeSet;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);
const DEADLINE: Duration = Duration::from_millis(100);
const REMOTE: [PeerId; 2] = [PeerId(0), PeerId(1)];
const STANDBY: PeerId = PeerId(9);

fn ms(ms: u64) -> Time {
    Time(ms * 1_000_000)
}

fn coordinator() -> Coordinator {
    let mut coordinator = Coordinator::new(Config::default());
    for peer in REMOTE.into_iter().chain([STANDBY]) {
        let is_standby = peer == STANDBY;
        let prior = PeerPrior { rays_per_second: 1e6, is_embedded: is_standby, is_standby, ..PeerPrior::default() };
        coordinator.peer_joined(peer, prior, Time(0));
        coordinator.peer_ready(peer, 1, 1, Time(0));
    }
    coordinator
}

fn begin(coordinator: &mut Coordinator, at: Time) -> FramePlan {
    coordinator.begin_frame(request(at.0, VIEW, at + DEADLINE), at)
}

/// Answers these, 20 ms after they were asked for.
fn answer<'a>(coordinator: &mut Coordinator, tiles: impl Iterator<Item = &'a PlannedTile>, asked: Time) {
    for tile in tiles {
        let service_ns = 40_000_000 * tile.rect.pixels() as u64 / VIEW.pixels() as u64;
        let report = TileReport::new(service_ns, tile.ghost_rect);
        coordinator.tile_done(tile.task, report, asked + Duration::from_millis(20));
    }
}

/// Frames of which everybody answers everything, the first of which begins at `from`; who had a part in the last one.
fn frames(coordinator: &mut Coordinator, from: u64, count: u64) -> BTreeSet<PeerId> {
    let mut peers = BTreeSet::new();
    for at in (0..count).map(|frame| ms(from + 33 * frame)) {
        let plan = begin(coordinator, at);
        answer(coordinator, plan.tiles.iter().chain(&plan.probes), at);
        peers = plan.tiles.iter().map(|tile| tile.peer).collect();
    }
    peers
}

fn state(coordinator: &Coordinator, peer: PeerId) -> PeerState {
    coordinator.peers().find(|view| view.id == peer).expect("it joined").state
}

/// Time passes, and nobody answers.
fn wait(coordinator: &mut Coordinator, until: Time) {
    while let Some(due) = coordinator.poll_timeout().filter(|due| *due <= until) {
        coordinator.handle_timeout(due);
    }
}

#[test]
fn it_steps_in_for_peers_that_fail_and_back_when_they_hold() {
    let mut coordinator = coordinator();
    assert_eq!(frames(&mut coordinator, 0, 60), REMOTE.into());
    // Nobody answers, though nobody is known to be gone.
    begin(&mut coordinator, ms(3000));
    wait(&mut coordinator, ms(3400));
    assert_eq!(REMOTE.map(|peer| state(&coordinator, peer)), [PeerState::Suspect; 2]);
    let plan = begin(&mut coordinator, ms(3400));
    assert!(plan.tiles.iter().all(|tile| tile.peer == STANDBY), "{:?}", plan.tiles);
    assert_eq!(plan.probes.iter().map(|probe| probe.peer).collect::<BTreeSet<_>>(), REMOTE.into());
    answer(&mut coordinator, plan.tiles.iter().chain(&plan.probes), ms(3400));
    assert_eq!(frames(&mut coordinator, 3433, 10), REMOTE.into());
}

#[test]
fn it_takes_over_what_the_last_peer_leaves() {
    let mut coordinator = coordinator();
    frames(&mut coordinator, 0, 60);
    while coordinator.poll_action().is_some() {}
    let plan = begin(&mut coordinator, ms(3000));
    coordinator.peer_lost(REMOTE[0], ms(3001));
    coordinator.peer_lost(REMOTE[1], ms(3002));
    let mut taken = BTreeSet::new();
    while let Some(action) = coordinator.poll_action() {
        match action {
            Action::Assign { peer: STANDBY, tiles, .. } => {
                taken.extend(tiles.iter().filter(|tile| !tile.redundant).map(|tile| tile.rect.x));
            }
            Action::FrameExpired { .. } => panic!("it is waited for"),
            _ => {}
        }
    }
    assert_eq!(taken, plan.tiles.iter().map(|tile| tile.rect.x).collect());
}
