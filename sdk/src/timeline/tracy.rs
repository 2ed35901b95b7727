//! Spans as zones in Tracy, on the engine's clock.
//!
//! Tracy takes stamps of other clocks than its own for GPUs alone: each lane is one of its GPU contexts, whose clock begins with the first
//! session that is shown. It listens from then on to the process's end, on this machine alone, and keeps nothing while no profiler is connected.

use super::lanes::Lane;
use super::{Sink, Span, Subject};
use crate::clock::Clock;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::LazyLock;
use std::time::Instant;
use tracy_client::{Client, GpuContext, GpuContextType};

/// One tick of the contexts' clock, nanoseconds.
const TICK_NS: f32 = 1.0;

/// When the contexts' clock began.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Contexts of sessions that ended, by their names: Tracy gives 255 in a process, and takes none back.
static FREE: Mutex<BTreeMap<String, Vec<GpuContext>>> = Mutex::new(BTreeMap::new());

pub(super) struct Tracy {
    client: Client,
    /// What the contexts' clock showed when the session's began.
    ahead_ns: u64,
    /// None where Tracy has no more.
    contexts: BTreeMap<Lane, Option<GpuContext>>,
}

impl Tracy {
    pub(super) fn start(clock: Clock) -> Tracy {
        let now_ns = now_ns();
        Tracy { client: Client::start(), ahead_ns: now_ns.saturating_sub(clock.now_ns()), contexts: BTreeMap::new() }
    }

    fn stamp(&self, ns: u64) -> i64 {
        i64::try_from(ns.saturating_add(self.ahead_ns)).unwrap_or(i64::MAX)
    }
}

impl Sink for Tracy {
    fn span(&mut self, lane: Lane, span: &Span, subject: &Subject) -> io::Result<()> {
        let (from, to) = (self.stamp(span.from_ns), self.stamp(span.from_ns.saturating_add(span.ns)));
        let client = &self.client;
        let Some(context) = self.contexts.entry(lane).or_insert_with(|| context_of(client, lane)) else {
            return Ok(());
        };
        let about = match subject {
            Subject::Frame { frame_id, fresh } => format!("frame {frame_id}, {:.0} % fresh", 100.0 * fresh),
            Subject::Picture { time_ns } => format!("picture of {time_ns} ns"),
        };
        // More than it can hold: its thread is behind.
        let Ok(mut zone) = context.span_alloc(span.name, &about, file!(), line!()) else { return Ok(()) };
        zone.end_zone();
        zone.upload_timestamp_start(from);
        zone.upload_timestamp_end(to);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let mut free = FREE.lock();
        for (lane, context) in std::mem::take(&mut self.contexts) {
            free.entry(name(lane)).or_default().extend(context);
        }
        Ok(())
    }
}

fn name(lane: Lane) -> String {
    format!("rayloom {lane}")
}

/// One that an earlier session had, or a new one.
fn context_of(client: &Client, lane: Lane) -> Option<GpuContext> {
    let name = name(lane);
    if let Some(context) = FREE.lock().get_mut(&name).and_then(Vec::pop) {
        return Some(context);
    }
    let now = i64::try_from(now_ns()).unwrap_or(i64::MAX);
    let made = client.clone().new_gpu_context(Some(&name), GpuContextType::Invalid, now, TICK_NS);
    made.inspect_err(|error| tracing::warn!("{name} is not shown in Tracy: {error}")).ok()
}

/// The contexts' clock.
fn now_ns() -> u64 {
    u64::try_from(BEGAN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
