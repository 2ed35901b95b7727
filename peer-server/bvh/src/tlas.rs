//! Trees over placed meshes.
//!
//! The layout of [`Tlas::bytes`] is a [`crate::Blas`]'s with instances (16 words) in place of triangles, one for each
//! slot of each node (those of slots without an instance are zero): three rows of the matrix from world to mesh space,
//! the device address of the BLAS (low, high), flags, and the instance's index.

use crate::Aabb;
use crate::binary::{BinaryNode, Costs, PrimitiveBox};
use crate::blas::{build_tree, write_bounds, write_tree};
use crate::node::{self, Content, HEADER_WORDS, NODE_WORDS, WIDTH, WideNode};
use crate::reinsert::reinsert;
use glam::Affine3A;

/// Words (u32) of an instance.
pub(crate) const INSTANCE_WORDS: usize = 16;
/// Flag of a [`TlasInstance`]: `accept_hit` is never asked, whatever its triangles say.
pub const INSTANCE_FORCE_OPAQUE: u32 = 1;

/// One placed mesh.
#[derive(Clone, Copy, Debug)]
pub struct TlasInstance {
    /// Device address of the uploaded [`crate::Blas::bytes`]; a multiple of [`crate::ALIGNMENT`].
    pub blas_address: u64,
    /// [`crate::Blas::bounds`] of that mesh.
    pub blas_bounds: Aabb,
    /// From mesh space to world.
    pub transform: Affine3A,
    /// [`INSTANCE_FORCE_OPAQUE`] or 0.
    pub flags: u32,
}

/// An acceleration structure over instances, in world space.
#[derive(Clone, Debug)]
pub struct Tlas {
    words: Vec<u32>,
    bounds: Aabb,
    instance_count: usize,
}

impl Tlas {
    /// Builds over `instances`; a hit names the index in this slice. Empty meshes and transforms that are non-finite or
    /// not invertible are left out.
    pub fn build(instances: &[TlasInstance]) -> Tlas {
        Tlas::build_with(instances, |_| ())
    }

    /// As [`Tlas::build`], for trees that many frames walk: about ten times as slow, and walked faster, since whole subtrees
    /// were moved to where they fit best.
    pub fn build_optimized(instances: &[TlasInstance]) -> Tlas {
        Tlas::build_with(instances, reinsert)
    }

    fn build_with(instances: &[TlasInstance], optimize: impl FnOnce(&mut Vec<BinaryNode>)) -> Tlas {
        let placed: Vec<Option<(Aabb, Affine3A)>> = instances.iter().map(place).collect();
        let boxed = placed.iter().enumerate().filter_map(|(i, p)| Some(PrimitiveBox::new(p.as_ref()?.0, i as u32)));
        let mut boxes: Vec<PrimitiveBox> = boxed.collect();
        let mut tree = build_tree(&mut boxes, Costs { node: 0.0, max_leaf: 1 }, optimize);
        // A record for each slot of each node, so that the slot alone names its instance.
        let records = tree.nodes.len() * WIDTH;
        let first = HEADER_WORDS + tree.nodes.len() * NODE_WORDS;
        let mut words = vec![0u32; first + records * INSTANCE_WORDS];
        for (i, node) in tree.nodes.iter_mut().enumerate() {
            let mut order = tree.order[node.primitive_base as usize..].iter();
            node.primitive_base = (i * WIDTH) as u32;
            for (slot, content) in node.content.iter_mut().enumerate() {
                if let Content::Leaf { offset, .. } = content {
                    *offset = slot as u8;
                    let source = *order.next().expect("every leaf has its place in the order");
                    let index = boxes[source as usize].index();
                    let (_, inverse) = placed[index as usize].as_ref().expect("only placed instances were boxed");
                    let record = first + (i * WIDTH + slot) * INSTANCE_WORDS;
                    let out = &mut words[record..][..INSTANCE_WORDS];
                    write_instance(out, &instances[index as usize], inverse, index);
                }
            }
        }
        let bounds = tree.nodes.first().map_or(Aabb::EMPTY, node::bounds);
        write_tree(&mut words, &tree, records, bounds);
        Tlas { words, bounds, instance_count: boxes.len() }
    }

    /// Moves the instances, in the order of the build, and keeps the tree's shape: cheaper than a build, slower to walk
    /// the further they went. Builds anew where that is not possible: other instances are usable than were, or there
    /// are more or fewer. Upload [`Tlas::bytes`] again afterwards.
    pub fn refit(&mut self, instances: &[TlasInstance]) {
        if !self.try_refit(instances) {
            *self = Tlas::build(instances);
        }
    }

    fn try_refit(&mut self, instances: &[TlasInstance]) -> bool {
        let placed: Vec<Option<(Aabb, Affine3A)>> = instances.iter().map(place).collect();
        if placed.iter().flatten().count() != self.instance_count {
            return false;
        }
        let node_count = self.words[0] as usize;
        let first = HEADER_WORDS + node_count * NODE_WORDS;
        let mut boxes = vec![Aabb::EMPTY; node_count];
        // Children come after their parents.
        for i in (0..node_count).rev() {
            let words = &self.words[HEADER_WORDS + i * NODE_WORDS..][..NODE_WORDS];
            let mut wide =
                WideNode { child_base: node::child_base(words), primitive_base: words[5], ..WideNode::EMPTY };
            let mut child = wide.child_base as usize;
            for slot in 0..WIDTH {
                wide.content[slot] = node::content(&self.words[HEADER_WORDS + i * NODE_WORDS..], slot);
                wide.bounds[slot] = match wide.content[slot] {
                    Content::Empty => Aabb::EMPTY,
                    Content::Node => {
                        child += 1;
                        boxes[child - 1]
                    }
                    Content::Leaf { .. } => {
                        let record = first + (i * WIDTH + slot) * INSTANCE_WORDS;
                        let out = &mut self.words[record..][..INSTANCE_WORDS];
                        let index = out[15];
                        let Some(Some((bounds, inverse))) = placed.get(index as usize) else { return false };
                        write_instance(out, &instances[index as usize], inverse, index);
                        *bounds
                    }
                };
            }
            boxes[i] = node::bounds(&wide);
            node::encode(&wide, &mut self.words[HEADER_WORDS + i * NODE_WORDS..][..NODE_WORDS]);
        }
        self.bounds = boxes.first().copied().unwrap_or(Aabb::EMPTY);
        write_bounds(&mut self.words, self.bounds);
        true
    }

    /// What to upload, at an address that is a multiple of [`crate::ALIGNMENT`]. Never empty.
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }

    /// The box of everything; empty where nothing can be hit.
    pub fn bounds(&self) -> Aabb {
        self.bounds
    }
}

/// World bounds and inverse transform; `None` for an instance that cannot be hit.
fn place(instance: &TlasInstance) -> Option<(Aabb, Affine3A)> {
    let bounds = instance.blas_bounds.transformed(&instance.transform);
    let inverse = instance.transform.inverse();
    let usable = !bounds.is_empty() && bounds.min.is_finite() && bounds.max.is_finite() && inverse.is_finite();
    usable.then_some((bounds, inverse))
}

fn write_instance(out: &mut [u32], instance: &TlasInstance, inverse: &Affine3A, index: u32) {
    for row in 0..3 {
        let r = inverse.matrix3.row(row);
        let values = [r.x, r.y, r.z, inverse.translation[row]];
        out[row * 4..row * 4 + 4].copy_from_slice(&values.map(f32::to_bits));
    }
    out[12] = instance.blas_address as u32;
    out[13] = (instance.blas_address >> 32) as u32;
    out[14] = instance.flags;
    out[15] = index;
}
