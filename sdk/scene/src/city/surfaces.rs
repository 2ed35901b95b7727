//! The city's materials, and its textures, drawn by arithmetic.

use super::builder::Random;
use crate::{Material, Texture, TextureData, TextureSlot};
use glam::{Vec2, Vec3, Vec4};
use std::f32::consts::TAU;
use std::sync::Arc;

/// What things are made of; the number is the index into the scene's materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(super) enum Surface {
    Asphalt,
    Water,
    Brick,
    BrickPale,
    Billboard,
    Sidewalk,
    Marking,
    Grass,
    Hill,
    Concrete,
    Limestone,
    Plaster,
    Terracotta,
    DarkPanel,
    Steel,
    Gold,
    Gravel,
    Wood,
    GlassBlue,
    GlassGreen,
    GlassBronze,
    WindowDark,
    WindowWarm,
    WindowCool,
    SignRed,
    SignBlue,
    SignAmber,
    Bark,
    LeafGreen,
    LeafLight,
    LeafAutumn,
    PaintRed,
    PaintWhite,
    PaintBlue,
    PaintYellow,
    PaintBlack,
    Rubber,
    Headlight,
    Taillight,
    LampHead,
    Awning,
}

impl Surface {
    const ALL: [Surface; 41] = {
        use Surface::*;
        [
            Asphalt,
            Water,
            Brick,
            BrickPale,
            Billboard,
            Sidewalk,
            Marking,
            Grass,
            Hill,
            Concrete,
            Limestone,
            Plaster,
            Terracotta,
            DarkPanel,
            Steel,
            Gold,
            Gravel,
            Wood,
            GlassBlue,
            GlassGreen,
            GlassBronze,
            WindowDark,
            WindowWarm,
            WindowCool,
            SignRed,
            SignBlue,
            SignAmber,
            Bark,
            LeafGreen,
            LeafLight,
            LeafAutumn,
            PaintRed,
            PaintWhite,
            PaintBlue,
            PaintYellow,
            PaintBlack,
            Rubber,
            Headlight,
            Taillight,
            LampHead,
            Awning,
        ]
    };

    pub(super) fn is_textured(self) -> bool {
        self <= Surface::Billboard
    }

    fn material(self) -> Material {
        use Surface::*;
        let matte = |r, g, b| (Vec3::new(r, g, b), 0.0, 0.9, Vec3::ZERO);
        let glossy = |r, g, b, roughness| (Vec3::new(r, g, b), 0.0, roughness, Vec3::ZERO);
        let metal = |r, g, b, roughness| (Vec3::new(r, g, b), 1.0, roughness, Vec3::ZERO);
        let shining = |r, g, b| (Vec3::splat(0.05), 0.0, 0.6, Vec3::new(r, g, b));
        let (base, metallic, roughness, emissive) = match self {
            Asphalt => (Vec3::ONE, 0.0, 0.75, Vec3::ZERO),
            Water => glossy(0.012, 0.035, 0.045, 0.03),
            Brick | BrickPale => (
                if self == Brick { Vec3::ONE } else { Vec3::new(1.0, 1.15, 1.2) }.min(Vec3::ONE),
                0.0,
                0.85,
                Vec3::ZERO,
            ),
            Billboard => (Vec3::splat(0.02), 0.0, 0.4, Vec3::splat(2.2)),
            Sidewalk => matte(0.46, 0.44, 0.42),
            Marking => glossy(0.75, 0.74, 0.7, 0.6),
            Grass => matte(0.12, 0.2, 0.055),
            Hill => matte(0.09, 0.13, 0.055),
            Concrete => matte(0.5, 0.49, 0.47),
            Limestone => matte(0.68, 0.61, 0.5),
            Plaster => matte(0.76, 0.74, 0.7),
            Terracotta => matte(0.55, 0.26, 0.15),
            DarkPanel => glossy(0.07, 0.075, 0.085, 0.35),
            Steel => metal(0.62, 0.63, 0.65, 0.28),
            Gold => metal(0.95, 0.7, 0.32, 0.22),
            Gravel => matte(0.3, 0.29, 0.28),
            Wood => matte(0.28, 0.17, 0.09),
            // Coated panes mirror the sky as a dark metal does; plain windows are dielectrics.
            GlassBlue => metal(0.28, 0.4, 0.52, 0.04),
            GlassGreen => metal(0.26, 0.42, 0.38, 0.05),
            GlassBronze => metal(0.5, 0.36, 0.24, 0.05),
            WindowDark => glossy(0.02, 0.025, 0.03, 0.02),
            WindowWarm => shining(1.5, 1.0, 0.5),
            WindowCool => shining(0.75, 0.9, 1.1),
            SignRed => shining(3.2, 0.35, 0.2),
            SignBlue => shining(0.25, 0.9, 3.2),
            SignAmber => shining(3.0, 1.7, 0.35),
            Bark => matte(0.16, 0.11, 0.07),
            LeafGreen => matte(0.09, 0.19, 0.045),
            LeafLight => matte(0.19, 0.28, 0.06),
            LeafAutumn => matte(0.42, 0.19, 0.04),
            PaintRed => glossy(0.55, 0.025, 0.02, 0.12),
            PaintWhite => glossy(0.8, 0.8, 0.8, 0.12),
            PaintBlue => glossy(0.03, 0.1, 0.42, 0.1),
            PaintYellow => glossy(0.85, 0.5, 0.02, 0.15),
            PaintBlack => glossy(0.015, 0.015, 0.018, 0.08),
            Rubber => matte(0.02, 0.02, 0.02),
            Headlight => shining(4.0, 3.8, 3.2),
            Taillight => shining(2.5, 0.08, 0.05),
            LampHead => shining(4.0, 3.0, 1.7),
            Awning => matte(0.45, 0.06, 0.07),
        };
        let slot = |texture, metres: f32| {
            Some(TextureSlot { texture, offset: Vec2::ZERO, scale: Vec2::splat(1.0 / metres), rotation: 0.0 })
        };
        let mut material = Material {
            base_color: Vec4::new(base.x, base.y, base.z, 1.0),
            metallic,
            roughness,
            emissive,
            user_id: self as u64,
            ..Material::default()
        };
        match self {
            Asphalt => material.base_color_texture = slot(0, 9.0),
            Water => {
                material.normal_texture = slot(1, 46.0);
                material.normal_scale = 0.5;
            }
            Brick | BrickPale => {
                material.base_color_texture = slot(2, 2.4);
                material.normal_texture = slot(3, 2.4);
            }
            Billboard => material.emissive_texture = slot(4, 6.0),
            _ => {}
        }
        material
    }
}

/// All materials, in the order of [`Surface`].
pub(super) fn materials() -> Vec<Material> {
    Surface::ALL.iter().map(|s| s.material()).collect()
}

/// All textures: asphalt, water ripples (normals), bricks, bricks (normals), an advertisement.
pub(super) fn textures(seed: u64) -> Vec<Arc<Texture>> {
    let mut random = Random::new(seed ^ 0x7e87);
    let noise: Vec<f32> = (0..64 * 64).map(|_| random.range(-1.0, 1.0)).collect();
    let grain = |x: u32, y: u32| noise[(y % 64 * 64 + x % 64) as usize];
    // Bilinear, periodic over 256 texels.
    let soft = |x: u32, y: u32, cell: u32| {
        let (cx, cy) = (x / cell, y / cell);
        let (fx, fy) = ((x % cell) as f32 / cell as f32, (y % cell) as f32 / cell as f32);
        let cells = 256 / cell;
        let n = |i: u32, j: u32| grain((cx + i) % cells + 7, (cy + j) % cells + 3);
        let lerp = |a: f32, b: f32, t: f32| a + (b - a) * t * t * (3.0 - 2.0 * t);
        lerp(lerp(n(0, 0), n(1, 0), fx), lerp(n(0, 1), n(1, 1), fx), fy)
    };
    let asphalt = image(256, |x, y| {
        let v = 0.29 + 0.035 * grain(x * 7 + y, y * 5) + 0.035 * soft(x, y, 32) + 0.02 * soft(x, y, 8);
        [v, v, v * 1.03]
    });
    let waves: Vec<(i32, i32, f32, f32)> = (0..14)
        .map(|i| {
            let reach = 2.0 + i as f32 * 0.8;
            let direction = (random.range(-reach, reach).round() as i32, random.range(-reach, reach).round() as i32);
            (direction.0, direction.1, random.range(0.0, TAU), 0.5 / (1.0 + i as f32 * 0.4))
        })
        .collect();
    let ripples = image(256, |x, y| {
        let (mut dx, mut dy) = (0.0, 0.0);
        for (kx, ky, phase, height) in &waves {
            let angle = TAU / 256.0 * (*kx as f32 * x as f32 + *ky as f32 * y as f32) + phase;
            dx += *kx as f32 * height * angle.cos() * 0.02;
            dy += *ky as f32 * height * angle.cos() * 0.02;
        }
        normal_texel(dx, dy)
    });
    // 8 courses of 4 bricks, every other one shifted by half a brick.
    let brick_at = |x: u32, y: u32| {
        let course = y / 16;
        let shifted = x + if course.is_multiple_of(2) { 0 } else { 16 };
        let (u, v) = (shifted % 32, y % 16);
        let mortar = u < 2 || v < 2;
        (mortar, shifted % 128 / 32 + course * 4)
    };
    let bricks = image(128, |x, y| {
        let (mortar, number) = brick_at(x, y);
        let fine = 0.02 * grain(x, y);
        if mortar {
            [0.66 + fine, 0.63 + fine, 0.59 + fine]
        } else {
            let tone = 0.08 * grain(number * 5, number * 3) + fine;
            [0.62 + tone, 0.35 + tone * 0.8, 0.27 + tone * 0.6]
        }
    });
    let brick_height = |x: u32, y: u32| if brick_at(x % 128, y % 128).0 { 0.0 } else { 1.0 + 0.15 * grain(x, y) };
    let brick_normals = image(128, |x, y| {
        let dx = brick_height(x + 1, y) - brick_height(x + 127, y);
        let dy = brick_height(x, y + 1) - brick_height(x, y + 127);
        normal_texel(dx * 0.35, dy * 0.35)
    });
    let advertisement = image(64, |x, y| {
        let (u, v) = (x as f32 / 64.0 - 0.5, y as f32 / 64.0 - 0.5);
        let ring = ((u * u + v * v).sqrt() * 26.0).sin() * 0.5 + 0.5;
        let bar = f32::from(u8::from((x / 8 + y / 16) % 3 == 0));
        [0.15 + 0.8 * ring, 0.1 + 0.5 * bar, 0.85 - 0.5 * ring * bar]
    });
    let named = |(i, data): (usize, TextureData)| Arc::new(Texture { data, user_id: i as u64 });
    [asphalt, ripples, bricks, brick_normals, advertisement].into_iter().enumerate().map(named).collect()
}

/// A tangent-space normal from a slope along u and along v (downwards), +Y up.
fn normal_texel(du: f32, dv: f32) -> [f32; 3] {
    (Vec3::new(-du, dv, 1.0).normalize() * 0.5 + 0.5).to_array()
}

fn image(size: u32, texel: impl Fn(u32, u32) -> [f32; 3]) -> TextureData {
    let mut pixels = Vec::with_capacity((size * size * 4) as usize);
    for y in 0..size {
        for x in 0..size {
            let rgb = texel(x, y).map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8);
            pixels.extend([rgb[0], rgb[1], rgb[2], 255]);
        }
    }
    TextureData::Rgba8 { width: size, height: size, pixels: pixels.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_surface_stands_at_its_number() {
        for (i, surface) in Surface::ALL.into_iter().enumerate() {
            assert_eq!(surface as usize, i);
        }
        let reads_texture = |m: &Material| m.texture_slots().any(|s| s.is_some());
        assert!(materials().iter().zip(Surface::ALL).all(|(m, s)| reads_texture(m) == s.is_textured()));
    }
}
