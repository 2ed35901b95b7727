//! Tubes of triangles around the figure's chains, with the joints that move each vertex.

use super::skeleton::{Chain, JOINTS, Part, Skeleton};
use glam::Vec3;
use std::f32::consts::TAU;

/// Vertices around a tube.
const SECTORS: usize = 12;
/// Rings from one joint to the next.
const RINGS: usize = 4;

/// Triangles of one material.
#[derive(Default)]
pub(super) struct Surface {
    pub(super) positions: Vec<Vec3>,
    pub(super) normals: Vec<Vec3>,
    pub(super) joints: Vec<[u8; 4]>,
    pub(super) weights: Vec<[f32; 4]>,
    /// What the morph target adds to positions: the chest widens.
    pub(super) breath: Vec<Vec3>,
    pub(super) indices: Vec<u16>,
}

/// The skeleton's surface, one for each of so many materials.
pub(super) fn surfaces(skeleton: &Skeleton, materials: usize) -> Vec<Surface> {
    let mut surfaces: Vec<Surface> = (0..materials).map(|_| Surface::default()).collect();
    for chain in &skeleton.chains {
        surfaces[chain.material].add(skeleton, chain);
    }
    surfaces
}

impl Surface {
    fn add(&mut self, skeleton: &Skeleton, chain: &Chain) {
        let mut points: Vec<Vec3> = chain.joints.iter().map(|joint| skeleton.joints[*joint].at).collect();
        points.push(chain.tip);
        let along = (chain.tip - points[0]).normalize();
        // Width lies sideways where the chain does not itself.
        let across = if along.x.abs() < 0.5 { Vec3::X } else { Vec3::Z };
        let across = (across - along * across.dot(along)).normalize();
        let deep = along.cross(across);
        let is_trunk = skeleton.joints[chain.joints[0]].part == Part::Hips;
        let rings = chain.joints.len() * RINGS;
        let first = self.positions.len();
        for ring in 0..=rings {
            let (bone, t) = (ring / RINGS, (ring % RINGS) as f32 / RINGS as f32);
            let (bone, t) = if bone == chain.joints.len() { (bone - 1, 1.0) } else { (bone, t) };
            let center = points[bone].lerp(points[bone + 1], t);
            let radius = chain.radii[bone] + (chain.radii[bone + 1] - chain.radii[bone]) * t;
            let (joints, weights) = influences(chain, bone, t);
            // As a breast rises between the fourth and the seventh joint.
            let chest = (1.0 - (bone as f32 + t - 5.0).abs() / 2.0).max(0.0);
            for sector in 0..SECTORS {
                let (sin, cos) = (sector as f32 * TAU / SECTORS as f32).sin_cos();
                self.positions.push(center + (across * cos + deep * (sin * chain.depth)) * radius);
                self.normals.push((across * (cos * chain.depth) + deep * sin).normalize());
                self.joints.push(joints);
                self.weights.push(weights);
                let outwards = across * cos + deep * sin;
                self.breath.push(if is_trunk { outwards * (0.04 * chest) } else { Vec3::ZERO });
            }
        }
        let at = |ring: usize, sector: usize| (first + ring * SECTORS + sector % SECTORS) as u16;
        for ring in 0..rings {
            for sector in 0..SECTORS {
                let (a, b) = (at(ring, sector), at(ring, sector + 1));
                let (c, d) = (at(ring + 1, sector + 1), at(ring + 1, sector));
                self.indices.extend([a, b, c, a, c, d]);
            }
        }
        for (ring, end, outwards) in [(0, points[0], -along), (rings, chain.tip, along)] {
            let pole = self.positions.len() as u16;
            let like = at(ring, 0) as usize;
            let radius = if ring == 0 { chain.radii[0] } else { chain.radii[chain.joints.len()] };
            self.positions.push(end + outwards * (radius * 0.5));
            self.normals.push(outwards);
            self.joints.push(self.joints[like]);
            self.weights.push(self.weights[like]);
            self.breath.push(Vec3::ZERO);
            for sector in 0..SECTORS {
                let (a, b) = (at(ring, sector), at(ring, sector + 1));
                self.indices.extend(if ring == 0 { [pole, b, a] } else { [pole, a, b] });
            }
        }
    }
}

/// Half of a bone's neighbour at a joint, the bone alone in its middle.
fn influences(chain: &Chain, bone: usize, t: f32) -> ([u8; 4], [f32; 4]) {
    const { assert!(JOINTS <= 256) };
    let own = chain.joints[bone];
    let neighbour = if t < 0.5 { bone.checked_sub(1) } else { Some(bone + 1) };
    let other = neighbour.and_then(|i| chain.joints.get(i)).copied().unwrap_or(own);
    let share = (0.5 - 2.0 * t.min(1.0 - t)).max(0.0);
    match other == own {
        true => ([own as u8, 0, 0, 0], [1.0, 0.0, 0.0, 0.0]),
        false => ([own as u8, other as u8, 0, 0], [1.0 - share, share, 0.0, 0.0]),
    }
}
