//! Light whose amount is known by a formula: form factors, inverse squares, radiosity of closed and of endless rooms.
mod oracle;
mod small_scenes;

use glam::{Affine3A, Quat, Vec3};
use rayloom_frame::{Extent, LayerKind, LayerRequest};
use rayloom_renderer::{FrameState, Renderer, TraceJob};
use rayloom_scene::{AlphaMode, Camera, Instance, Light, LightShape, Material, Mesh, Scene};
use small_scenes::*;
use std::f64::consts::PI;
use std::sync::Arc;

const EXTENT: Extent = Extent::new(32, 32);
const ALBEDO: f64 = 0.8;

/// Mean of a layer's red over frames.
fn light(renderer: &Renderer, scene: &Scene, camera: Camera, kind: LayerKind, max_bounces: u8, frames: u64) -> f64 {
    let gpu = renderer.create_scene(scene, &mut |_| ()).expect("the scene is valid");
    let frame = Arc::new(gpu.frame(&FrameState::default()).expect("the state is valid"));
    let layers = [LayerRequest { kind, samples: 64, scale: 1, bounces: max_bounces }];
    let sum: f64 = (0..frames)
        .map(|frame_id| {
            let job = TraceJob { frame_id, ..TraceJob::whole_view(EXTENT, camera, &layers) };
            let tile = renderer.trace(&frame, &job).expect("the job is valid").0;
            f64::from(mean(layer(&tile, kind)).x)
        })
        .sum();
    sum / frames as f64
}

/// Checks that a rough plane at `point` shows the irradiance `expected`, seen from so afar that it is one point.
fn assert_irradiance(
    what: &str,
    meshes: Vec<Mesh>,
    instances: Vec<Instance>,
    lights: Vec<Light>,
    point: Vec3,
    expected: f64,
) {
    let camera = Camera::look_at(point + Vec3::new(3.0, 1.5, 1.0), point, 1e-3, 1.0);
    let cosine = 1.5 / 12.25f64.sqrt();
    let with_albedo = |albedo: f64| {
        let ground = material(Vec3::splat(albedo as f32), 0.0, 1.0);
        let glow = Material { emissive: Vec3::splat(5.0), ..material(Vec3::ZERO, 0.0, 1.0) };
        scene(meshes.clone(), vec![ground, glow], instances.clone(), lights.clone())
    };
    let (pale, black) = (with_albedo(ALBEDO), with_albedo(0.0));
    let base = 1.0 - oracle::Material::new(&pale.materials[0]).coat(cosine);
    for renderer in renderers() {
        // What the coat reflects is the same over black ground: the difference is diffuse.
        let path = |scene| light(&renderer, scene, camera, LayerKind::Path, 0, 4);
        let found = (path(&pale) - path(&black)) / (ALBEDO * base) * PI;
        assert!((found / expected - 1.0).abs() < 0.01, "{what}, paths: {found} is not {expected}");
        let found = light(&renderer, &pale, camera, LayerKind::Direct, 0, 4) / base * PI;
        assert!((found / expected - 1.0).abs() < 0.01, "{what}, direct: {found} is not {expected}");
        assert_clean(&renderer);
    }
}

#[test]
fn a_luminous_ball_lights_a_plane_by_its_share_of_the_sky() {
    // Its cross-section is a quarter of its surface on average, faceted or not.
    let mesh = ball(1);
    let corners = |t: &[u32]| [0, 1, 2].map(|k| mesh.positions[t[k] as usize].as_dvec3());
    let area: f64 = mesh
        .indices
        .chunks_exact(3)
        .map(|t| {
            let [a, b, c] = corners(t);
            (b - a).cross(c - a).length() * 0.5
        })
        .sum();
    let radius = 0.3;
    // From (0.9, 0, 0) the middle is 1.5 away, 0.8 up.
    let expected = PI * 5.0 * (area / 4.0 / PI) * (radius / 1.5f64).powi(2) * 0.8;
    let instances = vec![at(0, 10.0, Vec3::ZERO), at(1, radius as f32, Vec3::new(0.0, 1.2, 0.0))];
    assert_irradiance("ball", vec![square(0), mesh], instances, Vec::new(), Vec3::new(0.9, 0.0, 0.0), expected);
}

#[test]
fn a_luminous_square_lights_a_plane_by_its_form_factor() {
    for height in [1.0, 0.05] {
        // A differential patch under the middle of a parallel rectangle: four times Howell's configuration B-4.
        let x = 0.5 / height;
        let root = f64::sqrt(1.0 + x * x);
        let factor = 4.0 / (2.0 * PI) * 2.0 * (x / root * (x / root).atan());
        let instances = vec![at(0, 10.0, Vec3::ZERO), at(1, 0.5, Vec3::new(0.0, height as f32, 0.0))];
        let meshes = vec![square(0), square(1)];
        if height == 1.0 {
            assert_irradiance("square", meshes, instances, Vec::new(), Vec3::ZERO, PI * 5.0 * factor);
            continue;
        }
        // Too low to be seen past from above.
        let under = Camera::look_at(Vec3::new(0.4, 0.02, 0.0), Vec3::ZERO, 1e-3, 1.0);
        let cosine = 0.02 / f64::hypot(0.4, 0.02);
        let [pale, black] = [ALBEDO, 0.0].map(|albedo| {
            let ground = material(Vec3::splat(albedo as f32), 0.0, 1.0);
            let glow = Material { emissive: Vec3::splat(5.0), ..material(Vec3::ZERO, 0.0, 1.0) };
            scene(meshes.clone(), vec![ground, glow], instances.clone(), Vec::new())
        });
        let base = 1.0 - oracle::Material::new(&pale.materials[0]).coat(cosine);
        for renderer in renderers() {
            let path = |scene| light(&renderer, scene, under, LayerKind::Path, 0, 4);
            let found = (path(&pale) - path(&black)) / (ALBEDO * base) * PI;
            let expected = PI * 5.0 * factor;
            assert!((found / expected - 1.0).abs() < 0.02, "a lamp 5 cm away: {found} is not {expected}");
            assert_clean(&renderer);
        }
    }
}

#[test]
fn a_slanting_sun_and_a_lamp_follow_the_cosine_and_the_square() {
    let ground = || (vec![square(0)], vec![at(0, 10.0, Vec3::ZERO)]);
    let (meshes, instances) = ground();
    let slant = Vec3::new(1.0, -2.0, 0.5);
    let cosine = 2.0 / 5.25f64.sqrt();
    assert_irradiance("sun", meshes, instances, vec![sun(slant, Vec3::splat(3.0))], Vec3::ZERO, 3.0 * cosine);
    let lamp = Light {
        shape: LightShape::Point,
        color: Vec3::splat(10.0),
        position: Vec3::new(0.6, 0.8, 0.0),
        direction: Vec3::NEG_Y,
        range: 0.0,
        user_id: 0,
    };
    let (meshes, instances) = ground();
    assert_irradiance("lamp", meshes, instances, vec![lamp], Vec3::ZERO, 10.0 * 0.8);
}

/// White, and met by this share of all light; the rest leaves for the dark.
fn white(coverage: f32, emissive: f32, metallic: f32, roughness: f32) -> Material {
    let alpha = if coverage < 1.0 { AlphaMode::Blend } else { AlphaMode::Opaque };
    let base_color = Vec3::ONE.extend(coverage);
    Material { base_color, alpha, emissive: Vec3::splat(emissive), ..material(Vec3::ONE, metallic, roughness) }
}

#[test]
fn a_closed_room_is_as_bright_as_its_series_of_bounces() {
    let camera = Camera::look_at(Vec3::new(0.1, -0.2, 0.3), Vec3::new(1.0, 0.3, -0.7), 1.2, 1.0);
    let room = |m: Material| scene(vec![cube(0)], vec![m], vec![at(0, 2.0, Vec3::ZERO)], Vec::new());
    for renderer in renderers() {
        for (metallic, roughness) in [(0.0, 1.0), (1.0, 0.6)] {
            for share in [0.5f64, 0.8] {
                let s = room(white(share as f32, 1.0, metallic, roughness));
                for max_bounces in [1u8, 5, 64] {
                    let expected: f64 = (1..=i32::from(max_bounces) + 2).map(|k| share.powi(k)).sum();
                    let found = light(&renderer, &s, camera, LayerKind::Path, max_bounces, 2);
                    let what = format!("metallic {metallic}, share {share}, {max_bounces} bounces");
                    assert!((found / expected - 1.0).abs() < 0.015, "{what}: {found} is not {expected}");
                }
            }
            // All of it met and nothing lost: the camera's own sight and one more for each surface that gathers.
            for max_bounces in [0u8, 1, 4] {
                let found = light(
                    &renderer,
                    &room(white(1.0, 1.0, metallic, roughness)),
                    camera,
                    LayerKind::Path,
                    max_bounces,
                    2,
                );
                let expected = f64::from(max_bounces) + 2.0;
                let what = format!("metallic {metallic}, {max_bounces} bounces");
                assert!((found / expected - 1.0).abs() < 0.015, "{what}: {found} is not {expected}");
            }
        }
        assert_clean(&renderer);
    }
}

#[test]
fn two_endless_planes_exchange_light_as_radiosity_says() {
    let (emitted, share) = (2.0, 0.5);
    let turned =
        Affine3A::from_scale_rotation_translation(Vec3::splat(300.0), Quat::from_rotation_x(PI as f32), Vec3::Y);
    let instances = vec![at(0, 300.0, Vec3::ZERO), Instance { mesh: 1, transform: turned, user_id: 0 }];
    let materials = vec![white(1.0, emitted as f32, 0.0, 1.0), white(share as f32, 0.0, 0.0, 1.0)];
    let s = scene(vec![square(0), square(1)], materials, instances, Vec::new());
    // What leaves the lower plane is what it emits and what comes back: L = e + share L.
    let lower = emitted / (1.0 - share);
    let middle = Vec3::new(0.3, 0.5, 0.2);
    for renderer in renderers() {
        for (towards, expected) in [(Vec3::new(0.2, -1.0, 0.1), lower), (Vec3::new(0.2, 1.0, 0.1), share * lower)] {
            let camera = Camera::look_at(middle, middle + towards, 0.3, 1.0);
            let found = light(&renderer, &s, camera, LayerKind::Path, 64, 2);
            assert!((found / expected - 1.0).abs() < 0.015, "towards {towards}: {found} is not {expected}");
        }
        assert_clean(&renderer);
    }
}
