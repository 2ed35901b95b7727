//! The raster engine (`samples/rust`) on two peer processes: its G-buffer shows what peers see that trace primary rays
//! themselves for the engine in C.

use crate::c_engine::Built;
use crate::fleet::{Fleet, TOKEN, binary};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A floor and a tetrahedron above it: corners, and three of them a triangle.
const CORNERS: [[f32; 3]; 8] = [
    [-4.0, 0.0, -4.0],
    [4.0, 0.0, -4.0],
    [4.0, 0.0, 4.0],
    [-4.0, 0.0, 4.0],
    [-1.0, 0.2, 0.8],
    [1.0, 0.2, 0.8],
    [0.0, 0.2, -1.0],
    [0.0, 1.8, 0.0],
];
const TRIANGLES: [[u16; 3]; 6] = [[0, 2, 1], [0, 3, 2], [4, 5, 7], [5, 6, 7], [6, 4, 7], [4, 6, 5]];

fn write_scene(folder: &Path) -> PathBuf {
    let corners = CORNERS.iter().flatten().flat_map(|x| x.to_le_bytes());
    let triangles = TRIANGLES.iter().flatten().flat_map(|index| index.to_le_bytes());
    std::fs::write(folder.join("scene.bin"), corners.chain(triangles).collect::<Vec<u8>>()).unwrap();
    let gltf = r#"{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0,1]}],
        "nodes":[{"mesh":0},{"camera":0,"translation":[0,1.5,5],"rotation":[-0.0998334,0,0,0.9950042]}],
        "cameras":[{"type":"perspective","perspective":{"yfov":0.9,"znear":0.05}}],
        "materials":[{"pbrMetallicRoughness":{"baseColorFactor":[0.8,0.3,0.2,1],"roughnessFactor":0.6,"metallicFactor":0}}],
        "meshes":[{"primitives":[{"attributes":{"POSITION":0},"indices":1,"material":0}]}],
        "accessors":[{"bufferView":0,"componentType":5126,"count":8,"type":"VEC3","min":[-4,0,-4],"max":[4,1.8,4]},
            {"bufferView":1,"componentType":5123,"count":18,"type":"SCALAR"}],
        "bufferViews":[{"buffer":0,"byteLength":96},{"buffer":0,"byteOffset":96,"byteLength":36}],
        "buffers":[{"uri":"scene.bin","byteLength":132}]}"#;
    let path = folder.join("scene.gltf");
    std::fs::write(&path, gltf).unwrap();
    path
}

/// Runs an engine to its end; its last picture and what it said.
fn last_picture(engine: &mut Command, folder: &Path) -> (image::RgbaImage, String) {
    std::fs::create_dir_all(folder).unwrap();
    let output = engine.args(["--frames", "8", "--png"]).arg(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let last = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).max();
    (image::open(last.expect("pictures were written")).unwrap().into_rgba8(), text)
}

#[test]
fn the_rasters_g_buffer_and_traced_primary_hits_make_the_same_picture() {
    let (fleet, built) = (Fleet::start(2), Built::new());
    let scene = write_scene(&built.folder);
    let mut raster = Command::new(binary("raster-engine"));
    raster.args(["--embedded", "never", "--token", TOKEN, "--listen", "127.0.0.1:0"]);
    raster.args(["--size", "160x90", "--deadline-ms", "1000"]);
    for peer in &fleet.peers {
        raster.args(["--peer", &peer.url]);
    }
    let (drawn, text) = last_picture(raster.arg("--scene").arg(&scene), &built.folder.join("drawn"));
    assert!(text.contains("drawing on "), "{text}");
    let (traced, _) = last_picture(built.engine(&fleet).arg("--scene").arg(&scene), &built.folder.join("traced"));
    assert_eq!(drawn.dimensions(), (160, 90));
    let colors: std::collections::BTreeSet<_> = drawn.pixels().map(|pixel| pixel.0).collect();
    assert!(colors.len() > 100, "the scene has more than {} colours", colors.len());
    let psnr_db = rayloom::frame::metrics::psnr_rgba8(&drawn, &traced);
    assert!(psnr_db > 30.0, "{psnr_db:.1} dB");
}

#[test]
fn an_animated_figure_is_posed_alike_in_both_modes() {
    let (fleet, built) = (Fleet::start(2), Built::new());
    let scene = built.folder.join("figure.glb");
    std::fs::write(&scene, rayloom::scene::figure::glb()).unwrap();
    let pictures = ["0.15", "0.75"].map(|second| {
        let mut raster = Command::new(binary("raster-engine"));
        raster.args(["--embedded", "never", "--token", TOKEN, "--listen", "127.0.0.1:0"]);
        raster.args(["--size", "160x90", "--deadline-ms", "1000"]);
        for peer in &fleet.peers {
            raster.args(["--peer", &peer.url]);
        }
        let mut traced = built.engine(&fleet);
        let folder = built.folder.join(second);
        [(&mut raster, "drawn"), (&mut traced, "traced")].map(|(engine, name)| {
            engine.arg("--scene").arg(&scene).args(["--at", second]);
            last_picture(engine, &folder.join(name)).0
        })
    });
    let psnr_db = rayloom::frame::metrics::psnr_rgba8;
    for [drawn, traced] in &pictures {
        let alike = psnr_db(drawn, traced);
        println!("both modes are {alike:.1} dB apart");
        assert!(alike > 34.0, "both modes show one pose: {alike:.1} dB");
    }
    // Half a walk apart, legs and arms have changed sides.
    let [[drawn, _], [later, _]] = &pictures;
    let moved = psnr_db(drawn, later);
    println!("two times are {moved:.1} dB apart");
    assert!(moved < 28.0, "two times are two poses: {moved:.1} dB");
}
