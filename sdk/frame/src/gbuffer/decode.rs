//! What one raw pixel of a plane means under a convention.

use super::PlaneFormat;
use crate::SKY_DEPTH;
use crate::convention::{
    Convention, DepthEncoding, MotionContent, MotionDirection, MotionEncoding, MotionJitter, MotionUnit, MotionY,
    NormalEncoding, NormalSpace,
};
use glam::{Mat3, Vec2, Vec3};
use half::f16;
use rayloom_scene::Camera;

/// From raw depth to metres.
///
/// All encodings but the linear one are linear in 1 / distance: with `nearness` 1 at the near plane and 0 at the far
/// plane, 1 / distance is nearness / near + (1 - nearness) / far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DepthDecode {
    /// Metres of a unit for linear depth, 0 for the others.
    metres: f32,
    /// Linear depth in metres from which on it is sky.
    far: f32,
    nearness_scale: f32,
    nearness_offset: f32,
    one_by_near: f32,
    one_by_far: f32,
}

impl DepthDecode {
    pub(crate) fn new(convention: &Convention) -> DepthDecode {
        let unit = convention.metres_per_unit;
        let one_by_far = if convention.far > 0.0 { 1.0 / (convention.far * unit) } else { 0.0 };
        let (nearness_scale, nearness_offset) = match convention.depth_encoding {
            DepthEncoding::Linear | DepthEncoding::Reversed | DepthEncoding::ReversedInfinite => (1.0, 0.0),
            DepthEncoding::Forward | DepthEncoding::ForwardInfinite => (-1.0, 1.0),
            DepthEncoding::ForwardSigned => (-0.5, 0.5),
        };
        let infinite =
            matches!(convention.depth_encoding, DepthEncoding::ForwardInfinite | DepthEncoding::ReversedInfinite);
        DepthDecode {
            metres: if convention.depth_encoding == DepthEncoding::Linear { unit } else { 0.0 },
            far: if convention.far > 0.0 { convention.far * unit } else { f32::INFINITY },
            nearness_scale,
            nearness_offset,
            one_by_near: 1.0 / (convention.near * unit),
            one_by_far: if infinite { 0.0 } else { one_by_far },
        }
    }

    /// Planar distance in metres, above 0; [`SKY_DEPTH`] for sky and for what is no depth.
    #[inline]
    pub(crate) fn depth(&self, raw: f32) -> f32 {
        let distance = if self.metres > 0.0 {
            let distance = raw * self.metres;
            if distance < self.far { distance } else { SKY_DEPTH }
        } else {
            let nearness = raw * self.nearness_scale + self.nearness_offset;
            if nearness > 0.0 {
                1.0 / (nearness * self.one_by_near + (1.0 - nearness) * self.one_by_far)
            } else {
                SKY_DEPTH
            }
        };
        if distance > 0.0 { distance } else { SKY_DEPTH }
    }
}

/// From raw normals to glTF space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormalDecode {
    octahedral: bool,
    scale: f32,
    offset: f32,
    to_world: Mat3,
}

impl NormalDecode {
    /// The error says why a plane of this format can't be in this convention.
    pub(crate) fn new(convention: &Convention, format: PlaneFormat, camera: &Camera) -> Result<NormalDecode, String> {
        let octahedral = format.channels() == 2 || convention.normal_encoding == NormalEncoding::Octahedral;
        let biased = if octahedral {
            !format.is_signed()
        } else {
            let biased = convention.normal_encoding == NormalEncoding::Biased;
            if !biased && !format.is_signed() {
                return Err(format!(
                    "{} holds no negative numbers, so normals in it are not {}: set {}, or {}",
                    format.constant(),
                    NormalEncoding::Signed.constant(),
                    NormalEncoding::Biased.constant(),
                    NormalEncoding::Octahedral.constant()
                ));
            }
            biased
        };
        let to_world = match convention.normal_space {
            NormalSpace::World => convention.axes(),
            NormalSpace::View => Mat3::from_quat(camera.rotation) * convention.camera_space(),
        };
        let (scale, offset) = if biased { (2.0, -1.0) } else { (1.0, 0.0) };
        Ok(NormalDecode { octahedral, scale, offset, to_world })
    }

    /// A direction of any length; without one (zero or not finite) where the plane has none.
    #[inline]
    pub(crate) fn normal(&self, raw: [f32; 4]) -> Vec3 {
        let [x, y, z] = [raw[0], raw[1], raw[2]].map(|v| v * self.scale + self.offset);
        let local = if self.octahedral {
            let z = 1.0 - x.abs() - y.abs();
            let fold = (-z).max(0.0);
            Vec3::new(x - fold.copysign(x), y - fold.copysign(y), z)
        } else {
            Vec3::new(x, y, z)
        };
        self.to_world * local
    }
}

/// From raw motion to pixels: where a surface was minus where it is, +y down, without jitter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MotionDecode {
    encoding: MotionEncoding,
    unwritten: f32,
    scale: Vec2,
    offset: Vec2,
    objects_only: bool,
}

impl MotionDecode {
    pub(crate) fn new(convention: &Convention, extent: Vec2, camera: &Camera, previous: &Camera) -> MotionDecode {
        let mut scale = match convention.motion_unit {
            MotionUnit::Pixels => Vec2::ONE,
            MotionUnit::TextureCoordinates => extent,
            MotionUnit::NormalizedDevice => extent * 0.5,
        };
        if convention.motion_direction == MotionDirection::CurrentMinusPrevious {
            scale = -scale;
        }
        if convention.motion_y == MotionY::Up {
            scale.y = -scale.y;
        }
        // A jittered projection shows a point `jitter` less to the right and further up.
        let jitter = match convention.motion_jitter {
            MotionJitter::Excluded => Vec2::ZERO,
            MotionJitter::Included => previous.jitter - camera.jitter,
        };
        MotionDecode {
            encoding: convention.motion_encoding,
            unwritten: convention.motion_unwritten,
            scale,
            offset: jitter,
            objects_only: convention.motion_content == MotionContent::ObjectsOnly,
        }
    }

    /// Motion in pixels; `unmoved` gives that of a surface that stood still. None where the engine wrote none.
    #[inline]
    pub(crate) fn motion(&self, raw: [f32; 4], unmoved: impl FnOnce() -> Vec2) -> Option<Vec2> {
        if raw[0] == self.unwritten && raw[1] == self.unwritten {
            return None;
        }
        // Common.ush: 0.499 instead of 0.5 keeps 0 free for what is not written.
        let unreal = |v: f32| (v - 32767.0 / 65535.0) / (0.499 * 0.5);
        let value = Vec2::from_array([raw[0], raw[1]].map(|v| match self.encoding {
            MotionEncoding::Plain => v,
            MotionEncoding::Biased => v * 2.0 - 1.0,
            MotionEncoding::Unreal4 => unreal(v),
            MotionEncoding::Unreal5 => unreal(v) * unreal(v).abs() * 0.5,
        }));
        let motion = value * self.scale + self.offset;
        if !motion.is_finite() {
            return None;
        }
        Some(if self.objects_only { motion + unmoved() } else { motion })
    }
}

/// The motion of surfaces that stand still, by the cameras'.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StaticMotion {
    extent: Vec2,
    camera: Camera,
    previous: Camera,
    to_previous: Mat3,
    /// From the previous camera to this one.
    moved: Vec3,
}

impl StaticMotion {
    pub(crate) fn new(extent: Vec2, camera: &Camera, previous: &Camera) -> StaticMotion {
        StaticMotion {
            extent,
            camera: *camera,
            previous: *previous,
            to_previous: Mat3::from_quat(previous.rotation).transpose(),
            moved: camera.position - previous.position,
        }
    }

    /// Where what is seen at pixel (x, y) at this depth was minus where it is, in pixels; what was behind the previous
    /// camera was further off than any history reaches.
    #[inline]
    pub(crate) fn at(&self, x: u32, y: u32, depth: f32) -> Vec2 {
        let pixel = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
        let ray = self.camera.ray(pixel, self.extent);
        let was = self.to_previous * if depth.is_finite() { self.moved + ray * depth } else { ray };
        if was.z >= 0.0 {
            return Vec2::splat(f16::MAX.to_f32());
        }
        let ndc = was.truncate() / (-was.z * self.previous.tan_half_fov) + self.previous.center;
        let then = Vec2::new(ndc.x * 0.5 + 0.5, 0.5 - ndc.y * 0.5) * self.extent;
        then - (pixel + self.camera.jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a rasteriser writes, from the projection matrices of Vulkan, Direct3D and OpenGL.
    fn encode(encoding: DepthEncoding, z: f64, near: f64, far: f64) -> f32 {
        let forward = far / (far - near) - far * near / ((far - near) * z);
        (match encoding {
            DepthEncoding::Linear => z,
            DepthEncoding::Forward => forward,
            DepthEncoding::Reversed => 1.0 - forward,
            DepthEncoding::ForwardInfinite => 1.0 - near / z,
            DepthEncoding::ReversedInfinite => near / z,
            DepthEncoding::ForwardSigned => forward * 2.0 - 1.0,
        }) as f32
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn depth_comes_back_from_every_encoding(z in 0.5f64..50.0, index in 0usize..6, unit in 0.01f32..2.0) {
            let encoding = DepthEncoding::ALL[index];
            let (near, far) = (0.25, 100.0);
            let far_field = if index == 3 || index == 4 { 0.0 } else { far as f32 };
            let convention = Convention {
                depth_encoding: encoding, near: near as f32, far: far_field, metres_per_unit: unit, ..Convention::GLTF
            };
            convention.check().unwrap();
            let depth = DepthDecode::new(&convention).depth(encode(encoding, z, near, far));
            let expected = z as f32 * unit;
            prop_assert!((depth - expected).abs() < expected * 1e-4, "{depth} is not {expected}");
        }
    }

    #[test]
    fn the_far_plane_and_what_is_no_depth_are_sky() {
        for (encoding, raws) in [
            (DepthEncoding::Linear, [f32::INFINITY, -1.0, 0.0]),
            (DepthEncoding::Forward, [1.0, 1.5, f32::INFINITY]),
            (DepthEncoding::Reversed, [0.0, -0.0, -1.0]),
            (DepthEncoding::ReversedInfinite, [0.0, 1e-45, -1.0]),
            (DepthEncoding::ForwardSigned, [1.0, 2.0, f32::INFINITY]),
        ] {
            let convention = Convention { depth_encoding: encoding, far: 100.0, ..Convention::GLTF };
            for raw in raws.into_iter().chain([f32::NAN, f32::NEG_INFINITY].into_iter().take(1)) {
                assert_eq!(DepthDecode::new(&convention).depth(raw), SKY_DEPTH, "{encoding:?} {raw}");
            }
        }
    }

    #[test]
    fn unreal_s_velocity_comes_back() {
        let camera = Camera::with_fov(1.0, 2.0);
        let decode = MotionDecode::new(&Convention::UNREAL, Vec2::new(200.0, 100.0), &camera, &camera);
        // 20 pixels to the right and 5 down since the previous frame: 0.2 and -0.1 in device coordinates.
        let encode = |v: f32| v.signum() * (2.0 * v.abs()).sqrt() * 0.2495 + 32767.0 / 65535.0;
        let motion = decode.motion([encode(0.2), encode(-0.1), 0.0, 0.0], || Vec2::ZERO).unwrap();
        assert!((motion - Vec2::new(-20.0, -5.0)).length() < 1e-3, "{motion}");
        assert_eq!(decode.motion([0.0; 4], || Vec2::ZERO), None);
        assert_eq!(decode.motion([f32::NAN; 4], || Vec2::ZERO), None);
    }

    #[test]
    fn octahedral_normals_are_those_of_the_packed_ones() {
        let camera = Camera::with_fov(1.0, 2.0);
        let decode = NormalDecode::new(&Convention::GLTF, PlaneFormat::Rg16Snorm, &camera).unwrap();
        for n in [Vec3::new(0.1, -0.5, -0.8), Vec3::new(-0.7, 0.2, 0.3), Vec3::NEG_Z] {
            let packed = crate::normal::encode_normal(n).to_le_bytes();
            let mut raw = [[0.0; 4]];
            PlaneFormat::Rg16Snorm.read(&packed, &mut raw);
            assert!((decode.normal(raw[0]).normalize() - n.normalize()).length() < 1e-3);
        }
        let error = NormalDecode::new(&Convention::GLTF, PlaneFormat::Rgb10A2Unorm, &camera).unwrap_err();
        assert!(error.contains("RAYLOOM_NORMAL_BIASED"), "{error}");
    }
}
