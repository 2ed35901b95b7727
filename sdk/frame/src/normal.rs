//! Octahedral unit vectors in 32 bits (Cigolle et al., "A Survey of Efficient Representations for Independent Unit Vectors", JCGT 2014).

use glam::Vec3;

use crate::simd::Lanes;

/// Packs a unit vector into two 16-bit snorm (x in the low half). The zero vector and non-finite ones give +Z.
pub fn encode_normal(normal: Vec3) -> u32 {
    let sum = normal.x.abs() + normal.y.abs() + normal.z.abs();
    if !(sum > 0.0 && sum.is_finite()) {
        return 0;
    }
    let (mut x, mut y) = (normal.x / sum, normal.y / sum);
    if normal.z < 0.0 {
        (x, y) = ((1.0 - y.abs()) * sign(x), (1.0 - x.abs()) * sign(y));
    }
    let snorm = |v: f32| (v.clamp(-1.0, 1.0) * 32767.0).round() as i16 as u16 as u32;
    snorm(x) | snorm(y) << 16
}

/// The unit vector that [`encode_normal`] packed; any bits give a unit vector.
pub fn decode_normal(packed: u32) -> Vec3 {
    decode_direction(packed).normalize()
}

/// The direction that [`encode_normal`] packed, with a length between 0.57 and 1: enough where only angles count.
#[inline]
pub(crate) fn decode_direction(packed: u32) -> Vec3 {
    let snorm = |v: u32| (v as u16 as i16 as f32 * (1.0 / 32767.0)).max(-1.0);
    let (x, y) = (snorm(packed), snorm(packed >> 16));
    let z = 1.0 - x.abs() - y.abs();
    let fold = (-z).max(0.0);
    Vec3::new(x - fold * sign(x), y - fold * sign(y), z)
}

/// [`decode_direction`] of eight normals: x, y and z.
#[inline(always)]
pub(crate) fn decode_directions<L: Lanes>(packed: L) -> [L; 3] {
    let (x, y) = (upper_snorm(packed.shift_left::<16>()), upper_snorm(packed));
    let z = L::splat(1.0) - x.abs() - y.abs();
    let fold = (L::zero() - z).max(L::zero());
    let sign = L::splat_bits(0x8000_0000);
    [x - (fold | (x & sign)), y - (fold | (y & sign)), z]
}

#[inline(always)]
fn upper_snorm<L: Lanes>(word: L) -> L {
    (word.shift_right_signed::<16>().integer_to_float() * L::splat(1.0 / 32767.0)).max(L::splat(-1.0))
}

/// A mask of packed normals the cosine between which is at least 0.9; lanes that are not `wanted` may be wrong.
#[inline(always)]
pub(crate) fn similar_normals<L: Lanes>(a: L, b: L, wanted: L) -> L {
    let nearly_equal = nearly_equal_normals(a, b);
    if (wanted & nearly_equal.not()).mask_bits() == 0 {
        return nearly_equal;
    }
    let a = decode_directions(a);
    similar_directions(a, dot(a, a), b) | nearly_equal
}

/// A mask of packed normals `b` the cosine between which and directions `a` is at least 0.9, given these directions' squared
/// lengths.
#[inline(always)]
pub(crate) fn similar_directions<L: Lanes>(a: [L; 3], square: L, b: L) -> L {
    let b = decode_directions(b);
    let cosine = dot(a, b);
    // The square loses the sign of the cosine: keep it.
    (square * dot(b, b) * L::splat(0.81)).le(cosine * cosine.abs())
}

/// A mask of packed normals whose numbers are so close (0.1) that they stand for directions within 20 degrees.
#[inline(always)]
pub(crate) fn nearly_equal_normals<L: Lanes>(a: L, b: L) -> L {
    a.halves_within::<3277>(b)
}

#[inline(always)]
pub(crate) fn dot<L: Lanes>(a: [L; 3], b: [L; 3]) -> L {
    (a[0] * b[0] + a[1] * b[1]) + a[2] * b[2]
}

#[inline]
fn sign(v: f32) -> f32 {
    if v >= 0.0 { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_come_back_within_a_hundredth_of_a_degree() {
        for i in 0..4000 {
            // A spherical Fibonacci set covers all octants and the folds.
            let z: f32 = 1.0 - (2.0 * i as f32 + 1.0) / 4000.0;
            let (s, c) = (i as f32 * 2.399_963_2).sin_cos();
            let r = (1.0 - z * z).sqrt();
            let n = Vec3::new(r * c, r * s, z);
            let back = decode_normal(encode_normal(n));
            assert!((back - n).length() < 1.7e-4, "{n} became {back}");
            assert!((back.length() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn the_axes_are_exact_and_nonsense_is_up_the_z_axis() {
        for axis in [Vec3::X, Vec3::NEG_X, Vec3::Y, Vec3::NEG_Y, Vec3::Z, Vec3::NEG_Z] {
            assert_eq!(decode_normal(encode_normal(axis)), axis);
        }
        assert_eq!(decode_normal(encode_normal(Vec3::ZERO)), Vec3::Z);
        assert_eq!(decode_normal(encode_normal(Vec3::splat(f32::NAN))), Vec3::Z);
    }
}
