//! Bad documents: each error names file, position and reason.

mod glb;

use glb::{document, floats, glb, load, png, quad};
use rayloom_scene::SceneError;
use rayloom_scene::gltf;
use std::path::PathBuf;

/// Asserts that loading fails at this position, and that the message holds these words.
fn refused(bytes: Vec<u8>, position: &str, words: &[&str]) {
    let error = load(bytes).0.unwrap_err();
    let SceneError::Malformed { path, position: found, .. } = &error else { panic!("{error}") };
    assert_eq!(path, &PathBuf::from("tests/in_memory.glb"));
    assert_eq!(found, position, "{error}");
    let text = error.to_string();
    assert!(words.iter().all(|w| text.contains(w)), "{text} lacks one of {words:?}");
}

fn changed(from: &str, to: &str) -> Vec<u8> {
    let (json, binary) = quad("");
    assert!(json.contains(from));
    glb(&json.replace(from, to), &binary)
}

#[test]
fn containers() {
    let (json, binary) = quad("");
    let whole = glb(&json, &binary);
    refused(b"glTF".to_vec(), "byte 4", &["truncated"]);
    refused(whole[..whole.len() - 8].to_vec(), "byte 8", &["truncated", "promises"]);
    let mut wrong = whole.clone();
    wrong[4] = 1;
    refused(wrong, "byte 4", &["version is 1"]);
    let mut long = whole;
    long[12..16].copy_from_slice(&0xffff_fff0u32.to_le_bytes());
    refused(long, "byte 12", &["chunk"]);
    refused(glb("{\n \"asset\": nonsense}", &[]), "JSON byte 13", &["line 2"]);
    refused(Vec::new(), "JSON byte 0", &["no valid glTF"]);
    refused(glb(r#"{"asset":{"version":"1.0"}}"#, &[]), "asset.version", &["1.0"]);
}

#[test]
fn references_and_ranges() {
    refused(changed(r#""POSITION":0"#, r#""POSITION":9"#), "meshes[0].primitives[0].attributes.POSITION", &["9"]);
    refused(changed(r#""indices":1"#, r#""indices":0"#), "meshes[0].primitives[0].indices", &["scalars"]);
    refused(changed(r#""count":4"#, r#""count":5"#), "accessors[0]", &["5 elements", "48 bytes"]);
    refused(
        changed(r#""count":4"#, r#""count":18446744073709551615"#),
        "meshes[0].primitives[0].attributes.POSITION",
        &["vertices"],
    );
    refused(
        changed(r#""count":6"#, r#""count":4294967295"#),
        "meshes[0].primitives[0].indices",
        &["17179869180 bytes", "count"],
    );
    refused(changed(r#""byteOffset":48"#, r#""byteOffset":52"#), "bufferViews[1]", &["52 + 12", "60 bytes"]);
    refused(changed(r#""byteLength":60"#, r#""byteLength":600"#), "buffers[0]", &["truncated", "600"]);
    refused(changed(r#"{"mesh":0}"#, r#"{"mesh":0,"children":[0]}"#), "nodes[0].children[0]", &["second time"]);
    refused(changed(r#"{"mesh":0}"#, r#"{"mesh":4}"#), "nodes", &["4"]);
    refused(changed(r#"{"mesh":0}"#, r#"{"mesh":0,"scale":[1e39,1,1]}"#), "nodes[0]", &["not finite"]);
    refused(changed(r#"{"mesh":0}"#, r#"{"mesh":0,"rotation":[0,0,0,0]}"#), "nodes[0].rotation", &["rotation"]);
    refused(changed(r#""componentType":5123"#, r#""componentType":5124"#), "accessors[1].componentType", &["5121"]);
    let (json, mut binary) = quad("");
    binary[48] = 4;
    refused(glb(&json, &binary), "meshes[0].primitives[0].indices", &["vertex 4", "there are 4"]);
}

#[test]
fn a_count_without_bytes_is_refused() {
    let json = document(
        r#"{"attributes":{"POSITION":0}}"#,
        r#"{"componentType":5126,"count":900000,"type":"VEC3"}"#,
        r#"{"buffer":0,"byteLength":4}"#,
        4,
        "",
    );
    refused(glb(&json, &floats(&[0.0])), "accessors[0].count", &["900000"]);
}

#[test]
fn one_accessor_used_a_million_times_is_refused() {
    let mut primitives = String::new();
    for i in 0..40_000 {
        let comma = if i == 0 { "" } else { "," };
        // Different materials would share vertices; different normals make new ones.
        primitives.push_str(&format!(r#"{comma}{{"attributes":{{"POSITION":0,"NORMAL":{}}}}}"#, i + 1));
    }
    let accessor = r#"{"bufferView":0,"componentType":5126,"count":65000,"type":"VEC3"}"#;
    let accessors = vec![accessor; 40_001].join(",");
    let binary = vec![0u8; 65_000 * 12];
    let json = document(&primitives, &accessors, r#"{"buffer":0,"byteLength":780000}"#, 780_000, "");
    let error = load(glb(&json, &binary)).0.unwrap_err().to_string();
    assert!(error.contains("accessors are used too often"), "{error}");
}

#[test]
fn extensions_that_are_required_but_unknown_are_named() {
    let (json, binary) = quad(r#","extensionsRequired":["KHR_texture_transform","KHR_draco_mesh_compression"]"#);
    refused(glb(&json, &binary), "extensionsRequired[1]", &["KHR_draco_mesh_compression"]);
    // Even where they change what the parser accepts.
    let (json, binary) = quad(r#","extensionsRequired":["EXT_odd"],"images":[7]"#);
    refused(glb(&json, &binary), "extensionsRequired[0]", &["EXT_odd"]);
}

#[test]
fn uris_stay_in_the_folder() {
    for uri in [
        "../secret.bin",
        "/etc/passwd",
        "a/../../b.bin",
        "%2e%2e/secret.bin",
        "file:///etc/passwd",
        "http://host/x.bin",
        "C:\\\\x.bin",
        "",
    ] {
        let (json, binary) = quad("");
        let json = json.replace(r#""buffers":[{"#, &format!(r#""buffers":[{{"uri":"{uri}","#));
        refused(glb(&json, &binary), "buffers[0].uri", &["folder"]);
    }
    let (json, binary) = quad("");
    let json = json.replace(r#""buffers":[{"#, r#""buffers":[{"uri":"not there.bin","#);
    refused(glb(&json, &binary), "buffers[0].uri", &["tests/not there.bin", "cannot be read"]);
    let (json, binary) = quad("");
    let json = json.replace(r#""buffers":[{"#, r#""buffers":[{"uri":"data:application/octet-stream;base64,?","#);
    refused(glb(&json, &binary), "buffers[0].uri", &["base64"]);
}

#[test]
fn textures_are_checked() {
    let image = png();
    let material =
        r#""materials":[{"pbrMetallicRoughness":{"baseColorTexture":{"index":0}}}],"textures":[{"source":0}]"#;
    let document = |images: &str| quad(&format!(",{material},{images}"));
    let (json, binary) = document(r#""images":[{"uri":"gone.png"}]"#);
    refused(glb(&json, &binary), "images[0].uri", &["gone.png", "cannot be read"]);
    let (json, mut binary) = document(r#""images":[{"bufferView":2,"mimeType":"image/png","name":"bark"}]"#);
    let cut = &image[..image.len() - 20];
    let view = format!(r#""byteLength":12}},{{"buffer":0,"byteOffset":60,"byteLength":{}}}"#, cut.len());
    let json = json
        .replace(r#""byteLength":12}"#, &view)
        .replace(r#""byteLength":60"#, &format!(r#""byteLength":{}"#, 60 + cut.len()));
    binary.extend(cut);
    refused(glb(&json, &binary), "images[0]", &["bark", "decoded"]);
    let (json, binary) = document(r#""images":[{"bufferView":0}]"#);
    refused(glb(&json, &binary), "images[0]", &["neither PNG nor JPEG"]);
    let (json, binary) = quad(r#","materials":[{"normalTexture":{"index":3}}]"#);
    refused(glb(&json, &binary), "materials[0].normalTexture.index", &["3"]);
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    for path in ["tests/not_there.glb", "tests"] {
        let error = gltf::load(path.as_ref(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, SceneError::Read { .. }) && error.to_string().contains(path), "{error}");
    }
}
