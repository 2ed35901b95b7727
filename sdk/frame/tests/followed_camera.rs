//! History follows the camera for as long as nothing comes, however slowly that moves: what is left of a pixel is not lost.

mod card;

use card::{EXTENT, Shot, ghosts, tiles};
use glam::Vec2;
use rayloom_frame::{
    compose::{ToneMap, compose},
    merge::Merger,
    metrics::psnr_rgba8,
};

/// Frames that are traced before nothing comes any more.
const TRACED: u64 = 4;
/// By how many of the card's pixels the camera moves in a frame, to the right and up, and frames of which nothing comes; the card stays
/// within the view. The wall behind it moves by half as much.
const COURSES: [((f32, f32), u64); 14] = [
    ((0.1, 0.0), 60),
    ((0.37, 0.0), 60),
    ((0.9, 0.0), 60),
    ((-0.9, 0.0), 60),
    ((1.7, 0.0), 36),
    ((3.1, 0.0), 24),
    ((-3.1, 0.0), 24),
    ((4.3, 0.0), 20),
    ((7.7, 0.0), 12),
    ((12.3, 0.0), 6),
    ((0.0, 3.1), 16),
    ((0.0, -5.3), 8),
    ((2.9, 2.3), 16),
    ((-6.1, 4.7), 6),
];

/// Pixels of the card, beyond one of its edge, that may be lost: a corner's, where the camera moves across both edges.
const CORNER: usize = 4;

/// Frame `frame_id` of a camera that passes the card half-way.
fn shot(frame_id: u64, (step, lost): ((f32, f32), u64)) -> Shot {
    let at = |frame: f32| (frame - TRACED as f32 - lost as f32 / 2.0) * Vec2::from(step);
    Shot::new(frame_id, at(frame_id as f32), at(frame_id as f32 - 1.0))
}

#[test]
fn a_camera_is_followed_for_as_long_as_nothing_comes() {
    for course in COURSES {
        let (step, lost) = course;
        let (tiles, mut merger) = (tiles(), Merger::new(EXTENT));
        for frame_id in 0..TRACED + lost {
            let shot = shot(frame_id, course);
            merger.begin(shot.inputs(&tiles)).unwrap();
            for (i, tile) in (0..).zip(&tiles).filter(|_| frame_id < TRACED) {
                merger.add_tile(frame_id, i, 0, &shot.trace(tile.rect)).unwrap();
            }
            merger.finish().unwrap();
        }
        let shot = shot(TRACED + lost - 1, course);
        let truth = shot.truth();
        let frame = merger.finish().unwrap();
        let seen = frame.planes;
        let agree = (0..EXTENT.pixels()).filter(|i| {
            let near = (seen.depth[*i] - truth.depth[*i]).abs() < 0.01 * truth.depth[*i];
            near && seen.instance_id[*i] == truth.instance_id[*i]
        });
        let share = agree.count() as f32 / EXTENT.pixels() as f32;
        let mut now = Merger::new(EXTENT);
        now.begin(shot.inputs(&tiles)).unwrap();
        for (i, tile) in (0..).zip(&tiles) {
            now.add_tile(shot.frame_id, i, 0, &shot.trace(tile.rect)).unwrap();
        }
        let known: Vec<usize> = (0..EXTENT.pixels()).filter(|i| frame.lengths[*i] > 0).collect();
        let of = |rgba: Vec<u8>| known.iter().flat_map(|i| rgba[i * 4..i * 4 + 4].to_vec()).collect::<Vec<u8>>();
        let quality = psnr_rgba8(
            &of(compose(&frame, 1.0, ToneMap::Linear)),
            &of(compose(&now.finish().unwrap(), 1.0, ToneMap::Linear)),
        );
        assert_eq!(ghosts(seen, &truth, 1), 0, "{step:?}: the card is where it is not");
        let lost = ghosts(&truth, seen, 1);
        assert!(lost <= CORNER, "{step:?}: {lost} pixels of the card are lost");
        assert!(share > 0.98, "{step:?}: {share:.4} agree");
        assert!(quality > 16.0, "{step:?}: {quality:.1} dB of {} pixels", known.len());
    }
}
