//! How much device memory buffers take together, and a limit that the operator may set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of all live buffers of a device.
#[derive(Clone)]
pub(crate) struct Memory {
    taken: Arc<AtomicU64>,
    limit: u64,
}

impl Memory {
    /// At most `limit` bytes; without one, as many as the device has.
    pub(crate) fn new(limit: Option<u64>) -> Memory {
        Memory { taken: Arc::default(), limit: limit.unwrap_or(u64::MAX) }
    }

    /// Takes bytes until the answer is dropped; the limit, where they would go beyond it.
    pub(super) fn reserve(&self, bytes: u64) -> Result<Reserved, u64> {
        let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.limit);
        match self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits) {
            Ok(_) => Ok(Reserved { taken: self.taken.clone(), bytes }),
            Err(_) => Err(self.limit),
        }
    }

    /// Bytes that are taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }
}

/// Bytes that a buffer has taken.
pub(super) struct Reserved {
    taken: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_makes_room() {
        let memory = Memory::new(Some(100));
        let first = memory.reserve(60).expect("it fits");
        assert_eq!(memory.reserve(41).err(), Some(100));
        assert_eq!(memory.reserve(u64::MAX).err(), Some(100));
        let _second = memory.reserve(40).expect("it fits exactly");
        drop(first);
        assert_eq!(memory.taken(), 40);
    }
}
