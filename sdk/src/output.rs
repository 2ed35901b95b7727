//! Finished frames, and the slot from which the engine takes them.

use crate::Error;
use crate::overlay::CostMaps;
use crate::picture::Picture;
use rayloom_frame::merge::LayerAge;
use rayloom_frame::{Extent, LayerKind, LayerRequest, PictureFormat, Primary, Rect};
use rayloom_scene::Camera;
use rayloom_sync::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What became of one tile of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TileOutcome {
    /// Its pixels, without the ghost zone.
    pub rect: Rect,
    /// The peer that it was given to.
    pub peer: u32,
    /// Milliseconds that the peer worked on it; 0 when it did not arrive.
    pub peer_ms: f32,
    /// Milliseconds that it was predicted to take there.
    pub predicted_ms: f32,
    /// True when it was there in time.
    pub arrived: bool,
}

/// Where a frame's time went, in milliseconds, along the way of the tile that came last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// Begin to the director's taking it up.
    pub submit_ms: f32,
    /// What each block will cost: the last frame's blocks seen from this frame's camera.
    pub analyse_ms: f32,
    /// Cutting and assigning.
    pub plan_ms: f32,
    /// Encoding and handing to the transport, until the peer had it.
    pub send_ms: f32,
    /// Waiting at the peer for its turn.
    pub queue_ms: f32,
    /// Camera and moved objects to the device.
    pub upload_ms: f32,
    /// Tracing and filtering.
    pub trace_ms: f32,
    /// Reading back and coding.
    pub encode_ms: f32,
    /// On the way back, until the last slice was decoded.
    pub return_ms: f32,
    /// Waiting for the frame's turn to be merged.
    pub wait_ms: f32,
    /// Merging.
    pub merge_ms: f32,
    /// Filtering what was merged, where the view asks for it.
    pub filter_ms: f32,
    /// Composing the picture.
    pub compose_ms: f32,
    /// Begin to published.
    pub total_ms: f32,
}

/// A stage's name and its milliseconds.
pub type Stage = (&'static str, fn(&StageTimes) -> f32);

/// The stages in the order in which a frame passes them; together they are its whole time.
pub const STAGES: [Stage; 13] = [
    ("submit", |times| times.submit_ms),
    ("analyse", |times| times.analyse_ms),
    ("plan", |times| times.plan_ms),
    ("send", |times| times.send_ms),
    ("queue", |times| times.queue_ms),
    ("upload", |times| times.upload_ms),
    ("trace", |times| times.trace_ms),
    ("encode", |times| times.encode_ms),
    ("return", |times| times.return_ms),
    ("wait", |times| times.wait_ms),
    ("merge", |times| times.merge_ms),
    ("filter", |times| times.filter_ms),
    ("compose", |times| times.compose_ms),
];

/// Spends milliseconds for nothing.
pub(crate) fn spend(ms: f32) {
    if ms > 0.0 {
        std::thread::sleep(Duration::from_secs_f32(ms / 1e3));
    }
}

/// Planes of a finished frame, each of the view's size, rows from the top, no padding.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputPlanes {
    /// Scene-linear, demodulated layers: bits of four half floats a pixel.
    pub layers: Vec<(LayerKind, Vec<[u16; 4]>)>,
    /// What the primary rays hit.
    pub primary: Primary,
    /// Age of each pixel in frames: 0 was traced for this very frame, 255 never was.
    pub ages: Vec<u8>,
}

/// A finished frame.
pub struct Output {
    /// The frame.
    pub frame_id: u64,
    /// The engine's own time of the frame.
    pub time_ns: u64,
    /// The camera that it is valid for, relative to the scene.
    pub camera: Camera,
    /// Size in pixels.
    pub size: Extent,
    /// The composed picture, in the view's format: rows from the top, no padding.
    pub color: Picture,
    /// What its pixels are.
    pub format: PictureFormat,
    /// Light in the layers is radiance times this.
    pub pre_exposure: f32,
    /// Layers and picture were filtered, and outliers cut: they are biased.
    pub is_denoised: bool,
    /// Layers, planes and ages, where the view asked for them.
    pub planes: Option<OutputPlanes>,
    /// Tiles as planned, and what became of each.
    pub tiles: Vec<TileOutcome>,
    /// What blocks cost, where it is to be drawn.
    pub(crate) costs: Option<CostMaps>,
    /// Share of pixels traced for this very frame, 0 to 1.
    pub fresh: f32,
    /// How many pixels are 0, 1, 2... frames old; as long as the oldest needs it, the last of 256 were never traced.
    pub pixels_by_age: Vec<u32>,
    /// How old each layer is: those that are due later than the frame are by design ([`crate::LayerDesc::deadline`]).
    pub layer_ages: Vec<(LayerKind, LayerAge)>,
    /// What was traced of each layer: what the frame asked for, or less where [`crate::ViewDesc::lowering`] allows it.
    pub traced: Vec<LayerRequest>,
    /// Steps by which that is less than what was asked for; 0 = not at all.
    pub lowered: u32,
    /// It was traced ahead, from a camera that was predicted; [`crate::ViewDesc::frames_ahead`].
    pub is_predicted: bool,
    /// Milliseconds for which it was held after that, see [`crate::ViewDesc::paced`].
    pub held_ms: f32,
    /// Where the time went until it was made.
    pub times: StageTimes,
}

/// The newest output of a view.
#[derive(Default)]
pub(crate) struct OutputSlot {
    state: Mutex<Slot>,
    arrived: Condvar,
}

#[derive(Default)]
struct Slot {
    latest: Option<Arc<Output>>,
    closed: Option<String>,
}

impl OutputSlot {
    pub(crate) fn publish(&self, output: Arc<Output>) {
        let mut slot = self.state.lock();
        // A view's two pipelines may finish frames out of order.
        if slot.latest.as_ref().is_none_or(|latest| latest.frame_id < output.frame_id) {
            slot.latest = Some(output);
        }
        drop(slot);
        self.arrived.notify_all();
    }

    pub(crate) fn close(&self, cause: &str) {
        // The first cause is the one that matters.
        self.state.lock().closed.get_or_insert_with(|| cause.to_owned());
        self.arrived.notify_all();
    }

    /// The newest output if it is of `min_frame_id` or later; waits at most `timeout` (zero never blocks).
    pub(crate) fn acquire(&self, min_frame_id: u64, timeout: Duration) -> Result<Arc<Output>, Error> {
        // A time that no clock reaches is for ever.
        let deadline = Instant::now().checked_add(timeout);
        let mut slot = self.state.lock();
        loop {
            if let Some(output) = slot.latest.as_ref().filter(|output| output.frame_id >= min_frame_id) {
                return Ok(Arc::clone(output));
            }
            if let Some(cause) = &slot.closed {
                return Err(Error::Closed(cause.clone()));
            }
            let is_late = match deadline {
                _ if timeout.is_zero() => true,
                Some(deadline) => self.arrived.wait_until(&mut slot, deadline).timed_out(),
                None => {
                    self.arrived.wait(&mut slot);
                    false
                }
            };
            if is_late {
                return Err(Error::NotReady { min_frame_id, waited: timeout });
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod made {
    use super::*;
    use crate::picture::PicturePool;

    /// An empty output of a frame.
    pub(crate) fn output(frame_id: u64) -> Arc<Output> {
        Arc::new(Output {
            frame_id,
            time_ns: 0,
            camera: Camera::with_fov(1.0, 1.0),
            size: Extent::new(1, 1),
            color: Arc::<PicturePool>::default().take(4),
            format: PictureFormat::default(),
            pre_exposure: 1.0,
            is_denoised: false,
            planes: None,
            tiles: Vec::new(),
            costs: None,
            layer_ages: Vec::new(),
            fresh: 0.0,
            pixels_by_age: Vec::new(),
            traced: Vec::new(),
            lowered: 0,
            is_predicted: false,
            held_ms: 0.0,
            times: StageTimes::default(),
        })
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::made::output;
    use super::*;

    #[test]
    fn an_older_frame_that_comes_late_does_not_replace_a_newer_one() {
        let slot = OutputSlot::default();
        slot.publish(output(2));
        slot.publish(output(1));
        assert_eq!(slot.acquire(2, Duration::ZERO).unwrap().frame_id, 2);
    }

    #[test]
    fn whoever_waits_for_ever_is_woken_when_the_session_ends() {
        let slot = OutputSlot::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slot.acquire(1, Duration::MAX).err());
            slot.close("first");
            slot.close("second");
            let error = waiting.join().unwrap();
            assert!(matches!(&error, Some(Error::Closed(cause)) if cause == "first"), "{error:?}");
        });
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod schedules {
    use super::made::output;
    use super::*;
    use rayloom_sync::try_schedules;
    use shuttle::thread;

    /// Two pipelines that publish the same frames, and an engine that takes each in turn until the session ends.
    fn pipelines(slot: &Arc<OutputSlot>) -> [thread::JoinHandle<()>; 2] {
        [(); 2].map(|()| {
            let slot = Arc::clone(slot);
            thread::spawn(move || (1..4).for_each(|frame_id| slot.publish(output(frame_id))))
        })
    }

    #[test]
    fn an_engine_that_waits_gets_every_frame_that_it_waits_for_and_never_an_older_one() {
        try_schedules(|| {
            let slot = Arc::new(OutputSlot::default());
            let engine = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || {
                    let mut last = 0;
                    while last < 3 {
                        let frame_id = slot.acquire(last + 1, Duration::MAX).unwrap().frame_id;
                        assert!(frame_id > last, "{frame_id} after {last}");
                        last = frame_id;
                    }
                })
            };
            pipelines(&slot).into_iter().for_each(|pipeline| pipeline.join().unwrap());
            engine.join().unwrap();
            slot.close("over");
            assert_eq!(slot.acquire(3, Duration::ZERO).unwrap().frame_id, 3, "what is there stays");
        });
    }

    #[test]
    fn nobody_waits_beyond_the_session_s_end_and_the_first_cause_is_told() {
        try_schedules(|| {
            let slot = Arc::new(OutputSlot::default());
            let engines = [Duration::MAX, Duration::from_secs(1)].map(|timeout| {
                let slot = Arc::clone(&slot);
                thread::spawn(move || slot.acquire(9, timeout).err())
            });
            let pipelines = pipelines(&slot);
            slot.close("first");
            slot.close("second");
            pipelines.into_iter().for_each(|pipeline| pipeline.join().unwrap());
            let [for_ever, a_second] = engines.map(|engine| engine.join().unwrap().unwrap());
            assert!(matches!(&for_ever, Error::Closed(cause) if cause == "first"), "{for_ever:?}");
            assert!(matches!(&a_second, Error::Closed(_) | Error::NotReady { .. }), "{a_second:?}");
        });
    }
}
