//! Makes a mesh fit to be traced: drops triangles that cannot be hit, fills in normals and tangents.

use crate::{Material, Mesh, Report, SceneError};
use glam::{DVec3, Vec2, Vec3, Vec4};

/// Positions beyond this distance (metres) from the origin count as non-finite: areas of boxes must not overflow f32.
pub(crate) const MAX_COORDINATE_M: f32 = 1e9;

/// Most vertices, and most indices, of one mesh: splitting vertices must not overflow 32-bit indices.
pub const MAX_MESH_ELEMENTS: usize = 1 << 30;

/// Copies of one vertex that are looked through before another one is made; bounds the work on fans of many triangles.
const MAX_COPIES_SEARCHED: usize = 8;

/// End of a chain of copies.
const NONE: u32 = u32::MAX;

impl Mesh {
    /// A mesh of one material from positions in metres and three indices per triangle; normals and tangents are left to
    /// [`Mesh::repair`].
    pub fn from_triangles(positions: Vec<Vec3>, indices: Vec<u32>, material: u32) -> Mesh {
        let parts = vec![crate::MeshPart { first_index: 0, index_count: indices.len() as u32, material }];
        Mesh { positions, indices, parts, ..Mesh::default() }
    }

    /// Checks the mesh against the scene's materials and repairs what can be repaired.
    ///
    /// - Triangles with non-finite corners or without area are dropped, and counted in the report.
    /// - Normals that are missing or of the wrong number are computed, one per face as glTF asks; vertices are split for it.
    /// - Texture coordinates of the wrong number are dropped; where a texture needs some, zeros take their place.
    /// - Tangents that are missing where a normal map needs them are computed; vertices at mirrored seams are split.
    /// - What morph targets add to normals and tangents that had to be computed is dropped.
    /// - Weights of joints are scaled to a sum of 1. Meshes that deform keep triangles without area: a pose may unfold them.
    ///
    /// A mesh may have no triangles left. Repairing twice changes nothing more.
    ///
    /// # Errors
    /// [`SceneError::Invalid`], naming `object`: more than [`MAX_MESH_ELEMENTS`] vertices or indices, indices that are not
    /// triples or out of range, parts that do not cover the indices or name no material, joints, weights or morph targets that
    /// are not as many as the vertices, weights that are negative or all 0, deltas that are not finite.
    pub fn repair(&mut self, object: &str, materials: &[Material]) -> Result<Report, SceneError> {
        self.check_structure(object, materials)?;
        let mut report = Report::default();
        self.drop_triangles(&mut report);
        self.repair_uvs(materials, &mut report);
        self.repair_normals(&mut report);
        self.repair_tangents(materials, &mut report);
        for weights in self.weights.iter_mut().filter(|w| !is_normalized(w)) {
            let sum: f32 = weights.iter().sum();
            *weights = weights.map(|w| w / sum);
            report.attributes_repaired += 1;
        }
        Ok(report)
    }

    /// True when [`Mesh::repair`] would change something; checks structure on the way.
    pub(crate) fn needs_repair(&self, object: &str, materials: &[Material]) -> Result<bool, SceneError> {
        self.check_structure(object, materials)?;
        let n = self.positions.len();
        let uses = Uses::of(self, materials);
        Ok(self.parts.iter().any(|p| p.index_count == 0)
            || self.normals.len() != n
            || !(self.uvs.len() == n || (self.uvs.is_empty() && !uses.texture))
            || !(self.tangents.len() == n || (self.tangents.is_empty() && !uses.normal_map))
            || !self.positions.iter().all(|p| is_usable(*p))
            || !self.normals.iter().all(|v| is_unit(*v))
            || !self.uvs.iter().all(|v| v.is_finite())
            || !self.tangents.iter().all(|t| is_tangent(*t))
            || !self.weights.iter().all(is_normalized)
            || (!self.deforms() && self.indices.chunks_exact(3).any(|t| scaled_normal(&self.positions, t).is_none())))
    }

    /// Box of all positions: smallest and largest corner; `None` without vertices.
    pub fn bounds(&self) -> Option<(Vec3, Vec3)> {
        let first = *self.positions.first()?;
        Some(self.positions.iter().fold((first, first), |(lo, hi), p| (lo.min(*p), hi.max(*p))))
    }

    fn check_structure(&self, object: &str, materials: &[Material]) -> Result<(), SceneError> {
        let invalid = |reason: String| Err(SceneError::Invalid { object: object.into(), reason });
        for (what, count) in [("vertices", self.positions.len()), ("indices", self.indices.len())] {
            if count > MAX_MESH_ELEMENTS {
                return invalid(format!(
                    "has {count} {what}; at most {MAX_MESH_ELEMENTS} are possible, split the mesh"
                ));
            }
        }
        if !self.indices.len().is_multiple_of(3) {
            return invalid(format!("has {} indices, which is no multiple of 3", self.indices.len()));
        }
        let vertices = self.positions.len() as u32;
        if let Some(at) = self.indices.iter().position(|i| *i >= vertices) {
            return invalid(format!(
                "index {} at position {at} is out of range: there are {vertices} vertices",
                self.indices[at]
            ));
        }
        self.check_deformation(object)?;
        let mut end = 0u32;
        for (i, part) in self.parts.iter().enumerate() {
            if part.first_index != end || !part.index_count.is_multiple_of(3) {
                return invalid(format!(
                    "part {i} (first index {}, {} indices) must begin at index {end}, where the part before it ends, and hold whole triangles",
                    part.first_index, part.index_count
                ));
            }
            let Some(next) = end.checked_add(part.index_count).filter(|e| *e as usize <= self.indices.len()) else {
                return invalid(format!("part {i} ends beyond the mesh's {} indices", self.indices.len()));
            };
            end = next;
            if part.material as usize >= materials.len() {
                return invalid(format!(
                    "part {i} names material {}, but the scene has {}",
                    part.material,
                    materials.len()
                ));
            }
        }
        if end as usize != self.indices.len() {
            return invalid(format!(
                "its parts cover {end} of {} indices; every triangle needs a part",
                self.indices.len()
            ));
        }
        Ok(())
    }

    fn check_deformation(&self, object: &str) -> Result<(), SceneError> {
        let invalid = |reason: String| Err(SceneError::Invalid { object: object.into(), reason });
        let vertices = self.positions.len();
        let (joints, weights) = (self.joints.len(), self.weights.len());
        if joints != weights || (joints != 0 && joints != vertices) {
            return invalid(format!(
                "has joints for {joints} and weights for {weights} of {vertices} vertices; give both for all, or none"
            ));
        }
        let usable = |w: &[f32; 4]| {
            let sum: f32 = w.iter().sum();
            w.iter().all(|w| *w >= 0.0) && sum > 0.0 && sum.is_finite()
        };
        if let Some(vertex) = self.weights.iter().position(|w| !usable(w)) {
            return invalid(format!(
                "weighs the joints of vertex {vertex} by {:?}; weights and their sum are finite, none is negative and not all are 0",
                self.weights[vertex]
            ));
        }
        for (i, target) in self.targets.iter().enumerate() {
            let arrays =
                [("positions", &target.positions), ("normals", &target.normals), ("tangents", &target.tangents)];
            for (name, deltas) in arrays {
                if !deltas.is_empty() && deltas.len() != vertices {
                    return invalid(format!("morph target {i} moves {} {name} of {vertices} vertices", deltas.len()));
                }
                if let Some(vertex) = deltas.iter().position(|d| !is_usable(*d)) {
                    let delta = deltas[vertex];
                    return invalid(format!(
                        "morph target {i} moves {name} of vertex {vertex} by {delta}, which is not finite or too far"
                    ));
                }
            }
        }
        Ok(())
    }

    fn drop_triangles(&mut self, report: &mut Report) {
        let may_unfold = self.deforms();
        let mut kept = 0usize;
        for part in &mut self.parts {
            let first = kept;
            let range = part.first_index as usize..(part.first_index + part.index_count) as usize;
            for at in range.step_by(3) {
                let triangle = [self.indices[at], self.indices[at + 1], self.indices[at + 2]];
                if !triangle.iter().all(|i| is_usable(self.positions[*i as usize])) {
                    report.triangles_non_finite += 1;
                } else if !may_unfold && scaled_normal(&self.positions, &triangle).is_none() {
                    report.triangles_degenerate += 1;
                } else {
                    self.indices[kept..kept + 3].copy_from_slice(&triangle);
                    kept += 3;
                }
            }
            part.first_index = first as u32;
            part.index_count = (kept - first) as u32;
        }
        self.indices.truncate(kept);
        self.parts.retain(|p| p.index_count > 0);
        // Nothing refers to these any more, but whoever uploads or bounds all positions must not meet them either.
        let stand_in = self.indices.first().map_or(Vec3::ZERO, |i| self.positions[*i as usize]);
        for p in self.positions.iter_mut().filter(|p| !is_usable(**p)) {
            *p = stand_in;
        }
    }

    fn repair_uvs(&mut self, materials: &[Material], report: &mut Report) {
        let n = self.positions.len();
        if !self.uvs.is_empty() && self.uvs.len() != n {
            self.uvs.clear();
            report.attributes_repaired += 1;
        }
        if self.uvs.is_empty() && n > 0 && Uses::of(self, materials).texture {
            self.uvs = vec![Vec2::ZERO; n];
            report.attributes_repaired += 1;
        }
        for uv in self.uvs.iter_mut().filter(|uv| !uv.is_finite()) {
            *uv = Vec2::ZERO;
            report.attributes_repaired += 1;
        }
    }

    fn repair_normals(&mut self, report: &mut Report) {
        if self.normals.len() != self.positions.len() {
            self.compute_flat_normals();
            report.meshes_with_computed_normals += 1;
            return;
        }
        let bad: Vec<usize> = (0..self.normals.len()).filter(|i| !is_unit(self.normals[*i])).collect();
        if bad.is_empty() {
            return;
        }
        let mut without_direction = false;
        for &i in &bad {
            let v = self.normals[i];
            let unit = if v.is_finite() { v.as_dvec3().normalize_or_zero().as_vec3() } else { Vec3::ZERO };
            self.normals[i] = unit;
            without_direction |= unit == Vec3::ZERO;
        }
        report.attributes_repaired += bad.len();
        if without_direction {
            let mut sums = vec![DVec3::ZERO; self.positions.len()];
            for t in self.indices.chunks_exact(3) {
                let normal = scaled_normal(&self.positions, t).unwrap_or(DVec3::ZERO);
                for i in t {
                    sums[*i as usize] += normal;
                }
            }
            for i in bad.into_iter().filter(|i| self.normals[*i] == Vec3::ZERO).collect::<Vec<_>>() {
                self.normals[i] = sums[i].normalize_or(DVec3::Y).as_vec3();
            }
        }
    }

    /// One normal per face; a vertex is split where faces that differ by more than a quarter of a degree meet.
    fn compute_flat_normals(&mut self) {
        if !self.tangents.is_empty() {
            // Without normals there is nothing that they could belong to.
            self.tangents.clear();
        }
        for target in &mut self.targets {
            // Flat normals stay those of the base shape.
            target.normals.clear();
            target.tangents.clear();
        }
        let n = self.positions.len();
        self.normals = vec![Vec3::ZERO; n];
        let mut next_copy = vec![NONE; n];
        for at in (0..self.indices.len()).step_by(3) {
            let normal = scaled_normal(&self.positions, &self.indices[at..at + 3])
                .map_or(Vec3::Y, |v| v.normalize_or(DVec3::Y).as_vec3());
            for corner in at..at + 3 {
                let first = self.indices[corner];
                let mut v = first;
                let mut found = None;
                for _ in 0..MAX_COPIES_SEARCHED {
                    let current = self.normals[v as usize];
                    if current == Vec3::ZERO {
                        self.normals[v as usize] = normal;
                    }
                    if current == Vec3::ZERO || current.dot(normal) > 0.99999 {
                        found = Some(v);
                        break;
                    }
                    v = next_copy[v as usize];
                    if v == NONE {
                        break;
                    }
                }
                self.indices[corner] = found.unwrap_or_else(|| {
                    let copy = self.duplicate_vertex(first);
                    self.normals[copy as usize] = normal;
                    next_copy.push(next_copy[first as usize]);
                    next_copy[first as usize] = copy;
                    copy
                });
            }
        }
        for normal in self.normals.iter_mut().filter(|v| **v == Vec3::ZERO) {
            *normal = Vec3::Y;
        }
    }

    fn repair_tangents(&mut self, materials: &[Material], report: &mut Report) {
        let n = self.positions.len();
        if !self.tangents.is_empty() && self.tangents.len() != n {
            self.tangents.clear();
            report.attributes_repaired += 1;
        }
        if self.tangents.is_empty() {
            self.targets.iter_mut().for_each(|target| target.tangents.clear());
            if n > 0 && Uses::of(self, materials).normal_map {
                self.compute_tangents();
                report.meshes_with_computed_tangents += 1;
            }
            return;
        }
        for (tangent, normal) in self.tangents.iter_mut().zip(&self.normals).filter(|(t, _)| !is_tangent(**t)) {
            let direction = tangent.truncate();
            let unit = direction.is_finite().then(|| direction.normalize_or_zero()).filter(|t| *t != Vec3::ZERO);
            let sign = if tangent.w < 0.0 { -1.0 } else { 1.0 };
            *tangent = unit.unwrap_or_else(|| normal.any_orthonormal_vector()).extend(sign);
            report.attributes_repaired += 1;
        }
    }

    /// Tangents from texture coordinates: directions of growing u, weighted by the corners' angles, one side (mirrored or
    /// not) per vertex. After E. Lengyel, "Computing Tangent Space Basis Vectors for an Arbitrary Mesh" (2001), with
    /// MikkTSpace's weights; the sign in w is glTF's, whose v grows downwards.
    fn compute_tangents(&mut self) {
        let n = self.positions.len();
        let mut sums = vec![Vec3::ZERO; n];
        // Sign of each vertex once a triangle claims it, and the copy that holds the other sign.
        let mut signs = vec![0.0f32; n];
        let mut mirrored_copy = vec![NONE; n];
        for at in (0..self.indices.len()).step_by(3) {
            let corners = [self.indices[at], self.indices[at + 1], self.indices[at + 2]];
            let p = corners.map(|i| self.positions[i as usize]);
            let uv = corners.map(|i| self.uvs.get(i as usize).copied().unwrap_or(Vec2::ZERO));
            let (e1, e2) = (p[1] - p[0], p[2] - p[0]);
            let (d1, d2) = (uv[1] - uv[0], uv[2] - uv[0]);
            let det = d1.x * d2.y - d2.x * d1.y;
            if det == 0.0 || !det.is_finite() {
                continue;
            }
            let tangent = ((e1 * d2.y - e2 * d1.y) * det.signum()).normalize_or_zero();
            let bitangent = (e2 * d1.x - e1 * d2.x) * det.signum();
            for (k, corner) in corners.into_iter().enumerate() {
                let normal = self.normals[corner as usize];
                let sign = if normal.cross(tangent).dot(bitangent) < 0.0 { 1.0 } else { -1.0 };
                let v = if signs[corner as usize] == -sign {
                    if mirrored_copy[corner as usize] == NONE {
                        mirrored_copy[corner as usize] = self.duplicate_vertex(corner);
                        mirrored_copy.push(NONE);
                        sums.push(Vec3::ZERO);
                        signs.push(sign);
                    }
                    mirrored_copy[corner as usize]
                } else {
                    signs[corner as usize] = sign;
                    corner
                };
                self.indices[at + k] = v;
                let (a, b) = (p[(k + 1) % 3] - p[k], p[(k + 2) % 3] - p[k]);
                let angle = a.normalize_or_zero().dot(b.normalize_or_zero()).clamp(-1.0, 1.0).acos();
                sums[v as usize] += tangent * angle;
            }
        }
        self.tangents = (0..self.positions.len())
            .map(|i| {
                let normal = self.normals[i];
                let flat = sums[i] - normal * normal.dot(sums[i]);
                let unit = flat.try_normalize().unwrap_or_else(|| normal.any_orthonormal_vector());
                unit.extend(if signs[i] < 0.0 { -1.0 } else { 1.0 })
            })
            .collect();
    }

    /// Appends a copy of a vertex, with the attributes that there are, and returns its index.
    fn duplicate_vertex(&mut self, vertex: u32) -> u32 {
        let at = vertex as usize;
        self.positions.push(self.positions[at]);
        self.normals.push(self.normals[at]);
        if !self.uvs.is_empty() {
            self.uvs.push(self.uvs[at]);
        }
        if !self.tangents.is_empty() {
            self.tangents.push(self.tangents[at]);
        }
        if !self.joints.is_empty() {
            self.joints.push(self.joints[at]);
            self.weights.push(self.weights[at]);
        }
        for target in &mut self.targets {
            for deltas in [&mut target.positions, &mut target.normals, &mut target.tangents] {
                if !deltas.is_empty() {
                    deltas.push(deltas[at]);
                }
            }
        }
        (self.positions.len() - 1) as u32
    }
}

/// What a mesh's materials read.
struct Uses {
    texture: bool,
    normal_map: bool,
}

impl Uses {
    fn of(mesh: &Mesh, materials: &[Material]) -> Uses {
        let used = || mesh.parts.iter().filter_map(|p| materials.get(p.material as usize));
        Uses {
            texture: used().any(|m| m.texture_slots().any(|s| s.is_some())),
            normal_map: used().any(|m| m.normal_texture.is_some()),
        }
    }
}

fn is_usable(p: Vec3) -> bool {
    // False for NaN as well.
    p.abs().max_element() <= MAX_COORDINATE_M && p.is_finite()
}

fn is_unit(v: Vec3) -> bool {
    (v.length_squared() - 1.0).abs() < 1e-2
}

fn is_normalized(weights: &[f32; 4]) -> bool {
    (weights.iter().sum::<f32>() - 1.0).abs() < 1e-4
}

fn is_tangent(t: Vec4) -> bool {
    is_unit(t.truncate()) && t.w.abs() == 1.0
}

/// Cross product of two edges, twice the area long; `None` where f32 shading would find no direction in it.
fn scaled_normal(positions: &[Vec3], triangle: &[u32]) -> Option<DVec3> {
    let [a, b, c] = [0, 1, 2].map(|k| positions[triangle[k] as usize].as_dvec3());
    let cross = (b - a).cross(c - a);
    (cross.length_squared() > f64::from(f32::MIN_POSITIVE)).then_some(cross)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TextureSlot;

    fn quad() -> Mesh {
        let positions = vec![Vec3::ZERO, Vec3::X, Vec3::new(1.0, 1.0, 0.0), Vec3::Y];
        Mesh::from_triangles(positions, vec![0, 1, 2, 0, 2, 3], 0)
    }

    #[test]
    fn flat_normals_split_only_where_faces_bend() {
        let mut mesh = quad();
        mesh.positions.push(Vec3::new(1.0, 0.0, -1.0));
        mesh.indices.extend([1, 4, 2]);
        mesh.parts[0].index_count = 9;
        let report = mesh.repair("mesh 0", &[Material::default()]).unwrap();
        assert_eq!(report.meshes_with_computed_normals, 1);
        assert_eq!(mesh.positions.len(), 7, "two vertices on the bend are split");
        for t in mesh.indices.chunks_exact(3) {
            let face = scaled_normal(&mesh.positions, t).unwrap().normalize().as_vec3();
            for i in t {
                assert!(mesh.normals[*i as usize].dot(face) > 0.9999);
            }
        }
    }

    #[test]
    fn bad_triangles_are_dropped_and_counted() {
        let mut mesh = quad();
        mesh.positions.push(Vec3::new(f32::NAN, 0.0, 0.0));
        mesh.indices.extend([0, 1, 4, 0, 1, 1]);
        mesh.parts[0].index_count = 12;
        let report = mesh.repair("mesh 0", &[Material::default()]).unwrap();
        assert_eq!((report.triangles_non_finite, report.triangles_degenerate), (1, 1));
        assert_eq!(mesh.triangle_count(), 2);
        assert!(mesh.positions.iter().all(|p| p.is_finite()));
        assert!(!mesh.needs_repair("mesh 0", &[Material::default()]).unwrap());
    }

    #[test]
    fn tangents_follow_u_and_mirrored_seams_are_split() {
        let slot = TextureSlot { texture: 0, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 };
        let materials = [Material { normal_texture: Some(slot), ..Material::default() }];
        let mut mesh = quad();
        // glTF: v grows downwards, so an upright picture has v = 1 - y.
        mesh.uvs = mesh.positions.iter().map(|p| Vec2::new(p.x, 1.0 - p.y)).collect();
        let mut mirrored = mesh.clone();
        mesh.repair("mesh 0", &materials).unwrap();
        assert!(mesh.tangents.iter().all(|t| t.distance(Vec4::new(1.0, 0.0, 0.0, 1.0)) < 1e-5), "{:?}", mesh.tangents);

        mirrored.positions.extend([Vec3::new(2.0, 0.0, 0.0), Vec3::new(2.0, 1.0, 0.0)]);
        mirrored.uvs.extend([Vec2::new(0.0, 1.0), Vec2::new(0.0, 0.0)]);
        mirrored.indices.extend([1, 4, 5, 1, 5, 2]);
        mirrored.parts[0].index_count = 12;
        mirrored.repair("mesh 0", &materials).unwrap();
        assert_eq!(mirrored.positions.len(), 8);
        for t in mirrored.indices.chunks_exact(3) {
            let signs = [0, 1, 2].map(|k| mirrored.tangents[t[k] as usize].w);
            assert!(signs == [1.0; 3] || signs == [-1.0; 3]);
        }
    }

    #[test]
    fn structure_errors_name_the_mesh_and_the_value() {
        let mut mesh = quad();
        mesh.indices[4] = 9;
        let text = mesh.repair("mesh 7", &[Material::default()]).unwrap_err().to_string();
        assert!(text.contains("mesh 7") && text.contains("index 9 at position 4"), "{text}");
        let text = quad().repair("mesh 7", &[]).unwrap_err().to_string();
        assert!(text.contains("material 0"), "{text}");
    }

    #[test]
    fn a_deforming_mesh_loses_what_is_not_finite_and_gains_what_it_lacks() {
        let slot = TextureSlot { texture: 0, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 };
        let materials = [Material { normal_texture: Some(slot), ..Material::default() }];
        let mut mesh = quad();
        mesh.positions.push(Vec3::new(0.0, f32::NAN, 0.0));
        // One triangle that is not finite, and one without area that a pose may unfold.
        mesh.indices.extend([0, 1, 4, 0, 1, 1]);
        mesh.parts[0].index_count = 12;
        mesh.uvs = vec![Vec2::ZERO, Vec2::X, Vec2::ONE, Vec2::Y, Vec2::ZERO];
        mesh.joints = vec![[3, 9, 0, 0]; 5];
        mesh.weights = vec![[2.0, 0.0, 2.0, 0.0]; 5];
        let deltas = vec![Vec3::Z; 5];
        mesh.targets =
            vec![crate::MorphTarget { positions: deltas.clone(), normals: deltas.clone(), tangents: deltas }];
        let report = mesh.repair("mesh 0", &materials).unwrap();
        assert_eq!((report.triangles_non_finite, report.triangles_degenerate), (1, 0));
        assert_eq!((report.meshes_with_computed_normals, report.meshes_with_computed_tangents), (1, 1));
        assert_eq!(mesh.triangle_count(), 3);
        assert_eq!((mesh.weights[0], mesh.joint_count()), ([0.5, 0.0, 0.5, 0.0], 4), "what weighs nothing is no joint");
        let vertices = mesh.positions.len();
        assert_eq!([mesh.tangents.len(), mesh.joints.len(), mesh.targets[0].positions.len()], [vertices; 3]);
        assert!(
            mesh.targets[0].normals.is_empty() && mesh.targets[0].tangents.is_empty(),
            "computed ones are not theirs"
        );
        assert!(!mesh.needs_repair("mesh 0", &materials).unwrap());
    }
}
