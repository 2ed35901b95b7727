//! Damaged documents: whatever the bytes are, loading returns, and does not panic.

mod glb;

use base64::Engine;
use glb::{glb, load, png, quad};
use proptest::prelude::*;

/// A document with something of everything.
fn rich() -> Vec<u8> {
    let image = base64::engine::general_purpose::STANDARD.encode(png());
    let (json, binary) = quad(&format!(
        r#","images":[{{"uri":"data:image/png;base64,{image}"}}],"textures":[{{"source":0}}],
"materials":[{{"normalTexture":{{"index":0}},"pbrMetallicRoughness":{{"baseColorTexture":{{"index":0}}}}}}],
"cameras":[{{"type":"perspective","perspective":{{"yfov":1.0,"znear":0.1}}}}],
"extensionsUsed":["KHR_lights_punctual"],"extensions":{{"KHR_lights_punctual":{{"lights":[{{"type":"point","intensity":683}}]}}}}"#
    ));
    let json = json
        .replace(r#""indices":1}"#, r#""indices":1,"material":0},{"attributes":{"POSITION":0},"mode":5}"#)
        .replace(r#"{"mesh":0}"#, r#"{"mesh":0,"children":[1]},{"camera":0,"extensions":{"KHR_lights_punctual":{"light":0}}}"#)
        .replace(
            r#""count":4,"type":"VEC3"}"#,
            r#""count":4,"type":"VEC3","sparse":{"count":1,"indices":{"bufferView":1,"componentType":5123},"values":{"bufferView":0}}}"#,
        );
    glb(&json, &binary)
}

#[test]
fn the_seed_itself_loads() {
    let (scene, notes) = load(rich());
    let scene = scene.unwrap();
    assert_eq!((scene.lights.len(), scene.cameras.len(), scene.textures.len()), (1, 1, 1), "{notes:?}");
    assert!(scene.triangle_count() >= 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in prop::option::weighted(0.1, any::<prop::sample::Index>())) {
        let mut bytes = rich();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let (Ok(mut scene), _) = load(bytes) {
            prop_assert!(scene.validate().unwrap().is_clean());
        }
    }

    #[test]
    fn forged_numbers_never_panic(which in any::<prop::sample::Index>(), digits in "[0-9]{1,20}", sign in "-?", tail in "(\\.5|e39|e9)?") {
        let bytes = rich();
        let length = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize;
        let json = String::from_utf8(bytes[20..20 + length].to_vec()).unwrap();
        let binary = &bytes[20 + length + 8..];
        // Every number that follows a colon, a bracket or a comma.
        let starts: Vec<usize> = json
            .match_indices([':', '[', ','])
            .map(|(i, _)| i + 1)
            .filter(|i| json[*i..].starts_with(|c: char| c.is_ascii_digit()))
            .collect();
        let start = starts[which.index(starts.len())];
        let end = start + json[start..].find(|c: char| !c.is_ascii_digit() && c != '.').unwrap();
        let forged = format!("{}{sign}{digits}{tail}{}", &json[..start], &json[end..]);
        if let (Ok(mut scene), _) = load(glb(&forged, binary)) {
            prop_assert!(scene.validate().unwrap().is_clean());
        }
    }
}
