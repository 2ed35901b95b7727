//! Real files load: kitchen, FlightHelmet, lamp, coffee, town. Skipped, with a line, where the folder is absent.

use glam::{Vec3, Vec4};
use rayloom_scene::gltf::{self, Progress};
use rayloom_scene::{AlphaMode, Mesh, Scene};
use std::path::PathBuf;

fn load(name: &str) -> Option<Scene> {
    let folder = std::env::var_os("RAYLOOM_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from);
    let path = folder.join("scenes").join(name);
    if !path.exists() {
        println!("SKIPPED: {} is absent; set RAYLOOM_SHARED to the folder that holds scenes/", path.display());
        return None;
    }
    let mut steps = 0;
    let scene = gltf::load(&path, &mut |progress| match progress {
        Progress::Note { position, text } => println!("{name} {position}: {text}"),
        _ => steps += 1,
    });
    assert!(steps > 0, "loading reports its progress");
    let mut scene = scene.unwrap();
    assert!(scene.validate().unwrap().is_clean());
    Some(scene)
}

#[test]
fn kitchen() {
    let Some(scene) = load("kitchen.glb") else { return };
    // The file has 1,443,517 triangles; 219 of them have no area.
    assert_eq!(scene.triangle_count(), 1_443_298);
    assert_eq!((scene.instances.len(), scene.textures.len(), scene.cameras.len()), (299, 17, 1));
    assert!((scene.default_camera(1.0).tan_half_fov.y - (0.628_028_8f32 * 0.5).tan()).abs() < 1e-6);
    assert!(scene.materials.iter().any(|m| m.emissive.max_element() > 1.0));
    assert!(scene.materials.iter().any(|m| m.alpha == AlphaMode::Blend), "glass lets light through");
}

#[test]
fn flight_helmet_and_its_tangents() {
    let Some(scene) = load("FlightHelmet/FlightHelmet.gltf") else { return };
    assert_eq!((scene.meshes.len(), scene.textures.len()), (6, 15));
    // The file's own tangents (MikkTSpace) judge ours, for what both say about the same corner.
    let (mut agree, mut total) = (0, 0);
    for mesh in &scene.meshes {
        assert_eq!(mesh.tangents.len(), mesh.positions.len());
        let mut ours = Mesh { tangents: Vec::new(), ..mesh.as_ref().clone() };
        ours.repair("helmet", &scene.materials).unwrap();
        let corner = |m: &Mesh, i: usize| -> Vec4 { m.tangents[m.indices[i] as usize] };
        for i in 0..mesh.indices.len() {
            let (theirs, mine) = (corner(mesh, i), corner(&ours, i));
            total += 1;
            agree += usize::from(theirs.truncate().dot(mine.truncate()) > 0.9 && theirs.w == mine.w);
        }
    }
    assert!(agree as f64 > 0.97 * total as f64, "{agree} of {total} corners agree");
}

#[test]
fn lamp_and_coffee() {
    for (name, cameras) in [("lamp.glb", 1), ("coffee.glb", 1)] {
        let Some(scene) = load(name) else { return };
        assert_eq!(scene.cameras.len(), cameras);
        assert!(scene.triangle_count() > 10_000 && scene.lights.is_empty());
    }
}

#[test]
fn town() {
    let Some(mut scene) = load("truck_town/town_model_notex.gltf") else { return };
    assert!(scene.textures.is_empty() && scene.triangle_count() > 10_000);
    scene.add_default_lighting();
    assert_eq!(scene.lights.len(), 1);
    let (lo, hi) = scene.bounds();
    assert!((hi - lo).min_element() > 1.0 && lo.is_finite() && hi.is_finite());
    assert!(scene.default_camera(1.7).position.distance(Vec3::ZERO) > 1.0);
}
