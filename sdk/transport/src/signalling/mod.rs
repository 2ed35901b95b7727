//! Signalling over HTTP: `POST /v1/sessions` takes an offer and a bearer token, and gives an answer.

pub(crate) mod client;
mod message;
mod server;

pub use server::{SignallingConfig, listen, router, serve, serve_router};
