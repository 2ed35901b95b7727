//! Recorded costs: what the blocks of a moving view's frames really cost, and what was known of them.

use super::{Foreseen, Truth};
use rayloom_frame::features::{BLOCK_SIZE, BlockFeatures, FEATURES, block_motion};
use rayloom_frame::{Extent, Rect};
use rayloom_scene::Camera;
use std::io::{Error, ErrorKind, Read, Write};

const MAGIC: &[u8; 8] = b"RLCOST01";
/// Most frames of a recording.
const FRAMES: u32 = 4096;

/// Frames along a closed path: after the last comes the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Size of the view.
    pub extent: Extent,
    /// In order.
    pub frames: Vec<RecordedFrame>,
}

/// One of them; vectors have a value for each block, rows from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedFrame {
    /// Where from.
    pub camera: Camera,
    /// Nanoseconds a pixel on the device that it was recorded on.
    pub ns_per_px: Vec<f32>,
    /// Rays of the whole block.
    pub rays: Vec<u32>,
    /// Of the merged frame.
    pub features: BlockFeatures,
}

impl Recording {
    /// Nanoseconds of a frame, in the mean.
    pub fn mean_frame_ns(&self) -> f64 {
        let frame = |frame: &RecordedFrame| Truth { ns_per_px: frame.ns_per_px.clone(), rays_per_px: Vec::new() };
        let sum: f64 = self.frames.iter().map(|f| frame(f).work_ns(self.extent, self.extent.rect())).sum();
        sum / self.frames.len().max(1) as f64
    }

    /// The truth of a frame, `scale` times as dear as recorded.
    pub fn truth(&self, frame_id: u64, scale: f64) -> Truth {
        let frame = self.frame(frame_id);
        let pixels = block_pixels(self.extent);
        Truth {
            ns_per_px: frame.ns_per_px.iter().map(|ns| (f64::from(*ns) * scale) as f32).collect(),
            rays_per_px: frame.rays.iter().zip(pixels).map(|(rays, pixels)| *rays as f32 / pixels).collect(),
        }
    }

    /// What is known before a frame is traced. In state mode the last frame's primary hits and both cameras; with the
    /// engine's planes the frame's own.
    pub fn foreseen(&self, frame_id: u64, has_planes: bool) -> Foreseen {
        let (last, this) = (self.frame(frame_id + self.frames.len() as u64 - 1), self.frame(frame_id));
        let motion = block_motion(&last.features, &last.camera, &this.camera, self.extent);
        let features = if has_planes { &this.features } else { &last.features };
        Foreseen { features: features.clone(), motion, is_current: has_planes }
    }

    fn frame(&self, frame_id: u64) -> &RecordedFrame {
        &self.frames[frame_id as usize % self.frames.len()]
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        to.write_all(MAGIC)?;
        for number in [self.extent.width, self.extent.height, self.frames.len() as u32] {
            to.write_all(&number.to_le_bytes())?;
        }
        for frame in &self.frames {
            let camera = &frame.camera;
            let numbers = camera.position.to_array().into_iter().chain(camera.rotation.to_array());
            let numbers = numbers.chain(camera.tan_half_fov.to_array()).chain(camera.center.to_array());
            let numbers = numbers.chain(frame.ns_per_px.iter().copied());
            let numbers = numbers.chain(frame.features.inverse_depth.iter().copied());
            for number in numbers {
                to.write_all(&number.to_le_bytes())?;
            }
            for rays in &frame.rays {
                to.write_all(&rays.to_le_bytes())?;
            }
            let features = frame.features.values.as_flattened().iter();
            to.write_all(&features.map(|f| (f * 255.0).round() as u8).collect::<Vec<u8>>())?;
        }
        Ok(())
    }

    /// Reads what [`Recording::write`] wrote.
    ///
    /// # Errors
    /// When reading fails, or what is read is no recording: [`ErrorKind::InvalidData`].
    pub fn read(from: &mut impl Read) -> std::io::Result<Recording> {
        let invalid = |what: &str| Error::new(ErrorKind::InvalidData, format!("not a recording of costs: {what}"));
        let mut magic = [0; 8];
        from.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(invalid("it begins otherwise"));
        }
        let (width, height, count) = (word(from)?, word(from)?, word(from)?);
        let side = 1..=rayloom_wire::limits::VIEW_SIDE;
        if !side.contains(&width) || !side.contains(&height) || !(1..=FRAMES).contains(&count) {
            return Err(invalid("its size"));
        }
        let extent = Extent::new(width, height);
        let blocks = extent.scaled(BLOCK_SIZE);
        let mut frames = Vec::new();
        for _ in 0..count {
            let n = floats(from, 11)?;
            let camera = Camera {
                position: [n[0], n[1], n[2]].into(),
                rotation: glam::Quat::from_array([n[3], n[4], n[5], n[6]]),
                tan_half_fov: [n[7], n[8]].into(),
                center: [n[9], n[10]].into(),
                jitter: glam::Vec2::ZERO,
            };
            let ns_per_px = floats(from, blocks.pixels())?;
            let inverse_depth = floats(from, blocks.pixels())?;
            if !camera.is_valid() || ns_per_px.iter().chain(&inverse_depth).any(|v| !v.is_finite() || *v < 0.0) {
                return Err(invalid("a number"));
            }
            let rays = (0..blocks.pixels()).map(|_| word(from)).collect::<std::io::Result<Vec<u32>>>()?;
            let mut bytes = vec![0; blocks.pixels() * FEATURES];
            from.read_exact(&mut bytes)?;
            let block = |block: &[u8]| std::array::from_fn(|i| f32::from(block[i]) / 255.0);
            let values = bytes.chunks_exact(FEATURES).map(block).collect();
            let features = BlockFeatures { blocks_x: blocks.width, blocks_y: blocks.height, values, inverse_depth };
            frames.push(RecordedFrame { camera, ns_per_px, rays, features });
        }
        Ok(Recording { extent, frames })
    }
}

/// Pixels of each block.
pub(crate) fn block_pixels(extent: Extent) -> Vec<f32> {
    super::record::blocks(extent, extent.rect()).map(|(_, pixels)| pixels as f32).collect()
}

/// Pixels of one block.
pub(crate) fn pixels_of(extent: Extent, block: u32) -> f32 {
    let across = extent.scaled(BLOCK_SIZE).width;
    let corner = Rect::new(block % across * BLOCK_SIZE, block / across * BLOCK_SIZE, BLOCK_SIZE, BLOCK_SIZE);
    corner.intersection(extent.rect()).pixels() as f32
}

fn word(from: &mut impl Read) -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn floats(from: &mut impl Read, count: usize) -> std::io::Result<Vec<f32>> {
    let mut bytes = vec![0; 4 * count];
    from.read_exact(&mut bytes)?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        let features = BlockFeatures {
            blocks_x: 3,
            blocks_y: 2,
            values: vec![[1.0, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 0.0, 0.2]; 6],
            inverse_depth: vec![0.1; 6],
        };
        let camera = Camera::look_at([1.0, 2.0, 3.0].into(), glam::Vec3::ZERO, 1.0, 1.5);
        let frame = RecordedFrame { camera, ns_per_px: vec![2.0; 6], rays: vec![512; 6], features };
        Recording { extent: Extent::new(48, 20), frames: vec![frame; 2] }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        recording().write(&mut bytes).expect("memory takes it");
        assert_eq!(Recording::read(&mut bytes.as_slice()).expect("it was written so"), recording());
        assert!((recording().mean_frame_ns() - 2.0 * 48.0 * 20.0).abs() < 1e-6);
        assert_eq!(recording().truth(0, 1.0).rays_per_px[5], 512.0 / 64.0);
    }

    #[test]
    fn what_is_cut_or_wrong_is_refused() {
        let mut bytes = Vec::new();
        recording().write(&mut bytes).expect("memory takes it");
        assert!(Recording::read(&mut &bytes[..bytes.len() - 1]).is_err());
        for (at, value) in [(0, 0), (11, 0xff), (16, 0), (23, 0xff)] {
            let mut wrong = bytes.clone();
            wrong[at] = value;
            assert!(Recording::read(&mut wrong.as_slice()).is_err(), "byte {at}");
        }
    }
}
