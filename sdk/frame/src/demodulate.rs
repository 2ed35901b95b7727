//! Divisors that take materials out of lighting and put them back, and which pixel a coarse sample stands for.
//!
//! **A peer divides by exactly what the merger multiplies with**, so both compute the divisors from the values *as they
//! are packed in the planes* (8-bit sRGB base colour, 8-bit roughness and metalness, octahedral normal), not from the
//! floats before packing. The renderer's GLSL mirrors these few lines and reads [`SPECULAR_TABLE`] from a buffer.

use std::sync::LazyLock;

use glam::{Vec3, Vec4};

pub use crate::specular_table::SPECULAR_TABLE;
use crate::{Extent, simd::Lanes, srgb::srgb_to_linear};

/// Rows and columns of [`SPECULAR_TABLE`].
pub const SPECULAR_TABLE_SIZE: usize = 32;

/// The smallest divisor: one 8-bit step, so that black surfaces divide nothing by zero.
pub const MIN_DIVISOR: f32 = 1.0 / 255.0;

/// Reflectance of dielectrics at normal incidence (index of refraction 1.5, as glTF 2.0 has it).
pub const DIELECTRIC_F0: f32 = 0.04;

/// What diffuse light is divided by: the diffuse albedo of a linear base colour, at least [`MIN_DIVISOR`] a channel.
#[inline]
pub fn albedo_divisor(base_color: Vec3, metalness: f32) -> Vec3 {
    (base_color * (1.0 - metalness)).max(Vec3::splat(MIN_DIVISOR))
}

/// Reflectance at normal incidence of a linear base colour.
#[inline]
pub fn specular_f0(base_color: Vec3, metalness: f32) -> Vec3 {
    Vec3::splat(DIELECTRIC_F0) + (base_color - Vec3::splat(DIELECTRIC_F0)) * metalness
}

/// What specular light is divided by: `f0 * A + B` of [`SPECULAR_TABLE`], at least [`MIN_DIVISOR`] a channel.
///
/// `roughness` is perceptual, `n_dot_v` the cosine between the shading normal and the direction to the camera; both are
/// clamped to [0, 1].
#[inline]
pub fn specular_divisor(f0: Vec3, roughness: f32, n_dot_v: f32) -> Vec3 {
    let (a, b) = specular_scale_and_bias(roughness, n_dot_v);
    (f0 * a + Vec3::splat(b)).max(Vec3::splat(MIN_DIVISOR))
}

/// Bilinear look-up of (A, B); samples lie at texel centres. Beyond the last ones, half a texel before roughness and cosine 1,
/// the lines through the last two go on.
#[inline(always)]
#[allow(clippy::manual_clamp, reason = "clamp would keep NaN")]
fn specular_scale_and_bias(roughness: f32, n_dot_v: f32) -> (f32, f32) {
    static TABLE: [[f32; 2]; SPECULAR_TABLE_SIZE * SPECULAR_TABLE_SIZE] = SPECULAR_TABLE;
    const LAST: f32 = SPECULAR_TABLE_SIZE as f32 - 0.5;
    let texel = |v: f32| (v * SPECULAR_TABLE_SIZE as f32 - 0.5).max(0.0).min(LAST);
    let (x, y) = (texel(n_dot_v), texel(roughness));
    let (x0, y0) = ((x as usize).min(SPECULAR_TABLE_SIZE - 2), (y as usize).min(SPECULAR_TABLE_SIZE - 2));
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    // Two neighbours in a row lie together: (A, B, A of the right one, B of the right one).
    let pair = |y: usize| {
        let [left, right] = [TABLE[y * SPECULAR_TABLE_SIZE + x0], TABLE[y * SPECULAR_TABLE_SIZE + x0 + 1]];
        Vec4::new(left[0], left[1], right[0], right[1])
    };
    let (top, bottom) = (pair(y0), pair(y0 + 1));
    let mixed = top + (bottom - top) * fy;
    (mixed.x + (mixed.z - mixed.x) * fx, mixed.y + (mixed.w - mixed.y) * fx)
}

/// [`SPECULAR_TABLE`] with its rows interpolated for each 8-bit roughness.
pub(crate) type SpecularRows = [[[f32; 2]; SPECULAR_TABLE_SIZE]; 256];

/// For loops that look up many values.
pub(crate) fn specular_rows() -> &'static SpecularRows {
    static ROWS: LazyLock<Box<SpecularRows>> = LazyLock::new(|| {
        let mut rows = Box::new([[[0.0; 2]; SPECULAR_TABLE_SIZE]; 256]);
        for (code, row) in rows.iter_mut().enumerate() {
            let roughness = code as f32 * (1.0 / 255.0);
            for (column, entry) in row.iter_mut().enumerate() {
                let (a, b) = specular_scale_and_bias(roughness, (column as f32 + 0.5) / SPECULAR_TABLE_SIZE as f32);
                *entry = [a, b];
            }
        }
        rows
    });
    &ROWS
}

/// (A, B) of eight pixels, for the 8-bit roughness in each lane's lowest byte.
#[inline(always)]
pub(crate) fn specular_scale_and_bias_lanes<L: Lanes>(rows: &SpecularRows, roughness: L, n_dot_v: L) -> (L, L) {
    let size = L::splat(SPECULAR_TABLE_SIZE as f32);
    let last = L::splat(SPECULAR_TABLE_SIZE as f32 - 0.5);
    let x = (n_dot_v * size - L::splat(0.5)).max(L::zero()).min(last);
    let x0 = x.float_to_integer().min_signed(L::splat_bits(SPECULAR_TABLE_SIZE as u32 - 2));
    let fx = x - x0.integer_to_float();
    let (roughness, columns) = (roughness.to_bits(), x0.to_bits());
    let mut found = [[0.0; 4]; 8];
    for i in 0..8 {
        let row = rows[(roughness[i] & 255) as usize].as_flattened();
        let first = 2 * columns[i] as usize;
        found[i] = *row[first..].first_chunk().expect("the column has a right neighbour");
    }
    let [a, b, right_a, right_b] = L::load_columns(found);
    (a + (right_a - a) * fx, b + (right_b - b) * fx)
}

/// A surface as the planes of primary hits describe it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surface {
    /// Linear base colour.
    pub base_color: Vec3,
    /// Perceptual roughness.
    pub roughness: f32,
    /// 0 dielectric, 1 metal.
    pub metalness: f32,
}

impl Surface {
    /// From the packed [`crate::PlaneKind::BaseColor`] and [`crate::PlaneKind::Material`] values.
    #[inline]
    pub fn unpack(base_color: u32, material: u32) -> Surface {
        let [r, g, b, _] = base_color.to_le_bytes();
        let [roughness, metalness, _, _] = material.to_le_bytes();
        Surface {
            base_color: Vec3::new(srgb_to_linear(r), srgb_to_linear(g), srgb_to_linear(b)),
            roughness: roughness as f32 / 255.0,
            metalness: metalness as f32 / 255.0,
        }
    }

    /// Divisor of the direct and indirect layers.
    #[inline]
    pub fn albedo_divisor(&self) -> Vec3 {
        albedo_divisor(self.base_color, self.metalness)
    }

    /// Divisor of the specular layer.
    #[inline]
    pub fn specular_divisor(&self, n_dot_v: f32) -> Vec3 {
        specular_divisor(specular_f0(self.base_color, self.metalness), self.roughness, n_dot_v)
    }
}

/// Which pixel of a `scale` x `scale` block a coarse sample of this frame stands for: (right, down) from the block's top left pixel.
///
/// It visits every pixel of the block once in `scale * scale` frames, diagonals first, so that history fills all of them.
pub const fn scaled_sample_offset(frame_id: u64, scale: u32) -> (u32, u32) {
    match scale {
        0 | 1 => (0, 0),
        2 => {
            let n = (frame_id & 3) as u32;
            // (0,0) (1,1) (1,0) (0,1)
            ((n + 1) >> 1 & 1, n & 1)
        }
        _ => {
            let n = (frame_id % (scale as u64 * scale as u64)) as u32;
            (n % scale, n / scale)
        }
    }
}

/// The pixel that block (`block_x`, `block_y`) stands for in this frame; blocks that stick out of the view stand for
/// their last pixel inside.
pub const fn scaled_sample_pixel(block_x: u32, block_y: u32, frame_id: u64, scale: u32, extent: Extent) -> (u32, u32) {
    let (dx, dy) = scaled_sample_offset(frame_id, scale);
    let (x, y) = (block_x * scale + dx, block_y * scale + dy);
    (if x < extent.width { x } else { extent.width - 1 }, if y < extent.height { y } else { extent.height - 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Half4, Kernel, dispatch};

    #[test]
    fn divisors_never_vanish() {
        assert_eq!(albedo_divisor(Vec3::ONE, 1.0), Vec3::splat(MIN_DIVISOR));
        assert_eq!(albedo_divisor(Vec3::new(0.5, 0.25, 0.0), 0.0), Vec3::new(0.5, 0.25, MIN_DIVISOR));
        for v in [f32::NAN, -1.0, 0.0, 0.5, 1.0, 9.0] {
            let d = specular_divisor(Vec3::ZERO, v, v);
            assert!(d.min_element() >= MIN_DIVISOR && d.max_element() <= 1.0, "{v}: {d}");
        }
    }

    #[test]
    fn a_smooth_mirror_reflects_its_f0_head_on() {
        let d = specular_divisor(Vec3::new(1.0, 0.5, 0.04), 0.0, 1.0);
        assert!((d - Vec3::new(1.0, 0.5, 0.04)).abs().max_element() < 2e-3, "{d}");
    }

    #[test]
    fn texel_centres_give_the_table_itself() {
        for (i, entry) in SPECULAR_TABLE.iter().enumerate() {
            let (x, y) = (i % SPECULAR_TABLE_SIZE, i / SPECULAR_TABLE_SIZE);
            let centre = |v: usize| (v as f32 + 0.5) / SPECULAR_TABLE_SIZE as f32;
            let (a, b) = specular_scale_and_bias(centre(y), centre(x));
            assert!((a - entry[0]).abs() < 1e-5 && (b - entry[1]).abs() < 1e-5);
        }
    }

    #[test]
    fn eight_pixels_look_up_what_each_does() {
        struct Eight([u32; 8], [f32; 8]);
        impl Kernel for Eight {
            type Output = ([f32; 8], [f32; 8]);

            #[inline(always)]
            fn run<H: Half4>(self) -> Self::Output {
                let (roughness, n_dot_v) = (H::Lanes::load_bits(&self.0), H::Lanes::load(&self.1));
                let (a, b) = specular_scale_and_bias_lanes(specular_rows(), roughness, n_dot_v);
                (a.to_array(), b.to_array())
            }
        }
        let n_dot_v = [f32::NAN, -1.0, 0.0, 0.013, 0.4, 0.77, 1.0, 9.0];
        for code in 0..256 {
            let (a, b) = dispatch(Eight([code; 8], n_dot_v));
            for i in 0..8 {
                let expected = specular_scale_and_bias(code as f32 / 255.0, n_dot_v[i]);
                assert!((a[i] - expected.0).abs() < 1e-5 && (b[i] - expected.1).abs() < 1e-5, "{code} {i}");
            }
        }
    }

    #[test]
    fn packed_values_unpack_to_what_gltf_means() {
        let s = Surface::unpack(0xff00_80ff, 0x0100_ff80);
        assert_eq!(s.base_color, Vec3::new(1.0, srgb_to_linear(0x80), 0.0));
        assert_eq!((s.roughness, s.metalness), (128.0 / 255.0, 1.0));
    }

    #[test]
    fn a_coarse_sample_visits_all_four_pixels_in_four_frames() {
        for start in [0, 5, u64::MAX - 3] {
            let mut seen: Vec<_> = (0..4).map(|i| scaled_sample_offset(start.wrapping_add(i), 2)).collect();
            seen.sort_unstable();
            assert_eq!(seen, [(0, 0), (0, 1), (1, 0), (1, 1)]);
        }
        assert_eq!(scaled_sample_offset(3, 1), (0, 0));
    }

    #[test]
    fn blocks_at_odd_edges_stand_for_a_pixel_of_the_view() {
        assert_eq!(scaled_sample_pixel(2, 1, 1, 2, Extent::new(5, 3)), (4, 2));
    }
}
