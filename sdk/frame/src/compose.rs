//! The picture out of the merged layers: materials multiplied back in, exposed, tone mapped, in sRGB.

use glam::{Vec2, Vec3, Vec4};

use crate::{
    Extent, Inline, LayerKind, Workers,
    demodulate::{albedo_divisor4, specular_divisor4, specular_f0_4},
    merge::MergedFrame,
    normal::decode_direction,
    simd::{Half4, Kernel, dispatch},
    srgb::{linear_to_srgb_with, to_linear_table, to_srgb_table},
    workers::{BAND_ROWS, for_each},
};

/// How scene-linear light becomes display-linear light in [0, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToneMap {
    /// Clamped.
    Linear,
    /// Narkowicz's fit of the ACES filmic curve (2015), a channel at a time.
    #[default]
    Aces,
}

impl ToneMap {
    #[inline(always)]
    fn apply(self, light: Vec4) -> Vec4 {
        match self {
            ToneMap::Linear => light,
            ToneMap::Aces => {
                let x = light.max(Vec4::ZERO);
                (x * (x * 2.51 + 0.03)) / (x * (x * 2.43 + 0.59) + 0.14)
            }
        }
    }
}

/// `(Direct + Indirect) * albedo divisor + Specular * specular divisor + Unlit`, times `exposure`, tone mapped: RGBA of
/// 8 bits a channel (sRGB, alpha 255), rows of `4 * width` bytes from the top. Layers that were not traced count as black.
pub fn compose(frame: &MergedFrame<'_>, exposure: f32, tone_map: ToneMap) -> Vec<u8> {
    let mut rgba = vec![0; frame.extent.pixels() * 4];
    compose_into(frame, exposure, tone_map, &mut rgba);
    rgba
}

/// [`compose`] into a picture of the same size.
///
/// # Panics
/// When `rgba` does not have `4 * width * height` bytes.
pub fn compose_into(frame: &MergedFrame<'_>, exposure: f32, tone_map: ToneMap, rgba: &mut [u8]) {
    compose_into_with(frame, exposure, tone_map, rgba, &Inline);
}

/// [`compose_into`] on these threads; the bits are the same.
///
/// # Panics
/// When `rgba` does not have `4 * width * height` bytes.
pub fn compose_into_with(
    frame: &MergedFrame<'_>,
    exposure: f32,
    tone_map: ToneMap,
    rgba: &mut [u8],
    workers: &dyn Workers,
) {
    assert_eq!(rgba.len(), frame.extent.pixels() * 4, "the picture has the frame's size");
    let bands = rgba.chunks_mut(BAND_ROWS * frame.extent.width as usize * 4).enumerate().collect();
    for_each(workers, bands, |(index, rgba)| {
        dispatch(Compose { frame, exposure, tone_map, first_row: index * BAND_ROWS, rgba });
    });
}

struct Compose<'a> {
    frame: &'a MergedFrame<'a>,
    exposure: f32,
    tone_map: ToneMap,
    first_row: usize,
    rgba: &'a mut [u8],
}

impl Kernel for Compose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<H: Half4>(self) {
        let Compose { frame, exposure, tone_map, first_row, rgba } = self;
        let Extent { width, height } = frame.extent;
        let size = Vec2::new(width as f32, height as f32);
        let (to_linear, to_srgb) = (to_linear_table(), to_srgb_table());
        let layers = LayerKind::ALL.map(|kind| frame.layer(kind));
        let (origin, step_x, step_y) = {
            let ray = |x, y| frame.camera.ray(Vec2::new(x, y), size);
            let origin = ray(0.5, 0.5);
            (origin, ray(1.5, 0.5) - origin, ray(0.5, 1.5) - origin)
        };
        for (y, out) in (first_row..).zip(rgba.chunks_mut(width as usize * 4)) {
            let row = y * width as usize..(y + 1) * width as usize;
            let row_ray = origin + step_y * y as f32;
            let [direct, specular, indirect, unlit] = layers.map(|l| l.map(|pixels| &pixels[row.clone()]));
            let depth = &frame.planes.depth[row.clone()];
            let normal = &frame.planes.normal[row.clone()];
            let base_color = &frame.planes.base_color[row.clone()];
            let material = &frame.planes.material[row.clone()];
            for (x, pixel) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let read = |layer: Option<&[[u16; 4]]>| layer.map_or(Vec4::ZERO, |pixels| H::load(pixels[x]));
                let mut light = read(unlit);
                if depth[x] < f32::INFINITY {
                    let [r, g, b, _] = base_color[x].to_le_bytes().map(usize::from);
                    let base = Vec4::new(to_linear[r], to_linear[g], to_linear[b], 0.0);
                    let [roughness, metalness, _, _] = material[x].to_le_bytes().map(|v| v as f32 * (1.0 / 255.0));
                    light += (read(direct) + read(indirect)) * albedo_divisor4(base, metalness);
                    let reflected = read(specular);
                    // Alpha is the distance of what is reflected.
                    if reflected.with_w(0.0) != Vec4::ZERO {
                        let n_dot_v = cosine(decode_direction(normal[x]), row_ray + step_x * x as f32);
                        light += reflected * specular_divisor4(specular_f0_4(base, metalness), roughness, n_dot_v);
                    }
                }
                let shown = tone_map.apply(light * exposure).to_array();
                let [r, g, b] = [shown[0], shown[1], shown[2]].map(|v| linear_to_srgb_with(to_srgb, v));
                *pixel = [r, g, b, 255];
            }
        }
    }
}

/// Between a normal and the way back along a ray, neither of unit length; NaN and negative cosines are the divisor's to clamp.
#[inline(always)]
fn cosine(normal: Vec3, ray: Vec3) -> f32 {
    -normal.dot(ray) / (normal.length_squared() * ray.length_squared()).sqrt()
}
