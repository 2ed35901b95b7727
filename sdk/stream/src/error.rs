//! The one error of this room.

use std::net::SocketAddr;

/// What can go wrong in the stream, whose fault it is, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Another program (often an earlier run) listens on the port already.
    #[error(
        "port {} on {} is in use by another program: end that program, choose another port, \
         or ask for port 0 to get a free one", .addr.port(), .addr.ip()
    )]
    PortInUse {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The operating system refused the address for another reason.
    #[error(
        "can't listen on {addr}: {reason}; check that the address belongs to this machine and that ports below 1024 are allowed"
    )]
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The system's own words.
        reason: std::io::Error,
    },
    /// A field of the description is out of range.
    #[error("{field} is {value}: {allowed}")]
    Description {
        /// The field of [`StreamDesc`](crate::StreamDesc).
        field: &'static str,
        /// The value it had.
        value: String,
        /// What is allowed instead.
        allowed: &'static str,
    },
    /// The picture's size can't be encoded.
    #[error(
        "a picture of {width}x{height} can't be encoded: each side must be 16 or more, the longer side at most 3840 and the shorter at most 2160 (H.264 level 5.2)"
    )]
    PictureSize {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// The bytes given are fewer than the size and row pitch say.
    #[error(
        "a picture of {width}x{height} with a row pitch of {row_pitch} bytes needs {needed} bytes, but {given} were given; the row pitch must be at least 4 x width"
    )]
    PictureBytes {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Bytes from one row to the next.
        row_pitch: usize,
        /// Bytes the description asks for.
        needed: usize,
        /// Bytes in the slice.
        given: usize,
    },
    /// Times must strictly increase, or a player would show frames in the wrong order.
    #[error(
        "the picture's time {given_ns} ns is not after the last one's, {last_ns} ns: submit pictures in the order of their times"
    )]
    TimeNotIncreasing {
        /// The newest time accepted so far, nanoseconds.
        last_ns: u64,
        /// The time given, nanoseconds.
        given_ns: u64,
    },
    /// A message for the viewers is too long.
    #[error("a message of {length} bytes is too long: at most {limit} bytes")]
    MessageTooLong {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The encoder refused; its own words say why.
    #[error("the H.264 encoder failed: {0}")]
    Encoder(String),
    /// The library was built without an encoder.
    #[error(
        "this build of Rayloom has no H.264 encoder: build it with the feature h264 (OpenH264 from source) or h264-runtime (Cisco's binary, loaded at run time); docs/licensing.md says what each means"
    )]
    NoEncoder,
    /// The encoder's library can't be loaded.
    #[error(
        "the H.264 encoder can't be loaded from {path:?} (environment RAYLOOM_OPENH264): {reason}; it must be the path of Cisco's own OpenH264 library, as published for its release 2.6.0 or earlier"
    )]
    EncoderLibrary {
        /// What the environment says; empty where it says nothing.
        path: std::path::PathBuf,
        /// Why that was not loaded.
        reason: String,
    },
    /// The offer of a viewer can't be answered: the viewer's doing.
    #[error("the offer can't be answered: {0}")]
    Offer(String),
    /// WebRTC could not be set up on this machine.
    #[error("WebRTC could not be set up: {0}; check that UDP sockets may be opened")]
    WebRtc(String),
    /// As many viewers watch as were allowed.
    #[error("{limit} of {limit} viewers are watching already: raise max_viewers, or try again when one has left")]
    TooManyViewers {
        /// The limit of the description.
        limit: usize,
    },
    /// No thread or random numbers from the operating system.
    #[error("the operating system refused {what}: {reason}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// The system's own words.
        reason: String,
    },
    /// The stream was closed.
    #[error("the stream is closed: start another one")]
    Closed,
}
