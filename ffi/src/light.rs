//! Lights of a scene.

use crate::boundary;
use crate::handles;
use crate::pointer::{self, descriptor};
use crate::result::{Failure, rayloom_result};
use crate::scene::rayloom_scene;
use glam::Vec3;
use sdk::scene::{Light, LightShape};
use std::f32::consts::FRAC_PI_2;
use std::ffi::c_void;

/// Infinitely far: color is irradiance on a surface that faces it, in W/m2.
pub const RAYLOOM_LIGHT_DIRECTIONAL: u32 = 0;
/// A point: color is radiant intensity in W/sr.
pub const RAYLOOM_LIGHT_POINT: u32 = 1;
/// A cone about direction: color is radiant intensity on its axis in W/sr.
pub const RAYLOOM_LIGHT_SPOT: u32 = 2;

/// struct_type of rayloom_light_desc.
pub const RAYLOOM_STRUCT_LIGHT_DESC: u32 = 16;

/// One light, in the scene's convention.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_light_desc {
    /// RAYLOOM_STRUCT_LIGHT_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_light_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// The engine's own name for it.
    pub user_id: u64,
    /// A RAYLOOM_LIGHT_ value.
    pub kind: u32,
    /// Half angle of a directional light's disc in radians, 0 (hard shadows) to pi / 2.
    pub angle_rad: f32,
    /// Linear RGB in the unit that kind names, divided by the light_scale of the scene's convention.
    pub color: [f32; 3],
    /// Position; unused by directional lights.
    pub position: [f32; 3],
    /// Direction in which the light travels; unused by point lights.
    pub direction: [f32; 3],
    /// Distance at which it has faded to nothing; 0 = unlimited.
    pub range: f32,
    /// Angle from a spot's axis in radians within which it has full intensity.
    pub inner_rad: f32,
    /// Angle beyond which it has none; above inner_rad, at most pi / 2.
    pub outer_rad: f32,
}
descriptor!(rayloom_light_desc, RAYLOOM_STRUCT_LIGHT_DESC);

/// Adds a light and gives its id in the scene.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_light_create(
    scene: *mut rayloom_scene,
    desc: *const rayloom_light_desc,
    light: *mut u32,
) -> rayloom_result {
    boundary::call("rayloom_light_create", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let (desc, out) = unsafe { (pointer::read("desc", desc)?, pointer::out("light", light)?) };
        let light = scene.convention.light(&to_light(&desc)?);
        out.write(scene.edit(|scene| {
            scene.lights.push(light);
            scene.lights.len() as u32 - 1
        }));
        Ok(())
    })
}

/// Changes a light; shown from the next commit on, and travels with the frames.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_set_light(
    scene: *mut rayloom_scene,
    light: u32,
    desc: *const rayloom_light_desc,
) -> rayloom_result {
    boundary::call("rayloom_scene_set_light", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let desc = unsafe { pointer::read("desc", desc) }?;
        Ok(scene.set_light(light, scene.convention.light(&to_light(&desc)?))?)
    })
}

/// A light as the last structural change left it, for changing a part of it.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_describe_light(
    scene: *mut rayloom_scene,
    light: u32,
    desc: *mut rayloom_light_desc,
) -> rayloom_result {
    boundary::call("rayloom_scene_describe_light", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out_struct("desc", desc) }?;
        let (found, count) = scene.read(|scene| (scene.lights.get(light as usize).copied(), scene.lights.len()));
        let found =
            found.ok_or_else(|| Failure::argument(format!("light {light} does not exist: the scene has {count}")))?;
        out.write(from_light(&scene.convention.light_back(&found)));
        Ok(())
    })
}

fn to_light(desc: &rayloom_light_desc) -> Result<Light, Failure> {
    let refuse =
        |text: String| Err(Failure::argument(format!("desc of the light with user_id {}: {text}", desc.user_id)));
    let numbers = [desc.angle_rad, desc.range, desc.inner_rad, desc.outer_rad];
    let mut all = numbers.iter().chain(&desc.color).chain(&desc.position).chain(&desc.direction);
    if let Some(value) = all.find(|value| !value.is_finite()) {
        return refuse(format!("a value is {value}, each must be finite"));
    }
    if desc.range < 0.0 || desc.color.iter().any(|value| *value < 0.0) {
        return refuse(format!("color is {:?} and range {}: neither may be negative", desc.color, desc.range));
    }
    let shape = match desc.kind {
        RAYLOOM_LIGHT_DIRECTIONAL if !(0.0..=FRAC_PI_2).contains(&desc.angle_rad) => {
            return refuse(format!("angle_rad is {}, allowed is 0 to pi / 2", desc.angle_rad));
        }
        RAYLOOM_LIGHT_DIRECTIONAL => LightShape::Directional { angle: desc.angle_rad },
        RAYLOOM_LIGHT_POINT => LightShape::Point,
        RAYLOOM_LIGHT_SPOT
            if !(0.0 <= desc.inner_rad && desc.inner_rad < desc.outer_rad && desc.outer_rad <= FRAC_PI_2) =>
        {
            let text = format!(
                "inner_rad {} and outer_rad {}: needed is 0 <= inner < outer <= pi / 2",
                desc.inner_rad, desc.outer_rad
            );
            return refuse(text);
        }
        RAYLOOM_LIGHT_SPOT => LightShape::Spot { inner: desc.inner_rad, outer: desc.outer_rad },
        other => return refuse(format!("kind is {other}: use RAYLOOM_LIGHT_DIRECTIONAL, _POINT or _SPOT")),
    };
    let direction = Vec3::from(desc.direction).try_normalize();
    let direction = match (direction, shape) {
        (Some(direction), _) => direction,
        (None, LightShape::Point) => Vec3::NEG_Y,
        (None, _) => return refuse(format!("direction {:?} has no length", desc.direction)),
    };
    Ok(Light {
        shape,
        color: desc.color.into(),
        position: desc.position.into(),
        direction,
        range: desc.range,
        user_id: desc.user_id,
    })
}

fn from_light(light: &Light) -> rayloom_light_desc {
    let (kind, angle_rad, inner_rad, outer_rad) = match light.shape {
        LightShape::Directional { angle } => (RAYLOOM_LIGHT_DIRECTIONAL, angle, 0.0, 0.0),
        LightShape::Point => (RAYLOOM_LIGHT_POINT, 0.0, 0.0, 0.0),
        LightShape::Spot { inner, outer } => (RAYLOOM_LIGHT_SPOT, 0.0, inner, outer),
    };
    rayloom_light_desc {
        struct_type: RAYLOOM_STRUCT_LIGHT_DESC,
        struct_size: size_of::<rayloom_light_desc>() as u32,
        next: std::ptr::null(),
        user_id: light.user_id,
        kind,
        angle_rad,
        color: light.color.to_array(),
        position: light.position.to_array(),
        direction: light.direction.to_array(),
        range: light.range,
        inner_rad,
        outer_rad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lights_survive_the_way_to_c_and_back() {
        for shape in
            [LightShape::Directional { angle: 0.1 }, LightShape::Point, LightShape::Spot { inner: 0.2, outer: 0.4 }]
        {
            let (color, position) = (Vec3::new(1.0, 2.0, 3.0), Vec3::new(4.0, 5.0, 6.0));
            let light = Light { shape, color, position, direction: Vec3::NEG_Y, range: 9.0, user_id: 7 };
            assert_eq!(to_light(&from_light(&light)).unwrap(), light);
        }
    }
}
