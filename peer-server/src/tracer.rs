//! What the server asks of whatever traces: the renderer, and what stands in for it in tests of the protocol.

use glam::Affine3A;
use rayloom_frame::{Extent, GBuffer, LayerRequest, Rect, TracedTile};
use rayloom_scene::{Camera, Light, Pose, Scene};
use rayloom_wire::PeerInfo;
use std::time::{Duration, Instant};

/// Traces tiles of scenes. Scenes are made on one thread, tiles are traced on others.
pub trait Tracer: Send + Sync + 'static {
    /// A scene on the device; it stays there until this is dropped.
    type Scene: Send + Sync + 'static;

    /// What engines are told of this peer.
    fn info(&self) -> PeerInfo;

    /// Brings a scene to the device; `progress` is told the share that is done, in [0, 1].
    ///
    /// # Errors
    /// See [`TraceError`].
    fn create_scene(&self, scene: &Scene, progress: &mut dyn FnMut(f32)) -> Result<Self::Scene, TraceError>;

    /// Traces one rectangle (ghost zone included) and waits for it. Called by two threads at once, so that the device has
    /// its next tile while the last one is read back. Frames with the same [`Frame::serial`] have the same state. With
    /// `planes`, those of the engine's own raster over `rect` grown to whole 2x2 blocks take the place of primary rays.
    ///
    /// # Errors
    /// See [`TraceError`].
    fn trace(
        &self,
        scene: &Self::Scene,
        frame: &Frame,
        rect: Rect,
        planes: Option<&GBuffer>,
    ) -> Result<Traced, TraceError>;
}

/// Everything that tiles of one frame share.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Differs between any two frames of this process that may differ in state.
    pub serial: u64,
    /// The engine's id of the frame: seeds every sample.
    pub frame_id: u64,
    /// Size of the view in pixels.
    pub extent: Extent,
    /// The camera.
    pub camera: Camera,
    /// Instances (in range) that stand elsewhere than in the scene as it was created.
    pub transforms: Vec<(u32, Affine3A)>,
    /// Lights that differ from the scene's; an index past the end adds one.
    pub lights: Vec<(u32, Light)>,
    /// Instances (in range, poses that fit) that are shaped otherwise than in the scene as it was created.
    pub poses: Vec<Pose>,
    /// The camera one frame before, for motion vectors.
    pub previous_camera: Camera,
    /// Instances that stood elsewhere one frame before than in the scene as it was created.
    pub previous_transforms: Vec<(u32, Affine3A)>,
    /// Instances that were shaped otherwise one frame before than in the scene as it was created.
    pub previous_poses: Vec<Pose>,
    /// Layers to trace.
    pub layers: Vec<LayerRequest>,
    /// Radius of the stateless filter in pixels; 0 = none.
    pub filter_radius: u8,
    /// Light in the layers is multiplied by this.
    pub pre_exposure: f32,
    /// Whether planes of primary hits are wanted.
    pub primary: bool,
}

impl Frame {
    /// A frame in which nothing moved, with planes of primary hits, unfiltered. `frame_id` is its serial too.
    pub fn new(frame_id: u64, extent: Extent, camera: Camera, layers: Vec<LayerRequest>) -> Frame {
        Frame {
            serial: frame_id,
            frame_id,
            extent,
            camera,
            transforms: Vec::new(),
            lights: Vec::new(),
            poses: Vec::new(),
            previous_camera: camera,
            previous_transforms: Vec::new(),
            previous_poses: Vec::new(),
            layers,
            filter_radius: 0,
            pre_exposure: 1.0,
            primary: true,
        }
    }
}

/// A traced rectangle and when it got how far.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The pixels.
    pub tile: TracedTile,
    /// When scene state and camera were on the device.
    pub uploaded: Instant,
    /// When it was seen to be traced and filtered (reading back comes after).
    pub traced: Instant,
    /// How long the device was at it by its own clock, where it has one: on a busy machine this thread may have learnt late
    /// that it was done.
    pub on_device: Option<Duration>,
}

/// Why something was not traced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// This scene or tile can't be had; others can. Says what was wrong and what to do.
    #[error("{0}")]
    Refused(String),
    /// No memory for it on the device; with fewer scenes there it may fit.
    #[error("{0}")]
    OutOfMemory(String),
    /// The device is gone and with it everything on it.
    #[error("{0}")]
    DeviceLost(String),
}
