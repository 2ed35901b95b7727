//! All front ends of a device show the same picture, but for rays that graze an edge.
mod small_scenes;

use glam::{Vec2, Vec3};
use rayloom_bvh::Ray;
use rayloom_frame::demodulate::Surface;
use rayloom_frame::normal::decode_normal;
use rayloom_frame::srgb::linear_to_srgb;
use rayloom_frame::{Extent, LayerKind, TracedTile};
use rayloom_renderer::{FrameState, RayHit, RayKind, Renderer, RendererError, RendererOptions, TraceJob, list_devices};
use rayloom_scene::{AlphaMode, Camera, Material, Scene, Texture, TextureData, TextureSlot};
use small_scenes::*;
use std::sync::Arc;

const EXTENT: Extent = Extent::new(640, 360);
/// Most pixels of a million that may differ. Of a million rays one or two find the other side of an edge, since the device
/// rounds rays in an instance's space as it likes; a pixel has eight rays, of paths a dozen, and each is a whole sample here.
const MOST_PPM: f64 = 10.0;

/// A pixel as it is shown, sRGB in steps of 1/255: composed, and by paths.
fn shown(tile: &TracedTile, camera: &Camera, i: usize) -> [Vec3; 2] {
    let light = LayerKind::ALL.map(|kind| {
        let (plane, x, y) = (layer(tile, kind), i as u32 % EXTENT.width, i as u32 / EXTENT.width);
        pixel(plane, x / u32::from(plane.scale), y / u32::from(plane.scale))
    });
    let [direct, specular, indirect, unlit, path] = light;
    let p = tile.primary.as_ref().expect("asked for");
    let radiance = if p.depth[i].is_infinite() {
        unlit
    } else {
        let s = Surface::unpack(p.base_color[i], p.material[i]);
        let at = Vec2::new((i as u32 % EXTENT.width) as f32, (i as u32 / EXTENT.width) as f32) + 0.5;
        let view = -camera.ray(at, Vec2::new(EXTENT.width as f32, EXTENT.height as f32)).normalize();
        let n_dot_v = decode_normal(p.normal[i]).dot(view);
        (direct + indirect) * s.albedo_divisor() + specular * s.specular_divisor(n_dot_v) + unlit
    };
    [radiance, path].map(|light| Vec3::from_array(light.to_array().map(|c| f32::from(linear_to_srgb(c)))))
}

/// How many pixels differ: by another instance, by more than a ten-thousandth in depth, or visibly; and how many visibly by
/// paths.
fn differing(a: &TracedTile, b: &TracedTile, camera: &Camera) -> [usize; 2] {
    let (p, q) = (a.primary.as_ref().expect("asked for"), b.primary.as_ref().expect("asked for"));
    let far = |x: f32, y: f32| x != y && (x - y).abs() > 1e-4 * x.abs().min(f32::MAX);
    let mut counts = [0; 2];
    for i in 0..EXTENT.pixels() {
        let (a, b) = (shown(a, camera, i), shown(b, camera, i));
        let visibly = |kind: usize| (a[kind] - b[kind]).abs().max_element() > 1.0;
        let elsewhere = p.instance_id[i] != q.instance_id[i] || far(p.depth[i], q.depth[i]);
        counts[0] += usize::from(elsewhere || visibly(0));
        counts[1] += usize::from(visibly(1));
    }
    counts
}

fn assert_alike(scene: &Scene, camera: Camera, frames: u64) {
    let layers = all_layers(1);
    let mut first: Option<Vec<TracedTile>> = None;
    for r in renderers() {
        let on_gpu = r.create_scene(scene, &mut |_| ()).expect("the scene is valid");
        let frame = Arc::new(on_gpu.frame(&FrameState::default()).expect("the state is valid"));
        let shown = (0..frames)
            .map(|frame_id| {
                let job = TraceJob { frame_id, ..TraceJob::whole_view(EXTENT, camera, &layers) };
                r.trace(&frame, &job).expect("the job is valid").0
            })
            .collect();
        match &first {
            None => first = Some(shown),
            Some(first) => {
                let counts: Vec<_> = first.iter().zip(&shown).map(|(a, b)| differing(a, b, &camera)).collect();
                for (what, kind) in [("composed", 0), ("paths", 1)] {
                    let count: usize = counts.iter().map(|c| c[kind]).sum();
                    let ppm = count as f64 * 1e6 / (EXTENT.pixels() as f64 * frames as f64);
                    println!("{}, {what}: {count} pixels of {frames} frames differ, {ppm:.1} ppm", r.front_end());
                    assert!(ppm <= MOST_PPM, "{}, {what}: {count} pixels differ, {ppm:.1} ppm", r.front_end());
                }
            }
        }
        assert_clean(&r);
    }
}

#[test]
fn a_city_looks_the_same() {
    let city = rayloom_scene::city(20_000, 1);
    let camera = city.cameras.iter().find(|c| c.name == "street").expect("the city has it").camera;
    assert_alike(&city, camera, 3);
}

#[test]
fn clutter_looks_the_same() {
    assert_alike(&cluttered(), cluttered_camera(), 1);
}

/// Ground below a fence whose parts are opaque, masked, opaque, in several layers: three geometries of one mesh.
fn fence() -> Scene {
    let texel =
        |x: u32, y: u32| if (x / 2 + y / 2).is_multiple_of(2) { [255u8, 255, 255, 255] } else { [255, 255, 255, 0] };
    let pixels: Vec<u8> = (0..64).flat_map(|i| texel(i % 8, i / 8)).collect();
    let texture = Texture { data: TextureData::Rgba8 { width: 8, height: 8, pixels: pixels.into() }, user_id: 0 };
    let mut masked = material(Vec3::new(0.2, 0.7, 0.3), 0.0, 0.8);
    masked.alpha = AlphaMode::Mask { cutoff: 0.5 };
    masked.base_color_texture = Some(TextureSlot { texture: 0, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 });
    let mut mesh = square(0);
    mesh.parts.clear();
    let corners = square(0);
    (mesh.positions, mesh.normals, mesh.uvs, mesh.indices) = Default::default();
    for (i, material) in [0u32, 1, 1, 0].into_iter().enumerate() {
        let first = mesh.positions.len() as u32;
        let lifted = Vec3::new(i as f32 * 1.3 - 2.0, i as f32 * 0.2, 0.0);
        mesh.positions.extend(corners.positions.iter().map(|p| *p + lifted));
        mesh.normals.extend(&corners.normals);
        mesh.uvs.extend(&corners.uvs);
        let first_index = mesh.indices.len() as u32;
        mesh.indices.extend(corners.indices.iter().map(|k| k + first));
        mesh.parts.push(rayloom_scene::MeshPart { first_index, index_count: 6, material });
    }
    let materials = vec![material(Vec3::new(0.8, 0.5, 0.3), 0.0, 0.5), masked];
    let instances = vec![at(1, 10.0, Vec3::new(0.0, -1.0, 0.0)), at(0, 1.0, Vec3::ZERO), at(0, 0.7, Vec3::Y)];
    let lights = vec![sun(Vec3::new(0.3, -1.0, 0.2), Vec3::splat(2.0))];
    let mut s = scene(vec![mesh, square(0)], materials, instances, lights);
    s.textures.push(Arc::new(texture));
    s.environment = rayloom_scene::Environment::constant(Vec3::splat(0.4));
    s
}

#[test]
fn holes_look_the_same() {
    let camera = Camera::look_at(Vec3::new(1.5, 3.5, 2.5), Vec3::ZERO, 0.9, 16.0 / 9.0);
    assert_alike(&fence(), camera, 1);
}

/// Tinted sheets, clear and rough, above ground in the sun, and bodies of coloured glass, one of them thin in places.
fn glazed() -> Scene {
    let glass = |thickness, roughness| Material {
        transmission: 0.9,
        thickness,
        attenuation_color: Vec3::new(0.3, 0.8, 0.6),
        attenuation_distance: 0.5,
        ..material(Vec3::new(0.9, 0.7, 0.4), 0.0, roughness)
    };
    let mut fence = fence();
    let slot = Some(TextureSlot { texture: 0, offset: Vec2::ZERO, scale: Vec2::splat(2.0), rotation: 0.3 });
    let chequered = Material { transmission_texture: slot, ..glass(0.0, 0.0) };
    let thick_in_places = Material { thickness_texture: slot, ..glass(1.0, 0.3) };
    fence.materials.extend([glass(0.0, 0.0), glass(0.0, 0.5), glass(1.0, 0.4), chequered, thick_in_places]);
    let texel = |i: u32| if (i % 8 + i / 8).is_multiple_of(2) { [255u8, 255, 255, 255] } else { [60, 0, 0, 255] };
    let pixels: Vec<u8> = (0..64).flat_map(texel).collect();
    fence.textures[0] =
        Arc::new(Texture { data: TextureData::Rgba8 { width: 8, height: 8, pixels: pixels.into() }, user_id: 0 });
    let meshes = [square(2), square(3), cube(4), square(5), cube(6)].map(Arc::new);
    fence.meshes.extend(meshes);
    for (i, place) in [(2, Vec3::new(0.0, 2.0, 0.2)), (3, Vec3::new(1.2, 2.4, 0.1)), (5, Vec3::new(-1.2, 2.7, 0.0))] {
        fence.instances.push(at(i, 0.9, place));
    }
    fence.instances.extend([at(4, 0.3, Vec3::new(1.0, 0.8, 0.9)), at(6, 0.35, Vec3::new(-1.0, 0.9, 1.1))]);
    fence
}

#[test]
fn glass_looks_the_same() {
    let camera = Camera::look_at(Vec3::new(1.5, 3.5, 4.5), Vec3::new(0.0, 1.0, 0.0), 0.7, 16.0 / 9.0);
    assert_alike(&glazed(), camera, 1);
}

/// Rays from a point in all directions, by a golden spiral.
fn around(origin: Vec3, count: usize) -> Vec<Ray> {
    let ray = |i: usize| {
        let y = 1.0 - 2.0 * (i as f32 + 0.5) / count as f32;
        let (sin, cos) = (i as f32 * 2.399_963).sin_cos();
        let r = (1.0 - y * y).sqrt();
        Ray { origin, direction: Vec3::new(r * cos, y, r * sin) * 2.0, t_min: 0.0, t_max: 1e30 }
    };
    (0..count).map(ray).collect()
}

#[test]
fn rays_hit_the_same_triangles_at_the_same_places() {
    let mut first: Option<Vec<Option<RayHit>>> = None;
    for r in renderers() {
        let on_gpu = r.create_scene(&fence(), &mut |_| ()).expect("the scene is valid");
        let frame = Arc::new(on_gpu.frame(&FrameState::default()).expect("the state is valid"));
        let rays = around(Vec3::new(0.1, 2.5, 0.2), 5000);
        let closest = r.ray_batch(&frame, &rays, RayKind::Closest).expect("the rays are valid");
        closest.trace().expect("it traces");
        let hits = closest.hits();
        let occlusion = r.ray_batch(&frame, &rays, RayKind::Occlusion).expect("the rays are valid");
        occlusion.trace().expect("it traces");
        for (i, (hit, occluded)) in hits.iter().zip(occlusion.hits()).enumerate() {
            assert_eq!(hit.is_some(), occluded.is_some(), "{}: ray {i}", r.front_end());
        }
        let met: std::collections::HashSet<_> = hits.iter().flatten().map(|h| (h.instance, h.primitive)).collect();
        assert!(met.len() > 10 && hits.iter().any(Option::is_none), "rays of all sorts: {met:?}");
        let first = first.get_or_insert_with(|| hits.clone());
        for (i, pair) in first.iter().zip(&hits).enumerate() {
            match pair {
                (Some(a), Some(b)) => {
                    assert_eq!((a.instance, a.primitive), (b.instance, b.primitive), "{}: ray {i}", r.front_end());
                    assert!((a.t - b.t).abs() <= 1e-5 * a.t, "{a:?} {b:?}");
                    for (x, y) in a.barycentrics.into_iter().zip(b.barycentrics) {
                        assert!((x - y).abs() < 1e-4, "{a:?} {b:?}");
                    }
                }
                (None, None) => {}
                other => panic!("{}: ray {i}: {other:?}", r.front_end()),
            }
        }
        let short: Vec<Ray> = rays.iter().map(|r| Ray { t_max: 1e-3, ..*r }).collect();
        let near = r.ray_batch(&frame, &short, RayKind::Occlusion).expect("the rays are valid");
        near.trace().expect("it traces");
        assert!(near.hits().iter().all(Option::is_none));
        assert!(r.ray_batch(&frame, &[], RayKind::Closest).is_err());
        assert_clean(&r);
    }
}

#[test]
fn a_front_end_that_is_asked_for_is_taken_or_refused_by_name() {
    let devices = list_devices().expect("tests need a Vulkan driver");
    let device = devices.iter().find(|d| d.unusable.is_none()).expect("tests need a usable device");
    for front_end in rayloom_renderer::FrontEnd::ALL {
        let options = RendererOptions {
            device: Some(device.index.to_string()),
            allow_cpu: true,
            front_end: Some(front_end),
            ..Default::default()
        };
        match Renderer::new(&options) {
            Ok(renderer) => {
                assert!(device.front_ends.contains(&front_end));
                assert_eq!(renderer.front_end(), front_end);
                assert!(renderer.choice().contains(front_end.name()), "{}", renderer.choice());
            }
            Err(RendererError::NoFrontEnd { missing, .. }) => {
                assert!(!device.front_ends.contains(&front_end) && !missing.is_empty());
            }
            Err(e) => panic!("{front_end}: {e}"),
        }
    }
}
