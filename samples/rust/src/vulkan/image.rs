//! Images with a view: what is drawn into, and textures.

use super::Device;
use crate::RasterError;
use crate::planes::{PlaneFormat, PlaneKind, PlaneLayout};
use ash::vk;
use gpu_allocator::MemoryLocation;
use gpu_allocator::vulkan::{Allocation, AllocationCreateDesc, AllocationScheme};
use std::sync::Arc;

/// An image in the device's memory with a view of all of it.
pub(super) struct Image {
    device: Arc<Device>,
    pub(super) handle: vk::Image,
    pub(super) view: vk::ImageView,
    allocation: Option<Allocation>,
}

/// What an image is like.
pub(super) struct ImageKind {
    pub(super) what: &'static str,
    pub(super) format: vk::Format,
    pub(super) extent: vk::Extent2D,
    pub(super) mip_levels: u32,
    pub(super) usage: vk::ImageUsageFlags,
    pub(super) aspect: vk::ImageAspectFlags,
}

impl Image {
    pub(super) fn new(device: &Arc<Device>, kind: &ImageKind) -> Result<Image, RasterError> {
        let info = vk::ImageCreateInfo::default()
            .image_type(vk::ImageType::TYPE_2D)
            .format(kind.format)
            .extent(kind.extent.into())
            .mip_levels(kind.mip_levels)
            .array_layers(1)
            .samples(vk::SampleCountFlags::TYPE_1)
            .tiling(vk::ImageTiling::OPTIMAL)
            .usage(kind.usage);
        // SAFETY: the device is alive; sizes are within its limits; `info` holds no pointers.
        let handle = unsafe { device.raw.create_image(&info, None) }.map_err(RasterError::vulkan("vkCreateImage"))?;
        let mut image = Image { device: device.clone(), handle, view: vk::ImageView::null(), allocation: None };
        // SAFETY: the handle was made by this device.
        let requirements = unsafe { device.raw.get_image_memory_requirements(handle) };
        let out_of_memory = || RasterError::OutOfMemory { what: kind.what, bytes: requirements.size };
        let wanted = AllocationCreateDesc {
            name: kind.what,
            requirements,
            location: MemoryLocation::GpuOnly,
            linear: false,
            allocation_scheme: AllocationScheme::GpuAllocatorManaged,
        };
        let allocation = device.allocator.lock().allocate(&wanted).map_err(|_| out_of_memory())?;
        // SAFETY: memory and offset come from the allocation for exactly this image, which is bound once.
        let bound = unsafe { device.raw.bind_image_memory(handle, allocation.memory(), allocation.offset()) };
        image.allocation = Some(allocation);
        bound.map_err(|_| out_of_memory())?;
        let info = vk::ImageViewCreateInfo::default()
            .image(handle)
            .view_type(vk::ImageViewType::TYPE_2D)
            .format(kind.format)
            .subresource_range(all_of(kind.aspect));
        // SAFETY: the image is bound and has this format and aspect.
        image.view =
            unsafe { device.raw.create_image_view(&info, None) }.map_err(RasterError::vulkan("vkCreateImageView"))?;
        Ok(image)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: nothing submitted uses it any more (see the module's rule); a null view is allowed.
        unsafe {
            self.device.raw.destroy_image_view(self.view, None);
            self.device.raw.destroy_image(self.handle, None);
        }
        if let Some(allocation) = self.allocation.take() {
            // Freeing can only fail for an allocation of another allocator.
            let _ = self.device.allocator.lock().free(allocation);
        }
    }
}

/// All mips of an image.
pub(super) fn all_of(aspect: vk::ImageAspectFlags) -> vk::ImageSubresourceRange {
    let range = vk::ImageSubresourceRange::default().aspect_mask(aspect);
    range.level_count(vk::REMAINING_MIP_LEVELS).layer_count(1)
}

/// One image for each plane.
pub(crate) struct Targets {
    images: Vec<Image>,
    pub(crate) layout: PlaneLayout,
}

impl Targets {
    pub(crate) fn new(device: &Arc<Device>, layout: PlaneLayout) -> Result<Targets, RasterError> {
        let make = |kind: PlaneKind| {
            let attachment = match kind {
                PlaneKind::Depth => vk::ImageUsageFlags::DEPTH_STENCIL_ATTACHMENT,
                _ => vk::ImageUsageFlags::COLOR_ATTACHMENT,
            };
            let image = ImageKind {
                what: "the G-buffer",
                format: vk_format(kind),
                extent: vk::Extent2D { width: layout.width, height: layout.height },
                mip_levels: 1,
                usage: attachment | vk::ImageUsageFlags::TRANSFER_SRC,
                aspect: aspect(kind),
            };
            Image::new(device, &image)
        };
        Ok(Targets { images: PlaneKind::ALL.into_iter().map(make).collect::<Result<_, _>>()?, layout })
    }

    /// Planes and their images, depth first.
    pub(super) fn planes(&self) -> impl Iterator<Item = (PlaneKind, &Image)> {
        PlaneKind::ALL.into_iter().zip(&self.images)
    }
}

pub(super) fn aspect(kind: PlaneKind) -> vk::ImageAspectFlags {
    match kind {
        PlaneKind::Depth => vk::ImageAspectFlags::DEPTH,
        _ => vk::ImageAspectFlags::COLOR,
    }
}

/// The attachment's format. What fragments pack by themselves is a word of bits to Vulkan.
pub(super) fn vk_format(kind: PlaneKind) -> vk::Format {
    match (kind, kind.format()) {
        (PlaneKind::Depth, _) => vk::Format::D32_SFLOAT,
        (_, PlaneFormat::Rgba8Srgb) => vk::Format::R8G8B8A8_SRGB,
        (_, PlaneFormat::Rg8Unorm) => vk::Format::R8G8_UNORM,
        (_, PlaneFormat::Rg16Float) => vk::Format::R16G16_SFLOAT,
        (_, PlaneFormat::R32Float | PlaneFormat::Rg16Snorm | PlaneFormat::Rgb9E5 | PlaneFormat::R32Uint) => {
            vk::Format::R32_UINT
        }
    }
}
