//! Addresses that nobody can have, for paths of which the ICE agent knows nothing: over TCP, or through a relay.
//!
//! The agent of webrtc 0.21 is left to believe in UDP between two sockets. Each other path is a remote address of its own to
//! it, and what it sends there goes where that path leads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Reserved for ever (RFC 1112, 4): 240.0.0.0/4.
const RESERVED_IPV4: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 0);
/// Discarded everywhere (RFC 6666): 100::/64.
const DISCARDED_IPV6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0);
/// The lower half of the reserved block: in the upper one is the address of broadcasts.
const NUMBERS: u32 = 1 << 27;
/// The port of addresses that stand in: discard.
const PORT: u16 = 9;

/// Pairs of an address that stands in and the one that it stands in for.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    /// How many there ever were: an address is not given again before all others were.
    given: u32,
    pairs: Vec<(SocketAddr, SocketAddr)>,
}

impl StandIns {
    /// Stands an address in for the remote one, in a family that this side's sockets have.
    pub(super) fn add(&mut self, remote: SocketAddr, ipv4: bool) -> SocketAddr {
        self.given = self.given % (NUMBERS - 1) + 1;
        let ip: IpAddr = match ipv4 {
            true => Ipv4Addr::from_bits(RESERVED_IPV4.to_bits() | self.given).into(),
            false => Ipv6Addr::from_bits(DISCARDED_IPV6.to_bits() | u128::from(self.given)).into(),
        };
        let stands_in = SocketAddr::new(ip, PORT);
        self.pairs.push((stands_in, remote));
        stands_in
    }

    /// What an address stands in for.
    pub(super) fn remote(&self, stands_in: SocketAddr) -> Option<SocketAddr> {
        self.pairs.iter().find(|pair| pair.0 == stands_in).map(|pair| pair.1)
    }

    /// What stands in for an address.
    pub(super) fn of(&self, remote: SocketAddr) -> Option<SocketAddr> {
        self.pairs.iter().find(|pair| pair.1 == remote).map(|pair| pair.0)
    }

    /// Forgets a remote address.
    pub(super) fn remove(&mut self, remote: SocketAddr) {
        self.pairs.retain(|pair| pair.1 != remote);
    }

    /// All remote addresses.
    pub(super) fn remotes(&self) -> impl Iterator<Item = SocketAddr> {
        self.pairs.iter().map(|pair| pair.1)
    }
}

/// True for addresses that may stand in for others.
pub(super) fn may_stand_in(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] & 0xf8 == RESERVED_IPV4.octets()[0],
        IpAddr::V6(ip) => ip.segments()[..4] == DISCARDED_IPV6.segments()[..4],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_in_for_one_each_and_are_not_given_again() {
        let mut stand_ins = StandIns::default();
        let remote = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let (first, second) = (stand_ins.add(remote(1), true), stand_ins.add(remote(2), true));
        assert_eq!((first.to_string().as_str(), second.to_string().as_str()), ("240.0.0.1:9", "240.0.0.2:9"));
        assert!(may_stand_in(first.ip()));
        assert_eq!((stand_ins.remote(first), stand_ins.of(remote(2))), (Some(remote(1)), Some(second)));
        stand_ins.remove(remote(1));
        assert_eq!((stand_ins.remote(first), stand_ins.of(remote(1))), (None, None));
        let again = stand_ins.add(remote(1), false);
        assert_eq!(again.to_string(), "[100::3]:9");
        assert!(may_stand_in(again.ip()));
        stand_ins.given = NUMBERS - 1;
        assert_eq!(stand_ins.add(remote(4), true), first, "from the start again, and never broadcast");
        for real in ["10.0.0.1", "239.255.255.255", "255.255.255.255", "2001:db8::1", "100:0:0:1::1"] {
            assert!(!may_stand_in(real.parse().unwrap()), "{real}");
        }
    }
}
