//! Triangles in world space and a tree over them, halved at the median: the oracle's rays.

use glam::DVec3;

/// A triangle with its three shading normals.
#[derive(Clone, Copy, Debug)]
pub struct Triangle {
    pub corners: [DVec3; 3],
    pub normals: [DVec3; 3],
    /// Unit, on the side from which the corners run counter-clockwise in the mesh.
    pub front: DVec3,
    pub material: usize,
    pub instance: usize,
}

impl Triangle {
    pub fn area(&self) -> f64 {
        let [a, b, c] = self.corners;
        (b - a).cross(c - a).length() * 0.5
    }

    /// Distance and weights of the second and third corner, by Cramer's rule.
    fn meet(&self, origin: DVec3, direction: DVec3) -> Option<(f64, f64, f64)> {
        let [a, b, c] = self.corners;
        let (e1, e2) = (b - a, c - a);
        let p = direction.cross(e2);
        let determinant = e1.dot(p);
        if determinant == 0.0 {
            return None;
        }
        let to = origin - a;
        let q = to.cross(e1);
        let (u, v, t) = (to.dot(p) / determinant, direction.dot(q) / determinant, e2.dot(q) / determinant);
        (u >= 0.0 && v >= 0.0 && u + v <= 1.0).then_some((t, u, v))
    }
}

pub struct Hit {
    pub distance: f64,
    pub triangle: usize,
    pub u: f64,
    pub v: f64,
}

struct Node {
    low: DVec3,
    high: DVec3,
    /// A leaf's triangles, or an inner node's second child (the first follows it) and 0.
    first: usize,
    count: usize,
}

pub struct Tree {
    nodes: Vec<Node>,
    order: Vec<usize>,
}

impl Tree {
    pub fn build(triangles: &[Triangle]) -> Tree {
        let mut tree = Tree { nodes: Vec::new(), order: (0..triangles.len()).collect() };
        if !triangles.is_empty() {
            tree.split(triangles, 0, triangles.len());
        }
        tree
    }

    fn split(&mut self, triangles: &[Triangle], start: usize, end: usize) {
        let center = |t: usize| triangles[t].corners.iter().sum::<DVec3>();
        let corners = || self.order[start..end].iter().flat_map(|t| triangles[*t].corners);
        let low = corners().fold(DVec3::INFINITY, DVec3::min);
        let high = corners().fold(DVec3::NEG_INFINITY, DVec3::max);
        let place = self.nodes.len();
        self.nodes.push(Node { low, high, first: start, count: end - start });
        if end - start <= 2 {
            return;
        }
        let size = high - low;
        let axis = (0..3).max_by(|a, b| size[*a].total_cmp(&size[*b])).expect("three axes");
        let middle = (end - start) / 2;
        self.order[start..end].select_nth_unstable_by(middle, |a, b| center(*a)[axis].total_cmp(&center(*b)[axis]));
        self.split(triangles, start, start + middle);
        let second = self.nodes.len();
        self.split(triangles, start + middle, end);
        (self.nodes[place].first, self.nodes[place].count) = (second, 0);
    }

    /// The nearest triangle nearer than `limit` that `meets` says the ray meets; asked once for each triangle on its way.
    pub fn closest(
        &self,
        triangles: &[Triangle],
        origin: DVec3,
        direction: DVec3,
        limit: f64,
        meets: &mut dyn FnMut(usize) -> bool,
    ) -> Option<Hit> {
        let mut nearest: Option<Hit> = None;
        let mut stack = vec![0];
        while let Some(at) = stack.pop().filter(|_| !self.nodes.is_empty()) {
            let node = &self.nodes[at];
            let end = nearest.as_ref().map_or(limit, |h| h.distance);
            let (t0, t1) = ((node.low - origin) / direction, (node.high - origin) / direction);
            // Inflated: a ray within a face of a flat box divides zero by zero, which min and max leave aside.
            let (near, far) = (t0.min(t1).max_element() * (1.0 - 1e-12), t0.max(t1).min_element() * (1.0 + 1e-12));
            if near > far || far < 0.0 || near > end {
                continue;
            }
            if node.count == 0 {
                stack.extend([node.first, at + 1]);
                continue;
            }
            for triangle in self.order[node.first..node.first + node.count].iter().copied() {
                let end = nearest.as_ref().map_or(limit, |h| h.distance);
                if let Some((distance, u, v)) = triangles[triangle].meet(origin, direction)
                    && distance > 0.0
                    && distance < end
                    && meets(triangle)
                {
                    nearest = Some(Hit { distance, triangle, u, v });
                }
            }
        }
        nearest
    }
}
