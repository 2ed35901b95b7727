//! Animation as data: curves over time, the nodes that they move, and what that makes of instances and poses.
//!
//! **Evaluation is pure**: a time gives the same transforms and palettes whatever was asked before.

mod curve;
mod rig;

pub use curve::{Curve, Interpolation};
pub use rig::{Animation, Binding, Channel, Moved, Property, Rig, RigNode, Skin};
