//! Whatever the triangles are, the walk finds what testing every triangle finds.

use glam::{Affine3A, Quat, Vec3};
use proptest::prelude::*;
use rayloom_bvh::{Blas, Ray, Tlas, TlasInstance, closest_reference, occluded_reference};

/// Nearest distance by Cramer's rule in f64, and how close to an edge the hit is (0 = on it).
fn brute_force(positions: &[Vec3], transforms: &[Affine3A], ray: &Ray) -> Option<(f64, f64)> {
    let mut best: Option<(f64, f64)> = None;
    for transform in transforms {
        for corners in positions.as_chunks::<3>().0 {
            if corners.iter().any(|c| !c.is_finite()) {
                continue;
            }
            let [a, b, c] = corners.map(|c| transform.transform_point3(c).as_dvec3());
            let (o, d) = (ray.origin.as_dvec3(), ray.direction.as_dvec3());
            let (e1, e2) = (b - a, c - a);
            let p = d.cross(e2);
            let det = e1.dot(p);
            if det == 0.0 {
                continue;
            }
            let s = o - a;
            let u = s.dot(p) / det;
            let q = s.cross(e1);
            let v = d.dot(q) / det;
            let t = e2.dot(q) / det;
            let inside = u.min(v).min(1.0 - u - v);
            if t > f64::from(ray.t_min) && t < f64::from(ray.t_max) && inside > -1e-4 {
                // Near an edge either answer is right, so the doubt is kept.
                if best.is_none_or(|(b, _)| t < b) {
                    best = Some((t, inside));
                }
            }
        }
    }
    best
}

fn coordinate() -> impl Strategy<Value = f32> {
    prop_oneof![8 => -10.0f32..10.0, 1 => Just(0.0), 1 => -1000.0f32..1000.0, 1 => Just(f32::NAN)]
}

fn point() -> impl Strategy<Value = Vec3> {
    [coordinate(), coordinate(), coordinate()].prop_map(Vec3::from)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn walk_and_brute_force_agree(
        positions in prop::collection::vec(point(), 0..180),
        places in prop::collection::vec((-20.0f32..20.0, -20.0f32..20.0, 0.0f32..6.0, 0.2f32..3.0), 1..9),
        rays in prop::collection::vec((-30.0f32..30.0, -30.0f32..30.0, -30.0f32..30.0, point()), 1..20),
    ) {
        let indices: Vec<u32> = (0..positions.len() as u32).collect();
        let blas = Blas::build(&positions, &indices);
        let transforms: Vec<Affine3A> = places
            .iter()
            .map(|&(x, y, angle, scale)| {
                Affine3A::from_scale_rotation_translation(Vec3::splat(scale), Quat::from_rotation_y(angle), Vec3::new(x, y, 0.0))
            })
            .collect();
        let instances: Vec<TlasInstance> = transforms
            .iter()
            .map(|&transform| TlasInstance { blas_address: 16, blas_bounds: blas.bounds(), transform, flags: 0 })
            .collect();
        let tlas = Tlas::build(&instances);
        let find = |address: u64| (address == 16).then_some(&blas);
        for (x, y, z, target) in rays {
            let origin = Vec3::new(x, y, z);
            let target = if target.is_finite() { target } else { Vec3::ZERO };
            let direction = target - origin;
            if direction.length() < 1e-3 {
                continue;
            }
            let ray = Ray { origin, direction, t_min: 1e-4, t_max: 1e6 };
            let hit = closest_reference(&tlas, &find, &ray, &|_, _, _| true);
            let occluded = occluded_reference(&tlas, &find, &ray, &|_, _, _| true);
            prop_assert_eq!(hit.is_some(), occluded);
            let expected = brute_force(&positions, &transforms, &ray);
            match (expected, hit) {
                (Some((t, inside)), Some(hit)) if inside > 1e-4 => {
                    prop_assert!((f64::from(hit.t) - t).abs() < 1e-3 * t.max(1.0), "{} is not {t}", hit.t);
                }
                (Some((t, inside)), None) if inside > 1e-4 => prop_assert!(false, "missed the hit at {t}"),
                (None, Some(hit)) => prop_assert!(false, "hit nothing at {hit:?}"),
                _ => {}
            }
        }
    }
}
