//! What must hold of every schedule of faults, whatever it is.

use super::{Fault, FrameRecord, Pace, Schedule, Simulation};
use crate::{PeerId, PeerState, Time};
use std::time::Duration;

/// So long after the last fault everybody who is there has its share again.
pub const CALM: Duration = Duration::from_millis(2500);
/// How much later a frame may end in which the clock is set back: what passed until that was seen is not known.
const SET_BACK: Duration = Duration::from_millis(150);
/// The last frames of a run, in which shares are looked at.
const LAST_FRAMES: usize = 10;
/// Of the share that its speed is of all, a peer has at least this.
const FULL_SHARE: f64 = 0.4;
/// Peers that have less make up at most so much of the fleet's speed: a slow one may cost more than it is worth,
const LEFT_OUT: f64 = 0.2;
/// but is given something that often.
const STARVED: Duration = Duration::from_millis(500);
/// Most probes of a peer that is dead for good, in a run of some seconds.
const PROBES_OF_DEAD: usize = 30;
/// Most tasks that are remembered, and most in one queue.
const TASKS: usize = 8192;
const QUEUE: u32 = 512;

/// Runs a schedule: what did not hold, in words; none where all did.
pub fn violations(schedule: &Schedule) -> Vec<String> {
    let run = schedule.run(CALM);
    let mut wrong = Vec::new();
    let of_groups = std::iter::once(&run.frames).chain(&run.later).zip(&schedule.tiers).enumerate();
    for (group, (frames, tier)) in of_groups {
        let of_frames = frames.iter().filter_map(|frame| {
            let ends = frame.begun + tier.deadline;
            let is_set_back = |(at, by): &(Time, i64)| *by < 0 && (frame.begun..=ends).contains(at);
            let is_shifted = schedule.clock.iter().any(is_set_back);
            wrong_of_frame(frame, tier.deadline + if is_shifted { SET_BACK } else { Duration::ZERO })
        });
        wrong.extend(of_frames.take(3).map(|what| format!("group {group}, {what}")));
    }
    bounds(&run, &mut wrong);
    peers(schedule, &run, &mut wrong);
    wrong
}

fn wrong_of_frame(frame: &FrameRecord, deadline: Duration) -> Option<String> {
    let id = frame.frame_id;
    let Some((ended, is_complete)) = frame.ended else { return Some(format!("frame {id} never ended")) };
    if ended > frame.begun + deadline {
        return Some(format!("frame {id} ended {:?} late", ended.since(frame.begun + deadline)));
    }
    if is_complete != (frame.missing == 0 && !frame.plan.tiles.is_empty()) {
        return Some(format!("frame {id} is complete: {is_complete}, and lacks {} tiles", frame.missing));
    }
    // Each tile was answered or is reported missing.
    (frame.unanswered != frame.missing)
        .then(|| format!("frame {id}: {} tiles unanswered, {} reported", frame.unanswered, frame.missing))
}

fn bounds(run: &Simulation, wrong: &mut Vec<String>) {
    let coordinator = &run.coordinator;
    let budget = f64::from(Schedule::config().hedge_budget) + 1e-3;
    let mut must = |holds: bool, what: String| (!holds).then(|| wrong.push(what));
    must(coordinator.hedged_share() <= budget, format!("backups are {} of all work", coordinator.hedged_share()));
    must(coordinator.actions_dropped() == 0, format!("{} actions were dropped", coordinator.actions_dropped()));
    must(run.most_tasks <= TASKS, format!("{} tasks were remembered", run.most_tasks));
    for peer in coordinator.peers() {
        must(peer.queue <= QUEUE, format!("peer {} has {} tiles", peer.id.0, peer.queue));
    }
}

fn peers(schedule: &Schedule, run: &Simulation, wrong: &mut Vec<String>) {
    let views: Vec<_> = run.coordinator.peers().collect();
    let staying: Vec<usize> = (0..schedule.fleet).filter(|index| schedule.peers[*index].stays()).collect();
    let end = run.now();
    // Who is on standby gets no share, and is well all the same.
    let is_standby = |index: usize| schedule.peers[index].prior.is_standby;
    let speed = |index: usize| schedule.peers[index].speed / schedule.peers[index].slowness(end);
    let speeds: f64 = staying.iter().filter(|i| !is_standby(**i)).map(|index| speed(*index)).sum();
    let mut left_out = 0.0;
    // Who is left may have more to do than it can: then it has all of the view, whatever is thought of it.
    let is_too_much =
        matches!(schedule.pace, Pace::Every(interval) if schedule.frame_ns / speeds > interval.as_nanos() as f64);
    for (index, peer) in schedule.peers[..schedule.fleet].iter().enumerate() {
        let id = PeerId(index as u32);
        let events = || run.events.iter().filter(|(_, change)| change.peer == id);
        if peer.faults.is_empty()
            && let Some((at, change)) = events().find(|(_, change)| change.to != PeerState::Ready)
        {
            wrong.push(format!("peer {index} is healthy, and at {} ms: {change:?}", at.0 / 1_000_000));
        }
        if let Some(died) = peer.faults.iter().find_map(crashed) {
            let probes = run.frames.iter().filter(|frame| frame.begun > died);
            let probes = probes.flat_map(|frame| &frame.plan.probes).filter(|probe| probe.peer == id).count();
            if probes > PROBES_OF_DEAD {
                wrong.push(format!("peer {index} is dead and was probed {probes} times"));
            }
        }
        if staying.contains(&index) && !is_too_much {
            let state = views.iter().find(|view| view.id == id).map(|view| view.state);
            if state != Some(PeerState::Ready) {
                let last = events().next_back();
                wrong.push(format!("peer {index} is {state:?} long after its last fault: {last:?}"));
                continue;
            }
            if is_standby(index) {
                continue;
            }
            let (share, due) = (share(run, id), speed(index) / speeds);
            if !is_tried(run, id) {
                wrong.push(format!("peer {index} is ready and was given nothing for {STARVED:?}"));
            }
            left_out += if share < FULL_SHARE * due { due } else { 0.0 };
        }
    }
    if left_out > LEFT_OUT {
        wrong.push(format!("{left_out:.3} of the fleet's speed are left out long after the last fault"));
    }
}

fn crashed(fault: &Fault) -> Option<Time> {
    match fault {
        Fault::Crash { at } => Some(*at),
        _ => None,
    }
}

/// Whether it was given anything lately.
fn is_tried(run: &Simulation, peer: PeerId) -> bool {
    let last = run.frames.last().map_or(run.now(), |frame| frame.begun);
    run.spans.iter().any(|span| span.peer == peer && last.since(span.ended) < STARVED)
}

/// Of the pixels of the last frames, all groups together.
fn share(run: &Simulation, peer: PeerId) -> f64 {
    let last = |frames: &[FrameRecord]| frames.len().saturating_sub(LAST_FRAMES);
    let groups = std::iter::once(&run.frames).chain(&run.later);
    let tiles = groups.flat_map(|frames| frames[last(frames)..].iter().flat_map(|frame| &frame.plan.tiles));
    let (own, all) = tiles.fold((0, 0), |(own, all), tile| {
        let pixels = tile.rect.pixels();
        (own + if tile.peer == peer { pixels } else { 0 }, all + pixels)
    });
    own as f64 / all.max(1) as f64
}
