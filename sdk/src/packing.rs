//! Packs structural commits in the background: one thread a session, one waiting commit a scene, the newest.

use crate::config::EMBEDDED_PEER;
use crate::director::Command;
use crate::event::{Event, EventQueue};
use crate::scene_handle::{BaseRevision, Lease};
use parking_lot::Mutex;
use rayloom_scene::Scene;
use rayloom_scene::assets::{PackedScene, Packer};
use rayloom_sync::Queue;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::mpsc;

/// A commit to pack.
pub(crate) struct PackJob {
    pub(crate) lease: Arc<Lease>,
    pub(crate) packer: Arc<Mutex<Packer>>,
    pub(crate) scene: Scene,
    pub(crate) revision: u64,
}

/// Commits that wait for the thread: at most one of each scene.
#[derive(Default)]
pub(crate) struct PackQueue(Queue<PackJob>);

impl PackQueue {
    /// A commit that still waits is overtaken by a newer one of its scene: no peer will ever hear of it.
    pub(crate) fn push(&self, job: PackJob) {
        let place = |waiting: &mut VecDeque<PackJob>, job: PackJob| {
            let slot = waiting.iter_mut().find(|waiting| waiting.lease.id() == job.lease.id());
            match slot {
                Some(slot) => Some(std::mem::replace(slot, job)),
                None => {
                    waiting.push_back(job);
                    None
                }
            }
        };
        // What is let go of drops its lease, which talks to the director: not under the lock.
        drop(self.0.put(job, place));
    }

    /// Drops what waits of a scene that is gone.
    pub(crate) fn forget(&self, scene: u32) {
        self.0.retain(|job| job.lease.id() != scene);
    }

    /// Drops what waits; the thread ends after what it is at.
    pub(crate) fn close(&self) {
        self.0.close();
    }

    /// The thread's work: packs until the queue is closed; the director hears of each commit that is packed.
    pub(crate) fn run(&self, director: &mpsc::Sender<Command>, events: &EventQueue) {
        while let Some(job) = self.0.pop() {
            let Some(packed) = pack(&job, events) else { continue };
            let needs = job.lease.needs(job.scene.device_bytes());
            let base = BaseRevision { scene: job.lease.id(), revision: job.revision, packed, needs };
            if director.blocking_send(Command::Base(base)).is_err() {
                tracing::debug!("the session ended before revision {} was packed", job.revision);
            }
        }
    }
}

/// A panic in here is a bug, but engines must learn that this revision never comes.
fn pack(job: &PackJob, events: &EventQueue) -> Option<PackedScene> {
    let mut packer = job.packer.lock();
    let packed = catch_unwind(AssertUnwindSafe(|| packer.pack(&job.scene)));
    if packed.is_err() {
        // What it remembers of earlier commits may be half of a change.
        *packer = Packer::default();
        let cause = "packing the scene panicked: a bug, please report it with the log".to_owned();
        events.push(Event::SceneFailed { revision: job.revision, peer: EMBEDDED_PEER, cause });
    }
    packed.ok()
}
