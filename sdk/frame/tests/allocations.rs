//! Frames take no memory once the first few have: of the merger, the picture, the features and the filter.
#![allow(unsafe_code, reason = "an allocator that counts is one")]

#[allow(dead_code, reason = "whole tiles are delivered by other tests")]
mod synthetic;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use rayloom_frame::{
    Extent, Inline,
    codec::{CodecMode, DecodeLimits, DecodedSlice, Decoder, encode_tile},
    compose::{Display, PictureFormat, ToneMap, compose_into},
    features::BlockFeatures,
    filter::Filter,
    merge::{Added, Merger},
};
use synthetic::{LAYERS, Shot, cut};

/// The system's allocator, and how often it was asked for memory.
struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is the system's allocator's; counting touches no memory that it gives.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the ones that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const EXTENT: Extent = Extent::new(160, 90);
const DISPLAY: Display = Display { exposure: 1.0, tone_map: ToneMap::Aces, format: PictureFormat::Rgba8Srgb };
/// Frames that may take memory.
const WARM_UP: u64 = 4;

/// A test of its own binary, and one alone: what others allocate would count.
#[test]
fn a_steady_view_takes_no_memory() {
    // More tiles than are sorted in place by any sort, and another one missing in each frame.
    let tiles = cut(EXTENT, &[21, 50, 83, 111, 140], &[13, 40, 57, 80], 4);
    for blend_ghosts in [false, true] {
        let (mut merger, mut features, mut filter) = (Merger::new(EXTENT), BlockFeatures::default(), Filter::default());
        merger.set_blend_ghosts(blend_ghosts);
        let (mut decoder, mut picture) = (Decoder::default(), vec![0; EXTENT.pixels() * 4]);
        for frame_id in 0..12 {
            let shot = Shot { noise: 0.4, ..Shot::moving(EXTENT, frame_id, 0.04) };
            let traced: Vec<_> = tiles.iter().map(|tile| shot.trace(*tile, &LAYERS)).collect();
            let mut decode = |tile| {
                encode_tile(tile, CodecMode::Lossless, 900)
                    .iter()
                    .map(|slice| decoder.decode(slice, DecodeLimits::new(EXTENT)).unwrap())
                    .collect::<Vec<DecodedSlice>>()
            };
            let slices = decode(&traced[0]);
            let late = 1 + frame_id as usize % (tiles.len() - 1);

            let before = CALLS.load(Ordering::Relaxed);
            merger.begin(shot.inputs(&LAYERS, &tiles)).unwrap();
            merger.compose_ahead(DISPLAY, std::mem::take(&mut picture));
            for slice in &slices {
                let added = merger.add_decoded(frame_id, 0, 0, slice);
                assert!(matches!(added, Ok(Added::Stored { .. })));
            }
            for (index, tile) in traced.iter().enumerate().skip(1).filter(|(index, _)| *index != late) {
                merger.add_tile(frame_id, index as u32, 1, tile).unwrap();
            }
            while merger.prepare_missing(late as u32, 600).may_go_on {}
            merger.finish().unwrap();
            picture = merger.take_picture_with(&Inline).unwrap();
            let frame = merger.finish().unwrap();
            compose_into(&frame, &DISPLAY, &mut picture);
            features.update(&frame);
            compose_into(&filter.run(&frame), &DISPLAY, &mut picture);
            let taken = CALLS.load(Ordering::Relaxed) - before;
            assert!(frame_id < WARM_UP || taken == 0, "frame {frame_id} took memory {taken} times");
            assert!(frame_id > 0 || taken > 0, "what a new merger takes was not counted");
        }
    }
}
