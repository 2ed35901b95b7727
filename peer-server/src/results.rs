//! From a traced tile to messages: coded while the next one is traced, sent as fast as the link takes it, dropped once stale.

use crate::clock::stamp_ns;
use crate::outbound::{LinkClosed, Outbound};
use crate::quota::TaskGuard;
use crate::render::TileOutcome;
use crate::tracer::Traced;
use rayloom_frame::codec::{CodecMode, encode_tile};
use rayloom_frame::digest;
use rayloom_transport::{Channel, SendError};
use rayloom_wire::{Message, ResultSlice, TaskRefused, TileDone, TileTimings, limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::mpsc;

/// A tile of a frame older than the newest minus this is dropped when the link is full.
const FRESH_FRAMES: u64 = 3;
/// Coded tiles that may wait for the link; further ones wait uncoded.
const CODED_AHEAD: usize = 2;

/// What goes with a task from its message to its answer.
pub(crate) struct TileTag {
    pub(crate) guard: TaskGuard,
    pub(crate) received_ns: u64,
    pub(crate) lossless: bool,
    /// The newest frame of the task's view.
    pub(crate) newest: Arc<AtomicU64>,
}

/// A tile on its way out.
struct Coded {
    task: u64,
    frame_id: u64,
    slices: Vec<ResultSlice>,
    done: TileDone,
    tag: TileTag,
}

/// Answers tiles in the order in which they were traced, until the session or its link ends.
pub(crate) async fn answer(mut traced: mpsc::UnboundedReceiver<TileOutcome<TileTag>>, out: Outbound) {
    let (to_send, mut coded) = mpsc::channel::<Coded>(CODED_AHEAD);
    let refuse = out.clone();
    let code = async move {
        while let Some(outcome) = traced.recv().await {
            let TileOutcome { task, frame, tag, started, result } = outcome;
            if tag.guard.is_cancelled() {
                continue;
            }
            let traced = match result {
                Ok(traced) => traced,
                Err(error) => {
                    refuse.control(refusal(task, frame.frame_id, error.to_string())).await?;
                    continue;
                }
            };
            let frame_id = frame.frame_id;
            let coded = tokio::task::spawn_blocking(move || code(task, frame_id, tag, started, traced)).await;
            match coded {
                Ok(Ok(coded)) => {
                    if to_send.send(coded).await.is_err() {
                        return Err(LinkClosed);
                    }
                }
                Ok(Err(reason)) => refuse.control(refusal(task, frame_id, reason)).await?,
                Err(stopped) => {
                    refuse.control(refusal(task, frame_id, format!("the tile could not be coded: {stopped}"))).await?;
                }
            }
        }
        Ok(())
    };
    let send = async move {
        while let Some(tile) = coded.recv().await {
            send_tile(&out, tile).await?;
        }
        Ok(())
    };
    // The link's end is the session loop's matter.
    let _: Result<((), ()), LinkClosed> = tokio::try_join!(code, send);
}

fn code(task: u64, frame_id: u64, tag: TileTag, started: std::time::Instant, traced: Traced) -> Result<Coded, String> {
    let Traced { tile, uploaded, traced } = traced;
    let mode = if tag.lossless { CodecMode::Lossless } else { CodecMode::Rgb9e5 };
    let digest = digest(&tile);
    let slices = encode_tile(&tile, mode, limits::SLICE_PAYLOAD_BYTES);
    let count = u16::try_from(slices.len()).ok().filter(|n| *n <= limits::SLICES_PER_TILE);
    let count = count.ok_or_else(|| {
        format!("the tile has {} slices, at most {} fit: cut it smaller", slices.len(), limits::SLICES_PER_TILE)
    })?;
    let slices = slices.into_iter().zip(0u16..).map(|(slice, index)| ResultSlice {
        task,
        frame_id,
        index,
        count,
        plane: slice.plane,
        scale: slice.scale,
        codec: slice.codec,
        rect: slice.rect,
        payload: slice.payload,
    });
    let slices = slices.collect();
    let timings = TileTimings {
        received_ns: tag.received_ns,
        started_ns: stamp_ns(started),
        uploaded_ns: stamp_ns(uploaded),
        traced_ns: stamp_ns(traced),
        encoded_ns: crate::clock::now_ns(),
    };
    let done =
        TileDone { task, frame_id, slices: count, rect: tile.rect, timings, digest, block_rays: tile.block_rays };
    Ok(Coded { task, frame_id, slices, done, tag })
}

/// Slices on the frames channel, then the tile's end on the control channel (which may overtake them).
async fn send_tile(out: &Outbound, tile: Coded) -> Result<(), LinkClosed> {
    let Coded { task, frame_id, slices, done, tag } = tile;
    let stale = || frame_id.saturating_add(FRESH_FRAMES) < tag.newest.load(Relaxed);
    for slice in slices {
        let bytes = Message::ResultSlice(slice).encode();
        loop {
            if tag.guard.is_cancelled() {
                return Ok(());
            }
            match out.link().send(Channel::Frames, bytes.clone()) {
                Ok(()) => break,
                Err(SendError::Full { .. }) if stale() => {
                    let newest = tag.newest.load(Relaxed);
                    let reason =
                        format!("dropped before it was sent: the link is full and frame {newest} is here already");
                    return out.control(refusal(task, frame_id, reason)).await;
                }
                Err(SendError::Full { .. }) => out.link().writable(Channel::Frames).await.map_err(|_| LinkClosed)?,
                Err(SendError::Closed) => return Err(LinkClosed),
                Err(error) => return out.control(refusal(task, frame_id, error.to_string())).await,
            }
        }
    }
    out.control(Message::TileDone(done)).await
}

pub(crate) fn refusal(task: u64, frame_id: u64, reason: String) -> Message {
    Message::TaskRefused(TaskRefused { task, frame_id, reason })
}
