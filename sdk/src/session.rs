//! A session: owns the runtime, the director's thread, the peers' links; makes views, scenes and streams.

use crate::Error;
use crate::blob_store::BlobStore;
use crate::capture::{CaptureFile, MadeRecord, Record, Recorder, SessionRecord};
use crate::clock::Clock;
use crate::committed::Committed;
use crate::config::{EMBEDDED_PEER, Embedded, PeerAddress, PeerConstraints, SessionDesc, ViewDesc};
use crate::denoise::{Denoising, Filters};
use crate::director::{COMMAND_LIMIT, Command, Director, DirectorDesc};
use crate::event::{Event, EventQueue};
use crate::merge_thread::{MergeDesc, MergeThread};
use crate::output::StageTimes;
use crate::packing::PackQueue;
use crate::peer_link::{PeerLink, Reach};
use crate::pipeline::MAX_VIEWS;
use crate::planes::{PlanesJob, PlanesQueue};
use crate::progress::ProgressBoard;
use crate::scene_handle::SceneHandle;
use crate::timeline::Timeline;
use crate::validation::Validation;
use crate::verify::{VerificationStats, evidence};
use crate::view_handle::ViewHandle;
use crate::workers::MergeThreads;
use parking_lot::Mutex;
use rayloom_coordinator::PeerId;
use rayloom_stream::{PictureTimes, Stream, StreamDesc, StreamServer};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

/// How long running network tasks may take to end when a session is destroyed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long peers may take to answer the goodbye; one that has not heard it by then drops the session by its own silence.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(250);

/// How an engine allows the embedded peer a CPU. Programs that have a flag for it say that one instead.
#[doc(hidden)]
pub const ALLOW_CPU: &str = "SessionDesc::embedded_allow_cpu, in C RAYLOOM_SESSION_EMBEDDED_ALLOW_CPU";

/// What a session's handles share.
pub(crate) struct Shared {
    clock: Clock,
    commands: mpsc::Sender<Command>,
    handle: Handle,
    committed: Committed,
    next_view: AtomicU16,
    /// Numbers of scenes that are gone, and the next that was never given.
    scenes: Mutex<(Vec<u32>, u32)>,
    max_frames_in_flight: u32,
    progress: Arc<ProgressBoard>,
    packing: Arc<PackQueue>,
    /// Gone once the session ended.
    planes: Mutex<Option<PlanesQueue>>,
    recorder: Option<Recorder>,
    denoising: Denoising,
    /// Threads that merge a frame together.
    merge_threads: MergeThreads,
    has_embedded: bool,
    /// Told when a view's thread has made something.
    made: Arc<Notify>,
    verified: Arc<Mutex<VerificationStats>>,
    inserted: StageTimes,
    /// Told where the time of streams' pictures went; it ends with the director.
    timeline: Weak<Timeline>,
    next_stream: AtomicU16,
}

impl Shared {
    pub(crate) fn denoising(&self) -> &Denoising {
        &self.denoising
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// The thread that makes a view's pictures.
    pub(crate) fn merge_thread(&self, view: u16, desc: &ViewDesc, filters: Filters) -> std::io::Result<MergeThread> {
        MergeThread::new(MergeDesc {
            view,
            desc: desc.clone(),
            filters,
            threads: self.merge_threads,
            clock: self.clock,
            is_recorded: self.recorder.is_some(),
            fills: self.has_embedded && self.recorder.is_none() && desc.fill_budget > Duration::ZERO,
            inserted: self.inserted,
            news: Arc::clone(&self.made),
        })
    }

    /// Numbers of revisions.
    pub(crate) fn committed(&self) -> &Committed {
        &self.committed
    }

    /// A number for a scene, one that served before if there is.
    pub(crate) fn take_scene(&self) -> u32 {
        let (free, next) = &mut *self.scenes.lock();
        free.pop().unwrap_or_else(|| {
            *next += 1;
            *next - 1
        })
    }

    pub(crate) fn return_scene(&self, id: u32) {
        self.scenes.lock().0.push(id);
    }

    pub(crate) fn progress(&self) -> &ProgressBoard {
        &self.progress
    }

    pub(crate) fn packing(&self) -> &PackQueue {
        &self.packing
    }

    /// Hands a frame with planes over without waiting.
    pub(crate) fn send_planes(&self, job: PlanesJob) -> Result<(), Error> {
        match &*self.planes.lock() {
            Some(queue) => queue.send(job),
            None => Err(Error::Closed("the session ended".into())),
        }
    }

    /// Notes a call that was refused, for people who look into a capture. Answers of every day are not worth it.
    pub(crate) fn note_refused<T>(&self, call: &str, result: &Result<T, Error>) {
        if let (Some(recorder), Err(error)) = (&self.recorder, result)
            && !matches!(error, Error::Busy { .. } | Error::NotReady { .. })
        {
            recorder.note(|| format!("{call} was refused: {error}"));
        }
    }

    pub(crate) fn max_frames_in_flight(&self) -> u32 {
        self.max_frames_in_flight
    }

    /// Hands a command over without waiting.
    pub(crate) fn send(&self, command: Command) -> Result<(), Error> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::InvalidState(format!(
                "{COMMAND_LIMIT} commands wait for the session's thread: the machine is overloaded"
            )),
            mpsc::error::TrySendError::Closed(_) => Error::Closed("its thread is gone".into()),
        })
    }

    /// Hands a command over that must not be lost, and does `then` once it is; waits in the background where it has to.
    pub(crate) fn send_surely(&self, command: Command, then: impl FnOnce() + Send + 'static) {
        match self.commands.try_send(command) {
            Ok(()) => then(),
            // Each ends a view or a scene: no more of them can wait than there are of those.
            Err(mpsc::error::TrySendError::Full(command)) => {
                let commands = self.commands.clone();
                self.handle.spawn(async move {
                    if commands.send(command).await.is_ok() {
                        then();
                    }
                });
            }
            // With the session everything of it has ended.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }
}

/// A session with its peers. Dropping it takes leave of the peers, ends everything and joins every thread.
pub struct Session {
    shared: Arc<Shared>,
    events: Arc<EventQueue>,
    /// Taken when the session ends.
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    runtime: Runtime,
    /// Connections to remote peers.
    links: JoinSet<()>,
    director: JoinHandle<()>,
    packer: JoinHandle<()>,
    planes_reader: JoinHandle<()>,
    /// With [`SessionDesc::validate`].
    doctor: Option<JoinHandle<()>>,
    capture: Option<Arc<CaptureFile>>,
    timeline: Option<Arc<Timeline>>,
}

impl Session {
    /// Starts the session's threads and begins to connect to its peers; returns at once.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a description out of bounds, [`Error::System`] without threads.
    pub fn new(desc: SessionDesc) -> Result<Session, Error> {
        Session::recorded(desc, None)
    }

    /// A session that tells a replay what becomes of its frames.
    pub(crate) fn compared(desc: SessionDesc, replay: std::sync::mpsc::Sender<MadeRecord>) -> Result<Session, Error> {
        Session::recorded(desc, Some(Recorder::Comparison(replay)))
    }

    fn recorded(desc: SessionDesc, recorder: Option<Recorder>) -> Result<Session, Error> {
        desc.check()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(desc.worker_threads as usize)
            .thread_name("rayloom-net")
            .enable_all()
            .build()
            .map_err(|source| Error::System { what: "starting the network's threads", source })?;
        if let Some(folder) = &desc.cache_dir {
            std::fs::create_dir_all(folder).map_err(|error| {
                Error::InvalidArgument(format!("cache_dir {folder:?} can't be made: {error}; name a folder that can"))
            })?;
        }
        if let Some(folder) = &desc.verification.evidence {
            evidence::prepare(folder).map_err(|error| {
                let text =
                    format!("the evidence's folder {folder:?} can't be written to: {error}; name a folder that can");
                Error::InvalidArgument(text)
            })?;
        }
        let clock = Clock::new();
        let (commands, receiver) = mpsc::channel(COMMAND_LIMIT);
        let (offers, offers_seen) = watch::channel(Vec::new());
        let blobs = Arc::new(BlobStore::default());
        let events = Arc::new(EventQueue::default());
        let progress = Arc::new(ProgressBoard::default());
        let capture = desc.capture.as_ref().map(|path| create_capture(path, &desc, clock, &events)).transpose()?;
        let recorder = capture.clone().map(Recorder::File).or(recorder);
        let timeline = create_timeline(&desc, clock, &events)?;
        let seen_by = timeline.as_ref().map_or_else(Weak::new, Arc::downgrade);
        let made = Arc::new(Notify::new());
        let verified = Arc::<Mutex<VerificationStats>>::default();
        let director = Director::new(DirectorDesc {
            clock,
            network: runtime.handle().clone(),
            embedded: desc.embedded,
            trusted: (0..).zip(&desc.peers).filter(|(_, peer)| peer.is_trusted).map(|(id, _)| PeerId(id)).collect(),
            lossless: desc.lossless,
            made: Arc::clone(&made),
            blobs: Arc::clone(&blobs),
            offers,
            events: Arc::clone(&events),
            progress: Arc::clone(&progress),
            recorder: recorder.clone(),
            timeline: timeline.clone(),
            inserted: desc.inserted,
            verification: desc.verification.clone(),
            verified: Arc::clone(&verified),
        });
        // A current-thread runtime gives the thread timers; its work is all its own.
        let timers = Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|source| Error::System { what: "starting the director's timers", source })?;
        let director = std::thread::Builder::new()
            .name("rayloom-director".into())
            .spawn(move || timers.block_on(director.run(receiver)))
            .map_err(|source| Error::System { what: "starting the director's thread", source })?;
        let packing = Arc::new(PackQueue::default());
        let packer = std::thread::Builder::new()
            .name("rayloom-pack".into())
            .spawn({
                let (packing, commands, events) = (Arc::clone(&packing), commands.clone(), Arc::clone(&events));
                move || packing.run(&commands, &events)
            })
            .map_err(|source| Error::System { what: "starting the thread that packs scenes", source })?;
        let threads = MergeThreads { count: desc.worker_threads as usize };
        let (validation, doctor) = if desc.validate {
            let (validation, run) = Validation::new(commands.clone(), Arc::clone(&events), clock);
            let doctor = std::thread::Builder::new()
                .name("rayloom-doctor".into())
                .spawn(run)
                .map_err(|source| Error::System { what: "starting the thread that examines conventions", source })?;
            (Some(validation), Some(doctor))
        } else {
            (None, None)
        };
        let (planes, run_planes) =
            PlanesQueue::new(commands.clone(), Arc::clone(&events), threads, recorder.clone(), validation);
        let planes_reader = std::thread::Builder::new()
            .name("rayloom-planes".into())
            .spawn(run_planes)
            .map_err(|source| Error::System { what: "starting the thread that reads planes", source })?;
        let (director_commands, accept_stored_traces) = (commands.clone(), desc.accept_stored_traces);
        let link = move |id, reach| PeerLink {
            id: PeerId(id),
            reach,
            director: director_commands.clone(),
            blobs: Arc::clone(&blobs),
            offers: offers_seen.clone(),
            clock,
            accept_stored_traces,
        };
        let mut links = JoinSet::new();
        for (id, address) in (0..).zip(&desc.peers) {
            links.spawn_on(link(id, Reach::Remote(address.clone())).run(), runtime.handle());
        }
        if desc.embedded != Embedded::Never {
            embed(&desc, &runtime, &events, link);
        }
        let shared = Arc::new(Shared {
            clock,
            commands,
            handle: runtime.handle().clone(),
            committed: Committed::default(),
            next_view: AtomicU16::new(0),
            scenes: Mutex::new((Vec::new(), 1)),
            max_frames_in_flight: desc.max_frames_in_flight,
            progress,
            packing,
            planes: Mutex::new(Some(planes)),
            recorder,
            denoising: Denoising::new(&desc),
            merge_threads: threads,
            has_embedded: desc.embedded != Embedded::Never,
            made,
            verified,
            inserted: desc.inserted,
            timeline: seen_by,
            next_stream: AtomicU16::new(0),
        });
        let threads = Threads { runtime, links, director, packer, planes_reader, doctor, capture, timeline };
        Ok(Session { shared, events, threads: Mutex::new(Some(threads)) })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn events(&self) -> &EventQueue {
        &self.events
    }

    /// What became of the tiles that were traced again to find peers that lie.
    pub fn verification(&self) -> VerificationStats {
        *self.shared.verified.lock()
    }

    /// Creates an empty scene.
    pub fn create_scene(&self) -> SceneHandle {
        self.create_scene_for(PeerConstraints::default())
    }

    /// Creates an empty, dark scene that only peers which are this may have: nobody else is sent its assets, or anything of frames that show
    /// it. [`crate::Event::SceneFailed`] tells of each peer once that it is not.
    pub fn create_scene_for(&self, peers: PeerConstraints) -> SceneHandle {
        SceneHandle::new(Arc::clone(&self.shared), peers)
    }

    /// Creates a view.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a description out of bounds, [`Error::Closed`] after the session ended.
    pub fn create_view(&self, desc: ViewDesc) -> Result<ViewHandle, Error> {
        desc.check()?;
        let next = |id: u16| (id < MAX_VIEWS).then(|| id + 1);
        let id = self.shared.next_view.try_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let id = id.map_err(|_| {
            Error::InvalidState(format!("a session makes at most {MAX_VIEWS} views: create a new session"))
        })?;
        ViewHandle::new(id, desc, Arc::clone(&self.shared))
    }

    /// Starts a stream of the engine's final picture for browsers.
    ///
    /// # Errors
    /// [`Error::Stream`] says what is wrong, a port in use among others.
    pub fn start_stream(&self, desc: StreamDesc) -> Result<Stream, Error> {
        let (timeline, clock) = (Weak::clone(&self.shared.timeline), self.shared.clock);
        let stream = self.shared.next_stream.fetch_add(1, Ordering::Relaxed);
        let observe = move |times: &PictureTimes| {
            if let Some(timeline) = timeline.upgrade() {
                timeline.add_picture(stream, clock.ns_of(times.submitted), times);
            }
        };
        Ok(StreamServer::start_observed(desc, &self.shared.handle, observe)?)
    }

    /// The next event, oldest first.
    pub fn poll_event(&self) -> Option<Event> {
        self.events.poll()
    }

    /// Nanoseconds since the session began, the clock of all its stamps.
    pub fn now_ns(&self) -> u64 {
        self.shared.clock.now_ns()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(threads) = self.threads.lock().take() else { return };
        let commands = self.shared.commands.clone();
        self.shared.packing.close();
        // Its thread ends with what waits for it; borrowed planes are given back.
        drop(self.shared.planes.lock().take());
        // On a thread of its own: the engine's may belong to a runtime, where tokio forbids to wait.
        let ending = std::thread::spawn(move || {
            let mut threads = threads;
            // The director also ends when this is not taken: it drains its queue first.
            if commands.blocking_send(Command::Shutdown).is_err() {
                tracing::debug!("the director had ended already");
            }
            if threads.director.join().is_err() {
                tracing::error!("the director's thread had panicked");
            }
            // A commit that is being packed is packed to its end: no thread outlives the session.
            if threads.packer.join().is_err() {
                tracing::error!("the thread that packs scenes had panicked");
            }
            if threads.planes_reader.join().is_err() {
                tracing::error!("the thread that reads planes had panicked");
            }
            // It was waiting for planes, or for the director.
            if threads.doctor.is_some_and(|doctor| doctor.join().is_err()) {
                tracing::error!("the thread that examines conventions had panicked");
            }
            // Without the director they take leave of their peers, which let go of the session at once.
            let answered = async { while threads.links.join_next().await.is_some() {} };
            if threads.runtime.block_on(async { tokio::time::timeout(GOODBYE_TIMEOUT, answered).await }).is_err() {
                tracing::debug!("a peer did not answer the goodbye within {GOODBYE_TIMEOUT:?}");
            }
            threads.runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
            // Last, so that it has what the others did.
            if let Some(capture) = threads.capture {
                capture.finish();
            }
            if let Some(timeline) = threads.timeline {
                timeline.finish();
            }
        });
        if ending.join().is_err() {
            tracing::error!("ending the session panicked");
        }
    }
}

fn create_timeline(desc: &SessionDesc, clock: Clock, events: &Arc<EventQueue>) -> Result<Option<Arc<Timeline>>, Error> {
    if desc.timeline.is_none() && !desc.tracy {
        return Ok(None);
    }
    let timeline = Timeline::create(desc.timeline.as_deref(), desc.tracy, clock, events);
    let timeline = timeline.map_err(|error| match &desc.timeline {
        Some(path) if error.kind() != std::io::ErrorKind::Unsupported => {
            Error::InvalidArgument(format!("the timeline {path:?} can't be made: {error}; name a file that can"))
        }
        _ if error.kind() == std::io::ErrorKind::Unsupported => Error::Unsupported(error.to_string()),
        _ => Error::System { what: "starting the timeline's thread", source: error },
    })?;
    Ok(Some(Arc::new(timeline)))
}

fn create_capture(
    path: &Path,
    desc: &SessionDesc,
    clock: Clock,
    events: &Arc<EventQueue>,
) -> Result<Arc<CaptureFile>, Error> {
    let told = |peer: &PeerAddress| {
        let host = peer.url.split_once("://").map_or(peer.url.as_str(), |(_, host)| host);
        [peer.url.clone(), host.trim_end_matches('/').to_owned(), peer.token.clone().unwrap_or_default()]
    };
    let secrets = desc.peers.iter().flat_map(told).collect();
    let file = CaptureFile::create(path, clock, events, secrets).map_err(|source| {
        Error::InvalidArgument(format!("the capture {path:?} can't be written: {source}; name a file that can"))
    })?;
    let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    file.put(Record::Session(SessionRecord {
        version: env!("CARGO_PKG_VERSION").into(),
        lossless: desc.lossless,
        peers: desc.peers.len() as u32,
        began_unix_s: began.map_or(0, |since| since.as_secs()),
    }));
    let file = Arc::new(file);
    events.record_with(Recorder::File(Arc::clone(&file)));
    Ok(file)
}

/// The device of the embedded peer.
#[cfg(feature = "embedded-peer")]
pub(crate) fn embedded_renderer(desc: &SessionDesc) -> rayloom_peer::RendererOptions {
    rayloom_peer::RendererOptions {
        device: desc.embedded_device.clone(),
        allow_cpu: desc.embedded_allow_cpu,
        memory_limit: desc.embedded_memory_limit,
        pipeline_cache: desc.cache_dir.as_ref().map(|folder| folder.join("pipelines.bin")),
        ..rayloom_peer::RendererOptions::default()
    }
}

/// Starts the peer inside this process, in the background: opening a device takes a while.
#[cfg(feature = "embedded-peer")]
fn embed(
    desc: &SessionDesc,
    runtime: &Runtime,
    events: &Arc<EventQueue>,
    link: impl FnOnce(u32, Reach) -> PeerLink + Send + 'static,
) {
    use rayloom_peer::{PeerConfig, PeerError, PeerServer, RendererError};
    let renderer = embedded_renderer(desc);
    let config = PeerConfig { renderer, ..PeerConfig::default() };
    let events = Arc::clone(events);
    let handle = runtime.handle().clone();
    runtime.spawn_blocking(move || match PeerServer::new(config) {
        Ok(server) => {
            handle.spawn(link(EMBEDDED_PEER, Reach::Embedded(Arc::new(server))).run());
        }
        Err(error) => {
            let cause = match error {
                // The error's own words are for operators of peers: this one is allowed where the session is made.
                PeerError::Device(RendererError::CpuRefused { device }) => format!(
                    "the embedded peer: the Vulkan device {device:?} is a CPU, which traces hundreds of times slower than \
                     a GPU: install the GPU's driver, or allow it ({ALLOW_CPU})"
                ),
                error => format!("the embedded peer: {error}"),
            };
            events.push(Event::PeerUnreachable { peer: EMBEDDED_PEER, cause });
        }
    });
}

#[cfg(not(feature = "embedded-peer"))]
fn embed(_: &SessionDesc, _: &Runtime, events: &Arc<EventQueue>, _: impl FnOnce(u32, Reach) -> PeerLink) {
    let cause = "this build has no embedded peer: build with the feature embedded-peer".to_owned();
    events.push(Event::PeerUnreachable { peer: EMBEDDED_PEER, cause });
}
