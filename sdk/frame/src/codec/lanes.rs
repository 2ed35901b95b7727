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
    // A row at a time in passes without branches and without bounds to check: compilers turn these into SIMD.
    let mut residuals = vec![T::default(); rows.width];
    for lane in 0..N {
        let planes = &mut out[lane * T::BYTES * n..(lane + 1) * T::BYTES * n];
        for y in 0..rows.height {
            let row = rows.row(y);
            let above = if y > 0 { rows.row(y - 1) } else { &[] };
            let (Some(first), Some(residual)) = (row.first(), residuals.first_mut()) else { return };
            let before = above.first().map_or(T::default(), |p| split(*p)[lane]);
            *residual = split(*first)[lane].sub(before).fold();
            let pairs = residuals[1..].iter_mut().zip(row.windows(2));
            if predictor == Predictor::Gradient && y > 0 {
                for ((residual, pixels), up) in pairs.zip(above.windows(2)) {
                    let step = split(up[1])[lane].sub(split(up[0])[lane]);
                    *residual = split(pixels[1])[lane].sub(split(pixels[0])[lane].add(step)).fold();
                }
            } else {
                for (residual, pixels) in pairs {
                    *residual = split(pixels[1])[lane].sub(split(pixels[0])[lane]).fold();
                }
            }
            for (byte, plane) in planes.chunks_exact_mut(n).enumerate() {
                let row = &mut plane[y * rows.width..(y + 1) * rows.width];
                row.iter_mut().zip(&residuals).for_each(|(out, residual)| *out = residual.byte(byte));
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
    let mut residuals = vec![T::default(); width];
    for lane in 0..N {
        let planes = &bytes[lane * T::BYTES * n..(lane + 1) * T::BYTES * n];
        for y in 0..height {
            let (done, rest) = out.split_at_mut(y * width);
            let row = &mut rest[..width];
            let above = if y > 0 { &done[(y - 1) * width..] } else { &[] };
            residuals.fill(T::default());
            for (byte, plane) in planes.chunks_exact(n).enumerate() {
                let bytes = &plane[y * width..(y + 1) * width];
                residuals.iter_mut().zip(bytes).for_each(|(residual, b)| *residual = residual.with_byte(byte, *b));
            }
            let mut left = above.first().map_or(T::default(), |p| split(*p)[lane]);
            if predictor == Predictor::Gradient && y > 0 {
                let mut above_left = left;
                for ((pixel, residual), up) in row.iter_mut().zip(&residuals).zip(above) {
                    let up = split(*up)[lane];
                    left = left.add(up).sub(above_left).add(residual.unfold());
                    above_left = up;
                    set(pixel, lane, left);
                }
            } else {
                for (pixel, residual) in row.iter_mut().zip(&residuals) {
                    left = left.add(residual.unfold());
                    set(pixel, lane, left);
                }
            }
        }
    }
}
