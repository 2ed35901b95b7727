//! Regions of a G-buffer on their way to peers.

use super::GBuffer;
use crate::codec::{DecodedSlice, SlicePixels, primary_words};
use crate::{Extent, FrameError, PlaneKind, Primary, Rect};

/// The planes of a G-buffer that peers need: material and place of the primary hits. Motion and ids stay with the merger.
const FOR_PEERS: [PlaneKind; 4] = [PlaneKind::Depth, PlaneKind::Normal, PlaneKind::BaseColor, PlaneKind::Material];

impl GBuffer {
    /// A G-buffer of sky, to be filled: with or without normals of triangles and emitted light.
    pub fn sky(extent: Extent, has_geometric_normal: bool, has_emissive: bool) -> GBuffer {
        let pixels = extent.pixels();
        let plane = || vec![0; pixels];
        let plane_if = |wanted| if wanted { plane() } else { Vec::new() };
        let primary = Primary {
            depth: vec![crate::SKY_DEPTH; pixels],
            normal: plane(),
            base_color: plane(),
            material: plane(),
            motion: plane(),
            instance_id: plane(),
        };
        let (geometric_normal, emissive) = (plane_if(has_geometric_normal), plane_if(has_emissive));
        GBuffer { extent, primary, geometric_normal, emissive, depth_error: 0.0 }
    }

    /// The planes that peers need, in the order in which they are sent.
    pub fn planes_for_peers(&self) -> impl Iterator<Item = (PlaneKind, &[u32])> {
        let optional = [(PlaneKind::GeometricNormal, &self.geometric_normal), (PlaneKind::Emissive, &self.emissive)];
        let optional = optional.into_iter().filter(|(_, words)| !words.is_empty());
        let primary = FOR_PEERS.into_iter().map(|plane| (plane, primary_words(&self.primary, plane)));
        primary.chain(optional.map(|(plane, words)| (plane, words.as_slice())))
    }

    /// Puts a decoded slice in its place; its rectangle is absolute in the view, of which this holds what begins at `corner`.
    ///
    /// # Errors
    /// A plane that this does not have or peers do not need, a rectangle that leaves it, too few pixels.
    pub fn put(&mut self, corner: (u32, u32), slice: &DecodedSlice) -> Result<(), FrameError> {
        let whole = Rect::new(corner.0, corner.1, self.extent.width, self.extent.height);
        let DecodedSlice { plane, scale, rect, pixels } = slice;
        let refuse = |what: String| Err(FrameError::NotPlanned { tile: 0, what });
        let SlicePixels::Primary(words) = pixels else { return refuse(format!("{plane:?} in a G-buffer")) };
        if *scale != 1 || !whole.contains_rect(*rect) || words.len() != rect.pixels() {
            return refuse(format!("{plane:?} with {} words at scale {scale} in {rect:?} of {whole:?}", words.len()));
        }
        let target: &mut [u32] = match plane {
            PlaneKind::Depth => bytemuck::cast_slice_mut(&mut self.primary.depth),
            PlaneKind::Normal => &mut self.primary.normal,
            PlaneKind::BaseColor => &mut self.primary.base_color,
            PlaneKind::Material => &mut self.primary.material,
            PlaneKind::GeometricNormal => &mut self.geometric_normal,
            PlaneKind::Emissive => &mut self.emissive,
            PlaneKind::Motion | PlaneKind::InstanceId | PlaneKind::Layer(_) => &mut [],
        };
        if target.is_empty() {
            return refuse(format!("{plane:?}, which was not announced"));
        }
        let (width, first) = (whole.width as usize, whole.index_of(*rect));
        for (row, words) in words.chunks_exact(rect.width as usize).enumerate() {
            target[first + row * width..][..words.len()].copy_from_slice(words);
        }
        Ok(())
    }
}
