//! Half floats to words of the texture format RGB9E5 and back, eight pixels at a time; the same words on any processor.

#[cfg(target_arch = "x86_64")]
use std::arch::is_x86_feature_detected;

use half::f16;

/// The largest number of the format.
const MAX: f32 = 65408.0;
/// Alpha code of the largest finite half float, 65504.
const ALPHA_MAX: u8 = 0xf7;
/// Added to a number below 2^23, this leaves it in the lowest bits, rounded to the nearest, ties to even.
const ROUND: f32 = 8_388_608.0;

/// RGB9E5 words (exponent uppermost, then blue, green, red) and 8-bit alphas of pixels of four half floats; all slices have
/// the same length.
pub(crate) fn to_rgb9e5(halves: &[[u16; 4]], words: &mut [u32], alphas: &mut [u8]) {
    assert!(halves.len() == words.len() && halves.len() == alphas.len(), "a word and an alpha for each pixel");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
        // SAFETY: the processor has the features that the function was compiled for.
        unsafe { x86::to_rgb9e5(halves, words, alphas) };
        return;
    }
    portable_to(halves, words, alphas);
}

/// The inverse of [`to_rgb9e5`]; all slices have the same length.
pub(crate) fn from_rgb9e5(words: &[u32], alphas: &[u8], halves: &mut [[u16; 4]]) {
    assert!(halves.len() == words.len() && halves.len() == alphas.len(), "a word and an alpha for each pixel");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
        // SAFETY: the processor has the features that the function was compiled for.
        unsafe { x86::from_rgb9e5(words, alphas, halves) };
        return;
    }
    portable_from(words, alphas, halves);
}

fn portable_to(halves: &[[u16; 4]], words: &mut [u32], alphas: &mut [u8]) {
    for (pixel, (word, alpha)) in halves.iter().zip(words.iter_mut().zip(alphas)) {
        *word = rgb9e5(pixel.map(|half| f16::from_bits(half).to_f32_const()));
        *alpha = alpha_code(pixel[3]);
    }
}

fn portable_from(words: &[u32], alphas: &[u8], halves: &mut [[u16; 4]]) {
    for (pixel, (word, alpha)) in halves.iter_mut().zip(words.iter().zip(alphas)) {
        let scale = f32::from_bits(((word >> 27) + 127 - 24) << 23);
        // Exact: 9 bits always fit a half float's 11, and the smallest step is its smallest step, 2^-24.
        let half = |shift: u32| f16::from_f32_const((word >> shift & 511) as f32 * scale).to_bits();
        *pixel = [half(0), half(9), half(18), alpha_half(*alpha)];
    }
}

/// Channel = mantissa * 2^(exponent - 24).
fn rgb9e5(pixel: [f32; 4]) -> u32 {
    // Comparisons that put 0 in the place of NaN, as the processor's own maximum does.
    let [r, g, b, _] = pixel.map(|c| if c > 0.0 { c.min(MAX) } else { 0.0 });
    let largest = r.max(g).max(b);
    // floor(log2) from the float's exponent, at least -16, plus 1 plus the bias of 15.
    let mut exponent = ((largest.to_bits() >> 23) as i32 - 127).max(-16) + 16;
    if quantise(largest, exponent) == 512 {
        exponent += 1;
    }
    let [r, g, b] = [r, g, b].map(|c| quantise(c, exponent));
    (exponent as u32) << 27 | b << 18 | g << 9 | r
}

fn quantise(channel: f32, exponent: i32) -> u32 {
    // 2^(24 - exponent), made from its bits.
    let scale = f32::from_bits(((24 - exponent + 127) as u32) << 23);
    (channel * scale + ROUND).to_bits() & 1023
}

fn alpha_code(half: u16) -> u8 {
    if half & 0x8000 != 0 {
        return 0;
    }
    ((half + 0x40) >> 7).min(ALPHA_MAX as u16) as u8
}

fn alpha_half(code: u8) -> u16 {
    if code >= ALPHA_MAX { 0x7bff } else { (code as u16) << 7 }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{ALPHA_MAX, MAX, ROUND, portable_from, portable_to};

    #[target_feature(enable = "avx2,f16c")]
    pub(super) fn to_rgb9e5(halves: &[[u16; 4]], words: &mut [u32], alphas: &mut [u8]) {
        let (pixels, pixels_left) = halves.as_chunks::<8>();
        let (word_chunks, words_left) = words.as_chunks_mut::<8>();
        let (alpha_chunks, alphas_left) = alphas.as_chunks_mut::<8>();
        for (pixels, (words, alphas)) in pixels.iter().zip(word_chunks.iter_mut().zip(alpha_chunks)) {
            let pairs: [__m128i; 4] = bytemuck::cast(*pixels);
            *words = bytemuck::cast(words_of(pairs));
            *alphas = alphas_of(pairs);
        }
        portable_to(pixels_left, words_left, alphas_left);
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    fn words_of(pairs: [__m128i; 4]) -> __m256i {
        // r g b a of pixels 0 and 1, 2 and 3, 4 and 5, 6 and 7; then by channel, pixels in the order 0 2 4 6 1 3 5 7.
        let [p01, p23, p45, p67] = pairs.map(|pair| _mm256_cvtph_ps(pair));
        let rg = |a: __m256, b: __m256| _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
        let ba = |a: __m256, b: __m256| _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
        let r = _mm256_castpd_ps(_mm256_unpacklo_pd(rg(p01, p23), rg(p45, p67)));
        let g = _mm256_castpd_ps(_mm256_unpackhi_pd(rg(p01, p23), rg(p45, p67)));
        let b = _mm256_castpd_ps(_mm256_unpacklo_pd(ba(p01, p23), ba(p45, p67)));
        let light = |c: __m256| _mm256_min_ps(_mm256_max_ps(c, _mm256_setzero_ps()), _mm256_set1_ps(MAX));
        let (r, g, b) = (light(r), light(g), light(b));
        let largest = _mm256_max_ps(_mm256_max_ps(r, g), b);
        let floor = _mm256_srli_epi32::<23>(_mm256_castps_si256(largest));
        let exponent = _mm256_sub_epi32(_mm256_max_epi32(floor, _mm256_set1_epi32(111)), _mm256_set1_epi32(111));
        let quantise = |c: __m256, exponent: __m256i| {
            let scale = _mm256_slli_epi32::<23>(_mm256_sub_epi32(_mm256_set1_epi32(151), exponent));
            let rounded = _mm256_add_ps(_mm256_mul_ps(c, _mm256_castsi256_ps(scale)), _mm256_set1_ps(ROUND));
            _mm256_and_si256(_mm256_castps_si256(rounded), _mm256_set1_epi32(1023))
        };
        let is_full = _mm256_cmpeq_epi32(quantise(largest, exponent), _mm256_set1_epi32(512));
        // All ones are -1.
        let exponent = _mm256_sub_epi32(exponent, is_full);
        let low = _mm256_or_si256(quantise(r, exponent), _mm256_slli_epi32::<9>(quantise(g, exponent)));
        let high = _mm256_or_si256(_mm256_slli_epi32::<18>(quantise(b, exponent)), _mm256_slli_epi32::<27>(exponent));
        _mm256_permutevar8x32_epi32(_mm256_or_si256(low, high), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    fn alphas_of(pairs: [__m128i; 4]) -> [u8; 8] {
        let [a01, a23, a45, a67] = pairs.map(|pair| _mm_srli_epi64::<48>(pair));
        let halves = _mm_packus_epi32(_mm_packus_epi32(a01, a23), _mm_packus_epi32(a45, a67));
        let codes = _mm_srli_epi16::<7>(_mm_add_epi16(halves, _mm_set1_epi16(0x40)));
        let codes = _mm_min_epi16(codes, _mm_set1_epi16(i16::from(ALPHA_MAX)));
        let codes = _mm_andnot_si128(_mm_srai_epi16::<15>(halves), codes);
        _mm_cvtsi128_si64(_mm_packus_epi16(codes, codes)).to_le_bytes()
    }

    #[target_feature(enable = "avx2,f16c")]
    pub(super) fn from_rgb9e5(words: &[u32], alphas: &[u8], halves: &mut [[u16; 4]]) {
        let (word_chunks, words_left) = words.as_chunks::<8>();
        let (alpha_chunks, alphas_left) = alphas.as_chunks::<8>();
        let (pixels, pixels_left) = halves.as_chunks_mut::<8>();
        for (pixels, (words, alphas)) in pixels.iter_mut().zip(word_chunks.iter().zip(alpha_chunks)) {
            *pixels = bytemuck::cast(pixels_of(bytemuck::cast(*words), *alphas));
        }
        portable_from(words_left, alphas_left, pixels_left);
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    fn pixels_of(words: __m256i, alphas: [u8; 8]) -> [__m128i; 4] {
        let exponent = _mm256_add_epi32(_mm256_srli_epi32::<27>(words), _mm256_set1_epi32(127 - 24));
        let scale = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent));
        let halves = |mantissas: __m256i| {
            let mantissas = _mm256_and_si256(mantissas, _mm256_set1_epi32(511));
            _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_mul_ps(_mm256_cvtepi32_ps(mantissas), scale))
        };
        let r = halves(words);
        let g = halves(_mm256_srli_epi32::<9>(words));
        let b = halves(_mm256_srli_epi32::<18>(words));
        let codes = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(i64::from_le_bytes(alphas)));
        let is_largest = _mm_cmpgt_epi16(codes, _mm_set1_epi16(i16::from(ALPHA_MAX) - 1));
        let a = _mm_blendv_epi8(_mm_slli_epi16::<7>(codes), _mm_set1_epi16(0x7bff), is_largest);
        let (rg, ba) = (_mm_unpacklo_epi16(r, g), _mm_unpacklo_epi16(b, a));
        let (rg_high, ba_high) = (_mm_unpackhi_epi16(r, g), _mm_unpackhi_epi16(b, a));
        [
            _mm_unpacklo_epi32(rg, ba),
            _mm_unpackhi_epi32(rg, ba),
            _mm_unpacklo_epi32(rg_high, ba_high),
            _mm_unpackhi_epi32(rg_high, ba_high),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agree(halves: &[[u16; 4]]) {
        let n = halves.len();
        let (mut words, mut alphas) = ((vec![1; n], vec![2; n]), (vec![3; n], vec![4; n]));
        to_rgb9e5(halves, &mut words.0, &mut alphas.0);
        portable_to(halves, &mut words.1, &mut alphas.1);
        assert_eq!(words.0, words.1);
        assert_eq!(alphas.0, alphas.1);
        from_agrees(&words.0, &alphas.0);
    }

    fn from_agrees(words: &[u32], alphas: &[u8]) {
        let mut pixels = (vec![[5; 4]; words.len()], vec![[6; 4]; words.len()]);
        from_rgb9e5(words, alphas, &mut pixels.0);
        portable_from(words, alphas, &mut pixels.1);
        assert_eq!(pixels.0, pixels.1);
    }

    #[test]
    fn every_half_float_is_the_same_on_any_processor() {
        let all: Vec<[u16; 4]> = (0..=u16::MAX).map(|i| [i, i ^ 1, i.rotate_left(3), i]).collect();
        agree(&all);
        let codes: Vec<u32> = (0..1u32 << 14).map(|i| i.wrapping_mul(0x0804_0201)).collect();
        from_agrees(&codes, &codes.iter().map(|code| *code as u8).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_row_is_the_same_on_any_processor(
            halves in prop::collection::vec(any::<[u16; 4]>(), 0..40), coded in prop::collection::vec(any::<(u32, u8)>(), 0..40),
        ) {
            agree(&halves);
            let (words, alphas): (Vec<u32>, Vec<u8>) = coded.into_iter().unzip();
            from_agrees(&words, &alphas);
        }
    }
}
