//! What sessions share of the device: the queue of tiles, the threads that trace them, and the scenes that are there.

use crate::cache::Id;
use crate::tracer::{Frame, TraceError, Traced, Tracer};
use glam::Affine3A;
use parking_lot::{Condvar, Mutex};
use rayloom_frame::Rect;
use rayloom_scene::Scene;
use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// Tiles are traced in order of arrival by this many threads: while one reads back, the device has the other's tile.
const LANES: usize = 2;

/// A scene on the device. It stays while anyone holds this.
pub(crate) struct ResidentScene {
    /// Where instances stand in the revision.
    pub(crate) transforms: Arc<[Affine3A]>,
    pub(crate) lights: usize,
    /// The tracer's own.
    on_device: Box<dyn Any + Send + Sync>,
    /// Kept because the next revision shares most of its meshes: what stays the same object is not uploaded again.
    _source: Scene,
}

/// One tile to trace. `tag` goes with it and comes back with the result.
pub(crate) struct TileJob<T> {
    pub(crate) session: u64,
    pub(crate) task: u64,
    pub(crate) frame: Arc<Frame>,
    pub(crate) scene: Arc<ResidentScene>,
    pub(crate) rect: Rect,
    pub(crate) tag: T,
    pub(crate) reply: UnboundedSender<TileOutcome<T>>,
}

/// A tile whose turn has come.
pub(crate) struct TileOutcome<T> {
    pub(crate) task: u64,
    pub(crate) frame: Arc<Frame>,
    pub(crate) tag: T,
    /// When the device was free for it.
    pub(crate) started: Instant,
    pub(crate) result: Result<Traced, TraceError>,
}

/// How far the building of a scene is.
pub(crate) enum BuildEvent {
    /// Share that is done.
    Progress(f32),
    /// The end.
    Built(Result<Arc<ResidentScene>, String>),
}

/// A scene to bring to the device.
pub(crate) struct BuildJob {
    pub(crate) session: u64,
    pub(crate) root: Id,
    pub(crate) scene: Scene,
    pub(crate) reply: Box<dyn Fn(BuildEvent) + Send>,
}

/// Queues and scenes. Sessions bound their own share of the queues.
pub(crate) struct Device<T> {
    tiles: Queue<TileJob<T>>,
    builds: Queue<BuildJob>,
    scenes: Mutex<Scenes>,
    /// When the device finished its last tile.
    last_traced: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Scenes {
    by_root: HashMap<Id, (Arc<ResidentScene>, u64)>,
    uses: u64,
}

impl<T: Send + 'static> Device<T> {
    pub(crate) fn new() -> Device<T> {
        Device { tiles: Queue::new(), builds: Queue::new(), scenes: Mutex::default(), last_traced: Mutex::default() }
    }

    /// Starts the threads. They end after [`Device::stop`], or when the device is lost: then `failed` is told why.
    pub(crate) fn start<R: Tracer>(
        self: &Arc<Self>,
        tracer: R,
        idle_scenes: usize,
        failed: impl Fn(String) + Clone + Send + 'static,
    ) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
        let tracer = Arc::new(tracer);
        let mut threads = Vec::new();
        for lane in 0..LANES {
            let (device, tracer, failed) = (self.clone(), tracer.clone(), failed.clone());
            let body = move || device.trace_tiles(&*tracer, failed);
            threads.push(std::thread::Builder::new().name(format!("rayloom-trace-{lane}")).spawn(body)?);
        }
        let device = self.clone();
        let body = move || device.build_scenes(&*tracer, idle_scenes, failed);
        threads.push(std::thread::Builder::new().name("rayloom-build".into()).spawn(body)?);
        Ok(threads)
    }

    /// A scene that is on the device already; counts as a use.
    pub(crate) fn find(&self, root: &Id) -> Option<Arc<ResidentScene>> {
        let mut scenes = self.scenes.lock();
        scenes.uses += 1;
        let now = scenes.uses;
        let (scene, used) = scenes.by_root.get_mut(root)?;
        *used = now;
        Some(scene.clone())
    }

    /// False when the device has stopped; the job is dropped then.
    pub(crate) fn trace(&self, job: TileJob<T>) -> bool {
        self.tiles.push(job)
    }

    /// False when the device has stopped; the job is dropped then.
    pub(crate) fn build(&self, job: BuildJob) -> bool {
        self.builds.push(job)
    }

    /// Removes a session's tasks that have not begun; what they carried is dropped here.
    pub(crate) fn cancel(&self, session: u64, tasks: &[u64]) {
        self.tiles.retain(|job| job.session != session || !tasks.contains(&job.task));
    }

    /// Removes everything that a session has queued.
    pub(crate) fn cancel_session(&self, session: u64) {
        self.tiles.retain(|job| job.session != session);
        self.builds.retain(|job| job.session != session);
    }

    /// The threads end after what they are at; what is queued is dropped.
    pub(crate) fn stop(&self) {
        self.tiles.stop();
        self.builds.stop();
    }

    fn trace_tiles<R: Tracer>(&self, tracer: &R, failed: impl FnOnce(String)) {
        while let Some(job) = self.tiles.pop() {
            let begun = Instant::now();
            let scene = job.scene.on_device.downcast_ref().expect("all scenes come from the one tracer");
            let result = tracer.trace(scene, &job.frame, job.rect);
            let mut started = begun;
            if let Ok(traced) = &result {
                // The time that the device spent on the other lane's tile is not this one's cost.
                let mut last = self.last_traced.lock();
                started = last.map_or(begun, |last| last.max(begun).min(traced.uploaded.max(begun)));
                *last = Some(last.map_or(traced.traced, |last| last.max(traced.traced)));
            }
            let lost = lost(&result);
            // A session that has ended meanwhile is no error.
            let _ = job.reply.send(TileOutcome { task: job.task, frame: job.frame, tag: job.tag, started, result });
            if let Some(reason) = lost {
                self.stop();
                return failed(reason);
            }
        }
    }

    fn build_scenes<R: Tracer>(&self, tracer: &R, idle_scenes: usize, failed: impl FnOnce(String)) {
        while let Some(job) = self.builds.pop() {
            let BuildJob { root, scene, reply, .. } = job;
            let result = match self.find(&root) {
                Some(found) => Ok(found),
                None => self.build_scene(tracer, root, scene, idle_scenes, &mut |f| reply(BuildEvent::Progress(f))),
            };
            let lost = lost(&result);
            reply(BuildEvent::Built(result.map_err(|e| e.to_string())));
            if let Some(reason) = lost {
                self.stop();
                return failed(reason);
            }
        }
    }

    fn build_scene<R: Tracer>(
        &self,
        tracer: &R,
        root: Id,
        source: Scene,
        idle_scenes: usize,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Arc<ResidentScene>, TraceError> {
        let on_device = match tracer.create_scene(&source, progress) {
            Err(TraceError::OutOfMemory(_)) if self.scenes.lock().evict(0) > 0 => tracer.create_scene(&source, progress)?,
            result => result?,
        };
        let scene = Arc::new(ResidentScene {
            transforms: source.instances.iter().map(|instance| instance.transform).collect(),
            lights: source.lights.len(),
            on_device: Box::new(on_device),
            _source: source,
        });
        let mut scenes = self.scenes.lock();
        scenes.uses += 1;
        let now = scenes.uses;
        scenes.by_root.insert(root, (scene.clone(), now));
        // After the new one is there: it may share meshes with one that goes.
        scenes.evict(idle_scenes);
        Ok(scene)
    }
}

impl Scenes {
    /// Drops scenes that nobody else holds, oldest use first, until at most `keep` of them are left; says how many went.
    fn evict(&mut self, keep: usize) -> usize {
        let idle = self.by_root.iter().filter(|(_, (scene, _))| Arc::strong_count(scene) == 1);
        let mut idle: Vec<(u64, Id)> = idle.map(|(root, (_, used))| (*used, *root)).collect();
        idle.sort_unstable();
        idle.truncate(idle.len().saturating_sub(keep));
        for (_, root) in &idle {
            self.by_root.remove(root);
        }
        idle.len()
    }
}

fn lost<V>(result: &Result<V, TraceError>) -> Option<String> {
    match result {
        Err(TraceError::DeviceLost(reason)) => Some(reason.clone()),
        _ => None,
    }
}

/// A queue that threads wait on.
struct Queue<J> {
    state: Mutex<(VecDeque<J>, bool)>,
    wake: Condvar,
}

impl<J> Queue<J> {
    fn new() -> Queue<J> {
        Queue { state: Mutex::new((VecDeque::new(), false)), wake: Condvar::new() }
    }

    fn push(&self, job: J) -> bool {
        let mut state = self.state.lock();
        if state.1 {
            return false;
        }
        state.0.push_back(job);
        drop(state);
        self.wake.notify_one();
        true
    }

    fn pop(&self) -> Option<J> {
        let mut state = self.state.lock();
        loop {
            if state.1 {
                return None;
            }
            if let Some(job) = state.0.pop_front() {
                return Some(job);
            }
            self.wake.wait(&mut state);
        }
    }

    fn retain(&self, keep: impl Fn(&J) -> bool) {
        // Dropped outside the lock: what a job carries may take locks of its own.
        let dropped: Vec<J> = {
            let mut state = self.state.lock();
            let mut dropped = Vec::new();
            for job in std::mem::take(&mut state.0) {
                if keep(&job) { state.0.push_back(job) } else { dropped.push(job) }
            }
            dropped
        };
        drop(dropped);
    }

    fn stop(&self) {
        let dropped = {
            let mut state = self.state.lock();
            state.1 = true;
            std::mem::take(&mut state.0)
        };
        self.wake.notify_all();
        drop(dropped);
    }
}
