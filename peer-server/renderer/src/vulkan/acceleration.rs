//! The device's own structures over triangles (bottom level) and over instances (top level).

use super::{Buffer, Context, Place, Recorder, Submission, Submitter};
use crate::RendererError;
use ash::vk;
use std::sync::Arc;

/// Structures smaller than this are not compacted: memory is handed out in pieces of about this size.
const COMPACT_FROM_BYTES: u64 = 64 << 10;

/// A run of a mesh's triangles that are alike in whether rays may pass through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) first_triangle: u32,
    pub(crate) triangle_count: u32,
    pub(crate) opaque: bool,
}

/// An instance of a bottom-level structure, as `VkAccelerationStructureInstanceKHR` lays it out.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct PlacedStructure {
    /// Rows of object-to-world.
    transform: [[f32; 4]; 3],
    index_mask: u32,
    offset_flags: u32,
    /// 0: nothing is there.
    bottom: u64,
}

impl PlacedStructure {
    /// `bottom` is a structure's address, or 0 where there is nothing to hit.
    pub(crate) fn new(transform: [[f32; 4]; 3], bottom: u64) -> PlacedStructure {
        PlacedStructure { transform, index_mask: 0xff << 24, offset_flags: 0, bottom }
    }

    /// False where nothing is there. What a refit may not change.
    pub(crate) fn is_active(&self) -> bool {
        self.bottom != 0
    }
}

/// A structure on the device.
pub(crate) struct AccelerationStructure {
    context: Arc<Context>,
    handle: vk::AccelerationStructureKHR,
    buffer: Buffer,
    address: u64,
}

impl AccelerationStructure {
    /// Over triangles; waits until it is built, and compacts it where that gains anything, unless the triangles are to
    /// move. `indices` are within `positions`, and there is at least one triangle.
    pub(crate) fn bottom(
        submitter: &Submitter,
        positions: &[[f32; 3]],
        indices: &[u32],
        geometries: &[Geometry],
        deforms: bool,
    ) -> Result<AccelerationStructure, RendererError> {
        let context = submitter.context();
        let vertices = Buffer::uploaded_for(context, "triangle corners", bytemuck::cast_slice(positions), BUILD_INPUT)?;
        let corners = Buffer::for_build(context, "triangle indices", bytemuck::cast_slice(indices))?;
        let triangles = Triangles {
            vertices: vertices.address(),
            stride: size_of::<[f32; 3]>(),
            vertex_count: positions.len(),
            indices: corners.address(),
            geometries,
            deforms,
        };
        let mut recorder = submitter.record()?;
        let (made, scratch) = triangles.record(context, &mut recorder, None)?;
        recorder.submit(Box::new((vertices, corners, scratch)))?.wait()?;
        if made.buffer.size() < COMPACT_FROM_BYTES || deforms { Ok(made) } else { made.compacted(submitter) }
    }

    /// Over instances. `refitted` is a structure over as many instances, of which the same are active, that serves as
    /// start; without one it is built anew. Work that is submitted later finds it built; the submission keeps what the
    /// build needs, this structure apart.
    pub(crate) fn top(
        submitter: &Submitter,
        instances: &[PlacedStructure],
        refitted: Option<&Arc<AccelerationStructure>>,
    ) -> Result<(Arc<AccelerationStructure>, Submission), RendererError> {
        let context = submitter.context();
        let input = Buffer::uploaded_for(context, "placed structures", bytemuck::cast_slice(instances), BUILD_INPUT)?;
        let data = vk::AccelerationStructureGeometryInstancesDataKHR::default()
            .data(vk::DeviceOrHostAddressConstKHR { device_address: input.address() });
        let parts = [vk::AccelerationStructureGeometryKHR::default()
            .geometry_type(vk::GeometryTypeKHR::INSTANCES)
            .geometry(vk::AccelerationStructureGeometryDataKHR { instances: data })];
        let ranges = [vk::AccelerationStructureBuildRangeInfoKHR::default().primitive_count(instances.len() as u32)];
        let flags = vk::BuildAccelerationStructureFlagsKHR::PREFER_FAST_TRACE
            | vk::BuildAccelerationStructureFlagsKHR::ALLOW_UPDATE;
        let build = Build { kind: vk::AccelerationStructureTypeKHR::TOP_LEVEL, flags, parts: &parts, ranges: &ranges };
        let mut recorder = submitter.record()?;
        let (made, scratch) = build.record(context, &mut recorder, refitted.map(|r| &**r))?;
        let made = Arc::new(made);
        let submission = recorder.submit(Box::new((input, scratch, made.clone(), refitted.cloned())))?;
        Ok((made, submission))
    }

    fn new(
        context: &Arc<Context>,
        kind: vk::AccelerationStructureTypeKHR,
        bytes: u64,
    ) -> Result<AccelerationStructure, RendererError> {
        let usage = vk::BufferUsageFlags::ACCELERATION_STRUCTURE_STORAGE_KHR;
        let buffer = Buffer::for_use(context, "acceleration structure", bytes, Place::Device, usage)?;
        let info = vk::AccelerationStructureCreateInfoKHR::default().buffer(buffer.handle).size(bytes).ty(kind);
        let calls = context.structure_calls();
        // SAFETY: the buffer is large enough, has the usage, and lives as long as the structure.
        let handle = unsafe { calls.create_acceleration_structure(&info, None) }
            .map_err(RendererError::vulkan("vkCreateAccelerationStructureKHR"))?;
        let info = vk::AccelerationStructureDeviceAddressInfoKHR::default().acceleration_structure(handle);
        // SAFETY: the structure was just made by this device.
        let address = unsafe { calls.get_acceleration_structure_device_address(&info) };
        Ok(AccelerationStructure { context: context.clone(), handle, buffer, address })
    }

    /// A copy that takes no more room than it needs; itself where that is about the same.
    fn compacted(self, submitter: &Submitter) -> Result<AccelerationStructure, RendererError> {
        let (context, calls) = (submitter.context(), self.context.structure_calls());
        let kind = vk::QueryType::ACCELERATION_STRUCTURE_COMPACTED_SIZE_KHR;
        let pool = QueryPool::new(context, kind)?;
        let recorder = submitter.record()?;
        let commands = recorder.commands();
        // SAFETY: recording is under way; the pool has the one query, and the structure is built: its fence was waited for.
        unsafe {
            context.device.cmd_reset_query_pool(commands, pool.handle, 0, 1);
            calls.cmd_write_acceleration_structures_properties(commands, &[self.handle], kind, pool.handle, 0);
        }
        recorder.submit(Box::new(()))?.wait()?;
        let mut bytes = [0u64];
        // SAFETY: the query was written by what has just been waited for.
        unsafe {
            let flags = vk::QueryResultFlags::TYPE_64 | vk::QueryResultFlags::WAIT;
            context.device.get_query_pool_results(pool.handle, 0, &mut bytes, flags)
        }
        .map_err(RendererError::vulkan("vkGetQueryPoolResults"))?;
        if bytes[0] == 0 || bytes[0] > self.buffer.size() / 8 * 7 {
            return Ok(self);
        }
        let small = AccelerationStructure::new(context, vk::AccelerationStructureTypeKHR::BOTTOM_LEVEL, bytes[0])?;
        let mut recorder = submitter.record()?;
        let info = vk::CopyAccelerationStructureInfoKHR::default()
            .src(self.handle)
            .dst(small.handle)
            .mode(vk::CopyAccelerationStructureModeKHR::COMPACT);
        // SAFETY: recording is under way; the copy has the size that the device asked for.
        unsafe { calls.cmd_copy_acceleration_structure(recorder.commands(), &info) };
        recorder.structures_barrier();
        recorder.submit(Box::new(()))?.wait()?;
        Ok(small)
    }

    /// Where instances and shaders find it.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    /// Bytes on the device.
    pub(crate) fn bytes(&self) -> u64 {
        self.buffer.size()
    }
}

impl Drop for AccelerationStructure {
    fn drop(&mut self) {
        // SAFETY: submissions keep the structures that they use alive until their fence has signalled.
        unsafe { self.context.structure_calls().destroy_acceleration_structure(self.handle, None) };
    }
}

pub(super) const BUILD_INPUT: vk::BufferUsageFlags =
    vk::BufferUsageFlags::ACCELERATION_STRUCTURE_BUILD_INPUT_READ_ONLY_KHR;

/// Triangles of a bottom-level structure, in the device's memory.
pub(crate) struct Triangles<'a> {
    /// Address of positions, `stride` bytes apart.
    pub(crate) vertices: u64,
    pub(crate) stride: usize,
    pub(crate) vertex_count: usize,
    /// Address of three indices a triangle, all below `vertex_count`.
    pub(crate) indices: u64,
    pub(crate) geometries: &'a [Geometry],
    /// They will move: structures over them can be refitted.
    pub(crate) deforms: bool,
}

impl Triangles<'_> {
    /// Records a build, or a refit of a structure over the same triangles at other places, and a barrier after it; gives the
    /// structure and the scratch memory. The submission must keep both, the memory of the triangles, and what is refitted.
    pub(crate) fn record(
        &self,
        context: &Arc<Context>,
        recorder: &mut Recorder,
        refitted: Option<&AccelerationStructure>,
    ) -> Result<(AccelerationStructure, Buffer), RendererError> {
        let triangles = vk::AccelerationStructureGeometryTrianglesDataKHR::default()
            .vertex_format(vk::Format::R32G32B32_SFLOAT)
            .vertex_data(vk::DeviceOrHostAddressConstKHR { device_address: self.vertices })
            .vertex_stride(self.stride as u64)
            .max_vertex(self.vertex_count.saturating_sub(1) as u32)
            .index_type(vk::IndexType::UINT32)
            .index_data(vk::DeviceOrHostAddressConstKHR { device_address: self.indices });
        let part = |g: &Geometry| {
            // A texel decides once, or samples of a pixel would disagree with their shadows.
            let once = vk::GeometryFlagsKHR::NO_DUPLICATE_ANY_HIT_INVOCATION;
            vk::AccelerationStructureGeometryKHR::default()
                .geometry_type(vk::GeometryTypeKHR::TRIANGLES)
                .geometry(vk::AccelerationStructureGeometryDataKHR { triangles })
                .flags(if g.opaque { vk::GeometryFlagsKHR::OPAQUE } else { once })
        };
        let range = |g: &Geometry| {
            vk::AccelerationStructureBuildRangeInfoKHR::default()
                .primitive_count(g.triangle_count)
                .primitive_offset(g.first_triangle * size_of::<[u32; 3]>() as u32)
        };
        let parts: Vec<_> = self.geometries.iter().map(part).collect();
        let ranges: Vec<_> = self.geometries.iter().map(range).collect();
        let changes = match self.deforms {
            true => vk::BuildAccelerationStructureFlagsKHR::ALLOW_UPDATE,
            false => vk::BuildAccelerationStructureFlagsKHR::ALLOW_COMPACTION,
        };
        let flags = vk::BuildAccelerationStructureFlagsKHR::PREFER_FAST_TRACE | changes;
        let kind = vk::AccelerationStructureTypeKHR::BOTTOM_LEVEL;
        Build { kind, flags, parts: &parts, ranges: &ranges }.record(context, recorder, refitted)
    }
}

/// What is built of what.
struct Build<'a> {
    kind: vk::AccelerationStructureTypeKHR,
    flags: vk::BuildAccelerationStructureFlagsKHR,
    parts: &'a [vk::AccelerationStructureGeometryKHR<'a>],
    ranges: &'a [vk::AccelerationStructureBuildRangeInfoKHR],
}

impl Build<'_> {
    /// Records the build and a barrier after it; gives the structure and the scratch memory that the build needs.
    fn record(
        &self,
        context: &Arc<Context>,
        recorder: &mut Recorder,
        refitted: Option<&AccelerationStructure>,
    ) -> Result<(AccelerationStructure, Buffer), RendererError> {
        let calls = context.structure_calls();
        let mut info = vk::AccelerationStructureBuildGeometryInfoKHR::default()
            .ty(self.kind)
            .flags(self.flags)
            .mode(vk::BuildAccelerationStructureModeKHR::BUILD)
            .geometries(self.parts);
        let counts: Vec<u32> = self.ranges.iter().map(|r| r.primitive_count).collect();
        let mut sizes = vk::AccelerationStructureBuildSizesInfoKHR::default();
        let on_device = vk::AccelerationStructureBuildTypeKHR::DEVICE;
        // SAFETY: there is a count for each geometry.
        unsafe { calls.get_acceleration_structure_build_sizes(on_device, &info, &counts, &mut sizes) };
        let made = AccelerationStructure::new(context, self.kind, sizes.acceleration_structure_size)?;
        let scratch_bytes = if refitted.is_some() { sizes.update_scratch_size } else { sizes.build_scratch_size };
        let usage = vk::BufferUsageFlags::empty();
        let scratch = Buffer::for_use(context, "build scratch", scratch_bytes, Place::Device, usage)?;
        info = info
            .dst_acceleration_structure(made.handle)
            .scratch_data(vk::DeviceOrHostAddressKHR { device_address: scratch.address() });
        if let Some(source) = refitted {
            info = info.mode(vk::BuildAccelerationStructureModeKHR::UPDATE).src_acceleration_structure(source.handle);
        }
        // SAFETY: recording is under way; addresses and sizes are those of live buffers that the submission keeps, and the
        // ranges lie within them.
        unsafe { calls.cmd_build_acceleration_structures(recorder.commands(), &[info], &[self.ranges]) };
        recorder.structures_barrier();
        Ok((made, scratch))
    }
}

/// A pool of one query.
struct QueryPool {
    context: Arc<Context>,
    handle: vk::QueryPool,
}

impl QueryPool {
    fn new(context: &Arc<Context>, kind: vk::QueryType) -> Result<QueryPool, RendererError> {
        let info = vk::QueryPoolCreateInfo::default().query_type(kind).query_count(1);
        // SAFETY: a plain creation call.
        let handle = unsafe { context.device.create_query_pool(&info, None) }
            .map_err(RendererError::vulkan("vkCreateQueryPool"))?;
        Ok(QueryPool { context: context.clone(), handle })
    }
}

impl Drop for QueryPool {
    fn drop(&mut self) {
        // SAFETY: what used it has been waited for, or its submission was dropped, which waits.
        unsafe { self.context.device.destroy_query_pool(self.handle, None) };
    }
}
