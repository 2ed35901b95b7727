//! Eight lanes of 32 bits: what they do, and an array that does it; `avx2` does it in a register, with the same bits.

use std::ops::{Add, BitAnd, BitOr, Div, Mul, Sub};

use half::f16;

/// Applies an expression to each of three lanes. Closures, as `[L; 3]::map` takes them, are functions of their own that are
/// not compiled for the kernel's processor: what they do with lanes would be calls that go through memory.
macro_rules! each {
    ($lanes:expr, $name:ident => $value:expr) => {{
        let [first, second, third] = $lanes;
        [
            {
                let $name = first;
                $value
            },
            {
                let $name = second;
                $value
            },
            {
                let $name = third;
                $value
            },
        ]
    }};
}
pub(crate) use each;

/// Eight lanes, each an `f32`, an integer or a mask (all bits or none), as the operation takes them.
///
/// Operators are of `f32`, but for `&` and `|`. Comparisons give masks and are false for NaN.
pub(crate) trait Lanes:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
{
    fn splat(value: f32) -> Self;
    fn splat_bits(value: u32) -> Self;
    fn load(values: &[f32; 8]) -> Self;
    fn load_bits(values: &[u32; 8]) -> Self;
    /// Integers of 0 to 255.
    fn load_bytes(values: &[u8; 8]) -> Self;
    /// `f32` of the half floats with these bits.
    fn load_halves(values: &[u16; 8]) -> Self;
    /// The channels of eight pixels, of four half floats each.
    fn load_pixels(pixels: &[[u16; 4]; 8]) -> [Self; 4];
    /// The columns of eight rows.
    fn load_columns(rows: [[f32; 4]; 8]) -> [Self; 4];
    /// The table's entries at the integers' lowest eight bits.
    fn look_up(self, table: &[f32; 256]) -> Self;
    /// The table's bytes at the integers, which are held within it; the last three bytes are never reached.
    fn look_up_bytes<const LEN: usize>(self, table: &[u8; LEN]) -> Self;
    fn to_array(self) -> [f32; 8];
    fn to_bits(self) -> [u32; 8];
    /// The nearest half floats, ties to even.
    fn to_halves(self) -> [u16; 8];
    /// Integers of 0 to 255.
    fn to_bytes(self) -> [u8; 8];

    /// The smaller; `other` where one of both is NaN.
    fn min(self, other: Self) -> Self;
    /// The larger; `other` where one of both is NaN.
    fn max(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    fn lt(self, other: Self) -> Self;
    fn le(self, other: Self) -> Self;

    fn add_bits(self, other: Self) -> Self;
    fn sub_bits(self, other: Self) -> Self;
    /// The lower 32 bits of the product.
    fn mul_bits(self, other: Self) -> Self;
    fn min_signed(self, other: Self) -> Self;
    fn max_signed(self, other: Self) -> Self;
    fn gt_signed(self, other: Self) -> Self;
    fn eq_bits(self, other: Self) -> Self;
    /// Masks of lanes whose two signed 16-bit halves both differ from the other's by less than `N`.
    fn halves_within<const N: i16>(self, other: Self) -> Self;
    fn shift_left<const N: i32>(self) -> Self;
    fn shift_right<const N: i32>(self) -> Self;
    /// Keeps the sign.
    fn shift_right_signed<const N: i32>(self) -> Self;
    /// `f32` of signed integers.
    fn integer_to_float(self) -> Self;
    /// Signed integers, rounded towards zero; the numbers have to fit.
    fn float_to_integer(self) -> Self;
    /// `f32` of the half floats in the lower 16 bits; the upper ones are 0.
    fn half_to_float(self) -> Self;

    /// `self` where the mask has its bits, else `other`.
    fn select(self, mask: Self, other: Self) -> Self;
    /// A bit for each lane whose uppermost bit is set, the first lane's lowest.
    fn mask_bits(self) -> u8;
    /// The lanes that the integers' lowest three bits name.
    fn permute(self, index: Self) -> Self;
    /// Four times lane `2 * PAIR`, four times lane `2 * PAIR + 1`.
    fn spread<const PAIR: usize>(self) -> Self;

    #[inline(always)]
    fn abs(self) -> Self {
        self & Self::splat_bits(0x7fff_ffff)
    }

    #[inline(always)]
    fn zero() -> Self {
        Self::splat_bits(0)
    }

    /// Masks with all bits where `self` has none.
    #[inline(always)]
    fn not(self) -> Self {
        self.eq_bits(Self::zero())
    }

    /// 0, 1, 2 to 7.
    #[inline(always)]
    fn counting() -> Self {
        Self::load_bits(&[0, 1, 2, 3, 4, 5, 6, 7])
    }

    /// From `words[at]` on; beyond the end there are zeroes.
    #[inline(always)]
    fn load_from(words: &[u32], at: usize) -> Self {
        let rest = &words[at..];
        match rest.first_chunk() {
            Some(words) => Self::load_bits(words),
            None => {
                let mut padded = [0; 8];
                padded[..rest.len()].copy_from_slice(rest);
                Self::load_bits(&padded)
            }
        }
    }

    /// Asks for memory that will be read or written soon; an index may lie beyond the end.
    fn prefetch<T>(values: &[T], index: usize);

    /// The words at `at` plus each lane's integer, 0 to 15; beyond the end there are zeroes.
    #[inline(always)]
    fn load_window(words: &[u32], at: usize, steps: Self) -> Self {
        let (near, far) = (Self::load_from(words, at), Self::load_from(words, (at + 8).min(words.len())));
        far.permute(steps).select(steps.gt_signed(Self::splat_bits(7)), near.permute(steps))
    }

    /// The words at eight places.
    #[inline(always)]
    fn gather(words: &[u32], at: &[u32; 8], offset: usize) -> Self {
        let mut found = [0; 8];
        for i in 0..8 {
            found[i] = words[at[i] as usize + offset];
        }
        Self::load_bits(&found)
    }
}

/// For any processor.
#[derive(Clone, Copy)]
pub(crate) struct PortableLanes([u32; 8]);

impl PortableLanes {
    #[inline(always)]
    fn map(self, f: impl Fn(u32) -> u32) -> Self {
        PortableLanes(self.0.map(f))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(u32, u32) -> u32) -> Self {
        PortableLanes(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn zip_floats(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        self.zip(other, |a, b| f(f32::from_bits(a), f32::from_bits(b)).to_bits())
    }

    #[inline(always)]
    fn compare(self, other: Self, f: impl Fn(f32, f32) -> bool) -> Self {
        self.zip(other, |a, b| mask(f(f32::from_bits(a), f32::from_bits(b))))
    }
}

#[inline(always)]
fn mask(set: bool) -> u32 {
    (set as u32).wrapping_neg()
}

macro_rules! portable_operators {
    ($($operator:ident $function:ident $method:ident $expression:expr;)*) => {
        $(impl $operator for PortableLanes {
            type Output = Self;
            #[inline(always)]
            fn $function(self, other: Self) -> Self {
                self.$method(other, $expression)
            }
        })*
    };
}
portable_operators! {
    Add add zip_floats |a, b| a + b;
    Sub sub zip_floats |a, b| a - b;
    Mul mul zip_floats |a, b| a * b;
    Div div zip_floats |a, b| a / b;
    BitAnd bitand zip |a, b| a & b;
    BitOr bitor zip |a, b| a | b;
}

impl Lanes for PortableLanes {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        PortableLanes([value.to_bits(); 8])
    }

    #[inline(always)]
    fn splat_bits(value: u32) -> Self {
        PortableLanes([value; 8])
    }

    #[inline(always)]
    fn load(values: &[f32; 8]) -> Self {
        PortableLanes(values.map(f32::to_bits))
    }

    #[inline(always)]
    fn load_bits(values: &[u32; 8]) -> Self {
        PortableLanes(*values)
    }

    #[inline(always)]
    fn load_bytes(values: &[u8; 8]) -> Self {
        PortableLanes(values.map(u32::from))
    }

    #[inline(always)]
    fn load_halves(values: &[u16; 8]) -> Self {
        PortableLanes(values.map(|v| f16::from_bits(v).to_f32_const().to_bits()))
    }

    #[inline(always)]
    fn load_pixels(pixels: &[[u16; 4]; 8]) -> [Self; 4] {
        std::array::from_fn(|channel| Self::load_halves(&pixels.map(|pixel| pixel[channel])))
    }

    #[inline(always)]
    fn load_columns(rows: [[f32; 4]; 8]) -> [Self; 4] {
        std::array::from_fn(|column| PortableLanes(rows.map(|row| row[column].to_bits())))
    }

    #[inline(always)]
    fn look_up(self, table: &[f32; 256]) -> Self {
        self.map(|index| table[(index & 255) as usize].to_bits())
    }

    #[inline(always)]
    fn look_up_bytes<const LEN: usize>(self, table: &[u8; LEN]) -> Self {
        const { assert!(LEN > 3) }
        self.map(|index| table[(index as i32).clamp(0, LEN as i32 - 4) as usize].into())
    }

    #[inline(always)]
    fn to_array(self) -> [f32; 8] {
        self.0.map(f32::from_bits)
    }

    #[inline(always)]
    fn to_bits(self) -> [u32; 8] {
        self.0
    }

    #[inline(always)]
    fn to_halves(self) -> [u16; 8] {
        self.0.map(|v| f16::from_f32_const(f32::from_bits(v)).to_bits())
    }

    #[inline(always)]
    fn to_bytes(self) -> [u8; 8] {
        self.0.map(|v| v as u8)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip_floats(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip_floats(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(|v| f32::from_bits(v).sqrt().to_bits())
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Self {
        self.compare(other, |a, b| a < b)
    }

    #[inline(always)]
    fn le(self, other: Self) -> Self {
        self.compare(other, |a, b| a <= b)
    }

    #[inline(always)]
    fn add_bits(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_add)
    }

    #[inline(always)]
    fn sub_bits(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_sub)
    }

    #[inline(always)]
    fn mul_bits(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_mul)
    }

    #[inline(always)]
    fn min_signed(self, other: Self) -> Self {
        self.zip(other, |a, b| (a as i32).min(b as i32) as u32)
    }

    #[inline(always)]
    fn max_signed(self, other: Self) -> Self {
        self.zip(other, |a, b| (a as i32).max(b as i32) as u32)
    }

    #[inline(always)]
    fn gt_signed(self, other: Self) -> Self {
        self.zip(other, |a, b| mask(a as i32 > b as i32))
    }

    #[inline(always)]
    fn eq_bits(self, other: Self) -> Self {
        self.zip(other, |a, b| mask(a == b))
    }

    #[inline(always)]
    fn halves_within<const N: i16>(self, other: Self) -> Self {
        let near = |a: u32, b: u32| (a as i16).abs_diff(b as i16) < N.unsigned_abs();
        self.zip(other, |a, b| mask(near(a, b) && near(a >> 16, b >> 16)))
    }

    #[inline(always)]
    fn shift_left<const N: i32>(self) -> Self {
        self.map(|v| v << N)
    }

    #[inline(always)]
    fn shift_right<const N: i32>(self) -> Self {
        self.map(|v| v >> N)
    }

    #[inline(always)]
    fn shift_right_signed<const N: i32>(self) -> Self {
        self.map(|v| (v as i32 >> N) as u32)
    }

    #[inline(always)]
    fn integer_to_float(self) -> Self {
        self.map(|v| (v as i32 as f32).to_bits())
    }

    #[inline(always)]
    fn float_to_integer(self) -> Self {
        self.map(|v| f32::from_bits(v) as i32 as u32)
    }

    #[inline(always)]
    fn half_to_float(self) -> Self {
        Self::load_halves(&self.0.map(|v| v as u16))
    }

    #[inline(always)]
    fn select(self, mask: Self, other: Self) -> Self {
        PortableLanes(std::array::from_fn(|i| self.0[i] & mask.0[i] | other.0[i] & !mask.0[i]))
    }

    #[inline(always)]
    fn mask_bits(self) -> u8 {
        (0..8).map(|i| ((self.0[i] >> 31) as u8) << i).sum()
    }

    #[inline(always)]
    fn prefetch<T>(_: &[T], _: usize) {}

    #[inline(always)]
    fn permute(self, index: Self) -> Self {
        index.map(|index| self.0[(index & 7) as usize])
    }

    #[inline(always)]
    fn spread<const PAIR: usize>(self) -> Self {
        let [first, second] = [self.0[2 * PAIR], self.0[2 * PAIR + 1]];
        PortableLanes([first, first, first, first, second, second, second, second])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::{Half4, Kernel, Portable, dispatch};

    /// Every operation on the same inputs: what a kernel can see of the lanes.
    struct All {
        a: [u32; 8],
        b: [u32; 8],
        halves: [[u16; 4]; 8],
    }

    impl Kernel for All {
        type Output = Vec<[u32; 8]>;

        #[inline(always)]
        fn run<H: Half4>(self) -> Self::Output {
            type L<H> = <H as Half4>::Lanes;
            let (a, b) = (L::<H>::load_bits(&self.a), L::<H>::load_bits(&self.b));
            // Payloads of NaN differ between conversions in hardware and in software: no kernel looks at them.
            let number = |v: [u32; 8]| v.map(|v| if f32::from_bits(v).is_nan() { u32::MAX } else { v });
            let small = a & L::<H>::splat_bits(0xffff);
            let [r, g, bl, al] = L::<H>::load_pixels(&self.halves);
            let mut table = [0.0; 256];
            for (i, entry) in table.iter_mut().enumerate() {
                *entry = i as f32 * 0.25;
            }
            let rows = self.halves.map(|pixel| pixel.map(f32::from));
            let [c0, c1, c2, c3] = L::<H>::load_columns(rows);
            let bytes: [u8; 8] = self.a.map(|v| v as u8);
            let mut out = vec![
                number((a + b).to_bits()),
                number((a - b).to_bits()),
                number((a * b).to_bits()),
                number((a / b).to_bits()),
                (a & b).to_bits(),
                (a | b).to_bits(),
                number(a.min(b).to_bits()),
                number(a.max(b).to_bits()),
                number(a.abs().sqrt().to_bits()),
                a.lt(b).to_bits(),
                a.le(b).to_bits(),
                a.add_bits(b).to_bits(),
                a.sub_bits(b).to_bits(),
                a.mul_bits(b).to_bits(),
                a.min_signed(b).to_bits(),
                a.max_signed(b).to_bits(),
                a.gt_signed(b).to_bits(),
                a.eq_bits(b).to_bits(),
                a.halves_within::<3277>(b).to_bits(),
                a.halves_within::<3277>(a.add_bits(b & L::<H>::splat_bits(0x0fff_0fff))).to_bits(),
                a.eq_bits(a).not().to_bits(),
                a.shift_left::<16>().to_bits(),
                a.shift_right::<7>().to_bits(),
                a.shift_right_signed::<16>().to_bits(),
                a.integer_to_float().to_bits(),
                small.integer_to_float().float_to_integer().to_bits(),
                number(small.half_to_float().to_bits()),
                a.select(b.lt(a), b).to_bits(),
                [a.mask_bits().into(); 8],
                a.permute(b).to_bits(),
                a.spread::<0>().to_bits(),
                a.spread::<3>().to_bits(),
                a.look_up(&table).to_bits(),
                a.look_up_bytes(&[1, 2, 3, 4, 5, 6, 7, 8]).to_bits(),
                (a & L::<H>::splat_bits(7)).look_up_bytes(&[1, 2, 3, 4, 5, 6, 7, 8]).to_bits(),
                L::<H>::load_bytes(&bytes).to_bits(),
                L::<H>::load_bytes(&bytes).to_bytes().map(u32::from),
                L::<H>::load(&a.to_array()).to_bits(),
                L::<H>::load_from(&self.a, 3).to_bits(),
                L::<H>::load_window(
                    self.halves.map(|p| p.map(u32::from)).as_flattened(),
                    20,
                    a & L::<H>::splat_bits(15),
                )
                .to_bits(),
                L::<H>::gather(&self.b, &[0, 6, 1, 5, 2, 4, 3, 0], 1).to_bits(),
                (a - b)
                    .select((a - b).lt(L::<H>::splat(f32::INFINITY)), b)
                    .to_halves()
                    .map(|h| if half::f16::from_bits(h).is_nan() { 0x7fff } else { u32::from(h) }),
            ];
            out.extend([r, g, bl, al, c0, c1, c2, c3].map(|v| number(v.to_bits())));
            out.push(number(
                L::<H>::load_halves(bytemuck::cast_ref::<_, [[u16; 8]; 4]>(&self.halves).first().unwrap()).to_bits(),
            ));
            out
        }
    }

    proptest! {
        #[test]
        fn registers_and_arrays_give_the_same_bits(
            a in any::<[u32; 8]>(), b in any::<[u32; 8]>(), halves in any::<[[u16; 4]; 8]>(), near in any::<bool>()
        ) {
            // Random bits are seldom of numbers whose sum rounds.
            let b = if near { a.map(|v| v ^ 0x0050_1234) } else { b };
            let all = || All { a, b, halves };
            prop_assert_eq!(dispatch(all()), all().run::<Portable>());
        }
    }
}
