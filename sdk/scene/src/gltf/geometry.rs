//! Meshes: primitives to indexed triangles, one mesh with a part per primitive.

use super::document::Document;
use super::nodes::Placed;
use super::surfaces::Materials;
use super::{Progress, Stage, note};
use crate::{Instance, MAX_MESH_ELEMENTS, Mesh, MeshPart, Report, Scene, SceneError};
use glam::{Vec2, Vec3, Vec4};
use gltf::json::accessor::Accessor;
use gltf::json::mesh::{Mode, Primitive, Semantic};
use gltf::json::validation::Checked;
use gltf::json::{Index, mesh};
use std::collections::HashMap;
use std::sync::Arc;

/// Decoded geometry may take this many bytes and [`DECODED_PER_INPUT_BYTE`] more for each byte of input: a small document
/// that names one accessor a million times must not fill the memory.
const MAX_DECODED_BYTES: u64 = 1 << 30;
const DECODED_PER_INPUT_BYTE: u64 = 64;

/// Bytes of a decoded vertex and of a decoded index.
const VERTEX_BYTES: u64 = 48;
const INDEX_BYTES: u64 = 4;

/// Reads the meshes that are placed, and places them.
pub(super) fn read(
    document: &Document,
    placed: &[Placed],
    materials: &Materials,
    out: &mut Scene,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), SceneError> {
    let mut order: Vec<Index<mesh::Mesh>> = Vec::new();
    let mut numbers: HashMap<usize, u32> = HashMap::new();
    for p in placed {
        numbers.entry(p.mesh.value()).or_insert_with(|| {
            order.push(p.mesh);
            order.len() as u32 - 1
        });
    }
    let mut importer = Importer {
        document,
        materials,
        budget: MAX_DECODED_BYTES.saturating_add(document.input_bytes.saturating_mul(DECODED_PER_INPUT_BYTE)),
        report: Report::default(),
    };
    for (done, index) in order.iter().enumerate() {
        let mesh = importer.read_mesh(*index, out, progress)?;
        out.meshes.push(Arc::new(mesh));
        progress(Progress::Step { stage: Stage::Meshes, done: done + 1, total: order.len() });
    }
    let visible = placed.iter().filter(|p| out.meshes[numbers[&p.mesh.value()] as usize].triangle_count() > 0);
    out.instances = visible
        .map(|p| Instance { mesh: numbers[&p.mesh.value()], transform: p.transform, user_id: p.node as u64 })
        .collect();
    let dropped = importer.report.triangles_degenerate + importer.report.triangles_non_finite;
    if dropped > 0 {
        let text = format!(
            "{dropped} triangles are left out: {} without area, {} that are not finite",
            importer.report.triangles_degenerate, importer.report.triangles_non_finite
        );
        note(progress, "meshes", &text);
    }
    Ok(())
}

struct Importer<'a> {
    document: &'a Document,
    materials: &'a Materials,
    /// Bytes that may still be decoded.
    budget: u64,
    report: Report,
}

/// The accessors that make a vertex; primitives that agree in all share their vertices.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Attributes {
    positions: usize,
    normals: Option<usize>,
    tangents: Option<usize>,
    uvs: Option<usize>,
}

impl Importer<'_> {
    fn read_mesh(
        &mut self,
        index: Index<mesh::Mesh>,
        scene: &Scene,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Mesh, SceneError> {
        let source = self.document.get(index, "nodes")?;
        let mut groups: Vec<(Attributes, Mesh)> = Vec::new();
        for (i, primitive) in source.primitives.iter().enumerate() {
            let at = format!("meshes[{}].primitives[{i}]", index.value());
            self.read_primitive(primitive, &at, scene, &mut groups, progress)?;
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
        if primitive.targets.as_ref().is_some_and(|t| !t.is_empty()) {
            note(progress, at, "its morph targets are not applied");
        }
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
        let key = Attributes {
            positions: positions.value(),
            normals: normals.map(|a| a.value()),
            tangents: tangents.map(|a| a.value()),
            uvs: uvs.map(|a| a.value()),
        };
        let group = match groups.iter().position(|(k, _)| *k == key) {
            Some(group) => group,
            None => {
                let mesh = self.read_vertices(positions, normals, tangents, uvs.map(|a| (a, uv_set)), at)?;
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
    let first = mesh.indices.len() as u32;
    mesh.positions.extend(group.positions);
    mesh.normals.extend(group.normals);
    mesh.indices.extend(group.indices.into_iter().map(|i| i + base as u32));
    mesh.parts.extend(group.parts.into_iter().map(|p| MeshPart { first_index: p.first_index + first, ..p }));
}
