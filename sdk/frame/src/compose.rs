//! The picture out of the merged layers: materials multiplied back in, exposed, tone mapped, in sRGB.

use glam::{Vec2, Vec3};
use rayloom_scene::Camera;

use crate::{
    Extent, Inline, LayerKind, Primary, Rect, Workers,
    demodulate::{DIELECTRIC_F0, MIN_DIVISOR, SpecularRows, specular_rows, specular_scale_and_bias_lanes},
    merge::MergedFrame,
    normal::{decode_directions, dot},
    simd::{Half4, Kernel, Lanes, dispatch, each},
    srgb::{linear_to_srgb_1023_lanes, linear_to_srgb_lanes, to_linear_table, to_srgb_table},
    workers::{BAND_ROWS, for_each},
};

pub use crate::{picture::PictureFormat, tone_map::ToneMap};

/// How light becomes a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Display {
    /// Radiance is multiplied by this before the tone map.
    pub exposure: f32,
    /// From there to what a display shows.
    pub tone_map: ToneMap,
    /// What pixels are.
    pub format: PictureFormat,
}

/// `(Direct + Indirect) * albedo divisor + Specular * specular divisor + Unlit + Path`, times `exposure`, tone mapped: RGBA of
/// 8 bits a channel (sRGB, alpha 255), rows of `4 * width` bytes from the top. Layers that were not traced count as black.
pub fn compose(frame: &MergedFrame<'_>, exposure: f32, tone_map: ToneMap) -> Vec<u8> {
    let mut picture = vec![0; frame.extent.pixels() * 4];
    compose_into(frame, &Display { exposure, tone_map, format: PictureFormat::Rgba8Srgb }, &mut picture);
    picture
}

/// [`compose`] into a picture of the same size, in any format.
///
/// # Panics
/// When `picture` does not have `width * height` pixels of the format.
pub fn compose_into(frame: &MergedFrame<'_>, display: &Display, picture: &mut [u8]) {
    compose_into_with(frame, display, picture, &Inline);
}

/// [`compose_into`] on these threads; the bits are the same.
///
/// # Panics
/// When `picture` does not have `width * height` pixels of the format.
pub fn compose_into_with(frame: &MergedFrame<'_>, display: &Display, picture: &mut [u8], workers: &dyn Workers) {
    let (width, height) = (frame.extent.width, frame.extent.height);
    let row_bytes = width as usize * display.format.bytes_per_pixel();
    assert_eq!(picture.len(), height as usize * row_bytes, "the picture has the frame's size");
    let light = Light::of(frame);
    let bands = picture.chunks_mut(BAND_ROWS * row_bytes).enumerate();
    for_each(workers, bands, |(index, rows)| {
        let rect = Rect::new(0, (index * BAND_ROWS) as u32, width, (rows.len() / row_bytes) as u32);
        dispatch(Compose { light: &light, display, rect, rows });
    });
}

/// What a picture is composed of: merged layers, and the planes and the camera that they are shown by.
pub(crate) struct Light<'a> {
    pub(crate) extent: Extent,
    pub(crate) camera: Camera,
    /// What light in the layers is multiplied by.
    pub(crate) pre_exposure: f32,
    pub(crate) planes: &'a Primary,
    /// Of each kind, where it was requested.
    pub(crate) layers: [Option<&'a [[u16; 4]]>; LayerKind::ALL.len()],
}

impl<'a> Light<'a> {
    fn of(frame: &MergedFrame<'a>) -> Light<'a> {
        let MergedFrame { extent, camera, pre_exposure, planes, layers, .. } = *frame;
        Light { extent, camera, pre_exposure, planes, layers }
    }

    fn layer(&self, kind: LayerKind) -> Option<&'a [[u16; 4]]> {
        self.layers[kind as usize]
    }
}

/// Composes some pixels. Eight of a row are worked on at once, from columns on that are multiples of eight, so that any parts make
/// up the picture that is composed as a whole.
pub(crate) struct Compose<'a> {
    pub(crate) light: &'a Light<'a>,
    pub(crate) display: &'a Display,
    /// From such a column on, to another one or the view's edge.
    pub(crate) rect: Rect,
    /// Whole rows of the picture, those of the rectangle.
    pub(crate) rows: &'a mut [u8],
}

impl Kernel for Compose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<H: Half4>(self) {
        let Compose { light: source, display, rect, rows } = self;
        let width = source.extent.width as usize;
        let pixel = display.format.bytes_per_pixel();
        let to_srgb = to_srgb_table();
        let (unlit, path) = (source.layer(LayerKind::Unlit), source.layer(LayerKind::Path));
        let materials = Materials::new(source);
        // Layers hold radiance times the frame's pre-exposure.
        let exposure = H::Lanes::splat(display.exposure / source.pre_exposure);
        let columns = rect.x as usize * pixel..rect.right() as usize * pixel;
        for (y, row) in (rect.y as usize..).zip(rows.chunks_mut(width * pixel)) {
            for (x, out) in (rect.x as usize..).step_by(8).zip(row[columns.clone()].chunks_mut(8 * pixel)) {
                let index = y * width + x;
                let mut light = read::<H::Lanes>(unlit, index);
                if path.is_some() {
                    let path = read::<H::Lanes>(path, index);
                    light = [light[0] + path[0], light[1] + path[1], light[2] + path[2]];
                }
                let depth = H::Lanes::load_from(bytemuck::cast_slice(&source.planes.depth), index);
                let mut surface = depth.lt(H::Lanes::splat(f32::INFINITY));
                if out.len() < 8 * pixel {
                    // What lies beyond the row's end is another row's, and may not be there yet.
                    surface =
                        surface & H::Lanes::splat_bits((out.len() / pixel) as u32).gt_signed(H::Lanes::counting());
                }
                if surface.mask_bits() != 0 {
                    materials.add_reflected(&mut light, surface, x, y);
                }
                let shown = display.tone_map.apply(each!(light, light => light * exposure));
                match display.format {
                    PictureFormat::Rgba8Srgb => {
                        let codes = each!(shown, light => linear_to_srgb_lanes(to_srgb, light));
                        store(pack::<H::Lanes, 8>(codes, 0xff00_0000), out);
                    }
                    PictureFormat::Rgb10a2Srgb => {
                        let codes = each!(shown, light => linear_to_srgb_1023_lanes(light));
                        store(pack::<H::Lanes, 10>(codes, 0xc000_0000), out);
                    }
                    PictureFormat::Rgba16Float => {
                        // What is brighter than half floats reach is as bright as they are.
                        let largest = H::Lanes::splat(65504.0);
                        let [r, g, b] = each!(shown, light => light.max(H::Lanes::zero()).min(largest).to_halves());
                        let one = 0x3c00;
                        let pixels: [[u16; 4]; 8] = std::array::from_fn(|i| [r[i], g[i], b[i], one]);
                        out.copy_from_slice(&bytemuck::cast_slice(&pixels)[..out.len()]);
                    }
                }
            }
        }
    }
}

/// Words of three codes of so many bits, red lowest, and alpha's bits.
#[inline(always)]
fn pack<L: Lanes, const BITS: i32>([r, g, b]: [L; 3], alpha: u32) -> L {
    (b.shift_left::<BITS>() | g).shift_left::<BITS>() | r | L::splat_bits(alpha)
}

#[inline(always)]
fn store<L: Lanes>(words: L, out: &mut [u8]) {
    out.copy_from_slice(&bytemuck::cast_slice(&words.to_bits())[..out.len()]);
}

/// What takes lighting to light: materials, and the camera that looks at them.
struct Materials<'a> {
    source: &'a Light<'a>,
    direct: Option<&'a [[u16; 4]]>,
    specular: Option<&'a [[u16; 4]]>,
    indirect: Option<&'a [[u16; 4]]>,
    /// The ray of the first pixel, and what a pixel to the right and one down adds.
    origin: Vec3,
    step_x: Vec3,
    step_y: Vec3,
    to_linear: &'static [f32; 256],
    specular_rows: &'static SpecularRows,
}

impl<'a> Materials<'a> {
    fn new(source: &'a Light<'a>) -> Materials<'a> {
        let size = Vec2::new(source.extent.width as f32, source.extent.height as f32);
        let ray = |x, y| source.camera.ray(Vec2::new(x, y), size);
        let origin = ray(0.5, 0.5);
        Materials {
            source,
            direct: source.layer(LayerKind::Direct),
            specular: source.layer(LayerKind::Specular),
            indirect: source.layer(LayerKind::Indirect),
            origin,
            step_x: ray(1.5, 0.5) - origin,
            step_y: ray(0.5, 1.5) - origin,
            to_linear: to_linear_table(),
            specular_rows: specular_rows(),
        }
    }

    /// Adds the light that eight pixels' surfaces reflect to `light`'s red, green and blue.
    #[inline(always)]
    fn add_reflected<L: Lanes>(&self, light: &mut [L; 3], surface: L, x: usize, y: usize) {
        let planes = self.source.planes;
        let index = y * self.source.extent.width as usize + x;
        let base_color = L::load_from(&planes.base_color, index);
        let base = [
            base_color.look_up(self.to_linear),
            base_color.shift_right::<8>().look_up(self.to_linear),
            base_color.shift_right::<16>().look_up(self.to_linear),
        ];
        let material = L::load_from(&planes.material, index);
        let metalness = (material.shift_right::<8>() & L::splat_bits(255)).integer_to_float() * L::splat(1.0 / 255.0);
        let smallest = L::splat(MIN_DIVISOR);
        let (direct, indirect) = (read::<L>(self.direct, index), read::<L>(self.indirect, index));
        for c in 0..3 {
            let divisor = (base[c] * (L::splat(1.0) - metalness)).max(smallest);
            light[c] = light[c] + (((direct[c] + indirect[c]) * divisor) & surface);
        }
        let specular = read::<L>(self.specular, index);
        let is_lit = (specular[0] | specular[1] | specular[2]).abs().eq_bits(L::zero()).not() & surface;
        if is_lit.mask_bits() == 0 {
            return;
        }
        let n_dot_v = self.cosine(L::load_from(&planes.normal, index), x, y);
        let (a, b) = specular_scale_and_bias_lanes(self.specular_rows, material, n_dot_v);
        let dielectric = L::splat(DIELECTRIC_F0);
        for c in 0..3 {
            let f0 = dielectric + (base[c] - dielectric) * metalness;
            light[c] = light[c] + ((specular[c] * (f0 * a + b).max(smallest)) & surface);
        }
    }

    /// Between normals and the way back along the pixels' rays, neither of unit length; NaN and negative cosines are the
    /// divisor's to clamp.
    #[inline(always)]
    fn cosine<L: Lanes>(&self, normal: L, x: usize, y: usize) -> L {
        let normal = decode_directions(normal);
        let (row, step) = ((self.origin + self.step_y * y as f32).to_array(), self.step_x.to_array());
        let x = L::splat_bits(x as u32).add_bits(L::counting()).integer_to_float();
        let ray = [
            L::splat(row[0]) + L::splat(step[0]) * x,
            L::splat(row[1]) + L::splat(step[1]) * x,
            L::splat(row[2]) + L::splat(step[2]) * x,
        ];
        (L::zero() - dot(normal, ray)) / (dot(normal, normal) * dot(ray, ray)).sqrt()
    }
}

/// Red, green and blue of eight pixels of a layer, black where it was not traced and beyond its end.
#[inline(always)]
fn read<L: Lanes>(layer: Option<&[[u16; 4]]>, index: usize) -> [L; 3] {
    let Some(layer) = layer else { return [L::zero(); 3] };
    let rest = &layer[index..];
    let [r, g, b, _] = match rest.first_chunk() {
        Some(pixels) => L::load_pixels(pixels),
        None => {
            let mut padded = [[0; 4]; 8];
            padded[..rest.len()].copy_from_slice(rest);
            L::load_pixels(&padded)
        }
    };
    [r, g, b]
}
