//! Spans as zones in Tracy, on the engine's clock.
//!
//! Tracy takes stamps of other clocks than its own for GPUs alone: each lane is one of its GPU contexts, begun with what the engine's clock
//! showed then. It listens while a session that asked for it lives, on this machine alone, and keeps nothing while no profiler is connected.

use super::lanes::Lane;
use super::{Sink, Span, Subject};
use crate::clock::Clock;
use std::collections::BTreeMap;
use std::io;
use tracy_client::{Client, GpuContext, GpuContextType};

/// One tick of the engine's clock, nanoseconds.
const TICK_NS: f32 = 1.0;

pub(super) struct Tracy {
    client: Client,
    clock: Clock,
    /// None where Tracy has no more: it takes 255 in a process.
    contexts: BTreeMap<Lane, Option<GpuContext>>,
}

impl Tracy {
    pub(super) fn start(clock: Clock) -> Tracy {
        Tracy { client: Client::start(), clock, contexts: BTreeMap::new() }
    }
}

impl Sink for Tracy {
    fn span(&mut self, lane: Lane, span: &Span, subject: &Subject) -> io::Result<()> {
        let Tracy { client, clock, contexts } = self;
        let context = contexts.entry(lane).or_insert_with(|| {
            let name = format!("rayloom {lane}");
            let now_ns = stamp(clock.now_ns());
            let made = client.clone().new_gpu_context(Some(&name), GpuContextType::Invalid, now_ns, TICK_NS);
            made.inspect_err(|error| tracing::warn!("{name} is not shown in Tracy: {error}")).ok()
        });
        let Some(context) = context else { return Ok(()) };
        let about = match subject {
            Subject::Frame { frame_id, fresh } => format!("frame {frame_id}, {:.0} % fresh", 100.0 * fresh),
            Subject::Picture { time_ns } => format!("picture of {time_ns} ns"),
        };
        // More than it can hold: its thread is behind.
        let Ok(mut zone) = context.span_alloc(span.name, &about, file!(), line!()) else { return Ok(()) };
        zone.end_zone();
        zone.upload_timestamp_start(stamp(span.from_ns));
        zone.upload_timestamp_end(stamp(span.from_ns.saturating_add(span.ns)));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stamp(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}
