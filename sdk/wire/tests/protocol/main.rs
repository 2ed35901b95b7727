//! The protocol's behaviour, one file each.

mod hostile;
mod round_trip;
mod samples;
mod state_size;
