//! The session's peers as the director knows them: links, clocks, traffic, and which frames each has seen.

use crate::access;
use crate::config::{EMBEDDED_PEER, Embedded};
use crate::flight::FlightPlanes;
use crate::revisions::Revisions;
use crate::stats::PeerStats;
use crate::verify::Party;
use crate::view::View;
use rayloom_coordinator::{Constraints, PeerId, PeerPrior, PeerTraits, Time};
use rayloom_frame::codec::{Slice, TileEncoder};
use rayloom_frame::{GBuffer, Rect};
use rayloom_transport::{Channel, Link, SendError};
use rayloom_wire::{Message, PeerInfo, SceneStage, TileSlice, limits};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::runtime::Handle;

/// Frames whose state a peer remembers for motion vectors, with some to spare.
const FRAMES_REMEMBERED: usize = 8;
/// Clock measurements kept; the one with the shortest round trip counts.
const CLOCK_WINDOW: usize = 32;

/// Pixels of planes sent over which the bytes of one are averaged: some frames.
const PIXELS_REMEMBERED: u64 = 16 << 20;

/// All peers.
pub(crate) struct Fleet {
    embedded: Embedded,
    trusted: BTreeSet<PeerId>,
    /// Where planes are coded and sent.
    network: Handle,
    peers: BTreeMap<PeerId, Peer>,
    planes_sent: Arc<PlanesSent>,
    /// Why peers can't be reached, as last told.
    outages: BTreeMap<PeerId, String>,
}

struct Peer {
    link: Arc<dyn Link>,
    /// Device and address, for messages to people.
    description: String,
    info: PeerInfo,
    /// Round trips and clock offsets in nanoseconds.
    clocks: VecDeque<(u64, i64)>,
    /// (view, frame) of the last states sent.
    sent_frames: VecDeque<(u16, u64)>,
    bytes_sent: u64,
    bytes_received: u64,
    stage: Option<(u32, u64, SceneStage)>,
    /// It will go: nothing new is asked of it.
    leaving: Leaving,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// Something of it is waited for.
    Soon,
    /// Its link is closed.
    Now,
}

impl Peer {
    /// Bytes of frames' state and planes.
    fn frame_bytes_sent(&self) -> u64 {
        self.bytes_sent + self.link.stats().channels[Channel::Frames.index()].bytes_sent
    }
}

/// Regions of the engine's planes that were coded and sent.
#[derive(Default)]
struct PlanesSent {
    bytes: AtomicU64,
    pixels: AtomicU64,
}

impl PlanesSent {
    fn add(&self, bytes: u64, pixels: u64) {
        // Halved together now and then, so that the latest count most; a mean need not be exact.
        if self.pixels.fetch_add(pixels, Ordering::Relaxed) > PIXELS_REMEMBERED {
            self.pixels.fetch_sub(PIXELS_REMEMBERED / 2, Ordering::Relaxed);
            let half = self.bytes.load(Ordering::Relaxed) / 2;
            self.bytes.fetch_sub(half, Ordering::Relaxed);
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn bytes_per_px(&self) -> f32 {
        self.bytes.load(Ordering::Relaxed) as f32 / self.pixels.load(Ordering::Relaxed).max(1) as f32
    }
}

/// Codes and sends the planes of a task's region, as fast as the link takes them and for as long as they are wanted.
async fn send_region(
    link: &dyn Link,
    gbuffer: &GBuffer,
    wanted: &AtomicBool,
    sent: &PlanesSent,
    (task, frame_id, region): (u64, u64, Rect),
) -> Result<(), SendError> {
    let encoder = TileEncoder::of_gbuffer(gbuffer, region, limits::SLICE_PAYLOAD_BYTES);
    let count = u16::try_from(encoder.len()).unwrap_or(u16::MAX);
    let mut bytes = 0;
    for (index, slice) in (0..count).zip(encoder) {
        let Slice { plane, scale, codec, rect, payload } = slice;
        bytes += payload.len() as u64;
        let slice = TileSlice { task, frame_id, index, count, plane, scale, codec, rect, payload };
        let message = Message::TileSlice(slice).encode();
        loop {
            if !wanted.load(Ordering::Relaxed) {
                return Ok(());
            }
            match link.send(Channel::Frames, message.clone()) {
                Ok(()) => break,
                Err(SendError::Full { .. }) => link.writable(Channel::Frames).await?,
                Err(error) => return Err(error),
            }
        }
        // Coding is work: others of the network's tasks have their turn in between.
        tokio::task::yield_now().await;
    }
    sent.add(bytes, region.pixels() as u64);
    Ok(())
}

impl Fleet {
    pub(crate) fn new(embedded: Embedded, trusted: BTreeSet<PeerId>, network: Handle) -> Fleet {
        Fleet {
            embedded,
            trusted,
            network,
            peers: BTreeMap::new(),
            planes_sent: Arc::default(),
            outages: BTreeMap::new(),
        }
    }

    pub(crate) fn connected(&mut self, id: PeerId, link: Arc<dyn Link>, description: String, info: PeerInfo) {
        self.outages.remove(&id);
        let peer = Peer {
            link,
            description,
            info,
            clocks: VecDeque::new(),
            sent_frames: VecDeque::new(),
            bytes_sent: 0,
            bytes_received: 0,
            stage: None,
            leaving: Leaving::No,
        };
        self.peers.insert(id, peer);
    }

    pub(crate) fn lost(&mut self, id: PeerId) {
        self.peers.remove(&id);
    }

    /// A peer will go; true when that is news.
    pub(crate) fn set_leaving(&mut self, id: PeerId) -> bool {
        let staying = self.peers.get_mut(&id).filter(|peer| peer.leaving == Leaving::No);
        staying.map(|peer| peer.leaving = Leaving::Soon).is_some()
    }

    /// Peers that will go and of which nothing is waited for any more; each once.
    pub(crate) fn take_leaving(&mut self, is_asked: impl Fn(PeerId) -> bool) -> Vec<PeerId> {
        let ready = self.peers.iter_mut().filter(|(id, peer)| peer.leaving == Leaving::Soon && !is_asked(**id));
        ready.map(|(id, peer)| (peer.leaving = Leaving::Now, *id).1).collect()
    }

    /// True for a connected peer that traces what it is asked to, whatever the camera, and stays.
    pub(crate) fn traces(&self, id: PeerId) -> bool {
        self.peers.get(&id).is_some_and(|peer| !peer.info.stored_traces && peer.leaving == Leaving::No)
    }

    /// A connected peer that traces what it is asked to, as an examination knows it.
    pub(crate) fn party(&self, id: PeerId) -> Option<Party> {
        self.known(id).filter(|_| self.traces(id))
    }

    /// A connected peer as an examination knows it, whether or not it can be asked.
    pub(crate) fn known(&self, id: PeerId) -> Option<Party> {
        let peer = self.peers.get(&id)?;
        let (class, is_trusted) = (peer.info.class, self.trusts(id));
        Some(Party { peer: id, class, is_trusted, description: peer.description.clone() })
    }

    fn trusts(&self, id: PeerId) -> bool {
        id.0 == EMBEDDED_PEER || self.trusted.contains(&id)
    }

    /// True for a connected peer that is what is asked for.
    pub(crate) fn may_have(&self, id: PeerId, needs: &Constraints) -> bool {
        self.peers.get(&id).is_some_and(|peer| needs.unmet(&access::traits(&peer.info, self.trusts(id))).is_none())
    }

    /// True when some connected peer is.
    pub(crate) fn has_any_for(&self, needs: &Constraints) -> bool {
        self.peers.keys().any(|id| self.may_have(*id, needs))
    }

    /// What the connected peers are.
    pub(crate) fn traits(&self) -> impl Iterator<Item = (PeerId, PeerTraits)> {
        self.peers.iter().map(|(id, peer)| (*id, access::traits(&peer.info, self.trusts(*id))))
    }

    /// All of them.
    pub(crate) fn parties(&self) -> impl Iterator<Item = Party> {
        self.peers.keys().filter_map(|id| self.party(*id))
    }

    /// Ends a peer's link and tells it why.
    pub(crate) fn close(&self, id: PeerId, reason: &str) {
        if let Some(peer) = self.peers.get(&id) {
            peer.link.close(reason);
        }
    }

    /// Device and address of a connected peer.
    pub(crate) fn description(&self, id: PeerId) -> &str {
        self.peers.get(&id).map_or("a peer that is gone", |peer| &peer.description)
    }

    /// True when this cause has not been told in this outage.
    pub(crate) fn unreachable(&mut self, id: PeerId, cause: &str) -> bool {
        self.outages.insert(id, cause.to_owned()).as_deref() != Some(cause)
    }

    /// Makes every connected peer known to a new view.
    pub(crate) fn introduce(&self, view: &mut View, revisions: &Revisions, now: Time) {
        for id in self.peers.keys() {
            self.introduce_peer(*id, view, now);
            for (scene, revision) in revisions.held_by(*id) {
                view.peer_ready(*id, scene, revision, now);
            }
        }
    }

    /// Makes one peer known to a view.
    pub(crate) fn introduce_peer(&self, id: PeerId, view: &mut View, now: Time) {
        if let Some(peer) = self.peers.get(&id) {
            let is_embedded = id.0 == EMBEDDED_PEER;
            let traits = access::traits(&peer.info, self.trusts(id));
            let is_standby = is_embedded && self.embedded != Embedded::Always;
            let prior = PeerPrior { rays_per_second: peer.info.rays_per_second, is_embedded, is_standby, traits };
            view.peer_joined(id, prior, now);
            if peer.leaving != Leaving::No {
                view.peer_draining(id, now);
            }
        }
    }

    pub(crate) fn received(&mut self, id: PeerId, bytes: usize) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.bytes_received += bytes as u64;
        }
    }

    pub(crate) fn clock_measured(&mut self, id: PeerId, rtt_ns: u64, offset_ns: i64) {
        if let Some(peer) = self.peers.get_mut(&id) {
            if peer.clocks.len() == CLOCK_WINDOW {
                peer.clocks.pop_front();
            }
            peer.clocks.push_back((rtt_ns, offset_ns));
        }
    }

    /// The peer's clock minus ours; 0 until measured.
    pub(crate) fn offset_ns(&self, id: PeerId) -> i64 {
        let best = self.peers.get(&id).and_then(|peer| peer.clocks.iter().min_by_key(|(rtt, _)| *rtt));
        best.map_or(0, |(_, offset)| *offset)
    }

    pub(crate) fn scene_stage(&mut self, id: PeerId, scene: u32, revision: u64, stage: SceneStage) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.stage = Some((scene, revision, stage));
        }
    }

    /// True when the peer has got the state of that frame.
    pub(crate) fn has_frame(&self, id: PeerId, view: u16, frame_id: u64) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.sent_frames.contains(&(view, frame_id)))
    }

    /// After a refusal nothing is taken for granted: the next state is sent whole.
    pub(crate) fn forget_sent_frames(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.sent_frames.clear();
        }
    }

    /// Sends a message on the control channel and counts it.
    pub(crate) fn send(&mut self, id: PeerId, message: &Message) -> Result<(), SendError> {
        let peer = self.peers.get_mut(&id).ok_or(SendError::Closed)?;
        let bytes = message.encode();
        let length = bytes.len() as u64;
        peer.link.send(Channel::Control, bytes)?;
        peer.bytes_sent += length;
        if let Message::FrameTasks(tasks) = message {
            if peer.sent_frames.len() == FRAMES_REMEMBERED {
                peer.sent_frames.pop_front();
            }
            peer.sent_frames.push_back((tasks.view, tasks.frame_id));
        }
        Ok(())
    }

    /// Sends what the engine's raster saw in these regions of a frame, each for its task; in the background, until the frame
    /// is out.
    pub(crate) fn send_planes(&self, id: PeerId, frame_id: u64, planes: &FlightPlanes, tiles: Vec<(u64, Rect)>) {
        let Some(peer) = self.peers.get(&id) else { return };
        let (link, gbuffer, wanted) = (Arc::clone(&peer.link), Arc::clone(&planes.gbuffer), Arc::clone(&planes.wanted));
        let sent = Arc::clone(&self.planes_sent);
        self.network.spawn(async move {
            for (task, region) in tiles {
                if let Err(error) = send_region(&*link, &gbuffer, &wanted, &sent, (task, frame_id, region)).await {
                    // The task misses its deadline, which is how every kind of loss is seen.
                    tracing::debug!("planes of task {task} were not sent: {error}");
                    return;
                }
            }
        });
    }

    /// What a pixel of the engine's planes takes, coded; 0 before any was sent.
    pub(crate) fn plane_bytes_per_px(&self) -> f32 {
        self.planes_sent.bytes_per_px()
    }

    /// Bytes sent to and received from all peers that are connected.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        let sum = |of: fn(&Peer) -> u64| self.peers.values().map(of).sum();
        (sum(Peer::frame_bytes_sent), sum(|peer| peer.bytes_received))
    }

    /// What the engine is told of the peers.
    pub(crate) fn describe(&self, view: &View) -> Vec<PeerStats> {
        let describe = |(id, peer): (&PeerId, &Peer)| {
            let (tiles, work_ms) = view.work_of(*id);
            let rtt_ns = peer.clocks.iter().map(|(rtt, _)| *rtt).min().unwrap_or(0);
            PeerStats {
                peer: id.0,
                device: peer.info.device.clone(),
                tiles,
                work_ms,
                rtt_ms: rtt_ns as f32 / 1e6,
                bytes_sent: peer.frame_bytes_sent(),
                bytes_received: peer.bytes_received,
                bytes_uploaded: peer.link.stats().channels[Channel::Bulk.index()].bytes_sent,
                scene: peer.stage.as_ref().map(|(_, _, stage)| stage.clone()),
            }
        };
        self.peers.iter().map(describe).collect()
    }
}

/// What a peer says of itself whose device does not matter.
#[cfg(test)]
pub(crate) fn info_of_a_test() -> PeerInfo {
    PeerInfo {
        device: "a test".into(),
        is_cpu: true,
        front_end: "none".into(),
        rays_per_second: 1e6,
        memory_bytes: 1 << 30,
        class: [0; 32],
        stored_traces: false,
    }
}
