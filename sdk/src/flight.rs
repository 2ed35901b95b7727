//! A frame between its begin and its output: which tiles were asked for, what has arrived, and when.

use crate::capture::MergedSlice;
use crate::config::FrameDesc;
use crate::director::ArrivedSlice;
use crate::merging::Opening;
use crate::output::{StageTimes, TileOutcome};
use crate::revisions::Resolved;
use rayloom_coordinator::{PeerId, TaskId, TileAssignment, TileReport};
use rayloom_frame::codec::DecodedSlice;
use rayloom_frame::merge::{PlannedTile, Predicted};
use rayloom_frame::{GBuffer, LayerKind, LayerRequest, PlaneKind, Rect};
use rayloom_scene::Camera;
use rayloom_wire::TileDone;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What is asked of peers for a frame.
pub(crate) struct Request {
    /// The frame as it is traced: ahead of time, from a guess of its camera.
    pub(crate) desc: FrameDesc,
    pub(crate) is_ahead: bool,
    /// What is traced together: first what is due with the frame, then what is due after it.
    pub(crate) groups: Vec<Group>,
    pub(crate) state: Option<Resolved>,
    pub(crate) planes: Option<FlightPlanes>,
    pub(crate) before: Option<Before>,
    /// Parts of a frame that is out are asked for again: their places begin here, behind those of the frame's own tiles.
    pub(crate) first_place: Option<u32>,
}

/// A frame in flight.
pub(crate) struct Flight {
    /// What the coordinator calls it.
    pub(crate) number: u64,
    /// The frame as the engine wants it; what it is traced as until the engine begins it.
    pub(crate) desc: FrameDesc,
    /// What comes is of another camera, or of another state, than the frame's: it is warped.
    pub(crate) is_guess: bool,
    pub(crate) request: Arc<Request>,
    /// By how many steps less is traced than was asked for.
    pub(crate) lowered: u32,
    /// Tasks given out; a tile of the plan has several when it was given to another peer again.
    pub(crate) tiles: Vec<FlightTile>,
    /// All that may become part of it, where it is made again, until it is opened.
    pub(crate) prescribed: Option<BTreeSet<MergedSlice>>,
    /// The view's thread has what it is merged from.
    pub(crate) is_open: bool,
    /// Exactly what was asked for, and nothing that comes late: it is recorded, made again, or compared.
    pub(crate) is_exact: bool,
    /// It is shown even where a newer one is ready: it is compared with another pipeline's, or with what it was before.
    pub(crate) is_surely_shown: bool,
    /// Nothing more is waited for.
    pub(crate) ended: bool,
    /// What a pixel of each block was believed to cost, where that is to be drawn.
    pub(crate) predicted_costs: Option<Vec<f32>>,
    pub(crate) begun_ns: u64,
    pub(crate) taken_ns: u64,
    /// How long it took to find out what its blocks will cost, of the time until it was planned.
    pub(crate) analysing_ns: u64,
    pub(crate) planned_ns: u64,
    /// When nothing more was waited for.
    pub(crate) ended_ns: u64,
}

/// What the engine's raster saw of a frame. Once the frame is out nobody goes on sending it.
pub(crate) struct FlightPlanes {
    pub(crate) gbuffer: Arc<GBuffer>,
    pub(crate) wanted: Arc<AtomicBool>,
}

impl FlightPlanes {
    pub(crate) fn new(gbuffer: Arc<GBuffer>) -> FlightPlanes {
        FlightPlanes { gbuffer, wanted: Arc::new(AtomicBool::new(true)) }
    }
}

impl Drop for FlightPlanes {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
    }
}

/// Layers that are traced together.
pub(crate) struct Group {
    /// Time from the frame's begin to when they are due.
    pub(crate) deadline: Duration,
    /// What is traced of them, in the order in which they were asked for.
    pub(crate) layers: Vec<LayerRequest>,
    /// How the view was cut for them; every pixel belongs to one tile.
    pub(crate) plan: Vec<TilePlan>,
}

/// Tiles of a frame that is out: what comes of them still counts, and some may be given to other peers yet.
pub(crate) struct LateTiles {
    pub(crate) number: u64,
    /// The engine's number.
    pub(crate) frame_id: u64,
    pub(crate) request: Arc<Request>,
    pub(crate) tiles: Vec<FlightTile>,
    /// See [`Flight::is_exact`]: then what comes does not count.
    pub(crate) is_exact: bool,
}

/// A tile of the plan.
pub(crate) struct TilePlan {
    pub(crate) rect: Rect,
    pub(crate) ghost_px: u32,
}

/// The frame begun before another one.
#[derive(Clone)]
pub(crate) struct Before {
    pub(crate) frame_id: u64,
    /// It was foreseen: peers have it as a frame of another view than what is asked for as it is.
    pub(crate) is_ahead: bool,
    pub(crate) camera: Camera,
    pub(crate) state: Option<Resolved>,
}

/// Bytes of a traced pixel with every plane of primary hits and every layer.
const TRACED_BYTES_PER_PIXEL: usize = 4 * PlaneKind::PRIMARY.len() + 8 * LayerKind::ALL.len();

/// A tile of a frame in flight.
#[derive(Clone)]
pub(crate) struct FlightTile {
    pub(crate) task: TaskId,
    pub(crate) peer: PeerId,
    /// Of which group of layers.
    pub(crate) group: u8,
    /// Its place in the plans of all groups, one after the other; none for a redundant probe.
    pub(crate) place: Option<u32>,
    /// A part of a frame that is out, asked for again.
    pub(crate) is_part: bool,
    /// It was cancelled, or its peer is gone: nobody waits for it.
    pub(crate) is_given_up: bool,
    /// Without and with the ghost zone.
    pub(crate) rect: Rect,
    pub(crate) ghost_rect: Rect,
    /// Slices that arrived before their frame's turn.
    waiting: Vec<DecodedSlice>,
    /// Bytes of the slices that arrived, however they wait to be merged.
    arrived_bytes: usize,
    arrivals: Arrivals,
    pub(crate) block_rays: Vec<u32>,
    seen: Vec<bool>,
    arrived: u16,
    expected: Option<u16>,
    done: Option<Done>,
    predicted_ns: u64,
    sent_ns: u64,
}

/// The coded bytes of a tile's slices on the engine's clock.
#[derive(Clone, Default)]
struct Arrivals {
    bytes: u64,
    /// Of the slice that came first.
    first_bytes: u64,
    first_ns: u64,
    last_ns: u64,
}

impl Arrivals {
    fn add(&mut self, bytes: usize, arrived_ns: u64) {
        if self.bytes == 0 {
            (self.first_bytes, self.first_ns) = (bytes as u64, arrived_ns);
        }
        self.bytes += bytes as u64;
        self.last_ns = self.last_ns.max(arrived_ns);
    }

    /// What all of them took on the link; none where it was no slower than coding, which took `coding_ns`. Unknown where there
    /// is but one slice.
    fn transfer_ns(&self, coding_ns: u64) -> Option<u64> {
        let behind = self.bytes - self.first_bytes;
        let span_ns = self.last_ns.saturating_sub(self.first_ns);
        let is_held_up = span_ns > coding_ns.saturating_add(coding_ns / 4);
        let whole_ns = || (span_ns as f64 * self.bytes as f64 / behind as f64) as u64;
        (behind > 0).then(|| if is_held_up { whole_ns() } else { 0 })
    }
}

/// When what happened to a tile, on the engine's clock.
#[derive(Clone)]
struct Done {
    received_ns: u64,
    started_ns: u64,
    uploaded_ns: u64,
    traced_ns: u64,
    encoded_ns: u64,
    complete_ns: u64,
}

/// Bytes that a decoded slice's pixels take.
pub(crate) fn decoded_bytes(slice: &DecodedSlice) -> usize {
    slice.rect.pixels() * slice.plane.bytes_per_pixel()
}

impl FlightTile {
    pub(crate) fn new(peer: PeerId, tile: &TileAssignment, ghost_rect: Rect, sent_ns: u64) -> FlightTile {
        FlightTile {
            task: tile.task,
            peer,
            group: 0,
            place: None,
            is_part: false,
            is_given_up: false,
            rect: tile.rect,
            ghost_rect,
            waiting: Vec::new(),
            arrived_bytes: 0,
            arrivals: Arrivals::default(),
            arrived: 0,
            block_rays: Vec::new(),
            seen: Vec::new(),
            expected: None,
            done: None,
            predicted_ns: tile.predicted_ns,
            sent_ns,
        }
    }

    /// Counts a slice; false for duplicates, for slices that contradict earlier ones or the tile, and for more pixels than
    /// the tile has: what waits to be merged is bounded by that.
    pub(crate) fn arrives(&mut self, slice: &ArrivedSlice) -> bool {
        let DecodedSlice { scale, rect, .. } = slice.decoded;
        let plane_rect = self.ghost_rect.scaled(u32::from(scale));
        if !plane_rect.contains_rect(rect) || *self.expected.get_or_insert(slice.count) != slice.count {
            tracing::debug!("a slice of task {} does not fit its tile: {rect:?}", slice.task);
            return false;
        }
        self.seen.resize(usize::from(slice.count), false);
        let is_new = !std::mem::replace(&mut self.seen[usize::from(slice.index)], true);
        self.arrived += u16::from(is_new);
        if !is_new {
            return false;
        }
        self.arrivals.add(slice.coded_bytes, slice.arrived_ns);
        self.arrived_bytes += decoded_bytes(&slice.decoded);
        if self.arrived_bytes > self.ghost_rect.pixels() * TRACED_BYTES_PER_PIXEL {
            tracing::warn!("peer {} sent more pixels of a tile than it has: {rect:?}", self.peer.0);
            return false;
        }
        true
    }

    /// Keeps a slice until its frame's turn.
    pub(crate) fn wait(&mut self, decoded: DecodedSlice) {
        self.waiting.push(decoded);
    }

    /// The slices that waited.
    pub(crate) fn take_waiting(&mut self) -> Vec<DecodedSlice> {
        std::mem::take(&mut self.waiting)
    }

    /// Takes the peer's report; the stamps go to the engine's clock.
    pub(crate) fn done(&mut self, done: &TileDone, arrived_ns: u64, offset_ns: i64) {
        let ours = |peer_ns: u64| peer_ns.saturating_add_signed(offset_ns.saturating_neg());
        let t = &done.timings;
        self.done = Some(Done {
            received_ns: ours(t.received_ns),
            started_ns: ours(t.started_ns),
            uploaded_ns: ours(t.uploaded_ns),
            traced_ns: ours(t.traced_ns),
            encoded_ns: ours(t.encoded_ns),
            complete_ns: arrived_ns,
        });
    }

    /// The last slice or the report came at this time.
    pub(crate) fn touched(&mut self, now_ns: u64) {
        if let Some(done) = &mut self.done {
            done.complete_ns = done.complete_ns.max(now_ns);
        }
    }

    /// True while something of it may come.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.is_complete() && !self.is_given_up
    }

    /// True when every slice and the report are there.
    pub(crate) fn is_complete(&self) -> bool {
        self.done.is_some() && self.expected == Some(self.arrived)
    }

    /// What the coordinator learns from it.
    pub(crate) fn report(&self) -> TileReport<'_> {
        let (coding_ns, begun_ns) = self.done.as_ref().map_or((0, 0), |done| {
            (done.encoded_ns.saturating_sub(done.traced_ns), done.started_ns.saturating_sub(self.sent_ns))
        });
        TileReport {
            service_ns: self.service_ns(),
            block_rays: &self.block_rays,
            rect: self.ghost_rect,
            bytes: self.arrivals.bytes,
            transfer_ns: self.arrivals.transfer_ns(coding_ns),
            begun_ns,
        }
    }

    /// What happened to it and when, on the engine's clock; nothing where it is not done.
    pub(crate) fn spans(&self) -> Vec<(&'static str, u64, u64)> {
        let Some(done) = &self.done else { return Vec::new() };
        vec![
            ("queue", done.received_ns, done.started_ns),
            ("upload", done.started_ns, done.uploaded_ns),
            ("trace", done.uploaded_ns, done.traced_ns),
            ("encode", done.traced_ns, done.encoded_ns),
        ]
    }

    /// Nanoseconds from starting to having coded it.
    pub(crate) fn service_ns(&self) -> u64 {
        self.done.as_ref().map_or(0, |done| done.encoded_ns.saturating_sub(done.started_ns))
    }
}

/// Whoever has no plan has the whole view as a tile, all of it history.
fn places_of(groups: &[Group]) -> u32 {
    groups.iter().map(|group| group.plan.len().max(1)).sum::<usize>() as u32
}

impl Request {
    /// The place of a group's tile in the plans of all groups, one after the other.
    pub(crate) fn place(&self, group: u8, rect: Rect) -> Option<u32> {
        let (before, rest) = self.groups.split_at_checked(usize::from(group))?;
        let index = rest.first()?.plan.iter().position(|plan| plan.rect == rect)?;
        Some(self.first_place.unwrap_or(0) + places_of(before) + u32::try_from(index).ok()?)
    }

    /// How many places the plans of all groups have.
    pub(crate) fn places(&self) -> u32 {
        places_of(&self.groups)
    }
}

impl Flight {
    /// What was asked for together with what is due with the frame, and later.
    pub(crate) fn layers(&self) -> Vec<LayerRequest> {
        self.request.groups.iter().flat_map(|group| &group.layers).copied().collect()
    }

    /// Tiles of what is due with the frame.
    pub(crate) fn due_tiles(&self) -> impl Iterator<Item = &FlightTile> {
        self.tiles.iter().filter(|tile| tile.group == 0)
    }

    /// True when all that is due with the frame is there.
    pub(crate) fn due_tiles_are_complete(&self) -> bool {
        let places = self.request.groups.first().map_or(0, |group| group.plan.len());
        let is_there = |place: usize| {
            self.due_tiles().any(|tile| tile.place.is_some_and(|of| of as usize == place) && tile.is_complete())
        };
        places > 0 && (0..places).all(is_there)
    }

    /// Takes the tiles of which something may still come once the frame is out. Those that are due with it stay, as they are.
    pub(crate) fn take_late(&mut self) -> LateTiles {
        let mut tiles: Vec<FlightTile> = self.tiles.extract_if(.., |tile| tile.group > 0).collect();
        tiles.extend(self.due_tiles().filter(|tile| tile.is_awaited()).cloned());
        let (number, frame_id, request) = (self.number, self.desc.frame_id, Arc::clone(&self.request));
        LateTiles { number, frame_id, request, tiles, is_exact: self.is_exact }
    }

    /// It is not wanted as it was guessed: nothing that comes of it counts.
    pub(crate) fn into_dropped(mut self) -> LateTiles {
        LateTiles { is_exact: true, ..self.take_late() }
    }

    /// What it is merged from; `prescribed` goes along.
    pub(crate) fn opening(&mut self, due_ns: u64) -> Opening {
        let traced = &self.request.desc;
        let before = self.request.before.as_ref().filter(|_| !traced.cut).map_or(traced.camera, |before| before.camera);
        let previous_camera = traced.previous_camera.unwrap_or(before);
        let tile = |tile: &TilePlan| PlannedTile { rect: tile.rect, ghost: tile.ghost_px };
        Opening {
            frame_id: self.desc.frame_id,
            camera: self.desc.camera,
            previous_camera,
            cut: self.desc.cut,
            predicted: self.is_guess.then_some(Predicted {
                frame_id: traced.frame_id,
                camera: traced.camera,
                previous_camera,
                pre_exposure: traced.pre_exposure,
            }),
            groups: self.request.groups.iter().map(|g| (g.layers.clone(), g.plan.iter().map(tile).collect())).collect(),
            planes: self.request.planes.as_ref().map(|planes| Arc::clone(&planes.gbuffer)),
            pre_exposure: self.desc.pre_exposure,
            exposure: self.desc.exposure,
            tone_map: self.desc.tone_map,
            state: self.request.state.clone(),
            prescribed: self.prescribed.take(),
            due_ns,
        }
    }

    pub(crate) fn outcomes(&self) -> Vec<TileOutcome> {
        let outcome = |tile: &FlightTile| TileOutcome {
            rect: tile.rect,
            peer: tile.peer.0,
            peer_ms: tile.service_ns() as f32 / 1e6,
            predicted_ms: tile.predicted_ns as f32 / 1e6,
            arrived: tile.is_complete(),
        };
        self.due_tiles().map(outcome).collect()
    }

    /// Stage times along the way of the tile that came last; stages that no tile passed are zero.
    pub(crate) fn stage_times(
        &self,
        [merge_ns, merged_ns, shown_ns, filtered_ns, composed_ns]: [u64; 5],
    ) -> StageTimes {
        // What was done ahead took none of the frame's own time.
        let own = |stamp: u64| stamp.max(self.begun_ns);
        let ms = |from: u64, to: u64| own(to).saturating_sub(own(from)) as f32 / 1e6;
        let planning_ms = |to: u64| (ms(self.taken_ns, to) - self.analysing_ns as f32 / 1e6).max(0.0);
        let mut times = StageTimes {
            submit_ms: ms(self.begun_ns, self.taken_ns),
            analyse_ms: self.analysing_ns as f32 / 1e6,
            plan_ms: planning_ms(self.planned_ns),
            merge_ms: ms(merge_ns, merged_ns),
            filter_ms: ms(shown_ns, filtered_ns),
            compose_ms: ms(filtered_ns, composed_ns),
            total_ms: ms(self.begun_ns, composed_ns),
            ..StageTimes::default()
        };
        let complete = self.due_tiles().filter(|tile| tile.is_complete());
        let last =
            complete.filter_map(|tile| tile.done.as_ref().map(|done| (tile, done))).max_by_key(|(_, d)| d.complete_ns);
        match last {
            Some((tile, done)) => {
                times.plan_ms = planning_ms(tile.sent_ns);
                times.send_ms = ms(tile.sent_ns, done.received_ns);
                times.queue_ms = ms(done.received_ns, done.started_ns);
                times.upload_ms = ms(done.started_ns, done.uploaded_ns);
                times.trace_ms = ms(done.uploaded_ns, done.traced_ns);
                times.encode_ms = ms(done.traced_ns, done.encoded_ns);
                times.return_ms = ms(done.encoded_ns, done.complete_ns);
                times.wait_ms = ms(done.complete_ns, merge_ns);
            }
            None => times.wait_ms = ms(self.planned_ns, merge_ns),
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_link_took_is_told_from_what_coding_took() {
        let mut arrivals = Arrivals::default();
        arrivals.add(1000, 50);
        assert_eq!(arrivals.transfer_ns(0), None, "one slice says nothing");
        arrivals.add(2000, 650);
        arrivals.add(1000, 350);
        // 3,000 bytes came in 600 ns behind the first 1,000.
        assert_eq!((arrivals.bytes, arrivals.transfer_ns(100)), (4000, Some(800)));
        assert_eq!(arrivals.transfer_ns(600), Some(0), "the peer was no faster");
        assert_eq!(arrivals.transfer_ns(u64::MAX), Some(0));
    }
}
