//! A seeded simulator: peers with speeds, latencies, jitter and faults around a real [`Coordinator`]. The same seed gives
//! the same run.

use crate::{
    Action, Config, Coordinator, CostMap, FramePlan, FrameRequest, PeerId, PeerPrior, TaskId, TileReport, Time,
};
use rayloom_frame::{Extent, Rect};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

/// What happens to a simulated peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It stops for good, and nobody is told.
    Crash {
        /// When.
        at: Time,
    },
    /// It stops for good, and the transport notices at once.
    Disconnect {
        /// When.
        at: Time,
    },
    /// It stands still for a while.
    Stall {
        /// When it stops.
        from: Time,
        /// When it goes on.
        until: Time,
    },
    /// It becomes this many times slower.
    Throttle {
        /// When.
        at: Time,
        /// How much.
        factor: f64,
    },
}

/// A simulated peer.
#[derive(Clone, Debug)]
pub struct SimPeer {
    /// Relative to the truth's nanoseconds: 1 takes them as they are, 0.5 twice as long.
    pub speed: f64,
    /// Fixed cost of a tile.
    pub tile_overhead: Duration,
    /// Delay of the link, each way.
    pub one_way: Duration,
    /// Added to each way, uniform from 0.
    pub jitter: Duration,
    /// Relative noise of service times, uniform in plus and minus.
    pub noise: f64,
    /// What it tells of itself.
    pub prior: PeerPrior,
    /// When it joins, with its scene.
    pub joins: Time,
    /// What happens to it.
    pub faults: Vec<Fault>,
}

impl SimPeer {
    /// A peer on a 1 ms link with little noise.
    pub fn new(speed: f64) -> SimPeer {
        SimPeer {
            speed,
            tile_overhead: Duration::from_micros(300),
            one_way: Duration::from_micros(500),
            jitter: Duration::from_micros(200),
            noise: 0.02,
            prior: PeerPrior::default(),
            joins: Time(0),
            faults: Vec::new(),
        }
    }

    /// The same with a fault.
    pub fn with(mut self, fault: Fault) -> SimPeer {
        self.faults.push(fault);
        self
    }
}

/// What a frame really costs, per 16x16 block of the view, rows from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Nanoseconds a pixel on a peer of speed 1.
    pub ns_per_px: Vec<f32>,
    /// Rays a pixel.
    pub rays_per_px: Vec<f32>,
}

/// How a frame went.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRecord {
    /// Its id.
    pub frame_id: u64,
    /// When it began.
    pub begun: Time,
    /// How it was cut.
    pub plan: FramePlan,
    /// When it ended, and whether it was complete.
    pub ended: Option<(Time, bool)>,
    /// Tiles that were missing then.
    pub missing: usize,
    /// Predicted and real service time of each tile done, in nanoseconds, and who did it.
    pub tiles: Vec<(PeerId, u64, u64)>,
}

impl FrameRecord {
    /// Longest over mean service time of the peers' parts.
    pub fn peer_imbalance(&self) -> f64 {
        let mut parts: BTreeMap<PeerId, u64> = BTreeMap::new();
        self.tiles.iter().for_each(|(peer, _, ns)| *parts.entry(*peer).or_insert(0) += ns);
        max_over_mean(parts.into_values())
    }

    /// Longest over mean service time of the tiles.
    pub fn tile_imbalance(&self) -> f64 {
        max_over_mean(self.tiles.iter().map(|tile| tile.2))
    }
}

fn max_over_mean(values: impl Iterator<Item = u64>) -> f64 {
    let (count, sum, max) =
        values.fold((0.0, 0.0, 0.0_f64), |(n, sum, max), v| (n + 1.0, sum + v as f64, max.max(v as f64)));
    if sum > 0.0 { max * count / sum } else { 1.0 }
}

/// Frames at a fixed pace through a coordinator and simulated peers.
pub struct Simulation {
    /// The coordinator under test.
    pub coordinator: Coordinator,
    /// All frames so far, in order.
    pub frames: Vec<FrameRecord>,
    /// Suspicions and recoveries.
    pub events: Vec<(Time, Action)>,
    extent: Extent,
    ghost_px: u32,
    truth: Box<dyn Fn(u64) -> Truth>,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Job {
    task: TaskId,
    frame_id: u64,
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
    Done(usize, Job, u64),
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
            events: Vec::new(),
            extent,
            ghost_px: 8,
            truth: Box::new(truth),
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
            simulation.peers.push(Station { peer, waiting: VecDeque::new(), is_busy: false });
        }
        simulation
    }

    /// Begins `count` frames, one every `interval`, each with `deadline` from its begin and an estimate of cost if given,
    /// and lets the last one end.
    pub fn run(
        &mut self,
        count: u64,
        interval: Duration,
        deadline: Duration,
        estimate: Option<&dyn Fn(u64) -> CostMap>,
    ) -> &[FrameRecord] {
        for _ in 0..count {
            self.advance_to(self.now);
            let frame_id = self.frames.len() as u64 + 1;
            let request = FrameRequest {
                frame_id,
                scene: 1,
                revision: 1,
                extent: self.extent,
                ghost_px: self.ghost_px,
                deadline: self.now + deadline,
                cost: estimate.map(|estimate| estimate(frame_id)),
            };
            let plan = self.coordinator.begin_frame(request, self.now);
            let (begun, ended, missing, tiles) = (self.now, None, 0, Vec::new());
            self.frames.push(FrameRecord { frame_id, begun, plan, ended, missing, tiles });
            self.act();
            self.advance_to(self.now + interval);
        }
        self.advance_to(self.now + deadline);
        &self.frames
    }

    /// Handles events and timeouts up to `until`.
    fn advance_to(&mut self, until: Time) {
        loop {
            let event = self.queue.peek().map(|event| event.0.0);
            let timeout = self.coordinator.poll_timeout().map(|timeout| timeout.max(self.now));
            let next = [event, timeout].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = next;
            if timeout == Some(next) {
                self.coordinator.handle_timeout(next);
            } else if let Some(Reverse((_, _, event))) = self.queue.pop() {
                self.handle(event);
            }
            self.act();
        }
        self.now = until;
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
            Event::Done(_, job, service_ns) => {
                let rect = Rect::new(job.rect[0], job.rect[1], job.rect[2], job.rect[3]);
                let rays = self.rays(job.frame_id, rect);
                let report = TileReport { service_ns, block_rays: &rays, rect };
                if let Some(peer) = self.coordinator.task_peer(job.task).filter(|_| !job.redundant) {
                    let record = &mut self.frames[job.frame_id as usize - 1];
                    record.tiles.push((peer, job.predicted_ns, service_ns));
                }
                self.coordinator.tile_done(job.task, report, self.now);
            }
        }
    }

    /// Carries out what the coordinator wants.
    fn act(&mut self) {
        while let Some(action) = self.coordinator.poll_action() {
            match action {
                Action::Assign { peer, frame_id, tiles } => {
                    let job = |tile: crate::TileAssignment| {
                        let r = tile.rect.grown(tile.ghost_px, self.extent);
                        let rect = [r.x, r.y, r.width, r.height];
                        let (task, predicted_ns, redundant) = (tile.task, tile.predicted_ns, tile.redundant);
                        Job { task, frame_id, rect, predicted_ns, redundant }
                    };
                    let jobs = tiles.into_iter().map(job).collect();
                    self.send(peer, |index| Event::Arrive(index, jobs));
                }
                Action::Cancel { peer, tasks } => self.send(peer, |index| Event::Cancel(index, tasks)),
                Action::FrameComplete { frame_id } => self.end(frame_id, true, 0),
                Action::FrameExpired { frame_id, missing } => self.end(frame_id, false, missing.len()),
                other => self.events.push((self.now, other)),
            }
        }
    }

    fn end(&mut self, frame_id: u64, complete: bool, missing: usize) {
        let frame = &mut self.frames[frame_id as usize - 1];
        assert!(frame.ended.is_none(), "frame {frame_id} ended twice");
        frame.ended = Some((self.now, complete));
        frame.missing = missing;
    }

    fn send(&mut self, peer: PeerId, event: impl FnOnce(usize) -> Event) {
        let index = peer.0 as usize;
        let at = self.now + self.link(index);
        self.after(at, event(index));
    }

    fn link(&mut self, index: usize) -> Duration {
        let peer = &self.peers[index].peer;
        peer.one_way + peer.jitter.mul_f64(self.random.unit())
    }

    /// Lets a peer begin its next tile.
    fn serve(&mut self, index: usize) {
        let (now, station) = (self.now, &mut self.peers[index]);
        let job = if station.is_busy { None } else { station.waiting.pop_front() };
        let Some(job) = job else { return };
        station.is_busy = true;
        let rect = Rect::new(job.rect[0], job.rect[1], job.rect[2], job.rect[3]);
        let work_ns = weigh(&(self.truth)(job.frame_id).ns_per_px, self.extent, rect);
        let peer = &self.peers[index].peer;
        let mut ns = (peer.tile_overhead.as_nanos() as f64 + work_ns / peer.speed)
            * (1.0 + peer.noise * (2.0 * self.random.unit() - 1.0));
        let mut pause_ns = 0;
        for fault in &peer.faults {
            match fault {
                Fault::Throttle { at, factor } if *at <= now => ns *= factor,
                Fault::Stall { from, until } if *from <= now + Duration::from_nanos(ns as u64) && *until > now => {
                    pause_ns += until.ns_since(now.max(*from));
                }
                _ => {}
            }
        }
        let end = now + Duration::from_nanos(ns as u64 + pause_ns);
        let is_over = |fault: &Fault| matches!(fault, Fault::Crash { at } | Fault::Disconnect { at } if *at <= end);
        if self.peers[index].peer.faults.iter().any(is_over) {
            return;
        }
        self.after(end, Event::Served(index));
        let arrival = end + self.link(index);
        self.after(arrival, Event::Done(index, job, ns as u64));
    }

    fn rays(&self, frame_id: u64, rect: Rect) -> Vec<u32> {
        let rays = (self.truth)(frame_id).rays_per_px;
        blocks(self.extent, rect).map(|(block, pixels)| (rays[block] * pixels as f32) as u32).collect()
    }

    fn after(&mut self, at: Time, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, event)));
    }
}

/// A city under a sky of the given extent, panning by `px_per_frame`: (what it costs, an estimate that knows sky from
/// city and little more). `ns` is the mean cost of a city pixel.
pub fn city_under_sky(extent: Extent, frame_id: u64, px_per_frame: f64, ns: f32) -> (Truth, CostMap) {
    let blocks = extent.scaled(16);
    let (mut truth, mut cost) = (Truth { ns_per_px: Vec::new(), rays_per_px: Vec::new() }, Vec::new());
    for y in 0..blocks.height {
        for x in 0..blocks.width {
            let column = f64::from(x) + frame_id as f64 * px_per_frame / 16.0;
            let height = f64::from(y) / f64::from(blocks.height);
            let roofs = 0.45 + 0.12 * (column * 0.37).sin() * (column * 0.11 + 1.0).cos();
            let glass = 0.5 + 0.5 * (column * 0.9 + f64::from(y) * 0.3).sin() * (f64::from(y) * 0.7).cos();
            let is_sky = height < roofs;
            let rays = if is_sky { 1.0 } else { 3.0 + 4.0 * glass as f32 };
            let per_ray = if is_sky { 0.04 } else { ns * (0.12 + 0.16 * (height - roofs) as f32) };
            truth.ns_per_px.push(rays * per_ray);
            truth.rays_per_px.push(rays);
            cost.push(if is_sky { 1.0 } else { 8.0 } * blocks_pixels(extent, x, y));
        }
    }
    (truth, CostMap { blocks_x: blocks.width, blocks_y: blocks.height, cost })
}

fn blocks_pixels(extent: Extent, x: u32, y: u32) -> f32 {
    Rect::new(16 * x, 16 * y, 16, 16).intersection(extent.rect()).pixels() as f32
}

fn blocks(extent: Extent, rect: Rect) -> impl Iterator<Item = (usize, usize)> {
    let across = extent.scaled(16).width;
    let touched = rect.scaled(16);
    (touched.y..touched.bottom()).flat_map(move |y| {
        (touched.x..touched.right())
            .map(move |x| ((y * across + x) as usize, Rect::new(16 * x, 16 * y, 16, 16).intersection(rect).pixels()))
    })
}

fn weigh(per_px: &[f32], extent: Extent, rect: Rect) -> f64 {
    blocks(extent, rect).map(|(block, pixels)| f64::from(per_px[block]) * pixels as f64).sum()
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
