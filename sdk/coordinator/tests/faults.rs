//! Peers that die, stall, throttle, join late or all vanish: frames go on and end by their deadlines.

use rayloom_coordinator::sim::{Fault, Pace, Schedule, SimPeer, Simulation, Trouble, city_under_sky, violations};
use rayloom_coordinator::{ChangeCause, Config, Flaw, PeerChange, PeerId, PeerState, Refusal, Time};
use rayloom_frame::Extent;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);
const INTERVAL: Duration = Duration::from_millis(50);

fn ms(ms: u64) -> Time {
    Time(ms * 1_000_000)
}

/// Backups would cover what these tests want to see.
fn without_backups() -> Config {
    Config { hedge_budget: 0.0, ..Config::default() }
}

fn simulation(peers: Vec<SimPeer>) -> Simulation {
    Simulation::new(without_backups(), 3, VIEW, peers, |frame| city_under_sky(VIEW, frame, 1.0, 120.0).0)
}

fn run(peers: Vec<SimPeer>, frames: u64) -> Simulation {
    let mut simulation = simulation(peers);
    simulation.run(frames, Pace::Every(INTERVAL), INTERVAL, None);
    simulation
}

fn healthy() -> Vec<SimPeer> {
    vec![SimPeer::new(1.0); 4]
}

fn state(simulation: &Simulation, peer: u32) -> PeerState {
    simulation.coordinator.peers().find(|view| view.id == PeerId(peer)).expect("it joined").state
}

/// Every frame ended, by its deadline, and not twice (the simulator checks that).
fn assert_all_end(simulation: &Simulation) {
    for frame in &simulation.frames {
        let (ended, complete) = frame.ended.unwrap_or_else(|| panic!("frame {} never ended", frame.frame_id));
        assert!(ended <= frame.begun + INTERVAL, "frame {} ended late", frame.frame_id);
        assert!(complete == (frame.missing == 0 && !frame.plan.tiles.is_empty()), "{frame:?}");
    }
}

#[test]
fn healthy_peers_complete_every_frame() {
    let simulation = run(healthy(), 40);
    assert_all_end(&simulation);
    let late: Vec<u64> = simulation.frames.iter().filter(|f| f.missing > 0).map(|f| f.frame_id).collect();
    assert!(late.is_empty(), "{late:?}");
    assert!(simulation.events.is_empty(), "{:?}", simulation.events);
}

#[test]
fn a_dead_peers_tiles_go_to_others_in_the_next_frame() {
    let mut peers = healthy();
    peers[2] = SimPeer::new(1.0).with(Fault::Crash { at: ms(1001) });
    let simulation = run(peers, 40);
    assert_all_end(&simulation);
    let broken: Vec<u64> = simulation.frames.iter().filter(|f| f.missing > 0).map(|f| f.frame_id).collect();
    assert_eq!(broken, [21], "only the frame in flight at 1001 ms may lack tiles");
    let next = &simulation.frames[21];
    assert!(next.plan.tiles.iter().all(|tile| tile.peer != PeerId(2)), "{:?}", next.plan);
    assert_eq!(state(&simulation, 2), PeerState::Suspect);
}

#[test]
fn a_peer_whose_link_breaks_is_replaced_in_the_same_frame() {
    let mut peers = healthy();
    peers[2] = SimPeer::new(1.0).with(Fault::Disconnect { at: ms(1001) });
    let simulation = run(peers, 40);
    assert_all_end(&simulation);
    assert!(simulation.frames[20].plan.tiles.iter().any(|tile| tile.peer == PeerId(2)));
    let broken = simulation.frames.iter().filter(|f| f.missing > 0).count();
    assert_eq!(broken, 0, "49 ms were left");
    assert_eq!(state(&simulation, 2), PeerState::Lost);
}

#[test]
fn a_stalled_peer_is_suspected_then_recovered() {
    let mut peers = healthy();
    peers[1] = SimPeer::new(1.0).with(Fault::Stall { from: ms(1001), until: ms(1600) });
    let simulation = run(peers, 60);
    assert_all_end(&simulation);
    let change = |from: PeerState, to: PeerState| {
        let is_it = |e: &PeerChange| (e.peer, e.from, e.to) == (PeerId(1), from, to);
        simulation.events.iter().find(|(_, e)| is_it(e)).map(|(at, _)| *at)
    };
    let suspected = change(PeerState::Ready, PeerState::Suspect).expect("it stalled");
    let recovered = change(PeerState::Suspect, PeerState::Ready).expect("it went on");
    assert!(suspected <= ms(1110), "{suspected:?}");
    assert!(recovered > ms(1600) && recovered < ms(2700), "{recovered:?}");
    let broken: Vec<u64> = simulation.frames.iter().filter(|f| f.missing > 0).map(|f| f.frame_id).collect();
    assert_eq!(broken, [21]);
    let last = simulation.frames.last().expect("60 frames ran");
    assert!(last.plan.tiles.iter().any(|tile| tile.peer == PeerId(1)), "it has its share again");
    let share = simulation.coordinator.peers().find(|view| view.id == PeerId(1)).expect("it joined").speed;
    assert!(share > 0.6, "the stall is forgotten: {share}");
}

#[test]
fn a_throttled_peer_keeps_a_smaller_share() {
    let mut peers = healthy();
    peers[0] = SimPeer::new(1.0).with(Fault::Throttle { at: ms(1000), factor: 3.0 });
    let simulation = run(peers, 60);
    assert_all_end(&simulation);
    assert_eq!(state(&simulation, 0), PeerState::Ready);
    assert!(simulation.frames[30..].iter().all(|frame| frame.missing == 0));
    let imbalance = simulation.frames[40..].iter().map(|f| f.peer_imbalance()).fold(0.0, f64::max);
    assert!(imbalance <= 1.2, "{imbalance}");
}

#[test]
fn with_all_peers_gone_frames_end_all_the_same() {
    let crash = |i: u64| SimPeer::new(1.0).with(Fault::Crash { at: ms(1000 + i * 10) });
    let crashed = run((0..4).map(crash).collect(), 60);
    assert_all_end(&crashed);
    assert!(crashed.frames[30..].iter().all(|frame| frame.ended.is_some_and(|(_, complete)| !complete)));
    let leave = |i: u64| SimPeer::new(1.0).with(Fault::Disconnect { at: ms(1000 + i * 10) });
    let left = run((0..4).map(leave).collect(), 60);
    assert_all_end(&left);
    assert!(left.frames[30..].iter().all(|frame| frame.plan.tiles.is_empty()));
}

#[test]
fn a_peer_that_joins_midway_gets_its_share() {
    let mut peers = healthy();
    peers[3].joins = ms(1000);
    let simulation = run(peers, 40);
    assert_all_end(&simulation);
    let has_tiles = |frame: usize| simulation.frames[frame].plan.tiles.iter().any(|tile| tile.peer == PeerId(3));
    assert!(!has_tiles(19) && has_tiles(21));
    let imbalance = simulation.frames[31..].iter().map(|f| f.peer_imbalance()).fold(0.0, f64::max);
    assert!(imbalance <= 1.15, "{imbalance}");
}

#[test]
fn noisy_peers_are_not_suspect_and_make_their_deadlines() {
    let noisy = |speed| SimPeer { noise: 0.3, jitter: Duration::from_millis(5), ..SimPeer::new(speed) };
    let peers = [1.0, 0.9, 1.1, 0.8].map(noisy).to_vec();
    let truth = |frame| city_under_sky(VIEW, frame, 2.0, 600.0).0;
    let mut simulation = Simulation::new(without_backups(), 3, VIEW, peers, truth);
    simulation.run(200, Pace::Every(INTERVAL), INTERVAL, None);
    assert_all_end(&simulation);
    assert!(simulation.events.is_empty(), "{:?}", simulation.events);
    let late = simulation.frames[10..].iter().filter(|frame| frame.missing > 0).count();
    assert!(late <= 4, "{late} of 190 frames were late");
}

#[test]
fn too_much_work_for_the_deadline_makes_nobody_suspect() {
    let mut simulation =
        Simulation::new(without_backups(), 3, VIEW, healthy(), |frame| city_under_sky(VIEW, frame, 1.0, 4000.0).0);
    simulation.run(60, Pace::Every(INTERVAL), INTERVAL, None);
    assert_all_end(&simulation);
    assert!(simulation.events.is_empty(), "{:?}", simulation.events);
    let done: u64 = simulation.coordinator.peers().map(|peer| peer.tiles).sum();
    assert!(done > 20, "tiles go on arriving: {done}");
}

#[test]
fn backups_cover_a_peer_that_dies_and_it_is_suspect_all_the_same() {
    let mut peers = healthy();
    peers[2] = SimPeer::new(1.0).with(Fault::Crash { at: ms(1001) });
    let truth = |frame| city_under_sky(VIEW, frame, 1.0, 120.0).0;
    let config = Config { hedge_budget: 0.3, ..Config::default() };
    let mut simulation = Simulation::new(config, 3, VIEW, peers, truth);
    simulation.run(40, Pace::Every(INTERVAL), INTERVAL, None);
    assert_all_end(&simulation);
    let broken: Vec<u64> = simulation.frames.iter().filter(|f| f.missing > 0).map(|f| f.frame_id).collect();
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!(state(&simulation, 2), PeerState::Suspect);
}

fn changes(simulation: &Simulation, peer: u32) -> Vec<PeerChange> {
    simulation.events.iter().map(|(_, change)| *change).filter(|change| change.peer == PeerId(peer)).collect()
}

fn with_spell(from: u64, until: u64, trouble: Trouble) -> Simulation {
    let mut peers = healthy();
    peers[2] = SimPeer::new(1.0).with(Fault::Spell { from: ms(from), until: ms(until), trouble });
    let simulation = run(peers, 60);
    assert_all_end(&simulation);
    assert!([0, 1, 3].iter().all(|peer| changes(&simulation, *peer).is_empty()), "{:?}", simulation.events);
    simulation
}

#[test]
fn a_link_that_is_open_one_way_only_is_a_missed_tile() {
    for trouble in [Trouble::Mute, Trouble::Deaf] {
        let simulation = with_spell(1001, 1400, trouble);
        let seen = changes(&simulation, 2);
        assert!(matches!(seen[0].cause, ChangeCause::MissedDeadline { .. }), "{seen:?}");
        let broken: Vec<u64> = simulation.frames.iter().filter(|f| f.missing > 0).map(|f| f.frame_id).collect();
        assert!(broken == [21] || broken == [22], "{trouble:?}: {broken:?}");
        assert_eq!(state(&simulation, 2), PeerState::Ready);
    }
}

#[test]
fn a_corrupt_answer_is_traced_again_at_once_and_its_peer_is_suspect() {
    let simulation = with_spell(1001, 1300, Trouble::Corrupt(Flaw::DigestMismatch));
    assert!(simulation.frames.iter().all(|frame| frame.missing == 0), "others had the time");
    let seen = changes(&simulation, 2);
    let first = seen.first().expect("its answers were corrupt");
    assert_eq!((first.from, first.to), (PeerState::Ready, PeerState::Suspect));
    assert!(matches!(first.cause, ChangeCause::Corrupt { flaw: Flaw::DigestMismatch, .. }), "{first:?}");
    assert_eq!(state(&simulation, 2), PeerState::Ready);
}

#[test]
fn who_has_lost_its_device_is_suspect_at_the_first_refusal() {
    let simulation = with_spell(1001, 1300, Trouble::Refuses(Refusal::DeviceLost));
    assert!(simulation.frames.iter().all(|frame| frame.missing == 0), "others had the time");
    let cause = ChangeCause::Refused { in_a_row: 1, refusal: Refusal::DeviceLost };
    assert_eq!(changes(&simulation, 2).first().map(|change| change.cause), Some(cause));
}

#[test]
fn who_fails_again_and_again_is_blocked_for_longer_each_time() {
    let mut peers = healthy();
    for second in 1..60 {
        let from = ms(1000 * second + 1);
        peers[1].faults.push(Fault::Spell { from, until: from + 2 * INTERVAL, trouble: Trouble::Mute });
    }
    let simulation = run(peers, 1200);
    assert_all_end(&simulation);
    let pauses: Vec<u64> =
        changes(&simulation, 1).iter().filter(|c| c.to == PeerState::Blocked).map(|c| c.pause.as_secs()).collect();
    assert_eq!(pauses, [2, 4, 8, 16, 32], "in a minute");
    assert!(changes(&simulation, 1).iter().all(|change| change.pause.is_zero() == (change.to != PeerState::Blocked)));
}

#[test]
fn who_was_caught_lying_gets_nothing_more_not_even_by_coming_back() {
    let mut peers = healthy();
    let back = Fault::Restart { at: ms(1200), back: ms(1300), scene_after: Some(Duration::ZERO) };
    peers[2] = SimPeer::new(1.0).with(Fault::Caught { at: ms(1001) }).with(back);
    let simulation = run(peers, 60);
    assert_all_end(&simulation);
    let last = changes(&simulation, 2).pop().expect("it was caught");
    assert_eq!((last.to, last.cause, last.pause), (PeerState::Blocked, ChangeCause::FailedBefore, Duration::MAX));
    let later = simulation.frames[21..].iter().flat_map(|frame| frame.plan.tiles.iter().chain(&frame.plan.probes));
    assert!(later.into_iter().all(|tile| tile.peer != PeerId(2)));
    assert!(simulation.frames.iter().all(|frame| frame.missing == 0), "others had the time");
}

#[test]
fn who_says_that_it_goes_finishes_and_is_not_at_fault() {
    let mut peers = healthy();
    peers[2] = SimPeer::new(1.0).with(Fault::Drain { at: ms(1001), leaves: ms(1300) });
    let simulation = run(peers, 40);
    assert_all_end(&simulation);
    assert!(simulation.events.is_empty(), "{:?}", simulation.events);
    assert!(simulation.frames.iter().all(|frame| frame.missing == 0));
    let later = simulation.frames[21..].iter().flat_map(|frame| frame.plan.tiles.iter().chain(&frame.plan.probes));
    assert!(later.into_iter().all(|tile| tile.peer != PeerId(2)));
}

#[test]
fn a_clock_that_is_set_makes_nobody_suspect() {
    for by_ms in [-600_000, -50, 1500, 600_000] {
        let set = vec![(ms(1001), by_ms * 1_000_000)];
        let mut simulation = simulation(healthy()).with_clock(set);
        simulation.run(60, Pace::Every(INTERVAL), INTERVAL, None);
        assert!(simulation.events.is_empty(), "{by_ms} ms: {:?}", simulation.events);
        assert!(simulation.frames[22..].iter().all(|frame| frame.missing == 0), "{by_ms} ms");
    }
}

/// What the schedules have found. Each made a peer suspect that was well, or kept one from its share.
#[test]
fn schedules_that_once_failed() {
    let once = [
        (4, "a tile behind one of which nobody knew how long it takes"),
        (222, "a clock that is set twice within a frame"),
        (333, "a tile behind several that took longer than was thought"),
        (403, "a place that a liar had taught to be cheap"),
        (1959, "a fixed cost that was taken for the cost of work"),
        (6530, "a clock that stands still after it was set back a little"),
        (26915, "a lost tile that was thought to take long"),
        (29321, "a queue that seemed endless after a clock was set"),
    ];
    for (seed, what) in once {
        assert_eq!(violations(&Schedule::new(seed)), Vec::<String>::new(), "{seed}: {what}");
    }
}
