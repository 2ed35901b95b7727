//! Input that is odd or broken: a right picture, or an error that names the object as the engine does.
mod small_scenes;

use glam::{Affine3A, Vec2, Vec3};
use image::{DynamicImage, ImageFormat};
use rayloom_frame::normal::decode_normal;
use rayloom_frame::{Extent, LayerKind, LayerRequest, TracedTile};
use rayloom_renderer::{FrameState, Renderer, TraceJob};
use rayloom_scene::{
    AlphaMode, Environment, Instance, Light, LightShape, Material, Mesh, Scene, Texture, TextureData, TextureSlot,
};
use small_scenes::*;
use std::io::Cursor;
use std::sync::Arc;

const EXTENT: Extent = Extent::new(48, 32);
const MIDDLE: usize = 16 * 48 + 24;

fn slot(texture: u32) -> Option<TextureSlot> {
    Some(TextureSlot { texture, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 })
}

fn from_above_all(renderer: &Renderer, scene: &Scene) -> TracedTile {
    trace(renderer, scene, &TraceJob::whole_view(EXTENT, from_above(EXTENT), &all_layers(1)))
}

/// A grey floor in the sun under a sky.
fn floor() -> Scene {
    let mut s = scene(
        vec![square(0)],
        vec![material(Vec3::splat(0.5), 0.0, 0.8)],
        vec![at(0, 10.0, Vec3::ZERO)],
        vec![sun(Vec3::new(0.3, -1.0, 0.2), Vec3::splat(2.0))],
    );
    s.environment = Environment::constant(Vec3::splat(0.3));
    s
}

#[test]
fn textures_of_any_size_channel_count_and_depth_give_their_color() {
    for r in renderers() {
        for (width, height) in [(1, 1), (3, 5), (1, 257), (500, 2)] {
            let grey = image::GrayImage::from_pixel(width, height, image::Luma([100]));
            let plain = DynamicImage::ImageLuma8(grey);
            let formats = [
                plain.clone(),
                DynamicImage::ImageLumaA8(plain.to_luma_alpha8()),
                DynamicImage::ImageRgb8(plain.to_rgb8()),
                DynamicImage::ImageRgba8(plain.to_rgba8()),
                DynamicImage::ImageLuma16(plain.to_luma16()),
                DynamicImage::ImageLumaA16(plain.to_luma_alpha16()),
                DynamicImage::ImageRgb16(plain.to_rgb16()),
                DynamicImage::ImageRgba16(plain.to_rgba16()),
            ];
            let mut files: Vec<(String, Vec<u8>)> = Vec::new();
            for picture in &formats {
                for format in [ImageFormat::Png, ImageFormat::Jpeg] {
                    let mut out = Cursor::new(Vec::new());
                    // JPEG has grey and RGB of 8 bits.
                    if picture.write_to(&mut out, format).is_ok() {
                        files
                            .push((format!("{:?} as {format:?}, {width}x{height}", picture.color()), out.into_inner()));
                    }
                }
            }
            assert!(files.len() >= 10, "{}", files.len());
            for (what, file) in files {
                let mut s = floor();
                s.materials[0] = material(Vec3::ONE, 0.0, 1.0);
                s.materials[0].base_color_texture = slot(0);
                s.textures.push(Arc::new(Texture { data: TextureData::Encoded(file.into()), user_id: 0 }));
                let tile = trace(&r, &s, &TraceJob::whole_view(EXTENT, from_above(EXTENT), &[]));
                let found = tile.primary.expect("asked for").base_color[MIDDLE].to_le_bytes();
                assert!(found[..3].iter().all(|c| c.abs_diff(100) <= 2), "{what}: {found:?}");
            }
        }
        assert_clean(&r);
    }
}

#[test]
fn what_cannot_be_shown_is_named_as_the_engine_does() {
    for r in renderers() {
        let refused = |change: &dyn Fn(&mut Scene), words: [&str; 2]| {
            let mut s = floor();
            change(&mut s);
            let made = r.create_scene(&s, &mut |_| ()).and_then(|gpu| gpu.frame(&FrameState::default()).map(|_| ()));
            let error = made.expect_err("it must be refused").to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        };
        let texture = |data: TextureData| {
            move |s: &mut Scene| {
                s.textures = vec![Arc::new(Texture { data: data.clone(), user_id: 4711 })];
                s.materials[0].base_color_texture = slot(0);
            }
        };
        let raw = |width, height, bytes: usize| TextureData::Rgba8 { width, height, pixels: vec![9; bytes].into() };
        refused(&texture(raw(2, 2, 15)), ["texture 0 (4711)", "16 bytes, not 15"]);
        refused(&texture(raw(0, 2, 0)), ["texture 0 (4711)", "0x2"]);
        refused(&texture(raw(70_000, 1, 4)), ["texture 0 (4711)", "70000x1"]);
        refused(&texture(TextureData::Encoded(vec![1, 2, 3].into())), ["texture 0 (4711)", "PNG or JPEG"]);
        let unknown = |s: &mut Scene| {
            s.materials[0] = Material { base_color_texture: slot(3), user_id: 815, ..Material::default() };
        };
        refused(&unknown, ["material 0 (815)", "texture 3 of 0"]);
        let lost = |s: &mut Scene| {
            s.instances[0].user_id = 77;
            s.instances[0].transform.matrix3.x_axis.y = f32::NAN;
        };
        refused(&lost, ["instance 0 (77)", "not finite"]);
        let burnt = |s: &mut Scene| {
            s.lights[0].user_id = 12;
            s.lights[0].color.y = f32::INFINITY;
        };
        refused(&burnt, ["light 0 (12)", "not finite"]);
        assert_clean(&r);
    }
}

#[test]
fn triangles_without_area_and_meshes_without_triangles_change_nothing() {
    for r in renderers() {
        let expected = from_above_all(&r, &floor());
        let mut s = floor();
        let mesh = Arc::make_mut(&mut s.meshes[0]);
        // A point, an edge, and three corners in a row.
        mesh.indices.extend([0, 0, 0, 0, 1, 0, 0, 2, 2]);
        mesh.parts[0].index_count += 9;
        s.meshes.push(Arc::new(Mesh::default()));
        s.instances.push(at(1, 1.0, Vec3::ZERO));
        let found = from_above_all(&r, &s);
        assert_eq!(found.layers, expected.layers);
        assert_clean(&r);
    }
}

#[test]
fn what_has_no_inverse_is_not_there_nor_does_it_shine() {
    for r in renderers() {
        let mut s = floor();
        s.meshes.push(Arc::new(square(1)));
        s.materials.push(Material { emissive: Vec3::splat(9.0), ..Material::default() });
        let expected = from_above_all(&r, &s);
        for scale in [Vec3::new(0.5, 0.0, 0.5), Vec3::ZERO, Vec3::splat(1e-30)] {
            let flat = Affine3A::from_scale_rotation_translation(scale, glam::Quat::IDENTITY, Vec3::Y);
            let mut flattened = s.clone();
            flattened.instances.push(Instance { mesh: 1, transform: flat, user_id: 5 });
            let found = from_above_all(&r, &flattened);
            assert_eq!(found.layers, expected.layers, "scaled by {scale}");
            // The same where only a frame brings it.
            flattened.instances[1] = at(1, 0.5, Vec3::Y);
            let gpu = r.create_scene(&flattened, &mut |_| ()).expect("the scene is valid");
            let state = FrameState { transforms: &[(1, flat)], ..Default::default() };
            let frame = Arc::new(gpu.frame(&state).expect("the state is valid"));
            let layers = all_layers(1);
            let job = TraceJob::whole_view(EXTENT, from_above(EXTENT), &layers);
            let found = r.trace(&frame, &job).expect("the job is valid").0;
            assert_eq!(found.layers, expected.layers, "scaled by {scale} in a frame");
        }
        assert_clean(&r);
    }
}

#[test]
fn a_normal_map_without_tangents_or_coordinates_leaves_the_surface_flat() {
    for r in renderers() {
        let mut s = floor();
        let pixels = vec![218u8, 128, 218, 255].into();
        s.textures = vec![Arc::new(Texture { data: TextureData::Rgba8 { width: 1, height: 1, pixels }, user_id: 0 })];
        s.materials[0].normal_texture = slot(0);
        Arc::make_mut(&mut s.meshes[0]).uvs.clear();
        let normal = |s: &Scene| decode_normal(from_above_all(&r, s).primary.expect("asked for").normal[MIDDLE]);
        assert!(normal(&s).distance(Vec3::Y) < 1e-3);
        // A scene's own check makes them, as sessions do.
        let mut checked = s.clone();
        Arc::make_mut(&mut checked.meshes[0]).uvs = square(0).uvs;
        assert_eq!(checked.validate().expect("it can be repaired").meshes_with_computed_tangents, 1);
        assert!(normal(&checked).distance(Vec3::Y) > 0.5);
        assert_clean(&r);
    }
}

#[test]
fn roughness_0_mirrors_the_sky() {
    for r in renderers() {
        for (metallic, base) in [(1.0, Vec3::new(0.9, 0.5, 0.2)), (0.0, Vec3::ZERO)] {
            let mut s = floor();
            s.lights.clear();
            s.materials[0] = material(base, metallic, 0.0);
            let tile = from_above_all(&r, &s);
            let reflectance = if metallic == 1.0 { base } else { Vec3::splat(0.04) };
            let found = pixel(layer(&tile, LayerKind::Path), 24, 16);
            assert!((found - reflectance * 0.3).length() < 1e-3, "metallic {metallic}: {found}");
            let surface = rayloom_frame::demodulate::Surface { base_color: base, roughness: 0.0, metalness: metallic };
            let found = pixel(layer(&tile, LayerKind::Specular), 24, 16) * surface.specular_divisor(1.0);
            assert!((found - reflectance * 0.3).length() < 3e-3, "metallic {metallic}: {found}");
        }
        assert_clean(&r);
    }
}

#[test]
fn a_thousand_lights_and_a_thousand_suns_are_their_sum() {
    for r in renderers() {
        let lamp = |i: usize| Light {
            shape: LightShape::Point,
            color: Vec3::splat(0.01 + i as f32 * 1e-5),
            position: Vec3::new((i % 40) as f32 * 0.1 - 2.0, 2.0, (i / 40) as f32 * 0.1 - 1.25),
            direction: Vec3::NEG_Y,
            range: 0.0,
            user_id: i as u64,
        };
        let lamps: Vec<Light> = (0..1000).map(lamp).collect();
        let under: f32 = lamps.iter().map(|l| l.color.x * 2.0 / l.position.length().powi(3)).sum();
        let part = |i: usize| sun(Vec3::NEG_Y, Vec3::splat(i as f32 / 499_500.0));
        let suns: Vec<Light> = (0..1000).map(part).collect();
        for (what, lights, irradiance) in [("lamps", lamps, under), ("suns", suns, 1.0)] {
            let one = sun(Vec3::NEG_Y, Vec3::splat(irradiance));
            let layers = [LayerKind::Direct, LayerKind::Path].map(|kind| LayerRequest {
                kind,
                samples: 64,
                scale: 1,
                bounces: LayerRequest::BOUNCES,
            });
            // So narrow a view that the lamps' sum is the middle's everywhere.
            let camera = rayloom_scene::Camera::look_at(Vec3::new(0.0, 4.0, 0.0), Vec3::ZERO, 0.01, 1.5);
            let seen = |lights: Vec<Light>| {
                let mut s = Scene { lights, environment: Environment::constant(Vec3::ZERO), ..floor() };
                // All diffuse but for its coat's little, which the lamps' spread would change.
                s.materials[0] = material(Vec3::ONE, 0.0, 1.0);
                let tile = trace(&r, &s, &TraceJob::whole_view(EXTENT, camera, &layers));
                [LayerKind::Direct, LayerKind::Path].map(|kind| mean(layer(&tile, kind)).x)
            };
            let (many, single) = (seen(lights), seen(vec![one]));
            for (many, single) in many.into_iter().zip(single) {
                assert!((many / single - 1.0).abs() < 0.03, "{what}: {many} is not {single}");
            }
        }
        assert_clean(&r);
    }
}

#[test]
fn cut_out_altogether_is_not_there() {
    for r in renderers() {
        let expected = from_above_all(&r, &floor());
        let mut s = floor();
        s.meshes.push(Arc::new(square(1)));
        let gone = Material { emissive: Vec3::splat(9.0), base_color: Vec3::ONE.extend(0.0), ..Material::default() };
        s.materials.push(Material { alpha: AlphaMode::Mask { cutoff: 0.5 }, ..gone });
        s.instances.push(at(1, 0.5, Vec3::Y));
        let found = from_above_all(&r, &s);
        assert_eq!(found.layers, expected.layers);
        assert_clean(&r);
    }
}
