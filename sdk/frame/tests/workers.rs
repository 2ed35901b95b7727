//! A frame that threads worked on has the same bits as one that was worked on in order.

mod synthetic;
#[path = "synthetic/threads.rs"]
mod threads;

use rayloom_frame::{
    Extent, Inline, LayerKind, LayerRequest, TracedTile, Workers,
    codec::{CodecMode, DecodeLimits, Decoder, encode_tile},
    compose::{Display, PictureFormat, ToneMap, compose_into_with},
    features::BlockFeatures,
    merge::{Added, FrameInputs, LaterLayers, MergeMode, Merger, Predicted},
};
use synthetic::{LAYERS, Shot, cut, whole};
use threads::Threads;

const EXTENT: Extent = Extent::new(83, 67);

/// Layers, planes, ages, lengths, fresh share, picture and features of each of five frames, some with missing tiles.
fn bits(workers: &dyn Workers, mode: MergeMode, blend_ghosts: bool) -> Vec<Vec<u32>> {
    let tiles = cut(EXTENT, &[17, 40], &[15, 33], 4);
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(mode);
    merger.set_blend_ghosts(blend_ghosts);
    let mut features = BlockFeatures::default();
    (3..8)
        .map(|frame_id| {
            let shot = Shot { noise: 0.3, ..Shot::moving(EXTENT, frame_id, 0.05) };
            shot.deliver(&mut merger, &LAYERS, &tiles, if frame_id % 2 == 0 { &[1, 4, 8] } else { &[] });
            let frame = merger.finish_with(workers).unwrap();
            let mut rgba = vec![0; EXTENT.pixels() * 4];
            let display = Display { exposure: 1.0, tone_map: ToneMap::Aces, format: PictureFormat::Rgba8Srgb };
            compose_into_with(&frame, &display, &mut rgba, workers);
            features.update_with(&frame, workers);
            let layers = LayerKind::REAL_TIME.into_iter().flat_map(|k| frame.layer(k).unwrap().as_flattened());
            let planes = frame.planes;
            let words = [&planes.normal, &planes.base_color, &planes.material, &planes.motion, &planes.instance_id];
            let bytes = frame.ages.iter().chain(frame.lengths).chain(&rgba).map(|b| u32::from(*b));
            let floats = planes.depth.iter().chain(features.values.as_flattened()).map(|f| f.to_bits());
            layers
                .map(|h| u32::from(*h))
                .chain(words.into_iter().flatten().copied())
                .chain(bytes)
                .chain(floats)
                .chain([frame.fresh_fraction().to_bits()])
                .collect()
        })
        .collect()
}

#[test]
fn threads_make_the_same_bits() {
    for mode in [MergeMode::Passthrough, MergeMode::Accumulate { max_history: 8 }] {
        for blend_ghosts in [false, true] {
            assert!(bits(&Threads, mode, blend_ghosts) == bits(&Inline, mode, blend_ghosts), "{mode:?} {blend_ghosts}");
        }
    }
}

/// Where what a frame shows comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hits {
    Traced,
    Engine,
    /// Traced from a camera beside the frame's.
    Guessed,
}

/// Digests and lengths of four frames whose right half never comes, and how many of their pixels are lit though nothing of them came;
/// reflections are due later.
fn half_seen(workers: &dyn Workers, hits: Hits) -> (Vec<Vec<u8>>, usize) {
    let extent = Extent::new(203, 131);
    let (due, later): ([LayerRequest; 3], _) = ([LAYERS[0], LAYERS[2], LAYERS[3]], [LAYERS[1]]);
    let tiles = cut(extent, &[61, 97], &[70], 0);
    let is_seen = |index: usize| index % 3 < 2;
    let later = [LaterLayers { layers: &later, tiles: &tiles }];
    let mut merger = Merger::new(extent);
    let mut filled = 0;
    let frames = (0..4).map(|frame_id| {
        let shot = Shot { noise: 0.3, ..Shot::moving(extent, frame_id, 0.05) };
        let mut traced = shot;
        let planes = shot.trace(whole(extent)[0], &[]).primary.filter(|_| hits == Hits::Engine);
        if hits == Hits::Guessed {
            traced.camera.position.x += 0.08;
        }
        let Shot { camera, previous_camera, .. } = traced;
        let predicted = Predicted { frame_id, camera, previous_camera, pre_exposure: 1.0 };
        let predicted = (hits == Hits::Guessed).then_some(predicted);
        let inputs = shot.inputs(&due, &tiles);
        merger.begin(FrameInputs { later: &later, planes: planes.as_ref(), predicted, ..inputs }).unwrap();
        for (index, tile) in tiles.iter().enumerate().filter(|(index, _)| is_seen(*index)) {
            let mut tile = traced.trace(*tile, &due);
            tile.primary = tile.primary.filter(|_| hits != Hits::Engine);
            merger.add_tile(frame_id, index as u32, 0, &tile).unwrap();
        }
        for (index, tile) in tiles.iter().enumerate().filter(|(index, _)| is_seen(*index)) {
            let tile = TracedTile { primary: None, ..traced.trace(*tile, &[LAYERS[1]]) };
            let added = merger.add_tile(frame_id, (tiles.len() + index) as u32, 0, &tile);
            assert_eq!(added, Ok(Added::Late));
        }
        let frame = merger.finish_with(workers).unwrap();
        let lit = |kind| frame.layer(kind).unwrap().iter().map(|pixel| pixel[..3] != [0; 3]);
        let lit = lit(LayerKind::Direct).chain(lit(LayerKind::Specular));
        filled +=
            frame.lengths.iter().chain(frame.lengths).zip(lit).filter(|(length, lit)| **length == 0 && *lit).count();
        [&frame.digest()[..], frame.lengths].concat()
    });
    (frames.collect(), filled)
}

#[test]
fn threads_fill_what_was_never_seen_with_the_same_bits() {
    for hits in [Hits::Traced, Hits::Engine, Hits::Guessed] {
        let inline = half_seen(&Inline, hits);
        assert!(inline.1 > 100, "{hits:?}: {} pixels were filled", inline.1);
        assert!(half_seen(&Threads, hits) == inline, "{hits:?}");
    }
}

#[test]
fn slices_may_be_decoded_elsewhere() {
    for tiles in [whole(EXTENT), cut(EXTENT, &[40], &[33], 4)] {
        let shot = Shot::moving(EXTENT, 1, 0.0);
        let (mut here, mut elsewhere) = (Merger::new(EXTENT), Merger::new(EXTENT));
        let mut decoder = Decoder::default();
        for merger in [&mut here, &mut elsewhere] {
            merger.begin(shot.inputs(&LAYERS, &tiles)).unwrap();
        }
        for (i, tile) in (0..).zip(&tiles) {
            for slice in encode_tile(&shot.trace(*tile, &LAYERS), CodecMode::Rgb9e5, 1000) {
                let decoded = decoder.decode(&slice, DecodeLimits::new(EXTENT)).unwrap();
                let added = here.add_slice(1, i, 0, &slice).unwrap();
                assert_eq!(elsewhere.add_decoded(1, i, 0, &decoded).unwrap(), added);
                assert_eq!(elsewhere.add_decoded(1, i, 0, &decoded).unwrap(), Added::Duplicate);
                decoder.recycle(decoded);
            }
        }
        assert!(elsewhere.is_complete());
        let (here, elsewhere) = (here.finish().unwrap(), elsewhere.finish().unwrap());
        assert_eq!(here.planes, elsewhere.planes);
        for kind in LayerKind::REAL_TIME {
            assert_eq!(here.layer(kind), elsewhere.layer(kind));
        }
    }
}
