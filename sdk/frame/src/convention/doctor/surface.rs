//! Normals and roughness against those of traced surfaces.

use super::{Found, Share, Submitted, Traced, View, best, plane};
use crate::convention::{Convention, NormalEncoding, NormalSpace, RoughnessKind};
use crate::gbuffer::{EnginePlaneKind, NormalDecode};
use crate::normal::decode_normal;
use glam::Vec3;

/// Cosine of 8 degrees: normals that are nearer agree.
pub(super) const SAME_DIRECTION: f32 = 0.990;
/// Roughness and metalness that differ by less agree.
const SAME_ROUGHNESS: f32 = 0.06;

/// Compares shading normals.
pub(super) fn examine_normals(
    frame: &Submitted<'_>,
    convention: &Convention,
    view: &View,
    traced: &Traced<'_>,
    samples: &[(u32, u32)],
) -> Option<Found> {
    let plane = plane(frame, EnginePlaneKind::Normal)?;
    let pixels: Vec<([f32; 4], Vec<Vec3>)> = samples
        .iter()
        .filter(|(x, y)| traced.is_surface(traced.index(*x, *y)))
        .map(|at| {
            let around = traced.around(*at).filter(|i| traced.is_surface(*i));
            let normals = around.map(|i| view.normal_of_engine(decode_normal(traced.primary.normal[i])));
            (plane.pixel(at.0, at.1), normals.collect())
        })
        .collect();
    let agree = |convention: &Convention| {
        let decode = match NormalDecode::new(convention, plane.format, &view.engine_camera) {
            Ok(decode) => decode,
            // Such a plane agrees nowhere.
            Err(_) => return Some(0.0),
        };
        let mut share = Share::default();
        for (raw, normals) in &pixels {
            let normal = decode.normal(*raw).normalize_or_zero();
            share.count(normals.iter().any(|traced| traced.dot(normal) > SAME_DIRECTION));
        }
        share.share()
    };
    if pixels.len() < super::FEWEST {
        return None;
    }
    let spaces = NormalSpace::ALL.iter().map(|normal_space| Convention { normal_space: *normal_space, ..*convention });
    let encodings = |from: Convention| {
        NormalEncoding::ALL.iter().map(move |normal_encoding| Convention { normal_encoding: *normal_encoding, ..from })
    };
    best(convention, spaces.flat_map(encodings).collect(), agree)
}

/// Compares roughness and metalness.
pub(super) fn examine_roughness(
    frame: &Submitted<'_>,
    convention: &Convention,
    traced: &Traced<'_>,
    samples: &[(u32, u32)],
) -> Option<Found> {
    let plane = plane(frame, EnginePlaneKind::RoughnessMetalness)?;
    let channels = plane.format.channels();
    let pixels: Vec<([f32; 4], Vec<[f32; 2]>)> = samples
        .iter()
        .filter(|(x, y)| traced.is_surface(traced.index(*x, *y)))
        .map(|at| {
            let byte = |bits: u32| (bits & 255) as f32 / 255.0;
            let around = traced.around(*at).map(|i| traced.primary.material[i]);
            (plane.pixel(at.0, at.1), around.map(|packed| [byte(packed), byte(packed >> 8)]).collect())
        })
        .collect();
    let agree = |convention: &Convention| {
        let mut share = Share::default();
        for (raw, materials) in &pixels {
            let roughness = raw[convention.roughness_channel as usize & 3];
            let roughness = match convention.roughness_kind {
                RoughnessKind::Roughness => roughness,
                RoughnessKind::Smoothness => 1.0 - roughness,
            };
            let here = [roughness, raw[convention.metalness_channel as usize & 3]];
            let near = |[r, m]: &[f32; 2]| (r - here[0]).abs() < SAME_ROUGHNESS && (m - here[1]).abs() < SAME_ROUGHNESS;
            share.count(materials.iter().any(near));
        }
        share.share()
    };
    let mut candidates = Vec::new();
    for roughness_channel in 0..channels {
        for metalness_channel in (0..channels).filter(|channel| *channel != roughness_channel) {
            for roughness_kind in RoughnessKind::ALL {
                let roughness_kind = *roughness_kind;
                candidates.push(Convention { roughness_channel, metalness_channel, roughness_kind, ..*convention });
            }
        }
    }
    best(convention, candidates, agree)
}
