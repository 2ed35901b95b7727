//! The engine: a scene on the GPU, frames into a ring of slots, planes out of it.

use crate::deformation::{Deformations, Posed};
use crate::geometry::{Geometry, texture_uses};
use crate::layout::{FrameParams, GpuInstance};
use crate::mips::Mips;
use crate::planes::{PlaneLayout, ReadyPlanes};
use crate::visible::{Batch, by_mesh, visible};
use crate::vulkan::{Buffer, Device, Draw, FrameInputs, Pipelines, Slot, Targets, Textures, Uploads, submit};
use crate::{RasterError, geometry::DrawnMesh};
use glam::{Affine3A, Vec2};
use rayloom_scene::{Camera, Instance, Pose, Scene};
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames that may be under way or on loan at a time.
pub const RING_SLOTS: usize = 3;

/// How to open a device, and the size of the view.
#[derive(Clone, Debug)]
pub struct RasterOptions {
    /// A part of the device's name; `None` takes the best.
    pub device: Option<String>,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Load the validation layer (core and synchronization checks): slow, for tests.
    pub validation: bool,
}

impl RasterOptions {
    /// A view of this size on the best device.
    pub fn new(width: u32, height: u32) -> RasterOptions {
        RasterOptions { device: None, width, height, validation: false }
    }
}

/// What is drawn. Transforms and poses name instances by their index in the scene; those that are not named stand and are
/// shaped as in the scene.
#[derive(Clone, Copy, Debug)]
pub struct FrameDesc<'a> {
    /// The engine's number for it.
    pub frame_id: u64,
    /// From where, with jitter.
    pub camera: Camera,
    /// From where the frame before was seen; for motion.
    pub previous_camera: Camera,
    /// Instances that have moved.
    pub transforms: &'a [(u32, Affine3A)],
    /// Where they were in the frame before; for motion.
    pub previous_transforms: &'a [(u32, Affine3A)],
    /// Shapes of instances of meshes with joints or morph targets.
    pub poses: &'a [Pose],
    /// How they were shaped in the frame before; for motion.
    pub previous_poses: &'a [Pose],
}

impl FrameDesc<'_> {
    /// A frame in which nothing moves.
    pub fn still(frame_id: u64, camera: Camera) -> FrameDesc<'static> {
        FrameDesc {
            frame_id,
            camera,
            previous_camera: camera,
            transforms: &[],
            previous_transforms: &[],
            poses: &[],
            previous_poses: &[],
        }
    }
}

/// The engine. See the crate's documentation for how it is used.
pub struct RasterEngine {
    device: Arc<Device>,
    uploads: Uploads,
    targets: Targets,
    scene: Option<LoadedScene>,
    slots: Vec<Slot>,
    /// Frames under way, oldest first.
    in_flight: VecDeque<InFlight>,
}

struct InFlight {
    slot: usize,
    frame_id: u64,
    submission: u64,
}

struct LoadedScene {
    vertices: Buffer,
    indices: Buffer,
    materials: Buffer,
    deformation: Buffer,
    deformations: Deformations,
    textures: Textures,
    pipelines: Pipelines,
    meshes: Vec<DrawnMesh>,
    instances: Vec<Instance>,
    order: Vec<u32>,
}

impl RasterEngine {
    /// Opens a device.
    ///
    /// # Errors
    /// No loader, no device that can draw, or a view of an impossible size.
    pub fn new(options: &RasterOptions) -> Result<RasterEngine, RasterError> {
        let device = Arc::new(Device::new(options.device.as_deref(), options.validation)?);
        let (width, height, limit) = (options.width, options.height, device.max_extent());
        if width == 0 || height == 0 || width > limit || height > limit {
            return Err(RasterError::Extent { width, height, limit });
        }
        let layout = PlaneLayout { width, height };
        Ok(RasterEngine {
            uploads: Uploads::new(&device)?,
            targets: Targets::new(&device, layout)?,
            scene: None,
            slots: (0..RING_SLOTS).map(|_| Slot::new(&device, layout)).collect::<Result<_, _>>()?,
            in_flight: VecDeque::with_capacity(RING_SLOTS),
            device,
        })
    }

    /// The device's name.
    pub fn device_name(&self) -> &str {
        self.device.name()
    }

    /// The first messages of the validation layer; empty without it.
    pub fn validation_messages(&self) -> Vec<String> {
        self.device.validation_messages()
    }

    /// Puts a scene on the GPU in place of the one before. Frames under way are finished first; their planes stay.
    ///
    /// # Errors
    /// A scene that breaks [`Scene::validate`]'s rules, or is too large for the device.
    pub fn load(&mut self, scene: &Scene) -> Result<(), RasterError> {
        let mut scene = scene.clone();
        scene.validate()?;
        self.device.wait_idle()?;
        self.scene = None;
        let geometry = Geometry::new(&scene)?;
        let uses = texture_uses(&scene);
        let textures = Textures::new(&self.device, &self.uploads, scene.textures.len(), |i| {
            let Some(color) = uses[i] else { return Ok((Mips::new(1, 1, vec![255; 4], false), false)) };
            let (width, height, pixels) = scene.textures[i].decode()?;
            Ok::<_, RasterError>((Mips::new(width, height, pixels, color), color))
        })?;
        let deformations = Deformations::new(&scene, |mesh| {
            geometry.meshes.get(mesh as usize).and_then(|mesh| mesh.deforming.as_ref())
        });
        let bytes = deformations_at(scene.instances.len()) + deformations.frame_bytes;
        for slot in &mut self.slots {
            slot.reserve(&self.device, bytes)?;
        }
        self.scene = Some(LoadedScene {
            vertices: self.uploads.buffer("vertices", bytemuck::cast_slice(&geometry.vertices))?,
            indices: self.uploads.buffer("indices", bytemuck::cast_slice(&geometry.indices))?,
            materials: self.uploads.buffer("materials", bytemuck::cast_slice(&geometry.materials))?,
            deformation: self.uploads.buffer("joints and targets", &geometry.deformation)?,
            deformations,
            pipelines: Pipelines::new(&self.device, &textures)?,
            textures,
            meshes: geometry.meshes,
            order: by_mesh(&scene.instances),
            instances: scene.instances,
        });
        Ok(())
    }

    /// True when a slot is free for the next frame.
    pub fn has_room(&mut self) -> bool {
        free_slot(&mut self.slots, &self.in_flight).is_some()
    }

    /// Hands a frame to the GPU and returns at once.
    ///
    /// # Errors
    /// [`RasterError::RingFull`] where all slots are under way or on loan; impossible cameras and transforms.
    pub fn draw(&mut self, frame: &FrameDesc<'_>) -> Result<(), RasterError> {
        let scene = self.scene.as_ref().ok_or(RasterError::NoScene)?;
        let (transforms, previous) = scene.placement(frame)?;
        let in_flight = &self.in_flight;
        let free =
            |(i, slot): (usize, &mut Slot)| (!in_flight.iter().any(|f| f.slot == i) && slot.is_returned()).then_some(i);
        let slot = self.slots.iter_mut().enumerate().find_map(free);
        let slot = slot.ok_or(RasterError::RingFull { slots: RING_SLOTS })?;
        let PlaneLayout { width, height } = self.targets.layout;
        let extent = Vec2::new(width as f32, height as f32);
        let posed = scene.posed(frame, self.slots[slot].inputs_address())?;
        let (instances, batches) = visible(
            &scene.instances,
            &scene.order,
            &scene.meshes,
            &transforms,
            &previous,
            &posed.addresses,
            frame,
            extent,
        );
        let inputs = FrameInputs {
            targets: &self.targets,
            pipelines: &scene.pipelines,
            textures: &scene.textures,
            vertices: &scene.vertices,
            indices: &scene.indices,
            materials: &scene.materials,
            params: FrameParams::new(frame, width, height),
            instances: &instances,
            deformations_at: deformations_at(scene.instances.len()),
            deformations: &posed.bytes,
            draws: &scene.draws(&batches),
        };
        let submission = submit(&self.device, &mut self.slots[slot], &inputs)?;
        self.in_flight.push_back(InFlight { slot, frame_id: frame.frame_id, submission });
        Ok(())
    }

    /// The planes of the oldest frame under way, if it is finished. Never waits.
    ///
    /// # Errors
    /// The device was lost.
    pub fn poll(&mut self) -> Result<Option<ReadyPlanes>, RasterError> {
        match self.in_flight.front() {
            Some(oldest) if self.device.reached(oldest.submission)? => Ok(self.take()),
            _ => Ok(None),
        }
    }

    /// The planes of the oldest frame under way, once it is finished; `None` where no frame is under way.
    ///
    /// # Errors
    /// The device was lost, or hangs.
    pub fn wait(&mut self) -> Result<Option<ReadyPlanes>, RasterError> {
        let Some(oldest) = self.in_flight.front() else { return Ok(None) };
        self.device.wait(oldest.submission)?;
        Ok(self.take())
    }

    fn take(&mut self) -> Option<ReadyPlanes> {
        let done = self.in_flight.pop_front()?;
        let memory = self.slots[done.slot].lend();
        Some(ReadyPlanes { frame_id: done.frame_id, layout: self.targets.layout, memory })
    }
}

impl Drop for RasterEngine {
    fn drop(&mut self) {
        self.device.drain();
    }
}

/// A slot that is neither under way nor on loan.
fn free_slot(slots: &mut [Slot], in_flight: &VecDeque<InFlight>) -> Option<usize> {
    let mut slots = slots.iter_mut().enumerate();
    slots.find_map(|(i, slot)| (in_flight.iter().all(|f| f.slot != i) && slot.is_returned()).then_some(i))
}

/// Where a slot has what poses instances: behind the parameters and the table of so many instances.
fn deformations_at(instances: usize) -> usize {
    size_of::<FrameParams>() + instances * size_of::<GpuInstance>()
}

impl LoadedScene {
    /// What poses instances in a frame whose inputs are at an address.
    fn posed(&self, frame: &FrameDesc<'_>, inputs: u64) -> Result<Posed, RasterError> {
        let of_mesh = |mesh: u32| self.meshes.get(mesh as usize).and_then(|mesh| mesh.deforming.as_ref());
        let places = (self.deformation.address(), inputs + deformations_at(self.instances.len()) as u64);
        let posed = self.deformations.pose(&self.instances, of_mesh, frame.poses, frame.previous_poses, places);
        let invalid = |error: rayloom_scene::SceneError| RasterError::InvalidFrame {
            frame_id: frame.frame_id,
            reason: error.to_string(),
        };
        posed.map_err(invalid)
    }

    /// Transforms of all instances, now and in the frame before.
    fn placement(&self, frame: &FrameDesc<'_>) -> Result<(Vec<Affine3A>, Vec<Affine3A>), RasterError> {
        let invalid = |reason| RasterError::InvalidFrame { frame_id: frame.frame_id, reason };
        for (name, camera) in [("camera", &frame.camera), ("previous camera", &frame.previous_camera)] {
            if !camera.is_valid() {
                return Err(invalid(format!("{name} {camera:?} is not finite, not normalised or sees nothing")));
            }
        }
        let at_rest: Vec<Affine3A> = self.instances.iter().map(|i| i.transform).collect();
        let moved = |what: &str, changes: &[(u32, Affine3A)]| -> Result<Vec<Affine3A>, RasterError> {
            let mut transforms = at_rest.clone();
            for (index, transform) in changes {
                let count = transforms.len();
                let slot = transforms.get_mut(*index as usize).filter(|_| transform.is_finite());
                *slot.ok_or_else(|| {
                    invalid(format!("{what} of instance {index} of {count} is {transform:?}: not finite, or of nobody"))
                })? = *transform;
            }
            Ok(transforms)
        };
        Ok((moved("transform", frame.transforms)?, moved("previous transform", frame.previous_transforms)?))
    }

    /// Opaque parts first.
    fn draws(&self, batches: &[Batch]) -> Vec<Draw> {
        let all = batches.iter().flat_map(|batch| {
            let mesh = &self.meshes[batch.mesh as usize];
            mesh.parts.iter().map(move |part| Draw {
                masked: part.masked,
                material: part.material,
                first_index: part.first_index,
                index_count: part.index_count,
                vertex_offset: mesh.vertex_offset,
                first_instance: batch.first_instance,
                instance_count: batch.instance_count,
            })
        });
        let mut draws: Vec<Draw> = all.collect();
        draws.sort_by_key(|d| d.masked);
        draws
    }
}
