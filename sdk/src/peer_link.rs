//! One peer's connection, kept up for as long as the session lives: dial, handshake, offers, uploads, messages in.

use crate::access;
use crate::blob_store::{BlobLease, BlobStore};
use crate::clock::Clock;
use crate::config::PeerAddress;
use crate::director::{ArrivedSlice, Command, PeerEvent};
use crate::flight::decoded_bytes;
use crate::revisions::Offered;
use crate::upload;
use bytes::Bytes;
use rayloom_coordinator::{Flaw, PeerId};
use rayloom_frame::Extent;
use rayloom_frame::codec::{DecodeLimits, Decoder, Slice};
use rayloom_scene::assets::BlobId;
use rayloom_transport::webrtc::{DialOptions, dial};
use rayloom_transport::{Channel, Connection, LinkEvent};
use rayloom_wire::{
    BlobNeed, Hello, Leaving, Message, PeerInfo, Ping, RefusalCode, Refused, Role, SceneStage, TileSlice, VERSION,
    limits,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// Shortest and longest pause between attempts to reach a peer.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// How long a peer may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How often clocks are compared.
const PING_INTERVAL: Duration = Duration::from_millis(250);
/// Offers that a peer may leave without an answer.
const OFFERS_UNANSWERED: usize = 256;

/// Decoded pixels of one peer that may wait for the director.
const DECODED_AHEAD_KIB: u32 = 64 << 10;

/// What peers are told when the session ends.
const ENDED: &str = "the engine's session ended";

/// How a peer is reached.
pub(crate) enum Reach {
    /// By WebRTC.
    Remote(PeerAddress),
    /// Inside this process.
    #[cfg(feature = "embedded-peer")]
    Embedded(Arc<rayloom_peer::PeerServer>),
}

impl Reach {
    fn is_trusted(&self) -> bool {
        match self {
            Reach::Remote(address) => address.is_trusted,
            #[cfg(feature = "embedded-peer")]
            Reach::Embedded(_) => true,
        }
    }
}

/// Everything that the task of one peer works with.
pub(crate) struct PeerLink {
    pub(crate) id: PeerId,
    pub(crate) reach: Reach,
    pub(crate) director: mpsc::Sender<Command>,
    pub(crate) blobs: Arc<BlobStore>,
    pub(crate) offers: watch::Receiver<Vec<Offered>>,
    pub(crate) clock: Clock,
    /// Whether a peer may answer with stored captures.
    pub(crate) accept_stored_traces: bool,
}

impl PeerLink {
    /// Connects, serves, and connects again, until the session ends. Returns once the peer has answered the goodbye: it holds
    /// nothing of the session then.
    pub(crate) async fn run(mut self) {
        let mut session = self.offers.clone();
        let mut pause = RETRY.0;
        loop {
            let began = Instant::now();
            let opened = tokio::select! {
                opened = self.open() => opened,
                () = ended(&mut session) => return,
            };
            let (event, link) = match opened {
                Ok(mut connection) => {
                    let outcome = tokio::select! {
                        outcome = self.attend(&mut connection) => outcome,
                        () = ended(&mut session) => PeerEvent::Lost { cause: ENDED.into() },
                    };
                    if let PeerEvent::Lost { cause } | PeerEvent::Unreachable { cause } = &outcome {
                        connection.link.close(cause);
                    }
                    (outcome, Some(connection.link))
                }
                Err(cause) => (PeerEvent::Unreachable { cause }, None),
            };
            if self.tell(event).await.is_err() || session.has_changed().is_err() {
                if let Some(link) = link {
                    link.settled().await;
                }
                return;
            }
            // A connection that held for a while starts the pauses anew.
            pause = if began.elapsed() > RETRY.1 { RETRY.0 } else { (pause * 2).min(RETRY.1) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = ended(&mut session) => return,
            }
        }
    }

    async fn tell(&self, event: PeerEvent) -> Result<(), ()> {
        self.director.send(Command::Peer(self.id, event)).await.map_err(|_| ())
    }

    /// A name for messages: the address, or "the embedded peer".
    fn name(&self) -> String {
        match &self.reach {
            Reach::Remote(address) => address.url.clone(),
            #[cfg(feature = "embedded-peer")]
            Reach::Embedded(_) => "the embedded peer".into(),
        }
    }

    /// Opens a link.
    async fn open(&self) -> Result<Connection, String> {
        match &self.reach {
            Reach::Remote(address) => {
                let options = DialOptions { tls_pin: address.tls_pin, ..DialOptions::default() };
                dial(&address.url, address.token.as_deref(), &options).await.map_err(|error| error.to_string())
            }
            #[cfg(feature = "embedded-peer")]
            Reach::Embedded(server) => {
                let (ours, theirs) = rayloom_transport::loopback();
                let server = Arc::clone(server);
                tokio::spawn(async move { server.serve_connection(theirs).await });
                Ok(ours)
            }
        }
    }

    /// Exchanges hellos and serves until the link ends; says how it ended.
    async fn attend(&mut self, connection: &mut Connection) -> PeerEvent {
        match self.greet(connection).await {
            Ok(info) => PeerEvent::Lost { cause: self.serve(connection, info).await },
            Err(cause) => PeerEvent::Unreachable { cause },
        }
    }

    async fn greet(&self, connection: &mut Connection) -> Result<PeerInfo, String> {
        let agent = format!("rayloom {}", env!("CARGO_PKG_VERSION"));
        let hello = Message::Hello(Hello { versions: VERSION, agent, role: Role::Engine });
        let sent = connection.link.send(Channel::Control, hello.encode());
        sent.map_err(|error| format!("{}: {error}", self.name()))?;
        tokio::time::timeout(HELLO_TIMEOUT, self.expect_hello(connection))
            .await
            .unwrap_or_else(|_| Err(format!("{} connected but said nothing for {HELLO_TIMEOUT:?}", self.name())))
    }

    async fn expect_hello(&self, connection: &mut Connection) -> Result<PeerInfo, String> {
        let name = self.name();
        let refuse = |code, reason: String| {
            let message = Message::Refused(Refused { code, reason: reason.clone() });
            // The link ends either way; what can't be sent any more is also said by its closing.
            if connection.link.send(Channel::Control, message.encode()).is_err() {
                tracing::debug!("{name} was gone before it could be refused");
            }
            connection.link.close(&reason);
            Err(format!("{name}: {reason}"))
        };
        let bytes = loop {
            match connection.events.next().await {
                Some(LinkEvent::Message(Channel::Control, bytes)) => break bytes,
                Some(LinkEvent::Message(..)) => {}
                Some(LinkEvent::Closed { reason }) => return Err(format!("{name}: {reason}")),
                None => return Err(format!("{name} closed the link before its hello")),
            }
        };
        match Message::decode(bytes) {
            Ok(Message::Hello(hello)) => {
                if VERSION.agree(hello.versions).is_none() {
                    let theirs = hello.versions;
                    let text =
                        format!("this side speaks protocol versions {VERSION}, the peer {theirs}: update the older");
                    return refuse(RefusalCode::Version, text);
                }
                match hello.role {
                    Role::Peer(info) if info.stored_traces && !self.accept_stored_traces => {
                        refuse(RefusalCode::Protocol, "the peer answers with stored captures, for benches only".into())
                    }
                    Role::Peer(info) => Ok(info),
                    Role::Engine => refuse(RefusalCode::Role, "the other side is an engine too, not a peer".into()),
                }
            }
            Ok(Message::Refused(refused)) => Err(format!("{name} refused: {}", refused.reason)),
            Ok(_) => refuse(RefusalCode::Protocol, "the first message was no hello".into()),
            Err(error) => refuse(RefusalCode::Protocol, error.to_string()),
        }
    }

    /// Serves an open link until it ends; says why it ended.
    async fn serve(&mut self, connection: &mut Connection, info: PeerInfo) -> String {
        let name = self.name();
        let link = Arc::clone(&connection.link);
        let traits = access::traits(&info, self.reach.is_trusted());
        let description = match &self.reach {
            Reach::Remote(_) => format!("{} at {name}", info.device),
            #[cfg(feature = "embedded-peer")]
            Reach::Embedded(_) => info.device.clone(),
        };
        let connected = PeerEvent::Connected { link: Arc::clone(&link), description, info };
        if self.tell(connected).await.is_err() {
            return ENDED.into();
        }
        let uploads = upload::start(Arc::clone(&link), Arc::clone(&self.blobs));
        let mut offered: Vec<u64> = Vec::new();
        // A peer that has begun with a revision waits for all its blobs, also when the engine has let it go meanwhile.
        let mut unanswered: BTreeMap<u64, Arc<BlobLease>> = BTreeMap::new();
        let mut decoding = Decoding::default();
        let mut ping = tokio::time::interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.offers.mark_changed();
        loop {
            tokio::select! {
                event = connection.events.next() => match event {
                    Some(LinkEvent::Message(_, bytes)) => match self.take(bytes, &uploads, &mut unanswered, &mut decoding).await {
                        Ok(()) => {}
                        Err(cause) => break cause,
                    },
                    Some(LinkEvent::Closed { reason }) => break format!("{name}: {reason}"),
                    None => break format!("{name} closed the link"),
                },
                changed = self.offers.changed() => {
                    if changed.is_err() {
                        break ENDED.into();
                    }
                    let mut now = self.offers.borrow_and_update().clone();
                    now.retain(|known| known.needs.unmet(&traits).is_none());
                    let mut new = now.iter().filter(|known| !offered.contains(&known.offer.revision));
                    let result = new.try_for_each(|Offered { offer, blobs, .. }| {
                        unanswered.insert(offer.revision, Arc::clone(blobs));
                        link.send(Channel::Control, Message::SceneOffer(offer.clone()).encode())
                    });
                    if let Err(error) = result {
                        break format!("{name}: a scene could not be offered: {error}");
                    }
                    if unanswered.len() > OFFERS_UNANSWERED {
                        break format!("{name} answers no scene offers");
                    }
                    offered = now.iter().map(|known| known.offer.revision).collect();
                },
                _ = ping.tick() => {
                    let message = Message::Ping(Ping { sent_ns: self.clock.now_ns() });
                    if let Err(error) = link.send(Channel::Control, message.encode()) {
                        tracing::debug!("{name}: no ping: {error}");
                    }
                },
            }
        }
    }

    /// One message of the peer; an error ends the link.
    async fn take(
        &self,
        bytes: Bytes,
        uploads: &mpsc::Sender<BlobNeed>,
        unanswered: &mut BTreeMap<u64, Arc<BlobLease>>,
        decoding: &mut Decoding,
    ) -> Result<(), String> {
        let arrived_ns = self.clock.now_ns();
        let name = self.name();
        let event = match Message::decode(bytes).map_err(|error| format!("{name} broke the protocol: {error}"))? {
            Message::TileSlice(slice) => {
                let task = slice.task;
                match self.decode(slice, arrived_ns, decoding).await {
                    Ok(arrived) => PeerEvent::Slice(arrived),
                    Err((flaw, error)) => {
                        tracing::warn!("{name} sent a slice that can't be used: {error}");
                        PeerEvent::TileCorrupt { task, flaw }
                    }
                }
            }
            Message::TileDone(done) => PeerEvent::TileDone { done, arrived_ns },
            Message::TaskRefused(refused) => PeerEvent::TaskRefused(refused),
            Message::Leaving(Leaving { within_ms, reason }) => {
                PeerEvent::Leaving { cause: format!("{name}: {reason}, within {within_ms} ms") }
            }
            Message::Pong(pong) => {
                let (rtt_ns, offset_ns) = pong.measure(arrived_ns);
                PeerEvent::Clock { rtt_ns, offset_ns }
            }
            Message::SceneStatus(status) => {
                if matches!(status.stage, SceneStage::Ready | SceneStage::Failed { .. }) {
                    unanswered.remove(&status.revision);
                }
                PeerEvent::Scene(status)
            }
            Message::BlobNeed(mut need) => {
                // What was not offered to this peer it does not get, whatever it knows of it.
                need.blobs.retain(|(id, _)| unanswered.values().any(|offered| offered.holds(&BlobId(*id))));
                return uploads.try_send(need).map_err(|_| format!("{name} asks for more blobs than it takes"));
            }
            Message::Refused(refused) => return Err(format!("{name}: {}", refused.reason)),
            other => return Err(format!("{name} sent a message that peers don't send: {other:?}")),
        };
        self.tell(event).await.map_err(|()| ENDED.into())
    }

    /// Decodes here, so that several links' slices are decoded at the same time and the director only places them.
    async fn decode(
        &self,
        slice: TileSlice,
        arrived_ns: u64,
        decoding: &mut Decoding,
    ) -> Result<ArrivedSlice, (Flaw, String)> {
        let TileSlice { task, index, count, plane, scale, codec, rect, payload, .. } = slice;
        let coded_bytes = payload.len();
        // The view that it is for is the director's to know; the tile's rectangle is checked there.
        let limits = DecodeLimits::new(Extent::new(limits::VIEW_SIDE, limits::VIEW_SIDE));
        let slice = Slice { plane, scale, codec, rect, payload };
        let decoded = decoding.decoder.decode(&slice, limits);
        let decoded = decoded.map_err(|error| (Flaw::WrongSize, error.to_string()))?;
        if let Some(pixel) = decoded.impossible() {
            return Err((Flaw::NotFinite, format!("{pixel}, which nobody can have traced")));
        }
        let kib =
            u32::try_from(decoded_bytes(&decoded).div_ceil(1024)).unwrap_or(DECODED_AHEAD_KIB).min(DECODED_AHEAD_KIB);
        let memory = Arc::clone(&decoding.memory).acquire_many_owned(kib).await;
        let memory = memory.expect("nobody closes the semaphore");
        Ok(ArrivedSlice { task, index, count, coded_bytes, arrived_ns, decoded, _memory: memory })
    }
}

/// Resolves when the session has ended: its director holds the sender.
async fn ended(offers: &mut watch::Receiver<Vec<Offered>>) {
    while offers.changed().await.is_ok() {}
}

/// What decodes a link's slices, and the memory that they may take before the director has them.
struct Decoding {
    decoder: Decoder,
    memory: Arc<Semaphore>,
}

impl Default for Decoding {
    fn default() -> Decoding {
        Decoding { decoder: Decoder::default(), memory: Arc::new(Semaphore::new(DECODED_AHEAD_KIB as usize)) }
    }
}
