//! Frames that ask for a kind of peer get nobody else, whatever goes wrong, and say so where there is none.
mod request;

use proptest::prelude::*;
use rayloom_coordinator::sim::{Fault, Pace, SimPeer, Simulation, SplitMix, city_under_sky};
use rayloom_coordinator::{
    Action, Config, Constraints, Coordinator, ExpiryCause, FrameRequest, PeerId, PeerPrior, PeerTraits, Requirement,
    Time,
};
use rayloom_frame::Extent;
use request::request;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);
const INTERVAL: Duration = Duration::from_millis(50);

fn traits(random: &mut SplitMix) -> PeerTraits {
    PeerTraits {
        is_cpu: random.unit() < 0.5,
        has_ray_tracing: random.unit() < 0.5,
        is_trusted: random.unit() < 0.5,
        memory_bytes: [0, 1 << 20, 1 << 34][random.below(3)],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_else_is_sent_anything(
        (peers, seed) in (1_usize..8, any::<u64>()),
        (gpu, ray_tracing, trusted, large) in any::<(bool, bool, bool, bool)>(),
    ) {
        let constraints = Constraints { gpu, ray_tracing, trusted, memory_bytes: if large { 1 << 30 } else { 0 } };
        let mut random = SplitMix(seed);
        let fleet: Vec<SimPeer> = (0..peers)
            .map(|_| {
                let prior = PeerPrior { traits: traits(&mut random), ..PeerPrior::default() };
                let peer = SimPeer { prior, ..SimPeer::new(0.3 + random.unit()) };
                // Backups, replacements and probes have their occasion.
                let from = Time(200_000_000 + random.below(800_000_000) as u64);
                match random.below(3) {
                    0 => peer.with(Fault::Stall { from, until: from + Duration::from_millis(300) }),
                    1 => peer.with(Fault::Disconnect { at: from }),
                    _ => peer,
                }
            })
            .collect();
        let able = |peer: PeerId| constraints.unmet(&fleet[peer.0 as usize].prior.traits).is_none();
        let truth = |frame| city_under_sky(VIEW, frame, 1.0, 120.0).0;
        let mut run = Simulation::new(Config::default(), seed, VIEW, fleet.clone(), truth).constrained(constraints);
        run.run(40, Pace::Every(INTERVAL), INTERVAL, None);
        prop_assert!(run.spans.iter().all(|span| able(span.peer)), "{:?}", run.spans);
        let is_any = (0..peers as u32).map(PeerId).any(able);
        prop_assert_eq!(run.spans.is_empty(), !is_any);
        prop_assert!(run.frames.iter().all(|frame| frame.ended.is_some_and(|(at, _)| at <= frame.begun + INTERVAL)));
    }
}

fn begin(coordinator: &mut Coordinator, frame_id: u64, constraints: Constraints) -> Option<Action> {
    let deadline = Time(frame_id * 100_000_000 + 90_000_000);
    let request = FrameRequest { constraints, ..request(frame_id, VIEW, deadline) };
    coordinator.begin_frame(request, Time(frame_id * 100_000_000));
    std::iter::from_fn(|| coordinator.poll_action()).find(|action| !matches!(action, Action::PeerChanged(_)))
}

#[test]
fn a_frame_that_nobody_may_trace_says_why() {
    let mut coordinator = Coordinator::new(Config::default());
    let prior = |is_cpu, is_trusted| {
        let traits = PeerTraits { is_cpu, is_trusted, ..PeerTraits::default() };
        PeerPrior { traits, ..PeerPrior::default() }
    };
    coordinator.peer_joined(PeerId(0), prior(true, true), Time(0));
    coordinator.peer_joined(PeerId(1), prior(false, false), Time(0));
    let both = Constraints { gpu: true, trusted: true, ..Constraints::default() };
    let expired = |action: Option<Action>| match action {
        Some(Action::FrameExpired { missing, cause, .. }) if missing.is_empty() => cause,
        other => panic!("{other:?}"),
    };
    assert_eq!(expired(begin(&mut coordinator, 1, both)), ExpiryCause::NotReady);
    coordinator.peer_ready(PeerId(0), 1, 1, Time(0));
    coordinator.peer_ready(PeerId(1), 1, 1, Time(0));
    let cause = expired(begin(&mut coordinator, 2, both));
    assert_eq!(cause, ExpiryCause::Unmet { peers: 2, requirement: Requirement::Gpu });
    assert!(cause.to_string().contains("a GPU") && cause.to_string().contains('2'), "{cause}");
    let trusted = Constraints { trusted: true, ..Constraints::default() };
    assert!(matches!(begin(&mut coordinator, 3, trusted), Some(Action::Assign { peer: PeerId(0), .. })));
}
