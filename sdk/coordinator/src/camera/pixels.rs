//! How far two cameras are apart, in pixels: what a player sees of it.

use glam::Vec2;
use rayloom_frame::Extent;
use rayloom_scene::Camera;

/// Distances that depths are brought to, in metres.
const DEPTHS_M: (f32, f32) = (0.05, 1e5);
/// What stands for a depth that is not known.
const USUAL_DEPTH_M: f32 = 10.0;

/// Mean distance, in pixels, between where two cameras see nine points that lie `depth_m` before the first one, spread over its view.
/// Never more than the view's diagonal, which is also what comes of cameras that can't be used; jitter does not matter.
pub fn displacement_px(truth: &Camera, guess: &Camera, extent: Extent, depth_m: f32) -> f32 {
    let size = Vec2::new(extent.width.max(1) as f32, extent.height.max(1) as f32);
    let most = size.length();
    let depth = if depth_m.is_finite() { depth_m.clamp(DEPTHS_M.0, DEPTHS_M.1) } else { USUAL_DEPTH_M };
    let still = |camera: &Camera| Camera { jitter: Vec2::ZERO, ..*camera };
    let (truth, guess) = (still(truth), still(guess));
    let apart = |(across, down): (u8, u8)| {
        let pixel = size * Vec2::new(f32::from(across), f32::from(down)) / 6.0;
        let point = truth.position + truth.ray(pixel, size) * depth;
        let (there, ahead) = guess.project(point, size);
        let distance = there.distance(pixel);
        if ahead > 0.0 && distance.is_finite() { distance.min(most) } else { most }
    };
    let places = [1, 3, 5];
    let sum: f32 = places.into_iter().flat_map(|down| places.map(|across| apart((across, down)))).sum();
    sum / 9.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::{Quat, Vec3};

    const EXTENT: Extent = Extent::new(200, 100);

    #[test]
    fn pixels_are_those_that_things_move_by() {
        let camera = Camera::with_fov(std::f32::consts::FRAC_PI_2, 2.0);
        // At two metres the view is four metres high.
        let moved = Camera { position: Vec3::X * 0.4, ..camera };
        assert!((displacement_px(&camera, &moved, EXTENT, 2.0) - 10.0).abs() < 1e-3);
        assert!((displacement_px(&camera, &moved, EXTENT, 20.0) - 1.0).abs() < 1e-3);
        let jittered = Camera { jitter: Vec2::splat(0.5), ..camera };
        assert_eq!(displacement_px(&camera, &jittered, EXTENT, 2.0), 0.0);
    }

    #[test]
    fn cameras_that_look_elsewhere_or_nowhere_are_a_diagonal_apart() {
        let camera = Camera::with_fov(1.0, 2.0);
        let most = Vec2::new(200.0, 100.0).length();
        let back = Camera { rotation: Quat::from_rotation_y(3.0), ..camera };
        let nowhere = Camera { position: Vec3::splat(f32::NAN), ..camera };
        for other in [back, nowhere] {
            assert!((displacement_px(&camera, &other, EXTENT, 2.0) - most).abs() < 1e-3);
        }
        assert!(displacement_px(&camera, &camera, EXTENT, f32::NAN) < 1e-3);
    }
}
