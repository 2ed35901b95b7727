//! A peer that answers no more is noticed long before a deadline that is far away: others trace what it had, and where nobody is left
//! no frame waits. One that is slow, and says so by answering what costs nothing, is waited for.
mod request;

use rayloom_coordinator::{
    Action, Config, Coordinator, ExpiryCause, PeerId, PeerPrior, PeerState, TaskId, TileReport, Time,
};
use rayloom_frame::{Extent, Rect};
use request::request;
use std::ops::Range;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);
const MINUTE: Duration = Duration::from_secs(60);
/// Milliseconds from one frame to the next, and from one measurement of a round trip to the next.
const FRAME: u64 = 200;
const PING: u64 = 250;

/// Two peers, a frame each 200 ms that is due in a minute; tiles take 20 ms, and `slow_ms` from the twentieth frame on.
struct Scene {
    silent: &'static [PeerId],
    /// When they say nothing, in milliseconds.
    silence: Range<u64>,
    /// Whether round trips are measured.
    pinged: bool,
    slow_ms: u64,
    /// No frame is begun from then on.
    last_frame: u64,
}

/// How a frame ended, after how many milliseconds.
type End = (u64, Result<(), ExpiryCause>);

struct Seen {
    /// Of each frame, in order.
    ends: Vec<Option<End>>,
    /// When peer 1 was first suspect.
    suspect: Option<u64>,
}

impl Scene {
    fn play(&self) -> Seen {
        let mut coordinator = Coordinator::new(Config { max_frames_in_flight: 64, ..Config::default() });
        for peer in [PeerId(0), PeerId(1)] {
            coordinator.peer_joined(peer, PeerPrior::default(), Time(0));
            coordinator.peer_ready(peer, 1, 1, Time(0));
        }
        let mut waiting = Vec::<(TaskId, Rect, PeerId, u64)>::new();
        let mut seen = Seen { ends: Vec::new(), suspect: None };
        for ms in 0..20_000_u64 {
            let now = Time(ms * 1_000_000);
            let is_silent = |peer: &PeerId| self.silence.contains(&ms) && self.silent.contains(peer);
            for peer in [PeerId(0), PeerId(1)].into_iter().filter(|peer| !is_silent(peer)) {
                if self.pinged && ms.is_multiple_of(PING) {
                    coordinator.link_measured(peer, Duration::from_millis(1), now);
                }
            }
            if ms.is_multiple_of(FRAME) && ms <= self.last_frame {
                seen.ends.push(None);
                coordinator.begin_frame(request(ms / FRAME, VIEW, now + MINUTE), now);
            }
            let answered = waiting.extract_if(.., |(_, _, peer, done)| *done <= ms && !is_silent(peer));
            for (task, rect, ..) in answered.collect::<Vec<_>>() {
                coordinator.tile_done(task, TileReport::new(10_000_000, rect), now);
            }
            if coordinator.poll_timeout().is_some_and(|due| due <= now) {
                coordinator.handle_timeout(now);
            }
            while let Some(action) = coordinator.poll_action() {
                let mut ended = |frame: u64, how| seen.ends[frame as usize] = Some((ms - frame * FRAME, how));
                match action {
                    Action::Assign { peer, tiles, .. } => {
                        let done = ms + if ms < 20 * FRAME { 20 } else { self.slow_ms };
                        waiting.extend(tiles.iter().map(|tile| (tile.task, tile.rect, peer, done)));
                    }
                    Action::Cancel { tasks, .. } => waiting.retain(|(task, ..)| !tasks.contains(task)),
                    Action::FrameComplete { frame_id, .. } => ended(frame_id, Ok(())),
                    Action::FrameExpired { frame_id, cause, .. } => ended(frame_id, Err(cause)),
                    Action::PeerChanged(change) if (change.peer, change.to) == (PeerId(1), PeerState::Suspect) => {
                        seen.suspect = seen.suspect.or(Some(ms));
                    }
                    _ => {}
                }
            }
        }
        seen
    }
}

#[test]
fn a_silent_peer_is_suspect_and_replaced_whatever_the_deadline() {
    for pinged in [false, true] {
        let silence = 4_000..20_000;
        let seen = Scene { silent: &[PeerId(1)], silence, pinged, slow_ms: 20, last_frame: 4_000 }.play();
        let suspect = seen.suspect.expect("it answers no more");
        assert!((4_000..6_000).contains(&suspect), "told at {suspect} ms");
        let (after, how) = seen.ends[20].expect("the other one traces all of the last frame");
        assert!(how.is_ok() && after < 2_000, "{how:?} after {after} ms");
    }
}

#[test]
fn no_frame_waits_for_peers_that_are_all_silent_whatever_the_deadline() {
    let silent = &[PeerId(0), PeerId(1)];
    let seen = Scene { silent, silence: 4_000..12_000, pinged: true, slow_ms: 20, last_frame: 16_000 }.play();
    let ends: Vec<End> = seen.ends.iter().map(|end| end.expect("each frame ends")).collect();
    assert!(ends[..20].iter().all(|(after, how)| how.is_ok() && *after < 100), "{ends:?}");
    for (frame, (after, how)) in (0_u64..).zip(&ends).skip(20).take(40) {
        let is_noticed = frame * FRAME >= 6_000;
        assert_eq!(*how, Err(ExpiryCause::NobodyLeft), "frame {frame}");
        assert!(*after < if is_noticed { 1 } else { 2_000 }, "frame {frame} waited for {after} ms");
    }
    // They are heard again, and asked as before.
    assert!(ends[65..].iter().all(|(after, how)| how.is_ok() && *after < 100), "{:?}", &ends[60..]);
}

#[test]
fn slow_peers_that_are_heard_are_waited_for() {
    // From 20 ms to three seconds a tile: nobody could know, both are suspect, and the picture is worth the wait.
    let seen = Scene { silent: &[], silence: 0..0, pinged: true, slow_ms: 3_000, last_frame: 4_200 }.play();
    assert!(seen.suspect.is_some());
    let ends: Vec<End> = seen.ends.iter().map(|end| end.expect("each frame ends")).collect();
    assert!(ends.iter().all(|(_, how)| how.is_ok()), "{ends:?}");
}
