//! The state machine: events in, actions out. Planning is in `planning.rs`, what goes wrong with tiles in `faults.rs`, where peers
//! stand in `membership.rs`.

use crate::flight::{Frame, Task, TaskState};
use crate::foresight::{Foresight, Pending};
use crate::layout::LastPlan;
use crate::link::BytesPerPx;
use crate::model::{CostModel, CostModelView};
use crate::passed::PassedOver;
use crate::peer::Peer;
use crate::quality::Quality;
use crate::speed::Speed;
use crate::work_map::{WorkMap, touched_blocks};
use crate::{
    Action, ChangeCause, Config, Flaw, GROUPS, PeerId, PeerPrior, PeerState, PeerView, Refusal, TaskId, TileAssignment,
    TileReport, Time,
};
use rayloom_frame::{Extent, Rect};
use rayloom_wire::limits;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Answers to tasks that were cancelled are welcome this long, and to those that are only not waited for any more.
const CANCELLED_ANSWERS: Duration = Duration::from_secs(2);
const LATE_ANSWERS: Duration = Duration::from_secs(60);
/// A clock that goes back by so much has been set; by less, its readings came in another order.
const CLOCK_SET: Duration = Duration::from_millis(20);
/// A caller that looks so much later than it was to has stood still itself.
const LATE_LOOK: Duration = Duration::from_millis(20);
/// Most actions that wait to be polled; beyond, the oldest is dropped.
const ACTIONS: usize = 8192;
/// Most tasks that are remembered; beyond, the oldest is forgotten, of those that were cancelled if there are any.
const TASKS: usize = 16_384;

/// Cuts frames, assigns tiles, watches peers. Give it every event in order, then poll actions until there is none and
/// the timeout for the next call of [`Coordinator::handle_timeout`].
#[derive(Debug)]
pub struct Coordinator {
    pub(crate) config: Config,
    /// Never runs backwards, whatever the caller's clock does.
    pub(crate) now: Time,
    /// By how much it is ahead of the caller's clock, which was set back.
    skew: Duration,
    pub(crate) peers: BTreeMap<PeerId, Peer>,
    pub(crate) frames: VecDeque<Frame>,
    pub(crate) tasks: BTreeMap<TaskId, Task>,
    groups: [Group; GROUPS],
    pub(crate) model: CostModel,
    /// What is known of the frame that begins next.
    pub(crate) pending: Option<Pending>,
    /// A tile has been measured, so a unit of work is a nanosecond of some peer.
    pub(crate) is_calibrated: bool,
    pub(crate) next_serial: u64,
    /// Work assigned at all, and that of backups, in nanoseconds.
    pub(crate) assigned_ns: f64,
    pub(crate) hedged_ns: f64,
    next_task: u64,
    actions: VecDeque<Action>,
    actions_dropped: u64,
}

/// What is remembered of a group of layers from frame to frame.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) map: WorkMap,
    pub(crate) last_plan: Option<LastPlan>,
    /// What the last frame that expired lacked: comes first in its peers' queues.
    pub(crate) lacking: Vec<Rect>,
    pub(crate) passed_over: PassedOver,
    /// When its last frame was begun.
    pub(crate) begun: Time,
    /// The mean time from one frame to the next, of late; 0 before the second.
    pub(crate) interval_ns: f64,
    /// How long answers are, by what arrived.
    pub(crate) answer_bytes: BytesPerPx,
    pub(crate) quality: Quality,
}

impl Group {
    fn new() -> Group {
        Group {
            map: WorkMap::new(),
            last_plan: None,
            lacking: Vec::new(),
            passed_over: PassedOver::default(),
            begun: Time::default(),
            interval_ns: 0.0,
            answer_bytes: BytesPerPx::default(),
            quality: Quality::default(),
        }
    }
}

/// How far a tile moves its peer's speed towards what the model of all peers says, and at most.
const COMMON: f64 = 0.02;
const MOST: f64 = 0.02;

impl Coordinator {
    /// A coordinator without peers.
    pub fn new(config: Config) -> Coordinator {
        Coordinator {
            config: config.sane(),
            now: Time::default(),
            skew: Duration::ZERO,
            peers: BTreeMap::new(),
            frames: VecDeque::new(),
            tasks: BTreeMap::new(),
            groups: std::array::from_fn(|_| Group::new()),
            model: CostModel::new(),
            pending: None,
            is_calibrated: false,
            next_serial: 0,
            assigned_ns: 0.0,
            hedged_ns: 0.0,
            next_task: 1,
            actions: VecDeque::new(),
            actions_dropped: 0,
        }
    }

    /// Every peer in figures, by id; lost ones too, until their place is needed.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> {
        let rate = |peer: &Peer| 1.0 / peer.speed.ns_per_unit();
        let there = self.peers.values().filter(|peer| peer.state != PeerState::Lost);
        let fastest = there.map(rate).fold(f64::MIN_POSITIVE, f64::max);
        let views: Vec<PeerView> = self
            .peers
            .values()
            .map(|peer| PeerView {
                id: peer.id,
                state: peer.state,
                is_embedded: peer.prior.is_embedded,
                speed: (rate(peer) / fastest).min(1.0) as f32,
                tile_overhead_ms: (peer.speed.overhead_ns() * 1e-6) as f32,
                last_tile_ms: (peer.last_tile_ns as f64 * 1e-6) as f32,
                link_ms: (peer.link.ns * 1e-6) as f32,
                down_bits_per_s: peer.link.down.bits_per_second() as f32,
                up_bits_per_s: peer.link.up.bits_per_second() as f32,
                tiles: peer.tiles,
                missed: peer.missed,
                refused: peer.refused,
                corrupt: peer.corrupt,
                queue: self.outstanding(peer.id).count() as u32,
                share: peer.share,
            })
            .collect();
        views.into_iter()
    }

    /// True for a peer that gets its share of frames.
    pub fn is_ready(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.state == PeerState::Ready)
    }

    /// Whose task this is, while an answer is expected or welcome. Answers from others are forged.
    pub fn task_peer(&self, task: TaskId) -> Option<PeerId> {
        self.tasks.get(&task).map(|task| task.peer)
    }

    /// Says what the frame that begins next will show; [`crate::FrameRequest::cost`] then counts for nothing.
    pub fn foresee(&mut self, foresight: &Foresight<'_>) {
        self.pending = Pending::new(foresight);
    }

    /// What a pixel of each 16x16 block is believed to cost on the fastest peer, in nanoseconds, rows from the top, the layers of
    /// group 0 together; none before the first frame.
    pub fn ns_per_pixel(&self) -> Vec<f32> {
        let there = self.peers.values().filter(|peer| peer.state != PeerState::Lost);
        let fastest = there.map(|peer| peer.speed.ns_per_unit()).fold(f64::INFINITY, f64::min);
        let unit = if fastest.is_finite() { fastest as f32 } else { 1.0 };
        self.groups[0].map.density().iter().map(|density| density * unit).collect()
    }

    /// The cost model in figures.
    pub fn cost_model(&self) -> CostModelView {
        self.model.view()
    }

    /// What the cost model has learned, in bytes of a version of its own, for a device of the same model.
    pub fn save_cost_model(&self) -> Vec<u8> {
        self.model.save()
    }

    /// Starts from what a cost model had learned; false, with nothing changed, for bytes that are none of this version.
    pub fn load_cost_model(&mut self, bytes: &[u8]) -> bool {
        self.model.load(bytes)
    }

    /// Share of all work assigned that backups were.
    pub fn hedged_share(&self) -> f64 {
        self.hedged_ns / self.assigned_ns.max(1.0)
    }

    /// Tasks that are remembered: those in peers' queues, and those of the last two seconds whose answers are welcome.
    pub fn tasks_remembered(&self) -> usize {
        self.tasks.len()
    }

    /// Actions that were dropped because nobody polled.
    pub fn actions_dropped(&self) -> u64 {
        self.actions_dropped
    }

    /// The round trip to a peer was measured. Whoever does so does it again and again: a peer that misses tiles and was not heard of
    /// for a second either is given up, and no frame waits for it until it is.
    pub fn link_measured(&mut self, peer: PeerId, rtt: Duration, now: Time) {
        self.advance(now);
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.note_round_trip(rtt, now);
        }
    }

    /// Something of a peer has arrived: a part of a tile, say.
    pub fn peer_heard(&mut self, peer: PeerId, now: Time) {
        self.advance(now);
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.note_sign(now);
        }
    }

    /// All of a tile's slices are here. Tasks that are unknown or already answered are ignored.
    pub fn tile_done(&mut self, task: TaskId, report: TileReport<'_>, now: Time) {
        self.advance(now);
        let Some(done) = self.tasks.remove(&task) else { return };
        self.learn(&done, &report);
        if let Some(peer) = self.peers.get_mut(&done.peer) {
            peer.tiles += 1;
            peer.refused_in_a_row = 0;
            peer.last_tile_ns = report.service_ns;
            peer.last_done = self.now;
            peer.note_sign(self.now);
            if self.now <= done.due && done.is_outstanding() {
                peer.missed_in_a_row = 0;
                peer.note_hit();
                peer.held = peer.held.saturating_add(1);
            }
            if peer.state == PeerState::Suspect {
                peer.probe_soon(self.now);
            }
        }
        if done.is_outstanding() {
            self.note_held(done.peer);
        }
        if done.cell.is_some() {
            self.group_mut(done.group).passed_over.note_traced(done.ghost_rect);
        }
        self.note_overtaken(task, done.peer);
        self.fill_cell(&done);
    }

    /// A peer will not do a task: another does, if it can make the deadline.
    pub fn tile_refused(&mut self, task: TaskId, refusal: Refusal, now: Time) {
        self.advance(now);
        let Some(refused) = self.tasks.remove(&task) else { return };
        self.count_refusal(refused.peer, refusal);
        self.take_over(&refused);
    }

    /// All of a tile's slices are here, and can't be used: another peer traces it, if it can make the deadline, and this one is at
    /// fault. Tasks that are unknown or already answered are ignored.
    pub fn tile_corrupt(&mut self, task: TaskId, flaw: Flaw, now: Time) {
        self.advance(now);
        let Some(corrupt) = self.tasks.remove(&task) else { return };
        self.count_corrupt(corrupt.peer, ChangeCause::Corrupt { task, flaw });
        self.take_over(&corrupt);
    }

    /// Time has passed: ends frames, notes what was missed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.advance(now);
        self.end_pauses();
        self.expire_frames();
        self.note_missed_tiles();
        self.assign_backups();
    }

    /// When to call [`Coordinator::handle_timeout`]; none while nothing is in flight.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.next_due().map(|due| Time::from_duration(due.since(Time::default() + self.skew)))
    }

    /// The same by the time in here.
    fn next_due(&self) -> Option<Time> {
        let frames = self.frames.iter().map(|frame| frame.deadline);
        let outstanding = self.tasks.values().filter(|task| task.is_outstanding());
        let tasks = outstanding.map(|task| task.hedge_at.map_or(task.due, |at| at.min(task.due)));
        // What its frames wait for once it is given up.
        let given_up = self.peers.values().filter_map(Peer::is_given_up_at).filter(|at| *at > self.now);
        let given_up = given_up.filter(|_| !self.frames.is_empty());
        frames.chain(tasks).chain(given_up).min()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn push(&mut self, action: Action) {
        if self.actions.len() == ACTIONS {
            self.actions.pop_front();
            self.actions_dropped += 1;
        }
        self.actions.push_back(action);
    }

    /// Adds a tile to what the peer is told next about this frame.
    pub(crate) fn push_assignment(&mut self, to: PeerId, frame: &Frame, tile: TileAssignment) {
        let left = frame.deadline.since(self.now);
        if let Some(Action::Assign { peer, frame_id, group, tiles, .. }) = self.actions.back_mut()
            && (*peer, *frame_id, *group) == (to, frame.id, frame.group)
            && tiles.len() < limits::TASKS_PER_MESSAGE
        {
            tiles.push(tile);
        } else {
            self.push(Action::Assign { peer: to, frame_id: frame.id, group: frame.group, left, tiles: vec![tile] });
        }
    }

    /// Forgets tasks that nobody waits for and whose answers would be too old to learn from.
    pub(crate) fn forget_old_tasks(&mut self) {
        let now = self.now;
        self.tasks.retain(|_, task| match task.state {
            TaskState::Outstanding => true,
            TaskState::Released => now.since(task.assigned) < LATE_ANSWERS,
            TaskState::Cancelled => now.since(task.assigned) < CANCELLED_ANSWERS,
        });
    }

    pub(crate) fn add_task(&mut self, task: Task) -> TaskId {
        if self.tasks.len() >= TASKS {
            // What was cancelled teaches least.
            let cancelled = self.tasks.iter().find(|(_, task)| task.state == TaskState::Cancelled).map(|(id, _)| *id);
            match cancelled {
                Some(id) => _ = self.tasks.remove(&id),
                None => _ = self.tasks.pop_first(),
            }
        }
        let id = TaskId(self.next_task);
        self.next_task += 1;
        self.assigned_ns += task.predicted_ns;
        self.tasks.insert(id, task);
        self.queue_up(id);
        id
    }

    pub(crate) fn group(&self, group: u8) -> &Group {
        &self.groups[usize::from(group)]
    }

    pub(crate) fn group_mut(&mut self, group: u8) -> &mut Group {
        &mut self.groups[usize::from(group)]
    }

    pub(crate) fn foresee_group(&mut self, group: u8, extent: Extent, pending: Pending) {
        self.groups[usize::from(group)].map.foresee(extent, pending, &self.model);
    }

    /// A group that was never planned costs as much as those that were, until its first tile is measured.
    pub(crate) fn guess_group(&mut self, group: u8) {
        if let Some(mean) = self.groups.iter().find_map(|group| group.map.mean()) {
            self.group_mut(group).map.guess(mean);
        }
    }

    /// Takes the caller's time. A clock that is set back goes on from where it was; steps back that are small are no steps.
    pub(crate) fn advance(&mut self, now: Time) {
        let behind = self.now.since(now + self.skew);
        if behind >= CLOCK_SET {
            self.skew = self.skew.saturating_add(behind);
        }
        let now = now + self.skew;
        // Who did not look in time can't say who did not answer in time.
        let gap = now.since(self.now);
        if gap >= LATE_LOOK && self.next_due().is_some_and(|due| now.since(due) >= LATE_LOOK) {
            self.tasks.values_mut().filter(|task| task.is_outstanding()).for_each(|task| task.wait_longer(gap));
        }
        self.now = self.now.max(now);
    }

    /// A time that the caller named, in here.
    pub(crate) fn time_in_here(&self, named: Time) -> Time {
        named + self.skew
    }

    /// Speed of a peer not yet measured: by its benchmark relative to the measured peers', else their mean.
    pub(crate) fn guess_speed(&self, prior: PeerPrior) -> Speed {
        let is_usable = |rays: f32| (1e3..1e15).contains(&rays);
        let is_any_measured = self.peers.values().any(|peer| peer.speed.is_measured());
        // Once the unit is set, guesses made since are in it too: all peers may have come back and none have worked yet.
        let is_known = |peer: &&Peer| peer.speed.is_measured() || self.is_calibrated && !is_any_measured;
        let known = || self.peers.values().filter(is_known);
        let mean = |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let benched = known().filter(|peer| is_usable(peer.prior.rays_per_second));
        let ns_per_unit_times_rate = mean(
            benched.map(|peer| peer.speed.measured_ns_per_unit() * f64::from(peer.prior.rays_per_second)).collect(),
        );
        match ns_per_unit_times_rate {
            Some(product) if is_usable(prior.rays_per_second) => {
                Speed::guess(product / f64::from(prior.rays_per_second), 0.3)
            }
            // The first peers' benchmarks relate them to each other; the unit is set by the first tile measured.
            None if is_usable(prior.rays_per_second) && known().next().is_none() => {
                Speed::guess(1e9 / f64::from(prior.rays_per_second), 0.3)
            }
            _ => {
                Speed::guess(mean(known().map(|peer| peer.speed.measured_ns_per_unit()).collect()).unwrap_or(1.0), 0.7)
            }
        }
    }

    /// Keeps the unit of work near a nanosecond of the fastest peer. Only the product of work and speed is measured, so
    /// both could drift apart over hours.
    pub(crate) fn anchor_unit(&mut self) {
        let measured = self.peers.values().filter(|peer| peer.speed.is_measured());
        let fastest = measured.map(|peer| peer.speed.ns_per_unit()).fold(f64::INFINITY, f64::min);
        if fastest.is_finite() && !(0.25..=4.0).contains(&fastest) {
            self.groups.iter_mut().for_each(|group| group.map.rescale(fastest));
            self.model.rescale(fastest);
            self.peers.values_mut().for_each(|peer| peer.speed.rescale(1.0 / fastest));
            self.tasks.values_mut().for_each(|task| task.units *= fastest);
        }
    }

    /// An unfinished tile's time is a lower bound on its work, where that was never measured.
    pub(crate) fn learn_from_overdue_tiles(&mut self) {
        if !self.is_calibrated {
            return;
        }
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in peers {
            let is_unknown = |task: &Task| {
                let map = &self.group(task.group).map;
                task.extent == map.extent() && !map.is_known(task.ghost_rect)
            };
            let unknown = self.outstanding(peer).map(|(_, task)| task).find(|task| is_unknown(task)).cloned();
            let Some((task, peer)) = unknown.zip(self.peers.get_mut(&peer)) else { continue };
            let map = &mut self.groups[usize::from(task.group)].map;
            let (units, variance) = map.predict(task.ghost_rect);
            let log_ratio = peer.speed.raise_shared(peer.busy_ns(&task, self.now), units, variance);
            map.raise(task.ghost_rect, log_ratio);
        }
    }

    /// Takes a tile's time into the map of work and the peer's speed.
    fn learn(&mut self, task: &Task, report: &TileReport<'_>) {
        let Some(peer) = self.peers.get_mut(&task.peer) else { return };
        let elapsed_ns = self.now.ns_since(task.assigned) as f64;
        let is_alone = task.waited_for_none && task.is_outstanding();
        if let Some(transfer_ns) = report.transfer_ns.filter(|_| !peer.prior.is_embedded) {
            peer.link.down.learn(report.bytes, (transfer_ns as f64).min(elapsed_ns));
        }
        if is_alone && report.begun_ns > 0 && !peer.prior.is_embedded {
            let sending_ns = (report.begun_ns as f64).min(elapsed_ns) - 0.5 * peer.link.rtt_ns;
            peer.link.up.learn(task.up_bytes as u64, sending_ns.max(0.0));
        }
        self.groups[usize::from(task.group)].answer_bytes.learn(report.bytes, task.ghost_rect.pixels());
        let (up_ns, down_ns) = peer.link.transfer_ns((task.up_bytes, report.bytes as f64));
        let transfer_ns = up_ns + down_ns;
        let service_ns = match report.service_ns {
            0 => elapsed_ns - peer.link.ns - transfer_ns,
            known => known as f64,
        };
        let service_ns = peer.charged_ns(service_ns.min(elapsed_ns), task, transfer_ns, self.now);
        if service_ns < 1.0 {
            return;
        }
        peer.note_cost(service_ns / task.ghost_rect.pixels() as f64);
        if is_alone {
            peer.link.learn(elapsed_ns - service_ns - transfer_ns, peer.last_done, self.now);
        }
        let group = usize::from(task.group);
        if task.extent != self.groups[group].map.extent() {
            return;
        }
        let rect = task.ghost_rect;
        let has_rays = report.rect == rect && report.block_rays.len() == touched_blocks(rect);
        let map = &mut self.groups[group].map;
        let (mut units, variance) = map.observe(rect, has_rays.then_some(report.block_rays), &self.model);
        if !self.is_calibrated {
            let work_ns = (service_ns - peer.speed.overhead_ns()).max(0.2 * service_ns);
            let factor = work_ns / (units * peer.speed.ns_per_unit());
            self.groups.iter_mut().for_each(|group| group.map.rescale(factor));
            self.model.rescale(factor);
            units *= factor;
            self.is_calibrated = true;
        }
        let lesson = peer.speed.learn(service_ns, units, variance);
        let measured = (service_ns - peer.speed.overhead_ns()).max(0.05 * service_ns) / peer.speed.ns_per_unit();
        let map = &mut self.groups[group].map;
        let terms = map.terms(rect, has_rays);
        if let Some(terms) = &terms {
            self.model.learn(terms, measured);
        }
        map.correct(rect, lesson, &self.model);
        if let Some(terms) = terms.filter(|_| !self.model.is_young()) {
            // The model is of all peers' tiles: where one's seem dearer than it says, tile for tile, that one is slower than it seems.
            let bias = (measured / self.model.units(&terms).max(f64::MIN_POSITIVE)).ln();
            let step = if bias.is_nan() { 0.0 } else { (COMMON * bias).clamp(-MOST, MOST) };
            peer.speed.shift(step);
            map.shift(rect, -step);
        }
    }
}
