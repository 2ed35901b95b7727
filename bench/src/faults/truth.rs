//! What frames should look like: many samples of each camera, or the captures themselves.

use crate::captures::{Shoot, tracer};
use rayloom::frame::LayerRequest;
use rayloom_frame::compose::{ToneMap, compose};
use rayloom_frame::merge::{FrameInputs, MergeMode, Merger, PlannedTile};
use rayloom_peer::{Frame, StoredTracer, Tracer};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Samples a pixel of a picture that counts as the truth, and how many are traced at once.
const SAMPLES: u8 = 64;
const SAMPLES_AT_ONCE: u8 = 8;

/// Pictures of frames in a row.
pub(super) struct Truth {
    first: u64,
    /// RGBA of 8 bits.
    pictures: Vec<Vec<u8>>,
}

impl Truth {
    pub(super) fn picture(&self, frame_id: u64) -> Option<&[u8]> {
        let index = usize::try_from(frame_id.checked_sub(self.first)?).ok()?;
        Some(self.pictures.get(index)?)
    }
}

/// [`SAMPLES`] a pixel of each frame's camera, all layers at full resolution; traced by this process where the file with them
/// is not there yet.
pub(super) fn many_samples(shoot: &Shoot<'_>, frames: Range<u64>) -> Result<Truth, String> {
    let (width, height) = (shoot.size.width, shoot.size.height);
    let path = PathBuf::from(format!("target/bench/truth-{width}x{height}.bin"));
    let (first, count, bytes) = (frames.start, (frames.end - frames.start) as usize, shoot.size.pixels() * 4);
    let split = |all: &[u8]| Truth { first, pictures: all.chunks_exact(bytes).map(<[u8]>::to_vec).collect() };
    if let Some(all) = std::fs::read(&path).ok().filter(|all| all.len() == count * bytes) {
        return Ok(split(&all));
    }
    println!("tracing {count} pictures of {width}x{height} at {SAMPLES} samples a pixel, once");
    let tracer = tracer()?;
    let on_device = tracer.create_scene(shoot.source, &mut |_| ()).map_err(|error| error.to_string())?;
    let finer = |layer: &LayerRequest| LayerRequest { samples: SAMPLES_AT_ONCE, scale: 1, ..*layer };
    let layers: Vec<LayerRequest> = shoot.layers.iter().map(finer).collect();
    let mut all = Vec::with_capacity(count * bytes);
    for frame_id in frames {
        let mut merger = Merger::new(shoot.size);
        merger.set_mode(MergeMode::Accumulate { max_history: u8::MAX });
        // Each round has samples of its own, far from those of the runs.
        let rounds = (0..u64::from(SAMPLES / SAMPLES_AT_ONCE)).map(|round| {
            let camera = shoot.camera(frame_id);
            let seed = (1 << 32) + frame_id * u64::from(SAMPLES) + round;
            Frame { serial: seed, frame_id: seed, camera, previous_camera: camera, ..shoot.frame(frame_id, &layers) }
        });
        all.extend(merged(&mut merger, &tracer, &on_device, rounds)?);
    }
    let say = |error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::write(&path, &all).map_err(say)?;
    Ok(split(&all))
}

/// Each frame's capture as it is: no loss, no code, no history.
pub(super) fn captures(shoot: &Shoot<'_>, file: &Path, frames: Range<u64>) -> Result<Truth, String> {
    let tracer = StoredTracer::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut merger = Merger::new(shoot.size);
    merger.set_mode(MergeMode::Passthrough);
    let first = frames.start;
    let picture = |id| merged(&mut merger, &tracer, &(), std::iter::once(shoot.frame(id, shoot.layers)));
    Ok(Truth { first, pictures: frames.map(picture).collect::<Result<_, String>>()? })
}

/// The picture of what these frames merge to.
fn merged<T: Tracer>(
    merger: &mut Merger,
    tracer: &T,
    scene: &T::Scene,
    frames: impl Iterator<Item = Frame>,
) -> Result<Vec<u8>, String> {
    let tiles = [PlannedTile { rect: merger.extent().rect(), ghost: 0 }];
    for frame in frames {
        let traced = tracer.trace(scene, &frame, tiles[0].rect, None).map_err(|error| error.to_string())?;
        let inputs = FrameInputs::new(frame.frame_id, frame.camera, &frame.layers, &tiles);
        merger.begin(inputs).map_err(|error| error.to_string())?;
        merger.add_tile(frame.frame_id, 0, 0, &traced.tile).map_err(|error| error.to_string())?;
        merger.finish();
    }
    let frame = merger.finish().ok_or("no frame was merged")?;
    Ok(compose(&frame, 1.0, ToneMap::Aces))
}
