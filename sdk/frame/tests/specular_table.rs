//! The committed specular table is the integral that its documentation states.
//!
//! `RAYLOOM_WRITE_SPECULAR_TABLE=1 cargo test -p rayloom-frame --test specular_table` writes the table anew.

use std::{f64::consts::PI, fmt::Write};

use rayloom_frame::demodulate::{SPECULAR_TABLE, SPECULAR_TABLE_SIZE};

#[test]
fn the_table_is_the_integral() {
    let size = SPECULAR_TABLE_SIZE;
    if std::env::var_os("RAYLOOM_WRITE_SPECULAR_TABLE").is_some() {
        write_table();
    }
    for i in (0..size * size).step_by(7) {
        let (n_dot_v, roughness) = place(i);
        let [a, b] = by_half_vectors(n_dot_v, roughness, 512);
        let [ta, tb] = SPECULAR_TABLE[i].map(f64::from);
        assert!(
            (a - ta).abs() < 2e-3 && (b - tb).abs() < 2e-3,
            "n.v {n_dot_v}, roughness {roughness}: ({a}, {b}) is not ({ta}, {tb})"
        );
    }
}

#[test]
fn another_way_to_integrate_agrees() {
    // Directions of light on a plain grid resolve the lobe only where it is wide and not at the horizon.
    for i in (0..SPECULAR_TABLE.len()).step_by(13) {
        let (n_dot_v, roughness) = place(i);
        if roughness < 0.4 || n_dot_v < 0.1 {
            continue;
        }
        let [a, b] = by_light_directions(n_dot_v, roughness, 400);
        let [ta, tb] = SPECULAR_TABLE[i].map(f64::from);
        assert!(
            (a - ta).abs() < 2e-3 && (b - tb).abs() < 2e-3,
            "n.v {n_dot_v}, roughness {roughness}: ({a}, {b}) is not ({ta}, {tb})"
        );
    }
}

#[test]
fn no_surface_reflects_more_than_it_gets() {
    assert!(SPECULAR_TABLE.iter().all(|[a, b]| *a >= 0.0 && *b >= 0.0 && a + b <= 1.0));
}

fn place(index: usize) -> (f64, f64) {
    let centre = |v: usize| (v as f64 + 0.5) / SPECULAR_TABLE_SIZE as f64;
    (centre(index % SPECULAR_TABLE_SIZE), centre(index / SPECULAR_TABLE_SIZE))
}

/// Height-correlated Smith masking and shadowing over 4 n.l n.v (Heitz 2014).
fn visibility(n_dot_v: f64, n_dot_l: f64, alpha2: f64) -> f64 {
    let v = n_dot_l * (n_dot_v * n_dot_v * (1.0 - alpha2) + alpha2).sqrt();
    let l = n_dot_v * (n_dot_l * n_dot_l * (1.0 - alpha2) + alpha2).sqrt();
    0.5 / (v + l)
}

/// Half vectors drawn from D * n.h on an n x n grid of their two uniform variables.
fn by_half_vectors(n_dot_v: f64, roughness: f64, n: usize) -> [f64; 2] {
    let alpha2 = roughness.powi(4);
    let v = [(1.0 - n_dot_v * n_dot_v).sqrt(), n_dot_v];
    let mut sum = [0.0; 2];
    for i in 0..n {
        let u = (i as f64 + 0.5) / n as f64;
        let cos2 = (1.0 - u) / (1.0 + (alpha2 - 1.0) * u);
        let (cos, sin) = (cos2.sqrt(), (1.0 - cos2).max(0.0).sqrt());
        for j in 0..n {
            let phi = PI * (j as f64 + 0.5) / n as f64;
            let v_dot_h = v[0] * sin * phi.cos() + v[1] * cos;
            let n_dot_l = 2.0 * v_dot_h * cos - n_dot_v;
            if n_dot_l > 0.0 && v_dot_h > 0.0 {
                let weight = visibility(n_dot_v, n_dot_l, alpha2) * 4.0 * n_dot_l * v_dot_h / cos;
                let fresnel = (1.0 - v_dot_h).powi(5);
                sum[0] += (1.0 - fresnel) * weight;
                sum[1] += fresnel * weight;
            }
        }
    }
    sum.map(|s| s / (n * n) as f64)
}

/// Light directions on an n x n grid of (cosine, azimuth).
fn by_light_directions(n_dot_v: f64, roughness: f64, n: usize) -> [f64; 2] {
    let alpha2 = roughness.powi(4);
    let v = [(1.0 - n_dot_v * n_dot_v).sqrt(), 0.0, n_dot_v];
    let mut sum = [0.0; 2];
    for i in 0..n {
        let n_dot_l = (i as f64 + 0.5) / n as f64;
        let sin = (1.0 - n_dot_l * n_dot_l).sqrt();
        for j in 0..n {
            let phi = PI * (j as f64 + 0.5) / n as f64;
            let h = [v[0] + sin * phi.cos(), v[1] + sin * phi.sin(), v[2] + n_dot_l];
            let length = h.iter().map(|c| c * c).sum::<f64>().sqrt();
            let v_dot_h = (0..3).map(|k| v[k] * h[k]).sum::<f64>() / length;
            let n_dot_h = h[2] / length;
            let d = alpha2 / (PI * (n_dot_h * n_dot_h * (alpha2 - 1.0) + 1.0).powi(2));
            let weight = d * visibility(n_dot_v, n_dot_l, alpha2) * n_dot_l;
            let fresnel = (1.0 - v_dot_h).powi(5);
            sum[0] += (1.0 - fresnel) * weight;
            sum[1] += fresnel * weight;
        }
    }
    sum.map(|s| s * 2.0 * PI / (n * n) as f64)
}

fn write_table() {
    let mut text = String::from(HEAD);
    for row in 0..SPECULAR_TABLE.len() / 4 {
        let entry = |i| {
            let (n_dot_v, roughness) = place(i);
            let [a, b] = by_half_vectors(n_dot_v, roughness, 512);
            format!("[{a:.6}, {b:.6}]")
        };
        let line: Vec<_> = (row * 4..row * 4 + 4).map(entry).collect();
        writeln!(text, "    {},", line.join(", ")).unwrap();
    }
    text.push_str("];\n");
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/specular_table.rs"), text).unwrap();
}

const HEAD: &str = r#"//! Preintegrated GGX reflectance; written by tests/specular_table.rs, not by hand.

use crate::demodulate::SPECULAR_TABLE_SIZE;

/// (A, B) of directional albedo `F0 * A + B`: columns are n.v, rows are perceptual roughness, both at `(i + 0.5) / 32`.
///
/// A = ∫ (1 - Fc) D V n.l dl and B = ∫ Fc D V n.l dl over the hemisphere of light directions, with Fc = (1 - v.h)^5
/// (Schlick), D = GGX with alpha = roughness^2, and V = height-correlated Smith over 4 n.l n.v (Heitz, "Understanding the
/// Masking-Shadowing Function", JCGT 2014). The split is Karis's ("Real Shading in Unreal Engine 4", 2013). Integrated by
/// the midpoint rule over 512 x 512 half vectors drawn from D n.h.
#[rustfmt::skip]
pub const SPECULAR_TABLE: [[f32; 2]; SPECULAR_TABLE_SIZE * SPECULAR_TABLE_SIZE] = [
"#;
