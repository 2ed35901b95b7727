//! What is left out of a frame's layers before its deadline is missed: samples first, then resolution.

use crate::model::CostModel;
use rayloom_frame::LayerRequest;
use rayloom_frame::features::{FEATURES, Feature};

/// What may be left out where a frame is predicted to be late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lowering {
    /// Nothing: what is late comes from history.
    #[default]
    Never,
    /// Samples, down to one a pixel.
    Samples,
    /// Samples, and then every layer at full resolution is traced at half of it.
    SamplesAndResolution,
}

/// Shares of the time to the deadline: beyond the first a frame is lowered; one that would stay within the second with more
/// traced is raised, after so many frames in a row.
const LATE: f64 = 0.95;
const EARLY: f64 = 0.75;
const RAISE_AFTER: u32 = 20;

/// How far a group of layers is lowered; lowers at once and raises slowly, so that it does not flutter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quality {
    step: usize,
    early_frames: u32,
}

/// What a frame is predicted to take: nanoseconds before any work, of the work as it was traced last, and to the deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prediction {
    pub(crate) start_ns: f64,
    pub(crate) work_ns: f64,
    pub(crate) left_ns: f64,
}

impl Quality {
    pub(crate) fn step(&self) -> usize {
        self.step
    }

    /// Chooses among steps whose work is in `work`, in any unit, as asked for first. True where even the last is too much.
    pub(crate) fn decide(&mut self, work: &[f64], predicted: Prediction) -> bool {
        let last = work.len().saturating_sub(1);
        // Other layers than in the last frame may have fewer steps.
        self.step = self.step.min(last);
        let now = work[self.step].max(f64::MIN_POSITIVE);
        let takes = |step: usize| predicted.start_ns + predicted.work_ns * work[step] / now;
        let is_late = |step: usize| takes(step) > LATE * predicted.left_ns;
        if is_late(self.step) {
            self.early_frames = 0;
            self.step = (self.step..last).find(|step| !is_late(*step)).unwrap_or(last);
            return is_late(self.step);
        }
        let is_early = self.step > 0 && takes(self.step - 1) <= EARLY * predicted.left_ns;
        self.early_frames = if is_early { self.early_frames + 1 } else { 0 };
        if self.early_frames >= RAISE_AFTER {
            self.early_frames = 0;
            self.step -= 1;
        }
        false
    }
}

/// The layers as asked for, then with ever less of them: samples are halved, the rest of them at last is one; then resolution.
pub(crate) fn steps(layers: &[LayerRequest], lowering: Lowering) -> Vec<Vec<LayerRequest>> {
    let mut steps = vec![layers.to_vec()];
    let mut push_changed = |next: Vec<LayerRequest>| {
        let is_changed = steps.last() != Some(&next);
        if is_changed {
            steps.push(next);
        }
        is_changed
    };
    if lowering == Lowering::Never {
        return steps;
    }
    let mut next = layers.to_vec();
    loop {
        next.iter_mut().for_each(|layer| layer.samples = layer.samples.div_ceil(2));
        if !push_changed(next.clone()) {
            break;
        }
    }
    if lowering == Lowering::SamplesAndResolution {
        next.iter_mut().for_each(|layer| layer.scale = layer.scale.max(2));
        push_changed(next);
    }
    steps
}

/// Rays and work of a pixel of a surface with these layers, by the model.
pub(crate) fn typical(model: &CostModel, layers: &[LayerRequest]) -> (f64, f64) {
    let mut features = [0.0; FEATURES];
    features[Feature::Coverage as usize] = 1.0;
    let rays = model.rays(&features, layers);
    (f64::from(rays), f64::from(model.work(&features, rays)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_frame::LayerKind;

    fn layer(kind: LayerKind, samples: u8, scale: u8) -> LayerRequest {
        LayerRequest { samples, scale, ..LayerRequest::new(kind) }
    }

    #[test]
    fn samples_go_first_then_resolution_and_nothing_where_nothing_may() {
        let asked = [layer(LayerKind::Direct, 4, 1), layer(LayerKind::Indirect, 1, 2)];
        let of = |lowering| -> Vec<Vec<(u8, u8)>> {
            let pairs = |step: &Vec<LayerRequest>| step.iter().map(|layer| (layer.samples, layer.scale)).collect();
            steps(&asked, lowering).iter().map(pairs).collect()
        };
        assert_eq!(of(Lowering::Never), [[(4, 1), (1, 2)]]);
        assert_eq!(of(Lowering::Samples), [[(4, 1), (1, 2)], [(2, 1), (1, 2)], [(1, 1), (1, 2)]]);
        assert_eq!(of(Lowering::SamplesAndResolution).last(), Some(&vec![(1, 2), (1, 2)]));
    }

    #[test]
    fn it_lowers_at_once_and_raises_after_a_while() {
        let work = [8.0, 4.0, 2.0];
        let mut quality = Quality::default();
        let of = |work_ns: f64| Prediction { start_ns: 10.0, work_ns, left_ns: 100.0 };
        assert!(!quality.decide(&work, of(150.0)) && quality.step() == 1, "{quality:?}");
        // Twice as much would not fit by far enough: it stays.
        for _ in 0..3 * RAISE_AFTER {
            assert!(!quality.decide(&work, of(40.0)) && quality.step() == 1, "{quality:?}");
        }
        // One frame that takes longer begins the count anew.
        for frame in 0..2 * RAISE_AFTER - 1 {
            quality.decide(&work, of(if frame == RAISE_AFTER - 1 { 40.0 } else { 20.0 }));
            assert_eq!(quality.step(), 1, "frame {frame}");
        }
        quality.decide(&work, of(20.0));
        assert_eq!(quality.step(), 0);
        assert!(quality.decide(&work, of(1000.0)) && quality.step() == 2, "{quality:?}");
        assert!(!quality.decide(&[1.0], of(50.0)) && quality.step() == 0, "other layers, fewer steps");
    }
}
