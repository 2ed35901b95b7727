//! What sessions share of the device: the queue of tiles, the threads that trace them, and the scenes that are there.

use crate::cache::Id;
use crate::tracer::{Frame, TraceError, Traced, Tracer};
use glam::Affine3A;
use parking_lot::Mutex;
use rayloom_frame::{GBuffer, Rect};
use rayloom_scene::{Pose, Scene};
use rayloom_sync::Queue;
use rayloom_wire::OVERTAKES_BY;
use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// Tiles are traced in the order of the queue by this many threads.
const LANES: usize = rayloom_wire::TILES_AT_ONCE;

/// A scene on the device. It stays while anyone holds this.
pub(crate) struct ResidentScene {
    /// Where instances stand in the revision.
    pub(crate) transforms: Arc<[Affine3A]>,
    pub(crate) lights: usize,
    /// How instances are shaped in it.
    pub(crate) poses: Arc<[Pose]>,
    /// The tracer's own.
    on_device: Box<dyn Any + Send + Sync>,
    /// Poses are checked against it, and the next revision shares most of its meshes: what stays the same object is not
    /// uploaded again.
    pub(crate) source: Scene,
}

#[cfg(test)]
impl ResidentScene {
    /// An empty scene of a tracer that keeps nothing.
    pub(crate) fn without_device() -> ResidentScene {
        ResidentScene {
            transforms: Arc::default(),
            lights: 0,
            poses: Arc::default(),
            on_device: Box::new(()),
            source: Scene::default(),
        }
    }
}

/// One tile to trace. `tag` goes with it and comes back with the result.
pub(crate) struct TileJob<T> {
    pub(crate) session: u64,
    pub(crate) task: u64,
    pub(crate) frame: Arc<Frame>,
    pub(crate) scene: Arc<ResidentScene>,
    pub(crate) rect: Rect,
    /// When it is late, by what its engine says.
    pub(crate) due: Instant,
    /// Instead of primary rays.
    pub(crate) planes: Option<GBuffer>,
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
        Device {
            tiles: Queue::default(),
            builds: Queue::default(),
            scenes: Mutex::default(),
            last_traced: Mutex::default(),
        }
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
        for thread in 0..=LANES {
            let name = if thread < LANES { format!("rayloom-trace-{thread}") } else { "rayloom-build".into() };
            let (device, tracer, failed) = (self.clone(), tracer.clone(), failed.clone());
            let body = move || {
                let work = || match thread < LANES {
                    true => device.trace_tiles(&*tracer),
                    false => device.build_scenes(&*tracer, idle_scenes),
                };
                // A panic in here is a bug, but engines must learn that nobody traces any more.
                let lost = catch_unwind(AssertUnwindSafe(work));
                if let Some(reason) =
                    lost.unwrap_or_else(|_| Some("the tracer panicked: a bug, see the peer's log".into()))
                {
                    device.stop();
                    failed(reason);
                }
            };
            threads.push(std::thread::Builder::new().name(name).spawn(body)?);
        }
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

    /// False when the device has stopped; the job is dropped then. It overtakes what is due later by more than [`OVERTAKES_BY`], but
    /// only what is of its own session: what engines say of their hurry is no concern of others.
    pub(crate) fn trace(&self, job: TileJob<T>) -> bool {
        let overtakes =
            |job: &TileJob<T>, other: &TileJob<T>| other.due.saturating_duration_since(job.due) > OVERTAKES_BY;
        self.tiles.put(job, |waiting, job| put_in_turn(waiting, job, |job| job.session, overtakes)).is_ok()
    }

    /// False when the device has stopped; the job is dropped then.
    pub(crate) fn build(&self, job: BuildJob) -> bool {
        self.builds.push(job).is_ok()
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
        self.tiles.close();
        self.builds.close();
    }

    /// Works until the device is stopped, or lost: then says why.
    fn trace_tiles<R: Tracer>(&self, tracer: &R) -> Option<String> {
        while let Some(job) = self.tiles.pop() {
            let popped = Instant::now();
            let mut started = popped;
            let scene = job.scene.on_device.downcast_ref().expect("all scenes come from the one tracer");
            let mut result = tracer.trace(scene, &job.frame, job.rect, job.planes.as_ref());
            if let Ok(traced) = &mut result {
                // The time that the device spent on the other lane's tile is not this one's cost.
                let mut last = self.last_traced.lock();
                started = started_at(popped, *last, traced);
                traced.uploaded = traced.uploaded.max(started);
                *last = Some(last.map_or(traced.traced, |last| last.max(traced.traced)));
            }
            let lost = lost(&result);
            // A session that has ended meanwhile is no error.
            let _ = job.reply.send(TileOutcome { task: job.task, frame: job.frame, tag: job.tag, started, result });
            if lost.is_some() {
                return lost;
            }
        }
        None
    }

    /// Works until the device is stopped, or lost: then says why.
    fn build_scenes<R: Tracer>(&self, tracer: &R, idle_scenes: usize) -> Option<String> {
        while let Some(job) = self.builds.pop() {
            let BuildJob { root, scene, reply, .. } = job;
            let mut told = 0.0;
            let mut progress = |fraction: f32| {
                if fraction - told >= 0.01 {
                    told = fraction;
                    reply(BuildEvent::Progress(fraction));
                }
            };
            let result = match self.find(&root) {
                Some(found) => Ok(found),
                None => self.build_scene(tracer, root, scene, idle_scenes, &mut progress),
            };
            let lost = lost(&result);
            reply(BuildEvent::Built(result.map_err(|e| format!("scene {}: {e}", named(&root)))));
            if lost.is_some() {
                return lost;
            }
        }
        None
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
            Err(TraceError::OutOfMemory(reason)) => {
                if self.evict(0) == 0 {
                    return Err(TraceError::OutOfMemory(reason));
                }
                tracer.create_scene(&source, progress)?
            }
            result => result?,
        };
        let scene = Arc::new(ResidentScene {
            transforms: source.instances.iter().map(|instance| instance.transform).collect(),
            lights: source.lights.len(),
            poses: source.poses.clone().into(),
            on_device: Box::new(on_device),
            source,
        });
        {
            let mut scenes = self.scenes.lock();
            scenes.uses += 1;
            let now = scenes.uses;
            scenes.by_root.insert(root, (scene.clone(), now));
        }
        // After the new one is there: it may share meshes with one that goes.
        self.evict(idle_scenes);
        Ok(scene)
    }

    /// Drops scenes that no session holds until at most `keep` of them are left; says how many went.
    fn evict(&self, keep: usize) -> usize {
        // Dropped outside the lock: sessions wait on it, and a device takes its time to free memory.
        let idle = self.scenes.lock().take_idle(keep);
        idle.len()
    }
}

impl Scenes {
    /// Takes out scenes that nobody else holds, oldest use first, until at most `keep` of them are left.
    fn take_idle(&mut self, keep: usize) -> Vec<Arc<ResidentScene>> {
        let idle = self.by_root.iter().filter(|(_, (scene, _))| Arc::strong_count(scene) == 1);
        let mut idle: Vec<(u64, Id)> = idle.map(|(root, (_, used))| (*used, *root)).collect();
        idle.sort_unstable();
        idle.truncate(idle.len().saturating_sub(keep));
        idle.into_iter().filter_map(|(_, root)| Some(self.by_root.remove(&root)?.0)).collect()
    }
}

/// The first letters of a scene's name, as logs have them.
fn named(root: &Id) -> String {
    root[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When the device began with a tile: by its own clock, or else when it was seen to be done with its last one. Never before
/// the tile's turn came.
fn started_at(popped: Instant, last_traced: Option<Instant>, traced: &Traced) -> Instant {
    let begun = match traced.on_device {
        Some(busy) => traced.traced.checked_sub(busy),
        None => last_traced.map(|last| last.min(traced.traced)),
    };
    begun.map_or(popped, |begun| begun.max(popped))
}

fn lost<V>(result: &Result<V, TraceError>) -> Option<String> {
    match result {
        Err(TraceError::DeviceLost(reason)) => Some(reason.clone()),
        _ => None,
    }
}

/// Puts a job into the last of its owner's places in the queue, and from there on into each one before it, while it overtakes who has that.
fn put_in_turn<J>(waiting: &mut VecDeque<J>, job: J, owner: impl Fn(&J) -> u64, overtakes: impl Fn(&J, &J) -> bool) {
    let mut place = waiting.len();
    waiting.push_back(job);
    for other in (0..place).rev() {
        if owner(&waiting[other]) != owner(&waiting[place]) {
            continue;
        }
        if !overtakes(&waiting[place], &waiting[other]) {
            break;
        }
        waiting.swap(other, place);
        place = other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_frame::{Extent, TracedTile};
    use rayloom_scene::Camera;
    use rayloom_wire::PeerInfo;
    use std::time::Duration;
    use tokio::sync::mpsc;

    /// Every tile is seen to be done long after it began; the device says that it was at it for `busy`.
    struct Clocked {
        busy: Option<Duration>,
    }

    impl Tracer for Clocked {
        type Scene = ();

        fn info(&self) -> PeerInfo {
            unreachable!("nobody asks")
        }

        fn create_scene(&self, _: &Scene, _: &mut dyn FnMut(f32)) -> Result<(), TraceError> {
            Ok(())
        }

        fn trace(&self, (): &(), _: &Frame, rect: Rect, _: Option<&GBuffer>) -> Result<Traced, TraceError> {
            let uploaded = Instant::now();
            // What a thread sees that was woken late: far later than it began.
            let traced = uploaded + Duration::from_secs(100 * u64::from(rect.x));
            let tile = TracedTile { rect, layers: Vec::new(), primary: None, block_rays: Vec::new() };
            Ok(Traced { tile, uploaded, traced, on_device: self.busy })
        }
    }

    /// The time that each of the tiles at x = 1, 2, 3 is charged with.
    fn charged(busy: Option<Duration>) -> Vec<Duration> {
        let device = Device::<()>::new();
        let camera = Camera::with_fov(1.0, 1.5);
        let frame = Arc::new(Frame::new(1, Extent::new(16, 16), camera, Vec::new()));
        let scene = Arc::new(ResidentScene::without_device());
        let (reply, mut outcomes) = mpsc::unbounded_channel();
        for x in 1..=3 {
            let (frame, scene, reply) = (frame.clone(), scene.clone(), reply.clone());
            let rect = Rect::new(x, 0, 1, 1);
            let due = Instant::now();
            device.trace(TileJob { session: 1, task: 1, frame, scene, rect, due, planes: None, tag: (), reply });
        }
        let device = Arc::new(device);
        std::thread::scope(|threads| {
            let lane = threads.spawn(|| device.trace_tiles(&Clocked { busy }));
            let charged = (0..3).map(|_| {
                let TileOutcome { started, result, .. } = outcomes.blocking_recv().expect("the lane answers");
                let traced = result.expect("it traces everything");
                assert!(started <= traced.uploaded && traced.uploaded <= traced.traced);
                traced.traced - started
            });
            let charged = charged.collect();
            device.stop();
            assert_eq!(lane.join().expect("no panic"), None);
            charged
        })
    }

    #[test]
    fn a_device_with_a_clock_says_what_a_tile_cost() {
        let busy = Duration::from_millis(7);
        assert_eq!(charged(Some(busy)), [busy; 3]);
        // Never more than since its turn came.
        let most = charged(Some(Duration::from_secs(1_000_000)));
        assert!(most.iter().zip(1..).all(|(charged, x)| charged.as_secs() / 100 == x), "{most:?}");
    }

    #[test]
    fn without_one_a_tile_costs_the_time_since_the_last_was_done() {
        let charged = charged(None);
        assert_eq!(charged[0].as_secs() / 100, 1);
        assert!(charged[1..].iter().all(|charged| charged.as_secs() <= 100), "{charged:?}");
    }

    /// In which order jobs of (session, task, milliseconds until due) come out of the queue.
    fn order(jobs: &[(u64, u64, u64)]) -> Vec<u64> {
        let device = Device::<()>::new();
        let frame = Arc::new(Frame::new(1, Extent::new(16, 16), Camera::with_fov(1.0, 1.5), Vec::new()));
        let (reply, _outcomes) = mpsc::unbounded_channel();
        let now = Instant::now();
        for (session, task, due_ms) in jobs {
            device.trace(TileJob {
                session: *session,
                task: *task,
                frame: frame.clone(),
                scene: Arc::new(ResidentScene::without_device()),
                rect: Rect::new(0, 0, 16, 16),
                due: now + Duration::from_millis(*due_ms),
                planes: None,
                tag: (),
                reply: reply.clone(),
            });
        }
        jobs.iter().map(|_| device.tiles.pop().expect("as many as came").task).collect()
    }

    #[test]
    fn what_is_due_first_is_traced_first() {
        assert_eq!(order(&[(1, 10, 250), (1, 11, 250), (1, 20, 66), (1, 21, 66)]), [20, 21, 10, 11]);
        // A frame's tiles come as they were sent, however their messages' times were rounded.
        assert_eq!(order(&[(1, 10, 50), (1, 11, 48), (1, 12, 45)]), [10, 11, 12]);
        // What waits for long comes in the end.
        assert_eq!(order(&[(1, 10, 250), (1, 20, 66), (1, 30, 256)]), [20, 10, 30]);
    }

    #[test]
    fn who_is_in_a_hurry_overtakes_nobody_elses_tiles() {
        assert_eq!(order(&[(1, 10, 250), (2, 20, 0), (1, 11, 0), (2, 21, 0)]), [11, 20, 10, 21]);
    }
}
