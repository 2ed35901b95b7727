//! Builds small GLB files for tests: JSON text and a binary chunk.
#![allow(dead_code, reason = "each test file uses its part")]

use rayloom_scene::gltf::{Progress, load_slice};
use rayloom_scene::{Scene, SceneError};
use std::path::Path;

/// A GLB file of this JSON and these bytes.
pub(crate) fn glb(json: &str, binary: &[u8]) -> Vec<u8> {
    let chunk = |kind: u32, bytes: &[u8], pad: u8| {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(4), pad);
        let mut out = (padded.len() as u32).to_le_bytes().to_vec();
        out.extend(kind.to_le_bytes());
        out.extend(padded);
        out
    };
    let body = [chunk(0x4e4f_534a, json.as_bytes(), b' '), chunk(0x004e_4942, binary, 0)].concat();
    let mut out = b"glTF".to_vec();
    out.extend(2u32.to_le_bytes());
    out.extend((body.len() as u32 + 12).to_le_bytes());
    out.extend(body);
    out
}

/// Loads it as if it were a file beside this crate; notes are collected.
pub(crate) fn load(bytes: Vec<u8>) -> (Result<Scene, SceneError>, Vec<String>) {
    let mut notes = Vec::new();
    let result = load_slice(Path::new("tests/in_memory.glb"), bytes.into(), &mut |progress| {
        if let Progress::Note { position, text } = progress {
            notes.push(format!("{position}: {text}"));
        }
    });
    (result, notes)
}

/// Bytes of floats.
pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A document with one mesh at one node: the given primitives, accessors and buffer views over one buffer of `length` bytes.
pub(crate) fn document(primitives: &str, accessors: &str, views: &str, length: usize, more: &str) -> String {
    format!(
        r#"{{"asset":{{"version":"2.0"}},"scene":0,"scenes":[{{"nodes":[0]}}],"nodes":[{{"mesh":0}}],
"meshes":[{{"primitives":[{primitives}]}}],"accessors":[{accessors}],"bufferViews":[{views}],
"buffers":[{{"byteLength":{length}}}]{more}}}"#
    )
}

/// A quad of two triangles with float positions and 16-bit indices: its JSON and its bytes.
pub(crate) fn quad(more: &str) -> (String, Vec<u8>) {
    let mut binary = floats(&[0., 0., 0., 1., 0., 0., 1., 1., 0., 0., 1., 0.]);
    binary.extend([0u16, 1, 2, 0, 2, 3].iter().flat_map(|i| i.to_le_bytes()));
    let json = document(
        r#"{"attributes":{"POSITION":0},"indices":1}"#,
        r#"{"bufferView":0,"componentType":5126,"count":4,"type":"VEC3"},{"bufferView":1,"componentType":5123,"count":6,"type":"SCALAR"}"#,
        r#"{"buffer":0,"byteLength":48},{"buffer":0,"byteOffset":48,"byteLength":12}"#,
        60,
        more,
    );
    (json, binary)
}

/// A PNG of 4 x 2 pixels.
pub(crate) fn png() -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    let image = image::RgbaImage::from_fn(4, 2, |x, y| image::Rgba([x as u8 * 60, y as u8 * 200, 9, 255]));
    image.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}
