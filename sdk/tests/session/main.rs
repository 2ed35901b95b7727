//! The session's behaviour with peers inside this process, embedded or dialled, one file each.

#[cfg(feature = "embedded-peer")]
mod ahead;
#[cfg(feature = "embedded-peer")]
mod capture;
#[cfg(feature = "embedded-peer")]
mod constraints;
#[cfg(feature = "embedded-peer")]
mod embedded;
#[cfg(feature = "embedded-peer")]
mod filling;
#[cfg(feature = "embedded-peer")]
mod gbuffer;
#[cfg(feature = "embedded-peer")]
mod goodbye;
#[cfg(feature = "embedded-peer")]
mod ledger;
#[cfg(feature = "embedded-peer")]
mod lies;
#[cfg(feature = "embedded-peer")]
mod pictures;
mod refusals;
#[cfg(feature = "embedded-peer")]
mod served;
#[cfg(feature = "embedded-peer")]
mod tiers;
#[cfg(feature = "embedded-peer")]
mod validation;
