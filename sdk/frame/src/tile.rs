//! What a peer traced of one tile: layers and, in state mode, the planes of the primary hits.

use crate::{LayerKind, Rect};

/// Depth of pixels where the primary ray hit nothing.
pub const SKY_DEPTH: f32 = f32::INFINITY;

/// One layer of a tile: `rect.width * rect.height` pixels of four half floats (as bits), rows from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerPlane {
    /// Which layer.
    pub kind: LayerKind,
    /// One pixel per `scale` x `scale` block of the view.
    pub scale: u8,
    /// In this layer's own (scaled) pixels, absolute in the view: `tile.rect.scaled(scale)`.
    pub rect: Rect,
    /// Bits of four half floats a pixel.
    pub pixels: Vec<[u16; 4]>,
}

/// What the primary rays of a tile hit; each plane has `rect.pixels()` values, see [`crate::PlaneKind`] for their formats.
#[derive(Debug, Default, PartialEq)]
pub struct Primary {
    /// Planar depth in metres.
    pub depth: Vec<f32>,
    /// Octahedral shading normals.
    pub normal: Vec<u32>,
    /// sRGB base colour and alpha.
    pub base_color: Vec<u32>,
    /// Roughness, metalness, flags.
    pub material: Vec<u32>,
    /// Motion in pixels, two half floats.
    pub motion: Vec<u32>,
    /// Instance index + 1.
    pub instance_id: Vec<u32>,
}

impl Clone for Primary {
    fn clone(&self) -> Primary {
        let mut copy = Primary::default();
        copy.clone_from(self);
        copy
    }

    /// Keeps the memory that is there.
    fn clone_from(&mut self, source: &Primary) {
        self.depth.clone_from(&source.depth);
        self.normal.clone_from(&source.normal);
        self.base_color.clone_from(&source.base_color);
        self.material.clone_from(&source.material);
        self.motion.clone_from(&source.motion);
        self.instance_id.clone_from(&source.instance_id);
    }
}

/// What a peer traced of one tile, ghost zone included.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedTile {
    /// Absolute pixels of the view, ghost zone included.
    pub rect: Rect,
    /// The requested layers, in the order of the request.
    pub layers: Vec<LayerPlane>,
    /// Primary hits at full resolution, in state mode.
    pub primary: Option<Primary>,
    /// Rays traced per 16x16 block that the rectangle touches (blocks anchored at the view's origin), rows from the top.
    pub block_rays: Vec<u32>,
}
