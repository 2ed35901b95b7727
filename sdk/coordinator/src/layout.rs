//! The cut of a frame: whose tiles lie where, near last frame's.

use crate::config::{AT_ANY_COST, Config};
use crate::coordinator::Coordinator;
use crate::share::{Candidate, Demand, Previous, Share, choose, fill};
use crate::split::{Ground, Slot, Tree};
use crate::{FrameRequest, PeerId, Time};
use rayloom_frame::merge::LATE_FRAMES;
use rayloom_frame::{Extent, Rect};
use std::time::Duration;

/// Times that weights are corrected for what the ghost zones of a cut turned out to cost.
const REFINEMENTS: usize = 3;
/// A tree's topology stays until a peer's share of the work has changed by this factor.
const TOPOLOGY_BAND: f64 = 1.5;
/// What splitting may cost where a frame is too much: its middle is to come before its edges.
const FINE_OVERHEAD: f32 = 0.2;
/// Share of the time to a deadline in which a frame is done that may as well be cut finer than it need be.
const EARLY: f64 = 0.5;
/// A peer that takes less than this share of the fleet's time does it alone.
const WORSE: f64 = 0.98;
/// How much longer such a frame may take.
const LOST: f64 = 1.1;
/// Share of the time to a deadline in which work must be predicted to be done for it to be left to few peers.
const IN_TIME: f64 = 0.8;

/// Frames that a tile may take where a frame is more than its peers can do: what comes later counts for little.
const MOST_FRAMES: f64 = 2.0;
/// Share of the time in which results of a frame count at all, less that to its deadline, that a tile may take.
const COUNTS: f64 = 0.75;
/// Tiles of all open frames that a peer may have: its sessions take some hundred, and each view of one has a coordinator.
const TILES_WAITING: usize = 128;
/// Frames may be begun seldom, or one after a pause.
pub(crate) const LONGEST_INTERVAL: Duration = Duration::from_millis(250);
/// Tiles that a peer may get of such a frame.
const MOST_TILES: u32 = 32;

/// The last frame's cuts.
#[derive(Clone, Debug)]
pub(crate) struct LastPlan {
    pub(crate) extent: Extent,
    pub(crate) slots: Vec<Slot>,
    pub(crate) tree: Tree,
    /// For how many frames these peers have had so many tiles.
    frames: u32,
}

impl LastPlan {
    pub(crate) fn new(extent: Extent, layout: Layout, before: Option<LastPlan>) -> LastPlan {
        let Layout { slots, tree, .. } = layout;
        let same = before.filter(|before| before.extent == extent && tiles_of(&before.slots) == tiles_of(&slots));
        LastPlan { extent, slots, tree, frames: same.map_or(0, |before| before.frames.saturating_add(1)) }
    }

    fn previous(&self) -> Previous {
        Previous { tiles: tiles_of(&self.slots), frames: self.frames }
    }
}

/// A cut of the view and when its slowest peer is predicted to finish.
pub(crate) struct Layout {
    pub(crate) slots: Vec<Slot>,
    pub(crate) tree: Tree,
    pub(crate) finish_ns: f64,
    /// When all would finish if the same work were divided perfectly.
    ideal_ns: f64,
}

/// A cut finer than what costs least: what comes first can only be told apart in tiles of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FineCut {
    /// Tiles that a peer is to get at any cost, if more than the configuration says.
    tiles: u32,
}

impl Coordinator {
    /// How fine a frame is cut, if not as costs least: where it is too much, and where a peer's tile would come too late to count. That
    /// is predicted; where nobody has answered any it shows in that even the first of them is missed.
    pub(crate) fn fine_cut(
        &self,
        frame: &FrameRequest,
        is_too_much: bool,
        units: f64,
        candidates: &[Candidate],
    ) -> Option<FineCut> {
        let most = self.config.tiles_per_peer.end();
        // Of who has answered more is known.
        let missed = candidates.iter().map(|candidate| &self.peers[&candidate.peer]);
        let missed = missed.map(|peer| if peer.speed.is_measured() { 0 } else { peer.missed_in_a_row }).min();
        let by_misses = most << missed.unwrap_or(0).min(6);
        let rate: f64 = candidates.iter().map(|candidate| 1.0 / candidate.ns_per_unit).sum();
        // A tile that is begun is finished, whatever becomes of its frame: one that takes some frames leaves no time unused.
        let interval_ns = self.now.since(self.group(frame.group).begun).min(LONGEST_INTERVAL).as_nanos() as f64;
        let due_ns = frame.deadline.ns_since(self.now) as f64;
        let frame_ns = interval_ns.max(due_ns).max(1.0);
        // Where frames overlap, a tile is begun of one that is nearly due. Some may be begun together.
        let mean_ns = self.group(frame.group).interval_ns.max(interval_ns);
        let counts_ns = COUNTS * (mean_ns * LATE_FRAMES as f64 - due_ns).max(MOST_FRAMES * mean_ns).max(1.0);
        let total_ns = if self.is_calibrated { units / rate } else { 0.0 };
        let tiles = |tile_ns: f64| (total_ns / tile_ns).ceil().min(f64::from(MOST_TILES)) as u32;
        let by_late = tiles(counts_ns);
        let by_time = tiles(MOST_FRAMES * frame_ns).max(by_late);
        // It does not flutter: begun where it is clear, and kept while it is about right.
        let last = self.group(frame.group).last_plan.as_ref().filter(|last| last.extent == frame.extent);
        let by_time = match last.and_then(|last| tiles_of(&last.slots).iter().map(|(_, tiles)| *tiles).max()) {
            Some(last) if last > *most && by_time.abs_diff(last) <= last / 4 => last,
            Some(last) if last > *most && by_time > *most => by_time,
            _ if by_time > 2 * most || by_late > *most => by_time,
            _ => 0,
        };
        let waiting = (TILES_WAITING / (self.frames.len() + 1)) as u32;
        let tiles = by_time.max(by_misses).min(MOST_TILES).min(waiting.max(*most));
        let is_fine = is_too_much || tiles > *most;
        is_fine.then_some(FineCut { tiles })
    }

    /// Whether a peer's link, jitter included, leaves it any time before a deadline.
    pub(crate) fn is_near(&self, peer: PeerId, deadline: Time) -> bool {
        self.peers[&peer].link.latest_ns() < deadline.ns_since(self.now) as f64
    }

    /// The cut. Layers that are due later go to peers that are too far away for those that are due first, if these peers alone
    /// can make it: the others are left to what is in a hurry.
    pub(crate) fn lay_out_in_time(
        &self,
        frame: &FrameRequest,
        fine_cut: Option<FineCut>,
        ground: &Ground<'_>,
        candidates: &[Candidate],
    ) -> Layout {
        let siblings = self.frames.iter().filter(|other| other.id == frame.frame_id && other.group < frame.group);
        if let Some(first_due) = siblings.map(|other| other.deadline).min() {
            let far = |candidate: &&Candidate| !self.is_near(candidate.peer, first_due);
            let far: Vec<Candidate> = candidates.iter().filter(far).copied().collect();
            let in_time_ns = IN_TIME * frame.deadline.ns_since(self.now) as f64;
            if !far.is_empty() {
                let layout = self.lay_out(frame.group, fine_cut, ground, &far);
                if layout.finish_ns <= in_time_ns {
                    return layout;
                }
            }
        }
        let layout = self.lay_out(frame.group, fine_cut, ground, candidates);
        // So can what is dear be told from what is cheap, while there is time for it, and little of that is lost.
        let is_early = layout.finish_ns < EARLY * frame.deadline.ns_since(self.now) as f64;
        if !is_early || !self.model.is_young() || tiles_of(&layout.slots).len() < 2 {
            return layout;
        }
        let fine = self.lay_out(frame.group, Some(FineCut::default()), ground, candidates);
        if fine.finish_ns <= layout.finish_ns * LOST { fine } else { layout }
    }

    /// The cut: last frame's if it is still within the dead band, else a new one near it.
    fn lay_out(&self, group: u8, fine_cut: Option<FineCut>, ground: &Ground<'_>, candidates: &[Candidate]) -> Layout {
        let units = ground.work.total();
        let min_side_px = self.config.min_tile_side_px;
        let demand = Demand { units, extent: ground.extent, ghost_px: ground.ghost_px, min_side_px };
        let dead_band = f64::from(self.config.dead_band);
        let last = self.group(group).last_plan.as_ref().filter(|last| last.extent == ground.extent);
        let previous = last.map(LastPlan::previous).unwrap_or_default();
        let finely = fine_cut.map(|fine| {
            let (least, most) = self.config.tiles_per_peer.clone().into_inner();
            let max_split_overhead =
                if fine.tiles > most { AT_ANY_COST } else { self.config.max_split_overhead.max(FINE_OVERHEAD) };
            Config { max_split_overhead, tiles_per_peer: least..=most.max(fine.tiles), ..self.config.clone() }
        });
        let config = finely.as_ref().unwrap_or(&self.config);
        let best = cut(ground, choose(candidates, &demand, config, &previous), last, dead_band);
        // Whoever wants tiles at any cost gets them.
        let is_asked_for = self.config.max_split_overhead >= AT_ANY_COST;
        let alone = |candidate: &&Candidate| candidate.alone_ns(units);
        let single = candidates.iter().min_by(|a, b| alone(a).total_cmp(&alone(b)));
        let Some(single) = single.filter(|_| !is_asked_for && tiles_of(&best.slots).len() > 1) else { return best };
        // In several tiles, if that is sooner: one is traced while another is on its way.
        let shares = choose(std::slice::from_ref(single), &demand, config, &Previous::default());
        let single = cut(ground, shares, last, dead_band);
        if single.finish_ns < WORSE * best.finish_ns { single } else { best }
    }
}

/// The cut for these shares: the last frame's if it is still within the dead band, else a new one near it.
fn cut(ground: &Ground<'_>, mut shares: Vec<Share>, last: Option<&LastPlan>, dead_band: f64) -> Layout {
    let mut slots = slots(&shares);
    let is_same = |last: &&LastPlan| tiles_of(&last.slots) == tiles_of(&slots) && is_near(&last.slots, &slots);
    let last = last.filter(is_same);
    if let Some(last) = last {
        let layout = measure(ground, &mut shares, last.slots.clone(), last.tree.clone());
        if layout.finish_ns <= layout.ideal_ns * (1.0 + dead_band) {
            return layout;
        }
    }
    let mut best: Option<Layout> = None;
    for _ in 0..REFINEMENTS {
        let tree = Tree::build(ground, &slots, last.map(|last| &last.tree), dead_band / 3.0);
        let layout = measure(ground, &mut shares, slots.clone(), tree);
        let is_good = layout.finish_ns <= layout.ideal_ns * (1.0 + dead_band / 2.0);
        let work = work_of(ground, &layout.tree, &layout.slots);
        // What each slot should weigh so that its rectangle, ghost zone included, holds what its peer is due.
        for (slot, (units, pixels)) in slots.iter_mut().zip(&work) {
            let Some(share) = shares.iter().find(|share| share.candidate.peer == slot.peer) else { continue };
            let due = share.units / f64::from(share.tiles);
            let held = share.candidate.equivalent_units(*units, *pixels, share.tiles);
            slot.weight *= (due / held.max(f64::MIN_POSITIVE)).clamp(0.5, 2.0);
        }
        if best.as_ref().is_none_or(|best| layout.finish_ns < best.finish_ns) {
            best = Some(layout);
        }
        if is_good {
            break;
        }
    }
    best.expect("at least one refinement is made")
}

/// Tiles that are given: each, in their order, to the peer that would be through with it first.
pub(crate) fn hand_out(ground: &Ground<'_>, candidates: &[Candidate], cut: &[Rect]) -> (Layout, Vec<(Rect, usize)>) {
    let slots = candidates.iter().map(|candidate| Slot { peer: candidate.peer, weight: 1.0 }).collect();
    // When each peer is through with its tiles, and when its link is through with their answers.
    let mut traced_ns: Vec<f64> = candidates.iter().map(|candidate| candidate.start_ns).collect();
    let mut sent_ns = traced_ns.clone();
    let mut leaves = Vec::with_capacity(cut.len());
    for rect in cut {
        let ghost_rect = rect.grown(ground.ghost_px, ground.extent);
        let (units, pixels) = (ground.work.within(ghost_rect), ghost_rect.pixels() as f64);
        let through = |slot: usize| {
            let candidate = &candidates[slot];
            let waits_ns = traced_ns[slot].max(candidate.start_ns + pixels * candidate.up_ns_per_px);
            let traced = waits_ns + candidate.overhead_ns + units * candidate.ns_per_unit;
            (traced, traced.max(sent_ns[slot]) + pixels * candidate.down_ns_per_px)
        };
        let first = (0..candidates.len()).min_by(|a, b| through(*a).1.total_cmp(&through(*b).1));
        let slot = first.expect("a frame without candidates has expired");
        (traced_ns[slot], sent_ns[slot]) = through(slot);
        leaves.push((*rect, slot));
    }
    let finish_ns = sent_ns.into_iter().fold(0.0, f64::max);
    (Layout { slots, tree: Tree::Leaf { slot: 0 }, finish_ns, ideal_ns: finish_ns }, leaves)
}

/// A slot a tile, all of a peer's of the same weight.
fn slots(shares: &[Share]) -> Vec<Slot> {
    let slot = |share: &Share| Slot { peer: share.candidate.peer, weight: share.units / f64::from(share.tiles) };
    shares.iter().flat_map(|share| vec![slot(share); share.tiles as usize]).collect()
}

/// Peers and how many slots they have, from slots sorted by peer.
fn tiles_of(slots: &[Slot]) -> Vec<(PeerId, u32)> {
    slots.chunk_by(|a, b| a.peer == b.peer).map(|own| (own[0].peer, own.len() as u32)).collect()
}

/// True when no slot's share of the weight has changed by more than [`TOPOLOGY_BAND`].
fn is_near(last: &[Slot], next: &[Slot]) -> bool {
    let total = |slots: &[Slot]| slots.iter().map(|slot| slot.weight).sum::<f64>();
    let scale = total(last) / total(next);
    let ratio = |(a, b): (&Slot, &Slot)| b.weight * scale / a.weight;
    last.iter().zip(next).map(ratio).all(|r| (1.0 / TOPOLOGY_BAND..=TOPOLOGY_BAND).contains(&r))
}

/// Work and pixels of each slot's rectangle with its ghost zone.
fn work_of(ground: &Ground<'_>, tree: &Tree, slots: &[Slot]) -> Vec<(f64, f64)> {
    let mut work = vec![(0.0, 0.0); slots.len()];
    for (rect, slot) in tree.leaves(ground.extent, ground.ghost_px, usize::MAX) {
        let rect = rect.grown(ground.ghost_px, ground.extent);
        work[slot].0 += ground.work.within(rect);
        work[slot].1 += rect.pixels() as f64;
    }
    work
}

/// Predicts a cut's times, and fills `shares` with what a perfect division of the same work would give.
fn measure(ground: &Ground<'_>, shares: &mut [Share], slots: Vec<Slot>, tree: Tree) -> Layout {
    let work = work_of(ground, &tree, &slots);
    let finish = |share: &Share| {
        let own = slots.iter().zip(&work).filter(|(slot, _)| slot.peer == share.candidate.peer);
        let (units, pixels) = own.fold((0.0, 0.0), |sum, (_, work)| (sum.0 + work.0, sum.1 + work.1));
        share.before_work_ns() + share.candidate.time_ns(units, pixels, share.tiles)
    };
    let finish_ns = shares.iter().map(finish).fold(0.0, f64::max);
    let ideal_ns = fill(shares, work.iter().map(|work| work.0).sum());
    Layout { slots, tree, finish_ns, ideal_ns }
}
