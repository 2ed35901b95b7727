//! The session's behaviour with the peer inside this process, one file each.

#[cfg(feature = "embedded-peer")]
mod capture;
#[cfg(feature = "embedded-peer")]
mod embedded;
#[cfg(feature = "embedded-peer")]
mod gbuffer;
#[cfg(feature = "embedded-peer")]
mod pictures;
mod refusals;
#[cfg(feature = "embedded-peer")]
mod validation;
