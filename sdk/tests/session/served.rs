//! A peer in this process that is dialled like a remote one: signalling over HTTP, data over WebRTC.

use crate::embedded::{PATIENCE, event, square};
use glam::Vec3;
use rayloom::frame::{GBuffer, Rect};
use rayloom::scene::Scene;
use rayloom::{Embedded, Event, PeerAddress, SceneHandle, Session, SessionDesc};
use rayloom_peer::{
    Frame, ListenConfig, Listening, PeerConfig, PeerServer, RendererOptions, ServiceConfig, TraceError, Traced, Tracer,
    VulkanTracer,
};
use rayloom_wire::PeerInfo;
use tokio::runtime::Runtime;

const TOKEN: &str = "a-token-for-tests";

/// The renderer on this machine's device.
pub(crate) fn tracer() -> VulkanTracer {
    VulkanTracer::new(&RendererOptions { allow_cpu: true, ..RendererOptions::default() }, false).unwrap()
}

/// The renderer, and what is done around each of its tiles: given the frame, and what traces the tile.
struct Around<F> {
    tracer: VulkanTracer,
    around: F,
}

impl<F> Tracer for Around<F>
where
    F: Fn(&Frame, &dyn Fn() -> Result<Traced, TraceError>) -> Result<Traced, TraceError> + Send + Sync + 'static,
{
    type Scene = <VulkanTracer as Tracer>::Scene;

    fn info(&self) -> PeerInfo {
        self.tracer.info()
    }

    fn create_scene(&self, scene: &Scene, progress: &mut dyn FnMut(f32)) -> Result<Self::Scene, TraceError> {
        self.tracer.create_scene(scene, progress)
    }

    fn trace(
        &self,
        scene: &Self::Scene,
        frame: &Frame,
        rect: Rect,
        planes: Option<&GBuffer>,
    ) -> Result<Traced, TraceError> {
        (self.around)(frame, &|| self.tracer.trace(scene, frame, rect, planes))
    }
}

pub(crate) struct Served {
    server: PeerServer,
    listening: Listening,
    runtime: Runtime,
}

impl Served {
    /// On a free port of loopback.
    pub(crate) fn start() -> Served {
        let renderer = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
        Served::with(PeerServer::new(PeerConfig { renderer, ..PeerConfig::default() }).unwrap())
    }

    /// One that does something around each tile.
    pub(crate) fn around<F>(service: ServiceConfig, around: F) -> Served
    where
        F: Fn(&Frame, &dyn Fn() -> Result<Traced, TraceError>) -> Result<Traced, TraceError> + Send + Sync + 'static,
    {
        Served::with(PeerServer::with_tracer(Around { tracer: tracer(), around }, service).unwrap())
    }

    fn with(server: PeerServer) -> Served {
        let runtime = Runtime::new().unwrap();
        let config = ListenConfig::new("127.0.0.1:0".parse().unwrap(), TOKEN.into());
        let listening = runtime.block_on(server.listen(config)).unwrap();
        Served { server, listening, runtime }
    }

    pub(crate) fn address(&self) -> PeerAddress {
        let url = format!("http://{}", self.listening.addr());
        PeerAddress { url, token: Some(TOKEN.into()), ..PeerAddress::default() }
    }

    /// A session with it, and the embedded peer on standby, and the square's revision that both hold.
    pub(crate) fn with_standby(&self) -> (Session, SceneHandle, u64) {
        let desc = SessionDesc {
            peers: vec![self.address()],
            embedded: Embedded::Fallback,
            embedded_allow_cpu: true,
            ..SessionDesc::default()
        };
        let session = Session::new(desc).unwrap();
        let scene = session.create_scene();
        scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
        let revision = scene.commit().unwrap();
        for _ in 0..2 {
            event(&session, |event| matches!(event, Event::SceneReady { .. }).then_some(()));
        }
        (session, scene, revision)
    }

    /// Engines whose sessions it holds.
    pub(crate) fn sessions(&self) -> usize {
        self.server.session_count()
    }

    /// Waits until it holds no session.
    pub(crate) fn wait_until_unused(&self) {
        let unused = self.server.idle(|| std::future::ready(()));
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, unused).await }).expect("sessions end");
    }
}
