//! Bench of a frame's state: bytes of the tasks that a session really sends, per frame, beside the scene's own size.

use crate::report::Report;
use glam::{Affine3A, Quat, Vec3};
use rayloom::frame::Extent;
use rayloom::scene::assets::pack;
use rayloom::scene::city::{MOVABLE_LIGHTS, MOVABLE_OBJECTS, city};
use rayloom::scene::{Camera, Instance, Material, Mesh, Pose, Scene};
use rayloom::{Embedded, FrameDesc, Session, SessionDesc, ViewDesc, ViewHandle};
use std::sync::Arc;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Ten times the frames.
    #[arg(long)]
    full: bool,
}

/// Frames measured; enough to see every kind of frame there is.
const FRAMES: u64 = 60;
/// Tracing is not what is measured: the smallest view that is still cut into several tiles.
const SIZE: Extent = Extent::new(128, 72);
const CITY_TRIANGLES: usize = 200_000;
/// Joints of a character, characters in a scene, frames measured of it.
const JOINTS: usize = 64;
const CHARACTERS: u32 = 4;
const CHARACTER_FRAMES: u64 = 30;

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let text = |error: rayloom::Error| error.to_string();
    let desc = SessionDesc { embedded: Embedded::Always, embedded_allow_cpu: true, ..SessionDesc::default() };
    let session = Session::new(desc).map_err(text)?;
    let mut view = ViewDesc::new(SIZE);
    view.tiles_per_peer = (2, 4);
    view.layers.iter_mut().for_each(|layer| layer.deadline = Duration::from_secs(30));
    let view = session.create_view(view).map_err(text)?;
    let source = city(CITY_TRIANGLES, 1);
    let packed = pack(&source);
    let scene_bytes: usize = packed.blobs.iter().map(|blob| blob.bytes.len()).sum::<usize>() + packed.root.bytes.len();
    let camera = source.default_camera(SIZE.width as f32 / SIZE.height as f32);
    let objects: Vec<u32> = indices(source.instances.iter().map(|i| i.user_id), &MOVABLE_OBJECTS.map(|(_, id)| id));
    let lights: Vec<u32> = indices(source.lights.iter().map(|light| light.user_id), &MOVABLE_LIGHTS);
    let (base_instances, base_lights) = (source.instances.clone(), source.lights.clone());
    let scene = session.create_scene();
    scene.replace(source).map_err(text)?;

    let frames = if arguments.full { 10 * FRAMES } else { FRAMES };
    let sizes = sizes(&view, 0, frames, |t| {
        let moved: Vec<(u32, Affine3A)> = objects
            .iter()
            .map(|i| {
                (*i, Affine3A::from_translation(Vec3::new(t, 0.0, 0.1 * t)) * base_instances[*i as usize].transform)
            })
            .collect();
        scene.set_transforms(&moved).map_err(text)?;
        for index in &lights {
            let mut light = base_lights[*index as usize];
            light.position.x += t;
            scene.set_light(*index, light).map_err(text)?;
        }
        let mut camera = camera;
        camera.position.x += 0.05 * t;
        camera.rotation = Quat::from_rotation_y(0.01 * t) * camera.rotation;
        Ok((scene.commit().map_err(text)?, camera))
    })?;
    let p50 = sizes[sizes.len() / 2];
    let mut report = Report::new("state");
    report.number("p50_bytes", p50);
    report.number("max_bytes", sizes[sizes.len() - 1]);
    report.number("bytes_per_character", bytes_per_character(&session, &view)?);
    report.number("scene_bytes", scene_bytes as f64);
    report.number("scene_to_frame_ratio", scene_bytes as f64 / p50);
    Ok(report)
}

/// Bytes sent for each of `frames` frames, sorted. `change` is told a time in seconds; it moves things and gives the revision
/// and the camera.
fn sizes(
    view: &ViewHandle,
    first_frame: u64,
    frames: u64,
    mut change: impl FnMut(f32) -> Result<(u64, Camera), String>,
) -> Result<Vec<f64>, String> {
    let text = |error: rayloom::Error| error.to_string();
    let mut sizes = Vec::new();
    let mut sent_before = None;
    for frame_id in first_frame.. {
        let (revision, camera) = change((frame_id - first_frame) as f32 / 30.0)?;
        view.begin_frame(FrameDesc::new(frame_id, revision, camera)).map_err(text)?;
        let output = view.acquire(frame_id, Duration::from_secs(60)).map_err(text)?;
        let sent: u64 = view.stats().peers.iter().map(|peer| peer.bytes_sent).sum();
        // Frames before the scene is there carry nothing; the first ones after that are sent whole.
        if let Some(before) = sent_before.replace(sent).filter(|before| output.fresh == 1.0 && *before > 0) {
            sizes.push((sent - before) as f64);
        }
        if sizes.len() as u64 == frames {
            break;
        }
    }
    sizes.sort_by(f64::total_cmp);
    Ok(sizes)
}

/// What a frame's state grows by for each character of 64 joints that move, against the same frame at rest.
fn bytes_per_character(session: &Session, view: &ViewHandle) -> Result<f64, String> {
    let text = |error: rayloom::Error| error.to_string();
    let rungs = (0..JOINTS as u32).flat_map(|i| [0.0, 1.0].map(|y| Vec3::new(i as f32 * 0.1, y, 0.0)));
    let indices = (0..JOINTS as u32 * 2 - 2).flat_map(|i| [i, i + 1, i + 2]).collect();
    let mut ladder = Mesh::from_triangles(rungs.collect(), indices, 0);
    ladder.joints = (0..JOINTS as u16 * 2).map(|i| [i / 2, 0, 0, 0]).collect();
    ladder.weights = vec![[1.0, 0.0, 0.0, 0.0]; JOINTS * 2];
    let pose = |instance: u32, t: f32| {
        let joint = |i: usize| {
            let turn = Quat::from_rotation_y(t + i as f32) * Quat::from_rotation_x(0.3 * t);
            Affine3A::from_rotation_translation(turn, Vec3::new(0.1 * t, i as f32 * 0.01, instance as f32))
        };
        Pose { instance, palette: (0..JOINTS).map(joint).collect(), morph_weights: Vec::new() }
    };
    let place = |i: u32| Instance { mesh: 0, transform: Affine3A::IDENTITY, user_id: i.into() };
    let scene = session.create_scene();
    let source = Scene {
        meshes: vec![Arc::new(ladder)],
        materials: vec![Material::default()],
        instances: (0..CHARACTERS).map(place).collect(),
        poses: (0..CHARACTERS).map(|i| pose(i, 0.0)).collect(),
        ..Scene::default()
    };
    let camera = source.default_camera(SIZE.width as f32 / SIZE.height as f32);
    scene.replace(source).map_err(text)?;
    let at_rest = sizes(view, 1_000_000, CHARACTER_FRAMES, |_| Ok((scene.commit().map_err(text)?, camera)))?;
    let moving = sizes(view, 2_000_000, CHARACTER_FRAMES, |t| {
        let poses: Vec<Pose> = (0..CHARACTERS).map(|i| pose(i, 1.0 + t)).collect();
        scene.set_poses(&poses).map_err(text)?;
        Ok((scene.commit().map_err(text)?, camera))
    })?;
    let median = |sizes: &[f64]| sizes[sizes.len() / 2];
    Ok((median(&moving) - median(&at_rest)) / f64::from(CHARACTERS))
}

/// Where these user ids stand.
fn indices(ids: impl Iterator<Item = u64> + Clone, wanted: &[u64]) -> Vec<u32> {
    let place = |id: &u64| ids.clone().position(|other| other == *id).map(|index| index as u32);
    wanted.iter().filter_map(place).collect()
}
