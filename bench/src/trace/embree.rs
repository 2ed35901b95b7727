//! Embree 3 as a yardstick, if the machine has it: loaded at run time, a few functions declared by hand (rtcore.h).
#![allow(unsafe_code)]

use super::rays::{RayHit, RaySet};
use super::scenes::BenchScene;
use libloading::Library;
use std::ffi::{c_char, c_uint, c_void};

/// RTCRayHit of Embree 3.13: RTCRay, then RTCHit.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct RayHitRecord {
    origin: [f32; 3],
    t_near: f32,
    direction: [f32; 3],
    time: f32,
    t_far: f32,
    mask: c_uint,
    id: c_uint,
    flags: c_uint,
    normal: [f32; 3],
    u: f32,
    v: f32,
    primitive: c_uint,
    geometry: c_uint,
    instance: c_uint,
}

/// RTCIntersectContext of Embree 3.13 with one level of instances.
#[repr(C)]
struct IntersectContext {
    flags: c_uint,
    filter: *const c_void,
    instance: [c_uint; 1],
    /// Present only in builds with RTC_MIN_WIDTH; unread by others.
    min_width_factor: f32,
}

const INVALID: c_uint = c_uint::MAX;
const GEOMETRY_TYPE_TRIANGLE: c_uint = 0;
const BUFFER_TYPE_INDEX: c_uint = 0;
const BUFFER_TYPE_VERTEX: c_uint = 1;
const FORMAT_UINT3: c_uint = 0x5003;
const FORMAT_FLOAT3: c_uint = 0x9003;
const CONTEXT_INCOHERENT: c_uint = 0;

type Handle = *mut c_void;

pub(crate) struct Embree {
    device: Handle,
    library: Library,
}

impl Embree {
    pub(crate) fn load() -> Result<Embree, String> {
        // SAFETY: Embree's initialisers have no preconditions.
        let library = unsafe { Library::new("libembree3.so.3") }
            .map_err(|e| format!("Embree 3 is not installed (Debian: libembree3-3): {e}"))?;
        // SAFETY: the signature is rtcNewDevice's.
        let new_device = unsafe { library.get::<unsafe extern "C" fn(*const c_char) -> Handle>(b"rtcNewDevice") }
            .map_err(|e| e.to_string())?;
        // SAFETY: the configuration is a terminated string.
        let device = unsafe { new_device(c"threads=1".as_ptr()) };
        if device.is_null() {
            return Err("rtcNewDevice failed".into());
        }
        Ok(Embree { device, library })
    }

    /// Looks up a function of the given type.
    fn function<F: Copy>(&self, name: &str) -> Result<F, String> {
        // SAFETY: callers give the type that rtcore.h declares for the name; the library outlives every use.
        unsafe { self.library.get::<F>(name.as_bytes()) }.map(|s| *s).map_err(|e| format!("{name}: {e}"))
    }

    /// Builds the scene, flattened.
    pub(crate) fn scene(&self, scene: &BenchScene) -> Result<EmbreeScene, String> {
        type One = unsafe extern "C" fn(Handle) -> Handle;
        type Commit = unsafe extern "C" fn(Handle);
        type NewGeometry = unsafe extern "C" fn(Handle, c_uint) -> Handle;
        type NewBuffer = unsafe extern "C" fn(Handle, c_uint, c_uint, c_uint, usize, usize) -> *mut c_void;
        type Attach = unsafe extern "C" fn(Handle, Handle) -> c_uint;
        let new_scene: One = self.function("rtcNewScene")?;
        let new_geometry: NewGeometry = self.function("rtcNewGeometry")?;
        let new_buffer: NewBuffer = self.function("rtcSetNewGeometryBuffer")?;
        let commit_geometry: Commit = self.function("rtcCommitGeometry")?;
        let attach: Attach = self.function("rtcAttachGeometry")?;
        let release_geometry: Commit = self.function("rtcReleaseGeometry")?;
        let commit_scene: Commit = self.function("rtcCommitScene")?;
        // SAFETY: the device is live.
        let handle = unsafe { new_scene(self.device) };
        for (mesh, transform) in &scene.instances {
            let (positions, indices) = (&scene.meshes[*mesh].positions, &scene.meshes[*mesh].indices);
            if indices.is_empty() {
                continue;
            }
            // SAFETY: the device is live.
            let geometry = unsafe { new_geometry(self.device, GEOMETRY_TYPE_TRIANGLE) };
            // SAFETY: the geometry is live; Embree allocates room for as many items as asked, or answers null.
            let vertices = unsafe { new_buffer(geometry, BUFFER_TYPE_VERTEX, 0, FORMAT_FLOAT3, 12, positions.len()) };
            // SAFETY: as above.
            let corners = unsafe { new_buffer(geometry, BUFFER_TYPE_INDEX, 0, FORMAT_UINT3, 12, indices.len() / 3) };
            if vertices.is_null() || corners.is_null() {
                return Err("Embree is out of memory".into());
            }
            for (i, p) in positions.iter().enumerate() {
                // SAFETY: the buffer holds positions.len() triples of f32.
                unsafe { vertices.cast::<[f32; 3]>().add(i).write(transform.transform_point3(*p).to_array()) };
            }
            for (i, c) in indices.as_chunks::<3>().0.iter().enumerate() {
                // SAFETY: the buffer holds indices.len() / 3 triples of u32.
                unsafe { corners.cast::<[u32; 3]>().add(i).write(*c) };
            }
            // SAFETY: geometry and scene are live and of the same device.
            unsafe {
                commit_geometry(geometry);
                attach(handle, geometry);
                release_geometry(geometry);
            }
        }
        // SAFETY: the scene is live.
        unsafe { commit_scene(handle) };
        Ok(EmbreeScene {
            scene: handle,
            intersect: self.function("rtcIntersect1")?,
            occluded: self.function("rtcOccluded1")?,
            release: self.function("rtcReleaseScene")?,
        })
    }
}

type Trace = unsafe extern "C" fn(Handle, *mut IntersectContext, *mut RayHitRecord);

pub(crate) struct EmbreeScene {
    scene: Handle,
    intersect: Trace,
    occluded: Trace,
    release: unsafe extern "C" fn(Handle),
}

impl EmbreeScene {
    pub(crate) fn trace(&mut self, set: &RaySet) -> Vec<RayHit> {
        let mut context = IntersectContext {
            flags: CONTEXT_INCOHERENT,
            filter: std::ptr::null(),
            instance: [INVALID],
            min_width_factor: 0.0,
        };
        let walk = if set.any_hit { self.occluded } else { self.intersect };
        set.rays
            .iter()
            .map(|ray| {
                let mut record = RayHitRecord {
                    origin: ray.origin.to_array(),
                    t_near: ray.t_min,
                    direction: ray.direction.to_array(),
                    time: 0.0,
                    t_far: ray.t_max,
                    mask: c_uint::MAX,
                    id: 0,
                    flags: 0,
                    normal: [0.0; 3],
                    u: 0.0,
                    v: 0.0,
                    primitive: INVALID,
                    geometry: INVALID,
                    instance: INVALID,
                };
                // SAFETY: the scene is committed; context and record are live, aligned and laid out as Embree 3.13
                // declares them (an occlusion ray is the record's first part).
                unsafe { walk(self.scene, &mut context, &mut record) };
                match set.any_hit {
                    true => RayHit { hit: record.t_far < 0.0, t: 0.0 },
                    false => RayHit { hit: record.geometry != INVALID, t: record.t_far },
                }
            })
            .collect()
    }
}

impl Drop for EmbreeScene {
    fn drop(&mut self) {
        // SAFETY: the scene is live and not used afterwards.
        unsafe { (self.release)(self.scene) };
    }
}
