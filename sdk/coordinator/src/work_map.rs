//! The map of work: how much each 16x16 block of the view costs, learned from tiles' times.

use crate::CostMap;
use crate::foresight::{Pending, Source};
use crate::model::{CostModel, TileTerms};
use crate::speed::MapLesson;
use crate::work_sum::BLOCK_PX;
use rayloom_frame::LayerRequest;
use rayloom_frame::features::FEATURES;
use rayloom_frame::{Extent, Rect};

/// Relative variance of a block that nothing is known of, and of one that was estimated from features.
const UNKNOWN_VARIANCE: f32 = 1.5;
const ESTIMATED_VARIANCE: f32 = 0.5;
/// Below this a tile's predicted time says when it is overdue.
pub(crate) const KNOWN_VARIANCE: f64 = 0.25;
/// What a frame adds to it: the camera moves.
const FRAME_VARIANCE: f32 = 0.01;
/// Power of what the model says of a change of features: it knows half of what costs are made of, and its errors would add up.
const FOLLOW: f32 = 0.3;
/// How far a tile's time pulls the work of its blocks towards the shape that the model gives it.
const TOWARDS_MODEL: f32 = 0.1;

/// Work per pixel of every block of a view.
///
/// An estimate from features moves the map by its change since the last frame, so what was learned stays as a factor on
/// the estimate. Rays that a peer counted shape the work inside a tile; the tile's time sets its sum.
#[derive(Clone, Debug)]
pub(crate) struct WorkMap {
    extent: Extent,
    blocks_x: u32,
    /// Units of work per pixel.
    density: Vec<f32>,
    /// Rays per pixel at the last count; 0 = never counted.
    rays: Vec<f32>,
    /// Relative variance of `density`.
    variance: Vec<f32>,
    /// The last estimate, per pixel; 0 = unknown.
    estimate: Vec<f32>,
    /// Mean work of a ray so far; 0 before the first count.
    units_per_ray: f32,
    /// What the blocks show, and what is traced of them; no features: nothing is known but costs.
    features: Vec<[f32; FEATURES]>,
    layers: Vec<LayerRequest>,
    /// The block of the last frame that most of each block came from.
    nearest: Vec<u32>,
}

impl WorkMap {
    pub(crate) fn new() -> WorkMap {
        let none = Vec::new;
        let extent = Extent::new(0, 0);
        WorkMap {
            extent,
            blocks_x: 0,
            density: none(),
            rays: none(),
            variance: none(),
            estimate: none(),
            units_per_ray: 0.0,
            features: Vec::new(),
            layers: Vec::new(),
            nearest: Vec::new(),
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    pub(crate) fn density(&self) -> &[f32] {
        &self.density
    }

    /// Work per pixel times its relative variance.
    pub(crate) fn doubt(&self) -> Vec<f32> {
        self.density.iter().zip(&self.variance).map(|(density, variance)| density * variance).collect()
    }

    /// Work of a pixel in the mean; none before the first frame.
    pub(crate) fn mean(&self) -> Option<f32> {
        let count = self.density.len();
        (count > 0).then(|| self.density.iter().sum::<f32>() / count as f32)
    }

    /// What a pixel costs before anything is known of it.
    pub(crate) fn guess(&mut self, mean: f32) {
        if self.density.is_empty() {
            self.density.push(mean);
        }
    }

    /// From now on `layers` are traced: so many times the work, and the rays, of those before.
    pub(crate) fn trace(&mut self, layers: &[LayerRequest], work: f64, rays: f64) {
        self.density.iter_mut().for_each(|density| *density = bounded(*density * work as f32));
        self.rays.iter_mut().for_each(|of_block| *of_block *= rays as f32);
        self.layers = layers.to_vec();
    }

    /// Work of the whole view.
    pub(crate) fn total(&self) -> f64 {
        self.sum(self.extent.rect())
    }

    /// Moves on to a frame of this size (`extent` within the limits of a view) with this estimate.
    pub(crate) fn begin_frame(&mut self, extent: Extent, cost: Option<&CostMap>) {
        if extent != self.extent {
            self.restart(extent);
        }
        self.features.clear();
        self.variance.iter_mut().for_each(|v| *v = (*v + FRAME_VARIANCE).min(UNKNOWN_VARIANCE));
        if let Some(cost) = cost.filter(|cost| self.fits(cost)) {
            let next = self.per_pixel(cost);
            if self.estimate.iter().all(|e| *e == 0.0) && self.rays.iter().all(|r| *r == 0.0) {
                self.adopt(&next);
            } else {
                self.follow(&next);
            }
            self.estimate = next;
        }
    }

    /// Moves on to a frame of this size of which features are known: what was learned moves with what is seen, and what was
    /// never measured is as the model says.
    pub(crate) fn foresee(&mut self, extent: Extent, next: Pending, model: &CostModel) {
        if extent != self.extent {
            self.restart(extent);
        }
        let is_first = self.features.is_empty();
        let mut before = std::mem::take(&mut self.features);
        let mut features = next.features;
        let mut is_new = Vec::new();
        if !next.motion.is_empty() {
            is_new = self.follow_motion(&next.motion);
            // Features of the last frame move like all that is known; those of this frame are compared with what moved.
            let moving = if next.is_current { &mut before } else { &mut features };
            if !moving.is_empty() {
                *moving = self.nearest.iter().map(|block| moving[*block as usize]).collect();
            }
        }
        self.layers = next.layers;
        for block in 0..self.density.len() {
            self.variance[block] = (self.variance[block] + FRAME_VARIANCE).min(UNKNOWN_VARIANCE);
            let is_new = is_new.get(block).copied().unwrap_or(false);
            let is_uncounted = self.rays[block] == 0.0;
            if !(is_first || is_uncounted || is_new || next.is_current) {
                continue;
            }
            let this = &features[block];
            let rays = model.rays(this, &self.layers);
            let work = model.work(this, rays);
            if is_first || is_uncounted || is_new && next.is_current {
                let (density, estimate) = (self.density[block], bounded(work));
                // What an unfinished tile has taught is a lower bound.
                let is_known = is_first && self.variance[block] < ESTIMATED_VARIANCE;
                let is_bound = !is_first && !is_new && density > estimate;
                self.density[block] = if is_known || is_bound { density } else { estimate };
                self.rays[block] = if is_new { rays } else { self.rays[block] };
                self.variance[block] = self.variance[block].min(ESTIMATED_VARIANCE);
            } else if is_new {
                self.variance[block] = self.variance[block].max(ESTIMATED_VARIANCE);
            } else {
                let old_rays = model.rays(&before[block], &self.layers);
                let factor = work / model.work(&before[block], old_rays).max(1e-9);
                self.density[block] = bounded(self.density[block] * factor.clamp(0.1, 10.0).powf(FOLLOW));
                self.rays[block] *= (rays / old_rays.max(1e-9)).clamp(0.1, 10.0).powf(FOLLOW);
            }
        }
        self.features = features;
    }

    /// Moves costs, counts and doubts with the view; says of each block whether it came from outside.
    fn follow_motion(&mut self, motion: &[[f32; 2]]) -> Vec<bool> {
        let blocks = self.extent.scaled(BLOCK_PX);
        // Next to each other in memory, so that four blocks are read and not twelve.
        let costs = self.density.iter().zip(&self.variance).zip(&self.rays);
        let from: Vec<[f32; 4]> =
            costs.map(|((density, variance), rays)| [*density, *variance, *rays, f32::from(*rays > 0.0)]).collect();
        self.nearest.clear();
        let mut is_new = Vec::with_capacity(from.len());
        let to = self.density.iter_mut().zip(&mut self.variance).zip(&mut self.rays);
        let places = (0..blocks.height).flat_map(|y| (0..blocks.width).map(move |x| (x, y)));
        self.nearest.reserve(from.len());
        for ((((density, variance), rays), motion), (x, y)) in to.zip(motion).zip(places) {
            let source = Source::of(x, y, *motion, (blocks.width, blocks.height));
            let [moved_density, moved_variance, moved_rays, counted] = source.sample(&from);
            (*density, *variance) = (moved_density, moved_variance);
            // A block that was never counted must not look as if it had few rays.
            *rays = if counted > 0.999 { moved_rays } else { 0.0 };
            is_new.push(source.is_new);
            self.nearest.push(source.nearest() as u32);
        }
        is_new
    }

    /// Takes in the rays counted in each block that `rect` touches and says what the tile's work is predicted to be
    /// with them: (units, relative variance).
    pub(crate) fn observe(&mut self, rect: Rect, block_rays: Option<&[u32]>, model: &CostModel) -> (f64, f64) {
        let before = self.sum(rect);
        if let Some(rays) = block_rays {
            let counted: f64 = rays.iter().map(|r| f64::from(*r)).sum();
            if self.units_per_ray == 0.0 && counted > 0.0 {
                self.units_per_ray = (before / counted) as f32;
            }
            let blocks: Vec<_> = self.blocks(rect).collect();
            for ((block, pixels, whole), rays) in blocks.into_iter().zip(rays) {
                let now = (*rays as f32).max(0.5) / pixels as f32;
                let weight = pixels as f32 / whole as f32;
                let old = self.rays[block];
                let factor = if let Some(features) = self.features.get(block) {
                    let before = if old > 0.0 { old } else { model.rays(features, &self.layers) };
                    model.work(features, now) / model.work(features, before).max(1e-9)
                } else if old > 0.0 {
                    now / old
                } else {
                    // Never counted: the count is the work, moderated by what the estimate said.
                    let by_rays = now * self.units_per_ray / self.density[block].max(f32::MIN_POSITIVE);
                    if self.estimate[block] > 0.0 { by_rays.max(0.0).sqrt() } else { by_rays }
                };
                self.density[block] = bounded(self.density[block] * factor.clamp(0.1, 10.0).powf(weight));
                self.rays[block] = if old > 0.0 { old + (now - old) * weight } else { now };
            }
        }
        self.predict(rect)
    }

    /// What a tile was made of, for the model; `None` where nothing is known of its blocks but costs.
    pub(crate) fn terms(&self, rect: Rect, has_rays: bool) -> Option<TileTerms> {
        if self.features.is_empty() {
            return None;
        }
        let mut terms = TileTerms::new();
        for (block, pixels, _) in self.blocks(rect) {
            terms.add(&self.features[block], &self.layers, pixels, self.rays[block], has_rays);
        }
        Some(terms)
    }

    /// Work of a rectangle: (units, relative variance).
    pub(crate) fn predict(&self, rect: Rect) -> (f64, f64) {
        let (mut units, mut variance) = (0.0, 0.0);
        for (block, pixels, _) in self.blocks(rect) {
            let work = f64::from(self.density[block]) * f64::from(pixels);
            units += work;
            variance += work * f64::from(self.variance[block]);
        }
        (units, if units > 0.0 { variance / units } else { f64::from(UNKNOWN_VARIANCE) })
    }

    /// True when a tile's work has been measured often enough to expect an answer by it.
    pub(crate) fn is_known(&self, rect: Rect) -> bool {
        self.predict(rect).1 < KNOWN_VARIANCE
    }

    /// Corrects the work of a tile's blocks: by `gain` of `log_ratio`, less where the tile covers only part of one.
    pub(crate) fn correct(&mut self, rect: Rect, lesson: MapLesson, model: &CostModel) {
        let MapLesson { log_ratio, gain } = lesson;
        let mean = (self.sum(rect) / rect.pixels().max(1) as f64) as f32;
        let blocks: Vec<_> = self.blocks(rect).collect();
        let rays: f32 = blocks.iter().map(|(block, pixels, _)| self.rays[*block] * *pixels as f32).sum();
        if rays > 0.0 {
            let measured = mean * rect.pixels() as f32 / rays * (gain * log_ratio).exp() as f32;
            self.units_per_ray += 0.1 * (measured - self.units_per_ray);
        }
        let shape = self.shape(&blocks, model);
        for (index, (block, pixels, whole)) in blocks.into_iter().enumerate() {
            if let Some(shape) = &shape {
                let share = pixels as f32 / whole as f32;
                let corrected = self.density[block] * (gain * log_ratio * f64::from(share)).exp() as f32;
                let due = mean * rect.pixels() as f32 * shape[index];
                self.density[block] = bounded(corrected + (due - corrected) * TOWARDS_MODEL * share);
                self.variance[block] *= (1.0 - gain * f64::from(share)).clamp(0.05, 1.0) as f32;
                continue;
            }
            let gain = gain * f64::from(pixels) / f64::from(whole);
            let corrected = self.density[block] * (gain * log_ratio).exp() as f32;
            // A little towards the tile's mean, so that an old spike fades.
            self.density[block] = bounded(corrected + (mean - corrected) * 0.02 * gain as f32);
            self.variance[block] *= (1.0 - gain).clamp(0.05, 1.0) as f32;
        }
    }

    /// Each block's work per pixel as a share of the tile's work, by the model.
    fn shape(&self, blocks: &[(usize, u32, u32)], model: &CostModel) -> Option<Vec<f32>> {
        let density = |block: usize| model.work(&self.features[block], self.rays[block].max(1e-3));
        let by_model: Option<Vec<f32>> =
            (!self.features.is_empty()).then(|| blocks.iter().map(|(block, ..)| density(*block)).collect());
        let by_model = by_model?;
        let sum: f32 = by_model.iter().zip(blocks).map(|(d, (_, pixels, _))| d * *pixels as f32).sum();
        (sum.is_finite() && sum > 0.0).then(|| by_model.iter().map(|d| d / sum).collect())
    }

    /// Raises the work of a tile's blocks, which stay as uncertain as they were.
    pub(crate) fn raise(&mut self, rect: Rect, log_ratio: f64) {
        let blocks: Vec<_> = self.blocks(rect).collect();
        let factor = log_ratio.max(0.0).exp() as f32;
        blocks.into_iter().for_each(|(block, ..)| self.density[block] = bounded(self.density[block] * factor));
    }

    /// Raises or lowers the work of a tile's blocks, less where it covers only part of one.
    pub(crate) fn shift(&mut self, rect: Rect, log_ratio: f64) {
        let blocks: Vec<_> = self.blocks(rect).collect();
        for (block, pixels, whole) in blocks {
            let factor = (log_ratio * f64::from(pixels) / f64::from(whole)).exp() as f32;
            self.density[block] = bounded(self.density[block] * factor);
        }
    }

    /// Everything now counts as `factor` times as many units.
    pub(crate) fn rescale(&mut self, factor: f64) {
        self.density.iter_mut().for_each(|d| *d = bounded(*d * factor as f32));
        self.units_per_ray = bounded(self.units_per_ray * factor as f32);
    }

    /// Starts anew at another size; the mean work of a pixel is kept, it is the unit that peers' speeds refer to.
    fn restart(&mut self, extent: Extent) {
        let mean = self.density.iter().sum::<f32>() / self.density.len().max(1) as f32;
        let blocks = extent.scaled(BLOCK_PX);
        let count = blocks.pixels();
        self.extent = extent;
        self.blocks_x = blocks.width;
        self.density = vec![if self.density.is_empty() { 1.0 } else { bounded(mean) }; count];
        self.rays = vec![0.0; count];
        self.variance = vec![UNKNOWN_VARIANCE; count];
        self.estimate = vec![0.0; count];
        self.features.clear();
    }

    /// The first estimate of a view gives the work its shape, not its sum.
    fn adopt(&mut self, estimate: &[f32]) {
        let known: Vec<f32> = estimate.iter().copied().filter(|e| *e > 0.0).collect();
        let mean = known.iter().sum::<f32>() / known.len().max(1) as f32;
        for ((density, variance), e) in self.density.iter_mut().zip(&mut self.variance).zip(estimate) {
            if *e > 0.0 && mean > 0.0 {
                *density = bounded(*density * (e / mean).clamp(1e-3, 1e3));
                *variance = ESTIMATED_VARIANCE;
            }
        }
    }

    /// A later estimate moves the work by its change.
    fn follow(&mut self, estimate: &[f32]) {
        for (block, e) in estimate.iter().enumerate() {
            let old = self.estimate[block];
            if *e > 0.0 && old > 0.0 {
                let factor = (e / old).clamp(0.25, 4.0);
                self.density[block] = bounded(self.density[block] * factor);
                self.rays[block] *= factor;
            }
        }
    }

    fn fits(&self, cost: &CostMap) -> bool {
        let blocks = self.extent.scaled(BLOCK_PX);
        (cost.blocks_x, cost.blocks_y) == (blocks.width, blocks.height) && cost.cost.len() == blocks.pixels()
    }

    fn per_pixel(&self, cost: &CostMap) -> Vec<f32> {
        let mut density = vec![0.0; self.density.len()];
        for (block, _, whole) in self.blocks(self.extent.rect()) {
            let value = cost.cost[block];
            density[block] = if value.is_finite() && value > 0.0 { value / whole as f32 } else { 0.0 };
        }
        density
    }

    fn sum(&self, rect: Rect) -> f64 {
        self.blocks(rect).map(|(block, pixels, _)| f64::from(self.density[block]) * f64::from(pixels)).sum()
    }

    /// Blocks that `rect` (within the view) touches, rows from the top: index, pixels inside `rect`, pixels in the view.
    fn blocks(&self, rect: Rect) -> impl Iterator<Item = (usize, u32, u32)> + use<> {
        let (blocks_x, extent) = (self.blocks_x, self.extent);
        let touched = rect.scaled(BLOCK_PX);
        (touched.y..touched.bottom()).flat_map(move |y| {
            let (own_rows, rows) = overlap(y, rect.y, rect.bottom(), extent.height);
            (touched.x..touched.right()).map(move |x| {
                let (own_columns, columns) = overlap(x, rect.x, rect.right(), extent.width);
                ((y * blocks_x + x) as usize, own_rows * own_columns, rows * columns)
            })
        })
    }
}

/// Rows (or columns) of a block between `from` and `until`, and in the view.
fn overlap(block: u32, from: u32, until: u32, view: u32) -> (u32, u32) {
    let (first, end) = (block * BLOCK_PX, (block * BLOCK_PX + BLOCK_PX).min(view));
    (until.min(end) - from.max(first), end - first)
}

/// Inside what sums of a whole view stay exact enough for.
fn bounded(density: f32) -> f32 {
    if density.is_nan() { 1.0 } else { density.clamp(1e-6, 1e12) }
}

/// Number of blocks that a rectangle touches.
pub(crate) fn touched_blocks(rect: Rect) -> usize {
    rect.scaled(BLOCK_PX).pixels()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_rays_shape_the_work_inside_a_tile() {
        let mut map = WorkMap::new();
        map.begin_frame(Extent::new(64, 16), None);
        let (units, _) = map.observe(Rect::new(0, 0, 64, 16), Some(&[256, 256, 512, 1024]), &CostModel::new());
        assert!((units - 1024.0).abs() < 1.0, "{units}");
        let d = map.density();
        assert!((d[3] / d[0] - 4.0).abs() < 0.01, "{d:?}");
    }

    #[test]
    fn what_was_learned_stays_when_the_estimate_moves() {
        let estimate = |left: f32| CostMap { blocks_x: 2, blocks_y: 1, cost: vec![left, 1.0] };
        let mut map = WorkMap::new();
        map.begin_frame(Extent::new(32, 16), Some(&estimate(1.0)));
        let lesson = MapLesson { log_ratio: 3.0_f64.ln(), gain: 1.0 };
        map.correct(Rect::new(0, 0, 16, 16), lesson, &CostModel::new());
        map.begin_frame(Extent::new(32, 16), Some(&estimate(2.0)));
        assert!((map.density()[0] / map.density()[1] - 6.0).abs() < 0.1, "{:?}", map.density());
    }

    #[test]
    fn absurd_estimates_are_unknown() {
        let mut map = WorkMap::new();
        let cost = vec![f32::NAN, -1.0, f32::INFINITY, 0.0];
        map.begin_frame(Extent::new(64, 16), Some(&CostMap { blocks_x: 4, blocks_y: 1, cost }));
        assert!(map.density().iter().all(|d| *d == 1.0));
        map.begin_frame(Extent::new(64, 16), Some(&CostMap { blocks_x: 9, blocks_y: 9, cost: vec![] }));
        assert!(map.density().iter().all(|d| *d == 1.0));
    }
}
