//! Costs in blocks of 4x4 pixels, and what blocks of other sizes than 16x16 would gain for the cut.

use crate::costs::{SIZE, camera, layers, scene};
use crate::report::{Report, median};
use rayloom::frame::features::{BLOCK_SIZE, BlockFeatures, FEATURES};
use rayloom::frame::{Extent, Rect};
use rayloom_coordinator::sim::figures::SPEEDS;
use rayloom_coordinator::sim::{FINE, FineCut, RecordedFrame, Recording, Truth};
use rayloom_peer::{Frame, RendererOptions, Tracer, VulkanTracer};
use std::path::PathBuf;

/// Of the recorded path: each with the one that follows.
const PAIRS: [u32; 2] = [0, 15];
/// Rays are counted in 16x16 pixels of a view so many times as large: 4x4 of the view that is cut.
const EXTENT: Extent = Extent::new(SIZE.width * FINE, SIZE.height * FINE);
/// What is traced at once, in pixels of the large view.
const PART: u32 = 640;
const BLOCKS_PX: [u32; 5] = [4, 8, 16, 32, 64];

/// For each size of blocks: how equal the peers' times are when the cut knows this frame's costs, and when it knows the last one's.
pub(crate) fn blocks(report: &mut Report, recording: &Recording, ghost_px: u32) -> Result<(), String> {
    let fine = counted()?;
    let truths: Vec<Truth> = (0..).zip(&fine.frames).map(|(i, frame)| costs(recording, number(i), frame)).collect();
    for tiles in [1, 4] {
        let cut = FineCut { extent: SIZE, speeds: SPEEDS.to_vec(), tiles, ghost_px, min_side_px: BLOCK_SIZE };
        for block_px in BLOCKS_PX {
            let known = truths.iter().map(|truth| cut.max_over_mean(truth, truth, block_px));
            let last = truths.chunks(2).map(|pair| cut.max_over_mean(&pair[0], &pair[1], block_px));
            let key = |name: &str| format!("blocks.{block_px}px.{tiles}_tiles.{name}");
            report.number(key("max_over_mean"), median(&mut known.collect::<Vec<f64>>()));
            report.number(key("max_over_mean_last_frames"), median(&mut last.collect::<Vec<f64>>()));
        }
    }
    Ok(())
}

/// Of the frames that are counted, the `index`th.
fn number(index: u32) -> u32 {
    PAIRS[index as usize / 2] + index % 2
}

/// A frame's costs: what its 16x16 blocks cost, divided among their 4x4 blocks by rays.
fn costs(recording: &Recording, number: u32, fine: &RecordedFrame) -> Truth {
    let (blocks, across) = (SIZE.scaled(BLOCK_SIZE), EXTENT.scaled(BLOCK_SIZE).width);
    let coarse = &recording.frames[number as usize];
    let block_of = |fine: u32| (fine / across / FINE * blocks.width + fine % across / FINE) as usize;
    let mut sums = vec![(0.0_f32, 0.0_f32); blocks.pixels()];
    for (block, rays) in (0..).zip(&fine.rays) {
        let sum = &mut sums[block_of(block)];
        *sum = (sum.0 + *rays as f32, sum.1 + 1.0);
    }
    let ns = |(block, rays): (u32, &u32)| {
        let (sum, count) = sums[block_of(block)];
        coarse.ns_per_px[block_of(block)] * *rays as f32 * count / sum.max(1.0)
    };
    Truth { ns_per_px: (0..).zip(&fine.rays).map(ns).collect(), rays_per_px: Vec::new() }
}

/// The rays of each 4x4 block, counted by this process where they are not there yet.
fn counted() -> Result<Recording, String> {
    let path = PathBuf::from(format!("target/bench/rays-{}x{}.bin", EXTENT.width, EXTENT.height));
    let frames = 2 * PAIRS.len();
    let read = || Recording::read(&mut std::fs::read(&path)?.as_slice());
    if let Ok(recording) = read()
        && (recording.extent, recording.frames.len()) == (EXTENT, frames)
    {
        return Ok(recording);
    }
    println!("counting the rays of {frames} frames in 4x4 blocks, once");
    let source = scene();
    let options = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
    let tracer = VulkanTracer::new(&options, false).map_err(|error| error.to_string())?;
    let on_device = tracer.create_scene(&source, &mut |_| ()).map_err(|error| error.to_string())?;
    let blocks = EXTENT.scaled(BLOCK_SIZE);
    let mut recording = Recording { extent: EXTENT, frames: Vec::new() };
    for index in 0..frames as u32 {
        let camera = camera(&source, number(index));
        let mut rays = vec![0; blocks.pixels()];
        for y in (0..EXTENT.height).step_by(PART as usize) {
            for x in (0..EXTENT.width).step_by(PART as usize) {
                let rect = Rect::new(x, y, PART, PART).intersection(EXTENT.rect());
                let frame = Frame::new(u64::from(index), EXTENT, camera, layers());
                let traced = tracer.trace(&on_device, &frame, rect, None).map_err(|error| error.to_string())?;
                let touched = rect.scaled(BLOCK_SIZE);
                for (i, counted) in (0..).zip(&traced.tile.block_rays) {
                    let block = (touched.y + i / touched.width) * blocks.width + touched.x + i % touched.width;
                    rays[block as usize] = *counted;
                }
            }
        }
        // Nothing else is asked of these frames.
        let features = BlockFeatures {
            blocks_x: blocks.width,
            blocks_y: blocks.height,
            values: vec![[0.0; FEATURES]; blocks.pixels()],
            inverse_depth: vec![0.0; blocks.pixels()],
        };
        recording.frames.push(RecordedFrame { camera, ns_per_px: vec![0.0; blocks.pixels()], rays, features });
    }
    let mut bytes = Vec::new();
    recording
        .write(&mut bytes)
        .and_then(|()| std::fs::write(&path, bytes))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(recording)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocks_cost_is_that_of_its_parts() {
        let (coarse, fine) = (SIZE.scaled(BLOCK_SIZE).pixels(), EXTENT.scaled(BLOCK_SIZE).pixels());
        let frame = |ns_per_px, rays| RecordedFrame {
            camera: rayloom::scene::Camera::with_fov(1.0, 1.5),
            ns_per_px,
            rays,
            features: BlockFeatures::default(),
        };
        let recording = Recording { extent: SIZE, frames: vec![frame(vec![3.0; coarse], vec![1; coarse])] };
        let mut rays = vec![2; fine];
        rays[0] = 30;
        let truth = costs(&recording, 0, &frame(vec![0.0; fine], rays));
        assert!((truth.work_ns(EXTENT, EXTENT.rect()) / (3.0 * EXTENT.pixels() as f64) - 1.0).abs() < 1e-5);
        assert!((truth.ns_per_px[0] / truth.ns_per_px[1] - 15.0).abs() < 1e-4);
    }
}
