//! Where the encoder's code comes from: built in, or Cisco's binary, loaded at run time.

use crate::error::StreamError;
use openh264::OpenH264API;

/// The variable that holds the path of Cisco's library.
#[cfg(feature = "h264-runtime")]
const LIBRARY: &str = "RAYLOOM_OPENH264";

/// The library that RAYLOOM_OPENH264 names, where this build can load one, else the built-in one.
#[cfg(feature = "h264-runtime")]
pub(crate) fn library() -> Result<OpenH264API, StreamError> {
    match std::env::var_os(LIBRARY).filter(|path| !path.is_empty()) {
        Some(path) => load(path.into()),
        None => built_in(),
    }
}

/// **Only files with the SHA-256 of one of Cisco's releases are loaded**: the cover of patent fees holds for nothing else,
/// and it is code that runs in the engine's process.
#[cfg(feature = "h264-runtime")]
fn load(path: std::path::PathBuf) -> Result<OpenH264API, StreamError> {
    OpenH264API::from_blob_path(&path).map_err(|error| StreamError::EncoderLibrary { path, reason: error.to_string() })
}

/// The built-in library.
#[cfg(not(feature = "h264-runtime"))]
pub(crate) fn library() -> Result<OpenH264API, StreamError> {
    built_in()
}

#[cfg(feature = "h264")]
fn built_in() -> Result<OpenH264API, StreamError> {
    Ok(OpenH264API::from_source())
}

#[cfg(not(feature = "h264"))]
fn built_in() -> Result<OpenH264API, StreamError> {
    Err(StreamError::EncoderLibrary { path: "".into(), reason: "the variable is not set".into() })
}

#[cfg(all(test, feature = "h264-runtime"))]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_cisco_s_is_refused() {
        let error = load(std::env::current_exe().unwrap()).err().expect("a test program is no encoder").to_string();
        assert!(error.contains(LIBRARY) && error.contains("Cisco"), "{error}");
        let error = load("nowhere/libopenh264.so".into()).err().expect("there is no such file").to_string();
        assert!(error.contains("nowhere/libopenh264.so"), "{error}");
    }
}
