//! Textures as the engine has them: compressed files stay compressed until a GPU needs them.

use bytes::Bytes;

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
