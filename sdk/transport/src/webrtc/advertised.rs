//! Candidates for addresses that a 1:1 NAT translates: webrtc 0.21 takes `with_nat_1to1_ips` and does nothing with it.

use std::net::IpAddr;

/// Fields of a candidate's line (RFC 8839, 5.1), separated by single spaces.
const ADDRESS: usize = 4;
const PORT: usize = 5;
const TYPE: usize = 7;

/// The description with a host candidate more for each address and port that is offered in the same family, loopback aside.
pub(super) fn with_advertised(sdp: String, addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return sdp;
    }
    let mut added: Vec<(IpAddr, &str)> = Vec::new();
    let mut text = String::with_capacity(sdp.len() * 2);
    for line in sdp.split_inclusive('\n') {
        text.push_str(line);
        let Some((port, own)) = host_candidate(line) else { continue };
        for address in addresses.iter().filter(|address| address.is_ipv4() == own.is_ipv4()) {
            if added.contains(&(*address, port)) {
                continue;
            }
            added.push((*address, port));
            let mut fields: Vec<&str> = line.split(' ').collect();
            // Candidates of one foundation have one base address.
            let (foundation, shown) = (format!("{}9{}", fields[0], added.len()), address.to_string());
            fields[0] = &foundation;
            fields[ADDRESS] = &shown;
            text.push_str(&fields.join(" "));
        }
    }
    text
}

/// Port and address of a line that is a host candidate which others may reach.
fn host_candidate(line: &str) -> Option<(&str, IpAddr)> {
    let fields: Vec<&str> = line.trim_end().strip_prefix("a=candidate:")?.split(' ').collect();
    let address: IpAddr = fields.get(ADDRESS)?.parse().ok()?;
    (fields.get(TYPE) == Some(&"host") && !address.is_loopback()).then_some((*fields.get(PORT)?, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: &str = "a=mid:0\r\n\
        a=candidate:11 1 udp 2130706431 127.0.0.1 50000 typ host\r\n\
        a=candidate:12 1 udp 2130706431 10.0.1.5 50000 typ host ufrag x\r\n\
        a=candidate:13 1 udp 2130706431 172.17.0.1 50000 typ host\r\n\
        a=candidate:14 1 udp 2130706431 fd00::1 50000 typ host\r\n\
        a=end-of-candidates\r\n";

    #[test]
    fn an_advertised_address_is_offered_once_for_each_port() {
        let sdp = with_advertised(OFFERED.to_owned(), &["54.123.45.67".parse().unwrap()]);
        let lines: Vec<&str> = sdp.split("\r\n").collect();
        assert_eq!(lines[3], "a=candidate:1291 1 udp 2130706431 54.123.45.67 50000 typ host ufrag x");
        assert_eq!(lines.len(), OFFERED.split("\r\n").count() + 1);
        assert_eq!(sdp.replace(&format!("{}\r\n", lines[3]), ""), OFFERED);
    }

    #[test]
    fn families_do_not_mix_and_nothing_changes_without_an_address() {
        let sdp = with_advertised(OFFERED.to_owned(), &["2001:db8::1".parse().unwrap()]);
        assert!(sdp.contains("a=candidate:1491 1 udp 2130706431 2001:db8::1 50000 typ host\r\n"), "{sdp}");
        assert_eq!(with_advertised(OFFERED.to_owned(), &[]), OFFERED);
        assert_eq!(with_advertised("v=0\r\n".to_owned(), &["10.0.0.1".parse().unwrap()]), "v=0\r\n");
    }
}
