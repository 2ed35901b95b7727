//! Our pictures of a reference's view: means over many frames in double precision.

use super::reference::Reference;
use glam::{DVec3, Vec2, Vec3};
use half::f16;
use rayloom_frame::demodulate::Surface;
use rayloom_frame::normal::decode_normal;
use rayloom_frame::{Extent, LayerKind, LayerRequest, Primary, TracedTile};
use rayloom_renderer::{FrameState, GpuFrame, Renderer, TraceJob};
use std::sync::Arc;

/// Samples a pixel and frame.
const PATHS_AT_ONCE: u8 = 16;
const LAYERS_AT_ONCE: u8 = 8;
/// Depths that differ by less than this share agree.
const DEPTH_AGREES: f32 = 1e-3;

pub(crate) struct Ours<'a> {
    renderer: &'a Renderer,
    reference: &'a Reference,
    frame: Arc<GpuFrame>,
    primary: Primary,
}

impl<'a> Ours<'a> {
    /// Also the share of pixels, of those where both see a surface, in which both see the same depth.
    pub(crate) fn open(renderer: &'a Renderer, reference: &'a Reference) -> Result<(Ours<'a>, f64), String> {
        let scene = reference.scene()?;
        let on_device = renderer.create_scene(&scene, &mut |_| ()).map_err(|e| e.to_string())?;
        let frame = Arc::new(on_device.frame(&FrameState::default()).map_err(|e| e.to_string())?);
        let job = TraceJob::whole_view(reference.extent, reference.camera, &[]);
        let (tile, _) = renderer.trace(&frame, &job).map_err(|e| e.to_string())?;
        let primary = tile.primary.ok_or("no planes")?;
        let both = primary.depth.iter().zip(&reference.depth).filter(|(a, b)| a.is_finite() && b.is_finite());
        let (mut count, mut agree) = (0u32, 0u32);
        for (a, b) in both {
            count += 1;
            agree += u32::from((a - b).abs() < DEPTH_AGREES * b);
        }
        Ok((Ours { renderer, reference, frame, primary }, f64::from(agree) / f64::from(count.max(1))))
    }

    /// By paths; halves 0 and 1 share no sample.
    pub(crate) fn paths(&self, half: u32, samples: u32) -> Result<Vec<Vec3>, String> {
        let layers = [LayerRequest {
            kind: LayerKind::Path,
            samples: PATHS_AT_ONCE,
            scale: 1,
            bounces: self.reference.max_bounces,
        }];
        let frames = u64::from(samples.div_ceil(PATHS_AT_ONCE.into()).max(1));
        let mut sum = vec![DVec3::ZERO; self.reference.extent.pixels()];
        self.each(u64::from(half) * frames, frames, &layers, |tile| {
            for (sum, light) in sum.iter_mut().zip(light(tile, LayerKind::Path)) {
                *sum += light;
            }
        })?;
        Ok(sum.into_iter().map(|s| (s / frames as f64).as_vec3()).collect())
    }

    /// By the real-time layers, composed in floating point, without a filter.
    pub(crate) fn layers(&self, samples: u32) -> Result<Vec<Vec3>, String> {
        let layers = LayerKind::REAL_TIME.map(|kind| LayerRequest {
            kind,
            samples: LAYERS_AT_ONCE,
            scale: 1,
            bounces: self.reference.max_bounces,
        });
        let frames = u64::from(samples.div_ceil(LAYERS_AT_ONCE.into()).max(1));
        let mut sums = vec![[DVec3::ZERO; 4]; self.reference.extent.pixels()];
        self.each(0, frames, &layers, |tile| {
            for (l, kind) in LayerKind::REAL_TIME.into_iter().enumerate() {
                for (sum, light) in sums.iter_mut().zip(light(tile, kind)) {
                    sum[l] += light;
                }
            }
        })?;
        let composed = |(i, sums): (usize, [DVec3; 4])| {
            let [direct, specular, indirect, unlit] = sums.map(|s| (s / frames as f64).as_vec3());
            if self.primary.depth[i].is_infinite() {
                return unlit;
            }
            let Extent { width, height } = self.reference.extent;
            let pixel = Vec2::new((i as u32 % width) as f32, (i as u32 / width) as f32) + 0.5;
            let view = -self.reference.camera.ray(pixel, Vec2::new(width as f32, height as f32)).normalize();
            let surface = Surface::unpack(self.primary.base_color[i], self.primary.material[i]);
            let n_dot_v = decode_normal(self.primary.normal[i]).dot(view);
            (direct + indirect) * surface.albedo_divisor() + specular * surface.specular_divisor(n_dot_v) + unlit
        };
        Ok(sums.into_iter().enumerate().map(composed).collect())
    }

    fn each(
        &self,
        first: u64,
        frames: u64,
        layers: &[LayerRequest],
        mut take: impl FnMut(&TracedTile),
    ) -> Result<(), String> {
        let whole = TraceJob::whole_view(self.reference.extent, self.reference.camera, layers);
        let job = TraceJob { primary: false, ..whole };
        for frame_id in first..first + frames {
            let traced = self.renderer.trace(&self.frame, &TraceJob { frame_id, ..job });
            take(&traced.map_err(|e| e.to_string())?.0);
        }
        Ok(())
    }
}

fn light(tile: &TracedTile, kind: LayerKind) -> impl Iterator<Item = DVec3> {
    let pixels = tile.layers.iter().filter(move |l| l.kind == kind).flat_map(|l| &l.pixels);
    pixels.map(|p| {
        let [r, g, b, _] = p.map(|bits| f16::from_bits(bits).to_f64());
        DVec3::new(r, g, b)
    })
}
