//! Layers in five bytes a pixel: three 9-bit mantissas, a shared 5-bit exponent (EXT_texture_shared_exponent), an 8-bit alpha.
//!
//! The largest channel keeps 9 bits (error at most 1/1024 of it, relative to the next power of two), the others the same
//! absolute error. Negative light and NaN become 0, more than 65408 becomes 65408. Alpha keeps a half float's exponent and
//! its three upper mantissa bits: 0, 1 and 65504 are exact, hit distances are within 1/16.
//!
//! A pixel is the word of the texture format, exponent uppermost, then blue, green, red. Light is often nearly grey, so red
//! and blue are coded less green; then each field less that of the pixel above, or in the first row that to the left.

use super::lanes::{Lane, Rows};
use super::planes::Planes;
use crate::simd::codec::{from_rgb9e5, to_rgb9e5};

/// Coded bytes of a pixel: exponent and lowest mantissa bits; upper bits of red, green, blue; alpha.
pub(super) const BYTES_PER_PIXEL: usize = 5;

/// The lowest bit of each field.
const LOW: u32 = 1 << 27 | 1 << 18 | 1 << 9 | 1;
/// The highest bit of each field.
const HIGH: u32 = 1 << 31 | 1 << 26 | 1 << 17 | 1 << 8;

/// Fills [`BYTES_PER_PIXEL`] planes.
#[inline(always)]
pub(super) fn encode(rows: Rows<'_, [u16; 4]>, planes: &mut Planes) {
    let width = rows.width;
    planes.resize(BYTES_PER_PIXEL, width * rows.height);
    let (mut words, mut above) = (vec![0u32; width], vec![0u32; width]);
    let (mut alphas, mut alphas_above) = (vec![0u8; width], vec![0u8; width]);
    for y in 0..rows.height {
        to_rgb9e5(rows.row(y), &mut words, &mut alphas);
        words.iter_mut().for_each(|word| *word = sub(*word, green_twice(*word)));
        if y == 0 {
            above[1..].copy_from_slice(&words[..width - 1]);
            alphas_above[1..].copy_from_slice(&alphas[..width - 1]);
        }
        let [shared, red, green, blue, alpha] = planes.rows_mut(y * width..(y + 1) * width);
        // What stands in `above` is replaced by residuals: the next row's `above` is this one.
        above.iter_mut().zip(&words).for_each(|(above, word)| *above = fold(sub(*word, *above)));
        shared.iter_mut().zip(&above).for_each(|(byte, word)| {
            *byte = (word >> 24 & 0xf8 | word >> 16 & 4 | word >> 8 & 2 | word & 1) as u8;
        });
        red.iter_mut().zip(&above).for_each(|(byte, word)| *byte = (word >> 1) as u8);
        green.iter_mut().zip(&above).for_each(|(byte, word)| *byte = (word >> 10) as u8);
        blue.iter_mut().zip(&above).for_each(|(byte, word)| *byte = (word >> 19) as u8);
        let pairs = alphas.iter().zip(&alphas_above);
        alpha.iter_mut().zip(pairs).for_each(|(byte, (alpha, above))| *byte = alpha.sub(*above).fold());
        std::mem::swap(&mut words, &mut above);
        std::mem::swap(&mut alphas, &mut alphas_above);
    }
}

/// The inverse of [`encode`] for rows of `width` pixels: the pixels are appended to `out`.
#[inline(always)]
pub(super) fn decode(planes: &Planes, width: usize, height: usize, out: &mut Vec<[u16; 4]>) {
    let start = out.len();
    out.resize(start + width * height, [0; 4]);
    // Fields of this row and, before, of the one above.
    let (mut words, mut alphas) = (vec![0u32; width], vec![0u8; width]);
    let mut pixels = vec![0u32; width];
    for (y, row) in out[start..].chunks_exact_mut(width.max(1)).enumerate() {
        let [shared, red, green, blue, alpha] = planes.rows(y * width..(y + 1) * width);
        let bytes = shared.iter().zip(red).zip(green.iter().zip(blue));
        for (pixel, ((shared, red), (green, blue))) in pixels.iter_mut().zip(bytes) {
            let [shared, red, green, blue] = [*shared, *red, *green, *blue].map(u32::from);
            let low = shared & 1 | (shared & 2) << 8 | (shared & 4) << 16;
            *pixel = unfold((shared & 0xf8) << 24 | blue << 19 | green << 10 | red << 1 | low);
        }
        if y == 0 {
            let (mut left, mut alpha_left) = (0, 0u8);
            for (word, residual) in words.iter_mut().zip(&pixels) {
                left = add(left, *residual);
                *word = left;
            }
            for (above, residual) in alphas.iter_mut().zip(alpha) {
                alpha_left = alpha_left.add(residual.unfold());
                *above = alpha_left;
            }
        } else {
            words.iter_mut().zip(&pixels).for_each(|(word, residual)| *word = add(*word, *residual));
            alphas.iter_mut().zip(alpha).for_each(|(above, residual)| *above = above.add(residual.unfold()));
        }
        pixels.iter_mut().zip(&words).for_each(|(pixel, word)| *pixel = add(*word, green_twice(*word)));
        from_rgb9e5(&pixels, &alphas, row);
    }
}

/// Green in the fields of red and blue.
#[inline(always)]
fn green_twice(word: u32) -> u32 {
    let green = word >> 9 & 511;
    green | green << 18
}

/// Adds field by field, wrapping in each.
#[inline(always)]
fn add(a: u32, b: u32) -> u32 {
    ((a & !HIGH) + (b & !HIGH)) ^ ((a ^ b) & HIGH)
}

/// Subtracts field by field, wrapping in each.
#[inline(always)]
fn sub(a: u32, b: u32) -> u32 {
    ((a | HIGH) - (b & !HIGH)) ^ (!(a ^ b) & HIGH)
}

/// 0, -1, 1, -2 ... to 0, 1, 2, 3 ... in each field.
#[inline(always)]
fn fold(word: u32) -> u32 {
    (word << 1 & !LOW) ^ filled(word >> 8 & LOW & !(1 << 27) | word >> 31 << 27)
}

#[inline(always)]
fn unfold(word: u32) -> u32 {
    (word >> 1 & !HIGH) ^ filled(word & LOW)
}

/// Fields of ones where their lowest bit is set.
#[inline(always)]
fn filled(low: u32) -> u32 {
    // The exponent's field ends where the word does: what is shifted out is not missed.
    (low << 9).wrapping_sub(low) & 0x07ff_ffff | (low >> 27).wrapping_neg() << 27
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;
    use proptest::prelude::*;

    fn round_trip(pixel: [f32; 4]) -> [f32; 4] {
        let halves = [pixel.map(|c| f16::from_f32(c).to_bits())];
        let (mut planes, mut out) = (Planes::default(), Vec::new());
        encode(Rows { pixels: &halves, stride: 1, first: 0, width: 1, height: 1 }, &mut planes);
        decode(&planes, 1, 1, &mut out);
        out[0].map(|h| f16::from_bits(h).to_f32())
    }

    #[test]
    fn values_of_nine_bits_are_exact() {
        for v in [[0.0, 0.0, 0.0, 0.0], [1.0, 0.5, 0.25, 1.0], [511.0, 1.0, 0.0, 65504.0], [65408.0, 128.0, 0.0, 2.0]] {
            assert_eq!(round_trip(v), v);
        }
    }

    #[test]
    fn what_is_no_light_becomes_none() {
        let [r, g, b, a] = round_trip([f32::NAN, -3.0, f32::INFINITY, f32::NAN]);
        assert_eq!([r, g, b], [0.0, 0.0, 65408.0]);
        assert!(a.is_finite());
        assert_eq!(round_trip([-0.0; 4]), [0.0; 4]);
    }

    #[test]
    fn the_error_is_a_four_hundredth_of_the_largest_channel() {
        let mut v = 1e-4f32;
        while v < 60000.0 {
            let pixel = [v, v * 0.37, v * 0.011, v];
            let back = round_trip(pixel);
            for c in 0..3 {
                assert!((back[c] - pixel[c]).abs() <= v / 400.0 + 6e-8, "{pixel:?} became {back:?}");
            }
            assert!((back[3] - v).abs() <= v / 15.0);
            v *= 1.173;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn fields_do_not_touch_each_other(a: u32, b: u32) {
            let fields = |word: u32| [word & 511, word >> 9 & 511, word >> 18 & 511, word >> 27];
            let masks = [511, 511, 511, 31u32];
            let (sum, difference, folded) = (fields(add(a, b)), fields(sub(a, b)), fields(fold(a)));
            for (k, mask) in masks.into_iter().enumerate() {
                let (x, y) = (fields(a)[k], fields(b)[k]);
                prop_assert_eq!(sum[k], x.wrapping_add(y) & mask);
                prop_assert_eq!(difference[k], x.wrapping_sub(y) & mask);
                prop_assert_eq!(folded[k], if x > mask / 2 { 2 * (mask - x) + 1 } else { 2 * x });
            }
            prop_assert_eq!(unfold(fold(a)), a);
        }
    }
}
