//! The encoder of a build that has none: it can't be made, and says how to get one.

use crate::encoder::{Encoded, EncoderSettings};
use crate::error::StreamError;
use crate::picture::Picture;

/// A real-time H.264 encoder that this build does not have.
#[derive(Debug)]
pub enum Encoder {}

impl Encoder {
    /// Whether an encoder can be had.
    pub(crate) fn check() -> Result<(), StreamError> {
        Err(StreamError::NoEncoder)
    }

    /// # Errors
    /// [`StreamError::NoEncoder`], always.
    pub fn new(_settings: EncoderSettings) -> Result<Self, StreamError> {
        Err(StreamError::NoEncoder)
    }

    /// What the encoder was made for.
    pub fn settings(&self) -> EncoderSettings {
        match *self {}
    }

    /// Encodes one picture.
    pub fn encode(&mut self, _picture: &Picture, _time_ms: u64) -> Result<Encoded, StreamError> {
        match *self {}
    }

    /// Makes the next picture an IDR.
    pub fn request_idr(&mut self) {
        match *self {}
    }

    /// Changes the bitrate from the next picture on.
    pub fn set_bitrate(&mut self, _bitrate_bps: u32) -> Result<(), StreamError> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use crate::{StreamDesc, StreamError, StreamServer};

    #[test]
    fn a_stream_says_how_to_get_an_encoder() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = StreamServer::start(StreamDesc::default(), runtime.handle()).unwrap_err();
        assert!(matches!(error, StreamError::NoEncoder));
        assert!(error.to_string().contains("feature h264"), "{error}");
    }
}
