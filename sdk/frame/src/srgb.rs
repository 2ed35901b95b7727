//! The sRGB transfer function (IEC 61966-2-1) between 8-bit codes and linear light.

use std::sync::LazyLock;

use crate::simd::{Lanes, power};

/// Linear light of an sRGB code in [0, 1].
pub fn srgb_to_linear(code: u8) -> f32 {
    TO_LINEAR[code as usize]
}

/// The nearest sRGB code of linear light; below 0 and NaN give 0, above 1 gives 255.
///
/// A table over the float's upper bits, as in Giesen's `float_to_srgb8`; within 0.6 of the exact curve in codes.
#[inline]
pub fn linear_to_srgb(linear: f32) -> u8 {
    linear_to_srgb_with(&TO_SRGB, linear)
}

/// Entries of the table behind [`linear_to_srgb`]: 12 octaves below 1, 512 steps each, and 1 itself.
const TO_SRGB_LEN: usize = 12 * STEPS_PER_OCTAVE + 1;
const STEPS_PER_OCTAVE: usize = 512;
/// Linear light below this is code 0 or 1 (12.92 * 255 / 4096 = 0.8): one comparison.
const SMALLEST: f32 = 1.0 / 4096.0;

/// The table for loops that look up many values; eight at once read four bytes each.
pub(crate) type ToSrgb = [u8; TO_SRGB_LEN + 3];

/// The table that [`linear_to_srgb_with`] reads.
pub(crate) fn to_srgb_table() -> &'static ToSrgb {
    &TO_SRGB
}

/// Linear light of all codes, for loops that look up many.
pub(crate) fn to_linear_table() -> &'static [f32; 256] {
    &TO_LINEAR
}

/// [`linear_to_srgb`] with the table already at hand.
#[inline]
pub(crate) fn linear_to_srgb_with(table: &ToSrgb, linear: f32) -> u8 {
    if linear < SMALLEST || linear.is_nan() {
        return if linear * (12.92 * 255.0) >= 0.5 { 1 } else { 0 };
    }
    let bits = linear.min(1.0).to_bits() - SMALLEST.to_bits();
    table[(bits >> 14) as usize]
}

/// [`linear_to_srgb_with`] of eight values.
#[inline(always)]
pub(crate) fn linear_to_srgb_lanes<L: Lanes>(table: &ToSrgb, linear: L) -> L {
    let smallest = L::splat(SMALLEST);
    let bits = linear.max(smallest).min(L::splat(1.0)).sub_bits(smallest);
    let dark = L::splat_bits(1) & L::splat(0.5).le(linear * L::splat(12.92 * 255.0));
    bits.shift_right::<14>().look_up_bytes(table).select(smallest.le(linear), dark)
}

/// The nearest of 1024 codes of eight values, within 0.6 of the exact curve in codes; what is no number is 0.
#[inline(always)]
pub(crate) fn linear_to_srgb_1023_lanes<L: Lanes>(linear: L) -> L {
    let light = linear.max(L::zero()).min(L::splat(1.0));
    let curved = power::power(light, 1.0 / 2.4) * L::splat(1.055) - L::splat(0.055);
    let code = (light * L::splat(12.92)).select(light.le(L::splat(0.003_130_8)), curved);
    (code * L::splat(1023.0) + L::splat(0.5)).float_to_integer()
}

static TO_LINEAR: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|code| decode(code as f64 / 255.0) as f32));

static TO_SRGB: LazyLock<ToSrgb> = LazyLock::new(|| {
    std::array::from_fn(|i| {
        let low = f32::from_bits(SMALLEST.to_bits() + ((i as u32) << 14));
        let high = f32::from_bits(SMALLEST.to_bits() + ((i as u32 + 1) << 14));
        // The middle of the step, so that the error is at most half a step's either way; 1 stands for itself.
        let middle = if i + 1 >= TO_SRGB_LEN { 1.0 } else { (low as f64 + high as f64) * 0.5 };
        (encode(middle) * 255.0).round() as u8
    })
});

fn decode(code: f64) -> f64 {
    if code <= 0.04045 { code / 12.92 } else { ((code + 0.055) / 1.055).powf(2.4) }
}

fn encode(linear: f64) -> f64 {
    if linear <= 0.003_130_8 { linear * 12.92 } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Half4, Kernel, dispatch};

    #[test]
    fn eight_values_get_the_codes_that_each_gets() {
        struct Eight([f32; 8]);
        impl Kernel for Eight {
            type Output = [u32; 8];

            #[inline(always)]
            fn run<H: Half4>(self) -> [u32; 8] {
                linear_to_srgb_lanes(to_srgb_table(), H::Lanes::load(&self.0)).to_bits()
            }
        }
        for i in 0..4000 {
            let v = i as f32 * 3e-4;
            let values = [v, -v, v * 1e-3, v * 1e9, f32::NAN, f32::INFINITY, 1.0 / (v + 1e-9), 1.0];
            assert_eq!(dispatch(Eight(values)), values.map(|v| u32::from(linear_to_srgb(v))));
        }
    }

    #[test]
    fn codes_of_ten_bits_are_the_nearest() {
        struct Eight([f32; 8]);
        impl Kernel for Eight {
            type Output = [u32; 8];

            #[inline(always)]
            fn run<H: Half4>(self) -> [u32; 8] {
                linear_to_srgb_1023_lanes(H::Lanes::load(&self.0)).to_bits()
            }
        }
        for i in 0..20_000 {
            let linear = i as f32 / 20_000.0;
            let exact = encode(f64::from(linear)) * 1023.0;
            let [code, ..] = dispatch(Eight([linear; 8]));
            assert!((f64::from(code) - exact).abs() < 0.6, "{linear}: {code} for {exact}");
        }
        let odd = [f32::NAN, -1.0, 0.0, 1.0, 7.0, f32::INFINITY, f32::NEG_INFINITY, 1e-30];
        assert_eq!(dispatch(Eight(odd)), [0, 0, 0, 1023, 1023, 1023, 0, 0]);
    }

    #[test]
    fn every_code_comes_back() {
        for code in 0..=255 {
            assert_eq!(linear_to_srgb(srgb_to_linear(code)), code);
        }
    }

    #[test]
    fn the_curve_is_met_within_six_tenths_of_a_code() {
        for i in 0..100_000 {
            let linear = i as f32 / 100_000.0;
            let exact = encode(linear as f64) * 255.0;
            assert!((linear_to_srgb(linear) as f64 - exact).abs() < 0.6, "{linear}: {exact}");
        }
    }

    #[test]
    fn what_is_no_light_is_black_and_too_much_is_white() {
        assert_eq!([f32::NAN, -1.0, f32::NEG_INFINITY, 0.0].map(linear_to_srgb), [0; 4]);
        assert_eq!([1.0, 2.0, f32::INFINITY].map(linear_to_srgb), [255; 3]);
    }
}
