//! The path-traced layer against a path tracer in double precision that shares no line with it: docs/shading.md, twice.
mod oracle;
mod small_scenes;

use glam::{Affine3A, DVec3, Quat, Vec3};
use oracle::{Oracle, Pixel, Search};
use rayloom_frame::{Extent, LayerKind, LayerRequest};
use rayloom_renderer::{FrameState, TraceJob};
use rayloom_scene::{AlphaMode, Camera, Environment, Instance, Light, LightShape, Material, Scene};
use small_scenes::*;
use std::sync::Arc;

const EXTENT: Extent = Extent::new(32, 24);
const BLOCK: u32 = 8;
const BOUNCES: u8 = 4;
/// Of the renderer: independent frames, and paths a pixel in each.
const FRAMES: u64 = 32;
const SAMPLES: u8 = 64;
/// Standard errors of both estimates together that may lie between them.
const ERRORS: f64 = 4.0;
/// What is left besides: half floats and the renderer's table of energies.
const ROUNDING: f64 = 0.003;

/// Pixels that are compared by their mean.
struct Region {
    name: String,
    pixels: Vec<usize>,
}

/// Blocks of the picture, and what belongs to one instance.
fn regions(truth: &[Pixel], instances: usize) -> Vec<Region> {
    let block = |i: usize| (i as u32 % EXTENT.width / BLOCK, i as u32 / EXTENT.width / BLOCK);
    let of = |name: String, inside: &dyn Fn(usize) -> bool| Region {
        name,
        pixels: (0..truth.len()).filter(|i| inside(*i)).collect(),
    };
    let mut all: Vec<Region> = (0..instances)
        .map(|instance| of(format!("instance {instance}"), &|i| truth[i].instance == Some(instance)))
        .filter(|region| region.pixels.len() >= 24)
        .collect();
    for y in 0..EXTENT.height / BLOCK {
        for x in 0..EXTENT.width / BLOCK {
            all.push(of(format!("block {x}, {y}"), &|i| block(i) == (x, y)));
        }
    }
    all
}

/// A region's means: one a frame.
fn traced(scene: &Scene, camera: Camera) -> Vec<Vec<DVec3>> {
    let renderer = renderers().next().expect("a device has a front end");
    let gpu = renderer.create_scene(scene, &mut |_| ()).expect("the scene is valid");
    let frame = Arc::new(gpu.frame(&FrameState::default()).expect("the state is valid"));
    let layers = [LayerRequest { kind: LayerKind::Path, samples: SAMPLES, scale: 1, bounces: BOUNCES }];
    let frames = (0..FRAMES).map(|frame_id| {
        let job = TraceJob { frame_id, primary: false, ..TraceJob::whole_view(EXTENT, camera, &layers) };
        let tile = renderer.trace(&frame, &job).expect("the job is valid").0;
        let plane = layer(&tile, LayerKind::Path);
        let place = |i: usize| (i as u32 % EXTENT.width, i as u32 / EXTENT.width);
        (0..EXTENT.pixels()).map(|i| pixel(plane, place(i).0, place(i).1).as_dvec3()).collect()
    });
    let frames = frames.collect();
    assert_clean(&renderer);
    frames
}

/// Compares all regions. Those of the instances in `sharp` must be known so well that two percent would be seen.
fn agrees(scene: &Scene, camera: Camera, samples: u32, sharp: &[usize]) {
    let mut scene = scene.clone();
    assert!(scene.validate().expect("the scene is valid").is_clean());
    let truth = Oracle::new(&scene).render(&camera, EXTENT, BOUNCES.into(), samples);
    let frames = traced(&scene, camera);
    let mut wrong = Vec::new();
    for region in regions(&truth, scene.instances.len()) {
        let n = region.pixels.len() as f64;
        let expected = region.pixels.iter().map(|i| truth[*i].mean).sum::<DVec3>() / n;
        let variance = region.pixels.iter().map(|i| truth[*i].variance).sum::<DVec3>() / (n * n);
        let means: Vec<DVec3> = frames.iter().map(|f| region.pixels.iter().map(|i| f[*i]).sum::<DVec3>() / n).collect();
        let count = means.len() as f64;
        let found = means.iter().sum::<DVec3>() / count;
        let spread = means.iter().map(|m| (*m - found) * (*m - found)).sum::<DVec3>() / (count * (count - 1.0));
        let allowed = (variance + spread).map(f64::sqrt) * ERRORS + expected * ROUNDING + 1e-5;
        let (ratio, part) = (found / expected, allowed / expected);
        println!("{}: {found:.4} of {expected:.4}, ratio {ratio:.4}, within {part:.4}", region.name);
        if !(found - expected).abs().cmple(allowed).all() {
            wrong.push(format!("{}: {found} is not {expected} within {allowed}", region.name));
        }
        for instance in sharp.iter().filter(|i| region.name == format!("instance {i}")) {
            if part.min_element() > 0.02 {
                wrong.push(format!("instance {instance} is known only within {part}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn placed(mesh: u32, scale: Vec3, turn: Quat, position: Vec3) -> Instance {
    Instance { mesh, transform: Affine3A::from_scale_rotation_translation(scale, turn, position), user_id: 0 }
}

/// A room that is open towards the camera at +Z: floor, ceiling, three walls, a lamp under the ceiling, a ball and a block.
fn room() -> (Scene, Camera) {
    let glow = Material { emissive: Vec3::new(9.0, 8.0, 6.0), ..material(Vec3::ZERO, 0.0, 1.0) };
    let materials = vec![
        material(Vec3::splat(0.75), 0.0, 0.9),
        material(Vec3::new(0.7, 0.15, 0.1), 0.0, 0.8),
        material(Vec3::new(0.15, 0.6, 0.15), 0.0, 1.0),
        glow,
        material(Vec3::new(0.9, 0.7, 0.4), 1.0, 0.4),
        material(Vec3::splat(0.6), 0.0, 0.6),
    ];
    let quarter = std::f32::consts::FRAC_PI_2;
    let instances = vec![
        at(0, 1.0, Vec3::ZERO),
        placed(0, Vec3::ONE, Quat::from_rotation_x(2.0 * quarter), Vec3::new(0.0, 2.0, 0.0)),
        placed(0, Vec3::ONE, Quat::from_rotation_x(quarter), Vec3::new(0.0, 1.0, -1.0)),
        placed(1, Vec3::ONE, Quat::from_rotation_z(-quarter), Vec3::new(-1.0, 1.0, 0.0)),
        placed(2, Vec3::ONE, Quat::from_rotation_z(quarter), Vec3::new(1.0, 1.0, 0.0)),
        at(3, 0.5, Vec3::new(0.0, 1.75, 0.0)),
        at(4, 0.42, Vec3::new(0.4, 0.42, 0.3)),
        placed(5, Vec3::new(0.3, 0.6, 0.3), Quat::from_rotation_y(0.4), Vec3::new(-0.4, 0.6, -0.3)),
    ];
    let meshes = vec![square(0), square(1), square(2), square(3), ball(4), cube(5)];
    let camera = Camera::look_at(Vec3::new(0.13, 1.07, 3.4), Vec3::new(0.02, 0.99, 0.0), 0.72, 4.0 / 3.0);
    (scene(meshes, materials, instances, Vec::new()), camera)
}

#[test]
fn the_oracle_finds_a_lamp_by_chance_as_bright_as_by_aiming_at_it() {
    let (scene, camera) = room();
    let mut oracle = Oracle::new(&scene);
    let whole = |oracle: &Oracle, samples| {
        let pixels = oracle.render(&camera, EXTENT, BOUNCES.into(), samples);
        let n = pixels.len() as f64;
        let variance = pixels.iter().map(|p| p.variance.x).sum::<f64>() / (n * n);
        (pixels.iter().map(|p| p.mean.x).sum::<f64>() / n, variance)
    };
    let aimed = whole(&oracle, 160);
    oracle.search = Search::Chance;
    let chance = whole(&oracle, 512);
    let error = (aimed.1 + chance.1).sqrt();
    assert!(error < 0.005 * aimed.0, "{aimed:?}, {chance:?}");
    assert!((aimed.0 - chance.0).abs() < 4.0 * error, "{aimed:?}, {chance:?}");
}

#[test]
fn a_room_under_a_luminous_ceiling() {
    let (scene, camera) = room();
    agrees(&scene, camera, 3072, &[0, 1, 2, 3, 4]);
}

#[test]
fn lobes_that_are_a_few_percent_of_others_light_alone() {
    // Black bases and black tints leave the coat and what glass reflects.
    let black = |roughness| material(Vec3::ZERO, 0.0, roughness);
    let glass = |roughness| Material { transmission: 1.0, thickness: 1.0, ior: 3.0, ..black(roughness) };
    let materials = vec![
        black(0.3),
        black(0.8),
        black(0.0),
        glass(0.4),
        glass(0.0),
        material(Vec3::splat(0.9), 1.0, 1.0),
        Material { metallic: 0.5, transmission: 0.4, ..glass(0.6) },
        Material { ior: 2.0, ..black(0.5) },
    ];
    let place = |i: u32| Vec3::new((i % 4) as f32 * 1.1 - 1.65, 0.0, (i / 4) as f32 * 1.6 - 0.8);
    let instances = (0..8).map(|i| placed(i, Vec3::new(0.5, 1.0, 0.7), Quat::IDENTITY, place(i))).collect();
    let mut s = scene((0..8).map(square).collect(), materials, instances, Vec::new());
    s.environment =
        Environment { zenith: Vec3::new(1.0, 1.5, 2.0), horizon: Vec3::splat(1.0), ground: Vec3::splat(0.5) };
    let camera = Camera::look_at(Vec3::new(0.2, 3.2, 3.3), Vec3::new(0.0, 0.0, 0.1), 0.62, 4.0 / 3.0);
    agrees(&s, camera, 8192, &[0, 1, 2, 3, 4, 5, 7]);
}

#[test]
fn balls_of_all_kinds_under_a_sky_a_sun_and_two_lamps() {
    let materials = vec![
        material(Vec3::new(0.5, 0.45, 0.4), 0.0, 0.8),
        material(Vec3::new(0.95, 0.8, 0.5), 1.0, 0.15),
        material(Vec3::new(0.8, 0.85, 0.9), 1.0, 0.9),
        material(Vec3::new(0.05, 0.05, 0.3), 0.0, 0.3),
        material(Vec3::new(0.7, 0.3, 0.2), 0.5, 0.5),
        material(Vec3::new(0.9, 0.9, 0.95), 1.0, 0.0),
    ];
    let meshes = (0..6).map(|m| if m == 0 { square(0) } else { ball(m) }).collect();
    let mut instances = vec![at(0, 8.0, Vec3::ZERO)];
    for i in 1..6u32 {
        let (x, z) = [(-1.5, -0.4), (0.0, -0.6), (1.5, -0.4), (-0.75, 0.9), (0.75, 0.9)][i as usize - 1];
        instances.push(at(i, 0.6, Vec3::new(x, 0.6, z)));
    }
    let sun = Light {
        shape: LightShape::Directional { angle: 0.3 },
        ..sun(Vec3::new(0.5, -1.0, -0.4), Vec3::new(2.0, 1.9, 1.6))
    };
    let lamp = Light {
        shape: LightShape::Point,
        color: Vec3::new(1.5, 1.0, 0.6),
        position: Vec3::new(-1.0, 1.9, 1.2),
        direction: Vec3::NEG_Y,
        range: 6.0,
        user_id: 0,
    };
    let spot = Light {
        shape: LightShape::Spot { inner: 0.3, outer: 0.6 },
        color: Vec3::new(2.0, 3.0, 4.0),
        position: Vec3::new(2.0, 2.5, 1.5),
        direction: Vec3::new(-1.0, -1.6, -1.0).normalize(),
        ..lamp
    };
    let mut s = scene(meshes, materials, instances, vec![sun, lamp, spot]);
    s.environment =
        Environment { zenith: Vec3::new(0.5, 0.7, 1.1), horizon: Vec3::splat(0.8), ground: Vec3::new(0.3, 0.25, 0.2) };
    let camera = Camera::look_at(Vec3::new(0.0, 2.4, 4.6), Vec3::new(0.0, 0.5, 0.0), 0.62, 4.0 / 3.0);
    agrees(&s, camera, 2048, &[0, 1, 2, 3, 4, 5]);
}

#[test]
fn bodies_of_glass_clear_and_rough() {
    let glass = |color: Vec3, roughness| Material {
        transmission: 1.0,
        thickness: 0.5,
        ior: 1.45,
        ..material(color, 0.0, roughness)
    };
    let glow = Material { emissive: Vec3::new(3.0, 3.0, 2.5), ..material(Vec3::ZERO, 0.0, 1.0) };
    let half = Material { transmission: 0.5, thickness: 0.5, ..material(Vec3::new(0.3, 0.7, 0.5), 0.2, 0.4) };
    let materials = vec![
        material(Vec3::new(0.6, 0.5, 0.4), 0.0, 1.0),
        glass(Vec3::new(0.95, 0.9, 0.8), 0.0),
        glass(Vec3::new(0.8, 0.9, 0.95), 0.5),
        half,
        glow,
    ];
    let instances = vec![
        at(0, 5.0, Vec3::ZERO),
        placed(1, Vec3::splat(0.5), Quat::from_rotation_y(0.5), Vec3::new(-1.0, 0.51, 0.0)),
        at(2, 0.6, Vec3::new(0.3, 0.61, 0.2)),
        at(3, 0.5, Vec3::new(1.4, 0.51, -0.2)),
        placed(4, Vec3::splat(1.2), Quat::from_rotation_x(0.9), Vec3::new(0.0, 2.2, -2.2)),
    ];
    let mut s = scene(vec![square(0), cube(1), ball(2), ball(3), square(4)], materials, instances, Vec::new());
    s.environment =
        Environment { zenith: Vec3::splat(0.6), horizon: Vec3::new(0.9, 0.8, 0.7), ground: Vec3::splat(0.2) };
    let camera = Camera::look_at(Vec3::new(0.2, 1.6, 4.2), Vec3::new(0.2, 0.6, 0.0), 0.6, 4.0 / 3.0);
    agrees(&s, camera, 2048, &[0, 1, 2, 3]);
}

#[test]
fn sheets_that_a_part_of_the_light_meets() {
    let blended = Material {
        base_color: Vec3::new(0.8, 0.3, 0.2).extend(0.4),
        alpha: AlphaMode::Blend,
        ..material(Vec3::ONE, 0.0, 0.7)
    };
    let pane = Material { transmission: 0.7, ..material(Vec3::new(0.2, 0.5, 0.8), 0.0, 0.0) };
    let cut = Material { base_color: Vec3::ONE.extend(0.3), alpha: AlphaMode::Mask { cutoff: 0.5 }, ..pane.clone() };
    let lantern = Material {
        base_color: Vec3::new(0.1, 0.1, 0.1).extend(0.5),
        alpha: AlphaMode::Blend,
        emissive: Vec3::new(4.0, 2.0, 1.0),
        ..material(Vec3::ONE, 0.0, 1.0)
    };
    let materials = vec![material(Vec3::new(0.6, 0.6, 0.5), 0.0, 0.9), blended, pane, cut, lantern];
    let instances = vec![
        at(0, 6.0, Vec3::ZERO),
        placed(1, Vec3::splat(0.8), Quat::from_rotation_x(0.4), Vec3::new(-1.0, 0.9, 0.0)),
        placed(2, Vec3::splat(0.8), Quat::from_rotation_x(0.9), Vec3::new(1.0, 0.9, 0.0)),
        at(3, 4.0, Vec3::new(0.0, 1.6, 0.0)),
        at(4, 0.5, Vec3::new(0.0, 0.5, 0.9)),
    ];
    let lamp = Light {
        shape: LightShape::Point,
        color: Vec3::splat(3.0),
        position: Vec3::new(0.2, 1.5, 0.2),
        direction: Vec3::NEG_Y,
        range: 0.0,
        user_id: 0,
    };
    let meshes = (0..5).map(square).collect();
    let lights = vec![lamp, sun(Vec3::new(-0.3, -1.0, -0.5), Vec3::new(1.5, 1.4, 1.2))];
    let mut s = scene(meshes, materials, instances, lights);
    s.environment = Environment::constant(Vec3::new(0.3, 0.35, 0.4));
    let camera = Camera::look_at(Vec3::new(0.0, 2.8, 3.6), Vec3::new(0.0, 0.4, 0.0), 0.7, 4.0 / 3.0);
    agrees(&s, camera, 2048, &[0, 1, 2, 4]);
}

#[test]
fn coloured_bodies_and_sheets_of_glass() {
    let coloured = |color: Vec3, roughness| Material {
        transmission: 1.0,
        thickness: 1.0,
        attenuation_color: color,
        attenuation_distance: 0.4,
        ..material(Vec3::ONE, 0.0, roughness)
    };
    let sheet =
        |roughness| Material { transmission: 0.8, ior: 1.7, ..material(Vec3::new(0.9, 0.6, 0.3), 0.1, roughness) };
    let glow = Material { emissive: Vec3::new(20.0, 18.0, 15.0), ..material(Vec3::ZERO, 0.0, 1.0) };
    let materials = vec![
        material(Vec3::new(0.6, 0.6, 0.5), 0.0, 0.9),
        coloured(Vec3::new(0.2, 0.7, 0.9), 0.7),
        coloured(Vec3::new(0.9, 0.5, 0.2), 0.0),
        sheet(0.0),
        sheet(0.6),
        glow,
        material(Vec3::new(0.8, 0.2, 0.2), 0.0, 0.5),
    ];
    // A lamp within the first body, a red square within the second, a pane over each half of the ground.
    let instances = vec![
        at(0, 6.0, Vec3::ZERO),
        placed(1, Vec3::splat(0.5), Quat::from_rotation_y(0.4), Vec3::new(-0.9, 0.52, 0.2)),
        placed(1, Vec3::splat(0.45), Quat::from_rotation_y(-0.3), Vec3::new(0.7, 0.47, 0.5)),
        placed(2, Vec3::splat(0.8), Quat::from_rotation_x(0.5), Vec3::new(0.9, 1.5, -0.6)),
        placed(3, Vec3::splat(0.8), Quat::from_rotation_x(0.7), Vec3::new(-0.9, 1.7, -0.8)),
        placed(4, Vec3::splat(0.2), Quat::from_rotation_x(0.3), Vec3::new(-0.9, 0.6, 0.2)),
        placed(5, Vec3::splat(0.2), Quat::from_rotation_x(0.9), Vec3::new(0.7, 0.45, 0.5)),
    ];
    let mut second = cube(2);
    second.parts[0].material = 2;
    let meshes = vec![square(0), cube(1), square(3), square(4), square(5), square(6), second];
    let mut s = scene(meshes, materials, instances, vec![sun(Vec3::new(0.2, -1.0, 0.4), Vec3::new(1.5, 1.4, 1.2))]);
    s.instances[2].mesh = 6;
    s.environment =
        Environment { zenith: Vec3::new(0.4, 0.5, 0.8), horizon: Vec3::splat(0.6), ground: Vec3::splat(0.2) };
    let camera = Camera::look_at(Vec3::new(0.0, 2.2, 4.2), Vec3::new(0.0, 0.8, 0.0), 0.62, 4.0 / 3.0);
    agrees(&s, camera, 2048, &[0, 1, 2, 3, 4]);
}
