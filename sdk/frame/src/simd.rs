//! Half floats by the processor's own conversion where it has one: with [`codec`] the only unsafe code of this room.
//!
//! A [`Kernel`] is compiled twice from one source, for F16C and AVX2 and for any processor; both give the same numbers,
//! because no contraction of multiplications and additions is allowed in either.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
pub(crate) mod codec;
mod lanes;
pub(crate) mod power;

use glam::Vec4;
use half::f16;

use lanes::PortableLanes;
pub(crate) use lanes::{Lanes, each};

/// Converts four half floats at once, and has lanes for eight pixels at once.
pub(crate) trait Half4 {
    /// Eight lanes of 32 bits.
    type Lanes: Lanes;
    /// The four numbers.
    fn load(bits: [u16; 4]) -> Vec4;
    /// The nearest half floats, ties to even.
    fn store(value: Vec4) -> [u16; 4];
}

/// Work that converts many half floats. Implementations of `run` are `#[inline(always)]`, so that they are compiled for
/// the processor that they run on.
pub(crate) trait Kernel {
    /// What it gives back.
    type Output;
    /// Does the work.
    fn run<H: Half4>(self) -> Self::Output;
}

/// Runs a kernel with the fastest conversion that this processor has.
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("f16c") {
        // SAFETY: the processor has the features that the function was compiled for.
        return unsafe { x86::run(kernel) };
    }
    kernel.run::<Portable>()
}

/// For any processor.
pub(crate) struct Portable;

impl Half4 for Portable {
    type Lanes = PortableLanes;

    #[inline(always)]
    fn load(bits: [u16; 4]) -> Vec4 {
        Vec4::from_array(bits.map(|b| f16::from_bits(b).to_f32_const()))
    }

    #[inline(always)]
    fn store(value: Vec4) -> [u16; 4] {
        value.to_array().map(|v| f16::from_f32_const(v).to_bits())
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _MM_FROUND_TO_NEAREST_INT, _mm_cvtph_ps, _mm_cvtps_ph, _mm_cvtsi64_si128, _mm_cvtsi128_si64,
    };

    use glam::Vec4;

    use super::{Half4, Kernel, avx2::Avx2};

    /// Only [`run`] names this type, so its methods run only where F16C is there.
    struct F16c;

    #[target_feature(enable = "avx2,f16c")]
    pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<F16c>()
    }

    impl Half4 for F16c {
        type Lanes = Avx2;

        #[inline(always)]
        fn load(bits: [u16; 4]) -> Vec4 {
            // SAFETY: F16C is there, see the type.
            Vec4::from(unsafe { _mm_cvtph_ps(_mm_cvtsi64_si128(bytemuck::cast(bits))) })
        }

        #[inline(always)]
        fn store(value: Vec4) -> [u16; 4] {
            // SAFETY: F16C is there, see the type.
            bytemuck::cast(unsafe { _mm_cvtsi128_si64(_mm_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(value.into())) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct RoundTrip([u16; 4]);

    impl Kernel for RoundTrip {
        type Output = ([u32; 4], [u16; 4]);

        #[inline(always)]
        fn run<H: Half4>(self) -> Self::Output {
            let value = H::load(self.0);
            // A factor that makes rounding matter.
            (value.to_array().map(f32::to_bits), H::store(value * 1.000_7))
        }
    }

    #[test]
    fn every_number_is_the_same_on_any_processor() {
        for i in (0..=u16::MAX).step_by(4) {
            let bits = [i, i + 1, i + 2, i + 3].map(|b| if f16::from_bits(b).is_nan() { 0 } else { b });
            assert_eq!(dispatch(RoundTrip(bits)), RoundTrip(bits).run::<Portable>());
        }
    }
}
