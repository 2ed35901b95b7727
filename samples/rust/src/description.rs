//! What the engine tells Rayloom about its planes: their convention, and where the bytes are.

use crate::{NEAR, Plane, PlaneFormat, PlaneKind};
use rayloom_frame::convention::{Convention, DepthEncoding, NormalEncoding};
use rayloom_frame::{EnginePlane, EnginePlaneKind, Extent, PlaneFormat as Format};

/// The engine's convention: glTF's, but for reversed depth without a far plane and octahedral normals.
pub const CONVENTION: Convention = Convention {
    depth_encoding: DepthEncoding::ReversedInfinite,
    near: NEAR,
    normal_encoding: NormalEncoding::Octahedral,
    ..Convention::GLTF
};

impl<'a> From<Plane<'a>> for EnginePlane<'a> {
    fn from(plane: Plane<'a>) -> EnginePlane<'a> {
        let extent = Extent::new(plane.width, plane.height);
        EnginePlane {
            kind: match plane.kind {
                PlaneKind::Depth => EnginePlaneKind::Depth,
                PlaneKind::Normal => EnginePlaneKind::Normal,
                PlaneKind::GeometricNormal => EnginePlaneKind::GeometricNormal,
                PlaneKind::Albedo => EnginePlaneKind::Albedo,
                PlaneKind::RoughnessMetalness => EnginePlaneKind::RoughnessMetalness,
                PlaneKind::Emissive => EnginePlaneKind::Emissive,
                PlaneKind::Motion => EnginePlaneKind::Motion,
                PlaneKind::InstanceId => EnginePlaneKind::InstanceId,
            },
            format: match plane.format {
                PlaneFormat::R32Float => Format::R32Float,
                PlaneFormat::Rg16Snorm => Format::Rg16Snorm,
                PlaneFormat::Rgba8Srgb => Format::Rgba8Srgb,
                PlaneFormat::Rg8Unorm => Format::Rg8Unorm,
                PlaneFormat::Rgb9E5 => Format::Rgb9E5,
                PlaneFormat::Rg16Float => Format::Rg16Float,
                PlaneFormat::R32Uint => Format::R32Uint,
            },
            extent,
            view_rect: extent.rect(),
            row_pitch: plane.row_pitch,
            bytes: plane.bytes,
        }
    }
}
