//! What stands in a scene is seen where it stands: sky, moved instances, holes, textures; nonsense is refused.
mod small_scenes;

use glam::{Affine3A, Vec2, Vec3};
use rayloom_frame::{Extent, LayerKind, Rect, SKY_DEPTH};
use rayloom_renderer::{FrameState, RendererError, TraceJob};
use rayloom_scene::{AlphaMode, Camera, Environment, Texture, TextureData, TextureSlot};
use small_scenes::*;
use std::sync::Arc;

const EXTENT: Extent = Extent::new(48, 32);

#[test]
fn an_empty_scene_is_its_environment() {
    for r in renderers() {
        let mut s = scene(Vec::new(), Vec::new(), Vec::new(), Vec::new());
        s.environment = Environment { zenith: Vec3::X, horizon: Vec3::Y, ground: Vec3::Z };
        let up = Camera::look_at(Vec3::ZERO, Vec3::Y, 0.02, 1.5);
        let tile = trace(&r, &s, &TraceJob::whole_view(EXTENT, up, &all_layers(1)));
        assert!((pixel(layer(&tile, LayerKind::Unlit), 24, 16) - Vec3::X).length() < 1e-2);
        assert!((pixel(layer(&tile, LayerKind::Path), 24, 16) - Vec3::X).length() < 1e-2);
        for kind in [LayerKind::Direct, LayerKind::Specular, LayerKind::Indirect] {
            assert_eq!(mean(layer(&tile, kind)), Vec3::ZERO);
        }
        let primary = tile.primary.expect("asked for");
        assert!(primary.depth.iter().all(|d| *d == SKY_DEPTH) && primary.instance_id.iter().all(|i| *i == 0));
        // The camera's own and a path's.
        assert_eq!(tile.block_rays, vec![512; 6]);
        assert_clean(&r);
    }
}

#[test]
fn a_moved_instance_is_seen_elsewhere_and_its_motion_says_from_where() {
    for r in renderers() {
        let s = scene(vec![square(0)], vec![material(Vec3::ONE, 0.0, 1.0)], vec![at(0, 0.5, Vec3::ZERO)], Vec::new());
        let gpu = r.create_scene(&s, &mut |_| ()).expect("the scene is valid");
        let camera = from_above(EXTENT);
        let see = |state: &FrameState<'_>, position: Vec3| {
            let frame = Arc::new(gpu.frame(state).expect("the state is valid"));
            let (tile, _) = r.trace(&frame, &TraceJob::whole_view(EXTENT, camera, &[])).expect("the job is valid");
            let (p, depth) = camera.project(position, Vec2::new(48.0, 32.0));
            let i = p.y as usize * 48 + p.x as usize;
            let primary = tile.primary.expect("asked for");
            let motion = [primary.motion[i] as u16, (primary.motion[i] >> 16) as u16];
            (primary.instance_id[i], primary.depth[i], depth, motion.map(|m| half::f16::from_bits(m).to_f32()))
        };
        let place = |x: f32| at(0, 0.5, Vec3::new(x, 0.0, 0.0)).transform;
        let (right, left) = (Vec3::new(1.0, 0.0, 0.0), Vec3::new(-1.0, 0.0, 0.0));
        assert_eq!(see(&FrameState::default(), right).0, 0);
        let moved = FrameState { transforms: &[(0, place(1.0))], ..Default::default() };
        let (id, depth, expected, motion) = see(&moved, right);
        assert_eq!(id, 1);
        assert!((depth - expected).abs() < 1e-4, "{depth} is not {expected}");
        let per_metre = camera.project(right, Vec2::new(48.0, 32.0)).0.x - 24.0;
        assert!(
            (motion[0].abs() - per_metre.abs()).abs() < 0.1 && motion[1].abs() < 0.1,
            "{motion:?}, {per_metre} px a metre"
        );
        assert_eq!(motion[0].signum(), -per_metre.signum(), "it came from the middle");
        assert_eq!(see(&moved, left).0, 0, "and nothing is left behind");
        let both = FrameState {
            transforms: &[(0, place(1.0))],
            previous_transforms: &[(0, place(1.0))],
            ..FrameState::default()
        };
        assert!(see(&both, right).3[0].abs() < 0.02, "it stood there already");
        assert_clean(&r);
    }
}

#[test]
fn masked_texels_are_holes_for_eyes_and_for_shadows() {
    for r in renderers() {
        // Two texels: the left is a hole. The square's u runs along x.
        let texels = [[255u8, 255, 255, 0], [255, 255, 255, 255]].concat();
        let texture = Texture { data: TextureData::Rgba8 { width: 2, height: 1, pixels: texels.into() }, user_id: 0 };
        let slot = TextureSlot { texture: 0, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 };
        let mut masked = material(Vec3::ONE, 0.0, 1.0);
        masked.alpha = AlphaMode::Mask { cutoff: 0.5 };
        masked.base_color_texture = Some(slot);
        let ground = material(Vec3::ONE, 0.0, 1.0);
        let instances = vec![at(0, 10.0, Vec3::new(0.0, -1.0, 0.0)), at(1, 1.0, Vec3::ZERO)];
        let mut s =
            scene(vec![square(0), square(1)], vec![ground, masked], instances, vec![sun(Vec3::NEG_Y, Vec3::ONE)]);
        s.textures.push(Arc::new(texture));
        let camera = from_above(EXTENT);
        let tile = trace(&r, &s, &TraceJob::whole_view(EXTENT, camera, &all_layers(1)));
        let primary = tile.primary.as_ref().expect("asked for");
        let index = |p: Vec3| {
            let (p, _) = camera.project(p, Vec2::new(48.0, 32.0));
            p.y as usize * 48 + p.x as usize
        };
        let (hole, solid) = (index(Vec3::new(-0.5, 0.0, 0.0)), index(Vec3::new(0.5, 0.0, 0.0)));
        assert_eq!((primary.instance_id[hole], primary.instance_id[solid]), (1, 2));
        let direct = layer(&tile, LayerKind::Direct);
        assert!(pixel(direct, hole as u32 % 48, hole as u32 / 48).x > 0.1, "the sun shines through the hole");
        assert_clean(&r);
    }
}

#[test]
fn a_texture_gives_its_color_its_roughness_and_its_slope() {
    for r in renderers() {
        let one = |rgba: [u8; 4]| {
            let pixels = rgba.to_vec().into();
            Arc::new(Texture { data: TextureData::Rgba8 { width: 1, height: 1, pixels }, user_id: 0 })
        };
        let slot = |texture| Some(TextureSlot { texture, offset: Vec2::ZERO, scale: Vec2::splat(3.0), rotation: 0.5 });
        let mut m = material(Vec3::ONE, 1.0, 1.0);
        (m.base_color_texture, m.metallic_roughness_texture, m.normal_texture) = (slot(0), slot(1), slot(2));
        let mut mesh = square(0);
        mesh.tangents = vec![Vec3::X.extend(1.0); 4];
        let mut s = scene(vec![mesh], vec![m], vec![at(0, 10.0, Vec3::ZERO)], Vec::new());
        // A normal tilted by 45 degrees towards the tangent.
        s.textures = vec![one([200, 100, 50, 255]), one([0, 128, 64, 255]), one([218, 128, 218, 255])];
        let tile = trace(&r, &s, &TraceJob::whole_view(EXTENT, from_above(EXTENT), &[]));
        let p = tile.primary.expect("asked for");
        let i = 16 * 48 + 24;
        for (found, expected) in p.base_color[i].to_le_bytes().into_iter().zip([200u8, 100, 50, 255]) {
            assert!(found.abs_diff(expected) <= 1, "{found} is not {expected}");
        }
        assert_eq!(p.material[i].to_le_bytes(), [128, 64, 0, 1]);
        let n = rayloom_frame::normal::decode_normal(p.normal[i]);
        assert!(n.distance(Vec3::new(0.5, 0.5, 0.0).normalize()) < 0.02, "{n}");
        assert_clean(&r);
    }
}

#[test]
fn a_mirrored_and_stretched_instance_still_faces_the_viewer() {
    for r in renderers() {
        let mut s = scene(
            vec![square(0)],
            vec![material(Vec3::ONE, 0.0, 1.0)],
            vec![at(0, 1.0, Vec3::ZERO)],
            vec![sun(Vec3::NEG_Y, Vec3::ONE)],
        );
        s.instances[0].transform = Affine3A::from_scale(Vec3::new(-2.0, 3.0, 1.5));
        let tile = trace(&r, &s, &TraceJob::whole_view(EXTENT, from_above(EXTENT), &all_layers(1)));
        let i = 16 * 48 + 24;
        let normal = tile.primary.as_ref().expect("asked for").normal[i];
        assert!(rayloom_frame::normal::decode_normal(normal).distance(Vec3::Y) < 1e-3);
        assert!(pixel(layer(&tile, LayerKind::Direct), 24, 16).x > 0.2);
        assert_clean(&r);
    }
}

#[test]
fn a_revision_with_the_same_meshes_shares_them() {
    for r in renderers() {
        let mut s =
            scene(vec![square(0)], vec![material(Vec3::ONE, 0.0, 1.0)], vec![at(0, 1.0, Vec3::ZERO)], Vec::new());
        let first = r.create_scene(&s, &mut |_| ()).expect("the scene is valid");
        s.instances.push(at(0, 1.0, Vec3::X));
        let second = r.create_scene(&s, &mut |_| ()).expect("the scene is valid");
        assert!(second.shares_meshes_with(&first));
        drop(first);
        let other = scene(vec![square(0)], s.materials.clone(), s.instances.clone(), Vec::new());
        let other = r.create_scene(&other, &mut |_| ()).expect("the scene is valid");
        assert!(!other.shares_meshes_with(&second), "another mesh, if an equal one");
        assert_clean(&r);
    }
}

#[test]
fn broken_scenes_and_states_are_refused_by_name() {
    for r in renderers() {
        let good =
            || scene(vec![square(0)], vec![material(Vec3::ONE, 0.0, 1.0)], vec![at(0, 1.0, Vec3::ZERO)], Vec::new());
        let refused = |s: rayloom_scene::Scene, part: &str| {
            let error = r.create_scene(&s, &mut |_| ()).err().expect("it must be refused").to_string();
            assert!(error.contains(part), "{error}");
        };
        let mesh = |change: fn(&mut rayloom_scene::Mesh)| {
            let mut m = square(0);
            change(&mut m);
            rayloom_scene::Scene { meshes: vec![Arc::new(m)], ..good() }
        };
        refused(mesh(|m| m.indices[4] = 4), "index 4 of 4");
        refused(mesh(|m| m.positions[0].x = f32::NAN), "not finite");
        refused(mesh(|m| m.parts[0].material = 9), "material 9 of 1");
        refused(mesh(|m| m.parts[0].index_count = 3), "cover 3 of 6");
        refused(mesh(|m| m.normals.truncate(3)), "3 normals");
        let mut s = good();
        s.instances[0].mesh = 1;
        refused(s, "mesh 1 of 1");
        let mut s = good();
        s.instances[0].transform.translation.y = f32::INFINITY;
        refused(s, "not finite");
        let mut s = good();
        s.materials[0].base_color_texture =
            Some(TextureSlot { texture: 0, offset: Vec2::ZERO, scale: Vec2::ONE, rotation: 0.0 });
        refused(s, "texture 0 of 0");

        let gpu = r.create_scene(&good(), &mut |_| ()).expect("the scene is valid");
        let nan = Affine3A::from_translation(Vec3::NAN);
        for transforms in [[(0, nan)], [(1, Affine3A::IDENTITY)]] {
            let state = FrameState { transforms: &transforms, ..Default::default() };
            assert!(matches!(gpu.frame(&state), Err(RendererError::InvalidScene { .. })));
        }
        let frame = Arc::new(gpu.frame(&FrameState::default()).expect("the state is valid"));
        let job = TraceJob { rect: Rect::new(40, 0, 9, 9), ..TraceJob::whole_view(EXTENT, from_above(EXTENT), &[]) };
        assert!(matches!(r.trace(&frame, &job), Err(RendererError::InvalidJob(_))));
        assert_clean(&r);
    }
}
