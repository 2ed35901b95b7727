//! Behaviour of links, one per file; a single binary, because the WebRTC stack takes long to link.

mod conformance;
mod dead_peer;
mod no_leaks;
mod pair;
mod signalling;
mod tls;
mod udp_ports;
