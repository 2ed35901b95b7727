//! What a frame's primary hits say about the work of tracing it: features of 16x16 blocks and a first guess of their cost.

mod motion;

pub use motion::block_motion;

use crate::{
    Extent, Inline, LayerKind, LayerRequest, Workers,
    merge::MergedFrame,
    normal::{decode_directions, dot, nearly_equal_normals, similar_directions},
    simd::{Half4, Kernel, Lanes, dispatch},
    workers::for_each,
};

/// Side of a block in pixels; blocks are anchored at the view's origin, like [`crate::TracedTile::block_rays`].
pub const BLOCK_SIZE: u32 = 16;

/// Number of features of a block.
pub const FEATURES: usize = 9;

/// Index of a feature in [`BlockFeatures::values`]; each is a share of the pixels of every
/// fourth row of the block, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Feature {
    /// Pixels that show a surface, not the sky.
    Coverage = 0,
    /// Pixels whose right or lower neighbour lies over 10 % nearer or farther.
    DepthEdges = 1,
    /// Pixels whose right or lower neighbour's normal differs by over 26 degrees.
    NormalEdges = 2,
    /// Pixels that reflect sharply: roughness below 0.3 or metal.
    Reflective = 3,
    /// Mean of 1 - roughness.
    Smoothness = 4,
    /// Pixels whose surface was not visible a frame before.
    Disoccluded = 5,
    /// Pixels that show a surface through which others are seen: its colour's alpha is below 1.
    Translucent = 6,
    /// Pixels of surfaces with light in the unlit layer: they shine, or something is seen through them.
    Luminous = 7,
    /// Pixels of surfaces that light from a lamp or the sun reaches unoccluded.
    Lit = 8,
}

/// Blocks that are gathered together: rows of planes are read in pieces that the processor sees coming, and sums of all
/// features stay near it.
const STRIP: usize = 32;
/// Features are taken from every fourth row: 64 pixels tell a block's shares to a few percent, for a quarter of the time.
const ROWS: usize = 4;

/// Features of all blocks of a view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockFeatures {
    /// Blocks in a row.
    pub blocks_x: u32,
    /// Rows of blocks.
    pub blocks_y: u32,
    /// `blocks_x * blocks_y` blocks, rows from the top, indexed by [`Feature`].
    pub values: Vec<[f32; FEATURES]>,
    /// Mean of 1 / depth of each block's pixels, in 1/m; the sky is infinitely far away.
    pub inverse_depth: Vec<f32>,
}

impl BlockFeatures {
    /// Features of a merged frame. Blocks at the right and lower edges count the pixels that they have.
    pub fn of(frame: &MergedFrame<'_>) -> BlockFeatures {
        let mut features = BlockFeatures::default();
        features.update(frame);
        features
    }

    /// [`BlockFeatures::of`] in the same memory.
    pub fn update(&mut self, frame: &MergedFrame<'_>) {
        self.update_with(frame, &Inline);
    }

    /// [`BlockFeatures::update`] on these threads.
    pub fn update_with(&mut self, frame: &MergedFrame<'_>, workers: &dyn Workers) {
        let blocks = frame.extent.scaled(BLOCK_SIZE);
        (self.blocks_x, self.blocks_y) = (blocks.width, blocks.height);
        self.values.clear();
        self.values.resize(blocks.pixels(), [0.0; FEATURES]);
        self.inverse_depth.clear();
        self.inverse_depth.resize(blocks.pixels(), 0.0);
        let row = blocks.width as usize;
        let bands = self.values.chunks_mut(row).zip(self.inverse_depth.chunks_mut(row)).enumerate();
        for_each(workers, bands, |(block_y, (values, inverse_depth))| {
            dispatch(BlockRow { frame, first_row: block_y as u32 * BLOCK_SIZE, values, inverse_depth });
        });
    }
}

/// Features of a row of blocks.
struct BlockRow<'a> {
    frame: &'a MergedFrame<'a>,
    first_row: u32,
    values: &'a mut [[f32; FEATURES]],
    inverse_depth: &'a mut [f32],
}

impl Kernel for BlockRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<H: Half4>(self) {
        let BlockRow { frame, first_row, values, inverse_depth } = self;
        let Extent { width, height } = frame.extent;
        let rows = first_row..(first_row + BLOCK_SIZE).min(height);
        let blocks = values.chunks_mut(STRIP).zip(inverse_depth.chunks_mut(STRIP));
        for (strip, (values, inverse_depth)) in blocks.enumerate() {
            let first = (strip * STRIP) as u32 * BLOCK_SIZE;
            let mut sums = [[H::Lanes::zero(); FEATURES]; STRIP];
            let mut nearness = [H::Lanes::zero(); STRIP];
            for y in rows.clone().step_by(ROWS) {
                let is_last = y + ROWS as u32 >= rows.end;
                for (block, (sums, nearness)) in sums.iter_mut().zip(&mut nearness).take(values.len()).enumerate() {
                    let left = first + block as u32 * BLOCK_SIZE;
                    let next = if is_last {
                        // Of the strip to the right, from its first row on.
                        rows.start as usize * width as usize + left as usize + STRIP * BLOCK_SIZE as usize
                    } else {
                        (y as usize + ROWS) * width as usize + left as usize
                    };
                    ask_for_block_row::<H::Lanes>(frame, next);
                    // In registers for the block's whole row.
                    let (mut counts, mut near) = (*sums, *nearness);
                    for x in (left..(left + BLOCK_SIZE).min(width)).step_by(8) {
                        near = near + add_features(frame, x, y, &mut counts);
                        add_light_features(frame, x, y, &mut counts);
                    }
                    (*sums, *nearness) = (counts, near);
                }
            }
            let blocks = values.iter_mut().zip(inverse_depth).zip(sums.iter().zip(nearness)).enumerate();
            for (block, ((values, inverse_depth), (sums, nearness))) in blocks {
                let left = first + block as u32 * BLOCK_SIZE;
                let columns = (left + BLOCK_SIZE).min(width) - left;
                let pixels = (columns as usize * rows.clone().step_by(ROWS).count()) as f32;
                for (value, sum) in values.iter_mut().zip(sums) {
                    *value = sum.to_bits().iter().sum::<u32>() as f32 / pixels;
                }
                values[Feature::Smoothness as usize] /= 255.0;
                *inverse_depth = nearness.to_array().iter().sum::<f32>() / pixels;
            }
        }
    }
}

/// Estimated work of each block in rays, for want of measured costs: the same for each pixel of the sky, more where layers
/// are traced, reflections go on, and neighbouring rays part ways. Blocks in the order of `features.values`.
pub fn estimated_cost(features: &BlockFeatures, layers: &[LayerRequest]) -> Vec<f32> {
    let cost = |f: &[f32; FEATURES]| {
        let coverage = f[Feature::Coverage as usize];
        let edges = f[Feature::DepthEdges as usize] + f[Feature::NormalEdges as usize];
        let rays: f32 = layers
            .iter()
            .map(|layer| {
                let samples = layer.samples as f32 / (layer.scale as f32 * layer.scale as f32).max(1.0);
                samples * rays_per_sample(layer.kind, f)
            })
            .sum();
        // Rays that part ways share no nodes of the hierarchy.
        (1.0 + coverage * rays * (1.0 + 0.3 * edges)) * (BLOCK_SIZE * BLOCK_SIZE) as f32
    };
    features.values.iter().map(cost).collect()
}

/// Rays that a sample of a layer is expected to take at a surface, in a block with these features.
pub fn rays_per_sample(kind: LayerKind, features: &[f32; FEATURES]) -> f32 {
    match kind {
        // A shadow ray.
        LayerKind::Direct => 1.0,
        // A highlight's shadow ray, and a walk: rarely one from dull surfaces.
        LayerKind::Specular => 1.5 + 1.5 * features[Feature::Reflective as usize],
        // A walk of a surface or two, each with a shadow ray.
        LayerKind::Indirect => 3.0,
        // Read from the primary hit.
        LayerKind::Unlit => 0.0,
        // A path of a few surfaces, each with a shadow ray, and its own way there.
        LayerKind::Path => 8.0,
    }
}

/// Asks for what a block's row of pixels reads: rows so far apart are no stream that processors follow by themselves.
#[inline(always)]
fn ask_for_block_row<L: Lanes>(frame: &MergedFrame<'_>, at: usize) {
    let (planes, below) = (frame.planes, at + frame.extent.width as usize);
    L::prefetch(&planes.depth, at);
    L::prefetch(&planes.depth, below);
    L::prefetch(&planes.normal, at);
    L::prefetch(&planes.normal, below);
    L::prefetch(&planes.material, at);
    L::prefetch(&planes.base_color, at);
    L::prefetch(frame.lengths, at);
    for kind in [LayerKind::Unlit, LayerKind::Direct] {
        if let Some(layer) = frame.layer(kind) {
            L::prefetch(layer, at);
            L::prefetch(layer, at + 8);
        }
    }
}

/// Adds what eight pixels from (`x`, `y`) on count to the lanes' sums: integers, smoothness in 255ths. Returns 1 / depth.
#[inline(always)]
fn add_features<L: Lanes>(frame: &MergedFrame<'_>, x: u32, y: u32, sums: &mut [L; FEATURES]) -> L {
    let Extent { width, height } = frame.extent;
    let planes = frame.planes;
    let depths: &[u32] = bytemuck::cast_slice(&planes.depth);
    let at = y as usize * width as usize + x as usize;
    let columns = L::splat_bits(width - x);
    let in_view = columns.gt_signed(L::counting());
    // Below the last row and right of the last column there is no edge.
    let has_right = columns.gt_signed(L::counting().add_bits(L::splat_bits(1)));
    let has_below = if y + 1 < height { in_view } else { L::zero() };
    let below = if y + 1 < height { at + width as usize } else { at };
    let right = (at + 1).min(depths.len());
    let sky = L::splat(f32::INFINITY);
    let depth = L::load_from(depths, at);
    let surface = depth.lt(sky) & in_view;
    let normal = L::load_from(&planes.normal, at);
    let (mut depth_edges, mut normal_edges) = (L::zero(), L::zero());
    // Of pixels and neighbours that both show a surface: normals, and those that are not nearly equal.
    let (mut normals, mut unsure) = ([L::zero(); 2], [L::zero(); 2]);
    for (k, (neighbour, has)) in [(right, has_right), (below, has_below)].into_iter().enumerate() {
        let other = L::load_from(depths, neighbour);
        // False between pixels of the sky, where the difference is no number.
        let apart = (L::splat(0.1) * depth.min(other)).lt((other - depth).abs());
        depth_edges = depth_edges | (apart & has);
        normals[k] = L::load_from(&planes.normal, neighbour);
        unsure[k] = nearly_equal_normals(normal, normals[k]).not() & other.lt(sky) & surface & has;
    }
    if (unsure[0] | unsure[1]).mask_bits() != 0 {
        let here = decode_directions(normal);
        let square = dot(here, here);
        for k in 0..2 {
            normal_edges = normal_edges | (unsure[k] & similar_directions(here, square, normals[k]).not());
        }
    }
    let byte = L::splat_bits(255);
    let material = L::load_from(&planes.material, at);
    let (roughness, metalness) = (material & byte, material.shift_right::<8>() & byte);
    let reflective = L::splat_bits(77).gt_signed(roughness) | metalness.gt_signed(L::splat_bits(127));
    let rest = &frame.lengths[at..];
    let lengths = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; 8];
        padded[..rest.len()].copy_from_slice(rest);
        padded
    });
    let disoccluded = L::splat_bits(2).gt_signed(L::load_bytes(&lengths));
    // Subtracting a mask adds one.
    sums[Feature::Coverage as usize] = sums[Feature::Coverage as usize].sub_bits(surface);
    sums[Feature::DepthEdges as usize] = sums[Feature::DepthEdges as usize].sub_bits(depth_edges);
    sums[Feature::NormalEdges as usize] = sums[Feature::NormalEdges as usize].sub_bits(normal_edges);
    sums[Feature::Reflective as usize] = sums[Feature::Reflective as usize].sub_bits(reflective & surface);
    let smoothness = byte.sub_bits(roughness) & surface;
    sums[Feature::Smoothness as usize] = sums[Feature::Smoothness as usize].add_bits(smoothness);
    sums[Feature::Disoccluded as usize] = sums[Feature::Disoccluded as usize].sub_bits(disoccluded & surface);
    let opaque = L::load_from(&planes.base_color, at).shift_right::<24>().eq_bits(byte);
    sums[Feature::Translucent as usize] = sums[Feature::Translucent as usize].sub_bits(opaque.not() & surface);
    // Nothing is nearer than a millimetre: one pixel must not outweigh the others.
    (L::splat(1.0) / depth.max(L::splat(1e-3))) & surface
}

/// The same for what layers tell.
#[inline(always)]
fn add_light_features<L: Lanes>(frame: &MergedFrame<'_>, x: u32, y: u32, sums: &mut [L; FEATURES]) {
    let Extent { width, .. } = frame.extent;
    let at = y as usize * width as usize + x as usize;
    let in_view = L::splat_bits(width - x).gt_signed(L::counting());
    let depths: &[u32] = bytemuck::cast_slice(&frame.planes.depth);
    let surface = L::load_from(depths, at).lt(L::splat(f32::INFINITY)) & in_view;
    for (kind, feature) in [(LayerKind::Unlit, Feature::Luminous), (LayerKind::Direct, Feature::Lit)] {
        let Some(layer) = frame.layer(kind) else { continue };
        let rest = &layer[at..];
        let pixels = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut padded = [[0; 4]; 8];
            padded[..rest.len()].copy_from_slice(rest);
            padded
        });
        let [red, green, blue, _] = L::load_pixels(&pixels);
        let has_light = L::splat(1e-3).lt(red.max(green).max(blue));
        sums[feature as usize] = sums[feature as usize].sub_bits(has_light & surface);
    }
}
