//! Missing tiles come from history, ages tell the truth, disoccluded surfaces start anew, noise is averaged away.

mod synthetic;

use glam::Vec3;
use half::f16;
use rayloom_frame::{
    Extent, LayerKind, LayerRequest,
    compose::{ToneMap, compose},
    merge::{FrameInputs, MergeMode, Merger},
    metrics::{psnr_layer, psnr_rgba8},
};
use synthetic::{LAYERS, Shot, cut, whole};

const EXTENT: Extent = Extent::new(160, 90);

#[test]
fn a_missing_tile_is_seen_from_the_new_camera() {
    let tiles = cut(EXTENT, &[53, 107], &[45], 0);
    let mut merger = Merger::new(EXTENT);
    for frame_id in 0..4 {
        Shot::moving(EXTENT, frame_id, 0.04).deliver(&mut merger, &LAYERS, &tiles, &[]);
        merger.finish().unwrap();
    }
    let held = compose(&merger.finish().unwrap(), 1.0, ToneMap::Linear);
    let shot = Shot::moving(EXTENT, 4, 0.04);
    shot.deliver(&mut merger, &LAYERS, &tiles, &[4]);
    let frame = merger.finish().unwrap();
    let covered = compose(&frame, 1.0, ToneMap::Linear);
    assert!((frame.fresh_fraction() - 5.0 / 6.0).abs() < 0.01);
    let tile = frame.tiles[4];
    assert_eq!((tile.peer, tile.complete, tile.age), (None, false, 1));
    assert_eq!((frame.tiles[5].peer, frame.tiles[5].complete, frame.tiles[5].age), (Some(1), true, 0));
    let mut reference = Merger::new(EXTENT);
    shot.deliver(&mut reference, &LAYERS, &tiles, &[]);
    let truth = compose(&reference.finish().unwrap(), 1.0, ToneMap::Linear);
    let in_tile = |rgba: &[u8]| {
        (tile.rect.y..tile.rect.bottom())
            .flat_map(|y| {
                let start = (y * EXTENT.width + tile.rect.x) as usize * 4;
                rgba[start..start + tile.rect.width as usize * 4].to_vec()
            })
            .collect::<Vec<_>>()
    };
    let (warped, frozen) =
        (psnr_rgba8(&in_tile(&covered), &in_tile(&truth)), psnr_rgba8(&in_tile(&held), &in_tile(&truth)));
    assert!(warped > 32.0 && warped > frozen + 5.0, "warped {warped:.1} dB, held {frozen:.1} dB");
}

#[test]
fn ages_count_frames_since_a_pixel_was_traced() {
    let tiles = cut(EXTENT, &[80], &[], 0);
    let mut merger = Merger::new(EXTENT);
    let ages = |merger: &mut Merger, frame_id: u64, missing: &[usize]| {
        Shot::moving(EXTENT, frame_id, 0.0).deliver(merger, &LAYERS, &tiles, missing);
        let frame = merger.finish().unwrap();
        let oldest = frame.ages.iter().copied().max().unwrap();
        let pixels = |age: u8| frame.ages.iter().filter(|other| **other == age).count() as u32;
        assert_eq!(frame.pixels_by_age(), (0..=oldest).map(pixels).collect::<Vec<_>>());
        (frame.ages[10], frame.ages[150], frame.tiles[1].age)
    };
    assert_eq!(ages(&mut merger, 0, &[1]), (0, 255, 255));
    assert_eq!(ages(&mut merger, 1, &[]), (0, 0, 0));
    assert_eq!(ages(&mut merger, 2, &[1]), (0, 1, 1));
    assert_eq!(ages(&mut merger, 3, &[0, 1]), (1, 2, 2));
    assert_eq!(ages(&mut merger, 4, &[1]), (0, 3, 3));
    assert_eq!(ages(&mut merger, 5, &[]), (0, 0, 0));
}

#[test]
fn depths_that_no_surface_has_leave_nothing_behind() {
    let tiles = cut(EXTENT, &[80], &[], 0);
    for bad in [-1.0, -1e30, f32::NEG_INFINITY, f32::NAN, -0.0, 1e-42] {
        let mut merger = Merger::new(EXTENT);
        for frame_id in 0..12 {
            let shot = Shot::moving(EXTENT, frame_id, 0.04);
            shot.deliver(&mut merger, &LAYERS, &tiles, if frame_id == 3 { &[1] } else { &[] });
            if frame_id == 3 {
                let mut broken = shot.trace(tiles[1], &LAYERS);
                broken.primary.as_mut().unwrap().depth.fill(bad);
                merger.add_tile(frame_id, 1, 0, &broken).unwrap();
            }
            let frame = merger.finish().unwrap();
            for kind in LayerKind::REAL_TIME {
                let halves = frame.layer(kind).unwrap().as_flattened();
                let undefined = halves.iter().filter(|bits| !f16::from_bits(**bits).is_finite()).count();
                assert_eq!(undefined, 0, "{} of frame {frame_id} after a depth of {bad}", kind.name());
            }
        }
        let healed = compose(&merger.finish().unwrap(), 1.0, ToneMap::Linear);
        let mut reference = Merger::new(EXTENT);
        Shot::moving(EXTENT, 11, 0.04).deliver(&mut reference, &LAYERS, &tiles, &[]);
        let found = psnr_rgba8(&healed, &compose(&reference.finish().unwrap(), 1.0, ToneMap::Linear));
        assert!(found > 30.0, "{found:.1} dB after a depth of {bad}");
    }
}

#[test]
fn a_frame_that_was_dropped_leaves_the_history_as_it_was() {
    let tiles = whole(EXTENT);
    let mut merger = Merger::new(EXTENT);
    Shot::moving(EXTENT, 0, 0.0).deliver(&mut merger, &LAYERS, &tiles, &[]);
    let before = merger.finish().unwrap().layer(LayerKind::Direct).unwrap().to_vec();
    let mut garbage = Shot::moving(EXTENT, 1, 0.0);
    garbage.ball = Vec3::new(1.0, 2.0, 1.0);
    garbage.deliver(&mut merger, &LAYERS, &tiles, &[]);
    Shot::moving(EXTENT, 2, 0.0).deliver(&mut merger, &LAYERS, &tiles, &[0]);
    let found = psnr_layer(merger.finish().unwrap().layer(LayerKind::Direct).unwrap(), &before, 1.0);
    assert!(found > 50.0, "{found:.1} dB");
}

#[test]
fn surfaces_that_come_into_view_start_anew() {
    let tiles = whole(EXTENT);
    let mut merger = Merger::new(EXTENT);
    let (mut shot, index) = (Shot::moving(EXTENT, 0, 0.0), |x: usize, y: usize| y * 160 + x);
    for frame_id in 0..6 {
        shot.frame_id = frame_id;
        shot.deliver(&mut merger, &LAYERS, &tiles, &[]);
        merger.finish().unwrap();
    }
    // The ball jumps away; what was behind it has no history.
    let before = merger.finish().unwrap().planes.instance_id.clone();
    shot.frame_id = 6;
    shot.ball.x += 2.0;
    shot.deliver(&mut merger, &LAYERS, &tiles, &[]);
    let frame = merger.finish().unwrap();
    let uncovered: Vec<usize> =
        (0..before.len()).filter(|i| before[*i] == 2 && frame.planes.instance_id[*i] == 1).collect();
    assert!(uncovered.len() > 100);
    assert!(uncovered.iter().all(|i| frame.lengths[*i] == 1));
    assert_eq!(frame.lengths[index(10, 80)], 7);
    let truth = shot.trace(tiles[0], &LAYERS);
    let direct = frame.layer(LayerKind::Direct).unwrap();
    assert!(uncovered.iter().all(|i| direct[*i] == truth.layers[0].pixels[*i]), "no light of the ball stays behind");
}

#[test]
fn noise_is_averaged_over_frames() {
    let tiles = whole(EXTENT);
    let clean = Shot::moving(EXTENT, 0, 0.0).trace(tiles[0], &LAYERS);
    let quality = |max_history: u8| {
        let mut merger = Merger::new(EXTENT);
        merger.set_mode(MergeMode::Accumulate { max_history });
        for frame_id in 0..32 {
            Shot { noise: 0.5, ..Shot::moving(EXTENT, frame_id, 0.0) }.deliver(&mut merger, &LAYERS, &tiles, &[]);
            merger.finish().unwrap();
        }
        psnr_layer(merger.finish().unwrap().layer(LayerKind::Direct).unwrap(), &clean.layers[0].pixels, 1.0)
    };
    let (one, many) = (quality(1), quality(32));
    // 32 independent samples lower the squared error by 15 dB.
    assert!((many - one - 15.0).abs() < 1.5, "{one:.1} dB became {many:.1} dB");
}

#[test]
fn half_resolution_layers_keep_edges() {
    let shot = Shot::moving(EXTENT, 0, 0.0);
    let mut merger = Merger::new(EXTENT);
    shot.deliver(&mut merger, &LAYERS, &whole(EXTENT), &[]);
    let mut full = LAYERS;
    full.iter_mut().for_each(|l| l.scale = 1);
    let truth = shot.trace(whole(EXTENT)[0], &full);
    let frame = merger.finish().unwrap();
    // The lower half: near the horizon the stripes are finer than a block.
    let near = EXTENT.pixels() / 2..;
    let found =
        psnr_layer(&frame.layer(LayerKind::Indirect).unwrap()[near.clone()], &truth.layers[2].pixels[near], 1.0);
    assert!(found > 36.0, "{found:.1} dB");
}

#[test]
fn light_that_is_no_number_does_not_stay() {
    let tiles = whole(EXTENT);
    let mut merger = Merger::new(EXTENT);
    for frame_id in 0..3 {
        let shot = Shot::moving(EXTENT, frame_id, 0.03);
        let mut traced = shot.trace(tiles[0], &LAYERS);
        if frame_id < 2 {
            traced
                .layers
                .iter_mut()
                .for_each(|l| l.pixels[40 * l.rect.width as usize + 40] = [f16::NAN.to_bits(), 0x7c00, 0xfc00, 0]);
        }
        merger.begin(shot.inputs(&LAYERS, &tiles)).unwrap();
        merger.add_tile(frame_id, 0, 0, &traced).unwrap();
        let frame = merger.finish().unwrap();
        for kind in LayerKind::REAL_TIME {
            assert!(frame.layer(kind).unwrap().iter().flatten().all(|h| f16::from_bits(*h).is_finite()));
        }
    }
}

#[test]
fn another_pre_exposure_dims_history_and_samples_alike() {
    let tiles = whole(EXTENT);
    let mut merger = Merger::new(EXTENT);
    let deliver = |merger: &mut Merger, frame_id: u64, pre_exposure: f32, missing: bool| {
        let shot = Shot { light: pre_exposure, ..Shot::moving(EXTENT, frame_id, 0.02) };
        merger.begin(FrameInputs { pre_exposure, ..shot.inputs(&LAYERS, &tiles) }).unwrap();
        if !missing {
            merger.add_tile(frame_id, 0, 0, &shot.trace(tiles[0], &LAYERS)).unwrap();
        }
        compose(&merger.finish().unwrap(), 1.0, ToneMap::Linear)
    };
    for frame_id in 0..6 {
        deliver(&mut merger, frame_id, 1.0, false);
    }
    // A quarter of the light in the layers is the same picture, from samples or from history alone.
    let dimmed = deliver(&mut merger, 6, 0.25, false);
    let covered = deliver(&mut merger, 7, 0.5, true);
    let mut reference = Merger::new(EXTENT);
    let truth: Vec<Vec<u8>> = (0..8).map(|frame_id| deliver(&mut reference, frame_id, 1.0, frame_id == 7)).collect();
    for (found, expected) in [(&dimmed, &truth[6]), (&covered, &truth[7])] {
        let quality = psnr_rgba8(found, expected);
        assert!(quality > 45.0, "{quality:.1} dB");
    }
}

#[test]
fn paths_are_summed_for_as_long_as_nothing_changes() {
    let tiles = whole(EXTENT);
    let layers = [LayerRequest::new(LayerKind::Path)];
    let clean = Shot::moving(EXTENT, 0, 0.0).trace(tiles[0], &layers);
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Accumulate { max_history: 8 });
    let deliver = |merger: &mut Merger, frame_id: u64, is_unchanged: bool| {
        let shot = Shot { noise: 0.5, ..Shot::moving(EXTENT, frame_id, 0.0) };
        let still = Shot { previous_camera: shot.camera, ..shot };
        merger.begin(FrameInputs { is_unchanged, ..still.inputs(&layers, &tiles) }).unwrap();
        merger.add_tile(frame_id, 0, 0, &still.trace(tiles[0], &layers)).unwrap();
        let frame = merger.finish().unwrap();
        psnr_layer(frame.layer(LayerKind::Path).unwrap(), &clean.layers[0].pixels, 1.0)
    };
    let quality: Vec<_> = (0..256).map(|frame_id| deliver(&mut merger, frame_id, frame_id > 0)).collect();
    // Sixteen times as many samples lower the squared error by 12 dB; a history of 8 frames would stay.
    let (some, many) = (quality[15], quality[255]);
    assert!((many - some - 12.0).abs() < 0.7, "{some:.1} dB became {many:.1} dB");
    let changed = deliver(&mut merger, 256, false);
    assert!(changed < many - 6.0, "{changed:.1} dB: a frame that changed counts for an eighth");
}

#[test]
fn a_frame_that_is_dropped_adds_nothing_to_sums_of_paths() {
    let tiles = whole(EXTENT);
    let layers = [LayerRequest::new(LayerKind::Path)];
    let begin_and_add = |merger: &mut Merger, frame_id: u64| {
        let shot = Shot { noise: 0.5, ..Shot::moving(EXTENT, frame_id, 0.0) };
        let still = Shot { previous_camera: shot.camera, ..shot };
        merger.begin(FrameInputs { is_unchanged: frame_id > 0, ..still.inputs(&layers, &tiles) }).unwrap();
        merger.add_tile(frame_id, 0, 0, &still.trace(tiles[0], &layers)).unwrap();
    };
    let shown = |drops: bool| {
        let mut merger = Merger::new(EXTENT);
        begin_and_add(&mut merger, 0);
        merger.finish().unwrap();
        if drops {
            begin_and_add(&mut merger, 1);
        }
        begin_and_add(&mut merger, 1);
        merger.finish().unwrap().layer(LayerKind::Path).unwrap().to_vec()
    };
    let quality = psnr_layer(&shown(true), &shown(false), 1.0);
    assert!(quality > 55.0, "{quality:.1} dB: the dropped frame's samples count twice");
}
