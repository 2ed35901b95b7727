//! The tree by which paths pick one of many lights: built on the CPU for a frame's lights, read by `light_tree.glsl`.

use bytemuck::{Pod, Zeroable};
use glam::Vec3;
use rayloom_scene::{Light, LightShape};

/// A node, byte for byte as `light_tree.glsl` reads it.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct LightNode {
    low: [f32; 3],
    power: f32,
    high: [f32; 3],
    next: u32,
    axis: [f32; 3],
    cos_normals: f32,
    cos_leaving: f32,
    flags: u32,
    reserved: [u32; 2],
}

const LEAF: u32 = 1;
const BOTH_SIDES: u32 = 2;

/// What the tree knows of one light or of many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Emitter {
    low: Vec3,
    high: Vec3,
    /// Luminance that leaves it, as intensity where it leaves straight.
    power: f32,
    axis: Vec3,
    /// Half angle of the cone of its normals, and how far from a normal light leaves, in radians.
    normals: f32,
    leaving: f32,
    both_sides: bool,
}

fn luminance(color: Vec3) -> f32 {
    color.dot(Vec3::new(0.2126, 0.7152, 0.0722))
}

impl Emitter {
    /// Of a light with a place; `None` for directional ones and those that are dark.
    pub(crate) fn of_light(light: &Light) -> Option<Emitter> {
        let (normals, leaving) = match light.shape {
            LightShape::Directional { .. } => return None,
            LightShape::Point => (std::f32::consts::PI, std::f32::consts::FRAC_PI_2),
            LightShape::Spot { outer, .. } => (0.0, outer.clamp(0.0, std::f32::consts::PI)),
        };
        let power = luminance(light.color.max(Vec3::ZERO));
        let axis = light.direction.normalize_or(Vec3::NEG_Y);
        let (low, high) = (light.position, light.position);
        (power > 0.0).then_some(Emitter { low, high, power, axis, normals, leaving, both_sides: false })
    }

    /// Of a luminous triangle that shines on both sides; `None` where it has no area or is dark.
    pub(crate) fn of_triangle(corners: [Vec3; 3], radiance: Vec3) -> Option<Emitter> {
        let doubled = (corners[1] - corners[0]).cross(corners[2] - corners[0]);
        let power = luminance(radiance) * doubled.length() * 0.5;
        let axis = doubled.try_normalize()?;
        let (low, high) = (corners[0].min(corners[1]).min(corners[2]), corners[0].max(corners[1]).max(corners[2]));
        let leaving = std::f32::consts::FRAC_PI_2;
        (power > 0.0 && power.is_finite()).then_some(Emitter {
            low,
            high,
            power,
            axis,
            normals: 0.0,
            leaving,
            both_sides: true,
        })
    }

    fn center(&self) -> Vec3 {
        (self.low + self.high) * 0.5
    }

    fn with(&self, other: &Emitter) -> Emitter {
        let both_sides = self.both_sides || other.both_sides;
        let axis = if both_sides && self.axis.dot(other.axis) < 0.0 { -other.axis } else { other.axis };
        let (axis, normals) = cone_union((self.axis, self.normals), (axis, other.normals));
        Emitter {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            power: self.power + other.power,
            axis,
            normals,
            leaving: self.leaving.max(other.leaving),
            both_sides,
        }
    }

    fn node(&self, next: u32, flags: u32) -> LightNode {
        LightNode {
            low: self.low.to_array(),
            power: self.power,
            high: self.high.to_array(),
            next,
            axis: self.axis.to_array(),
            cos_normals: self.normals.cos(),
            // Light that leaves at a right angle or beyond still counts a little: the shader asks for more than this.
            cos_leaving: self.leaving.cos() - 1e-6,
            flags: flags | if self.both_sides { BOTH_SIDES } else { 0 },
            reserved: [0; 2],
        }
    }
}

/// The least cone around both, about as narrow as one may be.
fn cone_union((a, angle_a): (Vec3, f32), (b, angle_b): (Vec3, f32)) -> (Vec3, f32) {
    let between = a.dot(b).clamp(-1.0, 1.0).acos();
    if (between + angle_b).min(std::f32::consts::PI) <= angle_a {
        return (a, angle_a);
    }
    if (between + angle_a).min(std::f32::consts::PI) <= angle_b {
        return (b, angle_b);
    }
    let angle = (angle_a + between + angle_b) * 0.5;
    let turn = a.cross(b);
    if angle >= std::f32::consts::PI || turn.length_squared() < 1e-12 {
        return (a, std::f32::consts::PI);
    }
    let axis = glam::Quat::from_axis_angle(turn.normalize(), angle - angle_a) * a;
    (axis, angle)
}

/// The tree, and each light's way down it.
pub(crate) struct LightTree {
    pub(crate) nodes: Vec<LightNode>,
    /// For each light of the table, the turns to its leaf: the lowest bit is the first, 1 to the right.
    pub(crate) ways: Vec<u32>,
}

impl LightTree {
    /// Over the lights that have an emitter; the index in `emitters` is the light's in the table.
    pub(crate) fn build(emitters: &[Option<Emitter>]) -> LightTree {
        let mut lights: Vec<(u32, Emitter)> =
            (0..).zip(emitters).filter_map(|(index, emitter)| Some((index, (*emitter)?))).collect();
        let mut tree = LightTree { nodes: Vec::new(), ways: vec![0; emitters.len()] };
        if !lights.is_empty() {
            tree.nodes.reserve(2 * lights.len());
            tree.add(&mut lights, 0, 0);
        }
        tree
    }

    /// Halves by count keep the tree shallow: a way fits 32 turns however many lights there are.
    fn add(&mut self, lights: &mut [(u32, Emitter)], way: u32, depth: u32) -> Emitter {
        let place = self.nodes.len();
        if let [(light, emitter)] = lights {
            self.ways[*light as usize] = way;
            self.nodes.push(emitter.node(*light, LEAF));
            return *emitter;
        }
        self.nodes.push(LightNode::default());
        let (low, high) = lights.iter().fold((Vec3::INFINITY, Vec3::NEG_INFINITY), |(low, high), (_, e)| {
            (low.min(e.center()), high.max(e.center()))
        });
        let extent = high - low;
        let axis = if extent.x >= extent.y.max(extent.z) {
            0
        } else if extent.y >= extent.z {
            1
        } else {
            2
        };
        let middle = lights.len() / 2;
        let by_place = |a: &(u32, Emitter), b: &(u32, Emitter)| {
            a.1.center()[axis].total_cmp(&b.1.center()[axis]).then(a.0.cmp(&b.0))
        };
        lights.select_nth_unstable_by(middle, by_place);
        let (left, right) = lights.split_at_mut(middle);
        let left = self.add(left, way, depth + 1);
        let next = self.nodes.len() as u32;
        let right = self.add(right, way | 1 << depth, depth + 1);
        let both = left.with(&right);
        self.nodes[place] = both.node(next, 0);
        both
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_light_is_at_the_end_of_its_way() {
        assert_eq!(size_of::<LightNode>(), 4 * 16);
        let point = |i: usize| Light {
            shape: LightShape::Point,
            color: Vec3::splat((i % 3) as f32),
            position: Vec3::new((i * 7 % 11) as f32, (i * 5 % 13) as f32, i as f32),
            direction: Vec3::NEG_Y,
            range: 0.0,
            user_id: 0,
        };
        let emitters: Vec<_> = (0..100).map(|i| Emitter::of_light(&point(i))).collect();
        let tree = LightTree::build(&emitters);
        assert_eq!(tree.nodes.len(), 2 * emitters.iter().flatten().count() - 1);
        for (light, _) in emitters.iter().enumerate().filter(|(_, e)| e.is_some()) {
            let (mut node, mut way) = (0usize, tree.ways[light]);
            while tree.nodes[node].flags & LEAF == 0 {
                let inside = |n: usize| {
                    (0..3).all(|k| {
                        tree.nodes[n].low[k] >= tree.nodes[node].low[k]
                            && tree.nodes[n].high[k] <= tree.nodes[node].high[k]
                    })
                };
                assert!(inside(node + 1) && inside(tree.nodes[node].next as usize));
                node = if way & 1 == 0 { node + 1 } else { tree.nodes[node].next as usize };
                way >>= 1;
            }
            assert_eq!(tree.nodes[node].next as usize, light);
        }
        assert!(LightTree::build(&[None, None]).nodes.is_empty());
    }

    #[test]
    fn a_cone_around_both_holds_both() {
        let tilted = |angle: f32| Vec3::new(angle.sin(), angle.cos(), 0.0);
        let (axis, angle) = cone_union((tilted(0.0), 0.1), (tilted(1.0), 0.3));
        assert!((angle - 0.7).abs() < 1e-5 && axis.distance(tilted(0.6)) < 1e-5);
        assert_eq!(cone_union((tilted(0.0), 0.5), (tilted(0.2), 0.1)).1, 0.5);
        assert_eq!(cone_union((tilted(0.0), 1.0), (-tilted(0.0), 1.0)).1, std::f32::consts::PI);
    }
}
