//! The one trait that every kind of connection implements, and what its two ends see.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rayloom_wire::limits::MESSAGE_BYTES;

use crate::inbox::Inbox;

/// What a message travels on. Channels do not wait for one another; each has its own bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Ordered, reliable, small: handshake, status, clock, tasks.
    Control,
    /// Ordered, reliable, large: parts of blobs.
    Bulk,
    /// Reliable, **unordered**: slices of results, each decodable alone.
    Frames,
}

impl Channel {
    /// Every channel, in the order of [`Channel::index`].
    pub const ALL: [Channel; 3] = [Channel::Control, Channel::Bulk, Channel::Frames];

    /// Position in arrays that hold one value per channel.
    pub const fn index(self) -> usize {
        match self {
            Channel::Control => 0,
            Channel::Bulk => 1,
            Channel::Frames => 2,
        }
    }

    /// Name in logs and, for WebRTC, the label of the data channel.
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Control => "control",
            Channel::Bulk => "bulk",
            Channel::Frames => "frames",
        }
    }

    /// The channel of that name.
    pub fn from_name(name: &str) -> Option<Channel> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }

    /// Most bytes that may wait: to be sent, on the way, or unread by the other side. A send beyond is
    /// [`SendError::Full`].
    pub const fn send_limit_bytes(self) -> usize {
        match self {
            Channel::Control => 1 << 20,
            Channel::Bulk => 4 << 20,
            Channel::Frames => 4 << 20,
        }
    }

    /// [`Link::writable`] resolves once no more than this waits.
    pub const fn low_water_bytes(self) -> usize {
        self.send_limit_bytes() / 2
    }

    /// Whether messages arrive in the order in which they were sent.
    pub const fn ordered(self) -> bool {
        !matches!(self, Channel::Frames)
    }
}

/// Why a message was not taken. The message is gone only in the caller's sense: it was never queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Longer than any message may be.
    #[error("a message of {bytes} bytes is longer than {limit}: cut it into parts")]
    TooLarge {
        /// Length of the message.
        bytes: usize,
        /// Longest message.
        limit: usize,
    },
    /// The channel holds as much as it may: drop what is stale, or wait for [`Link::writable`].
    #[error("{outstanding_bytes} bytes of at most {limit} wait to be sent or read: drop what is stale, or wait")]
    Full {
        /// Bytes sent on this channel and not read, as far as is known.
        outstanding_bytes: usize,
        /// Most that may wait.
        limit: usize,
    },
    /// The connection has ended; [`LinkEvent::Closed`] says why.
    #[error("the connection is closed")]
    Closed,
}

/// The sending half of a connection. Dropping the last handle closes the connection.
pub trait Link: Send + Sync + 'static {
    /// Queues a message. Never blocks.
    fn send(&self, channel: Channel, message: Bytes) -> Result<(), SendError>;

    /// Bytes accepted on this channel that have not arrived at the other side, as far as this side knows. Never too low.
    fn outstanding_bytes(&self, channel: Channel) -> usize;

    /// Waits until at most [`Channel::low_water_bytes`] wait anywhere, unread by the other side included; an error once
    /// the connection is closed.
    fn writable(&self, channel: Channel) -> BoxFuture<'_, Result<(), SendError>>;

    /// Ends the connection. Both sides get [`LinkEvent::Closed`] with this reason. What was sent on
    /// [`Channel::Control`] before arrives first; the other channels give no such promise. Idempotent: the first reason counts.
    fn close(&self, reason: &str);

    /// Waits, once the connection has ended, until nothing of it is on its way any more: the last words and the reason have
    /// arrived, or were given up after a second. Who ends the process waits for this, or takes them with it.
    fn settled(&self) -> BoxFuture<'_, ()>;

    /// Counters since the connection opened.
    fn stats(&self) -> LinkStats;

    /// Kind and remote address for logs: `webrtc 127.0.0.1:4711`.
    fn description(&self) -> String;
}

/// Counters of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelStats {
    /// Messages accepted by [`Link::send`].
    pub messages_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Messages that arrived, read or not.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Sends refused with [`SendError::Full`].
    pub refused_full: u64,
    /// Bytes waiting to be sent now.
    pub outstanding_bytes: usize,
}

/// What the kernel granted a UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketBuffers {
    /// SO_RCVBUF in usable bytes.
    pub receive_bytes: usize,
    /// SO_SNDBUF in usable bytes.
    pub send_bytes: usize,
}

/// Counters of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Indexed by [`Channel::index`].
    pub channels: [ChannelStats; 3],
    /// Buffers of the smallest socket in use; `None` where there is no socket.
    pub socket_buffers: Option<SocketBuffers>,
}

impl LinkStats {
    /// Counters of one channel.
    pub fn channel(&self, channel: Channel) -> &ChannelStats {
        &self.channels[channel.index()]
    }
}

/// What arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// A message of the other side.
    Message(Channel, Bytes),
    /// The connection has ended. Comes exactly once and last.
    Closed {
        /// Why, in words that fit a log line.
        reason: String,
    },
}

/// The receiving half. A bounded queue: a reader that falls behind slows the sender down (its sends become
/// [`SendError::Full`]); nothing is dropped. Dropping it closes the connection.
pub struct Events {
    inbox: Arc<Inbox>,
    on_drop: Box<dyn Fn() + Send + Sync>,
}

impl Events {
    pub(crate) fn new(inbox: Arc<Inbox>, on_drop: impl Fn() + Send + Sync + 'static) -> Self {
        Self { inbox, on_drop: Box::new(on_drop) }
    }

    /// The next event; `None` after [`LinkEvent::Closed`]. Cancel safe.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        self.inbox.next().await
    }

    /// The next event if one is there already.
    pub fn try_next(&mut self) -> Option<LinkEvent> {
        self.inbox.try_next()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        (self.on_drop)();
    }
}

/// One open connection: both ends have the same.
pub struct Connection {
    /// Sends.
    pub link: Arc<dyn Link>,
    /// Receives.
    pub events: Events,
}

/// Every implementation refuses the same lengths.
pub(crate) fn check_length(message: &Bytes) -> Result<(), SendError> {
    if message.len() > MESSAGE_BYTES {
        return Err(SendError::TooLarge { bytes: message.len(), limit: MESSAGE_BYTES });
    }
    Ok(())
}
