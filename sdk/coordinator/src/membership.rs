//! Peers come, hold, fail, are left alone, go: whatever changes where one stands passes through [`Coordinator::change`].

use crate::coordinator::Coordinator;
use crate::flight::{Task, TaskState};
use crate::peer::Peer;
use crate::{Action, ChangeCause, PeerChange, PeerId, PeerPrior, PeerState, TaskId, Time};
use rayloom_wire::TILES_AT_ONCE;
use std::time::Duration;

/// Most peers that are remembered; more are ignored.
const PEERS: usize = 1024;

impl Coordinator {
    /// A peer is connected. A peer of that id that was there before has been lost; what was held against it still is.
    pub fn peer_joined(&mut self, peer: PeerId, prior: PeerPrior, now: Time) {
        self.peer_lost(peer, now);
        // What it was before it was lost is a guess like the others'.
        let speed = self.guess_speed(prior);
        let blame = self.peers.remove(&peer).map(|before| before.blame).unwrap_or_default();
        if self.peers.len() >= PEERS {
            // Who is blocked for good is forgotten last.
            let lost = self.peers.values().filter(|peer| peer.state == PeerState::Lost);
            match lost.min_by_key(|peer| peer.blame.is_blocked_for_good()).map(|peer| peer.id) {
                Some(lost) => self.peers.remove(&lost),
                None => return,
            };
        }
        self.peers.insert(peer, Peer::new(peer, prior, speed, blame, self.now));
    }

    /// A peer holds a scene revision: from now on it may be given tiles on that base. The last 64 are remembered.
    pub fn peer_ready(&mut self, peer: PeerId, scene: u32, revision: u64, now: Time) {
        self.advance(now);
        let now = self.now;
        let Some(known) = self.peers.get_mut(&peer).filter(|peer| peer.state != PeerState::Lost) else { return };
        known.add_revision(scene, revision);
        if known.state == PeerState::Joining {
            let (to, cause) = match known.blame.is_blocked(now) {
                true => (PeerState::Blocked, ChangeCause::FailedBefore),
                false => (PeerState::Ready, ChangeCause::SceneReady),
            };
            self.change(peer, to, cause);
        }
    }

    /// A peer will go: it finishes what it has begun and gets nothing more; what waits in its queue goes to others that can make
    /// the deadline. None of that is a fault. [`Coordinator::peer_lost`] says when it has gone.
    pub fn peer_draining(&mut self, peer: PeerId, now: Time) {
        self.advance(now);
        if self.peers.get(&peer).is_none_or(|known| known.state == PeerState::Lost) {
            return;
        }
        self.change(peer, PeerState::Draining, ChangeCause::Draining);
        let waiting: Vec<(TaskId, Task)> =
            self.outstanding(peer).skip(TILES_AT_ONCE).map(|(id, task)| (id, task.clone())).collect();
        // What nobody else can trace in time it may as well.
        let unwanted = waiting.into_iter().filter(|(_, task)| self.reassign(task) || !self.is_awaited(task));
        let unwanted = unwanted.map(|(id, _)| id).collect();
        self.cancel(unwanted);
    }

    /// A peer is gone. Its unfinished tiles go to others at once if they can make the deadline, else to history.
    pub fn peer_lost(&mut self, peer: PeerId, now: Time) {
        self.advance(now);
        let (now, config) = (self.now, &self.config);
        let Some(known) = self.peers.get_mut(&peer).filter(|peer| peer.state != PeerState::Lost) else { return };
        if matches!(known.state, PeerState::Ready | PeerState::Suspect) {
            known.add_fault(config, now);
        }
        self.change(peer, PeerState::Lost, ChangeCause::Disconnected);
        self.drop_tasks_of(peer);
    }

    /// A peer was caught lying: an answer of it was compared with what others trace, and it can't have been traced. It is blocked
    /// for good, under this id also when it comes back; what it has goes to others, and its answers are forged from now on.
    pub fn peer_lied(&mut self, peer: PeerId, now: Time) {
        self.advance(now);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let was_blocked = known.blame.is_blocked_for_good();
        known.blame.condemn();
        if was_blocked || known.state == PeerState::Lost {
            return;
        }
        let tasks: Vec<TaskId> = self.outstanding(peer).map(|(id, _)| id).collect();
        self.change(peer, PeerState::Blocked, ChangeCause::Lied);
        if !tasks.is_empty() {
            self.push(Action::Cancel { peer, tasks });
        }
        self.drop_tasks_of(peer);
    }

    /// A peer did something that it should not have: from now on it gets probes only, or nothing where that was once too often. One
    /// that is suspect already is not probed for `pause`, and longer each time.
    pub(crate) fn fault(&mut self, peer: PeerId, cause: ChangeCause, pause: Duration) {
        let (now, config) = (self.now, &self.config);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let is_new = match known.state {
            PeerState::Ready => true,
            // One outage is not a fault a tile.
            PeerState::Suspect => {
                let is_known = known.is_probed_rarely(config);
                known.probe_later(pause, config.probe_interval_max, now);
                is_known && now.since(known.blame.last_fault()) >= config.probe_interval_max
            }
            _ => return,
        };
        if is_new {
            known.add_fault(config, now);
        }
        let is_blocked = known.blame.is_blocked(now);
        if known.state == PeerState::Suspect && !is_blocked {
            return;
        }
        self.change(peer, if is_blocked { PeerState::Blocked } else { PeerState::Suspect }, cause);
        self.take_back(peer);
    }

    /// A peer that is suspect or blocked has answered a tile in time.
    pub(crate) fn note_held(&mut self, peer: PeerId) {
        let (now, wanted) = (self.now, self.config.recover_after_held);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let (state, tiles) = (known.state, known.held);
        if !matches!(state, PeerState::Suspect | PeerState::Blocked) || known.blame.is_blocked_for_good() || tiles == 0
        {
            return;
        }
        known.blame.unblock();
        if tiles >= wanted {
            self.change(peer, PeerState::Ready, ChangeCause::Held { tiles });
        } else {
            self.change(peer, PeerState::Suspect, ChangeCause::Held { tiles });
            if let Some(known) = self.peers.get_mut(&peer) {
                known.probe_soon(now);
            }
        }
    }

    /// Peers that were blocked for as long as they were to be are probed again.
    pub(crate) fn end_pauses(&mut self) {
        let is_over = |peer: &&Peer| peer.state == PeerState::Blocked && !peer.blame.is_blocked(self.now);
        let over: Vec<PeerId> = self.peers.values().filter(is_over).map(|peer| peer.id).collect();
        over.into_iter().for_each(|peer| self.change(peer, PeerState::Suspect, ChangeCause::PauseOver));
    }

    /// Lets a peer stand elsewhere, and says so.
    fn change(&mut self, peer: PeerId, to: PeerState, cause: ChangeCause) {
        let now = self.now;
        let Some(known) = self.peers.get_mut(&peer).filter(|known| known.state != to || cause == ChangeCause::Lied)
        else {
            return;
        };
        let (from, after) = (known.state, now.since(known.stands_since));
        (known.state, known.stands_since) = (to, now);
        if to != PeerState::Ready {
            known.share = 0.0;
        }
        if from == PeerState::Ready || to == PeerState::Blocked {
            known.held = 0;
        }
        // Small tiles say little of how fast it is with large ones.
        if (from, to) == (PeerState::Suspect, PeerState::Ready) {
            known.speed.doubt();
        }
        // Who was blocked is known to fail: its pauses don't begin anew.
        if (from, to) == (PeerState::Ready, PeerState::Suspect) {
            known.probe_soon(now);
        }
        let pause = if to == PeerState::Blocked { known.blame.pause(now) } else { Duration::ZERO };
        self.push(Action::PeerChanged(PeerChange { peer, from, to, cause, after, pause }));
    }

    /// Gives what a peer has not answered to others.
    fn take_back(&mut self, peer: PeerId) {
        let tasks: Vec<(TaskId, Task)> = self.outstanding(peer).map(|(id, task)| (id, task.clone())).collect();
        let mut unwanted = Vec::new();
        for (id, task) in tasks {
            if self.reassign(&task) || !self.is_awaited(&task) {
                unwanted.push(id);
            } else if let Some(task) = self.tasks.get_mut(&id) {
                // Nobody else can: its late answer is better than none.
                task.state = TaskState::Released;
            }
        }
        self.cancel(unwanted);
    }
}
