//! A connection inside one process, for the embedded peer and for tests: no socket, no thread, no task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::inbox::{Inbox, Rejected};
use crate::link::{Channel, ChannelStats, Connection, Events, Link, LinkStats, SendError, check_length};

/// Two ends that talk to each other. Messages are handed over, not copied.
pub fn loopback() -> (Connection, Connection) {
    let (a, b) = (Arc::new(Side::default()), Arc::new(Side::default()));
    (connection(a.clone(), b.clone()), connection(b, a))
}

fn connection(own: Arc<Side>, other: Arc<Side>) -> Connection {
    let inbox = own.inbox.clone();
    let (own_inbox, other_inbox) = (own.inbox.clone(), other.inbox.clone());
    let events = Events::new(inbox, move || close_both(&own_inbox, &other_inbox, "the reader was dropped"));
    Connection { link: Arc::new(LoopbackLink { own, other }), events }
}

/// What has arrived at one end, and what that end has sent.
#[derive(Default)]
struct Side {
    inbox: Arc<Inbox>,
    sent: [Sent; 3],
}

#[derive(Default)]
struct Sent {
    messages: AtomicU64,
    bytes: AtomicU64,
    refused_full: AtomicU64,
}

struct LoopbackLink {
    own: Arc<Side>,
    other: Arc<Side>,
}

fn close_both(own: &Inbox, other: &Inbox, reason: &str) {
    if own.close(reason) {
        other.close(reason);
    }
}

impl Link for LoopbackLink {
    fn send(&self, channel: Channel, message: Bytes) -> Result<(), SendError> {
        check_length(&message)?;
        let sent = &self.own.sent[channel.index()];
        match self.other.inbox.try_push(channel, &message) {
            Ok(()) => {
                sent.messages.fetch_add(1, Relaxed);
                sent.bytes.fetch_add(message.len() as u64, Relaxed);
                Ok(())
            }
            Err(Rejected::Closed) => Err(SendError::Closed),
            Err(Rejected::Full) => {
                sent.refused_full.fetch_add(1, Relaxed);
                Err(SendError::Full {
                    outstanding_bytes: self.outstanding_bytes(channel),
                    limit: channel.send_limit_bytes(),
                })
            }
        }
    }

    fn outstanding_bytes(&self, channel: Channel) -> usize {
        self.other.inbox.waiting_bytes(channel)
    }

    fn writable(&self, channel: Channel) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(async move {
            self.other.inbox.drained_to(channel, channel.low_water_bytes()).await.map_err(|_| SendError::Closed)
        })
    }

    fn close(&self, reason: &str) {
        close_both(&self.own.inbox, &self.other.inbox, reason);
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        // What is sent has arrived.
        Box::pin(std::future::ready(()))
    }

    fn stats(&self) -> LinkStats {
        LinkStats {
            channels: Channel::ALL.map(|channel| {
                let (sent, received) = (&self.own.sent[channel.index()], &self.other.sent[channel.index()]);
                ChannelStats {
                    messages_sent: sent.messages.load(Relaxed),
                    bytes_sent: sent.bytes.load(Relaxed),
                    messages_received: received.messages.load(Relaxed),
                    bytes_received: received.bytes.load(Relaxed),
                    refused_full: sent.refused_full.load(Relaxed),
                    outstanding_bytes: self.outstanding_bytes(channel),
                }
            }),
            socket_buffers: None,
        }
    }

    fn description(&self) -> String {
        "loopback".to_owned()
    }
}

impl Drop for LoopbackLink {
    fn drop(&mut self) {
        self.close("the link was dropped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::LinkEvent;

    #[tokio::test]
    async fn a_dropped_end_is_a_closed_connection() {
        let (a, mut b) = loopback();
        drop(a.events);
        assert!(matches!(b.events.next().await, Some(LinkEvent::Closed { .. })));
        assert_eq!(a.link.send(Channel::Control, Bytes::new()), Err(SendError::Closed));
    }
}
