//! What tells surfaces apart: how much the pixels around eight pixels of a row lie in their surfaces' planes.

use glam::{Vec2, Vec3};

use crate::{
    merge::MergedFrame,
    normal::{decode_directions, dot},
    simd::{Half4, Kernel, Lanes, each},
};

/// Depth that stands for the sky, where infinity would give NaN.
const FAR: f32 = 1e30;

/// Decodes normals; of the sky they are zero, so that it resembles nothing.
pub(super) struct Normals<'a, 'b> {
    pub(super) frame: &'a MergedFrame<'a>,
    /// Index of the first pixel.
    pub(super) first: usize,
    pub(super) out: [&'b mut [f32]; 3],
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

/// Depth, normals and roughness of a frame, and how its pixels look into the scene.
pub(super) struct Guides<'a> {
    frame: &'a MergedFrame<'a>,
    normals: [&'a [f32]; 3],
    /// The ray of the first pixel, and what a pixel to the right and one down adds.
    origin: Vec3,
    step_x: Vec3,
    step_y: Vec3,
    /// A pixel's width at depth 1.
    pixel: f32,
}

/// A tap: pixels to the right and down.
pub(super) type Tap = (isize, isize);

/// How alike the surfaces at some taps are to the one of each of eight pixels, 0 to 1: they lie in its plane and face its way;
/// for reflections they are as rough, too.
pub(super) struct Alike<L, const TAPS: usize> {
    pub(super) surface: [L; TAPS],
    pub(super) specular: [L; TAPS],
}

impl<'a> Guides<'a> {
    pub(super) fn new(frame: &'a MergedFrame<'a>, normals: &'a [Vec<f32>; 3]) -> Guides<'a> {
        let size = Vec2::new(frame.extent.width as f32, frame.extent.height as f32);
        let ray = |x, y| frame.camera.ray(Vec2::new(x, y), size);
        let origin = ray(0.5, 0.5);
        let (step_x, step_y) = (ray(1.5, 0.5) - origin, ray(0.5, 1.5) - origin);
        let pixel = step_x.length().max(step_y.length());
        Guides { frame, normals: normals.each_ref().map(Vec::as_slice), origin, step_x, step_y, pixel }
    }

    pub(super) fn width(&self) -> usize {
        self.frame.extent.width as usize
    }

    /// The row so many below, held within the picture.
    #[inline(always)]
    pub(super) fn row(&self, y: usize, down: isize) -> usize {
        y.saturating_add_signed(down).min(self.frame.extent.height as usize - 1)
    }

    #[inline(always)]
    pub(super) fn roughness<L: Lanes>(&self, x: isize, y: usize) -> L {
        let material = self.load::<L>(&self.frame.planes.material, x, y);
        (material & L::splat_bits(255)).integer_to_float() * L::splat(1.0 / 255.0)
    }

    /// Compares the eight pixels from (x, y) on with those at the taps, `step` pixels apart. What lies beyond the picture
    /// resembles nothing.
    #[inline(always)]
    pub(super) fn alike<L: Lanes, const TAPS: usize>(
        &self,
        (x, y): (usize, usize),
        taps: &[Tap; TAPS],
        step: usize,
        with_roughness: bool,
    ) -> Alike<L, TAPS> {
        let zero = L::zero();
        let mut alike = Alike { surface: [zero; TAPS], specular: [zero; TAPS] };
        let (depth, normal) = (self.depth::<L>(x as isize, y), self.normal::<L>(x as isize, y));
        let column = L::splat_bits(x as u32).add_bits(L::counting()).integer_to_float();
        let (row, right) = ((self.origin + self.step_y * y as f32).to_array(), self.step_x.to_array());
        let ray = each!([0, 1, 2], i => L::splat(row[i]) + L::splat(right[i]) * column);
        // A pixel's plane is where its normal . position is this; positions are rays times depths.
        let along = dot(normal, ray);
        let plane = along * depth;
        let (step_x, step_y) = (self.step_x.to_array(), self.step_y.to_array());
        let along_x = dot(normal, each!(step_x, v => L::splat(v)));
        let along_y = dot(normal, each!(step_y, v => L::splat(v)));
        // Weights have fallen to 1/e so many pixels' widths off the plane.
        let scale = L::splat(1.0) / (depth * L::splat(self.pixel * step as f32)).max(L::splat(1e-20));
        let roughness = if with_roughness { self.roughness(x as isize, y) } else { zero };
        for (tap, (right, down)) in taps.iter().enumerate() {
            let (dx, dy) = (right * step as isize, down * step as isize);
            let Some(row) = y.checked_add_signed(dy).filter(|row| *row < self.frame.extent.height as usize) else {
                continue;
            };
            let at = x as isize + dx;
            let ray = along + along_x * L::splat(dx as f32) + along_y * L::splat(dy as f32);
            let off_plane = (ray * self.depth::<L>(at, row) - plane).abs() * scale;
            let mut facing = dot(normal, self.normal::<L>(at, row)).max(zero);
            for _ in 0..6 {
                facing = facing * facing;
            }
            let weight = falloff(off_plane) * facing;
            alike.surface[tap] = weight;
            if with_roughness {
                let apart = (roughness - self.roughness::<L>(at, row)).abs() * L::splat(8.0);
                alike.specular[tap] = weight * (L::splat(1.0) - apart.min(L::splat(1.0)));
            }
        }
        alike
    }

    #[inline(always)]
    fn depth<L: Lanes>(&self, x: isize, y: usize) -> L {
        self.load::<L>(bytemuck::cast_slice(&self.frame.planes.depth), x, y).min(L::splat(FAR))
    }

    #[inline(always)]
    fn normal<L: Lanes>(&self, x: isize, y: usize) -> [L; 3] {
        each!(self.normals, plane => self.load::<L>(bytemuck::cast_slice(plane), x, y))
    }

    #[inline(always)]
    fn load<L: Lanes>(&self, words: &[u32], x: isize, y: usize) -> L {
        L::load_bits(&eight(&words[y * self.width()..(y + 1) * self.width()], x, 0))
    }
}

/// Eight of a row's values; beyond its ends there is `nothing`.
#[inline(always)]
pub(super) fn eight<T: Copy>(row: &[T], x: isize, nothing: T) -> [T; 8] {
    if x >= 0
        && let Some(values) = row.get(x as usize..).and_then(|rest| rest.first_chunk())
    {
        return *values;
    }
    let mut values = [nothing; 8];
    for (i, value) in values.iter_mut().enumerate() {
        let at = x + i as isize;
        if at >= 0 && (at as usize) < row.len() {
            *value = row[at as usize];
        }
    }
    values
}

/// Near exp(-x), 0 from 8 on and for NaN.
#[inline(always)]
pub(super) fn falloff<L: Lanes>(x: L) -> L {
    let mut y = L::splat(1.0) - (x * L::splat(0.125)).min(L::splat(1.0));
    for _ in 0..3 {
        y = y * y;
    }
    y
}
