//! One run along the camera path: peers, a session that begins 30 frames a second, a fault, and what came of each frame.

use super::outcome::{Frame, Run};
use super::truth::Truth;
use crate::captures::Shoot;
use crate::peers::Peers;
use rayloom::frame::LayerRequest;
use rayloom::{
    Accumulation, EMBEDDED_PEER, Embedded, Error, Event, FrameDesc, LayerDesc, Output, Session, SessionDesc, Tier,
    ViewDesc, ViewHandle,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Of all layers: tier 3's.
pub(super) const DEADLINE: Duration = Tier::T3.default_deadline();
pub(super) const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 30);
const PEERS: usize = 4;
/// The one that a fault takes.
const VICTIM: usize = 1;
/// Frames that are compared begin with a cut, far from those before which peers come in.
pub(super) const FIRST: u64 = 6000;
/// History is as long as it gets by then.
pub(super) const FAULT: u64 = FIRST + 30;
pub(super) const END: u64 = FAULT + 45;
/// Frames from the fault on of which the truth is known.
const WATCHED: u64 = 16;
/// In flight at most: as many as begin within a deadline, and some that are being merged.
const IN_FLIGHT: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(60);

/// The frames of which the truth is needed.
pub(super) fn watched() -> Range<u64> {
    FAULT..FAULT + WATCHED
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Kill,
    Stop,
    AllKilled,
    /// No fault: one is told to end.
    Drain,
}

impl Fault {
    pub(super) fn victims(self) -> Range<usize> {
        match self {
            Fault::None => 0..0,
            Fault::AllKilled => 0..PEERS,
            Fault::Kill | Fault::Stop | Fault::Drain => VICTIM..VICTIM + 1,
        }
    }

    fn strike(self, peers: &mut Peers) -> Result<(), String> {
        self.victims().try_for_each(|peer| match self {
            Fault::Stop => peers.stop(peer),
            Fault::Drain => peers.terminate(peer),
            _ => peers.kill(peer),
        })
    }
}

/// A size, who traces it, and what it should look like.
pub(super) struct Setup<'a> {
    pub(super) name: &'static str,
    pub(super) shoot: Shoot<'a>,
    pub(super) truth: Truth,
    /// What peers answer from.
    pub(super) captures: Option<PathBuf>,
}

impl Setup<'_> {
    /// Peers and a session of their own; one run of frames.
    pub(super) fn run(&self, fault: Fault) -> Result<Run, String> {
        let trace = self.captures.as_ref().map(|file| format!("stored:{}", file.display()));
        let mut peers = match &trace {
            Some(trace) => Peers::start(PEERS, &["--trace", trace])?,
            None => Peers::start(PEERS, &[])?,
        };
        let session = Session::new(SessionDesc {
            peers: peers.addresses.clone(),
            embedded: if trace.is_some() { Embedded::Never } else { Embedded::Fallback },
            embedded_allow_cpu: true,
            max_frames_in_flight: IN_FLIGHT,
            accept_stored_traces: trace.is_some(),
            ..SessionDesc::default()
        })
        .map_err(text)?;
        let mut desc = ViewDesc::new(self.shoot.size);
        desc.accumulation = Accumulation::Frames(12);
        let layer = |request: &LayerRequest| LayerDesc { request: *request, tier: Tier::T3, deadline: DEADLINE };
        desc.layers = self.shoot.layers.iter().map(layer).collect();
        let view = session.create_view(desc).map_err(text)?;
        let scene = session.create_scene();
        scene.replace(self.shoot.source.clone()).map_err(text)?;
        let revision = scene.commit().map_err(text)?;
        self.warm_up(&session, &view, revision)?;
        self.go_along(&session, &view, revision, fault, &mut peers)
    }

    /// Frames until every peer traces and the embedded one could.
    fn warm_up(&self, session: &Session, view: &ViewHandle, revision: u64) -> Result<(), String> {
        let (mut used, mut waits_for_embedded) = (BTreeSet::new(), self.captures.is_none());
        let give_up = Instant::now() + PATIENCE;
        for frame_id in 0..FIRST {
            if Instant::now() > give_up {
                break;
            }
            view.begin_frame(FrameDesc::new(frame_id, revision, self.shoot.camera(frame_id))).map_err(text)?;
            let output = view.acquire(frame_id, PATIENCE).map_err(text)?;
            used.extend(output.tiles.iter().filter(|tile| tile.arrived).map(|tile| tile.peer));
            while let Some(event) = session.poll_event() {
                waits_for_embedded &= !matches!(event, Event::SceneReady { peer: EMBEDDED_PEER, .. });
            }
            if (0..PEERS as u32).all(|peer| used.contains(&peer)) && !waits_for_embedded {
                return Ok(());
            }
            // The bench's own pace, as an engine's frame clock would set it.
            std::thread::sleep(PERIOD.saturating_sub(Duration::from_secs_f32(output.times.total_ms / 1e3)));
        }
        Err(format!("not every peer answered within {PATIENCE:?}; those that did: {used:?}"))
    }

    fn go_along(
        &self,
        session: &Session,
        view: &ViewHandle,
        revision: u64,
        fault: Fault,
        peers: &mut Peers,
    ) -> Result<Run, String> {
        let mut frames: BTreeMap<u64, Frame> = BTreeMap::new();
        let mut events = Vec::new();
        let start = Instant::now();
        let outputs = std::thread::scope(|threads| {
            let taking = threads.spawn(|| take(view));
            let mut next = start;
            for frame_id in FIRST..END {
                // As an engine's frame clock; what is late does not come in a burst.
                match next.checked_duration_since(Instant::now()) {
                    Some(pause) => std::thread::sleep(pause),
                    None => next = Instant::now(),
                }
                next += PERIOD;
                let mut desc = FrameDesc::new(frame_id, revision, self.shoot.camera(frame_id));
                desc.cut = frame_id == FIRST;
                let begun = Instant::now();
                let is_begun = match view.begin_frame(desc) {
                    Ok(()) => true,
                    Err(Error::Busy { .. }) => false,
                    Err(error) => return Err(text(error)),
                };
                frames.insert(frame_id, Frame { begun: is_begun.then_some(begun), ..Frame::default() });
                if frame_id == FAULT {
                    fault.strike(peers)?;
                }
                while let Some(event) = session.poll_event() {
                    events.push((frame_id as i64 - FAULT as i64, event));
                }
            }
            taking.join().map_err(|_| "the thread that takes outputs panicked".to_owned())?
        })?;
        let took = frames[&(END - 1)].begun.unwrap_or(start).duration_since(start);
        for (frame_id, frame) in &mut frames {
            let ready = outputs.iter().find(|(_, output)| output.frame_id >= *frame_id);
            let of_it = ready.filter(|(_, output)| output.frame_id == *frame_id);
            frame.output = of_it.map(|(_, output)| Arc::clone(output));
            frame.ready_ms =
                frame.begun.zip(ready).map(|(begun, (at, _))| at.duration_since(begun).as_secs_f64() * 1e3);
        }
        Ok(Run { fault, frames, events, took })
    }
}

/// Takes outputs as they come, until the last frame's or until none comes.
fn take(view: &ViewHandle) -> Result<Vec<(Instant, Arc<Output>)>, String> {
    let mut outputs = Vec::new();
    let mut next = FIRST;
    while next < END {
        match view.acquire(next, 20 * DEADLINE) {
            Ok(output) => {
                next = output.frame_id + 1;
                outputs.push((Instant::now(), output));
            }
            Err(Error::NotReady { .. }) => break,
            Err(error) => return Err(text(error)),
        }
    }
    Ok(outputs)
}

pub(super) fn text(error: Error) -> String {
    error.to_string()
}
