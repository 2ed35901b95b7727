//! Pixel formats of an engine's planes, and their pixels as floats. Names and bits are those of Vulkan and Direct3D 12.

use crate::srgb::to_linear_table;
use half::f16;

/// Format of a plane; little-endian, channels from the lowest bits or the first byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u32)]
pub enum PlaneFormat {
    /// One float; depth buffers of 32 bits too.
    R32Float = 0,
    /// One half float.
    R16Float = 1,
    /// 16 bits that mean 0 to 1; depth buffers of 16 bits too.
    R16Unorm = 2,
    /// Depth of 24 bits that mean 0 to 1, in the lower bits; the upper 8 (stencil) are ignored.
    D24UnormS8 = 3,
    /// Two bytes that mean 0 to 1.
    Rg8Unorm = 4,
    /// Two bytes that mean -1 to 1.
    Rg8Snorm = 5,
    /// Two half floats.
    Rg16Float = 6,
    /// Two times 16 bits that mean 0 to 1.
    Rg16Unorm = 7,
    /// Two times 16 bits that mean -1 to 1.
    Rg16Snorm = 8,
    /// Two floats.
    Rg32Float = 9,
    /// Four bytes that mean 0 to 1.
    Rgba8Unorm = 10,
    /// Four bytes, the first three sRGB-encoded.
    Rgba8Srgb = 11,
    /// Four bytes that mean 0 to 1, blue first.
    Bgra8Unorm = 12,
    /// Four bytes, the first three sRGB-encoded, blue first.
    Bgra8Srgb = 13,
    /// Four bytes that mean -1 to 1.
    Rgba8Snorm = 14,
    /// 10, 10, 10 and 2 bits that mean 0 to 1, red lowest.
    Rgb10A2Unorm = 15,
    /// Floats of 11, 11 and 10 bits without sign, red lowest.
    R11G11B10Float = 16,
    /// 9-bit mantissas with a shared exponent of 5 bits, red lowest.
    Rgb9E5 = 17,
    /// Four half floats.
    Rgba16Float = 18,
    /// Four times 16 bits that mean 0 to 1.
    Rgba16Unorm = 19,
    /// Four times 16 bits that mean -1 to 1.
    Rgba16Snorm = 20,
    /// Three floats.
    Rgb32Float = 21,
    /// Four floats.
    Rgba32Float = 22,
    /// A whole number of 32 bits.
    R32Uint = 23,
    /// A whole number of 16 bits.
    R16Uint = 24,
    /// A whole number of 8 bits.
    R8Uint = 25,
}

/// What the bits of a format are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    Float,
    Unorm,
    Snorm,
    Depth,
    Uint,
}

impl PlaneFormat {
    /// All formats, in the order of their numbers.
    pub const ALL: [PlaneFormat; 26] = {
        use PlaneFormat::*;
        [
            R32Float,
            R16Float,
            R16Unorm,
            D24UnormS8,
            Rg8Unorm,
            Rg8Snorm,
            Rg16Float,
            Rg16Unorm,
            Rg16Snorm,
            Rg32Float,
            Rgba8Unorm,
            Rgba8Srgb,
            Bgra8Unorm,
            Bgra8Srgb,
            Rgba8Snorm,
            Rgb10A2Unorm,
            R11G11B10Float,
            Rgb9E5,
            Rgba16Float,
            Rgba16Unorm,
            Rgba16Snorm,
            Rgb32Float,
            Rgba32Float,
            R32Uint,
            R16Uint,
            R8Uint,
        ]
    };

    /// The format with this number, if there is one.
    pub fn from_u32(number: u32) -> Option<PlaneFormat> {
        PlaneFormat::ALL.get(number as usize).copied()
    }

    /// Its name in `rayloom.h`.
    pub const fn constant(self) -> &'static str {
        match self {
            PlaneFormat::R32Float => "RAYLOOM_FORMAT_R32_FLOAT",
            PlaneFormat::R16Float => "RAYLOOM_FORMAT_R16_FLOAT",
            PlaneFormat::R16Unorm => "RAYLOOM_FORMAT_R16_UNORM",
            PlaneFormat::D24UnormS8 => "RAYLOOM_FORMAT_D24_UNORM_S8",
            PlaneFormat::Rg8Unorm => "RAYLOOM_FORMAT_RG8_UNORM",
            PlaneFormat::Rg8Snorm => "RAYLOOM_FORMAT_RG8_SNORM",
            PlaneFormat::Rg16Float => "RAYLOOM_FORMAT_RG16_FLOAT",
            PlaneFormat::Rg16Unorm => "RAYLOOM_FORMAT_RG16_UNORM",
            PlaneFormat::Rg16Snorm => "RAYLOOM_FORMAT_RG16_SNORM",
            PlaneFormat::Rg32Float => "RAYLOOM_FORMAT_RG32_FLOAT",
            PlaneFormat::Rgba8Unorm => "RAYLOOM_FORMAT_RGBA8_UNORM",
            PlaneFormat::Rgba8Srgb => "RAYLOOM_FORMAT_RGBA8_SRGB",
            PlaneFormat::Bgra8Unorm => "RAYLOOM_FORMAT_BGRA8_UNORM",
            PlaneFormat::Bgra8Srgb => "RAYLOOM_FORMAT_BGRA8_SRGB",
            PlaneFormat::Rgba8Snorm => "RAYLOOM_FORMAT_RGBA8_SNORM",
            PlaneFormat::Rgb10A2Unorm => "RAYLOOM_FORMAT_RGB10A2_UNORM",
            PlaneFormat::R11G11B10Float => "RAYLOOM_FORMAT_R11G11B10_FLOAT",
            PlaneFormat::Rgb9E5 => "RAYLOOM_FORMAT_RGB9E5",
            PlaneFormat::Rgba16Float => "RAYLOOM_FORMAT_RGBA16_FLOAT",
            PlaneFormat::Rgba16Unorm => "RAYLOOM_FORMAT_RGBA16_UNORM",
            PlaneFormat::Rgba16Snorm => "RAYLOOM_FORMAT_RGBA16_SNORM",
            PlaneFormat::Rgb32Float => "RAYLOOM_FORMAT_RGB32_FLOAT",
            PlaneFormat::Rgba32Float => "RAYLOOM_FORMAT_RGBA32_FLOAT",
            PlaneFormat::R32Uint => "RAYLOOM_FORMAT_R32_UINT",
            PlaneFormat::R16Uint => "RAYLOOM_FORMAT_R16_UINT",
            PlaneFormat::R8Uint => "RAYLOOM_FORMAT_R8_UINT",
        }
    }

    /// Bytes of one pixel.
    pub const fn bytes_per_pixel(self) -> usize {
        use PlaneFormat::*;
        match self {
            R8Uint => 1,
            R16Float | R16Unorm | R16Uint | Rg8Unorm | Rg8Snorm => 2,
            R32Float | D24UnormS8 | Rg16Float | Rg16Unorm | Rg16Snorm | Rgba8Unorm | Rgba8Srgb | Bgra8Unorm
            | Bgra8Srgb | Rgba8Snorm | Rgb10A2Unorm | R11G11B10Float | Rgb9E5 | R32Uint => 4,
            Rg32Float | Rgba16Float | Rgba16Unorm | Rgba16Snorm => 8,
            Rgb32Float => 12,
            Rgba32Float => 16,
        }
    }

    /// Channels a pixel has.
    pub const fn channels(self) -> u32 {
        use PlaneFormat::*;
        match self {
            R32Float | R16Float | R16Unorm | D24UnormS8 | R32Uint | R16Uint | R8Uint => 1,
            Rg8Unorm | Rg8Snorm | Rg16Float | Rg16Unorm | Rg16Snorm | Rg32Float => 2,
            R11G11B10Float | Rgb9E5 | Rgb32Float => 3,
            Rgba8Unorm | Rgba8Srgb | Bgra8Unorm | Bgra8Srgb | Rgba8Snorm | Rgb10A2Unorm | Rgba16Float | Rgba16Unorm
            | Rgba16Snorm | Rgba32Float => 4,
        }
    }

    pub(super) const fn numbers(self) -> Numbers {
        use PlaneFormat::*;
        match self {
            R32Float | R16Float | Rg16Float | Rg32Float | R11G11B10Float | Rgb9E5 | Rgba16Float | Rgb32Float
            | Rgba32Float => Numbers::Float,
            R16Unorm | Rg8Unorm | Rg16Unorm | Rgba8Unorm | Rgba8Srgb | Bgra8Unorm | Bgra8Srgb | Rgb10A2Unorm
            | Rgba16Unorm => Numbers::Unorm,
            Rg8Snorm | Rg16Snorm | Rgba8Snorm | Rgba16Snorm => Numbers::Snorm,
            D24UnormS8 => Numbers::Depth,
            R32Uint | R16Uint | R8Uint => Numbers::Uint,
        }
    }

    /// True when it can hold numbers below zero.
    pub(crate) const fn is_signed(self) -> bool {
        matches!(self.numbers(), Numbers::Snorm)
            || matches!(self.numbers(), Numbers::Float)
                && !matches!(self, PlaneFormat::R11G11B10Float | PlaneFormat::Rgb9E5)
    }

    /// True when colours in it are sRGB-encoded.
    pub(crate) const fn is_srgb(self) -> bool {
        matches!(self, PlaneFormat::Rgba8Srgb | PlaneFormat::Bgra8Srgb)
    }

    /// Pixels as floats, red first, sRGB decoded; channels that the format lacks are 0. `bytes` may lie anywhere in memory
    /// and holds as many pixels as `out`, or fewer.
    pub(crate) fn read(self, bytes: &[u8], out: &mut [[f32; 4]]) {
        use PlaneFormat::*;
        match self {
            R32Float => each(bytes, out, |b: [u8; 4]| [float(b), 0.0, 0.0, 0.0]),
            R16Float => each(bytes, out, |b: [u8; 2]| [half(b), 0.0, 0.0, 0.0]),
            R16Unorm => each(bytes, out, |b: [u8; 2]| [unorm16(b), 0.0, 0.0, 0.0]),
            D24UnormS8 => each(bytes, out, |b: [u8; 4]| {
                [(u32::from_le_bytes(b) & 0xff_ffff) as f32 / 16_777_215.0, 0.0, 0.0, 0.0]
            }),
            Rg8Unorm => each(bytes, out, |b: [u8; 2]| [unorm8(b[0]), unorm8(b[1]), 0.0, 0.0]),
            Rg8Snorm => each(bytes, out, |b: [u8; 2]| [snorm8(b[0]), snorm8(b[1]), 0.0, 0.0]),
            Rg16Float => each(bytes, out, |b: [u8; 4]| two(b, half)),
            Rg16Unorm => each(bytes, out, |b: [u8; 4]| two(b, unorm16)),
            Rg16Snorm => each(bytes, out, |b: [u8; 4]| two(b, snorm16)),
            Rg32Float => each(bytes, out, |b: [u8; 8]| {
                [float([b[0], b[1], b[2], b[3]]), float([b[4], b[5], b[6], b[7]]), 0.0, 0.0]
            }),
            Rgba8Unorm => each(bytes, out, |b: [u8; 4]| b.map(unorm8)),
            Bgra8Unorm => each(bytes, out, |[b, g, r, a]: [u8; 4]| [r, g, b, a].map(unorm8)),
            Rgba8Srgb => {
                let table = to_linear_table();
                each(bytes, out, |[r, g, b, a]: [u8; 4]| srgb(table, [r, g, b], a));
            }
            Bgra8Srgb => {
                let table = to_linear_table();
                each(bytes, out, |[b, g, r, a]: [u8; 4]| srgb(table, [r, g, b], a));
            }
            Rgba8Snorm => each(bytes, out, |b: [u8; 4]| b.map(snorm8)),
            Rgb10A2Unorm => each(bytes, out, |b: [u8; 4]| {
                let word = u32::from_le_bytes(b);
                let ten = |shift: u32| (word >> shift & 1023) as f32 / 1023.0;
                [ten(0), ten(10), ten(20), (word >> 30) as f32 / 3.0]
            }),
            R11G11B10Float => each(bytes, out, |b: [u8; 4]| {
                let word = u32::from_le_bytes(b);
                // A half float without its sign and with fewer mantissa bits.
                let small = |bits: u32, shift: u32| f16::from_bits((bits << shift) as u16).to_f32();
                [small(word & 2047, 4), small(word >> 11 & 2047, 4), small(word >> 22, 5), 0.0]
            }),
            Rgb9E5 => each(bytes, out, |b: [u8; 4]| {
                let [r, g, b] = from_rgb9e5(u32::from_le_bytes(b));
                [r, g, b, 0.0]
            }),
            Rgba16Float => each(bytes, out, |b: [u8; 8]| four(b, half)),
            Rgba16Unorm => each(bytes, out, |b: [u8; 8]| four(b, unorm16)),
            Rgba16Snorm => each(bytes, out, |b: [u8; 8]| four(b, snorm16)),
            Rgb32Float => each(bytes, out, |b: [u8; 12]| {
                let at = |i: usize| float([b[i], b[i + 1], b[i + 2], b[i + 3]]);
                [at(0), at(4), at(8), 0.0]
            }),
            Rgba32Float => each(bytes, out, |b: [u8; 16]| {
                let at = |i: usize| float([b[i], b[i + 1], b[i + 2], b[i + 3]]);
                [at(0), at(4), at(8), at(12)]
            }),
            R32Uint => each(bytes, out, |b: [u8; 4]| [u32::from_le_bytes(b) as f32, 0.0, 0.0, 0.0]),
            R16Uint => each(bytes, out, |b: [u8; 2]| [f32::from(u16::from_le_bytes(b)), 0.0, 0.0, 0.0]),
            R8Uint => each(bytes, out, |[b]: [u8; 1]| [f32::from(b), 0.0, 0.0, 0.0]),
        }
    }

    /// Whole numbers; 0 for formats that hold none.
    pub(super) fn read_numbers(self, bytes: &[u8], out: &mut [u32]) {
        match self {
            PlaneFormat::R32Uint => each(bytes, out, u32::from_le_bytes),
            PlaneFormat::R16Uint => each(bytes, out, |b: [u8; 2]| u32::from(u16::from_le_bytes(b))),
            PlaneFormat::R8Uint => each(bytes, out, |[b]: [u8; 1]| u32::from(b)),
            _ => out.fill(0),
        }
    }
}

/// Light of a word of the shared-exponent format (EXT_texture_shared_exponent).
pub(crate) fn from_rgb9e5(word: u32) -> [f32; 3] {
    let scale = f32::from_bits(((word >> 27) + 127 - 15 - 9) << 23);
    [word & 511, word >> 9 & 511, word >> 18 & 511].map(|mantissa| mantissa as f32 * scale)
}

/// The nearest word; NaN and what is below 0 give 0, above 65408 gives 65408.
pub(crate) fn to_rgb9e5(light: [f32; 3]) -> u32 {
    let [r, g, b] = light.map(|c| if c > 0.0 { c.min(65408.0) } else { 0.0 });
    let largest = r.max(g).max(b);
    // The exponent that makes the largest mantissa 256 to 511, one more where rounding carries it over.
    let mut exponent = ((largest.to_bits() >> 23) as i32 - 127).max(-16) + 1 + 15;
    let step = |exponent: i32| f32::from_bits(((exponent - 15 - 9 + 127) as u32) << 23);
    if (largest / step(exponent)).round() > 511.0 {
        exponent += 1;
    }
    let code = |c: f32| (c / step(exponent)).round() as u32;
    code(r) | code(g) << 9 | code(b) << 18 | (exponent as u32) << 27
}

#[inline(always)]
fn each<const N: usize, T>(bytes: &[u8], out: &mut [T], value: impl Fn([u8; N]) -> T) {
    let (pixels, _) = bytes.as_chunks::<N>();
    for (out, pixel) in out.iter_mut().zip(pixels) {
        *out = value(*pixel);
    }
}

fn float(b: [u8; 4]) -> f32 {
    f32::from_le_bytes(b)
}

fn half(b: [u8; 2]) -> f32 {
    f16::from_le_bytes(b).to_f32()
}

fn unorm8(v: u8) -> f32 {
    f32::from(v) / 255.0
}

fn snorm8(v: u8) -> f32 {
    (f32::from(v as i8) / 127.0).max(-1.0)
}

fn unorm16(b: [u8; 2]) -> f32 {
    f32::from(u16::from_le_bytes(b)) / 65535.0
}

fn snorm16(b: [u8; 2]) -> f32 {
    (f32::from(i16::from_le_bytes(b)) / 32767.0).max(-1.0)
}

fn two(b: [u8; 4], value: fn([u8; 2]) -> f32) -> [f32; 4] {
    [value([b[0], b[1]]), value([b[2], b[3]]), 0.0, 0.0]
}

fn four(b: [u8; 8], value: fn([u8; 2]) -> f32) -> [f32; 4] {
    [value([b[0], b[1]]), value([b[2], b[3]]), value([b[4], b[5]]), value([b[6], b[7]])]
}

fn srgb(table: &[f32; 256], rgb: [u8; 3], alpha: u8) -> [f32; 4] {
    let [r, g, b] = rgb.map(|code| table[code as usize]);
    [r, g, b, unorm8(alpha)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pixel(format: PlaneFormat, bytes: &[u8]) -> [f32; 4] {
        let mut out = [[f32::NAN; 4]];
        format.read(bytes, &mut out);
        out[0]
    }

    #[test]
    fn numbers_and_sizes_belong_to_their_formats() {
        for (number, format) in PlaneFormat::ALL.into_iter().enumerate() {
            assert_eq!(format as usize, number);
            // A pixel of exactly so many bytes is read, one of fewer is left alone.
            let bytes = vec![0; format.bytes_per_pixel()];
            assert!(pixel(format, &bytes)[0] <= 0.0, "{format:?}");
            assert!(pixel(format, &bytes[1..])[0].is_nan(), "{format:?}");
        }
        assert_eq!(PlaneFormat::from_u32(26), None);
    }

    #[test]
    fn known_words_have_known_values() {
        assert_eq!(pixel(PlaneFormat::D24UnormS8, &0xabff_ffff_u32.to_le_bytes())[0], 1.0);
        assert_eq!(pixel(PlaneFormat::Rg16Snorm, &[0x01, 0x80, 0xff, 0x7f]), [-1.0, 1.0, 0.0, 0.0]);
        assert_eq!(pixel(PlaneFormat::Rg8Snorm, &[0x80, 0x7f]), [-1.0, 1.0, 0.0, 0.0]);
        assert_eq!(pixel(PlaneFormat::Bgra8Unorm, &[0, 0, 255, 255]), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(pixel(PlaneFormat::Rgba8Srgb, &[255, 0, 0, 255]), [1.0, 0.0, 0.0, 1.0]);
        let word = 1023 | 1023 << 20 | 3 << 30;
        assert_eq!(pixel(PlaneFormat::Rgb10A2Unorm, &u32::to_le_bytes(word)), [1.0, 0.0, 1.0, 1.0]);
        // 1.0 is exponent 15: 15 << 6 in eleven bits, 15 << 5 in ten.
        let word = 15 << 6 | (16 << 6) << 11 | (14 << 5) << 22;
        assert_eq!(pixel(PlaneFormat::R11G11B10Float, &u32::to_le_bytes(word)), [1.0, 2.0, 0.5, 0.0]);
        assert_eq!(pixel(PlaneFormat::Rgba16Float, &[0, 0x3c, 0, 0xc0, 0, 0, 0, 0x3c]), [1.0, -2.0, 0.0, 1.0]);
    }

    #[test]
    fn shared_exponents_hold_no_light_and_too_much() {
        assert_eq!(from_rgb9e5(to_rgb9e5([f32::NAN, -1.0, 0.0])), [0.0; 3]);
        assert_eq!(from_rgb9e5(to_rgb9e5([f32::INFINITY, 65408.0, 1e9])), [65408.0; 3]);
        assert_eq!(from_rgb9e5(to_rgb9e5([1.0, 0.5, 0.25])), [1.0, 0.5, 0.25]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn shared_exponents_are_exact_to_a_thousandth_of_the_largest(r in 1e-3f32..6e4, g in 0.0f32..6e4, b in 0.0f32..6e4) {
            let back = from_rgb9e5(to_rgb9e5([r, g, b]));
            let largest = r.max(g).max(b);
            for (back, light) in back.into_iter().zip([r, g, b]) {
                prop_assert!((back - light).abs() <= largest / 500.0, "{light} became {back}");
            }
        }
    }
}
