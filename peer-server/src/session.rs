//! One engine's session: its messages in order, its scenes, its tasks.

use crate::clock::now_ns;
use crate::frames::RecentFrames;
use crate::outbound::{LinkClosed, Outbound};
use crate::planes::AwaitedPlanes;
use crate::quota::Quota;
use crate::render::{BuildEvent, BuildJob, TileJob, TileOutcome};
use crate::results::{FRESH_FRAMES, TileTag, refusal};
use crate::scenes::{SceneTable, status};
use crate::server::{Health, Shared};
use crate::transfer::{Transfer, TransferEvent};
use rayloom_frame::GBuffer;
use rayloom_transport::{Channel, Events, LinkEvent};
use rayloom_wire::{
    BlobNeed, BlobPart, FrameTasks, Hello, Leaving, Message, Pong, RefusalCode, Refused, Role, SceneOffer, SceneStage,
    Task, TaskRefusal, TaskRefused, VERSION, limits,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How long the other side may take to say what it is.
/// When tasks without layers are due, which say nothing of it.
const NO_LAYERS_MS: u16 = 1000;
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Views of a session.
const VIEWS: usize = 64;
/// Pieces of blobs that may wait for the disk; then the session waits for it too, and with it the link's sender.
const PARTS_AHEAD: usize = 64;

/// A tile of this session.
type Job = TileJob<TileTag>;

/// Why a session ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The link is gone: why.
    Closed(String),
    /// The engine did something that this side can't go on from.
    Refuse(RefusalCode, String),
}

impl From<LinkClosed> for End {
    fn from(_: LinkClosed) -> End {
        End::Closed("the link closed while something was being sent".into())
    }
}

/// What other threads have for the session.
enum Notice {
    Transfer(TransferEvent),
    Build(BuildEvent),
}

/// What the session does about its current offer.
enum Current {
    Idle,
    /// A thread of its own takes the pieces.
    Receiving(SceneOffer, mpsc::Sender<BlobPart>),
    Building(SceneOffer),
}

pub(crate) struct Session {
    id: u64,
    shared: Arc<Shared>,
    out: Outbound,
    scenes: SceneTable,
    current: Current,
    frames: RecentFrames,
    newest: HashMap<u16, Arc<AtomicU64>>,
    quota: Quota,
    awaited: AwaitedPlanes<Job>,
    traced: mpsc::UnboundedSender<TileOutcome<TileTag>>,
    // Unbounded in type alone: one transfer or build is under way at a time, and progress is told in steps.
    notices: mpsc::UnboundedSender<Notice>,
}

/// Runs a session until its end. Cancelling it is the same as closing its link.
pub(crate) async fn run(id: u64, shared: Arc<Shared>, out: Outbound, events: &mut Events) -> End {
    // Bounded by the quota: a tile is in there only while its guard lives.
    let (traced, to_answer) = mpsc::unbounded_channel();
    let (notices, inbox) = mpsc::unbounded_channel();
    let inserted = shared.config.inserted;
    let quota = Quota::new(shared.config.tasks_per_session, shared.config.pixels_per_session);
    let mut session = Session {
        id,
        shared,
        out: out.clone(),
        scenes: SceneTable::default(),
        current: Current::Idle,
        frames: RecentFrames::default(),
        newest: HashMap::new(),
        quota,
        awaited: AwaitedPlanes::default(),
        traced,
        notices,
    };
    let answers = crate::results::answer(to_answer, out, inserted);
    tokio::select! {
        end = session.talk(events, inbox) => match end {
            Ok(never) => match never {},
            Err(end) => end,
        },
        () = answers => End::Closed("the link closed while results were being sent".into()),
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.device.cancel_session(self.id);
    }
}

enum Never {}

impl Session {
    async fn talk(&mut self, events: &mut Events, mut inbox: mpsc::UnboundedReceiver<Notice>) -> Result<Never, End> {
        self.greet(events).await?;
        let mut health = self.shared.health.subscribe();
        let mut is_leaving = false;
        loop {
            tokio::select! {
                until = leaving(&mut health), if !is_leaving => {
                    is_leaving = true;
                    let within = until.saturating_duration_since(Instant::now());
                    let within_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
                    let reason = "the peer is being shut down".to_owned();
                    self.out.control(Message::Leaving(Leaving { within_ms, reason })).await?;
                }
                event = events.next() => {
                    let (channel, bytes) = message_of(event)?;
                    match Message::decode(bytes) {
                        Ok(message) => self.handle(channel, message).await?,
                        Err(e) => return Err(broken(format!("a message on the {} channel: {e}", channel.name()))),
                    }
                }
                Some(notice) = inbox.recv() => self.notice(notice).await?,
            }
        }
    }

    async fn greet(&mut self, events: &mut Events) -> Result<(), End> {
        let agent = concat!("rayloom-peer/", env!("CARGO_PKG_VERSION")).to_owned();
        let role = Role::Peer(self.shared.info.clone());
        self.out.control(Message::Hello(Hello { versions: VERSION, agent, role })).await?;
        let first = tokio::time::timeout(HELLO_WITHIN, events.next()).await;
        let first = first.map_err(|_| broken(format!("no Hello within {HELLO_WITHIN:?}")))?;
        let hello = match Message::decode(message_of(first)?.1) {
            Ok(Message::Hello(hello)) => hello,
            Ok(Message::Refused(refused)) => {
                return Err(End::Closed(format!("the engine refuses: {}", refused.reason)));
            }
            Ok(_) => return Err(broken("the first message is not Hello".into())),
            Err(e) => return Err(broken(format!("the first message: {e}"))),
        };
        if VERSION.agree(hello.versions).is_none() {
            let reason = format!(
                "this peer speaks protocol versions {VERSION}, the engine {}: update the older one",
                hello.versions
            );
            return Err(End::Refuse(RefusalCode::Version, reason));
        }
        if hello.role != Role::Engine {
            let reason = "both sides are peers; a peer takes work from engines only".into();
            return Err(End::Refuse(RefusalCode::Role, reason));
        }
        tracing::info!(
            session = self.id,
            agent = hello.agent,
            link = self.out.link().description(),
            "an engine is here"
        );
        Ok(())
    }

    async fn handle(&mut self, channel: Channel, message: Message) -> Result<(), End> {
        match message {
            Message::Ping(ping) => {
                let received_ns = now_ns();
                let pong = Pong { sent_ns: ping.sent_ns, received_ns, answered_ns: now_ns() };
                Ok(self.out.control(Message::Pong(pong)).await?)
            }
            Message::SceneOffer(offer) => self.offered(offer).await,
            Message::BlobPart(part) => self.part(part).await,
            Message::FrameTasks(tasks) => self.tasks(tasks).await,
            Message::TileSlice(slice) => {
                let ready = self.awaited.arrived(slice);
                self.with_planes(ready).await
            }
            Message::CancelTasks(cancel) => {
                self.quota.cancel(&cancel.ids);
                self.awaited.retain(|task, _| !cancel.ids.contains(&task));
                self.shared.device.cancel(self.id, &cancel.ids);
                Ok(())
            }
            Message::Refused(refused) => Err(End::Closed(format!("the engine ends the session: {}", refused.reason))),
            Message::Hello(_) => Err(broken("a second Hello".into())),
            Message::Pong(_)
            | Message::BlobNeed(_)
            | Message::SceneStatus(_)
            | Message::TileDone(_)
            | Message::TaskRefused(_)
            | Message::Leaving(_) => {
                Err(broken(format!("a message on the {} channel that only peers send", channel.name())))
            }
        }
    }

    async fn offered(&mut self, offer: SceneOffer) -> Result<(), End> {
        if let Some(resident) = self.shared.device.find(&offer.root) {
            self.scenes.set_ready(&offer, resident);
            return Ok(self.out.control(status(&offer, SceneStage::Ready)).await?);
        }
        if let Some((refused, reason)) = self.scenes.queue(offer) {
            self.out.control(status(&refused, SceneStage::Failed { reason })).await?;
        }
        self.next_offer().await
    }

    /// Begins with the next offer when nothing is under way.
    async fn next_offer(&mut self) -> Result<(), End> {
        while matches!(self.current, Current::Idle) {
            let Some(offer) = self.scenes.next_waiting() else { return Ok(()) };
            match self.shared.device.find(&offer.root) {
                Some(resident) => {
                    self.scenes.set_ready(&offer, resident);
                    self.out.control(status(&offer, SceneStage::Ready)).await?;
                }
                None => self.receive(offer),
            }
        }
        Ok(())
    }

    fn receive(&mut self, offer: SceneOffer) {
        let (parts, to_take) = mpsc::channel(PARTS_AHEAD);
        let (cache, assembler) = (self.shared.cache.clone(), self.shared.assembler.clone());
        let (transfer, notices) = (Transfer::new(offer.clone(), cache, assembler), self.notices.clone());
        tokio::task::spawn_blocking(move || {
            transfer.run(to_take, |event| {
                // Without a receiver the session is over.
                let _ = notices.send(Notice::Transfer(event));
            });
        });
        self.current = Current::Receiving(offer, parts);
    }

    async fn notice(&mut self, notice: Notice) -> Result<(), End> {
        match (notice, std::mem::replace(&mut self.current, Current::Idle)) {
            (Notice::Transfer(event), Current::Receiving(offer, parts)) => self.transferred(event, offer, parts).await,
            (Notice::Build(event), Current::Building(offer)) => self.built(event, offer).await,
            // Nothing comes after a transfer's or a build's end.
            (_, current) => {
                self.current = current;
                Ok(())
            }
        }
    }

    async fn transferred(
        &mut self,
        event: TransferEvent,
        offer: SceneOffer,
        parts: mpsc::Sender<BlobPart>,
    ) -> Result<(), End> {
        match event {
            TransferEvent::Ask(blobs, have, total) => {
                self.out.control(status(&offer, SceneStage::Receiving { have, total })).await?;
                self.out.control(Message::BlobNeed(BlobNeed { blobs })).await?;
            }
            TransferEvent::Progress(have, total) => {
                self.out.control(status(&offer, SceneStage::Receiving { have, total })).await?;
            }
            TransferEvent::Rejected(blob, _) if self.scenes.is_abandoned(&blob) => {}
            TransferEvent::Rejected(_, reason) => return Err(broken(reason)),
            TransferEvent::Failed(reason, outstanding) => {
                self.scenes.abandon(outstanding.into_iter());
                return self.fail(&offer, reason).await;
            }
            TransferEvent::Assembled(scene) => {
                self.out.control(status(&offer, SceneStage::Building { fraction: 0.0 })).await?;
                let notices = self.notices.clone();
                let reply = Box::new(move |event| {
                    let _ = notices.send(Notice::Build(event));
                });
                if !self.shared.device.build(BuildJob { session: self.id, root: offer.root, scene: *scene, reply }) {
                    return Err(End::Refuse(RefusalCode::Device, "the device has stopped".into()));
                }
                self.current = Current::Building(offer);
                return Ok(());
            }
        }
        self.current = Current::Receiving(offer, parts);
        Ok(())
    }

    async fn built(&mut self, event: BuildEvent, offer: SceneOffer) -> Result<(), End> {
        match event {
            BuildEvent::Progress(fraction) => {
                if self.scenes.build_progress_due() {
                    self.out.control(status(&offer, SceneStage::Building { fraction })).await?;
                }
                self.current = Current::Building(offer);
                Ok(())
            }
            BuildEvent::Built(Ok(resident)) => {
                tracing::info!(session = self.id, scene = offer.scene, revision = offer.revision, "a scene is ready");
                self.scenes.set_ready(&offer, resident);
                self.out.control(status(&offer, SceneStage::Ready)).await?;
                self.next_offer().await
            }
            BuildEvent::Built(Err(reason)) => self.fail(&offer, reason).await,
        }
    }

    /// This revision is not to be had; the ready ones stay.
    async fn fail(&mut self, offer: &SceneOffer, reason: String) -> Result<(), End> {
        tracing::warn!(session = self.id, scene = offer.scene, revision = offer.revision, reason, "a scene failed");
        self.current = Current::Idle;
        self.out.control(status(offer, SceneStage::Failed { reason })).await?;
        self.next_offer().await
    }

    async fn part(&mut self, part: BlobPart) -> Result<(), End> {
        let id = part.id;
        if let Current::Receiving(_, parts) = &self.current
            && parts.send(part).await.is_ok()
        {
            return Ok(());
        }
        // A transfer that has just failed has not told yet: what comes for it is known only once it has.
        let straggler = matches!(self.current, Current::Receiving(..)) || self.scenes.is_abandoned(&id);
        if straggler { Ok(()) } else { Err(broken("a piece of a blob was sent while none was asked for".into())) }
    }

    async fn tasks(&mut self, message: FrameTasks) -> Result<(), End> {
        let (received_ns, received) = (now_ns(), Instant::now());
        if !self.shared.config.inserted.queue.is_zero() {
            tokio::time::sleep(self.shared.config.inserted.queue).await;
        }
        let frame_id = message.frame_id;
        let resolved = self.resolve(&message);
        let (scene, frame, newest) = match resolved {
            Ok(resolved) => resolved,
            Err(reason) => {
                for task in &message.tasks {
                    self.out.control(refusal(task.id, frame_id, reason.clone())).await?;
                }
                return Ok(());
            }
        };
        if message.planes.is_some() {
            // An engine that gives a frame up may do so without a word.
            self.awaited
                .retain(|_, job| job.frame.frame_id.saturating_add(FRESH_FRAMES) >= job.tag.newest.load(Relaxed));
        }
        let left_ms = message.layers.iter().map(|layer| layer.deadline_ms).min().unwrap_or(NO_LAYERS_MS);
        let due = received + Duration::from_millis(left_ms.into());
        for task in &message.tasks {
            let (rect, guard) = match self.check_task(task, &message) {
                Ok(accepted) => accepted,
                Err((lacks, reason)) => {
                    self.out
                        .control(Message::TaskRefused(TaskRefused { task: task.id, frame_id, lacks, reason }))
                        .await?;
                    continue;
                }
            };
            let tag = TileTag { guard, received_ns, lossless: message.lossless, newest: newest.clone() };
            let (frame, scene, reply) = (frame.clone(), scene.clone(), self.traced.clone());
            let job = TileJob { session: self.id, task: task.id, frame, scene, rect, due, planes: None, tag, reply };
            match message.planes {
                None => self.trace(job).await?,
                Some(given) => {
                    let region = rect.whole_blocks(2, message.extent);
                    let ready = self.awaited.expect(task.id, job, (message.extent, region), given);
                    self.with_planes(ready).await?;
                }
            }
        }
        Ok(())
    }

    /// A task whose planes are there, or can't be used.
    async fn with_planes(&mut self, ready: Result<Option<(Job, GBuffer)>, (Job, String)>) -> Result<(), End> {
        match ready {
            Ok(None) => Ok(()),
            Ok(Some((job, planes))) => self.trace(TileJob { planes: Some(planes), ..job }).await,
            Err((job, reason)) => Ok(self.out.control(refusal(job.task, job.frame.frame_id, reason)).await?),
        }
    }

    async fn trace(&mut self, job: Job) -> Result<(), End> {
        let (task, frame_id) = (job.task, job.frame.frame_id);
        if !self.shared.device.trace(job) {
            self.out.control(refusal(task, frame_id, "the device has stopped".to_owned())).await?;
        }
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "three things that only this file's one caller takes apart")]
    fn resolve(
        &mut self,
        message: &FrameTasks,
    ) -> Result<(Arc<crate::render::ResidentScene>, Arc<crate::tracer::Frame>, Arc<AtomicU64>), String> {
        let (scene, revision) = (message.scene, message.revision);
        let resident = self.scenes.name(scene, revision).cloned().ok_or_else(|| {
            let ready = self.scenes.ready_revisions(scene);
            format!(
                "revision {revision} of scene {scene} is not ready here ({ready}): offer it and wait for its status"
            )
        })?;
        if self.newest.len() >= VIEWS && !self.newest.contains_key(&message.view) {
            // Views come and go (a resized window is a new one) and nobody says so: those without a tile here can go.
            self.newest.retain(|_, newest| Arc::strong_count(newest) > 1);
        }
        if self.newest.len() >= VIEWS && !self.newest.contains_key(&message.view) {
            return Err(format!("a session has at most {VIEWS} views"));
        }
        let frame = Arc::new(self.frames.resolve(message, &resident)?);
        let newest = self.newest.entry(message.view).or_default().clone();
        if message.view < limits::UNORDERED_VIEWS {
            newest.fetch_max(message.frame_id, Relaxed);
        }
        Ok((resident, frame, newest))
    }

    fn check_task(
        &self,
        task: &Task,
        message: &FrameTasks,
    ) -> Result<(rayloom_frame::Rect, crate::quota::TaskGuard), (TaskRefusal, String)> {
        let whole_view = task.rect == message.extent.rect();
        if message.filter_radius > task.ghost && !whole_view {
            let reason = format!(
                "the filter's radius of {} pixels is more than the ghost zone's {}: seams would show",
                message.filter_radius, task.ghost
            );
            return Err((TaskRefusal::Other, reason));
        }
        let rect = task.rect.grown(u32::from(task.ghost), message.extent);
        let blocks = rect.scaled(16).pixels();
        if blocks > limits::BLOCKS_PER_TILE {
            let most = limits::BLOCKS_PER_TILE;
            let reason = format!("the tile has {blocks} blocks of 16x16 pixels, at most {most} fit: cut it smaller");
            return Err((TaskRefusal::Other, reason));
        }
        Ok((rect, self.quota.take(task.id, rect.pixels())?))
    }
}

/// Waits until the peer will go, and says when.
async fn leaving(health: &mut watch::Receiver<Health>) -> Instant {
    loop {
        if let Health::Draining(until) = *health.borrow_and_update() {
            return until;
        }
        if health.changed().await.is_err() {
            // Its end is told by who runs this.
            std::future::pending::<()>().await;
        }
    }
}

fn message_of(event: Option<LinkEvent>) -> Result<(Channel, bytes::Bytes), End> {
    match event {
        Some(LinkEvent::Message(channel, bytes)) => Ok((channel, bytes)),
        Some(LinkEvent::Closed { reason }) => Err(End::Closed(reason)),
        None => Err(End::Closed("the link is closed".into())),
    }
}

fn broken(reason: String) -> End {
    End::Refuse(RefusalCode::Protocol, reason)
}

/// Says why and ends the link; what was said arrives before the end does.
pub(crate) fn refuse(out: &Outbound, code: RefusalCode, reason: &str) {
    let message = Message::Refused(Refused { code, reason: reason.to_owned() });
    // A link that takes nothing more tells the reason by closing alone.
    let _ = out.link().send(Channel::Control, message.encode());
    out.link().close(reason);
}
