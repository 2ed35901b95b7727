//! Moves subtrees of a binary tree to where they enlarge other boxes least: Bittner, Hapala and Havran, "Fast Insertion-Based
//! Optimization of Bounding Volume Hierarchies", 2013, largest boxes first as in Meister and Bittner, "Parallel Reinsertion for
//! Bounding Volume Hierarchy Optimization", 2018.

use crate::binary::{BinaryNode, half_area};
use glam::Vec4;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A third one made the city of 200,000 triangles faster still and the one of a million slower again.
const PASSES: usize = 2;
const NONE: u32 = u32::MAX;

/// Lessens the summed area of all boxes; the root stays node 0 and siblings stay side by side.
pub(crate) fn reinsert(nodes: &mut Vec<BinaryNode>) {
    if nodes.is_empty() {
        return;
    }
    let mut tree = Tree::new(nodes);
    let mut queue = BinaryHeap::new();
    for _ in 0..PASSES {
        let mut order: Vec<u32> = (1..nodes.len() as u32).collect();
        order.sort_by(|a, b| tree.area(*b).total_cmp(&tree.area(*a)).then(a.cmp(b)));
        for node in order {
            tree.reinsert(node, &mut queue);
        }
    }
    *nodes = tree.in_order(nodes);
}

/// The tree with links both ways, by the indices of its nodes at first.
struct Tree {
    boxes: Vec<[Vec4; 2]>,
    parent: Vec<u32>,
    children: Vec<[u32; 2]>,
}

/// Where a node may go: what boxes above would grow by, and beside which one. Least growth first.
type Candidates = BinaryHeap<(Reverse<u32>, u32)>;

impl Tree {
    fn new(nodes: &[BinaryNode]) -> Tree {
        let mut tree = Tree {
            // What rides in the last component would make equal boxes unequal.
            boxes: nodes.iter().map(|n| [n.min, n.max].map(|v| v.with_w(0.0))).collect(),
            parent: vec![NONE; nodes.len()],
            children: vec![[NONE; 2]; nodes.len()],
        };
        for (i, node) in nodes.iter().enumerate().filter(|(_, n)| n.count == 0) {
            tree.adopt(i as u32, [node.first, node.first + 1]);
        }
        tree
    }

    fn area(&self, node: u32) -> f32 {
        let [min, max] = self.boxes[node as usize];
        half_area(min, max)
    }

    fn union(&self, a: u32, b: u32) -> [Vec4; 2] {
        let ([a_min, a_max], [b_min, b_max]) = (self.boxes[a as usize], self.boxes[b as usize]);
        [a_min.min(b_min), a_max.max(b_max)]
    }

    fn adopt(&mut self, parent: u32, children: [u32; 2]) {
        self.children[parent as usize] = children;
        children.into_iter().for_each(|child| self.parent[child as usize] = parent);
    }

    /// Puts `new` where `old` is, and fits the boxes above.
    fn replace(&mut self, old: u32, new: u32) {
        let mut above = self.parent[old as usize];
        let children = self.children[above as usize].map(|child| if child == old { new } else { child });
        self.adopt(above, children);
        while above != NONE {
            let [left, right] = self.children[above as usize];
            let fitted = self.union(left, right);
            if fitted == self.boxes[above as usize] {
                break;
            }
            self.boxes[above as usize] = fitted;
            above = self.parent[above as usize];
        }
    }

    fn reinsert(&mut self, node: u32, queue: &mut Candidates) {
        let parent = self.parent[node as usize];
        // The root's children stay: taking one away would leave a root of one child.
        if parent == 0 {
            return;
        }
        let [left, right] = self.children[parent as usize];
        let sibling = if left == node { right } else { left };
        self.replace(parent, sibling);
        let place = self.best_place(node, sibling, queue);
        // The parent comes along: it joins the node and what stands there.
        self.boxes[parent as usize] = self.union(place, node);
        self.replace(place, parent);
        self.adopt(parent, [place, node]);
    }

    /// Branch and bound: no place below a box adds less area than that box's growth and the node itself.
    fn best_place(&self, node: u32, otherwise: u32, queue: &mut Candidates) -> u32 {
        let own = self.area(node);
        let mut best = (f32::INFINITY, otherwise);
        queue.clear();
        queue.push((Reverse(0), 0));
        while let Some((Reverse(growth), place)) = queue.pop() {
            // Floats that are not negative sort as their bits do.
            let growth = f32::from_bits(growth);
            if growth + own >= best.0 {
                break;
            }
            let [min, max] = self.union(place, node);
            let joined = half_area(min, max);
            if place != 0 && growth + joined < best.0 {
                best = (growth + joined, place);
            }
            let below = (growth + joined - self.area(place)).max(0.0);
            if self.children[place as usize][0] != NONE && below + own < best.0 {
                queue.extend(self.children[place as usize].map(|child| (Reverse(below.to_bits()), child)));
            }
        }
        best.1
    }

    /// As [`BinaryNode`]s again.
    fn in_order(&self, nodes: &[BinaryNode]) -> Vec<BinaryNode> {
        let mut out = nodes.to_vec();
        let mut placed = 1;
        let mut queue = vec![(0u32, 0usize)];
        while let Some((from, to)) = queue.pop() {
            let [min, max] = self.boxes[from as usize];
            out[to] = BinaryNode { min, max, ..nodes[from as usize] };
            if nodes[from as usize].count == 0 {
                out[to].first = placed as u32;
                let [left, right] = self.children[from as usize];
                queue.extend([(right, placed + 1), (left, placed)]);
                placed += 2;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Aabb;
    use crate::binary::{Costs, PrimitiveBox, build, build_balanced};
    use glam::Vec3;

    #[test]
    fn a_poor_tree_gets_smaller_boxes_and_keeps_all_that_it_holds() {
        let at = |i: u32| {
            let min = Vec3::new((i * 7 % 31) as f32, (i * 11 % 17) as f32, (i * 5 % 23) as f32);
            PrimitiveBox::new(Aabb { min, max: min + Vec3::splat(1.0 + (i % 3) as f32) }, i)
        };
        let costs = Costs { node: 0.0, max_leaf: 1 };
        let mut boxes: Vec<PrimitiveBox> = (0..500).map(at).collect();
        for mut nodes in [build_balanced(&mut boxes, costs), build(&mut boxes, costs)] {
            let area = |nodes: &[BinaryNode]| nodes.iter().map(BinaryNode::half_area).sum::<f32>();
            let before = area(&nodes);
            reinsert(&mut nodes);
            assert!(area(&nodes) < before, "{} of {before}", area(&nodes));
            let mut held: Vec<u32> = nodes.iter().filter(|n| n.count > 0).map(|n| n.first).collect();
            held.sort_unstable();
            assert!(held.into_iter().eq(0..500));
            for node in nodes.iter().filter(|n| n.count == 0) {
                let [a, b] = [0, 1].map(|i| nodes[node.first as usize + i].bounds());
                assert_eq!((a.union(b).min, a.union(b).max), (node.bounds().min, node.bounds().max));
            }
        }
        for count in 0..4 {
            let mut nodes = build(&mut boxes[..count], costs);
            reinsert(&mut nodes);
            assert_eq!(nodes.iter().filter(|n| n.count > 0).count(), count);
        }
    }
}
