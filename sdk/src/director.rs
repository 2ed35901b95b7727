//! The thread that decides: takes commands, asks the coordinator, sends tasks, publishes frames.
//!
//! One thread owns all of a session's frames, so nothing here is locked. Everything that waits or takes long (network,
//! packing, merging) happens on other threads, which send [`Command`]s through a bounded channel; a view's thread keeps
//! what it made until the director takes it.

use crate::access::Withheld;
use crate::capture::{FrameRecord, Record, Recorder};
use crate::clock::Clock;
use crate::config::{Embedded, FrameDesc, Verification, ViewMode};
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
        self.views.values_mut().try_for_each(|view| view.publish_finished(&self.fleet))
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
mod tests {
    use super::*;
    use crate::denoise::{Filters, Gate};
    use crate::merge_thread::MergeDesc;
    use crate::workers::MergeThreads;
    use rayloom_coordinator::Constraints;
    use rayloom_frame::Extent;
    use rayloom_scene::{Camera, Scene};
    use rayloom_transport::{Connection, Events, LinkEvent, loopback};
    use rayloom_wire::Message;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    fn info() -> PeerInfo {
        PeerInfo {
            device: "a test".into(),
            is_cpu: true,
            front_end: "none".into(),
            rays_per_second: 1e6,
            memory_bytes: 1 << 30,
            class: [0; 32],
            stored_traces: false,
        }
    }

    fn director() -> Director {
        let (offers, _) = watch::channel(Vec::new());
        Director::new(DirectorDesc {
            clock: Clock::new(),
            network: Handle::current(),
            embedded: Embedded::Never,
            trusted: BTreeSet::new(),
            lossless: false,
            made: Arc::default(),
            blobs: Arc::default(),
            offers,
            events: Arc::default(),
            progress: Arc::default(),
            recorder: None,
            timeline: None,
            inserted: StageTimes::default(),
            verification: Verification::default(),
            verified: Arc::default(),
        })
    }

    impl Director {
        fn create_view(&mut self, id: u16, filters: Filters) -> Arc<ViewShared> {
            let (desc, shared) = (ViewDesc::new(Extent::new(64, 64)), Arc::<ViewShared>::default());
            let merge = MergeThread::new(MergeDesc {
                view: id,
                desc: desc.clone(),
                filters,
                threads: MergeThreads { count: 1 },
                clock: self.desc.clock,
                is_recorded: self.desc.recorder.is_some(),
                inserted: StageTimes::default(),
                news: Arc::clone(&self.desc.made),
            });
            self.handle(Command::CreateView { id, desc, merge: merge.unwrap(), shared: Arc::clone(&shared) });
            shared
        }

        fn begin_frame(&mut self, view: u16, frame_id: u64, revision: u64) {
            self.begin_frame_with(view, frame_id, revision, None);
        }

        fn begin_frame_with(&mut self, view: u16, frame_id: u64, revision: u64, planes: Option<Arc<GBuffer>>) {
            let desc = FrameDesc::new(frame_id, revision, Camera::with_fov(1.0, 1.0));
            if let Some(view) = self.views.get(&view) {
                view.shared.in_flight.fetch_add(1, Ordering::AcqRel);
            }
            self.handle(Command::BeginFrame { view, desc, begun_ns: 0, planes, starts: None });
        }
    }

    #[tokio::test]
    async fn a_view_whose_filter_takes_long_holds_up_no_other() {
        let gate = Gate::default();
        let mut director = director();
        let slow = director.create_view(0, Filters::Gated(gate.clone()));
        let quick = director.create_view(1, Filters::Off);
        director.begin_frame(0, 1, 1);
        gate.wait_for_a_filter();
        for frame_id in 1..=3 {
            director.begin_frame(1, frame_id, 1);
        }
        while quick.in_flight.load(Ordering::Acquire) > 0 {
            director.desc.made.notified().await;
            assert!(director.publish_finished().is_ok());
        }
        assert_eq!(quick.outputs.acquire(0, Duration::ZERO).unwrap().frame_id, 3);
        assert!(slow.outputs.acquire(0, Duration::ZERO).is_err(), "its filter stands before the gate");
        // Of the frames that come meanwhile only the newest is worth a filter.
        for frame_id in 2..=4 {
            director.begin_frame(0, frame_id, 1);
        }
        gate.open();
        while slow.in_flight.load(Ordering::Acquire) > 0 {
            director.desc.made.notified().await;
            assert!(director.publish_finished().is_ok());
        }
        assert_eq!(slow.outputs.acquire(0, Duration::ZERO).unwrap().frame_id, 4);
        assert_eq!(slow.stats().frames, 2, "the first and the last");
        assert_eq!(quick.in_flight.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn what_a_destroyed_view_had_begun_is_recorded_and_not_shown() {
        let gate = Gate::default();
        let mut director = director();
        let (records, recorded) = std::sync::mpsc::channel();
        director.desc.recorder = Some(Recorder::Comparison(records));
        let view = director.create_view(0, Filters::Gated(gate.clone()));
        for frame_id in 1..=3 {
            director.begin_frame(0, frame_id, 1);
        }
        gate.wait_for_a_filter();
        director.handle(Command::DestroyView { id: 0 });
        gate.open();
        director.end();
        let frames: Vec<u64> = recorded.try_iter().map(|made| made.frame_id).collect();
        assert_eq!(frames, [1, 2, 3]);
        assert!(view.outputs.acquire(0, Duration::MAX).is_err());
    }

    /// A peer that holds revision 1: its end of the link, and what keeps the director's open.
    fn with_peer(director: &mut Director, peer: PeerId) -> (Connection, Events) {
        let (ours, theirs) = loopback();
        let connected = PeerEvent::Connected { link: ours.link, description: String::new(), info: info() };
        director.handle(Command::Peer(peer, connected));
        let packed = rayloom_scene::assets::pack(&Scene::default());
        director.handle(Command::Revision { scene: 1, revision: 1, base: 1, delta: Arc::default() });
        director.handle(Command::Base(BaseRevision { scene: 1, revision: 1, packed, needs: Constraints::default() }));
        let status = SceneStatus { scene: 1, revision: 1, stage: SceneStage::Ready };
        director.handle(Command::Peer(peer, PeerEvent::Scene(status)));
        (theirs, ours.events)
    }

    #[tokio::test]
    async fn who_may_not_have_a_scene_is_not_believed_to_hold_it() {
        let mut director = director();
        let (_theirs, _events) = with_peer(&mut director, PeerId(0));
        let packed = rayloom_scene::assets::pack(&Scene::default());
        director.handle(Command::Revision { scene: 2, revision: 2, base: 2, delta: Arc::default() });
        let needs = Constraints { trusted: true, ..Constraints::default() };
        director.handle(Command::Base(BaseRevision { scene: 2, revision: 2, packed: packed.clone(), needs }));
        let says = |stage| PeerEvent::Scene(SceneStatus { scene: 2, revision: 2, stage });
        director.handle(Command::Peer(PeerId(0), says(SceneStage::Ready)));
        assert!(director.revisions.held_by(PeerId(0)) == [(1, 1)], "{:?}", director.revisions.held_by(PeerId(0)));
        let told: Vec<Event> = std::iter::from_fn(|| director.desc.events.poll()).collect();
        let is_withheld = |event: &Event| matches!(event, Event::SceneFailed { revision: 2, peer: 0, .. });
        assert!(told.iter().filter(|event| is_withheld(event)).count() == 1, "{told:?}");
        assert!(!told.iter().any(|event| matches!(event, Event::SceneReady { revision: 2, .. })), "{told:?}");
        // Nor does what nobody there may have hold up what they may.
        director.handle(Command::Revision { scene: 2, revision: 3, base: 3, delta: Arc::default() });
        let open = BaseRevision { scene: 2, revision: 3, packed, needs: Constraints::default() };
        director.handle(Command::Base(open));
        assert!(director.revisions.offers().iter().any(|offered| offered.offer.revision == 3));
    }

    /// Planes are the most that a frame holds: sixteen frames that are out must not hold theirs.
    #[tokio::test]
    async fn the_planes_of_a_frame_that_is_out_are_let_go_unless_something_of_it_is_awaited() {
        let mut director = director();
        let peer = PeerId(0);
        let _link = with_peer(&mut director, peer);
        let view = director.create_view(0, Filters::Off);
        let extent = Extent::new(64, 64);
        let words = || vec![0; extent.pixels()];
        let primary = rayloom_frame::Primary {
            depth: vec![1.0; extent.pixels()],
            normal: words(),
            base_color: words(),
            material: words(),
            motion: words(),
            instance_id: words(),
        };
        let (geometric_normal, emissive) = (Vec::new(), Vec::new());
        let planes = Arc::new(GBuffer { extent, primary, geometric_normal, emissive, depth_error: 0.0 });
        let before = Arc::strong_count(&planes);
        director.begin_frame_with(0, 1, 1, Some(Arc::clone(&planes)));
        assert!(Arc::strong_count(&planes) > before, "it is in flight");
        // Its peer is gone, and with it whatever it was asked for: the frame goes out.
        director.handle(Command::Peer(peer, PeerEvent::Lost { cause: "a test".into() }));
        while view.in_flight.load(Ordering::Acquire) > 0 {
            director.desc.made.notified().await;
            assert!(director.publish_finished().is_ok());
        }
        // What sends them ends by itself.
        while Arc::strong_count(&planes) > before {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_destroyed_view_asks_nothing_more_of_its_peers() {
        let mut director = director();
        let (mut theirs, _ours) = with_peer(&mut director, PeerId(0));
        director.create_view(3, Filters::Off);
        director.begin_frame(3, 0, 1);
        director.handle(Command::DestroyView { id: 3 });
        let mut messages = Vec::new();
        for _ in 0..2 {
            match theirs.events.next().await {
                Some(LinkEvent::Message(_, bytes)) => messages.push(Message::decode(bytes).unwrap()),
                other => panic!("{other:?}"),
            }
        }
        let [Message::FrameTasks(tasks), Message::CancelTasks(cancelled)] = &messages[..] else {
            panic!("{messages:?}")
        };
        assert_eq!(cancelled.ids, tasks.tasks.iter().map(|task| task.id).collect::<Vec<_>>());
    }
}
