//! One way to make a view's frames: a coordinator, the frames in flight, and the merger's history.

mod ahead;
mod filling;
mod finishing;
mod plan;
mod tasks;
mod tiers;

use ahead::Ahead;
pub(crate) use ahead::{Begun, Foreseen};
pub(crate) use filling::Filled;
use finishing::Finishing;
use tasks::local_task;
pub(crate) use tasks::{MAX_VIEWS, is_local_task};
use tiers::Tiers;

use crate::capture::{MergedSlice, Recorder};
use crate::clock::Clock;
use crate::config::{FrameDesc, ViewDesc};
use crate::director::ArrivedSlice;
use crate::event::{Event, EventQueue};
use crate::fleet::Fleet;
use crate::flight::{Before, Flight, FlightPlanes, FlightTile, LateTiles, Request};
use crate::merge_thread::Merge;
use crate::merging::{Finished, Part};
use crate::output::{Output, StageTimes};
use crate::overlay::CostMaps;
use crate::revisions::{Resolved, Revisions};
use crate::timeline::Timeline;
use crate::verify::Verifier;
use rayloom_coordinator::{
    Action, ChangeCause, Config, Constraints, Coordinator, ExpiryCause, Flaw, PeerChange, PeerId, PeerPrior, PeerState,
    PeerView, Refusal, TaskId, TileReport, Time,
};
use rayloom_frame::merge::LATE_FRAMES;
use rayloom_frame::{GBuffer, Rect};
use rayloom_wire::{CancelTasks, Message, TaskRefusal, TaskRefused, TileDone, limits};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Counters of what went wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Misses {
    pub(crate) late_tiles: u64,
    pub(crate) missing_tiles: u64,
}

/// Frames of the view that another pipeline made since this one's last.
#[derive(Clone, Copy, Debug, Default)]
struct Skipped {
    any: bool,
    cut: bool,
}

/// What a pipeline is made with.
#[derive(Clone)]
pub(crate) struct PipelineDesc {
    pub(crate) view: u16,
    /// Distinguishes the tasks of a view's two pipelines.
    pub(crate) is_local: bool,
    pub(crate) lossless: bool,
    pub(crate) clock: Clock,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) timeline: Option<Arc<Timeline>>,
    /// See [`crate::SessionDesc::inserted`].
    pub(crate) inserted: StageTimes,
}

/// What a pipeline makes a frame with.
#[derive(Default)]
pub(crate) struct Start {
    /// The scene's state; without one nobody can trace it.
    pub(crate) state: Option<Resolved>,
    /// What it came to before, where it is made again.
    pub(crate) prescribed: Option<Prescribed>,
    /// See [`Flight::is_surely_shown`].
    pub(crate) is_surely_shown: bool,
}

/// What a frame consisted of, and is to consist of again.
pub(crate) struct Prescribed {
    pub(crate) tiles: Vec<Rect>,
    pub(crate) merged: BTreeSet<MergedSlice>,
}

/// How a frame is planned.
#[derive(Default)]
struct How {
    /// The tiles and slices that a frame had which is made again.
    cut: Option<Vec<Rect>>,
    prescribed: Option<BTreeSet<MergedSlice>>,
    /// See [`Flight::is_exact`] and [`Flight::is_surely_shown`].
    is_exact: bool,
    is_surely_shown: bool,
    begun_ns: u64,
    /// How long before its own begin it is asked for.
    ahead: Duration,
}

/// A peer of a pipeline.
struct Member {
    /// It is what the view asks for, and stays.
    may_be_asked: bool,
    /// See [`PeerPrior::is_standby`].
    is_standby: bool,
}

/// See the file's head.
pub(crate) struct Pipeline {
    desc: PipelineDesc,
    view: ViewDesc,
    coordinator: Coordinator,
    members: BTreeMap<PeerId, Member>,
    merge: Merge,
    /// Tiles and milliseconds of each peer in the last finished frame.
    work: BTreeMap<PeerId, (u32, f32)>,
    flights: VecDeque<Flight>,
    /// Of frames that are out, the latest.
    late: VecDeque<LateTiles>,
    /// Frames that the engine has not begun.
    ahead: Ahead,
    /// What the coordinator will call the next frame that is asked for.
    next_number: u64,
    tiers: Tiers,
    /// What the last frame was predicted to take until all of it is there.
    predicted: Option<Duration>,
    last: Option<Before>,
    skipped: Skipped,
    keeps_costs: bool,
    /// What the engine's planes took, coded, of late.
    plane_bytes_per_px: f32,
    /// What finding out the cost of the frame that is being planned has taken so far.
    analysing_ns: u64,
    finishing: Finishing,
    /// What was last told of peers that may not trace the view.
    untraceable: Option<ExpiryCause>,
    pub(crate) misses: Misses,
    pub(crate) filled: Filled,
}

impl Pipeline {
    pub(crate) fn new(desc: PipelineDesc, view: ViewDesc, merge: Merge) -> Pipeline {
        let default = Config::default();
        let config = Config {
            tiles_per_peer: view.tiles_per_peer.0..=view.tiles_per_peer.1,
            // Whoever asks for several tiles a peer gets them, whatever the ghost zones cost.
            max_split_overhead: if view.tiles_per_peer.0 > 1 { f32::MAX } else { default.max_split_overhead },
            max_frames_in_flight: 8 + usize::from(view.frames_ahead),
            ..default
        };
        Pipeline {
            desc,
            view,
            coordinator: Coordinator::new(config),
            members: BTreeMap::new(),
            merge,
            work: BTreeMap::new(),
            flights: VecDeque::new(),
            late: VecDeque::new(),
            ahead: Ahead::default(),
            next_number: 0,
            tiers: Tiers::default(),
            predicted: None,
            last: None,
            skipped: Skipped::default(),
            keeps_costs: false,
            plane_bytes_per_px: 0.0,
            analysing_ns: 0,
            finishing: Finishing::default(),
            untraceable: None,
            misses: Misses::default(),
            filled: Filled::default(),
        }
    }

    /// From the next frame on outputs say what blocks cost, or no longer.
    pub(crate) fn keep_costs(&mut self, keeps: bool) {
        self.keeps_costs = keeps;
    }

    pub(crate) fn has(&self, peer: PeerId) -> bool {
        self.members.contains_key(&peer)
    }

    /// The newest state at or before `revision` that can be traced by whoever would be asked: a newer one that only a peer on standby
    /// holds does not bring that one in.
    pub(crate) fn resolve(&self, revision: u64, revisions: &Revisions) -> Option<Resolved> {
        let may_ask = |peer: PeerId| self.members.get(&peer).filter(|member| member.may_be_asked);
        let at_work = |peer| may_ask(peer).is_some_and(|m| !m.is_standby) && self.coordinator.is_ready(peer);
        let standby = |peer| may_ask(peer).is_some_and(|m| m.is_standby);
        let resolve = |usable: &dyn Fn(PeerId) -> bool| revisions.resolve(revision, usable);
        let of_asked =
            resolve(&at_work).or_else(|| resolve(&standby)).or_else(|| resolve(&|peer| may_ask(peer).is_some()));
        // Peers that hold the scene and may not trace it are told of, by who plans.
        of_asked.or_else(|| resolve(&|peer| self.has(peer)))
    }

    pub(crate) fn constraints(&self) -> Constraints {
        self.view.constraints.into()
    }

    pub(crate) fn peer_joined(&mut self, peer: PeerId, prior: PeerPrior, now: Time) {
        let may_be_asked = self.constraints().unmet(&prior.traits).is_none();
        let member = Member { may_be_asked, is_standby: prior.is_standby };
        if self.members.insert(peer, member).is_none() {
            self.coordinator.peer_joined(peer, prior, now);
        }
    }

    pub(crate) fn peer_ready(&mut self, peer: PeerId, scene: u32, revision: u64, now: Time) {
        if self.has(peer) {
            self.coordinator.peer_ready(peer, scene, revision, now);
        }
    }

    pub(crate) fn peer_draining(&mut self, peer: PeerId, now: Time) {
        if let Some(member) = self.members.get_mut(&peer) {
            member.may_be_asked = false;
            self.coordinator.peer_draining(peer, now);
        }
    }

    pub(crate) fn peer_lied(&mut self, peer: PeerId, now: Time) {
        if self.has(peer) {
            self.coordinator.peer_lied(peer, now);
        }
    }

    /// True while a tile of the peer is waited for.
    pub(crate) fn is_asked(&self, peer: PeerId) -> bool {
        self.coordinator.peers().any(|view| view.id == peer && view.queue > 0)
    }

    pub(crate) fn peer_lost(&mut self, peer: PeerId, now: Time) {
        if self.members.remove(&peer).is_some() {
            self.give_up(|tile| tile.peer == peer);
            self.coordinator.peer_lost(peer, now);
        }
    }

    /// Nobody waits for these tiles any more.
    fn give_up(&mut self, is_lost: impl Fn(&FlightTile) -> bool) {
        let late = self.late.iter_mut().flat_map(|late| &mut late.tiles);
        let flights = self.flights.iter_mut().chain(self.ahead.flights_mut());
        let asked = flights.flat_map(|flight| &mut flight.tiles).chain(late);
        asked.filter(|tile| is_lost(tile)).for_each(|tile| tile.is_given_up = true);
    }

    pub(crate) fn link_measured(&mut self, peer: PeerId, rtt: Duration, now: Time) {
        if self.has(peer) {
            self.coordinator.link_measured(peer, rtt, now);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.coordinator.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.coordinator.handle_timeout(now);
    }

    /// The view made a frame without this pipeline.
    pub(crate) fn skip_frame(&mut self, cut: bool) {
        self.skipped = Skipped { any: true, cut: self.skipped.cut || cut };
        self.drop_all_ahead(self.desc.clock.now());
        if self.flights.is_empty() {
            // No frame is made for now: no peer works.
            self.work.clear();
        }
    }

    /// Tells every peer to drop the tiles that are still asked of it.
    pub(crate) fn cancel(&mut self, fleet: &mut Fleet) {
        let mut open: BTreeMap<PeerId, Vec<u64>> = BTreeMap::new();
        let late = self.late.iter().flat_map(|late| &late.tiles);
        let flights = self.flights.iter().chain(self.ahead.flights());
        let asked = flights.flat_map(|flight| &flight.tiles).chain(late);
        for tile in asked.filter(|tile| !tile.is_complete()) {
            open.entry(tile.peer).or_default().push(self.global_task(tile.task));
        }
        for (peer, ids) in open {
            for ids in ids.chunks(limits::TASKS_PER_MESSAGE) {
                self.send(fleet, peer, &Message::CancelTasks(CancelTasks { ids: ids.to_vec() }));
            }
        }
    }

    pub(crate) fn begin_frame(
        &mut self,
        mut desc: FrameDesc,
        begun_ns: u64,
        planes: Option<Arc<GBuffer>>,
        (start, foreseen): (Start, Option<Foreseen>),
        now: Time,
    ) -> Begun {
        let Start { state, prescribed, is_surely_shown } = start;
        let skipped = std::mem::take(&mut self.skipped);
        desc.cut |= skipped.cut;
        if skipped.any && planes.is_none() {
            // It is the camera of a frame that this pipeline's history has not seen. Planes lead there all the same.
            desc.previous_camera = None;
        }
        // Whoever makes a frame again or compares it counts on what was asked for.
        let is_exact = self.desc.recorder.is_some() || prescribed.is_some() || is_surely_shown;
        let foreseen = foreseen.filter(|_| !is_exact && planes.is_none());
        let this = Before { frame_id: desc.frame_id, is_ahead: false, camera: desc.camera, state: state.clone() };
        // Of another scene nothing is told: its peers may be others.
        let scene = |state: &Option<Resolved>| state.as_ref().map(|state| state.scene);
        let before = self.last.replace(this).filter(|before| scene(&before.state) == scene(&state));
        let next = foreseen.map(|foreseen| self.as_foreseen(&desc, state.as_ref(), before.as_ref(), foreseen));
        let (taken, was_asked) = self.take_ahead(&desc, state.as_ref(), now);
        let begun = match taken {
            Some(mut flight) => {
                flight.is_guess = !ahead::is_exact(&flight, &desc, state.as_ref());
                flight.desc = desc;
                // It was analysed and planned ahead.
                flight.analysing_ns = 0;
                (flight.begun_ns, flight.taken_ns, flight.planned_ns) = (begun_ns, now.0, self.desc.clock.now_ns());
                let deadline = flight.request.groups.first().map_or(Duration::ZERO, |group| group.deadline);
                let due = Time(begun_ns) + self.finishing.time_for_tiles(deadline);
                let number = flight.number;
                self.flights.push_back(flight);
                self.coordinator.set_deadline(number, 0, due, now);
                Begun::AsForeseen
            }
            None => {
                let planes = planes.map(FlightPlanes::new);
                let (cut, prescribed) = prescribed.map(|Prescribed { tiles, merged }| (tiles, merged)).unzip();
                let groups = Vec::new();
                let request = Request { desc, is_ahead: false, groups, state, planes, before, first_place: None };
                let how = How { cut, prescribed, is_exact, is_surely_shown, begun_ns, ahead: Duration::ZERO };
                let flight = self.plan(request, how, now);
                self.flights.push_back(flight);
                if was_asked { Begun::Anew } else { Begun::AsItIs }
            }
        };
        if let (Some(request), Some(Foreseen { frames, after, .. })) = (next, foreseen) {
            let how = How { begun_ns, ahead: after, ..How::default() };
            let flight = self.plan(request, how, now);
            self.ahead.add(frames, flight);
        }
        self.open_oldest();
        begun
    }

    /// The view's thread has the oldest frame in flight open, and takes what has arrived of it before.
    fn open_oldest(&mut self) {
        let Some(flight) = self.flights.front_mut().filter(|flight| !flight.is_open) else { return };
        flight.is_open = true;
        let deadline = flight.request.groups.first().map_or(Duration::ZERO, |group| group.deadline);
        let due_ns = flight.begun_ns + self.finishing.time_for_tiles(deadline).as_nanos() as u64;
        self.merge.open(flight.opening(due_ns));
        let frame_id = flight.desc.frame_id;
        for tile in &mut flight.tiles {
            for slice in tile.take_waiting() {
                if let Some(place) = tile.place {
                    self.merge.add(Part { frame_id, tile: place, peer: tile.peer, slice });
                }
            }
        }
    }

    pub(crate) fn slice(&mut self, peer: PeerId, slice: ArrivedSlice, now: Time) {
        let task = local_task(slice.task);
        let now_ns = self.desc.clock.now_ns();
        let Some((tile, frame_id, turn)) = find(&mut self.flights, &mut self.ahead, &mut self.late, task) else {
            return;
        };
        if tile.peer != peer {
            tracing::warn!("peer {} sent pixels of a task of peer {}", peer.0, tile.peer.0);
            return;
        }
        if !tile.arrives(&slice) {
            return;
        }
        tile.touched(now_ns);
        self.coordinator.peer_heard(peer, now);
        // The oldest frame is open, and what comes of those before it counts too; what comes of later ones waits for its turn.
        match (turn, tile.place) {
            (Turn::Waits, _) => tile.wait(slice.decoded),
            (Turn::Open | Turn::Late, Some(place)) => {
                self.merge.add(Part { frame_id, tile: place, peer, slice: slice.decoded });
            }
            (Turn::Open | Turn::Late, None) | (Turn::Over, _) => {}
        }
        self.report_if_complete(task, None, now);
    }

    pub(crate) fn tile_done(&mut self, peer: PeerId, done: TileDone, arrived_ns: u64, offset_ns: i64, now: Time) {
        let task = local_task(done.task);
        match find(&mut self.flights, &mut self.ahead, &mut self.late, task) {
            Some((tile, _, turn)) if tile.peer == peer => {
                tile.done(&done, arrived_ns, offset_ns);
                let is_late = tile.group == 0 && matches!(turn, Turn::Late | Turn::Over);
                self.misses.late_tiles += u64::from(is_late && !tile.is_part);
                self.report_if_complete(task, Some(done), now);
            }
            Some((tile, ..)) => tracing::warn!("peer {} answered a task of peer {}", peer.0, tile.peer.0),
            None if self.coordinator.task_peer(task) != Some(peer) => {}
            None => {
                // The frame is out. What the tile cost is still worth knowing.
                self.misses.late_tiles += 1;
                let service_ns = done.timings.encoded_ns.saturating_sub(done.timings.started_ns);
                let report = TileReport { block_rays: &done.block_rays, ..TileReport::new(service_ns, done.rect) };
                self.coordinator.tile_done(task, report, now);
            }
        }
    }

    fn report_if_complete(&mut self, task: TaskId, done: Option<TileDone>, now: Time) {
        let Some((tile, ..)) = find(&mut self.flights, &mut self.ahead, &mut self.late, task) else { return };
        if let Some(done) = done {
            tile.block_rays = done.block_rays;
        }
        if tile.is_complete() {
            if tile.is_part {
                self.filled.parts += 1;
                self.filled.pixels += tile.rect.pixels() as u64;
            }
            self.coordinator.tile_done(task, tile.report(), now);
        }
    }

    pub(crate) fn tile_refused(&mut self, peer: PeerId, refused: &TaskRefused, now: Time) {
        let task = local_task(refused.task);
        if self.coordinator.task_peer(task) == Some(peer) {
            let refusal = match refused.lacks {
                TaskRefusal::Other => Refusal::Other,
                TaskRefusal::Memory => Refusal::OutOfMemory,
                TaskRefusal::Device => Refusal::DeviceLost,
                TaskRefusal::Room => Refusal::NoRoom,
            };
            self.coordinator.tile_refused(task, refusal, now);
            self.give_up(|tile| tile.task == task);
        }
    }

    /// An answer that can't be used.
    pub(crate) fn tile_corrupt(&mut self, peer: PeerId, task: u64, flaw: Flaw, now: Time) {
        let task = local_task(task);
        if self.coordinator.task_peer(task) == Some(peer) {
            self.coordinator.tile_corrupt(task, flaw, now);
            self.give_up(|tile| tile.task == task);
        }
    }

    /// Carries out the coordinator's decisions.
    pub(crate) fn act(&mut self, fleet: &mut Fleet, verifier: &mut Verifier, events: &EventQueue) {
        while let Some(action) = self.coordinator.poll_action() {
            match action {
                Action::Assign { peer, frame_id: number, group, left, tiles } => {
                    self.assign(peer, (number, group, left), &tiles, fleet, verifier);
                }
                Action::Cancel { peer, tasks } => {
                    self.give_up(|tile| tasks.contains(&tile.task));
                    let ids = tasks.into_iter().map(|task| self.global_task(task)).collect();
                    self.send(fleet, peer, &Message::CancelTasks(CancelTasks { ids }));
                }
                // The frame goes out with what is due with it.
                Action::FrameComplete { frame_id: number, group: 0 } => {
                    self.untraceable = None;
                    self.end(number);
                }
                Action::FrameComplete { .. } => {}
                Action::FrameExpired { frame_id: number, group, missing, cause } => {
                    // What was only asked ahead is missing in no frame yet.
                    if cause != ExpiryCause::GivenUp && self.ahead.flights().all(|flight| flight.number != number) {
                        self.misses.missing_tiles += missing.len() as u64;
                    }
                    self.tell_untraceable(cause, events);
                    if group == 0 {
                        self.end(number);
                    }
                }
                Action::PeerChanged(change) => tell_change(&change, fleet, events),
                other => tracing::debug!("nothing to do for {other:?}"),
            }
        }
        self.finish_ended();
    }

    /// Tells once that peers are there which may not trace the view.
    fn tell_untraceable(&mut self, cause: ExpiryCause, events: &EventQueue) {
        if matches!(cause, ExpiryCause::Unmet { .. }) && self.untraceable.replace(cause) != Some(cause) {
            events.push(Event::Untraceable { view: self.desc.view, cause: cause.to_string() });
        }
    }

    /// A frame that is whole is not held up by an older one: that one goes out with what it has.
    fn end(&mut self, number: u64) {
        if let Some(last) = self.flights.iter().position(|flight| flight.number == number) {
            self.flights.iter_mut().take(last + 1).for_each(|flight| flight.ended = true);
        }
        let ahead = self.ahead.flights_mut().find(|flight| flight.number == number);
        ahead.into_iter().for_each(|flight| flight.ended = true);
    }

    /// Remembers what is out, or given up; what counts for nothing any more is forgotten first.
    fn keep_late(&mut self, late: LateTiles) {
        self.late.push_back(late);
        if self.late.len() > LATE_FRAMES {
            let useless = self.late.iter().position(|late| late.is_exact).unwrap_or(0);
            self.late.remove(useless);
        }
    }

    fn finish_ended(&mut self) {
        while self.flights.front().is_some_and(|flight| flight.ended) {
            if let Some(mut flight) = self.flights.pop_front() {
                // Nobody goes on sending what the engine's raster saw, unless something is still due.
                if flight.request.groups.len() < 2
                    && let Some(planes) = &flight.request.planes
                {
                    planes.wanted.store(false, Ordering::Relaxed);
                }
                let late = flight.take_late();
                self.keep_late(late);
                flight.ended_ns = self.desc.clock.now_ns();
                self.merge.finish(flight);
                self.open_oldest();
            }
        }
        // A frame of which nothing more comes is let go, and with it what the engine's raster saw.
        for late in &mut self.late {
            late.tiles.retain(FlightTile::is_awaited);
        }
        self.late.retain(|late| !late.tiles.is_empty());
    }

    /// Frames that were made since, oldest first; without an output where a newer one was ready to be shown. What is unknown in the newest
    /// is asked of the embedded peer, if that has nothing to do.
    pub(crate) fn finished(&mut self, embedded_is_free: bool) -> Vec<(u64, Option<Output>)> {
        let mut unknown = None;
        let mut frames = Vec::new();
        for (mut flight, finished) in self.merge.finished() {
            let Finished { mut output, record, unknown: parts } = finished;
            if let (Some(recorder), Some(record)) = (&self.desc.recorder, record) {
                recorder.made(record);
            }
            if output.is_some() {
                let took = Duration::from_nanos(self.desc.clock.now_ns().saturating_sub(flight.ended_ns));
                if self.finishing.note(took) {
                    self.leave_more_time();
                }
            }
            self.work.clear();
            for tile in flight.outcomes().iter().filter(|tile| tile.arrived) {
                let work = self.work.entry(PeerId(tile.peer)).or_default();
                work.0 += 1;
                work.1 += tile.peer_ms;
            }
            if let (Some(output), Some(predicted)) = (&mut output, flight.predicted_costs.take()) {
                let peers: Vec<PeerView> = self.coordinator.peers().collect();
                output.costs = Some(CostMaps::measured(predicted, &flight, self.view.size, &peers));
            }
            if let (Some(timeline), Some(output)) = (&self.desc.timeline, &output) {
                timeline.add(self.desc.view, &flight, output);
            }
            frames.push((flight.desc.frame_id, output));
            unknown = Some((flight, parts)).filter(|(_, parts)| !parts.is_empty());
        }
        if let Some((flight, parts)) = unknown.filter(|_| embedded_is_free) {
            self.fill(&flight, &parts, self.desc.clock.now());
        }
        frames
    }

    /// Finishing takes longer than when the frames in flight were begun: their tiles are waited for that much less.
    fn leave_more_time(&mut self) {
        let now = self.desc.clock.now();
        for flight in self.flights.iter().filter(|flight| !flight.ended) {
            let deadline = flight.request.groups.first().map_or(Duration::ZERO, |group| group.deadline);
            let due = Time(flight.begun_ns) + self.finishing.time_for_tiles(deadline);
            self.coordinator.set_deadline(flight.number, 0, due, now);
        }
    }

    /// Tiles and milliseconds of a peer in the last finished frame.
    pub(crate) fn work_of(&self, peer: PeerId) -> (u32, f32) {
        self.work.get(&peer).copied().unwrap_or_default()
    }
}

/// What becomes of a frame's slices.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Its frame is not open yet.
    Waits,
    Open,
    /// Its frame is out: what comes counts in the next one.
    Late,
    /// Its frame is out, and what comes does not count.
    Over,
}

/// A tile that was asked for, and its frame.
fn find<'a>(
    flights: &'a mut VecDeque<Flight>,
    ahead: &'a mut Ahead,
    late: &'a mut VecDeque<LateTiles>,
    task: TaskId,
) -> Option<(&'a mut FlightTile, u64, Turn)> {
    let flights = flights.iter_mut().enumerate();
    let turn = |index| if index > 0 { Turn::Waits } else { Turn::Open };
    let asked = flights.map(|(index, flight)| (&mut flight.tiles, flight.desc.frame_id, turn(index)));
    let ahead = ahead.flights_mut().map(|flight| (&mut flight.tiles, flight.desc.frame_id, Turn::Waits));
    let late = late.iter_mut().map(|late| {
        let turn = if late.is_exact { Turn::Over } else { Turn::Late };
        (&mut late.tiles, late.frame_id, turn)
    });
    asked.chain(ahead).chain(late).find_map(|(tiles, frame_id, turn)| {
        tiles.iter_mut().find(|tile| tile.task == task).map(|tile| (tile, frame_id, turn))
    })
}

/// Tells the engine of a peer that fails or holds again; whether it is connected it learns from the link, and of one that lied
/// or leaves from the session.
fn tell_change(change: &PeerChange, fleet: &Fleet, events: &EventQueue) {
    let peer = change.peer.0;
    match change.to {
        PeerState::Blocked if change.cause == ChangeCause::Lied => {}
        PeerState::Suspect if change.from == PeerState::Ready => {
            let cause = format!("{}: {}", fleet.description(change.peer), change.cause);
            events.push(Event::PeerSuspect { peer, cause });
        }
        PeerState::Blocked => {
            let pause = match change.pause {
                Duration::MAX => "for good".into(),
                pause => format!("for {:.0} s", pause.as_secs_f64()),
            };
            let cause = format!("{}: {}; it is left alone {pause}", fleet.description(change.peer), change.cause);
            events.push(Event::PeerSuspect { peer, cause });
        }
        PeerState::Ready if change.from != PeerState::Joining => events.push(Event::PeerRecovered { peer }),
        _ => {}
    }
}
