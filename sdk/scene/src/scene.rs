//! A scene: tables of meshes, materials, textures, and what stands where.

use crate::{Camera, Environment, Light, Material, Mesh, Texture};
use glam::Affine3A;
use std::sync::Arc;

/// One placement of a mesh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instance {
    /// Index into [`Scene::meshes`].
    pub mesh: u32,
    /// From mesh space to world; finite and invertible.
    pub transform: Affine3A,
    /// The engine's own name for it.
    pub user_id: u64,
}

/// A camera that came with a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedCamera {
    /// Its name in the file.
    pub name: String,
    /// The camera; its horizontal field of view is for a square picture where the file gives no aspect ratio.
    pub camera: Camera,
}

/// Everything that can be hit or that shines.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Meshes; shared, since revisions of a scene mostly differ in instances.
    pub meshes: Vec<Arc<Mesh>>,
    /// Materials.
    pub materials: Vec<Material>,
    /// Textures.
    pub textures: Vec<Arc<Texture>>,
    /// What stands where.
    pub instances: Vec<Instance>,
    /// Lights.
    pub lights: Vec<Light>,
    /// The sky.
    pub environment: Environment,
    /// Cameras of the file it came from.
    pub cameras: Vec<NamedCamera>,
}
