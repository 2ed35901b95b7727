//! Logarithms and powers of eight lanes, by polynomials: the same bits on any processor.

use super::Lanes;

/// Of `log2(m) / (m - 1)` on [1, 2), lowest power first; a Chebyshev fit, within 1.8e-6.
const LOG2: [f32; 7] = [3.312_955, -4.159_945_4, 4.056_998, -2.572_071_3, 1.003_275, -0.219_008_33, 0.020_490_346];
/// Of `2^f` on [0, 1), lowest power first; a Chebyshev fit, within 2.8e-9.
const EXP2: [f32; 7] = [1.0, 0.693_146_94, 0.240_230_5, 0.055_480_426, 0.009_684_58, 0.001_238_782_1, 0.000_218_775_04];

#[inline(always)]
fn polynomial<L: Lanes>(coefficients: [f32; 7], x: L) -> L {
    let mut sum = L::splat(coefficients[6]);
    for i in (0..6).rev() {
        sum = sum * x + L::splat(coefficients[i]);
    }
    sum
}

/// Logarithm to base 2 of positive, normal numbers.
#[inline(always)]
pub(crate) fn log2<L: Lanes>(x: L) -> L {
    let exponent = x.shift_right::<23>().sub_bits(L::splat_bits(127)).integer_to_float();
    let mantissa = (x & L::splat_bits(0x007f_ffff)) | L::splat(1.0);
    exponent + (mantissa - L::splat(1.0)) * polynomial(LOG2, mantissa)
}

/// 2 to the power of lanes, which are held within -126 and 127; NaN counts as -126.
#[inline(always)]
pub(crate) fn exp2<L: Lanes>(x: L) -> L {
    let above = x.max(L::splat(-126.0)).min(L::splat(127.0)) + L::splat(127.0);
    let whole = above.float_to_integer();
    let scale = whole.shift_left::<23>();
    polynomial(EXP2, above - whole.integer_to_float()) * scale
}

/// Lanes from 0 on to a power above 0; what is no number, or less than 2^-126, counts as 0.
#[inline(always)]
pub(crate) fn power<L: Lanes>(x: L, exponent: f32) -> L {
    let smallest = L::splat(f32::MIN_POSITIVE);
    exp2(log2(x.max(smallest)) * L::splat(exponent)) & smallest.lt(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Half4, Kernel, Portable, dispatch};

    #[derive(Clone, Copy)]
    struct Powers([f32; 8], f32);

    impl Kernel for Powers {
        type Output = [[f32; 8]; 3];

        #[inline(always)]
        fn run<H: Half4>(self) -> [[f32; 8]; 3] {
            let x = H::Lanes::load(&self.0);
            [log2(x), exp2(x), power(x, self.1)].map(Lanes::to_array)
        }
    }

    #[test]
    fn powers_are_those_of_the_standard_library() {
        for i in 1..2000 {
            let x = i as f32 * 0.0171;
            let values = [x, x * 1e-3, x * 1e3, 1.0, 2.0, x * 1e-6, 0.18, 1.0 / x];
            let [logs, exponentials, powers] = dispatch(Powers(values, 1.0 / 2.4));
            for (i, x) in values.into_iter().enumerate() {
                assert!((logs[i] - x.log2()).abs() < 4e-6, "log2({x}) is {}", logs[i]);
                let expected = x.min(100.0).exp2();
                assert!(x > 100.0 || (exponentials[i] / expected - 1.0).abs() < 2e-5, "2^{x} is {}", exponentials[i]);
                assert!((powers[i] / x.powf(1.0 / 2.4) - 1.0).abs() < 2e-5, "power of {x} is {}", powers[i]);
            }
        }
    }

    #[test]
    fn what_has_no_power_is_zero_and_any_processor_has_the_same_bits() {
        let values = [0.0, -1.0, f32::NAN, f32::NEG_INFINITY, 1e-40, 1.0, 0.5, 65504.0];
        let powers = dispatch(Powers(values, 2.2))[2];
        assert_eq!(powers[..5], [0.0; 5]);
        let bits = |all: [[f32; 8]; 3]| all.map(|row| row.map(f32::to_bits));
        let kernel = Powers(values.map(|v| v.abs() + 0.3), 2.2);
        assert_eq!(bits(dispatch(kernel)), bits(kernel.run::<Portable>()));
    }
}
