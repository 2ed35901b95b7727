//! Tiles that come after their frame are warped forward and count; what is too old, unknown or there already does not.

#[path = "synthetic/pictures.rs"]
mod pictures;
mod synthetic;

use glam::Vec3;
use half::f16;
use pictures::{of, truth};
use rayloom_frame::{
    Extent, FrameError, LayerKind, PlaneKind, TracedTile,
    codec::{CodecMode, encode_tile},
    compose::{ToneMap, compose},
    merge::{Added, FrameInputs, LATE_BYTES_PER_PIXEL, LATE_FRAMES, MergeCounts, MergeMode, Merger, PlannedTile},
    metrics::{psnr_layer, psnr_rgba8},
};
use synthetic::{LAYERS, Shot, cut, whole};

const EXTENT: Extent = Extent::new(160, 90);
/// The tile that is late: below the middle, with the ball in it.
const TILE: usize = 4;

fn tiles() -> Vec<PlannedTile> {
    cut(EXTENT, &[53, 107], &[30], 0)
}

/// Whether the planes come with the tiles or from the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Planes {
    Traced,
    Given,
}

fn traced(shot: &Shot, tile: PlannedTile, planes: Planes) -> TracedTile {
    let traced = shot.trace(tile, &LAYERS);
    if planes == Planes::Given { TracedTile { primary: None, ..traced } } else { traced }
}

/// Opens the frame and adds all tiles but `missing`.
fn deliver(merger: &mut Merger, shot: &Shot, planes: Planes, missing: &[usize]) {
    let tiles = tiles();
    let given = shot.trace(whole(EXTENT)[0], &[]).primary.filter(|_| planes == Planes::Given);
    merger.begin(FrameInputs { planes: given.as_ref(), ..shot.inputs(&LAYERS, &tiles) }).unwrap();
    for (i, tile) in tiles.iter().enumerate().filter(|(i, _)| !missing.contains(i)) {
        merger.add_tile(shot.frame_id, i as u32, 0, &traced(shot, *tile, planes)).unwrap();
    }
}

/// Takes what comes late, a tile of a frame, and finishes; the picture, and the pixels of the tile that show it alone.
fn finish_with_late(merger: &mut Merger, late: &Shot, planes: Planes, age: u64) -> (Vec<u8>, Vec<usize>) {
    let tile = tiles()[TILE];
    assert_eq!(merger.add_tile(late.frame_id, TILE as u32, 3, &traced(late, tile, planes)), Ok(Added::Late));
    let frame = merger.finish().unwrap();
    let inside = |i: &usize| tile.rect.contains(*i as u32 % EXTENT.width, *i as u32 / EXTENT.width);
    let is_late = |i: &usize| u64::from(frame.ages[*i]) == age && frame.lengths[*i] == 1;
    let pixels = (0..EXTENT.pixels()).filter(inside).filter(is_late).collect();
    (compose(&frame, 1.0, ToneMap::Linear), pixels)
}

#[test]
fn a_late_tile_is_seen_from_the_new_camera() {
    const STEP: f32 = 0.04;
    for planes in [Planes::Traced, Planes::Given] {
        for (age, least) in [(1, 34.0), (3, 30.0), (6, 26.0)] {
            // A tile of which nothing else ever came: what is there is the late tile's.
            let mut merger = Merger::new(EXTENT);
            for frame_id in 0..=8 + age {
                merger.finish();
                deliver(&mut merger, &Shot::moving(EXTENT, frame_id, STEP), planes, &[TILE]);
            }
            let late = Shot::moving(EXTENT, 8, STEP);
            let (picture, pixels) = finish_with_late(&mut merger, &late, planes, age);
            let all = tiles()[TILE].rect.pixels();
            assert!(pixels.len() > all * 2 / 3, "{planes:?}: {} of {all} pixels at age {age}", pixels.len());
            let now = of(&truth(&Shot::moving(EXTENT, 8 + age, STEP)), &pixels);
            let warped = psnr_rgba8(&of(&picture, &pixels), &now);
            let held = psnr_rgba8(&of(&truth(&late), &pixels), &now);
            assert!(warped > least, "{planes:?}, age {age}: {warped:.1} dB");
            assert!(age != 3 || warped > held + 6.0, "{planes:?}: warped {warped:.1} dB, held {held:.1} dB");
            assert_eq!((merger.counts().late, merger.counts().stale), (1, 0));
        }
    }
}

#[test]
fn a_late_tile_lowers_noise_as_if_it_had_come_in_time() {
    let quality = |planes: Planes, comes: Option<u64>| {
        let mut merger = Merger::new(EXTENT);
        let noisy = |frame_id| Shot { noise: 0.5, ..Shot::moving(EXTENT, frame_id, 0.02) };
        // Every second frame's tile is late, or lost.
        for frame_id in 0..25 {
            merger.finish();
            deliver(&mut merger, &noisy(frame_id), planes, if frame_id % 2 == 1 { &[TILE] } else { &[] });
            if let Some(late) = comes.and_then(|age| frame_id.checked_sub(age)).filter(|late| late % 2 == 1) {
                let added = merger.add_tile(late, TILE as u32, 3, &traced(&noisy(late), tiles()[TILE], planes));
                assert_eq!(added, Ok(Added::Late));
            }
        }
        let rect = tiles()[TILE].rect;
        let pixels: Vec<usize> = (rect.y + 20..rect.bottom())
            .flat_map(|y| (rect.x..rect.right()).map(move |x| (y * EXTENT.width + x) as usize))
            .collect();
        let picture = compose(&merger.finish().unwrap(), 1.0, ToneMap::Linear);
        psnr_rgba8(&of(&picture, &pixels), &of(&truth(&Shot::moving(EXTENT, 24, 0.02)), &pixels))
    };
    for planes in [Planes::Traced, Planes::Given] {
        let lost = quality(planes, None);
        for age in [1, 3, 5] {
            let late = quality(planes, Some(age));
            assert!(late > lost + 1.0, "{planes:?}: {late:.1} dB with tiles {age} frames late, {lost:.1} dB without");
        }
    }
}

/// Mean of red, green and blue of a layer in the tile.
fn mean(merger: &mut Merger, kind: LayerKind) -> f32 {
    let frame = merger.finish().unwrap();
    let layer = frame.layer(kind).unwrap();
    let rect = tiles()[TILE].rect;
    let mut sum = 0.0;
    for y in rect.y..rect.bottom() {
        let start = (y * EXTENT.width + rect.x) as usize;
        let row = &layer[start..start + rect.width as usize];
        sum += row.iter().flat_map(|p| &p[..3]).map(|c| f16::from_bits(*c).to_f32()).sum::<f32>();
    }
    sum / rect.pixels() as f32 / 3.0
}

#[test]
fn light_of_a_lamp_that_is_off_does_not_come_back() {
    const OFF: u64 = 24;
    let shot = |frame_id: u64| {
        let light = if frame_id < OFF { 1.0 } else { 0.0 };
        Shot { light, noise: 0.4, ..Shot::moving(EXTENT, frame_id, 0.02) }
    };
    for planes in [Planes::Traced, Planes::Given] {
        for age in [2, 3, 4, 5, 6, LATE_FRAMES as u64] {
            let mut merger = Merger::new(EXTENT);
            let mut lit = 0.0;
            for frame_id in 0..OFF + age {
                // The last lit frame's tile comes late: its pixels have been dark since.
                deliver(&mut merger, &shot(frame_id), planes, if frame_id == OFF - 1 { &[TILE] } else { &[] });
                let direct = mean(&mut merger, LayerKind::Direct);
                lit = if frame_id == OFF - 2 { direct } else { lit };
            }
            let before = mean(&mut merger, LayerKind::Direct);
            deliver(&mut merger, &shot(OFF + age), planes, &[]);
            let late = traced(&shot(OFF - 1), tiles()[TILE], planes);
            let added = merger.add_tile(OFF - 1, TILE as u32, 0, &late);
            assert_eq!(added, if age + 1 > LATE_FRAMES as u64 { Ok(Added::Stale) } else { Ok(Added::Late) });
            let after = mean(&mut merger, LayerKind::Direct);
            assert!(after < before + 0.005 * lit, "{planes:?}, age {age}: {before} became {after}, it was {lit}");
            assert!(after < lit * if age > 2 { 0.02 } else { 0.1 }, "{planes:?}, age {age}: {after} of {lit}");
        }
    }
}

#[test]
fn light_that_changes_is_followed_in_tiles_that_are_always_late() {
    const OFF: u64 = 24;
    let shot = |frame_id: u64| {
        let light = if frame_id < OFF { 1.0 } else { 0.0 };
        Shot { light, noise: 0.4, ..Shot::moving(EXTENT, frame_id, 0.02) }
    };
    for planes in [Planes::Traced, Planes::Given] {
        for age in [1, 3] {
            let mut merger = Merger::new(EXTENT);
            let mut lit = 0.0;
            for frame_id in 0..OFF + age + 4 {
                deliver(&mut merger, &shot(frame_id), planes, &[TILE]);
                if let Some(late) = frame_id.checked_sub(age) {
                    let late = traced(&shot(late), tiles()[TILE], planes);
                    let added = merger.add_tile(frame_id - age, TILE as u32, 0, &late);
                    assert_eq!(added, Ok(Added::Late));
                }
                let direct = mean(&mut merger, LayerKind::Direct);
                lit = if frame_id == OFF - 1 { direct } else { lit };
            }
            let left = mean(&mut merger, LayerKind::Direct);
            assert!(left < 0.03 * lit, "{planes:?}, {age} frames late: {left} of {lit} stays");
            let frame = merger.finish().unwrap();
            assert_eq!(u64::from(frame.ages[(60 * EXTENT.width + 80) as usize]), age, "{planes:?}");
        }
    }
}

#[test]
fn a_tile_of_a_thing_that_moves_lands_on_it() {
    // The ball alone moves, two pixels a frame.
    let shot = |frame_id: u64| {
        let step = Vec3::new(0.08, 0.0, 0.0);
        let ball = Vec3::new(-0.4, 0.7, 0.0) + step * frame_id as f32;
        Shot { ball, ball_step: step, ..Shot::moving(EXTENT, frame_id, 0.0) }
    };
    for planes in [Planes::Traced, Planes::Given] {
        for age in [1, 3] {
            let mut merger = Merger::new(EXTENT);
            for frame_id in 0..=4 + age {
                merger.finish();
                deliver(&mut merger, &shot(frame_id), planes, &[TILE]);
            }
            let (_, pixels) = finish_with_late(&mut merger, &shot(4), planes, age);
            let frame = merger.finish().unwrap();
            let truth = shot(4 + age).trace(whole(EXTENT)[0], &LAYERS);
            let ids = &truth.primary.as_ref().unwrap().instance_id;
            let direct = frame.layer(LayerKind::Direct).unwrap();
            // Blue light tells the ball, 0.6, from the floor, 0.3.
            let blue = |i: usize| f16::from_bits(direct[i][2]).to_f32();
            let wrong = pixels.iter().filter(|i| (blue(**i) - 0.3 * ids[**i] as f32).abs() > 0.02).count();
            let on_ball = pixels.iter().filter(|i| ids[**i] == 2).count();
            let rect = tiles()[TILE].rect;
            let inside = |i: &usize| rect.contains(*i as u32 % EXTENT.width, *i as u32 / EXTENT.width);
            let ball = (0..EXTENT.pixels()).filter(|i| ids[*i] == 2).filter(inside).count();
            assert!(on_ball > ball * 4 / 5, "{planes:?}, age {age}: {on_ball} of {ball} pixels of the ball");
            assert!(wrong * 100 < pixels.len(), "{planes:?}, age {age}: {wrong} of {} pixels", pixels.len());
        }
    }
}

#[test]
fn a_tile_counts_once_and_for_some_frames() {
    let shot = |frame_id| Shot::moving(EXTENT, frame_id, 0.02);
    let mut merger = Merger::new(EXTENT);
    let most = LATE_FRAMES as u64;
    for frame_id in 0..most + 2 {
        merger.finish();
        deliver(&mut merger, &shot(frame_id), Planes::Traced, if frame_id < 2 { &[TILE] } else { &[] });
    }
    let late = |merger: &mut Merger, frame_id: u64, tile: usize| {
        merger.add_tile(frame_id, tile as u32, 0, &shot(frame_id).trace(tiles()[tile], &LAYERS))
    };
    assert_eq!(late(&mut merger, 0, TILE), Ok(Added::Stale), "one frame too late");
    assert_eq!(late(&mut merger, 1, TILE), Ok(Added::Late), "as late as may be");
    assert_eq!(late(&mut merger, 1, TILE), Ok(Added::Duplicate), "it came late before");
    assert_eq!(late(&mut merger, 5, TILE), Ok(Added::Duplicate), "it came in time");
    assert_eq!(late(&mut merger, 1, 0), Ok(Added::Duplicate), "it came in time");
    assert_eq!(late(&mut merger, 400, 0), Ok(Added::Stale), "it was never begun");
    let before = merger.counts();
    assert_eq!((before.late, before.duplicates, before.stale, before.late_dropped), (1, 3, 2, 0));
    merger.finish().unwrap();
    // The frame that would be begun next is a frame further from the one that was as late as may be.
    assert_eq!(late(&mut merger, 1, TILE), Ok(Added::Stale));
    assert_eq!(late(&mut merger, 2, TILE), Ok(Added::Duplicate));
    merger.forget();
    assert_eq!(late(&mut merger, most + 1, TILE), Ok(Added::Stale), "after a cut nothing of before counts");
    deliver(&mut merger, &shot(most + 2), Planes::Traced, &[]);
    assert_eq!(late(&mut merger, most + 1, TILE), Ok(Added::Stale));
}

#[test]
fn slices_that_come_late_count_where_the_others_came_in_time() {
    // The planes and some layers of a tile come in time, the slices of the others miss their frame.
    let shot = |frame_id| Shot { noise: 0.3, ..Shot::moving(EXTENT, frame_id, 0.02) };
    let is_late = |plane| matches!(plane, PlaneKind::Layer(LayerKind::Direct | LayerKind::Indirect));
    let mut merger = Merger::new(EXTENT);
    for frame_id in 0..10 {
        merger.finish();
        deliver(&mut merger, &shot(frame_id), Planes::Traced, &[TILE]);
        for (of, late) in [(frame_id, false), (frame_id.wrapping_sub(1), true)] {
            if of > frame_id {
                continue;
            }
            let slices = encode_tile(&shot(of).trace(tiles()[TILE], &LAYERS), CodecMode::Lossless, 3000);
            for slice in slices.iter().filter(|slice| is_late(slice.plane) == late) {
                let added = merger.add_slice(of, TILE as u32, 0, slice).unwrap();
                assert_eq!(added, if late { Added::Late } else { Added::Stored { tile_complete: false } });
                assert_eq!(merger.add_slice(of, TILE as u32, 0, slice), Ok(Added::Duplicate));
            }
        }
    }
    let clean = Shot::moving(EXTENT, 9, 0.02).trace(tiles()[TILE], &[LAYERS[0]]);
    let frame = merger.finish().unwrap();
    let rect = tiles()[TILE].rect;
    let direct: Vec<[u16; 4]> = (rect.y..rect.bottom())
        .flat_map(|y| (rect.x..rect.right()).map(move |x| (y * EXTENT.width + x) as usize))
        .map(|i| frame.layer(LayerKind::Direct).unwrap()[i])
        .collect();
    let quality = psnr_layer(&direct, &clean.layers[0].pixels, 1.0);
    assert!(quality > 22.0, "{quality:.1} dB, of layers that never came in time");
}

#[test]
fn what_the_plan_did_not_ask_for_is_refused_late_too() {
    let shot = |frame_id| Shot::moving(EXTENT, frame_id, 0.02);
    let mut merger = Merger::new(EXTENT);
    for frame_id in 0..4 {
        merger.finish();
        deliver(&mut merger, &shot(frame_id), Planes::Traced, &[TILE]);
    }
    let good = shot(2).trace(tiles()[TILE], &LAYERS);
    let other = shot(2).trace(cut(EXTENT, &[60], &[30], 0)[3], &LAYERS);
    let mut short = good.clone();
    short.layers[0].pixels.pop();
    let mut scaled = good.clone();
    scaled.layers[0].scale = 3;
    let mut unasked = good.clone();
    unasked.layers[0].kind = LayerKind::Path;
    for (tile, bad) in
        [(TILE, &other), (TILE + 1, &good), (99, &good), (TILE, &short), (TILE, &scaled), (TILE, &unasked)]
    {
        let added = merger.add_tile(2, tile as u32, 0, bad);
        assert!(matches!(added, Err(FrameError::NotPlanned { .. })), "{added:?}");
    }
    assert_eq!((merger.counts().rejected, merger.counts().late), (6, 0));
    assert_eq!(merger.add_tile(2, TILE as u32, 0, &good), Ok(Added::Late));
    // Some of the layers, and the planes that the engine gives are nobody else's to bring.
    let mut merger = Merger::new(EXTENT);
    for frame_id in 0..4 {
        merger.finish();
        deliver(&mut merger, &shot(frame_id), Planes::Given, &[TILE]);
    }
    assert!(matches!(merger.add_tile(2, TILE as u32, 0, &good), Err(FrameError::NotPlanned { .. })));
    let one = TracedTile { primary: None, layers: good.layers[..1].to_vec(), ..good.clone() };
    assert_eq!(merger.add_tile(2, TILE as u32, 0, &one), Ok(Added::Late));
    assert_eq!(merger.add_tile(2, TILE as u32, 0, &one), Ok(Added::Duplicate));
}

#[test]
fn what_passes_through_has_no_late_tiles() {
    let shot = |frame_id| Shot::moving(EXTENT, frame_id, 0.02);
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Passthrough);
    for frame_id in 0..3 {
        deliver(&mut merger, &shot(frame_id), Planes::Traced, &[TILE]);
        let digest = merger.finish().unwrap().digest();
        let late = shot(frame_id).trace(tiles()[TILE], &LAYERS);
        assert_eq!(merger.add_tile(frame_id, TILE as u32, 0, &late), Ok(Added::Stale));
        assert_eq!(merger.finish().unwrap().digest(), digest);
    }
    assert_eq!(merger.counts(), MergeCounts { stored: 15, stale: 3, ..MergeCounts::default() });
}

#[test]
fn another_order_of_late_tiles_gives_the_same_bits() {
    let shot = |frame_id| Shot { noise: 0.3, ..Shot::moving(EXTENT, frame_id, 0.04) };
    let digest = |order: &[(u64, usize)]| {
        let mut merger = Merger::new(EXTENT);
        for frame_id in 0..8 {
            merger.finish();
            deliver(&mut merger, &shot(frame_id), Planes::Traced, &[1, TILE]);
        }
        for (frame_id, tile) in order {
            let late = shot(*frame_id).trace(tiles()[*tile], &LAYERS);
            assert_eq!(merger.add_tile(*frame_id, *tile as u32, 0, &late), Ok(Added::Late));
        }
        merger.finish().unwrap().digest()
    };
    let order = [(3, TILE), (6, TILE), (5, 1), (3, 1)];
    let mut reversed = order;
    reversed.reverse();
    assert_eq!(digest(&order), digest(&reversed));
    assert_ne!(digest(&order), digest(&order[1..]), "the first one matters");
}

#[test]
fn of_more_than_is_kept_the_oldest_is_dropped() {
    let shot = |frame_id| Shot::moving(EXTENT, frame_id, 0.04);
    let mut merger = Merger::new(EXTENT);
    let all: Vec<usize> = (0..tiles().len()).collect();
    for frame_id in 0..7 {
        merger.finish();
        deliver(&mut merger, &shot(frame_id), Planes::Traced, &all);
    }
    let before = merger.held_bytes();
    // Six frames of a view, when a link that hung goes on.
    for frame_id in 0..6 {
        for (tile, plan) in (0..).zip(tiles()) {
            assert_eq!(merger.add_tile(frame_id, tile, 0, &shot(frame_id).trace(plan, &LAYERS)), Ok(Added::Late));
            assert!(merger.held_bytes() - before <= LATE_BYTES_PER_PIXEL * EXTENT.pixels());
        }
    }
    let counts = merger.counts();
    assert_eq!(counts.late, 36);
    // Of ten planes each; the tiles of the newest frame are among those that are kept.
    assert!(counts.late_dropped >= 200 && counts.late_dropped.is_multiple_of(10), "{}", counts.late_dropped);
    let frame = merger.finish().unwrap();
    assert!(frame.ages.iter().filter(|age| **age == 1).count() > EXTENT.pixels() * 9 / 10);
    assert_eq!(merger.held_bytes(), before, "what waited is given back");
}
