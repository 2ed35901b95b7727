//! A profiler that connects gets every frame's stages from a session that shows them in Tracy: its protocol, spoken over TCP.

use rayloom::frame::Extent;
use rayloom::scene::Camera;
use rayloom::{Embedded, Event, FrameDesc, Session, SessionDesc, ViewDesc};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Of the version of Tracy that the workspace's Cargo.lock names (`TracyProtocol.hpp`).
const PROTOCOL: u32 = 82;
const WELCOME: u8 = 1;
/// Bytes of `WelcomeMessage`, and of `OnDemandPayloadMessage` behind it.
const WELCOME_BYTES: usize = 8 * 8 + 2 + 12 + 4 + 64 + 1024;
const ON_DEMAND_BYTES: usize = 16;
/// Where the status and the message's first six numbers end.
const PID_AT: usize = 1 + 6 * 8;
/// That it tries, one after the other.
const PORTS: RangeInclusive<u16> = 8086..=8105;
/// The most bytes of a block, and how many of those before it a block refers to.
const BLOCK_BYTES: usize = 256 * 1024;
const WINDOW_BYTES: usize = 64 * 1024;

/// A profiler as far as listening goes.
struct Profiler {
    stream: TcpStream,
    /// All that was told.
    told: Vec<u8>,
}

impl Profiler {
    /// To this process, whichever of Tracy's ports it listens on: others may be profiled too.
    fn connect() -> Profiler {
        let began = Instant::now();
        loop {
            if let Some(stream) = PORTS.into_iter().find_map(|port| Profiler::welcomed_at(port).ok().flatten()) {
                return Profiler { stream, told: Vec::new() };
            }
            assert!(began.elapsed() < PATIENCE, "Tracy of this process listens on none of {PORTS:?}");
            std::thread::yield_now();
        }
    }

    /// None where it is another process.
    fn welcomed_at(port: u16) -> std::io::Result<Option<TcpStream>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"TracyPrf")?;
        stream.write_all(&PROTOCOL.to_le_bytes())?;
        let mut answer = [0; 1 + WELCOME_BYTES + ON_DEMAND_BYTES];
        stream.read_exact(&mut answer)?;
        let pid = u64::from_le_bytes(answer[PID_AT..PID_AT + 8].try_into().unwrap());
        Ok((answer[0] == WELCOME && pid == u64::from(std::process::id())).then_some(stream))
    }

    /// Reads one block of what is told.
    fn read(&mut self) {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).unwrap();
        let mut coded = vec![0; u32::from_le_bytes(size) as usize];
        self.stream.read_exact(&mut coded).unwrap();
        let mut block = vec![0; BLOCK_BYTES];
        let window = &self.told[self.told.len().saturating_sub(WINDOW_BYTES)..];
        let bytes = lz4_flex::block::decompress_into_with_dict(&coded, &mut block, window).unwrap();
        self.told.extend_from_slice(&block[..bytes]);
    }

    fn reads_until(&mut self, text: &str) {
        let began = Instant::now();
        while !self.told.windows(text.len()).any(|window| window == text.as_bytes()) {
            self.read();
            assert!(began.elapsed() < PATIENCE, "Tracy was never told {text:?}");
        }
    }
}

#[test]
fn a_profiler_is_told_every_stage_on_the_engine_s_clock() {
    let desc =
        SessionDesc { embedded: Embedded::Always, embedded_allow_cpu: true, tracy: true, ..SessionDesc::default() };
    let session = Session::new(desc).unwrap();
    let mut profiler = Profiler::connect();
    let scene = session.create_scene();
    scene.replace(rayloom::scene::city(2_000, 1)).unwrap();
    let revision = scene.commit().unwrap();
    let began = Instant::now();
    while !matches!(session.poll_event(), Some(Event::SceneReady { .. })) {
        assert!(began.elapsed() < PATIENCE, "the scene is never ready");
        std::thread::yield_now();
    }
    let mut desc = ViewDesc::new(Extent::new(64, 64));
    desc.layers.iter_mut().for_each(|layer| layer.deadline = PATIENCE / 4);
    let view = session.create_view(desc).unwrap();
    for frame_id in 0..3 {
        view.begin_frame(FrameDesc::new(frame_id, revision, Camera::with_fov(0.9, 1.0))).unwrap();
        view.acquire(frame_id, PATIENCE).unwrap();
    }
    for told in
        ["rayloom view 0", "frame 2, 100 % fresh", "rayloom embedded peer", "submit", "trace", "merge", "compose"]
    {
        profiler.reads_until(told);
    }
}
