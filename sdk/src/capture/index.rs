//! A capture that is read: where its records are, and any of them.

use super::file::{
    CaptureError, FILE_HEAD_BYTES, RECORD_HEAD_BYTES, RecordHead, check_regular, damaged, read_head, read_record,
    read_record_head,
};
use super::{MadeRecord, Record, RecordKind, SessionRecord};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// A record's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    offset: u64,
    head: RecordHead,
}

impl Entry {
    pub(crate) fn kind(&self) -> RecordKind {
        self.head.kind
    }

    /// When it was recorded, in nanoseconds since the session began.
    pub(crate) fn ns(&self) -> u64 {
        self.head.ns
    }
}

/// An opened capture.
#[derive(Debug)]
pub(crate) struct Capture<R> {
    input: R,
    pub(crate) session: SessionRecord,
    pub(crate) entries: Vec<Entry>,
    /// The file ends within a record: its session did not end well.
    pub(crate) is_cut_off: bool,
    /// What became of frames, by view, frame and whether the local pipeline made it.
    made: BTreeMap<(u16, u64, bool), Entry>,
}

impl Capture<BufReader<File>> {
    pub(crate) fn open(path: &Path) -> Result<Self, CaptureError> {
        let io = |source| CaptureError::Io { path: path.display().to_string(), source };
        check_regular(path).map_err(io)?;
        Capture::read(BufReader::new(File::open(path).map_err(io)?))
    }
}

impl<R: Read + Seek> Capture<R> {
    /// Finds all records; reads none but those that say what became of frames.
    pub(crate) fn read(mut input: R) -> Result<Capture<R>, CaptureError> {
        let seek = |input: &mut R, to: SeekFrom| input.seek(to).map_err(|e| damaged(0, &e.to_string()));
        let end = seek(&mut input, SeekFrom::End(0))?;
        seek(&mut input, SeekFrom::Start(0))?;
        read_head(&mut input)?;
        let (mut entries, mut offset) = (Vec::new(), FILE_HEAD_BYTES);
        while let Some(head) = read_record_head(&mut input, offset)? {
            let next = offset + RECORD_HEAD_BYTES + u64::from(head.packed_bytes);
            if next > end {
                break;
            }
            entries.push(Entry { offset, head });
            offset = next;
            seek(&mut input, SeekFrom::Start(offset))?;
        }
        let is_cut_off = offset != end;
        let nothing = SessionRecord { version: String::new(), lossless: false, peers: 0, began_unix_s: 0 };
        let mut capture = Capture { input, session: nothing, entries, is_cut_off, made: BTreeMap::new() };
        capture.session = match capture.entries.first().copied() {
            Some(first) => match capture.record(&first)? {
                Record::Session(session) => session,
                other => return Err(damaged(first.offset, &format!("the first is a {:?}, no session", other.kind()))),
            },
            None => return Err(damaged(FILE_HEAD_BYTES, "there is no whole record")),
        };
        for at in 0..capture.entries.len() {
            let entry = capture.entries[at];
            if entry.kind() == RecordKind::Made
                && let Record::Made(made) = capture.record(&entry)?
            {
                capture.made.insert((made.view, made.frame_id, made.is_local), entry);
            }
        }
        Ok(capture)
    }

    /// Reads a record.
    pub(crate) fn record(&mut self, entry: &Entry) -> Result<Record, CaptureError> {
        let content = SeekFrom::Start(entry.offset + RECORD_HEAD_BYTES);
        self.input.seek(content).map_err(|error| damaged(entry.offset, &error.to_string()))?;
        read_record(&mut self.input, &entry.head, entry.offset)
    }

    /// What became of a frame; `None` where the session ended before it did.
    pub(crate) fn made(
        &mut self,
        view: u16,
        frame_id: u64,
        is_local: bool,
    ) -> Result<Option<MadeRecord>, CaptureError> {
        let Some(entry) = self.made.get(&(view, frame_id, is_local)).copied() else { return Ok(None) };
        match self.record(&entry)? {
            Record::Made(made) => Ok(Some(made)),
            other => Err(damaged(entry.offset, &format!("it became a {:?}", other.kind()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::{write_head, write_record};
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn session() -> Record {
        let version = "1.2.3".to_owned();
        Record::Session(SessionRecord { version, lossless: true, peers: 2, began_unix_s: 3 })
    }

    fn made(frame_id: u64) -> MadeRecord {
        let tiles = vec![rayloom_frame::Rect::new(0, 0, 8, 8)];
        MadeRecord { view: 1, frame_id, is_local: false, tiles, merged: Vec::new(), digest: [7; 32], fresh: 1.0 }
    }

    fn file(records: &[Record]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_head(&mut bytes).unwrap();
        for (i, record) in records.iter().enumerate() {
            write_record(&mut bytes, i as u64 * 1000, record).unwrap();
        }
        bytes
    }

    fn some() -> Vec<u8> {
        let blob = Record::Blob((0..5000u32).map(|i| (i % 97) as u8).collect());
        file(&[session(), blob, Record::Note("hello".into()), Record::Made(made(4)), Record::ViewEnd { view: 1 }])
    }

    /// Reads all there is; what can be read.
    fn read_all(bytes: &[u8]) -> Result<Vec<Record>, CaptureError> {
        let mut capture = Capture::read(Cursor::new(bytes))?;
        capture.entries.clone().iter().map(|entry| capture.record(entry)).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let records = read_all(&some()).unwrap();
        assert_eq!(records.len(), 5);
        assert_eq!((&records[0], &records[3]), (&session(), &Record::Made(made(4))));
        let mut capture = Capture::read(Cursor::new(some())).unwrap();
        assert_eq!(capture.made(1, 4, false).unwrap(), Some(made(4)));
        assert_eq!(capture.made(1, 4, true).unwrap(), None);
        assert_eq!(capture.entries[2].ns(), 2000);
        assert!(!capture.is_cut_off);
    }

    #[test]
    fn cut_anywhere_it_is_what_was_there_before() {
        let (whole, all) = (some(), read_all(&some()).unwrap());
        for end in 0..whole.len() {
            if let Ok(records) = read_all(&whole[..end]) {
                assert_eq!(records, all[..records.len()], "cut at {end}");
                assert!(records.len() < all.len());
            }
        }
    }

    #[test]
    fn lengths_are_not_believed() {
        let mut bytes = some();
        // The first record's unpacked length: one more, one less, and more than any may have.
        let at = FILE_HEAD_BYTES as usize + 12;
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        for forged in [length + 1, length - 1, u32::MAX] {
            bytes[at..at + 4].copy_from_slice(&forged.to_le_bytes());
            let error = read_all(&bytes).unwrap_err().to_string();
            assert!(error.contains("byte 12") && error.contains("bytes"), "{error}");
        }
    }

    #[test]
    fn the_first_record_must_tell_of_the_session() {
        let error = read_all(&file(&[Record::Note(String::new())])).unwrap_err().to_string();
        assert!(error.contains("Note"), "{error}");
    }

    proptest! {
        #[test]
        fn changed_bytes_are_noticed_and_harm_nobody(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
            let (mut bytes, all) = (some(), read_all(&some()).unwrap());
            for (at, value) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            // Times and kinds apart from what they stand for are all that no check covers.
            if let Ok(records) = read_all(&bytes) {
                prop_assert!(records.iter().all(|record| all.contains(record)));
            }
        }

        #[test]
        fn any_content_of_a_whole_record_is_read_or_refused(content in prop::collection::vec(any::<u8>(), 0..200), kind in 0u32..12) {
            // Forged with care: packed, measured and signed as a record is.
            let packed = zstd::bulk::compress(&content, 1).unwrap();
            let mut bytes = file(&[session()]);
            bytes.extend_from_slice(&5u64.to_le_bytes());
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&(packed.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&blake3::hash(&packed).as_bytes()[..8]);
            bytes.extend_from_slice(&packed);
            if let Err(error) = read_all(&bytes) {
                prop_assert!(matches!(error, CaptureError::Damaged { .. }), "{error}");
            }
        }
    }
}
