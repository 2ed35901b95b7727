//! Layers that are due at different times are planned, traced and ended each for itself, by peers that can make it.

use rayloom_coordinator::sim::{FrameRecord, Pace, SimPeer, Simulation, Tier, city_under_sky, figures};
use rayloom_coordinator::{Action, Config, Coordinator, ExpiryCause, FrameRequest, GROUPS, PeerId, PeerPrior, Time};
use rayloom_frame::Extent;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);
const INTERVAL: Duration = Duration::from_millis(50);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Shadows and reflections within 50 ms, bounces within 250.
fn tiers() -> Vec<Tier> {
    vec![Tier { deadline: ms(50), work: 0.5 }, Tier { deadline: ms(250), work: 0.5 }]
}

fn run(peers: Vec<SimPeer>, tiers: Vec<Tier>) -> Simulation {
    let truth = |frame| city_under_sky(VIEW, frame, 1.0, 120.0).0;
    let mut simulation = Simulation::new(Config::default(), 6, VIEW, peers, truth).tiered(tiers);
    simulation.run(60, Pace::Every(INTERVAL), INTERVAL, None);
    simulation
}

/// Two peers nearby, two on another continent.
fn near_and_far() -> Vec<SimPeer> {
    [4, 4, 90, 90].map(|rtt| SimPeer::new(1.0).at_rtt(ms(rtt))).to_vec()
}

fn median_ms(frames: &[FrameRecord]) -> f64 {
    let took = |frame: &FrameRecord| Some(frame.ended?.0.ns_since(frame.begun) as f64 * 1e-6);
    let mut times: Vec<f64> = frames.iter().filter_map(took).collect();
    figures::quantile(&mut times, 0.5)
}

#[test]
fn peers_too_far_for_what_is_due_first_trace_what_is_due_later() {
    let run = run(near_and_far(), tiers());
    let is_far = |peer: PeerId| peer.0 >= 2;
    let first = &run.frames[10..];
    assert!(first.iter().flat_map(|frame| &frame.plan.tiles).all(|tile| !is_far(tile.peer)), "{first:?}");
    let later = &run.later[0][10..];
    let of_far = later.iter().filter(|frame| frame.plan.tiles.iter().all(|tile| is_far(tile.peer))).count();
    assert!(of_far > 45, "{of_far} of 50 frames");
    for frames in [first, later] {
        let missing = frames.iter().filter(|frame| frame.missing > 0).count();
        assert!(missing <= 2, "{missing} of 50 frames are incomplete");
    }
    assert!(later.iter().all(|frame| frame.ended.is_some_and(|(at, _)| at > frame.begun + ms(50))));
}

#[test]
fn what_is_due_first_is_there_sooner_than_all_of_it_would_be() {
    let (all, tiered) = (run(near_and_far(), Vec::new()), run(near_and_far(), tiers()));
    let (all, first) = (median_ms(&all.frames[10..]), median_ms(&tiered.frames[10..]));
    assert!(first < 0.8 * all, "{first} ms, all of it {all} ms");
}

#[test]
fn what_is_due_later_waits_while_others_are_due_first() {
    // Every fourth frame costs twice as much: what it leaves to be traced is in the way of the next.
    let run = |tiers: Vec<Tier>| {
        let truth =
            |frame: u64| city_under_sky(VIEW, frame, 1.0, if frame.is_multiple_of(4) { 360.0 } else { 120.0 }).0;
        let peers = vec![SimPeer::new(1.0).at_rtt(ms(4)); 2];
        let config = Config { tiles_per_peer: 4..=4, max_split_overhead: 1.0, hedge_budget: 0.0, ..Config::default() };
        let mut simulation = Simulation::new(config, 6, VIEW, peers, truth).tiered(tiers);
        simulation.run(60, Pace::Every(INTERVAL), INTERVAL, None);
        simulation
    };
    let first = Tier { deadline: INTERVAL, work: 1.0 };
    let alone = run(vec![first]);
    let both = run(vec![first, Tier { deadline: ms(250), work: 3.0 }]);
    let took = |frame: &FrameRecord| frame.ended.map_or(Duration::MAX, |(at, _)| at.since(frame.begun));
    let mut overtaken = 0;
    for (alone, first) in alone.frames.iter().zip(&both.frames).skip(12) {
        let spans = |group: u8, frame: u64| both.spans.iter().filter(move |s| (s.group, s.frame_id) == (group, frame));
        let longest = both.spans.iter().filter(|span| span.group == 1).map(|span| span.ended.since(span.begun)).max();
        // A tile that has begun is waited for, and no other.
        let most = took(alone) + longest.expect("some were traced");
        assert!(took(first) <= most, "frame {}: {:?}, alone {:?}", first.frame_id, took(first), took(alone));
        let last = spans(1, first.frame_id - 1).map(|span| span.begun).max();
        overtaken += u32::from(spans(0, first.frame_id).map(|span| span.begun).min() < last);
    }
    assert!(overtaken >= 12, "{overtaken} frames");
    assert!(both.later[0].iter().skip(12).all(|frame| frame.missing == 0), "what is due later is there too");
}

#[test]
fn where_all_peers_are_too_far_they_are_asked_all_the_same() {
    let run = run(vec![SimPeer::new(1.0).at_rtt(ms(90)); 2], tiers());
    assert!(run.frames.iter().all(|frame| !frame.plan.tiles.is_empty()));
    assert!(run.frames[10..].iter().all(|frame| frame.missing > 0), "the link alone takes longer");
    assert!(run.later[0][10..].iter().all(|frame| frame.missing == 0));
}

#[test]
fn one_group_is_a_frame_as_ever() {
    let one = run(near_and_far(), vec![Tier { deadline: INTERVAL, work: 1.0 }]);
    let none = run(near_and_far(), Vec::new());
    assert_eq!((&one.frames, &one.spans), (&none.frames, &none.spans));
    assert!(one.later.iter().all(Vec::is_empty));
}

#[test]
fn groups_of_a_frame_end_each_for_itself_and_there_are_not_more_than_are_known() {
    let mut coordinator = Coordinator::new(Config::default());
    coordinator.peer_joined(PeerId(0), PeerPrior::default(), Time(0));
    coordinator.peer_ready(PeerId(0), 1, 1, Time(0));
    for group in 0..GROUPS as u8 + 1 {
        let deadline = Time(1_000_000 * (u64::from(group) + 1));
        let request = FrameRequest {
            frame_id: 7,
            group,
            scene: 1,
            revision: 1,
            extent: VIEW,
            deadline,
            ..FrameRequest::default()
        };
        let plan = coordinator.begin_frame(request, Time(0));
        assert_eq!(plan.tiles.is_empty(), usize::from(group) == GROUPS);
    }
    let mut expired = Vec::new();
    for now in 0..=GROUPS as u64 {
        coordinator.handle_timeout(Time(1_000_000 * now));
        while let Some(action) = coordinator.poll_action() {
            if let Action::FrameExpired { frame_id: 7, group, cause, .. } = action {
                expired.push((now, group, cause));
            }
        }
    }
    let mut expected = vec![(0, GROUPS as u8, ExpiryCause::NothingToTrace)];
    expected.extend((1..=GROUPS as u8).map(|group| (u64::from(group), group - 1, ExpiryCause::Deadline)));
    assert_eq!(expired, expected);
}
