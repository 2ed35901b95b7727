//! The simulated session: a real coordinator, a seeded clock, links and peers.

use super::{Fault, FrameRecord, SimPeer, SplitMix, Truth};
use crate::{
    Action, ChangeCause, Config, Constraints, Coordinator, CostMap, Foresight, FrameRequest, GROUPS, Lowering,
    PeerChange, PeerId, PeerState, TaskId, TileAssignment, TileReport, Time,
};
use rayloom_frame::features::BlockFeatures;
use rayloom_frame::{Extent, LayerRequest, Rect};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Frames whose truth is kept: late tiles ask for it too.
const TRUTHS: usize = 32;
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
    random: SplitMix,
}

struct Station {
    peer: SimPeer,
    waiting: VecDeque<Job>,
    is_busy: bool,
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
    Leave(usize),
    Arrive(usize, Vec<Job>),
    Cancel(usize, Vec<TaskId>),
    Served(usize),
    /// Peer, tile, service time, and how long the link took for its answer, in nanoseconds.
    Done(usize, Job, u64, u64),
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
            random: SplitMix(seed),
        };
        for (index, peer) in peers.into_iter().enumerate() {
            simulation.after(peer.joins, Event::Join(index));
            for fault in &peer.faults {
                if let Fault::Disconnect { at } = fault {
                    simulation.after(*at, Event::Leave(index));
                }
            }
            let station = Station { peer, waiting: VecDeque::new(), is_busy: false, link_busy: Time(0) };
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

    /// The clock.
    pub fn now(&self) -> Time {
        self.now
    }

    fn begin(&mut self, deadline: Duration, estimate: Option<&dyn Fn(u64) -> CostMap>) {
        let frame_id = self.frames.len() as u64 + 1;
        let foreseen = self.foresee.as_ref().map(|(foresee, layers)| (foresee(frame_id), layers));
        let time = || self.stopwatch.map_or(0, |stopwatch| stopwatch());
        let before = time();
        if let Some((Foreseen { features, motion, is_current }, layers)) = foreseen {
            self.coordinator.foresee(&Foresight { features: &features, is_current, motion: &motion, layers });
        }
        let first = self.tiers.first().map_or(deadline, |tier| tier.deadline);
        let request = |group: u8, deadline: Duration, cost: Option<CostMap>| FrameRequest {
            frame_id,
            group,
            scene: 1,
            revision: 1,
            extent: self.extent,
            ghost_px: self.ghost_px,
            deadline: self.now + deadline,
            cost,
            constraints: self.constraints,
            layers: self.foresee.as_ref().map_or(Vec::new(), |(_, layers)| layers.clone()),
            lowering: self.lowering,
            ..FrameRequest::default()
        };
        let plan =
            self.coordinator.begin_frame(request(0, first, estimate.map(|estimate| estimate(frame_id))), self.now);
        let took = self.stopwatch.map_or(0, |stopwatch| stopwatch()).saturating_sub(before);
        if self.stopwatch.is_some() {
            self.plan_ns.push(took as f64);
        }
        if self.predictions.len() == TRUTHS {
            self.predictions.pop_front();
        }
        self.predictions.push_back((frame_id, self.coordinator.ns_per_pixel()));
        let (begun, ended, missing, tiles, rects) = (self.now, None, 0, Vec::new(), Vec::new());
        self.frames.push(FrameRecord { frame_id, begun, plan, ended, missing, tiles, rects });
        for (group, tier) in (0..).zip(&self.tiers).skip(1).take(GROUPS - 1) {
            let plan = self.coordinator.begin_frame(request(group, tier.deadline, None), self.now);
            let (tiles, rects) = (Vec::new(), Vec::new());
            let record = FrameRecord { frame_id, begun, plan, ended: None, missing: 0, tiles, rects };
            self.later[usize::from(group) - 1].push(record);
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
        let timeout = self.coordinator.poll_timeout().map(|timeout| timeout.max(self.now));
        let next = [event, timeout].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= until) else { return false };
        self.now = self.now.max(next);
        if timeout == Some(next) {
            self.coordinator.handle_timeout(next);
        } else if let Some(Reverse((_, _, event))) = self.queue.pop() {
            self.handle(event);
        }
        self.act();
        true
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Join(index) => {
                let (id, peer) = (PeerId(index as u32), &self.peers[index].peer);
                self.coordinator.peer_joined(id, peer.prior, self.now);
                self.coordinator.link_measured(id, 2 * peer.one_way, self.now);
                self.coordinator.peer_ready(id, 1, 1, self.now);
            }
            Event::Leave(index) => self.coordinator.peer_lost(PeerId(index as u32), self.now),
            Event::Arrive(index, jobs) => {
                self.peers[index].waiting.extend(jobs);
                self.serve(index);
            }
            Event::Cancel(index, tasks) => self.peers[index].waiting.retain(|job| !tasks.contains(&job.task)),
            Event::Served(index) => {
                self.peers[index].is_busy = false;
                self.serve(index);
            }
            Event::Done(index, job, service_ns, transfer_ns) => {
                let rect = rect_of(job);
                let rays = self.truth(job.frame_id).block_rays(self.extent, rect);
                let claimed = (service_ns as f64 * self.peers[index].peer.claims) as u64;
                let bytes = (rect.pixels() as f64 * BYTES_PER_PX) as u64;
                let transfer_ns = Some(transfer_ns);
                let report = TileReport { block_rays: &rays, bytes, transfer_ns, ..TileReport::new(claimed, rect) };
                if let Some(peer) = self.coordinator.task_peer(job.task).filter(|_| !job.redundant) {
                    let record = self.record(job.frame_id, job.group);
                    record.tiles.push((peer, job.predicted_ns, service_ns));
                    record.rects.push(rect);
                }
                self.coordinator.tile_done(job.task, report, self.now);
            }
        }
    }

    /// Carries out what the coordinator wants.
    fn act(&mut self) {
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
                    self.send(peer, |index| Event::Arrive(index, jobs));
                }
                Action::Cancel { peer, tasks } => self.send(peer, |index| Event::Cancel(index, tasks)),
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
    }

    fn send(&mut self, peer: PeerId, event: impl FnOnce(usize) -> Event) {
        let index = peer.0 as usize;
        let at = self.now + self.link(index);
        self.after(at, event(index));
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
        let rect = rect_of(job);
        let part = self.tiers.get(usize::from(job.group)).map_or(1.0, |tier| tier.work);
        let part = part * self.traced_share(job);
        let work_ns = part * self.truth(job.frame_id).work_ns(self.extent, rect);
        let noise = 2.0 * self.random.unit() - 1.0;
        let peer = &self.peers[index].peer;
        let ns = (peer.tile_overhead.as_nanos() as f64 + work_ns / peer.speed)
            * (1.0 + peer.noise * noise)
            * peer.slowness(now);
        let service = Duration::from_nanos(ns as u64);
        let end = now + service + peer.pause(now, service);
        if peer.is_gone(end) {
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
        self.after(end, Event::Served(index));
        let delay = self.link(index);
        // The first bytes came without jitter, the last ones with: a measurement is never too short.
        let late = delay.saturating_sub(self.peers[index].peer.one_way);
        let transfer_ns = if sending_ns > 0.0 { sending_ns as u64 + late.as_nanos() as u64 } else { 0 };
        self.after(sent + delay, Event::Done(index, job, ns as u64, transfer_ns));
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
