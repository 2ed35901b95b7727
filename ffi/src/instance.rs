//! Instances of a scene: meshes that stand somewhere.

use crate::boundary;
use crate::convention::failure;
use crate::handles;
use crate::pointer::{self, descriptor};
use crate::result::{Failure, rayloom_result};
use crate::scene::rayloom_scene;
use crate::view::check_reserved;
use sdk::scene::Instance;
use std::ffi::c_void;

/// struct_type of rayloom_instance_desc.
pub const RAYLOOM_STRUCT_INSTANCE_DESC: u32 = 15;

/// One placement of a mesh.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_instance_desc {
    /// RAYLOOM_STRUCT_INSTANCE_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_instance_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// The engine's own name for it.
    pub user_id: u64,
    /// Id of a mesh.
    pub mesh: u32,
    /// 0.
    pub reserved: u32,
    /// From mesh space to world, in the scene's convention; finite and invertible.
    pub transform: [f32; 16],
}
descriptor!(rayloom_instance_desc, RAYLOOM_STRUCT_INSTANCE_DESC);

/// Adds an instance and gives its id in the scene.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_instance_create(
    scene: *mut rayloom_scene,
    desc: *const rayloom_instance_desc,
    instance: *mut u32,
) -> rayloom_result {
    boundary::call("rayloom_instance_create", || {
        let scene = handles::find(scene)?;
        // SAFETY: the header's contract.
        let (desc, out) = unsafe { (pointer::read("desc", desc)?, pointer::out("instance", instance)?) };
        let named = |failure: Failure| failure.of("instance", desc.user_id);
        check_reserved("desc->reserved", desc.reserved).map_err(named)?;
        let transform = scene.convention.transform("desc->transform", &desc.transform);
        let transform = transform.map_err(failure).map_err(named)?;
        let determinant = transform.matrix3.determinant();
        if determinant == 0.0 || !determinant.is_finite() {
            let text = format!("desc->transform has determinant {determinant}: it must be invertible");
            return Err(named(Failure::argument(text)));
        }
        let meshes = scene.read(|scene| scene.meshes.len());
        if desc.mesh as usize >= meshes {
            return Err(named(Failure::argument(format!("desc->mesh is {}, the scene has {meshes}", desc.mesh))));
        }
        out.write(scene.edit(|scene| {
            scene.instances.push(Instance { mesh: desc.mesh, transform, user_id: desc.user_id });
            scene.instances.len() as u32 - 1
        }));
        Ok(())
    })
}
