//! One encoded frame, cut into RTP payloads once and shared by all viewers.

use bytes::Bytes;
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::packetizer::Payloader;

use crate::encoder::Encoded;
use crate::error::StreamError;

/// RTP's clock for video, hertz (RFC 6184).
const VIDEO_CLOCK_HZ: u128 = 90_000;

/// The most payload bytes a packet: with RTP header and extensions, SRTP tag, UDP and IPv6
/// headers it stays below the 1280 bytes that every IPv6 path carries.
const MAX_PAYLOAD_BYTES: usize = 1_160;

/// A frame on its way to the viewers.
#[derive(Debug)]
pub(crate) struct Frame {
    /// RTP payloads in order (RFC 6184: single NAL units, STAP-A, FU-A); the last ends the frame.
    pub(crate) payloads: Vec<Bytes>,
    /// The picture's time on the 90 kHz clock.
    pub(crate) rtp_time: u32,
    /// Whether a decoder can start here.
    pub(crate) idr: bool,
}

impl Frame {
    /// Cuts an encoded picture of the engine's time `time_ns` into payloads.
    pub(crate) fn new(encoded: &Encoded, time_ns: u64) -> Result<Self, StreamError> {
        let payloads = H264Payloader::default()
            .payload(MAX_PAYLOAD_BYTES, &encoded.annex_b)
            .map_err(|error| StreamError::Encoder(format!("its output can't be packed: {error}")))?;
        Ok(Self { payloads, rtp_time: rtp_time(time_ns), idr: encoded.idr })
    }
}

/// The engine's time on RTP's clock, which wraps every 13 hours as RTP wants it.
fn rtp_time(time_ns: u64) -> u32 {
    (u128::from(time_ns) * VIDEO_CLOCK_HZ / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_time_is_the_submit_time_on_the_90_khz_clock() {
        assert_eq!(rtp_time(1_000_000_000), 90_000);
        assert_eq!(rtp_time(33_366_667), 3_003);
        // Beyond 2^32 ticks it wraps; differences stay right.
        let late = 50_000_000_000_000;
        assert_eq!(rtp_time(late + 1_000_000_000).wrapping_sub(rtp_time(late)), 90_000);
    }

    #[test]
    fn large_slices_are_fragmented_below_the_limit() {
        let mut annex_b = vec![0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65];
        annex_b.extend(vec![0xab; 5_000]);
        let frame = Frame::new(&Encoded { annex_b: annex_b.into(), idr: true }, 0).unwrap();
        let types: Vec<u8> = frame.payloads.iter().map(|payload| payload[0] & 0x1f).collect();
        assert_eq!(types, [24, 28, 28, 28, 28, 28]);
        assert!(frame.payloads.iter().all(|payload| payload.len() <= MAX_PAYLOAD_BYTES));
    }
}
