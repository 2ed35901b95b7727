//! A served test picture, and how close a shown one comes to it (PSNR).
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rayloom_stream::{Stream, StreamDesc, StreamServer};
use tokio::runtime::Runtime;

pub(crate) const WIDTH: u32 = 640;
pub(crate) const HEIGHT: u32 = 360;

/// A runtime with two threads, as an engine might give.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the system gives threads")
}

/// A stream of one still picture, submitted 30 times a second until it is dropped.
pub(crate) struct Served {
    pub(crate) stream: Arc<Stream>,
    pub(crate) picture: Vec<u8>,
    ended: Arc<AtomicBool>,
    engine: Option<JoinHandle<()>>,
    pub(crate) runtime: Runtime,
}

impl Served {
    pub(crate) fn start(desc: StreamDesc) -> Self {
        let runtime = runtime();
        let desc = StreamDesc { width: WIDTH, height: HEIGHT, ..desc };
        let stream = Arc::new(StreamServer::start(desc, runtime.handle()).expect("a free port"));
        let picture = test_picture();
        let ended = Arc::new(AtomicBool::new(false));
        let engine = {
            let (stream, picture, ended) = (Arc::clone(&stream), picture.clone(), Arc::clone(&ended));
            std::thread::spawn(move || {
                let start = Instant::now();
                let mut next = start;
                while !ended.load(Ordering::Acquire) {
                    let time_ns = start.elapsed().as_nanos() as u64 + 1;
                    let row = WIDTH as usize * 4;
                    if stream.submit_image(&picture, WIDTH, HEIGHT, row, time_ns).is_err() {
                        return;
                    }
                    // An engine's own pace.
                    next += Duration::from_millis(33);
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            })
        };
        Self { stream, picture, ended, engine: Some(engine), runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.stream.local_addr())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(engine) = self.engine.take() {
            engine.join().expect("submitting does not panic");
        }
        self.stream.close();
    }
}

/// Soft colours all over the cube, with a few hard edges: RGBA8, `WIDTH` x `HEIGHT`.
pub(crate) fn test_picture() -> Vec<u8> {
    let mut rgba = Vec::with_capacity((WIDTH * HEIGHT * 4) as usize);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (u, v) = (x as f32 / WIDTH as f32, y as f32 / HEIGHT as f32);
            let soft = [(u * 230.0) as u8 + 10, (v * 200.0) as u8 + 30, ((1.0 - u) * v * 220.0) as u8 + 20];
            // Blocks on multiples of 16: edges, but none inside a macroblock.
            let block = (x / 80 + y / 80) % 5 == 0 && x % 80 < 32 && y % 80 < 32;
            let [r, g, b] = if block { [220, 60, 40] } else { soft };
            rgba.extend([r, g, b, 255]);
        }
    }
    rgba
}

/// Peak signal-to-noise ratio of the colours of two RGBA8 images, dB.
pub(crate) fn psnr_db(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len(), "sizes differ");
    let mut squares = 0.0;
    for (a, b) in a.chunks_exact(4).zip(b.chunks_exact(4)) {
        for channel in 0..3 {
            let error = f64::from(a[channel]) - f64::from(b[channel]);
            squares += error * error;
        }
    }
    let mean = squares / (a.len() as f64 * 0.75);
    10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
}
