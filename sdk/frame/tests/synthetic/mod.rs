//! An analytic scene (a floor, a ball, the sky) and its tracer, which stands for a peer.

use glam::{Vec2, Vec3};
use half::f16;
use rayloom_frame::{
    Extent, LayerKind, LayerPlane, LayerRequest, Primary, Rect, SKY_DEPTH, TracedTile,
    demodulate::scaled_sample_pixel,
    merge::{FrameInputs, Merger, PlannedTile},
    normal::encode_normal,
};
use rayloom_scene::Camera;

/// All layers; specular and indirect at half resolution.
pub(crate) const LAYERS: [LayerRequest; 4] = [
    LayerRequest { kind: LayerKind::Direct, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES },
    LayerRequest { kind: LayerKind::Specular, samples: 1, scale: 2, bounces: LayerRequest::BOUNCES },
    LayerRequest { kind: LayerKind::Indirect, samples: 1, scale: 2, bounces: LayerRequest::BOUNCES },
    LayerRequest { kind: LayerKind::Unlit, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES },
];

/// A moment of the scene.
#[derive(Clone, Copy)]
pub(crate) struct Shot {
    pub(crate) extent: Extent,
    pub(crate) frame_id: u64,
    pub(crate) camera: Camera,
    pub(crate) previous_camera: Camera,
    /// Centre of the ball.
    pub(crate) ball: Vec3,
    /// What it moved since the last frame.
    pub(crate) ball_step: Vec3,
    /// Standard deviation of the noise in the layers, relative.
    pub(crate) noise: f32,
    /// Factor of all light.
    pub(crate) light: f32,
}

impl Shot {
    /// Frame `frame_id` of a camera that moves `step` metres a frame to the right of (0, 1.5, 4), looking ahead.
    pub(crate) fn moving(extent: Extent, frame_id: u64, step: f32) -> Shot {
        let camera = |frame: f32| {
            let position = Vec3::new(frame * step, 1.5, 4.0);
            Camera::look_at(
                position,
                position + Vec3::new(0.0, -0.35, -1.0),
                1.0,
                extent.width as f32 / extent.height as f32,
            )
        };
        let (camera, previous_camera) = (camera(frame_id as f32), camera(frame_id as f32 - 1.0));
        let (ball, ball_step) = (Vec3::new(0.0, 0.7, 0.0), Vec3::ZERO);
        Shot { extent, frame_id, camera, previous_camera, ball, ball_step, noise: 0.0, light: 1.0 }
    }

    fn size(&self) -> Vec2 {
        Vec2::new(self.extent.width as f32, self.extent.height as f32)
    }

    /// (planar depth, point, normal, instance id), or nothing for the sky.
    fn hit(&self, x: u32, y: u32) -> Option<(f32, Vec3, Vec3, u32)> {
        let ray = self.camera.ray(Vec2::new(x as f32 + 0.5, y as f32 + 0.5), self.size());
        let origin = self.camera.position;
        let floor = (-origin.y / ray.y, 1);
        let (a, b, c) = {
            let o = origin - self.ball;
            (ray.dot(ray), 2.0 * o.dot(ray), o.dot(o) - 0.49)
        };
        let root = (b * b - 4.0 * a * c).sqrt();
        let ball = ((-b - root) / (2.0 * a), 2);
        let (depth, id) =
            [floor, ball].into_iter().filter(|(t, _)| *t > 0.0 && *t < 60.0).min_by(|a, b| a.0.total_cmp(&b.0))?;
        let point = origin + ray * depth;
        let normal = if id == 1 { Vec3::Y } else { (point - self.ball).normalize() };
        Some((depth, point, normal, id))
    }

    /// Light on a surface: smooth stripes, so that content moves with the surface.
    fn layer(&self, kind: LayerKind, x: u32, y: u32) -> [u16; 4] {
        let k = kind as u32 as f32 + 1.0;
        let (light, alpha) = match (self.hit(x, y), kind) {
            (None, LayerKind::Unlit) => (Vec3::new(0.2, 0.4, 0.8), 0.0),
            (None, _) => (Vec3::ZERO, 65504.0),
            (Some(_), LayerKind::Unlit) => (Vec3::ZERO, 1.0),
            (Some((_, p, _, id)), _) => {
                let wave = |f: f32| 0.5 + 0.4 * (f * k).sin();
                (Vec3::new(wave(p.x), wave(p.z), 0.3 * id as f32), 2.0)
            }
        };
        let noisy = |c: usize| {
            (1.0 + self.noise * (self.random(x, y, c as u32 * 8 + kind as u32) - 0.5) * 3.46).max(0.0)
                * light[c]
                * self.light
        };
        [noisy(0), noisy(1), noisy(2), alpha].map(|v| f16::from_f32(v).to_bits())
    }

    /// Uniform in [0, 1), of nothing but frame, pixel and channel.
    fn random(&self, x: u32, y: u32, channel: u32) -> f32 {
        let mut h = x.wrapping_mul(0x9e37_79b1)
            ^ y.wrapping_mul(0x85eb_ca77)
            ^ (self.frame_id as u32).wrapping_mul(0xc2b2_ae3d)
            ^ channel << 24;
        for _ in 0..2 {
            h = (h ^ h >> 15).wrapping_mul(0x2c1b_3c6d);
            h = (h ^ h >> 12).wrapping_mul(0x297a_2d39);
        }
        (h >> 8) as f32 / (1 << 24) as f32
    }

    pub(crate) fn trace(&self, tile: PlannedTile, layers: &[LayerRequest]) -> TracedTile {
        let rect = tile.rect.grown(tile.ghost, self.extent);
        let mut primary = Primary::default();
        for (x, y) in pixels(rect) {
            let hit = self.hit(x, y);
            let pixel = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
            let far = self.previous_camera.position + self.camera.ray(pixel, self.size()) * 1e6;
            let was = hit.map_or(far, |h| if h.3 == 2 { h.1 - self.ball_step } else { h.1 });
            let (before, _) = self.previous_camera.project(was, self.size());
            let motion = before - pixel;
            primary.depth.push(hit.map_or(SKY_DEPTH, |h| h.0));
            primary.normal.push(hit.map_or(0, |h| encode_normal(h.2)));
            primary.base_color.push(hit.map_or(0, |h| if h.3 == 1 { 0xff80_c0ff } else { 0xff20_40e0 }));
            primary.material.push(hit.map_or(0, |h| if h.3 == 1 { 0x0100_00ff } else { 0x0100_0030 }));
            primary
                .motion
                .push(f16::from_f32(motion.x).to_bits() as u32 | (f16::from_f32(motion.y).to_bits() as u32) << 16);
            primary.instance_id.push(hit.map_or(0, |h| h.3));
        }
        let layer = |request: &LayerRequest| {
            let scale = request.scale as u32;
            let rect = rect.scaled(scale);
            let sample = |(bx, by)| {
                let (x, y) = scaled_sample_pixel(bx, by, self.frame_id, scale, self.extent);
                self.layer(request.kind, x, y)
            };
            LayerPlane { kind: request.kind, scale: request.scale, rect, pixels: pixels(rect).map(sample).collect() }
        };
        TracedTile { rect, layers: layers.iter().map(layer).collect(), primary: Some(primary), block_rays: Vec::new() }
    }

    pub(crate) fn inputs<'a>(&self, layers: &'a [LayerRequest], tiles: &'a [PlannedTile]) -> FrameInputs<'a> {
        FrameInputs {
            previous_camera: self.previous_camera,
            ..FrameInputs::new(self.frame_id, self.camera, layers, tiles)
        }
    }

    /// Opens the frame and adds all tiles but those in `missing`; tile `i` comes from peer `i % 4`.
    pub(crate) fn deliver(
        &self,
        merger: &mut Merger,
        layers: &[LayerRequest],
        tiles: &[PlannedTile],
        missing: &[usize],
    ) {
        merger.begin(self.inputs(layers, tiles)).unwrap();
        for (i, tile) in tiles.iter().enumerate().filter(|(i, _)| !missing.contains(i)) {
            merger.add_tile(self.frame_id, i as u32, i as u32 % 4, &self.trace(*tile, layers)).unwrap();
        }
    }
}

pub(crate) fn whole(extent: Extent) -> Vec<PlannedTile> {
    vec![PlannedTile { rect: extent.rect(), ghost: 0 }]
}

/// A grid cut at these columns and rows.
pub(crate) fn cut(extent: Extent, columns: &[u32], rows: &[u32], ghost: u32) -> Vec<PlannedTile> {
    let spans = |cuts: &[u32], end: u32| {
        let edges: Vec<u32> = [0].iter().chain(cuts).chain(&[end]).copied().collect();
        edges.windows(2).map(|w| (w[0], w[1] - w[0])).collect::<Vec<_>>()
    };
    let columns = spans(columns, extent.width);
    let tile = |(y, height)| {
        columns.clone().into_iter().map(move |(x, width)| PlannedTile { rect: Rect::new(x, y, width, height), ghost })
    };
    spans(rows, extent.height).into_iter().flat_map(tile).collect()
}

fn pixels(rect: Rect) -> impl Iterator<Item = (u32, u32)> {
    (rect.y..rect.bottom()).flat_map(move |y| (rect.x..rect.right()).map(move |x| (x, y)))
}
