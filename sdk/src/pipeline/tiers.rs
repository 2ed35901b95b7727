//! Which layers of a frame are asked for together: those that are due at the same time, or all of them while they are there in
//! time for the first.

use crate::config::LayerDesc;
use rayloom_coordinator::GROUPS;
use std::time::Duration;

/// All layers are asked for together again once they are predicted to take this share of the time to the first deadline.
const EARLY: f64 = 0.7;

/// Layers that are asked for together, and when they are due.
pub(super) struct DueTogether {
    pub(super) layers: Vec<LayerDesc>,
    pub(super) deadline: Duration,
}

/// What a pipeline remembers of it from frame to frame.
///
/// Each group is traced from the camera on, primary visibility too, so that asking for all layers at once is less work: groups
/// are for peers that can't have everything there in time for what is due first.
#[derive(Default)]
pub(super) struct Tiers {
    is_apart: bool,
}

impl Tiers {
    /// Groups of layers, what is due first before the others. `predicted`: what the last frame was predicted to take until all of it is
    /// there; none where that is not known.
    pub(super) fn groups(&mut self, layers: &[LayerDesc], predicted: Option<Duration>) -> Vec<DueTogether> {
        let mut deadlines: Vec<Duration> = layers.iter().map(|layer| layer.deadline).collect();
        deadlines.sort_unstable();
        deadlines.dedup();
        let (Some(first), Some(predicted)) = (deadlines.first().copied(), predicted) else { return together(layers) };
        let late = if self.is_apart { first.mul_f64(EARLY) } else { first };
        self.is_apart = deadlines.len() > 1 && predicted > late;
        if !self.is_apart {
            return vec![DueTogether { layers: layers.to_vec(), deadline: first }];
        }
        // More different deadlines than there are groups: the last ones are due with the latest.
        let group_of = |layer: &LayerDesc| deadlines.partition_point(|due| *due < layer.deadline).min(GROUPS - 1);
        let groups = (0..deadlines.len().min(GROUPS)).map(|group| {
            let layers: Vec<LayerDesc> = layers.iter().filter(|layer| group_of(layer) == group).copied().collect();
            let deadline = layers.iter().map(|layer| layer.deadline).max().unwrap_or_default();
            DueTogether { layers, deadline }
        });
        groups.collect()
    }
}

/// All layers, due with the last one.
pub(super) fn together(layers: &[LayerDesc]) -> Vec<DueTogether> {
    let deadline = layers.iter().map(|layer| layer.deadline).max().unwrap_or_default();
    vec![DueTogether { layers: layers.to_vec(), deadline }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;
    use rayloom_frame::LayerKind;

    fn layers(deadlines: [u64; 4]) -> Vec<LayerDesc> {
        let layer =
            |(kind, ms)| LayerDesc { deadline: Duration::from_millis(ms), ..LayerDesc::new(kind, Tier::of(kind)) };
        LayerKind::REAL_TIME.into_iter().zip(deadlines).map(layer).collect()
    }

    fn groups(tiers: &mut Tiers, layers: &[LayerDesc], predicted_ms: u64) -> Vec<(Vec<LayerKind>, u64)> {
        let groups = tiers.groups(layers, Some(Duration::from_millis(predicted_ms)));
        let kinds = |group: &DueTogether| group.layers.iter().map(|layer| layer.request.kind).collect();
        groups.iter().map(|group| (kinds(group), group.deadline.as_millis() as u64)).collect()
    }

    #[test]
    fn layers_part_where_they_would_hold_up_the_first_and_meet_again_with_time_to_spare() {
        use LayerKind::{Direct, Indirect, Specular, Unlit};
        let (mut tiers, layers) = (Tiers::default(), layers([50, 50, 100, 50]));
        let all = (vec![Direct, Specular, Indirect, Unlit], 50);
        assert_eq!(groups(&mut tiers, &layers, 49), std::slice::from_ref(&all));
        let apart = [(vec![Direct, Specular, Unlit], 50), (vec![Indirect], 100)];
        for predicted_ms in [51, 90, 49, 36] {
            assert_eq!(groups(&mut tiers, &layers, predicted_ms), apart, "{predicted_ms}");
        }
        assert_eq!(groups(&mut tiers, &layers, 34), [all]);
        let unknown = tiers.groups(&layers, None);
        assert_eq!((unknown.len(), unknown[0].deadline), (1, Duration::from_millis(100)));
    }

    #[test]
    fn what_is_due_at_once_is_never_parted() {
        assert_eq!(groups(&mut Tiers::default(), &layers([80; 4]), 1000).len(), 1);
        assert_eq!(groups(&mut Tiers::default(), &layers([10, 20, 30, 40]), 1000).len(), 4);
        assert_eq!(Tiers::default().groups(&[], Some(Duration::MAX)).len(), 1, "a frame is one even without layers");
    }
}
