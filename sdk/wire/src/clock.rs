//! Clock offsets by four stamps (as in NTP): the engine pings, the peer answers with its own two stamps.

use crate::WireError;
use crate::cursor::{Reader, Writer};

/// Engine to peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// When the engine sent it, in nanoseconds of its clock.
    pub sent_ns: u64,
}

/// Peer to engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// The ping's stamp.
    pub sent_ns: u64,
    /// When the peer received it, in nanoseconds of the peer's clock.
    pub received_ns: u64,
    /// When the peer answered.
    pub answered_ns: u64,
}

impl Pong {
    /// Round trip without the peer's own time, and peer clock minus engine clock, both in nanoseconds, when the answer
    /// arrived at `arrived_ns` of the engine's clock. The offset's error is at most half the round trip.
    pub fn measure(&self, arrived_ns: u64) -> (u64, i64) {
        let difference = |a: u64, b: u64| i128::from(a) - i128::from(b);
        let total = difference(arrived_ns, self.sent_ns);
        let on_peer = difference(self.answered_ns, self.received_ns);
        let offset = (difference(self.received_ns, self.sent_ns) + difference(self.answered_ns, arrived_ns)) / 2;
        let clamp = |v: i128| i64::try_from(v).unwrap_or(if v < 0 { i64::MIN } else { i64::MAX });
        (clamp(total - on_peer).max(0) as u64, clamp(offset))
    }
}

impl Ping {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u64(self.sent_ns);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Ping, WireError> {
        Ok(Ping { sent_ns: r.u64("ping.sent_ns")? })
    }
}

impl Pong {
    pub(crate) fn write(&self, w: &mut Writer) {
        [self.sent_ns, self.received_ns, self.answered_ns].into_iter().for_each(|ns| w.u64(ns));
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Pong, WireError> {
        Ok(Pong {
            sent_ns: r.u64("pong.sent_ns")?,
            received_ns: r.u64("pong.received_ns")?,
            answered_ns: r.u64("pong.answered_ns")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Pong;

    #[test]
    fn offset_and_round_trip_of_a_symmetric_link() {
        // The peer's clock is 1000 ahead, each way takes 20, the peer takes 5.
        let pong = Pong { sent_ns: 100, received_ns: 1120, answered_ns: 1125 };
        assert_eq!(pong.measure(145), (40, 1000));
    }

    #[test]
    fn absurd_stamps_do_not_overflow() {
        let pong = Pong { sent_ns: u64::MAX, received_ns: 0, answered_ns: u64::MAX };
        let (rtt, _) = pong.measure(0);
        assert_eq!(rtt, 0);
    }
}
