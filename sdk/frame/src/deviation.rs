//! How far two renders of one tile are apart: by no more than coding changes, by what other hardware may change, or by more.

use crate::{LayerPlane, PlaneKind, TracedTile, codec::primary_words};
use half::f16;

/// What two renders may differ by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// Nothing: both are lossless and from peers of one class.
    Exact,
    /// One of them went through RGB9E5 ([`crate::codec::CodecMode::Rgb9e5`]); planes of primary hits are equal.
    Coded,
    /// They come from devices of different classes, and one may have been coded: light within 2 % and 1/255, depths within
    /// 1/1000, the same instances. Some pixels see another surface for that; see [`Deviation::is_within`].
    Classes,
}

/// Pixels of the plane that is outside of the tolerance by most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deviation {
    /// The plane; none where the tiles have no pixels.
    pub plane: Option<PlaneKind>,
    /// Its pixels.
    pub pixels: usize,
    /// Those outside of the tolerance; all, where the tiles are not of one shape.
    pub outside: usize,
}

impl Deviation {
    /// At most one in 10,000 pixels differs, or two where that would be less, between devices of different classes; none
    /// otherwise.
    pub fn is_within(&self, tolerance: Tolerance) -> bool {
        self.outside <= self.allowed(tolerance)
    }

    fn allowed(&self, tolerance: Tolerance) -> usize {
        match tolerance {
            Tolerance::Exact | Tolerance::Coded => 0,
            Tolerance::Classes => (self.pixels / 10_000).max(2),
        }
    }
}

/// Compares what was delivered with the exact tile.
pub fn deviation(exact: &TracedTile, delivered: &TracedTile, tolerance: Tolerance) -> Deviation {
    let shape = |tile: &TracedTile| {
        let layers: Vec<_> = tile.layers.iter().map(|l| (l.kind, l.scale, l.rect, l.pixels.len())).collect();
        (tile.rect, layers, tile.primary.as_ref().map(|primary| primary.depth.len()))
    };
    if shape(exact) != shape(delivered) {
        let pixels = exact.rect.pixels();
        return Deviation { plane: None, pixels, outside: pixels.max(1) };
    }
    let layers =
        exact.layers.iter().zip(&delivered.layers).map(|(exact, delivered)| layer(exact, delivered, tolerance));
    let primary = exact.primary.iter().zip(&delivered.primary).flat_map(|(exact, delivered)| {
        PlaneKind::PRIMARY.map(|plane| {
            let pairs = primary_words(exact, plane).iter().zip(primary_words(delivered, plane));
            let outside = pairs.filter(|(a, b)| !word_is_within(plane, **a, **b, tolerance)).count();
            Deviation { plane: Some(plane), pixels: exact.depth.len(), outside }
        })
    });
    let excess = |d: &Deviation| d.outside as i64 - d.allowed(tolerance) as i64;
    layers.chain(primary).max_by_key(excess).unwrap_or_default()
}

fn layer(exact: &LayerPlane, delivered: &LayerPlane, tolerance: Tolerance) -> Deviation {
    let is_within = |(a, b): &(&[u16; 4], &[u16; 4])| {
        let [a, b] = [a, b].map(|pixel| pixel.map(|bits| f16::from_bits(bits).to_f32()));
        let brightest = a[..3].iter().copied().fold(0.0, f32::max);
        let (light, alpha) = match tolerance {
            Tolerance::Exact => return a.map(f32::to_bits) == b.map(f32::to_bits),
            // The bound of the format: 9 bits of the largest channel, and 1/16 of a distance, more beside the sky's.
            Tolerance::Coded => (brightest / 256.0 + 1e-4, a[3] / 9.0 + 1e-4),
            // Distances are of the one surface that a ray met: those that meet another are seen by their light.
            Tolerance::Classes => (brightest / 50.0 + 1.0 / 255.0, f32::INFINITY),
        };
        (0..3).all(|c| (a[c] - b[c]).abs() <= light) && (a[3] - b[3]).abs() <= alpha
    };
    let outside = exact.pixels.iter().zip(&delivered.pixels).filter(|pair| !is_within(pair)).count();
    Deviation { plane: Some(PlaneKind::Layer(exact.kind)), pixels: exact.pixels.len(), outside }
}

fn word_is_within(plane: PlaneKind, a: u32, b: u32, tolerance: Tolerance) -> bool {
    match (tolerance, plane) {
        (Tolerance::Exact | Tolerance::Coded, _) | (_, PlaneKind::InstanceId) => a == b,
        (Tolerance::Classes, PlaneKind::Depth) => {
            let [a, b] = [a, b].map(f32::from_bits);
            a == b || (a - b).abs() <= a.abs() / 1000.0
        }
        // What is left of a surface follows from where it was met.
        (Tolerance::Classes, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{CodecMode, DEFAULT_MAX_SLICE_BYTES, DecodeLimits, Decoder, assemble_tile, encode_tile};
    use crate::{Extent, LayerKind, LayerRequest, Primary, Rect};
    use proptest::prelude::*;

    const RECT: Rect = Rect::new(16, 32, 24, 8);

    fn tile(light: impl Fn(usize) -> [f32; 4]) -> TracedTile {
        let pixels: Vec<_> = (0..RECT.pixels()).map(|i| light(i).map(|value| f16::from_f32(value).to_bits())).collect();
        let words = || (0..RECT.pixels() as u32).collect::<Vec<u32>>();
        let primary = Primary {
            depth: (0..RECT.pixels()).map(|i| 1.0 + i as f32).collect(),
            normal: words(),
            base_color: words(),
            material: words(),
            motion: words(),
            instance_id: words(),
        };
        let layer = LayerPlane { kind: LayerKind::Specular, scale: 1, rect: RECT, pixels };
        TracedTile { rect: RECT, layers: vec![layer], primary: Some(primary), block_rays: Vec::new() }
    }

    fn coded(tile: &TracedTile, mode: CodecMode) -> TracedTile {
        let limits = DecodeLimits::new(Extent::new(64, 64));
        let mut decoder = Decoder::default();
        let slices = encode_tile(tile, mode, DEFAULT_MAX_SLICE_BYTES);
        let slices: Vec<_> = slices.iter().map(|slice| decoder.decode(slice, limits).unwrap()).collect();
        assemble_tile(tile.rect, &[LayerRequest::new(LayerKind::Specular)], true, &slices)
    }

    proptest! {
        #[test]
        fn coding_stays_within_its_bound(values in prop::collection::vec((0.0_f32..60_000.0, -14_i32..1), 4)) {
            let light = |i: usize| [0, 1, 2, 3].map(|c: usize| {
                let (value, exponent) = values[c];
                (value * 2.0_f32.powi(exponent) * (1.0 + ((i * 7 + c) % 13) as f32 / 13.0)).min(65_000.0)
            });
            let exact = tile(light);
            let found = deviation(&exact, &coded(&exact, CodecMode::Rgb9e5), Tolerance::Coded);
            prop_assert!(found.is_within(Tolerance::Coded), "{found:?}");
            let lossless = deviation(&exact, &coded(&exact, CodecMode::Lossless), Tolerance::Exact);
            prop_assert!(lossless.is_within(Tolerance::Exact), "{lossless:?}");
        }
    }

    #[test]
    fn a_forged_pixel_is_outside_and_other_hardware_may_have_some() {
        let exact = tile(|i| [i as f32 / 100.0, 0.5, 0.25, 2.0]);
        let mut forged = coded(&exact, CodecMode::Rgb9e5);
        forged.layers[0].pixels[100][1] = f16::from_f32(0.6).to_bits();
        for tolerance in [Tolerance::Exact, Tolerance::Coded] {
            assert!(!deviation(&exact, &forged, tolerance).is_within(tolerance), "{tolerance:?}");
        }
        let found = deviation(&exact, &forged, Tolerance::Classes);
        assert_eq!((found.plane, found.outside), (Some(PlaneKind::Layer(LayerKind::Specular)), 1));
        assert!(found.is_within(Tolerance::Classes), "one of its pixels may");
        forged.layers[0].pixels[..3].fill([0; 4]);
        assert!(!deviation(&exact, &forged, Tolerance::Classes).is_within(Tolerance::Classes));
        let mut moved = exact.clone();
        moved.primary.as_mut().unwrap().depth.iter_mut().for_each(|depth| *depth *= 1.01);
        assert_eq!(deviation(&exact, &moved, Tolerance::Classes).outside, RECT.pixels());
        let cut = TracedTile { primary: None, ..exact.clone() };
        assert_eq!(deviation(&exact, &cut, Tolerance::Classes).outside, RECT.pixels(), "of another shape");
    }
}
