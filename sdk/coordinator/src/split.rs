//! Cuts a view into rectangles of given work: a k-d tree of cuts at the work quantile, at any pixel.
//!
//! After Equalizer's load equalizer (Eilemann et al. 2009), with cuts interpolated inside blocks, ghost zones counted on
//! both sides of a cut, and a dead band so that borders do not swim.

use crate::PeerId;
use crate::work_map::touched_blocks;
use crate::work_sum::WorkSum;
use rayloom_frame::{Extent, Rect};
use std::ops::Range;

/// Work that one rectangle is to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) peer: PeerId,
    /// Relative to the other slots'; positive.
    pub(crate) weight: f64,
}

/// What the view is like.
pub(crate) struct Ground<'a> {
    pub(crate) work: &'a WorkSum,
    /// Work times its relative variance.
    pub(crate) doubt: &'a WorkSum,
    pub(crate) extent: Extent,
    pub(crate) ghost_px: u32,
    pub(crate) min_side_px: u32,
}

impl Ground<'_> {
    /// Work of a tile with its ghost zone, and its relative variance.
    pub(crate) fn known(&self, rect: Rect) -> (f64, f64) {
        let rect = rect.grown(self.ghost_px, self.extent);
        let units = self.work.within(rect);
        (units, self.doubt.within(rect) / units.max(f64::MIN_POSITIVE))
    }
}

/// A tree of cuts over an ordered list of slots.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// The rectangle of this slot.
    Leaf { slot: usize },
    /// `low` takes the slots before `mid` and the pixels before `at` (a column or row of the view).
    Cut { axis: Axis, at: u32, mid: usize, low: Box<Tree>, high: Box<Tree> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    X,
    Y,
}

/// A cut that was weighed: where, how long the slower side takes per weight, and that with a malus for slivers.
#[derive(Clone, Copy)]
struct Weighed {
    axis: Axis,
    at: u32,
    score: f64,
}

impl Tree {
    /// Cuts the view for `slots`. `last` is the tree of the last frame for the same peers in the same order, if any: its
    /// topology stays, and each of its cuts that is within `dead_band` of balance.
    pub(crate) fn build(ground: &Ground<'_>, slots: &[Slot], last: Option<&Tree>, dead_band: f64) -> Tree {
        cut(ground, slots, 0..slots.len(), ground.extent.rect(), last, dead_band)
    }

    /// The rectangles with their slots; one that touches more than `most_blocks` with its ghost zone comes in parts.
    pub(crate) fn leaves(&self, extent: Extent, ghost_px: u32, most_blocks: usize) -> Vec<(Rect, usize)> {
        let mut leaves = Vec::new();
        let mut open = vec![(self, extent.rect())];
        while let Some((tree, rect)) = open.pop() {
            match tree {
                Tree::Leaf { slot } => {
                    parts(rect, extent, ghost_px, most_blocks, &mut |part| leaves.push((part, *slot)));
                }
                Tree::Cut { axis, at, low, high, .. } => {
                    let (a, b) = halves(rect, *axis, *at);
                    open.push((high, b));
                    open.push((low, a));
                }
            }
        }
        leaves
    }
}

fn cut(
    ground: &Ground<'_>,
    slots: &[Slot],
    range: Range<usize>,
    rect: Rect,
    last: Option<&Tree>,
    dead_band: f64,
) -> Tree {
    let fits = |side: u32| side >= 2 * ground.min_side_px;
    if range.len() == 1 || !(fits(rect.width) || fits(rect.height)) {
        // Where nothing more fits, the slot that is due most takes the rectangle.
        let slot = range.max_by(|a, b| slots[*a].weight.total_cmp(&slots[*b].weight)).unwrap_or(0);
        return Tree::Leaf { slot };
    }
    let last = match last {
        Some(Tree::Cut { axis, at, mid, low, high }) if range.start < *mid && *mid < range.end => {
            Some((*axis, *at, *mid, low, high))
        }
        _ => None,
    };
    let mid = last.map_or_else(|| middle(slots, &range), |last| last.2);
    let weights = [weight(&slots[range.start..mid]), weight(&slots[mid..range.end])];
    let weigh = |axis| fits(side(rect, axis)).then(|| quantile(ground, rect, axis, weights));
    let kept = last.filter(|(axis, at, ..)| {
        let inside = within_margins(rect, *axis, *at, ground.min_side_px);
        inside && imbalance(ground, rect, *axis, *at, weights) <= dead_band
    });
    let (axis, at) = if let Some((axis, at, ..)) = kept {
        (axis, at)
    } else {
        let mut choices: Vec<Weighed> = [Axis::X, Axis::Y].into_iter().filter_map(weigh).collect();
        for choice in &mut choices {
            // The last axis stays unless the other is clearly better.
            choice.score *= if last.is_some_and(|last| last.0 == choice.axis) { 0.9 } else { 1.0 };
        }
        let best = choices.into_iter().min_by(|a, b| a.score.total_cmp(&b.score));
        let best = best.expect("one of both sides is long enough, as checked above");
        (best.axis, best.at)
    };
    let (low, high) = halves(rect, axis, at);
    let last = last.filter(|last| last.0 == axis);
    let low = cut(ground, slots, range.start..mid, low, last.map(|last| &**last.3), dead_band);
    let high = cut(ground, slots, mid..range.end, high, last.map(|last| &**last.4), dead_band);
    Tree::Cut { axis, at, mid, low: Box::new(low), high: Box::new(high) }
}

/// Where the slots' weight is halved best; inside the range.
fn middle(slots: &[Slot], range: &Range<usize>) -> usize {
    let total = weight(&slots[range.clone()]);
    let (mut before, mut best, mut best_error) = (0.0, range.start + 1, f64::INFINITY);
    for (mid, slot) in (range.start + 1..range.end).zip(&slots[range.start..]) {
        before += slot.weight;
        // Between two peers rather than inside one: a peer's tiles lie together.
        let inside = if slots[mid].peer == slot.peer { 0.1 * total } else { 0.0 };
        let error = (before - 0.5 * total).abs() + inside;
        if error < best_error {
            (best, best_error) = (mid, error);
        }
    }
    best
}

/// The cut at which both sides take equally long for their weights.
fn quantile(ground: &Ground<'_>, rect: Rect, axis: Axis, weights: [f64; 2]) -> Weighed {
    let start = origin(rect, axis);
    let (mut low, mut high) = (start + ground.min_side_px, start + side(rect, axis) - ground.min_side_px);
    // Work of the low side grows with the cut: the first cut whose low side takes at least as long as its high side.
    while low < high {
        let at = low + (high - low) / 2;
        let [a, b] = times(ground, rect, axis, at, weights);
        if a >= b { high = at } else { low = at + 1 }
    }
    let longest = |at: u32| times(ground, rect, axis, at, weights).into_iter().fold(0.0, f64::max);
    let before = if low > start + ground.min_side_px { low - 1 } else { low };
    let at = if longest(before) < longest(low) { before } else { low };
    let (a, b) = halves(rect, axis, at);
    let sliver = (aspect(a).max(aspect(b)) - 2.0).max(0.0);
    Weighed { axis, at, score: longest(at) * (1.0 + 0.05 * sliver) }
}

/// Work of both sides with their ghost zones, relative to their weights.
fn times(ground: &Ground<'_>, rect: Rect, axis: Axis, at: u32, weights: [f64; 2]) -> [f64; 2] {
    let (a, b) = halves(rect, axis, at);
    let work = |rect: Rect| ground.work.within(rect.grown(ground.ghost_px, ground.extent));
    [work(a) / weights[0], work(b) / weights[1]]
}

fn imbalance(ground: &Ground<'_>, rect: Rect, axis: Axis, at: u32, weights: [f64; 2]) -> f64 {
    let [a, b] = times(ground, rect, axis, at, weights);
    let mean = (a * weights[0] + b * weights[1]) / (weights[0] + weights[1]);
    a.max(b) / mean.max(f64::MIN_POSITIVE) - 1.0
}

fn weight(slots: &[Slot]) -> f64 {
    slots.iter().map(|slot| slot.weight).sum::<f64>().max(f64::MIN_POSITIVE)
}

fn origin(rect: Rect, axis: Axis) -> u32 {
    if axis == Axis::X { rect.x } else { rect.y }
}

fn side(rect: Rect, axis: Axis) -> u32 {
    if axis == Axis::X { rect.width } else { rect.height }
}

fn aspect(rect: Rect) -> f64 {
    let (w, h) = (f64::from(rect.width), f64::from(rect.height));
    (w / h).max(h / w)
}

fn within_margins(rect: Rect, axis: Axis, at: u32, margin: u32) -> bool {
    let start = origin(rect, axis);
    at >= start + margin && at + margin <= start + side(rect, axis)
}

fn halves(rect: Rect, axis: Axis, at: u32) -> (Rect, Rect) {
    match axis {
        Axis::X => {
            (Rect::new(rect.x, rect.y, at - rect.x, rect.height), Rect::new(at, rect.y, rect.right() - at, rect.height))
        }
        Axis::Y => {
            (Rect::new(rect.x, rect.y, rect.width, at - rect.y), Rect::new(rect.x, at, rect.width, rect.bottom() - at))
        }
    }
}

fn parts(rect: Rect, extent: Extent, ghost_px: u32, most_blocks: usize, emit: &mut impl FnMut(Rect)) {
    if touched_blocks(rect.grown(ghost_px, extent)) <= most_blocks || rect.pixels() < 4 {
        return emit(rect);
    }
    let axis = if rect.width >= rect.height { Axis::X } else { Axis::Y };
    let (a, b) = halves(rect, axis, origin(rect, axis) + side(rect, axis) / 2);
    parts(a, extent, ghost_px, most_blocks, emit);
    parts(b, extent, ghost_px, most_blocks, emit);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(weights: &[f64]) -> Vec<Slot> {
        weights.iter().zip(0..).map(|(w, i)| Slot { peer: PeerId(i), weight: *w }).collect()
    }

    /// Sky above, ten times as much work per pixel below.
    fn city(extent: Extent) -> WorkSum {
        let blocks = extent.scaled(16);
        let density: Vec<f32> =
            (0..blocks.pixels()).map(|i| if i < blocks.pixels() / 2 { 1.0 } else { 10.0 }).collect();
        WorkSum::new(extent, &density)
    }

    #[test]
    fn unequal_slots_get_work_in_proportion() {
        let extent = Extent::new(1280, 720);
        let work = city(extent);
        let ground = Ground { work: &work, doubt: &work, extent, ghost_px: 0, min_side_px: 16 };
        let slots = slots(&[4.0, 4.0, 2.0, 1.0]);
        let tree = Tree::build(&ground, &slots, None, 0.0);
        for (rect, slot) in tree.leaves(extent, 0, usize::MAX) {
            let due = work.total() * slots[slot].weight / 11.0;
            let error = work.within(rect) / due - 1.0;
            assert!(error.abs() < 0.02, "{rect:?} of slot {slot}: {error}");
        }
    }

    #[test]
    fn borders_stay_inside_the_dead_band() {
        let extent = Extent::new(640, 360);
        let work = city(extent);
        let ground = Ground { work: &work, doubt: &work, extent, ghost_px: 8, min_side_px: 16 };
        let first = Tree::build(&ground, &slots(&[1.0, 1.0, 1.0, 1.0]), None, 0.03);
        let nearly = Tree::build(&ground, &slots(&[1.01, 1.0, 1.0, 0.99]), Some(&first), 0.03);
        assert_eq!(first, nearly);
        let other = Tree::build(&ground, &slots(&[1.5, 1.0, 1.0, 0.5]), Some(&first), 0.03);
        assert_ne!(first, other);
    }

    #[test]
    fn a_rectangle_of_too_many_blocks_comes_in_parts() {
        let extent = Extent::new(3840, 2160);
        let leaves = Tree::Leaf { slot: 0 }.leaves(extent, 8, 12_000);
        assert!(leaves.len() >= 3 && leaves.iter().all(|(r, _)| touched_blocks(r.grown(8, extent)) <= 12_000));
        assert_eq!(leaves.iter().map(|(rect, _)| rect.pixels()).sum::<usize>(), extent.pixels());
    }
}
