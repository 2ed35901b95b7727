//! Skinned and morphed meshes: hit where their pose brings them, shown as if they were stored that way, with motion vectors
//! of their own.
mod small_scenes;

use glam::{Affine3A, Quat, Vec2, Vec3, vec3};
use rayloom_bvh::Ray;
use rayloom_frame::demodulate::Surface;
use rayloom_frame::srgb::linear_to_srgb;
use rayloom_frame::{Extent, LayerKind, TracedTile};
use rayloom_renderer::{FrameState, RayKind, Renderer, RendererError, TraceJob};
use rayloom_scene::{
    AlphaMode, Instance, Material, Mesh, MeshPart, MorphTarget, Pose, Scene, Texture, TextureData, TextureSlot,
};
use small_scenes::*;
use std::f32::consts::FRAC_PI_2;
use std::sync::Arc;

const EXTENT: Extent = Extent::new(120, 80);

fn parts(counts: &[u32]) -> Vec<MeshPart> {
    let mut first_index = 0;
    let part = |(material, index_count): (usize, &u32)| {
        first_index += index_count;
        MeshPart { first_index: first_index - index_count, index_count: *index_count, material: material as u32 }
    };
    counts.iter().enumerate().map(part).collect()
}

/// A strip along x from 0 to 2 in the plane z = 0, one joint for each half, bound at x = 0 and x = 1.
fn bar() -> Mesh {
    let quad = |x: f32| [vec3(x, 0.0, 0.0), vec3(x + 1.0, 0.0, 0.0), vec3(x + 1.0, 0.5, 0.0), vec3(x, 0.5, 0.0)];
    Mesh {
        positions: [quad(0.0), quad(1.0)].concat(),
        normals: vec![Vec3::Z; 8],
        indices: vec![0, 1, 2, 0, 2, 3, 4, 5, 6, 4, 6, 7],
        parts: parts(&[12]),
        joints: (0..8).map(|i| [i / 4, 999, 0, 0]).collect(),
        weights: vec![[1.0, 0.0, 0.0, 0.0]; 8],
        ..Mesh::default()
    }
}

/// The second half turned about z where it is bound.
fn bent(angle: f32) -> Pose {
    let at = Affine3A::from_translation(Vec3::X);
    let palette = vec![Affine3A::IDENTITY, at * Affine3A::from_rotation_z(angle) * at.inverse()];
    Pose { instance: 0, palette, morph_weights: Vec::new() }
}

fn bar_scene() -> Scene {
    let instances = vec![Instance { mesh: 0, transform: Affine3A::from_translation(Vec3::Z), user_id: 4711 }];
    let mut s = scene(vec![bar()], vec![material(Vec3::ONE, 0.0, 1.0)], instances, vec![]);
    s.poses = vec![bent(0.0)];
    s
}

#[test]
fn a_bar_bent_by_a_right_angle_is_hit_where_it_went() {
    // Down on the straight bar's far half, on the bent one's, and on the half that stays.
    let down = |x: f32, y: f32| Ray { origin: vec3(x, y, 5.0), direction: Vec3::NEG_Z, t_min: 0.0, t_max: 100.0 };
    let rays = [down(1.8, 0.2), down(0.8, 0.9), down(0.3, 0.2), down(0.8, -0.5)];
    for renderer in renderers() {
        let gpu = renderer.create_scene(&bar_scene(), &mut |_| ()).expect("the scene is valid");
        let hits = |poses: &[Pose]| {
            let frame = Arc::new(gpu.frame(&FrameState { poses, ..Default::default() }).expect("the state is valid"));
            let batch = renderer.ray_batch(&frame, &rays, RayKind::Closest).expect("the rays are valid");
            batch.trace().expect("the device works");
            batch.hits().iter().map(|hit| hit.as_ref().map(|h| (h.primitive / 2, h.t))).collect::<Vec<_>>()
        };
        let (near, far) = (Some((0, 4.0)), Some((1, 4.0)));
        assert_eq!(hits(&[]), [far, None, near, None]);
        assert_eq!(hits(&[bent(FRAC_PI_2)]), [None, far, near, None]);
        assert_eq!(hits(&[bent(-FRAC_PI_2)]), [None, None, near, None]);
        assert_eq!(hits(&[]), [far, None, near, None], "the revision stands as it did");
        assert_clean(&renderer);
    }
}

/// A ribbed sheet over [-1, 1] x [-1, 1], two joints that share the middle, a morph target that arches it; its last
/// quarter is masked.
fn sheet() -> Mesh {
    const SIDE: u32 = 24;
    let mut mesh = Mesh::default();
    let mut arch = MorphTarget::default();
    for row in 0..=SIDE {
        for column in 0..=SIDE {
            let (u, v) = (column as f32 / SIDE as f32, row as f32 / SIDE as f32);
            mesh.positions.push(vec3(u * 2.0 - 1.0, 0.1 * (u * 9.0).sin(), v * 2.0 - 1.0));
            mesh.normals.push(vec3(-0.4 * (u * 9.0).cos(), 1.0, 0.0).normalize());
            mesh.uvs.push(Vec2::new(u, v));
            let second = (v * 2.0 - 0.5).clamp(0.0, 1.0);
            mesh.joints.push([0, 1, 0, 0]);
            mesh.weights.push([1.0 - second, second, 0.0, 0.0]);
            arch.positions.push(Vec3::Y * (u * 3.1).sin());
            arch.normals.push(Vec3::X * -(u * 3.1).cos());
        }
    }
    mesh.targets = vec![MorphTarget::default(), arch];
    let corner = |column: u32, row: u32| row * (SIDE + 1) + column;
    for i in 0..SIDE * SIDE {
        let (c, r) = (i % SIDE, i / SIDE);
        mesh.indices.extend([corner(c, r), corner(c, r + 1), corner(c + 1, r + 1)]);
        mesh.indices.extend([corner(c, r), corner(c + 1, r + 1), corner(c + 1, r)]);
    }
    let all = SIDE * SIDE * 6;
    mesh.parts = parts(&[all / 4 * 3, all / 4]);
    mesh
}

fn sheet_pose(amount: f32) -> Pose {
    let turn = Quat::from_euler(glam::EulerRot::XYZ, 0.7 * amount, 0.2, 0.1 * amount);
    let second = Affine3A::from_scale_rotation_translation(Vec3::splat(1.0 - 0.2 * amount), turn, Vec3::Y * 0.2);
    Pose {
        instance: 1,
        palette: vec![Affine3A::from_rotation_y(0.3 * amount), second],
        morph_weights: vec![0.0, 0.4 * amount],
    }
}

fn sheet_scene(sheet: Mesh, poses: Vec<Pose>) -> Scene {
    let masked = Material { alpha: AlphaMode::Mask { cutoff: 0.5 }, ..material(Vec3::new(0.2, 0.5, 0.9), 0.0, 0.4) };
    let materials = vec![material(Vec3::new(0.8, 0.5, 0.3), 0.0, 0.6), masked];
    let place =
        Affine3A::from_scale_rotation_translation(Vec3::new(1.0, 1.2, 0.9), Quat::from_rotation_y(0.5), Vec3::Y);
    let instances = vec![at(0, 4.0, Vec3::ZERO), Instance { mesh: 1, transform: place, user_id: 9 }];
    let lights = vec![sun(Vec3::new(0.4, -1.0, 0.3), Vec3::splat(2.0))];
    let mut s = scene(vec![square(0), sheet], materials, instances, lights);
    s.environment = rayloom_scene::Environment::constant(Vec3::splat(0.4));
    s.poses = poses;
    s
}

/// The mesh with the pose's shape stored in it, by glTF's own rules and in double precision.
fn baked(mesh: &Mesh, pose: &Pose) -> Mesh {
    let mut out = Mesh { joints: Vec::new(), weights: Vec::new(), targets: Vec::new(), ..mesh.clone() };
    for i in 0..mesh.positions.len() {
        let (mut at, mut normal) = (mesh.positions[i].as_dvec3(), mesh.normals[i].as_dvec3());
        for (target, weight) in mesh.targets.iter().zip(&pose.morph_weights) {
            let delta = |deltas: &[Vec3]| deltas.get(i).map_or(glam::DVec3::ZERO, |d| d.as_dvec3());
            at += delta(&target.positions) * f64::from(*weight);
            normal += delta(&target.normals) * f64::from(*weight);
        }
        let mut matrix = glam::DMat4::ZERO;
        for (joint, weight) in mesh.joints[i].iter().zip(mesh.weights[i]).filter(|(_, weight)| *weight > 0.0) {
            matrix += glam::Mat4::from(pose.palette[usize::from(*joint)]).as_dmat4() * f64::from(weight);
        }
        out.positions[i] = matrix.transform_point3(at).as_vec3();
        // By the cofactor matrix: the inverse's transpose but for its size and, where a joint mirrors, its sign; a flat one
        // has it too.
        let [x, y, z] = [matrix.x_axis, matrix.y_axis, matrix.z_axis].map(|axis| axis.truncate());
        let turned = glam::DMat3::from_cols(y.cross(z), z.cross(x), x.cross(y)) * normal;
        out.normals[i] = turned.try_normalize().map_or(mesh.normals[i], |normal| normal.as_vec3());
    }
    out
}

fn camera() -> rayloom_scene::Camera {
    rayloom_scene::Camera::look_at(vec3(1.5, 2.8, 3.2), vec3(0.0, 0.9, 0.0), 0.8, 1.5)
}

fn traced(renderer: &Renderer, scene: &Scene, state: &FrameState<'_>) -> TracedTile {
    let gpu = renderer.create_scene(scene, &mut |_| ()).expect("the scene is valid");
    let frame = Arc::new(gpu.frame(state).expect("the state is valid"));
    let layers = all_layers(1);
    renderer.trace(&frame, &TraceJob::whole_view(EXTENT, camera(), &layers)).expect("the job is valid").0
}

/// Pixels that are shown otherwise by more than 1/255 in any channel: composed of layers, or by paths.
fn visibly_different(a: &TracedTile, b: &TracedTile) -> usize {
    let shown = |tile: &TracedTile, i: usize| {
        let light =
            LayerKind::ALL.map(|kind| pixel(layer(tile, kind), i as u32 % EXTENT.width, i as u32 / EXTENT.width));
        let [direct, specular, indirect, unlit, path] = light;
        let p = tile.primary.as_ref().expect("asked for");
        let surface = Surface::unpack(p.base_color[i], p.material[i]);
        let composed = (direct + indirect) * surface.albedo_divisor() + specular * 0.04 + unlit;
        [composed, path].map(|light| light.to_array().map(|c| i32::from(linear_to_srgb(c))))
    };
    let differs = |i: &usize| {
        let (a, b) = (shown(a, *i), shown(b, *i));
        a.iter().flatten().zip(b.iter().flatten()).any(|(a, b)| (a - b).abs() > 1)
    };
    (0..EXTENT.pixels()).filter(differs).count()
}

#[test]
fn a_posed_mesh_looks_as_if_it_were_stored_that_way() {
    // The second one's joints part so far that its tree is built anew.
    let mut torn = sheet();
    for (i, joints) in torn.joints.iter_mut().enumerate() {
        joints[0] = (i % 2) as u16;
    }
    let apart =
        Pose { palette: vec![Affine3A::IDENTITY, Affine3A::from_translation(Vec3::Y * 40.0)], ..sheet_pose(0.0) };
    for (mesh, pose) in [(sheet(), sheet_pose(1.0)), (torn, apart)] {
        let stored = sheet_scene(baked(&mesh, &pose), Vec::new());
        let still = sheet_scene(mesh, vec![sheet_pose(0.0)]);
        for renderer in renderers() {
            let expected = traced(&renderer, &stored, &FrameState::default());
            let of_frame = FrameState { poses: std::slice::from_ref(&pose), ..Default::default() };
            let posed = traced(&renderer, &still, &of_frame);
            let of_revision = Scene { poses: vec![pose.clone()], ..still.clone() };
            for (how, found) in [("frame", &posed), ("revision", &traced(&renderer, &of_revision, &Default::default()))]
            {
                let count = visibly_different(&expected, found);
                println!("{}, pose of the {how}: {count} of {} pixels differ", renderer.front_end(), EXTENT.pixels());
                // A ray that grazes an edge may fall to its other side, since vertices are rounded otherwise.
                assert!(count * 1000 <= EXTENT.pixels(), "{}: {count} pixels differ", renderer.front_end());
            }
            assert!(visibly_different(&traced(&renderer, &still, &FrameState::default()), &posed) > 500, "it did move");
            assert_clean(&renderer);
        }
    }
}

#[test]
fn joints_that_flatten_or_mirror_show_what_is_left() {
    let flat = |scale: Vec3| Pose { palette: vec![Affine3A::IDENTITY, Affine3A::from_scale(scale)], ..sheet_pose(0.0) };
    // Hidden as engines hide a limb, all of it, and pressed flat; mirrored in one half, and in one axis of both.
    let mut all = flat(Vec3::ZERO);
    all.palette[0] = Affine3A::from_scale(Vec3::ZERO);
    let mut mirrored = flat(Vec3::new(-1.0, 1.0, 1.0));
    mirrored.palette[0] = mirrored.palette[1];
    let poses = [flat(Vec3::ZERO), all, flat(Vec3::new(1.0, 0.0, 1.0)), flat(Vec3::new(-1.0, 1.0, 1.0)), mirrored];
    for (i, pose) in poses.iter().enumerate() {
        let stored = sheet_scene(baked(&sheet(), pose), Vec::new());
        let still = sheet_scene(sheet(), vec![sheet_pose(0.0)]);
        for renderer in renderers() {
            let expected = traced(&renderer, &stored, &FrameState::default());
            let posed =
                traced(&renderer, &still, &FrameState { poses: std::slice::from_ref(pose), ..Default::default() });
            let count = visibly_different(&expected, &posed);
            println!("{}, pose {i}: {count} of {} pixels differ", renderer.front_end(), EXTENT.pixels());
            assert!(count * 500 <= EXTENT.pixels(), "{}, pose {i}: {count} pixels differ", renderer.front_end());
            assert_clean(&renderer);
        }
    }
}

#[test]
fn a_frame_shows_its_own_pose_whatever_was_shown_before() {
    let scene = sheet_scene(sheet(), vec![sheet_pose(0.0)]);
    let layers = all_layers(1);
    for renderer in renderers() {
        let gpu = renderer.create_scene(&scene, &mut |_| ()).expect("the scene is valid");
        let show = |amount: f32, before: f32| {
            let (poses, previous_poses) = ([sheet_pose(amount)], [sheet_pose(before)]);
            let state = FrameState { poses: &poses, previous_poses: &previous_poses, ..Default::default() };
            let frame = Arc::new(gpu.frame(&state).expect("the state is valid"));
            renderer.trace(&frame, &TraceJob::whole_view(EXTENT, camera(), &layers)).expect("the job is valid").0
        };
        let first = show(0.6, 0.5);
        for amount in [1.0, -1.0, 0.2] {
            show(amount, 0.0);
        }
        let again = show(0.6, 0.5);
        assert_eq!((first.layers, first.primary), (again.layers, again.primary));
        assert_clean(&renderer);
    }
}

#[test]
fn motion_of_a_bending_bar_is_that_of_its_points() {
    let (now, before) = (bent(0.5), bent(0.3));
    let (moved, came_from) = (Affine3A::from_translation(vec3(0.1, 0.0, 1.0)), Affine3A::from_translation(Vec3::Z));
    let camera = rayloom_scene::Camera::look_at(vec3(1.0, 0.4, 4.0), vec3(1.0, 0.4, 0.0), 0.8, 1.5);
    let size = Vec2::new(EXTENT.width as f32, EXTENT.height as f32);
    for renderer in renderers() {
        let gpu = renderer.create_scene(&bar_scene(), &mut |_| ()).expect("the scene is valid");
        let state = FrameState {
            transforms: &[(0, moved)],
            previous_transforms: &[(0, came_from)],
            poses: std::slice::from_ref(&now),
            previous_poses: std::slice::from_ref(&before),
            ..Default::default()
        };
        let frame = Arc::new(gpu.frame(&state).expect("the state is valid"));
        let tile = renderer.trace(&frame, &TraceJob::whole_view(EXTENT, camera, &[])).expect("the job is valid").0;
        let primary = tile.primary.expect("asked for");
        let mut seen = [0; 2];
        for i in (0..EXTENT.pixels()).filter(|i| primary.depth[*i].is_finite()) {
            let at = Vec2::new((i as u32 % EXTENT.width) as f32, (i as u32 / EXTENT.width) as f32) + 0.5;
            let hit = camera.position + camera.ray(at, size) * primary.depth[i];
            // Which half it is on: of the two places where its point may have been stored, one lies in the bar.
            let stored = |half: usize| (moved * now.palette[half]).inverse().transform_point3(hit);
            let lies_in = |half: usize| {
                let p = stored(half) - Vec3::X * half as f32;
                p.z.abs() < 1e-3 && (1e-3..0.999).contains(&p.x) && (1e-3..0.499).contains(&p.y)
            };
            let half = match [lies_in(0), lies_in(1)] {
                [true, false] => 0,
                [false, true] => 1,
                _ => continue,
            };
            let was = (came_from * before.palette[half]).transform_point3(stored(half));
            let expected = camera.project(was, size).0 - at;
            let word = primary.motion[i];
            let found = [word as u16, (word >> 16) as u16].map(|bits| half::f16::from_bits(bits).to_f32());
            let difference = (Vec2::from_array(found) - expected).abs().max_element();
            assert!(difference < 0.02, "at {at}: {found:?} instead of {expected}");
            seen[half] += usize::from(expected.length() > 0.5);
        }
        assert!(seen.iter().all(|count| *count > 100), "both halves are seen to move: {seen:?}");
        assert_clean(&renderer);
    }
}

/// Leaves: a texture that is opaque in a ring around each cell's middle and clear elsewhere.
fn leaves() -> Texture {
    const SIDE: u32 = 64;
    let alpha =
        |x: u32, y: u32| if is_leaf(Vec2::new(x as f32 + 0.5, y as f32 + 0.5) / SIDE as f32, 0.0) { 255 } else { 0 };
    let pixels: Vec<u8> = (0..SIDE * SIDE).flat_map(|i| [90, 160, 60, alpha(i % SIDE, i / SIDE)]).collect();
    Texture { data: TextureData::Rgba8 { width: SIDE, height: SIDE, pixels: pixels.into() }, user_id: 0 }
}

/// Whether there is a leaf, by so much more than the ring's edge.
fn is_leaf(uv: Vec2, margin: f32) -> bool {
    let r = ((uv * 4.0).fract() - 0.5).length();
    (0.15 + margin..0.4 - margin).contains(&r)
}

/// The hit of a ray in a posed mesh that is nearest to a depth: the triangle, how much of each of its corners, and how far off.
fn nearest_hit(mesh: &Mesh, at: &[Vec3], origin: Vec3, direction: Vec3, depth: f32) -> Option<([u32; 3], Vec3, f32)> {
    let hit = |corners: &[u32; 3]| {
        let [a, b, c] = corners.map(|i| at[i as usize]);
        let (e1, e2, s) = (b - a, c - a, origin - a);
        let (p, q) = (direction.cross(e2), s.cross(e1));
        let determinant = e1.dot(p);
        let (u, v, t) = (s.dot(p) / determinant, direction.dot(q) / determinant, e2.dot(q) / determinant);
        (u >= 0.0 && v >= 0.0 && u + v <= 1.0).then_some((*corners, Vec3::new(1.0 - u - v, u, v), (t - depth).abs()))
    };
    mesh.indices.as_chunks::<3>().0.iter().filter_map(hit).min_by(|a, b| a.2.total_cmp(&b.2))
}

#[test]
fn motion_is_the_difference_of_positions_of_what_moves_turns_bends_morphs_or_has_holes() {
    let rest = sheet_pose(0.0);
    let joints = |amount: f32| Pose { morph_weights: rest.morph_weights.clone(), ..sheet_pose(amount) };
    let morph = |weight: f32| Pose { morph_weights: vec![0.0, weight], ..rest.clone() };
    let place = sheet_scene(sheet(), vec![]).instances[1].transform;
    let moved = Affine3A::from_translation(vec3(0.1, 0.03, -0.05)) * place * Affine3A::from_rotation_y(0.06);
    // What is moved, its pose now and before, whether it is foliage.
    let cases = [
        ("moved", moved, rest.clone(), rest.clone(), false),
        ("skinned", place, joints(0.8), joints(0.6), false),
        ("morphed", place, morph(0.5), morph(0.2), false),
        ("moved foliage", moved, rest.clone(), rest.clone(), true),
        ("skinned and morphed foliage on the move", moved, sheet_pose(0.8), sheet_pose(0.6), true),
    ];
    let size = Vec2::new(EXTENT.width as f32, EXTENT.height as f32);
    for (what, transform, now, before, foliage) in cases {
        let mut scene = sheet_scene(sheet(), vec![rest.clone()]);
        if foliage {
            scene.textures = vec![Arc::new(leaves())];
            let slot = TextureSlot { texture: 0, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 };
            for material in &mut scene.materials[0..2] {
                *material = Material { base_color_texture: Some(slot), ..material.clone() };
            }
            scene.materials[0].alpha = AlphaMode::Mask { cutoff: 0.5 };
            // The ground is no foliage.
            scene.materials.push(material(Vec3::splat(0.5), 0.0, 1.0));
            Arc::make_mut(&mut scene.meshes[0]).parts[0].material = 2;
        }
        let mesh = scene.meshes[1].clone();
        let at = |place: Affine3A, pose: &Pose| -> Vec<Vec3> {
            (0..mesh.positions.len()).map(|i| place.transform_point3(pose.position(&mesh, i))).collect()
        };
        let (is_at, was_at) = (at(transform, &now), at(place, &before));
        for renderer in renderers() {
            let gpu = renderer.create_scene(&scene, &mut |_| ()).expect("the scene is valid");
            let state = FrameState {
                transforms: &[(1, transform)],
                previous_transforms: &[(1, place)],
                poses: std::slice::from_ref(&now),
                previous_poses: std::slice::from_ref(&before),
                ..Default::default()
            };
            let frame = Arc::new(gpu.frame(&state).expect("the state is valid"));
            let job = TraceJob::whole_view(EXTENT, camera(), &[]);
            let primary = renderer.trace(&frame, &job).expect("the job is valid").0.primary.expect("asked for");
            let (mut compared, mut moving, mut seen_through) = (0, 0, 0);
            for i in 0..EXTENT.pixels() {
                let pixel = Vec2::new((i as u32 % EXTENT.width) as f32, (i as u32 / EXTENT.width) as f32) + 0.5;
                let (origin, ray) = (camera().position, camera().ray(pixel, size));
                let is_sheet = primary.instance_id[i] == 2;
                let depth = if is_sheet { primary.depth[i] } else { 0.0 };
                let Some((corners, share, off)) = nearest_hit(&mesh, &is_at, origin, ray, depth) else {
                    assert!(!is_sheet, "{what}: the sheet is seen at {pixel}, where it is not");
                    continue;
                };
                let mix =
                    |values: &[Vec3]| (0..3).map(|k| values[corners[k] as usize] * share.to_array()[k]).sum::<Vec3>();
                let uv = (0..3).map(|k| mesh.uvs[corners[k] as usize] * share.to_array()[k]).sum::<Vec2>();
                if !is_sheet {
                    // Only what has holes is seen through; a ray may miss an edge.
                    seen_through += usize::from(foliage && !is_leaf(uv, -0.03));
                    continue;
                }
                assert!(off < 1e-3 * depth, "{what}: at {pixel} it is {off} m nearer or farther");
                assert!(!foliage || is_leaf(uv, -0.03), "{what}: at {pixel} a hole is hit, at {uv}");
                let expected = camera().project(mix(&was_at), size).0 - pixel;
                let word = primary.motion[i];
                let found = [word as u16, (word >> 16) as u16].map(|bits| half::f16::from_bits(bits).to_f32());
                let difference = (Vec2::from_array(found) - expected).abs().max_element();
                assert!(difference < 0.02, "{what}: at {pixel} {found:?} instead of {expected}");
                compared += 1;
                moving += usize::from(expected.length() > 0.5);
            }
            println!("{}, {what}: {compared} pixels, {moving} moving, {seen_through} holes", renderer.front_end());
            assert!(compared > 200 && moving > 200, "{what}: {moving} of {compared} pixels are seen to move");
            assert_eq!(seen_through > 200, foliage, "{what}: {seen_through} pixels show what is behind");
            assert_clean(&renderer);
        }
    }
}

#[test]
fn poses_that_do_not_fit_are_errors_that_name_the_instance() {
    let renderer = renderers().next().expect("a device has a front end");
    let mut without = bar_scene();
    without.poses.clear();
    let text = renderer.create_scene(&without, &mut |_| ()).err().expect("it has no palette").to_string();
    assert!(text.contains("instance 0 (user id 4711)") && text.contains("palette"), "{text}");
    let gpu = renderer.create_scene(&bar_scene(), &mut |_| ()).expect("the scene is valid");
    let refused = |pose: Pose| match gpu.frame(&FrameState { poses: &[pose], ..Default::default() }) {
        Err(e @ RendererError::InvalidScene { .. }) => e.to_string(),
        _ => panic!("it should be refused"),
    };
    let short = Pose { palette: vec![Affine3A::IDENTITY], ..bent(0.0) };
    let text = refused(short);
    assert!(text.contains("user id 4711") && text.contains("palette of 1 matrices"), "{text}");
    let mut infinite = bent(0.0);
    infinite.palette[1].translation.x = f32::INFINITY;
    assert!(refused(infinite).contains("joint 1"));
    assert!(refused(Pose { morph_weights: vec![1.0], ..bent(0.0) }).contains("1 morph targets"));
    assert!(refused(Pose { instance: 7, ..bent(0.0) }).contains("instance 7"));
}
