//! Planning a frame: who may take part, how much is traced, and the tasks that follow from its cut.

use crate::coordinator::{Coordinator, Group};
use crate::flight::{Cell, Frame, Task, TaskState};
use crate::layout::{LONGEST_INTERVAL, LastPlan, Layout, hand_out};
use crate::peer::{LONGEST_SILENCE, Peer};
use crate::quality::{Lowering, Prediction, steps, typical};
use crate::share::{Candidate, Demand, Previous, choose};
use crate::split::Ground;
use crate::work_map::KNOWN_VARIANCE;
use crate::work_sum::WorkSum;
use crate::{
    Action, ExpiryCause, FramePlan, FrameRequest, GROUPS, PeerId, PeerState, PlannedTile, Requirement, TileAssignment,
    Time,
};
use rayloom_frame::{Extent, LayerRequest, Rect};
use rayloom_wire::limits;
use std::time::Duration;

/// Bytes of a task beside the engine's planes: about what a frame's state and a tile take.
const TASK_BYTES: f64 = 1000.0;
/// What any tile may be late, however short it is.
const SLACK_NS: f64 = 5e6;
/// What a task can say.
pub(crate) const GHOST_PX: u32 = u8::MAX as u32;

impl Coordinator {
    /// Cuts a frame and assigns its tiles. Without a peer that holds the revision the plan is empty and the frame
    /// expires at once; so it does where all of these are given up as silent, but they are asked. A frame id that is in flight already gives an empty plan and changes nothing.
    pub fn begin_frame(&mut self, frame: FrameRequest, now: Time) -> FramePlan {
        self.begin(frame, None, now)
    }

    /// Begins a frame that is made again: its tiles are those of `cut`, which cover the view once. Which peer traces which is
    /// chosen as ever. Without tiles the frame expires at once.
    pub fn begin_frame_as_cut(&mut self, frame: FrameRequest, cut: &[Rect], now: Time) -> FramePlan {
        self.begin(frame, Some(cut), now)
    }

    fn begin(&mut self, mut frame: FrameRequest, cut: Option<&[Rect]>, now: Time) -> FramePlan {
        self.advance(now);
        self.end_pauses();
        frame.deadline = self.time_in_here(frame.deadline);
        let (frame_id, group) = (frame.frame_id, frame.group);
        if self.frames.iter().any(|flying| (flying.id, flying.group) == (frame_id, group)) {
            return FramePlan::default();
        }
        if usize::from(group) >= GROUPS {
            let cause = ExpiryCause::NothingToTrace;
            self.push(Action::FrameExpired { frame_id, group, missing: Vec::new(), cause });
            return FramePlan::default();
        }
        let is_in_group = |frame: &&Frame| frame.group == group;
        while self.frames.iter().filter(is_in_group).count() >= self.config.max_frames_in_flight {
            let oldest = self.frames.iter().position(|frame| frame.group == group);
            self.expire(oldest.expect("some were counted"), ExpiryCause::TooManyInFlight);
        }
        if frame.extent.width == 0 || frame.extent.height == 0 {
            self.push(Action::FrameComplete { frame_id, group });
            return FramePlan::default();
        }
        self.forget_old_tasks();
        self.anchor_unit();
        self.learn_from_overdue_tiles();
        let mut candidates = self.candidates(&frame);
        let has_tiles = cut.is_none_or(|cut| !cut.is_empty());
        let cause = if !has_tiles || frame.extent.width.max(frame.extent.height) > limits::VIEW_SIDE {
            Some(ExpiryCause::NothingToTrace)
        } else {
            candidates.is_empty().then(|| self.why_nobody(&frame))
        };
        if let Some(cause) = cause {
            self.push(Action::FrameExpired { frame_id, group, missing: Vec::new(), cause });
            return FramePlan::default();
        }
        self.guess_group(group);
        let steps = steps(&frame.layers, frame.lowering);
        match self.pending.take().filter(|pending| pending.fits(frame.extent)) {
            Some(mut pending) => {
                if let Some(layers) = steps.get(self.group(group).quality.step()).filter(|_| steps.len() > 1) {
                    pending.layers.clone_from(layers);
                }
                self.foresee_group(group, frame.extent, pending);
            }
            None => self.group_mut(group).map.begin_frame(frame.extent, frame.cost.as_ref()),
        }
        let ghost_px = frame.ghost_px.min(GHOST_PX);
        let is_too_much = cut.is_none() && self.decide_quality(&frame, &candidates, &steps);
        let map = &self.group(group).map;
        let work = WorkSum::new(frame.extent, map.density());
        let doubt = WorkSum::new(frame.extent, &map.doubt());
        let px_per_unit = frame.extent.pixels() as f64 / work.total();
        candidates.iter_mut().for_each(|candidate| candidate.px_per_unit = px_per_unit);
        let min_side_px = self.config.min_tile_side_px;
        let ground = Ground { work: &work, doubt: &doubt, extent: frame.extent, ghost_px, min_side_px };
        let (layout, leaves) = match cut {
            Some(cut) => hand_out(&ground, &candidates, cut),
            None => {
                let fine_cut = self.fine_cut(&frame, is_too_much, work.total(), &candidates);
                let layout = self.lay_out_in_time(&frame, fine_cut, &ground, &candidates);
                let leaves = layout.tree.leaves(frame.extent, ghost_px, limits::BLOCKS_PER_TILE);
                (layout, leaves)
            }
        };
        self.next_serial += 1;
        let mut flying = Frame {
            serial: self.next_serial,
            id: frame_id,
            group,
            scene: frame.scene,
            revision: frame.revision,
            extent: frame.extent,
            ghost_px,
            up_bytes_per_px: up_bytes_per_px(&frame),
            constraints: frame.constraints,
            deadline: frame.deadline,
            cells: Vec::with_capacity(leaves.len()),
        };
        let lowered = self.group(group).quality.step().min(steps.len() - 1);
        let mut plan = FramePlan {
            predicted_ns: layout.finish_ns as u64,
            layers: steps[lowered].clone(),
            lowered: lowered as u32,
            is_too_much,
            ..FramePlan::default()
        };
        self.assign_leaves(&mut flying, &ground, &layout, leaves, &mut plan);
        self.probe_unused_peers(&flying, &ground, &mut plan);
        let traced: usize = plan.tiles.iter().map(|tile| tile.ghost_rect.pixels()).sum();
        plan.ghost_share = traced as f32 / frame.extent.pixels() as f32 - 1.0;
        self.frames.push_back(flying);
        let now = self.now;
        let group = self.group_mut(group);
        let interval_ns = now.since(group.begun).min(LONGEST_INTERVAL).as_nanos() as f64;
        // Of some eight frames.
        group.interval_ns += (interval_ns - group.interval_ns) / 8.0;
        group.begun = now;
        let last = group.last_plan.take();
        group.last_plan = cut.is_none().then(|| LastPlan::new(frame.extent, layout, last));
        self.end_hopeless_frames();
        plan
    }

    /// Gives a tile of a frame to a peer; `queue_ns`: what the peer has already, if anything.
    pub(crate) fn assign(
        &mut self,
        frame: &Frame,
        cell: Option<usize>,
        rect: Rect,
        (units, map_variance): (f64, f64),
        to: PeerId,
        queue_ns: Option<f64>,
    ) -> PlannedTile {
        let now = self.now;
        let ghost_rect = rect.grown(frame.ghost_px, frame.extent);
        let peer = &self.peers[&to];
        let predicted_ns = peer.speed.service_ns(units).min(1e15);
        let p95_ns = peer.speed.p95_ns(units, map_variance).min(1e15);
        let pixels = ghost_rect.pixels() as f64;
        let up_bytes = TASK_BYTES + frame.up_bytes_per_px * pixels;
        let transfer = peer.link.transfer_ns((up_bytes, self.group(frame.group).answer_bytes.mean() * pixels));
        let turnaround_ns = peer.turnaround_ns(queue_ns.unwrap_or(0.0), predicted_ns, transfer);
        // A backup is due when the answer is later than nineteen of twenty would be; at once where the peer's record is bad.
        let late_ns = peer.turnaround_ns(queue_ns.unwrap_or(0.0), p95_ns, transfer).max(1.1 * turnaround_ns)
            + peer.link.spread_ns();
        let hedge_at = if peer.is_unreliable() { now } else { now.plus_ns(late_ns + 1e6) };
        // What is thought to take long is not waited for as much longer: a tile that was lost would hold its peer up.
        let most_ns = self.config.first_tile_grace.as_nanos() as f64;
        let slack = |ns: f64| {
            let longer_ns = (f64::from(self.config.tile_slack) - 1.0) * ns + SLACK_NS;
            Duration::from_nanos((ns + longer_ns.min(most_ns)) as u64)
        };
        let is_known = peer.speed.is_measured() && map_variance < KNOWN_VARIANCE;
        let grace = if is_known { Duration::ZERO } else { self.config.first_tile_grace };
        // What the map says of a place may have been taught by who lies: any place may cost what its own tiles did.
        let own_ns = peer.ns_per_px * pixels;
        let own = |ns: f64| slack(ns).min(self.config.first_tile_grace).max(grace);
        let least = own(turnaround_ns - predicted_ns + own_ns);
        let patience = slack(predicted_ns.max(transfer.1)).max(own(own_ns));
        // Nor is the queue before it: who goes on answering is waited for anyway.
        let thought = slack(turnaround_ns.min(predicted_ns + transfer.1 + most_ns)).max(least);
        // Nobody has to wait for a deadline that is far away to see that a peer is silent.
        let deadline = if is_known { frame.deadline.min(now + LONGEST_SILENCE) } else { frame.deadline };
        let due = deadline.max(now + thought);
        let wants_backup = cell.is_some() && self.config.hedge_budget > 0.0 && is_known;
        let task = self.add_task(Task {
            peer: to,
            serial: frame.serial,
            group: frame.group,
            cell,
            extent: frame.extent,
            ghost_rect,
            units,
            predicted_ns,
            up_bytes,
            up_ns: transfer.0,
            down_ns: transfer.1,
            assigned: now,
            hedge_at: wants_backup.then_some(hedge_at),
            map_variance,
            patience,
            due,
            turn: frame.deadline,
            behind_ns: 0.0,
            is_extended: false,
            overtaken: 0,
            late_looks: 0,
            waited_for_none: queue_ns.is_none(),
            state: TaskState::Outstanding,
        });
        let (predicted_ns, p95_ns) = (predicted_ns as u64, p95_ns as u64);
        let redundant = cell.is_none();
        let tile = TileAssignment { task, rect, ghost_px: frame.ghost_px, predicted_ns, redundant };
        self.push_assignment(to, frame, tile);
        PlannedTile { task, peer: to, rect, ghost_rect, predicted_ns, p95_ns }
    }

    /// Why no peer can be asked.
    fn why_nobody(&self, frame: &FrameRequest) -> ExpiryCause {
        let is_there = |peer: &&Peer| !matches!(peer.state, PeerState::Joining | PeerState::Lost);
        let holders = self.peers.values().filter(is_there).filter(|peer| peer.holds(frame.scene, frame.revision));
        let unmet: Vec<Option<Requirement>> = holders.map(|peer| frame.constraints.unmet(&peer.prior.traits)).collect();
        match unmet.iter().copied().collect::<Option<Vec<Requirement>>>() {
            // One may trace it, and is asked for nothing: it goes, or has lied.
            None => ExpiryCause::NobodyLeft,
            Some(unmet) => match unmet.iter().max() {
                Some(requirement) => ExpiryCause::Unmet { peers: unmet.len() as u32, requirement: *requirement },
                None => ExpiryCause::NotReady,
            },
        }
    }

    /// Ready peers that hold the revision and are what the frame asks for; where there is none, those on standby, then suspect ones,
    /// then those that are blocked, but for liars: there is nothing to lose.
    fn candidates(&self, frame: &FrameRequest) -> Vec<Candidate> {
        let queues = self.queues(frame.deadline);
        let in_state = |state: PeerState, is_standby: bool| -> Vec<Candidate> {
            let able = self.peers.values().filter(|peer| {
                let is_allowed = frame.constraints.unmet(&peer.prior.traits).is_none();
                let is_there = peer.state == state && !peer.blame.is_blocked_for_good();
                let is_wanted = peer.prior.is_standby == is_standby;
                is_wanted && is_there && peer.holds(frame.scene, frame.revision) && is_allowed
            });
            able.map(|peer| Candidate {
                peer: peer.id,
                start_ns: peer.turnaround_ns(queues.get(&peer.id).copied().unwrap_or(0.0), 0.0, (0.0, 0.0)),
                overhead_ns: peer.speed.overhead_ns(),
                ns_per_unit: peer.speed.cautious_ns_per_unit(),
                up_ns_per_px: up_bytes_per_px(frame) * peer.link.up.ns_per_byte(),
                down_ns_per_px: self.group(frame.group).answer_bytes.mean() * peer.link.down.ns_per_byte(),
                px_per_unit: 0.0,
            })
            .collect()
        };
        let ready = in_state(PeerState::Ready, false);
        if ready.is_empty() {
            let states = [PeerState::Ready, PeerState::Suspect, PeerState::Blocked];
            let last_resorts = states.into_iter().flat_map(|state| [(state, true), (state, false)]);
            let found = last_resorts.map(|(state, is_standby)| in_state(state, is_standby));
            return found.into_iter().find(|candidates| !candidates.is_empty()).unwrap_or_default();
        }
        // A link that alone takes longer than there is time is of no use, unless all are like that.
        let (near, far): (Vec<Candidate>, Vec<Candidate>) =
            ready.into_iter().partition(|candidate| self.is_near(candidate.peer, frame.deadline));
        if near.is_empty() { far } else { near }
    }

    /// Lowers or raises what is traced of a group's layers, by when they would be there; true where nothing suffices.
    fn decide_quality(&mut self, frame: &FrameRequest, candidates: &[Candidate], steps: &[Vec<LayerRequest>]) -> bool {
        let is_fixed = frame.lowering == Lowering::Never || frame.layers.is_empty();
        let map = &self.group(frame.group).map;
        // A guess is no reason to trace less.
        if is_fixed || !self.is_calibrated || !map.is_known(frame.extent.rect()) {
            return false;
        }
        let (units, min_side_px) = (map.total(), self.config.min_tile_side_px);
        let px_per_unit = frame.extent.pixels() as f64 / units.max(f64::MIN_POSITIVE);
        let candidates: Vec<Candidate> = candidates.iter().map(|c| Candidate { px_per_unit, ..*c }).collect();
        let demand = Demand { units, extent: frame.extent, ghost_px: frame.ghost_px.min(GHOST_PX), min_side_px };
        let shares = choose(&candidates, &demand, &self.config, &Previous::default());
        let finish_ns = shares.iter().map(|share| share.finish_ns(share.units)).fold(0.0, f64::max);
        let start_ns = shares.iter().map(|share| share.candidate.start_ns).fold(f64::INFINITY, f64::min);
        let left_ns = frame.deadline.ns_since(self.now) as f64;
        let typical: Vec<(f64, f64)> = steps.iter().map(|layers| typical(&self.model, layers)).collect();
        let work: Vec<f64> = typical.iter().map(|typical| typical.1).collect();
        let group = self.group_mut(frame.group);
        let before = group.quality.step().min(steps.len() - 1);
        let predicted = Prediction { start_ns, work_ns: (finish_ns - start_ns).max(0.0), left_ns };
        let is_too_much = group.quality.decide(&work, predicted);
        let step = group.quality.step();
        if step != before {
            let times = |of: fn(&(f64, f64)) -> f64| of(&typical[step]) / of(&typical[before]).max(f64::MIN_POSITIVE);
            group.map.trace(&steps[step], times(|typical| typical.1), times(|typical| typical.0));
        }
        is_too_much
    }

    /// Makes cells and tasks of the leaves; each peer's tiles in the order in which it is to trace them.
    fn assign_leaves(
        &mut self,
        frame: &mut Frame,
        ground: &Ground<'_>,
        layout: &Layout,
        leaves: Vec<(Rect, usize)>,
        plan: &mut FramePlan,
    ) {
        let mut tiles: Vec<(PeerId, Rect)> =
            leaves.into_iter().map(|(rect, slot)| (layout.slots[slot].peer, rect)).collect();
        self.put_in_order(frame, plan.is_too_much, &mut tiles);
        let mut queues = self.queues(frame.deadline);
        if frame.group == 0 {
            self.peers.values_mut().for_each(|peer| peer.share = 0.0);
        }
        for (peer, rect) in tiles {
            let cell = frame.cells.len();
            let tile = self.assign(frame, Some(cell), rect, ground.known(rect), peer, queues.get(&peer).copied());
            let queue = queues.entry(peer).or_insert(0.0);
            let task = &self.tasks[&tile.task];
            *queue = self.peers[&peer].start_ns(*queue, task.up_ns) + task.stage_ns();
            frame.cells.push(Cell { rect, is_done: false, latest: tile.task });
            if let Some(peer) = self.peers.get_mut(&peer).filter(|_| frame.group == 0) {
                peer.share += rect.pixels() as f32 / frame.extent.pixels() as f32;
            }
            plan.tiles.push(tile);
        }
    }

    /// The order in which each peer is to be at its tiles. What was passed over comes first, the longer the sooner: of what is never
    /// done in time all has its turn. Then comes what the last frame lacked, or, where not all can be done, the view's middle: there
    /// edges may be passed over once, and their turn comes half as often.
    fn put_in_order(&mut self, frame: &Frame, is_too_much: bool, tiles: &mut [(PeerId, Rect)]) {
        let Group { lacking, passed_over, .. } = self.group_mut(frame.group);
        let lacked = |rect: Rect| lacking.iter().map(|lack| lack.intersection(rect).pixels()).sum::<usize>() as f64;
        let farthest = f64::from(frame.extent.width).powi(2) + f64::from(frame.extent.height).powi(2);
        // First by the one, then by the other, both from the largest down.
        let mut urgency = |rect: Rect| {
            let off = from_centre(rect, frame.extent) as f64;
            let weight = if is_too_much { 2.0 - (off / farthest).sqrt().min(1.0) } else { 1.0 };
            (
                f64::from(passed_over.most(rect).saturating_sub(is_too_much.into())) * weight,
                if is_too_much { -off } else { lacked(rect) },
            )
        };
        let mut keyed: Vec<_> = tiles.iter().map(|(peer, rect)| (*peer, urgency(*rect), *rect)).collect();
        keyed.sort_by(|(a, (passed, next), _), (b, (other_passed, other_next), _)| {
            a.cmp(b).then(other_passed.total_cmp(passed)).then(other_next.total_cmp(next))
        });
        tiles.iter_mut().zip(keyed).for_each(|(tile, (peer, _, rect))| *tile = (peer, rect));
    }

    /// Gives peers that have nothing to do a small tile that another peer traces too: suspect ones to see whether they
    /// hold, ready ones now and then, since what is believed of a peer that never works could never turn out wrong.
    fn probe_unused_peers(&mut self, frame: &Frame, ground: &Ground<'_>, plan: &mut FramePlan) {
        let is_planned = |peer: PeerId| plan.tiles.iter().any(|tile| tile.peer == peer);
        let due = self.peers.values().filter(|peer| {
            let is_due = match peer.state {
                PeerState::Suspect => peer.next_probe <= self.now,
                PeerState::Ready => self.now.since(peer.last_done) >= self.config.probe_interval_max,
                _ => false,
            };
            is_due && frame.may_be_traced_by(peer) && !is_planned(peer.id)
        });
        let idle: Vec<PeerId> =
            due.map(|peer| peer.id).filter(|peer| self.outstanding(*peer).next().is_none()).collect();
        for peer in idle {
            let tile = plan.tiles[frame.serial as usize % plan.tiles.len()].rect;
            let side = self.config.probe_side_px;
            let (width, height) = (tile.width.min(side), tile.height.min(side));
            let (x, y) = (tile.x + (tile.width - width) / 2, tile.y + (tile.height - height) / 2);
            let rect = Rect::new(x, y, width, height);
            let probe = self.assign(frame, None, rect, ground.known(rect), peer, None);
            plan.probes.push(probe);
        }
    }
}

/// Bytes that tasks bring for a pixel; what makes no sense is none.
fn up_bytes_per_px(frame: &FrameRequest) -> f64 {
    let bytes = f64::from(frame.up_bytes_per_px);
    if bytes > 0.0 { bytes.min(1024.0) } else { 0.0 }
}

/// Square of twice the distance of a rectangle's middle from the view's.
fn from_centre(rect: Rect, extent: Extent) -> u64 {
    let off = |from: u32, length: u32, whole: u32| (2 * u64::from(from) + u64::from(length)).abs_diff(u64::from(whole));
    off(rect.x, rect.width, extent.width).pow(2) + off(rect.y, rect.height, extent.height).pow(2)
}
