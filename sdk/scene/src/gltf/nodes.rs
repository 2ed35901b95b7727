//! Nodes: what stands where, lights and cameras.

use super::document::Document;
use super::{LUMENS_PER_WATT, Progress, note};
use crate::validate::is_invertible;
use crate::{Camera, Light, LightShape, NamedCamera, Scene, SceneError};
use glam::{Affine3A, DAffine3, DMat4, DQuat, DVec3, Mat3, Quat, Vec3};
use gltf::json::extensions::scene::khr_lights_punctual as punctual;
use gltf::json::validation::Checked;
use gltf::json::{Index, camera, mesh, scene, skin};

/// A mesh at its place.
pub(super) struct Placed {
    pub(super) mesh: Index<mesh::Mesh>,
    pub(super) transform: Affine3A,
    pub(super) node: usize,
    /// What moves its vertices; where it stands does not matter then.
    pub(super) skin: Option<Index<skin::Skin>>,
}

/// Walks the document's scene; fills in lights and cameras, returns what is placed, in the order of the walk.
pub(super) fn read(
    document: &Document,
    out: &mut Scene,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Placed>, SceneError> {
    let mut placed = Vec::new();
    let mut visited = vec![false; document.root.nodes.len()];
    let mut stack: Vec<(Index<scene::Node>, DAffine3, String)> =
        roots(document)?.into_iter().rev().map(|(node, position)| (node, DAffine3::IDENTITY, position)).collect();
    while let Some((index, parent, position)) = stack.pop() {
        let node = document.get(index, &position)?;
        let at = format!("nodes[{}]", index.value());
        if std::mem::replace(&mut visited[index.value()], true) {
            return Err(document.fail(&position, format!("reaches {at} a second time; nodes must form a tree")));
        }
        let world = parent * local_transform(document, node, &at)?;
        if !world.is_finite() || !world.as_affine3a().is_finite() {
            return Err(document.fail(&at, "its transform is not finite"));
        }
        let usable = is_invertible(&world.as_affine3a());
        if let Some(mesh) = node.mesh {
            if let Some(skin) = node.skin {
                document.get(skin, &format!("{at}.skin"))?;
            }
            if usable || node.skin.is_some() {
                placed.push(Placed { mesh, transform: world.as_affine3a(), node: index.value(), skin: node.skin });
            } else {
                note(
                    progress,
                    &at,
                    "its mesh is left out: the transform is singular, so it has no volume to be seen in",
                );
            }
        }
        if let Some(camera) = node.camera {
            read_camera(document, camera, &world, &format!("{at}.camera"), out, progress)?;
        }
        if let Some(light) = node.extensions.as_ref().and_then(|e| e.khr_lights_punctual.as_ref()) {
            out.lights.push(read_light(document, light.light, &world, index.value())?);
        }
        for (i, child) in node.children.as_deref().unwrap_or(&[]).iter().enumerate().rev() {
            stack.push((*child, world, format!("{at}.children[{i}]")));
        }
    }
    Ok(placed)
}

fn roots(document: &Document) -> Result<Vec<(Index<scene::Node>, String)>, SceneError> {
    let root = &document.root;
    if root.scene.is_none() && root.scenes.is_empty() {
        // A library of parts rather than a scene: everything that no other node holds.
        let mut is_child = vec![false; root.nodes.len()];
        for child in root.nodes.iter().flat_map(|n| n.children.iter().flatten()) {
            if let Some(flag) = is_child.get_mut(child.value()) {
                *flag = true;
            }
        }
        let free = (0..root.nodes.len()).filter(|i| !is_child[*i]);
        return Ok(free.map(|i| (Index::new(i as u32), "nodes".to_owned())).collect());
    }
    let index = root.scene.unwrap_or(Index::new(0));
    let scene = document.get(index, "scene")?;
    let position = |i| format!("scenes[{}].nodes[{i}]", index.value());
    Ok(scene.nodes.iter().enumerate().map(|(i, n)| (*n, position(i))).collect())
}

pub(super) fn local_transform(document: &Document, node: &scene::Node, at: &str) -> Result<DAffine3, SceneError> {
    if let Some(m) = node.matrix {
        let matrix = DMat4::from_cols_array(&m.map(f64::from));
        let affine = [m[3], m[7], m[11], m[15] - 1.0].iter().all(|v| v.abs() < 1e-5);
        if !affine {
            return Err(document.fail(&format!("{at}.matrix"), "its last row is not 0 0 0 1"));
        }
        return Ok(DAffine3::from_mat4(matrix));
    }
    let (scale, rotation, translation) = local_parts(document, node, at)?;
    Ok(DAffine3::from_scale_rotation_translation(scale, rotation, translation))
}

/// Scale, rotation and translation of a node that has no matrix.
pub(super) fn local_parts(
    document: &Document,
    node: &scene::Node,
    at: &str,
) -> Result<(DVec3, DQuat, DVec3), SceneError> {
    let scale = DVec3::from_array(node.scale.unwrap_or([1.0; 3]).map(f64::from));
    let translation = DVec3::from_array(node.translation.unwrap_or([0.0; 3]).map(f64::from));
    let rotation = DQuat::from_array(node.rotation.unwrap_or_default().0.map(f64::from));
    let length = rotation.length();
    if !(length.is_finite() && length > 1e-6) {
        return Err(document.fail(&format!("{at}.rotation"), format!("{rotation} is no rotation")));
    }
    Ok((scale, rotation * (1.0 / length), translation))
}

/// Direction of a transformed axis; `None` where scaling made it vanish.
fn axis(world: &DAffine3, local: DVec3) -> Option<Vec3> {
    world.transform_vector3(local).try_normalize().map(|v| v.as_vec3().normalize())
}

fn read_light(
    document: &Document,
    index: Index<punctual::Light>,
    world: &DAffine3,
    node: usize,
) -> Result<Light, SceneError> {
    let at = format!("nodes[{node}].extensions.KHR_lights_punctual.light");
    let lights = document.root.extensions.as_ref().and_then(|e| e.khr_lights_punctual.as_ref());
    let light = lights
        .and_then(|l| l.lights.get(index.value()))
        .ok_or_else(|| document.fail(&at, format!("refers to {}, which does not exist", index.value())))?;
    let at = format!("extensions.KHR_lights_punctual.lights[{}]", index.value());
    let color = Vec3::from_array(light.color) * (light.intensity / LUMENS_PER_WATT);
    if !(color.is_finite() && color.min_element() >= 0.0) {
        return Err(
            document.fail(&at, format!("colour times intensity is {color} W; it must be finite and not negative"))
        );
    }
    let range = light.range.unwrap_or(0.0);
    if !(range.is_finite() && range >= 0.0) {
        return Err(document.fail(&format!("{at}.range"), format!("is {range}; it must be positive")));
    }
    let shape = match (&light.type_, &light.spot) {
        (Checked::Valid(punctual::Type::Directional), _) => LightShape::Directional { angle: 0.0 },
        (Checked::Valid(punctual::Type::Point), _) => LightShape::Point,
        (Checked::Valid(punctual::Type::Spot), Some(spot)) => {
            let (inner, outer) = (spot.inner_cone_angle, spot.outer_cone_angle);
            if !(inner >= 0.0 && inner <= outer && outer > 0.0 && outer <= std::f32::consts::FRAC_PI_2 + 1e-4) {
                return Err(document.fail(
                    &format!("{at}.spot"),
                    format!("cone angles {inner} and {outer} break 0 <= innerConeAngle <= outerConeAngle <= pi/2"),
                ));
            }
            LightShape::Spot { inner, outer }
        }
        (Checked::Valid(punctual::Type::Spot), None) => return Err(document.fail(&format!("{at}.spot"), "is missing")),
        (Checked::Invalid, _) => {
            return Err(document.fail(&format!("{at}.type"), "is none of directional, point, spot"));
        }
    };
    let direction = axis(world, DVec3::NEG_Z).unwrap_or(Vec3::NEG_Z);
    Ok(Light { shape, color, position: world.translation.as_vec3(), direction, range, user_id: node as u64 })
}

fn read_camera(
    document: &Document,
    index: Index<camera::Camera>,
    world: &DAffine3,
    position: &str,
    out: &mut Scene,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), SceneError> {
    let camera = document.get(index, position)?;
    let at = format!("cameras[{}]", index.value());
    let Some(perspective) = &camera.perspective else {
        note(progress, &at, "is left out: only perspective cameras are read");
        return Ok(());
    };
    let aspect = perspective.aspect_ratio.unwrap_or(1.0);
    if !(perspective.yfov > 0.0 && perspective.yfov < std::f32::consts::PI) {
        return Err(document.fail(
            &format!("{at}.perspective.yfov"),
            format!("is {}; it must lie between 0 and pi", perspective.yfov),
        ));
    }
    if !(aspect > 0.0 && aspect.is_finite()) {
        return Err(
            document.fail(&format!("{at}.perspective.aspectRatio"), format!("is {aspect}; it must be positive"))
        );
    }
    // Scale is no part of a camera: only where it looks and what is up count.
    let (Some(forward), Some(up)) = (axis(world, DVec3::NEG_Z), axis(world, DVec3::Y)) else {
        note(progress, &at, "is left out: its node's transform is singular");
        return Ok(());
    };
    let Some(right) = forward.cross(up).try_normalize() else {
        note(progress, &at, "is left out: its node's transform is singular");
        return Ok(());
    };
    let rotation = Quat::from_mat3(&Mat3::from_cols(right, right.cross(forward), -forward)).normalize();
    let camera_here =
        Camera { position: world.translation.as_vec3(), rotation, ..Camera::with_fov(perspective.yfov, aspect) };
    if camera_here.is_valid() {
        let name = camera.name.clone().unwrap_or_else(|| format!("camera {}", index.value()));
        out.cameras.push(NamedCamera { name, camera: camera_here });
    } else {
        note(progress, &at, "is left out: its field of view or place is beyond what 32 bits hold");
    }
    Ok(())
}
