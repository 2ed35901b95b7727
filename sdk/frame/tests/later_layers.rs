//! Layers that are due later than their frames are shown from history, and count when they come.

mod synthetic;

use half::f16;
use rayloom_frame::{
    Extent, FrameError, LayerKind, LayerRequest, TracedTile,
    merge::{Added, FrameInputs, LaterLayers, LayerAge, MergeMode, Merger, PlannedTile},
    metrics::psnr_layer,
};
use synthetic::{LAYERS, Shot, cut, whole};

const EXTENT: Extent = Extent::new(160, 90);
/// What is due with the frame, and later: direct, specular and unlit light; global light.
const DUE: [LayerRequest; 3] = [LAYERS[0], LAYERS[1], LAYERS[3]];
const LATER: [LayerRequest; 1] = [LAYERS[2]];

struct Plans {
    due: Vec<PlannedTile>,
    later: Vec<PlannedTile>,
}

fn plans() -> Plans {
    Plans { due: cut(EXTENT, &[53, 107], &[30], 0), later: cut(EXTENT, &[70], &[51], 0) }
}

/// Opens a frame whose global light is due later, with what is due; `has_planes`: the engine gives planes.
fn deliver(merger: &mut Merger, shot: &Shot, has_planes: bool) {
    let plans = plans();
    let planes = shot.trace(whole(EXTENT)[0], &[]).primary.filter(|_| has_planes);
    let later = [LaterLayers { layers: &LATER, tiles: &plans.later }];
    merger.begin(FrameInputs { later: &later, planes: planes.as_ref(), ..shot.inputs(&DUE, &plans.due) }).unwrap();
    for (i, tile) in (0..).zip(&plans.due) {
        let mut traced = shot.trace(*tile, &DUE);
        traced.primary = traced.primary.filter(|_| !has_planes);
        assert!(matches!(merger.add_tile(shot.frame_id, i, 0, &traced), Ok(Added::Stored { .. })));
    }
    assert!(merger.is_complete(), "what is due later is not waited for");
}

/// All of a frame's global light.
fn deliver_later(merger: &mut Merger, shot: &Shot) {
    let plans = plans();
    for (i, tile) in (plans.due.len() as u32..).zip(&plans.later) {
        let traced = TracedTile { primary: None, ..shot.trace(*tile, &LATER) };
        assert_eq!(merger.add_tile(shot.frame_id, i, 1, &traced), Ok(Added::Late));
        assert_eq!(merger.add_tile(shot.frame_id, i, 1, &traced), Ok(Added::Duplicate));
    }
}

/// Frames of a moving view whose global light comes `lag` frames later.
fn run(merger: &mut Merger, frames: std::ops::Range<u64>, lag: u64, has_planes: bool, shot: impl Fn(u64) -> Shot) {
    for frame_id in frames {
        deliver(merger, &shot(frame_id), has_planes);
        if let Some(of) = frame_id.checked_sub(lag) {
            deliver_later(merger, &shot(of));
        }
        merger.finish().unwrap();
    }
}

/// The part of a layer that is near: towards the horizon the stripes are finer than a block.
fn near(layer: &[[u16; 4]]) -> &[[u16; 4]] {
    &layer[EXTENT.pixels() / 2..]
}

#[test]
fn global_light_that_is_late_by_design_follows_the_camera() {
    for has_planes in [false, true] {
        for lag in [0, 1, 3, 6] {
            let mut merger = Merger::new(EXTENT);
            run(&mut merger, 0..20, lag, has_planes, |frame_id| Shot::moving(EXTENT, frame_id, 0.04));
            let frame = merger.finish().unwrap();
            assert_eq!(frame.fresh_fraction(), 1.0, "all that is due came");
            assert_eq!(frame.layer_age(LayerKind::Direct), Some(LayerAge { oldest: 0, mean: 0.0 }));
            let ages = frame.layer_ages(LayerKind::Indirect).unwrap();
            let as_late = ages.iter().filter(|age| u64::from(**age) == lag).count();
            // The rest has just come into view, or lies at the ball's edge.
            assert!(as_late * 10 > ages.len() * 8, "{as_late} of {} pixels are {lag} frames old", ages.len());
            let LayerAge { oldest, mean } = frame.layer_age(LayerKind::Indirect).unwrap();
            assert_eq!(Some(&oldest), ages.iter().max());
            assert!((mean - ages.iter().map(|age| f32::from(*age)).sum::<f32>() / ages.len() as f32).abs() < 0.01);
            assert_eq!(frame.layer_age(LayerKind::Path), None);
            let full = LATER.map(|layer| LayerRequest { scale: 1, ..layer });
            let truth = Shot::moving(EXTENT, 19, 0.04).trace(whole(EXTENT)[0], &full);
            let came: Vec<usize> =
                (EXTENT.pixels() / 2..EXTENT.pixels()).filter(|i| u64::from(ages[*i]) <= lag + 3).collect();
            let of = |layer: &[[u16; 4]]| came.iter().map(|i| layer[*i]).collect::<Vec<_>>();
            let indirect = frame.layer(LayerKind::Indirect).unwrap();
            let found = psnr_layer(&of(indirect), &of(&truth.layers[0].pixels), 1.0);
            assert!(found > 36.0, "{found:.1} dB, {lag} frames late, planes given: {has_planes}");
        }
    }
}

#[test]
fn global_light_that_is_late_gathers_samples_and_follows_a_lamp() {
    const OFF: u64 = 24;
    for lag in [0, 3] {
        let shot = |frame_id| {
            let light = if frame_id < OFF { 1.0 } else { 0.0 };
            Shot { light, noise: 0.5, ..Shot::moving(EXTENT, frame_id, 0.0) }
        };
        let mut merger = Merger::new(EXTENT);
        run(&mut merger, 0..OFF, lag, true, shot);
        let full = LATER.map(|layer| LayerRequest { scale: 1, ..layer });
        let clean = Shot::moving(EXTENT, 0, 0.0).trace(whole(EXTENT)[0], &full);
        let truth = near(&clean.layers[0].pixels);
        let gathered = {
            let frame = merger.finish().unwrap();
            psnr_layer(near(frame.layer(LayerKind::Indirect).unwrap()), truth, 1.0)
        };
        let one = psnr_layer(&shot(1).trace(whole(EXTENT)[0], &full).layers[0].pixels, &clean.layers[0].pixels, 1.0);
        assert!(gathered > one + 7.0, "{one:.1} dB of one frame became {gathered:.1} dB, {lag} frames late");
        run(&mut merger, OFF..OFF + lag + 4, lag, true, shot);
        let frame = merger.finish().unwrap();
        let mean = |layer: &[[u16; 4]]| {
            layer.iter().flat_map(|p| &p[..3]).map(|c| f16::from_bits(*c).to_f32()).sum::<f32>() / layer.len() as f32
        };
        let (left, lit) = (mean(near(frame.layer(LayerKind::Indirect).unwrap())), mean(truth));
        assert!(left < 0.03 * lit, "{left} of {lit} stays, {lag} frames late");
    }
}

#[test]
fn a_layer_that_is_due_again_goes_on_from_what_it_gathered() {
    let shot = |frame_id| Shot { noise: 0.5, ..Shot::moving(EXTENT, frame_id, 0.0) };
    let mut merger = Merger::new(EXTENT);
    let before = {
        run(&mut merger, 0..16, 2, false, shot);
        let held = merger.held_bytes();
        for frame_id in 16..19 {
            shot(frame_id).deliver(&mut merger, &LAYERS, &plans().due, &[]);
            merger.finish().unwrap();
        }
        held
    };
    let full = LATER.map(|layer| LayerRequest { scale: 1, ..layer });
    let clean = Shot::moving(EXTENT, 0, 0.0).trace(whole(EXTENT)[0], &full);
    let held = merger.held_bytes();
    let frame = merger.finish().unwrap();
    let quality = psnr_layer(near(frame.layer(LayerKind::Indirect).unwrap()), near(&clean.layers[0].pixels), 1.0);
    assert!(quality > 24.0, "{quality:.1} dB");
    assert_eq!(frame.layer_age(LayerKind::Indirect), Some(LayerAge { oldest: 0, mean: 0.0 }));
    // Ages and lengths of its own, twice, are given back; blocks that are traced in time take two bytes a pixel and a quarter.
    assert_eq!(before - held, 4 * EXTENT.pixels() - 9 * EXTENT.scaled(2).pixels());
}

#[test]
fn groups_that_can_not_be_merged_are_refused() {
    let shot = Shot::moving(EXTENT, 1, 0.0);
    let plans = plans();
    let mut merger = Merger::new(EXTENT);
    let refused = |merger: &mut Merger, later: &[LaterLayers<'_>], text: &str| {
        let error = merger.begin(FrameInputs { later, ..shot.inputs(&DUE, &plans.due) }).unwrap_err();
        assert!(matches!(error, FrameError::Plan(_)) && error.to_string().contains(text), "{error}");
    };
    refused(&mut merger, &[LaterLayers { layers: &DUE[..1], tiles: &plans.later }], "layer direct");
    refused(&mut merger, &[LaterLayers { layers: &[], tiles: &plans.later }], "0 layers");
    refused(&mut merger, &[LaterLayers { layers: &LATER, tiles: &plans.later[1..] }], "tiles cover");
    let twice = LaterLayers { layers: &LATER, tiles: &plans.later };
    refused(&mut merger, &[twice, twice], "layer indirect");
    merger.set_mode(MergeMode::Passthrough);
    refused(&mut merger, &[twice], "pass through");
    merger.set_mode(MergeMode::Accumulate { max_history: 8 });
    deliver(&mut merger, &shot, false);
    // A tile of a group brings that group's layers alone, and no tile of the frame brings them.
    let whole_tile = shot.trace(plans.later[0], &LAYERS);
    assert!(matches!(merger.add_tile(1, 6, 0, &whole_tile), Err(FrameError::NotPlanned { .. })));
    assert!(matches!(merger.add_tile(1, 0, 0, &shot.trace(plans.due[0], &LATER)), Err(FrameError::NotPlanned { .. })));
    assert!(matches!(merger.add_tile(1, 10, 0, &whole_tile), Err(FrameError::NotPlanned { .. })));
    deliver_later(&mut merger, &shot);
}
