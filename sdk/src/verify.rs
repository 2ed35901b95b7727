//! Whether peers trace what they are asked to: some of their tiles are traced again by others and compared. Whoever is caught is
//! blocked, and what proves it is written down.
//!
//! A peer commits to each tile with a digest of its exact bits. Peers of one class (device, driver, front end, shaders) give
//! the same bits, so that another one's digest tells; between classes pixels are compared. Who traces a tile never knows
//! whether it will be traced again.

mod case;
pub(crate) mod evidence;

use crate::config::Verification;
use crate::director::{ArrivedSlice, TASK_VIEW_SHIFT};
use crate::fleet::Fleet;
use crate::flight::{FlightPlanes, FlightTile};
use crate::revisions::Revisions;
pub(crate) use case::Party;
use case::{Answer, Case, Finding, Role};
use parking_lot::Mutex;
use rayloom_coordinator::{PeerId, TaskId, TileAssignment, Time};
use rayloom_frame::codec::{DecodedSlice, assemble_tile};
use rayloom_frame::{LayerRequest, Rect, Tolerance, TracedTile};
use rayloom_wire::{CancelTasks, FrameTasks, Message, TileDone, limits};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// The view of these tasks in their ids; no view of the engine's has it.
pub(crate) const VERIFY_VIEW: u16 = (1 << 15) - 2;
/// Tiles that are being delivered and will be traced again; more are not watched.
const WATCHED: usize = 16;
/// How many peers are asked to trace a tile again before it is left alone.
const CHECKERS: usize = 3;
/// Who left so many of these tasks in a row unanswered is not asked any more, unless nobody else is there.
const SILENT: u32 = 3;
/// Of so many checks one goes to a trusted peer rather than to one of the same class: classes are what peers say of themselves.
const TRUSTED_ONE_IN: u64 = 4;
/// A peer is caught once pixels of other hardware have said so this many times.
const STRIKES: u32 = 3;
/// How long a peer may take to trace a tile again.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Disputes that are written down in a session; of who is caught there is one each.
const DISPUTES_WRITTEN: u32 = 16;

/// What became of the tiles that were traced again, since the session was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerificationStats {
    /// Tiles that were what they should be.
    pub agreed: u64,
    /// Tiles by which a peer was caught.
    pub caught: u64,
    /// Tiles that peers disagree about, without a third one to decide.
    pub disputed: u64,
    /// Tiles that nobody could trace again, or not in time.
    pub unanswered: u64,
}

/// A task whose tile will be traced again, complete in itself: lossless, and with the frame before told whole.
pub(crate) struct Subject {
    pub(crate) message: FrameTasks,
    /// Traced pixels, ghost zone included.
    pub(crate) rect: Rect,
    pub(crate) planes: Option<FlightPlanes>,
    /// Layers came back bit for bit anyway.
    pub(crate) was_lossless: bool,
}

impl Subject {
    fn assemble(&self, slices: &[DecodedSlice]) -> TracedTile {
        let layers: Vec<LayerRequest> = self.message.layers.iter().map(|layer| layer.request).collect();
        assemble_tile(self.rect, &layers, self.message.primary, slices)
    }
}

/// A tile on its way, of a task that somebody was asked for.
struct Expected {
    peer: PeerId,
    tile: FlightTile,
    digest: Option<[u8; 32]>,
    since: Time,
    /// Nothing more comes of it.
    is_lost: bool,
}

impl Expected {
    fn new(peer: PeerId, task: u64, rect: Rect, now: Time) -> Expected {
        let assignment = TileAssignment { task: TaskId(task), rect, ghost_px: 0, predicted_ns: 0, redundant: false };
        Expected {
            peer,
            tile: FlightTile::new(peer, &assignment, rect, now.0),
            digest: None,
            since: now,
            is_lost: false,
        }
    }

    fn is_of(&self, peer: PeerId, task: u64) -> bool {
        self.peer == peer && self.tile.task.0 == task
    }

    fn slice(&mut self, slice: &ArrivedSlice) {
        if self.tile.arrives(slice) {
            self.tile.wait(slice.decoded.clone());
        }
    }

    fn done(&mut self, done: &TileDone) {
        self.digest = Some(done.digest);
        self.tile.done(done, 0, 0);
    }

    /// Its slices and its digest, once all are there.
    fn take(&mut self) -> Option<(Vec<DecodedSlice>, [u8; 32])> {
        let digest = self.digest.filter(|_| self.tile.is_complete())?;
        Some((self.tile.take_waiting(), digest))
    }
}

/// The case that is open. One at a time: the work of tracing again stays small beside a frame's.
enum Open {
    /// A thread compares.
    Judged,
    /// A peer traces.
    Asked { subject: Box<Subject>, open: Box<OpenCase>, role: Role, party: Party, expected: Box<Expected> },
}

/// A case, and what of it is not assembled yet.
struct OpenCase {
    case: Case,
    delivered: Option<Vec<DecodedSlice>>,
}

/// A tile that was traced again, in slices.
struct Arrived {
    role: Role,
    party: Party,
    slices: Vec<DecodedSlice>,
    digest: [u8; 32],
}

/// What the thread that compares has to say.
struct Judgement {
    subject: Box<Subject>,
    case: Case,
    finding: Finding,
    written: Option<String>,
}

/// Tells the director that a case is closed, however its thread ends.
struct Reply {
    judged: Sender<Option<Judgement>>,
    made: Arc<Notify>,
    judgement: Option<Judgement>,
}

impl Drop for Reply {
    fn drop(&mut self) {
        // Without a receiver the session has ended.
        let _ = self.judged.send(self.judgement.take());
        self.made.notify_one();
    }
}

/// What the director has to do about it.
pub(crate) struct Caught {
    pub(crate) peer: PeerId,
    pub(crate) cause: String,
}

/// See the file's head.
pub(crate) struct Verifier {
    desc: Verification,
    /// Peers must not know which tiles will be traced again.
    secret: RandomState,
    network: Handle,
    /// Wakes the director.
    made: Arc<Notify>,
    judged: (Sender<Option<Judgement>>, Receiver<Option<Judgement>>),
    watched: VecDeque<(Expected, Box<Subject>)>,
    open: Option<Open>,
    caught: BTreeSet<PeerId>,
    /// Tasks in a row that a peer left unanswered, and times that pixels spoke against it.
    silent: BTreeMap<PeerId, u32>,
    strikes: BTreeMap<PeerId, u32>,
    tasks: u64,
    disputes: u32,
    stats: Arc<Mutex<VerificationStats>>,
}

impl Verifier {
    pub(crate) fn new(
        desc: Verification,
        network: Handle,
        made: Arc<Notify>,
        stats: Arc<Mutex<VerificationStats>>,
    ) -> Verifier {
        Verifier {
            desc,
            secret: RandomState::new(),
            network,
            made,
            judged: channel(),
            watched: VecDeque::new(),
            open: None,
            caught: BTreeSet::new(),
            silent: BTreeMap::new(),
            strikes: BTreeMap::new(),
            tasks: 0,
            disputes: 0,
            stats,
        }
    }

    /// Whether the tile of this task is to be traced again; known before it is sent and to nobody else.
    pub(crate) fn chooses(&self, peer: PeerId, task: u64, fleet: &Fleet) -> bool {
        let share = f64::from(self.desc.share);
        let chance = self.secret.hash_one(task) as f64 / u64::MAX as f64;
        let is_ordinary = |party: Party| !party.is_trusted;
        // Somebody must be there to trace it.
        chance < share && fleet.party(peer).is_some_and(is_ordinary) && fleet.parties().any(|other| other.peer != peer)
    }

    /// Keeps what is delivered of a task that was chosen.
    pub(crate) fn watch(&mut self, peer: PeerId, subject: Subject, now: Time) {
        let Some(task) = subject.message.tasks.first() else { return };
        let expected = Expected::new(peer, task.id, subject.rect, now);
        // What was cancelled or lost never comes.
        self.watched.retain(|(expected, _)| now < expected.since + ANSWER_WITHIN);
        if self.watched.len() < WATCHED {
            self.watched.push_back((expected, Box::new(subject)));
        }
    }

    /// A slice of any task, before it goes where it belongs.
    pub(crate) fn slice(&mut self, peer: PeerId, slice: &ArrivedSlice) {
        if let Some(expected) = self.expected(peer, slice.task) {
            expected.slice(slice);
        }
    }

    /// A tile is done, of any task.
    pub(crate) fn tile_done(&mut self, peer: PeerId, done: &TileDone) {
        if let Some(expected) = self.expected(peer, done.task) {
            expected.done(done);
        }
    }

    /// A task is refused, of any kind.
    pub(crate) fn refused(&mut self, peer: PeerId, task: u64) {
        self.give_up(|expected| expected.is_of(peer, task));
    }

    pub(crate) fn peer_lost(&mut self, peer: PeerId) {
        self.give_up(|expected| expected.peer == peer);
    }

    /// True for a peer that was caught: nothing of it counts any more.
    pub(crate) fn has_caught(&self, peer: PeerId) -> bool {
        self.caught.contains(&peer)
    }

    fn expected(&mut self, peer: PeerId, task: u64) -> Option<&mut Expected> {
        let asked = match &mut self.open {
            Some(Open::Asked { expected, .. }) => Some(&mut **expected),
            Some(Open::Judged) | None => None,
        };
        let watched = self.watched.iter_mut().map(|(expected, _)| expected);
        watched.chain(asked).find(|expected| expected.is_of(peer, task))
    }

    fn give_up(&mut self, is_lost: impl Fn(&Expected) -> bool) {
        self.watched.retain(|(expected, _)| !is_lost(expected));
        if let Some(Open::Asked { expected, .. }) = &mut self.open
            && is_lost(expected)
        {
            expected.is_lost = true;
        }
    }

    /// When it has something to do by itself.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match &self.open {
            Some(Open::Asked { expected, .. }) if expected.is_lost => Some(Time(0)),
            Some(Open::Asked { expected, .. }) => Some(expected.since + ANSWER_WITHIN),
            Some(Open::Judged) | None => None,
        }
    }

    /// Goes on where something arrived, and begins with the next tile; tells who was caught.
    pub(crate) fn advance(&mut self, fleet: &mut Fleet, revisions: &Revisions, now: Time) -> Option<Caught> {
        let mut caught = None;
        if let Ok(judgement) = self.judged.1.try_recv() {
            self.open = None;
            match judgement {
                Some(judgement) => caught = self.conclude(judgement, fleet, revisions, now),
                // Comparing panicked, which is told where it did.
                None => self.stats.lock().unanswered += 1,
            }
        }
        if self.poll_timeout().is_some_and(|due| due <= now)
            && let Some(Open::Asked { subject, open, role, expected, .. }) = self.open.take()
        {
            let cancel = Message::CancelTasks(CancelTasks { ids: vec![expected.tile.task.0] });
            if let Err(error) = fleet.send(expected.peer, &cancel) {
                tracing::debug!("peer {} was gone before its task was: {error}", expected.peer.0);
            }
            let silent = self.silent.entry(expected.peer).or_default();
            *silent = silent.saturating_add(1);
            // Somebody else may.
            self.ask(subject, open, role, fleet, revisions, now);
        }
        if let Some(Open::Asked { expected, .. }) = &mut self.open
            && let Some((slices, digest)) = expected.take()
            && let Some(Open::Asked { subject, open, role, party, .. }) = self.open.take()
        {
            self.silent.remove(&party.peer);
            self.judge(subject, open, Some(Arrived { role, party, slices, digest }));
        }
        if self.open.is_none() && caught.is_none() {
            self.begin(fleet, revisions, now);
        }
        caught
    }

    fn begin(&mut self, fleet: &mut Fleet, revisions: &Revisions, now: Time) {
        let whole = self.watched.iter_mut().enumerate().find_map(|(i, (expected, _))| Some((i, expected.take()?)));
        let Some((index, (slices, commitment))) = whole else { return };
        let Some((expected, subject)) = self.watched.remove(index) else { return };
        let Some(accused) = fleet.known(expected.peer) else { return };
        let coding = if subject.was_lossless { Tolerance::Exact } else { Tolerance::Coded };
        // Put together where it is compared.
        let delivered = TracedTile { rect: subject.rect, layers: Vec::new(), primary: None, block_rays: Vec::new() };
        let (answers, asked, given_up) = (Vec::new(), Vec::new(), Vec::new());
        let case = Case { accused, delivered, coding, commitment, answers, asked, given_up };
        self.ask(subject, Box::new(OpenCase { case, delivered: Some(slices) }), Role::Checker, fleet, revisions, now);
    }

    /// Somebody traces the tile again; where nobody can, what is known so far has to do.
    fn ask(
        &mut self,
        subject: Box<Subject>,
        mut open: Box<OpenCase>,
        role: Role,
        fleet: &mut Fleet,
        revisions: &Revisions,
        now: Time,
    ) {
        let times = open.case.asked.iter().filter(|(other, _)| *other == role).count();
        let may_ask = times < if role == Role::Accused { 1 } else { CHECKERS };
        let party = self.choose(&subject, &open.case, role, fleet, revisions).filter(|_| may_ask);
        let sent = party.and_then(|party| Some((self.send(&party, &subject, fleet, now)?, party)));
        match sent {
            Some((expected, party)) => {
                open.case.asked.push((role, party.peer));
                self.open = Some(Open::Asked { subject, open, role, party, expected: Box::new(expected) });
            }
            None if open.case.answers.is_empty() => self.stats.lock().unanswered += 1,
            None => {
                open.case.given_up.push(role);
                self.judge(subject, open, None);
            }
        }
    }

    /// Who is asked: for most checks one of the same class, as bits say more than pixels; for some, and in a dispute, who is trusted.
    /// Among equals, chance.
    fn choose(
        &self,
        subject: &Subject,
        case: &Case,
        role: Role,
        fleet: &Fleet,
        revisions: &Revisions,
    ) -> Option<Party> {
        let holds = |party: &Party| revisions.is_held(subject.message.revision, party.peer);
        if role == Role::Accused {
            return fleet.party(case.accused.peer).filter(holds);
        }
        let is_involved =
            |party: &Party| party.peer == case.accused.peer || case.asked.iter().any(|(_, peer)| *peer == party.peer);
        let others = fleet.parties().filter(|party| !is_involved(party) && holds(party));
        let others = others.filter(|party| !self.caught.contains(&party.peer));
        let is_same_class = |party: &Party| party.class == case.accused.class;
        let wants_trusted = self.secret.hash_one((self.tasks, "trusted")).is_multiple_of(TRUSTED_ONE_IN);
        let speaks = |party: &Party| self.silent.get(&party.peer).is_none_or(|silent| *silent < SILENT);
        let worth = |party: &Party| match role {
            // What peers say of their class must not decide who decides.
            Role::Arbiter => (speaks(party), party.is_trusted, false),
            Role::Accused | Role::Checker if wants_trusted => (speaks(party), party.is_trusted, is_same_class(party)),
            Role::Accused | Role::Checker => (speaks(party), is_same_class(party), party.is_trusted),
        };
        let chance = |party: &Party| self.secret.hash_one((self.tasks, party.peer));
        others.max_by_key(|party| (worth(party), chance(party)))
    }

    fn send(&mut self, party: &Party, subject: &Subject, fleet: &mut Fleet, now: Time) -> Option<Expected> {
        let id = u64::from(VERIFY_VIEW) << TASK_VIEW_SHIFT | self.tasks;
        self.tasks += 1;
        let mut message = subject.message.clone();
        // Frames of the engine's views are newer than this one by now.
        message.view = limits::UNORDERED_VIEWS;
        let (frame_id, region) = (message.frame_id, subject.rect.whole_blocks(2, message.extent));
        message.tasks.iter_mut().for_each(|task| task.id = id);
        if let Err(error) = fleet.send(party.peer, &Message::FrameTasks(message)) {
            tracing::debug!("peer {} was not asked to trace a tile again: {error}", party.peer.0);
            return None;
        }
        if let Some(planes) = &subject.planes {
            fleet.send_planes(party.peer, frame_id, planes, vec![(id, region)]);
        }
        Some(Expected::new(party.peer, id, subject.rect, now))
    }

    /// Compares on another thread: tiles are put together, hashed and looked at pixel by pixel.
    fn judge(&mut self, subject: Box<Subject>, open: Box<OpenCase>, arrived: Option<Arrived>) {
        self.open = Some(Open::Judged);
        let reply = Reply { judged: self.judged.0.clone(), made: Arc::clone(&self.made), judgement: None };
        let folder = self.desc.evidence.clone();
        let writes_disputes = self.disputes < DISPUTES_WRITTEN;
        self.network.spawn_blocking(move || {
            // Whole: it replies when it is dropped.
            let mut reply = reply;
            let OpenCase { mut case, delivered } = *open;
            if let Some(slices) = delivered {
                case.delivered = subject.assemble(&slices);
            }
            if let Some(Arrived { role, party, slices, digest }) = arrived {
                case.answers.push(Answer { role, party, tile: subject.assemble(&slices), digest });
            }
            let finding = case.judge();
            let (cause, caught) = match &finding {
                Finding::Caught { cause, peer, .. } => (Some(cause), Some(*peer)),
                Finding::Disputed(cause) if writes_disputes => (Some(cause), None),
                Finding::Agrees | Finding::Ask(_) | Finding::Disputed(_) => (None, None),
            };
            let written = cause.zip(folder).map(|(cause, folder)| {
                match evidence::write(&folder, &subject.message, &case, caught, cause) {
                    Ok(written) => format!("; see {}", written.display()),
                    Err(error) => {
                        let text = format!("what proves it can't be written to {}: {error}", folder.display());
                        tracing::error!("{text}");
                        format!("; {text}")
                    }
                }
            });
            reply.judgement = Some(Judgement { subject, case, finding, written });
        });
    }

    fn conclude(
        &mut self,
        judgement: Judgement,
        fleet: &mut Fleet,
        revisions: &Revisions,
        now: Time,
    ) -> Option<Caught> {
        let Judgement { subject, case, finding, written } = judgement;
        let where_to = written.unwrap_or_default();
        match finding {
            Finding::Agrees => self.stats.lock().agreed += 1,
            Finding::Ask(role) => {
                self.ask(subject, Box::new(OpenCase { case, delivered: None }), role, fleet, revisions, now);
            }
            Finding::Disputed(cause) => {
                self.stats.lock().disputed += 1;
                self.disputes += 1;
                let peer = &case.accused.description;
                tracing::warn!("a tile of {peer} was traced again and differs: {cause}{where_to}");
            }
            Finding::Caught { peer, cause, is_certain: false } if self.strike(peer) < STRIKES => {
                self.stats.lock().disputed += 1;
                tracing::warn!("a tile of {cause}{where_to}");
            }
            Finding::Caught { peer, cause, .. } => {
                self.stats.lock().caught += 1;
                self.caught.insert(peer);
                self.watched.retain(|(expected, _)| expected.peer != peer);
                return Some(Caught { peer, cause: format!("{cause}{where_to}") });
            }
        }
        None
    }

    /// Counts a time that pixels of other hardware spoke against a peer.
    fn strike(&mut self, peer: PeerId) -> u32 {
        let strikes = self.strikes.entry(peer).or_default();
        *strikes += 1;
        *strikes
    }
}
