//! A room with two boxes, textures and normal maps; how a real raster engine draws it, and how peers get it.

use glam::{Affine3A, Quat, Vec2, Vec3};
use raster::{RasterEngine, RasterOptions};
use rayloom::Plane;
use rayloom::frame::{Convention, EnginePlane, Extent};
use rayloom::scene::{Camera, Instance, Material, Mesh, MeshPart, Scene, Texture, TextureData, TextureSlot};
use std::sync::Arc;

pub(crate) const EXTENT: Extent = Extent::new(192, 108);
/// The box that moves.
pub(crate) const MOVING: u32 = 5;

/// A rectangle that faces `right` x `up`, with the texture's left lower corner at `corner`.
fn rectangle(mesh: &mut Mesh, corner: Vec3, right: Vec3, up: Vec3) {
    let first = mesh.positions.len() as u32;
    mesh.positions.extend([corner, corner + right, corner + right + up, corner + up]);
    mesh.normals.extend([right.cross(up).normalize(); 4]);
    mesh.tangents.extend([right.normalize().extend(1.0); 4]);
    mesh.uvs.extend([Vec2::new(0.0, 1.0), Vec2::new(1.0, 1.0), Vec2::new(1.0, 0.0), Vec2::new(0.0, 0.0)]);
    mesh.indices.extend([0, 1, 2, 0, 2, 3].map(|corner| first + corner));
}

fn part(mut mesh: Mesh, material: u32) -> Arc<Mesh> {
    mesh.parts = vec![MeshPart { first_index: 0, index_count: mesh.indices.len() as u32, material }];
    Arc::new(mesh)
}

fn wall(corner: [f32; 3], right: [f32; 3], up: [f32; 3], material: u32) -> Arc<Mesh> {
    let mut mesh = Mesh::default();
    rectangle(&mut mesh, corner.into(), right.into(), up.into());
    part(mesh, material)
}

fn block(min: Vec3, max: Vec3, material: u32) -> Arc<Mesh> {
    let mut mesh = Mesh::default();
    let Vec3 { x, y, z } = max - min;
    rectangle(&mut mesh, Vec3::new(min.x, min.y, max.z), Vec3::X * x, Vec3::Y * y);
    rectangle(&mut mesh, Vec3::new(max.x, min.y, max.z), Vec3::NEG_Z * z, Vec3::Y * y);
    rectangle(&mut mesh, min, Vec3::Z * z, Vec3::Y * y);
    rectangle(&mut mesh, Vec3::new(min.x, max.y, max.z), Vec3::X * x, Vec3::NEG_Z * z);
    part(mesh, material)
}

/// `at` has (0, 0) at the left top.
fn picture(pixel: impl Fn(Vec2) -> Vec3) -> Arc<Texture> {
    const SIDE: u32 = 64;
    let at = |i: u32| pixel(Vec2::new((i % SIDE) as f32, (i / SIDE) as f32) / SIDE as f32);
    let bytes = |color: Vec3| color.extend(1.0).to_array().map(|c| (c * 255.0).round() as u8);
    let pixels: Vec<u8> = (0..SIDE * SIDE).flat_map(|i| bytes(at(i))).collect();
    Arc::new(Texture { data: TextureData::Rgba8 { width: SIDE, height: SIDE, pixels: pixels.into() }, user_id: 0 })
}

pub(crate) fn room() -> Scene {
    let slot = |texture| Some(TextureSlot { texture, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 });
    let textures = vec![
        // Upside down it has the same colours elsewhere.
        picture(|at| Vec3::new(0.3 + 0.6 * (at.y * 4.0).fract(), 0.8 - 0.3 * at.x, 0.2)),
        picture(|at| {
            let bump = Vec2::new(0.4 * (7.0 * at.x + 2.0 * at.y).sin(), 0.5 * (5.0 * at.y + at.x).sin());
            bump.extend(1.0).normalize() * 0.5 + 0.5
        }),
    ];
    let material = |roughness: f32, bumps: Option<TextureSlot>| Material {
        base_color_texture: slot(0),
        normal_texture: bumps,
        roughness,
        metallic: 0.1,
        ..Material::default()
    };
    let meshes = vec![
        wall([-4.0, 0.0, 5.0], [8.0, 0.0, 0.0], [0.0, 0.0, -10.0], 0),
        wall([-4.0, 0.0, -5.0], [8.0, 0.0, 0.0], [0.0, 3.0, 0.0], 1),
        wall([-4.0, 0.0, 5.0], [0.0, 0.0, -10.0], [0.0, 3.0, 0.0], 2),
        wall([4.0, 0.0, -5.0], [0.0, 0.0, 10.0], [0.0, 3.0, 0.0], 1),
        block(Vec3::new(-2.5, 0.0, -3.5), Vec3::new(-1.0, 1.8, -2.0), 3),
        block(Vec3::new(0.6, 0.0, -3.0), Vec3::new(2.0, 1.1, -1.4), 3),
    ];
    let instance = |mesh: u32| Instance { mesh, transform: Affine3A::IDENTITY, user_id: u64::from(mesh) };
    let mut scene = Scene {
        instances: (0..meshes.len() as u32).map(instance).collect(),
        meshes,
        materials: vec![material(0.9, slot(1)), material(0.4, slot(1)), material(0.6, slot(1)), material(0.7, None)],
        textures,
        ..Scene::default()
    };
    scene.add_default_lighting();
    scene.validate().unwrap();
    scene
}

/// The cameras of the frame that is looked at and of the one before.
pub(crate) fn cameras() -> (Camera, Camera) {
    let aspect = EXTENT.width as f32 / EXTENT.height as f32;
    let camera = Camera::look_at(Vec3::new(1.2, 1.6, 2.4), Vec3::new(-0.4, 1.1, -2.0), 1.0, aspect);
    let previous = Camera {
        position: camera.position + Vec3::new(0.06, -0.03, 0.05),
        rotation: Quat::from_rotation_y(0.01) * camera.rotation,
        jitter: Vec2::new(-0.4, 0.3),
        ..camera
    };
    (Camera { jitter: Vec2::new(0.3, -0.2), ..camera }, previous)
}

/// Where the box stands in the frame that is looked at.
pub(crate) fn moved() -> Affine3A {
    Affine3A::from_translation(Vec3::new(0.12, 0.05, 0.0))
}

/// What the engine draws: its planes as they are in its memory.
pub(crate) fn drawn() -> Vec<Plane> {
    let mut engine = RasterEngine::new(&RasterOptions::new(EXTENT.width, EXTENT.height)).unwrap();
    engine.load(&room()).unwrap();
    let (camera, previous_camera) = cameras();
    let transforms = [(MOVING, moved())];
    let frame = raster::FrameDesc { transforms: &transforms, previous_camera, ..raster::FrameDesc::still(1, camera) };
    engine.draw(&frame).unwrap();
    let ready = engine.wait().unwrap().unwrap();
    let copied = |plane: raster::Plane<'_>| {
        let EnginePlane { kind, format, extent, view_rect, row_pitch, bytes } = plane.into();
        Plane { kind, format, extent, view_rect, row_pitch, bytes: bytes.to_vec().into() }
    };
    ready.planes().map(copied).collect()
}

/// The room as peers get it from an engine of glTF's convention that states another one.
pub(crate) fn misread(stated: &Convention) -> Scene {
    let mut scene = room();
    for mesh in &mut scene.meshes {
        let mesh = Arc::make_mut(mesh);
        stated.convert_mesh(mesh);
        stated.convert_computed_tangents(mesh);
    }
    scene.materials.iter_mut().for_each(|material| stated.convert_material(material));
    scene
}
