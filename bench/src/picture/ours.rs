//! Our pictures of a reference's view: means over many frames in double precision.

use super::reference::Reference;
use glam::{DVec3, Quat, Vec2, Vec3};
use half::f16;
use rayloom_frame::demodulate::Surface;
use rayloom_frame::filter::Filter;
use rayloom_frame::merge::{FrameInputs, Merger, PlannedTile};
use rayloom_frame::normal::decode_normal;
use rayloom_frame::{Extent, LayerKind, LayerRequest, Primary, TracedTile};
use rayloom_renderer::{FrameState, GpuFrame, Renderer, TraceJob};
use rayloom_scene::Camera;
use std::sync::Arc;

/// Samples a pixel and frame.
const PATHS_AT_ONCE: u8 = 16;
const LAYERS_AT_ONCE: u8 = 8;
/// Depths that differ by less than this share agree.
const DEPTH_AGREES: f32 = 1e-3;
/// The frame of the moving path that is compared.
const LAST_FRAME: u64 = 8;
/// How far the camera goes to the right in a frame, as a share of the median depth; half as far ahead.
const STEP_OF_DEPTH: f32 = 0.004;
/// How far it turns in a frame.
const TURN_DEGREES: f32 = 0.1;

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
            self.composed(&self.primary, i, sums.map(|s| (s / frames as f64).as_vec3()))
        };
        Ok(sums.into_iter().enumerate().map(composed).collect())
    }

    /// What an engine shows while the camera moves: a sample a pixel and frame, gathered by the merger, once as merged and
    /// once filtered. The path ends on the reference's camera.
    pub(crate) fn real_time(&self) -> Result<[Vec<Vec3>; 2], String> {
        let layers = LayerKind::REAL_TIME.map(|kind| LayerRequest {
            kind,
            samples: 1,
            scale: 1,
            bounces: self.reference.max_bounces,
        });
        let extent = self.reference.extent;
        let mut depths: Vec<f32> = self.primary.depth.iter().copied().filter(|d| d.is_finite()).collect();
        depths.sort_by(f32::total_cmp);
        let step = STEP_OF_DEPTH * depths.get(depths.len() / 2).copied().unwrap_or(1.0);
        let camera = |frame_id: u64| {
            let left = LAST_FRAME as f32 - frame_id as f32;
            let end = self.reference.camera;
            let rotation = Quat::from_rotation_y(left * TURN_DEGREES.to_radians()) * end.rotation;
            Camera { position: end.position - end.rotation * Vec3::new(step, 0.0, step * 0.5) * left, rotation, ..end }
        };
        let tiles = [PlannedTile { rect: extent.rect(), ghost: 0 }];
        let (mut merger, mut filter) = (Merger::new(extent), Filter::default());
        for frame_id in 0..=LAST_FRAME {
            let (camera, previous_camera) = (camera(frame_id), camera(frame_id.saturating_sub(1)));
            let job = TraceJob { frame_id, previous_camera, ..TraceJob::whole_view(extent, camera, &layers) };
            let (tile, _) = self.renderer.trace(&self.frame, &job).map_err(|e| e.to_string())?;
            let inputs = FrameInputs { previous_camera, ..FrameInputs::new(frame_id, camera, &layers, &tiles) };
            merger.begin(inputs).map_err(|e| e.to_string())?;
            merger.add_tile(frame_id, 0, 0, &tile).map_err(|e| e.to_string())?;
            merger.finish().ok_or("no frame was begun")?;
        }
        let merged = merger.finish().ok_or("no frame was begun")?;
        let filtered = filter.run(&merged);
        Ok([merged, filtered].map(|frame| {
            let of = |kind, i: usize| {
                let [r, g, b, _] = frame.layer(kind).map_or([0; 4], |l| l[i]).map(|bits| f16::from_bits(bits).to_f32());
                Vec3::new(r, g, b)
            };
            (0..extent.pixels())
                .map(|i| self.composed(frame.planes, i, LayerKind::REAL_TIME.map(|kind| of(kind, i))))
                .collect()
        }))
    }

    /// A pixel's light out of its layers, in floating point.
    fn composed(&self, planes: &Primary, i: usize, [direct, specular, indirect, unlit]: [Vec3; 4]) -> Vec3 {
        if planes.depth[i].is_infinite() {
            return unlit;
        }
        let Extent { width, height } = self.reference.extent;
        let pixel = Vec2::new((i as u32 % width) as f32, (i as u32 / width) as f32) + 0.5;
        let view = -self.reference.camera.ray(pixel, Vec2::new(width as f32, height as f32)).normalize();
        let surface = Surface::unpack(planes.base_color[i], planes.material[i]);
        let n_dot_v = decode_normal(planes.normal[i]).dot(view);
        (direct + indirect) * surface.albedo_divisor() + specular * surface.specular_divisor(n_dot_v) + unlit
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
