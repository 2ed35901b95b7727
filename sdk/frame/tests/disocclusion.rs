//! What comes into view while its tile is missing is lit as its neighbours of the same surface are, and gives way to the first sample.

#[path = "synthetic/pictures.rs"]
mod pictures;
#[allow(dead_code, reason = "whole tiles are delivered by other tests")]
mod synthetic;

use glam::Vec3;
use half::f16;
use pictures::{of, truth};
use rayloom_frame::{
    Extent, LayerKind, LayerRequest, TracedTile,
    compose::{ToneMap, compose},
    merge::{FrameInputs, Merger, PlannedTile},
    metrics::psnr_rgba8,
};
use synthetic::{LAYERS, Shot, cut, whole};

const EXTENT: Extent = Extent::new(160, 90);
/// The tile that is missing: below the middle, with the ball in it.
const TILE: usize = 4;

fn tiles() -> Vec<PlannedTile> {
    cut(EXTENT, &[53, 107], &[30], 0)
}

/// A ball that goes to the right and leaves ground behind it.
fn shot(frame_id: u64) -> Shot {
    let ball_step = Vec3::new(0.12, 0.0, 0.0);
    let ball = Vec3::new(-0.5, 0.7, 0.0) + ball_step * frame_id as f32;
    Shot { ball, ball_step, ..Shot::moving(EXTENT, frame_id, 0.0) }
}

/// A frame with the engine's planes and all tiles but those that are missing.
fn deliver(merger: &mut Merger, shot: &Shot, layers: &[LayerRequest], missing: &[usize]) {
    let tiles = tiles();
    let given = shot.trace(whole(EXTENT)[0], &[]).primary;
    merger.begin(FrameInputs { planes: given.as_ref(), ..shot.inputs(layers, &tiles) }).unwrap();
    for (i, tile) in tiles.iter().enumerate().filter(|(i, _)| !missing.contains(i)) {
        let traced = TracedTile { primary: None, ..shot.trace(*tile, layers) };
        merger.add_tile(shot.frame_id, i as u32, 0, &traced).unwrap();
    }
}

/// What the tile shows of which nothing is known, after `lost` frames without it.
fn disoccluded(merger: &mut Merger, lost: u64) -> (Vec<u8>, Vec<usize>) {
    for frame_id in 0..6 + lost {
        merger.finish();
        deliver(merger, &shot(frame_id), &LAYERS, if frame_id < 6 { &[] } else { &[TILE] });
    }
    let frame = merger.finish().unwrap();
    let rect = tiles()[TILE].rect;
    let inside = |i: &usize| rect.contains(*i as u32 % EXTENT.width, *i as u32 / EXTENT.width);
    let pixels = (0..EXTENT.pixels()).filter(inside).filter(|i| frame.lengths[*i] == 0).collect();
    for kind in LayerKind::REAL_TIME {
        let mut halves = frame.layer(kind).unwrap().as_flattened().iter();
        assert!(halves.all(|half| f16::from_bits(*half).is_finite()), "{kind:?}");
    }
    (compose(&frame, 1.0, ToneMap::Linear), pixels)
}

#[test]
fn ground_behind_a_thing_that_moved_on_is_lit_as_the_ground_around() {
    for (lost, least) in [(1, 22.0), (3, 20.0)] {
        let mut merger = Merger::new(EXTENT);
        let (picture, pixels) = disoccluded(&mut merger, lost);
        assert!(pixels.len() > 30, "{} pixels", pixels.len());
        let now = of(&truth(&shot(5 + lost)), &pixels);
        let filled = psnr_rgba8(&of(&picture, &pixels), &now);
        let held = psnr_rgba8(&of(&truth(&shot(5)), &pixels), &now);
        assert!(filled > least && filled > held + 6.0, "{lost} lost: filled {filled:.1} dB, held {held:.1} dB");
    }
}

#[test]
fn the_first_sample_stands_alone() {
    let mut merger = Merger::new(EXTENT);
    let (_, pixels) = disoccluded(&mut merger, 2);
    // In another light, which history would hold back.
    let bright = Shot { light: 2.0, ..shot(8) };
    let layers = LAYERS.map(|layer| LayerRequest { scale: 1, ..layer });
    deliver(&mut merger, &bright, &layers, &[]);
    let mut alone = Merger::new(EXTENT);
    deliver(&mut alone, &bright, &layers, &[]);
    let (frame, sampled) = (merger.finish().unwrap(), alone.finish().unwrap());
    let is_first = |i: &&usize| frame.lengths[**i] == 1;
    assert!(pixels.iter().filter(is_first).count() > 20);
    for pixel in pixels.iter().filter(is_first) {
        for kind in LayerKind::REAL_TIME {
            assert_eq!(frame.layer(kind).unwrap()[*pixel], sampled.layer(kind).unwrap()[*pixel], "{kind:?}, {pixel}");
        }
    }
}

#[test]
fn a_tile_that_never_came_takes_light_from_its_neighbours() {
    let mut merger = Merger::new(EXTENT);
    deliver(&mut merger, &shot(0), &LAYERS, &[TILE]);
    let frame = merger.finish().unwrap();
    let rect = tiles()[TILE].rect;
    // Ground beside the tile's left border.
    let (x, y) = (rect.x, rect.bottom() - 4);
    let [beside, first] = [x - 1, x].map(|x| frame.layer(LayerKind::Direct).unwrap()[(y * EXTENT.width + x) as usize]);
    for (beside, first) in beside.iter().zip(first) {
        let [beside, first] = [*beside, first].map(|half| f16::from_bits(half).to_f32());
        assert!((beside - first).abs() < 0.2 && first > 0.0, "{first} beside {beside}");
    }
    assert_eq!(frame.lengths[(y * EXTENT.width + x) as usize], 0);
}
