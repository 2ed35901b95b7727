//! The composed picture is the stated formula, for values whose result is known.

use glam::Vec3;
use half::f16;
use rayloom_frame::{
    Extent, LayerKind, LayerPlane, LayerRequest, Primary, Rect, TracedTile,
    compose::{Display, PictureFormat, ToneMap, compose, compose_into},
    demodulate::{Surface, albedo_divisor, specular_divisor, specular_f0},
    features::{BlockFeatures, FEATURES, Feature, estimated_cost},
    merge::{FrameInputs, MergeMode, Merger, PlannedTile},
    normal::encode_normal,
    srgb::{linear_to_srgb, srgb_to_linear},
};
use rayloom_scene::Camera;

const BASE: u32 = 0xff40_80ff;
/// Roughness 128, metalness 51.
const MATERIAL: u32 = 0x0100_3380;

/// One surface pixel straight ahead (its normal facing the camera) and one of sky to its right.
fn merged(values: [f32; 4]) -> Merger {
    let rect = Rect::new(0, 0, 2, 1);
    let half = |v: f32| [f16::from_f32(v).to_bits(); 4];
    let layers =
        LayerKind::REAL_TIME.map(|kind| LayerRequest { kind, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES });
    let plane = |kind: LayerKind| LayerPlane {
        kind,
        scale: 1,
        rect,
        pixels: vec![half(values[kind as usize]), half(if kind == LayerKind::Unlit { 0.25 } else { 0.0 })],
    };
    let traced = TracedTile {
        rect,
        layers: LayerKind::REAL_TIME.map(plane).to_vec(),
        primary: Some(Primary {
            depth: vec![2.0, f32::INFINITY],
            normal: vec![encode_normal(Vec3::Z), 0],
            base_color: vec![BASE, 0],
            material: vec![MATERIAL, 0],
            motion: vec![0; 2],
            instance_id: vec![1, 0],
        }),
        block_rays: Vec::new(),
    };
    // The principal point lies in the middle of the left pixel.
    let mut camera = Camera::with_fov(1.0, 2.0);
    camera.center.x = -0.5;
    let mut merger = Merger::new(Extent::new(2, 1));
    merger.set_mode(MergeMode::Passthrough);
    let tiles = [PlannedTile { rect, ghost: 0 }];
    merger.begin(FrameInputs::new(1, camera, &layers, &tiles)).unwrap();
    merger.add_tile(1, 0, 0, &traced).unwrap();
    merger
}

#[test]
fn materials_are_multiplied_back_in() {
    let surface = Surface::unpack(BASE, MATERIAL);
    assert_eq!(surface.base_color, Vec3::new(1.0, srgb_to_linear(0x80), srgb_to_linear(0x40)));
    let albedo = albedo_divisor(surface.base_color, 0.2);
    let specular = specular_divisor(specular_f0(surface.base_color, 0.2), 128.0 / 255.0, 1.0);
    for [direct, spec, indirect, unlit] in
        [[0.5, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.25, 0.5, 0.125, 0.0625], [0.0, 0.0, 0.5, 4.0]]
    {
        let mut merger = merged([direct, spec, indirect, unlit]);
        let rgba = compose(&merger.finish().unwrap(), 0.5, ToneMap::Linear);
        let light = ((direct + indirect) * albedo + spec * specular + unlit) * 0.5;
        let expected = light.to_array().map(linear_to_srgb);
        assert_eq!(rgba[..3], expected, "{direct} {spec} {indirect} {unlit}");
        assert_eq!(rgba[3..], [255, linear_to_srgb(0.125), linear_to_srgb(0.125), linear_to_srgb(0.125), 255]);
    }
}

#[test]
fn the_filmic_curve_keeps_black_lifts_grey_and_never_clips_early() {
    let shown = |unlit: f32| compose(&merged([0.0, 0.0, 0.0, unlit]).finish().unwrap(), 1.0, ToneMap::Aces)[0];
    assert_eq!(shown(0.0), 0);
    // 0.18 maps to 0.18 (2.51 * 0.18 + 0.03) / (0.18 (2.43 * 0.18 + 0.59) + 0.14) = 0.26690.
    assert_eq!(shown(0.18), linear_to_srgb(0.2669));
    assert!(shown(2.0) < 250 && shown(200.0) == 255);
}

#[test]
fn the_formats_hold_the_same_picture() {
    let mut merger = merged([0.0, 0.0, 0.0, 3.5]);
    let frame = merger.finish().unwrap();
    let shown = |tone_map, format: PictureFormat| {
        let mut picture = vec![0; frame.extent.pixels() * format.bytes_per_pixel()];
        compose_into(&frame, &Display { exposure: 2.0, tone_map, format }, &mut picture);
        picture
    };
    let half = |bytes: &[u8], i: usize| f16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]).to_f32();
    // Half floats keep what is brighter than white; the others do not.
    let light = shown(ToneMap::Linear, PictureFormat::Rgba16Float);
    assert_eq!([0, 1, 2, 3, 4, 7].map(|i| half(&light, i)), [7.0, 7.0, 7.0, 1.0, 0.5, 1.0]);
    for tone_map in [ToneMap::Linear, ToneMap::Aces, ToneMap::Agx] {
        let light = shown(tone_map, PictureFormat::Rgba16Float);
        let (eight, ten) = (shown(tone_map, PictureFormat::Rgba8Srgb), shown(tone_map, PictureFormat::Rgb10a2Srgb));
        for pixel in 0..2 {
            let word = u32::from_le_bytes(ten[pixel * 4..][..4].try_into().unwrap());
            assert_eq!(word >> 30, 3);
            for channel in 0..3 {
                let code = linear_to_srgb(half(&light, pixel * 4 + channel));
                let found = eight[pixel * 4 + channel];
                assert!(code.abs_diff(found) <= 1, "{tone_map:?}: {found} for {code}");
                let wide = (word >> (10 * channel) & 1023) as f32 * 255.0 / 1023.0;
                assert!((wide - f32::from(found)).abs() < 1.2, "{tone_map:?}: {wide} for {found}");
            }
        }
    }
}

#[test]
fn block_features_are_shares_of_the_pixels_there_are() {
    let mut merger = merged([1.0; 4]);
    let features = BlockFeatures::of(&merger.finish().unwrap());
    assert_eq!((features.blocks_x, features.blocks_y), (1, 1));
    let value = |f: Feature| features.values[0][f as usize];
    assert_eq!((value(Feature::Coverage), value(Feature::DepthEdges), value(Feature::NormalEdges)), (0.5, 0.5, 0.0));
    assert_eq!((value(Feature::Reflective), value(Feature::Disoccluded)), (0.0, 0.5));
    assert!((value(Feature::Smoothness) - (1.0 - 128.0 / 255.0) / 2.0).abs() < 1e-6);
    assert_eq!((value(Feature::Translucent), value(Feature::Luminous), value(Feature::Lit)), (0.0, 0.5, 0.5));
    assert_eq!(features.inverse_depth, [0.25]);
    let layers = [LayerRequest { kind: LayerKind::Direct, samples: 2, scale: 1, bounces: LayerRequest::BOUNCES }];
    let mut sky = features.clone();
    sky.values[0] = [0.0; FEATURES];
    assert_eq!(estimated_cost(&sky, &layers), [256.0]);
    assert!(estimated_cost(&features, &layers)[0] > 512.0);
}
