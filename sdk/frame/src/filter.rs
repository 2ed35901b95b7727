//! Merged light without its noise: an edge-stopping à-trous wavelet filter (Dammertz et al. 2010) whose reach follows the
//! noise that is left, as in SVGF (Schied et al. 2017). See `docs/merging.md`.
//!
//! It works on demodulated light of surfaces after history was gathered, and history never sees what it gives back: what
//! converges keeps converging. Its own picture is biased: outliers are cut. It is a function of the merged frame alone,
//! whatever the threads. Surfaces are compared once for all layers: that is the
//! better part of the work.

mod guides;
mod passes;

use crate::{
    Inline, LayerKind, Workers,
    merge::MergedFrame,
    simd::dispatch,
    workers::{BAND_ROWS, for_each},
};
use guides::{Guides, Normals};
use passes::{Pass, Source, Target};

/// The layers that are filtered: the others hold pictures, not light on surfaces.
pub const FILTERED: [LayerKind; LAYERS] = [LayerKind::Direct, LayerKind::Specular, LayerKind::Indirect];
const LAYERS: usize = 3;

/// Pixels between the taps of each pass, three by three.
pub const STEPS: [usize; 5] = [1, 2, 4, 8, 16];

/// The filter's buffers: 60 bytes a pixel.
#[derive(Debug, Default)]
pub struct Filter {
    normals: [Vec<f32>; 3],
    scratch: [Vec<[u16; 4]>; LAYERS],
    layers: [Vec<[u16; 4]>; LAYERS],
}

impl Filter {
    /// The frame with its direct, specular and indirect light filtered; alpha (hit distances) and all else as it was.
    pub fn run<'a>(&'a mut self, frame: &MergedFrame<'a>) -> MergedFrame<'a> {
        self.run_with(frame, &Inline)
    }

    /// [`Filter::run`] on these threads; the bits are the same.
    pub fn run_with<'a>(&'a mut self, frame: &MergedFrame<'a>, workers: &dyn Workers) -> MergedFrame<'a> {
        let merged = FILTERED.map(|kind| frame.layer(kind));
        if merged.iter().all(Option::is_none) {
            return *frame;
        }
        let Filter { normals, scratch, layers } = self;
        let pixels = frame.extent.pixels();
        normals.iter_mut().for_each(|plane| plane.resize(pixels, 0.0));
        for (index, layer) in merged.iter().enumerate() {
            let needed = if layer.is_some() { pixels } else { 0 };
            scratch[index].resize(needed, [0; 4]);
            layers[index].resize(needed, [0; 4]);
        }
        let band = BAND_ROWS * frame.extent.width as usize;
        let [x, y, z] = normals.each_mut().map(|plane| plane.chunks_mut(band));
        let bands = x.zip(y).zip(z).enumerate().map(|(i, ((x, y), z))| (i * band, [x, y, z]));
        for_each(workers, bands, |(first, out)| dispatch(Normals { frame, first, out }));
        let guides = Guides::new(frame, normals);
        let pass = |source: Source<'_>, target: Target, to: &mut [Vec<[u16; 4]>; LAYERS]| {
            let mut chunks = to.each_mut().map(|layer| layer.chunks_mut(band));
            let mut take = || chunks.each_mut().map(|chunks| chunks.next().unwrap_or_default());
            let bands = (0..pixels.div_ceil(band)).map(|index| (index * BAND_ROWS, take()));
            for_each(workers, bands, |(first_row, to)| {
                dispatch(Pass { guides: &guides, merged: &merged, source, target, first_row, to });
            });
        };
        // To and fro between two buffers; the last pass writes the layers.
        pass(Source::Merged, Target::Rows, layers);
        pass(Source::Luminances { from: &rows(layers) }, Target::Rows, scratch);
        for (index, step) in STEPS.into_iter().enumerate() {
            let (from, to) = if index % 2 == 0 { (&mut *scratch, &mut *layers) } else { (&mut *layers, &mut *scratch) };
            let target = if index + 1 == STEPS.len() { Target::Layers } else { Target::Rows };
            pass(Source::Noisy { from: &rows(from), step }, target, to);
        }
        FILTERED.into_iter().zip(layers).fold(*frame, |frame, (kind, layer)| frame.with_layer(kind, layer))
    }
}

fn rows(layers: &[Vec<[u16; 4]>; LAYERS]) -> [&[u16]; LAYERS] {
    layers.each_ref().map(|layer| bytemuck::cast_slice(layer))
}

const _: () = assert!(STEPS.len() % 2 == 1, "the last pass writes the layers");
