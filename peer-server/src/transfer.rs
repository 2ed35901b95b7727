//! How one scene revision gets here: the root, then the blobs it names that the cache lacks, then the assembled scene.
//!
//! A transfer has a thread of its own: a disk that stalls holds up neither the session's tiles nor anyone's link.

use crate::cache::{BlobCache, Held, Id, Incoming, ReceiveError, hex};
use crate::scenes::PROGRESS_INTERVAL;
use bytes::Bytes;
use parking_lot::Mutex;
use rayloom_scene::Scene;
use rayloom_scene::assets::{Assembler, RootTables, unpack_root};
use rayloom_wire::{BlobPart, SceneOffer, limits};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Most blobs whose pieces may be interleaved; bounds open files.
const INTERLEAVED_BLOBS: usize = 16;
/// How often blobs that vanished from a shared cache are asked for again.
const ATTEMPTS: u32 = 3;

/// What a transfer has for its session.
pub(crate) enum TransferEvent {
    /// Ask the engine for these: name and offset. With bytes had and bytes needed in all.
    Ask(Vec<(Id, u64)>, u64, u64),
    /// Bytes had, bytes needed in all.
    Progress(u64, u64),
    /// This piece of a blob breaks the protocol, unless it is a straggler of a transfer that failed. It was not taken.
    Rejected(Id, String),
    /// All is here.
    Assembled(Box<Scene>),
    /// This revision can't be had; pieces of these blobs may still be on their way.
    Failed(String, Vec<Id>),
}

/// What to do next.
enum Advance {
    /// Ask the engine for these: name and offset.
    Ask(Vec<(Id, u64)>),
    /// All is here.
    Assembled(Box<Scene>),
}

/// What a piece did.
enum Received {
    /// More of what was asked for is to come.
    More,
    /// Everything that was asked for is here: advance.
    BatchDone,
}

/// Why a piece was refused.
enum PartError {
    /// The engine broke the protocol.
    Protocol(String),
    /// This revision fails; the session goes on.
    Scene(String),
}

enum State {
    Root,
    Tables(Box<RootTables>),
}

/// A blob that was asked for.
struct Asked {
    total: u64,
    /// Where the engine was told to start.
    offset: u64,
    /// Opened at the first piece, or before where an earlier part is resumed.
    incoming: Option<Incoming>,
}

/// One offered revision on its way in.
pub(crate) struct Transfer {
    offer: SceneOffer,
    cache: Arc<BlobCache>,
    assembler: Arc<Mutex<Assembler>>,
    state: State,
    root: Option<Held>,
    held: HashMap<Id, Held>,
    missing: Vec<(Id, u64)>,
    asked: HashMap<Id, Asked>,
    have_bytes: u64,
    total_bytes: u64,
    attempts: u32,
    last_progress: Option<Instant>,
}

impl Transfer {
    pub(crate) fn new(offer: SceneOffer, cache: Arc<BlobCache>, assembler: Arc<Mutex<Assembler>>) -> Transfer {
        let total_bytes = offer.root_bytes;
        Transfer {
            offer,
            cache,
            assembler,
            state: State::Root,
            root: None,
            held: HashMap::new(),
            missing: Vec::new(),
            asked: HashMap::new(),
            have_bytes: 0,
            total_bytes,
            attempts: 0,
            last_progress: None,
        }
    }

    /// Works until the scene is assembled, has failed, or no more pieces can come. Blocks: not for an async thread.
    pub(crate) fn run(mut self, mut parts: mpsc::Receiver<BlobPart>, tell: impl Fn(TransferEvent)) {
        loop {
            match self.advance() {
                Ok(Advance::Assembled(scene)) => return tell(TransferEvent::Assembled(scene)),
                Ok(Advance::Ask(blobs)) => tell(TransferEvent::Ask(blobs, self.have_bytes, self.total_bytes)),
                Err(reason) => return tell(TransferEvent::Failed(reason, Vec::new())),
            }
            loop {
                // Without a sender the session is over; what is here is kept for the next one.
                let Some(part) = parts.blocking_recv() else { return };
                match self.part(&part) {
                    Ok(Received::BatchDone) => break,
                    Ok(Received::More) if self.last_progress.is_none_or(|last| last.elapsed() >= PROGRESS_INTERVAL) => {
                        self.last_progress = Some(Instant::now());
                        tell(TransferEvent::Progress(self.have_bytes, self.total_bytes));
                    }
                    Ok(Received::More) => {}
                    Err(PartError::Protocol(reason)) => tell(TransferEvent::Rejected(part.id, reason)),
                    Err(PartError::Scene(reason)) => {
                        let outstanding = self.asked.keys().copied().chain([part.id]).collect();
                        return tell(TransferEvent::Failed(reason, outstanding));
                    }
                }
            }
        }
    }

    /// Looks at what is here and says what is next.
    fn advance(&mut self) -> Result<Advance, String> {
        loop {
            if !self.missing.is_empty() {
                return self.ask_next();
            }
            match &self.state {
                State::Root => self.read_root()?,
                State::Tables(_) => match self.assemble()? {
                    Some(scene) => return Ok(Advance::Assembled(Box::new(scene))),
                    None => self.retry()?,
                },
            }
        }
    }

    /// Takes one piece.
    fn part(&mut self, part: &BlobPart) -> Result<Received, PartError> {
        let protocol = |reason: String| Err(PartError::Protocol(reason));
        let open = self.asked.values().filter(|asked| asked.incoming.is_some()).count();
        let Some(asked) = self.asked.get_mut(&part.id) else {
            return protocol(format!("a piece of blob {} was sent, which was not asked for", hex(&part.id)));
        };
        if part.total_bytes != asked.total {
            let reason =
                format!("blob {} has {} bytes, the scene says {}", hex(&part.id), part.total_bytes, asked.total);
            return Err(PartError::Scene(reason));
        }
        let expected = asked.incoming.as_ref().map_or(asked.offset, Incoming::have);
        if part.offset != expected {
            return protocol(format!(
                "a piece of blob {} begins at byte {}, expected was {expected}: pieces come in order",
                hex(&part.id),
                part.offset
            ));
        }
        if part.data.is_empty() && asked.total != expected {
            return protocol(format!("a piece of blob {} is empty", hex(&part.id)));
        }
        let result = match &mut asked.incoming {
            Some(incoming) => incoming.append(&part.data),
            None if open >= INTERLEAVED_BLOBS => {
                return protocol(format!("pieces of more than {INTERLEAVED_BLOBS} blobs are interleaved"));
            }
            slot => match self.cache.receive_anew(part.id, asked.total) {
                Ok(incoming) => slot.insert(incoming).append(&part.data),
                Err(e) => Err(ReceiveError::Write(e)),
            },
        };
        result.map_err(|e| PartError::Scene(e.to_string()))?;
        self.have_bytes += part.data.len() as u64;
        if asked.incoming.as_ref().is_some_and(Incoming::is_whole) {
            self.finish(part.id)?;
        }
        Ok(if self.asked.is_empty() { Received::BatchDone } else { Received::More })
    }

    fn finish(&mut self, id: Id) -> Result<(), PartError> {
        let incoming =
            self.asked.remove(&id).and_then(|asked| asked.incoming).expect("a whole blob was being received");
        let held = match incoming.finish().map_err(|e| PartError::Scene(e.to_string()))? {
            Some(bytes) => Held::Memory(bytes),
            None => Held::Disk,
        };
        if id == self.offer.root && matches!(self.state, State::Root) {
            self.root = Some(held);
        } else {
            self.held.insert(id, held);
        }
        Ok(())
    }

    fn read_root(&mut self) -> Result<(), String> {
        let (id, bytes) = (self.offer.root, self.offer.root_bytes);
        self.check_fits(bytes)?;
        let held = self.root.take().or_else(|| self.cache.hold(&id, bytes));
        let Some(root) = held.and_then(|held| self.cache.read(&id, &held)) else {
            self.attempts += 1;
            if self.attempts > ATTEMPTS {
                return Err("the scene's root vanishes from the cache as soon as it arrives: give the peer a larger --cache-size".into());
            }
            self.missing.push((id, bytes));
            return Ok(());
        };
        let tables = unpack_root(&root).map_err(|e| e.to_string())?;
        let mut total = bytes;
        let mut named = HashSet::new();
        (self.have_bytes, self.missing) = (bytes, Vec::new());
        for blob in tables.meshes.iter().chain(&tables.textures) {
            if blob.len > limits::BLOB_BYTES {
                return Err(format!(
                    "blob {} has {} bytes, at most {} are allowed",
                    blob.id,
                    blob.len,
                    limits::BLOB_BYTES
                ));
            }
            if !named.insert(blob.id) {
                continue;
            }
            total += blob.len;
            self.check_fits(total)?;
            match self.cache.hold(&blob.id.0, blob.len) {
                Some(held) => {
                    self.have_bytes += blob.len;
                    self.held.insert(blob.id.0, held);
                }
                None => self.missing.push((blob.id.0, blob.len)),
            }
        }
        self.missing.reverse();
        self.total_bytes = total;
        self.state = State::Tables(Box::new(tables));
        Ok(())
    }

    fn check_fits(&self, bytes: u64) -> Result<(), String> {
        let limit = self.cache.scene_limit_bytes();
        if bytes <= limit {
            return Ok(());
        }
        Err(format!(
            "the scene needs more than {limit} bytes, which is what this peer's cache has room for: give it a larger --cache-size"
        ))
    }

    fn ask_next(&mut self) -> Result<Advance, String> {
        let from = self.missing.len().saturating_sub(limits::BLOBS_PER_NEED);
        let mut need = Vec::new();
        let mut resumed = 0;
        for (id, total) in self.missing.drain(from..).rev() {
            let mut asked = Asked { total, offset: 0, incoming: None };
            if resumed < INTERLEAVED_BLOBS / 2 && self.cache.has_partial(&id) {
                let incoming = self.cache.receive(id, total).map_err(|e| ReceiveError::Write(e).to_string())?;
                asked.offset = incoming.have();
                self.have_bytes += incoming.have();
                asked.incoming = Some(incoming);
                resumed += 1;
            }
            need.push((id, asked.offset));
            self.asked.insert(id, asked);
        }
        Ok(Advance::Ask(need))
    }

    /// The scene, or `None` when a blob is gone from the cache again.
    fn assemble(&mut self) -> Result<Option<Scene>, String> {
        let State::Tables(tables) = &self.state else { unreachable!("only called with the tables") };
        let mut gone = Vec::new();
        let mut fetch = |id: rayloom_scene::assets::BlobId| -> Option<Bytes> {
            let bytes = self.held.get(&id.0).and_then(|held| self.cache.read(&id.0, held));
            if bytes.is_none() {
                gone.push(id.0);
            }
            bytes
        };
        match self.assembler.lock().assemble(tables, &mut fetch) {
            Ok(scene) => Ok(Some(scene)),
            Err(_) if !gone.is_empty() => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }

    fn retry(&mut self) -> Result<(), String> {
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            return Err(
                "blobs vanish from the cache as fast as they arrive: give the peer a larger --cache-size".into()
            );
        }
        self.held.clear();
        self.state = State::Root;
        Ok(())
    }
}
