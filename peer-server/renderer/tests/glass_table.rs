//! The committed table of rough glass is the integral that this file computes.
//!
//! `RAYLOOM_WRITE_GLASS_TABLE=1 cargo test -p rayloom-renderer --test glass_table` writes the table anew.

#[path = "oracle/optics.rs"]
mod optics;

use optics::{fresnel, lambda};
use rayloom_renderer::glass_table::{COSINES, INDICES, ROUGHNESSES, index_of_refraction, shares};
use std::f64::consts::PI;

/// Facets along each side of the grid of the two numbers that they are drawn by.
const GRID: usize = 128;

#[test]
fn the_table_is_the_integral() {
    if std::env::var_os("RAYLOOM_WRITE_GLASS_TABLE").is_some() {
        let words = (0..COSINES * 2 * ROUGHNESSES * INDICES).map(|i| (at(i).min(1.0) * 65535.0).round() as u16);
        let bytes: Vec<u8> = words.flat_map(u16::to_le_bytes).collect();
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/glass_table.bin"), bytes).expect("it is ours");
        return;
    }
    for (i, share) in shares().enumerate().step_by(61) {
        let expected = at(i);
        assert!((f64::from(share) - expected).abs() < 2e-5, "entry {i}: {share} is not {expected}");
    }
}

#[test]
fn clear_glass_loses_nothing_and_no_glass_sends_on_more_than_it_gets() {
    for (i, share) in shares().enumerate() {
        let clear = (i / (COSINES * 2)).is_multiple_of(ROUGHNESSES);
        assert!(share <= 1.0 && share > if clear { 0.9 } else { 0.01 }, "entry {i}: {share}");
    }
}

fn at(entry: usize) -> f64 {
    let cosine = ((entry % COSINES) as f64 / (COSINES - 1) as f64).powi(2).max(1e-4);
    let is_within = entry / COSINES % 2 == 1;
    let roughness = (entry / (COSINES * 2) % ROUGHNESSES) as f64 / (ROUGHNESSES - 1) as f64;
    // Glass without an index of its own bends nothing: the nearest that has one.
    let ior = index_of_refraction(entry / (COSINES * 2 * ROUGHNESSES)).max(1.000_01);
    share(cosine, roughness, if is_within { 1.0 / ior } else { ior })
}

/// By facets drawn as the viewer sees them (Dupuy and Benyoub 2023), with Smith's height-correlated masking: reflected by the
/// Fresnel term, refracted by the rest, each where it leaves on its side of the face.
fn share(cosine: f64, roughness: f64, eta: f64) -> f64 {
    let alpha = (roughness * roughness).max(1e-7);
    let v = [(1.0 - cosine * cosine).max(0.0).sqrt(), cosine];
    let stretched = (alpha * v[0]).hypot(v[1]);
    let w = [alpha * v[0] / stretched, v[1] / stretched];
    let lambda_v = lambda(cosine, alpha);
    let seen = |l: f64| (1.0 + lambda_v) / (1.0 + lambda_v + lambda(l, alpha));
    let mut sum = 0.0;
    for i in 0..GRID {
        let (sin, cos) = (PI * (i as f64 + 0.5) / GRID as f64).sin_cos();
        for j in 0..GRID {
            let u = (j as f64 + 0.5) / GRID as f64;
            let z = (1.0 - u) * (1.0 + w[1]) - w[1];
            let r = (1.0 - z * z).max(0.0).sqrt();
            let h = [alpha * (r * cos + w[0]), alpha * r * sin, (z + w[1]).max(1e-12)];
            let length = h.iter().map(|c| c * c).sum::<f64>().sqrt();
            let (hx, hz) = (h[0] / length, h[2] / length);
            let vh = v[0] * hx + v[1] * hz;
            if vh <= 0.0 {
                continue;
            }
            let reflectance = fresnel(vh, eta);
            let reflected = 2.0 * vh * hz - cosine;
            if reflected > 0.0 {
                sum += reflectance * seen(reflected);
            }
            let beyond = 1.0 - (1.0 - vh * vh) / (eta * eta);
            let refracted = cosine / eta - hz * (vh / eta - beyond.max(0.0).sqrt());
            if beyond > 0.0 && refracted > 0.0 {
                sum += (1.0 - reflectance) * seen(refracted);
            }
        }
    }
    sum / (GRID * GRID) as f64
}
