//! Light that changes is followed within frames, whatever history holds; noise alone takes no history away.

mod synthetic;

use half::f16;
use rayloom_frame::{
    Extent, LayerKind, LayerRequest,
    filter::Filter,
    merge::{MergeMode, Merger},
};
use synthetic::{LAYERS, Shot, cut, whole};

const EXTENT: Extent = Extent::new(96, 64);

/// Mean of red, green and blue of a layer's surfaces.
fn mean(layer: &[[u16; 4]]) -> f32 {
    let sum: f32 = layer.iter().flat_map(|p| &p[..3]).map(|c| f16::from_bits(*c).to_f32()).sum();
    sum / layer.len() as f32 / 3.0
}

/// The frame in which light changes: the third one from it on shows how that is followed.
const CHANGE: u64 = 24;

/// Means of a layer before and after light changes from `before` to `after`, of a camera that moves `step` metres a frame.
fn means(kind: LayerKind, step: f32, noise: f32, (before, after): (f32, f32)) -> [f32; 2] {
    let tiles = cut(EXTENT, &[37], &[], 0);
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Accumulate { max_history: 64 });
    let mut filter = Filter::default();
    let mut filtered = |frames: std::ops::Range<u64>, light| {
        for frame_id in frames {
            let shot = Shot { noise, light, ..Shot::moving(EXTENT, frame_id, step) };
            shot.deliver(&mut merger, &LAYERS, &tiles, &[]);
            merger.finish().unwrap();
        }
        mean(filter.run(&merger.finish().unwrap()).layer(kind).unwrap())
    };
    [filtered(0..CHANGE, before), filtered(CHANGE..CHANGE + 3, after)]
}

#[test]
fn a_light_switched_off_is_gone_within_three_frames() {
    for kind in [LayerKind::Direct, LayerKind::Specular, LayerKind::Indirect] {
        for (step, noise, dark) in [(0.0, 0.0, 0.0), (0.0, 0.5, 0.0), (0.05, 0.5, 0.0), (0.05, 0.5, 0.5)] {
            let [lit, left] = means(kind, step, noise, (1.0, dark));
            let residue = (left - dark * lit) / lit;
            assert!(residue.abs() < 0.02, "{kind:?}, noise {noise}, step {step}: {residue} of the light stays");
        }
    }
}

#[test]
fn a_light_switched_on_is_there_within_three_frames() {
    let [_, lit] = means(LayerKind::Direct, 0.0, 0.5, (0.0, 1.0));
    let expected = {
        let tiles = whole(EXTENT);
        let request = [LayerRequest::new(LayerKind::Direct)];
        mean(&Shot::moving(EXTENT, 0, 0.0).trace(tiles[0], &request).layers[0].pixels)
    };
    assert!((lit / expected - 1.0).abs() < 0.02, "{lit} of {expected}");
}

#[test]
fn noise_takes_no_history_away() {
    // As noisy as one sample a pixel is: most pixels are black, some are bright.
    let tiles = whole(EXTENT);
    let layers = [LayerRequest::new(LayerKind::Direct)];
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Accumulate { max_history: 32 });
    for frame_id in 0..40u64 {
        let shot = Shot::moving(EXTENT, frame_id, 0.0);
        merger.begin(shot.inputs(&layers, &tiles)).unwrap();
        let mut traced = shot.trace(tiles[0], &layers);
        for (i, pixel) in traced.layers[0].pixels.iter_mut().enumerate() {
            let bits = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ frame_id.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
            let random = (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
            let light = if random.is_multiple_of(8) { 8.0 } else { 0.0 };
            *pixel = [f16::from_f32(light).to_bits(); 4];
        }
        merger.add_tile(frame_id, 0, 0, &traced).unwrap();
        merger.finish().unwrap();
    }
    let frame = merger.finish().unwrap();
    let values: Vec<f32> =
        frame.layer(LayerKind::Direct).unwrap().iter().map(|p| f16::from_bits(p[0]).to_f32()).collect();
    let variance = values.iter().map(|v| (v - 1.0).powi(2)).sum::<f32>() / values.len() as f32;
    // One frame's is 7; a history of 32 frames that is never cut leaves it between 1/63 and 1/32 of that.
    assert!(variance < 7.0 / 30.0, "variance {variance}");
}

#[test]
fn a_shadow_that_moves_leaves_no_trail() {
    let tiles = whole(EXTENT);
    let layers = [LayerRequest::new(LayerKind::Direct)];
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Accumulate { max_history: 64 });
    let edge = |frame_id: u64| 10 + frame_id as usize;
    for frame_id in 0..40u64 {
        let shot = Shot::moving(EXTENT, frame_id, 0.0);
        merger.begin(shot.inputs(&layers, &tiles)).unwrap();
        let mut traced = shot.trace(tiles[0], &layers);
        for (i, pixel) in traced.layers[0].pixels.iter_mut().enumerate() {
            let is_lit = i % EXTENT.width as usize >= edge(frame_id);
            *pixel = [f16::from_f32(if is_lit { 1.0 } else { 0.0 }).to_bits(); 4];
        }
        merger.add_tile(frame_id, 0, 0, &traced).unwrap();
        merger.finish().unwrap();
    }
    let frame = merger.finish().unwrap();
    let direct = frame.layer(LayerKind::Direct).unwrap();
    // A dozen frames behind its edge the shadow is black on the floor.
    let row = (EXTENT.height - 10) as usize * EXTENT.width as usize;
    let behind = &direct[row..row + edge(39) - 24];
    let brightest = behind.iter().map(|p| f16::from_bits(p[0]).to_f32()).fold(0.0, f32::max);
    assert!(brightest < 0.03, "{brightest} is left of the light");
}
