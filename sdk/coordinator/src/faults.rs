//! What goes wrong with frames and tiles: late, missed, refused, corrupt, and who takes over.

use crate::coordinator::Coordinator;
use crate::flight::{Frame, Task, TaskState};
use crate::peer::Peer;
use crate::{Action, ChangeCause, ExpiryCause, PeerId, PeerState, Refusal, TaskId, Time};
use rayloom_wire::TILES_AT_ONCE;
use std::collections::BTreeMap;

/// A tile that its peer was given before so many that it has answered is not traced any more: its answer is lost.
const OVERTAKEN: u8 = 8;

/// How many times more tiles in a row a peer may have no room for than it may refuse otherwise: it may be full of another view's.
const MORE_WITHOUT_ROOM: u32 = 8;

impl Coordinator {
    /// A task was answered: its cell is done, and with the last one the frame.
    pub(crate) fn fill_cell(&mut self, task: &Task) {
        let Some(index) = self.frames.iter().position(|frame| frame.serial == task.serial) else { return };
        let Some(cell) = task.cell.and_then(|cell| self.frames[index].cells.get_mut(cell)) else { return };
        cell.is_done = true;
        let others = self.tasks.iter().filter(|(_, other)| other.serial == task.serial && other.cell == task.cell);
        let others: Vec<(TaskId, PeerId)> = others.map(|(id, other)| (*id, other.peer)).collect();
        // Who has begun finishes, and is watched until it has: that another was faster is no excuse for being gone.
        let waiting =
            others.into_iter().filter(|(id, peer)| !self.may_be_begun(*id, *peer)).map(|(id, _)| id).collect();
        self.cancel(waiting);
        if self.frames[index].is_complete() {
            let frame = self.frames.remove(index).expect("its index was found above");
            let group = self.group_mut(frame.group);
            group.lacking.clear();
            group.passed_over.clear();
            self.push(Action::FrameComplete { frame_id: frame.id, group: frame.group });
        }
    }

    /// A frame that has begun, one of its groups, is due at another time than was thought when it began. One that is over is not.
    pub fn set_deadline(&mut self, frame_id: u64, group: u8, deadline: Time, now: Time) {
        self.advance(now);
        let deadline = self.time_in_here(deadline);
        let frame = self.frames.iter_mut().find(|frame| (frame.id, frame.group) == (frame_id, group));
        frame.into_iter().for_each(|frame| frame.deadline = deadline);
        self.expire_frames();
    }

    /// Nobody wants a frame any more, nor any of its groups: they expire, and what waits in peers' queues is cancelled.
    pub fn give_up_frame(&mut self, frame_id: u64, now: Time) {
        self.advance(now);
        while let Some(index) = self.frames.iter().position(|frame| frame.id == frame_id) {
            self.expire(index, ExpiryCause::GivenUp);
        }
    }

    /// Ends frames whose deadline has passed.
    pub(crate) fn expire_frames(&mut self) {
        while let Some(index) = self.frames.iter().position(|frame| frame.deadline <= self.now) {
            self.expire(index, ExpiryCause::Deadline);
        }
    }

    /// Ends a frame with what is there. What its peers have begun may finish; what waits in their queues is cancelled.
    pub(crate) fn expire(&mut self, index: usize, cause: ExpiryCause) {
        let Some(frame) = self.frames.remove(index) else { return };
        let is_waiting = |(id, task): &(&TaskId, &Task)| {
            let is_of_it = task.serial == frame.serial && task.cell.is_some();
            let is_behind = || match task.state {
                TaskState::Outstanding => !self.may_be_begun(**id, task.peer),
                // Its peer may be at what was released, as it was then.
                TaskState::Released | TaskState::Cancelled => false,
            };
            is_of_it && is_behind()
        };
        let waiting: Vec<TaskId> = self.tasks.iter().filter(is_waiting).map(|(id, _)| *id).collect();
        self.cancel(waiting.clone());
        self.finish_expired(&frame, &waiting, cause);
    }

    /// Whether a peer may have begun a tile: it is among the first that it has, behind those that nobody waits for any more.
    fn may_be_begun(&self, id: TaskId, peer: PeerId) -> bool {
        let begun = TILES_AT_ONCE.saturating_sub(self.released(peer));
        self.outstanding(peer).take(begun).any(|(begun, _)| begun == id)
    }

    /// How many tiles a peer may be at that nobody waits for any more.
    fn released(&self, peer: PeerId) -> usize {
        let is_released = |task: &&Task| task.peer == peer && task.state == TaskState::Released;
        self.tasks.values().filter(is_released).count()
    }

    /// A peer has answered: what it was given before, and nobody waits for any more, may be lost.
    pub(crate) fn note_overtaken(&mut self, answered: TaskId, peer: PeerId) {
        let older = self.tasks.range_mut(..answered).map(|(_, task)| task);
        for task in older.filter(|task| task.peer == peer && task.state == TaskState::Released) {
            task.overtaken += 1;
            if task.overtaken >= OVERTAKEN {
                task.state = TaskState::Cancelled;
            }
        }
    }

    /// Ends frames whose missing tiles nobody is left to trace.
    pub(crate) fn end_hopeless_frames(&mut self) {
        let given_up = |peer: &&Peer| peer.is_given_up_at().is_some_and(|at| at <= self.now);
        let given_up: Vec<PeerId> = self.peers.values().filter(given_up).map(|peer| peer.id).collect();
        let is_hopeless = |frame: &Frame| {
            let is_awaited = |task: &Task| {
                let cell = task.cell.and_then(|cell| frame.cells.get(cell)).is_some_and(|cell| !cell.is_done);
                let is_going = task.state != TaskState::Cancelled && !given_up.contains(&task.peer);
                task.serial == frame.serial && is_going && cell
            };
            !self.tasks.values().any(is_awaited)
        };
        let hopeless: Vec<u64> = self.frames.iter().filter(|f| is_hopeless(f)).map(|frame| frame.serial).collect();
        for serial in hopeless {
            if let Some(index) = self.frames.iter().position(|frame| frame.serial == serial) {
                self.expire(index, ExpiryCause::NobodyLeft);
            }
        }
    }

    /// Notes tiles that were due, and who is suspect for them.
    pub(crate) fn note_missed_tiles(&mut self) {
        let due = |task: &Task| task.is_outstanding() && task.due <= self.now;
        let missed: Vec<TaskId> = self.tasks.iter().filter(|(_, task)| due(task)).map(|(id, _)| *id).collect();
        for id in missed {
            let head = self.tasks.get(&id).and_then(|task| self.outstanding(task.peer).next()).map(|head| head.0);
            let Some(task) = self.tasks.get(&id).filter(|task| task.is_outstanding()).cloned() else { continue };
            let is_head = head == Some(id);
            let until = self.patience_with(&task, is_head).filter(|until| *until > self.now);
            // Who answers others and never this one has lost it.
            if let Some(until) = until.filter(|_| !is_head || !task.is_extended) {
                let task = self.tasks.get_mut(&id).expect("it was found above");
                (task.due, task.is_extended) = (until, is_head);
                continue;
            }
            let Some(peer) = self.peers.get_mut(&task.peer) else { continue };
            let waited = self.now.since(task.assigned);
            if is_head && self.is_calibrated {
                peer.speed.raise(peer.busy_ns(&task, self.now), task.units);
            }
            if peer.state == PeerState::Draining {
                self.cancel(vec![id]);
                continue;
            }
            peer.missed += 1;
            peer.note_miss();
            peer.missed_in_a_row = peer.missed_in_a_row.saturating_add(1);
            peer.held = 0;
            let is_fault = peer.state != PeerState::Ready || peer.missed_in_a_row >= self.config.suspect_after_missed;
            let is_at_it = is_head && self.released(task.peer) < TILES_AT_ONCE;
            match self.tasks.get_mut(&id).filter(|_| is_at_it) {
                // It may be at it for longer than anybody thought: then its answer tells how long.
                Some(task) => task.state = TaskState::Released,
                None => self.cancel(vec![id]),
            }
            if is_fault {
                self.fault(task.peer, ChangeCause::MissedDeadline { task: id, waited }, waited);
            }
        }
        self.end_hopeless_frames();
    }

    /// Until when a tile that is due may still come from a peer that is well: the tile before it took longer than was thought, or may
    /// yet.
    fn patience_with(&self, task: &Task, is_head: bool) -> Option<Time> {
        let (_, head) = self.outstanding(task.peer).next()?;
        let head_until = self.peers.get(&task.peer)?.may_have_begun(head) + head.patience;
        if is_head { Some(head_until) } else { (head_until > self.now).then(|| head_until + task.patience) }
    }

    pub(crate) fn count_refusal(&mut self, peer: PeerId, refusal: Refusal) {
        let config = &self.config;
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.refused += 1;
        known.note_sign(self.now);
        known.refused_in_a_row = known.refused_in_a_row.saturating_add(1);
        let in_a_row = known.refused_in_a_row;
        let enough = match refusal {
            Refusal::Other | Refusal::OutOfMemory => config.suspect_after_refused,
            Refusal::DeviceLost => 1,
            Refusal::NoRoom => config.suspect_after_refused.saturating_mul(MORE_WITHOUT_ROOM),
        };
        let cause = ChangeCause::Refused { in_a_row, refusal };
        if refusal != Refusal::NoRoom {
            known.last_done = self.now;
            known.held = 0;
        } else if known.state != PeerState::Ready {
            // It is as it was.
            return known.probe_later(config.probe_interval_max, config.probe_interval_max, self.now);
        }
        if in_a_row >= enough || known.state != PeerState::Ready {
            self.fault(peer, cause, self.config.probe_interval_max);
        }
    }

    pub(crate) fn count_corrupt(&mut self, peer: PeerId, cause: ChangeCause) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.corrupt += 1;
        known.note_sign(self.now);
        known.last_done = self.now;
        known.held = 0;
        self.fault(peer, cause, self.config.probe_interval_max);
    }

    /// Takes back all that a lost peer has and gives it to others.
    pub(crate) fn drop_tasks_of(&mut self, peer: PeerId) {
        let gone: Vec<TaskId> = self.tasks.iter().filter(|(_, task)| task.peer == peer).map(|(id, _)| *id).collect();
        let gone: Vec<Task> = gone.iter().filter_map(|id| self.tasks.remove(id)).collect();
        for task in gone.iter().filter(|task| task.state != TaskState::Cancelled) {
            self.reassign(task);
        }
        self.end_hopeless_frames();
    }

    /// A peer does not do a task, and it is forgotten: another does, if it can make the deadline.
    pub(crate) fn take_over(&mut self, task: &Task) {
        if task.state != TaskState::Cancelled {
            self.reassign(task);
        }
        self.end_hopeless_frames();
    }

    /// True when some frame waits for this task's pixels.
    pub(crate) fn is_awaited(&self, task: &Task) -> bool {
        let frame = self.frames.iter().find(|frame| frame.serial == task.serial);
        frame.zip(task.cell).and_then(|(frame, cell)| frame.cells.get(cell)).is_some_and(|cell| !cell.is_done)
    }

    /// Lets another peer do what one does not: true when one can in time, or has it already.
    pub(crate) fn reassign(&mut self, task: &Task) -> bool {
        let has_it = |other: &Task| {
            let is_same = other.serial == task.serial && other.cell == task.cell;
            is_same && other.is_outstanding() && other.peer != task.peer
        };
        self.is_awaited(task) && (self.tasks.values().any(has_it) || self.replace(task).is_some())
    }

    /// Gives a task's cell to the peer that is predicted to finish it first, if that is in time; peers on standby count where no other
    /// is ready. The new task.
    pub(crate) fn replace(&mut self, task: &Task) -> Option<TaskId> {
        let index = self.frames.iter().position(|frame| frame.serial == task.serial)?;
        let frame = &self.frames[index];
        let cell = task.cell.filter(|cell| frame.cells.get(*cell).is_some_and(|cell| !cell.is_done))?;
        let queues = self.queues(frame.deadline);
        let down_bytes = self.group(task.group).answer_bytes.mean() * task.ghost_rect.pixels() as f64;
        let finish = |peer: PeerId| {
            let known = &self.peers[&peer];
            let queue = queues.get(&peer).copied().unwrap_or(0.0);
            let transfer = known.link.transfer_ns((task.up_bytes, down_bytes));
            known.turnaround_ns(queue, known.speed.service_ns(task.units), transfer)
        };
        let is_able = |peer: &&Peer| {
            let is_other = peer.id != task.peer && peer.state == PeerState::Ready;
            is_other && frame.may_be_traced_by(peer)
        };
        let (standby, at_work): (Vec<&Peer>, Vec<&Peer>) =
            self.peers.values().filter(is_able).partition(|peer| peer.prior.is_standby);
        let able = if at_work.is_empty() { standby } else { at_work };
        let best = able.into_iter().map(|peer| peer.id).min_by(|a, b| finish(*a).total_cmp(&finish(*b)));
        let in_time = |peer: &PeerId| self.now.plus_ns(finish(*peer)) + self.config.reassign_margin <= frame.deadline;
        let peer = best.filter(in_time)?;
        let queue = queues.get(&peer).copied();
        let rect = frame.cells[cell].rect;
        let frame = frame.clone();
        let tile = self.assign(&frame, Some(cell), rect, (task.units, task.map_variance), peer, queue);
        self.frames[index].cells[cell].latest = tile.task;
        Some(tile.task)
    }

    /// Gives overdue tiles to a second peer, within the budget of extra work.
    pub(crate) fn assign_backups(&mut self) {
        let overdue = |task: &Task| task.is_outstanding() && task.hedge_at.is_some_and(|at| at <= self.now);
        let overdue: Vec<TaskId> = self.tasks.iter().filter(|(_, task)| overdue(task)).map(|(id, _)| *id).collect();
        for id in overdue {
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            task.hedge_at = None;
            let task = task.clone();
            let extra = self.hedged_ns + task.predicted_ns;
            if extra > f64::from(self.config.hedge_budget) * self.assigned_ns {
                continue;
            }
            if let Some(backup) = self.replace(&task).and_then(|backup| self.tasks.get_mut(&backup)) {
                // A backup has no backup.
                backup.hedge_at = None;
                self.hedged_ns = extra;
            }
        }
    }

    pub(crate) fn cancel(&mut self, tasks: Vec<TaskId>) {
        let mut by_peer: BTreeMap<PeerId, Vec<TaskId>> = BTreeMap::new();
        for id in tasks {
            if let Some(task) = self.tasks.get_mut(&id).filter(|task| task.state != TaskState::Cancelled) {
                task.state = TaskState::Cancelled;
                by_peer.entry(task.peer).or_default().push(id);
            }
        }
        by_peer.into_iter().for_each(|(peer, tasks)| self.push(Action::Cancel { peer, tasks }));
    }

    /// A frame ends; nobody was at these of its tasks.
    fn finish_expired(&mut self, frame: &Frame, passed_over: &[TaskId], cause: ExpiryCause) {
        let group = self.group_mut(frame.group);
        group.lacking = frame.missing().map(|cell| cell.rect).collect();
        for cell in frame.missing().filter(|cell| passed_over.contains(&cell.latest)) {
            group.passed_over.note(frame.extent, cell.rect);
        }
        let missing = frame.missing().map(|cell| cell.latest).collect();
        self.push(Action::FrameExpired { frame_id: frame.id, group: frame.group, missing, cause });
    }
}
