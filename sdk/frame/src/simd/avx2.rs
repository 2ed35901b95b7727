//! Eight lanes in a register of AVX2.

use std::{
    arch::x86_64::*,
    mem::transmute,
    ops::{Add, BitAnd, BitOr, Div, Mul, Sub},
};

use super::lanes::Lanes;

/// A register. Only [`super::x86::run`] names this type, so its methods run only where AVX2 and F16C are there.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

/// A call of intrinsics.
macro_rules! avx2 {
    ($expression:expr) => {{
        // SAFETY: AVX2 and F16C are there, see the type; any bits are values of the types that are transmuted. (Loads and
        // stores of the intrinsics go through memory where debug assertions check their pointers.)
        unsafe { $expression }
    }};
}

/// Intrinsics of integers.
macro_rules! integers {
    ($function:ident($($argument:expr),*)) => {
        Avx2(avx2!(_mm256_castsi256_ps($function($(_mm256_castps_si256($argument.0)),*))))
    };
}

macro_rules! operators {
    ($($operator:ident $function:ident $intrinsic:ident;)*) => {
        $(impl $operator for Avx2 {
            type Output = Self;
            #[inline(always)]
            fn $function(self, other: Self) -> Self {
                Avx2(avx2!($intrinsic(self.0, other.0)))
            }
        })*
    };
}
operators! {
    Add add _mm256_add_ps;
    Sub sub _mm256_sub_ps;
    Mul mul _mm256_mul_ps;
    Div div _mm256_div_ps;
    BitAnd bitand _mm256_and_ps;
    BitOr bitor _mm256_or_ps;
}

impl Lanes for Avx2 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Avx2(avx2!(_mm256_set1_ps(value)))
    }

    #[inline(always)]
    fn splat_bits(value: u32) -> Self {
        Avx2(avx2!(_mm256_castsi256_ps(_mm256_set1_epi32(value as i32))))
    }

    #[inline(always)]
    fn load(values: &[f32; 8]) -> Self {
        Avx2(avx2!(transmute::<[f32; 8], __m256>(*values)))
    }

    #[inline(always)]
    fn load_bits(values: &[u32; 8]) -> Self {
        Avx2(avx2!(transmute::<[u32; 8], __m256>(*values)))
    }

    #[inline(always)]
    fn load_bytes(values: &[u8; 8]) -> Self {
        Avx2(avx2!(_mm256_castsi256_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(*values))))))
    }

    #[inline(always)]
    fn load_halves(values: &[u16; 8]) -> Self {
        Avx2(avx2!(_mm256_cvtph_ps(transmute::<[u16; 8], __m128i>(*values))))
    }

    #[inline(always)]
    fn load_pixels(pixels: &[[u16; 4]; 8]) -> [Self; 4] {
        let pairs: &[[u16; 8]; 4] = bytemuck::cast_ref(pixels);
        avx2!({
            let [a, b, c, d] = transmute::<[[u16; 8]; 4], [__m128i; 4]>(*pairs);
            let (even, odd) = (_mm_unpacklo_epi16(a, b), _mm_unpackhi_epi16(a, b));
            let (red_green, blue_alpha) = (_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd));
            let (even, odd) = (_mm_unpacklo_epi16(c, d), _mm_unpackhi_epi16(c, d));
            let (red_green2, blue_alpha2) = (_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd));
            [
                Avx2(_mm256_cvtph_ps(_mm_unpacklo_epi64(red_green, red_green2))),
                Avx2(_mm256_cvtph_ps(_mm_unpackhi_epi64(red_green, red_green2))),
                Avx2(_mm256_cvtph_ps(_mm_unpacklo_epi64(blue_alpha, blue_alpha2))),
                Avx2(_mm256_cvtph_ps(_mm_unpackhi_epi64(blue_alpha, blue_alpha2))),
            ]
        })
    }

    #[inline(always)]
    fn load_columns(rows: [[f32; 4]; 8]) -> [Self; 4] {
        avx2!({
            // Rows i and i + 4 in one register.
            let [a, b, c, d] = [
                transmute::<[[f32; 4]; 2], __m256>([rows[0], rows[4]]),
                transmute::<[[f32; 4]; 2], __m256>([rows[1], rows[5]]),
                transmute::<[[f32; 4]; 2], __m256>([rows[2], rows[6]]),
                transmute::<[[f32; 4]; 2], __m256>([rows[3], rows[7]]),
            ];
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab2, cd2) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            [
                Avx2(_mm256_shuffle_ps::<0b01_00_01_00>(ab, cd)),
                Avx2(_mm256_shuffle_ps::<0b11_10_11_10>(ab, cd)),
                Avx2(_mm256_shuffle_ps::<0b01_00_01_00>(ab2, cd2)),
                Avx2(_mm256_shuffle_ps::<0b11_10_11_10>(ab2, cd2)),
            ]
        })
    }

    #[inline(always)]
    fn look_up(self, table: &[f32; 256]) -> Self {
        let index = self & Self::splat_bits(255);
        // SAFETY: AVX2 is there, see the type; the indices are below the table's length.
        Avx2(unsafe { _mm256_i32gather_ps::<4>(table.as_ptr(), _mm256_castps_si256(index.0)) })
    }

    #[inline(always)]
    fn look_up_bytes<const LEN: usize>(self, table: &[u8; LEN]) -> Self {
        const { assert!(LEN > 3 && LEN < i32::MAX as usize) }
        let index = self.min_signed(Self::splat_bits(LEN as u32 - 4)).max_signed(Self::zero());
        // SAFETY: AVX2 is there, see the type; four bytes from each index on are in the table.
        let words = unsafe { _mm256_i32gather_epi32::<1>(table.as_ptr().cast(), _mm256_castps_si256(index.0)) };
        Avx2(avx2!(_mm256_castsi256_ps(words))) & Self::splat_bits(255)
    }

    #[inline(always)]
    fn to_array(self) -> [f32; 8] {
        bytemuck::cast(self.to_bits())
    }

    #[inline(always)]
    fn to_bits(self) -> [u32; 8] {
        avx2!(transmute::<__m256, [u32; 8]>(self.0))
    }

    #[inline(always)]
    fn to_halves(self) -> [u16; 8] {
        avx2!(transmute::<__m128i, [u16; 8]>(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0)))
    }

    #[inline(always)]
    fn to_bytes(self) -> [u8; 8] {
        avx2!({
            let words = _mm256_castps_si256(self.0);
            let halves = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_cvtsi128_si64(_mm_packus_epi16(halves, halves)).to_le_bytes()
        })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Avx2(avx2!(_mm256_min_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Avx2(avx2!(_mm256_max_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Avx2(avx2!(_mm256_sqrt_ps(self.0)))
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Self {
        Avx2(avx2!(_mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0)))
    }

    #[inline(always)]
    fn le(self, other: Self) -> Self {
        Avx2(avx2!(_mm256_cmp_ps::<_CMP_LE_OQ>(self.0, other.0)))
    }

    #[inline(always)]
    fn add_bits(self, other: Self) -> Self {
        integers!(_mm256_add_epi32(self, other))
    }

    #[inline(always)]
    fn sub_bits(self, other: Self) -> Self {
        integers!(_mm256_sub_epi32(self, other))
    }

    #[inline(always)]
    fn mul_bits(self, other: Self) -> Self {
        integers!(_mm256_mullo_epi32(self, other))
    }

    #[inline(always)]
    fn min_signed(self, other: Self) -> Self {
        integers!(_mm256_min_epi32(self, other))
    }

    #[inline(always)]
    fn max_signed(self, other: Self) -> Self {
        integers!(_mm256_max_epi32(self, other))
    }

    #[inline(always)]
    fn gt_signed(self, other: Self) -> Self {
        integers!(_mm256_cmpgt_epi32(self, other))
    }

    #[inline(always)]
    fn eq_bits(self, other: Self) -> Self {
        integers!(_mm256_cmpeq_epi32(self, other))
    }

    #[inline(always)]
    fn halves_within<const N: i16>(self, other: Self) -> Self {
        avx2!({
            let (a, b) = (_mm256_castps_si256(self.0), _mm256_castps_si256(other.0));
            // Saturated differences: what is too far apart stays so.
            let apart = _mm256_max_epi16(_mm256_subs_epi16(a, b), _mm256_subs_epi16(b, a));
            let near = _mm256_cmpgt_epi16(_mm256_set1_epi16(N), apart);
            Avx2(_mm256_castsi256_ps(_mm256_cmpeq_epi32(near, _mm256_set1_epi32(-1))))
        })
    }

    #[inline(always)]
    fn shift_left<const N: i32>(self) -> Self {
        Avx2(avx2!(_mm256_castsi256_ps(_mm256_slli_epi32::<N>(_mm256_castps_si256(self.0)))))
    }

    #[inline(always)]
    fn shift_right<const N: i32>(self) -> Self {
        Avx2(avx2!(_mm256_castsi256_ps(_mm256_srli_epi32::<N>(_mm256_castps_si256(self.0)))))
    }

    #[inline(always)]
    fn shift_right_signed<const N: i32>(self) -> Self {
        Avx2(avx2!(_mm256_castsi256_ps(_mm256_srai_epi32::<N>(_mm256_castps_si256(self.0)))))
    }

    #[inline(always)]
    fn integer_to_float(self) -> Self {
        Avx2(avx2!(_mm256_cvtepi32_ps(_mm256_castps_si256(self.0))))
    }

    #[inline(always)]
    fn float_to_integer(self) -> Self {
        Avx2(avx2!(_mm256_castsi256_ps(_mm256_cvttps_epi32(self.0))))
    }

    #[inline(always)]
    fn half_to_float(self) -> Self {
        avx2!({
            let words = _mm256_castps_si256(self.0);
            let halves = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            Avx2(_mm256_cvtph_ps(halves))
        })
    }

    #[inline(always)]
    fn select(self, mask: Self, other: Self) -> Self {
        Avx2(avx2!(_mm256_blendv_ps(other.0, self.0, mask.0)))
    }

    #[inline(always)]
    fn mask_bits(self) -> u8 {
        avx2!(_mm256_movemask_ps(self.0)) as u8
    }

    #[inline(always)]
    fn prefetch<T>(values: &[T], index: usize) {
        // SAFETY: a prefetch reads nothing that the program sees, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(index).cast()) }
    }

    #[inline(always)]
    fn permute(self, index: Self) -> Self {
        Avx2(avx2!(_mm256_permutevar8x32_ps(self.0, _mm256_castps_si256(index.0))))
    }

    #[inline(always)]
    fn spread<const PAIR: usize>(self) -> Self {
        let (a, b) = (2 * PAIR as i32, 2 * PAIR as i32 + 1);
        Avx2(avx2!(_mm256_permutevar8x32_ps(self.0, _mm256_setr_epi32(a, a, a, a, b, b, b, b))))
    }
}
