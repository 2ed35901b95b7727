//! Trees over placed meshes.
//!
//! The layout of [`Tlas::bytes`] is a [`crate::Blas`]'s with instances (16 words) in place of triangles, one for each
//! slot of each node (those of slots without an instance are zero): three rows of the matrix from world to mesh space,
//! the device address of the BLAS (low, high), flags, and the instance's index.

use crate::Aabb;
use crate::binary::{Costs, PrimitiveBox};
use crate::blas::{build_tree, write_tree};
use crate::node::{Content, HEADER_WORDS, NODE_WORDS, WIDTH};
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
}

impl Tlas {
    /// Builds over `instances`; a hit names the index in this slice. Empty meshes and transforms that are non-finite or
    /// not invertible are left out. Cheap enough to be done anew whenever something moved.
    pub fn build(instances: &[TlasInstance]) -> Tlas {
        let mut boxes = Vec::with_capacity(instances.len());
        for (i, instance) in instances.iter().enumerate() {
            let bounds = instance.blas_bounds.transformed(&instance.transform);
            let inverse = instance.transform.inverse();
            let usable = !bounds.is_empty() && bounds.min.is_finite() && bounds.max.is_finite() && inverse.is_finite();
            if usable {
                boxes.push(PrimitiveBox::new(bounds, i as u32));
            }
        }
        let mut tree = build_tree(&mut boxes, Costs { node: 0.0, max_leaf: 1 });
        // A record for each slot of each node, so that the slot alone names its instance.
        let records = tree.nodes.len() * WIDTH;
        let first = HEADER_WORDS + tree.nodes.len() * NODE_WORDS;
        let mut words = vec![0u32; first + records * INSTANCE_WORDS];
        let bounds = tree.nodes.first().map_or(Aabb::EMPTY, |n| n.bounds.iter().fold(Aabb::EMPTY, |a, b| a.union(*b)));
        for (i, node) in tree.nodes.iter_mut().enumerate() {
            let mut order = tree.order[node.primitive_base as usize..].iter();
            node.primitive_base = (i * WIDTH) as u32;
            for (slot, content) in node.content.iter_mut().enumerate() {
                if let Content::Leaf { offset, .. } = content {
                    *offset = slot as u8;
                    let source = *order.next().expect("every leaf has its place in the order");
                    let index = boxes[source as usize].index();
                    let record = first + (i * WIDTH + slot) * INSTANCE_WORDS;
                    write_instance(&mut words[record..][..INSTANCE_WORDS], &instances[index as usize], index);
                }
            }
        }
        write_tree(&mut words, &tree, records, bounds);
        Tlas { words, bounds }
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

fn write_instance(out: &mut [u32], instance: &TlasInstance, index: u32) {
    let inverse = instance.transform.inverse();
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
