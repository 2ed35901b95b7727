//! Locks that threads wait on: parking_lot's, or, with the feature `shuttle`, ones whose schedules Shuttle tries.
//!
//! Queues that are synchronised by hand take `Mutex` and `Condvar` from here, so that their tests can run them under schedules that
//! a machine hardly ever takes (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs", 2010).

#![forbid(unsafe_code)]

mod queue;
pub use queue::Queue;

#[cfg(not(feature = "shuttle"))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, WaitTimeoutResult};

#[cfg(feature = "shuttle")]
mod scheduled;
#[cfg(feature = "shuttle")]
pub use scheduled::{Condvar, Mutex, MutexGuard, WaitTimeoutResult, try_schedules};
