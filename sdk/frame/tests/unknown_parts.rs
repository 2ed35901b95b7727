//! Parts of a finished frame of which nothing is known are told, can be asked for alone, and what comes of them lights the next frame.

#[path = "synthetic/pictures.rs"]
mod pictures;
#[allow(dead_code, reason = "whole tiles are delivered by other tests")]
mod synthetic;

use glam::Vec3;
use pictures::{of, truth};
use rayloom_frame::{
    Extent, FrameError, Rect, TracedTile,
    compose::{ToneMap, compose},
    merge::{Added, FrameInputs, LATE_FRAMES, MAX_UNKNOWN_PARTS, Merger, PlannedTile, UnknownPart},
    metrics::psnr_rgba8,
};
use synthetic::{LAYERS, Shot, cut, whole};

const EXTENT: Extent = Extent::new(160, 90);
/// The tile that is missing: below the middle, with the ball in it.
const TILE: usize = 4;
/// Frames with all tiles.
const WHOLE: u64 = 6;

fn tiles() -> Vec<PlannedTile> {
    cut(EXTENT, &[53, 107], &[30], 0)
}

/// What there is in each frame.
type Course = fn(u64) -> Shot;

/// A ball that goes to the right and leaves ground behind it, and stops.
fn shot(frame_id: u64) -> Shot {
    let ball_step = if frame_id > WHOLE { Vec3::ZERO } else { Vec3::new(0.12, 0.0, 0.0) };
    let ball = Vec3::new(-0.5 + 0.12 * frame_id.min(WHOLE) as f32, 0.7, 0.0);
    Shot { ball, ball_step, ..Shot::moving(EXTENT, frame_id, 0.0) }
}

/// A camera that goes to the right, past a ball that stands still, and stops.
fn passing(frame_id: u64) -> Shot {
    let ball = Vec3::new(0.3 * WHOLE as f32, 0.7, 0.0);
    let moving = Shot::moving(EXTENT, frame_id.min(WHOLE), 0.3);
    let previous_camera = if frame_id > WHOLE { moving.camera } else { moving.previous_camera };
    Shot { frame_id, ball, previous_camera, ..moving }
}

/// A frame with all tiles but those that are missing; with the engine's planes, or with hits that come with tiles.
fn deliver(merger: &mut Merger, shot: &Shot, has_planes: bool, missing: &[usize]) {
    let tiles = tiles();
    let given = shot.trace(whole(EXTENT)[0], &[]).primary.filter(|_| has_planes);
    merger.begin(FrameInputs { planes: given.as_ref(), ..shot.inputs(&LAYERS, &tiles) }).unwrap();
    for (i, tile) in tiles.iter().enumerate().filter(|(i, _)| !missing.contains(i)) {
        merger.add_tile(shot.frame_id, i as u32, 0, &traced(shot, *tile, has_planes)).unwrap();
    }
}

fn traced(shot: &Shot, tile: PlannedTile, has_planes: bool) -> TracedTile {
    let traced = shot.trace(tile, &LAYERS);
    TracedTile { primary: traced.primary.filter(|_| !has_planes), ..traced }
}

/// A merger whose last frame lacks the tile, what it says that nothing is known of, and the pixels of which that is so.
fn lost(shot: Course, has_planes: bool) -> (Merger, Vec<UnknownPart>, Vec<usize>) {
    let mut merger = Merger::new(EXTENT);
    for frame_id in 0..=WHOLE {
        merger.finish();
        deliver(&mut merger, &shot(frame_id), has_planes, if frame_id < WHOLE { &[] } else { &[TILE] });
    }
    let frame = merger.finish().unwrap();
    let (parts, pixels) = (frame.unknown_parts(), (0..EXTENT.pixels()).filter(|i| frame.lengths[*i] == 0).collect());
    (merger, parts, pixels)
}

/// The next frame, which lacks the tile too: PSNR of these pixels.
fn next(merger: &mut Merger, shot: Course, has_planes: bool, pixels: &[usize]) -> f64 {
    let now = shot(WHOLE + 1);
    deliver(merger, &now, has_planes, &[TILE]);
    let frame = merger.finish().unwrap();
    psnr_rgba8(&of(&compose(&frame, 1.0, ToneMap::Linear), pixels), &of(&truth(&now), pixels))
}

#[test]
fn parts_hold_what_is_unknown_and_do_not_overlap() {
    for (shot, has_planes) in [(shot as Course, true), (passing, true), (passing, false)] {
        let (mut merger, parts, _) = lost(shot, has_planes);
        let frame = merger.finish().unwrap();
        let tile = tiles()[TILE].rect;
        let unknown = |rect: Rect| {
            let pixels = (rect.y..rect.bottom()).flat_map(|y| (rect.x..rect.right()).map(move |x| (x, y)));
            pixels.filter(|(x, y)| frame.lengths[(y * EXTENT.width + x) as usize] == 0).count() as u32
        };
        assert!(!parts.is_empty() && parts.is_sorted_by_key(|part| std::cmp::Reverse(part.unknown)), "{parts:?}");
        for (i, part) in parts.iter().enumerate() {
            assert!(tile.contains_rect(part.rect) && part.rect.width.max(part.rect.height) <= 64, "{part:?}");
            assert_eq!(part.unknown, unknown(part.rect));
            assert!(parts[..i].iter().all(|other| other.rect.intersection(part.rect).is_empty()), "{parts:?}");
        }
        // All but a few pixels of blocks at the edges.
        let (told, all) = (parts.iter().map(|part| part.unknown).sum::<u32>(), unknown(tile));
        assert!(told * 10 >= all * 9 && all >= 20, "{told} of {all}");
        assert!(parts.iter().map(|part| part.rect.pixels()).sum::<usize>() * 2 < tile.pixels(), "{parts:?}");
    }
}

#[test]
fn what_comes_of_parts_lights_the_next_frame() {
    // Without planes nothing says that a ball moves whose tile is missing.
    let moving: [(&str, Course, &[bool]); 2] =
        [("a ball that moves", shot, &[true]), ("a camera that moves", passing, &[true, false])];
    for (name, shot, modes) in moving {
        for has_planes in modes.iter().copied() {
            let (mut merger, _, pixels) = lost(shot, has_planes);
            let filled = next(&mut merger, shot, has_planes, &pixels);
            for trickles in [false, true] {
                let (mut merger, parts, _) = lost(shot, has_planes);
                if trickles {
                    // Something of the tile itself comes late as well, and no light of what is lit.
                    let unlit = TracedTile { primary: None, ..shot(WHOLE).trace(tiles()[TILE], &LAYERS[3..]) };
                    assert_eq!(merger.add_tile(WHOLE, TILE as u32, 0, &unlit), Ok(Added::Late));
                }
                let rects: Vec<Rect> = parts.iter().map(|part| part.rect).collect();
                let first = merger.add_parts(WHOLE, &rects, 2).unwrap();
                assert_eq!(first, Some(tiles().len() as u32), "they are numbered on from the frame's own");
                for (i, rect) in (tiles().len() as u32..).zip(rects) {
                    let part = traced(&shot(WHOLE), PlannedTile { rect, ghost: 2 }, has_planes);
                    assert_eq!(merger.add_tile(WHOLE, i, 7, &part), Ok(Added::Late));
                    assert_eq!(merger.add_tile(WHOLE, i, 7, &part), Ok(Added::Duplicate));
                }
                let traced = next(&mut merger, shot, has_planes, &pixels);
                println!(
                    "{name}, planes {has_planes}, {trickles}: {filled:.1} dB filled, {traced:.1} dB with its parts"
                );
                assert!(traced > filled + 3.0, "{name}, {trickles}: {traced:.1} dB, {filled:.1} dB without");
            }
        }
    }
}

#[test]
fn nothing_is_unknown_of_a_frame_that_is_whole() {
    let mut merger = Merger::new(EXTENT);
    deliver(&mut merger, &shot(0), false, &[]);
    assert!(merger.finish().unwrap().unknown_parts().is_empty());
}

#[test]
fn of_a_tile_that_never_came_everything_is_unknown() {
    let mut merger = Merger::new(EXTENT);
    deliver(&mut merger, &shot(0), true, &[TILE]);
    let parts = merger.finish().unwrap().unknown_parts();
    let tile = tiles()[TILE].rect;
    assert_eq!(parts.iter().map(|part| part.rect.pixels()).sum::<usize>(), tile.pixels());
    assert!(parts.iter().all(|part| part.unknown as usize == part.rect.pixels()));
}

#[test]
fn parts_that_make_no_sense_are_refused_and_those_of_frames_that_are_over_are_none() {
    let (mut merger, ..) = lost(shot, true);
    let refused = |merger: &mut Merger, frame_id, parts: &[Rect]| match merger.add_parts(frame_id, parts, 0) {
        Err(FrameError::Plan(why)) => why,
        other => panic!("{other:?}"),
    };
    for rect in [Rect::new(0, 0, 0, 4), Rect::new(159, 0, 2, 1), Rect::new(u32::MAX, 0, 2, 1)] {
        assert!(refused(&mut merger, WHOLE, &[rect]).contains("leaves the view"), "{rect:?}");
    }
    let one = Rect::new(0, 0, 1, 1);
    assert_eq!(merger.add_parts(WHOLE, &[one; 40], 0), Ok(Some(6)));
    assert!(
        refused(&mut merger, WHOLE, &[one; 40])
            .contains(&format!("80 parts of one finished frame; at most {MAX_UNKNOWN_PARTS}"))
    );
    assert_eq!(merger.add_parts(WHOLE, &[one; 2], 0), Ok(Some(46)), "what was refused took no number");
    assert_eq!(merger.add_parts(WHOLE + 1, &[one], 0), Ok(None), "it never was");
    deliver(&mut merger, &shot(WHOLE + 1), true, &[]);
    assert!(refused(&mut merger, WHOLE + 1, &[one]).contains("which is open"));
    for frame_id in WHOLE + 1..=WHOLE + LATE_FRAMES as u64 + 1 {
        merger.finish();
        deliver(&mut merger, &shot(frame_id), true, &[]);
    }
    assert_eq!(merger.add_parts(WHOLE, &[one], 0), Ok(None), "it is too long ago");
}
