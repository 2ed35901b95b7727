//! What proves that a peer lied, as files: the task, who said what, and every version of the tile.

use super::case::{Answer, Case};
use rayloom_coordinator::PeerId;
use rayloom_frame::codec::{CodecMode, DEFAULT_MAX_SLICE_BYTES, encode_tile};
use rayloom_frame::{TracedTile, digest};
use rayloom_wire::{FrameTasks, Message, TileSlice};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Tried files of this process.
static TRIED: AtomicU64 = AtomicU64::new(0);

/// Makes the folder where it is not there, and sees that files can be written in it: it is needed when that can no longer be told to
/// whoever named it.
///
/// # Errors
/// Those of the file system; it is no folder.
pub(crate) fn prepare(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() {
        return Err(io::Error::other("it has no name"));
    }
    if fs::metadata(folder).is_ok_and(|there| !there.is_dir()) {
        return Err(io::Error::other("it is no folder"));
    }
    fs::create_dir_all(folder)?;
    let tried = TRIED.fetch_add(1, Ordering::Relaxed);
    let file = folder.join(format!(".rayloom-{}-{tried}", std::process::id()));
    let written = fs::write(&file, b"tried");
    match fs::remove_file(&file) {
        // Another engine, of another machine that has the same number for it, was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => written,
        removed => written.and(removed),
    }
}

/// Writes a folder of its own into `folder`, and says which: `case.json`, `task.bin` (the [`Message::FrameTasks`] that was sent)
/// and for each version of the tile a `.slices` file ([`Message::TileSlice`]s, lossless, each behind its length in four bytes,
/// the lowest first).
///
/// # Errors
/// Those of the file system.
pub(crate) fn write(
    folder: &Path,
    task: &FrameTasks,
    case: &Case,
    caught: Option<PeerId>,
    cause: &str,
) -> io::Result<PathBuf> {
    let first = task.tasks.first().map_or(0, |task| task.id);
    let whom = caught.map_or("dispute".into(), |peer| format!("peer-{}", peer.0));
    let folder = folder.join(format!("{whom}-frame-{}-task-{first:x}", task.frame_id));
    fs::create_dir_all(&folder)?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let answer = |answer: &Answer| -> Value {
        json!({
            "role": answer.role.name(),
            "peer": answer.party.peer.0,
            "description": answer.party.description,
            "class": hex(&answer.party.class),
            "is_trusted": answer.party.is_trusted,
            "digest": hex(&answer.digest),
            "digest_of_its_tile": hex(&digest(&answer.tile)),
        })
    };
    let rect = case.delivered.rect;
    let case_json = json!({
        "cause": cause,
        "caught": caught.map(|peer| peer.0),
        "frame": task.frame_id,
        "scene": task.scene,
        "revision": task.revision,
        "rect": [rect.x, rect.y, rect.width, rect.height],
        "delivered_by": {
            "peer": case.accused.peer.0,
            "description": case.accused.description,
            "class": hex(&case.accused.class),
            "digest": hex(&case.commitment),
        },
        "traced_again_by": case.answers.iter().map(answer).collect::<Vec<_>>(),
    });
    fs::write(folder.join("case.json"), format!("{case_json:#}\n"))?;
    fs::write(folder.join("task.bin"), Message::FrameTasks(task.clone()).encode())?;
    fs::write(folder.join("delivered.slices"), slices(task, &case.delivered))?;
    for answer in &case.answers {
        fs::write(folder.join(format!("{}.slices", answer.role.name())), slices(task, &answer.tile))?;
    }
    Ok(folder)
}

fn slices(task: &FrameTasks, tile: &TracedTile) -> Vec<u8> {
    let slices = encode_tile(tile, CodecMode::Lossless, DEFAULT_MAX_SLICE_BYTES);
    let count = u16::try_from(slices.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::new();
    for (index, slice) in (0..count).zip(slices) {
        let rayloom_frame::codec::Slice { plane, scale, codec, rect, payload } = slice;
        let id = task.tasks.first().map_or(0, |task| task.id);
        let slice = TileSlice { task: id, frame_id: task.frame_id, index, count, plane, scale, codec, rect, payload };
        let message = Message::TileSlice(slice).encode();
        bytes.extend_from_slice(&(message.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&message);
    }
    bytes
}
