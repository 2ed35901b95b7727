//! History follows the camera for as long as nothing comes, however slowly that moves: what is left of a pixel is not lost.

mod card;

use card::{CARD, EXTENT, Shot, ghosts, tiles};
use rayloom_frame::{
    compose::{ToneMap, compose},
    merge::Merger,
    metrics::psnr_rgba8,
};

/// Frames that are traced, and then of which nothing comes.
const TRACED: u64 = 4;
const LOST: u64 = 60;

/// Frame `frame_id` of a camera that moves by so many of the card's pixels a frame, and passes it half-way.
fn shot(frame_id: u64, step: f32) -> Shot {
    let at = |frame: f32| (frame - LOST as f32 / 2.0) * step;
    Shot::new(frame_id, at(frame_id as f32), at(frame_id as f32 - 1.0))
}

/// The columns in which a row shows the card: first, and one beyond the last.
fn columns(instances: &[u32], y: u32) -> Option<(usize, usize)> {
    let row = &instances[(y * EXTENT.width) as usize..((y + 1) * EXTENT.width) as usize];
    let first = row.iter().position(|id| *id == CARD)?;
    Some((first, row.iter().rposition(|id| *id == CARD)? + 1))
}

#[test]
fn a_camera_is_followed_for_as_long_as_nothing_comes() {
    for step in [0.1, 0.37, 0.9, -0.9] {
        let (tiles, mut merger) = (tiles(), Merger::new(EXTENT));
        for frame_id in 0..TRACED + LOST {
            let shot = shot(frame_id, step);
            merger.begin(shot.inputs(&tiles)).unwrap();
            for (i, tile) in (0..).zip(&tiles).filter(|_| frame_id < TRACED) {
                merger.add_tile(frame_id, i, 0, &shot.trace(tile.rect)).unwrap();
            }
            merger.finish().unwrap();
        }
        let shot = shot(TRACED + LOST - 1, step);
        let truth = shot.truth();
        let frame = merger.finish().unwrap();
        let seen = frame.planes;
        let mut worst = 0;
        for y in 0..EXTENT.height {
            match (columns(&seen.instance_id, y), columns(&truth.instance_id, y)) {
                (Some(seen), Some(truth)) => worst = worst.max(seen.0.abs_diff(truth.0)).max(seen.1.abs_diff(truth.1)),
                (seen, truth) => assert_eq!(seen, truth, "step {step}, row {y}"),
            }
        }
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
        assert!(worst <= 1, "step {step}: an edge is {worst} pixels off");
        assert_eq!(ghosts(seen, &truth, 1), 0, "step {step}");
        assert!(share > 0.98, "step {step}: {share:.4} agree");
        assert!(quality > 16.0, "step {step}: {quality:.1} dB of {} pixels", known.len());
    }
}
