//! What nothing is known of in a frame that is out is traced by the embedded peer, within its budget and beside nothing else.

mod request;

use rayloom_coordinator::{
    Action, Config, Constraints, Coordinator, FramePlan, FrameRequest, PeerId, PeerPrior, PeerTraits, PlannedTile,
    TileReport, Time,
};
use rayloom_frame::{Extent, Rect};
use request::request;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);
const REMOTE: PeerId = PeerId(0);
const EMBEDDED: PeerId = PeerId(9);
const DEADLINE: Duration = Duration::from_millis(100);
/// What all of the view takes any peer.
const VIEW_NS: u64 = 40_000_000;

fn ms(ms: u64) -> Time {
    Time(ms * 1_000_000)
}

fn parts() -> Vec<Rect> {
    (0..8).map(|i| Rect::new(80 * i, 160, 64, 32)).collect()
}

fn answer<'a>(coordinator: &mut Coordinator, tiles: impl Iterator<Item = &'a PlannedTile>, at: Time) {
    for tile in tiles {
        let service_ns = VIEW_NS * tile.ghost_rect.pixels() as u64 / VIEW.pixels() as u64;
        coordinator.tile_done(tile.task, TileReport::new(service_ns, tile.ghost_rect), at);
    }
}

/// A peer that has traced some seconds of frames, and the embedded one that was probed now and then.
fn coordinator() -> Coordinator {
    let mut coordinator = Coordinator::new(Config::default());
    for peer in [REMOTE, EMBEDDED] {
        let is_embedded = peer == EMBEDDED;
        let prior = PeerPrior {
            rays_per_second: 1e6,
            is_embedded,
            is_standby: is_embedded,
            traits: PeerTraits { is_trusted: is_embedded, ..PeerTraits::default() },
        };
        coordinator.peer_joined(peer, prior, Time(0));
        coordinator.peer_ready(peer, 1, 1, Time(0));
    }
    for frame in 0..120 {
        let at = ms(33 * frame);
        let plan = coordinator.begin_frame(request(frame, VIEW, at + DEADLINE), at);
        answer(&mut coordinator, plan.tiles.iter().chain(&plan.probes), at + Duration::from_millis(20));
    }
    while coordinator.poll_action().is_some() {}
    coordinator
}

fn fill(coordinator: &mut Coordinator, frame: FrameRequest, budget_ms: u64) -> FramePlan {
    coordinator.fill(frame, &parts(), Duration::from_millis(budget_ms), ms(5000))
}

fn frame() -> FrameRequest {
    request(1000, VIEW, ms(5100))
}

#[test]
fn as_many_parts_are_asked_for_as_fit_the_budget() {
    let mut counts = Vec::new();
    for budget_ms in [0, 2, 4, 1000] {
        let mut coordinator = coordinator();
        let plan = fill(&mut coordinator, frame(), budget_ms);
        assert!(plan.tiles.iter().all(|tile| tile.peer == EMBEDDED));
        assert!(plan.tiles.iter().map(|tile| tile.rect).eq(parts().into_iter().take(plan.tiles.len())));
        let predicted: u64 = plan.tiles.iter().map(|tile| tile.predicted_ns).sum();
        assert!(predicted <= budget_ms * 1_000_000 && predicted.abs_diff(plan.predicted_ns) < 10, "{predicted}");
        counts.push(plan.tiles.len());
        let asked: usize = std::iter::from_fn(|| coordinator.poll_action())
            .map(|action| match action {
                Action::Assign { peer: EMBEDDED, frame_id: 1000, group: 0, tiles, .. } => {
                    assert!(tiles.iter().all(|tile| tile.redundant), "no frame waits for them");
                    tiles.len()
                }
                other => panic!("{other:?}"),
            })
            .sum();
        assert_eq!(asked, plan.tiles.len());
    }
    assert_eq!((counts[0], counts[3]), (0, parts().len()));
    assert!(0 < counts[1] && counts[1] < counts[2] && counts[2] < counts[3], "{counts:?}");
}

#[test]
fn one_that_is_too_large_is_passed_over() {
    let mut coordinator = coordinator();
    let large = Rect::new(0, 0, 640, 180);
    let parts = [large, parts()[0]];
    let plan = coordinator.fill(frame(), &parts, Duration::from_millis(5), ms(5000));
    assert_eq!(plan.tiles.iter().map(|tile| tile.rect).collect::<Vec<_>>(), parts[1..]);
}

#[test]
fn nothing_is_asked_of_who_has_something_to_do() {
    let mut coordinator = coordinator();
    let first = fill(&mut coordinator, frame(), 1000);
    assert!(!first.tiles.is_empty());
    assert!(fill(&mut coordinator, FrameRequest { frame_id: 1001, ..frame() }, 1000).tiles.is_empty());
    answer(&mut coordinator, first.tiles.iter(), ms(5010));
    let again = coordinator.fill(frame(), &parts(), Duration::from_secs(1), ms(5010));
    assert_eq!(again.tiles.len(), first.tiles.len());
}

#[test]
fn nothing_is_asked_of_who_may_not_or_can_not() {
    let constrained = |constraints| FrameRequest { constraints, ..frame() };
    let trusted = constrained(Constraints { trusted: true, ..Constraints::default() });
    let gpu = constrained(Constraints { ray_tracing: true, ..Constraints::default() });
    assert!(!fill(&mut coordinator(), trusted, 1000).tiles.is_empty());
    assert!(fill(&mut coordinator(), gpu, 1000).tiles.is_empty());
    assert!(fill(&mut coordinator(), FrameRequest { revision: 2, ..frame() }, 1000).tiles.is_empty());
    assert!(fill(&mut coordinator(), FrameRequest { extent: Extent::new(64, 64), ..frame() }, 1000).tiles.is_empty());
    assert!(fill(&mut coordinator(), FrameRequest { group: 200, ..frame() }, 1000).tiles.is_empty());
    let mut without = coordinator();
    without.peer_lost(EMBEDDED, ms(4900));
    assert!(fill(&mut without, frame(), 1000).tiles.is_empty(), "other peers' time is not for that");
    let outside = [
        Rect::new(639, 0, 2, 2),
        Rect::new(0, 0, 0, 0),
        Rect::new(0, u32::MAX - 1, 4, 1),
        Rect::new(u32::MAX, 0, 2, 1),
    ];
    assert!(coordinator().fill(frame(), &outside, Duration::from_secs(1), ms(5000)).tiles.is_empty());
}

#[test]
fn frames_go_on_as_if_nothing_was_filled() {
    let [without, with] = [false, true].map(|fills| {
        let mut coordinator = coordinator();
        (0..10)
            .map(|frame| {
                let at = ms(5000 + 33 * frame);
                let plan = coordinator.begin_frame(request(2000 + frame, VIEW, at + DEADLINE), at);
                answer(&mut coordinator, plan.tiles.iter(), at + Duration::from_millis(20));
                if fills {
                    let after = at + Duration::from_millis(21);
                    coordinator.fill(
                        FrameRequest { frame_id: 3000 + frame, ..self::frame() },
                        &parts(),
                        DEADLINE,
                        after,
                    );
                }
                plan.tiles.into_iter().map(|tile| (tile.peer, tile.rect)).collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(without, with);
}
