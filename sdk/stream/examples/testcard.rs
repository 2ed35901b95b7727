//! Serves a moving test card until Enter or the end of standard input:
//! `cargo run -p rayloom-stream --example testcard -- 127.0.0.1:8080 640x360 30 [TOKEN]`

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use rayloom_stream::{InputEvent, InputKind, StreamDesc, StreamServer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let listen = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned()).parse()?;
    let size = args.next().unwrap_or_else(|| "640x360".to_owned());
    let (width, height) = size.split_once('x').ok_or("the size is not WIDTHxHEIGHT")?;
    let (width, height): (u32, u32) = (width.parse()?, height.parse()?);
    let fps: f32 = args.next().unwrap_or_else(|| "30".to_owned()).parse()?;
    let token = args.next();
    let page = token.as_ref().map_or(String::new(), |token| format!("#token={token}"));

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let desc = StreamDesc { listen, token, width, height, max_fps: fps, ..StreamDesc::default() };
    let stream = StreamServer::start(desc, runtime.handle())?;
    println!("watch at http://{}/{page}", stream.local_addr());
    std::io::stdout().flush()?;

    let (end_sender, end) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        let _ = end_sender.send(());
    });

    let mut card = Card { width, height, x: 0.0, y: 0.0, rgba: Vec::new() };
    let mut events = vec![InputEvent::default(); 64];
    let start = Instant::now();
    let mut next = start;
    let mut second = 0;
    while end.try_recv().is_err() {
        let count = stream.poll_input(&mut events);
        for event in &events[..count] {
            match &event.kind {
                InputKind::PointerMove { dx, dy } => {
                    card.x += dx;
                    card.y += dy;
                }
                other => println!("viewer {}: {other:?}", event.viewer),
            }
        }
        let elapsed = start.elapsed();
        card.draw(elapsed);
        let time_ns = u64::try_from(elapsed.as_nanos())?.max(1);
        stream.submit_image(&card.rgba, width, height, width as usize * 4, time_ns)?;
        if elapsed.as_secs() > second {
            second = elapsed.as_secs();
            let stats = stream.stats();
            stream.send_message(&format!(
                "{:.0} fps, encode {:.1} ms, convert {:.2} ms, {} bytes a frame, {} viewers",
                stats.fps, stats.encode_ms, stats.convert_ms, stats.frame_bytes, stats.viewers
            ))?;
        }
        next += Duration::from_secs_f32(1.0 / fps);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Colour bars over a moving gradient, and a square that follows the mouse.
struct Card {
    width: u32,
    height: u32,
    x: f32,
    y: f32,
    rgba: Vec<u8>,
}

impl Card {
    fn draw(&mut self, elapsed: Duration) {
        const BARS: [[u8; 3]; 7] =
            [[191, 191, 191], [191, 191, 0], [0, 191, 191], [0, 191, 0], [191, 0, 191], [191, 0, 0], [0, 0, 191]];
        let side = (self.height / 10) as f32;
        let left = (self.width as f32 / 2.0 + self.x).rem_euclid(self.width as f32 - side);
        let top = (self.height as f32 / 2.0 + self.y).rem_euclid(self.height as f32 - side);
        let shift = (elapsed.as_millis() / 8) as u32;
        self.rgba.clear();
        for y in 0..self.height {
            for x in 0..self.width {
                let square = (left..left + side).contains(&(x as f32)) && (top..top + side).contains(&(y as f32));
                let [r, g, b] = if square {
                    [255, 255, 255]
                } else if y * 3 < self.height * 2 {
                    BARS[(x * 7 / self.width) as usize]
                } else {
                    [(x + shift) as u8, (y * 2) as u8, 128]
                };
                self.rgba.extend([r, g, b, 255]);
            }
        }
    }
}
