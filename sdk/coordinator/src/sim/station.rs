//! Simulated peers at work: what is sent to them, what they trace, what they answer.

use super::simulation::Event;
use super::{SimPeer, Simulation, Span, Trouble};
use crate::{PeerId, Refusal, TaskId, TileReport, Time};
use rayloom_frame::{LayerRequest, Rect};
use rayloom_wire::OVERTAKES_BY;
use std::collections::VecDeque;
use std::time::Duration;

/// Bytes of a pixel's results on the link.
const BYTES_PER_PX: f64 = 2.0;

pub(super) struct Station {
    pub(super) peer: SimPeer,
    /// How often it has ended: what was on its way then is of a process that is no more.
    pub(super) life: u32,
    pub(super) waiting: VecDeque<Job>,
    pub(super) is_busy: bool,
    /// When the last message to it arrives: they come in the order in which they were sent.
    pub(super) arrives: Time,
    /// Until when results are on their way onto the link.
    pub(super) link_busy: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Job {
    pub(super) task: TaskId,
    pub(super) frame_id: u64,
    pub(super) group: u8,
    /// x, y, width, height with ghost zone.
    pub(super) rect: [u32; 4],
    pub(super) predicted_ns: u64,
    pub(super) redundant: bool,
    /// When it is due by what its message said: time from its arrival, then the time.
    pub(super) due: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Message {
    Arrive(Vec<Job>),
    Cancel(Vec<TaskId>),
    Served,
    /// Tile, service time, and how long the link took for its answer, in nanoseconds.
    Done(Job, u64, u64),
    Refused(Job),
}

impl Station {
    pub(super) fn new(peer: SimPeer) -> Station {
        let (waiting, start) = (VecDeque::new(), Time(0));
        Station { peer, life: 0, waiting, is_busy: false, arrives: start, link_busy: start }
    }

    /// As the peer server does it.
    fn queue_up(&mut self, job: Job) {
        let later = self.waiting.iter().rev().take_while(|other| other.due > job.due + OVERTAKES_BY).count();
        self.waiting.insert(self.waiting.len() - later, job);
    }
}

impl Simulation {
    pub(super) fn deliver(&mut self, index: usize, message: Message) {
        let now = self.now;
        match message {
            Message::Arrive(jobs) => {
                for job in jobs {
                    self.peers[index].queue_up(Job { due: now + Duration::from_nanos(job.due.0), ..job });
                }
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

    pub(super) fn send(&mut self, peer: PeerId, message: Message) {
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
}

fn rect_of(job: Job) -> Rect {
    Rect::new(job.rect[0], job.rect[1], job.rect[2], job.rect[3])
}
