//! Where a frame's time went is told where it went: time spent for nothing in a stage is seen in that stage and in no other. And the
//! timeline has it too.

use crate::embedded::{PATIENCE, event, square};
use crate::served::Served;
use glam::Vec3;
use rayloom::frame::Extent;
use rayloom::scene::Camera;
use rayloom::{Embedded, Event, FrameDesc, STAGES, Session, SessionDesc, StageTimes, ViewDesc};
use rayloom_peer::{InsertedTime, ServiceConfig, Traced};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Spent in one stage after the other.
const INSERTED: Duration = Duration::from_millis(20);
/// Small: without that no stage takes as long, in the fastest of so many frames.
const SIZE: Extent = Extent::new(32, 32);
const FRAMES: u64 = 24;

/// The fastest of some frames in each stage.
fn fastest(stage: &str, timeline: Option<PathBuf>) -> Vec<f32> {
    let spent = |name: &str| if name == stage { INSERTED } else { Duration::ZERO };
    let ms = |name: &str| spent(name).as_secs_f32() * 1e3;
    let inserted = InsertedTime { queue: spent("queue"), encode: spent("encode"), answer: spent("return") };
    let service = ServiceConfig { inserted, ..ServiceConfig::default() };
    // While scene state goes to the device, and while it traces.
    let (upload, trace) = (spent("upload"), spent("trace"));
    let peer = Served::around(service, move |_, traced| {
        std::thread::sleep(upload);
        let traced = traced()?;
        std::thread::sleep(trace);
        // As a device without a clock of its own tells it.
        Ok(Traced { traced: Instant::now(), on_device: None, ..traced })
    });
    let inserted = StageTimes {
        submit_ms: ms("submit"),
        analyse_ms: ms("analyse"),
        plan_ms: ms("plan"),
        send_ms: ms("send"),
        wait_ms: ms("wait"),
        merge_ms: ms("merge"),
        filter_ms: ms("filter"),
        compose_ms: ms("compose"),
        ..StageTimes::default()
    };
    let peers = vec![peer.address()];
    let desc = SessionDesc { peers, embedded: Embedded::Never, inserted, timeline, ..SessionDesc::default() };
    let session = Session::new(desc).unwrap();
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let revision = scene.commit().unwrap();
    event(&session, |event| matches!(event, Event::SceneReady { .. }).then_some(()));
    let mut desc = ViewDesc { tiles_per_peer: (1, 1), ..ViewDesc::new(SIZE) };
    desc.layers.iter_mut().for_each(|layer| layer.deadline = PATIENCE / 4);
    let view = session.create_view(desc).unwrap();
    let mut least = vec![f32::INFINITY; STAGES.len()];
    for frame_id in 0..FRAMES {
        view.begin_frame(FrameDesc::new(frame_id, revision, Camera::with_fov(0.9, 1.0))).unwrap();
        let output = view.acquire(frame_id, PATIENCE).unwrap();
        assert_eq!(output.fresh, 1.0, "{:?}", output.tiles);
        let times = STAGES.map(|(_, of)| of(&output.times));
        least.iter_mut().zip(times).for_each(|(least, ms)| *least = least.min(ms));
    }
    least
}

fn place_of(wanted: &str) -> usize {
    STAGES.iter().position(|(name, _)| *name == wanted).unwrap()
}

#[test]
fn time_that_is_spent_in_a_stage_is_seen_there_and_nowhere_else() {
    for (place, (stage, _)) in STAGES.iter().enumerate() {
        let least = fastest(stage, None);
        // How long a task and its answer were on their way is told by two clocks, which are compared twice a second: on a busy
        // machine only their sum is certain.
        let (send, back) = (place_of("send"), place_of("return"));
        let mut least = least;
        let on_the_way = least[send] + least[back];
        (least[send], least[back]) = if place == back { (0.0, on_the_way) } else { (on_the_way, 0.0) };
        for (other, ms) in least.iter().enumerate() {
            // Half of it: between the clocks of two sides lies what measuring them is off by.
            let is_spent = *ms >= INSERTED.as_secs_f32() * 1e3 / 2.0;
            assert_eq!(is_spent, other == place, "{stage}: {ms} ms in {}; {least:?}", STAGES[other].0);
        }
    }
}

#[test]
fn the_timeline_has_every_stage_of_every_frame_where_it_was() {
    let path = std::env::temp_dir().join(format!("rayloom-timeline-{}.json", std::process::id()));
    fastest("merge", Some(path.clone()));
    let events: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let name_of = |tid: &serde_json::Value| {
        let is_name = |event: &&serde_json::Value| event["name"] == "thread_name" && event["tid"] == *tid;
        events.iter().find(is_name).expect("every lane has a name")["args"]["name"].as_str().unwrap()
    };
    let lane_of = |event: &serde_json::Value| name_of(&event["tid"]);
    let merges = events.iter().filter(|event| event["name"] == "merge");
    let frames: Vec<u64> = merges.clone().map(|event| event["args"]["frame"].as_u64().unwrap()).collect();
    assert_eq!(frames, (0..FRAMES).collect::<Vec<_>>());
    for merge in merges {
        let (ts, dur) = (merge["ts"].as_f64().unwrap(), merge["dur"].as_f64().unwrap());
        assert!(dur >= 20e3, "{merge}");
        // The peer traced it before, on the engine's clock.
        let frame = &merge["args"]["frame"];
        let traced = |event: &&serde_json::Value| {
            event["name"] == "trace" && lane_of(event).starts_with("peer 0") && event["args"]["frame"] == *frame
        };
        let traced = events.iter().find(traced).expect("the peer's own span");
        assert!(traced["ts"].as_f64().unwrap() < ts, "{traced} before {merge}");
    }
    // Perfetto drops what overlaps with another span of its lane without being part of it.
    let mut spans: Vec<(u64, f64, f64)> = events
        .iter()
        .filter(|event| event["ph"] == "X")
        .map(|event| {
            let (ts, dur) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
            (event["tid"].as_u64().unwrap(), ts, ts + dur)
        })
        .collect();
    spans.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2)));
    for pair in spans.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        // Half a nanosecond is lost in microseconds.
        assert!(pair[0].2 <= pair[1].1 + 1e-3, "{pair:?} overlap in {}", name_of(&pair[0].0.into()));
    }
    let lanes: BTreeSet<&str> = spans.iter().map(|span| name_of(&span.0.into())).collect();
    assert!(lanes.contains("view 0") && lanes.contains("peer 0"), "{lanes:?}");
}

#[cfg(not(feature = "tracy"))]
#[test]
fn tracy_is_refused_where_the_build_has_none() {
    let error = Session::new(SessionDesc { tracy: true, ..SessionDesc::default() }).err().unwrap().to_string();
    assert!(error.contains("feature \"tracy\""), "{error}");
}

#[test]
fn a_timeline_that_can_t_be_made_is_an_error_at_once() {
    let timeline = Some(PathBuf::from("/nowhere/at/all.json"));
    let error = Session::new(SessionDesc { timeline, ..SessionDesc::default() }).err().unwrap().to_string();
    assert!(error.contains("/nowhere/at/all.json"), "{error}");
}
