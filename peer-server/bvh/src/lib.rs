//! Bounding volume hierarchies that a compute shader walks: built here, laid out for one upload each.
//!
//! A [`Blas`] holds the triangles of a mesh, a [`Tlas`] the placed instances. Both are eight-wide trees with child boxes
//! quantised to 8 bits (Ylitie, Karras and Laine 2017, "Efficient Incoherent Ray Traversal on GPUs Through Compressed
//! Wide BVHs"). `traverse.glsl` reads them; [`closest_reference`] and [`occluded_reference`] are its scalar twins, so
//! that build and layout are tested without a GPU.
//!
//! **Every box is conservative**: a triangle's exact position is always inside all boxes above it, and the walk widens
//! its intervals by more than its rounding errors. If that breaks, rays slip through surfaces.
#![forbid(unsafe_code)]

mod aabb;
mod binary;
mod blas;
mod node;
mod reference;
mod reinsert;
mod tlas;

pub use aabb::Aabb;
pub use blas::{Blas, MAX_TRIANGLES};
pub use node::ALIGNMENT;
pub use reference::{AcceptHit, Hit, Ray, closest_reference, occluded_reference};
pub use tlas::{INSTANCE_FORCE_OPAQUE, Tlas, TlasInstance};
