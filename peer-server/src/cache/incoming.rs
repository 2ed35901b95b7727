//! One blob on its way in: pieces appended in order, hashed as they come.

use super::disk::{DiskCache, PartialFile};
use super::memory::MemoryCache;
use super::{Id, hex};
use bytes::Bytes;
use std::io::{self, Read, Seek, Write};
use std::sync::Arc;

/// Why a blob could not be received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error(
        "blob {expected} arrived with BLAKE3 {found}: it was damaged or forged before it was sent; offer the scene again"
    )]
    Forged { expected: String, found: String },
    #[error("the scene cache cannot be written: {0}; free some space or choose another --cache-dir")]
    Write(#[from] io::Error),
}

pub(crate) struct Incoming {
    id: Id,
    total: u64,
    have: u64,
    hasher: blake3::Hasher,
    /// `None` once finished or failed.
    sink: Option<Sink>,
}

enum Sink {
    Memory(Vec<u8>, Arc<MemoryCache>),
    Disk(PartialFile, Arc<DiskCache>),
}

impl Incoming {
    pub(crate) fn in_memory(id: Id, total: u64, cache: Arc<MemoryCache>) -> Incoming {
        let mut partial = cache.take_partial(&id).unwrap_or_default();
        if partial.len() as u64 >= total {
            partial.clear();
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&partial);
        Incoming { id, total, have: partial.len() as u64, hasher, sink: Some(Sink::Memory(partial, cache)) }
    }

    pub(crate) fn on_disk(id: Id, total: u64, cache: Arc<DiskCache>, resume: bool) -> io::Result<Incoming> {
        let mut partial = cache.open_partial(&id)?;
        let mut hasher = blake3::Hasher::new();
        let mut have = partial.file.metadata()?.len();
        if !resume || have >= total {
            have = 0;
            partial.file.set_len(0)?;
        }
        let mut piece = vec![0; if have == 0 { 0 } else { 1 << 20 }];
        let mut left = have;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            partial.file.read_exact(&mut piece[..length])?;
            hasher.update(&piece[..length]);
            left -= length as u64;
        }
        partial.file.seek(io::SeekFrom::Start(have))?;
        Ok(Incoming { id, total, have, hasher, sink: Some(Sink::Disk(partial, cache)) })
    }

    pub(crate) fn have(&self) -> u64 {
        self.have
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.have == self.total
    }

    /// Appends the next piece; the caller has checked that it ends within the blob.
    pub(crate) fn append(&mut self, data: &[u8]) -> Result<(), ReceiveError> {
        match self.sink.as_mut().expect("pieces are appended before the end") {
            Sink::Memory(partial, _) => partial.extend_from_slice(data),
            Sink::Disk(partial, _) => partial.file.write_all(data)?,
        }
        self.hasher.update(data);
        self.have += data.len() as u64;
        Ok(())
    }

    /// Checks the hash of the whole and keeps it under its name, or forgets it.
    pub(crate) fn finish(mut self) -> Result<Option<Bytes>, ReceiveError> {
        let found = self.hasher.finalize();
        let sink = self.sink.take().expect("a blob is finished once");
        if *found.as_bytes() != self.id {
            if let Sink::Disk(partial, _) = sink {
                // Nothing of it can be trusted; a failure to remove it costs only the same error again.
                let _ = std::fs::remove_file(&partial.path);
            }
            return Err(ReceiveError::Forged { expected: hex(&self.id), found: found.to_hex().to_string() });
        }
        match sink {
            Sink::Memory(partial, cache) => {
                let bytes = Bytes::from(partial);
                cache.keep(self.id, bytes.clone());
                Ok(Some(bytes))
            }
            Sink::Disk(partial, cache) => {
                cache.keep(&self.id, &partial.path, self.total)?;
                Ok(None)
            }
        }
    }
}

impl Drop for Incoming {
    /// What came before the connection was cut is kept for the next one.
    fn drop(&mut self) {
        match self.sink.take() {
            Some(Sink::Memory(partial, cache)) if !partial.is_empty() => cache.keep_partial(self.id, partial),
            Some(Sink::Disk(partial, _)) if !partial.resumable || self.have == 0 => {
                let _ = std::fs::remove_file(&partial.path);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BlobCache, CacheConfig, Held};
    use super::*;

    fn caches() -> Vec<(BlobCache, Option<std::path::PathBuf>)> {
        let mut unique = [0; 8];
        getrandom::fill(&mut unique).unwrap();
        let dir = std::env::temp_dir().join(format!("rayloom-cache-test-{:016x}", u64::from_le_bytes(unique)));
        [Some(dir.clone()), None]
            .map(|dir| (BlobCache::open(&CacheConfig { dir: dir.clone(), limit_bytes: 1 << 20 }).unwrap(), dir))
            .into()
    }

    #[test]
    fn a_cut_blob_is_resumed_and_then_whole() {
        for (cache, dir) in caches() {
            let blob: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
            let id = *blake3::hash(&blob).as_bytes();
            let total = blob.len() as u64;
            let mut first = cache.receive(id, total).unwrap();
            first.append(&blob[..30_000]).unwrap();
            drop(first);
            assert!(cache.has_partial(&id));
            let mut second = cache.receive(id, total).unwrap();
            assert_eq!(second.have(), 30_000);
            second.append(&blob[30_000..]).unwrap();
            second.finish().unwrap();
            let held = cache.hold(&id, total).unwrap();
            assert_eq!(cache.read(&id, &held).unwrap(), blob);
            assert!(!cache.has_partial(&id));
            dir.map(std::fs::remove_dir_all);
        }
    }

    #[test]
    fn a_forged_blob_is_refused_and_forgotten() {
        for (cache, dir) in caches() {
            let mut incoming = cache.receive([7; 32], 4).unwrap();
            incoming.append(b"fake").unwrap();
            assert!(matches!(incoming.finish(), Err(ReceiveError::Forged { .. })));
            assert!(cache.hold(&[7; 32], 4).is_none());
            assert!(!cache.has_partial(&[7; 32]));
            dir.map(std::fs::remove_dir_all);
        }
    }

    #[test]
    fn two_connections_may_bring_the_same_blob() {
        for (cache, dir) in caches() {
            let id = *blake3::hash(b"shared blob").as_bytes();
            let (mut a, mut b) = (cache.receive(id, 11).unwrap(), cache.receive(id, 11).unwrap());
            a.append(b"shared").unwrap();
            b.append(b"shared blob").unwrap();
            b.finish().unwrap();
            a.append(b" blob").unwrap();
            a.finish().unwrap();
            assert!(cache.hold(&id, 11).is_some());
            dir.map(std::fs::remove_dir_all);
        }
    }

    #[test]
    fn a_file_damaged_on_disk_is_noticed_and_removed() {
        let (cache, dir) = caches().swap_remove(0);
        let dir = dir.unwrap();
        let id = *blake3::hash(b"precious").as_bytes();
        let mut incoming = cache.receive(id, 8).unwrap();
        incoming.append(b"precious").unwrap();
        incoming.finish().unwrap();
        let name = hex(&id);
        std::fs::write(dir.join("blobs").join(&name[..2]).join(&name), b"poisoned").unwrap();
        let held = cache.hold(&id, 8).unwrap();
        assert!(matches!(held, Held::Disk));
        assert!(cache.read(&id, &held).is_none());
        assert!(cache.hold(&id, 8).is_none());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_folder_stays_within_its_limit() {
        let (_, dir) = caches().swap_remove(0);
        let dir = dir.unwrap();
        let cache = BlobCache::open(&CacheConfig { dir: Some(dir.clone()), limit_bytes: 1000 }).unwrap();
        for i in 0..20u8 {
            let blob = [i; 100];
            let mut incoming = cache.receive(*blake3::hash(&blob).as_bytes(), 100).unwrap();
            incoming.append(&blob).unwrap();
            incoming.finish().unwrap();
        }
        let kept = (0..20u8).filter(|i| cache.hold(blake3::hash(&[*i; 100]).as_bytes(), 100).is_some()).count();
        assert!((5..=10).contains(&kept), "{kept} blobs of 100 bytes kept");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
