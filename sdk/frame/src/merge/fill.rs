//! Light for pixels of which nothing is known, neither a sample nor history: that of neighbours that show the same surface.
//!
//! **What is filled in counts for no frame**: history has gathered none there, so the first sample stands alone, and until it comes
//! each frame looks anew. Only pixels that were sampled or followed are read, never filled ones: all is found before any is written, so
//! any order and number of threads gives the same bits.

use glam::{Vec2, Vec3};
use half::f16;
use rayloom_scene::Camera;

use super::{
    ahead::Stage,
    bands::take,
    blocks::{Blocks, Reach},
    layer::LayerBuffers,
    reproject::is_same_material,
    resolve::{Came, Expected, Inputs, LAYERS},
};
use crate::{
    Extent, LayerKind, Primary, Rect, Workers,
    normal::decode_normal,
    workers::{BAND_ROWS, for_each},
};

/// Pixels from one that is filled to its neighbours: each ring is tried after the one before.
const RINGS: [i32; 8] = [1, 2, 3, 5, 8, 13, 21, 34];
const REACH: u32 = 34;
/// Neighbours of a ring, in sixteenths of its radius; every second ring is turned by half a step.
const WAYS: [[(i32, i32); 8]; 2] = [
    [(16, 0), (11, 11), (0, 16), (-11, 11), (-16, 0), (-11, -11), (0, -16), (11, -11)],
    [(15, 6), (6, 15), (-6, 15), (-15, 6), (-15, -6), (-6, -15), (6, -15), (15, -6)],
];
/// Pixels to the right and down of each ring's neighbours.
const STEPS: [[(i32, i32); WAYS[0].len()]; RINGS.len()] = steps();
/// Once so many neighbours are found, those farther away are left alone.
const ENOUGH: usize = 6;
/// The most that are found: one fewer than that, and all of the last ring.
const MOST: usize = ENOUGH - 1 + WAYS[0].len();
/// Neighbours lie off the plane of the pixel's surface by less than this share of its depth.
const OFF_PLANE: f32 = 0.02;
/// The cosine between their normals is more than this.
const ALIKE: f32 = 0.9;

const fn steps() -> [[(i32, i32); WAYS[0].len()]; RINGS.len()] {
    // Half away from zero, so that rings are symmetrical.
    const fn pixels(share: i32, radius: i32) -> i32 {
        (share * radius + 8 * share.signum()) / 16
    }
    let mut steps = [[(0, 0); WAYS[0].len()]; RINGS.len()];
    let mut ring = 0;
    while ring < RINGS.len() {
        let mut way = 0;
        while way < WAYS[0].len() {
            let (right, down) = WAYS[ring % 2][way];
            steps[ring][way] = (pixels(right, RINGS[ring]), pixels(down, RINGS[ring]));
            way += 1;
        }
        ring += 1;
    }
    steps
}

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

/// Fills what nothing is known of in the layers of a frame that is merged. What the last frame's layers have there is lost.
pub(super) fn fill(
    inputs: &Inputs<'_>,
    guides: (&Camera, &Primary),
    lengths: &[u8],
    layers: &mut [LayerBuffers; LAYERS],
    (blocks, stages): (&mut Blocks, &[Stage]),
    workers: &dyn Workers,
) {
    let expected = Expected {
        is_due: layers.each_ref().map(|layer| layer.request.is_some() && !layer.is_later),
        is_later: layers.each_ref().map(|layer| layer.is_later),
    };
    let (camera, planes) = guides;
    let surfaces = Surfaces::new(planes, camera, inputs);
    if inputs.tiles.iter().any(|tile| !tile.is_complete()) {
        let mut due: Group<'_> = Default::default();
        for (kind, layer) in layers.iter_mut().enumerate().filter(|(kind, _)| expected.is_due[*kind]) {
            (due.currents[kind], due.found[kind]) = (&mut layer.current, &mut layer.history);
        }
        Fill { inputs, surfaces: &surfaces, expected, lengths, is_later: false }.run(due, (blocks, stages), workers);
    }
    for kind in LayerKind::ALL {
        let LayerBuffers { request: Some(_), current, history, is_later: true, times, .. } = &mut layers[kind as usize]
        else {
            continue;
        };
        let mut later: Group<'_> = Default::default();
        (later.currents[kind as usize], later.found[kind as usize]) = (current, history);
        let lengths = times.lengths();
        Fill { inputs, surfaces: &surfaces, expected, lengths, is_later: true }.run(later, (blocks, &[]), workers);
    }
}

/// Layers of which the same pixels are known; nothing of the others.
#[derive(Default)]
pub(super) struct Group<'a> {
    pub(super) currents: [&'a mut [[u16; 4]]; LAYERS],
    /// What their pixels become, until all of it is found: the planes of the last frame, which has had its part in this one.
    pub(super) found: [&'a mut [[u16; 4]]; LAYERS],
}

struct Fill<'a> {
    inputs: &'a Inputs<'a>,
    surfaces: &'a Surfaces<'a>,
    expected: Expected,
    lengths: &'a [u8],
    /// None of the group's layers came with the frame's tiles.
    is_later: bool,
}

impl Fill<'_> {
    fn run(&self, group: Group<'_>, (blocks, stages): (&mut Blocks, &[Stage]), workers: &dyn Workers) {
        let extent = self.inputs.extent;
        if !blocks.find((self.lengths, stages), 0, extent, Reach::Square(REACH as usize), workers) {
            return;
        }
        let (blocks, width) = (&*blocks, extent.width as usize);
        let Group { mut currents, mut found } = group;
        let sources = currents.each_ref().map(|current| &**current);
        for_each(workers, bands(&mut found, extent), |(first_row, mut found)| {
            for y in first_row..(first_row + BAND_ROWS as u32).min(extent.height) {
                self.find_row(blocks, &sources, y, found.each_mut().map(|band| take(band, width)));
            }
        });
        let found = found.each_ref().map(|found| &**found);
        for_each(workers, bands(&mut currents, extent), |(first_row, mut currents)| {
            let first = first_row as usize * width;
            for y in first_row as usize..(first_row as usize + BAND_ROWS).min(extent.height as usize) {
                for x in blocks.holes(self.lengths, y, 0..width) {
                    let at = y * width + x;
                    for (current, found) in currents.iter_mut().zip(found).filter(|(current, _)| !current.is_empty()) {
                        current[at - first] = found[at];
                    }
                }
            }
        });
    }

    /// What becomes of a row's pixels of which nothing is known.
    fn find_row(
        &self,
        blocks: &Blocks,
        currents: &[&[[u16; 4]]; LAYERS],
        y: u32,
        mut found: [&mut [[u16; 4]]; LAYERS],
    ) {
        let width = self.inputs.extent.width as usize;
        let row = y as usize * width;
        for x in blocks.holes(self.lengths, y as usize, 0..width) {
            for (found, current) in found.iter_mut().zip(currents).filter(|(found, _)| !found.is_empty()) {
                found[x] = current[row + x];
            }
        }
        for tile in self.inputs.tiles.iter().filter(|tile| self.is_later || !tile.is_complete()) {
            let rect = tile.plan().rect;
            if !(rect.y..rect.bottom()).contains(&y) {
                continue;
            }
            let came = match self.is_later {
                true => [false; LAYERS],
                false => Came::of(tile, y, &self.expected).has_layer,
            };
            let is_filled = |kind: usize| !currents[kind].is_empty() && !came[kind];
            if !(0..LAYERS).any(is_filled) {
                continue;
            }
            for x in blocks.holes(self.lengths, y as usize, rect.x as usize..rect.right() as usize) {
                if self.inputs.history.is_none() && !is_near_border(rect, x as u32, y) {
                    continue;
                }
                let around = self.surfaces.around(x as u32, y, self.lengths, blocks.least_away(x, y as usize));
                for kind in (0..LAYERS).filter(|kind| is_filled(*kind)) {
                    if let Some(light) = around.light(currents[kind]) {
                        found[kind][x] = light;
                    }
                }
            }
        }
    }
}

/// The layers in bands, with the first row of each.
fn bands<'a>(
    layers: &'a mut [&mut [[u16; 4]]; LAYERS],
    extent: Extent,
) -> impl ExactSizeIterator<Item = (u32, [&'a mut [[u16; 4]]; LAYERS])> + Send {
    let mut rest = layers.each_mut().map(|layer| &mut **layer);
    let band_pixels = BAND_ROWS * extent.width as usize;
    (0..(extent.height as usize).div_ceil(BAND_ROWS)).map(move |band| {
        let first_row = (band * BAND_ROWS) as u32;
        (first_row, rest.each_mut().map(|rest| take(rest, band_pixels)))
    })
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

    /// Known neighbours that show the pixel's surface; nothing is known of pixels nearer than `least_away`.
    fn around(&self, x: u32, y: u32, lengths: &[u8], least_away: usize) -> Around {
        let (here, centre) = (self.surface(x, y), self.index(x, y));
        let mut around = Around { pixels: [(0, 0.0); MOST], found: 0 };
        let (width, height) = (self.width as i32, self.height as i32);
        let (x, y) = (x as i32, y as i32);
        // All of a ring's pixels are at most its radius away.
        for (radius, steps) in RINGS.iter().zip(&STEPS).filter(|(radius, _)| **radius >= least_away as i32) {
            let is_inside = x >= *radius && y >= *radius && x + radius < width && y + radius < height;
            for (right, down) in steps {
                let (there_x, there_y) = (x + right, y + down);
                if !(is_inside || (0..width).contains(&there_x) && (0..height).contains(&there_y)) {
                    continue;
                }
                let at = (centre as i32 + down * width + right) as usize;
                if lengths[at] == 0
                    || self.planes.instance_id[at] != here.instance_id
                    || !here.is_also(&self.surface(there_x as u32, there_y as u32))
                {
                    continue;
                }
                around.pixels[around.found] = (at, 1.0 / (radius * radius) as f32);
                around.found += 1;
            }
            if around.found >= ENOUGH {
                break;
            }
        }
        around
    }
}

/// Pixels around one, and their weights: the nearer the greater.
struct Around {
    pixels: [(usize, f32); MOST],
    found: usize,
}

impl Around {
    /// The mean of a layer's pixels; `None` where there are none in reach.
    fn light(&self, layer: &[[u16; 4]]) -> Option<[u16; 4]> {
        let (mut sum, mut weights) = ([0.0; 4], 0.0);
        for (at, weight) in &self.pixels[..self.found] {
            for (sum, half) in sum.iter_mut().zip(layer[*at]) {
                *sum += weight * f16::from_bits(half).to_f32();
            }
            weights += weight;
        }
        (self.found > 0).then(|| sum.map(|sum| f16::from_f32(sum / weights).to_bits()))
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
                let light = surfaces(&planes).around(x, y, &lengths, 1).light(&layer);
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
        assert_eq!(surfaces(&planes).around(0, 0, &lengths, 1).light(&layer), None);
        planes.normal[0] = encode_normal(Vec3::Z);
        planes.depth[0] = 5.0;
        assert_eq!(surfaces(&planes).around(0, 0, &lengths, 1).light(&layer), None);
        planes.depth[0] = f32::NAN;
        assert_eq!(surfaces(&planes).around(0, 0, &lengths, 1).light(&layer), None);
        planes.depth[0] = 4.0;
        planes.material[0] = 0x0100_00d0;
        assert_eq!(surfaces(&planes).around(0, 0, &lengths, 1).light(&layer), None);
        planes.material[0] = 0x0100_0018;
        assert!(surfaces(&planes).around(0, 0, &lengths, 1).light(&layer).is_some());
        lengths.fill(0);
        assert_eq!(surfaces(&planes).around(0, 0, &lengths, 1).light(&layer), None);
    }
}
