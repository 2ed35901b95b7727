//! Merged frames filtered by Intel Open Image Denoise, where its library is: a network that knows what path-traced light looks
//! like, slower and better than `rayloom_frame::filter`.
//!
//! The library is loaded at run time and never required. It filters the same signals as the built-in filter, and paths
//! besides, each guided by the surfaces' normals, and paths by their albedo.

#![deny(unsafe_code)]

mod library;

use half::f16;
use library::{Device, Filter, Image, Oidn};
use rayloom_frame::filter::FILTERED;
use rayloom_frame::merge::MergedFrame;
use rayloom_frame::normal::decode_normal;
use rayloom_frame::srgb::srgb_to_linear;
use rayloom_frame::{Extent, LayerKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names the library's file where the loader would not find it.
pub const PATH_VARIABLE: &str = "RAYLOOM_OIDN";

/// The layers that are filtered: light on surfaces, and paths.
pub const DENOISED: [LayerKind; FILTERED.len() + 1] = [FILTERED[0], FILTERED[1], FILTERED[2], LayerKind::Path];

/// Why nothing is filtered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OidnError {
    /// There is no library, or it can't be loaded.
    #[error(
        "Open Image Denoise can't be loaded from {}: {why}; install it (https://www.openimagedenoise.org), or name its library \
         in {PATH_VARIABLE}",
        path.display()
    )]
    NotLoaded {
        /// The file, or the name that was looked for.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// It is another library, or of another version.
    #[error("{} has no function {function}: it is no Open Image Denoise of version 1.4 or 2", path.display())]
    NoFunction {
        /// The file, or the name that was looked for.
        path: PathBuf,
        /// What is missing.
        function: &'static str,
    },
    /// What it said.
    #[error("Open Image Denoise: {0}")]
    Failed(String),
}

/// The library. Clones share it.
#[derive(Clone)]
pub struct OpenImageDenoise {
    oidn: Arc<Oidn>,
    description: Arc<str>,
}

impl OpenImageDenoise {
    /// Loads what [`PATH_VARIABLE`] names, or else what the loader finds under the library's usual names.
    ///
    /// # Errors
    /// The library is not there, is another one, or can't filter: it is tried.
    pub fn load() -> Result<OpenImageDenoise, OidnError> {
        let named = std::env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        OpenImageDenoise::load_from(named.as_deref())
    }

    /// [`OpenImageDenoise::load`] of a file.
    ///
    /// # Errors
    /// As there.
    pub fn load_from(path: Option<&Path>) -> Result<OpenImageDenoise, OidnError> {
        let oidn = Arc::new(Oidn::load(path)?);
        let device = Arc::new(Device::new(Arc::clone(&oidn))?);
        Filter::new(Arc::clone(&device), Extent::new(8, 8))?.run()?;
        let [major, minor, patch] = device.version();
        let description = format!("Open Image Denoise {major}.{minor}.{patch} ({})", oidn.path().display());
        Ok(OpenImageDenoise { oidn, description: description.into() })
    }

    /// Version and file, for people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// A filter for the frames of one view, with a device of its own: what runs on one waits for each other.
    pub fn denoiser(&self) -> OidnDenoiser {
        OidnDenoiser { oidn: Arc::clone(&self.oidn), filter: None, layers: Default::default() }
    }
}

/// Filters the frames of one view: 48 bytes a pixel for the library's images, 8 for each layer, and what the library takes.
pub struct OidnDenoiser {
    oidn: Arc<Oidn>,
    filter: Option<Filter>,
    layers: [Vec<[u16; 4]>; DENOISED.len()],
}

impl OidnDenoiser {
    /// The frame with its light filtered; alpha (hit distances) and all else as it was. Asked before each layer: once the
    /// picture is not wanted any more, what is left stays unfiltered.
    ///
    /// # Errors
    /// What the library says: memory that is not there.
    pub fn run<'a>(
        &'a mut self,
        frame: &MergedFrame<'a>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<MergedFrame<'a>, OidnError> {
        let filter = match &mut self.filter {
            Some(filter) if filter.extent() == frame.extent => filter,
            other => {
                // The images of another size are given back first.
                *other = None;
                other.insert(Filter::new(Arc::new(Device::new(Arc::clone(&self.oidn))?), frame.extent)?)
            }
        };
        fill_normals(frame, filter.image_mut(Image::Normal));
        let mut filtered = *frame;
        for (kind, out) in DENOISED.into_iter().zip(&mut self.layers) {
            let Some(merged) = frame.layer(kind).filter(|_| is_wanted()) else { continue };
            fill_albedo(frame, kind, filter.image_mut(Image::Albedo));
            for (light, merged) in filter.image_mut(Image::Color).iter_mut().zip(merged) {
                *light = [merged[0], merged[1], merged[2]].map(|channel| finite(f16::from_bits(channel).to_f32()));
            }
            filter.run()?;
            out.clear();
            out.extend(filter.image(Image::Output).iter().zip(merged).map(|(light, merged)| {
                let [r, g, b] = light.map(|channel| f16::from_f32(finite(channel).min(f16::MAX.to_f32())).to_bits());
                [r, g, b, merged[3]]
            }));
            filtered = filtered.with_layer(kind, out);
        }
        Ok(filtered)
    }
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

fn is_surface(depth: f32) -> bool {
    depth > 0.0 && depth.is_finite()
}

/// The sky has none.
fn fill_normals(frame: &MergedFrame<'_>, normals: &mut [[f32; 3]]) {
    let planes = frame.planes;
    for ((out, normal), depth) in normals.iter_mut().zip(&planes.normal).zip(&planes.depth) {
        *out = if is_surface(*depth) { decode_normal(*normal).to_array() } else { [0.0; 3] };
    }
}

/// Reflectance: of metals the colour, too. What is demodulated already has a white one: its light shows no texture.
fn fill_albedo(frame: &MergedFrame<'_>, kind: LayerKind, albedos: &mut [[f32; 3]]) {
    let planes = frame.planes;
    for (i, out) in albedos.iter_mut().enumerate() {
        *out = match kind {
            _ if !is_surface(planes.depth[i]) => [0.0; 3],
            LayerKind::Path => {
                let [r, g, b, _] = planes.base_color[i].to_le_bytes();
                [r, g, b].map(srgb_to_linear)
            }
            _ => [1.0; 3],
        };
    }
}
