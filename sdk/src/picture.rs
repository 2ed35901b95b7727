//! Composed pictures, whose memory goes from frame to frame.

use parking_lot::Mutex;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Pictures kept for later frames: the one shown, the one that an engine holds, and those being made.
const KEPT: usize = 4;

/// Bytes of a composed picture: rows from the top, no padding.
#[derive(Debug)]
pub struct Picture {
    bytes: Vec<u8>,
    /// Where the memory goes afterwards.
    pool: Arc<PicturePool>,
}

/// Memory of pictures that nobody looks at any more, all of one size.
#[derive(Debug, Default)]
pub(crate) struct PicturePool {
    free: Mutex<Vec<Vec<u8>>>,
}

impl PicturePool {
    /// A picture of so many bytes, which hold anything.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Picture {
        self.picture(self.take_memory(bytes))
    }

    /// Memory for a picture of so many bytes, which hold anything.
    pub(crate) fn take_memory(&self, bytes: usize) -> Vec<u8> {
        let free = self.free.lock().pop().filter(|free| free.len() == bytes);
        free.unwrap_or_else(|| vec![0; bytes])
    }

    /// A picture of this memory.
    pub(crate) fn picture(self: &Arc<Self>, memory: Vec<u8>) -> Picture {
        Picture { bytes: memory, pool: Arc::clone(self) }
    }
}

impl Deref for Picture {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Picture {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl PartialEq for Picture {
    fn eq(&self, other: &Picture) -> bool {
        self.bytes == other.bytes
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        let mut free = self.pool.free.lock();
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_bounded() {
        let pool = Arc::new(PicturePool::default());
        let first = pool.take(64);
        let address = first.as_ptr();
        drop(first);
        assert_eq!(pool.take(64).as_ptr(), address);
        let many: Vec<Picture> = (0..2 * KEPT).map(|_| pool.take(64)).collect();
        drop(many);
        assert_eq!(pool.free.lock().len(), KEPT);
        assert_eq!(pool.take(16).len(), 16);
    }
}
