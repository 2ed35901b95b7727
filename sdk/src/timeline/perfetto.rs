//! A file of trace events, which Perfetto and chrome://tracing open.
//!
//! The format is the JSON array of Chrome's trace events ("Trace Event Format", complete events); an array that was not closed,
//! because the process died, is read as well.

use super::lanes::Lane;
use super::{Sink, Span, Subject, Track};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

pub(super) struct Perfetto {
    file: BufWriter<File>,
    /// Numbers of the lanes that have a name.
    named: BTreeMap<Lane, usize>,
    is_first: bool,
}

impl Perfetto {
    /// A file of that name is replaced.
    pub(super) fn create(path: &Path) -> io::Result<Perfetto> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(b"[\n")?;
        Ok(Perfetto { file, named: BTreeMap::new(), is_first: true })
    }

    fn event(&mut self, event: &Value) -> io::Result<()> {
        let comma = if std::mem::take(&mut self.is_first) { "" } else { ",\n" };
        write!(self.file, "{comma}{event}")
    }

    /// The lane's number; it is named when it comes for the first time.
    fn number(&mut self, lane: Lane) -> io::Result<usize> {
        let next = self.named.len() + 1;
        if let Some(number) = self.named.get(&lane) {
            return Ok(*number);
        }
        self.named.insert(lane, next);
        let mut tell = |what: &str, args: Value| {
            self.event(&json!({ "name": what, "ph": "M", "pid": 1, "tid": next, "args": args }))
        };
        tell("thread_name", json!({ "name": lane.to_string() }))?;
        tell("thread_sort_index", json!({ "sort_index": place(lane) }))?;
        Ok(next)
    }
}

/// Views first, then streams, then peers, the embedded one last; lanes of a track stay together.
fn place(lane: Lane) -> u64 {
    let (class, number) = match lane.track {
        Track::View(view) => (0, u64::from(view)),
        Track::Stream(stream) => (1, u64::from(stream)),
        Track::Peer(peer) => (2, u64::from(peer).min(0xffff)),
    };
    (class << 24 | number << 8) + lane.index as u64
}

impl Sink for Perfetto {
    fn span(&mut self, lane: Lane, span: &Span, subject: &Subject) -> io::Result<()> {
        let tid = self.number(lane)?;
        let (ts, dur) = (span.from_ns as f64 / 1e3, span.ns as f64 / 1e3);
        let args = match subject {
            Subject::Frame { frame_id, fresh } => json!({ "frame": frame_id, "fresh": fresh }),
            Subject::Picture { time_ns } => json!({ "picture_time_ns": time_ns }),
        };
        self.event(&json!({ "name": span.name, "ph": "X", "pid": 1, "tid": tid, "ts": ts, "dur": dur, "args": args }))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.write_all(b"\n]\n")?;
        self.file.flush()
    }
}
