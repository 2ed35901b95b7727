//! From peers to viewers: what a browser and aiortc show is the frame that the session merged, and a key pressed in the
//! page arrives in the engine.

use crate::engine::{Engine, city, session_desc, view_desc};
use crate::fleet::Fleet;
use rayloom::frame::{Extent, metrics::psnr_rgba8};
use rayloom::stream::{InputEvent, InputKind, KeyCode, PICTURE_STAGES, Stream, StreamDesc};
use rayloom::{Accumulation, SessionDesc};
use rayloom_test_clients::{Browser, watch_with_aiortc};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

const SIZE: Extent = Extent::new(256, 144);
/// Frames after which accumulated samples hardly change a still picture any more.
const CONVERGED: u64 = 60;
/// What H.264 and the last noise may cost.
const PSNR_DB: f64 = 28.0;

/// An engine on two peers that streams a still picture which has converged.
struct Streaming {
    engine: Engine,
    stream: Stream,
    /// The last picture that was submitted.
    picture: Vec<u8>,
    _fleet: Fleet,
}

impl Streaming {
    fn start(token: Option<&str>, timeline: Option<PathBuf>) -> Streaming {
        let fleet = Fleet::start(2);
        let mut desc = view_desc(SIZE);
        desc.accumulation = Accumulation::Frames(64);
        desc.output_planes = false;
        let session = SessionDesc { peers: fleet.addresses(), timeline, ..session_desc() };
        let mut engine = Engine::of(session, desc, city());
        engine.whole_frame_by(&[0, 1]);
        let desc = StreamDesc {
            token: token.map(str::to_owned),
            width: SIZE.width,
            height: SIZE.height,
            ..StreamDesc::default()
        };
        let stream = engine.session.start_stream(desc).unwrap();
        let mut this = Streaming { engine, stream, picture: Vec::new(), _fleet: fleet };
        while this.engine.next_frame_id < CONVERGED {
            this.frame();
        }
        this
    }

    fn url(&self) -> String {
        format!("http://{}", self.stream.local_addr())
    }

    /// The next merged frame goes to the stream.
    fn frame(&mut self) {
        let output = self.engine.frame();
        let (width, height) = (output.size.width, output.size.height);
        let time_ns = self.engine.session.now_ns();
        self.stream.submit_image(&output.color, width, height, width as usize * 4, time_ns).unwrap();
        self.picture = output.color.to_vec();
    }

    fn assert_shown(&self, pixels: &[u8]) {
        let psnr = psnr_rgba8(&self.picture, pixels);
        println!("PSNR against the merged frame: {psnr:.1} dB");
        assert!(psnr >= PSNR_DB, "the merged frame is not what is shown: PSNR {psnr:.1} dB");
        let grey = vec![128; self.picture.len()];
        assert!(psnr_rgba8(&grey, pixels) < PSNR_DB, "a grey picture would pass too");
    }
}

#[test]
fn chromium_shows_the_merged_frame() {
    let timeline = std::env::temp_dir().join(format!("rayloom-streamed-{}.json", std::process::id()));
    let mut streaming = Streaming::start(Some("sesame"), Some(timeline.clone()));
    let Some(browser) = Browser::open(&streaming.url(), "sesame") else {
        drop(streaming);
        return std::fs::remove_file(&timeline).unwrap();
    };
    let watched = browser.watched(|| {
        streaming.frame();
        streaming.stream.send_message("hello page").unwrap();
    });
    let report = &watched.report;
    assert_eq!(report["problems"], serde_json::json!([]));
    let (before, after) = (report["before"].as_u64().unwrap(), report["after"].as_u64().unwrap());
    assert!(after >= before + 30, "framesDecoded went from {before} to {after}");
    streaming.assert_shown(&watched.canvas);

    let key = InputKind::Key { code: KeyCode::new("KeyW").unwrap(), down: true };
    let mut events = vec![InputEvent::default(); 64];
    let mut seen = Vec::new();
    while !seen.iter().any(|event: &InputEvent| event.kind == key) {
        streaming.frame();
        let count = streaming.stream.poll_input(&mut events);
        seen.extend_from_slice(&events[..count]);
        assert!(streaming.engine.next_frame_id < 10_000, "no key among {seen:?}");
    }
    streaming.stream.close();
    assert!(browser.ended().contains("the stream has ended"));

    // Where the time of each picture went is told on the same clock as the frames' own.
    drop(streaming);
    let events: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&timeline).unwrap()).unwrap();
    std::fs::remove_file(&timeline).unwrap();
    let spans = |name: &str| events.iter().filter(|event| event["name"] == name).collect::<Vec<_>>();
    for (name, _) in PICTURE_STAGES {
        assert!(spans(name).len() >= 30, "{} pictures have a span {name}", spans(name).len());
    }
    for picture in spans("convert") {
        let (ts, submitted_ns) = (picture["ts"].as_f64().unwrap(), &picture["args"]["picture_time_ns"]);
        let ahead_us = ts - submitted_ns.as_f64().unwrap() / 1e3;
        assert!((0.0..1e6).contains(&ahead_us), "{picture} begins when it was handed over");
    }
}

#[test]
fn aiortc_decodes_the_merged_frame() {
    let mut streaming = Streaming::start(None, None);
    let url = streaming.url();
    let ended = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let viewer = scope.spawn(|| {
            let _guard = Ended(&ended);
            watch_with_aiortc(&url, 45)
        });
        while !ended.load(Ordering::Acquire) {
            streaming.frame();
        }
        viewer.join().unwrap()
    });
    let Some((report, picture)) = seen else { return };
    assert_eq!((report["width"].as_u64(), report["height"].as_u64()), (Some(256), Some(144)));
    assert_eq!(report["increasing"], true);
    streaming.assert_shown(&picture);
}

/// Tells the engine that nobody watches any more, also when watching failed.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
