//! From a traced tile to messages: coded slice by slice while the next tile is traced, each sent as soon as it is coded and the
//! link takes it, dropped once stale.

use crate::clock::{now_ns, stamp_ns};
use crate::config::InsertedTime;
use crate::outbound::{LinkClosed, Outbound};
use crate::quota::TaskGuard;
use crate::render::TileOutcome;
use crate::tracer::{TraceError, Traced};
use bytes::Bytes;
use rayloom_frame::codec::{CodecMode, Slice, TileEncoder};
use rayloom_frame::digest;
use rayloom_transport::{Channel, SendError};
use rayloom_wire::{Message, TaskRefusal, TaskRefused, TileDone, TileSlice, TileTimings, limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A tile of a frame older than the newest minus this is dropped when the link is full.
pub(crate) const FRESH_FRAMES: u64 = 3;
/// Tiles whose slices may wait for the link; further ones wait uncoded.
const CODED_AHEAD: usize = 2;
/// Coded slices are handed to the sender in parcels of about this many bytes: waking it costs as much as coding a small one.
const PARCEL_BYTES: usize = 64 * 1024;
/// Parcels of a tile that may wait for the link; then its coding waits too.
const PARCELS_AHEAD: usize = 16;

/// What goes with a task from its message to its answer.
pub(crate) struct TileTag {
    pub(crate) guard: TaskGuard,
    pub(crate) received_ns: u64,
    pub(crate) lossless: bool,
    /// The newest frame of the task's view.
    pub(crate) newest: Arc<AtomicU64>,
}

/// A tile on its way out, while it is coded.
struct Outgoing {
    task: u64,
    frame_id: u64,
    tag: TileTag,
    parts: mpsc::Receiver<Part>,
}

/// What the coding of a tile gives, in this order; without an end, it panicked.
enum Part {
    /// Messages with slices.
    Slices(Vec<Bytes>),
    Done(Box<TileDone>),
    /// Instead of all others: why the tile can't be sent.
    Refused(String),
}

/// Answers tiles in the order in which they were traced, until the session or its link ends.
pub(crate) async fn answer(
    mut traced: mpsc::UnboundedReceiver<TileOutcome<TileTag>>,
    out: Outbound,
    inserted: InsertedTime,
) {
    let (to_send, mut outgoing) = mpsc::channel::<Outgoing>(CODED_AHEAD);
    let refuse = out.clone();
    let code = async move {
        while let Some(outcome) = traced.recv().await {
            let TileOutcome { task, frame, tag, started, result } = outcome;
            if tag.guard.is_cancelled() {
                continue;
            }
            let frame_id = frame.frame_id;
            let traced = match result {
                Ok(traced) => traced,
                Err(error) => {
                    let lacks = match error {
                        TraceError::Refused(_) => TaskRefusal::Other,
                        TraceError::OutOfMemory(_) => TaskRefusal::Memory,
                        TraceError::DeviceLost(_) => TaskRefusal::Device,
                    };
                    let refused = TaskRefused { task, frame_id, lacks, reason: error.to_string() };
                    refuse.control(Message::TaskRefused(refused)).await?;
                    continue;
                }
            };
            let (parts, received) = mpsc::channel(PARCELS_AHEAD);
            let coding = Coding {
                task,
                frame_id,
                received_ns: tag.received_ns,
                lossless: tag.lossless,
                started,
                parts,
                inserted,
            };
            if to_send.send(Outgoing { task, frame_id, tag, parts: received }).await.is_err() {
                return Err(LinkClosed);
            }
            // One tile of a session at a time. A panic in there ends the parts early, which the sender tells.
            let _ = tokio::task::spawn_blocking(move || coding.run(traced)).await;
        }
        Ok(())
    };
    let send = async move {
        while let Some(tile) = outgoing.recv().await {
            send_tile(&out, tile).await?;
        }
        Ok(())
    };
    // The link's end is the session loop's matter.
    let _: Result<((), ()), LinkClosed> = tokio::try_join!(code, send);
}

/// The coding of one tile; it ends early when nobody takes the parts any more.
struct Coding {
    task: u64,
    frame_id: u64,
    received_ns: u64,
    lossless: bool,
    started: Instant,
    parts: mpsc::Sender<Part>,
    inserted: InsertedTime,
}

impl Coding {
    fn run(self, traced: Traced) {
        let Coding { task, frame_id, received_ns, lossless, started, parts, inserted } = self;
        std::thread::sleep(inserted.encode);
        let Traced { tile, uploaded, traced, .. } = traced;
        let mode = if lossless { CodecMode::Lossless } else { CodecMode::Rgb9e5 };
        let encoder = TileEncoder::new(&tile, mode, limits::SLICE_PAYLOAD_BYTES);
        let slices = encoder.len();
        let Some(count) = u16::try_from(slices).ok().filter(|count| *count <= limits::SLICES_PER_TILE) else {
            let most = limits::SLICES_PER_TILE;
            let reason = format!("the tile has {slices} slices, at most {most} fit: cut it smaller");
            let _ = parts.blocking_send(Part::Refused(reason));
            return;
        };
        let (mut parcel, mut parcel_bytes) = (Vec::new(), 0);
        // A link that is full is not the tile's cost.
        let mut waited = Duration::ZERO;
        for (slice, index) in encoder.zip(0u16..) {
            let Slice { plane, scale, codec, rect, payload } = slice;
            let message =
                Message::TileSlice(TileSlice { task, frame_id, index, count, plane, scale, codec, rect, payload })
                    .encode();
            parcel_bytes += message.len();
            parcel.push(message);
            if parcel_bytes >= PARCEL_BYTES || index + 1 == count {
                parcel_bytes = 0;
                let coded = Instant::now();
                if parts.blocking_send(Part::Slices(std::mem::take(&mut parcel))).is_err() {
                    return;
                }
                waited += coded.elapsed();
            }
        }
        let timings = TileTimings {
            received_ns,
            started_ns: stamp_ns(started),
            uploaded_ns: stamp_ns(uploaded),
            traced_ns: stamp_ns(traced),
            encoded_ns: now_ns().saturating_sub(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX)),
        };
        std::thread::sleep(inserted.answer);
        // Hashed while the slices are on their way.
        let digest = digest(&tile);
        let done =
            TileDone { task, frame_id, slices: count, rect: tile.rect, timings, digest, block_rays: tile.block_rays };
        let _ = parts.blocking_send(Part::Done(Box::new(done)));
    }
}

/// Slices on the frames channel, then the tile's end on the control channel (which may overtake them).
async fn send_tile(out: &Outbound, tile: Outgoing) -> Result<(), LinkClosed> {
    let Outgoing { task, frame_id, tag, mut parts } = tile;
    let stale = || frame_id.saturating_add(FRESH_FRAMES) < tag.newest.load(Relaxed);
    while let Some(part) = parts.recv().await {
        let messages = match part {
            Part::Slices(messages) => messages,
            Part::Done(_) if tag.guard.is_cancelled() => return Ok(()),
            Part::Done(done) => return out.control(Message::TileDone(*done)).await,
            Part::Refused(reason) => return out.control(refusal(task, frame_id, reason)).await,
        };
        for message in messages {
            loop {
                if tag.guard.is_cancelled() {
                    return Ok(());
                }
                match out.link().send(Channel::Frames, message.clone()) {
                    Ok(()) => break,
                    Err(SendError::Full { .. }) if stale() => {
                        let newest = tag.newest.load(Relaxed);
                        let reason =
                            format!("dropped before it was sent: the link is full and frame {newest} is here already");
                        return out.control(refusal(task, frame_id, reason)).await;
                    }
                    Err(SendError::Full { .. }) => {
                        out.link().writable(Channel::Frames).await.map_err(|_| LinkClosed)?;
                    }
                    Err(SendError::Closed) => return Err(LinkClosed),
                    Err(error) => return out.control(refusal(task, frame_id, error.to_string())).await,
                }
            }
        }
    }
    let reason = "the tile could not be coded: a bug, see the peer's log";
    out.control(refusal(task, frame_id, reason.into())).await
}

/// The answer to a task that this peer can't do, though it lacks nothing.
pub(crate) fn refusal(task: u64, frame_id: u64, reason: String) -> Message {
    Message::TaskRefused(TaskRefused { task, frame_id, lacks: TaskRefusal::Other, reason })
}
