//! What a call on a session can fail with, and whose fault it is.

use std::time::Duration;

/// Why a call did not do what was asked. Outputs are untouched then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller passed something that can't be used.
    #[error("{0}")]
    InvalidArgument(String),
    /// The caller called in an order that makes no sense.
    #[error("{0}")]
    InvalidState(String),
    /// As many frames are in flight as the session allows; acquire or wait, then begin again.
    #[error(
        "{in_flight} frames are in flight, max_frames_in_flight is {limit}: acquire an output before the next frame begins"
    )]
    Busy {
        /// Frames begun and not finished.
        in_flight: u32,
        /// The session's bound.
        limit: u32,
    },
    /// Nothing is there yet within the time given.
    #[error("no output of frame {min_frame_id} or later after {waited:?}")]
    NotReady {
        /// The frame asked for.
        min_frame_id: u64,
        /// How long the call waited.
        waited: Duration,
    },
    /// A scene or a file is wrong.
    #[error(transparent)]
    Scene(#[from] rayloom_scene::SceneError),
    /// The stream could not start or take a picture.
    #[error(transparent)]
    Stream(#[from] rayloom_stream::StreamError),
    /// The operating system refused threads, sockets or files.
    #[error("{what}: {source}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        source: std::io::Error,
    },
    /// What this build does not have.
    #[error("{0}")]
    Unsupported(String),
    /// The session's own thread ended; the session must be destroyed.
    #[error("the session has ended: {0}")]
    Closed(String),
}
