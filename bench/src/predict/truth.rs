//! What late tiles truly look like: many samples a pixel, composed. They take minutes to trace, so they are kept on disk under
//! the digest of all that they are made of.

use super::{Bench, LATE, picture, request, tiles};
use half::f16;
use rayloom_frame::merge::{FrameInputs, MergeMode, Merger};
use rayloom_frame::{Extent, LayerKind, Rect, TracedTile};
use rayloom_renderer::shaders::SHADERS;
use rayloom_scene::Camera;
use std::path::PathBuf;
use std::rc::Rc;

/// Samples a pixel that the truth has.
pub(super) const TRUTH_SAMPLES: u32 = 512;
/// Samples a pixel of one trace: no sum of half floats has more.
const SAMPLES: u8 = 32;
/// Frames that the truth's samples are those of: other ones than any frame that is merged has.
const FIRST_SEED: u64 = 1_000_000;

/// A tile of a frame.
pub(super) struct Truth {
    /// Of all samples.
    pub(super) picture: Vec<u8>,
    /// Of each half of them.
    pub(super) halves: [Vec<u8>; 2],
}

/// Light of one layer, a mean of half of the samples.
type Plane = Vec<[f32; 4]>;

impl Bench<'_> {
    /// The tile by many samples, from disk where it was traced before.
    pub(super) fn truth(&mut self, camera: Camera, frame_id: u64, rect: Rect) -> Result<Rc<Truth>, String> {
        let layers = LayerKind::REAL_TIME.map(|kind| request(kind, 1));
        let first = self.trace(camera, camera, FIRST_SEED + frame_id, &layers, rect)?;
        let key = key(&first, self.size, frame_id);
        if let Some(truth) = self.truths.get(&key) {
            return Ok(Rc::clone(truth));
        }
        let hex: String = key[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = PathBuf::from(format!("target/bench/truth/{hex}.bin"));
        let stored = std::fs::read(&path).ok().and_then(|bytes| planes_of(&bytes, rect.pixels()));
        let planes = match stored {
            Some(planes) => planes,
            None => {
                let planes = [self.half(camera, frame_id, rect, 0)?, self.half(camera, frame_id, rect, 1)?];
                write(&path, &planes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
                planes
            }
        };
        let both: Vec<Plane> = planes[0].iter().zip(&planes[1]).map(|(a, b)| mean(a, b)).collect();
        let [a, b] = &planes;
        let truth = Rc::new(Truth {
            picture: self.composed(&first, &both, camera)?,
            halves: [self.composed(&first, a, camera)?, self.composed(&first, b, camera)?],
        });
        self.truths.insert(key, Rc::clone(&truth));
        Ok(truth)
    }

    /// The mean of one half of the samples.
    fn half(&self, camera: Camera, frame_id: u64, rect: Rect, half: u64) -> Result<Vec<Plane>, String> {
        let layers = LayerKind::REAL_TIME.map(|kind| request(kind, SAMPLES));
        let rounds = u64::from(TRUTH_SAMPLES / u32::from(SAMPLES) / 2);
        let mut sums = vec![vec![[0.0_f32; 4]; rect.pixels()]; layers.len()];
        for round in 0..rounds {
            let seed = FIRST_SEED + frame_id * 1000 + half * rounds + round;
            let traced = self.trace(camera, camera, seed, &layers, rect)?;
            for (sum, layer) in sums.iter_mut().zip(&traced.layers) {
                for (sum, pixel) in sum.iter_mut().zip(&layer.pixels) {
                    *sum = std::array::from_fn(|c| sum[c] + f16::from_bits(pixel[c]).to_f32() / rounds as f32);
                }
            }
        }
        Ok(sums)
    }

    /// The picture of a traced tile with other light.
    fn composed(&self, first: &TracedTile, light: &[Plane], camera: Camera) -> Result<Vec<u8>, String> {
        let mut tile = first.clone();
        for (layer, plane) in tile.layers.iter_mut().zip(light) {
            layer.pixels = plane.iter().map(|pixel| pixel.map(|value| f16::from_f32(value).to_bits())).collect();
        }
        let mut merger = Merger::new(self.size);
        merger.set_mode(MergeMode::Passthrough);
        let (requests, tiles) = (LayerKind::REAL_TIME.map(|kind| request(kind, 1)), tiles(self.size));
        merger.begin(FrameInputs::new(0, camera, &requests, &tiles)).map_err(|error| error.to_string())?;
        merger.add_tile(0, LATE as u32, 0, &tile).map_err(|error| error.to_string())?;
        Ok(picture(&merger.finish().ok_or("no frame was begun")?, tile.rect, self.exposure))
    }
}

/// Of the shaders, the samples, and what a first sample shows: scene, camera and device are in it.
fn key(first: &TracedTile, size: Extent, frame_id: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for shader in SHADERS {
        hasher.update(shader.spirv);
    }
    for number in [u64::from(size.width), u64::from(size.height), frame_id, u64::from(TRUTH_SAMPLES)] {
        hasher.update(&number.to_le_bytes());
    }
    for layer in &first.layers {
        layer.pixels.iter().flatten().for_each(|value| _ = hasher.update(&value.to_le_bytes()));
    }
    if let Some(planes) = &first.primary {
        planes.depth.iter().for_each(|depth| _ = hasher.update(&depth.to_le_bytes()));
        for words in [&planes.normal, &planes.base_color, &planes.material] {
            words.iter().for_each(|word| _ = hasher.update(&word.to_le_bytes()));
        }
    }
    *hasher.finalize().as_bytes()
}

fn mean(a: &Plane, b: &Plane) -> Plane {
    a.iter().zip(b).map(|(a, b)| std::array::from_fn(|c| 0.5 * (a[c] + b[c]))).collect()
}

/// What was written, of tiles of so many pixels; `None` where it is something else.
fn planes_of(bytes: &[u8], pixels: usize) -> Option<[Vec<Plane>; 2]> {
    let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let planes = values.as_chunks::<4>().0.chunks(pixels).map(<[_]>::to_vec).collect::<Vec<Plane>>();
    let layers = LayerKind::REAL_TIME.len();
    let is_whole = bytes.len() == 2 * layers * pixels * 16;
    is_whole.then(|| [planes[..layers].to_vec(), planes[layers..].to_vec()])
}

fn write(path: &PathBuf, planes: &[Vec<Plane>; 2]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let values = planes.iter().flatten().flatten().flatten();
    std::fs::write(path, values.flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}
