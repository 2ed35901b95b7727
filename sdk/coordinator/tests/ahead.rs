//! Frames that are asked for before they are due: their deadline is told later, or they are given up.
mod request;

use rayloom_coordinator::{Action, Config, Coordinator, ExpiryCause, PeerId, PeerPrior, TaskId, TileReport, Time};
use rayloom_frame::Extent;
use request::request;

const VIEW: Extent = Extent::new(64, 64);
const MS: u64 = 1_000_000;

fn coordinator() -> Coordinator {
    let mut coordinator = Coordinator::new(Config { tiles_per_peer: 1..=1, ..Config::default() });
    coordinator.peer_joined(PeerId(0), PeerPrior::default(), Time(0));
    coordinator.peer_ready(PeerId(0), 1, 1, Time(0));
    coordinator
}

fn actions(coordinator: &mut Coordinator) -> Vec<Action> {
    std::iter::from_fn(|| coordinator.poll_action()).filter(|a| !matches!(a, Action::PeerChanged(_))).collect()
}

#[test]
fn a_deadline_that_is_told_later_counts_from_then_on() {
    for (told, expires) in [(40 * MS, true), (400 * MS, false)] {
        let mut coordinator = coordinator();
        coordinator.begin_frame(request(7, VIEW, Time(100 * MS)), Time(0));
        actions(&mut coordinator);
        coordinator.set_deadline(7, 0, Time(told), Time(MS));
        coordinator.set_deadline(99, 0, Time(0), Time(MS));
        assert!(coordinator.poll_timeout().is_some_and(|due| due <= Time(told)));
        coordinator.handle_timeout(Time(110 * MS));
        let seen = actions(&mut coordinator);
        let expired = seen.iter().any(|a| matches!(a, Action::FrameExpired { cause: ExpiryCause::Deadline, .. }));
        assert_eq!(expired, expires, "{seen:?}");
    }
}

#[test]
fn what_is_given_up_ends_and_leaves_the_queue() {
    let mut coordinator = coordinator();
    for frame in 1..=4 {
        coordinator.begin_frame(request(frame, VIEW, Time(1_000 * MS)), Time(frame));
    }
    actions(&mut coordinator);
    // Its peer has begun two tiles.
    coordinator.give_up_frame(3, Time(MS));
    let seen = actions(&mut coordinator);
    assert!(
        matches!(&seen[..], [Action::Cancel { tasks, .. }, Action::FrameExpired { frame_id: 3, cause: ExpiryCause::GivenUp, .. }]
            if tasks == &[TaskId(3)]),
        "{seen:?}"
    );
    // The others are as they were, and nobody is at fault.
    for task in [1, 2, 4] {
        coordinator.tile_done(TaskId(task), TileReport::new(MS, VIEW.rect()), Time(2 * MS));
    }
    let complete: Vec<u64> = actions(&mut coordinator)
        .into_iter()
        .filter_map(|action| match action {
            Action::FrameComplete { frame_id, .. } => Some(frame_id),
            _ => None,
        })
        .collect();
    assert_eq!(complete, [1, 2, 4]);
    coordinator.give_up_frame(3, Time(3 * MS));
    assert!(actions(&mut coordinator).is_empty());
}
