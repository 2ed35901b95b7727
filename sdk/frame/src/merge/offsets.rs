//! Where what warped pixels show stands beside their centres, of this frame and the last one.
//!
//! **A warped pixel shows the nearest pixel of the last frame**, which lands up to half a pixel beside it. What is left is kept for the next
//! frame: a camera that moves by less than half a pixel a frame would not move what is shown otherwise, however long it goes on.

use crate::{Extent, simd::Lanes};

/// Signed bytes to the right (the lower one) and down, in steps of 1/84 of a pixel: at most one and a half, from which pixels are stretched.
/// What rounding loses in sixty frames is some hundredths of a pixel.
pub(super) type Offset = u16;

const STEPS: f32 = 84.0;
/// Largest offset, in steps.
const MOST: f32 = 127.0;
/// What makes signed bytes positive, and back.
const BIAS: u32 = 128;

/// An offset a pixel; no memory until something is warped.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    of_frame: Vec<Offset>,
    of_last: Vec<Offset>,
    /// Something is warped: pixels that are not stand at their centres.
    is_warped: bool,
    was_warped: bool,
}

impl Offsets {
    /// A frame begins; one that was open is dropped.
    pub(super) fn begin(&mut self) {
        self.is_warped = false;
    }

    /// The finished frame becomes the last one.
    pub(super) fn close(&mut self) {
        std::mem::swap(&mut self.of_frame, &mut self.of_last);
        self.was_warped = std::mem::take(&mut self.is_warped);
    }

    /// Pixels of the open frame are about to be warped, or none are after all.
    pub(super) fn take_memory(&mut self, is_warped: bool, extent: Extent) {
        self.is_warped = is_warped;
        if is_warped && self.of_frame.is_empty() {
            // Both at once: the frames after this one take no memory.
            self.of_frame = vec![0; extent.pixels()];
            self.of_last.resize(extent.pixels(), 0);
        }
    }

    /// The open frame's and the last one's; none where all pixels stand at their centres.
    pub(super) fn split(&mut self) -> (&mut [Offset], &[Offset]) {
        let of_frame = if self.is_warped { &mut self.of_frame[..] } else { &mut [] };
        (of_frame, if self.was_warped { &self.of_last } else { &[] })
    }

    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Offset>() * (self.of_frame.capacity() + self.of_last.capacity())
    }
}

/// Pixels to the right and down of the offsets in the lower halves of words.
#[inline(always)]
pub(super) fn from_words<L: Lanes>(words: L) -> (L, L) {
    (to_pixels(words), to_pixels(words.shift_right::<8>()))
}

/// Of the lowest byte of each word.
#[inline(always)]
fn to_pixels<L: Lanes>(byte: L) -> L {
    let biased = byte.add_bits(L::splat_bits(BIAS)) & L::splat_bits(0xff);
    (biased.integer_to_float() - L::splat(BIAS as f32)) * L::splat(1.0 / STEPS)
}

/// The nearest offsets, in the lower halves of words; of what is no number, any.
#[inline(always)]
pub(super) fn to_words<L: Lanes>(right: L, down: L) -> L {
    to_byte(right) | to_byte(down).shift_left::<8>()
}

#[inline(always)]
fn to_byte<L: Lanes>(pixels: L) -> L {
    let steps = (pixels * L::splat(STEPS)).max(L::splat(-MOST)).min(L::splat(MOST));
    let biased = (steps + L::splat(BIAS as f32 + 0.5)).float_to_integer();
    biased.add_bits(L::splat_bits(BIAS)) & L::splat_bits(0xff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Half4, Kernel, dispatch};

    /// Offsets there and back.
    struct RoundTrip([f32; 8], [f32; 8]);

    impl Kernel for RoundTrip {
        type Output = ([f32; 8], [f32; 8], [u32; 8]);

        #[inline(always)]
        fn run<H: Half4>(self) -> Self::Output {
            let words = to_words(H::Lanes::load(&self.0), H::Lanes::load(&self.1));
            let (right, down) = from_words(words);
            (right.to_array(), down.to_array(), words.to_bits())
        }
    }

    #[test]
    fn offsets_come_back_within_half_a_step_and_zero_is_zero() {
        let right = [0.0, 0.5, -0.5, 1.0, -1.0, 1.0 / 84.0, -0.3, 7.0];
        let down = [0.0, -0.25, 0.75, -1.5, 1.5, 0.001, 0.9, -7.0];
        let (x, y, words) = dispatch(RoundTrip(right, down));
        assert_eq!((x[0], y[0], words[0]), (0.0, 0.0, 0), "what stands at its centre is a word of zeroes");
        for (sent, came) in right.into_iter().zip(x).chain(down.into_iter().zip(y)) {
            assert!(
                (sent.clamp(-MOST / STEPS, MOST / STEPS) - came).abs() <= 0.5 / STEPS + 1e-6,
                "{sent} came back as {came}"
            );
        }
        assert!(words.iter().all(|word| *word <= u32::from(Offset::MAX)), "{words:x?}");
        assert_eq!(dispatch(RoundTrip(right, down)), RoundTrip(right, down).run::<crate::simd::Portable>());
        dispatch(RoundTrip([f32::NAN; 8], [f32::INFINITY; 8]));
    }

    #[test]
    fn memory_is_two_offsets_a_pixel_once_something_is_warped() {
        let (extent, mut offsets) = (Extent::new(40, 20), Offsets::default());
        offsets.take_memory(false, extent);
        assert_eq!(offsets.held_bytes(), 0, "nothing was warped");
        offsets.take_memory(true, extent);
        assert_eq!(offsets.held_bytes(), 4 * extent.pixels());
        assert!(offsets.split().1.is_empty(), "of the last frame nothing was warped");
        offsets.close();
        assert!(offsets.split().0.is_empty(), "of the new frame nothing is warped yet");
        assert_eq!(offsets.split().1.len(), extent.pixels());
    }
}
