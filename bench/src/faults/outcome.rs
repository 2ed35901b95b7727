//! What became of a run: how late and how old its frames were, and who traced them.

use super::run::{DEADLINE, END, FAULT, FIRST, Fault, PERIOD};
use crate::report::median;
use rayloom::{Event, Output, TileOutcome};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The tier's budget in frames, and three more: what is older is as good as missed.
const STALE_FRAMES: usize = DEADLINE.as_nanos().div_ceil(PERIOD.as_nanos()) as usize + 3;
const STALE_SHARE: f32 = 0.05;

/// What became of a run.
pub(super) struct Run {
    pub(super) fault: Fault,
    pub(super) frames: BTreeMap<u64, Frame>,
    /// Frames since the fault when it was told.
    pub(super) events: Vec<(i64, Event)>,
    /// From the first frame's begin to the last one's.
    pub(super) took: Duration,
}

/// What became of a frame.
#[derive(Default)]
pub(super) struct Frame {
    /// None where the session took no more frames.
    pub(super) begun: Option<Instant>,
    /// From its begin until the engine had it, or a newer one.
    pub(super) ready_ms: Option<f64>,
    /// None where a newer one took its place.
    pub(super) output: Option<Arc<Output>>,
}

/// Frames that are as good as not there.
#[derive(Clone, Copy, Default)]
pub(super) struct Missed {
    pub(super) not_ready: u32,
    pub(super) stale: u32,
}

impl Missed {
    pub(super) fn total(self) -> u32 {
        self.not_ready + self.stale
    }
}

impl Run {
    /// Of the frames from the fault on; in a run without one, of the same frames.
    pub(super) fn missed(&self) -> Missed {
        let mut missed = Missed::default();
        for (_, frame) in self.frames.range(FAULT..) {
            let is_late = frame.ready_ms.is_none_or(|ms| ms > DEADLINE.as_secs_f64() * 1e3);
            let is_stale = frame.output.as_ref().is_some_and(|output| {
                let stale: u32 = output.pixels_by_age.iter().skip(STALE_FRAMES + 1).sum();
                stale as f32 > STALE_SHARE * output.size.pixels() as f32
            });
            missed.not_ready += u32::from(is_late);
            missed.stale += u32::from(is_stale && !is_late);
        }
        missed
    }

    pub(super) fn frames_a_second(&self) -> f64 {
        (END - FIRST - 1) as f64 / self.took.as_secs_f64()
    }

    /// Share of the frames of which all was traced for them.
    pub(super) fn whole_share(&self) -> f64 {
        let whole = self.frames.values().filter(|frame| frame.output.as_ref().is_some_and(|o| o.fresh >= 1.0));
        whole.count() as f64 / self.frames.len() as f64
    }

    pub(super) fn frames_missing_tiles(&self) -> u32 {
        let lacks = |frame: &&Frame| frame.output.as_ref().is_none_or(|output| output.fresh < 1.0);
        self.frames.range(FAULT..).filter(|(_, frame)| lacks(frame)).count() as u32
    }

    /// From the fault to the first frame that was begun without a part for who is gone.
    pub(super) fn frames_to_reassign(&self) -> Option<u64> {
        let gone: BTreeSet<u32> = self.fault.victims().map(|peer| peer as u32).collect();
        let is_without = |output: &Arc<Output>| planned_peers(output).is_disjoint(&gone) && !output.tiles.is_empty();
        let after = self.frames.range(FAULT + 1..);
        let found = after.filter_map(|(id, frame)| Some((id, frame.output.as_ref()?))).find(|(_, o)| is_without(o));
        found.map(|(id, _)| id - FAULT)
    }

    /// From the fault to the first of three frames in a row of which as much is fresh as in the median before it.
    pub(super) fn frames_to_full_quality(&self) -> Option<u64> {
        let fresh = |frames: Range<u64>| -> Vec<f64> {
            let of = |frame: &Frame| frame.output.as_ref().map(|output| f64::from(output.fresh));
            self.frames.range(frames).filter_map(|(_, frame)| of(frame)).collect()
        };
        let before = median(&mut fresh(FIRST + 1..FAULT));
        let is_full = |frame_id: &u64| {
            let three = fresh(*frame_id..frame_id + 3);
            three.len() == 3 && three.iter().all(|fresh| *fresh >= before)
        };
        (FAULT..END - 2).find(is_full).map(|frame_id| frame_id - FAULT)
    }

    /// From the fault until the engine was told of all that are gone.
    pub(super) fn frames_to_event(&self) -> Option<i64> {
        let told = |victim: usize| {
            let names = |event: &Event| matches!(event, Event::PeerSuspect { peer, .. } | Event::PeerLost { peer, .. } if *peer == victim as u32);
            self.events.iter().find(|(since, event)| *since >= 0 && names(event)).map(|(since, _)| *since)
        };
        self.fault.victims().map(told).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// What was on the screen when a frame was due: its picture, or the last one before.
    pub(super) fn shown(&self, frame_id: u64) -> Option<&Output> {
        self.frames.range(..=frame_id).rev().find_map(|(_, frame)| frame.output.as_deref())
    }

    /// Frames since the fault, negative before it.
    pub(super) fn around_fault(&self) -> impl Iterator<Item = (i64, &Frame)> {
        self.frames.range(FAULT - 5..END).map(|(id, frame)| (*id as i64 - FAULT as i64, frame))
    }

    /// The frames from the fault on.
    pub(super) fn outputs_after(&self) -> impl Iterator<Item = (u64, &Output)> {
        self.frames.range(FAULT..).filter_map(|(id, frame)| Some((*id, frame.output.as_deref()?)))
    }
}

/// Age of the oldest pixel that was ever traced.
pub(super) fn oldest(output: &Output) -> usize {
    let known = &output.pixels_by_age[..output.pixels_by_age.len().min(255)];
    known.iter().rposition(|pixels| *pixels > 0).unwrap_or(0)
}

/// Who has a part in the frame: not who is but probed with some of another's tile.
pub(super) fn planned_peers(output: &Output) -> BTreeSet<u32> {
    let is_probe = |tile: &TileOutcome| {
        output.tiles.iter().any(|other| other.rect != tile.rect && other.rect.contains_rect(tile.rect))
    };
    output.tiles.iter().filter(|tile| !is_probe(tile)).map(|tile| tile.peer).collect()
}
