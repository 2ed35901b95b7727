//! Keyframes and what lies between them (glTF 2.0, appendix C).

/// How values between two keys are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// Straight from key to key; rotations by spherical interpolation.
    Linear,
    /// The earlier key's value.
    Step,
    /// Hermite splines; each key has an in-tangent, a value and an out-tangent.
    CubicSpline,
}

/// Values of `width` numbers each at growing times.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    interpolation: Interpolation,
    /// Times in seconds.
    times: Vec<f32>,
    values: Vec<f32>,
    width: usize,
    /// Values are unit quaternions.
    rotates: bool,
}

impl Curve {
    /// A curve of `values`, `width` numbers a key (three times as many with [`Interpolation::CubicSpline`]). `rotates` says
    /// that they are quaternions (x, y, z, w).
    ///
    /// # Errors
    /// What is wrong: no keys, times that do not grow, numbers that are not finite or not as many as the keys need.
    pub fn new(
        interpolation: Interpolation,
        times: Vec<f32>,
        values: Vec<f32>,
        width: usize,
        rotates: bool,
    ) -> Result<Curve, String> {
        if times.is_empty() {
            return Err("has no keys".into());
        }
        if let Some(i) = (0..times.len()).find(|i| !times[*i].is_finite() || (*i > 0 && times[*i] <= times[*i - 1])) {
            return Err(format!("key {i} is at {} s; times are finite and grow from key to key", times[i]));
        }
        let of_key = if interpolation == Interpolation::CubicSpline { 3 } else { 1 };
        if times.len().checked_mul(of_key * width) != Some(values.len()) {
            let (numbers, keys) = (values.len(), times.len());
            return Err(format!("has {numbers} numbers for {keys} keys of {of_key} x {width}"));
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            return Err(format!("number {i} is {}, which is not finite", values[i]));
        }
        Ok(Curve { interpolation, times, values, width, rotates })
    }

    /// Time of the last key in seconds.
    pub fn end(&self) -> f32 {
        self.times.last().copied().unwrap_or(0.0)
    }

    /// The value at a time, the first key's before and the last key's after all of them.
    pub fn at(&self, seconds: f32) -> Vec<f32> {
        let next = self.times.partition_point(|t| *t <= seconds);
        if next == 0 {
            return self.value(0, 1).to_vec();
        }
        let key = next - 1;
        if next == self.times.len() || self.interpolation == Interpolation::Step {
            return self.value(key, 1).to_vec();
        }
        let span = self.times[next] - self.times[key];
        let t = (seconds - self.times[key]) / span;
        let (a, b) = (self.value(key, 1), self.value(next, 1));
        let mixed: Vec<f32> = match self.interpolation {
            Interpolation::CubicSpline => {
                let (out, into) = (self.value(key, 2), self.value(next, 0));
                let (t2, t3) = (t * t, t * t * t);
                let [p0, m0, p1, m1] = [2.0 * t3 - 3.0 * t2 + 1.0, t3 - 2.0 * t2 + t, 3.0 * t2 - 2.0 * t3, t3 - t2];
                (0..self.width).map(|i| p0 * a[i] + span * m0 * out[i] + p1 * b[i] + span * m1 * into[i]).collect()
            }
            _ if self.rotates => return slerp(a, b, t),
            _ => a.iter().zip(b).map(|(a, b)| a + (b - a) * t).collect(),
        };
        mixed
    }

    /// A key's in-tangent (0), value (1) or out-tangent (2).
    fn value(&self, key: usize, part: usize) -> &[f32] {
        let place = if self.interpolation == Interpolation::CubicSpline { key * 3 + part } else { key };
        &self.values[place * self.width..][..self.width]
    }
}

fn slerp(a: &[f32], b: &[f32], t: f32) -> Vec<f32> {
    let rotation = |v: &[f32]| glam::Quat::from_xyzw(v[0], v[1], v[2], v[3]).normalize();
    rotation(a).slerp(rotation(b), t).to_array().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_met_and_what_lies_between_follows_the_kind() {
        let curve = |kind, values: &[f32]| Curve::new(kind, vec![1.0, 3.0], values.to_vec(), 1, false).unwrap();
        let at = |c: &Curve, times: [f32; 5]| times.map(|t| c.at(t)[0]);
        let times = [0.0, 1.0, 2.0, 3.0, 9.0];
        assert_eq!(at(&curve(Interpolation::Linear, &[4.0, 8.0]), times), [4.0, 4.0, 6.0, 8.0, 8.0]);
        assert_eq!(at(&curve(Interpolation::Step, &[4.0, 8.0]), times), [4.0, 4.0, 4.0, 8.0, 8.0]);
        // Tangents of 2 a second along a rise of 4 in 2 s: a straight line. Flat ones: the same middle, slower at the ends.
        let straight = curve(Interpolation::CubicSpline, &[0.0, 4.0, 2.0, 2.0, 8.0, 0.0]);
        assert_eq!(at(&straight, [1.0, 1.5, 2.0, 2.5, 3.0]), [4.0, 5.0, 6.0, 7.0, 8.0]);
        let flat = curve(Interpolation::CubicSpline, &[0.0, 4.0, 0.0, 0.0, 8.0, 0.0]);
        assert_eq!(at(&flat, [1.0, 1.5, 2.0, 2.5, 3.0]), [4.0, 4.625, 6.0, 7.375, 8.0]);
    }

    #[test]
    fn rotations_turn_evenly_and_the_short_way() {
        let quarter = glam::Quat::from_rotation_y(std::f32::consts::FRAC_PI_2);
        let values = [glam::Quat::IDENTITY.to_array(), (-quarter).to_array()].concat();
        let curve = Curve::new(Interpolation::Linear, vec![0.0, 1.0], values, 4, true).unwrap();
        let third = glam::Quat::from_slice(&curve.at(1.0 / 3.0));
        assert!(third.angle_between(glam::Quat::from_rotation_y(std::f32::consts::FRAC_PI_6)) < 1e-3, "{third}");
    }

    #[test]
    fn bad_keys_are_told() {
        let error = |times: &[f32], values: &[f32]| {
            Curve::new(Interpolation::Linear, times.to_vec(), values.to_vec(), 1, false).unwrap_err()
        };
        assert!(error(&[], &[]).contains("no keys"));
        assert!(error(&[0.0, 0.0], &[1.0, 2.0]).contains("key 1 is at 0 s"));
        assert!(error(&[0.0, 1.0], &[1.0]).contains("1 numbers for 2 keys"));
        assert!(error(&[0.0], &[f32::NAN]).contains("number 0"));
    }
}
