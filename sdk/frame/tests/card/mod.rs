//! A card before a wall, seen by a camera that moves sideways, and its tracer, which stands for a peer.

use glam::{Vec2, Vec3};
use half::f16;
use rayloom_frame::{
    Extent, LayerKind, LayerPlane, LayerRequest, Primary, Rect, TracedTile,
    merge::{FrameInputs, PlannedTile},
    normal::encode_normal,
};
use rayloom_scene::Camera;

pub(crate) const EXTENT: Extent = Extent::new(160, 90);
pub(crate) const LAYERS: [LayerRequest; 1] = [LayerRequest::new(LayerKind::Direct)];
/// Instances.
pub(crate) const WALL: u32 = 1;
pub(crate) const CARD: u32 = 2;
const CARD_DEPTH: f32 = 4.0;
const WALL_DEPTH: f32 = 8.0;
/// Half of the card's sides.
const HALF: Vec2 = Vec2::new(0.7, 0.6);

/// A frame of the scene.
#[derive(Clone, Copy)]
pub(crate) struct Shot {
    pub(crate) frame_id: u64,
    pub(crate) camera: Camera,
    previous_camera: Camera,
}

impl Shot {
    /// From a camera that has moved so many of the card's pixels to the right and up, and had in the frame before.
    pub(crate) fn new(frame_id: u64, pixels: Vec2, previous_pixels: Vec2) -> Shot {
        let camera = |pixels: Vec2| {
            let camera = Camera::with_fov(1.0, EXTENT.width as f32 / EXTENT.height as f32);
            let pixel = 2.0 * camera.tan_half_fov.x * CARD_DEPTH / EXTENT.width as f32;
            Camera { position: (pixels * pixel).extend(0.0), ..camera }
        };
        Shot { frame_id, camera: camera(pixels), previous_camera: camera(previous_pixels) }
    }

    /// Depth, point and instance.
    fn hit(&self, (x, y): (u32, u32)) -> (f32, Vec3, u32) {
        let size = Vec2::new(EXTENT.width as f32, EXTENT.height as f32);
        let ray = self.camera.ray(Vec2::new(x as f32 + 0.5, y as f32 + 0.5), size);
        let at = |depth: f32| self.camera.position + ray * depth;
        let on_card = at(CARD_DEPTH);
        if on_card.x.abs() < HALF.x && on_card.y.abs() < HALF.y {
            (CARD_DEPTH, on_card, CARD)
        } else {
            (WALL_DEPTH, at(WALL_DEPTH), WALL)
        }
    }

    pub(crate) fn trace(&self, rect: Rect) -> TracedTile {
        let size = Vec2::new(EXTENT.width as f32, EXTENT.height as f32);
        let (mut primary, mut light) = (Primary::default(), Vec::new());
        for pixel in (rect.y..rect.bottom()).flat_map(|y| (rect.x..rect.right()).map(move |x| (x, y))) {
            let (depth, point, instance_id) = self.hit(pixel);
            let was = self.previous_camera.project(point, size).0;
            let motion = was - Vec2::new(pixel.0 as f32 + 0.5, pixel.1 as f32 + 0.5);
            let wave = |v: f32| 0.5 + 0.4 * (v * 9.0).sin();
            let color = [wave(point.x), wave(point.y + 1.0), 0.3 * instance_id as f32].map(|v| (v * 255.0) as u32);
            primary.depth.push(depth);
            primary.normal.push(encode_normal(Vec3::Z));
            primary.base_color.push(color[0] | color[1] << 8 | color[2] << 16 | 0xff00_0000);
            primary.material.push(0xff);
            let [right, down] = motion.to_array().map(|v| u32::from(f16::from_f32(v).to_bits()));
            primary.motion.push(right | down << 16);
            primary.instance_id.push(instance_id);
            let shade = 0.6 + 0.3 * (point.x * 3.0 + point.y * 2.0).sin();
            light.push([shade, shade, shade, 2.0].map(|v| f16::from_f32(v).to_bits()));
        }
        let layers = vec![LayerPlane { kind: LayerKind::Direct, scale: 1, rect, pixels: light }];
        TracedTile { rect, layers, primary: Some(primary), block_rays: Vec::new() }
    }

    /// All that primary rays hit.
    pub(crate) fn truth(&self) -> Primary {
        self.trace(EXTENT.rect()).primary.unwrap()
    }

    pub(crate) fn inputs<'a>(&self, tiles: &'a [PlannedTile]) -> FrameInputs<'a> {
        FrameInputs {
            previous_camera: self.previous_camera,
            ..FrameInputs::new(self.frame_id, self.camera, &LAYERS, tiles)
        }
    }
}

/// Four tiles that meet in the card.
pub(crate) fn tiles() -> Vec<PlannedTile> {
    let (x, y) = (83, 41);
    let rects = [
        Rect::new(0, 0, x, y),
        Rect::new(x, 0, EXTENT.width - x, y),
        Rect::new(0, y, x, EXTENT.height - y),
        Rect::new(x, y, EXTENT.width - x, EXTENT.height - y),
    ];
    rects.map(|rect| PlannedTile { rect, ghost: 0 }).to_vec()
}

/// Pixels that show the card where none of the truth does within `margin` pixels.
pub(crate) fn ghosts(seen: &Primary, truth: &Primary, margin: u32) -> usize {
    let is_card = |x: u32, y: u32| truth.instance_id[(y * EXTENT.width + x) as usize] == CARD;
    let shown = (0..EXTENT.pixels() as u32).filter(|i| seen.instance_id[*i as usize] == CARD);
    let is_ghost = |i: &u32| {
        let (x, y) = (i % EXTENT.width, i / EXTENT.width);
        let columns = x.saturating_sub(margin)..=(x + margin).min(EXTENT.width - 1);
        let mut rows = y.saturating_sub(margin)..=(y + margin).min(EXTENT.height - 1);
        !rows.any(|y| columns.clone().any(|x| is_card(x, y)))
    };
    shown.filter(is_ghost).count()
}
