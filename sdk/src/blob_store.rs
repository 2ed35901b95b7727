//! The packed assets of the session's scenes, by BLAKE3, for uploading to peers that lack them.

use bytes::Bytes;
use parking_lot::RwLock;
use rayloom_scene::assets::{BlobId, PackedScene};
use std::collections::HashMap;

/// Blobs with the number of base revisions that use each.
#[derive(Default)]
pub(crate) struct BlobStore {
    blobs: RwLock<HashMap<BlobId, (Bytes, u32)>>,
}

impl BlobStore {
    pub(crate) fn insert(&self, packed: &PackedScene) {
        let mut blobs = self.blobs.write();
        for blob in packed.blobs.iter().chain([&packed.root]) {
            blobs.entry(blob.id).or_insert_with(|| (blob.bytes.clone(), 0)).1 += 1;
        }
    }

    pub(crate) fn remove(&self, ids: &[BlobId]) {
        let mut blobs = self.blobs.write();
        for id in ids {
            if let Some((_, uses)) = blobs.get_mut(id) {
                *uses -= 1;
                if *uses == 0 {
                    blobs.remove(id);
                }
            }
        }
    }

    pub(crate) fn find(&self, id: &BlobId) -> Option<Bytes> {
        self.blobs.read().get(id).map(|(bytes, _)| bytes.clone())
    }
}
