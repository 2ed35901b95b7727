//! The generated city keeps its promises: size, sameness, sky, movable things.

use glam::{Vec2, Vec3};
use rayloom_scene::city::{MOVABLE_LIGHTS, MOVABLE_OBJECTS, pose};
use rayloom_scene::{Camera, Scene, city};

#[test]
fn the_number_of_triangles_is_as_asked() {
    for triangles in [20_000, 60_000, 200_000, 1_000_000] {
        let scene = city(triangles, 1);
        let found = scene.triangle_count();
        assert!(found.abs_diff(triangles) * 50 <= triangles, "{found} of {triangles}");
        let stored = scene.stored_triangle_count();
        assert!(stored * 2 > found && stored < found, "{stored} of {found} are stored");
    }
}

#[test]
fn the_seed_decides() {
    let scene = city(30_000, 5);
    assert_eq!(scene, city(30_000, 5));
    assert_ne!(scene, city(30_000, 6));
}

#[test]
fn eight_objects_and_four_lights_move_and_nothing_else() {
    let mut scene = city(30_000, 2);
    let before = scene.clone();
    let movable = |s: &Scene, id: u64| s.instances.iter().filter(|i| i.user_id == id).count();
    assert!(MOVABLE_OBJECTS.iter().all(|(_, id)| movable(&scene, *id) == 1));
    pose(&mut scene, 3.0);
    scene.validate_placement().unwrap();
    let moved = scene.instances.iter().zip(&before.instances).filter(|(a, b)| a != b).count();
    assert_eq!(moved, MOVABLE_OBJECTS.len());
    let moved = scene.lights.iter().zip(&before.lights).filter(|(a, b)| a != b).count();
    assert_eq!(moved, MOVABLE_LIGHTS.len());
    pose(&mut scene, 0.0);
    assert_eq!(scene, before);
}

#[test]
fn every_id_is_given_once() {
    let scene = city(30_000, 2);
    let mut ids: Vec<u64> = scene.instances.iter().map(|i| i.user_id).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|w| w[0] != w[1]));
}

#[test]
fn the_skyline_has_sky_above_and_the_street_looks_into_a_canyon() {
    let scene = city(200_000, 1);
    let camera = |name: &str| scene.cameras.iter().find(|c| c.name == name).unwrap().camera;
    let skyline = sky_share(&scene, &camera("skyline"));
    assert!((0.33..0.47).contains(&skyline), "{skyline}");
    let street = sky_share(&scene, &camera("street"));
    assert!((0.03..0.3).contains(&street), "{street}");
    assert!(sky_share(&scene, &camera("overview")) < 0.4);
}

/// Share of pixels that no triangle covers; triangles that cross the camera's plane are cut there.
fn sky_share(scene: &Scene, camera: &Camera) -> f32 {
    let extent = Vec2::new(160.0, 90.0);
    let mut covered = vec![false; 160 * 90];
    let to_view = camera.rotation.inverse();
    for instance in &scene.instances {
        let mesh = &scene.meshes[instance.mesh as usize];
        for t in mesh.indices.chunks_exact(3) {
            let view = [0, 1, 2].map(|k| {
                let world = instance.transform.transform_point3(mesh.positions[t[k] as usize]);
                to_view * (world - camera.position)
            });
            cover(&mut covered, extent, camera.tan_half_fov, view);
        }
    }
    covered.iter().filter(|c| !**c).count() as f32 / covered.len() as f32
}

fn cover(covered: &mut [bool], extent: Vec2, tan_half_fov: Vec2, view: [Vec3; 3]) {
    const NEAR: f32 = 0.1;
    let mut polygon = Vec::with_capacity(4);
    for k in 0..3 {
        let (p, q) = (view[k], view[(k + 1) % 3]);
        if -p.z >= NEAR {
            polygon.push(p);
        }
        if (-p.z >= NEAR) != (-q.z >= NEAR) {
            polygon.push(p + (q - p) * ((-NEAR - p.z) / (q.z - p.z)));
        }
    }
    let pixels: Vec<Vec2> =
        polygon.iter().map(|p| Vec2::new(p.x, -p.y) / (-p.z * tan_half_fov) * extent * 0.5 + extent * 0.5).collect();
    for k in 1..pixels.len().saturating_sub(1) {
        let (a, b, c) = (pixels[0], pixels[k], pixels[k + 1]);
        let low = a.min(b).min(c).max(Vec2::ZERO);
        let high = a.max(b).max(c).min(extent - 1.0);
        for y in low.y as usize..=high.y.max(0.0) as usize {
            for x in low.x as usize..=high.x.max(0.0) as usize {
                let p = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
                let sides = [(b - a).perp_dot(p - a), (c - b).perp_dot(p - b), (a - c).perp_dot(p - c)];
                if sides.iter().all(|s| *s >= 0.0) || sides.iter().all(|s| *s <= 0.0) {
                    covered[y * 160 + x] = true;
                }
            }
        }
    }
}
