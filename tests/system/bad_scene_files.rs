//! Files that are no scene: the error names file, position and reason, and what was shown stays.

use crate::engine::Engine;
use crate::fleet::{Fleet, fresh_folder};
use std::path::Path;

/// A triangle whose only texture is not there.
const NO_TEXTURE: &str = r#"{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],"nodes":[{"mesh":0}],
"meshes":[{"primitives":[{"attributes":{"POSITION":0},"material":0}]}],
"materials":[{"pbrMetallicRoughness":{"baseColorTexture":{"index":0}}}],"textures":[{"source":0}],
"images":[{"uri":"bark.png"}],"accessors":[{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3"}],
"bufferViews":[{"buffer":0,"byteLength":36}],
"buffers":[{"byteLength":36,"uri":"data:application/octet-stream;base64,AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA"}]}"#;

/// A GLB whose header promises more than there is.
fn truncated_glb() -> Vec<u8> {
    let mut bytes = b"glTF".to_vec();
    bytes.extend(2u32.to_le_bytes());
    bytes.extend(5000u32.to_le_bytes());
    bytes.extend(4000u32.to_le_bytes());
    bytes.extend(b"JSON{\"asset\":");
    bytes
}

fn assert_names(engine: &Engine, path: &Path, words: &[&str]) {
    let error = engine.scene.load_gltf(path).unwrap_err().to_string();
    println!("{error}");
    let path = path.to_str().unwrap();
    assert!(error.contains(path) && words.iter().all(|word| error.contains(word)), "{path} and {words:?} in {error:?}");
}

#[test]
fn a_bad_file_is_named_and_the_last_revision_stays() {
    let fleet = Fleet::start(1);
    let mut engine = Engine::new(fleet.addresses());
    let before = engine.whole_frame_by(&[0]);

    let folder = fresh_folder();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    assert_names(&engine, &write("malformed.gltf", b"{\"asset\":{\"version\":\"2.0\"},\n \"nodes\":[{]}"), &["line 2"]);
    assert_names(&engine, &write("truncated.glb", &truncated_glb()), &["5000"]);
    assert_names(&engine, &write("bark.gltf", NO_TEXTURE.as_bytes()), &["images[0]", "bark.png"]);
    assert_names(&engine, &folder.join("nowhere.glb"), &["No such file"]);
    std::fs::remove_dir_all(&folder).unwrap();

    let revision = engine.scene.commit().unwrap();
    assert_eq!(revision, engine.revision, "nothing has changed");
    let after = engine.whole_frame_by(&[0]);
    let hits = |output: &rayloom::Output| output.planes.as_ref().unwrap().primary.clone();
    assert!(hits(&before) == hits(&after), "the same things are seen");
}
