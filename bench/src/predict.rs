//! What late results are worth: pixels whose light comes some frames late, warped to where they are by then, against many samples
//! at the true camera; and against holding what was shown last.
//!
//! Once as a user sees them, traced with a sample a pixel and filtered; once as they are merged, before the filter; and once
//! traced with so many samples that what is lost is lost by the warp.

mod ahead;
mod scenes;
mod truth;

use crate::report::Report;
use glam::{Quat, Vec3};
use rayloom_frame::compose::{ToneMap, compose};
use rayloom_frame::filter::Filter;
use rayloom_frame::merge::{FrameInputs, MergeMode, MergedFrame, Merger, PlannedTile};
use rayloom_frame::metrics::psnr_rgba8;
use rayloom_frame::{Extent, LayerKind, LayerRequest, Primary, Rect, TracedTile};
use rayloom_peer::{Frame, RendererOptions, Tracer, VulkanTracer};
use rayloom_scene::{Camera, Scene};
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use truth::{TRUTH_SAMPLES, Truth};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A picture of 640x360 instead of 320x180, and twice the frames.
    #[arg(long)]
    full: bool,
    /// Writes what is shown of the late tile there as COURSE-AGE.png: merged, filtered, the truth, and four times what the first
    /// differs from it.
    #[arg(long)]
    images: Option<PathBuf>,
    /// Late pixels of the references' scenes too, as NAME.psnr_db.AGE.
    #[arg(long)]
    scenes: bool,
    /// Folder of references: NAME.json beside NAME/reference.exr and NAME/meta.json.
    #[arg(long, value_name = "DIR", default_value = "../shared/reference")]
    reference: PathBuf,
}

/// The tile that is late, in the middle of eight.
const LATE: usize = 1;
const CITY_TRIANGLES: usize = 20_000;
const HISTORY: u8 = 24;
const FPS: f32 = 30.0;
const METRES_PER_SECOND: f32 = 1.5;
const DEGREES_PER_SECOND: f32 = 20.0;
const FAST_DEGREES_PER_SECOND: f32 = 60.0;
/// Frames that results are late; the first is in time, for comparison.
const AGES: [usize; 5] = [0, 1, 2, 3, 6];
/// Frames from one that counts to the next: they see different things.
const STEP: u64 = 7;

/// How the camera moves, whose planes there are, and how many samples.
#[derive(Clone, Copy)]
struct Course<'a> {
    name: &'a str,
    degrees_per_second: f32,
    /// The engine's own planes are there at once; else those of late tiles are late too.
    has_planes: bool,
    /// Of a pixel and frame, in the late tile and those beside it; others have one.
    samples: u8,
    /// Frames before those that count: history fills.
    warm_up: u64,
    /// Frames that count.
    shown: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let options = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
    let tracer = VulkanTracer::new(&options, false).map_err(|error| error.to_string())?;
    let source = rayloom_scene::city::city(CITY_TRIANGLES, 1);
    let (size, more) = if arguments.full { (Extent::new(640, 360), 2) } else { (Extent::new(320, 180), 1) };
    let images = arguments.images.clone();
    let start = source.default_camera(size.width as f32 / size.height as f32);
    let mut bench = Bench::new(&tracer, &source, start, size, images)?;
    let mut report = Report::new("predict");
    let slow = Course {
        name: "late",
        degrees_per_second: DEGREES_PER_SECOND,
        has_planes: true,
        samples: 1,
        warm_up: 24,
        shown: 6 * more,
    };
    let (found, ceiling_db) = bench.measure(slow)?;
    report.number("ceiling_psnr_db", ceiling_db);
    for (age, found) in AGES.into_iter().zip(&found).skip(1) {
        report.number(format!("psnr_db.{age}"), found.filtered_db);
        report.number(format!("psnr_hold_db.{age}"), found.held_db);
        report.number(format!("unfiltered.psnr_db.{age}"), found.merged_db);
    }
    report.number("psnr_in_time_db", found[0].filtered_db);
    report.number("unfiltered.psnr_in_time_db", found[0].merged_db);
    // Nothing but the warp: history need not fill.
    let noiseless = Course { name: "noiseless", samples: 16, warm_up: 8, shown: 3 * more, ..slow };
    let state = Course { name: "state", has_planes: false, ..slow };
    let fast = Course { name: "fast", degrees_per_second: FAST_DEGREES_PER_SECOND, shown: 3 * more, ..slow };
    for course in [noiseless, state, fast] {
        for (age, found) in AGES.into_iter().zip(bench.measure(course)?.0) {
            let key = if age == 0 { "psnr_in_time_db".into() } else { format!("psnr_db.{age}") };
            let is_filtered = course.samples == 1;
            report.number(
                format!("{}.{key}", course.name),
                if is_filtered { found.filtered_db } else { found.merged_db },
            );
        }
    }
    ahead::measure(&mut bench, &mut report)?;
    if arguments.scenes {
        scenes::measure(&tracer, arguments, slow, size, &mut report)?;
    }
    report.number("samples", f64::from(slow.samples));
    report.number("noiseless.samples", f64::from(noiseless.samples));
    report.number("truth_samples", f64::from(TRUTH_SAMPLES));
    report.number("width", f64::from(size.width));
    report.number("height", f64::from(size.height));
    report.number("frames", slow.shown as f64);
    Ok(report)
}

struct Bench<'a> {
    tracer: &'a VulkanTracer,
    scene: <VulkanTracer as Tracer>::Scene,
    /// Where courses begin.
    start: Camera,
    exposure: f32,
    size: Extent,
    images: Option<PathBuf>,
    /// Frames that were traced, by the course's speed and the frame: courses share them.
    traces: Vec<(f32, u64, Rc<TracedTile>)>,
    /// Late tiles as they truly are, by the digest of what they are made of.
    truths: HashMap<[u8; 32], Rc<Truth>>,
}

/// Late pixels against the truth.
struct Found {
    /// Filtered, as views with `denoise` show them.
    filtered_db: f64,
    /// Before the filter.
    merged_db: f64,
    /// What was shown, filtered, when the last result that came was new.
    held_db: f64,
}

/// Results that are late by some frames.
struct Lane {
    age: usize,
    merger: Merger,
    /// Late tiles that have not come yet.
    on_their_way: VecDeque<(u64, TracedTile)>,
    filtered: Vec<u8>,
    merged: Vec<u8>,
    held: Vec<u8>,
}

impl<'a> Bench<'a> {
    fn new(
        tracer: &'a VulkanTracer,
        source: &Scene,
        start: Camera,
        size: Extent,
        images: Option<PathBuf>,
    ) -> Result<Bench<'a>, String> {
        let scene = tracer.create_scene(source, &mut |_| ()).map_err(|error| error.to_string())?;
        Ok(Bench { tracer, scene, start, exposure: 1.0, size, images, traces: Vec::new(), truths: HashMap::new() })
    }

    /// Late pixels of all frames that count, together, by [`AGES`]; and what two independent halves of the truth differ by.
    fn measure(&mut self, course: Course<'_>) -> Result<(Vec<Found>, f64), String> {
        let size = self.size;
        let tiles = tiles(size);
        let late = tiles[LATE].rect;
        let layers = LayerKind::REAL_TIME.map(|kind| request(kind, 1));
        let mut lanes = AGES.map(|age| {
            let mut merger = Merger::new(size);
            merger.set_mode(MergeMode::Accumulate { max_history: HISTORY });
            let (filtered, merged, held) = (Vec::new(), Vec::new(), Vec::new());
            Lane { age, merger, on_their_way: VecDeque::new(), filtered, merged, held }
        });
        let (mut filter, mut in_time, mut truth) = (Filter::default(), VecDeque::new(), Vec::new());
        let mut halves = [Vec::new(), Vec::new()];
        let last = course.warm_up + (course.shown - 1) * STEP;
        for frame_id in 0..=last {
            let [camera, previous] = [frame_id, frame_id.saturating_sub(1)].map(|id| self.camera(course, id));
            let traced = self.frame(course, frame_id, &layers)?;
            let planes = traced.primary.as_ref().filter(|_| course.has_planes);
            let mut cut: Vec<TracedTile> =
                tiles.iter().map(|tile| crop(&traced, tile.rect, !course.has_planes)).collect();
            if course.samples > 1 {
                let many = LayerKind::REAL_TIME.map(|kind| request(kind, course.samples));
                for tile in &mut cut[LATE - 1..=LATE + 1] {
                    // Other samples than the truth has: those of another frame.
                    tile.layers = self.trace(camera, previous, frame_id, &many, tile.rect)?.layers;
                }
            }
            let is_shown = frame_id >= course.warm_up && (frame_id - course.warm_up).is_multiple_of(STEP);
            if is_shown {
                let found = self.truth(camera, frame_id, late)?;
                truth.extend_from_slice(&found.picture);
                for (all, half) in halves.iter_mut().zip(&found.halves) {
                    all.extend_from_slice(half);
                }
            }
            for lane in &mut lanes {
                let inputs = FrameInputs {
                    previous_camera: previous,
                    planes,
                    ..FrameInputs::new(frame_id, camera, &layers, &tiles)
                };
                lane.merger.begin(inputs).map_err(|error| error.to_string())?;
                lane.on_their_way.push_back((frame_id, cut[LATE].clone()));
                let mut arrivals: Vec<_> = (0..).zip(&cut).filter(|(index, _)| *index != LATE).collect();
                let came = if lane.on_their_way.len() > lane.age { lane.on_their_way.pop_front() } else { None };
                let mut of = frame_id;
                if let Some((id, tile)) = &came {
                    (of, _) = (*id, arrivals.push((LATE, tile)));
                }
                for (index, tile) in arrivals {
                    let id = if index == LATE { of } else { frame_id };
                    let added = lane.merger.add_tile(id, index as u32, index as u32, tile);
                    added.map_err(|error| error.to_string())?;
                }
                let frame = lane.merger.finish().ok_or("no frame was begun")?;
                if lane.age == 0 {
                    in_time.push_back(picture(&filter.run(&frame), late, self.exposure));
                }
                if is_shown {
                    lane.merged.extend(picture(&frame, late, self.exposure));
                    lane.filtered.extend(picture(&filter.run(&frame), late, self.exposure));
                    // What was shown when the last result that came was new.
                    lane.held.extend_from_slice(&in_time[in_time.len() - 1 - lane.age.min(in_time.len() - 1)]);
                }
            }
            if in_time.len() > AGES[AGES.len() - 1] + 1 {
                in_time.pop_front();
            }
        }
        for lane in &lanes {
            if let Some(folder) = &self.images {
                let path = folder.join(format!("{}-{}.png", course.name, lane.age));
                side_by_side(&path, [&lane.merged, &lane.filtered, &truth], late.width as usize)?;
            }
        }
        let found = lanes.iter().map(|lane| Found {
            filtered_db: psnr_rgba8(&lane.filtered, &truth),
            merged_db: psnr_rgba8(&lane.merged, &truth),
            held_db: psnr_rgba8(&lane.held, &truth),
        });
        Ok((found.collect(), psnr_rgba8(&halves[0], &halves[1])))
    }

    fn camera(&self, course: Course<'_>, frame_id: u64) -> Camera {
        let seconds = frame_id as f32 / FPS;
        let mut camera = self.start;
        camera.position += camera.rotation * Vec3::new(METRES_PER_SECOND * seconds, 0.0, 0.0);
        camera.rotation = Quat::from_rotation_y((course.degrees_per_second * seconds).to_radians()) * camera.rotation;
        camera
    }

    fn frame(&mut self, course: Course<'_>, frame_id: u64, layers: &[LayerRequest]) -> Result<Rc<TracedTile>, String> {
        let speed = course.degrees_per_second;
        if let Some((.., traced)) = self.traces.iter().find(|(s, id, _)| (*s, *id) == (speed, frame_id)) {
            return Ok(Rc::clone(traced));
        }
        let [camera, previous] = [frame_id, frame_id.saturating_sub(1)].map(|id| self.camera(course, id));
        let traced = Rc::new(self.trace(camera, previous, frame_id, layers, self.size.rect())?);
        self.traces.push((speed, frame_id, Rc::clone(&traced)));
        Ok(traced)
    }

    fn trace(
        &self,
        camera: Camera,
        previous_camera: Camera,
        frame_id: u64,
        layers: &[LayerRequest],
        rect: Rect,
    ) -> Result<TracedTile, String> {
        let frame = Frame { previous_camera, ..Frame::new(frame_id, self.size, camera, layers.to_vec()) };
        let traced = self.tracer.trace(&self.scene, &frame, rect, None).map_err(|error| error.to_string())?;
        Ok(traced.tile)
    }
}

fn request(kind: LayerKind, samples: u8) -> LayerRequest {
    LayerRequest { samples, ..LayerRequest::new(kind) }
}

/// Four across, two down.
fn tiles(size: Extent) -> Vec<PlannedTile> {
    let (width, height) = (size.width / 4, size.height / 2);
    (0..8).map(|i| PlannedTile { rect: Rect::new(i % 4 * width, i / 4 * height, width, height), ghost: 0 }).collect()
}

/// The composed picture of a part of a frame.
fn picture(frame: &MergedFrame<'_>, part: Rect, exposure: f32) -> Vec<u8> {
    let whole = compose(frame, exposure, ToneMap::Aces);
    let row = |y: u32| {
        let at = 4 * (y * frame.extent.width + part.x) as usize;
        &whole[at..at + 4 * part.width as usize]
    };
    (part.y..part.bottom()).flat_map(row).copied().collect()
}

/// Pictures beside each other, and four times what the first differs from the last.
fn side_by_side(path: &Path, pictures: [&Vec<u8>; 3], width: usize) -> Result<(), String> {
    let [shown, .., truth] = pictures;
    let apart = shown.iter().zip(truth).map(|(shown, truth)| shown.abs_diff(*truth).saturating_mul(4) | 3);
    let apart: Vec<u8> = apart.collect();
    let rows = (0..truth.len() / (4 * width)).flat_map(|y| {
        let of = move |picture: &Vec<u8>| picture[4 * y * width..4 * (y + 1) * width].to_vec();
        pictures.into_iter().chain([&apart]).flat_map(of).collect::<Vec<u8>>()
    });
    let bytes: Vec<u8> =
        rows.collect::<Vec<u8>>().chunks_exact(4).flat_map(|rgba| [rgba[0], rgba[1], rgba[2]]).collect();
    let (width, height) = (4 * width as u32, (truth.len() / (4 * width)) as u32);
    image::save_buffer(path, &bytes, width, height, image::ColorType::Rgb8)
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// A tile of a frame that was traced whole: the same pixels as if it had been traced alone.
fn crop(whole: &TracedTile, rect: Rect, with_primary: bool) -> TracedTile {
    fn cropped<T: Copy>(plane: &[T], whole: Rect, rect: Rect) -> Vec<T> {
        let row = |y: u32| {
            let at = (y * whole.width + rect.x) as usize;
            &plane[at..at + rect.width as usize]
        };
        (rect.y..rect.bottom()).flat_map(row).copied().collect()
    }
    let primary = whole.primary.as_ref().filter(|_| with_primary).map(|primary| Primary {
        depth: cropped(&primary.depth, whole.rect, rect),
        normal: cropped(&primary.normal, whole.rect, rect),
        base_color: cropped(&primary.base_color, whole.rect, rect),
        material: cropped(&primary.material, whole.rect, rect),
        motion: cropped(&primary.motion, whole.rect, rect),
        instance_id: cropped(&primary.instance_id, whole.rect, rect),
    });
    let layers = whole.layers.iter().map(|layer| rayloom_frame::LayerPlane {
        pixels: cropped(&layer.pixels, whole.rect, rect),
        rect,
        ..layer.clone()
    });
    TracedTile { rect, layers: layers.collect(), primary, block_rays: Vec::new() }
}
