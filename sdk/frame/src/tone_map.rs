//! Tone maps: from scene-linear light to display-linear light, eight pixels at once.

use crate::simd::{Lanes, each, power};

/// How exposed scene-linear light (primaries of sRGB and Rec. 709) becomes display-linear light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ToneMap {
    /// As it is: whole-number formats clamp it to 0..1, half floats keep it.
    Linear,
    /// Narkowicz's fit of the ACES filmic curve (2015), a channel at a time.
    #[default]
    Aces,
    /// Sobotka's AgX without a look, by Wrensch's fit of its curve (2023): bright colours turn white, none is clipped.
    Agx,
}

/// Rows of a matrix that is applied to red, green and blue.
type Matrix = [[f32; 3]; 3];

/// From linear sRGB to AgX's working space: Rec. 2020 by ITU-R BT.2087, then AgX's inset (as in Filament and three.js).
const AGX_INSET: Matrix = multiply(
    [
        [0.856_627_15, 0.095_121_24, 0.048_251_606],
        [0.137_318_97, 0.761_242, 0.101_439_04],
        [0.111_898_21, 0.076_799_42, 0.811_302_37],
    ],
    [[0.627_4, 0.329_3, 0.043_3], [0.069_1, 0.919_5, 0.011_4], [0.016_4, 0.088, 0.895_6]],
);
/// AgX's outset; still in Rec. 2020.
const AGX_OUTSET: Matrix = [
    [1.127_100_6, -0.110_606_64, -0.016_493_939],
    [-0.141_329_76, 1.157_823_7, -0.016_493_939],
    [-0.141_329_76, -0.110_606_64, 1.251_936_4],
];
/// From linear Rec. 2020 to linear sRGB.
const REC2020_TO_SRGB: Matrix =
    [[1.660_5, -0.587_6, -0.072_8], [-0.124_6, 1.132_9, -0.008_3], [-0.018_2, -0.100_6, 1.118_7]];
/// Stops around middle grey that AgX's curve spans, as logarithms of light.
const AGX_STOPS: [f32; 2] = [-12.473_93, 4.026_069];

const fn multiply(a: Matrix, b: Matrix) -> Matrix {
    let mut product = [[0.0; 3]; 3];
    let mut i = 0;
    while i < 9 {
        let (row, column) = (i / 3, i % 3);
        product[row][column] = a[row][0] * b[0][column] + a[row][1] * b[1][column] + a[row][2] * b[2][column];
        i += 1;
    }
    product
}

#[inline(always)]
fn apply<L: Lanes>(matrix: &Matrix, [r, g, b]: [L; 3]) -> [L; 3] {
    each!(*matrix, row => r * L::splat(row[0]) + g * L::splat(row[1]) + b * L::splat(row[2]))
}

impl ToneMap {
    /// Display-linear red, green and blue; within 0..1 but for [`ToneMap::Linear`]. What is no number becomes 0 there.
    #[inline(always)]
    pub(crate) fn apply<L: Lanes>(self, light: [L; 3]) -> [L; 3] {
        match self {
            ToneMap::Linear => light,
            ToneMap::Aces => each!(light, light => {
                // Far beyond where the curve ends, and its square still is a number.
                let x = light.max(L::zero()).min(L::splat(1e6));
                let above = x * (x * L::splat(2.51) + L::splat(0.03));
                (above / (x * (x * L::splat(2.43) + L::splat(0.59)) + L::splat(0.14))).min(L::splat(1.0))
            }),
            ToneMap::Agx => agx(light),
        }
    }
}

#[inline(always)]
fn agx<L: Lanes>(light: [L; 3]) -> [L; 3] {
    let light = each!(light, light => light.max(L::zero()).min(L::splat(1e9)));
    let [darkest, brightest] = AGX_STOPS;
    let coded = each!(apply(&AGX_INSET, light), light => {
        let stops = power::log2(light.max(L::splat(1e-10)));
        let x = (stops - L::splat(darkest)) * L::splat(1.0 / (brightest - darkest));
        agx_curve(x.max(L::zero()).min(L::splat(1.0)))
    });
    let linear = each!(apply(&AGX_OUTSET, coded), coded => power::power(coded, 2.2));
    each!(apply(&REC2020_TO_SRGB, linear), light => light.max(L::zero()).min(L::splat(1.0)))
}

/// Wrensch's fit of AgX's sigmoid, from 0..1 to 0..1.
#[inline(always)]
fn agx_curve<L: Lanes>(x: L) -> L {
    let mut sum = L::splat(15.5);
    for coefficient in &[-40.14, 31.96, -6.868, 0.429_8, 0.119_1, -0.002_32] {
        sum = sum * x + L::splat(*coefficient);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Half4, Kernel, dispatch};

    struct Mapped(ToneMap, [f32; 3]);

    impl Kernel for Mapped {
        type Output = [f32; 3];

        #[inline(always)]
        fn run<H: Half4>(self) -> [f32; 3] {
            self.0.apply(self.1.map(H::Lanes::splat)).map(|lanes| lanes.to_array()[0])
        }
    }

    fn agx(light: [f32; 3]) -> [f32; 3] {
        dispatch(Mapped(ToneMap::Agx, light))
    }

    #[test]
    fn agx_keeps_grey_grey_and_brightness_in_order() {
        let mut last = -1.0;
        for i in 0..400 {
            let grey = 1e-4 * 1.05_f32.powi(i);
            let [r, g, b] = agx([grey; 3]);
            let most = r.max(g).max(b);
            assert!(most - r.min(g).min(b) < 4e-3, "{grey} becomes {r} {g} {b}");
            assert!(r >= last - 1e-6, "{grey} is darker than what is darker");
            last = r;
        }
        assert!(last > 0.97);
        assert_eq!(agx([0.0; 3]), [0.0; 3]);
    }

    #[test]
    fn agx_of_middle_grey_and_of_bright_colours_is_as_published() {
        // The curve's own value of middle grey, through display gamma: coded 0.466, light 0.187.
        let [grey, ..] = agx([0.18; 3]);
        assert!((0.16..0.22).contains(&grey), "{grey}");
        // Pure and very bright blue turns pale instead of clipping.
        let [r, g, b] = agx([0.0, 0.0, 60.0]);
        assert!(b > 0.9 && r > 0.2 && g > 0.2, "{r} {g} {b}");
    }

    #[test]
    fn nothing_leaves_the_displays_range() {
        for tone_map in [ToneMap::Aces, ToneMap::Agx] {
            for light in [[f32::NAN; 3], [f32::INFINITY; 3], [-1.0, 0.5, 1e30], [65504.0, 0.0, 0.0]] {
                let mapped = dispatch(Mapped(tone_map, light));
                assert!(mapped.iter().all(|v| (0.0..=1.0).contains(v)), "{tone_map:?} {light:?}: {mapped:?}");
            }
        }
    }
}
