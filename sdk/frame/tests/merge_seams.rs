//! Any cut of a frame merges to the same bits as no cut, whatever the order of arrival.

mod synthetic;

use rayloom_frame::{
    Extent, LayerKind,
    codec::{CodecMode, encode_tile},
    merge::{Added, MergeMode, MergedFrame, Merger, PlannedTile},
};
use synthetic::{LAYERS, Shot, cut, whole};

const EXTENT: Extent = Extent::new(97, 61);

type Bits = (Vec<Vec<[u16; 4]>>, Vec<u32>, Vec<u8>);

fn bits(frame: &MergedFrame<'_>) -> Bits {
    let layers = LayerKind::REAL_TIME.iter().map(|k| frame.layer(*k).unwrap().to_vec()).collect();
    let p = frame.planes;
    let planes = [&p.normal, &p.base_color, &p.material, &p.motion, &p.instance_id];
    let depth = p.depth.iter().map(|d| d.to_bits());
    (layers, planes.into_iter().flatten().copied().chain(depth).collect(), frame.ages.to_vec())
}

/// Four frames of a moving camera through slices of `max_bytes`, each frame's slices in another order.
fn run(mode: MergeMode, tiles: &[PlannedTile], max_bytes: usize) -> Bits {
    frames(mode, tiles, max_bytes, 7..11, |_| 1.0)
}

/// The same of these frames, in so much light.
fn frames(
    mode: MergeMode,
    tiles: &[PlannedTile],
    max_bytes: usize,
    frames: std::ops::Range<u64>,
    light: fn(u64) -> f32,
) -> Bits {
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(mode);
    for frame_id in frames {
        let shot = Shot { noise: 0.3, light: light(frame_id), ..Shot::moving(EXTENT, frame_id, 0.05) };
        merger.begin(shot.inputs(&LAYERS, tiles)).unwrap();
        let mut slices: Vec<_> = tiles
            .iter()
            .enumerate()
            .flat_map(|(i, tile)| {
                encode_tile(&shot.trace(*tile, &LAYERS), CodecMode::Lossless, max_bytes)
                    .into_iter()
                    .map(move |s| (i as u32, s))
            })
            .collect();
        if frame_id % 2 == 0 {
            slices.reverse();
        }
        for (tile, slice) in &slices {
            assert!(matches!(merger.add_slice(frame_id, *tile, *tile, slice), Ok(Added::Stored { .. })));
        }
        assert!(merger.is_complete());
        let frame = merger.finish().unwrap();
        assert_eq!(frame.fresh_fraction(), 1.0);
    }
    bits(&merger.finish().unwrap())
}

#[test]
fn odd_cuts_leave_no_seam() {
    for mode in [MergeMode::Passthrough, MergeMode::Accumulate { max_history: 8 }] {
        let untiled = run(mode, &whole(EXTENT), 48 * 1024);
        for (columns, rows, ghost, max_bytes) in
            [(&[31, 32, 63][..], &[17, 40][..], 8, 900), (&[1], &[], 3, 48 * 1024), (&[], &[60], 0, 100)]
        {
            let tiled = run(mode, &cut(EXTENT, columns, rows, ghost), max_bytes);
            assert!(tiled == untiled, "{mode:?}, columns {columns:?}, rows {rows:?}");
        }
    }
}

#[test]
fn light_that_changes_leaves_no_seam() {
    let mode = MergeMode::Accumulate { max_history: 32 };
    let run = |tiles: &[PlannedTile], light| frames(mode, tiles, 48 * 1024, 0..14, light);
    let dimmed = |frame_id| if frame_id < 9 { 1.0 } else { 0.2 };
    let untiled = run(&whole(EXTENT), dimmed);
    assert!(untiled != run(&whole(EXTENT), |_| 1.0), "light matters");
    // Tiles that are merged as they come in part, and tiles that are too small for that.
    for (columns, rows) in [(&[50][..], &[29][..]), (&[9, 21, 40, 48, 67, 90], &[10, 32, 50])] {
        assert!(run(&cut(EXTENT, columns, rows, 4), dimmed) == untiled, "columns {columns:?}, rows {rows:?}");
    }
}

#[test]
fn passing_through_gives_the_traced_bits() {
    let shot = Shot { noise: 0.5, ..Shot::moving(EXTENT, 3, 0.05) };
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Passthrough);
    shot.deliver(&mut merger, &LAYERS, &cut(EXTENT, &[33], &[29], 5), &[]);
    let traced = shot.trace(whole(EXTENT)[0], &LAYERS);
    let frame = merger.finish().unwrap();
    assert_eq!(frame.layer(LayerKind::Direct).unwrap(), traced.layers[0].pixels);
    assert_eq!(frame.planes, traced.primary.as_ref().unwrap());
    // Frame 3 samples the lower left pixel of each block: those are exact.
    let indirect = frame.layer(LayerKind::Indirect).unwrap();
    for (i, block) in traced.layers[2].pixels.iter().enumerate() {
        let (bx, by) = (i % 49, i / 49);
        let at = (by * 2 + 1).min(60) * 97 + bx * 2;
        if by * 2 + 1 < 61 {
            assert_eq!(&indirect[at], block, "block ({bx}, {by})");
        }
    }
}

#[test]
fn ghosts_are_blended_only_where_asked_and_in_any_order() {
    let layers = [LAYERS[0]];
    let tiles = cut(EXTENT, &[48], &[], 6);
    let shot = Shot::moving(EXTENT, 1, 0.0);
    let merge = |blend: bool, order: [usize; 2]| {
        let mut merger = Merger::new(EXTENT);
        merger.set_blend_ghosts(blend);
        merger.begin(shot.inputs(&layers, &tiles)).unwrap();
        for i in order {
            let mut traced = shot.trace(tiles[i], &layers);
            // A peer whose result is off: 1 on the left, 2 on the right.
            let level = half::f16::from_f32(1.0 + i as f32).to_bits();
            traced.layers[0].pixels.fill([level; 4]);
            merger.add_tile(1, i as u32, 0, &traced).unwrap();
        }
        let frame = merger.finish().unwrap();
        frame.layer(LayerKind::Direct).unwrap()[..97]
            .iter()
            .map(|p| half::f16::from_bits(p[0]).to_f32())
            .collect::<Vec<_>>()
    };
    let hard = merge(false, [0, 1]);
    assert_eq!((hard[47], hard[48]), (1.0, 2.0));
    let soft = merge(true, [0, 1]);
    assert_eq!(soft, merge(true, [1, 0]));
    assert_eq!((soft[41], soft[54]), (1.0, 2.0));
    assert!(soft.windows(2).all(|w| w[1] - w[0] >= 0.0 && w[1] - w[0] < 0.1), "{:?}", &soft[40..56]);
}
