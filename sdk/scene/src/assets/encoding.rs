//! Little-endian fields, written and read; every count is checked against the bytes that are left before it is believed.

use crate::SceneError;
use bytemuck::{Pod, Zeroable};

/// Grows a blob.
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn new(magic: &[u8; 4], version: u32, capacity: usize) -> Writer {
        let mut bytes = Vec::with_capacity(capacity + 8);
        bytes.extend_from_slice(magic);
        bytes.extend_from_slice(&version.to_le_bytes());
        Writer(bytes)
    }

    /// One plain value, or an array of plain values, as it lies in memory.
    pub(super) fn put<T: Pod>(&mut self, value: T) {
        self.0.extend_from_slice(bytemuck::bytes_of(&value));
    }

    pub(super) fn put_all<T: Pod>(&mut self, values: &[T]) {
        self.0.extend_from_slice(bytemuck::cast_slice(values));
    }
}

/// Walks over a blob that may be forged.
pub(super) struct Reader<'a> {
    what: &'static str,
    left: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    /// Checks the four letters and the version.
    pub(super) fn new(
        what: &'static str,
        bytes: &'a [u8],
        magic: &[u8; 4],
        version: u32,
    ) -> Result<Reader<'a>, SceneError> {
        let mut reader = Reader { what, left: bytes, total: bytes.len() };
        let found: [u8; 4] = reader.get()?;
        if found != *magic {
            return Err(reader.error(format!("begins with {found:02x?}, which is no {what}")));
        }
        let found: u32 = reader.get()?;
        if found != version {
            return Err(reader.error(format!("has format version {found}; this build reads version {version}")));
        }
        Ok(reader)
    }

    pub(super) fn get<T: Pod>(&mut self) -> Result<T, SceneError> {
        Ok(bytemuck::pod_read_unaligned(self.bytes(size_of::<T>())?))
    }

    /// `count` values; nothing is allocated unless they are there.
    pub(super) fn get_all<T: Pod + Zeroable>(&mut self, count: usize) -> Result<Vec<T>, SceneError> {
        let size = count.saturating_mul(size_of::<T>());
        let bytes = self.bytes(size)?;
        let mut values = vec![T::zeroed(); count];
        bytemuck::cast_slice_mut(&mut values).copy_from_slice(bytes);
        Ok(values)
    }

    /// A count of records of at least `record_size` bytes each, refused if they cannot all be there.
    pub(super) fn count(&mut self, record_size: usize) -> Result<usize, SceneError> {
        let count = self.get::<u32>()? as usize;
        if count.saturating_mul(record_size) > self.left.len() {
            return Err(self.error(format!(
                "promises {count} records of {record_size} bytes, but {} bytes are left",
                self.left.len()
            )));
        }
        Ok(count)
    }

    pub(super) fn bytes(&mut self, size: usize) -> Result<&'a [u8], SceneError> {
        match self.left.split_at_checked(size) {
            Some((head, tail)) => {
                self.left = tail;
                Ok(head)
            }
            None => Err(self.error(format!("is truncated: {size} bytes are needed, {} are left", self.left.len()))),
        }
    }

    /// Everything up to the end.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    pub(super) fn finish(self) -> Result<(), SceneError> {
        if self.left.is_empty() { Ok(()) } else { Err(self.error(format!("has {} bytes too many", self.left.len()))) }
    }

    pub(super) fn error(&self, reason: String) -> SceneError {
        SceneError::Packed(format!(
            "{} {reason} (at byte {} of {})",
            self.what,
            self.total - self.left.len(),
            self.total
        ))
    }
}
