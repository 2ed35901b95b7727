//! Traced tiles to slices and back: each slice decodes alone and fits a message, so a lost one costs its own rows.
//!
//! A slice is a rectangle of one plane. Where it is cut follows from the plane's rectangle, the mode and the size limit
//! alone, never from the pixels, so two peers that trace the same tile cut it alike.

mod lanes;
mod rgb9e5;

use bytes::Bytes;
use lanes::{Predictor, Rows};

use crate::{Extent, FrameError, LayerPlane, PlaneKind, Primary, Rect, TracedTile};

/// A slice's size limit that fits every transport's message, headers included.
pub const DEFAULT_MAX_SLICE_BYTES: usize = 48 * 1024;

/// How layers are coded. Planes of primary hits are always lossless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecMode {
    /// Every bit comes back.
    Lossless,
    /// Five bytes a pixel: a shared exponent for RGB, an 8-bit alpha. See [`Slice::codec`].
    Rgb9e5,
}

/// Bits of a traced layer or words of a primary plane, as they are.
const LOSSLESS: u8 = 0;
/// RGB9E5 and an 8-bit alpha.
const RGB9E5: u8 = 2;
/// Added where the bytes are an LZ4 block; without it they are stored, because LZ4 found nothing.
const LZ4: u8 = 1;

/// A coded rectangle of one plane of a tile.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Which plane.
    pub plane: PlaneKind,
    /// One pixel per `scale` x `scale` block of the view; 1 for planes of primary hits.
    pub scale: u8,
    /// 0 lossless stored, 1 lossless LZ4, 2 RGB9E5 stored, 3 RGB9E5 LZ4.
    pub codec: u8,
    /// In this plane's own (scaled) pixels, absolute in the view.
    pub rect: Rect,
    /// The coded pixels.
    pub payload: Bytes,
}

impl Slice {
    /// Whether the rectangle may be decoded at all; afterwards its arithmetic can't overflow.
    pub(crate) fn check(&self, limits: DecodeLimits) -> Result<(), FrameError> {
        check_rect(self.plane, self.scale, self.rect, limits).map(|_| ())
    }
}

/// What a decoder accepts; everything else is refused before memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Size of the view in pixels: no slice may leave it.
    pub extent: Extent,
    /// The most pixels of one slice.
    pub max_pixels: usize,
}

impl DecodeLimits {
    /// Limits for a view of this size; slices of up to 65,536 pixels, five times what [`DEFAULT_MAX_SLICE_BYTES`] gives.
    pub const fn new(extent: Extent) -> DecodeLimits {
        DecodeLimits { extent, max_pixels: 1 << 16 }
    }
}

/// A decoded rectangle of one plane.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedSlice {
    /// Which plane.
    pub plane: PlaneKind,
    /// One pixel per `scale` x `scale` block of the view.
    pub scale: u8,
    /// In this plane's own (scaled) pixels, absolute in the view.
    pub rect: Rect,
    /// `rect.pixels()` pixels, rows from the top.
    pub pixels: SlicePixels,
}

/// Pixels of a decoded slice.
#[derive(Clone, Debug, PartialEq)]
pub enum SlicePixels {
    /// Bits of four half floats a pixel.
    Layer(Vec<[u16; 4]>),
    /// The word that [`PlaneKind`] documents; depth as the bits of its f32.
    Primary(Vec<u32>),
}

/// Cuts and codes a tile: planes of primary hits first (the merger needs them to place the layers), then the layers.
///
/// Each payload has at most `max_slice_bytes` bytes, but holds at least one pixel.
///
/// # Panics
/// When a plane does not have its rectangle's number of pixels: a bug of the tracer.
pub fn encode_tile(tile: &TracedTile, mode: CodecMode, max_slice_bytes: usize) -> Vec<Slice> {
    let mut encoder = Encoder { mode, max_slice_bytes, raw: Vec::new(), packed: Vec::new(), slices: Vec::new() };
    if let Some(primary) = &tile.primary {
        for plane in PlaneKind::PRIMARY {
            encoder.plane(plane, 1, tile.rect, primary_words(primary, plane));
        }
    }
    for LayerPlane { kind, scale, rect, pixels } in &tile.layers {
        encoder.plane(PlaneKind::Layer(*kind), *scale, *rect, pixels);
    }
    encoder.slices
}

/// Decodes one slice; [`Decoder`] does it for many.
///
/// # Errors
/// As [`Decoder::decode`].
pub fn decode_slice(slice: &Slice, limits: DecodeLimits) -> Result<DecodedSlice, FrameError> {
    Decoder::default().decode(slice, limits)
}

/// The words of one plane of primary hits.
pub(crate) fn primary_words(primary: &Primary, plane: PlaneKind) -> &[u32] {
    match plane {
        PlaneKind::Depth => bytemuck::cast_slice(&primary.depth),
        PlaneKind::Normal => &primary.normal,
        PlaneKind::BaseColor => &primary.base_color,
        PlaneKind::Material => &primary.material,
        PlaneKind::Motion => &primary.motion,
        PlaneKind::InstanceId => &primary.instance_id,
        PlaneKind::Layer(_) => &[],
    }
}

struct Encoder {
    mode: CodecMode,
    max_slice_bytes: usize,
    raw: Vec<u8>,
    packed: Vec<u8>,
    slices: Vec<Slice>,
}

impl Encoder {
    fn plane<P: Pixel>(&mut self, plane: PlaneKind, scale: u8, rect: Rect, pixels: &[P]) {
        assert_eq!(pixels.len(), rect.pixels(), "a traced {plane:?} has its rectangle's pixels");
        let codec = match (plane, self.mode) {
            (PlaneKind::Layer(_), CodecMode::Rgb9e5) => RGB9E5,
            _ => LOSSLESS,
        };
        let pixels_max =
            (self.max_slice_bytes / coded_bytes_per_pixel(plane, codec)).clamp(1, u32::MAX as usize) as u32;
        let columns = rect.width.min(pixels_max);
        let lines = (pixels_max / columns.max(1)).max(1);
        for y in (0..rect.height).step_by(lines as usize) {
            for x in (0..rect.width).step_by(columns.max(1) as usize) {
                let (width, height) = (columns.min(rect.width - x), lines.min(rect.height - y));
                let rows = Rows {
                    pixels,
                    stride: rect.width as usize,
                    first: y as usize * rect.width as usize + x as usize,
                    width: width as usize,
                    height: height as usize,
                };
                self.raw.clear();
                P::encode(plane, codec, rows, &mut self.raw);
                let (codec, payload) = self.packed(codec);
                self.slices.push(Slice {
                    plane,
                    scale,
                    codec,
                    rect: Rect::new(rect.x + x, rect.y + y, width, height),
                    payload,
                });
            }
        }
    }

    fn packed(&mut self, codec: u8) -> (u8, Bytes) {
        self.packed.resize(lz4_flex::block::get_maximum_output_size(self.raw.len()), 0);
        match lz4_flex::block::compress_into(&self.raw, &mut self.packed) {
            Ok(n) if n < self.raw.len() => (codec | LZ4, Bytes::copy_from_slice(&self.packed[..n])),
            _ => (codec, Bytes::copy_from_slice(&self.raw)),
        }
    }
}

/// Decodes slices, one after the other; each thread has its own.
///
/// ```
/// use rayloom_frame::{Extent, LayerKind, LayerPlane, Rect, TracedTile, codec::*};
/// let rect = Rect::new(0, 0, 2, 1);
/// let pixels = vec![[0x3c00; 4], [0; 4]];
/// let layer = LayerPlane { kind: LayerKind::Direct, scale: 1, rect, pixels: pixels.clone() };
/// let tile = TracedTile { rect, layers: vec![layer], primary: None, block_rays: vec![2] };
/// let mut decoder = Decoder::default();
/// for slice in encode_tile(&tile, CodecMode::Lossless, DEFAULT_MAX_SLICE_BYTES) {
///     let decoded = decoder.decode(&slice, DecodeLimits::new(Extent::new(2, 1)))?;
///     assert_eq!(decoded.pixels, SlicePixels::Layer(pixels.clone()));
///     decoder.recycle(decoded);
/// }
/// # Ok::<(), rayloom_frame::FrameError>(())
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    raw: Vec<u8>,
    /// The decoded pixels of a layer.
    pub(crate) layer: Vec<[u16; 4]>,
    /// The decoded words of a primary plane.
    pub(crate) words: Vec<u32>,
}

impl Decoder {
    /// Decodes a slice from anywhere.
    ///
    /// # Errors
    /// An unknown codec, a rectangle outside of the limits, a payload of the wrong length or one that does not decompress.
    pub fn decode(&mut self, slice: &Slice, limits: DecodeLimits) -> Result<DecodedSlice, FrameError> {
        self.decode_here(slice, limits)?;
        let pixels = match slice.plane {
            PlaneKind::Layer(_) => SlicePixels::Layer(std::mem::take(&mut self.layer)),
            _ => SlicePixels::Primary(std::mem::take(&mut self.words)),
        };
        Ok(DecodedSlice { plane: slice.plane, scale: slice.scale, rect: slice.rect, pixels })
    }

    /// Takes a decoded slice's memory for the next one.
    pub fn recycle(&mut self, decoded: DecodedSlice) {
        match decoded.pixels {
            SlicePixels::Layer(pixels) => self.layer = pixels,
            SlicePixels::Primary(words) => self.words = words,
        }
    }

    /// Leaves the slice's pixels in `layer` or `words`.
    pub(crate) fn decode_here(&mut self, slice: &Slice, limits: DecodeLimits) -> Result<(), FrameError> {
        let Slice { plane, scale, codec, rect, payload } = slice;
        let pixels = check_rect(*plane, *scale, *rect, limits)?;
        let transform = codec & !LZ4;
        if transform != LOSSLESS && !(transform == RGB9E5 && matches!(plane, PlaneKind::Layer(_))) {
            return Err(FrameError::UnknownCodec { plane: *plane, codec: *codec });
        }
        let refuse =
            |reason: String| FrameError::Payload { plane: *plane, rect: *rect, payload_bytes: payload.len(), reason };
        let raw_bytes = pixels * coded_bytes_per_pixel(*plane, transform);
        let raw: &[u8] = if codec & LZ4 == 0 {
            payload
        } else {
            // LZ4 never expands by more than its own framing: longer payloads are padding.
            if payload.len() >= raw_bytes {
                return Err(refuse(format!("stored pixels have {raw_bytes} bytes, compressed ones must have fewer")));
            }
            self.raw.resize(raw_bytes, 0);
            let n = lz4_flex::block::decompress_into(payload, &mut self.raw).map_err(|e| refuse(e.to_string()))?;
            &self.raw[..n]
        };
        if raw.len() != raw_bytes {
            return Err(refuse(format!("{} bytes of pixels, {raw_bytes} expected", raw.len())));
        }
        self.layer.clear();
        self.words.clear();
        let (width, height) = (rect.width as usize, rect.height as usize);
        match plane {
            PlaneKind::Layer(_) if transform == RGB9E5 => rgb9e5::decode(raw, pixels, &mut self.layer),
            PlaneKind::Layer(_) => {
                lanes::decode(
                    raw,
                    width,
                    height,
                    Predictor::Left,
                    |p: [u16; 4]| p,
                    |p, lane, v| p[lane] = v,
                    &mut self.layer,
                );
            }
            PlaneKind::Depth => {
                lanes::decode(raw, width, height, Predictor::Gradient, |p: u32| [p], |p, _, v| *p = v, &mut self.words);
            }
            PlaneKind::InstanceId => {
                lanes::decode(raw, width, height, Predictor::Left, |p: u32| [p], |p, _, v| *p = v, &mut self.words);
            }
            PlaneKind::Normal | PlaneKind::Motion => lanes::decode(
                raw,
                width,
                height,
                Predictor::Left,
                halves,
                |p, lane, v| *p = *p & !(0xffff << (16 * lane)) | (v as u32) << (16 * lane),
                &mut self.words,
            ),
            PlaneKind::BaseColor | PlaneKind::Material => lanes::decode(
                raw,
                width,
                height,
                Predictor::Left,
                u32::to_le_bytes,
                |p, lane, v| *p = *p & !(0xff << (8 * lane)) | (v as u32) << (8 * lane),
                &mut self.words,
            ),
        }
        Ok(())
    }
}

/// A pixel that the encoder takes: a layer's or a word of a primary plane.
trait Pixel: Sized {
    fn encode(plane: PlaneKind, codec: u8, rows: Rows<'_, Self>, out: &mut Vec<u8>);
}

impl Pixel for [u16; 4] {
    fn encode(_: PlaneKind, codec: u8, rows: Rows<'_, Self>, out: &mut Vec<u8>) {
        match codec {
            RGB9E5 => rgb9e5::encode(rows, out),
            _ => lanes::encode(rows, Predictor::Left, |p| p, out),
        }
    }
}

impl Pixel for u32 {
    fn encode(plane: PlaneKind, _: u8, rows: Rows<'_, Self>, out: &mut Vec<u8>) {
        match plane {
            PlaneKind::Depth => lanes::encode(rows, Predictor::Gradient, |p| [p], out),
            PlaneKind::Normal | PlaneKind::Motion => lanes::encode(rows, Predictor::Left, halves, out),
            PlaneKind::BaseColor | PlaneKind::Material => lanes::encode(rows, Predictor::Left, u32::to_le_bytes, out),
            PlaneKind::InstanceId | PlaneKind::Layer(_) => lanes::encode(rows, Predictor::Left, |p| [p], out),
        }
    }
}

fn halves(word: u32) -> [u16; 2] {
    [word as u16, (word >> 16) as u16]
}

const fn coded_bytes_per_pixel(plane: PlaneKind, codec: u8) -> usize {
    if codec == RGB9E5 { rgb9e5::BYTES_PER_PIXEL } else { plane.bytes_per_pixel() }
}

/// The slice's number of pixels, when its rectangle may be decoded.
fn check_rect(plane: PlaneKind, scale: u8, rect: Rect, limits: DecodeLimits) -> Result<usize, FrameError> {
    let DecodeLimits { extent, max_pixels } = limits;
    let scale_fits = scale == 1 || (scale == 2 && matches!(plane, PlaneKind::Layer(_)));
    let bounds = extent.scaled(scale.max(1) as u32);
    // In 64 bits: the numbers came from elsewhere.
    let inside = rect.x as u64 + rect.width as u64 <= bounds.width as u64
        && rect.y as u64 + rect.height as u64 <= bounds.height as u64;
    let pixels = rect.width as u64 * rect.height as u64;
    if !scale_fits || !inside || pixels == 0 || pixels > max_pixels as u64 {
        return Err(FrameError::SliceOutside { plane, scale, rect, extent, max_pixels });
    }
    Ok(pixels as usize)
}
