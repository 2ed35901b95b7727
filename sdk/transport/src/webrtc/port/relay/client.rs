//! One allocation at a TURN server, without sockets or a clock: what is to be sent, and what the answers lead to.
//!
//! Crate `rtc` has such a client (`rtc::turn::client`), made for one connection that ends before long. An allocation that all
//! sessions share stays for months, and there that client falls short: a Refresh that meets a stale nonce is not repeated, so
//! that the allocation may lapse; permissions and channels are never given up, and are refreshed in one message however many
//! they are; that the server has dropped the allocation is told to nobody; answers are not checked for their signature.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rtc::stun::message::{Message, TransactionId};

use super::channels::Channels;
use super::error::TurnError;
use super::message::{CHANNEL_HEADER_BYTES, Heard, Login, Request, Response, send_indication};
use super::server::TurnServer;

/// RFC 8489, 6.2.1: the first wait, the requests, and the last wait in units of the first. Over TCP one request waits as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const REQUESTS: u32 = 7;
const LAST_WAITS: u32 = 16;
const RELIABLE_WAIT: Duration = Duration::from_millis(39_500);
/// As often the allocation is refreshed: NATs forget what is not used, and a server that was started again is noticed.
const REFRESH_EVERY: Duration = Duration::from_secs(25);
/// Permissions last 300 s (RFC 8656, 9).
const PERMIT_EVERY: Duration = Duration::from_secs(200);
/// A permission or a channel that was refused is asked for again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Requests under way at a time.
const MOST_REQUESTS: usize = 64;
/// A server that has a new nonce for each answer is given up.
const MOST_REPEATS: u32 = 3;

/// RFC 8656, 19, and RFC 8489, 14.8.
const UNAUTHENTICATED: u16 = 401;
const ALLOCATION_MISMATCH: u16 = 437;
const STALE_NONCE: u16 = 438;
const WRONG_CREDENTIALS: u16 = 441;

/// What a server has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::webrtc) struct Allocation {
    /// What others send to.
    pub(in crate::webrtc) relayed: SocketAddr,
    /// What the server sees this machine as.
    pub(in crate::webrtc) mapped: SocketAddr,
}

/// A datagram, and the remote that has sent it.
pub(super) type Relayed<'a> = (SocketAddr, Cow<'a, [u8]>);

/// The client.
#[derive(Debug)]
pub(super) struct Client {
    server: TurnServer,
    /// TCP: nothing is lost on the way, and nothing is sent twice.
    reliable: bool,
    login: Option<Login>,
    allocation: Option<Allocation>,
    requests: HashMap<TransactionId, UnderWay>,
    /// When to ask for each; `None` while it is asked for.
    permissions: HashMap<IpAddr, Option<Instant>>,
    channels: Channels,
    refresh_at: Option<Instant>,
    outgoing: VecDeque<Vec<u8>>,
    /// The earliest of all that has a time.
    due: Option<Instant>,
}

/// A request that has no answer yet.
#[derive(Debug)]
struct UnderWay {
    request: Request,
    message: Vec<u8>,
    signed: bool,
    /// How often it was sent, and how often it was made anew for a new nonce.
    sent: u32,
    repeats: u32,
    next: Instant,
}

impl Client {
    /// A client that asks for an allocation.
    pub(super) fn new(server: TurnServer, reliable: bool, now: Instant) -> Result<Client, TurnError> {
        let mut client = Client {
            server,
            reliable,
            login: None,
            allocation: None,
            requests: HashMap::new(),
            permissions: HashMap::new(),
            channels: Channels::default(),
            refresh_at: None,
            outgoing: VecDeque::new(),
            due: None,
        };
        client.ask(now, Request::Allocate, 0)?;
        client.schedule();
        Ok(client)
    }

    pub(super) fn allocation(&self) -> Option<Allocation> {
        self.allocation
    }

    /// Takes what the server has sent: a datagram of a remote, maybe.
    ///
    /// # Errors
    /// There is no allocation, or not any more.
    pub(super) fn handle_message<'a>(
        &mut self,
        now: Instant,
        message: &'a [u8],
    ) -> Result<Option<Relayed<'a>>, TurnError> {
        match Heard::of(message) {
            Heard::Channel { number, datagram } => {
                Ok(self.channels.remote(number).map(|remote| (remote, Cow::Borrowed(datagram))))
            }
            Heard::Indication { remote, datagram } => Ok(Some((remote, Cow::Owned(datagram)))),
            Heard::Response(response) => {
                self.handle_response(now, &response)?;
                self.handle_timeout(now)?;
                Ok(None)
            }
            Heard::Nothing => Ok(None),
        }
    }

    /// Whoever is at these addresses shall be able to send here, and these remotes shall have channels; no others.
    pub(super) fn handle_wanted(
        &mut self,
        now: Instant,
        ips: &HashSet<IpAddr>,
        remotes: &HashSet<SocketAddr>,
    ) -> Result<(), TurnError> {
        let Some(Allocation { relayed, .. }) = self.allocation else { return Ok(()) };
        // A server that is not on loopback itself refuses that, and another family has its own relayed addresses.
        let reachable =
            |ip: &IpAddr| ip.is_ipv4() == relayed.is_ipv4() && (!ip.is_loopback() || relayed.ip().is_loopback());
        self.permissions.retain(|ip, _| ips.contains(ip));
        for ip in ips.iter().copied().filter(reachable) {
            self.permissions.entry(ip).or_insert(Some(now));
        }
        self.channels.want(now, remotes);
        self.handle_timeout(now)
    }

    /// Does what is due.
    ///
    /// # Errors
    /// The server does not answer.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), TurnError> {
        let late: Vec<TransactionId> =
            self.requests.iter().filter(|(_, request)| request.next <= now).map(|(id, _)| *id).collect();
        for id in late {
            self.send_again(now, id)?;
        }
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = None;
            self.ask(now, Request::Refresh { lifetime: None }, 0)?;
        }
        while self.requests.len() < MOST_REQUESTS {
            let due = self.permissions.iter_mut().find(|(_, at)| at.is_some_and(|at| at <= now));
            if let Some((ip, at)) = due {
                *at = None;
                let request = Request::Permit(*ip);
                self.ask(now, request, 0)?;
            } else if let Some((number, remote)) = self.channels.take_due(now) {
                self.ask(now, Request::Bind { number, remote }, 0)?;
            } else {
                break;
            }
        }
        self.schedule();
        Ok(())
    }

    /// A datagram for a remote as it goes to the server; it comes with [`CHANNEL_HEADER_BYTES`] of room before it. `None`
    /// where it is lost.
    pub(super) fn framed(&self, now: Instant, remote: SocketAddr, mut datagram: Vec<u8>) -> Option<Vec<u8>> {
        self.allocation?;
        let length = datagram.len().checked_sub(CHANNEL_HEADER_BYTES)?;
        let Some(number) = self.channels.number(now, remote) else {
            return send_indication(remote, &datagram[CHANNEL_HEADER_BYTES..]).ok();
        };
        let header = [number.to_be_bytes(), u16::try_from(length).ok()?.to_be_bytes()];
        datagram[..CHANNEL_HEADER_BYTES].copy_from_slice(header.as_flattened());
        if self.reliable {
            // RFC 8656, 12.5: in a stream to a multiple of four bytes.
            datagram.resize(datagram.len().next_multiple_of(4), 0);
        }
        Some(datagram)
    }

    /// What gives the allocation back, to be sent last.
    pub(super) fn release(&self) -> Option<Vec<u8>> {
        self.allocation?;
        let request = Request::Refresh { lifetime: Some(Duration::ZERO) };
        request.message(self.login.as_ref()).ok().map(|(_, message)| message)
    }

    /// The next message to the server.
    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outgoing.pop_front()
    }

    /// When to call [`Client::handle_timeout`].
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    fn schedule(&mut self) {
        let requests = self.requests.values().map(|request| request.next);
        let room = self.requests.len() < MOST_REQUESTS;
        let permissions = self.permissions.values().copied().flatten().filter(|_| room);
        let channels = self.channels.due().into_iter().filter(|_| room);
        self.due = requests.chain(permissions).chain(channels).chain(self.refresh_at).min();
    }

    fn ask(&mut self, now: Instant, request: Request, repeats: u32) -> Result<(), TurnError> {
        let (id, message) = request.message(self.login.as_ref())?;
        self.outgoing.push_back(message.clone());
        let next = now + if self.reliable { RELIABLE_WAIT } else { FIRST_WAIT };
        let signed = self.login.is_some();
        self.requests.insert(id, UnderWay { request, message, signed, sent: 1, repeats, next });
        Ok(())
    }

    fn send_again(&mut self, now: Instant, id: TransactionId) -> Result<(), TurnError> {
        let Some(under_way) = self.requests.get_mut(&id) else { return Ok(()) };
        if !self.reliable && under_way.sent < REQUESTS {
            let waits = if under_way.sent + 1 == REQUESTS { LAST_WAITS } else { 1 << under_way.sent };
            under_way.sent += 1;
            under_way.next = now + FIRST_WAIT * waits;
            self.outgoing.push_back(under_way.message.clone());
            return Ok(());
        }
        let request = under_way.request;
        self.requests.remove(&id);
        match request {
            Request::Allocate | Request::Refresh { .. } => Err(TurnError::Silent),
            request => {
                self.missed(now, request);
                Ok(())
            }
        }
    }

    fn handle_response(&mut self, now: Instant, response: &Response) -> Result<(), TurnError> {
        let id = response.message.transaction_id;
        let Some(UnderWay { request, signed, repeats, .. }) = self.requests.get(&id) else { return Ok(()) };
        let (request, signed, repeats) = (*request, *signed, *repeats);
        if let Some((code, reason)) = &response.refused {
            self.requests.remove(&id);
            return self.refused(now, (request, repeats), *code, reason, &response.message);
        }
        // Who does not know the password has not granted anything.
        if signed && !self.login.as_ref().is_some_and(|login| login.signed(&response.message)) {
            return Ok(());
        }
        self.requests.remove(&id);
        self.granted(now, request, response)
    }

    fn granted(&mut self, now: Instant, request: Request, response: &Response) -> Result<(), TurnError> {
        let missing = |what: &str| TurnError::Protocol { reason: format!("an answer without {what}") };
        match request {
            Request::Allocate => {
                let (relayed, mapped) = response.addresses().ok_or_else(|| missing("a relayed address"))?;
                self.allocation = Some(Allocation { relayed, mapped });
                self.refresh_in_time(now, response)?;
            }
            Request::Refresh { .. } => self.refresh_in_time(now, response)?,
            Request::Permit(ip) => {
                if let Some(at) = self.permissions.get_mut(&ip) {
                    *at = Some(now + PERMIT_EVERY);
                }
            }
            Request::Bind { remote, .. } => self.channels.bound(now, remote),
        }
        Ok(())
    }

    fn refresh_in_time(&mut self, now: Instant, response: &Response) -> Result<(), TurnError> {
        let lifetime = response.lifetime().filter(|lifetime| !lifetime.is_zero());
        let lifetime =
            lifetime.ok_or_else(|| TurnError::Protocol { reason: "an allocation for no time".to_owned() })?;
        self.refresh_at = Some(now + REFRESH_EVERY.min(lifetime / 2));
        Ok(())
    }

    fn refused(
        &mut self,
        now: Instant,
        (request, repeats): (Request, u32),
        code: u16,
        reason: &str,
        refusal: &Message,
    ) -> Result<(), TurnError> {
        let is_first = code == UNAUTHENTICATED && self.login.is_none();
        if is_first || code == STALE_NONCE && repeats < MOST_REPEATS {
            let missing = || TurnError::Protocol { reason: format!("a refusal ({code}) without a realm and a nonce") };
            self.login = Some(Login::of(&self.server, refusal).ok_or_else(missing)?);
            return self.ask(now, request, repeats + 1);
        }
        match (code, request) {
            (UNAUTHENTICATED | WRONG_CREDENTIALS, _) => {
                Err(TurnError::Credentials { user: self.server.user.clone(), code })
            }
            (ALLOCATION_MISMATCH, _) | (_, Request::Allocate | Request::Refresh { .. }) => {
                Err(TurnError::Refused { code, reason: reason.to_owned() })
            }
            (_, request) => {
                tracing::debug!(?request, code, reason, "the TURN server refuses");
                self.missed(now, request);
                Ok(())
            }
        }
    }

    /// A permission or a channel was not given.
    fn missed(&mut self, now: Instant, request: Request) {
        let again = now + AGAIN_AFTER;
        match request {
            Request::Permit(ip) => {
                if let Some(at) = self.permissions.get_mut(&ip) {
                    *at = Some(again);
                }
            }
            Request::Bind { remote, .. } => self.channels.missed(again, remote),
            Request::Allocate | Request::Refresh { .. } => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME, ATTR_XOR_RELAYED_ADDRESS};
    use rtc::stun::error_code::{ErrorCode, ErrorCodeAttribute};
    use rtc::stun::integrity::MessageIntegrity;
    use rtc::stun::message::{
        CLASS_ERROR_RESPONSE, CLASS_SUCCESS_RESPONSE, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH,
        MessageType, Setter,
    };
    use rtc::stun::textattrs::TextAttribute;
    use rtc::stun::xoraddr::XorMappedAddress;
    use rtc::turn::proto::lifetime::Lifetime;

    use super::super::super::stun::CRYPTO;

    const RELAYED: &str = "203.0.113.9:50000";

    /// A client and a server that answers as it is told.
    struct Pair {
        client: Client,
        now: Instant,
        nonce: &'static str,
    }

    impl Pair {
        fn new() -> Pair {
            let server = TurnServer::new("turn:host".parse().unwrap(), "user".into(), "password".into()).unwrap();
            let now = Instant::now();
            Pair { client: Client::new(server, false, now).unwrap(), now, nonce: "first" }
        }

        fn allocated() -> Pair {
            let mut pair = Pair::new();
            let first = pair.asked();
            pair.refuse(&first, 401).unwrap();
            let second = pair.asked();
            assert!(second.contains(ATTR_USERNAME));
            pair.grant(&second, "password").unwrap();
            assert_eq!(pair.client.allocation().unwrap().relayed, RELAYED.parse::<SocketAddr>().unwrap());
            pair
        }

        /// What the client asks for now, alone.
        fn asked(&mut self) -> Message {
            let mut message = Message { raw: self.client.poll_transmit().expect("it asks"), ..Message::default() };
            message.decode().unwrap();
            assert_eq!(self.client.poll_transmit(), None);
            message
        }

        fn waits(&mut self, duration: Duration) -> Result<(), TurnError> {
            self.now += duration;
            self.client.handle_timeout(self.now)
        }

        fn answer(
            &mut self,
            to: &Message,
            class: rtc::stun::message::MessageClass,
            parts: Vec<Box<dyn Setter>>,
        ) -> Result<(), TurnError> {
            let mut all: Vec<Box<dyn Setter>> =
                vec![Box::new(to.transaction_id), Box::new(MessageType::new(to.typ.method, class))];
            all.extend(parts);
            let mut message = Message::new();
            message.build(&all).unwrap();
            self.client.handle_message(self.now, &message.raw).map(|data| assert_eq!(data, None))
        }

        fn refuse(&mut self, request: &Message, code: u16) -> Result<(), TurnError> {
            let text = |attribute, text: &str| Box::new(TextAttribute::new(attribute, text.to_owned()));
            let error = ErrorCodeAttribute { code: ErrorCode(code), reason: b"no\n".to_vec() };
            let (realm, nonce) = (text(ATTR_REALM, "realm"), text(ATTR_NONCE, self.nonce));
            self.answer(request, CLASS_ERROR_RESPONSE, vec![Box::new(error), realm, nonce])
        }

        fn grant(&mut self, request: &Message, password: &str) -> Result<(), TurnError> {
            struct Relayed;
            impl Setter for Relayed {
                fn add_to(&self, message: &mut Message) -> rtc::shared::error::Result<()> {
                    let SocketAddr::V4(relayed) = RELAYED.parse().unwrap() else { unreachable!() };
                    let address = XorMappedAddress { ip: IpAddr::V4(*relayed.ip()), port: relayed.port() };
                    address.add_to_as(message, ATTR_XOR_RELAYED_ADDRESS)
                }
            }
            let words = ["user", "realm", password].map(str::to_owned);
            let [user, realm, password] = words;
            let key = MessageIntegrity::long_term_integrity_key(user, realm, password, CRYPTO.crypto()).unwrap();
            let mapped = XorMappedAddress { ip: IpAddr::from([198, 51, 100, 7]), port: 4_000 };
            let parts: Vec<Box<dyn Setter>> = vec![
                Box::new(Relayed),
                Box::new(mapped),
                Box::new(Lifetime(Duration::from_secs(600))),
                Box::new(MessageIntegrity::new_raw_integrity_with_provider(key, CRYPTO.crypto())),
            ];
            self.answer(request, CLASS_SUCCESS_RESPONSE, parts)
        }
    }

    fn remote() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 5))
    }

    #[test]
    fn a_stale_nonce_is_replaced_at_once() {
        let mut pair = Pair::allocated();
        pair.waits(REFRESH_EVERY).unwrap();
        let refresh = pair.asked();
        pair.nonce = "second";
        pair.refuse(&refresh, 438).unwrap();
        let again = pair.asked();
        assert_eq!(again.get(ATTR_NONCE).unwrap(), b"second");
        pair.grant(&again, "password").unwrap();
        assert_eq!(pair.client.poll_timeout(), Some(pair.now + REFRESH_EVERY));
    }

    #[test]
    fn wrong_credentials_and_a_nonce_that_is_always_stale_end_it() {
        let mut pair = Pair::new();
        let first = pair.asked();
        pair.refuse(&first, 401).unwrap();
        let second = pair.asked();
        let error = pair.refuse(&second, 401).unwrap_err();
        assert_eq!(error, TurnError::Credentials { user: "user".into(), code: 401 });
        let mut pair = Pair::allocated();
        pair.waits(REFRESH_EVERY).unwrap();
        for _ in 0..MOST_REPEATS {
            let asked = pair.asked();
            pair.refuse(&asked, 438).unwrap();
        }
        let asked = pair.asked();
        let reason = "no".to_owned();
        assert_eq!(pair.refuse(&asked, 438), Err(TurnError::Refused { code: 438, reason }));
    }

    #[test]
    fn what_another_has_signed_grants_nothing() {
        let mut pair = Pair::new();
        let first = pair.asked();
        pair.refuse(&first, 401).unwrap();
        let second = pair.asked();
        pair.grant(&second, "guessed").unwrap();
        assert_eq!(pair.client.allocation(), None);
        pair.grant(&second, "password").unwrap();
        assert!(pair.client.allocation().is_some());
    }

    #[test]
    fn a_silent_server_is_asked_seven_times() {
        let mut pair = Pair::new();
        let mut times = 1;
        let first = pair.asked();
        let started = pair.now;
        let error = loop {
            let due = pair.client.poll_timeout().unwrap();
            match pair.waits(due - pair.now) {
                Ok(()) => assert_eq!(pair.asked().raw, first.raw, "the same request again"),
                Err(error) => break error,
            }
            times += 1;
        };
        assert_eq!((error, times, pair.now - started), (TurnError::Silent, REQUESTS, RELIABLE_WAIT));
    }

    #[test]
    fn permissions_and_channels_are_renewed_until_nobody_wants_them() {
        let mut pair = Pair::allocated();
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let of_another_family = "2001:db8::1".parse().unwrap();
        let ips = HashSet::from([remote().ip(), loopback, of_another_family]);
        pair.client.handle_wanted(pair.now, &ips, &HashSet::new()).unwrap();
        let permit = pair.asked();
        pair.grant(&permit, "password").unwrap();
        pair.client.handle_wanted(pair.now, &ips, &HashSet::from([remote()])).unwrap();
        let bind = pair.asked();
        let datagram = || [&[0; CHANNEL_HEADER_BYTES][..], b"data"].concat();
        let framed = pair.client.framed(pair.now, remote(), datagram()).unwrap();
        assert!(matches!(Heard::of(&framed), Heard::Nothing), "an indication of ours, until the channel is bound");
        pair.grant(&bind, "password").unwrap();
        let framed = pair.client.framed(pair.now, remote(), datagram()).unwrap();
        assert_eq!(framed, [&[0x40, 0, 0, 4][..], b"data"].concat());
        let heard = pair.client.handle_message(pair.now, &framed).unwrap();
        assert_eq!(heard, Some((remote(), Cow::Borrowed(&b"data"[..]))));
        let mut asked = Vec::new();
        let end = pair.now + Duration::from_secs(301);
        while let Some(due) = pair.client.poll_timeout().filter(|due| *due < end) {
            pair.waits(due - pair.now).unwrap();
            while let Some(raw) = pair.client.poll_transmit() {
                let mut message = Message { raw, ..Message::default() };
                message.decode().unwrap();
                pair.grant(&message, "password").unwrap();
                asked.push(message.typ.method);
            }
        }
        let times = |method| asked.iter().filter(|asked| **asked == method).count();
        assert_eq!(
            (times(METHOD_REFRESH), times(METHOD_CREATE_PERMISSION), times(METHOD_CHANNEL_BIND)),
            (12, 1, 1),
            "refreshes, permissions, channels: {asked:?}"
        );
        pair.client.handle_wanted(pair.now, &HashSet::new(), &HashSet::new()).unwrap();
        assert!(pair.client.permissions.is_empty());
        pair.waits(REFRESH_EVERY).unwrap();
        assert_eq!(pair.asked().typ.method, METHOD_REFRESH, "the allocation alone");
    }

    #[test]
    fn a_refused_permission_is_asked_for_later_and_a_lost_allocation_ends_it() {
        let mut pair = Pair::allocated();
        pair.client.handle_wanted(pair.now, &HashSet::from([remote().ip()]), &HashSet::new()).unwrap();
        let permit = pair.asked();
        pair.refuse(&permit, 403).unwrap();
        assert_eq!(pair.client.poll_timeout(), Some(pair.now + REFRESH_EVERY));
        pair.waits(REFRESH_EVERY).unwrap();
        let refresh = pair.asked();
        let lost = pair.refuse(&refresh, 437).unwrap_err();
        assert!(matches!(lost, TurnError::Refused { code: 437, .. }), "{lost}");
    }
}
