//! Recursive least squares with forgetting, held non-negative, towards a prior (Ljung and Soderstrom 1983).

/// What the past counts for at the next sample: half of it is forgotten in about 350 samples.
const FORGETTING: f64 = 0.998;
/// The covariance never grows beyond this multiple of the prior's: what is not excited must not blow up when it is again.
const WIND_UP: f64 = 4.0;
/// Residuals beyond this many standard deviations count as this many: one wild sample moves little.
const WILD: f64 = 3.0;

/// `y = sum(weight * x)`, all weights >= 0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LeastSquares<const N: usize> {
    weights: [f64; N],
    covariance: [[f64; N]; N],
    prior_variance: [f64; N],
    /// Variance of relative residuals.
    residual: f64,
    samples: u64,
}

impl<const N: usize> LeastSquares<N> {
    /// Starts from these weights, each uncertain by this share of it (and of `least`, where it is smaller).
    pub(crate) fn new(weights: [f64; N], deviation: f64, least: f64) -> LeastSquares<N> {
        let mut prior_variance = [0.0; N];
        let mut covariance = [[0.0; N]; N];
        for i in 0..N {
            prior_variance[i] = (deviation * weights[i].max(least)).powi(2);
            covariance[i][i] = prior_variance[i];
        }
        LeastSquares { weights, covariance, prior_variance, residual: 0.04, samples: 0 }
    }

    pub(crate) fn weights(&self) -> &[f64; N] {
        &self.weights
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// Relative standard deviation of what was measured around what was predicted.
    pub(crate) fn deviation(&self) -> f64 {
        self.residual.sqrt()
    }

    pub(crate) fn predict(&self, x: &[f64; N]) -> f64 {
        self.weights.iter().zip(x).map(|(w, x)| w * x).sum()
    }

    /// Learns from one sample; what is not finite or not positive is passed over.
    pub(crate) fn learn(&mut self, x: &[f64; N], y: f64) {
        let scale = self.predict(x).max(y);
        if !(scale.is_finite() && scale > 0.0 && y.is_finite() && y > 0.0) || x.iter().any(|x| !x.is_finite()) {
            return;
        }
        // Every sample counts by its relative error: tiles differ by orders of magnitude.
        let x = x.map(|x| x / scale);
        let mut error = y / scale - self.predict(&x);
        let bound = WILD * self.residual.sqrt();
        self.residual += 0.02 * (error.clamp(-2.0 * bound, 2.0 * bound).powi(2) - self.residual);
        self.residual = self.residual.clamp(1e-4, 1.0);
        error = error.clamp(-bound, bound);
        let px: [f64; N] = self.covariance.map(|row| row.iter().zip(&x).map(|(c, x)| c * x).sum());
        let s = self.residual * FORGETTING + px.iter().zip(&x).map(|(p, x)| p * x).sum::<f64>();
        for (weight, px) in self.weights.iter_mut().zip(&px) {
            *weight = (*weight + px / s * error).max(0.0);
        }
        for (row, a) in self.covariance.iter_mut().zip(&px) {
            row.iter_mut().zip(&px).for_each(|(c, b)| *c = (*c - a * b / s) / FORGETTING);
        }
        self.bound_covariance();
        self.samples += 1;
    }

    /// Everything that is predicted from now on is `factor` times as much.
    pub(crate) fn rescale(&mut self, factor: f64) {
        if !(factor.is_finite() && factor > 0.0) {
            return;
        }
        self.weights.iter_mut().for_each(|w| *w *= factor);
        self.prior_variance.iter_mut().for_each(|v| *v *= factor * factor);
        self.covariance.as_flattened_mut().iter_mut().for_each(|c| *c *= factor * factor);
    }

    /// Takes weights over that were learned elsewhere, as uncertain as a prior.
    pub(crate) fn adopt(&mut self, weights: [f64; N]) {
        let least = weights.iter().fold(0.0, |a: f64, b| a.max(*b)) * 0.02;
        *self = LeastSquares::new(weights, 0.3, least.max(1e-9));
    }

    fn bound_covariance(&mut self) {
        for i in 0..N {
            let most = WIND_UP * self.prior_variance[i];
            let own = self.covariance[i][i];
            if own.is_finite() && own >= 0.0 && own <= most {
                continue;
            }
            let shrink = if own.is_finite() && own > 0.0 { (most / own).sqrt() } else { 0.0 };
            for j in 0..N {
                self.covariance[i][j] = if i == j { most } else { self.covariance[i][j] * shrink };
                if !self.covariance[i][j].is_finite() {
                    self.covariance[i][j] = 0.0;
                }
                self.covariance[j][i] = self.covariance[i][j];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from 0 to 1, the same at every run.
    fn noise(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1u64 << 24) as f64
        }
    }

    #[test]
    fn weights_are_found_from_noisy_samples() {
        let mut random = noise(3);
        let mut fit = LeastSquares::new([1.0, 1.0, 1.0], 2.0, 0.1);
        for _ in 0..2000 {
            let x = [1.0, 10.0 * random(), 10.0 * random()];
            let y = (2.0 * x[0] + 0.5 * x[1] + 4.0 * x[2]) * (0.95 + 0.1 * random());
            fit.learn(&x, y);
        }
        let w = fit.weights();
        assert!((w[1] - 0.5).abs() < 0.1 && (w[2] - 4.0).abs() < 0.2, "{w:?}");
        assert!(fit.deviation() < 0.06, "{}", fit.deviation());
    }

    #[test]
    fn what_costs_nothing_is_never_negative() {
        let mut random = noise(5);
        let mut fit = LeastSquares::new([1.0, 1.0], 2.0, 0.1);
        for _ in 0..500 {
            let x = [random(), random()];
            fit.learn(&x, (x[0] - 0.2 * x[1]).max(1e-3));
            assert!(fit.weights().iter().all(|w| *w >= 0.0));
        }
    }

    #[test]
    fn wild_samples_and_long_monotony_leave_it_usable() {
        let mut fit = LeastSquares::new([1.0, 1.0], 0.5, 0.1);
        for wild in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            fit.learn(&[1.0, wild], 1.0);
            fit.learn(&[1.0, 1.0], wild);
        }
        for _ in 0..100_000 {
            fit.learn(&[1.0, 0.0], 2.0);
        }
        fit.learn(&[1.0, 0.0], 1e300);
        assert!((fit.weights()[0] - 2.0).abs() < 0.2 && fit.weights()[1] < 10.0, "{fit:?}");
        for _ in 0..300 {
            fit.learn(&[1.0, 1.0], 5.0);
        }
        assert!((fit.predict(&[1.0, 1.0]) - 5.0).abs() < 0.3, "{fit:?}");
    }
}
