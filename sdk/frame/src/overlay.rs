//! Drawings over a composed picture: who traced which tile in how long, what blocks cost, and where two pictures differ.

use half::f16;

use crate::{Extent, PictureFormat, Rect, srgb::srgb_to_linear};

/// What to draw of a tile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TileLabel {
    /// Its pixels; what lies beyond the picture is not drawn.
    pub rect: Rect,
    /// Who traced it; `None` draws a grey border and no number.
    pub peer: Option<u32>,
    /// What is written beside the peer.
    pub figure: Figure,
}

/// A number written in a tile's corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// How long it took.
    Milliseconds(f32),
    /// How far off a prediction was, with its sign.
    Percent(f32),
}

impl std::fmt::Display for Figure {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Figure::Milliseconds(ms) => write!(to, "{:.0}", ms.clamp(0.0, 99_999.0)),
            Figure::Percent(percent) => write!(to, "{:+.0}", percent.clamp(-999.0, 999.0)),
        }
    }
}

/// Draws each tile's border in its peer's colour, and "peer:figure" in its top left corner.
///
/// `picture` has rows of `extent.width` pixels of the format; one of another size is left as it is.
pub fn draw_tiles(picture: &mut [u8], format: PictureFormat, extent: Extent, tiles: &[TileLabel]) {
    if picture.len() != extent.pixels() * format.bytes_per_pixel() {
        return;
    }
    let mut canvas = Canvas { picture, format, extent };
    for tile in tiles {
        let rect = tile.rect.intersection(extent.rect());
        if rect.is_empty() {
            continue;
        }
        let color = tile.peer.map_or([128; 3], peer_color);
        canvas.fill(Rect { height: 1, ..rect }, color);
        canvas.fill(Rect { width: 1, ..rect }, color);
        canvas.fill(Rect { y: rect.bottom() - 1, height: 1, ..rect }, color);
        canvas.fill(Rect { x: rect.right() - 1, width: 1, ..rect }, color);
        if let Some(peer) = tile.peer {
            // The peer inside the engine's process has no number.
            let name = if peer == u32::MAX { "E".to_owned() } else { peer.to_string() };
            canvas.text(rect, &format!("{name}:{}", tile.figure), color);
        }
    }
}

/// Tints each block of `side` x `side` pixels, rows from the top, by a value from 0 (nothing, dark blue) to 1 (dear, bright
/// yellow). What is beyond is cut, and a block whose value is no number stays as it is.
///
/// `picture` has rows of `extent.width` pixels of the format; one of another size, or values of another number, change nothing.
pub fn tint_blocks(picture: &mut [u8], format: PictureFormat, extent: Extent, side: u32, values: &[f32]) {
    let blocks = extent.scaled(side.max(1));
    if picture.len() != extent.pixels() * format.bytes_per_pixel() || values.len() != blocks.pixels() {
        return;
    }
    let mut canvas = Canvas { picture, format, extent };
    for (i, value) in values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
        let (x, y) = (i as u32 % blocks.width, i as u32 / blocks.width);
        canvas.tint(Rect::new(x * side, y * side, side, side), heat(*value));
    }
}

/// Tints each rectangle by a value from -1 (blue) over 0 (grey) to 1 (red); what is beyond is cut, no number stays as it is.
///
/// A picture of another size than the extent's is left as it is.
pub fn tint_rects(picture: &mut [u8], format: PictureFormat, extent: Extent, values: &[(Rect, f32)]) {
    if picture.len() != extent.pixels() * format.bytes_per_pixel() {
        return;
    }
    let mut canvas = Canvas { picture, format, extent };
    for (rect, value) in values.iter().filter(|(_, value)| !value.is_nan()) {
        canvas.tint(*rect, diverging(*value));
    }
}

/// From dark blue over purple and orange to bright yellow, ever lighter.
fn heat(value: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 5] =
        [[10.0, 10.0, 60.0], [90.0, 20.0, 130.0], [200.0, 50.0, 90.0], [250.0, 140.0, 30.0], [255.0, 245.0, 130.0]];
    let at = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let stop = (at as usize).min(STOPS.len() - 2);
    let share = at - stop as f32;
    [0, 1, 2].map(|c| (STOPS[stop][c] + (STOPS[stop + 1][c] - STOPS[stop][c]) * share) as u8)
}

/// Blue below, grey at, red above zero.
fn diverging(value: f32) -> [u8; 3] {
    let value = value.clamp(-1.0, 1.0);
    let (less, more) = ((-value).max(0.0), value.max(0.0));
    [128.0 + 127.0 * more - 108.0 * less, 128.0 - 108.0 * value.abs(), 128.0 + 127.0 * less - 108.0 * more]
        .map(|c| c as u8)
}

/// A colour that differs from the next peers': hues a golden angle apart.
pub fn peer_color(peer: u32) -> [u8; 3] {
    let hue = (peer as f32 * 0.618_034).fract() * 6.0;
    let channel = |shift: f32| {
        let distance = ((hue + shift) % 6.0 - 3.0).abs() - 1.0;
        (80.0 + 175.0 * distance.clamp(0.0, 1.0)) as u8
    };
    [channel(0.0), channel(4.0), channel(2.0)]
}

/// Makes `a` the absolute difference of two pictures of a format a channel, times `gain`, opaque; black where they are equal.
///
/// Pixels that `b` does not have stay.
pub fn difference(a: &mut [u8], b: &[u8], format: PictureFormat, gain: u8) {
    match format {
        PictureFormat::Rgba8Srgb => {
            for (a, b) in a.as_chunks_mut::<4>().0.iter_mut().zip(b.as_chunks::<4>().0) {
                *a = [0, 1, 2, 3].map(|c| if c == 3 { 255 } else { a[c].abs_diff(b[c]).saturating_mul(gain) });
            }
        }
        PictureFormat::Rgb10a2Srgb => {
            for (a, b) in a.as_chunks_mut::<4>().0.iter_mut().zip(b.as_chunks::<4>().0) {
                let words = [u32::from_le_bytes(*a), u32::from_le_bytes(*b)];
                let apart = |shift: u32| {
                    let [a, b] = words.map(|word| word >> shift & 1023);
                    (a.abs_diff(b) * u32::from(gain)).min(1023) << shift
                };
                *a = (3 << 30 | apart(0) | apart(10) | apart(20)).to_le_bytes();
            }
        }
        PictureFormat::Rgba16Float => {
            for (i, (a, b)) in a.as_chunks_mut::<2>().0.iter_mut().zip(b.as_chunks::<2>().0).enumerate() {
                let [x, y] = [*a, *b].map(|half| f16::from_le_bytes(half).to_f32());
                let apart = if i % 4 == 3 { 1.0 } else { ((x - y).abs() * f32::from(gain)).min(65504.0) };
                *a = f16::from_f32(apart).to_le_bytes();
            }
        }
    }
}

struct Canvas<'a> {
    picture: &'a mut [u8],
    format: PictureFormat,
    extent: Extent,
}

/// Pixels of the picture to one of a digit.
const DIGIT_SCALE: u32 = 2;
const DIGIT_WIDTH: u32 = 3;
const DIGIT_HEIGHT: u32 = 5;

impl Canvas<'_> {
    /// With a colour in sRGB's code.
    fn fill(&mut self, rect: Rect, [r, g, b]: [u8; 3]) {
        let rect = rect.intersection(self.extent.rect());
        let wide = |code: u8| u32::from(code) * 1023 / 255;
        let light = |code: u8| f16::from_f32(srgb_to_linear(code)).to_le_bytes();
        let bytes = match self.format {
            PictureFormat::Rgba8Srgb => [[r, g], [b, 255], [0; 2], [0; 2]],
            PictureFormat::Rgb10a2Srgb => {
                let [a, b, c, d] = (3 << 30 | wide(b) << 20 | wide(g) << 10 | wide(r)).to_le_bytes();
                [[a, b], [c, d], [0; 2], [0; 2]]
            }
            PictureFormat::Rgba16Float => [light(r), light(g), light(b), light(255)],
        };
        let size = self.format.bytes_per_pixel();
        let color = &bytes.as_flattened()[..size];
        for y in rect.y..rect.y + rect.height {
            let start = (y as usize * self.extent.width as usize + rect.x as usize) * size;
            for pixel in self.picture[start..start + rect.width as usize * size].chunks_exact_mut(size) {
                pixel.copy_from_slice(color);
            }
        }
    }

    /// Mixes three parts of a colour, in sRGB's code, with two of what is there.
    fn tint(&mut self, rect: Rect, color: [u8; 3]) {
        let rect = rect.intersection(self.extent.rect());
        let size = self.format.bytes_per_pixel();
        let mix = |old: u32, new: u32| (2 * old + 3 * new) / 5;
        let light = color.map(srgb_to_linear);
        for y in rect.y..rect.y + rect.height {
            let start = (y as usize * self.extent.width as usize + rect.x as usize) * size;
            for pixel in self.picture[start..start + rect.width as usize * size].chunks_exact_mut(size) {
                match self.format {
                    PictureFormat::Rgba8Srgb => {
                        for (old, new) in pixel.iter_mut().zip(color) {
                            *old = mix(u32::from(*old), u32::from(new)) as u8;
                        }
                    }
                    PictureFormat::Rgb10a2Srgb => {
                        let word = pixel.try_into().map_or(0, u32::from_le_bytes);
                        let mixed =
                            |c: usize| mix(word >> (10 * c) & 1023, u32::from(color[c]) * 1023 / 255) << (10 * c);
                        pixel.copy_from_slice(&(3 << 30 | mixed(0) | mixed(1) | mixed(2)).to_le_bytes());
                    }
                    PictureFormat::Rgba16Float => {
                        for (old, new) in pixel.as_chunks_mut::<2>().0.iter_mut().zip(light) {
                            let mixed = 0.4 * f16::from_le_bytes(*old).to_f32() + 0.6 * new;
                            *old = f16::from_f32(mixed).to_le_bytes();
                        }
                    }
                }
            }
        }
    }

    /// Digits, signs and colons on black, three pixels into `rect`, cut off at its borders.
    fn text(&mut self, rect: Rect, text: &str, color: [u8; 3]) {
        let advance = (DIGIT_WIDTH + 1) * DIGIT_SCALE;
        let (left, top) = (rect.x + 3, rect.y + 3);
        let panel = Rect::new(left - 1, top - 1, text.len() as u32 * advance + 1, DIGIT_HEIGHT * DIGIT_SCALE + 2);
        self.fill(panel.intersection(rect), [0; 3]);
        for (i, character) in text.chars().enumerate() {
            for (row, bits) in glyph(character).into_iter().enumerate() {
                for column in (0..DIGIT_WIDTH).filter(|c| bits >> (DIGIT_WIDTH - 1 - c) & 1 == 1) {
                    let x = left + i as u32 * advance + column * DIGIT_SCALE;
                    let dot = Rect::new(x, top + row as u32 * DIGIT_SCALE, DIGIT_SCALE, DIGIT_SCALE);
                    self.fill(dot.intersection(rect), color);
                }
            }
        }
    }
}

/// Five rows of three pixels.
fn glyph(character: char) -> [u8; 5] {
    match character {
        '0' => [0b111, 0b101, 0b101, 0b101, 0b111],
        '1' => [0b010, 0b110, 0b010, 0b010, 0b111],
        '2' => [0b111, 0b001, 0b111, 0b100, 0b111],
        '3' => [0b111, 0b001, 0b111, 0b001, 0b111],
        '4' => [0b101, 0b101, 0b111, 0b001, 0b001],
        '5' => [0b111, 0b100, 0b111, 0b001, 0b111],
        '6' => [0b111, 0b100, 0b111, 0b101, 0b111],
        '7' => [0b111, 0b001, 0b010, 0b010, 0b010],
        '8' => [0b111, 0b101, 0b111, 0b101, 0b111],
        '9' => [0b111, 0b101, 0b111, 0b001, 0b111],
        'E' => [0b111, 0b100, 0b110, 0b100, 0b111],
        ':' => [0b000, 0b010, 0b000, 0b010, 0b000],
        '+' => [0b000, 0b010, 0b111, 0b010, 0b000],
        '-' => [0b000, 0b000, 0b111, 0b000, 0b000],
        _ => [0; 5],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(rgba: &[u8], extent: Extent, x: u32, y: u32) -> [u8; 3] {
        let i = (y * extent.width + x) as usize * 4;
        [rgba[i], rgba[i + 1], rgba[i + 2]]
    }

    #[test]
    fn borders_have_the_peers_colour_and_the_inside_stays() {
        let extent = Extent::new(64, 40);
        let mut rgba = vec![7; extent.pixels() * 4];
        let tile = TileLabel { rect: Rect::new(10, 5, 50, 30), peer: Some(1), figure: Figure::Milliseconds(12.0) };
        draw_tiles(&mut rgba, PictureFormat::Rgba8Srgb, extent, &[tile]);
        for (x, y) in [(10, 5), (59, 5), (10, 34), (59, 34), (30, 34)] {
            assert_eq!(pixel(&rgba, extent, x, y), peer_color(1));
        }
        assert_eq!(pixel(&rgba, extent, 9, 5), [7; 3]);
        assert_eq!(pixel(&rgba, extent, 50, 30), [7; 3]);
        // The first glyph is a 1: lit in its middle column's top, dark to its left.
        assert_eq!(pixel(&rgba, extent, 15, 8), peer_color(1));
        assert_eq!(pixel(&rgba, extent, 13, 8), [0; 3]);
    }

    #[test]
    fn tiles_beyond_the_picture_and_tiny_ones_draw_nothing_outside() {
        let extent = Extent::new(8, 8);
        let mut rgba = vec![7; extent.pixels() * 4];
        let label = |rect| TileLabel { rect, peer: Some(3), figure: Figure::Milliseconds(f32::NAN) };
        draw_tiles(
            &mut rgba,
            PictureFormat::Rgba8Srgb,
            extent,
            &[label(Rect::new(9, 9, 5, 5)), label(Rect::new(6, 6, 1, 1)), label(Rect::new(0, 0, 0, 4))],
        );
        assert_eq!(rgba.as_chunks::<4>().0.iter().filter(|p| p[0] != 7).count(), 1);
    }

    #[test]
    fn the_first_sixteen_peers_have_colours_of_their_own() {
        for a in 0..16 {
            for b in 0..a {
                let distance: u32 =
                    peer_color(a).into_iter().zip(peer_color(b)).map(|(x, y)| x.abs_diff(y) as u32).sum();
                assert!(distance > 20, "{a} and {b}: {:?}, {:?}", peer_color(a), peer_color(b));
            }
        }
    }

    #[test]
    fn differences_are_absolute_amplified_and_opaque() {
        let mut picture = [10, 20, 200, 0];
        difference(&mut picture, &[13, 10, 0, 9], PictureFormat::Rgba8Srgb, 8);
        assert_eq!(picture, [24, 80, 255, 255]);
    }

    #[test]
    fn every_format_is_drawn_into_and_compared() {
        let extent = Extent::new(8, 8);
        let tile = TileLabel { rect: extent.rect(), peer: Some(1), figure: Figure::Milliseconds(1.0) };
        let first = |format: PictureFormat| {
            let mut picture = vec![0; extent.pixels() * format.bytes_per_pixel()];
            draw_tiles(&mut picture, format, extent, &[tile]);
            picture[..format.bytes_per_pixel()].to_vec()
        };
        let [r, g, b] = peer_color(1);
        assert_eq!(first(PictureFormat::Rgba8Srgb), [r, g, b, 255]);
        let word = u32::from_le_bytes(first(PictureFormat::Rgb10a2Srgb).try_into().unwrap());
        assert_eq!(
            [word & 1023, word >> 10 & 1023, word >> 20 & 1023, word >> 30],
            [u32::from(r) * 1023 / 255, u32::from(g) * 1023 / 255, u32::from(b) * 1023 / 255, 3]
        );
        let half = |bytes: &[u8], i: usize| f16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]).to_f32();
        let light = first(PictureFormat::Rgba16Float);
        assert!((half(&light, 0) - srgb_to_linear(r)).abs() < 1e-3 && half(&light, 3) == 1.0);

        let mut words = (100u32 | 900 << 10 | 7 << 20).to_le_bytes();
        difference(&mut words, &(103u32 | 100 << 10 | 7 << 20).to_le_bytes(), PictureFormat::Rgb10a2Srgb, 16);
        assert_eq!(u32::from_le_bytes(words), 48 | 1023 << 10 | 3 << 30);
        let halves = |v: [f32; 4]| v.map(|v| f16::from_f32(v).to_le_bytes()).as_flattened().to_vec();
        let mut picture = halves([1.0, 0.5, 2.0, 0.0]);
        difference(&mut picture, &halves([0.5, 0.5, 3.0, 1.0]), PictureFormat::Rgba16Float, 16);
        assert_eq!(picture, halves([8.0, 0.0, 16.0, 1.0]));
    }

    #[test]
    fn blocks_and_tiles_are_tinted_by_their_values_in_every_format() {
        let extent = Extent::new(20, 16);
        for format in [PictureFormat::Rgba8Srgb, PictureFormat::Rgb10a2Srgb, PictureFormat::Rgba16Float] {
            let grey = || {
                let mut canvas = vec![0; extent.pixels() * format.bytes_per_pixel()];
                Canvas { picture: &mut canvas, format, extent }.fill(extent.rect(), [100; 3]);
                canvas
            };
            let size = format.bytes_per_pixel();
            let at = |picture: &[u8], x: usize| picture[x * size..(x + 1) * size].to_vec();
            let mut picture = grey();
            tint_blocks(&mut picture, format, extent, 16, &[2.0, f32::NAN]);
            let mut expected = vec![0; picture.len()];
            Canvas { picture: &mut expected, format, extent }.fill(extent.rect(), [100; 3]);
            Canvas { picture: &mut expected, format, extent }.tint(Rect::new(0, 0, 16, 16), heat(1.0));
            assert!(picture == expected && at(&picture, 15) != at(&grey(), 15) && at(&picture, 16) == at(&grey(), 16));
            let mut signed = grey();
            let left = Rect::new(0, 0, 10, 16);
            tint_rects(&mut signed, format, extent, &[(left, -5.0), (Rect::new(10, 0, 30, 16), 0.5)]);
            assert_ne!(at(&signed, 0), at(&signed, 10));
            tint_blocks(&mut picture, format, extent, 16, &[0.0; 3]);
            assert_eq!(picture, expected, "values of another number");
        }
        assert_eq!(diverging(0.0), [128; 3]);
        assert!(diverging(1.0)[0] == 255 && diverging(-1.0)[2] == 255);
    }
}
