//! Peers that do not trace what they are asked to: found by tracing some tiles again, blocked, and the evidence written down;
//! and honest ones, which nobody suspects.

use crate::embedded::{PATIENCE, SIZE, event, square};
use crate::gbuffer;
use crate::served::{Served, tracer};
use bytes::Bytes;
use glam::Vec3;
use rayloom::frame::codec::{
    CodecMode, DEFAULT_MAX_SLICE_BYTES, DecodeLimits, Decoder, Slice, SlicePixels, encode_tile,
};
use rayloom::frame::{LayerKind, LayerPlane, PlaneKind, TracedTile};
use rayloom::scene::Camera;
use rayloom::{
    Accumulation, Embedded, Event, FrameDesc, Output, PeerAddress, Session, SessionDesc, Verification,
    VerificationStats, ViewDesc, ViewHandle,
};
use rayloom_peer::{PeerServer, ServiceConfig};
use rayloom_transport::signalling::{SignallingConfig, listen, serve};
use rayloom_transport::{Channel, Connection, Link, LinkStats, SendError};
use rayloom_wire::{Message, TileSlice};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Traces with half of the light, and commits to that.
fn liar() -> Served {
    Served::around(ServiceConfig::default(), |_, trace| {
        let mut traced = trace()?;
        traced.tile.layers.iter_mut().for_each(|layer| dimmed(&mut layer.pixels));
        Ok(traced)
    })
}

fn dimmed(pixels: &mut [[u16; 4]]) {
    for channel in pixels.iter_mut().flat_map(|pixel| &mut pixel[..3]) {
        *channel = half::f16::from_f32(half::f16::from_bits(*channel).to_f32() * 0.5).to_bits();
    }
}

/// Sends other pixels than were traced, with the digest of what was.
struct Tampering(Arc<dyn Link>);

fn tampered(slice: TileSlice) -> TileSlice {
    let PlaneKind::Layer(kind @ (LayerKind::Direct | LayerKind::Unlit)) = slice.plane else { return slice };
    let TileSlice { plane, scale, codec, rect, ref payload, .. } = slice;
    let coded = Slice { plane, scale, codec, rect, payload: payload.clone() };
    let decoded = Decoder::default().decode(&coded, DecodeLimits::new(SIZE)).unwrap();
    let SlicePixels::Layer(mut pixels) = decoded.pixels else { return slice };
    dimmed(&mut pixels);
    let layers = vec![LayerPlane { kind, scale, rect, pixels }];
    let tile = TracedTile { rect, layers, primary: None, block_rays: Vec::new() };
    let [coded] = encode_tile(&tile, CodecMode::Rgb9e5, DEFAULT_MAX_SLICE_BYTES).try_into().unwrap();
    TileSlice { codec: coded.codec, payload: coded.payload, ..slice }
}

impl Link for Tampering {
    fn send(&self, channel: Channel, message: Bytes) -> Result<(), SendError> {
        match Message::decode(message.clone()) {
            Ok(Message::TileSlice(slice)) => self.0.send(channel, Message::TileSlice(tampered(slice)).encode()),
            _ => self.0.send(channel, message),
        }
    }

    fn outstanding_bytes(&self, channel: Channel) -> usize {
        self.0.outstanding_bytes(channel)
    }

    fn writable(&self, channel: Channel) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + '_>> {
        self.0.writable(channel)
    }

    fn close(&self, reason: &str) {
        self.0.close(reason);
    }

    fn settled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.settled()
    }

    fn stats(&self) -> LinkStats {
        self.0.stats()
    }

    fn description(&self) -> String {
        self.0.description()
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("rayloom-{name}-{}", std::process::id()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    folder
}

/// Every tile is traced again.
fn session(peers: Vec<PeerAddress>, embedded: Embedded, evidence: Option<PathBuf>) -> Session {
    let verification = Verification { share: 1.0, evidence };
    let desc = SessionDesc { peers, embedded, embedded_allow_cpu: true, verification, ..SessionDesc::default() };
    Session::new(desc).unwrap()
}

pub(crate) fn camera(frame_id: u64) -> Camera {
    let aspect = SIZE.width as f32 / SIZE.height as f32;
    let mut camera = Camera::with_fov(0.9, aspect);
    camera.position.x += frame_id as f32 * 0.001;
    camera
}

/// Shows frames of the square until `done`, which is given each.
fn show(session: &Session, desc: ViewDesc, peers: u32, mut done: impl FnMut(&Output) -> bool) {
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let revision = scene.commit().unwrap();
    for _ in 0..peers {
        event(session, |event| matches!(event, Event::SceneReady { .. }).then_some(()));
    }
    let view = session.create_view(desc).unwrap();
    let give_up = Instant::now() + PATIENCE;
    for frame_id in 0.. {
        assert!(Instant::now() < give_up, "{:?}", session.verification());
        view.begin_frame(FrameDesc::new(frame_id, revision, camera(frame_id))).unwrap();
        if done(&view.acquire(frame_id, PATIENCE).unwrap()) {
            return;
        }
    }
}

fn view_desc() -> ViewDesc {
    let mut desc = ViewDesc { accumulation: Accumulation::Off, filter_radius: 3, ..ViewDesc::new(SIZE) };
    desc.layers.iter_mut().for_each(|layer| layer.deadline = Duration::from_secs(30));
    desc
}

fn caught(session: &Session) -> Option<(u32, String)> {
    std::iter::from_fn(|| session.poll_event()).find_map(|event| match event {
        Event::PeerCaught { peer, cause } => Some((peer, cause)),
        _ => None,
    })
}

/// Shows frames until a peer is caught, and then some; that one traces nothing more.
fn show_until_caught(session: &Session, peers: u32) -> (u32, String) {
    let mut found = None;
    let mut after = 0;
    show(session, view_desc(), peers, |output| {
        found = found.take().or_else(|| caught(session));
        let Some((peer, _)) = &found else { return false };
        // Frames that were in flight may still have been cut for it.
        after += 1;
        let is_asked = output.tiles.iter().any(|tile| tile.peer == *peer && tile.arrived);
        assert!(after <= 8 || !is_asked, "peer {peer} still traces: {:?}", output.tiles);
        after > 12
    });
    found.unwrap()
}

#[test]
fn a_peer_that_traces_another_picture_is_caught_by_its_own_kind() {
    let honest = [Served::start(), Served::start()];
    let liar = liar();
    let folder = folder("evidence");
    let peers = vec![honest[0].address(), liar.address(), honest[1].address()];
    let session = session(peers, Embedded::Never, Some(folder.clone()));
    let (peer, cause) = show_until_caught(&session, 3);
    assert_eq!(peer, 1, "{cause}");
    assert!(cause.contains("two others agree") && cause.contains(&*folder.to_string_lossy()), "{cause}");
    assert_eq!(session.verification().caught, 1);
    // Whoever looks into it finds who said what, and every version of the tile.
    let json_of = |case: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(case.join("case.json")).unwrap()).unwrap()
    };
    let mut cases = std::fs::read_dir(&folder).unwrap().map(|case| case.unwrap().path());
    // On a busy machine some tile may have been in dispute before, for want of an answer.
    let case = cases.find(|case| json_of(case)["caught"] == 1).unwrap();
    let json = json_of(&case);
    assert!(json["cause"].as_str().unwrap().contains("two others agree"), "{json}");
    assert_eq!(json["traced_again_by"].as_array().unwrap().len(), 3, "{json}");
    let task = Message::decode(std::fs::read(case.join("task.bin")).unwrap().into()).unwrap();
    let Message::FrameTasks(task) = task else { panic!("{task:?}") };
    assert!(task.lossless && task.tasks.len() == 1, "{task:?}");
    for version in ["delivered", "checker", "accused", "arbiter"] {
        let bytes = Bytes::from(std::fs::read(case.join(format!("{version}.slices"))).unwrap());
        let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        let slice = Message::decode(bytes.slice(4..4 + length)).unwrap();
        assert!(matches!(slice, Message::TileSlice(_)), "{slice:?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_peer_that_is_alone_is_caught_by_the_embedded_one() {
    let liar = liar();
    let session = session(vec![liar.address()], Embedded::Fallback, None);
    let (peer, cause) = show_until_caught(&session, 2);
    assert_eq!(peer, 0, "{cause}");
}

#[test]
fn a_peer_that_sends_other_pixels_than_it_commits_to_is_caught() {
    let runtime = Runtime::new().unwrap();
    let server = PeerServer::with_tracer(tracer(), ServiceConfig::default()).unwrap();
    let listener = runtime.block_on(listen("127.0.0.1:0".parse().unwrap())).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let on_connection = move |Connection { link, events }| {
        let (server, link) = (server.clone(), Arc::new(Tampering(link)));
        tokio::spawn(async move { server.serve_connection(Connection { link, events }).await });
    };
    runtime.spawn(serve(listener, SignallingConfig::new(None, 4), on_connection));
    let honest = Served::start();
    let peers = vec![honest.address(), PeerAddress { url, ..PeerAddress::default() }];
    let session = session(peers, Embedded::Never, None);
    let (peer, cause) = show_until_caught(&session, 2);
    assert_eq!(peer, 1, "{cause}");
    // By what it delivered, or as the one who checks.
    assert!(cause.contains("not what it committed to") || cause.contains("its digest is not of"), "{cause}");
}

#[test]
fn nobody_suspects_honest_peers_that_trace_ahead() {
    let honest = [Served::start(), Served::start()];
    let session = session(honest.iter().map(Served::address).collect(), Embedded::Never, None);
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let revision = scene.commit().unwrap();
    for _ in 0..2 {
        event(&session, |event| matches!(event, Event::SceneReady { .. }).then_some(()));
    }
    let give_up = Instant::now() + PATIENCE;
    for frames_ahead in 1..=3 {
        let view = session.create_view(ViewDesc { frames_ahead, ..ViewDesc::new(SIZE) }).unwrap();
        let agreed = session.verification().agreed + 16;
        let (mut frame_id, mut predicted) = (0, 0);
        while session.verification().agreed < agreed || predicted < 8 {
            assert!(Instant::now() < give_up, "{predicted} predicted, {:?}", session.verification());
            // No model foretells this to the bit.
            let mut camera = camera(frame_id);
            camera.position.y += 0.002 * (frame_id as f32 * 1.7).sin();
            view.begin_frame(FrameDesc::new(frame_id, revision, camera)).unwrap();
            predicted += u32::from(view.acquire(frame_id, PATIENCE).unwrap().is_predicted);
            frame_id += 1;
        }
    }
    assert_eq!(session.verification().caught, 0);
    assert_eq!(caught(&session), None);
}

#[test]
fn nobody_suspects_honest_peers() {
    let honest = [Served::start(), Served::start()];
    let session = session(honest.iter().map(Served::address).collect(), Embedded::Fallback, None);
    show(&session, view_desc(), 3, |_| session.verification().agreed >= 12);
    let planes = gbuffer::planes_of_a_frame();
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let revision = scene.commit().unwrap();
    for _ in 0..3 {
        event(&session, |event| matches!(event, Event::SceneReady { .. }).then_some(()));
    }
    let view: ViewHandle = session.create_view(ViewDesc { gbuffer: true, ..view_desc() }).unwrap();
    let before = session.verification();
    for frame_id in 0.. {
        let frame = view.open_frame(FrameDesc::new(frame_id, revision, camera(0))).unwrap();
        frame.submit(planes.clone()).unwrap();
        view.acquire(frame_id, PATIENCE).unwrap();
        if session.verification().agreed >= before.agreed + 6 {
            break;
        }
        assert!(frame_id < 2000, "{:?}", session.verification());
    }
    let VerificationStats { caught, disputed, .. } = session.verification();
    assert_eq!((caught, disputed), (0, 0));
}
