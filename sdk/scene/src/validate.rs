//! The rules of a scene, checked where data comes in, so that nobody behind has to.

use crate::repair::MAX_COORDINATE_M;
use crate::{AlphaMode, Environment, Instance, Light, LightShape, Material, Scene, SceneError, Texture, TextureSlot};
use glam::Vec3;
use std::f32::consts::FRAC_PI_2;
use std::sync::Arc;

/// Smallest and largest length of an instance's axes: its inverse and its boxes' areas stay within f32.
const AXIS_LENGTH: std::ops::RangeInclusive<f32> = 1e-9..=1e6;

/// What [`Scene::validate`] had to repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Triangles dropped for a corner that is not finite (or farther than a million kilometres).
    pub triangles_non_finite: usize,
    /// Triangles dropped for having no area.
    pub triangles_degenerate: usize,
    /// Meshes that came without usable normals and got flat ones.
    pub meshes_with_computed_normals: usize,
    /// Meshes that lacked the tangents that their normal maps need.
    pub meshes_with_computed_tangents: usize,
    /// Normals, tangents and texture coordinates replaced because they were unusable.
    pub attributes_repaired: usize,
    /// Materials with a factor outside its range, clamped.
    pub materials_clamped: usize,
}

impl Report {
    /// True when nothing had to be repaired.
    pub fn is_clean(&self) -> bool {
        *self == Report::default()
    }

    pub(crate) fn add(&mut self, other: Report) {
        self.triangles_non_finite += other.triangles_non_finite;
        self.triangles_degenerate += other.triangles_degenerate;
        self.meshes_with_computed_normals += other.meshes_with_computed_normals;
        self.meshes_with_computed_tangents += other.meshes_with_computed_tangents;
        self.attributes_repaired += other.attributes_repaired;
        self.materials_clamped += other.materials_clamped;
    }
}

impl Scene {
    /// Checks everything, and repairs what can be: see [`crate::Mesh::repair`]. Meshes that need no repair keep their `Arc`.
    ///
    /// Costs about 20 ns a vertex; a frame that only moves things needs [`Scene::validate_placement`] alone.
    ///
    /// # Errors
    /// [`SceneError::Invalid`] names the first object that breaks a rule which cannot be repaired.
    pub fn validate(&mut self) -> Result<Report, SceneError> {
        let mut report = Report::default();
        for (i, texture) in self.textures.iter().enumerate() {
            texture.extent().map_err(|e| prefix(e, &format!("texture {i}")))?;
        }
        for i in 0..self.materials.len() {
            let clamped = check_material(i, &mut self.materials[i], &self.textures)?;
            report.materials_clamped += usize::from(clamped);
        }
        for (i, mesh) in self.meshes.iter_mut().enumerate() {
            let object = format!("mesh {i}");
            if mesh.needs_repair(&object, &self.materials)? {
                report.add(Arc::make_mut(mesh).repair(&object, &self.materials)?);
            }
        }
        self.validate_placement()?;
        Ok(report)
    }

    /// Checks what may change from frame to frame: instances and their poses, lights, environment, cameras.
    ///
    /// # Errors
    /// [`SceneError::Invalid`] names the object with its user id, and the value.
    pub fn validate_placement(&self) -> Result<(), SceneError> {
        for (i, instance) in self.instances.iter().enumerate() {
            check_instance(i, instance, self.meshes.len())?;
        }
        self.validate_poses()?;
        for (i, light) in self.lights.iter().enumerate() {
            check_light(i, light)?;
        }
        check_environment(&self.environment)?;
        if let Some(camera) = self.cameras.iter().find(|c| !c.camera.is_valid()) {
            return invalid(
                format!("camera {:?}", camera.name),
                "has a non-finite value, a rotation that is no unit quaternion, or no field of view".into(),
            );
        }
        Ok(())
    }
}

fn invalid<T>(object: String, reason: String) -> Result<T, SceneError> {
    Err(SceneError::Invalid { object, reason })
}

fn prefix(error: SceneError, name: &str) -> SceneError {
    match error {
        SceneError::Invalid { object, reason } => SceneError::Invalid { object: format!("{name}, {object}"), reason },
        other => other,
    }
}

fn check_material(index: usize, material: &mut Material, textures: &[Arc<Texture>]) -> Result<bool, SceneError> {
    let object = || format!("material {index} (user id {})", material.user_id);
    let factors = [
        material.metallic,
        material.roughness,
        material.normal_scale,
        material.occlusion_strength,
        if let AlphaMode::Mask { cutoff } = material.alpha { cutoff } else { 0.0 },
    ];
    if !(material.base_color.is_finite() && material.emissive.is_finite() && factors.iter().all(|f| f.is_finite())) {
        return invalid(object(), format!("has a factor that is not finite: {material:?}"));
    }
    for TextureSlot { texture, offset, scale, rotation } in material.texture_slots().flatten() {
        if *texture as usize >= textures.len() {
            return invalid(object(), format!("reads texture {texture}, but the scene has {}", textures.len()));
        }
        if !(offset.is_finite() && scale.is_finite() && rotation.is_finite()) {
            return invalid(object(), format!("transforms texture {texture} by a value that is not finite"));
        }
    }
    check_glass(material, textures).or_else(|reason| invalid(object(), reason))?;
    let ranged = |m: &Material| {
        let factors = [m.metallic, m.roughness, m.occlusion_strength, m.transmission];
        (m.base_color, factors, m.emissive, m.attenuation_color)
    };
    let before = ranged(material);
    material.base_color = material.base_color.clamp(glam::Vec4::ZERO, glam::Vec4::ONE);
    material.metallic = material.metallic.clamp(0.0, 1.0);
    material.roughness = material.roughness.clamp(0.0, 1.0);
    material.emissive = material.emissive.max(Vec3::ZERO);
    material.occlusion_strength = material.occlusion_strength.clamp(0.0, 1.0);
    material.transmission = material.transmission.clamp(0.0, 1.0);
    material.attenuation_color = material.attenuation_color.clamp(Vec3::ZERO, Vec3::ONE);
    Ok(before != ranged(material))
}

/// What makes glass of a material; the reason where a value means nothing.
fn check_glass(m: &Material, textures: &[Arc<Texture>]) -> Result<(), String> {
    if !m.transmission.is_finite() {
        return Err(format!("has transmission {}; it must be a number from 0 to 1", m.transmission));
    }
    if !(m.ior >= 1.0 && m.ior.is_finite()) {
        return Err(format!("has index of refraction {}; it must be at least 1, and glass has about 1.5", m.ior));
    }
    if !(m.thickness >= 0.0 && m.thickness.is_finite()) {
        return Err(format!("has thickness {}; it must be 0 for a thin sheet or above 0 for a body", m.thickness));
    }
    // Not `<= 0.0`, which is false for NaN.
    if m.attenuation_distance <= 0.0 || m.attenuation_distance.is_nan() {
        let distance = m.attenuation_distance;
        return Err(format!("has attenuation distance {distance}; it must be above 0 m, infinite for clear glass"));
    }
    if !m.attenuation_color.is_finite() {
        return Err(format!(
            "has attenuation colour {}; its channels must be numbers from 0 to 1",
            m.attenuation_color
        ));
    }
    let Some(slot) = &m.thickness_texture else { return Ok(()) };
    let texture = &textures[slot.texture as usize];
    match texture.channels().map_err(|e| e.to_string())? {
        channels @ 0..3 => Err(format!(
            "reads its thickness from the green of texture {} (user id {}), which has {channels} channel{} and no green: \
             store it as RGB",
            slot.texture,
            texture.user_id,
            if channels == 1 { "" } else { "s" }
        )),
        _ => Ok(()),
    }
}

fn check_instance(index: usize, instance: &Instance, meshes: usize) -> Result<(), SceneError> {
    let object = || format!("instance {index} (user id {})", instance.user_id);
    if instance.mesh as usize >= meshes {
        return invalid(object(), format!("places mesh {}, but the scene has {meshes}", instance.mesh));
    }
    let transform = &instance.transform;
    let translation = Vec3::from(transform.translation);
    if !(transform.is_finite() && translation.abs().max_element() <= MAX_COORDINATE_M) {
        return invalid(
            object(),
            format!("has a transform that is not finite or places it beyond {MAX_COORDINATE_M} m: {transform}"),
        );
    }
    if !is_invertible(transform) {
        return invalid(
            object(),
            format!(
                "has a singular transform {transform}: its axes must be 1e-9 to 1e6 long and not lie in a plane; leave hidden objects out"
            ),
        );
    }
    Ok(())
}

/// True when the axes have usable lengths and span space.
pub(crate) fn is_invertible(transform: &glam::Affine3A) -> bool {
    let m = transform.matrix3;
    let lengths = [m.x_axis, m.y_axis, m.z_axis].map(|axis| Vec3::from(axis).as_dvec3().length() as f32);
    let volume =
        Vec3::from(m.x_axis).as_dvec3().cross(Vec3::from(m.y_axis).as_dvec3()).dot(Vec3::from(m.z_axis).as_dvec3());
    let product: f64 = lengths.iter().map(|l| f64::from(*l)).product();
    lengths.iter().all(|l| AXIS_LENGTH.contains(l)) && volume.abs() > 1e-6 * product
}

fn check_light(index: usize, light: &Light) -> Result<(), SceneError> {
    let object = || format!("light {index} (user id {})", light.user_id);
    if !(light.color.is_finite() && light.color.min_element() >= 0.0) {
        return invalid(object(), format!("has colour {}; it must be finite and not negative", light.color));
    }
    if !(light.position.is_finite() && light.position.abs().max_element() <= MAX_COORDINATE_M) {
        return invalid(object(), format!("is at {}, which is not finite or too far away", light.position));
    }
    if !(light.range.is_finite() && light.range >= 0.0) {
        return invalid(object(), format!("has range {}; it must be finite, 0 for unlimited", light.range));
    }
    let directed = !matches!(light.shape, LightShape::Point);
    let is_unit = (light.direction.length_squared() - 1.0).abs() < 1e-3;
    if directed && !is_unit {
        return invalid(object(), format!("has direction {}; it must be a unit vector", light.direction));
    }
    match light.shape {
        LightShape::Directional { angle } if !(0.0..=FRAC_PI_2).contains(&angle) => {
            invalid(object(), format!("has a disc of half angle {angle}; it must be 0 to pi/2 radians"))
        }
        LightShape::Spot { inner, outer }
            if !(inner >= 0.0 && inner <= outer && outer > 0.0 && outer <= FRAC_PI_2 + 1e-4) =>
        {
            invalid(object(), format!("has cone angles {inner} and {outer}; 0 <= inner <= outer <= pi/2 must hold"))
        }
        _ => Ok(()),
    }
}

fn check_environment(environment: &Environment) -> Result<(), SceneError> {
    for (name, radiance) in
        [("zenith", environment.zenith), ("horizon", environment.horizon), ("ground", environment.ground)]
    {
        if !(radiance.is_finite() && radiance.min_element() >= 0.0) {
            return invalid(
                "environment".into(),
                format!("{name} is {radiance}; radiance must be finite and not negative"),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mesh;
    use glam::Affine3A;

    fn scene() -> Scene {
        let mesh = Mesh::from_triangles(vec![Vec3::ZERO, Vec3::X, Vec3::Y], vec![0, 1, 2], 0);
        Scene {
            meshes: vec![Arc::new(mesh)],
            materials: vec![Material::default()],
            instances: vec![Instance { mesh: 0, transform: Affine3A::IDENTITY, user_id: 77 }],
            ..Scene::default()
        }
    }

    #[test]
    fn validating_twice_changes_nothing_and_keeps_meshes() {
        let mut scene = scene();
        assert_eq!(scene.validate().unwrap().meshes_with_computed_normals, 1);
        let before = scene.clone();
        assert!(scene.validate().unwrap().is_clean());
        assert!(Arc::ptr_eq(&scene.meshes[0], &before.meshes[0]));
        assert_eq!(scene, before);
    }

    #[test]
    fn a_bad_transform_is_an_error_with_the_user_id_and_a_mirror_is_none() {
        let mut scene = scene();
        scene.validate().unwrap();
        scene.instances[0].transform = Affine3A::from_scale(Vec3::new(-1.0, 2.0, 0.5));
        scene.validate_placement().unwrap();
        for scale in [Vec3::new(1.0, 0.0, 1.0), Vec3::new(1.0, f32::NAN, 1.0), Vec3::splat(1e30)] {
            scene.instances[0].transform = Affine3A::from_scale(scale);
            let text = scene.validate_placement().unwrap_err().to_string();
            assert!(text.contains("instance 0 (user id 77)"), "{text}");
        }
        scene.instances[0] = Instance { mesh: 3, transform: Affine3A::IDENTITY, user_id: 5 };
        assert!(scene.validate().unwrap_err().to_string().contains("user id 5"));
    }

    #[test]
    fn lights_and_materials_out_of_range_are_named() {
        let mut scene = scene();
        scene.materials[0].roughness = 3.0;
        assert_eq!(scene.validate().unwrap().materials_clamped, 1);
        assert_eq!(scene.materials[0].roughness, 1.0);
        scene.materials[0].user_id = 9;
        scene.materials[0].metallic = f32::INFINITY;
        assert!(scene.validate().unwrap_err().to_string().contains("user id 9"));
        scene.materials[0] = Material::default();
        scene.lights.push(Light {
            shape: LightShape::Point,
            color: Vec3::new(1.0, -1.0, 1.0),
            position: Vec3::ZERO,
            direction: Vec3::ZERO,
            range: 0.0,
            user_id: 12,
        });
        assert!(scene.validate().unwrap_err().to_string().contains("user id 12"));
    }
}
