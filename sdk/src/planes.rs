//! The engine's planes: checked when they are submitted, made into a G-buffer on a thread of their own, given back.

use crate::Error;
use crate::capture::Recorder;
use crate::config::FrameDesc;
use crate::director::Command;
use crate::event::{Event, EventQueue};
use crate::validation::Validation;
use crate::view::Starts;
use crate::workers::MergeThreads;
use bytes::Bytes;
use rayloom_frame::gbuffer::{check, convert};
use rayloom_frame::{Convention, EnginePlane, EnginePlaneKind, Extent, GBuffer, PlaneFormat, Rect};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::mpsc::Sender;

/// Submitted frames of all views that may wait for the thread.
const WAITING_LIMIT: usize = 64;
/// G-buffers that are kept for frames to come.
const POOL_LIMIT: usize = 8;

/// A plane of the engine's own G-buffer.
#[derive(Clone, Debug)]
pub struct Plane {
    /// What it holds.
    pub kind: EnginePlaneKind,
    /// Format of its pixels.
    pub format: PlaneFormat,
    /// Size of the texture that it is.
    pub extent: Extent,
    /// The view in it; as large as the view.
    pub view_rect: Rect,
    /// Bytes from one row to the next.
    pub row_pitch: usize,
    /// The texture's rows from the top: a copy ([`Bytes::copy_from_slice`]), or the engine's memory
    /// ([`Bytes::from_owner`]), which is dropped before [`Event::PlanesReleased`] is told.
    pub bytes: Bytes,
}

impl Plane {
    pub(crate) fn lent(&self) -> EnginePlane<'_> {
        let Plane { kind, format, extent, view_rect, row_pitch, ref bytes } = *self;
        EnginePlane { kind, format, extent, view_rect, row_pitch, bytes }
    }
}

/// Refuses planes that a view of this size can't use.
pub(crate) fn check_planes(planes: &[Plane], size: Extent) -> Result<(), Error> {
    let lent: Vec<EnginePlane<'_>> = planes.iter().map(Plane::lent).collect();
    check(&lent, size).map_err(|error| Error::InvalidArgument(error.to_string()))
}

/// A frame of a view in G-buffer mode, and its planes; none: state mode. Its cameras are in the scene.
pub(crate) struct PlanesJob {
    pub(crate) view: u16,
    pub(crate) desc: FrameDesc,
    pub(crate) convention: Arc<Convention>,
    pub(crate) planes: Vec<Plane>,
    pub(crate) submitted_ns: u64,
    /// See [`Command::BeginFrame`].
    pub(crate) starts: Option<Box<Starts>>,
}

/// Where frames with planes go.
pub(crate) struct PlanesQueue {
    jobs: SyncSender<PlanesJob>,
}

impl PlanesQueue {
    /// The queue and what its thread runs; the thread ends once the queue is dropped and empty.
    pub(crate) fn new(
        director: Sender<Command>,
        events: Arc<EventQueue>,
        threads: MergeThreads,
        recorder: Option<Recorder>,
        validation: Option<Validation>,
    ) -> (PlanesQueue, impl FnOnce() + Send + 'static) {
        let (jobs, waiting) = sync_channel(WAITING_LIMIT);
        (PlanesQueue { jobs }, move || run(&waiting, &director, &events, &threads, recorder.as_ref(), validation))
    }

    /// Hands a frame over without waiting.
    pub(crate) fn send(&self, job: PlanesJob) -> Result<(), Error> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                Error::InvalidState(format!("the planes of {WAITING_LIMIT} frames wait: the machine is overloaded"))
            }
            TrySendError::Disconnected(_) => Error::Closed("its thread is gone".into()),
        })
    }
}

fn run(
    waiting: &Receiver<PlanesJob>,
    director: &Sender<Command>,
    events: &EventQueue,
    threads: &MergeThreads,
    recorder: Option<&Recorder>,
    mut validation: Option<Validation>,
) {
    // Those of frames that are out serve again: their memory is touched already.
    let mut pool: Vec<Arc<GBuffer>> = Vec::new();
    while let Ok(job) = waiting.recv() {
        if let Some(validation) = &mut validation {
            validation.look(&job);
        }
        let PlanesJob { view, desc, convention, planes, submitted_ns, starts } = job;
        let mut gbuffer = None;
        if !planes.is_empty() {
            if let Some(recorder) = recorder {
                recorder.planes(view, desc.frame_id, &planes);
            }
            let free = pool.iter().position(|gbuffer| Arc::strong_count(gbuffer) == 1);
            let mut made = free.map_or_else(Arc::default, |index| pool.swap_remove(index));
            match make(Arc::make_mut(&mut made), &planes, &convention, &desc, threads) {
                Ok(()) => {
                    pool.push(Arc::clone(&made));
                    pool.truncate(POOL_LIMIT);
                    gbuffer = Some(made);
                }
                // They were checked when they were submitted. The frame goes on: peers can see for themselves.
                Err(error) => tracing::error!("the planes of frame {} can't be used: {error}", desc.frame_id),
            }
            drop(planes);
            events.push(Event::PlanesReleased { frame_id: desc.frame_id });
        }
        let begin = Command::BeginFrame { view, desc, begun_ns: submitted_ns, planes: gbuffer, starts };
        if director.blocking_send(begin).is_err() {
            tracing::debug!("a frame's planes were ready after the session's end");
        }
    }
}

fn make(
    gbuffer: &mut GBuffer,
    planes: &[Plane],
    convention: &Convention,
    desc: &FrameDesc,
    threads: &MergeThreads,
) -> Result<(), rayloom_frame::FrameError> {
    let lent: Vec<EnginePlane<'_>> = planes.iter().map(Plane::lent).collect();
    convert(gbuffer, &lent, convention, &desc.camera, &desc.previous_camera.unwrap_or(desc.camera), threads)
}
