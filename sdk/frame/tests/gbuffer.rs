//! An engine's planes become the G-buffer that everything else reads, or are refused with what is wrong.

use glam::{Quat, Vec2, Vec3};
use half::f16;
use proptest::prelude::*;
use rayloom_frame::convention::{Convention, NormalEncoding, NormalSpace, RoughnessKind};
use rayloom_frame::gbuffer::{EnginePlane, EnginePlaneKind, GBuffer, PlaneFormat, check, convert};
use rayloom_frame::normal::decode_normal;
use rayloom_frame::{Extent, Inline, Rect, SKY_DEPTH, Workers};
use rayloom_scene::Camera;

const EXTENT: Extent = Extent::new(70, 19);

/// A plane as large as the view, of equal pixels.
struct Texture {
    kind: EnginePlaneKind,
    format: PlaneFormat,
    bytes: Vec<u8>,
}

impl Texture {
    fn new(kind: EnginePlaneKind, format: PlaneFormat, pixel: &[u8]) -> Texture {
        assert_eq!(pixel.len(), format.bytes_per_pixel());
        Texture { kind, format, bytes: pixel.repeat(EXTENT.pixels()) }
    }

    fn plane(&self) -> EnginePlane<'_> {
        EnginePlane {
            kind: self.kind,
            format: self.format,
            extent: EXTENT,
            view_rect: EXTENT.rect(),
            row_pitch: EXTENT.width as usize * self.format.bytes_per_pixel(),
            bytes: &self.bytes,
        }
    }
}

fn required() -> Vec<Texture> {
    let normal: Vec<u8> = [0.0f32, 0.0, 1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    vec![
        Texture::new(EnginePlaneKind::Depth, PlaneFormat::R32Float, &4.0f32.to_le_bytes()),
        Texture::new(EnginePlaneKind::Normal, PlaneFormat::Rgb32Float, &normal),
        Texture::new(EnginePlaneKind::Albedo, PlaneFormat::Rgba8Srgb, &[200, 100, 50, 7]),
        Texture::new(EnginePlaneKind::RoughnessMetalness, PlaneFormat::Rg8Unorm, &[128, 255]),
    ]
}

fn planes(textures: &[Texture]) -> Vec<EnginePlane<'_>> {
    textures.iter().map(Texture::plane).collect()
}

fn camera() -> Camera {
    Camera::with_fov(1.0, EXTENT.width as f32 / EXTENT.height as f32)
}

fn converted(textures: &[Texture], convention: &Convention, previous: &Camera) -> GBuffer {
    let mut out = GBuffer::default();
    convert(&mut out, &planes(textures), convention, &camera(), previous, &Inline).unwrap();
    out
}

fn motion(packed: u32) -> Vec2 {
    let half = |bits: u32| f16::from_bits(bits as u16).to_f32();
    Vec2::new(half(packed), half(packed >> 16))
}

#[test]
fn what_is_in_rayloom_s_own_convention_stays_as_it_is() {
    let mut textures = required();
    textures.push(Texture::new(EnginePlaneKind::InstanceId, PlaneFormat::R16Uint, &[41, 0]));
    textures.push(Texture::new(EnginePlaneKind::Emissive, PlaneFormat::Rgba16Float, &[0, 0x3c, 0, 0, 0, 0, 0, 0]));
    let out = converted(&textures, &Convention::GLTF, &camera());
    let all = |plane: &[u32], value: u32| {
        assert_eq!(plane.len(), EXTENT.pixels());
        assert!(plane.iter().all(|v| *v == value), "{:x} instead of {value:x}", plane[0]);
    };
    assert!(out.primary.depth.iter().all(|depth| *depth == 4.0));
    assert_eq!(decode_normal(out.primary.normal[5]), Vec3::Z);
    all(&out.primary.base_color, 200 | 100 << 8 | 50 << 16 | 255 << 24);
    all(&out.primary.material, 128 | 255 << 8 | 1 << 24);
    all(&out.primary.instance_id, 42);
    // RGB9E5 of 1: mantissa 256 and exponent 16.
    all(&out.emissive, 256 | 16 << 27);
    assert!(out.geometric_normal.is_empty());
    assert!(out.primary.motion.iter().all(|packed| motion(*packed).length() < 1e-3));
}

#[test]
fn sky_is_empty_but_moves_with_the_camera() {
    let mut textures = required();
    textures[0] = Texture::new(EnginePlaneKind::Depth, PlaneFormat::R32Float, &f32::NAN.to_le_bytes());
    let mut previous = camera();
    previous.rotation = Quat::from_rotation_y(0.02);
    previous.position = Vec3::X;
    let out = converted(&textures, &Convention::GLTF, &previous);
    assert!(out.primary.depth.iter().all(|depth| *depth == SKY_DEPTH));
    for plane in [&out.primary.normal, &out.primary.base_color, &out.primary.material, &out.primary.instance_id] {
        assert!(plane.iter().all(|v| *v == 0));
    }
    // The camera turned right by 0.02 since: what it sees was further right. Its own step moves no sky.
    let middle = EXTENT.pixels() / 2;
    assert!(motion(out.primary.motion[middle]).x > 0.1);
    assert!(out.emissive.is_empty());
}

#[test]
fn motion_that_is_missing_is_that_of_a_still_world() {
    let mut previous = camera();
    previous.position = Vec3::new(0.1, -0.2, 0.3);
    let out = converted(&required(), &Convention::GLTF, &previous);
    let size = Vec2::new(EXTENT.width as f32, EXTENT.height as f32);
    for (x, y) in [(0u32, 0u32), (69, 18), (35, 3)] {
        let pixel = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
        let point = camera().position + camera().ray(pixel, size) * 4.0;
        let expected = previous.project(point, size).0 - pixel;
        let found = motion(out.primary.motion[(y * EXTENT.width + x) as usize]);
        assert!((found - expected).length() < 0.01, "{found} is not {expected}");
    }
}

#[test]
fn motion_of_objects_alone_gets_the_camera_s_and_jitter_is_taken_out() {
    let mut textures = required();
    let moved: Vec<u8> = [3.0f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    textures.push(Texture::new(EnginePlaneKind::Motion, PlaneFormat::Rg32Float, &moved));
    let mut previous = camera();
    previous.position = Vec3::new(0.1, 0.0, 0.0);
    previous.jitter = Vec2::new(0.25, -0.5);
    let still = converted(&required(), &Convention::GLTF, &previous);
    let convention = Convention {
        motion_content: rayloom_frame::convention::MotionContent::ObjectsOnly,
        motion_jitter: rayloom_frame::convention::MotionJitter::Included,
        ..Convention::GLTF
    };
    let out = converted(&textures, &convention, &previous);
    for (still, all) in still.primary.motion.iter().zip(&out.primary.motion) {
        let difference = motion(*all) - motion(*still);
        assert!((difference - Vec2::new(3.25, -2.5)).length() < 0.02, "{difference}");
    }
}

#[test]
fn normals_of_view_space_turn_with_the_camera() {
    let mut textures = required();
    textures[1] = Texture::new(EnginePlaneKind::Normal, PlaneFormat::Rgb10A2Unorm, &u32::to_le_bytes(512 | 512 << 10));
    let convention =
        Convention { normal_space: NormalSpace::View, normal_encoding: NormalEncoding::Biased, ..Convention::UNITY };
    let convention = Convention { depth_encoding: Convention::GLTF.depth_encoding, ..convention };
    let mut out = GBuffer::default();
    let turned = Camera { rotation: Quat::from_rotation_y(0.5), ..camera() };
    convert(&mut out, &planes(&textures), &convention, &turned, &turned, &Inline).unwrap();
    // Unity's camera looks along +Z: -Z is towards it, which is glTF's +Z.
    let expected = Quat::from_rotation_y(0.5) * Vec3::Z;
    assert!((decode_normal(out.primary.normal[0]) - expected).length() < 0.01);
}

#[test]
fn smoothness_and_other_channels_are_found_where_the_convention_says() {
    let mut textures = required();
    textures[3] = Texture::new(EnginePlaneKind::RoughnessMetalness, PlaneFormat::Rgba8Unorm, &[9, 1, 55, 3]);
    let convention = Convention {
        roughness_channel: 2,
        metalness_channel: 0,
        roughness_kind: RoughnessKind::Smoothness,
        ..Convention::GLTF
    };
    let out = converted(&textures, &convention, &camera());
    assert_eq!(out.primary.material[0], 200 | 9 << 8 | 1 << 24);
}

#[test]
fn a_view_inside_of_a_padded_unaligned_texture_is_found() {
    let textures = required();
    let expected = converted(&textures, &Convention::GLTF, &camera());
    let (x, y, pitch) = (3u32, 2u32, 83 * 4 + 3);
    let mut bytes = vec![0xee; 1 + pitch * 24];
    for row in 0..EXTENT.height as usize {
        let at = 1 + (row + y as usize) * pitch + x as usize * 4;
        bytes[at..at + EXTENT.width as usize * 4].copy_from_slice(&4.0f32.to_le_bytes().repeat(EXTENT.width as usize));
    }
    let mut planes = planes(&textures);
    planes[0] = EnginePlane {
        extent: Extent::new(83, 24),
        view_rect: Rect::new(x, y, EXTENT.width, EXTENT.height),
        row_pitch: pitch,
        // The last row need not be padded.
        bytes: &bytes[1..bytes.len() - 3],
        ..planes[0]
    };
    let mut out = GBuffer::default();
    convert(&mut out, &planes, &Convention::GLTF, &camera(), &camera(), &Inline).unwrap();
    assert_eq!(out, expected);
}

#[test]
fn bands_in_any_order_give_the_same_and_memory_is_kept() {
    struct Backwards;
    impl Workers for Backwards {
        fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
            (0..parts).rev().for_each(work);
        }
    }
    let textures = required();
    let expected = converted(&textures, &Convention::GLTF, &camera());
    let mut out = GBuffer::default();
    let mut memory = None;
    for _ in 0..3 {
        convert(&mut out, &planes(&textures), &Convention::GLTF, &camera(), &camera(), &Backwards).unwrap();
        assert_eq!(out, expected);
        let address = out.primary.depth.as_ptr();
        assert_eq!(*memory.get_or_insert(address), address);
    }
}

#[test]
fn what_is_wrong_with_a_plane_is_said_with_the_value() {
    let textures = required();
    let refused = |change: fn(&mut Vec<EnginePlane<'_>>), texts: &[&str]| {
        let mut planes = planes(&textures);
        change(&mut planes);
        let message = check(&planes, EXTENT).unwrap_err().to_string();
        for text in texts {
            assert!(message.contains(text), "{message}");
        }
    };
    refused(|planes| planes.truncate(2), &["albedo plane", "missing"]);
    refused(|planes| planes.clear(), &["depth plane", "missing"]);
    refused(|planes| planes.push(planes[1]), &["normal plane", "two"]);
    refused(|planes| planes[0].row_pitch = 279, &["depth plane", "279", "280"]);
    refused(|planes| planes[0].row_pitch = usize::MAX, &["depth plane", "bytes"]);
    refused(|planes| planes[0].bytes = &planes[0].bytes[1..], &["5319", "5320"]);
    refused(|planes| planes[0].extent.width = 0, &["0 x 19"]);
    refused(|planes| planes[0].extent.height = 16385, &["16385"]);
    refused(|planes| planes[0].view_rect.width = 69, &["69 x 19", "70 x 19"]);
    refused(|planes| planes[0].view_rect.x = u32::MAX, &["4294967365"]);
    refused(|planes| planes[0].format = PlaneFormat::Rgba8Unorm, &["RAYLOOM_FORMAT_RGBA8_UNORM", "D24_UNORM_S8"]);
    assert!(check(&planes(&textures), Extent::new(0, 4)).is_err());
    let mut out = GBuffer::default();
    let broken = Camera { tan_half_fov: Vec2::ZERO, ..camera() };
    assert!(convert(&mut out, &planes(&textures), &Convention::GLTF, &broken, &camera(), &Inline).is_err());
    assert!(convert(&mut out, &planes(&textures), &Convention::UNREAL, &camera(), &camera(), &Inline).is_err());
    assert_eq!(out, GBuffer::default());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_format_give_numbers(
        seed: u64,
        formats in prop::array::uniform8(0usize..26),
        encoding in 0usize..6,
        preset in 0usize..3,
    ) {
        let noise = |salt: u64| {
            let mut state = seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            move || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            }
        };
        let textures: Vec<Texture> = EnginePlaneKind::ALL.into_iter().zip(formats).map(|(kind, index)| {
            let mut formats = PlaneFormat::ALL.into_iter().cycle().skip(index);
            let format = formats.find(|format| kind.allows(*format)).unwrap();
            let mut byte = noise(kind as u64 + 1);
            let bytes = (0..EXTENT.pixels() * format.bytes_per_pixel()).map(|_| byte()).collect();
            Texture { kind, format, bytes }
        }).collect();
        let preset = [Convention::GLTF, Convention::UNREAL, Convention::UNITY][preset];
        let convention = Convention {
            depth_encoding: rayloom_frame::convention::DepthEncoding::ALL[encoding],
            near: 0.1,
            far: 50.0,
            roughness_channel: 1,
            metalness_channel: 0,
            normal_encoding: NormalEncoding::Octahedral,
            ..preset
        };
        let out = converted(&textures, &convention, &camera());
        for depth in &out.primary.depth {
            prop_assert!(*depth > 0.0);
        }
        for packed in &out.primary.motion {
            prop_assert!(motion(*packed).is_finite());
        }
    }
}
