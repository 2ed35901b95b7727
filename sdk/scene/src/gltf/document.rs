//! The document's container: GLB chunks, JSON, buffers, URIs.

use super::{Progress, Stage};
use crate::SceneError;
use base64::Engine;
use bytes::Bytes;
use gltf::json::{Index, Root, buffer, root::Get};
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 8 << 30;

/// Extensions that a document may require; all others are refused by name.
const SUPPORTED_EXTENSIONS: [&str; 7] = [
    "KHR_lights_punctual",
    "KHR_materials_emissive_strength",
    "KHR_materials_ior",
    "KHR_materials_transmission",
    "KHR_materials_volume",
    "KHR_mesh_quantization",
    "KHR_texture_transform",
];

/// A parsed document with its buffers.
pub(super) struct Document {
    path: PathBuf,
    pub(super) root: Root,
    buffers: Vec<Bytes>,
    /// Bytes of the document and its buffers: what decoded data is held against.
    pub(super) input_bytes: u64,
}

impl Document {
    pub(super) fn open(
        path: &Path,
        bytes: Bytes,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Document, SceneError> {
        let mut input_bytes = bytes.len() as u64;
        let (json, binary) = if bytes.starts_with(b"glTF") { split_glb(path, &bytes)? } else { (bytes, None) };
        let root = parse(path, &json)?;
        let mut document = Document { path: path.to_owned(), root, buffers: Vec::new(), input_bytes: 0 };
        document.check_versions()?;
        let total = document.root.buffers.len();
        for i in 0..total {
            let buffer = document.read_buffer(i, &binary)?;
            input_bytes = input_bytes.saturating_add(buffer.len() as u64);
            document.buffers.push(buffer);
            progress(Progress::Step { stage: Stage::Read, done: i + 1, total });
        }
        document.input_bytes = input_bytes;
        Ok(document)
    }

    /// An error at a position inside the document.
    pub(super) fn fail(&self, position: &str, reason: impl Into<String>) -> SceneError {
        malformed(&self.path, position, reason)
    }

    /// Follows a reference.
    pub(super) fn get<T>(&self, index: Index<T>, position: &str) -> Result<&T, SceneError>
    where
        Root: Get<T>,
    {
        self.root
            .get(index)
            .ok_or_else(|| self.fail(position, format!("refers to {}, which does not exist", index.value())))
    }

    /// The bytes of a buffer view.
    pub(super) fn view(
        &self,
        index: Index<buffer::View>,
        position: &str,
    ) -> Result<(&buffer::View, Bytes), SceneError> {
        let view = self.get(index, position)?;
        let at = format!("bufferViews[{}]", index.value());
        let buffer = self.buffers.get(view.buffer.value()).ok_or_else(|| {
            self.fail(&format!("{at}.buffer"), format!("refers to {}, which does not exist", view.buffer.value()))
        })?;
        let offset = view.byte_offset.unwrap_or_default().0;
        let end = offset.checked_add(view.byte_length.0).filter(|end| *end <= buffer.len() as u64);
        let Some(end) = end else {
            return Err(self.fail(
                &at,
                format!(
                    "bytes {offset} + {} lie beyond the {} bytes of buffers[{}]",
                    view.byte_length.0,
                    buffer.len(),
                    view.buffer.value()
                ),
            ));
        };
        Ok((view, buffer.slice(offset as usize..end as usize)))
    }

    /// The bytes behind a URI: a data URI or a file beside the document.
    pub(super) fn read_uri(&self, uri: &str, position: &str) -> Result<Bytes, SceneError> {
        if let Some(data) = uri.strip_prefix("data:") {
            let Some((_, encoded)) = data.split_once(";base64,") else {
                return Err(self.fail(position, "is a data URI without base64 data"));
            };
            return base64::engine::general_purpose::STANDARD
                .decode(encoded)
                .map(Bytes::from)
                .map_err(|e| self.fail(position, format!("holds damaged base64 data: {e}")));
        }
        let relative = percent_encoding::percent_decode_str(uri)
            .decode_utf8()
            .map_err(|_| self.fail(position, format!("URI {uri:?} is no UTF-8")))?;
        let stays_inside = !relative.is_empty()
            && !relative.contains(['\\', ':', '\0'])
            && relative.split('/').all(|segment| !segment.is_empty() && segment != "..");
        if !stays_inside {
            return Err(self.fail(
                position,
                format!("URI {uri:?} leaves the document's folder; only relative paths below it are read"),
            ));
        }
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let path = folder.join(relative.as_ref());
        read_file(&path).map_err(|error| match error {
            SceneError::Read { path, source } => {
                self.fail(position, format!("names {}, which cannot be read: {source}", path.display()))
            }
            other => other,
        })
    }

    fn read_buffer(&self, index: usize, binary: &Option<Bytes>) -> Result<Bytes, SceneError> {
        let buffer = &self.root.buffers[index];
        let at = format!("buffers[{index}]");
        let bytes = match (&buffer.uri, binary) {
            (Some(uri), _) => self.read_uri(uri, &format!("{at}.uri"))?,
            (None, Some(chunk)) if index == 0 => chunk.clone(),
            (None, _) => return Err(self.fail(&at, "has no uri, and there is no binary chunk for it")),
        };
        let length = buffer.byte_length.0;
        if length > bytes.len() as u64 {
            return Err(self
                .fail(&at, format!("is truncated: byteLength is {length}, but only {} bytes are there", bytes.len())));
        }
        Ok(bytes.slice(..length as usize))
    }

    fn check_versions(&self) -> Result<(), SceneError> {
        let asset = &self.root.asset;
        let needed = asset.min_version.as_ref().unwrap_or(&asset.version);
        if asset.version.split('.').next() != Some("2") || needed.as_str() > "2.0" {
            return Err(self.fail("asset.version", format!("is {needed}; glTF 2.0 is read")));
        }
        for (i, name) in self.root.extensions_required.iter().enumerate() {
            if !SUPPORTED_EXTENSIONS.contains(&name.as_str()) {
                return Err(unsupported(&self.path, i, name));
            }
        }
        Ok(())
    }
}

/// Reads a whole regular file (a pipe or a device would never end).
pub(super) fn read_file(path: &Path) -> Result<Bytes, SceneError> {
    let read = || -> std::io::Result<Vec<u8>> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(std::io::Error::other(format!(
                "its {} bytes exceed the limit of {MAX_FILE_BYTES}",
                metadata.len()
            )));
        }
        std::fs::read(path)
    };
    read().map(Bytes::from).map_err(|source| SceneError::Read { path: path.to_owned(), source })
}

/// JSON and binary chunk of a GLB file.
fn split_glb(path: &Path, bytes: &Bytes) -> Result<(Bytes, Option<Bytes>), SceneError> {
    let fail = |offset: usize, reason: String| malformed(path, &format!("byte {offset}"), reason);
    let word = |offset: usize| {
        let word = bytes.get(offset..offset + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        word.ok_or_else(|| fail(offset, format!("is truncated: the file has {} bytes", bytes.len())))
    };
    let version = word(4)?;
    if version != 2 {
        return Err(fail(4, format!("GLB version is {version}; version 2 is read")));
    }
    let length = word(8)? as usize;
    if length > bytes.len() {
        return Err(fail(8, format!("is truncated: the header promises {length} bytes, the file has {}", bytes.len())));
    }
    let mut json = None;
    let mut binary = None;
    let mut offset = 12;
    while offset < length {
        let (size, kind) = (word(offset)? as usize, word(offset + 4)?);
        let start = offset + 8;
        let end = start.checked_add(size).filter(|end| *end <= length);
        let Some(end) = end else {
            return Err(fail(offset, format!("a chunk of {size} bytes exceeds the file's {length}")));
        };
        match kind {
            0x4e4f_534a if json.is_none() => json = Some(bytes.slice(start..end)),
            0x004e_4942 if binary.is_none() => binary = Some(bytes.slice(start..end)),
            _ => {}
        }
        offset = end.next_multiple_of(4);
    }
    let json = json.ok_or_else(|| fail(12, "has no JSON chunk".into()))?;
    Ok((json, binary))
}

fn parse(path: &Path, json: &[u8]) -> Result<Root, SceneError> {
    serde_json::from_slice(json).map_err(|error| {
        // An extension may change what the parser expects; naming it helps more than the field that it lacks.
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(json)
            && let Some(required) = value["extensionsRequired"].as_array()
        {
            for (i, name) in required.iter().enumerate() {
                if let Some(name) = name.as_str().filter(|n| !SUPPORTED_EXTENSIONS.contains(n)) {
                    return unsupported(path, i, name);
                }
            }
        }
        let lines = json.split_inclusive(|b| *b == b'\n').take(error.line().saturating_sub(1));
        let offset = lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
        let reason = error.to_string();
        malformed(
            path,
            &format!("JSON byte {}", offset.min(json.len())),
            format!("is no valid glTF 2.0 JSON: {reason}"),
        )
    })
}

fn unsupported(path: &Path, index: usize, name: &str) -> SceneError {
    malformed(
        path,
        &format!("extensionsRequired[{index}]"),
        format!("{name:?} is not supported; export without it (supported: {})", SUPPORTED_EXTENSIONS.join(", ")),
    )
}

pub(super) fn malformed(path: &Path, position: &str, reason: impl Into<String>) -> SceneError {
    SceneError::Malformed { path: path.to_owned(), position: position.to_owned(), reason: reason.into() }
}
