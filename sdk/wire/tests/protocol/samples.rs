//! One message of every kind, for the tests beside this folder.

use bytes::Bytes;
use glam::{Affine3A, Quat, Vec3};
use rayloom_frame::{Extent, LayerKind, LayerRequest, PlaneKind, Rect};
use rayloom_scene::{Camera, Light, LightShape, Pose};
use rayloom_wire::*;

/// The state of a busy frame: a moving camera, 8 moved objects, 4 moved lights, 4 layers, 4 tiles.
pub(crate) fn busy_frame() -> FrameTasks {
    let camera = Camera::look_at(Vec3::new(1.0, 2.0, 3.0), Vec3::new(0.0, 1.0, -8.0), 1.0, 16.0 / 9.0);
    let transforms = (0..8)
        .map(|i| (i * 7, Affine3A::from_rotation_translation(Quat::from_rotation_y(i as f32), Vec3::splat(i as f32))))
        .collect();
    let lights = (0..4)
        .map(|i| {
            let shape = LightShape::Spot { inner: 0.2, outer: 0.5 };
            let position = Vec3::splat(i as f32);
            (i, Light { shape, color: Vec3::ONE, position, direction: Vec3::NEG_Y, range: 10.0, user_id: 0 })
        })
        .collect();
    FrameTasks {
        view: 0,
        frame_id: 77,
        scene: 1,
        revision: 3,
        extent: Extent::new(1920, 1080),
        camera,
        delta: StateDelta { transforms, lights, poses: Vec::new() },
        previous: PreviousFrame::Known(76),
        layers: LayerKind::REAL_TIME
            .map(|kind| LayerSpec {
                request: LayerRequest { kind, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES },
                deadline_ms: 100,
            })
            .to_vec(),
        filter_radius: 4,
        pre_exposure: 0.125,
        primary: true,
        planes: None,
        lossless: false,
        tasks: (0..4)
            .map(|i| Task { id: i, kind: TaskKind::Trace, rect: Rect::new(480 * i as u32, 3, 480, 501), ghost: 4 })
            .collect(),
    }
}

/// One message of every kind.
pub(crate) fn all() -> Vec<Message> {
    let frame = busy_frame();
    let planes = GivenPlanes { geometric_normal: true, emissive: false, depth_error: 0.25 };
    let pose = |instance, palette| Pose { instance, palette, morph_weights: vec![0.5, -1.0] };
    let uneven = Affine3A::from_scale(Vec3::new(1.0, 2.0, 3.0));
    let poses = vec![pose(3, vec![Affine3A::IDENTITY; 4]), pose(8, vec![uneven; 2])];
    let explicit = PreviousFrame::Explicit(frame.camera, StateDelta { poses, ..frame.delta.clone() });
    let info = PeerInfo {
        device: "llvmpipe".into(),
        is_cpu: true,
        front_end: "compute".into(),
        rays_per_second: 2e6,
        memory_bytes: 1 << 31,
        class: [7; 32],
        stored_traces: false,
    };
    let hello = |role| Message::Hello(Hello { versions: VERSION, agent: "rayloom 0.1.0".into(), role });
    let stage = |stage| Message::SceneStatus(SceneStatus { scene: 1, revision: 2, stage });
    vec![
        hello(Role::Engine),
        hello(Role::Peer(info)),
        Message::Refused(Refused { code: RefusalCode::Version, reason: "1 to 1 against 2 to 3".into() }),
        Message::Ping(Ping { sent_ns: 5 }),
        Message::Pong(Pong { sent_ns: 5, received_ns: 6, answered_ns: 7 }),
        Message::SceneOffer(SceneOffer { scene: 1, revision: 2, root: [1; 32], root_bytes: 99 }),
        Message::BlobNeed(BlobNeed { blobs: vec![([2; 32], 0), ([3; 32], 48)] }),
        Message::BlobPart(BlobPart { id: [2; 32], total_bytes: 9, offset: 3, data: Bytes::from_static(b"abcdef") }),
        stage(SceneStage::Receiving { have: 3, total: 9 }),
        stage(SceneStage::Building { fraction: 0.5 }),
        stage(SceneStage::Ready),
        stage(SceneStage::Failed { reason: "no memory".into() }),
        Message::FrameTasks(FrameTasks { previous: explicit, ..frame.clone() }),
        Message::FrameTasks(FrameTasks { planes: Some(planes), primary: false, ..frame.clone() }),
        Message::FrameTasks(frame),
        Message::CancelTasks(CancelTasks { ids: vec![4, 5] }),
        Message::TileSlice(TileSlice {
            task: 1,
            frame_id: 77,
            index: 0,
            count: 3,
            plane: PlaneKind::Layer(LayerKind::Indirect),
            scale: 2,
            codec: 1,
            rect: Rect::new(2, 3, 40, 5),
            payload: Bytes::from_static(b"pixels"),
        }),
        Message::TileDone(TileDone {
            task: 1,
            frame_id: 77,
            slices: 3,
            rect: Rect::new(0, 0, 80, 20),
            timings: TileTimings { received_ns: 1, started_ns: 2, uploaded_ns: 3, traced_ns: 4, encoded_ns: 5 },
            digest: [9; 32],
            block_rays: vec![100, 200, 300],
        }),
        Message::TaskRefused(TaskRefused {
            task: 1,
            frame_id: 77,
            lacks: TaskRefusal::Memory,
            reason: "queue is full".into(),
        }),
        Message::Leaving(Leaving { within_ms: 5000, reason: "SIGTERM".into() }),
    ]
}
