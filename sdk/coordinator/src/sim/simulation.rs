//! The simulated session: a real coordinator, a seeded clock, links and peers.

use super::station::{Job, Message, Station};
use super::{Fault, FrameRecord, SimPeer, SplitMix, Truth};
use crate::{
    Action, ChangeCause, Config, Constraints, Coordinator, CostMap, Foresight, FrameRequest, GROUPS, Lowering,
    PeerChange, PeerId, PeerState, PlannedTile, TileAssignment, Time,
};
use rayloom_frame::features::BlockFeatures;
use rayloom_frame::{Extent, LayerRequest, Rect};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Frames whose truth is kept: late tiles ask for it too.
const TRUTHS: usize = 32;
/// How often round trips are measured, as a session does it.
const PING_INTERVAL: Duration = Duration::from_millis(250);
/// Where a clock starts that is set, in nanoseconds.
const CLOCK_START: i64 = 3_600_000_000_000;

/// What the session tells the coordinator of a frame before it is traced.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreseen {
    /// See [`Foresight`].
    pub features: BlockFeatures,
    /// See [`Foresight`].
    pub motion: Vec<[f32; 2]>,
    /// See [`Foresight`].
    pub is_current: bool,
}

/// A tile that a peer worked on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Who.
    pub peer: PeerId,
    /// Of which frame.
    pub frame_id: u64,
    /// Of which group of its layers.
    pub group: u8,
    /// When it began.
    pub begun: Time,
    /// When it was through.
    pub ended: Time,
    /// The frame did not wait for it.
    pub redundant: bool,
    /// Nanoseconds that its pixels cost on a peer of speed 1.
    pub work_ns: f64,
}

/// How frames are begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One every so often, whatever became of the last.
    Every(Duration),
    /// As soon as fewer than so many are in flight.
    InFlight(usize),
}

/// Layers of each frame that are due at the same time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tier {
    /// From the frame's begin.
    pub deadline: Duration,
    /// Share of the frame's work.
    pub work: f64,
}

type Foresee = Box<dyn Fn(u64) -> Foreseen>;

/// Frames through a coordinator and simulated peers.
pub struct Simulation {
    /// The coordinator under test.
    pub coordinator: Coordinator,
    /// All frames so far, in order.
    pub frames: Vec<FrameRecord>,
    /// Of each later group, the same; shorter where its frames are not begun.
    pub later: [Vec<FrameRecord>; GROUPS - 1],
    /// Suspicions, blocks and recoveries.
    pub events: Vec<(Time, PeerChange)>,
    /// What peers did, in the order in which they were through.
    pub spans: Vec<Span>,
    /// What a pixel of each block was believed to cost when the last frames were cut, by frame id, see
    /// [`Coordinator::ns_per_pixel`].
    pub predictions: VecDeque<(u64, Vec<f32>)>,
    /// Most tasks that the coordinator remembered at once.
    pub most_tasks: usize,
    /// Nanoseconds of a clock, if plans are to be timed, and what each took by it.
    pub stopwatch: Option<fn() -> u64>,
    /// See `stopwatch`.
    pub plan_ns: Vec<f64>,
    pub(super) extent: Extent,
    ghost_px: u32,
    constraints: Constraints,
    pub(super) tiers: Vec<Tier>,
    lowering: Lowering,
    fill_budget: Option<Duration>,
    truth: Box<dyn Fn(u64) -> Truth>,
    truths: VecDeque<(u64, Rc<Truth>)>,
    pub(super) foresee: Option<(Foresee, Vec<LayerRequest>)>,
    pub(super) peers: Vec<Station>,
    queue: BinaryHeap<Reverse<(Time, u64, Event)>>,
    sequence: u64,
    pub(super) now: Time,
    /// When the engine's clock is set, and by how many nanoseconds.
    clock: Vec<(Time, i64)>,
    pub(super) random: SplitMix,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Join(usize),
    HoldScene(usize),
    Drain(usize),
    Caught(usize),
    Leave(usize),
    /// A peer's round trip is measured again, in which of its lives, if it answers.
    Ping(usize, u32),
    /// The engine's clock is set: whoever waits for it looks again.
    ClockSet,
    /// A message on its way to a peer or from it, in which of its lives.
    Message(usize, u32, Message),
}

impl Simulation {
    /// A view of `extent` whose cost is `truth(frame id)`; peers get the ids 0, 1, ...
    pub fn new(
        config: Config,
        seed: u64,
        extent: Extent,
        peers: Vec<SimPeer>,
        truth: impl Fn(u64) -> Truth + 'static,
    ) -> Simulation {
        let mut simulation = Simulation {
            coordinator: Coordinator::new(config),
            frames: Vec::new(),
            later: Default::default(),
            events: Vec::new(),
            spans: Vec::new(),
            predictions: VecDeque::new(),
            most_tasks: 0,
            stopwatch: None,
            plan_ns: Vec::new(),
            extent,
            ghost_px: 8,
            constraints: Constraints::default(),
            tiers: Vec::new(),
            lowering: Lowering::Never,
            fill_budget: None,
            truth: Box::new(truth),
            truths: VecDeque::new(),
            foresee: None,
            peers: Vec::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            now: Time(0),
            clock: Vec::new(),
            random: SplitMix(seed),
        };
        for (index, peer) in peers.into_iter().enumerate() {
            simulation.after(peer.joins, Event::Join(index));
            for fault in &peer.faults {
                match fault {
                    Fault::Disconnect { at } => simulation.after(*at, Event::Leave(index)),
                    Fault::Restart { at, back, scene_after } => {
                        simulation.after(*at, Event::Leave(index));
                        simulation.after(*back, Event::Join(index));
                        if let Some(after) = scene_after {
                            simulation.after(*back + *after, Event::HoldScene(index));
                        }
                    }
                    Fault::Drain { at, leaves } => {
                        simulation.after(*at, Event::Drain(index));
                        simulation.after(*leaves, Event::Leave(index));
                    }
                    Fault::Caught { at } => simulation.after(*at, Event::Caught(index)),
                    _ => {}
                }
            }
            if let Some(after) = peer.scene_after {
                simulation.after(peer.joins + after, Event::HoldScene(index));
            }
            simulation.peers.push(Station::new(peer));
        }
        simulation
    }

    /// Tiles have ghost zones of this width, instead of 8 pixels.
    pub fn with_ghosts(mut self, ghost_px: u32) -> Simulation {
        self.ghost_px = ghost_px;
        self
    }

    /// Tells the coordinator what each frame will show, of which these layers are traced.
    pub fn foreseeing(mut self, layers: Vec<LayerRequest>, foresee: impl Fn(u64) -> Foreseen + 'static) -> Simulation {
        self.foresee = Some((Box::new(foresee), layers));
        self
    }

    /// Each frame is asked for in these groups, the one that is due first first, and at most [`GROUPS`]; the deadline that
    /// [`Simulation::run`] is given counts for nothing then.
    pub fn tiered(mut self, tiers: Vec<Tier>) -> Simulation {
        self.tiers = tiers;
        self
    }

    /// So much of the layers that are foreseen may be left out. The truth's work is in proportion to their rays, one a pixel from the
    /// camera and one for each sample.
    pub fn lowering(mut self, lowering: Lowering) -> Simulation {
        self.lowering = lowering;
        self
    }

    /// Of tiles that a frame's first group lacks, parts are asked of the embedded peer afterwards, see [`Coordinator::fill`].
    pub fn filling(mut self, budget: Option<Duration>) -> Simulation {
        self.fill_budget = budget;
        self
    }

    /// Only peers that are this get tiles.
    pub fn constrained(mut self, constraints: Constraints) -> Simulation {
        self.constraints = constraints;
        self
    }

    /// The engine's clock is set at these times, by so many nanoseconds, and starts at an hour.
    pub fn with_clock(mut self, steps: Vec<(Time, i64)>) -> Simulation {
        steps.iter().for_each(|(at, _)| self.after(*at, Event::ClockSet));
        self.clock = steps;
        self
    }

    /// Begins `count` frames at a pace, each with `deadline` from its begin and an estimate of cost if given, and lets the last
    /// one end.
    pub fn run(
        &mut self,
        count: u64,
        pace: Pace,
        deadline: Duration,
        estimate: Option<&dyn Fn(u64) -> CostMap>,
    ) -> &[FrameRecord] {
        for _ in 0..count {
            self.advance_to(self.now);
            if let Pace::InFlight(most) = pace {
                self.advance_until_open(most);
            }
            self.begin(deadline, estimate);
            if let Pace::Every(interval) = pace {
                self.advance_to(self.now + interval);
            }
        }
        let last = self.tiers.iter().map(|tier| tier.deadline).max().unwrap_or(deadline);
        self.advance_to(self.now + last);
        &self.frames
    }

    /// The true time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// What the engine's clock is ahead of the true time.
    fn ahead(&self) -> i64 {
        let set: i64 = self.clock.iter().filter(|(at, _)| *at <= self.now).map(|(_, by)| by).sum();
        if self.clock.is_empty() { 0 } else { CLOCK_START + set }
    }

    /// The engine's clock.
    pub(super) fn told(&self) -> Time {
        Time(self.now.0.saturating_add_signed(self.ahead()))
    }

    fn begin(&mut self, deadline: Duration, estimate: Option<&dyn Fn(u64) -> CostMap>) {
        let frame_id = self.frames.len() as u64 + 1;
        let foreseen = self.foresee.as_ref().map(|(foresee, layers)| (foresee(frame_id), layers));
        let time = || self.stopwatch.map_or(0, |stopwatch| stopwatch());
        let before = time();
        if let Some((Foreseen { features, motion, is_current }, layers)) = foreseen {
            self.coordinator.foresee(&Foresight { features: &features, is_current, motion: &motion, layers });
        }
        let now = self.told();
        let first = self.tiers.first().map_or(deadline, |tier| tier.deadline);
        let request = |group: u8, deadline: Duration, cost: Option<CostMap>| FrameRequest {
            frame_id,
            group,
            scene: 1,
            revision: 1,
            extent: self.extent,
            ghost_px: self.ghost_px,
            deadline: now + deadline,
            cost,
            constraints: self.constraints,
            layers: self.foresee.as_ref().map_or(Vec::new(), |(_, layers)| layers.clone()),
            lowering: self.lowering,
            ..FrameRequest::default()
        };
        let plan = self.coordinator.begin_frame(request(0, first, estimate.map(|estimate| estimate(frame_id))), now);
        let took = self.stopwatch.map_or(0, |stopwatch| stopwatch()).saturating_sub(before);
        if self.stopwatch.is_some() {
            self.plan_ns.push(took as f64);
        }
        if self.predictions.len() == TRUTHS {
            self.predictions.pop_front();
        }
        self.predictions.push_back((frame_id, self.coordinator.ns_per_pixel()));
        self.frames.push(FrameRecord::begun(frame_id, self.now, plan));
        for (group, tier) in (0..).zip(&self.tiers).skip(1).take(GROUPS - 1) {
            let plan = self.coordinator.begin_frame(request(group, tier.deadline, None), now);
            self.later[usize::from(group) - 1].push(FrameRecord::begun(frame_id, self.now, plan));
        }
        self.act();
    }

    /// Handles events and timeouts up to `until`.
    fn advance_to(&mut self, until: Time) {
        while self.step(until) {}
        self.now = until;
    }

    /// The same until fewer than `most` frames are in flight.
    fn advance_until_open(&mut self, most: usize) {
        let first = self.frames.len().saturating_sub(64);
        while self.frames[first..].iter().filter(|frame| frame.ended.is_none()).count() >= most {
            if !self.step(Time(u64::MAX)) {
                return;
            }
        }
    }

    /// The next event or timeout, if there is one until then.
    fn step(&mut self, until: Time) -> bool {
        let event = self.queue.peek().map(|event| event.0.0);
        let true_time = |told: Time| Time(told.0.saturating_add_signed(-self.ahead()));
        let timeout = self.coordinator.poll_timeout().map(|timeout| true_time(timeout).max(self.now));
        let next = [event, timeout].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= until) else { return false };
        self.now = self.now.max(next);
        if timeout == Some(next) {
            self.coordinator.handle_timeout(self.told());
        } else if let Some(Reverse((_, _, event))) = self.queue.pop() {
            self.handle(event);
        }
        self.act();
        true
    }

    fn handle(&mut self, event: Event) {
        let now = self.told();
        match event {
            Event::Join(index) => {
                let (id, peer) = (PeerId(index as u32), &self.peers[index].peer);
                self.coordinator.peer_joined(id, peer.prior, now);
                self.coordinator.link_measured(id, 2 * peer.one_way, now);
                self.after(self.now + PING_INTERVAL, Event::Ping(index, self.peers[index].life));
            }
            Event::Ping(index, life) => {
                let Station { peer, life: this, .. } = &self.peers[index];
                if *this != life {
                    return;
                }
                if peer.answers_at(self.now) {
                    self.coordinator.link_measured(PeerId(index as u32), 2 * peer.one_way, now);
                }
                self.after(self.now + PING_INTERVAL, Event::Ping(index, life));
            }
            Event::HoldScene(index) => self.coordinator.peer_ready(PeerId(index as u32), 1, 1, now),
            Event::Drain(index) => self.coordinator.peer_draining(PeerId(index as u32), now),
            Event::Caught(index) => self.coordinator.peer_lied(PeerId(index as u32), now),
            Event::Leave(index) => {
                let station = &mut self.peers[index];
                station.life += 1;
                (station.is_busy, station.link_busy) = (false, self.now);
                station.waiting.clear();
                self.coordinator.peer_lost(PeerId(index as u32), now);
            }
            Event::ClockSet => self.coordinator.handle_timeout(now),
            Event::Message(index, life, message) => {
                if self.peers[index].life == life {
                    self.deliver(index, message);
                }
            }
        }
    }

    /// Carries out what the coordinator wants.
    fn act(&mut self) {
        self.most_tasks = self.most_tasks.max(self.coordinator.tasks_remembered());
        while let Some(action) = self.coordinator.poll_action() {
            match action {
                Action::Assign { peer, frame_id, group, left, tiles } => {
                    let job = |tile: TileAssignment| {
                        let r = tile.rect.grown(tile.ghost_px, self.extent);
                        let rect = [r.x, r.y, r.width, r.height];
                        let (task, predicted_ns, redundant) = (tile.task, tile.predicted_ns, tile.redundant);
                        Job { task, frame_id, group, rect, predicted_ns, redundant, due: Time(left.as_nanos() as u64) }
                    };
                    let jobs = tiles.into_iter().map(job).collect();
                    self.send(peer, Message::Arrive(jobs));
                }
                Action::Cancel { peer, tasks } => self.send(peer, Message::Cancel(tasks)),
                Action::FrameComplete { frame_id, group } => self.end((frame_id, group), true, 0),
                Action::FrameExpired { frame_id, group, missing, .. } => {
                    self.end((frame_id, group), false, missing.len());
                    if let Some(budget) = self.fill_budget.filter(|_| group == 0) {
                        self.fill(frame_id, budget);
                    }
                }
                // Coming and going is not what a run is judged by.
                Action::PeerChanged(change) if matches!(change.to, PeerState::Lost | PeerState::Draining) => {}
                Action::PeerChanged(change) if change.cause == ChangeCause::SceneReady => {}
                Action::PeerChanged(change) => self.events.push((self.now, change)),
            }
        }
    }

    /// The middles of what a frame lacks, as if nothing was known there.
    fn fill(&mut self, frame_id: u64, budget: Duration) {
        let now = self.told();
        let frame = self.record(frame_id, 0);
        let lacks = |tile: &&PlannedTile| !frame.rects.contains(&tile.ghost_rect);
        let middle = |tile: &PlannedTile| {
            let Rect { x, y, width, height } = tile.rect;
            let (part_width, part_height) = (width.min(64), height.min(32));
            Rect::new(x + (width - part_width) / 2, y + (height - part_height) / 2, part_width, part_height)
        };
        let parts: Vec<Rect> = frame.plan.tiles.iter().filter(lacks).map(middle).collect();
        let request = FrameRequest {
            frame_id,
            scene: 1,
            revision: 1,
            extent: self.extent,
            ghost_px: self.ghost_px,
            deadline: now + 2 * self.tiers.first().map_or(budget, |tier| tier.deadline),
            constraints: self.constraints,
            ..FrameRequest::default()
        };
        self.coordinator.fill(request, &parts, budget, now);
    }

    /// Of a frame that began.
    pub(super) fn record(&mut self, frame_id: u64, group: u8) -> &mut FrameRecord {
        let records = match group {
            0 => &mut self.frames,
            later => &mut self.later[usize::from(later) - 1],
        };
        &mut records[frame_id as usize - 1]
    }

    fn end(&mut self, (frame_id, group): (u64, u8), complete: bool, missing: usize) {
        let now = self.now;
        let frame = self.record(frame_id, group);
        assert!(frame.ended.is_none(), "group {group} of frame {frame_id} ended twice");
        frame.ended = Some((now, complete));
        frame.missing = missing;
        let is_answered = |rect: &Rect| frame.rects.contains(rect);
        frame.unanswered = frame.plan.tiles.iter().filter(|tile| !is_answered(&tile.ghost_rect)).count();
    }

    pub(super) fn truth(&mut self, frame_id: u64) -> Rc<Truth> {
        if let Some((_, truth)) = self.truths.iter().find(|(id, _)| *id == frame_id) {
            return truth.clone();
        }
        if self.truths.len() == TRUTHS {
            self.truths.pop_front();
        }
        let truth = Rc::new((self.truth)(frame_id));
        self.truths.push_back((frame_id, truth.clone()));
        truth
    }

    pub(super) fn after(&mut self, at: Time, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, event)));
    }
}
