//! Animations of a scene that came from a glTF file.

use crate::boundary;
use crate::handles;
use crate::material::RAYLOOM_NONE;
use crate::pointer::{self, descriptor};
use crate::result::{Failure, rayloom_result};
use crate::scene::rayloom_scene;
use std::ffi::{c_char, c_void};

/// struct_type of rayloom_animation_info.
pub const RAYLOOM_STRUCT_ANIMATION_INFO: u32 = 24;
/// Bytes of an animation's name with its NUL.
pub const RAYLOOM_ANIMATION_NAME_SIZE: usize = 64;

/// What an animation is.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_animation_info {
    /// RAYLOOM_STRUCT_ANIMATION_INFO.
    pub struct_type: u32,
    /// sizeof(rayloom_animation_info).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// Its name in the file, UTF-8 with NUL, cut where it is longer.
    pub name: [c_char; RAYLOOM_ANIMATION_NAME_SIZE],
    /// When its last key is over, in seconds.
    pub duration_s: f32,
    /// 0.
    pub reserved: u32,
}
descriptor!(rayloom_animation_info, RAYLOOM_STRUCT_ANIMATION_INFO);

/// Number of animations of the glTF file that the scene was loaded from; 0 for other scenes.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_animation_count(scene: *mut rayloom_scene, count: *mut u32) -> rayloom_result {
    boundary::call("rayloom_scene_animation_count", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out("count", count) }?;
        out.write(scene.rig().animations.len() as u32);
        Ok(())
    })
}

/// Name and duration of an animation, by its place in the file.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_describe_animation(
    scene: *mut rayloom_scene,
    animation: u32,
    info: *mut rayloom_animation_info,
) -> rayloom_result {
    boundary::call("rayloom_scene_describe_animation", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out_struct("info", info) }?;
        let rig = scene.rig();
        let described = rig.animations.get(animation as usize).ok_or_else(|| {
            let count = rig.animations.len();
            Failure::argument(format!("animation is {animation}, but the scene has {count} animations"))
        })?;
        let mut info = rayloom_animation_info {
            struct_type: RAYLOOM_STRUCT_ANIMATION_INFO,
            struct_size: size_of::<rayloom_animation_info>() as u32,
            next: std::ptr::null(),
            name: [0; RAYLOOM_ANIMATION_NAME_SIZE],
            duration_s: described.duration(),
            reserved: 0,
        };
        pointer::copy_text(&described.name, &mut info.name);
        out.write(info);
        Ok(())
    })
}

/// Moves and shapes everything that animations can move as it is at a time of one of them; RAYLOOM_NONE: as it is at rest.
/// Before its first key an animation stands at that, after its last at that: an engine that repeats it gives
/// fmod(time, duration_s). Cameras and lights stay. It does what rayloom_scene_set_transforms, _set_palettes and
/// _set_morph_weights do, all or none, and what those change afterwards counts. Shown from the next commit on.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_scene_pose_animation(
    scene: *mut rayloom_scene,
    animation: u32,
    time_s: f64,
) -> rayloom_result {
    boundary::call("rayloom_scene_pose_animation", || {
        let scene = handles::find(scene)?;
        Ok(scene.pose_animation((animation != RAYLOOM_NONE).then_some(animation), time_s)?)
    })
}
