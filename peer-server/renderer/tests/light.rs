//! Light has the energy that its units promise, stops at shadows, and is lost nowhere.
mod small_scenes;

use glam::{Affine3A, Vec2, Vec3};
use rayloom_frame::demodulate::specular_divisor;
use rayloom_frame::{Extent, LayerKind, LayerRequest};
use rayloom_renderer::{Renderer, TraceJob};
use rayloom_scene::{Camera, Environment, Instance, Light, LightShape, Texture, TextureData, TextureSlot};
use small_scenes::*;
use std::f32::consts::PI;

const EXTENT: Extent = Extent::new(32, 24);

/// What the direct layer holds for irradiance `e` seen from straight above: a dielectric's coat reflects its share.
fn direct_of(e: f32, albedo: f32) -> f32 {
    let coat = specular_divisor(Vec3::splat(0.04), 1.0, 1.0).x;
    e / PI * (1.0 - coat) * albedo / albedo.max(1.0 / 255.0)
}

#[test]
fn a_lambertian_plane_in_the_sun_reflects_irradiance_over_pi() {
    for r in renderers() {
        let slant = Vec3::new(1.0, -2.0, 0.0);
        let ground = material(Vec3::splat(0.5), 0.0, 1.0);
        let s = scene(
            vec![square(0)],
            vec![ground],
            vec![at(0, 10.0, Vec3::ZERO)],
            vec![sun(slant, Vec3::new(3.0, 2.0, 1.0))],
        );
        let tile = trace(&r, &s, &TraceJob::whole_view(EXTENT, from_above(EXTENT), &all_layers(1)));
        let cosine = 2.0 / 5f32.sqrt();
        let found = pixel(layer(&tile, LayerKind::Direct), 16, 12);
        for (found, irradiance) in found.to_array().into_iter().zip([3.0, 2.0, 1.0]) {
            let expected = direct_of(irradiance * cosine, 0.5);
            assert!((found / expected - 1.0).abs() < 0.01, "{found} is not {expected}");
        }
        // Nothing but sun: no emission, no sky.
        assert_eq!(mean(layer(&tile, LayerKind::Unlit)), Vec3::ZERO);
        assert_eq!(mean(layer(&tile, LayerKind::Indirect)), Vec3::ZERO);
        assert_clean(&r);
    }
}

#[test]
fn a_point_light_falls_off_with_the_square_and_a_spot_ends_at_its_cone() {
    for r in renderers() {
        let ground = material(Vec3::splat(0.5), 0.0, 1.0);
        let lamp = Light {
            shape: LightShape::Point,
            color: Vec3::splat(10.0),
            position: Vec3::new(0.0, 2.0, 0.0),
            direction: Vec3::NEG_Y,
            range: 0.0,
            user_id: 0,
        };
        let spot = Light { shape: LightShape::Spot { inner: 0.2, outer: 0.3 }, ..lamp };
        let at_center = |light| {
            let s = scene(vec![square(0)], vec![ground.clone()], vec![at(0, 10.0, Vec3::ZERO)], vec![light]);
            let tile = trace(&r, &s, &TraceJob::whole_view(EXTENT, from_above(EXTENT), &all_layers(1)));
            let direct = layer(&tile, LayerKind::Direct);
            (pixel(direct, 16, 12).x, pixel(direct, 1, 1).x)
        };
        let (center, corner) = at_center(lamp);
        assert!((center / direct_of(10.0 / 4.0, 0.5) - 1.0).abs() < 0.02, "{center}");
        assert!(corner > 0.0 && corner < center * 0.5);
        let (center, corner) = at_center(spot);
        assert!((center / direct_of(10.0 / 4.0, 0.5) - 1.0).abs() < 0.02, "{center}");
        assert_eq!(corner, 0.0);
        assert_clean(&r);
    }
}

#[test]
fn a_plate_shades_the_ground_under_it_and_nothing_else() {
    for r in renderers() {
        let ground = material(Vec3::splat(0.5), 0.0, 1.0);
        // The sun comes from +X at 45 degrees: a plate at height 1 throws its shadow one metre towards -X.
        let plate = at(0, 0.25, Vec3::new(0.0, 1.0, 0.0));
        let light = sun(Vec3::new(-1.0, -1.0, 0.0), Vec3::ONE);
        let s = scene(vec![square(0)], vec![ground], vec![at(0, 10.0, Vec3::ZERO), plate], vec![light]);
        let extent = Extent::new(64, 64);
        let camera = from_above(extent);
        let tile = trace(&r, &s, &TraceJob::whole_view(extent, camera, &all_layers(1)));
        let see = |x: f32| {
            let (p, _) = camera.project(Vec3::new(x, 0.0, 0.0), glam::Vec2::splat(64.0));
            pixel(layer(&tile, LayerKind::Direct), p.x as u32, p.y as u32).x
        };
        assert_eq!(see(-1.0), 0.0, "in the shadow");
        assert!(see(-1.5) > 0.1 && see(-0.55) > 0.1 && see(1.0) > 0.1, "beside it");
        assert_clean(&r);
    }
}

#[test]
fn under_an_even_sky_a_convex_surface_shows_no_light_lost_or_made() {
    // The furnace test: what comes in from everywhere with radiance 1 leaves with albedo 1 as radiance 1.
    for r in renderers() {
        for (metallic, roughness) in [(0.0, 1.0), (0.0, 0.3), (1.0, 0.1), (1.0, 0.6), (1.0, 1.0)] {
            let white = material(Vec3::ONE, metallic, roughness);
            let mut s = scene(vec![square(0)], vec![white], vec![at(0, 10.0, Vec3::ZERO)], Vec::new());
            s.environment = Environment::constant(Vec3::ONE);
            let layers = [LayerKind::Specular, LayerKind::Indirect].map(|kind| LayerRequest {
                kind,
                samples: 64,
                scale: 1,
                bounces: LayerRequest::BOUNCES,
            });
            // So narrow a view that n.v is 1 everywhere.
            let camera = Camera::look_at(Vec3::new(0.0, 4.0, 0.0), Vec3::ZERO, 0.01, 1.0);
            let tile = trace(&r, &s, &TraceJob::whole_view(EXTENT, camera, &layers));
            let surface = rayloom_frame::demodulate::Surface { base_color: Vec3::ONE, roughness, metalness: metallic };
            let specular = mean(layer(&tile, LayerKind::Specular)) * surface.specular_divisor(1.0);
            let diffuse = mean(layer(&tile, LayerKind::Indirect)) * surface.albedo_divisor();
            let sum = (specular + diffuse).x;
            assert!((sum - 1.0).abs() < 0.02, "metallic {metallic}, roughness {roughness}: {sum}");
        }
        assert_clean(&r);
    }
}

#[test]
fn under_an_even_sky_paths_bring_back_what_comes_in() {
    const VIEW: Extent = Extent::new(64, 64);
    for r in renderers() {
        for metallic in [0.0, 0.5, 1.0] {
            for roughness in [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0] {
                let white = material(Vec3::ONE, metallic, roughness);
                let mut s = scene(vec![square(0)], vec![white], vec![at(0, 1000.0, Vec3::ZERO)], Vec::new());
                s.environment = Environment::constant(Vec3::ONE);
                let layers =
                    [LayerRequest { kind: LayerKind::Path, samples: 64, scale: 1, bounces: LayerRequest::BOUNCES }];
                for height in [4.0, 1.0, 0.4] {
                    let camera = Camera::look_at(Vec3::new(1.0, height, 0.3), Vec3::ZERO, 0.02, 1.0);
                    let tile = trace(&r, &s, &TraceJob::whole_view(VIEW, camera, &layers));
                    let light = mean(layer(&tile, LayerKind::Path)).x;
                    let what = format!("metallic {metallic}, roughness {roughness}, from height {height}: {light}");
                    assert!((light - 1.0).abs() < 0.005, "{what}");
                }
            }
        }
        assert_clean(&r);
    }
}

#[test]
fn an_emissive_plate_lights_the_ground_textured_or_not() {
    for r in renderers() {
        let ground = material(Vec3::splat(0.8), 0.0, 1.0);
        let glow = rayloom_scene::Material { emissive: Vec3::new(5.0, 0.0, 0.0), ..ground.clone() };
        let lamp = at(1, 1.0, Vec3::new(0.0, 1.0, 0.0));
        let dark =
            scene(vec![square(0), square(1)], vec![ground, glow], vec![at(0, 10.0, Vec3::ZERO), lamp], Vec::new());
        let layers = all_layers(1).map(|l| LayerRequest { samples: 16, ..l });
        let tile = trace(&r, &dark, &TraceJob::whole_view(EXTENT, from_above(EXTENT), &layers));
        assert_eq!(pixel(layer(&tile, LayerKind::Unlit), 16, 12), Vec3::new(5.0, 0.0, 0.0));
        let lights = mean(layer(&tile, LayerKind::Direct)) + mean(layer(&tile, LayerKind::Indirect));
        assert!(pixel(layer(&tile, LayerKind::Direct), 4, 12).x > 0.05 && lights.y == 0.0, "{lights}");
        // A white texture changes nothing.
        let mut textured = dark.clone();
        let white = vec![255u8; 4].into();
        textured.textures.push(std::sync::Arc::new(Texture {
            data: TextureData::Rgba8 { width: 1, height: 1, pixels: white },
            user_id: 0,
        }));
        textured.materials[1].emissive_texture =
            Some(TextureSlot { texture: 0, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 });
        let again = trace(&r, &textured, &TraceJob::whole_view(EXTENT, from_above(EXTENT), &layers));
        let textured = mean(layer(&again, LayerKind::Direct)) + mean(layer(&again, LayerKind::Indirect));
        assert!((lights.x / textured.x - 1.0).abs() < 0.01, "{} is not {}", lights.x, textured.x);
        let paths = [&tile, &again].map(|t| mean(layer(t, LayerKind::Path)).x);
        assert!((paths[0] / paths[1] - 1.0).abs() < 0.01, "{paths:?}");
        assert_clean(&r);
    }
}

#[test]
fn one_of_a_hundred_lamps_is_drawn_so_that_their_sum_is_right() {
    for r in renderers() {
        let ground = material(Vec3::splat(0.5), 0.0, 1.0);
        let lamp = |i: usize| Light {
            shape: LightShape::Point,
            color: Vec3::splat(0.1 + i as f32 * 0.01),
            position: Vec3::new((i % 10) as f32 * 0.3 - 1.5, 2.0, (i / 10) as f32 * 0.3 - 1.5),
            direction: Vec3::NEG_Y,
            range: 0.0,
            user_id: i as u64,
        };
        let lights: Vec<Light> = (0..100).map(lamp).collect();
        let exact: f32 = lights.iter().map(|l| l.color.x * 2.0 / l.position.length().powi(3)).sum();
        let s = scene(vec![square(0)], vec![ground], vec![at(0, 10.0, Vec3::ZERO)], lights);
        let layers = [LayerRequest { kind: LayerKind::Direct, samples: 64, scale: 1, bounces: LayerRequest::BOUNCES }];
        let extent = Extent::new(64, 64);
        let tile = trace(&r, &s, &TraceJob::whole_view(extent, from_above(extent), &layers));
        let direct = layer(&tile, LayerKind::Direct);
        let around: Vec3 = (30..34).flat_map(|y| (30..34).map(move |x| (x, y))).map(|(x, y)| pixel(direct, x, y)).sum();
        let (found, expected) = (around.x / 16.0, direct_of(exact, 0.5));
        assert!((found / expected - 1.0).abs() < 0.03, "{found} is not {expected}");
        assert_clean(&r);
    }
}

#[test]
fn the_sun_in_a_mirror_is_no_spot_on_rough_ground() {
    // It comes from -X, and a mirror that stands on the ground throws it back there.
    let disc =
        Light { shape: LightShape::Directional { angle: 0.05 }, ..sun(Vec3::new(1.0, -1.0, 0.0), Vec3::splat(3.0)) };
    let upright = Affine3A::from_scale_rotation_translation(
        Vec3::ONE,
        glam::Quat::from_rotation_z(std::f32::consts::FRAC_PI_2),
        Vec3::new(1.5, 1.0, 0.0),
    );
    let lit_by = |r: &Renderer, mirror: f32| {
        let materials = vec![material(Vec3::splat(0.5), 0.0, 1.0), material(Vec3::splat(mirror), 1.0, 0.0)];
        let plate = Instance { mesh: 1, transform: upright, user_id: 1 };
        let s = scene(vec![square(0), square(1)], materials, vec![at(0, 10.0, Vec3::ZERO), plate], vec![disc]);
        let layers = [LayerRequest { samples: 64, ..LayerRequest::new(LayerKind::Indirect) }];
        let tile = trace(r, &s, &TraceJob::whole_view(EXTENT, from_above(EXTENT), &layers));
        let indirect = layer(&tile, LayerKind::Indirect);
        // What the mirror lights of the ground.
        let ground = (7..17).flat_map(|y| (14..22).map(move |x| (x, y)));
        let light: Vec<f32> = ground.map(|(x, y)| pixel(indirect, x, y).x).collect();
        (light.iter().sum::<f32>() / light.len() as f32, light.into_iter().fold(0.0, f32::max))
    };
    for r in renderers() {
        let (mean, brightest) = lit_by(&r, 1.0);
        let (mean_of_none, _) = lit_by(&r, 0.0);
        assert!(brightest < 3.0, "one sample of 64 in the disc itself is worth 6: {brightest}");
        assert!(mean > mean_of_none + 0.05, "its light is there: {mean}, and {mean_of_none} without");
        assert_clean(&r);
    }
}
