//! Primary hits of a whole view beside its frames: what the convention doctor compares planes with. One request at a time.

use crate::director::{ArrivedSlice, TASK_VIEW_SHIFT};
use crate::fleet::Fleet;
use crate::flight::FlightTile;
use crate::revisions::Revisions;
use rayloom_coordinator::{Constraints, PeerId, TaskId, TileAssignment};
use rayloom_frame::codec::{DecodedSlice, assemble_tile};
use rayloom_frame::{Extent, FrameError, Primary, Rect};
use rayloom_scene::Camera;
use rayloom_wire::{
    CancelTasks, FrameTasks, Message, PreviousFrame, StateDelta, Task, TaskKind, TaskRefused, TileDone, limits,
};
use std::sync::mpsc::SyncSender;

/// The view of probes in the ids of tasks; no view of the engine's has it.
pub(crate) const PROBE_VIEW: u16 = (1 << 15) - 1;
/// Larger views are not examined: traced hits take 24 bytes a pixel, and the doctor keeps three sets of them.
pub(crate) const PROBE_PIXELS: usize = 4096 * 2304;

/// Side of the blocks that peers count rays in.
const BLOCK: u32 = 16;

/// What is to be traced.
pub(crate) struct ProbeRequest {
    /// Whose frame it is.
    pub(crate) view: u16,
    pub(crate) revision: u64,
    /// The revision of the frame before, for motion.
    pub(crate) previous_revision: u64,
    pub(crate) extent: Extent,
    pub(crate) camera: Camera,
    pub(crate) previous_camera: Camera,
    /// Has room for the one answer.
    pub(crate) reply: SyncSender<Result<Vec<DecodedSlice>, ProbeError>>,
}

/// Why nothing was traced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// A matter of time.
    #[error("no peer holds the frame's revision yet")]
    NotReady,
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// The request that is open, if any.
#[derive(Default)]
pub(crate) struct Probes {
    open: Option<Open>,
    frames: u64,
    tasks: u64,
}

struct Open {
    peer: PeerId,
    tiles: Vec<FlightTile>,
    reply: SyncSender<Result<Vec<DecodedSlice>, ProbeError>>,
}

impl Open {
    fn answer(self, result: Result<Vec<DecodedSlice>, ProbeError>) {
        // Whoever no longer waits needs no answer.
        if self.reply.try_send(result).is_err() {
            tracing::debug!("nobody waits for primary hits any more");
        }
    }
}

impl Probes {
    /// Asks a peer that holds the revision and is what the view asks for. A request that is still open was given up.
    pub(crate) fn ask(
        &mut self,
        request: ProbeRequest,
        constraints: &Constraints,
        revisions: &Revisions,
        fleet: &mut Fleet,
        now_ns: u64,
    ) {
        if let Some(given_up) = self.open.take() {
            let ids = given_up.tiles.iter().map(|tile| tile.task.0).collect();
            if let Err(error) = fleet.send(given_up.peer, &Message::CancelTasks(CancelTasks { ids })) {
                tracing::debug!("peer {} was gone before its task was: {error}", given_up.peer.0);
            }
        }
        let ProbeRequest { view: _, revision, previous_revision, extent, camera, previous_camera, reply } = request;
        let may_be_asked = |peer| fleet.traces(peer) && fleet.may_have(peer, constraints);
        let Some((state, peer)) = revisions.held(revision, may_be_asked) else {
            return Open { peer: PeerId(0), tiles: Vec::new(), reply }.answer(Err(ProbeError::NotReady));
        };
        // Across base revisions nothing is known to have moved.
        let before = revisions.get(previous_revision).filter(|b| (b.scene, b.base) == (state.scene, state.base));
        let previous_delta = StateDelta::clone(&before.unwrap_or(&state).delta);
        let first = u64::from(PROBE_VIEW) << TASK_VIEW_SHIFT | self.tasks;
        let tasks: Vec<Task> =
            (first..).zip(bands(extent)).map(|(id, rect)| Task { id, kind: TaskKind::Trace, rect, ghost: 0 }).collect();
        self.tasks += tasks.len() as u64;
        self.frames += 1;
        let tile = |task: &Task| {
            let tile = TileAssignment {
                task: TaskId(task.id),
                rect: task.rect,
                ghost_px: 0,
                predicted_ns: 0,
                redundant: false,
            };
            FlightTile::new(peer, &tile, task.rect, now_ns)
        };
        let open = Open { peer, tiles: tasks.iter().map(tile).collect(), reply };
        let message = Message::FrameTasks(FrameTasks {
            view: u16::MAX,
            frame_id: self.frames,
            scene: state.scene,
            revision: state.base,
            extent,
            camera,
            delta: StateDelta::clone(&state.delta),
            previous: PreviousFrame::Explicit(previous_camera, previous_delta),
            layers: Vec::new(),
            filter_radius: 0,
            pre_exposure: 1.0,
            primary: true,
            planes: None,
            lossless: true,
            tasks,
        });
        match fleet.send(peer, &message) {
            Ok(()) => self.open = Some(open),
            Err(error) => open.answer(Err(ProbeError::Failed(format!("peer {}: {error}", peer.0)))),
        }
    }

    pub(crate) fn slice(&mut self, peer: PeerId, slice: ArrivedSlice) {
        let Some(tile) = self.tile(peer, slice.task) else { return };
        if tile.arrives(&slice) {
            tile.wait(slice.decoded);
        }
        self.answer_if_complete();
    }

    pub(crate) fn tile_done(&mut self, peer: PeerId, done: &TileDone, arrived_ns: u64, offset_ns: i64) {
        let Some(tile) = self.tile(peer, done.task) else { return };
        tile.done(done, arrived_ns, offset_ns);
        self.answer_if_complete();
    }

    pub(crate) fn tile_refused(&mut self, peer: PeerId, refused: TaskRefused) {
        if self.tile(peer, refused.task).is_some() {
            self.fail(format!("peer {} refused: {}", peer.0, refused.reason));
        }
    }

    pub(crate) fn tile_corrupt(&mut self, peer: PeerId, task: u64) {
        if self.tile(peer, task).is_some() {
            self.fail(format!("peer {} sent what can't be used", peer.0));
        }
    }

    pub(crate) fn peer_lost(&mut self, peer: PeerId) {
        if self.open.as_ref().is_some_and(|open| open.peer == peer) {
            self.fail(format!("peer {} was lost", peer.0));
        }
    }

    fn tile(&mut self, peer: PeerId, task: u64) -> Option<&mut FlightTile> {
        let open = self.open.as_mut().filter(|open| open.peer == peer)?;
        open.tiles.iter_mut().find(|tile| tile.task.0 == task)
    }

    fn answer_if_complete(&mut self) {
        if let Some(mut open) = self.open.take_if(|open| open.tiles.iter().all(FlightTile::is_complete)) {
            let slices = open.tiles.iter_mut().flat_map(FlightTile::take_waiting).collect();
            open.answer(Ok(slices));
        }
    }

    fn fail(&mut self, reason: String) {
        if let Some(open) = self.open.take() {
            open.answer(Err(ProbeError::Failed(reason)));
        }
    }
}

/// The view in pieces that peers take as one task each.
fn bands(extent: Extent) -> impl Iterator<Item = Rect> {
    let blocks_x = extent.width.div_ceil(BLOCK);
    let rows = (limits::BLOCKS_PER_TILE as u32 / blocks_x).max(1) * BLOCK;
    (0..extent.height).step_by(rows as usize).map(move |y| Rect::new(0, y, extent.width, rows.min(extent.height - y)))
}

/// The planes that slices are of; what no slice covers is sky.
pub(crate) fn assemble(extent: Extent, slices: &[DecodedSlice]) -> Primary {
    assemble_tile(extent.rect(), &[], true, slices).primary.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob_store::BlobStore;
    use crate::config::Embedded;
    use crate::scene_handle::BaseRevision;
    use rayloom_coordinator::Constraints;
    use rayloom_scene::Scene;
    use rayloom_transport::{LinkEvent, loopback};
    use rayloom_wire::TaskRefusal;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

    type Answer = Receiver<Result<Vec<DecodedSlice>, ProbeError>>;

    fn ask(probes: &mut Probes, revisions: &Revisions, fleet: &mut Fleet) -> Answer {
        let (reply, answer) = sync_channel(1);
        let camera = Camera::with_fov(1.0, 1.0);
        let request = ProbeRequest {
            view: 0,
            revision: 1,
            previous_revision: 1,
            extent: Extent::new(64, 64),
            camera,
            previous_camera: camera,
            reply,
        };
        probes.ask(request, &Constraints::default(), revisions, fleet, 0);
        answer
    }

    #[tokio::test]
    async fn whoever_asks_is_answered_whatever_becomes_of_the_peer() {
        let mut fleet = Fleet::new(Embedded::Never, BTreeSet::new(), tokio::runtime::Handle::current());
        let (mut probes, mut revisions) = (Probes::default(), Revisions::default());
        assert!(matches!(ask(&mut probes, &revisions, &mut fleet).try_recv(), Ok(Err(ProbeError::NotReady))));
        let packed = rayloom_scene::assets::pack(&Scene::default());
        let blobs = Arc::new(BlobStore::default()).insert(&packed);
        revisions.add(1, 1, 1, Arc::default());
        revisions.add_base(BaseRevision { scene: 1, revision: 1, packed, needs: Constraints::default() }, blobs);
        revisions.peer_ready(PeerId(0), 1, 1);
        let (ours, mut theirs) = loopback();
        fleet.connected(PeerId(0), ours.link, String::new(), crate::fleet::info_of_a_test());

        let lost = ask(&mut probes, &revisions, &mut fleet);
        assert!(matches!(lost.try_recv(), Err(TryRecvError::Empty)));
        probes.peer_lost(PeerId(1));
        assert!(matches!(lost.try_recv(), Err(TryRecvError::Empty)), "of another one");
        probes.peer_lost(PeerId(0));
        assert!(matches!(lost.try_recv(), Ok(Err(ProbeError::Failed(_)))));

        let given_up = ask(&mut probes, &revisions, &mut fleet);
        let refused = ask(&mut probes, &revisions, &mut fleet);
        assert!(matches!(given_up.try_recv(), Err(TryRecvError::Disconnected)));
        let mut messages = Vec::new();
        for _ in 0..4 {
            match theirs.events.next().await {
                Some(LinkEvent::Message(_, bytes)) => messages.push(Message::decode(bytes).unwrap()),
                other => panic!("{other:?}"),
            }
        }
        let [_, Message::FrameTasks(first), Message::CancelTasks(cancelled), Message::FrameTasks(second)] =
            &messages[..]
        else {
            panic!("{messages:?}")
        };
        assert_eq!(cancelled.ids, [first.tasks[0].id]);
        assert!(second.primary && second.layers.is_empty() && second.frame_id > first.frame_id);
        let refusal =
            |task| TaskRefused { task, frame_id: second.frame_id, lacks: TaskRefusal::Other, reason: "busy".into() };
        probes.tile_refused(PeerId(0), refusal(first.tasks[0].id));
        assert!(matches!(refused.try_recv(), Err(TryRecvError::Empty)), "an old task's");
        probes.tile_refused(PeerId(0), refusal(second.tasks[0].id));
        let text = refused.try_recv().unwrap().unwrap_err().to_string();
        assert!(text.contains("busy"), "{text}");
    }

    #[test]
    fn bands_cover_the_view_in_tasks_that_peers_take() {
        for (width, height) in [(1, 1), (203, 117), (3840, 2160), (16_384, 576), (16, 16_384)] {
            let extent = Extent::new(width, height);
            let bands: Vec<Rect> = bands(extent).collect();
            assert!(bands.len() <= limits::TASKS_PER_MESSAGE, "{} bands", bands.len());
            assert_eq!(bands.iter().map(|band| band.pixels()).sum::<usize>(), extent.pixels());
            for band in bands {
                assert!(extent.rect().contains_rect(band), "{band:?}");
                let blocks = band.width.div_ceil(BLOCK) as usize * band.height.div_ceil(BLOCK) as usize;
                assert!(blocks <= limits::BLOCKS_PER_TILE, "{blocks} blocks");
            }
        }
    }
}
