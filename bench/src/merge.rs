//! What merging a frame costs: tiles in, history reprojected, layers accumulated, a picture out; one core.

use std::time::Instant;

use glam::{Vec2, Vec3};
use half::f16;
use rayloom_frame::{
    Extent, Inline, LayerKind, LayerPlane, LayerRequest, Primary, Rect, SKY_DEPTH, TracedTile,
    codec::{CodecMode, DEFAULT_MAX_SLICE_BYTES, DecodeLimits, DecodedSlice, Decoder, encode_tile},
    compose::{Display, PictureFormat, ToneMap},
    demodulate::scaled_sample_pixel,
    features::BlockFeatures,
    filter::Filter,
    merge::{FrameInputs, Merger, PlannedTile},
    normal::encode_normal,
};
use rayloom_scene::Camera;

use crate::{
    cpu_time::cpu_seconds,
    report::{Report, median},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Measure 31 frames instead of 9.
    #[arg(long)]
    full: bool,
}

const EXTENT: Extent = Extent::new(1920, 1080);
const DISPLAY: Display = Display { exposure: 1.0, tone_map: ToneMap::Aces, format: PictureFormat::Rgba8Srgb };

/// Bytes of a pixel that a frame has to touch, each plane counted once for each time that it is read or written whole.
const TOUCHED_BYTES: f64 = (
    // Tiles are copied into place: six planes of words, three layers.
    2 * (6 * 4 + 3 * 8)
    // Reprojection reads depth, normal, motion and instance here, three of them, age and length there, and writes the last two.
    + 4 * 4 + 3 * 4 + 2 + 2
    // Accumulation reads signal and history and writes the layer.
    + 3 * 3 * 8
    // Composition reads layers, depth, normal and material and writes the picture.
    + 3 * 8 + 4 * 4 + 4
) as f64;

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let frames = if arguments.full { 31 } else { 9 };
    let mut report = Report::new("merge");
    let full = measure([1, 1, 1], frames, false)?;
    let copy_ns = copy_ns_per_pixel();
    report.number("merge_cpu_ns_per_pixel", full.cpu_ns_per_pixel);
    report.number("bytes_per_pixel", TOUCHED_BYTES);
    report.number("ratio_to_memcpy", full.cpu_ns_per_pixel / copy_ns);
    report.number("after_last_tile_ms_p50", full.after_last_ms);
    // The same where others have the core too.
    report.number("after_last_tile_cpu_ms_p50", full.after_last_cpu_ms);
    report.number("held_bytes_per_pixel", full.held_bytes_per_pixel);
    report.number("add_cpu_ns_per_pixel", full.add_ns);
    report.number("prepare_cpu_ns_per_pixel", full.prepare_ns);
    report.number("finish_cpu_ns_per_pixel", full.finish_ns);
    report.number("compose_cpu_ns_per_pixel", full.compose_ns);
    // Beside the rest: views filter only where they are asked to.
    report.number("filter_cpu_ns_per_pixel", full.filter_ns);
    let slices = measure([1, 1, 1], frames, true)?;
    report.number("slices.merge_cpu_ns_per_pixel", slices.cpu_ns_per_pixel);
    report.number("after_last_slice_ms_p50", slices.after_last_ms);
    report.number("after_last_slice_cpu_ms_p50", slices.after_last_cpu_ms);
    let half = measure([1, 2, 2], frames, false)?;
    report.number("half_resolution.merge_cpu_ns_per_pixel", half.cpu_ns_per_pixel);
    report.number("half_resolution.after_last_tile_ms_p50", half.after_last_ms);
    report.number("half_resolution.held_bytes_per_pixel", half.held_bytes_per_pixel);
    report.number("missing.merge_cpu_ns_per_pixel", missing_ns_per_pixel(frames)?);
    Ok(report)
}

struct Measured {
    cpu_ns_per_pixel: f64,
    add_ns: f64,
    prepare_ns: f64,
    finish_ns: f64,
    compose_ns: f64,
    filter_ns: f64,
    /// From the last tile, or its last slice.
    after_last_ms: f64,
    after_last_cpu_ms: f64,
    held_bytes_per_pixel: f64,
}

/// Pixels that are prepared before what may have come is looked at: half a millisecond's.
const PREPARED_PIXELS: usize = 16_384;

/// What arrives at once.
enum Piece<'a> {
    Tile(&'a TracedTile),
    Slice(DecodedSlice),
}

/// Tiles in one piece each, or the slices of all of them in turn, decoded before. With the tiles' indices.
fn pieces(tiles: &[(u32, TracedTile)], by_slices: bool) -> Result<Vec<(u32, Piece<'_>)>, String> {
    if !by_slices {
        return Ok(tiles.iter().map(|(index, tile)| (*index, Piece::Tile(tile))).collect());
    }
    let (mut decoder, mut slices) = (Decoder::default(), Vec::new());
    for (index, tile) in tiles {
        for (turn, slice) in encode_tile(tile, CodecMode::Lossless, DEFAULT_MAX_SLICE_BYTES).iter().enumerate() {
            let decoded = decoder.decode(slice, DecodeLimits::new(EXTENT)).map_err(|e| e.to_string())?;
            slices.push((turn, (*index, Piece::Slice(decoded))));
        }
    }
    slices.sort_by_key(|(turn, (index, _))| (*turn, *index));
    Ok(slices.into_iter().map(|(_, piece)| piece).collect())
}

/// Medians over frames of a camera that moves by fractions of a pixel; of eight tiles another one is late each frame, and prepared
/// while the last piece of the others is waited for.
fn measure(scales: [u8; 3], frames: u64, by_slices: bool) -> Result<Measured, String> {
    let kinds = [LayerKind::Direct, LayerKind::Specular, LayerKind::Indirect];
    let layers: [LayerRequest; 3] = std::array::from_fn(|i| LayerRequest {
        kind: kinds[i],
        samples: 1,
        scale: scales[i],
        bounces: LayerRequest::BOUNCES,
    });
    let tiles: Vec<PlannedTile> =
        (0..8).map(|i| PlannedTile { rect: Rect::new(i % 4 * 480, i / 4 * 540, 480, 540), ghost: 0 }).collect();
    let mut merger = Merger::new(EXTENT);
    let mut picture = vec![0; EXTENT.pixels() * 4];
    let [mut add, mut prepare, mut finish, mut compose, mut total] = [const { Vec::new() }; 5];
    let (mut last, mut last_cpu) = (vec![], vec![]);
    let (mut filter, mut filtering) = (Filter::default(), vec![]);
    for frame_id in 0..frames + 2 {
        let late = frame_id as u32 % 8;
        let on_time = (0..).zip(&tiles).filter(|(i, _)| *i != late);
        let traced: Vec<(u32, TracedTile)> =
            on_time.map(|(i, tile)| (i, trace(tile.rect, frame_id, &layers))).collect();
        let pieces = pieces(&traced, by_slices)?;
        let (camera, previous_camera) = (camera(frame_id as f32), camera(frame_id as f32 - 1.0));
        let start = cpu_seconds();
        merger
            .begin(FrameInputs { previous_camera, ..FrameInputs::new(frame_id, camera, &layers, &tiles) })
            .map_err(|e| e.to_string())?;
        merger.compose_ahead(DISPLAY, std::mem::take(&mut picture));
        let (mut last_piece, mut last_piece_cpu, mut preparing) = (Instant::now(), 0.0, 0.0);
        for (i, (tile, piece)) in pieces.iter().enumerate() {
            if i + 1 == pieces.len() {
                let waiting = cpu_seconds();
                while merger.prepare_missing(late, PREPARED_PIXELS).may_go_on {}
                last_piece_cpu = cpu_seconds();
                preparing = last_piece_cpu - waiting;
            }
            last_piece = Instant::now();
            let added = match piece {
                Piece::Tile(traced) => merger.add_tile(frame_id, *tile, *tile, traced),
                Piece::Slice(slice) => merger.add_decoded(frame_id, *tile, *tile, slice),
            };
            added.map_err(|e| e.to_string())?;
        }
        let added = cpu_seconds();
        merger.finish().ok_or("no frame was begun")?;
        let finished = cpu_seconds();
        picture = merger.take_picture_with(&Inline).ok_or("no picture was asked for")?;
        let composed = cpu_seconds();
        // The first frames take memory and have no history.
        if frame_id >= 2 {
            add.push(added - start - preparing);
            prepare.push(preparing);
            finish.push(finished - added);
            compose.push(composed - finished);
            total.push(composed - start);
            last.push(last_piece.elapsed().as_secs_f64());
            last_cpu.push(composed - last_piece_cpu);
            if frame_id % 4 == 2 && !by_slices {
                let frame = merger.finish().ok_or("no frame was begun")?;
                let start = cpu_seconds();
                std::hint::black_box(filter.run(&frame));
                filtering.push(cpu_seconds() - start);
            }
        }
    }
    let ns = |mut seconds: Vec<f64>| median(&mut seconds) * 1e9 / EXTENT.pixels() as f64;
    Ok(Measured {
        cpu_ns_per_pixel: ns(total),
        add_ns: ns(add),
        prepare_ns: ns(prepare),
        finish_ns: ns(finish),
        compose_ns: ns(compose),
        filter_ns: if by_slices { f64::NAN } else { ns(filtering) },
        after_last_ms: median(&mut last) * 1e3,
        after_last_cpu_ms: median(&mut last_cpu) * 1e3,
        held_bytes_per_pixel: merger.held_bytes() as f64 / EXTENT.pixels() as f64,
    })
}

/// CPU time of a frame of which nothing comes: warped, followed and composed. The median over frames, the first of which are whole.
fn missing_ns_per_pixel(frames: u64) -> Result<f64, String> {
    let layers = [LayerKind::Direct, LayerKind::Specular, LayerKind::Indirect].map(LayerRequest::new);
    let tiles = [PlannedTile { rect: EXTENT.rect(), ghost: 0 }];
    let (mut merger, mut picture) = (Merger::new(EXTENT), vec![0; EXTENT.pixels() * 4]);
    let mut seconds = Vec::new();
    for frame_id in 0..frames + 3 {
        let (camera, previous_camera) = (camera(frame_id as f32), camera(frame_id as f32 - 1.0));
        let inputs = FrameInputs { previous_camera, ..FrameInputs::new(frame_id, camera, &layers, &tiles) };
        let whole = (frame_id < 2).then(|| trace(EXTENT.rect(), frame_id, &layers));
        let start = cpu_seconds();
        merger.begin(inputs).map_err(|e| e.to_string())?;
        merger.compose_ahead(DISPLAY, std::mem::take(&mut picture));
        if let Some(tile) = &whole {
            merger.add_tile(frame_id, 0, 0, tile).map_err(|e| e.to_string())?;
        }
        merger.finish().ok_or("no frame was begun")?;
        picture = merger.take_picture_with(&Inline).ok_or("no picture was asked for")?;
        // The first one that is missing takes memory.
        if frame_id > 2 {
            seconds.push(cpu_seconds() - start);
        }
    }
    Ok(median(&mut seconds) * 1e9 / EXTENT.pixels() as f64)
}

/// CPU milliseconds of a frame's block features, on one core, all layers there: the median of 15.
pub(crate) fn features_cpu_ms() -> Result<f64, String> {
    let layers = LayerKind::REAL_TIME.map(LayerRequest::new);
    let tiles = [PlannedTile { rect: EXTENT.rect(), ghost: 0 }];
    let mut merger = Merger::new(EXTENT);
    for frame_id in 0..2 {
        let (camera, previous_camera) = (camera(frame_id as f32), camera(frame_id as f32 - 1.0));
        let inputs = FrameInputs { previous_camera, ..FrameInputs::new(frame_id, camera, &layers, &tiles) };
        merger.begin(inputs).map_err(|e| e.to_string())?;
        merger.add_tile(frame_id, 0, 0, &trace(EXTENT.rect(), frame_id, &layers)).map_err(|e| e.to_string())?;
        merger.finish().ok_or("no frame was begun")?;
    }
    let frame = merger.finish().ok_or("no frame was begun")?;
    let mut features = BlockFeatures::default();
    let once = |features: &mut BlockFeatures| {
        let start = cpu_seconds();
        features.update(&frame);
        cpu_seconds() - start
    };
    let mut seconds: Vec<f64> = (0..15).map(|_| once(std::hint::black_box(&mut features))).collect();
    Ok(median(&mut seconds) * 1e3)
}

/// CPU time of a memcpy that touches as many bytes.
fn copy_ns_per_pixel() -> f64 {
    let bytes = (TOUCHED_BYTES * EXTENT.pixels() as f64 / 2.0) as usize;
    let (from, mut to) = (vec![1u8; bytes], vec![2u8; bytes]);
    let once = |to: &mut [u8]| {
        let start = cpu_seconds();
        to.copy_from_slice(&from);
        cpu_seconds() - start
    };
    let mut seconds: Vec<f64> = (0..9).map(|_| once(std::hint::black_box(&mut to))).collect();
    median(&mut seconds) * 1e9 / EXTENT.pixels() as f64
}

fn camera(frame: f32) -> Camera {
    let position = Vec3::new(frame * 0.003, 3.0, 8.0);
    Camera::look_at(position, position + Vec3::new(frame * 1e-4, -0.25, -1.0), 1.0, 16.0 / 9.0)
}

/// A street of boxes under the sky: ground, and a wall every two metres on both sides.
fn hit(origin: Vec3, ray: Vec3) -> Option<(f32, Vec3, u32)> {
    let ground = (-origin.y / ray.y, Vec3::Y, 1);
    let mut nearest = (if ground.0 > 0.0 { ground.0 } else { f32::INFINITY }, ground.1, ground.2);
    for row in 0..12u32 {
        for side in 0..2u32 {
            let centre = Vec3::new(if side == 0 { -3.0 } else { 3.0 }, 1.0, -2.0 * row as f32 + 2.0);
            let half_size = Vec3::new(1.0, 1.0 + 0.5 * (row * 2 + side).wrapping_mul(7).rem_euclid(5) as f32, 0.7);
            let (a, b) = ((centre - half_size - origin) / ray, (centre + half_size - origin) / ray);
            let (near, far) = (a.min(b), a.max(b).min_element());
            let t = near.max_element();
            if t > 0.0 && t < far && t < nearest.0 {
                let normal = if t == near.x {
                    Vec3::X * -ray.x.signum()
                } else if t == near.y {
                    Vec3::Y
                } else {
                    Vec3::Z
                };
                nearest = (t, normal, 2 + row * 2 + side);
            }
        }
    }
    nearest.0.is_finite().then_some(nearest)
}

fn trace(rect: Rect, frame_id: u64, layers: &[LayerRequest]) -> TracedTile {
    let (now, before) = (camera(frame_id as f32), camera(frame_id as f32 - 1.0));
    let size = Vec2::new(EXTENT.width as f32, EXTENT.height as f32);
    let pixels = |rect: Rect| (rect.y..rect.bottom()).flat_map(move |y| (rect.x..rect.right()).map(move |x| (x, y)));
    let mut primary = Primary::default();
    for (x, y) in pixels(rect) {
        let pixel = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
        let ray = now.ray(pixel, size);
        let hit = hit(now.position, ray);
        let point = now.position + ray * hit.map_or(1e6, |h| h.0);
        let motion = before.project(point, size).0 - pixel;
        primary.depth.push(hit.map_or(SKY_DEPTH, |h| h.0));
        // Normal maps leave few normals equal: a wave of a few degrees.
        let bump = Vec3::new((point.x * 40.0).sin(), (point.y * 40.0).sin(), (point.z * 40.0).sin()) * 0.05;
        primary.normal.push(hit.map_or(0, |h| encode_normal((h.1 + bump).normalize())));
        primary.base_color.push(hit.map_or(0, |h| 0xff00_0000 | h.2.wrapping_mul(0x9e_3779) & 0xff_ffff));
        primary.material.push(hit.map_or(0, |h| 0x0100_0040 + h.2 * 5));
        primary
            .motion
            .push(f16::from_f32(motion.x).to_bits() as u32 | (f16::from_f32(motion.y).to_bits() as u32) << 16);
        primary.instance_id.push(hit.map_or(0, |h| h.2));
    }
    let layer = |request: &LayerRequest| {
        let scale = request.scale as u32;
        let rect = rect.scaled(scale);
        let sample = |(bx, by)| {
            let (x, y) = scaled_sample_pixel(bx, by, frame_id, scale, EXTENT);
            let noise = (x.wrapping_mul(0x9e37_79b1)
                ^ y.wrapping_mul(0x85eb_ca77)
                ^ (frame_id as u32).wrapping_mul(0xc2b2_ae3d))
            .wrapping_mul(0x2c1b_3c6d)
                >> 16;
            let value = f16::from_f32(0.2 + noise as f32 / 65536.0).to_bits();
            [value, value, value, 0x3c00]
        };
        LayerPlane { kind: request.kind, scale: request.scale, rect, pixels: pixels(rect).map(sample).collect() }
    };
    TracedTile { rect, layers: layers.iter().map(layer).collect(), primary: Some(primary), block_rays: Vec::new() }
}
