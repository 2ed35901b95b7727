//! UDP ports for connections, chosen from a range that a firewall lets through.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::TransportError;

/// A range of ports, one for each connection (webrtc 0.21 cannot have several on one port). Clones share what is taken.
#[derive(Clone, Debug)]
pub struct UdpPorts(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    range: RangeInclusive<u16>,
    taken: Mutex<BTreeSet<u16>>,
}

/// A port that no other connection of the same range gets while this lives.
#[derive(Debug)]
pub(super) struct PortLease {
    pool: Arc<Pool>,
    pub(super) port: u16,
}

impl UdpPorts {
    /// Of the range; ports that other programs hold are passed over when it comes to them.
    pub fn new(range: RangeInclusive<u16>) -> Self {
        Self(Arc::new(Pool { range, taken: Mutex::default() }))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.range.len()
    }

    /// A port that is free at all of the addresses.
    pub(super) fn take(&self, bind: &[IpAddr]) -> Result<PortLease, TransportError> {
        let mut taken = self.0.taken.lock();
        let is_free = |port: u16| bind.iter().all(|ip| !in_use(*ip, port));
        let port = self.0.range.clone().find(|port| !taken.contains(port) && is_free(*port));
        let (first, last) = (*self.0.range.start(), *self.0.range.end());
        let port = port.ok_or(TransportError::NoUdpPort { first, last })?;
        taken.insert(port);
        Ok(PortLease { pool: self.0.clone(), port })
    }
}

/// Addresses that cannot be had at all, such as those of IPv6 on a system without it, are not in use.
fn in_use(ip: IpAddr, port: u16) -> bool {
    UdpSocket::bind((ip, port)).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

impl FromStr for UdpPorts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| {
            let number = text.parse::<u16>().ok().filter(|port| *port > 0);
            number.ok_or_else(|| format!("{text:?} is no port: use 1 to 65535"))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(format!("{first} is above {last}: write FIRST-LAST"));
        }
        Ok(Self::new(first..=last))
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.pool.taken.lock().remove(&self.port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::LOCALHOST)];

    #[test]
    fn a_port_is_given_once_until_it_comes_back() {
        // One that nobody else has just now.
        let port = UdpSocket::bind((HERE[0], 0)).unwrap().local_addr().unwrap().port();
        let ports = UdpPorts::new(port..=port);
        let lease = ports.take(&HERE).unwrap();
        assert_eq!(lease.port, port);
        let error = ports.clone().take(&HERE).unwrap_err();
        assert!(matches!(error, TransportError::NoUdpPort { first, last } if (first, last) == (port, port)), "{error}");
        drop(lease);
        assert_eq!(ports.take(&HERE).unwrap().port, port);
    }

    #[test]
    fn a_port_of_another_program_is_passed_over() {
        let other = UdpSocket::bind((HERE[0], 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        assert!(UdpPorts::new(port..=port).take(&HERE).is_err());
    }

    #[test]
    fn a_range_is_written_with_a_dash() {
        let range = |text: &str| text.parse::<UdpPorts>().map(|ports| ports.0.range.clone());
        assert_eq!(range("50000-50003"), Ok(50000..=50003));
        assert_eq!(range("7"), Ok(7..=7));
        for bad in ["", "-", "0", "5-4", "1-65536", "1-2-3", "a-b", "1 - 2"] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }
}
