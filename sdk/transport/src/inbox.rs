//! The bounded queue between what arrives and who reads it.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::link::{Channel, LinkEvent};

/// Most messages that may wait per channel: bounds what empty messages cost.
pub(crate) const QUEUE_MESSAGES: usize = 16_384;
/// What was read is announced to a remote sender after this share of the bound.
const ANNOUNCED_SHARE: usize = 8;

/// Why a message was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    Full,
    Closed,
}

#[derive(Clone, Copy, Default)]
struct Waiting {
    messages: usize,
    bytes: usize,
}

/// What the reader has taken out since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(Channel, Bytes)>,
    waiting: [Waiting; 3],
    taken: [Taken; 3],
    announced: [Taken; 3],
    closed: Option<String>,
    told_closed: bool,
}

impl State {
    fn worth_announcing(&self, channel: Channel) -> bool {
        let (taken, announced) = (self.taken[channel.index()], self.announced[channel.index()]);
        taken.bytes - announced.bytes >= (channel.send_limit_bytes() / ANNOUNCED_SHARE) as u64
            || taken.messages - announced.messages >= (QUEUE_MESSAGES / ANNOUNCED_SHARE) as u64
    }
}

/// Messages in order of arrival, bounded per channel by [`Channel::send_limit_bytes`], then the reason of the end.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    readable: Notify,
    /// Woken when a message was taken out or the connection ended.
    room: Notify,
    /// Woken when enough was taken out to tell a remote sender.
    announce: Notify,
}

impl Inbox {
    pub(crate) fn try_push(&self, channel: Channel, message: &Bytes) -> Result<(), Rejected> {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return Err(Rejected::Closed);
        }
        let waiting = &mut state.waiting[channel.index()];
        if waiting.bytes + message.len() > channel.send_limit_bytes() || waiting.messages == QUEUE_MESSAGES {
            return Err(Rejected::Full);
        }
        waiting.bytes += message.len();
        waiting.messages += 1;
        state.queue.push_back((channel, message.clone()));
        drop(state);
        self.readable.notify_one();
        Ok(())
    }

    pub(crate) fn waiting_bytes(&self, channel: Channel) -> usize {
        self.state.lock().waiting[channel.index()].bytes
    }

    /// Waits until at most `bytes` of the channel wait and a message has its place; `Err` once closed.
    pub(crate) async fn drained_to(&self, channel: Channel, bytes: usize) -> Result<(), Rejected> {
        loop {
            let mut woken = std::pin::pin!(self.room.notified());
            woken.as_mut().enable();
            {
                let state = self.state.lock();
                if state.closed.is_some() {
                    return Err(Rejected::Closed);
                }
                let waiting = state.waiting[channel.index()];
                if waiting.bytes <= bytes && waiting.messages < QUEUE_MESSAGES {
                    return Ok(());
                }
            }
            woken.await;
        }
    }

    /// Waits until the reader has taken out so much that the sender should know; gives the totals.
    pub(crate) async fn to_announce(&self) -> (Channel, Taken) {
        loop {
            let woken = self.announce.notified();
            {
                let mut state = self.state.lock();
                for channel in Channel::ALL {
                    if state.worth_announcing(channel) {
                        let taken = state.taken[channel.index()];
                        state.announced[channel.index()] = taken;
                        return (channel, taken);
                    }
                }
            }
            woken.await;
        }
    }

    /// Nothing is queued after this. The first reason counts; says whether this was the first.
    pub(crate) fn close(&self, reason: &str) -> bool {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return false;
        }
        state.closed = Some(reason.to_owned());
        drop(state);
        self.readable.notify_one();
        self.room.notify_waiters();
        true
    }

    pub(crate) fn try_next(&self) -> Option<LinkEvent> {
        let mut state = self.state.lock();
        if let Some((channel, message)) = state.queue.pop_front() {
            let waiting = &mut state.waiting[channel.index()];
            waiting.bytes -= message.len();
            waiting.messages -= 1;
            let taken = &mut state.taken[channel.index()];
            taken.messages += 1;
            taken.bytes += message.len() as u64;
            let announce = state.worth_announcing(channel);
            drop(state);
            self.room.notify_waiters();
            if announce {
                self.announce.notify_one();
            }
            return Some(LinkEvent::Message(channel, message));
        }
        match &state.closed {
            Some(reason) if !state.told_closed => {
                let reason = reason.clone();
                state.told_closed = true;
                Some(LinkEvent::Closed { reason })
            }
            _ => None,
        }
    }

    /// The next event; `None` once [`LinkEvent::Closed`] was given. One reader at a time.
    pub(crate) async fn next(&self) -> Option<LinkEvent> {
        loop {
            let mut woken = std::pin::pin!(self.readable.notified());
            woken.as_mut().enable();
            if let Some(event) = self.try_next() {
                return Some(event);
            }
            if self.state.lock().told_closed {
                return None;
            }
            woken.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_arrived_comes_before_the_end_and_the_end_comes_once() {
        let inbox = Inbox::default();
        inbox.try_push(Channel::Bulk, &Bytes::from_static(b"last words")).unwrap();
        assert!(inbox.close("first"));
        assert!(!inbox.close("second"));
        assert_eq!(inbox.try_push(Channel::Bulk, &Bytes::new()), Err(Rejected::Closed));
        assert_eq!(inbox.next().await, Some(LinkEvent::Message(Channel::Bulk, Bytes::from_static(b"last words"))));
        assert_eq!(inbox.next().await, Some(LinkEvent::Closed { reason: "first".into() }));
        assert_eq!(inbox.next().await, None);
    }

    #[tokio::test]
    async fn what_was_read_is_announced_in_large_steps() {
        let inbox = Inbox::default();
        let message = Bytes::from(vec![0; 50_000]);
        for _ in 0..12 {
            inbox.try_push(Channel::Bulk, &message).unwrap();
        }
        for _ in 0..10 {
            inbox.try_next().unwrap();
        }
        assert!(futures_util::FutureExt::now_or_never(inbox.to_announce()).is_none(), "500,000 bytes are no eighth");
        inbox.try_next().unwrap();
        assert_eq!(inbox.to_announce().await, (Channel::Bulk, Taken { messages: 11, bytes: 550_000 }));
        assert!(futures_util::FutureExt::now_or_never(inbox.to_announce()).is_none());
    }

    #[test]
    fn empty_messages_are_bounded_too() {
        let inbox = Inbox::default();
        for _ in 0..QUEUE_MESSAGES {
            inbox.try_push(Channel::Control, &Bytes::new()).unwrap();
        }
        assert_eq!(inbox.try_push(Channel::Control, &Bytes::new()), Err(Rejected::Full));
        assert_eq!(inbox.try_push(Channel::Bulk, &Bytes::new()), Ok(()), "channels do not share a bound");
    }
}
