//! The engine: draws each frame's G-buffer, hands it to Rayloom when its readback is there, shows what comes back.
//!
//! A frame is opened and drawn; its planes are submitted when the ring has them, frames later.
#![forbid(unsafe_code)]

mod lending;
mod motion;
mod options;
mod pictures;
mod progress;
mod walker;

use clap::Parser;
use lending::lend;
use motion::{Clock, Motion, Placed};
use options::Options;
use pictures::Pictures;
use raster::{CONVENTION, RasterEngine, RasterOptions};
use rayloom::frame::{Extent, LayerKind};
use rayloom::scene::animation::Rig;
use rayloom::scene::{Camera, Scene};
use rayloom::stream::{InputEvent, InputKind, Stream, StreamDesc};
use rayloom::{Error, Event, FrameDesc, FrameHandle, Overlay, SceneHandle, Session, SessionDesc, ViewDesc, ViewHandle};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use walker::{Walker, Wish};

type Anything = Box<dyn std::error::Error>;

/// Input events taken at a time.
const INPUTS: usize = 32;
/// The longest that the loop waits for a frame before it looks at input again.
const PATIENCE: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Anything> {
    let options = Options::parse();
    let stopped = Arc::new(AtomicBool::new(false));
    let on_signal = Arc::clone(&stopped);
    ctrlc::set_handler(move || on_signal.store(true, Ordering::Relaxed))?;
    Engine::new(options)?.run(&stopped)
}

/// A frame that was decided on: what moves where, seen from where. It is opened as soon as there is room for it.
struct Prepared {
    frame_id: u64,
    revision: u64,
    camera: Camera,
    previous_camera: Camera,
    placed: Arc<Placed>,
    previous: Arc<Placed>,
}

struct Engine {
    options: Options,
    /// Frames that wait for their planes.
    open: BTreeMap<u64, FrameHandle>,
    raster: RasterEngine,
    view: ViewHandle,
    scene: SceneHandle,
    stream: Stream,
    walker: Walker,
    motion: Motion,
    clock: Clock,
    pictures: Pictures,
    overlay: Overlay,
    // Last: what the others came from.
    session: Session,
}

impl Engine {
    fn new(options: Options) -> Result<Engine, Anything> {
        let session = Session::new(SessionDesc {
            peers: options.peers()?,
            embedded: options.embedded(),
            embedded_allow_cpu: true,
            validate: options.validate,
            capture: options.capture.clone(),
            timeline: options.trace_out.clone(),
            ..SessionDesc::default()
        })?;
        let size = options.size;
        let stream = session.start_stream(StreamDesc {
            listen: options.listen,
            width: size.width,
            height: size.height,
            max_fps: 60.0,
            ..StreamDesc::default()
        })?;
        say(&format!("page on http://{}/", stream.local_addr()));
        say("scene: loading");
        let (content, rig) = load(&options)?;
        let mut raster = RasterEngine::new(&RasterOptions {
            device: options.device.clone(),
            ..RasterOptions::new(size.width, size.height)
        })?;
        raster.load(&content)?;
        say(&format!("drawing on {}", raster.device_name()));
        let view = session.create_view(view_desc(&options))?;
        view.set_mode(options.mode())?;
        let overlay = if options.tiles { Overlay::Tiles } else { Overlay::Off };
        view.set_overlay(overlay)?;
        let scene = session.create_scene();
        let camera = content.default_camera(size.width as f32 / size.height as f32);
        let motion = match rig {
            Some(rig) => Motion::of_file(rig, options.animation)?,
            None => Motion::of_city(&content),
        };
        scene.replace(content)?;
        Ok(Engine {
            pictures: Pictures::new(options.png.clone(), options.every)?,
            overlay,
            clock: Clock::new(options.at),
            open: BTreeMap::new(),
            walker: Walker::new(camera),
            options,
            raster,
            view,
            scene,
            stream,
            motion,
            session,
        })
    }

    fn run(mut self, stopped: &AtomicBool) -> Result<(), Anything> {
        let (mut shown, mut count, mut ready) = (0, 0, false);
        let mut told = (String::new(), Instant::now());
        let (mut walked, mut prepared): (Instant, Option<Prepared>) = (Instant::now(), None);
        let mut before: Option<Prepared> = None;
        self.scene.commit()?;
        while !stopped.load(Ordering::Relaxed) && self.options.frames.is_none_or(|frames| count < frames) {
            self.take_events();
            self.obey()?;
            if !ready || told.1.elapsed() > Duration::from_secs(1) {
                let (stage, is_ready) = progress::line(&self.scene.progress());
                ready |= is_ready;
                let line = if told.0.ends_with("ready 100 %") || told.0.starts_with("fresh") {
                    self.view.stats().to_string()
                } else {
                    format!("scene: {stage}")
                };
                if line != told.0 {
                    say(&line);
                    self.stream.send_message(&line)?;
                    told.0 = line;
                }
                told.1 = Instant::now();
            }
            if prepared.is_none() {
                let seconds = walked.elapsed().as_secs_f64();
                walked = Instant::now();
                let camera = self.walker.walk(seconds as f32);
                let second = self.clock.advance(seconds);
                prepared = Some(self.prepare(camera, before.as_ref(), second)?);
            }
            if ready && let Some(frame) = prepared.take() {
                if self.open(&frame)? {
                    before = Some(frame);
                } else {
                    prepared = Some(frame);
                }
            }
            self.submit_what_is_read_back()?;
            let patience = if prepared.is_some() { PATIENCE } else { Duration::ZERO };
            let output = match self.view.acquire(shown + 1, patience) {
                Ok(output) => output,
                Err(Error::NotReady { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            shown = output.frame_id;
            count += 1;
            let Extent { width, height } = output.size;
            self.stream.submit_image(&output.color, width, height, width as usize * 4, self.session.now_ns())?;
            self.pictures.take(&output)?;
        }
        Ok(())
    }

    /// Moves what moves and makes it a revision.
    fn prepare(&mut self, camera: Camera, before: Option<&Prepared>, second: f64) -> Result<Prepared, Anything> {
        let placed = Arc::new(self.motion.at(second));
        self.scene.set_transforms(&placed.transforms)?;
        self.scene.set_poses(&placed.poses)?;
        for (index, light) in &placed.lights {
            self.scene.set_light(*index, *light)?;
        }
        Ok(Prepared {
            frame_id: before.map_or(1, |before| before.frame_id + 1),
            revision: self.scene.commit()?,
            camera,
            previous_camera: before.map_or(camera, |before| before.camera),
            previous: Arc::clone(before.map_or(&placed, |before| &before.placed)),
            placed,
        })
    }

    /// Opens a frame and draws it; false where there is no room for one more yet.
    fn open(&mut self, frame: &Prepared) -> Result<bool, Anything> {
        // A frame that is opened gets its planes: the ring's room is looked at first.
        if !self.raster.has_room() {
            return Ok(false);
        }
        let desc = FrameDesc {
            previous_camera: Some(frame.previous_camera),
            ..FrameDesc::new(frame.frame_id, frame.revision, frame.camera)
        };
        let open = match self.view.open_frame(desc) {
            Ok(open) => open,
            Err(Error::Busy { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        self.raster.draw(&raster::FrameDesc {
            frame_id: frame.frame_id,
            camera: frame.camera,
            previous_camera: frame.previous_camera,
            transforms: &frame.placed.transforms,
            previous_transforms: &frame.previous.transforms,
            poses: &frame.placed.poses,
            previous_poses: &frame.previous.poses,
        })?;
        self.open.insert(frame.frame_id, open);
        Ok(true)
    }

    /// Lends what the ring has ready to Rayloom.
    fn submit_what_is_read_back(&mut self) -> Result<(), Anything> {
        while let Some(planes) = self.raster.poll()? {
            if let Some(frame) = self.open.remove(&planes.frame_id()) {
                frame.submit(lend(&planes))?;
            }
        }
        Ok(())
    }

    fn take_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            // Told for every frame; here the slot is free when the last of its planes is dropped, which was before.
            if !matches!(event, Event::PlanesReleased { .. }) {
                say(&event.to_string());
            }
        }
    }

    fn obey(&mut self) -> Result<(), Error> {
        let mut events =
            [const { InputEvent { viewer: 0, kind: InputKind::PointerMove { dx: 0.0, dy: 0.0 } } }; INPUTS];
        let count = self.stream.poll_input(&mut events);
        for event in &events[..count] {
            match self.walker.obey(event) {
                Some(Wish::Mode(mode)) => self.view.set_mode(mode)?,
                Some(Wish::TogglePause) => self.clock.pause_or_go_on(),
                Some(Wish::NextOverlay) => {
                    self.overlay = self.overlay.next();
                    self.view.set_overlay(self.overlay)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// The scene, and what moves it where it is from a file.
fn load(options: &Options) -> Result<(Scene, Option<Rig>), Anything> {
    let Some(path) = &options.scene else { return Ok((rayloom::scene::city(options.city, 1), None)) };
    let (mut scene, rig) = rayloom::scene::gltf::load_animated(path, &mut |_| {})?;
    scene.add_default_lighting();
    Ok((scene, Some(rig)))
}

fn view_desc(options: &Options) -> ViewDesc {
    let mut desc = ViewDesc { gbuffer: true, convention: CONVENTION, ..ViewDesc::new(options.size) };
    desc.denoise = options.denoise();
    for layer in &mut desc.layers {
        let is_blurry = matches!(layer.request.kind, LayerKind::Specular | LayerKind::Indirect);
        layer.request.scale = if options.half && is_blurry { 2 } else { 1 };
        layer.deadline = options.deadline_ms.map_or(layer.deadline, Duration::from_millis);
    }
    desc
}

/// A line at once, also where the output is a pipe. Nobody may read it any more, which is no reason to end.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
