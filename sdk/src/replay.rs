//! Replays: the frames of a capture made again, without the engine, and compared bit for bit.
//!
//! Each frame is given the state, the planes and the cut that it had, and of what peers answer only those slices become part
//! of it that did so then. So a frame that came out incomplete comes out incomplete again, and whatever depends on it
//! too. On devices of the same class every bit is the same where the session was lossless.

use crate::capture::{
    Capture, CaptureError, Entry, FrameRecord, MadeRecord, MergedSlice, Record, RecordKind, StateRecord,
};
use crate::config::{Denoise, Embedded, FrameDesc, LayerDesc, SessionDesc, ViewDesc};
use crate::director::Command;
use crate::event::Event;
use crate::pipeline::{Prescribed, Start};
use crate::planes::Plane;
use crate::revisions::Resolved;
use crate::scene_handle::BaseRevision;
use crate::view::Starts;
use crate::{Error, Output, Overlay, Session, ViewHandle};
use rayloom_coordinator::Constraints;
use rayloom_frame::merge::MAX_TILES;
use rayloom_frame::{Extent, Rect};
use rayloom_scene::assets::{Blob, BlobId, PackedScene};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Peers have this long for each layer: a replay is in no hurry.
const DEADLINE: Duration = Duration::from_secs(60);
/// After this long without an answer the replay is given up.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often a replay that waits for a frame looks whether its peers are still there.
const LOOK_UP: Duration = Duration::from_millis(250);
/// Frames whose planes wait for them; a session has at most 8 in flight in each view.
const PLANES_WAITING: usize = 64;

/// Why a replay ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The file.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The session refused what the file asks for: the file was forged, or written by a build with other limits.
    #[error("at {seconds:.3} s, {what}: {source}")]
    Refused {
        /// When it was recorded.
        seconds: f64,
        /// What was replayed.
        what: String,
        /// What the session says.
        source: Error,
    },
    /// The file says what can't be.
    #[error("at {seconds:.3} s: {reason}")]
    Contradiction {
        /// When it was recorded.
        seconds: f64,
        /// What is wrong.
        reason: String,
    },
    /// No peer traces.
    #[error("{0}")]
    Peer(String),
    /// The session could not start.
    #[error(transparent)]
    Session(#[from] Error),
}

/// What comparing a frame said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every bit of every layer, of the primary hits and of the ages is the same.
    Equal,
    /// Some are not.
    Different,
    /// It was still in flight when the capture ended: there is nothing to compare with.
    Unknown,
}

/// A frame that was made again.
pub struct ReplayedFrame<'a> {
    /// The view's number in the capture.
    pub view: u16,
    /// Seconds since the captured session began.
    pub seconds: f64,
    /// What came out this time.
    pub output: &'a Output,
    /// See [`Verdict`].
    pub verdict: Verdict,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplayReport {
    /// Frames made again.
    pub frames: u64,
    /// Of them, those equal bit for bit.
    pub equal: u64,
    /// Of them, those that were still in flight when the capture ended.
    pub unknown: u64,
    /// View and id of the first frame that differs.
    pub first_different: Option<(u16, u64)>,
}

/// An opened capture.
pub struct Replay {
    capture: Capture<BufReader<File>>,
    /// Where each blob of scenes is recorded.
    blobs: HashMap<BlobId, Entry>,
}

impl Replay {
    /// Opens a capture and finds what is in it.
    ///
    /// # Errors
    /// [`CaptureError`] names what is wrong with the file.
    pub fn open(path: &Path) -> Result<Replay, CaptureError> {
        let mut capture = Capture::open(path)?;
        let mut blobs = HashMap::new();
        for entry in capture.entries.clone() {
            if entry.kind() == RecordKind::Blob
                && let Record::Blob(bytes) = capture.record(&entry)?
            {
                blobs.insert(BlobId::of(&bytes), entry);
            }
        }
        Ok(Replay { capture, blobs })
    }

    /// The Rayloom that wrote it.
    pub fn version(&self) -> &str {
        &self.capture.session.version
    }

    /// Only sessions in lossless mode come out the same bit for bit through any peers.
    pub fn is_lossless(&self) -> bool {
        self.capture.session.lossless
    }

    /// Remote peers that the session had.
    pub fn peers(&self) -> u32 {
        self.capture.session.peers
    }

    /// Seconds since 1970 at which the session began.
    pub fn began_unix_s(&self) -> u64 {
        self.capture.session.began_unix_s
    }

    /// The file ends within a record: the engine crashed, or the disk was full.
    pub fn is_cut_off(&self) -> bool {
        self.capture.is_cut_off
    }

    /// Frames that began.
    pub fn frames(&self) -> usize {
        self.capture.entries.iter().filter(|entry| entry.kind() == RecordKind::Frame).count()
    }

    /// What the engine was told and which of its calls were refused, with seconds since the session began.
    ///
    /// # Errors
    /// [`CaptureError::Damaged`] where a note can't be read.
    pub fn notes(&mut self) -> Result<Vec<(f64, String)>, CaptureError> {
        let mut notes = Vec::new();
        for entry in self.capture.entries.clone() {
            if entry.kind() == RecordKind::Note
                && let Record::Note(text) = self.capture.record(&entry)?
            {
                notes.push((seconds(&entry), text));
            }
        }
        Ok(notes)
    }

    /// Makes all frames again with the peers of `desc`, or with the one inside this process where it names none. The
    /// session's other settings are the capture's. `on_frame` sees each and says whether to go on.
    ///
    /// # Errors
    /// [`ReplayError`]; frames that come out otherwise are none, see [`ReplayReport`].
    pub fn run(
        mut self,
        desc: SessionDesc,
        mut on_frame: impl FnMut(&ReplayedFrame<'_>) -> bool,
    ) -> Result<ReplayReport, ReplayError> {
        let embedded = if desc.peers.is_empty() {
            Embedded::Always
        } else if self.has_local_frames()? {
            Embedded::Fallback
        } else {
            Embedded::Never
        };
        let desc = SessionDesc { embedded, lossless: self.is_lossless(), capture: None, ..desc };
        let expected = desc.peers.len() + usize::from(embedded != Embedded::Never);
        let (made_here, made) = mpsc::channel();
        let session = Session::compared(desc, made_here)?;
        let mut stage = Stage { session, made, peers: BTreeSet::new(), held: BTreeMap::new(), views: BTreeMap::new() };
        stage.wait_for_peers(expected)?;
        let (mut bases, mut planes) = (Bases::new(), BTreeMap::new());
        let mut report = ReplayReport::default();
        for entry in self.capture.entries.clone() {
            let at = At { seconds: seconds(&entry) };
            // Blobs are read when a base needs them, what became of frames with the frames.
            if matches!(entry.kind(), RecordKind::Blob | RecordKind::Made | RecordKind::Note) {
                continue;
            }
            match self.capture.record(&entry)? {
                Record::View { view, desc } => stage.create_view(view, desc, at)?,
                Record::ViewEnd { view } => drop(stage.views.remove(&view)),
                Record::TilesDrawn { view, drawn } => {
                    stage.view(view, at)?.set_overlay(if drawn { Overlay::Tiles } else { Overlay::Off })?;
                }
                Record::Base { scene, revision, root, blobs } => {
                    bases.insert((scene, revision), (root, blobs));
                }
                Record::SceneEnd { scene } => {
                    bases.retain(|(of, _), _| *of != scene);
                    stage.held.retain(|(of, _), _| *of != scene);
                    stage.session.shared().send(Command::DestroyScene { scene })?;
                }
                Record::Planes { view, frame_id, planes: of_frame } => {
                    if planes.len() == PLANES_WAITING {
                        planes.pop_first();
                    }
                    planes.insert((view, frame_id), of_frame);
                }
                Record::Frame(frame) => {
                    let given = planes.remove(&(frame.view, frame.desc.frame_id)).unwrap_or_default();
                    if frame.has_planes && given.is_empty() {
                        return Err(
                            at.wrong(format!("frame {} has planes, but none are recorded", frame.desc.frame_id))
                        );
                    }
                    let given = if frame.has_planes { given } else { Vec::new() };
                    for state in [&frame.remote, &frame.local].into_iter().flatten().flatten() {
                        self.hold(&mut stage, state, &bases, at)?;
                    }
                    let planes = given.into_iter().map(|plane| plane.into_plane()).collect();
                    if !self.make_again(&stage, frame, planes, at, &mut report, &mut on_frame)? {
                        break;
                    }
                }
                // The first record says what session it was; there is one.
                Record::Session(_) | Record::Blob(_) | Record::Made(_) | Record::Note(_) => {}
            }
        }
        Ok(report)
    }

    fn has_local_frames(&mut self) -> Result<bool, CaptureError> {
        for entry in self.capture.entries.clone() {
            if entry.kind() == RecordKind::Frame
                && let Record::Frame(frame) = self.capture.record(&entry)?
                && frame.local.is_some_and(|state| state.is_some())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until every peer holds a base revision.
    fn hold(&mut self, stage: &mut Stage, state: &StateRecord, bases: &Bases, at: At) -> Result<(), ReplayError> {
        let StateRecord { scene, base: revision, .. } = *state;
        if stage.held.contains_key(&(scene, revision)) {
            return Ok(());
        }
        let missing = || at.wrong(format!("revision {revision} of scene {scene} is shown, but was not recorded"));
        let (root, blobs) = bases.get(&(scene, revision)).ok_or_else(missing)?;
        let mut blob = |id: &[u8; 32]| -> Result<Blob, ReplayError> {
            let entry = self.blobs.get(&BlobId(*id)).copied().ok_or_else(missing)?;
            match self.capture.record(&entry)? {
                Record::Blob(bytes) => Ok(Blob::new(bytes)),
                _ => Err(missing()),
            }
        };
        let packed = PackedScene { root: blob(root)?, blobs: blobs.iter().map(&mut blob).collect::<Result<_, _>>()? };
        stage.session.shared().send(Command::Base(BaseRevision {
            scene,
            revision,
            packed,
            needs: Constraints::default(),
        }))?;
        stage.wait_for_base(scene, revision)
    }

    /// Makes a frame again; false when enough has been seen.
    fn make_again(
        &mut self,
        stage: &Stage,
        frame: FrameRecord,
        planes: Vec<Plane>,
        at: At,
        report: &mut ReplayReport,
        on_frame: &mut impl FnMut(&ReplayedFrame<'_>) -> bool,
    ) -> Result<bool, ReplayError> {
        let FrameRecord { view: number, desc, remote, local, .. } = frame;
        let (view, frame_id) = (stage.view(number, at)?, desc.frame_id);
        let mut then = Vec::new();
        let mut start = |state: Option<Option<StateRecord>>, is_local: bool| -> Result<Option<Start>, ReplayError> {
            let Some(state) = state else { return Ok(None) };
            let made = self.capture.made(number, frame_id, is_local)?;
            let prescribed = made.as_ref().map(|made| prescribed(made, view.size(), at)).transpose()?;
            then.push((is_local, made));
            let state = state.map(|StateRecord { scene, base, delta }| Resolved { scene, base, delta: delta.into() });
            Ok(Some(Start { state, prescribed, is_surely_shown: true }))
        };
        let starts = Starts { remote: start(remote, false)?, local: start(local, true)? };
        if then.is_empty() {
            return Err(at.wrong(format!("frame {frame_id} was made by nobody")));
        }
        let what = || format!("frame {frame_id} of view {number}");
        view.make_again(patient(desc), planes, starts).map_err(|source| at.refused(what(), source))?;
        let give_up = Instant::now() + PATIENCE;
        let output = loop {
            match view.acquire(frame_id, LOOK_UP) {
                Ok(output) => break output,
                Err(Error::NotReady { .. }) if Instant::now() < give_up => {}
                Err(source) => return Err(at.refused(what(), source)),
            }
            while let Some(event) = stage.session.poll_event() {
                if matches!(event, Event::PeerLost { .. } | Event::PeerSuspect { .. }) {
                    return Err(ReplayError::Peer(format!("{} can't be made again: {event}", what())));
                }
            }
        };
        let mut verdict = Verdict::Equal;
        for _ in 0..then.len() {
            let now =
                stage.made.recv_timeout(PATIENCE).map_err(|_| at.wrong(format!("{} was not compared", what())))?;
            let before = then.iter().find(|(is_local, _)| *is_local == now.is_local);
            match before.and_then(|(_, made)| made.as_ref()) {
                Some(before) if before.digest == now.digest => {}
                Some(_) => verdict = Verdict::Different,
                None if verdict == Verdict::Equal => verdict = Verdict::Unknown,
                None => {}
            }
        }
        report.frames += 1;
        match verdict {
            Verdict::Equal => report.equal += 1,
            Verdict::Unknown => report.unknown += 1,
            Verdict::Different => {
                report.first_different.get_or_insert((number, frame_id));
            }
        }
        let replayed = ReplayedFrame { view: number, seconds: at.seconds, output: &output, verdict };
        Ok(on_frame(&replayed))
    }
}

/// Base revisions by scene and number: the names of their tables and of what those refer to.
type Bases = BTreeMap<(u32, u64), ([u8; 32], Vec<[u8; 32]>)>;

/// When what is replayed was recorded.
#[derive(Clone, Copy)]
struct At {
    seconds: f64,
}

impl At {
    fn wrong(self, reason: String) -> ReplayError {
        ReplayError::Contradiction { seconds: self.seconds, reason }
    }

    fn refused(self, what: String, source: Error) -> ReplayError {
        ReplayError::Refused { seconds: self.seconds, what, source }
    }
}

fn seconds(entry: &Entry) -> f64 {
    entry.ns() as f64 / 1e9
}

/// The session that a replay runs in.
struct Stage {
    session: Session,
    made: mpsc::Receiver<MadeRecord>,
    /// Connected ones.
    peers: BTreeSet<u32>,
    /// Which peers hold which base revisions, by scene and revision.
    held: BTreeMap<(u32, u64), BTreeSet<u32>>,
    views: BTreeMap<u16, ViewHandle>,
}

impl Stage {
    fn next_event(&mut self) -> Result<Event, ReplayError> {
        let event = self.session.events().wait(PATIENCE);
        let event = event.ok_or_else(|| ReplayError::Peer(format!("nothing has happened for {PATIENCE:?}")))?;
        match &event {
            Event::PeerConnected { peer, .. } => drop(self.peers.insert(*peer)),
            Event::PeerUnreachable { .. } | Event::PeerLost { .. } | Event::SceneFailed { .. } => {
                return Err(ReplayError::Peer(event.to_string()));
            }
            _ => {}
        }
        Ok(event)
    }

    fn wait_for_peers(&mut self, expected: usize) -> Result<(), ReplayError> {
        while self.peers.len() < expected {
            self.next_event()?;
        }
        Ok(())
    }

    fn wait_for_base(&mut self, scene: u32, revision: u64) -> Result<(), ReplayError> {
        let mut holders = BTreeSet::new();
        while holders != self.peers {
            if let Event::SceneReady { revision: ready, peer } = self.next_event()?
                && ready == revision
            {
                holders.insert(peer);
            }
        }
        self.held.insert((scene, revision), holders);
        Ok(())
    }

    fn create_view(&mut self, number: u16, mut desc: ViewDesc, at: At) -> Result<(), ReplayError> {
        desc.layers.iter_mut().for_each(|layer| layer.deadline = DEADLINE);
        // What is compared is merged and not filtered.
        desc.denoise = Denoise::Off;
        let handle = self.session.create_view(desc).map_err(|source| at.refused(format!("view {number}"), source))?;
        self.views.insert(number, handle);
        Ok(())
    }

    fn view(&self, number: u16, at: At) -> Result<&ViewHandle, ReplayError> {
        self.views.get(&number).ok_or_else(|| at.wrong(format!("there is no view {number}")))
    }
}

fn patient(mut desc: FrameDesc) -> FrameDesc {
    desc.layers.iter_mut().for_each(|layer: &mut LayerDesc| layer.deadline = DEADLINE);
    desc
}

/// What a frame is to consist of; its tiles must cover the view once.
fn prescribed(made: &MadeRecord, size: Extent, at: At) -> Result<Prescribed, ReplayError> {
    let tiles = &made.tiles;
    let within = |rect: &Rect| {
        let ends = [(rect.x, rect.width, size.width), (rect.y, rect.height, size.height)];
        !rect.is_empty()
            && ends.into_iter().all(|(from, length, end)| from.checked_add(length).is_some_and(|to| to <= end))
    };
    let is_cut = tiles.is_empty()
        || tiles.len() <= MAX_TILES
            && tiles.iter().all(within)
            && tiles.iter().map(|rect| rect.pixels()).sum::<usize>() == size.pixels()
            && tiles.iter().enumerate().all(|(i, a)| tiles[..i].iter().all(|b| a.intersection(*b).is_empty()));
    if !is_cut {
        let frame_id = made.frame_id;
        return Err(at.wrong(format!("the {} tiles of frame {frame_id} do not cover its view once", tiles.len())));
    }
    let merged: BTreeSet<MergedSlice> = made.merged.iter().copied().collect();
    Ok(Prescribed { tiles: tiles.clone(), merged })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tiles_that_cover_the_view_once_are_taken() {
        let size = Extent::new(64, 32);
        let check = |tiles: &[Rect]| {
            let made = MadeRecord {
                view: 0,
                frame_id: 1,
                is_local: false,
                tiles: tiles.to_vec(),
                merged: Vec::new(),
                digest: [0; 32],
                fresh: 1.0,
            };
            prescribed(&made, size, At { seconds: 0.0 }).is_ok()
        };
        let (left, right) = (Rect::new(0, 0, 32, 32), Rect::new(32, 0, 32, 32));
        assert!(check(&[left, right]) && check(&[]) && check(&[size.rect()]));
        assert!(!check(&[left]), "half of it");
        assert!(!check(&[left, left]), "twice the same half");
        assert!(!check(&[left, right, Rect::new(0, 0, 0, 0)]), "an empty one");
        assert!(!check(&[Rect::new(u32::MAX, 0, 64, 32)]), "beyond all numbers");
    }

    /// Replays records as if they had been captured after the session's; the error.
    #[cfg(feature = "embedded-peer")]
    fn refused(records: Vec<Record>) -> String {
        use crate::capture::{SessionRecord, write_capture};
        let session = SessionRecord { version: "0".into(), lossless: true, peers: 0, began_unix_s: 0 };
        let file = std::env::temp_dir().join(format!("rayloom-forged-{}.capture", std::process::id()));
        write_capture(&file, [vec![Record::Session(session)], records].concat()).unwrap();
        let desc = SessionDesc { embedded_allow_cpu: true, ..SessionDesc::default() };
        let result = Replay::open(&file).map_err(ReplayError::from).and_then(|replay| replay.run(desc, |_| true));
        std::fs::remove_file(&file).unwrap();
        result.expect_err("it was replayed").to_string()
    }

    #[test]
    #[cfg(feature = "embedded-peer")]
    fn forged_captures_are_refused_by_what_is_wrong_with_them() {
        let size = Extent::new(64, 32);
        let view = || Record::View { view: 3, desc: ViewDesc::new(size) };
        let camera = rayloom_scene::Camera::with_fov(1.0, 2.0);
        let frame = |desc: FrameDesc, remote| FrameRecord { view: 3, desc, has_planes: false, remote, local: None };
        let plain = |remote| frame(FrameDesc::new(1, 1, camera), remote);
        let state = || Some(StateRecord { scene: 1, base: 9, delta: rayloom_wire::StateDelta::default() });
        let blob = bytes::Bytes::from_static(b"no scene at all");
        let root = BlobId::of(&blob).0;
        let base = |root, blobs| Record::Base { scene: 1, revision: 9, root, blobs };
        let made = MadeRecord {
            view: 3,
            frame_id: 1,
            is_local: false,
            tiles: vec![Rect::new(0, 0, 64, 33)],
            merged: Vec::new(),
            digest: [0; 32],
            fresh: 1.0,
        };
        let mut blind = FrameDesc::new(1, 1, camera);
        blind.camera.position.x = f32::NAN;
        let mut huge = ViewDesc::new(size);
        huge.size.width = 1 << 20;
        let cases: Vec<(Vec<Record>, &str)> = vec![
            (vec![Record::Frame(plain(Some(None)))], "no view 3"),
            (vec![Record::TilesDrawn { view: 3, drawn: true }], "no view 3"),
            (vec![Record::View { view: 3, desc: huge }], "view width is 1048576"),
            (vec![view(), Record::Frame(plain(None))], "made by nobody"),
            (vec![view(), Record::Frame(frame(blind, Some(None)))], "camera of frame 1"),
            (vec![view(), Record::Frame(plain(Some(None))), Record::Made(made)], "do not cover its view"),
            (vec![view(), Record::Frame(plain(Some(state())))], "revision 9 of scene 1"),
            (vec![view(), base(root, vec![]), Record::Frame(plain(Some(state())))], "was not recorded"),
            (
                vec![view(), Record::Blob(blob), base(root, vec![]), Record::Frame(plain(Some(state())))],
                "can't trace scene revision 9",
            ),
            (vec![view(), Record::Frame(FrameRecord { has_planes: true, ..plain(Some(None)) })], "none are recorded"),
            (vec![view(), Record::Frame(plain(Some(None))), Record::Frame(plain(Some(None)))], "does not grow"),
        ];
        for (records, expected) in cases {
            let error = refused(records);
            assert!(error.contains(expected), "{error:?} should say {expected:?}");
        }
    }
}
