//! Where what warped pixels show stands beside their centres, of this frame and the last one.
//!
//! **A warped pixel shows the nearest pixel of the last frame**, which lands up to half a pixel beside it. What is left is kept for the next
//! frame: a camera that moves by less than half a pixel a frame would not move what is shown otherwise, however long it goes on.

use crate::Extent;

/// Two half floats a pixel, to the right and down; no memory until something is warped.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    of_frame: Vec<u32>,
    of_last: Vec<u32>,
    /// Something is warped: pixels that are not stand at their centres.
    is_warped: bool,
    was_warped: bool,
}

impl Offsets {
    /// A frame begins; one that was open is dropped.
    pub(super) fn begin(&mut self) {
        self.is_warped = false;
    }

    /// The finished frame becomes the last one.
    pub(super) fn close(&mut self) {
        std::mem::swap(&mut self.of_frame, &mut self.of_last);
        self.was_warped = std::mem::take(&mut self.is_warped);
    }

    /// Pixels of the open frame are about to be warped, or none are after all.
    pub(super) fn take_memory(&mut self, is_warped: bool, extent: Extent) {
        self.is_warped = is_warped;
        if is_warped && self.of_frame.is_empty() {
            // Both at once: the frames after this one take no memory.
            self.of_frame = vec![0; extent.pixels()];
            self.of_last.resize(extent.pixels(), 0);
        }
    }

    /// The open frame's and the last one's; none where all pixels stand at their centres.
    pub(super) fn split(&mut self) -> (&mut [u32], &[u32]) {
        let of_frame = if self.is_warped { &mut self.of_frame[..] } else { &mut [] };
        (of_frame, if self.was_warped { &self.of_last } else { &[] })
    }

    pub(super) fn held_bytes(&self) -> usize {
        4 * (self.of_frame.capacity() + self.of_last.capacity())
    }
}
