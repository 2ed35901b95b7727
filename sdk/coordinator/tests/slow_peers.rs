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

/// One peer, that says it is fast, and traces two tiles at once, each half as fast as if it were alone.
struct Slow {
    coordinator: Coordinator,
    view_ms: f64,
    queue: VecDeque<(TaskId, Rect, u64)>,
    /// With when they are done.
    begun: Vec<(TaskId, Rect, u64, Time)>,
    /// Of each block: the last frame of which something came before it was too old.
    traced: Vec<u64>,
}

fn cost_ms(view_ms: f64, rect: Rect) -> f64 {
    1.0 + TILES_AT_ONCE as f64 * view_ms * rect.pixels() as f64 / VIEW.pixels() as f64
}

impl Slow {
    fn new(view_ms: f64) -> Slow {
        let mut coordinator = Coordinator::new(Config::default());
        let traits = PeerTraits { is_trusted: true, ..PeerTraits::default() };
        let prior = PeerPrior { rays_per_second: 1e9, is_embedded: true, is_standby: false, traits };
        coordinator.peer_joined(PeerId(3), prior, Time(0));
        coordinator.peer_ready(PeerId(3), 1, 1, Time(0));
        let blocks = VIEW.scaled(SIDE).pixels();
        Slow { coordinator, view_ms, queue: VecDeque::new(), begun: Vec::new(), traced: vec![0; blocks] }
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
            let done = now + Duration::from_secs_f64(cost_ms(self.view_ms, rect) * 1e-3);
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
                let service_ns = (cost_ms(self.view_ms, rect) * 1e6) as u64;
                self.coordinator.tile_done(task, TileReport::new(service_ns, rect), now);
                if frame_id - of <= LATE_FRAMES {
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

#[test]
fn every_part_of_a_view_has_its_turn() {
    for lowering in [Lowering::Never, Lowering::SamplesAndResolution] {
        for (view_ms, interval_ms, deadline_ms, frames) in
            [(500.0, 150, 60), (500.0, 150, 25), (300.0, 150, 60), (900.0, 1000, 60), (200.0, 50, 40), (3000.0, 75, 50)]
                .map(|(view, interval, deadline)| (view, interval, deadline, 200))
                .into_iter()
                // Frames overlap.
                .chain([(2000.0, 33, 250, 1500), (1000.0, 33, 250, 1000), (700.0, 33, 250, 800), (400.0, 16, 100, 800)])
        {
            let frame = |frame_id, now: Time| FrameRequest {
                lowering,
                ..request(frame_id, VIEW, now + Duration::from_millis(deadline_ms))
            };
            let most = Slow::new(view_ms).run(frame, interval_ms, frames, frames * 3 / 10);
            // As often as it can, with what is at once begun and thrown away, and the middle more often than the edges; where frames overlap
            // each place is begun of some of them.
            let overlap = (deadline_ms / interval_ms).max(1) as f64;
            let at_best = (view_ms / interval_ms as f64).max(1.0);
            assert!(
                most as f64 <= 4.0 * at_best * overlap.min(3.0) + 6.0,
                "{most} frames of {interval_ms} ms: {view_ms} ms due in {deadline_ms}, {lowering:?}"
            );
        }
    }
}

#[test]
fn a_peer_whose_first_tiles_take_too_long_gets_small_ones() {
    // Two tiles of half of the view take longer than a first tile is waited for.
    let frame = |frame_id, now: Time| request(frame_id, VIEW, now + Duration::from_millis(75));
    let mut slow = Slow::new(12_000.0);
    let most = slow.run(frame, 80, 1500, 1000);
    assert!(slow.traced.iter().all(|frame| *frame > 0), "something of all was there in time to be seen");
    assert!(most < 500, "{most} frames");
}
