//! Textures on the GPU: plain buffers of 8-bit texels with mips, filtered by the shader.
//!
//! Buffers instead of sampled images: every device filters bit for bit alike, and no descriptor limits how many there are.

use crate::RendererError;
use crate::vulkan::{Buffer, Submitter};
use rayloom_frame::srgb::srgb_to_linear;
use rayloom_scene::{Texture, TextureData};
use std::borrow::Cow;
use std::io::Cursor;

/// Largest width or height.
const MAX_SIZE: u32 = 16384;
/// Most bytes that decoding one file may take.
const MAX_DECODED_BYTES: u64 = 1 << 30;
/// Words of a texture's entry in the table: address (2), width, height, mip count, first texel of mips 1 to 15.
pub(crate) const TABLE_WORDS: usize = 20;
const MAX_LEVELS: usize = 16;

/// A texture on the GPU.
pub(crate) struct GpuTexture {
    buffer: Buffer,
    width: u32,
    height: u32,
    first_texels: Vec<u32>,
}

impl GpuTexture {
    /// Decodes and uploads; `color` textures hold sRGB and are stored as square roots of linear light.
    pub(crate) fn new(
        submitter: &Submitter,
        texture: &Texture,
        color: bool,
        name: &str,
    ) -> Result<GpuTexture, RendererError> {
        let (width, height, pixels) = decode(texture).map_err(|reason| RendererError::InvalidScene {
            object: format!("{name} ({})", texture.user_id),
            reason,
        })?;
        let mut texels: Vec<[u8; 4]> = pixels.as_chunks::<4>().0.to_vec();
        if color {
            let curve: [u8; 256] = std::array::from_fn(|c| (srgb_to_linear(c as u8).sqrt() * 255.0).round() as u8);
            for t in &mut texels {
                for c in &mut t[..3] {
                    *c = curve[*c as usize];
                }
            }
        }
        let first_texels = append_mips(&mut texels, width, height, color);
        let buffer = Buffer::with_bytes(submitter, "texture", texels.as_flattened())?;
        Ok(GpuTexture { buffer, width, height, first_texels })
    }

    /// Its entry in the table of textures.
    pub(crate) fn entry(&self) -> [u32; TABLE_WORDS] {
        let mut words = [0; TABLE_WORDS];
        let address = self.buffer.address();
        words[..4].copy_from_slice(&[address as u32, (address >> 32) as u32, self.width, self.height]);
        words[4] = self.first_texels.len() as u32;
        words[5..4 + self.first_texels.len()].copy_from_slice(&self.first_texels[1..]);
        words
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.buffer.size()
    }
}

fn decode(texture: &Texture) -> Result<(u32, u32, Cow<'_, [u8]>), String> {
    match &texture.data {
        TextureData::Rgba8 { width, height, pixels } => {
            let (width, height) = (*width, *height);
            let expected = u64::from(width) * u64::from(height) * 4;
            if width == 0 || height == 0 || width > MAX_SIZE || height > MAX_SIZE {
                return Err(format!("its size {width}x{height} is not within 1 to {MAX_SIZE}"));
            }
            if pixels.len() as u64 != expected {
                return Err(format!("{width}x{height} texels take {expected} bytes, not {}", pixels.len()));
            }
            Ok((width, height, Cow::Borrowed(pixels)))
        }
        TextureData::Encoded(file) => {
            let mut reader = image::ImageReader::new(Cursor::new(&file[..]));
            let mut limits = image::Limits::default();
            limits.max_image_width = Some(MAX_SIZE);
            limits.max_image_height = Some(MAX_SIZE);
            limits.max_alloc = Some(MAX_DECODED_BYTES);
            reader.limits(limits);
            let reader = reader.with_guessed_format().map_err(|e| e.to_string())?;
            let decoded = reader.decode().map_err(|e| format!("it can't be decoded as PNG or JPEG: {e}"))?.into_rgba8();
            Ok((decoded.width(), decoded.height(), Cow::Owned(decoded.into_raw())))
        }
    }
}

/// Appends box-filtered mips down to one texel and gives where each begins.
fn append_mips(texels: &mut Vec<[u8; 4]>, width: u32, height: u32, color: bool) -> Vec<u32> {
    let mut firsts = vec![0u32];
    let (mut w, mut h) = (width as usize, height as usize);
    let mut from = 0usize;
    while (w > 1 || h > 1) && firsts.len() < MAX_LEVELS {
        let (nw, nh) = ((w / 2).max(1), (h / 2).max(1));
        let first = texels.len();
        for y in 0..nh {
            for x in 0..nw {
                let (x1, y1) = ((x * 2 + 1).min(w - 1), (y * 2 + 1).min(h - 1));
                let four = [(x * 2, y * 2), (x1, y * 2), (x * 2, y1), (x1, y1)].map(|(x, y)| texels[from + y * w + x]);
                let mean = std::array::from_fn(|c| {
                    let channel = four.map(|t| u32::from(t[c]));
                    if color && c < 3 {
                        let squares: u32 = channel.iter().map(|v| v * v).sum();
                        (squares as f32 * 0.25).sqrt().round() as u8
                    } else {
                        ((channel.iter().sum::<u32>() + 2) / 4) as u8
                    }
                });
                texels.push(mean);
            }
        }
        firsts.push(first as u32);
        (w, h, from) = (nw, nh, first);
    }
    firsts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mips_keep_the_mean_light_and_end_with_one_texel() {
        let mut texels =
            vec![[0, 0, 0, 255], [255, 255, 255, 255], [255, 0, 255, 255], [0, 255, 0, 255], [9; 4], [9; 4]];
        let firsts = append_mips(&mut texels, 2, 3, true);
        assert_eq!(firsts, [0, 6]);
        // Half of the light of 1 is the square root of a half.
        assert_eq!(texels[6], [180, 180, 180, 255]);
        assert_eq!(append_mips(&mut vec![[0; 4]; 256 * 64], 256, 64, false).len(), 9);
    }

    #[test]
    fn impossible_textures_are_refused_with_the_reason() {
        let bad = |data| decode(&Texture { data, user_id: 7 }).expect_err("it must be refused");
        let pixels = bytes_of(&[0; 12]);
        assert!(bad(TextureData::Rgba8 { width: 2, height: 2, pixels }).contains("16 bytes, not 12"));
        assert!(bad(TextureData::Encoded(bytes_of(b"no picture"))).contains("PNG or JPEG"));
    }

    fn bytes_of<B: Default + From<Vec<u8>>>(data: &[u8]) -> B {
        B::from(data.to_vec())
    }
}
