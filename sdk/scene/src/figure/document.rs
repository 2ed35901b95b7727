//! The figure as a .glb: nodes, meshes, skin, animations, camera.

use super::animation::{KEYS, WALK_S, WAVE_S, walking, waving};
use super::skeleton::{JOINTS, Joint, Skeleton};
use super::surface::{Surface, surfaces};
use crate::Camera;
use glam::{Quat, Vec3, vec3};
use std::f32::consts::TAU;

/// Nodes after the joints.
const FIGURE: usize = JOINTS;
const GROUND: usize = JOINTS + 1;
const PIVOT: usize = JOINTS + 2;
const LANTERN: usize = JOINTS + 3;
const CAMERA: usize = JOINTS + 4;

/// Skin, cloth, hair, ground, lantern.
const MATERIALS: &str = r#"{"pbrMetallicRoughness":{"baseColorFactor":[0.75,0.5,0.38,1],"metallicFactor":0,"roughnessFactor":0.6}},
{"pbrMetallicRoughness":{"baseColorFactor":[0.16,0.3,0.55,1],"metallicFactor":0,"roughnessFactor":0.8}},
{"pbrMetallicRoughness":{"baseColorFactor":[0.25,0.12,0.06,1],"metallicFactor":0,"roughnessFactor":0.5}},
{"pbrMetallicRoughness":{"baseColorFactor":[0.5,0.5,0.46,1],"metallicFactor":0,"roughnessFactor":0.9}},
{"pbrMetallicRoughness":{"baseColorFactor":[0.9,0.55,0.1,1],"metallicFactor":1,"roughnessFactor":0.25}}"#;

/// Accessors and what they read, as they are added.
#[derive(Default)]
struct Binary {
    bytes: Vec<u8>,
    views: Vec<String>,
    accessors: Vec<String>,
}

impl Binary {
    /// Adds an array and gives its accessor.
    fn add(&mut self, bytes: impl IntoIterator<Item = u8>, component: u32, kind: &str, count: usize) -> usize {
        let first = self.bytes.len();
        self.bytes.extend(bytes);
        let length = self.bytes.len() - first;
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.views.push(format!(r#"{{"buffer":0,"byteOffset":{first},"byteLength":{length}}}"#));
        let view = self.views.len() - 1;
        self.accessors
            .push(format!(r#"{{"bufferView":{view},"componentType":{component},"count":{count},"type":"{kind}"}}"#));
        self.accessors.len() - 1
    }

    fn floats(&mut self, values: impl IntoIterator<Item = f32>, kind: &str, count: usize) -> usize {
        self.add(values.into_iter().flat_map(f32::to_le_bytes), 5126, kind, count)
    }

    fn vectors(&mut self, values: &[Vec3]) -> usize {
        self.floats(values.iter().flat_map(|v| v.to_array()), "VEC3", values.len())
    }

    fn indices(&mut self, values: &[u16]) -> usize {
        self.add(values.iter().flat_map(|i| i.to_le_bytes()), 5123, "SCALAR", values.len())
    }
}

pub(super) fn write(skeleton: &Skeleton) -> Vec<u8> {
    let mut binary = Binary::default();
    let meshes = [figure(&mut binary, skeleton), ground(&mut binary), lantern(&mut binary)].join(",\n");
    let skin = skin(&mut binary, skeleton);
    let animations = [
        animation(&mut binary, "walk", WALK_S, skeleton, walking),
        animation(&mut binary, "wave", WAVE_S, skeleton, waving),
    ];
    let json = format!(
        r#"{{"asset":{{"version":"2.0"}},"scene":0,"scenes":[{{"nodes":[0,{FIGURE},{GROUND},{PIVOT},{CAMERA}]}}],
"nodes":[{}],
"meshes":[{meshes}],"materials":[{MATERIALS}],"skins":[{skin}],
"cameras":[{{"name":"front","type":"perspective","perspective":{{"yfov":0.7,"znear":0.05}}}}],
"animations":[{}],
"accessors":[{}],
"bufferViews":[{}],
"buffers":[{{"byteLength":{}}}]}}"#,
        nodes(skeleton),
        animations.join(",\n"),
        binary.accessors.join(","),
        binary.views.join(","),
        binary.bytes.len()
    );
    container(json.as_bytes(), &binary.bytes)
}

/// The chunks of a .glb.
fn container(json: &[u8], binary: &[u8]) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], bytes: &[u8], pad: u8| {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(4), pad);
        [&(padded.len() as u32).to_le_bytes()[..], kind, &padded].concat()
    };
    let body = [chunk(b"JSON", json, b' '), chunk(b"BIN\0", binary, 0)].concat();
    let length = (body.len() as u32 + 12).to_le_bytes();
    [b"glTF", &2u32.to_le_bytes()[..], &length, &body].concat()
}

fn nodes(skeleton: &Skeleton) -> String {
    let joint = |(i, joint): (usize, &Joint)| {
        let under = joint.parent.map_or(Vec3::ZERO, |parent| skeleton.joints[parent].at);
        let children: Vec<String> = (0..JOINTS)
            .filter(|child| skeleton.joints[*child].parent == Some(i))
            .map(|child| child.to_string())
            .collect();
        let children =
            if children.is_empty() { String::new() } else { format!(r#","children":[{}]"#, children.join(",")) };
        format!(r#"{{"translation":{:?}{children}}}"#, (joint.at - under).to_array())
    };
    let mut nodes: Vec<String> = skeleton.joints.iter().enumerate().map(joint).collect();
    let camera = Camera::look_at(vec3(1.7, 1.5, 3.2), vec3(0.0, 0.92, 0.0), 0.7, 1.0);
    nodes.push(r#"{"name":"figure","mesh":0,"skin":0}"#.to_owned());
    nodes.push(r#"{"name":"ground","mesh":1}"#.to_owned());
    nodes.push(format!(r#"{{"name":"pivot","translation":[0,1.1,0],"children":[{LANTERN}]}}"#));
    nodes.push(r#"{"name":"lantern","mesh":2,"translation":[0.9,0,0]}"#.to_owned());
    nodes.push(format!(
        r#"{{"camera":0,"translation":{:?},"rotation":{:?}}}"#,
        camera.position.to_array(),
        camera.rotation.to_array()
    ));
    nodes.join(",\n")
}

fn figure(binary: &mut Binary, skeleton: &Skeleton) -> String {
    let primitive = |(material, surface): (usize, Surface)| {
        let count = surface.positions.len();
        let (positions, normals) = (binary.vectors(&surface.positions), binary.vectors(&surface.normals));
        let joints = binary.add(surface.joints.into_flattened(), 5121, "VEC4", count);
        let weights = binary.floats(surface.weights.into_flattened(), "VEC4", count);
        let (breath, indices) = (binary.vectors(&surface.breath), binary.indices(&surface.indices));
        format!(
            r#"{{"attributes":{{"POSITION":{positions},"NORMAL":{normals},"JOINTS_0":{joints},"WEIGHTS_0":{weights}}},"indices":{indices},"material":{material},"targets":[{{"POSITION":{breath}}}]}}"#
        )
    };
    let primitives: Vec<String> = surfaces(skeleton, 3).into_iter().enumerate().map(primitive).collect();
    format!(r#"{{"name":"figure","primitives":[{}],"weights":[0]}}"#, primitives.join(","))
}

fn plain(binary: &mut Binary, name: &str, corners: &[Vec3], indices: &[u16], material: usize) -> String {
    let (positions, indices) = (binary.vectors(corners), binary.indices(indices));
    format!(
        r#"{{"name":"{name}","primitives":[{{"attributes":{{"POSITION":{positions}}},"indices":{indices},"material":{material}}}]}}"#
    )
}

fn ground(binary: &mut Binary) -> String {
    let corners = [(-4.0, -4.0), (-4.0, 4.0), (4.0, 4.0), (4.0, -4.0)].map(|(x, z)| vec3(x, 0.0, z));
    plain(binary, "ground", &corners, &[0, 1, 2, 0, 2, 3], 3)
}

/// An octahedron.
fn lantern(binary: &mut Binary) -> String {
    let corners = [Vec3::X, Vec3::Z, Vec3::NEG_X, Vec3::NEG_Z, Vec3::Y * 1.5, Vec3::NEG_Y * 1.5].map(|v| v * 0.1);
    let indices = [4, 1, 0, 4, 2, 1, 4, 3, 2, 4, 0, 3, 5, 0, 1, 5, 1, 2, 5, 2, 3, 5, 3, 0];
    plain(binary, "lantern", &corners, &indices, 4)
}

fn skin(binary: &mut Binary, skeleton: &Skeleton) -> String {
    let inverse = |joint: &Joint| glam::Mat4::from_translation(-joint.at).to_cols_array();
    let matrices = binary.floats(skeleton.joints.iter().flat_map(inverse), "MAT4", JOINTS);
    let joints: Vec<String> = (0..JOINTS).map(|joint| joint.to_string()).collect();
    format!(r#"{{"inverseBindMatrices":{matrices},"joints":[{}]}}"#, joints.join(","))
}

/// All joints turn, the chest breathes, the lantern goes around once.
fn animation(
    binary: &mut Binary,
    name: &str,
    seconds: f32,
    skeleton: &Skeleton,
    rotation: fn(&Joint, f32) -> Quat,
) -> String {
    let share = |key: usize| key as f32 / (KEYS - 1) as f32;
    let times = binary.floats((0..KEYS).map(|key| share(key) * seconds), "SCALAR", KEYS);
    let (mut channels, mut samplers) = (Vec::new(), Vec::new());
    let mut drive = |node: usize, path: &str, output: usize| {
        let sampler = samplers.len();
        channels.push(format!(r#"{{"sampler":{sampler},"target":{{"node":{node},"path":"{path}"}}}}"#));
        samplers.push(format!(r#"{{"input":{times},"output":{output}}}"#));
    };
    for (node, joint) in skeleton.joints.iter().enumerate() {
        // A whole turn ends as it began.
        let turns = (0..KEYS).flat_map(|key| rotation(joint, share(key % (KEYS - 1))).to_array());
        drive(node, "rotation", binary.floats(turns, "VEC4", KEYS));
    }
    let circle = (0..KEYS).flat_map(|key| Quat::from_rotation_y(share(key) * TAU).to_array());
    drive(PIVOT, "rotation", binary.floats(circle, "VEC4", KEYS));
    let breath = (0..KEYS).map(|key| 0.5 - 0.5 * (share(key % (KEYS - 1)) * TAU).cos());
    drive(FIGURE, "weights", binary.floats(breath, "SCALAR", KEYS));
    format!(r#"{{"name":"{name}","channels":[{}],"samplers":[{}]}}"#, channels.join(","), samplers.join(","))
}
