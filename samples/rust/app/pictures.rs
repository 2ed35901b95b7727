//! Finished frames as PNG files.

use rayloom::Output;
use std::io;
use std::path::PathBuf;

/// Writes every so many frames into a folder.
pub(crate) struct Pictures {
    folder: Option<PathBuf>,
    every: u64,
    seen: u64,
}

impl Pictures {
    pub(crate) fn new(folder: Option<PathBuf>, every: u64) -> io::Result<Pictures> {
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Pictures { folder, every, seen: 0 })
    }

    pub(crate) fn take(&mut self, output: &Output) -> image::ImageResult<()> {
        self.seen += 1;
        let Some(folder) = self.folder.as_ref().filter(|_| self.seen.is_multiple_of(self.every)) else { return Ok(()) };
        let path = folder.join(format!("frame-{:06}.png", output.frame_id));
        let rgba = image::ExtendedColorType::Rgba8;
        image::save_buffer(path, &output.color, output.size.width, output.size.height, rgba)
    }
}
