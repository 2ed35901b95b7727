//! Scenes of a few triangles with all that a surface can have, and an engine with the validation layer.

use glam::{Affine3A, EulerRot, Quat, Vec2, Vec3, Vec4};
use raster::{RasterEngine, RasterOptions};
use rayloom_scene::{AlphaMode, Camera, Instance, Material, Mesh, MeshPart, Scene, Texture, TextureData, TextureSlot};
use std::sync::Arc;

/// An engine on any device that must not make the validation layer speak.
pub(crate) fn engine(width: u32, height: u32, scene: &Scene) -> RasterEngine {
    let options = RasterOptions { validation: true, ..RasterOptions::new(width, height) };
    let mut engine = RasterEngine::new(&options).expect("tests need a Vulkan device and the validation layer");
    engine.load(scene).expect("the scene is valid");
    engine
}

pub(crate) fn assert_clean(engine: &RasterEngine) {
    assert_eq!(engine.validation_messages(), Vec::<String>::new());
}

/// A square of side 2 in the plane y = 0 that faces up.
pub(crate) fn square(material: u32) -> Mesh {
    Mesh {
        positions: [(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)].map(|(x, z)| Vec3::new(x, 0.0, z)).into(),
        normals: vec![Vec3::Y; 4],
        uvs: vec![Vec2::new(0.0, 0.0), Vec2::new(0.0, 1.0), Vec2::new(1.0, 1.0), Vec2::new(1.0, 0.0)],
        indices: vec![0, 1, 2, 0, 2, 3],
        parts: vec![MeshPart { first_index: 0, index_count: 6, material }],
        ..Mesh::default()
    }
}

/// A ball of radius 1 with smooth normals and two materials, one for each half.
pub(crate) fn ball(materials: [u32; 2]) -> Mesh {
    const RINGS: u32 = 12;
    const SECTORS: u32 = 20;
    let mut mesh = Mesh::default();
    for ring in 0..=RINGS {
        for sector in 0..=SECTORS {
            let (v, u) = (ring as f32 / RINGS as f32, sector as f32 / SECTORS as f32);
            let (polar, azimuth) = (v * std::f32::consts::PI, u * std::f32::consts::TAU);
            let n = Vec3::new(polar.sin() * azimuth.cos(), polar.cos(), polar.sin() * azimuth.sin());
            mesh.positions.push(n);
            mesh.normals.push(n);
            mesh.uvs.push(Vec2::new(u * 3.0, v * 2.0));
        }
    }
    let at = |ring: u32, sector: u32| ring * (SECTORS + 1) + sector;
    for ring in 0..RINGS {
        for sector in 0..SECTORS {
            let (a, b, c, d) = (at(ring, sector), at(ring, sector + 1), at(ring + 1, sector + 1), at(ring + 1, sector));
            mesh.indices.extend([a, b, c, a, c, d]);
        }
    }
    let half = RINGS / 2 * SECTORS * 6;
    mesh.parts = vec![
        MeshPart { first_index: 0, index_count: half, material: materials[0] },
        MeshPart { first_index: half, index_count: half, material: materials[1] },
    ];
    mesh
}

/// A picture of `size` pixels a side: smooth, so that a fraction of a texel is a fraction of a value.
fn picture(size: u32, pixel: impl Fn(f32, f32) -> [f32; 4]) -> Arc<Texture> {
    let at = |i: u32| std::f32::consts::TAU * i as f32 / size as f32;
    let pixels = (0..size * size).flat_map(|i| pixel(at(i % size), at(i / size)).map(|c| (c * 255.0).round() as u8));
    let pixels: Vec<u8> = pixels.collect();
    Arc::new(Texture { data: TextureData::Rgba8 { width: size, height: size, pixels: pixels.into() }, user_id: 0 })
}

fn slot(texture: u32) -> Option<TextureSlot> {
    Some(TextureSlot { texture, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 })
}

/// Ground, tilted and mirrored plates, balls; colours, roughness, normals, light and holes from textures.
pub(crate) fn cluttered() -> Scene {
    let wave = |x: f32| 0.5 + 0.4 * x.sin();
    let textures = vec![
        picture(64, |x, y| [wave(x), wave(y), wave(x + y), 1.0]),
        picture(32, |x, y| [0.0, wave(2.0 * x), wave(y), 1.0]),
        picture(64, |x, y| {
            let n = Vec3::new(0.5 * (2.0 * x).sin(), 0.4 * y.sin(), 1.0).normalize();
            (n * 0.5 + 0.5).extend(1.0).to_array()
        }),
        picture(16, |x, y| [wave(x), 0.3, wave(y), 1.0]),
        picture(128, |x, y| [0.8, 0.7, 0.2, 0.5 + 0.5 * (x.sin() * y.sin())]),
    ];
    let plain = Material { base_color: Vec4::new(0.6, 0.5, 0.4, 1.0), roughness: 0.7, ..Material::default() };
    let materials = vec![
        plain.clone(),
        Material { base_color_texture: slot(0), metallic: 1.0, metallic_roughness_texture: slot(1), ..plain.clone() },
        Material { normal_texture: slot(2), normal_scale: 0.8, roughness: 0.2, ..plain.clone() },
        Material { emissive: Vec3::new(3.0, 1.0, 0.02), emissive_texture: slot(3), ..plain.clone() },
        Material { alpha: AlphaMode::Mask { cutoff: 0.45 }, base_color_texture: slot(4), ..plain.clone() },
        Material {
            base_color_texture: Some(TextureSlot {
                texture: 0,
                offset: Vec2::new(0.3, -0.1),
                scale: Vec2::new(3.0, 2.0),
                rotation: 0.7,
            }),
            normal_texture: slot(2),
            ..plain.clone()
        },
        Material { alpha: AlphaMode::Blend, base_color: Vec4::new(0.1, 0.7, 0.3, 0.8), ..plain.clone() },
        Material { alpha: AlphaMode::Blend, base_color: Vec4::new(0.1, 0.7, 0.3, 0.2), ..plain },
    ];
    let mut meshes: Vec<Mesh> = (0..8).map(square).collect();
    meshes.push(ball([1, 2]));
    meshes.push(ball([4, 5]));
    let mut instances = Vec::new();
    let mut place = |mesh: u32, scale: Vec3, turn: Quat, at: Vec3| {
        let transform = Affine3A::from_scale_rotation_translation(scale, turn, at);
        instances.push(Instance { mesh, transform, user_id: u64::from(mesh) });
    };
    place(5, Vec3::splat(12.0), Quat::IDENTITY, Vec3::ZERO);
    for i in 0..16u32 {
        let at = Vec3::new((i % 4) as f32 * 1.2 - 1.8, 0.45 + (i % 3) as f32 * 0.4, (i / 4) as f32 * 1.2 - 1.8);
        let turn = Quat::from_euler(EulerRot::XYZ, i as f32 * 0.7, i as f32 * 1.3, 0.4);
        // Every third one mirrored, every second one stretched.
        let scale = Vec3::new(if i % 3 == 0 { -0.4 } else { 0.4 }, 0.4, if i % 2 == 0 { 0.6 } else { 0.4 });
        place(i % 10, scale, turn, at);
    }
    let mut scene = Scene {
        meshes: meshes.into_iter().map(Arc::new).collect(),
        materials,
        textures,
        instances,
        ..Scene::default()
    };
    scene.add_default_lighting();
    scene.validate().expect("the scene keeps the rules");
    scene
}

/// Looks at the clutter; the ground ends before the horizon, so there is sky too.
pub(crate) fn camera(aspect: f32) -> Camera {
    let mut c = Camera::look_at(Vec3::new(2.5, 2.0, 3.5), Vec3::new(0.0, 0.4, 0.0), 0.9, aspect);
    c.center = Vec2::new(0.05, -0.1);
    c.jitter = Vec2::new(0.13, -0.31);
    c
}
