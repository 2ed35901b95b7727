//! The packed assets of the session's scenes, by BLAKE3, for uploading to peers that lack them.

use bytes::Bytes;
use parking_lot::RwLock;
use rayloom_scene::assets::{BlobId, PackedScene};
use std::collections::HashMap;
use std::sync::Arc;

/// Blobs with the number of leases on each.
#[derive(Default)]
pub(crate) struct BlobStore {
    blobs: RwLock<HashMap<BlobId, (Bytes, u32)>>,
}

/// The blobs of one base revision stay while this lives: as long as the revision is kept, and as long as a peer that it was
/// offered to may still ask for them.
pub(crate) struct BlobLease {
    store: Arc<BlobStore>,
    /// In order; one that is used twice is there twice.
    ids: Vec<BlobId>,
}

impl BlobStore {
    pub(crate) fn insert(self: &Arc<Self>, packed: &PackedScene) -> Arc<BlobLease> {
        let all = || packed.blobs.iter().chain([&packed.root]);
        let mut blobs = self.blobs.write();
        for blob in all() {
            blobs.entry(blob.id).or_insert_with(|| (blob.bytes.clone(), 0)).1 += 1;
        }
        let mut ids: Vec<BlobId> = all().map(|blob| blob.id).collect();
        ids.sort_unstable();
        Arc::new(BlobLease { store: Arc::clone(self), ids })
    }

    pub(crate) fn find(&self, id: &BlobId) -> Option<Bytes> {
        self.blobs.read().get(id).map(|(bytes, _)| bytes.clone())
    }
}

impl BlobLease {
    /// Whether this is one of its blobs.
    pub(crate) fn holds(&self, id: &BlobId) -> bool {
        self.ids.binary_search(id).is_ok()
    }
}

impl Drop for BlobLease {
    fn drop(&mut self) {
        let mut blobs = self.store.blobs.write();
        for id in &self.ids {
            if let Some((_, uses)) = blobs.get_mut(id) {
                *uses -= 1;
                if *uses == 0 {
                    blobs.remove(id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_scene::Scene;

    #[test]
    fn blobs_stay_until_the_last_lease_on_them_ends() {
        let store = Arc::new(BlobStore::default());
        let packed = rayloom_scene::assets::pack(&Scene::default());
        let (first, second) = (store.insert(&packed), store.insert(&packed));
        drop(first);
        assert!(store.find(&packed.root.id).is_some());
        drop(second);
        assert!(store.find(&packed.root.id).is_none());
    }
}
