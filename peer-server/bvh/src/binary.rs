//! The binary tree that the wide one is collapsed from: binned surface area heuristic (Wald 2007).

use crate::Aabb;
use glam::{Vec3, Vec4};

/// A primitive's box; `min.w` carries the bits of its index, so that 32 bytes move as one.
#[derive(Clone, Copy)]
pub(crate) struct PrimitiveBox {
    min: Vec4,
    max: Vec4,
}

impl PrimitiveBox {
    pub(crate) fn new(bounds: Aabb, index: u32) -> PrimitiveBox {
        PrimitiveBox { min: bounds.min.extend(f32::from_bits(index)), max: bounds.max.extend(0.0) }
    }

    pub(crate) fn index(&self) -> u32 {
        self.min.w.to_bits()
    }

    /// Twice the centroid; w is meaningless.
    fn centroid(&self) -> Vec4 {
        self.min + self.max
    }
}

/// A node of the binary tree: `count` = 0 has its children at `first` and `first` + 1, else it is a leaf of `count`
/// primitives from `first`.
#[derive(Clone, Copy)]
pub(crate) struct BinaryNode {
    pub(crate) min: Vec4,
    pub(crate) max: Vec4,
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl BinaryNode {
    pub(crate) fn bounds(&self) -> Aabb {
        Aabb { min: self.min.truncate(), max: self.max.truncate() }
    }

    pub(crate) fn half_area(&self) -> f32 {
        half_area(self.min, self.max)
    }
}

/// What a walk costs, in units of one primitive test.
#[derive(Clone, Copy)]
pub(crate) struct Costs {
    /// One binary node.
    pub(crate) node: f32,
    /// Most primitives that a leaf may hold.
    pub(crate) max_leaf: u32,
}

const BINS: usize = 16;
const MIN_BINS: usize = 6;
/// Beyond this depth primitives are halved, not weighed: adversarial positions would otherwise give endless chains.
const MAX_SAH_DEPTH: u32 = 40;

pub(crate) fn half_area(min: Vec4, max: Vec4) -> f32 {
    let e = (max - min).max(Vec4::ZERO);
    e.x * e.y + e.y * e.z + e.z * e.x
}

#[derive(Clone, Copy)]
struct Extent {
    min: Vec4,
    max: Vec4,
}

impl Extent {
    const EMPTY: Extent = Extent { min: Vec4::INFINITY, max: Vec4::NEG_INFINITY };

    fn grow(&mut self, min: Vec4, max: Vec4) {
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }
}

#[derive(Clone, Copy)]
struct Bin {
    extent: Extent,
    count: u32,
}

impl Bin {
    const EMPTY: Bin = Bin { extent: Extent::EMPTY, count: 0 };
}

/// Bins of the three axes, filled anew for each split: most splits are of so few that emptying all of them would take longer.
type Bins = [[Bin; BINS]; 3];

struct Span {
    node: usize,
    begin: usize,
    end: usize,
    centroids: Extent,
    depth: u32,
    max_sah_depth: u32,
}

/// Builds the tree over `primitives` and sorts them into leaf order; the root is node 0. No primitives, no nodes.
pub(crate) fn build(primitives: &mut [PrimitiveBox], costs: Costs) -> Vec<BinaryNode> {
    build_to(primitives, costs, MAX_SAH_DEPTH)
}

/// As [`build`], by halving alone: a poor tree, but log2(n) deep whatever the positions are.
pub(crate) fn build_balanced(primitives: &mut [PrimitiveBox], costs: Costs) -> Vec<BinaryNode> {
    build_to(primitives, costs, 0)
}

fn build_to(primitives: &mut [PrimitiveBox], costs: Costs, max_sah_depth: u32) -> Vec<BinaryNode> {
    if primitives.is_empty() {
        return Vec::new();
    }
    let mut bounds = Extent::EMPTY;
    let mut centroids = Extent::EMPTY;
    for p in primitives.iter() {
        bounds.grow(p.min, p.max);
        centroids.grow(p.centroid(), p.centroid());
    }
    let mut nodes = Vec::with_capacity(primitives.len() * 2);
    nodes.push(BinaryNode { min: bounds.min, max: bounds.max, first: 0, count: 0 });
    let mut bins: Bins = [[Bin::EMPTY; BINS]; 3];
    let mut spans = vec![Span { node: 0, begin: 0, end: primitives.len(), centroids, depth: 0, max_sah_depth }];
    while let Some(span) = spans.pop() {
        let count = span.end - span.begin;
        let set = &mut primitives[span.begin..span.end];
        let node = &nodes[span.node];
        let Some((middle, left, right)) = split(set, node, &span, costs, &mut bins) else {
            nodes[span.node].first = span.begin as u32;
            nodes[span.node].count = count as u32;
            continue;
        };
        let first = nodes.len();
        nodes[span.node].first = first as u32;
        nodes.push(BinaryNode { min: left.bounds.min, max: left.bounds.max, first: 0, count: 0 });
        nodes.push(BinaryNode { min: right.bounds.min, max: right.bounds.max, first: 0, count: 0 });
        let middle = span.begin + middle;
        let depth = span.depth + 1;
        spans.push(Span { node: first + 1, begin: middle, end: span.end, centroids: right.centroids, depth, ..span });
        spans.push(Span { node: first, begin: span.begin, end: middle, centroids: left.centroids, depth, ..span });
    }
    nodes
}

struct Side {
    bounds: Extent,
    centroids: Extent,
}

impl Side {
    const EMPTY: Side = Side { bounds: Extent::EMPTY, centroids: Extent::EMPTY };

    fn grow(&mut self, p: &PrimitiveBox) {
        self.bounds.grow(p.min, p.max);
        let c = p.centroid();
        self.centroids.grow(c, c);
    }
}

/// Reorders `set` into two parts and says where the second begins; `None` where a leaf is best.
fn split(
    set: &mut [PrimitiveBox],
    node: &BinaryNode,
    span: &Span,
    costs: Costs,
    bins: &mut Bins,
) -> Option<(usize, Side, Side)> {
    let count = set.len();
    if count == 1 {
        return None;
    }
    let size = span.centroids.max - span.centroids.min;
    let widest = if size.x >= size.y && size.x >= size.z {
        0
    } else if size.y >= size.z {
        1
    } else {
        2
    };
    if size[widest] <= 0.0 || span.depth >= span.max_sah_depth || !size[widest].is_finite() {
        if count <= costs.max_leaf as usize {
            return None;
        }
        return Some(halve(set, widest));
    }
    if let [a, b] = set {
        return split_pair(a, b, node, size, costs);
    }
    // Small sets need few bins, and most sets are small.
    let used = count.clamp(MIN_BINS, BINS);
    bins.iter_mut().for_each(|bins| bins[..used].fill(Bin::EMPTY));
    // The bin is the integer next to (c - min) * scale - 0.5; adding 1.5 * 2^23 leaves it in the mantissa's low bits. (Added
    // to 2^23 - 0.5 instead, the smallest values would stay below 2^23, where the low bits say 255.)
    let scale = Vec4::splat(used as f32 * 0.999_99) / size.max(Vec4::splat(f32::MIN_POSITIVE));
    let scale = Vec4::select(size.cmpgt(Vec4::ZERO), scale.min(Vec4::splat(f32::MAX)), Vec4::ZERO);
    let offset = span.centroids.min;
    let bin_of = |p: &PrimitiveBox| -> [usize; 3] {
        let b = (p.centroid() - offset) * scale - Vec4::splat(0.5) + Vec4::splat(12_582_912.0);
        [b.x, b.y, b.z].map(|f| (f.to_bits() & 0xff).min(used as u32 - 1) as usize)
    };
    for p in set.iter() {
        for (axis, bin) in bin_of(p).into_iter().enumerate() {
            let bin = &mut bins[axis][bin];
            bin.extent.grow(p.min, p.max);
            bin.count += 1;
        }
    }
    let mut best = (f32::INFINITY, 0, 0);
    for (axis, bins) in bins.iter().enumerate() {
        if size[axis] <= 0.0 {
            continue;
        }
        let mut right_cost = [0.0; BINS];
        let (mut extent, mut n) = (Extent::EMPTY, 0);
        for i in (1..used).rev() {
            extent.grow(bins[i].extent.min, bins[i].extent.max);
            n += bins[i].count;
            right_cost[i] = if n == 0 { f32::INFINITY } else { half_area(extent.min, extent.max) * n as f32 };
        }
        let (mut extent, mut n) = (Extent::EMPTY, 0);
        for (i, bin) in bins[..used - 1].iter().enumerate() {
            extent.grow(bin.extent.min, bin.extent.max);
            n += bin.count;
            if n == 0 {
                continue;
            }
            let cost = half_area(extent.min, extent.max) * n as f32 + right_cost[i + 1];
            if cost < best.0 {
                best = (cost, axis, i);
            }
        }
    }
    let (cost, axis, bin) = best;
    if count <= costs.max_leaf as usize {
        let area = node.half_area();
        // A cost that is NaN or infinite means a leaf.
        let worth_it = cost + costs.node * area < count as f32 * area;
        if !worth_it {
            return None;
        }
    }
    if !cost.is_finite() {
        return Some(halve(set, widest));
    }
    let (mut left, mut right) = (Side::EMPTY, Side::EMPTY);
    let (mut i, mut j) = (0, count);
    while i < j {
        let p = set[i];
        if bin_of(&p)[axis] <= bin {
            left.grow(&p);
            i += 1;
        } else {
            right.grow(&p);
            j -= 1;
            set.swap(i, j);
        }
    }
    Some((i, left, right))
}

/// What weighing bins comes to for two primitives, without any: the first axis on which they part.
fn split_pair(
    a: &mut PrimitiveBox,
    b: &mut PrimitiveBox,
    node: &BinaryNode,
    size: Vec4,
    costs: Costs,
) -> Option<(usize, Side, Side)> {
    if costs.max_leaf >= 2 {
        let area = node.half_area();
        let cost = half_area(a.min, a.max) + half_area(b.min, b.max);
        // A cost that is NaN or infinite means a leaf.
        let worth_it = cost + costs.node * area < 2.0 * area;
        if !worth_it {
            return None;
        }
    }
    let axis = (0..3).find(|axis| size[*axis] > 0.0)?;
    if a.centroid()[axis] > b.centroid()[axis] {
        std::mem::swap(a, b);
    }
    let (mut left, mut right) = (Side::EMPTY, Side::EMPTY);
    left.grow(a);
    right.grow(b);
    Some((1, left, right))
}

fn halve(set: &mut [PrimitiveBox], axis: usize) -> (usize, Side, Side) {
    let middle = set.len() / 2;
    set.select_nth_unstable_by(middle, |a, b| {
        a.centroid()[axis].total_cmp(&b.centroid()[axis]).then(a.index().cmp(&b.index()))
    });
    let (mut left, mut right) = (Side::EMPTY, Side::EMPTY);
    set[..middle].iter().for_each(|p| left.grow(p));
    set[middle..].iter().for_each(|p| right.grow(p));
    (middle, left, right)
}

/// Centre of a box, for ordering; halves first so that huge boxes stay finite.
pub(crate) fn center(bounds: &Aabb) -> Vec3 {
    bounds.min * 0.5 + bounds.max * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_boxes_is_split_into_halves_that_do_not_overlap() {
        let at = |i: u32| {
            let min = Vec3::new(i as f32, 0.0, 0.0);
            PrimitiveBox::new(Aabb { min, max: min + Vec3::splat(0.5) }, i)
        };
        let mut row: Vec<PrimitiveBox> = (0..100).map(at).collect();
        let nodes = build(&mut row, Costs { node: 1.0, max_leaf: 3 });
        for node in nodes.iter().filter(|n| n.count == 0) {
            let (left, right) = (&nodes[node.first as usize], &nodes[node.first as usize + 1]);
            assert!(left.max.x < right.min.x, "{:?} meets {:?}", left.bounds(), right.bounds());
        }
    }
}
