//! What is stated in an engine's convention shows the same picture in glTF's, and comes back as it was.

use glam::{Affine3A, Mat3, Quat, Vec2, Vec3};
use proptest::prelude::*;
use rayloom_frame::convention::{
    CameraAxes, Convention, EngineCamera, Handedness, MatrixStorage, NormalMapGreen, UpAxis, UvOrigin, VectorSide,
    Winding,
};
use rayloom_scene::{Camera, Light, LightShape, Material, Mesh, MorphTarget, Pose, TextureSlot};

const SIZE: Vec2 = Vec2::new(640.0, 360.0);

/// Any convention of space under which cameras are not mirrored.
fn conventions() -> impl Strategy<Value = Convention> {
    let choice = (0usize..2, 0usize..4, 0usize..2, 0usize..2, 0usize..2, 0usize..2, 0usize..2);
    (choice, 0.01f32..4.0).prop_map(|((up, axes, storage, side, winding, uv, green), metres_per_unit)| {
        let camera_axes = CameraAxes::ALL[axes];
        let right = matches!(camera_axes, CameraAxes::BackZ | CameraAxes::ForwardZDownY);
        Convention {
            up_axis: UpAxis::ALL[up],
            handedness: if right { Handedness::Right } else { Handedness::Left },
            camera_axes,
            metres_per_unit,
            matrix_storage: MatrixStorage::ALL[storage],
            vector_side: VectorSide::ALL[side],
            winding: Winding::ALL[winding],
            uv_origin: UvOrigin::ALL[uv],
            normal_map_green: NormalMapGreen::ALL[green],
            light_scale: 3.0,
            ..Convention::GLTF
        }
    })
}

fn vectors(range: f32) -> impl Strategy<Value = Vec3> {
    prop::array::uniform3(-range..range).prop_map(Vec3::from)
}

fn rotations() -> impl Strategy<Value = Quat> {
    (vectors(1.0), 0.0f32..6.0)
        .prop_map(|(axis, angle)| Quat::from_axis_angle(axis.try_normalize().unwrap_or(Vec3::X), angle))
}

/// Right, up and forward of camera space, as the documentation says.
fn camera_directions(axes: CameraAxes) -> [Vec3; 3] {
    match axes {
        CameraAxes::BackZ => [Vec3::X, Vec3::Y, -Vec3::Z],
        CameraAxes::ForwardZ => [Vec3::X, Vec3::Y, Vec3::Z],
        CameraAxes::ForwardX => [Vec3::Y, Vec3::Z, Vec3::X],
        CameraAxes::ForwardZDownY => [Vec3::X, -Vec3::Y, Vec3::Z],
    }
}

fn engine_camera(convention: &Convention, rotation: Quat, position: Vec3) -> EngineCamera {
    EngineCamera {
        camera_to_world: convention.matrix_back(&Affine3A::from_rotation_translation(rotation, position)),
        vertical_fov_rad: 1.0,
        aspect: 0.0,
        jitter_px: [0.0; 2],
        center_ndc: [0.0; 2],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn points_are_seen_where_the_engine_s_camera_sees_them(
        convention in conventions(),
        rotation in rotations(),
        position in vectors(100.0),
        (right, up, forward) in (-20.0f32..20.0, -20.0f32..20.0, 5.0f32..50.0),
    ) {
        let [r, u, f] = camera_directions(convention.camera_axes);
        let world = position + rotation * (r * right + u * up + f * forward);
        let camera = convention.camera("camera", &engine_camera(&convention, rotation, position), SIZE.x / SIZE.y).unwrap();
        let (pixel, depth) = camera.project(convention.point(world), SIZE);
        let tan = 0.5f32.tan();
        let expected = Vec2::new(
            (right / forward / (tan * SIZE.x / SIZE.y) * 0.5 + 0.5) * SIZE.x,
            (0.5 - up / forward / tan * 0.5) * SIZE.y,
        );
        prop_assert!((pixel - expected).length() < 0.1, "{pixel} is not {expected}");
        prop_assert!((depth / convention.metres_per_unit - forward).abs() < forward * 1e-3);
    }

    #[test]
    fn instances_of_converted_meshes_stand_where_converted_points_are(
        convention in conventions(), rotation in rotations(), scale in 0.1f32..5.0, position in vectors(50.0), vertex in vectors(9.0),
    ) {
        let placed = Affine3A::from_scale_rotation_translation(Vec3::new(scale, -1.0, 0.5), rotation, position);
        let transform = convention.transform("matrix", &convention.matrix_back(&placed)).unwrap();
        let expected = convention.point(placed.transform_point3(vertex));
        let found = transform.transform_point3(convention.point(vertex));
        prop_assert!((found - expected).length() < 1e-3 * (1.0 + expected.length()), "{found} is not {expected}");
        let back = convention.transform_back(&transform);
        for (a, b) in back.into_iter().zip(convention.matrix_back(&placed)) {
            prop_assert!((a - b).abs() < 1e-3, "{a} is not {b}");
        }
    }

    #[test]
    fn cameras_and_lights_come_back(
        convention in conventions(), rotation in rotations(), position in vectors(50.0), direction in vectors(1.0),
    ) {
        let camera = Camera { position, rotation, jitter: Vec2::new(0.25, -0.5), ..Camera::with_fov(0.8, 1.5) };
        let back = convention.camera("camera", &convention.camera_back(&camera), 1.0).unwrap();
        prop_assert!((back.position - position).length() < 1e-3);
        prop_assert!(back.rotation.dot(rotation).abs() > 0.9999);
        prop_assert!((back.tan_half_fov - camera.tan_half_fov).length() < 1e-4);
        prop_assert_eq!(back.jitter, camera.jitter);
        let light = Light {
            shape: LightShape::Point, color: Vec3::new(1.0, 2.0, 3.0), position, direction, range: 7.0, user_id: 5,
        };
        let back = convention.light_back(&convention.light(&light));
        prop_assert!((back.position - position).length() < 1e-3 && (back.direction - direction).length() < 1e-5);
        prop_assert!((back.color - light.color).length() < 1e-4 && (back.range - 7.0).abs() < 1e-4);
    }

    #[test]
    fn transformed_textures_show_the_same_texels(
        uv in prop::array::uniform2(-3.0f32..3.0), offset in prop::array::uniform2(-2.0f32..2.0),
        scale in prop::array::uniform2(0.2f32..3.0), rotation in -3.0f32..3.0,
    ) {
        let slot = TextureSlot { texture: 3, offset: offset.into(), scale: scale.into(), rotation };
        // KHR_texture_transform, as the renderer has it.
        let texel = |slot: &TextureSlot, uv: Vec2| {
            let (sin, cos) = slot.rotation.sin_cos();
            let scaled = slot.scale * uv;
            slot.offset + Vec2::new(cos * scaled.x + sin * scaled.y, cos * scaled.y - sin * scaled.x)
        };
        let convention = Convention {
            uv_origin: UvOrigin::BottomLeft, emissive_scale: 2.0, metres_per_unit: 0.01, ..Convention::GLTF
        };
        let mut material = Material {
            normal_texture: Some(slot), thickness_texture: Some(slot), emissive: Vec3::ONE, thickness: 3.0,
            attenuation_distance: 50.0, ..Material::default()
        };
        convention.convert_material(&mut material);
        let uv = Vec2::from(uv);
        let (shown, found) = (
            texel(&slot, uv),
            texel(&material.normal_texture.unwrap(), Vec2::new(uv.x, 1.0 - uv.y)),
        );
        prop_assert!((found - Vec2::new(shown.x, 1.0 - shown.y)).length() < 1e-4, "{found} is not {shown}");
        prop_assert_eq!(material.emissive, Vec3::splat(2.0));
        prop_assert_eq!(material.thickness_texture, material.normal_texture);
        prop_assert!((material.thickness - 0.03).abs() < 1e-6 && (material.attenuation_distance - 0.5).abs() < 1e-6);
    }

    #[test]
    fn posed_vertices_are_where_the_engine_poses_them(
        convention in conventions(), at in vectors(3.0), delta in vectors(1.0), normal_delta in vectors(1.0),
        turns in prop::array::uniform2(rotations()), offsets in prop::array::uniform2(vectors(2.0)),
        scale in vectors(2.0), share in 0.0f32..1.0, weight in -1.0f32..1.0,
    ) {
        let of_engine = Mesh {
            positions: vec![at],
            joints: vec![[0, 1, 0, 0]],
            weights: vec![[1.0 - share, share, 0.0, 0.0]],
            targets: vec![MorphTarget { positions: vec![delta], normals: vec![normal_delta], tangents: vec![delta] }],
            ..Mesh::default()
        };
        // Uneven scales, mirrored where one is negative.
        let palette = [0, 1].map(|i| Affine3A::from_scale_rotation_translation(scale, turns[i], offsets[i])).to_vec();
        let in_engine = Pose { instance: 0, palette, morph_weights: vec![weight] };
        let mut mesh = of_engine.clone();
        convention.convert_mesh(&mut mesh);
        let joint = |m: &Affine3A| convention.transform("joint", &convention.matrix_back(m)).unwrap();
        let pose = Pose { palette: in_engine.palette.iter().map(joint).collect(), ..in_engine.clone() };
        let (found, expected) = (pose.position(&mesh, 0), convention.point(in_engine.position(&of_engine, 0)));
        prop_assert!(found.distance(expected) < 1e-4 * convention.metres_per_unit.max(1.0), "{found} is not {expected}");
        prop_assert!(mesh.targets[0].normals[0].distance(convention.direction(normal_delta)) < 1e-6);
        prop_assert!(mesh.targets[0].tangents[0].distance(convention.direction(delta)) < 1e-6);
    }

    #[test]
    fn triangles_face_and_bitangents_point_where_they_did(
        convention in conventions(), corners in prop::array::uniform3((-5.0f32..5.0, -5.0f32..5.0)),
    ) {
        // A triangle in front of the engine's camera, which stands at the origin: as the engine's viewer sees it.
        let [r, u, f] = camera_directions(convention.camera_axes);
        let area = |[a, b, c]: [Vec2; 3]| (b - a).perp_dot(c - a);
        let seen = corners.map(|(x, y)| Vec2::new(x, y));
        prop_assume!(area(seen).abs() > 0.5);
        let counter_clockwise = area(seen) > 0.0;
        let faces = counter_clockwise == (convention.winding == Winding::CounterClockwise);
        // Normal towards the viewer, tangent to the right, bitangent up: its sign in the engine's axes.
        let w = if (-f).cross(r).dot(u) > 0.0 { 1.0 } else { -1.0 };
        let mut mesh = Mesh {
            positions: seen.iter().map(|p| r * p.x + u * p.y + f * 10.0).collect(),
            normals: vec![-f; 3],
            tangents: vec![r.extend(w); 3],
            uvs: vec![Vec2::new(0.3, 0.2); 3],
            indices: vec![0, 1, 2],
            ..Mesh::default()
        };
        convention.convert_mesh(&mut mesh);
        let camera = convention.camera("camera", &engine_camera(&convention, Quat::IDENTITY, Vec3::ZERO), 1.0).unwrap();
        let shown = [0, 1, 2].map(|i| {
            let (p, _) = camera.project(mesh.positions[mesh.indices[i] as usize], Vec2::ONE);
            Vec2::new(p.x, -p.y)
        });
        // glTF's triangles face the viewer counter-clockwise.
        prop_assert_eq!(area(shown) > 0.0, faces);
        let w = mesh.tangents[0].w;
        let bitangent = mesh.normals[0].cross(mesh.tangents[0].truncate()) * w;
        prop_assert!((bitangent - convention.direction(u)).length() < 1e-5, "{bitangent}");
        prop_assert!((mesh.normals[0] + camera.rotation * Vec3::NEG_Z).length() < 1e-5);
        let v = if convention.uv_origin == UvOrigin::TopLeft { 0.2 } else { 0.8 };
        prop_assert!((mesh.uvs[0] - Vec2::new(0.3, v)).length() < 1e-6);
        let before = mesh.tangents[0].w;
        convention.convert_computed_tangents(&mut mesh);
        prop_assert_eq!(mesh.tangents[0].w == before, convention.normal_map_green == NormalMapGreen::Up);
    }
}

#[test]
fn unreal_s_camera_of_a_known_pose_is_where_it_should_be() {
    // At (100, 200, 300) cm, yawed by 90 degrees: it looks along +Y, its right is -X. FMatrix is stored by rows.
    let matrix = [0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 100.0, 200.0, 300.0, 1.0];
    let stated = EngineCamera {
        camera_to_world: matrix,
        vertical_fov_rad: 1.0,
        aspect: 0.0,
        jitter_px: [0.0; 2],
        center_ndc: [0.0; 2],
    };
    let camera = Convention::UNREAL.camera("camera", &stated, 1.0).unwrap();
    // One metre ahead, 20 cm to the right and 10 cm up.
    let point = Convention::UNREAL.point(Vec3::new(80.0, 300.0, 310.0));
    let (pixel, depth) = camera.project(point, Vec2::splat(2.0));
    let tan = 0.5f32.tan();
    assert!((pixel - Vec2::new(1.0 + 0.2 / tan, 1.0 - 0.1 / tan)).length() < 1e-5, "{pixel}");
    assert!((depth - 1.0).abs() < 1e-6);
    assert!((camera.position - Vec3::new(2.0, 3.0, -1.0)).length() < 1e-6);
}

#[test]
fn matrices_of_another_convention_are_refused_with_the_field_to_set() {
    let refused = |stated: Convention, truth: Convention, texts: &[&str]| {
        let camera = engine_camera(&truth, Quat::from_rotation_y(0.4), Vec3::new(1.0, 2.0, 3.0));
        truth.camera("camera", &camera, 1.0).unwrap();
        let message = stated.camera("desc->camera", &camera, 1.0).unwrap_err().to_string();
        for text in texts.iter().chain(&["desc->camera"]) {
            assert!(message.contains(text), "{message}");
        }
    };
    let unreal = Convention::UNREAL;
    let rows = Convention { matrix_storage: MatrixStorage::ColumnMajor, ..unreal };
    refused(rows, unreal, &["set RAYLOOM_MATRIX_ROW_MAJOR or RAYLOOM_VECTOR_COLUMN", "[1.0, 2.0, 3.0, 1.0]"]);
    let columns = Convention { vector_side: VectorSide::Row, ..Convention::GLTF };
    refused(columns, Convention::GLTF, &["RAYLOOM_VECTOR_COLUMN"]);
    refused(Convention { handedness: Handedness::Right, ..unreal }, unreal, &["RAYLOOM_HANDEDNESS_LEFT"]);
    let axes = Convention { camera_axes: CameraAxes::BackZ, ..Convention::UNITY };
    refused(axes, Convention::UNITY, &["RAYLOOM_CAMERA_FORWARD_Z"]);
    let scaled = Affine3A::from_mat3(Mat3::from_diagonal(Vec3::new(1.0, 2.0, 1.0)));
    let camera = EngineCamera {
        camera_to_world: Convention::GLTF.matrix_back(&scaled),
        ..engine_camera(&Convention::GLTF, Quat::IDENTITY, Vec3::ZERO)
    };
    let message = Convention::GLTF.camera("camera", &camera, 1.0).unwrap_err().to_string();
    assert!(message.contains("scales"), "{message}");
    let mut broken = camera;
    broken.camera_to_world[7] = f32::NAN;
    assert!(Convention::GLTF.camera("camera", &broken, 1.0).unwrap_err().to_string().contains("index 7"));
}
