//! The file: a head, then records, each compressed by itself, so that what was written before a crash can be read.

use super::queue::RecordQueue;
use super::{Record, RecordKind};
use crate::clock::Clock;
use crate::event::{Event, EventQueue};
use parking_lot::Mutex;
use rayloom_scene::assets::BlobId;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

/// The version of the format that is written, and the only one that is read.
pub const CAPTURE_VERSION: u32 = 3;
/// First bytes of every capture; the version follows.
const MAGIC: &[u8; 8] = b"RAYLOOMC";
/// Bytes before the first record.
pub(super) const FILE_HEAD_BYTES: u64 = 12;
/// Bytes before a record's content.
pub(super) const RECORD_HEAD_BYTES: u64 = 28;
/// Longest record, uncompressed; a blob may have 1 GiB.
const RECORD_BYTES: u32 = (1 << 30) + (1 << 20);
/// The same of records that hold no content of scenes or planes.
const SMALL_RECORD_BYTES: u32 = 64 << 20;
/// Fast: the disk is the bound. Planes of a city shrink to a third.
const LEVEL: i32 = 1;

/// Why a capture can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file can't be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is something else.
    #[error("this is no capture: it begins with {found:?} instead of \"RAYLOOMC\"")]
    NotACapture {
        /// Its first bytes.
        found: String,
    },
    /// It was written by another version.
    #[error(
        "the capture's format is version {found}, this build reads version {CAPTURE_VERSION}: replay it with the Rayloom that wrote it"
    )]
    Version {
        /// What the file says.
        found: u32,
    },
    /// Its content contradicts itself.
    #[error("the record at byte {offset} is damaged: {reason}")]
    Damaged {
        /// Where the record begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is known of a record before its content is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordHead {
    /// When it was recorded, since the session began.
    pub(super) ns: u64,
    pub(super) kind: RecordKind,
    pub(super) packed_bytes: u32,
    raw_bytes: u32,
    /// First bytes of the packed content's BLAKE3.
    check: [u8; 8],
}

pub(super) fn write_head(out: &mut impl Write) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&CAPTURE_VERSION.to_le_bytes())
}

pub(super) fn read_head(input: &mut impl Read) -> Result<(), CaptureError> {
    let mut head = Vec::new();
    input.take(FILE_HEAD_BYTES).read_to_end(&mut head).map_err(|source| damaged(0, &source.to_string()))?;
    if !head.starts_with(MAGIC) {
        let found = String::from_utf8_lossy(&head[..head.len().min(MAGIC.len())]).into_owned();
        return Err(CaptureError::NotACapture { found });
    }
    let version = head[MAGIC.len()..].try_into().map_err(|_| damaged(0, "the file ends within its head"))?;
    match u32::from_le_bytes(version) {
        CAPTURE_VERSION => Ok(()),
        found => Err(CaptureError::Version { found }),
    }
}

pub(super) fn damaged(offset: u64, reason: &str) -> CaptureError {
    CaptureError::Damaged { offset, reason: reason.into() }
}

fn check_of(packed: &[u8]) -> [u8; 8] {
    let hash = blake3::hash(packed);
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// Writes one record.
pub(super) fn write_record(out: &mut impl Write, ns: u64, record: &Record) -> io::Result<()> {
    let raw = postcard::to_stdvec(record).map_err(io::Error::other)?;
    let raw_bytes = u32::try_from(raw.len()).ok().filter(|bytes| *bytes <= RECORD_BYTES);
    let raw_bytes = raw_bytes.ok_or_else(|| {
        io::Error::other(format!("a record of {} bytes is longer than the {RECORD_BYTES} that one may have", raw.len()))
    })?;
    let packed = zstd::bulk::compress(&raw, LEVEL)?;
    let packed_bytes = u32::try_from(packed.len()).map_err(io::Error::other)?;
    out.write_all(&ns.to_le_bytes())?;
    out.write_all(&(record.kind() as u32).to_le_bytes())?;
    out.write_all(&raw_bytes.to_le_bytes())?;
    out.write_all(&packed_bytes.to_le_bytes())?;
    out.write_all(&check_of(&packed))?;
    out.write_all(&packed)
}

/// Reads what comes before a record's content; `None` where the file ends, within the head too: a crash cuts anywhere.
pub(super) fn read_record_head(input: &mut impl Read, offset: u64) -> Result<Option<RecordHead>, CaptureError> {
    let mut head = Vec::new();
    input.take(RECORD_HEAD_BYTES).read_to_end(&mut head).map_err(|source| damaged(offset, &source.to_string()))?;
    let Ok(head) = <[u8; RECORD_HEAD_BYTES as usize]>::try_from(head) else { return Ok(None) };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let kind = RecordKind::from_u32(word(8));
    let kind = kind.ok_or_else(|| damaged(offset, &format!("there is no kind of record {}", word(8))))?;
    let raw_bytes = word(12);
    let limit = match kind {
        RecordKind::Blob | RecordKind::Planes => RECORD_BYTES,
        _ => SMALL_RECORD_BYTES,
    };
    if raw_bytes > limit {
        return Err(damaged(offset, &format!("{raw_bytes} bytes are more than the {limit} that a {kind:?} may have")));
    }
    let ns = u64::from(word(0)) | u64::from(word(4)) << 32;
    let check = *head.last_chunk().expect("the head is longer than that");
    Ok(Some(RecordHead { ns, kind, packed_bytes: word(16), raw_bytes, check }))
}

/// Reads a record's content.
pub(super) fn read_record(input: &mut impl Read, head: &RecordHead, offset: u64) -> Result<Record, CaptureError> {
    let at = |reason: &str| damaged(offset, reason);
    // Both grow with what is there, not with what is said to be.
    let mut packed = Vec::new();
    input.take(head.packed_bytes.into()).read_to_end(&mut packed).map_err(|source| at(&source.to_string()))?;
    if packed.len() != head.packed_bytes as usize {
        return Err(at("the file ends within it"));
    }
    if check_of(&packed) != head.check {
        return Err(at("its content is not what was written"));
    }
    let mut raw = Vec::new();
    let unpack = zstd::Decoder::with_buffer(&packed[..]).map_err(|source| at(&source.to_string()))?;
    unpack.take(u64::from(head.raw_bytes) + 1).read_to_end(&mut raw).map_err(|source| at(&source.to_string()))?;
    if raw.len() != head.raw_bytes as usize {
        return Err(at(&format!("it should hold {} bytes, not {} or more", head.raw_bytes, raw.len())));
    }
    let record: Record = postcard::from_bytes(&raw).map_err(|error| at(&error.to_string()))?;
    if record.kind() != head.kind {
        return Err(at(&format!("it is a {:?}, its head says {:?}", record.kind(), head.kind)));
    }
    Ok(record)
}

/// Writes records as a whole file.
#[cfg(test)]
pub(crate) fn write_capture(path: &Path, records: Vec<Record>) -> io::Result<()> {
    let mut out = File::create(path)?;
    write_head(&mut out)?;
    records.iter().try_for_each(|record| write_record(&mut out, 0, record))
}

/// A capture that is being written, by a thread of its own.
pub(crate) struct CaptureFile {
    path: PathBuf,
    clock: Clock,
    queue: Arc<RecordQueue>,
    /// Which notes its events here.
    events: Weak<EventQueue>,
    /// It has ended before the session.
    failed: Arc<AtomicBool>,
    blobs: Mutex<HashSet<BlobId>>,
    /// What notes must not say: addresses and tokens of peers, longest first.
    secrets: Vec<String>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl CaptureFile {
    /// Creates the file; one of that name is replaced, unless another session is writing it.
    pub(crate) fn create(
        path: &Path,
        clock: Clock,
        events: &Arc<EventQueue>,
        mut secrets: Vec<String>,
    ) -> io::Result<CaptureFile> {
        check_regular(path)?;
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        if let Err(error) = file.try_lock() {
            return Err(io::Error::other(format!("it is being written by another session: {error}")));
        }
        file.set_len(0)?;
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut out = BufWriter::with_capacity(1 << 20, file);
        write_head(&mut out)?;
        let (queue, failed) = (Arc::new(RecordQueue::default()), Arc::new(AtomicBool::new(false)));
        let writer = std::thread::Builder::new().name("rayloom-capture".into()).spawn({
            let (queue, events, failed, path) =
                (Arc::clone(&queue), Arc::downgrade(events), Arc::clone(&failed), path.to_owned());
            move || {
                // However it ends, nobody waits for it.
                let _end = Abandoned(&queue);
                if let Err(error) = write_all(&mut out, &queue) {
                    report(&events, &failed, &path, &error.to_string());
                }
            }
        })?;
        let (path, events, blobs) = (path.to_owned(), Arc::downgrade(events), Mutex::default());
        Ok(CaptureFile { path, clock, queue, events, failed, blobs, secrets, writer: Mutex::new(Some(writer)) })
    }

    /// Never waits. Where the disk is too far behind the capture ends, and the engine is told.
    pub(crate) fn put(&self, record: Record) {
        if !self.failed.load(Ordering::Relaxed) && !self.queue.put(self.clock.now_ns(), record) {
            self.queue.close();
            report(&self.events, &self.failed, &self.path, "the disk is too slow for what the session does");
        }
    }

    /// A line for people.
    pub(crate) fn note(&self, text: &str) {
        let text = self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[not told]"));
        self.put(Record::Note(text));
    }

    pub(crate) fn wait_for_room(&self) {
        self.queue.wait_for_room();
    }

    /// True the first time.
    pub(crate) fn is_new(&self, blob: BlobId) -> bool {
        self.blobs.lock().insert(blob)
    }

    /// Writes what waits and ends.
    pub(crate) fn finish(&self) {
        self.queue.close();
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes the capture had panicked");
        }
    }
}

/// A pipe, a device or a folder would take writes otherwise than a file, or never.
pub(super) fn check_regular(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => Err(io::Error::other("it is no regular file")),
        _ => Ok(()),
    }
}

/// Ends the queue with the thread that reads it.
struct Abandoned<'a>(&'a RecordQueue);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn report(events: &Weak<EventQueue>, failed: &AtomicBool, path: &Path, cause: &str) {
    if !failed.swap(true, Ordering::Relaxed)
        && let Some(events) = events.upgrade()
    {
        let cause = format!("the capture in {} ends here: {cause}", path.display());
        events.push(Event::CaptureFailed { cause });
    }
}

fn write_all(out: &mut BufWriter<File>, queue: &RecordQueue) -> io::Result<()> {
    while let Some((ns, record)) = queue.take() {
        write_record(out, ns, &record)?;
        queue.written(record.weight());
        // Whatever ends the process, the file has what was done.
        if queue.is_empty() {
            out.flush()?;
        }
    }
    out.flush()
}
