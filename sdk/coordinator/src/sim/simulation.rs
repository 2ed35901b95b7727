//! The simulated session: a real coordinator, a seeded clock, links and peers.

use super::{Fault, FrameRecord, SimPeer, SplitMix, Trouble, Truth};
use crate::{
    Action, ChangeCause, Config, Constraints, Coordinator, CostMap, Foresight, FrameRequest, GROUPS, Lowering,
    PeerChange, PeerId, PeerState, Refusal, TaskId, TileAssignment, TileReport, Time,
};
use rayloom_frame::features::BlockFeatures;
use rayloom_frame::{Extent, LayerRequest, Rect};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Frames whose truth is kept: late tiles ask for it too.
const TRUTHS: usize = 32;
/// Where a clock starts that is set, in nanoseconds.
const CLOCK_START: i64 = 3_600_000_000_000;
/// Bytes of a pixel's results on the link.
const BYTES_PER_PX: f64 = 2.0;

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
    extent: Extent,
    ghost_px: u32,
    constraints: Constraints,
    tiers: Vec<Tier>,
    lowering: Lowering,
    truth: Box<dyn Fn(u64) -> Truth>,
    truths: VecDeque<(u64, Rc<Truth>)>,
    foresee: Option<(Foresee, Vec<LayerRequest>)>,
    peers: Vec<Station>,
    queue: BinaryHeap<Reverse<(Time, u64, Event)>>,
    sequence: u64,
    now: Time,
    /// When the engine's clock is set, and by how many nanoseconds.
    clock: Vec<(Time, i64)>,
    random: SplitMix,
}

struct Station {
    peer: SimPeer,
    /// How often it has ended: what was on its way then is of a process that is no more.
    life: u32,
    waiting: VecDeque<Job>,
    is_busy: bool,
    /// When the last message to it arrives: they come in the order in which they were sent.
    arrives: Time,
    /// Until when results are on their way onto the link.
    link_busy: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Job {
    task: TaskId,
    frame_id: u64,
    group: u8,
    /// x, y, width, height with ghost zone.
    rect: [u32; 4],
    predicted_ns: u64,
    redundant: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Join(usize),
    HoldScene(usize),
    Drain(usize),
    Caught(usize),
    Leave(usize),
    /// The engine's clock is set: whoever waits for it looks again.
    ClockSet,
    /// A message on its way to a peer or from it, in which of its lives.
    Message(usize, u32, Message),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Arrive(Vec<Job>),
    Cancel(Vec<TaskId>),
    Served,
    /// Tile, service time, and how long the link took for its answer, in nanoseconds.
    Done(Job, u64, u64),
    Refused(Job),
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
            let station = Station {
                peer,
                life: 0,
                waiting: VecDeque::new(),
                is_busy: false,
                arrives: Time(0),
                link_busy: Time(0),
            };
            simulation.peers.push(station);
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
    fn told(&self) -> Time {
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

    fn deliver(&mut self, index: usize, message: Message) {
        let now = self.now;
        match message {
            Message::Arrive(jobs) => {
                self.peers[index].waiting.extend(jobs);
                self.serve(index);
            }
            Message::Cancel(tasks) => {
                let Station { peer, waiting, .. } = &mut self.peers[index];
                if !peer.is(Trouble::Stubborn, now) {
                    waiting.retain(|job| !tasks.contains(&job.task));
                }
            }
            Message::Served => {
                self.peers[index].is_busy = false;
                self.serve(index);
            }
            Message::Refused(job) => {
                self.coordinator.tile_refused(job.task, self.refusal(index).unwrap_or_default(), self.told());
            }
            Message::Done(job, service_ns, transfer_ns) => self.answer(index, job, service_ns, transfer_ns),
        }
    }

    fn refusal(&self, index: usize) -> Option<Refusal> {
        self.peers[index].peer.troubles(self.now).find_map(|trouble| match trouble {
            Trouble::Refuses(refusal) => Some(refusal),
            _ => None,
        })
    }

    /// An answer is here.
    fn answer(&mut self, index: usize, job: Job, service_ns: u64, transfer_ns: u64) {
        let (rect, now) = (rect_of(job), self.told());
        let troubles: Vec<Trouble> = self.peers[index].peer.troubles(self.now).collect();
        let flaw = troubles.iter().find_map(|trouble| match trouble {
            Trouble::Corrupt(flaw) => Some(*flaw),
            _ => None,
        });
        if let Some(flaw) = flaw {
            return self.coordinator.tile_corrupt(job.task, flaw, now);
        }
        let lie = troubles.iter().find_map(|trouble| match trouble {
            Trouble::Claims(times) => Some(*times),
            _ => None,
        });
        let mut rays = self.truth(job.frame_id).block_rays(self.extent, rect);
        if let Some(times) = lie {
            rays.iter_mut().for_each(|rays| *rays = (f64::from(*rays) * times) as u32);
        }
        let claimed = (service_ns as f64 * self.peers[index].peer.claims * lie.unwrap_or(1.0)) as u64;
        let bytes = (rect.pixels() as f64 * BYTES_PER_PX) as u64;
        let transfer_ns = Some(transfer_ns);
        let report = TileReport { block_rays: &rays, bytes, transfer_ns, ..TileReport::new(claimed, rect) };
        if let Some(peer) = self.coordinator.task_peer(job.task).filter(|_| !job.redundant) {
            let record = self.record(job.frame_id, job.group);
            record.tiles.push((peer, job.predicted_ns, service_ns));
            record.rects.push(rect);
        }
        self.coordinator.tile_done(job.task, report, now);
        if troubles.contains(&Trouble::Twice) {
            self.coordinator.tile_done(job.task, report, now);
        }
        if troubles.contains(&Trouble::Unasked) {
            self.coordinator.tile_done(TaskId(u64::MAX - job.task.0), report, now);
        }
    }

    /// Carries out what the coordinator wants.
    fn act(&mut self) {
        self.most_tasks = self.most_tasks.max(self.coordinator.tasks_remembered());
        while let Some(action) = self.coordinator.poll_action() {
            match action {
                Action::Assign { peer, frame_id, group, tiles } => {
                    let job = |tile: TileAssignment| {
                        let r = tile.rect.grown(tile.ghost_px, self.extent);
                        let rect = [r.x, r.y, r.width, r.height];
                        let (task, predicted_ns, redundant) = (tile.task, tile.predicted_ns, tile.redundant);
                        Job { task, frame_id, group, rect, predicted_ns, redundant }
                    };
                    let jobs = tiles.into_iter().map(job).collect();
                    self.send(peer, Message::Arrive(jobs));
                }
                Action::Cancel { peer, tasks } => self.send(peer, Message::Cancel(tasks)),
                Action::FrameComplete { frame_id, group } => self.end((frame_id, group), true, 0),
                Action::FrameExpired { frame_id, group, missing, .. } => {
                    self.end((frame_id, group), false, missing.len());
                }
                // Coming and going is not what a run is judged by.
                Action::PeerChanged(change) if matches!(change.to, PeerState::Lost | PeerState::Draining) => {}
                Action::PeerChanged(change) if change.cause == ChangeCause::SceneReady => {}
                Action::PeerChanged(change) => self.events.push((self.now, change)),
            }
        }
    }

    /// Of a frame that began.
    fn record(&mut self, frame_id: u64, group: u8) -> &mut FrameRecord {
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

    fn send(&mut self, peer: PeerId, message: Message) {
        let index = peer.0 as usize;
        let at = (self.now + self.link(index)).max(self.peers[index].arrives);
        self.peers[index].arrives = at;
        if !self.peers[index].peer.is(Trouble::Deaf, self.now) {
            self.message(at, index, message);
        }
    }

    fn message(&mut self, at: Time, index: usize, message: Message) {
        self.after(at, Event::Message(index, self.peers[index].life, message));
    }

    /// What a message takes one way.
    fn link(&mut self, index: usize) -> Duration {
        let SimPeer { one_way, jitter, loss, .. } = self.peers[index].peer;
        let mut delay = one_way + jitter.mul_f64(self.random.unit());
        for _ in 0..4 {
            if loss <= 0.0 || self.random.unit() >= loss {
                break;
            }
            delay += 2 * one_way + Duration::from_millis(10);
        }
        delay
    }

    /// Lets a peer begin its next tile.
    fn serve(&mut self, index: usize) {
        let now = self.now;
        let station = &mut self.peers[index];
        let job = if station.is_busy { None } else { station.waiting.pop_front() };
        let Some(job) = job else { return };
        station.is_busy = true;
        let is_mute = station.peer.is(Trouble::Mute, now);
        if self.refusal(index).is_some() {
            let refused = now + self.link(index);
            self.message(now + Duration::from_micros(50), index, Message::Served);
            if !is_mute {
                self.message(refused, index, Message::Refused(job));
            }
            return;
        }
        let rect = rect_of(job);
        let part = self.tiers.get(usize::from(job.group)).map_or(1.0, |tier| tier.work);
        let part = part * self.traced_share(job);
        let work_ns = part * self.truth(job.frame_id).work_ns(self.extent, rect);
        let noise = 2.0 * self.random.unit() - 1.0;
        let peer = &self.peers[index].peer;
        let ns = (peer.tile_overhead.as_nanos() as f64 + work_ns / peer.speed)
            * (1.0 + peer.noise * noise)
            * peer.slowness(now);
        let service = peer.slowed(now, Duration::from_nanos(ns as u64));
        let ns = service.as_nanos();
        let end = now + service + peer.pause(now, service);
        if peer.is_gone(now, end) {
            return;
        }
        let sending_ns = match peer.bits_per_second {
            bps if bps > 0.0 => rect.pixels() as f64 * BYTES_PER_PX * 8e9 / bps,
            _ => 0.0,
        };
        let station = &mut self.peers[index];
        station.link_busy = station.link_busy.max(end).plus_ns(sending_ns);
        let sent = station.link_busy;
        let (frame_id, group, redundant) = (job.frame_id, job.group, job.redundant);
        self.spans.push(Span {
            peer: PeerId(index as u32),
            frame_id,
            group,
            begun: now,
            ended: end,
            redundant,
            work_ns,
        });
        self.message(end, index, Message::Served);
        let delay = self.link(index);
        // The first bytes came without jitter, the last ones with: a measurement is never too short.
        let late = delay.saturating_sub(self.peers[index].peer.one_way);
        let transfer_ns = if sending_ns > 0.0 { sending_ns as u64 + late.as_nanos() as u64 } else { 0 };
        if !is_mute {
            self.message(sent + delay, index, Message::Done(job, ns as u64, transfer_ns));
        }
    }

    /// How much of what was foreseen is traced of a frame.
    fn traced_share(&mut self, job: Job) -> f64 {
        let rays = |layers: &[LayerRequest]| {
            let of = |layer: &LayerRequest| f64::from(layer.samples) / f64::from(layer.scale).powi(2);
            1.0 + layers.iter().map(of).sum::<f64>()
        };
        let asked = self.foresee.as_ref().map_or(1.0, |(_, layers)| rays(layers));
        let plan = &self.record(job.frame_id, job.group).plan;
        if plan.lowered == 0 { 1.0 } else { rays(&plan.layers) / asked }
    }

    fn truth(&mut self, frame_id: u64) -> Rc<Truth> {
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

    fn after(&mut self, at: Time, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, event)));
    }
}

fn rect_of(job: Job) -> Rect {
    Rect::new(job.rect[0], job.rect[1], job.rect[2], job.rect[3])
}
