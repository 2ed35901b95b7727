//! A reference: radiance and depth of an EXR, the camera that they were seen by, and how the scene was lit.

use exr::prelude::{FlatSamples, ReadChannels, ReadLayers, read};
use glam::{Mat3, Quat, Vec2, Vec3};
use rayloom_frame::Extent;
use rayloom_scene::{Camera, Environment, Light, LightShape, Scene};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Most pixels of a reference.
const MAX_PIXELS: usize = 7680 * 4320;
/// What a reference's mean luminance is exposed to.
const MEAN_EXPOSED: f32 = 0.35;
/// Depths from which on the reference shows the sky.
const SKY: f32 = 1e9;

pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) extent: Extent,
    /// Scene-linear, rows from the top.
    pub(crate) radiance: Vec<Vec3>,
    /// Along the view axis in metres; infinite on the sky.
    pub(crate) depth: Vec<f32>,
    pub(crate) camera: Camera,
    pub(crate) max_bounces: u8,
    scene: PathBuf,
    sun: Option<Light>,
    sky: Vec3,
}

/// Names of all references in a folder, in order.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("cannot read {}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .filter(|name| folder.join(name).join("reference.exr").is_file())
        .collect();
    names.sort();
    Ok(names)
}

impl Reference {
    pub(crate) fn read(folder: &Path, name: &str) -> Result<Reference, String> {
        let meta_path = folder.join(name).join("meta.json");
        let wrong = |what: &str| format!("{}: {what}", meta_path.display());
        let bytes = std::fs::read(&meta_path).map_err(|e| wrong(&e.to_string()))?;
        let meta: Value = serde_json::from_slice(&bytes).map_err(|e| wrong(&e.to_string()))?;
        let number = |v: &Value, what: &str| {
            v.as_f64().map(|n| n as f32).filter(|n| n.is_finite()).ok_or_else(|| wrong(&format!("{what} is no number")))
        };
        let entry = |matrix: &str, row: usize, column: usize| {
            number(&meta[matrix][row][column], &format!("{matrix}[{row}][{column}]"))
        };
        let vector = |v: &Value, what: &str| -> Result<Vec3, String> {
            Ok(Vec3::new(number(&v[0], what)?, number(&v[1], what)?, number(&v[2], what)?))
        };
        let column = |c| -> Result<Vec3, String> {
            let world = |r| entry("camera_to_world_rowmajor", r, c);
            Ok(Vec3::new(world(0)?, world(1)?, world(2)?))
        };
        let projection = |r, c| entry("projection_rowmajor_gl", r, c);
        let camera = Camera {
            position: column(3)?,
            rotation: Quat::from_mat3(&Mat3::from_cols(column(0)?, column(1)?, column(2)?)).normalize(),
            tan_half_fov: Vec2::new(1.0 / projection(0, 0)?, 1.0 / projection(1, 1)?),
            center: Vec2::new(-projection(0, 2)?, -projection(1, 2)?),
            jitter: Vec2::ZERO,
        };
        if !camera.is_valid() {
            return Err(wrong(&format!("its matrices make no camera: {camera:?}")));
        }
        let setup = &meta["setup"];
        let sun = match &setup["sun"] {
            Value::Null => None,
            sun => Some(Light {
                shape: LightShape::Directional {
                    angle: sun["angle_deg"].as_f64().unwrap_or(0.0).to_radians() as f32 * 0.5,
                },
                color: vector(&sun["irradiance"], "sun.irradiance")?,
                position: Vec3::ZERO,
                direction: -vector(&sun["direction"], "sun.direction")?.normalize_or(Vec3::Y),
                range: 0.0,
                user_id: 0,
            }),
        };
        let scene = setup["scene"].as_str().ok_or_else(|| wrong("setup.scene is no file"))?;
        let bounces = setup["max_bounces"].as_u64().unwrap_or(4);
        let max_bounces = u8::try_from(bounces).ok().filter(|b| *b <= rayloom_renderer::MAX_BOUNCES);
        let max_bounces = max_bounces.ok_or_else(|| wrong(&format!("setup.max_bounces is {bounces}")))?;
        let (extent, radiance, depth) = read_exr(&folder.join(name).join("reference.exr"))?;
        Ok(Reference {
            name: name.to_owned(),
            extent,
            radiance,
            depth,
            camera,
            max_bounces,
            scene: folder.join(scene),
            sun,
            sky: vector(&setup["sky"], "setup.sky")?,
        })
    }

    /// What its light is multiplied by for the eye.
    pub(crate) fn exposure(&self) -> f32 {
        let sum: glam::DVec3 = self.radiance.iter().map(|light| light.as_dvec3()).sum();
        let mean = (sum / self.radiance.len().max(1) as f64).as_vec3();
        MEAN_EXPOSED / mean.dot(Vec3::new(0.2126, 0.7152, 0.0722)).max(1e-9)
    }

    /// The scene as the other renderer had it: lit as the setup says, all glass as bodies that refract.
    pub(crate) fn scene(&self) -> Result<Scene, String> {
        let mut scene = rayloom_scene::gltf::load(&self.scene, &mut |_| ()).map_err(|e| e.to_string())?;
        scene.lights.extend(self.sun);
        scene.environment = Environment::constant(self.sky);
        for glass in scene.materials.iter_mut().filter(|m| m.transmission > 0.0) {
            glass.thickness = glass.thickness.max(1e-3);
        }
        Ok(scene)
    }
}

fn read_exr(path: &Path) -> Result<(Extent, Vec<Vec3>, Vec<f32>), String> {
    let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let reader = read().no_deep_data().largest_resolution_level().all_channels().first_valid_layer().all_attributes();
    let image = reader.from_file(path).map_err(|e| wrong(&e))?;
    let (width, height) = (image.layer_data.size.width(), image.layer_data.size.height());
    let pixels = width.checked_mul(height).filter(|n| (1..=MAX_PIXELS).contains(n));
    let pixels = pixels.ok_or_else(|| wrong(&format!("{width}x{height} pixels")))?;
    let channel = |name: &str| -> Result<Vec<f32>, String> {
        let ends = format!(".{name}");
        let list = &image.layer_data.channel_data.list;
        let named = |c: &&exr::prelude::AnyChannel<FlatSamples>| {
            let text = c.name.to_string();
            text == name || text.ends_with(&format!("Combined{ends}"))
        };
        let found = list.iter().find(named).ok_or_else(|| wrong(&format!("it has no channel {name}")))?;
        let values: Vec<f32> = found.sample_data.values_as_f32().collect();
        if values.len() == pixels { Ok(values) } else { Err(wrong(&format!("channel {name} is subsampled"))) }
    };
    let (r, g, b) = (channel("R")?, channel("G")?, channel("B")?);
    let radiance = r.iter().zip(&g).zip(&b).map(|((r, g), b)| Vec3::new(*r, *g, *b)).collect();
    let depth = channel("depth.Z")?.into_iter().map(|z| if z < SKY { z } else { f32::INFINITY }).collect();
    Ok((Extent::new(width as u32, height as u32), radiance, depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let folder = std::env::temp_dir().join(format!("rayloom-reference-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a")).unwrap();
        let error = |what: &str| Reference::read(&folder, "a").err().filter(|e| e.contains(what)).expect(what);
        error("meta.json");
        std::fs::write(folder.join("a/meta.json"), r#"{"camera_to_world_rowmajor": [[1, 0, "x"]]}"#).unwrap();
        error("camera_to_world_rowmajor[");
        std::fs::write(folder.join("a/reference.exr"), b"no picture").unwrap();
        assert!(read_exr(&folder.join("a/reference.exr")).unwrap_err().contains("reference.exr"));
        std::fs::write(folder.join("a.json"), b"{}").unwrap();
        assert_eq!(names(&folder).unwrap(), ["a"]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
