//! Glass loses nothing but what it absorbs: furnaces of rough faces, slabs by Beer and Lambert, thin sheets by the series of
//! what goes to and fro between their faces, textures of what transmits and of thickness.
mod small_scenes;

use glam::{Quat, Vec2, Vec3};
use rayloom_frame::{Extent, LayerKind, LayerRequest};
use rayloom_renderer::{FrameState, Renderer, TraceJob};
use rayloom_scene::{Camera, Environment, Instance, Material, Scene, Texture, TextureData, TextureSlot};
use small_scenes::*;
use std::sync::Arc;

const EXTENT: Extent = Extent::new(64, 64);

fn glass(base_color: Vec3, thickness: f32, ior: f32, roughness: f32) -> Material {
    Material { transmission: 1.0, thickness, ior, ..material(base_color, 0.0, roughness) }
}

/// A layer's mean over frames of 64 samples.
fn light(r: &Renderer, s: &Scene, camera: Camera, kind: LayerKind, bounces: u8, frames: u64) -> Vec3 {
    let gpu = r.create_scene(s, &mut |_| ()).expect("the scene is valid");
    let frame = Arc::new(gpu.frame(&FrameState::default()).expect("the state is valid"));
    let layers = [LayerRequest { kind, samples: 64, scale: 1, bounces }];
    let sum: Vec3 = (0..frames)
        .map(|frame_id| {
            let job = TraceJob { frame_id, ..TraceJob::whole_view(EXTENT, camera, &layers) };
            mean(layer(&r.trace(&frame, &job).expect("the job is valid").0, kind))
        })
        .sum();
    sum / frames as f32
}

/// A square of `m`, seen from so afar that all of it is seen at the same angle.
fn seen(r: &Renderer, m: Material, from: Vec3, sky: Environment, frames: u64) -> Vec3 {
    let mut s = scene(vec![square(0)], vec![m], vec![at(0, 1000.0, Vec3::ZERO)], Vec::new());
    s.environment = sky;
    light(r, &s, Camera::look_at(from, Vec3::ZERO, 0.02, 1.0), LayerKind::Path, 4, frames)
}

/// Of one face.
fn reflectance(cosine: f32, eta: f32) -> f32 {
    let beyond = (1.0 - (1.0 - cosine * cosine) / (eta * eta)).sqrt();
    let s = (cosine - eta * beyond) / (cosine + eta * beyond);
    let p = (beyond - eta * cosine) / (beyond + eta * cosine);
    (s * s + p * p) / 2.0
}

/// Of a sheet: R + (1-R)^2 R (1 + R^2 + ...).
fn sheet(cosine: f32, eta: f32) -> f32 {
    let r = reflectance(cosine, eta);
    r + (1.0 - r) * (1.0 - r) * r / (1.0 - r * r)
}

#[test]
fn a_rough_face_of_glass_sends_on_all_light_from_both_sides() {
    let even = Environment::constant(Vec3::ONE);
    for r in renderers() {
        for roughness in [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0] {
            let mut all = Vec::new();
            for ior in [1.33, 1.5] {
                for height in [4.0, 1.0, 0.4, -4.0, -1.0, -0.4] {
                    let from = Vec3::new(1.0, height, 0.3);
                    all.push(seen(&r, glass(Vec3::ONE, 1.0, ior, roughness), from, even, 1).x);
                    let what = format!("roughness {roughness}, index {ior}, from height {height}: {:?}", all.last());
                    assert!((all[all.len() - 1] - 1.0).abs() < 0.005, "{what}");
                }
            }
            println!("roughness {roughness}: {all:.4?}");
        }
        assert_clean(&r);
    }
}

#[test]
fn a_thin_sheet_sends_on_all_light_however_rough() {
    let even = Environment::constant(Vec3::ONE);
    for r in renderers() {
        for roughness in [0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0] {
            for height in [4.0, 1.0, -0.4] {
                let light = seen(&r, glass(Vec3::ONE, 0.0, 1.5, roughness), Vec3::new(1.0, height, 0.3), even, 1).x;
                assert!((light - 1.0).abs() < 0.005, "roughness {roughness}, from height {height}: {light}");
            }
        }
        assert_clean(&r);
    }
}

#[test]
fn a_body_of_rough_glass_under_an_even_sky_is_not_seen() {
    for r in renderers() {
        for roughness in [0.1, 0.8] {
            let m = glass(Vec3::ONE, 1.0, 1.5, roughness);
            let mut s = scene(vec![cube(0)], vec![m], vec![at(0, 1.0, Vec3::ZERO)], Vec::new());
            s.environment = Environment::constant(Vec3::ONE);
            let camera = Camera::look_at(Vec3::new(3.0, 2.0, 4.0), Vec3::ZERO, 0.1, 1.0);
            let light = light(&r, &s, camera, LayerKind::Path, 64, 1).x;
            assert!((light - 1.0).abs() < 0.01, "roughness {roughness}: {light}");
        }
        assert_clean(&r);
    }
}

#[test]
fn a_slab_takes_what_beer_and_lambert_say() {
    const THICKNESS: f32 = 0.8;
    let color = Vec3::new(0.25, 0.6, 0.95);
    for r in renderers() {
        for ior in [1.0, 1.5, 2.4] {
            let m = Material {
                attenuation_color: color,
                attenuation_distance: 0.5,
                ..glass(Vec3::new(0.9, 1.0, 0.8), 1.0, ior, 0.0)
            };
            let scale = Vec3::new(50.0, THICKNESS / 2.0, 50.0);
            let transform = glam::Affine3A::from_scale_rotation_translation(scale, Quat::IDENTITY, Vec3::ZERO);
            let slab = Instance { mesh: 0, transform, user_id: 0 };
            let mut s = scene(vec![cube(0)], vec![m.clone()], vec![slab], Vec::new());
            s.environment = Environment::constant(Vec3::ONE);
            let camera = Camera::look_at(Vec3::new(0.1, 5.0, 0.0), Vec3::new(0.1, 0.0, 0.0), 1e-3, 1.0);
            let found = light(&r, &s, camera, LayerKind::Path, 32, 2);
            // What is let through is tinted by each face, and loses exp(-absorption * way) within.
            let reflected = reflectance(1.0, ior);
            let expected = Vec3::from_array([0, 1, 2].map(|k| {
                let (tint, left) = (m.base_color[k], color[k].powf(THICKNESS / 0.5));
                let through = ((1.0 - reflected) * tint).powi(2) * left;
                let inner = reflected * left;
                reflected + through * (1.0 + inner) / (1.0 - inner * inner)
            }));
            // Half of the light is decided by chance: of 524,288 paths.
            assert!(((found - expected) / expected).abs().max_element() < 0.005, "{ior}: {found} is not {expected}");
        }
        assert_clean(&r);
    }
}

#[test]
fn a_lamp_in_coloured_glass_is_dimmed_by_its_way_out() {
    for r in renderers() {
        let glow = Material { emissive: Vec3::splat(2.0), ..material(Vec3::ZERO, 0.0, 1.0) };
        let color = Vec3::new(0.5, 0.8, 0.1);
        let m = Material { attenuation_color: color, attenuation_distance: 1.0, ..glass(Vec3::ONE, 1.0, 1.5, 0.0) };
        let lamp = at(1, 0.5, Vec3::new(0.0, 0.25, 0.0));
        let s = scene(vec![cube(0), square(1)], vec![m, glow], vec![at(0, 1.0, Vec3::ZERO), lamp], Vec::new());
        // From the top of the body to the lamp are 0.75 metres.
        let expected = color.powf(0.75) * (2.0 * (1.0 - reflectance(1.0, 1.5)));
        let camera = Camera::look_at(Vec3::Y * 6.0, Vec3::ZERO, 1e-3, 1.0);
        let found = light(&r, &s, camera, LayerKind::Path, 4, 2);
        assert!(((found - expected) / expected).abs().max_element() < 0.01, "{found} is not {expected}");
        assert_clean(&r);
    }
}

#[test]
fn a_thin_sheet_reflects_at_both_faces_and_bends_nothing() {
    let dark = Environment::constant(Vec3::ZERO);
    let tint = Vec3::new(0.9, 0.5, 0.2);
    for r in renderers() {
        for (from, cosine) in [(Vec3::new(0.0, 4.0, 1e-3), 1.0), (Vec3::new(3f32.sqrt(), 1.0, 0.0) * 2.0, 0.5f32)] {
            let m = glass(tint, 0.0, 2.0, 0.0);
            let rest = 1.0 - sheet(cosine, 2.0);
            // The sky's light goes with the height of the direction: up alone it is what is reflected, down what goes through.
            let up = seen(&r, m.clone(), from, Environment { zenith: Vec3::ONE, ..dark }, 2) / cosine;
            assert!((up / sheet(cosine, 2.0) - 1.0).abs().max_element() < 0.01, "{cosine}: {up} is not {}", 1.0 - rest);
            let down = seen(&r, m, from, Environment { ground: Vec3::ONE, ..dark }, 2) / cosine;
            assert!((down / (tint * rest) - 1.0).abs().max_element() < 0.01, "{cosine}: {down} is not {}", tint * rest);
        }
        assert_clean(&r);
    }
}

#[test]
fn the_sun_shines_through_clear_sheets_in_all_layers() {
    let tint = Vec3::new(0.9, 0.5, 0.2);
    let under = |pane: Material, count: usize| {
        let mut instances = vec![at(0, 10.0, Vec3::ZERO)];
        // The camera looks from below the panes.
        instances.extend((0..count).map(|i| at(1, 40.0, Vec3::Y * (5.0 + i as f32))));
        let ground = material(Vec3::splat(0.6), 0.0, 1.0);
        let lights = vec![sun(Vec3::new(0.75f32.sqrt(), -0.5, 0.0), Vec3::splat(3.0))];
        scene(vec![square(0), square(1)], vec![ground, pane], instances, lights)
    };
    for r in renderers() {
        for kind in [LayerKind::Path, LayerKind::Direct] {
            let shown = |pane, count| light(&r, &under(pane, count), from_above(EXTENT), kind, 0, 1);
            let clear = glass(tint, 0.0, 1.5, 0.0);
            let bare = shown(clear.clone(), 0);
            for count in [1, 3] {
                let expected = (tint * (1.0 - sheet(0.5, 1.5))).powf(count as f32);
                let found = shown(clear.clone(), count) / bare;
                let off = (found / expected - 1.0).abs().max_element();
                assert!(off < 0.003, "{} through {count}: {found} is not {expected}", kind.name());
            }
            for stops in [glass(tint, 0.0, 1.5, 0.5), glass(tint, 1.0, 1.5, 0.0)] {
                assert_eq!(shown(stops.clone(), 1), Vec3::ZERO, "{} through {stops:?}", kind.name());
            }
        }
        assert_clean(&r);
    }
}

#[test]
fn red_says_what_transmits_and_green_where_a_body_is_thin() {
    let down = Environment { zenith: Vec3::ZERO, horizon: Vec3::ZERO, ground: Vec3::ONE };
    let texture = |value: [u8; 4]| {
        let pixels = value.to_vec().into();
        Arc::new(Texture { data: TextureData::Rgba8 { width: 1, height: 1, pixels }, user_id: 0 })
    };
    let slot = |texture| Some(TextureSlot { texture, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 });
    let cosine = 0.5f32;
    let refracted = (1.0 - (1.0 - cosine * cosine) / 2.25).sqrt();
    let sheet = cosine * (1.0 - sheet(cosine, 1.5));
    let body = refracted * (1.0 - reflectance(cosine, 1.5));
    for r in renderers() {
        let shown = |m: Material, share: [u8; 4], thickness: [u8; 4]| {
            let mut s = scene(vec![square(0)], vec![m], vec![at(0, 1000.0, Vec3::ZERO)], Vec::new());
            s.textures = vec![texture(share), texture(thickness)];
            s.environment = down;
            let camera = Camera::look_at(Vec3::new(3f32.sqrt(), 1.0, 0.0) * 2.0, Vec3::ZERO, 0.02, 1.0);
            light(&r, &s, camera, LayerKind::Path, 4, 2).x
        };
        let m = |thickness| Material {
            transmission_texture: slot(0),
            thickness_texture: slot(1),
            ..glass(Vec3::ONE, thickness, 1.5, 0.0)
        };
        for (what, thickness, share, green, expected) in [
            ("a sheet", 0.0, 51u8, 255, 0.2 * sheet),
            ("a body", 0.7, 204, 255, 0.8 * body),
            ("a body without thickness", 0.7, 255, 0, sheet),
        ] {
            let found = shown(m(thickness), [share, 9, 200, 255], [7, green, 99, 255]);
            assert!((found / expected - 1.0).abs() < 0.015, "{what}: {found} is not {expected}");
        }
        assert_clean(&r);
    }
}
