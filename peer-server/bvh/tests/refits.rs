//! A refit moves triangles without a new build, and survives vertices that are lost for a while.

use glam::{Affine3A, Vec3};
use rayloom_bvh::{Blas, Ray, Tlas, TlasInstance, closest_reference};

/// A wavy sheet of 20 x 20 cells over [0, 20) x [0, 20), displaced in y.
fn sheet(height: impl Fn(f32, f32) -> f32) -> (Vec<Vec3>, Vec<u32>) {
    let mut positions = Vec::new();
    for z in 0..21 {
        for x in 0..21 {
            positions.push(Vec3::new(x as f32, height(x as f32, z as f32), z as f32));
        }
    }
    let corner = |x: u32, z: u32| z * 21 + x;
    let cell = |i: u32| {
        let (x, z) = (i % 20, i / 20);
        [corner(x, z), corner(x, z + 1), corner(x + 1, z), corner(x + 1, z), corner(x, z + 1), corner(x + 1, z + 1)]
    };
    (positions, (0..400).flat_map(cell).collect())
}

/// Heights found by rays from above at the middles of cells; `None` where nothing is hit.
fn heights(blas: &Blas) -> Vec<Option<f32>> {
    let instance =
        TlasInstance { blas_address: 16, blas_bounds: blas.bounds(), transform: Affine3A::IDENTITY, flags: 0 };
    let tlas = Tlas::build(&[instance]);
    let probe = |i: u32| {
        let origin = Vec3::new((i % 20) as f32 + 0.3, 100.0, (i / 20) as f32 + 0.3);
        let ray = Ray { origin, direction: Vec3::NEG_Y, t_min: 0.0, t_max: 1e3 };
        closest_reference(&tlas, &|_| Some(blas), &ray, &|_, _, _| true).map(|hit| 100.0 - hit.t)
    };
    (0..400).map(probe).collect()
}

#[test]
fn a_refit_sheet_is_hit_where_a_fresh_one_is() {
    let (flat, indices) = sheet(|_, _| 0.0);
    let (wavy, _) = sheet(|x, z| (x * 0.7).sin() * 3.0 + (z * 0.4).cos() * 5.0);
    let mut refit = Blas::build(&flat, &indices);
    refit.refit(&wavy);
    assert_eq!(refit.bounds(), Blas::build(&wavy, &indices).bounds());
    assert_eq!(heights(&refit), heights(&Blas::build(&wavy, &indices)));
}

#[test]
fn a_vertex_lost_and_found_takes_its_triangles_along() {
    let (positions, indices) = sheet(|_, _| 2.0);
    let whole = Blas::build(&positions, &indices);
    let mut blas = whole.clone();
    let mut broken = positions.clone();
    broken[0].y = f32::NAN;
    blas.refit(&broken);
    let hit = heights(&blas);
    assert_eq!(hit[0], None);
    assert!(hit[1..].iter().all(|h| *h == Some(2.0)));
    blas.refit(&vec![Vec3::NAN; positions.len()]);
    assert!(blas.bounds().is_empty());
    blas.refit(&positions);
    assert_eq!(heights(&blas), heights(&whole));
}

#[test]
fn a_refit_world_equals_a_built_one_for_every_ray() {
    let (positions, indices) = sheet(|x, z| (x * 0.7).sin() + (z * 0.4).cos());
    let blas = Blas::build(&positions, &indices);
    let place = |turn: f32| -> Vec<TlasInstance> {
        let at = |i: u32| {
            let offset = Vec3::new((i % 8) as f32 * 25.0, (i as f32 + turn).sin() * 9.0, (i / 8) as f32 * 25.0);
            let transform = Affine3A::from_rotation_y(turn * i as f32) * Affine3A::from_translation(offset);
            TlasInstance { blas_address: 16, blas_bounds: blas.bounds(), transform, flags: 0 }
        };
        (0..40).map(at).collect()
    };
    let trace = |tlas: &Tlas| -> Vec<Option<(u32, u32, f32)>> {
        let probe = |i: u32| {
            let origin = Vec3::new((i % 50) as f32 * 8.0 - 200.0, 80.0, (i / 50) as f32 * 8.0 - 200.0);
            let ray = Ray { origin, direction: Vec3::new(0.1, -1.0, 0.05), t_min: 0.0, t_max: 1e3 };
            let hit = closest_reference(tlas, &|_| Some(&blas), &ray, &|_, _, _| true);
            hit.map(|h| (h.instance, h.primitive, h.t))
        };
        (0..2500).map(probe).collect()
    };
    let mut tlas = Tlas::build(&place(0.0));
    for turn in [0.3, 1.7] {
        tlas.refit(&place(turn));
        assert_eq!(trace(&tlas), trace(&Tlas::build(&place(turn))));
        assert_eq!(trace(&tlas), trace(&Tlas::build_optimized(&place(turn))));
    }
    let mut fewer = place(0.5);
    fewer[3].transform = Affine3A::from_translation(Vec3::NAN);
    tlas.refit(&fewer);
    assert_eq!(trace(&tlas), trace(&Tlas::build(&fewer)));
    tlas.refit(&[]);
    assert!(tlas.bounds().is_empty());
}

#[test]
fn a_tree_that_no_longer_fits_says_so() {
    let (flat, indices) = sheet(|x, z| (x + z) * 0.1);
    let mut refit = Blas::build(&flat, &indices);
    let fresh = refit.relative_area();
    let turned: Vec<Vec3> = flat.iter().map(|p| Affine3A::from_rotation_y(0.4).transform_point3(*p)).collect();
    refit.refit(&turned);
    assert!(refit.relative_area() < 1.5 * fresh, "a turn costs little: {} of {fresh}", refit.relative_area());
    refit.refit(&flat);
    assert!((refit.relative_area() - fresh).abs() < 1e-3 * fresh);
}

#[test]
fn triangles_that_trade_places_call_for_a_new_tree() {
    let at = |i: u32| Vec3::new((i % 20) as f32, 0.0, (i / 20) as f32);
    let soup = |place: &dyn Fn(u32) -> u32| -> Vec<Vec3> {
        (0..400).flat_map(|i| [Vec3::ZERO, Vec3::X * 0.5, Vec3::new(0.0, 0.1, 0.5)].map(|p| p + at(place(i)))).collect()
    };
    let indices: Vec<u32> = (0..1200).collect();
    let mut tree = Blas::build(&soup(&|i| i), &indices);
    let fresh = tree.relative_area();
    tree.refit(&soup(&|i| i * 97 % 400));
    assert!(tree.relative_area() > 1.5 * fresh, "{} of {fresh}", tree.relative_area());
}
