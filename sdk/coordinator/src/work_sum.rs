//! Work in any rectangle of pixels, from a summed-area table over blocks (Crow 1984).

use rayloom_frame::{Extent, Rect};

/// Side of a block in pixels.
pub(crate) const BLOCK_PX: u32 = 16;

/// A summed-area table: work density is constant inside a block, so sums are exact at any pixel.
pub(crate) struct WorkSum {
    blocks_x: usize,
    extent: Extent,
    density: Vec<f64>,
    /// Work left of and above each block corner; (blocks_x + 1) x (blocks_y + 1).
    corner: Vec<f64>,
}

impl WorkSum {
    /// From the work per pixel of every block. Densities are raised to a thousandth of their mean: nothing is free.
    pub(crate) fn new(extent: Extent, density: &[f32]) -> WorkSum {
        let blocks = extent.scaled(BLOCK_PX);
        let (bx, by) = (blocks.width as usize, blocks.height as usize);
        let mean = density.iter().map(|d| f64::from(*d)).sum::<f64>() / density.len().max(1) as f64;
        let floor = (mean * 1e-3).max(1e-12);
        let density: Vec<f64> = density.iter().map(|d| f64::from(*d).max(floor)).collect();
        let mut corner = vec![0.0; (bx + 1) * (by + 1)];
        for y in 0..by {
            let height = f64::from((extent.height - y as u32 * BLOCK_PX).min(BLOCK_PX));
            let mut row = 0.0;
            for x in 0..bx {
                let width = f64::from((extent.width - x as u32 * BLOCK_PX).min(BLOCK_PX));
                row += density[y * bx + x] * width * height;
                corner[(y + 1) * (bx + 1) + x + 1] = corner[y * (bx + 1) + x + 1] + row;
            }
        }
        WorkSum { blocks_x: bx, extent, density, corner }
    }

    /// Work of the whole view.
    pub(crate) fn total(&self) -> f64 {
        self.within(self.extent.rect())
    }

    /// Work of a rectangle inside the view.
    pub(crate) fn within(&self, rect: Rect) -> f64 {
        let (r, b) = (rect.right(), rect.bottom());
        let sum = self.before(r, b) - self.before(rect.x, b) - self.before(r, rect.y) + self.before(rect.x, rect.y);
        sum.max(0.0)
    }

    /// Work of the pixels left of `x` and above `y`.
    fn before(&self, x: u32, y: u32) -> f64 {
        let (bx, by) = ((x / BLOCK_PX) as usize, (y / BLOCK_PX) as usize);
        let (dx, dy) = (x % BLOCK_PX, y % BLOCK_PX);
        let stride = self.blocks_x + 1;
        let at = |x: usize, y: usize| self.corner[y * stride + x];
        let whole = at(bx, by);
        // Parts of the block that the corner lies in, relative to the part of that block that lies in the view.
        let right = if dx == 0 { 0.0 } else { (at(bx + 1, by) - whole) * self.part(dx, bx, self.extent.width) };
        let below = if dy == 0 { 0.0 } else { (at(bx, by + 1) - whole) * self.part(dy, by, self.extent.height) };
        let inner = if dx == 0 || dy == 0 { 0.0 } else { self.density[by * self.blocks_x + bx] * f64::from(dx * dy) };
        whole + right + below + inner
    }

    /// `pixels` of a block's columns (or rows) as a share of those that lie in the view.
    fn part(&self, pixels: u32, block: usize, view: u32) -> f64 {
        f64::from(pixels) / f64::from((view - block as u32 * BLOCK_PX).min(BLOCK_PX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_at_every_pixel_of_a_view_that_ends_inside_a_block() {
        let extent = Extent::new(37, 21);
        let density = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let sum = WorkSum::new(extent, &density);
        for (x, y) in [(0, 0), (5, 3), (16, 16), (20, 17)] {
            for (w, h) in [(1, 1), (3, 4), (16, 4), (17, 4)] {
                let rect = Rect::new(x, y, w, h);
                let mut expected = 0.0;
                for py in y..y + h {
                    for px in x..x + w {
                        expected += f64::from(density[(py / 16 * 3 + px / 16) as usize]);
                    }
                }
                assert!((sum.within(rect) - expected).abs() < 1e-9, "{rect:?}: {} {expected}", sum.within(rect));
            }
        }
    }
}
