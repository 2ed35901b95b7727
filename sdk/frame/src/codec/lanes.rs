//! Reversible reordering that makes planes compressible: prediction per lane, zigzag, one run of bytes per byte position.
//!
//! A pixel is `N` lanes of 1, 2 or 4 bytes. Each lane is predicted from its neighbours (wrapping, so any bits come back),
//! the residual is folded so that small negative numbers are small, and equal bytes of all pixels are stored together:
//! runs of zeros are what LZ4 finds.

/// An unsigned integer that is predicted as one number.
pub(super) trait Lane: Copy + Default {
    const BYTES: usize;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    /// 0, -1, 1, -2 ... to 0, 1, 2, 3 ...
    fn fold(self) -> Self;
    fn unfold(self) -> Self;
    fn byte(self, index: usize) -> u8;
    fn with_byte(self, index: usize, byte: u8) -> Self;
}

macro_rules! lane {
    ($type:ty, $signed:ty) => {
        impl Lane for $type {
            const BYTES: usize = size_of::<$type>();
            #[inline]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline]
            fn fold(self) -> Self {
                (self << 1) ^ ((self as $signed) >> (<$type>::BITS - 1)) as $type
            }
            #[inline]
            fn unfold(self) -> Self {
                (self >> 1) ^ (self & 1).wrapping_neg()
            }
            #[inline]
            fn byte(self, index: usize) -> u8 {
                (self >> (8 * index as u32)) as u8
            }
            #[inline]
            fn with_byte(self, index: usize, byte: u8) -> Self {
                self | (byte as $type) << (8 * index as u32)
            }
        }
    };
}
lane!(u8, i8);
lane!(u16, i16);
lane!(u32, i32);

/// How a lane is guessed from pixels that the decoder has already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    /// The pixel to the left; in the first column the one above.
    Left,
    /// left + above - above left: exact on planes.
    Gradient,
}

/// A rectangle of pixels inside a plane's rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, P> {
    /// All of the plane's pixels.
    pub(super) pixels: &'a [P],
    /// Pixels from one row to the next.
    pub(super) stride: usize,
    /// Index of the rectangle's first pixel.
    pub(super) first: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl<'a, P> Rows<'a, P> {
    pub(super) fn row(&self, y: usize) -> &'a [P] {
        let start = self.first + y * self.stride;
        &self.pixels[start..start + self.width]
    }
}

/// Appends `width * height * N * T::BYTES` bytes to `out`.
pub(super) fn encode<P: Copy, T: Lane, const N: usize>(
    rows: Rows<'_, P>,
    predictor: Predictor,
    split: impl Fn(P) -> [T; N],
    out: &mut Vec<u8>,
) {
    let n = rows.width * rows.height;
    let start = out.len();
    out.resize(start + n * N * T::BYTES, 0);
    let out = &mut out[start..];
    for lane in 0..N {
        let planes = &mut out[lane * T::BYTES * n..(lane + 1) * T::BYTES * n];
        for y in 0..rows.height {
            let row = rows.row(y);
            let above = if y > 0 { rows.row(y - 1) } else { &[] };
            let mut left = above.first().map_or(T::default(), |p| split(*p)[lane]);
            let mut above_left = left;
            for (x, pixel) in row.iter().enumerate() {
                let value = split(*pixel)[lane];
                let mut guess = left;
                if predictor == Predictor::Gradient && y > 0 {
                    let up = split(above[x])[lane];
                    guess = left.add(up).sub(above_left);
                    above_left = up;
                }
                let residual = value.sub(guess).fold();
                for byte in 0..T::BYTES {
                    planes[byte * n + y * rows.width + x] = residual.byte(byte);
                }
                left = value;
            }
        }
    }
}

/// The inverse of [`encode`]: `bytes` holds exactly `width * height * N * T::BYTES` bytes; the pixels are appended to `out`.
pub(super) fn decode<P: Copy + Default, T: Lane, const N: usize>(
    bytes: &[u8],
    width: usize,
    height: usize,
    predictor: Predictor,
    split: impl Fn(P) -> [T; N],
    set: impl Fn(&mut P, usize, T),
    out: &mut Vec<P>,
) {
    let n = width * height;
    let start = out.len();
    out.resize(start + n, P::default());
    let out = &mut out[start..];
    for lane in 0..N {
        let planes = &bytes[lane * T::BYTES * n..(lane + 1) * T::BYTES * n];
        for y in 0..height {
            let (done, rest) = out.split_at_mut(y * width);
            let above = if y > 0 { &done[(y - 1) * width..] } else { &[] };
            let mut left = above.first().map_or(T::default(), |p| split(*p)[lane]);
            let mut above_left = left;
            for (x, pixel) in rest[..width].iter_mut().enumerate() {
                let mut guess = left;
                if predictor == Predictor::Gradient && y > 0 {
                    let up = split(above[x])[lane];
                    guess = left.add(up).sub(above_left);
                    above_left = up;
                }
                let mut residual = T::default();
                for byte in 0..T::BYTES {
                    residual = residual.with_byte(byte, planes[byte * n + y * width + x]);
                }
                left = guess.add(residual.unfold());
                set(pixel, lane, left);
            }
        }
    }
}
