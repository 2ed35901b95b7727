//! What holds whatever a fleet does: frames end in time, no tile is lost, work is conserved, backups stay in their budget,
//! nobody starves.

use proptest::prelude::*;
use rayloom_coordinator::sim::figures::{on_recording, quantile};
use rayloom_coordinator::sim::{FleetKind, Pace, Recording, SimPeer, Simulation, SplitMix, Tier, fleet};
use rayloom_coordinator::{Config, GROUPS, PeerId, Time};
use rayloom_frame::{Extent, Rect};
use std::rc::Rc;
use std::time::Duration;

const VIEW: Extent = Extent::new(640, 360);
const FRAMES: u64 = 60;
const INTERVAL: Duration = Duration::from_millis(40);
const DEADLINE: Duration = Duration::from_millis(120);
const FRAME_NS: f64 = 60e6;

fn run(kind: FleetKind, seed: u64) -> (Simulation, Rc<Recording>, Vec<SimPeer>) {
    let recording = Rc::new(Recording::made_up(VIEW, 20, seed));
    let peers = fleet(&kind, seed);
    let mut run = on_recording(&recording, Config::default(), peers.clone(), FRAME_NS, seed.is_multiple_of(2), seed);
    run.run(FRAMES, Pace::Every(INTERVAL), DEADLINE, None);
    (run, recording, peers)
}

fn kind() -> impl Strategy<Value = FleetKind> {
    let peers = prop_oneof![4 => 1_usize..10, 1 => 10_usize..64];
    (peers, 0_u64..40, 0.0_f64..1.0).prop_map(|(peers, rtt_ms, faulty)| FleetKind {
        peers,
        rtt: Duration::from_millis(rtt_ms),
        faulty,
        span: INTERVAL * FRAMES as u32,
    })
}

fn covered(rects: &[Rect]) -> usize {
    let mut seen = vec![false; VIEW.pixels()];
    for rect in rects {
        for y in rect.y..rect.bottom() {
            let row = (y * VIEW.width) as usize;
            seen[row + rect.x as usize..row + rect.right() as usize].fill(true);
        }
    }
    seen.iter().filter(|seen| **seen).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_any_fleet((kind, seed) in (kind(), any::<u64>())) {
        let (run, recording, _) = run(kind, seed);
        prop_assert_eq!(run.frames.len() as u64, FRAMES);
        let truth = |frame| recording.truth(frame, FRAME_NS / recording.mean_frame_ns());
        for frame in &run.frames {
            let Some((ended, is_complete)) = frame.ended else { return Err(TestCaseError::fail("a frame never ended")) };
            prop_assert!(ended <= frame.begun + DEADLINE, "frame {} ended late", frame.frame_id);
            prop_assert_eq!(is_complete, frame.missing == 0 && !frame.plan.tiles.is_empty());
            if is_complete {
                // Answers cover the view: each tile of the plan came, from whomever.
                prop_assert_eq!(covered(&frame.rects), VIEW.pixels());
                let spans = run.spans.iter().filter(|span| span.frame_id == frame.frame_id && !span.redundant);
                let traced: f64 = spans.map(|span| span.work_ns).sum();
                let whole = truth(frame.frame_id).work_ns(VIEW, VIEW.rect());
                prop_assert!(traced >= whole * 0.999, "{traced} of {whole}");
            }
        }
        prop_assert!(run.coordinator.hedged_share() <= 0.0501, "{}", run.coordinator.hedged_share());
    }

    #[test]
    fn of_every_group_of_layers((kind, seed) in (kind(), any::<u64>()), groups in 2_usize..=GROUPS) {
        let recording = Rc::new(Recording::made_up(VIEW, 20, seed));
        let tier = |group: usize| Tier { deadline: DEADLINE / 2 * (group as u32 + 1), work: 1.0 / groups as f64 };
        let tiers: Vec<Tier> = (0..groups).map(tier).collect();
        let run = on_recording(&recording, Config::default(), fleet(&kind, seed), FRAME_NS, false, seed);
        let mut run = run.tiered(tiers.clone());
        run.run(FRAMES, Pace::Every(INTERVAL), DEADLINE, None);
        let of_groups = std::iter::once(&run.frames).chain(&run.later).zip(&tiers);
        for (frames, tier) in of_groups {
            prop_assert_eq!(frames.len() as u64, FRAMES);
            for frame in frames {
                let Some((ended, is_complete)) = frame.ended else { return Err(TestCaseError::fail("never ended")) };
                prop_assert!(ended <= frame.begun + tier.deadline, "frame {} ended late", frame.frame_id);
                prop_assert!(!is_complete || covered(&frame.rects) == VIEW.pixels());
            }
        }
        prop_assert!(run.later[groups - 1..].iter().all(Vec::is_empty));
        prop_assert!(run.coordinator.hedged_share() <= 0.0501, "{}", run.coordinator.hedged_share());
    }

    #[test]
    fn thin_links_make_no_fleet_slower_than_its_best_peer((peers, seed) in (2_usize..7, any::<u64>())) {
        let mut random = SplitMix(seed);
        let peer = |random: &mut SplitMix| SimPeer {
            // 4 Mbit/s to 1 Gbit/s.
            bits_per_second: 4e6 * 250.0_f64.powf(random.unit()),
            ..SimPeer::new(0.5 + random.unit()).at_rtt(Duration::from_millis(2 + random.below(20) as u64))
        };
        let peers: Vec<SimPeer> = (0..peers).map(|_| peer(&mut random)).collect();
        let recording = Rc::new(Recording::made_up(VIEW, 20, seed));
        let median = |peers: Vec<SimPeer>| {
            let mut run = on_recording(&recording, Config::default(), peers, FRAME_NS, false, seed);
            run.run(FRAMES, Pace::InFlight(1), Duration::from_secs(5), None);
            let took = run.frames[FRAMES as usize / 2..].iter().filter_map(|f| Some(f.ended?.0.ns_since(f.begun) as f64));
            quantile(&mut took.collect::<Vec<f64>>(), 0.5)
        };
        let best = peers.iter().map(|peer| median(vec![peer.clone()])).fold(f64::INFINITY, f64::min);
        let all = median(peers);
        prop_assert!(all <= 1.02 * best, "{} ms, the best alone {} ms", all * 1e-6, best * 1e-6);
    }

    #[test]
    fn nobody_starves((peers, seed) in (2_usize..12, any::<u64>())) {
        let kind = FleetKind { peers, rtt: Duration::from_millis(4), faulty: 0.0, span: INTERVAL * FRAMES as u32 };
        let (run, _, peers) = run(kind, seed);
        for index in 0..peers.len() {
            let mut last = Time(0);
            let own = run.spans.iter().filter(|span| span.peer == PeerId(index as u32)).map(|span| span.begun);
            for begun in own.chain([run.now()]) {
                // A second's pause between tries of a peer that is of no use, and what it takes to be tried.
                prop_assert!(begun.since(last) <= Duration::from_millis(1400), "peer {index} had nothing from {last:?} on");
                last = begun;
            }
        }
    }
}

#[test]
fn a_liar_is_found_out() {
    let mut peers = vec![SimPeer::new(1.0); 4];
    peers[2].claims = 0.1;
    let recording = Rc::new(Recording::made_up(VIEW, 20, 3));
    let times = |peers: Vec<SimPeer>| {
        let mut run = on_recording(&recording, Config::default(), peers, 200e6, false, 3);
        run.run(FRAMES, Pace::InFlight(1), Duration::from_secs(5), None);
        let took = run.frames[20..].iter().filter_map(|frame| Some(frame.ended?.0.ns_since(frame.begun) as f64));
        took.sum::<f64>() / 40.0
    };
    let ratio = times(peers) / times(vec![SimPeer::new(1.0); 4]);
    assert!(ratio < 1.6, "frames take {ratio} times as long with a liar among four");
}

#[test]
fn a_thousand_peers_that_join_at_once_are_planned_for() {
    let recording = Rc::new(Recording::made_up(VIEW, 4, 1));
    let mut run = on_recording(&recording, Config::default(), vec![SimPeer::new(1.0); 1000], 1e9, false, 1);
    run.run(3, Pace::Every(Duration::from_millis(200)), Duration::from_millis(190), None);
    assert!(run.frames.iter().all(|frame| frame.ended.is_some()));
    assert!(run.frames[2].plan.tiles.len() > 100, "{}", run.frames[2].plan.tiles.len());
}
