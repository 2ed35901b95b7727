//! A real Chromium plays the demo page: frames are decoded, the canvas shows the submitted
//! picture, input and messages go both ways, and the page hears the end at once.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{HEIGHT, Served, WIDTH, available, psnr_db, repository};
use rayloom_stream::{InputEvent, InputKind, KeyCode, StreamDesc};

const PATIENCE: Duration = Duration::from_secs(90);

/// Ends the browser's driver with the test, whatever happens.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // Closing the pipes lets it end by itself; it may have done so already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn chromium() -> Option<&'static str> {
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
        .into_iter()
        .find(|path| Path::new(path).exists())
}

/// Moves the input that has come into `events`.
fn poll(served: &Served, events: &mut Vec<InputEvent>) {
    let mut some = vec![InputEvent::default(); 32];
    let count = served.stream.poll_input(&mut some);
    events.extend(some.into_iter().take(count));
}

/// The next line of the driver, which must be of this `phase`; greets the page meanwhile.
fn wait_for(phase: &str, lines: &Receiver<String>, served: &Served) -> serde_json::Value {
    let start = Instant::now();
    loop {
        served.stream.send_message("hello page").expect("short enough");
        match lines.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => {
                let value: serde_json::Value = serde_json::from_str(&line).expect("JSON lines");
                assert_eq!(value["phase"], phase, "{line}");
                return value;
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                assert!(start.elapsed() < PATIENCE, "the browser's driver said nothing");
            }
            Err(error) => panic!("the browser's driver ended early ({error}); see its output"),
        }
    }
}

#[test]
fn chromium_plays_the_stream_and_sends_input() {
    let browser = chromium();
    let driver = repository().join("bindings/web/node_modules/playwright-core").exists();
    if !available("Chromium", browser.is_some(), "apt-get install chromium")
        || !available("playwright-core", driver, "run `npm ci` in bindings/web")
    {
        return;
    }
    let served = Served::start(StreamDesc { token: Some("sesame".to_owned()), ..StreamDesc::default() });
    let pixels = std::env::temp_dir().join(format!("rayloom-canvas-{}.rgba", std::process::id()));
    let task = serde_json::json!({
        "url": format!("{}/#token=sesame", served.url()),
        "chromium": browser,
        "pixels": pixels,
        "screenshot": std::env::var("RAYLOOM_SCREENSHOT").ok(),
    });
    let mut child = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/watch.mjs"))
        .arg(task.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs where npm does");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let _driver = Driver(child);
    let (line_sender, lines) = channel();
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if line_sender.send(line).is_err() {
                return;
            }
        }
    });

    let watched = wait_for("watched", &lines, &served);
    println!("{watched}");
    assert_eq!(watched["problems"], serde_json::json!([]));
    assert_eq!((watched["width"].as_u64(), watched["height"].as_u64()), (Some(WIDTH.into()), Some(HEIGHT.into())));
    let stock = serde_json::json!({ "videoWidth": WIDTH, "soundRefused": true });
    assert_eq!(watched["stock"], stock);
    let (before, after) = (watched["before"].as_u64().unwrap(), watched["after"].as_u64().unwrap());
    assert!(after >= before + 30, "framesDecoded went from {before} to {after}");
    let canvas = std::fs::read(&pixels).expect("the driver wrote the canvas");
    std::fs::remove_file(&pixels).expect("it is ours");
    let psnr = psnr_db(&served.picture, &canvas);
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
    let ended = wait_for("ended", &lines, &served);
    poll(&served, &mut events);
    assert!(ended["status"].as_str().unwrap().contains("the stream has ended"), "{ended}");
    assert!(events.iter().any(|event| event.kind == key("Digit1", false)), "left holding a key");
}
