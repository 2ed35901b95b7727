//! Light for pixels of which nothing is known, neither a sample nor history: that of neighbours that show the same surface.
//!
//! **What is filled in counts for no frame**: history has gathered none there, so the first sample stands alone, and until it comes
//! each frame looks anew. Only pixels that were sampled or followed are read, never filled ones, so any order gives the same bits.

use glam::{Vec2, Vec3};
use half::f16;
use rayloom_scene::Camera;

use super::{
    layer::LayerBuffers,
    reproject::is_same_material,
    resolve::{Came, Expected, Inputs, LAYERS},
};
use crate::{LayerKind, Primary, Rect, normal::decode_normal};

/// Pixels from one that is filled to its neighbours: each ring is tried after the one before.
const RINGS: [i32; 8] = [1, 2, 3, 5, 8, 13, 21, 34];
const REACH: u32 = 34;
/// Neighbours of a ring, in sixteenths of its radius; every second ring is turned by half a step.
const WAYS: [[(i32, i32); 8]; 2] = [
    [(16, 0), (11, 11), (0, 16), (-11, 11), (-16, 0), (-11, -11), (0, -16), (11, -11)],
    [(15, 6), (6, 15), (-6, 15), (-15, 6), (-15, -6), (-6, -15), (6, -15), (15, -6)],
];
/// Once so many neighbours are found, those farther away are left alone.
const ENOUGH: u32 = 6;
/// Neighbours lie off the plane of the pixel's surface by less than this share of its depth.
const OFF_PLANE: f32 = 0.02;
/// The cosine between their normals is more than this.
const ALIKE: f32 = 0.9;

/// What tells surfaces apart.
struct Surfaces<'a> {
    planes: &'a Primary,
    width: u32,
    height: u32,
    /// The ray of the first pixel, and what a pixel to the right and one down adds.
    origin: Vec3,
    step_x: Vec3,
    step_y: Vec3,
}

/// A pixel's surface.
struct Surface {
    instance_id: u32,
    /// Packed.
    material: u32,
    normal: Vec3,
    depth: f32,
    /// Seen from the camera.
    point: Vec3,
}

/// Fills what nothing is known of in the layers of a frame that is merged.
pub(super) fn fill(
    inputs: &Inputs<'_>,
    camera: &Camera,
    planes: &Primary,
    lengths: &[u8],
    layers: &mut [LayerBuffers; LAYERS],
) {
    let expected = Expected {
        is_due: layers.each_ref().map(|layer| layer.request.is_some() && !layer.is_later),
        is_later: layers.each_ref().map(|layer| layer.is_later),
    };
    let is_missing = inputs.tiles.iter().any(|tile| !tile.is_complete());
    let surfaces = Surfaces::new(planes, camera, inputs);
    let is_due_known = is_missing && lengths.iter().any(|length| *length > 0);
    for kind in LayerKind::ALL {
        let LayerBuffers { request: Some(_), current, is_later, times, .. } = &mut layers[kind as usize] else {
            continue;
        };
        let (lengths, is_known) = match is_later {
            true => (times.lengths(), times.lengths().iter().any(|length| *length > 0)),
            false => (lengths, is_due_known),
        };
        if !is_known {
            continue;
        }
        for tile in inputs.tiles.iter().filter(|tile| *is_later || !tile.is_complete()) {
            let rect = tile.plan().rect;
            for y in rect.y..rect.bottom() {
                if !*is_later && Came::of(tile, y, &expected).has_layer[kind as usize] {
                    continue;
                }
                let row = y as usize * inputs.extent.width as usize;
                for x in rect.x..rect.right() {
                    if lengths[row + x as usize] == 0
                        && (inputs.history.is_some() || is_near_border(rect, x, y))
                        && let Some(light) = surfaces.light_around(x, y, lengths, current)
                    {
                        current[row + x as usize] = light;
                    }
                }
            }
        }
    }
}

/// Without history only other tiles have what a tile could be filled with.
fn is_near_border(rect: Rect, x: u32, y: u32) -> bool {
    let from_sides = (x - rect.x).min(rect.right() - 1 - x);
    from_sides.min(y - rect.y).min(rect.bottom() - 1 - y) < REACH
}

impl<'a> Surfaces<'a> {
    fn new(planes: &'a Primary, camera: &Camera, inputs: &Inputs<'_>) -> Surfaces<'a> {
        let (width, height) = (inputs.extent.width, inputs.extent.height);
        let ray = |x, y| camera.ray(Vec2::new(x, y), Vec2::new(width as f32, height as f32));
        let origin = ray(0.5, 0.5);
        Surfaces { planes, width, height, origin, step_x: ray(1.5, 0.5) - origin, step_y: ray(0.5, 1.5) - origin }
    }

    fn index(&self, x: u32, y: u32) -> usize {
        y as usize * self.width as usize + x as usize
    }

    fn surface(&self, x: u32, y: u32) -> Surface {
        let at = self.index(x, y);
        let depth = self.planes.depth[at];
        let point = (self.origin + self.step_x * x as f32 + self.step_y * y as f32) * depth;
        Surface {
            instance_id: self.planes.instance_id[at],
            material: self.planes.material[at],
            normal: decode_normal(self.planes.normal[at]),
            depth,
            point,
        }
    }

    /// The mean of neighbours that show the pixel's surface, the nearer the more; `None` where there are none in reach.
    fn light_around(&self, x: u32, y: u32, lengths: &[u8], layer: &[[u16; 4]]) -> Option<[u16; 4]> {
        let here = self.surface(x, y);
        let (mut sum, mut weights, mut found) = ([0.0; 4], 0.0, 0);
        for (ring, radius) in RINGS.into_iter().enumerate() {
            for (right, down) in WAYS[ring % 2] {
                // Half away from zero, so that rings are symmetrical.
                let step = |share: i32| (share * radius + 8 * share.signum()) / 16;
                let (Some(x), Some(y)) = (x.checked_add_signed(step(right)), y.checked_add_signed(step(down))) else {
                    continue;
                };
                if x >= self.width || y >= self.height {
                    continue;
                }
                let at = self.index(x, y);
                if lengths[at] == 0
                    || self.planes.instance_id[at] != here.instance_id
                    || !here.is_also(&self.surface(x, y))
                {
                    continue;
                }
                let weight = 1.0 / (radius * radius) as f32;
                for (sum, half) in sum.iter_mut().zip(layer[at]) {
                    *sum += weight * f16::from_bits(half).to_f32();
                }
                weights += weight;
                found += 1;
            }
            if found >= ENOUGH {
                break;
            }
        }
        (found > 0).then(|| sum.map(|sum| f16::from_f32(sum / weights).to_bits()))
    }
}

impl Surface {
    fn is_also(&self, other: &Surface) -> bool {
        let is_sky = [self.depth, other.depth].map(f32::is_infinite);
        if is_sky[0] || is_sky[1] {
            return is_sky == [true; 2];
        }
        // False for NaN too.
        self.instance_id == other.instance_id
            && is_same_material(self.material, other.material)
            && self.normal.dot(other.normal) > ALIKE
            && self.normal.dot(other.point - self.point).abs() < OFF_PLANE * self.depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::encode_normal;

    const WIDTH: u32 = 40;

    /// A wall of instance 1 on the left, one of instance 2 right of column 20; light of 1 and 5.
    fn walls() -> (Primary, Vec<[u16; 4]>) {
        let pixels = (WIDTH * WIDTH) as usize;
        let is_left = |i: usize| (i as u32) % WIDTH < 20;
        let planes = Primary {
            depth: vec![4.0; pixels],
            normal: vec![encode_normal(Vec3::Z); pixels],
            material: vec![0x0100_0010; pixels],
            instance_id: (0..pixels).map(|i| if is_left(i) { 1 } else { 2 }).collect(),
            ..Primary::default()
        };
        let light = |v: f32| [f16::from_f32(v).to_bits(); 4];
        (planes, (0..pixels).map(|i| light(if is_left(i) { 1.0 } else { 5.0 })).collect())
    }

    fn surfaces(planes: &Primary) -> Surfaces<'_> {
        let (origin, step_x, step_y) = (Vec3::new(-0.5, 0.5, -1.0), Vec3::X / WIDTH as f32, -Vec3::Y / WIDTH as f32);
        Surfaces { planes, width: WIDTH, height: WIDTH, origin, step_x, step_y }
    }

    #[test]
    fn light_comes_from_the_same_surface_alone() {
        let (planes, layer) = walls();
        // Nothing is known of columns 10 to 29.
        let lengths: Vec<u8> = (0..WIDTH * WIDTH).map(|i| u8::from(!(10..30).contains(&(i % WIDTH)))).collect();
        for y in 0..WIDTH {
            for x in 10..30 {
                let light = surfaces(&planes).light_around(x, y, &lengths, &layer);
                let expected = if x < 20 { 1.0 } else { 5.0 };
                assert_eq!(light, Some([f16::from_f32(expected).to_bits(); 4]), "{x}, {y}");
            }
        }
    }

    #[test]
    fn another_normal_or_plane_is_another_surface_and_nothing_known_gives_nothing() {
        let (mut planes, layer) = walls();
        let mut lengths = vec![1; layer.len()];
        lengths[0] = 0;
        planes.normal[0] = encode_normal(Vec3::X);
        assert_eq!(surfaces(&planes).light_around(0, 0, &lengths, &layer), None);
        planes.normal[0] = encode_normal(Vec3::Z);
        planes.depth[0] = 5.0;
        assert_eq!(surfaces(&planes).light_around(0, 0, &lengths, &layer), None);
        planes.depth[0] = f32::NAN;
        assert_eq!(surfaces(&planes).light_around(0, 0, &lengths, &layer), None);
        planes.depth[0] = 4.0;
        planes.material[0] = 0x0100_00d0;
        assert_eq!(surfaces(&planes).light_around(0, 0, &lengths, &layer), None);
        planes.material[0] = 0x0100_0018;
        assert!(surfaces(&planes).light_around(0, 0, &lengths, &layer).is_some());
        lengths.fill(0);
        assert_eq!(surfaces(&planes).light_around(0, 0, &lengths, &layer), None);
    }
}
