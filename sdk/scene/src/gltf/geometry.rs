//! Meshes: primitives to indexed triangles, one mesh with a part per primitive.

use super::document::Document;
use super::nodes::Placed;
use super::surfaces::Materials;
use super::{Progress, Stage, note};
use crate::{Instance, MAX_MESH_ELEMENTS, Mesh, MeshPart, MorphTarget, Report, Scene, SceneError};
use glam::{Affine3A, Vec2, Vec3, Vec4};
use gltf::json::accessor::Accessor;
use gltf::json::mesh::{Mode, Primitive, Semantic};
use gltf::json::validation::Checked;
use gltf::json::{Index, mesh};
use std::collections::HashMap;
use std::sync::Arc;

/// Decoded geometry may take this many bytes and [`DECODED_PER_INPUT_BYTE`] more for each byte of input: a small document
/// that names one accessor a million times must not fill the memory.
pub(super) const MAX_DECODED_BYTES: u64 = 1 << 30;
pub(super) const DECODED_PER_INPUT_BYTE: u64 = 64;

/// Bytes of a decoded vertex and of a decoded index.
const VERTEX_BYTES: u64 = 48;
const INDEX_BYTES: u64 = 4;
/// Of a vertex's joints and their weights, and of what a morph target does to it.
const SKIN_BYTES: u64 = 24;
const TARGET_BYTES: u64 = 36;

/// Reads the meshes that are placed, and places them; gives what became an instance, in their order.
pub(super) fn read<'a>(
    document: &Document,
    placed: &'a [Placed],
    materials: &Materials,
    out: &mut Scene,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<&'a Placed>, SceneError> {
    // One that stands with and without a skin is two meshes here.
    let mut order: Vec<(Index<mesh::Mesh>, bool)> = Vec::new();
    let mut numbers: HashMap<(usize, bool), u32> = HashMap::new();
    let key = |p: &Placed| (p.mesh.value(), p.skin.is_some());
    for p in placed {
        numbers.entry(key(p)).or_insert_with(|| {
            order.push((p.mesh, p.skin.is_some()));
            order.len() as u32 - 1
        });
    }
    let mut importer = Importer {
        document,
        materials,
        budget: MAX_DECODED_BYTES.saturating_add(document.input_bytes.saturating_mul(DECODED_PER_INPUT_BYTE)),
        report: Report::default(),
    };
    for (done, (index, skinned)) in order.iter().enumerate() {
        let mesh = importer.read_mesh(*index, *skinned, out, progress)?;
        out.meshes.push(Arc::new(mesh));
        progress(Progress::Step { stage: Stage::Meshes, done: done + 1, total: order.len() });
    }
    let meshes = &out.meshes;
    let visible: Vec<&Placed> =
        placed.iter().filter(|p| meshes[numbers[&key(p)] as usize].triangle_count() > 0).collect();
    let instance = |p: &&Placed| {
        let mesh = numbers[&key(p)];
        // Joints place a skinned mesh; its node does not (glTF 2.0, 3.7.3.3).
        let stands = meshes[mesh as usize].joints.is_empty();
        let transform = if stands { p.transform } else { Affine3A::IDENTITY };
        Instance { mesh, transform, user_id: p.node as u64 }
    };
    out.instances = visible.iter().map(instance).collect();
    let dropped = importer.report.triangles_degenerate + importer.report.triangles_non_finite;
    if dropped > 0 {
        let text = format!(
            "{dropped} triangles are left out: {} without area, {} that are not finite",
            importer.report.triangles_degenerate, importer.report.triangles_non_finite
        );
        note(progress, "meshes", &text);
    }
    Ok(visible)
}

struct Importer<'a> {
    document: &'a Document,
    materials: &'a Materials,
    /// Bytes that may still be decoded.
    budget: u64,
    report: Report,
}

/// The accessors that make a vertex; primitives that agree in all share their vertices.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Attributes {
    positions: usize,
    normals: Option<usize>,
    tangents: Option<usize>,
    uvs: Option<usize>,
    joints: Option<(usize, usize)>,
    targets: Vec<[Option<usize>; 3]>,
}

impl Importer<'_> {
    fn read_mesh(
        &mut self,
        index: Index<mesh::Mesh>,
        skinned: bool,
        scene: &Scene,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Mesh, SceneError> {
        let source = self.document.get(index, "nodes")?;
        let mut groups: Vec<(Attributes, Mesh)> = Vec::new();
        for (i, primitive) in source.primitives.iter().enumerate() {
            let at = format!("meshes[{}].primitives[{i}]", index.value());
            self.read_primitive(primitive, &at, skinned, scene, &mut groups, progress)?;
        }
        let mut merged = Mesh::default();
        for (_, mut group) in groups {
            let at = format!("meshes[{}]", index.value());
            let report = group.repair(&at, &scene.materials).map_err(|e| self.document.fail(&at, e.to_string()))?;
            self.report.add(report);
            if report.meshes_with_computed_normals + report.meshes_with_computed_tangents > 0 {
                self.spend(group.positions.len() as u64 * VERTEX_BYTES, &at)?;
            }
            if merged.positions.len() + group.positions.len() > MAX_MESH_ELEMENTS
                || merged.indices.len() + group.indices.len() > MAX_MESH_ELEMENTS
            {
                return Err(self.document.fail(&at, format!("has more than {MAX_MESH_ELEMENTS} vertices or indices")));
            }
            append(&mut merged, group);
        }
        Ok(merged)
    }

    fn read_primitive(
        &mut self,
        primitive: &Primitive,
        at: &str,
        skinned: bool,
        scene: &Scene,
        groups: &mut Vec<(Attributes, Mesh)>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), SceneError> {
        let mode = match primitive.mode {
            Checked::Valid(mode @ (Mode::Triangles | Mode::TriangleStrip | Mode::TriangleFan)) => mode,
            Checked::Valid(mode) => {
                note(progress, at, &format!("{mode:?} are left out: only triangles can be traced"));
                return Ok(());
            }
            Checked::Invalid => return Err(self.document.fail(&format!("{at}.mode"), "is none of 0 to 6")),
        };
        let material = match primitive.material {
            Some(m) => {
                self.document.get(m, &format!("{at}.material"))?;
                m.value()
            }
            None => self.document.root.materials.len(),
        };
        let attribute = |semantic| primitive.attributes.get(&Checked::Valid(semantic)).copied();
        let Some(positions) = attribute(Semantic::Positions) else {
            note(progress, at, "is left out: it has no POSITION");
            return Ok(());
        };
        let surface = &scene.materials[material];
        let normals = attribute(Semantic::Normals);
        let uv_set = self.materials.uv_set[material];
        let textured = surface.texture_slots().any(|s| s.is_some());
        let uvs = attribute(Semantic::TexCoords(uv_set)).filter(|_| textured);
        if textured && uvs.is_none() {
            note(progress, at, &format!("has textures but no TEXCOORD_{uv_set}: they are read at their origin"));
        }
        let tangents = attribute(Semantic::Tangents).filter(|_| normals.is_some() && surface.normal_texture.is_some());
        let joints = match (attribute(Semantic::Joints(0)), attribute(Semantic::Weights(0))) {
            (Some(joints), Some(weights)) if skinned => Some((joints, weights)),
            _ if skinned => {
                return Err(self.document.fail(at, "its node has a skin, but it lacks JOINTS_0 or WEIGHTS_0"));
            }
            _ => None,
        };
        if skinned && attribute(Semantic::Joints(1)).is_some() {
            note(progress, at, "more than four joints move a vertex: the first four do, their weights scaled to 1");
        }
        let targets = primitive.targets.as_deref().unwrap_or(&[]);
        let key = Attributes {
            positions: positions.value(),
            normals: normals.map(|a| a.value()),
            tangents: tangents.map(|a| a.value()),
            uvs: uvs.map(|a| a.value()),
            joints: joints.map(|(joints, weights)| (joints.value(), weights.value())),
            targets: targets
                .iter()
                .map(|t| [t.positions, t.normals, t.tangents].map(|a| a.map(|a| a.value())))
                .collect(),
        };
        let group = match groups.iter().position(|(k, _)| *k == key) {
            Some(group) => group,
            None => {
                let mut mesh = self.read_vertices(positions, normals, tangents, uvs.map(|a| (a, uv_set)), at)?;
                self.read_deformation(&mut mesh, joints, targets, at)?;
                if groups.last().is_some_and(|(_, other)| other.targets.len() != mesh.targets.len()) {
                    let count = mesh.targets.len();
                    return Err(self.document.fail(at, format!("has {count} morph targets, unlike those before it")));
                }
                groups.push((key, mesh));
                groups.len() - 1
            }
        };
        let target = &mut groups[group].1;
        let vertices = target.positions.len();
        let listed = match primitive.indices {
            Some(index) => {
                let position = format!("{at}.indices");
                self.spend(self.document.count(index, &position)?.saturating_mul(INDEX_BYTES), &position)?;
                let listed = self.document.read_indices(index, &position)?;
                if let Some(i) = listed.iter().position(|v| *v as usize >= vertices) {
                    let reason = format!("element {i} is vertex {}, but there are {vertices}", listed[i]);
                    return Err(self.document.fail(&position, reason));
                }
                listed
            }
            None => {
                self.spend(vertices as u64 * INDEX_BYTES, at)?;
                (0..vertices as u32).collect()
            }
        };
        let first_index = target.indices.len() as u32;
        self.spend(listed.len() as u64 * 3 * INDEX_BYTES, at)?;
        match mode {
            Mode::TriangleStrip => target.indices.extend(listed.windows(3).enumerate().flat_map(|(i, t)| {
                // Every other triangle is wound the other way (glTF 2.0, 3.7.2.1).
                if i % 2 == 0 { [t[0], t[1], t[2]] } else { [t[0], t[2], t[1]] }
            })),
            Mode::TriangleFan => target.indices.extend(listed.windows(2).skip(1).flat_map(|t| [t[0], t[1], listed[0]])),
            _ => {
                let whole = listed.len() / 3 * 3;
                if whole != listed.len() {
                    note(
                        progress,
                        at,
                        &format!("has {} indices; those after the last whole triangle are left out", listed.len()),
                    );
                }
                target.indices.extend_from_slice(&listed[..whole]);
            }
        }
        if target.indices.len() > MAX_MESH_ELEMENTS {
            return Err(self.document.fail(
                at,
                format!("brings the mesh to {} indices, more than {MAX_MESH_ELEMENTS}", target.indices.len()),
            ));
        }
        let index_count = target.indices.len() as u32 - first_index;
        target.parts.push(MeshPart { first_index, index_count, material: material as u32 });
        Ok(())
    }

    fn read_vertices(
        &mut self,
        positions: Index<Accessor>,
        normals: Option<Index<Accessor>>,
        tangents: Option<Index<Accessor>>,
        uvs: Option<(Index<Accessor>, u32)>,
        at: &str,
    ) -> Result<Mesh, SceneError> {
        let position = format!("{at}.attributes.POSITION");
        let count = self.document.count(positions, &position)?;
        if count > MAX_MESH_ELEMENTS as u64 {
            return Err(self.document.fail(&position, format!("has {count} vertices, more than {MAX_MESH_ELEMENTS}")));
        }
        self.spend(count.saturating_mul(VERTEX_BYTES), &position)?;
        let check = |name: &str, index: Index<Accessor>| {
            let at = format!("{at}.attributes.{name}");
            match self.document.count(index, &at)? {
                n if n == count => Ok(at),
                n => Err(self.document.fail(&at, format!("has {n} elements, but POSITION has {count}"))),
            }
        };
        let mut mesh = Mesh {
            positions: convert(self.document.read_vectors(positions, &position)?, Vec3::from_array),
            ..Mesh::default()
        };
        if let Some(index) = normals {
            mesh.normals = convert(self.document.read_vectors(index, &check("NORMAL", index)?)?, Vec3::from_array);
        }
        if let Some(index) = tangents {
            mesh.tangents = convert(self.document.read_vectors(index, &check("TANGENT", index)?)?, Vec4::from_array);
        }
        if let Some((index, set)) = uvs {
            mesh.uvs = convert(
                self.document.read_vectors(index, &check(&format!("TEXCOORD_{set}"), index)?)?,
                Vec2::from_array,
            );
        }
        Ok(mesh)
    }

    /// Joints with their weights, and morph targets.
    fn read_deformation(
        &mut self,
        mesh: &mut Mesh,
        joints: Option<(Index<Accessor>, Index<Accessor>)>,
        targets: &[mesh::MorphTarget],
        at: &str,
    ) -> Result<(), SceneError> {
        let document = self.document;
        let count = mesh.positions.len() as u64;
        let check = |index: Index<Accessor>, at: &str| match document.count(index, at)? {
            n if n == count => Ok(()),
            n => Err(document.fail(at, format!("has {n} elements, but POSITION has {count}"))),
        };
        if let Some((joints, weights)) = joints {
            self.spend(count * SKIN_BYTES, at)?;
            let (at_joints, at_weights) = (format!("{at}.attributes.JOINTS_0"), format!("{at}.attributes.WEIGHTS_0"));
            check(joints, &at_joints)?;
            check(weights, &at_weights)?;
            let read = document.read_vectors::<4>(joints, &at_joints)?;
            let whole = |j: &f32| *j >= 0.0 && *j <= f32::from(u16::MAX) && j.fract() == 0.0;
            if let Some(vertex) = read.iter().position(|joints| !joints.iter().all(whole)) {
                let reason = format!("element {vertex} is {:?}; joints are whole numbers", read[vertex]);
                return Err(document.fail(&at_joints, reason));
            }
            mesh.joints = convert(read, |joints| joints.map(|j| j as u16));
            mesh.weights = document.read_vectors::<4>(weights, &at_weights)?;
        }
        for (i, target) in targets.iter().enumerate() {
            self.spend(count * TARGET_BYTES, at)?;
            let at = format!("{at}.targets[{i}]");
            let deltas = |accessor: Option<Index<Accessor>>, name: &str| match accessor {
                Some(index) => {
                    let at = format!("{at}.{name}");
                    check(index, &at)?;
                    Ok(convert(document.read_vectors(index, &at)?, Vec3::from_array))
                }
                None => Ok(Vec::new()),
            };
            let positions = deltas(target.positions, "POSITION")?;
            // Without normals of its own the mesh gets flat ones, to which deltas do not belong.
            let normals = if mesh.normals.is_empty() { Vec::new() } else { deltas(target.normals, "NORMAL")? };
            let tangents = if mesh.tangents.is_empty() { Vec::new() } else { deltas(target.tangents, "TANGENT")? };
            mesh.targets.push(MorphTarget { positions, normals, tangents });
        }
        Ok(())
    }

    fn spend(&mut self, bytes: u64, at: &str) -> Result<(), SceneError> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(self.document.fail(
                at,
                format!(
                    "needs {bytes} bytes of geometry, {} are left of what a document of {} bytes may unfold to: an accessor's \
                     count is wrong, or accessors are used too often; export the file again",
                    self.budget, self.document.input_bytes
                ),
            )),
        }
    }
}

/// Same bytes, other type: the allocation is reused where the compiler sees it.
fn convert<A, B>(values: Vec<A>, f: impl Fn(A) -> B) -> Vec<B> {
    values.into_iter().map(f).collect()
}

/// Joins a group to the mesh; attributes that only one side has are filled in.
fn append(mesh: &mut Mesh, group: Mesh) {
    if mesh.positions.is_empty() {
        *mesh = group;
        return;
    }
    let base = mesh.positions.len();
    let total = base + group.positions.len();
    let stand_in =
        |normals: &[Vec3]| -> Vec<Vec4> { normals.iter().map(|n| n.any_orthonormal_vector().extend(1.0)).collect() };
    if !mesh.tangents.is_empty() || !group.tangents.is_empty() {
        if mesh.tangents.is_empty() {
            mesh.tangents = stand_in(&mesh.normals);
        }
        let tangents = if group.tangents.is_empty() { stand_in(&group.normals) } else { group.tangents };
        mesh.tangents.extend(tangents);
    }
    if !mesh.uvs.is_empty() || !group.uvs.is_empty() {
        mesh.uvs.resize(base, Vec2::ZERO);
        mesh.uvs.extend(group.uvs);
        mesh.uvs.resize(total, Vec2::ZERO);
    }
    // A skinned mesh's primitives all have joints, and all primitives as many targets.
    mesh.joints.extend(group.joints);
    mesh.weights.extend(group.weights);
    for (target, more) in mesh.targets.iter_mut().zip(group.targets) {
        let arrays = [
            (&mut target.positions, more.positions),
            (&mut target.normals, more.normals),
            (&mut target.tangents, more.tangents),
        ];
        for (deltas, more) in arrays {
            if !deltas.is_empty() || !more.is_empty() {
                deltas.resize(base, Vec3::ZERO);
                deltas.extend(more);
                deltas.resize(total, Vec3::ZERO);
            }
        }
    }
    let first = mesh.indices.len() as u32;
    mesh.positions.extend(group.positions);
    mesh.normals.extend(group.normals);
    mesh.indices.extend(group.indices.into_iter().map(|i| i + base as u32));
    mesh.parts.extend(group.parts.into_iter().map(|p| MeshPart { first_index: p.first_index + first, ..p }));
}
