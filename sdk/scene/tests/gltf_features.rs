//! What of glTF is read: topologies, component types, materials, lights, cameras, nodes.

mod glb;

use base64::Engine;
use glam::{Vec2, Vec3};
use glb::{document, floats, glb, load, png, quad};
use rayloom_scene::{AlphaMode, LightShape, Scene};

fn read(json: &str, binary: &[u8]) -> (Scene, Vec<String>) {
    let (scene, notes) = load(glb(json, binary));
    (scene.unwrap(), notes)
}

/// Corners of each triangle, wherever they are stored.
fn corners(scene: &Scene) -> Vec<[Vec3; 3]> {
    let mesh = &scene.meshes[0];
    mesh.indices.chunks_exact(3).map(|t| [0, 1, 2].map(|k| mesh.positions[t[k] as usize])).collect()
}

#[test]
fn a_mesh_without_normals_gets_flat_ones() {
    let (json, binary) = quad("");
    let (scene, notes) = read(&json, &binary);
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!((scene.triangle_count(), scene.meshes[0].positions.len()), (2, 4));
    assert!(scene.meshes[0].normals.iter().all(|n| *n == Vec3::Z));
    assert!(scene.default_camera(1.5).is_valid());
}

#[test]
fn indices_of_all_widths_strips_and_fans_make_the_same_quad() {
    let positions = floats(&[0., 0., 0., 1., 0., 0., 1., 1., 0., 0., 1., 0.]);
    let expected = [[Vec3::ZERO, Vec3::X, Vec3::new(1., 1., 0.)], [Vec3::ZERO, Vec3::new(1., 1., 0.), Vec3::Y]];
    let u8s = |v: &[u8]| v.to_vec();
    let u32s = |v: &[u32]| v.iter().flat_map(|i| i.to_le_bytes()).collect::<Vec<_>>();
    for (mode, component, count, indices) in [
        (4, 5121, 6, u8s(&[0, 1, 2, 0, 2, 3])),
        (4, 5125, 6, u32s(&[0, 1, 2, 0, 2, 3])),
        (6, 5121, 4, u8s(&[0, 1, 2, 3])),
        (5, 5125, 4, u32s(&[1, 2, 0, 3])),
    ] {
        let json = document(
            &format!(r#"{{"attributes":{{"POSITION":0}},"indices":1,"mode":{mode}}}"#),
            &format!(
                r#"{{"bufferView":0,"componentType":5126,"count":4,"type":"VEC3"}},{{"bufferView":1,"componentType":{component},"count":{count},"type":"SCALAR"}}"#
            ),
            &format!(r#"{{"buffer":0,"byteLength":48}},{{"buffer":0,"byteOffset":48,"byteLength":{}}}"#, indices.len()),
            48 + indices.len(),
            "",
        );
        let (scene, _) = read(&json, &[positions.clone(), indices].concat());
        let found = corners(&scene);
        assert_eq!(found.len(), 2);
        for (triangle, wanted) in found.iter().zip(expected) {
            let normal = (triangle[1] - triangle[0]).cross(triangle[2] - triangle[0]);
            assert!(normal.z > 0.0, "mode {mode} winds {triangle:?} the wrong way");
            assert!(wanted.iter().all(|p| triangle.contains(p)), "mode {mode}: {triangle:?} is not {wanted:?}");
        }
    }
}

#[test]
fn quantised_strided_and_sparse_attributes_are_read() {
    // Positions: i16, normalised, 8 bytes apart. Vertex 2 is replaced by a sparse value.
    let mut binary = Vec::new();
    for p in [[0i16, 0, 0], [32767, 0, 0], [0, 0, 0], [0, 32767, 0]] {
        binary.extend(p.iter().flat_map(|v| v.to_le_bytes()));
        binary.extend([0, 0]);
    }
    binary.extend([2u8, 0, 0, 0]);
    binary.extend([32767i16, 32767, -32768].iter().flat_map(|v| v.to_le_bytes()));
    let json = document(
        r#"{"attributes":{"POSITION":0}}"#,
        r#"{"bufferView":0,"componentType":5122,"normalized":true,"count":4,"type":"VEC3",
            "sparse":{"count":1,"indices":{"bufferView":1,"componentType":5121},"values":{"bufferView":2}}}"#,
        r#"{"buffer":0,"byteLength":32,"byteStride":8},{"buffer":0,"byteOffset":32,"byteLength":1},{"buffer":0,"byteOffset":36,"byteLength":6}"#,
        42,
        r#","extensionsRequired":["KHR_mesh_quantization"]"#,
    );
    let (scene, notes) = read(&json, &binary);
    assert_eq!(corners(&scene), [[Vec3::ZERO, Vec3::X, Vec3::new(1.0, 1.0, -1.0)]]);
    assert!(notes[0].contains("4 indices"), "{notes:?}");
}

#[test]
fn points_are_left_out_with_a_note_and_triangles_stay() {
    let (json, binary) = quad("");
    let json = json.replace(r#""indices":1}"#, r#""indices":1},{"attributes":{"POSITION":0},"mode":0}"#);
    let (scene, notes) = read(&json, &binary);
    assert_eq!(scene.triangle_count(), 2);
    assert!(notes[0].starts_with("meshes[0].primitives[1]: Points"), "{notes:?}");
}

#[test]
fn degenerate_and_non_finite_triangles_are_left_out_with_a_note() {
    let binary = floats(&[
        0.,
        0.,
        0.,
        1.,
        0.,
        0.,
        1.,
        1.,
        0.,
        0.,
        0.,
        0.,
        2.,
        0.,
        0.,
        4.,
        0.,
        0.,
        0.,
        0.,
        0.,
        f32::NAN,
        0.,
        0.,
        0.,
        1.,
        0.,
    ]);
    let json = document(
        r#"{"attributes":{"POSITION":0}}"#,
        r#"{"bufferView":0,"componentType":5126,"count":9,"type":"VEC3"}"#,
        r#"{"buffer":0,"byteLength":108}"#,
        108,
        "",
    );
    let (scene, notes) = read(&json, &binary);
    assert_eq!(scene.triangle_count(), 1);
    assert!(notes[0].contains("2 triangles are left out: 1 without area, 1 that are not finite"), "{notes:?}");
}

#[test]
fn primitives_become_parts_and_share_vertices() {
    let (json, binary) = quad(r#","materials":[{},{"doubleSided":true}]"#);
    let json = json.replace(
        r#""indices":1}"#,
        r#""indices":1,"material":1},{"attributes":{"POSITION":0},"indices":1,"material":0},{"attributes":{"POSITION":0},"indices":1}"#,
    );
    let (scene, _) = read(&json, &binary);
    let parts: Vec<_> = scene.meshes[0].parts.iter().map(|p| (p.first_index, p.index_count, p.material)).collect();
    assert_eq!(parts, [(0, 6, 1), (6, 6, 0), (12, 6, 2)]);
    assert_eq!(scene.meshes[0].positions.len(), 4);
    assert_eq!(scene.materials.len(), 3, "primitives without material read an added one");
}

#[test]
fn materials_with_textures_transforms_and_extensions() {
    let image = base64::engine::general_purpose::STANDARD.encode(png());
    let more = format!(
        r#","images":[{{"uri":"data:image/png;base64,{image}"}}],"textures":[{{"source":0}},{{"source":0}}],
"extensionsUsed":["KHR_texture_transform"],
"materials":[{{"alphaMode":"MASK","alphaCutoff":0.25,"doubleSided":true,"emissiveFactor":[1,0.5,0],
 "extensions":{{"KHR_materials_emissive_strength":{{"emissiveStrength":4}}}},
 "pbrMetallicRoughness":{{"baseColorFactor":[0.1,0.2,0.3,0.4],"metallicFactor":0.5,"roughnessFactor":0.6,
  "baseColorTexture":{{"index":1,"texCoord":0,"extensions":{{"KHR_texture_transform":{{"offset":[0.5,0.25],"scale":[2,3],"rotation":0.7}}}}}}}},
 "normalTexture":{{"index":0,"scale":0.8,"extensions":{{"KHR_texture_transform":{{"scale":[4,4]}}}}}}}},
 {{"extensions":{{"KHR_materials_transmission":{{"transmissionFactor":0.75}}}},"pbrMetallicRoughness":{{"metallicFactor":0}}}}]"#
    );
    let (json, binary) = quad(&more);
    let json = json.replace(r#""indices":1}"#, r#""indices":1,"material":0}"#);
    let (scene, notes) = read(&json, &binary);
    let m = &scene.materials[0];
    assert_eq!(m.alpha, AlphaMode::Mask { cutoff: 0.25 });
    assert!(m.double_sided);
    assert_eq!((m.metallic, m.roughness, m.normal_scale), (0.5, 0.6, 0.8));
    assert_eq!(m.emissive, Vec3::new(4.0, 2.0, 0.0));
    let slot = m.base_color_texture.unwrap();
    assert_eq!(
        (slot.texture, slot.offset, slot.scale, slot.rotation),
        (0, Vec2::new(0.5, 0.25), Vec2::new(2.0, 3.0), 0.7)
    );
    assert_eq!(m.normal_texture.unwrap().scale, Vec2::splat(4.0));
    assert_eq!(scene.textures.len(), 1, "one image is one texture");
    assert_eq!(scene.textures[0].decode().unwrap().0, 4);
    assert_eq!(scene.meshes[0].uvs.len(), 4);
    assert_eq!(scene.meshes[0].tangents.len(), scene.meshes[0].positions.len());
    assert!(notes.iter().any(|n| n.contains("no TEXCOORD_0")), "{notes:?}");
    let glass = &scene.materials[1];
    assert_eq!((glass.alpha, glass.transmission, glass.ior, glass.thickness), (AlphaMode::Opaque, 0.75, 1.5, 0.0));
}

#[test]
fn lights_are_radiometric_and_stand_in_the_world() {
    let (json, binary) = quad(
        r#","extensionsUsed":["KHR_lights_punctual"],"extensions":{"KHR_lights_punctual":{"lights":[
{"type":"point","intensity":683,"color":[1,0.5,0],"range":10},{"type":"directional","intensity":1366},
{"type":"spot","intensity":68.3,"spot":{"innerConeAngle":0.2,"outerConeAngle":0.5}}]}}"#,
    );
    let node =
        |light: u32, rest: &str| format!(r#"{{"extensions":{{"KHR_lights_punctual":{{"light":{light}}}}},{rest}}}"#);
    // The second is turned by 90 degrees about X: -Z becomes +Y... seen the other way, it shines up.
    let nodes = [
        r#"{"mesh":0,"children":[1]}"#.to_owned(),
        node(0, r#""translation":[1,2,3],"children":[2,3]"#),
        node(1, r#""rotation":[0.70710678,0,0,0.70710678]"#),
        node(2, r#""translation":[0,0,1],"scale":[2,2,2]"#),
    ];
    let json = json.replace(r#"{"mesh":0}"#, &nodes.join(","));
    let (scene, _) = read(&json, &binary);
    let near = |a: Vec3, b: Vec3| assert!(a.distance(b) < 1e-5, "{a} is not {b}");
    let [point, sun, spot] = scene.lights[..] else { panic!("{:?}", scene.lights) };
    assert_eq!((point.shape, point.range, point.user_id), (LightShape::Point, 10.0, 1));
    near(point.color, Vec3::new(1.0, 0.5, 0.0));
    near(point.position, Vec3::new(1.0, 2.0, 3.0));
    near(sun.color, Vec3::splat(2.0));
    near(sun.direction, Vec3::Y);
    assert_eq!(spot.shape, LightShape::Spot { inner: 0.2, outer: 0.5 });
    near(spot.color, Vec3::splat(0.1));
    near(spot.position, Vec3::new(1.0, 2.0, 4.0));
}

#[test]
fn cameras_keep_their_view_under_scaled_and_mirrored_nodes() {
    let (json, binary) = quad(
        r#","cameras":[{"type":"perspective","name":"door","perspective":{"yfov":1.0,"aspectRatio":2.0,"znear":0.1}},
{"type":"orthographic","orthographic":{"xmag":1,"ymag":1,"znear":0,"zfar":1}}]"#,
    );
    let json = json.replace(
        r#"{"mesh":0}"#,
        r#"{"mesh":0,"children":[1,2]},{"camera":0,"translation":[0,0,5],"scale":[-3,3,3]},{"camera":1}"#,
    );
    let (scene, notes) = read(&json, &binary);
    assert_eq!(scene.cameras.len(), 1);
    assert!(notes[0].contains("cameras[1]"), "{notes:?}");
    let camera = scene.cameras[0].camera;
    assert_eq!(scene.cameras[0].name, "door");
    let (p, depth) = camera.project(Vec3::ZERO, Vec2::new(200.0, 100.0));
    assert!((p - Vec2::new(100.0, 50.0)).length() < 1e-3 && (depth - 5.0).abs() < 1e-5);
    assert!((camera.tan_half_fov - Vec2::new(2.0, 1.0) * 0.5f32.tan()).length() < 1e-6);
}

#[test]
fn one_mesh_at_many_nodes_is_stored_once() {
    let (json, binary) = quad("");
    let json = json.replace(
        r#"{"mesh":0}"#,
        r#"{"mesh":0,"children":[1,2]},{"mesh":0,"matrix":[1,0,0,0,0,1,0,0,0,0,-1,0,4,5,6,1]},{"mesh":0,"scale":[1,0,1]}"#,
    );
    let (scene, notes) = read(&json, &binary);
    assert_eq!((scene.meshes.len(), scene.instances.len()), (1, 2));
    assert_eq!(scene.instances[1].transform.transform_point3(Vec3::ONE), Vec3::new(5.0, 6.0, 5.0));
    assert_eq!(scene.instances[1].user_id, 1);
    assert!(notes[0].starts_with("nodes[2]") && notes[0].contains("singular"), "{notes:?}");
}
