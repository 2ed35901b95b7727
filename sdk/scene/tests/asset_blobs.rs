//! Packed scenes: what goes in comes out; what stayed is not packed again; damage is an error.

use glam::{Affine3A, Vec2, Vec3};
use proptest::prelude::*;
use rayloom_scene::assets::{Assembler, BlobId, PackedScene, Packer, pack, unpack_root};
use rayloom_scene::{
    AlphaMode, Environment, Instance, Light, LightShape, Material, Mesh, Scene, SceneError, Texture, TextureData,
    TextureSlot, city,
};
use std::sync::Arc;

fn unpack(packed: &PackedScene) -> Result<Scene, SceneError> {
    let root = unpack_root(&packed.root.bytes)?;
    root.assemble(&mut |id| packed.blobs.iter().find(|b| b.id == id).map(|b| b.bytes.clone()))
}

fn number() -> impl Strategy<Value = f32> {
    (-1000i32..1000).prop_map(|v| v as f32 / 16.0)
}

prop_compose! {
    fn vec3()(x in number(), y in number(), z in number()) -> Vec3 { Vec3::new(x, y, z) }
}

prop_compose! {
    fn slot()(some in any::<bool>(), texture in 0u32..2, offset in number(), scale in number(), rotation in number()) -> Option<TextureSlot> {
        some.then_some(TextureSlot { texture, offset: Vec2::splat(offset), scale: Vec2::new(scale, 1.0), rotation })
    }
}

prop_compose! {
    fn material()(
        slots in prop::array::uniform7(slot()), unit in prop::array::uniform4(0.0f32..1.0), emissive in 0.0f32..9.0,
        alpha in 0u8..3, double_sided in any::<bool>(), user_id in any::<u64>(),
    ) -> Material {
        let [a, b, c, d, e, f, g] = slots;
        Material {
            base_color: Vec3::splat(unit[0]).extend(unit[1]), metallic: unit[2], roughness: unit[3], emissive: Vec3::X * emissive,
            alpha: [AlphaMode::Opaque, AlphaMode::Mask { cutoff: unit[1] }, AlphaMode::Blend][usize::from(alpha)],
            double_sided, normal_scale: emissive, occlusion_strength: unit[0], base_color_texture: a, metallic_roughness_texture: b,
            normal_texture: c, occlusion_texture: d, emissive_texture: e,
            transmission_texture: f, thickness_texture: g, transmission: unit[1], ior: 1.0 + unit[0], thickness: unit[2],
            attenuation_color: Vec3::new(unit[3], 1.0, unit[0]), attenuation_distance: if double_sided { f32::INFINITY } else { 0.1 + unit[3] },
            user_id,
        }
    }
}

prop_compose! {
    fn scene()(
        materials in prop::collection::vec(material(), 1..4),
        meshes in prop::collection::vec((prop::collection::vec(vec3(), 3..20), prop::collection::vec(any::<prop::sample::Index>(), 3..60)), 1..4),
        instances in prop::collection::vec((any::<prop::sample::Index>(), vec3(), 0.1f32..9.0, any::<u64>()), 0..6),
        lights in prop::collection::vec((0u8..3, vec3(), 0.0f32..9.0), 0..4),
    ) -> Scene {
        let pixels = |v: u8| TextureData::Rgba8 { width: 2, height: 1, pixels: vec![v; 8].into() };
        let meshes: Vec<_> = meshes.into_iter().map(|(positions, indices)| {
            let indices: Vec<u32> = indices.chunks_exact(3).flatten().map(|i| i.index(positions.len()) as u32).collect();
            Arc::new(Mesh::from_triangles(positions, indices, 0))
        }).collect();
        let instances = instances.into_iter().map(|(mesh, at, scale, user_id)| Instance {
            mesh: mesh.index(meshes.len()) as u32,
            transform: Affine3A::from_scale_rotation_translation(Vec3::new(-scale, scale, 1.0), glam::Quat::from_rotation_y(scale), at),
            user_id,
        }).collect();
        let lights = lights.into_iter().map(|(shape, position, v)| Light {
            shape: [LightShape::Point, LightShape::Directional { angle: 0.1 }, LightShape::Spot { inner: 0.1, outer: 0.6 }][usize::from(shape)],
            color: Vec3::splat(v), position, direction: Vec3::NEG_Y, range: v, user_id: 3,
        }).collect();
        let mut scene = Scene {
            meshes, materials, instances, lights,
            textures: vec![Arc::new(Texture { data: pixels(1), user_id: 1 }), Arc::new(Texture { data: pixels(2), user_id: 2 })],
            environment: Environment::constant(Vec3::new(0.1, 0.2, 0.3)),
            ..Scene::default()
        };
        scene.validate().unwrap();
        scene
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    #[test]
    fn round_trip(scene in scene()) {
        let packed = pack(&scene);
        for blob in packed.blobs.iter().chain([&packed.root]) {
            prop_assert_eq!(blob.id, BlobId::of(&blob.bytes));
        }
        prop_assert_eq!(unpack(&packed).unwrap(), scene);
    }

    #[test]
    fn damage_is_an_error_or_a_valid_scene(
        scene in scene(), blob in any::<prop::sample::Index>(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut packed = pack(&scene);
        let count = packed.blobs.len();
        let target = match blob.index(count + 1) { i if i < count => &mut packed.blobs[i].bytes, _ => &mut packed.root.bytes };
        let mut bytes = target.to_vec();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        *target = bytes.into();
        if let Ok(mut scene) = unpack(&packed) {
            prop_assert!(scene.validate().unwrap().is_clean());
        }
    }
}

#[test]
fn a_moved_instance_or_light_changes_the_root_alone() {
    let mut scene = city(20_000, 3);
    let mut packer = Packer::default();
    let before = packer.pack(&scene);
    let mut assembler = Assembler::default();
    let mut asked = 0;
    let mut fetch = |id| {
        asked += 1;
        before.blobs.iter().find(|b| b.id == id).map(|b| b.bytes.clone())
    };
    let first = assembler.assemble(&unpack_root(&before.root.bytes).unwrap(), &mut fetch).unwrap();
    assert_eq!(first, scene);
    assert_eq!(asked, before.blobs.len());

    rayloom_scene::city::pose(&mut scene, 2.0);
    let after = packer.pack(&scene);
    assert_eq!(after.blobs, before.blobs);
    assert_ne!(after.root.id, before.root.id);
    assert_eq!(after, pack(&scene), "remembering changes no byte");
    let second = assembler
        .assemble(&unpack_root(&after.root.bytes).unwrap(), &mut |id| panic!("{id} was asked for again"))
        .unwrap();
    assert_eq!(second, scene);
    assert!(first.meshes.iter().zip(&second.meshes).all(|(a, b)| Arc::ptr_eq(a, b)));
}

#[test]
fn forged_counts_and_missing_blobs_are_named() {
    let packed = pack(&city(20_000, 3));
    let mut bytes = packed.root.bytes.to_vec();
    bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let text = unpack_root(&bytes).unwrap_err().to_string();
    assert!(text.contains("promises 4294967295 records"), "{text}");
    bytes[4..8].copy_from_slice(&9u32.to_le_bytes());
    assert!(unpack_root(&bytes).unwrap_err().to_string().contains("version 9"));
    let root = unpack_root(&packed.root.bytes).unwrap();
    let text = root.assemble(&mut |_| None).unwrap_err().to_string();
    assert!(text.contains("is missing"), "{text}");
    let text = root.assemble(&mut |_| Some(bytes::Bytes::from_static(b"short"))).unwrap_err().to_string();
    assert!(text.contains("has 5 bytes, but the root promised"), "{text}");
}
