//! Results, this thread's last error, the version.

use crate::boundary;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

/// Version of this header: major << 16 | minor << 8 | patch. RAYLOOM_SESSION_DESC_INIT passes it to the library.
pub const RAYLOOM_HEADER_VERSION: u32 = 0x000100;

/// What a call answers: RAYLOOM_OK, a positive "not now" or a negative error. Outputs are written only with RAYLOOM_OK.
pub type rayloom_result = i32;

/// Done.
pub const RAYLOOM_OK: rayloom_result = 0;
/// Nothing is there yet, or not within the timeout: no output, no event. Not an error.
pub const RAYLOOM_NOT_READY: rayloom_result = 1;
/// max_frames_in_flight frames are begun and not finished: acquire one, then begin again. Not an error.
pub const RAYLOOM_BUSY: rayloom_result = 2;
/// An argument or a field can't be used.
pub const RAYLOOM_INVALID_ARGUMENT: rayloom_result = -1;
/// A handle is NULL, destroyed already, or of another kind.
pub const RAYLOOM_INVALID_HANDLE: rayloom_result = -2;
/// struct_type or struct_size is not what this function takes, or something unknown hangs on next: use the _INIT macro.
pub const RAYLOOM_UNKNOWN_STRUCT: rayloom_result = -3;
/// The call makes no sense at this point.
pub const RAYLOOM_INVALID_STATE: rayloom_result = -4;
/// This version or build can't do it.
pub const RAYLOOM_UNSUPPORTED: rayloom_result = -5;
/// A scene or a file breaks a rule.
pub const RAYLOOM_SCENE_ERROR: rayloom_result = -6;
/// The stream can't start or can't take this.
pub const RAYLOOM_STREAM_ERROR: rayloom_result = -7;
/// The operating system refused threads, sockets or files.
pub const RAYLOOM_SYSTEM_ERROR: rayloom_result = -8;
/// The session's own thread ended: destroy the session.
pub const RAYLOOM_CLOSED: rayloom_result = -9;
/// The library has a bug and stopped using this session: only destroying and releasing still work on it.
pub const RAYLOOM_PANIC: rayloom_result = -10;

/// Why a call failed: its result and the text of [`rayloom_last_error`].
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) result: rayloom_result,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(result: rayloom_result, text: impl Into<String>) -> Failure {
        Failure { result, text: text.into() }
    }

    pub(crate) fn argument(text: impl Into<String>) -> Failure {
        Failure::new(RAYLOOM_INVALID_ARGUMENT, text)
    }

    /// Says whose descriptor it was, by the engine's own name for it.
    pub(crate) fn of(self, kind: &str, user_id: u64) -> Failure {
        Failure { text: format!("{kind} (user id {user_id}): {}", self.text), ..self }
    }
}

impl From<sdk::Error> for Failure {
    fn from(error: sdk::Error) -> Failure {
        let result = match &error {
            sdk::Error::InvalidArgument(_) => RAYLOOM_INVALID_ARGUMENT,
            sdk::Error::InvalidState(_) => RAYLOOM_INVALID_STATE,
            sdk::Error::Busy { .. } => RAYLOOM_BUSY,
            sdk::Error::NotReady { .. } => RAYLOOM_NOT_READY,
            sdk::Error::Scene(_) => RAYLOOM_SCENE_ERROR,
            sdk::Error::Stream(sdk::stream::StreamError::NoEncoder) => RAYLOOM_UNSUPPORTED,
            sdk::Error::Stream(_) => RAYLOOM_STREAM_ERROR,
            sdk::Error::System { .. } => RAYLOOM_SYSTEM_ERROR,
            sdk::Error::Closed(_) => RAYLOOM_CLOSED,
            // Also what later versions of the crate may add.
            _ => RAYLOOM_UNSUPPORTED,
        };
        Failure::new(result, error.to_string())
    }
}

impl From<sdk::scene::SceneError> for Failure {
    fn from(error: sdk::scene::SceneError) -> Failure {
        sdk::Error::from(error).into()
    }
}

impl From<sdk::stream::StreamError> for Failure {
    fn from(error: sdk::stream::StreamError) -> Failure {
        sdk::Error::from(error).into()
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Keeps the text for [`rayloom_last_error`].
pub(crate) fn keep(text: String) {
    let mut bytes = text.into_bytes();
    bytes.retain(|byte| *byte != 0);
    let text = CString::new(bytes).expect("its zeros were taken out");
    // At the very end of a thread there is nobody left to read it.
    let _ = LAST_ERROR.try_with(|last| last.replace(text));
}

/// What was wrong in this thread's last call that did not return RAYLOOM_OK: the cause with the value, and what to do.
/// UTF-8, empty when there was none, never NULL; valid until this thread's next such call.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn rayloom_last_error() -> *const c_char {
    boundary::call_text("rayloom_last_error", || {
        LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
    })
}

/// Version of the library, like "0.1.0"; valid for ever.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn rayloom_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version has no zeros"),
    };
    boundary::call_text("rayloom_version", || VERSION.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_an_encoder_is_unsupported_and_says_why() {
        let failure = Failure::from(sdk::stream::StreamError::NoEncoder);
        assert_eq!(failure.result, RAYLOOM_UNSUPPORTED);
        assert!(failure.text.contains("feature h264"), "{}", failure.text);
    }
}
