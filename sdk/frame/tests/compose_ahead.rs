//! A picture that is composed as its pixels become final is the one that is composed of the finished frame, bit for bit.

#[allow(dead_code, reason = "whole tiles are delivered by other tests")]
mod synthetic;
#[path = "synthetic/threads.rs"]
mod threads;

use std::sync::Mutex;

use rayloom_frame::{
    Extent, Inline, LayerKind, LayerRequest, TracedTile, Workers,
    codec::{CodecMode, Slice, encode_tile},
    compose::{Display, PictureFormat, ToneMap, compose_into},
    merge::{Added, FrameInputs, LaterLayers, MergeMode, Merger, PlannedTile, Predicted},
};
use synthetic::{LAYERS, Shot, cut, whole};
use threads::Threads;

/// Numbers of nothing but a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % end
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// Some places to cut at, from left to right.
    fn cuts(&mut self, end: u32) -> Vec<u32> {
        let mut cuts: Vec<u32> = (0..self.below(4)).map(|_| 1 + self.below(end as usize - 1) as u32).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    fn display(&mut self) -> Display {
        let formats = [PictureFormat::Rgba8Srgb, PictureFormat::Rgb10a2Srgb, PictureFormat::Rgba16Float];
        let tone_maps = [ToneMap::Linear, ToneMap::Aces, ToneMap::Agx];
        let exposure = 0.5 + self.below(4) as f32;
        Display { exposure, tone_map: tone_maps[self.below(3)], format: formats[self.below(3)] }
    }
}

/// What comes of a frame, in one piece.
enum Piece {
    Tile(u32, TracedTile),
    Slice(u32, Slice),
}

fn add(merger: &mut Merger, frame_id: u64, piece: &Piece) -> Added {
    // Some of it is merged when the frame is finished, or before where there is time.
    let size = match piece {
        Piece::Tile(_, traced) => traced.rect.pixels(),
        Piece::Slice(_, slice) => slice.rect.pixels(),
    };
    merger.set_behind(size % 3 == 0);
    match piece {
        Piece::Tile(tile, traced) => merger.add_tile(frame_id, *tile, 0, traced).unwrap(),
        Piece::Slice(tile, slice) => merger.add_slice(frame_id, *tile, 0, slice).unwrap(),
    }
}

/// What tiles are of, and how frames are merged.
struct View {
    extent: Extent,
    due: Vec<LayerRequest>,
    later: Vec<LayerRequest>,
    is_guessed: bool,
    has_planes: bool,
}

impl View {
    fn any(random: &mut Random) -> View {
        let mut extent = Extent::new(40 + random.below(90) as u32, 30 + random.below(60) as u32);
        if random.once_in(8) {
            // Threads share what is ready at once where it is much.
            extent = Extent::new(2 * extent.width + 90, 2 * extent.height + 80);
        }
        let path = LayerRequest { kind: LayerKind::Path, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES };
        let mut due: Vec<LayerRequest> = LAYERS.into_iter().chain([path]).filter(|_| !random.once_in(4)).collect();
        for request in &mut due {
            request.scale = 1 + random.below(2) as u8;
        }
        if due.is_empty() {
            due.push(path);
        }
        let later = if due.len() > 1 && random.once_in(4) { vec![due.remove(0)] } else { Vec::new() };
        let (is_guessed, has_planes) = (random.once_in(6), random.once_in(3));
        View { extent, due, later, is_guessed, has_planes: has_planes && !is_guessed }
    }

    fn shot(&self, frame_id: u64) -> Shot {
        // Now and then it stands still.
        let step = if frame_id % 5 < 3 { 0.05 } else { 0.0 };
        Shot { noise: 0.4, light: if frame_id < 4 { 1.0 } else { 0.3 }, ..Shot::moving(self.extent, frame_id, step) }
    }

    fn traced(&self, frame_id: u64, tile: PlannedTile, layers: &[LayerRequest]) -> TracedTile {
        let mut shot = self.shot(frame_id);
        if self.is_guessed {
            shot.camera.position.x += 0.06;
        }
        let traced = shot.trace(tile, layers);
        TracedTile { primary: traced.primary.filter(|_| !self.has_planes), ..traced }
    }

    /// A frame's tiles and their slices, in any order.
    fn pieces(&self, frame_id: u64, tiles: &[PlannedTile], random: &mut Random) -> Vec<Piece> {
        let due = (0..).zip(tiles).map(|(i, tile)| (i, self.traced(frame_id, *tile, &self.due)));
        let later = (tiles.len() as u32..)
            .zip(tiles)
            .map(|(i, tile)| (i, TracedTile { primary: None, ..self.traced(frame_id, *tile, &self.later) }));
        let all: Vec<_> = due.chain(later.filter(|_| !self.later.is_empty())).collect();
        let mut pieces = Vec::new();
        for (index, traced) in all {
            if random.once_in(2) {
                pieces.push(Piece::Tile(index, traced));
            } else {
                let slices = encode_tile(&traced, CodecMode::Lossless, 3000);
                pieces.extend(slices.into_iter().map(|slice| Piece::Slice(index, slice)));
            }
        }
        random.shuffle(&mut pieces);
        pieces
    }

    fn begin(&self, merger: &mut Merger, frame_id: u64, tiles: &[PlannedTile]) {
        let shot = self.shot(frame_id);
        let planes = shot.trace(whole(self.extent)[0], &[]).primary.filter(|_| self.has_planes);
        let mut camera = shot.camera;
        camera.position.x += 0.06;
        let predicted = Predicted { frame_id, camera, previous_camera: shot.previous_camera, pre_exposure: 1.0 };
        let later = [LaterLayers { layers: &self.later, tiles }];
        let inputs = FrameInputs {
            planes: planes.as_ref(),
            predicted: self.is_guessed.then_some(predicted),
            later: if self.later.is_empty() { &[] } else { &later },
            pre_exposure: if frame_id == 5 { 0.5 } else { 1.0 },
            ..shot.inputs(&self.due, tiles)
        };
        merger.begin(inputs).unwrap();
    }
}

/// Frames of a view of which some comes late, some never; gives back how many results were late.
fn run(seed: u64) -> u64 {
    let mut random = Random(seed);
    let view = View::any(&mut random);
    let can_pass = !view.is_guessed && view.later.is_empty();
    let mode =
        if can_pass && random.once_in(8) { MergeMode::Passthrough } else { MergeMode::Accumulate { max_history: 8 } };
    let blend = random.once_in(6);
    let [mut merger, mut other] = [0; 2].map(|_| {
        let mut merger = Merger::new(view.extent);
        merger.set_mode(mode);
        merger.set_blend_ghosts(blend);
        merger
    });
    let mut delayed: Vec<(u64, Vec<Piece>)> = Vec::new();
    for frame_id in 0..7 {
        let tiles = cut(view.extent, &random.cuts(view.extent.width), &random.cuts(view.extent.height), 3);
        let mut pieces = view.pieces(frame_id, &tiles, &mut random);
        if random.once_in(8) {
            // Begun, seen in part, and dropped.
            view.begin(&mut merger, frame_id, &tiles);
            merger.compose_ahead(random.display(), Vec::new());
            pieces.iter().take(random.below(9)).for_each(|piece| _ = add(&mut merger, frame_id, piece));
        }
        view.begin(&mut merger, frame_id, &tiles);
        view.begin(&mut other, frame_id, &tiles);
        let in_time = if random.once_in(2) { pieces.len() } else { random.below(pieces.len() + 1) };
        let late = pieces.split_off(in_time);
        let display = random.display();
        let asked_after = if random.once_in(4) { random.below(in_time + 1) } else { 0 };
        let delayed_of = |frame: u64, delayed: &mut Vec<(u64, Vec<Piece>)>| {
            let due = delayed.iter().position(|(of, _)| of + 1 + of % 3 <= frame);
            due.map(|at| delayed.remove(at))
        };
        let before = delayed_of(frame_id, &mut delayed);
        let late_after = random.below(in_time + 1);
        let workers: &dyn Workers = if random.once_in(2) { &Threads } else { &Inline };
        for at in 0..=in_time {
            if at == asked_after {
                merger.compose_ahead(display, vec![0x5a; random.below(9000)]);
            }
            if at == late_after
                && let Some((of, pieces)) = &before
            {
                pieces.iter().for_each(|piece| _ = add(&mut merger, *of, piece));
            }
            while random.once_in(2) {
                // What comes after all takes its place.
                merger.prepare_missing(random.below(tiles.len() + 1) as u32, random.below(3000));
            }
            if let Some(piece) = pieces.get(at) {
                add(&mut merger, frame_id, piece);
            }
            if random.once_in(6) {
                merger.merge_ready_with(workers);
            }
        }
        // Late results first, then the others from the last to the first.
        if let Some((of, pieces)) = &before {
            pieces.iter().for_each(|piece| _ = add(&mut other, *of, piece));
        }
        pieces.iter().rev().for_each(|piece| _ = add(&mut other, frame_id, piece));
        delayed.push((frame_id, late));

        assert!(merger.take_picture_with(&Inline).is_none(), "the frame is not finished");
        merger.finish_with(workers).unwrap();
        let picture = merger.take_picture_with(workers).unwrap();
        assert!(merger.take_picture_with(workers).is_none(), "it was given away");
        let frame = merger.finish().unwrap();
        let mut expected = vec![0; picture.len()];
        compose_into(&frame, &display, &mut expected);
        assert!(picture == expected, "seed {seed}, frame {frame_id}, {display:?}");
        let late = other.counts();
        let other = other.finish().unwrap();
        if late.late_dropped > 0 {
            // More than is kept: what is dropped depends on the order.
            return late.late;
        }
        assert!(frame.digest() == other.digest(), "seed {seed}, frame {frame_id}: the order counts");
        assert!(frame.lengths == other.lengths, "seed {seed}, frame {frame_id}: the order counts");
        assert_eq!(frame.fresh_fraction(), other.fresh_fraction(), "seed {seed}, frame {frame_id}");
        // Once more, of a frame that is finished.
        merger.compose_ahead(display, picture);
        assert!(merger.take_picture_with(workers).unwrap() == expected, "seed {seed}, frame {frame_id}: again");
    }
    merger.counts().late
}

#[test]
fn any_order_of_arrival_makes_the_same_picture() {
    let late: u64 = (0..40).map(run).sum();
    assert!(late > 300, "{late} results were late");
}

#[test]
fn most_of_a_picture_is_composed_before_its_frame_is_finished() {
    let extent = Extent::new(160, 96);
    let tiles = cut(extent, &[50, 107], &[41], 2);
    let display = Display { exposure: 1.0, tone_map: ToneMap::Aces, format: PictureFormat::Rgba8Srgb };
    // What no picture has: its alpha is 255.
    let composed = |picture: &[u8]| picture.chunks_exact(4).filter(|pixel| pixel[3] != 0).count();
    let mut merger = Merger::new(extent);
    for missing in [&[][..], &[4]] {
        let shot = Shot::moving(extent, missing.len() as u64, 0.05);
        merger.begin(shot.inputs(&LAYERS, &tiles)).unwrap();
        merger.compose_ahead(display, Vec::new());
        for (index, tile) in (0..).zip(&tiles).filter(|(index, _)| !missing.contains(index)) {
            merger.add_tile(shot.frame_id, index, 0, &shot.trace(*tile, &LAYERS)).unwrap();
        }
        let ahead = composed(&merger.withdraw_picture().unwrap());
        if missing.is_empty() {
            assert_eq!(ahead, extent.pixels(), "nothing is left to do, at borders neither");
        } else {
            let beside = extent.pixels() - tiles[4].rect.grown(16, extent).pixels();
            assert!((beside..extent.pixels()).contains(&ahead), "{ahead} of {} pixels", extent.pixels());
        }
        merger.finish().unwrap();
    }
}

#[test]
fn what_was_left_is_merged_by_all_threads_once() {
    /// How many parts there were each time.
    struct Counted(Mutex<Vec<usize>>);
    impl Workers for Counted {
        fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
            self.0.lock().unwrap().push(parts);
            Threads.run(parts, work);
        }
    }
    let extent = Extent::new(251, 190);
    let tiles = cut(extent, &[70, 163], &[101], 2);
    let display = Display { exposure: 1.0, tone_map: ToneMap::Aces, format: PictureFormat::Rgba8Srgb };
    let [mut merger, mut other] = [0; 2].map(|_| Merger::new(extent));
    for frame_id in 0..3 {
        let shot = Shot::moving(extent, frame_id, 0.05);
        merger.begin(shot.inputs(&LAYERS, &tiles)).unwrap();
        other.begin(shot.inputs(&LAYERS, &tiles)).unwrap();
        merger.compose_ahead(display, vec![0; extent.pixels() * 4]);
        merger.set_behind(true);
        for (index, tile) in (0..).zip(&tiles) {
            let traced = shot.trace(*tile, &LAYERS);
            merger.add_tile(frame_id, index, 0, &traced).unwrap();
            other.add_tile(frame_id, index, 0, &traced).unwrap();
        }
        let workers = Counted(Mutex::default());
        merger.merge_ready_with(&workers);
        assert_eq!(*workers.0.lock().unwrap(), [24, 24], "rows of blocks are merged, and composed");
        merger.merge_ready_with(&workers);
        merger.finish_with(&Inline).unwrap();
        let picture = merger.take_picture_with(&Inline).unwrap();
        merger.merge_ready_with(&workers);
        assert_eq!(workers.0.lock().unwrap().iter().sum::<usize>(), 48, "once");
        let (frame, expected) = (merger.finish().unwrap(), other.finish().unwrap());
        assert!(frame.digest() == expected.digest() && frame.lengths == expected.lengths);
        assert_eq!(frame.fresh_fraction(), 1.0);
        let mut composed = vec![0; picture.len()];
        compose_into(&expected, &display, &mut composed);
        assert!(picture == composed);
    }
}

#[test]
fn a_missing_tile_that_is_prepared_is_in_the_picture_before_its_frame_is_finished() {
    let extent = Extent::new(160, 96);
    let tiles = cut(extent, &[56, 104], &[43], 2);
    let display = Display { exposure: 1.0, tone_map: ToneMap::Aces, format: PictureFormat::Rgba8Srgb };
    let [mut merger, mut other] = [0; 2].map(|_| Merger::new(extent));
    for frame_id in 0..4 {
        let shot = Shot::moving(extent, frame_id, 0.02);
        let late = (frame_id == 3).then_some(4);
        for merger in [&mut merger, &mut other] {
            merger.begin(shot.inputs(&LAYERS, &tiles)).unwrap();
            merger.compose_ahead(display, vec![0; extent.pixels() * 4]);
        }
        let traced = |tile: &PlannedTile| shot.trace(*tile, &LAYERS);
        for (index, tile) in (0..).zip(&tiles).filter(|(index, _)| Some(*index) != late) {
            merger.add_tile(frame_id, index, 0, &traced(tile)).unwrap();
            other.add_tile(frame_id, index, 0, &traced(tile)).unwrap();
            assert_eq!(merger.prepare_missing(index, 1000).pixels, 0, "it is there");
        }
        let mut calls = 0;
        while late.is_some_and(|late| merger.prepare_missing(late, 1).may_go_on) {
            calls += 1;
        }
        assert_eq!(merger.prepare_missing(99, 1000).pixels, 0, "there is no such tile");
        if let Some(late) = late {
            assert_eq!(calls, 5, "a row of blocks a call");
            let composed = merger.withdraw_picture().unwrap();
            let is_composed = |x: u32, y: u32| composed[((y * extent.width + x) * 4 + 3) as usize] != 0;
            let rect = tiles[late as usize].rect;
            let pixels = (rect.y.next_multiple_of(8)..rect.bottom())
                .flat_map(|y| (rect.x..rect.right()).map(move |x| (x, y)))
                .filter(|(x, y)| is_composed(*x, *y))
                .count();
            let whole = (rect.width * (rect.bottom() - rect.y.next_multiple_of(8))) as usize;
            assert!(pixels > whole / 2 && pixels <= whole, "{pixels} of {whole} pixels");
        }
        let (frame, expected) = (merger.finish().unwrap(), other.finish().unwrap());
        assert!(
            frame.digest() == expected.digest() && frame.ages == expected.ages && frame.lengths == expected.lengths
        );
        assert_eq!(frame.fresh_fraction(), expected.fresh_fraction());
    }
}

#[test]
fn slices_are_merged_and_composed_as_their_rows_become_whole() {
    let extent = Extent::new(160, 96);
    let tiles = cut(extent, &[83], &[], 2);
    let display = Display { exposure: 1.0, tone_map: ToneMap::Aces, format: PictureFormat::Rgba8Srgb };
    let mut merger = Merger::new(extent);
    for frame_id in 0..2 {
        let shot = Shot::moving(extent, frame_id, 0.02);
        merger.begin(shot.inputs(&LAYERS, &tiles)).unwrap();
        merger.compose_ahead(display, vec![0; extent.pixels() * 4]);
        let slices = |tile: &PlannedTile| encode_tile(&shot.trace(*tile, &LAYERS), CodecMode::Lossless, 900);
        let slices: Vec<_> = (0..).zip(&tiles).map(|(index, tile)| (index, slices(tile))).collect();
        // The last one of each tile is missing.
        for (index, slices) in &slices {
            for slice in &slices[..slices.len() - 1] {
                merger.add_slice(frame_id, *index, 0, slice).unwrap();
            }
        }
        let picture = merger.withdraw_picture().unwrap();
        let composed = picture.chunks_exact(4).filter(|pixel| pixel[3] != 0).count();
        assert!(composed > extent.pixels() / 2, "{composed} of {} pixels", extent.pixels());
        merger.finish().unwrap();
    }
}
