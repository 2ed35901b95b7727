//! Places for connections that nobody knows yet. One remote cannot hold them all: the busiest gives way.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// A bounded number of places. Clones are the same places.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    most: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    /// Oldest first.
    holders: Vec<Holder>,
}

#[derive(Debug)]
struct Holder {
    number: u64,
    remote: IpAddr,
    _cut: oneshot::Sender<()>,
}

/// Is given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    held: Arc<Mutex<Held>>,
    cut: oneshot::Receiver<()>,
}

impl Places {
    pub(crate) fn new(most: usize) -> Places {
        Places { most, held: Arc::default() }
    }

    /// A place, always: where all are held, the remote that holds most of them loses its oldest.
    pub(crate) fn enter(&self, remote: IpAddr) -> Place {
        let remote = network(remote);
        let mut held = self.held.lock();
        if held.holders.len() >= self.most {
            let count = |holder: &Holder| held.holders.iter().filter(|other| other.remote == holder.remote).count();
            // The last of equals is taken: counted from the end that is the oldest.
            let busiest = (0..held.holders.len()).rev().max_by_key(|at| count(&held.holders[*at]));
            if let Some(at) = busiest {
                held.holders.remove(at);
            }
        }
        let (number, (end, cut)) = (held.next, oneshot::channel());
        held.next += 1;
        held.holders.push(Holder { number, remote, _cut: end });
        drop(held);
        Place { number, held: self.held.clone(), cut }
    }
}

impl Place {
    /// Resolves when another connection needs the place.
    pub(crate) async fn cut(&mut self) {
        // Nothing is ever sent; its end is the word.
        let _ = (&mut self.cut).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held.lock().holders.retain(|holder| holder.number != self.number);
    }
}

/// Whoever has one address of a /64 has all of them.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn is_cut(place: &mut Place) -> bool {
        place.cut().now_or_never().is_some()
    }

    #[test]
    fn the_busiest_remote_gives_way_with_its_oldest() {
        let places = Places::new(3);
        let remote = |n: u8| IpAddr::from([192, 0, 2, n]);
        let mut other = places.enter(remote(1));
        let mut busy: Vec<Place> = (0..2).map(|_| places.enter(remote(2))).collect();
        let mut newcomer = places.enter(remote(3));
        let cut: Vec<bool> = busy.iter_mut().map(is_cut).collect();
        assert_eq!((cut, is_cut(&mut other), is_cut(&mut newcomer)), (vec![true, false], false, false));
        drop(newcomer);
        let _next = places.enter(remote(4));
        assert!(!is_cut(&mut other) && !is_cut(&mut busy[1]), "there was a place");
        let _full = places.enter(remote(5));
        assert!(is_cut(&mut other), "all have one: the oldest goes");
    }

    #[test]
    fn a_network_of_ipv6_is_one_remote() {
        let at = |text: &str| network(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:0:0:2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), IpAddr::from([192, 0, 2, 1]));
    }
}
