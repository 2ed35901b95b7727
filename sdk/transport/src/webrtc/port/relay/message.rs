//! What a TURN client says, and what it hears (RFC 8656), with the codec of crate `rtc`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rtc::stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME};
use rtc::stun::error_code::ErrorCodeAttribute;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_INDICATION, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, Getter, METHOD_ALLOCATE,
    METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_DATA, METHOD_REFRESH, METHOD_SEND, Message, MessageType,
    Setter, TransactionId, is_stun_message,
};
use rtc::stun::textattrs::TextAttribute;
use rtc::stun::xoraddr::XorMappedAddress;
use rtc::turn::proto::PROTO_UDP;
use rtc::turn::proto::channum::ChannelNumber;
use rtc::turn::proto::data::Data;
use rtc::turn::proto::lifetime::Lifetime;
use rtc::turn::proto::peeraddr::PeerAddress;
use rtc::turn::proto::relayaddr::RelayedAddress;
use rtc::turn::proto::reqtrans::RequestedTransport;

use super::super::stun::CRYPTO;
use super::error::TurnError;
use super::server::TurnServer;

/// Bytes before the data of a channel: its number and the length.
pub(super) const CHANNEL_HEADER_BYTES: usize = 4;
/// Longest realm and nonce (RFC 8489, 14.9 and 14.10).
const MOST_TEXT_BYTES: usize = 763;
/// As much of a server's reason is shown.
const MOST_REASON_CHARS: usize = 128;

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A relayed address.
    Allocate,
    /// The allocation for longer; for no time at all it is given back.
    Refresh { lifetime: Option<Duration> },
    /// That whoever is at that address may send here.
    Permit(IpAddr),
    /// That the number stands for that address, and so that it may send here.
    Bind { number: u16, remote: SocketAddr },
}

/// What requests are signed with, once a server has told its realm.
#[derive(Clone)]
pub(super) struct Login {
    user: TextAttribute,
    realm: TextAttribute,
    nonce: TextAttribute,
    key: Vec<u8>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, {})", self.user, self.realm)
    }
}

impl Login {
    /// With the realm and the nonce of a refusal; `None` where it has none.
    pub(super) fn of(server: &TurnServer, refusal: &Message) -> Option<Login> {
        let text = |attribute| {
            let text = TextAttribute::get_from_as(refusal, attribute).ok()?;
            (text.text.len() <= MOST_TEXT_BYTES).then_some(text)
        };
        let (realm, nonce) = (text(ATTR_REALM)?, text(ATTR_NONCE)?);
        let (user, password) = (server.user.clone(), server.password.clone());
        let key =
            MessageIntegrity::long_term_integrity_key(user.clone(), realm.text.clone(), password, CRYPTO.crypto());
        Some(Login { user: TextAttribute::new(ATTR_USERNAME, user), realm, nonce, key: key.ok()? })
    }

    /// True where the response is signed with the password: the server's, then.
    pub(super) fn signed(&self, response: &Message) -> bool {
        MessageIntegrity::check(&mut response.clone(), &self.key, CRYPTO.crypto()).is_ok()
    }
}

impl Request {
    /// The request as it is sent.
    pub(super) fn message(&self, login: Option<&Login>) -> Result<(TransactionId, Vec<u8>), TurnError> {
        let (id, mut parts) = (TransactionId::new(), Vec::<Box<dyn Setter>>::new());
        let method = match self {
            Request::Allocate => METHOD_ALLOCATE,
            Request::Refresh { .. } => METHOD_REFRESH,
            Request::Permit(_) => METHOD_CREATE_PERMISSION,
            Request::Bind { .. } => METHOD_CHANNEL_BIND,
        };
        parts.push(Box::new(id));
        parts.push(Box::new(MessageType::new(method, CLASS_REQUEST)));
        let peer = |ip, port| Box::new(PeerAddress { ip, port });
        match *self {
            Request::Allocate => parts.push(Box::new(RequestedTransport { protocol: PROTO_UDP })),
            Request::Refresh { lifetime: Some(lifetime) } => parts.push(Box::new(Lifetime(lifetime))),
            Request::Refresh { lifetime: None } => (),
            // A permission is of an address, whatever the port (RFC 8656, 9.1).
            Request::Permit(ip) => parts.push(peer(ip, 0)),
            Request::Bind { number, remote } => {
                parts.push(Box::new(ChannelNumber(number)));
                parts.push(peer(remote.ip(), remote.port()));
            }
        }
        if let Some(Login { user, realm, nonce, key }) = login {
            parts.extend([user, realm, nonce].map(|text| Box::new(text.clone()) as Box<dyn Setter>));
            parts.push(Box::new(MessageIntegrity::new_raw_integrity_with_provider(key.clone(), CRYPTO.crypto())));
        }
        Ok((id, built(&parts)?))
    }
}

/// A datagram for a remote that no channel is bound to.
pub(super) fn send_indication(remote: SocketAddr, datagram: &[u8]) -> Result<Vec<u8>, TurnError> {
    built(&[
        Box::<TransactionId>::default(),
        Box::new(MessageType::new(METHOD_SEND, CLASS_INDICATION)),
        Box::new(PeerAddress { ip: remote.ip(), port: remote.port() }),
        Box::new(Data(datagram.to_vec())),
    ])
}

fn built(parts: &[Box<dyn Setter + '_>]) -> Result<Vec<u8>, TurnError> {
    let mut message = Message::new();
    message.build(parts).map_err(|error| TurnError::Local { reason: format!("a request cannot be made: {error}") })?;
    Ok(message.raw)
}

/// What a server has sent.
#[derive(Debug)]
pub(super) enum Heard<'a> {
    /// The datagram of a bound channel.
    Channel { number: u16, datagram: &'a [u8] },
    /// The datagram of a remote without a channel.
    Indication { remote: SocketAddr, datagram: Vec<u8> },
    /// Whatever was asked for.
    Response(Box<Response>),
    /// Of no use.
    Nothing,
}

/// An answer to a request.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) message: Message,
    /// Code and reason of a refusal.
    pub(super) refused: Option<(u16, String)>,
}

impl Heard<'_> {
    pub(super) fn of(datagram: &[u8]) -> Heard<'_> {
        // RFC 8656, 12: numbers of channels begin with the bits 01, STUN's messages with 00.
        match datagram {
            [0x40..=0x4f, low, rest @ ..] => {
                let number = u16::from_be_bytes([datagram[0], *low]);
                let data =
                    rest.split_first_chunk().map(|(length, data)| (usize::from(u16::from_be_bytes(*length)), data));
                // Over UDP there may be padding behind it.
                match data.and_then(|(length, data)| data.get(..length)) {
                    Some(datagram) => Heard::Channel { number, datagram },
                    None => Heard::Nothing,
                }
            }
            _ if is_stun_message(datagram) => Heard::message(datagram).unwrap_or(Heard::Nothing),
            _ => Heard::Nothing,
        }
    }

    fn message(datagram: &[u8]) -> Option<Heard<'static>> {
        let mut message = Message { raw: datagram.to_vec(), ..Message::default() };
        message.decode().ok()?;
        match message.typ.class {
            CLASS_INDICATION if message.typ.method == METHOD_DATA => {
                let (mut peer, mut data) = (PeerAddress::default(), Data::default());
                peer.get_from(&message).ok()?;
                data.get_from(&message).ok()?;
                Some(Heard::Indication { remote: SocketAddr::new(peer.ip, peer.port), datagram: data.0 })
            }
            CLASS_SUCCESS_RESPONSE => Some(Heard::Response(Box::new(Response { message, refused: None }))),
            CLASS_ERROR_RESPONSE => {
                let mut error = ErrorCodeAttribute::default();
                error.get_from(&message).ok()?;
                let reason = String::from_utf8_lossy(&error.reason);
                let reason = reason.chars().filter(|c| !c.is_control()).take(MOST_REASON_CHARS).collect();
                Some(Heard::Response(Box::new(Response { message, refused: Some((error.code.0, reason)) })))
            }
            _ => None,
        }
    }
}

impl Response {
    /// The relayed address, and what the server sees this machine as.
    pub(super) fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let (mut relayed, mut mapped) = (RelayedAddress::default(), XorMappedAddress::default());
        relayed.get_from(&self.message).ok()?;
        mapped.get_from(&self.message).ok()?;
        let usable = relayed.port != 0 && !relayed.ip.is_unspecified() && !relayed.ip.is_multicast();
        usable.then_some((SocketAddr::new(relayed.ip, relayed.port), SocketAddr::new(mapped.ip, mapped.port)))
    }

    /// How long the allocation lasts.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        let mut lifetime = Lifetime::default();
        lifetime.get_from(&self.message).ok()?;
        Some(lifetime.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channels_data_ends_where_its_length_says() {
        let heard = |bytes: &[u8]| match Heard::of(bytes) {
            Heard::Channel { number, datagram } => Some((number, datagram.to_vec())),
            _ => None,
        };
        assert_eq!(heard(&[0x40, 1, 0, 2, 7, 8, 0, 0]), Some((0x4001, vec![7, 8])));
        assert_eq!(heard(&[0x4f, 0xff, 0, 0]), Some((0x4fff, Vec::new())));
        for bad in [&[0x40, 1, 0, 3, 7, 8][..], &[0x40, 1, 0], &[0x40], &[], &[0x50, 0, 0, 0]] {
            assert_eq!(heard(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn whatever_is_cut_or_changed_is_nothing_or_a_message_and_no_panic() {
        let server = TurnServer::new("turn:host".parse().unwrap(), "user".into(), "password".into()).unwrap();
        let mut refusal = Message::new();
        let text = |attribute, text: &str| Box::new(TextAttribute::new(attribute, text.to_owned()));
        refusal
            .build(&[text(ATTR_REALM, "realm"), text(ATTR_NONCE, "nonce")].map(|part| part as Box<dyn Setter>))
            .unwrap();
        let login = Login::of(&server, &refusal).unwrap();
        let remote = SocketAddr::from(([192, 0, 2, 1], 5));
        let (_, bind) = Request::Bind { number: 0x4000, remote }.message(Some(&login)).unwrap();
        let data = send_indication(remote, b"data").unwrap();
        for mut datagram in [bind, data] {
            // What the server says instead: a success, an error, data.
            for class in [[0x01, 0x09], [0x01, 0x19], [0x00, 0x17]] {
                datagram[..2].copy_from_slice(&class);
                for length in 0..datagram.len() {
                    Heard::of(&datagram[..length]);
                }
                for at in 0..datagram.len() {
                    for bit in 0..8 {
                        let mut changed = datagram.clone();
                        changed[at] ^= 1 << bit;
                        if let Heard::Response(response) = Heard::of(&changed) {
                            login.signed(&response.message);
                            response.addresses();
                            response.lifetime();
                        }
                    }
                }
            }
        }
    }
}
