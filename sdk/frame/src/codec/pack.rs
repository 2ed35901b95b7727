//! Planes of small bytes in few bits: eight bytes at a time, each block as wide as its largest byte.
//!
//! Frame of reference coding with the blocks' widths beside them (Lemire and Boytsov, "Decoding billions of integers per
//! second through vectorization", 2015), with blocks as short as edges in a picture ask for. It costs a fraction of LZ4's time
//! and on residuals of traced planes takes as many bytes.
//!
//! A packed plane is a bit for each group of 64 bytes, set where one is not zero; then of each such group a bit for each of
//! its eight blocks, a nibble (width - 1) for each block that is not zero, and those blocks: bits of their eight bytes, the
//! first byte lowest.

/// Bytes that are coded together; planes are padded to a multiple with zeros.
pub(super) const GROUP: usize = 64;
const BLOCK: usize = 8;

/// The most bytes that [`pack`] writes for a plane of `padded` bytes.
pub(super) const fn packed_bytes_max(padded: usize) -> usize {
    let groups = padded / GROUP;
    // The last block is written with all of its eight bytes.
    groups.div_ceil(8) + groups * (1 + BLOCK / 2 + GROUP) + BLOCK
}

/// Packs a plane of a multiple of [`GROUP`] bytes into the front of `out`, which has [`packed_bytes_max`] bytes; says how
/// many it took.
#[inline(always)]
pub(super) fn pack(plane: &[u8], out: &mut [u8]) -> usize {
    let (groups, _) = plane.as_chunks::<GROUP>();
    let mut at = groups.len().div_ceil(8);
    out[..at].fill(0);
    for (index, group) in groups.iter().enumerate() {
        let blocks: [u64; BLOCK] = bytemuck::cast(*group);
        if blocks.iter().fold(0, |all, block| all | block) == 0 {
            continue;
        }
        out[index / 8] |= 1 << (index % 8);
        let widths = blocks.map(width);
        let (mut mask, mut nibbles, mut count) = (0u8, 0u32, 0);
        for (k, width) in widths.into_iter().enumerate() {
            let is_used = u32::from(width > 0);
            mask |= (is_used as u8) << k;
            nibbles |= ((width.wrapping_sub(1) & 7) * is_used) << (4 * count);
            count += is_used;
        }
        out[at] = mask;
        out[at + 1..at + 5].copy_from_slice(&nibbles.to_le_bytes());
        at += 1 + count.div_ceil(2) as usize;
        for (block, width) in blocks.into_iter().zip(widths) {
            // What is written beyond the width is overwritten by what follows.
            out[at..at + BLOCK].copy_from_slice(&squeeze(block, width).to_le_bytes());
            at += width as usize;
        }
    }
    at
}

/// The inverse of [`pack`]: fills a plane of a multiple of [`GROUP`] bytes from the front of `packed` and gives back what
/// follows; `None` where it ends early or holds a width that there is not.
#[inline(always)]
pub(super) fn unpack<'a>(packed: &'a [u8], plane: &mut [u8]) -> Option<&'a [u8]> {
    let (groups, _) = plane.as_chunks_mut::<GROUP>();
    let (used, mut rest) = packed.split_at_checked(groups.len().div_ceil(8))?;
    for (index, group) in groups.iter_mut().enumerate() {
        if used[index / 8] >> (index % 8) & 1 == 0 {
            group.fill(0);
            continue;
        }
        let (mask, after) = rest.split_first()?;
        let (head, mut after) = after.split_at_checked(mask.count_ones().div_ceil(2) as usize)?;
        let mut nibbles = head.iter().rev().fold(0u32, |all, byte| all << 8 | u32::from(*byte));
        if nibbles & 0x8888_8888 != 0 {
            return None;
        }
        let (blocks, _) = group.as_chunks_mut::<BLOCK>();
        for (k, block) in blocks.iter_mut().enumerate() {
            if mask >> k & 1 == 0 {
                block.fill(0);
                continue;
            }
            let width = (nibbles & 7) + 1;
            nibbles >>= 4;
            *block = spread(first_eight(after), width).to_le_bytes();
            after = after.get(width as usize..)?;
        }
        rest = after;
    }
    Some(rest)
}

/// Bits of the largest of eight bytes.
#[inline(always)]
fn width(block: u64) -> u32 {
    let block = block | block >> 32;
    let block = block | block >> 16;
    8 - ((block | block >> 8) as u8).leading_zeros()
}

#[inline(always)]
fn first_eight(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)),
    }
}

/// Pushes eight bytes of `width` bits together.
#[inline(always)]
fn squeeze(block: u64, width: u32) -> u64 {
    const PAIRS: u64 = 0x00ff_00ff_00ff_00ff;
    const QUADS: u64 = 0x0000_ffff_0000_ffff;
    let block = (block & PAIRS) | (block >> 8 & PAIRS) << width;
    let block = (block & QUADS) | (block >> 16 & QUADS) << (2 * width);
    (block & 0xffff_ffff) | (block >> 32) << (4 * width)
}

/// The inverse of [`squeeze`]; bits beyond the eighth byte's are ignored.
#[inline(always)]
fn spread(bits: u64, width: u32) -> u64 {
    let ones = |bits: u32| (1u64 << bits) - 1;
    let bits = (bits & ones(4 * width)) | (bits >> (4 * width) & ones(4 * width)) << 32;
    let pair = ones(2 * width) * 0x0000_0001_0000_0001;
    let bits = (bits & pair) | (bits >> (2 * width) & pair) << 16;
    let one = ones(width) * 0x0001_0001_0001_0001;
    (bits & one) | (bits >> width & one) << 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(plane: &[u8]) -> Vec<u8> {
        let mut out = vec![0xaa; packed_bytes_max(plane.len())];
        let n = pack(plane, &mut out);
        out.truncate(n);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_come_back(groups in 0..20usize, widths in prop::collection::vec(0..=8u32, 1..9), seed: u64) {
            let mut state = seed | 1;
            let plane: Vec<u8> = (0..groups * GROUP)
                .map(|i| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    ((state >> 56) & ((1 << widths[i / BLOCK % widths.len()]) - 1)) as u8
                })
                .collect();
            let mut bytes = packed(&plane);
            bytes.push(7);
            let mut back = vec![1; plane.len()];
            prop_assert_eq!(unpack(&bytes, &mut back), Some(&[7u8][..]));
            prop_assert_eq!(&back, &plane);
            bytes.truncate(bytes.len() - 2);
            prop_assert!(groups == 0 || unpack(&bytes, &mut back).is_none());
        }

        #[test]
        fn any_other_bytes_are_refused_or_unpacked(bytes in prop::collection::vec(any::<u8>(), 0..200), groups in 0..20usize) {
            let mut plane = vec![0; groups * GROUP];
            if let Some(rest) = unpack(&bytes, &mut plane) {
                prop_assert!(rest.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn zeros_take_a_bit_a_group_and_a_block_its_width() {
        let mut plane = vec![0; 16 * GROUP];
        assert_eq!(packed(&plane), [0, 0]);
        plane[64..72].copy_from_slice(&[1, 2, 3, 0, 1, 2, 3, 0]);
        assert_eq!(packed(&plane), [2, 0, 1, 1, 0b00_11_10_01, 0b00_11_10_01]);
    }
}
