//! A scene as blobs named by their content, so that a peer asks only for what it lacks.
//!
//! [`pack`] turns a scene into one *root* (tables of materials, instances, lights, sky, cameras, and the names and lengths
//! of what they refer to) and one blob per mesh and texture. **Moving an instance or a light changes the root alone**: the
//! blobs keep their names and are not sent again. A [`Packer`] remembers meshes and textures by their `Arc`, so that they
//! are not even hashed again; an [`Assembler`] hands the same `Arc` out again on the other side, so that a renderer sees
//! what stayed.
//!
//! ```
//! use rayloom_scene::{assets, city};
//! # fn main() -> Result<(), rayloom_scene::SceneError> {
//! let scene = city(20_000, 1);
//! let packed = assets::pack(&scene);
//! let root = assets::unpack_root(&packed.root.bytes)?;
//! let again = root.assemble(&mut |id| packed.blobs.iter().find(|b| b.id == id).map(|b| b.bytes.clone()))?;
//! assert_eq!(again.instances, scene.instances);
//! # Ok(())
//! # }
//! ```
//!
//! All numbers are little endian, arrays are stored as they lie in memory, and every blob begins with four letters and a
//! version.

mod assembler;
mod encoding;
mod mesh_blob;
mod packer;
mod root;

pub use assembler::Assembler;
pub use packer::{PackedScene, Packer, pack};
pub use root::{BlobRef, RootTables, unpack_root};

use bytes::Bytes;
use std::fmt;
use std::str::FromStr;

#[cfg(target_endian = "big")]
compile_error!("vertex arrays are copied as they lie in memory, which is the format only on little-endian machines");

/// The BLAKE3 hash of a blob's bytes: its name everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; 32]);

impl BlobId {
    /// The name of these bytes. Hashes about 2 GB/s on one core.
    pub fn of(bytes: &[u8]) -> BlobId {
        BlobId(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for BlobId {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    /// The first 8 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for BlobId {
    type Err = crate::SceneError;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<BlobId, crate::SceneError> {
        blake3::Hash::from_hex(text)
            .map(|hash| BlobId(*hash.as_bytes()))
            .map_err(|e| crate::SceneError::Packed(format!("{text:?} is no blob name (64 hexadecimal digits): {e}")))
    }
}

/// Bytes and their name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// BLAKE3 of `bytes`.
    pub id: BlobId,
    /// The content; cloning shares it.
    pub bytes: Bytes,
}

impl Blob {
    /// Names these bytes.
    pub fn new(bytes: Bytes) -> Blob {
        Blob { id: BlobId::of(&bytes), bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_from_its_text() {
        let id = BlobId::of(b"rayloom");
        assert_eq!(id.to_string().parse::<BlobId>().unwrap(), id);
        assert_eq!(id.to_string().len(), 64);
        for bad in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert!(bad.parse::<BlobId>().is_err());
        }
    }
}
