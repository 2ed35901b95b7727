//! Splits one ray-traced frame over several GPUs that are not in your machine and gives you the frame back in time.
//!
//! A [`Session`] keeps connected to its peers. A [`SceneHandle`] gathers changes into atomic revisions, which peers
//! fetch once. A [`ViewHandle`] begins frames and hands out finished ones. [`Session::start_stream`] shows the engine's
//! final picture to browsers. The C ABI in `include/rayloom.h` is a translation of this.
//!
//! **No call on a frame's way blocks, and a frame that was begun is always finished**: at its deadline with what is
//! there, the rest reprojected from history.
#![forbid(unsafe_code)]

mod access;
mod blob_store;
mod capture;
mod clock;
mod committed;
mod config;
mod denoise;
mod director;
mod error;
mod event;
mod fleet;
mod flight;
mod frame_handle;
mod merge_thread;
mod merging;
mod output;
mod overlay;
mod pacing;
mod packing;
mod peer_link;
mod picture;
mod pipeline;
mod planes;
mod prediction;
mod preparing;
mod probe;
mod progress;
mod replay;
mod revisions;
mod scene_handle;
mod session;
mod stats;
mod timeline;
mod upload;
mod validation;
mod verify;
mod view;
mod view_handle;
mod workers;

pub use capture::{CAPTURE_VERSION, CaptureError};
pub use config::{
    Accumulation, CameraErrors, CameraModel, Denoise, EMBEDDED_PEER, Embedded, FrameDesc, LayerDesc, Lowering,
    PeerAddress, PeerConstraints, SessionDesc, Tier, ToneMap, Verification, ViewDesc, ViewMode,
};
pub use error::Error;
pub use event::{EVENT_LIMIT, Event};
pub use frame_handle::FrameHandle;
pub use output::{Output, OutputPlanes, STAGES, Stage, StageTimes, TileOutcome};
pub use overlay::Overlay;
pub use picture::Picture;
pub use planes::Plane;
pub use progress::SceneProgress;
pub use rayloom_transport::CertificatePin;
pub use rayloom_wire::SceneStage;
pub use replay::{Replay, ReplayError, ReplayReport, ReplayedFrame, Verdict};
pub use scene_handle::SceneHandle;
pub use session::{ALLOW_CPU, Session};
pub use stats::{FRESH_SHARE, PeerStats, PredictionStats, ViewStats};
pub use verify::VerificationStats;
pub use view_handle::ViewHandle;

/// Pixels: sizes, layers, planes.
pub use rayloom_frame as frame;
/// Scenes: cameras, lights, materials, meshes.
pub use rayloom_scene as scene;
/// Streams to browsers.
pub use rayloom_stream as stream;
