//! The blobs that a peer keeps: named by BLAKE3, verified on arrival and on every read, bounded, oldest use evicted first.
//!
//! **A blob under its name is whole and its BLAKE3 is its name**: pieces go to a partial blob first, which gets the name
//! only when its hash has been checked. A partial blob outlives a cut connection, so that the next one resumes it.

mod disk;
mod incoming;
mod memory;

pub(crate) use incoming::{Incoming, ReceiveError};

use bytes::Bytes;
use disk::DiskCache;
use memory::MemoryCache;
use std::path::PathBuf;
use std::sync::Arc;

/// BLAKE3 of a blob's bytes.
pub(crate) type Id = [u8; 32];

/// Where blobs are kept and how many bytes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Folder that survives restarts and may be shared by several peers; `None` = memory only.
    pub dir: Option<PathBuf>,
    /// Most bytes kept. A scene that needs more is refused.
    pub limit_bytes: u64,
}

impl Default for CacheConfig {
    /// In memory, 4 GiB.
    fn default() -> CacheConfig {
        CacheConfig { dir: None, limit_bytes: 4 << 30 }
    }
}

/// A blob that a scene in progress relies on.
pub(crate) enum Held {
    /// Its bytes; they stay even when the cache drops them.
    Memory(Bytes),
    /// A file under this id.
    Disk,
}

/// Blobs in memory or on disk.
pub(crate) enum BlobCache {
    Memory(Arc<MemoryCache>),
    Disk(Arc<DiskCache>),
}

impl BlobCache {
    pub(crate) fn open(config: &CacheConfig) -> std::io::Result<BlobCache> {
        Ok(match &config.dir {
            Some(dir) => BlobCache::Disk(Arc::new(DiskCache::open(dir.clone(), config.limit_bytes)?)),
            None => BlobCache::Memory(Arc::new(MemoryCache::new(config.limit_bytes))),
        })
    }

    /// Most bytes that one scene may have.
    pub(crate) fn scene_limit_bytes(&self) -> u64 {
        match self {
            BlobCache::Memory(cache) => cache.scene_limit_bytes(),
            BlobCache::Disk(cache) => cache.scene_limit_bytes(),
        }
    }

    /// The blob, if it is here with this length; counts as a use.
    pub(crate) fn hold(&self, id: &Id, bytes: u64) -> Option<Held> {
        match self {
            BlobCache::Memory(cache) => cache.fetch(id).filter(|b| b.len() as u64 == bytes).map(Held::Memory),
            BlobCache::Disk(cache) => cache.touch(id, bytes).then_some(Held::Disk),
        }
    }

    /// The bytes of a held blob; `None` when they were evicted meanwhile, or damaged (then they are gone now).
    pub(crate) fn read(&self, id: &Id, held: &Held) -> Option<Bytes> {
        match (self, held) {
            (_, Held::Memory(bytes)) => Some(bytes.clone()),
            (BlobCache::Disk(cache), Held::Disk) => cache.read(id),
            (BlobCache::Memory(cache), Held::Disk) => cache.fetch(id),
        }
    }

    /// A place for a blob of `total` bytes that resumes where a cut connection left off.
    pub(crate) fn receive(&self, id: Id, total: u64) -> std::io::Result<Incoming> {
        match self {
            BlobCache::Memory(cache) => Ok(Incoming::in_memory(id, total, cache.clone())),
            BlobCache::Disk(cache) => Incoming::on_disk(id, total, cache.clone(), true),
        }
    }

    /// The same, from its first byte.
    pub(crate) fn receive_anew(&self, id: Id, total: u64) -> std::io::Result<Incoming> {
        match self {
            BlobCache::Memory(cache) => {
                cache.take_partial(&id);
                Ok(Incoming::in_memory(id, total, cache.clone()))
            }
            BlobCache::Disk(cache) => Incoming::on_disk(id, total, cache.clone(), false),
        }
    }

    /// Whether an earlier connection left a part of this blob.
    pub(crate) fn has_partial(&self, id: &Id) -> bool {
        match self {
            BlobCache::Memory(cache) => cache.has_partial(id),
            BlobCache::Disk(cache) => cache.has_partial(id),
        }
    }
}

/// A blob's name for people and files.
pub(crate) fn hex(id: &Id) -> String {
    blake3::Hash::from_bytes(*id).to_hex().to_string()
}
