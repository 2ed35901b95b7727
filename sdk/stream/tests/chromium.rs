//! A real Chromium plays the demo page: frames are decoded, the canvas shows the submitted
//! picture, input and messages go both ways, and the page hears the end at once.
#![cfg(feature = "h264")]

mod served_picture;

use std::time::{Duration, Instant};

use rayloom_stream::{InputEvent, InputKind, KeyCode, StreamDesc};
use rayloom_test_clients::Browser;
use served_picture::{HEIGHT, Served, WIDTH, psnr_db};

const PATIENCE: Duration = Duration::from_secs(90);

/// Moves the input that has come into `events`.
fn poll(served: &Served, events: &mut Vec<InputEvent>) {
    let mut some = vec![InputEvent::default(); 32];
    let count = served.stream.poll_input(&mut some);
    events.extend(some.into_iter().take(count));
}

#[test]
fn chromium_plays_the_stream_and_sends_input() {
    let served = Served::start(StreamDesc { token: Some("sesame".to_owned()), ..StreamDesc::default() });
    let Some(browser) = Browser::open(&served.url(), "sesame") else { return };
    let seen = browser.watched(|| served.stream.send_message("hello page").expect("short enough"));
    let watched = &seen.report;
    assert_eq!(watched["problems"], serde_json::json!([]));
    assert_eq!((watched["width"].as_u64(), watched["height"].as_u64()), (Some(WIDTH.into()), Some(HEIGHT.into())));
    let stock = serde_json::json!({ "videoWidth": WIDTH, "soundRefused": true });
    assert_eq!(watched["stock"], stock);
    let (before, after) = (watched["before"].as_u64().unwrap(), watched["after"].as_u64().unwrap());
    assert!(after >= before + 30, "framesDecoded went from {before} to {after}");
    let psnr = psnr_db(&served.picture, &seen.canvas);
    println!("PSNR of the canvas: {psnr:.1} dB");
    assert!(psnr > 35.0, "the canvas does not show the picture: PSNR {psnr:.1} dB");

    // Input is on its way still: wait for what the page sent last, and for the wheel, which
    // Chromium sends when its compositor has a moment.
    let wheel = InputKind::Wheel { dx: 0.0, dy: 120.0 };
    let text = InputKind::Text("hello engine".to_owned());
    let mut events = Vec::new();
    let start = Instant::now();
    while ![&wheel, &text].iter().all(|wanted| events.iter().any(|event: &InputEvent| event.kind == **wanted)) {
        assert!(start.elapsed() < PATIENCE, "only this input came: {events:?}");
        poll(&served, &mut events);
        std::thread::sleep(Duration::from_millis(10));
    }
    let key = |name, down| InputKind::Key { code: KeyCode::new(name).unwrap(), down };
    let kinds: Vec<&InputKind> = events.iter().map(|event| &event.kind).collect();
    let position = |wanted: &InputKind| {
        kinds.iter().position(|kind| *kind == wanted).unwrap_or_else(|| panic!("no {wanted:?} in {kinds:?}"))
    };
    assert!(position(&key("KeyW", true)) < position(&key("KeyW", false)));
    let down = position(&InputKind::PointerButton { button: 0, down: true });
    assert!(down < position(&InputKind::PointerButton { button: 0, down: false }));
    let (mut x, mut y) = (0.0, 0.0);
    for kind in &kinds {
        if let InputKind::PointerMove { dx, dy } = kind {
            x += dx;
            y += dy;
        }
    }
    assert_eq!((x, y), (40.0, -20.0), "the drag in all");
    // The page still holds this one.
    position(&key("Digit1", true));
    assert!(!kinds.contains(&&key("Digit1", false)));

    events.clear();
    let stats = served.stream.stats();
    assert_eq!(stats.viewers, 1, "the stock player has left");
    served.stream.close();
    let ended = browser.ended();
    poll(&served, &mut events);
    assert!(ended.contains("the stream has ended"), "{ended}");
    assert!(events.iter().any(|event| event.kind == key("Digit1", false)), "left holding a key");
}
