//! Traced tiles to slices and back: each slice decodes alone and fits a message, so a lost one costs its own rows.
//!
//! A slice is a rectangle of one plane. Where it is cut follows from the plane's rectangle, the mode and the size limit
//! alone, never from the pixels, so two peers that trace the same tile cut it alike.

mod assemble;
mod lanes;
mod pack;
mod planes;
mod rgb9e5;

pub use assemble::assemble_tile;
use bytes::Bytes;
use lanes::{Predictor, Rows};
use planes::Planes;

use crate::{
    Extent, FrameError, GBuffer, PlaneKind, Primary, Rect, TracedTile,
    simd::{Half4, Kernel, dispatch},
};

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
/// Added where the planes of bytes are packed; without it they are stored, because packing saved nothing.
const PACKED: u8 = 1;

/// A coded rectangle of one plane of a tile.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Which plane.
    pub plane: PlaneKind,
    /// One pixel per `scale` x `scale` block of the view; 1 for planes of primary hits.
    pub scale: u8,
    /// 0 lossless stored, 1 lossless packed, 2 RGB9E5 stored, 3 RGB9E5 packed.
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

impl DecodedSlice {
    /// The first pixel that nothing can have traced, as "pixel (x, y) of ... is ...": light, distances or depths that are
    /// negative or no numbers, and infinite ones but for the sky's depth. Peers clamp light to what half floats hold.
    pub fn impossible(&self) -> Option<String> {
        let width = self.rect.width.max(1) as usize;
        let (index, value) = match &self.pixels {
            SlicePixels::Layer(pixels) => {
                // Not below zero and not above the largest finite half, as bits; minus zero is zero.
                let is_possible = |bits: &u16| *bits <= 0x7bff || *bits == 0x8000;
                let (i, pixel) = pixels.iter().enumerate().find(|(_, pixel)| !pixel.iter().all(is_possible))?;
                let channel = pixel.iter().find(|bits| !is_possible(bits))?;
                (i, half::f16::from_bits(*channel).to_f32())
            }
            SlicePixels::Primary(words) if self.plane == PlaneKind::Depth => {
                // Up to infinity, as bits.
                let is_possible = |bits: u32| bits <= f32::INFINITY.to_bits();
                let (i, word) = words.iter().enumerate().find(|(_, word)| !is_possible(**word))?;
                (i, f32::from_bits(*word))
            }
            SlicePixels::Primary(_) => return None,
        };
        let (x, y) = (self.rect.x as usize + index % width, self.rect.y as usize + index / width);
        Some(format!("pixel ({x}, {y}) of {:?} is {value}", self.plane))
    }
}

/// Cuts and codes a tile into all of its slices: [`TileEncoder`], run to its end.
///
/// # Panics
/// As [`TileEncoder::new`].
pub fn encode_tile(tile: &TracedTile, mode: CodecMode, max_slice_bytes: usize) -> Vec<Slice> {
    TileEncoder::new(tile, mode, max_slice_bytes).collect()
}

/// Cuts and codes a tile, a slice at a time: planes of primary hits first (the merger needs them to place the layers), then
/// the layers. How many slices there will be is known from the start ([`ExactSizeIterator::len`]).
///
/// Each payload has at most `max_slice_bytes` bytes, but holds at least one pixel.
#[derive(Debug)]
pub struct TileEncoder<'a> {
    plan: Vec<PlaneCuts<'a>>,
    /// The slice that comes next: index in `plan` and place in its plane.
    at: (usize, u32, u32),
    left: usize,
    planes: Planes,
    packed: Vec<u8>,
}

impl<'a> TileEncoder<'a> {
    /// Begins a tile.
    ///
    /// # Panics
    /// When a plane does not have its rectangle's number of pixels: a bug of the tracer.
    pub fn new(tile: &'a TracedTile, mode: CodecMode, max_slice_bytes: usize) -> TileEncoder<'a> {
        let primary = tile.primary.iter().flat_map(|primary| {
            PlaneKind::PRIMARY.map(|plane| (plane, 1, Source::words(primary_words(primary, plane), tile.rect)))
        });
        let layers = tile.layers.iter().map(|layer| {
            let pixels = layer.pixels.as_slice();
            assert_eq!(pixels.len(), layer.rect.pixels(), "a traced layer has its rectangle's pixels");
            (PlaneKind::Layer(layer.kind), layer.scale, Source::Layer { pixels, rect: layer.rect })
        });
        TileEncoder::over(primary.chain(layers), mode, max_slice_bytes)
    }

    /// Begins with the planes that peers need of `rect` of an engine's G-buffer: depth first. The rest has the limits of
    /// a tile's; everything is lossless.
    ///
    /// # Panics
    /// When a plane does not have the G-buffer's number of pixels, or `rect` leaves it: a bug of the caller.
    pub fn of_gbuffer(gbuffer: &'a GBuffer, rect: Rect, max_slice_bytes: usize) -> TileEncoder<'a> {
        let whole = gbuffer.extent.rect();
        assert!(whole.contains_rect(rect), "{rect:?} is part of {whole:?}");
        let planes = gbuffer.planes_for_peers().map(|(plane, words)| {
            assert_eq!(words.len(), whole.pixels(), "{plane:?} has the view's pixels");
            (plane, 1, Source::Words { words, stride: whole.width as usize, first: whole.index_of(rect), rect })
        });
        TileEncoder::over(planes, CodecMode::Lossless, max_slice_bytes)
    }

    fn over(
        planes: impl Iterator<Item = (PlaneKind, u8, Source<'a>)>,
        mode: CodecMode,
        max_slice_bytes: usize,
    ) -> TileEncoder<'a> {
        let cut = |(plane, scale, source)| {
            let transform = match (plane, mode) {
                (PlaneKind::Layer(_), CodecMode::Rgb9e5) => RGB9E5,
                _ => LOSSLESS,
            };
            PlaneCuts::new(source, plane, scale, transform, max_slice_bytes)
        };
        let plan: Vec<PlaneCuts<'a>> = planes.map(cut).collect();
        let left = plan.iter().map(PlaneCuts::slices).sum();
        TileEncoder { plan, at: (0, 0, 0), left, planes: Planes::default(), packed: Vec::new() }
    }

    fn code(&mut self, cuts: PlaneCuts<'_>, part: Rect) -> Slice {
        let is_packed = dispatch(EncodeSlice { cuts, part, planes: &mut self.planes, out: &mut self.packed });
        let PlaneCuts { plane, scale, rect, transform, .. } = cuts;
        Slice {
            plane,
            scale,
            codec: transform | if is_packed { PACKED } else { 0 },
            rect: Rect::new(rect.x + part.x, rect.y + part.y, part.width, part.height),
            payload: Bytes::copy_from_slice(&self.packed),
        }
    }
}

impl Iterator for TileEncoder<'_> {
    type Item = Slice;

    fn next(&mut self) -> Option<Slice> {
        loop {
            let (index, x, y) = self.at;
            let cuts = *self.plan.get(index)?;
            if y >= cuts.rect.height || cuts.rect.is_empty() {
                self.at = (index + 1, 0, 0);
                continue;
            }
            let part = Rect::new(x, y, cuts.columns.min(cuts.rect.width - x), cuts.lines.min(cuts.rect.height - y));
            let is_last_of_row = part.right() == cuts.rect.width;
            self.at = if is_last_of_row { (index, 0, part.bottom()) } else { (index, part.right(), y) };
            self.left -= 1;
            return Some(self.code(cuts, part));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for TileEncoder<'_> {}

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
        PlaneKind::GeometricNormal | PlaneKind::Emissive | PlaneKind::Layer(_) => &[],
    }
}

/// A plane's pixels and where the coded rectangle lies in them.
#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Words { words: &'a [u32], stride: usize, first: usize, rect: Rect },
    Layer { pixels: &'a [[u16; 4]], rect: Rect },
}

impl<'a> Source<'a> {
    /// Words of a rectangle and of nothing else.
    fn words(words: &'a [u32], rect: Rect) -> Source<'a> {
        assert_eq!(words.len(), rect.pixels(), "a traced plane has its rectangle's pixels");
        Source::Words { words, stride: rect.width as usize, first: 0, rect }
    }
}

/// A plane and how it is cut: full columns and lines, the last ones what is left.
#[derive(Clone, Copy, Debug)]
struct PlaneCuts<'a> {
    source: Source<'a>,
    plane: PlaneKind,
    scale: u8,
    rect: Rect,
    transform: u8,
    columns: u32,
    lines: u32,
}

impl<'a> PlaneCuts<'a> {
    fn new(source: Source<'a>, plane: PlaneKind, scale: u8, transform: u8, max_slice_bytes: usize) -> PlaneCuts<'a> {
        let (Source::Words { rect, .. } | Source::Layer { rect, .. }) = source;
        let pixels_max = (max_slice_bytes / coded_bytes_per_pixel(plane, transform)).clamp(1, u32::MAX as usize) as u32;
        let columns = rect.width.min(pixels_max).max(1);
        PlaneCuts { source, plane, scale, rect, transform, columns, lines: (pixels_max / columns).max(1) }
    }

    fn slices(&self) -> usize {
        self.rect.width.div_ceil(self.columns) as usize * self.rect.height.div_ceil(self.lines) as usize
    }
}

/// Codes one slice; true when it is packed.
struct EncodeSlice<'a> {
    cuts: PlaneCuts<'a>,
    /// Of the plane, from its own corner.
    part: Rect,
    planes: &'a mut Planes,
    out: &'a mut Vec<u8>,
}

impl Kernel for EncodeSlice<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<H: Half4>(self) -> bool {
        let EncodeSlice { cuts, part, planes, out } = self;
        let (width, height) = (part.width as usize, part.height as usize);
        let at = |stride: usize| part.y as usize * stride + part.x as usize;
        match cuts.source {
            Source::Layer { pixels, rect } => {
                let stride = rect.width as usize;
                let rows = Rows { pixels, stride, first: at(stride), width, height };
                match cuts.transform {
                    RGB9E5 => rgb9e5::encode(rows, planes),
                    _ => lanes::encode::<[u16; 4], u16, 4, 8>(rows, Predictor::Up, planes),
                }
            }
            Source::Words { words, stride, first, .. } => {
                let rows = Rows { pixels: words, stride, first: first + at(stride), width, height };
                match Words::of(cuts.plane) {
                    Words::Number(predictor) => lanes::encode::<u32, u32, 1, 4>(rows, predictor, planes),
                    Words::Halves(predictor) => lanes::encode::<u32, u16, 2, 4>(rows, predictor, planes),
                    Words::Bytes => lanes::encode::<u32, u8, 4, 4>(rows, Predictor::Up, planes),
                }
            }
        }
        let is_packed = planes.pack(out);
        if !is_packed {
            planes.store(out);
        }
        is_packed
    }
}

/// How a word of primary hits is predicted.
enum Words {
    /// As one number.
    Number(Predictor),
    /// As two.
    Halves(Predictor),
    /// As four, from the pixel above.
    Bytes,
}

impl Words {
    #[inline(always)]
    fn of(plane: PlaneKind) -> Words {
        match plane {
            PlaneKind::Depth => Words::Number(Predictor::Gradient),
            PlaneKind::Motion => Words::Halves(Predictor::Gradient),
            PlaneKind::Normal | PlaneKind::GeometricNormal => Words::Halves(Predictor::Up),
            PlaneKind::BaseColor | PlaneKind::Material | PlaneKind::Emissive => Words::Bytes,
            PlaneKind::InstanceId | PlaneKind::Layer(_) => Words::Number(Predictor::Up),
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
    planes: Planes,
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
        let transform = codec & !PACKED;
        if transform != LOSSLESS && !(transform == RGB9E5 && matches!(plane, PlaneKind::Layer(_))) {
            return Err(FrameError::UnknownCodec { plane: *plane, codec: *codec });
        }
        let bytes_per_pixel = coded_bytes_per_pixel(*plane, transform);
        let stored_bytes = pixels * bytes_per_pixel;
        let refuse =
            |reason: String| FrameError::Payload { plane: *plane, rect: *rect, payload_bytes: payload.len(), reason };
        let is_packed = codec & PACKED != 0;
        if is_packed && payload.len() >= stored_bytes {
            return Err(refuse(format!("stored pixels have {stored_bytes} bytes, packed ones must have fewer")));
        }
        self.layer.clear();
        self.words.clear();
        self.planes.resize(bytes_per_pixel, pixels);
        let is_whole = dispatch(DecodeSlice {
            payload,
            is_packed,
            plane: *plane,
            transform,
            width: rect.width as usize,
            height: rect.height as usize,
            decoder: self,
        });
        if is_whole {
            return Ok(());
        }
        Err(refuse(match is_packed {
            true => "the packed planes end early, hold a width that there is not, or something follows them".into(),
            false => format!("{} bytes of pixels, {stored_bytes} expected", payload.len()),
        }))
    }
}

/// Decodes one slice whose sizes were checked; false when its payload is not what an encoder makes.
struct DecodeSlice<'a> {
    payload: &'a [u8],
    is_packed: bool,
    plane: PlaneKind,
    transform: u8,
    width: usize,
    height: usize,
    decoder: &'a mut Decoder,
}

impl Kernel for DecodeSlice<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<H: Half4>(self) -> bool {
        let DecodeSlice { payload, is_packed, plane, transform, width, height, decoder } = self;
        let Decoder { planes, layer, words } = decoder;
        if !(if is_packed { planes.unpack(payload) } else { planes.load(payload) }) {
            return false;
        }
        match (plane, Words::of(plane)) {
            (PlaneKind::Layer(_), _) if transform == RGB9E5 => rgb9e5::decode(planes, width, height, layer),
            (PlaneKind::Layer(_), _) => {
                lanes::decode::<[u16; 4], u16, 4, 8>(planes, width, height, Predictor::Up, layer);
            }
            (_, Words::Number(predictor)) => {
                lanes::decode::<u32, u32, 1, 4>(planes, width, height, predictor, words);
            }
            (_, Words::Halves(predictor)) => {
                lanes::decode::<u32, u16, 2, 4>(planes, width, height, predictor, words);
            }
            (_, Words::Bytes) => lanes::decode::<u32, u8, 4, 4>(planes, width, height, Predictor::Up, words),
        }
        true
    }
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
