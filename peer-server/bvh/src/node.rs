//! The eight-wide node: 80 bytes, child boxes in 8 bits an edge (Ylitie et al. 2017), and how binary trees become it.
//!
//! | word | what |
//! |---|---|
//! | 0..3 | corner that the child boxes are counted from, f32 x 3 |
//! | 3 | biased exponents of the three step sizes, one byte an axis; byte 3: which slots hold nodes |
//! | 4 | index of the first child node (24 bits); child nodes follow in slot order; top byte: which slots have a box |
//! | 5 | index of the first primitive of the leaves among the slots |
//! | 6..8 | one byte a slot: leaf = count << 5 \| offset from word 5; node or empty = 0 |
//! | 8..14 | lower edges: x of slots 0-3, x of 4-7, y, y, z, z |
//! | 14..20 | upper edges, alike |
//!
//! Slots are chosen so that visiting `slot ^ octant` from low to high (octant: bit set = the ray's axis is negative) goes roughly front to back.

use crate::Aabb;
use crate::binary::{BinaryNode, center};
use glam::Vec3;

/// Every buffer starts at a device address that is a multiple of this.
pub const ALIGNMENT: usize = 16;
/// Words (u32) of a node.
pub(crate) const NODE_WORDS: usize = 20;
/// Words (u32) of a buffer's header.
pub(crate) const HEADER_WORDS: usize = 16;
/// Children of a node.
pub(crate) const WIDTH: usize = 8;
/// Most nodes on a path; the walks' stacks are made for it.
pub(crate) const MAX_DEPTH: u32 = 32;

/// A node before it is packed.
#[derive(Clone)]
pub(crate) struct WideNode {
    pub(crate) bounds: [Aabb; WIDTH],
    pub(crate) content: [Content; WIDTH],
    pub(crate) child_base: u32,
    pub(crate) primitive_base: u32,
}

impl WideNode {
    pub(crate) const EMPTY: WideNode =
        WideNode { bounds: [Aabb::EMPTY; WIDTH], content: [Content::Empty; WIDTH], child_base: 0, primitive_base: 0 };
}

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    Empty,
    Node,
    Leaf { offset: u8, count: u8 },
}

/// A collapsed tree: nodes, parents before children, and for each primitive in leaf order its place in the binary order.
pub(crate) struct WideTree {
    pub(crate) nodes: Vec<WideNode>,
    pub(crate) order: Vec<u32>,
    pub(crate) depth: u32,
}

/// Collapses a binary tree: a node takes over grandchildren, largest first, until it has eight.
pub(crate) fn collapse(binary: &[BinaryNode], primitive_count: usize) -> WideTree {
    let mut tree = WideTree { nodes: Vec::new(), order: Vec::with_capacity(primitive_count), depth: 0 };
    if binary.is_empty() {
        return tree;
    }
    // A node is made for the root even when it is a leaf. Depth first, so that what is walked together lies together;
    // siblings are numbered together, before any of their children.
    let mut queue = vec![(0u32, 0usize, 1u32)];
    let mut placed = 1u32;
    while let Some((root, place, depth)) = queue.pop() {
        tree.depth = tree.depth.max(depth);
        let (children, count) = widen(binary, root);
        let children = &children[..count];
        let slots = assign_slots(binary, root, children);
        let mut node = WideNode { child_base: placed, primitive_base: tree.order.len() as u32, ..WideNode::EMPTY };
        for (slot, child) in slots.into_iter().enumerate() {
            let Some(child) = child else { continue };
            let b = &binary[child as usize];
            node.bounds[slot] = b.bounds();
            node.content[slot] = if b.count == 0 {
                queue.push((child, placed as usize, depth + 1));
                placed += 1;
                Content::Node
            } else {
                let offset = tree.order.len() as u32 - node.primitive_base;
                tree.order.extend(b.first..b.first + b.count);
                Content::Leaf { offset: offset as u8, count: b.count as u8 }
            };
        }
        if tree.nodes.len() <= place {
            tree.nodes.resize(place + 1, WideNode::EMPTY);
        }
        tree.nodes[place] = node;
    }
    tree
}

fn widen(binary: &[BinaryNode], root: u32) -> ([u32; WIDTH], usize) {
    let mut children = [0; WIDTH];
    children[0] = root;
    let mut count = 1;
    while count < WIDTH {
        let largest = (0..count)
            .filter(|&i| binary[children[i] as usize].count == 0)
            .max_by(|&a, &b| area(binary, children[a]).total_cmp(&area(binary, children[b])));
        let Some(largest) = largest else { break };
        let first = binary[children[largest] as usize].first;
        children[largest] = first;
        children[count] = first + 1;
        count += 1;
    }
    (children, count)
}

fn area(binary: &[BinaryNode], node: u32) -> f32 {
    binary[node as usize].half_area()
}

/// Gives each child the free slot whose octant it lies furthest in, best matches first.
fn assign_slots(binary: &[BinaryNode], root: u32, children: &[u32]) -> [Option<u32>; WIDTH] {
    let middle = center(&binary[root as usize].bounds());
    let mut gain = [[0.0f32; WIDTH]; WIDTH];
    for (child, row) in children.iter().zip(&mut gain) {
        let d = center(&binary[*child as usize].bounds()) - middle;
        for (slot, g) in row.iter_mut().enumerate() {
            let sign = |bit: usize| if slot >> bit & 1 == 1 { 1.0 } else { -1.0 };
            *g = d.dot(Vec3::new(sign(0), sign(1), sign(2)));
        }
    }
    let mut slots = [None; WIDTH];
    let mut placed = [false; WIDTH];
    for _ in 0..children.len() {
        let mut best = (f32::NEG_INFINITY, usize::MAX, usize::MAX);
        for child in (0..children.len()).filter(|&c| !placed[c]) {
            for slot in (0..WIDTH).filter(|&s| slots[s].is_none()) {
                if best.1 == usize::MAX || gain[child][slot] > best.0 {
                    best = (gain[child][slot], child, slot);
                }
            }
        }
        let (_, child, slot) = best;
        placed[child] = true;
        slots[slot] = Some(children[child]);
    }
    slots
}

/// The step of an axis as a biased exponent: the smallest power of two of which 254 span `extent`.
fn exponent(extent: f32) -> u32 {
    if extent <= 0.0 {
        return 1;
    }
    let step = extent / 254.0;
    let bits = step.to_bits();
    let biased = (bits >> 23) + u32::from(bits & 0x7f_ffff != 0);
    biased.clamp(1, 254)
}

/// The box of all that a node holds.
pub(crate) fn bounds(node: &WideNode) -> Aabb {
    node.bounds.iter().fold(Aabb::EMPTY, |a, b| a.union(*b))
}

/// Half of the surface area of all boxes that a node holds.
pub(crate) fn area_of_children(node: &WideNode) -> f32 {
    node.bounds.iter().map(Aabb::half_area).sum()
}

/// Packs `node` into its words. Boxes only ever grow.
pub(crate) fn encode(node: &WideNode, words: &mut [u32]) {
    let all = bounds(node);
    let base = if all.is_empty() { Vec3::ZERO } else { all.min };
    let mut exponents = [1; 3];
    let mut step = Vec3::ONE;
    for axis in 0..3 {
        if !all.is_empty() {
            // Where the extent overflows, halves do not.
            exponents[axis] = exponent(all.max[axis] - base[axis]);
        }
        step[axis] = f32::from_bits(exponents[axis] << 23);
    }
    let mut bytes = [[[0u8; WIDTH]; 3]; 2];
    let per_step = [0, 1, 2].map(|axis: usize| 1.0 / f64::from(step[axis]));
    let (mut node_mask, mut used) = (0, 0u32);
    let mut meta = [0u8; WIDTH];
    for slot in 0..WIDTH {
        let b = &node.bounds[slot];
        used |= u32::from(!b.is_empty() && node.content[slot] != Content::Empty) << slot;
        match node.content[slot] {
            Content::Node => node_mask |= 1 << slot,
            Content::Leaf { offset, count } => meta[slot] = count << 5 | offset,
            Content::Empty => {}
        }
        for axis in 0..3 {
            if b.is_empty() || node.content[slot] == Content::Empty {
                bytes[0][axis][slot] = 255;
                bytes[1][axis][slot] = 0;
                continue;
            }
            // In f64 the difference of two f32 and its product with a power of two are exact where it matters.
            let quotient = |v: f32| (f64::from(v) - f64::from(base[axis])) * per_step[axis];
            bytes[0][axis][slot] = quotient(b.min[axis]).floor().clamp(0.0, 255.0) as u8;
            bytes[1][axis][slot] = quotient(b.max[axis]).ceil().clamp(0.0, 255.0) as u8;
        }
    }
    words[0] = base.x.to_bits();
    words[1] = base.y.to_bits();
    words[2] = base.z.to_bits();
    words[3] = exponents[0] | exponents[1] << 8 | exponents[2] << 16 | node_mask << 24;
    words[4] = node.child_base | used << 24;
    words[5] = node.primitive_base;
    let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    words[6] = word(&meta[..4]);
    words[7] = word(&meta[4..]);
    for (side, axes) in bytes.iter().enumerate() {
        for (axis, b) in axes.iter().enumerate() {
            words[8 + side * 6 + axis * 2] = word(&b[..4]);
            words[9 + side * 6 + axis * 2] = word(&b[4..]);
        }
    }
}

/// Index of a packed node's first child node.
pub(crate) fn child_base(words: &[u32]) -> u32 {
    words[4] & 0xff_ffff
}

/// Whether a slot of a packed node has a box: empty ones have none, nor have those whose triangles a refit lost.
pub(crate) fn has_box(words: &[u32], slot: usize) -> bool {
    words[4] >> (24 + slot) & 1 == 1
}

/// Reads what slots of a packed node hold.
pub(crate) fn content(words: &[u32], slot: usize) -> Content {
    if words[3] >> (24 + slot) & 1 == 1 {
        return Content::Node;
    }
    let meta = words[6 + slot / 4] >> (slot % 4 * 8) & 0xff;
    if meta == 0 {
        return Content::Empty;
    }
    Content::Leaf { offset: (meta & 31) as u8, count: (meta >> 5) as u8 }
}
