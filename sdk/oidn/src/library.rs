//! The C API of Open Image Denoise, 1.x and 2.x, loaded at run time: a device and its filter with buffers of one size.
//!
//! Source: the API's reference at <https://www.openimagedenoise.org/documentation.html>. The functions used are the same in
//! both, but for the one that sets a switch, which 2.0 renamed.

#![allow(unsafe_code)]

use crate::OidnError;
use libloading::Library;
use rayloom_frame::Extent;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Names to try, newest first: the loader looks for them where it looks for every library.
#[cfg(windows)]
const NAMES: &[&str] = &["OpenImageDenoise.dll"];
#[cfg(target_os = "macos")]
const NAMES: &[&str] = &["libOpenImageDenoise.2.dylib", "libOpenImageDenoise.1.dylib", "libOpenImageDenoise.dylib"];
#[cfg(not(any(windows, target_os = "macos")))]
const NAMES: &[&str] = &["libOpenImageDenoise.so.2", "libOpenImageDenoise.so.1", "libOpenImageDenoise.so.0"];

/// `OIDN_DEVICE_TYPE_CPU`, and `OIDN_FORMAT_FLOAT3`. Devices of other kinds, which 2.x would choose by default, may be unable to
/// reach the memory of the images.
const CPU_DEVICE: c_int = 1;
const FLOAT3: c_int = 3;

type NewDevice = unsafe extern "C" fn(c_int) -> *mut c_void;
type OnHandle = unsafe extern "C" fn(*mut c_void);
type DeviceError = unsafe extern "C" fn(*mut c_void, *mut *const c_char) -> c_int;
type DeviceInt = unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int;
type NewFilter = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
type SetImage = unsafe extern "C" fn(*mut c_void, *const c_char, *mut c_void, c_int, usize, usize, usize, usize, usize);
type SetSwitch = unsafe extern "C" fn(*mut c_void, *const c_char, bool);

/// The library, loaded. It stays so: the threads of its own that it started would go on in memory that is gone.
pub(crate) struct Oidn {
    new_device: NewDevice,
    commit_device: OnHandle,
    release_device: OnHandle,
    device_error: DeviceError,
    device_int: DeviceInt,
    new_filter: NewFilter,
    set_image: SetImage,
    set_switch: SetSwitch,
    commit_filter: OnHandle,
    execute_filter: OnHandle,
    release_filter: OnHandle,
    path: PathBuf,
}

impl Oidn {
    /// Loads what `named` says, or else the first of the usual names that is there.
    pub(crate) fn load(named: Option<&Path>) -> Result<Oidn, OidnError> {
        if let Some(path) = named {
            return Oidn::load_file(path.to_owned());
        }
        let mut reasons = Vec::new();
        for name in NAMES {
            match Oidn::load_file(name.into()) {
                Err(OidnError::NotLoaded { why, .. }) => reasons.push(why),
                other => return other,
            }
        }
        Err(OidnError::NotLoaded { path: NAMES.join(", ").into(), why: reasons.join("; ") })
    }

    fn load_file(path: PathBuf) -> Result<Oidn, OidnError> {
        // SAFETY: loading runs the library's initialisers. Whoever installs a library of this name, or names one, means it to
        // be Open Image Denoise, whose initialisers may run on any thread.
        let library = unsafe { Library::new(&path) }
            .map_err(|error| OidnError::NotLoaded { path: path.clone(), why: error.to_string() })?;
        /// A function of that name, which has the type that the API's header gives it.
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: the types are those of the functions of these names in oidn.h of 1.4 and of 2.3, and what is
                // loaded says by having all of them that it is that library.
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }
                    .map_err(|_| OidnError::NoFunction { path: path.clone(), function: $name })?
            };
        }
        let set_switch = match unsafe {
            // SAFETY: as above; 2.0 renamed it.
            library.get::<SetSwitch>(b"oidnSetFilterBool\0")
        } {
            Ok(function) => *function,
            Err(_) => function!("oidnSetFilter1b"),
        };
        let device_int = match unsafe {
            // SAFETY: as above; 2.0 renamed it.
            library.get::<DeviceInt>(b"oidnGetDeviceInt\0")
        } {
            Ok(function) => *function,
            Err(_) => function!("oidnGetDevice1i"),
        };
        let oidn = Oidn {
            new_device: function!("oidnNewDevice"),
            commit_device: function!("oidnCommitDevice"),
            release_device: function!("oidnReleaseDevice"),
            device_error: function!("oidnGetDeviceError"),
            device_int,
            new_filter: function!("oidnNewFilter"),
            set_image: function!("oidnSetSharedFilterImage"),
            set_switch,
            commit_filter: function!("oidnCommitFilter"),
            execute_filter: function!("oidnExecuteFilter"),
            release_filter: function!("oidnReleaseFilter"),
            path,
        };
        std::mem::forget(library);
        Ok(oidn)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The library's CPU device.
pub(crate) struct Device {
    oidn: Arc<Oidn>,
    handle: NonNull<c_void>,
}

// SAFETY: the API's objects may be used from any thread, one at a time, which `&mut` on the filter grants; a device takes
// calls from several threads at once.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    pub(crate) fn new(oidn: Arc<Oidn>) -> Result<Device, OidnError> {
        // SAFETY: the call takes no pointers; what it gives is checked and released once, when this is dropped.
        let handle = NonNull::new(unsafe { (oidn.new_device)(CPU_DEVICE) });
        let Some(handle) = handle else {
            return Err(OidnError::Failed(device_error(&oidn, ptr::null_mut()).unwrap_or("it gives no device".into())));
        };
        let device = Device { oidn, handle };
        // SAFETY: the handle is the live device's.
        unsafe { (device.oidn.commit_device)(device.handle.as_ptr()) };
        device.check()?;
        Ok(device)
    }

    /// Major, minor, patch.
    pub(crate) fn version(&self) -> [c_int; 3] {
        // SAFETY: the handle is the live device's, the names end with a zero.
        [c"versionMajor", c"versionMinor", c"versionPatch"]
            .map(|name| unsafe { (self.oidn.device_int)(self.handle.as_ptr(), name.as_ptr()) })
    }

    /// The error that came since the last time.
    fn check(&self) -> Result<(), OidnError> {
        device_error(&self.oidn, self.handle.as_ptr()).map_or(Ok(()), |text| Err(OidnError::Failed(text)))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: the handle is live until here; filters hold an `Arc` of this and were released before.
        unsafe { (self.oidn.release_device)(self.handle.as_ptr()) };
    }
}

/// What went wrong on a device, or on this thread without one.
fn device_error(oidn: &Oidn, device: *mut c_void) -> Option<String> {
    let mut text: *const c_char = ptr::null();
    // SAFETY: the device is live or null, which the function takes; it writes one pointer, to a string that lives until the
    // next call of it on this thread.
    let code = unsafe { (oidn.device_error)(device, &raw mut text) };
    let text = if text.is_null() {
        String::new()
    } else {
        // SAFETY: see above.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    };
    (code != 0).then(|| format!("error {code}: {text}"))
}

/// The images of a filter.
#[derive(Clone, Copy)]
pub(crate) enum Image {
    /// Light, linear.
    Color,
    /// Reflectance, 0 to 1.
    Albedo,
    /// Of unit length, or zero.
    Normal,
    Output,
}

const IMAGES: [(Image, &CStr); 4] =
    [(Image::Color, c"color"), (Image::Albedo, c"albedo"), (Image::Normal, c"normal"), (Image::Output, c"output")];

/// The filter for path-traced pictures ("RT"), with images of one size.
pub(crate) struct Filter {
    device: Arc<Device>,
    handle: NonNull<c_void>,
    extent: Extent,
    /// Of `extent.pixels()` pixels each; the library reads and writes them while the filter runs.
    images: [NonNull<[f32; 3]>; IMAGES.len()],
}

// SAFETY: the images are the filter's own, and the handle may go from thread to thread.
unsafe impl Send for Filter {}

impl Filter {
    pub(crate) fn new(device: Arc<Device>, extent: Extent) -> Result<Filter, OidnError> {
        let oidn = Arc::clone(&device.oidn);
        // SAFETY: the device is live, the name ends with a zero; what it gives is checked and released once.
        let handle = unsafe { (oidn.new_filter)(device.handle.as_ptr(), c"RT".as_ptr()) };
        let Some(handle) = NonNull::new(handle) else {
            device.check()?;
            return Err(OidnError::Failed("it gives no filter".into()));
        };
        let images = IMAGES.map(|_| {
            let pixels = vec![[0.0f32; 3]; extent.pixels()].into_boxed_slice();
            NonNull::new(Box::into_raw(pixels).cast::<[f32; 3]>()).expect("a box is nowhere null")
        });
        let filter = Filter { device, handle, extent, images };
        let (width, height) = (extent.width as usize, extent.height as usize);
        for ((_, name), image) in IMAGES.iter().zip(filter.images) {
            // SAFETY: filter and name are live; the image has width * height pixels of three floats without padding (strides
            // of 0 say so) and outlives the filter.
            unsafe {
                let pixels = image.as_ptr().cast();
                (oidn.set_image)(filter.handle.as_ptr(), name.as_ptr(), pixels, FLOAT3, width, height, 0, 0, 0);
            }
        }
        // SAFETY: filter and name are live.
        unsafe {
            (oidn.set_switch)(filter.handle.as_ptr(), c"hdr".as_ptr(), true);
            (oidn.commit_filter)(filter.handle.as_ptr());
        }
        filter.device.check()?;
        Ok(filter)
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    pub(crate) fn image(&self, image: Image) -> &[[f32; 3]] {
        // SAFETY: the pointer is of a boxed slice of that many pixels; the library writes it only in `run`, which borrows
        // this mutably.
        unsafe { std::slice::from_raw_parts(self.images[image as usize].as_ptr(), self.extent.pixels()) }
    }

    pub(crate) fn image_mut(&mut self, image: Image) -> &mut [[f32; 3]] {
        // SAFETY: as above, and nobody else borrows it.
        unsafe { std::slice::from_raw_parts_mut(self.images[image as usize].as_ptr(), self.extent.pixels()) }
    }

    /// Makes the output of the other images.
    pub(crate) fn run(&mut self) -> Result<(), OidnError> {
        // SAFETY: the filter is live and committed; its images are borrowed by nobody.
        unsafe { (self.device.oidn.execute_filter)(self.handle.as_ptr()) };
        self.device.check()
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // SAFETY: the handle is live until here, and nothing runs; the images were boxed slices of that many pixels.
        unsafe {
            (self.device.oidn.release_filter)(self.handle.as_ptr());
            for image in self.images {
                drop(Box::from_raw(ptr::slice_from_raw_parts_mut(image.as_ptr(), self.extent.pixels())));
            }
        }
    }
}
