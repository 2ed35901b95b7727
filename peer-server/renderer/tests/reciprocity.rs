//! Single lobes bring as much light from a lamp to the eye as from there to here: Helmholtz. The layered model does not
//! (docs/shading.md): its compensation and its coat's share depend on the viewer alone, and are divided out where they count.
mod oracle;
mod small_scenes;

use glam::Vec3;
use rayloom_frame::{Extent, LayerKind, LayerRequest};
use rayloom_renderer::{Renderer, TraceJob};
use rayloom_scene::{Camera, Material};
use small_scenes::*;

const EXTENT: Extent = Extent::new(8, 8);
/// Of the sun: so that half floats hold what dark lobes scatter, and what bright ones do.
const STRONG: f32 = 3000.0;
const WEAK: f32 = 100.0;
/// Of what single lobes are, and where the renderer's table of energies is divided out.
const ALIKE: f64 = 0.002;
const BY_TABLE: f64 = 0.006;

fn direction(polar: f32, azimuth: f32) -> Vec3 {
    Vec3::new(polar.sin() * azimuth.cos(), polar.cos(), polar.sin() * azimuth.sin())
}

/// What a plane of `m` in the origin scatters from `light` towards `view`, without the light's cosine.
fn scattered(renderer: &Renderer, m: &Material, strength: f32, view: Vec3, light: Vec3) -> f64 {
    let lights = vec![sun(-light, Vec3::splat(strength))];
    let s = scene(vec![square(0)], vec![m.clone()], vec![at(0, 10.0, Vec3::ZERO)], lights);
    let layers = [LayerRequest { kind: LayerKind::Path, samples: 1, scale: 1, bounces: 0 }];
    let camera = Camera::look_at(view * 5.0, Vec3::ZERO, 1e-4, 1.0);
    let job = TraceJob::whole_view(EXTENT, camera, &layers);
    let tile = trace(renderer, &s, &job);
    f64::from(mean(layer(&tile, LayerKind::Path)).x) / f64::from(strength * light.y.abs())
}

/// Pairs of directions above the plane.
fn pairs() -> impl Iterator<Item = [Vec3; 2]> {
    [((0.2, 0.0), (0.9, 2.5)), ((1.2, 1.0), (0.6, 3.0)), ((1.4, 0.5), (0.3, 0.7)), ((1.1, 0.0), (1.3, 3.1))]
        .into_iter()
        .map(|(a, b)| [direction(a.0, a.1), direction(b.0, b.1)])
}

fn assert_same(what: &str, there: f64, back: f64, within: f64) {
    assert!(there > 1e-7 && (there / back - 1.0).abs() < within, "{what}: {there} there, {back} back");
}

#[test]
fn facets_reflect_the_same_both_ways() {
    for renderer in renderers() {
        for roughness in [0.3, 0.6, 1.0] {
            for [a, b] in pairs() {
                // A metal of reflectance 0 is compensated for nothing.
                let black = material(Vec3::ZERO, 1.0, roughness);
                let (there, back) =
                    (scattered(&renderer, &black, STRONG, a, b), scattered(&renderer, &black, STRONG, b, a));
                assert_same(&format!("black, roughness {roughness}"), there, back, ALIKE);
                let gold = material(Vec3::splat(0.9), 1.0, roughness);
                let known = oracle::Material::new(&gold);
                let single = |view: Vec3, light| {
                    let base = f64::from(0.9f32);
                    scattered(&renderer, &gold, WEAK, view, light) / known.compensation(base, f64::from(view.y))
                };
                assert_same(&format!("gold, roughness {roughness}"), single(a, b), single(b, a), BY_TABLE);
            }
        }
        assert_clean(&renderer);
    }
}

#[test]
fn diffuse_light_is_the_same_both_ways_under_the_same_coat() {
    for renderer in renderers() {
        for roughness in [0.3, 1.0] {
            let [white, black] = [1.0, 0.0].map(|base| material(Vec3::splat(base), 0.0, roughness));
            let known = oracle::Material::new(&white);
            let diffuse = |view: Vec3, light| {
                let sum = scattered(&renderer, &white, WEAK, view, light);
                (sum - scattered(&renderer, &black, WEAK, view, light)) / (1.0 - known.coat(f64::from(view.y)))
            };
            for [a, b] in pairs() {
                assert_same(&format!("roughness {roughness}"), diffuse(a, b), diffuse(b, a), BY_TABLE);
            }
        }
        assert_clean(&renderer);
    }
}

#[test]
fn rough_glass_lets_through_the_same_both_ways_but_for_the_square_of_the_index() {
    const IOR: f32 = 1.5;
    let below = Vec3::new(1.0, -1.0, 1.0);
    for renderer in renderers() {
        for roughness in [0.4, 0.8] {
            let glass =
                Material { transmission: 1.0, thickness: 1.0, ior: IOR, ..material(Vec3::splat(0.8), 0.0, roughness) };
            let known = oracle::Material::new(&glass);
            // What it scatters is scaled by what its viewer's direction loses.
            let single = |view: Vec3, light: Vec3| {
                let share = known.glass_share(f64::from(view.y.abs()), view.y < 0.0);
                scattered(&renderer, &glass, WEAK, view, light) * share
            };
            for [a, b] in [((0.3, 0.0), (0.2, 3.3)), ((0.9, 1.0), (0.5, 4.0)), ((0.5, 2.0), (0.7, 4.5))]
                .map(|(a, b)| [direction(a.0, a.1), direction(b.0, b.1) * below])
            {
                // Radiance is not scaled where it enters the body, so the way in lacks what the way out has.
                let (out, into) = (single(a, b), single(b, a));
                assert_same(&format!("through, roughness {roughness}"), out / f64::from(IOR * IOR), into, ALIKE);
            }
            for [a, b] in pairs() {
                assert_same(&format!("back, roughness {roughness}"), single(a, b), single(b, a), ALIKE);
                let back = [a, b].map(|d| d * below);
                let (there, back) = (single(back[0], back[1]), single(back[1], back[0]));
                assert_same(&format!("back within, roughness {roughness}"), there, back, ALIKE);
            }
        }
        assert_clean(&renderer);
    }
}

#[test]
fn thin_rough_sheets_let_through_the_same_both_ways() {
    let below = Vec3::new(1.0, -1.0, 1.0);
    for renderer in renderers() {
        for roughness in [0.4, 0.8] {
            let glass = Material { transmission: 1.0, ..material(Vec3::splat(0.8), 0.0, roughness) };
            let known = oracle::Material::new(&glass);
            let single = |view: Vec3, light: Vec3| {
                scattered(&renderer, &glass, WEAK, view, light) * known.glass_share(f64::from(view.y.abs()), false)
            };
            for [a, b] in pairs() {
                assert_same(&format!("back, roughness {roughness}"), single(a, b), single(b, a), BY_TABLE);
                assert_same(
                    &format!("through, roughness {roughness}"),
                    single(a, b * below),
                    single(b * below, a),
                    BY_TABLE,
                );
            }
        }
        assert_clean(&renderer);
    }
}
