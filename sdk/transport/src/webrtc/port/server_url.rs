//! The part that URLs of STUN and TURN servers share (RFC 7064, RFC 7065): a host, and a port that may be left out.

use std::fmt;
use std::net::Ipv6Addr;

/// A host by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    /// IPv6 without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl HostPort {
    /// What follows the scheme and its colon; or why it is none.
    pub(super) fn parse(text: &str, default_port: u16) -> Result<HostPort, &'static str> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port > 0)),
            _ => (text, Some(default_port)),
        };
        let port = port.ok_or("the port is not from 1 to 65535")?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) if address.parse::<Ipv6Addr>().is_ok() => address,
            Some(_) => return Err("what its brackets hold is no IPv6 address"),
            None if host.contains(['[', ']', ':']) => return Err("an IPv6 address stands in brackets"),
            None => host,
        };
        if host.is_empty() || host.contains(['/', '?', '@', ' ']) {
            return Err("there is no host in it");
        }
        Ok(HostPort { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
