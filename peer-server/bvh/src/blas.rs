//! Trees over triangles.
//!
//! Layout of [`Blas::bytes`], in words of 4 bytes: header (16), nodes (20 each), triangles (10 each).
//!
//! | header word | what |
//! |---|---|
//! | 0 | number of nodes; 0 = nothing to hit |
//! | 1 | number of primitives |
//! | 2 | where primitives begin, in units of 16 bytes from the header |
//! | 4..7, 8..11 | bounds: minimum, maximum |
//!
//! A triangle is its three corners, and a word with its primitive index and, in the top bit, that it is not opaque.

use crate::Aabb;
use crate::binary::{self, BinaryNode, Costs, PrimitiveBox};
use crate::node::{self, Content, HEADER_WORDS, MAX_DEPTH, NODE_WORDS, WIDTH, WideNode, WideTree};
use glam::Vec3;

/// Words (u32) of a triangle.
pub(crate) const TRIANGLE_WORDS: usize = 10;
/// Bit beside a triangle's primitive index: `accept_hit` decides about it.
pub(crate) const TRIANGLE_NON_OPAQUE: u32 = 1 << 31;
/// More triangles than this do not fit the walk's 32-bit offsets; [`Blas::build`] ignores those beyond.
pub const MAX_TRIANGLES: usize = 1 << 25;
/// Weights found by measuring on lavapipe.
const COSTS: Costs = Costs { node: 0.5, max_leaf: 2 };

/// An acceleration structure over the triangles of one mesh, in the mesh's own space.
#[derive(Clone, Debug)]
pub struct Blas {
    words: Vec<u32>,
    bounds: Aabb,
    node_count: usize,
    relative_area: f32,
    /// The corners of each stored triangle, for refits.
    corners: Vec<[u32; 3]>,
}

impl Blas {
    /// Builds over `indices` (three per triangle; a rest is ignored). Triangles with a non-finite corner or an index out
    /// of range are left out; no triangles at all is legal. All triangles are opaque.
    pub fn build(positions: &[Vec3], indices: &[u32]) -> Blas {
        Blas::build_with_flags(positions, indices, &|_| false)
    }

    /// As [`Blas::build`]; `non_opaque` says which primitives `accept_hit` decides about.
    pub fn build_with_flags(positions: &[Vec3], indices: &[u32], non_opaque: &dyn Fn(u32) -> bool) -> Blas {
        let (triangles, _) = indices.as_chunks::<3>();
        let triangles = &triangles[..triangles.len().min(MAX_TRIANGLES)];
        let mut boxes = Vec::with_capacity(triangles.len());
        for (i, corners) in triangles.iter().enumerate() {
            let Some(corners) = triangle(positions, corners) else { continue };
            let bounds = Aabb { min: corners[0], max: corners[0] }.with_point(corners[1]).with_point(corners[2]);
            boxes.push(PrimitiveBox::new(bounds, i as u32));
        }
        let tree = build_tree(&mut boxes, COSTS, |_| ());
        let mut words = vec![0u32; HEADER_WORDS + tree.nodes.len() * NODE_WORDS + boxes.len() * TRIANGLE_WORDS];
        let bounds = tree.nodes.first().map_or(Aabb::EMPTY, node::bounds);
        write_tree(&mut words, &tree, boxes.len(), bounds);
        let mut corners = Vec::with_capacity(boxes.len());
        let first = HEADER_WORDS + tree.nodes.len() * NODE_WORDS;
        for (place, &source) in tree.order.iter().enumerate() {
            let primitive = boxes[source as usize].index();
            let c = triangles[primitive as usize];
            corners.push(c);
            let out = &mut words[first + place * TRIANGLE_WORDS..][..TRIANGLE_WORDS];
            write_corners(out, triangle(positions, &c).expect("only triangles with valid corners were boxed"));
            out[9] = primitive | if non_opaque(primitive) { TRIANGLE_NON_OPAQUE } else { 0 };
        }
        let relative_area = tree.nodes.iter().map(node::area_of_children).sum::<f32>() / bounds.half_area();
        Blas { words, bounds, node_count: tree.nodes.len(), relative_area, corners }
    }

    /// What to upload, at an address that is a multiple of [`crate::ALIGNMENT`]. Never empty.
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }

    /// The box of all triangles; empty where there are none.
    pub fn bounds(&self) -> Aabb {
        self.bounds
    }

    /// Surface area of all boxes within the tree, in areas of the box around it: about how many of them a ray that meets the
    /// mesh meets. Compared with that of a new build, it says what refits have cost (Kopta et al. 2012, "Fast, effective
    /// BVH updates for animated scenes"). NaN where there is no area.
    pub fn relative_area(&self) -> f32 {
        self.relative_area
    }

    /// Number of triangles stored (those that were dropped do not count).
    pub fn triangle_count(&self) -> usize {
        self.corners.len()
    }

    /// Moves the triangles to new positions and keeps the tree's shape: far cheaper than a build, slower to walk the
    /// further the mesh deforms. Upload [`Blas::bytes`] again afterwards.
    ///
    /// `positions` must be the array of the build with moved vertices; a triangle with a corner that is now non-finite
    /// or missing cannot be hit until a later refit gives it one.
    pub fn refit(&mut self, positions: &[Vec3]) {
        let first = HEADER_WORDS + self.node_count * NODE_WORDS;
        for (place, c) in self.corners.iter().enumerate() {
            let out = &mut self.words[first + place * TRIANGLE_WORDS..][..TRIANGLE_WORDS];
            // Three equal corners are never hit.
            write_corners(out, triangle(positions, c).unwrap_or([Vec3::NAN; 3]));
        }
        let mut boxes = vec![Aabb::EMPTY; self.node_count];
        let mut area = 0.0;
        // Children come after their parents.
        for i in (0..self.node_count).rev() {
            let words = &self.words[HEADER_WORDS + i * NODE_WORDS..][..NODE_WORDS];
            let mut wide =
                WideNode { child_base: node::child_base(words), primitive_base: words[5], ..WideNode::EMPTY };
            let mut child = wide.child_base as usize;
            for slot in 0..WIDTH {
                wide.content[slot] = node::content(words, slot);
                wide.bounds[slot] = match wide.content[slot] {
                    Content::Empty => Aabb::EMPTY,
                    Content::Node => {
                        child += 1;
                        boxes[child - 1]
                    }
                    Content::Leaf { offset, count } => {
                        let begin = wide.primitive_base as usize + offset as usize;
                        (begin..begin + count as usize).fold(Aabb::EMPTY, |a, t| a.union(self.triangle_bounds(t)))
                    }
                };
            }
            boxes[i] = node::bounds(&wide);
            area += node::area_of_children(&wide);
            node::encode(&wide, &mut self.words[HEADER_WORDS + i * NODE_WORDS..][..NODE_WORDS]);
        }
        self.bounds = boxes.first().copied().unwrap_or(Aabb::EMPTY);
        self.relative_area = area / self.bounds.half_area();
        write_bounds(&mut self.words, self.bounds);
    }

    fn triangle_bounds(&self, place: usize) -> Aabb {
        let words = &self.words[HEADER_WORDS + self.node_count * NODE_WORDS + place * TRIANGLE_WORDS..];
        let corner =
            |i: usize| Vec3::new(f32::from_bits(words[i]), f32::from_bits(words[i + 1]), f32::from_bits(words[i + 2]));
        if corner(0).is_nan() {
            return Aabb::EMPTY;
        }
        Aabb { min: corner(0), max: corner(0) }.with_point(corner(3)).with_point(corner(6))
    }
}

fn triangle(positions: &[Vec3], corners: &[u32; 3]) -> Option<[Vec3; 3]> {
    let corner = |i: u32| positions.get(i as usize).copied().filter(|p| p.is_finite());
    Some([corner(corners[0])?, corner(corners[1])?, corner(corners[2])?])
}

fn write_corners(out: &mut [u32], corners: [Vec3; 3]) {
    for (i, c) in corners.into_iter().enumerate() {
        out[i * 3] = c.x.to_bits();
        out[i * 3 + 1] = c.y.to_bits();
        out[i * 3 + 2] = c.z.to_bits();
    }
}

/// Builds a wide tree that no walk's stack overflows on, from a binary one that was made better by `optimize`.
pub(crate) fn build_tree(
    boxes: &mut [PrimitiveBox],
    costs: Costs,
    optimize: impl FnOnce(&mut Vec<BinaryNode>),
) -> WideTree {
    let mut nodes = binary::build(boxes, costs);
    optimize(&mut nodes);
    let tree = node::collapse(&nodes, boxes.len());
    if tree.depth <= MAX_DEPTH {
        return tree;
    }
    node::collapse(&binary::build_balanced(boxes, costs), boxes.len())
}

/// Writes header and nodes of a tree over `primitives` things.
pub(crate) fn write_tree(words: &mut [u32], tree: &WideTree, primitives: usize, bounds: Aabb) {
    words[0] = tree.nodes.len() as u32;
    words[1] = primitives as u32;
    words[2] = ((HEADER_WORDS + tree.nodes.len() * NODE_WORDS) / 4) as u32;
    write_bounds(words, bounds);
    for (wide, out) in tree.nodes.iter().zip(words[HEADER_WORDS..].chunks_exact_mut(NODE_WORDS)) {
        node::encode(wide, out);
    }
}

pub(crate) fn write_bounds(words: &mut [u32], bounds: Aabb) {
    for axis in 0..3 {
        words[4 + axis] = bounds.min[axis].to_bits();
        words[8 + axis] = bounds.max[axis].to_bits();
    }
}
