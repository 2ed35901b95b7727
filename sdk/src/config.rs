//! What an engine says when it creates sessions, views and frames.

use crate::Error;
use crate::output::StageTimes;
use glam::DVec3;
use rayloom_frame::{Convention, Extent, LayerKind, LayerRequest, PictureFormat};
use rayloom_scene::Camera;
use rayloom_transport::CertificatePin;
use std::path::PathBuf;
use std::time::Duration;

/// Index that stands for the peer inside the engine's process.
pub const EMBEDDED_PEER: u32 = u32::MAX;

/// Where a peer is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PeerAddress {
    /// `https://host:port` of its signalling; `http` on loopback only.
    pub url: String,
    /// Its bearer token.
    pub token: Option<String>,
    /// The certificate that it must have, as the peer prints it at its start; `None` asks the web's authorities.
    pub tls_pin: Option<CertificatePin>,
    /// It may trace views that ask for trusted peers.
    pub is_trusted: bool,
}

impl PeerAddress {
    /// An address as people write it: a pin follows behind `#`, as in `https://1.2.3.4:4700#sha256:...`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a pin that is none.
    pub fn parse(text: &str, token: Option<&str>) -> Result<PeerAddress, Error> {
        let (url, pin) = text.split_once('#').map_or((text, None), |(url, pin)| (url, Some(pin)));
        let tls_pin = pin.map(str::parse).transpose();
        let tls_pin = tls_pin.map_err(|error| Error::InvalidArgument(format!("the peer {text}: {error}")))?;
        Ok(PeerAddress { url: url.to_owned(), token: token.map(str::to_owned), tls_pin, ..PeerAddress::default() })
    }
}

impl std::fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A token is a secret: it is never printed.
        let mut shown = f.debug_struct("PeerAddress");
        shown.field("url", &self.url).field("tls_pin", &self.tls_pin).field("is_trusted", &self.is_trusted);
        shown.finish_non_exhaustive()
    }
}

/// When the peer inside the engine's process is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Embedded {
    /// Never; frames without peers are reprojected history.
    Never,
    /// While no other peer traces: none is there, or all of them fail.
    #[default]
    Fallback,
    /// As one of the peers.
    Always,
}

/// Whether and how peers that lie are found: some of their tiles are traced again by others, lossless, and compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// Share of the tiles of peers that are not trusted which are traced again, 0 to 1; that much more work.
    pub share: f32,
    /// Folder in which what proves that a peer lied is written, made where it is not there; `None` = nowhere. A session is not made with one
    /// that can't be written to.
    pub evidence: Option<PathBuf>,
}

impl Default for Verification {
    /// One tile in a hundred, and nothing is written.
    fn default() -> Verification {
        Verification { share: 0.01, evidence: None }
    }
}

/// What a session is made of.
#[derive(Clone, Debug)]
pub struct SessionDesc {
    /// Peers to use; the session keeps connecting to all of them.
    pub peers: Vec<PeerAddress>,
    /// When the embedded peer is used.
    pub embedded: Embedded,
    /// Name or index of the embedded peer's device; `None` = the best.
    pub embedded_device: Option<String>,
    /// Whether the embedded peer may be a CPU device.
    pub embedded_allow_cpu: bool,
    /// Most bytes of GPU memory that the embedded peer's buffers may take together; `None` = what there is.
    pub embedded_memory_limit: Option<u64>,
    /// Folder in which the embedded peer keeps its compiled pipelines, made where it is not there; `None` = compiled at each start.
    pub cache_dir: Option<PathBuf>,
    /// Frames begun and not finished, per view; 1 to 8.
    pub max_frames_in_flight: u32,
    /// Threads for the network, and as many that merge a frame together; 1 to 64.
    pub worker_threads: u32,
    /// Layers come back bit for bit (tests, captures) instead of RGB9E5.
    pub lossless: bool,
    /// Planes of views in G-buffer mode are compared with what a peer traces, now and then; what a wrong convention explains
    /// is told as [`crate::Event::Convention`]. For development: costs a peer's time and memory.
    pub validate: bool,
    /// Writes all that decides pixels to this file, for [`crate::Replay`]; a file of that name is replaced. Costs a copy of
    /// every plane, and a hash of every frame.
    pub capture: Option<PathBuf>,
    /// Peers that answer with stored captures are used too (benches); without it they are refused.
    pub accept_stored_traces: bool,
    /// Writes where each frame's time went to this file, as Perfetto and chrome://tracing read it; one of that name is replaced.
    pub timeline: Option<PathBuf>,
    /// Shows it in Tracy as well, which connects to this machine's port 8086 (or `TRACY_PORT`). Needs the feature `tracy`.
    pub tracy: bool,
    /// Milliseconds that are spent in stages for nothing, to see that they are told where they are. Those of the session's own
    /// stages.
    #[doc(hidden)]
    pub inserted: StageTimes,
    /// Whether peers that are not trusted are checked; who is caught is blocked ([`crate::Event::PeerCaught`]).
    pub verification: Verification,
}

impl Default for SessionDesc {
    fn default() -> SessionDesc {
        SessionDesc {
            peers: Vec::new(),
            embedded: Embedded::default(),
            embedded_device: None,
            embedded_allow_cpu: false,
            embedded_memory_limit: None,
            cache_dir: None,
            max_frames_in_flight: 2,
            worker_threads: 2,
            lossless: false,
            validate: false,
            capture: None,
            accept_stored_traces: false,
            timeline: None,
            tracy: false,
            inserted: StageTimes::default(),
            verification: Verification::default(),
        }
    }
}

impl SessionDesc {
    pub(crate) fn check(&self) -> Result<(), Error> {
        in_range("max_frames_in_flight", self.max_frames_in_flight, 1, 8)?;
        in_range("worker_threads", self.worker_threads, 1, 64)?;
        in_range("number of peers", u32::try_from(self.peers.len()).unwrap_or(u32::MAX), 0, 64)?;
        if !(0.0..=1.0).contains(&self.verification.share) {
            let share = self.verification.share;
            return Err(Error::InvalidArgument(format!("verification share is {share}, it must be 0 to 1")));
        }
        for (place, peer) in self.peers.iter().enumerate() {
            // What can never be reached would be tried for ever.
            rayloom_transport::webrtc::check_url(&peer.url)
                .map_err(|error| Error::InvalidArgument(format!("peer {place}: {error}")))?;
        }
        if self.peers.is_empty() && self.embedded == Embedded::Never {
            let reason = "no peers and embedded is NEVER: nothing could trace; name a peer or allow the embedded one";
            return Err(Error::InvalidArgument(reason.into()));
        }
        Ok(())
    }
}

/// How soon a layer's result must be there. T1 (input, gameplay) never leaves the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Tier {
    /// 16 to 50 ms: shadows, simple reflections.
    T2,
    /// 50 to 100 ms: global illumination, complex reflections.
    T3,
    /// Above 100 ms: path tracing, offline denoising.
    T4,
}

impl Tier {
    /// The tier of a layer where the engine names none.
    pub const fn of(kind: LayerKind) -> Tier {
        match kind {
            LayerKind::Direct | LayerKind::Specular | LayerKind::Unlit => Tier::T2,
            LayerKind::Indirect => Tier::T3,
            LayerKind::Path => Tier::T4,
        }
    }

    /// Deadline where the engine names none.
    pub const fn default_deadline(self) -> Duration {
        match self {
            Tier::T2 => Duration::from_millis(50),
            Tier::T3 => Duration::from_millis(100),
            Tier::T4 => Duration::from_millis(250),
        }
    }
}

/// One layer of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LayerDesc {
    /// Which layer, samples and resolution factor.
    pub request: LayerRequest,
    /// Its tier.
    pub tier: Tier,
    /// Time from the frame's begin to when its result is late.
    pub deadline: Duration,
}

impl LayerDesc {
    /// One sample a pixel at full resolution, up to four bounces, within the tier's own deadline.
    pub fn new(kind: LayerKind, tier: Tier) -> LayerDesc {
        LayerDesc { request: LayerRequest::new(kind), tier, deadline: tier.default_deadline() }
    }
}

/// How results become a picture over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Accumulation {
    /// Every pixel shows its frame's own samples only (tests, captures).
    Off,
    /// Reprojected history, at most so many frames of it.
    Frames(u8),
}

/// Where merged light is smoothed where noise is left ([`rayloom_frame::filter`]); history is not. Outliers are cut, which
/// makes the picture a little too dark: [`crate::Output::is_denoised`] says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Denoise {
    /// Nowhere.
    #[default]
    Off,
    /// On the session's threads.
    Cpu,
    /// On the GPU that the embedded peer would take ([`SessionDesc::embedded_device`]), whoever traces; the same picture within
    /// rounding. The first view that asks for it opens the device, which takes a while.
    Gpu,
    /// By Intel Open Image Denoise ([`rayloom_oidn`]), paths ([`rayloom_frame::LayerKind::Path`]) as well: better, and slower. Its
    /// library is loaded where it is installed, or from where the variable `RAYLOOM_OIDN` says.
    OpenImage,
}

/// What a view has for what is unknown unless it says otherwise.
const FILL_BUDGET: Duration = Duration::from_millis(2);

/// What a view is.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ViewDesc {
    /// Size in pixels.
    pub size: Extent,
    /// Layers to trace, each at most once.
    pub layers: Vec<LayerDesc>,
    /// Radius of the peers' stateless filter in pixels, 0 to 8; tiles get a ghost zone as wide.
    pub filter_radius: u8,
    /// History.
    pub accumulation: Accumulation,
    /// Tiles a peer, at least and at most.
    pub tiles_per_peer: (u32, u32),
    /// Whether what is shown is filtered.
    pub denoise: Denoise,
    /// What the composed picture's pixels are.
    pub picture: PictureFormat,
    /// Outputs carry layers, planes and ages beside the composed picture; costs a copy of each.
    pub output_planes: bool,
    /// G-buffer mode: frames are opened, and begin when the planes of the engine's own raster are submitted.
    pub gbuffer: bool,
    /// What those planes hold.
    pub convention: Convention,
    /// What peers must be to trace the view; the embedded one is trusted. Where none is, [`crate::Event::Untraceable`] says so and
    /// frames are history. Not captured: a replay takes what peers it has.
    #[serde(skip)]
    pub constraints: PeerConstraints,
    /// What may be left out of the layers of frames that are predicted to be late. Nothing is in captured sessions, in replays and where
    /// two pictures are compared: there the layers decide the pixels.
    #[serde(skip)]
    pub lowering: Lowering,
    /// How many frames ahead peers trace, 0 to [`rayloom_coordinator::MAX_AHEAD`]: with each frame they are asked for the one that comes so
    /// many frames later, from the camera that is predicted for it; see `docs/prediction.md`. That hides so many frames of link and
    /// tracing. In state mode and with history only; nothing is predicted in captured sessions, in replays and where two pictures are
    /// compared.
    #[serde(skip)]
    pub frames_ahead: u8,
    /// How long the embedded peer may work for each frame on what nothing is known of, at most a second: what came into view while its tile
    /// was missing is lit as its neighbours are, and by what that peer traces of it from the next frame on. Only where it has nothing else
    /// to do; zero = never. Nothing is in captured sessions, in replays and where two pictures are compared.
    #[serde(skip)]
    pub fill_budget: Duration,
    /// Outputs come at the intervals at which their frames were begun: each is held until what 19 of 20 frames of late took is over since
    /// its begin, and comes at once where it took longer. That costs the difference in latency; an engine that waits for one output
    /// before it begins the next frame gains nothing by it.
    #[serde(skip)]
    pub paced: bool,
}

use rayloom_coordinator::Constraints;
pub use rayloom_coordinator::{CameraErrors, CameraModel, Lowering};

/// What a view, or a scene, asks of its peers. The default asks for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerConstraints {
    /// No CPU.
    pub gpu: bool,
    /// GPUs with ray tracing units that are in use.
    pub ray_tracing: bool,
    /// [`PeerAddress::is_trusted`] peers only: nobody else is sent the view's cameras, motion and planes. Assets go to all peers, but
    /// those of scenes that ask for it themselves ([`crate::Session::create_scene_for`]).
    pub trusted: bool,
}

impl From<PeerConstraints> for Constraints {
    fn from(peers: PeerConstraints) -> Constraints {
        let PeerConstraints { gpu, ray_tracing, trusted } = peers;
        Constraints { gpu, ray_tracing, trusted, memory_bytes: 0 }
    }
}

impl ViewDesc {
    /// All four layers at one sample a pixel.
    pub fn new(size: Extent) -> ViewDesc {
        ViewDesc {
            size,
            layers: LayerKind::REAL_TIME.map(|kind| LayerDesc::new(kind, Tier::of(kind))).to_vec(),
            filter_radius: 0,
            accumulation: Accumulation::Frames(24),
            tiles_per_peer: (1, 2),
            denoise: Denoise::Off,
            picture: PictureFormat::default(),
            output_planes: false,
            gbuffer: false,
            convention: Convention::GLTF,
            constraints: PeerConstraints::default(),
            lowering: Lowering::Never,
            frames_ahead: 0,
            fill_budget: FILL_BUDGET,
            paced: false,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let side = rayloom_wire::limits::VIEW_SIDE;
        in_range("view width", self.size.width, 1, side)?;
        in_range("view height", self.size.height, 1, side)?;
        in_range("filter_radius", u32::from(self.filter_radius), 0, u32::from(rayloom_wire::limits::FILTER_RADIUS))?;
        in_range("tiles_per_peer minimum", self.tiles_per_peer.0, 1, 16)?;
        in_range("tiles_per_peer maximum", self.tiles_per_peer.1, self.tiles_per_peer.0, 16)?;
        in_range("frames_ahead", u32::from(self.frames_ahead), 0, u32::from(rayloom_coordinator::MAX_AHEAD))?;
        let fill_us = u32::try_from(self.fill_budget.as_micros()).unwrap_or(u32::MAX);
        in_range("fill_budget in microseconds", fill_us, 0, 1_000_000)?;
        if self.frames_ahead > 0 {
            let ahead = self.frames_ahead;
            let why = if self.gbuffer {
                "planes exist for the true camera alone: use 0 in G-buffer mode, or state mode"
            } else if self.accumulation == Accumulation::Off {
                "what was traced ahead is warped into history, and none is kept: use 0, or keep some (Accumulation::Frames, in C \
                 accumulation_frames above 0)"
            } else {
                ""
            };
            if !why.is_empty() {
                return Err(Error::InvalidArgument(format!("frames_ahead is {ahead}: {why}")));
            }
        }
        self.convention.check().map_err(|error| Error::InvalidArgument(error.to_string()))?;
        check_layers(&self.layers)
    }
}

/// Of layers.
const SHORTEST_DEADLINE: Duration = Duration::from_millis(1);
const LONGEST_DEADLINE: Duration = Duration::from_secs(60);

/// Layers must be there, each once, with legal samples and factors.
pub(crate) fn check_layers(layers: &[LayerDesc]) -> Result<(), Error> {
    if layers.is_empty() {
        return Err(Error::InvalidArgument("a view without layers has nothing to trace: name at least one".into()));
    }
    for (i, layer) in layers.iter().enumerate() {
        let name = layer.request.kind.name();
        if layer.request.kind == LayerKind::Path && layers.len() > 1 {
            let text = "layer path is all light of the picture: ask for it alone, or for the others without it";
            return Err(Error::InvalidArgument(text.into()));
        }
        if layers[..i].iter().any(|other| other.request.kind == layer.request.kind) {
            return Err(Error::InvalidArgument(format!("layer {name} is named twice")));
        }
        let samples = u32::from(rayloom_wire::limits::SAMPLES);
        in_range(&format!("samples of layer {name}"), u32::from(layer.request.samples), 1, samples)?;
        in_range(&format!("scale of layer {name}"), u32::from(layer.request.scale), 1, 2)?;
        let bounces = u32::from(rayloom_wire::limits::BOUNCES);
        in_range(&format!("bounces of layer {name}"), u32::from(layer.request.bounces), 0, bounces)?;
        if !(SHORTEST_DEADLINE..=LONGEST_DEADLINE).contains(&layer.deadline) {
            let deadline = layer.deadline;
            let text = format!(
                "deadline of layer {name} is {deadline:?}, allowed is {SHORTEST_DEADLINE:?} to {LONGEST_DEADLINE:?}"
            );
            return Err(Error::InvalidArgument(text));
        }
    }
    Ok(())
}

fn in_range(what: &str, value: u32, min: u32, max: u32) -> Result<(), Error> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(Error::InvalidArgument(format!("{what} is {value}, allowed is {min} to {max}")))
    }
}

/// How radiance becomes a picture.
pub use rayloom_frame::compose::ToneMap;

/// One frame of a view.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FrameDesc {
    /// Grows from frame to frame, up to `u64::MAX - 1`; seeds the samples.
    pub frame_id: u64,
    /// A committed revision of a scene that is there: the newest of it, or one of the session's last 512.
    pub revision: u64,
    /// The engine's own time of the frame; comes back with its output.
    pub time_ns: u64,
    /// The camera, relative to `world_origin`.
    pub camera: Camera,
    /// The point of the scene, in metres, that the cameras of this frame are relative to: added in double precision.
    pub world_origin: DVec3,
    /// The camera of the frame before, where it is not the last begun frame's.
    pub previous_camera: Option<Camera>,
    /// Nothing of the frame before is to be seen in this one.
    pub cut: bool,
    /// Radiance is multiplied by this before the tone map.
    pub exposure: f32,
    /// What layers hold is radiance times this, and so is what the engine's plane of emitted light holds: a factor that keeps
    /// half floats in range. The composed picture does not depend on it, history is brought to it.
    pub pre_exposure: f32,
    /// The tone map of the composed image.
    pub tone_map: ToneMap,
    /// Other layers than the view's for this frame; empty = the view's.
    pub layers: Vec<LayerDesc>,
    /// The camera that the engine expects [`ViewDesc::frames_ahead`] frames after this one, relative to `world_origin`; it is taken
    /// instead of what Rayloom would predict. Counts for nothing where no frames are traced ahead.
    #[serde(skip)]
    pub predicted_camera: Option<Camera>,
}

impl FrameDesc {
    /// A frame with exposure and pre-exposure 1, and the view's layers.
    pub fn new(frame_id: u64, revision: u64, camera: Camera) -> FrameDesc {
        FrameDesc {
            frame_id,
            revision,
            time_ns: 0,
            camera,
            world_origin: DVec3::ZERO,
            previous_camera: None,
            cut: false,
            exposure: 1.0,
            pre_exposure: 1.0,
            tone_map: ToneMap::Aces,
            layers: Vec::new(),
            predicted_camera: None,
        }
    }

    /// With cameras that are relative to the scene itself.
    pub(crate) fn in_scene(mut self) -> FrameDesc {
        let origin = std::mem::take(&mut self.world_origin);
        let others = [self.previous_camera.as_mut(), self.predicted_camera.as_mut()];
        for camera in others.into_iter().flatten().chain([&mut self.camera]) {
            camera.position = (camera.position.as_dvec3() + origin).as_vec3();
        }
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.world_origin.is_finite() {
            let origin = self.world_origin;
            return Err(Error::InvalidArgument(format!("world_origin is {origin}, it must be finite")));
        }
        if !self.camera.is_valid() {
            let reason = format!("the camera of frame {} is not usable: {:?}", self.frame_id, self.camera);
            return Err(Error::InvalidArgument(reason));
        }
        for (name, other) in [("previous", &self.previous_camera), ("predicted", &self.predicted_camera)] {
            if other.is_some_and(|camera| !camera.is_valid()) {
                let frame_id = self.frame_id;
                return Err(Error::InvalidArgument(format!("the {name} camera of frame {frame_id} is not usable")));
            }
        }
        for (name, value) in [("exposure", self.exposure), ("pre_exposure", self.pre_exposure)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::InvalidArgument(format!("{name} is {value}, it must be finite and above 0")));
            }
        }
        if self.layers.is_empty() { Ok(()) } else { check_layers(&self.layers) }
    }
}

/// Which picture of a view is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewMode {
    /// What the peers traced.
    #[default]
    Remote,
    /// What the embedded peer traced.
    Local,
    /// The difference of both, amplified.
    Difference,
}
