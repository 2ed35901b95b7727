//! Pictures of the synthetic scene: as it truly is, and the pixels of one that are compared.

use crate::synthetic::{LAYERS, Shot, whole};
use rayloom_frame::LayerRequest;
use rayloom_frame::compose::{ToneMap, compose};
use rayloom_frame::merge::Merger;

/// All of it traced at full resolution, composed.
pub(crate) fn truth(shot: &Shot) -> Vec<u8> {
    let mut merger = Merger::new(shot.extent);
    let full = LAYERS.map(|layer| LayerRequest { scale: 1, ..layer });
    shot.deliver(&mut merger, &full, &whole(shot.extent), &[]);
    compose(&merger.finish().unwrap(), 1.0, ToneMap::Linear)
}

/// The four bytes of the pixels that are asked for.
pub(crate) fn of(rgba: &[u8], pixels: &[usize]) -> Vec<u8> {
    pixels.iter().flat_map(|i| rgba[i * 4..i * 4 + 4].to_vec()).collect()
}
