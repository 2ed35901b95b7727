//! Blobs to a peer that lacks them, paced by the link's own back-pressure.

use crate::blob_store::BlobStore;
use rayloom_scene::assets::BlobId;
use rayloom_transport::{Channel, Link, SendError};
use rayloom_wire::{BlobNeed, BlobPart, Message, limits};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Requests that may wait; a peer asks anew only after it got what it asked for.
const WAITING_NEEDS: usize = 16;

/// Starts the uploads of one link; they end with the link or when the sender is dropped.
pub(crate) fn start(link: Arc<dyn Link>, blobs: Arc<BlobStore>) -> mpsc::Sender<BlobNeed> {
    let (sender, mut needs) = mpsc::channel::<BlobNeed>(WAITING_NEEDS);
    tokio::spawn(async move {
        while let Some(need) = needs.recv().await {
            for (id, have) in need.blobs {
                if send_blob(&link, &blobs, BlobId(id), have).await.is_err() {
                    return;
                }
            }
        }
    });
    sender
}

async fn send_blob(link: &Arc<dyn Link>, blobs: &BlobStore, id: BlobId, have: u64) -> Result<(), SendError> {
    let Some(bytes) = blobs.find(&id) else {
        tracing::warn!("a peer asked for blob {id}, which no revision that it was offered uses");
        return Ok(());
    };
    let mut offset = usize::try_from(have).unwrap_or(usize::MAX).min(bytes.len());
    // An empty blob still needs one (empty) part.
    loop {
        let end = (offset + limits::BLOB_PART_BYTES).min(bytes.len());
        let data = bytes.slice(offset..end);
        let part = BlobPart { id: id.0, total_bytes: bytes.len() as u64, offset: offset as u64, data };
        let message = Message::BlobPart(part).encode();
        while let Err(error) = link.send(Channel::Bulk, message.clone()) {
            match error {
                SendError::Full { .. } => link.writable(Channel::Bulk).await?,
                other => return Err(other),
            }
        }
        offset = end;
        if offset == bytes.len() {
            return Ok(());
        }
    }
}
