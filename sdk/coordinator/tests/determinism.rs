//! The same seed gives the same run, event for event.

use rayloom_coordinator::sim::{Fault, FrameRecord, Pace, SimPeer, Simulation, city_under_sky};
use rayloom_coordinator::{Config, PeerChange, Time};
use rayloom_frame::Extent;
use std::time::Duration;

fn run(seed: u64) -> (Vec<FrameRecord>, Vec<(Time, PeerChange)>) {
    let extent = Extent::new(320, 180);
    let mut peers: Vec<SimPeer> = [1.0, 0.7, 0.3].map(SimPeer::new).to_vec();
    peers[1].faults.push(Fault::Stall { from: Time(400_000_000), until: Time(700_000_000) });
    let truth = move |frame| city_under_sky(extent, frame, 2.0, 150.0).0;
    let mut simulation = Simulation::new(Config::default(), seed, extent, peers, truth);
    simulation.run(40, Pace::Every(Duration::from_millis(33)), Duration::from_millis(50), None);
    (simulation.frames, simulation.events)
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
