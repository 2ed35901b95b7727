//! The blobs of meshes and textures.

use super::encoding::{Reader, Writer};
use crate::{Mesh, MeshPart, SceneError, Texture, TextureData};
use bytes::Bytes;
use glam::{Vec2, Vec3, Vec4};

const MESH: &[u8; 4] = b"RLMS";
const MESH_VERSION: u32 = 1;
const TEXTURE: &[u8; 4] = b"RLTX";
const TEXTURE_VERSION: u32 = 1;

const ENCODED: u32 = 0;
const RGBA8: u32 = 1;

/// Counts of positions, normals, tangents, uvs, indices, parts; then these arrays in this order.
pub(super) fn encode_mesh(mesh: &Mesh) -> Bytes {
    let counts = [
        mesh.positions.len(),
        mesh.normals.len(),
        mesh.tangents.len(),
        mesh.uvs.len(),
        mesh.indices.len(),
        mesh.parts.len(),
    ];
    let sizes = [12, 12, 16, 8, 4, 12];
    let capacity = 48 + counts.iter().zip(sizes).map(|(c, s)| c * s).sum::<usize>();
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
    out.0.into()
}

pub(super) fn decode_mesh(bytes: &[u8]) -> Result<Mesh, SceneError> {
    let mut reader = Reader::new("mesh blob", bytes, MESH, MESH_VERSION)?;
    let counts = reader.get::<[u64; 6]>()?.map(|c| usize::try_from(c).unwrap_or(usize::MAX));
    let mesh = Mesh {
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
    };
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
