//! What a frame's primary hits say about the work of tracing it: features of 16x16 blocks and a first guess of their cost.

use crate::{
    Extent, Inline, LayerKind, LayerRequest, Workers, merge::MergedFrame, normal::decode_direction, workers::for_each,
};

/// Side of a block in pixels; blocks are anchored at the view's origin, like [`crate::TracedTile::block_rays`].
pub const BLOCK_SIZE: u32 = 16;

/// Number of features of a block.
pub const FEATURES: usize = 6;

/// Index of a feature in [`BlockFeatures::values`]; each is a share of the block's pixels, 0 to 1.
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
}

/// Features of all blocks of a view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockFeatures {
    /// Blocks in a row.
    pub blocks_x: u32,
    /// Rows of blocks.
    pub blocks_y: u32,
    /// `blocks_x * blocks_y` blocks, rows from the top, indexed by [`Feature`].
    pub values: Vec<[f32; FEATURES]>,
}

impl BlockFeatures {
    /// Features of a merged frame. Blocks at the right and lower edges count the pixels that they have.
    pub fn of(frame: &MergedFrame<'_>) -> BlockFeatures {
        let mut features = BlockFeatures::default();
        features.update(frame);
        features
    }

    /// [`BlockFeatures::of`] without taking new memory.
    pub fn update(&mut self, frame: &MergedFrame<'_>) {
        self.update_with(frame, &Inline);
    }

    /// [`BlockFeatures::update`] on these threads.
    pub fn update_with(&mut self, frame: &MergedFrame<'_>, workers: &dyn Workers) {
        let Extent { width, height } = frame.extent;
        let blocks = frame.extent.scaled(BLOCK_SIZE);
        (self.blocks_x, self.blocks_y) = (blocks.width, blocks.height);
        self.values.clear();
        self.values.resize(blocks.pixels(), [0.0; FEATURES]);
        let bands = self.values.chunks_mut(blocks.width as usize).enumerate().collect();
        for_each(workers, bands, |(block_y, values): (usize, &mut [[f32; FEATURES]])| {
            let first = block_y * BLOCK_SIZE as usize;
            for y in first..(first + BLOCK_SIZE as usize).min(height as usize) {
                let row = y * width as usize;
                // Below the last row and right of the last column there is no edge.
                let below = if y + 1 < height as usize { width as usize } else { 0 };
                for x in 0..width as usize {
                    let right = (x + 1 < width as usize) as usize;
                    let sums = values[x / BLOCK_SIZE as usize].iter_mut();
                    for (sum, value) in sums.zip(pixel_features(frame, row + x, right, below)) {
                        *sum += value;
                    }
                }
            }
            for (x, values) in values.iter_mut().enumerate() {
                let inverse = 1.0 / block_pixels(frame.extent, x as u32, block_y as u32) as f32;
                values.iter_mut().for_each(|v| *v *= inverse);
            }
        });
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

fn rays_per_sample(kind: LayerKind, features: &[f32; FEATURES]) -> f32 {
    match kind {
        // A shadow ray.
        LayerKind::Direct => 1.0,
        // A bounce and its shadow ray; sharp ones find a surface to shade more often.
        LayerKind::Specular => 1.5 + 0.5 * features[Feature::Reflective as usize],
        // A bounce over the hemisphere and its shadow ray.
        LayerKind::Indirect => 2.0,
        // Read from the primary hit.
        LayerKind::Unlit => 0.0,
    }
}

#[inline]
fn pixel_features(frame: &MergedFrame<'_>, at: usize, right: usize, below: usize) -> [f32; FEATURES] {
    let planes = frame.planes;
    let depth = planes.depth[at];
    let neighbours = [at + right, at + below];
    let depth_edge = neighbours.iter().any(|n| {
        let other = planes.depth[*n];
        let both_sky = depth == f32::INFINITY && other == f32::INFINITY;
        !both_sky && (other - depth).abs() > 0.1 * depth.min(other)
    });
    if depth == f32::INFINITY {
        return [0.0, depth_edge as u8 as f32, 0.0, 0.0, 0.0, 0.0];
    }
    let normal = planes.normal[at];
    let normal_edge = neighbours
        .iter()
        .any(|n| planes.normal[*n] != normal && planes.depth[*n] < f32::INFINITY && parts(normal, planes.normal[*n]));
    let [roughness, metalness, _, _] = planes.material[at].to_le_bytes();
    let reflective = roughness < 77 || metalness > 127;
    let disoccluded = frame.lengths[at] <= 1;
    let flag = |f: bool| f as u8 as f32;
    [1.0, flag(depth_edge), flag(normal_edge), flag(reflective), 1.0 - roughness as f32 / 255.0, flag(disoccluded)]
}

/// True when the cosine between packed normals is below 0.9.
fn parts(a: u32, b: u32) -> bool {
    let (a, b) = (decode_direction(a), decode_direction(b));
    let dot = a.dot(b);
    dot * dot.abs() < 0.81 * a.length_squared() * b.length_squared()
}

fn block_pixels(extent: Extent, x: u32, y: u32) -> u32 {
    (extent.width - x * BLOCK_SIZE).min(BLOCK_SIZE) * (extent.height - y * BLOCK_SIZE).min(BLOCK_SIZE)
}
