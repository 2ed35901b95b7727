//! What the stream counts about itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Frames the medians are taken over.
const WINDOW_FRAMES: usize = 120;
/// The span `fps` is counted over.
const FPS_SPAN: Duration = Duration::from_secs(2);

/// A snapshot of the stream's counters. Counts run since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct StreamStats {
    /// Viewers connected now.
    pub viewers: usize,
    /// Pictures submitted, watched or not.
    pub submitted: u64,
    /// Pictures encoded.
    pub encoded: u64,
    /// Pictures replaced by a newer one before the encoder took them.
    pub dropped: u64,
    /// Frames not sent to a viewer that was behind, added up over all viewers.
    pub late: u64,
    /// Encoded frames that a decoder can start at.
    pub idr: u64,
    /// Encoded bytes, before RTP.
    pub bytes: u64,
    /// Frames encoded a second, over the last two seconds.
    pub fps: f32,
    /// Median wall time of encoding one picture, milliseconds, over the last 120.
    pub encode_ms: f32,
    /// Median wall time of RGBA to I420, milliseconds, over the last 120.
    pub convert_ms: f32,
    /// Median bytes a frame over the last 120.
    pub frame_bytes: u32,
    /// Input events thrown away because nobody polled.
    pub input_dropped: u64,
    /// Messages of viewers that were malformed or too long.
    pub input_rejected: u64,
}

/// Collects what the encoder thread does.
#[derive(Debug, Default)]
pub(crate) struct EncodeLog {
    frames: VecDeque<(Instant, Duration, Duration, usize)>,
    encoded: u64,
    idr: u64,
    bytes: u64,
}

impl EncodeLog {
    /// Notes one encoded frame.
    pub(crate) fn note(&mut self, at: Instant, convert: Duration, encode: Duration, bytes: usize, idr: bool) {
        if self.frames.len() == WINDOW_FRAMES {
            self.frames.pop_front();
        }
        self.frames.push_back((at, convert, encode, bytes));
        self.encoded += 1;
        self.idr += u64::from(idr);
        self.bytes += bytes as u64;
    }

    /// Writes what was collected into `stats`.
    pub(crate) fn fill(&self, now: Instant, stats: &mut StreamStats) {
        stats.encoded = self.encoded;
        stats.idr = self.idr;
        stats.bytes = self.bytes;
        stats.convert_ms = median(self.frames.iter().map(|frame| frame.1.as_secs_f32() * 1e3));
        stats.encode_ms = median(self.frames.iter().map(|frame| frame.2.as_secs_f32() * 1e3));
        stats.frame_bytes = median(self.frames.iter().map(|frame| frame.3 as f32)) as u32;
        let recent = || self.frames.iter().filter(|frame| now.duration_since(frame.0) <= FPS_SPAN);
        stats.fps = match (recent().next(), recent().next_back()) {
            (Some(first), Some(last)) if last.0 > first.0 => {
                (recent().count() - 1) as f32 / (last.0 - first.0).as_secs_f32()
            }
            _ => 0.0,
        };
    }
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_medians_come_from_the_window() {
        let start = Instant::now();
        let mut log = EncodeLog::default();
        for frame in 0..200_u32 {
            let at = start + Duration::from_millis(20) * frame;
            log.note(at, Duration::from_millis(1), Duration::from_millis(5), 1000, frame == 0);
        }
        let mut stats = StreamStats::default();
        log.fill(start + Duration::from_millis(20 * 199), &mut stats);
        assert_eq!((stats.encoded, stats.idr, stats.bytes), (200, 1, 200_000));
        assert!((stats.fps - 50.0).abs() < 0.1, "{}", stats.fps);
        assert_eq!((stats.encode_ms, stats.convert_ms, stats.frame_bytes), (5.0, 1.0, 1000));
    }
}
