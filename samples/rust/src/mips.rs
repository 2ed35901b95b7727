//! Smaller versions of textures, filtered in linear light, as asset pipelines make them.

/// A texture with all its mips: rows of RGBA bytes, one level after the other.
pub(crate) struct Mips {
    /// Width, height and first byte of each level, from the full size down to one pixel.
    pub(crate) levels: Vec<(u32, u32, usize)>,
    pub(crate) bytes: Vec<u8>,
}

impl Mips {
    /// Of `width * height` pixels of four bytes; `color` is sRGB-encoded (its alpha is not).
    pub(crate) fn new(width: u32, height: u32, pixels: Vec<u8>, color: bool) -> Mips {
        let curve: [f32; 256] =
            std::array::from_fn(|c| if color { srgb_to_linear(c as f32 / 255.0) } else { c as f32 / 255.0 });
        let decode =
            |p: &[u8; 4]| [curve[p[0] as usize], curve[p[1] as usize], curve[p[2] as usize], p[3] as f32 / 255.0];
        let encode = |p: [f32; 4]| {
            let byte = |c: f32| (c * 255.0 + 0.5) as u8;
            let [r, g, b, a] = p;
            let [r, g, b] = if color { [r, g, b].map(linear_to_srgb) } else { [r, g, b] };
            [r, g, b, a].map(byte)
        };
        let mut level: Vec<[f32; 4]> = pixels.as_chunks::<4>().0.iter().map(decode).collect();
        let (mut w, mut h) = (width as usize, height as usize);
        let mut mips = Mips { levels: vec![(width, height, 0)], bytes: pixels };
        while w > 1 || h > 1 {
            let (half_w, half_h) = ((w / 2).max(1), (h / 2).max(1));
            let mean = |i: usize| {
                let (x, y) = (i % half_w * 2, i / half_w * 2);
                let (x1, y1) = ((x + 1).min(w - 1), (y + 1).min(h - 1));
                let four = [(x, y), (x1, y), (x, y1), (x1, y1)].map(|(x, y)| level[y * w + x]);
                std::array::from_fn(|c| four.iter().map(|p| p[c]).sum::<f32>() * 0.25)
            };
            level = (0..half_w * half_h).map(mean).collect();
            (w, h) = (half_w, half_h);
            mips.levels.push((w as u32, h as u32, mips.bytes.len()));
            mips.bytes.extend(level.iter().copied().flat_map(encode));
        }
        mips
    }
}

fn srgb_to_linear(c: f32) -> f32 {
    if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
}

fn linear_to_srgb(c: f32) -> f32 {
    if c <= 0.0031308 { c * 12.92 } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_halve_down_to_one_pixel_and_keep_the_mean_light() {
        let pixels = [[0, 0, 0, 255], [255, 255, 255, 255], [255, 0, 255, 255], [0, 255, 0, 255], [9; 4], [9; 4]];
        let mips = Mips::new(2, 3, pixels.concat(), true);
        assert_eq!(mips.levels, [(2, 3, 0), (1, 1, 24)]);
        // Half of the light of white.
        assert_eq!(mips.bytes[24..], [188, 188, 188, 255]);
        let numbers = Mips::new(2, 1, vec![0, 100, 50, 0, 100, 200, 50, 255], false);
        assert_eq!(numbers.bytes[8..], [50, 150, 50, 128]);
        assert_eq!(Mips::new(256, 64, vec![7; 256 * 64 * 4], true).levels.len(), 9);
    }
}
