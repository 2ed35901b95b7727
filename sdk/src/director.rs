//! The thread that decides: takes commands, asks the coordinator, sends tasks, publishes frames.
//!
//! One thread owns all of a session's frames, so nothing here is locked. Everything that waits or takes long (network,
//! packing, merging) happens on other threads, which send [`Command`]s through a bounded channel; a view's thread keeps
//! what it made until the director takes it.

use crate::access::Withheld;
use crate::capture::{FrameRecord, Record, Recorder};
use crate::clock::Clock;
use crate::config::{EMBEDDED_PEER, Embedded, FrameDesc, Verification, ViewMode};
use crate::event::{Event, EventQueue};
use crate::fleet::Fleet;
use crate::merge_thread::MergeThread;
use crate::output::{StageTimes, spend};
use crate::overlay::Overlay;
use crate::pipeline::PipelineDesc;
use crate::probe::{PROBE_VIEW, ProbeRequest, Probes};
use crate::progress::ProgressBoard;
use crate::revisions::{Offered, Revisions};
use crate::scene_handle::BaseRevision;
use crate::timeline::Timeline;
use crate::verify::{Caught, VerificationStats, Verifier};
use crate::view::{MergePanicked, Starts, View, ViewShared};
use crate::{ViewDesc, blob_store::BlobStore};
use parking_lot::Mutex;
use rayloom_coordinator::{Constraints, Flaw, PeerId, Time};
use rayloom_frame::GBuffer;
use rayloom_frame::codec::DecodedSlice;
use rayloom_transport::Link;
use rayloom_wire::{PeerInfo, SceneStage, SceneStatus, StateDelta, TaskRefused, TileDone};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, watch};

/// What a peer is told that did not trace what it was asked for.
const CAUGHT: &str = "what this peer traced is not what it was asked for: it is blocked for the session";

/// Commands that may wait; senders wait beyond.
pub(crate) const COMMAND_LIMIT: usize = 4096;

/// What the director is told.
pub(crate) enum Command {
    CreateView {
        id: u16,
        desc: ViewDesc,
        merge: MergeThread,
        shared: Arc<ViewShared>,
    },
    DestroyView {
        id: u16,
    },
    SetMode {
        id: u16,
        mode: ViewMode,
    },
    SetOverlay {
        id: u16,
        overlay: Overlay,
    },
    BeginFrame {
        view: u16,
        desc: FrameDesc,
        begun_ns: u64,
        planes: Option<Arc<GBuffer>>,
        /// A frame that is made again says how; otherwise the view decides.
        starts: Option<Box<Starts>>,
    },
    Revision {
        scene: u32,
        revision: u64,
        base: u64,
        delta: Arc<StateDelta>,
    },
    Base(BaseRevision),
    DestroyScene {
        scene: u32,
    },
    Probe(ProbeRequest),
    Peer(PeerId, PeerEvent),
    Shutdown,
}

/// What a peer's link tells.
pub(crate) enum PeerEvent {
    Connected { link: Arc<dyn Link>, description: String, info: PeerInfo },
    Lost { cause: String },
    Unreachable { cause: String },
    Scene(SceneStatus),
    Slice(ArrivedSlice),
    TileDone { done: TileDone, arrived_ns: u64 },
    TaskRefused(TaskRefused),
    TileCorrupt { task: u64, flaw: Flaw },
    Leaving { cause: String },
    Clock { rtt_ns: u64, offset_ns: i64 },
}

/// A slice of a tile, decoded where it arrived.
pub(crate) struct ArrivedSlice {
    pub(crate) task: u64,
    pub(crate) index: u16,
    /// Slices of the tile.
    pub(crate) count: u16,
    /// Coded bytes.
    pub(crate) coded_bytes: usize,
    /// When it arrived, on the engine's clock.
    pub(crate) arrived_ns: u64,
    pub(crate) decoded: DecodedSlice,
    /// Its share of the memory that decoded slices may take on their way to the director.
    pub(crate) _memory: OwnedSemaphorePermit,
}

/// What the director works with.
pub(crate) struct DirectorDesc {
    pub(crate) clock: Clock,
    /// The runtime of the network's threads.
    pub(crate) network: Handle,
    pub(crate) embedded: Embedded,
    /// See [`crate::PeerAddress::is_trusted`].
    pub(crate) trusted: BTreeSet<PeerId>,
    pub(crate) lossless: bool,
    /// A view's thread has made something.
    pub(crate) made: Arc<Notify>,
    pub(crate) blobs: Arc<BlobStore>,
    pub(crate) offers: watch::Sender<Vec<Offered>>,
    pub(crate) events: Arc<EventQueue>,
    pub(crate) progress: Arc<ProgressBoard>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) timeline: Option<Arc<Timeline>>,
    pub(crate) inserted: StageTimes,
    pub(crate) verification: Verification,
    pub(crate) verified: Arc<Mutex<VerificationStats>>,
}

impl DirectorDesc {
    fn pipeline(&self, view: u16) -> PipelineDesc {
        let DirectorDesc { clock, lossless, inserted, ref recorder, ref timeline, .. } = *self;
        let (recorder, timeline) = (recorder.clone(), timeline.clone());
        PipelineDesc { view, is_local: false, lossless, clock, recorder, timeline, inserted }
    }

    /// Records what an ended thread made.
    fn keep(&self, ended: &MergeThread) {
        for record in ended.take_records() {
            if let Some(recorder) = &self.recorder {
                recorder.made(record);
            }
        }
    }

    fn record(&self, make: impl FnOnce() -> Record) {
        if let Some(recorder) = &self.recorder {
            recorder.record(make);
        }
    }
}

/// State of the thread.
pub(crate) struct Director {
    desc: DirectorDesc,
    fleet: Fleet,
    revisions: Revisions,
    views: BTreeMap<u16, View>,
    /// Threads of destroyed views, which may still be at a frame.
    ending: Vec<MergeThread>,
    probes: Probes,
    verifier: Verifier,
    withheld: Withheld,
}

impl Director {
    pub(crate) fn new(desc: DirectorDesc) -> Director {
        let fleet = Fleet::new(desc.embedded, desc.trusted.clone(), desc.network.clone());
        let (made, verified) = (Arc::clone(&desc.made), Arc::clone(&desc.verified));
        let verifier = Verifier::new(desc.verification.clone(), desc.network.clone(), made, verified);
        Director {
            desc,
            fleet,
            revisions: Revisions::default(),
            views: BTreeMap::new(),
            ending: Vec::new(),
            probes: Probes::default(),
            withheld: Withheld::default(),
            verifier,
        }
    }

    /// Runs until told to shut down or until every sender is gone.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        self.work(&mut commands).await;
        self.end();
    }

    fn end(&mut self) {
        // Whoever waits for an output learns at once that none will come.
        let views = std::mem::take(&mut self.views);
        self.ending.extend(views.into_values().map(|view| view.end(&mut self.fleet)));
        for mut thread in std::mem::take(&mut self.ending) {
            thread.join();
            self.desc.keep(&thread);
        }
    }

    async fn work(&mut self, commands: &mut mpsc::Receiver<Command>) {
        let made = Arc::clone(&self.desc.made);
        loop {
            // Commands that never stop coming must not hold up a deadline.
            if self.due().is_some_and(|due| due <= self.desc.clock.now()) {
                self.handle_timeout();
            }
            let due = self.due().map(|due| tokio::time::Instant::from_std(self.desc.clock.instant(due)));
            // Frames that were made go before what comes of later ones.
            tokio::select! {
                biased;
                () = made.notified() => {
                    if self.publish_finished().is_err() {
                        return tracing::error!("a view's thread has panicked: the session ends");
                    }
                    self.act();
                }
                () = until(due) => {}
                command = commands.recv() => match command {
                    None | Some(Command::Shutdown) => return,
                    Some(command) => self.handle(command),
                },
            }
        }
    }

    fn publish_finished(&mut self) -> Result<(), MergePanicked> {
        let embedded = PeerId(EMBEDDED_PEER);
        for id in self.views.keys().copied().collect::<Vec<u16>>() {
            let has_embedded = self.desc.embedded != Embedded::Never;
            let embedded_is_free = has_embedded && !self.views.values().any(|view| view.is_asked(embedded));
            if let Some(view) = self.views.get_mut(&id) {
                view.publish_finished(&self.fleet, embedded_is_free)?;
            }
        }
        Ok(())
    }

    fn due(&self) -> Option<Time> {
        self.views.values().filter_map(View::poll_timeout).chain(self.verifier.poll_timeout()).min()
    }

    fn handle_timeout(&mut self) {
        let now = self.desc.clock.now();
        for view in self.views.values_mut() {
            view.handle_timeout(now);
        }
        self.act();
    }

    fn handle(&mut self, command: Command) {
        for ended in self.ending.extract_if(.., |thread| thread.has_ended()) {
            self.desc.keep(&ended);
        }
        if matches!(command, Command::BeginFrame { .. }) {
            spend(self.desc.inserted.submit_ms);
        }
        let now = self.desc.clock.now();
        match command {
            Command::CreateView { id, desc, merge, shared } => {
                self.desc.record(|| Record::View { view: id, desc: desc.clone() });
                let mut view = View::new(desc, shared, self.desc.pipeline(id), merge);
                self.fleet.introduce(&mut view, &self.revisions, now);
                self.views.insert(id, view);
            }
            Command::DestroyView { id } => {
                self.desc.record(|| Record::ViewEnd { view: id });
                if let Some(view) = self.views.remove(&id) {
                    self.ending.push(view.end(&mut self.fleet));
                }
            }
            Command::SetMode { id, mode } => self.with_view(id, |view| view.set_mode(mode)),
            Command::SetOverlay { id, overlay } => {
                // What maps show is of one run alone: a frame that is made again shows its tiles.
                self.desc.record(|| Record::TilesDrawn { view: id, drawn: overlay != Overlay::Off });
                self.with_view(id, |view| view.set_overlay(overlay));
            }
            Command::BeginFrame { view: id, mut desc, begun_ns, planes, starts } => {
                if let Some(view) = self.views.get_mut(&id) {
                    let starts = starts.map_or_else(|| view.starts(&mut desc, &self.revisions), |starts| *starts);
                    let has_planes = planes.is_some();
                    self.desc.record(|| Record::Frame(FrameRecord::new(id, &desc, has_planes, &starts)));
                    view.begin_frame(desc, begun_ns, planes, starts, now);
                }
            }
            Command::Revision { scene, revision, base, delta } => self.revisions.add(scene, revision, base, delta),
            Command::Base(base) => {
                if let Some(recorder) = &self.desc.recorder {
                    recorder.base(&base);
                }
                let base = self.revisions.wait_for_peers(base, |needs| self.fleet.has_any_for(needs));
                base.into_iter().for_each(|base| self.offer(base));
            }
            Command::DestroyScene { scene } => {
                self.desc.record(|| Record::SceneEnd { scene });
                self.revisions.remove_scene(scene);
                self.withheld.remove_scene(scene);
                self.desc.offers.send_replace(self.revisions.offers());
            }
            Command::Probe(request) => {
                let constraints = self.views.get(&request.view).map(View::constraints).unwrap_or_default();
                self.probes.ask(request, &constraints, &self.revisions, &mut self.fleet, now.0);
            }
            Command::Peer(peer, event) => self.handle_peer(peer, event),
            Command::Shutdown => {}
        }
        self.act();
    }

    fn with_view(&mut self, id: u16, change: impl FnOnce(&mut View)) {
        if let Some(view) = self.views.get_mut(&id) {
            change(view);
        }
    }

    fn offer(&mut self, base: BaseRevision) {
        let blobs = self.desc.blobs.insert(&base.packed);
        self.revisions.add_base(base, blobs);
        self.desc.offers.send_replace(self.revisions.offers());
        self.tell_withheld();
    }

    /// Scenes that connected peers may not have are told, each once.
    fn tell_withheld(&mut self) {
        let offers = self.revisions.offers();
        let news = self.fleet.traits().flat_map(|(peer, traits)| self.withheld.news(peer, &traits, &offers));
        news.for_each(|event| self.desc.events.push(event));
    }

    fn handle_peer(&mut self, peer: PeerId, event: PeerEvent) {
        let now = self.desc.clock.now();
        match event {
            PeerEvent::Connected { link, .. } if self.verifier.has_caught(peer) => link.close(CAUGHT),
            _ if self.verifier.has_caught(peer) => {}
            PeerEvent::Connected { link, description, info } => {
                self.desc.events.push(Event::PeerConnected { peer: peer.0, description: description.clone() });
                self.fleet.connected(peer, link, description, info);
                self.tell_withheld();
                for view in self.views.values_mut() {
                    self.fleet.introduce_peer(peer, view, now);
                }
            }
            PeerEvent::Lost { cause } => {
                self.desc.events.push(Event::PeerLost { peer: peer.0, cause });
                self.let_go(peer);
            }
            PeerEvent::Unreachable { cause } => {
                // Told once per outage and cause: the link keeps trying.
                if self.fleet.unreachable(peer, &cause) {
                    self.desc.events.push(Event::PeerUnreachable { peer: peer.0, cause });
                }
            }
            PeerEvent::Scene(status) => self.handle_scene(peer, status),
            PeerEvent::Slice(slice) => {
                self.fleet.received(peer, slice.coded_bytes);
                if view_of(slice.task) == PROBE_VIEW {
                    self.probes.slice(peer, slice);
                    return;
                }
                self.verifier.slice(peer, &slice);
                if let Some(view) = self.views.get_mut(&view_of(slice.task)) {
                    view.slice(peer, slice, now);
                }
            }
            PeerEvent::TileDone { done, arrived_ns } => {
                let offset_ns = self.fleet.offset_ns(peer);
                if view_of(done.task) == PROBE_VIEW {
                    self.probes.tile_done(peer, &done, arrived_ns, offset_ns);
                    return;
                }
                self.verifier.tile_done(peer, &done);
                if let Some(view) = self.views.get_mut(&view_of(done.task)) {
                    view.tile_done(peer, done, arrived_ns, offset_ns, now);
                }
            }
            PeerEvent::TaskRefused(refused) => {
                tracing::debug!("peer {} refused task {}: {}", peer.0, refused.task, refused.reason);
                self.fleet.forget_sent_frames(peer);
                if view_of(refused.task) == PROBE_VIEW {
                    self.probes.tile_refused(peer, refused);
                    return;
                }
                self.verifier.refused(peer, refused.task);
                if let Some(view) = self.views.get_mut(&view_of(refused.task)) {
                    view.tile_refused(peer, &refused, now);
                }
            }
            PeerEvent::TileCorrupt { task, flaw } => {
                if view_of(task) == PROBE_VIEW {
                    return self.probes.tile_corrupt(peer, task);
                }
                self.verifier.refused(peer, task);
                if let Some(view) = self.views.get_mut(&view_of(task)) {
                    view.tile_corrupt(peer, task, flaw, now);
                }
            }
            PeerEvent::Leaving { cause } => {
                if self.fleet.set_leaving(peer) {
                    self.desc.events.push(Event::PeerLeaving { peer: peer.0, cause });
                    self.views.values_mut().for_each(|view| view.peer_draining(peer, now));
                }
            }
            PeerEvent::Clock { rtt_ns, offset_ns } => {
                self.fleet.clock_measured(peer, rtt_ns, offset_ns);
                for view in self.views.values_mut() {
                    view.link_measured(peer, std::time::Duration::from_nanos(rtt_ns), now);
                }
            }
        }
    }

    /// Nothing is asked of a peer any more: it is gone, or not to be believed.
    fn let_go(&mut self, peer: PeerId) {
        let now = self.desc.clock.now();
        self.fleet.lost(peer);
        let waited_for_none = self.revisions.take_waiting(|needs| self.fleet.has_any_for(needs));
        waited_for_none.into_iter().for_each(|base| self.offer(base));
        self.desc.progress.peer_lost(peer.0);
        self.revisions.peer_lost(peer);
        self.withheld.peer_lost(peer);
        self.views.values_mut().for_each(|view| view.peer_lost(peer, now));
        self.probes.peer_lost(peer);
        self.verifier.peer_lost(peer);
    }

    fn handle_scene(&mut self, peer: PeerId, status: SceneStatus) {
        let now = self.desc.clock.now();
        let SceneStatus { scene, revision, stage } = status;
        // Who may not have a scene was never offered it: to be sent its frames, it need only say that it holds it.
        let may_have = |needs: &Constraints| self.fleet.may_have(peer, needs);
        if self.revisions.needs(scene, revision).is_some_and(|needs| !may_have(needs)) {
            tracing::warn!("peer {} tells of revision {revision} of scene {scene}, which it was not offered", peer.0);
            return;
        }
        self.fleet.scene_stage(peer, scene, revision, stage.clone());
        self.desc.progress.reached(peer.0, scene, revision, stage.clone());
        let is_answer = matches!(stage, SceneStage::Ready | SceneStage::Failed { .. });
        match stage {
            SceneStage::Ready => {
                if self.revisions.peer_ready(peer, scene, revision) {
                    self.desc.events.push(Event::SceneReady { revision, peer: peer.0 });
                    self.views.values_mut().for_each(|view| view.peer_ready(peer, scene, revision, now));
                }
            }
            SceneStage::Failed { reason } if self.revisions.is_newest(scene, revision) => {
                self.desc.events.push(Event::SceneFailed { revision, peer: peer.0, cause: reason });
            }
            // A newer revision is on its way: nobody misses this one.
            SceneStage::Failed { .. } => {}
            SceneStage::Receiving { .. } | SceneStage::Building { .. } => {}
        }
        if is_answer && let Some(base) = self.revisions.answered(scene, revision) {
            self.offer(base);
        }
    }

    /// Carries out what the views' coordinators decided, until nothing is left to do.
    fn act(&mut self) {
        let caught = self.verifier.advance(&mut self.fleet, &self.revisions, self.desc.clock.now());
        if let Some(Caught { peer, cause }) = caught {
            let now = self.desc.clock.now();
            self.fleet.close(peer, CAUGHT);
            self.views.values_mut().for_each(|view| view.peer_lied(peer, now));
            self.let_go(peer);
            self.desc.events.push(Event::PeerLost { peer: peer.0, cause: CAUGHT.into() });
            self.desc.events.push(Event::PeerCaught { peer: peer.0, cause });
        }
        for view in self.views.values_mut() {
            view.act(&mut self.fleet, &mut self.verifier, &self.desc.events);
        }
        // Who leaves may go once nothing of it is waited for; a peer that goes without a word is seen by its silence.
        for peer in self.fleet.take_leaving(|peer| self.views.values().any(|view| view.is_asked(peer))) {
            self.fleet.close(peer, "the peer leaves, and nothing of it is waited for");
        }
    }
}

/// Waits until then; without a time, for ever.
async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The top bits of a task's id are its view.
pub(crate) const TASK_VIEW_SHIFT: u32 = 48;

fn view_of(task: u64) -> u16 {
    (task >> TASK_VIEW_SHIFT) as u16
}

#[cfg(test)]
mod tests;
