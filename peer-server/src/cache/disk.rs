//! Blobs as files in one folder that several peers of a machine may share.
//!
//! `blobs/<2 hex digits>/<hex>` are whole; `partial/<hex>` is being received by whoever holds its file lock, which the
//! system releases even when a process is killed. The time of last use is the file's modification time.

use super::{Id, hex};
use bytes::Bytes;
use parking_lot::Mutex;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Partial files that nobody has written to for this long are swept at start.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct DiskCache {
    blobs: PathBuf,
    partial: PathBuf,
    limit_bytes: u64,
    /// Bytes in `blobs` as far as this process knows; counted anew before anything is evicted.
    bytes: Mutex<u64>,
}

/// A partial file, and whether a later connection may resume it.
pub(crate) struct PartialFile {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) resumable: bool,
}

impl DiskCache {
    pub(crate) fn open(dir: PathBuf, limit_bytes: u64) -> io::Result<DiskCache> {
        let (blobs, partial) = (dir.join("blobs"), dir.join("partial"));
        fs::create_dir_all(&blobs)?;
        fs::create_dir_all(&partial)?;
        let now = SystemTime::now();
        for file in list(&partial)? {
            if now.duration_since(file.used).is_ok_and(|age| age > ABANDONED_AFTER) {
                let _ = fs::remove_file(&file.path);
            }
        }
        let cache = DiskCache { blobs, partial, limit_bytes, bytes: Mutex::new(0) };
        *cache.bytes.lock() = cache.all_blobs().iter().map(|file| file.bytes).sum();
        cache.evict();
        Ok(cache)
    }

    /// What is left after evicting: a larger scene could lose its first blobs while its last ones arrive.
    pub(crate) fn scene_limit_bytes(&self) -> u64 {
        self.limit_bytes / 10 * 9
    }

    /// Marks the blob as used; false when it is not here with this length.
    pub(crate) fn touch(&self, id: &Id, bytes: u64) -> bool {
        let Ok(file) = File::open(self.blob_path(id)) else { return false };
        if !file.metadata().is_ok_and(|m| m.len() == bytes) {
            return false;
        }
        // Only the order of eviction suffers when the folder can't be written.
        let _ = file.set_modified(SystemTime::now());
        true
    }

    /// Reads a blob and checks it; a damaged one is removed.
    pub(crate) fn read(&self, id: &Id) -> Option<Bytes> {
        let path = self.blob_path(id);
        let bytes = fs::read(&path).ok()?;
        if blake3::hash(&bytes).as_bytes() == id {
            return Some(bytes.into());
        }
        tracing::warn!(file = %path.display(), "a cached blob is damaged on disk and is asked for again");
        let _ = fs::remove_file(&path);
        None
    }

    pub(crate) fn has_partial(&self, id: &Id) -> bool {
        self.partial.join(hex(id)).exists()
    }

    /// Opens the partial file; when another connection is at it, a private one that is gone with this connection.
    pub(crate) fn open_partial(&self, id: &Id) -> io::Result<PartialFile> {
        let path = self.partial.join(hex(id));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        // Between opening and locking, its owner may have renamed or removed it: then it is no longer ours to write to.
        if file.try_lock().is_ok() && same_file(&file, &path) {
            return Ok(PartialFile { file, path, resumable: true });
        }
        let mut unique = [0; 8];
        getrandom::fill(&mut unique).map_err(io::Error::other)?;
        let path = self.partial.join(format!("{}.{:016x}", hex(id), u64::from_le_bytes(unique)));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok(PartialFile { file, path, resumable: false })
    }

    /// Gives a partial file whose hash has been checked its name.
    pub(crate) fn keep(&self, id: &Id, partial: &Path, bytes: u64) -> io::Result<()> {
        let path = self.blob_path(id);
        fs::create_dir_all(path.parent().expect("blobs lie in a folder of two digits"))?;
        let replaced = fs::metadata(&path).map_or(0, |m| m.len());
        fs::rename(partial, &path)?;
        let mut total = self.bytes.lock();
        *total = (*total + bytes).saturating_sub(replaced);
        drop(total);
        self.evict();
        Ok(())
    }

    fn blob_path(&self, id: &Id) -> PathBuf {
        let name = hex(id);
        self.blobs.join(&name[..2]).join(name)
    }

    fn all_blobs(&self) -> Vec<Listed> {
        let folders = fs::read_dir(&self.blobs).into_iter().flatten().flatten();
        folders.flat_map(|folder| list(&folder.path()).unwrap_or_default()).collect()
    }

    /// Removes the blobs whose use is oldest until a tenth of the limit is free again.
    fn evict(&self) {
        let mut bytes = self.bytes.lock();
        if *bytes <= self.limit_bytes {
            return;
        }
        let mut files = self.all_blobs();
        *bytes = files.iter().map(|file| file.bytes).sum();
        files.sort_by_key(|file| file.used);
        let target = self.scene_limit_bytes();
        for file in files {
            if *bytes <= target {
                return;
            }
            if fs::remove_file(&file.path).is_ok() {
                *bytes = bytes.saturating_sub(file.bytes);
            }
        }
    }
}

struct Listed {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

fn list(folder: &Path) -> io::Result<Vec<Listed>> {
    let entries = fs::read_dir(folder)?.flatten();
    Ok(entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some(Listed { path: entry.path(), bytes: metadata.len(), used: metadata.modified().ok()? })
        })
        .collect())
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let key = |m: &fs::Metadata| (m.dev(), m.ino());
    matches!((file.metadata(), fs::metadata(path)), (Ok(a), Ok(b)) if key(&a) == key(&b))
}

/// Elsewhere an open file can't be renamed or removed under its holder.
#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> bool {
    path.exists()
}
