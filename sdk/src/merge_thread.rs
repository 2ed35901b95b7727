//! A view's thread: makes the pictures of its pipelines' frames, while the director goes on deciding.
//!
//! The director hands over what a frame is merged from, each slice as it arrives, and the frame's end; the thread answers
//! with what it made. A view whose frames are slow to merge or to filter holds up no other. What waits for the thread is
//! bounded: by the frames that a view may have in flight, of which none counts as finished before it was made, and by the
//! pixels of their tiles.

use crate::capture::MadeRecord;
use crate::clock::Clock;
use crate::config::ViewDesc;
use crate::denoise::Filters;
use crate::flight::Flight;
use crate::merging::{Finished, Merging, Opening, Part, Seen};
use crate::output::StageTimes;
use crate::workers::MergeThreads;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::Notify;

/// What a view's thread is made with.
pub(crate) struct MergeDesc {
    /// The view's number.
    pub(crate) view: u16,
    pub(crate) desc: ViewDesc,
    pub(crate) filters: Filters,
    /// Threads that merge a frame together.
    pub(crate) threads: MergeThreads,
    pub(crate) clock: Clock,
    /// What frames consist of is told with them.
    pub(crate) is_recorded: bool,
    /// See [`crate::SessionDesc::inserted`].
    pub(crate) inserted: StageTimes,
    /// Told when something was made.
    pub(crate) news: Arc<Notify>,
}

/// What the thread is told.
enum Job {
    Open { is_local: bool, opening: Box<Opening> },
    Add { is_local: bool, part: Part },
    Finish { is_local: bool, flight: Box<Flight> },
    End,
}

/// A frame that has ended, and what was made of it.
pub(crate) type FinishedFlight = (Box<Flight>, Finished);

/// What the thread tells.
#[derive(Default)]
struct Made {
    /// What each pipeline finished, oldest first: the remote one and the local one.
    finished: [Mutex<Vec<FinishedFlight>>; 2],
    /// What the last finished frames tell of the next one's cost.
    seen: [Mutex<Option<Arc<Seen>>>; 2],
    /// The view is gone: nothing more of it will be shown.
    is_ending: AtomicBool,
    /// It is gone, by a panic.
    has_panicked: AtomicBool,
    news: Arc<Notify>,
}

/// The thread of a view. Dropping it ends the thread.
pub(crate) struct MergeThread {
    jobs: mpsc::Sender<Job>,
    made: Arc<Made>,
    thread: Option<JoinHandle<()>>,
}

/// A pipeline's way to its view's thread.
pub(crate) struct Merge {
    is_local: bool,
    jobs: mpsc::Sender<Job>,
    made: Arc<Made>,
}

impl MergeThread {
    /// # Errors
    /// Without a thread, the system's.
    pub(crate) fn new(desc: MergeDesc) -> std::io::Result<MergeThread> {
        let (jobs, work) = mpsc::channel();
        let made = Arc::new(Made { news: Arc::clone(&desc.news), ..Made::default() });
        let thread = std::thread::Builder::new().name("rayloom-view".into()).spawn({
            let made = Arc::clone(&made);
            move || {
                let ending = Ending(&made);
                run(&desc, &work, &made);
                drop(ending);
            }
        })?;
        Ok(MergeThread { jobs, made, thread: Some(thread) })
    }

    pub(crate) fn pipeline(&self, is_local: bool) -> Merge {
        Merge { is_local, jobs: self.jobs.clone(), made: Arc::clone(&self.made) }
    }

    /// True when it is gone, by a panic: its frames will never come.
    pub(crate) fn has_panicked(&self) -> bool {
        self.made.has_panicked.load(Ordering::Acquire)
    }

    /// True when waiting for its end would not wait.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What was made of the frames that nobody took any more, where frames are recorded: once it has ended.
    pub(crate) fn take_records(&self) -> Vec<MadeRecord> {
        let finished = self.made.finished.iter().flat_map(|finished| std::mem::take(&mut *finished.lock()));
        finished.filter_map(|(_, finished)| finished.record).collect()
    }

    /// Waits until it has ended.
    pub(crate) fn join(&mut self) {
        self.end();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a view's thread had panicked");
        }
    }

    /// Tells it to end: what it has begun is not shown any more. Frames that are recorded are merged, all of them.
    pub(crate) fn end(&self) {
        self.made.is_ending.store(true, Ordering::Release);
        // It may have ended by a panic.
        let _ = self.jobs.send(Job::End);
    }
}

impl Drop for MergeThread {
    fn drop(&mut self) {
        self.join();
    }
}

impl Merge {
    /// Opens a frame; the one before was handed over with [`Merge::finish`].
    pub(crate) fn open(&self, opening: Opening) {
        self.send(Job::Open { is_local: self.is_local, opening: Box::new(opening) });
    }

    /// A slice of the open frame.
    pub(crate) fn add(&self, part: Part) {
        self.send(Job::Add { is_local: self.is_local, part });
    }

    /// The open frame has ended: it comes back with what was made of it.
    pub(crate) fn finish(&self, flight: Flight) {
        self.send(Job::Finish { is_local: self.is_local, flight: Box::new(flight) });
    }

    /// What was finished since, oldest first.
    pub(crate) fn finished(&self) -> Vec<FinishedFlight> {
        std::mem::take(&mut *self.made.finished[usize::from(self.is_local)].lock())
    }

    /// What the last finished frame tells of the next one's cost.
    pub(crate) fn seen(&self) -> Option<Arc<Seen>> {
        self.made.seen[usize::from(self.is_local)].lock().clone()
    }

    fn send(&self, job: Job) {
        // Gone by a panic: the director ends the session when it hears of it.
        let _ = self.jobs.send(job);
    }
}

/// However the thread ends, the director hears of it.
struct Ending<'a>(&'a Made);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.has_panicked.store(std::thread::panicking(), Ordering::Release);
        self.0.news.notify_one();
    }
}

fn run(desc: &MergeDesc, work: &mpsc::Receiver<Job>, made: &Made) {
    let mut merging = [false, true].map(|is_local| Merging::new(desc, is_local));
    let mut jobs = VecDeque::new();
    loop {
        if jobs.is_empty() {
            match work.recv() {
                Ok(job) => jobs.push_back(job),
                Err(_) => return,
            }
        }
        jobs.extend(work.try_iter());
        if !desc.is_recorded && made.is_ending.load(Ordering::Acquire) {
            return;
        }
        match jobs.pop_front() {
            Some(Job::Open { is_local, opening }) => merging[usize::from(is_local)].open(*opening),
            Some(Job::Add { is_local, part }) => merging[usize::from(is_local)].add(&part),
            Some(Job::Finish { is_local, flight }) => {
                let pipeline = usize::from(is_local);
                let merging = &mut merging[pipeline];
                let has_newer =
                    jobs.iter().any(|job| matches!(job, Job::Finish { is_local: other, .. } if *other == is_local));
                let is_shown = flight.is_surely_shown || !(has_newer && merging.is_filtered());
                let finished = merging.finish(&flight, is_shown, &|| !made.is_ending.load(Ordering::Acquire));
                made.finished[pipeline].lock().push((flight, finished));
                made.news.notify_one();
                if let Some(seen) = merging.learn() {
                    *made.seen[pipeline].lock() = Some(Arc::new(seen));
                }
            }
            Some(Job::End) => return,
            None => {}
        }
    }
}
