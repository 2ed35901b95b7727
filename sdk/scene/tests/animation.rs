//! Skins, morph targets and animations of glTF: where joints bring vertices at a time, and what bad ones are told.

mod glb;

use glam::{Vec3, vec3};
use glb::{floats, glb};
use rayloom_scene::animation::Rig;
use rayloom_scene::gltf::load_slice_animated;
use rayloom_scene::{Pose, Scene, SceneError, assets};
use std::path::Path;
use std::sync::Arc;

/// A strip along x from 0 to 2 whose right half hangs on a second joint at x = 1; that joint turns by 90 degrees about z
/// within a second, and a morph target lifts all by 1 in z.
fn bar() -> (String, Vec<u8>) {
    let positions: Vec<f32> = [0.0, 1.0, 2.0].iter().flat_map(|x| [*x, 0.0, 0.0, *x, 0.5, 0.0]).collect();
    let quarter = glam::Quat::from_rotation_z(std::f32::consts::FRAC_PI_2);
    let sections: Vec<Vec<u8>> = vec![
        floats(&positions),
        [0u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0].to_vec(),
        // Not normalised: scaled to 1.
        floats(&[2.0f32, 0.0, 0.0, 0.0].repeat(6)),
        [0u16, 2, 1, 1, 2, 3, 2, 4, 3, 3, 4, 5].iter().flat_map(|i| i.to_le_bytes()).collect(),
        floats(&[[0.0f32, 0.0, 1.0].repeat(6)].concat()),
        // Inverse bind matrices: the second joint is bound at x = 1.
        floats(&[1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1.]),
        floats(&[1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1., 0., -1., 0., 0., 1.]),
        floats(&[0.0, 1.0]),
        floats(&[[0.0f32, 0.0, 0.0, 1.0], quarter.to_array()].concat()),
        floats(&[0.0, 0.5]),
    ];
    let (mut views, mut at) = (Vec::new(), 0);
    for section in &sections {
        views.push(format!(r#"{{"buffer":0,"byteOffset":{at},"byteLength":{}}}"#, section.len()));
        at += section.len();
    }
    // Both matrices are one view.
    views[5] = views[5].replace(r#""byteLength":64"#, r#""byteLength":128"#);
    let accessor = |view: usize, component: u32, count: usize, kind: &str| {
        format!(r#"{{"bufferView":{view},"componentType":{component},"count":{count},"type":"{kind}"}}"#)
    };
    let accessors = [
        accessor(0, 5126, 6, "VEC3"),
        accessor(1, 5121, 6, "VEC4"),
        accessor(2, 5126, 6, "VEC4"),
        accessor(3, 5123, 12, "SCALAR"),
        accessor(4, 5126, 6, "VEC3"),
        accessor(5, 5126, 2, "MAT4"),
        accessor(7, 5126, 2, "SCALAR"),
        accessor(8, 5126, 2, "VEC4"),
        accessor(9, 5126, 2, "SCALAR"),
    ];
    let json = format!(
        r#"{{"asset":{{"version":"2.0"}},"scene":0,"scenes":[{{"nodes":[0,1]}}],
"nodes":[{{"mesh":0,"skin":0,"translation":[50,60,70]}},{{"children":[2],"translation":[0,0,3]}},{{"translation":[1,0,0]}}],
"skins":[{{"joints":[1,2],"inverseBindMatrices":5}}],
"meshes":[{{"primitives":[{{"attributes":{{"POSITION":0,"JOINTS_0":1,"WEIGHTS_0":2}},"indices":3,"targets":[{{"POSITION":4}}]}}]}}],
"animations":[{{"name":"bend","channels":[{{"sampler":0,"target":{{"node":2,"path":"rotation"}}}},{{"sampler":1,"target":{{"node":0,"path":"weights"}}}}],
"samplers":[{{"input":6,"output":7}},{{"input":6,"output":8,"interpolation":"STEP"}}]}}],
"accessors":[{}],"bufferViews":[{}],"buffers":[{{"byteLength":{at}}}]}}"#,
        accessors.join(","),
        views.join(",")
    );
    (json, sections.concat())
}

fn read(json: &str, binary: &[u8]) -> Result<(Scene, Rig), SceneError> {
    load_slice_animated(Path::new("tests/bar.glb"), glb(json, binary).into(), &mut |_| ())
}

/// Where a pose brings the mesh's vertices, as glTF 2.0 has it: morphed, then moved by weighted joints.
fn shaped(scene: &Scene, pose: &Pose) -> Vec<Vec3> {
    let mesh = &scene.meshes[scene.instances[pose.instance as usize].mesh as usize];
    let vertex = |i: usize| {
        let morphed = mesh.targets.iter().zip(&pose.morph_weights).map(|(t, w)| t.positions[i] * *w).sum::<Vec3>();
        let at = mesh.positions[i] + morphed;
        let parts = mesh.joints[i].iter().zip(mesh.weights[i]).filter(|(_, w)| *w > 0.0);
        parts.map(|(joint, weight)| pose.palette[usize::from(*joint)].transform_point3(at) * weight).sum()
    };
    (0..mesh.positions.len()).map(vertex).collect()
}

/// The last position of all that lie at x = 2 in the mesh, on its lower edge.
fn tip(scene: &Scene, pose: &Pose) -> Vec3 {
    let at = scene.meshes[0].positions.iter().position(|p| *p == vec3(2.0, 0.0, 0.0)).expect("the bar ends there");
    shaped(scene, pose)[at]
}

#[test]
fn a_bar_of_two_joints_bends_by_a_right_angle() {
    let (json, binary) = bar();
    let (scene, rig) = read(&json, &binary).unwrap();
    assert_eq!(scene.poses.len(), 1);
    // The mesh's own node does not matter; the joints stand 3 m up in z.
    assert!(tip(&scene, &scene.poses[0]).distance(vec3(2.0, 0.0, 3.0)) < 1e-6);
    let bend = &rig.animations[0];
    assert_eq!((bend.name.as_str(), bend.duration()), ("bend", 1.0));
    let at = |seconds: f32| tip(&scene, &rig.at(Some((bend, seconds))).poses[0]);
    let half = std::f32::consts::FRAC_1_SQRT_2;
    assert!(at(0.5).distance(vec3(1.0 + half, half, 3.0)) < 1e-6, "{}", at(0.5));
    // The morph target's weight steps to a half at the end.
    assert!(at(1.0).distance(vec3(1.0, 1.0, 3.5)) < 1e-6, "{}", at(1.0));
    assert_eq!(at(9.0), at(1.0));
}

#[test]
fn joints_targets_and_poses_survive_being_packed() {
    let (json, binary) = bar();
    let (scene, _) = read(&json, &binary).unwrap();
    let packed = assets::pack(&scene);
    let root = assets::unpack_root(&packed.root.bytes).unwrap();
    let blob = |id| packed.blobs.iter().find(|b| b.id == id).map(|b| b.bytes.clone());
    let again = root.assemble(&mut |id| blob(id)).unwrap();
    assert_eq!(again, scene);
    for cut in (0..packed.blobs[0].bytes.len()).step_by(7) {
        let short = packed.blobs[0].bytes.slice(..cut);
        let mut root = root.clone();
        root.meshes[0].len = cut as u64;
        assert!(root.assemble(&mut |_| Some(short.clone())).is_err());
    }
}

#[test]
fn bad_skins_and_poses_are_named() {
    let (json, binary) = bar();
    let error = |from: &str, to: &str| {
        assert!(json.contains(from));
        read(&json.replace(from, to), &binary).unwrap_err().to_string()
    };
    assert!(error(r#""joints":[1,2]"#, r#""joints":[1]"#).contains("skins[0]: has 1 joints"));
    assert!(error(r#""joints":[1,2]"#, r#""joints":[1,9]"#).contains("skins[0].joints[1]"));
    assert!(error(r#""joints":[1,2]"#, r#""joints":[1,2,2]"#).contains("2 matrices for 3 joints"));
    assert!(error(r#","JOINTS_0":1"#, "").contains("lacks JOINTS_0"));
    assert!(error(r#""output":7"#, r#""output":6"#).contains("animations[0].samplers[0].output"));
    assert!(error(r#""sampler":1"#, r#""sampler":7"#).contains("channels[1].sampler"));

    let (scene, _) = read(&json, &binary).unwrap();
    let told = |change: &dyn Fn(&mut Scene)| {
        let mut scene = scene.clone();
        change(&mut scene);
        scene.validate().unwrap_err().to_string()
    };
    let text = told(&|s| s.poses[0].palette.truncate(1));
    assert!(text.contains("pose of instance 0 (user id 0)") && text.contains("palette of 1 matrices"), "{text}");
    assert!(text.contains("2 joints"), "{text}");
    assert!(told(&|s| s.poses.clear()).contains("instance 0 (user id 0): has no palette"));
    assert!(told(&|s| s.poses.push(s.poses[0].clone())).contains("is given twice"));
    assert!(told(&|s| s.poses[0].instance = 5).contains("pose of instance 5"));
    assert!(told(&|s| s.poses[0].morph_weights = vec![0.0; 2]).contains("weighs 2 morph targets"));
    assert!(told(&|s| s.poses[0].morph_weights[0] = f32::NAN).contains("morph target 0"));
    assert!(told(&|s| s.poses[0].palette[1].translation.y = f32::INFINITY).contains("joint 1"));
    let mesh = |change: &dyn Fn(&mut rayloom_scene::Mesh)| told(&|s| change(Arc::make_mut(&mut s.meshes[0])));
    assert!(mesh(&|m| m.weights[2] = [0.0; 4]).contains("mesh 0: weighs the joints of vertex 2"));
    assert!(mesh(&|m| m.weights[2][0] = -1.0).contains("vertex 2"));
    assert!(mesh(&|m| m.joints.truncate(3)).contains("joints for 3"));
    assert!(mesh(&|m| m.targets[0].positions.truncate(3)).contains("morph target 0 moves 3 positions"));
    assert!(mesh(&|m| m.targets[0].positions[1].x = f32::NAN).contains("vertex 1"));
}

#[test]
fn bounds_and_the_camera_follow_the_pose() {
    let (json, binary) = bar();
    let (scene, rig) = read(&json, &binary).unwrap();
    // The joints stand 3 m up in z, whatever the mesh's own node says.
    assert_eq!(scene.bounds(), (vec3(0.0, 0.0, 3.0), vec3(2.0, 0.5, 3.0)));
    let mut bent = scene.clone();
    bent.poses = rig.at(Some((&rig.animations[0], 1.0))).poses;
    let (low, high) = bent.bounds();
    assert!(low.distance(vec3(0.0, 0.0, 3.5)) < 1e-6 && high.distance(vec3(1.0, 1.0, 3.5)) < 1e-6, "{low} to {high}");
    let camera = scene.default_camera(1.0);
    let (place, depth) = camera.project(vec3(1.0, 0.25, 3.0), glam::Vec2::ONE);
    assert!(depth > 0.0 && place.distance(glam::Vec2::splat(0.5)) < 0.1, "it looks at the bar: {place}");
}

#[test]
fn what_an_animation_moved_comes_back_at_rest_and_what_it_hides_is_a_speck() {
    let glb = rayloom_scene::figure::glb();
    let (scene, mut rig) = load_slice_animated(Path::new("figure.glb"), glb.into(), &mut |_| ()).unwrap();
    assert_eq!((scene.instances.len(), scene.poses.len()), (3, 1));
    assert_eq!(scene.poses[0].palette.len(), rayloom_scene::figure::JOINTS);
    assert_eq!(rig.animations.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["walk", "wave"]);
    // At each time the lantern alone, since the ground never moves.
    let lantern = |rig: &Rig, at: Option<f32>| {
        let moved = rig.at(at.map(|second| (&rig.animations[0], second)));
        assert_eq!(moved.transforms.len(), 1);
        let (instance, transform) = moved.transforms[0];
        assert_eq!(scene.instances[instance as usize].user_id, 67, "the lantern's node");
        transform
    };
    let quarter = lantern(&rig, Some(0.3)).translation;
    assert!(quarter.distance(vec3(0.0, 1.1, -0.9).into()) < 1e-5, "{quarter}");
    assert_eq!(lantern(&rig, None), scene.instances[2].transform);
    // The feet stay above the ground by a hair and near it, at any time.
    for key in 0..24 {
        let pose = &rig.at(Some((&rig.animations[0], key as f32 * 0.05))).poses[0];
        let lowest = shaped(&scene, pose).iter().map(|p| p.y).fold(f32::INFINITY, f32::min);
        assert!((-0.12..0.15).contains(&lowest), "{lowest} m at key {key}");
    }

    use rayloom_scene::animation::{Channel, Curve, Interpolation, Property};
    let curve = Curve::new(Interpolation::Step, vec![0.0], vec![0.0; 3], 3, false).unwrap();
    let lantern_node = rig.bindings.iter().find(|binding| binding.instance == 2).expect("it is bound").node;
    let pivot = rig.nodes[lantern_node as usize].parent.expect("the lantern hangs on it");
    rig.animations[0].channels.push(Channel { node: pivot, property: Property::Scale, curve });
    let mut hidden = scene.clone();
    hidden.instances[2].transform = lantern(&rig, Some(0.3));
    hidden.validate_placement().expect("it has an inverse");
    assert!(hidden.instances[2].transform.matrix3.x_axis.length() < 1e-8);
}
