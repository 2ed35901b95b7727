//! One picture as the encoder wants it: I420, BT.709 limited range, even sides.

use std::time::{Duration, Instant};

use yuv::{BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix, rgba_to_yuv420};

use crate::error::StreamError;

const MIN_SIDE: u32 = 16;
const MAX_LONG_SIDE: u32 = 3840;
const MAX_SHORT_SIDE: u32 = 2160;

/// A picture in planar 4:2:0, its planes packed without padding.
#[derive(Clone, Debug)]
pub struct Picture {
    width: u32,
    height: u32,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    /// The engine's time for it, nanoseconds.
    pub(crate) time_ns: u64,
    /// When it was handed over.
    pub(crate) submitted: Instant,
    /// What the conversion took.
    pub(crate) convert: Duration,
}

impl Picture {
    /// A black picture of `width` x `height` pixels, cropped to even sides.
    pub fn black(width: u32, height: u32) -> Self {
        let (width, height) = (width & !1, height & !1);
        let pixels = width as usize * height as usize;
        Self {
            width,
            height,
            y: vec![16; pixels],
            u: vec![128; pixels / 4],
            v: vec![128; pixels / 4],
            time_ns: 0,
            submitted: Instant::now(),
            convert: Duration::ZERO,
        }
    }

    /// Pixels, even.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels, even.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The planes: luma `width` x `height`, then both chroma planes at half the size each way.
    pub fn planes(&self) -> (&[u8], &[u8], &[u8]) {
        (&self.y, &self.u, &self.v)
    }

    /// Converts an RGBA8 image (rows of `row_pitch` bytes, sRGB-coded) into this picture, which
    /// takes on its size. An odd side loses its last row or column: 4:2:0 has no half samples.
    pub fn fill_from_rgba(
        &mut self,
        rgba: &[u8],
        width: u32,
        height: u32,
        row_pitch: usize,
    ) -> Result<(), StreamError> {
        check_rgba(rgba, width, height, row_pitch)?;
        let (even_width, even_height) = (width & !1, height & !1);
        let pixels = even_width as usize * even_height as usize;
        self.width = even_width;
        self.height = even_height;
        self.y.resize(pixels, 0);
        self.u.resize(pixels / 4, 0);
        self.v.resize(pixels / 4, 0);
        let mut planes = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut self.y),
            y_stride: even_width,
            u_plane: BufferStoreMut::Borrowed(&mut self.u),
            u_stride: even_width / 2,
            v_plane: BufferStoreMut::Borrowed(&mut self.v),
            v_stride: even_width / 2,
            width: even_width,
            height: even_height,
        };
        let pitch = u32::try_from(row_pitch).map_err(|_| StreamError::PictureBytes {
            width,
            height,
            row_pitch,
            needed: usize::MAX,
            given: rgba.len(),
        })?;
        rgba_to_yuv420(
            &mut planes,
            rgba,
            pitch,
            YuvRange::Limited,
            YuvStandardMatrix::Bt709,
            YuvConversionMode::Balanced,
        )
        .map_err(|error| StreamError::Encoder(format!("the colour conversion: {error}")))?;
        Ok(())
    }
}

/// Checks that a size can be encoded at all.
pub(crate) fn check_size(width: u32, height: u32) -> Result<(), StreamError> {
    let (long, short) = (width.max(height), width.min(height));
    if short < MIN_SIDE || long > MAX_LONG_SIDE || short > MAX_SHORT_SIDE {
        return Err(StreamError::PictureSize { width, height });
    }
    Ok(())
}

/// Checks that the bytes given hold the image described.
pub(crate) fn check_rgba(rgba: &[u8], width: u32, height: u32, row_pitch: usize) -> Result<(), StreamError> {
    check_size(width, height)?;
    let row = width as usize * 4;
    // The last row may end where its pixels end.
    let needed = row_pitch.checked_mul(height as usize - 1).and_then(|rows| rows.checked_add(row));
    match needed {
        Some(needed) if row_pitch >= row && rgba.len() >= needed => Ok(()),
        _ => Err(StreamError::PictureBytes {
            width,
            height,
            row_pitch,
            needed: needed.unwrap_or(usize::MAX),
            given: rgba.len(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_colour(rgb: [u8; 3]) -> (u8, u8, u8) {
        let rgba: Vec<u8> = (0..32 * 16).flat_map(|_| [rgb[0], rgb[1], rgb[2], 255]).collect();
        let mut picture = Picture::black(16, 16);
        picture.fill_from_rgba(&rgba, 32, 16, 128).unwrap();
        let (y, u, v) = picture.planes();
        (y[100], u[20], v[20])
    }

    #[test]
    fn colours_are_bt709_in_limited_range() {
        // ITU-R BT.709-6, table 3: white is 235, black 16, pure red 63/102/240.
        assert_eq!(one_colour([255, 255, 255]), (235, 128, 128));
        assert_eq!(one_colour([0, 0, 0]), (16, 128, 128));
        let (y, u, v) = one_colour([255, 0, 0]);
        assert!(y.abs_diff(63) <= 1 && u.abs_diff(102) <= 1 && v.abs_diff(240) <= 1, "{y} {u} {v}");
    }

    #[test]
    fn odd_sides_are_cropped_and_padded_rows_skipped() {
        let pitch = 33 * 4 + 20;
        let mut rgba = vec![255_u8; pitch * 16 + 33 * 4];
        for row in 0..16 {
            rgba[row * pitch + 33 * 4..(row + 1) * pitch].fill(0);
        }
        let mut picture = Picture::black(16, 16);
        picture.fill_from_rgba(&rgba, 33, 17, pitch).unwrap();
        assert_eq!((picture.width(), picture.height()), (32, 16));
        assert!(picture.planes().0.iter().all(|y| *y == 235), "the padding leaked in");
    }

    #[test]
    fn wrong_sizes_and_short_slices_are_refused() {
        let mut picture = Picture::black(16, 16);
        let bytes = vec![0_u8; 64 * 64 * 4];
        for (width, height, pitch) in [
            (0, 64, 256),
            (64, 0, 256),
            (8, 64, 256),
            (4000, 64, 16000),
            (64, 65, 256),
            (64, 64, 255),
            (64, 64, usize::MAX),
        ] {
            assert!(picture.fill_from_rgba(&bytes, width, height, pitch).is_err(), "{width}x{height} pitch {pitch}");
        }
        assert!(picture.fill_from_rgba(&bytes, 64, 64, 256).is_ok());
    }
}
