//! Candidates as the other side shall see them: on the shared port, under addresses that a NAT translates, over TCP.
//!
//! webrtc 0.21 takes `with_nat_1to1_ips` and does nothing with it, and offers the ports of sockets that it believes to have.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::port::Allocation;

/// Fields of a candidate's line (RFC 8839, 5.1), separated by single spaces.
const COMPONENT: usize = 1;
const PROTOCOL: usize = 2;
const PRIORITY: usize = 3;
const ADDRESS: usize = 4;
const PORT: usize = 5;
const TYPE: usize = 7;
/// Preferences of types (RFC 8445, 5.1.2.2): a host's is 126, that of an address seen by others and of TCP lower, a relay's last.
const REFLEXIVE: u32 = 100;
const TCP: u32 = 90;
const RELAYED: u32 = 0;
/// Candidates for TCP that are tried; a peer has as many as it has addresses.
const MOST_TCP: usize = 8;
/// Candidates of a description whose addresses are looked at.
const MOST_ADDRESSES: usize = 32;

/// An address under which others reach this machine; without a port, the one that is bound here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// The address.
    pub ip: IpAddr,
    /// UDP's and TCP's number there.
    pub port: Option<u16>,
}

impl FromStr for Advertised {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address: write IP or IP:PORT, with IPv6 as [IP]:PORT");
        let (ip, port) = match (text.parse::<IpAddr>(), text.parse::<SocketAddr>()) {
            (Ok(ip), _) => (ip, None),
            (_, Ok(addr)) => (addr.ip(), Some(addr.port())),
            _ => return Err(wrong()),
        };
        if ip.is_unspecified() || ip.is_multicast() || port == Some(0) {
            return Err(format!("{text:?} is no address that engines can dial"));
        }
        Ok(Advertised { ip, port })
    }
}

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

/// What a description shall offer instead of, and beside, the sockets that the stack believes to have.
#[derive(Debug, Default)]
pub(super) struct Offered<'a> {
    /// The port of all host candidates.
    pub(super) udp_port: Option<u16>,
    /// Each host candidate has one over TCP beside it.
    pub(super) tcp_port: Option<u16>,
    /// Host candidates more, loopback's aside.
    pub(super) advertise: &'a [Advertised],
    /// What a STUN server has seen the shared port as.
    pub(super) reflexive: Option<SocketAddr>,
    /// What a TURN server relays to the shared port.
    pub(super) relayed: Option<Allocation>,
}

impl Offered<'_> {
    pub(super) fn applied(&self, sdp: String) -> String {
        let mut added: Vec<SocketAddr> = Vec::new();
        let mut relayed = self.relayed;
        let mut text = String::with_capacity(sdp.len() * 2);
        for line in sdp.split_inclusive('\n') {
            let Some(own) = Candidate::host(line) else {
                text.push_str(line);
                continue;
            };
            let own = Candidate { at: SocketAddr::new(own.at.ip(), self.udp_port.unwrap_or(own.at.port())), ..own };
            text.push_str(&own.line());
            // With rtcp-mux there is but one component; the stack offers RTCP's all the same.
            let tcp_port = self.tcp_port.filter(|_| own.component == "1");
            if let Some(port) = tcp_port {
                text.push_str(&own.over_tcp(port));
            }
            // Whatever addresses this machine has, the relay's is another's.
            if own.component == "1"
                && let Some(Allocation { relayed: at, mapped }) = relayed.take()
            {
                let (Candidate { foundation, rest, .. }, priority) = (&own, priority(RELAYED, 65_535));
                text.push_str(&format!(
                    "a=candidate:{foundation}6 1 udp {priority} {} {} typ relay raddr {} rport {}{rest}",
                    at.ip(),
                    at.port(),
                    mapped.ip(),
                    mapped.port()
                ));
            }
            if own.at.ip().is_loopback() {
                continue;
            }
            for advertised in self.advertise.iter().filter(|other| other.ip.is_ipv4() == own.at.is_ipv4()) {
                let at = SocketAddr::new(advertised.ip, advertised.port.unwrap_or(own.at.port()));
                if added.contains(&at) {
                    continue;
                }
                added.push(at);
                // Candidates of one foundation have one base address.
                let shown = Candidate { foundation: format!("{}9{}", own.foundation, added.len()), at, ..own };
                text.push_str(&shown.line());
                if let Some(port) = tcp_port {
                    text.push_str(&shown.over_tcp(advertised.port.unwrap_or(port)));
                }
            }
            if let Some(at) = self.reflexive.filter(|at| at.is_ipv4() == own.at.is_ipv4() && !added.contains(at)) {
                added.push(at);
                let (Candidate { foundation, component, rest, .. }, base) = (&own, own.at);
                let (ip, priority) = (at.ip(), priority(REFLEXIVE, 65_535));
                text.push_str(&format!(
                    "a=candidate:{foundation}8 {component} udp {priority} {ip} {} typ srflx raddr {} rport {}{rest}",
                    at.port(),
                    base.ip(),
                    base.port()
                ));
            }
        }
        text
    }
}

fn priority(of_type: u32, local: u32) -> u32 {
    of_type << 24 | local << 8 | 255
}

/// A line that is a host candidate for UDP.
struct Candidate<'a> {
    foundation: String,
    component: &'a str,
    priority: &'a str,
    at: SocketAddr,
    /// What follows the type, the line's end included.
    rest: &'a str,
}

impl<'a> Candidate<'a> {
    fn host(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = line.trim_end().strip_prefix("a=candidate:")?.split(' ').collect();
        let ip: IpAddr = fields.get(ADDRESS)?.parse().ok()?;
        let is_host = fields.get(TYPE) == Some(&"host") && fields[PROTOCOL].eq_ignore_ascii_case("udp");
        let (_, rest) = line.split_once(" typ host")?;
        is_host.then_some(Candidate {
            foundation: fields[0].to_owned(),
            component: fields[COMPONENT],
            priority: fields[PRIORITY],
            at: SocketAddr::new(ip, fields.get(PORT)?.parse().ok()?),
            rest,
        })
    }

    fn line(&self) -> String {
        let Candidate { foundation, component, priority, at, rest } = self;
        format!("a=candidate:{foundation} {component} udp {priority} {} {} typ host{rest}", at.ip(), at.port())
    }

    fn over_tcp(&self, port: u16) -> String {
        let Candidate { foundation, component, at, rest, .. } = self;
        // RFC 6544, 4.2: 4 is the passive side's direction preference.
        let priority = priority(TCP, 4 << 13);
        format!(
            "a=candidate:{foundation}7 {component} tcp {priority} {} {port} typ host tcptype passive{rest}",
            at.ip()
        )
    }
}

/// The description without its candidates for TCP, and the addresses of those that wait for connections.
pub(super) fn without_tcp(sdp: &str) -> (String, Vec<SocketAddr>) {
    let mut passive = Vec::new();
    let kept = sdp.split_inclusive('\n').filter(|line| {
        let Some(candidate) = line.trim_end().strip_prefix("a=candidate:") else { return true };
        let fields: Vec<&str> = candidate.split(' ').collect();
        if !fields.get(PROTOCOL).is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcp")) {
            return true;
        }
        let at = || Some(SocketAddr::new(fields.get(ADDRESS)?.parse().ok()?, fields.get(PORT)?.parse().ok()?));
        let waits = fields.windows(2).any(|pair| pair == ["tcptype", "passive"]);
        if let Some(at) = at().filter(|at| waits && at.port() != 0 && passive.len() < MOST_TCP && !passive.contains(at))
        {
            passive.push(at);
        }
        false
    });
    (kept.collect(), passive)
}

/// The addresses of a description's candidates.
pub(super) fn addresses(sdp: &str) -> Vec<IpAddr> {
    let candidates = sdp.lines().filter_map(|line| line.trim_end().strip_prefix("a=candidate:"));
    candidates.filter_map(|candidate| candidate.split(' ').nth(ADDRESS)?.parse().ok()).take(MOST_ADDRESSES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATHERED: &str = "a=mid:0\r\n\
        a=candidate:11 1 udp 2130706431 127.0.0.1 50000 typ host\r\n\
        a=candidate:12 1 udp 2130706431 10.0.1.5 50000 typ host ufrag x\r\n\
        a=candidate:13 1 udp 2130706431 172.17.0.1 50000 typ host\r\n\
        a=candidate:14 1 udp 2130706431 fd00::1 50000 typ host\r\n\
        a=end-of-candidates\r\n";

    fn lines_more(offered: &Offered<'_>) -> Vec<String> {
        let sdp = offered.applied(GATHERED.to_owned());
        sdp.split("\r\n").filter(|line| !GATHERED.contains(line)).map(str::to_owned).collect()
    }

    fn advertised(text: &str) -> Advertised {
        text.parse().unwrap()
    }

    #[test]
    fn an_advertised_address_is_offered_once_for_each_port() {
        let more = lines_more(&Offered { advertise: &[advertised("54.123.45.67")], ..Offered::default() });
        assert_eq!(more, ["a=candidate:1291 1 udp 2130706431 54.123.45.67 50000 typ host ufrag x"]);
        let more = lines_more(&Offered { advertise: &[advertised("54.123.45.67:40001")], ..Offered::default() });
        assert_eq!(more, ["a=candidate:1291 1 udp 2130706431 54.123.45.67 40001 typ host ufrag x"]);
    }

    #[test]
    fn families_do_not_mix_and_nothing_changes_without_a_reason() {
        let more = lines_more(&Offered { advertise: &[advertised("[2001:db8::1]:7")], ..Offered::default() });
        assert_eq!(more, ["a=candidate:1491 1 udp 2130706431 2001:db8::1 7 typ host"]);
        assert_eq!(Offered::default().applied(GATHERED.to_owned()), GATHERED);
        assert_eq!(Offered { udp_port: Some(4), ..Offered::default() }.applied("v=0\r\n".to_owned()), "v=0\r\n");
    }

    #[test]
    fn a_shared_port_stands_for_all_and_tcp_comes_beside_it() {
        let offered = Offered {
            udp_port: Some(4700),
            tcp_port: Some(4701),
            advertise: &[advertised("54.1.2.3:9")],
            reflexive: Some("203.0.113.5:61000".parse().unwrap()),
            relayed: None,
        };
        let sdp = offered.applied(GATHERED.to_owned());
        assert!(!sdp.contains("50000"), "{sdp}");
        assert!(sdp.contains("a=candidate:11 1 udp 2130706431 127.0.0.1 4700 typ host\r\n"), "{sdp}");
        assert!(
            sdp.contains(" udp 1694498815 203.0.113.5 61000 typ srflx raddr 10.0.1.5 rport 4700 ufrag x\r\n"),
            "{sdp}"
        );
        let (kept, passive) = without_tcp(&sdp);
        assert!(!kept.contains(" tcp "), "{kept}");
        let passive: Vec<String> = passive.iter().map(ToString::to_string).collect();
        assert_eq!(passive, ["127.0.0.1:4701", "10.0.1.5:4701", "54.1.2.3:9", "172.17.0.1:4701", "[fd00::1]:4701"]);
        let again = Offered { udp_port: Some(4700), ..offered }.applied(kept.clone());
        assert_eq!(again.matches(" udp ").count(), kept.matches(" udp ").count() + 2, "advertised and seen once more");
    }

    #[test]
    fn a_relayed_address_is_offered_once_whatever_this_machine_has() {
        let relayed = Some(Allocation {
            relayed: "203.0.113.9:50001".parse().unwrap(),
            mapped: "198.51.100.7:4000".parse().unwrap(),
        });
        let more = lines_more(&Offered { relayed, ..Offered::default() });
        assert_eq!(more, ["a=candidate:116 1 udp 16777215 203.0.113.9 50001 typ relay raddr 198.51.100.7 rport 4000"]);
    }

    #[test]
    fn addresses_of_candidates_are_bounded() {
        let found: Vec<String> = addresses(GATHERED).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.1", "10.0.1.5", "172.17.0.1", "fd00::1"]);
        assert!(addresses("a=candidate:1 1 udp 5 name.local 9 typ host\r\na=candidate:1\r\n").is_empty());
        assert_eq!(addresses(&GATHERED.repeat(100)).len(), MOST_ADDRESSES);
    }

    #[test]
    fn only_what_can_be_dialled_is_advertised() {
        assert_eq!(advertised("54.1.2.3"), Advertised { ip: IpAddr::from([54, 1, 2, 3]), port: None });
        assert_eq!(advertised("54.1.2.3:9").to_string(), "54.1.2.3:9");
        for bad in ["", "host", "0.0.0.0", "54.1.2.3:0", "54.1.2.3:70000", "::", "224.0.0.1:5", "1.2.3.4:5:6", "[::1]"]
        {
            assert!(bad.parse::<Advertised>().is_err(), "{bad}");
        }
    }

    #[test]
    fn many_and_odd_candidates_for_tcp_are_bounded() {
        let line = |port| format!("a=candidate:1 1 tcp 5 10.0.0.1 {port} typ host tcptype passive\r\n");
        let many: String = (1..100).map(line).collect();
        assert_eq!(without_tcp(&many).1.len(), MOST_TCP);
        for odd in [
            "a=candidate:1 1 TCP 5 name.local 9 typ host tcptype passive",
            "a=candidate:1 1 tcp",
            "a=candidate:1 1 tcp 5 10.0.0.1 9 typ host tcptype active",
            &line(0),
        ] {
            assert_eq!(without_tcp(odd), (String::new(), Vec::new()), "{odd}");
        }
    }
}
