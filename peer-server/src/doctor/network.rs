//! Findings about what engines need to reach a peer: the ports of sessions, the certificate, the address outside.

use super::Finding;
use super::facts::{Certificate, DataPort, Facts, Grant};
use rayloom_peer::{Advertised, TurnError};
use std::net::{IpAddr, SocketAddr};

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> = facts.data.iter().map(port).collect();
    found.extend(facts.certificate.as_ref().map(certificate));
    found.extend(facts.advertise.map(advertised));
    found.extend(facts.stun.as_ref().map(|(server, told)| stun(server, told, facts.advertise)));
    found.extend(facts.turn.as_ref().map(|(server, relayed)| turn(server, relayed)));
    found
}

fn port(data: &DataPort) -> Finding {
    let DataPort { protocol, flag, port, grant } = data;
    match grant {
        Grant::Free if *port == 0 => Finding::ok("port", format!("{protocol}: the system chooses")),
        Grant::Free => Finding::ok("port", format!("{protocol} {port} is free")),
        Grant::InUse => Finding::failure(
            "port",
            format!("{protocol} {port}, which sessions need, is in use, maybe by another peer"),
            format!("end what has it (`ss -lnp 'sport = :{port}'` names it), or choose another port ({flag})"),
        ),
        Grant::Refused(reason) => Finding::failure(
            "port",
            format!("{protocol} {port}, which sessions need, can't be had: {reason}"),
            format!("choose a port above 1023 ({flag}), on an address of this machine (--listen)"),
        ),
    }
}

fn certificate(found: &Result<Certificate, String>) -> Finding {
    match found {
        // The reason names the file, and what to do.
        Err(reason) => Finding::failure("tls", reason, "see the cause"),
        Ok(Certificate { pin, fault: Some(fault), .. }) => Finding::warning(
            "tls",
            format!("the certificate's dates are wrong: {fault}"),
            format!("renew it (--tls-cert, --tls-key), or give engines its pin: {pin}"),
        ),
        Ok(Certificate { pin, ends, .. }) => Finding::ok("tls", format!("certificate until {ends}, pin {pin}")),
    }
}

fn advertised(address: Advertised) -> Finding {
    match is_private(address.ip) {
        true => Finding::warning(
            "advertise",
            format!("{address} is an address of a private network: engines beyond it cannot reach it"),
            "name the public address (--advertise), which the machine's provider shows, or ask a STUN server (--stun)",
        ),
        false => Finding::ok("advertise", format!("engines are told of {address}")),
    }
}

fn stun(server: &str, told: &Result<SocketAddr, String>, advertise: Option<Advertised>) -> Finding {
    match (told, advertise) {
        (Err(reason), _) => Finding::warning(
            "stun",
            format!("{server} does not tell this machine's address: {reason}"),
            "let UDP out through the firewall, choose another server (--stun), or name the address (--advertise)",
        ),
        (Ok(told), Some(said)) if told.ip() != said.ip && told.is_ipv4() == said.ip.is_ipv4() => Finding::warning(
            "stun",
            format!("{server} sees this machine as {told}, --advertise says {said}"),
            "one of the two leads nowhere: correct --advertise, or leave it out",
        ),
        (Ok(told), _) => Finding::ok("stun", format!("{server} sees the UDP port as {told}")),
    }
}

fn turn(server: &str, relayed: &Result<SocketAddr, TurnError>) -> Finding {
    match relayed {
        Err(error) => Finding::warning("turn", format!("{server} does not relay: {error}"), error.fix()),
        Ok(relayed) if is_private(relayed.ip()) => Finding::warning(
            "turn",
            format!(
                "{server} relays from {relayed}, an address of a private network: engines beyond it cannot reach it"
            ),
            "tell the server its public address (coturn: external-ip), or name a server that has one (--turn)",
        ),
        Ok(relayed) => Finding::ok("turn", format!("{server} relays, now from {}", relayed.ip())),
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        // RFC 1918, RFC 6598 (carriers' NATs), loopback, link-local.
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::healthy;
    use super::super::{Level, findings};
    use super::*;

    #[track_caller]
    fn says(change: impl FnOnce(&mut Facts), level: Level, parts: &[&str]) {
        let mut facts = healthy();
        change(&mut facts);
        let faults: Vec<_> = findings(&facts).into_iter().filter(|finding| finding.level != Level::Ok).collect();
        let [fault] = &faults[..] else { panic!("{faults:?}") };
        assert_eq!(fault.level, level);
        parts.iter().for_each(|part| assert!(fault.to_string().contains(part), "{part:?} in {fault}"));
    }

    #[test]
    fn ports_of_sessions_are_named_with_their_flag() {
        says(|facts| facts.data[0].grant = Grant::InUse, Level::Failure, &["UDP 4700", "in use", "--udp-port"]);
        let tcp = DataPort { protocol: "TCP", flag: "--tcp-port", port: 80, grant: Grant::Refused("denied".into()) };
        says(|facts| facts.data.push(tcp), Level::Failure, &["TCP 80", "denied", "--tcp-port"]);
    }

    #[test]
    fn certificates_are_named_with_what_is_wrong() {
        let reason = "cannot use the certificate /x.pem: there is no key in it".to_owned();
        says(|facts| facts.certificate = Some(Err(reason)), Level::Failure, &["/x.pem", "no key"]);
        let fault = Some("it expired on Jan 2 2020".to_owned());
        let old = Certificate { pin: "sha256:00".into(), ends: "Jan 2 2020".into(), fault };
        says(|facts| facts.certificate = Some(Ok(old)), Level::Warning, &["expired on Jan 2 2020", "sha256:00"]);
    }

    #[test]
    fn addresses_that_lead_nowhere_are_warned_of() {
        for private in ["10.0.0.1", "192.168.1.1:9", "100.64.0.1", "127.0.0.1", "fd00::1"] {
            let address = Some(private.parse().unwrap());
            says(|facts| facts.advertise = address, Level::Warning, &[private, "--stun"]);
        }
        let other = |facts: &mut Facts| {
            facts.advertise = Some("198.51.100.1".parse().unwrap());
            facts.stun = Some(("stun:x".into(), Ok("203.0.113.5:61000".parse().unwrap())));
        };
        says(other, Level::Warning, &["203.0.113.5:61000", "198.51.100.1"]);
        let relayed = |told| move |facts: &mut Facts| facts.turn = Some(("turn:x:3478".into(), told));
        says(
            relayed(Ok("10.0.0.1:50000".parse().unwrap())),
            Level::Warning,
            &["turn:x:3478", "10.0.0.1", "external-ip"],
        );
        let refused = TurnError::Credentials { user: "me".into(), code: 401 };
        says(relayed(Err(refused)), Level::Warning, &["turn:x:3478", "\"me\"", "401", "--turn-password"]);
        let refused = TurnError::Refused { code: 486, reason: "Allocation Quota Reached".into() };
        says(relayed(Err(refused)), Level::Warning, &["486 Allocation Quota Reached", "user-quota"]);
        let silent = Some(("stun:x".into(), Err("no answer within 4 s".into())));
        says(|facts| facts.stun = silent, Level::Warning, &["stun:x", "no answer", "--advertise"]);
    }
}
