//! A view: its pipelines (peers, embedded peer), which of them is shown, and what the engine sees of it.

use crate::clock::Clock;
use crate::config::{EMBEDDED_PEER, FrameDesc, ViewDesc, ViewMode};
use crate::director::ArrivedSlice;
use crate::event::EventQueue;
use crate::fleet::Fleet;
use crate::merge_thread::MergeThread;
use crate::output::{Output, OutputSlot};
use crate::overlay::{self, Overlay};
use crate::pacing::Pacer;
use crate::pipeline::{Begun, Pipeline, PipelineDesc, Start, is_local_task};
use crate::prediction::Prediction;
use crate::revisions::Revisions;
use crate::stats::{PeerStats, Rates, ViewStats};
use crate::verify::Verifier;
use parking_lot::Mutex;
use rayloom_coordinator::{Constraints, Flaw, PeerId, PeerPrior, Time};
use rayloom_frame::GBuffer;
use rayloom_wire::{TaskRefused, TileDone};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How much the difference of two pictures is amplified.
const DIFFERENCE_GAIN: u8 = 16;

/// What the engine's threads and the director share of a view.
#[derive(Default)]
pub(crate) struct ViewShared {
    pub(crate) outputs: OutputSlot,
    pub(crate) in_flight: AtomicU32,
    stats: Mutex<ViewStats>,
    rates: Mutex<Rates>,
}

impl ViewShared {
    /// Figures, with the rates of the second before.
    pub(crate) fn stats(&self, now_ns: u64) -> ViewStats {
        let mut stats = self.stats.lock().clone();
        self.rates.lock().write(now_ns, &mut stats);
        stats
    }

    /// A frame is no longer in flight.
    pub(crate) fn leave_flight(&self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn publish_peers(&self, peers: Vec<PeerStats>) {
        self.stats.lock().peers = peers;
    }
}

/// A view as the director has it.
pub(crate) struct View {
    clock: Clock,
    mode: ViewMode,
    overlay: Overlay,
    /// With the next frame.
    history_starts_anew: bool,
    remote: Pipeline,
    local: Pipeline,
    /// Frames of which several pipelines make a picture: how many are still to come, and those that are there.
    open: BTreeMap<u64, OpenFrame>,
    /// Where frames are traced ahead.
    prediction: Option<Prediction>,
    /// Where outputs come as steadily as frames begin.
    pub(crate) pacer: Option<Pacer>,
    pub(crate) shared: Arc<ViewShared>,
    _closing: Closing,
    merge: MergeThread,
}

/// The pipelines that make a frame, one or both.
pub(crate) struct Starts {
    pub(crate) remote: Option<Start>,
    pub(crate) local: Option<Start>,
}

/// A view's thread has panicked: none of its frames will come.
pub(crate) struct MergePanicked;

struct OpenFrame {
    begun_ns: u64,
    waiting: u8,
    remote: Option<Output>,
    local: Option<Output>,
}

/// Whoever waits for an output learns that none will come: the view, its session or the session's thread is gone.
struct Closing(Arc<ViewShared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.outputs.close("its session ended");
    }
}

impl View {
    pub(crate) fn new(desc: ViewDesc, shared: Arc<ViewShared>, with: PipelineDesc, merge: MergeThread) -> View {
        let pipeline =
            |is_local| Pipeline::new(PipelineDesc { is_local, ..with.clone() }, desc.clone(), merge.pipeline(is_local));
        View {
            clock: with.clock,
            mode: ViewMode::default(),
            overlay: Overlay::default(),
            history_starts_anew: false,
            remote: pipeline(false),
            local: pipeline(true),
            open: BTreeMap::new(),
            pacer: desc.paced.then(Pacer::default),
            prediction: (desc.frames_ahead > 0).then(|| Prediction::new(&desc)),
            _closing: Closing(Arc::clone(&shared)),
            shared,
            merge,
        }
    }

    pub(crate) fn set_mode(&mut self, mode: ViewMode) {
        // Only pictures that have gathered the same frames can be compared.
        self.history_starts_anew |= mode == ViewMode::Difference && self.mode != mode;
        self.mode = mode;
    }

    pub(crate) fn set_overlay(&mut self, overlay: Overlay) {
        self.overlay = overlay;
        let with_costs = matches!(overlay, Overlay::Cost | Overlay::Prediction);
        self.both().for_each(|pipeline| pipeline.keep_costs(with_costs));
    }

    /// The embedded peer serves the local pipeline too.
    pub(crate) fn peer_joined(&mut self, peer: PeerId, prior: PeerPrior, now: Time) {
        if peer.0 == EMBEDDED_PEER {
            self.local.peer_joined(peer, PeerPrior { is_standby: false, ..prior }, now);
        }
        self.remote.peer_joined(peer, prior, now);
    }

    pub(crate) fn peer_ready(&mut self, peer: PeerId, scene: u32, revision: u64, now: Time) {
        self.both().for_each(|pipeline| pipeline.peer_ready(peer, scene, revision, now));
    }

    pub(crate) fn peer_draining(&mut self, peer: PeerId, now: Time) {
        self.both().for_each(|pipeline| pipeline.peer_draining(peer, now));
    }

    pub(crate) fn peer_lied(&mut self, peer: PeerId, now: Time) {
        self.both().for_each(|pipeline| pipeline.peer_lied(peer, now));
    }

    /// What its peers must be.
    pub(crate) fn constraints(&self) -> Constraints {
        self.remote.constraints()
    }

    /// True while a tile of the peer is waited for.
    pub(crate) fn is_asked(&self, peer: PeerId) -> bool {
        [&self.remote, &self.local].into_iter().any(|pipeline| pipeline.is_asked(peer))
    }

    pub(crate) fn peer_lost(&mut self, peer: PeerId, now: Time) {
        self.both().for_each(|pipeline| pipeline.peer_lost(peer, now));
    }

    pub(crate) fn link_measured(&mut self, peer: PeerId, rtt: Duration, now: Time) {
        self.both().for_each(|pipeline| pipeline.link_measured(peer, rtt, now));
    }

    fn both(&mut self) -> impl Iterator<Item = &mut Pipeline> {
        [&mut self.remote, &mut self.local].into_iter()
    }

    fn pipeline_of(&mut self, task: u64) -> &mut Pipeline {
        if is_local_task(task) { &mut self.local } else { &mut self.remote }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let held = self.pacer.as_ref().and_then(Pacer::due).map(Time);
        [self.remote.poll_timeout(), self.local.poll_timeout(), held].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.both().for_each(|pipeline| pipeline.handle_timeout(now));
        self.publish_due(now.0);
    }

    /// Publishes outputs that were held until then.
    fn publish_due(&mut self, now_ns: u64) {
        let due = self.pacer.as_mut().map_or_else(Vec::new, |pacer| pacer.take_due(now_ns));
        due.into_iter().for_each(|output| self.shared.outputs.publish(output));
    }

    /// Which pipelines make a frame of this revision, and with what; history starts anew where that must be.
    pub(crate) fn starts(&mut self, desc: &mut FrameDesc, revisions: &Revisions) -> Starts {
        desc.cut |= std::mem::take(&mut self.history_starts_anew);
        let start = |pipeline: &Pipeline| Start {
            state: pipeline.resolve(desc.revision, revisions),
            prescribed: None,
            is_surely_shown: self.mode == ViewMode::Difference,
        };
        match self.mode {
            ViewMode::Difference => Starts { remote: Some(start(&self.remote)), local: Some(start(&self.local)) },
            ViewMode::Remote => Starts { remote: Some(start(&self.remote)), local: None },
            ViewMode::Local => Starts { remote: None, local: Some(start(&self.local)) },
        }
    }

    pub(crate) fn begin_frame(
        &mut self,
        desc: FrameDesc,
        begun_ns: u64,
        planes: Option<Arc<GBuffer>>,
        starts: Starts,
        now: Time,
    ) {
        let waiting = u8::from(starts.remote.is_some()) + u8::from(starts.local.is_some());
        self.open.insert(desc.frame_id, OpenFrame { begun_ns, waiting, remote: None, local: None });
        let shown = if starts.remote.is_some() { &self.remote } else { &self.local };
        let prediction = self.prediction.as_mut();
        let foreseen = prediction.map(|prediction| prediction.observe(&desc, begun_ns, shown.depth_m()));
        let mut begun = Begun::default();
        for (pipeline, start) in [(&mut self.remote, starts.remote), (&mut self.local, starts.local)] {
            match start {
                Some(start) => {
                    begun = pipeline.begin_frame(desc.clone(), begun_ns, planes.clone(), (start, foreseen), now);
                }
                None => pipeline.skip_frame(desc.cut),
            }
        }
        if let Some(prediction) = &mut self.prediction {
            prediction.note(begun, desc.cut);
        }
    }

    pub(crate) fn slice(&mut self, peer: PeerId, slice: ArrivedSlice, now: Time) {
        self.pipeline_of(slice.task).slice(peer, slice, now);
    }

    pub(crate) fn tile_done(&mut self, peer: PeerId, done: TileDone, arrived_ns: u64, offset_ns: i64, now: Time) {
        self.pipeline_of(done.task).tile_done(peer, done, arrived_ns, offset_ns, now);
    }

    pub(crate) fn tile_refused(&mut self, peer: PeerId, refused: &TaskRefused, now: Time) {
        self.pipeline_of(refused.task).tile_refused(peer, refused, now);
    }

    pub(crate) fn tile_corrupt(&mut self, peer: PeerId, task: u64, flaw: Flaw, now: Time) {
        self.pipeline_of(task).tile_corrupt(peer, task, flaw, now);
    }

    /// Carries out decisions.
    pub(crate) fn act(&mut self, fleet: &mut Fleet, verifier: &mut Verifier, events: &EventQueue) {
        self.both().for_each(|pipeline| pipeline.act(fleet, verifier, events));
    }

    /// Publishes what was made since.
    ///
    /// # Errors
    /// The view's thread is gone, by a panic.
    pub(crate) fn publish_finished(&mut self, fleet: &Fleet, embedded_is_free: bool) -> Result<(), MergePanicked> {
        for (frame_id, output) in self.remote.finished(embedded_is_free) {
            self.finished(frame_id, output, false, fleet);
        }
        for (frame_id, output) in self.local.finished(false) {
            self.finished(frame_id, output, true, fleet);
        }
        if self.merge.has_panicked() { Err(MergePanicked) } else { Ok(()) }
    }

    fn finished(&mut self, frame_id: u64, output: Option<Output>, is_local: bool, fleet: &Fleet) {
        let Some(open) = self.open.get_mut(&frame_id) else { return };
        open.waiting -= 1;
        *(if is_local { &mut open.local } else { &mut open.remote }) = output;
        if open.waiting > 0 {
            return;
        }
        let Some(open) = self.open.remove(&frame_id) else { return };
        let begun_ns = open.begun_ns;
        let shown = match (open.remote, open.local) {
            (Some(mut remote), Some(local)) => {
                rayloom_frame::overlay::difference(&mut remote.color, &local.color, remote.format, DIFFERENCE_GAIN);
                Some(remote)
            }
            (remote, local) => remote.or(local),
        };
        match shown {
            Some(output) => self.publish(output, begun_ns, fleet),
            // A newer one was ready to be shown.
            None => self.shared.leave_flight(),
        }
    }

    fn publish(&mut self, mut output: Output, begun_ns: u64, fleet: &Fleet) {
        overlay::draw(&mut output, self.overlay);
        let now_ns = self.clock.now_ns();
        let held_ns = self.pacer.as_mut().map_or(0, |pacer| pacer.finished(begun_ns, now_ns));
        output.held_ms = held_ns as f32 / 1e6;
        let (sent, received) = fleet.traffic();
        {
            let mut rates = self.shared.rates.lock();
            rates.frame(now_ns, output.fresh, self.remote.misses.late_tiles + self.local.misses.late_tiles);
            rates.traffic(now_ns, sent, received);
        }
        {
            let mut stats = self.shared.stats.lock();
            stats.frames += 1;
            stats.lowered_frames += u64::from(output.lowered > 0);
            stats.times = output.times;
            stats.held_ms = output.held_ms;
            if let Some(prediction) = &self.prediction {
                stats.prediction = prediction.stats();
            }
            stats.late_tiles = self.remote.misses.late_tiles + self.local.misses.late_tiles;
            stats.missing_tiles = self.remote.misses.missing_tiles + self.local.misses.missing_tiles;
            (stats.filled_parts, stats.filled_pixels) = (self.remote.filled.parts, self.remote.filled.pixels);
        }
        self.shared.publish_peers(fleet.describe(self));
        self.shared.leave_flight();
        let output = Arc::new(output);
        let shown = match &mut self.pacer {
            Some(pacer) => pacer.hold(output, now_ns + held_ns),
            None => Some(output),
        };
        shown.into_iter().for_each(|output| self.shared.outputs.publish(output));
        self.publish_due(now_ns);
    }

    /// The view is destroyed: its peers need not go on. Its thread ends soon.
    pub(crate) fn end(mut self, fleet: &mut Fleet) -> MergeThread {
        self.both().for_each(|pipeline| pipeline.cancel(fleet));
        self.publish_due(u64::MAX);
        self.merge.end();
        self.merge
    }

    /// Tiles and milliseconds of a peer in the last finished frame.
    pub(crate) fn work_of(&self, peer: PeerId) -> (u32, f32) {
        let (remote, local) = (self.remote.work_of(peer), self.local.work_of(peer));
        (remote.0 + local.0, remote.1 + local.1)
    }
}
