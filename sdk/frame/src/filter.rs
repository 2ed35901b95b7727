//! Merged light without its noise: an edge-stopping à-trous wavelet filter (Dammertz et al. 2010) whose reach follows the
//! noise that is left, as in SVGF (Schied et al. 2017). See `docs/merging.md`.
//!
//! It works on demodulated light of surfaces after history was gathered, and history never sees what it gives back: what
//! converges keeps converging. Its own picture is biased: outliers are cut. It is a function of the merged frame alone,
//! whatever the threads.

use glam::{Vec2, Vec3};

use crate::{
    Inline, LayerKind, Workers,
    merge::MergedFrame,
    normal::{decode_directions, dot},
    simd::{Half4, Kernel, Lanes, dispatch, each},
    workers::{BAND_ROWS, for_each},
};

/// The layers that are filtered: the others hold pictures, not light on surfaces.
pub const FILTERED: [LayerKind; 3] = [LayerKind::Direct, LayerKind::Specular, LayerKind::Indirect];

/// Pixels between the taps of each pass; the last reaches twice as far to each side.
pub const STEPS: [usize; 5] = [1, 2, 4, 8, 16];
/// A B3 spline.
const SPLINE: [f32; 5] = [1.0 / 16.0, 1.0 / 4.0, 3.0 / 8.0, 1.0 / 4.0, 1.0 / 16.0];
/// Standard deviations of noise by which luminances may differ.
const LUMINANCE_SIGMAS: f32 = 3.0;
/// Standard deviations above its neighbours' mean at which a pixel is an outlier and is cut.
const OUTLIER_SIGMAS: f32 = 3.0;
/// Neighbours resemble each other once history was resampled: differences show less noise than there is.
const CORRELATION: f32 = 2.0;
/// Depth that stands for the sky, where infinity would give NaN.
const FAR: f32 = 1e30;
/// Below this roughness reflections are a picture and stay as they are; from the second on they are filtered like other light.
const SHARP_ROUGHNESS: [f32; 2] = [0.05, 0.3];

/// The filter's buffers: 20 bytes a pixel, and 8 for each layer.
#[derive(Debug, Default)]
pub struct Filter {
    normals: [Vec<f32>; 3],
    scratch: Vec<[u16; 4]>,
    layers: [Vec<[u16; 4]>; FILTERED.len()],
}

impl Filter {
    /// The frame with its direct, specular and indirect light filtered; alpha (hit distances) and all else as it was.
    pub fn run<'a>(&'a mut self, frame: &MergedFrame<'a>) -> MergedFrame<'a> {
        self.run_with(frame, &Inline)
    }

    /// [`Filter::run`] on these threads; the bits are the same.
    pub fn run_with<'a>(&'a mut self, frame: &MergedFrame<'a>, workers: &dyn Workers) -> MergedFrame<'a> {
        let mut filtered = *frame;
        if FILTERED.iter().all(|kind| frame.layer(*kind).is_none()) {
            return filtered;
        }
        let Filter { normals, scratch, layers } = self;
        let pixels = frame.extent.pixels();
        normals.iter_mut().for_each(|plane| plane.resize(pixels, 0.0));
        scratch.resize(pixels, [0; 4]);
        let band = BAND_ROWS * frame.extent.width as usize;
        let [x, y, z] = normals.each_mut().map(|plane| plane.chunks_mut(band));
        let bands = x.zip(y).zip(z).enumerate().map(|(i, ((x, y), z))| (i * band, [x, y, z])).collect();
        for_each(workers, bands, |(first, out)| dispatch(Normals { frame, first, out }));
        let guides = Guides::new(frame, normals);
        for (kind, out) in FILTERED.into_iter().zip(layers) {
            let Some(merged) = frame.layer(kind) else { continue };
            out.resize(pixels, [0; 4]);
            let pass = |work: Work<'_>, to: &mut [[u16; 4]]| {
                let bands = to.chunks_mut(band).enumerate().collect();
                for_each(workers, bands, |(index, to)| {
                    dispatch(Pass { guides: &guides, kind, work, first_row: index * BAND_ROWS, to });
                });
            };
            // To and fro between two buffers; the last pass writes the layer.
            pass(Work::Estimate { merged }, scratch);
            for (index, step) in STEPS.into_iter().enumerate() {
                let (from, to) = if index % 2 == 0 { (&mut *scratch, &mut *out) } else { (&mut *out, &mut *scratch) };
                let alpha = (index + 1 == STEPS.len()).then_some(merged);
                pass(Work::Smooth { from, step, alpha }, to);
            }
            filtered.layers[kind as usize] = Some(out);
        }
        filtered
    }
}

const _: () = assert!(STEPS.len() % 2 == 1, "the last pass writes the layer");

/// Decodes normals; of the sky they are zero, so that it resembles nothing.
struct Normals<'a, 'b> {
    frame: &'a MergedFrame<'a>,
    first: usize,
    out: [&'b mut [f32]; 3],
}

impl Kernel for Normals<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<H: Half4>(mut self) {
        let planes = self.frame.planes;
        for start in (0..self.out[0].len()).step_by(8) {
            let normal = decode_directions(H::Lanes::load_from(&planes.normal, self.first + start));
            let depth = H::Lanes::load_from(bytemuck::cast_slice(&planes.depth), self.first + start);
            let is_surface = H::Lanes::zero().lt(depth) & depth.lt(H::Lanes::splat(FAR));
            let scale = (H::Lanes::splat(1.0) / dot(normal, normal).sqrt()) & is_surface;
            for (out, part) in self.out.iter_mut().zip(normal) {
                let out = &mut out[start..];
                let count = out.len().min(8);
                out[..count].copy_from_slice(&((part * scale) & is_surface).to_array()[..count]);
            }
        }
    }
}

/// What tells surfaces apart.
struct Guides<'a> {
    frame: &'a MergedFrame<'a>,
    normals: [&'a [f32]; 3],
    /// The ray of the first pixel, and what a pixel to the right and one down adds.
    origin: Vec3,
    step_x: Vec3,
    step_y: Vec3,
    /// A pixel's width at depth 1.
    pixel: f32,
}

impl<'a> Guides<'a> {
    fn new(frame: &'a MergedFrame<'a>, normals: &'a [Vec<f32>; 3]) -> Guides<'a> {
        let size = Vec2::new(frame.extent.width as f32, frame.extent.height as f32);
        let ray = |x, y| frame.camera.ray(Vec2::new(x, y), size);
        let origin = ray(0.5, 0.5);
        let (step_x, step_y) = (ray(1.5, 0.5) - origin, ray(0.5, 1.5) - origin);
        let pixel = step_x.length().max(step_y.length());
        Guides { frame, normals: normals.each_ref().map(Vec::as_slice), origin, step_x, step_y, pixel }
    }

    /// The surfaces of eight pixels of a row; those beyond its ends resemble nothing.
    #[inline(always)]
    fn surface<L: Lanes>(&self, x: isize, y: usize, with_roughness: bool) -> Surface<L> {
        let planes = self.frame.planes;
        let depth = self.load::<L>(bytemuck::cast_slice(&planes.depth), x, y).min(L::splat(FAR));
        let normal = each!(self.normals, plane => self.load::<L>(bytemuck::cast_slice(plane), x, y));
        let column = L::splat_bits(x as i32 as u32).add_bits(L::counting()).integer_to_float();
        let (row, step) = ((self.origin + self.step_y * y as f32).to_array(), self.step_x.to_array());
        let position = each!([0, 1, 2], i => (L::splat(row[i]) + L::splat(step[i]) * column) * depth);
        let roughness = if with_roughness {
            let material = self.load::<L>(&planes.material, x, y);
            (material & L::splat_bits(255)).integer_to_float() * L::splat(1.0 / 255.0)
        } else {
            L::zero()
        };
        Surface { depth, normal, position, roughness }
    }

    #[inline(always)]
    fn load<L: Lanes>(&self, words: &[u32], x: isize, y: usize) -> L {
        let width = self.frame.extent.width as usize;
        let row = &words[y * width..(y + 1) * width];
        match usize::try_from(x).ok().and_then(|x| row.get(x..)?.first_chunk()) {
            Some(words) => L::load_bits(words),
            None => L::load_bits(&std::array::from_fn(|i| {
                usize::try_from(x + i as isize).ok().and_then(|x| row.get(x)).copied().unwrap_or(0)
            })),
        }
    }

    /// Red, green, blue and alpha; black beyond the row's ends.
    #[inline(always)]
    fn light<L: Lanes>(&self, layer: &[[u16; 4]], x: isize, y: usize) -> [L; 4] {
        let width = self.frame.extent.width as usize;
        let row = &layer[y * width..(y + 1) * width];
        match usize::try_from(x).ok().and_then(|x| row.get(x..)?.first_chunk()) {
            Some(pixels) => L::load_pixels(pixels),
            None => L::load_pixels(&std::array::from_fn(|i| {
                usize::try_from(x + i as isize).ok().and_then(|x| row.get(x)).copied().unwrap_or([0; 4])
            })),
        }
    }
}

#[derive(Clone, Copy)]
struct Surface<L> {
    depth: L,
    normal: [L; 3],
    position: [L; 3],
    roughness: L,
}

impl<L: Lanes> Surface<L> {
    /// 0 to 1: how much `other`, some pixels away, lies in this surface's plane and faces its way.
    #[inline(always)]
    fn alike(&self, other: &Surface<L>, per_pixel: L, is_specular: bool) -> L {
        let between = each!([0, 1, 2], i => other.position[i] - self.position[i]);
        let off_plane = dot(self.normal, between).abs() * per_pixel;
        let mut facing = dot(self.normal, other.normal).max(L::zero());
        for _ in 0..6 {
            facing = facing * facing;
        }
        let mut weight = falloff(off_plane) * facing;
        if is_specular {
            let apart = (self.roughness - other.roughness).abs() * L::splat(8.0);
            weight = weight * (L::splat(1.0) - apart.min(L::splat(1.0)));
        }
        weight
    }
}

/// Near exp(-x), 0 from 8 on and for NaN.
#[inline(always)]
fn falloff<L: Lanes>(x: L) -> L {
    let mut y = L::splat(1.0) - (x * L::splat(0.125)).min(L::splat(1.0));
    for _ in 0..3 {
        y = y * y;
    }
    y
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

#[inline(always)]
fn finite_light<L: Lanes>([r, g, b, a]: [L; 4]) -> [L; 4] {
    [finite(r), finite(g), finite(b), finite(a)]
}

/// What a pass does; between passes alpha holds the standard deviation of the noise.
#[derive(Clone, Copy)]
enum Work<'a> {
    /// Cuts outliers and tells the noise from differences of neighbours, of which an edge touches few.
    Estimate { merged: &'a [[u16; 4]] },
    /// A pass of the wavelet; takes its alpha from `alpha` where that is given.
    Smooth { from: &'a [[u16; 4]], step: usize, alpha: Option<&'a [[u16; 4]]> },
}

struct Pass<'a, 'b> {
    guides: &'a Guides<'a>,
    kind: LayerKind,
    work: Work<'a>,
    first_row: usize,
    to: &'b mut [[u16; 4]],
}

impl Kernel for Pass<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<H: Half4>(self) {
        let Pass { guides, kind, work, first_row, to } = self;
        let width = guides.frame.extent.width as usize;
        for (y, row) in (first_row..).zip(to.chunks_mut(width)) {
            for (x, out) in (0..).step_by(8).zip(row.chunks_mut(8)) {
                let result: [H::Lanes; 4] = match work {
                    Work::Estimate { merged } => estimate(guides, kind, merged, x, y),
                    Work::Smooth { from, step, alpha } => {
                        let mut result = smooth(guides, kind, from, step, x, y);
                        if let Some(merged) = alpha {
                            result[3] = guides.light(merged, x as isize, y)[3];
                        }
                        result
                    }
                };
                let [r, g, b, a] = result;
                let halves = [r.to_halves(), g.to_halves(), b.to_halves(), a.to_halves()];
                for (i, out) in out.iter_mut().enumerate() {
                    *out = halves.map(|channel| channel[i]);
                }
            }
        }
    }
}

/// One over the distance from a plane at which weights have fallen to 1/e: so many pixels' widths.
#[inline(always)]
fn per_pixel<L: Lanes>(guides: &Guides<'_>, depth: L, step: usize) -> L {
    L::splat(1.0) / (depth * L::splat(guides.pixel * step as f32)).max(L::splat(1e-20))
}

#[inline(always)]
fn estimate<L: Lanes>(guides: &Guides<'_>, kind: LayerKind, merged: &[[u16; 4]], x: usize, y: usize) -> [L; 4] {
    let is_specular = kind == LayerKind::Specular;
    let here = guides.surface::<L>(x as isize, y, is_specular);
    let mut light = finite_light(guides.light::<L>(merged, x as isize, y));
    let scale = per_pixel(guides, here.depth, 1);
    let rows = guides.frame.extent.height as usize;
    let (mut sum, mut sum_light, mut sum_square) = (L::zero(), L::zero(), L::zero());
    // Across and down.
    let (mut pairs, mut differences) = ([L::zero(); 2], [L::zero(); 2]);
    let mut above = [(L::zero(), L::zero()); 5];
    for dy in -2..=2isize {
        let Some(row) = y.checked_add_signed(dy).filter(|row| *row < rows) else { continue };
        let mut left = (L::zero(), L::zero());
        for dx in -2..=2isize {
            let at = x as isize + dx;
            let other = guides.surface(at, row, is_specular);
            let weight = here.alike(&other, scale, is_specular);
            let l = luminance(&finite_light(guides.light::<L>(merged, at, row)));
            if (dx, dy) != (0, 0) {
                sum = sum + weight;
                sum_light = sum_light + weight * l;
                sum_square = sum_square + weight * l * l;
            }
            let slot = &mut above[(dx + 2) as usize];
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
    let floor = L::splat(1e-6);
    let mean = sum_light / sum.max(floor);
    let spread = (sum_square / sum.max(floor) - mean * mean).max(L::zero()).sqrt();
    let own = luminance(&light);
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
    light
}

#[inline(always)]
fn smooth<L: Lanes>(
    guides: &Guides<'_>,
    kind: LayerKind,
    from: &[[u16; 4]],
    step: usize,
    x: usize,
    y: usize,
) -> [L; 4] {
    let is_specular = kind == LayerKind::Specular;
    let here = guides.surface::<L>(x as isize, y, is_specular);
    let light = guides.light::<L>(from, x as isize, y);
    let own = luminance(&light);
    let mut sigma = light[3] * L::splat(LUMINANCE_SIGMAS);
    if is_specular {
        let [sharp, dull] = SHARP_ROUGHNESS;
        let share = (here.roughness - L::splat(sharp)) * L::splat(1.0 / (dull - sharp));
        sigma = sigma * share.max(L::zero()).min(L::splat(1.0));
    }
    let per_luminance = L::splat(1.0) / sigma.max(L::splat(1e-6));
    let scale = per_pixel(guides, here.depth, step);
    let rows = guides.frame.extent.height as usize;
    let centre = L::splat(SPLINE[2] * SPLINE[2]);
    let mut total = centre;
    let mut sums = [light[0] * centre, light[1] * centre, light[2] * centre];
    let mut variance = light[3] * light[3] * centre * centre;
    for (j, upper) in SPLINE.into_iter().enumerate() {
        let dy = (j as isize - 2) * step as isize;
        let Some(row) = y.checked_add_signed(dy).filter(|row| *row < rows) else { continue };
        for (i, across) in SPLINE.into_iter().enumerate() {
            if (i, j) == (2, 2) {
                continue;
            }
            let at = x as isize + (i as isize - 2) * step as isize;
            let other = guides.surface(at, row, is_specular);
            let there = guides.light::<L>(from, at, row);
            let apart = (luminance(&there) - own).abs() * per_luminance;
            let weight = here.alike(&other, scale, is_specular) * falloff(apart) * L::splat(upper * across);
            total = total + weight;
            for c in 0..3 {
                sums[c] = sums[c] + weight * there[c];
            }
            variance = variance + weight * weight * there[3] * there[3];
        }
    }
    let inverse = L::splat(1.0) / total;
    [sums[0] * inverse, sums[1] * inverse, sums[2] * inverse, variance.sqrt() * inverse]
}
