//! A room without a ceiling, with two boxes, textures and normal maps, by ray casting; and an engine's planes of it.

use glam::{Mat3, Vec2, Vec3};
use half::f16;
use rayloom_frame::convention::{
    Convention, DepthEncoding, MotionContent, MotionDirection, MotionEncoding, MotionJitter, MotionUnit, MotionY,
    NormalEncoding, NormalSpace, RoughnessKind,
};
use rayloom_frame::gbuffer::{EnginePlane, EnginePlaneKind, PlaneFormat};
use rayloom_frame::normal::{decode_normal, encode_normal};
use rayloom_frame::srgb::linear_to_srgb;
use rayloom_frame::{Extent, Primary};
use rayloom_scene::Camera;

pub(crate) const EXTENT: Extent = Extent::new(192, 108);

/// How the scene that is traced differs from what the engine shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    /// From the room's space to the scene's.
    pub(crate) axes: Mat3,
    /// Sign of green in normal maps.
    pub(crate) green: f32,
    /// Textures are upside down.
    pub(crate) upside_down: bool,
    /// Colours run one way across a whole surface, instead of in stripes.
    pub(crate) gradient: bool,
}

pub(crate) const AS_SHOWN: Scene = Scene { axes: Mat3::IDENTITY, green: 1.0, upside_down: false, gradient: false };

pub(crate) fn size() -> Vec2 {
    Vec2::new(EXTENT.width as f32, EXTENT.height as f32)
}

/// Smallest and largest corner, and how far the box moved since the last frame.
const BOXES: [(Vec3, Vec3, Vec3); 2] = [
    (Vec3::new(-2.5, 0.0, -3.5), Vec3::new(-1.0, 1.8, -2.0), Vec3::ZERO),
    (Vec3::new(0.6, 0.0, -3.0), Vec3::new(2.0, 1.1, -1.4), Vec3::new(0.12, 0.05, 0.0)),
];

struct Hit {
    distance: f32,
    point: Vec3,
    normal: Vec3,
    id: u32,
    moved: Vec3,
}

fn closest(origin: Vec3, direction: Vec3) -> Option<Hit> {
    let mut best: Option<Hit> = None;
    let mut offer = |distance: f32, normal: Vec3, id: u32, moved: Vec3| {
        if distance > 1e-3 && best.as_ref().is_none_or(|hit| distance < hit.distance) {
            best = Some(Hit { distance, point: origin + direction * distance, normal, id, moved });
        }
    };
    // The floor and four walls, 3 m high; seen from inside.
    let walls = [(Vec3::Y, 0.0), (Vec3::X, -4.0), (Vec3::NEG_X, -4.0), (Vec3::Z, -5.0), (Vec3::NEG_Z, -5.0)];
    for (i, (normal, offset)) in walls.into_iter().enumerate() {
        let distance = (offset - normal.dot(origin)) / normal.dot(direction);
        let point = origin + direction * distance;
        let inside = point.x.abs() < 4.001 && point.z.abs() < 5.001 && point.y > -1e-3 && point.y < 3.0;
        if distance.is_finite() && inside {
            offer(distance, normal, i as u32 + 1, Vec3::ZERO);
        }
    }
    for (i, (min, max, moved)) in BOXES.into_iter().enumerate() {
        let (a, b) = ((min - origin) / direction, (max - origin) / direction);
        let (near, far) = (a.min(b), a.max(b));
        let distance = near.max_element();
        if distance < far.min_element() {
            let mut normal = Vec3::ZERO;
            let axis = near.max_position();
            normal[axis] = -direction[axis].signum();
            offer(distance, normal, i as u32 + 6, moved);
        }
    }
    best
}

/// Tangent (right in the texture) and bitangent (up in the texture) of a face, and its texture coordinates at a point.
fn texture_space(hit: &Hit) -> (Vec3, Vec3, Vec2) {
    let (tangent, bitangent) = match hit.normal.abs().max_position() {
        0 => (Vec3::NEG_Z, Vec3::Y),
        1 => (Vec3::X, Vec3::NEG_Z),
        _ => (Vec3::X, Vec3::Y),
    };
    (tangent, bitangent, Vec2::new(hit.point.dot(tangent), 3.0 - hit.point.dot(bitangent)) / 3.0)
}

/// What is traced from these cameras, which are in the scene's space.
pub(crate) fn cast(camera: &Camera, previous: &Camera, scene: Scene) -> Primary {
    let mut primary = Primary::default();
    let back = scene.axes.transpose();
    for y in 0..EXTENT.height {
        for x in 0..EXTENT.width {
            let pixel = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
            let ray = camera.ray(pixel, size());
            let hit = closest(back * camera.position, back * ray);
            let was = hit.as_ref().map_or(previous.position + ray * 1e6, |hit| scene.axes * (hit.point - hit.moved));
            let motion = previous.project(was, size()).0 + previous.jitter - (pixel + camera.jitter);
            let half = |v: f32| u32::from(f16::from_f32(v).to_bits());
            primary.motion.push(half(motion.x) | half(motion.y) << 16);
            let Some(hit) = hit else {
                primary.depth.push(f32::INFINITY);
                for plane in
                    [&mut primary.normal, &mut primary.base_color, &mut primary.material, &mut primary.instance_id]
                {
                    plane.push(0);
                }
                continue;
            };
            let (tangent, bitangent, mut uv) = texture_space(&hit);
            if scene.upside_down {
                uv.y = 1.0 - uv.y;
            }
            let bump = if hit.id < 6 {
                Vec2::new(0.4 * (7.0 * uv.x + 2.0 * uv.y).sin(), 0.5 * (5.0 * uv.y + uv.x).sin() * scene.green)
            } else {
                Vec2::ZERO
            };
            let normal = scene.axes * (hit.normal + tangent * bump.x + bitangent * bump.y).normalize();
            // The floor's coordinates go on for more than one texture.
            let shade = match scene.gradient {
                true => 0.5 + if hit.id == 1 { 0.15 } else { 0.7 } * (uv.y - 0.5),
                false => 0.2 + 0.7 * (uv.y * 2.0).rem_euclid(1.0),
            };
            let color = [shade, shade * 0.8, 0.1 + 0.05 * hit.id as f32].map(|c| u32::from(linear_to_srgb(c)));
            primary.depth.push(hit.distance);
            primary.normal.push(encode_normal(normal));
            primary.base_color.push(color[0] | color[1] << 8 | color[2] << 16 | 0xff << 24);
            primary.material.push((40 + 30 * hit.id) | (hit.id % 2 * 200) << 8 | 1 << 24);
            primary.instance_id.push(hit.id);
        }
    }
    primary
}

/// A plane with memory of its own.
pub(crate) struct Texture {
    pub(crate) kind: EnginePlaneKind,
    pub(crate) format: PlaneFormat,
    pub(crate) bytes: Vec<u8>,
}

impl Texture {
    pub(crate) fn plane(&self) -> EnginePlane<'_> {
        let row_pitch = EXTENT.width as usize * self.format.bytes_per_pixel();
        EnginePlane {
            kind: self.kind,
            format: self.format,
            extent: EXTENT,
            view_rect: EXTENT.rect(),
            row_pitch,
            bytes: &self.bytes,
        }
    }
}

/// What a rasteriser of this convention writes of what is shown; cameras are in the room's space. A patch of what the
/// scene lacks (a plant, smoke) covers one pixel in 25, and normals are noisy.
pub(crate) fn engine_planes(
    convention: &Convention,
    shown: &Primary,
    camera: &Camera,
    previous: &Camera,
) -> Vec<Texture> {
    let mut random = 12345u32;
    let mut noise = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let texture = |kind, format, pixel: &mut dyn FnMut(usize, bool) -> Vec<u8>| {
        let plant = |i: usize| (30..60).contains(&(i % 192)) && (10..38).contains(&(i / 192));
        Texture { kind, format, bytes: (0..EXTENT.pixels()).flat_map(|i| pixel(i, plant(i))).collect() }
    };
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let sixteen = |v: f32| ((v.clamp(0.0, 1.0) * 65535.0).round() as u16).to_le_bytes();
    let depth = texture(EnginePlaneKind::Depth, PlaneFormat::R32Float, &mut |i, plant| {
        let metres = if plant { 1.5 } else { shown.depth[i] };
        floats(&[encode_depth(convention, metres / convention.metres_per_unit)])
    });
    let world_to_view = (glam::Mat3::from_quat(camera.rotation) * convention.camera_space()).transpose();
    let mut normal_of = |i: usize, plant: bool| {
        let wobble = Vec3::new(noise(), noise(), noise()) * if plant { 2.0 } else { 0.02 };
        let normal = (decode_normal(shown.normal[i]) + wobble).normalize();
        match convention.normal_space {
            NormalSpace::World => convention.direction_back(normal),
            NormalSpace::View => world_to_view * normal,
        }
    };
    let normal = match convention.normal_encoding {
        NormalEncoding::Signed => texture(EnginePlaneKind::Normal, PlaneFormat::Rgb32Float, &mut |i, plant| {
            floats(&normal_of(i, plant).to_array())
        }),
        NormalEncoding::Biased => texture(EnginePlaneKind::Normal, PlaneFormat::Rgba16Unorm, &mut |i, plant| {
            let n = normal_of(i, plant) * 0.5 + 0.5;
            [n.x, n.y, n.z, 0.0].into_iter().flat_map(sixteen).collect()
        }),
        NormalEncoding::Octahedral => texture(EnginePlaneKind::Normal, PlaneFormat::Rgba16Snorm, &mut |i, plant| {
            let packed = encode_normal(normal_of(i, plant)).to_le_bytes();
            [packed, [0; 4]].concat()
        }),
    };
    let albedo = texture(EnginePlaneKind::Albedo, PlaneFormat::Rgba8Srgb, &mut |i, _| {
        shown.base_color[i].to_le_bytes().to_vec()
    });
    let roughness = texture(EnginePlaneKind::RoughnessMetalness, PlaneFormat::Rgba8Unorm, &mut |i, _| {
        let [roughness, metalness, ..] = shown.material[i].to_le_bytes();
        let mut bytes = vec![99; 4];
        bytes[convention.roughness_channel as usize] = match convention.roughness_kind {
            RoughnessKind::Roughness => roughness,
            RoughnessKind::Smoothness => 255 - roughness,
        };
        bytes[convention.metalness_channel as usize] = metalness;
        bytes
    });
    let half = |bits: u32| f16::from_bits(bits as u16).to_f32();
    let still = cast_motion(shown, camera, previous);
    let motion_of = |i: usize| {
        let packed = shown.motion[i];
        let mut motion = Vec2::new(half(packed), half(packed >> 16));
        if convention.motion_content == MotionContent::ObjectsOnly {
            motion -= still[i];
        }
        if convention.motion_jitter == MotionJitter::Included {
            motion += camera.jitter - previous.jitter;
        }
        if convention.motion_direction == MotionDirection::CurrentMinusPrevious {
            motion = -motion;
        }
        if convention.motion_y == MotionY::Up {
            motion.y = -motion.y;
        }
        match convention.motion_unit {
            MotionUnit::Pixels => motion,
            MotionUnit::TextureCoordinates => motion / size(),
            MotionUnit::NormalizedDevice => motion / size() * 2.0,
        }
    };
    let biased = |v: f32| v * 0.2495 + 32767.0 / 65535.0;
    let motion = match convention.motion_encoding {
        MotionEncoding::Plain => {
            texture(EnginePlaneKind::Motion, PlaneFormat::Rg32Float, &mut |i, _| floats(&motion_of(i).to_array()))
        }
        encoding => texture(EnginePlaneKind::Motion, PlaneFormat::Rg16Unorm, &mut |i, _| {
            let motion = motion_of(i).to_array().map(|v| match encoding {
                MotionEncoding::Biased => v * 0.5 + 0.5,
                MotionEncoding::Unreal4 => biased(v),
                _ => biased(v.signum() * (2.0 * v.abs()).sqrt()),
            });
            // Only what moves by itself is written.
            let written = shown.instance_id[i] == 7;
            motion.into_iter().flat_map(|v| if written { sixteen(v) } else { [0; 2] }).collect()
        }),
    };
    vec![depth, normal, albedo, roughness, motion]
}

fn cast_motion(shown: &Primary, camera: &Camera, previous: &Camera) -> Vec<Vec2> {
    let pixel = |i: usize| Vec2::new((i % 192) as f32 + 0.5, (i / 192) as f32 + 0.5);
    let motion = |i: usize| {
        let point = camera.position + camera.ray(pixel(i), size()) * shown.depth[i].min(1e6);
        previous.project(point, size()).0 + previous.jitter - (pixel(i) + camera.jitter)
    };
    (0..EXTENT.pixels()).map(motion).collect()
}

fn encode_depth(convention: &Convention, units: f32) -> f32 {
    let (z, near, far) = (f64::from(units), f64::from(convention.near), f64::from(convention.far));
    let forward = if z.is_finite() { far / (far - near) * (1.0 - near / z) } else { 1.0 };
    (match convention.depth_encoding {
        DepthEncoding::Linear => z,
        DepthEncoding::Forward => forward,
        DepthEncoding::Reversed => 1.0 - forward,
        DepthEncoding::ForwardInfinite => 1.0 - near / z,
        DepthEncoding::ReversedInfinite => near / z,
        DepthEncoding::ForwardSigned => forward * 2.0 - 1.0,
    }) as f32
}
