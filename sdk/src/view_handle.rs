//! A view as the engine has it: begins frames, takes outputs.

use crate::Error;
use crate::config::{FrameDesc, ViewDesc, ViewMode};
use crate::director::Command;
use crate::output::Output;
use crate::session::Shared;
use crate::stats::ViewStats;
use crate::view::ViewShared;
use parking_lot::Mutex;
use rayloom_frame::Extent;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A view of a session. Dropping it ends its frames.
pub struct ViewHandle {
    id: u16,
    size: Extent,
    shared: Arc<Shared>,
    view: Arc<ViewShared>,
    /// The next frame's id must be at least this.
    next_frame_id: Mutex<u64>,
}

impl ViewHandle {
    pub(crate) fn new(id: u16, desc: ViewDesc, shared: Arc<Shared>) -> Result<ViewHandle, Error> {
        let view = Arc::new(ViewShared::default());
        let size = desc.size;
        shared.send(Command::CreateView { id, desc, shared: Arc::clone(&view) })?;
        Ok(ViewHandle { id, size, shared, view, next_frame_id: Mutex::new(0) })
    }

    /// Size in pixels.
    pub fn size(&self) -> Extent {
        self.size
    }

    /// Begins a frame: peers that can trace primary visibility start at once. Never blocks.
    ///
    /// # Errors
    /// [`Error::Busy`] when `max_frames_in_flight` frames are not finished yet, [`Error::InvalidArgument`] for a frame
    /// that can't be traced or an id that does not grow.
    pub fn begin_frame(&self, desc: FrameDesc) -> Result<(), Error> {
        desc.check()?;
        let limit = self.shared.max_frames_in_flight();
        let in_flight = &self.view.in_flight;
        if let Err(in_flight) =
            in_flight.try_update(Ordering::AcqRel, Ordering::Acquire, |n| if n < limit { Some(n + 1) } else { None })
        {
            return Err(Error::Busy { in_flight, limit });
        }
        let result = self.hand_over(desc);
        if result.is_err() {
            in_flight.fetch_sub(1, Ordering::AcqRel);
        }
        result
    }

    /// Frames reach the director in the order of their ids, from whichever threads they come; an id counts once it has.
    fn hand_over(&self, desc: FrameDesc) -> Result<(), Error> {
        let frame_id = desc.frame_id;
        let mut next = self.next_frame_id.lock();
        if frame_id < *next || frame_id == u64::MAX {
            return Err(Error::InvalidArgument(format!(
                "frame id {frame_id} does not grow: the next may be {next} or above"
            )));
        }
        let begun_ns = self.shared.clock().now_ns();
        self.shared.send(Command::BeginFrame { view: self.id, desc, begun_ns })?;
        *next = frame_id + 1;
        Ok(())
    }

    /// The newest output if it is of `min_frame_id` or later; waits at most `timeout` (zero never blocks).
    ///
    /// # Errors
    /// [`Error::NotReady`] when there is none in time.
    pub fn acquire(&self, min_frame_id: u64, timeout: Duration) -> Result<Arc<Output>, Error> {
        self.view.outputs.acquire(min_frame_id, timeout)
    }

    /// Chooses what is shown: the peers' picture, the embedded peer's, or the difference.
    ///
    /// # Errors
    /// [`Error::Closed`] after the session ended.
    pub fn set_mode(&self, mode: ViewMode) -> Result<(), Error> {
        self.shared.send(Command::SetMode { id: self.id, mode })
    }

    /// Draws borders, peers and milliseconds of the tiles into the composed picture.
    ///
    /// # Errors
    /// [`Error::Closed`] after the session ended.
    pub fn set_tiles_drawn(&self, drawn: bool) -> Result<(), Error> {
        self.shared.send(Command::SetTilesDrawn { id: self.id, drawn })
    }

    /// Figures of the last second.
    pub fn stats(&self) -> ViewStats {
        self.view.stats()
    }
}

impl Drop for ViewHandle {
    fn drop(&mut self) {
        self.view.outputs.close("its view was destroyed");
        self.shared.send_surely(Command::DestroyView { id: self.id }, || {});
    }
}
