//! What the stream counts about itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::times::PictureTimes;

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
    /// Median time that a picture waited for the encoder, milliseconds, over the last 120.
    pub wait_ms: f32,
    /// Median wall time of cutting an encoded picture into packets and handing them to viewers' senders, milliseconds, over the last 120.
    pub packetise_ms: f32,
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
    /// When frames were encoded, and their bytes.
    frames: VecDeque<(Instant, usize)>,
    /// Where the time of pictures went, without those that are encoded again: they did not wait.
    times: VecDeque<PictureTimes>,
    encoded: u64,
    idr: u64,
    bytes: u64,
}

impl EncodeLog {
    /// Notes one encoded frame.
    pub(crate) fn note(&mut self, at: Instant, times: &PictureTimes, bytes: usize, (idr, is_repeated): (bool, bool)) {
        if self.frames.len() == WINDOW_FRAMES {
            self.frames.pop_front();
        }
        self.frames.push_back((at, bytes));
        if !is_repeated {
            if self.times.len() == WINDOW_FRAMES {
                self.times.pop_front();
            }
            self.times.push_back(*times);
        }
        self.encoded += 1;
        self.idr += u64::from(idr);
        self.bytes += bytes as u64;
    }

    /// Writes what was collected into `stats`.
    pub(crate) fn fill(&self, now: Instant, stats: &mut StreamStats) {
        stats.encoded = self.encoded;
        stats.idr = self.idr;
        stats.bytes = self.bytes;
        let ms =
            |of: fn(&PictureTimes) -> Duration| median(self.times.iter().map(|times| of(times).as_secs_f32() * 1e3));
        stats.convert_ms = ms(|times| times.convert);
        stats.wait_ms = ms(|times| times.wait);
        stats.encode_ms = ms(|times| times.encode);
        stats.packetise_ms = ms(|times| times.packetise);
        stats.frame_bytes = median(self.frames.iter().map(|(_, bytes)| *bytes as f32)) as u32;
        let recent = || self.frames.iter().map(|(at, _)| *at).filter(|at| now.duration_since(*at) <= FPS_SPAN);
        stats.fps = match (recent().next(), recent().next_back()) {
            (Some(first), Some(last)) if last > first => (recent().count() - 1) as f32 / (last - first).as_secs_f32(),
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
            // An old picture, encoded again, says nothing about waiting.
            let (is_repeated, wait) = if frame % 4 == 3 { (true, 9000) } else { (false, 2) };
            let times = PictureTimes {
                time_ns: 0,
                submitted: at,
                convert: Duration::from_millis(1),
                wait: Duration::from_millis(wait),
                encode: Duration::from_millis(5),
                packetise: Duration::from_millis(3),
            };
            log.note(at, &times, 1000, (frame == 0, is_repeated));
        }
        let mut stats = StreamStats::default();
        log.fill(start + Duration::from_millis(20 * 199), &mut stats);
        assert_eq!((stats.encoded, stats.idr, stats.bytes), (200, 1, 200_000));
        assert!((stats.fps - 50.0).abs() < 0.1, "{}", stats.fps);
        assert_eq!((stats.convert_ms, stats.wait_ms, stats.encode_ms, stats.packetise_ms), (1.0, 2.0, 5.0, 3.0));
        assert_eq!(stats.frame_bytes, 1000);
    }
}
