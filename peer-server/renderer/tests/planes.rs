//! Planes of an engine instead of primary rays: light falls on what they say.
mod small_scenes;

use glam::Vec3;
use rayloom_frame::codec::{DecodeLimits, TileEncoder, decode_slice};
use rayloom_frame::{Extent, GBuffer, LayerKind, Rect, TracedTile};
use rayloom_renderer::{Renderer, TraceJob};
use rayloom_scene::{Environment, Scene};
use small_scenes::*;

const EXTENT: Extent = Extent::new(75, 51);

/// A floor under a block and a sun, sky around: all faces flat, so that shading normals are the triangles'.
fn flat_scene() -> Scene {
    let floor = at(0, 3.0, Vec3::ZERO);
    let block = at(1, 0.5, Vec3::new(0.3, 0.8, -0.2));
    let materials = vec![material(Vec3::new(0.8, 0.6, 0.4), 0.0, 0.5), material(Vec3::splat(0.7), 1.0, 0.3)];
    let lights = vec![sun(Vec3::new(0.4, -1.0, 0.3), Vec3::splat(3.0))];
    let environment = Environment { zenith: Vec3::new(0.2, 0.3, 0.6), horizon: Vec3::splat(0.5), ground: Vec3::ZERO };
    Scene { environment, ..scene(vec![square(0), square(1)], materials, vec![floor, block], lights) }
}

/// A camera that sees floor, block and sky.
fn camera() -> rayloom_scene::Camera {
    rayloom_scene::Camera::look_at(Vec3::new(2.0, 2.0, 4.0), Vec3::new(0.0, 0.6, 0.0), 1.0, 75.0 / 51.0)
}

fn planes_of(tile: &TracedTile) -> GBuffer {
    let primary = tile.primary.clone().expect("asked for");
    GBuffer { primary, ..GBuffer::sky(EXTENT, false, false) }
}

/// As a peer gets them.
fn region(planes: &GBuffer, rect: Rect) -> GBuffer {
    let (normals, emissive) = (!planes.geometric_normal.is_empty(), !planes.emissive.is_empty());
    let size = Extent::new(rect.width, rect.height);
    let mut part = GBuffer { depth_error: planes.depth_error, ..GBuffer::sky(size, normals, emissive) };
    for slice in TileEncoder::of_gbuffer(planes, rect, 4000) {
        let decoded = decode_slice(&slice, DecodeLimits::new(EXTENT)).expect("it was just coded");
        part.put((rect.x, rect.y), &decoded).expect("it is of the region");
    }
    part
}

fn traced(renderer: &Renderer, job: &TraceJob<'_>) -> TracedTile {
    trace(renderer, &flat_scene(), job)
}

#[test]
fn what_primary_rays_hit_gives_the_same_light_when_the_engine_gives_it() {
    for renderer in renderers() {
        for scale in [1, 2] {
            let layers = all_layers(scale);
            let job = TraceJob { frame_id: 3, ..TraceJob::whole_view(EXTENT, camera(), &layers) };
            let whole = traced(&renderer, &job);
            let planes = planes_of(&whole);
            for rect in [EXTENT.rect(), Rect::new(17, 9, 33, 25)] {
                let job = TraceJob { rect, primary: false, ..job };
                let part = region(&planes, job.padded());
                let given = traced(&renderer, &TraceJob { planes: Some(&part), ..job });
                assert_eq!(given.primary, None);
                let expected = traced(&renderer, &job);
                assert_eq!(given.layers, expected.layers, "scale {scale}, {rect:?}");
                assert!(mean(layer(&given, LayerKind::Direct)).x > 0.0);
            }
        }
        assert_clean(&renderer);
    }
}

#[test]
fn material_emission_and_sky_come_from_the_planes() {
    for renderer in renderers() {
        let layers = all_layers(1);
        let job = TraceJob::whole_view(EXTENT, camera(), &layers);
        let whole = traced(&renderer, &job);
        let mut planes = planes_of(&whole);
        // All metal: nothing diffuse is left. Red light of 1 = 256 * 2^(16 - 24) on every pixel, the sky's too.
        planes.primary.material.iter_mut().for_each(|m| *m |= 0xff00);
        planes.emissive = vec![256 | 16 << 27; EXTENT.pixels()];
        let given = traced(&renderer, &TraceJob { planes: Some(&planes), ..job });
        assert_eq!(mean(layer(&given, LayerKind::Direct)), Vec3::ZERO);
        assert!(mean(layer(&given, LayerKind::Specular)).x > 0.0);
        let (unlit, sky) = (layer(&given, LayerKind::Unlit), layer(&whole, LayerKind::Unlit));
        let mut kinds = [0, 0];
        for (index, depth) in planes.primary.depth.iter().enumerate() {
            let (x, y) = (index as u32 % EXTENT.width, index as u32 / EXTENT.width);
            let expected = if depth.is_finite() { Vec3::new(1.0, 0.0, 0.0) } else { pixel(sky, x, y) };
            assert_eq!(pixel(unlit, x, y), expected, "at {x}, {y}");
            kinds[usize::from(depth.is_finite())] += 1;
        }
        assert!(kinds.iter().all(|count| *count > 100), "sky and surfaces are both seen: {kinds:?}");
        assert_clean(&renderer);
    }
}

#[test]
fn a_depth_that_is_off_does_not_shade_itself() {
    for renderer in renderers() {
        let layers = all_layers(1);
        let job = TraceJob::whole_view(EXTENT, camera(), &layers);
        let whole = traced(&renderer, &job);
        let mut planes = planes_of(&whole);
        // As from 16-bit floats: up to one part in 2048 off, to both sides.
        for (index, depth) in planes.primary.depth.iter_mut().enumerate() {
            *depth *= if index % 2 == 0 { 1.0 + 1.0 / 2048.0 } else { 1.0 - 1.0 / 2048.0 };
        }
        let lit = |planes: &GBuffer| {
            let given = traced(&renderer, &TraceJob { planes: Some(planes), ..job });
            mean(layer(&given, LayerKind::Direct)).x
        };
        let (right, acne) = (mean(layer(&whole, LayerKind::Direct)).x, lit(&planes));
        planes.depth_error = 1.0 / 2048.0;
        let healed = lit(&planes);
        assert!(acne < right * 0.8, "without the error bound much shades itself: {acne} of {right}");
        assert!((healed - right).abs() < right * 0.03, "{healed} should be {right}");
        assert_clean(&renderer);
    }
}

#[test]
fn planes_of_another_size_are_refused() {
    let renderer = renderers().next().expect("a device has a front end");
    let layers = all_layers(1);
    let job = TraceJob { rect: Rect::new(3, 5, 10, 10), ..TraceJob::whole_view(EXTENT, camera(), &layers) };
    let gpu = renderer.create_scene(&flat_scene(), &mut |_| ()).expect("the scene is valid");
    let frame = std::sync::Arc::new(gpu.frame(&Default::default()).expect("the state is valid"));
    for (size, normals) in [(Extent::new(10, 10), 0), (Extent::new(12, 12), 7)] {
        let mut planes = GBuffer::sky(size, false, false);
        planes.geometric_normal = vec![0; normals];
        let error = renderer.trace(&frame, &TraceJob { planes: Some(&planes), ..job }).expect_err("it does not fit");
        assert!(error.to_string().contains("12"), "{error}");
    }
}
