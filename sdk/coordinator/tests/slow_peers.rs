//! Peers that can't do a frame by its deadline: all of the view has its turn, in tiles that come while they count.

mod request;

use rayloom_coordinator::{
    Action, Config, Coordinator, FrameRequest, Lowering, PeerId, PeerPrior, PeerTraits, TaskId, TileReport, Time,
};
use rayloom_frame::{Extent, Rect};
use rayloom_wire::TILES_AT_ONCE;
use request::request;
use std::collections::VecDeque;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);
/// Side of the blocks that are looked at.
const SIDE: u32 = 8;
/// Late results count for so many frames.
const LATE_FRAMES: u64 = rayloom_frame::merge::LATE_FRAMES as u64;
/// And come within so many where no tile takes as long.
const FEW_FRAMES: u64 = 6;

/// One peer, that says it is fast, and traces two tiles at once, each half as fast as if it were alone.
struct Slow {
    /// What is later by more frames is not looked at.
    counts: u64,
    coordinator: Coordinator,
    view_ms: f64,
    queue: VecDeque<(TaskId, Rect, u64)>,
    /// With when they are done.
    begun: Vec<(TaskId, Rect, u64, Time)>,
    /// Of each block: the last frame of which something came before it was too old.
    traced: Vec<u64>,
}

impl Slow {
    fn new(view_ms: f64, counts: u64) -> Slow {
        let mut coordinator = Coordinator::new(Config::default());
        let traits = PeerTraits { is_trusted: true, ..PeerTraits::default() };
        let prior = PeerPrior { rays_per_second: 1e9, is_embedded: true, is_standby: false, traits };
        coordinator.peer_joined(PeerId(3), prior, Time(0));
        coordinator.peer_ready(PeerId(3), 1, 1, Time(0));
        let blocks = VIEW.scaled(SIDE).pixels();
        Slow { counts, coordinator, view_ms, queue: VecDeque::new(), begun: Vec::new(), traced: vec![0; blocks] }
    }

    fn cost_ms(&self, rect: Rect) -> f64 {
        1.0 + TILES_AT_ONCE as f64 * self.view_ms * rect.pixels() as f64 / VIEW.pixels() as f64
    }

    fn listen(&mut self, now: Time) {
        while let Some(action) = self.coordinator.poll_action() {
            match action {
                Action::Assign { frame_id, tiles, .. } => {
                    self.queue.extend(tiles.iter().map(|tile| (tile.task, tile.rect, frame_id)));
                }
                // What has begun is finished.
                Action::Cancel { tasks, .. } => self.queue.retain(|(task, ..)| !tasks.contains(task)),
                _ => {}
            }
        }
        while self.begun.len() < TILES_AT_ONCE
            && let Some((task, rect, frame)) = self.queue.pop_front()
        {
            let done = now + Duration::from_secs_f64(self.cost_ms(rect) * 1e-3);
            self.begun.push((task, rect, frame, done));
        }
    }

    /// Frames that begin every so often; gives back after how many each block was seen anew at the latest, once so many had begun.
    fn run(&mut self, frame: impl Fn(u64, Time) -> FrameRequest, interval_ms: u64, frames: u64, settled: u64) -> u64 {
        let mut most = 0;
        for ms in 0..frames * interval_ms {
            let (now, frame_id) = (Time(ms * 1_000_000), ms / interval_ms);
            while let Some(at) = self.begun.iter().position(|(.., done)| *done <= now) {
                let (task, rect, of, _) = self.begun.remove(at);
                let service_ns = (self.cost_ms(rect) * 1e6) as u64;
                self.coordinator.tile_done(task, TileReport::new(service_ns, rect), now);
                if frame_id - of <= self.counts {
                    self.see(rect, frame_id);
                }
            }
            if ms % interval_ms == 0 {
                self.coordinator.begin_frame(frame(frame_id, now), now);
            }
            if self.coordinator.poll_timeout().is_some_and(|due| due <= now) {
                self.coordinator.handle_timeout(now);
            }
            self.listen(now);
            if frame_id >= settled {
                let oldest = self.traced.iter().min().expect("there are blocks");
                most = most.max(frame_id - oldest);
            }
        }
        most
    }

    fn see(&mut self, rect: Rect, frame_id: u64) {
        let columns = VIEW.scaled(SIDE).width;
        for (at, seen) in (0..).zip(&mut self.traced) {
            // Its middle pixel stands for it.
            if rect.contains(at % columns * SIDE + SIDE / 2, at / columns * SIDE + SIDE / 2) {
                *seen = frame_id;
            }
        }
    }
}

/// Views of so many milliseconds, with an interval and a deadline, for so many frames: each block is seen anew within so many times as many
/// frames as there are at best, by results that are late by no more than so many.
fn assert_all_have_their_turn(cases: &[(f64, u64, u64, u64, u64)], most_turns: f64) {
    for lowering in [Lowering::Never, Lowering::SamplesAndResolution] {
        for (view_ms, interval_ms, deadline_ms, frames, counts) in cases.iter().copied() {
            let frame = |frame_id, now: Time| FrameRequest {
                lowering,
                ..request(frame_id, VIEW, now + Duration::from_millis(deadline_ms))
            };
            let most = Slow::new(view_ms, counts).run(frame, interval_ms, frames, frames * 3 / 10);
            let at_best = (view_ms / interval_ms as f64).max(1.0);
            assert!(
                most as f64 <= most_turns * at_best + 6.0,
                "{most} frames of {interval_ms} ms: {view_ms} ms due in {deadline_ms}, {lowering:?}"
            );
        }
    }
}

#[test]
fn every_part_of_a_view_has_its_turn() {
    let cases = [
        (500.0, 150, 60, 200, FEW_FRAMES),
        (500.0, 150, 25, 200, FEW_FRAMES),
        (300.0, 150, 60, 200, FEW_FRAMES),
        (900.0, 1000, 60, 200, FEW_FRAMES),
        // One tile, which takes eight frames beside the next one.
        (200.0, 50, 40, 200, LATE_FRAMES),
        (3000.0, 75, 50, 200, FEW_FRAMES),
    ];
    // As often as it can, with what is at once begun and thrown away, and the middle more often than the edges.
    assert_all_have_their_turn(&cases, 4.0);
}

#[test]
fn so_it_has_where_frames_overlap() {
    let cases = [(2000.0, 33, 250, 1500), (1000.0, 33, 250, 1000), (700.0, 33, 250, 800), (400.0, 16, 100, 800)];
    // Each place is begun of several of the frames that are open at once.
    assert_all_have_their_turn(
        &cases.map(|(view, interval, due, frames)| (view, interval, due, frames, LATE_FRAMES)),
        12.0,
    );
}

#[test]
fn a_peer_whose_first_tiles_take_too_long_gets_small_ones() {
    // Two tiles of half of the view take longer than a first tile is waited for; two at once take twice as long to the first answer.
    let frame = |frame_id, now: Time| request(frame_id, VIEW, now + Duration::from_millis(75));
    let mut slow = Slow::new(12_000.0, LATE_FRAMES);
    let most = slow.run(frame, 80, 1500, 1000);
    assert!(slow.traced.iter().all(|frame| *frame > 0), "something of all was there in time to be seen");
    assert!(most < 500, "{most} frames");
}
