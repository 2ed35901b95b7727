//! The blobs of meshes and textures.

use super::encoding::{Reader, Writer};
use crate::{Mesh, MeshPart, MorphTarget, SceneError, Texture, TextureData};
use bytes::Bytes;
use glam::{Vec2, Vec3, Vec4};

const MESH: &[u8; 4] = b"RLMS";
const MESH_VERSION: u32 = 2;
const TEXTURE: &[u8; 4] = b"RLTX";
const TEXTURE_VERSION: u32 = 1;

const ENCODED: u32 = 0;
const RGBA8: u32 = 1;

/// Counts of positions, normals, tangents, uvs, indices, parts, joints (as many as weights), morph targets; then these arrays
/// in this order. A target is its counts of positions, normals and tangents, and these.
pub(super) fn encode_mesh(mesh: &Mesh) -> Bytes {
    let counts = [
        mesh.positions.len(),
        mesh.normals.len(),
        mesh.tangents.len(),
        mesh.uvs.len(),
        mesh.indices.len(),
        mesh.parts.len(),
        mesh.joints.len(),
        mesh.targets.len(),
    ];
    let targets: usize = mesh.targets.iter().map(|t| t.positions.len() + t.normals.len() + t.tangents.len()).sum();
    let sizes = [12, 12, 16, 8, 4, 12, 24, 24];
    let capacity = 64 + targets * 12 + counts.iter().zip(sizes).map(|(c, s)| c * s).sum::<usize>();
    let mut out = Writer::new(MESH, MESH_VERSION, capacity);
    out.put(counts.map(|c| c as u64));
    out.put_all(&mesh.positions);
    out.put_all(&mesh.normals);
    out.put_all(&mesh.tangents);
    out.put_all(&mesh.uvs);
    out.put_all(&mesh.indices);
    for part in &mesh.parts {
        out.put([part.first_index, part.index_count, part.material]);
    }
    out.put_all(&mesh.joints);
    out.put_all(&mesh.weights);
    for target in &mesh.targets {
        let deltas = [&target.positions, &target.normals, &target.tangents];
        out.put(deltas.map(|d| d.len() as u64));
        deltas.into_iter().for_each(|d| out.put_all(d));
    }
    out.0.into()
}

pub(super) fn decode_mesh(bytes: &[u8]) -> Result<Mesh, SceneError> {
    let mut reader = Reader::new("mesh blob", bytes, MESH, MESH_VERSION)?;
    let size = |c: u64| usize::try_from(c).unwrap_or(usize::MAX);
    let counts = reader.get::<[u64; 8]>()?.map(size);
    let mut mesh = Mesh {
        positions: reader.get_all::<Vec3>(counts[0])?,
        normals: reader.get_all::<Vec3>(counts[1])?,
        tangents: reader.get_all::<Vec4>(counts[2])?,
        uvs: reader.get_all::<Vec2>(counts[3])?,
        indices: reader.get_all::<u32>(counts[4])?,
        parts: reader
            .get_all::<[u32; 3]>(counts[5])?
            .into_iter()
            .map(|[first_index, index_count, material]| MeshPart { first_index, index_count, material })
            .collect(),
        joints: reader.get_all(counts[6])?,
        weights: reader.get_all(counts[6])?,
        targets: Vec::new(),
    };
    // Each takes bytes, so a forged count ends with them.
    for _ in 0..counts[7] {
        let deltas = reader.get::<[u64; 3]>()?.map(size);
        mesh.targets.push(MorphTarget {
            positions: reader.get_all(deltas[0])?,
            normals: reader.get_all(deltas[1])?,
            tangents: reader.get_all(deltas[2])?,
        });
    }
    reader.finish()?;
    Ok(mesh)
}

/// The kind, width and height (0 for encoded files), the user id; then the file or the pixels.
pub(super) fn encode_texture(texture: &Texture) -> Bytes {
    let (kind, width, height, bytes) = match &texture.data {
        TextureData::Encoded(bytes) => (ENCODED, 0, 0, bytes),
        TextureData::Rgba8 { width, height, pixels } => (RGBA8, *width, *height, pixels),
    };
    let mut out = Writer::new(TEXTURE, TEXTURE_VERSION, 20 + bytes.len());
    out.put([kind, width, height]);
    out.put(texture.user_id);
    out.put_all::<u8>(bytes);
    out.0.into()
}

pub(super) fn decode_texture(blob: &Bytes) -> Result<Texture, SceneError> {
    let mut reader = Reader::new("texture blob", blob, TEXTURE, TEXTURE_VERSION)?;
    let [kind, width, height] = reader.get::<[u32; 3]>()?;
    let user_id = reader.get()?;
    let content = blob.slice_ref(reader.rest());
    let data = match kind {
        ENCODED => TextureData::Encoded(content),
        RGBA8 => TextureData::Rgba8 { width, height, pixels: content },
        other => return Err(reader.error(format!("has kind {other}, which this build does not know"))),
    };
    Ok(Texture { data, user_id })
}
