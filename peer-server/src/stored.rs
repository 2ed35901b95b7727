//! `--trace stored:FILE`: answers tiles by cropping them from full frames that were captured before, for benches.
//!
//! Everything of a peer is real but the tracing, which becomes a copy: what is left of a frame's time is what the system
//! adds. Frame `n` is answered from capture `n % count`. Such a peer says so in [`PeerInfo::stored_traces`], and an
//! ordinary session refuses it.
//!
//! The file is for the machine that wrote it: words are in its own byte order. Behind a header of [`HEADER_WORDS`] words
//! stand the captures, each of the planes of primary hits, the layers, and the rays of each 16x16 block.

use crate::tracer::{Frame, TraceError, Traced, Tracer};
use rayloom_frame::{Extent, GBuffer, LayerKind, LayerPlane, LayerRequest, Primary, Rect, TracedTile};
use rayloom_scene::Scene;
use rayloom_wire::{PeerInfo, limits};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// "RLCAP1" and zeros, as two words.
const MAGIC: [u32; 2] = [u32::from_le_bytes(*b"RLCA"), u32::from_le_bytes(*b"P1\0\0")];
/// Magic, width, height, captures, layers, then kind and scale of each layer.
const HEADER_WORDS: usize = 6 + 2 * limits::LAYERS;
/// Planes of primary hits, one word a pixel each.
const PRIMARY_PLANES: usize = 6;
/// Side of a block whose rays are counted together.
const BLOCK: u32 = 16;
/// Captures of one file, at most.
const MAX_CAPTURES: u32 = 4096;

/// Where what stands in a file of captures.
#[derive(Clone, Debug)]
struct Layout {
    extent: Extent,
    count: u32,
    /// Kind and scale, in the file's order.
    layers: Vec<(LayerKind, u8)>,
}

impl Layout {
    fn header(&self) -> Vec<u32> {
        let mut words =
            vec![MAGIC[0], MAGIC[1], self.extent.width, self.extent.height, self.count, self.layers.len() as u32];
        words.extend(self.layers.iter().flat_map(|(kind, scale)| [*kind as u32, u32::from(*scale)]));
        words.resize(HEADER_WORDS, 0);
        words
    }

    fn read(words: &[u32; HEADER_WORDS]) -> Result<Layout, String> {
        let [magic_a, magic_b, width, height, count, layers, rest @ ..] = words;
        if [*magic_a, *magic_b] != MAGIC {
            return Err("it is no file of captures: let the bench write a new one".into());
        }
        let side = 1..=limits::VIEW_SIDE;
        if !side.contains(width) || !side.contains(height) || !(1..=MAX_CAPTURES).contains(count) {
            return Err(format!("{count} captures of {width}x{height} are out of range"));
        }
        if *layers as usize > limits::LAYERS {
            return Err(format!("{layers} layers are more than {}", limits::LAYERS));
        }
        let layer = |pair: &[u32]| {
            let kind = u8::try_from(pair[0]).ok().and_then(LayerKind::from_u8);
            let kind = kind.ok_or(format!("there is no layer {}", pair[0]))?;
            let scale = u8::try_from(pair[1]).ok().filter(|scale| (1..=2).contains(scale));
            Ok((kind, scale.ok_or(format!("layer {} has a scale of {}", kind.name(), pair[1]))?))
        };
        let layers = rest.chunks_exact(2).take(*layers as usize).map(layer).collect::<Result<Vec<_>, String>>()?;
        Ok(Layout { extent: Extent::new(*width, *height), count: *count, layers })
    }

    fn layer_bytes(&self, scale: u8) -> u64 {
        self.extent.scaled(u32::from(scale)).pixels() as u64 * 8
    }

    fn primary_bytes(&self) -> u64 {
        self.extent.pixels() as u64 * 4
    }

    fn capture_bytes(&self) -> u64 {
        let layers: u64 = self.layers.iter().map(|(_, scale)| self.layer_bytes(*scale)).sum();
        PRIMARY_PLANES as u64 * self.primary_bytes() + layers + self.extent.scaled(BLOCK).pixels() as u64 * 4
    }

    fn file_bytes(&self) -> u64 {
        HEADER_WORDS as u64 * 4 + u64::from(self.count) * self.capture_bytes()
    }
}

/// Writes a file of captures.
pub struct CaptureWriter {
    layout: Layout,
    written: u32,
    file: BufWriter<File>,
}

impl CaptureWriter {
    /// A new file for `count` captures of a view of this size with these layers.
    ///
    /// # Errors
    /// What the file system says; more captures or layers than a file holds.
    pub fn create(path: &Path, extent: Extent, layers: &[LayerRequest], count: u32) -> io::Result<CaptureWriter> {
        let layout = Layout { extent, count, layers: layers.iter().map(|layer| (layer.kind, layer.scale)).collect() };
        if !(1..=MAX_CAPTURES).contains(&count) || layers.len() > limits::LAYERS {
            return Err(invalid(format!("{count} captures of {} layers don't fit a file", layers.len())));
        }
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(bytemuck::cast_slice(&layout.header()))?;
        Ok(CaptureWriter { layout, written: 0, file })
    }

    /// Adds a traced full frame.
    ///
    /// # Errors
    /// A frame of another shape than the file's, one too many, and what the file system says.
    pub fn add(&mut self, frame: &TracedTile) -> io::Result<()> {
        let layers = frame.layers.iter().map(|layer| (layer.kind, layer.scale));
        let primary = frame
            .primary
            .as_ref()
            .filter(|_| frame.rect == self.layout.extent.rect() && self.written < self.layout.count);
        let Some(primary) = primary.filter(|_| layers.eq(self.layout.layers.iter().copied())) else {
            return Err(invalid(format!("capture {} is not what the file was made for", self.written)));
        };
        self.file.write_all(bytemuck::cast_slice(&primary.depth))?;
        for words in [&primary.normal, &primary.base_color, &primary.material, &primary.motion, &primary.instance_id] {
            self.file.write_all(bytemuck::cast_slice(words))?;
        }
        for layer in &frame.layers {
            self.file.write_all(bytemuck::cast_slice(&layer.pixels))?;
        }
        self.file.write_all(bytemuck::cast_slice(&frame.block_rays))?;
        self.written += 1;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When captures are missing, and what the file system says.
    pub fn finish(mut self) -> io::Result<()> {
        if self.written != self.layout.count {
            return Err(invalid(format!("{} of {} captures were added", self.written, self.layout.count)));
        }
        self.file.flush()
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// Answers from a file of captures. Tiles are read from the file as they are asked for, so that several peers of one
/// machine share the captures in its page cache.
pub struct StoredTracer {
    file: File,
    layout: Layout,
}

impl StoredTracer {
    /// Opens a file that a [`CaptureWriter`] wrote.
    ///
    /// # Errors
    /// What the file system says, or what is wrong with the file.
    pub fn open(path: &Path) -> io::Result<StoredTracer> {
        let mut file = File::open(path)?;
        let mut words = [0; HEADER_WORDS];
        file.read_exact(bytemuck::cast_slice_mut(&mut words))?;
        let layout = Layout::read(&words).map_err(invalid)?;
        let bytes = file.metadata()?.len();
        if bytes != layout.file_bytes() {
            return Err(invalid(format!(
                "it has {bytes} bytes, its header says {}: let the bench write it again",
                layout.file_bytes()
            )));
        }
        Ok(StoredTracer { file, layout })
    }

    fn crop(&self, frame: &Frame, rect: Rect) -> io::Result<TracedTile> {
        let Layout { extent, count, .. } = self.layout;
        let capture = HEADER_WORDS as u64 * 4 + (frame.frame_id % u64::from(count)) * self.layout.capture_bytes();
        let plane = |index: u64| capture + index * self.layout.primary_bytes();
        let primary = || {
            io::Result::Ok(Primary {
                depth: self.rows(plane(0), extent.width, rect)?,
                normal: self.rows(plane(1), extent.width, rect)?,
                base_color: self.rows(plane(2), extent.width, rect)?,
                material: self.rows(plane(3), extent.width, rect)?,
                motion: self.rows(plane(4), extent.width, rect)?,
                instance_id: self.rows(plane(5), extent.width, rect)?,
            })
        };
        let primary = if frame.primary { Some(primary()?) } else { None };
        let mut layers = Vec::with_capacity(frame.layers.len());
        for LayerRequest { kind, scale, .. } in &frame.layers {
            let mut offset = plane(PRIMARY_PLANES as u64);
            let before = self.layout.layers.iter().take_while(|layer| **layer != (*kind, *scale));
            offset += before.map(|(_, scale)| self.layout.layer_bytes(*scale)).sum::<u64>();
            let scaled = rect.scaled(u32::from(*scale));
            let pixels = self.rows(offset, extent.scaled(u32::from(*scale)).width, scaled)?;
            layers.push(LayerPlane { kind: *kind, scale: *scale, rect: scaled, pixels });
        }
        let blocks = rect.scaled(BLOCK);
        let offset = capture + self.layout.capture_bytes() - extent.scaled(BLOCK).pixels() as u64 * 4;
        let mut block_rays: Vec<u32> = self.rows(offset, extent.scaled(BLOCK).width, blocks)?;
        // Of a block that lies partly outside, the tile has that share of the rays.
        for (index, rays) in block_rays.iter_mut().enumerate() {
            let (x, y) = (blocks.x + index as u32 % blocks.width, blocks.y + index as u32 / blocks.width);
            let block = Rect::new(x * BLOCK, y * BLOCK, BLOCK, BLOCK).intersection(extent.rect());
            let inside = block.intersection(rect).pixels() as u64;
            *rays = (u64::from(*rays) * inside / block.pixels() as u64) as u32;
        }
        Ok(TracedTile { rect, layers, primary, block_rays })
    }

    /// A rectangle of a plane that begins at `offset` and is `width` pixels wide.
    fn rows<P: bytemuck::Pod>(&self, offset: u64, width: u32, rect: Rect) -> io::Result<Vec<P>> {
        let mut pixels = vec![P::zeroed(); rect.pixels()];
        let row_bytes = u64::from(width) * size_of::<P>() as u64;
        let first = offset + u64::from(rect.y) * row_bytes + u64::from(rect.x) * size_of::<P>() as u64;
        if rect.width == width {
            self.file.read_exact_at(bytemuck::cast_slice_mut(&mut pixels), first)?;
            return Ok(pixels);
        }
        for (y, row) in (0..).zip(pixels.chunks_exact_mut(rect.width as usize)) {
            self.file.read_exact_at(bytemuck::cast_slice_mut(row), first + y * row_bytes)?;
        }
        Ok(pixels)
    }
}

impl Tracer for StoredTracer {
    type Scene = ();

    fn info(&self) -> PeerInfo {
        let mut class = blake3::Hasher::new_derive_key("rayloom stored captures v1");
        class.update(bytemuck::cast_slice(&self.layout.header()));
        PeerInfo {
            device: format!("{} stored captures", self.layout.count),
            is_cpu: true,
            front_end: "stored".into(),
            // Of equal peers only the ratios count.
            rays_per_second: 1e9,
            memory_bytes: self.layout.file_bytes(),
            class: *class.finalize().as_bytes(),
            stored_traces: true,
        }
    }

    fn create_scene(&self, _: &Scene, progress: &mut dyn FnMut(f32)) -> Result<(), TraceError> {
        progress(1.0);
        Ok(())
    }

    fn trace(&self, (): &(), frame: &Frame, rect: Rect, _: Option<&GBuffer>) -> Result<Traced, TraceError> {
        let uploaded = Instant::now();
        let Extent { width, height } = self.layout.extent;
        if frame.extent != self.layout.extent || !frame.extent.rect().contains_rect(rect) || rect.is_empty() {
            let asked = frame.extent;
            let reason =
                format!("the captures are of {width}x{height}, asked is {rect:?} of {}x{}", asked.width, asked.height);
            return Err(TraceError::Refused(reason));
        }
        let missing = frame.layers.iter().find(|layer| !self.layout.layers.contains(&(layer.kind, layer.scale)));
        if let Some(layer) = missing {
            let reason = format!("the captures have no layer {} at a scale of {}", layer.kind.name(), layer.scale);
            return Err(TraceError::Refused(reason));
        }
        let tile =
            self.crop(frame, rect).map_err(|error| TraceError::DeviceLost(format!("reading the captures: {error}")))?;
        Ok(Traced { tile, uploaded, traced: Instant::now(), on_device: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_scene::Camera;

    const EXTENT: Extent = Extent::new(37, 21);
    const LAYERS: [LayerRequest; 2] = [
        LayerRequest { kind: LayerKind::Direct, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES },
        LayerRequest { kind: LayerKind::Indirect, samples: 1, scale: 2, bounces: LayerRequest::BOUNCES },
    ];

    /// Every pixel of every plane tells where it is and of which capture.
    fn capture(number: u32) -> TracedTile {
        let rect = EXTENT.rect();
        let words = |plane: u32| (0..rect.pixels() as u32).map(|i| number << 24 | plane << 16 | i).collect::<Vec<_>>();
        let layers = LAYERS.map(|LayerRequest { kind, scale, .. }| {
            let rect = rect.scaled(u32::from(scale));
            let pixels = (0..rect.pixels() as u16).map(|i| [i, number as u16, u16::from(scale), 0]).collect();
            LayerPlane { kind, scale, rect, pixels }
        });
        let primary = Primary {
            depth: words(0).into_iter().map(|word| word as f32).collect(),
            normal: words(1),
            base_color: words(2),
            material: words(3),
            motion: words(4),
            instance_id: words(5),
        };
        let block_rays = vec![256; rect.scaled(BLOCK).pixels()];
        TracedTile { rect, layers: layers.to_vec(), primary: Some(primary), block_rays }
    }

    fn frame(frame_id: u64) -> Frame {
        Frame::new(frame_id, EXTENT, Camera::with_fov(1.0, 1.5), LAYERS.to_vec())
    }

    fn file(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("rayloom-{name}-{}", std::process::id()));
        let mut writer = CaptureWriter::create(&path, EXTENT, &LAYERS, 3).unwrap();
        (0..3).for_each(|number| writer.add(&capture(number)).unwrap());
        assert!(writer.add(&capture(3)).is_err(), "one too many");
        writer.finish().unwrap();
        path
    }

    #[test]
    fn a_tile_is_the_capture_cropped() {
        let path = file("crop");
        let tracer = StoredTracer::open(&path).unwrap();
        assert!(tracer.info().stored_traces);
        assert_eq!(tracer.trace(&(), &frame(4), EXTENT.rect(), None).unwrap().tile.layers, capture(1).layers);
        let rect = Rect::new(5, 3, 17, 15);
        let tile = tracer.trace(&(), &frame(5), rect, None).unwrap().tile;
        let whole = capture(2);
        let (ours, theirs) = (tile.primary.unwrap(), whole.primary.unwrap());
        for (y, row) in ours.normal.chunks_exact(rect.width as usize).enumerate() {
            let at = (rect.y as usize + y) * EXTENT.width as usize + rect.x as usize;
            assert_eq!(row, &theirs.normal[at..at + rect.width as usize]);
        }
        let half = &tile.layers[1];
        assert_eq!(half.rect, rect.scaled(2));
        let at = half.rect.y as usize * 19 + half.rect.x as usize;
        assert_eq!(half.pixels[0], whole.layers[1].pixels[at]);
        // 11 x 13 of the first block's 16 x 16 pixels.
        assert_eq!(tile.block_rays[0], 143);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn another_view_is_refused_and_so_is_half_a_file() {
        let path = file("refuse");
        let tracer = StoredTracer::open(&path).unwrap();
        let mut wider = frame(0);
        wider.extent.width += 1;
        assert!(matches!(tracer.trace(&(), &wider, Rect::new(0, 0, 4, 4), None), Err(TraceError::Refused(_))));
        let mut finer = frame(0);
        finer.layers[1].scale = 1;
        assert!(matches!(tracer.trace(&(), &finer, Rect::new(0, 0, 4, 4), None), Err(TraceError::Refused(_))));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(StoredTracer::open(&path).is_err());
        std::fs::write(&path, &bytes[1..]).unwrap();
        assert!(StoredTracer::open(&path).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
