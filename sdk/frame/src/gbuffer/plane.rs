//! Planes as an engine has them, checked before a byte of them is read.

use super::PlaneFormat;
use super::format::Numbers;
use crate::{Extent, FrameError, Rect};

/// The longest side of a view, and of a texture that an engine's plane lies in, in pixels.
pub const MAX_EXTENT: u32 = 16384;

/// What a plane of the engine's G-buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u32)]
pub enum EnginePlaneKind {
    /// Depth, as [`crate::convention::DepthEncoding`] says. Required.
    Depth = 0,
    /// Shading normals (of normal maps too). Required.
    Normal = 1,
    /// Normals of the triangles.
    GeometricNormal = 2,
    /// Base colour (glTF's; alpha is ignored). Required.
    Albedo = 3,
    /// Roughness and metalness, in the channels that the convention names. Required.
    RoughnessMetalness = 4,
    /// Light that surfaces send out themselves, scene-linear.
    Emissive = 5,
    /// Motion; without it, computed from depth and the cameras, as if nothing but the camera moved.
    Motion = 6,
    /// Any number that differs from surface to surface.
    InstanceId = 7,
}

impl EnginePlaneKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [EnginePlaneKind; 8] = [
        EnginePlaneKind::Depth,
        EnginePlaneKind::Normal,
        EnginePlaneKind::GeometricNormal,
        EnginePlaneKind::Albedo,
        EnginePlaneKind::RoughnessMetalness,
        EnginePlaneKind::Emissive,
        EnginePlaneKind::Motion,
        EnginePlaneKind::InstanceId,
    ];

    /// Kinds without which no layer can be traced.
    pub const REQUIRED: [EnginePlaneKind; 4] =
        [EnginePlaneKind::Depth, EnginePlaneKind::Normal, EnginePlaneKind::Albedo, EnginePlaneKind::RoughnessMetalness];

    /// The kind with this number, if there is one.
    pub fn from_u32(number: u32) -> Option<EnginePlaneKind> {
        EnginePlaneKind::ALL.get(number as usize).copied()
    }

    /// Its name in messages to people.
    pub const fn name(self) -> &'static str {
        match self {
            EnginePlaneKind::Depth => "depth",
            EnginePlaneKind::Normal => "normal",
            EnginePlaneKind::GeometricNormal => "geometric normal",
            EnginePlaneKind::Albedo => "albedo",
            EnginePlaneKind::RoughnessMetalness => "roughness/metalness",
            EnginePlaneKind::Emissive => "emissive",
            EnginePlaneKind::Motion => "motion",
            EnginePlaneKind::InstanceId => "instance id",
        }
    }

    /// True when a plane of this kind may have this format.
    pub fn allows(self, format: PlaneFormat) -> bool {
        let (numbers, channels) = (format.numbers(), format.channels());
        match self {
            EnginePlaneKind::Depth => channels == 1 && numbers != Numbers::Uint,
            EnginePlaneKind::Normal | EnginePlaneKind::GeometricNormal => {
                channels >= 2 && !format.is_srgb() && (numbers != Numbers::Float || format.is_signed())
            }
            EnginePlaneKind::Albedo => channels >= 3 && numbers != Numbers::Snorm,
            EnginePlaneKind::RoughnessMetalness => channels >= 2 && numbers != Numbers::Snorm && !format.is_srgb(),
            EnginePlaneKind::Emissive => channels >= 3 && numbers != Numbers::Snorm,
            EnginePlaneKind::Motion => channels >= 2 && !format.is_srgb() && format.bytes_per_pixel() >= 4,
            EnginePlaneKind::InstanceId => numbers == Numbers::Uint,
        }
    }

    fn refuse(self, problem: String) -> FrameError {
        FrameError::EnginePlane { plane: self.name(), problem }
    }
}

/// A plane in the engine's memory: a texture, and the view's rectangle in it.
#[derive(Clone, Copy, Debug)]
pub struct EnginePlane<'a> {
    /// What it holds.
    pub kind: EnginePlaneKind,
    /// Format of its pixels.
    pub format: PlaneFormat,
    /// Size of the whole texture.
    pub extent: Extent,
    /// The view in it; as large as the view.
    pub view_rect: Rect,
    /// Bytes from one row to the next; at least the texture's width times the bytes of a pixel.
    pub row_pitch: usize,
    /// The texture's rows from the top; may lie anywhere, the last row need not be padded.
    pub bytes: &'a [u8],
}

impl<'a> EnginePlane<'a> {
    /// Bytes of columns `columns` of row `y` of the view; empty where the plane has none (which [`check`] rules out).
    pub(crate) fn pixels(&self, y: u32, columns: std::ops::Range<u32>) -> &'a [u8] {
        let pixel = self.format.bytes_per_pixel();
        let row = (self.view_rect.y as usize + y as usize) * self.row_pitch;
        let at = |x: u32| row + (self.view_rect.x as usize + x as usize) * pixel;
        self.bytes.get(at(columns.start)..at(columns.end)).unwrap_or(&[])
    }

    /// One pixel of the view as floats.
    pub(crate) fn pixel(&self, x: u32, y: u32) -> [f32; 4] {
        let mut out = [[0.0; 4]];
        self.format.read(self.pixels(y, x..x + 1), &mut out);
        out[0]
    }

    fn check(&self, view: Extent) -> Result<(), FrameError> {
        let refuse = |problem: String| Err(self.kind.refuse(problem));
        let Extent { width, height } = self.extent;
        if width == 0 || height == 0 || width > MAX_EXTENT || height > MAX_EXTENT {
            return refuse(format!("its texture is {width} x {height}, each may be 1 to {MAX_EXTENT}"));
        }
        let rect = self.view_rect;
        if rect.width != view.width || rect.height != view.height {
            return refuse(format!(
                "its view rect is {} x {}, the view is {} x {}: they must be equal",
                rect.width, rect.height, view.width, view.height
            ));
        }
        let (right, bottom) = (u64::from(rect.x) + u64::from(rect.width), u64::from(rect.y) + u64::from(rect.height));
        if right > u64::from(width) || bottom > u64::from(height) {
            return refuse(format!(
                "its view rect ends at {right}, {bottom}, outside of its texture of {width} x {height}"
            ));
        }
        if !self.kind.allows(self.format) {
            let allowed: Vec<_> = PlaneFormat::ALL.into_iter().filter(|format| self.kind.allows(*format)).collect();
            let allowed = allowed.into_iter().map(PlaneFormat::constant).collect::<Vec<_>>().join(", ");
            return refuse(format!("its format is {}, use one of {allowed}", self.format.constant()));
        }
        let row = width as usize * self.format.bytes_per_pixel();
        if self.row_pitch < row {
            return refuse(format!(
                "its row pitch is {} bytes, {width} pixels of {} take {row}",
                self.row_pitch,
                self.format.constant()
            ));
        }
        let needed = (u128::from(height) - 1) * self.row_pitch as u128 + row as u128;
        if (self.bytes.len() as u128) < needed {
            return refuse(format!(
                "it has {} bytes, {height} rows of {} bytes take {needed}",
                self.bytes.len(),
                self.row_pitch
            ));
        }
        Ok(())
    }
}

/// Refuses planes that can't be read as a view of this size, that come twice, or without which nothing can be traced.
///
/// # Errors
/// [`FrameError::EnginePlane`] names the plane, the value and what to do.
pub fn check(planes: &[EnginePlane<'_>], extent: Extent) -> Result<(), FrameError> {
    if extent.width == 0 || extent.height == 0 || extent.width > MAX_EXTENT || extent.height > MAX_EXTENT {
        let text = format!("the view is {} x {}, each may be 1 to {MAX_EXTENT}", extent.width, extent.height);
        return Err(FrameError::Plan(text));
    }
    for (i, plane) in planes.iter().enumerate() {
        if planes[..i].iter().any(|other| other.kind == plane.kind) {
            return Err(plane.kind.refuse("there are two: submit it once".into()));
        }
        plane.check(extent)?;
    }
    match EnginePlaneKind::REQUIRED.into_iter().find(|kind| planes.iter().all(|plane| plane.kind != *kind)) {
        Some(missing) => Err(missing.refuse("it is missing: submit it, or no plane at all for state mode".into())),
        None => Ok(()),
    }
}
