//! Planes of the engine's own G-buffer as C has them.

use crate::pointer::{self, descriptor};
use crate::result::{Failure, RAYLOOM_UNSUPPORTED};
use crate::{
    RAYLOOM_PLANE_BASE_COLOR, RAYLOOM_PLANE_DEPTH, RAYLOOM_PLANE_INSTANCE_ID, RAYLOOM_PLANE_MATERIAL,
    RAYLOOM_PLANE_MOTION, RAYLOOM_PLANE_NORMAL,
};
use bytes::Bytes;
use sdk::Plane;
use sdk::frame::{EnginePlaneKind, Extent, PlaneFormat, Rect};
use std::ffi::c_void;

/// Normals of the triangles; submitted only. Without them the shading normals serve.
pub const RAYLOOM_PLANE_GEOMETRIC_NORMAL: u32 = 22;
/// Light that surfaces send out themselves; submitted only.
pub const RAYLOOM_PLANE_EMISSIVE: u32 = 23;

/// One float; depth buffers of 32 bits too.
pub const RAYLOOM_FORMAT_R32_FLOAT: u32 = 0;
/// One half float.
pub const RAYLOOM_FORMAT_R16_FLOAT: u32 = 1;
/// 16 bits that mean 0 to 1; depth buffers of 16 bits too.
pub const RAYLOOM_FORMAT_R16_UNORM: u32 = 2;
/// Depth of 24 bits that mean 0 to 1, in the lower bits; the upper 8 (stencil) are ignored.
pub const RAYLOOM_FORMAT_D24_UNORM_S8: u32 = 3;
/// Two bytes that mean 0 to 1.
pub const RAYLOOM_FORMAT_RG8_UNORM: u32 = 4;
/// Two bytes that mean -1 to 1.
pub const RAYLOOM_FORMAT_RG8_SNORM: u32 = 5;
/// Two half floats.
pub const RAYLOOM_FORMAT_RG16_FLOAT: u32 = 6;
/// Two times 16 bits that mean 0 to 1.
pub const RAYLOOM_FORMAT_RG16_UNORM: u32 = 7;
/// Two times 16 bits that mean -1 to 1.
pub const RAYLOOM_FORMAT_RG16_SNORM: u32 = 8;
/// Two floats.
pub const RAYLOOM_FORMAT_RG32_FLOAT: u32 = 9;
/// Four bytes that mean 0 to 1.
pub const RAYLOOM_FORMAT_RGBA8_UNORM: u32 = 10;
/// Four bytes, the first three sRGB-encoded.
pub const RAYLOOM_FORMAT_RGBA8_SRGB: u32 = 11;
/// Four bytes that mean 0 to 1, blue first.
pub const RAYLOOM_FORMAT_BGRA8_UNORM: u32 = 12;
/// Four bytes, the first three sRGB-encoded, blue first.
pub const RAYLOOM_FORMAT_BGRA8_SRGB: u32 = 13;
/// Four bytes that mean -1 to 1.
pub const RAYLOOM_FORMAT_RGBA8_SNORM: u32 = 14;
/// 10, 10, 10 and 2 bits that mean 0 to 1, red lowest.
pub const RAYLOOM_FORMAT_RGB10A2_UNORM: u32 = 15;
/// Floats of 11, 11 and 10 bits without sign, red lowest.
pub const RAYLOOM_FORMAT_R11G11B10_FLOAT: u32 = 16;
/// 9-bit mantissas with a shared exponent of 5 bits, red lowest.
pub const RAYLOOM_FORMAT_RGB9E5: u32 = 17;
/// Four half floats.
pub const RAYLOOM_FORMAT_RGBA16_FLOAT: u32 = 18;
/// Four times 16 bits that mean 0 to 1.
pub const RAYLOOM_FORMAT_RGBA16_UNORM: u32 = 19;
/// Four times 16 bits that mean -1 to 1.
pub const RAYLOOM_FORMAT_RGBA16_SNORM: u32 = 20;
/// Three floats.
pub const RAYLOOM_FORMAT_RGB32_FLOAT: u32 = 21;
/// Four floats.
pub const RAYLOOM_FORMAT_RGBA32_FLOAT: u32 = 22;
/// A whole number of 32 bits.
pub const RAYLOOM_FORMAT_R32_UINT: u32 = 23;
/// A whole number of 16 bits.
pub const RAYLOOM_FORMAT_R16_UINT: u32 = 24;
/// A whole number of 8 bits.
pub const RAYLOOM_FORMAT_R8_UINT: u32 = 25;

/// The plane is copied during the call: one pass over its bytes on the calling thread, and memory for them.
pub const RAYLOOM_LIFETIME_COPY: u32 = 0;
/// The plane stays readable and unwritten until RAYLOOM_EVENT_PLANES_RELEASED of its frame; nothing is copied.
pub const RAYLOOM_LIFETIME_BORROW: u32 = 1;

/// Memory that the CPU reads at full speed: a readback buffer in cached memory, not one behind a bus.
pub const RAYLOOM_MEMORY_CPU: u32 = 0;

/// struct_type of rayloom_plane_desc.
pub const RAYLOOM_STRUCT_PLANE_DESC: u32 = 7;

/// A plane of the engine's own G-buffer. What its numbers mean is said by the view's convention.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_plane_desc {
    /// RAYLOOM_STRUCT_PLANE_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_plane_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// RAYLOOM_PLANE_DEPTH, _NORMAL, _GEOMETRIC_NORMAL, _BASE_COLOR, _MATERIAL (roughness and metalness), _EMISSIVE,
    /// _MOTION or _INSTANCE_ID; each at most once.
    pub kind: u32,
    /// A RAYLOOM_FORMAT_ value.
    pub format: u32,
    /// A RAYLOOM_LIFETIME_ value.
    pub lifetime: u32,
    /// RAYLOOM_MEMORY_CPU; other kinds are RAYLOOM_UNSUPPORTED for now.
    pub memory_kind: u32,
    /// First byte of the top row of the texture.
    pub data: *const c_void,
    /// Bytes that may be read from there on.
    pub size: u64,
    /// Bytes from one row to the next.
    pub row_pitch: u64,
    /// Width of the texture in pixels.
    pub width: u32,
    /// Height of the texture in pixels.
    pub height: u32,
    /// Left column of the view in the texture; it is as large as the view.
    pub view_x: u32,
    /// Top row of the view in the texture.
    pub view_y: u32,
}
descriptor!(rayloom_plane_desc, RAYLOOM_STRUCT_PLANE_DESC);

/// The number in the header of each kind.
const KINDS: [(u32, EnginePlaneKind); 8] = [
    (RAYLOOM_PLANE_DEPTH, EnginePlaneKind::Depth),
    (RAYLOOM_PLANE_NORMAL, EnginePlaneKind::Normal),
    (RAYLOOM_PLANE_GEOMETRIC_NORMAL, EnginePlaneKind::GeometricNormal),
    (RAYLOOM_PLANE_BASE_COLOR, EnginePlaneKind::Albedo),
    (RAYLOOM_PLANE_MATERIAL, EnginePlaneKind::RoughnessMetalness),
    (RAYLOOM_PLANE_EMISSIVE, EnginePlaneKind::Emissive),
    (RAYLOOM_PLANE_MOTION, EnginePlaneKind::Motion),
    (RAYLOOM_PLANE_INSTANCE_ID, EnginePlaneKind::InstanceId),
];

/// Bits 1 << RAYLOOM_PLANE_ of the kinds that are required, and of the others.
pub(crate) fn requirements() -> (u64, u64) {
    let bits = |required| {
        let kinds = KINDS.iter().filter(|(_, kind)| EnginePlaneKind::REQUIRED.contains(kind) == required);
        kinds.fold(0, |bits, (number, _)| bits | 1 << number)
    };
    (bits(true), bits(false))
}

/// The engine's memory, for as long as it is lent.
struct Borrowed {
    data: *const u8,
    size: usize,
}

// SAFETY: the header's contract: lent memory stays readable and unwritten until the frame's planes are released, which is
// told after this was dropped; any thread may read it.
unsafe impl Send for Borrowed {}

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: see `Send` above; the size was checked to be one that a slice may have, and data not to be NULL.
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }
}

/// Takes planes over; copies those that ask for it.
///
/// # Safety
/// The header's contract: there are `count` descriptors, and behind each as many bytes as it says, until its lifetime ends.
pub(crate) unsafe fn read(planes: *const rayloom_plane_desc, count: u32, size: Extent) -> Result<Vec<Plane>, Failure> {
    if count as usize > KINDS.len() {
        return Err(Failure::argument(format!("count is {count}, there are {} kinds of planes", KINDS.len())));
    }
    (0..count as usize)
        .map(|index| {
            let what = format!("planes[{index}]");
            // A NULL array stays NULL, so that it is refused by name.
            let at = if planes.is_null() { planes } else { planes.wrapping_add(index) };
            // SAFETY: the caller vouches for it.
            let desc = unsafe { pointer::read(&what, at) }?;
            // SAFETY: the caller vouches for it.
            unsafe { plane(&what, &desc, size) }
        })
        .collect()
}

/// # Safety
/// As [`read`].
unsafe fn plane(what: &str, desc: &rayloom_plane_desc, size: Extent) -> Result<Plane, Failure> {
    let kind = KINDS.iter().find(|(number, _)| *number == desc.kind).map(|(_, kind)| *kind);
    let kind = kind
        .ok_or_else(|| Failure::argument(format!("{what}.kind is {}, which no plane of a G-buffer has", desc.kind)))?;
    let format = PlaneFormat::from_u32(desc.format).ok_or_else(|| {
        Failure::argument(format!("{what}.format is {}, which is none: use a RAYLOOM_FORMAT_ value", desc.format))
    })?;
    if desc.memory_kind != RAYLOOM_MEMORY_CPU {
        let text = format!("{what}.memory_kind is {}: only RAYLOOM_MEMORY_CPU is supported", desc.memory_kind);
        return Err(Failure::new(RAYLOOM_UNSUPPORTED, text));
    }
    if desc.data.is_null() {
        return Err(Failure::argument(format!("{what}.data is NULL: point to the texture's first byte")));
    }
    let bytes_most = isize::MAX as u64;
    if desc.size > bytes_most || desc.row_pitch > bytes_most {
        let text = format!("{what} says size {} and row_pitch {}, more than memory has", desc.size, desc.row_pitch);
        return Err(Failure::argument(text));
    }
    let borrowed = Borrowed { data: desc.data.cast(), size: desc.size as usize };
    let bytes = match desc.lifetime {
        RAYLOOM_LIFETIME_COPY => Bytes::copy_from_slice(borrowed.as_ref()),
        RAYLOOM_LIFETIME_BORROW => Bytes::from_owner(borrowed),
        other => {
            let text = format!("{what}.lifetime is {other}: use RAYLOOM_LIFETIME_COPY or _BORROW");
            return Err(Failure::argument(text));
        }
    };
    Ok(Plane {
        kind,
        format,
        extent: Extent::new(desc.width, desc.height),
        view_rect: Rect::new(desc.view_x, desc.view_y, size.width, size.height),
        row_pitch: desc.row_pitch as usize,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_numbered_alike() {
        let last = PlaneFormat::from_u32(RAYLOOM_FORMAT_R8_UINT).unwrap();
        assert_eq!(last.constant(), "RAYLOOM_FORMAT_R8_UINT");
        assert_eq!(
            PlaneFormat::from_u32(RAYLOOM_FORMAT_RGBA16_FLOAT).unwrap().constant(),
            "RAYLOOM_FORMAT_RGBA16_FLOAT"
        );
        assert!(PlaneFormat::from_u32(RAYLOOM_FORMAT_R8_UINT + 1).is_none());
        for number in 0..=RAYLOOM_FORMAT_R8_UINT {
            // The header's text names every format by its constant, with its number.
            let constant = PlaneFormat::from_u32(number).unwrap().constant();
            let line = format!("#define {constant} {number}\n");
            assert!(include_str!("../../include/rayloom.h").contains(&line), "{line}");
        }
    }

    #[test]
    fn what_is_required_is_what_layers_are_lit_by() {
        let (required, optional) = requirements();
        assert_eq!(required, 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19);
        assert_eq!(optional, 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23);
    }
}
