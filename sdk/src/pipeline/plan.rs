//! A frame from what the engine asks for to tiles that peers were given: its groups of layers, one after the other.

use super::{How, Pipeline, tiers, tiers::DueTogether};
use crate::config::Accumulation;
use crate::flight::{Flight, Group, Request, TilePlan};
use crate::output::spend;
use rayloom_coordinator::{CostMap, Foresight, FrameRequest, Lowering, PlannedTile, Time};
use rayloom_frame::Rect;
use rayloom_frame::features::{block_motion, estimated_cost};
use std::sync::Arc;
use std::time::Duration;

impl Pipeline {
    /// Has a frame planned, all of its groups.
    pub(super) fn plan(&mut self, mut request: Request, how: How, now: Time) -> Flight {
        let layers = if request.desc.layers.is_empty() { &self.view.layers } else { &request.desc.layers };
        let (tiers, predicted) = match request.is_ahead {
            true => (&mut self.ahead.tiers, &mut self.ahead.predicted),
            false => (&mut self.tiers, &mut self.predicted),
        };
        // What is asked ahead has that much more time.
        let predicted = predicted.take().map(|predicted| predicted.saturating_sub(how.ahead));
        let groups = match how.is_exact || self.view.accumulation == Accumulation::Off {
            true => tiers::together(layers),
            false => tiers.groups(layers, predicted),
        };
        let number = self.next_number;
        self.next_number += 1;
        let from_ns = self.desc.clock.now_ns();
        spend(self.desc.inserted.analyse_ms);
        self.analysing_ns = self.desc.clock.now_ns() - from_ns;
        spend(self.desc.inserted.plan_ms);
        let mut lowered = 0;
        for (group, due) in (0..).zip(groups) {
            lowered = lowered.max(self.plan_group(&mut request, (number, group), due, &how, now));
        }
        Flight {
            number,
            desc: request.desc.clone(),
            is_guess: false,
            request: Arc::new(request),
            lowered,
            tiles: Vec::new(),
            prescribed: how.prescribed,
            is_open: false,
            is_exact: how.is_exact,
            is_surely_shown: how.is_surely_shown,
            ended: false,
            predicted_costs: self.keeps_costs.then(|| self.coordinator.ns_per_pixel()),
            begun_ns: how.begun_ns,
            taken_ns: now.0,
            analysing_ns: std::mem::take(&mut self.analysing_ns),
            planned_ns: self.desc.clock.now_ns(),
            ended_ns: now.0,
        }
    }

    /// Has layers of a frame planned that are due together; says by how many steps they were lowered.
    pub(super) fn plan_group(
        &mut self,
        frame: &mut Request,
        (number, group): (u64, u8),
        due: DueTogether,
        how: &How,
        now: Time,
    ) -> u32 {
        let DueTogether { layers: asked, deadline } = due;
        let cut = how.cut.as_deref();
        let requests: Vec<_> = asked.iter().map(|layer| layer.request).collect();
        let from_ns = self.desc.clock.now_ns();
        let seen = self.merge.seen();
        let cost = seen.as_ref().map(|seen| CostMap {
            blocks_x: seen.features.blocks_x,
            blocks_y: seen.features.blocks_y,
            cost: estimated_cost(&seen.features, &requests),
        });
        if let Some(seen) = seen.filter(|_| !frame.desc.cut) {
            let motion = block_motion(&seen.features, &seen.camera, &frame.desc.camera, self.view.size);
            let features = &seen.features;
            self.coordinator.foresee(&Foresight { features, is_current: false, motion: &motion, layers: &requests });
        }
        self.analysing_ns += self.desc.clock.now_ns() - from_ns;
        let (scene, revision) = frame.state.as_ref().map_or((u32::MAX, u64::MAX), |state| (state.scene, state.base));
        let ghost_px = u32::from(self.view.filter_radius);
        // Only what is due with the frame is waited for.
        let wait = if group == 0 { self.finishing.time_for_tiles(deadline) } else { deadline };
        let request = FrameRequest {
            frame_id: number,
            group,
            scene,
            revision,
            extent: self.view.size,
            ghost_px,
            deadline: Time(how.begun_ns) + how.ahead + wait,
            cost,
            layers: requests.clone(),
            lowering: if how.is_exact { Lowering::Never } else { self.view.lowering },
            constraints: self.constraints(),
            up_bytes_per_px: if frame.planes.is_some() { self.plane_bytes_per_px } else { 0.0 },
        };
        let plan = match cut {
            Some(cut) => self.coordinator.begin_frame_as_cut(request, cut, now),
            None => self.coordinator.begin_frame(request, now),
        };
        tracing::trace!("{} tiles, {:.1} % ghosts", plan.tiles.len(), plan.ghost_share * 100.0);
        if !plan.tiles.is_empty() {
            let predicted = if frame.is_ahead { &mut self.ahead.predicted } else { &mut self.predicted };
            *predicted = (*predicted).max(Some(Duration::from_nanos(plan.predicted_ns)));
        }
        let planned = plan.tiles.iter().map(|tile: &PlannedTile| tile.rect);
        // Slices are told apart by their tile's place: a frame that is made again keeps it, whoever traces what.
        let cut = cut.filter(|_| !plan.tiles.is_empty());
        let rects: Vec<Rect> = cut.map_or_else(|| planned.collect(), <[Rect]>::to_vec);
        frame.groups.push(Group {
            deadline,
            layers: if plan.lowered > 0 { plan.layers } else { requests },
            plan: rects.into_iter().map(|rect| TilePlan { rect, ghost_px }).collect(),
        });
        plan.lowered
    }
}
