//! Before a deadline is missed less is traced: samples first, then resolution; what is still too much is traced from the middle.

use rayloom_coordinator::sim::figures::on_recording;
use rayloom_coordinator::sim::{Fault, FrameRecord, Pace, Recording, SimPeer, Simulation};
use rayloom_coordinator::{Config, Lowering, PeerId, Time};
use rayloom_frame::{Extent, LayerKind, LayerRequest, Rect};
use std::rc::Rc;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);
const INTERVAL: Duration = Duration::from_millis(60);
const DEADLINE: Duration = Duration::from_millis(50);

/// Four samples of two layers at full resolution.
fn layers() -> Vec<LayerRequest> {
    [LayerKind::Direct, LayerKind::Indirect].map(|kind| LayerRequest { samples: 4, ..LayerRequest::new(kind) }).to_vec()
}

/// Two peers; as asked for, a frame takes both of them `frame_ms` at first and `then_ms` from the 60th frame on.
fn run(frame_ms: f64, slower: f64, lowering: Lowering, frames: u64) -> Simulation {
    let recording = Rc::new(Recording::made_up(VIEW, 20, 3));
    let throttle = Fault::Throttle { at: Time::from_duration(INTERVAL * 60), factor: slower };
    let peers = vec![SimPeer::new(1.0).with(throttle); 2];
    let seen = recording.clone();
    let mut run = on_recording(&recording, Config::default(), peers, 2e6 * frame_ms, false, 3)
        .foreseeing(layers(), move |frame| seen.foreseen(frame, false))
        .lowering(lowering);
    run.run(frames, Pace::Every(INTERVAL), DEADLINE, None);
    run
}

fn late(frames: &[FrameRecord]) -> usize {
    frames.iter().filter(|frame| frame.missing > 0).count()
}

#[test]
fn what_would_be_late_is_lowered_and_there_in_time() {
    let lowered = run(30.0, 3.0, Lowering::SamplesAndResolution, 140);
    assert!(lowered.frames[..60].iter().all(|frame| frame.plan.lowered == 0 && frame.plan.layers == layers()));
    // One frame is late before anything is known, and it may be lowered too far at first.
    let after = &lowered.frames[63..];
    assert!(after.iter().all(|frame| frame.plan.lowered > 0 && !frame.plan.is_too_much));
    let settled = |frame: &FrameRecord| frame.plan.layers.iter().all(|layer| (layer.samples, layer.scale) == (1, 1));
    assert!(lowered.frames[90..].iter().all(settled), "a third of the rays is what fits");
    let (with, without) = (late(after), late(&run(30.0, 3.0, Lowering::Never, 140).frames[63..]));
    assert!(with <= 1 && without > 40, "{with} frames of 77 are late, {without} where nothing may be lowered");
}

#[test]
fn it_does_not_flutter() {
    for frame_ms in [20.0, 35.0, 44.0, 48.0, 52.0, 60.0, 75.0] {
        let run = run(frame_ms, 1.0, Lowering::SamplesAndResolution, 200);
        let steps: Vec<u32> = run.frames[40..].iter().map(|frame| frame.plan.lowered).collect();
        let changes = steps.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes <= 4, "{changes} changes in 160 frames of {frame_ms} ms: {steps:?}");
    }
}

#[test]
fn what_is_still_too_much_is_traced_from_the_middle() {
    let run = run(400.0, 1.0, Lowering::SamplesAndResolution, 60);
    let off = |rect: Rect| {
        let axis = |from: u32, length: u32, whole: u32| (2 * from + length).abs_diff(whole).pow(2);
        axis(rect.x, rect.width, VIEW.width) + axis(rect.y, rect.height, VIEW.height)
    };
    let overdone: Vec<&FrameRecord> = run.frames.iter().filter(|frame| frame.plan.is_too_much).collect();
    assert!(overdone.len() > 30, "{}", overdone.len());
    let mut traced = [0.0; 2];
    for frame in &overdone {
        assert!(frame.plan.layers.iter().all(|layer| (layer.samples, layer.scale) == (1, 2)), "{:?}", frame.plan);
        // Of what each peer is at first.
        for peer in [PeerId(0), PeerId(1)] {
            let Some(first) = frame.plan.tiles.iter().find(|tile| tile.peer == peer) else { continue };
            let far = |rect: Rect| f64::from(off(rect)).sqrt() / f64::from(VIEW.width);
            let mean = frame.plan.tiles.iter().map(|tile| far(tile.rect)).sum::<f64>() / frame.plan.tiles.len() as f64;
            traced[usize::from(far(first.rect) > mean)] += 1.0;
        }
    }
    assert!(traced[0] > 1.2 * traced[1], "the middle first, but not alone: {traced:?}");
    assert!(traced[1] > 0.2 * traced[0], "the edges have their turn: {traced:?}");
    let most = run.frames.iter().map(|frame| frame.plan.tiles.len()).max();
    assert!(most > Some(2), "tiles are small enough for an order to matter");
}
