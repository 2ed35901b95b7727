//! The filter's passes over a band of rows: one tells outliers and noise, the others are the wavelet's.

use super::{
    FILTERED, LAYERS,
    guides::{Alike, Guides, Tap, eight, falloff},
};
use crate::{
    LayerKind,
    simd::{Half4, Kernel, Lanes, each},
};

/// Standard deviations of noise by which luminances may differ.
const LUMINANCE_SIGMAS: f32 = 3.0;
/// Standard deviations above its neighbours' mean at which a pixel is an outlier and is cut.
const OUTLIER_SIGMAS: f32 = 3.0;
/// Neighbours resemble each other once history was resampled: differences show less noise than there is.
const CORRELATION: f32 = 2.0;
/// Below this roughness reflections are a picture and stay as they are; from the second on they are filtered like other light.
const SHARP_ROUGHNESS: [f32; 2] = [0.05, 0.3];

/// Where noise is told: five by five pixels, row by row.
const AROUND: [Tap; 25] = {
    let mut taps = [(0, 0); 25];
    let mut i = 0;
    while i < 25 {
        taps[i] = (i as isize % 5 - 2, i as isize / 5 - 2);
        i += 1;
    }
    taps
};

/// The wavelet's taps but for the middle one, which weighs 1/4: a B1 spline of three by three.
const TAPS: [(Tap, f32); 8] = [
    ((-1, -1), 0.0625),
    ((0, -1), 0.125),
    ((1, -1), 0.0625),
    ((-1, 0), 0.125),
    ((1, 0), 0.125),
    ((-1, 1), 0.0625),
    ((0, 1), 0.125),
    ((1, 1), 0.0625),
];
const MIDDLE: f32 = 0.25;
const TAP_OFFSETS: [Tap; 8] = {
    let mut taps = [(0, 0); 8];
    let mut i = 0;
    while i < 8 {
        taps[i] = TAPS[i].0;
        i += 1;
    }
    taps
};

/// Layers as the pass before left them: each row holds its pixels' reds, then greens, blues and a fourth channel, which is the
/// luminance or the standard deviation of the noise.
pub(super) type Rows<'a> = &'a [&'a [u16]; LAYERS];

/// What a pass reads.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// The merged layers: writes rows with luminances.
    Merged,
    /// Rows with luminances: cuts outliers and tells the noise from differences of neighbours, of which an edge touches few.
    Luminances { from: Rows<'a> },
    /// Rows with the noise: smooths.
    Noisy { from: Rows<'a>, step: usize },
}

/// How a pass writes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// Rows for the next pass.
    Rows,
    /// Pixels, with alpha as it was merged.
    Layers,
}

/// A pass over some rows of all layers; of a layer that is not there, there are none.
pub(super) struct Pass<'a, 'b> {
    pub(super) guides: &'a Guides<'a>,
    pub(super) merged: &'a [Option<&'a [[u16; 4]]>; LAYERS],
    pub(super) source: Source<'a>,
    pub(super) target: Target,
    pub(super) first_row: usize,
    pub(super) to: [&'b mut [[u16; 4]]; LAYERS],
}

impl Kernel for Pass<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<H: Half4>(mut self) {
        let width = self.guides.width();
        let rows = self.to.iter().map(|band| band.len()).max().unwrap_or_default() / width;
        for row in 0..rows {
            for x in (0..width).step_by(8) {
                match self.source {
                    Source::Merged => self.split::<H::Lanes>(x, row),
                    Source::Luminances { from } => self.estimate::<H::Lanes>(from, x, row),
                    Source::Noisy { from, step } => self.smooth::<H::Lanes>(from, step, x, row),
                }
            }
        }
    }
}

impl Pass<'_, '_> {
    fn has_specular(&self) -> bool {
        self.merged.iter().zip(FILTERED).any(|(layer, kind)| layer.is_some() && kind == LayerKind::Specular)
    }

    #[inline(always)]
    fn split<L: Lanes>(&mut self, x: usize, row: usize) {
        for index in 0..LAYERS {
            let Some(merged) = self.merged[index] else { continue };
            let [r, g, b, _] = self.merged_light::<L>(merged, x as isize, self.first_row + row);
            let mut light = [finite(r), finite(g), finite(b), L::zero()];
            light[3] = luminance(&light);
            self.store(index, x, row, light);
        }
    }

    #[inline(always)]
    fn estimate<L: Lanes>(&mut self, from: Rows<'_>, x: usize, row: usize) {
        let y = self.first_row + row;
        let alike = self.guides.alike::<L, 25>((x, y), &AROUND, 1, self.has_specular());
        for index in 0..LAYERS {
            if self.merged[index].is_none() {
                continue;
            }
            let (layer, alike) = (from[index], weights(&alike, FILTERED[index]));
            let (mut sum, mut sum_light, mut sum_square) = (L::zero(), L::zero(), L::zero());
            // Across and down.
            let (mut pairs, mut differences) = ([L::zero(); 2], [L::zero(); 2]);
            let mut above = [(L::zero(), L::zero()); 5];
            for j in 0..5 {
                let at = self.guides.row(y, j as isize - 2);
                let mut left = (L::zero(), L::zero());
                for i in 0..5 {
                    let weight = alike[5 * j + i];
                    let l = self.channel::<L>(layer, 3, x as isize + i as isize - 2, at);
                    if (i, j) != (2, 2) {
                        sum = sum + weight;
                        sum_light = sum_light + weight * l;
                        sum_square = sum_square + weight * l * l;
                    }
                    let slot = &mut above[i];
                    for (direction, (w, before)) in [left, *slot].into_iter().enumerate() {
                        let both = w * weight;
                        let difference = before - l;
                        pairs[direction] = pairs[direction] + both;
                        differences[direction] = differences[direction] + both * difference * difference;
                    }
                    left = (weight, l);
                    *slot = (weight, l);
                }
            }
            let mut light = self.light::<L>(layer, x as isize, y);
            let floor = L::splat(1e-6);
            let mean = sum_light / sum.max(floor);
            let spread = (sum_square / sum.max(floor) - mean * mean).max(L::zero()).sqrt();
            let own = light[3];
            // Only where several neighbours tell what is usual.
            let most = mean + spread * L::splat(OUTLIER_SIGMAS);
            let is_outlier = most.lt(own) & L::splat(4.0).le(sum);
            let cut = (most / own.max(floor)).select(is_outlier, L::splat(1.0));
            for channel in light.iter_mut().take(3) {
                *channel = *channel * cut;
            }
            // Noise differs as much in both directions, what lies along an edge differs less.
            let (across, down) = (differences[0] / pairs[0].max(floor), differences[1] / pairs[1].max(floor));
            let noise = (across.min(down) * L::splat(0.5 * CORRELATION)).sqrt();
            let known = L::splat(1.0).le(pairs[0]) & L::splat(1.0).le(pairs[1]);
            light[3] = finite(noise.select(known, spread));
            self.store(index, x, row, light);
        }
    }

    #[inline(always)]
    fn smooth<L: Lanes>(&mut self, from: Rows<'_>, step: usize, x: usize, row: usize) {
        let y = self.first_row + row;
        let has_specular = self.has_specular();
        let alike = self.guides.alike::<L, 8>((x, y), &TAP_OFFSETS, step, has_specular);
        for index in 0..LAYERS {
            let Some(merged) = self.merged[index] else { continue };
            let (from, alike) = (from[index], weights(&alike, FILTERED[index]));
            let light = self.light::<L>(from, x as isize, y);
            let own = luminance(&light);
            let mut sigma = light[3] * L::splat(LUMINANCE_SIGMAS);
            if FILTERED[index] == LayerKind::Specular {
                let [sharp, dull] = SHARP_ROUGHNESS;
                let roughness = self.guides.roughness::<L>(x as isize, y);
                let share = (roughness - L::splat(sharp)) * L::splat(1.0 / (dull - sharp));
                sigma = sigma * share.max(L::zero()).min(L::splat(1.0));
            }
            let per_luminance = L::splat(1.0) / sigma.max(L::splat(1e-6));
            let middle = L::splat(MIDDLE);
            let mut total = middle;
            let mut sums = [light[0] * middle, light[1] * middle, light[2] * middle];
            let mut variance = light[3] * light[3] * middle * middle;
            for tap in 0..TAPS.len() {
                let ((dx, dy), spline) = TAPS[tap];
                let at = self.guides.row(y, dy * step as isize);
                let there = self.light::<L>(from, x as isize + dx * step as isize, at);
                let apart = (luminance(&there) - own).abs() * per_luminance;
                let weight = alike[tap] * falloff(apart) * L::splat(spline);
                total = total + weight;
                for c in 0..3 {
                    sums[c] = sums[c] + weight * there[c];
                }
                let noise = weight * there[3];
                variance = variance + noise * noise;
            }
            let inverse = L::splat(1.0) / total;
            let alpha = match self.target {
                Target::Rows => variance.sqrt() * inverse,
                Target::Layers => self.merged_light::<L>(merged, x as isize, y)[3],
            };
            self.store(index, x, row, [sums[0] * inverse, sums[1] * inverse, sums[2] * inverse, alpha]);
        }
    }

    /// Red, green, blue and alpha; black beyond the row's ends.
    #[inline(always)]
    fn merged_light<L: Lanes>(&self, layer: &[[u16; 4]], x: isize, y: usize) -> [L; 4] {
        let width = self.guides.width();
        L::load_pixels(&eight(&layer[y * width..(y + 1) * width], x, [0; 4]))
    }

    /// The four channels as the pass before left them; black beyond the row's ends.
    #[inline(always)]
    fn light<L: Lanes>(&self, layer: &[u16], x: isize, y: usize) -> [L; 4] {
        let [r, g, b] = each!([0, 1, 2], c => self.channel(layer, c, x, y));
        [r, g, b, self.channel(layer, 3, x, y)]
    }

    #[inline(always)]
    fn channel<L: Lanes>(&self, layer: &[u16], channel: usize, x: isize, y: usize) -> L {
        let width = self.guides.width();
        let start = (4 * y + channel) * width;
        L::load_halves(&eight(&layer[start..start + width], x, 0))
    }

    #[inline(always)]
    fn store<L: Lanes>(&mut self, index: usize, x: usize, row: usize, light: [L; 4]) {
        let width = self.guides.width();
        let row = &mut self.to[index][row * width..(row + 1) * width];
        let halves = [light[0].to_halves(), light[1].to_halves(), light[2].to_halves(), light[3].to_halves()];
        let count = (width - x).min(8);
        match self.target {
            Target::Layers => {
                for (i, out) in row[x..x + count].iter_mut().enumerate() {
                    *out = [halves[0][i], halves[1][i], halves[2][i], halves[3][i]];
                }
            }
            Target::Rows => {
                let row: &mut [u16] = bytemuck::cast_slice_mut(row);
                for (c, channel) in halves.iter().enumerate() {
                    row[c * width + x..c * width + x + count].copy_from_slice(&channel[..count]);
                }
            }
        }
    }
}

#[inline(always)]
fn weights<L, const TAPS: usize>(alike: &Alike<L, TAPS>, kind: LayerKind) -> &[L; TAPS] {
    if kind == LayerKind::Specular { &alike.specular } else { &alike.surface }
}

#[inline(always)]
fn luminance<L: Lanes>(light: &[L; 4]) -> L {
    (light[0] * L::splat(0.2126) + light[1] * L::splat(0.7152)) + light[2] * L::splat(0.0722)
}

/// Black where it is no number that a half float holds.
#[inline(always)]
fn finite<L: Lanes>(value: L) -> L {
    value & value.abs().le(L::splat(65504.0))
}
