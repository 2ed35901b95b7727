//! Shares follow measured speeds: unequal peers finish a city under a sky at about the same time, within ten frames.

use rayloom_coordinator::sim::{FrameRecord, Pace, SimPeer, Simulation, city_under_sky};
use rayloom_coordinator::{Config, PeerId};
use rayloom_frame::Extent;
use std::time::Duration;

const VIEW: Extent = Extent::new(1280, 720);
const INTERVAL: Duration = Duration::from_millis(100);

fn fleet() -> Vec<SimPeer> {
    [1.0, 1.0, 0.5, 0.25].map(SimPeer::new).to_vec()
}

fn run(peers: Vec<SimPeer>, px_per_frame: f64, with_estimate: bool, frames: u64) -> Vec<FrameRecord> {
    let truth = move |frame| city_under_sky(VIEW, frame, px_per_frame, 120.0).0;
    let estimate = move |frame| city_under_sky(VIEW, frame, px_per_frame, 120.0).1;
    let mut simulation = Simulation::new(Config::default(), 1, VIEW, peers, truth);
    simulation.run(frames, Pace::Every(INTERVAL), INTERVAL, with_estimate.then_some(&estimate)).to_vec()
}

fn worst(frames: &[FrameRecord], measure: fn(&FrameRecord) -> f64) -> f64 {
    frames.iter().map(measure).fold(0.0, f64::max)
}

#[test]
fn within_ten_frames_from_knowing_nothing() {
    let frames = run(fleet(), 0.0, false, 30);
    assert!(worst(&frames[10..], FrameRecord::peer_imbalance) <= 1.15, "{frames:?}");
    assert!(worst(&frames[10..], FrameRecord::tile_imbalance) <= 1.15, "{frames:?}");
}

#[test]
fn while_the_camera_pans() {
    let frames = run(fleet(), 4.0, true, 60);
    let mut imbalance: Vec<f64> = frames[10..].iter().map(FrameRecord::peer_imbalance).collect();
    imbalance.sort_by(f64::total_cmp);
    let (median, p95) = (imbalance[imbalance.len() / 2], imbalance[imbalance.len() * 95 / 100]);
    assert!(median <= 1.15 && p95 <= 1.25, "median {median}, p95 {p95}");
}

#[test]
fn tiles_times_are_predicted() {
    let frames = run(fleet(), 4.0, true, 60);
    let errors = frames[20..].iter().flat_map(|frame| &frame.tiles);
    let mut errors: Vec<f64> =
        errors.map(|(_, predicted, real)| (*predicted as f64 / *real as f64 - 1.0).abs()).collect();
    errors.sort_by(f64::total_cmp);
    assert!(errors[errors.len() / 2] < 0.1, "median error {}", errors[errors.len() / 2]);
}

#[test]
fn borders_rest_while_nothing_changes() {
    let frames = run(fleet(), 0.0, true, 60);
    let rects = |frame: &FrameRecord| frame.plan.tiles.iter().map(|tile| tile.rect).collect::<Vec<_>>();
    let moved = frames[20..].windows(2).filter(|pair| rects(&pair[0]) != rects(&pair[1])).count();
    assert!(moved <= 8, "borders moved in {moved} of 39 frames");
}

#[test]
fn the_slowest_peer_gets_the_least() {
    let frames = run(fleet(), 0.0, false, 20);
    let part = |peer: u32| {
        let own = frames[19].plan.tiles.iter().filter(|tile| tile.peer == PeerId(peer));
        let truth = city_under_sky(VIEW, 20, 0.0, 120.0).0;
        own.map(|tile| {
            let block = |x: u32, y: u32| f64::from(truth.ns_per_px[(y / 16 * 80 + x / 16) as usize]);
            let r = tile.rect;
            (r.y..r.bottom()).flat_map(|y| (r.x..r.right()).map(move |x| (x, y))).map(|(x, y)| block(x, y)).sum::<f64>()
        })
        .sum::<f64>()
    };
    let ratio = part(0) / part(3);
    assert!((3.0..6.0).contains(&ratio), "{ratio}");
}
