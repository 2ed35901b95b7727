//! The Vulkan loader and instance, and the validation layer's messages.

use crate::RasterError;
use ash::{ext, vk};
use parking_lot::Mutex;
use std::ffi::{CStr, c_void};
use std::sync::Arc;

/// Messages kept for reading; later ones are dropped.
const KEPT_MESSAGES: usize = 256;

/// A Vulkan 1.3 instance.
pub(crate) struct Instance {
    pub(super) raw: ash::Instance,
    messenger: Option<(ext::debug_utils::Instance, vk::DebugUtilsMessengerEXT)>,
    messages: Arc<Mutex<Vec<String>>>,
    // Last: the library must be unloaded after everything that came from it.
    _entry: ash::Entry,
}

impl Instance {
    /// Loads the system's Vulkan loader and makes an instance, with core and synchronization validation if wished.
    pub(super) fn new(validation: bool) -> Result<Instance, RasterError> {
        // SAFETY: loading the system's Vulkan loader runs its initialisers, which is what everyone who links it does.
        let entry = unsafe { ash::Entry::load() }.map_err(|e| RasterError::NoLoader { reason: e.to_string() })?;
        let layer = c"VK_LAYER_KHRONOS_validation";
        if validation && !has_layer(&entry, layer) {
            return Err(RasterError::NoValidationLayer);
        }
        let layers = [layer.as_ptr()];
        let extensions = [ext::debug_utils::NAME.as_ptr(), ext::validation_features::NAME.as_ptr()];
        let application =
            vk::ApplicationInfo::default().application_name(c"raster-engine").api_version(vk::API_VERSION_1_3);
        let enabled = [vk::ValidationFeatureEnableEXT::SYNCHRONIZATION_VALIDATION];
        let mut features = vk::ValidationFeaturesEXT::default().enabled_validation_features(&enabled);
        let mut info = vk::InstanceCreateInfo::default().application_info(&application);
        if validation {
            info = info.enabled_layer_names(&layers).enabled_extension_names(&extensions).push_next(&mut features);
        }
        // SAFETY: every pointer in `info` refers to a local that lives through the call.
        let raw = unsafe { entry.create_instance(&info, None) }.map_err(|result| match result {
            vk::Result::ERROR_INCOMPATIBLE_DRIVER => {
                RasterError::NoDevice { reason: "the loader found no compatible driver".into() }
            }
            result => RasterError::vulkan("vkCreateInstance")(result),
        })?;
        let mut instance = Instance { raw, messenger: None, messages: Arc::default(), _entry: entry };
        if validation {
            instance.listen()?;
        }
        Ok(instance)
    }

    pub(super) fn messages(&self) -> Vec<String> {
        self.messages.lock().clone()
    }

    fn listen(&mut self) -> Result<(), RasterError> {
        use vk::{DebugUtilsMessageSeverityFlagsEXT as Severity, DebugUtilsMessageTypeFlagsEXT as Type};
        let debug = ext::debug_utils::Instance::new(&self._entry, &self.raw);
        let info = vk::DebugUtilsMessengerCreateInfoEXT::default()
            .message_severity(Severity::WARNING | Severity::ERROR)
            .message_type(Type::VALIDATION | Type::PERFORMANCE)
            .pfn_user_callback(Some(on_message))
            .user_data(Arc::as_ptr(&self.messages) as *mut c_void);
        // SAFETY: the callback's user data is kept alive by `self.messages`, which outlives the messenger (see Drop).
        let messenger = unsafe { debug.create_debug_utils_messenger(&info, None) }
            .map_err(RasterError::vulkan("vkCreateDebugUtilsMessengerEXT"))?;
        self.messenger = Some((debug, messenger));
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: nothing made from this instance is left: the device owns it and ends before it.
        unsafe {
            if let Some((debug, messenger)) = self.messenger.take() {
                debug.destroy_debug_utils_messenger(messenger, None);
            }
            self.raw.destroy_instance(None);
        }
    }
}

fn has_layer(entry: &ash::Entry, name: &CStr) -> bool {
    // SAFETY: no preconditions beyond a loaded library.
    let layers = unsafe { entry.enumerate_instance_layer_properties() }.unwrap_or_default();
    layers.iter().any(|l| l.layer_name_as_c_str() == Ok(name))
}

unsafe extern "system" fn on_message(
    _severity: vk::DebugUtilsMessageSeverityFlagsEXT,
    _kind: vk::DebugUtilsMessageTypeFlagsEXT,
    data: *const vk::DebugUtilsMessengerCallbackDataEXT<'_>,
    user: *mut c_void,
) -> vk::Bool32 {
    // SAFETY: the layer passes valid callback data, and `user` is what the instance keeps alive.
    unsafe {
        if let (Some(messages), Some(data)) = ((user as *const Mutex<Vec<String>>).as_ref(), data.as_ref())
            && let Some(text) = data.message_as_c_str()
        {
            let mut messages = messages.lock();
            if messages.len() < KEPT_MESSAGES {
                messages.push(text.to_string_lossy().into_owned());
            }
        }
    }
    vk::FALSE
}
