//! Layers in five bytes a pixel: three 9-bit mantissas, a shared 5-bit exponent (EXT_texture_shared_exponent), an 8-bit alpha.
//!
//! The largest channel keeps 9 bits (error at most 1/1024 of it, relative to the next power of two), the others the same
//! absolute error. Negative light and NaN become 0, more than 65408 becomes 65408. Alpha keeps a half float's exponent and
//! its three upper mantissa bits: 0, 1 and 65504 are exact, hit distances are within 1/16.

use half::{f16, slice::HalfFloatSliceExt};
use std::sync::LazyLock;

use super::lanes::Rows;

/// Coded bytes of a pixel.
pub(super) const BYTES_PER_PIXEL: usize = 5;

const MAX: f32 = 65408.0;
/// Alpha code of the largest finite half float, 65504.
const ALPHA_MAX: u8 = 0xf7;

/// Appends five runs of `width * height` bytes: exponent and lowest mantissa bits, upper bits of R, G, B, alpha.
pub(super) fn encode(rows: Rows<'_, [u16; 4]>, out: &mut Vec<u8>) {
    let n = rows.width * rows.height;
    let start = out.len();
    out.resize(start + n * BYTES_PER_PIXEL, 0);
    let (shared, rest) = out[start..].split_at_mut(n);
    let (red, rest) = rest.split_at_mut(n);
    let (green, rest) = rest.split_at_mut(n);
    let (blue, alpha) = rest.split_at_mut(n);
    let mut floats = vec![0.0f32; rows.width * 4];
    for y in 0..rows.height {
        let halves: &[u16] = rows.row(y).as_flattened();
        bytemuck::cast_slice::<u16, f16>(halves).convert_to_f32_slice(&mut floats);
        for x in 0..rows.width {
            let i = y * rows.width + x;
            let (exponent, [r, g, b]) = shared_exponent([floats[4 * x], floats[4 * x + 1], floats[4 * x + 2]]);
            shared[i] = exponent << 3 | (r & 1) as u8 | (g as u8 & 1) << 1 | (b as u8 & 1) << 2;
            red[i] = (r >> 1) as u8;
            green[i] = (g >> 1) as u8;
            blue[i] = (b >> 1) as u8;
            alpha[i] = alpha_code(halves[4 * x + 3]);
        }
    }
}

/// The inverse of [`encode`]: `bytes` holds exactly `5 * pixels` bytes; the pixels are appended to `out`.
pub(super) fn decode(bytes: &[u8], pixels: usize, out: &mut Vec<[u16; 4]>) {
    let run = |k: usize| &bytes[k * pixels..(k + 1) * pixels];
    let table = &*HALVES;
    let half = |exponent: u8, upper: u8, low: u8| {
        table[usize::from(exponent) << 9 | usize::from(upper) << 1 | usize::from(low & 1)]
    };
    let colours = run(1).iter().zip(run(2)).zip(run(3));
    let pixels = run(0).iter().zip(colours).zip(run(4));
    out.extend(pixels.map(|((shared, ((red, green), blue)), alpha)| {
        let exponent = shared >> 3;
        [
            half(exponent, *red, *shared),
            half(exponent, *green, shared >> 1),
            half(exponent, *blue, shared >> 2),
            alpha_half(*alpha),
        ]
    }));
}

/// Exponent (biased by 15) and mantissas: channel = mantissa * 2^(exponent - 24).
#[allow(clippy::manual_clamp, reason = "clamp would keep NaN")]
fn shared_exponent(rgb: [f32; 3]) -> (u8, [u16; 3]) {
    let [r, g, b] = rgb.map(|c| c.max(0.0).min(MAX));
    let largest = r.max(g).max(b);
    // floor(log2) from the float's exponent, at least -16, plus 1 plus the bias.
    let mut exponent = ((largest.to_bits() >> 23) as i32 - 127).max(-16) + 16;
    if quantise(largest, exponent) == 512 {
        exponent += 1;
    }
    (exponent as u8, [r, g, b].map(|c| quantise(c, exponent)))
}

fn quantise(channel: f32, exponent: i32) -> u16 {
    // 2^(24 - exponent), made from its bits.
    let scale = f32::from_bits(((24 - exponent + 127) as u32) << 23);
    (channel * scale + 0.5) as u16
}

/// The half float of every exponent and mantissa, 32 KiB: computing each took a twelfth of a 1280x720 frame's CPU time.
static HALVES: LazyLock<Box<[u16; 1 << 14]>> = LazyLock::new(|| {
    let mut halves = Box::new([0; 1 << 14]);
    for (index, half) in (0u16..).zip(halves.iter_mut()) {
        *half = mantissa_to_half((index >> 9) as u8, index & 511);
    }
    halves
});

/// Exact: 9 bits always fit a half float's 11, and the smallest step is its smallest step, 2^-24.
fn mantissa_to_half(exponent: u8, mantissa: u16) -> u16 {
    let value = mantissa as f32 * f32::from_bits((exponent as u32 + 127 - 24) << 23);
    f16::from_f32_const(value).to_bits()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(pixel: [f32; 4]) -> [f32; 4] {
        let halves = [pixel.map(|c| f16::from_f32(c).to_bits())];
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        encode(Rows { pixels: &halves, stride: 1, first: 0, width: 1, height: 1 }, &mut bytes);
        decode(&bytes, 1, &mut out);
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
}
