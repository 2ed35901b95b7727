//! Recorded costs: the CPU time that the renderer takes for each part of a moving view of the generated city, block by block.

use crate::cpu_time::cpu_seconds;
use glam::{Quat, Vec3};
use rayloom::frame::features::{BLOCK_SIZE, BlockFeatures};
use rayloom::frame::merge::{FrameInputs, MergeMode, Merger, PlannedTile};
use rayloom::frame::{Extent, LayerKind, LayerRequest, Rect, TracedTile};
use rayloom::scene::city::city;
use rayloom::scene::{Camera, Scene};
use rayloom_coordinator::sim::{RecordedFrame, Recording};
use rayloom_peer::{Frame, RendererOptions, Tracer, VulkanTracer};
use std::f32::consts::TAU;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The view of the benches `balance` and `scale`.
pub(crate) const SIZE: Extent = Extent::new(1280, 720);
/// Frames along a closed path.
const FRAMES: u32 = 30;
const CITY_TRIANGLES: usize = 200_000;
/// What is timed as one, a time divided among its blocks by their rays: smaller, and starting the device outweighs it.
const PART: (u32, u32) = (64, 48);
/// Each part's time is the least of so many.
const TIMES: usize = 4;

/// As the demo asks for them: reflections and bounces at half resolution.
pub(crate) fn layers() -> Vec<LayerRequest> {
    let scale = |kind| if matches!(kind, LayerKind::Specular | LayerKind::Indirect) { 2 } else { 1 };
    LayerKind::REAL_TIME.map(|kind| LayerRequest { scale: scale(kind), ..LayerRequest::new(kind) }).to_vec()
}

/// The recorded costs, made by this process where they are not there yet.
pub(crate) fn recording() -> Result<(Recording, PathBuf), String> {
    let path = PathBuf::from(format!("target/bench/costs-{}x{}.bin", SIZE.width, SIZE.height));
    if let Ok(recording) = read(&path) {
        return Ok((recording, path));
    }
    std::fs::create_dir_all("target/bench").map_err(|error| format!("target/bench: {error}"))?;
    let recording = record()?;
    let say = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    recording.write(&mut bytes).map_err(say)?;
    std::fs::write(&path, bytes).map_err(say)?;
    // Features are kept in bytes: what is used is what later runs read.
    Ok((read(&path).map_err(say)?, path))
}

fn read(path: &Path) -> std::io::Result<Recording> {
    let recording = Recording::read(&mut std::fs::read(path)?.as_slice())?;
    let fits = recording.extent == SIZE && recording.frames.len() == FRAMES as usize;
    fits.then_some(recording).ok_or_else(|| std::io::Error::other("it is of another view"))
}

/// The city's skyline, sky above and houses below: sideways and forward at 1.5 m/s, turning at up to 20 degrees a second, at
/// 30 frames a second.
pub(crate) fn camera(source: &Scene, frame: u32) -> Camera {
    let turn = (frame % FRAMES) as f32 / FRAMES as f32 * TAU;
    let skyline = source.cameras.iter().find(|named| named.name == "skyline").map(|named| named.camera);
    let mut camera = skyline.unwrap_or_else(|| source.default_camera(SIZE.width as f32 / SIZE.height as f32));
    camera.position += camera.rotation * Vec3::new(0.24 * turn.sin(), 0.0, 0.24 * (1.0 - turn.cos()));
    camera.rotation = Quat::from_rotation_y(0.055 * turn.sin()) * camera.rotation;
    camera
}

/// What the view shows.
pub(crate) fn scene() -> Scene {
    city(CITY_TRIANGLES, 1)
}

fn record() -> Result<Recording, String> {
    println!("recording the costs of {FRAMES} frames of {}x{}, once", SIZE.width, SIZE.height);
    let source = scene();
    let options = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
    let tracer = VulkanTracer::new(&options, false).map_err(|error| error.to_string())?;
    let scene = tracer.create_scene(&source, &mut |_| ()).map_err(|error| error.to_string())?;
    let trace = |frame: &Frame, rect: Rect| -> Result<(TracedTile, f64), String> {
        let begun = cpu_seconds();
        let traced = tracer.trace(&scene, frame, rect, None).map_err(|error| error.to_string())?;
        Ok((traced.tile, (cpu_seconds() - begun) * 1e9))
    };
    let mut merger = Merger::new(SIZE);
    merger.set_mode(MergeMode::Accumulate { max_history: 12 });
    let parts: Vec<Rect> = parts();
    let planned: Vec<PlannedTile> = parts.iter().map(|rect| PlannedTile { rect: *rect, ghost: 0 }).collect();
    let blocks = SIZE.scaled(BLOCK_SIZE);
    let (begun, mut frames, mut overheads) = (Instant::now(), Vec::new(), Vec::new());
    // The path is closed: two frames before the first warm the device and fill the history.
    for number in (FRAMES - 2..FRAMES).chain(0..FRAMES) {
        let (this, last) = (camera(&source, number), camera(&source, number + FRAMES - 1));
        let frame = frame(number, this, last, frames.len());
        let request = layers();
        let inputs = FrameInputs { previous_camera: last, ..FrameInputs::new(frame.serial, this, &request, &planned) };
        merger.begin(inputs).map_err(|error| error.to_string())?;
        let corner = Rect::new(0, 0, BLOCK_SIZE, BLOCK_SIZE);
        overheads.push((0..5).map(|_| Ok(trace(&frame, corner)?.1)).collect::<Result<Vec<f64>, String>>()?);
        let (mut rays, mut ns_per_px) = (vec![0; blocks.pixels()], vec![0.0; blocks.pixels()]);
        for (index, rect) in parts.iter().enumerate() {
            let (tile, mut ns) = trace(&frame, *rect)?;
            for _ in 1..TIMES {
                ns = ns.min(trace(&frame, *rect)?.1);
            }
            merger.add_tile(frame.serial, index as u32 as _, 0, &tile).map_err(|error| error.to_string())?;
            let touched = rect.scaled(BLOCK_SIZE);
            let total: f64 = tile.block_rays.iter().map(|rays| f64::from(*rays)).sum();
            for (i, counted) in tile.block_rays.iter().enumerate() {
                let (x, y) = (touched.x + i as u32 % touched.width, touched.y + i as u32 / touched.width);
                let block = Rect::new(x * BLOCK_SIZE, y * BLOCK_SIZE, BLOCK_SIZE, BLOCK_SIZE);
                let pixels = block.intersection(SIZE.rect()).pixels() as f64;
                rays[(y * blocks.width + x) as usize] = *counted;
                // Its fixed cost goes off at the end, when it is known.
                ns_per_px[(y * blocks.width + x) as usize] = ns * f64::from(*counted) / total.max(1.0) / pixels;
            }
        }
        let merged = merger.finish().ok_or("no frame is open")?;
        let features = BlockFeatures::of(&merged);
        frames.push((this, rays, ns_per_px, features));
        if frames.len() % 10 == 2 {
            println!("  {} after {:.0} s", frames.len() - 2, begun.elapsed().as_secs_f32());
        }
    }
    let mut overheads: Vec<f64> = overheads.into_iter().flatten().collect();
    let overhead_ns = crate::report::median(&mut overheads);
    println!("  a part's fixed cost is {:.0} us", overhead_ns * 1e-3);
    let frames = frames.split_off(2).into_iter();
    let frames = frames.map(|(camera, rays, ns_per_px, features)| {
        let ns_per_px = without(&rays, ns_per_px, overhead_ns);
        RecordedFrame { camera, ns_per_px, rays, features }
    });
    Ok(Recording { extent: SIZE, frames: frames.collect() })
}

fn frame(number: u32, camera: Camera, previous_camera: Camera, serial: usize) -> Frame {
    let frame_id = u64::from(number) + 1000 * serial as u64;
    Frame { serial: serial as u64, previous_camera, ..Frame::new(frame_id, SIZE, camera, layers()) }
}

/// Takes a part's fixed cost off the time of its blocks; at least a fiftieth of it is left.
fn without(rays: &[u32], mut ns_per_px: Vec<f64>, overhead_ns: f64) -> Vec<f32> {
    let across = SIZE.scaled(BLOCK_SIZE).width;
    for part in parts() {
        let touched = part.scaled(BLOCK_SIZE);
        let blocks = || {
            (touched.y..touched.bottom())
                .flat_map(|y| (touched.x..touched.right()).map(move |x| (y * across + x) as usize))
        };
        let total: f64 = blocks().map(|block| f64::from(rays[block])).sum();
        let ns: f64 =
            blocks().map(|block| ns_per_px[block]).sum::<f64>() * part.pixels() as f64 / blocks().count() as f64;
        let left = if total > 0.0 { ((ns - overhead_ns) / ns.max(1.0)).max(0.02) } else { 1.0 };
        blocks().for_each(|block| ns_per_px[block] *= left);
    }
    ns_per_px.into_iter().map(|ns| ns as f32).collect()
}

fn parts() -> Vec<Rect> {
    let across = (0..SIZE.width).step_by(PART.0 as usize);
    let rows = (0..SIZE.height).step_by(PART.1 as usize);
    let part = |x, y| Rect::new(x, y, PART.0, PART.1).intersection(SIZE.rect());
    rows.flat_map(|y| across.clone().map(move |x| part(x, y))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_view_in_whole_blocks() {
        assert_eq!(parts().iter().map(|part| part.pixels()).sum::<usize>(), SIZE.pixels());
        assert!(parts().iter().all(|part| part.x % BLOCK_SIZE == 0 && part.y % BLOCK_SIZE == 0));
    }

    #[test]
    fn the_path_is_closed() {
        let source = city(1000, 1);
        assert_eq!(camera(&source, 0), camera(&source, FRAMES));
    }
}
