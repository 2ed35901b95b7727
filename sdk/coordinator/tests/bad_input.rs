//! Nothing that a peer, a clock or a session says wrongly makes the coordinator panic or lose a frame.
mod request;

use proptest::prelude::*;
use rayloom_coordinator::{
    Action, Config, Coordinator, CostMap, Flaw, FramePlan, FrameRequest, PeerId, PeerPrior, Refusal, TaskId,
    TileReport, Time,
};
use rayloom_frame::{Extent, Rect};
use request::request;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Event {
    Join(u32, f32),
    Ready(u32, u64),
    Lost(u32),
    Link(u32, u64),
    Begin { id: u64, group: u8, revision: u64, width: u32, height: u32, ghost: u32, deadline: u64, cost: Option<f32> },
    Done(u64, u64, u32),
    Refused(u64),
    Corrupt(u64),
    Draining(u32),
    Lied(u32),
    Timeout,
}

fn event() -> impl Strategy<Value = Event> {
    let (peer, revision) = (0_u32..6, 0_u64..3);
    prop_oneof![
        1 => (peer.clone(), any::<f32>()).prop_map(|(p, r)| Event::Join(p, r)),
        2 => (peer.clone(), revision.clone()).prop_map(|(p, r)| Event::Ready(p, r)),
        1 => peer.clone().prop_map(Event::Lost),
        1 => (peer, any::<u64>()).prop_map(|(p, ns)| Event::Link(p, ns)),
        4 => (0_u64..40, 0_u8..6, revision, prop_oneof![0_u32..300, Just(u32::MAX)], 0_u32..300, any::<u32>(), 0_u64..400, any::<Option<f32>>())
            .prop_map(|(id, group, revision, width, height, ghost, deadline, cost)| {
                Event::Begin { id, group, revision, width, height, ghost, deadline, cost }
            }),
        6 => (0_u64..60, any::<u64>(), any::<u32>()).prop_map(|(t, ns, rays)| Event::Done(t, ns, rays)),
        1 => (0_u64..60).prop_map(Event::Refused),
        1 => (0_u64..60).prop_map(Event::Corrupt),
        1 => (0_u32..6, any::<bool>()).prop_map(|(p, lies)| if lies { Event::Lied(p) } else { Event::Draining(p) }),
        2 => Just(Event::Timeout),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_ends_every_frame_once(events in prop::collection::vec((event(), 0_u64..500), 1..120)) {
        let mut coordinator = Coordinator::new(Config { hedge_budget: 0.2, ..Config::default() });
        let (mut open, mut ended) = (Vec::new(), Vec::new());
        for (event, at_ms) in events {
            // Clocks jump as they like.
            let now = Time(at_ms * 1_000_000);
            match event {
                Event::Join(p, rays_per_second) => {
                    coordinator.peer_joined(PeerId(p), PeerPrior { rays_per_second, is_embedded: p == 0, ..PeerPrior::default() }, now);
                }
                Event::Ready(p, revision) => coordinator.peer_ready(PeerId(p), 1, revision, now),
                Event::Lost(p) => coordinator.peer_lost(PeerId(p), now),
                Event::Link(p, ns) => coordinator.link_measured(PeerId(p), Duration::from_nanos(ns), now),
                Event::Begin { id, group, revision, width, height, ghost, deadline, cost } => {
                    let extent = Extent::new(width, height);
                    let cost = cost.map(|c| CostMap { blocks_x: 3, blocks_y: 2, cost: vec![c; 6] });
                    let deadline = Time(deadline * 1_000_000);
                    let is_new = !open.contains(&(id, group));
                    let request = FrameRequest { frame_id: id,
                        group, scene: 1, revision, extent, ghost_px: ghost, deadline, cost, ..FrameRequest::default() };
                    let plan = coordinator.begin_frame(request, now);
                    if is_new { open.push((id, group)) } else { prop_assert_eq!(plan, FramePlan::default()) }
                }
                Event::Done(task, service_ns, rays) => {
                    let rays = vec![rays; rays as usize % 50];
                    let rect = Rect::new(0, 0, service_ns as u32, 1);
                    coordinator.tile_done(TaskId(task), TileReport { block_rays: &rays, ..TileReport::new(service_ns, rect) }, now);
                }
                Event::Refused(task) => coordinator.tile_refused(TaskId(task), Refusal::DeviceLost, now),
                Event::Corrupt(task) => coordinator.tile_corrupt(TaskId(task), Flaw::NotFinite, now),
                Event::Draining(p) => coordinator.peer_draining(PeerId(p), now),
                Event::Lied(p) => coordinator.peer_lied(PeerId(p), now),
                Event::Timeout => coordinator.handle_timeout(now),
            }
            drain(&mut coordinator, &mut open, &mut ended);
        }
        let end = Time(u64::MAX);
        coordinator.handle_timeout(end);
        drain(&mut coordinator, &mut open, &mut ended);
        prop_assert!(open.is_empty(), "frames that never ended: {:?}", open);
        prop_assert_eq!(coordinator.poll_timeout(), None);
    }
}

fn drain(coordinator: &mut Coordinator, open: &mut Vec<(u64, u8)>, ended: &mut Vec<(u64, u8)>) {
    while let Some(action) = coordinator.poll_action() {
        if let Action::FrameComplete { frame_id, group } | Action::FrameExpired { frame_id, group, .. } = action {
            let frame_id = (frame_id, group);
            let index = open.iter().position(|id| *id == frame_id).expect("an open frame ends once");
            ended.push(open.swap_remove(index));
        }
    }
}

#[test]
fn answers_that_nobody_asked_for_are_ignored() {
    let mut coordinator = Coordinator::new(Config::default());
    let report = TileReport::new(1, Rect::new(0, 0, 1, 1));
    coordinator.tile_done(TaskId(99), report, Time(5));
    coordinator.tile_refused(TaskId(99), Refusal::Other, Time(5));
    coordinator.tile_corrupt(TaskId(99), Flaw::WrongSize, Time(5));
    coordinator.peer_ready(PeerId(3), 1, 1, Time(5));
    coordinator.peer_draining(PeerId(3), Time(5));
    coordinator.peer_lied(PeerId(3), Time(5));
    coordinator.peer_lost(PeerId(3), Time(5));
    assert_eq!(coordinator.poll_action(), None);
    assert_eq!(coordinator.peers().count(), 0);
}

#[test]
fn nobody_polls_and_memory_stays_bounded() {
    let mut coordinator = Coordinator::new(Config::default());
    for peer in 0..2000 {
        coordinator.peer_joined(PeerId(peer), PeerPrior::default(), Time(0));
        coordinator.peer_ready(PeerId(peer), 1, 1, Time(0));
    }
    assert_eq!(coordinator.peers().count(), 1024);
    for frame_id in 0..9000 {
        let (extent, deadline) = (Extent::new(64, 64), Time(frame_id));
        let request = FrameRequest { revision: 9, ..request(frame_id, extent, deadline) };
        coordinator.begin_frame(request, Time(frame_id));
    }
    assert!(coordinator.actions_dropped() > 0);
}
