//! glTF 2.0 import: `.gltf` with files or data URIs beside it, and `.glb`. docs/scenes.md lists what is read.
//!
//! **A document is untrusted**: every count and offset is checked against the bytes that are there before anything is
//! allocated, URIs stay in the document's folder, and each error names file, position and reason.

mod accessor;
mod document;
mod geometry;
mod nodes;
mod rig;
mod surfaces;

use crate::animation::Rig;
use crate::{Scene, SceneError};
use bytes::Bytes;
use document::Document;
use std::path::Path;

/// Lumens per watt at 555 nm: photometric units (cd, lux) are divided by it, as Blender's importer does for Cycles.
pub const LUMENS_PER_WATT: f32 = 683.0;

/// What a long import is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Reading and parsing files; counted in buffers.
    Read,
    /// Reading and test-decoding textures.
    Textures,
    /// Reading meshes.
    Meshes,
}

/// Told while a file is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// `done` of `total` things of this stage.
    Step {
        /// What is being done.
        stage: Stage,
        /// How many are done.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// Something was left out or approximated; the scene is still worth having.
    Note {
        /// Path inside the document, such as `meshes[3].primitives[0]`.
        position: &'a str,
        /// What and why.
        text: &'a str,
    },
}

/// Loads a document and the files beside it. Lights are converted to radiometric units by [`LUMENS_PER_WATT`].
///
/// User ids are the indices in the document: of the node for instances and lights, of the material, of the image for
/// textures. The environment stays black, since glTF has none: see [`Scene::add_default_lighting`].
///
/// # Errors
/// [`SceneError::Read`] for files that cannot be read, [`SceneError::Malformed`] with file, position and reason otherwise.
///
/// ```no_run
/// use rayloom_scene::gltf;
/// let scene = gltf::load("helmet.glb".as_ref(), &mut |progress| println!("{progress:?}"))?;
/// # Ok::<(), rayloom_scene::SceneError>(())
/// ```
pub fn load(path: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Scene, SceneError> {
    Ok(load_animated(path, progress)?.0)
}

/// As [`load`], with what moves the scene: nodes, skins and animations. The scene is posed as they are at rest.
///
/// # Errors
/// As [`load`].
pub fn load_animated(path: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<(Scene, Rig), SceneError> {
    let bytes = document::read_file(path)?;
    load_slice_animated(path, bytes, progress)
}

/// As [`load`], with the document's bytes at hand; `path` names it in errors and its folder holds the files it names.
///
/// # Errors
/// As [`load`].
pub fn load_slice(path: &Path, bytes: Bytes, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Scene, SceneError> {
    Ok(load_slice_animated(path, bytes, progress)?.0)
}

/// As [`load_animated`], with the document's bytes at hand, as for [`load_slice`].
///
/// # Errors
/// As [`load`].
pub fn load_slice_animated(
    path: &Path,
    bytes: Bytes,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(Scene, Rig), SceneError> {
    let document = Document::open(path, bytes, progress)?;
    let mut scene = Scene::default();
    let placed = nodes::read(&document, &mut scene, progress)?;
    let materials = surfaces::read(&document, &mut scene, progress)?;
    let visible = geometry::read(&document, &placed, &materials, &mut scene, progress)?;
    let rig = rig::read(&document, &visible, &mut scene, progress)?;
    let report = scene.validate()?;
    debug_assert!(
        report.triangles_degenerate + report.triangles_non_finite == 0,
        "meshes are repaired as they are read"
    );
    Ok((scene, rig))
}

/// Sends a note.
fn note(progress: &mut dyn FnMut(Progress<'_>), position: &str, text: &str) {
    progress(Progress::Note { position, text });
}
