//! What is known of a frame's blocks before it is traced, and how the map of work moves with the view.

use rayloom_frame::features::{BLOCK_SIZE, BlockFeatures, FEATURES};
use rayloom_frame::{Extent, LayerRequest};

/// What the frame that begins next will show. Of another size than that frame's view, it is ignored.
#[derive(Clone, Copy, Debug)]
pub struct Foresight<'a> {
    /// Features of the blocks; what is not finite counts as 0.
    pub features: &'a BlockFeatures,
    /// True: of this very frame (the engine gave its planes). False: of the frame before, they move as `motion` says.
    pub is_current: bool,
    /// Where each block's content was a frame before, minus where it is, in pixels ([`rayloom_frame::features::block_motion`]);
    /// of another length: nothing moves.
    pub motion: &'a [[f32; 2]],
    /// What will be asked for.
    pub layers: &'a [LayerRequest],
}

/// The same, kept until the frame begins.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) blocks_x: u32,
    pub(crate) blocks_y: u32,
    pub(crate) features: Vec<[f32; FEATURES]>,
    pub(crate) is_current: bool,
    pub(crate) motion: Vec<[f32; 2]>,
    pub(crate) layers: Vec<LayerRequest>,
}

/// Most layers that are taken note of: one of each kind, and no list can be longer than that by much.
const LAYERS: usize = 16;

impl Pending {
    /// Takes it over; none where it is of no view, or its parts don't fit each other.
    pub(crate) fn new(foresight: &Foresight<'_>) -> Option<Pending> {
        let BlockFeatures { blocks_x, blocks_y, ref values, .. } = *foresight.features;
        let count = blocks_x as usize * blocks_y as usize;
        let most = (rayloom_wire::limits::VIEW_SIDE.div_ceil(BLOCK_SIZE) as usize).pow(2);
        if count == 0 || count > most || values.len() != count {
            return None;
        }
        let clean = |block: &[f32; FEATURES]| block.map(|f| if f > 0.0 { f.min(1.0) } else { 0.0 });
        let motion = if foresight.motion.len() == count { foresight.motion.to_vec() } else { Vec::new() };
        Some(Pending {
            blocks_x,
            blocks_y,
            features: values.iter().map(clean).collect(),
            is_current: foresight.is_current,
            motion,
            layers: foresight.layers.iter().copied().take(LAYERS).collect(),
        })
    }

    pub(crate) fn fits(&self, extent: Extent) -> bool {
        let blocks = extent.scaled(BLOCK_SIZE);
        (self.blocks_x, self.blocks_y) == (blocks.width, blocks.height)
    }
}

/// Where a block's content came from: four blocks with their weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) blocks: [u32; 4],
    pub(crate) weights: [f32; 4],
    /// It came from outside of the view.
    pub(crate) is_new: bool,
}

impl Source {
    /// Of a block at (`x`, `y`) of so many; `motion` in pixels.
    #[inline]
    pub(crate) fn of(x: u32, y: u32, motion: [f32; 2], (blocks_x, blocks_y): (u32, u32)) -> Source {
        let axis = |at: u32, motion: f32, count: u32| {
            let place = at as f32 + motion / BLOCK_SIZE as f32;
            let place = if place.is_nan() { -2.0 } else { place };
            let is_outside = place < -0.5 || place > count as f32 - 0.5;
            let place = place.clamp(0.0, count as f32 - 1.0);
            let low = place as u32;
            (low, (low + 1).min(count - 1), place - low as f32, is_outside)
        };
        let (left, right, fx, out_x) = axis(x, motion[0], blocks_x);
        let (top, bottom, fy, out_y) = axis(y, motion[1], blocks_y);
        Source {
            blocks: [
                top * blocks_x + left,
                top * blocks_x + right,
                bottom * blocks_x + left,
                bottom * blocks_x + right,
            ],
            weights: [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy],
            is_new: out_x || out_y,
        }
    }

    #[inline]
    pub(crate) fn sample<const N: usize>(&self, values: &[[f32; N]]) -> [f32; N] {
        let mut sum = [0.0; N];
        for (block, weight) in self.blocks.iter().zip(self.weights) {
            let value = &values[*block as usize];
            sum.iter_mut().zip(value).for_each(|(sum, value)| *sum += value * weight);
        }
        sum
    }

    /// The block that most of it came from.
    #[inline]
    pub(crate) fn nearest(&self) -> usize {
        let [a, b, c, d] = self.weights;
        let right = b + d > a + c;
        let below = c + d > a + b;
        self.blocks[2 * usize::from(below) + usize::from(right)] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_from_where_they_were() {
        let source = Source::of(2, 1, [8.0, 0.0], (4, 3));
        assert_eq!((source.blocks[0], source.blocks[1]), (6, 7));
        assert_eq!(source.weights, [0.5, 0.5, 0.0, 0.0]);
        assert!(!source.is_new);
        let entered = Source::of(3, 1, [24.0, 0.0], (4, 3));
        assert!(entered.is_new && entered.nearest() == 7);
        for wild in [f32::NAN, f32::INFINITY, -1e30] {
            let source = Source::of(0, 0, [wild, wild], (4, 3));
            assert!(source.is_new && source.blocks.iter().all(|b| *b < 12));
        }
    }

    #[test]
    fn what_does_not_fit_is_no_foresight() {
        let features =
            BlockFeatures { blocks_x: 3, blocks_y: 2, values: vec![[f32::NAN; FEATURES]; 6], ..Default::default() };
        let foresight = Foresight { features: &features, is_current: false, motion: &[[1.0; 2]; 5], layers: &[] };
        let pending = Pending::new(&foresight).expect("its sizes fit");
        assert!(pending.motion.is_empty() && pending.features.iter().flatten().all(|f| *f == 0.0));
        assert!(pending.fits(Extent::new(48, 32)) && !pending.fits(Extent::new(49, 32)));
        let wrong = BlockFeatures { blocks_x: u32::MAX, ..features.clone() };
        assert!(Pending::new(&Foresight { features: &wrong, ..foresight }).is_none());
    }
}
