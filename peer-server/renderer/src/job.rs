//! What to trace: a rectangle of a view, from where, and which layers.

use crate::RendererError;
use rayloom_frame::{Extent, GBuffer, LayerRequest, Rect};
use rayloom_scene::Camera;

/// Largest width and height of a view in pixels.
pub const MAX_EXTENT: u32 = 16384;
/// Largest filter radius in pixels.
pub const MAX_FILTER_RADIUS: u32 = 32;
/// Most pixels of a rectangle: an 8K frame.
const MAX_PIXELS: usize = 7680 * 4320;
const MAX_SAMPLES: u8 = 64;
/// Most bounces of a layer.
pub const MAX_BOUNCES: u8 = 64;

/// A tile to trace.
#[derive(Clone, Copy, Debug)]
pub struct TraceJob<'a> {
    /// Number of the frame; seeds all sampling.
    pub frame_id: u64,
    /// Size of the whole view.
    pub extent: Extent,
    /// The tile, ghost zone included.
    pub rect: Rect,
    /// Where the view is seen from.
    pub camera: Camera,
    /// Where the previous frame was seen from; for motion vectors only.
    pub previous_camera: Camera,
    /// The layers wanted, each at most once.
    pub layers: &'a [LayerRequest],
    /// Radius of the spatial filter of specular and indirect light, in pixels of the view; 0 = off. What lies within
    /// this distance of an inner edge of `rect` lacks neighbours: make the ghost zone at least as wide.
    pub filter_radius: u32,
    /// Return the planes of primary hits too.
    pub primary: bool,
    /// Light in the layers is multiplied by this, that of the engine's planes was already; finite and above 0.
    pub pre_exposure: f32,
    /// What the engine's own raster saw in [`TraceJob::padded`], instead of primary rays; its motion and ids are not read.
    pub planes: Option<&'a GBuffer>,
}

impl<'a> TraceJob<'a> {
    /// A job for a whole, unmoving view: frame 0, no filter, with primary planes.
    pub fn whole_view(extent: Extent, camera: Camera, layers: &'a [LayerRequest]) -> TraceJob<'a> {
        let (frame_id, filter_radius) = (0, 0);
        TraceJob {
            frame_id,
            extent,
            rect: extent.rect(),
            camera,
            previous_camera: camera,
            layers,
            filter_radius,
            primary: true,
            pre_exposure: 1.0,
            planes: None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), RendererError> {
        let invalid = |reason: String| Err(RendererError::InvalidJob(reason));
        let (w, h) = (self.extent.width, self.extent.height);
        if w == 0 || h == 0 || w > MAX_EXTENT || h > MAX_EXTENT {
            return invalid(format!("a view of {w}x{h} pixels; each side must be within 1 to {MAX_EXTENT}"));
        }
        let r = self.rect;
        let fits = r.x.checked_add(r.width).is_some_and(|right| right <= w)
            && r.y.checked_add(r.height).is_some_and(|bottom| bottom <= h);
        if r.is_empty() || !fits {
            return invalid(format!("rectangle {r:?} is empty or leaves the view of {w}x{h} pixels"));
        }
        if r.pixels() > MAX_PIXELS {
            return invalid(format!("rectangle {r:?} has more than {MAX_PIXELS} pixels"));
        }
        for (name, camera) in [("camera", &self.camera), ("previous camera", &self.previous_camera)] {
            if !camera.is_valid() {
                return invalid(format!("{name} {camera:?} is not finite, not normalised or sees nothing"));
            }
        }
        if !(self.pre_exposure.is_finite() && self.pre_exposure > 0.0) {
            return invalid(format!("a pre-exposure of {}; it must be finite and above 0", self.pre_exposure));
        }
        let padded = self.padded();
        if let Some(planes) = self.planes {
            let size = Extent::new(padded.width, padded.height);
            if let Some(what) = planes_of_another_size(planes, size) {
                return invalid(format!("{what}; {padded:?} is needed, whole 2x2 blocks around {r:?}"));
            }
            if !(0.0..=1.0).contains(&planes.depth_error) {
                return invalid(format!("a depth error of {}; it must be within 0 to 1", planes.depth_error));
            }
        }
        if self.filter_radius > MAX_FILTER_RADIUS {
            return invalid(format!("filter radius {} is more than {MAX_FILTER_RADIUS}", self.filter_radius));
        }
        for (i, layer) in self.layers.iter().enumerate() {
            let name = layer.kind.name();
            if layer.samples == 0 || layer.samples > MAX_SAMPLES {
                return invalid(format!("{} samples of layer {name}; 1 to {MAX_SAMPLES} are possible", layer.samples));
            }
            if layer.scale != 1 && layer.scale != 2 {
                return invalid(format!("scale {} of layer {name}; 1 and 2 are possible", layer.scale));
            }
            if layer.bounces > MAX_BOUNCES {
                return invalid(format!("{} bounces of layer {name}; 0 to {MAX_BOUNCES} are possible", layer.bounces));
            }
            if self.layers[..i].iter().any(|l| l.kind == layer.kind) {
                return invalid(format!("layer {name} is asked for twice"));
            }
        }
        Ok(())
    }

    /// The rectangle grown to whole 2x2 blocks of the view, since a block that it touches may be shaded outside of it.
    pub fn padded(&self) -> Rect {
        self.rect.whole_blocks(2, self.extent)
    }
}

fn planes_of_another_size(planes: &GBuffer, size: Extent) -> Option<String> {
    if planes.extent != size {
        return Some(format!("planes of {:?}", planes.extent));
    }
    let wrong = planes.planes_for_peers().find(|(_, words)| words.len() != size.pixels());
    wrong.map(|(plane, words)| format!("{plane:?} with {} pixels", words.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_frame::LayerKind;

    fn job(rect: Rect, layers: &[LayerRequest]) -> TraceJob<'_> {
        let camera = Camera::with_fov(1.0, 1.0);
        TraceJob { rect, ..TraceJob::whole_view(Extent::new(101, 99), camera, layers) }
    }

    #[test]
    fn impossible_jobs_are_refused() {
        let ok = LayerRequest { kind: LayerKind::Direct, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES };
        assert!(job(Rect::new(1, 1, 100, 98), &[ok]).validate().is_ok());
        for rect in [Rect::new(0, 0, 0, 5), Rect::new(100, 0, 2, 2), Rect::new(u32::MAX, 0, 2, 2)] {
            assert!(job(rect, &[ok]).validate().is_err());
        }
        let r = Rect::new(0, 0, 8, 8);
        for bad in [
            LayerRequest { samples: 0, ..ok },
            LayerRequest { samples: 65, ..ok },
            LayerRequest { scale: 3, ..ok },
            LayerRequest { bounces: 65, ..ok },
        ] {
            assert!(job(r, &[bad]).validate().is_err());
        }
        assert!(job(r, &[ok, ok]).validate().is_err());
        for pre_exposure in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(TraceJob { pre_exposure, ..job(r, &[ok]) }.validate().is_err());
        }
        let mut lost = job(r, &[]);
        lost.camera.position.x = f32::NAN;
        assert!(lost.validate().is_err());
    }
}
