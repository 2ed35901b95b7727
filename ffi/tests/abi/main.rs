//! The C ABI as a host sees it: header, compilers, symbols, mistakes, panics. The libraries must be built before.

mod contract;
mod csharp;
mod deforming;
mod full_disk;
mod header;
mod kept;
mod languages;
mod memory;
mod mistakes;
// Only builds with debug assertions can be told to panic.
#[cfg(debug_assertions)]
mod panics;
mod sanitized;
mod symbols;
mod threads;
mod toolchain;
mod validate;
