//! What may be drawn over a view's picture: tiles, what blocks cost, what that was predicted to be, and how far off it was.

use crate::flight::{Flight, FlightTile};
use crate::output::Output;
use rayloom_coordinator::PeerView;
use rayloom_frame::features::BLOCK_SIZE;
use rayloom_frame::overlay::{Figure, TileLabel, draw_tiles, tint_blocks, tint_rects};
use rayloom_frame::{Extent, Rect};

/// What is drawn over the composed picture. Maps know blocks of 16 x 16 pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    #[default]
    Off,
    /// Borders of the tiles, who traced each, and in how many milliseconds.
    Tiles,
    /// What blocks cost: peers' times relative to the fastest, divided by the rays that they counted; dear is bright. Bright is
    /// four times what a block was predicted to cost in the mean.
    Cost,
    /// What blocks were predicted to cost, on the same scale, and each tile's predicted milliseconds.
    Prediction,
    /// How much longer (red) or shorter (blue) than predicted each tile took, and by how many percent; full at twice and half.
    Error,
}

impl Overlay {
    /// The next one, and the first after the last: for a key.
    pub fn next(self) -> Overlay {
        match self {
            Overlay::Off => Overlay::Tiles,
            Overlay::Tiles => Overlay::Cost,
            Overlay::Cost => Overlay::Prediction,
            Overlay::Prediction => Overlay::Error,
            Overlay::Error => Overlay::Off,
        }
    }
}

/// What blocks cost on the fastest peer, in nanoseconds a pixel, rows from the top; NaN where nothing is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CostMaps {
    pub(crate) predicted: Vec<f32>,
    measured: Vec<f32>,
}

impl CostMaps {
    /// Adds what was measured of a frame's tiles.
    pub(crate) fn measured(predicted: Vec<f32>, flight: &Flight, extent: Extent, peers: &[PeerView]) -> CostMaps {
        let across = extent.scaled(BLOCK_SIZE).width as usize;
        let mut sums = vec![(0.0_f64, 0.0_f64); extent.scaled(BLOCK_SIZE).pixels()];
        for tile in flight.due_tiles().filter(|tile| tile.is_complete()) {
            let Some(peer) = peers.iter().find(|peer| peer.id == tile.peer) else { continue };
            let work_ns = work_ns(tile, peer);
            let blocks = tile.ghost_rect.scaled(BLOCK_SIZE);
            let rays: f64 = tile.block_rays.iter().map(|rays| f64::from(*rays)).sum();
            if tile.block_rays.len() != blocks.pixels() || rays <= 0.0 {
                continue;
            }
            for (i, rays_here) in tile.block_rays.iter().enumerate() {
                let (x, y) = (blocks.x + i as u32 % blocks.width, blocks.y + i as u32 / blocks.width);
                let block = Rect::new(x * BLOCK_SIZE, y * BLOCK_SIZE, BLOCK_SIZE, BLOCK_SIZE);
                let pixels = block.intersection(tile.ghost_rect).pixels() as f64;
                if let Some(sum) = sums.get_mut(y as usize * across + x as usize) {
                    *sum = (sum.0 + work_ns * f64::from(*rays_here) / rays, sum.1 + pixels);
                }
            }
        }
        let mean = |(work, pixels): (f64, f64)| if pixels > 0.0 { (work / pixels) as f32 } else { f32::NAN };
        CostMaps { predicted, measured: sums.into_iter().map(mean).collect() }
    }

    /// Values from 0 to 1 on a scale that both maps share.
    fn shades(&self, values: &[f32]) -> Vec<f32> {
        let mean = self.predicted.iter().sum::<f32>() / self.predicted.len().max(1) as f32;
        values.iter().map(|value| (value / (4.0 * mean).max(f32::MIN_POSITIVE)).sqrt()).collect()
    }
}

/// A tile's time without its fixed part, as the fastest peer would need it.
fn work_ns(tile: &FlightTile, peer: &PeerView) -> f64 {
    let fixed_ns = f64::from(peer.tile_overhead_ms) * 1e6;
    (tile.service_ns() as f64 - fixed_ns).max(0.0) * f64::from(peer.speed)
}

/// Draws over an output's picture.
pub(crate) fn draw(output: &mut Output, overlay: Overlay) {
    let (format, size) = (output.format, output.size);
    let off = |tile: &crate::TileOutcome| tile.peer_ms / tile.predicted_ms.max(f32::MIN_POSITIVE);
    match (overlay, &output.costs) {
        (Overlay::Off, _) => return,
        (Overlay::Cost, Some(costs)) => {
            let shades = costs.shades(&costs.measured);
            tint_blocks(&mut output.color, format, size, BLOCK_SIZE, &shades);
        }
        (Overlay::Prediction, Some(costs)) => {
            let shades = costs.shades(&costs.predicted);
            tint_blocks(&mut output.color, format, size, BLOCK_SIZE, &shades);
        }
        (Overlay::Error, _) => {
            let arrived = output.tiles.iter().filter(|tile| tile.arrived);
            let errors: Vec<(Rect, f32)> = arrived.map(|tile| (tile.rect, off(tile).log2())).collect();
            tint_rects(&mut output.color, format, size, &errors);
        }
        _ => {}
    }
    let label = |tile: &crate::TileOutcome| TileLabel {
        rect: tile.rect,
        peer: tile.arrived.then_some(tile.peer),
        figure: match overlay {
            Overlay::Prediction => Figure::Milliseconds(tile.predicted_ms),
            Overlay::Error => Figure::Percent(100.0 * (off(tile) - 1.0)),
            _ => Figure::Milliseconds(tile.peer_ms),
        },
    };
    let labels: Vec<TileLabel> = output.tiles.iter().map(label).collect();
    draw_tiles(&mut output.color, format, size, &labels);
}
