//! What a frame asks of its peers: tasks in messages, numbered over all views of the session.

use super::Pipeline;
use crate::director::TASK_VIEW_SHIFT;
use crate::fleet::Fleet;
use crate::flight::{Before, FlightPlanes, FlightTile, Request};
use crate::output::spend;
use crate::revisions::Resolved;
use crate::verify::{Subject, Verifier};
use rayloom_coordinator::{PeerId, TaskId, TileAssignment, Time};
use rayloom_frame::LayerRequest;
use rayloom_scene::Camera;
use rayloom_wire::{FrameTasks, GivenPlanes, LayerSpec, Message, PreviousFrame, StateDelta, Task, TaskKind, limits};
use std::sync::Arc;
use std::time::Duration;

/// Views as peers have them are this many bits longer than the session's.
const VIEWS_SHIFT: u32 = 2;
/// The most views of a session: their numbers as peers have them end where those of checks begin.
pub(crate) const MAX_VIEWS: u16 = limits::UNORDERED_VIEWS >> VIEWS_SHIFT;
/// When a task that another peer does again is due: well before the verifier gives it up.
const CHECKED_WITHIN: Duration = Duration::from_secs(2);
/// Tasks of a frame whose coordinator may number them: the bits below the view's and the pipeline's.
const TASK_PIPELINE_SHIFT: u32 = TASK_VIEW_SHIFT - 1;

impl Pipeline {
    pub(super) fn assign(
        &mut self,
        peer: PeerId,
        (number, group, left): (u64, u8, Duration),
        tiles: &[TileAssignment],
        fleet: &mut Fleet,
        verifier: &mut Verifier,
    ) {
        let Some(request) = self.request(number) else { return };
        let Some(state) = request.state.clone() else { return };
        let previous = self.previous_frame(&request, &state, peer, fleet);
        let message = Message::FrameTasks(self.frame_tasks((&request, group, left), &state, previous, tiles));
        let now = self.desc.clock.now_ns();
        for tile in tiles {
            if verifier.chooses(peer, self.global_task(tile.task), fleet) {
                verifier.watch(peer, self.subject((&request, group), &state, *tile), Time(now));
            }
        }
        let extent = self.view.size;
        let asked = tiles.iter().map(|tile| {
            let mut asked = FlightTile::new(peer, tile, tile.rect.grown(tile.ghost_px, extent), now);
            (asked.group, asked.place) = (group, request.place(group, tile.rect));
            asked.is_part = request.first_place.is_some();
            asked
        });
        let late = self.late.iter_mut().map(|late| (late.number, &mut late.tiles));
        let flights = self.flights.iter_mut().chain(self.ahead.flights_mut());
        let flights = flights.map(|flight| (flight.number, &mut flight.tiles));
        if let Some((_, known)) = flights.chain(late).find(|(other, _)| *other == number) {
            known.extend(asked);
        }
        spend(self.desc.inserted.send_ms);
        self.send(fleet, peer, &message);
        if let Some(planes) = &request.planes {
            // What layers of half resolution stand for may lie a pixel outside of the tile.
            let region = |tile: &TileAssignment| tile.rect.grown(tile.ghost_px, extent).whole_blocks(2, extent);
            let tiles = tiles.iter().map(|tile| (self.global_task(tile.task), region(tile))).collect();
            fleet.send_planes(peer, request.desc.frame_id, planes, tiles);
            self.plane_bytes_per_px = fleet.plane_bytes_per_px();
        }
    }

    /// What is asked of peers for a frame in flight or ahead, or for one that is out and of which something is still due.
    fn request(&self, number: u64) -> Option<Arc<Request>> {
        let late = self.late.iter().map(|late| (late.number, &late.request));
        let flights = self.flights.iter().chain(self.ahead.flights());
        let mut known = flights.map(|flight| (flight.number, &flight.request)).chain(late);
        known.find(|(other, _)| *other == number).map(|(_, request)| Arc::clone(request))
    }

    /// A task as another peer can do it again, whatever frames it has seen.
    fn subject(&self, (request, group): (&Request, u8), state: &Resolved, tile: TileAssignment) -> Subject {
        let (camera, delta) = previous_state(request, state);
        let previous = PreviousFrame::Explicit(camera, StateDelta::clone(&delta));
        // No frame waits for it, but an answer that never comes is no answer.
        let asked = (request, group, CHECKED_WITHIN);
        Subject {
            message: FrameTasks { lossless: true, ..self.frame_tasks(asked, state, previous, &[tile]) },
            rect: tile.rect.grown(tile.ghost_px, self.view.size),
            planes: request.planes.as_ref().map(|planes| FlightPlanes::new(Arc::clone(&planes.gbuffer))),
            was_lossless: self.desc.lossless,
        }
    }

    fn frame_tasks(
        &self,
        (request, group, left): (&Request, u8, Duration),
        state: &Resolved,
        previous: PreviousFrame,
        tiles: &[TileAssignment],
    ) -> FrameTasks {
        let desc = &request.desc;
        let group = request.groups.get(usize::from(group));
        let deadline_ms = u16::try_from(left.as_millis()).unwrap_or(u16::MAX);
        let spec = |request: &LayerRequest| LayerSpec { request: *request, deadline_ms };
        FrameTasks {
            view: self.wire_view(request.is_ahead),
            frame_id: desc.frame_id,
            scene: state.scene,
            revision: state.base,
            extent: self.view.size,
            camera: desc.camera,
            delta: StateDelta::clone(&state.delta),
            previous,
            layers: group.into_iter().flat_map(|group| &group.layers).map(spec).collect(),
            filter_radius: self.view.filter_radius,
            pre_exposure: desc.pre_exposure,
            primary: request.planes.is_none(),
            planes: request.planes.as_ref().map(|planes| GivenPlanes {
                geometric_normal: !planes.gbuffer.geometric_normal.is_empty(),
                emissive: !planes.gbuffer.emissive.is_empty(),
                depth_error: planes.gbuffer.depth_error,
            }),
            lossless: self.desc.lossless,
            tasks: tiles
                .iter()
                .map(|tile| Task {
                    id: self.global_task(tile.task),
                    kind: TaskKind::Trace,
                    rect: tile.rect,
                    ghost: u8::try_from(tile.ghost_px).unwrap_or(u8::MAX),
                })
                .collect(),
        }
    }

    /// What the frame before was: by its id where the peer has seen it, else told whole.
    fn previous_frame(&self, request: &Request, state: &Resolved, peer: PeerId, fleet: &Fleet) -> PreviousFrame {
        let (camera, delta) = previous_state(request, state);
        match request.before.as_ref().filter(|_| !request.desc.cut) {
            Some(before)
                if has_same_base(before, state)
                    && camera == before.camera
                    && before.is_ahead == request.is_ahead
                    && fleet.has_frame(peer, self.wire_view(request.is_ahead), before.frame_id) =>
            {
                PreviousFrame::Known(before.frame_id)
            }
            _ => PreviousFrame::Explicit(camera, StateDelta::clone(&delta)),
        }
    }

    pub(super) fn send(&self, fleet: &mut Fleet, peer: PeerId, message: &Message) {
        if let Err(error) = fleet.send(peer, message) {
            // Its tiles will miss their deadline, which is how every kind of loss is seen.
            tracing::debug!("nothing sent to peer {}: {error}", peer.0);
        }
    }

    /// Peers keep frames by view; a view's two pipelines, and what each traces ahead, are views of their own to them.
    fn wire_view(&self, is_ahead: bool) -> u16 {
        self.desc.view << VIEWS_SHIFT | u16::from(is_ahead) << 1 | u16::from(self.desc.is_local)
    }

    pub(super) fn global_task(&self, task: TaskId) -> u64 {
        u64::from(self.desc.view) << TASK_VIEW_SHIFT | u64::from(self.desc.is_local) << TASK_PIPELINE_SHIFT | task.0
    }
}

/// Camera and state of the frame before; its own after a cut. Across base revisions nothing is known to have moved.
fn previous_state(request: &Request, state: &Resolved) -> (Camera, Arc<StateDelta>) {
    let Some(before) = request.before.as_ref().filter(|_| !request.desc.cut) else {
        return (request.desc.camera, Arc::clone(&state.delta));
    };
    let delta = before.state.as_ref().filter(|_| has_same_base(before, state)).unwrap_or(state).delta.clone();
    (request.desc.previous_camera.unwrap_or(before.camera), delta)
}

fn has_same_base(before: &Before, state: &Resolved) -> bool {
    before.state.as_ref().is_some_and(|before| before.scene == state.scene && before.base == state.base)
}

/// True when the task belongs to the pipeline of the embedded peer.
pub(crate) fn is_local_task(task: u64) -> bool {
    task >> TASK_PIPELINE_SHIFT & 1 == 1
}

pub(super) fn local_task(task: u64) -> TaskId {
    TaskId(task & ((1 << TASK_PIPELINE_SHIFT) - 1))
}
