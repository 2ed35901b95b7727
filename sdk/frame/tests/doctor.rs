//! Each field of a convention is stated wrong in turn, and the doctor names it.

mod room;

use glam::{Quat, Vec2, Vec3};
use rayloom_frame::convention::doctor::{Diagnosis, Submitted, View, doctor};
use rayloom_frame::convention::{
    CameraAxes, Convention, DepthEncoding, Handedness, MatrixStorage, MotionContent, MotionDirection, MotionEncoding,
    MotionJitter, MotionUnit, MotionY, NormalEncoding, NormalMapGreen, NormalSpace, RoughnessKind, UpAxis, UvOrigin,
    VectorSide,
};
use rayloom_frame::{FrameError, Primary};
use rayloom_scene::Camera;
use room::{AS_SHOWN, EXTENT, Scene, Texture, cast, engine_planes};

/// The cameras of this frame and of the one before, in the room's space.
fn cameras() -> (Camera, Camera) {
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

/// What the doctor says when the engine is `truth`, says that it is `stated`, and the scene is as it is.
fn examine(truth: &Convention, stated: &Convention, scene: Scene) -> Result<Diagnosis, FrameError> {
    examine_changed(truth, stated, scene, |_| ())
}

/// The same where what is traced differs in some other way too.
fn examine_changed(
    truth: &Convention,
    stated: &Convention,
    scene: Scene,
    change: impl Fn(&mut Primary),
) -> Result<Diagnosis, FrameError> {
    let (camera, previous) = cameras();
    let shown = cast(&camera, &previous, Scene { gradient: scene.gradient, ..AS_SHOWN });
    let textures = engine_planes(truth, &shown, &camera, &previous);
    let planes: Vec<_> = textures.iter().map(Texture::plane).collect();
    let frame = Submitted {
        extent: EXTENT,
        planes: &planes,
        convention: stated,
        camera: &truth.camera_back(&camera),
        previous_camera: &truth.camera_back(&previous),
    };
    doctor(&frame, |view| {
        let mut primary = cast(&view.camera, &view.previous_camera, scene);
        change(&mut primary);
        Ok(primary)
    })
}

/// All that is to be set, by all findings.
fn fixes(diagnosis: &Diagnosis) -> Vec<String> {
    let choices = diagnosis.findings.iter().filter_map(|finding| finding.fix.as_ref()).flat_map(|fix| &fix.choices);
    choices.map(|choice| choice.value.clone()).collect()
}

#[track_caller]
fn names(truth: &Convention, stated: &Convention, plane: &str, expected: &[&str]) {
    let diagnosis = examine(truth, stated, AS_SHOWN).unwrap();
    assert_eq!(fixes(&diagnosis), expected, "{diagnosis:#?}");
    assert_eq!(diagnosis.findings[0].plane, plane, "{diagnosis:#?}");
}

#[track_caller]
fn refuses(truth: &Convention, stated: &Convention, expected: &str) {
    let error = examine(truth, stated, AS_SHOWN).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

fn engines() -> [Convention; 3] {
    // Far enough planes that depth is not linear, near enough that infinite is something else.
    let gltf = Convention { far: 60.0, ..Convention::GLTF };
    [gltf, Convention { far: 6000.0, ..Convention::UNREAL }, Convention { near: 0.1, far: 60.0, ..Convention::UNITY }]
}

#[test]
fn nothing_is_said_when_all_is_right() {
    for truth in engines() {
        let diagnosis = examine(&truth, &truth, AS_SHOWN).unwrap();
        assert_eq!((&diagnosis.findings[..], diagnosis.searched), (&[][..], false));
        let compared: Vec<&str> = diagnosis.compared.iter().map(|(plane, _)| *plane).collect();
        assert_eq!(compared, ["depth", "normal", "motion", "roughness/metalness", "albedo"]);
        assert!(diagnosis.compared.iter().all(|(_, share)| *share > 0.85), "{diagnosis:?}");
    }
}

#[test]
fn every_depth_encoding_is_told_from_every_other() {
    for truth in DepthEncoding::ALL {
        for stated in DepthEncoding::ALL.iter().filter(|stated| *stated != truth) {
            let from = engines()[2];
            let convention = |encoding: DepthEncoding| Convention { depth_encoding: encoding, ..from };
            names(&convention(*truth), &convention(*stated), "depth", &[truth.constant()]);
        }
    }
}

#[test]
fn the_message_says_how_much_and_what_to_set() {
    let truth = engines()[1];
    let stated = Convention { depth_encoding: DepthEncoding::Forward, ..truth };
    let message = examine(&truth, &stated, AS_SHOWN).unwrap().findings[0].to_string();
    assert!(message.starts_with("depth disagrees on "), "{message}");
    assert!(
        message.ends_with(" % if depth encoding is reversed infinite: set RAYLOOM_DEPTH_REVERSED_INFINITE"),
        "{message}"
    );
}

#[test]
fn near_and_far_planes_are_measured() {
    let truth = engines()[2];
    names(&truth, &Convention { near: 0.3, ..truth }, "depth", &["0.1"]);
    names(&truth, &Convention { far: 9.0, ..truth }, "depth", &["60"]);
    let infinite = Convention { depth_encoding: DepthEncoding::ReversedInfinite, far: 0.0, ..truth };
    names(&truth, &infinite, "depth", &["60", "RAYLOOM_DEPTH_REVERSED"]);
}

#[test]
fn axes_of_the_world_are_named() {
    for truth in engines() {
        let (up_axis, expected) = match truth.up_axis {
            UpAxis::Y => (UpAxis::Z, "RAYLOOM_UP_Y"),
            UpAxis::Z => (UpAxis::Y, "RAYLOOM_UP_Z"),
        };
        names(&truth, &Convention { up_axis, ..truth }, "depth", &[expected]);
    }
}

#[test]
fn axes_of_the_camera_and_hands_are_named() {
    let [gltf, unreal, unity] = engines();
    names(&unreal, &Convention { camera_axes: CameraAxes::ForwardZ, ..unreal }, "depth", &["RAYLOOM_CAMERA_FORWARD_X"]);
    names(&unity, &Convention { camera_axes: CameraAxes::ForwardX, ..unity }, "depth", &["RAYLOOM_CAMERA_FORWARD_Z"]);
    names(&gltf, &Convention { camera_axes: CameraAxes::ForwardZDownY, ..gltf }, "depth", &["RAYLOOM_CAMERA_BACK_Z"]);
    refuses(&unity, &Convention { camera_axes: CameraAxes::BackZ, ..unity }, "RAYLOOM_CAMERA_FORWARD_Z");
    for truth in [gltf, unreal, unity] {
        let (handedness, expected) = match truth.handedness {
            Handedness::Right => (Handedness::Left, "RAYLOOM_HANDEDNESS_RIGHT"),
            Handedness::Left => (Handedness::Right, "RAYLOOM_HANDEDNESS_LEFT"),
        };
        refuses(&truth, &Convention { handedness, ..truth }, expected);
    }
}

#[test]
fn the_order_of_matrices_is_named() {
    for truth in engines() {
        let (matrix_storage, expected) = match truth.matrix_storage {
            MatrixStorage::ColumnMajor => (MatrixStorage::RowMajor, "RAYLOOM_MATRIX_COLUMN_MAJOR"),
            MatrixStorage::RowMajor => (MatrixStorage::ColumnMajor, "RAYLOOM_MATRIX_ROW_MAJOR"),
        };
        refuses(&truth, &Convention { matrix_storage, ..truth }, expected);
        let (vector_side, expected) = match truth.vector_side {
            VectorSide::Column => (VectorSide::Row, "RAYLOOM_VECTOR_COLUMN"),
            VectorSide::Row => (VectorSide::Column, "RAYLOOM_VECTOR_ROW"),
        };
        refuses(&truth, &Convention { vector_side, ..truth }, expected);
    }
}

#[test]
fn the_scale_is_named() {
    let [gltf, unreal, _] = engines();
    names(&gltf, &Convention { metres_per_unit: 0.01, ..gltf }, "depth", &["1"]);
    names(&unreal, &Convention { metres_per_unit: 1.0, ..unreal }, "depth", &["0.01"]);
}

#[test]
fn another_engine_s_axes_are_named_even_where_the_scene_has_them_too() {
    let [gltf, _, unity] = engines();
    let Convention { up_axis, handedness, camera_axes, .. } = gltf;
    let stated = Convention { up_axis, handedness, camera_axes, ..unity };
    let scene = Scene { axes: stated.axes() * unity.axes().transpose(), ..AS_SHOWN };
    let diagnosis = examine(&unity, &stated, scene).unwrap();
    assert_eq!(fixes(&diagnosis), ["RAYLOOM_HANDEDNESS_LEFT", "RAYLOOM_CAMERA_FORWARD_Z"], "{diagnosis:#?}");
    // All of it turned alike shows the same picture: but the camera is not level.
    let stated = Convention { up_axis: UpAxis::Z, ..unity };
    let scene = Scene { axes: stated.axes() * unity.axes().transpose(), ..AS_SHOWN };
    let diagnosis = examine(&unity, &stated, scene).unwrap();
    assert_eq!(fixes(&diagnosis), ["RAYLOOM_UP_Y"], "{diagnosis:#?}");
    assert_eq!(diagnosis.findings[0].plane, "camera");
}

#[test]
fn unit_sign_and_content_of_motion_are_named() {
    for truth in [engines()[0], engines()[2]] {
        let all: [(Convention, &str); 9] = [
            (
                Convention { motion_direction: MotionDirection::PreviousMinusCurrent, ..truth },
                truth.motion_direction.constant(),
            ),
            (
                Convention { motion_direction: MotionDirection::CurrentMinusPrevious, ..truth },
                truth.motion_direction.constant(),
            ),
            (Convention { motion_unit: MotionUnit::Pixels, ..truth }, truth.motion_unit.constant()),
            (Convention { motion_unit: MotionUnit::TextureCoordinates, ..truth }, truth.motion_unit.constant()),
            (Convention { motion_unit: MotionUnit::NormalizedDevice, ..truth }, truth.motion_unit.constant()),
            (Convention { motion_y: MotionY::Up, ..truth }, truth.motion_y.constant()),
            (Convention { motion_jitter: MotionJitter::Included, ..truth }, truth.motion_jitter.constant()),
            (Convention { motion_content: MotionContent::ObjectsOnly, ..truth }, truth.motion_content.constant()),
            (Convention { motion_encoding: MotionEncoding::Biased, ..truth }, truth.motion_encoding.constant()),
        ];
        for (stated, expected) in all.into_iter().filter(|(stated, _)| *stated != truth) {
            names(&truth, &stated, "motion", &[expected]);
            // And the other way round.
            if stated.motion_encoding == truth.motion_encoding {
                let diagnosis = examine(&stated, &truth, AS_SHOWN).unwrap();
                assert_eq!(fixes(&diagnosis).len(), 1, "{diagnosis:#?}");
            }
        }
    }
    let unreal = engines()[1];
    let unreal4 = Convention { motion_encoding: MotionEncoding::Unreal4, ..unreal };
    names(&unreal, &unreal4, "motion", &["RAYLOOM_MOTION_UNREAL5"]);
    names(&unreal4, &unreal, "motion", &["RAYLOOM_MOTION_UNREAL4"]);
    names(&unreal, &Convention { motion_y: MotionY::Down, ..unreal }, "motion", &["RAYLOOM_MOTION_Y_UP"]);
}

#[test]
fn space_and_encoding_of_normals_are_named() {
    for truth in engines() {
        let (normal_space, expected) = (NormalSpace::View, "RAYLOOM_NORMAL_WORLD");
        names(&truth, &Convention { normal_space, ..truth }, "normal", &[expected]);
        names(&Convention { normal_space, ..truth }, &truth, "normal", &["RAYLOOM_NORMAL_VIEW"]);
        for normal_encoding in NormalEncoding::ALL.iter().filter(|encoding| **encoding != truth.normal_encoding) {
            names(
                &truth,
                &Convention { normal_encoding: *normal_encoding, ..truth },
                "normal",
                &[truth.normal_encoding.constant()],
            );
        }
    }
}

#[test]
fn green_of_normal_maps_is_named() {
    for truth in engines() {
        let (normal_map_green, expected) = match truth.normal_map_green {
            NormalMapGreen::Up => (NormalMapGreen::Down, "RAYLOOM_NORMAL_MAP_GREEN_UP"),
            NormalMapGreen::Down => (NormalMapGreen::Up, "RAYLOOM_NORMAL_MAP_GREEN_DOWN"),
        };
        let scene = Scene { green: -1.0, ..AS_SHOWN };
        let diagnosis = examine(&truth, &Convention { normal_map_green, ..truth }, scene).unwrap();
        assert_eq!(fixes(&diagnosis), [expected], "{diagnosis:#?}");
    }
}

#[test]
fn the_origin_of_textures_is_named() {
    for truth in engines() {
        let (uv_origin, expected) = match truth.uv_origin {
            UvOrigin::TopLeft => (UvOrigin::BottomLeft, "RAYLOOM_UV_TOP_LEFT"),
            UvOrigin::BottomLeft => (UvOrigin::TopLeft, "RAYLOOM_UV_BOTTOM_LEFT"),
        };
        for gradient in [false, true] {
            let scene = Scene { upside_down: true, gradient, ..AS_SHOWN };
            let diagnosis = examine(&truth, &Convention { uv_origin, ..truth }, scene).unwrap();
            assert_eq!(fixes(&diagnosis), [expected], "{diagnosis:#?}");
            assert_eq!(diagnosis.findings.len(), 1);
        }
    }
}

#[test]
fn colours_that_are_only_darker_name_no_origin() {
    let truth = engines()[0];
    for gradient in [false, true] {
        let darker = |primary: &mut Primary| {
            for color in &mut primary.base_color {
                *color = u32::from_le_bytes(color.to_le_bytes().map(|code| code.saturating_sub(30)));
            }
        };
        let diagnosis = examine_changed(&truth, &truth, Scene { gradient, ..AS_SHOWN }, darker).unwrap();
        let (_, share) = diagnosis.compared.iter().find(|(plane, _)| *plane == "albedo").unwrap();
        assert!(*share < 0.85 && diagnosis.findings.is_empty(), "{diagnosis:#?}");
    }
}

#[test]
fn channels_of_roughness_are_named() {
    let truth = engines()[1];
    let stated = Convention { roughness_channel: 0, metalness_channel: 2, ..truth };
    names(&truth, &stated, "roughness/metalness", &["2", "0"]);
    let smooth = Convention { roughness_kind: RoughnessKind::Smoothness, ..truth };
    names(&smooth, &truth, "roughness/metalness", &["RAYLOOM_SMOOTHNESS"]);
}

#[test]
fn two_faults_are_both_named() {
    let truth = engines()[1];
    let stated = Convention {
        depth_encoding: DepthEncoding::Linear,
        motion_direction: MotionDirection::PreviousMinusCurrent,
        ..truth
    };
    let expected = ["RAYLOOM_DEPTH_REVERSED_INFINITE", "RAYLOOM_MOTION_CURRENT_MINUS_PREVIOUS"];
    names(&truth, &stated, "depth", &expected);
}

#[test]
fn another_scene_is_reported_without_a_fix() {
    let truth = engines()[0];
    let (camera, previous) = cameras();
    let textures = engine_planes(&truth, &cast(&camera, &previous, AS_SHOWN), &camera, &previous);
    let planes: Vec<_> = textures.iter().map(Texture::plane).collect();
    let stated = truth.camera_back(&camera);
    let frame = Submitted {
        extent: EXTENT,
        planes: &planes,
        convention: &truth,
        camera: &stated,
        previous_camera: &truth.camera_back(&previous),
    };
    let empty = Primary {
        depth: vec![f32::INFINITY; EXTENT.pixels()],
        normal: vec![0; EXTENT.pixels()],
        base_color: vec![0; EXTENT.pixels()],
        material: vec![0; EXTENT.pixels()],
        motion: vec![0; EXTENT.pixels()],
        instance_id: vec![0; EXTENT.pixels()],
    };
    let mut views = 0;
    let mut nothing = |_: &View| {
        views += 1;
        Ok::<_, FrameError>(empty.clone())
    };
    let diagnosis = doctor(&frame, &mut nothing).unwrap();
    assert!(diagnosis.findings[0].to_string().contains("no choice of the convention explains it"));
    // What can't be examined is refused, and what can't be traced ends it.
    assert!(doctor(&Submitted { planes: &[], ..frame }, &mut nothing).is_err());
    assert!(diagnosis.searched && views > 10, "{views} views were traced");
    assert!(doctor(&frame, |_| Ok::<_, FrameError>(Primary::default())).is_err());
    let ended = doctor(&frame, |_| Err(FrameError::Plan("no peer".into()))).unwrap_err();
    assert_eq!(ended, FrameError::Plan("no peer".into()));
}

#[test]
fn a_frame_of_sky_tells_nothing() {
    let truth = Convention { far: 60.0, ..Convention::GLTF };
    let (camera, previous) = cameras();
    let up = Camera { rotation: Quat::from_rotation_x(1.4), position: Vec3::new(0.0, 2.9, 0.0), ..camera };
    let shown = cast(&up, &previous, AS_SHOWN);
    assert!(shown.depth.iter().all(|depth| depth.is_infinite()), "the room has no ceiling");
    let textures = engine_planes(&truth, &shown, &up, &previous);
    // Without the plant, which the scene lacks: the first pixel's sky all over.
    let textures: Vec<Texture> = textures
        .into_iter()
        .map(|texture| {
            let pixel = texture.bytes[..texture.format.bytes_per_pixel()].to_vec();
            Texture { bytes: pixel.repeat(EXTENT.pixels()), ..texture }
        })
        .collect();
    let planes: Vec<_> = textures.iter().map(Texture::plane).collect();
    let stated = truth.camera_back(&up);
    let frame = Submitted {
        extent: EXTENT,
        planes: &planes,
        convention: &truth,
        camera: &stated,
        previous_camera: &truth.camera_back(&previous),
    };
    let diagnosis = doctor(&frame, |_| Ok::<_, FrameError>(shown.clone())).unwrap();
    assert_eq!(diagnosis, Diagnosis::default());
}
