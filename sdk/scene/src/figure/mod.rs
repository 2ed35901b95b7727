//! A generated figure that walks: 64 joints, a morph target that breathes, a lantern that circles it; as a `.glb`.
//!
//! What tests and demos animate. **The same bytes each time**: nothing here depends on chance or on the machine's clock.

mod animation;
mod document;
mod skeleton;
mod surface;

pub use skeleton::JOINTS;

/// The file: meshes `figure` (skinned, three materials), `ground`, `lantern`; animations `walk` and `wave`; a camera.
///
/// ```
/// let bytes = rayloom_scene::figure::glb();
/// # #[cfg(feature = "gltf")] {
/// let (scene, rig) = rayloom_scene::gltf::load_slice_animated("figure.glb".as_ref(), bytes.into(), &mut |_| ())?;
/// assert_eq!(scene.poses[0].palette.len(), rayloom_scene::figure::JOINTS);
/// assert_eq!(rig.animations[0].name, "walk");
/// # }
/// # Ok::<(), rayloom_scene::SceneError>(())
/// ```
pub fn glb() -> Vec<u8> {
    document::write(&skeleton::Skeleton::new())
}
