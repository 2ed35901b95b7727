//! How fast a peer is: fixed cost of a tile and cost of a unit of work, by a Kalman filter.

/// Fixed cost of a tile that is assumed before any has been measured.
const PRIOR_OVERHEAD_NS: f64 = 300_000.0;
/// Relative standard deviation of a tile's measured time when everything else is known: before it is learned, and bounds.
const PRIOR_NOISE: f64 = 0.08;
const NOISE: std::ops::RangeInclusive<f64> = 0.04..=0.5;
/// Standard deviations above the mean that 95 of 100 normally distributed values stay below.
const GAUSSIAN_P95: f64 = 1.645;
/// A tile this far off (in log time) counts towards a change of the peer's speed.
const SURPRISE: f64 = 0.35;

/// `service time = overhead + work * ns_per_unit`, with the uncertainty of both.
///
/// The state is (overhead, ns_per_unit). What a tile's time teaches is divided between the peer's speed and the map of
/// work in proportion to how uncertain each is: a young peer's error is its speed, an old one's is the view.
#[derive(Clone, Debug)]
pub(crate) struct Speed {
    overhead_ns: f64,
    ns_per_unit: f64,
    /// Covariance of the state.
    p: [[f64; 2]; 2],
    /// Tiles measured.
    measured: u64,
    /// Tiles in a row that were surprising in the same direction; the sign is the direction.
    streak: i32,
    /// Relative standard deviation of its tiles' times, and the last tile's relative error.
    noise: f64,
    last_error: f64,
    /// How many standard deviations above the prediction 95 of 100 tiles stay.
    p95_spread: f64,
    /// The cost that was last measured: waiting in vain multiplies it by eight at most.
    measured_ns_per_unit: f64,
}

/// What a measured tile says about the map of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MapLesson {
    /// Logarithm of measured / predicted work.
    pub(crate) log_ratio: f64,
    /// Share of it that is the map's.
    pub(crate) gain: f64,
}

impl Speed {
    /// A peer not yet measured. `deviation`: relative standard deviation of the guess.
    pub(crate) fn guess(ns_per_unit: f64, deviation: f64) -> Speed {
        let v = if ns_per_unit.is_finite() && ns_per_unit > 0.0 { ns_per_unit } else { 1.0 };
        let p = [[(PRIOR_OVERHEAD_NS * 0.5).powi(2), 0.0], [0.0, (v * deviation).powi(2)]];
        Speed {
            overhead_ns: PRIOR_OVERHEAD_NS,
            ns_per_unit: v,
            p,
            measured: 0,
            streak: 0,
            noise: PRIOR_NOISE,
            last_error: 0.0,
            p95_spread: GAUSSIAN_P95,
            measured_ns_per_unit: v,
        }
    }

    pub(crate) fn overhead_ns(&self) -> f64 {
        self.overhead_ns
    }

    pub(crate) fn ns_per_unit(&self) -> f64 {
        self.ns_per_unit
    }

    /// The same with what is doubtful of it beyond a twentieth: who is hardly known is given less at first.
    pub(crate) fn cautious_ns_per_unit(&self) -> f64 {
        self.ns_per_unit + (self.p[1][1].sqrt() - 0.05 * self.ns_per_unit).max(0.0)
    }

    /// The same without what waiting in vain has added to it.
    pub(crate) fn measured_ns_per_unit(&self) -> f64 {
        self.measured_ns_per_unit
    }

    pub(crate) fn is_measured(&self) -> bool {
        self.measured > 0
    }

    /// Predicted service time of a tile.
    pub(crate) fn service_ns(&self, units: f64) -> f64 {
        self.overhead_ns + units * self.ns_per_unit
    }

    /// What a tile of `units` of work, uncertain by the relative variance `map_variance`, is predicted not to exceed in 95 of
    /// 100 cases.
    pub(crate) fn p95_ns(&self, units: f64, map_variance: f64) -> f64 {
        let service = self.service_ns(units);
        let own = self.p[0][0] + 2.0 * self.p[0][1] * units + self.p[1][1] * units * units;
        let work_ns = units * self.ns_per_unit;
        let variance = own.max(0.0) + map_variance * work_ns * work_ns + (self.noise * service).powi(2);
        service + self.p95_spread * variance.sqrt()
    }

    /// Learns from a tile of `units` of work whose map is uncertain by the relative variance `map_variance`.
    pub(crate) fn learn(&mut self, service_ns: f64, units: f64, map_variance: f64) -> MapLesson {
        if self.ns_per_unit > self.measured_ns_per_unit {
            self.ns_per_unit = self.measured_ns_per_unit;
            self.p[1][1] = self.p[1][1].max((0.3 * self.ns_per_unit).powi(2));
        }
        if self.takes_work_for_overhead(service_ns, units) {
            let measured = self.measured;
            *self = Speed { measured, ..Speed::guess((service_ns - PRIOR_OVERHEAD_NS) / units, 0.5) };
        }
        let predicted = self.service_ns(units);
        let work_ns = (units * self.ns_per_unit).max(1.0);
        self.watch_for_a_change((service_ns / predicted.max(1.0)).ln());
        self.p[0][0] += 5_000.0_f64.powi(2);
        self.p[1][1] += (0.015 * self.ns_per_unit).powi(2);
        // S = H P H' + R with H = (1, units); R holds the noise and what the map doesn't know.
        let ph = [self.p[0][0] + self.p[0][1] * units, self.p[1][0] + self.p[1][1] * units];
        let map_part = map_variance * work_ns * work_ns;
        self.learn_noise((service_ns - predicted) / predicted.max(1.0));
        let noise = (self.noise * service_ns.max(predicted)).powi(2);
        let s = ph[0] + ph[1] * units + map_part + noise;
        let innovation = (service_ns - predicted).clamp(-0.9 * predicted, 3.0 * predicted);
        // One tile above weighs as much as nineteen below (Robbins and Monro 1951).
        let is_above = service_ns - predicted > self.p95_spread * s.sqrt();
        self.p95_spread = (self.p95_spread + if is_above { 0.0475 } else { -0.0025 }).clamp(0.2, 4.0);
        let k = [ph[0] / s, ph[1] / s];
        self.overhead_ns = (self.overhead_ns + k[0] * innovation).clamp(10_000.0, (0.5 * service_ns).max(20_000.0));
        self.ns_per_unit =
            (self.ns_per_unit + k[1] * innovation).clamp(self.ns_per_unit * 0.1, self.ns_per_unit * 10.0);
        let p = self.p;
        let off = p[0][1] - k[0] * ph[1];
        self.p = [[(p[0][0] - k[0] * ph[0]).max(1.0), off], [off, (p[1][1] - k[1] * ph[1]).max(0.0)]];
        self.measured += 1;
        self.measured_ns_per_unit = self.ns_per_unit;
        let measured_work = (service_ns - self.overhead_ns).max(0.05 * service_ns);
        // What is well known moves little at once, what was never measured as far as it must.
        let bound = 6.0 * (map_variance + PRIOR_NOISE * PRIOR_NOISE).sqrt();
        MapLesson { log_ratio: (measured_work / work_ns).ln().clamp(-bound, bound), gain: map_part / s }
    }

    /// Small tiles have said what a large one contradicts: nearly all of their time was fixed. The filter would go on believing that,
    /// since a cost of work that is nearly nothing is as certain as it is small.
    fn takes_work_for_overhead(&self, service_ns: f64, units: f64) -> bool {
        let overhead_ns = self.overhead_ns.max(PRIOR_OVERHEAD_NS);
        self.measured > 0 && units * self.ns_per_unit < 0.2 * self.overhead_ns && service_ns > 4.0 * overhead_ns
    }

    /// A tile has kept its peer busy for `elapsed_ns` and is not done: its time is at least that.
    /// That is forgotten as soon as it answers: to have stood still says little of the speed afterwards.
    pub(crate) fn raise(&mut self, elapsed_ns: f64, units: f64) {
        let bound = (elapsed_ns - self.overhead_ns) / units.max(f64::MIN_POSITIVE);
        self.ns_per_unit = self.ns_per_unit.max(bound.min(8.0 * self.measured_ns_per_unit));
    }

    /// The same where the work itself is uncertain too. Returns the logarithm of the part that is the map's.
    pub(crate) fn raise_shared(&mut self, elapsed_ns: f64, units: f64, map_variance: f64) -> f64 {
        let ratio = (elapsed_ns - self.overhead_ns) / (units * self.ns_per_unit).max(1.0);
        if ratio.is_nan() || ratio <= 1.0 {
            return 0.0;
        }
        let own_variance = self.p[1][1] / self.ns_per_unit.powi(2);
        let own = own_variance / (own_variance + map_variance.max(1e-6));
        self.raise(self.overhead_ns + units * self.ns_per_unit * ratio.powf(own), units);
        (1.0 - own) * ratio.ln()
    }

    /// What its tiles took was more work by `log_ratio` less, done so much slower.
    pub(crate) fn shift(&mut self, log_ratio: f64) {
        self.rescale(log_ratio.exp());
    }

    /// A unit of work now takes `factor` times as long.
    pub(crate) fn rescale(&mut self, factor: f64) {
        self.ns_per_unit *= factor;
        self.measured_ns_per_unit *= factor;
        self.p[0][1] *= factor;
        self.p[1][0] *= factor;
        self.p[1][1] *= factor * factor;
    }

    /// Errors of a filter whose gain is right are white (Mehra 1970): errors that alternate say that it follows noise,
    /// errors of one sign that it lags behind.
    fn learn_noise(&mut self, error: f64) {
        let product = error * self.last_error;
        let step = (product / (self.noise * self.noise)).clamp(-1.0, 1.0);
        self.noise = (self.noise * (-0.1 * step).exp()).clamp(*NOISE.start(), *NOISE.end());
        self.last_error = error;
    }

    /// Several tiles off in the same direction mean that the peer changed (throttled, shared), not the view.
    fn watch_for_a_change(&mut self, log_ratio: f64) {
        let sign = if log_ratio > 0.0 { 1 } else { -1 };
        if log_ratio.abs() < SURPRISE || log_ratio.is_nan() {
            self.streak = 0;
            return;
        }
        self.streak = if self.streak.signum() == sign { self.streak.saturating_add(sign) } else { sign };
        if self.streak.abs() >= 2 {
            self.doubt();
        }
    }

    /// It may be another by now.
    pub(crate) fn doubt(&mut self) {
        self.p[1][1] = self.p[1][1].max((0.5 * self.ns_per_unit).powi(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_a_tiles_time_are_found() {
        let mut speed = Speed::guess(1.0, 1.0);
        for i in 0..60 {
            let units = [1e6, 4e6, 9e6][i % 3];
            speed.learn(800_000.0 + units * 2.5, units, 0.01);
        }
        assert!((speed.ns_per_unit() - 2.5).abs() < 0.1, "{speed:?}");
        assert!((speed.service_ns(5e6) - 13.3e6).abs() < 0.3e6, "{speed:?}");
    }

    #[test]
    fn a_sudden_slowdown_is_the_peers() {
        let mut speed = Speed::guess(1.0, 0.5);
        for _ in 0..50 {
            speed.learn(5.3e6, 5e6, 0.02);
        }
        for _ in 0..6 {
            speed.learn(10.3e6, 5e6, 0.02);
        }
        assert!(speed.ns_per_unit() > 1.7, "{speed:?}");
    }

    #[test]
    fn nineteen_of_twenty_tiles_stay_below_the_95th_percentile() {
        let mut speed = Speed::guess(1.0, 0.5);
        let (mut above, mut state) = (0, 1_u32);
        for i in 0..4000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let service = 5e6 * (0.9 + 0.2 * f64::from(state >> 8) / f64::from(1 << 24));
            above += i32::from(i >= 1000 && service > speed.p95_ns(5e6, 0.02));
            speed.learn(service, 5e6, 0.02);
        }
        assert!((60..=240).contains(&above), "{above} of 3000");
    }

    #[test]
    fn waiting_in_vain_is_bounded() {
        let mut speed = Speed::guess(1.0, 0.5);
        speed.raise(1e18, 1e6);
        assert!(speed.ns_per_unit() == 8.0);
        speed.learn(1.3e6, 1e6, 0.01);
        assert!(speed.ns_per_unit() < 1.1, "{speed:?}");
    }
}
