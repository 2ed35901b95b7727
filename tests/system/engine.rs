//! An engine: a session with one scene and one view, whose frames are begun one after the other and always come.

use rayloom::frame::{Extent, LayerKind, LayerRequest};
use rayloom::scene::{Camera, Scene};
use rayloom::{
    Accumulation, Embedded, Event, FrameDesc, LayerDesc, Output, PeerAddress, SceneHandle, Session, SessionDesc, Tier,
    ViewDesc, ViewHandle,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Far beyond what anything here takes on the slowest machine; never waited for in full.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Long for a small picture, even where several processes share a core; short enough to notice a dead peer by.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);
/// The engine's own pace where frames cost it nothing.
const PACE: Duration = Duration::from_millis(5);

/// See the file's head.
pub(crate) struct Engine {
    pub(crate) view: ViewHandle,
    pub(crate) scene: SceneHandle,
    pub(crate) session: Session,
    pub(crate) camera: Camera,
    pub(crate) revision: u64,
    pub(crate) next_frame_id: u64,
    /// Everything that was told so far.
    pub(crate) events: Vec<Event>,
    /// Whether the last frame was whole, and by whom.
    seen: (bool, BTreeSet<u32>),
}

/// About 20,000 triangles, the smallest city.
pub(crate) fn city() -> Scene {
    rayloom::scene::city(20_000, 7)
}

/// Bit for bit what the peers trace, and no embedded peer.
pub(crate) fn session_desc() -> SessionDesc {
    SessionDesc { embedded: Embedded::Never, lossless: true, ..SessionDesc::default() }
}

/// All four layers, reflections and indirect light at half the resolution, everything with a generous deadline.
pub(crate) fn view_desc(size: Extent) -> ViewDesc {
    let layer = |kind| {
        let scale = if matches!(kind, LayerKind::Specular | LayerKind::Indirect) { 2 } else { 1 };
        LayerDesc {
            request: LayerRequest { kind, samples: 1, scale, bounces: LayerRequest::BOUNCES },
            tier: Tier::T4,
            deadline: DEADLINE,
        }
    };
    let mut desc = ViewDesc::new(size);
    desc.layers = LayerKind::REAL_TIME.map(layer).to_vec();
    desc.accumulation = Accumulation::Off;
    desc.output_planes = true;
    desc
}

impl Engine {
    /// With the city, at 160x90, and no embedded peer.
    pub(crate) fn new(peers: Vec<PeerAddress>) -> Engine {
        Engine::with(peers, view_desc(Extent::new(160, 90)), city())
    }

    pub(crate) fn with(peers: Vec<PeerAddress>, desc: ViewDesc, scene: Scene) -> Engine {
        Engine::of(SessionDesc { peers, ..session_desc() }, desc, scene)
    }

    pub(crate) fn of(session: SessionDesc, desc: ViewDesc, scene: Scene) -> Engine {
        let session = Session::new(session).unwrap();
        let camera = scene.default_camera(desc.size.width as f32 / desc.size.height as f32);
        let handle = session.create_scene();
        handle.replace(scene).unwrap();
        let revision = handle.commit().unwrap();
        let view = session.create_view(desc).unwrap();
        Engine {
            view,
            scene: handle,
            session,
            camera,
            revision,
            next_frame_id: 0,
            events: Vec::new(),
            seen: Default::default(),
        }
    }

    /// Begins the next frame without taking it.
    pub(crate) fn begin(&mut self) -> u64 {
        let frame_id = self.next_frame_id;
        self.next_frame_id += 1;
        self.view.begin_frame(FrameDesc::new(frame_id, self.revision, self.camera)).unwrap();
        frame_id
    }

    /// Takes a frame that was begun: it always comes.
    pub(crate) fn take(&mut self, frame_id: u64) -> Arc<Output> {
        let output = self.view.acquire(frame_id, PATIENCE).unwrap();
        assert_eq!(output.frame_id, frame_id);
        let covered: usize = output.tiles.iter().map(|tile| tile.rect.pixels()).sum();
        assert!(output.fresh == 0.0 || covered > 0, "a frame of no tile has fresh pixels");
        while let Some(event) = self.session.poll_event() {
            println!("frame {frame_id}: {event}");
            self.events.push(event);
        }
        let seen = (output.fresh == 1.0, peers_of(&output));
        if seen != self.seen {
            println!("frame {frame_id}: fresh {}, by peers {:?}", output.fresh, seen.1);
            self.seen = seen;
        }
        output
    }

    /// One frame.
    pub(crate) fn frame(&mut self) -> Arc<Output> {
        let frame_id = self.begin();
        self.take(frame_id)
    }

    /// Frames until one of them, with all that was told until then, is as wanted: that one.
    pub(crate) fn frames_until(&mut self, wanted: &str, is_it: impl Fn(&Engine, &Output) -> bool) -> Arc<Output> {
        let start = Instant::now();
        loop {
            let output = self.frame();
            if is_it(self, &output) {
                return output;
            }
            let peers = peers_of(&output);
            assert!(
                start.elapsed() < PATIENCE,
                "not seen in {PATIENCE:?}: {wanted}; last: frame {}, fresh {}, peers {peers:?}, {}; events: {:#?}",
                output.frame_id,
                output.fresh,
                self.view.stats(),
                self.events
            );
            std::thread::sleep(PACE);
        }
    }

    /// Frames until one is traced whole, by exactly these peers.
    pub(crate) fn whole_frame_by(&mut self, peers: &[u32]) -> Arc<Output> {
        let wanted = peers.iter().copied().collect();
        self.frames_until(&format!("a whole frame by peers {peers:?}"), |_, output| {
            output.fresh == 1.0 && peers_of(output) == wanted
        })
    }

    /// Whether something of the kind was told.
    pub(crate) fn told(&self, is_it: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(is_it)
    }

    /// Bytes of scene assets that went to a connected peer.
    pub(crate) fn uploaded_to(&self, peer: u32) -> u64 {
        let stats = self.view.stats();
        stats.peers.iter().find(|stats| stats.peer == peer).expect("it is connected").bytes_uploaded
    }
}

/// Waits until something is told.
pub(crate) fn wait_for(session: &Session, is_it: impl Fn(&Event) -> bool) {
    let start = Instant::now();
    while !session.poll_event().is_some_and(|event| is_it(&event)) {
        assert!(start.elapsed() < PATIENCE, "not told in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whose tiles arrived in time.
pub(crate) fn peers_of(output: &Output) -> BTreeSet<u32> {
    output.tiles.iter().filter(|tile| tile.arrived).map(|tile| tile.peer).collect()
}

/// True when the peer is said to be gone or late.
pub(crate) fn is_fault_of(event: &Event, wanted: u32) -> bool {
    matches!(event, Event::PeerLost { peer, .. } | Event::PeerSuspect { peer, .. } if *peer == wanted)
}
