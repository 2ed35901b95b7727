//! Scenes of a few triangles, a renderer with the validation layer, and pixels as numbers.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of what is public to all of them")]

use glam::{Affine3A, Vec2, Vec3};
use rayloom_frame::{Extent, LayerKind, LayerPlane, LayerRequest, TracedTile};
use rayloom_renderer::{FrameState, FrontEnd, Renderer, RendererOptions, TraceJob, list_devices};
use rayloom_scene::{Camera, Environment, Instance, Light, LightShape, Material, Mesh, MeshPart, Scene};
use std::sync::Arc;

/// A renderer on the first usable device, the CPU included, for each front end that it offers; none may make the validation
/// layer speak.
pub fn renderers() -> impl Iterator<Item = Renderer> {
    let devices = list_devices().expect("tests need a Vulkan driver");
    let device = devices.into_iter().find(|d| d.unusable.is_none()).expect("tests need a usable device");
    device.front_ends.into_iter().map(move |front_end| renderer(device.index, front_end))
}

fn renderer(device: usize, front_end: FrontEnd) -> Renderer {
    println!("front end {front_end}");
    let (device, front_end) = (Some(device.to_string()), Some(front_end));
    Renderer::new(&RendererOptions { device, front_end, allow_cpu: true, validation: true, ..Default::default() })
        .expect("tests need the validation layer")
}

pub fn assert_clean(renderer: &Renderer) {
    assert_eq!(renderer.validation_messages(), Vec::<String>::new());
    assert_eq!(renderer.validation_message_count(), 0);
}

/// A square of side 2 in the plane y = 0 that faces up, textured once.
pub fn square(material: u32) -> Mesh {
    Mesh {
        positions: vec![
            Vec3::new(-1.0, 0.0, -1.0),
            Vec3::new(-1.0, 0.0, 1.0),
            Vec3::new(1.0, 0.0, 1.0),
            Vec3::new(1.0, 0.0, -1.0),
        ],
        normals: vec![Vec3::Y; 4],
        uvs: vec![Vec2::new(0.0, 0.0), Vec2::new(0.0, 1.0), Vec2::new(1.0, 1.0), Vec2::new(1.0, 0.0)],
        indices: vec![0, 1, 2, 0, 2, 3],
        parts: vec![MeshPart { first_index: 0, index_count: 6, material }],
        ..Mesh::default()
    }
}

/// A ball of radius 1 about the origin with smooth normals, of 1,920 triangles.
pub fn ball(material: u32) -> Mesh {
    const RINGS: u32 = 31;
    const SIDES: u32 = 32;
    let mut positions = vec![Vec3::Y];
    for ring in 1..RINGS {
        let (r, y) = (ring as f32 * std::f32::consts::PI / RINGS as f32).sin_cos();
        positions.extend((0..SIDES).map(|i| {
            let (sin, cos) = (i as f32 * std::f32::consts::TAU / SIDES as f32).sin_cos();
            Vec3::new(r * cos, y, -r * sin)
        }));
    }
    positions.push(Vec3::NEG_Y);
    let last = positions.len() as u32 - 1;
    let at = |ring: u32, i: u32| match ring {
        0 => 0,
        RINGS => last,
        _ => 1 + (ring - 1) * SIDES + i % SIDES,
    };
    let mut indices = Vec::new();
    for ring in 0..RINGS {
        for i in 0..SIDES {
            let [a, b, c, d] = [at(ring, i), at(ring + 1, i), at(ring + 1, i + 1), at(ring, i + 1)];
            if ring + 1 < RINGS {
                indices.extend([a, b, c]);
            }
            if ring > 0 {
                indices.extend([a, c, d]);
            }
        }
    }
    let parts = vec![MeshPart { first_index: 0, index_count: indices.len() as u32, material }];
    Mesh { normals: positions.clone(), positions, indices, parts, ..Mesh::default() }
}

/// A cube of side 2 about the origin; its front faces out.
pub fn cube(material: u32) -> Mesh {
    let mut mesh = Mesh::default();
    for (axis, sign) in (0..6).map(|i| (i % 3, if i < 3 { 1.0 } else { -1.0 })) {
        let n = [Vec3::X, Vec3::Y, Vec3::Z][axis] * sign;
        let (s, t) = ([Vec3::Y, Vec3::Z, Vec3::X][axis], [Vec3::Z, Vec3::X, Vec3::Y][axis] * sign);
        let first = mesh.positions.len() as u32;
        mesh.positions.extend([n - s - t, n + s - t, n + s + t, n - s + t]);
        mesh.normals.extend([n; 4]);
        mesh.indices.extend([0, 1, 2, 0, 2, 3].map(|i| first + i));
    }
    mesh.parts = vec![MeshPart { first_index: 0, index_count: 36, material }];
    mesh
}

pub fn at(mesh: u32, scale: f32, position: Vec3) -> Instance {
    let transform = Affine3A::from_scale_rotation_translation(Vec3::splat(scale), glam::Quat::IDENTITY, position);
    Instance { mesh, transform, user_id: 0 }
}

pub fn material(base_color: Vec3, metallic: f32, roughness: f32) -> Material {
    Material { base_color: base_color.extend(1.0), metallic, roughness, ..Material::default() }
}

pub fn sun(direction: Vec3, irradiance: Vec3) -> Light {
    Light {
        shape: LightShape::Directional { angle: 0.0 },
        color: irradiance,
        position: Vec3::ZERO,
        direction: direction.normalize(),
        range: 0.0,
        user_id: 0,
    }
}

pub fn scene(meshes: Vec<Mesh>, materials: Vec<Material>, instances: Vec<Instance>, lights: Vec<Light>) -> Scene {
    Scene { meshes: meshes.into_iter().map(Arc::new).collect(), materials, instances, lights, ..Scene::default() }
}

/// Looks straight down from height 4 at a view of `extent`; the ground's 4.6 metres fill it from top to bottom.
pub fn from_above(extent: Extent) -> Camera {
    Camera::look_at(Vec3::new(0.0, 4.0, 0.0), Vec3::ZERO, 1.05, extent.width as f32 / extent.height as f32)
}

pub fn all_layers(scale: u8) -> [LayerRequest; 5] {
    LayerKind::ALL.map(|kind| LayerRequest { kind, samples: 1, scale, bounces: LayerRequest::BOUNCES })
}

pub fn trace(renderer: &Renderer, scene: &Scene, job: &TraceJob<'_>) -> TracedTile {
    let gpu = renderer.create_scene(scene, &mut |_| ()).expect("the scene is valid");
    let frame = Arc::new(gpu.frame(&FrameState::default()).expect("the state is valid"));
    renderer.trace(&frame, job).expect("the job is valid").0
}

pub fn layer(tile: &TracedTile, kind: LayerKind) -> &LayerPlane {
    tile.layers.iter().find(|l| l.kind == kind).expect("the layer was asked for")
}

/// Colour of a layer's pixel, by its place in the layer's rectangle.
pub fn pixel(plane: &LayerPlane, x: u32, y: u32) -> Vec3 {
    let p = plane.pixels[(y * plane.rect.width + x) as usize].map(|b| half::f16::from_bits(b).to_f32());
    Vec3::new(p[0], p[1], p[2])
}

/// Mean colour of a layer.
pub fn mean(plane: &LayerPlane) -> Vec3 {
    let (w, h) = (plane.rect.width, plane.rect.height);
    let all = (0..h).flat_map(|y| (0..w).map(move |x| (x, y)));
    all.map(|(x, y)| pixel(plane, x, y)).sum::<Vec3>() / (w * h) as f32
}

/// Ground, tilted plates of several materials, a sun and two lamps, a sky with a gradient.
pub fn cluttered() -> Scene {
    let materials = vec![
        material(Vec3::new(0.6, 0.5, 0.4), 0.0, 0.7),
        material(Vec3::new(0.9, 0.8, 0.3), 1.0, 0.2),
        material(Vec3::new(0.1, 0.2, 0.8), 0.0, 0.05),
    ];
    let mut instances = vec![at(0, 10.0, Vec3::ZERO)];
    for i in 0..12u32 {
        let place = Vec3::new((i % 4) as f32 * 1.1 - 1.7, 0.3 + (i % 3) as f32 * 0.4, (i / 4) as f32 * 1.2 - 1.2);
        let turn = glam::Quat::from_euler(glam::EulerRot::XYZ, i as f32 * 0.7, i as f32 * 1.3, 0.4);
        let transform = Affine3A::from_scale_rotation_translation(Vec3::splat(0.4), turn, place);
        instances.push(Instance { mesh: i % 3, transform, user_id: i.into() });
    }
    let lamp = |x: f32| Light {
        shape: LightShape::Point,
        color: Vec3::new(4.0, 3.0, 2.0),
        position: Vec3::new(x, 1.5, 0.3),
        direction: Vec3::NEG_Y,
        range: 0.0,
        user_id: 0,
    };
    let lights = vec![lamp(-1.0), sun(Vec3::new(0.4, -1.0, 0.3), Vec3::splat(2.0)), lamp(1.2)];
    let mut s = scene(vec![square(0), square(1), square(2)], materials, instances, lights);
    s.environment =
        Environment { zenith: Vec3::new(0.2, 0.4, 0.9), horizon: Vec3::splat(0.7), ground: Vec3::splat(0.1) };
    s
}

pub fn cluttered_camera() -> Camera {
    let mut c = Camera::look_at(Vec3::new(2.5, 2.0, 3.5), Vec3::new(0.0, 0.4, 0.0), 0.9, 75.0 / 51.0);
    c.jitter = glam::Vec2::new(0.13, -0.21);
    c
}
