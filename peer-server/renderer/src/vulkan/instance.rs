//! The Vulkan loader and instance, and the validation layer's messages.

use crate::RendererError;
use ash::{ext, vk};
use parking_lot::Mutex;
use std::ffi::{CStr, c_void};
use std::sync::Arc;

/// Messages kept for reading; later ones are only counted.
const KEPT_MESSAGES: usize = 256;

/// What the validation layer said.
#[derive(Default)]
pub(crate) struct Messages {
    kept: Mutex<(u64, Vec<String>)>,
}

impl Messages {
    pub(crate) fn all(&self) -> Vec<String> {
        self.kept.lock().1.clone()
    }

    pub(crate) fn count(&self) -> u64 {
        self.kept.lock().0
    }

    fn push(&self, message: String) {
        let mut kept = self.kept.lock();
        kept.0 += 1;
        if kept.1.len() < KEPT_MESSAGES {
            kept.1.push(message);
        }
    }
}

/// A Vulkan 1.2 instance.
pub(crate) struct Instance {
    pub(crate) raw: ash::Instance,
    messenger: Option<(ext::debug_utils::Instance, vk::DebugUtilsMessengerEXT)>,
    pub(crate) messages: Arc<Messages>,
    // Last: the library must be unloaded after everything that came from it.
    _entry: ash::Entry,
}

impl Instance {
    /// Loads the system's Vulkan loader and makes an instance, with core and synchronization validation if wished.
    pub(crate) fn new(validation: bool) -> Result<Instance, RendererError> {
        // SAFETY: loading the system's Vulkan loader runs its initialisers, which is what everyone who links it does.
        let entry = unsafe { ash::Entry::load() }.map_err(|e| RendererError::NoLoader { reason: e.to_string() })?;
        let layer = c"VK_LAYER_KHRONOS_validation";
        if validation && !has_layer(&entry, layer) {
            return Err(RendererError::NoValidationLayer);
        }
        let layers = [layer.as_ptr()];
        let extensions = [ext::debug_utils::NAME.as_ptr(), ext::validation_features::NAME.as_ptr()];
        let application = vk::ApplicationInfo::default().application_name(c"rayloom").api_version(vk::API_VERSION_1_2);
        let enabled = [vk::ValidationFeatureEnableEXT::SYNCHRONIZATION_VALIDATION];
        let mut features = vk::ValidationFeaturesEXT::default().enabled_validation_features(&enabled);
        let mut info = vk::InstanceCreateInfo::default().application_info(&application);
        if validation {
            info = info.enabled_layer_names(&layers).enabled_extension_names(&extensions).push_next(&mut features);
        }
        // SAFETY: every pointer in `info` refers to a local that lives through the call.
        let raw = unsafe { entry.create_instance(&info, None) }.map_err(|result| match result {
            vk::Result::ERROR_INCOMPATIBLE_DRIVER => {
                RendererError::NoDriver { reason: "the loader found no compatible driver".into() }
            }
            result => RendererError::Vulkan { call: "vkCreateInstance", result },
        })?;
        let messages = Arc::new(Messages::default());
        let mut instance = Instance { raw, messenger: None, messages, _entry: entry };
        if validation {
            instance.listen()?;
        }
        Ok(instance)
    }

    fn listen(&mut self) -> Result<(), RendererError> {
        use vk::{DebugUtilsMessageSeverityFlagsEXT as Severity, DebugUtilsMessageTypeFlagsEXT as Type};
        let debug = ext::debug_utils::Instance::new(&self._entry, &self.raw);
        let info = vk::DebugUtilsMessengerCreateInfoEXT::default()
            .message_severity(Severity::WARNING | Severity::ERROR)
            .message_type(Type::VALIDATION | Type::PERFORMANCE)
            .pfn_user_callback(Some(on_message))
            .user_data(Arc::as_ptr(&self.messages) as *mut c_void);
        // SAFETY: the callback's user data is kept alive by `self.messages`, which outlives the messenger (see Drop).
        let messenger = unsafe { debug.create_debug_utils_messenger(&info, None) }
            .map_err(RendererError::vulkan("vkCreateDebugUtilsMessengerEXT"))?;
        self.messenger = Some((debug, messenger));
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: nothing made from this instance is left: devices keep an `Arc` of it.
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
    // SAFETY: the layer passes valid callback data, and `user` is the `Messages` that the instance keeps alive.
    unsafe {
        if let (Some(messages), Some(data)) = ((user as *const Messages).as_ref(), data.as_ref())
            && let Some(text) = data.message_as_c_str()
        {
            messages.push(text.to_string_lossy().into_owned());
        }
    }
    vk::FALSE
}
