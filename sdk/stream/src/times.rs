//! Where a picture's time went, from the engine's handing it over to the packets that viewers get.

use std::time::{Duration, Instant};

/// Where the time of one picture went. Its stages follow each other without gaps.
#[derive(Clone, Copy, Debug)]
pub struct PictureTimes {
    /// The engine's time of it, nanoseconds.
    pub time_ns: u64,
    /// When it was handed over.
    pub submitted: Instant,
    /// Colours to I420, on the engine's thread.
    pub convert: Duration,
    /// Waiting for the encoder's thread.
    pub wait: Duration,
    /// H.264.
    pub encode: Duration,
    /// Cutting into RTP payloads, and handing them to each viewer's sender.
    pub packetise: Duration,
}

/// A stage's name and its time.
pub type PictureStage = (&'static str, fn(&PictureTimes) -> Duration);

/// The stages in the order in which a picture passes them.
pub const PICTURE_STAGES: [PictureStage; 4] = [
    ("convert", |times| times.convert),
    ("encoder wait", |times| times.wait),
    ("H.264", |times| times.encode),
    ("packetise", |times| times.packetise),
];

/// Time that is spent in stages for nothing.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InsertedTimes {
    pub convert: Duration,
    pub wait: Duration,
    pub encode: Duration,
    pub packetise: Duration,
}

/// Spends it.
pub(crate) fn spend(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}
