//! Which TURN server relays, and what it knows this machine by.

use std::fmt;
use std::str::FromStr;

use super::super::server_url::HostPort;

/// TURN's own ports (RFC 8656, 3; RFC 7065).
const TURN_PORT: u16 = 3478;
const TURNS_PORT: u16 = 5349;
/// RFC 8489, 14.3: a user name has fewer bytes than this. As much bounds the password.
const MOST_NAME_BYTES: usize = 509;

/// How a server is spoken to. What it relays is UDP always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
    /// TLS over TCP, the server's certificate signed by an authority of the web.
    Tls,
}

/// Where a TURN server is: `turn:host`, `turn:host:port`, `?transport=tcp` behind it, or `turns:host` (RFC 7065).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnUrl {
    pub(super) at: HostPort,
    pub(super) transport: Transport,
}

impl FromStr for TurnUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            let forms =
                "write turn:HOST or turn:HOST:PORT, with ?transport=tcp behind it where UDP is dropped, or turns:HOST";
            Err(format!("{text:?} is no TURN server ({why}): {forms}"))
        };
        let Some((scheme, rest)) = text.split_once(':') else { return wrong("it has no scheme") };
        let (rest, asked) = match rest.split_once('?') {
            None => (rest, None),
            Some((rest, query)) => match query.strip_prefix("transport=") {
                Some(transport) => (rest, Some(transport)),
                None => return wrong("behind ? nothing but transport= is known"),
            },
        };
        let (transport, default_port) = match (scheme, asked) {
            ("turn", None | Some("udp")) => (Transport::Udp, TURN_PORT),
            ("turn", Some("tcp")) => (Transport::Tcp, TURN_PORT),
            ("turns", None | Some("tcp")) => (Transport::Tls, TURNS_PORT),
            ("turns", Some("udp")) => return wrong("TURN over DTLS is not spoken here"),
            ("turn" | "turns", _) => return wrong("the transport may be udp or tcp"),
            ("stun" | "stuns", _) => return wrong("that is the URL of a server which relays nothing (--stun)"),
            _ => return wrong("another scheme"),
        };
        HostPort::parse(rest, default_port).map(|at| TurnUrl { at, transport }).or_else(wrong)
    }
}

impl fmt::Display for TurnUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Udp => write!(f, "turn:{}", self.at),
            Transport::Tcp => write!(f, "turn:{}?transport=tcp", self.at),
            Transport::Tls => write!(f, "turns:{}", self.at),
        }
    }
}

/// A TURN server with the credentials that it demands (RFC 8489, 9.2: long-term). The password is in no text made of it.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnServer {
    pub(super) url: TurnUrl,
    pub(super) user: String,
    pub(super) password: String,
}

impl TurnServer {
    /// A server and what it knows this machine by.
    ///
    /// # Errors
    /// What is wrong with the credentials.
    pub fn new(url: TurnUrl, user: String, password: String) -> Result<TurnServer, String> {
        for (what, text) in [("user", &user), ("password", &password)] {
            if text.is_empty() || text.len() >= MOST_NAME_BYTES {
                return Err(format!(
                    "the TURN server's {what} has {} bytes; it must have 1 to {}",
                    text.len(),
                    MOST_NAME_BYTES - 1
                ));
            }
        }
        Ok(TurnServer { url, user, password })
    }
}

impl fmt::Display for TurnServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl fmt::Debug for TurnServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnServer").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_written_as_urls() {
        let written = |text: &str| text.parse::<TurnUrl>().map(|url| url.to_string());
        for (text, whole) in [
            ("turn:turn.example.org", "turn:turn.example.org:3478"),
            ("turn:192.0.2.1:53", "turn:192.0.2.1:53"),
            ("turn:[2001:db8::1]", "turn:[2001:db8::1]:3478"),
            ("turn:host?transport=udp", "turn:host:3478"),
            ("turn:host:80?transport=tcp", "turn:host:80?transport=tcp"),
            ("turns:host", "turns:host:5349"),
            ("turns:host:443?transport=tcp", "turns:host:443"),
        ] {
            assert_eq!(written(text).as_deref(), Ok(whole));
        }
        for (bad, why) in [
            ("", "no scheme"),
            ("turn:", "no host"),
            ("turn://host", "port"),
            ("turn:host:0", "port"),
            ("turn:host:99999", "port"),
            ("turn:user@host", "no host"),
            ("turn:[::1", "brackets"),
            ("turn:::1]", "brackets"),
            ("turn:2001:db8::1", "brackets"),
            ("turn:[host]", "no IPv6 address"),
            ("turn:host?x=1", "nothing but transport="),
            ("turn:host?transport=sctp", "udp or tcp"),
            ("turns:host?transport=udp", "DTLS"),
            ("stun:host", "--stun"),
            ("host:3478", "another scheme"),
        ] {
            let error = written(bad).unwrap_err();
            assert!(error.contains(why) && error.contains(&format!("{bad:?}")), "{bad}: {error}");
        }
    }

    #[test]
    fn credentials_are_bounded_and_the_password_is_not_told() {
        let url = || "turn:host".parse::<TurnUrl>().unwrap();
        let server = TurnServer::new(url(), "user".into(), "geheim".into()).unwrap();
        assert!(!format!("{server:?} {server}").contains("geheim"));
        let long = "geheim".repeat(100);
        for (user, password) in [("", "geheim"), ("user", ""), ("user", &long), (&long, "geheim")] {
            let error = TurnServer::new(url(), user.into(), password.into()).unwrap_err();
            assert!(!error.contains("geheim") && error.contains("1 to 508"), "{error}");
        }
    }
}
