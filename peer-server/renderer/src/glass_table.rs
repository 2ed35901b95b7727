//! How much of all light the facets of rough glass send on at one scattering; what they do not, is put back by a factor.
//!
//! The numbers are in `glass_table.bin`: the share times 65,535 in 16 bits, little endian, ordered by index of refraction,
//! roughness, side (before the face, within the body) and cosine, the last fastest. `tests/glass_table.rs` says what they are
//! and writes them with RAYLOOM_WRITE_GLASS_TABLE=1; scatter.glsl reads them between their places.

/// Cosines to the normal: the squares of even steps from 0 to 1.
pub const COSINES: usize = 32;
/// Roughnesses, evenly from 0 to 1.
pub const ROUGHNESSES: usize = 24;
/// Indices of refraction.
pub const INDICES: usize = 20;

static SHARES: &[u8; COSINES * 2 * ROUGHNESSES * INDICES * 2] = include_bytes!("glass_table.bin");

/// The n-th index of refraction: from 1 to 3.96, denser at 1, 1.5 among them. Their `(n - 1) / (n + 1)` are squares of even steps.
pub fn index_of_refraction(n: usize) -> f64 {
    let f = 0.2 * (n as f64 / 11.0).powi(2);
    (1.0 + f) / (1.0 - f)
}

/// All shares, in their order.
pub fn shares() -> impl ExactSizeIterator<Item = f32> {
    SHARES.as_chunks::<2>().0.iter().map(|bytes| f32::from(u16::from_le_bytes(*bytes)) / 65535.0)
}
