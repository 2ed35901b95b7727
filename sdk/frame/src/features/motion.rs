//! Where the content of each block was a frame before, from the blocks' depths and both cameras.

use super::{BLOCK_SIZE, BlockFeatures};
use crate::Extent;
use glam::Vec2;
use rayloom_scene::Camera;

/// Blocks whose surface is farther away than this, or that show sky, move like what is infinitely far.
const FAR_M: f32 = 1e6;
/// Steps of the fixed-point iteration that finds the block of the last frame whose depth lands on a block of this one (as
/// in Yang et al., "Image-Based Bidirectional Scene Reprojection", SIGGRAPH Asia 2011).
const STEPS: usize = 2;

/// For each block of the frame that `to` will see: where its content was in the frame that `features` are of, seen by
/// `from`, minus where it is, in pixels (+x right, +y down). Objects are taken to stand still. Never NaN; what was behind
/// the camera has moved out of the view.
pub fn block_motion(features: &BlockFeatures, from: &Camera, to: &Camera, extent: Extent) -> Vec<[f32; 2]> {
    let size = Vec2::new(extent.width as f32, extent.height as f32);
    let (blocks_x, blocks_y) = (features.blocks_x, features.blocks_y);
    let block_of = |pixel: Vec2| {
        let block = (pixel / BLOCK_SIZE as f32).floor();
        let (x, y) = (block.x.clamp(0.0, blocks_x as f32 - 1.0), block.y.clamp(0.0, blocks_y as f32 - 1.0));
        y as usize * blocks_x as usize + x as usize
    };
    if features.inverse_depth.len() != blocks_x as usize * blocks_y as usize || !from.is_valid() || !to.is_valid() {
        return vec![[0.0; 2]; features.values.len()];
    }
    let (from, to) = (Camera { jitter: Vec2::ZERO, ..*from }, Camera { jitter: Vec2::ZERO, ..*to });
    let motion = |block: usize| {
        let (x, y) = (block as u32 % blocks_x, block as u32 / blocks_x);
        let corner = Vec2::new((x * BLOCK_SIZE) as f32, (y * BLOCK_SIZE) as f32);
        let center = (corner + corner + BLOCK_SIZE as f32).min(size + corner) * 0.5;
        let mut found = center;
        for _ in 0..STEPS {
            let depth = 1.0 / features.inverse_depth[block_of(found)].max(1.0 / FAR_M);
            let world = to.position + to.ray(center, size) * depth;
            let (pixel, ahead) = from.project(world, size);
            if !pixel.is_finite() || ahead <= 0.0 {
                return [2.0 * size.x, 2.0 * size.y];
            }
            found = pixel;
        }
        (found - center).clamp(-2.0 * size, 2.0 * size).to_array()
    };
    (0..features.inverse_depth.len()).map(motion).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::{Quat, Vec3};

    const EXTENT: Extent = Extent::new(320, 160);

    fn wall(depth: f32) -> BlockFeatures {
        let values = vec![[0.0; super::super::FEATURES]; 200];
        BlockFeatures { blocks_x: 20, blocks_y: 10, values, inverse_depth: vec![1.0 / depth; 200] }
    }

    #[test]
    fn a_camera_at_rest_moves_nothing() {
        let camera = Camera::look_at(Vec3::new(3.0, 2.0, 1.0), Vec3::ZERO, 1.0, 2.0);
        let motion = block_motion(&wall(10.0), &camera, &camera, EXTENT);
        assert!(motion.iter().flatten().all(|m| m.abs() < 0.01), "{motion:?}");
    }

    #[test]
    fn what_is_near_moves_farther_than_what_is_far() {
        let from = Camera::with_fov(1.0, 2.0);
        let to = Camera { position: Vec3::new(0.1, 0.0, 0.0), ..from };
        let step = |depth: f32| block_motion(&wall(depth), &from, &to, EXTENT)[105][0];
        // The camera goes right: what it sees was farther right before.
        assert!((step(2.0) / step(4.0) - 2.0).abs() < 0.01 && step(4.0) > 0.0, "{} {}", step(2.0), step(4.0));
        assert!(step(1e9).abs() < 0.01);
        let expected = 0.1 / 2.0 / from.tan_half_fov.x * 160.0;
        assert!((step(2.0) - expected).abs() < 0.01, "{} {expected}", step(2.0));
    }

    #[test]
    fn what_the_last_camera_had_behind_it_comes_from_outside() {
        let from = Camera::with_fov(1.0, 2.0);
        let to = Camera { rotation: Quat::from_rotation_y(3.0), ..from };
        let motion = block_motion(&wall(5.0), &from, &to, EXTENT);
        assert!(motion.iter().all(|m| m[0].abs() >= 320.0), "{motion:?}");
        let broken = Camera { position: Vec3::NAN, ..from };
        assert!(block_motion(&wall(5.0), &from, &broken, EXTENT).iter().all(|m| *m == [0.0; 2]));
    }
}
