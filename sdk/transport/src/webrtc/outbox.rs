//! What one channel still has to send: a queue of our own, an account of what SCTP holds, and of what the other side's
//! reader has not taken yet.
//!
//! The last bounds what may wait over there, so that its SCTP receive window never closes. A closed window is left again
//! only by probes whose distance doubles up to a minute (RFC 9260, 6.1 and 6.3.3): a lagging reader would stall the link
//! long after it has caught up.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::inbox::{QUEUE_MESSAGES, Taken};
use crate::link::{Channel, ChannelStats, SendError};

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    /// Handed to SCTP and, as far as is known, not acknowledged. May be too high for a moment, never too low.
    in_flight_bytes: usize,
    /// What the other side's reader has taken, by its last announcement.
    read: Taken,
    closed: bool,
    counters: ChannelStats,
}

impl State {
    /// Bytes that wait anywhere: here, in SCTP, or unread on the other side as far as is known.
    fn unread(&self) -> Taken {
        Taken {
            messages: self.counters.messages_sent - self.read.messages,
            bytes: self.counters.bytes_sent - self.read.bytes,
        }
    }

    fn has_room(&self, bytes: usize, limit: usize) -> bool {
        let unread = self.unread();
        unread.bytes + bytes as u64 <= limit as u64 && unread.messages < QUEUE_MESSAGES as u64
    }
}

pub(super) struct Outbox {
    channel: Channel,
    state: Mutex<State>,
    work: Notify,
    /// Woken when the other side has read, or at the end.
    room: Notify,
}

impl Outbox {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, state: Mutex::default(), work: Notify::new(), room: Notify::new() }
    }

    pub(super) fn push(&self, message: Bytes) -> Result<(), SendError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(SendError::Closed);
        }
        let limit = self.channel.send_limit_bytes();
        if !state.has_room(message.len(), limit) {
            state.counters.refused_full += 1;
            return Err(SendError::Full { outstanding_bytes: state.unread().bytes as usize, limit });
        }
        state.counters.messages_sent += 1;
        state.counters.bytes_sent += message.len() as u64;
        state.queued_bytes += message.len();
        state.queue.push_back(message);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    pub(super) fn outstanding_bytes(&self) -> usize {
        let state = self.state.lock();
        state.queued_bytes + state.in_flight_bytes
    }

    pub(super) fn in_flight_bytes(&self) -> usize {
        self.state.lock().in_flight_bytes
    }

    /// What SCTP says it holds.
    pub(super) fn set_in_flight(&self, bytes: usize) {
        self.state.lock().in_flight_bytes = bytes;
    }

    /// What the other side says it has read. `false` when that is more than was ever sent.
    pub(super) fn was_read(&self, read: Taken) -> bool {
        let mut state = self.state.lock();
        if read.bytes > state.counters.bytes_sent || read.messages > state.counters.messages_sent {
            return false;
        }
        state.read.bytes = state.read.bytes.max(read.bytes);
        state.read.messages = state.read.messages.max(read.messages);
        drop(state);
        self.room.notify_waiters();
        true
    }

    pub(super) fn counters(&self) -> ChannelStats {
        let state = self.state.lock();
        ChannelStats { outstanding_bytes: state.queued_bytes + state.in_flight_bytes, ..state.counters }
    }

    /// The next message to hand to SCTP; `None` once closed and, on the control channel, empty.
    pub(super) async fn next(&self) -> Option<Bytes> {
        loop {
            let woken = self.work.notified();
            {
                let mut state = self.state.lock();
                if state.closed && self.channel != Channel::Control {
                    return None;
                }
                if let Some(message) = state.queue.pop_front() {
                    state.queued_bytes -= message.len();
                    state.in_flight_bytes += message.len();
                    return Some(message);
                }
                if state.closed {
                    return None;
                }
            }
            woken.await;
        }
    }

    pub(super) async fn writable(&self) -> Result<(), SendError> {
        loop {
            let mut woken = std::pin::pin!(self.room.notified());
            woken.as_mut().enable();
            {
                let state = self.state.lock();
                if state.closed {
                    return Err(SendError::Closed);
                }
                if state.has_room(0, self.channel.low_water_bytes()) {
                    return Ok(());
                }
            }
            woken.await;
        }
    }

    /// Nothing is taken after this. What waits is still sent on the control channel, and dropped on the others.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        if self.channel != Channel::Control {
            state.queue.clear();
            state.queued_bytes = 0;
        }
        drop(state);
        self.work.notify_one();
        self.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_account_holds_what_waits_and_what_sctp_holds() {
        let outbox = Outbox::new(Channel::Bulk);
        outbox.push(Bytes::from(vec![0; 1000])).unwrap();
        outbox.push(Bytes::from(vec![0; 500])).unwrap();
        assert_eq!(outbox.next().await.map(|m| m.len()), Some(1000));
        assert_eq!((outbox.outstanding_bytes(), outbox.in_flight_bytes()), (1500, 1000));
        outbox.set_in_flight(0);
        assert_eq!(outbox.outstanding_bytes(), 500);
        outbox.close();
        assert_eq!(outbox.next().await, None, "bulk drops what waits");
        assert_eq!(outbox.push(Bytes::new()), Err(SendError::Closed));
    }

    #[tokio::test]
    async fn what_the_other_side_has_not_read_fills_the_channel() {
        let outbox = Outbox::new(Channel::Control);
        let message = Bytes::from(vec![0; 60_000]);
        while outbox.push(message.clone()).is_ok() {}
        for _ in 0..17 {
            outbox.next().await;
        }
        outbox.set_in_flight(0);
        assert_eq!(outbox.outstanding_bytes(), 0, "all of it has arrived");
        assert!(matches!(outbox.push(message.clone()), Err(SendError::Full { outstanding_bytes: 1_020_000, .. })));
        assert!(!outbox.was_read(Taken { messages: 18, bytes: 1_020_000 }), "more than was sent");
        assert!(outbox.was_read(Taken { messages: 9, bytes: 540_000 }));
        outbox.writable().await.unwrap();
        outbox.push(message).unwrap();
    }

    #[tokio::test]
    async fn the_control_channel_empties_before_it_ends() {
        let outbox = Outbox::new(Channel::Control);
        outbox.push(Bytes::from_static(b"refused")).unwrap();
        outbox.close();
        assert_eq!(outbox.next().await, Some(Bytes::from_static(b"refused")));
        assert_eq!(outbox.next().await, None);
    }
}
