//! Accessors: typed arrays in buffers, with strides, normalised integers and sparse replacements.

use super::document::Document;
use crate::SceneError;
use bytes::Bytes;
use gltf::json::accessor::{Accessor, ComponentType, IndexComponentType, Type};
use gltf::json::validation::Checked;
use gltf::json::{Index, buffer};

/// Elements that an accessor without bytes behind it (all zeros, or sparse) may have in any document.
const MAX_BARE_ELEMENTS: u64 = 1 << 16;

/// Where an accessor's elements lie.
struct Layout {
    count: usize,
    /// Bytes from one element to the next.
    stride: usize,
    component: ComponentType,
    components: usize,
    normalized: bool,
    /// From the first element on; `None` = zeros.
    bytes: Option<Bytes>,
}

impl Document {
    /// Elements of `N` numbers each, converted to f32; `N` must be the accessor's own.
    pub(super) fn read_vectors<const N: usize>(
        &self,
        index: Index<Accessor>,
        position: &str,
    ) -> Result<Vec<[f32; N]>, SceneError> {
        let layout = self.layout(index, position)?;
        let at = format!("accessors[{}]", index.value());
        if layout.components != N {
            return Err(self.fail(position, format!("needs {N} components, but {at} has {}", layout.components)));
        }
        if layout.component == ComponentType::U32 {
            return Err(self.fail(position, format!("{at} has 32-bit integers, which no vertex attribute may have")));
        }
        let size = layout.component.size();
        let scale = if layout.normalized { normalization(layout.component) } else { 1.0 };
        let decode = |element: &[u8]| -> [f32; N] {
            std::array::from_fn(|c| decode_component(layout.component, &element[c * size..], scale))
        };
        let mut out = match &layout.bytes {
            None => vec![[0.0; N]; layout.count],
            // Nearly all attributes are floats: this loop has no match inside.
            Some(bytes) if layout.component == ComponentType::F32 => (0..layout.count)
                .map(|i| {
                    let element = &bytes[i * layout.stride..i * layout.stride + 4 * N];
                    std::array::from_fn(|c| {
                        f32::from_le_bytes([element[4 * c], element[4 * c + 1], element[4 * c + 2], element[4 * c + 3]])
                    })
                })
                .collect(),
            Some(bytes) => (0..layout.count).map(|i| decode(&bytes[i * layout.stride..])).collect(),
        };
        self.apply_sparse(index, position, &mut out, size * N, decode)?;
        Ok(out)
    }

    /// Vertex indices of any width.
    pub(super) fn read_indices(&self, index: Index<Accessor>, position: &str) -> Result<Vec<u32>, SceneError> {
        let layout = self.layout(index, position)?;
        let at = format!("accessors[{}]", index.value());
        if layout.components != 1 {
            return Err(self.fail(position, format!("needs scalars, but {at} has {} components", layout.components)));
        }
        let decode: fn(&[u8]) -> u32 = match layout.component {
            ComponentType::U8 => |b| u32::from(b[0]),
            ComponentType::U16 => |b| u32::from(u16::from_le_bytes([b[0], b[1]])),
            ComponentType::U32 => |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            other => {
                return Err(self.fail(position, format!("{at} has components {other:?}; indices are U8, U16 or U32")));
            }
        };
        let mut out = match &layout.bytes {
            None => vec![0; layout.count],
            Some(bytes) => (0..layout.count).map(|i| decode(&bytes[i * layout.stride..])).collect(),
        };
        self.apply_sparse(index, position, &mut out, layout.component.size(), decode)?;
        Ok(out)
    }

    /// Number of elements that an accessor claims.
    pub(super) fn count(&self, index: Index<Accessor>, position: &str) -> Result<u64, SceneError> {
        Ok(self.get(index, position)?.count.0)
    }

    fn layout(&self, index: Index<Accessor>, position: &str) -> Result<Layout, SceneError> {
        let accessor = self.get(index, position)?;
        let at = format!("accessors[{}]", index.value());
        let Checked::Valid(gltf::json::accessor::GenericComponentType(component)) = accessor.component_type else {
            return Err(self.fail(&format!("{at}.componentType"), "is none of 5120, 5121, 5122, 5123, 5125, 5126"));
        };
        let components = match accessor.type_ {
            Checked::Valid(Type::Scalar) => 1,
            Checked::Valid(Type::Vec2) => 2,
            Checked::Valid(Type::Vec3) => 3,
            Checked::Valid(Type::Vec4) => 4,
            Checked::Valid(Type::Mat4) => 16,
            _ => return Err(self.fail(&format!("{at}.type"), "must be SCALAR, VEC2, VEC3, VEC4 or MAT4 here")),
        };
        let element = component.size() * components;
        let count = accessor.count.0;
        let mut stride = element;
        let bytes = match accessor.buffer_view {
            None => {
                if count > MAX_BARE_ELEMENTS.max(self.input_bytes) {
                    return Err(self.fail(&format!("{at}.count"), format!("is {count}, but no bytes stand behind it")));
                }
                None
            }
            Some(view) => {
                let (description, bytes) = self.view(view, &format!("{at}.bufferView"))?;
                stride = description.byte_stride.map_or(element, |s| s.0);
                if stride < component.size() {
                    return Err(self.fail(
                        &format!("bufferViews[{}].byteStride", view.value()),
                        format!("is {stride}, less than one component"),
                    ));
                }
                let offset = accessor.byte_offset.unwrap_or_default().0;
                Some(self.window(&bytes, offset, count, stride, element, &at, view)?)
            }
        };
        Ok(Layout { count: count as usize, stride, component, components, normalized: accessor.normalized, bytes })
    }

    /// The part of a view from `offset` on, which must hold `count` elements.
    #[expect(clippy::too_many_arguments, reason = "one check with all that its message needs")]
    fn window(
        &self,
        view: &Bytes,
        offset: u64,
        count: u64,
        stride: usize,
        element: usize,
        at: &str,
        view_index: Index<buffer::View>,
    ) -> Result<Bytes, SceneError> {
        let needed = match count {
            0 => Some(0),
            _ => (count - 1).checked_mul(stride as u64).and_then(|n| n.checked_add(element as u64)),
        };
        let end = needed.and_then(|n| n.checked_add(offset)).filter(|end| *end <= view.len() as u64);
        match end {
            Some(_) => Ok(view.slice(offset as usize..)),
            None => Err(self.fail(
                at,
                format!(
                    "{count} elements of {element} bytes, {stride} apart, from byte {offset} do not fit into the {} bytes of bufferViews[{}]",
                    view.len(),
                    view_index.value()
                ),
            )),
        }
    }

    fn apply_sparse<T>(
        &self,
        index: Index<Accessor>,
        position: &str,
        out: &mut [T],
        element: usize,
        decode: impl Fn(&[u8]) -> T,
    ) -> Result<(), SceneError> {
        let Some(sparse) = &self.get(index, position)?.sparse else { return Ok(()) };
        let at = format!("accessors[{}].sparse", index.value());
        let Checked::Valid(IndexComponentType(width)) = sparse.indices.component_type else {
            return Err(self.fail(&format!("{at}.indices.componentType"), "is none of 5121, 5123, 5125"));
        };
        let (_, indices) = self.view(sparse.indices.buffer_view, &format!("{at}.indices.bufferView"))?;
        let (_, values) = self.view(sparse.values.buffer_view, &format!("{at}.values.bufferView"))?;
        let count = sparse.count.0;
        let size = width.size();
        let at_indices = format!("{at}.indices");
        let indices = self.window(
            &indices,
            sparse.indices.byte_offset.0,
            count,
            size,
            size,
            &at_indices,
            sparse.indices.buffer_view,
        )?;
        let at_values = format!("{at}.values");
        let values = self.window(
            &values,
            sparse.values.byte_offset.0,
            count,
            element,
            element,
            &at_values,
            sparse.values.buffer_view,
        )?;
        for i in 0..count as usize {
            let b = &indices[i * size..];
            let target = match width {
                ComponentType::U8 => usize::from(b[0]),
                ComponentType::U16 => usize::from(u16::from_le_bytes([b[0], b[1]])),
                _ => u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize,
            };
            let length = out.len();
            let slot = out.get_mut(target).ok_or_else(|| {
                self.fail(&at_indices, format!("element {i} replaces {target}, but the accessor has {length} elements"))
            })?;
            *slot = decode(&values[i * element..]);
        }
        Ok(())
    }
}

/// What the largest value stands for 1 by.
fn normalization(component: ComponentType) -> f32 {
    match component {
        ComponentType::I8 => 1.0 / 127.0,
        ComponentType::U8 => 1.0 / 255.0,
        ComponentType::I16 => 1.0 / 32767.0,
        ComponentType::U16 => 1.0 / 65535.0,
        ComponentType::U32 | ComponentType::F32 => 1.0,
    }
}

fn decode_component(component: ComponentType, b: &[u8], scale: f32) -> f32 {
    // The most negative integer normalises to -1 as well (glTF 2.0, 3.6.2.2).
    let lower = if scale == 1.0 { f32::MIN } else { -1.0 };
    match component {
        ComponentType::I8 => (f32::from(b[0] as i8) * scale).max(lower),
        ComponentType::U8 => f32::from(b[0]) * scale,
        ComponentType::I16 => (f32::from(i16::from_le_bytes([b[0], b[1]])) * scale).max(lower),
        ComponentType::U16 => f32::from(u16::from_le_bytes([b[0], b[1]])) * scale,
        ComponentType::U32 => u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32,
        ComponentType::F32 => f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_normalise_to_the_ends_of_their_range() {
        let unit = |c, b: &[u8]| decode_component(c, b, normalization(c));
        assert_eq!(unit(ComponentType::I8, &[0x80]), -1.0);
        assert_eq!(unit(ComponentType::I8, &[127]), 1.0);
        assert_eq!(unit(ComponentType::U16, &[0xff, 0xff]), 1.0);
        assert_eq!(unit(ComponentType::I16, &0i16.to_le_bytes()), 0.0);
        assert_eq!(decode_component(ComponentType::I16, &(-300i16).to_le_bytes(), 1.0), -300.0);
    }
}
