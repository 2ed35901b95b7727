//! What a composed picture's pixels are.

/// Format of a composed picture: rows from the top, no padding, opaque.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PictureFormat {
    /// Four bytes: red, green and blue in sRGB's code, alpha 255.
    #[default]
    Rgba8Srgb,
    /// 10, 10, 10 and 2 bits, red lowest: sRGB's code in 1024 steps, alpha 3.
    Rgb10a2Srgb,
    /// Four half floats: display-linear light, or with [`crate::compose::ToneMap::Linear`] exposed scene-linear light of any
    /// brightness; alpha 1.
    Rgba16Float,
}

impl PictureFormat {
    /// Bytes of a pixel.
    pub const fn bytes_per_pixel(self) -> usize {
        match self {
            PictureFormat::Rgba8Srgb | PictureFormat::Rgb10a2Srgb => 4,
            PictureFormat::Rgba16Float => 8,
        }
    }
}
