//! Blobs in memory: for the embedded peer, and for peers without a folder.

use super::Id;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;

pub(crate) struct MemoryCache {
    limit_bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blobs: HashMap<Id, (Bytes, u64)>,
    partials: HashMap<Id, (Vec<u8>, u64)>,
    bytes: u64,
    uses: u64,
}

impl MemoryCache {
    pub(crate) fn new(limit_bytes: u64) -> MemoryCache {
        MemoryCache { limit_bytes, state: Mutex::default() }
    }

    pub(crate) fn scene_limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    pub(crate) fn fetch(&self, id: &Id) -> Option<Bytes> {
        let mut state = self.state.lock();
        state.uses += 1;
        let now = state.uses;
        let (bytes, used) = state.blobs.get_mut(id)?;
        *used = now;
        Some(bytes.clone())
    }

    pub(crate) fn has_partial(&self, id: &Id) -> bool {
        self.state.lock().partials.contains_key(id)
    }

    pub(crate) fn take_partial(&self, id: &Id) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        let (partial, _) = state.partials.remove(id)?;
        state.bytes -= partial.len() as u64;
        Some(partial)
    }

    pub(crate) fn keep_partial(&self, id: Id, partial: Vec<u8>) {
        let mut state = self.state.lock();
        state.uses += 1;
        let (now, length) = (state.uses, partial.len() as u64);
        if let Some((replaced, _)) = state.partials.insert(id, (partial, now)) {
            state.bytes -= replaced.len() as u64;
        }
        state.bytes += length;
        state.evict(self.limit_bytes);
    }

    /// Keeps a whole blob whose hash has been checked.
    pub(crate) fn keep(&self, id: Id, bytes: Bytes) {
        let mut state = self.state.lock();
        state.uses += 1;
        let (now, length) = (state.uses, bytes.len() as u64);
        if let Some((replaced, _)) = state.blobs.insert(id, (bytes, now)) {
            state.bytes -= replaced.len() as u64;
        }
        state.bytes += length;
        state.evict(self.limit_bytes);
    }
}

impl State {
    /// Partial blobs go first: nothing relies on them.
    fn evict(&mut self, limit_bytes: u64) {
        while self.bytes > limit_bytes {
            if let Some(id) = self.partials.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id) {
                let (partial, _) = self.partials.remove(&id).expect("it was just found");
                self.bytes -= partial.len() as u64;
            } else if let Some(id) = self.blobs.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id) {
                let (bytes, _) = self.blobs.remove(&id).expect("it was just found");
                self.bytes -= bytes.len() as u64;
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blob_whose_use_is_oldest_goes_first() {
        let cache = MemoryCache::new(20);
        cache.keep([1; 32], Bytes::from(vec![1; 10]));
        cache.keep([2; 32], Bytes::from(vec![2; 10]));
        assert!(cache.fetch(&[1; 32]).is_some());
        cache.keep([3; 32], Bytes::from(vec![3; 10]));
        assert!(cache.fetch(&[1; 32]).is_some());
        assert!(cache.fetch(&[2; 32]).is_none());
        assert!(cache.fetch(&[3; 32]).is_some());
    }

    #[test]
    fn a_partial_blob_is_dropped_before_a_whole_one() {
        let cache = MemoryCache::new(20);
        cache.keep([1; 32], Bytes::from(vec![1; 10]));
        cache.keep_partial([2; 32], vec![0; 10]);
        cache.keep([3; 32], Bytes::from(vec![3; 10]));
        assert!(!cache.has_partial(&[2; 32]));
        assert!(cache.fetch(&[1; 32]).is_some());
    }
}
