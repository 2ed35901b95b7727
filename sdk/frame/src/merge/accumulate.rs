//! The arithmetic of eight pixels of a layer: this frame's samples, the history of their surfaces, and what both make.

use super::{
    MergeMode,
    change::{Difference, FEWEST_FRAMES},
    layer::LayerSource,
    reproject::Taps,
    upsample::{BlockRow, BlockTaps, upsample},
};
use crate::simd::Lanes;

/// Where eight pixels of this frame's signal are.
#[derive(Clone, Copy)]
pub(super) enum Signal<'a, L> {
    /// Nowhere: history alone counts.
    Missing,
    /// In the layer's own pixels.
    Full,
    /// In the blocks of the half-resolution plane.
    Coarse(&'a BlockRow<'a>, &'a BlockTaps<L>),
}

/// Where eight pixels read what was before, the same of all layers.
#[derive(Clone, Copy)]
pub(super) struct Before<L> {
    pub(super) taps: Taps<L>,
    /// Offsets of the right and the lower neighbour.
    steps: (usize, usize),
    /// The four neighbours' weights, each for the channels of two pixels.
    weights: [[L; 4]; 4],
}

impl<L: Lanes> Before<L> {
    #[inline(always)]
    pub(super) fn new(taps: Taps<L>, steps: (usize, usize)) -> Before<L> {
        let mut weights = [spread(taps.weights[0]), [L::zero(); 4], [L::zero(); 4], [L::zero(); 4]];
        // A picture that stands still reads one pixel each.
        if !(taps.contiguous && taps.is_single) {
            weights[1] = spread(taps.weights[1]);
            weights[2] = spread(taps.weights[2]);
            weights[3] = spread(taps.weights[3]);
        }
        Before { taps, steps, weights }
    }

    /// A layer there, two pixels in each.
    #[inline(always)]
    pub(super) fn read(&self, history: &[[u16; 4]]) -> [L; 4] {
        let (right, down) = self.steps;
        let mut sums = [L::zero(); 4];
        if self.taps.contiguous {
            let first = self.taps.first[0] as usize;
            let row = |offset: usize| -> &[[u16; 8]; 4] {
                let row: &[[u16; 4]; 8] =
                    history[first + offset..].first_chunk().expect("the last pixel's neighbours are in the view");
                bytemuck::cast_ref(row)
            };
            if self.taps.is_single {
                let row = row(0);
                for pair in 0..4 {
                    sums[pair] = sums[pair] + L::load_halves(&row[pair]) * self.weights[0][pair];
                }
                return sums;
            }
            let rows = [row(0), row(right), row(down), row(right + down)];
            for pair in 0..4 {
                for (row, weights) in rows.iter().zip(&self.weights) {
                    sums[pair] = sums[pair] + L::load_halves(&row[pair]) * weights[pair];
                }
            }
            return sums;
        }
        for (pair, sum) in sums.iter_mut().enumerate() {
            let [a, b] = [self.taps.first[2 * pair] as usize, self.taps.first[2 * pair + 1] as usize];
            for (row, weights) in [0, down].into_iter().zip(self.weights.as_chunks::<2>().0) {
                // Most neighbours stay neighbours.
                let (left, next) = if b == a + 1 && right == 1 {
                    let [first, second, third] =
                        *history[a + row..].first_chunk().expect("the last pixel's neighbours are in the view");
                    ([first, second], [second, third])
                } else {
                    let pixels = [history[a + row], history[b + row]];
                    (pixels, [history[a + row + right], history[b + row + right]])
                };
                *sum = *sum + L::load_halves(&bytemuck::cast(left)) * weights[0][pair];
                *sum = *sum + L::load_halves(&bytemuck::cast(next)) * weights[1][pair];
            }
        }
        sums
    }
}

/// Eight pixels of one layer.
pub(super) struct MergePixels<'a, L> {
    pub(super) source: &'a LayerSource<'a>,
    pub(super) signal: Signal<'a, L>,
    /// `None` where there is no history: the signal counts alone.
    pub(super) before: Option<&'a Before<L>>,
    /// Integers: frames gathered there; 0 where the surface was not visible.
    pub(super) lengths: L,
    pub(super) mode: MergeMode,
    /// Integers: frames that history counts for at most.
    pub(super) most: L,
    /// Where it is told how samples differ from history, if they are looked at.
    pub(super) difference: Option<&'a mut Difference>,
    /// Factor of history's light.
    pub(super) brightening: f32,
    /// Of paths.
    pub(super) sums: Option<Sums<'a>>,
}

impl<L: Lanes> MergePixels<'_, L> {
    /// Exponential accumulation whose weight is one over the frames gathered and this one (Nehab et al. 2007).
    #[inline(always)]
    pub(super) fn run(self, pixels: &mut [[u16; 4]; 8]) {
        // Two pixels in the lanes of each.
        let halves: &mut [[u16; 8]; 4] = bytemuck::cast_mut(pixels);
        let exact = self.mode == MergeMode::Passthrough;
        let mut samples = [L::zero(); 4];
        match self.signal {
            Signal::Missing => {}
            Signal::Full if exact => return,
            Signal::Full => {
                for k in 0..4 {
                    samples[k] = L::load_halves(&halves[k]);
                }
            }
            Signal::Coarse(row, taps) => samples = upsample(self.source, row, taps),
        }
        let mut before = [L::zero(); 4];
        if let Some(at) = self.before {
            before = at.read(self.source.history);
            let is_plain = self.brightening == 1.0 && self.sums.is_none() && !matches!(self.signal, Signal::Missing);
            if is_plain {
                let lengths = self.lengths;
                let merged = mix(samples, before, lengths.min_signed(self.most), lengths);
                let merged =
                    [merged[0].to_halves(), merged[1].to_halves(), merged[2].to_halves(), merged[3].to_halves()];
                // Whatever is infinite or no number, there or here, makes what is merged so.
                if are_finite::<L>(&merged) {
                    if let Some(difference) = self.difference {
                        measure(samples, before, lengths, difference);
                    }
                    *halves = merged;
                    return;
                }
            }
            if self.brightening != 1.0 {
                for light in &mut before {
                    *light = *light * brightened(self.brightening);
                }
            }
        }
        if matches!(self.signal, Signal::Full) {
            for sample in &mut samples {
                *sample = finite(*sample);
            }
        }
        let mut merged = match (self.before, self.signal) {
            (None, _) => samples,
            (Some(_), Signal::Missing) => before,
            (Some(_), _) => {
                let lengths = self.lengths;
                if let Some(difference) = self.difference {
                    measure(samples, before, lengths, difference);
                }
                mix(samples, before, lengths.min_signed(self.most), lengths)
            }
        };
        if let Some(sums) = self.sums {
            let gathered = match self.before {
                Some(_) => self.lengths.min_signed(self.most),
                None => L::zero(),
            };
            let signal = (!matches!(self.signal, Signal::Missing)).then_some(samples);
            merged = sums.add(signal, merged, gathered, self.brightening);
        }
        for k in 0..4 {
            // Whatever led to it, history never holds what is no number: it would spread from pixel to pixel.
            halves[k] = finite(merged[k]).to_halves();
        }
        if let Signal::Coarse(row, taps) = self.signal
            && exact
        {
            taps.keep_samples(row, self.source.coarse, pixels);
        }
    }
}

/// Tells how samples differ from history, where that has gathered some frames.
#[inline(always)]
pub(super) fn measure<L: Lanes>(samples: [L; 4], before: [L; 4], lengths: L, difference: &mut Difference) {
    let counts = lengths.gt_signed(L::splat_bits(FEWEST_FRAMES - 1));
    let pixels = counts.mask_bits().count_ones();
    if pixels == 0 {
        return;
    }
    let (counts, shares) = (spread(counts), Difference::shares::<L>());
    let (mut sum, mut square) = (L::zero(), L::zero());
    for k in 0..4 {
        let apart = ((samples[k] - before[k]) & counts[k]) * shares;
        sum = sum + apart;
        square = square + apart * apart;
    }
    difference.add(pixels, sum, square);
}

/// Factors of the channels of two pixels: of light, not of alpha.
#[inline(always)]
pub(super) fn brightened<L: Lanes>(factor: f32) -> L {
    L::load(&[factor, factor, factor, 1.0, factor, factor, factor, 1.0])
}

/// Sums over frames of pixels of paths, up to eight.
pub(super) struct Sums<'a> {
    pub(super) pixels: &'a mut [[f32; 4]],
    pub(super) is_unchanged: bool,
    /// Of each pixel in this frame.
    pub(super) samples: f32,
}

impl Sums<'_> {
    /// Adds samples to what was summed while nothing changed: a mean of all of them, in full precision. After a change what
    /// is merged stands for the frames that history counts for.
    #[inline(always)]
    fn add<L: Lanes>(self, signal: Option<[L; 4]>, merged: [L; 4], gathered: L, brightening: f32) -> [L; 4] {
        let mut padded = [[0.0; 4]; 8];
        padded[..self.pixels.len()].copy_from_slice(self.pixels);
        let frames = gathered.integer_to_float().to_array();
        let mut means = merged;
        for k in 0..4 {
            let mut shown = merged[k].to_array();
            let mut new = None;
            if let Some(samples) = signal {
                new = Some(samples[k].to_array());
            }
            for side in 0..2 {
                let (pixel, at) = (&mut padded[2 * k + side], 4 * side);
                let goes_on = self.is_unchanged && pixel[3] > 0.0;
                let count = if goes_on {
                    pixel[3] + if new.is_some() { self.samples } else { 0.0 }
                } else {
                    self.samples * (frames[2 * k + side] + if new.is_some() { 1.0 } else { 0.0 })
                };
                for c in 0..3 {
                    pixel[c] = match &new {
                        Some(new) if goes_on => pixel[c] * brightening + new[at + c] * self.samples,
                        None if goes_on => pixel[c] * brightening,
                        _ => shown[at + c] * count,
                    };
                    if count > 0.0 {
                        shown[at + c] = pixel[c] / count;
                    }
                }
                pixel[3] = count;
            }
            means[k] = L::load(&shown);
        }
        let pixels = self.pixels.len();
        self.pixels.copy_from_slice(&padded[..pixels]);
        means
    }
}

/// Samples, and what they make of a history that counts for `gathered` frames; nothing where `lengths` is 0.
#[inline(always)]
pub(super) fn mix<L: Lanes>(samples: [L; 4], before: [L; 4], gathered: L, lengths: L) -> [L; 4] {
    let weight = L::splat(1.0) / (gathered.integer_to_float() + L::splat(1.0));
    let weight = spread(weight);
    let mut merged = before;
    for k in 0..4 {
        merged[k] = before[k] + (samples[k] - before[k]) * weight[k];
    }
    let anew = lengths.eq_bits(L::zero());
    if anew.mask_bits() != 0 {
        let anew = spread(anew);
        for k in 0..4 {
            merged[k] = samples[k].select(anew[k], merged[k]);
        }
    }
    merged
}

/// Each lane four times: for the channels of two pixels in each.
#[inline(always)]
pub(super) fn spread<L: Lanes>(lanes: L) -> [L; 4] {
    [lanes.spread::<0>(), lanes.spread::<1>(), lanes.spread::<2>(), lanes.spread::<3>()]
}

/// Infinity and NaN would stay in history for ever: they count as no light.
#[inline(always)]
pub(super) fn finite<L: Lanes>(value: L) -> L {
    value & value.abs().lt(L::splat(f32::INFINITY))
}

/// True when no half float is infinite or no number.
#[inline(always)]
pub(super) fn are_finite<L: Lanes>(halves: &[[u16; 8]; 4]) -> bool {
    let [upper, lower]: [[u32; 8]; 2] = bytemuck::cast(*halves);
    let (exponent, step) = (L::splat_bits(0x7c00_7c00), L::splat_bits(0x0400_0400));
    // One more than the largest exponent reaches the sign.
    let carry = (L::load_bits(&upper) & exponent).add_bits(step) | (L::load_bits(&lower) & exponent).add_bits(step);
    (carry & L::splat_bits(0x8000_8000)).eq_bits(L::zero()).mask_bits() == 0xff
}
