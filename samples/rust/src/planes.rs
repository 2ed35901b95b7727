//! The planes of the G-buffer: formats, and where each lies in a readback buffer.

use crate::vulkan::Readback;
use std::sync::Arc;

/// What a plane holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaneKind {
    /// Reversed depth with the far plane at infinity: [`crate::NEAR`] / planar distance; 0 on sky.
    Depth,
    /// Shading normal in world space, octahedral; 0 on sky. On the viewer's side.
    Normal,
    /// The triangle's normal, likewise.
    GeometricNormal,
    /// Base colour, sRGB-encoded.
    Albedo,
    /// Perceptual roughness and metalness.
    RoughnessMetalness,
    /// Radiance that the surface sends out itself.
    Emissive,
    /// Where the surface was in the previous frame less where it is, in pixels, +y down, without jitter.
    Motion,
    /// Index of the instance in the scene + 1; 0 on sky.
    InstanceId,
}

/// How a pixel is stored; little-endian, names as Vulkan's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaneFormat {
    /// A float.
    R32Float,
    /// Two 16-bit signed normalised integers.
    Rg16Snorm,
    /// Four bytes, the first three sRGB-encoded.
    Rgba8Srgb,
    /// Two unsigned normalised bytes.
    Rg8Unorm,
    /// Three 9-bit mantissas with a shared 5-bit exponent.
    Rgb9E5,
    /// Two half floats.
    Rg16Float,
    /// An unsigned integer.
    R32Uint,
}

impl PlaneFormat {
    /// Bytes of a pixel.
    pub const fn bytes_per_pixel(self) -> usize {
        match self {
            PlaneFormat::Rg8Unorm => 2,
            _ => 4,
        }
    }
}

impl PlaneKind {
    /// All planes; depth comes first, the others in the order of the shader's outputs.
    pub const ALL: [PlaneKind; 8] = [
        PlaneKind::Depth,
        PlaneKind::Normal,
        PlaneKind::GeometricNormal,
        PlaneKind::Albedo,
        PlaneKind::RoughnessMetalness,
        PlaneKind::Emissive,
        PlaneKind::Motion,
        PlaneKind::InstanceId,
    ];

    /// Its format.
    pub const fn format(self) -> PlaneFormat {
        match self {
            PlaneKind::Depth => PlaneFormat::R32Float,
            PlaneKind::Normal | PlaneKind::GeometricNormal => PlaneFormat::Rg16Snorm,
            PlaneKind::Albedo => PlaneFormat::Rgba8Srgb,
            PlaneKind::RoughnessMetalness => PlaneFormat::Rg8Unorm,
            PlaneKind::Emissive => PlaneFormat::Rgb9E5,
            PlaneKind::Motion => PlaneFormat::Rg16Float,
            PlaneKind::InstanceId => PlaneFormat::R32Uint,
        }
    }
}

/// Alignment of rows and planes in a readback buffer: what Direct3D 12 asks of row pitches.
const ALIGNMENT: usize = 256;

/// Where the planes of a view lie in a readback buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlaneLayout {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl PlaneLayout {
    pub(crate) fn row_pitch(&self, kind: PlaneKind) -> usize {
        (self.width as usize * kind.format().bytes_per_pixel()).next_multiple_of(ALIGNMENT)
    }

    fn size(&self, kind: PlaneKind) -> usize {
        self.row_pitch(kind) * self.height as usize
    }

    pub(crate) fn offset(&self, kind: PlaneKind) -> usize {
        PlaneKind::ALL.iter().take_while(|k| **k != kind).map(|k| self.size(*k)).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        PlaneKind::ALL.iter().map(|k| self.size(*k)).sum()
    }
}

/// One plane in mapped memory.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// What it holds.
    pub kind: PlaneKind,
    /// How its pixels are stored.
    pub format: PlaneFormat,
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub row_pitch: usize,
    /// `row_pitch * height` bytes, rows from the top.
    pub bytes: &'a [u8],
}

impl<'a> Plane<'a> {
    /// The bytes of a pixel. Panics outside of the plane.
    pub fn pixel(&self, x: u32, y: u32) -> &'a [u8] {
        assert!(x < self.width, "column {x} of {}", self.width);
        let size = self.format.bytes_per_pixel();
        &self.bytes[y as usize * self.row_pitch + x as usize * size..][..size]
    }

    /// The four bytes of a pixel as a word. Panics for smaller formats.
    pub fn word(&self, x: u32, y: u32) -> u32 {
        let bytes: [u8; 4] = self.pixel(x, y).try_into().expect("callers ask for words of four-byte formats");
        u32::from_le_bytes(bytes)
    }
}

/// The planes of a frame, on loan from the readback ring.
///
/// **Its slot of the ring is drawn into again only after this, and everything cloned from it, is dropped**: keep it for as
/// long as somebody reads the planes. Nothing waits meanwhile; drawing reports that the ring is full.
#[derive(Clone, Debug)]
pub struct ReadyPlanes {
    pub(crate) frame_id: u64,
    pub(crate) layout: PlaneLayout,
    pub(crate) memory: Arc<Readback>,
}

impl ReadyPlanes {
    /// The frame that they show.
    pub fn frame_id(&self) -> u64 {
        self.frame_id
    }

    /// One plane.
    pub fn plane(&self, kind: PlaneKind) -> Plane<'_> {
        let row_pitch = self.layout.row_pitch(kind);
        let bytes = &self.memory.bytes()[self.layout.offset(kind)..][..self.layout.size(kind)];
        Plane { kind, format: kind.format(), width: self.layout.width, height: self.layout.height, row_pitch, bytes }
    }

    /// All planes.
    pub fn planes(&self) -> impl Iterator<Item = Plane<'_>> {
        PlaneKind::ALL.into_iter().map(|kind| self.plane(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_follow_each_other_in_aligned_rows() {
        let layout = PlaneLayout { width: 75, height: 51 };
        assert_eq!(layout.row_pitch(PlaneKind::Depth), 512);
        assert_eq!(layout.row_pitch(PlaneKind::RoughnessMetalness), 256);
        assert_eq!(layout.offset(PlaneKind::Depth), 0);
        let last = PlaneKind::InstanceId;
        assert_eq!(layout.bytes(), layout.offset(last) + 512 * 51);
        assert_eq!(layout.bytes(), (7 * 512 + 256) * 51);
    }
}
