//! A frame that is merged: its planes, layers, ages, and what came of its tiles.

use rayloom_scene::Camera;

use crate::{Extent, LayerKind, PlaneKind, Primary, Rect, codec::primary_words};

/// A tile of a finished frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileResult {
    /// Its pixels.
    pub rect: Rect,
    /// Who traced it, if anything came.
    pub peer: Option<u32>,
    /// True when all of it came.
    pub complete: bool,
    /// The greatest age of its pixels, in frames.
    pub age: u8,
}

/// A finished frame: planes of the whole view, rows from the top, valid until the next [`crate::merge::Merger::begin`].
#[derive(Clone, Copy, Debug)]
pub struct MergedFrame<'a> {
    /// The frame.
    pub frame_id: u64,
    /// Its camera.
    pub camera: Camera,
    /// Size of every plane.
    pub extent: Extent,
    /// What light in the layers is multiplied by.
    pub pre_exposure: f32,
    /// What the primary rays hit; of missing tiles, what the last frame's hits look like from here.
    pub planes: &'a Primary,
    /// Age of each pixel in frames: 0 was traced for exactly this frame, 255 never was. All layers that are due with frames are
    /// at most as old.
    pub ages: &'a [u8],
    /// Frames gathered in each pixel; 0 and 1 where the surface has just become visible.
    pub lengths: &'a [u8],
    /// The plan with what came of it.
    pub tiles: &'a [TileResult],
    /// Of each kind, where it is due later than its frames.
    pub(super) later_ages: [Option<&'a [u8]>; LayerKind::ALL.len()],
    /// Of each kind, where it was requested.
    pub(crate) layers: [Option<&'a [[u16; 4]]>; LayerKind::ALL.len()],
    pub(super) fresh_pixels: usize,
}

impl<'a> MergedFrame<'a> {
    /// A merged, demodulated layer: bits of four half floats a pixel; `None` when it was not requested.
    pub fn layer(&self, kind: LayerKind) -> Option<&'a [[u16; 4]]> {
        self.layers[kind as usize]
    }

    /// Ages of a layer's pixels, as [`MergedFrame::ages`]: of one that is due later than its frames its own, else the frame's.
    /// `None` when it was not requested.
    pub fn layer_ages(&self, kind: LayerKind) -> Option<&'a [u8]> {
        self.layer(kind)?;
        Some(self.later_ages[kind as usize].unwrap_or(self.ages))
    }

    /// How old a layer is; `None` when it was not requested. It looks at each pixel once.
    pub fn layer_age(&self, kind: LayerKind) -> Option<LayerAge> {
        let ages = self.layer_ages(kind)?;
        let sum: u64 = ages.iter().map(|age| u64::from(*age)).sum();
        let oldest = ages.iter().copied().max().unwrap_or(0);
        Some(LayerAge { oldest, mean: sum as f32 / ages.len().max(1) as f32 })
    }

    /// The frame with another layer, of the same size, in place of the one of this kind; a kind that it doesn't have stays away.
    ///
    /// # Panics
    /// When the layer is of another size than the frame.
    pub fn with_layer(mut self, kind: LayerKind, layer: &'a [[u16; 4]]) -> MergedFrame<'a> {
        if self.layers[kind as usize].is_some() {
            assert_eq!(layer.len(), self.extent.pixels(), "a layer has the frame's size");
            self.layers[kind as usize] = Some(layer);
        }
        self
    }

    /// BLAKE3 of the merged layers, primary hits and ages, each preceded by its number and length: equal for equal bits.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("rayloom merged frame v1");
        let mut plane = |number: u8, bytes: &[u8]| {
            hasher.update(&[number]);
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for kind in LayerKind::ALL {
            if let Some(pixels) = self.layer(kind) {
                plane(PlaneKind::Layer(kind).to_u8(), bytemuck::cast_slice(pixels));
            }
        }
        for kind in PlaneKind::PRIMARY {
            plane(kind.to_u8(), bytemuck::cast_slice(primary_words(self.planes, kind)));
        }
        plane(u8::MAX, self.ages);
        *hasher.finalize().as_bytes()
    }

    /// Share of the pixels that were traced for exactly this frame, in all layers.
    pub fn fresh_fraction(&self) -> f32 {
        self.fresh_pixels as f32 / self.extent.pixels().max(1) as f32
    }

    /// How many pixels are 0, 1, 2... frames old; as long as the oldest needs it, the last of 256 were never traced.
    pub fn pixels_by_age(&self) -> Vec<u32> {
        let mut counts = [0; 256];
        if self.fresh_pixels == self.ages.len() {
            counts[0] = self.ages.len() as u32;
        } else {
            self.ages.iter().for_each(|age| counts[usize::from(*age)] += 1);
        }
        let length = counts.iter().rposition(|count| *count > 0).map_or(0, |oldest| oldest + 1);
        counts[..length].to_vec()
    }
}

/// How old a layer's pixels are, in frames; those that were never traced count as 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerAge {
    /// The oldest pixel's age.
    pub oldest: u8,
    /// The mean of all pixels.
    pub mean: f32,
}
