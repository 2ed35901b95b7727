//! The convention doctor in a session, with the planes of a real raster engine: each field is stated wrong in turn.

mod room;

use crate::embedded::{PATIENCE, event};
use crate::served::Served;
use rayloom::frame::convention::{
    CameraAxes, Convention, DepthEncoding, Handedness, MatrixStorage, MotionContent, MotionDirection, MotionJitter,
    MotionUnit, MotionY, NormalMapGreen, NormalSpace, UpAxis, UvOrigin, VectorSide,
};
use rayloom::frame::{FrameError, LayerKind};
use rayloom::scene::{Camera, Scene};
use rayloom::{
    Embedded, Event, FrameDesc, LayerDesc, Plane, SceneHandle, Session, SessionDesc, Tier, ViewDesc, ViewHandle,
};
use room::{EXTENT, MOVING, cameras, drawn, misread, moved, room};
use std::time::Duration;

/// What the engine really does.
const TRUTH: Convention = raster::CONVENTION;

struct Engine {
    session: Session,
    planes: Vec<Plane>,
    scene: (SceneHandle, u64, u64),
}

/// A scene with two revisions, the box moved in the second; ready to be traced.
fn placed(session: &Session, scene: Scene) -> (SceneHandle, u64, u64) {
    let handle = session.create_scene();
    handle.replace(scene).unwrap();
    let first = handle.commit().unwrap();
    event(session, |event| matches!(event, Event::SceneReady { revision, .. } if revision == first).then_some(()));
    handle.set_transforms(&[(MOVING, moved())]).unwrap();
    let second = handle.commit().unwrap();
    (handle, first, second)
}

fn engine() -> Engine {
    engine_of(SessionDesc { embedded: Embedded::Always, embedded_allow_cpu: true, ..SessionDesc::default() })
}

fn engine_of(desc: SessionDesc) -> Engine {
    let session = Session::new(SessionDesc { validate: true, ..desc }).unwrap();
    let scene = placed(&session, room());
    Engine { session, planes: drawn(), scene }
}

/// The engine's camera, read as the convention states.
fn read(stated: &Convention, camera: &Camera) -> Result<Camera, FrameError> {
    let aspect = EXTENT.width as f32 / EXTENT.height as f32;
    stated.camera("camera", &TRUTH.camera_back(camera), aspect)
}

impl Engine {
    fn view(&self, stated: &Convention) -> ViewHandle {
        let mut layer = LayerDesc::new(LayerKind::Direct, Tier::T2);
        layer.deadline = Duration::from_secs(30);
        let desc = ViewDesc { layers: vec![layer], gbuffer: true, convention: *stated, ..ViewDesc::new(EXTENT) };
        self.session.create_view(desc).unwrap()
    }

    /// Submits the frame with planes, after one without.
    fn show(&self, view: &ViewHandle, stated: &Convention, scene: &(SceneHandle, u64, u64), from: u64) {
        let (camera, previous) = cameras();
        let (camera, previous) = (read(stated, &camera).unwrap(), read(stated, &previous).unwrap());
        let first = view.open_frame(FrameDesc::new(from, scene.1, previous)).unwrap();
        first.submit(Vec::new()).unwrap();
        let second = view.open_frame(FrameDesc::new(from + 1, scene.2, camera)).unwrap();
        second.submit(self.planes.clone()).unwrap();
        view.acquire(from + 1, PATIENCE).unwrap();
    }

    /// What the session tells of the convention: the first of it, and whether all agrees.
    fn told(&self) -> (bool, String) {
        event(&self.session, |event| match event {
            Event::Convention { agrees, text, .. } => Some((agrees, text)),
            _ => None,
        })
    }

    /// A new view of a scene says what is to be set.
    #[track_caller]
    fn names_of(&self, scene: &(SceneHandle, u64, u64), stated: Convention, plane: &str, expected: &[&str]) {
        let view = self.view(&stated);
        self.show(&view, &stated, scene, 1);
        let (agrees, text) = self.told();
        println!("{text}");
        assert!(!agrees && text.starts_with(&format!("{plane} disagrees on ")), "{text}");
        let (_, set) = text.split_once(": set ").expect("a fix is named");
        assert_eq!(set.split(" and ").collect::<Vec<_>>(), expected, "{text}");
        let more = std::iter::from_fn(|| self.session.poll_event());
        let more: Vec<Event> = more.filter(|event| matches!(event, Event::Convention { .. })).collect();
        assert_eq!(more, [], "besides {text}");
    }

    #[track_caller]
    fn names(&self, stated: Convention, plane: &str, expected: &[&str]) {
        self.names_of(&self.scene, stated, plane, expected);
    }

    /// A new view of a scene that was misread in the same way says what is to be set.
    #[track_caller]
    fn names_misread(&self, stated: Convention, plane: &str, expected: &[&str]) {
        self.names_of(&placed(&self.session, misread(&stated)), stated, plane, expected);
    }
}

#[track_caller]
fn refuses(stated: Convention, expected: &str) {
    let error = read(&stated, &cameras().0).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_agrees_is_told_once_a_view() {
    let engine = engine();
    let view = engine.view(&TRUTH);
    engine.show(&view, &TRUTH, &engine.scene, 1);
    let (agrees, text) = engine.told();
    assert!(agrees, "{text}");
    for plane in ["depth on ", "normal on ", "motion on ", "roughness/metalness on ", "albedo on "] {
        assert!(text.contains(plane), "{text}");
    }
    // The next one is not examined at once, and would tell the same.
    engine.show(&view, &TRUTH, &engine.scene, 3);
    let other = engine.view(&TRUTH);
    engine.show(&other, &TRUTH, &engine.scene, 1);
    let view = event(&engine.session, |event| match event {
        Event::Convention { view, .. } => Some(view),
        _ => None,
    });
    assert_eq!(view, 1, "each view has its own");
}

#[test]
fn a_session_ends_while_a_frame_is_examined() {
    let engine = engine();
    let stated = Convention { camera_axes: CameraAxes::ForwardZDownY, ..TRUTH };
    engine.show(&engine.view(&stated), &stated, &engine.scene, 1);
}

#[test]
fn how_depth_and_motion_and_normals_are_stored_is_named() {
    let engine = engine();
    let infinite = "RAYLOOM_DEPTH_REVERSED_INFINITE";
    engine.names(Convention { depth_encoding: DepthEncoding::Linear, ..TRUTH }, "depth", &[infinite]);
    engine.names(Convention { depth_encoding: DepthEncoding::ForwardInfinite, ..TRUTH }, "depth", &[infinite]);
    engine.names(Convention { depth_encoding: DepthEncoding::Reversed, far: 9.0, ..TRUTH }, "depth", &[infinite]);
    engine.names(Convention { near: 0.3, ..TRUTH }, "depth", &["near_plane 0.05"]);
    let motion = |stated, expected| engine.names(stated, "motion", &[expected]);
    motion(
        Convention { motion_direction: MotionDirection::CurrentMinusPrevious, ..TRUTH },
        "RAYLOOM_MOTION_PREVIOUS_MINUS_CURRENT",
    );
    motion(Convention { motion_unit: MotionUnit::TextureCoordinates, ..TRUTH }, TRUTH.motion_unit.constant());
    motion(Convention { motion_unit: MotionUnit::NormalizedDevice, ..TRUTH }, TRUTH.motion_unit.constant());
    motion(Convention { motion_y: MotionY::Up, ..TRUTH }, TRUTH.motion_y.constant());
    motion(Convention { motion_jitter: MotionJitter::Included, ..TRUTH }, TRUTH.motion_jitter.constant());
    motion(Convention { motion_content: MotionContent::ObjectsOnly, ..TRUTH }, TRUTH.motion_content.constant());
    engine.names(Convention { normal_space: NormalSpace::View, ..TRUTH }, "normal", &["RAYLOOM_NORMAL_WORLD"]);
    let channels = Convention { roughness_channel: 1, metalness_channel: 0, ..TRUTH };
    engine.names(channels, "roughness/metalness", &["roughness_channel 0", "metalness_channel 1"]);
}

#[test]
fn axes_and_units_and_textures_are_named() {
    let engine = engine();
    engine.names(Convention { up_axis: UpAxis::Z, ..TRUTH }, "depth", &["RAYLOOM_UP_Y"]);
    engine.names(Convention { camera_axes: CameraAxes::ForwardZDownY, ..TRUTH }, "depth", &["RAYLOOM_CAMERA_BACK_Z"]);
    engine.names(Convention { metres_per_unit: 0.01, ..TRUTH }, "depth", &["metres_per_unit 1"]);
    let unity = Convention { handedness: Handedness::Left, camera_axes: CameraAxes::ForwardZ, ..TRUTH };
    let expected = ["RAYLOOM_HANDEDNESS_RIGHT", "RAYLOOM_CAMERA_BACK_Z"];
    engine.names(unity, "depth", &expected);
    engine.names_misread(unity, "depth", &expected);
    engine.names_misread(Convention { uv_origin: UvOrigin::BottomLeft, ..TRUTH }, "albedo", &["RAYLOOM_UV_TOP_LEFT"]);
    let green = Convention { normal_map_green: NormalMapGreen::Down, ..TRUTH };
    engine.names_misread(green, "normal", &["RAYLOOM_NORMAL_MAP_GREEN_UP"]);
    // Cameras that these make none never become frames.
    refuses(Convention { handedness: Handedness::Left, ..TRUTH }, "RAYLOOM_HANDEDNESS_RIGHT");
    refuses(Convention { matrix_storage: MatrixStorage::RowMajor, ..TRUTH }, "RAYLOOM_MATRIX_COLUMN_MAJOR");
    refuses(Convention { vector_side: VectorSide::Row, ..TRUTH }, "RAYLOOM_VECTOR_COLUMN");
}

/// One choice that is read off the planes, and one that is found by tracing other views.
#[test]
fn a_remote_peer_examines_where_none_is_embedded() {
    let served = Served::start();
    let engine =
        engine_of(SessionDesc { peers: vec![served.address()], embedded: Embedded::Never, ..SessionDesc::default() });
    engine.show(&engine.view(&TRUTH), &TRUTH, &engine.scene, 1);
    let (agrees, text) = engine.told();
    assert!(agrees && text.contains("depth on ") && text.contains("motion on "), "{text}");
    let linear = Convention { depth_encoding: DepthEncoding::Linear, ..TRUTH };
    engine.names(linear, "depth", &["RAYLOOM_DEPTH_REVERSED_INFINITE"]);
    engine.names(Convention { normal_space: NormalSpace::View, ..TRUTH }, "normal", &["RAYLOOM_NORMAL_WORLD"]);
    engine.names(Convention { up_axis: UpAxis::Z, ..TRUTH }, "depth", &["RAYLOOM_UP_Y"]);
}
