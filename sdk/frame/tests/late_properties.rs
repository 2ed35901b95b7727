//! Whatever comes in whatever order and however late: nothing panics, light stays within what was traced, all is counted.

#[allow(dead_code, reason = "whole tiles are delivered by other tests")]
mod synthetic;

use half::f16;
use proptest::prelude::*;
use rayloom_frame::{
    Extent, LayerKind, TracedTile,
    codec::{CodecMode, encode_tile},
    merge::{Added, FrameInputs, LaterLayers, MergeMode, Merger},
};
use synthetic::{LAYERS, Shot, cut, whole};

/// Numbers of nothing but a seed.
struct Random(u64);

impl Random {
    /// Below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % end
    }

    fn in_ten(&mut self, times: u64) -> bool {
        self.below(10) < times
    }
}

/// A result on its way: the frame that is open when it comes, its own, its tile, and what was traced.
struct OnItsWay {
    comes_at: u64,
    frame_id: u64,
    tile: u32,
    traced: TracedTile,
}

/// The most light that a noisy sample has.
const BRIGHTEST: f32 = 1.8;

fn run(seed: u64) {
    let mut random = Random(seed);
    let extent = Extent::new(1 + random.below(60) as u32, 1 + random.below(40) as u32);
    let inside = |random: &mut Random, end: u32| -> Vec<u32> {
        if end > 2 { vec![1 + random.below(u64::from(end) - 1) as u32] } else { Vec::new() }
    };
    let (columns, rows) = (inside(&mut random, extent.width), inside(&mut random, extent.height));
    let ghost = random.below(5) as u32;
    let (has_planes, has_later) = (random.in_ten(5), random.in_ten(5));
    let step = random.below(5) as f32 * 0.05;
    let mut merger = Merger::new(extent);
    merger.set_mode(MergeMode::Accumulate { max_history: 1 + random.below(40) as u8 });
    merger.set_blend_ghosts(random.in_ten(2));
    let later_layers = [LAYERS[2]];
    let due: Vec<_> = if has_later { vec![LAYERS[0], LAYERS[1], LAYERS[3]] } else { LAYERS.to_vec() };
    let (mut on_its_way, mut calls) = (Vec::<OnItsWay>::new(), 0);
    for frame_id in 0..14u64 {
        if random.below(20) == 0 {
            merger.forget();
        }
        let shot = Shot { noise: 0.4, ..Shot::moving(extent, frame_id, step) };
        let cut_here = if random.in_ten(8) { cut(extent, &columns, &rows, ghost) } else { whole(extent) };
        let later_tiles = whole(extent);
        let planes = shot.trace(whole(extent)[0], &[]).primary.filter(|_| has_planes);
        let group = [LaterLayers { layers: &later_layers, tiles: &later_tiles }];
        let later = if has_later { &group[..] } else { &[] };
        merger.begin(FrameInputs { later, planes: planes.as_ref(), ..shot.inputs(&due, &cut_here) }).unwrap();
        for (tile, plan) in (0..).zip(cut_here.iter().chain(later.iter().flat_map(|group| group.tiles))) {
            let is_later = tile as usize >= cut_here.len();
            let mut traced = shot.trace(*plan, if is_later { &later_layers } else { &due });
            traced.primary = traced.primary.filter(|_| !(has_planes || is_later));
            if random.in_ten(2) {
                for layer in &mut traced.layers {
                    let at = random.below(layer.pixels.len() as u64) as usize;
                    layer.pixels[at] = [f16::NAN.to_bits(), 0x7c00, 0xfc00, 0x3c00];
                }
            }
            if let Some(primary) = traced.primary.as_mut().filter(|_| random.in_ten(1)) {
                primary.depth.fill([f32::NAN, -1.0, 0.0, 1e-40][random.below(4) as usize]);
            }
            if random.in_ten(9) {
                let comes_at = frame_id + if random.in_ten(5) { 0 } else { random.below(9) };
                on_its_way.push(OnItsWay { comes_at, frame_id, tile, traced });
            }
        }
        let mut coming: Vec<OnItsWay> = Vec::new();
        let mut index = 0;
        while index < on_its_way.len() {
            if on_its_way[index].comes_at <= frame_id {
                coming.push(on_its_way.swap_remove(index));
            } else {
                index += 1;
            }
        }
        let finishes_early = random.in_ten(2);
        for result in coming {
            let OnItsWay { frame_id, tile, traced, .. } = result;
            if random.in_ten(5) {
                let added = merger.add_tile(frame_id, tile, 0, &traced).unwrap();
                calls += 1;
                if random.in_ten(1) && added == Added::Late {
                    calls += 1;
                    assert_eq!(merger.add_tile(frame_id, tile, 0, &traced), Ok(Added::Duplicate));
                }
            } else {
                for slice in encode_tile(&traced, CodecMode::Lossless, 700) {
                    if random.in_ten(9) {
                        merger.add_slice(frame_id, tile, 0, &slice).unwrap();
                        calls += 1;
                    }
                }
            }
            if finishes_early {
                merger.finish();
            }
        }
        let Some(frame) = merger.finish() else { continue };
        for kind in LayerKind::REAL_TIME {
            for pixel in frame.layer(kind).unwrap() {
                let light = [pixel[0], pixel[1], pixel[2]].map(|bits| f16::from_bits(bits).to_f32());
                assert!(light.iter().all(|c| (0.0..=BRIGHTEST).contains(c)), "{kind:?} of frame {frame_id}: {light:?}");
                assert!(f16::from_bits(pixel[3]).is_finite());
            }
            let ages = frame.layer_ages(kind).unwrap();
            assert!(ages.iter().all(|age| *age == 255 || u64::from(*age) <= frame_id));
        }
        let counts = merger.counts();
        let all = counts.stored + counts.duplicates + counts.late + counts.stale + counts.rejected;
        assert_eq!((all, counts.rejected), (calls, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn light_stays_within_what_was_traced(seed: u64) {
        run(seed);
    }
}
