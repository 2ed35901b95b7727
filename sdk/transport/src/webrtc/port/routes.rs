//! Whose datagram it is: by the user name of a signed binding request first, by the sender's address from then on.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::super::stand_in::StandIns;
use super::mailbox::Mailbox;
use super::stun::{Kind, Request};

/// Addresses that a session may be heard from by UDP, those behind the relay too: an engine's interfaces, and those of the NATs
/// before them. The oldest goes first.
const REMOTES: usize = 32;
/// TCP connections of a session.
pub(super) const STREAMS: usize = 8;
/// Addresses that the relay lets in for a session.
const PERMITTED: usize = 32;

/// Who sends: an address, and whether what it sends has come through the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Remote {
    Direct(SocketAddr),
    Relayed(SocketAddr),
}

/// A session on a shared port.
#[derive(Debug)]
pub(in crate::webrtc) struct Session {
    pub(super) ufrag: String,
    pub(super) password: String,
    mailboxes: Mutex<Vec<(IpAddr, Arc<Mailbox>)>>,
    streams: Mutex<HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>>,
    relayed: Mutex<StandIns>,
}

/// All sessions of a port.
#[derive(Debug, Default)]
pub(super) struct Routes {
    tables: Mutex<Tables>,
    /// What [`Routes::relayed`] tells is another now.
    pub(super) relayed_changed: Notify,
}

#[derive(Debug, Default)]
struct Tables {
    sessions: HashMap<String, Registered>,
    /// **An address is only ever entered by a request that is signed with its session's password**: one who forges
    /// addresses, or does not know the session, changes nothing here.
    remotes: HashMap<Remote, Arc<Session>>,
}

#[derive(Debug)]
struct Registered {
    session: Arc<Session>,
    remotes: VecDeque<Remote>,
    /// Where the relay shall let datagrams in from.
    permitted: Vec<IpAddr>,
}

impl Session {
    pub(super) fn new(ufrag: String, password: String) -> Session {
        Session { ufrag, password, mailboxes: Mutex::default(), streams: Mutex::default(), relayed: Mutex::default() }
    }

    /// What arrives at a local address, which may be unspecified, goes there.
    pub(super) fn add_mailbox(&self, at: IpAddr) -> Arc<Mailbox> {
        let mailbox = Arc::<Mailbox>::default();
        self.mailboxes.lock().push((at, mailbox.clone()));
        mailbox
    }

    /// False where the datagrams are lost: nobody takes what comes to that address, or the reader lags.
    pub(super) fn deliver(&self, to: Option<IpAddr>, from: SocketAddr, stride: usize, data: &[u8]) -> bool {
        let mailboxes = self.mailboxes.lock();
        let to = to.map(|to| to.to_canonical());
        let exact = mailboxes.iter().find(|(at, _)| Some(*at) == to);
        // A system that does not tell the address, and one on which no interface was to be found.
        let any = || {
            let family = |at: &IpAddr| at.is_ipv4() == from.is_ipv4();
            mailboxes.iter().find(|(at, _)| family(at) && (to.is_none() || at.is_unspecified()))
        };
        exact.or_else(any).is_some_and(|(_, mailbox)| mailbox.put(from, stride, data))
    }

    /// The TCP connection to that address.
    pub(super) fn stream(&self, to: SocketAddr) -> Option<mpsc::Sender<Vec<u8>>> {
        self.streams.lock().get(&to).cloned()
    }

    /// False where the session has as many as it may.
    pub(super) fn add_stream(&self, to: SocketAddr, frames: mpsc::Sender<Vec<u8>>) -> bool {
        let mut streams = self.streams.lock();
        let fits = streams.len() < STREAMS;
        if fits {
            streams.insert(to, frames);
        }
        fits
    }

    pub(super) fn remove_stream(&self, to: SocketAddr) {
        self.streams.lock().remove(&to);
    }

    /// Under which address the session knows a relayed remote.
    pub(super) fn stands_in_for(&self, remote: SocketAddr) -> Option<SocketAddr> {
        self.relayed.lock().of(remote)
    }

    /// The relayed remote that an address stands in for.
    pub(in crate::webrtc) fn relayed(&self, stands_in: SocketAddr) -> Option<SocketAddr> {
        self.relayed.lock().remote(stands_in)
    }

    fn add_relayed(&self, remote: SocketAddr) {
        let ipv4 = self.mailboxes.lock().iter().any(|(at, _)| at.is_ipv4());
        let mut relayed = self.relayed.lock();
        if relayed.of(remote).is_none() {
            relayed.add(remote, ipv4);
        }
    }

    /// Ends its TCP connections: each ends with its queue.
    fn end(&self) {
        self.streams.lock().clear();
    }
}

impl Routes {
    pub(super) fn add(&self, session: Arc<Session>) {
        let registered = Registered { session: session.clone(), remotes: VecDeque::new(), permitted: Vec::new() };
        self.tables.lock().sessions.insert(session.ufrag.clone(), registered);
    }

    /// Forgets the session and all of its addresses.
    pub(super) fn remove(&self, session: &Session) {
        let mut tables = self.tables.lock();
        if let Some(registered) = tables.sessions.remove(&session.ufrag) {
            for remote in registered.remotes {
                if tables.remotes.get(&remote).is_some_and(|owner| owner.ufrag == session.ufrag) {
                    tables.remotes.remove(&remote);
                }
            }
        }
        drop(tables);
        session.end();
        self.relayed_changed.notify_one();
    }

    /// The relay shall let datagrams in from these addresses while the session is there.
    pub(super) fn permit(&self, session: &Session, ips: impl IntoIterator<Item = IpAddr>) {
        if let Some(registered) = self.tables.lock().sessions.get_mut(&session.ufrag) {
            for ip in ips {
                if registered.permitted.len() < PERMITTED && !registered.permitted.contains(&ip) {
                    registered.permitted.push(ip);
                }
            }
        }
        self.relayed_changed.notify_one();
    }

    /// Where the relay shall let datagrams in from, and the remotes that sessions are heard from through it.
    pub(super) fn relayed(&self) -> (HashSet<IpAddr>, HashSet<SocketAddr>) {
        let tables = self.tables.lock();
        let permitted = tables.sessions.values().flat_map(|registered| registered.permitted.iter().copied());
        let relayed = |remote: &Remote| match remote {
            Remote::Relayed(address) => Some(*address),
            Remote::Direct(_) => None,
        };
        (permitted.collect(), tables.remotes.keys().filter_map(relayed).collect())
    }

    /// The session that a datagram is for.
    pub(super) fn find(&self, from: Remote, kind: Kind) -> Option<Arc<Session>> {
        let Kind::Request { ufrag, request } = kind else { return self.tables.lock().remotes.get(&from).cloned() };
        if let Some(known) = self.tables.lock().remotes.get(&from).filter(|session| session.ufrag == ufrag) {
            return Some(known.clone());
        }
        let session = self.signed(&ufrag, *request)?;
        self.admit(from, &session);
        Some(session)
    }

    /// The session that a request of a sender unknown so far is for, if it is signed.
    pub(super) fn signed(&self, ufrag: &str, request: Request) -> Option<Arc<Session>> {
        let session = self.tables.lock().sessions.get(ufrag)?.session.clone();
        request.signed_with(&session.password).then_some(session)
    }

    fn admit(&self, from: Remote, session: &Arc<Session>) {
        let mut tables = self.tables.lock();
        // It may have ended meanwhile.
        let Some(registered) = tables.sessions.get_mut(&session.ufrag) else { return };
        if !registered.remotes.contains(&from) {
            registered.remotes.push_back(from);
        }
        let oldest = if registered.remotes.len() > REMOTES { registered.remotes.pop_front() } else { None };
        if let Some(Remote::Relayed(oldest)) = oldest {
            session.relayed.lock().remove(oldest);
        }
        if let Some(oldest) =
            oldest.filter(|oldest| tables.remotes.get(oldest).is_some_and(|o| o.ufrag == session.ufrag))
        {
            tables.remotes.remove(&oldest);
        }
        tables.remotes.insert(from, session.clone());
        drop(tables);
        if let Remote::Relayed(address) = from {
            session.add_relayed(address);
            self.relayed_changed.notify_one();
        }
    }

    /// Sessions, and addresses that they are heard from.
    pub(super) fn counts(&self) -> (usize, usize) {
        let tables = self.tables.lock();
        (tables.sessions.len(), tables.remotes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stun::signed_request;
    use super::*;

    fn session(routes: &Routes, name: &str) -> Arc<Session> {
        let session = Arc::new(Session::new(name.to_owned(), format!("password of {name}")));
        routes.add(session.clone());
        session
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn remote(port: u16) -> Remote {
        Remote::Direct(address(port))
    }

    fn finds(routes: &Routes, from: Remote, datagram: &[u8]) -> Option<String> {
        routes.find(from, Kind::of(datagram)).map(|session| session.ufrag.clone())
    }

    const DATA: [u8; 40] = [23; 40];

    #[test]
    fn only_a_signed_request_makes_an_address_known() {
        let routes = Routes::default();
        let [_a, _b] = ["a", "b"].map(|name| session(&routes, name));
        assert_eq!(finds(&routes, remote(1), &DATA), None);
        assert_eq!(finds(&routes, remote(1), &signed_request("a:x", "wrong")), None);
        assert_eq!(finds(&routes, remote(1), &signed_request("nobody:x", "password of a")), None);
        assert_eq!(finds(&routes, remote(1), &DATA), None, "nothing was learnt from forged ones");
        assert_eq!(finds(&routes, remote(1), &signed_request("a:x", "password of a")).as_deref(), Some("a"));
        assert_eq!(finds(&routes, remote(1), &DATA).as_deref(), Some("a"));
        assert_eq!(finds(&routes, remote(1), &signed_request("b:x", "password of a")), None);
        assert_eq!(finds(&routes, remote(1), &DATA).as_deref(), Some("a"), "b was not asked for with its password");
        // The NAT gave the address to another engine.
        assert_eq!(finds(&routes, remote(1), &signed_request("b:x", "password of b")).as_deref(), Some("b"));
        assert_eq!(finds(&routes, remote(1), &DATA).as_deref(), Some("b"));
    }

    #[test]
    fn addresses_are_bounded_and_go_with_their_session() {
        let routes = Routes::default();
        let [a, _b] = ["a", "b"].map(|name| session(&routes, name));
        let request = signed_request("a:x", "password of a");
        for port in 1..=100 {
            assert!(finds(&routes, remote(port), &request).is_some());
        }
        assert_eq!(routes.counts(), (2, REMOTES));
        assert_eq!(finds(&routes, remote(1), &DATA), None, "the oldest went");
        assert_eq!(finds(&routes, remote(100), &DATA).as_deref(), Some("a"));
        finds(&routes, remote(100), &signed_request("b:x", "password of b"));
        routes.remove(&a);
        assert_eq!(routes.counts(), (1, 1), "the other's address stays");
        assert_eq!(finds(&routes, remote(99), &request), None);
    }

    #[test]
    fn a_relayed_remote_is_not_the_direct_one_of_its_address() {
        let routes = Routes::default();
        let a = session(&routes, "a");
        a.add_mailbox("10.0.0.1".parse().unwrap());
        let request = signed_request("a:x", "password of a");
        assert!(finds(&routes, Remote::Relayed(address(1)), &request).is_some());
        assert_eq!(finds(&routes, remote(1), &DATA), None);
        let stands_in = a.stands_in_for(address(1)).unwrap();
        assert!(stands_in.ip().is_ipv4() && a.relayed(stands_in) == Some(address(1)), "{stands_in}");
        assert_eq!(routes.relayed().1, HashSet::from([address(1)]));
        for port in 2..=100 {
            assert!(finds(&routes, Remote::Relayed(address(port)), &request).is_some());
        }
        assert_eq!((a.stands_in_for(address(1)), routes.relayed().1.len()), (None, REMOTES), "the oldest went");
        routes.permit(&a, (0..100).map(|host| IpAddr::from([10, 0, 0, host])));
        assert_eq!(routes.relayed().0.len(), PERMITTED);
        routes.remove(&a);
        assert_eq!(routes.relayed(), Default::default());
    }

    #[test]
    fn datagrams_go_to_the_address_that_they_came_to() {
        let session = Session::new("a".into(), String::new());
        let [here, loopback] = ["10.0.0.1", "127.0.0.1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        session.add_mailbox(here);
        session.add_mailbox(loopback);
        assert!(session.deliver(Some(here), address(1), 1, b"x"));
        assert!(session.deliver(None, address(1), 1, b"x"), "a system that does not say");
        assert!(!session.deliver(Some("10.0.0.2".parse().unwrap()), address(1), 1, b"x"));
    }
}
