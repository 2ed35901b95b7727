//! Reversible prediction of planes: lanes of each pixel less what their neighbours say, zigzag, one plane per byte position.
//!
//! A pixel is `N` lanes of 1, 2 or 4 bytes. Each lane is predicted from its neighbours (wrapping, so any bits come back) and
//! the residual is folded so that small negative numbers are small. Equal bytes of all pixels stand together, where most of
//! them are zero. Every pass goes over a row without branches: compilers turn them into SIMD.

use super::planes::Planes;

/// An unsigned integer that is predicted as one number.
pub(super) trait Lane: bytemuck::Pod {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    /// 0, -1, 1, -2 ... to 0, 1, 2, 3 ...
    fn fold(self) -> Self;
    fn unfold(self) -> Self;
}

macro_rules! lane {
    ($type:ty, $signed:ty) => {
        impl Lane for $type {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn fold(self) -> Self {
                (self << 1) ^ ((self as $signed) >> (<$type>::BITS - 1)) as $type
            }
            #[inline(always)]
            fn unfold(self) -> Self {
                (self >> 1) ^ (self & 1).wrapping_neg()
            }
        }
    };
}
lane!(u8, i8);
lane!(u16, i16);
lane!(u32, i32);

/// How a lane is guessed from pixels that the decoder has already. In the first row all take the pixel to the left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    /// The pixel above.
    Up,
    /// left + above - above left: exact on planes. In the first column the pixel above.
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
    #[inline(always)]
    pub(super) fn row(&self, y: usize) -> &'a [P] {
        let start = self.first + y * self.stride;
        &self.pixels[start..start + self.width]
    }
}

/// Fills `BYTES` planes with the residuals of pixels `P` of `BYTES` bytes, seen as `N` lanes `T`.
#[inline(always)]
pub(super) fn encode<P: bytemuck::Pod, T: Lane, const N: usize, const BYTES: usize>(
    rows: Rows<'_, P>,
    predictor: Predictor,
    planes: &mut Planes,
) {
    const { assert!(size_of::<P>() == BYTES && N * size_of::<T>() == BYTES) };
    planes.resize(BYTES, rows.width * rows.height);
    let mut residuals = vec![T::zeroed(); rows.width * N];
    for y in 0..rows.height {
        let row: &[T] = bytemuck::cast_slice(rows.row(y));
        if y == 0 {
            residuals.copy_from_slice(row);
            for (residual, (right, left)) in residuals[N..].iter_mut().zip(row[N..].iter().zip(row)) {
                *residual = right.sub(*left);
            }
        } else {
            let above: &[T] = bytemuck::cast_slice(rows.row(y - 1));
            for (residual, (lane, up)) in residuals.iter_mut().zip(row.iter().zip(above)) {
                *residual = lane.sub(*up);
            }
            if predictor == Predictor::Gradient {
                let pairs = row[N..].iter().zip(&above[N..]).zip(row.iter().zip(above));
                for (residual, ((right, up), (left, up_left))) in residuals[N..].iter_mut().zip(pairs) {
                    *residual = right.sub(*up).sub(left.sub(*up_left));
                }
            }
        }
        residuals.iter_mut().for_each(|residual| *residual = residual.fold());
        let (pixels, _) = bytemuck::cast_slice::<T, u8>(&residuals).as_chunks::<BYTES>();
        for (k, plane) in planes.rows_mut::<BYTES>(y * rows.width..(y + 1) * rows.width).into_iter().enumerate() {
            plane.iter_mut().zip(pixels).for_each(|(byte, pixel)| *byte = pixel[k]);
        }
    }
}

/// The inverse of [`encode`] for rows of `width` pixels: the pixels are appended to `out`.
#[inline(always)]
pub(super) fn decode<P: bytemuck::Pod, T: Lane, const N: usize, const BYTES: usize>(
    planes: &Planes,
    width: usize,
    height: usize,
    predictor: Predictor,
    out: &mut Vec<P>,
) {
    const { assert!(size_of::<P>() == BYTES && N * size_of::<T>() == BYTES) };
    let start = out.len();
    out.resize(start + width * height, P::zeroed());
    let lanes: &mut [T] = bytemuck::cast_slice_mut(&mut out[start..]);
    for y in 0..height {
        let (done, rest) = lanes.split_at_mut(y * width * N);
        let row = &mut rest[..width * N];
        let bytes = planes.rows::<BYTES>(y * width..(y + 1) * width);
        let (pixels, _) = bytemuck::cast_slice_mut::<T, u8>(row).as_chunks_mut::<BYTES>();
        for (x, pixel) in pixels.iter_mut().enumerate() {
            *pixel = bytes.map(|plane| plane[x]);
        }
        row.iter_mut().for_each(|residual| *residual = residual.unfold());
        if y == 0 || predictor == Predictor::Gradient {
            let mut left = [T::zeroed(); N];
            for pixel in row.as_chunks_mut::<N>().0 {
                for (lane, left) in pixel.iter_mut().zip(&mut left) {
                    *left = left.add(*lane);
                    *lane = *left;
                }
            }
        }
        if y > 0 {
            let above = &done[(y - 1) * width * N..];
            row.iter_mut().zip(above).for_each(|(lane, up)| *lane = lane.add(*up));
        }
    }
}
