//! Tiles that were traced from a guess of their frame's camera: warped to the true one, fresh where the guess saw what is seen.

mod synthetic;

use glam::{Quat, Vec3};
use rayloom_frame::{
    Extent,
    codec::{CodecMode, encode_tile},
    compose::{ToneMap, compose},
    merge::{Added, FrameInputs, MergeMode, Merger, Predicted},
    metrics::psnr_rgba8,
};
use rayloom_scene::Camera;
use synthetic::{LAYERS, Shot, cut, whole};

const EXTENT: Extent = Extent::new(160, 90);

/// What tiles are traced as: the shot itself, seen from elsewhere.
fn guessed(shot: &Shot, change: impl Fn(&mut Camera)) -> Shot {
    let mut guess = *shot;
    change(&mut guess.camera);
    change(&mut guess.previous_camera);
    guess
}

fn predicted(guess: &Shot) -> Predicted {
    let Shot { frame_id, camera, previous_camera, .. } = *guess;
    Predicted { frame_id, camera, previous_camera, pre_exposure: 1.0 }
}

/// Opens a frame whose tiles were traced as `guess`, and adds all but those in `missing`.
fn deliver(merger: &mut Merger, shot: &Shot, guess: &Shot, missing: &[usize]) {
    let tiles = cut(EXTENT, &[53, 107], &[30], 0);
    let predicted = Some(predicted(guess));
    merger.begin(FrameInputs { predicted, ..shot.inputs(&LAYERS, &tiles) }).unwrap();
    for (i, tile) in tiles.iter().enumerate().filter(|(i, _)| !missing.contains(i)) {
        let added = merger.add_tile(shot.frame_id, i as u32, 0, &guess.trace(*tile, &LAYERS));
        let tile_complete = true;
        assert_eq!(added, Ok(Added::Stored { tile_complete }));
    }
}

/// The picture of the finished frame.
fn picture(merger: &mut Merger) -> Vec<u8> {
    compose(&merger.finish().unwrap(), 1.0, ToneMap::Linear)
}

fn truth(shot: &Shot) -> Vec<u8> {
    let mut merger = Merger::new(EXTENT);
    shot.deliver(&mut merger, &LAYERS, &whole(EXTENT), &[]);
    picture(&mut merger)
}

#[test]
fn a_right_guess_is_as_good_as_the_truth() {
    let [mut guessing, mut knowing] = [Merger::new(EXTENT), Merger::new(EXTENT)];
    for frame_id in 0..6 {
        let shot = Shot { noise: 0.3, ..Shot::moving(EXTENT, frame_id, 0.04) };
        deliver(&mut guessing, &shot, &shot, &[]);
        assert!(guessing.is_complete());
        shot.deliver(&mut knowing, &LAYERS, &whole(EXTENT), &[]);
        let apart = psnr_rgba8(&picture(&mut guessing), &picture(&mut knowing));
        assert!(apart > 40.0, "frame {frame_id}: {apart:.1} dB");
        let frame = guessing.finish().unwrap();
        assert!(frame.planes.normal == knowing.finish().unwrap().planes.normal, "hits are the same");
        let fresh = frame.fresh_fraction();
        assert!(fresh > 0.97, "frame {frame_id}: {fresh}");
        assert!(frame.tiles.iter().all(|tile| tile.complete && tile.peer == Some(0)));
    }
}

#[test]
fn a_wrong_guess_is_warped_to_where_the_camera_is() {
    for (metres, degrees, least) in [(0.02, 0.2, 30.0), (0.06, 1.0, 28.0), (0.15, 2.0, 25.0)] {
        let mut merger = Merger::new(EXTENT);
        let (mut warped, mut held) = (0.0, 0.0);
        for frame_id in 0..8 {
            // Guesses are off in another direction each time.
            let sign = if frame_id % 2 == 0 { 1.0 } else { -1.0 };
            let off = |camera: &mut Camera| {
                camera.position += Vec3::new(sign * metres, 0.3 * metres, 0.0);
                camera.rotation = Quat::from_rotation_y(f32::to_radians(sign * degrees)) * camera.rotation;
            };
            let shot = Shot::moving(EXTENT, frame_id, 0.04);
            let guess = guessed(&shot, off);
            deliver(&mut merger, &shot, &guess, &[]);
            warped = psnr_rgba8(&picture(&mut merger), &truth(&shot));
            held = psnr_rgba8(&truth(&guess), &truth(&shot));
        }
        let fresh = merger.finish().unwrap().fresh_fraction();
        let text = format!(
            "off by {metres} m, {degrees} degrees: {warped:.1} dB, as it was traced {held:.1} dB, {fresh:.2} fresh"
        );
        println!("{text}");
        // History has its own errors, which is all that there is of guesses that are as good as right.
        assert!(warped > least && (held > 35.0 || warped > held), "{text}");
        assert!(fresh > 0.9, "{text}");
    }
}

#[test]
fn what_comes_too_late_of_a_guess_still_counts() {
    // The tile in the middle below never comes in time.
    let quality = |age: Option<u64>| {
        let mut merger = Merger::new(EXTENT);
        let off = |camera: &mut Camera| camera.position.x += 0.05;
        let shot = |frame_id| Shot::moving(EXTENT, frame_id, 0.04);
        let tiles = cut(EXTENT, &[53, 107], &[30], 0);
        for frame_id in 0..6 {
            merger.finish();
            deliver(&mut merger, &shot(frame_id), &guessed(&shot(frame_id), off), &[4]);
            assert!(!merger.is_complete());
            if let Some(of) = age.and_then(|age| frame_id.checked_sub(age)) {
                let late = guessed(&shot(of), off).trace(tiles[4], &LAYERS);
                assert_eq!(merger.add_tile(of, 4, 0, &late), Ok(Added::Late));
                assert_eq!(merger.add_tile(of, 4, 0, &late), Ok(Added::Duplicate));
            }
        }
        let shown = picture(&mut merger);
        let frame = merger.finish().unwrap();
        let at = |x: u32, y: u32| (y * EXTENT.width + x) as usize;
        let tile: Vec<usize> = (40..80).flat_map(|y| (60..100).map(move |x| at(x, y))).collect();
        let of = |rgba: &[u8]| -> Vec<u8> { tile.iter().flat_map(|i| rgba[i * 4..i * 4 + 4].to_vec()).collect() };
        (psnr_rgba8(&of(&shown), &of(&truth(&shot(5)))), frame.ages[at(80, 60)], frame.ages[at(20, 60)])
    };
    let [never, one, three] = [None, Some(1), Some(3)].map(quality);
    assert_eq!((never.1, one.1, three.1), (255, 1, 3), "ages count from the frame that was guessed");
    assert_eq!((never.2, one.2, three.2), (0, 0, 0));
    assert!(one.0 > 26.0 && three.0 > 24.0 && three.0 > never.0 + 6.0, "{one:?}, {three:?}, {never:?}");
}

#[test]
fn slices_of_a_tile_that_has_come_in_part_count_as_far_as_they_go() {
    let shot = |frame_id| Shot::moving(EXTENT, frame_id, 0.04);
    let tiles = cut(EXTENT, &[53, 107], &[30], 0);
    let mut merger = Merger::new(EXTENT);
    for frame_id in 0..4 {
        merger.finish();
        deliver(&mut merger, &shot(frame_id), &shot(frame_id), if frame_id == 3 { &[4] } else { &[] });
    }
    let slices = encode_tile(&shot(3).trace(tiles[4], &LAYERS), CodecMode::Lossless, 3000);
    let (first, rest) = slices.split_at(slices.len() / 2);
    for slice in first {
        assert_eq!(merger.add_slice(3, 4, 0, slice), Ok(Added::Stored { tile_complete: false }));
    }
    assert_eq!(merger.add_slice(3, 4, 0, &first[0]), Ok(Added::Duplicate));
    let frame = merger.finish().unwrap();
    assert!(!frame.tiles[4].complete && frame.tiles[3].complete);
    assert_eq!(frame.ages[(60 * EXTENT.width + 60) as usize], 1, "some of its layers are history");
    let text = psnr_rgba8(&compose(&frame, 1.0, ToneMap::Linear), &truth(&shot(3)));
    assert!(text > 28.0, "{text:.1} dB");
    for slice in rest {
        assert_eq!(merger.add_slice(3, 4, 0, slice), Ok(Added::Late));
    }
    assert_eq!(merger.add_slice(3, 4, 0, &first[0]), Ok(Added::Duplicate), "it came in time");
    // The next frame need not be a guess.
    shot(4).deliver(&mut merger, &LAYERS, &tiles, &[]);
    assert_eq!(merger.finish().unwrap().fresh_fraction(), 1.0);
}

#[test]
fn blocks_are_read_where_they_were_traced_whatever_the_id_was() {
    let quality = |traced_with: u64| {
        let mut merger = Merger::new(EXTENT);
        let mut last = 0.0;
        for frame_id in 0..8 {
            let shot = Shot::moving(EXTENT, frame_id, 0.04);
            let guess = Shot { frame_id: frame_id + traced_with, ..shot };
            deliver(&mut merger, &shot, &guess, &[]);
            last = psnr_rgba8(&picture(&mut merger), &truth(&shot));
        }
        last
    };
    let (own, other) = (quality(0), quality(1));
    assert!((own - other).abs() < 1.0, "{own:.1} dB by its own id, {other:.1} dB by another");
}

#[test]
fn a_guess_is_refused_where_it_can_t_be_warped() {
    let shot = Shot::moving(EXTENT, 0, 0.0);
    let tiles = whole(EXTENT);
    let planes = shot.trace(tiles[0], &[]).primary;
    let refused = |mode, planes, predicted| {
        let mut merger = Merger::new(EXTENT);
        merger.set_mode(mode);
        let inputs = FrameInputs { predicted: Some(predicted), planes, ..shot.inputs(&LAYERS, &tiles) };
        merger.begin(inputs).unwrap_err().to_string()
    };
    let gathers = MergeMode::Accumulate { max_history: 8 };
    let text = refused(MergeMode::Passthrough, None, predicted(&shot));
    assert!(text.contains("pass through"), "{text}");
    let text = refused(gathers, planes.as_ref(), predicted(&shot));
    assert!(text.contains("given planes"), "{text}");
    let text = refused(gathers, None, Predicted { pre_exposure: 0.0, ..predicted(&shot) });
    assert!(text.contains("pre-exposure of 0"), "{text}");
}
