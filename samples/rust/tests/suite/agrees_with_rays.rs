//! Planes show what rays through the pixels' centres hit: the peers' tracer is the judge.

use crate::comparison::{Agreement, compare, draw, trace};
use crate::small_scenes::{assert_clean, camera, cluttered, engine};
use glam::{Affine3A, Quat, Vec2, Vec3};
use raster::FrameDesc;
use rayloom_frame::Extent;
use rayloom_scene::{Camera, Scene};

/// Edges differ, where a corner's position in 1/256 pixels decides what a pixel shows.
fn assert_agreement(a: &Agreement, name: &str) {
    println!("{name}: {a:#?}");
    let shares = [
        ("ids", a.id.value(), 0.998),
        ("depth", a.depth.value(), 0.998),
        ("normals", a.normal.value(), 0.998),
        ("geometric normals", a.geometric_normal.value(), 0.995),
        ("albedo", a.albedo.value(), 0.998),
        ("roughness and metalness", a.roughness_metalness.value(), 0.998),
        ("emissive", a.emissive.value(), 0.99),
        ("motion", a.motion.value(), 0.998),
    ];
    for (plane, share, least) in shares {
        assert!(share >= least, "{name}: {plane} agree on {:.3} % of pixels", share * 100.0);
    }
}

fn check(scene: &Scene, frame: &FrameDesc<'_>, extent: Extent, name: &str) -> Agreement {
    let mut engine = engine(extent.width, extent.height, scene);
    let planes = draw(&mut engine, frame);
    let tile = trace(scene, frame, extent);
    let agreement = compare(scene, &planes, &tile, frame, extent);
    assert_agreement(&agreement, name);
    assert_clean(&engine);
    agreement
}

#[test]
fn of_clutter_with_textures_holes_and_mirrored_things_in_motion() {
    let scene = cluttered();
    let extent = Extent::new(301, 203);
    let aspect = 301.0 / 203.0;
    let mut previous = camera(aspect);
    previous.position += Vec3::new(0.04, -0.02, 0.05);
    previous.rotation = (previous.rotation * Quat::from_rotation_y(0.02)).normalize();
    previous.jitter = Vec2::new(-0.4, 0.2);
    let turned = |i: u32, angle: f32| {
        let t = scene.instances[i as usize].transform;
        (i, t * Affine3A::from_rotation_x(angle))
    };
    let transforms = [turned(3, 0.3), turned(8, 0.2), turned(9, -0.1)];
    let previous_transforms = [turned(3, 0.25), turned(8, 0.24), turned(10, 0.02)];
    let frame = FrameDesc {
        frame_id: 5,
        camera: camera(aspect),
        previous_camera: previous,
        transforms: &transforms,
        previous_transforms: &previous_transforms,
        ..FrameDesc::still(5, camera(aspect))
    };
    let agreement = check(&scene, &frame, extent, "clutter");
    assert!(agreement.depth.of * 10 < agreement.id.of * 9, "sky is seen too");
}

#[test]
fn of_the_city_on_the_move() {
    let mut scene = rayloom_scene::city(60_000, 3);
    let extent = Extent::new(480, 270);
    let at_rest = scene.clone();
    let mut moved_at = |second: f64| -> crate::comparison::Moved {
        rayloom_scene::city::pose(&mut scene, second);
        let all = scene.instances.iter().zip(&at_rest.instances).enumerate();
        all.filter(|(_, (a, b))| a.transform != b.transform).map(|(i, (a, _))| (i as u32, a.transform)).collect()
    };
    let (previous_transforms, transforms) = (moved_at(3.0), moved_at(3.0 + 1.0 / 30.0));
    for named in &at_rest.cameras {
        let mut previous_camera: Camera = named.camera;
        previous_camera.position += Vec3::new(0.05, 0.0, 0.1);
        previous_camera.rotation = (previous_camera.rotation * Quat::from_rotation_y(-0.01)).normalize();
        let mut camera = named.camera;
        camera.jitter = Vec2::new(0.21, 0.37);
        let frame = FrameDesc {
            frame_id: 1,
            camera,
            previous_camera,
            transforms: &transforms,
            previous_transforms: &previous_transforms,
            ..FrameDesc::still(1, camera)
        };
        check(&at_rest, &frame, extent, &named.name);
    }
}

#[test]
fn of_a_walking_figure() {
    let glb = rayloom_scene::figure::glb();
    let (mut scene, rig) =
        rayloom_scene::gltf::load_slice_animated("figure.glb".as_ref(), glb.into(), &mut |_| ()).expect("it is right");
    scene.add_default_lighting();
    let extent = Extent::new(320, 240);
    let camera = scene.default_camera(320.0 / 240.0);
    for (animation, second) in [(0, 0.15), (0, 0.75), (1, 1.3)] {
        let at = |second: f32| rig.at(Some((&rig.animations[animation], second)));
        let (now, before) = (at(second), at(second - 1.0 / 15.0));
        let frame = FrameDesc {
            transforms: &now.transforms,
            previous_transforms: &before.transforms,
            poses: &now.poses,
            previous_poses: &before.poses,
            ..FrameDesc::still(1, camera)
        };
        check(&scene, &frame, extent, &format!("{} at {second} s", rig.animations[animation].name));
    }
}
