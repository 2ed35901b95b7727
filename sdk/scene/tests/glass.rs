//! Glass of glTF documents and of scenes: what is read, and which values mean nothing.
mod glb;

use base64::Engine;
use bytes::Bytes;
use glam::{Vec2, Vec3};
use glb::{glb, load, png, quad};
use rayloom_scene::{AlphaMode, Material, Scene, SceneError, Texture, TextureData, TextureSlot};
use std::io::Cursor;
use std::sync::Arc;

/// A document with two materials of these extensions, and images of RGBA and of grey alone.
fn read(first: &str, second: &str) -> Result<Scene, SceneError> {
    let uri = |file: &[u8]| base64::engine::general_purpose::STANDARD.encode(file);
    let (rgba, grey) = (uri(&png()), uri(&grey_png()));
    let (json, binary) = quad(&format!(
        r#","images":[{{"uri":"data:image/png;base64,{rgba}"}},{{"uri":"data:image/png;base64,{grey}"}}],
"textures":[{{"source":0}},{{"source":1}}],"materials":[{{"extensions":{{{first}}}}},{{"extensions":{{{second}}}}}]"#
    ));
    load(glb(&json, &binary)).0
}

fn grey_png() -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image::GrayImage::new(2, 2).write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

#[test]
fn transmission_index_and_volume_are_read_with_their_textures() {
    let first = r#""KHR_materials_transmission":{"transmissionFactor":0.75,"transmissionTexture":{"index":1}},
"KHR_materials_ior":{"ior":1.33},"KHR_materials_volume":{"thicknessFactor":0.2,"attenuationDistance":0.5,
 "attenuationColor":[0.9,0.5,0.1],"thicknessTexture":{"index":0,"extensions":{"KHR_texture_transform":{"scale":[2,3]}}}}"#;
    let scene = read(first, r#""KHR_materials_ior":{"ior":0}"#).unwrap();
    let m = &scene.materials[0];
    assert_eq!((m.alpha, m.transmission, m.ior, m.thickness), (AlphaMode::Opaque, 0.75, 1.33, 0.2));
    assert_eq!((m.attenuation_distance, m.attenuation_color), (0.5, Vec3::new(0.9, 0.5, 0.1)));
    let (share, thickness) = (m.transmission_texture.unwrap(), m.thickness_texture.unwrap());
    assert_ne!(share.texture, thickness.texture);
    assert_eq!((share.scale, thickness.scale), (Vec2::ONE, Vec2::new(2.0, 3.0)));
    assert!(m.refracts() && m.is_thin_glass(), "a body, and thin where its texture says so");
    let expected = Vec3::new(0.9f32.ln(), 0.5f32.ln(), 0.1f32.ln()) / -0.5;
    assert!((m.absorption() - expected).abs().max_element() < 1e-5, "{}", m.absorption());
    let clear = &scene.materials[1];
    assert_eq!((clear.transmission, clear.ior, clear.attenuation_distance), (0.0, 1.5, f32::INFINITY));
    assert_eq!(clear.absorption(), Vec3::ZERO);
}

#[test]
fn values_that_mean_nothing_are_refused_by_the_material_s_name() {
    let refused = |extensions: &str, words: &str| {
        let text = read("", extensions).unwrap_err().to_string();
        assert!(text.contains("material 1 (user id 1)") && text.contains(words), "{text} lacks {words:?}");
    };
    refused(r#""KHR_materials_ior":{"ior":0.5}"#, "index of refraction 0.5");
    refused(r#""KHR_materials_ior":{"ior":-1.5}"#, "index of refraction -1.5");
    refused(r#""KHR_materials_volume":{"thicknessFactor":-1}"#, "thickness -1");
    refused(r#""KHR_materials_volume":{"attenuationDistance":-0.25}"#, "attenuation distance -0.25");
    refused(r#""KHR_materials_volume":{"attenuationDistance":0}"#, "attenuation distance 0");
    refused(r#""KHR_materials_volume":{"thicknessFactor":1,"thicknessTexture":{"index":1}}"#, "1 channel and no green");
}

#[test]
fn scenes_are_held_to_the_same() {
    let scene = |material: Material| Scene { materials: vec![material], ..Scene::default() };
    let bad = |material: Material, words: &str| {
        let text = scene(Material { user_id: 7, ..material }).validate().unwrap_err().to_string();
        assert!(text.contains("material 0 (user id 7)") && text.contains(words), "{text} lacks {words:?}");
    };
    let m = Material::default;
    for value in [f32::NAN, f32::INFINITY, -1.0] {
        bad(Material { ior: value, ..m() }, "index of refraction");
        bad(Material { thickness: value, ..m() }, "thickness");
    }
    for value in [f32::NAN, 0.0, -3.0] {
        bad(Material { attenuation_distance: value, ..m() }, "attenuation distance");
    }
    bad(Material { transmission: f32::NAN, ..m() }, "transmission");
    bad(Material { attenuation_color: Vec3::new(0.1, f32::NAN, 0.2), ..m() }, "attenuation colour");
    let mut grey = scene(Material {
        thickness_texture: Some(TextureSlot { texture: 0, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 }),
        ..m()
    });
    grey.textures = vec![Arc::new(Texture { data: TextureData::Encoded(Bytes::from(grey_png())), user_id: 5 })];
    let text = grey.validate().unwrap_err().to_string();
    assert!(text.contains("material 0") && text.contains("texture 0 (user id 5)"), "{text}");
    // Beyond its range, but meant: clamped.
    let mut much = scene(Material { transmission: 3.0, attenuation_color: Vec3::splat(2.0), ..m() });
    assert_eq!(much.validate().unwrap().materials_clamped, 1);
    assert_eq!((much.materials[0].transmission, much.materials[0].attenuation_color), (1.0, Vec3::ONE));
}
