//! Buffers that shaders reach by address.

use super::acceleration::BUILD_INPUT;
use super::memory::Reserved;
use super::{Context, Submitter};
use crate::RendererError;
use ash::vk;
use gpu_allocator::MemoryLocation;
use gpu_allocator::vulkan::{Allocation, AllocationCreateDesc, AllocationScheme};
use std::sync::Arc;

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The device's own memory (which a CPU device and shared memory let us write directly).
    Device,
    /// Written by the CPU, read by the GPU.
    Upload,
    /// Written by the GPU, read by the CPU.
    Readback,
}

/// A storage buffer with a device address.
pub(crate) struct Buffer {
    context: Arc<Context>,
    pub(super) handle: vk::Buffer,
    allocation: Option<Allocation>,
    address: u64,
    size: u64,
    _reserved: Reserved,
}

impl Buffer {
    /// A buffer of at least `size` bytes; its contents are undefined until written.
    pub(crate) fn new(context: &Arc<Context>, name: &str, size: u64, place: Place) -> Result<Buffer, RendererError> {
        Buffer::for_use(context, name, size, place, vk::BufferUsageFlags::empty())
    }

    /// A buffer that serves for something that shaders' data does not, aligned for it.
    pub(super) fn for_use(
        context: &Arc<Context>,
        name: &str,
        size: u64,
        place: Place,
        more: vk::BufferUsageFlags,
    ) -> Result<Buffer, RendererError> {
        let size = size.max(16).next_multiple_of(16);
        let reserved = context.memory.reserve(size).map_err(|limit| RendererError::MemoryLimit {
            what: name.to_owned(),
            bytes: size,
            limit,
        })?;
        let failed = |result: vk::Result| match result {
            vk::Result::ERROR_DEVICE_LOST => RendererError::DeviceLost { during: "the making of a buffer" },
            _ => RendererError::OutOfMemory { what: name.to_owned(), bytes: size },
        };
        let usage = more
            | vk::BufferUsageFlags::STORAGE_BUFFER
            | vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS
            | vk::BufferUsageFlags::TRANSFER_SRC
            | vk::BufferUsageFlags::TRANSFER_DST;
        let info = vk::BufferCreateInfo::default().size(size).usage(usage);
        // SAFETY: the device is alive; `info` holds no pointers.
        let handle = unsafe { context.device.create_buffer(&info, None) }.map_err(failed)?;
        let mut buffer =
            Buffer { context: context.clone(), handle, allocation: None, address: 0, size, _reserved: reserved };
        // SAFETY: the handle was made by this device.
        let mut requirements = unsafe { context.device.get_buffer_memory_requirements(handle) };
        requirements.alignment = requirements.alignment.max(context.alignment);
        let allocation = context
            .allocator
            .lock()
            .allocate(&AllocationCreateDesc {
                name,
                requirements,
                location: match place {
                    Place::Device => MemoryLocation::GpuOnly,
                    Place::Upload => MemoryLocation::CpuToGpu,
                    Place::Readback => MemoryLocation::GpuToCpu,
                },
                linear: true,
                allocation_scheme: AllocationScheme::GpuAllocatorManaged,
            })
            .map_err(|_| failed(vk::Result::ERROR_OUT_OF_DEVICE_MEMORY))?;
        // SAFETY: memory and offset come from the allocation for exactly this buffer, which is bound once.
        let bound = unsafe { context.device.bind_buffer_memory(handle, allocation.memory(), allocation.offset()) };
        buffer.allocation = Some(allocation);
        bound.map_err(failed)?;
        let info = vk::BufferDeviceAddressInfo::default().buffer(handle);
        // SAFETY: the buffer is bound and was made with SHADER_DEVICE_ADDRESS.
        buffer.address = unsafe { context.device.get_buffer_device_address(&info) };
        Ok(buffer)
    }

    /// Vertices that shaders write and read; `for_build` says that the device's structures are built over them too.
    pub(crate) fn for_vertices(
        context: &Arc<Context>,
        name: &str,
        size: u64,
        for_build: bool,
    ) -> Result<Buffer, RendererError> {
        let more = if for_build { BUILD_INPUT } else { vk::BufferUsageFlags::empty() };
        Buffer::for_use(context, name, size, Place::Device, more)
    }

    /// What the device's structures are built over, written by the CPU.
    pub(crate) fn for_build(context: &Arc<Context>, name: &str, bytes: &[u8]) -> Result<Buffer, RendererError> {
        Buffer::uploaded_for(context, name, bytes, BUILD_INPUT)
    }

    /// A buffer in the device's memory with these bytes; waits until they are there.
    pub(crate) fn with_bytes(submitter: &Submitter, name: &str, bytes: &[u8]) -> Result<Buffer, RendererError> {
        Buffer::with_bytes_for(submitter, name, bytes, vk::BufferUsageFlags::empty())
    }

    pub(super) fn with_bytes_for(
        submitter: &Submitter,
        name: &str,
        bytes: &[u8],
        more: vk::BufferUsageFlags,
    ) -> Result<Buffer, RendererError> {
        let mut buffer = Buffer::for_use(submitter.context(), name, bytes.len() as u64, Place::Device, more)?;
        if !buffer.write(0, bytes) {
            let mut staging = Buffer::new(submitter.context(), "staging", bytes.len() as u64, Place::Upload)?;
            assert!(staging.write(0, bytes), "upload buffers are mapped");
            submitter.copy_now(&staging, &buffer, bytes.len() as u64)?;
        }
        Ok(buffer)
    }

    /// A buffer with these bytes, written by the CPU and read once or twice.
    pub(crate) fn uploaded(context: &Arc<Context>, name: &str, bytes: &[u8]) -> Result<Buffer, RendererError> {
        Buffer::uploaded_for(context, name, bytes, vk::BufferUsageFlags::empty())
    }

    pub(super) fn uploaded_for(
        context: &Arc<Context>,
        name: &str,
        bytes: &[u8],
        more: vk::BufferUsageFlags,
    ) -> Result<Buffer, RendererError> {
        let mut buffer = Buffer::for_use(context, name, bytes.len() as u64, Place::Upload, more)?;
        assert!(buffer.write(0, bytes), "upload buffers are mapped");
        Ok(buffer)
    }

    /// Where shaders find it.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// True when the CPU reads it at full speed. Device memory that is mapped through a bus is not cached: slow.
    pub(crate) fn is_readable(&self) -> bool {
        let wanted = vk::MemoryPropertyFlags::HOST_CACHED | vk::MemoryPropertyFlags::HOST_COHERENT;
        self.allocation.as_ref().is_some_and(|a| a.mapped_ptr().is_some() && a.memory_properties().contains(wanted))
    }

    /// Its bytes as the CPU sees them; empty where it can't. Meaningful once the work that writes it has finished.
    pub(crate) fn bytes(&self) -> &[u8] {
        let slice = self.allocation.as_ref().and_then(Allocation::mapped_slice).unwrap_or_default();
        &slice[..slice.len().min(self.size as usize)]
    }

    /// Writes bytes if the CPU can reach them; false if not. Panics when they don't fit, which is a bug here.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let coherent = |a: &&mut Allocation| a.memory_properties().contains(vk::MemoryPropertyFlags::HOST_COHERENT);
        match self.allocation.as_mut().filter(coherent).and_then(Allocation::mapped_slice_mut) {
            Some(slice) => {
                slice[offset..offset + bytes.len()].copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: submissions keep the buffers that they use alive until their fence has signalled.
        unsafe { self.context.device.destroy_buffer(self.handle, None) };
        if let Some(allocation) = self.allocation.take() {
            // Freeing can only fail for an allocation of another allocator.
            let _ = self.context.allocator.lock().free(allocation);
        }
    }
}
