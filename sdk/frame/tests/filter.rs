//! The filter takes noise away, and leaves edges, the sky and what has no noise alone.

use glam::Vec3;
use half::f16;
use rayloom_frame::{
    Extent, LayerKind, LayerPlane, LayerRequest, Primary, TracedTile, Workers,
    filter::Filter,
    merge::{FrameInputs, MergeMode, Merger, PlannedTile},
    normal::encode_normal,
};
use rayloom_scene::Camera;

/// Neither side is a multiple of eight.
const EXTENT: Extent = Extent { width: 61, height: 43 };
/// Columns from here on are another surface, and from `SKY` on the sky.
const EDGE: u32 = 30;
const SKY: u32 = 55;

/// Two walls side by side, a metre apart in depth, lit by `light(x, y)`; what looks at the sky has no light.
fn merged(light: impl Fn(u32, u32) -> f32) -> Merger {
    let pixels = || (0..EXTENT.height).flat_map(|y| (0..EXTENT.width).map(move |x| (x, y)));
    let of = |near, far, sky| {
        pixels()
            .map(|(x, _)| {
                if x < EDGE {
                    near
                } else if x < SKY {
                    far
                } else {
                    sky
                }
            })
            .collect()
    };
    let kind = LayerKind::Direct;
    let layers = [LayerRequest::new(kind)];
    let half = |v: f32| f16::from_f32(v).to_bits();
    let lit = |(x, y)| [half(light(x, y)), half(light(x, y)), half(light(x, y)), half(7.0)];
    let traced = TracedTile {
        rect: EXTENT.rect(),
        layers: vec![LayerPlane { kind, scale: 1, rect: EXTENT.rect(), pixels: pixels().map(lit).collect() }],
        primary: Some(Primary {
            depth: pixels()
                .map(|(x, _)| {
                    if x < EDGE {
                        2.0
                    } else if x < SKY {
                        3.0
                    } else {
                        f32::INFINITY
                    }
                })
                .collect(),
            normal: of(encode_normal(Vec3::Z), encode_normal(Vec3::Z), 0),
            base_color: of(u32::MAX, u32::MAX, 0),
            material: of(255, 255, 0),
            motion: of(0, 0, 0),
            instance_id: of(1, 2, 0),
        }),
        block_rays: Vec::new(),
    };
    let camera = Camera::with_fov(1.0, EXTENT.width as f32 / EXTENT.height as f32);
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Accumulate { max_history: 8 });
    let tiles = [PlannedTile { rect: EXTENT.rect(), ghost: 0 }];
    merger.begin(FrameInputs::new(1, camera, &layers, &tiles)).unwrap();
    merger.add_tile(1, 0, 0, &traced).unwrap();
    merger.finish().unwrap();
    merger
}

/// Of red, in each pixel.
fn filtered(light: impl Fn(u32, u32) -> f32) -> Vec<f32> {
    let mut merger = merged(light);
    let mut filter = Filter::default();
    let frame = filter.run(&merger.finish().unwrap());
    let layer = frame.layer(LayerKind::Direct).unwrap();
    assert!(layer.iter().all(|p| f16::from_bits(p[3]).to_f32() == 7.0), "hit distances stay");
    layer.iter().map(|p| f16::from_bits(p[0]).to_f32()).collect()
}

/// 0 or 2 with equal chance.
fn coin(x: u32, y: u32) -> f32 {
    let mut h = x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 15).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ h >> 12).wrapping_mul(0x297a_2d39);
    (h >> 31) as f32 * 2.0
}

fn rows(plane: &[f32]) -> impl Iterator<Item = (u32, f32)> {
    plane.iter().enumerate().map(|(i, v)| (i as u32 % EXTENT.width, *v))
}

#[test]
fn noise_goes_and_edges_stay() {
    let plane = filtered(|x, y| {
        if x < EDGE {
            coin(x, y)
        } else if x < SKY {
            8.0 * coin(x, y)
        } else {
            0.0
        }
    });
    for (range, mean) in [(0..EDGE, 1.0), (EDGE..SKY, 8.0)] {
        let part: Vec<f32> = rows(&plane).filter(|(x, _)| range.contains(x)).map(|(_, v)| v).collect();
        let squares: f32 = part.iter().map(|v| (v / mean - 1.0).powi(2)).sum();
        let error = (squares / part.len() as f32).sqrt();
        // The noise had 1; a wall's light on the other would show as several.
        assert!(error < 0.2, "relative error {error} on {range:?}");
    }
}

#[test]
fn what_has_no_noise_stays() {
    let stripes = |x, _| if x % 16 < 8 { 1.0 } else { 0.25 };
    let plane = filtered(|x, y| if x < SKY { stripes(x, y) } else { 0.0 });
    for (x, v) in rows(&plane).filter(|(x, _)| *x < SKY && (2..6).contains(&(x % 8))) {
        let expected = stripes(x, 0);
        assert!((v - expected).abs() < 0.02 * expected, "column {x}: {v} for {expected}");
    }
    let flat = filtered(|_, _| 0.75);
    assert!(rows(&flat).all(|(_, v)| (v - 0.75).abs() < 1e-3));
}

#[test]
fn a_firefly_is_cut() {
    let plane = filtered(|x, y| if (x, y) == (20, 20) { 5000.0 } else { 0.9 + 0.1 * coin(x, y) });
    assert!(rows(&plane).filter(|(x, _)| *x < EDGE).all(|(_, v)| v < 2.0), "it lights nothing around it");
}

#[test]
fn threads_do_not_show() {
    struct Backwards;
    impl Workers for Backwards {
        fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
            (0..parts).rev().for_each(work);
        }
    }
    let mut merger = merged(coin);
    let frame = merger.finish().unwrap();
    let (mut one, mut other) = (Filter::default(), Filter::default());
    assert_eq!(one.run(&frame).digest(), other.run_with(&frame, &Backwards).digest());
    assert_ne!(one.run(&frame).digest(), frame.digest());
}
