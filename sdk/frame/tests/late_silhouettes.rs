//! A thing is where late hits have it, and nowhere else: what a frame showed of it before does not stay behind.

mod card;

use card::{EXTENT, Shot, ghosts, tiles};
use glam::Vec2;
use rayloom_frame::merge::{Added, Merger};

const FRAMES: u64 = 60;

/// Frame `frame_id` of a camera that moves by three of the card's pixels a frame, and turns back every fifteen frames.
fn shot(frame_id: u64) -> Shot {
    let at = |frame: u64| {
        let along = (frame % 30) as f32;
        Vec2::new((if along < 15.0 { along } else { 30.0 - along } - 7.0) * 3.0, 0.0)
    };
    Shot::new(frame_id, at(frame_id), at((frame_id + 29) % 30))
}

#[test]
fn nothing_stays_behind_where_all_tiles_are_late() {
    for late in 1..=3 {
        let (tiles, mut merger) = (tiles(), Merger::new(EXTENT));
        let mut report = Vec::new();
        for frame_id in 0..FRAMES {
            let now = shot(frame_id);
            merger.begin(now.inputs(&tiles)).unwrap();
            if let Some(of) = frame_id.checked_sub(late) {
                for (i, tile) in (0..).zip(&tiles) {
                    assert_eq!(merger.add_tile(of, i, 0, &shot(of).trace(tile.rect)), Ok(Added::Late));
                }
            }
            let (seen, truth) = (merger.finish().unwrap().planes, now.truth());
            if frame_id < late {
                continue;
            }
            let stale = ghosts(seen, &truth, 2);
            let missed = ghosts(&truth, seen, 2);
            // Nothing at all is known of what has just come into view at the edge, where no frame was ever in time.
            let is_wrong = |i: &usize| ![0, truth.instance_id[*i]].contains(&seen.instance_id[*i]);
            let wrong = (0..EXTENT.pixels()).filter(is_wrong).count();
            report.push((frame_id, stale, missed, wrong));
        }
        assert!(
            report.iter().all(|(_, stale, missed, _)| *stale == 0 && *missed == 0),
            "{late} frames late: {report:?}"
        );
        assert!(report.iter().all(|(.., wrong)| *wrong < EXTENT.pixels() / 100), "{late} frames late: {report:?}");
    }
}
