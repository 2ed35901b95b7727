//! Channels of an allocation (RFC 8656, 12): numbers that stand for remote addresses, so that a datagram costs 4 bytes more
//! instead of 36.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Numbers that a client may give.
const FIRST: u16 = 0x4000;
const LAST: u16 = 0x4fff;
/// A server forgets a binding after this, and its number may stand for another address only so much later.
const LASTS: Duration = Duration::from_secs(600);
const QUARANTINE: Duration = Duration::from_secs(300);
/// A binding that is wanted is made again after this.
const RENEW_AFTER: Duration = Duration::from_secs(300);

/// All channels: those in use, and those whose numbers may not be given again yet.
#[derive(Debug, Default)]
pub(super) struct Channels {
    by_remote: HashMap<SocketAddr, Channel>,
    by_number: HashMap<u16, SocketAddr>,
    given: u16,
}

#[derive(Debug)]
struct Channel {
    number: u16,
    /// When to ask for it; `None` while it is asked for, or nobody wants it.
    due: Option<Instant>,
    wanted: bool,
    /// From the server's word on.
    bound_until: Option<Instant>,
    /// When the number may stand for another address.
    free_at: Instant,
}

impl Channels {
    /// These remotes and no others shall have channels; those for which no number is left have none.
    pub(super) fn want(&mut self, now: Instant, remotes: &HashSet<SocketAddr>) {
        self.by_remote.retain(|_, channel| channel.wanted || channel.free_at > now);
        self.by_number.retain(|_, remote| self.by_remote.contains_key(remote));
        for (remote, channel) in &mut self.by_remote {
            let wanted = remotes.contains(remote);
            match (channel.wanted, wanted) {
                (false, true) => channel.due = Some(now),
                (true, false) => channel.due = None,
                _ => (),
            }
            channel.wanted = wanted;
        }
        for remote in remotes {
            if self.by_remote.contains_key(remote) {
                continue;
            }
            let Some(number) = self.unused() else { return };
            self.given = number - FIRST + 1;
            self.by_number.insert(number, *remote);
            let channel = Channel { number, due: Some(now), wanted: true, bound_until: None, free_at: now };
            self.by_remote.insert(*remote, channel);
        }
    }

    /// The next free number; they are given in turn, so that each rests for long.
    fn unused(&self) -> Option<u16> {
        let numbers = LAST - FIRST + 1;
        let mut in_turn = (0..numbers).map(|step| FIRST + (self.given + step) % numbers);
        in_turn.find(|number| !self.by_number.contains_key(number))
    }

    /// Takes one that is to be asked for now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(u16, SocketAddr)> {
        let due = |channel: &Channel| channel.due.is_some_and(|due| due <= now);
        let (remote, channel) = self.by_remote.iter_mut().find(|(_, channel)| due(channel))?;
        channel.due = None;
        // The server may have it bound from the request on, whether its answer comes or not.
        channel.free_at = now + LASTS + QUARANTINE;
        Some((channel.number, *remote))
    }

    /// The server has bound it.
    pub(super) fn bound(&mut self, now: Instant, remote: SocketAddr) {
        if let Some(channel) = self.by_remote.get_mut(&remote) {
            channel.bound_until = Some(now + LASTS);
            channel.due = channel.wanted.then_some(now + RENEW_AFTER);
        }
    }

    /// It was not bound; it may be asked for again at that time.
    pub(super) fn missed(&mut self, again: Instant, remote: SocketAddr) {
        if let Some(channel) = self.by_remote.get_mut(&remote) {
            channel.due = channel.wanted.then_some(again);
        }
    }

    /// When there is something to ask for.
    pub(super) fn due(&self) -> Option<Instant> {
        self.by_remote.values().filter_map(|channel| channel.due).min()
    }

    /// The number that stands for an address at the server now.
    pub(super) fn number(&self, now: Instant, remote: SocketAddr) -> Option<u16> {
        let channel = self.by_remote.get(&remote)?;
        channel.bound_until.is_some_and(|until| now < until).then_some(channel.number)
    }

    /// What a number stands for.
    pub(super) fn remote(&self, number: u16) -> Option<SocketAddr> {
        self.by_number.get(&number).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn remotes(ports: impl IntoIterator<Item = u16>) -> HashSet<SocketAddr> {
        ports.into_iter().map(remote).collect()
    }

    #[test]
    fn a_channel_is_renewed_while_it_is_wanted() {
        let (mut channels, start) = (Channels::default(), Instant::now());
        channels.want(start, &remotes([1]));
        let (number, asked) = channels.take_due(start).unwrap();
        assert_eq!((number, asked, channels.due()), (FIRST, remote(1), None));
        assert_eq!(channels.number(start, remote(1)), None, "not before the server says so");
        channels.bound(start, remote(1));
        assert_eq!((channels.number(start, remote(1)), channels.remote(number)), (Some(number), Some(remote(1))));
        assert_eq!(channels.due(), Some(start + RENEW_AFTER));
        assert_eq!(channels.number(start + LASTS, remote(1)), None, "the server has forgotten it");
        channels.want(start, &remotes([]));
        assert_eq!(channels.due(), None);
    }

    #[test]
    fn a_number_rests_before_it_stands_for_another_address() {
        let (mut channels, start) = (Channels::default(), Instant::now());
        let all = remotes(1..=LAST - FIRST + 1);
        channels.want(start, &all);
        while let Some((_, remote)) = channels.take_due(start) {
            channels.bound(start, remote);
        }
        channels.want(start, &remotes([9_999]));
        assert_eq!(channels.take_due(start), None, "all numbers are taken");
        channels.want(start, &remotes([5]));
        assert_eq!(channels.take_due(start).map(|(_, remote)| remote), Some(remote(5)), "the same address may again");
        let rested = start + LASTS + QUARANTINE;
        channels.want(rested, &remotes([9_999]));
        assert_eq!(channels.take_due(rested).map(|(_, remote)| remote), Some(remote(9_999)));
        assert_eq!(channels.by_remote.len(), channels.by_number.len());
    }
}
