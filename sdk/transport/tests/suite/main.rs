//! Behaviour of links, one per file; a single binary, because the WebRTC stack takes long to link.

mod conformance;
mod dead_peer;
mod ice_over_tcp;
mod no_leaks;
mod pair;
mod relayed;
mod shared_port;
mod signalling;
mod tls;
