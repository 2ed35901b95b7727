//! Frames overlap: work in flight is a peer's queue, backups cover a peer that stands still, and flights are bounded.
mod request;

use rayloom_coordinator::sim::{Fault, Pace, SimPeer, Simulation, city_under_sky};
use rayloom_coordinator::{Action, Config, Coordinator, ExpiryCause, FrameRequest, PeerId, PeerPrior, Time};
use rayloom_frame::Extent;
use request::request;
use std::time::Duration;

const VIEW: Extent = Extent::new(1280, 720);

fn far(speed: f64) -> SimPeer {
    SimPeer { one_way: Duration::from_millis(10), jitter: Duration::from_millis(2), ..SimPeer::new(speed) }
}

fn run(config: Config, peers: Vec<SimPeer>, interval: Duration) -> Simulation {
    let truth = |frame| city_under_sky(VIEW, frame, 1.0, 120.0).0;
    let mut simulation = Simulation::new(config, 11, VIEW, peers, truth);
    simulation.run(100, Pace::Every(interval), Duration::from_millis(90), None);
    simulation
}

#[test]
fn frames_that_take_longer_than_their_interval_all_complete() {
    let simulation = run(Config::default(), vec![far(1.0), far(1.0), far(0.5), far(0.25)], Duration::from_millis(25));
    let late: Vec<u64> = simulation.frames[10..].iter().filter(|f| f.missing > 0).map(|f| f.frame_id).collect();
    assert!(late.is_empty(), "{late:?}");
    let overlaps = |pair: &[rayloom_coordinator::sim::FrameRecord]| pair[0].ended.is_some_and(|e| e.0 > pair[1].begun);
    assert!(simulation.frames.windows(2).filter(|pair| overlaps(pair)).count() > 50, "the link alone takes 20 ms");
}

#[test]
fn a_backup_covers_a_tile_that_stands_still() {
    let peers = || {
        let stall = |i: u64| Fault::Stall {
            from: Time(1_001_000_000 + i * 400_000_000),
            until: Time(1_200_000_000 + i * 400_000_000),
        };
        let mut peers = vec![SimPeer::new(1.0); 4];
        peers[1].faults = (0..3).map(stall).collect();
        peers
    };
    let missing = |hedge_budget: f32| -> usize {
        let simulation = run(Config { hedge_budget, ..Config::default() }, peers(), Duration::from_millis(50));
        simulation.frames[10..].iter().map(|frame| frame.missing).sum()
    };
    let (without, with) = (missing(0.0), missing(0.2));
    assert!(without > 0 && with < without, "missing tiles: {without} without backups, {with} with");
}

#[test]
fn one_frame_too_many_ends_the_oldest() {
    let mut coordinator = Coordinator::new(Config { max_frames_in_flight: 2, ..Config::default() });
    coordinator.peer_joined(PeerId(0), PeerPrior::default(), Time(0));
    coordinator.peer_ready(PeerId(0), 1, 1, Time(0));
    let mut ended = Vec::new();
    for frame_id in 1..=4 {
        let (extent, deadline) = (Extent::new(64, 64), Time(1_000_000_000));
        let request = FrameRequest { ghost_px: 0, ..request(frame_id, extent, deadline) };
        coordinator.begin_frame(request, Time(frame_id));
        while let Some(action) = coordinator.poll_action() {
            if let Action::FrameExpired { frame_id, group: 0, missing, cause } = action {
                assert_eq!((missing.len(), cause), (1, ExpiryCause::TooManyInFlight));
                ended.push(frame_id);
            }
        }
    }
    assert_eq!(ended, [1, 2]);
}
