//! Byte planes of a slice, between prediction and packing.

use super::pack::{self, GROUP};

/// Byte `k` of every pixel's residual stands in plane `k`. Each plane is padded with zeros to whole groups.
#[derive(Debug, Default)]
pub(super) struct Planes {
    bytes: Vec<u8>,
    pixels: usize,
    padded: usize,
}

impl Planes {
    /// Room for `count` planes of `pixels` bytes; what stands in them is left over from before, their padding is zero.
    pub(super) fn resize(&mut self, count: usize, pixels: usize) {
        self.pixels = pixels;
        self.padded = pixels.next_multiple_of(GROUP);
        self.bytes.resize(count * self.padded, 0);
        self.bytes.chunks_exact_mut(self.padded.max(1)).for_each(|plane| plane[pixels..].fill(0));
    }

    /// Bytes `range` of `N` planes from the first on.
    #[inline(always)]
    pub(super) fn rows<const N: usize>(&self, range: std::ops::Range<usize>) -> [&[u8]; N] {
        std::array::from_fn(|k| &self.bytes[k * self.padded..(k + 1) * self.padded][range.clone()])
    }

    /// Bytes `range` of `N` planes from the first on.
    #[inline(always)]
    pub(super) fn rows_mut<const N: usize>(&mut self, range: std::ops::Range<usize>) -> [&mut [u8]; N] {
        let mut planes = self.bytes.chunks_exact_mut(self.padded.max(1));
        std::array::from_fn(|_| &mut planes.next().expect("resize made this many planes")[range.clone()])
    }

    /// Packs all planes into `out`, replacing what it held; false, with nothing of use in `out`, where that saves nothing.
    #[inline(always)]
    pub(super) fn pack(&self, out: &mut Vec<u8>) -> bool {
        let planes = self.bytes.chunks_exact(self.padded.max(1));
        let count = planes.len();
        out.resize(count * pack::packed_bytes_max(self.padded), 0);
        let at = planes.fold(0, |at, plane| at + pack::pack(plane, &mut out[at..]));
        out.truncate(at);
        at < count * self.pixels
    }

    /// The planes as they are, replacing what `out` held.
    pub(super) fn store(&self, out: &mut Vec<u8>) {
        out.clear();
        self.bytes.chunks_exact(self.padded.max(1)).for_each(|plane| out.extend_from_slice(&plane[..self.pixels]));
    }

    /// The inverse of [`Planes::pack`], once sizes are set; false when `packed` is not what it makes.
    #[inline(always)]
    pub(super) fn unpack(&mut self, packed: &[u8]) -> bool {
        let mut planes = self.bytes.chunks_exact_mut(self.padded.max(1));
        let rest = planes.try_fold(packed, |packed, plane| pack::unpack(packed, plane));
        rest.is_some_and(<[u8]>::is_empty)
    }

    /// The inverse of [`Planes::store`], once sizes are set; false when `stored` has another length.
    pub(super) fn load(&mut self, stored: &[u8]) -> bool {
        let planes = self.bytes.chunks_exact_mut(self.padded.max(1));
        if stored.len() != planes.len() * self.pixels {
            return false;
        }
        for (plane, stored) in planes.zip(stored.chunks_exact(self.pixels.max(1))) {
            plane[..stored.len()].copy_from_slice(stored);
        }
        true
    }
}
