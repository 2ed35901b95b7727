//! What the encoder takes and gives, and which one this build has.

use bytes::Bytes;

#[cfg(not(any(feature = "h264", feature = "h264-runtime")))]
pub use crate::absent::Encoder;
#[cfg(any(feature = "h264", feature = "h264-runtime"))]
pub use crate::openh264::Encoder;

/// What an encoder is made for; a change of the size means a new encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderSettings {
    /// Pixels, even.
    pub width: u32,
    /// Pixels, even.
    pub height: u32,
    /// The most frames a second that will come; the rate control plans with it.
    pub max_fps: f32,
    /// Bits a second to aim at.
    pub bitrate_bps: u32,
}

/// One encoded picture.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Annex B: NAL units behind start codes. An IDR carries SPS and PPS before it.
    pub annex_b: Bytes,
    /// Whether a decoder can start here.
    pub idr: bool,
}
