//! Whether pixels are merged by the short way or the long one, and a tile at once or slice by slice, they get the same bits.

#[allow(dead_code, reason = "whole tiles are delivered by other tests")]
mod synthetic;

use half::f16;
use rayloom_frame::{
    Extent, LayerKind, LayerRequest,
    codec::{CodecMode, encode_tile},
    merge::{MergedFrame, Merger, PlannedTile},
};
use synthetic::{LAYERS, Shot, cut};

const EXTENT: Extent = Extent::new(150, 90);

type Bits = (Vec<Vec<[u16; 4]>>, Vec<u8>, Vec<u8>);

fn bits(frame: &MergedFrame<'_>, layers: &[LayerRequest]) -> Bits {
    let layers = layers.iter().map(|request| frame.layer(request.kind).unwrap().to_vec()).collect();
    (layers, frame.ages.to_vec(), frame.lengths.to_vec())
}

/// Five frames of a light that changes, some of whose pixels are no numbers.
fn run(layers: &[LayerRequest], tiles: &[PlannedTile], by_slices: bool, step: f32) -> Merger {
    let mut merger = Merger::new(EXTENT);
    for frame_id in 0..5 {
        let shot =
            Shot { noise: 0.3, light: if frame_id == 4 { 0.2 } else { 1.0 }, ..Shot::moving(EXTENT, frame_id, step) };
        merger.begin(shot.inputs(layers, tiles)).unwrap();
        for (index, tile) in (0..).zip(tiles) {
            let mut traced = shot.trace(*tile, layers);
            for layer in &mut traced.layers {
                for pixel in layer.pixels.iter_mut().skip(frame_id as usize * 31).step_by(97) {
                    pixel[1] = [f16::NAN, f16::INFINITY, f16::NEG_ZERO][frame_id as usize % 3].to_bits();
                }
            }
            if by_slices {
                for slice in &encode_tile(&traced, CodecMode::Lossless, 700) {
                    merger.add_slice(frame_id, index, index, slice).unwrap();
                }
            } else {
                merger.add_tile(frame_id, index, index, &traced).unwrap();
            }
        }
        assert!(merger.is_complete());
        merger.finish().unwrap();
    }
    merger
}

#[test]
fn a_layer_that_takes_the_long_way_does_not_change_the_others() {
    let tiles = cut(EXTENT, &[61], &[40], 0);
    let with_path: Vec<LayerRequest> = LAYERS.into_iter().chain([LayerRequest::new(LayerKind::Path)]).collect();
    for step in [0.0, 0.003, 0.05] {
        let (mut short, mut long) = (run(&LAYERS, &tiles, false, step), run(&with_path, &tiles, false, step));
        let (short, long) = (bits(&short.finish().unwrap(), &LAYERS), bits(&long.finish().unwrap(), &LAYERS));
        assert!(short == long, "{step} metres a frame");
        assert!(short.0.iter().flatten().flatten().all(|half| f16::from_bits(*half).is_finite()));
    }
}

#[test]
fn a_tile_at_once_is_the_tile_slice_by_slice() {
    let coarse = LAYERS.map(|request| LayerRequest { scale: 2, ..request });
    for (columns, rows, ghost) in [(&[61][..], &[40][..], 0), (&[7, 101], &[33, 77], 5)] {
        let tiles = cut(EXTENT, columns, rows, ghost);
        for layers in [LAYERS, coarse] {
            let [mut whole, mut slices] = [false, true].map(|by_slices| run(&layers, &tiles, by_slices, 0.02));
            assert!(bits(&whole.finish().unwrap(), &layers) == bits(&slices.finish().unwrap(), &layers), "{columns:?}");
        }
    }
}
