//! What one channel still has to send: a queue of our own, and an account of what SCTP holds.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::link::{Channel, ChannelStats, SendError};

/// Most messages that may wait: bounds what empty messages cost.
const QUEUE_MESSAGES: usize = 16_384;

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    /// Handed to SCTP and, as far as is known, not acknowledged. May be too high for a moment, never too low.
    in_flight_bytes: usize,
    closed: bool,
    counters: ChannelStats,
}

pub(super) struct Outbox {
    channel: Channel,
    state: Mutex<State>,
    work: Notify,
    /// Woken when something left, or at the end.
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
        let (outstanding_bytes, limit) =
            (state.queued_bytes + state.in_flight_bytes, self.channel.send_limit_bytes());
        if outstanding_bytes + message.len() > limit || state.queue.len() == QUEUE_MESSAGES {
            state.counters.refused_full += 1;
            return Err(SendError::Full { outstanding_bytes, limit });
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
        self.room.notify_waiters();
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
                if state.queued_bytes + state.in_flight_bytes <= self.channel.low_water_bytes()
                    && state.queue.len() < QUEUE_MESSAGES
                {
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
    async fn the_control_channel_empties_before_it_ends() {
        let outbox = Outbox::new(Channel::Control);
        outbox.push(Bytes::from_static(b"refused")).unwrap();
        outbox.close();
        assert_eq!(outbox.next().await, Some(Bytes::from_static(b"refused")));
        assert_eq!(outbox.next().await, None);
    }
}
