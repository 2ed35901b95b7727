//! Duplicates, stale results, garbage and impossible plans are counted and refused, and change nothing.

mod synthetic;

use bytes::Bytes;
use rayloom_frame::{
    Extent, FrameError, LayerKind, PlaneKind, Rect,
    codec::{CodecMode, DecodeLimits, DecodedSlice, Slice, SlicePixels, decode_slice, encode_tile},
    merge::{Added, MergeCounts, MergeMode, Merger, PlannedTile},
};
use synthetic::{LAYERS, Shot, cut, whole};

const EXTENT: Extent = Extent::new(40, 30);

#[test]
fn duplicates_and_stale_results_are_ignored_and_counted() {
    let tiles = cut(EXTENT, &[20], &[], 2);
    let shot = Shot::moving(EXTENT, 5, 0.0);
    let mut merger = Merger::new(EXTENT);
    let traced = shot.trace(tiles[0], &LAYERS);
    let slices = encode_tile(&traced, CodecMode::Lossless, 2000);
    assert_eq!(merger.add_slice(5, 0, 0, &slices[0]), Ok(Added::Stale));
    merger.begin(shot.inputs(&LAYERS, &tiles)).unwrap();
    assert_eq!(merger.add_slice(4, 0, 0, &slices[0]), Ok(Added::Stale));
    for (i, slice) in slices.iter().enumerate() {
        assert_eq!(merger.add_slice(5, 0, 0, slice), Ok(Added::Stored { tile_complete: i + 1 == slices.len() }));
        assert_eq!(merger.add_slice(5, 0, 1, slice), Ok(Added::Duplicate));
    }
    assert_eq!(merger.add_tile(5, 0, 1, &traced), Ok(Added::Duplicate));
    assert!(!merger.is_complete());
    assert_eq!(merger.finish().unwrap().tiles[0].peer, Some(0));
    assert_eq!(merger.add_slice(5, 0, 0, &slices[0]), Ok(Added::Duplicate), "it came in time");
    let n = slices.len() as u64;
    assert_eq!(merger.counts(), MergeCounts { stored: n, duplicates: n + 2, stale: 2, ..MergeCounts::default() });
}

#[test]
fn garbage_is_refused_and_leaves_no_trace() {
    let tiles = whole(EXTENT);
    let shot = Shot::moving(EXTENT, 1, 0.0);
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Passthrough);
    merger.begin(shot.inputs(&LAYERS[..3], &tiles)).unwrap();
    let good = encode_tile(&shot.trace(tiles[0], &LAYERS), CodecMode::Lossless, 48 * 1024);
    let depth = good.iter().find(|s| s.plane == PlaneKind::Depth).unwrap().clone();
    let indirect = good.iter().find(|s| s.plane == PlaneKind::Layer(LayerKind::Indirect)).unwrap().clone();
    let unlit = good.iter().find(|s| s.plane == PlaneKind::Layer(LayerKind::Unlit)).unwrap().clone();
    let bad: Vec<(u32, Slice)> = vec![
        (1, depth.clone()),
        (0, unlit),
        (0, Slice { scale: 2, ..depth.clone() }),
        (0, Slice { scale: 1, ..indirect.clone() }),
        (0, Slice { codec: 9, ..depth.clone() }),
        (0, Slice { codec: 2, ..depth.clone() }),
        (0, Slice { rect: Rect::new(u32::MAX, 0, 40, 30), ..depth.clone() }),
        (0, Slice { rect: Rect::new(1, 0, 40, 30), ..depth.clone() }),
        (0, Slice { payload: Bytes::new(), ..depth.clone() }),
        (0, Slice { payload: depth.payload.slice(..depth.payload.len() - 1), ..depth.clone() }),
    ];
    for (i, (tile, slice)) in bad.iter().enumerate() {
        let found = merger.add_slice(1, *tile, 0, slice);
        assert!(found.is_err(), "case {i}: {found:?}");
    }
    let mut wrong = shot.trace(tiles[0], &LAYERS[..3]);
    wrong.layers[1].pixels.pop();
    assert!(matches!(merger.add_tile(1, 0, 0, &wrong), Err(FrameError::NotPlanned { .. })));
    let decoded = decode_slice(&depth, DecodeLimits::new(EXTENT)).unwrap();
    let bad_decoded = [
        DecodedSlice { pixels: SlicePixels::Primary(vec![0; 40 * 30 - 1]), ..decoded.clone() },
        DecodedSlice { pixels: SlicePixels::Layer(vec![[0; 4]; 40 * 30]), ..decoded.clone() },
        DecodedSlice { rect: Rect::new(u32::MAX, 0, 40, 30), ..decoded.clone() },
        DecodedSlice { rect: Rect::new(0, 0, 0, 30), ..decoded.clone() },
        DecodedSlice { plane: PlaneKind::Layer(LayerKind::Unlit), ..decoded.clone() },
        DecodedSlice { plane: PlaneKind::Layer(LayerKind::Direct), ..decoded },
    ];
    for slice in &bad_decoded {
        assert!(matches!(merger.add_decoded(1, 0, 0, slice), Err(FrameError::NotPlanned { .. })), "{slice:?}");
    }
    assert_eq!(merger.counts().rejected, (bad.len() + 1 + bad_decoded.len()) as u64);
    let frame = merger.finish().unwrap();
    assert_eq!((frame.fresh_fraction(), frame.tiles[0].peer), (0.0, None));
    assert!(frame.layer(LayerKind::Direct).unwrap().iter().all(|p| *p == [0; 4]));
}

#[test]
fn plans_that_do_not_cover_the_view_once_are_refused() {
    let mut merger = Merger::new(EXTENT);
    let shot = Shot::moving(EXTENT, 1, 0.0);
    let tile = |x, y, width, height| PlannedTile { rect: Rect::new(x, y, width, height), ghost: 0 };
    let plans: [&[PlannedTile]; 6] = [
        &[],
        &[tile(0, 0, 40, 29)],
        &[tile(0, 0, 40, 30), tile(0, 0, 0, 0)],
        &[tile(0, 0, 30, 30), tile(20, 0, 10, 30)],
        &[tile(0, 0, 40, 31)],
        &[tile(0, 0, u32::MAX, 30), tile(u32::MAX, 0, 40, 30)],
    ];
    for plan in plans {
        assert!(matches!(merger.begin(shot.inputs(&LAYERS, plan)), Err(FrameError::Plan(_))), "{plan:?}");
    }
    let twice = [LAYERS[0], LAYERS[0]];
    assert!(matches!(merger.begin(shot.inputs(&twice, &whole(EXTENT))), Err(FrameError::Plan(_))));
    assert!(merger.finish().is_none());
    shot.deliver(&mut merger, &LAYERS, &whole(EXTENT), &[]);
    assert_eq!(merger.finish().unwrap().fresh_fraction(), 1.0);
}

#[test]
fn a_row_that_lacks_one_plane_is_not_fresh() {
    let tiles = whole(EXTENT);
    let shot = Shot::moving(EXTENT, 1, 0.0);
    let mut merger = Merger::new(EXTENT);
    merger.begin(shot.inputs(&LAYERS, &tiles)).unwrap();
    // 40 x 8 bytes a row: ten rows of a layer to a slice.
    let slices = encode_tile(&shot.trace(tiles[0], &LAYERS), CodecMode::Lossless, 3200);
    let lost = |s: &Slice| s.plane == PlaneKind::Layer(LayerKind::Direct) && s.rect.y == 10;
    for slice in slices.iter().filter(|s| !lost(s)) {
        merger.add_slice(1, 0, 2, slice).unwrap();
    }
    let frame = merger.finish().unwrap();
    assert_eq!(frame.fresh_fraction(), 2.0 / 3.0);
    assert_eq!([frame.ages[9 * 40], frame.ages[10 * 40], frame.ages[19 * 40], frame.ages[20 * 40]], [0, 255, 255, 0]);
}
