//! Figures of a view and its peers, for the engine to show.

use crate::config::{CameraErrors, CameraModel};
use crate::output::{STAGES, StageTimes};
use rayloom_wire::SceneStage;
use std::collections::VecDeque;

/// Seconds over which rates are taken.
const WINDOW_NS: u64 = 1_000_000_000;
/// Frames remembered; more in a second would be 1,000 fps.
const FRAME_LIMIT: usize = 1024;

/// A frame counts as fresh when at least this share of its pixels was traced for its own frame id.
pub const FRESH_SHARE: f32 = 0.9;

/// Figures of one view over the last second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewStats {
    /// Frames finished since the view was created.
    pub frames: u64,
    /// Frames a second of which at least 90 % of the pixels were traced for that frame id.
    pub fresh_fps: f32,
    /// Frames a second that were finished, fresh or not.
    pub shown_fps: f32,
    /// Results that came after their frame was finished.
    pub late_tiles: u64,
    /// In the last second results came, and all of them late: layers' deadlines are too short for these peers.
    pub is_all_late: bool,
    /// Tiles that were missing when their frame was finished.
    pub missing_tiles: u64,
    /// Frames of which less was traced than was asked for, since otherwise they would have been late.
    pub lowered_frames: u64,
    /// Parts of frames that the embedded peer traced since nothing was known of them, see [`crate::ViewDesc::fill_budget`].
    pub filled_parts: u64,
    /// Their pixels.
    pub filled_pixels: u64,
    /// Bytes a second to all peers: tasks and state.
    pub sent_bytes_per_s: f32,
    /// Bytes a second from all peers: coded pixels.
    pub received_bytes_per_s: f32,
    /// The last frame's way.
    pub times: StageTimes,
    /// Milliseconds for which its output was held after that, see [`crate::ViewDesc::paced`].
    pub held_ms: f32,
    /// What became of frames that were traced ahead, where the view asks for that.
    pub prediction: PredictionStats,
    /// Every connected peer.
    pub peers: Vec<PeerStats>,
}

/// Figures of frames that are traced ahead; see [`crate::ViewDesc::frames_ahead`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PredictionStats {
    /// Frames begun with what had been traced ahead, since the view was created.
    pub predicted_frames: u64,
    /// Frames that were asked for anew, since what had been asked ahead was not what they show: cuts among them, and cameras that are
    /// too far from what was predicted.
    pub missed_frames: u64,
    /// Of the frames begun, those that the engine said cut.
    pub cuts: u64,
    /// Whose prediction was taken for the last frame that was asked ahead.
    pub model: CameraModel,
    /// How far the predictions that were taken were off; see [`rayloom_coordinator::displacement_px`]. What lies between two cuts counts.
    pub errors: CameraErrors,
}

/// Figures of one connected peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerStats {
    /// Index in the session's list of peers.
    pub peer: u32,
    /// Its device.
    pub device: String,
    /// Tiles of the last finished frame that it answered.
    pub tiles: u32,
    /// Milliseconds that it worked on them.
    pub work_ms: f32,
    /// Shortest round trip of late, in milliseconds.
    pub rtt_ms: f32,
    /// Bytes of tasks and state sent to it.
    pub bytes_sent: u64,
    /// Bytes of coded pixels received from it.
    pub bytes_received: u64,
    /// Bytes of scene assets sent to it since it connected; what it holds already is not sent.
    pub bytes_uploaded: u64,
    /// How far it is with the newest scene revision.
    pub scene: Option<SceneStage>,
}

/// A finished frame.
struct Shown {
    at_ns: u64,
    /// Share of its pixels that was traced for it.
    fresh: f32,
    /// Tiles that had come late by then.
    late_tiles: u64,
}

/// Rates over the last second.
#[derive(Default)]
pub(crate) struct Rates {
    frames: VecDeque<Shown>,
    /// Time, bytes sent, bytes received so far.
    traffic: VecDeque<(u64, u64, u64)>,
}

impl Rates {
    pub(crate) fn frame(&mut self, at_ns: u64, fresh: f32, late_tiles: u64) {
        self.frames.push_back(Shown { at_ns, fresh, late_tiles });
        self.forget(at_ns);
    }

    pub(crate) fn traffic(&mut self, now_ns: u64, sent: u64, received: u64) {
        self.traffic.push_back((now_ns, sent, received));
        self.forget(now_ns);
    }

    /// What is older than a second, or too many.
    fn forget(&mut self, now_ns: u64) {
        let is_old = |time: u64| time + WINDOW_NS < now_ns;
        while self.frames.len() > FRAME_LIMIT || self.frames.front().is_some_and(|frame| is_old(frame.at_ns)) {
            self.frames.pop_front();
        }
        while self.traffic.len() > FRAME_LIMIT || self.traffic.front().is_some_and(|(time, ..)| is_old(*time)) {
            self.traffic.pop_front();
        }
    }

    /// Rates of the second before: 0 where nothing came in it.
    pub(crate) fn write(&mut self, now_ns: u64, stats: &mut ViewStats) {
        self.forget(now_ns);
        (stats.shown_fps, stats.fresh_fps) = (0.0, 0.0);
        (stats.sent_bytes_per_s, stats.received_bytes_per_s) = (0.0, 0.0);
        let seconds = |first: u64, last: u64| (last.saturating_sub(first) as f32 / 1e9).max(1e-3);
        stats.is_all_late = false;
        if let (Some(first), Some(last), true) = (self.frames.front(), self.frames.back(), self.frames.len() > 1) {
            // The first frame only marks where the counted time begins.
            let fresh = self.frames.iter().skip(1).filter(|frame| frame.fresh >= FRESH_SHARE).count();
            stats.shown_fps = (self.frames.len() - 1) as f32 / seconds(first.at_ns, last.at_ns);
            stats.fresh_fps = fresh as f32 / seconds(first.at_ns, last.at_ns);
            stats.is_all_late =
                last.late_tiles > first.late_tiles && self.frames.iter().all(|frame| frame.fresh == 0.0);
        }
        if let (Some(first), Some(last)) = (self.traffic.front(), self.traffic.back()) {
            stats.sent_bytes_per_s = last.1.saturating_sub(first.1) as f32 / seconds(first.0, last.0);
            stats.received_bytes_per_s = last.2.saturating_sub(first.2) as f32 / seconds(first.0, last.0);
        }
    }
}

impl std::fmt::Display for ViewStats {
    /// One line for people: rates, the way of the last frame by stage, peers, traffic.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let t = &self.times;
        write!(f, "fresh {:.1} fps, shown {:.1} fps | {:.0} ms", self.fresh_fps, self.shown_fps, t.total_ms)?;
        for (i, (name, stage)) in STAGES.iter().enumerate() {
            write!(f, "{}{name} {:.1}", if i == 0 { " = " } else { " + " }, stage(t))?;
        }
        write!(f, " |")?;
        for peer in &self.peers {
            if peer.peer == crate::EMBEDDED_PEER {
                write!(f, " embedded")?;
            } else {
                write!(f, " p{}", peer.peer)?;
            }
            match &peer.scene {
                Some(SceneStage::Receiving { have, total }) => {
                    write!(f, " upload {:.0}%", 100.0 * *have as f64 / (*total).max(1) as f64)?;
                }
                Some(SceneStage::Building { fraction }) => write!(f, " build {:.0}%", 100.0 * fraction)?,
                Some(SceneStage::Failed { .. }) => write!(f, " scene failed")?,
                Some(SceneStage::Ready) | None => {
                    write!(f, " {}x{:.1}ms", peer.tiles, peer.work_ms / peer.tiles.max(1) as f32)?
                }
            }
        }
        let (sent, received) = (self.sent_bytes_per_s / 1e3, self.received_bytes_per_s / 1e6);
        write!(f, " | out {sent:.1} KB/s, in {received:.2} MB/s")?;
        // Work that was for nothing, or for the next frame at best: deadlines are short for these peers.
        if self.late_tiles > 0 {
            write!(f, " | {} tiles late so far", self.late_tiles)?;
        }
        if self.is_all_late {
            write!(f, ", all of the last second: give layers a later deadline")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_second_also_where_nothing_comes_in_it() {
        let (mut rates, mut stats) = (Rates::default(), ViewStats::default());
        for frame in 0..=20 {
            let now_ns = frame * WINDOW_NS / 20;
            rates.frame(now_ns, (frame % 2) as f32, 0);
            rates.traffic(now_ns, frame * 1000, frame * 2000);
        }
        rates.write(WINDOW_NS, &mut stats);
        assert_eq!((stats.shown_fps, stats.fresh_fps), (20.0, 10.0));
        assert_eq!((stats.sent_bytes_per_s, stats.received_bytes_per_s), (20_000.0, 40_000.0));
        rates.write(3 * WINDOW_NS, &mut stats);
        assert_eq!((stats.shown_fps, stats.fresh_fps), (0.0, 0.0));
        assert_eq!((stats.sent_bytes_per_s, stats.received_bytes_per_s), (0.0, 0.0));
    }

    #[test]
    fn that_all_comes_late_is_told_for_as_long_as_it_does() {
        let (mut rates, mut stats) = (Rates::default(), ViewStats::default());
        let mut line = |from: u64, frame: fn(u64) -> (f32, u64)| {
            for i in 0..=20 {
                let (fresh, late_tiles) = frame(i);
                rates.frame(from * WINDOW_NS + i * WINDOW_NS / 20, fresh, late_tiles);
            }
            rates.write((from + 1) * WINDOW_NS, &mut stats);
            stats.to_string()
        };
        let advice = "give layers a later deadline";
        assert!(!line(0, |_| (0.0, 0)).contains(advice), "nobody is there");
        assert!(line(2, |i| (0.0, i)).contains(advice));
        assert!(!line(4, |i| (0.1 * (i % 2) as f32, 20 + i)).contains(advice), "some comes in time");
        assert!(!line(6, |_| (0.0, 40)).contains(advice), "it was long ago");
    }
}
