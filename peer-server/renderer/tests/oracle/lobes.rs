//! docs/shading.md in double precision: values, densities and samples of a surface's lobes about its shading normal.

use super::optics::{fresnel, lambda};
use super::random::Random;
use glam::DVec3;
use rayloom_scene::AlphaMode;
use std::f64::consts::PI;

/// Below this a lobe has one direction.
const DELTA_ALPHA: f64 = 0.0015;
/// Cosines, evenly spaced as square roots, for which the energy integrals are computed.
const COSINES: usize = 64;
/// Steps of the quadrature over facets: their slope and their azimuth.
const STEPS: [usize; 2] = [200, 100];

/// A material without textures.
pub struct Material {
    base: DVec3,
    metallic: f64,
    alpha: f64,
    transmission: f64,
    ior: f64,
    /// A sheet of glass, whose faces are parallel.
    pub is_thin: bool,
    /// By metre, within the body.
    pub absorption: DVec3,
    pub emissive: DVec3,
    /// The probability with which a ray meets it.
    pub coverage: f64,
    /// Single-scattered shares (scale and bias of f0) by cosine.
    shares: Vec<[f64; 2]>,
    /// What rough glass scatters once, seen from before its face and from within, by cosine; empty where there is none.
    glass: [Vec<f64>; 2],
}

impl Material {
    pub fn new(m: &rayloom_scene::Material) -> Material {
        assert!(m.texture_slots().all(Option::is_none), "the oracle reads no textures");
        let (metallic, roughness) = (f64::from(m.metallic), f64::from(m.roughness));
        let (transmission, is_thin) = (f64::from(m.transmission), m.thickness == 0.0);
        let (ior, alpha) = (f64::from(m.ior), f64::from(m.base_color.w));
        let coverage = match m.alpha {
            AlphaMode::Opaque => 1.0,
            AlphaMode::Mask { cutoff } => f64::from(u8::from(m.base_color.w >= cutoff)),
            AlphaMode::Blend => alpha,
        };
        Material {
            base: m.base_color.truncate().as_dvec3(),
            metallic,
            alpha: roughness * roughness,
            transmission,
            ior,
            is_thin,
            absorption: m.attenuation_color.as_dvec3().map(|c| -c.ln()) / f64::from(m.attenuation_distance),
            emissive: m.emissive.as_dvec3(),
            coverage,
            shares: (0..=COSINES).map(|i| single_scattered(roughness * roughness, cosine_of(i))).collect(),
            glass: [ior, 1.0 / ior].map(|eta| {
                let cosines = (0..=COSINES).map(cosine_of).filter(|_| transmission > 0.0 && !is_thin);
                cosines.map(|cosine| single_scattered_by_glass(roughness * roughness, eta, cosine)).collect()
            }),
        }
    }

    /// True for what light enters and leaves bent.
    pub fn is_body(&self) -> bool {
        self.transmission > 0.0 && !self.is_thin
    }

    /// Scale and bias of f0 in what is reflected at once.
    fn share(&self, cosine: f64) -> [f64; 2] {
        let (low, f) = place_of(cosine);
        [0, 1].map(|k| self.shares[low][k] * (1.0 - f) + self.shares[low + 1][k] * f)
    }

    /// What glass scatters at once; a sheet as if it reflected all.
    pub fn glass_share(&self, cosine: f64, behind: bool) -> f64 {
        if self.is_thin {
            return self.share(cosine).iter().sum();
        }
        let ((low, f), table) = (place_of(cosine), &self.glass[usize::from(behind)]);
        table[low] * (1.0 - f) + table[low + 1] * f
    }

    /// What a clear sheet leaves of light that comes at this cosine to its face: all of it goes straight on.
    pub fn passing(&self, cosine: f64) -> DVec3 {
        if !(self.is_thin && self.alpha < DELTA_ALPHA) {
            return DVec3::ZERO;
        }
        self.base * ((1.0 - self.metallic) * self.transmission * (1.0 - sheet(cosine, self.ior)))
    }

    /// The share of light towards `cosine` that the coat of what is no metal reflects.
    pub fn coat(&self, cosine: f64) -> f64 {
        let [a, b] = self.share(cosine);
        let f0 = ((self.ior - 1.0) / (self.ior + 1.0)).powi(2);
        (f0 * a + b) * (1.0 + f0 * (1.0 / (a + b) - 1.0))
    }

    /// The factor by which a metal of reflectance `f0` is brighter than single scattering makes it.
    pub fn compensation(&self, f0: f64, cosine: f64) -> f64 {
        let [a, b] = self.share(cosine);
        1.0 + f0 * (1.0 / (a + b) - 1.0)
    }
}

fn cosine_of(i: usize) -> f64 {
    (i as f64 / COSINES as f64).powi(2).max(1e-6)
}

/// The index below it, and how far on.
fn place_of(cosine: f64) -> (usize, f64) {
    let x = cosine.sqrt() * COSINES as f64;
    let low = (x as usize).min(COSINES - 1);
    (low, x - low as f64)
}

/// Of both faces of a sheet: the geometric series of what goes to and fro between them.
fn sheet(cosine: f64, eta: f64) -> f64 {
    let r = fresnel(cosine, eta);
    r + (1.0 - r).powi(2) * r / (1.0 - r * r).max(1e-300)
}

/// The integral of reflection and refraction at GGX facets over all directions, as [`single_scattered`] has it.
fn single_scattered_by_glass(alpha: f64, eta: f64, cosine: f64) -> f64 {
    if alpha < DELTA_ALPHA {
        return 1.0;
    }
    let mut sum = 0.0;
    over_facets(alpha, cosine, |v, h, vh, weight| {
        let seen = |l: DVec3| weight * vh / (v.z * h.z) / (1.0 + lambda(v.z, alpha) + lambda(l.z, alpha));
        let (reflectance, mirrored) = (fresnel(vh, eta), h * (2.0 * vh) - v);
        if mirrored.z > 0.0 {
            sum += reflectance * seen(mirrored);
        }
        let beyond = 1.0 - (1.0 - vh * vh) / (eta * eta);
        let refracted = h * (vh / eta - beyond.max(0.0).sqrt()) - v / eta;
        if beyond > 0.0 && refracted.z < 0.0 {
            sum += (1.0 - reflectance) * seen(refracted);
        }
    });
    sum / (STEPS[0] * STEPS[1]) as f64
}

/// The integral of GGX reflection over all directions for Fresnel factors 1 - (1-c)^5 and (1-c)^5: over facets, by their slope
/// and azimuth, with Walter et al.'s substitution tan^2 = alpha^2 u / (1 - u) (EGSR 2007).
fn single_scattered(alpha: f64, cosine: f64) -> [f64; 2] {
    if alpha < DELTA_ALPHA {
        let bias = (1.0 - cosine).powi(5);
        return [1.0 - bias, bias];
    }
    let mut sums = [0.0; 2];
    over_facets(alpha, cosine, |v, h, vh, weight| {
        let l = h * (2.0 * vh) - v;
        if l.z > 0.0 {
            let share = weight * vh / (v.z * h.z) / (1.0 + lambda(v.z, alpha) + lambda(l.z, alpha));
            let grazing = (1.0 - vh).powi(5);
            sums[0] += share * (1.0 - grazing);
            sums[1] += share * grazing;
        }
    });
    sums.map(|s| s / (STEPS[0] * STEPS[1]) as f64)
}

/// Calls for each facet that faces the viewer with the viewer's direction, the facet's, the cosine between them and the facet's
/// weight; steep ones are denser, since what they refract is not lost below the horizon.
fn over_facets(alpha: f64, cosine: f64, mut at: impl FnMut(DVec3, DVec3, f64, f64)) {
    let v = DVec3::new((1.0 - cosine * cosine).sqrt(), 0.0, cosine);
    for i in 0..STEPS[0] {
        let w = (i as f64 + 0.5) / STEPS[0] as f64;
        let u = 1.0 - w * w;
        let z = 1.0 / (1.0 + alpha * alpha * u / (1.0 - u)).sqrt();
        for k in 0..STEPS[1] {
            let (sin, cos) = (PI * (k as f64 + 0.5) / STEPS[1] as f64).sin_cos();
            let r = (1.0 - z * z).sqrt();
            let h = DVec3::new(r * cos, r * sin, z);
            let vh = v.dot(h);
            if vh > 0.0 {
                at(v, h, vh, 2.0 * w);
            }
        }
    }
}

fn ggx(cosine: f64, alpha: f64) -> f64 {
    let a2 = alpha * alpha;
    a2 / (PI * (cosine * cosine * (a2 - 1.0) + 1.0).powi(2))
}

fn schlick(f0: DVec3, cosine: f64) -> DVec3 {
    f0 + (DVec3::ONE - f0) * (1.0 - cosine).powi(5)
}

/// A surface's lobes as seen from `v`, in the frame of its shading normal.
pub struct Lobes<'a> {
    m: &'a Material,
    v: DVec3,
    eta: f64,
    f0: f64,
    coat_factor: f64,
    metal_factor: DVec3,
    diffuse: DVec3,
    glass: f64,
    /// With what scatters more than once.
    glass_factor: f64,
    /// The cosine at the triangle.
    facing: f64,
    /// Probabilities of specular, diffuse, glass.
    chances: [f64; 3],
}

/// Where a path goes on: value times cosine over density, and the density (`None`: it could go nowhere else).
pub struct Onward {
    pub direction: DVec3,
    pub weight: DVec3,
    pub density: Option<f64>,
    /// Through a clear sheet, which bends nothing.
    pub is_straight: bool,
}

impl Lobes<'_> {
    /// `behind`: seen from the back of its triangle, whose normal is at the cosine `facing` to the viewer.
    pub fn new(m: &Material, v: DVec3, behind: bool, facing: f64) -> Lobes<'_> {
        // Shading normals that turn away from the viewer are taken as grazing.
        let v = DVec3::new(v.x, v.y, v.z.max(1e-3)).normalize();
        let [a, b] = m.share(v.z);
        let lost = 1.0 / (a + b) - 1.0;
        let f0 = ((m.ior - 1.0) / (m.ior + 1.0)).powi(2);
        let opaque = (1.0 - m.metallic) * (1.0 - m.transmission);
        let coat_factor = opaque * (1.0 + f0 * lost);
        let metal_factor = m.metallic * (DVec3::ONE + m.base * lost);
        let diffuse = opaque * (1.0 - m.coat(v.z)) * m.base;
        let glass = (1.0 - m.metallic) * m.transmission;
        let mean = |c: DVec3| c.element_sum() / 3.0;
        let weights = [coat_factor * (f0 * a + b) + mean(metal_factor * (m.base * a + b)), mean(diffuse), glass];
        let sum: f64 = weights.iter().sum();
        let eta = if behind && !m.is_thin { 1.0 / m.ior } else { m.ior };
        let is_rough_glass = glass > 0.0 && m.alpha >= DELTA_ALPHA;
        let glass_factor = if is_rough_glass { glass / m.glass_share(v.z, behind) } else { glass };
        let chances = weights.map(|w| w / sum);
        Lobes { m, v, eta, f0, coat_factor, metal_factor, diffuse, glass, glass_factor, facing, chances }
    }

    /// What glass reflects at a facet.
    fn glass_reflectance(&self, vh: f64) -> f64 {
        match (self.m.is_thin, self.is_delta()) {
            (true, true) => sheet(self.facing, self.eta),
            (true, false) => sheet(vh, self.eta),
            (false, _) => fresnel(vh, self.eta),
        }
    }

    fn is_delta(&self) -> bool {
        self.m.alpha < DELTA_ALPHA
    }

    fn reflectance(&self, vh: f64) -> DVec3 {
        schlick(DVec3::splat(self.f0), vh) * self.coat_factor + schlick(self.m.base, vh) * self.metal_factor
    }

    /// Value times cosine and density of the direction `l`, which is on the viewer's side (`above`) or beyond.
    pub fn value(&self, l: DVec3, above: bool) -> (DVec3, f64) {
        let (v, alpha) = (self.v, self.m.alpha);
        let (mut value, mut density) = (DVec3::ZERO, 0.0);
        if above != (l.z > 0.0) || l.z == 0.0 {
            return (value, density);
        }
        let masking = 1.0 / (1.0 + lambda(v.z, alpha));
        let both = 1.0 / (1.0 + lambda(v.z, alpha) + lambda(l.z, alpha));
        if above {
            value += self.diffuse * (l.z / PI);
            density += self.chances[1] * l.z / PI;
            if !self.is_delta() {
                let h = (v + l).normalize();
                let (vh, d) = (v.dot(h), ggx(h.z, alpha));
                let glass = self.glass_reflectance(vh);
                value += (self.reflectance(vh) + self.glass_factor * glass) * (d * both / (4.0 * v.z));
                density += (self.chances[0] + self.chances[2] * glass) * (d * masking / (4.0 * v.z));
            }
        } else if self.m.is_thin && !self.is_delta() && self.glass > 0.0 {
            // The reflection by the same facets, mirrored at the sheet.
            let h = (v + DVec3::new(l.x, l.y, -l.z)).normalize();
            let through = (1.0 - self.glass_reflectance(v.dot(h))) * ggx(h.z, alpha) / (4.0 * v.z);
            value += self.m.base * (self.glass_factor * through * both);
            density += self.chances[2] * through * masking;
        } else if !self.is_delta() && self.glass > 0.0 {
            let mut h = (v + l * self.eta).normalize();
            if h.z < 0.0 {
                h = -h;
            }
            let (vh, lh) = (v.dot(h), l.dot(h));
            if vh > 0.0 && lh < 0.0 {
                // Walter et al. 2007, equation 17, of the direction that is sampled.
                let jacobian = self.eta * self.eta * -lh / (vh + self.eta * lh).powi(2);
                let through = (1.0 - fresnel(vh, self.eta)) * ggx(h.z, alpha) * vh * jacobian / v.z;
                value += self.m.base * (self.glass_factor * through * both);
                density += self.chances[2] * through * masking;
            }
        }
        (value, density)
    }

    /// `above` tells for a direction whether it is on the viewer's side of the triangle.
    pub fn scatter(&self, random: &mut Random, above: &dyn Fn(DVec3) -> bool) -> Option<Onward> {
        let choice = random.unit();
        let (direction, through, only) = if choice < self.chances[1] {
            (cosine_direction(random), false, None)
        } else {
            let h = if self.is_delta() { DVec3::Z } else { self.visible_facet(random) };
            let vh = self.v.dot(h);
            let is_glass = choice >= self.chances[1] + self.chances[0];
            let reflected = if is_glass { self.glass_reflectance(vh) } else { 1.0 };
            let through = random.unit() >= reflected;
            let direction = if through && self.m.is_thin {
                let mirrored = h * (2.0 * vh) - self.v;
                DVec3::new(mirrored.x, mirrored.y, -mirrored.z)
            } else if through {
                let beyond = (1.0 - (1.0 - vh * vh) / (self.eta * self.eta)).sqrt();
                h * (vh / self.eta - beyond) - self.v / self.eta
            } else {
                h * (2.0 * vh) - self.v
            };
            let weight = match (is_glass, through) {
                (true, true) => self.m.base * (self.glass / self.chances[2]),
                (true, false) => DVec3::splat(self.glass / self.chances[2]),
                (false, _) => self.reflectance(vh) / self.chances[0],
            };
            (direction, through, self.is_delta().then_some(weight))
        };
        if let Some(weight) = only
            && through
            && self.m.is_thin
        {
            return Some(Onward { direction, weight, density: None, is_straight: true });
        }
        // A facet may reflect to the other side, which is lost, or refract to this one.
        if through != (direction.z < 0.0) {
            return None;
        }
        let on_side = above(direction);
        if let Some(weight) = only {
            let onward = Onward { direction, weight, density: None, is_straight: false };
            return (on_side == (direction.z > 0.0)).then_some(onward);
        }
        let (value, density) = self.value(direction, on_side);
        let (weight, density) = (value / density, Some(density).filter(|density| *density > 0.0));
        density.is_some().then_some(Onward { direction, weight, density, is_straight: false })
    }

    /// A facet that the viewer sees: Heitz, "Sampling the GGX Distribution of Visible Normals", JCGT 2018.
    fn visible_facet(&self, random: &mut Random) -> DVec3 {
        let alpha = self.m.alpha;
        let v = DVec3::new(alpha * self.v.x, alpha * self.v.y, self.v.z).normalize();
        let flat = v.x * v.x + v.y * v.y;
        let t1 = if flat > 0.0 { DVec3::new(-v.y, v.x, 0.0) / flat.sqrt() } else { DVec3::X };
        let t2 = v.cross(t1);
        let (r, (sin, cos)) = (random.unit().sqrt(), (2.0 * PI * random.unit()).sin_cos());
        let (x, s) = (r * cos, 0.5 * (1.0 + v.z));
        let y = (1.0 - s) * (1.0 - x * x).sqrt() + s * r * sin;
        let n = t1 * x + t2 * y + v * (1.0 - x * x - y * y).max(0.0).sqrt();
        DVec3::new(alpha * n.x, alpha * n.y, n.z.max(0.0)).normalize()
    }
}

fn cosine_direction(random: &mut Random) -> DVec3 {
    let (r2, (sin, cos)) = (random.unit(), (2.0 * PI * random.unit()).sin_cos());
    DVec3::new(r2.sqrt() * cos, r2.sqrt() * sin, (1.0 - r2).sqrt())
}
