//! The C ABI: every function of `include/rayloom.h`, a file per handle in the header's order.
//!
//! **What comes from C is checked before it is used, and no panic crosses.** Handles are looked up, never followed;
//! pointers are checked for NULL and alignment; each function runs inside [`boundary::call`]. What can't be checked is
//! the header's contract: pointers point to as much memory as the descriptor or the count next to them says, texts end
//! with NUL, and memory that a call reads is not written meanwhile. `SAFETY:` lines refer to it as "the header's contract".
// This crate is where C gets in: raw pointers and exported names are its purpose. Each block says why it holds.
#![allow(unsafe_code)]
// The names are those of the header.
#![allow(non_camel_case_types)]
// Every function's requirement is the header's contract above; its comment becomes the header's.
#![allow(clippy::missing_safety_doc)]

mod animation;
mod boundary;
mod camera;
mod convention;
mod deformation;
mod frame;
mod handles;
mod instance;
#[cfg(test)]
mod layout;
mod light;
mod log;
mod material;
mod mesh;
mod output;
mod plane;
mod pointer;
mod result;
mod scene;
mod session;
mod stream;
mod texture;
mod view;

pub use animation::*;
pub use camera::*;
pub use convention::*;
pub use deformation::*;
pub use frame::*;
pub use instance::*;
pub use light::*;
pub use log::*;
pub use material::*;
pub use mesh::*;
pub use output::*;
pub use plane::*;
pub use result::*;
pub use scene::*;
pub use session::*;
pub use stream::*;
pub use texture::*;
pub use view::*;
