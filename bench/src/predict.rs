//! What late results are worth: pixels whose light comes some frames late, warped to where they are by then, against many samples
//! at the true camera; and against holding what was shown last.

mod ahead;

use crate::report::Report;
use glam::{Quat, Vec3};
use half::f16;
use rayloom_frame::compose::{ToneMap, compose};
use rayloom_frame::merge::{FrameInputs, MergeMode, Merger, PlannedTile};
use rayloom_frame::metrics::psnr_rgba8;
use rayloom_frame::{Extent, LayerKind, LayerRequest, Primary, Rect, TracedTile};
use rayloom_peer::{Frame, RendererOptions, Tracer, VulkanTracer};
use rayloom_scene::{Camera, Scene};
use std::collections::VecDeque;
use std::rc::Rc;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Truth of 256 samples a pixel instead of 64, and twice the frames.
    #[arg(long)]
    full: bool,
}

const SIZE: Extent = Extent::new(320, 180);
/// The tile that is late, in the middle of eight.
const LATE: usize = 1;
const CITY_TRIANGLES: usize = 20_000;
/// Samples a pixel and frame.
const SAMPLES: u8 = 1;
const HISTORY: u8 = 24;
const FPS: f32 = 30.0;
const METRES_PER_SECOND: f32 = 1.5;
const DEGREES_PER_SECOND: f32 = 20.0;
const FAST_DEGREES_PER_SECOND: f32 = 60.0;
const AGES: [usize; 4] = [1, 2, 3, 6];
/// Frames before those that count: history fills.
const WARM_UP: u64 = 24;

/// How the camera moves, and whose planes there are.
#[derive(Clone, Copy)]
struct Course {
    degrees_per_second: f32,
    /// The engine's own planes are there at once; else those of late tiles are late too.
    has_planes: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let options = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
    let tracer = VulkanTracer::new(&options, false).map_err(|error| error.to_string())?;
    let source = rayloom_scene::city::city(CITY_TRIANGLES, 1);
    let scene = tracer.create_scene(&source, &mut |_| ()).map_err(|error| error.to_string())?;
    let truth_samples = if arguments.full { 256 } else { 64 };
    let shown = if arguments.full { 12 } else { 6 };
    let mut bench = Bench { tracer, scene, source, truth_samples, shown, traces: Vec::new(), truths: Vec::new() };
    let mut report = Report::new("predict");
    let slow = Course { degrees_per_second: DEGREES_PER_SECOND, has_planes: true };
    for age in AGES {
        let found = bench.measure(slow, age)?;
        report.number(format!("psnr_db.{age}"), found.warped_db);
        report.number(format!("psnr_hold_db.{age}"), found.held_db);
    }
    // What is there in time, for comparison: noise is what is left.
    report.number("psnr_in_time_db", bench.measure(slow, 0)?.warped_db);
    let state = Course { has_planes: false, ..slow };
    for age in AGES {
        report.number(format!("state.psnr_db.{age}"), bench.measure(state, age)?.warped_db);
    }
    let fast = Course { degrees_per_second: FAST_DEGREES_PER_SECOND, has_planes: true };
    for age in AGES {
        report.number(format!("fast.psnr_db.{age}"), bench.measure(fast, age)?.warped_db);
    }
    ahead::measure(&mut bench, &mut report)?;
    report.number("samples", f64::from(SAMPLES));
    report.number("truth_samples", f64::from(truth_samples));
    report.number("width", f64::from(SIZE.width));
    report.number("height", f64::from(SIZE.height));
    report.number("frames", shown as f64);
    Ok(report)
}

struct Bench {
    tracer: VulkanTracer,
    scene: <VulkanTracer as Tracer>::Scene,
    source: Scene,
    truth_samples: u32,
    /// Frames that count of each course.
    shown: u64,
    /// Frames that were traced, and the late tile as it truly is, by the course's speed and the frame: ages share them.
    traces: Vec<(f32, u64, Rc<TracedTile>)>,
    truths: Vec<(f32, u64, Vec<u8>)>,
}

struct Found {
    warped_db: f64,
    held_db: f64,
}

impl Bench {
    /// Late pixels of all frames that count, together.
    fn measure(&mut self, course: Course, age: usize) -> Result<Found, String> {
        let tiles = tiles();
        let late = tiles[LATE].rect;
        let layers = LayerKind::REAL_TIME.map(request);
        let mut mergers = [Merger::new(SIZE), Merger::new(SIZE)];
        mergers.iter_mut().for_each(|merger| merger.set_mode(MergeMode::Accumulate { max_history: HISTORY }));
        // Late tiles on their way, and what was shown of them before, had they come in time.
        let (mut on_their_way, mut in_time) = (VecDeque::new(), VecDeque::new());
        let (mut warped, mut held, mut truth) = (Vec::new(), Vec::new(), Vec::new());
        for frame_id in 0..WARM_UP + self.shown * STEP {
            let [camera, previous] = [frame_id, frame_id.saturating_sub(1)].map(|id| self.camera(course, id));
            let traced = self.frame(course, frame_id, &layers)?;
            let planes = traced.primary.as_ref().filter(|_| course.has_planes);
            let inputs = FrameInputs {
                previous_camera: previous,
                planes,
                ..FrameInputs::new(frame_id, camera, &layers, &tiles)
            };
            let cut: Vec<TracedTile> = tiles.iter().map(|tile| crop(&traced, tile.rect, !course.has_planes)).collect();
            for merger in &mut mergers {
                merger.begin(inputs).map_err(|error| error.to_string())?;
            }
            let add = |merger: &mut Merger, frame_id: u64, tile: usize, traced: &TracedTile| {
                merger.add_tile(frame_id, tile as u32, tile as u32, traced).map(drop).map_err(|error| error.to_string())
            };
            on_their_way.push_back((frame_id, cut[LATE].clone()));
            for (index, tile) in cut.iter().enumerate() {
                add(&mut mergers[1], frame_id, index, tile)?;
                if index != LATE {
                    add(&mut mergers[0], frame_id, index, tile)?;
                }
            }
            if on_their_way.len() > age
                && let Some((of, tile)) = on_their_way.pop_front()
            {
                add(&mut mergers[0], of, LATE, &tile)?;
            }
            let [with_late, all] = mergers.each_mut().map(|merger| picture(merger, late));
            in_time.push_back(all);
            if frame_id >= WARM_UP && (frame_id - WARM_UP).is_multiple_of(STEP) {
                warped.extend(with_late);
                // What was shown when the last result that came was new.
                held.extend_from_slice(&in_time[in_time.len() - 1 - age.min(in_time.len() - 1)]);
                truth.extend(self.truth(course, frame_id, late)?);
            }
            if in_time.len() > AGES[AGES.len() - 1] + 1 {
                in_time.pop_front();
            }
        }
        Ok(Found { warped_db: psnr_rgba8(&warped, &truth), held_db: psnr_rgba8(&held, &truth) })
    }

    fn camera(&self, course: Course, frame_id: u64) -> Camera {
        let seconds = frame_id as f32 / FPS;
        let mut camera = self.source.default_camera(SIZE.width as f32 / SIZE.height as f32);
        camera.position += camera.rotation * Vec3::new(METRES_PER_SECOND * seconds, 0.0, 0.0);
        camera.rotation = Quat::from_rotation_y((course.degrees_per_second * seconds).to_radians()) * camera.rotation;
        camera
    }

    fn frame(&mut self, course: Course, frame_id: u64, layers: &[LayerRequest]) -> Result<Rc<TracedTile>, String> {
        let speed = course.degrees_per_second;
        if let Some((.., traced)) = self.traces.iter().find(|(s, id, _)| (*s, *id) == (speed, frame_id)) {
            return Ok(Rc::clone(traced));
        }
        let [camera, previous] = [frame_id, frame_id.saturating_sub(1)].map(|id| self.camera(course, id));
        let traced = Rc::new(self.trace(camera, previous, frame_id, layers, SIZE.rect())?);
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
        let frame = Frame { previous_camera, ..Frame::new(frame_id, SIZE, camera, layers.to_vec()) };
        let traced = self.tracer.trace(&self.scene, &frame, rect, None).map_err(|error| error.to_string())?;
        Ok(traced.tile)
    }

    /// The tile by many samples, composed.
    fn truth(&mut self, course: Course, frame_id: u64, rect: Rect) -> Result<Vec<u8>, String> {
        let speed = course.degrees_per_second;
        if let Some((.., truth)) = self.truths.iter().find(|(s, id, _)| (*s, *id) == (speed, frame_id)) {
            return Ok(truth.clone());
        }
        let truth = self.truth_at(self.camera(course, frame_id), frame_id, rect)?;
        self.truths.push((speed, frame_id, truth.clone()));
        Ok(truth)
    }

    fn truth_at(&self, camera: Camera, frame_id: u64, rect: Rect) -> Result<Vec<u8>, String> {
        let layers = LayerKind::REAL_TIME.map(|kind| LayerRequest { samples: 32, ..request(kind) });
        let mut sums = vec![vec![[0.0_f32; 4]; rect.pixels()]; layers.len()];
        let rounds = self.truth_samples / 32;
        let mut exact = None;
        for round in 0..rounds {
            // Other samples than any frame that is merged has.
            let seed = 1_000_000 + frame_id * 1000 + u64::from(round);
            let traced = self.trace(camera, camera, seed, &layers, rect)?;
            for (sum, layer) in sums.iter_mut().zip(&traced.layers) {
                for (sum, pixel) in sum.iter_mut().zip(&layer.pixels) {
                    *sum = std::array::from_fn(|c| sum[c] + f16::from_bits(pixel[c]).to_f32() / rounds as f32);
                }
            }
            exact = Some(traced);
        }
        let mut exact = exact.ok_or("truth needs 32 samples at least")?;
        for (layer, sum) in exact.layers.iter_mut().zip(&sums) {
            layer.pixels = sum.iter().map(|pixel| pixel.map(|value| f16::from_f32(value).to_bits())).collect();
        }
        let mut merger = Merger::new(SIZE);
        merger.set_mode(MergeMode::Passthrough);
        let (requests, tiles) = (LayerKind::REAL_TIME.map(request), tiles());
        merger.begin(FrameInputs::new(0, camera, &requests, &tiles)).map_err(|error| error.to_string())?;
        merger.add_tile(0, LATE as u32, 0, &exact).map_err(|error| error.to_string())?;
        Ok(picture(&mut merger, rect))
    }
}

/// Frames from one that counts to the next: they see different things.
const STEP: u64 = 7;

fn request(kind: LayerKind) -> LayerRequest {
    LayerRequest { samples: SAMPLES, ..LayerRequest::new(kind) }
}

/// Four across, two down.
fn tiles() -> Vec<PlannedTile> {
    let (width, height) = (SIZE.width / 4, SIZE.height / 2);
    (0..8).map(|i| PlannedTile { rect: Rect::new(i % 4 * width, i / 4 * height, width, height), ghost: 0 }).collect()
}

/// The composed picture of the open frame, of a part of it.
fn picture(merger: &mut Merger, part: Rect) -> Vec<u8> {
    let Some(frame) = merger.finish() else { return Vec::new() };
    let whole = compose(&frame, 1.0, ToneMap::Aces);
    let row = |y: u32| {
        let at = 4 * (y * SIZE.width + part.x) as usize;
        &whole[at..at + 4 * part.width as usize]
    };
    (part.y..part.bottom()).flat_map(row).copied().collect()
}

/// A tile of a frame that was traced whole: the same pixels as if it had been traced alone.
fn crop(whole: &TracedTile, rect: Rect, with_primary: bool) -> TracedTile {
    fn cropped<T: Copy>(plane: &[T], rect: Rect) -> Vec<T> {
        let row = |y: u32| {
            let at = (y * SIZE.width + rect.x) as usize;
            &plane[at..at + rect.width as usize]
        };
        (rect.y..rect.bottom()).flat_map(row).copied().collect()
    }
    let primary = whole.primary.as_ref().filter(|_| with_primary).map(|primary| Primary {
        depth: cropped(&primary.depth, rect),
        normal: cropped(&primary.normal, rect),
        base_color: cropped(&primary.base_color, rect),
        material: cropped(&primary.material, rect),
        motion: cropped(&primary.motion, rect),
        instance_id: cropped(&primary.instance_id, rect),
    });
    let layers = whole.layers.iter().map(|layer| rayloom_frame::LayerPlane {
        pixels: cropped(&layer.pixels, rect),
        rect,
        ..layer.clone()
    });
    TracedTile { rect, layers: layers.collect(), primary, block_rays: Vec::new() }
}
