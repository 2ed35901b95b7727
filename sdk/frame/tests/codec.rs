//! Slices: any tile comes back from any cut, and nothing that arrives can crash the decoder.

use bytes::Bytes;
use proptest::prelude::*;
use rayloom_frame::{
    Extent, FrameError, LayerKind, LayerPlane, PlaneKind, Primary, Rect, TracedTile,
    codec::{CodecMode, DecodeLimits, Slice, SlicePixels, decode_slice, encode_tile},
};

const EXTENT: Extent = Extent::new(200, 150);

/// Numbers that follow from a seed; every third is small, so that runs and noise both occur.
fn noise(seed: u64, n: usize) -> impl Iterator<Item = u32> {
    let mut state = seed | 1;
    (0..n).map(move |i| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if i % 3 == 0 { 7 } else { state as u32 }
    })
}

fn tile(rect: Rect, scale: u8, seed: u64) -> TracedTile {
    let layer = |kind: LayerKind| {
        let rect = rect.scaled(scale as u32);
        let pixels = noise(seed + kind as u64, rect.pixels())
            .map(|v| [v as u16, (v >> 16) as u16, v as u16 ^ 5, !v as u16])
            .collect();
        LayerPlane { kind, scale, rect, pixels }
    };
    let words = |k: u64| noise(seed + 10 + k, rect.pixels()).collect::<Vec<_>>();
    TracedTile {
        rect,
        layers: LayerKind::ALL.map(layer).to_vec(),
        primary: Some(Primary {
            depth: words(0).into_iter().map(f32::from_bits).collect(),
            normal: words(1),
            base_color: words(2),
            material: words(3),
            motion: words(4),
            instance_id: words(5),
        }),
        block_rays: Vec::new(),
    }
}

/// Puts slices of one plane back together; every pixel must come exactly once.
fn assemble(slices: &[Slice], plane: PlaneKind, rect: Rect) -> Vec<[u16; 4]> {
    let mut whole = vec![None; rect.pixels()];
    for slice in slices.iter().filter(|s| s.plane == plane) {
        let decoded = decode_slice(slice, DecodeLimits::new(EXTENT)).unwrap();
        let pixels = match decoded.pixels {
            SlicePixels::Layer(p) => p,
            SlicePixels::Primary(w) => w.into_iter().map(|w| [w as u16, (w >> 16) as u16, 0, 0]).collect(),
        };
        for (i, pixel) in pixels.into_iter().enumerate() {
            let (x, y) = (i as u32 % slice.rect.width + slice.rect.x, i as u32 / slice.rect.width + slice.rect.y);
            assert!(rect.contains(x, y));
            let at = &mut whole[((y - rect.y) * rect.width + x - rect.x) as usize];
            assert!(at.replace(pixel).is_none(), "({x}, {y}) came twice");
        }
    }
    whole.into_iter().map(|p| p.expect("every pixel came")).collect()
}

fn rects() -> impl Strategy<Value = Rect> {
    (0..EXTENT.width, 0..EXTENT.height, 1..90u32, 1..40u32)
        .prop_map(|(x, y, w, h)| Rect::new(x, y, w.min(EXTENT.width - x), h.min(EXTENT.height - y)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lossless_slices_give_every_bit_back(rect in rects(), scale in 1..=2u8, seed: u32, max_bytes in 0..6000usize) {
        let tile = tile(rect, scale, seed as u64);
        let slices = encode_tile(&tile, CodecMode::Lossless, max_bytes);
        prop_assert!(slices.iter().all(|s| s.payload.len() <= max_bytes.max(8)));
        for layer in &tile.layers {
            prop_assert_eq!(&assemble(&slices, PlaneKind::Layer(layer.kind), layer.rect), &layer.pixels);
        }
        let primary = tile.primary.as_ref().unwrap();
        let depth: Vec<u32> = primary.depth.iter().map(|d| d.to_bits()).collect();
        let planes = [&depth, &primary.normal, &primary.base_color, &primary.material, &primary.motion, &primary.instance_id];
        for (plane, words) in PlaneKind::PRIMARY.into_iter().zip(planes) {
            let expected: Vec<_> = words.iter().map(|w| [*w as u16, (*w >> 16) as u16, 0, 0]).collect();
            prop_assert_eq!(assemble(&slices, plane, rect), expected);
        }
    }

    #[test]
    fn coding_a_lossy_tile_again_changes_nothing(rect in rects(), seed: u32) {
        let mut tile = tile(rect, 1, seed as u64);
        let first = encode_tile(&tile, CodecMode::Rgb9e5, 5000);
        for layer in &mut tile.layers {
            layer.pixels = assemble(&first, PlaneKind::Layer(layer.kind), layer.rect);
        }
        prop_assert_eq!(encode_tile(&tile, CodecMode::Rgb9e5, 5000), first);
    }

    #[test]
    fn damaged_slices_are_refused_or_decoded_but_never_crash(
        seed: u32, which: prop::sample::Index, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut: prop::sample::Index, header in any::<[u8; 4]>(), lossy: bool,
    ) {
        let mode = if lossy { CodecMode::Rgb9e5 } else { CodecMode::Lossless };
        let slices = encode_tile(&tile(Rect::new(10, 20, 60, 30), 1, seed as u64), mode, 4000);
        let mut slice = which.get(&slices).clone();
        let mut payload = slice.payload.to_vec();
        for (at, byte) in edits {
            *at.get_mut(&mut payload) = byte;
        }
        if header[0] & 1 == 0 {
            payload.truncate(cut.index(payload.len()));
        }
        slice.payload = Bytes::from(payload);
        if header[0] & 2 == 0 {
            slice.codec = header[1];
        }
        if header[0] & 4 == 0 {
            slice.rect.width = (header[2] as u32) << (header[3] % 25);
        }
        if let Ok(decoded) = decode_slice(&slice, DecodeLimits::new(EXTENT)) {
            let n = match decoded.pixels {
                SlicePixels::Layer(p) => p.len(),
                SlicePixels::Primary(w) => w.len(),
            };
            prop_assert_eq!(n, slice.rect.pixels());
        }
    }
}

#[test]
fn flat_planes_shrink_and_noise_is_stored() {
    let rect = Rect::new(0, 0, 100, 100);
    let mut tile = tile(rect, 1, 3);
    tile.primary.as_mut().unwrap().depth.fill(4.0);
    tile.layers[0].pixels = noise(5, rect.pixels())
        .zip(noise(6, rect.pixels() * 2).skip(1))
        .map(|(a, b)| [(a ^ b) as u16, b as u16, (b >> 16) as u16, (a >> 16) as u16])
        .collect();
    let slices = encode_tile(&tile, CodecMode::Lossless, 48 * 1024);
    let depth = slices.iter().find(|s| s.plane == PlaneKind::Depth).unwrap();
    assert_eq!(depth.codec, 1);
    assert!(depth.payload.len() < 400, "{} bytes", depth.payload.len());
    let stored: usize =
        slices.iter().filter(|s| s.plane == PlaneKind::Layer(LayerKind::Direct)).map(|s| s.payload.len()).sum();
    assert!(stored <= rect.pixels() * 8);
}

#[test]
fn sizes_are_checked_before_memory_is_taken() {
    let slice =
        |rect| Slice { plane: PlaneKind::Depth, scale: 1, codec: 1, rect, payload: Bytes::from_static(&[0; 16]) };
    for rect in [
        Rect::new(0, 0, u32::MAX, u32::MAX),
        Rect::new(u32::MAX, 0, 2, 1),
        Rect::new(0, 0, 0, 5),
        Rect::new(199, 0, 2, 1),
    ] {
        let found = decode_slice(&slice(rect), DecodeLimits::new(EXTENT));
        assert!(matches!(found, Err(FrameError::SliceOutside { .. })), "{found:?}");
    }
    let huge = DecodeLimits::new(Extent::new(8192, 8192));
    assert!(matches!(decode_slice(&slice(Rect::new(0, 0, 8192, 8192)), huge), Err(FrameError::SliceOutside { .. })));
}
