//! Textures as the engine has them: compressed files stay compressed until a GPU needs them.

use crate::SceneError;
use bytes::Bytes;
use image::{ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// Largest width and height of a texture in pixels.
pub const MAX_TEXTURE_SIZE: u32 = 16384;

/// What decoding may allocate: one texture of the largest size with 4 bytes a pixel, and the decoder's own needs.
const MAX_DECODED_BYTES: u64 = (1 << 30) + (256 << 20);

/// Pixels that one byte of a PNG can stand for at most: deflate reaches 1032:1, and a byte holds 8 pixels of 1 bit.
const MAX_PIXELS_PER_BYTE: u64 = 8 * 1032;

/// The bytes of a texture.
#[derive(Clone, Debug, PartialEq)]
pub enum TextureData {
    /// A PNG or JPEG file, decoded on the peer.
    Encoded(Bytes),
    /// Rows from the top, 4 bytes a pixel: R, G, B, A.
    Rgba8 {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// width x height x 4 bytes.
        pixels: Bytes,
    },
}

/// A texture; how its values are read (sRGB or linear) is the using slot's matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Texture {
    /// Its bytes.
    pub data: TextureData,
    /// The engine's own name for it.
    pub user_id: u64,
}

impl Texture {
    /// Width and height in pixels, from the header alone.
    ///
    /// # Errors
    /// [`SceneError::Invalid`] when it is neither PNG nor JPEG, its header is damaged, a side is 0 or beyond
    /// [`MAX_TEXTURE_SIZE`], or there are too few bytes for so many pixels.
    pub fn extent(&self) -> Result<(u32, u32), SceneError> {
        let (width, height, bytes, pixels_per_byte) = match &self.data {
            TextureData::Encoded(bytes) => {
                let (width, height) = self.decoder(bytes)?.dimensions();
                (width, height, bytes, MAX_PIXELS_PER_BYTE)
            }
            TextureData::Rgba8 { width, height, pixels } => (*width, *height, pixels, 1),
        };
        if !(1..=MAX_TEXTURE_SIZE).contains(&width) || !(1..=MAX_TEXTURE_SIZE).contains(&height) {
            return self.invalid(format!("is {width}x{height} pixels; each side must be 1 to {MAX_TEXTURE_SIZE}"));
        }
        let pixels = u64::from(width) * u64::from(height);
        let mismatch = match self.data {
            TextureData::Encoded(_) => pixels / pixels_per_byte > bytes.len() as u64,
            TextureData::Rgba8 { .. } => pixels * 4 != bytes.len() as u64,
        };
        if mismatch {
            return self.invalid(format!("has {} bytes, which cannot hold {width}x{height} pixels", bytes.len()));
        }
        Ok((width, height))
    }

    /// Channels of a pixel as the file stores them, from the header alone: 1 grey, 2 grey and alpha, 3 or 4 with colours.
    ///
    /// # Errors
    /// As [`Texture::extent`].
    pub fn channels(&self) -> Result<u8, SceneError> {
        match &self.data {
            TextureData::Encoded(bytes) => Ok(self.decoder(bytes)?.color_type().channel_count()),
            TextureData::Rgba8 { .. } => Ok(4),
        }
    }

    /// Width, height and pixels: rows from the top, R, G, B, A with 8 bits each, as stored (no colour conversion).
    ///
    /// # Errors
    /// As [`Texture::extent`], and when the file is damaged or truncated. Allocates at most 1.25 GiB.
    pub fn decode(&self) -> Result<(u32, u32, Vec<u8>), SceneError> {
        let (width, height) = self.extent()?;
        let bytes = match &self.data {
            TextureData::Rgba8 { pixels, .. } => return Ok((width, height, pixels.to_vec())),
            TextureData::Encoded(bytes) => bytes,
        };
        // The JPEG decoder fills what is missing with grey; the end marker tells whether something is.
        if bytes.starts_with(&[0xff, 0xd8]) && !bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
            return self.invalid(format!("JPEG is truncated: no end marker in {} bytes", bytes.len()));
        }
        let decoder = self.decoder(bytes)?;
        match image::DynamicImage::from_decoder(decoder) {
            Ok(image) => Ok((width, height, image.into_rgba8().into_raw())),
            Err(error) => self.invalid(format!("cannot be decoded: {error}")),
        }
    }

    fn decoder<'a>(&self, bytes: &'a Bytes) -> Result<impl ImageDecoder + 'a, SceneError> {
        let format = match image::guess_format(bytes) {
            Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
            _ => {
                let start = &bytes[..bytes.len().min(8)];
                return self
                    .invalid(format!("is neither PNG nor JPEG ({} bytes that begin with {start:02x?})", bytes.len()));
            }
        };
        let mut reader = ImageReader::with_format(Cursor::new(bytes.as_ref()), format);
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_TEXTURE_SIZE);
        limits.max_image_height = Some(MAX_TEXTURE_SIZE);
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        reader.limits(limits);
        reader.into_decoder().or_else(|error| self.invalid(format!("has a header that cannot be read: {error}")))
    }

    fn invalid<T>(&self, reason: String) -> Result<T, SceneError> {
        Err(SceneError::Invalid { object: format!("texture (user id {})", self.user_id), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let image = image::RgbImage::from_fn(40, 24, |x, y| image::Rgb([x as u8 * 6, y as u8 * 10, 77]));
        let mut out = Cursor::new(Vec::new());
        image.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn texture(bytes: Vec<u8>) -> Texture {
        Texture { data: TextureData::Encoded(bytes.into()), user_id: 3 }
    }

    #[test]
    fn png_and_jpeg_decode_and_their_truncations_do_not() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let bytes = encoded(format);
            let (width, height, pixels) = texture(bytes.clone()).decode().unwrap();
            assert_eq!((width, height, pixels.len()), (40, 24, 40 * 24 * 4));
            assert!(pixels[2].abs_diff(77) < 8);
            for cut in [0, 4, 20, bytes.len() / 2, bytes.len() - 20] {
                let text = texture(bytes[..cut].to_vec()).decode().unwrap_err().to_string();
                assert!(text.contains("user id 3"), "{text}");
            }
        }
    }

    #[test]
    fn a_header_that_promises_more_than_its_bytes_hold_is_refused() {
        let mut bytes = encoded(ImageFormat::Png);
        bytes[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
        assert!(texture(bytes).extent().is_err());
        let raw = TextureData::Rgba8 { width: 2, height: 2, pixels: Bytes::from_static(&[0; 15]) };
        assert!(Texture { data: raw, user_id: 0 }.extent().is_err());
        let raw = TextureData::Rgba8 { width: 0, height: 2, pixels: Bytes::new() };
        assert!(Texture { data: raw, user_id: 0 }.extent().is_err());
    }
}
