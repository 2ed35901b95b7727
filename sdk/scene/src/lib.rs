//! What is rendered: cameras, lights, materials, meshes, instances; glTF import; the assets that peers keep.
//!
//! **Everything in a [`Scene`] is in glTF space: right-handed, Y up, metres, linear colour.** Conversions from an
//! engine's conventions happen before data gets here; no reader of a scene ever asks which way is up.
//!
//! This room is pure: no sockets, no clock, no GPU. The only I/O is [`gltf::load`], which reads the files it is named.
#![forbid(unsafe_code)]

pub mod animation;
pub mod assets;
mod camera;
pub mod city;
mod error;
pub mod figure;
#[cfg(feature = "gltf")]
pub mod gltf;
mod light;
mod material;
mod mesh;
mod pose;
mod repair;
mod scene;
mod texture;
mod validate;

pub use camera::Camera;
pub use city::city;
pub use error::SceneError;
pub use light::{Environment, Light, LightShape};
pub use material::{AlphaMode, Material, TextureSlot};
pub use mesh::{Mesh, MeshPart, MorphTarget};
pub use pose::Pose;
pub use repair::MAX_MESH_ELEMENTS;
pub use scene::{Instance, NamedCamera, Scene};
pub use texture::{MAX_TEXTURE_SIZE, Texture, TextureData};
pub use validate::Report;
