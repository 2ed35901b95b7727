//! What can be wrong with a scene, and whose fault it is.

use std::path::PathBuf;

/// Why a scene, a file or an asset was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SceneError {
    /// A file could not be read; the caller named it, or another file did.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what its name says; whoever wrote it is at fault.
    #[error("{path} at {position}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Byte offset or the path inside the document.
        position: String,
        /// What is wrong, with the value, and what to do.
        reason: String,
    },
    /// A scene breaks its own rules; whoever built it is at fault.
    #[error("{object}: {reason}")]
    Invalid {
        /// Which object, with its user id where it has one.
        object: String,
        /// What is wrong, with the value, and what to do.
        reason: String,
    },
    /// A packed asset that came from elsewhere is damaged or forged.
    #[error("packed scene: {0}")]
    Packed(String),
}
