//! What nothing is known of in a frame that is out: the peer of the engine's process traces it alone, as far as its budget goes.

use crate::coordinator::Coordinator;
use crate::flight::Frame;
use crate::peer::Peer;
use crate::planning::GHOST_PX;
use crate::split::Ground;
use crate::work_sum::WorkSum;
use crate::{FramePlan, FrameRequest, GROUPS, PeerState, Time};
use rayloom_frame::Rect;
use rayloom_wire::limits;
use std::time::Duration;

impl Coordinator {
    /// Has parts of a frame that is out traced by the embedded peer, those that matter most first: as many as it is predicted to do within
    /// `budget`, ghost zones included; larger ones that don't fit are passed over. No frame waits for them. Nothing is asked where that peer
    /// has something to do, does not hold the revision, is not what the frame asks for, or has failed of late; nor of a view that was never
    /// planned.
    ///
    /// `frame.frame_id` is what [`crate::Action::Assign`] will call them, `deadline` when they are of use no more.
    pub fn fill(&mut self, mut frame: FrameRequest, parts: &[Rect], budget: Duration, now: Time) -> FramePlan {
        self.advance(now);
        let mut plan = FramePlan::default();
        let is_able = |peer: &&Peer| {
            let is_there = peer.prior.is_embedded && peer.state == PeerState::Ready;
            is_there
                && peer.holds(frame.scene, frame.revision)
                && frame.constraints.unmet(&peer.prior.traits).is_none()
                && self.outstanding(peer.id).next().is_none()
        };
        let Some(peer) = self.peers.values().find(is_able).map(|peer| peer.id) else { return plan };
        if usize::from(frame.group) >= GROUPS || self.group(frame.group).map.extent() != frame.extent {
            return plan;
        }
        let map = &self.group(frame.group).map;
        let (work, doubt) = (WorkSum::new(frame.extent, map.density()), WorkSum::new(frame.extent, &map.doubt()));
        let ghost_px = frame.ghost_px.min(GHOST_PX);
        let ground = Ground {
            work: &work,
            doubt: &doubt,
            extent: frame.extent,
            ghost_px,
            min_side_px: self.config.min_tile_side_px,
        };
        frame.deadline = self.time_in_here(frame.deadline);
        self.next_serial += 1;
        let flying = Frame {
            serial: self.next_serial,
            id: frame.frame_id,
            group: frame.group,
            scene: frame.scene,
            revision: frame.revision,
            extent: frame.extent,
            ghost_px,
            up_bytes_per_px: 0.0,
            constraints: frame.constraints,
            deadline: frame.deadline,
            cells: Vec::new(),
        };
        let budget_ns = budget.as_nanos() as f64;
        let speed = &self.peers[&peer].speed;
        // What a peer takes that has done nothing yet is a guess.
        let most = if speed.is_measured() { limits::TASKS_PER_MESSAGE } else { 1 };
        let mut taken = Vec::new();
        let mut taken_ns = 0.0;
        let lies_in_view = |rect: &&Rect| {
            let ends = rect.x.checked_add(rect.width).zip(rect.y.checked_add(rect.height));
            let is_within = |(right, bottom)| right <= frame.extent.width && bottom <= frame.extent.height;
            !rect.is_empty() && ends.is_some_and(is_within)
        };
        for rect in parts.iter().filter(lies_in_view) {
            let known = ground.known(*rect);
            let service_ns = speed.service_ns(known.0);
            if taken.len() < most && taken_ns + service_ns <= budget_ns {
                taken.push((*rect, known, (!taken.is_empty()).then_some(taken_ns)));
                taken_ns += service_ns;
            }
        }
        plan.predicted_ns = taken_ns as u64;
        for (rect, known, queue_ns) in taken {
            let tile = self.assign(&flying, None, rect, known, peer, queue_ns);
            plan.tiles.push(tile);
        }
        plan
    }
}
