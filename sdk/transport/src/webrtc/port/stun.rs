//! As much of STUN (RFC 5389) as it takes to tell whose datagram it is.

use std::sync::{Arc, LazyLock};

use rtc::crypto::{RTCCryptoProvider, default_provider};
use rtc::stun::attributes::ATTR_USERNAME;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{CLASS_ERROR_RESPONSE, CLASS_SUCCESS_RESPONSE, METHOD_BINDING, Message, is_stun_message};
use rtc::stun::message::{CLASS_REQUEST, TransactionId};

/// A binding request may be so long: ICE's have 100 to 200 bytes, and what is longer is not looked at.
const MOST_BYTES: usize = 1_500;

pub(super) static CRYPTO: LazyLock<Arc<dyn RTCCryptoProvider>> =
    LazyLock::new(|| default_provider().expect("the stack is built with ring"));

/// What a datagram is to a shared port.
#[derive(Debug)]
pub(super) enum Kind {
    /// Somebody asks for the session of this local user name fragment.
    Request { ufrag: String, request: Box<Request> },
    /// An answer to a request of ours.
    Response { transaction: TransactionId, message: Box<Message> },
    /// DTLS, SCTP's, indications and what makes no sense: known by its sender only.
    Other,
}

/// A binding request whose sender is not known yet.
#[derive(Debug)]
pub(super) struct Request(Message);

impl Kind {
    pub(super) fn of(datagram: &[u8]) -> Kind {
        // DTLS begins with 20 to 63 (RFC 7983), STUN with 0 to 3.
        if datagram.first().is_none_or(|first| *first > 3) || datagram.len() > MOST_BYTES || !is_stun_message(datagram)
        {
            return Kind::Other;
        }
        let mut message = Message { raw: datagram.to_vec(), ..Message::default() };
        if message.decode().is_err() || message.typ.method != METHOD_BINDING {
            return Kind::Other;
        }
        match message.typ.class {
            CLASS_SUCCESS_RESPONSE | CLASS_ERROR_RESPONSE => {
                Kind::Response { transaction: message.transaction_id, message: Box::new(message) }
            }
            CLASS_REQUEST => {
                // RFC 8445, 7.2.2: the receiver's fragment, a colon, the sender's.
                let name = message.get(ATTR_USERNAME).ok().and_then(|name| String::from_utf8(name).ok());
                match name.as_deref().and_then(|name| name.split_once(':')) {
                    Some((ufrag, _)) => Kind::Request { ufrag: ufrag.to_owned(), request: Box::new(Request(message)) },
                    None => Kind::Other,
                }
            }
            _ => Kind::Other,
        }
    }
}

impl Request {
    /// True where its sender knows the session's password.
    pub(super) fn signed_with(mut self, password: &str) -> bool {
        MessageIntegrity::check(&mut self.0, password.as_bytes(), CRYPTO.crypto()).is_ok()
    }
}

/// A binding request as ICE sends it.
#[cfg(test)]
pub(super) fn signed_request(username: &str, password: &str) -> Vec<u8> {
    use rtc::stun::message::BINDING_REQUEST;
    use rtc::stun::textattrs::TextAttribute;
    let mut message = Message::new();
    let name = TextAttribute::new(ATTR_USERNAME, username.to_owned());
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), CRYPTO.crypto());
    message
        .build(&[Box::<TransactionId>::default(), Box::new(BINDING_REQUEST), Box::new(name), Box::new(integrity)])
        .unwrap();
    message.raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_session_and_is_signed() {
        let datagram = signed_request("here:there", "secret");
        let request = || match Kind::of(&datagram) {
            Kind::Request { ufrag, request } if ufrag == "here" => request,
            other => panic!("{other:?}"),
        };
        assert!(request().signed_with("secret"));
        assert!(!request().signed_with("another"));
        let mut forged = datagram.clone();
        forged[30] ^= 1;
        let Kind::Request { request, .. } = Kind::of(&forged) else { panic!("the name was changed only") };
        assert!(!request.signed_with("secret"));
    }

    #[test]
    fn whatever_is_cut_or_changed_is_no_request_and_no_panic() {
        let datagram = signed_request("here:there", "secret");
        for length in 0..datagram.len() {
            assert!(matches!(Kind::of(&datagram[..length]), Kind::Other), "{length}");
        }
        for at in 0..datagram.len() {
            for bit in 0..8 {
                let mut changed = datagram.clone();
                changed[at] ^= 1 << bit;
                if let Kind::Request { request, .. } = Kind::of(&changed) {
                    assert!(!request.signed_with("secret"), "byte {at}, bit {bit}");
                }
            }
        }
        assert!(matches!(Kind::of(&[22; 400]), Kind::Other));
        assert!(matches!(Kind::of(&vec![0; 70_000]), Kind::Other));
    }
}
