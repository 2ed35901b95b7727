//! Input that no artist would make: nothing panics, nothing is hit that is not there.

use glam::{Affine3A, Mat3A, Vec3};
use rayloom_bvh::{Blas, INSTANCE_FORCE_OPAQUE, Ray, Tlas, TlasInstance, closest_reference, occluded_reference};

fn instance(blas: &Blas, transform: Affine3A) -> TlasInstance {
    TlasInstance { blas_address: 16, blas_bounds: blas.bounds(), transform, flags: 0 }
}

fn down(x: f32, z: f32) -> Ray {
    Ray { origin: Vec3::new(x, 10.0, z), direction: Vec3::NEG_Y, t_min: 0.0, t_max: 100.0 }
}

fn triangle() -> Blas {
    Blas::build(&[Vec3::ZERO, Vec3::X, Vec3::Z], &[0, 1, 2])
}

#[test]
fn nothing_is_built_of_nothing() {
    let blas = Blas::build(&[], &[]);
    assert!(blas.bounds().is_empty());
    assert!(!blas.bytes().is_empty());
    for tlas in [Tlas::build(&[]), Tlas::build(&[instance(&blas, Affine3A::IDENTITY)])] {
        assert!(tlas.bounds().is_empty());
        assert!(!occluded_reference(&tlas, &|_| Some(&blas), &down(0.1, 0.1), &|_, _, _| true));
    }
}

#[test]
fn triangles_with_bad_corners_are_dropped_and_keep_the_others_indices() {
    let positions = [Vec3::ZERO, Vec3::X, Vec3::Z, Vec3::NAN, Vec3::INFINITY];
    let blas = Blas::build(&positions, &[0, 1, 3, 0, 1, 4, 0, 1, 77, 0, 1, 2, 0]);
    assert_eq!(blas.triangle_count(), 1);
    let tlas = Tlas::build(&[instance(&blas, Affine3A::IDENTITY)]);
    let hit = closest_reference(&tlas, &|_| Some(&blas), &down(0.1, 0.1), &|_, _, _| true);
    assert_eq!(hit.map(|h| h.primitive), Some(3));
}

#[test]
fn transforms_that_cannot_be_inverted_are_left_out() {
    let blas = triangle();
    let flat = Affine3A::from_mat3(Mat3A::from_diagonal(Vec3::new(1.0, 0.0, 1.0)).into());
    let lost = Affine3A::from_translation(Vec3::NAN);
    let tlas = Tlas::build(&[instance(&blas, flat), instance(&blas, lost), instance(&blas, Affine3A::IDENTITY)]);
    let hit = closest_reference(&tlas, &|_| Some(&blas), &down(0.1, 0.1), &|_, _, _| true);
    assert_eq!(hit.map(|h| h.instance), Some(2));
}

#[test]
fn coincident_triangles_build_and_the_first_is_hit() {
    let positions = [Vec3::ZERO, Vec3::X, Vec3::Z];
    let indices: Vec<u32> = [0, 1, 2].repeat(1000);
    let blas = Blas::build(&positions, &indices);
    let tlas = Tlas::build(&[instance(&blas, Affine3A::IDENTITY), instance(&blas, Affine3A::IDENTITY)]);
    let hit = closest_reference(&tlas, &|_| Some(&blas), &down(0.1, 0.1), &|_, _, _| true);
    assert_eq!(hit.map(|h| (h.instance, h.primitive, h.t)), Some((0, 0, 10.0)));
}

#[test]
fn positions_in_geometric_progression_stay_within_the_walks_stack() {
    let at = |i: i32| 2f32.powi(i - 60);
    let positions: Vec<Vec3> = (0..120)
        .flat_map(|i| [Vec3::new(at(i), 0.0, -1.0), Vec3::new(at(i) * 1.1, 0.0, -1.0), Vec3::new(at(i), 0.0, 1.0)])
        .collect();
    let indices: Vec<u32> = (0..positions.len() as u32).collect();
    let blas = Blas::build(&positions, &indices);
    let tlas = Tlas::build(&[instance(&blas, Affine3A::IDENTITY)]);
    let hit = closest_reference(&tlas, &|_| Some(&blas), &down(at(70) * 1.01, 0.0), &|_, _, _| true);
    assert_eq!(hit.map(|h| h.primitive), Some(70));
}

#[test]
fn accept_hit_decides_about_flagged_triangles_unless_the_instance_is_opaque() {
    let positions = [Vec3::ZERO, Vec3::X, Vec3::Z, Vec3::NEG_Y, Vec3::X - Vec3::Y, Vec3::Z - Vec3::Y];
    let blas = Blas::build_with_flags(&positions, &[0, 1, 2, 3, 4, 5], &|primitive| primitive == 0);
    let trace = |flags| {
        let tlas = Tlas::build(&[TlasInstance { flags, ..instance(&blas, Affine3A::IDENTITY) }]);
        let refuse = |_, primitive, _| panic_unless(primitive == 0);
        closest_reference(&tlas, &|_| Some(&blas), &down(0.1, 0.1), &refuse).map(|h| h.primitive)
    };
    assert_eq!(trace(0), Some(1));
    assert_eq!(trace(INSTANCE_FORCE_OPAQUE), Some(0));
}

/// Refuses the hit; only flagged triangles may be asked about.
fn panic_unless(flagged: bool) -> bool {
    assert!(flagged, "asked about an opaque triangle");
    false
}

#[test]
fn rays_that_are_not_numbers_hit_nothing() {
    let blas = triangle();
    let tlas = Tlas::build(&[instance(&blas, Affine3A::IDENTITY)]);
    for ray in [
        Ray { direction: Vec3::NAN, ..down(0.1, 0.1) },
        Ray { origin: Vec3::NAN, ..down(0.1, 0.1) },
        Ray { direction: Vec3::ZERO, ..down(0.1, 0.1) },
        Ray { t_max: -1.0, ..down(0.1, 0.1) },
    ] {
        assert!(!occluded_reference(&tlas, &|_| Some(&blas), &ray, &|_, _, _| true), "{ray:?}");
    }
}
