//! The peer as a whole: one device, one cache, any number of sessions.

use crate::cache::BlobCache;
use crate::outbound::Outbound;
use crate::render::Device;
use crate::results::TileTag;
use crate::session::{self, End};
use crate::{ListenConfig, PeerConfig, PeerError, ServiceConfig, Tracer, VulkanTracer};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use parking_lot::Mutex;
use rayloom_scene::assets::Assembler;
use rayloom_transport::signalling::{self, SignallingConfig};
use rayloom_transport::webrtc::{IceConfig, SharedPort};
use rayloom_transport::{Connection, TransportError};
use rayloom_wire::{PeerInfo, RefusalCode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a start waits for a STUN and a TURN server, which lose a request now and then.
const STUN_WITHIN: Duration = Duration::from_secs(3);
/// How long sessions and threads may take to end.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(2);

/// A peer. Cloning shares it; with the last one its threads end (after the tile that they are at).
///
/// ```no_run
/// # async fn example() -> Result<(), rayloom_peer::PeerError> {
/// use rayloom_peer::{PeerConfig, PeerServer};
/// let peer = PeerServer::new(PeerConfig::default())?;
/// let (engine, own) = rayloom_transport::loopback();
/// tokio::spawn({
///     let peer = peer.clone();
///     async move { peer.serve_connection(own).await }
/// });
/// // `engine` now speaks the protocol of rayloom-wire with a peer in this process.
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PeerServer {
    owner: Arc<Owner>,
}

struct Owner {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What all sessions use.
pub(crate) struct Shared {
    pub(crate) info: PeerInfo,
    pub(crate) config: ServiceConfig,
    pub(crate) cache: Arc<BlobCache>,
    pub(crate) assembler: Arc<Mutex<Assembler>>,
    pub(crate) device: Arc<Device<TileTag>>,
    pub(crate) health: watch::Sender<Health>,
    sessions: watch::Sender<usize>,
    next_session: AtomicU64,
}

impl Shared {
    /// What failed stays failed.
    fn shut_down(&self) {
        self.health.send_if_modified(|health| {
            let works = matches!(health, Health::Running | Health::Draining(_));
            if works {
                *health = Health::ShuttingDown;
            }
            works
        });
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Running,
    /// Takes no new engine, and finishes what it has until then.
    Draining(Instant),
    ShuttingDown,
    Failed(String),
}

/// Signalling being served; ends when dropped. Sessions that are open go on.
pub struct Listening {
    addr: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl PeerServer {
    /// Opens the device, compiles its pipelines and starts the threads. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`PeerError::Device`] says what to install or choose, [`PeerError::Cache`] which folder can't be used.
    pub fn new(config: PeerConfig) -> Result<PeerServer, PeerError> {
        let tracer = VulkanTracer::new(&config.renderer, config.measure)?;
        PeerServer::with_tracer(tracer, config.service)
    }

    /// The same with anything that traces.
    ///
    /// # Errors
    /// [`PeerError::Cache`], [`PeerError::Threads`].
    pub fn with_tracer<T: Tracer>(tracer: T, config: ServiceConfig) -> Result<PeerServer, PeerError> {
        let cache = BlobCache::open(&config.cache).map_err(|source| {
            let path = config.cache.dir.clone().unwrap_or_default();
            PeerError::Cache { path, source }
        })?;
        let idle_scenes = config.idle_scenes;
        let shared = Arc::new(Shared {
            info: tracer.info(),
            config,
            cache: Arc::new(cache),
            assembler: Arc::default(),
            device: Arc::new(Device::new()),
            health: watch::Sender::new(Health::Running),
            sessions: watch::Sender::new(0),
            next_session: AtomicU64::new(1),
        });
        let health = shared.health.clone();
        let failed = move |reason: String| {
            tracing::error!(reason, "the device failed");
            health.send_replace(Health::Failed(reason));
        };
        let threads = shared.device.start(tracer, idle_scenes, failed).map_err(PeerError::Threads)?;
        Ok(PeerServer { owner: Arc::new(Owner { shared, threads: Mutex::new(threads) }) })
    }

    /// What engines are told of this peer.
    pub fn info(&self) -> &PeerInfo {
        &self.owner.shared.info
    }

    /// Engines whose sessions are open.
    pub fn session_count(&self) -> usize {
        *self.owner.shared.sessions.borrow()
    }

    /// Serves one engine until its link ends. Must run on a tokio runtime with time enabled.
    pub async fn serve_connection(&self, connection: Connection) {
        serve(self.owner.shared.clone(), connection).await;
    }

    /// Serves engines that dial: `POST /v1/sessions`; `/livez` and `/readyz` for whoever watches over it.
    ///
    /// # Errors
    /// [`PeerError::InsecureHttp`], [`PeerError::Port`] (one is in use, for one).
    pub async fn listen(&self, config: ListenConfig) -> Result<Listening, PeerError> {
        if !config.addr.ip().is_loopback() && config.tls.is_none() && !config.insecure_http {
            return Err(PeerError::InsecureHttp(config.addr));
        }
        let listener =
            signalling::listen(config.addr).await.map_err(|source| PeerError::Port { setting: "--listen", source })?;
        let addr = listener.local_addr().unwrap_or(config.addr);
        let shared = self.owner.shared.clone();
        let mut signalling_config = SignallingConfig::new(Some(config.token.clone()), shared.config.max_sessions);
        let port = data_port(&config, addr)?;
        tracing::info!(udp = port.port(), tcp = port.tcp_port(), "data comes in at these ports");
        signalling_config.acceptor.ice =
            IceConfig { port: Some(port.clone()), advertise: config.advertise.into_iter().collect(), ..config.ice() };
        let seen = async {
            config.stun.is_none() || tokio::time::timeout(STUN_WITHIN, port.reflexive_address()).await.is_ok()
        };
        let relayed =
            async { config.turn.is_none() || tokio::time::timeout(STUN_WITHIN, port.relayed_address()).await.is_ok() };
        let (seen, relayed) = tokio::join!(seen, relayed);
        if !seen {
            tracing::warn!("the STUN server (--stun) has not answered yet; engines hear of its answer once it comes");
        }
        if !relayed {
            tracing::warn!("the TURN server (--turn) does not relay yet; engines hear of it once it does");
        }
        let ready = shared.clone();
        let router = signalling::router(signalling_config, move |connection| {
            tokio::spawn(serve(shared.clone(), connection));
        })
        .merge(Router::new().route("/livez", get(|| async { "alive" })).route(
            "/readyz",
            get(move || async move {
                match &*ready.health.borrow() {
                    Health::Running => (StatusCode::OK, "ready".to_owned()),
                    Health::Draining(_) => (StatusCode::SERVICE_UNAVAILABLE, "leaving".to_owned()),
                    Health::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting down".to_owned()),
                    Health::Failed(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason.clone()),
                }
            }),
        ));
        let serving = signalling::serve_router(listener, config.tls.as_ref(), Some(&port), router);
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "signalling ended");
            }
        });
        Ok(Listening { addr, task })
    }

    /// Waits until the device fails and says why; the peer is of no more use then.
    pub async fn failed(&self) -> String {
        let mut health = self.owner.shared.health.subscribe();
        loop {
            if let Health::Failed(reason) = &*health.borrow_and_update() {
                return reason.clone();
            }
            if health.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until no session was open for as long as a future of `quiet` takes; each session's start and end begin anew.
    pub async fn idle<F: Future<Output = ()>>(&self, mut quiet: impl FnMut() -> F) {
        let mut sessions = self.owner.shared.sessions.subscribe();
        loop {
            let open = *sessions.borrow_and_update();
            let quiet = async {
                match open {
                    0 => quiet().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // The sender lives as long as this peer.
                _ = sessions.changed() => (),
                () = quiet => return,
            }
        }
    }

    /// Tells every session that the peer will go, takes no new one, and waits until none is left: engines hand what they have
    /// here to others and end the link. Returns after `within` at the latest.
    pub async fn drain(&self, within: Duration) {
        let shared = &self.owner.shared;
        shared.health.send_if_modified(|health| {
            let running = *health == Health::Running;
            if running {
                *health = Health::Draining(Instant::now() + within);
            }
            running
        });
        let mut sessions = shared.sessions.subscribe();
        if tokio::time::timeout(within, sessions.wait_for(|count| *count == 0)).await.is_err() {
            tracing::warn!(sessions = self.session_count(), "engines were still here after {within:?}");
        }
    }

    /// Tells every session that the peer is going, and ends the threads; returns within a few seconds whatever happens.
    pub async fn shutdown(&self) {
        let shared = &self.owner.shared;
        shared.shut_down();
        shared.device.stop();
        let mut sessions = shared.sessions.subscribe();
        let gone = tokio::time::timeout(SHUTDOWN_WITHIN, sessions.wait_for(|count| *count == 0)).await;
        if gone.is_err() {
            tracing::warn!(sessions = self.session_count(), "sessions did not end in time");
        }
        let threads = std::mem::take(&mut *self.owner.threads.lock());
        let ended = tokio::task::spawn_blocking(move || threads.into_iter().for_each(join));
        if tokio::time::timeout(SHUTDOWN_WITHIN, ended).await.is_err() {
            tracing::warn!("a tile is still being traced");
        }
    }
}

/// The port of all sessions' data, when signalling listens at `addr`.
fn data_port(config: &ListenConfig, addr: SocketAddr) -> Result<SharedPort, PeerError> {
    let ice = config.ice();
    let bind = |port| SharedPort::bind(&ice.bind, port, ice.socket_buffer_bytes);
    let bound = bind(config.udp_port.unwrap_or(addr.port()));
    let port = match (bound, config.udp_port) {
        // Nobody asked for a number: that of a listener whose number the system chose may be taken by UDP.
        (Err(TransportError::PortInUse { .. }), None) if config.addr.port() == 0 => bind(0),
        (bound, _) => bound,
    };
    let port = port.map_err(|error| PeerError::Port { setting: "--udp-port", source: error })?;
    let tcp = config.tcp_port.or(config.udp_port).unwrap_or(addr.port());
    let port = match tcp == addr.port() {
        true => port.with_tcp_of_signalling(tcp),
        false => {
            let with_tcp = port.with_tcp(&ice.bind, tcp);
            with_tcp.map_err(|error| PeerError::Port { setting: "--tcp-port", source: error })?
        }
    };
    let port = match &config.stun {
        Some(server) => port.with_stun(server.clone()),
        None => port,
    };
    Ok(match &config.turn {
        Some(server) => port.with_turn(server.clone()),
        None => port,
    })
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.shut_down();
        self.shared.device.stop();
        self.threads.get_mut().drain(..).for_each(join);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread that traces panicked");
    }
}

impl Listening {
    /// Where it listens; the port is the one that the system chose when 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts an open session.
struct Counted(Arc<Shared>);

impl Counted {
    fn take(shared: &Arc<Shared>) -> Option<Counted> {
        let most = shared.config.max_sessions;
        let taken = shared.sessions.send_if_modified(|count| {
            let room = *count < most;
            *count += usize::from(room);
            room
        });
        taken.then(|| Counted(shared.clone()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sessions.send_modify(|count| *count -= 1);
    }
}

async fn serve(shared: Arc<Shared>, connection: Connection) {
    let Connection { link, mut events } = connection;
    let out = Outbound::new(link);
    let id = shared.next_session.fetch_add(1, Relaxed);
    // Counted until the link is gone: whoever waits for the sessions' end wants what they were told to arrive.
    let counted = Counted::take(&shared);
    let end = match &counted {
        None => {
            let most = shared.config.max_sessions;
            End::Refuse(RefusalCode::Capacity, format!("{most} sessions are open, which is the most (--max-sessions)"))
        }
        Some(_) if matches!(*shared.health.borrow(), Health::Draining(_)) => {
            End::Refuse(RefusalCode::Shutdown, "the peer is leaving and takes no new engine".into())
        }
        Some(_) => {
            let mut health = shared.health.subscribe();
            let ill = async {
                let works = |health: &Health| matches!(health, Health::Running | Health::Draining(_));
                match health.wait_for(|health| !works(health)).await.as_deref() {
                    Ok(Health::Failed(reason)) => End::Refuse(RefusalCode::Device, reason.clone()),
                    _ => End::Refuse(RefusalCode::Shutdown, "the peer is shutting down".into()),
                }
            };
            tokio::select! {
                biased;
                end = ill => end,
                end = session::run(id, shared.clone(), out.clone(), &mut events) => end,
            }
        }
    };
    match end {
        End::Closed(reason) => tracing::info!(session = id, reason, "a session has ended"),
        End::Refuse(code, reason) => {
            match code {
                RefusalCode::Shutdown => tracing::info!(session = id, "a session ends with this peer"),
                _ => tracing::warn!(session = id, ?code, reason, "a session is refused"),
            }
            session::refuse(&out, code, &reason);
            // Its end is told here at once, and the process may end with this session: the refusal has to be out by then.
            let _ = tokio::time::timeout(SHUTDOWN_WITHIN, out.link().settled()).await;
        }
    }
}
