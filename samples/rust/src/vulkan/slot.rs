//! A slot of the readback ring: what one frame in flight owns.

use super::{Buffer, Device, Place};
use crate::RasterError;
use crate::planes::PlaneLayout;
use ash::vk;
use std::sync::Arc;

/// A mapped buffer of planes.
#[derive(Debug)]
pub(crate) struct Readback {
    pub(super) buffer: Buffer,
}

impl Readback {
    /// All planes; meaningful once the frame that was drawn into it has finished.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }
}

/// Commands, parameters and readback of one frame in flight.
pub(crate) struct Slot {
    pub(super) commands: vk::CommandBuffer,
    /// Frame parameters, then the table of instances, then what poses them.
    pub(super) inputs: Buffer,
    /// Shared with who reads the planes; drawn into only while nobody else holds it.
    readback: Arc<Readback>,
}

impl Slot {
    pub(crate) fn new(device: &Arc<Device>, layout: PlaneLayout) -> Result<Slot, RasterError> {
        let buffer = Buffer::new(device, "readback of planes", layout.bytes() as u64, Place::Readback)?;
        Ok(Slot {
            commands: device.command_buffer()?,
            inputs: Buffer::new(device, "frame parameters", 0, Place::Upload)?,
            readback: Arc::new(Readback { buffer }),
        })
    }

    /// Makes room for frame parameters of so many bytes. The slot is not in flight.
    pub(crate) fn reserve(&mut self, device: &Arc<Device>, bytes: usize) -> Result<(), RasterError> {
        self.inputs = Buffer::new(device, "frame parameters", bytes as u64, Place::Upload)?;
        Ok(())
    }

    /// Where shaders find its frame parameters.
    pub(crate) fn inputs_address(&self) -> u64 {
        self.inputs.address()
    }

    /// The readback buffer, unless somebody reads it.
    pub(super) fn writable(&mut self) -> Option<&mut Readback> {
        Arc::get_mut(&mut self.readback)
    }

    /// True when nobody reads its planes.
    pub(crate) fn is_returned(&mut self) -> bool {
        self.writable().is_some()
    }

    /// Lends its planes.
    pub(crate) fn lend(&self) -> Arc<Readback> {
        self.readback.clone()
    }
}
