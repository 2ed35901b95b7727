//! Draws a scene and writes each plane as a PNG: for eyes.
//!
//! `cargo run -p rayloom-sample-raster --example planes -- FOLDER [SCENE.glb] [WIDTHxHEIGHT]`; without a scene the city.

use raster::{FrameDesc, NEAR, Plane, PlaneKind, RasterEngine, RasterOptions};
use rayloom_frame::normal::decode_normal;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(words.first().ok_or("name a folder for the pictures")?);
    let mut scene = match words.get(1) {
        Some(path) => rayloom_scene::gltf::load(Path::new(path), &mut |_| ())?,
        None => rayloom_scene::city(200_000, 1),
    };
    let (width, height) = words.get(2).map_or("640x360", |size| size).split_once('x').ok_or("the size is WxH")?;
    let (width, height): (u32, u32) = (width.parse()?, height.parse()?);
    let mut engine = RasterEngine::new(&RasterOptions::new(width, height))?;
    engine.load(&scene)?;
    let camera = scene.default_camera(width as f32 / height as f32);
    let mut previous_camera = camera;
    previous_camera.position += camera.rotation * glam::Vec3::new(0.1, 0.0, 0.3);
    let at_rest: Vec<_> = scene.instances.iter().map(|instance| instance.transform).collect();
    if words.len() < 2 {
        rayloom_scene::city::pose(&mut scene, 0.1);
    }
    let moved = scene.instances.iter().zip(&at_rest).enumerate().filter(|(_, (a, b))| a.transform != **b);
    let transforms: Vec<_> = moved.map(|(i, (a, _))| (i as u32, a.transform)).collect();
    let frame = FrameDesc { transforms: &transforms, previous_camera, ..FrameDesc::still(1, camera) };
    // The first frame compiles shaders; the second is what a frame costs.
    let mut last = None;
    for _ in 0..2 {
        let start = Instant::now();
        engine.draw(&frame)?;
        last = engine.wait()?;
        println!("{} drew {width}x{height} in {:.1} ms", engine.device_name(), start.elapsed().as_secs_f64() * 1e3);
    }
    std::fs::create_dir_all(folder)?;
    for plane in last.as_ref().ok_or("a frame was drawn")?.planes() {
        let path = folder.join(format!("{:?}.png", plane.kind));
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb(color(&plane, x, y))).save(&path)?;
        println!("{} (row pitch {} bytes)", path.display(), plane.row_pitch);
    }
    Ok(())
}

/// A pixel for eyes: normals and motion around grey, depth by its logarithm, ids by a hash.
fn color(plane: &Plane<'_>, x: u32, y: u32) -> [u8; 3] {
    let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0) as u8;
    if plane.kind == PlaneKind::RoughnessMetalness {
        let pixel = plane.pixel(x, y);
        return [pixel[0], pixel[1], 0];
    }
    let word = plane.word(x, y);
    let half = |bits: u32| half::f16::from_bits(bits as u16).to_f32();
    match plane.kind {
        PlaneKind::Depth => [byte(1.0 - (NEAR / f32::from_bits(word)).ln() / 7.0); 3],
        // The sky's 0 is +Z too; depth tells them apart.
        PlaneKind::Normal | PlaneKind::GeometricNormal => (decode_normal(word) * 0.5 + 0.5).to_array().map(byte),
        PlaneKind::Motion => [byte(0.5 + half(word) / 20.0), byte(0.5 + half(word >> 16) / 20.0), 128],
        PlaneKind::Emissive => {
            let scale = ((word >> 27) as f32 - 24.0).exp2();
            [word & 511, word >> 9 & 511, word >> 18 & 511].map(|m| byte((m as f32 * scale).sqrt()))
        }
        PlaneKind::InstanceId => {
            let [r, g, b, _] = word.wrapping_mul(0x9e37_79b1).to_le_bytes();
            [r, g, b]
        }
        PlaneKind::Albedo | PlaneKind::RoughnessMetalness => {
            let [r, g, b, _] = word.to_le_bytes();
            [r, g, b]
        }
    }
}
