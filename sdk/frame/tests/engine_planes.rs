//! Planes that the engine gives: they reach peers bit for bit, and a frame merges with them as with traced ones.

mod synthetic;

use rayloom_frame::codec::{CodecMode, DecodeLimits, TileEncoder, decode_slice, encode_tile};
use rayloom_frame::merge::{Added, FrameInputs, MergeMode, Merger};
use rayloom_frame::{Extent, FrameError, GBuffer, LayerKind, PlaneKind, Rect, TracedTile};
use synthetic::{LAYERS, Shot, cut, whole};

const EXTENT: Extent = Extent::new(97, 61);

fn gbuffer(frame_id: u64) -> GBuffer {
    let shot = Shot::moving(EXTENT, frame_id, 0.05);
    let primary = shot.trace(whole(EXTENT)[0], &[]).primary.unwrap();
    let geometric_normal = primary.normal.iter().map(|n| n ^ 0x0101).collect();
    let emissive = (0..EXTENT.pixels() as u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
    GBuffer { extent: EXTENT, primary, geometric_normal, emissive, depth_error: 1e-6 }
}

#[test]
fn a_region_reaches_a_peer_bit_for_bit() {
    let sent = gbuffer(3);
    for (rect, max_bytes) in
        [(EXTENT.rect(), 48 * 1024), (Rect::new(31, 7, 45, 54), 700), (Rect::new(96, 60, 1, 1), 48)]
    {
        let mut received = GBuffer::sky(Extent::new(rect.width, rect.height), true, true);
        let slices = TileEncoder::of_gbuffer(&sent, rect, max_bytes);
        assert_eq!(
            slices.len(),
            slices
                .inspect(|s| assert!(s.payload.len() <= max_bytes))
                .map(|slice| {
                    let decoded = decode_slice(&slice, DecodeLimits::new(EXTENT)).unwrap();
                    received.put((rect.x, rect.y), &decoded).unwrap();
                })
                .count()
        );
        for ((plane, words), (_, all)) in received.planes_for_peers().zip(sent.planes_for_peers()) {
            for (row, words) in words.chunks_exact(rect.width as usize).enumerate() {
                let first = EXTENT.rect().index_of(rect) + row * EXTENT.width as usize;
                assert_eq!(words, &all[first..first + words.len()], "{plane:?}, row {row}");
            }
        }
    }
}

#[test]
fn slices_that_were_not_announced_or_leave_the_region_are_refused() {
    let sent = gbuffer(3);
    let slices: Vec<_> = TileEncoder::of_gbuffer(&sent, Rect::new(10, 10, 20, 20), 48 * 1024)
        .map(|slice| decode_slice(&slice, DecodeLimits::new(EXTENT)).unwrap())
        .collect();
    let mut plain = GBuffer::sky(Extent::new(20, 20), false, false);
    for slice in &slices {
        let announced = !matches!(slice.plane, PlaneKind::GeometricNormal | PlaneKind::Emissive);
        assert_eq!(plain.put((10, 10), slice).is_ok(), announced, "{:?}", slice.plane);
        assert!(plain.put((11, 10), slice).is_err(), "it leaves what begins at (11, 10)");
    }
}

/// Two frames through `tiles`, the planes either with the tiles or from the engine.
fn run(from_engine: bool, missing: &[usize]) -> (Vec<Vec<[u16; 4]>>, Vec<u8>, f32) {
    let tiles = cut(EXTENT, &[31, 63], &[40], 4);
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Accumulate { max_history: 8 });
    let mut fresh = 0.0;
    for frame_id in 5..8 {
        let shot = Shot { noise: 0.3, ..Shot::moving(EXTENT, frame_id, 0.05) };
        let missing = if frame_id == 5 { &[] } else { missing };
        if from_engine {
            let planes = gbuffer(frame_id).primary;
            merger.begin(FrameInputs { planes: Some(&planes), ..shot.inputs(&LAYERS, &tiles) }).unwrap();
            for (index, tile) in tiles.iter().enumerate().filter(|(i, _)| !missing.contains(i)) {
                let layers_alone = TracedTile { primary: None, ..shot.trace(*tile, &LAYERS) };
                for slice in encode_tile(&layers_alone, CodecMode::Lossless, 4000) {
                    merger.add_slice(frame_id, index as u32, 0, &slice).unwrap();
                }
            }
        } else {
            shot.deliver(&mut merger, &LAYERS, &tiles, missing);
        }
        assert_eq!(merger.is_complete(), missing.is_empty());
        fresh = merger.finish().unwrap().fresh_fraction();
    }
    let frame = merger.finish().unwrap();
    (LayerKind::REAL_TIME.map(|kind| frame.layer(kind).unwrap().to_vec()).to_vec(), frame.ages.to_vec(), fresh)
}

#[test]
fn a_frame_merges_with_given_planes_as_with_traced_ones() {
    assert_eq!(run(true, &[]), run(false, &[]));
}

#[test]
fn a_missing_tile_still_has_its_planes() {
    let tiles = cut(EXTENT, &[31, 63], &[40], 4);
    let mut merger = Merger::new(EXTENT);
    let planes = gbuffer(5).primary;
    let shot = Shot::moving(EXTENT, 5, 0.05);
    merger.begin(FrameInputs { planes: Some(&planes), ..shot.inputs(&LAYERS, &tiles) }).unwrap();
    assert_eq!(merger.finish().unwrap().planes.depth, planes.depth);
    let (_, ages, fresh) = run(true, &[1]);
    assert!(fresh < 1.0 && ages.contains(&2), "two frames without the tile make it two frames old");
}

#[test]
fn planes_of_another_size_are_refused() {
    let mut planes = gbuffer(5).primary;
    planes.motion.pop();
    let shot = Shot::moving(EXTENT, 5, 0.05);
    let tiles = whole(EXTENT);
    let error = Merger::new(EXTENT).begin(FrameInputs { planes: Some(&planes), ..shot.inputs(&LAYERS, &tiles) });
    assert!(error.unwrap_err().to_string().contains("Motion has 5916 pixels"));
}

#[test]
fn a_tile_that_brings_hits_of_its_own_is_refused_and_leaves_no_trace() {
    let planes = gbuffer(5).primary;
    let shot = Shot::moving(EXTENT, 5, 0.05);
    let elsewhere = Shot::moving(EXTENT, 9, 0.05);
    for (tiles, blend_ghosts) in [(whole(EXTENT), false), (cut(EXTENT, &[31], &[], 4), true)] {
        let mut merger = Merger::new(EXTENT);
        merger.set_blend_ghosts(blend_ghosts);
        merger.begin(FrameInputs { planes: Some(&planes), ..shot.inputs(&LAYERS, &tiles) }).unwrap();
        for layers in [&LAYERS[..], &LAYERS[..2], &[]] {
            let error = merger.add_tile(5, 0, 3, &elsewhere.trace(tiles[0], layers)).unwrap_err();
            assert!(matches!(error, FrameError::NotPlanned { tile: 0, .. }), "{error:?}");
            assert!(error.to_string().contains("leave `primary` out"), "{error}");
        }
        assert_eq!(merger.counts().rejected, 3);
        for (index, tile) in (0..).zip(&tiles) {
            let layers_alone = TracedTile { primary: None, ..shot.trace(*tile, &LAYERS) };
            let added = merger.add_tile(5, index, 0, &layers_alone);
            assert_eq!(added, Ok(Added::Stored { tile_complete: true }));
        }
        let frame = merger.finish().unwrap();
        assert_eq!((frame.planes, frame.tiles[0].peer, frame.fresh_fraction()), (&planes, Some(0), 1.0));
        // One that comes late is refused too.
        let late = merger.add_tile(5, 0, 3, &TracedTile { layers: Vec::new(), ..elsewhere.trace(tiles[0], &[]) });
        assert!(matches!(late, Err(FrameError::NotPlanned { .. })), "{late:?}");
    }
}
