//! From the engine's planes to a [`GBuffer`], in bands of rows.

use super::decode::{DepthDecode, MotionDecode, NormalDecode, StaticMotion};
use super::format::to_rgb9e5;
use super::{EnginePlane, EnginePlaneKind, GBuffer, PlaneFormat, check};
use crate::convention::{Convention, DepthEncoding, RoughnessKind};
use crate::normal::encode_normal;
use crate::srgb::linear_to_srgb;
use crate::workers::{BAND_ROWS, for_each};
use crate::{FrameError, Primary, Workers};
use glam::{Vec2, Vec3};
use half::f16;
use rayloom_scene::Camera;

/// Pixels that are read from a plane at a time.
const RUN: usize = 64;
/// Material flag of pixels that show a surface; as `primary.glsl` of the renderer writes it.
const HIT: u32 = 1 << 24;

/// Fills `out` from planes of the size of their view rects, which all must have; `camera` and `previous_camera` are in
/// glTF space. `out` keeps its memory from call to call; after an error it is as it was.
///
/// Where depth is sky all planes but motion are 0. Where motion is missing, unwritten or not finite it is that of a surface
/// that stood still. Normals that are zero or not finite become +Z; colours and roughness that are not finite become 0.
/// The planes of geometric normals and of emitted light are empty where the engine has none.
///
/// # Errors
/// Those of [`check`], [`Convention::check`], and [`FrameError::Plan`] for cameras that are none.
pub fn convert(
    out: &mut GBuffer,
    planes: &[EnginePlane<'_>],
    convention: &Convention,
    camera: &Camera,
    previous_camera: &Camera,
    workers: &dyn Workers,
) -> Result<(), FrameError> {
    let Some(extent) = planes.first().map(|plane| plane.view_rect) else {
        return Err(FrameError::EnginePlane {
            plane: EnginePlaneKind::Depth.name(),
            problem: "it is missing: submit it, or no plane at all for state mode".into(),
        });
    };
    let extent = crate::Extent::new(extent.width, extent.height);
    check(planes, extent)?;
    convention.check()?;
    for (name, camera) in [("camera", camera), ("previous camera", previous_camera)] {
        if !camera.is_valid() {
            return Err(FrameError::Plan(format!("{name} is {camera:?}, which is none")));
        }
    }
    let sources = Sources::new(planes, convention, camera, previous_camera, extent)?;

    let pixels = extent.pixels();
    out.extent = extent;
    let Primary { depth, normal, base_color, material, motion, instance_id } = &mut out.primary;
    depth.resize(pixels, 0.0);
    for plane in [normal, base_color, material, motion, instance_id] {
        plane.resize(pixels, 0);
    }
    out.geometric_normal.resize(if sources.geometric_normal.is_some() { pixels } else { 0 }, 0);
    out.emissive.resize(if sources.emissive.is_some() { pixels } else { 0 }, 0);
    out.depth_error = depth_error(sources.depth.0.format, convention);
    for_each(workers, bands(out), |mut band| band.fill(&sources));
    Ok(())
}

/// How far depth may be off by rounding, as a share of it. Where that grows with distance, what it is at a thousand times
/// the near plane's.
fn depth_error(format: PlaneFormat, convention: &Convention) -> f32 {
    let bits = match format {
        PlaneFormat::R16Float => 11,
        PlaneFormat::R16Unorm => 16,
        _ => 24,
    };
    let step = 0.5f32.powi(bits);
    let is_float = matches!(format, PlaneFormat::R32Float | PlaneFormat::R16Float);
    let grows = match convention.depth_encoding {
        DepthEncoding::Linear => false,
        // The floats around 0, where distant surfaces are, lie as close as their distances do.
        DepthEncoding::Reversed | DepthEncoding::ReversedInfinite => !is_float,
        DepthEncoding::Forward | DepthEncoding::ForwardInfinite | DepthEncoding::ForwardSigned => true,
    };
    let nears = if convention.far > 0.0 { convention.far / convention.near } else { f32::INFINITY };
    if grows { (step * nears.clamp(1.0, 1000.0)).min(0.05) } else { step }
}

/// What is read, and what its pixels mean.
struct Sources<'a> {
    convention: &'a Convention,
    depth: (EnginePlane<'a>, DepthDecode),
    normal: (EnginePlane<'a>, NormalDecode),
    geometric_normal: Option<(EnginePlane<'a>, NormalDecode)>,
    albedo: EnginePlane<'a>,
    roughness_metalness: EnginePlane<'a>,
    emissive: Option<EnginePlane<'a>>,
    motion: Option<(EnginePlane<'a>, MotionDecode)>,
    instance_id: Option<EnginePlane<'a>>,
    unmoved: StaticMotion,
}

impl<'a> Sources<'a> {
    fn new(
        planes: &[EnginePlane<'a>],
        convention: &'a Convention,
        camera: &Camera,
        previous: &Camera,
        extent: crate::Extent,
    ) -> Result<Sources<'a>, FrameError> {
        let size = Vec2::new(extent.width as f32, extent.height as f32);
        let find = |kind: EnginePlaneKind| planes.iter().find(|plane| plane.kind == kind).copied();
        let required = |kind: EnginePlaneKind| {
            find(kind).ok_or_else(|| FrameError::EnginePlane { plane: kind.name(), problem: "it is missing".into() })
        };
        let normals = |plane: EnginePlane<'a>| {
            let decode = NormalDecode::new(convention, plane.format, camera);
            let refuse = |problem: String| FrameError::EnginePlane { plane: plane.kind.name(), problem };
            Ok::<_, FrameError>((plane, decode.map_err(refuse)?))
        };
        let roughness_metalness = required(EnginePlaneKind::RoughnessMetalness)?;
        let channels = roughness_metalness.format.channels();
        for (name, channel) in
            [("roughness", convention.roughness_channel), ("metalness", convention.metalness_channel)]
        {
            if channel >= channels {
                return Err(FrameError::EnginePlane {
                    plane: EnginePlaneKind::RoughnessMetalness.name(),
                    problem: format!(
                        "{} has {channels} channels, {name}_channel of the convention is {channel}: set it",
                        roughness_metalness.format.constant()
                    ),
                });
            }
        }
        Ok(Sources {
            convention,
            depth: (required(EnginePlaneKind::Depth)?, DepthDecode::new(convention)),
            normal: normals(required(EnginePlaneKind::Normal)?)?,
            geometric_normal: find(EnginePlaneKind::GeometricNormal).map(normals).transpose()?,
            albedo: required(EnginePlaneKind::Albedo)?,
            roughness_metalness,
            emissive: find(EnginePlaneKind::Emissive),
            motion: find(EnginePlaneKind::Motion)
                .map(|plane| (plane, MotionDecode::new(convention, size, camera, previous))),
            instance_id: find(EnginePlaneKind::InstanceId),
            unmoved: StaticMotion::new(size, camera, previous),
        })
    }
}

/// Rows of a [`GBuffer`] that one part of the work fills.
struct Band<'a> {
    first_row: u32,
    width: u32,
    depth: &'a mut [f32],
    normal: &'a mut [u32],
    base_color: &'a mut [u32],
    material: &'a mut [u32],
    motion: &'a mut [u32],
    instance_id: &'a mut [u32],
    geometric_normal: &'a mut [u32],
    emissive: &'a mut [u32],
}

fn bands(out: &mut GBuffer) -> Vec<Band<'_>> {
    let width = out.extent.width;
    let pixels = BAND_ROWS * width as usize;
    let Primary { depth, normal, base_color, material, motion, instance_id } = &mut out.primary;
    let mut normal = normal.chunks_mut(pixels);
    let mut base_color = base_color.chunks_mut(pixels);
    let mut material = material.chunks_mut(pixels);
    let mut motion = motion.chunks_mut(pixels);
    let mut instance_id = instance_id.chunks_mut(pixels);
    let mut geometric_normal = out.geometric_normal.chunks_mut(pixels);
    let mut emissive = out.emissive.chunks_mut(pixels);
    let band = |(index, depth)| Band {
        first_row: (index * BAND_ROWS) as u32,
        width,
        depth,
        normal: normal.next().unwrap_or_default(),
        base_color: base_color.next().unwrap_or_default(),
        material: material.next().unwrap_or_default(),
        motion: motion.next().unwrap_or_default(),
        instance_id: instance_id.next().unwrap_or_default(),
        geometric_normal: geometric_normal.next().unwrap_or_default(),
        emissive: emissive.next().unwrap_or_default(),
    };
    depth.chunks_mut(pixels).enumerate().map(band).collect()
}

impl Band<'_> {
    fn fill(&mut self, sources: &Sources<'_>) {
        let width = self.width as usize;
        for row in 0..self.depth.len() / width {
            for x in (0..width).step_by(RUN) {
                self.fill_run(sources, row, x, RUN.min(width - x));
            }
        }
    }

    /// Fills `count` pixels, at most [`RUN`], from (x, row) of the band on.
    fn fill_run(&mut self, sources: &Sources<'_>, row: usize, x: usize, count: usize) {
        let (left, y) = (x as u32, self.first_row + row as u32);
        let at = row * self.width as usize + x;
        let range = at..at + count;
        let mut raw = [[0.0; 4]; RUN];
        let raw = &mut raw[..count];
        let read = |plane: &EnginePlane<'_>, raw: &mut [[f32; 4]]| {
            plane.format.read(plane.pixels(y, left..left + count as u32), raw);
        };

        read(&sources.depth.0, raw);
        let depth = &mut self.depth[range.clone()];
        depth.iter_mut().zip(&*raw).for_each(|(depth, raw)| *depth = sources.depth.1.depth(raw[0]));
        let depth = &*depth;
        let surface = |i: usize, value: u32| if depth[i].is_finite() { value } else { 0 };

        read(&sources.normal.0, raw);
        for (i, (normal, raw)) in self.normal[range.clone()].iter_mut().zip(&*raw).enumerate() {
            *normal = surface(i, encode_normal(sources.normal.1.normal(*raw)));
        }
        if let Some((plane, decode)) = &sources.geometric_normal {
            read(plane, raw);
            for (i, (normal, raw)) in self.geometric_normal[range.clone()].iter_mut().zip(&*raw).enumerate() {
                *normal = surface(i, encode_normal(decode.normal(*raw)));
            }
        }

        read(&sources.albedo, raw);
        for (i, (color, [r, g, b, _])) in self.base_color[range.clone()].iter_mut().zip(&*raw).enumerate() {
            let [r, g, b] = [*r, *g, *b].map(|c| u32::from(linear_to_srgb(c)));
            *color = surface(i, r | g << 8 | b << 16 | 0xff << 24);
        }

        read(&sources.roughness_metalness, raw);
        let convention = sources.convention;
        for (i, (material, raw)) in self.material[range.clone()].iter_mut().zip(&*raw).enumerate() {
            // NaN becomes 0 on the way to whole numbers.
            let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u32;
            let roughness = raw[convention.roughness_channel as usize & 3];
            let roughness = match convention.roughness_kind {
                RoughnessKind::Roughness => roughness,
                RoughnessKind::Smoothness => 1.0 - roughness,
            };
            let metalness = raw[convention.metalness_channel as usize & 3];
            *material = surface(i, byte(roughness) | byte(metalness) << 8 | HIT);
        }

        if let Some(plane) = &sources.emissive {
            read(plane, raw);
            for (i, (emissive, [r, g, b, _])) in self.emissive[range.clone()].iter_mut().zip(&*raw).enumerate() {
                let light = Vec3::new(*r, *g, *b) * convention.emissive_scale;
                *emissive = surface(i, to_rgb9e5(light.to_array()));
            }
        }

        let limit = Vec2::splat(f16::MAX.to_f32());
        if let Some((plane, _)) = &sources.motion {
            read(plane, raw);
        }
        for (i, motion) in self.motion[range.clone()].iter_mut().enumerate() {
            let unmoved = || sources.unmoved.at(left + i as u32, y, depth[i]);
            let written = sources.motion.as_ref().and_then(|(_, decode)| decode.motion(raw[i], unmoved));
            let Vec2 { x, y } = written.unwrap_or_else(unmoved).clamp(-limit, limit);
            *motion = u32::from(f16::from_f32(x).to_bits()) | u32::from(f16::from_f32(y).to_bits()) << 16;
        }

        let ids = &mut self.instance_id[range];
        match &sources.instance_id {
            Some(plane) => plane.format.read_numbers(plane.pixels(y, left..left + count as u32), ids),
            None => ids.fill(0),
        }
        for (i, id) in ids.iter_mut().enumerate() {
            // The engine's own 0 may be a surface.
            *id = surface(i, id.saturating_add(1));
        }
    }
}
