//! Captures: all that decided a session's pixels, in one file, to be replayed without the engine.
//!
//! The director's thread records what it takes up, in that order: views, the content of scene revisions, each frame with
//! the state that it was traced in, the planes as the engine submitted them, and what came of it: how it was cut, which
//! slices were there in time, and a BLAKE3 of the merged frame. [`crate::Replay`] makes the same frames again and compares.

mod file;
mod index;
mod queue;
mod record;

pub(crate) use file::CaptureFile;
#[cfg(test)]
pub(crate) use file::write_capture;
pub use file::{CAPTURE_VERSION, CaptureError};
pub(crate) use index::{Capture, Entry};
pub(crate) use record::{
    FrameRecord, MadeRecord, MergedSlice, PlaneRecord, Record, RecordKind, SessionRecord, StateRecord,
};

use crate::config::FrameDesc;
use crate::pipeline::Start;
use crate::planes::Plane;
use crate::revisions::Resolved;
use crate::scene_handle::BaseRevision;
use crate::view::Starts;
use rayloom_wire::StateDelta;
use std::sync::{Arc, mpsc};

/// Where a session's records go.
#[derive(Clone)]
pub(crate) enum Recorder {
    /// To a file.
    File(Arc<CaptureFile>),
    /// What became of frames goes to a replay, which compares; it has all else.
    Comparison(mpsc::Sender<MadeRecord>),
}

impl Recorder {
    pub(crate) fn record(&self, make: impl FnOnce() -> Record) {
        if let Recorder::File(file) = self {
            file.put(make());
        }
    }

    /// A line for people; not what peers' addresses and tokens are.
    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        if let Recorder::File(file) = self {
            file.note(&text());
        }
    }

    /// What a frame has come to.
    pub(crate) fn made(&self, made: MadeRecord) {
        match self {
            Recorder::File(file) => file.put(Record::Made(made)),
            // A replay that was given up has dropped its end.
            Recorder::Comparison(replay) => drop(replay.send(made)),
        }
    }

    /// The content of a base revision, each blob once a file.
    pub(crate) fn base(&self, base: &BaseRevision) {
        let Recorder::File(file) = self else { return };
        let BaseRevision { scene, revision, packed, .. } = base;
        for blob in packed.blobs.iter().chain([&packed.root]) {
            if file.is_new(blob.id) {
                file.put(Record::Blob(blob.bytes.clone()));
            }
        }
        let blobs = packed.blobs.iter().map(|blob| blob.id.0).collect();
        file.put(Record::Base { scene: *scene, revision: *revision, root: packed.root.id.0, blobs });
    }

    /// The planes of a frame, as they are; waits while the disk is behind, which holds up this frame and none before it.
    pub(crate) fn planes(&self, view: u16, frame_id: u64, planes: &[Plane]) {
        let Recorder::File(file) = self else { return };
        file.wait_for_room();
        file.put(Record::Planes { view, frame_id, planes: planes.iter().map(PlaneRecord::new).collect() });
    }
}

impl FrameRecord {
    pub(crate) fn new(view: u16, desc: &FrameDesc, has_planes: bool, starts: &Starts) -> FrameRecord {
        let state = |state: &Resolved| StateRecord {
            scene: state.scene,
            base: state.base,
            delta: StateDelta::clone(&state.delta),
        };
        let of = |start: &Option<Start>| start.as_ref().map(|start| start.state.as_ref().map(state));
        FrameRecord { view, desc: desc.clone(), has_planes, remote: of(&starts.remote), local: of(&starts.local) }
    }
}
