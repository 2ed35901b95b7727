//! Little-endian reading and writing of fields, each read checked against the bytes that are left.

use crate::WireError;
use bytes::{BufMut, Bytes, BytesMut};
use glam::{Affine3A, Mat3A, Quat, Vec2, Vec3, Vec3A};
use rayloom_frame::{Extent, Rect};
use rayloom_scene::{Camera, Light, LightShape};

/// Reads fields off the front of a message.
pub(crate) struct Reader {
    bytes: Bytes,
}

macro_rules! read_number {
    ($($name:ident: $type:ty),*) => {$(
        pub(crate) fn $name(&mut self, field: &'static str) -> Result<$type, WireError> {
            const N: usize = size_of::<$type>();
            let taken = self.take(field, N)?;
            let mut raw = [0; N];
            raw.copy_from_slice(&taken);
            Ok(<$type>::from_le_bytes(raw))
        }
    )*};
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Reader {
        Reader { bytes }
    }

    read_number!(u8: u8, u16: u16, u32: u32, u64: u64, f32: f32);

    pub(crate) fn take(&mut self, field: &'static str, needed: usize) -> Result<Bytes, WireError> {
        let left = self.bytes.len();
        if needed > left {
            return Err(WireError::Truncated { field, needed, left });
        }
        Ok(self.bytes.split_to(needed))
    }

    pub(crate) fn rest(&mut self, field: &'static str, most: usize) -> Result<Bytes, WireError> {
        let left = self.bytes.len();
        bounded(field, left, most)?;
        self.take(field, left)
    }

    pub(crate) fn finish(self) -> Result<(), WireError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(WireError::Trailing(self.bytes.len())) }
    }

    /// A count of items of at least `item_bytes` each: bounded by `most` and by the bytes that are left.
    pub(crate) fn count(&mut self, field: &'static str, most: usize, item_bytes: usize) -> Result<usize, WireError> {
        let count = usize::from(self.u16(field)?);
        bounded(field, count, most)?;
        let needed = count * item_bytes;
        if needed > self.bytes.len() {
            return Err(WireError::Truncated { field, needed, left: self.bytes.len() });
        }
        Ok(count)
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<String, WireError> {
        let length = self.count(field, crate::limits::TEXT_BYTES, 1)?;
        let raw = self.take(field, length)?;
        String::from_utf8(raw.to_vec()).map_err(|_| WireError::NotText(field))
    }

    pub(crate) fn hash(&mut self, field: &'static str) -> Result<[u8; 32], WireError> {
        let mut hash = [0; 32];
        hash.copy_from_slice(&self.take(field, 32)?);
        Ok(hash)
    }

    pub(crate) fn finite(&mut self, field: &'static str) -> Result<f32, WireError> {
        let value = self.f32(field)?;
        if value.is_finite() { Ok(value) } else { Err(out_of_range(field, value, "finite")) }
    }

    pub(crate) fn vec2(&mut self, field: &'static str) -> Result<Vec2, WireError> {
        Ok(Vec2::new(self.finite(field)?, self.finite(field)?))
    }

    pub(crate) fn vec3(&mut self, field: &'static str) -> Result<Vec3, WireError> {
        Ok(Vec3::new(self.finite(field)?, self.finite(field)?, self.finite(field)?))
    }

    pub(crate) fn extent(&mut self, field: &'static str) -> Result<Extent, WireError> {
        let side = u32::from(self.u16(field)?);
        let extent = Extent::new(side, u32::from(self.u16(field)?));
        let allowed = 1..=crate::limits::VIEW_SIDE;
        if allowed.contains(&extent.width) && allowed.contains(&extent.height) {
            Ok(extent)
        } else {
            Err(out_of_range(field, format!("{}x{}", extent.width, extent.height), "1x1 to 16384x16384"))
        }
    }

    pub(crate) fn rect(&mut self, field: &'static str) -> Result<Rect, WireError> {
        let rect = Rect::new(
            u32::from(self.u16(field)?),
            u32::from(self.u16(field)?),
            u32::from(self.u16(field)?),
            u32::from(self.u16(field)?),
        );
        if rect.is_empty() { Err(out_of_range(field, format!("{rect:?}"), "at least 1x1")) } else { Ok(rect) }
    }

    pub(crate) fn camera(&mut self, field: &'static str) -> Result<Camera, WireError> {
        let camera = Camera {
            position: self.vec3(field)?,
            rotation: Quat::from_xyzw(
                self.finite(field)?,
                self.finite(field)?,
                self.finite(field)?,
                self.finite(field)?,
            ),
            tan_half_fov: self.vec2(field)?,
            center: self.vec2(field)?,
            jitter: self.vec2(field)?,
        };
        if camera.is_valid() { Ok(camera) } else { Err(out_of_range(field, format!("{camera:?}"), "a valid camera")) }
    }

    pub(crate) fn transform(&mut self, field: &'static str) -> Result<Affine3A, WireError> {
        let columns = [self.vec3(field)?, self.vec3(field)?, self.vec3(field)?];
        let translation = self.vec3(field)?;
        let matrix3 = Mat3A::from_cols(columns[0].into(), columns[1].into(), columns[2].into());
        let determinant = matrix3.determinant();
        if determinant == 0.0 || !determinant.is_finite() {
            return Err(out_of_range(field, format!("determinant {determinant}"), "an invertible matrix"));
        }
        Ok(Affine3A { matrix3, translation: Vec3A::from(translation) })
    }

    pub(crate) fn light(&mut self, field: &'static str) -> Result<Light, WireError> {
        let shape = match self.u8(field)? {
            0 => LightShape::Directional { angle: self.finite(field)? },
            1 => LightShape::Point,
            2 => LightShape::Spot { inner: self.finite(field)?, outer: self.finite(field)? },
            value => return Err(unknown("light shape", value)),
        };
        let (color, range) = (self.vec3(field)?, self.finite(field)?);
        let position = if matches!(shape, LightShape::Directional { .. }) { Vec3::ZERO } else { self.vec3(field)? };
        let direction = if matches!(shape, LightShape::Point) { Vec3::NEG_Z } else { self.vec3(field)? };
        Ok(Light { shape, color, position, direction, range, user_id: 0 })
    }
}

/// Appends fields to a message.
pub(crate) struct Writer {
    bytes: BytesMut,
}

macro_rules! write_number {
    ($($name:ident: $type:ty),*) => {$(
        pub(crate) fn $name(&mut self, value: $type) {
            self.bytes.put_slice(&value.to_le_bytes());
        }
    )*};
}

impl Writer {
    pub(crate) fn new(kind: u8) -> Writer {
        let mut bytes = BytesMut::with_capacity(256);
        bytes.put_u8(kind);
        Writer { bytes }
    }

    write_number!(u8: u8, u16: u16, u32: u32, u64: u64, f32: f32);

    pub(crate) fn finish(self) -> Bytes {
        self.bytes.freeze()
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.put_slice(bytes);
    }

    /// A count of items; callers keep to the limits that the reader enforces.
    pub(crate) fn count(&mut self, count: usize) {
        self.u16(u16::try_from(count).expect("limits keep counts below 65536"));
    }

    /// Text, cut at the limit (at a character's boundary).
    pub(crate) fn text(&mut self, text: &str) {
        let end = text.floor_char_boundary(crate::limits::TEXT_BYTES.min(text.len()));
        self.count(end);
        self.raw(&text.as_bytes()[..end]);
    }

    pub(crate) fn vec2(&mut self, v: Vec2) {
        v.to_array().into_iter().for_each(|c| self.f32(c));
    }

    pub(crate) fn vec3(&mut self, v: Vec3) {
        v.to_array().into_iter().for_each(|c| self.f32(c));
    }

    fn pixels(&mut self, value: u32) {
        self.u16(u16::try_from(value).expect("views are at most 16384 pixels wide"));
    }

    pub(crate) fn extent(&mut self, extent: Extent) {
        self.pixels(extent.width);
        self.pixels(extent.height);
    }

    pub(crate) fn rect(&mut self, rect: Rect) {
        [rect.x, rect.y, rect.width, rect.height].into_iter().for_each(|v| self.pixels(v));
    }

    pub(crate) fn camera(&mut self, camera: &Camera) {
        self.vec3(camera.position);
        camera.rotation.to_array().into_iter().for_each(|c| self.f32(c));
        self.vec2(camera.tan_half_fov);
        self.vec2(camera.center);
        self.vec2(camera.jitter);
    }

    pub(crate) fn transform(&mut self, t: &Affine3A) {
        [t.matrix3.x_axis, t.matrix3.y_axis, t.matrix3.z_axis, t.translation]
            .into_iter()
            .for_each(|v| self.vec3(v.into()));
    }

    pub(crate) fn light(&mut self, light: &Light) {
        match light.shape {
            LightShape::Directional { angle } => {
                self.u8(0);
                self.f32(angle);
            }
            LightShape::Point => self.u8(1),
            LightShape::Spot { inner, outer } => {
                self.u8(2);
                self.f32(inner);
                self.f32(outer);
            }
        }
        self.vec3(light.color);
        self.f32(light.range);
        if !matches!(light.shape, LightShape::Directional { .. }) {
            self.vec3(light.position);
        }
        if !matches!(light.shape, LightShape::Point) {
            self.vec3(light.direction);
        }
    }
}

pub(crate) fn bounded(field: &'static str, value: usize, most: usize) -> Result<(), WireError> {
    if value <= most { Ok(()) } else { Err(out_of_range(field, value, format!("at most {most}"))) }
}

pub(crate) fn out_of_range(field: &'static str, value: impl ToString, allowed: impl ToString) -> WireError {
    WireError::OutOfRange { field, value: value.to_string(), allowed: allowed.to_string() }
}

pub(crate) fn unknown(what: &'static str, value: u8) -> WireError {
    WireError::Unknown { what, value: u32::from(value), versions: crate::VERSION }
}
