//! A scripted engine at the other end of a connection, and a tracer without a device whose pixels can be foretold.
#![allow(dead_code, unreachable_pub, reason = "every test file uses another part of it")]

use bytes::Bytes;
use glam::Vec3;
use parking_lot::{Condvar, Mutex};
use rayloom_frame::{Extent, GBuffer, LayerKind, LayerPlane, LayerRequest, Rect, TracedTile};
use rayloom_peer::{Frame, PeerServer, ServiceConfig, TraceError, Traced, Tracer};
use rayloom_scene::assets::{Blob, PackedScene, pack};
use rayloom_scene::{Camera, Scene};
use rayloom_transport::{Channel, Connection, Events, Link, LinkEvent, SendError, loopback};
use rayloom_wire::{
    BlobNeed, BlobPart, FrameTasks, Hello, LayerSpec, Message, PeerInfo, PreviousFrame, Refused, Role, SceneOffer,
    SceneStage, StateDelta, Task, TaskKind, TaskRefused, TileDone, TileSlice, VERSION, limits,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nothing in these tests takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A door that tiles wait behind.
#[derive(Clone)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open() -> Gate {
        Gate(Arc::new((Mutex::new(true), Condvar::new())))
    }

    pub fn set(&self, open: bool) {
        *self.0.0.lock() = open;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let mut open = self.0.0.lock();
        while !*open {
            self.0.1.wait(&mut open);
        }
    }
}

/// Pixels are a function of frame, state and position, as a real tracer's are.
pub struct FakeTracer {
    pub gate: Gate,
}

pub struct FakeScene {
    pub instances: usize,
}

impl Tracer for FakeTracer {
    type Scene = FakeScene;

    fn info(&self) -> PeerInfo {
        PeerInfo {
            device: "made of paper".into(),
            is_cpu: true,
            front_end: "none".into(),
            rays_per_second: 1.0,
            memory_bytes: 1 << 30,
            class: [1; 32],
            stored_traces: false,
        }
    }

    fn create_scene(&self, scene: &Scene, progress: &mut dyn FnMut(f32)) -> Result<FakeScene, TraceError> {
        progress(0.5);
        if scene.instances.is_empty() {
            return Err(TraceError::Refused("a scene without instances".into()));
        }
        Ok(FakeScene { instances: scene.instances.len() })
    }

    fn trace(&self, _: &FakeScene, frame: &Frame, rect: Rect, planes: Option<&GBuffer>) -> Result<Traced, TraceError> {
        self.gate.pass();
        if frame.frame_id == u64::MAX {
            return Err(TraceError::DeviceLost("the paper is burning".into()));
        }
        assert_ne!(frame.frame_id, u64::MAX - 1, "the paper is torn");
        let uploaded = Instant::now();
        Ok(Traced {
            tile: expected_tile(frame.frame_id, &frame.layers, rect, previous_marker(frame) + planes_marker(planes)),
            uploaded,
            traced: Instant::now(),
            on_device: None,
        })
    }
}

/// Shows in the pixels which previous state the frame was given.
fn previous_marker(frame: &Frame) -> u16 {
    frame.previous_camera.position.x as u16 + 100 * frame.previous_transforms.len() as u16
}

/// Shows in the pixels which planes came with the tile: the last pixel's depth.
fn planes_marker(planes: Option<&GBuffer>) -> u16 {
    planes.and_then(|planes| planes.primary.depth.last()).map_or(0, |depth| *depth as u16)
}

pub fn expected_tile(frame_id: u64, layers: &[LayerRequest], rect: Rect, marker: u16) -> TracedTile {
    let layer = |request: &LayerRequest| {
        let rect = rect.scaled(u32::from(request.scale));
        let pixels = (rect.y..rect.bottom())
            .flat_map(|y| (rect.x..rect.right()).map(move |x| pixel(frame_id, x, y, marker)))
            .collect();
        LayerPlane { kind: request.kind, scale: request.scale, rect, pixels }
    };
    let blocks = rect.scaled(16).pixels();
    TracedTile { rect, layers: layers.iter().map(layer).collect(), primary: None, block_rays: vec![7; blocks] }
}

/// Noise, as traced light is: no codec makes it small.
pub fn pixel(frame_id: u64, x: u32, y: u32, marker: u16) -> [u16; 4] {
    // SplitMix64 (Steele, Lea, Flood 2014).
    let mut z = frame_id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(x) << 32 ^ u64::from(y);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    [z as u16, (z >> 16) as u16, (z >> 32) as u16, marker]
}

pub fn server() -> PeerServer {
    server_with(Gate::open(), ServiceConfig::default())
}

pub fn server_with(gate: Gate, config: ServiceConfig) -> PeerServer {
    PeerServer::with_tracer(FakeTracer { gate }, config).unwrap()
}

/// An engine's end of a connection.
pub struct Engine {
    pub link: Arc<dyn Link>,
    pub events: Events,
    /// Messages read from the control channel.
    pub control_read: u64,
    /// Answers to other tasks that came meanwhile.
    other_answers: Vec<Message>,
}

/// What came back for a task.
pub enum Answer {
    Tile(Vec<TileSlice>, Box<TileDone>),
    Refused(TaskRefused),
}

impl Engine {
    /// A connection to the server, before any message.
    pub fn connect(server: &PeerServer) -> Engine {
        let (engine, peer) = loopback();
        let server = server.clone();
        tokio::spawn(async move { server.serve_connection(peer).await });
        Engine::over(engine)
    }

    pub fn over(connection: Connection) -> Engine {
        Engine { link: connection.link, events: connection.events, control_read: 0, other_answers: Vec::new() }
    }

    /// Connected and greeted.
    pub async fn greeted(server: &PeerServer) -> Engine {
        let mut engine = Engine::connect(server);
        engine.greet().await;
        engine
    }

    pub async fn greet(&mut self) -> PeerInfo {
        self.send(hello()).await;
        match self.next().await {
            Message::Hello(Hello { role: Role::Peer(info), .. }) => info,
            other => panic!("a peer's Hello was expected: {}", short(&other)),
        }
    }

    pub async fn send(&self, message: Message) {
        let channel = if matches!(message, Message::BlobPart(_)) { Channel::Bulk } else { Channel::Control };
        self.send_raw(channel, message.encode()).await;
    }

    pub async fn send_raw(&self, channel: Channel, bytes: Bytes) {
        loop {
            match self.link.send(channel, bytes.clone()) {
                Err(SendError::Full { .. }) => self.link.writable(channel).await.unwrap(),
                result => return result.unwrap(),
            }
        }
    }

    async fn event(&mut self) -> LinkEvent {
        let event = tokio::time::timeout(PATIENCE, self.events.next()).await.expect("the peer says something in time");
        event.expect("the connection's end is told once")
    }

    pub async fn next(&mut self) -> Message {
        match self.event().await {
            LinkEvent::Message(channel, bytes) => {
                self.control_read += u64::from(channel == Channel::Control);
                Message::decode(bytes).expect("a peer keeps to the protocol")
            }
            LinkEvent::Closed { reason } => panic!("the peer closed the link: {reason}"),
        }
    }

    /// The refusal that ends the session, and the link's end after it.
    pub async fn refused(&mut self) -> Refused {
        let refused = loop {
            if let Message::Refused(refused) = self.next().await {
                break refused;
            }
        };
        assert!(matches!(self.event().await, LinkEvent::Closed { .. }), "the link ends after a refusal");
        refused
    }

    pub async fn offer(&self, revision: u64, root: &Blob) {
        let offer = SceneOffer { scene: 1, revision, root: root.id.0, root_bytes: root.bytes.len() as u64 };
        self.send(Message::SceneOffer(offer)).await;
    }

    /// Waits for what the peer needs; `None` when it needs nothing (any more).
    pub async fn need_or_stage(&mut self) -> Result<BlobNeed, SceneStage> {
        loop {
            match self.next().await {
                Message::BlobNeed(need) => return Ok(need),
                Message::SceneStatus(status)
                    if matches!(status.stage, SceneStage::Ready | SceneStage::Failed { .. }) =>
                {
                    return Err(status.stage);
                }
                Message::SceneStatus(_) => {}
                other => panic!("a scene's progress was expected: {}", short(&other)),
            }
        }
    }

    /// Offers a scene and sends what the peer asks for; gives what was asked for, and how it ended.
    pub async fn provide(&mut self, revision: u64, scene: &PackedScene) -> (HashSet<[u8; 32]>, SceneStage) {
        self.offer(revision, &scene.root).await;
        let mut asked = HashSet::new();
        loop {
            match self.need_or_stage().await {
                Err(stage) => return (asked, stage),
                Ok(need) => {
                    assert!(need.blobs.len() <= limits::BLOBS_PER_NEED);
                    for (id, from) in need.blobs {
                        asked.insert(id);
                        self.send_blob(blob(scene, id), from).await;
                    }
                }
            }
        }
    }

    pub async fn send_blob(&self, blob: &Blob, from: u64) {
        let mut offset = from as usize;
        while offset < blob.bytes.len() {
            let end = (offset + limits::BLOB_PART_BYTES).min(blob.bytes.len());
            self.send(part(blob, offset, end)).await;
            offset = end;
        }
    }

    /// Collects until the task is answered; slices may come after the end, and other tasks' answers between.
    pub async fn answer(&mut self, task: u64) -> Answer {
        let mut earlier = std::mem::take(&mut self.other_answers).into_iter();
        let (mut slices, mut done) = (Vec::new(), None::<TileDone>);
        let answer = loop {
            let message = match earlier.next() {
                Some(message) => message,
                None => self.next().await,
            };
            match message {
                Message::TileSlice(slice) if slice.task == task => slices.push(slice),
                Message::TileDone(tile) if tile.task == task => done = Some(tile),
                Message::TaskRefused(refused) if refused.task == task => break Answer::Refused(refused),
                Message::TileSlice(_) | Message::TileDone(_) | Message::TaskRefused(_) => {
                    self.other_answers.push(message)
                }
                other => panic!("an answer to task {task} was expected: {}", short(&other)),
            }
            if done.as_ref().is_some_and(|done| usize::from(done.slices) == slices.len()) {
                slices.sort_by_key(|slice| slice.index);
                break Answer::Tile(slices, Box::new(done.expect("it was just there")));
            }
        };
        self.other_answers.extend(earlier);
        answer
    }

    pub async fn refusal(&mut self, task: u64) -> String {
        match self.answer(task).await {
            Answer::Refused(refused) => refused.reason,
            Answer::Tile(_, done) => panic!("task {task} was traced: {:?}", done.rect),
        }
    }

    pub async fn tile(&mut self, task: u64) -> (Vec<TileSlice>, Box<TileDone>) {
        match self.answer(task).await {
            Answer::Tile(slices, done) => (slices, done),
            Answer::Refused(refused) => panic!("task {task} was refused: {}", refused.reason),
        }
    }
}

/// The beginning of a message, for people: payloads are long.
pub fn short(message: &Message) -> String {
    format!("{message:?}").chars().take(200).collect()
}

pub fn hello() -> Message {
    Message::Hello(Hello { versions: VERSION, agent: "test".into(), role: Role::Engine })
}

pub fn part(blob: &Blob, from: usize, to: usize) -> Message {
    let data = blob.bytes.slice(from..to);
    Message::BlobPart(BlobPart { id: blob.id.0, total_bytes: blob.bytes.len() as u64, offset: from as u64, data })
}

pub fn blob(scene: &PackedScene, id: [u8; 32]) -> &Blob {
    std::iter::once(&scene.root)
        .chain(&scene.blobs)
        .find(|b| b.id.0 == id)
        .expect("the peer asks for the scene's own blobs")
}

pub fn city() -> Scene {
    rayloom_scene::city(20_000, 1)
}

pub fn packed_city() -> PackedScene {
    pack(&city())
}

pub const EXTENT: Extent = Extent::new(128, 72);

/// One whole view in one lossless tile of direct light.
pub fn frame(revision: u64, frame_id: u64, tasks: Vec<Task>) -> FrameTasks {
    let camera = Camera::look_at(Vec3::new(60.0, 40.0, 60.0), Vec3::ZERO, 0.9, 16.0 / 9.0);
    let request = LayerRequest { kind: LayerKind::Direct, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES };
    FrameTasks {
        view: 0,
        frame_id,
        scene: 1,
        revision,
        extent: EXTENT,
        camera,
        delta: StateDelta::default(),
        previous: PreviousFrame::Explicit(camera, StateDelta::default()),
        layers: vec![LayerSpec { request, deadline_ms: 100 }],
        filter_radius: 0,
        pre_exposure: 1.0,
        primary: false,
        planes: None,
        lossless: true,
        tasks,
    }
}

pub fn task(id: u64) -> Task {
    Task { id, kind: TaskKind::Trace, rect: Rect::new(32, 16, 48, 40), ghost: 4 }
}
