//! The cost model: what tracing a block costs, from its features and the layers asked for, learned online.
//!
//! Two regressions, both non-negative with forgetting: rays of a block from its features and the layers asked for, taught by
//! the peers' counters; and work of a block from its rays and features, taught by tiles' times. How fast a peer does a
//! unit of work, and what a tile costs it beside that, are terms of its own (`speed.rs`).

use crate::least_squares::LeastSquares;
use rayloom_frame::features::{FEATURES, Feature, rays_per_sample};
use rayloom_frame::{LayerKind, LayerRequest};

/// A ray from the camera, and those of each kind of layer.
const RAY_TERMS: usize = 1 + LayerKind::ALL.len();
/// See [`WORK_TERMS`].
const TERMS: usize = 6;
/// What the terms of a block's work are called.
pub(crate) const WORK_TERMS: [&str; TERMS] = [
    "pixels",
    "rays",
    "rays at surfaces",
    "rays at edges",
    "rays at reflective surfaces",
    "rays at translucent surfaces",
];
/// Work of a pixel before any was measured, in units of about a ray: a ray that meets nothing is cheap, rays that part ways
/// are dear. From the generated city on a CPU device; only ratios matter.
const PRIOR_WORK: [f64; TERMS] = [0.1, 0.4, 0.4, 1.2, 0.05, 0.2];
/// Tiles of which a model learns the most: so long, views are cut finer than they need be.
const YOUNG: u64 = 240;
/// The first bytes of a saved model.
const MAGIC: [u8; 4] = *b"RLCM";
/// The version of its format: what the terms are, and in what order.
const VERSION: u32 = 1;
/// Bytes of a saved model.
const SAVED_BYTES: usize = 8 + 8 * (RAY_TERMS + TERMS);

/// See the file's head.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CostModel {
    rays: LeastSquares<RAY_TERMS>,
    work: LeastSquares<TERMS>,
}

/// What a tile was made of, summed over its pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileTerms {
    rays: [f64; RAY_TERMS],
    work: [f64; TERMS],
    counted: f64,
}

/// The cost model in figures.
#[derive(Clone, Debug, PartialEq)]
pub struct CostModelView {
    /// Rays of a pixel and sample by layer kind, relative to what was expected, the camera's ray first.
    pub ray_weights: [f64; RAY_TERMS],
    /// What work of a block is made of.
    pub work_terms: [&'static str; TERMS],
    /// Units of work of each.
    pub work_weights: [f64; TERMS],
    /// Relative standard deviation of tiles' rays and of tiles' work around what the model alone says.
    pub ray_deviation: f64,
    /// See `ray_deviation`.
    pub work_deviation: f64,
    /// Tiles learned from.
    pub tiles: u64,
}

impl CostModel {
    pub(crate) fn new() -> CostModel {
        CostModel { rays: LeastSquares::new([1.0; RAY_TERMS], 0.5, 0.1), work: LeastSquares::new(PRIOR_WORK, 1.0, 0.1) }
    }

    pub(crate) fn view(&self) -> CostModelView {
        CostModelView {
            ray_weights: *self.rays.weights(),
            work_terms: WORK_TERMS,
            work_weights: *self.work.weights(),
            ray_deviation: self.rays.deviation(),
            work_deviation: self.work.deviation(),
            tiles: self.work.samples(),
        }
    }

    /// It learns, and has hardly seen what is dear and what is cheap apart from each other.
    pub(crate) fn is_young(&self) -> bool {
        (1..YOUNG).contains(&self.work.samples())
    }

    /// Rays of a pixel of a block with these features.
    pub(crate) fn rays(&self, features: &[f32; FEATURES], layers: &[LayerRequest]) -> f32 {
        self.rays.predict(&ray_terms(features, layers)) as f32
    }

    /// Units of work of a pixel of a block, of which so many rays are traced.
    pub(crate) fn work(&self, features: &[f32; FEATURES], rays: f32) -> f32 {
        self.work.predict(&work_terms(features, rays)) as f32
    }

    /// Units of work of a tile.
    pub(crate) fn units(&self, tile: &TileTerms) -> f64 {
        self.work.predict(&tile.work)
    }

    /// Learns from a tile that took so many units of work.
    pub(crate) fn learn(&mut self, tile: &TileTerms, units: f64) {
        if tile.counted > 0.0 {
            self.rays.learn(&tile.rays, tile.counted);
        }
        self.work.learn(&tile.work, units);
    }

    /// A unit of work is now `factor` times as many.
    pub(crate) fn rescale(&mut self, factor: f64) {
        self.work.rescale(factor);
    }

    /// What was learned, for [`CostModel::load`].
    pub(crate) fn save(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SAVED_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        let weights = self.rays.weights().iter().chain(self.work.weights());
        weights.for_each(|weight| bytes.extend(weight.to_le_bytes()));
        bytes
    }

    /// Starts from what was saved; false, with nothing changed, for bytes that are no model of this version.
    pub(crate) fn load(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() != SAVED_BYTES || bytes[..4] != MAGIC || bytes[4..8] != VERSION.to_le_bytes() {
            return false;
        }
        let mut weights = bytes[8..].chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")));
        let rays: [f64; RAY_TERMS] = std::array::from_fn(|_| weights.next().unwrap_or(f64::NAN));
        let work: [f64; TERMS] = std::array::from_fn(|_| weights.next().unwrap_or(f64::NAN));
        let is_sane = |w: &f64| (0.0..=1e9).contains(w);
        if !rays.iter().chain(&work).all(is_sane) || work.iter().sum::<f64>() <= 0.0 {
            return false;
        }
        self.rays.adopt(rays);
        self.work.adopt(work);
        true
    }
}

impl TileTerms {
    pub(crate) fn new() -> TileTerms {
        TileTerms { rays: [0.0; RAY_TERMS], work: [0.0; TERMS], counted: 0.0 }
    }

    /// Adds `pixels` of a block; `rays` of each were counted, or are guessed.
    pub(crate) fn add(
        &mut self,
        features: &[f32; FEATURES],
        layers: &[LayerRequest],
        pixels: u32,
        rays: f32,
        is_counted: bool,
    ) {
        let pixels = f64::from(pixels);
        if is_counted {
            self.rays.iter_mut().zip(ray_terms(features, layers)).for_each(|(sum, term)| *sum += pixels * term);
            self.counted += pixels * f64::from(rays);
        }
        self.work.iter_mut().zip(work_terms(features, rays)).for_each(|(sum, term)| *sum += pixels * term);
    }
}

fn ray_terms(features: &[f32; FEATURES], layers: &[LayerRequest]) -> [f64; RAY_TERMS] {
    let mut terms = [0.0; RAY_TERMS];
    terms[0] = 1.0;
    let coverage = f64::from(features[Feature::Coverage as usize]);
    for layer in layers {
        let samples = f64::from(layer.samples) / f64::from(layer.scale).powi(2).max(1.0);
        terms[1 + layer.kind as usize] += samples * coverage * f64::from(rays_per_sample(layer.kind, features));
    }
    terms
}

fn work_terms(features: &[f32; FEATURES], rays: f32) -> [f64; TERMS] {
    let value = |feature: Feature| f64::from(features[feature as usize]);
    let rays = f64::from(rays);
    let edges = 0.5 * (value(Feature::DepthEdges) + value(Feature::NormalEdges));
    [
        1.0,
        rays,
        rays * value(Feature::Coverage),
        rays * edges,
        rays * value(Feature::Reflective),
        rays * value(Feature::Translucent),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(coverage: f32, edges: f32) -> [f32; FEATURES] {
        let mut features = [0.0; FEATURES];
        features[Feature::Coverage as usize] = coverage;
        features[Feature::DepthEdges as usize] = edges;
        features
    }

    fn layers() -> Vec<LayerRequest> {
        LayerKind::REAL_TIME.map(LayerRequest::new).to_vec()
    }

    #[test]
    fn the_prior_knows_that_the_sky_is_cheap_and_that_layers_cost_rays() {
        let model = CostModel::new();
        let sky = model.rays(&block(0.0, 0.0), &layers());
        let city = model.rays(&block(1.0, 0.3), &layers());
        assert!(sky == 1.0 && city > 4.0, "{sky} {city}");
        assert!(model.work(&block(1.0, 0.3), city) > 10.0 * model.work(&block(0.0, 0.0), sky));
        let half: Vec<LayerRequest> = layers().into_iter().map(|layer| LayerRequest { scale: 2, ..layer }).collect();
        assert!(model.rays(&block(1.0, 0.3), &half) < 0.5 * city);
    }

    #[test]
    fn tiles_teach_it_what_edges_cost() {
        let mut model = CostModel::new();
        for i in 0..400 {
            let features = block([0.2, 0.6, 1.0][i % 3], [0.0, 0.5][i % 2]);
            let rays = model.rays(&features, &layers());
            let mut tile = TileTerms::new();
            tile.add(&features, &layers(), 4096, rays, true);
            let edges = 0.5 * f64::from(features[Feature::DepthEdges as usize]);
            model.learn(&tile, 4096.0 * f64::from(rays) * (0.5 + 3.0 * edges));
        }
        let (plain, edgy) = (model.work(&block(1.0, 0.0), 5.0), model.work(&block(1.0, 0.5), 5.0));
        assert!((edgy / plain - 2.5).abs() < 0.2, "{}", edgy / plain);
        assert!(model.view().work_deviation < 0.1, "{:?}", model.view());
    }

    #[test]
    fn what_is_saved_is_loaded_and_nothing_else() {
        let mut model = CostModel::new();
        let mut tile = TileTerms::new();
        tile.add(&block(1.0, 0.2), &layers(), 100, 7.0, true);
        (0..50).for_each(|_| model.learn(&tile, 2500.0));
        let saved = model.save();
        let mut loaded = CostModel::new();
        assert!(loaded.load(&saved));
        assert_eq!(loaded.view().work_weights, model.view().work_weights);
        let untouched = loaded.clone();
        let with = |at: usize, value: &[u8]| {
            let mut bytes = saved.clone();
            bytes[at..at + value.len()].copy_from_slice(value);
            bytes
        };
        for wrong in [
            Vec::new(),
            saved[..saved.len() - 1].to_vec(),
            with(0, b"x"),
            with(4, &[9]),
            with(8, &f64::NAN.to_le_bytes()),
            with(16, &(-1.0_f64).to_le_bytes()),
            with(24, &1e300_f64.to_le_bytes()),
        ] {
            assert!(!loaded.load(&wrong));
        }
        assert_eq!(loaded, untouched);
    }
}
