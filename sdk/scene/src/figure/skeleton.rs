//! Where the figure's joints are while it stands with its arms spread, and what hangs on which.

use glam::{Vec3, vec3};

/// Number of joints.
pub const JOINTS: usize = 64;

/// What a joint is, for how it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Hips,
    Spine,
    Head,
    Clavicle,
    Shoulder,
    Elbow,
    Wrist,
    Finger,
    Thigh,
    Knee,
    Ankle,
    Toe,
    Braid,
}

/// A joint; its axes at rest are the world's.
pub(super) struct Joint {
    pub(super) part: Part,
    /// 1 on the figure's left (+X), -1 on its right, 0 in the middle.
    pub(super) side: f32,
    /// Place in its run of like joints, from the root.
    pub(super) place: usize,
    /// Comes before its children.
    pub(super) parent: Option<usize>,
    /// In metres; the figure stands at the origin and looks along +Z.
    pub(super) at: Vec3,
}

/// A run of joints under one tube of surface.
pub(super) struct Chain {
    pub(super) joints: Vec<usize>,
    /// Where the last joint's bone ends.
    pub(super) tip: Vec3,
    /// Radius at each joint and at the tip, in metres.
    pub(super) radii: Vec<f32>,
    /// How deep the tube is for its width.
    pub(super) depth: f32,
    /// Which of the figure's materials.
    pub(super) material: usize,
}

/// All joints and chains.
pub(super) struct Skeleton {
    pub(super) joints: Vec<Joint>,
    pub(super) chains: Vec<Chain>,
}

/// Materials of the figure's mesh.
pub(super) const SKIN: usize = 0;
pub(super) const CLOTH: usize = 1;
pub(super) const HAIR: usize = 2;

impl Skeleton {
    pub(super) fn new() -> Skeleton {
        let mut s = Skeleton { joints: Vec::with_capacity(JOINTS), chains: Vec::new() };
        let hips = s.run(Part::Hips, 0.0, None, &[vec3(0.0, 0.95, 0.0)]);
        let spine: Vec<Vec3> = (1..=6).map(|i| vec3(0.0, 0.95 + 0.08 * i as f32, 0.0)).collect();
        let spine = s.run(Part::Spine, 0.0, Some(hips[0]), &spine);
        let head = [vec3(0.0, 1.5, 0.0), vec3(0.0, 1.6, 0.01), vec3(0.0, 1.7, 0.01)];
        let head = s.run(Part::Head, 0.0, Some(spine[5]), &head);
        let braid: Vec<Vec3> = (0..8).map(|i| vec3(0.0, 1.7 - 0.055 * i as f32, -0.1 - 0.008 * i as f32)).collect();
        let braid = s.run(Part::Braid, 0.0, Some(head[2]), &braid);
        s.chain([hips, spine.clone()].concat(), vec3(0.0, 1.5, 0.0), 0.15, 0.06, CLOTH, 0.65);
        let trunk = s.chains.last_mut().expect("it was put there just now");
        trunk.radii = vec![0.15, 0.14, 0.13, 0.13, 0.14, 0.155, 0.15, 0.06];
        s.chain(head, vec3(0.0, 1.8, 0.01), 0.05, 0.04, SKIN, 1.1);
        let skull = s.chains.last_mut().expect("it was put there just now");
        skull.radii = vec![0.05, 0.085, 0.095, 0.04];
        s.chain(braid, vec3(0.0, 1.25, -0.17), 0.045, 0.01, HAIR, 1.0);
        for side in [1.0, -1.0] {
            s.arm(side, spine[5]);
            s.leg(side);
        }
        debug_assert_eq!(s.joints.len(), JOINTS);
        s
    }

    fn arm(&mut self, side: f32, chest: usize) {
        let at = |x: f32, z: f32| vec3(x * side, 1.41, z);
        let clavicle = self.run(Part::Clavicle, side, Some(chest), &[at(0.06, 0.0)])[0];
        let shoulder = self.run(Part::Shoulder, side, Some(clavicle), &[at(0.19, 0.0)])[0];
        let elbow = self.run(Part::Elbow, side, Some(shoulder), &[at(0.45, 0.0)])[0];
        let wrist = self.run(Part::Wrist, side, Some(elbow), &[at(0.69, 0.0)])[0];
        self.chain(vec![clavicle, shoulder, elbow, wrist], at(0.79, 0.0), 0.07, 0.035, CLOTH, 0.9);
        for finger in 0..5 {
            let z = (finger as f32 - 2.0) * 0.022;
            let joints = self.run(Part::Finger, side, Some(wrist), &[at(0.77, z), at(0.81, z), at(0.845, z)]);
            self.chain(joints, at(0.88, z), 0.012, 0.008, SKIN, 1.0);
        }
    }

    fn leg(&mut self, side: f32) {
        let at = |y: f32, z: f32| vec3(0.1 * side, y, z);
        let thigh = self.run(Part::Thigh, side, Some(0), &[at(0.92, 0.0)])[0];
        let knee = self.run(Part::Knee, side, Some(thigh), &[at(0.5, 0.01)])[0];
        let ankle = self.run(Part::Ankle, side, Some(knee), &[at(0.09, 0.0)])[0];
        let toe = self.run(Part::Toe, side, Some(ankle), &[at(0.035, 0.12)])[0];
        self.chain(vec![thigh, knee], at(0.08, 0.0), 0.09, 0.05, CLOTH, 1.0);
        self.chain(vec![ankle, toe], at(0.03, 0.2), 0.05, 0.03, HAIR, 0.8);
    }

    /// Joints that hang on each other.
    fn run(&mut self, part: Part, side: f32, mut parent: Option<usize>, at: &[Vec3]) -> Vec<usize> {
        let first = self.joints.len();
        for (place, at) in at.iter().enumerate() {
            self.joints.push(Joint { part, side, place, parent, at: *at });
            parent = Some(self.joints.len() - 1);
        }
        (first..self.joints.len()).collect()
    }

    fn chain(&mut self, joints: Vec<usize>, tip: Vec3, first: f32, last: f32, material: usize, depth: f32) {
        let count = joints.len() as f32;
        let radii = (0..=joints.len()).map(|i| first + (last - first) * i as f32 / count).collect();
        self.chains.push(Chain { joints, tip, radii, depth, material });
    }
}
