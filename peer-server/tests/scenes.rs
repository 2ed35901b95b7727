//! How scenes get to a peer: only what it lacks, verified, resumed; and what happens when that fails.

mod engine;

use engine::{Engine, Gate, blob, city, frame, packed_city, part, server, server_with, task};
use rayloom_peer::{CacheConfig, ServiceConfig};
use rayloom_scene::assets::{Blob, PackedScene, pack};
use rayloom_wire::{Message, RefusalCode, SceneStage};
use std::path::PathBuf;

fn failed(stage: SceneStage) -> String {
    match stage {
        SceneStage::Failed { reason } => reason,
        other => panic!("the scene should have failed: {other:?}"),
    }
}

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("rayloom-scenes-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }

    fn config(&self) -> ServiceConfig {
        let cache = CacheConfig { dir: Some(self.0.clone()), ..CacheConfig::default() };
        ServiceConfig { cache, ..ServiceConfig::default() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn two_revisions() -> (PackedScene, PackedScene) {
    let first = city();
    let mut second = first.clone();
    second.instances[0].transform.translation.x += 1.0;
    (pack(&first), pack(&second))
}

#[tokio::test]
async fn a_peer_asks_once_for_each_blob_and_the_next_session_sends_nothing() {
    let server = server();
    let scene = packed_city();
    let mut engine = Engine::greeted(&server).await;
    let (asked, stage) = engine.provide(1, &scene).await;
    assert_eq!(stage, SceneStage::Ready);
    assert_eq!(asked.len(), scene.blobs.len() + 1);
    let mut second = Engine::greeted(&server).await;
    let (asked, stage) = second.provide(1, &scene).await;
    assert_eq!((asked.len(), stage), (0, SceneStage::Ready));
}

#[tokio::test]
async fn a_restarted_peer_finds_its_scenes_on_disk() {
    let folder = Folder::new("restart");
    let scene = packed_city();
    for expected in [scene.blobs.len() + 1, 0] {
        let server = server_with(Gate::open(), folder.config());
        let (asked, stage) = Engine::greeted(&server).await.provide(1, &scene).await;
        assert_eq!((asked.len(), stage), (expected, SceneStage::Ready));
    }
}

#[tokio::test]
async fn a_revision_that_moves_an_instance_sends_its_root_alone() {
    let server = server();
    let mut engine = Engine::greeted(&server).await;
    let (first, second) = two_revisions();
    engine.provide(1, &first).await;
    let (asked, stage) = engine.provide(2, &second).await;
    assert_eq!(stage, SceneStage::Ready);
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), vec![second.root.id.0]);
}

#[tokio::test]
async fn a_cut_upload_is_resumed_where_it_was_cut() {
    let folder = Folder::new("cut");
    for config in [ServiceConfig::default(), folder.config()] {
        let server = server_with(Gate::open(), config);
        let scene = packed_city();
        let largest = scene.blobs.iter().max_by_key(|b| b.bytes.len()).unwrap();
        let cut = (largest.bytes.len() / 2).min(rayloom_wire::limits::BLOB_PART_BYTES);
        let mut engine = Engine::greeted(&server).await;
        engine.offer(1, &scene.root).await;
        let root = engine.need_or_stage().await.unwrap();
        assert_eq!(root.blobs, vec![(scene.root.id.0, 0)]);
        engine.send_blob(&scene.root, 0).await;
        engine.need_or_stage().await.unwrap();
        engine.send(part(largest, 0, cut)).await;
        // Progress is told of the first piece: then it is in.
        let stage = loop {
            if let Message::SceneStatus(status) = engine.next().await {
                break status.stage;
            }
        };
        let had = (scene.root.bytes.len() + cut) as u64;
        assert!(matches!(stage, SceneStage::Receiving { have, .. } if have == had), "{stage:?}");
        drop(engine);
        // The cut is noticed and the piece laid aside while the next session begins: until then it would start anew.
        let (mut engine, need) = loop {
            let mut engine = Engine::greeted(&server).await;
            engine.offer(1, &scene.root).await;
            let need = engine.need_or_stage().await.unwrap();
            if need.blobs.iter().any(|(_, from)| *from > 0) {
                break (engine, need);
            }
        };
        assert!(!need.blobs.iter().any(|(id, _)| *id == scene.root.id.0), "the root is here already");
        for (id, from) in need.blobs {
            assert_eq!(from, if id == largest.id.0 { cut as u64 } else { 0 });
            engine.send_blob(blob(&scene, id), from).await;
        }
        assert_eq!(engine.need_or_stage().await, Err(SceneStage::Ready));
    }
}

#[tokio::test]
async fn a_forged_blob_fails_its_revision_and_the_last_ready_one_stays() {
    let server = server();
    let mut engine = Engine::greeted(&server).await;
    let (good, next) = two_revisions();
    assert_eq!(engine.provide(1, &good).await.1, SceneStage::Ready);
    engine.offer(2, &next.root).await;
    engine.need_or_stage().await.unwrap();
    let mut forged = next.root.bytes.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    engine.send_blob(&Blob { id: next.root.id, bytes: forged.into() }, 0).await;
    let reason = failed(engine.need_or_stage().await.unwrap_err());
    assert!(reason.contains(&next.root.id.to_string()), "{reason}");
    engine.send(Message::FrameTasks(frame(1, 7, vec![task(1)]))).await;
    engine.tile(1).await;
    engine.send(Message::FrameTasks(frame(2, 8, vec![task(2)]))).await;
    assert!(engine.refusal(2).await.contains("not ready"));
    assert_eq!(engine.provide(2, &next).await.1, SceneStage::Ready, "the true one is taken afterwards");
}

#[tokio::test]
async fn a_root_that_is_no_scene_fails_with_a_reason() {
    let mut engine = Engine::greeted(&server()).await;
    let nonsense = PackedScene { root: Blob::new(b"this is no scene at all".to_vec().into()), blobs: Vec::new() };
    let reason = failed(engine.provide(1, &nonsense).await.1);
    assert!(reason.contains("root"), "{reason}");
    assert_eq!(engine.provide(2, &packed_city()).await.1, SceneStage::Ready);
}

#[tokio::test]
async fn what_the_device_refuses_fails_with_its_reason() {
    let mut engine = Engine::greeted(&server()).await;
    let empty = pack(&rayloom_scene::Scene { instances: Vec::new(), ..city() });
    assert!(failed(engine.provide(1, &empty).await.1).contains("without instances"));
}

#[tokio::test]
async fn a_blob_that_was_not_asked_for_ends_the_session() {
    let server = server();
    let scene = packed_city();
    let mut engine = Engine::greeted(&server).await;
    engine.send_blob(&scene.blobs[0], 0).await;
    assert_eq!(engine.refused().await.code, RefusalCode::Protocol);
    let mut engine = Engine::greeted(&server).await;
    engine.offer(1, &scene.root).await;
    engine.need_or_stage().await.unwrap();
    engine.send_blob(&scene.blobs[0], 0).await;
    assert_eq!(engine.refused().await.code, RefusalCode::Protocol);
}

#[tokio::test]
async fn pieces_out_of_order_end_the_session() {
    let scene = packed_city();
    let mut engine = Engine::greeted(&server()).await;
    engine.offer(1, &scene.root).await;
    engine.need_or_stage().await.unwrap();
    engine.send(part(&scene.root, 5, 10)).await;
    let refused = engine.refused().await;
    assert_eq!(refused.code, RefusalCode::Protocol);
    assert!(refused.reason.contains("byte 5"), "{}", refused.reason);
}

#[tokio::test]
async fn a_scene_beyond_the_cache_is_refused_before_it_is_sent() {
    let cache = CacheConfig { dir: None, limit_bytes: 100_000 };
    let server = server_with(Gate::open(), ServiceConfig { cache, ..ServiceConfig::default() });
    let mut engine = Engine::greeted(&server).await;
    let scene = packed_city();
    let (asked, stage) = engine.provide(1, &scene).await;
    assert!(asked.len() <= 1, "at most the root was sent");
    assert!(failed(stage).contains("100000"));
}

#[tokio::test]
async fn many_blobs_are_asked_for_in_bounded_messages() {
    let server = server();
    let mut scene = city();
    let mesh = (*scene.meshes[0]).clone();
    for i in 0..1500 {
        let mut copy = mesh.clone();
        copy.positions[0].y += i as f32 * 1e-3;
        scene.meshes.push(std::sync::Arc::new(copy));
    }
    let (asked, stage) = Engine::greeted(&server).await.provide(1, &pack(&scene)).await;
    assert_eq!(stage, SceneStage::Ready);
    assert!(asked.len() > rayloom_wire::limits::BLOBS_PER_NEED);
}
