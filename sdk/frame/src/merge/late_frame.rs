//! What came late of a frame, as the frame that is being finished sees it: ways between both, and what its pixels show.

use glam::Vec2;
use rayloom_scene::Camera;

use super::{
    OpenFrame, Predicted,
    late::{LateTile, guides},
    reproject::Reprojection,
    warp::NOWHERE,
};
use crate::{
    Extent, Primary, Rect,
    demodulate::{scaled_sample_offset, scaled_sample_pixel},
    simd::Lanes,
};

/// Own motion of surfaces, in pixels a frame, beyond which they are not looked for.
const FASTEST: f32 = 16.0;
/// Own motion of a surface, in pixels, that rounding of its motion vector may come to.
const STILL: f32 = 1.0 / 16.0;
/// The same as a share of the motion vector: two units in the last place of half floats.
const STILL_SHARE: f32 = 1.0 / 512.0;
/// What came late of one frame, as the frame that is being finished sees it.
pub(super) struct LateFrame {
    /// What it was traced with.
    pub(super) id: u64,
    /// Frames between it and this one.
    pub(super) age: u8,
    /// From this frame's camera to that one's.
    pub(super) to_there: Reprojection,
    /// And back.
    pub(super) from_there: Reprojection,
    /// From its camera to the one that its motion vectors lead to.
    pub(super) to_before: Reprojection,
    /// This frame's pre-exposure over that one's.
    pub(super) brightening: f32,
    /// Camera and scene are exactly the same since.
    pub(super) is_unchanged: bool,
    pub(super) tiles: Vec<LatePixels>,
}

/// A late tile with what its pixels and blocks show.
pub(super) struct LatePixels {
    pub(super) tile: LateTile,
    /// Depth, normals, materials and instances of pixels, where they are known and not the tile's own, and of the pixels that blocks of two
    /// by two are traced at.
    guides: [Option<Primary>; 2],
}

/// A layer of a late tile: one pixel, or one of each block of two by two.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) extent: Extent,
    /// Of the first pixel or block, in pixels of the view: where it is traced.
    origin: (f32, f32),
    pub(super) scale: u32,
}

impl Grid {
    pub(super) fn new(rect: Rect, frame_id: u64, scale: u32) -> Grid {
        let grid = rect.scaled(scale);
        let (dx, dy) = scaled_sample_offset(frame_id, scale);
        let origin = ((grid.x * scale + dx) as f32 + 0.5, (grid.y * scale + dy) as f32 + 0.5);
        Grid { extent: Extent::new(grid.width, grid.height), origin, scale }
    }

    /// Positions in the view as positions in the grid, whose first pixel's centre is at a half.
    #[inline(always)]
    pub(super) fn place<L: Lanes>(&self, (x, y): (L, L)) -> (L, L) {
        let (step, half) = (L::splat(1.0 / self.scale as f32), L::splat(0.5));
        ((x - L::splat(self.origin.0)) * step + half, (y - L::splat(self.origin.1)) * step + half)
    }
}

/// Lengths of rays, whose component along the view axis is 1, and this frame's way to where its motion vectors lead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Optics {
    /// From this frame's camera to the one that motion vectors lead to.
    pub(super) to_previous: Reprojection,
    /// The pixel that the view axis goes through, and pixels to where rays are at 45 degrees.
    centre: Vec2,
    scale: Vec2,
}

impl Optics {
    pub(super) fn new(camera: &Camera, previous: &Camera, extent: Extent) -> Optics {
        let size = Vec2::new(extent.width as f32, extent.height as f32);
        let centre = (Vec2::new(camera.center.x, -camera.center.y) * 0.5 + 0.5) * size;
        let to_previous = Reprojection::new(camera, previous, extent);
        Optics { to_previous, centre, scale: size * 0.5 / camera.tan_half_fov }
    }

    #[inline(always)]
    pub(super) fn ray_lengths<L: Lanes>(&self, x: L, y: f32) -> L {
        let right = (x - L::splat(self.centre.x)) * L::splat(1.0 / self.scale.x);
        let down = (y - self.centre.y) / self.scale.y;
        (right * right + L::splat(down * down + 1.0)).sqrt()
    }
}

impl LateFrame {
    /// Of what was traced then, `age` frames ago, as the frame that is being finished sees it.
    pub(super) fn new(
        (traced, age): (&Predicted, u8),
        this: &OpenFrame,
        extent: Extent,
        is_unchanged: bool,
        tiles: Vec<LatePixels>,
    ) -> LateFrame {
        LateFrame {
            id: traced.frame_id,
            age,
            to_there: Reprojection::new(&this.camera, &traced.camera, extent),
            from_there: Reprojection::new(&traced.camera, &this.camera, extent),
            to_before: Reprojection::new(&traced.camera, &traced.previous_camera, extent),
            brightening: this.pre_exposure / traced.pre_exposure,
            is_unchanged,
            tiles,
        }
    }
}

impl LateFrame {
    /// Pixels that things are looked for beside where the camera alone would have them.
    pub(super) fn reach(&self) -> f32 {
        FASTEST * f32::from(self.age) + 1.0
    }
}

impl LatePixels {
    /// `planes`: what that frame shows in a rectangle, where it is known; a tile's own hits come first.
    pub(super) fn new(tile: LateTile, frame_id: u64, extent: Extent, planes: Option<(&Primary, Rect)>) -> LatePixels {
        let rect = tile.rect;
        let planes = if tile.has_primary() { Some((&tile.primary, rect)) } else { planes };
        let has_scale = |scale: u32| {
            let pixels = rect.scaled(scale).pixels();
            tile.layers.iter().any(|layer| !layer.is_empty() && layer.len() == pixels)
        };
        let of_blocks = |planes: &Primary, planes_of: Rect| {
            let (blocks, mut guides) = (rect.scaled(2), Primary::default());
            for (x, y) in (blocks.y..blocks.bottom()).flat_map(|y| (blocks.x..blocks.right()).map(move |x| (x, y))) {
                let (x, y) = scaled_sample_pixel(x, y, frame_id, 2, extent);
                // A block at the tile's border may be traced at a pixel of another tile: nothing is known of that.
                let at = planes_of.contains(x, y).then(|| planes_of.index_of(Rect::new(x, y, 1, 1)));
                guides.depth.push(at.map_or(f32::INFINITY, |at| planes.depth[at]));
                guides.normal.push(at.map_or(0, |at| planes.normal[at]));
                guides.material.push(at.map_or(0, |at| planes.material[at]));
                guides.instance_id.push(at.map_or(u32::MAX, |at| planes.instance_id[at]));
            }
            guides
        };
        let is_own = tile.has_primary();
        let of_pixels = planes.filter(|_| !is_own && has_scale(1));
        let guides = [
            of_pixels.map(|(planes, planes_of)| guides(planes, rect, planes_of)),
            planes.filter(|_| has_scale(2)).map(|(planes, planes_of)| of_blocks(planes, planes_of)),
        ];
        LatePixels { tile, guides }
    }

    /// What its pixels (at scale 1) or blocks (2) show, where it is known.
    pub(super) fn guides(&self, scale: u32) -> Option<&Primary> {
        if scale == 1 && self.tile.has_primary() {
            return Some(&self.tile.primary);
        }
        self.guides[scale as usize - 1].as_ref()
    }
}

/// What a surface moved by itself, beyond what the camera did: `motion` leads from (`x`, `y`) to where it was, the camera's
/// part to `still`. 0 where rounding may be all of it, and where there is no number or the surface was not seen before.
#[inline(always)]
pub(super) fn own_motion<L: Lanes>(motion: L, (x, y): (L, L), still: (L, L)) -> (L, L) {
    let right = (motion & L::splat_bits(0xffff)).half_to_float();
    let down = motion.shift_right::<16>().half_to_float();
    let own = (right - (still.0 - x), down - (still.1 - y));
    let rounding = L::splat(STILL) + (right.abs() + down.abs()) * L::splat(STILL_SHARE);
    let moves = rounding.lt(own.0.abs()) | rounding.lt(own.1.abs());
    let infinite = L::splat(f32::INFINITY);
    let moves = moves & own.0.abs().lt(infinite) & own.1.abs().lt(infinite);
    let moves = moves & motion.eq_bits(L::splat_bits(NOWHERE)).not();
    (own.0 & moves, own.1 & moves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Half4, Kernel, dispatch};

    /// Own motion of a pixel at (10.5, 10.5) whose vector and camera's part are these.
    struct Own([f32; 2], [f32; 2]);

    impl Kernel for Own {
        type Output = [f32; 2];

        #[inline(always)]
        fn run<H: Half4>(self) -> [f32; 2] {
            let Own(motion, camera) = self;
            let half = |v: f32| u32::from(half::f16::from_f32(v).to_bits());
            let at = H::Lanes::splat(10.5);
            let still = (H::Lanes::splat(10.5 + camera[0]), H::Lanes::splat(10.5 + camera[1]));
            let own = own_motion(H::Lanes::splat_bits(half(motion[0]) | half(motion[1]) << 16), (at, at), still);
            [own.0.to_array()[0], own.1.to_array()[0]]
        }
    }

    #[test]
    fn rounding_of_motion_vectors_is_no_motion() {
        assert_eq!(dispatch(Own([-40.32, 3.1], [-40.33, 3.1])), [0.0, 0.0]);
        let [right, down] = dispatch(Own([-42.5, 3.0], [-40.25, 3.0]));
        assert!((right + 2.25).abs() < 0.01 && down == 0.0, "{right}, {down}");
        assert_eq!(dispatch(Own([1.0, 1.0], [f32::NAN, 0.0])), [0.0, 0.0]);
        assert_eq!(dispatch(Own([f32::INFINITY, 1.0], [0.0, 0.0])), [0.0, 0.0]);
    }
}
