//! Buffers that shaders reach by address, or that the CPU reads.

use super::Device;
use crate::RasterError;
use ash::vk;
use gpu_allocator::MemoryLocation;
use gpu_allocator::vulkan::{Allocation, AllocationCreateDesc, AllocationScheme};
use std::sync::Arc;

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The device's own memory.
    Device,
    /// Written by the CPU, read by the GPU.
    Upload,
    /// Written by the GPU, read by the CPU; mapped as long as it lives.
    Readback,
}

/// A buffer.
pub(crate) struct Buffer {
    device: Arc<Device>,
    pub(super) handle: vk::Buffer,
    allocation: Option<Allocation>,
    address: u64,
    size: u64,
}

impl Buffer {
    /// A buffer of at least `size` bytes; its contents are undefined until written.
    pub(crate) fn new(
        device: &Arc<Device>,
        what: &'static str,
        size: u64,
        place: Place,
    ) -> Result<Buffer, RasterError> {
        let size = size.max(16).next_multiple_of(16);
        let out_of_memory = || RasterError::OutOfMemory { what, bytes: size };
        let usage = match place {
            Place::Readback => vk::BufferUsageFlags::TRANSFER_DST,
            _ => {
                vk::BufferUsageFlags::STORAGE_BUFFER
                    | vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS
                    | vk::BufferUsageFlags::VERTEX_BUFFER
                    | vk::BufferUsageFlags::INDEX_BUFFER
                    | vk::BufferUsageFlags::TRANSFER_SRC
                    | vk::BufferUsageFlags::TRANSFER_DST
            }
        };
        let info = vk::BufferCreateInfo::default().size(size).usage(usage);
        // SAFETY: the device is alive; `info` holds no pointers.
        let handle = unsafe { device.raw.create_buffer(&info, None) }.map_err(|_| out_of_memory())?;
        let mut buffer = Buffer { device: device.clone(), handle, allocation: None, address: 0, size };
        // SAFETY: the handle was made by this device.
        let requirements = unsafe { device.raw.get_buffer_memory_requirements(handle) };
        let location = match place {
            Place::Device => MemoryLocation::GpuOnly,
            Place::Upload => MemoryLocation::CpuToGpu,
            Place::Readback => MemoryLocation::GpuToCpu,
        };
        let wanted = AllocationCreateDesc {
            name: what,
            requirements,
            location,
            linear: true,
            allocation_scheme: AllocationScheme::GpuAllocatorManaged,
        };
        let allocation = device.allocator.lock().allocate(&wanted).map_err(|_| out_of_memory())?;
        // SAFETY: memory and offset come from the allocation for exactly this buffer, which is bound once.
        let bound = unsafe { device.raw.bind_buffer_memory(handle, allocation.memory(), allocation.offset()) };
        buffer.allocation = Some(allocation);
        bound.map_err(|_| out_of_memory())?;
        if place != Place::Readback {
            let info = vk::BufferDeviceAddressInfo::default().buffer(handle);
            // SAFETY: the buffer is bound and was made with SHADER_DEVICE_ADDRESS.
            buffer.address = unsafe { device.raw.get_buffer_device_address(&info) };
        }
        Ok(buffer)
    }

    /// Where shaders find it; 0 for readback buffers.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    /// Its bytes as the CPU sees them; empty where it can't. Meaningful once the work that writes it has finished.
    pub(crate) fn bytes(&self) -> &[u8] {
        let slice = self.allocation.as_ref().and_then(Allocation::mapped_slice).unwrap_or_default();
        &slice[..slice.len().min(self.size as usize)]
    }

    /// Writes bytes into an upload buffer. Panics when they don't fit, which is a bug here.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        // gpu-allocator takes host-coherent memory for uploads and readbacks.
        let slice = self.allocation.as_mut().and_then(Allocation::mapped_slice_mut).expect("upload buffers are mapped");
        slice[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes)", self.size)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: nothing submitted uses it any more (see the module's rule).
        unsafe { self.device.raw.destroy_buffer(self.handle, None) };
        if let Some(allocation) = self.allocation.take() {
            // Freeing can only fail for an allocation of another allocator.
            let _ = self.device.allocator.lock().free(allocation);
        }
    }
}
