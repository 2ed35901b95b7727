//! How far pictures and layers are from a reference.

use half::f16;

/// Peak signal-to-noise ratio in dB of the RGB channels of two RGBA pictures of 8 bits; infinite when they are equal.
///
/// Pictures of different sizes (or of none) have nothing in common: 0.
pub fn psnr_rgba8(a: &[u8], b: &[u8]) -> f64 {
    let squares = |(a, b): (&[u8; 4], &[u8; 4])| (0..3).map(|c| (a[c].abs_diff(b[c]) as f64).powi(2)).sum::<f64>();
    let sum: f64 = a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0).map(squares).sum();
    psnr(sum, a.len() / 4 * 3, a.len() == b.len(), 255.0)
}

/// Peak signal-to-noise ratio in dB of the RGB channels of two layers of half floats, both clamped to [0, `peak`];
/// infinite when they are equal, 0 when their sizes differ. NaN counts as 0.
pub fn psnr_layer(a: &[[u16; 4]], b: &[[u16; 4]], peak: f32) -> f64 {
    let value = |bits: u16| f16::from_bits(bits).to_f32().max(0.0).min(peak) as f64;
    let squares = |(a, b): (&[u16; 4], &[u16; 4])| (0..3).map(|c| (value(a[c]) - value(b[c])).powi(2)).sum::<f64>();
    let sum: f64 = a.iter().zip(b).map(squares).sum();
    psnr(sum, a.len() * 3, a.len() == b.len(), peak as f64)
}

fn psnr(sum_of_squares: f64, samples: usize, comparable: bool, peak: f64) -> f64 {
    if !comparable || samples == 0 {
        return 0.0;
    }
    10.0 * (peak * peak * samples as f64 / sum_of_squares).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_step_of_all_channels_is_48_db() {
        let (a, b) = ([10, 20, 30, 0].repeat(9), [11, 19, 31, 255].repeat(9));
        assert!((psnr_rgba8(&a, &b) - 48.1308).abs() < 1e-3);
        assert_eq!(psnr_rgba8(&a, &a), f64::INFINITY);
        assert_eq!(psnr_rgba8(&a, &b[4..]), 0.0);
    }

    #[test]
    fn layers_are_compared_below_the_peak() {
        let half = |v: f32| [f16::from_f32(v).to_bits(); 4];
        assert!((psnr_layer(&[half(1.0)], &[half(0.9)], 1.0) - 20.0).abs() < 0.01);
        assert_eq!(psnr_layer(&[half(5.0)], &[half(50.0)], 2.0), f64::INFINITY);
        assert_eq!(psnr_layer(&[half(f32::NAN)], &[half(0.0)], 2.0), f64::INFINITY);
    }
}
