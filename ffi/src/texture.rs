//! Textures of a scene.

use crate::boundary;
use crate::handles;
use crate::pointer::{self, descriptor};
use crate::result::{Failure, rayloom_result};
use crate::scene::rayloom_scene;
use crate::view::check_reserved;
use bytes::Bytes;
use sdk::scene::{Texture, TextureData};
use std::ffi::c_void;
use std::sync::Arc;

/// Rows from the top, R, G, B, A with 8 bits each, no padding.
pub const RAYLOOM_TEXTURE_RGBA8: u32 = 1;
/// The bytes of a PNG or JPEG file, decoded on the peers.
pub const RAYLOOM_TEXTURE_FILE: u32 = 2;

/// struct_type of rayloom_texture_desc.
pub const RAYLOOM_STRUCT_TEXTURE_DESC: u32 = 12;

/// A texture; whether it is sRGB or linear follows from the material's input that reads it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_texture_desc {
    /// RAYLOOM_STRUCT_TEXTURE_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_texture_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// The engine's own name for it.
    pub user_id: u64,
    /// A RAYLOOM_TEXTURE_ value.
    pub format: u32,
    /// Width in pixels, 1 to 16384; 0 for RAYLOOM_TEXTURE_FILE.
    pub width: u32,
    /// Height in pixels, 1 to 16384; 0 for RAYLOOM_TEXTURE_FILE.
    pub height: u32,
    /// 0.
    pub reserved: u32,
    /// The bytes.
    pub data: *const c_void,
    /// Number of bytes.
    pub size: usize,
}
descriptor!(rayloom_texture_desc, RAYLOOM_STRUCT_TEXTURE_DESC);

/// Adds a texture and gives its id in the scene.
///
/// Threads: any. The bytes are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_texture_create(
    scene: *mut rayloom_scene,
    desc: *const rayloom_texture_desc,
    texture: *mut u32,
) -> rayloom_result {
    boundary::call("rayloom_texture_create", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let (desc, out) = unsafe { (pointer::read("desc", desc)?, pointer::out("texture", texture)?) };
        let named = |failure: Failure| failure.of("texture", desc.user_id);
        check_reserved("desc->reserved", desc.reserved).map_err(named)?;
        // SAFETY: the header's contract; any byte is valid.
        let bytes = unsafe { pointer::slice("desc->data", desc.data.cast::<u8>(), desc.size) }.map_err(named)?;
        let (width, height) = (desc.width, desc.height);
        let needed = u64::from(width) * u64::from(height) * 4;
        // Checked before anything is copied.
        let data = match desc.format {
            RAYLOOM_TEXTURE_RGBA8 if needed != desc.size as u64 => {
                let text = format!("desc->size is {}, {width}x{height} pixels have {needed} bytes", desc.size);
                return Err(named(Failure::argument(text)));
            }
            RAYLOOM_TEXTURE_RGBA8 => TextureData::Rgba8 { width, height, pixels: Bytes::copy_from_slice(bytes) },
            RAYLOOM_TEXTURE_FILE if needed != 0 => {
                let text = format!("desc says {width}x{height}, but the file says its size itself: use 0");
                return Err(named(Failure::argument(text)));
            }
            RAYLOOM_TEXTURE_FILE => TextureData::Encoded(Bytes::copy_from_slice(bytes)),
            other => {
                let text = format!("desc->format is {other}: use RAYLOOM_TEXTURE_RGBA8 or RAYLOOM_TEXTURE_FILE");
                return Err(named(Failure::argument(text)));
            }
        };
        let texture = Texture { data, user_id: desc.user_id };
        texture.extent()?;
        out.write(scene.edit(|scene| {
            scene.textures.push(Arc::new(texture));
            scene.textures.len() as u32 - 1
        }));
        Ok(())
    })
}
