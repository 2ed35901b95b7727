//! The generated city over the peers named on the command line: prints a line a second, writes the last frame.
//!
//! `cargo run -p rayloom --example city -- 256x144 100 TOKEN http://127.0.0.1:4700 ... > /dev/null`; a peer's pin is written
//! behind its URL: `https://54.123.45.67:4700#sha256:...`.

use rayloom::frame::{Extent, LayerKind};
use rayloom::scene::city::{city, pose};
use rayloom::{Accumulation, Embedded, Error, FrameDesc, PeerAddress, Session, SessionDesc, ViewDesc};
use std::io::Write;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = tracing_subscriber::EnvFilter::from_env("RAYLOOM_LOG");
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut words = std::env::args().skip(1);
    let size = words.next().unwrap_or("256x144".into());
    let (width, height) = size.split_once('x').ok_or("the size is WxH")?;
    let size = Extent::new(width.parse()?, height.parse()?);
    let frames: u64 = words.next().unwrap_or("100".into()).parse()?;
    let token = words.next();
    let mut peers = Vec::new();
    for word in words {
        peers.push(PeerAddress::parse(&word, token.as_deref())?);
    }
    let embedded = if peers.is_empty() { Embedded::Always } else { Embedded::Never };
    let session = Session::new(SessionDesc { peers, embedded, embedded_allow_cpu: true, ..SessionDesc::default() })?;

    let mut desc = ViewDesc::new(size);
    desc.accumulation = Accumulation::Frames(12);
    for layer in &mut desc.layers {
        layer.deadline = Duration::from_secs(1);
        layer.request.scale =
            if matches!(layer.request.kind, LayerKind::Specular | LayerKind::Indirect) { 2 } else { 1 };
    }
    let view = session.create_view(desc)?;
    let mut source = city(200_000, 1);
    let camera = source.default_camera(size.width as f32 / size.height as f32);
    let scene = session.create_scene();
    scene.replace(source.clone())?;

    let start = Instant::now();
    let (mut printed, mut frame_id, mut fresh) = (Instant::now(), 0, 0);
    let mut last = None;
    while fresh < frames {
        pose(&mut source, start.elapsed().as_secs_f64());
        let moved = source.instances.iter().enumerate().filter(|(_, instance)| instance.user_id < 9);
        let moved: Vec<_> = moved.map(|(index, instance)| (index as u32, instance.transform)).collect();
        scene.set_transforms(&moved)?;
        let revision = scene.commit()?;
        match view.begin_frame(FrameDesc::new(frame_id, revision, camera)) {
            Ok(()) => frame_id += 1,
            Err(Error::Busy { .. }) => {
                // Whatever frame comes next makes room for one more.
                let next = last.as_ref().map_or(0, |output: &std::sync::Arc<rayloom::Output>| output.frame_id + 1);
                let output = view.acquire(next, Duration::from_secs(10))?;
                fresh += u64::from(output.fresh >= rayloom::FRESH_SHARE);
                last = Some(output);
            }
            Err(error) => return Err(error.into()),
        }
        while let Some(event) = session.poll_event() {
            eprintln!("{event}");
        }
        if printed.elapsed() > Duration::from_secs(1) {
            eprintln!("{}", view.stats());
            printed = Instant::now();
        }
    }
    if let Some(output) = last {
        let mut ppm = format!("P6 {} {} 255\n", size.width, size.height).into_bytes();
        ppm.extend(output.color.chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec()));
        std::io::stdout().write_all(&ppm)?;
    }
    Ok(())
}
