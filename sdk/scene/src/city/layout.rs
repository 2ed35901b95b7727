//! The plan: blocks between streets, lots in blocks, what stands on each.

use super::builder::Random;
use super::buildings::{Building, Kind};
use super::ground::KERB;
use glam::Vec2;

/// Distance of parallel streets' centre lines in metres.
pub(super) const PITCH: f32 = 74.0;
/// Width of a street from kerb to kerb in metres.
pub(super) const STREET: f32 = 16.0;
/// Width of a pavement in metres.
pub(super) const PAVEMENT: f32 = 4.0;

/// Land between four streets.
pub(super) struct Block {
    pub(super) center: Vec2,
    pub(super) is_park: bool,
    pub(super) buildings: Vec<Building>,
}

impl Block {
    /// From the centre to the kerb.
    pub(super) fn half(&self) -> Vec2 {
        Vec2::splat((PITCH - STREET) * 0.5)
    }
}

/// The whole plan: `size` x `size` blocks around the crossing at the origin (`size` is even).
pub(super) struct Layout {
    pub(super) size: usize,
    pub(super) blocks: Vec<Block>,
}

impl Layout {
    pub(super) fn new(size: usize, seed: u64) -> Layout {
        let mut blocks = Vec::new();
        for j in 0..size {
            for i in 0..size {
                let center = (Vec2::new(i as f32, j as f32) + 0.5 - size as f32 * 0.5) * PITCH;
                blocks.push(plan_block(center, size, Random::stream(seed, (j * 1024 + i) as u64)));
            }
        }
        Layout { size, blocks }
    }

    /// Half of the city's width in metres.
    pub(super) fn edge(&self) -> f32 {
        self.size as f32 * 0.5 * PITCH + STREET * 0.5
    }
}

fn plan_block(center: Vec2, size: usize, mut random: Random) -> Block {
    let block = |is_park, buildings| Block { center, is_park, buildings };
    let half = (PITCH - STREET) * 0.5 - PAVEMENT;
    let is_landmark = center.x > 0.0 && center.x < PITCH && center.y < 0.0 && center.y > -PITCH;
    if is_landmark {
        let height = (95.0 + 12.0 * size as f32).min(235.0);
        let (min, max) = (center - half * 0.8, center + half * 0.8);
        return block(false, vec![Building { kind: Kind::Landmark, min, max, height, seed: random.next() }]);
    }
    // One park by the avenue that cameras look along, others by chance.
    let by_avenue = center.x < 0.0 && center.x > -PITCH && center.y > 0.0 && center.y < PITCH && size > 2;
    if by_avenue || (center.length() > 1.5 * PITCH && random.chance(0.09)) {
        return block(true, Vec::new());
    }
    let reach = (center / (size as f32 * PITCH * 0.24 + 62.0)).length_squared();
    let downtown = (-reach).exp();
    let lots: &[(f32, f32, f32, f32)] = if random.chance(0.5 * downtown) {
        &[(-1.0, -1.0, 1.0, 1.0)]
    } else if random.chance(0.45) {
        &[(-1.0, -1.0, 0.0, 1.0), (0.0, -1.0, 1.0, 0.0), (0.0, 0.0, 1.0, 1.0)]
    } else if random.chance(0.3) {
        &[(-1.0, -1.0, 1.0, 0.05), (-1.0, 0.05, 0.0, 1.0), (0.0, 0.05, 1.0, 1.0)]
    } else {
        &[(-1.0, -1.0, 0.0, 0.0), (0.0, -1.0, 1.0, 0.0), (-1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0)]
    };
    let buildings = lots
        .iter()
        .map(|&(x0, z0, x1, z1)| {
            let gap = random.range(0.4, 2.2);
            let inner = |edge: f32| if edge.abs() < 1.0 { gap } else { 0.0 };
            let min = center + Vec2::new(x0 * half + inner(x0), z0 * half + inner(z0));
            let max = center + Vec2::new(x1 * half - inner(x1), z1 * half - inner(z1));
            let tall = 14.0 + 150.0 * downtown * downtown * random.range(0.35, 1.0) + 22.0 * random.range(0.0, 1.0);
            // A slender tower looks right, a slender house does not.
            let height = tall.min((max - min).min_element() * 7.0);
            let kind = match height {
                h if h > 70.0 && random.chance(0.62) => Kind::GlassTower,
                h if h > 48.0 => Kind::Setback,
                h if h > 22.0 => random.pick(&[Kind::Flats, Kind::Flats, Kind::Flats, Kind::GlassTower, Kind::Setback]),
                _ => random.pick(&[Kind::Shops, Kind::Flats, Kind::Shops, Kind::Flats]),
            };
            let height = if kind == Kind::Shops { height.min(16.0) } else { height };
            Building { kind, min, max, height: height + KERB, seed: random.next() }
        })
        .collect();
    block(false, buildings)
}
