//! A view as the engine has it: begins frames, takes outputs.

use crate::Error;
use crate::config::{FrameDesc, ViewDesc, ViewMode};
use crate::director::Command;
use crate::frame_handle::FrameHandle;
use crate::output::Output;
use crate::overlay::Overlay;
use crate::planes::{Plane, PlanesJob, check_planes};
use crate::session::Shared;
use crate::stats::ViewStats;
use crate::view::{Starts, ViewShared};
use parking_lot::Mutex;
use rayloom_frame::{Convention, Extent};
use rayloom_scene::Camera;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A view of a session. Dropping it ends its frames.
pub struct ViewHandle {
    core: Arc<ViewCore>,
}

/// What a view's handle and its open frames share.
pub(crate) struct ViewCore {
    pub(crate) id: u16,
    pub(crate) size: Extent,
    pub(crate) convention: Arc<Convention>,
    pub(crate) shared: Arc<Shared>,
    gbuffer: bool,
    view: Arc<ViewShared>,
    /// The next frame's id must be at least this.
    next_frame_id: Mutex<u64>,
    /// The next opened frame's id must be at least this, and the camera of the last one.
    last_opened: Mutex<(u64, Option<Camera>)>,
}

impl ViewCore {
    fn take_place(&self) -> Result<(), Error> {
        let limit = self.shared.max_frames_in_flight();
        let in_flight = &self.view.in_flight;
        let taken = in_flight.try_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < limit).then_some(n + 1));
        taken.map(|_| ()).map_err(|in_flight| Error::Busy { in_flight, limit })
    }

    /// A frame that took a place ended without an output.
    pub(crate) fn finished_one(&self) {
        self.view.in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    /// Frames are handed on in the order of their ids, from whichever threads they come; an id counts once it has been.
    pub(crate) fn hand_over(&self, id: u64, begin: impl FnOnce(u64) -> Result<(), Error>) -> Result<(), Error> {
        let mut next = self.next_frame_id.lock();
        check_growth(id, *next)?;
        begin(self.shared.clock().now_ns())?;
        *next = id + 1;
        Ok(())
    }
}

fn check_growth(frame_id: u64, next: u64) -> Result<(), Error> {
    let reason = match frame_id {
        // There is always a next one.
        u64::MAX => format!("frame id {frame_id} is too large: ids end at {}", u64::MAX - 1),
        _ if frame_id >= next => return Ok(()),
        _ => format!("frame id {frame_id} does not grow: the next may be {next} or above"),
    };
    Err(Error::InvalidArgument(reason))
}

impl ViewHandle {
    pub(crate) fn new(id: u16, desc: ViewDesc, shared: Arc<Shared>) -> Result<ViewHandle, Error> {
        let filters = shared.denoising().filters(desc.denoise)?;
        let view = Arc::new(ViewShared::default());
        let core = ViewCore {
            id,
            size: desc.size,
            convention: Arc::new(desc.convention),
            shared: Arc::clone(&shared),
            gbuffer: desc.gbuffer,
            view: Arc::clone(&view),
            next_frame_id: Mutex::new(0),
            last_opened: Mutex::new((0, None)),
        };
        let merge = shared
            .merge_thread(id, &desc, filters)
            .map_err(|source| Error::System { what: "starting a view's thread", source })?;
        shared.send(Command::CreateView { id, desc, merge, shared: view })?;
        Ok(ViewHandle { core: Arc::new(core) })
    }

    /// Size in pixels.
    pub fn size(&self) -> Extent {
        self.core.size
    }

    /// True when its frames wait for the engine's planes.
    pub fn is_gbuffer(&self) -> bool {
        self.core.gbuffer
    }

    /// Begins a frame whose primary visibility peers trace: they start at once. Never blocks.
    ///
    /// # Errors
    /// [`Error::Busy`] when `max_frames_in_flight` frames are not finished yet, [`Error::InvalidArgument`] for a frame
    /// that can't be traced or an id that does not grow, [`Error::InvalidState`] in G-buffer mode.
    pub fn begin_frame(&self, desc: FrameDesc) -> Result<(), Error> {
        if self.core.gbuffer {
            let text = "a view in G-buffer mode has open frames that wait for planes: open one and submit its planes";
            return Err(Error::InvalidState(text.into()));
        }
        desc.check()?;
        self.core.shared.committed().check(desc.revision)?;
        self.core.take_place()?;
        let (id, desc) = (desc.frame_id, desc.in_scene());
        let (core, view) = (&self.core, self.core.id);
        let begin = |begun_ns| Command::BeginFrame { view, desc, begun_ns, planes: None, starts: None };
        let result = core.hand_over(id, |begun_ns| core.shared.send(begin(begun_ns)));
        if result.is_err() {
            self.core.finished_one();
        }
        self.core.shared.note_refused("begin_frame", &result);
        result
    }

    /// Opens a frame in G-buffer mode; it begins with [`FrameHandle::submit`], possibly frames later. Never blocks.
    ///
    /// # Errors
    /// As [`ViewHandle::begin_frame`]; [`Error::InvalidState`] in state mode.
    pub fn open_frame(&self, desc: FrameDesc) -> Result<FrameHandle, Error> {
        let result = self.try_open_frame(desc);
        self.core.shared.note_refused("open_frame", &result);
        result
    }

    fn try_open_frame(&self, desc: FrameDesc) -> Result<FrameHandle, Error> {
        if !self.core.gbuffer {
            let text = "the view is in state mode, no planes can be submitted: create it in G-buffer mode";
            return Err(Error::InvalidState(text.into()));
        }
        desc.check()?;
        self.core.shared.committed().check(desc.revision)?;
        let mut desc = desc.in_scene();
        let mut last = self.core.last_opened.lock();
        check_growth(desc.frame_id, last.0)?;
        self.core.take_place()?;
        // The motion that the planes hold leads to the frame that the engine drew before, whether or not it came this far.
        let before = if desc.cut { desc.camera } else { last.1.unwrap_or(desc.camera) };
        desc.previous_camera = Some(desc.previous_camera.unwrap_or(before));
        *last = (desc.frame_id + 1, Some(desc.camera));
        drop(last);
        Ok(FrameHandle::new(Arc::clone(&self.core), desc))
    }

    /// Makes a frame again: its cameras are in the scene, its planes those that were submitted.
    pub(crate) fn make_again(&self, desc: FrameDesc, planes: Vec<Plane>, starts: Starts) -> Result<(), Error> {
        desc.check()?;
        if !planes.is_empty() {
            check_planes(&planes, self.core.size)?;
        }
        self.core.take_place()?;
        let (core, view, starts) = (&self.core, self.core.id, Some(Box::new(starts)));
        let result = core.hand_over(desc.frame_id, |submitted_ns| {
            let convention = Arc::clone(&core.convention);
            core.shared.send_planes(PlanesJob { view, desc, convention, planes, submitted_ns, starts })
        });
        if result.is_err() {
            self.core.finished_one();
        }
        result
    }

    /// The newest output if it is of `min_frame_id` or later; waits at most `timeout` (zero never blocks).
    ///
    /// # Errors
    /// [`Error::NotReady`] when there is none in time.
    pub fn acquire(&self, min_frame_id: u64, timeout: Duration) -> Result<Arc<Output>, Error> {
        self.core.view.outputs.acquire(min_frame_id, timeout)
    }

    /// Chooses what is shown: the peers' picture, the embedded peer's, or the difference.
    ///
    /// # Errors
    /// [`Error::Closed`] after the session ended.
    pub fn set_mode(&self, mode: ViewMode) -> Result<(), Error> {
        self.core.shared.send(Command::SetMode { id: self.core.id, mode })
    }

    /// Draws tiles, or maps of cost, over the composed picture, from the next frame on.
    ///
    /// # Errors
    /// [`Error::Closed`] after the session ended.
    pub fn set_overlay(&self, overlay: Overlay) -> Result<(), Error> {
        self.core.shared.send(Command::SetOverlay { id: self.core.id, overlay })
    }

    /// Figures of the last second.
    pub fn stats(&self) -> ViewStats {
        self.core.view.stats(self.core.shared.clock().now_ns())
    }
}

impl Drop for ViewHandle {
    fn drop(&mut self) {
        self.core.view.outputs.close("its view was destroyed");
        self.core.shared.send_surely(Command::DestroyView { id: self.core.id }, || {});
    }
}
