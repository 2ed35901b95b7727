//! Where frames' time went, span by span on the engine's clock, for profilers: a file that Perfetto reads, and Tracy.

mod lanes;
mod perfetto;
#[cfg(feature = "tracy")]
mod tracy;

use crate::clock::Clock;
use crate::event::{Event, EventQueue};
use crate::flight::Flight;
use crate::output::{Output, STAGES};
use lanes::{Lane, Lanes};
use parking_lot::Mutex;
use perfetto::Perfetto;
use rayloom_stream::{PICTURE_STAGES, PictureTimes};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

/// Frames and pictures that may wait to be told; more are left out, and counted.
const ENTRIES_AHEAD: usize = 256;

/// Whose time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Track {
    View(u16),
    Peer(u32),
    Stream(u16),
}

impl std::fmt::Display for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Track::View(view) => write!(f, "view {view}"),
            Track::Peer(peer) if *peer == crate::EMBEDDED_PEER => write!(f, "embedded peer"),
            Track::Peer(peer) => write!(f, "peer {peer}"),
            Track::Stream(stream) => write!(f, "stream {stream}"),
        }
    }
}

/// A span of time.
#[derive(Clone, Copy, Debug)]
struct Span {
    name: &'static str,
    from_ns: u64,
    ns: u64,
}

/// Spans that follow each other.
struct Run {
    track: Track,
    spans: Vec<Span>,
}

/// What the time was spent for.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Frame {
        frame_id: u64,
        fresh: f32,
    },
    /// A picture of a stream, by the engine's time of it.
    Picture {
        time_ns: u64,
    },
}

struct Entry {
    subject: Subject,
    runs: Vec<Run>,
}

/// A profiler.
trait Sink: Send {
    /// Tells a span. Those of a lane come in the order of their time, and none overlaps with the one before.
    fn span(&mut self, lane: Lane, span: &Span, subject: &Subject) -> io::Result<()>;

    /// A frame's or picture's spans were all told.
    fn flush(&mut self) -> io::Result<()>;

    /// Nothing more comes.
    fn finish(&mut self) -> io::Result<()>;
}

/// Where a session's times go, and the thread that takes them there. Dropping it ends both.
pub(crate) struct Timeline {
    /// None once it has ended.
    entries: Mutex<Option<SyncSender<Entry>>>,
    left_out: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Timeline {
    /// Into a file, to Tracy, or both.
    ///
    /// # Errors
    /// The file can't be made, there is no thread, or no Tracy in this build.
    pub(crate) fn create(
        file: Option<&Path>,
        tracy: bool,
        clock: Clock,
        events: &Arc<EventQueue>,
    ) -> io::Result<Timeline> {
        let mut sinks: Vec<(String, Box<dyn Sink>)> = Vec::new();
        if tracy {
            sinks.push(("timeline in Tracy".into(), to_tracy(clock)?));
        }
        if let Some(path) = file {
            sinks.push((format!("timeline in {}", path.display()), Box::new(Perfetto::create(path)?)));
        }
        let (entries, waiting) = sync_channel(ENTRIES_AHEAD);
        let events = Arc::downgrade(events);
        let thread = std::thread::Builder::new()
            .name("rayloom-timeline".into())
            .spawn(move || tell(sinks, &waiting, &events))?;
        let (entries, thread) = (Mutex::new(Some(entries)), Mutex::new(Some(thread)));
        Ok(Timeline { entries, left_out: AtomicU64::new(0), thread })
    }

    /// Adds a frame that is out: its stages, one after the other, and what each of its peers did for it.
    pub(crate) fn add(&self, view: u16, flight: &Flight, output: &Output) {
        let mut stages = Vec::new();
        let mut from_ns = flight.begun_ns;
        for (name, stage) in STAGES {
            let ns = (f64::from(stage(&output.times)) * 1e6) as u64;
            if ns > 0 {
                stages.push(Span { name, from_ns, ns });
            }
            from_ns += ns;
        }
        let mut runs = vec![Run { track: Track::View(view), spans: stages }];
        for tile in flight.due_tiles() {
            let span =
                |(name, from_ns, to_ns): (_, u64, u64)| Span { name, from_ns, ns: to_ns.saturating_sub(from_ns) };
            let spans = tile.spans().into_iter().map(span).collect();
            runs.push(Run { track: Track::Peer(tile.peer.0), spans });
        }
        self.tell(Subject::Frame { frame_id: output.frame_id, fresh: output.fresh }, runs);
    }

    /// Adds a picture of a stream, which was handed over at a time of the engine's clock.
    pub(crate) fn add_picture(&self, stream: u16, submitted_ns: u64, times: &PictureTimes) {
        let mut spans = Vec::new();
        let mut from_ns = submitted_ns;
        for (name, stage) in PICTURE_STAGES {
            let ns = u64::try_from(stage(times).as_nanos()).unwrap_or(u64::MAX);
            spans.push(Span { name, from_ns, ns });
            from_ns = from_ns.saturating_add(ns);
        }
        self.tell(Subject::Picture { time_ns: times.time_ns }, vec![Run { track: Track::Stream(stream), spans }]);
    }

    fn tell(&self, subject: Subject, runs: Vec<Run>) {
        let entry = Entry { subject, runs };
        // Of a stream that goes on after the session nothing is told.
        if self.entries.lock().as_ref().is_some_and(|entries| entries.try_send(entry).is_err())
            && self.left_out.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!("frames are left out of the timeline: whatever it is written to is too slow, or failed");
        }
    }

    /// Nothing more is added: all there is is written when this returns.
    pub(crate) fn finish(&self) {
        if self.entries.lock().take().is_none() {
            return;
        }
        let left_out = self.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            tracing::warn!("{left_out} frames and pictures are not in the timeline");
        }
        if self.thread.lock().take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the timeline had panicked");
        }
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(feature = "tracy")]
fn to_tracy(clock: Clock) -> io::Result<Box<dyn Sink>> {
    Ok(Box::new(tracy::Tracy::start(clock)))
}

#[cfg(not(feature = "tracy"))]
fn to_tracy(_: Clock) -> io::Result<Box<dyn Sink>> {
    let reason = "this build has no Tracy: build it with the feature \"tracy\"";
    Err(io::Error::new(io::ErrorKind::Unsupported, reason))
}

/// Tells what comes until nothing more does. A sink that fails is told nothing more, and the engine is told of it.
fn tell(mut sinks: Vec<(String, Box<dyn Sink>)>, waiting: &Receiver<Entry>, events: &Weak<EventQueue>) {
    let failed = |cause: String| match events.upgrade() {
        Some(events) => events.push(Event::TimelineFailed { cause }),
        None => tracing::warn!("{cause}"),
    };
    let mut lanes = Lanes::default();
    while let Ok(Entry { subject, runs }) = waiting.recv() {
        let runs: Vec<(Lane, Run)> = runs.into_iter().map(|run| (lanes.place(&run), run)).collect();
        sinks.retain_mut(|(name, sink)| {
            let mut spans = runs.iter().flat_map(|(lane, run)| run.spans.iter().map(|span| (*lane, span)));
            let told = spans.try_for_each(|(lane, span)| sink.span(lane, span, &subject));
            // Whatever becomes of the process, its frames so far are there.
            let told = told.and_then(|()| sink.flush());
            if let Err(error) = &told {
                failed(format!("the {name} ends here: {error}"));
            }
            told.is_ok()
        });
    }
    for (name, mut sink) in sinks {
        if let Err(error) = sink.finish() {
            failed(format!("the {name} has no end: {error}"));
        }
    }
}
