//! An open WebRTC connection: tasks that feed SCTP, drain it, tell what was read, watch for silence, and take leave.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ::webrtc::data_channel::{DataChannel, DataChannelEvent};
use ::webrtc::peer_connection::{PeerConnection, RTCPeerConnectionState};
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rayloom_wire::limits::{MESSAGE_BYTES, TEXT_BYTES};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::KeepAlive;
use super::outbox::Outbox;
use super::peer::{Channels, Peer};
use crate::inbox::{Inbox, Rejected, Taken};
use crate::link::{Channel, Connection, Events, Link, LinkStats, SendError, SocketBuffers, check_length};

/// Beyond this many bytes in flight the account is compared with SCTP's after every message.
const RECOUNT_BYTES: usize = 128 * 1024;
/// How long a goodbye may take before the connection is torn down without it.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long the side that was told goodbye keeps its sockets, so that its own answer gets out.
const LINGER: Duration = Duration::from_millis(250);

/// The transport's own words travel as text messages on the control channel; the application's are binary.
const PING: &str = "ping";
const BYE: &str = "bye ";
const READ: &str = "read ";

/// Why a connection ends, as far as it matters for taking leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// This side closes: say goodbye and wait for the other's.
    Here,
    /// The other side said goodbye: answer.
    There,
    /// Nobody is left to talk to.
    Lost,
}

struct Shared {
    inbox: Arc<Inbox>,
    outboxes: [Outbox; 3],
    received: [Received; 3],
    ending: watch::Sender<Option<Ending>>,
    settled: watch::Sender<bool>,
    /// The first reason to end counts.
    reason: Mutex<Option<String>>,
    last_heard: Mutex<Instant>,
    description: String,
    socket_buffers: Option<SocketBuffers>,
}

#[derive(Default)]
struct Received {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Shared {
    fn end(&self, reason: &str, ending: Ending) {
        {
            let mut first = self.reason.lock();
            if first.is_some() {
                return;
            }
            *first = Some(reason.to_owned());
        }
        // In this order: who has read of the end cannot send any more.
        for outbox in &self.outboxes {
            outbox.close();
        }
        self.inbox.close(reason);
        self.ending.send_replace(Some(ending));
    }

    fn heard(&self) {
        *self.last_heard.lock() = Instant::now();
    }

    /// Hands a message to the reader. There is room for all that the other side may send.
    fn deliver(&self, channel: Channel, message: &Bytes) {
        let received = &self.received[channel.index()];
        received.messages.fetch_add(1, Relaxed);
        received.bytes.fetch_add(message.len() as u64, Relaxed);
        // Once ended here, what still comes is dropped, until the goodbye is answered.
        if self.inbox.try_push(channel, message) == Err(Rejected::Full) {
            let reason = format!("the other side sent more on the {} channel than may wait unread", channel.name());
            self.end(&reason, Ending::Here);
        }
    }
}

/// Starts the tasks of an open connection. `guard` is held until the last of them has ended.
pub(super) async fn start(
    peer: Peer,
    channels: Channels,
    keep_alive: KeepAlive,
    remote: &str,
    guard: Box<dyn Any + Send>,
) -> Connection {
    let remote = peer.remote_address().await.unwrap_or_else(|| remote.to_owned());
    let shared = Arc::new(Shared {
        inbox: Arc::default(),
        outboxes: Channel::ALL.map(Outbox::new),
        received: Default::default(),
        ending: watch::Sender::new(None),
        settled: watch::Sender::new(false),
        reason: Mutex::default(),
        last_heard: Mutex::new(Instant::now()),
        description: format!("webrtc {remote}"),
        socket_buffers: peer.sockets.granted(),
    });
    let state = peer.state.clone();
    tokio::spawn(supervise(shared.clone(), channels, peer.into_connection(), state, keep_alive, guard));
    let on_drop = shared.clone();
    let events = Events::new(shared.inbox.clone(), move || on_drop.end("the reader was dropped", Ending::Here));
    Connection { link: Arc::new(WebRtcLink { shared }), events }
}

/// Owns everything that the connection holds, and returns when all of it is gone.
async fn supervise(
    shared: Arc<Shared>,
    channels: Channels,
    connection: Arc<dyn PeerConnection>,
    mut state: watch::Receiver<RTCPeerConnectionState>,
    keep_alive: KeepAlive,
    guard: Box<dyn Any + Send>,
) {
    let mut senders = JoinSet::new();
    let mut receivers = JoinSet::new();
    for channel in Channel::ALL {
        let data = &channels[channel.index()];
        senders.spawn(transmit(shared.clone(), channel, data.clone()));
        receivers.spawn(receive(shared.clone(), channel, data.clone()));
    }
    let control = channels[Channel::Control.index()].clone();
    let mut ending = shared.ending.subscribe();
    let ending = tokio::select! {
        ending = ending.wait_for(Option::is_some) => ending.ok().and_then(|ending| *ending).unwrap_or(Ending::Lost),
        never = watch_over(&shared, &control, &mut state, keep_alive) => match never {},
        never = announce(&shared, &control) => match never {},
    };
    match ending {
        Ending::Here => {
            // Senders end by themselves: control empties first, so that the goodbye comes after its last message.
            let goodbye = async {
                while senders.join_next().await.is_some() {}
                let reason = shared.reason.lock().clone().unwrap_or_default();
                if control.send_text(&format!("{BYE}{reason}")).await.is_ok() {
                    // The other side's answer, or its end, ends the receiver of the control channel.
                    while receivers.join_next().await.is_some_and(|done| done.ok() != Some(Channel::Control)) {}
                }
            };
            if tokio::time::timeout(FAREWELL, goodbye).await.is_err() {
                tracing::debug!(link = shared.description, "the goodbye was not answered");
            }
        }
        Ending::There => {
            let answer = async {
                if control.send_text(BYE).await.is_ok() {
                    while receivers.join_next().await.is_some() {}
                }
            };
            // Running out is the usual case where the other side leaves without a further word.
            let _ = tokio::time::timeout(LINGER, answer).await;
        }
        Ending::Lost => {}
    }
    if let Err(error) = connection.close().await {
        tracing::debug!(link = shared.description, %error, "closing the peer connection");
    }
    senders.shutdown().await;
    receivers.shutdown().await;
    drop(guard);
    shared.settled.send_replace(true);
}

/// Sends pings, and ends the connection when nothing is heard or ICE gives up. Runs until it is dropped.
async fn watch_over(
    shared: &Shared,
    control: &Arc<dyn DataChannel>,
    state: &mut watch::Receiver<RTCPeerConnectionState>,
    keep_alive: KeepAlive,
) -> std::convert::Infallible {
    let mut tick = tokio::time::interval(keep_alive.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_tick = Instant::now();
    let mut state_known = true;
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let now = Instant::now();
                // A process that was stopped or starved has not listened: it gives the other side another chance.
                let listened = now - last_tick < keep_alive.interval * 3;
                last_tick = now;
                if !listened {
                    shared.heard();
                }
                let silence = now.saturating_duration_since(*shared.last_heard.lock());
                if silence > keep_alive.silence {
                    let reason = format!("nothing was heard from the other side for {} ms", silence.as_millis());
                    shared.end(&reason, Ending::Lost);
                }
                // A full buffer is no reason to worry: what fills it is heard as well as a ping.
                let _ = control.try_send_text(PING).await;
            }
            changed = state.changed(), if state_known => {
                state_known = changed.is_ok();
                let now = *state.borrow_and_update();
                let reason = match now {
                    RTCPeerConnectionState::Failed => "no path to the other side was found, or none is left (ICE failed)",
                    RTCPeerConnectionState::Disconnected => "the path to the other side was lost",
                    RTCPeerConnectionState::Closed => "the connection to the other side was closed",
                    _ => continue,
                };
                shared.end(reason, Ending::Lost);
            }
        }
    }
}

/// Feeds one data channel from its outbox until that is closed.
async fn transmit(shared: Arc<Shared>, channel: Channel, data: Arc<dyn DataChannel>) {
    let outbox = &shared.outboxes[channel.index()];
    while let Some(message) = outbox.next().await {
        if data.send(BytesMut::from(message)).await.is_err() {
            shared.end("the data channel was closed", Ending::Lost);
            return;
        }
        if outbox.in_flight_bytes() >= RECOUNT_BYTES {
            recount(outbox, &data).await;
        }
    }
}

async fn recount(outbox: &Outbox, data: &Arc<dyn DataChannel>) {
    if let Ok(bytes) = data.outstanding_bytes().await {
        outbox.set_in_flight(bytes);
    }
}

/// Drains one data channel until it ends or, on the control channel, a goodbye comes.
async fn receive(shared: Arc<Shared>, channel: Channel, data: Arc<dyn DataChannel>) -> Channel {
    let outbox = &shared.outboxes[channel.index()];
    while let Some(event) = data.poll().await {
        match event {
            DataChannelEvent::OnMessage(message) => {
                shared.heard();
                if message.is_string {
                    if let Some(reason) = goodbye(&message.data) {
                        shared.end(&reason, Ending::There);
                        return channel;
                    }
                    if let Some((channel, taken)) = announcement(&message.data)
                        && !shared.outboxes[channel.index()].was_read(taken)
                    {
                        shared.end("the other side announced more than it was sent", Ending::Here);
                    }
                } else if message.data.len() > MESSAGE_BYTES {
                    let reason = format!("a message of {} bytes came, {MESSAGE_BYTES} are allowed", message.data.len());
                    shared.end(&reason, Ending::Here);
                } else {
                    shared.deliver(channel, &message.data.freeze());
                }
            }
            DataChannelEvent::OnBufferedAmountLow => recount(outbox, &data).await,
            DataChannelEvent::OnClosing | DataChannelEvent::OnClose => break,
            _ => {}
        }
    }
    shared.end("the other side went away without a goodbye", Ending::Lost);
    channel
}

/// Tells the other side what was read here, so that it may send on. Runs until it is dropped.
async fn announce(shared: &Shared, control: &Arc<dyn DataChannel>) -> std::convert::Infallible {
    loop {
        let (channel, Taken { messages, bytes }) = shared.inbox.to_announce().await;
        if control.send_text(&format!("{READ}{} {messages} {bytes}", channel.name())).await.is_err() {
            shared.end("the data channel was closed", Ending::Lost);
        }
    }
}

/// Channel and totals in an announcement.
fn announcement(text: &[u8]) -> Option<(Channel, Taken)> {
    let mut words = std::str::from_utf8(text.strip_prefix(READ.as_bytes())?).ok()?.split(' ');
    let channel = Channel::from_name(words.next()?)?;
    let (messages, bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((channel, Taken { messages, bytes }))
}

/// The reason in a goodbye, cut to a length that fits a log line.
fn goodbye(text: &[u8]) -> Option<String> {
    let reason = text.strip_prefix(BYE.as_bytes())?;
    let reason = String::from_utf8_lossy(&reason[..reason.len().min(TEXT_BYTES)]);
    Some(if reason.is_empty() { "the other side closed".to_owned() } else { reason.into_owned() })
}

struct WebRtcLink {
    shared: Arc<Shared>,
}

impl Link for WebRtcLink {
    fn send(&self, channel: Channel, message: Bytes) -> Result<(), SendError> {
        check_length(&message)?;
        self.shared.outboxes[channel.index()].push(message)
    }

    fn outstanding_bytes(&self, channel: Channel) -> usize {
        self.shared.outboxes[channel.index()].outstanding_bytes()
    }

    fn writable(&self, channel: Channel) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(self.shared.outboxes[channel.index()].writable())
    }

    fn close(&self, reason: &str) {
        self.shared.end(reason, Ending::Here);
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        let mut settled = self.shared.settled.subscribe();
        Box::pin(async move {
            // The sender lives as long as this link.
            let _ = settled.wait_for(|settled| *settled).await;
        })
    }

    fn stats(&self) -> LinkStats {
        let mut stats = LinkStats { socket_buffers: self.shared.socket_buffers, ..Default::default() };
        for channel in Channel::ALL {
            let received = &self.shared.received[channel.index()];
            let counters = &mut stats.channels[channel.index()];
            *counters = self.shared.outboxes[channel.index()].counters();
            counters.messages_received = received.messages.load(Relaxed);
            counters.bytes_received = received.bytes.load(Relaxed);
        }
        stats
    }

    fn description(&self) -> String {
        self.shared.description.clone()
    }
}

impl Drop for WebRtcLink {
    fn drop(&mut self) {
        self.shared.end("the link was dropped", Ending::Here);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_parse_or_are_ignored() {
        let taken = Taken { messages: 3, bytes: 70_000 };
        assert_eq!(announcement(b"read bulk 3 70000"), Some((Channel::Bulk, taken)));
        for other in ["ping", "read ", "read bulk", "read bulk 3", "read sofa 3 4", "read bulk -1 4", "read bulk 3 4e9"]
        {
            assert_eq!(announcement(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_goodbye_is_cut_and_never_trusted_to_be_text() {
        assert_eq!(goodbye(b"ping"), None);
        assert_eq!(goodbye(b"bye enough for today").as_deref(), Some("enough for today"));
        assert_eq!(goodbye(b"bye ").as_deref(), Some("the other side closed"));
        let long = [BYE.as_bytes(), &vec![0xff; 100_000]].concat();
        assert_eq!(goodbye(&long).map(|reason| reason.chars().count()), Some(TEXT_BYTES));
    }
}
