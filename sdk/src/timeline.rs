//! Where frames' time went, span by span on the engine's clock, in a file that Perfetto and chrome://tracing read.
//!
//! The format is the JSON array of Chrome's trace events ("Trace Event Format", complete events); an array that was not closed,
//! because the process died, is read as well.

use crate::flight::Flight;
use crate::output::{Output, STAGES};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Frames that may wait to be written; more are left out, and counted.
const FRAMES_AHEAD: usize = 256;
/// Tracks from here on are of peers, those below of views.
const PEERS: u64 = 1 << 16;

/// A span of a frame.
struct Span {
    name: &'static str,
    track: u64,
    from_ns: u64,
    ns: u64,
}

/// A frame's spans.
struct Entry {
    frame_id: u64,
    fresh: f32,
    spans: Vec<Span>,
}

/// The file, and the thread that writes it. Dropping it closes the file.
pub(crate) struct Timeline {
    entries: Option<SyncSender<Entry>>,
    left_out: AtomicU64,
    thread: Option<JoinHandle<()>>,
}

impl Timeline {
    /// # Errors
    /// The file can't be made, or there is no thread.
    pub(crate) fn create(path: &Path) -> io::Result<Timeline> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(b"[\n")?;
        let (entries, waiting) = sync_channel(FRAMES_AHEAD);
        let name = path.display().to_string();
        let thread = std::thread::Builder::new().name("rayloom-timeline".into()).spawn(move || {
            if let Err(error) = write(file, &waiting) {
                tracing::error!("the timeline {name} ends here: {error}");
            }
        })?;
        Ok(Timeline { entries: Some(entries), left_out: AtomicU64::new(0), thread: Some(thread) })
    }

    /// Adds a frame that is out: its stages, one after the other, and what each of its peers did for it.
    pub(crate) fn add(&self, view: u16, flight: &Flight, output: &Output) {
        let mut spans = Vec::new();
        let mut from_ns = flight.begun_ns;
        for (name, stage) in STAGES {
            let ns = (f64::from(stage(&output.times)) * 1e6) as u64;
            if ns > 0 {
                spans.push(Span { name, track: u64::from(view), from_ns, ns });
            }
            from_ns += ns;
        }
        for tile in flight.due_tiles() {
            for (name, from_ns, to_ns) in tile.spans() {
                let track = PEERS + u64::from(tile.peer.0);
                spans.push(Span { name, track, from_ns, ns: to_ns.saturating_sub(from_ns) });
            }
        }
        let entry = Entry { frame_id: output.frame_id, fresh: output.fresh, spans };
        if self.entries.as_ref().is_some_and(|entries| entries.try_send(entry).is_err())
            && self.left_out.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!("frames are left out of the timeline: the disk is too slow, or full");
        }
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.entries = None;
        let left_out = self.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            tracing::warn!("{left_out} frames are not in the timeline");
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the timeline had panicked");
        }
    }
}

fn write(mut file: impl Write, waiting: &Receiver<Entry>) -> io::Result<()> {
    let mut named = BTreeSet::new();
    let mut is_first = true;
    let mut event = |file: &mut dyn Write, event: Value| {
        let comma = if std::mem::take(&mut is_first) { "" } else { ",\n" };
        write!(file, "{comma}{event}")
    };
    while let Ok(Entry { frame_id, fresh, spans }) = waiting.recv() {
        for Span { name, track, from_ns, ns } in spans {
            if named.insert(track) {
                let title = match track {
                    view if view < PEERS => format!("view {view}"),
                    peer if peer - PEERS == u64::from(crate::EMBEDDED_PEER) => "embedded peer".into(),
                    peer => format!("peer {}", peer - PEERS),
                };
                let args = json!({ "name": title });
                let title = json!({ "name": "thread_name", "ph": "M", "pid": 1, "tid": track, "args": args });
                event(&mut file, title)?;
            }
            let (ts, dur) = (from_ns as f64 / 1e3, ns as f64 / 1e3);
            let args = json!({ "frame": frame_id, "fresh": fresh });
            let span = json!({ "name": name, "ph": "X", "pid": 1, "tid": track, "ts": ts, "dur": dur, "args": args });
            event(&mut file, span)?;
        }
        // Whatever becomes of the process, its frames so far are there.
        file.flush()?;
    }
    file.write_all(b"\n]\n")?;
    file.flush()
}
