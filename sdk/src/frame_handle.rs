//! A frame that was opened and waits for the engine's planes.

use crate::Error;
use crate::config::FrameDesc;
use crate::planes::{Plane, PlanesJob, check_planes};
use crate::view_handle::ViewCore;
use parking_lot::Mutex;
use std::sync::Arc;

/// An open frame of a view in G-buffer mode. It counts as in flight; dropping it gives it up.
pub struct FrameHandle {
    view: Arc<ViewCore>,
    /// Gone once it was submitted. Its cameras are in the scene, both of them there.
    desc: Mutex<Option<FrameDesc>>,
}

impl FrameHandle {
    pub(crate) fn new(view: Arc<ViewCore>, desc: FrameDesc) -> FrameHandle {
        FrameHandle { view, desc: Mutex::new(Some(desc)) }
    }

    /// Begins the frame with what the engine's raster saw; without any plane, peers trace primary visibility themselves.
    /// Deadlines count from here. Never blocks: planes are read on another thread and given back with
    /// [`crate::Event::PlanesReleased`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for planes that are not those of the view: the frame stays open. [`Error::InvalidState`]
    /// when it was submitted before, or a later frame was: then it can only be dropped.
    pub fn submit(&self, planes: Vec<Plane>) -> Result<(), Error> {
        let result = self.try_submit(planes);
        self.view.shared.note_refused("submit", &result);
        result
    }

    fn try_submit(&self, planes: Vec<Plane>) -> Result<(), Error> {
        let mut open = self.desc.lock();
        let Some(desc) = open.as_ref() else {
            return Err(Error::InvalidState("the frame was submitted before: open another".into()));
        };
        // Its scene may have been destroyed since it was opened.
        self.view.shared.committed().check(desc.revision)?;
        if !planes.is_empty() {
            check_planes(&planes, self.view.size)?;
        }
        self.view.hand_over(desc.frame_id, |submitted_ns| {
            let desc = desc.clone();
            let (view, convention) = (self.view.id, Arc::clone(&self.view.convention));
            self.view.shared.send_planes(PlanesJob { view, desc, convention, planes, submitted_ns, starts: None })
        })?;
        *open = None;
        Ok(())
    }
}

impl Drop for FrameHandle {
    fn drop(&mut self) {
        if self.desc.get_mut().is_some() {
            self.view.finished_one();
        }
    }
}
