//! What a peer's link carries is part of what a tile takes: learned from arrivals, and never assumed.
mod request;

use rayloom_coordinator::sim::{Pace, SimPeer, Simulation, city_under_sky, figures};
use rayloom_coordinator::{Config, Coordinator, FramePlan, FrameRequest, PeerId, PeerPrior, TileReport, Time};
use rayloom_frame::Extent;
use request::request;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);

fn with_bandwidth(bits_per_second: f64) -> SimPeer {
    SimPeer { bits_per_second, ..SimPeer::new(1.0) }
}

/// One frame at a time; a frame takes about 50 ms on one peer.
fn run(peers: Vec<SimPeer>) -> Simulation {
    let mut simulation =
        Simulation::new(Config::default(), 4, VIEW, peers, |frame| city_under_sky(VIEW, frame, 1.0, 120.0).0);
    simulation.run(60, Pace::InFlight(1), Duration::from_secs(5), None);
    simulation
}

/// Median time of the later frames in milliseconds.
fn frame_ms(simulation: &Simulation) -> f64 {
    let took = |frame: &rayloom_coordinator::sim::FrameRecord| Some(frame.ended?.0.ns_since(frame.begun) as f64 * 1e-6);
    let mut times: Vec<f64> = simulation.frames[20..].iter().filter_map(took).collect();
    figures::quantile(&mut times, 0.5)
}

#[test]
fn a_thin_link_gets_what_it_can_carry() {
    let thin = run(vec![with_bandwidth(0.0), with_bandwidth(2e7)]);
    let view = thin.coordinator.peers().nth(1).expect("both joined");
    assert!((1.2e7..2.4e7).contains(&view.down_bits_per_s), "{}", view.down_bits_per_s);
    assert!(view.share > 0.02 && view.share < 0.35, "{}", view.share);
    let (alone, both) = (frame_ms(&run(vec![with_bandwidth(0.0)])), frame_ms(&thin));
    assert!(both < alone, "{both} ms with the thin link, {alone} ms without");
    // Given the half that its speed would deserve it alone would take longer than the other peer for the whole view.
    let half_ms = 0.5 * VIEW.pixels() as f64 * 2.0 * 8.0 / 2e7 * 1e3;
    assert!(half_ms > alone, "{half_ms} {alone}");
}

#[test]
fn transfer_is_part_of_the_predicted_time() {
    let simulation = run(vec![with_bandwidth(6e7), with_bandwidth(3e7)]);
    let error = |frame: &rayloom_coordinator::sim::FrameRecord| {
        let took = frame.ended.expect("every frame ends").0.ns_since(frame.begun) as f64;
        (frame.plan.predicted_ns as f64 / took - 1.0).abs()
    };
    let mut errors: Vec<f64> = simulation.frames[20..].iter().map(error).collect();
    let median = figures::quantile(&mut errors, 0.5);
    assert!(median < 0.1, "{median}");
}

#[test]
fn a_wide_link_changes_nothing() {
    let both = |bits_per_second| frame_ms(&run(vec![with_bandwidth(bits_per_second); 2]));
    let (unlimited, wide) = (both(0.0), both(1e10));
    assert!((wide / unlimited - 1.0).abs() < 0.03, "{unlimited} and {wide} ms");
}

/// Two peers of the same speed; what reports of the second say beside its time is `tell`'s.
fn shares(up_bytes_per_px: f32, tell: impl Fn(&mut TileReport<'_>)) -> [f64; 2] {
    let mut coordinator = Coordinator::new(Config::default());
    for peer in [PeerId(0), PeerId(1)] {
        coordinator.peer_joined(peer, PeerPrior { rays_per_second: 1e6, ..PeerPrior::default() }, Time(0));
        coordinator.link_measured(peer, Duration::from_millis(1), Time(0));
        coordinator.peer_ready(peer, 1, 1, Time(0));
    }
    let mut plan = FramePlan::default();
    for frame_id in 1..40 {
        let begun = Time(frame_id * 100_000_000);
        let deadline = begun + Duration::from_millis(90);
        let request = FrameRequest { up_bytes_per_px, ..request(frame_id, VIEW, deadline) };
        plan = coordinator.begin_frame(request, begun);
        for tile in &plan.tiles {
            let service_ns = 40_000_000 * tile.rect.pixels() as u64 / VIEW.pixels() as u64;
            let mut report = TileReport::new(service_ns, tile.ghost_rect);
            if tile.peer == PeerId(1) {
                tell(&mut report);
            }
            coordinator.tile_done(tile.task, report, begun + Duration::from_millis(80));
        }
    }
    [PeerId(0), PeerId(1)].map(|peer| {
        let own = plan.tiles.iter().filter(|tile| tile.peer == peer);
        own.map(|tile| tile.rect.pixels()).sum::<usize>() as f64 / VIEW.pixels() as f64
    })
}

#[test]
fn what_was_never_measured_is_not_punished() {
    let [_, unknown] = shares(0.0, |_| ());
    let [_, quick] = shares(0.0, |report| (report.bytes, report.transfer_ns) = (200_000, Some(0)));
    assert!((unknown - quick).abs() < 0.02, "{unknown} and {quick}");
}

#[test]
fn planes_on_their_way_to_a_peer_count_too() {
    let [_, state_mode] = shares(0.0, |report| report.begun_ns = 40_000_000);
    let [_, thin] = shares(8.0, |report| report.begun_ns = 40_000_000);
    let [_, wide] = shares(8.0, |report| report.begun_ns = 500_000);
    assert!(thin < 0.7 * wide && (wide - state_mode).abs() < 0.05, "{state_mode} {wide} {thin}");
}
