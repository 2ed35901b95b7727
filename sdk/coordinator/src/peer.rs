//! What the coordinator remembers of a peer.

use crate::blame::Blame;
use crate::flight::Task;
use crate::link::Link;
use crate::speed::Speed;
use crate::{Config, PeerId, PeerPrior, PeerState, TaskId, Time};
use std::collections::VecDeque;
use std::time::Duration;

/// Scene revisions remembered as ready, the latest ones: twice what a peer holds (16 scenes, two revisions each), since a
/// scene that is edited must not push out one that rests.
const REVISIONS: usize = 64;
/// A peer says what a tile cost it. What the clock here says beside the link may be this much more.
const CLAIM_SLACK_NS: f64 = 10e6;
/// So many claims in a row that are too low are not believed.
const LOW_CLAIMS: u32 = 3;
/// How long a peer of which more is known may be silent, if that is thought to be more than it takes, however far away a frame's
/// deadline is.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_secs(1);
/// A peer that misses more than one in so many tiles has its tiles doubled from the start.
const UNRELIABLE: f32 = 0.05;

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) state: PeerState,
    /// Since when.
    pub(crate) stands_since: Time,
    pub(crate) blame: Blame,
    pub(crate) prior: PeerPrior,
    pub(crate) speed: Speed,
    ready: VecDeque<(u32, u64)>,
    pub(crate) link: Link,
    /// Claims in a row that the clock here contradicts.
    low_claims: u32,
    /// Share of its latest tiles that it missed.
    risk: f32,
    /// What a pixel of its tiles has cost it, by its own times alone: rises fast, falls slowly.
    pub(crate) ns_per_px: f64,
    /// Its last answer.
    pub(crate) last_done: Time,
    /// Its last sign of life of any kind; none while nobody measures its round trip, since then only tiles would tell.
    heard: Option<Time>,
    pub(crate) last_tile_ns: u64,
    pub(crate) tiles: u64,
    pub(crate) missed: u64,
    pub(crate) missed_in_a_row: u32,
    pub(crate) refused: u64,
    pub(crate) refused_in_a_row: u32,
    pub(crate) corrupt: u64,
    /// Tiles answered in time since it became suspect.
    pub(crate) held: u32,
    pub(crate) next_probe: Time,
    probe_pause: Duration,
    /// Share of the last plan's pixels.
    pub(crate) share: f32,
    /// Its tiles in the order in which it is at them, and some that it need no longer be at: see [`crate::turns`].
    pub(crate) queue: Vec<TaskId>,
}

impl Peer {
    pub(crate) fn new(id: PeerId, prior: PeerPrior, speed: Speed, blame: Blame, now: Time) -> Peer {
        Peer {
            id,
            state: PeerState::Joining,
            stands_since: now,
            blame,
            prior,
            speed,
            ready: VecDeque::new(),
            link: Link::default(),
            low_claims: 0,
            risk: 0.0,
            ns_per_px: 0.0,
            last_done: now,
            heard: None,
            last_tile_ns: 0,
            tiles: 0,
            missed: 0,
            missed_in_a_row: 0,
            refused: 0,
            refused_in_a_row: 0,
            corrupt: 0,
            held: 0,
            next_probe: now,
            probe_pause: Duration::ZERO,
            share: 0.0,
            queue: Vec::new(),
        }
    }

    pub(crate) fn holds(&self, scene: u32, revision: u64) -> bool {
        self.ready.contains(&(scene, revision))
    }

    /// It reported a scene revision ready.
    pub(crate) fn add_revision(&mut self, scene: u32, revision: u64) {
        self.ready.retain(|known| *known != (scene, revision));
        if self.ready.len() == REVISIONS {
            self.ready.pop_front();
        }
        self.ready.push_back((scene, revision));
    }

    /// One more fault is held against it, less what it made good since it was ready.
    pub(crate) fn add_fault(&mut self, config: &Config, now: Time) {
        if self.state == PeerState::Ready {
            self.blame.forgive(now.since(self.stands_since), config);
        }
        self.blame.add_fault(config, now);
    }

    /// What a tile cost it that it answers now: what it claims, unless the clock here has contradicted it again and again.
    /// `transfer_ns`: what task and answer took on the link.
    pub(crate) fn charged_ns(&mut self, claimed_ns: f64, task: &Task, transfer_ns: f64, now: Time) -> f64 {
        let begun = task.assigned.plus_ns(self.link.rtt_ns).max(self.last_done);
        let seen_ns = now.ns_since(begun) as f64 - CLAIM_SLACK_NS - 0.5 * self.link.rtt_ns - transfer_ns;
        if claimed_ns >= 0.5 * seen_ns {
            self.low_claims = 0;
            return claimed_ns;
        }
        self.low_claims = self.low_claims.saturating_add(1);
        if self.low_claims >= LOW_CLAIMS { seen_ns } else { claimed_ns }
    }

    /// Its round trip was measured: that it is there can be known without its tiles from now on.
    pub(crate) fn note_round_trip(&mut self, rtt: Duration, now: Time) {
        self.link.set_rtt(rtt);
        self.heard = Some(now);
    }

    /// Something of it has arrived.
    pub(crate) fn note_sign(&mut self, now: Time) {
        self.heard = self.heard.map(|_| now);
    }

    /// When nothing is to be hoped for from it any more, if it stays as silent as it is: it has missed tiles and answers nothing
    /// else either. A peer that is only slow does.
    pub(crate) fn is_given_up_at(&self) -> Option<Time> {
        let is_doubted = matches!(self.state, PeerState::Suspect | PeerState::Blocked);
        self.heard.filter(|_| is_doubted).map(|heard| heard + LONGEST_SILENCE)
    }

    /// A pixel of a tile has cost it this much.
    pub(crate) fn note_cost(&mut self, ns_per_px: f64) {
        let gain = if ns_per_px > self.ns_per_px { 0.5 } else { 0.05 };
        self.ns_per_px += gain * (ns_per_px - self.ns_per_px);
    }

    /// It missed a tile.
    pub(crate) fn note_miss(&mut self) {
        self.risk += 0.2 * (1.0 - self.risk);
    }

    /// It answered one in time.
    pub(crate) fn note_hit(&mut self) {
        self.risk *= 0.98;
    }

    /// It misses so many tiles that each had better have a backup from the start.
    pub(crate) fn is_unreliable(&self) -> bool {
        self.risk > UNRELIABLE
    }

    /// What its first outstanding tile has cost it at least, as far as can be known here: the tile was on its way, then
    /// in the queue behind the last one answered, and an answer may be on its way back.
    pub(crate) fn busy_ns(&self, task: &Task, now: Time) -> f64 {
        now.ns_since(self.may_have_begun(task)) as f64
    }

    /// Since when it may have been at its first outstanding tile, shifted by what task and answer take on the link.
    pub(crate) fn may_have_begun(&self, task: &Task) -> Time {
        task.assigned.plus_ns(self.link.ns).max(self.last_done).plus_ns(task.up_ns + task.down_ns + task.behind_ns)
    }

    /// Predicted time until it is through with its first outstanding tile. One that is overdue will take as long again.
    pub(crate) fn remaining_ns(&self, task: &Task, now: Time) -> f64 {
        let (busy_ns, stage_ns) = (self.busy_ns(task, now), task.stage_ns());
        if busy_ns > stage_ns {
            return busy_ns - stage_ns + 0.1 * stage_ns;
        }
        let one_way_ns = 0.5 * self.link.ns;
        let arrived_ns = now.ns_since(task.assigned) as f64 - one_way_ns - task.up_ns;
        let started_ns = arrived_ns.min(now.ns_since(self.last_done) as f64 + one_way_ns);
        (stage_ns - started_ns).max(0.0)
    }

    /// Predicted time until a tile given to it now begins, when it has `queue_ns` of work; its task takes `up_ns` to be sent.
    pub(crate) fn start_ns(&self, queue_ns: f64, up_ns: f64) -> f64 {
        queue_ns.max(0.5 * self.link.ns + up_ns)
    }

    /// Predicted time until the answer to a tile given to it now is here: queue, service, and what the link takes.
    pub(crate) fn turnaround_ns(&self, queue_ns: f64, service_ns: f64, (up_ns, down_ns): (f64, f64)) -> f64 {
        self.start_ns(queue_ns, up_ns) + service_ns + down_ns + 0.5 * self.link.ns
    }

    /// It has failed so often that its probes come at the longest pause.
    pub(crate) fn is_probed_rarely(&self, config: &Config) -> bool {
        self.probe_pause >= config.probe_interval_max
    }

    /// Probe it at once.
    pub(crate) fn probe_soon(&mut self, now: Time) {
        self.next_probe = now;
        self.probe_pause = Duration::ZERO;
    }

    /// It missed a probe that was given `waited` ago.
    pub(crate) fn probe_later(&mut self, waited: Duration, longest: Duration, now: Time) {
        self.probe_pause = if self.probe_pause.is_zero() { waited } else { self.probe_pause.saturating_mul(2) };
        self.probe_pause = self.probe_pause.min(longest);
        self.next_probe = now + self.probe_pause;
    }
}
