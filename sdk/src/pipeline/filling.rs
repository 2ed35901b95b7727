//! What nothing is known of in a frame that is out is asked of the embedded peer, within the view's budget; it counts as a late result.

use super::Pipeline;
use crate::flight::{Flight, FlightPlanes, Group, LateTiles, Request, TilePlan};
use rayloom_coordinator::{FrameRequest, Time};
use rayloom_frame::Rect;
use std::sync::Arc;

/// What the embedded peer has traced of parts of frames, see [`crate::ViewDesc::fill_budget`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filled {
    pub(crate) parts: u64,
    pub(crate) pixels: u64,
}

impl Pipeline {
    /// Parts of a frame that was made, those that matter most first, are asked for again, as it was asked for.
    pub(super) fn fill(&mut self, flight: &Flight, parts: &[Rect], now: Time) {
        let (request, is_guess) = (&flight.request, flight.is_guess || flight.request.is_ahead);
        let (Some(state), Some(due), false, false) =
            (&request.state, request.groups.first(), is_guess, flight.is_exact)
        else {
            return;
        };
        let (number, ghost_px) = (self.next_number, u32::from(self.view.filter_radius));
        let frame = FrameRequest {
            frame_id: number,
            scene: state.scene,
            revision: state.base,
            extent: self.view.size,
            ghost_px,
            deadline: now + due.deadline,
            constraints: self.constraints(),
            layers: due.layers.clone(),
            ..FrameRequest::default()
        };
        let plan = self.coordinator.fill(frame, parts, self.view.fill_budget, now);
        if plan.tiles.is_empty() {
            return;
        }
        self.next_number += 1;
        let parts: Vec<Rect> = plan.tiles.iter().map(|tile| tile.rect).collect();
        let again = Group {
            deadline: due.deadline,
            layers: due.layers.clone(),
            plan: parts.iter().map(|rect| TilePlan { rect: *rect, ghost_px }).collect(),
        };
        let frame_id = flight.desc.frame_id;
        let first_place = Some(request.places());
        // The frame's own planes are not sent any more.
        let planes = request.planes.as_ref().map(|planes| FlightPlanes::new(Arc::clone(&planes.gbuffer)));
        let (desc, before) = (request.desc.clone(), request.before.clone());
        let request = Request {
            desc,
            groups: vec![again],
            state: Some(state.clone()),
            planes,
            before,
            is_ahead: false,
            first_place,
        };
        self.merge.ask_again(frame_id, parts, ghost_px);
        self.keep_late(LateTiles { number, frame_id, request: Arc::new(request), tiles: Vec::new(), is_exact: false });
    }
}
