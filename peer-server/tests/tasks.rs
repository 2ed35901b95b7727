//! Tasks: traced, cancelled, refused with a reason; and nothing that a message holds breaks the peer.

mod engine;

use engine::{EXTENT, Engine, Gate, expected_tile, frame, packed_city, server, server_with, task};
use glam::{Affine3A, Vec3};
use rayloom_frame::codec::{DecodeLimits, Slice, SlicePixels, TileEncoder, decode_slice};
use rayloom_frame::{Extent, GBuffer, LayerKind, LayerRequest, Rect, digest};
use rayloom_peer::{PeerServer, ServiceConfig};
use rayloom_transport::Channel;
use rayloom_wire::{
    CancelTasks, FrameTasks, GivenPlanes, LayerSpec, Message, Ping, PreviousFrame, RefusalCode, StateDelta, Task,
    TileSlice,
};

async fn ready(server: &PeerServer) -> Engine {
    let mut engine = Engine::greeted(server).await;
    engine.provide(1, &packed_city()).await;
    engine
}

async fn submit(engine: &Engine, tasks: FrameTasks) {
    engine.send(Message::FrameTasks(tasks)).await;
}

/// Once a ping behind them is answered, the messages before it have been handled.
async fn handled(engine: &mut Engine) {
    engine.send(Message::Ping(Ping { sent_ns: 1 })).await;
    assert!(matches!(engine.next().await, Message::Pong(_)), "nothing else is answered meanwhile");
}

/// The fourth half of the first pixel, in which the fake tracer shows what it was told of the previous frame.
fn marker(slices: &[TileSlice]) -> u16 {
    let TileSlice { plane, scale, codec, rect, payload, .. } = slices[0].clone();
    let decoded = decode_slice(&Slice { plane, scale, codec, rect, payload }, DecodeLimits::new(EXTENT)).unwrap();
    let SlicePixels::Layer(pixels) = decoded.pixels else { panic!("the first plane is a layer") };
    pixels[0][3]
}

#[tokio::test]
async fn a_tile_comes_back_with_its_ghost_zone_digest_costs_and_stamps() {
    let mut engine = ready(&server()).await;
    submit(&engine, frame(1, 7, vec![task(11)])).await;
    let (slices, done) = engine.tile(11).await;
    let rect = Rect::new(28, 12, 56, 48);
    let request = LayerRequest { kind: LayerKind::Direct, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES };
    let expected = expected_tile(7, &[request], rect, 60);
    assert_eq!(done.rect, rect);
    assert_eq!(done.digest, digest(&expected));
    assert_eq!(done.block_rays, expected.block_rays);
    let stamps = done.timings;
    let order = [stamps.received_ns, stamps.started_ns, stamps.uploaded_ns, stamps.traced_ns, stamps.encoded_ns];
    assert!(order.is_sorted(), "{order:?}");
    let mut pixels = 0;
    for slice in slices {
        let TileSlice { plane, scale, codec, rect: part, payload, .. } = slice;
        let decoded =
            decode_slice(&Slice { plane, scale, codec, rect: part, payload }, DecodeLimits::new(EXTENT)).unwrap();
        let SlicePixels::Layer(decoded) = decoded.pixels else { panic!("only a layer was asked for") };
        for (pixel, i) in decoded.into_iter().zip(0u32..) {
            let (x, y) = (part.x + i % part.width, part.y + i / part.width);
            assert_eq!(pixel, engine::pixel(7, x, y, 60));
            pixels += 1;
        }
    }
    assert_eq!(pixels, rect.pixels());
}

#[tokio::test]
async fn tasks_before_a_scene_are_refused_and_the_session_goes_on() {
    let mut engine = Engine::greeted(&server()).await;
    submit(&engine, frame(1, 1, vec![task(1), task(2)])).await;
    assert!(engine.refusal(1).await.contains("not ready"));
    assert!(engine.refusal(2).await.contains("not ready"));
    engine.provide(1, &packed_city()).await;
    submit(&engine, frame(1, 2, vec![task(3)])).await;
    engine.tile(3).await;
}

#[tokio::test]
async fn a_delta_beyond_the_scene_is_refused_with_the_index() {
    let mut engine = ready(&server()).await;
    let mut moved = frame(1, 1, vec![task(1)]);
    moved.delta.transforms.push((4_000_000_000, Affine3A::IDENTITY));
    submit(&engine, moved).await;
    assert!(engine.refusal(1).await.contains("4000000000"));
    let mut before = frame(1, 2, vec![task(2)]);
    let delta = StateDelta { transforms: vec![(99_999_999, Affine3A::IDENTITY)], ..StateDelta::default() };
    before.previous = PreviousFrame::Explicit(before.camera, delta);
    submit(&engine, before).await;
    assert!(engine.refusal(2).await.contains("99999999"));
    let mut lit = frame(1, 3, vec![task(3)]);
    let light = rayloom_scene::Light {
        shape: rayloom_scene::LightShape::Point,
        color: Vec3::ONE,
        position: Vec3::ZERO,
        direction: Vec3::NEG_Z,
        range: 0.0,
        user_id: 0,
    };
    lit.delta.lights.push((77_777, light));
    submit(&engine, lit).await;
    assert!(engine.refusal(3).await.contains("77777"));
    let mut dark = frame(1, 4, vec![task(4)]);
    dark.delta.lights.push((0, rayloom_scene::Light { color: Vec3::NEG_ONE, ..light }));
    submit(&engine, dark).await;
    assert!(engine.refusal(4).await.contains("not negative"));
}

#[tokio::test]
async fn a_known_previous_frame_is_recalled_and_an_unknown_one_refused() {
    let mut engine = ready(&server()).await;
    let mut first = frame(1, 100, vec![task(1)]);
    first.camera.position.x = 17.0;
    first.delta.transforms = vec![(0, Affine3A::IDENTITY), (1, Affine3A::IDENTITY)];
    submit(&engine, first).await;
    engine.tile(1).await;
    let mut second = frame(1, 101, vec![task(2)]);
    second.previous = PreviousFrame::Known(100);
    submit(&engine, second.clone()).await;
    assert_eq!(marker(&engine.tile(2).await.0), 17 + 200, "camera and two moved instances of frame 100");
    let mut third = frame(1, 102, vec![task(3)]);
    third.previous = PreviousFrame::Known(55);
    submit(&engine, third).await;
    assert!(engine.refusal(3).await.contains("frame 55"));
    let mut fourth = frame(1, 103, vec![task(4)]);
    fourth.previous = PreviousFrame::Known(102);
    submit(&engine, fourth).await;
    assert_eq!(marker(&engine.tile(4).await.0), 60, "a refused frame's state is known all the same");
    for id in 104..119 {
        submit(&engine, frame(1, id, Vec::new())).await;
    }
    let mut late = frame(1, 119, vec![task(5)]);
    late.previous = PreviousFrame::Known(102);
    submit(&engine, late).await;
    assert!(engine.refusal(5).await.contains("frame 102"), "only the last 16 are remembered");
}

#[tokio::test]
async fn what_stood_elsewhere_under_an_older_revision_is_recalled_too() {
    let mut engine = ready(&server()).await;
    submit(&engine, frame(1, 1, Vec::new())).await;
    let mut scene = engine::city();
    scene.instances[3].transform.translation.x += 2.0;
    engine.provide(2, &rayloom_scene::assets::pack(&scene)).await;
    let mut next = frame(2, 2, vec![task(1)]);
    next.previous = PreviousFrame::Known(1);
    submit(&engine, next).await;
    assert_eq!(marker(&engine.tile(1).await.0), 60 + 100, "one instance stood elsewhere");
}

#[tokio::test]
async fn cancelled_tasks_are_not_traced_and_their_place_is_free() {
    let gate = Gate::open();
    let server = server_with(gate.clone(), ServiceConfig { tasks_per_session: 4, ..ServiceConfig::default() });
    let mut engine = ready(&server).await;
    gate.set(false);
    submit(&engine, frame(1, 1, (1..=5).map(task).collect())).await;
    assert!(engine.refusal(5).await.contains("4 tasks"), "the queue is bounded");
    submit(&engine, frame(1, 1, vec![task(4)])).await;
    assert!(engine.refusal(4).await.contains("unique"));
    engine.send(Message::CancelTasks(CancelTasks { ids: vec![1, 2, 3, 4, 77] })).await;
    submit(&engine, frame(1, 2, vec![task(6), task(7)])).await;
    handled(&mut engine).await;
    gate.set(true);
    engine.tile(6).await;
    engine.tile(7).await;
}

/// The planes of what a task covers, all as deep as `depth`.
fn planes_of(task: u64, frame_id: u64, depth: f32) -> Vec<Message> {
    let mut view = GBuffer::sky(EXTENT, false, false);
    view.primary.depth.fill(depth);
    let encoder = TileEncoder::of_gbuffer(&view, Rect::new(28, 12, 56, 48), 3000);
    let count = u16::try_from(encoder.len()).unwrap();
    let message = |(index, slice): (u16, Slice)| {
        let Slice { plane, scale, codec, rect, payload } = slice;
        Message::TileSlice(TileSlice { task, frame_id, index, count, plane, scale, codec, rect, payload })
    };
    (0..).zip(encoder).map(message).collect()
}

#[tokio::test]
async fn a_task_with_planes_waits_for_all_of_them() {
    let mut engine = ready(&server()).await;
    let given = Some(GivenPlanes { geometric_normal: false, emissive: false, depth_error: 0.0 });
    let with_planes = |frame_id, tasks| FrameTasks { planes: given, ..frame(1, frame_id, tasks) };
    submit(&engine, with_planes(1, vec![task(1), task(2)])).await;
    let mut planes = planes_of(1, 1, 7.0);
    let last = planes.pop().unwrap();
    for slice in planes {
        engine.link.send(Channel::Frames, slice.encode()).unwrap();
    }
    handled(&mut engine).await;
    engine.link.send(Channel::Frames, last.encode()).unwrap();
    assert_eq!(marker(&engine.tile(1).await.0), 60 + 7, "its planes came with it");
    // A slice that contradicts its task refuses that alone.
    let mut bad = planes_of(2, 1, 8.0).remove(0);
    if let Message::TileSlice(slice) = &mut bad {
        slice.rect.x += 60;
    }
    engine.link.send(Channel::Frames, bad.encode()).unwrap();
    assert!(engine.refusal(2).await.contains("Rect"));
    // Frames that are given up without a word make room once newer ones come.
    for frame_id in 2..200 {
        submit(&engine, with_planes(frame_id, vec![task(frame_id + 100)])).await;
    }
    for slice in planes_of(299, 199, 9.0) {
        engine.link.send(Channel::Frames, slice.encode()).unwrap();
    }
    assert_eq!(marker(&engine.tile(299).await.0), 60 + 9);
}

#[tokio::test]
async fn tiles_that_no_answer_could_hold_are_refused() {
    let mut engine = ready(&server()).await;
    let mut huge = frame(1, 1, vec![Task { rect: Rect::new(0, 0, 16384, 16384), ..task(1) }]);
    huge.extent = Extent::new(16384, 16384);
    submit(&engine, huge).await;
    assert!(engine.refusal(1).await.contains("12000"));
    let mut filtered = frame(1, 2, vec![task(2)]);
    filtered.filter_radius = 8;
    submit(&engine, filtered).await;
    assert!(engine.refusal(2).await.contains("seams"));
    let mut nothing = frame(1, 3, vec![task(3)]);
    nothing.layers.clear();
    submit(&engine, nothing).await;
    engine.refusal(3).await;
    let mut twice = frame(1, 4, vec![task(4)]);
    let layer: LayerSpec = twice.layers[0];
    twice.layers.push(layer);
    submit(&engine, twice).await;
    assert!(engine.refusal(4).await.contains("twice"));
}

// The engine does not read while the peer fills the link: that takes a second thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_link_is_full_old_tiles_are_dropped_and_said_to_be() {
    let gate = Gate::open();
    let server = server_with(gate.clone(), ServiceConfig::default());
    let mut engine = ready(&server).await;
    gate.set(false);
    // 24 MB of noise: six times what the link holds.
    let view = Extent::new(1024, 1024);
    for frame_id in 1..=3 {
        let mut large = frame(1, frame_id, vec![Task { rect: view.rect(), ghost: 0, ..task(frame_id) }]);
        large.extent = view;
        submit(&engine, large).await;
    }
    let mut newest = frame(1, 1000, vec![task(1000)]);
    newest.extent = view;
    submit(&engine, newest).await;
    handled(&mut engine).await;
    gate.set(true);
    while engine.link.stats().channel(Channel::Control).messages_received <= engine.control_read {
        tokio::task::yield_now().await;
    }
    let (mut refused, mut done) = (Vec::new(), Vec::new());
    while refused.len() + done.len() < 4 {
        match engine.next().await {
            Message::TaskRefused(task) => {
                assert!(task.reason.contains("frame 1000"), "{}", task.reason);
                refused.push(task.task);
            }
            Message::TileDone(tile) => done.push(tile.task),
            Message::TileSlice(_) => {}
            other => panic!("{}", engine::short(&other)),
        }
    }
    assert!(!refused.is_empty(), "24 MB do not fit into the link");
    assert!(done.contains(&1000), "the newest frame is never dropped: {done:?}");
}

#[tokio::test]
async fn a_lost_device_is_told_to_every_session() {
    let server = server();
    let mut engine = ready(&server).await;
    let mut bystander = Engine::greeted(&server).await;
    submit(&engine, frame(1, u64::MAX, vec![task(1)])).await;
    let refused = engine.refused().await;
    assert_eq!(refused.code, RefusalCode::Device);
    assert!(refused.reason.contains("burning"));
    assert_eq!(bystander.refused().await.code, RefusalCode::Device);
    assert!(server.failed().await.contains("burning"));
}

#[tokio::test]
async fn a_tracer_that_panics_is_a_lost_device() {
    let mut engine = ready(&server()).await;
    submit(&engine, frame(1, u64::MAX - 1, vec![task(1)])).await;
    let refused = engine.refused().await;
    assert_eq!(refused.code, RefusalCode::Device);
    assert!(refused.reason.contains("panicked"));
}

#[tokio::test]
async fn an_engine_that_vanishes_frees_its_session_at_once() {
    let gate = Gate::open();
    let server = server_with(gate.clone(), ServiceConfig::default());
    let mut engine = ready(&server).await;
    gate.set(false);
    submit(&engine, frame(1, 1, (1..=20).map(task).collect())).await;
    handled(&mut engine).await;
    drop(engine);
    while server.session_count() > 0 {
        tokio::task::yield_now().await;
    }
    gate.set(true);
    let mut next = ready(&server).await;
    submit(&next, frame(1, 1, vec![task(1)])).await;
    next.tile(1).await;
}
